"""Rows of which several processes have a part each, and batches of them."""

from itertools import pairwise

import numpy as np
import torch

from skae._data.batches import TensorBatches
from skae._data.rows import Rows

SAMPLED_CELLS = 2**22  # at most, that are sent to every process


class SharedRows(Rows):
    """The rows of several processes: each has consecutive ones, and knows how many there are.

    What is drawn (held-out rows, batches, noise) is drawn for all rows, by their number, and
    alike in every process, which then takes what is its own. So it does not depend on who
    has which rows.

    Parameters
    ----------
    X : ndarray of shape (n_here, n_columns), float32 or float64
        The part of this process; it may be empty.
    start : int
        Number of its first row among all.
    n_rows : int
        How many there are in all.
    reduce : Reduce
    index : ndarray of int or None
        Which rows of ``X``.
    weight : ndarray of shape (n_here,) or None
        Weight of every row of ``X``.
    blocks : Blocks or None
        As of `Rows`.
    """

    is_dense, is_narrow = False, True  # no process has all of them
    gathered_weight = None

    def __init__(self, X, start, n_rows, reduce, index=None, weight=None, blocks=None):
        super().__init__(X, index, None, blocks)
        self.start, self.n_rows, self.reduce = start, n_rows, reduce
        self.all_weight = weight
        if weight is not None:
            own = weight[self.index]
            _, most = reduce.extremes(0.0, own.max(initial=0.0))
            share = own / most
            mean = reduce.sum(share.sum()) / n_rows
            self.weight, self.total_weight = share / mean, most * mean * n_rows

    def __len__(self):
        return self.n_rows

    @property
    def n_here(self):
        return len(self.index)

    @property
    def n_repeated(self):
        return len(self) if self.weight is None else max(len(self), float(self.total_weight))

    @property
    def every_weight(self):
        # no cached_property: before Python 3.12 ranks that are threads would wait for its one lock
        if self.weight is not None and self.gathered_weight is None:
            self.gathered_weight = self.reduce.gathered(self.weight, self)
        return self.gathered_weight

    def subset(self, places):
        """Return the rows at some places, in ascending order, among all."""
        first, last = np.searchsorted(places, [self.start, self.start + self.n_here])
        own = self.index[places[first:last] - self.start]
        about = self.reduce, own, self.all_weight, self.blocks
        return SharedRows(self.X, int(first), len(places), *about)

    def spans(self, most=None):
        """Yield slices of consecutive rows of this process; without any, an empty one."""
        if not self.n_here:
            yield slice(0, 0)
        yield from super().spans(most)

    def unlabelled(self):
        """Return the rows: there are no labels."""
        return self

    def own(self, places):
        """Return which of some places among all are here, and their places here: tensors."""
        here = (places >= self.start) & (places < self.start + self.n_here)
        at = here.nonzero().squeeze(1)
        return at, places[at] - self.start

    def some(self, most, rng):
        """Return the rows of all processes, or so many of them that are drawn, in memory."""
        n = len(self)
        places = np.arange(n) if n <= most else np.sort(rng.permutation(n)[:most])
        return self._together(self.subset(places))

    def in_memory(self, most):
        """Return the rows of all processes, or so many of them, evenly spread."""
        most = min(len(self), most, max(1, SAMPLED_CELLS // self.width))
        return self._together(self.subset(np.linspace(0, len(self) - 1, most).astype(int)))

    def _together(self, some):
        whole = np.zeros((len(some), self.X.shape[1]))
        whole[some.start : some.start + some.n_here] = some.raw(slice(None))
        whole, weight = self.reduce.sum(whole).astype(self.X.dtype), None
        if self.all_weight is not None:
            weight = self.reduce.gathered(self.all_weight[some.index], some)
        return Rows(whole, None, weight, self.blocks)


class SharedBatches(TensorBatches):
    """Batches of `SharedRows`: those of all processes, of which each gets its own rows.

    Their weight is the share of the batch that they are: over all processes the
    gradients of their weighted means add up to that of the batch's mean.
    """

    place = None  # for the rows of a batch; those of others are void

    def _chunk(self, edges, order, corrupt):
        for start, stop in pairwise(edges):
            places = torch.arange(start, stop) if order is None else order[start:stop]
            at, own = self.rows.rows.own(places)
            target = self.rows.take(own)
            share = len(own) / len(places)
            weight = None if share == 1 else target.new_full((len(own),), share)
            if self.rows.weight is not None:
                weight = share * self.rows.weight[own]
            yield self._inputs(target, at, len(places), corrupt), (target, weight)

    def _inputs(self, target, at, n_rows, corrupt):
        """Return a process's inputs; the noise is drawn for the whole batch."""
        if not corrupt or len(target) == n_rows:
            return corrupt(target) if corrupt else target
        if getattr(self.corruption, "by_places", False):
            return corrupt(target, at, n_rows)
        if self.place is None or len(self.place) < n_rows:
            self.place = target.new_zeros(n_rows, target.shape[1])
        self.place[at] = target
        return _at(corrupt(self.place[:n_rows]), at)


def _at(made, places):
    """Return some rows of what was made of a batch: a tensor, or tensors side by side."""
    if isinstance(made, tuple):
        return tuple(_at(part, places) for part in made)
    return made[places]
