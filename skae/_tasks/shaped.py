"""Tasks whose rows have a shape: flattened images and sequences."""

import math
import warnings
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np

from skae._parameters import counted, lengths_of
from skae._tasks.base import Task
from skae.nn import sequences
from skae.nn.build import activation_class
from skae.nn.cells import Missing
from skae.nn.images import (
    Images,
    checked_channels,
    draw,
    image_decoder,
    image_encoder,
    image_shape_of,
    products,
    set_unit,
)

LARGEST_BATCH_OF_IMAGES = 64


class ImageShape:
    """The shape of images, of a task with ``image_shape`` and ``channels``."""

    @property
    def shape(self):
        return image_shape_of(self.image_shape, self.schema.n_features)

    @property
    def shapes(self):
        return {"image_shape_": self.shape}

    def hidden_units(self, n_rows):
        return checked_channels(self.channels)

    def warn_of_signals(self):
        """Say that rows are taken for signals, where no shape was given and they are no squares."""
        n = self.schema.n_features
        is_cold = self.size is None
        if self.shape == (1, 1, n) and self.image_shape is None and n > 1 and is_cold:
            warnings.warn(
                f"{n} columns are not a square image: each row is taken for a signal, an image of shape "
                f"(1, {n}). Pass image_shape=(1, {n}), or (height, width), to say so.",
                UserWarning,
                stacklevel=2,
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Convolutional(ImageShape, Task):
    """Reconstruction of flattened images."""

    image_shape: object = None
    channels: object = (16, 32)

    ARCHITECTURE: ClassVar = (
        *(name for name in Task.ARCHITECTURE if name != "hidden_layer_sizes"),
        "image_shape",
        "channels",
    )

    def batch_size(self, n_rows):
        """Return the rows a step: one of convolutions costs in proportion to them."""
        return min(super().batch_size(n_rows), LARGEST_BATCH_OF_IMAGES)

    def check(self):
        self.warn_of_signals()

    def build(self, generator, linear=False):
        module = super().build(None, linear=True)
        if linear:
            return module
        activation = activation_class(self.activation)
        sizes = self.shape, self.hidden, self.size
        module.encoder.nonlinear = image_encoder(*sizes, activation)
        module.decoder.nonlinear = image_decoder(*sizes, activation)
        for half in module.halves:
            draw(half.nonlinear, generator, zero_output=self.has_baseline)
        return module

    def start_at(self, module, baseline):
        super().start_at(module, baseline)
        set_unit(module, baseline)

    def step_flops(self, batch_size):
        straight = self.schema.n_features * self.size
        return 12 * batch_size * (products(self.shape, self.hidden, self.size) + straight)


@dataclass(frozen=True, kw_only=True, eq=False)
class Recurrent(Task):
    """Reconstruction of flattened sequences."""

    sequence_shape: object = None
    activation: object = "tanh"  # of the units

    ARCHITECTURE: ClassVar = (*Task.ARCHITECTURE, "sequence_shape")

    @property
    def shape(self):
        n_features = self.schema.n_features
        asked = (n_features, 1) if self.sequence_shape is None else self.sequence_shape
        shape = lengths_of(asked)
        if len(shape) == 2 and min(shape) > 0 and math.prod(shape) == n_features:
            return shape
        raise ValueError(
            f"sequence_shape={self.sequence_shape!r} does not make a sequence of "
            f"{counted(n_features, 'column')}: pass (n_steps, n_channels), whose product is the number of columns; None "
            "stands for one channel."
        )

    @property
    def shapes(self):
        return {"sequence_shape_": self.shape}

    def check(self):
        _, n_channels = self.shape
        unknown = self.schema.n_features - self.schema.width
        if not unknown or self.size is not None:  # a stream was warned in its first batch
            return
        step, channel = divmod(self.schema.blocks.n_levels.index(0), n_channels)
        warnings.warn(
            f"No row has a cell in {unknown} of {counted(self.schema.n_features, 'column')}, the first of "
            f"which is step {step}, channel {channel}: nothing is learned of them, and they come "
            "back as NaN. Leave out steps that no sequence reaches, and channels that are never "
            "measured.",
            UserWarning,
            stacklevel=2,
        )

    @property
    def known(self):
        """Places in the sequence of the columns that are learned, where these are not all."""
        numbers = self.schema.blocks.numbers
        return None if len(numbers) == self.schema.n_features else numbers

    @property
    def is_normal(self):
        return self.is_linear

    def hidden_units(self, n_rows):
        sizes = super().hidden_units(n_rows)
        if sizes or self.has_baseline:
            return sizes
        raise ValueError(
            "hidden_layer_sizes=() and linear_path=None leave no network: give units, such as "
            "(64,), or linear_path='pca'."
        )

    @property
    def n_inputs(self):
        return 2 * self.schema.width

    def network(self, generator, linear=False):
        """Return a module that sees which cells are missing, whether the training rows had some or not."""
        module = super().network(generator, linear)
        module.missing = Missing(replace(self.schema.blocks, flagged=True))
        return module

    def build(self, generator, linear=False):
        module = super().build(None, linear=True)
        if linear or not self.hidden:
            return module
        shape, units, k = self.shape, self.hidden, self.size
        module.encoder.nonlinear = sequences.SequenceEncoder(shape, units, k, self.known)
        module.decoder.nonlinear = sequences.SequenceDecoder(shape, units[::-1], k, self.known)
        for half in module.halves:
            sequences.draw(half.nonlinear, generator, zero_output=self.has_baseline)
        return module

    def start_at(self, module, baseline):
        super().start_at(module, baseline)
        variance = np.zeros(self.schema.n_features)
        variance[self.schema.blocks.numbers] = baseline.column_weights
        variance = variance.reshape(self.shape)
        of_channel = variance.mean(axis=0)
        unit = np.sqrt(variance / np.where(of_channel > 0, of_channel, 1.0)).ravel()
        for part in module.modules():
            if isinstance(part, Images):
                part.unit.copy_(part.unit.new_tensor(unit))

    def step_flops(self, batch_size):
        """Return about how many floating-point operations a step takes: reads come one by one."""
        n_steps, n_channels = self.shape
        widths = [n_channels * sequences.steps_at_once(n_steps), *self.hidden]
        products_of_read = sum(3 * (a + b) * b for a, b in pairwise(widths))
        return 12 * batch_size * (products_of_read + self.schema.n_features * self.size)
