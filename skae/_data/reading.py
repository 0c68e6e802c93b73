"""The first pass over a stream: it learns the columns, holds some rows out and caches the others."""

import os
import shutil
import tempfile
import warnings
from contextlib import contextmanager
from functools import partial

import numpy as np

from skae._data.counts import TableCounts
from skae._data.frames import fields_of, frame_of, table
from skae._data.rows import WIDEST_COVARIANCE, Moments, Rows
from skae._data.stream_rows import Meter, Piece, StreamRows, joined, part_of
from skae._data.streams import located, that_count
from skae._parameters import counted

MOST_HELD_OUT, FEWEST_HELD_OUT = 2**21, 1000  # cells at most, but so many rows in any case
SLICE = 4096  # cached rows that are read together
SHARE_OF_DISK = 0.9  # of what is free
SMALL = 500  # rows that are read whole in any case
HASHED = 2**16  # rows at once
STEPS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)


class HeldOut:
    """The rows of the smallest hashes: which they are depends on their places alone.

    ``n_held_out`` returns how many of so many rows are wanted; None for none.
    """

    def __init__(self, seed, n_held_out):
        self.start = _hashes(np.array([seed], dtype=np.uint64))  # far from that of the next seed
        self.n_held_out, self.n_rows = n_held_out, 0
        self.found, self.hashes, self.most = [], np.empty(0, np.uint64), None

    def hashed(self, first, n):
        """Return the hashes of rows by their places."""
        return _hashes(self.start + np.arange(first, first + n, dtype=np.uint64))

    def offer(self, X, weight):
        """Take in the next rows; yield pairs of rows and weights that are not held out for sure."""
        if self.most is None:
            self.most = max(MOST_HELD_OUT // max(1, X.shape[1]), FEWEST_HELD_OUT)
        hashes = self.hashed(self.n_rows, len(X))
        self.n_rows += len(X)
        low = np.full(len(X), self.n_held_out is not None)
        if len(self.hashes) >= self.most:
            low &= hashes < self.hashes.max()
        self.found.append(part_of((X, weight), low))
        self.hashes = np.concatenate([self.hashes, hashes[low]])
        yield part_of((X, weight), ~low)
        if len(self.hashes) > 2 * self.most:
            yield self.cut(self.most)

    def cut(self, n):
        """Keep ``n`` rows; return the others and their weights."""
        X, weight = joined(self.found)
        order = np.argsort(self.hashes)
        kept, rest = np.sort(order[:n]), np.sort(order[n:])
        taken = [part_of((X, weight), part) for part in (kept, rest)]
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


def _hashes(numbers):
    """Return splitmix64 of numbers (Steele, Lea & Flood, 2014, DOI 10.1145/2660193.2660195)."""
    x = (numbers + np.uint64(1)) * STEPS[0]
    x = (x ^ (x >> np.uint64(30))) * STEPS[1]
    x = (x ^ (x >> np.uint64(27))) * STEPS[2]
    return x ^ (x >> np.uint64(31))


class Cache:
    """Rows in files of a folder, a block in each, mapped into memory when they are read; at most ``limit`` bytes."""

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
        X, weight = joined(self.rest)
        start = 0
        while len(X) - start >= least:
            span = slice(start, start + self.block)
            self.limit -= X[span].nbytes + (0 if weight is None else weight[span].nbytes)
            if self.limit < 0:
                return False
            name = os.path.join(self.folder, f"{len(self.pieces):08d}")
            try:
                np.save(f"{name}.npy", X[span])
                if weight is not None:
                    np.save(f"{name}.weight.npy", weight[span])
            except OSError:  # the disk was filled by others meanwhile
                return False
            n_rows = len(X[span])
            for first in range(0, n_rows, SLICE):
                rows = slice(first, min(first + SLICE, n_rows))
                read = partial(_cached, name, rows, weight is not None)
                self.pieces.append(Piece(rows.stop - rows.start, read))
            start += n_rows
        self.rest = [part_of((X, weight), slice(start, None))]
        self.n_rest = len(X) - start
        return True


def _cached(name, rows, weighted):
    """Yield rows of a file, which is mapped no longer than they take to copy: pages around them are, too."""
    files = [f"{name}.npy", f"{name}.weight.npy"][: 1 + weighted]
    X, *weight = (np.array(np.load(file, mmap_mode="r")[rows]) for file in files)
    yield X, weight[0] if weight else None


class Reading:
    """The first pass over a stream, which learns the columns, and what the later ones read.

    Where the columns are known there is a ``schema``, and of a model to go on with a ``mean``, which
    stands in for missing cells. ``check(schema, X)`` refuses rows.
    """

    def __init__(self, stream, columns, schema, mean, check, held_out, cache):
        self.stream, self.columns, self.schema, self.mean = stream, columns, schema, mean
        self.check, self.held_out, self.cache = check, held_out, cache
        self.known, self.meter, self.dtypes = schema is not None, Meter(stream.block), set()
        self.whole, self.sums, self.counts = [], None, []
        self.weight, self.n_missing, self.named = 0.0, 0, None

    def run(self):
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
            zero = ", only rows of weight zero" if self.stream.weight is not None else ""
            raise ValueError(f"{self.stream} has no rows to learn from{zero}.")
        if not self.known and np.any(self.n_missing):
            self.schema = self.schema.lacking(self.n_missing, self.held_out.n_rows)
        self._add(*self.held_out.finish())
        if self.cache is not None and not self.cache.finish():
            self._without_cache()
        return self

    def _is_coded(self):
        """Return whether the columns of the first block are more than numbers."""
        first = next(iter(self.stream), None)
        return self.columns.codes(None if first is None else fields_of(first))

    def _count(self):
        """Learn the columns of a table, in a pass of their own."""
        counts = None
        for part in self.stream.parts:
            for where, X, weight in self.stream.tables(part):
                with located(where):
                    X, weight = that_count(X, weight)
                    if counts is None and len(X):
                        counts = TableCounts(self.columns, X)
                    if len(X):
                        counts.add(X, weight)
        if counts is None:
            raise ValueError(f"{self.stream} has no rows to learn from.")
        self.schema, self.known = counts.schema(), True

    def coded(self, X, weight):
        """Return the rows of positive weight as a matrix of numbers, and their weights."""
        named = frame_of(X) is not None
        if self.named is None:
            self.named = named
        if named != self.named:
            kinds = ("an array", "frames") if self.named else ("a frame", "arrays")
            raise ValueError(
                "{} follows {}: pass either alone, for only names tell that columns "
                "are the same.".format(*kinds)
            )
        if self.schema is None:
            X = table(X)
            self.schema, X = self.columns.of_numbers(X, fields_of(X))
        else:
            X = self.schema.read(X)
        if self.mean is not None and self.schema.blocks is None:
            X = self.schema.filled(X, self.mean)
        some = slice(None) if weight is None else weight > 0
        return part_of((X, weight), some)

    def _take(self, X, weight):
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
            X, weight = joined(self.whole)
            return schema.rows(X, None, weight, self.mean), None
        X, weight = joined(self.held_out.found)
        pieces = self._pieces() if self.cache is None else self.cache.pieces
        sum_of_weights = self.weight - weight.sum() if weighted else None
        about = dtype, X.shape[1], sum_of_weights, schema.blocks, self.meter
        train = StreamRows(pieces, *about)
        if schema.blocks is None:
            train.moments = self.sums
        if not len(X):
            return train, None
        held = Rows(X.astype(dtype, copy=False), None, weight, schema.blocks)
        return train.beside(held), (train, held)

    def _pieces(self):
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
            yield part_of((X, weight), kept)
        if start != end:
            raise ValueError(
                f"{part.name} had {counted(count, 'row')}, and {start - end + count} when it was read again: "
                "a source must give the same rows each time, a function a new iterator."
            )


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
