"""Principal covariates regression is that of the paper, whose formulas are written out here.

skmatter's PCovR gives the same, too. It wants an older scikit-learn than the one tested with, so it is no part
of the extra `test`: its test runs where it is installed (``pip install --no-deps skmatter``).
"""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from skae import SupervisedAutoencoder


def of_table(name):
    load = {"diabetes": load_diabetes, "digits": load_digits, "wine": load_wine}[name]
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def centred(y):
    """Return indicators of classes, or numbers, less their means; their variances sum to 1."""
    Y = y[:, None] if y.dtype.kind == "f" else (y[:, None] == np.unique(y)).astype(float)
    Y = Y - Y.mean(axis=0)
    return Y / np.sqrt(np.sum(Y.var(axis=0)))


def ridge(X, Y):
    """Return the prediction whose error of generalised cross-validation is least, row by row."""
    squares, vectors = np.linalg.eigh(X @ X.T)
    best, least = None, np.inf
    for strength in np.geomspace(1e-6, 1e2, 33) * squares[-1]:
        kept = squares.clip(0) / (squares.clip(0) + strength)
        made = vectors * kept @ (vectors.T @ Y)
        error = np.sum((Y - made) ** 2) / (1 - (1 + kept.sum()) / len(X)) ** 2
        if error < least:
            best, least = made, error
    return best


def in_sample_space(X, Y, mixing, k):
    """Return codes: eigenvectors of the mixture of both Gram matrices, by their lengths."""
    predicted, total = ridge(X, Y), np.sum(X.var(axis=0))
    gram = mixing * X @ X.T / total + (1 - mixing) * predicted @ predicted.T
    squares, vectors = np.linalg.eigh(gram)
    return (vectors * np.sqrt(np.maximum(squares, 0)))[:, ::-1][:, :k]


@pytest.mark.parametrize("mixing", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(("table", "n_rows"), [("diabetes", 442), ("wine", 178), ("digits", 40)])
def test_it_is_the_papers(table, n_rows, mixing):
    X, y = (part[:n_rows] for part in of_table(table))
    X = X - X.mean(axis=0)
    model = SupervisedAutoencoder(3, mixing=mixing, hidden_layer_sizes=()).fit(X, y)
    expected = in_sample_space(X, centred(y), mixing, 3)
    total = np.sum(X.var(axis=0))
    code = model.transform(X) * np.sqrt(mixing / total)  # the package has PCA's units
    expected *= np.sign(np.sum(expected * code, axis=0))
    np.testing.assert_allclose(code, expected, atol=1e-6 * np.abs(code).max())
    back = np.linalg.lstsq(expected, X, rcond=None)[0]
    np.testing.assert_allclose(model.reconstruct(X), expected @ back, atol=1e-6)
    if table == "diabetes":
        mean, spread = y.mean(), y.std()
        head = np.linalg.lstsq(expected, ridge(X, centred(y)), rcond=None)[0]
        np.testing.assert_allclose(model.predict(X), (expected @ head)[:, 0] * spread + mean)


@pytest.mark.parametrize("mixing", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("table", ["diabetes", "wine"])
def test_it_is_skmatters(table, mixing):
    """With the same regression and the same units: both blocks have a variance of 1."""
    reason = "skmatter wants an older scikit-learn"
    skmatter = pytest.importorskip("skmatter.decomposition", reason=reason, exc_type=ImportError)
    X, y = of_table(table)
    total = np.sqrt(np.sum(X.var(axis=0)))
    its = skmatter.PCovR(mixing, n_components=3, regressor="precomputed", space="feature")
    code = its.fit(X / total, ridge(X, centred(y))).transform(X / total)
    model = SupervisedAutoencoder(3, mixing=mixing, hidden_layer_sizes=()).fit(X, y)
    ours = model.transform(X) * np.sqrt(mixing) / total
    code *= np.sign(np.sum(code * ours, axis=0))
    np.testing.assert_allclose(ours, code, atol=1e-6 * np.abs(code).max())


@pytest.mark.parametrize("table", ["diabetes", "wine"])
def test_it_runs_from_pca_to_the_regression(table):
    X, y = of_table(table)
    pca = PCA(2).fit(X)
    near = SupervisedAutoencoder(2, mixing=1 - 1e-9, hidden_layer_sizes=()).fit(X, y)
    np.testing.assert_allclose(near.transform(X), pca.transform(X), atol=1e-5)
    np.testing.assert_allclose(near.components_, pca.components_, atol=1e-5)
    far = SupervisedAutoencoder(2, mixing=1e-6, hidden_layer_sizes=()).fit(X, y).transform(X)
    rest = ridge(X - X.mean(axis=0), centred(y))
    back = np.linalg.lstsq(far - far.mean(axis=0), rest, rcond=None)[0]
    assert np.sum((rest - (far - far.mean(axis=0)) @ back) ** 2) < 1e-4 * np.sum(rest**2)


def test_more_columns_than_rows_do_not_explain_a_random_label():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 400)) @ np.diag(np.linspace(3, 0.2, 400))
    y = rng.normal(size=150)
    assert Ridge(1e-6).fit(X, y).score(X, y) > 0.999
    model = SupervisedAutoencoder(4, hidden_layer_sizes=()).fit(X, y)
    np.testing.assert_allclose(np.abs(model.components_), np.abs(PCA(4).fit(X).components_))
    np.testing.assert_allclose(model.predict(X), y.mean())


def test_rows_without_a_label_count_for_the_axes_alone():
    X, y = of_table("diabetes")
    known = np.where(np.arange(len(y)) < 200, y, np.nan)
    linear = {"mixing": 0.5, "hidden_layer_sizes": ()}
    model = SupervisedAutoencoder(3, unlabeled=np.nan, **linear).fit(X, known)
    few = SupervisedAutoencoder(3, **linear).fit(X[:200], y[:200])
    np.testing.assert_allclose(model.mean_, X.mean(axis=0), atol=1e-12)
    assert model.score(X) > few.score(X)
    for each in (model, few):
        left = y[200:] - each.predict(X[200:])
        assert np.mean(left**2) < 0.65 * y[200:].var()


def test_weights_are_repetitions():
    X, y = of_table("wine")
    X, y, weight = X[::3], y[::3], np.arange(len(X[::3])) % 3
    linear = {"mixing": 0.4, "hidden_layer_sizes": ()}
    weighted = SupervisedAutoencoder(2, **linear).fit(X, y, sample_weight=weight)
    repeated = SupervisedAutoencoder(2, **linear).fit(X.repeat(weight, 0), y.repeat(weight))
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X), atol=1e-9)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-6)


def test_singular_values_that_are_rounding_explain_nothing():
    """The variance of integers near 2^60 is below the rounding of their means: 0 of 0 was NaN."""
    X = np.random.default_rng(0).integers(0, 1000, (60, 4)) + 2**60
    model = SupervisedAutoencoder(2, random_state=0).fit(X, np.arange(60) % 2)
    np.testing.assert_array_equal(model.transform(X), 0.0)
