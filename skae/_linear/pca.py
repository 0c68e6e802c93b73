"""Linear models, and PCA of weighted rows that are read in chunks."""

import warnings
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
from scipy import linalg
from sklearn.utils.extmath import randomized_svd, svd_flip

from skae._data.rows import WIDEST_COVARIANCE, exact_mean
from skae._linear.mle import most_probable_size
from skae.metrics import explained_share

WORTH_GPU = 256  # columns whose eigenvectors a GPU finds sooner
SMALL_SVD = 2**21  # cells up to which the exact decomposition of the rows costs next to nothing
MOST_AXES = 256  # that are found by passes over the rows, where no number is given
AUTO_SHARE = 0.95  # of the variance, where n_components is "auto"
ROUNDING = 1e-12  # of a share of the variance: PCA wants more than what is asked for
OVERSAMPLING, PASSES = 10, 7  # axes more than needed, and power iterations
PASSES_OF_STREAM = 2  # power iterations after an incremental SVD


@dataclass(frozen=True)
class LinearModel:
    """A linear model of rows, and a baseline: training starts at it and is compared with it.

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
        Share of the variance that the model leaves unexplained.
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
        """Return the model of the first ``k`` components."""
        if k == len(self.deviations):
            return self
        of_code = ("components", "deviations", "encoder", "offset")
        parts = {name: getattr(self, name)[:k] for name in of_code}
        return replace(self, unexplained=float(1 - self.shares[k - 1]), **parts)

    @property
    def variances(self):
        """Variance of each column (denominator n), 0 where it is constant."""
        return np.where(self.column_weights > 0, self.scale**2, 0.0)

    @property
    def shares(self):
        """Share of the variance that the first 1, 2, ... components explain."""
        variances = np.cumsum(np.sum(self.components**2, axis=1) * self.deviations**2)
        return (1 - self.unexplained) * variances / (variances[-1] or 1.0)

    def scores(self, X):
        """Return the share of the variance of rows that the first 1, 2, ... components explain."""
        rest = np.subtract(X, self.mean, dtype=np.float64)
        code = rest / self.scale @ self.encoder.T + self.offset
        scores = np.empty(len(self.components))
        for k, axis in enumerate(self.components):
            rest -= np.outer(code[:, k], axis)
            scores[k] = explained_share(X, X - rest)
        return scores


def pca(rows, n_components, random_state):
    """Return PCA of rows as a `LinearModel`; ``n_components`` is resolved as PCA resolves it."""
    moments = columns(rows)
    axes, singular_values = principal_axes(rows, moments[0], n_components, random_state)
    k = resolved(n_components, singular_values, rows.width, moments[-1] * len(rows), rows)
    return assembled(moments, axes, singular_values, k, len(rows), rows.n_repeated)


def assembled(moments, axes, singular_values, k, n_rows, n_repeated):
    """Return the `LinearModel` of ``k`` principal axes, given moments as `columns` returns them.

    The singular values are those of the centred rows, largest first; their squares stand for the
    squares of ``n_rows`` rows, the sum of the weights.
    """
    mean, scale, weights, low, high, total = moments
    unbiased = n_repeated / max(n_repeated - 1, 1)
    components, deviations = _pad(axes, singular_values, k, n_rows, unbiased)
    components[:, weights < np.finfo(np.float64).eps ** 2] = 0.0  # rounding, and nothing else
    explained = np.sum(singular_values[:k] ** 2) / (total * n_rows) if total else 1.0
    unexplained = float(np.clip(1 - explained, 0, 1))
    n_left = min(n_repeated, len(mean)) - k
    left = unexplained * total * unbiased
    return LinearModel(
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
    return scaled(mean, variance, low, high, len(rows))


def scaled(mean, variance, low, high, n_rows):
    """Return what `columns` returns of the moments of so many rows."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = variance.sum()
    if not np.isfinite(total):
        raise ValueError(
            "Input X contains infinity or a value too large: the variance of its columns is beyond "
            "float64. Rescale X, for example with StandardScaler or RobustScaler."
        )
    if total < np.finfo(np.float64).tiny and np.any(low < high):
        raise ValueError(
            f"The largest range of a column of X is {np.nanmax(high - low):.3g}: the variance of its columns "
            "is below float64. Rescale X, for example with StandardScaler, or leave it out if it is constant."
        )
    varies = variance > rounding(n_rows, mean, variance)
    scale = np.sqrt(np.where(varies, variance, 1.0))
    weights = np.where(varies, variance, 0.0)
    return mean, scale, weights / (weights.sum() or 1.0), low, high, total


def _moments(rows):
    """Return weighted mean and variance (denominator n), minimum and maximum of the columns."""
    known = rows.moments
    if known is not None:
        return known.mean, known.variance, known.low, known.high
    low, high = rows.range()
    mean = exact_mean(rows.sum(lambda x, weight: weight @ x) / len(rows), low, high)
    variance = rows.sum(lambda x, weight: weight @ (x - mean) ** 2) / len(rows)
    return mean, variance, low, high


def rounding(n_samples, mean, variance):
    """Return the variance that rounding alone gives a constant column."""
    eps = np.finfo(np.float64).eps
    return n_samples * eps * variance + (n_samples * mean * eps) ** 2


def principal_axes(rows, mean, n_components, random_state):
    """Return principal axes, one a row, and singular values, largest first."""
    n_samples, n_features = len(rows), rows.width
    few = rows.is_stream and n_samples * n_features > SMALL_SVD and n_samples < n_features
    if (rows.reduce.shared or few) and n_features <= WIDEST_COVARIANCE:
        return _within_rank(*_axes_of_covariance(rows, mean), min(n_samples, n_features))
    if n_samples * n_features > SMALL_SVD and n_features <= min(n_samples, WIDEST_COVARIANCE):
        return _axes_of_covariance(rows, mean)
    if rows.reduce.shared or (n_samples * n_features > SMALL_SVD and rows.is_narrow):
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


def scatter(rows, mean):
    """Return the scatter matrix of rows about their mean."""
    known = rows.moments
    if known is not None:
        return known.scatter * (len(rows) / known.weight)  # of weights with a mean of 1
    return rows.sum(lambda x, weight: ((x - mean) * weight[:, None]).T @ (x - mean))


def _axes_of_covariance(rows, mean):
    values, vectors = _eigh(scatter(rows, mean), rows.gpu)
    axes = svd_flip(None, vectors.T[::-1], u_based_decision=False)[1]
    return axes, np.sqrt(np.clip(values[::-1], 0, None))


def _eigh(matrix, gpu):
    """Return eigenvalues, smallest first, and eigenvectors; large ones are found on the GPU, if any."""
    if gpu is None or len(matrix) < WORTH_GPU:
        return linalg.eigh(matrix, check_finite=False)
    return gpu.eigh(matrix)


def _within_rank(axes, values, most):
    """Return the first axes; singular values that are rounding, of a covariance, are 0."""
    rounding_error = np.sqrt(len(values) * np.finfo(np.float64).eps) * values.max(initial=0)
    return axes[:most], np.where(values > rounding_error, values, 0.0)[:most]


def _axes_by_passes(rows, mean, n_components, random_state):
    """Return leading axes and singular values of rows that are never whole in memory.

    A randomised range finder with a pass over the rows for each of its power
    iterations (Halko, Martinsson & Tropp, Finding structure with randomness,
    2011, DOI 10.1137/090771806). Of a stream the first pass is an incremental
    SVD, which leaves less to the iterations.
    """
    smallest = min(len(rows), rows.width)
    whole = isinstance(n_components, Integral)
    k = min(smallest, (n_components if whole else MOST_AXES) + OVERSAMPLING)
    if rows.is_stream:
        basis, n_passes = _incremental_axes(rows, mean, k).T, PASSES_OF_STREAM
    else:
        basis, n_passes = random_state.normal(size=(rows.width, k)), PASSES
    for _ in range(n_passes):
        basis = linalg.qr(_through(rows, mean, basis), mode="economic", check_finite=False)[0]
    small = basis.T @ _through(rows, mean, basis)
    values, vectors = linalg.eigh((small + small.T) / 2, check_finite=False)
    axes = svd_flip(None, (basis @ vectors).T[::-1], u_based_decision=False)[1]
    return axes, np.sqrt(np.clip(values[::-1], 0, None))


def _incremental_axes(rows, mean, k):
    """Return about the leading axes of rows in one pass, by a singular value decomposition a chunk.

    As ``IncrementalPCA`` does, but that the mean is known (Ross, Lim, Lin & Yang, Incremental
    learning for robust visual tracking, 2008, DOI 10.1007/s11263-007-0075-7).
    """
    found = np.zeros((0, rows.width))  # axes times singular values
    for x, weight in rows.chunks():
        stacked = np.vstack([found, (x - mean) * np.sqrt(weight)[:, None]])
        _, left = linalg.eigh(stacked @ stacked.T, check_finite=False)
        found = left[:, -k:].T @ stacked
    return found


def _through(rows, mean, basis):
    """Return the scatter matrix of the rows times a basis."""
    return rows.sum(lambda x, weight: (x - mean).T @ (weight[:, None] * ((x - mean) @ basis)))


def resolved(n_components, singular_values, n_features, total, rows):
    """Return the number of components that PCA would use."""
    if n_components is None:
        _warn_of_fewer(n_components, singular_values, n_features, total, rows)
        return min(len(singular_values), n_features)
    if n_components == "mle":
        unit = max(rows.n_repeated - 1, 1) * len(rows) / rows.n_repeated
        return most_probable_size(singular_values**2 / unit, n_features, rows.n_repeated)
    if n_components == "auto":
        n_components = AUTO_SHARE
    if n_components >= 1:
        return int(n_components)
    shares = np.cumsum(singular_values**2) / (total or 1.0)
    enough = np.searchsorted(shares, n_components + ROUNDING, side="right")
    if enough >= len(shares):
        _warn_of_fewer(n_components, singular_values, n_features, total, rows)
    return min(int(enough) + 1, len(shares))


def _warn_of_fewer(asked, singular_values, n_features, total, rows):
    """Say that there may be more components than the axes that are computed of very wide rows."""
    n_axes = len(singular_values)
    if n_axes < min(len(rows), n_features):
        share = np.sum(singular_values**2) / (total or 1.0)
        warnings.warn(
            f"n_components={asked!r}: of {n_features} columns no more than {n_axes} principal axes are "
            f"computed, which explain {share:.3g} of the variance. Pass the number of components "
            "as an int to have others.",
            UserWarning,
            stacklevel=2,
        )


def _pad(axes, singular_values, k, n_rows, unbiased):
    """Return ``k`` axes and deviations; those beyond the rank are zero and 1."""
    eps = np.finfo(np.float64).eps
    tolerance = singular_values.max(initial=0) * max(n_rows, axes.shape[1]) * eps
    rank = min(k, int(np.sum(singular_values > tolerance)))
    components = np.zeros((k, axes.shape[1]))
    components[:rank] = axes[:rank]
    deviations = np.ones(k)
    deviations[:rank] = singular_values[:rank] * np.sqrt(unbiased / n_rows)
    return components, deviations
