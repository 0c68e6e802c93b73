"""From rows to batches: standardised on the way, gathered many at a time."""

from itertools import pairwise

import numpy as np
import torch
from torch.utils.data import Dataset

from skae._data.rows import CHUNK_BYTES, Reduce

READY_BYTES = 2**26
READY_SHARE = 0.25  # of the free memory of a GPU
PART_BYTES = 2**22  # of a stream's batches that are standardised together
BLOCK_CELLS, BLOCK_CELLS_OF_GPU = 2**16, 2**24
MARGIN = 1.0  # how far outside the training range a trained module is used, in widths of the range


class Float64:
    """Double precision on a device of torch, where sums over rows are taken."""

    def __init__(self, device):
        self.device = device

    def tensor(self, array):
        """Return a copy of an array there."""
        return torch.from_numpy(array).to(self.device).double()

    def eigh(self, matrix):
        """Return eigenvalues of a symmetric matrix, smallest first, and eigenvectors, as arrays."""
        return tuple(part.cpu().numpy() for part in torch.linalg.eigh(self.tensor(matrix)))


class StandardisedRows(Dataset):
    """`Rows` as float32 tensors, centred and scaled in float64 before.

    Tables that are small, or small for a GPU, are kept ready on the device;
    larger ones are standardised chunk by chunk each time they are read.

    Parameters
    ----------
    rows : Rows
    mean, scale : ndarray of shape (n_features,)
    device : torch.device or str
    reach : (Tensor, Tensor) or None
        The lowest and the highest value of every column; what lies outside is
        clipped. What cannot be squared in float32 stays as it is.
    targets : ndarray of shape (len(rows), n_targets) or None
        Put beside the rows, as they are.
    """

    def __init__(self, rows, mean, scale, device="cpu", reach=None, targets=None):
        self.rows, self.mean, self.scale, self.device = rows, mean, scale, device
        self.reach = reach
        self.targets = None
        if targets is not None:
            self.targets = torch.as_tensor(targets, dtype=torch.float32)
        # on a GPU, which knows float64, or by the processor
        self._place = device if torch.device(device).type == "cuda" else "cpu"
        self._units = {np.dtype(np.float64): self._tensors(mean, scale)}
        if rows.dtype == np.float32:
            high = mean.astype(np.float32)
            parts = (part.astype(np.float32) for part in (high, mean - high, scale))
            self._units[rows.dtype] = self._tensors(*parts)
        self.weight = None
        if rows.weight is not None:
            self.weight = torch.as_tensor(rows.weight, dtype=torch.float32, device=device)
        self._ready = None
        if 4 * rows.n_here * self.n_features <= _ready_bytes(device) and not rows.is_stream:
            self._ready = self._standardise(slice(None))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.take(slice(i, i + 1))[0]

    @property
    def reduce(self):
        """What adds up over the processes that have parts of the rows."""
        return self.rows.reduce

    @property
    def row_weights(self):
        """Weights of the rows, with a mean of 1."""
        weight = self.rows.every_weight
        return np.ones(len(self)) if weight is None else weight

    def those_read(self, values):
        """Return those of all rows' values whose rows are read in this process."""
        return values[self.rows.start :][: self.rows.n_here]

    @property
    def n_features(self):
        return self.rows.width + (0 if self.targets is None else self.targets.shape[1])

    def reachable(self, order):
        """Return places of rows where these are: `take` would wait until a GPU had each part of them."""
        return order if self._ready is None else order.to(self._ready.device)

    def take(self, index):
        """Return the standardised rows of a slice or at the places in a tensor."""
        return self.here(index)

    def here(self, index):
        """Return the same of this process's rows, by their places among these."""
        if self._ready is not None:
            return self._ready[index]
        return self._standardise(index if isinstance(index, slice) else index.numpy())

    def _standardise(self, index):
        """Standardise block by block: each block stays in the processor's cache."""
        index = np.arange(self.rows.n_here)[index] if isinstance(index, slice) else index
        out = torch.empty(len(index), self.n_features, dtype=torch.float32, device=self.device)
        self._fill(out, lambda block: self.rows.take(index[block]))
        if self.targets is not None:
            out[:, self.rows.width :] = self.targets[torch.from_numpy(index)]
        if self.reach is None:
            return out
        return torch.where(out.square().isfinite(), torch.clamp(out, *self.reach), out)

    def _fill(self, out, take):
        cells = BLOCK_CELLS_OF_GPU if out.is_cuda else BLOCK_CELLS
        step = max(1, cells // max(1, self.n_features))
        for start in range(0, len(out), step):
            block = slice(start, start + step)
            out[block, : self.rows.width] = self._scaled(take(block))

    def _tensors(self, *arrays):
        return [torch.tensor(array, device=self._place) for array in arrays]

    def limits(self, n_columns):
        """Return how low and how high the first columns may be; the others have no limits."""
        found = Range()
        for span in self.rows.spans():
            found.add(self.here(span).nan_to_num(nan=0.0))
        low, high = found.of_all(self.rows).reach()
        low[n_columns:], high[n_columns:] = -torch.inf, torch.inf
        return low, high

    def _scaled(self, block):
        """Centre and scale in place: in float64, or in float32 with a mean of two parts."""
        x = torch.from_numpy(block).to(self._place)
        *means, scale = self._units[block.dtype]
        for mean in means:
            x -= mean
        return x.div_(scale)


def _ready_bytes(device):
    """Return how many bytes of rows are kept ready: on a GPU up to a share of its free memory."""
    if torch.device(device).type != "cuda":
        return READY_BYTES
    free, _ = torch.cuda.mem_get_info(device)
    return max(READY_BYTES, int(READY_SHARE * free))


class StandardisedStream(StandardisedRows):
    """The same of a stream, which can be read in passes alone: there is no ``take``."""

    def standardised(self, X):
        """Return rows of the coded table as training reads them."""
        out = torch.empty(len(X), self.n_features, dtype=torch.float32, device=self.device)
        self._fill(out, lambda block: self.rows.widened(np.array(X[block])))
        return out

    def limits(self, n_columns):
        found = Range()
        for end in self.rows.range():
            x = torch.from_numpy(((end - self.mean) / self.scale).astype(np.float32))
            found.add(x.nan_to_num(nan=0.0)[None].to(self.device))
        low, high = found.reach()
        low[n_columns:], high[n_columns:] = -torch.inf, torch.inf
        return low, high


class Everywhere(Reduce):
    """What every process learns of all rows: nothing adds up, but ``reduce`` still compares weights."""

    def __init__(self, reduce):
        self.check_alike = reduce.check_alike


class GatheredRows(StandardisedRows):
    """The same of `SharedRows`, whose batches every process has whole.

    For what couples the rows of a batch: all processes take the same steps, each for itself.
    """

    def __init__(self, rows, *about):
        super().__init__(rows, *about)
        self.everywhere = Everywhere(rows.reduce)
        if rows.weight is not None:
            self.weight = torch.as_tensor(rows.every_weight, dtype=torch.float32)

    @property
    def reduce(self):
        """What adds up over processes: nothing."""
        return self.everywhere

    def take(self, index):
        """Return the rows of all processes at the places of a slice or in a tensor."""
        places = torch.arange(len(self))[index]
        at, own = self.rows.own(places)
        whole = torch.zeros(len(places), self.n_features)
        whole[at] = self.here(own)
        return self.rows.reduce.sum(whole)

    def those_read(self, values):
        return values


def standardised(rows, *about, coupled=False):
    """Return rows as training reads them; parameters as of `StandardisedRows`.

    ``coupled`` says that what is computed of a row depends on the others of its batch.
    """
    if rows.is_stream:
        return StandardisedStream(rows, *about)
    return (GatheredRows if coupled and rows.reduce.shared else StandardisedRows)(rows, *about)


class TensorBatches:
    """Batches of `StandardisedRows`: one shuffled gather for many of them, then views.

    Yields ``(inputs, (target, weight))``; the weight is None for rows of equal weight. Batches differ
    in size by at most one row. The generator shuffles the rows, unless ``shuffle`` is False, and draws
    the corruption; without one the rows stay in order. The corruption's ``begin(generator)`` returns,
    for an epoch, what makes the inputs from the targets.
    """

    def __init__(self, rows, batch_size, generator=None, corruption=None, shuffle=True):
        self.rows, self.generator, self.corruption = rows, generator, corruption
        self.shuffle = shuffle and generator is not None
        whole, rest = divmod(len(rows), batch_size)
        self.n_batches = max(1, whole) if self.shuffle else whole + (rest > 0)

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        n_rows = len(self.rows)
        order = None
        if self.shuffle:
            order = self.rows.reachable(torch.randperm(n_rows, generator=self.generator))
        corrupt = self.corruption and self.corruption.begin(self.generator)
        edges = [n_rows * i // self.n_batches for i in range(self.n_batches + 1)]
        per_chunk = max(1, CHUNK_BYTES * self.n_batches // (4 * n_rows * self.rows.n_features))
        for first in range(0, self.n_batches, per_chunk):
            yield from self._chunk(edges[first : first + per_chunk + 1], order, corrupt)

    def _chunk(self, edges, order, corrupt):
        index = slice(edges[0], edges[-1])
        if order is not None:
            index = order[index]
        targets = self.rows.take(index)
        weights = None if self.rows.weight is None else self.rows.weight[index]
        for start, stop in pairwise(edge - edges[0] for edge in edges):
            target = targets[start:stop]
            weight = None if weights is None else weights[start:stop]
            yield corrupt(target) if corrupt else target, (target, weight)


class StreamedBatches(TensorBatches):
    """Shuffled batches of a stream: its pieces are, several together, and the rows within them."""

    def __iter__(self):
        corrupt = self.corruption and self.corruption.begin(self.generator)
        edges = np.arange(self.n_batches + 1) * len(self.rows) // self.n_batches
        first = 0
        for X, weight in self.rows.rows.portions(self._permutation, edges):
            last = np.searchsorted(edges, edges[first] + len(X))
            yield from self._cut(X, weight, edges[first : last + 1] - edges[first], corrupt)
            first = last
            del X, weight

    def _permutation(self, n):
        return torch.randperm(n, generator=self.generator).numpy()

    def _cut(self, X, weight, edges, corrupt):
        """Yield batches between edges, standardised many at a time."""
        per_chunk = max(
            1, PART_BYTES * len(edges) // (4 * max(1, edges[-1]) * self.rows.n_features)
        )
        for first in range(0, len(edges) - 1, per_chunk):
            some = edges[first : first + per_chunk + 1]
            targets = self.rows.standardised(X[some[0] : some[-1]])
            for start, stop in pairwise(some):
                target, of_rows = targets[start - some[0] : stop - some[0]], None
                if weight is not None:
                    of_rows = torch.as_tensor(weight[start:stop], dtype=torch.float32).to(target)
                yield corrupt(target) if corrupt else target, (target, of_rows)


class Range:
    """The range of tensors' columns."""

    def __init__(self):
        self.low = self.high = None

    def add(self, x):
        if len(x):
            low, high = x.amin(0), x.amax(0)
        else:
            low, high = x.new_full((2, x.shape[1]), torch.inf) * x.new_tensor([[1.0], [-1.0]])
        self.low = low if self.low is None else torch.minimum(self.low, low)
        self.high = high if self.high is None else torch.maximum(self.high, high)

    def of_all(self, rows):
        """Widen the range to what other processes saw of the same rows; return it."""
        self.low, self.high = rows.reduce.extremes(self.low, self.high)
        return self

    def widen(self, width):
        """Widen the range of every column to hold minus and plus ``width``; return it."""
        self.low, self.high = self.low.clamp(max=-width), self.high.clamp(min=width)
        return self

    def reach(self, margin=MARGIN):
        """Return the limits within which a trained module is used: the range and a margin."""
        further = margin * (self.high - self.low)
        return self.low - further, self.high + further

    def give_to(self, half, beyond, margin=MARGIN):
        """Set the limits of a `Confined` module, and the linear map that extrapolates."""
        low, high = self.reach(margin)
        half.low.copy_(low)
        half.high.copy_(high)
        half.beyond.copy_(beyond)
