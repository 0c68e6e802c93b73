"""Noise for the inputs of a training: (tensor, generator) -> tensor."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class GaussianNoise:
    """Add independent Gaussian noise to every cell.

    Parameters
    ----------
    level : float
        Standard deviation, in units of each column's own.
    """

    level: float

    def __call__(self, x, generator):
        """Return a noisy copy of ``x``."""
        noise = torch.randn(x.shape, generator=generator).to(x.device)
        return noise.mul_(self.level).add_(x)
