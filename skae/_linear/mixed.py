"""Factor analysis of mixed data, and logistic regressions on it."""

from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy import optimize

from skae._data.rows import Rows
from skae._linear.denoiser import reduced_rank
from skae._linear.pca import WIDEST_COVARIANCE, LinearModel, pca

FEWEST_COMMON = 5.0  # rows: of fewer common cells a covariance is drawn to zero
LOGISTIC_ROWS, LOGISTIC_CELLS = 5000, 2**19  # at most, that a regression is fitted to
MOST_ITERATIONS = 30


@dataclass(frozen=True)
class MixedModel(LinearModel):
    """A linear code of a table's wide matrix, with logits for its categories.

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
        """Return the model with the first ``k`` components."""
        return replace(super().first(k), inertia=self.inertia[:k])

    @property
    def shares(self):
        """Share of the variance that the first 1, 2, ... components explain."""
        return self.inertia


class Filled(Rows):
    """`Rows` with column means in place of missing cells."""

    is_narrow = True

    def __init__(self, rows, mean):
        super().__init__(rows.X, rows.index, rows.all_weight, rows.blocks)
        self.mean = mean

    def take(self, index):
        """Return the filled rows at places ``index``, in float64."""
        rows = super().take(index).astype(np.float64, copy=False)
        return np.where(np.isnan(rows), self.mean, rows)


def mixed_pca(rows, n_components, random_state, hidden=0.0):
    r"""Return the `MixedModel` of rows with `Blocks`.

    Complete rows: PCA of the wide matrix, which is factor analysis of mixed
    data. With missing cells, which count as column means, and with a share
    ``hidden`` of the others hidden as well, the reduced-rank regression of
    the complete rows on those that lack cells (see `linear_denoiser`): it explains
    of the cells at least what PCA of the filled rows does. Above
    ``WIDEST_COVARIANCE`` columns it is that PCA. Categories are decoded by a
    ridge logistic regression on the code.
    """
    model = linear_code(rows, n_components, random_state, hidden)
    drawn = sample(rows, model, random_state, hidden)
    inertia = model.shares
    model, level = with_logits(model, rows.blocks, *drawn)
    return MixedModel(**asdict(model), level=level, inertia=inertia)


def linear_code(rows, n_components, random_state, hidden):
    """Return the `LinearModel` of a table's wide rows."""
    mean, variance = _present_moments(rows)
    model = pca(Filled(rows, mean), n_components, random_state)
    model = _in_units_of_present(model, variance)
    if hidden and rows.width <= WIDEST_COVARIANCE:
        model = reduced_rank(model, *_moments_with_missing(rows, model, hidden))
    return model


def with_logits(model, blocks, codes, coded, weight):
    """Return a model whose decoder gives logits of the categories, and their level.

    Parameters
    ----------
    model : LinearModel
    blocks : Blocks
    codes : ndarray of shape (n_rows, n_components)
        In units of ``model.deviations``.
    coded : ndarray of shape (n_rows, n_columns)
        The coded table.
    weight : ndarray of shape (n_rows,)
    """
    components, level = model.components.copy(), np.zeros(blocks.width)
    if len(blocks.categories):
        n = len(blocks.numbers)
        weights, level[n:] = logistic_regressions(codes, coded, blocks, weight)
        components[:, n:] = weights * model.scale[n:] / model.deviations[:, None]
    return replace(model, components=components), level


def _present_moments(rows):
    """Return mean and variance of the cells that are present; 0 where none is."""
    total, count = rows.sum(
        lambda x, weight: (weight @ np.nan_to_num(x, nan=0.0), weight @ ~np.isnan(x))
    )
    count = np.maximum(count, np.finfo(np.float64).tiny)
    mean = total / count
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


def _moments_with_missing(rows, model, hidden):
    """Return covariances of standardised rows, complete with those that lack cells, and of these."""

    def products(x, weight):
        x = (x - model.mean) / model.scale
        present = (~np.isnan(x)).astype(np.float64)
        x = np.nan_to_num(x, nan=0.0)
        return (x * weight[:, None]).T @ x, (present * weight[:, None]).T @ present

    product, common = rows.sum(products)
    share = np.diag(common) / len(rows)
    correlation = product / np.maximum(common, FEWEST_COMMON)
    varies = model.column_weights > 0
    np.fill_diagonal(correlation, varies.astype(np.float64))
    kept, owner = 1 - hidden, rows.blocks.owner
    together = np.where(owner[:, None] == owner, kept, kept**2)
    return kept * correlation * share, together * product / len(rows), np.zeros(rows.width)


def sample(rows, model, random_state, hidden):
    """Return whitened codes of some rows, a share of their cells hidden, these rows, and weights."""
    blocks = rows.blocks
    n_rows = max(min(LOGISTIC_ROWS, LOGISTIC_CELLS // blocks.width), 1)
    if len(rows) > n_rows:
        rows = rows.subset(np.sort(random_state.permutation(len(rows))[:n_rows]))
    coded = rows.raw(slice(None))
    x = (blocks.widen(coded) - model.mean) / model.scale
    if hidden:
        seen = random_state.random_sample(coded.shape) >= hidden
        x = np.where(seen[:, blocks.owner], x, 0.0)
    code = np.nan_to_num(x, nan=0.0) @ model.encoder.T + model.offset
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    return code / model.deviations, coded, weight


def logistic_regressions(Z, coded, blocks, weight):
    """Return weights (n_components, n_levels) and intercepts of ridge logistic regressions.

    One for each category, of its levels on the code, all at once. A penalty
    of 1 draws the weights to zero, and the intercepts to the logarithms of
    the levels' shares, with half a row added to each.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_components)
    coded : ndarray of shape (n_rows, n_columns)
    blocks : Blocks
    weight : ndarray of shape (n_rows,)
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
