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


class Mixed(nn.Module):
    """A linear map in two steps: to axes, then a small matrix and a bias.

    Parameters
    ----------
    n_inputs, n_axes, n_outputs : int
    """

    def __init__(self, n_inputs, n_axes, n_outputs):
        super().__init__()
        self.axes = nn.Parameter(torch.empty(n_axes, n_inputs, dtype=torch.float32))
        self.mix = nn.Parameter(torch.empty(n_outputs, n_axes, dtype=torch.float32))
        self.bias = nn.Parameter(torch.empty(n_outputs, dtype=torch.float32))

    @property
    def weight(self):
        """The matrix of the map, of shape (n_outputs, n_inputs)."""
        return self.mix @ self.axes

    def forward(self, x):
        """Return ``weight @ x + bias``."""
        return nn.functional.linear(x @ self.axes.t(), self.mix, self.bias)


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


class Confined(nn.Module):
    r"""A trained module within the range of its training, a linear map beyond it.

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

    WIDTH = 1  # columns of the encoder's output a component
    straight = Linear  # makes the encoder's linear map

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, x):
        """Return the code of ``x``."""
        return self.encoder(x)

    def forward(self, x):
        """Return the reconstruction of ``x`` and its code."""
        code = self.encode(x)
        return Outputs(self.decoder(code), code)


class VariationalOutputs(NamedTuple):
    """What a variational autoencoder gives for a batch.

    ``code`` is ``mean + exp(log_variance / 2) * draws``; with several draws a
    row, these three and the reconstruction have a leading dimension.
    """

    reconstruction: torch.Tensor
    code: torch.Tensor
    mean: torch.Tensor
    log_variance: torch.Tensor
    draws: torch.Tensor
    log_noise: torch.Tensor


class VariationalAutoencoder(Autoencoder):
    """An encoder to a Gaussian over codes, a decoder, and the noise about its output.

    Parameters
    ----------
    encoder : nn.Module
        Maps (n_samples, n_features) to (n_samples, 2 * n_components): the
        means, then the logarithms of the variances.
    decoder : nn.Module
        Maps (n_samples, n_components) to (n_samples, n_features).
    """

    WIDTH = 2
    LEAST_LOG_NOISE = math.log(1e-8)  # so that no likelihood becomes infinite
    LOG_VARIANCES = -30.0, 10.0

    def __init__(self, encoder, decoder):
        super().__init__(encoder, decoder)
        self.log_noise = nn.Parameter(torch.zeros((), dtype=torch.float32))

    @staticmethod
    def straight(n_inputs, n_outputs, bias):
        """Return a linear map of which the axes can stay while their use is learned."""
        return Mixed(n_inputs, n_outputs // 2, n_outputs)

    def encode(self, x):
        """Return the mean of the code of ``x``."""
        return self.posterior(x)[0]

    def posterior(self, x):
        """Return mean and log-variance of the code of ``x``."""
        mean, log_variance = self.encoder(x).chunk(2, dim=-1)
        return mean, log_variance.clamp(*self.LOG_VARIANCES)

    def forward(self, inputs):
        """Return the `VariationalOutputs` of rows and standard normal draws."""
        x, draws = inputs
        mean, log_variance = self.posterior(x)
        code = torch.addcmul(mean, (0.5 * log_variance).exp(), draws)
        reconstruction = self.decoder(code.flatten(0, -2)).unflatten(0, code.shape[:-1])
        log_noise = self.log_noise.clamp(min=self.LEAST_LOG_NOISE)
        return VariationalOutputs(reconstruction, code, mean, log_variance, draws, log_noise)
