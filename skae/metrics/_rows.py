"""Scores of rows: PCA and autoencoders on one scale, and how far generated rows reach."""

import numpy as np
from sklearn.utils.validation import check_array

from skae._data.frames import NUMBER, fields, frame_of, table
from skae._parameters import unmasked

LARGEST_SQUARABLE = 1e100


def explained_share(X, reconstruction):
    r"""Share of the variance of ``X`` that a reconstruction explains.

    .. math:: 1 - \frac{\sum_{ij} (x_{ij} - \hat x_{ij})^2}{\sum_{ij} (x_{ij} - \bar x_j)^2}

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Cells that are NaN do not count.
    reconstruction : array-like of shape (n_samples, n_features)

    Returns
    -------
    share : float
        At most 1; 0 for the column means of ``X``. Rows that do not vary give
        1 if they are reconstructed exactly, else 0.

    Examples
    --------
    >>> from skae.metrics import explained_share
    >>> explained_share([[0.0], [2.0]], [[0.0], [2.0]])
    1.0
    >>> explained_share([[0.0], [2.0]], [[1.0], [1.0]])
    0.0
    """
    X = check_array(unmasked(X), dtype=np.float64, ensure_all_finite="allow-nan")
    reconstruction = check_array(reconstruction, dtype=np.float64)
    if X.shape != reconstruction.shape:
        raise ValueError(
            f"The reconstruction has shape {reconstruction.shape}, X has {X.shape}: they must agree."
        )
    largest = np.fmax.reduce(np.abs(X), axis=None, initial=0)  # of cells that are not NaN
    if largest > LARGEST_SQUARABLE:
        X, reconstruction = X / largest, reconstruction / largest
    present = ~np.isnan(X)
    if not present.all():
        return _share_of_present(X, reconstruction, present)
    error = np.sum((X - reconstruction) ** 2)
    total = np.sum((X - X.mean(axis=0)) ** 2)
    if total == 0:
        return float(error == 0)
    return float(1 - error / total)


def _share_of_present(X, reconstruction, present):
    """Return the share of the cells that are there."""
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.sum(X, axis=0, where=present) / count
    error = np.sum((X - reconstruction) ** 2, where=present)
    total = np.sum((X - mean) ** 2, where=present)
    return float(1 - error / total) if total > 0 else float(error == 0)


def reconstruction_score(estimator, X, y=None):
    """Share of variance that ``estimator`` explains: a scorer for `GridSearchCV`.

    Larger is better. It is the ``score`` of skae's estimators, and the same
    number for ``PCA`` (whose own ``score`` is a log-likelihood in nats), so
    that one search compares them without labels.

    Parameters
    ----------
    estimator : object
        Fitted, with ``transform`` and ``inverse_transform``; also a
        ``Pipeline`` of such steps.
    X : array-like of shape (n_samples, n_features)
        Rows to score, best those that ``estimator`` has not seen.
    y : None
        Ignored.

    Returns
    -------
    score : float
        `explained_share` of the reconstruction.

    Raises
    ------
    TypeError
        If ``estimator`` has no ``transform`` or no ``inverse_transform``.

    Examples
    --------
    A search over PCA and the autoencoder in one grid:

    >>> from sklearn.datasets import load_wine
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae.metrics import reconstruction_score
    >>> X = load_wine().data
    >>> search = GridSearchCV(
    ...     make_pipeline(StandardScaler(), PCA()),
    ...     {"pca__n_components": [2, 4]},
    ...     scoring=reconstruction_score,
    ... )
    >>> search.fit(X).best_params_
    {'pca__n_components': 4}
    """
    for method in ("transform", "inverse_transform"):
        if not hasattr(estimator, method):
            raise TypeError(
                f"reconstruction_score needs an estimator with transform and inverse_transform; "
                f"{type(estimator).__name__} has no {method}."
            )
    return explained_share(X, estimator.inverse_transform(estimator.transform(X)))


def mode_coverage(X, X_generated, n_neighbors=5):
    r"""Share of the rows that have a generated row in their neighbourhood.

    .. math:: \frac{1}{n} \sum_i \left[ \min_j |x_i - g_j| \le r_i \right]

    with :math:`r_i` the distance from :math:`x_i` to its k-th nearest other
    row. A generator that leaves out a group of rows loses that group's share.
    Where the generated rows are distributed as the rows, and as many, the
    expectation is about :math:`1 - 2^{-k}`: 0.97 with five neighbours. Fewer
    generated rows cover less; a generator that repeats training rows covers
    them all, so take rows that it has not seen.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Real rows. Distances are Euclidean: scale the columns as fits.
    X_generated : array-like of shape (n_generated, n_features)
        Best as many as the rows.
    n_neighbors : int, default=5
        k, at least 1 and less than ``n_samples``.

    Returns
    -------
    coverage : float
        From 0 to 1.

    Raises
    ------
    ValueError
        If the numbers of columns differ, a column is no number, or there are too few rows.

    References
    ----------
    M. F. Naeem, S. J. Oh, Y. Uh, Y. Choi, J. Yoo. Reliable fidelity and
    diversity metrics for generative models. ICML 2020.
    https://arxiv.org/abs/2002.09797

    Examples
    --------
    Two groups of rows, of which a generator makes both, or one:

    >>> import numpy as np
    >>> from skae.metrics import mode_coverage
    >>> rng = np.random.default_rng(0)
    >>> X, both = (rng.normal(size=(200, 2)) + np.repeat([[0], [9]], 100, 0) for _ in range(2))
    >>> mode_coverage(X, both) > 0.9
    True
    >>> mode_coverage(X, both[:100]) < 0.5
    True
    """
    from sklearn.neighbors import NearestNeighbors

    X, X_generated = (
        check_array(_numbers_alone(rows), dtype=np.float64) for rows in (X, X_generated)
    )
    if X.shape[1] != X_generated.shape[1]:
        raise ValueError(
            f"The generated rows have {X_generated.shape[1]} columns, X has {X.shape[1]}: they must "
            "agree."
        )
    if not 1 <= n_neighbors < len(X):
        raise ValueError(
            f"n_neighbors={n_neighbors!r}: expected from 1 to {len(X) - 1}, fewer than the rows of X."
        )
    centre = X.mean(axis=0)  # products of large numbers would drown their differences
    X, X_generated = X - centre, X_generated - centre
    radii = NearestNeighbors(n_neighbors=n_neighbors).fit(X).kneighbors()[0][:, -1]
    nearest = NearestNeighbors(n_neighbors=1).fit(X_generated).kneighbors(X)[0][:, 0]
    return float(np.mean(nearest <= radii))


def _numbers_alone(X):
    """Return rows; refuse a frame that has other columns than numbers."""
    frame = frame_of(table(X))
    others = [] if frame is None else [f.name for f in fields(frame) if f.kind != NUMBER]
    if others:
        raise ValueError(
            f"The columns {others[:3]} are not numbers, between which distances are taken: pass the codes of "
            "both tables, as transform gives them, or take skae.metrics.synthesis_report."
        )
    return X
