"""Precision, recall and Frechet distance of generated rows; mode_coverage is in test_rows."""

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import sqrtm
from scipy.special import expit
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from skae.metrics import (
    explained_share,
    frechet_distance,
    mode_coverage,
    precision_recall,
)


def test_precision_and_recall_are_those_of_the_definition():
    X, made = np.random.default_rng(0).normal(size=(2, 60, 2)) * [[[1.0]], [[2.0]]]

    def within(queries, rows, k):
        near = np.linalg.norm(rows[:, None] - rows, axis=2)
        radii = np.sort(near, axis=1)[:, k]
        return (np.linalg.norm(queries[:, None] - rows, axis=2) <= radii).any(axis=1).mean()

    for k in (1, 3):
        expected = within(made, X, k), within(X, made, k)
        assert precision_recall(X, made, n_neighbors=k) == expected


def test_what_strays_costs_precision_and_what_lacks_costs_recall():
    rng = np.random.default_rng(0)
    centres = 9 * np.eye(4)[:, :3]
    X, others = (np.repeat(centres, 100, axis=0) + rng.normal(size=(400, 3)) for _ in range(2))
    whole = precision_recall(X, others)
    assert min(whole) > 0.85
    strays = np.vstack([others[:200], others[:200] + 1e3])
    assert precision_recall(X, strays)[0] == pytest.approx(whole[0] / 2, abs=0.03)
    assert precision_recall(X, others[:200])[1] == pytest.approx(whole[1] / 2, abs=0.03)
    assert precision_recall(X, X) == (1.0, 1.0)
    assert precision_recall(X + 1e8, others + 1e8) == whole


def test_frechet_distance_is_that_of_two_normal_distributions():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4))
    made = rng.normal(size=(150, 4)) @ rng.normal(size=(4, 4)) + 1
    a, b = (np.cov(rows, rowvar=False) for rows in (X, made))
    shift = np.sum((X.mean(0) - made.mean(0)) ** 2)
    expected = shift + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_distance(X, made) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(made, X) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(X, X) == pytest.approx(0, abs=1e-9)
    flat = np.c_[X, np.ones(200)]  # a covariance without an inverse
    assert frechet_distance(flat, np.c_[made, np.ones(150)]) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("activation", ["identity", "logistic", "relu", "tanh"])
def test_a_classifiers_space_is_its_last_hidden_layer(activation):
    X, y = load_digits(return_X_y=True)
    X = X / 16
    model = MLPClassifier((16, 8), activation=activation, max_iter=20, random_state=0)
    with pytest.warns(match="reached"):
        model.fit(X[:600], y[:600])
    noisy = X[600:900] + np.random.default_rng(0).normal(size=(300, 64))
    near = frechet_distance(X[900:1200], X[600:900], model)
    assert near < frechet_distance(X[900:1200], noisy, model)
    hidden, known = X, {"identity": lambda x: x, "logistic": expit, "tanh": np.tanh}
    for weights, bias in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        hidden = known.get(activation, lambda x: x.clip(0))(hidden @ weights + bias)
    expected = frechet_distance(hidden[900:1200], hidden[600:900])
    assert near == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("filled", [0.0, np.nan])
def test_frames_with_sparse_columns_are_read(filled):
    rng = np.random.default_rng(0)
    X, drawn = (pd.DataFrame(rng.normal(size=(40, 2))) for _ in range(2))
    sparse = [frame.astype(pd.SparseDtype(float, filled)) for frame in (X, drawn)]
    for measure in (mode_coverage, precision_recall, frechet_distance, explained_share):
        assert measure(*sparse) == measure(X.to_numpy(), drawn.to_numpy())


def test_bad_rows_are_refused():
    X = np.random.default_rng(0).normal(size=(6, 2))
    with pytest.raises(ValueError, match="have 1 column, X has 2"):
        frechet_distance(X, X[:, :1])
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        frechet_distance(X, X[:1])
    with pytest.raises(ValueError, match="expected a fitted MLPClassifier"):
        frechet_distance(X, X, MLPClassifier())
    with pytest.raises(ValueError, match="fewer than the 3 generated rows"):
        precision_recall(X, X[:3])
    with pytest.raises(ValueError, match="n_neighbors=6: expected an int from 1 to 5"):
        precision_recall(X, X, n_neighbors=6)
