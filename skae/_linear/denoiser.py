"""The best linear denoiser, and reduced-rank regression in general."""

from dataclasses import replace

import numpy as np
from scipy import linalg
from sklearn.utils.extmath import svd_flip

from skae._linear.pca import WIDEST_COVARIANCE, pca

ROWS_A_COLUMN = 5  # below, moments of unknown noise cannot be estimated
FEW = 2  # columns a row, from which on matrices of rows are smaller than those of columns
LEAST_EIGENVALUE = 1e-12  # of a covariance, relative to its largest


def linear_denoiser(rows, n_components, make_noise, random_state):
    r"""Return the best linear denoiser of rank k as a `LinearModel`.

    With S the covariance of the clean rows, C that of clean with noisy ones
    and R that of noisy ones, the reduced-rank regression of the clean rows on
    the noisy ones is :math:`U U^\top C R^{-1}`, with U the top eigenvectors
    of :math:`C R^{-1} C^\top` (Izenman, Reduced-rank regression for the
    multivariate linear model, 1975, DOI 10.1016/0047-259X(75)90042-1). For
    noise of covariance N that is independent of the rows, C is S and R is
    S + N. It is PCA above ``WIDEST_COVARIANCE`` columns, and for noise whose
    moments are not known with fewer than ``ROWS_A_COLUMN`` rows a column.

    ``n_components`` is resolved as PCA resolves it on the clean rows; ``make_noise`` returns the noise,
    given the `LinearModel` of these.
    """
    model = pca(rows, n_components, random_state)
    noise, n_features = make_noise(model), rows.width
    few = not hasattr(noise, "moments") and len(rows) < ROWS_A_COLUMN * n_features
    if few or n_features > WIDEST_COVARIANCE:
        return replace(model, unexplained=1.0 if model.column_weights.any() else 0.0)
    moments = noise.moments(model.low, model.high) if hasattr(noise, "moments") else None
    if moments is not None and FEW * len(rows) < n_features and moments.own.min() > 0:
        return _of_few_rows(rows, model, moments)
    return reduced_rank(model, *_noisy_moments(rows, model, noise, moments, random_state))


def _of_few_rows(rows, model, moments):
    """Return the same as `reduced_rank`, of matrices as large as the number of rows.

    With B the rows over the root of their number times what the noise keeps, N diagonal
    and G = B N^-1 B', the inverse of R is N^-1 - N^-1 B' (I + G)^-1 B N^-1 (Woodbury).
    """
    own, kept = moments.own, moments.kept
    parts = [(x - model.mean) * np.sqrt(weight)[:, None] for x, weight in rows.chunks()]
    noiseless = np.concatenate(parts) / model.scale * (kept / np.sqrt(len(rows)))
    values, vectors = linalg.eigh((noiseless / own) @ noiseless.T, check_finite=False)
    values = values.clip(0)
    half = vectors * np.sqrt(values / (1 + values)) / kept  # of G (I + G)^-1
    scaled = half.T @ (noiseless * model.scale)
    explained, turned = linalg.eigh(scaled @ scaled.T, check_finite=False)
    k, most = len(model.deviations), explained.max()
    rank = min(k, int(np.sum(explained > np.finfo(np.float64).eps * len(model.mean) * most)))
    axes = turned.T[::-1][:rank] @ scaled / np.sqrt(explained[::-1][:rank])[:, None]
    axes = svd_flip(None, axes, u_based_decision=False)[1]
    through = (axes * model.scale) @ noiseless.T @ (vectors / (1 + values)) @ vectors.T
    encoder = through @ (noiseless / own) / kept
    squares = (encoder @ noiseless.T) ** 2
    variances = squares.sum(axis=1) + encoder**2 @ own
    return _with_maps(model, axes, encoder, variances, moments.mean, explained[::-1][:rank].sum())


def reduced_rank(model, with_clean, noisy, mean):
    """Return the reduced-rank regression of clean rows on noisy ones, in place of their PCA.

    ``with_clean`` and ``noisy`` are the covariances of clean with noisy rows and of noisy rows,
    standardised; ``mean`` is that of noisy rows.
    """
    n_features = len(model.mean)
    regression = _divide(with_clean, noisy)
    explained = regression @ with_clean.T * model.scale * model.scale[:, None]
    values, vectors = linalg.eigh((explained + explained.T) / 2, check_finite=False)
    k = len(model.deviations)
    rank = min(k, int(np.sum(values > np.finfo(np.float64).eps * n_features * values.max())))
    axes = svd_flip(None, vectors.T[::-1][:rank], u_based_decision=False)[1]
    encoder = axes * model.scale @ regression
    variances = np.einsum("ij,jk,ik->i", encoder, noisy, encoder)
    return _with_maps(model, axes, encoder, variances, mean, values[::-1][:rank].sum())


def _with_maps(model, axes, own_encoder, variances, mean, explained):
    """Return a model with an encoder to axes, fewer than its units or as many, whose code has variances."""
    encoder, components = np.zeros((2, len(model.deviations), len(model.mean)))
    encoder[: len(axes)] = own_encoder
    components[: len(axes)] = axes * (model.column_weights > 0)  # not what rounding gives constants
    deviations = np.ones(len(encoder))
    deviations[: len(axes)] = np.sqrt(np.where(variances > 0, variances, 1.0))
    total = np.sum(model.scale**2 * (model.column_weights > 0))
    return replace(
        model,
        components=components,
        encoder=encoder,
        offset=-encoder @ mean,
        deviations=deviations,
        unexplained=float(1 - explained / total) if total else 0.0,
    )


def _divide(a, covariance):
    """Return ``a`` times the pseudo-inverse of a covariance."""
    values, vectors = linalg.eigh(covariance, check_finite=False)
    sure = values > LEAST_EIGENVALUE * values.max()
    return a @ (vectors[:, sure] / values[sure]) @ vectors[:, sure].T


def _noisy_moments(rows, model, noise, moments, random_state):
    """Return covariances of standardised rows, clean with noisy and noisy, and the noisy mean."""
    if moments is not None:
        correlation = _sum(rows, model, lambda x, weight: (x * weight[:, None]).T @ x) / len(rows)
        noisy = moments.kept**2 * correlation + np.diag(moments.own)
        return moments.kept * correlation, noisy, moments.mean
    import torch  # the linear models of a fitted file need none

    corrupt = noise.begin(torch.Generator().manual_seed(int(random_state.randint(2**31 - 1))))

    def products(clean, weight):
        noisy = corrupt(torch.from_numpy(clean.astype(np.float32))).numpy().astype(np.float64)
        return (
            (clean * weight[:, None]).T @ noisy,
            (noisy * weight[:, None]).T @ noisy,
            weight @ noisy,
        )

    with_clean, within, mean = _sum(rows, model, products)
    mean = mean / len(rows)
    return with_clean / len(rows), within / len(rows) - np.outer(mean, mean), mean


def _sum(rows, model, statistic):
    """Return a sum over rows that were standardised."""
    return rows.sum(lambda x, weight: statistic((x - model.mean) / model.scale, weight))
