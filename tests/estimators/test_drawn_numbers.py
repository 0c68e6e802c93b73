"""Laws of drawn numbers: they are such as the training rows hold, and the order of draws is the model's."""

import pickle

import numpy as np
import pandas as pd
import pytest

import skae
from skae import ConditionalVAE, VAETransformer

pytestmark = pytest.mark.filterwarnings("ignore:max_iter")


@pytest.fixture(scope="module")
def table():
    """Whole numbers, cents, many zeros, heaps, multiples, days, and a normal column; one factor in all."""
    rng = np.random.default_rng(0)
    n = 1500
    size = rng.normal(size=n)
    amount = np.round(np.exp(size + rng.normal(size=n) / 2) * 100, 2)
    hours = np.round(np.clip(40 + 8 * size + 6 * rng.normal(size=n), 1, 99))
    return pd.DataFrame(
        {
            "size": size,
            "age": np.clip(np.round(38 + 12 * size + rng.normal(size=n)), 17, 90).astype(np.int64),
            "price": np.round(np.exp(size) * 10, 2),
            "gain": np.where(rng.random(n) < 0.85, 0.0, amount),
            "hours": np.where(rng.random(n) < 0.5, 40, hours).astype(np.int32),
            "rent": 50 * np.round(np.exp(3 + size) * 10).astype(np.int64),
            "day": pd.Timestamp("2020-02-01") + pd.to_timedelta(rng.integers(0, 2000, n), "D"),
            "one": 7.25,
            "kind": pd.Categorical(np.where(size > 0, "a", "b")),
        }
    )


@pytest.fixture(scope="module")
def vae(table):
    return VAETransformer(3, max_iter=20, random_state=0).fit(table)


def test_drawn_numbers_are_such_as_the_rows_hold(table, vae):
    drawn = vae.sample(4000, random_state=1)
    pd.testing.assert_series_equal(drawn.dtypes, table.dtypes)
    for name in table.columns[:-1]:
        assert table[name].min() <= drawn[name].min() <= drawn[name].max() <= table[name].max()
    assert set(drawn["age"]) <= set(table["age"])
    assert set(drawn["hours"]) <= set(table["hours"])
    for name in ("price", "gain"):
        assert (drawn[name] == drawn[name].round(2)).all()
    assert (drawn["rent"] % 50 == 0).all()
    assert (drawn["day"] == drawn["day"].dt.normalize()).all()
    assert (drawn["one"] == 7.25).all()
    for name, value in (("gain", 0.0), ("hours", 40)):
        share = np.mean(table[name] == value)
        assert abs(np.mean(drawn[name] == value) - share) < 4 * np.sqrt(share * (1 - share) / 4000)
    assert (
        np.mean((drawn["gain"] > 0) & (drawn["gain"] < table["gain"][table["gain"] > 0].min())) == 0
    )
    assert drawn["size"].nunique() > 3900  # a number without a grid is not one of the rows'


def test_the_distribution_is_that_of_the_rows(table, vae):
    """The distance of Kolmogorov and Smirnov between two samples of a distribution, at 0.1 %."""
    drawn = vae.sample(4000, random_state=2)
    most = 1.95 * np.sqrt(1 / 4000 + 1 / 1500)
    for name in table.columns[:-1]:
        at = np.sort(np.concatenate([table[name], drawn[name]]))
        shares = (
            np.searchsorted(np.sort(x), at, side="right") / len(x)
            for x in (table[name], drawn[name])
        )
        assert np.abs(np.subtract(*shares)).max() < most, name


def without(model, *names):
    """Return a fitted model as of a file that lacks some of its state, and so what judges its draws."""
    lacks = {*names, "_judge"}
    state = {name: part for name, part in model.__getstate__().items() if name not in lacks}
    other = VAETransformer(model.n_components)
    other.__setstate__(state)
    return other


def test_the_map_is_monotone_and_the_rest_of_the_row_is_the_models(table, vae):
    """Of a file that knows nothing of what residuals have in common, as those of earlier releases."""
    old = without(vae, "_joint_covariance")
    drawn = old.sample(2000, random_state=3)
    free = vae.sample(2000, random_state=3, match_marginals=False)
    assert (free["gain"] < 0).any()  # a Gaussian likelihood
    for name in ("size", "price", "gain"):  # frames round the others
        order = np.argsort(free[name].to_numpy(), kind="stable")
        assert (np.diff(drawn[name].to_numpy()[order].astype(float)) >= 0).all()
    pd.testing.assert_series_equal(drawn["kind"], free["kind"])


def test_the_summary_says_what_the_columns_hold(table, vae):
    found = vae.number_summary_
    assert list(found.index) == list(table.columns[:-1])
    assert found["kind"].to_dict() == {
        "size": "continuous", "age": "whole", "price": "decimals", "gain": "decimals",
        "hours": "whole", "rent": "whole", "day": "whole", "one": "constant",
    }  # fmt: skip
    assert found.loc["rent", "step"] == 50
    assert found.loc["day", "step"] == 86400
    assert found.loc["price", "step"] == 0.01
    assert found.loc["gain", "zeros"] == np.mean(table["gain"] == 0)
    assert found["listed"].to_dict()["age"]
    assert not found.loc["size", "listed"]
    with pytest.raises(AttributeError):
        _ = VAETransformer().number_summary_


def test_arrays_draw_as_tables_do(table):
    X = table[["size", "age", "gain"]].to_numpy()
    for rows, model in (
        (X, VAETransformer(2, max_iter=10, random_state=0)),
        (X.astype(np.float32), VAETransformer(2, hidden_layer_sizes=(), random_state=0)),
        (
            X[:40].repeat(3, axis=1).repeat(60, axis=1),
            VAETransformer(2, max_iter=5, random_state=0),
        ),
    ):
        drawn = model.fit(rows).sample(500, random_state=0)
        assert drawn.shape == (500, rows.shape[1])
        assert (drawn >= rows.min(axis=0) - 1e-6).all()
        assert (drawn <= rows.max(axis=0) + 1e-6).all()
    of_ages = slice(180, 360)
    assert (drawn[:, of_ages] % 1 == 0).all()


def test_missing_cells_and_weights(table):
    X = table[["size", "age", "gain"]].astype(float)
    X.loc[::3, "age"] = np.nan
    model = VAETransformer(2, max_iter=10, random_state=0)
    weight = np.where(table["gain"] == 0, 0.0, 1.0)
    drawn = model.fit(X, sample_weight=weight).sample(1000, random_state=0)
    assert (
        (drawn[:, 1] % 1 == 0).all()
        if isinstance(drawn, np.ndarray)
        else (drawn["age"] % 1 == 0).all()
    )
    assert np.asarray(drawn)[:, 2].min() >= table["gain"][weight > 0].min()


def test_batches_add_up(table):
    X = table[["size", "age", "gain"]].to_numpy()
    model = VAETransformer(2, random_state=0)
    for batch in np.array_split(X[np.argsort(X[:, 1])], 5):
        model.partial_fit(batch)
    drawn = model.sample(4000, random_state=0)
    assert (drawn[:, 1] % 1 == 0).all()
    assert abs(np.mean(drawn[:, 2] == 0) - np.mean(X[:, 2] == 0)) < 0.05
    assert abs(np.median(drawn[:, 1]) - np.median(X[:, 1])) <= 1
    assert drawn.min() >= X.min()
    assert drawn[:, 1].max() > np.quantile(X[:, 1], 0.98)


@pytest.mark.parametrize("kind", ["array", "frame", "table"])
def test_imputed_numbers_are_such_as_the_rows_hold(table, kind):
    """In raw units, too, where one noise for all columns is far more than some of them vary."""
    X = table[["size", "price", "gain", "rent", "one", *(["day"] if kind == "table" else [])]]
    X = X.head(300).astype({"rent": float})
    holes = X.mask(np.random.default_rng(0).random(X.shape) < 0.2)
    rows = holes.to_numpy() if kind == "array" else holes
    model = VAETransformer(2, max_iter=10, random_state=0).fit(rows)
    tables = [pd.DataFrame(np.asarray(drawn), columns=X.columns) for drawn in model.impute(rows, 3)]
    for drawn in tables:
        for name in X:
            assert holes[name].min() <= drawn[name].min() <= drawn[name].max() <= holes[name].max()
        assert (drawn["price"].astype(float).round(2) == drawn["price"]).all()
        assert (drawn["rent"] % 50 == 0).all()
        assert (drawn == X).to_numpy()[holes.notna()].all()
    assert (tables[0]["size"] != tables[1]["size"]).any()


def test_labels_keep_their_own_numbers(table):
    X, y = table[["size", "age", "gain"]], table["kind"].astype(str)
    model = ConditionalVAE(2, max_iter=20, random_state=0).fit(X, y)
    every = np.asarray(model.sample(4000, random_state=0))
    assert set(every[:, 1]) <= set(table["age"])
    assert abs(np.mean(every[:, 2] == 0) - np.mean(table["gain"] == 0)) < 0.03
    ages = [np.asarray(model.sample(2000, y=label, random_state=0))[:, 1] for label in "ab"]
    for label, found in zip("ab", ages, strict=True):
        assert abs(found.mean() - table["age"][y == label].mean()) < 2


def test_files_pickles_and_cuts_draw_the_same(table, tmp_path):
    X = table[["size", "age", "gain", "price"]]
    model = VAETransformer(3, ordered=True, max_iter=10, random_state=0).fit(X)
    skae.save(model, tmp_path / "model.skae")
    same = skae.load(tmp_path / "model.skae")
    for a in (same, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(
            a.sample(50, random_state=0), model.sample(50, random_state=0)
        )
    pd.testing.assert_frame_equal(same.number_summary_, model.number_summary_)
    cut = model.truncate(1).sample(4000, random_state=0)
    assert abs(np.mean(np.asarray(cut)[:, 2] == 0) - np.mean(table["gain"] == 0)) < 0.03


def test_nothing_else_changes(table, vae):
    """Likelihoods and reconstructions are the Gaussian model's."""
    old = without(vae, "_marginals")
    np.testing.assert_array_equal(old.score_samples(table[:20]), vae.score_samples(table[:20]))
    pd.testing.assert_frame_equal(
        old.sample(9, random_state=0), vae.sample(9, random_state=0, match_marginals=False)
    )
    with pytest.raises(AttributeError, match="fit again"):
        _ = old.number_summary_


def test_marginals_that_cannot_be_are_refused(vae):
    for change in (
        {"quantiles": np.zeros((513, 2))},
        {"step": np.full(8, -1.0)},
        {"weight": 0.0},
        {"listed": np.zeros(8)},
    ):
        state = dict(vae.__getstate__())
        state["_marginals"] = state["_marginals"] | change
        with pytest.raises(ValueError, match="marginals"):
            VAETransformer(3).__setstate__(state)
