"""Rows of a table: read in chunks, weighted, and standardised on the way out."""

import numpy as np
import torch
from torch.utils.data import Dataset

CHUNK_BYTES = 2**24
READY_BYTES = 2**26
BLOCK_CELLS = 2**16


class Rows(Dataset):
    """Some rows of a matrix, without a copy of it.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float32 or float64
    index : ndarray of int or None
        Which rows; None for all of them.
    weight : ndarray of shape (n_rows,) or None
        Weight of every row of ``X``. Over the chosen rows they are scaled to
        a mean of 1.
    """

    def __init__(self, X, index=None, weight=None):
        self.X = X
        self.index = np.arange(len(X)) if index is None else index
        self.weight = None
        if weight is not None:
            share = weight[self.index] / weight.max()
            self.weight = share / share.mean()

        self._all_weight = weight

    def __len__(self):
        return len(self.index)

    def __getitem__(self, i):
        return self.X[self.index[i]]

    def subset(self, places):
        """Return the rows at some places of this subset, as a subset of the same matrix."""
        return Rows(self.X, self.index[places], self._all_weight)

    def take(self, index):
        """Return the rows at places ``index`` of this subset, in the dtype of X."""
        return np.take(self.X, self.index[index], axis=0)

    def spans(self, bytes_a_cell=8):
        """Yield slices of consecutive rows that take about ``CHUNK_BYTES`` each."""
        step = max(1, CHUNK_BYTES // (bytes_a_cell * max(1, self.X.shape[1])))
        for start in range(0, len(self), step):
            yield slice(start, min(start + step, len(self)))

    def chunks(self):
        """Yield float64 rows and their weights, chunk by chunk."""
        for span in self.spans():
            weight = np.ones(span.stop - span.start) if self.weight is None else self.weight[span]
            yield self.take(span).astype(np.float64, copy=False), weight


class StandardisedRows(Dataset):
    """`Rows` as float32 tensors, centred and scaled in float64 before.

    Small tables are kept ready on the device, large ones are standardised
    chunk by chunk each time they are read.

    Parameters
    ----------
    rows : Rows
    mean, scale : ndarray of shape (n_features,)
    device : torch.device or str
    """

    def __init__(self, rows, mean, scale, device="cpu"):
        self.rows, self.mean, self.scale, self.device = rows, mean, scale, device
        high = mean.astype(np.float32)
        parts = (high, mean - high, scale)
        self._parts = [torch.as_tensor(part, dtype=torch.float32) for part in parts]
        self.weight = None
        if rows.weight is not None:
            self.weight = torch.as_tensor(rows.weight, dtype=torch.float32, device=device)
        cells = len(rows) * rows.X.shape[1]
        self._ready = None
        if 4 * cells <= READY_BYTES:
            self._ready = self._standardise(slice(None))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.take(slice(i, i + 1))[0]

    @property
    def n_features(self):
        """Number of columns."""
        return self.rows.X.shape[1]

    def take(self, index):
        """Return the standardised rows of a slice or at the places in a tensor."""
        if self._ready is not None:
            return self._ready[index]
        return self._standardise(index if isinstance(index, slice) else index.numpy())

    def _standardise(self, index):
        """Standardise block by block: each block stays in the processor's cache."""
        index = self.rows.index[index]
        out = torch.empty(len(index), self.n_features, dtype=torch.float32)
        step = max(1, BLOCK_CELLS // max(1, self.n_features))
        for start in range(0, len(index), step):
            block = slice(start, start + step)
            out[block] = self._scaled(np.take(self.rows.X, index[block], axis=0))
        return out.to(self.device)

    def _scaled(self, block):
        """Centre and scale in place: in float64, or in float32 with a mean of two parts."""
        if block.dtype == np.float64:
            block -= self.mean
            block /= self.scale
            return torch.from_numpy(block)
        high, low, scale = self._parts
        return torch.from_numpy(block).sub_(high).sub_(low).div_(scale)
