"""Laws of the noise: by column it starts at factor analysis, and no column's is next to zero."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.preprocessing import StandardScaler

import skae
from skae import VAETransformer

EXACT = {"tol": 1e-9, "max_iter": 20_000, "svd_method": "lapack"}
UNTRAINED = {"early_stopping": False, "learning_rate_init": 1e-30, "max_iter": 1, "alpha": 0}


def by_column(k, X, **changes):
    return VAETransformer(k, noise="columns", random_state=0, **changes).fit(X)


def linear(k, X, **changes):
    return by_column(k, X, hidden_layer_sizes=(), **changes)


def scaled(halves):
    """Return the halves of a table, standardised by the first, without constant columns."""
    train, test = halves
    varies = train.std(axis=0) > 0
    scaler = StandardScaler().fit(train[:, varies])
    return scaler.transform(train[:, varies]), scaler.transform(test[:, varies])


@pytest.mark.usefixtures("plain_draws")
@pytest.mark.parametrize(("name", "k"), [("wine", 1), ("wine", 3), ("digits", 4)])
def test_start_is_factor_analysis(request, name, k):
    train, test = scaled(request.getfixturevalue(name))
    theirs, ours = FactorAnalysis(k, **EXACT).fit(train), linear(k, train)
    assert ours.score_samples(test, 1).mean() == pytest.approx(theirs.score(test), rel=1e-6)
    assert ours.score_samples(train, 1).mean() == pytest.approx(theirs.score(train), rel=1e-6)
    np.testing.assert_allclose(ours.get_covariance(), theirs.get_covariance(), atol=1e-4)
    product = ours.get_precision() @ ours.get_covariance()
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-8)
    network = VAETransformer(k, noise="columns", random_state=0, **UNTRAINED).fit(train)
    difference = network.score_samples(test, 1).mean() - theirs.score(test)
    assert abs(difference) < 1e-3 * train.shape[1]


def test_units_of_the_columns_do_not_matter(wine):
    """Nats in other units differ by the logarithms of these."""
    train, test = scaled(wine)
    units = 10.0 ** np.arange(-6, 7)
    one, other = linear(3, train), linear(3, train * units)
    nats = other.score_samples(test * units) + np.log(units).sum()
    np.testing.assert_allclose(nats, one.score_samples(test), rtol=1e-4)
    np.testing.assert_allclose(other.noise_variance_, units**2 * one.noise_variance_, rtol=1e-2)


def test_columns_that_say_too_little_or_too_much(wine):
    """Constant, nearly constant and repeated columns: factor analysis falls to minus infinity."""
    train, test = scaled(wine)
    rng = np.random.default_rng(0)

    def with_such(X, last):
        whole = np.round(3 * X[:, 0])
        rare = np.zeros(len(X))
        rare[last] = 1.0
        off = 1e-3 * rng.normal(size=len(X)) * last
        return np.column_stack(
            [X, X[:, 1], X[:, 2] + off, whole, whole, np.full(len(X), 2.5), rare]
        )

    rows = with_such(train, last=0), with_such(test, last=1)
    theirs = FactorAnalysis(6, svd_method="lapack").fit(rows[0])
    ours = linear(6, rows[0])
    nats = ours.score_samples(rows[1], 1).mean()
    assert theirs.score(rows[1]) < -1e4
    assert nats > PCA(6).fit(rows[0]).score(rows[1]) - 1
    assert (ours.noise_variance_ > 0).all()
    np.testing.assert_array_less(1 / 12 - 1e-9, ours.noise_variance_[-4:-2])  # steps of 1
    assert np.isfinite(by_column(6, rows[0]).score_samples(rows[1])).all()


def test_a_step_of_training_goes_by_the_noise_of_each_column():
    """Where only one column can be told better, training finds it however large its noise is."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-2, 2, 1600)
    noise = rng.normal(size=(1600, 4)) * [0.05, 0.05, 0.05, 1.0]
    X = np.column_stack([t, -t, t**2, 8 * np.sin(2 * t)]) + noise
    linear_nats = linear(1, X[:1200]).score_samples(X[1200:]).mean()
    model = by_column(1, X[:1200])
    assert model.best_iter_ > 0
    assert model.score_samples(X[1200:]).mean() > linear_nats + 1.5


def test_likelier_than_both_linear_models(cancer):
    train, test = scaled(cancer)
    nats = by_column(4, train).score_samples(test).mean()
    assert nats > PCA(4).fit(train).score(test)
    assert nats > FactorAnalysis(4, svd_method="lapack").fit(train).score(test)


def test_rows_far_fewer_than_columns(digits):
    X = digits[0][:16]
    assert np.isfinite(by_column(3, X).score_samples(X)).all()


@pytest.fixture(scope="module")
def table():
    """A number that its code tells nearly, one that it does not, and a category."""
    rng = np.random.default_rng(0)
    size = rng.normal(size=1200)
    return pd.DataFrame(
        {
            "size": size + 0.1 * rng.normal(size=1200),
            "weight": 50 + 5 * size + 0.5 * rng.normal(size=1200),
            "luck": rng.normal(size=1200),
            "kind": np.where(size + 0.3 * rng.normal(size=1200) > 0, "a", "b"),
        }
    )


def test_noise_of_a_tables_columns(table):
    one, columns = (
        VAETransformer(1, noise=noise, hidden_layer_sizes=()).fit(table[:900])
        for noise in ("isotropic", "columns")
    )
    assert columns.noise_variance_.shape == (3,)
    assert columns.noise_variance_[2] > 5 * columns.noise_variance_[:2].max()
    later = table[900:]
    assert columns.score_samples(later).mean() > one.score_samples(later).mean() + 0.5
    less, more = (
        model.sample(4000, 0, match_marginals=False)[["size", "weight"]].corr().iloc[0, 1]
        for model in (one, columns)
    )
    assert less + 0.1 < more < table[["size", "weight"]].corr().iloc[0, 1]
    given = columns.sample(500, random_state=0, given={"weight": 60.0}, match_marginals=False)
    near = table["size"][(table["weight"] > 58) & (table["weight"] < 62)]
    assert given["size"].mean() == pytest.approx(near.mean(), abs=0.25)


def test_missing_cells(table):
    X = table[["size", "weight", "luck"]].to_numpy(copy=True)
    X[np.random.default_rng(1).random(X.shape) < 0.1] = np.nan
    model = by_column(1, X[:900], max_iter=20)
    assert model.noise_variance_.shape == (3,)
    assert np.isfinite(model.score_samples(X[900:])).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("of_frame", [False, True])
def test_kept_in_files_and_served_without_torch(table, wine, tmp_path, of_frame):
    X, k = (table, 1) if of_frame else (scaled(wine)[0], 3)
    model = by_column(k, X, max_iter=5)
    skae.save(model, tmp_path / "model.skae")
    expected = model.score_samples(X)
    for other in (
        pickle.loads(pickle.dumps(model)),
        skae.load(tmp_path / "model.skae"),
        skae.load(tmp_path / "model.skae", engine="numpy"),
    ):
        np.testing.assert_allclose(other.score_samples(X), expected, rtol=1e-10)
        np.testing.assert_array_equal(other.noise_variance_, model.noise_variance_)


def test_ordered_prefixes_share_the_proportions(wine):
    train, test = scaled(wine)
    model = linear(3, train, ordered=True)
    first = model.truncate(1)
    ratios = first.noise_variance_ / model.noise_variance_
    np.testing.assert_allclose(ratios, ratios[0])
    assert ratios[0] > 1
    root = np.sqrt(model.noise_variance_)
    over_noise = PCA(1).fit(train / root).score(test / root) - np.log(root).sum()
    assert first.score_samples(test).mean() == pytest.approx(over_noise, rel=1e-2)
    assert np.isfinite(
        by_column(3, train, ordered=True, max_iter=5).truncate(2).score_samples(test)
    ).all()


def test_goes_on_with_the_noise_that_it_has(wine):
    train, test = scaled(wine)
    model = by_column(3, train, warm_start=True, max_iter=5)
    before = model.score_samples(test).mean()
    model.fit(train)
    assert model.score_samples(test).mean() > before - 0.1
    with pytest.raises(ValueError, match="noise was 'columns' then"):
        model.set_params(noise="isotropic").fit(train)


def test_without_a_linear_path(wine):
    train, test = scaled(wine)
    model = by_column(3, train, linear_path=None, early_stopping=False, max_iter=20)
    assert model.noise_variance_.min() > 0.005 * train.var(axis=0).min() * 0.999
    assert np.isfinite(model.score_samples(test)).all()


def test_bernoulli_columns_have_no_noise():
    with pytest.raises(ValueError, match="noise='columns' is of numbers with Gaussian noise"):
        by_column(1, np.eye(40)[:, :3], likelihood="bernoulli")


def test_too_many_columns_are_refused():
    with pytest.raises(ValueError, match="not formed of more than 4096, but X has 4200"):
        by_column(2, np.random.default_rng(0).normal(size=(40, 4200)))


def test_noise_settles_at_no_less_than_what_is_left_of_the_training_rows(wine):
    X = scaled(wine)[0]
    model = by_column(3, X, early_stopping=False, max_iter=2)
    inner = model._model
    inner.module.log_noise_ratios.fill_(-9.0)
    assert (inner.noise_variance < 0.01).all()
    left = np.mean((X - model.reconstruct(X)) ** 2, axis=0)
    assert inner.task.settle(inner.module.float(), inner.baseline, inner.schema.rows(X), "cpu")
    np.testing.assert_array_less(0.95 * left, inner.noise_variance)
