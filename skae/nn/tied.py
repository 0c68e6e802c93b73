"""Autoencoders with one set of weights for both ways."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from skae.nn.autoencoders import Autoencoder
from skae.nn.layers import Gate, Residual


class Axes(nn.Module):
    r"""The linear encoder in units in which its transpose leads back.

    .. math:: z = \Sigma^{-1} V S x, \quad x = S^{-1} V^\top \Sigma z

    between rows in units of S (``scale``) and codes in units of :math:`\Sigma` (``deviations``); both are
    constant, and relative to the largest scale: float32 does not hold all units. At PCA, V are its axes.
    """

    def __init__(self, n_features, n_components):
        super().__init__()
        self.axes = nn.Parameter(torch.empty(n_components, n_features, dtype=torch.float32))
        self.register_buffer("scale", torch.ones(n_features, dtype=torch.float32))
        self.register_buffer("deviations", torch.ones(n_components, dtype=torch.float32))

    @torch.no_grad()
    def start_at(self, baseline):
        """Take axes and units from a `LinearModel`; constant columns and empty axes have unit 1."""
        varies, used = baseline.column_weights > 0, baseline.components.any(axis=1)
        unit = baseline.scale.max(where=varies, initial=0) or 1.0
        self.axes.copy_(torch.from_numpy(baseline.components))
        self.scale.copy_(torch.from_numpy(np.where(varies, baseline.scale / unit, 1.0)))
        self.deviations.copy_(torch.from_numpy(np.where(used, baseline.deviations / unit, 1.0)))

    @property
    def weight(self):
        """The matrix of the map, of shape (n_components, n_features)."""
        return self.axes * self.scale / self.deviations[:, None]

    def forward(self, x):
        """Return the code."""
        return functional.linear(x * self.scale, self.axes) / self.deviations


class AxesBack(nn.Module):
    """The linear decoder that has the axes of some `Axes`, a submodule of the encoder.

    They are kept in a tuple, out of torch's sight, so that a state holds their weights once.
    """

    def __init__(self, there):
        super().__init__()
        self._there = (there,)

    @property
    def weight(self):
        """The matrix of the map, of shape (n_features, n_components)."""
        (there,) = self._there
        return there.axes.t() * there.deviations / there.scale[:, None]

    def forward(self, code):
        """Return the rows."""
        (there,) = self._there
        return functional.linear(code * there.deviations, there.axes.t()) / there.scale


class Transposed(nn.Module):
    """A layer with the weights of another one, transposed, and a bias of its own.

    The other is a submodule of the encoder, kept as in `AxesBack`.
    """

    def __init__(self, layer):
        super().__init__()
        self._layer = (layer,)
        self.bias = nn.Parameter(torch.zeros(layer.in_features, dtype=torch.float32))

    @property
    def weight(self):
        """The transpose of the other layer's weights."""
        return self._layer[0].weight.t()

    def forward(self, x):
        """Return ``weight @ x + bias``."""
        return functional.linear(x, self.weight, self.bias)


def tied(module, generator):
    """Return an autoencoder whose decoder has the encoder's weights, transposed; biases apart.

    The last layer of f is the first of g. Were it zero, so that f starts at
    zero, g would not depend on the code at first; gates make f and g zero in
    its place, for every activation.
    """
    linear, f, g = module.encoder.linear, module.encoder.nonlinear, module.decoder.nonlinear
    if f is not None:
        g = nn.Sequential(*g)
        for i, layer in enumerate(reversed(f)):
            if i % 2 == 0:
                g[i] = Transposed(layer)
    if linear is None:
        return Autoencoder(Residual(None, f), Residual(None, g))
    axes = Axes(linear.in_features, linear.out_features)
    if f is not None:
        f.draw(generator)
        f, g = Gate(f, linear.out_features), Gate(g, linear.in_features)
    return Autoencoder(Residual(axes, f), Residual(AxesBack(axes), g))


@torch.no_grad()
def keep_constants(module, constant):
    """Let columns come back as zeros: an encoder that shares its weights does not see them either."""
    linear, f = module.encoder.linear, module.encoder.nonlinear
    if linear is not None:
        linear.axes[:, constant] = 0.0
    else:
        f[0].weight[:, constant] = 0.0
        module.decoder.nonlinear[-1].bias[constant] = 0.0
