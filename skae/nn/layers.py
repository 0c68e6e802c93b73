"""Layers: a multi-layer perceptron, a linear map with a nonlinear residual, and their relatives."""

import math
from itertools import pairwise

import torch
from torch import nn


class QuickGELU(nn.Module):
    r"""Close to GELU, and much cheaper: :math:`x \, \sigma(1.702 x)` for each element.

    References
    ----------
    D. Hendrycks, K. Gimpel. Gaussian error linear units (GELUs). 2016.
    https://arxiv.org/abs/1606.08415
    """

    SCALE = 1.702

    def forward(self, x):
        """Return the activation of each element."""
        return x * torch.sigmoid(self.SCALE * x)


ACTIVATIONS = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "quick_gelu": QuickGELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Unset:
    """A layer that is made without values, so without random numbers."""

    def reset_parameters(self):
        """Leave the values as they are."""


class Linear(Unset, nn.Linear):
    """A float32 ``nn.Linear`` without values: making it draws no random numbers."""

    def __init__(self, n_inputs, n_outputs, bias=True):
        super().__init__(n_inputs, n_outputs, bias, dtype=torch.float32)


def draw_normal(weight, std, generator):
    """Draw weights; not those on the "meta" device, for which torch would import its compiler."""
    if not weight.is_meta:
        weight.normal_(0, std, generator=generator)


class MLP(nn.Sequential):
    """A multi-layer perceptron.

    Parameters
    ----------
    widths : sequence of int
        Number of inputs, of units in each hidden layer, and of outputs.
    activation : callable
        Makes an activation module, such as ``nn.GELU``.
    generator : torch.Generator
        Draws the weights: normal, with variance 1 / fan-in.
    zero_output : bool
        Start with an output of zero.
    """

    def __init__(self, widths, activation, generator, zero_output=False):
        layers = []
        for n_inputs, n_outputs in pairwise(widths):
            layers += [Linear(n_inputs, n_outputs), activation()]
        super().__init__(*layers[:-1])
        self.draw(generator)
        if zero_output:
            nn.init.zeros_(self[-1].weight)

    @torch.no_grad()
    def draw(self, generator):
        """Draw new weights; biases become zero."""
        for layer in self:
            if isinstance(layer, nn.Linear):
                std = 1 / math.sqrt(layer.in_features)
                draw_normal(layer.weight, std, generator)
                layer.bias.zero_()


class Gate(nn.Module):
    """Multiply the outputs of a module by trainable gains that start at zero.

    This lets any module be added to a linear map without changing it at first
    (Bachlechner et al., ReZero is all you need, 2020, https://arxiv.org/abs/2003.04887).
    """

    def __init__(self, module, n_outputs):
        super().__init__()
        self.module = module
        self.gain = nn.Parameter(torch.zeros(n_outputs, dtype=torch.float32))

    def forward(self, x):
        """Return ``gain * module(x)``."""
        return self.gain * self.module(x)


class Residual(nn.Module):
    """The sum of a linear map and a nonlinear module, either of which may be missing.

    Parameters
    ----------
    linear : nn.Linear or None
    nonlinear : nn.Module or None
    """

    def __init__(self, linear, nonlinear):
        super().__init__()
        self.linear = linear
        self.nonlinear = nonlinear

    def forward(self, x, mask=None):
        """Return ``linear(x) + nonlinear(x)``; a mask of ``x`` is ignored."""
        if self.nonlinear is None:
            return self.linear(x)
        if self.linear is None:
            return self.nonlinear(x)
        return self.nonlinear(x) + self.linear(x)


class PrefixDecoder(Residual):
    r"""A `Residual` of truncated codes, which also gets the mask of the units that were kept.

    The mask gives its perceptron a bias for each length, so that
    a unit that was dropped differs from one that is zero:

    .. math:: B z + g(z, m), \quad
        g \text{ begins with } W z + b + \textstyle\sum_j m_j w_j

    Parameters
    ----------
    linear : nn.Linear or None
    nonlinear : MLP
        g, with at least one hidden layer. The bias for the mask starts at
        zero.
    """

    def __init__(self, linear, nonlinear):
        super().__init__(linear, nonlinear)
        first = nonlinear[0]
        self.told = Linear(first.in_features, first.out_features, bias=False)
        nn.init.zeros_(self.told.weight)

    def forward(self, x, mask=None):
        """Return the rows of codes; without a mask nothing was cut."""
        first, *others = self.nonlinear
        rows = first(x) + self.told(torch.ones_like(x[:1]) if mask is None else mask)
        for layer in others:
            rows = layer(rows)
        return rows if self.linear is None else rows + self.linear(x)


class ShrunkResidual(Residual):
    r"""A residual with soft-thresholded outputs: drawn towards zero, small ones exactly zero.

    .. math:: h - \mathrm{clip}(h, -\theta, \theta)

    with one trainable :math:`\theta \ge 0` for each unit, which starts at zero.
    """

    def __init__(self, linear, nonlinear, n_outputs):
        super().__init__(linear, nonlinear)
        self.threshold = nn.Parameter(torch.zeros(n_outputs, dtype=torch.float32))

    def forward(self, x):
        """Return the shrunk sum."""
        dense = super().forward(x)
        below = self.threshold.detach().clamp_max(0)  # its gradient is felt at zero and below, too
        threshold = self.threshold - below
        return dense - torch.clamp(dense, -threshold, threshold)


class Confined(nn.Module):
    r"""A trained module within its training range, which a linear map extrapolates outside it.

    .. math:: h(c) + L (x - c), \quad c = \mathrm{clip}(x)

    Parameters
    ----------
    inside : Residual
        h, from n_inputs to n_outputs columns, with a linear map.

    Attributes
    ----------
    low, high : Tensor of shape (n_inputs,)
        The range.
    beyond : Tensor of shape (n_outputs, n_inputs)
        L.
    """

    def __init__(self, inside):
        super().__init__()
        n_outputs, n_inputs = inside.linear.weight.shape
        self.inside = inside
        self.register_buffer("low", torch.empty(n_inputs))
        self.register_buffer("high", torch.empty(n_inputs))
        self.register_buffer("beyond", torch.empty(n_outputs, n_inputs))

    def forward(self, x, *mask):
        """Return the sum of both."""
        inside = torch.clamp(x, self.low, self.high)
        return torch.addmm(self.inside(inside, *mask), x - inside, self.beyond.T)
