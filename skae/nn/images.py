"""Torch modules for rows that are flattened images."""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from skae._parameters import counted, lengths_of
from skae.nn.layers import Linear, Unset, draw_normal

KERNEL, STRIDE = 3, 2
LEAST_UNIT = 1e-6  # of a pixel that the convolutions reconstruct, in units of the mean one
MOST_COLOURS = 4


class Convolution(Unset, nn.Conv2d):
    """A float32 convolution that halves height and width, rounded up; made without values."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__(n_inputs, n_outputs, KERNEL, STRIDE, KERNEL // 2, dtype=torch.float32)
        self.fan_in = n_inputs * KERNEL**2


class Enlargement(Unset, nn.ConvTranspose2d):
    """A float32 transposed convolution that doubles height and width; made without values.

    Of its images ``size``, (height, width), is kept.
    """

    def __init__(self, n_inputs, n_outputs, size):
        doubled = KERNEL // 2, 1  # padding of the inputs and of the outputs
        super().__init__(n_inputs, n_outputs, KERNEL, STRIDE, *doubled, dtype=torch.float32)
        self.size = size
        self.fan_in = n_inputs * (KERNEL / STRIDE) ** 2

    def forward(self, x):
        """Return the enlarged images."""
        height, width = self.size
        return super().forward(x)[..., :height, :width]


class Images(nn.Module):
    """Standardised rows to images whose pixels share a unit.

    Standardised, a pixel that hardly varies counts as much as any other, and
    neighbours do not look alike. ``unit`` is the standard deviation of each pixel, with a mean square of 1.
    """

    def __init__(self, image_shape):
        super().__init__()
        self.image_shape = image_shape
        self.register_buffer("unit", torch.ones(math.prod(image_shape), dtype=torch.float32))

    def forward(self, rows):
        """Return images of shape (n_samples, channels, height, width)."""
        return (rows * self.unit).unflatten(-1, self.image_shape)


class Rows(Images):
    """The way back; pixels that do not vary, or next to nothing, become 0."""

    def forward(self, images):
        """Return standardised rows of shape (n_samples, n_features)."""
        return images.flatten(1) * torch.where(self.unit > LEAST_UNIT, 1 / self.unit, 0.0)


def image_encoder(image_shape, channels, n_outputs, activation):
    """Return what maps standardised rows to codes, its weights not yet drawn."""
    sizes = sizes_of(image_shape, channels)
    layers = [Images(image_shape)]
    for (before, *_), (after, *_) in pairwise(sizes):
        layers += [Convolution(before, after), activation()]
    return nn.Sequential(*layers, nn.Flatten(), Linear(math.prod(sizes[-1]), n_outputs))


def image_decoder(image_shape, channels, n_inputs, activation):
    """Return what maps codes to standardised rows, its weights not yet drawn."""
    first, *others = sizes_of(image_shape, channels)[::-1]
    layers = [Linear(n_inputs, math.prod(first)), nn.Unflatten(-1, first)]
    for (before, *_), (after, *size) in pairwise([first, *others]):
        layers += [activation(), Enlargement(before, after, size)]
    return nn.Sequential(*layers, Rows(image_shape))


def image_shape_of(image_shape, n_features):
    """Return channels, height and width of images in ``n_features`` columns.

    None is a square, or a signal of height 1 where there is none.
    """
    if image_shape is None:
        side = math.isqrt(n_features)
        return (1, side, side) if side**2 == n_features else (1, 1, n_features)
    shape = lengths_of(image_shape)
    shape = shape if len(shape) == 3 else (1, *shape)
    fits = len(shape) == 3 and min(shape) > 0 and math.prod(shape) == n_features
    if fits and shape[0] <= MOST_COLOURS:
        return shape
    raise ValueError(
        f"image_shape={image_shape!r} does not make an image of {counted(n_features, 'column')}: "
        f"pass (height, width), or (channels, height, width) with 1 to {MOST_COLOURS} channels, "
        "whose product is the number of columns."
    )


def checked_channels(channels):
    """Return the channels after each convolution as a tuple, or refuse them."""
    sizes = tuple(np.ravel(channels).tolist())
    if any(size <= 0 or size != int(size) for size in sizes):
        raise ValueError(f"channels must be > 0 and integers, got {channels!r}.")
    return tuple(map(int, sizes))


def set_unit(module, baseline):
    """Give the images in a module the common unit of the pixels of a `LinearModel`."""
    unit = np.sqrt(baseline.column_weights * len(baseline.column_weights))
    for part in module.modules():
        if isinstance(part, Images):
            part.unit.copy_(part.unit.new_tensor(unit))


def sizes_of(image_shape, channels):
    """Return (channels, height, width) of the images and of what each convolution makes of them."""
    sizes = [tuple(image_shape)]
    for n in channels:
        sizes.append((n, *(-(-length // STRIDE) for length in sizes[-1][1:])))
    return sizes


def products(image_shape, channels, n_components):
    """Return how many products the encoder takes for one image."""
    sizes = sizes_of(image_shape, channels)
    convolutions = sum(
        before[0] * KERNEL**2 * math.prod(after) for before, after in pairwise(sizes)
    )
    return convolutions + math.prod(sizes[-1]) * n_components


@torch.no_grad()
def draw(half, generator, zero_output):
    """Draw normal weights of variance 1 / fan-in; biases, and with ``zero_output`` the outputs, are 0."""
    layers = [m for m in half if isinstance(m, Linear | Convolution | Enlargement)]
    for layer in layers:
        fan_in = layer.in_features if isinstance(layer, Linear) else layer.fan_in
        draw_normal(layer.weight, 1 / math.sqrt(fan_in), generator)
        layer.bias.zero_()
    if zero_output:
        layers[-1].weight.zero_()
