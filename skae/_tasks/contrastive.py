"""The task of knowing a row again when some of its cells are others'."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch.nn.init import eye_

from skae._tasks.base import LARGEST_BATCH, SMALLEST_BATCH, Task
from skae.corruption import SwapNoise, Views
from skae.losses import ContrastiveError, Objective
from skae.nn.autoencoders import ContrastiveNetwork
from skae.nn.build import start_encoder_at

SHARE = 5  # a batch is a fifth of the rows


@dataclass(frozen=True, kw_only=True, eq=False)
class Contrastive(Task):
    """Two views of each row, which have to find each other."""

    noise_level: float = 0.3
    temperature: float = 0.5

    ARCHITECTURE: ClassVar = tuple(name for name in Task.ARCHITECTURE if name != "ordered")
    module: ClassVar = ContrastiveNetwork
    couples_rows: ClassVar = True
    decodes: ClassVar = False
    keeps_up: ClassVar = False
    keeps_training_rows: ClassVar = False

    def batch_size(self, n_rows):
        """Return the rows a step: each is compared with all others."""
        size = 2 ** np.round(np.log2(n_rows / SHARE))
        return int(np.clip(size, SMALLEST_BATCH, LARGEST_BATCH))

    @property
    def n_outputs(self):
        return self.size

    def start_at(self, module, baseline):
        self.fill_by(module, baseline)
        if self.has_baseline:
            start_encoder_at(module, baseline)
            eye_(module.decoder.linear.weight)

    def objective(self, baseline):
        return Objective(contrast=(ContrastiveError(self.temperature), 1.0))

    def corruption(self, baseline):
        blocks = self.schema.blocks
        owner = None if blocks is None else blocks.owner
        return Views(self.hiding(SwapNoise(self.noise_level, owner)))

    def held_out_corruption(self, baseline):
        return self.corruption(baseline)

    def score(self, loss):
        return -loss

    def baseline_is_best(self, baseline):
        return not (baseline.column_weights.any() and self.hidden)
