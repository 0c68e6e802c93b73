"""A fitted model at rows: batch by batch, in both float types, far outside the training range."""

import numpy as np
import pytest
import torch
from scipy import sparse

from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
from skae.metrics import reconstruction_score


@pytest.fixture(scope="module")
def fitted(digits):
    return AutoencoderTransformer(4, random_state=0).fit(digits[0])


def test_chunks_equal_the_whole(fitted, digits, monkeypatch):
    whole = fitted.reconstruct(digits[1])
    monkeypatch.setattr("skae._model.inference.CHUNK_CELLS", 500)
    np.testing.assert_allclose(fitted.reconstruct(digits[1]), whole, rtol=1e-11, atol=1e-12)


def test_dtype_is_kept(fitted, digits):
    for dtype in (np.float32, np.float64):
        code = fitted.transform(digits[1].astype(dtype))
        assert code.dtype == dtype
        assert fitted.inverse_transform(code).dtype == dtype
    np.testing.assert_allclose(
        fitted.transform(digits[1].astype(np.float32)), fitted.transform(digits[1]), atol=1e-3
    )
    assert fitted.transform(np.zeros((2, 64), dtype=int)).dtype == np.float64


def test_score_is_the_explained_share(fitted, digits):
    X = digits[1]
    error = np.sum((X - fitted.reconstruct(X)) ** 2)
    assert fitted.score(X) == pytest.approx(1 - error / np.sum((X - X.mean(axis=0)) ** 2))
    assert fitted.score(X) == reconstruction_score(fitted, X)


def test_reconstruction_error(fitted, digits):
    X = digits[1]
    cells = fitted.reconstruction_error(X, per_feature=True)
    np.testing.assert_allclose(cells, (X - fitted.reconstruct(X)) ** 2)
    np.testing.assert_allclose(fitted.reconstruction_error(X), cells.sum(axis=1))


def test_nonlinear_part_ends_near_the_training_range(fitted, digits):
    """Far out the encoder goes on linearly: second differences vanish."""
    direction = np.random.default_rng(0).normal(size=64)
    far = digits[0][0] + np.outer([1e6, 2e6, 3e6], direction)
    second = np.diff(fitted.transform(far), n=2, axis=0)
    assert np.abs(second).max() < 1e-6 * np.abs(fitted.transform(far)).max()


def test_offsets_do_not_blur_float32():
    rng = np.random.default_rng(0)
    X = (1e5 + 1 / 3 + rng.normal(0, 1, size=(200, 3)) * [3, 2, 1]).astype(np.float32)
    code = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X).transform(X)
    assert np.abs(code.mean(axis=0)).max() < 1e-5


def test_huge_values_of_float32():
    X = (np.random.default_rng(0).normal(10, 1, size=(9000, 7)) * 1e33).astype(np.float32)
    estimator = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X)
    assert np.isfinite(estimator.reconstruct(X)).all()


def test_score_of_huge_rows(digits):
    estimator = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(digits[0])
    assert estimator.score(digits[1] * 1e180) == pytest.approx(estimator.score(digits[1]), abs=0.2)


@pytest.mark.parametrize(
    "estimator", [AutoencoderTransformer, VAETransformer, DenoisingAutoencoder]
)
@pytest.mark.parametrize(("far", "dtype"), [(1.0, float), (1e8, float), (1.0, "f4"), (1e4, "f4")])
def test_linear_codes_are_those_of_centred_rows(estimator, far, dtype):
    """One product makes them, unless means far from zero would cost digits."""
    X = np.random.default_rng(0).normal(size=(300, 8)) @ np.diag(2.0 ** -np.arange(8)) + far
    X = X.astype(dtype)
    model = estimator(3, hidden_layer_sizes=(), early_stopping=False, max_iter=1).fit(X)
    module, exact = model.module_, X.astype(float)
    x = torch.from_numpy((exact - model.mean_) / model.scale_)
    with torch.no_grad():
        code = module.encode(x).numpy() * model._model.code_scale
    rounding = np.finfo(dtype).eps
    np.testing.assert_allclose(model.transform(X), code, atol=100 * rounding * np.abs(code).max())


def test_linear_codes_of_sparse_rows_and_of_rows_that_lack_cells():
    X = np.random.default_rng(0).normal(size=(100, 6)).round(0) + 0.0
    model = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X)
    code = model.transform(X)
    np.testing.assert_allclose(model.transform(sparse.csr_matrix(X)), code, atol=1e-12)
    lacking = X.copy()
    lacking[::3, 1] = np.nan
    filled = np.where(np.isnan(lacking), model.mean_, lacking)
    np.testing.assert_allclose(model.transform(lacking), model.transform(filled), atol=1e-12)
    np.testing.assert_allclose(model.transform(lacking)[1::3], code[1::3], atol=1e-12)
