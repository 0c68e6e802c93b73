"""Codes and residuals of drawn rows, which go together as those of the training rows do."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

LEAST_SHARE = 1e-300  # of a level and those before it
LARGEST = 4.0  # residual that counts in full


@dataclass(frozen=True, eq=False)
class Joint:
    r"""A normal distribution of codes z and residuals e: of what is drawn, not of the likelihood.

    The residual of a number is its difference from the reconstruction, in
    standard deviations of the noise; that of a level l is :math:`\Phi^{-1}(u)`, with u
    uniform between P(level < l | z) and P(level <= l | z). Of a model that is right
    all are independent and standard normal. Here their covariance C is that of the training rows:

    .. math:: (z, w) = u R, \quad e = w + d \epsilon, \quad R^\top R = C - \mathrm{diag}(0, d^2)

    with u and :math:`\epsilon` standard normal, so that given u the cells are independent.

    Attributes
    ----------
    root : ndarray of shape (n_units, n_units)
        R; the first columns are of the code.
    own : ndarray of shape (n_cells,)
        d.
    """

    root: np.ndarray
    own: np.ndarray

    @classmethod
    def of(cls, covariance, size):
        """Return that of a covariance of codes of ``size`` and residuals."""
        left = np.linalg.inv(np.linalg.inv(covariance)[size:, size:])  # of residuals given a code
        deviation = np.sqrt(np.diag(left))
        own = deviation**2 * np.linalg.eigvalsh(left / np.outer(deviation, deviation))[0]
        variance, axes = np.linalg.eigh(covariance - np.diag(np.r_[np.zeros(size), own]))
        return cls(np.sqrt(np.maximum(variance, 0))[:, None] * axes.T, np.sqrt(own))

    @property
    def n_units(self):
        """Number of u."""
        return len(self.root)

    def split(self, units):
        """Return codes, with the labels that stand after u, and the means w of residuals."""
        u, labels = np.hsplit(units, [self.n_units])
        z, w = np.hsplit(u @ self.root, [self.n_units - len(self.own)])
        return np.hstack([z, labels]), w


def squares(codes, residuals, weight):
    """Return the weighted sum of squares and products of codes and residuals: outliers count as `LARGEST`."""
    both = np.hstack([codes, residuals]).clip(-LARGEST, LARGEST)
    return both.T @ (weight[:, None] * both)


def covariance(sums, n_rows):
    """Return the covariance of such sums, and of some more rows in which all is independent."""
    n_more = np.sqrt(len(sums))
    sums = (sums + sums.T) / 2  # but for rounding they are symmetric
    return (sums + n_more * np.eye(len(sums))) / (n_rows + n_more)


def level_at(probabilities, residuals):
    """Return the codes of levels, (n_samples,), at residuals."""
    below = probabilities.cumsum(axis=1)[:, :-1]
    return (below < ndtr(residuals)[:, None]).sum(axis=1)


def bounds_of_level(probabilities, codes):
    """Return what the residuals of levels lie between, (n_samples,) each."""
    below = ndtri(probabilities.cumsum(axis=1)[:, :-1].clip(LEAST_SHARE, 1 - 1e-16))
    ends = np.full((len(below), 1), np.inf)
    below = np.hstack([-ends, below, ends])
    rows = np.arange(len(below))
    return below[rows, codes], below[rows, codes + 1]


def residual_of_level(probabilities, codes, rng):
    """Return residuals of levels, drawn between their bounds."""
    low, high = map(ndtr, bounds_of_level(probabilities, codes))
    return ndtri(low + (high - low) * (1 - rng.random_sample(len(low))))
