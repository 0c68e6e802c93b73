"""Factor analysis of mixed data, and logistic regressions on it."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy import optimize

from skae._data.rows import exact_mean
from skae._data.schema import HIDDEN
from skae._linear.factors import factor_analysis, fill
from skae._linear.pca import LinearModel, pca

MOST_READY = 2**23  # cells of filled rows that are kept
LOGISTIC_ROWS, LOGISTIC_CELLS = 5000, 2**19  # at most, that a regression is fitted to
MOST_ITERATIONS = 30
DRAWN = 4096  # rows whose random numbers are drawn together


@dataclass(frozen=True)
class TableModel(LinearModel):
    """A linear code of a table's wide matrix, whose missing cells are filled before.

    Attributes
    ----------
    loadings : ndarray of shape (width, n_factors)
        Of the factor analysis that fills missing cells (see `Missing`), for
        standardised rows; without factors they are filled with means.
    precision : ndarray of shape (width,)
        One over its noise variances.
    """

    loadings: np.ndarray
    precision: np.ndarray

    def fill(self, x):
        """Return standardised rows without missing cells."""
        return fill(x, self.loadings, self.precision)


@dataclass(frozen=True)
class MixedModel(TableModel):
    """A `TableModel` with logits for the table's categories.

    Attributes
    ----------
    level : ndarray of shape (width,)
        Logits of the levels at a code of zero; 0 for numbers.
    inertia : ndarray of shape (n_components,)
        Share of the variance that the first 1, 2, ... components explain.
    """

    level: np.ndarray
    inertia: np.ndarray

    def first(self, k):
        return replace(super().first(k), inertia=self.inertia[:k])

    @property
    def shares(self):
        return self.inertia


def filled(rows, mean, model=None):
    """Return `Rows` without missing cells, which a `TableModel` fills; without one they are ``mean``."""
    keep = model is not None and rows.n_here * rows.width <= MOST_READY
    return rows.mapped(partial(_without_missing, mean=mean, model=model), keep)


def _without_missing(rows, mean, model):
    rows = rows.astype(np.float64, copy=False)
    if model is None:
        return np.where(np.isnan(rows), mean, rows)
    made = model.fill((rows - model.mean) / model.scale) * model.scale + model.mean
    return np.where(np.isnan(rows), made, rows)


def mixed_pca(rows, n_components, random_state, hidden=0.0):
    r"""Return the `MixedModel` of rows with `Blocks`.

    PCA of the wide matrix, which is factor analysis of mixed data; missing
    cells are filled before, see `linear_code`. Categories are decoded by a
    ridge logistic regression on the code, that of rows which lack a share
    ``hidden`` of their cells as well.
    """
    model = linear_code(rows, n_components, random_state)
    codes, drawn = sample(rows, model, random_state, hidden)
    inertia = model.shares
    model, level = with_logits(model, codes, drawn)
    return MixedModel(**vars(model), level=level, inertia=inertia)


def mean_filled_pca(rows, n_components):
    """Return PCA of a table's wide rows with column means in place of missing cells."""
    rows = rows.unlabelled()
    mean, _ = present_moments(rows)
    return pca(filled(rows, mean), n_components, np.random.RandomState(0))


def linear_code(rows, n_components, random_state):
    """Return the `TableModel` of rows: PCA, of the rows that a factor analysis completes.

    As many components as PCA of the rows whose missing cells are filled with
    column means. That is also where the factor analysis starts. The variance
    that is left unexplained is that of present cells, a share ``HIDDEN`` of
    them hidden from the model.
    """
    mean, variance = present_moments(rows)
    model = _in_units_of_present(pca(filled(rows, mean), n_components, random_state), variance)
    if not rows.blocks.flagged:
        return _with_factors(model, np.zeros((rows.width, 0)), np.ones(rows.width))
    factors = factor_analysis(rows, model, random_state)
    completed = filled(rows, mean, _with_factors(model, *factors))
    model = replace(pca(completed, len(model.deviations), random_state), mean=mean)
    model = _with_factors(_in_units_of_present(model, variance), *factors)
    noise = _noise_of_present(rows, model)
    return replace(
        model, unexplained=unexplained_of_hidden(rows, model, random_state), noise_variance=noise
    )


def _with_factors(model, loadings, precision):
    return TableModel(**vars(model), loadings=loadings, precision=precision)


def missing_share(rows):
    """Return the share of the cells of a table's wide rows that are missing."""
    rows = rows.unlabelled()
    missing, everything = rows.sum(lambda x, weight: (weight @ np.isnan(x), weight.sum()))
    return float(missing.sum() / (everything * rows.width))


def _noise_of_present(rows, model):
    """Return the noise variance of a model of filled rows: what was filled in has none.

    With few present cells a row the components fit these too closely: the factor analysis knows.
    """
    of_factors = np.min(model.scale**2 / model.precision)
    return float(min(model.noise_variance / (1 - missing_share(rows)), of_factors))


def unexplained_of_hidden(rows, model, random_state):
    """Return the share of the present cells' variance that is not explained where some are hidden."""
    blocks = rows.blocks

    def draws_of_others(n_rows):  # what is drawn for a row does not depend on who has it
        for start in range(0, n_rows, DRAWN):
            random_state.random_sample((min(DRAWN, n_rows - start), blocks.n_columns))

    def squares(x, weight):
        x = (x - model.mean) / model.scale
        seen = random_state.random_sample((len(x), blocks.n_columns))[:, blocks.owner] >= HIDDEN
        code = model.fill(np.where(seen, x, np.nan)) @ model.encoder.T
        rest = x * model.scale - code @ model.components
        return tuple(weight @ np.nansum(part**2, axis=1) for part in (rest, x * model.scale))

    draws_of_others(rows.start)
    left, total = rows.sum(squares)
    draws_of_others(len(rows) - rows.start - rows.n_here)
    return float(min(left / total, 1.0)) if total > 0 else 0.0


def with_logits(model, codes, rows):
    """Return a model whose decoder gives logits of the categories, and their level.

    ``codes`` are those of ``rows``, in units of ``model.deviations``.
    """
    blocks = rows.blocks
    components, level = model.components.copy(), np.zeros(blocks.width)
    if len(blocks.categories):
        n = len(blocks.numbers)
        coded = rows.raw(slice(None))
        weights, level[n:] = logistic_regressions(codes, coded, blocks, weight_of(rows))
        components[:, n:] = weights * model.scale[n:] / model.deviations[:, None]
    return replace(model, components=components), level


def present_moments(rows):
    """Return mean and variance of the cells that are present; 0 where none is."""
    total, count = rows.sum(
        lambda x, weight: (weight @ np.nan_to_num(x, nan=0.0), weight @ ~np.isnan(x))
    )
    count = np.maximum(count, np.finfo(np.float64).tiny)
    mean = exact_mean(total / count, *rows.range())
    with np.errstate(over="ignore"):  # `scaled` refuses such columns
        square = rows.sum(lambda x, weight: weight @ np.nan_to_num(x - mean, nan=0.0) ** 2)
    return mean, square / count


def _in_units_of_present(model, variance):
    """Return a model of filled rows with the deviations of the cells that are present."""
    varies = model.column_weights > 0
    weights = np.where(varies, variance, 0.0)
    scale = np.sqrt(np.where(varies, variance, 1.0))
    return replace(
        model,
        scale=scale,
        column_weights=weights / (weights.sum() or 1.0),
        encoder=model.components * scale,
        low=model.low * model.scale / scale,
        high=model.high * model.scale / scale,
    )


def sample(rows, model, random_state, hidden):
    """Return whitened codes of some rows, a share of their cells hidden, and these rows."""
    blocks = rows.blocks
    n_rows = max(min(LOGISTIC_ROWS, LOGISTIC_CELLS // blocks.width), 1)
    rows = rows.some(n_rows, random_state)
    x = (rows.take(slice(None)) - model.mean) / model.scale
    if hidden:
        seen = random_state.random_sample((len(rows), blocks.n_columns)) >= hidden
        x = np.where(seen[:, blocks.owner], x, np.nan)
    code = model.fill(x) @ model.encoder.T + model.offset
    return code / model.deviations, rows


def weight_of(rows):
    return np.ones(len(rows)) if rows.weight is None else rows.weight


def logistic_regressions(Z, coded, blocks, weight):
    """Return weights (n_components, n_levels) and intercepts of ridge logistic regressions.

    One for each category of coded rows, of its levels on their codes Z, all at once. A penalty
    of 1 draws the weights to zero, and the intercepts to the logarithms of
    the levels' shares, with half a row added to each.
    """
    Z = np.column_stack([Z, np.ones(len(Z))])
    n, starts = len(blocks.numbers), blocks.starts - len(blocks.numbers)
    hits = np.nan_to_num(blocks.widen(coded)[:, n:] > 0) * weight[:, None]
    there = ~np.isnan(coded[:, blocks.categories]) * weight[:, None]
    spread = np.repeat(np.arange(len(starts)), blocks.sizes)
    counts = hits.sum(axis=0) + 0.5
    level = np.log(counts / np.add.reduceat(counts, starts)[spread])

    def loss(flat):
        beta = flat.reshape(Z.shape[1], -1)
        logits = Z @ beta + level
        logits -= np.maximum.reduceat(logits, starts, axis=1)[:, spread]
        value = np.sum(logits * hits)
        odds = np.exp(logits, out=logits)
        sums = np.add.reduceat(odds, starts, axis=1)
        nats = np.sum(np.log(sums) * there) - value
        odds *= (there / sums)[:, spread]
        odds -= hits
        return nats + np.sum(beta**2) / 2, (Z.T @ odds + beta).ravel()

    begin, options = np.zeros(Z.shape[1] * len(level)), {"maxiter": MOST_ITERATIONS}
    beta = optimize.minimize(loss, begin, jac=True, method="L-BFGS-B", options=options).x
    beta = beta.reshape(Z.shape[1], -1)
    return beta[:-1], beta[-1] + level
