"""Rows of a table, read in chunks and weighted."""

from copy import copy
from functools import cached_property
from itertools import repeat
from operator import iadd

import numpy as np
from scipy import sparse

CHUNK_BYTES = 2**24
WIDEST_COVARIANCE = 4096  # columns whose covariance is formed


class Reduce:
    """How what one process learns of its rows becomes what all learn of theirs: here there is one.

    `skae.distributed` has the one for several.
    """

    shared = False  # whether other processes have more of the rows

    def sum(self, total):
        """Return the sum of an array, a tensor or a tuple of them over all processes."""
        return total

    def extremes(self, low, high):
        """Return the least and the largest of all processes' values."""
        return low, high

    def gathered(self, values, rows):
        """Return the values, one a row, of the rows of all processes."""
        return values

    def gradient(self, compute, optimizer):
        """Return what computes a batch's loss and leaves the gradient of all of its rows."""
        return compute

    def check_alike(self, weights):
        """Refuse to go on where the processes' weights have come apart."""


class Moments:
    r"""Weight, mean, sums of squares and range of rows, brought up to date batch by batch.

    With n rows of mean :math:`\mu_0` and scatter matrix :math:`S_0`, and m more of them,

    .. math:: S = S_0 + S_1 + nm / (n + m)\, (\mu_0 - \mu_1)(\mu_0 - \mu_1)^\top

    which loses nothing where means are large (Chan, Golub & LeVeque,
    Algorithms for computing the sample variance, 1983, DOI
    10.1080/00031305.1983.10483115). With ``whole`` products of columns are summed, too; sums are taken
    on a device, a `Float64`, until they are `settled`, or by NumPy.
    """

    def __init__(self, whole=False, device=None):
        self.whole, self.weight, self.mean, self.scatter = whole, 0.0, 0.0, 0.0
        self.device = device
        self.low, self.high = np.inf, -np.inf

    def add(self, X, weight=None):
        step = max(1, CHUNK_BYTES // (8 * max(1, X.shape[1])))
        for start in range(0, len(X), step):
            some = slice(start, start + step)
            self._add(X[some], None if weight is None else weight[some])
        return self

    def _add(self, x, weight):
        weight = np.ones(len(x)) if weight is None else weight
        part = Moments(self.whole)
        part.weight = weight.sum()
        part.low, part.high = np.fmin.reduce(x), np.fmax.reduce(x)
        x, weight = self._float64(x), self._float64(weight)
        with np.errstate(over="ignore", invalid="ignore"):
            part.mean = weight @ x / part.weight
            constant = part.low == part.high  # as in `exact_mean`
            part.mean[constant] = self._float64(part.low[constant])
            x -= part.mean
            part.scatter = (x * weight[:, None]).T @ x if self.whole else weight @ x**2
        self.take_in(part)

    def take_in(self, other):
        """Take in what was learned of other rows."""
        if not other.weight:
            return self
        total = self.weight + other.weight
        with np.errstate(over="ignore", invalid="ignore"):
            step = other.mean - self.mean
            between = step[:, None] * step if self.whole else step**2
            between *= self.weight * other.weight / total
            self.scatter = self.scatter + other.scatter + between
            self.mean = self.mean + step * (other.weight / total)
        self.low, self.high = np.fmin(self.low, other.low), np.fmax(self.high, other.high)
        self.weight = total
        return self

    def _float64(self, values):
        """Return a copy of an array, where sums are taken."""
        if self.device is None:
            return np.array(values, np.float64)
        return self.device.tensor(values)

    def settled(self):
        """Return these moments as arrays, which a device computed."""
        self.mean, self.scatter = (part.cpu().numpy() for part in (self.mean, self.scatter))
        self.device = None
        return self

    @property
    def variance(self):
        """Variance of the columns (denominator n)."""
        squares = np.diag(self.scatter) if self.whole else self.scatter
        return squares / self.weight


class Rows:
    """Some rows of a matrix, without a copy of it.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_columns), float32 or float64
    index : ndarray of int or None
        Which rows; None for all of them.
    weight : ndarray of shape (n_rows,) or None
        Weight of every row of ``X``. Over the chosen rows they are scaled to
        a mean of 1.
    blocks : Blocks or None
        What the columns of ``X`` are, where it is a coded table: its rows are
        then read as those of the wide matrix, NaN where a cell is missing.
    """

    reduce = Reduce()
    is_stream = False
    gpu = None  # where sums over the rows are taken, if not by the processor
    start = 0  # number of this process's first row among all
    after = ready = None  # what is done to rows last, and rows that it was done to

    def __init__(self, X, index=None, weight=None, blocks=None):
        self.X, self.blocks = X, blocks
        self.index = np.arange(X.shape[0]) if index is None else index
        self.weight = None
        if weight is not None:
            share = weight[self.index] / weight.max()
            self.weight = share / share.mean()
        self.all_weight = weight

    def __len__(self):
        return len(self.index)

    @property
    def n_here(self):
        """Number of rows in this process."""
        return len(self)

    @property
    def n_repeated(self):
        """Number of rows, weights above a mean of 1 counted as repetitions."""
        if self.all_weight is None:
            return len(self)
        return max(len(self), float(self.all_weight[self.index].sum()))

    def subset(self, places):
        """Return the rows at some places of this subset, as a subset of the same matrix."""
        return Rows(self.X, self.index[places], self.all_weight, self.blocks).near(self.gpu)

    def near(self, gpu):
        """Let sums over the rows be taken on a GPU, a `Float64` of it; return the rows."""
        self.gpu = gpu
        return self

    def some(self, most, rng):
        """Return the rows, or ``most`` of them that are drawn, in their order."""
        if len(self) <= most:
            return self
        return self.subset(np.sort(rng.permutation(len(self))[:most]))

    def in_memory(self, most):
        """Return the rows; of a stream ``most`` of them at most, evenly spread."""
        return self

    def mapped(self, function, keep=False):
        """Return rows that a function is applied to, as a network sees them; in memory with ``keep``."""
        rows = copy(self)
        rows.__dict__.pop("moments", None)
        rows.after = function
        rows.ready = rows.take(slice(None)) if keep else None
        return rows

    def unlabelled(self):
        """Return the rows without the labels that may be beside them."""
        return Rows(self.X, self.index, self.all_weight, self.blocks).near(self.gpu)

    def replaced(self, X):
        """Return the same rows, with their weights, in other columns."""
        weight = self.all_weight
        return Rows(X, None, None if weight is None else weight[self.index]).near(self.gpu)

    @property
    def every_weight(self):
        """Weights of the rows of all processes; None where they have none."""
        return self.weight

    @property
    def content(self):
        """All that distinguishes these rows from others."""
        return self.X, self.index, self.weight

    @property
    def width(self):
        """Number of columns of the rows that are read."""
        return self.X.shape[1] if self.blocks is None else self.blocks.width

    @property
    def dtype(self):
        return self.X.dtype

    @property
    def is_dense(self):
        """Whether the rows are an array of complete numbers in memory."""
        return self.blocks is None and not sparse.issparse(self.X)

    @property
    def is_narrow(self):
        """Whether the rows take far less memory than what is read of them."""
        return self.blocks is not None or sparse.issparse(self.X)

    def raw(self, index):
        """Return rows of ``X`` itself at places ``index`` of this subset."""
        places = self.index[index]
        return self.X[places].toarray() if sparse.issparse(self.X) else np.take(self.X, places, 0)

    def take(self, index):
        """Return the rows at places ``index`` of this subset, in the dtype of X."""
        return self.widened(self.raw(index)) if self.ready is None else self.ready[index]

    def widened(self, rows):
        """Return rows of ``X`` as a network's columns."""
        return self.changed(rows if self.blocks is None else self.blocks.widen(rows))

    def changed(self, rows):
        """Return wide rows with what is done to them last."""
        return rows if self.after is None else self.after(rows)

    def spans(self, most=None, n_rows=None):
        """Yield slices of consecutive rows: about ``CHUNK_BYTES`` in float64, ``most`` at most.

        Of all rows, or of so many.
        """
        n_rows = self.n_here if n_rows is None else n_rows
        step = max(1, CHUNK_BYTES // (8 * max(1, self.width)))
        step = step if most is None else min(step, most)
        for start in range(0, n_rows, step):
            yield slice(start, min(start + step, n_rows))

    def chunks(self, most=None):
        """Yield float64 rows and their weights, chunk by chunk, in the `spans`."""
        return self._chunks(self.take, most)

    def _chunks(self, take, most=None):
        for span in self.spans(most):
            weight = np.ones(span.stop - span.start) if self.weight is None else self.weight[span]
            yield take(span).astype(np.float64, copy=False), weight

    def sum(self, statistic, most=None):
        """Return the sum over chunks of ``statistic(rows, weight)``, an array or a tuple of them.

        All that is learned of rows beside training is such a sum.
        """
        return self.reduce.sum(total(statistic(*chunk) for chunk in self.chunks(most)))

    def raw_sum(self, statistic, most=None):
        """Return the same of rows of ``X`` itself."""
        sums = total(statistic(*chunk) for chunk in self._chunks(self.raw, most))
        return self.reduce.sum(sums)

    @cached_property
    def moments(self):
        """Mean, scatter and range of the columns, where one pass learns them: on a GPU, of a stream."""
        few = len(self) < self.width or self.width > WIDEST_COVARIANCE
        if self.gpu is None or self.reduce.shared or self.blocks is not None or few:
            return None
        moments = Moments(True, self.gpu)
        for span in self.spans():
            moments.add(self.take(span), None if self.weight is None else self.weight[span])
        return moments.settled()

    def range(self):
        """Return minimum and maximum of the columns, of the cells that are present."""
        parts = (self.take(span) for span in self.spans())
        low, high = zip(*map(_range, parts), strict=True)
        low, high = np.min(low, axis=0), np.max(high, axis=0)
        return self.reduce.extremes(low.astype(np.float64), high.astype(np.float64))


def exact_mean(mean, low, high):
    """Return means of columns of such ranges, those of constant columns without rounding.

    An error in the last digit would be all that such a column varies by: training would learn it.
    """
    return np.where(low == high, low, mean)


def _range(part):
    """Return minimum and maximum of the columns; of no rows infinities."""
    return np.fmin.reduce(part, initial=np.inf), np.fmax.reduce(part, initial=-np.inf)


def total(parts):
    """Return the sum of arrays, or of tuples place by place, in their order."""
    total = 0.0
    for part in parts:
        several = isinstance(part, tuple)
        total = tuple(map(iadd, total or repeat(0.0), part)) if several else iadd(total, part)
        del part  # or it would be in memory together with the next one
    return total
