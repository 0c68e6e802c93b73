"""What several processes learn together: sums over them, by gloo."""

import pickle
import zlib
from contextlib import contextmanager, suppress
from datetime import timedelta

import numpy as np
import torch
from torch import distributed as dist

from skae._data.rows import Reduce

LEAVING = 10.0  # seconds, at most, that a rank which is done waits for the others
MESSAGE = 1024  # bytes of an error that one rank tells the others


class Broken(RuntimeError):
    """A rank is gone, or did not answer in time."""

    epoch = 0  # in which this was noticed


class Ranks(Reduce):
    """The ranks of a process group for tensors on the CPU, and what adds up over them.

    All that goes from rank to rank is one kind of call, an all-reduce.
    """

    shared = True

    def __init__(self, group):
        self.group, self.rank, self.n = group, group.rank(), group.size()

    def add(self, tensor, op=dist.ReduceOp.SUM):
        """Replace a tensor by its sum over the ranks; return it."""
        options = dist.AllreduceOptions()
        options.reduceOp = op
        try:
            self.group.allreduce([tensor], options).wait()
        except RuntimeError as error:
            # without the place in gloo's source
            said = str(error).split("] ", 1)[-1].split(". ")[0]
            raise Broken(f"Rank {self.rank} lost another one: {said}") from error
        return tensor

    # as of `Reduce` ---------------------------------------------------------------------------

    def sum(self, total):
        """Return the sum of an array, a tensor or a tuple of them, added up in float64."""
        parts = total if isinstance(total, tuple) else (total,)
        flat = [torch.as_tensor(part).reshape(-1).double() for part in parts]
        sums = self.add(torch.cat(flat)).split([len(part) for part in flat])
        sums = tuple(map(_like, parts, sums))
        return sums if isinstance(total, tuple) else sums[0]

    def extremes(self, low, high):
        both = torch.stack([torch.as_tensor(low), -torch.as_tensor(high)])
        least, largest = self.add(both, dist.ReduceOp.MIN)
        return _like(low, least), _like(high, -largest)

    def gathered(self, values, rows):
        whole = torch.zeros(len(rows), dtype=torch.float64)
        whole[rows.start : rows.start + len(values)] = torch.from_numpy(values)
        return self.add(whole).numpy()

    def gradient(self, compute, optimizer):
        def of_all(inputs, target, weight):
            if len(target):
                loss = compute(inputs, target, weight)
            else:
                optimizer.zero_grad()
                loss = optimizer.gradient.new_zeros(())
            self.add(optimizer.gradient)
            return loss

        return of_all

    # between ranks ----------------------------------------------------------------------------

    def check_alike(self, weights):
        own = torch.tensor([zlib.crc32(weights.numpy())], dtype=torch.float64)
        least, largest = self.extremes(own, own)
        if least != largest:
            raise RuntimeError(
                "The weights are no longer the same in all ranks: their processors or their "
                "versions of torch and numpy differ. Train on machines of one kind."
            )

    def table(self, values):
        """Return the numbers of all ranks, a row each: float64."""
        whole = torch.zeros(self.n, len(values), dtype=torch.float64)
        whole[self.rank] = torch.as_tensor(values, dtype=torch.float64)
        return self.add(whole).numpy()

    def of_all(self, value):
        """Return the values of all ranks, in their order; they are pickled."""
        content = pickle.dumps(value)
        ends = np.cumsum(self.table([len(content)])[:, 0]).astype(int)
        whole = torch.zeros(ends[-1], dtype=torch.uint8)
        own = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        whole[ends[self.rank] - len(own) : ends[self.rank]] = own
        whole = self.add(whole).numpy().tobytes()
        return [
            pickle.loads(whole[start:end]) for start, end in zip([0, *ends], ends, strict=False)
        ]

    def of_first(self, content):
        return self.of_all(content if self.rank == 0 else b"")[0]

    @contextmanager
    def failing_together(self):
        """Raise an error of one rank in all of them: none waits for it then."""
        failure = None
        try:
            yield
        except Exception as error:
            failure = error
        said = "" if failure is None else f"{type(failure).__name__}: {failure}"
        said = said.encode()[:MESSAGE]
        told = torch.zeros(self.n, MESSAGE, dtype=torch.uint8)
        told[self.rank, : len(said)] = torch.tensor(list(said), dtype=torch.uint8)
        told = [bytes(row[row > 0].tolist()).decode(errors="replace") for row in self.add(told)]
        if failure is not None:
            raise failure
        for rank, message in enumerate(told):
            if message:
                raise ValueError(f"Rank {rank}: {message}")


@contextmanager
def gloo(store, rank, n_ranks, host, timeout):
    """Yield the `Ranks` of a new group, which no other group in these processes sees.

    The others reach this machine at the address ``host``; waiting for another rank is an error after
    ``timeout`` seconds.
    """
    options = dist.ProcessGroupGloo._Options()
    options._devices = [dist.ProcessGroupGloo.create_device(hostname=host)]
    options._timeout = timedelta(seconds=timeout)
    try:
        group = dist.ProcessGroupGloo(store, rank, n_ranks, options)
    except RuntimeError as error:
        raise Broken(f"Rank {rank} did not find the others: {error}") from error
    try:
        yield Ranks(group)
        _leave(store, rank, n_ranks)
    finally:
        with suppress(Exception):  # of a group whose members are gone
            group.abort()


def _leave(store, rank, n_ranks):
    """Wait until no rank needs another one any more; what was reached stays so if one is gone."""
    with suppress(RuntimeError):
        store.set(f"done {rank}", "")
        others = [f"done {other}" for other in range(n_ranks)]
        store.wait(others, timedelta(seconds=LEAVING))


def _like(part, values):
    """Return values as an array, a number or a tensor like some part."""
    if isinstance(part, torch.Tensor):
        return values.reshape(part.shape).to(part.dtype)
    part = np.asarray(part)
    return values.numpy().reshape(part.shape).astype(part.dtype, copy=False)[()]
