"""Rows far fewer than columns: trained in coordinates of their space, given back as columns'."""

import numpy as np
import pytest
from family import CODING, decoded, fitted, name_of
from inside import standardised, widths
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn

from skae import AutoencoderTransformer, VAETransformer
from skae._linear.row_space import row_space
from skae.metrics import reconstruction_score


def curved(n_rows=160, n_columns=400, seed=0):
    """Return noisy rows on a curved surface of two dimensions, in columns of other means and units."""
    rng = np.random.default_rng(seed)
    hidden = np.tanh(rng.uniform(-1.5, 1.5, size=(n_rows, 2)) @ rng.normal(size=(2, 20)) * 2)
    X = hidden @ rng.normal(size=(20, n_columns)) + 0.2 * rng.normal(size=(n_rows, n_columns))
    return X * rng.uniform(0.5, 2, n_columns) + rng.normal(size=n_columns)


@pytest.fixture(scope="module")
def rows():
    X = curved()
    return X[:110], X[110:]


@pytest.fixture(scope="module")
def model(rows):
    return AutoencoderTransformer(2, random_state=0).fit(rows[0])


def test_coordinates_keep_lengths_and_products():
    X = curved(50, 200)
    rows = standardised(X).rows
    span = row_space(rows)
    inside = span.inside(rows).X
    centred = X - X.mean(axis=0)
    np.testing.assert_allclose(inside @ inside.T, centred @ centred.T, atol=1e-9)
    np.testing.assert_allclose(span.mean + inside @ span.axes.T, X, atol=1e-10)
    assert span.axes.shape == (200, np.ceil(1.5 * 49))


def test_rows_of_their_own_space_are_trained_in_it():
    X = curved(60, 400)
    assert widths(X) == {np.ceil(1.5 * 59)}
    assert widths(X[:, :150]) == {150}  # not narrower enough to pay
    assert widths(X, encoder=nn.Linear) == {400}
    assert widths(X, tied_weights=True) == {400}
    assert widths(sparse.csr_matrix(X)) == {400}


def test_beats_pca_by_as_much_as_in_columns(rows, model):
    X, X_test = rows
    in_columns = AutoencoderTransformer(2, random_state=0).fit(sparse.csr_matrix(X)).score(X_test)
    linear = reconstruction_score(PCA(2).fit(X), X_test)
    assert model.best_iter_ > 0
    assert 1 - model.score(X_test) < 0.7 * (1 - linear)
    assert 1 - model.score(X_test) < 1.2 * (1 - in_columns)


def test_fitted_model_is_one_of_columns(rows, model):
    X, X_test = rows
    linear = PCA(2).fit(X)
    assert model.components_.shape == (2, 400)
    np.testing.assert_allclose(model.mean_, linear.mean_)
    np.testing.assert_allclose(model.scale_, X.std(axis=0))
    code = model.transform(X)
    correlation = [
        np.corrcoef(a, b)[0, 1] for a, b in zip(code.T, linear.transform(X).T, strict=True)
    ]
    assert min(correlation) > 0.5  # signs, too
    off = np.linalg.svd(X - X.mean(axis=0))[2][-1]  # a direction in which no training row differs
    np.testing.assert_allclose(model.transform(X_test + off), model.transform(X_test), atol=1e-8)


def test_held_out_scores_are_those_of_columns(rows):
    X, X_test = rows
    model = AutoencoderTransformer(2, random_state=0, early_stopping=True).fit(X, X_val=X_test)
    assert model.best_iter_ > 0
    found, best = model.score(X_test), model.validation_scores_[model.best_iter_ - 1]
    assert abs(found - best) < 0.02  # of weights that are rounded, and of another mean
    assert abs(reconstruction_score(PCA(2).fit(X), X_test) - model.pca_score_) < 0.02


def test_rows_without_structure_stay_pca():
    X = np.random.default_rng(1).normal(size=(60, 300))
    X[:, 5] = 3.0
    model, linear = AutoencoderTransformer(3, random_state=0).fit(X), PCA(3).fit(X)
    assert model.best_iter_ == 0
    np.testing.assert_allclose(model.transform(X), linear.transform(X), atol=1e-10)
    np.testing.assert_allclose(model.components_, linear.components_, atol=1e-12)


def test_constant_columns_come_back_exactly(rows):
    X = rows[0].copy()
    X[:, [0, 7]] = 3.0, 1e9
    model = AutoencoderTransformer(2, random_state=0).fit(X)
    assert model.best_iter_ > 0
    back = model.reconstruct(rows[1])
    assert (back[:, 0] == 3.0).all()
    assert (back[:, 7] == 1e9).all()


def test_weights_of_zero_and_repetitions_leave_rows_out(rows):
    X = rows[0]
    weight = np.ones(len(X))
    weight[:20] = 0
    some = AutoencoderTransformer(2, max_iter=5, random_state=0)
    left_out = some.fit(X, sample_weight=weight).transform(X)
    np.testing.assert_array_equal(left_out, some.fit(X[20:]).transform(X))


@pytest.mark.filterwarnings("ignore:max_iter")
@pytest.mark.parametrize(
    "params",
    [
        {"n_components": None},
        {"n_components": 0.9},
        {"n_components": 4, "ordered": True},
        {"n_components": 3, "whiten": True},
        {"n_components": 200},
        {"n_components": 3, "linear_path": None},
        {"n_components": 3, "early_stopping": False},
        {"n_components": 3, "hidden_layer_sizes": ()},
        {"n_components": 3, "hidden_layer_sizes": (), "linear_path": None},
    ],
    ids=str,
)
def test_settings(rows, params):
    X, X_test = rows
    asked = AutoencoderTransformer(**params, max_iter=15, random_state=0).fit(X)
    k = asked.n_components_
    assert k == {None: 110}.get(params["n_components"], k)
    assert asked.get_params()["n_components"] == params["n_components"]
    assert asked.transform(X_test).shape == (50, k)
    assert asked.inverse_transform(asked.transform(X_test)).shape == X_test.shape
    if "linear_path" not in params:
        assert asked.components_.shape == (k, 400)
        assert asked.score(X) >= asked.pca_score_ if asked.pca_score_ else asked.score(X) > 0.4
    if asked.ordered:
        first = asked.truncate(2)
        np.testing.assert_allclose(first.transform(X_test), asked.transform(X_test)[:, :2])
    if asked.whiten:
        np.testing.assert_allclose(asked.transform(X).std(axis=0, ddof=1), 1, rtol=1e-6)


def test_training_goes_on_in_columns(rows, model):
    X, X_test = rows
    again = AutoencoderTransformer(2, random_state=0, warm_start=True).fit(X)
    score = again.score(X_test)
    assert again.fit(X).score(X_test) > score - 0.02
    assert again.partial_fit(X).score(X_test) > score - 0.05


def test_wide_digits_images_are_no_worse_than_pca():
    X = load_digits().data
    wide = np.hstack([X, X[:, ::-1] ** 2 / 16, np.sqrt(X)])[:60]
    model = AutoencoderTransformer(4, random_state=0).fit(wide[:45])
    linear = PCA(4).fit(wide[:45])
    assert 1 - model.score(wide[45:]) < 1.02 * (1 - reconstruction_score(linear, wide[45:]))


@pytest.mark.parametrize("params", [{}, {"ordered": True}, {"beta": 2.0}], ids=str)
def test_bounds_count_all_columns(rows, params):
    X, X_test = rows
    vae = VAETransformer(3, random_state=0, **params).fit(X, X_val=X_test)
    assert vae.best_iter_ > 0
    bound, linear = vae.score_samples(X_test).mean(), PCA(3).fit(X).score(X_test)
    assert bound > linear + 100
    if not params:  # what was judged in coordinates is the bound of the rows
        assert vae.pca_score_ == pytest.approx(linear, abs=0.1)
        judged = vae.score_samples(X_test, 1).mean()
        assert vae.validation_scores_[vae.best_iter_ - 1] == pytest.approx(judged, rel=0.05)
    spread = vae.sample(2000, random_state=0).std(axis=0)
    assert np.linalg.norm(spread - X.std(axis=0)) < 0.3 * np.linalg.norm(X.std(axis=0))
    residual = np.mean((X_test - vae.reconstruct(X_test)) ** 2)
    assert vae.noise_variance_ == pytest.approx(residual, rel=0.5)
    if "ordered" in params:
        first = vae.truncate(2)
        np.testing.assert_allclose(
            first.transform(X), vae.transform(X)[:, :2] * scale_of(first, vae, X)
        )


def scale_of(first, whole, X):
    """Return the constants between the units of two codes."""
    return first.transform(X).std(axis=0) / whole.transform(X)[:, :2].std(axis=0)


def test_the_variational_baseline_is_probabilistic_pca_of_columns(rows):
    X, X_test = rows
    vae, linear = VAETransformer(3, hidden_layer_sizes=()).fit(X), PCA(3).fit(X)
    np.testing.assert_allclose(vae.score_samples(X_test), linear.score_samples(X_test))
    assert vae.noise_variance_ == pytest.approx(linear.noise_variance_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", CODING, ids=name_of)
def test_every_estimator_takes_far_more_columns_than_rows(kind):
    X, y = curved(45, 144), np.arange(45) % 3
    model = fitted(kind, X, y)
    code = model.transform(X)
    assert code.shape == (45, 3)
    assert np.isfinite(code).all()
    if hasattr(model, "inverse_transform"):
        assert decoded(model, code, y).shape == X.shape


def test_weights_are_repetitions():
    X, weight = curved(60, 400), np.arange(60) % 2 + 1.0
    params = {"n_components": 3, "hidden_layer_sizes": (), "random_state": 0}
    weighted = VAETransformer(**params).fit(X, sample_weight=weight)
    repeated = VAETransformer(**params).fit(np.repeat(X, weight.astype(int), axis=0))
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X), atol=1e-9)
    assert weighted.noise_variance_ == pytest.approx(repeated.noise_variance_)
