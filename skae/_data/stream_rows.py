"""The rows of a stream, which are read again and again in passes."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import joblib
import numpy as np
from sklearn.utils.random import sample_without_replacement

from skae._data.rows import WIDEST_COVARIANCE, Moments, Rows, total
from skae._parameters import counted

AT_ONCE = 2**24  # bytes of rows that are shuffled together


@dataclass
class Piece:
    """Rows that are read by themselves: ``read`` returns an iterator of matrices and their weights."""

    n_rows: int
    read: Callable


class Meter:
    """Counts rows, and how many of them, in blocks of ``block``, a second are read."""

    def __init__(self, block):
        self.block, self.n_rows, self.since = block, 0, time.monotonic()

    def pace(self):
        """Return what was counted since the last call, in words."""
        rate = self.n_rows / max(time.monotonic() - self.since, 1e-9)
        blocks = counted(-(-self.n_rows // self.block), "block")
        told = f"{blocks}, {self.n_rows:,} rows, {rate:,.0f} rows/s"
        self.n_rows, self.since = 0, time.monotonic()
        return told


class StreamRows(Rows):
    """`Rows` that are read in passes, piece by piece.

    ``n_columns`` are those of the coded table; ``weight`` is the sum of the rows' weights, None where
    they have none.
    """

    is_stream, is_dense, is_narrow = True, False, True
    dtype, weight, all_weight = None, None, None

    def __init__(self, pieces, dtype, n_columns, weight, blocks, meter):
        self.pieces, self.dtype, self.n_columns = pieces, dtype, n_columns
        self.total_weight, self.blocks, self.meter = weight, blocks, meter
        self.n_rows = sum(piece.n_rows for piece in pieces)

    def __len__(self):
        return self.n_rows

    @property
    def n_repeated(self):
        return max(len(self), self.total_weight or 0.0)

    @property
    def content(self):
        """What stands for all that distinguishes these rows from others: hashes, in a pass of its own."""
        return [joblib.hash(pair) for pair in self.read()]

    @property
    def width(self):
        return self.n_columns if self.blocks is None else self.blocks.width

    def mapped(self, function, keep=False):
        return super().mapped(function)

    def unlabelled(self):
        """Return the rows: there are no labels."""
        return self

    def beside(self, held_out):
        """Return these rows and others that are in memory."""
        piece = Piece(len(held_out), lambda: iter([(held_out.X, held_out.all_weight)]))
        weight = self.total_weight
        weight = None if weight is None else weight + held_out.all_weight.sum()
        about = self.dtype, self.n_columns, weight, self.blocks, self.meter
        rows = StreamRows([*self.pieces, piece], *about)
        if self.blocks is None:
            known = Moments(self.moments.whole).take_in(self.moments)
            rows.moments = known.add(held_out.X, held_out.all_weight)
        return rows

    # passes -----------------------------------------------------------------------------------

    def read(self, order=None):
        """Yield matrices, and weights with a mean of 1 or None, of the pieces in an order."""
        unit = None if self.total_weight is None else self.total_weight / len(self)
        for place in range(len(self.pieces)) if order is None else order:
            for X, weight in self.pieces[place].read():
                yield X, None if unit is None else weight / unit

    def chunks(self, most=None):
        return self._chunks(self.widened, most)

    def raw_sum(self, statistic, most=None):
        """Return the sum over chunks of rows of the coded table."""
        return total(statistic(*chunk) for chunk in self._chunks(lambda rows: rows, most))

    def _chunks(self, take, most=None):
        for X, weight in self.read():
            weight = np.ones(len(X)) if weight is None else weight
            for span in self.spans(most, len(X)):
                yield np.array(take(X[span]), dtype=np.float64), weight[span]

    @cached_property
    def moments(self):
        """Mean, scatter and range of the columns, in one pass."""
        moments = Moments(self.width <= WIDEST_COVARIANCE)
        for x, weight in self.chunks():
            moments.add(x, weight)
        return moments

    def range(self):
        return self.moments.low, self.moments.high

    def portions(self, permutation, edges):
        """Yield shuffled rows of several pieces and their weights: shuffled pieces, rows within.

        Each portion begins and ends at one of the ``edges``, of which the
        last is the number of rows.
        """
        found, n_rows, start = [], 0, 0
        least = AT_ONCE // (self.dtype.itemsize * max(1, self.n_columns))
        for X, weight in self.read(permutation(len(self.pieces))):
            self.meter.n_rows += len(X)
            found.append((X, weight))
            n_rows += len(X)
            stop = edges[np.searchsorted(edges, start + n_rows, side="right") - 1]
            if stop == edges[-1] or (n_rows >= least and stop > start):
                whole, found = _split(found, stop - start)
                portion = _shuffled(whole, permutation(stop - start), self.dtype)
                n_rows, start = n_rows - (stop - start), stop
                del whole, X, weight  # or they would be in memory together with the next portion
                yield portion
                del portion

    # some of them -----------------------------------------------------------------------------

    def subset(self, places):
        """Return the rows at some places, in memory."""
        order, start, found = np.argsort(places), 0, []
        ordered = places[order]
        for piece in self.pieces:
            first, last = np.searchsorted(ordered, [start, start + piece.n_rows])
            if first < last:
                found += _at(piece.read(), ordered[first:last] - start)
            start += piece.n_rows
        X, weight = joined(found)
        back = np.argsort(order)
        return Rows(X[back], None, None if weight is None else weight[back], self.blocks)

    def some(self, most, rng):
        """Return the rows, or ``most`` of them that are drawn, in memory."""
        n = min(most, len(self))
        places = sample_without_replacement(len(self), n, random_state=rng)
        return self.subset(np.sort(places))

    def in_memory(self, most):
        """Return ``most`` rows at most, evenly spread."""
        return self.subset(np.linspace(0, len(self) - 1, min(len(self), most)).astype(int))


def _at(matrices, places):
    """Return pairs of rows and weights at some places of matrices, one after the other."""
    start, found = 0, []
    for X, weight in matrices:
        some = places[np.searchsorted(places, start) : np.searchsorted(places, start + len(X))]
        found.append(part_of((X, weight), some - start))
        start += len(X)
    return found


def joined(pairs):
    """Return one matrix of several, and their weights."""
    matrices, weights = zip(*pairs, strict=True)
    return np.concatenate(matrices), None if weights[0] is None else np.concatenate(weights)


def part_of(pair, some):
    """Return some rows of a matrix, and their weights."""
    X, weight = pair
    return X[some], None if weight is None else weight[some]


def _split(pairs, n):
    """Return the first ``n`` rows of several matrices, and the others."""
    first, rest = [], []
    for X, weight in pairs:
        k = min(n, len(X))
        first += [part_of((X, weight), slice(k))] if k else []
        rest += [part_of((X, weight), slice(k, None))] if k < len(X) else []
        n -= k
    return first, rest


def _shuffled(pairs, order, dtype):
    """Return the rows of several matrices in an order, and their weights."""
    out, start = np.empty((len(order), pairs[0][0].shape[1]), dtype), 0
    weights = None if pairs[0][1] is None else np.empty(len(order))
    for X, weight in pairs:
        places = order[start : start + len(X)]
        out[places] = X
        if weights is not None:
            weights[places] = weight
        start += len(X)
    return out, weights
