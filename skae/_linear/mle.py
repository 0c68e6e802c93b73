"""How many components PCA has, by Minka's maximum likelihood."""

import numpy as np
from scipy.special import gammaln

LEAST_VARIANCE = 1e-15  # below which scikit-learn, too, takes a direction for empty


def most_probable_size(variances, n_features, n_samples):
    r"""Return the most probable number of principal components, as ``PCA(n_components="mle")``.

    Laplace's approximation of the evidence of a probabilistic PCA of k
    components, with the other p - k directions at their mean variance v
    (Minka, Automatic choice of dimensionality for PCA, NIPS 13, 2000,
    https://tminka.github.io/papers/pca/):

    .. math::

        \log p(k) = \log p(U) - \frac{n}{2} \Big( \sum_{i \le k} \log \lambda_i
        + (p - k) \log v \Big) + \frac{m + k}{2} \log 2\pi
        - \frac{1}{2} \log |A_k| - \frac{k}{2} \log n

    with :math:`m = pk - k(k + 1)/2` and :math:`|A_k|` the product over
    :math:`i \le k, j > i` of :math:`n (\lambda_i - \lambda_j)
    (1/\hat\lambda_j - 1/\hat\lambda_i)`.

    Parameters
    ----------
    variances : ndarray of shape (n_features,)
        Of the principal components (denominator n - 1), largest first.
    n_features : int
    n_samples : int or float

    Returns
    -------
    k : int
        From 1 to ``n_features - 1``; 1 of one column.

    Raises
    ------
    ValueError
        If there are fewer rows than columns, or not all variances are known.
    """
    p, n = n_features, n_samples
    if n < p or len(variances) < p:
        raise ValueError(
            "n_components='mle' is only supported if n_samples >= n_features, and not for sparse "
            f"rows of very many columns; X has {n:g} rows and {p} columns: pass an int, or a share "
            "of the variance."
        )
    sizes = np.arange(1, p)
    sums = np.cumsum(variances[::-1])[::-1]
    rest = np.maximum(sums[1:] / (p - sizes), LEAST_VARIANCE)
    known = int(np.sum(variances >= LEAST_VARIANCE))
    half = (p - sizes + 1) / 2
    prior = np.cumsum(gammaln(half) - np.log(np.pi) * half) - sizes * np.log(2)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(variances)
        fit = -n / 2 * (np.cumsum(logs)[:-1] + (p - sizes) * np.log(rest))
        n_pairs = p * sizes - sizes * (sizes + 1) / 2
        curvature = _log_determinants(variances, rest, known) + n_pairs * np.log(n)
        evidence = fit + prior + (n_pairs + sizes) / 2 * np.log(2 * np.pi)
        evidence -= curvature / 2 + sizes / 2 * np.log(n)
    return int(np.argmax(np.nan_to_num(evidence, nan=-np.inf))) + 1 if p > 1 else 1


def _log_determinants(variances, rest, known):
    """Return the log of the products over pairs, for k = 1, 2, ...; without the factors n."""
    out = np.full(len(rest), np.nan)
    inner = 0.0  # pairs of which both are kept
    for k in range(1, min(known, len(rest)) + 1):
        kept, new = variances[:k], variances[k - 1]
        gaps = np.log(kept[:-1] - new)
        inner += np.sum(2 * gaps - np.log(kept[:-1]) - np.log(new))
        across = np.log(kept[:, None] - variances[k:]).sum()
        with_rest = np.log(1 / rest[k - 1] - 1 / kept).sum()
        out[k - 1] = inner + across + (len(variances) - k) * with_rest
    return out
