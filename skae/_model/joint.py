"""Codes and residuals of drawn rows, which go together as those of the training rows do."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri
from sklearn.exceptions import ConvergenceWarning

LEAST_SHARE = 1e-300  # of a level and those before it
LARGEST = 4.0  # residual that counts in full
N_COMPONENTS = 5  # of a mixture
HELD_OUT = 4  # one of so many rows tells whether a mixture is likelier
MOST_STEPS = 50  # of its fit
LEAST_GAIN = 1e-2  # nats a row, for which another step is taken


@dataclass(frozen=True, eq=False)
class Joint:
    r"""A mixture of normal distributions of codes z and residuals e: of what is drawn, not of the likelihood.

    The residual of a number is its difference from the reconstruction, in
    standard deviations of the noise; that of a level l is :math:`\Phi^{-1}(u)`, with u
    uniform between P(level < l | z) and P(level <= l | z). Of a model that is right
    all are independent and standard normal. Here they are as those of the training rows.
    In a component of mean m and covariance C

    .. math:: (z, w) = m + u R, \quad e = w + d \epsilon, \quad R^\top R = C - \mathrm{diag}(0, d^2)

    with u and :math:`\epsilon` standard normal, so that given u and the component the cells are independent.

    Attributes
    ----------
    shares : ndarray of shape (n_components,)
        Of the components; they add up to 1.
    means : ndarray of shape (n_components, n_units)
        m.
    roots : ndarray of shape (n_components, n_units, n_units)
        R; the first columns are of the code.
    own : ndarray of shape (n_components, n_cells)
        d.
    """

    shares: np.ndarray
    means: np.ndarray
    roots: np.ndarray
    own: np.ndarray

    @classmethod
    def of(cls, size, covariances, means=0.0, shares=(1.0,)):
        """Return that of components, given their covariances of codes of ``size`` and residuals."""
        roots, own = zip(*(_parts(covariance, size) for covariance in covariances), strict=True)
        means = np.broadcast_to(means, covariances.shape[:2])
        return cls(np.array(shares), means, np.array(roots), np.array(own))

    @property
    def n_units(self):
        return self.roots.shape[-1]

    def draw(self, n, rng):
        """Return u of n rows, and of several components the number of the row's in a last column."""
        units = rng.standard_normal((n, self.n_units))
        if len(self.shares) == 1:
            return units
        return np.column_stack([units, rng.choice(len(self.shares), n, p=self.shares)])

    def split(self, units):
        """Return codes, with the labels that stand after what was drawn, and of residuals w and d."""
        first = self.n_units + (len(self.shares) > 1)
        drawn, labels = np.hsplit(units, [first])
        u, which = drawn[:, : self.n_units], drawn[:, self.n_units :].sum(axis=1).astype(int)
        both = np.empty_like(u)
        for number in np.unique(which):
            here = which == number
            both[here] = self.means[number] + u[here] @ self.roots[number]
        z, w = np.hsplit(both, [self.n_units - self.own.shape[1]])
        return np.hstack([z, labels]), w, self.own[which]


def _parts(covariance, size):
    both, deviation = correlations(covariance)
    left = np.linalg.inv(np.linalg.inv(both)[size:, size:])  # of residuals given a code
    own = np.diag(left) * np.linalg.eigvalsh(correlations(left)[0])[0]
    variance, axes = np.linalg.eigh(both - np.diag(np.r_[np.zeros(size), own]))
    root = np.sqrt(np.maximum(variance, 0))[:, None] * axes.T * deviation
    return root, np.sqrt(own) * deviation[size:]


def correlations(covariance):
    """Return correlations, and standard deviations, whose sizes may be far apart: rounding knows one size."""
    deviation = np.sqrt(np.diag(covariance))
    return covariance / np.outer(deviation, deviation), deviation


def squares(both, weight):
    """Return the weighted sum of squares and products of codes and residuals."""
    return both.T @ (weight[:, None] * both)


def covariance(sums, n_rows):
    """Return the covariance of such sums, and of some more rows in which all is independent."""
    n_more = np.sqrt(len(sums))
    sums = (sums + sums.T) / 2  # but for rounding they are symmetric
    own = np.diag(sums) / n_rows
    own = np.where(own > np.finfo(float).tiny, own, 1.0)  # what never differs has no size
    return (sums + n_more * np.diag(own)) / (n_rows + n_more)


def mixture_of(draws, weight, covariance, rng):
    """Return shares, means and covariances of a mixture; {} where held-out rows do not prove it.

    ``draws``, (n_draws, n_samples, n_units), are codes and residuals, several of each row. ``covariance``
    is that of one normal distribution, than which the mixture has to be likelier by two standard errors.
    """
    both, deviation = correlations(covariance)
    variance, axes = np.linalg.eigh(both)
    units = (draws / deviation) @ (axes / np.sqrt(variance))
    held_out, rest = np.split(rng.permutation(len(weight)), [len(weight) // HELD_OUT])
    fits = [_mixture(k, units[:, rest], weight[rest], rng) for k in (1, N_COMPONENTS)]
    one, several = (
        np.mean([fit.score_samples(x) for x in units[:, held_out]], axis=0) for fit in fits
    )
    if not _proven(several - one, weight[held_out]):
        return {}
    found = _mixture(N_COMPONENTS, units, weight, rng)
    root = deviation[:, None] * np.sqrt(variance) * axes
    covariances = root @ found.covariances_ @ root.T
    return {
        "shares": found.weights_ / found.weights_.sum(),
        "means": found.means_ @ root.T,
        "covariances": (covariances + covariances.swapaxes(1, 2)) / 2,
    }


def _mixture(n_components, draws, weight, rng):
    """Return a fitted mixture, whose covariances are drawn towards the identity: as if by a row a unit."""
    from sklearn.mixture import BayesianGaussianMixture  # takes long to import

    if (weight != weight[0]).any():  # it takes no weights
        draws = draws[:, rng.choice(len(weight), len(weight), p=weight / weight.sum())]
    rows = draws.reshape(-1, draws.shape[-1])
    n_rows, size = rows.shape
    mixture = BayesianGaussianMixture(
        n_components=n_components,
        init_params="k-means++",  # which any number of threads does alike
        weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=1.0,
        mean_precision_prior=1.0,
        mean_prior=np.zeros(size),
        degrees_of_freedom_prior=size,
        covariance_prior=size * np.eye(size),
        max_iter=MOST_STEPS,
        tol=LEAST_GAIN * n_rows,
        random_state=rng,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # held-out rows judge it
        return mixture.fit(rows)


def _proven(gain, weight):
    """Return whether a mean gain is above two standard errors."""
    mean = np.average(gain, weights=weight)
    error = np.sqrt(np.average((gain - mean) ** 2, weights=weight) / len(gain))
    return mean > 2 * error


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
