"""How well generated rows match real ones."""

from numbers import Integral

import numpy as np
from scipy.special import expit
from sklearn.metrics import pairwise_distances_chunked
from sklearn.utils import check_array

from skae._data.frames import NUMBER, dense, fields, frame_of, refuse_another_order, table
from skae._parameters import counted
from skae.metrics._rows import SQUARABLE

ACTIVATIONS = {
    "identity": lambda x: x,
    "logistic": expit,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
}


def mode_coverage(X, X_generated, n_neighbors=5):
    r"""Share of the rows that have a generated row in their neighbourhood.

    .. math:: \frac{1}{n} \sum_i \left[ \min_j |x_i - g_j| \le r_i \right]

    with :math:`r_i` the distance from :math:`x_i` to its k-th nearest other
    row. A generator that leaves out a group of rows loses that group's share.
    For equally many generated rows of the same distribution the
    expectation is about :math:`1 - 2^{-k}`: 0.97 with five neighbours. Fewer
    generated rows cover less. A generator that repeats training rows covers
    them all, so pass unseen rows.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Real rows. Distances are Euclidean: scale the columns first.
    X_generated : array-like of shape (n_generated, n_features)
        Preferably as many as the rows.
    n_neighbors : int, default=5
        k, at least 1 and less than ``n_samples``.

    Returns
    -------
    coverage : float
        From 0 to 1.

    Raises
    ------
    ValueError
        If the numbers of columns differ, a column is not numeric, or there are too few rows.

    References
    ----------
    M. F. Naeem, S. J. Oh, Y. Uh, Y. Choi, J. Yoo. Reliable fidelity and
    diversity metrics for generative models. ICML 2020.
    https://arxiv.org/abs/2002.09797

    Examples
    --------
    Two groups of rows, and generators of both and of one:

    >>> import numpy as np
    >>> from skae.metrics import mode_coverage
    >>> rng = np.random.default_rng(0)
    >>> X, both = (rng.normal(size=(200, 2)) + np.repeat([[0], [9]], 100, 0) for _ in range(2))
    >>> mode_coverage(X, both) > 0.9
    True
    >>> mode_coverage(X, both[:100]) < 0.5
    True
    """
    X, X_generated = _neighbours(X, X_generated, n_neighbors)
    return float(np.mean(_distances(X_generated, X, 1) <= _distances(X, None, n_neighbors)))


def precision_recall(X, X_generated, n_neighbors=3):
    r"""Share of generated rows among real ones, and of real rows among generated ones.

    .. math::

        \text{precision} &= \frac{1}{m} \sum_j
            \left[ \exists i: |g_j - x_i| \le r_k(x_i) \right] \\
        \text{recall} &= \frac{1}{n} \sum_i
            \left[ \exists j: |x_i - g_j| \le r_k(g_j) \right]

    with :math:`r_k` the distance of a row to its k-th nearest other row of the
    same kind. Precision falls with unrealistic rows, recall with
    real rows that the generator misses. Generated rows far from all
    others have large neighbourhoods, which inflate recall, but not
    `mode_coverage`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Real rows, preferably unseen by the generator. Distances are
        Euclidean: scale the columns first, or pass a classifier's features.
    X_generated : array-like of shape (n_generated, n_features)
        Preferably as many as the rows.
    n_neighbors : int, default=3
        k, at least 1 and less than the number of rows of either kind.

    Returns
    -------
    precision, recall : float
        From 0 to 1. Two samples of one distribution do not reach 1: with normal
        columns they give 0.98 with two, and 0.74 with 32.

    Raises
    ------
    ValueError
        If the numbers of columns differ, or there are too few rows.

    References
    ----------
    T. Kynkäänniemi, T. Karras, S. Laine, J. Lehtinen, T. Aila. Improved precision
    and recall metric for assessing generative models. NeurIPS 2019.
    https://arxiv.org/abs/1904.06991

    Examples
    --------
    One of two groups, with realistic rows:

    >>> import numpy as np
    >>> from skae.metrics import precision_recall
    >>> rng = np.random.default_rng(0)
    >>> X, both = (rng.normal(size=(200, 2)) + np.repeat([[0], [9]], 100, 0) for _ in range(2))
    >>> precision, recall = precision_recall(X, both[:100])
    >>> bool(precision > 0.9), bool(recall < 0.5)
    (True, True)
    """
    X, X_generated = _neighbours(X, X_generated, n_neighbors)
    if n_neighbors >= len(X_generated):
        raise ValueError(
            f"n_neighbors={n_neighbors!r}: expected fewer than the {len(X_generated)} generated rows."
        )
    return _share_within(X_generated, X, n_neighbors), _share_within(X, X_generated, n_neighbors)


def frechet_distance(X, X_generated, classifier=None):
    r"""Fréchet distance between normal distributions of real and of generated rows.

    .. math:: |\mu - \mu_g|^2 + \mathrm{tr} \left( \Sigma + \Sigma_g
        - 2 (\Sigma \Sigma_g)^{1/2} \right)

    with means and covariances of the rows, or of the last hidden layer of
    a classifier. The latter is the "FID" of images, with a
    classifier of your own data in place of the usual one. Values of
    different classifiers, or different numbers of rows, are not comparable.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Real rows, preferably unseen by generator and classifier.
    X_generated : array-like of shape (n_generated, n_features)
    classifier : MLPClassifier or None, default=None
        Fitted to real rows. None compares the columns themselves.

    Returns
    -------
    distance : float
        At least 0, in squared units of the columns, or of the classifier's
        hidden units. Above 0 for two finite samples of one distribution, the more so the
        fewer the rows: compare it with the distance of other real rows.

    Raises
    ------
    ValueError
        If the numbers of columns differ, there are fewer than two rows, or
        ``classifier`` is not a fitted MLPClassifier.

    References
    ----------
    M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter. GANs trained
    by a two time-scale update rule converge to a local Nash equilibrium.
    NeurIPS 2017. https://arxiv.org/abs/1706.08500

    D. C. Dowson, B. V. Landau. The Fréchet distance between multivariate normal
    distributions. Journal of Multivariate Analysis, 1982.
    DOI 10.1016/0047-259X(82)90077-X

    Examples
    --------
    A mean shifted by 3 in one of two columns:

    >>> import numpy as np
    >>> from skae.metrics import frechet_distance
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> round(frechet_distance(X, X + [3, 0]), 6)
    9.0
    """
    X, X_generated = _pair(X, X_generated, ensure_min_samples=2)
    if classifier is not None:
        X, X_generated = (_hidden(classifier, rows) for rows in (X, X_generated))
    covariances = [np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (X, X_generated)]
    values, axes = np.linalg.eigh(covariances[0])
    root = axes * np.sqrt(np.maximum(values, 0)) @ axes.T
    shared = np.linalg.eigvalsh(root @ covariances[1] @ root)  # those of the product
    spread = sum(map(np.trace, covariances)) - 2 * np.sqrt(np.maximum(shared, 0)).sum()
    return float(np.sum((X.mean(axis=0) - X_generated.mean(axis=0)) ** 2) + max(spread, 0))


def _pair(X, X_generated, **checks):
    """Return rows of both kinds, with as many columns."""
    refuse_another_order(X, X_generated, "the generated rows")
    X, X_generated = (
        check_array(_numbers(rows), dtype=np.float64, **checks) for rows in (X, X_generated)
    )
    if X.shape[1] != X_generated.shape[1]:
        raise ValueError(
            f"The generated rows have {counted(X_generated.shape[1], 'column')}, X has {X.shape[1]}: they must "
            "agree."
        )
    largest = max(np.abs(rows).max() for rows in (X, X_generated))
    if largest > SQUARABLE[1]:
        raise ValueError(
            f"The rows have values as large as {largest:.3g}, whose squares are beyond float64: scale "
            "the columns of both, for example with StandardScaler."
        )
    return X, X_generated


def _neighbours(X, X_generated, n_neighbors):
    """Return rows whose neighbours are asked for."""
    X, X_generated = _pair(X, X_generated)
    if not isinstance(n_neighbors, Integral) or not 1 <= n_neighbors < len(X):
        raise ValueError(
            f"n_neighbors={n_neighbors!r}: expected an int from 1 to {len(X) - 1}, fewer than the rows of X."
        )
    centre = X.mean(axis=0)  # products of large numbers would drown their differences
    return X - centre, X_generated - centre


def _distances(X, queries, k):
    """Return the distance of each query to its k-th nearest row; of rows to others, where they are None."""
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=k).fit(X).kneighbors(queries)[0][:, -1]


def _share_within(queries, X, n_neighbors):
    """Return the share of queries that lie in the neighbourhood of some row."""
    radii = _distances(X, None, n_neighbors)
    parts = pairwise_distances_chunked(
        queries, X, reduce_func=lambda d, _: (d <= radii).any(axis=1)
    )
    return float(np.concatenate(list(parts)).mean())


def _hidden(classifier, X):
    """Return what the last hidden layer of a multi-layer perceptron makes of rows."""
    if not hasattr(classifier, "coefs_"):
        raise ValueError(
            f"classifier={classifier!r}: expected a fitted MLPClassifier, whose last hidden layer is read."
        )
    layers = list(zip(classifier.coefs_, classifier.intercepts_, strict=True))
    for weights, bias in layers[:-1]:
        X = ACTIVATIONS[classifier.activation](X @ weights + bias)
    return X


def _numbers(X):
    """Return rows; refuse a frame that has other columns than numbers."""
    frame = frame_of(table(X))
    others = [] if frame is None else [f.name for f in fields(frame) if f.kind != NUMBER]
    if others:
        raise ValueError(
            f"The columns {others[:3]} are not numbers, so rows have no distances: pass the codes of both tables "
            "(what transform returns), or use skae.metrics.synthesis_report."
        )
    return dense(X)
