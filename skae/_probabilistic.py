"""Linear starts with a distribution over codes: probabilistic PCA, and a logistic regression on it."""

from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy import optimize, special

from skae._start import LinearStart, linear_start
from skae._table_start import linear_code, sample, with_logits

LEAST_NOISE = 1e-8  # relative to the mean variance of a column
LOGISTIC_ROWS, LOGISTIC_CELLS = 5000, 2**20  # at most, that a regression is fitted to


@dataclass(frozen=True)
class ProbabilisticStart(LinearStart):
    """A linear model with a standard normal prior over codes, in the prior's units.

    Attributes
    ----------
    log_variance : ndarray of shape (n_components,)
        Logarithm of the variance of the code of every row.
    level : ndarray of shape (n_features,)
        What the code of zero stands for: the mean, or logits.
    """

    log_variance: np.ndarray
    level: np.ndarray


def noise_unit(start, blocks=None):
    """Return the mean variance of a column (of numbers), 1 where none varies."""
    n = len(start.mean) if blocks is None else len(blocks.numbers)
    varies = start.column_weights[:n] > 0
    return float(np.sum(start.scale[:n] ** 2 * varies) / max(n, 1)) or 1.0


def probabilistic_pca(rows, n_components, random_state, beta=1.0):
    r"""Return probabilistic PCA as a `ProbabilisticStart`.

    With V the principal axes, :math:`\lambda` their variances and
    :math:`\sigma^2` the noise variance,

    .. math:: x \sim N(\mu + V (\Lambda - \beta \sigma^2)^{1/2} z, \sigma^2), \quad
        z | x \sim N(\Lambda^{-1} (\Lambda - \beta \sigma^2)^{1/2} V^\top (x - \mu),
        \beta \sigma^2 \Lambda^{-1})

    For a divergence of weight 1 that is probabilistic PCA, with the exact
    posterior (Tipping & Bishop, Probabilistic principal component analysis,
    1999, DOI 10.1111/1467-9868.00196); for others it is the optimum of a
    linear model all the same. The noise is at least ``LEAST_NOISE`` of the
    mean variance of a column.
    """
    start = linear_start(rows, n_components, random_state)
    variances = start.deviations**2 * start.components.any(axis=1)
    n_left = max(min(rows.n_repeated, len(start.mean)) - len(variances), 0)
    noise = _optimal_noise(variances, start.noise_variance * n_left, n_left, beta)
    noise = max(noise, LEAST_NOISE * noise_unit(start))
    share = beta * noise / np.maximum(start.deviations**2, beta * noise)
    share = np.maximum(share, LEAST_NOISE)
    encoder, decoder = _maps(start, share)
    return _with_prior(start, share, encoder, decoder, start.mean, noise)


def _optimal_noise(variances, left, n_left, beta):
    r"""Return the noise variance at the optimum of a linear model.

    A direction that is used has the squared error :math:`\beta \sigma^2`, one
    that is not its variance: those of more than that are used.
    """
    for used in range(len(variances), 0, -1):
        rest = left + variances[used:].sum()
        free = n_left + len(variances) - beta * used
        if rest <= 0 <= free:
            return 0.0
        if free > 0 and beta * rest / free < variances[used - 1]:
            return rest / free
    return (left + variances.sum()) / max(n_left + len(variances), 1)


def logistic_start(rows, n_components, random_state):
    r"""Return PCA's codes with noise, and a ridge logistic regression of columns in [0, 1] on them.

    As in probabilistic PCA, but the noise is that of independent Bernoulli
    columns: with p their means and :math:`\sigma^2` the mean of p (1 - p), a
    unit of variance :math:`\lambda` has the posterior variance
    :math:`\sigma^2 / (\lambda + \sigma^2)`. The regression is fitted to codes
    drawn from the posteriors, of some rows where there are very many.
    """
    start = linear_start(rows, n_components, random_state)
    noise = max(np.mean(start.mean * (1 - start.mean)), LEAST_NOISE * noise_unit(start))
    share = noise / (noise + start.deviations**2)
    encoder, _ = _maps(start, share)
    most = min(LOGISTIC_ROWS, LOGISTIC_CELLS // len(start.mean))
    if len(rows) > most:
        rows = rows.subset(np.sort(random_state.permutation(len(rows))[:most]))
    X = np.concatenate([chunk for chunk, _ in rows.chunks()])
    weight = np.ones(len(X)) if rows.weight is None else rows.weight
    codes = (X - start.mean) / start.scale @ encoder.T
    codes += np.sqrt(share) * random_state.standard_normal(codes.shape)
    decoder, level = _logistic_regression(codes, X, weight)
    return _with_prior(start, share, encoder, decoder, level, noise)


def probabilistic_table(rows, n_components, random_state, hidden):
    r"""Return the linear code of a table with noise, decoded to numbers and logits.

    As in `logistic_start`: a unit of variance :math:`\lambda` has the
    posterior variance :math:`\sigma^2 / (\lambda + \sigma^2)`, with
    :math:`\sigma^2` the mean variance of a column that the code leaves. The
    regressions, and the noise of the numbers, are fitted to drawn codes.
    """
    blocks, start = rows.blocks, linear_code(rows, n_components, random_state, hidden)
    noise = max(start.noise_variance, LEAST_NOISE * noise_unit(start))
    share = noise / (noise + start.deviations**2)
    encoder, decoder = _maps(start, share)
    codes, coded = sample(rows, start, random_state, hidden)
    codes = np.sqrt(1 - share) * codes + np.sqrt(share) * random_state.standard_normal(codes.shape)
    begun = _with_prior(start, share, encoder, decoder, np.zeros(rows.width), noise)
    begun, level = with_logits(begun, blocks, codes, coded)
    n = len(blocks.numbers)
    rest = blocks.widen(coded)[:, :n] - start.mean[:n] - codes @ begun.components[:, :n]
    present = ~np.isnan(rest)
    noise = np.mean(rest[present] ** 2) if present.any() else 1.0
    noise = max(noise, LEAST_NOISE * noise_unit(start, blocks))
    return replace(begun, level=level, noise_variance=float(noise))


def _maps(start, share):
    """Return the linear maps to and from codes whose rows have a ``share`` of noise."""
    share = np.where(start.components.any(axis=1), share, 1.0)
    signal = np.sqrt(1 - share)[:, None]
    deviations = start.deviations[:, None]
    return signal / deviations * start.encoder, signal * deviations * start.components


def _with_prior(start, share, encoder, decoder, level, noise):
    real = start.components.any(axis=1)
    fields = asdict(start) | {
        "encoder": encoder,
        "components": decoder,
        "deviations": np.ones(len(share)),
        "noise_variance": noise,
        "log_variance": np.log(np.where(real, share, 1.0)),
        "level": level,
    }
    return ProbabilisticStart(**fields)


def _logistic_regression(Z, X, weight):
    """Return weights (n_components, n_features) and intercepts.

    A ridge penalty of 1 draws the weights to zero, and the intercepts to the
    log odds of their columns with half a row of each value added.
    """
    Z = np.column_stack([Z, np.ones(len(Z))])
    ones = weight @ X
    odds = np.log((ones + 0.5) / (weight.sum() - ones + 0.5))

    def loss(flat):
        beta = flat.reshape(Z.shape[1], -1)
        logits = Z @ beta + odds
        losses = np.logaddexp(0, logits) - X * logits
        slopes = Z.T @ (weight[:, None] * (special.expit(logits) - X)) + beta
        return weight @ losses.sum(axis=1) + np.sum(beta**2) / 2, slopes.ravel()

    begin = np.zeros(Z.shape[1] * X.shape[1])
    beta = optimize.minimize(loss, begin, jac=True, method="L-BFGS-B").x
    beta = beta.reshape(Z.shape[1], -1)
    return beta[:-1], beta[-1] + odds
