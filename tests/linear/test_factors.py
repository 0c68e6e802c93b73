"""The factor analysis that fills missing cells."""

import numpy as np
import pytest
import torch

from skae._data.blocks import Blocks
from skae._data.rows import Rows
from skae._linear.mixed import linear_code, mixed_pca
from skae.nn.cells import Missing


def table(n_rows=400, share=0.5, seed=0):
    """Return rows of three factors with missing cells, and the whole rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 3)) @ rng.normal(size=(3, 12)) + 0.3 * rng.normal(
        size=(n_rows, 12)
    )
    return np.where(rng.random(X.shape) < share, np.nan, X), X


def model_of(X, n_components=3, weight=None):
    blocks = Blocks((None,) * X.shape[1], np.ones(X.shape[1]), flagged=True)
    return linear_code(
        Rows(X, weight=weight, blocks=blocks), n_components, np.random.RandomState(0)
    )


def filled(model, X):
    return model.fill((X - model.mean) / model.scale) * model.scale + model.mean


def test_missing_cells_are_the_mean_of_a_normal_distribution_given_the_others():
    rng = np.random.default_rng(0)
    loadings, precision = rng.normal(size=(6, 2)), rng.uniform(1, 3, 6)
    missing = Missing(Blocks((None,) * 6, np.ones(6), flagged=True)).double()
    missing.learn(loadings, precision)
    x = rng.normal(size=(1, 6))
    x[0, [1, 4]] = np.nan
    there, gone = [0, 2, 3, 5], [1, 4]
    covariance = loadings @ loadings.T + np.diag(1 / precision)
    solved = np.linalg.solve(covariance[np.ix_(there, there)], x[0, there])
    expected = covariance[np.ix_(gone, there)] @ solved
    made = missing(torch.from_numpy(x)).numpy()[0]
    np.testing.assert_allclose(made[gone], expected)
    np.testing.assert_array_equal(made[there], x[0, there])
    np.testing.assert_array_equal(made[6:], [0, 1, 0, 0, 1, 0])  # which cells are missing


def test_nets_side_by_side_fill_as_each_alone():
    rng = np.random.default_rng(0)
    blocks = Blocks((None,) * 5, np.ones(5), flagged=True)
    several = [Missing(blocks).double() for _ in range(3)]
    for missing in several:
        missing.learn(rng.normal(size=(5, 2)), rng.uniform(1, 3, 5))
    x = torch.from_numpy(np.where(rng.random((3, 7, 5)) < 0.4, np.nan, rng.normal(size=(3, 7, 5))))
    alone = torch.stack([missing(rows) for missing, rows in zip(several, x, strict=True)])
    torch.testing.assert_close(Missing.together(several)(x), alone)


def test_missing_cells_are_told_nearly_as_well_as_the_factors_allow():
    (train, seen), (_, whole) = (np.split(X, [400]) for X in table(500))
    gone = np.isnan(seen)
    made = filled(model_of(train), seen)
    np.testing.assert_allclose(made[~gone], seen[~gone])
    assert np.mean((made - whole)[gone] ** 2) < 0.15 * np.mean(whole[gone] ** 2)


def test_a_column_with_few_cells_is_drawn_to_its_mean():
    X, whole = table(share=0.3)
    thin = X.copy()
    thin[:, 0] = np.nan
    thin[:3, 0] = whole[:3, 0]
    rest = X.copy()
    rest[:, 0] = np.nan
    spread = [
        np.std(filled(model, rest)[:, 0]) / np.std(whole[:, 0])
        for model in (model_of(X), model_of(thin))
    ]
    assert spread[0] > 0.6
    assert spread[1] < 0.6 * spread[0]


def test_weights_are_repetitions():
    X, _ = table()
    weight = np.r_[np.full(200, 2.0), np.ones(200)]
    weighted, repeated = model_of(X, weight=weight), model_of(np.vstack([X[:200], X]))
    np.testing.assert_allclose(weighted.mean, repeated.mean)
    # the ridge counts rows, and weights have a mean of 1
    np.testing.assert_allclose(filled(weighted, X), filled(repeated, X), atol=0.15)


def test_complete_rows_have_no_factors_and_are_pca():
    _, X = table()
    rows = Rows(X, blocks=Blocks((None,) * 12, np.ones(12)))
    model = mixed_pca(rows, 3, np.random.RandomState(0))
    assert model.loadings.shape == (12, 0)
    values = np.linalg.eigvalsh(np.cov(X.T))[::-1]
    np.testing.assert_allclose(model.unexplained, 1 - values[:3].sum() / values.sum())


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_the_unexplained_share_is_one_of_the_present_cells(share):
    assert 0 < model_of(table(share=share)[0]).unexplained < 1
