"""Where training on a table starts: factor analysis of mixed data, and logistic regressions on it."""

from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy import optimize

from skae._linear.pca import WIDEST_COVARIANCE, LinearStart, linear_start, reduced_rank

FEWEST_COMMON = 5.0  # rows: of fewer common cells a covariance is drawn to zero
LOGISTIC_ROWS, LOGISTIC_CELLS = 5000, 2**19  # at most, that a regression is fitted to
MOST_ITERATIONS = 30


@dataclass(frozen=True)
class TableStart(LinearStart):
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
        """Return the start with the first ``k`` components."""
        return replace(super().first(k), inertia=self.inertia[:k])

    @property
    def shares(self):
        """Share of the variance that the first 1, 2, ... components explain."""
        return self.inertia


class Filled:
    """`Rows` with column means in place of missing cells."""

    def __init__(self, rows, mean):
        self.rows, self.mean = rows, mean
        self.width, self.n_repeated, self.is_narrow = rows.width, rows.n_repeated, True

    def __len__(self):
        return len(self.rows)

    def chunks(self):
        """Yield float64 rows and their weights, chunk by chunk."""
        for chunk, weight in self.rows.chunks():
            yield np.where(np.isnan(chunk), self.mean, chunk), weight


def table_start(rows, n_components, random_state, hidden=0.0):
    r"""Return the `TableStart` of rows with `Blocks`.

    Complete rows: PCA of the wide matrix, which is factor analysis of mixed
    data. With missing cells, which count as column means, and with a share
    ``hidden`` of the others hidden as well, the reduced-rank regression of
    the complete rows on those with holes (see `linear_denoiser`): it explains
    of the cells at least what PCA of the filled rows does. Above
    ``WIDEST_COVARIANCE`` columns it is that PCA. Categories are decoded by a
    ridge logistic regression on the code.
    """
    start = linear_code(rows, n_components, random_state, hidden)
    drawn = sample(rows, start, random_state, hidden)
    inertia = start.shares
    start, level = with_logits(start, rows.blocks, *drawn)
    return TableStart(**asdict(start), level=level, inertia=inertia)


def linear_code(rows, n_components, random_state, hidden):
    """Return the `LinearStart` of a table's wide rows."""
    mean, variance = _present_moments(rows)
    start = linear_start(Filled(rows, mean), n_components, random_state)
    start = _in_units_of_present(start, variance)
    if hidden and rows.width <= WIDEST_COVARIANCE:
        start = reduced_rank(start, *_moments_with_holes(rows, start, hidden))
    return start


def with_logits(start, blocks, codes, coded, weight):
    """Return a start whose decoder gives logits of the categories, and their level.

    Parameters
    ----------
    start : LinearStart
    blocks : Blocks
    codes : ndarray of shape (n_rows, n_components)
        In units of ``start.deviations``.
    coded : ndarray of shape (n_rows, n_columns)
        The coded table.
    weight : ndarray of shape (n_rows,)
    """
    components, level = start.components.copy(), np.zeros(blocks.width)
    if len(blocks.categories):
        n = len(blocks.numbers)
        weights, level[n:] = logistic_regressions(codes, coded, blocks, weight)
        components[:, n:] = weights * start.scale[n:] / start.deviations[:, None]
    return replace(start, components=components), level


def _present_moments(rows):
    """Return mean and variance of the cells that are present; 0 where none is."""
    total = count = 0.0
    for chunk, weight in rows.chunks():
        total = total + weight @ np.nan_to_num(chunk, nan=0.0)
        count = count + weight @ ~np.isnan(chunk)
    count = np.maximum(count, np.finfo(np.float64).tiny)
    mean, square = total / count, 0.0
    for chunk, weight in rows.chunks():
        square = square + weight @ np.nan_to_num(chunk - mean, nan=0.0) ** 2
    return mean, square / count


def _in_units_of_present(start, variance):
    """Return a start of filled rows with the deviations of the cells that are present."""
    varies = start.column_weights > 0
    weights = np.where(varies, variance, 0.0)
    scale = np.sqrt(np.where(varies, variance, 1.0))
    return replace(
        start,
        scale=scale,
        column_weights=weights / (weights.sum() or 1.0),
        encoder=start.components * scale,
        low=start.low * start.scale / scale,
        high=start.high * start.scale / scale,
    )


def _moments_with_holes(rows, start, hidden):
    """Return covariances of standardised rows, complete with those with holes and of the latter."""
    product = common = 0.0
    for chunk, weight in rows.chunks():
        x = (chunk - start.mean) / start.scale
        there = (~np.isnan(x)).astype(np.float64)
        x = np.nan_to_num(x, nan=0.0)
        product = product + (x * weight[:, None]).T @ x
        common = common + (there * weight[:, None]).T @ there
    share = np.diag(common) / len(rows)
    correlation = product / np.maximum(common, FEWEST_COMMON)
    varies = start.column_weights > 0
    np.fill_diagonal(correlation, varies.astype(np.float64))
    kept, owner = 1 - hidden, rows.blocks.owner
    together = np.where(owner[:, None] == owner, kept, kept**2)
    return kept * correlation * share, together * product / len(rows), np.zeros(rows.width)


def sample(rows, start, random_state, hidden):
    """Return whitened codes of some rows, a share of their cells hidden, these rows, and weights."""
    blocks = rows.blocks
    n_rows = max(min(LOGISTIC_ROWS, LOGISTIC_CELLS // blocks.width), 1)
    if len(rows) > n_rows:
        rows = rows.subset(np.sort(random_state.permutation(len(rows))[:n_rows]))
    coded = rows.raw(slice(None))
    x = (blocks.widen(coded) - start.mean) / start.scale
    if hidden:
        seen = random_state.random_sample(coded.shape) >= hidden
        x = np.where(seen[:, blocks.owner], x, 0.0)
    code = np.nan_to_num(x, nan=0.0) @ start.encoder.T + start.offset
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    return code / start.deviations, coded, weight


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
