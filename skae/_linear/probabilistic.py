"""Linear models with a distribution over codes: probabilistic PCA, and a logistic regression on it."""

from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy import optimize, special
from sklearn.utils.extmath import svd_flip

from skae._data.labels import Residuals
from skae._data.rows import exact_mean
from skae._data.schema import HIDDEN
from skae._linear.factors import MEANS, column_noises
from skae._linear.mixed import (
    filled,
    linear_code,
    missing_share,
    present_moments,
    sample,
    weight_of,
    with_logits,
)
from skae._linear.pca import LinearModel, pca, rounding, scatter
from skae.metrics import explained_share

LEAST_NOISE = 1e-8  # relative to the mean variance of a column
LEAST_OF_COLUMN = 0.005  # of the variance of a column: its noise, as R's factanal has it
LEAST_SHARE = 1e-10  # of the largest variance of coded labels: less is rounding
LOGISTIC_ROWS, LOGISTIC_CELLS = 5000, 2**20  # at most, that a regression is fitted to
NOISE_OF_PRESENT = 0.0, 0.5, 1.0  # powers of the share of present cells that noise is multiplied by
MOST_PASSES, EXACT = 30, 1e-24  # of conjugate gradients, and the squared error that is none


@dataclass(frozen=True)
class ProbabilisticModel(LinearModel):
    """A linear model with a standard normal prior over codes, in the prior's units.

    Attributes
    ----------
    log_variance : ndarray of shape (n_components,)
        Logarithm of the variance of the code of every row.
    level : ndarray of shape (n_features,)
        What the code of zero stands for: the mean, or logits.
    explained : ndarray of shape (n_components,)
        Share of the variance that PCA explains with 1, 2, ... components.
    noises : ndarray of shape (n_components,)
        Noise variance with 1, 2, ... components.
    spread : ndarray of shape (n_components,)
        The noise variance at which a unit would say nothing.
    noise_ratios : ndarray of shape (n_numbers,)
        What these variances are multiplied by, for each column: all 1 where
        one noise is that of all columns.
    """

    log_variance: np.ndarray
    level: np.ndarray
    explained: np.ndarray
    noises: np.ndarray
    spread: np.ndarray
    noise_ratios: np.ndarray

    @property
    def least_noises(self):
        """What training leaves of the noise of each column, over its ratio."""
        variances = self.scale[: len(self.noise_ratios)] ** 2
        return np.minimum(LEAST_OF_COLUMN * variances / self.noise_ratios, self.noises[-1])

    def first(self, k):
        """Return the model with the first ``k`` components: with more noise, and so smaller means."""
        if k == len(self.deviations):
            return self
        share, whole = self._noise_share(k), np.exp(self.log_variance[:k])
        signal = np.sqrt(np.divide(1 - share, 1 - whole, out=np.ones(k), where=whole < 1))[:, None]
        return replace(
            self,
            components=signal * self.components[:k],
            encoder=signal * self.encoder[:k],
            deviations=self.deviations[:k],
            offset=self.offset[:k],
            unexplained=float(1 - self.explained[k - 1]),
            noise_variance=float(self.noises[k - 1]),
            log_variance=np.log(share),
            explained=self.explained[:k],
            noises=self.noises[:k],
            spread=self.spread[:k],
        )

    @property
    def shares(self):
        """Share of the variance that posterior means of 1, 2, ... components explain."""
        gains = np.diff(self.explained, prepend=0.0)
        sizes = range(1, len(gains) + 1)
        return np.array([gains[:k] @ (1 - self._noise_share(k) ** 2) for k in sizes])

    def scores(self, X):
        """Return the share of the variance of rows that posterior means of 1, 2, ... explain."""
        standardised, scores = (X - self.mean) / self.scale, []
        for k in range(1, len(self.components) + 1):
            first = self.first(k)
            outputs = standardised @ first.encoder.T @ first.components + first.level
            scores.append(explained_share(X, self._rows(outputs)))
        return np.array(scores)

    def _rows(self, outputs):
        return outputs

    def _noise_share(self, k):
        """Return the variance of the code of every row, of ``k`` components."""
        return np.clip(self.noises[k - 1] / self.spread[:k], LEAST_NOISE, 1.0)


@dataclass(frozen=True)
class ConditionalModel(ProbabilisticModel):
    """A `ProbabilisticModel` of what a linear map of the labels leaves of the rows.

    Attributes
    ----------
    effects : ndarray of shape (n_labels, n_features)
        That map, from coded labels to rows. ``mean`` is what a coded label of
        zero stands for; ``scale``, ``column_weights`` and ``unexplained`` are
        those of the rows themselves.
    """

    effects: np.ndarray

    shares = None  # of the rows, beside what labels explain

    @property
    def units(self):
        """Mean and scale of rows with their labels beside them."""
        n_labels = len(self.effects)
        return np.append(self.mean, np.zeros(n_labels)), np.append(self.scale, np.ones(n_labels))

    @property
    def maps(self):
        """From standardised rows and labels to the code, and from code and labels to rows."""
        return self._maps_less(self.effects)

    def _maps_less(self, taken):
        """Return the `maps`, where the encoder takes ``taken`` off the rows for their labels."""
        encoder, decoder = super().maps
        encoder = np.hstack([encoder, -encoder @ (taken / self.scale).T])
        return encoder, np.vstack([decoder, self.effects / self.scale])


class LogisticModel(ProbabilisticModel):
    """The model of Bernoulli columns: what it explains is known from rows only."""

    shares = None

    def _rows(self, outputs):
        return special.expit(outputs)


@dataclass(frozen=True)
class ProbabilisticTableModel(ProbabilisticModel):
    """The model of tables, with what fills missing cells as in a `TableModel`: what it explains is known from rows only."""

    loadings: np.ndarray
    precision: np.ndarray

    shares = None


@dataclass(frozen=True)
class ConditionalTableModel(ConditionalModel):
    """A `ProbabilisticTableModel` of what a linear map of the labels leaves of a table.

    Attributes
    ----------
    effects : ndarray of shape (n_labels, width)
        What labels add to the numbers and the logits.
    loadings, precision : ndarray
        As of a `TableModel`, of what the labels leave.
    taken : ndarray of shape (n_labels, width)
        What the labels account for in the wide rows: it is taken off before
        these are filled and coded.
    """

    loadings: np.ndarray
    precision: np.ndarray
    taken: np.ndarray

    @property
    def maps(self):
        return self._maps_less(self.taken)


def noise_unit(model, blocks=None):
    """Return the mean variance of a column (of numbers), 1 where none varies."""
    n = len(model.mean) if blocks is None else len(blocks.numbers)
    varies = model.column_weights[:n] > 0
    return float(np.sum(model.scale[:n] ** 2 * varies) / max(n, 1)) or 1.0


def probabilistic_pca(rows, n_components, random_state, beta=1.0, noise="isotropic", grid=0.0):
    r"""Return probabilistic PCA as a `ProbabilisticModel`.

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

    With ``noise="columns"`` it is factor analysis: the same of columns over the roots of
    their noise variances. ``grid`` is the variance that rounding to its grid gives each column.
    """
    model = pca(rows, n_components, random_state)
    ratios = np.ones(rows.width)
    if noise == "columns":
        model, ratios = _over_noise(rows, model, grid)
    noises = np.maximum(_noises(model, rows, beta), LEAST_NOISE * noise_unit(model))
    noise = noises[-1]
    share = beta * noise / np.maximum(model.deviations**2, beta * noise)
    share = np.maximum(share, LEAST_NOISE)
    encoder, decoder = _maps(model, share)
    spread = model.deviations**2 / max(beta, LEAST_NOISE)
    parts = _prior(model, share, encoder, decoder, model.mean, noises, spread)
    return ProbabilisticModel(**parts | {"noise_ratios": ratios})


def _over_noise(rows, model, grid):
    """Return PCA of the columns over the roots of their noises, in units of X, and the ratios of these.

    At the optimum of factor analysis such columns have one noise variance, as PCA takes it.
    """
    varies, k, unit = model.column_weights > 0, len(model.deviations), noise_unit(model)
    if k >= varies.sum() or not model.components.any(axis=1).all():
        return model, np.ones(rows.width)  # nothing is left for noise
    covariance, variance = scatter(rows, model.mean) / len(rows), model.scale**2
    noises = np.full(rows.width, max(model.noise_variance, LEAST_NOISE * unit))
    least = _least_noises(variance, grid)[varies]
    noises[varies] = column_noises(covariance[np.ix_(varies, varies)], k, least)
    ratios = noises / unit
    root = np.sqrt(ratios)
    values, axes = np.linalg.eigh(covariance / root[:, None] / root)
    values, axes = values[::-1][:k], axes.T[::-1][:k]
    components = svd_flip(None, axes, u_based_decision=False)[1] * root
    explained = np.sum(components**2, axis=1) @ values / variance[varies].sum()
    changes = {
        "components": components,
        "encoder": components * model.scale / ratios,
        "deviations": np.sqrt(values),
        "unexplained": float(np.clip(1 - explained, 0, 1)),
        "noise_variance": unit,
    }
    return replace(model, **changes), ratios


def conditional_pca(rows, n_components, random_state, beta=1.0):
    r"""Return probabilistic PCA of what the labels leave of `LabelledRows`, as a `ConditionalModel`.

    With c the coded label of a row, and W from the least squares of x on c,

    .. math:: x \mid c \sim N(\mu + W^\top c + V (\Lambda - \beta \sigma^2)^{1/2} z, \sigma^2)

    which is the most likely model that is linear in z and c. ``n_components`` is resolved as PCA
    resolves it on what the labels leave.
    """
    effects, explained = _regression(rows)
    model = probabilistic_pca(Residuals(rows, effects), n_components, random_state, beta)
    variance = model.variances + explained
    fields = asdict(model) | _in_units_of_rows(model, variance, len(rows))
    return ConditionalModel(**fields, effects=effects)


def conditional_mixed(rows, n_components, random_state):
    """Return `probabilistic_mixed` of what the labels leave of `LabelledRows` with `Blocks`, sized as in `conditional_pca`."""
    flagged = rows.blocks.flagged
    taken = _regression_of_present(rows) if flagged else _regression(rows)[0]
    model, effects = _drawn_mixed(Residuals(rows, taken), n_components, random_state, taken)
    _, variance = present_moments(rows.unlabelled())
    units = _in_units_of_rows(model, variance, len(rows))
    ratio = units["scale"] / model.scale
    units["loadings"] = model.loadings / ratio[:, None]
    units["precision"] = model.precision * ratio**2
    ratio[: len(rows.blocks.numbers)] = 1.0  # logits are multiplied by the scale of their columns
    units["components"] = model.components * ratio
    fields = asdict(model) | units
    return ConditionalTableModel(**fields, effects=effects * ratio, taken=taken)


def _in_units_of_rows(model, variance, n_rows):
    """Return the fields that a model of residuals has in units of the rows, of this variance."""
    left = model.variances.sum()
    variance[variance <= rounding(n_rows, model.mean, variance)] = 0.0
    total, scale = variance.sum() or 1.0, np.sqrt(np.where(variance > 0, variance, 1.0))
    return {
        "scale": scale,
        "column_weights": variance / total,
        "encoder": model.encoder / model.scale * scale,
        "unexplained": model.unexplained * left / total,
    }


def _regression(rows):
    """Return the least squares of rows on their labels, and the variance they explain by column."""
    n_labels, n = rows.labels.shape[1], len(rows)
    mean = exact_mean(rows.sum(lambda x, weight: weight @ x) / n, *rows.range())

    def products(x, weight):
        x, c = np.hsplit(x - mean, [-n_labels])
        weighted = (c * weight[:, None]).T
        return weighted @ c / n, weighted @ x / n

    labels, between = rows.sum(products)
    effects = np.linalg.pinv(labels, rcond=LEAST_SHARE, hermitian=True) @ between
    return effects, np.einsum("ij,ij->j", effects, between)


def _regression_of_present(rows):
    """Return the least squares of present cells on labels, with `MEANS` rows at the mean added.

    By conjugate gradients, for all columns at once, in units of uncorrelated labels.
    """
    n_labels = rows.labels.shape[1]
    ridge = MEANS * len(rows) / rows.n_repeated  # the weights have a mean of 1
    mean, _ = present_moments(rows)
    basis = _uncorrelated(rows.own_labels, rows.weight)

    def split(x):
        x, c = np.hsplit(x - mean, [-n_labels])
        return x, np.column_stack([c @ basis, np.ones(len(c))])

    def with_labels(x, weight):
        x, c = split(x)
        return c.T @ (np.nan_to_num(x, nan=0.0) * weight[:, None])

    def squares(of_labels):
        def products(x, weight):
            x, c = split(x)
            return c.T @ (~np.isnan(x) * weight[:, None] * (c @ of_labels))

        return rows.sum(products) + ridge * of_labels

    effects = _conjugate_gradients(squares, rows.sum(with_labels))
    return basis @ effects[:-1]


def _uncorrelated(labels, weight):
    """Return what turns labels into uncorrelated columns of variance 1."""
    covariance = np.cov(labels.T, aweights=weight, bias=True)
    values, vectors = np.linalg.eigh(np.atleast_2d(covariance))
    real = values > LEAST_SHARE * values[-1]
    return vectors[:, real] / np.sqrt(values[real])


def _conjugate_gradients(product, target):
    """Return the solutions of ``product(x) = target``, each column by itself."""
    solution, rest = np.zeros_like(target), target.copy()
    direction, length = rest, np.sum(rest**2, axis=0)
    least = EXACT * length
    for _ in range(min(len(target), MOST_PASSES)):
        image = product(direction)
        curvature = np.sum(direction * image, axis=0)
        going = (length > least) & (curvature > 0)
        if not going.any():
            break
        step = np.divide(length, curvature, where=going, out=np.zeros_like(length))
        solution += step * direction
        rest = rest - step * image
        before, length = length, np.sum(rest**2, axis=0)
        share = np.divide(length, before, where=going, out=np.zeros_like(length))
        direction = rest + share * direction
    return solution


def _noises(model, rows, beta):
    """Return the noise variances of linear models of 1, 2, ... components."""
    variances = model.deviations**2 * model.components.any(axis=1)
    k, n_axes = len(variances), min(rows.n_repeated, len(model.mean))
    left = model.noise_variance * max(n_axes - k, 0)
    return [
        _optimal_noise(variances[:i], left + variances[i:].sum(), max(n_axes - i, 0), beta)
        for i in range(1, k + 1)
    ]


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


def logistic_pca(rows, n_components, random_state):
    r"""Return PCA's codes with noise, and a ridge logistic regression of columns in [0, 1] on them.

    As in probabilistic PCA, but the noise is that of independent Bernoulli
    columns: with p their means and :math:`\sigma^2` the mean of p (1 - p), a
    unit of variance :math:`\lambda` has the posterior variance
    :math:`\sigma^2 / (\lambda + \sigma^2)`. The regression is fitted to codes
    drawn from the posteriors, of some rows where there are very many.
    """
    model = pca(rows, n_components, random_state)
    noise = max(np.mean(model.mean * (1 - model.mean)), LEAST_NOISE * noise_unit(model))
    share = noise / (noise + model.deviations**2)
    encoder, _ = _maps(model, share)
    most = min(LOGISTIC_ROWS, LOGISTIC_CELLS // len(model.mean))
    rows = rows.some(most, random_state)
    X = np.concatenate([chunk for chunk, _ in rows.chunks()])
    weight = np.ones(len(X)) if rows.weight is None else rows.weight
    codes = (X - model.mean) / model.scale @ encoder.T
    codes += np.sqrt(share) * random_state.standard_normal(codes.shape)
    decoder, level = _logistic_regression(codes, X, weight)
    noises, spread = np.full(len(share), noise), model.deviations**2 + noise
    return LogisticModel(**_prior(model, share, encoder, decoder, level, noises, spread))


def probabilistic_mixed(rows, n_components, random_state, noise="isotropic", grid=0.0):
    r"""Return the linear code of a table with noise, decoded to numbers and logits.

    As in `logistic_pca`: a unit of variance :math:`\lambda` has the
    posterior variance :math:`\sigma^2 / (\lambda + \sigma^2)`, with
    :math:`\sigma^2` the mean variance of a column that the code leaves. The
    regressions, and the noise of the numbers, are fitted to drawn codes.
    With ``noise="columns"`` each column has its own; ``grid`` as in `probabilistic_pca`.
    """
    model, _ = _drawn_mixed(rows, n_components, random_state, None, noise, grid)
    return model


def _drawn_mixed(rows, n_components, random_state, effects=None, noise="isotropic", grid=0.0):
    """Return the same, and what labels add to the decoder's outputs; of rows less their ``effects``."""
    blocks, model = rows.blocks, linear_code(rows, n_components, random_state)
    of_code = max(model.noise_variance, LEAST_NOISE * noise_unit(model))
    share = _noise_share_that_keeps_up(rows, model, of_code)
    encoder, decoder = _maps(model, share)
    codes, drawn = sample(rows, model, random_state, hidden=0.0)
    codes = np.sqrt(1 - share) * codes + np.sqrt(share) * random_state.standard_normal(codes.shape)
    k, n = len(share), len(blocks.numbers)
    linear = replace(model, components=decoder, deviations=np.ones(k))
    if effects is None:
        linear, level = with_logits(linear, codes, drawn)
    else:
        linear, level, effects = _with_labelled_logits(linear, codes, drawn, effects)
    components = linear.components
    rest = drawn.take(slice(None))[:, :n] - model.mean[:n] - codes @ components[:, :n]
    present = ~np.isnan(rest)
    weight, unit = present * weight_of(drawn)[:, None], noise_unit(model, blocks)
    mean = np.average(rest[present] ** 2, weights=weight[present]) if present.any() else 1.0
    noise_of_all, ratios = max(mean, LEAST_NOISE * unit), np.ones(n)
    if noise == "columns":
        total = np.maximum(weight.sum(axis=0), np.finfo(float).tiny)
        left = np.sum(np.nan_to_num(rest) ** 2 * weight, axis=0) / total
        left = np.where(model.column_weights[:n] > 0, left, noise_of_all)
        ratios = np.maximum(left, _least_noises(model.scale[:n] ** 2, grid)) / noise_of_all
    noises = np.full(k, noise_of_all)
    fields = _prior(model, share, encoder, components, level, noises, noises / share)
    return ProbabilisticTableModel(**fields | {"noise_ratios": ratios}), effects


def _least_noises(variances, grid):
    """Return the least noise of each column: of its grid and its spread, and no more than that."""
    return np.minimum(np.maximum(grid, LEAST_OF_COLUMN * variances), variances)


def _noise_share_that_keeps_up(rows, model, noise):
    """Return the share of noise in each unit of a table's code.

    The code of a row that lacks cells has less noise, that of those it has. To count this costs
    likelihood, so it is done only, and only so far, where much is missing and posterior means
    would otherwise tell present numbers worse than PCA of mean-filled rows.
    """
    present = 1 - missing_share(rows) if rows.blocks.flagged else 1.0
    powers = NOISE_OF_PRESENT if 1 - present > HIDDEN else NOISE_OF_PRESENT[:1]
    shares = [part / (part + model.deviations**2) for part in noise * present ** np.array(powers)]
    if len(shares) == 1:
        return shares[0]
    *errors, least = _errors_of_means(rows, model, shares)
    enough = [share for share, error in zip(shares, errors, strict=True) if error <= least]
    return enough[0] if enough else shares[-1]


def _errors_of_means(rows, model, shares):
    """Return the squared errors of present numbers by codes with shares of noise; by filled PCA last."""
    k, n = len(model.deviations), len(rows.blocks.numbers)
    axes = pca(filled(rows, model.mean), k, np.random.RandomState(0)).components

    def squares(x, weight):
        x = x - model.mean
        code = model.fill(x / model.scale) @ model.encoder.T
        made = [((1 - share) * code) @ model.components for share in shares]
        made.append(np.nan_to_num(x, nan=0.0) @ axes.T @ axes)
        return np.array([weight @ np.nansum((x - part)[:, :n] ** 2, axis=1) for part in made])

    return rows.sum(squares)


def _with_labelled_logits(model, codes, rows, effects):
    """Return what `with_logits` returns of labels beside codes, and what labels add to the outputs.

    The ridge is that of codes: labels come in units in which they are uncorrelated, of variance 1.
    """
    labels, (k, width) = rows.own_labels, model.components.shape
    basis = _uncorrelated(labels, rows.weight)
    both = np.vstack([model.components, np.zeros((basis.shape[1], width))])
    both = replace(model, components=both, deviations=np.ones(len(both)))
    both, level = with_logits(both, np.hstack([codes, labels @ basis]), rows)
    components, of_basis = np.vsplit(both.components, [k])
    levels = np.arange(width) >= len(rows.blocks.numbers)
    effects = np.where(levels, basis @ of_basis, effects)
    return replace(model, components=components), level, effects


def _maps(model, share):
    """Return the linear maps to and from codes whose rows have a ``share`` of noise."""
    share = np.where(model.components.any(axis=1), share, 1.0)
    signal = np.sqrt(1 - share)[:, None]
    deviations = model.deviations[:, None]
    return signal / deviations * model.encoder, signal * deviations * model.components


def _prior(model, share, encoder, decoder, level, noises, spread):
    """Return the fields of a model in the units of the prior."""
    real = model.components.any(axis=1)
    return asdict(model) | {
        "encoder": encoder,
        "components": decoder,
        "deviations": np.ones(len(share)),
        "noise_variance": noises[-1],
        "log_variance": np.log(np.where(real, share, 1.0)),
        "level": level,
        "explained": model.shares,
        "noises": noises,
        "spread": np.where(real, spread, noises[-1]),
        "noise_ratios": np.ones(len(model.mean)),
    }


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
