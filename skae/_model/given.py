"""Codes of rows of which some cells are known: draws from their distribution given these cells."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

FEWEST_PARTICLES = 2000
N_MOVES = 6  # of every particle at every temperature
SHARES = 1.0, 0.5, 0.1  # of what a move draws anew
LEAST = -1e30  # log-likelihood of cells that a row cannot have, so that `tempered` comes to an end
LEAST_RIDGE = 1e-9  # of the particles' covariance


@dataclass(frozen=True, eq=False)
class Given:
    """Known cells of a row.

    Attributes
    ----------
    model : VariationalModel
    coded : ndarray of shape (n_columns,)
        The row as the schema codes it, NaN where nothing is known.
    numbers : dict
        Known numbers in units of X, by their places.
    bounds : dict
        For the places of known numbers, what the model's own draw lies between, in units of X.
    joint : Joint or None
        What goes with codes; None where all is independent given a code.
    """

    model: object
    coded: np.ndarray
    numbers: dict
    bounds: dict
    joint: object = None

    @property
    def n_units(self):
        """Number of columns that are standard normal before anything is known."""
        return self.model.task.size if self.joint is None else self.joint.n_units

    @property
    def places(self):
        """Of the columns with a known cell."""
        return np.flatnonzero(~np.isnan(self.coded))

    def put_into(self, coded, numbers):
        """Put the known cells into a coded table, and into its numbers by place."""
        coded[:, self.places] = self.coded[self.places]
        numbers |= {place: np.full(len(coded), cell) for place, cell in self.numbers.items()}

    def log_likelihood(self, units):
        """Return the log-likelihood of the known cells for every row of units, (n_rows,)."""
        codes, means, own = self.model.parted(units, self.joint)
        shape = len(codes), self.model.n_cells
        means, own = np.broadcast_to(means, shape), np.broadcast_to(own, shape)
        total = np.zeros(len(codes))
        for cell, *bounds in self.model.bounds_of_cells(codes, self.coded, self.bounds):
            low, high = ((bound - means[:, cell]) / own[:, cell] for bound in bounds)
            is_point = np.array_equal(*bounds)
            total += -(low**2) / 2 if is_point else _log_mass(low, high)
        return np.nan_to_num(total, nan=LEAST, neginf=LEAST)

    def codes(self, n, rng, labels=None):
        """Return n codes, or units of the `Joint`, drawn from their distribution given the known cells.

        Models of labels put them beside: ``labels``, coded, (n, n_labels), each distinct one in a run of its own; or they
        are drawn, too.
        """
        if labels is None:
            return self._run(n, rng)
        distinct, which = np.unique(labels, axis=0, return_inverse=True)
        order = np.argsort(which.ravel(), kind="stable")
        sizes = np.bincount(which.ravel())
        runs = [self._run(size, rng, label) for size, label in zip(sizes, distinct, strict=True)]
        return np.concatenate(runs)[np.argsort(order)]

    def _run(self, n, rng, label=None):
        """Return the codes of n rows, with one label, or with labels that are drawn."""
        size = max(n, FEWEST_PARTICLES)
        labels = None if label is None else np.tile(label, (size, 1))
        begin = self.model.prior_codes(size, rng, self.joint, labels)
        drawn = tempered(self.log_likelihood, begin, self.n_units, rng)
        return drawn[rng.permutation(size)[:n]]


def _log_mass(a, b):
    """Return the logarithm of the standard normal mass between bounds."""
    a, b = np.where(a > 0, -b, a), np.where(a > 0, -a, b)  # tails to the left are not rounded off
    upper, lower = log_ndtr(b), log_ndtr(a)
    return upper + np.log1p(-np.exp(np.minimum(lower - upper, -1e-15)))


def tempered(log_likelihood, begin, k, rng):
    """Return draws from a prior times a likelihood: k units are standard normal in the prior.

    The weight of the likelihood rises from 0 to 1, each time so far that half
    of the particles count; then these are resampled, and moved by steps that leave the
    distribution as it is (sequential Monte Carlo: Del Moral, Doucet, Jasra,
    2006, DOI 10.1111/j.1467-9868.2006.00553.x). Groups that lie apart are kept
    in proportion. ``begin`` are draws from the prior, k units and labels beside them, which are chosen
    with their codes, and do not move.
    """
    z, labels = np.hsplit(begin, [k])
    known, weight = log_likelihood(begin), 0.0

    def of_codes(z):
        return log_likelihood(np.hstack([z, labels]))

    while weight < 1:
        step = _step(known, 1 - weight)
        weight = min(1.0, weight + step)
        chosen = _resampled(step * known, rng)
        z, labels, known = z[chosen], labels[chosen], known[chosen]
        for _ in range(N_MOVES):
            z, known = _moved(z, known, of_codes, weight, rng)
    return np.hstack([z, labels])


def _step(known, most):
    """Return how much the weight may rise until half of the particles count."""
    low, high = 0.0, most
    if _n_counted(most * known) >= len(known) / 2:
        return most
    for _ in range(60):
        middle = (low + high) / 2
        enough = _n_counted(middle * known) >= len(known) / 2
        low, high = (middle, high) if enough else (low, middle)
    return max(low, np.finfo(float).eps)


def _n_counted(logarithms):
    """Return the effective number of weights."""
    weight = np.exp(logarithms - logarithms.max())
    return weight.sum() ** 2 / (weight**2).sum()


def _resampled(logarithms, rng):
    """Return places of particles, as often as their weights say: systematic resampling."""
    share = np.cumsum(np.exp(logarithms - logarithms.max()))
    n = len(share)
    at = (np.arange(n) + rng.random_sample()) / n * share[-1]
    return np.minimum(np.searchsorted(share, at), n - 1)


def _moved(z, known, log_likelihood, weight, rng):
    """Return particles after a Metropolis-Hastings step, which a normal target always accepts.

    A move draws a share of a particle anew, from the normal distribution of all.
    """
    mean, n = z.mean(axis=0), len(z)
    covariance = np.atleast_2d(np.cov(z.T)) + LEAST_RIDGE * np.eye(z.shape[1])
    root = np.linalg.cholesky(covariance)
    share = rng.choice(SHARES, size=(n, 1))
    units = np.linalg.solve(root, (z - mean).T).T
    now = np.sqrt(1 - share**2) * units + share * rng.standard_normal(z.shape)
    to = mean + now @ root.T
    known_to = log_likelihood(to)
    gain = weight * (known_to - known) - ((to**2 - z**2) - (now**2 - units**2)).sum(axis=1) / 2
    accepted = np.log(rng.random_sample(n)) < gain
    return np.where(accepted[:, None], to, z), np.where(accepted, known_to, known)
