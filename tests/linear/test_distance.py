"""Distances with a shrunk covariance: what scikit-learn has, and what it has not."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.datasets import load_wine
from sklearn.metrics import nan_euclidean_distances

from skae._linear.distance import (
    Neighbours,
    robust_distance,
    shrunk_distance,
    weighted_quantile,
)


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


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_neighbours_are_those_of_scikit_learn(share):
    X = load_wine().data
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    rows = np.where(np.random.default_rng(0).random(X.shape) < share, np.nan, X)
    neighbours = Neighbours.among(X[:90], np.arange(90.0), np.ones(90), 30)
    assert len(neighbours.rows) == 30
    squares = np.sort(nan_euclidean_distances(rows, neighbours.rows) ** 2, axis=1)
    found = neighbours.squares(rows)
    np.testing.assert_allclose(found, squares[:, :8].mean(axis=1))
    parts = neighbours.parts(rows)
    np.testing.assert_array_equal(np.isnan(parts), np.isnan(rows))
    np.testing.assert_allclose(np.nanmean(parts, axis=1) * X.shape[1], found)


@pytest.mark.parametrize("most", [20, 500])
def test_kept_rows_do_not_depend_on_how_repetitions_are_written(most):
    rng = np.random.default_rng(0)
    X, weight, distances = rng.normal(size=(80, 3)), rng.integers(0, 4, 80), rng.random(80)
    kept = weight > 0
    one = Neighbours.among(X[kept], distances[kept], weight[kept] / 7, most)
    two = Neighbours.among(
        X.repeat(weight, 0), distances.repeat(weight), np.ones(weight.sum()), most
    )
    np.testing.assert_array_equal(one.rows, two.rows)
    assert len(np.unique(one.rows, axis=0)) == len(one.rows) == min(most, kept.sum())


def test_copies_of_kept_rows_are_at_no_distance_where_little_is_present():
    """Rounding would be seen: its root is a hundred millionth."""
    X = np.random.default_rng(0).normal(size=(60, 4)) * [1, 1, 1, 0] + [0, 0, 0, 1 / 3]
    neighbours = Neighbours.among(X, np.arange(60.0), np.ones(60), 60)
    rows = np.full((5, 4), np.nan)
    rows[:, 3] = 1 / 3
    np.testing.assert_array_equal(neighbours.squares(rows), 0)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered")
def test_few_rows_and_far_ones_have_distances_too():
    X = np.array([[1.0, 2.0], [1.0, 2.0], [4.0, 6.0]])
    neighbours = Neighbours.among(X, np.arange(3.0), np.ones(3), 512)
    found = neighbours.squares(np.vstack([X, [[1e200, 0.0]]]))
    np.testing.assert_allclose(found, [12.5, 12.5, 12.5, np.inf])
