"""Factor analyses: of rows that lack cells, with one noise variance; and the noise of every column."""

import numpy as np
from numpy.linalg import inv, solve
from scipy import linalg, optimize

MOST_FACTORS = 16
STEPS = 2  # of expectation maximisation: more learn what is chance, where few cells are present
MEANS = 5.0  # rows at the mean that every column gets: one with few cells is drawn there
LEAST_NOISE = 1e-4  # of the mean variance of a column
MOST_ROWS, ROWS_AT_ONCE = 20_000, 4096
MOST_SEARCHED = 300  # steps of the search for the noise of every column


def factor_analysis(rows, model, random_state):
    r"""Return the loadings and the noise precisions of the standardised rows of a table.

    Probabilistic PCA by expectation maximisation, in which every row counts
    with the cells it has (Tipping & Bishop, Probabilistic principal component
    analysis, 1999, DOI 10.1111/1467-9868.00196; Ilin & Raiko, Practical
    approaches to principal component analysis in the presence of missing
    values, 2010, https://jmlr.org/papers/v11/ilin10a.html):

    .. math:: x \sim N(\mu + W z, \sigma^2 I), \quad z \sim N(0, I)

    It starts at PCA of the rows whose missing cells are column means, ``model`` in the units of the
    cells that are present, and a few steps are taken, each with a ridge: both keep it from learning what is
    chance. Of very many rows a part is used. The loadings are W over the columns' scales, (width, n_factors),
    the precisions the columns' squared scales over :math:`\sigma^2`.
    """
    rows = rows.some(MOST_ROWS, random_state)
    varies = model.column_weights > 0
    variance = np.mean(model.scale**2 * varies)
    if variance == 0:
        return np.zeros((rows.width, 0)), np.ones(rows.width)
    loadings, noise = _start(rows, model, variance)
    for _ in range(STEPS):
        loadings, noise = _step(rows, model.mean, loadings, noise)
        noise = max(noise, LEAST_NOISE * variance)
    loadings = np.where(varies[:, None], loadings, 0.0)
    return loadings / model.scale[:, None], model.scale**2 / noise


def _start(rows, model, variance):
    """Return loadings and noise variance of mean-filled rows, as if all cells were present."""
    n_factors = min(len(model.deviations), MOST_FACTORS)
    present = rows.sum(lambda x, weight: np.sum(weight @ ~np.isnan(x))) / (len(rows) * rows.width)
    loadings = (model.components * model.deviations[:, None])[:n_factors].T / np.sqrt(present)
    left = variance - np.sum(loadings**2) / rows.width
    return loadings, max(left, 0.1 * variance)


def _step(rows, mean, loadings, noise):
    """Return loadings and noise variance after a step of expectation maximisation."""
    width, n_factors = loadings.shape

    def moments(x, weight):
        x = x - mean
        present = (~np.isnan(x)).astype(np.float64)
        x = np.nan_to_num(x, nan=0.0)
        code, covariance = posterior(x, present, loadings, noise)
        second = code[:, :, None] * code[:, None, :] + covariance
        weighted = (x * weight[:, None]).T
        return (
            (present * weight[:, None]).T @ second.reshape(len(x), -1),
            weighted @ code,
            np.sum(weighted.T * x),
            np.sum(weight @ present),
        )

    second, with_rows, square, count = rows.sum(moments, ROWS_AT_ONCE)
    second = second.reshape(width, n_factors, n_factors)
    ridge = MEANS * len(rows) / rows.n_repeated * np.eye(n_factors)  # weights have a mean of 1
    loadings = solve(second + ridge, with_rows[:, :, None])[:, :, 0]
    explained = 2 * np.sum(loadings * with_rows)
    explained -= np.einsum("ij,ijk,ik->", loadings, second, loadings)
    return loadings, max(square - explained, 0.0) / count


def posterior(x, present, loadings, noise):
    """Return mean and covariance of the factors of centred rows, whose missing cells are zero."""
    n_factors = loadings.shape[1]
    pairs = (loadings[:, :, None] * loadings[:, None, :]).reshape(len(loadings), -1)
    gram = (present @ pairs).reshape(-1, n_factors, n_factors) / noise + np.eye(n_factors)
    covariance = inv(gram)
    return (covariance @ (x @ loadings / noise)[:, :, None])[:, :, 0], covariance


def fill(x, loadings, precision):
    """Return standardised rows, their missing cells at what is expected given the others."""
    import torch

    from skae.nn.cells import completed, factors  # a fitted file's linear models need no torch

    parts = factors(loadings, precision)
    filled = np.empty_like(x)
    for start in range(0, len(x), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        filled[some] = completed(torch.from_numpy(x[some]), *parts).numpy()
    return filled


def column_noises(covariance, k, least):
    r"""Return the noise variance of every column in the most likely factor analysis of k factors.

    .. math:: x \sim N(\mu, W W^\top + \Psi), \quad \Psi \text{ diagonal}

    Given :math:`\Psi` the best W is known: with :math:`\theta` the k largest
    eigenvalues of the covariance S of the columns over the roots of their noise, minus
    twice the mean log-likelihood is, but for a constant,

    .. math:: \log |\Psi| + \mathrm{tr}(\Psi^{-1} S)
        + \sum_i (\log \theta_i - \theta_i + 1), \quad \theta_i \ge 1

    which L-BFGS-B makes as small as it can (Jöreskog, Some contributions to maximum
    likelihood factor analysis, 1967, DOI 10.1007/BF02289658). k is below the number of columns;
    ``least``, above zero, is the least noise of each, or its variance where that is smaller.
    """
    variances, n = np.diag(covariance), len(covariance)
    least = np.minimum(least, variances)

    def loss(logarithms):
        root = np.exp(-logarithms / 2)
        scaled = covariance * root[:, None] * root
        largest = {"subset_by_index": [n - k, n - 1], "check_finite": False}
        values, axes = linalg.eigh(scaled, **largest)
        values, ratio = np.maximum(values, 1.0), np.diag(scaled)
        nats = logarithms.sum() + ratio.sum() + np.sum(np.log(values) - values + 1)
        return nats, 1 + axes**2 @ (values - 1) - ratio

    bounds = np.log(np.column_stack([least, variances]))
    begin = np.log(np.maximum(variances / 2, least))
    options = {"maxiter": MOST_SEARCHED, "ftol": 1e-12, "gtol": 1e-7}
    found = optimize.minimize(
        loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    return np.exp(found.x)
