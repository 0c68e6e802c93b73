"""Laws of what goes with a code: drawn cells go together as those of the rows, whatever the code leaves."""

import numpy as np
import pandas as pd
import pytest

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
