"""Tasks that reconstruct rows: plain, from noisy ones, by sparse codes, by codes that move little."""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from skae._data.batches import StandardisedRows
from skae._linear.denoiser import linear_denoiser
from skae._tasks.base import Task
from skae._tasks.layerwise import layers, silence
from skae.corruption import NOISES, OwnNoise
from skae.losses import ActivationRate, Contraction, Objective, RelativeSize
from skae.nn.autoencoders import SlopedAutoencoder
from skae.nn.build import global_generator
from skae.nn.layers import ShrunkResidual
from skae.nn.tied import keep_constants, tied

PENALTY_WEIGHTS = {"l1": 0.3, "kl": 10.0}  # where penalty_weight is "auto"
SMALLEST_JUDGED = 64  # smaller batches cost as much


@dataclass(frozen=True, kw_only=True, eq=False)
class Reconstruction(Task):
    """The plain autoencoder's: tied weights and pretraining beside what all have."""

    tied_weights: bool = False
    pretraining: str | None = None

    ARCHITECTURE: ClassVar = (*Task.ARCHITECTURE, "tied_weights")

    def check(self):
        for name, off in (("tied_weights", False), ("pretraining", None)):
            asked = getattr(self, name)
            if asked and self.schema.blocks is not None:
                raise ValueError(
                    f"{name}={asked!r} needs complete columns of numbers, but X has missing cells, "
                    f"categories, dates or column_weights: set {name}={off}."
                )
            if asked and self.has_own_modules:
                raise ValueError(
                    f"{name}={asked!r} needs the layers of skae's own networks, but "
                    f"encoder={self.encoder!r} and decoder={self.decoder!r}: leave both at None, "
                    f"or set {name}={off}."
                )

    def judged_batch_size(self, n_rows):
        """Return the rows a step while held-out rows judge, where ``batch_size`` is "auto".

        Half of them: the running average that is judged evens out the noise, and the last
        steps, whose weights are kept, take whole batches.
        """
        size = self.batch_size(n_rows)
        return max(size // 2, min(size, SMALLEST_JUDGED))

    @property
    def is_pca(self):
        return self.is_linear and self.schema.blocks is None

    @property
    def is_normal(self):
        return self.is_linear

    @property
    def can_turn(self):
        return not (self.has_own_modules or self.tied_weights or self.pretraining)

    @property
    def can_lead(self):
        return self.can_turn and self.has_baseline and not (self.ordered or self.is_linear)

    def build(self, generator, linear=False):
        module = super().build(generator, linear)
        return tied(module, generator) if self.tied_weights else module

    def start_at(self, module, baseline):
        if self.tied_weights and self.has_baseline:
            module.encoder.linear.start_at(baseline)
        else:
            super().start_at(module, baseline)

    def keep_constants(self, module, baseline):
        if self.tied_weights:
            keep_constants(module, torch.from_numpy(baseline.column_weights == 0))
        else:
            super().keep_constants(module, baseline)

    def pretrain(self, module, baseline, rows, train, device):
        if self.pretraining is None:
            return
        rows = StandardisedRows(rows, baseline.mean, baseline.scale, device)
        for number, layer in enumerate(layers(module, rows, baseline.column_weights), 1):
            train(f"layer {number}", *layer)
        if self.has_baseline:
            silence(module)


@dataclass(frozen=True, kw_only=True, eq=False)
class Denoising(Task):
    """Clean rows from noisy ones."""

    noise: object = "gaussian"
    noise_level: float = 0.3

    ARCHITECTURE: ClassVar = (*Task.ARCHITECTURE, "noise", "noise_level")
    baseline_name: ClassVar = "linear denoiser"
    fineness: ClassVar = 0.5  # gradients of noisy rows are noisy: the loss falls slowly

    def baseline(self, rows, n_components, rng):
        """Return the best linear denoiser; of a table, its baseline with hidden cells."""
        if rows.blocks is not None:
            return super().baseline(rows, n_components, rng)
        own = callable(self.noise)
        with global_generator(int(rng.randint(2**30))) if own else nullcontext():
            return linear_denoiser(rows, n_components, self.corruption, rng)

    def check(self):
        if self.noise != "gaussian" and not callable(self.noise) and self.noise_level >= 1:
            raise ValueError(
                f"noise_level={self.noise_level} is the share of the cells that "
                f"{self.noise!r} noise hits: it must be below 1."
            )
        blocks = self.schema.blocks
        if self.noise == "salt_and_pepper" and blocks is not None and len(blocks.categories):
            raise ValueError(
                "noise='salt_and_pepper' puts the least or largest value into a cell, which "
                "categories do not have: take 'masking' or 'swap'."
            )

    def corruption(self, baseline):
        if callable(self.noise):
            return self.hiding(OwnNoise(self.noise))
        further = (baseline.low, baseline.high) if self.noise == "salt_and_pepper" else ()
        if self.schema.blocks is not None and self.noise in ("masking", "swap"):
            further = (self.schema.blocks.owner,)
        return self.hiding(NOISES[self.noise](self.noise_level, *further))

    def held_out_corruption(self, baseline):
        return self.corruption(baseline)

    @property
    def couples_rows(self):
        """Whether a row's noise comes from others of its batch."""
        return self.noise == "swap"

    @property
    def draws_from_global(self):
        return callable(self.noise) or super().draws_from_global

    @property
    def offset(self):
        """Whether the encoder's linear map adds a constant: where noise has a mean."""
        return self.noise == "salt_and_pepper" or callable(self.noise)

    def baseline_is_best(self, baseline):
        # noise leaves something to learn even where PCA would lose nothing
        return not baseline.column_weights.any() or super().baseline_is_best(baseline)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sparse(Task):
    """Rows by few units of the code each."""

    penalty: str = "l1"
    penalty_weight: object = "auto"
    sparsity: float = 0.1

    couples_rows: ClassVar = True  # a unit's mean size, or how often it is active
    encoder_extrapolates: ClassVar = False  # PCA's maps know no zeros
    is_linear: ClassVar = False

    def baseline(self, rows, n_components, rng):
        """Return PCA; units beyond the rank look in random directions, which PCA does not use."""
        model = super().baseline(rows, n_components, rng)
        used = model.components.any(axis=1)
        whitened = model.encoder[used] / model.deviations[used, None]
        mixing = rng.normal(size=(len(used) - used.sum(), used.sum()))
        mixing /= np.linalg.norm(mixing, axis=1, keepdims=True)
        encoder = model.encoder.copy()
        encoder[~used] = mixing @ whitened
        return replace(model, encoder=encoder)

    def build(self, generator, linear=False):
        module = super().build(generator, linear)
        dense = module.encoder
        module.encoder = ShrunkResidual(dense.linear, dense.nonlinear, self.size)
        return module

    def objective(self, baseline):
        auto = PENALTY_WEIGHTS[self.penalty]
        weight = auto if self.penalty_weight == "auto" else self.penalty_weight
        term = RelativeSize() if self.penalty == "l1" else ActivationRate(self.sparsity)
        return Objective(
            reconstruction=(self.reconstruction(baseline), 1.0), sparsity=(term, weight)
        )

    def baseline_is_best(self, baseline):
        """Return whether the rows do not vary; PCA leaves the code dense."""
        return not baseline.column_weights.any()

    def describe(self, model, rows):
        active = rows.raw_sum(lambda x, weight: weight @ (model.encode(x) != 0))
        return super().describe(model, rows) | {"activation_rate_": active / len(rows)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Contractive(Task):
    """Rows by a code that moves little when they are moved a little."""

    penalty_weight: float = 0.01

    couples_rows: ClassVar = True  # slopes are in units of the code's spread
    is_linear: ClassVar = False
    fineness: ClassVar = 0.2  # a code comes to rest slowly

    def build(self, generator, linear=False):
        module = super().build(generator, linear)
        return SlopedAutoencoder(module.encoder, module.decoder, self.size)

    def objective(self, baseline):
        return Objective(
            reconstruction=(self.reconstruction(baseline), 1.0),
            contraction=(Contraction(), self.penalty_weight),
        )

    def baseline_is_best(self, baseline):
        """Return whether the rows do not vary; PCA knows no contraction."""
        return not baseline.column_weights.any()
