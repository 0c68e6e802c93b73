"""Scores of rows: PCA and autoencoders on one scale, and how far generated rows reach."""

import numpy as np
from sklearn.utils.validation import check_array

from skae._parameters import unmasked

LARGEST_SQUARABLE = 1e100


def explained_share(X, reconstruction):
    r"""Share of the variance of ``X`` that a reconstruction explains.

    .. math:: 1 - \frac{\sum_{ij} (x_{ij} - \hat x_{ij})^2}{\sum_{ij} (x_{ij} - \bar x_j)^2}

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        NaN cells are left out.
    reconstruction : array-like of shape (n_samples, n_features)

    Returns
    -------
    share : float
        At most 1; 0 for the column means of ``X``. For constant columns
        1 if they are reconstructed exactly, else 0.

    Examples
    --------
    >>> from skae.metrics import explained_share
    >>> explained_share([[0.0], [2.0]], [[0.0], [2.0]])
    1.0
    >>> explained_share([[0.0], [2.0]], [[1.0], [1.0]])
    0.0
    """
    X = _numbers(X)
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


def _numbers(X):
    """Return rows as float64."""
    try:
        return check_array(unmasked(X), dtype=np.float64, ensure_all_finite="allow-nan")
    except ValueError as error:
        if "could not convert" not in str(error):
            raise
        raise ValueError(
            f"X holds what is no number ({error}): of tables with categories the score(X) of an "
            "autoencoder is to be taken, which counts each column in its own unit."
        ) from error


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
    number for ``PCA`` (whose own ``score`` is a log-likelihood), so
    that one search compares them without labels.

    Parameters
    ----------
    estimator : object
        Fitted, with ``transform`` and ``inverse_transform``; also a
        ``Pipeline`` of such steps.
    X : array-like of shape (n_samples, n_features)
        Rows to score, preferably unseen ones.
    y : None
        Ignored.

    Returns
    -------
    score : float
        `explained_share` of the reconstruction.

    Raises
    ------
    TypeError
        If ``estimator`` has no ``transform`` or no ``inverse_transform``, or
        if ``X`` is a `skae.stream`.

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
    if hasattr(X, "tables"):
        raise TypeError(
            "reconstruction_score takes rows in memory, but X is a stream: call the score(stream) of "
            "an autoencoder, which is the same number."
        )
    return explained_share(X, estimator.inverse_transform(estimator.transform(X)))
