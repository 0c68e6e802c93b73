"""Laws of `sample(given=...)`: the rest of a row follows the model's conditional distribution."""

import numpy as np
import pandas as pd
import pytest

from skae import ConditionalVAE, VAETransformer

pytestmark = pytest.mark.filterwarnings("ignore:max_iter")


def factors(n, p, k, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, k)) @ rng.normal(size=(k, p)) + 0.4 * rng.normal(size=(n, p)) + 3


def conditional(covariance, mean, known, values):
    """Return mean and covariance of the other columns of a normal row, given some."""
    rest = np.setdiff1d(np.arange(len(mean)), known)
    gain = np.linalg.solve(covariance[np.ix_(known, known)], covariance[np.ix_(known, rest)])
    expected = mean[rest] + (values - mean[known]) @ gain
    return rest, expected, covariance[np.ix_(rest, rest)] - covariance[np.ix_(rest, known)] @ gain


@pytest.mark.parametrize("known", [[0], [2, 4], [0, 1, 3, 5]])
def test_a_linear_gaussian_model_draws_from_its_conditional(known):
    X = factors(1000, 6, 3)
    model = VAETransformer(3, hidden_layer_sizes=()).fit(X)
    values = X[17, known]
    n = 20_000
    drawn = model.sample(n, 0, match_marginals=False, given=dict(zip(known, values, strict=True)))
    np.testing.assert_allclose(drawn[:, known], np.tile(values, (n, 1)))
    rest, mean, covariance = conditional(model.get_covariance(), model.mean_, known, values)
    error = np.sqrt(np.diag(covariance) / n)
    assert (np.abs(drawn[:, rest].mean(axis=0) - mean) < 5 * error + 1e-9).all()
    unit = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(np.cov(drawn[:, rest].T) / unit, covariance / unit, atol=0.04)


def test_matched_numbers_of_a_gaussian_table_do_so_too():
    """The columns are normal: the map to their quantiles is nearly the identity."""
    X = factors(20_000, 5, 2, seed=1)
    model = VAETransformer(2, hidden_layer_sizes=()).fit(X)
    drawn = model.sample(20_000, 0, given={1: X[5, 1], 3: X[5, 3]})
    rest, mean, covariance = conditional(np.cov(X.T), X.mean(axis=0), [1, 3], X[5, [1, 3]])
    spread = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(drawn[:, rest].mean(axis=0), mean, atol=0.1 * spread.max())
    np.testing.assert_allclose(drawn[:, rest].std(axis=0), spread, rtol=0.1)


@pytest.fixture(scope="module")
def modes():
    """Two groups of rows that share their first column: 3 of 10 are high, 7 low."""
    rng = np.random.default_rng(0)
    n = 3000
    high = rng.random(n) < 0.3
    at = np.where(high, 2.0, -2.0)
    X = pd.DataFrame(
        {
            "same": np.round(rng.normal(size=n), 2),
            "a": at + 0.3 * rng.normal(size=n),
            "b": -at + 0.3 * rng.normal(size=n),
            "group": pd.Categorical(np.where(high, "high", "low")),
            "zeros": np.where(
                rng.random(n) < np.where(high, 0.8, 0.2), 0.0, rng.exponential(size=n)
            ),
        }
    )
    return X, VAETransformer(2, max_iter=60, random_state=0).fit(X)


def test_both_modes_appear_in_proportion(modes):
    """A cell that says nothing of the mode leaves the model's own shares."""
    model = modes[1]
    free = model.sample(4000, 1)
    drawn = model.sample(2000, 0, given={"same": 0.25})
    assert (drawn["same"] == 0.25).all()
    assert abs(np.mean(drawn["a"] > 0) - np.mean(free["a"] > 0)) < 0.05
    near = np.abs(free["same"] - 0.25) < 0.5
    assert abs(np.mean(drawn["a"] > 0) - np.mean(free["a"][near] > 0)) < 0.06
    assert abs(np.mean(drawn["a"] > 0) - 0.3) < 0.1


def test_levels_heaps_and_numbers_lead_the_rest(modes):
    """Rows drawn freely, of which those are kept that have the cell, follow the same distribution."""
    X, model = modes
    free = model.sample(20_000, 1)
    for given, kept in (
        ({"group": "high"}, free["group"] == "high"),
        ({"zeros": 0.0}, free["zeros"] == 0),
        ({"zeros": 0.0, "group": "low"}, (free["zeros"] == 0) & (free["group"] == "low")),
        ({"a": float(X["a"].iloc[0])}, np.abs(free["a"] - X["a"].iloc[0]) < 0.1),
    ):
        drawn = model.sample(2000, 0, given=given)
        for name, value in given.items():
            assert (drawn[name] == value).all()
        error = np.sqrt(1 / 2000 + 1 / kept.sum())
        for name in ("same", "a", "b"):
            if name not in given:
                gap = drawn[name].mean() - free[name][kept].mean()
                assert abs(gap) < 5 * error * free[name].std(), (given, name)
        gap = np.mean(drawn["group"] == "high") - np.mean(free["group"][kept] == "high")
        assert abs(gap) < 3 * error + 0.01, given
    pd.testing.assert_series_equal(drawn.dtypes, X.dtypes)


def test_what_is_given_changes_nothing_else(modes):
    model = modes[1]
    first = model.sample(5, 3, given={"group": "low"})
    state = np.random.get_state()[1].copy()
    pd.testing.assert_frame_equal(first, model.sample(5, 3, given={"group": "low"}))
    np.testing.assert_array_equal(state, np.random.get_state()[1])
    pd.testing.assert_frame_equal(model.sample(5, 3, given={}), model.sample(5, 3))
    assert (first["same"].round(2) == first["same"]).all()


def test_cells_that_no_row_has_are_named(modes):
    model = modes[1]
    for given, words in (
        ({"price": 1.0}, "given names .'price'.*its columns are"),
        (
            {"group": "middle"},
            "group='middle', a level that fit did not see: it saw .'high', 'low'",
        ),
        ({"a": 1e6}, "a=1000000, outside the training range"),
        ({"same": 0.123}, "same=0.123, but the training values are 0.01 apart: take 0.12"),
        ({"same": None}, "no value for .'same'"),
        ({"same": [0.12]}, "a list or an array for .'same'"),
        ({"a": "much"}, "'a': number"),
    ):
        with pytest.raises(ValueError, match=words):
            model.sample(3, given=given)
    bernoulli = VAETransformer(1, likelihood="bernoulli", max_iter=2, random_state=0)
    bernoulli.fit(np.random.default_rng(0).random((60, 3)).round())
    with pytest.raises(ValueError, match="likelihood='gaussian'"):
        bernoulli.sample(given={0: 1.0})


@pytest.mark.parametrize("cell", ["0.4", b"0.4", 1j, np.datetime64("2020-01-01")])
def test_what_is_no_number_is_refused_in_a_table_of_numbers(cell):
    model = VAETransformer(1, hidden_layer_sizes=()).fit(factors(40, 3, 1))
    with pytest.raises(ValueError, match="for 1, a column of numbers: pass a number"):
        model.sample(2, given={1: cell})
    with pytest.raises(TypeError, match="expected a dict"):
        model.sample(2, given=pd.Series({1: 0.4}))


def test_numbers_far_from_zero_can_be_given():
    """Noise of less than the distance between float64 numbers there, beside which it would be 0."""
    t = np.arange(200)
    table = pd.DataFrame({"id": 2**53 + 2 * t, "high": t > 100, "x": np.sin(t / 9)})
    model = VAETransformer(2, hidden_layer_sizes=()).fit(table)
    for low in (5, 150):
        drawn = model.sample(200, 0, given={"id": 2**53 + 2 * low})
        assert (drawn["high"] == (low > 100)).mean() > 0.7


def test_levels_of_any_type_can_be_given():
    """Dates, periods, intervals and numbers that are categories."""
    months = pd.Series(pd.date_range("2024-01-01", periods=3, freq="MS"))
    X = pd.DataFrame(
        {
            "month": pd.Categorical(months.repeat(30)),
            "week": pd.Categorical(months.dt.to_period("W").repeat(30)),
            "age": pd.cut(pd.Series(np.arange(90) % 60), [-1, 18, 65]).array,
            "size": pd.Categorical(np.arange(90) % 4),
            "flag": np.arange(90) % 2 == 0,
            "x": np.random.default_rng(0).normal(size=90),
        }
    )
    model = VAETransformer(1, hidden_layer_sizes=()).fit(X)
    for name in X.columns[:-1]:
        level = X[name][40]
        drawn = model.sample(5, 0, given={name: level})
        assert (drawn[name] == level).all()
        pd.testing.assert_series_equal(drawn.dtypes, X.dtypes)
    for other in (4, 2.5):
        with pytest.raises(ValueError, match="size=.*a level that fit did not see"):
            model.sample(5, 0, given={"size": other})


def test_a_cell_of_the_rows_can_be_given_where_the_fit_was_to_float32():
    X = factors(200, 3, 1)
    model = VAETransformer(1, hidden_layer_sizes=()).fit(X.astype(np.float32))
    for cell in (X[:, 0].min(), X[:, 0].max()):
        drawn = model.sample(5, 0, given={0: cell})
        np.testing.assert_allclose(drawn[:, 0], cell, rtol=1e-6)


def test_polars_dates_and_missing_cells(modes):
    polars = pytest.importorskip("polars")
    X = modes[0].head(400).assign(day=pd.Timestamp("2024-01-01"))
    X["day"] += pd.to_timedelta(np.arange(400) % 50, "D")
    X.loc[::4, "a"] = np.nan
    X = polars.from_pandas(X)
    model = VAETransformer(2, max_iter=5, random_state=0).fit(X)
    day = X["day"][7]
    drawn = model.sample(10, 0, given={"day": day, "group": "low"})
    assert drawn["day"].to_list() == [day] * 10
    assert drawn.schema == X.schema


@pytest.mark.parametrize("known", [[0], [2, 4]])
def test_given_a_label_too_it_is_the_conditional_of_that_label(known):
    """Rows of a label are normal, with a mean of their own: the rest follows from cells and label."""
    X, y = factors(1500, 6, 2), np.arange(1500) % 3
    X = X + np.array([[0.0] * 6, [3.0] * 6, [-2.0, 2.0] * 3])[y]
    model = ConditionalVAE(2, hidden_layer_sizes=()).fit(X, y)
    values, labels, n = X[17, known], np.repeat([0, 2], 10_000), 20_000
    given = dict(zip(known, values, strict=True))
    drawn = model.sample(n, labels, 0, match_marginals=False, given=given)
    for label in (0, 2):
        middle = model.inverse_transform(np.zeros((1, 2)), [label])[0]
        rows = drawn[labels == label]
        rest, mean, covariance = conditional(model.get_covariance(), middle, known, values)
        error = np.sqrt(np.diag(covariance) / len(rows))
        assert (np.abs(rows[:, rest].mean(axis=0) - mean) < 5 * error).all()
        unit = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
        np.testing.assert_allclose(np.cov(rows[:, rest].T) / unit, covariance / unit, atol=0.05)
    np.testing.assert_array_equal(drawn[:, known], np.tile(values, (n, 1)))


def test_labels_that_are_not_given_follow_from_the_cells():
    """Of two labels, one has large cells; a row with such a cell has the other cells of that label."""
    rng = np.random.default_rng(0)
    y = rng.random(2000) < 0.3
    X = pd.DataFrame(
        {
            "size": np.where(y, 4.0, 0.0) + rng.normal(size=2000),
            "weight": np.where(y, 50.0, 10.0) + rng.normal(size=2000),
            "kind": np.where(y ^ (rng.random(2000) < 0.05), "a", "b"),
        }
    )
    model = ConditionalVAE(1, hidden_layer_sizes=()).fit(X, y)
    for size, share in ((X["size"].quantile(0.95), 1.0), (X["size"].quantile(0.2), 0.0)):
        drawn = model.sample(500, random_state=0, given={"size": size})
        assert abs(np.mean(drawn["weight"] > 30) - share) < 0.05
        assert abs(np.mean(drawn["kind"] == "a") - share) < 0.15
    drawn = model.sample(500, random_state=0, given={"kind": "a"})
    near = np.mean(y[X["kind"] == "a"])
    assert abs(np.mean(drawn["weight"] > 30) - near) < 0.08
    again = model.sample(500, random_state=0, given={"kind": "a"})
    pd.testing.assert_frame_equal(drawn, again)
    with pytest.raises(ValueError, match="given names \\['colour'\\]"):
        model.sample(3, given={"colour": "red"})
