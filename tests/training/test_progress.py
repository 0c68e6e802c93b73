"""What a fit says while it runs."""

import itertools
import re
from types import SimpleNamespace

import pytest
from sklearn.datasets import load_digits

from skae import AutoencoderTransformer
from skae._training import Progress, progress

X = load_digits().data[:600]


@pytest.fixture
def clock(monkeypatch):
    """Let an epoch take as many seconds as the returned namespace says: one, at first."""
    clock = SimpleNamespace(epoch=1.0)
    read = itertools.count()
    fake = SimpleNamespace(monotonic=lambda: next(read) * clock.epoch)
    monkeypatch.setattr(progress, "time", fake)
    return clock


@pytest.mark.parametrize(("max_iter", "says"), [(1_000_000, 1), (10, 0)])
def test_a_fit_that_may_take_minutes_says_so_once(max_iter, says, clock, capsys):
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


@pytest.mark.parametrize(
    ("epoch", "max_iter", "after"), [(0.5, 110, 0), (0.5, 130, 12), (10, 7, 1), (0.1, 3000, 60)]
)
def test_the_line_comes_after_seconds_where_a_minute_is_near(epoch, max_iter, after, clock, capsys):
    """The first epochs of a process are slow: they say little of all."""
    clock.epoch = epoch
    shown = Progress(name="Model")
    shown.begin(max_iter)
    said = ""
    for number in range(1, max(after, 60) + 1):
        assert bool(said) == bool(after and number > after)
        shown.epoch(number, loss=1.0)
        said += capsys.readouterr().err
    found = re.findall(rf"{max_iter} epochs at (\S+) s are (\S+) min", said)
    assert len(found) == bool(after)
    for pace, minutes in found:
        assert float(pace) == pytest.approx(epoch)
        assert float(minutes) == pytest.approx(max_iter * epoch / 60, abs=0.1)
