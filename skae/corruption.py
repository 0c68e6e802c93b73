"""Noise for the inputs of a training."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Jitter:
    """Gaussian noise that regularises: cheap, for its numbers are used several times an epoch.

    Each batch takes them from another place of one long draw.

    Parameters
    ----------
    level : float
        Standard deviation, in units of each column's own.
    """

    level: float

    DRAWS = 4  # numbers drawn in an epoch, in batches

    def begin(self, generator):
        """Return what adds noise to the batches of an epoch."""
        pool = None

        def add(x):
            nonlocal pool
            n_cells = x.numel()
            if pool is None or len(pool) < n_cells:
                pool = torch.randn(self.DRAWS * n_cells, generator=generator, dtype=x.dtype)
                pool = pool.mul_(self.level).to(x.device)
            start = int(torch.randint(len(pool) - n_cells + 1, (), generator=generator))
            return x + pool[start : start + n_cells].view(x.shape)

        return add
