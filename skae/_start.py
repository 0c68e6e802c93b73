"""The linear start: scikit-learn's PCA, with row weights, of rows read in chunks."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from scipy import linalg
from sklearn.utils.extmath import randomized_svd, svd_flip

SMALL_SVD = 2**21  # cells up to which the exact decomposition of the rows costs next to nothing
WIDEST_COVARIANCE = 4096  # columns


@dataclass(frozen=True)
class LinearStart:
    """Where training starts.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,)
        Mean and standard deviation of the columns; the scale of a constant
        column is 1.
    column_weights : ndarray of shape (n_features,)
        Variance of each column over the total variance; all zero where the
        rows do not vary.
    components : ndarray of shape (n_components, n_features)
        Principal axes, as ``PCA.components_``; zero beyond the rank.
    deviations : ndarray of shape (n_components,)
        Standard deviation of each component (denominator ``n - 1``), 1 beyond
        the rank.
    unexplained : float
        Share of the variance that the components leave unexplained.
    """

    mean: np.ndarray
    scale: np.ndarray
    column_weights: np.ndarray
    components: np.ndarray
    deviations: np.ndarray
    unexplained: float


def linear_start(rows, n_components, random_state):
    """Return the `LinearStart` of ``rows``; ``n_components`` is resolved as PCA resolves it."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, variance = _moments(rows)
        total = variance.sum()
    if not np.isfinite(total):
        raise ValueError(
            "Input X contains infinity or a value too large: the variance of its columns is beyond "
            "float64. Rescale X, for example with StandardScaler or RobustScaler."
        )
    varies = variance > _rounding(len(rows), mean, variance)
    scale = np.sqrt(np.where(varies, variance, 1.0))
    weights = np.where(varies, variance, 0.0)
    axes, singular_values = _principal_axes(rows, mean, n_components, random_state)
    k = _resolve(n_components, singular_values, rows.X.shape[1], total * len(rows))
    components, deviations = _pad(axes, singular_values, k, len(rows))
    explained = np.sum(singular_values[:k] ** 2) / (total * len(rows)) if total else 1.0
    return LinearStart(
        mean=mean,
        scale=scale,
        column_weights=weights / (weights.sum() or 1.0),
        components=components,
        deviations=deviations,
        unexplained=float(np.clip(1 - explained, 0, 1)),
    )


def _moments(rows):
    """Return the weighted mean and variance (denominator n) of the columns."""
    mean = sum(weight @ chunk for chunk, weight in rows.chunks()) / len(rows)
    variance = sum(weight @ (chunk - mean) ** 2 for chunk, weight in rows.chunks()) / len(rows)
    return mean, variance


def _rounding(n_samples, mean, variance):
    """Return the variance that rounding alone gives a constant column."""
    eps = np.finfo(np.float64).eps
    return n_samples * eps * variance + (n_samples * mean * eps) ** 2


def _principal_axes(rows, mean, n_components, random_state):
    """Return principal axes, one a row, and singular values, largest first."""
    n_samples, n_features = len(rows), rows.X.shape[1]
    if n_samples * n_features > SMALL_SVD and n_features <= min(n_samples, WIDEST_COVARIANCE):
        return _axes_of_covariance(rows, mean)
    centred = np.concatenate([(c - mean) * np.sqrt(w)[:, None] for c, w in rows.chunks()])
    smallest = min(n_samples, n_features)
    if (
        centred.size > SMALL_SVD
        and isinstance(n_components, Integral)
        and n_components < 0.8 * smallest
    ):
        _, values, axes = randomized_svd(centred, n_components, random_state=random_state)
    else:
        _, values, axes = linalg.svd(centred, full_matrices=False, check_finite=False)
    return svd_flip(None, axes, u_based_decision=False)[1], values


def _axes_of_covariance(rows, mean):
    covariance = sum(((c - mean) * w[:, None]).T @ (c - mean) for c, w in rows.chunks())
    values, vectors = linalg.eigh(covariance, check_finite=False)
    axes = svd_flip(None, vectors.T[::-1], u_based_decision=False)[1]
    return axes, np.sqrt(np.clip(values[::-1], 0, None))


def _resolve(n_components, singular_values, n_features, total):
    """Return the number of components that PCA would use."""
    if n_components is None:
        return min(len(singular_values), n_features)
    if n_components >= 1:
        return int(n_components)
    shares = np.cumsum(singular_values**2) / (total or 1.0)
    return min(int(np.searchsorted(shares, n_components, side="right")) + 1, len(shares))


def _pad(axes, singular_values, k, n_samples):
    """Return ``k`` axes and deviations; those beyond the rank are zero and 1."""
    eps = np.finfo(np.float64).eps
    tolerance = singular_values.max(initial=0) * max(n_samples, axes.shape[1]) * eps
    rank = min(k, int(np.sum(singular_values > tolerance)))
    components = np.zeros((k, axes.shape[1]))
    components[:rank] = axes[:rank]
    deviations = np.ones(k)
    deviations[:rank] = singular_values[:rank] / np.sqrt(max(n_samples - 1, 1))
    return components, deviations
