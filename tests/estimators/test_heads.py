"""Heads of AutoencoderClassifier and AutoencoderRegressor: which one is kept, and what it is."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.linear_model import Ridge
from sklearn.svm import SVC

from skae import AutoencoderClassifier, AutoencoderRegressor, AutoencoderTransformer
from skae._tasks.head import KERNEL_C, kernel, kernel_head, ridge_head

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def xor(n_rows, seed):
    """Return rows of three columns, and whether the signs of the first two are the same."""
    X = np.random.default_rng(seed).normal(size=(n_rows, 3)) * [3.0, 3.0, 1.0]
    return X, np.where(X[:, 0] * X[:, 1] > 0, "same", "other")


def third_column(n_rows, seed):
    """Return rows of three columns, and the sign of the third, which two components leave out."""
    X = np.random.default_rng(seed).normal(size=(n_rows, 3)) * [1.2, 1.1, 1.0]
    return X, np.sign(X[:, 2]).astype(int)


@pytest.fixture(scope="module")
def linear_code():
    """Return an autoencoder that is PCA."""
    return AutoencoderTransformer(2, hidden_layer_sizes=())


def classifier(autoencoder, **changes):
    return AutoencoderClassifier(autoencoder, fine_tune="head", random_state=0, **changes)


def test_a_kernel_where_no_line_parts_the_classes(linear_code):
    X, y = xor(200, 0)
    X_test, y_test = xor(500, 1)
    model = classifier(linear_code).fit(X, y)
    assert model.head_ == "kernel"
    assert model.dual_coef_.shape == (2, 200)
    assert not hasattr(model, "coef_")
    assert model.score(X_test, y_test) > 0.9
    assert classifier(linear_code, head="linear").fit(X, y).score(X_test, y_test) < 0.7


def test_the_columns_where_the_code_leaves_out_what_matters(linear_code):
    X, y = third_column(200, 0)
    X_test, y_test = third_column(500, 1)
    model = classifier(linear_code).fit(X, y)
    assert model.uses_columns_
    assert model.score(X_test, y_test) > 0.9
    code_alone = classifier(linear_code, head="linear").fit(X, y)
    assert not code_alone.uses_columns_
    assert code_alone.coef_.shape == (2, 2)
    assert code_alone.score(X_test, y_test) < 0.7


def test_coef_of_columns_are_those_of_the_formula(linear_code):
    """On the code in the units of transform, then on standardised columns."""
    X, _ = third_column(200, 0)
    y = X @ [1.0, 0.5, 2.0] + np.random.default_rng(1).normal(size=200)
    model = AutoencoderRegressor(linear_code, fine_tune="head", random_state=0).fit(X, y)
    assert model.head_ == "linear"
    assert model.uses_columns_
    code = model.autoencoder_.transform(X)
    seen = np.hstack([code, (X - X.mean(axis=0)) / X.std(axis=0)])
    expected = seen @ model.coef_[0] + model.intercept_
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-8, atol=1e-8)


def test_the_kernel_head_is_ridge_on_any_factor_of_the_kernel():
    rng = np.random.default_rng(0)
    seen, new, targets = (rng.normal(size=shape) for shape in ((40, 3), (10, 3), (40, 2)))
    weight = rng.uniform(0.5, 2, 40)
    coef, intercept = kernel_head(seen, targets, weight, ridge_head)
    factor = np.linalg.cholesky(kernel(seen, seen))
    of_new = np.linalg.solve(factor, kernel(new, seen).T).T
    ridge = Ridge(alpha=1 / KERNEL_C).fit(factor, targets, weight)
    outputs = kernel(new, seen) @ coef.T + intercept
    np.testing.assert_allclose(outputs, ridge.predict(of_new), rtol=1e-5, atol=1e-7)


def test_many_labels_leave_the_linear_head(linear_code):
    X, y = xor(501, 0)
    assert classifier(linear_code).fit(X, y).head_ == "linear"
    assert classifier(linear_code).fit(X[:20], y[:20]).head_ == "linear"  # too few to judge


def test_a_head_of_another_kind_leaves_nothing_behind(linear_code):
    model = classifier(linear_code).fit(*xor(200, 0))
    assert model.head_ == "kernel"
    model.fit(*third_column(200, 0))
    assert model.head_ == "linear"
    assert not hasattr(model, "dual_coef_")


@pytest.mark.parametrize("rows", [xor, third_column], ids=["kernel", "columns"])
def test_pickles_are_equal_to_the_bit(linear_code, rows):
    model = classifier(linear_code).fit(*rows(200, 0))
    X = rows(50, 1)[0]
    same = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(same.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("rows", [xor, third_column], ids=["kernel", "columns"])
def test_sparse_rows_and_chunks_are_the_same_rows(monkeypatch, linear_code, rows):
    X, y = rows(200, 0)
    model = classifier(linear_code).fit(X, y)
    whole = model.predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(sparse.csr_matrix(X)), whole, atol=1e-12)
    monkeypatch.setattr("skae._model.head.CHUNK_CELLS", 300)
    np.testing.assert_allclose(model.predict_proba(X), whole, atol=1e-12)
    np.testing.assert_allclose(model.predict_proba(X.astype(np.float32)), whole, atol=1e-3)


def test_tables_with_missing_cells_are_seen_filled():
    X, y = third_column(200, 0)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    frame["kind"] = np.where(X[:, 0] > 0, "up", "down")
    frame = frame.mask(np.random.default_rng(0).random(frame.shape) < 0.1)
    model = classifier(AutoencoderTransformer(1, hidden_layer_sizes=())).fit(frame, y)
    assert model.uses_columns_
    assert np.isfinite(model.predict_proba(frame)).all()
    assert model.score(frame, y) > 0.8


@pytest.mark.parametrize("seed", range(3))
def test_few_labels_are_no_worse_than_without_an_autoencoder(digits, seed):
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    y, y_test = train_test_split(load_digits().target, random_state=0)
    X, X_test = digits
    some = np.random.default_rng(seed).permutation(len(X))[:50]
    known = np.full(len(X), -1)
    known[some] = y[some]
    autoencoder = AutoencoderTransformer(8, max_iter=20, random_state=0)
    model = classifier(autoencoder, unlabeled=-1).fit(X, known)
    assert model.score(X_test, y_test) > SVC().fit(X[some], y[some]).score(X_test, y_test)


def test_what_is_beyond_float64_is_no_class():
    """Outputs were infinite, probabilities NaN, and the class the first."""
    rows = load_iris(as_frame=True).frame[::5].assign(kind=["a", "b"] * 15)
    y = rows.pop("target")
    pca = AutoencoderTransformer(2, hidden_layer_sizes=(), column_weights={})
    model = classifier(pca, max_iter=5).fit(rows, y)
    with pytest.raises(ValueError, match="beyond the range of float64"):
        model.predict_proba(rows[:2].assign(**{"sepal width (cm)": -1.7e308}))
