"""Coverage of real rows by generated ones."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, ConditionalVAE
from skae.metrics import (
    explained_share,
    frechet_distance,
    mode_coverage,
    precision_recall,
    reconstruction_score,
)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_same_distribution_covers_as_the_formula_says(k):
    """Rows alike: the expectation is 1 - C(2n - 1 - k, n) / C(2n - 1, n), about 1 - 2^-k."""
    rng = np.random.default_rng(0)
    n = 500
    X, others = rng.normal(size=(2, n, 3))
    expected = 1 - np.prod([(n - 1 - i) / (2 * n - 1 - i) for i in range(k)])
    assert abs(expected - (1 - 2.0**-k)) < 0.01
    assert abs(mode_coverage(X, others, n_neighbors=k) - expected) < 0.05


def test_what_is_left_out_is_lost():
    rng = np.random.default_rng(0)
    centres = 9 * np.eye(4)[:, :3]
    X, others = (np.repeat(centres, 100, axis=0) + rng.normal(size=(400, 3)) for _ in range(2))
    whole = mode_coverage(X, others)
    for n_modes in (1, 2, 3):
        some = np.tile(others[: 100 * n_modes], (4, 1))
        assert abs(mode_coverage(X, some) - whole * n_modes / 4) < 0.02


def test_bounds():
    X = np.random.default_rng(0).normal(size=(30, 2))
    assert mode_coverage(X, X) == 1.0
    assert mode_coverage(X, X + 1e6) == 0.0


def test_where_zero_lies_does_not_matter():
    """With many columns distances come from products, in which large means drown them."""
    X, others = np.random.default_rng(0).normal(size=(2, 200, 40))
    for k in (1, 5):
        expected = mode_coverage(X, others, n_neighbors=k)
        assert mode_coverage(X + 1e8, others + 1e8, n_neighbors=k) == expected


def test_a_score_takes_labels_where_rows_are_decoded_by_them():
    X, y = load_wine(return_X_y=True)
    vae = ConditionalVAE(2, hidden_layer_sizes=())
    model = clone(vae).fit(X, y)
    assert reconstruction_score(model, X, y) == pytest.approx(model.score(X, y))
    assert reconstruction_score(model, X) == pytest.approx(model.score(X))
    grid = {"n_components": [1, 4]}
    search = GridSearchCV(vae, grid, scoring=reconstruction_score, cv=StratifiedKFold(2))
    search.fit(X, y)
    assert search.best_params_ == {"n_components": 4}
    assert reconstruction_score(search, X, y) == pytest.approx(search.best_estimator_.score(X, y))
    pipeline = make_pipeline(StandardScaler(), clone(vae)).fit(X, y)
    with pytest.raises(TypeError, match="cannot pass labels to the ConditionalVAE in a Pipeline"):
        reconstruction_score(pipeline, X, y)
    pls = PLSRegression(2).fit(X, y)  # takes them, and needs none
    assert 0 < reconstruction_score(pls, X, y) < 1


def test_bad_rows_are_refused():
    X = np.zeros((5, 2))
    with pytest.raises(ValueError, match="have 3 columns, X has 2"):
        mode_coverage(X, np.zeros((5, 3)))
    for k in (0, 5):
        with pytest.raises(ValueError, match=f"n_neighbors={k}: expected an int from 1 to 4"):
            mode_coverage(X, X, n_neighbors=k)


@pytest.mark.parametrize("unit", [1e200, 1e-200])
def test_huge_and_tiny_rows_have_the_share_of_rows_in_other_units(unit):
    X = np.array([[1.0, 2.0], [3.0, np.nan], [4.0, 4.5]])
    for rows in (X, X[:, :1]):
        made = np.nan_to_num(rows, nan=2.0) + 0.1
        expected = explained_share(rows, made)
        assert explained_share(unit * rows, unit * made) == pytest.approx(expected)


def test_mode_coverage_says_what_to_do_with_a_table():
    X = pd.DataFrame({"size": np.arange(20.0), "kind": ["a", "b"] * 10})
    with pytest.raises(ValueError, match=r"columns \['kind'\] are not numbers.*pass the codes"):
        mode_coverage(X, X)
    assert mode_coverage(X[["size"]], X[["size"]]) == 1.0


def test_of_tables_with_categories_the_estimators_score_is_pointed_to():
    table = pd.DataFrame({"a": np.arange(40.0), "k": list("ab") * 20})
    model = AutoencoderTransformer(1, hidden_layer_sizes=()).fit(table)
    with pytest.raises(ValueError, match=r"no number .*'a'.*: .* the score\(X\) of an autoencoder"):
        reconstruction_score(model, table)


def test_of_nothing_the_share_is_unknown():
    nothing = np.full((3, 2), np.nan)
    assert np.isnan(explained_share(nothing, np.zeros((3, 2))))
    X = np.random.default_rng(0).normal(size=(40, 2))
    for rows in (X, np.where(X > 1, np.nan, X)):
        assert np.isnan(AutoencoderTransformer(1, hidden_layer_sizes=()).fit(rows).score(nothing))


@pytest.mark.parametrize(
    "score", [explained_share, mode_coverage, precision_recall, frechet_distance]
)
def test_frames_whose_columns_are_in_another_order_are_refused(score):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    with pytest.raises(ValueError, match=r"in another order: \['b', 'a'\] .* \['a', 'b'\] should"):
        score(X, X[["b", "a"]])
    assert score(X, X) == score(X.to_numpy(), X.set_axis(["c", "d"], axis=1))


@pytest.mark.parametrize("score", [mode_coverage, precision_recall, frechet_distance])
def test_distances_beyond_float64_are_refused(score):
    X = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(ValueError, match="as large as .*e.160.*scale the columns"):
        score(X, 1e160 * X)
