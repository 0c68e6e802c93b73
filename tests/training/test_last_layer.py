"""Laws of the last layer, which is solved for where held-out rows gain by it."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from inside import net_of, nets_of, standardised
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skae import (
    AutoencoderTransformer,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SupervisedAutoencoder,
    VAETransformer,
)
from skae._training import trainer
from skae._training.last_layer import LastLayer, can_solve, chosen_strength

TABLES = (load_digits, 16), (load_digits, 8), (load_breast_cancer, 8), (load_diabetes, 8)


def parts(load):
    """Return training and test rows of a table."""
    X = StandardScaler().fit_transform(load().data)
    return X[::2], X[1::2]


@pytest.fixture(scope="module")
def ratios():
    """Errors of test rows, by those of the same fits without the solution."""
    found = []
    for load, k in TABLES:
        rows, others = parts(load)
        estimator = AutoencoderTransformer(k, random_state=0)
        error = 1 - estimator.fit(rows).score(others)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trainer, "chosen_strength", lambda nets: None)
            found.append(error / (1 - estimator.fit(rows).score(others)))
    return found


def test_no_table_loses_by_it_and_one_gains(ratios):
    assert max(ratios) <= 1.005
    assert min(ratios) < 0.99


@pytest.fixture
def trained(digits):
    """A net that was trained on digits, with held-out rows."""
    rows = StandardScaler().fit_transform(digits[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        net, *_ = nets_of(AutoencoderTransformer(8, random_state=0, max_iter=5).fit, rows)
    return net


def moments(net):
    """Return the products of features and what is left of training rows, and the features' mean square."""
    layer = LastLayer(net)
    target = net.rows.take(slice(None))
    with torch.no_grad():
        features, left = layer._seen(target, target)
    return features.T @ left, features.square().sum(0).mean()


def test_the_normal_equations_hold(trained):
    layer = LastLayer(trained)
    before, _ = moments(trained)
    layer.solve(0.0)
    after, _ = moments(trained)
    assert after.abs().max() < 1e-3 * before.abs().max()
    layer.solve(0.5)
    after, mean = moments(trained)
    change = torch.cat(
        [(p - t).reshape(len(p), -1) for p, t in zip(layer.parts, layer.trained, strict=True)], 1
    )
    assert torch.allclose(after, 0.5 * mean * change.T.double(), atol=1e-3 * before.abs().max())
    layer.restore()
    assert torch.equal(moments(trained)[0], before)


def test_weights_are_repetitions(trained):
    few = np.random.RandomState(0).randint(1, 4, len(trained.rows))
    X = trained.rows.take(slice(None)).numpy().astype(float)
    changes = []
    for rows in (standardised(X, few), standardised(np.repeat(X, few, axis=0))):
        trained.rows = rows
        layer = LastLayer(trained)
        layer.solve(0.1)
        changes.append([part.clone() for part in layer.parts])
        layer.restore()
    for weighted, repeated in zip(*changes, strict=True):
        torch.testing.assert_close(weighted, repeated, atol=1e-5, rtol=1e-4)


def test_held_out_rows_decide(trained):
    assert chosen_strength([trained]) is None  # its last steps were on all rows
    bias = trained.module_.decoder.nonlinear[-1].bias.data
    bias += 0.1
    spoilt = bias.clone()
    assert chosen_strength([trained]) is not None
    assert torch.equal(bias, spoilt)  # it only chooses


@pytest.mark.parametrize(
    ("estimator", "solves"),
    [
        (AutoencoderTransformer(4), True),
        (DenoisingAutoencoder(4), False),
        (SparseAutoencoder(4), True),
        (ContractiveAutoencoder(4), True),
        (SupervisedAutoencoder(4), False),
        (AutoencoderTransformer(4, ordered=True), False),
        (AutoencoderTransformer(4, tied_weights=True), False),
        (VAETransformer(4), False),
    ],
)
def test_what_is_solved_for(digits, estimator, solves):
    labels = {"y": np.arange(len(digits[0])) % 2} if "Supervised" in str(estimator) else {}
    net = net_of(estimator.set_params(random_state=0).fit, digits[0], **labels)
    assert can_solve(net) is solves


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_categories_alone_have_no_squares_to_solve_for():
    first, second = np.random.default_rng(0).integers(0, 4, (2, 200)).astype(str)
    frame = pd.DataFrame({"a": first, "b": second, "c": first, "d": second}, dtype="category")
    model = AutoencoderTransformer(2, max_iter=20, random_state=0).fit(frame)
    assert model.best_iter_ > 0
