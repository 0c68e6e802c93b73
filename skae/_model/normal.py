"""The normal distribution of rows that a linear model stands for."""

import numpy as np
from scipy import linalg


def covariance(model):
    """Return the covariance of the rows, (n_features, n_features)."""
    loadings, noise = _normal(model)
    cov = loadings.T @ loadings
    cov[np.diag_indices_from(cov)] += noise
    return cov


def precision(model):
    """Return its inverse, by the matrix inversion lemma where there is noise."""
    loadings, noise = _normal(model)
    if np.ndim(noise):
        return _inverse_by_column(loadings, noise)
    if noise == 0:
        return _inverse(covariance(model))
    inner = loadings @ loadings.T
    inner[np.diag_indices_from(inner)] += noise
    inverse = -loadings.T @ linalg.solve(inner, loadings, assume_a="pos") / noise
    inverse[np.diag_indices_from(inverse)] += 1 / noise
    return inverse


def _inverse_by_column(loadings, noise):
    """Return the same of noise that every column has for itself."""
    weighted = loadings / noise
    inner = weighted @ loadings.T + np.eye(len(loadings))
    inverse = -weighted.T @ linalg.solve(inner, weighted, assume_a="pos")
    inverse[np.diag_indices_from(inverse)] += 1 / noise
    return inverse


def singular_values(told):
    """Return those of the code of the training rows, given a model's attributes; None where not known."""
    variance, n_samples = told.get("explained_variance_"), told.get("n_samples_", 1)
    return None if variance is None else np.sqrt(max(n_samples - 1, 1) * variance)


def loadings(told, squared_lengths=1.0):
    """Return W of a linear model whose rows have the covariance W'W plus that of the noise.

    ``squared_lengths`` are those of its components.
    """
    noise = told["noise_variance_"] / squared_lengths
    beside_noise = np.maximum(told["explained_variance_"] - noise, 0.0)
    return told["components_"] * np.sqrt(beside_noise)[:, None]


def squared_lengths(components):
    """Return those of components, which need not be 1; of those beyond the rank 1."""
    squares = np.sum(components**2, axis=1)
    return np.where(squares > 0, squares, 1.0)


def _normal(model):
    """Return loadings, one row a component, and the noise variance."""
    if model.schema.encoder is not None:
        raise ValueError(
            "A table with categories, dates or column_weights has no covariance in its own units: "
            "fit columns of numbers alone."
        )
    told = model.attributes
    if "explained_variance_" not in told or "noise_variance_" not in told:
        raise ValueError(
            "This model does not know its explained_variance_ and noise_variance_: an earlier "
            "release of skae saved it. Fit again."
        )
    return model.loadings(), told["noise_variance_"]


def _inverse(cov):
    try:
        with np.errstate(divide="ignore"):
            return linalg.inv(cov)
    except linalg.LinAlgError as error:
        raise ValueError(
            "The covariance is singular, for the rows lie in fewer dimensions than there are "
            "columns: fit with fewer components, so that there is noise, or leave out constant "
            "columns."
        ) from error
