"""Tables with categories, dates and missing cells, in every estimator."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from inside import model_of, net_of
from polars.testing import assert_frame_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import (
    AutoencoderTransformer,
    ConditionalVAE,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    VAETransformer,
)
from skae.inspection import ComponentCurveDisplay

FAMILY = [
    AutoencoderTransformer,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    VAETransformer,
    ConditionalVAE,
]

plain = pytest.mark.usefixtures("plain_draws")


@pytest.fixture(scope="module")
def cancer():
    """Breast cancer as a table: numbers, an ordered category, a text, a truth, a date, an integer."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    table = X[["mean texture", "mean area", "mean symmetry"]].copy()
    table["size"] = pd.qcut(X["mean radius"], 4, labels=["S", "M", "L", "XL"])
    table["kind"] = y.map({0: "malignant", 1: "benign"})
    table["rough"] = X["mean smoothness"] > X["mean smoothness"].median()
    table["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(X["area error"].round(), unit="D")
    table["points"] = (100 * X["mean concave points"]).round().astype("int64")
    return table


@pytest.fixture(scope="module")
def spoilt(cancer):
    return with_holes(cancer, 0.1)


def with_holes(table, share, seed=0):
    holes = np.random.default_rng(seed).random(table.shape) < share
    nullable = table.astype({"rough": "boolean", "points": "Int64"}) if "rough" in table else table
    return nullable.mask(holes)


def quick(kind, **parameters):
    defaults = {"n_components": 3, "max_iter": 4, "tol": 0, "random_state": 0}
    return kind(**(defaults | parameters))


def labels(kind, rows):
    """Return what an estimator is told beside the rows."""
    return [np.arange(rows.shape[0]) % 3] if kind is ConditionalVAE else []


@pytest.fixture(autouse=True)
def _quietly():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=Warning, message="max_iter=")
        yield


# numbers alone ------------------------------------------------------------------------------------


@plain
@pytest.mark.parametrize("kind", FAMILY)
def test_a_frame_of_numbers_is_its_array(kind):
    X = load_breast_cancer(as_frame=True).data.iloc[:200, :6]
    y = labels(kind, X)
    a, b = quick(kind).fit(X, *y), quick(kind).fit(X.to_numpy(), *y)
    np.testing.assert_array_equal(a.transform(X), b.transform(X.to_numpy()))
    reconstruction = a.inverse_transform(a.transform(X, *y), *y)
    assert isinstance(reconstruction, np.ndarray)
    np.testing.assert_array_equal(reconstruction, b.reconstruct(X.to_numpy(), *y))


@plain
@pytest.mark.parametrize("kind", FAMILY)
def test_sparse_rows_are_their_dense_ones(kind):
    X = load_digits().data[:300]
    y = labels(kind, X)
    a, b = quick(kind).fit(sparse.csr_matrix(X), *y), quick(kind).fit(X, *y)
    rows = sparse.csr_array(X[:50])
    np.testing.assert_allclose(a.transform(rows), b.transform(X[:50]), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(a.score(rows), b.score(X[:50]), rtol=1e-9)
    np.testing.assert_allclose(
        a.reconstruction_error(rows), b.reconstruction_error(X[:50]), rtol=1e-9
    )


def test_wide_sparse_rows_are_never_whole():
    rng = np.random.default_rng(0)
    shape = 1000, 20_000
    rows = np.repeat(np.arange(shape[0]), 5)
    topics = rng.integers(4, size=shape[0])
    columns = np.repeat(topics, 5) * 5000 + rng.integers(30, size=5 * shape[0])
    X = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
    import tracemalloc

    tracemalloc.start()
    ae = AutoencoderTransformer(3, hidden_layer_sizes=(), random_state=0).fit(X)
    code = ae.transform(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * 8 * np.prod(shape)  # bytes of the dense matrix
    means = np.array([code[topics == t].mean(0) for t in range(4)])
    spread = np.array([code[topics == t].std(0) for t in range(4)]).max()
    gaps = np.linalg.norm(means[:, None] - means, axis=2)[np.triu_indices(4, 1)]
    assert gaps.min() > 2 * spread  # the topics stand apart
    exact = np.linalg.eigvalsh(np.cov(X[:, np.unique(columns)].toarray().T))[::-1][:3]
    np.testing.assert_allclose(code.var(axis=0, ddof=1), exact, rtol=0.01)


def test_missing_numbers_are_filled_better_than_by_pca_and_means():
    train, test = np.split(load_digits().data, [1300])
    mean = train.mean(axis=0)
    rng = np.random.default_rng(0)
    holes_in_train, holes = (rng.random(X.shape) < 0.1 for X in (train, test))
    spoilt = np.where(holes, np.nan, test)
    ae = AutoencoderTransformer(8, random_state=0).fit(np.where(holes_in_train, np.nan, train))
    filled = ae.impute(spoilt)
    np.testing.assert_array_equal(filled[~holes], test[~holes])

    pca = PCA(8).fit(np.where(holes_in_train, mean, train))
    by_pca = pca.inverse_transform(pca.transform(np.where(holes, mean, test)))
    error, of_means, of_pca = (
        np.mean((guess - test)[holes] ** 2)
        for guess in (filled, np.broadcast_to(mean, test.shape), by_pca)
    )
    assert error < 0.5 * of_means
    assert error < 0.8 * of_pca
    assert ae.score(spoilt) > 0.5
    by_hand = 1 - np.nansum((spoilt - ae.reconstruct(spoilt)) ** 2) / np.nansum(
        (spoilt - np.nanmean(spoilt, axis=0)) ** 2
    )
    np.testing.assert_allclose(ae.score(spoilt), by_hand)
    np.testing.assert_allclose(
        ae.reconstruction_error(spoilt), np.nansum((spoilt - ae.reconstruct(spoilt)) ** 2, axis=1)
    )


def test_the_baseline_of_rows_with_missing_cells_is_better_than_pca_of_filled_ones(digits):
    train, test = digits
    rng = np.random.default_rng(0)
    spoilt = np.where(rng.random(train.shape) < 0.2, np.nan, train)
    holes = rng.random(test.shape) < 0.36  # a fifth of the cells that are there is hidden too
    linear = AutoencoderTransformer(8, hidden_layer_sizes=(), random_state=0).fit(spoilt)
    assert linear.best_iter_ == 0
    pca = PCA(8).fit(np.where(np.isnan(spoilt), np.nanmean(spoilt, axis=0), spoilt))
    by_pca = pca.inverse_transform(pca.transform(np.where(holes, pca.mean_, test)))
    made = linear.reconstruct(np.where(holes, np.nan, test))
    assert np.mean((made - test) ** 2) < 0.96 * np.mean((by_pca - test) ** 2)


def test_held_out_rows_with_missing_cells_need_rows_with_some():
    X = load_digits().data[:300, 20:30]
    spoilt = X.copy()
    spoilt[::3, 2] = np.nan
    with pytest.raises(ValueError, match="X_val has missing cells, but X has none"):
        quick(AutoencoderTransformer).fit(X, X_val=spoilt[:60])
    assert quick(AutoencoderTransformer).fit(spoilt, X_val=X[:60]).validation_scores_


def test_all_missing_rows_and_columns():
    X = load_digits().data[:300, 20:30].copy()
    X[:, 3] = np.nan
    X[5] = np.nan
    ae = quick(AutoencoderTransformer).fit(X)
    made = ae.reconstruct(X)
    assert np.isnan(made[:, 3]).all()
    assert np.isfinite(np.delete(made, 3, axis=1)).all()
    assert np.isfinite(ae.transform(X)).all()
    later = X.copy()
    later[:, 3] = 1e9  # nothing was learned of this column
    np.testing.assert_array_equal(ae.transform(later), ae.transform(X))


def test_missing_cells_where_the_fit_had_none_count_as_means():
    X = load_digits().data[:300, 20:30]
    ae = quick(AutoencoderTransformer).fit(X)
    spoilt, means = X[:20].copy(), X[:20].copy()
    spoilt[:, 2], means[:, 2] = np.nan, X[:, 2].mean()
    np.testing.assert_allclose(ae.transform(spoilt), ae.transform(means))
    np.testing.assert_array_equal(ae.impute(spoilt)[:, [0, 1, 3]], X[:20, [0, 1, 3]])


# the model ----------------------------------------------------------------------------------------


def mixed(table):
    """Return the indicator matrix of factor analysis of mixed data, centred."""
    numbers = table.select_dtypes("number")
    parts = [(numbers - numbers.mean()) / numbers.std(ddof=0)]
    for name in table.columns.difference(numbers.columns, sort=False):
        dummies = pd.get_dummies(table[name]).astype(float)
        dummies = dummies.loc[:, dummies.any()]
        parts.append((dummies - dummies.mean()) / np.sqrt(dummies.mean()))
    return pd.concat(parts, axis=1).to_numpy()


def test_a_complete_table_starts_at_factor_analysis_of_mixed_data(cancer):
    table = cancer.drop(columns="day")
    ae = AutoencoderTransformer(4, hidden_layer_sizes=(), random_state=0).fit(table)
    wanted = PCA(4).fit_transform(mixed(table))
    np.testing.assert_allclose(np.abs(ae.transform(table)), np.abs(wanted), atol=1e-6)


def test_the_start_predicts_levels_as_a_logistic_regression(cancer):
    table = cancer.drop(columns="day")
    ae = AutoencoderTransformer(2, hidden_layer_sizes=(), random_state=0).fit(table)
    Z = PCA(2, whiten=True).fit_transform(mixed(table))
    rival = LogisticRegression(C=1.0).fit(Z, table["size"])
    truth = table["size"].to_numpy()
    probability = rival.predict_proba(Z)[np.arange(len(Z)), np.searchsorted(rival.classes_, truth)]
    shares = table["size"].value_counts(normalize=True)
    baseline = -np.mean(np.log(shares[truth].to_numpy()))
    wanted = 1 + np.mean(np.log(probability)) / baseline
    np.testing.assert_allclose(ae.score_by_column(table)["size"], wanted, atol=0.01)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("numbers_only", [False, True])
@pytest.mark.parametrize("kind", [AutoencoderTransformer, VAETransformer, ConditionalVAE])
def test_the_gradient_by_hand_is_that_of_autograd(kind, numbers_only, weighted, spoilt, cancer):
    table = spoilt
    if numbers_only:
        table = cancer.select_dtypes("number").mask(lambda frame: frame > frame.quantile(0.9))
    net = net_of(quick(kind, early_stopping=False).fit, table, *labels(kind, table))
    module = net.module_
    for p in module.parameters():
        torch.nn.init.normal_(p, 0, 0.2, generator=torch.Generator().manual_seed(p.numel()))
        p.grad.fill_(torch.nan)
    rows = net.rows.take(slice(0, 64))
    assert rows.isnan().any()
    inputs = net.settings.corruption.begin(torch.Generator().manual_seed(2))(rows)
    weight = torch.rand(64, generator=torch.Generator().manual_seed(1)) if weighted else None
    assert hasattr(type(net.gradient), "fits")  # by hand
    loss = net.gradient(inputs, rows, weight)
    by_hand = [p.grad.clone() for p in module.parameters()]
    module.zero_grad()
    losses = net.criterion_(module(inputs), rows)
    expected = (losses if weight is None else losses * weight).mean()
    expected.backward()
    torch.testing.assert_close(loss, expected.detach())
    for hand, p in zip(by_hand, module.parameters(), strict=True):
        atol = max(1e-6, 2e-6 * p.grad.abs().max().item())
        torch.testing.assert_close(hand, p.grad, rtol=1e-4, atol=atol)


@plain
@pytest.mark.parametrize("kind", FAMILY)
@pytest.mark.parametrize("holes", [False, True])
def test_without_steps_the_model_is_its_baseline(kind, holes, cancer, spoilt):
    table = spoilt if holes else cancer
    ae = quick(kind, learning_rate_init=1e-12, max_iter=2).fit(table, *labels(kind, table))
    assert ae.best_iter_ == 0
    np.testing.assert_allclose(max(ae.validation_scores_), ae.pca_score_, rtol=1e-4)


def test_the_trained_model_is_kept_above_the_baseline(cancer):
    train, test = cancer.iloc[::2], cancer.iloc[1::2]
    ae = AutoencoderTransformer(3, random_state=0).fit(train)
    linear = AutoencoderTransformer(3, hidden_layer_sizes=(), random_state=0).fit(train)
    assert ae.best_iter_ > 0
    assert ae.score(test) > linear.score(test) + 0.05


def test_every_kind_of_column_counts(cancer):
    ae = AutoencoderTransformer(4, random_state=0).fit(cancer)
    scores = ae.score_by_column(cancer)
    assert scores.shape == (8,)
    assert (scores > 0.2).all()
    np.testing.assert_allclose(ae.score(cancer), scores.mean())


def test_column_weights(cancer):
    names = list(cancer.columns)
    weights = {"mean symmetry": 20.0, "kind": 0.0}
    ae = AutoencoderTransformer(1, column_weights=weights, random_state=0).fit(cancer)
    plain = AutoencoderTransformer(1, random_state=0).fit(cancer)
    scores = [each.score_by_column(cancer)["mean symmetry"] for each in (ae, plain)]
    assert scores[0] > scores[1] + 0.2
    by_hand = np.average(
        ae.score_by_column(cancer), weights=[weights.get(name, 1.0) for name in names]
    )
    np.testing.assert_allclose(ae.score(cancer), by_hand)
    X = cancer.iloc[:, :3].to_numpy()
    assert isinstance(
        quick(AutoencoderTransformer, column_weights=[1, 0, 3]).fit(X).reconstruct(X), np.ndarray
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"nothing": 1}, "names .*nothing"),
        ([1, 2], "expected 8 numbers"),
        (["much"] * 8, "expected 8 numbers"),
        ([-1] * 8, "expected 8 numbers of at least 0"),
        ([0] * 8, "zero for every column"),
    ],
)
def test_wrong_column_weights(weights, message, cancer):
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(column_weights=weights).fit(cancer)


# there and back -----------------------------------------------------------------------------------


@plain
@pytest.mark.parametrize("kind", FAMILY)
def test_frames_come_back_as_they_went_in(kind, cancer, spoilt):
    for table in (cancer, spoilt):
        before, y = table.copy(), labels(kind, table)
        ae = quick(kind).fit(table, *y)
        Z = ae.transform(table, *y)
        assert Z.shape == (len(table), 3)
        assert np.isfinite(Z).all()
        made = ae.inverse_transform(Z, *y)
        assert list(made.columns) == list(table.columns)
        assert (made.dtypes == table.dtypes).all()
        assert not made.isna().any(axis=None)
        pd.testing.assert_frame_equal(ae.reconstruct(table, *y), made.set_index(table.index))
        assert np.isfinite(ae.reconstruction_error(table)).all()
        cells = ae.reconstruction_error(table, per_feature=True)
        np.testing.assert_array_equal(np.isnan(cells), table.isna())
        np.testing.assert_allclose(np.nansum(cells, axis=1), ae.reconstruction_error(table))
        pd.testing.assert_frame_equal(table, before)


@plain
@pytest.mark.parametrize("kind", FAMILY)
def test_imputation_fills_what_was_missing(kind, spoilt):
    y = labels(kind, spoilt)
    filled = quick(kind).fit(spoilt, *y).impute(spoilt, *y)
    assert not filled.isna().any(axis=None)
    assert (filled.dtypes == spoilt.dtypes).all()
    pd.testing.assert_frame_equal(filled.where(spoilt.notna()), spoilt, check_dtype=False)


def test_imputation_is_better_than_mean_and_mode(cancer, spoilt):
    filled = AutoencoderTransformer(4, random_state=0).fit(spoilt).impute(spoilt)
    holes = spoilt.isna()
    for name in ("mean texture", "mean area", "mean symmetry", "points"):
        error = (filled[name] - cancer[name])[holes[name]].astype(float).pow(2).mean()
        assert error < spoilt[name].astype(float).var()
    for name in ("size", "kind", "rough"):
        right = (filled[name] == cancer[name])[holes[name]].mean()
        assert right > (spoilt[name].mode()[0] == cancer[name])[holes[name]].mean()


def test_polars(cancer):
    table = pl.from_pandas(cancer.head(300).assign(size=cancer["size"].astype(str)))
    table = table.with_columns(pl.col("size").cast(pl.Enum(["S", "M", "L", "XL"])))
    holes = np.random.default_rng(0).random(table.shape) < 0.1
    spoilt = table.with_columns(
        pl.when(pl.Series(holes[:, i])).then(None).otherwise(pl.col(name)).alias(name)
        for i, name in enumerate(table.columns)
    )
    ae = quick(AutoencoderTransformer).fit(spoilt)
    made = ae.inverse_transform(ae.transform(spoilt))
    assert made.schema == table.schema
    filled = ae.impute(spoilt)
    assert filled.schema == table.schema
    assert sum(filled.null_count().row(0)) == 0
    kept = filled.with_columns(
        pl.when(pl.Series(holes[:, i])).then(None).otherwise(pl.col(name)).alias(name)
        for i, name in enumerate(table.columns)
    )
    assert_frame_equal(kept, spoilt)


def test_set_output_gives_frames_of_numbers():
    X = load_breast_cancer(as_frame=True).data.iloc[:200, :5]
    X = X.assign(points=X["mean area"].astype("int32"))
    ae = quick(AutoencoderTransformer).set_output(transform="pandas").fit(X)
    made = ae.inverse_transform(ae.transform(X))
    assert (made.dtypes == X.dtypes).all()
    pd.testing.assert_index_equal(made.index, X.index)
    assert ae.set_output(transform="polars").reconstruct(X).columns == list(X.columns)


@plain
@pytest.mark.parametrize("kind", FAMILY)
def test_copies_are_the_same(kind, spoilt):
    y = labels(kind, spoilt)
    ae = quick(kind).fit(spoilt, *y)
    copy = pickle.loads(pickle.dumps(ae))
    np.testing.assert_array_equal(copy.transform(spoilt), ae.transform(spoilt))
    pd.testing.assert_frame_equal(copy.reconstruct(spoilt), ae.reconstruct(spoilt))
    np.testing.assert_array_equal(clone(ae).fit(spoilt, *y).transform(spoilt), ae.transform(spoilt))


def test_interpolation_between_rows_of_a_frame(cancer):
    ae = quick(AutoencoderTransformer).fit(cancer)
    for a, b in [(cancer.iloc[[0]], cancer.iloc[[20]]), (cancer.iloc[0], cancer.iloc[20])]:
        path = ae.interpolate(a, b, n_steps=4)
        assert (path.dtypes == cancer.dtypes).all()
        ends = ae.reconstruct(cancer.iloc[[0, 20]]).reset_index(drop=True)
        pd.testing.assert_frame_equal(path.iloc[[0, 3]].reset_index(drop=True), ends)
    with pytest.raises(ValueError, match="a and b have 1 and 2 rows: pass one row for each end"):
        ae.interpolate(cancer.iloc[0], cancer[:2])


# further training, ordered codes ------------------------------------------------------------------


def test_streams_and_warm_starts(spoilt):
    ae = quick(AutoencoderTransformer)
    for part in np.array_split(np.arange(len(spoilt)), 3):
        ae.partial_fit(spoilt.iloc[part])
    assert ae.score(spoilt) > 0
    warm = quick(AutoencoderTransformer, warm_start=True).fit(spoilt)
    before = warm.score(spoilt)
    assert warm.fit(spoilt).score(spoilt) > before - 0.05


def test_ordered_components(pyplot, spoilt):
    ae = AutoencoderTransformer(4, ordered=True, random_state=0, max_iter=40).fit(spoilt)
    scores = [ae.truncate(k).score(spoilt) for k in (1, 2, 4)]
    assert scores == sorted(scores)
    np.testing.assert_allclose(
        ae.explained_variance_ratio_.sum(), ae.validation_scores_[ae.best_iter_ - 1], atol=0.15
    )
    assert (ae.truncate(2).reconstruct(spoilt).dtypes == spoilt.dtypes).all()
    assert len(ComponentCurveDisplay.from_estimator(ae, spoilt).start_scores) == 4


def test_a_share_of_variance_chooses_the_size(cancer):
    ae = AutoencoderTransformer(0.75, random_state=0).fit(cancer)
    start = AutoencoderTransformer(0.75, random_state=0, hidden_layer_sizes=()).fit(cancer)
    assert 1 <= ae.n_components_ < start.n_components_
    assert ae.score(cancer) > 0.7


def test_sample_weights_and_held_out_rows(cancer):
    weight = np.r_[np.ones(400), np.zeros(len(cancer) - 400)]
    ae = quick(AutoencoderTransformer).fit(cancer, sample_weight=weight)
    subset = quick(AutoencoderTransformer).fit(cancer[:400])
    assert ae.table_encoder_.categories_ == subset.table_encoder_.categories_
    np.testing.assert_allclose(ae.transform(cancer), subset.transform(cancer), atol=1e-6)
    judged = quick(AutoencoderTransformer).fit(cancer[:400], X_val=cancer[400:])
    assert len(judged.validation_scores_) >= 1


@pytest.mark.parametrize("kind", [AutoencoderTransformer, VAETransformer, ConditionalVAE])
def test_weights_of_rows_with_missing_cells_are_repetitions(kind):
    rng = np.random.default_rng(0)
    X = with_holes(pd.DataFrame(rng.normal(size=(120, 3)) @ rng.normal(size=(3, 6))), 0.3)
    X, y, weight = X.to_numpy(), rng.integers(3, size=120), rng.integers(3, size=120)
    plain = kind(2, hidden_layer_sizes=())
    weighted = clone(plain).fit(X, y, sample_weight=weight.astype(float))
    repeated = clone(plain).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    told = [y] if kind is ConditionalVAE else []
    codes = [model.transform(X, *told) for model in (weighted, repeated)]
    np.testing.assert_allclose(*codes, atol=1e-9)


@plain
@pytest.mark.parametrize("kind", [VAETransformer, ConditionalVAE])
def test_likelihoods_of_sparse_rows_with_missing_cells(kind):
    X = with_holes(pd.DataFrame(load_digits().data[:300, 20:40]), 0.1).to_numpy()
    y, rows = labels(kind, X), sparse.csr_matrix(X)
    model = kind(2, hidden_layer_sizes=()).fit(rows, *y)
    for use in ("transform", "score_samples", "reconstruction_error"):
        np.testing.assert_allclose(getattr(model, use)(rows), getattr(model, use)(X))


# generative models --------------------------------------------------------------------------------


def test_samples_are_frames_like_the_rows(cancer):
    vae = VAETransformer(4, random_state=0).fit(cancer)
    drawn = vae.sample(2000, random_state=0)
    assert (drawn.dtypes == cancer.dtypes).all()
    shares = cancer["size"].value_counts(normalize=True)
    np.testing.assert_allclose(
        drawn["size"].value_counts(normalize=True)[shares.index], shares, atol=0.08
    )
    for name in ("mean texture", "mean area"):
        np.testing.assert_allclose(drawn[name].mean(), cancer[name].mean(), rtol=0.1)
        assert 0.6 < drawn[name].std() / cancer[name].std() < 1.2
    with_others = drawn["mean area"].corr(drawn["size"].cat.codes, method="spearman")
    assert with_others > 0.6  # the rows': 0.97


@plain
@pytest.mark.parametrize("kind", [VAETransformer, ConditionalVAE])
def test_multiple_imputation(kind, cancer, spoilt):
    y = labels(kind, spoilt)
    vae = kind(4, random_state=0).fit(spoilt, *y)
    tables = vae.impute(spoilt, *y, n_draws=20, random_state=0)
    assert len(tables) == 20
    holes = spoilt["mean area"].isna()
    draws = np.array([t["mean area"][holes] for t in tables], dtype=float)
    assert not any(t.isna().any(axis=None) for t in tables)
    assert (draws.std(axis=0) > 0).all()
    inside = np.abs(draws.mean(0) - cancer["mean area"][holes]) < 2 * draws.std(axis=0)
    assert inside.mean() > 0.8
    again = vae.impute(spoilt, *y, n_draws=20, random_state=0)
    pd.testing.assert_frame_equal(tables[3], again[3])


@plain
@pytest.mark.parametrize("kind", [VAETransformer, ConditionalVAE])
def test_bounds_of_tables_are_nats_of_their_units(kind, cancer):
    y = labels(kind, cancer)
    vae = quick(kind).fit(cancer, *y)
    nats = vae.score_samples(cancer, *y)
    assert np.isfinite(nats).all()
    scaled = cancer.assign(**{"mean area": 10 * cancer["mean area"]})
    other = quick(kind).fit(scaled, *y)
    np.testing.assert_allclose(other.score_samples(scaled, *y), nats - np.log(10), atol=1e-3)


# as a citizen -------------------------------------------------------------------------------------


def test_in_a_pipeline_and_a_search_without_any_preprocessing(spoilt):
    y = spoilt.index.to_numpy() % 7
    pipeline = make_pipeline(quick(AutoencoderTransformer), Ridge())
    search = GridSearchCV(pipeline, {"autoencodertransformer__n_components": [1, 2]}, cv=2)
    assert search.fit(spoilt, y).predict(spoilt).shape == (len(spoilt),)


def test_unseen_levels_are_counted_once(cancer):
    ae = quick(AutoencoderTransformer).fit(cancer)
    new = cancer.head(5).assign(kind="unknown")
    with pytest.warns(UserWarning, match=r"5 cells of 1 column .*'kind': 'unknown'") as caught:
        ae.transform(new)
    assert len(caught) == 1


def test_columns_that_changed(cancer):
    ae = quick(AutoencoderTransformer).fit(cancer)
    with pytest.raises(ValueError, match="'mean area': number .* in fit, category"):
        ae.transform(cancer.assign(**{"mean area": "large"}))
    with pytest.raises(ValueError, match="unseen at fit time:\n- weight"):
        ae.transform(cancer.rename(columns={"kind": "weight"}))


@pytest.mark.parametrize("parameters", [{"tied_weights": True}, {"pretraining": "layerwise"}])
def test_what_tables_cannot_have(parameters, cancer):
    with pytest.raises(ValueError, match="needs complete columns of numbers"):
        quick(AutoencoderTransformer, **parameters).fit(cancer)
    with pytest.raises(ValueError, match="takes complete numeric columns"):
        quick(VAETransformer, likelihood="bernoulli").fit(cancer)
    with pytest.raises(ValueError, match="categories do not have"):
        quick(DenoisingAutoencoder, noise="salt_and_pepper").fit(cancer)


@pytest.mark.parametrize("noise", ["masking", "swap", lambda x, generator: x])
def test_noise_on_tables(noise, spoilt):
    ae = quick(DenoisingAutoencoder, noise=noise).fit(spoilt)
    assert np.isfinite(ae.transform(spoilt)).all()


def test_many_levels_start_by_passes_over_the_rows(monkeypatch):
    monkeypatch.setattr("skae._linear.pca.WIDEST_COVARIANCE", 200)
    levels = np.random.default_rng(0).integers(300, size=9000)
    table = pd.DataFrame({"many": levels, "few": levels // 100}).astype("category")
    linear = AutoencoderTransformer(2, min_frequency=1, hidden_layer_sizes=(), random_state=0)
    code = linear.fit_transform(table)
    np.testing.assert_allclose(code.var(axis=0, ddof=1), 2.0, rtol=1e-3)  # what both share


# what once went wrong ------------------------------------------------------------------------------


def test_one_missing_cell_leaves_the_noise_as_it_is():
    z = np.random.default_rng(0).normal(size=(120, 1))
    X = np.hstack([z + 0.1 * np.random.default_rng(1).normal(size=z.shape), (10 * z).round()])
    spoilt = X.copy()
    spoilt[0, 0] = np.nan
    whole, one_hole = (VAETransformer(1, random_state=0).fit(rows) for rows in (X, spoilt))
    np.testing.assert_allclose(one_hole.noise_variance_, whole.noise_variance_, rtol=0.3)
    np.testing.assert_allclose(one_hole.sample(2000, random_state=0).std(0), X.std(0), rtol=0.2)


def test_weights_count_in_the_regressions_of_the_start(cancer):
    table = cancer[["mean area", "kind"]]
    weight = np.where(table["kind"] == "benign", 20, 1)
    repeated = table.loc[table.index.repeat(weight)]
    linear = AutoencoderTransformer(1, hidden_layer_sizes=(), random_state=0)
    weighted = clone(linear).fit(table, sample_weight=weight).score_by_column(repeated)
    by_rows = clone(linear).fit(repeated).score_by_column(repeated)
    plain = clone(linear).fit(table).score_by_column(repeated)
    np.testing.assert_allclose(weighted, by_rows, atol=0.03)
    assert weighted["kind"] > plain["kind"] + 0.05


def test_integer_arrays_are_rounded_within_their_range():
    X = np.array([[0, 10, 200], [1, 250, 3], [1, 7, 255], [0, 90, 0]] * 15, dtype="uint8")
    ae = quick(AutoencoderTransformer, n_components=1, categorical_features=[0]).fit(X)
    made = ae.reconstruct(X)
    assert made.dtype == X.dtype
    model = model_of(ae)
    floats = ae.table_encoder_.columns(model.decode_cells(model.encode(model.schema.read(X))))[2]
    np.testing.assert_array_equal(made[:, 2], np.clip(np.round(floats), 0, 255))
    assert floats.min() < 0


@pytest.mark.parametrize(
    "change",
    [
        lambda day: day - day[0],
        lambda day: day.dt.tz_localize("UTC"),
        lambda day: day.astype(str),
    ],
)
def test_times_do_not_change_their_kind(change, cancer):
    ae = quick(AutoencoderTransformer).fit(cancer)
    with pytest.raises(ValueError, match="'day': time .* in fit"):
        ae.transform(cancer.assign(day=change(cancer["day"])))


def test_numbers_do_not_change_their_kind(cancer):
    numbers = cancer[["mean texture", "mean area", "points"]]
    ae = quick(AutoencoderTransformer).fit(numbers)
    with pytest.raises(ValueError, match="'points': number .* in fit, time"):
        ae.transform(numbers.assign(points=cancer["day"]))
    with pytest.raises(ValueError, match=r"\['size', 'kind', 'rough'\] are not numeric"):
        AutoencoderTransformer(categorical_features=None).fit(cancer)


def test_time_zones_of_every_name(cancer):
    day = cancer["day"].dt.tz_localize("America/New_York")
    table = cancer.assign(day=day)
    made = quick(AutoencoderTransformer).fit(table).reconstruct(table)
    assert made["day"].dtype == day.dtype


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_training_goes_on_over_late_missing_cells_as_over_means(kind):
    X = load_digits().data[:300, 20:30]
    spoilt, means = X.copy(), X.copy()
    spoilt[::3, 2], means[::3, 2] = np.nan, X[:, 2].mean()
    streams = [quick(AutoencoderTransformer).partial_fit(X) for _ in range(2)]
    for stream, rows in zip(streams, (spoilt, means), strict=True):
        stream.partial_fit(kind(rows))
    np.testing.assert_allclose(*(stream.transform(X) for stream in streams), rtol=1e-4, atol=1e-4)
    warm = quick(AutoencoderTransformer, warm_start=True).fit(X)
    assert np.isfinite(warm.fit(kind(spoilt)).loss_curve_).all()


def test_late_missing_cells_do_not_count():
    X = load_digits().data[:300, 20:25]
    ae = quick(AutoencoderTransformer).fit(X)
    spoilt = X.copy()
    spoilt[:, 2], spoilt[4, 0] = np.nan, np.nan
    there = ~np.isnan(spoilt)
    error = np.where(there, (ae.reconstruct(spoilt) - X) ** 2, np.nan)
    np.testing.assert_allclose(ae.reconstruction_error(spoilt, per_feature=True), error)
    assert np.isnan(ae.score_by_column(spoilt)).tolist() == [False, False, True, False, False]
    kept = spoilt[:, [0, 1, 3, 4]]
    baseline = np.nansum((kept - np.nanmean(kept, axis=0)) ** 2)
    np.testing.assert_allclose(ae.score(spoilt), 1 - np.nansum(error) / baseline)
    with pytest.raises(ValueError, match="likelihood is not known"):
        quick(VAETransformer).fit(X).score_samples(spoilt)


def test_weights_by_names_that_are_integers_and_as_a_series(cancer):
    table = pd.DataFrame(cancer.iloc[:, :3].to_numpy(), columns=[1, 2, 3])
    ae = quick(AutoencoderTransformer, column_weights={1: 50}).fit(table)
    assert model_of(ae).schema.column_weights.argmax() == 0
    weights = pd.Series({"day": 9.0, "kind": 2.0})
    ae = quick(AutoencoderTransformer, column_weights=weights).fit(cancer)
    assert cancer.columns[model_of(ae).schema.column_weights.argmax()] == "day"


def test_going_on_needs_the_same_columns(cancer):
    ae = quick(AutoencoderTransformer, warm_start=True).fit(cancer)
    with pytest.raises(ValueError, match="column_weights was None then"):
        ae.set_params(column_weights={"kind": 3}).fit(cancer)


def test_missing_cells_in_rows_of_weight_zero_are_none(cancer):
    X = cancer[["mean texture", "mean area", "points"]].astype(float).copy()
    weight = np.ones(len(X))
    X.iloc[3, 0], weight[3] = np.nan, 0
    subset = quick(AutoencoderTransformer).fit(X[weight > 0])
    ae = quick(AutoencoderTransformer).fit(X, sample_weight=weight)
    assert model_of(ae).schema.blocks is None
    np.testing.assert_allclose(ae.transform(X[:3]), subset.transform(X[:3]), atol=1e-6)


def test_served_rows_may_miss_anything(cancer):
    ae = quick(AutoencoderTransformer).fit(cancer)
    row = cancer.iloc[[5]]
    for name in cancer:
        assert np.isfinite(ae.transform(row.assign(**{name: None}))).all()
        assert np.isfinite(ae.transform(row.assign(**{name: np.nan}))).all()
        assert ae.impute(row.assign(**{name: None}))[name].notna().all()


def test_imputation_into_other_types_than_those_of_the_fit(cancer):
    ae = quick(AutoencoderTransformer).fit(cancer)
    fewer = cancer.assign(
        size=cancer["size"].astype(object).where(cancer["size"] == "M", None).astype("category"),
        day=cancer["day"].astype("datetime64[s]").mask(cancer["rough"]),
        points=cancer["points"].astype("Int64").mask(cancer["rough"]),
    )
    filled = ae.impute(fewer)
    assert not filled.isna().any(axis=None)
    assert filled["points"].dtype == "Int64"
    kept = ~cancer["rough"]
    pd.testing.assert_series_equal(filled["day"][kept], fewer["day"][kept])
    in_polars = ae.impute(pl.from_pandas(cancer.mask(cancer["points"] > 5)))
    assert sum(in_polars.null_count().row(0)) == 0


TYPES = [
    *["float64", "float32", "float16", "Float64", "Float32", "Int64", "UInt8"],
    *["double[pyarrow]", "float[pyarrow]", "int8[pyarrow]"],
]


@pytest.mark.parametrize("beside", [{}, {"kind": ["a", "b"] * 30}], ids=["numbers", "table"])
def test_filled_numbers_keep_their_type_beside_others(beside):
    """Some cells of a column are missing, or all: it comes back as what it is."""
    X = pd.DataFrame(np.random.default_rng(0).normal(50, 9, (60, 1 + len(TYPES))).round())
    X = X.add_prefix("x").assign(**beside)
    model = quick(AutoencoderTransformer).fit(X)
    X = X.astype({f"x{i}": dtype for i, dtype in enumerate(TYPES)})
    X.iloc[5:9, : len(TYPES)] = None
    for rows in (X, X.iloc[5:9]):
        filled = model.impute(rows)
        assert not filled.isna().any(axis=None)
        pd.testing.assert_series_equal(filled.dtypes, rows.dtypes)
        pd.testing.assert_index_equal(filled.index, rows.index)


def test_far_codes_give_legal_tables(cancer):
    table = cancer.assign(day=cancer["day"].astype("datetime64[ns]"))
    ae = quick(AutoencoderTransformer).fit(table)
    made = ae.inverse_transform(1e9 * ae.transform(table))
    assert (made.dtypes == table.dtypes).all()


def test_lists_of_codes(cancer):
    ae = quick(AutoencoderTransformer).fit(cancer)
    Z = ae.transform(cancer)
    pd.testing.assert_frame_equal(ae.inverse_transform(Z.tolist()), ae.inverse_transform(Z))


@pytest.mark.filterwarnings("ignore:Some columns of text")
def test_a_column_of_names_alone_explains_nothing(cancer):
    table = cancer.assign(name=[f"patient {i}" for i in range(len(cancer))])
    assert np.isnan(quick(AutoencoderTransformer).fit(table).score_by_column(table)["name"])


def test_sparse_rows_with_missing_cells():
    X = load_digits().data[:300]
    holes = (np.random.default_rng(0).random(X.shape) < 0.1) & (X > 0)
    spoilt = sparse.csr_matrix(np.where(holes, np.nan, X))
    ae = quick(AutoencoderTransformer).fit(spoilt)
    dense = quick(AutoencoderTransformer).fit(spoilt.toarray())
    np.testing.assert_allclose(ae.score(spoilt), dense.score(spoilt.toarray()), rtol=1e-6)
    np.testing.assert_allclose(
        ae.score_by_column(spoilt), dense.score_by_column(spoilt.toarray()), rtol=1e-6
    )


def test_nothing_at_all():
    for X in (np.full((40, 2), np.nan), pd.DataFrame({"a": [None] * 40})):
        with pytest.raises(ValueError, match="no present cell"):
            AutoencoderTransformer().fit(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_messages_name_the_estimator_that_was_called():
    X = pd.DataFrame({"a": np.arange(40.0), "b": ["x", "y"] * 20})
    ae = AutoencoderTransformer(1, max_iter=2, random_state=0).fit(X)
    with (
        pytest.warns(UserWarning, match="but AutoencoderTransformer was fitted with feature names"),
        pytest.raises(ValueError, match="AutoencoderTransformer is expecting 2 features"),
    ):
        ae.transform(np.ones((3, 5)))
    with (
        pytest.warns(UserWarning, match="but TableEncoder was fitted with feature names"),
        pytest.raises(ValueError, match="TableEncoder is expecting 2 features"),
    ):
        ae.table_encoder_.transform(np.ones((3, 5)))


@pytest.mark.filterwarnings("error::UserWarning")
def test_levels_of_rows_without_weight_are_no_matter_of_fit():
    frame = pd.DataFrame({"a": np.arange(60.0), "b": list("abc") * 20})
    ae = AutoencoderTransformer(1, hidden_layer_sizes=())
    ae.fit(frame, sample_weight=frame["b"] != "c")
    with pytest.warns(UserWarning, match="fit did not see, in 20 cells"):
        ae.transform(frame)
