"""Torch modules of a style-based generator and of image encoders, both of which grow."""

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool1d, adaptive_avg_pool2d, conv2d

from skae.nn.images import Convolution, Images, Rows
from skae.nn.layers import MLP, Linear, Unset, draw_normal

COARSEST = 4  # pixels of the first images, in height or width
STYLE = 64  # numbers in a style, and hidden units of the mapping network
KERNEL = 3
LEAST_SQUARE = 1e-8


class Growing(nn.Module):
    """What works at one of several resolutions, or fades one in.

    ``sizes`` are heights and widths, from coarse to fine; ``level`` is the place of the present one among
    them, and what lies behind its point is how far the next one was faded in.
    """

    def __init__(self, image_shape):
        super().__init__()
        self.sizes = resolutions(image_shape)
        self.register_buffer("level", torch.tensor(len(self.sizes) - 1.0, dtype=torch.float32))

    def present(self):
        """Return the place of the finest resolution in use, and its share of the image."""
        level = float(self.level)
        return math.ceil(level), level % 1 or 1.0

    @staticmethod
    def faded(finer, coarser, share):
        """Return a mean of two, of which the second is only made where it counts."""
        return finer if share == 1 else share * finer + (1 - share) * coarser()


class StyleBlock(nn.Module):
    r"""A modulated convolution of 3 x 3 pixels, noise, and an activation.

    A style scales the channels that go in, what comes out is scaled to the
    variance that it had (Karras et al., 2020): with weights w, inputs i,
    outputs o and places k of the kernel,

    .. math:: w'_{iok} = s_i w_{iok} / \sqrt{\textstyle\sum_{ik} (s_i w_{iok})^2}
    """

    def __init__(self, n_inputs, n_outputs, activation):
        super().__init__()
        self.fan_in = n_inputs * KERNEL**2
        self.style = Linear(STYLE, n_inputs)
        shape = n_outputs, n_inputs, KERNEL, KERNEL
        self.weight = nn.Parameter(torch.empty(shape, dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(n_outputs, 1, 1, dtype=torch.float32))
        self.strength = nn.Parameter(torch.zeros(n_outputs, 1, 1, dtype=torch.float32))
        self.activation = activation()

    def forward(self, x, style, noise=None):
        """Return images; the noise has one number a pixel, and may be left out."""
        scale = 1 + self.style(style)
        square = scale.square() @ self.weight.square().sum((2, 3)).T
        norm = (square + LEAST_SQUARE).rsqrt()
        x = conv2d(x * scale[..., None, None], self.weight, padding=KERNEL // 2)
        x = x * norm[..., None, None] + self.bias
        return self.activation(x if noise is None else x + self.strength * noise)


class Pixelwise(Unset, nn.Conv2d):
    """A float32 linear map of the channels of each pixel; made without values."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__(n_inputs, n_outputs, 1, dtype=torch.float32)
        self.fan_in = n_inputs


class StyleDecoder(Growing):
    """Codes to styles, and styles to standardised rows, resolution by resolution.

    ``channels`` are those at each resolution, from coarse to fine.
    """

    def __init__(self, image_shape, channels, n_components, activation, generator):
        super().__init__(image_shape)
        self.mapping = MLP([n_components, STYLE, STYLE], activation, generator)
        start = torch.empty(channels[0], *self.sizes[0], dtype=torch.float32)
        draw_normal(start, 1.0, generator)
        self.start = nn.Parameter(start)
        before = [channels[0], *channels[:-1]]
        self.blocks = nn.ModuleList(
            StyleBlock(a, b, activation) for a, b in zip(before, channels, strict=True)
        )
        self.to_image = nn.ModuleList(Pixelwise(n, image_shape[0]) for n in channels)
        self.rows = Rows(image_shape)
        draw_growing(self, generator)

    @property
    def n_noises(self):
        """Numbers of noise in a row: one for each pixel of every resolution."""
        return sum(map(math.prod, self.sizes))

    def forward(self, codes):
        """Return rows without noise."""
        return self.synthesise([self.mapping(codes)] * len(self.sizes))

    def synthesise(self, styles, noise=None):
        """Return rows of the styles of each resolution; the noise is of (n_samples, n_noises)."""
        top, share = self.present()
        noises = [None] * len(self.sizes)
        if noise is not None:
            parts = noise.split([math.prod(size) for size in self.sizes], dim=1)
            noises = [p.unflatten(1, (1, *s)) for p, s in zip(parts, self.sizes, strict=True)]
        x = self.start.expand(styles[0].shape[0], -1, -1, -1)  # not len(), which ONNX would fix
        for place in range(top + 1):
            below, x = x, enlarged(x, self.sizes[place]) if place else x
            x = self.blocks[place](x, styles[place], noises[place])
        image = self._image(top, x)
        return self.rows(self.faded(image, lambda: self._image(top - 1, below), share))

    def _image(self, place, x):
        return enlarged(self.to_image[place](x), self.sizes[-1])


class GrowingEncoder(Growing):
    """Standardised rows to numbers, by convolutions that halve the images, resolution by resolution."""

    def __init__(self, image_shape, channels, n_outputs, activation, generator):
        super().__init__(image_shape)
        self.images = Images(image_shape)
        self.from_image = nn.ModuleList(Pixelwise(image_shape[0], n) for n in channels)
        self.blocks = nn.ModuleList(
            Convolution(after, before) for before, after in pairwise(channels)
        )
        self.output = Linear(channels[0] * math.prod(self.sizes[0]), n_outputs)
        self.activation = activation()
        draw_growing(self, generator)

    def forward(self, rows):
        """Return numbers of shape (n_samples, n_outputs)."""
        images, (top, share) = self.images(rows), self.present()
        x = self._read(images, top)
        for place in range(top, 0, -1):
            x = self.activation(self.blocks[place - 1](x))
            if place == top:
                x = self.faded(x, lambda: self._read(images, top - 1), share)
        return self.output(x.flatten(1))

    def _read(self, images, place):
        if place < len(self.sizes) - 1:
            images = pooled(images, self.sizes[place])
        return self.activation(self.from_image[place](images))


def resolutions(image_shape):
    """Return heights and widths from about 4 x 4 pixels on, each about twice the one before."""
    sizes = [tuple(image_shape[1:])]
    while max(sizes[0]) > COARSEST:
        sizes.insert(0, tuple(-(-length // 2) for length in sizes[0]))
    return sizes


def pooled(images, size):
    """Return means of the pixels, as many as a height and width ask for.

    On a GPU by products with matrices: the slope of torch's own is summed there in any order.
    """
    if not images.is_cuda:
        return adaptive_avg_pool2d(images, size)
    rows, columns = (
        averages(*sizes).to(images) for sizes in zip(images.shape[2:], size, strict=True)
    )
    return rows.T @ images @ columns


def averages(before, after):
    """Return the matrix that means are a product with."""
    return adaptive_avg_pool1d(torch.eye(before)[None], after)[0]


def enlarged(images, size):
    """Return images of another height and width, in which every pixel is repeated."""
    times = [-(-large // small) for large, small in zip(size, images.shape[2:], strict=True)]
    for dim, n in zip((2, 3), times, strict=True):
        if n > 1:
            images = torch.stack([images] * n, dim + 1).flatten(dim, dim + 1)
    return images[..., : size[0], : size[1]]


@torch.no_grad()
def draw_growing(module, generator):
    """Draw normal weights of variance 1 / fan-in; biases are zero, and styles scale by one at first."""
    for part in module.modules():
        if isinstance(part, Linear | Pixelwise | Convolution | StyleBlock):
            fan_in = part.in_features if isinstance(part, Linear) else part.fan_in
            draw_normal(part.weight, fan_in**-0.5, generator)
            part.bias.zero_()
