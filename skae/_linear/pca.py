"""The linear starts: PCA with row weights, and the best linear denoiser, of rows read in chunks."""

from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
from scipy import linalg
from sklearn.utils.extmath import randomized_svd, svd_flip

SMALL_SVD = 2**21  # cells up to which the exact decomposition of the rows costs next to nothing
WIDEST_COVARIANCE = 4096  # columns
ROWS_A_COLUMN = 5  # below, moments of unknown noise cannot be estimated
MOST_AXES = 256  # that are found by passes over the rows, where no number is given
OVERSAMPLING, PASSES = 10, 7  # axes more than needed, and power iterations
LEAST_EIGENVALUE = 1e-12  # of a covariance, relative to its largest


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
        Share of the variance that the start leaves unexplained.
    low, high : ndarray of shape (n_features,)
        Least and largest value of each column, standardised.
    encoder : ndarray of shape (n_components, n_features)
        From standardised rows to the code: for PCA ``components * scale``.
    offset : ndarray of shape (n_components,)
        Added to the code.
    noise_variance : float
        As ``PCA.noise_variance_``: the mean variance of a column that the
        components leave, in the squared units of X.
    """

    mean: np.ndarray
    scale: np.ndarray
    column_weights: np.ndarray
    components: np.ndarray
    deviations: np.ndarray
    unexplained: float
    low: np.ndarray
    high: np.ndarray
    encoder: np.ndarray
    offset: np.ndarray
    noise_variance: float

    @property
    def units(self):
        """What the rows that training reads are less, and what over that: mean and scale."""
        return self.mean, self.scale

    @property
    def maps(self):
        """From standardised rows to the whitened code, and back: a row for each input or unit."""
        deviations = self.deviations[:, None]
        return self.encoder / deviations, self.components * deviations / self.scale

    def first(self, k):
        """Return the start with the first ``k`` components: that of a smaller code."""
        if k == len(self.deviations):
            return self
        of_code = ("components", "deviations", "encoder", "offset")
        parts = {name: getattr(self, name)[:k] for name in of_code}
        return replace(self, unexplained=float(1 - self.shares[k - 1]), **parts)

    @property
    def shares(self):
        """Share of the variance that the first 1, 2, ... components explain."""
        variances = np.cumsum(np.sum(self.components**2, axis=1) * self.deviations**2)
        return (1 - self.unexplained) * variances / (variances[-1] or 1.0)


def linear_start(rows, n_components, random_state):
    """Return the `LinearStart` of ``rows``; ``n_components`` is resolved as PCA resolves it."""
    mean, scale, weights, low, high, total = columns(rows)
    axes, singular_values = _principal_axes(rows, mean, n_components, random_state)
    k = _resolve(n_components, singular_values, rows.width, total * len(rows))
    components, deviations = _pad(axes, singular_values, k, rows)
    components[:, weights < np.finfo(np.float64).eps ** 2] = 0.0  # rounding, and nothing else
    explained = np.sum(singular_values[:k] ** 2) / (total * len(rows)) if total else 1.0
    unexplained = float(np.clip(1 - explained, 0, 1))
    n_left = min(rows.n_repeated, len(mean)) - k
    left = unexplained * total * _unbiased(rows)
    return LinearStart(
        mean=mean,
        scale=scale,
        column_weights=weights,
        components=components,
        deviations=deviations,
        unexplained=unexplained,
        low=(low - mean) / scale,
        high=(high - mean) / scale,
        encoder=components * scale,
        offset=np.zeros(k),
        noise_variance=left / n_left if n_left > 0 else 0.0,
    )


def columns(rows):
    """Return mean, scale, share of the variance, minimum and maximum of each column, and all variance."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, variance, low, high = _moments(rows)
        total = variance.sum()
    if not np.isfinite(total):
        raise ValueError(
            "Input X contains infinity or a value too large: the variance of its columns is beyond "
            "float64. Rescale X, for example with StandardScaler or RobustScaler."
        )
    varies = variance > rounding(len(rows), mean, variance)
    scale = np.sqrt(np.where(varies, variance, 1.0))
    weights = np.where(varies, variance, 0.0)
    return mean, scale, weights / (weights.sum() or 1.0), low, high, total


def linear_denoiser(rows, n_components, make_noise, random_state):
    r"""Return the best linear denoiser of rank k as a `LinearStart`.

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
        Returns the noise, given the `LinearStart` of the clean rows.
    random_state : RandomState
    """
    start = linear_start(rows, n_components, random_state)
    noise, n_features = make_noise(start), rows.width
    few = not hasattr(noise, "moments") and len(rows) < ROWS_A_COLUMN * n_features
    if few or n_features > WIDEST_COVARIANCE:
        return replace(start, unexplained=1.0 if start.column_weights.any() else 0.0)
    return reduced_rank(start, *_noisy_moments(rows, start, noise, random_state))


def reduced_rank(start, with_clean, noisy, mean):
    """Return the reduced-rank regression of clean rows on noisy ones, in place of their PCA.

    Parameters
    ----------
    start : LinearStart
        PCA of the clean rows.
    with_clean, noisy : ndarray of shape (n_features, n_features)
        Covariance of clean with noisy rows and of noisy rows, standardised.
    mean : ndarray of shape (n_features,)
        Of the noisy rows.
    """
    n_features = len(start.mean)
    regression = _divide(with_clean, noisy)
    explained = regression @ with_clean.T * start.scale * start.scale[:, None]
    values, vectors = linalg.eigh((explained + explained.T) / 2, check_finite=False)
    k = len(start.deviations)
    rank = min(k, int(np.sum(values > np.finfo(np.float64).eps * n_features * values.max())))
    axes = svd_flip(None, vectors.T[::-1][:rank], u_based_decision=False)[1]
    encoder, components = np.zeros((2, k, n_features))
    encoder[:rank] = axes * start.scale @ regression
    components[:rank] = axes * (start.column_weights > 0)  # not what rounding gives constants
    deviations = np.sqrt(np.einsum("ij,jk,ik->i", encoder, noisy, encoder).clip(0))
    total = np.sum(start.scale**2 * (start.column_weights > 0))
    return replace(
        start,
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


def _noisy_moments(rows, start, noise, random_state):
    """Return covariances of standardised rows, clean with noisy and noisy, and the noisy mean."""
    if hasattr(noise, "moments"):
        moments = noise.moments(start.low, start.high)
        correlation = sum((c * w[:, None]).T @ c for c, w in _standardised(rows, start)) / len(rows)
        noisy = moments.kept**2 * correlation + np.diag(moments.own)
        return moments.kept * correlation, noisy, moments.mean
    import torch

    corrupt = noise.begin(torch.Generator().manual_seed(int(random_state.randint(2**31 - 1))))
    with_clean = within = mean = 0.0
    for clean, weight in _standardised(rows, start):
        noisy = corrupt(torch.from_numpy(clean.astype(np.float32))).numpy().astype(np.float64)
        mean += weight @ noisy
        with_clean += (clean * weight[:, None]).T @ noisy
        within += (noisy * weight[:, None]).T @ noisy
    mean = mean / len(rows)
    return with_clean / len(rows), within / len(rows) - np.outer(mean, mean), mean


def _standardised(rows, start):
    for chunk, weight in rows.chunks():
        yield (chunk - start.mean) / start.scale, weight


def _moments(rows):
    """Return weighted mean and variance (denominator n), minimum and maximum of the columns."""
    mean = sum(weight @ chunk for chunk, weight in rows.chunks()) / len(rows)
    total, low, high = 0.0, np.inf, -np.inf
    for chunk, weight in rows.chunks():
        total += weight @ (chunk - mean) ** 2
        low = np.minimum(low, chunk.min(axis=0))
        high = np.maximum(high, chunk.max(axis=0))
    return mean, total / len(rows), low, high


def rounding(n_samples, mean, variance):
    """Return the variance that rounding alone gives a constant column."""
    eps = np.finfo(np.float64).eps
    return n_samples * eps * variance + (n_samples * mean * eps) ** 2


def _principal_axes(rows, mean, n_components, random_state):
    """Return principal axes, one a row, and singular values, largest first."""
    n_samples, n_features = len(rows), rows.width
    if n_samples * n_features > SMALL_SVD and n_features <= min(n_samples, WIDEST_COVARIANCE):
        return _axes_of_covariance(rows, mean)
    if n_samples * n_features > SMALL_SVD and rows.is_narrow:
        return _axes_by_passes(rows, mean, n_components, random_state)
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


def _axes_by_passes(rows, mean, n_components, random_state):
    """Return leading axes and singular values of rows that are never whole in memory.

    A randomised range finder with a pass over the rows for each of its power
    iterations (Halko, Martinsson & Tropp, Finding structure with randomness,
    2011, DOI 10.1137/090771806).
    """
    smallest = min(len(rows), rows.width)
    whole = isinstance(n_components, Integral)
    k = min(smallest, (n_components if whole else MOST_AXES) + OVERSAMPLING)
    basis = random_state.normal(size=(rows.width, k))
    for _ in range(PASSES):
        basis = linalg.qr(_through(rows, mean, basis), mode="economic", check_finite=False)[0]
    small = basis.T @ _through(rows, mean, basis)
    values, vectors = linalg.eigh((small + small.T) / 2, check_finite=False)
    axes = svd_flip(None, (basis @ vectors).T[::-1], u_based_decision=False)[1]
    return axes, np.sqrt(np.clip(values[::-1], 0, None))


def _through(rows, mean, basis):
    """Return the scatter matrix of the rows times a basis."""
    return sum(
        (chunk - mean).T @ (weight[:, None] * ((chunk - mean) @ basis))
        for chunk, weight in rows.chunks()
    )


def _resolve(n_components, singular_values, n_features, total):
    """Return the number of components that PCA would use."""
    if n_components is None:
        return min(len(singular_values), n_features)
    if n_components >= 1:
        return int(n_components)
    shares = np.cumsum(singular_values**2) / (total or 1.0)
    return min(int(np.searchsorted(shares, n_components, side="right")) + 1, len(shares))


def _unbiased(rows):
    """Return what turns a variance of denominator n into one of n - 1."""
    return rows.n_repeated / max(rows.n_repeated - 1, 1)


def _pad(axes, singular_values, k, rows):
    """Return ``k`` axes and deviations; those beyond the rank are zero and 1."""
    eps = np.finfo(np.float64).eps
    tolerance = singular_values.max(initial=0) * max(len(rows), axes.shape[1]) * eps
    rank = min(k, int(np.sum(singular_values > tolerance)))
    components = np.zeros((k, axes.shape[1]))
    components[:rank] = axes[:rank]
    deviations = np.ones(k)
    deviations[:rank] = singular_values[:rank] * np.sqrt(_unbiased(rows) / len(rows))
    return components, deviations
