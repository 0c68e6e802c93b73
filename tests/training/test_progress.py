"""What a fit says while it runs."""

import re
import time

import pytest
from sklearn.datasets import load_digits

from skae import AutoencoderTransformer
from skae._training import Progress

X = load_digits().data[:600]


@pytest.mark.parametrize(("max_iter", "says"), [(1_000_000, 1), (10, 0)])
def test_a_fit_that_may_take_minutes_says_so_once(max_iter, says, capsys):
    AutoencoderTransformer(2, max_iter=max_iter, tol=0.9, random_state=0).fit(X)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("verbose=1 or 2 shows its progress") == says
    assert err.count("\n") == says


def test_a_fit_that_shows_its_progress_does_not_say_how_to_see_it(capsys):
    AutoencoderTransformer(2, max_iter=1_000_000, tol=0.9, verbose=1, random_state=0).fit(X)
    out, err = capsys.readouterr()
    assert "Iteration 1" in out
    assert err == ""


@pytest.mark.parametrize(("max_iter", "says"), [(300, 0), (3000, 1)])
def test_the_line_comes_from_a_minute_on_and_gives_the_time_of_all_epochs(max_iter, says, capsys):
    progress = Progress(name="Model")
    progress.begin(max_iter)
    for number in (1, 2):
        time.sleep(0.06)
        progress.epoch(number, loss=1.0)
    found = re.findall(r"3000 epochs at (\S+) s are (\S+) min", capsys.readouterr().err)
    assert len(found) == says
    for pace, minutes in found:
        assert float(minutes) == pytest.approx(3000 * float(pace) / 60, abs=0.3)
        assert float(pace) >= 0.06
