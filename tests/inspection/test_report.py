"""component_report: PCA's loadings where PCA was kept, planted curves, levels, images and sequences."""

import family
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae.inspection import (
    BiplotDisplay,
    LatentSpaceDisplay,
    ReconstructionDisplay,
    TraversalDisplay,
    component_report,
)
from skae.inspection._effects import kinds_of_curves

IRIS = load_iris(as_frame=True).data
SHORT = {"max_iter": 3, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def planted(n=300):
    """Return columns that are functions of one factor: straight, rising, turning once and twice."""
    t = np.random.default_rng(0).uniform(-1, 1, n)
    columns = {"line": t, "exp": np.exp(2 * t), "square": 3 * t**2, "sine": np.sin(2 * np.pi * t)}
    return pd.DataFrame(columns) + 100.0


@pytest.fixture(scope="module")
def curved():
    X = planted()
    return skae.AutoencoderTransformer(1, random_state=0).fit(X), X


@pytest.mark.parametrize("offset", [0.0, 1e9])
@pytest.mark.parametrize("whiten", [False, True])
def test_where_pca_was_kept_all_is_pcas(whiten, offset):
    X = IRIS.to_numpy() + offset
    ae = skae.AutoencoderTransformer(3, hidden_layer_sizes=(), whiten=whiten).fit(X)
    report = component_report(ae, X)
    pca = PCA(3).fit(IRIS)
    loadings = pca.components_.T * np.sqrt(pca.explained_variance_)
    found = report["loading"].unstack("component")
    np.testing.assert_allclose(found, loadings, atol=1e-6)
    np.testing.assert_allclose(report["linear_share"], 1.0, atol=1e-6)
    assert set(report["kind"]) == {"linear"}
    of_component = report.groupby("component").first()
    np.testing.assert_allclose(
        of_component["unique_share"], pca.explained_variance_ratio_, atol=1e-6
    )
    np.testing.assert_allclose(of_component["angle_to_pca"], 0.0, atol=1e-5)


def test_where_training_did_not_help_it_is_pcas_too(gaussian):
    ae = skae.AutoencoderTransformer(2, max_iter=5, random_state=0).fit(gaussian)
    assert ae.best_iter_ == 0
    pca = PCA(2).fit(gaussian)
    loadings = pca.components_.T * np.sqrt(pca.explained_variance_)
    found = component_report(ae, gaussian)["loading"].unstack("component")
    np.testing.assert_allclose(found.loc[[f"x{j}" for j in range(10)]], loadings, atol=1e-6)


def test_planted_curves_are_found(curved):
    ae, X = curved
    assert ae.score(X) > 0.95
    report = component_report(ae, X).loc[0]
    assert report.loc["line", "kind"] in ("linear", "monotone")
    others = report["kind"].drop("line").to_dict()
    assert others == {"exp": "monotone", "square": "one turn", "sine": "other"}
    assert report.loc["line", "linear_share"] > 0.8
    assert report.loc[["square", "sine"], "linear_share"].max() < 0.2
    assert report["unique_share"].iloc[0] > 0.9


@pytest.mark.parametrize(
    ("curve", "kind"),
    [
        (lambda t: 0 * t, "linear"),
        (lambda t: t + 0.04 * np.sin(9 * t), "linear"),
        (lambda t: np.tanh(3 * t), "monotone"),
        (lambda t: t**2 + t, "one turn"),
        (lambda t: np.sin(5 * t), "other"),
    ],
)
@pytest.mark.parametrize("factor", [1.0, -1e6, 1e-3])
def test_kinds_of_curves_whatever_their_units(curve, kind, factor):
    edges = np.linspace(-1, 1, 21)
    values = factor * curve(edges)
    curves = np.column_stack([values, values[::-1], edges])
    kinds = kinds_of_curves(100 * edges + 7, curves, abs(factor))
    assert kinds.tolist() == [kind, kind, "linear"]


def test_ordered_shares_add_up_to_the_score():
    X = IRIS
    ae = skae.AutoencoderTransformer(3, ordered=True, **SHORT).fit(X)
    report = component_report(ae, X).groupby("component").first()
    assert report["explained_share"].sum() == pytest.approx(ae.score(X))
    assert "explained_share" not in component_report(
        skae.AutoencoderTransformer(2, **SHORT).fit(X), X
    )


def mixed_table(n=150):
    rng = np.random.default_rng(0)
    size = rng.normal(size=n)
    return pd.DataFrame(
        {
            "size": 10 * size + 50,
            "kind": np.where(size + 0.3 * rng.normal(size=n) > 0, "large", "small"),
            "noise": rng.normal(size=n),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.round(9 * size), unit="D"),
        }
    )


def test_categories_by_level_and_missing_cells():
    X = mixed_table()
    X.loc[:9, "size"] = np.nan
    ae = skae.AutoencoderTransformer(1, **SHORT).fit(X)
    report = component_report(ae, X).loc[0]
    assert report.index.names == ["column", "level"]
    levels = report.loc["kind", "loading"]
    assert set(levels.index) == {"large", "small"}
    assert levels.sum() == pytest.approx(0.0, abs=1e-9)
    sizes = report.xs("size").iloc[0], report.xs("noise").iloc[0]
    assert 5 < abs(sizes[0]["loading"]) < 12  # in the units of X
    assert abs(sizes[1]["loading"]) < 0.5
    assert np.sign(levels["large"]) == np.sign(sizes[0]["loading"])
    day = abs(report.xs("day")["loading"].iloc[0]) / 86400
    assert 5 < day < 12


def test_names_that_are_tuples_are_names_as_any_others():
    X = mixed_table()
    tuples = X.set_axis(pd.MultiIndex.from_tuples([(name, 1) for name in X]), axis=1)
    for some in (list(X), ["size", "noise"]):
        reports = [
            component_report(skae.AutoencoderTransformer(1, **SHORT).fit(rows), rows)
            for rows in (X[some], tuples[[(name, 1) for name in some]])
        ]
        np.testing.assert_allclose(reports[1]["loading"], reports[0]["loading"])
        names = [report.index.get_level_values("column") for report in reports]
        assert list(names[1]) == [(name, 1) for name in names[0]]


def test_images_and_sequences_by_place():
    X = load_digits().data[:120]
    ae = skae.ConvolutionalAutoencoder(2, **SHORT).fit(X)
    report = component_report(ae, X)
    assert report.index.names == ["component", "channel", "row", "column"]
    image = report.loc[1, "loading"].to_numpy().reshape(8, 8)
    assert image[3, 4] == report.loc[(1, 0, 3, 4), "loading"]
    sequences = X.copy()
    sequences[:40, -16:] = np.nan
    sequences[:, -2:] = np.nan
    with pytest.warns(UserWarning, match="No row has a cell"):
        ae = skae.RecurrentAutoencoder(2, sequence_shape=(32, 2), **SHORT).fit(sequences)
    report = component_report(ae, sequences)
    assert report.index.names == ["component", "step", "channel"]
    assert report.loc[0].index[-1] == (30, 1)


def test_stability_is_high_where_the_factor_is_strong_and_low_where_it_is_none():
    rng = np.random.default_rng(0)
    X = np.outer(rng.normal(size=200), np.ones(8)) + 0.3 * rng.normal(size=(200, 8))
    ae = skae.AutoencoderTransformer(2, hidden_layer_sizes=(), ordered=True).fit(X)
    state = np.random.get_state()[1].copy()
    stability = [
        component_report(ae, X, n_refits=5, random_state=seed).groupby("component")["stability"]
        for seed in (0, 0)
    ]
    first, second = stability[0].first()
    assert first > 0.99
    assert second < 0.9
    np.testing.assert_array_equal(stability[0].first(), stability[1].first())
    np.testing.assert_array_equal(state, np.random.get_state()[1])


@pytest.mark.parametrize("kind", family.GIVING_BACK, ids=family.name_of)
def test_every_autoencoder_has_a_report_and_pictures(pyplot, kind):
    X, y = family.labelled_digits(100)
    ae = family.fitted(kind, X, y)
    report = component_report(ae, X)
    assert len(report) == 3 * 64
    assert np.isfinite(report[["loading", "linear_share", "unique_share"]]).all(axis=None)
    assert report["linear_share"].between(0, 1 + 1e-9).all()
    traversal = TraversalDisplay.from_estimator(ae, X, 2, n_columns=2)
    assert np.ptp(traversal.rows, axis=0).max() > 0
    assert len(BiplotDisplay.from_estimator(ae, X, n_arrows=3).paths) == 3
    assert ReconstructionDisplay.from_estimator(ae, X, n_rows=2).artists_
    assert LatentSpaceDisplay.from_estimator(ae, X, color_by="error").points_


@pytest.mark.parametrize(
    "params", [{}, {"likelihood": "bernoulli"}, {"linear_path": None}], ids=str
)
def test_loadings_are_the_mean_change_of_what_is_decoded(params):
    X = load_digits().data[:150, 8:40] / 16
    ae = skae.VAETransformer(2, **SHORT, **params).fit(X)
    codes = ae.transform(X)
    for component, loading in component_report(ae, X)["loading"].groupby("component"):
        step = np.zeros(2)
        step[component] = 1e-4
        change = ae.inverse_transform(codes + step) - ae.inverse_transform(codes - step)
        expected = codes[:, component].std(ddof=1) * change.mean(axis=0) / 2e-4
        np.testing.assert_allclose(loading, expected, atol=1e-8)


@pytest.mark.parametrize("make", [pl.from_pandas, lambda X: sparse.csr_matrix(X.to_numpy())])
def test_other_containers_have_the_same_report(pyplot, make):
    X = make(IRIS)
    ae = skae.AutoencoderTransformer(2, hidden_layer_sizes=()).fit(IRIS)
    twin = skae.AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X)
    found, expected = component_report(twin, X), component_report(ae, IRIS)
    np.testing.assert_allclose(found["loading"], expected["loading"], atol=1e-9)
    assert BiplotDisplay.from_estimator(twin, X).labels
    assert len(ReconstructionDisplay.from_estimator(twin, X).shares) == 4


def test_a_component_that_does_nothing_is_linear_and_explains_nothing():
    X = np.outer(np.arange(40.0), [1, 2, 3])  # of rank 1
    ae = skae.AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X)
    report = component_report(ae, X).loc[1]
    np.testing.assert_allclose(report[["loading", "unique_share"]], 0.0, atol=1e-9)
    assert set(report["kind"]) == {"linear"}
    assert (report["linear_share"] == 1).all()
    assert report["angle_to_pca"].isna().all()


def test_what_has_no_report_says_why():
    X = IRIS.to_numpy()
    pipeline = make_pipeline(StandardScaler(), skae.AutoencoderTransformer(2, **SHORT)).fit(X)
    with pytest.raises(ValueError, match=r"pipeline\[-1\]"):
        component_report(pipeline, X)
    with pytest.raises(ValueError, match="no decoder"):
        component_report(skae.ContrastiveEncoder(2, **SHORT).fit(X), X)
    with pytest.raises(ValueError, match="at least 2"):
        component_report(pipeline[-1], X[:1])
    with pytest.raises(ValueError, match="n_refits=-1"):
        component_report(pipeline[-1], X, n_refits=-1)
