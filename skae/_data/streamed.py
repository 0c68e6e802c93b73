"""The rows of a stream: coded, some held out, the others read again and again in passes."""

import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy import sparse
from sklearn.utils.random import sample_without_replacement

from skae._data.counts import Moments, TableCounts
from skae._data.frames import fields, frame_of, table
from skae._data.rows import WIDEST_COVARIANCE, Rows, total
from skae._data.streams import located

MOST_HELD_OUT, FEWEST_HELD_OUT = 2**21, 1000  # cells at most, but so many rows in any case
AT_ONCE = 2**24  # bytes of rows that are shuffled together, of cached ones from so many places:
SLICE = 4096  # rows that lie side by side
SHARE_OF_DISK = 0.9  # of what is free
SMALL = 500  # rows that are read whole in any case
HASHED = 2**16  # rows at once
STEPS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)


@dataclass
class Piece:
    """Rows that are read by themselves.

    Attributes
    ----------
    n_rows : int
    read : callable
        Returns an iterator of matrices and their weights.
    """

    n_rows: int
    read: Callable


class Meter:
    """Counts rows, and how many of them a second are read.

    Parameters
    ----------
    block : int
        Rows of a block.
    """

    def __init__(self, block):
        self.block, self.n_rows, self.since = block, 0, time.monotonic()

    def pace(self):
        """Return what was counted since the last call, in words."""
        rate = self.n_rows / max(time.monotonic() - self.since, 1e-9)
        told = f"{-(-self.n_rows // self.block)} blocks, {self.n_rows:,} rows, {rate:,.0f} rows/s"
        self.n_rows, self.since = 0, time.monotonic()
        return told


class StreamRows(Rows):
    """`Rows` that are read in passes, piece by piece.

    Parameters
    ----------
    pieces : list of Piece
    dtype : dtype
    n_columns : int
        Of the coded table.
    weight : float or None
        Sum of the rows' weights, None where they have none.
    blocks : Blocks or None
    meter : Meter
    """

    is_stream, is_dense, is_narrow = True, False, True
    dtype, weight, all_weight = None, None, None

    def __init__(self, pieces, dtype, n_columns, weight, blocks, meter):
        self.pieces, self.dtype, self.n_columns = pieces, dtype, n_columns
        self.total_weight, self.blocks, self.meter = weight, blocks, meter
        self.n_rows, self.after = sum(piece.n_rows for piece in pieces), None

    def __len__(self):
        return self.n_rows

    @property
    def n_repeated(self):
        """Number of rows, weights above a mean of 1 counted as repetitions."""
        return max(len(self), self.total_weight or 0.0)

    @property
    def width(self):
        """Number of columns of the rows that are read."""
        return self.n_columns if self.blocks is None else self.blocks.width

    def widened(self, rows):
        """Return rows of the coded table as a network's columns."""
        rows = super().widened(rows)
        return rows if self.after is None else self.after(rows)

    def mapped(self, function):
        """Return rows that a function is applied to, as a network sees them."""
        rows = copy(self)
        rows.after = function
        rows.__dict__.pop("moments", None)
        return rows

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
        """Yield float64 rows and their weights, chunk by chunk."""
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
        """Return minimum and maximum of the columns, of the cells that are present."""
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
                del whole
                yield portion

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
        X, weight = joined(found, self.dtype)
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
        found.append(_part((X, weight), some - start))
        start += len(X)
    return found


def joined(pairs, dtype):
    """Return one matrix of several, and their weights."""
    matrices, weights = zip(*pairs, strict=True)
    X = np.concatenate(matrices).astype(dtype, copy=False)
    return X, None if weights[0] is None else np.concatenate(weights)


def _part(pair, some):
    """Return some rows of a matrix, and their weights."""
    X, weight = pair
    return X[some], None if weight is None else weight[some]


def _split(pairs, n):
    """Return the first ``n`` rows of several matrices, and the others."""
    first, rest = [], []
    for X, weight in pairs:
        k = min(n, len(X))
        first += [_part((X, weight), slice(k))] if k else []
        rest += [_part((X, weight), slice(k, None))] if k < len(X) else []
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


# the first pass ---------------------------------------------------------------------------------


class HeldOut:
    """The rows of the smallest hashes: which they are depends on their places alone.

    Parameters
    ----------
    seed : int
    n_held_out : callable or None
        How many of so many rows are wanted; None for none.
    """

    def __init__(self, seed, n_held_out):
        self.seed, self.n_rows = np.uint64(seed), 0
        self.n_held_out = n_held_out
        self.found, self.hashes, self.most = [], np.empty(0, np.uint64), None

    def hashed(self, first, n):
        """Return the hashes of rows by their places: splitmix64 (Steele, Lea & Flood, 2014)."""
        x = (np.arange(first + 1, first + n + 1, dtype=np.uint64) + self.seed) * STEPS[0]
        x = (x ^ (x >> np.uint64(30))) * STEPS[1]
        x = (x ^ (x >> np.uint64(27))) * STEPS[2]
        return x ^ (x >> np.uint64(31))

    def offer(self, X, weight):
        """Take in the next rows; yield pairs of rows and weights that are not held out for sure."""
        if self.most is None:
            self.most = max(MOST_HELD_OUT // max(1, X.shape[1]), FEWEST_HELD_OUT)
        hashes = self.hashed(self.n_rows, len(X))
        self.n_rows += len(X)
        low = np.full(len(X), self.n_held_out is not None)
        if len(self.hashes) >= self.most:
            low &= hashes < self.hashes.max()
        self.found.append(_part((X, weight), low))
        self.hashes = np.concatenate([self.hashes, hashes[low]])
        yield _part((X, weight), ~low)
        if len(self.hashes) > 2 * self.most:
            yield self.cut(self.most)

    def cut(self, n):
        """Keep ``n`` rows; return the others and their weights."""
        X, weight = joined(self.found, np.result_type(*(part.dtype for part, _ in self.found)))
        order = np.argsort(self.hashes)
        kept, rest = np.sort(order[:n]), np.sort(order[n:])
        taken = [_part((X, weight), part) for part in (kept, rest)]
        self.found, self.hashes = taken[:1], self.hashes[kept]
        return taken[1]

    def finish(self):
        """Keep as many as are wanted; return the others."""
        return self.cut(min(self.n_held_out(self.n_rows), self.most) if self.n_held_out else 0)

    def mask(self, first, n):
        """Return which rows from a place on are held out."""
        return self.hashed(first, n) <= self.hashes.max() if len(self.hashes) else np.zeros(n, bool)

    def n_in(self, first, n):
        """Return how many of these are held out."""
        return sum(
            int(self.mask(start, min(HASHED, first + n - start)).sum())
            for start in range(first, first + n, HASHED)
        )


class Cache:
    """Rows in files, a block in each, that are mapped into memory when they are read.

    Parameters
    ----------
    folder : str
    block : int
    limit : int
        Bytes.
    """

    def __init__(self, folder, block, limit):
        self.folder, self.block, self.limit = folder, block, limit
        self.rest, self.n_rest, self.pieces = [], 0, []

    def add(self, X, weight):
        """Take in rows; return False where there is no place for them."""
        self.rest.append((X, weight))
        self.n_rest += len(X)
        return self.n_rest < self.block or self._write(self.block)

    def finish(self):
        """Write what is left; return whether there was place for it."""
        return not self.n_rest or self._write(1)

    def _write(self, least):
        X, weight = joined(self.rest, np.result_type(*(part.dtype for part, _ in self.rest)))
        start = 0
        while len(X) - start >= least:
            span = slice(start, start + self.block)
            self.limit -= X[span].nbytes + (0 if weight is None else weight[span].nbytes)
            if self.limit < 0:
                return False
            name = os.path.join(self.folder, f"{len(self.pieces):08d}")
            np.save(f"{name}.npy", X[span])
            if weight is not None:
                np.save(f"{name}.weight.npy", weight[span])
            n_rows = len(X[span])
            for first in range(0, n_rows, SLICE):
                rows = slice(first, min(first + SLICE, n_rows))
                read = partial(_cached, name, rows, weight is not None)
                self.pieces.append(Piece(rows.stop - rows.start, read))
            start += n_rows
        self.rest = [_part((X, weight), slice(start, None))]
        self.n_rest = len(X) - start
        return True


def _cached(name, rows, weighted):
    """Yield rows of a file, mapped."""
    files = [f"{name}.npy", f"{name}.weight.npy"][: 1 + weighted]
    X, *weight = (np.load(file, mmap_mode="r")[rows] for file in files)
    yield X, weight[0] if weight else None


class Reading:
    """The first pass over a stream, which learns the columns, and what the later ones read.

    Parameters
    ----------
    stream : Stream
    columns : Columns
    schema : Schema or None
        Where the columns are known.
    mean : ndarray or None
        Of a model to go on with: stands in for missing cells.
    check : callable
        ``check(schema, X)`` refuses rows.
    held_out : HeldOut
    cache : Cache or None
    """

    def __init__(self, stream, columns, schema, mean, check, held_out, cache):
        self.stream, self.columns, self.schema, self.mean = stream, columns, schema, mean
        self.check, self.held_out, self.cache = check, held_out, cache
        self.known, self.meter, self.dtypes = schema is not None, Meter(stream.block), set()
        self.whole, self.sums, self.counts = [], None, []
        self.weight, self.n_missing = 0.0, 0

    def run(self):
        """Read everything once."""
        if not self.known and self._is_coded():
            self._count()
        for part in self.stream.parts:
            before = self.held_out.n_rows
            for where, X, weight in self.stream.tables(part):
                with located(where):
                    X, weight = self.coded(X, weight)
                    self.check(self.schema, X)
                self._take(X, weight)
            self.counts.append(self.held_out.n_rows - before)
        if not self.held_out.n_rows:
            zero = " but rows of weight zero" if self.stream.weight is not None else ""
            raise ValueError(
                f"There is nothing in {self.stream}{zero}: it has no rows to learn of."
            )
        if not self.known and np.any(self.n_missing):
            self.schema = self.schema.lacking(self.n_missing, self.held_out.n_rows)
        self._add(*self.held_out.finish())
        if self.cache is not None and not self.cache.finish():
            self._without_cache()
        return self

    def _is_coded(self):
        """Return whether the columns of the first block are more than numbers."""
        first = next(iter(self.stream), None)
        frame = None if first is None else frame_of(table(first))
        return self.columns.codes(None if frame is None else fields(frame))

    def _count(self):
        """Learn the columns of a table, in a pass of their own."""
        counts, n_rows = TableCounts(self.columns.encoder()), 0
        for part in self.stream.parts:
            for where, X, weight in self.stream.tables(part):
                with located(where):
                    some = slice(None) if weight is None else np.flatnonzero(weight)
                    weight = None if weight is None else weight[some]
                    X = X if weight is None else _rows_of(X, some)
                    if len(X):
                        counts.add(X, weight)
                n_rows += len(X)
        if not n_rows:
            raise ValueError(f"There is nothing in {self.stream}: it has no rows to learn of.")
        encoder = counts.fitted(n_rows)
        self.schema, self.known = (
            self.columns.of_table(encoder, encoder.n_samples_seen_ < n_rows),
            True,
        )

    def coded(self, X, weight):
        """Return the rows of positive weight as a matrix of numbers, and their weights."""
        if self.schema is None:
            X = table(X)
            found = None if frame_of(X) is None else fields(frame_of(X))
            self.schema, X = self.columns.of_numbers(X, found)
        else:
            X = self.schema.read(X)
        if sparse.issparse(X):
            raise TypeError(
                "Sparse rows cannot be streamed: pass them to fit, which reads them in parts."
            )
        if self.mean is not None and self.schema.blocks is None:
            X = self.schema.filled(X, self.mean)
        some = slice(None) if weight is None else weight > 0
        return _part((X, weight), some)

    def _take(self, X, weight):
        """Take in coded rows."""
        self.meter.n_rows += len(X)
        if not self.dtypes and self.cache is not None:
            row = X.dtype.itemsize * X.shape[1]
            if (self.stream.n_rows or 0) * row > self.cache.limit:
                self._without_cache()
        self.dtypes.add(X.dtype)
        self.weight += len(X) if weight is None else weight.sum()
        if not self.known:
            self.n_missing = self.n_missing + np.isnan(X).sum(axis=0)
        if self.whole is not None:
            self.whole.append((X, weight))
            if self.held_out.n_rows + len(X) > max(self.stream.block, SMALL):
                self.whole = None
        for rest in self.held_out.offer(X, weight):
            self._add(*rest)

    def _add(self, X, weight):
        """Take in rows that are trained on."""
        if not len(X):
            return
        if self.schema.blocks is None:
            if self.sums is None:
                self.sums = Moments(X.shape[1] <= WIDEST_COVARIANCE)
            self.sums.add(X, weight)
        if self.cache is not None and not self.cache.add(X, weight):
            self._without_cache()

    def _without_cache(self):
        """Go on without a cache, which has no more place."""
        folder, self.cache = self.cache.folder, None
        for name in os.listdir(folder):
            os.remove(os.path.join(folder, name))
        warnings.warn(
            "The rows do not fit into the cache: they are read from the source in every pass. "
            "Name a folder on a larger disk (cache=), raise cache_limit, or set cache=False.",
            UserWarning,
            stacklevel=8,
        )

    # what was read ----------------------------------------------------------------------------

    def rows_of(self, schema):
        """Return all rows, and those that are trained on and held out; None where all are in memory.

        ``schema`` is that of the task.
        """
        dtype, weighted = np.result_type(*self.dtypes), self.stream.weight is not None
        if self.whole is not None:
            return schema.rows(*_whole(joined(self.whole, dtype)), self.mean), None
        X, weight = joined(self.held_out.found, dtype)
        held = Rows(X, None, weight, schema.blocks)
        pieces = self._pieces() if self.cache is None else self.cache.pieces
        sum_of_weights = self.weight - weight.sum() if weighted else None
        about = dtype, X.shape[1], sum_of_weights, schema.blocks, self.meter
        train = StreamRows(pieces, *about)
        if schema.blocks is None:
            train.moments = self.sums
        return (train.beside(held), (train, held)) if len(held) else (train, None)

    def _pieces(self):
        """Return pieces that read the source."""
        start, pieces = 0, []
        for part, count in zip(self.stream.parts, self.counts, strict=True):
            n_rows = count - self.held_out.n_in(start, count)
            pieces.append(Piece(n_rows, partial(self._again, part, start, count)))
            start += count
        return pieces

    def _again(self, part, start, count):
        """Yield the coded rows of a part that are not held out, once more."""
        end = start + count
        for where, X, weight in self.stream.tables(part):
            with located(where):
                X, weight = self.coded(X, weight)
            kept = ~self.held_out.mask(start, len(X))
            start += len(X)
            yield _part((X, weight), kept)
        if start != end:
            raise ValueError(
                f"{part.name} had {count} rows, and {start - end + count} when it was read again: "
                "a source must give the same rows each time, a function a new iterator."
            )


def _whole(pair):
    """Return a matrix, its rows and their weights."""
    X, weight = pair
    return X, None, weight


def _rows_of(X, places):
    """Return some rows of a frame or an array."""
    return X.iloc[places] if hasattr(X, "iloc") else X[places]


@contextmanager
def opened(stream, columns, held_out, check, schema=None, mean=None):
    """Yield the `Reading` of a stream, whose cache is there as long as this lasts."""
    about = stream, columns, schema, mean, check, held_out
    if stream.cache is False:
        yield Reading(*about, None).run()
        return
    folder = tempfile.mkdtemp(prefix="skae-", dir=stream.cache)
    try:
        limit = int(SHARE_OF_DISK * shutil.disk_usage(folder).free)
        limit = limit if stream.cache_limit is None else min(limit, stream.cache_limit)
        yield Reading(*about, Cache(folder, stream.block, limit)).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
