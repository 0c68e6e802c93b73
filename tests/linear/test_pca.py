"""Before its first step the model is PCA; a rejected fit is the PCA of all rows."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae._data.batches import Float64
from skae._data.rows import Rows
from skae._linear.pca import pca


def same_up_to_sign(a, b, rtol=1e-5):
    signs = np.sign(np.sum(a * b, axis=0))
    np.testing.assert_allclose(a * signs, b, rtol=rtol, atol=rtol * np.abs(b).max())


@pytest.fixture(scope="module", params=["float64", "float32"])
def untrained(request, digits):
    """Return an autoencoder with all its layers, as it is before the first step, and its rows."""
    X = digits[0].astype(request.param)
    estimator = AutoencoderTransformer(8, early_stopping=False, random_state=0)
    estimator.set_params(learning_rate_init=1e-30, max_iter=1)
    return estimator.fit(X), X


def test_start_is_pca(untrained):
    estimator, X = untrained
    assert any("nonlinear" in name for name, _ in estimator.module_.named_parameters())
    pca = PCA(8, svd_solver="full").fit(X)
    same_up_to_sign(estimator.transform(X), pca.transform(X), 1e-4 if X.dtype == "f4" else 1e-5)
    error = np.linalg.norm(estimator.reconstruct(X) - pca.inverse_transform(pca.transform(X)))
    assert error < 1e-5 * np.linalg.norm(X)


def test_rejected_fit_is_pca_of_all_rows(gaussian):
    estimator = AutoencoderTransformer(4, random_state=0).fit(gaussian)
    assert estimator.best_iter_ == 0
    pca = PCA(4).fit(gaussian)
    same_up_to_sign(estimator.transform(gaussian), pca.transform(gaussian), 1e-10)
    np.testing.assert_allclose(
        estimator.reconstruct(gaussian), pca.inverse_transform(pca.transform(gaussian)), atol=1e-10
    )
    same_up_to_sign(estimator.components_.T, pca.components_.T, 1e-10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_whitened_code_has_unit_variance(gaussian, digits):
    for X in (gaussian, digits[0]):
        code = AutoencoderTransformer(4, whiten=True, random_state=0, max_iter=20).fit_transform(X)
        np.testing.assert_allclose(code.std(axis=0, ddof=1), 1, rtol=1e-6)
    whitened = PCA(4, whiten=True).fit_transform(gaussian)
    ours = AutoencoderTransformer(4, whiten=True, random_state=0).fit_transform(gaussian)
    same_up_to_sign(ours, whitened, 1e-8)


@pytest.mark.parametrize("asked", [0.5, 0.95, None, 3])
def test_number_of_components_is_pcas(cancer, asked):
    estimator = AutoencoderTransformer(asked, hidden_layer_sizes=()).fit(cancer[0])
    assert estimator.n_components_ == PCA(asked, svd_solver="full").fit(cancer[0]).n_components_


def linear(X, k, sample_weight=None):
    return AutoencoderTransformer(k, hidden_layer_sizes=()).fit(X, sample_weight=sample_weight)


def test_pca_by_the_covariance_is_that_by_decomposition(monkeypatch, digits):
    X = digits[0] * np.linspace(0.1, 5, 64) + 100
    exact = linear(X, 8)
    monkeypatch.setattr("skae._linear.pca.SMALL_SVD", 0)
    monkeypatch.setattr("skae._data.rows.CHUNK_BYTES", 2**14)
    chunked = linear(X, 8)
    np.testing.assert_allclose(chunked.components_, exact.components_, atol=1e-9)
    np.testing.assert_allclose(chunked.transform(X), exact.transform(X), atol=1e-7)
    np.testing.assert_allclose(chunked.mean_, exact.mean_)


def test_weights_are_repetitions(cancer):
    X = cancer[0]
    times = np.random.default_rng(0).integers(0, 4, len(X))
    weighted = linear(X, 5, sample_weight=times.astype(float))
    repeated = linear(np.repeat(X, times, axis=0), 5)
    np.testing.assert_allclose(weighted.mean_, repeated.mean_)
    np.testing.assert_allclose(weighted.scale_, repeated.scale_)
    np.testing.assert_allclose(weighted.components_, repeated.components_, atol=1e-9)


def test_linear_autoencoder_spans_pcas_subspace():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 8)) * np.array([8, 6, 4, 1, 0.8, 0.6, 0.4, 0.2]) @ _rotation(rng, 8)
    axes = PCA(3).fit(X).components_.T
    from_pca = AutoencoderTransformer(3, hidden_layer_sizes=(), random_state=0).fit(X)
    assert subspace_angles(from_pca.components_.T, axes).max() < 1e-3
    from_random = AutoencoderTransformer(
        3, hidden_layer_sizes=(), linear_path=None, early_stopping=False, max_iter=600, alpha=0,
        random_state=0,
    ).fit(X)  # fmt: skip
    decoder = from_random.inverse_transform(np.eye(3)) - from_random.inverse_transform(
        np.zeros((1, 3))
    )
    assert subspace_angles(decoder.T, axes).max() < 1e-3


def _rotation(rng, n):
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


@pytest.mark.parametrize(
    "X",
    [
        np.random.default_rng(0).normal(size=(10, 3)),
        np.random.default_rng(0).normal(size=(50, 1)),
        np.column_stack([np.arange(60.0), np.full(60, 7.0), 2 * np.arange(60.0)]),
        np.full((40, 3), 5.0),
    ],
    ids=["10 rows", "1 column", "constant column, rank 1", "all constant"],
)
@pytest.mark.parametrize("k", [1, 3, 5])
def test_tiny_data_gives_pcas_answer(X, k):
    estimator = AutoencoderTransformer(k, random_state=0).fit(X)
    pca_k = min(k, *X.shape)
    expected = X.mean(axis=0) + np.zeros_like(X)
    if X.std() > 0:
        pca = PCA(pca_k).fit(X)
        expected = pca.inverse_transform(pca.transform(X))
    assert estimator.transform(X).shape == (len(X), k)
    if estimator.best_iter_ == 0:
        np.testing.assert_allclose(estimator.reconstruct(X), expected, atol=1e-9)
    assert np.isfinite(estimator.reconstruct(X)).all()


def test_overcomplete_reconstructs_exactly(wine):
    estimator = AutoencoderTransformer(20, random_state=0).fit(wine[0])
    assert estimator.transform(wine[1]).shape[1] == 20
    np.testing.assert_allclose(estimator.reconstruct(wine[1]), wine[1], atol=1e-9)


def test_columns_of_wildly_different_scale():
    rng = np.random.default_rng(0)
    t = rng.uniform(-2, 2, size=(800, 1))
    X = np.hstack([t, t**2, np.sin(2 * t), rng.normal(size=(800, 1))])
    scales = np.array([1e30, 1e30, 1e-30, 1.0])
    estimator = AutoencoderTransformer(1, random_state=0).fit(X * scales)
    assert estimator.best_iter_ > 0
    assert 1 - estimator.score(X * scales) < 0.7 * (1 - estimator.pca_score_)


def test_a_table_whose_variance_is_below_float64_is_refused():
    X = np.random.default_rng(0).normal(size=(50, 4))
    for far in (1e-300, 1e-170):
        with pytest.raises(ValueError, match="below float64. Rescale X"):
            AutoencoderTransformer(2, max_iter=2).fit(far * X)
    constant = AutoencoderTransformer(2, max_iter=2).fit(np.full((50, 4), 1e-300))
    np.testing.assert_allclose(constant.reconstruct(np.full((2, 4), 1e-300)), 1e-300)
    beside = np.column_stack([X, 1e-300 * X])
    assert AutoencoderTransformer(2, max_iter=2, random_state=0).fit(beside).score(beside) > 0.3


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_that_torch_takes_are_the_same(dtype, weighted):
    """On a GPU statistics are torch's: here on the processor, for which there is a law."""
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(7200, 300)) * np.linspace(1, 2, 300) + 50).astype(dtype)
    weight = rng.uniform(0.5, 2, len(X)) if weighted else None
    plain, there = Rows(X, weight=weight), Rows(X, weight=weight).near(Float64("cpu"))
    assert plain.moments is None
    for some in (slice(None), np.arange(7000)):
        models = [pca(rows.subset(some), 5, None) for rows in (plain, there)]
        for name in ("mean", "scale", "components", "deviations", "low", "high", "unexplained"):
            a, b = (getattr(model, name) for model in models)
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)
