"""Laws of what goes with a code: drawn cells go together as those of the rows, whatever the code leaves."""

import pickle

import numpy as np
import pandas as pd
import pytest
from family import labelled_digits

from skae import ConditionalVAE, VAETransformer


def normal_rows(n=4000, seed=0):
    """Rows of three factors, and noise that two columns share."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 6)) + 0.3 * rng.normal(size=(n, 6))
    X[:, 5] = X[:, 4] + 0.1 * rng.normal(size=n)
    return X + 2


@pytest.mark.parametrize("noise", ["isotropic", "columns"])
def test_the_covariance_is_that_of_the_rows_however_short_the_code(noise):
    X = normal_rows()
    model = VAETransformer(1, noise=noise, hidden_layer_sizes=()).fit(X)
    drawn = model.sample(8000, 0)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.corrcoef(X.T), atol=0.05)
    np.testing.assert_allclose(drawn.std(axis=0), X.std(axis=0), rtol=0.03)
    free = model.sample(8000, 0, match_marginals=False)  # the model alone
    expected = model.get_covariance()
    unit = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(np.cov(free.T) / unit, expected / unit, atol=0.05)


@pytest.mark.parametrize("rows", [normal_rows(1500), None], ids=["one normal", "mixture"])
def test_what_goes_together_does_so_in_any_units(rows):
    """One noise for all columns is that of the largest; next to it the others hardly vary."""
    if rows is None:
        rows = normal_rows(1500) + 8 * np.arange(1500)[:, None] % 16  # two groups
    units = np.array([1e6, 1.0, 1e-3, 1e-9, 1e3, 1e12])
    model = VAETransformer(hidden_layer_sizes=()).fit(rows * units)
    drawn = model.sample(6000, 0)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.corrcoef(rows.T), atol=0.08)
    np.testing.assert_allclose(drawn.std(axis=0) / units, rows.std(axis=0), rtol=0.05)
    pickle.loads(pickle.dumps(model)).sample(2, 0)  # whose parts are checked


@pytest.mark.parametrize("known", [[0], [5, 1]])
def test_given_cells_the_rest_is_the_conditional_of_the_rows(known):
    X = normal_rows()
    model = VAETransformer(1, hidden_layer_sizes=()).fit(X)
    values = X[3, known]
    drawn = model.sample(8000, 0, given=dict(zip(known, values, strict=True)))
    rest = np.setdiff1d(np.arange(6), known)
    covariance = np.cov(X.T)
    gain = np.linalg.solve(covariance[np.ix_(known, known)], covariance[np.ix_(known, rest)])
    expected = X.mean(axis=0)[rest] + (values - X.mean(axis=0)[known]) @ gain
    left = covariance[np.ix_(rest, rest)] - covariance[np.ix_(rest, known)] @ gain
    spread = X.std(axis=0)[rest]
    np.testing.assert_allclose(drawn[:, rest].mean(axis=0) / spread, expected / spread, atol=0.1)
    np.testing.assert_allclose(
        np.cov(drawn[:, rest].T) / np.outer(spread, spread),
        left / np.outer(spread, spread),
        atol=0.06,
    )


@pytest.fixture(scope="module")
def loans():
    """A rate that follows from one of seven grades, and columns that say little of both."""
    rng = np.random.default_rng(0)
    n = 2000
    grade = rng.integers(0, 7, n)
    X = pd.DataFrame(
        {
            "grade": pd.Categorical.from_codes(grade, list("ABCDEFG")),
            "rate": np.round(6 + 2.5 * grade + rng.normal(size=n) / 2, 2),
            "income": np.exp(10 - 0.1 * grade + rng.normal(size=n) / 2),
            "term": np.where(rng.random(n) < 0.1 + 0.1 * grade, "long", "short"),
            "age": np.round(40 + 10 * rng.normal(size=n)),
        }
    )
    X.loc[::7, "age"] = np.nan
    return X


def follow(table):
    """Return the rank correlation of grade and rate."""
    return table["grade"].cat.codes.corr(table["rate"], method="spearman")


def test_a_level_and_the_number_that_follows_from_it_go_together(loans):
    model = VAETransformer(1, hidden_layer_sizes=()).fit(loans)
    real = follow(loans)
    drawn = model.sample(4000, 0)
    assert follow(drawn) > real - 0.05
    assert follow(drawn) > follow(model.sample(4000, 0, match_marginals=False)) + 0.03
    high = model.sample(500, 0, given={"grade": "F"})
    assert abs(high["rate"].mean() - loans["rate"][loans["grade"] == "F"].mean()) < 1
    rate = float(loans["rate"][loans["grade"] == "B"].iloc[0])
    shares = model.sample(500, 0, given={"rate": rate})["grade"].value_counts(normalize=True)
    assert shares[["A", "B", "C"]].sum() > 0.9


def test_batches_say_together_what_goes_together():
    X = normal_rows()
    model = VAETransformer(1, hidden_layer_sizes=(), random_state=0)
    for batch in np.array_split(X[np.argsort(X[:, 4])], 4):
        model.partial_fit(batch)
    drawn = model.sample(8000, 0)
    np.testing.assert_allclose(np.corrcoef(drawn.T)[4, 5], np.corrcoef(X.T)[4, 5], atol=0.05)


def test_rows_of_labels_go_together_too():
    X = normal_rows(3000)
    y = np.arange(len(X)) % 2
    X = X + 3.0 * y[:, None]
    model = ConditionalVAE(1, hidden_layer_sizes=()).fit(X, y)
    drawn = model.sample(8000, 1, 0)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.corrcoef(X[y == 1].T), atol=0.1)
    given = model.sample(4000, 1, 0, given={4: X[1, 4]})
    assert abs(given[:, 5].mean() - X[1, 4]) < 0.3


@pytest.fixture(scope="module")
def groups():
    """Rows of two groups, of which 3 of 10 are high: what leads from one to the other is no line."""
    rng = np.random.default_rng(0)
    n = 2000
    high = rng.random(n) < 0.3
    middle, zero = np.where(high, 2.0, -2.0), rng.random(n) < np.where(high, 0.8, 0.2)
    return pd.DataFrame(
        {
            "a": middle + 0.3 * rng.normal(size=n),
            "b": -middle + 0.3 * rng.normal(size=n),
            "group": np.where(high, "high", "low"),
            "gain": np.where(zero, 0.0, rng.exponential(size=n)),
        }
    )


def test_residuals_that_are_rounding_leave_the_others_alone():
    """Those of constant columns are 1e-31 of the others: an inverse of the covariance has no digit right."""
    X, _ = labelled_digits(260)
    model = VAETransformer(2, noise="columns", hidden_layer_sizes=(), random_state=0).fit(X[200:])
    own = model._model.joint.own[0]
    assert (own[X[200:].std(axis=0) > 0] > 0).all()
    assert np.isfinite(model.sample(5, random_state=0)).all()


def test_few_rows_lie_between_two_groups(groups):
    """Columns are matched one by one: where shares of groups are off by 1 %, as many rows have a cell of each."""
    model = VAETransformer(1, hidden_layer_sizes=(), random_state=0).fit(groups)
    drawn, high = model.sample(8000, 0), groups["group"] == "high"
    assert np.mean((drawn["a"] > 0) == (drawn["b"] > 0)) < 0.02
    assert np.mean((drawn["a"] > 0) != (drawn["group"] == "high")) < 0.02
    assert abs(np.mean(drawn["group"] == "high") - high.mean()) < 0.03
    for of_real, of_drawn in ((high, drawn["a"] > 0), (~high, drawn["a"] < 0)):
        zeros = np.mean(drawn["gain"][of_drawn] == 0)
        assert abs(zeros - np.mean(groups["gain"][of_real] == 0)) < 0.05
    given = model.sample(4000, 0, given={"gain": 0.0})
    expected = high[groups["gain"] == 0].mean()
    assert abs(np.mean(given["group"] == "high") - expected) < 0.05
    assert np.mean((given["a"] > 0) == (given["b"] > 0)) < 0.02
    pd.testing.assert_frame_equal(given, model.sample(4000, 0, given={"gain": 0.0}))


def test_groups_of_heavier_rows_are_drawn_more_often(groups):
    weight = np.where(groups["group"] == "high", 5.0, 1.0)
    model = VAETransformer(1, hidden_layer_sizes=(), random_state=0)
    drawn = model.fit(groups, sample_weight=weight).sample(8000, 0)
    expected = np.average(groups["group"] == "high", weights=weight)
    assert abs(np.mean(drawn["group"] == "high") - expected) < 0.03
    # matched one by one, as many rows have cells of both groups as their shares are off
    assert np.mean((drawn["a"] > 0) == (drawn["b"] > 0)) < 0.03


def test_a_mixture_of_a_file_is_that_of_the_fit_or_is_refused(groups):
    model = VAETransformer(1, hidden_layer_sizes=(), random_state=0).fit(groups)
    state = dict(model.__getstate__())
    same = VAETransformer(1)
    same.__setstate__(dict(state))
    pd.testing.assert_frame_equal(same.sample(9, 0), model.sample(9, 0))
    known = state["_joint_mixture"]
    for other in (
        3,
        {"shares": known["shares"]},
        known | {"shares": known["shares"] * 2},
        known | {"shares": known["shares"][1:]},
        known | {"means": known["means"][:, 1:]},
        known | {"covariances": -known["covariances"]},
    ):
        with pytest.raises(ValueError, match="_joint_mixture"):
            VAETransformer(1).__setstate__(state | {"_joint_mixture": other})
    old = VAETransformer(1)  # as from an earlier release: one normal distribution
    lacks = "_joint_mixture", "_judge"
    old.__setstate__({name: part for name, part in state.items() if name not in lacks})
    assert np.mean((old.sample(8000, 0)["a"] > 0) == (old.sample(8000, 0)["b"] > 0)) > 0.05


def test_of_normal_rows_there_is_no_mixture():
    model = VAETransformer(2, hidden_layer_sizes=()).fit(normal_rows())
    assert "_joint_mixture" not in model.__getstate__()


def test_files_say_it_or_do_not_or_are_refused(loans):
    model = VAETransformer(2, hidden_layer_sizes=()).fit(loans)
    state = dict(model.__getstate__())
    same = VAETransformer(2)
    same.__setstate__(dict(state))
    pd.testing.assert_frame_equal(same.sample(9, 0), model.sample(9, 0))
    known = state["_joint_covariance"]
    assert known.shape == (7, 7)
    for other in (-known, known[1:, 1:], known + np.triu(known, 1), known * np.nan):
        with pytest.raises(ValueError, match="_joint_covariance"):
            VAETransformer(2).__setstate__(state | {"_joint_covariance": other})
