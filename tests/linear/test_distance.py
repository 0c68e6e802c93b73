"""Distances with a shrunk covariance: what scikit-learn has, and what it has not."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from skae._linear.distance import robust_distance, shrunk_distance, weighted_quantile


@pytest.mark.parametrize("ridge", [0.0, 0.2])
def test_the_distance_is_that_of_scikit_learns_shrunk_covariance(ridge):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 9)) @ rng.normal(size=(9, 9))
    covariance = ledoit_wolf(X)[0] + ridge * np.eye(9)
    centred = X - X.mean(axis=0)
    expected = np.einsum("ij,ij->i", centred, np.linalg.solve(covariance, centred.T).T)
    squares = np.sum(shrunk_distance(X, np.ones(40), ridge).whitened(X) ** 2, axis=1)
    np.testing.assert_allclose(squares, expected)


def test_what_is_missing_takes_the_distance_of_what_is_present():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    distance = shrunk_distance(X, np.ones(200))
    covariance = np.linalg.inv((distance.axes.T * distance.gains**2) @ distance.axes)
    present = [0, 2, 5]
    rows = np.full((3, 6), np.nan)
    rows[:, present] = X[:3, present]
    squares = np.sum(distance.whitened(distance.completed(rows)) ** 2, axis=1)
    centred = X[:3, present] - distance.centre[present]
    expected = centred @ np.linalg.inv(covariance[np.ix_(present, present)]) * centred
    np.testing.assert_allclose(squares, expected.sum(axis=1))


def test_wide_rows_have_no_matrix_of_their_columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3)) @ rng.normal(size=(3, 2500)) + 0.1 * rng.normal(size=(80, 2500))
    distance = robust_distance(X, np.ones(80), 0.75, 2)
    assert distance.axes.shape[0] < 100
    far = X[:5] + np.where(np.arange(2500) < 20, 3.0, 0.0)
    rows = np.vstack([X[5:10], far])
    rows[0, ::2] = np.nan
    squares = np.sum(distance.whitened(distance.completed(rows)) ** 2, axis=1)
    assert squares[5:].min() > squares[:5].max()


def test_quantiles_of_weights_are_those_of_repetitions():
    rng = np.random.default_rng(0)
    values, weight = rng.normal(size=50), rng.integers(0, 4, 50)
    for share in (0.05, 0.1, 0.5, 0.9):
        repeated = np.repeat(values, weight)
        expected = np.quantile(repeated, share, method="averaged_inverted_cdf")
        kept = weight > 0
        assert weighted_quantile(values[kept], share, weight[kept]) == pytest.approx(expected)
