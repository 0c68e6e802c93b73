"""Scores of rows: PCA and autoencoders on one scale, and how far generated rows reach."""

from inspect import signature

import numpy as np
from sklearn.utils.validation import check_array

from skae._data.frames import dense, refuse_another_order
from skae._data.rows import exact_mean
from skae._parameters import unmasked

SQUARABLE = 1e-100, 1e100  # whose squares, and sums of these, are far from the ends of float64


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
        1 if they are reconstructed exactly, else 0; NaN if no cell is present.

    Raises
    ------
    ValueError
        If the shapes differ, or the columns of two frames are the same in another order.

    Examples
    --------
    >>> from skae.metrics import explained_share
    >>> explained_share([[0.0], [2.0]], [[0.0], [2.0]])
    1.0
    >>> explained_share([[0.0], [2.0]], [[1.0], [1.0]])
    0.0
    """
    refuse_another_order(X, reconstruction, "the reconstruction")
    X = _numbers(X)
    reconstruction = check_array(dense(reconstruction), dtype=np.float64)
    if X.shape != reconstruction.shape:
        raise ValueError(
            f"The reconstruction has shape {reconstruction.shape}, X has {X.shape}: they must agree."
        )
    largest = np.fmax.reduce(np.abs(X), axis=None, initial=0)  # of cells that are not NaN
    if largest and not SQUARABLE[0] < largest < SQUARABLE[1]:
        X, reconstruction = X / largest, reconstruction / largest
    present = ~np.isnan(X)
    counted = True if present.all() else present
    mean = X.mean(axis=0) if counted is True else _mean_of_present(X, present)
    mean = exact_mean(mean, np.fmin.reduce(X), np.fmax.reduce(X))
    error = np.sum((X - reconstruction) ** 2, where=counted)
    total = np.sum((X - mean) ** 2, where=counted)
    if total > 0:
        return float(1 - error / total)
    return float(error == 0) if present.any() else np.nan


def _numbers(X):
    try:
        return check_array(unmasked(dense(X)), dtype=np.float64, ensure_all_finite="allow-nan")
    except ValueError as error:
        if "could not convert" not in str(error):
            raise
        raise ValueError(
            f"X holds what is no number ({error}): of tables with categories the score(X) of an "
            "autoencoder is to be taken, which counts each column in its own unit."
        ) from error


def _mean_of_present(X, present):
    """Return the means of the cells that are there, of a column without any 0."""
    return np.sum(X, axis=0, where=present) / np.maximum(present.sum(axis=0), 1)


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
    y : array-like of shape (n_samples,) or None
        Labels, for `ConditionalVAE` alone, which infers those that it is not given.

    Returns
    -------
    score : float
        `explained_share` of the reconstruction.

    Raises
    ------
    TypeError
        If ``estimator`` has no ``transform`` or no ``inverse_transform``, if it is a ``Pipeline``
        whose last step is a `ConditionalVAE`, or if ``X`` is a `skae.stream`.

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
    model = getattr(estimator, "best_estimator_", estimator)
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    if not _needs_labels(last):
        return explained_share(X, estimator.inverse_transform(estimator.transform(X)))
    if last is not model:
        raise TypeError(
            f"reconstruction_score cannot pass labels to the {type(last).__name__} in a {type(model).__name__}: "
            "take its own score, such as scoring=None in a search, the same in the units of its last step."
        )
    return explained_share(X, model.reconstruct(X, y))


def _needs_labels(step):
    """Return whether a step decodes rows by their labels alone."""
    decode = getattr(step, "inverse_transform", None)  # "passthrough" has none
    labels = None if decode is None else signature(decode).parameters.get("y")
    return labels is not None and labels.default is labels.empty
