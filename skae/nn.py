"""Torch modules: a multi-layer perceptron, a linear map with a nonlinear residual, the autoencoder."""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn

ACTIVATIONS = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Outputs(NamedTuple):
    """What an autoencoder gives for a batch: the reconstruction and the code it was made from."""

    reconstruction: torch.Tensor
    code: torch.Tensor


class Linear(nn.Linear):
    """A float32 ``nn.Linear`` without values: making it draws no random numbers."""

    def __init__(self, n_inputs, n_outputs, bias=True):
        super().__init__(n_inputs, n_outputs, bias, dtype=torch.float32)

    def reset_parameters(self):
        """Leave the values as they are."""


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
                layer.weight.normal_(0, std, generator=generator)
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

    def forward(self, x):
        """Return ``linear(x) + nonlinear(x)``."""
        if self.nonlinear is None:
            return self.linear(x)
        if self.linear is None:
            return self.nonlinear(x)
        return self.nonlinear(x) + self.linear(x)


class ShrunkResidual(Residual):
    r"""A residual whose outputs are drawn towards zero, the small ones to zero itself.

    .. math:: h - \mathrm{clip}(h, -\theta, \theta)

    with one trainable :math:`\theta \ge 0` a unit, at first zero: the residual itself.
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
    r"""A trained module within the range of its training, a linear map beyond it.

    .. math:: h(c) + L (x - c), \quad c = \mathrm{clip}(x)

    Parameters
    ----------
    inside : nn.Module
        h, from n_inputs to n_outputs columns.
    n_inputs, n_outputs : int

    Attributes
    ----------
    low, high : Tensor of shape (n_inputs,)
        The range.
    beyond : Tensor of shape (n_outputs, n_inputs)
        L.
    """

    def __init__(self, inside, n_inputs, n_outputs):
        super().__init__()
        self.inside = inside
        self.register_buffer("low", torch.empty(n_inputs))
        self.register_buffer("high", torch.empty(n_inputs))
        self.register_buffer("beyond", torch.empty(n_outputs, n_inputs))

    def forward(self, x):
        """Return the sum of both."""
        inside = torch.clamp(x, self.low, self.high)
        return torch.addmm(self.inside(inside), x - inside, self.beyond.T)


class Autoencoder(nn.Module):
    """An encoder and a decoder of standardised rows.

    Parameters
    ----------
    encoder : nn.Module
        Maps (n_samples, n_features) to (n_samples, n_components).
    decoder : nn.Module
        Maps (n_samples, n_components) to (n_samples, n_features).
    """

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, x):
        """Return the reconstruction of ``x`` and its code."""
        code = self.encoder(x)
        return Outputs(self.decoder(code), code)
