"""A training ends where its held-out loss has come to rest."""

from types import SimpleNamespace

import numpy as np
import pytest

from skae import AutoencoderTransformer
from skae._training.plateau import Plateau
from skae._training.settings import Settings


def plateau(tol=0.05, n_iter="auto", warm_up=0, steps=10, fewest=100):
    return Plateau(lambda loss: loss, tol, n_iter, warm_up, steps, fewest)


def end(curve, **settings):
    """Return the first epoch at which a curve has come to rest, or None."""
    rest = plateau(**settings)
    return next((n for n in range(1, len(curve)) if rest.reached(curve[: n + 1])), None)


def test_a_flat_curve_ends_after_the_fewest_steps():
    flat, falls = [1.0] * 50, [1.0, 0.5, *[0.49] * 50]
    assert end(flat) == 10
    assert end(flat, steps=20) == 5
    assert end(falls, n_iter=4) == 5
    assert end(falls, n_iter=4, warm_up=3) == 7


def test_it_goes_on_while_the_last_epochs_brought_a_share():
    curve = 0.5 ** (np.arange(400) / 20) + 0.3
    number = end(list(curve))
    before = curve[number - round(0.3 * number)]
    assert number > 10
    assert before - curve[number] < 0.05 * curve[number]
    assert end(list(curve), tol=0.01) > number
    assert end([0.99**n for n in range(200)], tol=1e-4) is None


def test_the_more_it_gained_the_longer_it_goes_on():
    ends = [end([1.0, *[left] * 200]) for left in (1.5, 0.9, 0.5, 0.25, 0.1, 1e-9)]
    assert ends[0] == 10
    assert ends == sorted(set(ends))
    assert ends[-1] == 150  # at most
    assert end([1.0, *[0.0] * 200]) == 150


def test_a_short_code_trains_on_for_smaller_gains():
    def of(size, fineness=1.0, n_nets=1, blocks=None):
        schema = SimpleNamespace(blocks=blocks)
        task = SimpleNamespace(size=size, fineness=fineness, error=None, schema=schema)
        nets = [SimpleNamespace(steps_an_epoch=10)] * n_nets
        return Plateau.of(Settings(32, 0.01, 10), task, nets)

    tol = [of(size).tol for size in (1, 2, 4, 6, 30)]
    assert tol[0] == tol[1] < tol[2] < tol[3] == tol[4] == 0.05
    assert of(1, fineness=0.3).tol == 0.3 * tol[4]
    assert of(2).fewest > of(4).fewest > of(6).fewest == of(30).fewest
    assert of(6, fineness=0.3).fewest > of(2).fewest
    assert of(6, n_nets=5).fewest < of(6).fewest
    assert of(6, blocks=SimpleNamespace(categories=[0])).tol == 0.5 * of(6).tol
    assert of(6, blocks=SimpleNamespace(categories=[])).tol == of(6).tol


def test_losses_may_be_logarithms():
    nats = Plateau(lambda loss: np.exp(2 * loss), 0.05, 5, 0, 10, 100)
    assert not nats.reached([0.0, *(-0.1 * n for n in range(1, 10))])
    assert nats.reached([0.0, *(-0.1 * n for n in range(1, 10)), *[-0.91] * 5])


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_an_end_at_rest_is_no_end_of_max_iter():
    X = np.random.default_rng(0).normal(size=(100, 6))
    model = AutoencoderTransformer(2, n_iter_no_change=7, max_iter=7, random_state=0).fit(X)
    assert model.n_iter_ == 7
    assert model.best_iter_ == 0
