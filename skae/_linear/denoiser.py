"""The best linear denoiser, and reduced-rank regression in general."""

from dataclasses import replace

import numpy as np
from scipy import linalg
from sklearn.utils.extmath import svd_flip

from skae._linear.pca import WIDEST_COVARIANCE, pca

ROWS_A_COLUMN = 5  # below, moments of unknown noise cannot be estimated
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

    Parameters
    ----------
    rows : Rows
    n_components : int, float or None
        Resolved as PCA resolves it on the clean rows.
    make_noise : callable
        Returns the noise, given the `LinearModel` of the clean rows.
    random_state : RandomState
    """
    model = pca(rows, n_components, random_state)
    noise, n_features = make_noise(model), rows.width
    few = not hasattr(noise, "moments") and len(rows) < ROWS_A_COLUMN * n_features
    if few or n_features > WIDEST_COVARIANCE:
        return replace(model, unexplained=1.0 if model.column_weights.any() else 0.0)
    return reduced_rank(model, *_noisy_moments(rows, model, noise, random_state))


def reduced_rank(model, with_clean, noisy, mean):
    """Return the reduced-rank regression of clean rows on noisy ones, in place of their PCA.

    Parameters
    ----------
    model : LinearModel
        PCA of the clean rows.
    with_clean, noisy : ndarray of shape (n_features, n_features)
        Covariance of clean with noisy rows and of noisy rows, standardised.
    mean : ndarray of shape (n_features,)
        Of the noisy rows.
    """
    n_features = len(model.mean)
    regression = _divide(with_clean, noisy)
    explained = regression @ with_clean.T * model.scale * model.scale[:, None]
    values, vectors = linalg.eigh((explained + explained.T) / 2, check_finite=False)
    k = len(model.deviations)
    rank = min(k, int(np.sum(values > np.finfo(np.float64).eps * n_features * values.max())))
    axes = svd_flip(None, vectors.T[::-1][:rank], u_based_decision=False)[1]
    encoder, components = np.zeros((2, k, n_features))
    encoder[:rank] = axes * model.scale @ regression
    components[:rank] = axes * (model.column_weights > 0)  # not what rounding gives constants
    deviations = np.sqrt(np.einsum("ij,jk,ik->i", encoder, noisy, encoder).clip(0))
    total = np.sum(model.scale**2 * (model.column_weights > 0))
    return replace(
        model,
        components=components,
        encoder=encoder,
        offset=-encoder @ mean,
        deviations=np.where(deviations > 0, deviations, 1.0),
        unexplained=float(1 - values[::-1][:rank].sum() / total) if total else 0.0,
    )


def _divide(a, covariance):
    """Return ``a`` times the pseudo-inverse of a covariance."""
    values, vectors = linalg.eigh(covariance, check_finite=False)
    sure = values > LEAST_EIGENVALUE * values.max()
    return a @ (vectors[:, sure] / values[sure]) @ vectors[:, sure].T


def _noisy_moments(rows, model, noise, random_state):
    """Return covariances of standardised rows, clean with noisy and noisy, and the noisy mean."""
    if hasattr(noise, "moments"):
        moments = noise.moments(model.low, model.high)
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
