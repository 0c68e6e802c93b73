"""Steps at fixed places in memory: as a GPU records them, here taken again each time, and on a CPU."""

import numpy as np
import pandas as pd
import pytest
import torch
from family import labelled_digits

from skae import AutoencoderTransformer, DenoisingAutoencoder, SupervisedAutoencoder, VAETransformer
from skae._training import net, recorded

pytestmark = pytest.mark.usefixtures("plain_draws")
TEN_STEPS = {"batch_size": 60, "max_iter": 1, "early_stopping": False, "random_state": 0}


def taken_again(run):
    """Record as a GPU does: what ``run`` leaves, in one place."""
    place = torch.zeros(())
    return lambda: place.copy_(run()), place


def always_recorded(trained, gradient, optimizer, average):
    step = recorded.Step(gradient, optimizer, average)
    return recorded.RecordedStep(step, trained.criterion_, taken_again)


def table(X):
    frame = pd.DataFrame(X[:, 20:30]).add_prefix("pixel")
    return frame.assign(kind=np.where(X[:, 36] > 8, "dark", "bright"))


@pytest.mark.parametrize(
    ("n_rows", "weighted"), [(600, False), (605, True)]
)  # one size of batch, two
@pytest.mark.parametrize(
    ("kind", "params"),
    [
        (AutoencoderTransformer, {"alpha": 1.0}),
        (AutoencoderTransformer, {"ordered": True}),
        (DenoisingAutoencoder, {}),
        (SupervisedAutoencoder, {}),
        (VAETransformer, {}),
    ],
)
@pytest.mark.parametrize("rows", [np.asarray, table], ids=["numbers", "table"])
def test_they_are_the_same_steps(kind, params, weighted, rows, n_rows, monkeypatch):
    X, y = labelled_digits(n_rows)
    weight = np.linspace(0.5, 2, n_rows) if weighted else None
    model = kind(4, **params, **TEN_STEPS)
    plain = model.fit(rows(X), y, sample_weight=weight).module_.state_dict()
    monkeypatch.setattr(net, "step_of", always_recorded)
    again = model.fit(rows(X), y, sample_weight=weight).module_.state_dict()
    for name, value in plain.items():
        torch.testing.assert_close(again[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_average_and_rising_weight_go_along(monkeypatch):
    X, _ = labelled_digits(600)
    model = VAETransformer(4, max_iter=5, random_state=0)
    plain = model.fit(X).validation_scores_
    monkeypatch.setattr(net, "step_of", always_recorded)
    np.testing.assert_allclose(model.fit(X).validation_scores_, plain, rtol=1e-4)


def with_gaps(X):
    return np.where(np.arange(X.size).reshape(X.shape) % 31 == 0, np.nan, X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("kind", "params", "rows", "folds"),
    [
        (AutoencoderTransformer, {}, np.asarray, True),
        (AutoencoderTransformer, {}, with_gaps, False),
        (AutoencoderTransformer, {"ordered": True}, table, False),
        (AutoencoderTransformer, {"ordered": True}, np.asarray, True),
        (SupervisedAutoencoder, {}, np.asarray, False),
        (SupervisedAutoencoder, {}, table, True),
        (VAETransformer, {"kl_warmup": 1}, np.asarray, False),
    ],
)
def test_repeated_operations_leave_the_same_bits(kind, params, rows, folds, monkeypatch):
    X, y = labelled_digits(205)
    model = kind(4, **params, **TEN_STEPS | {"max_iter": 2, "early_stopping": folds})
    again = model.fit(rows(X), y).history_
    monkeypatch.setattr(recorded, "_is_alike", lambda net: False)
    assert again == model.fit(rows(X), y).history_


def test_a_gradient_is_followed_twice_for_every_size_of_batch(monkeypatch):
    followed = []
    gradient = recorded.ReconstructionGradient.__call__
    monkeypatch.setattr(
        recorded.ReconstructionGradient,
        "__call__",
        lambda self, inputs, *rest: followed.append(inputs.shape) or gradient(self, inputs, *rest),
    )
    model = AutoencoderTransformer(4, **TEN_STEPS | {"max_iter": 4})
    model.fit(labelled_digits(605)[0])
    assert sorted(followed) == [(60, 64), (60, 64), (61, 64), (61, 64)]
