"""Gradients derived by hand for the network that skae builds itself, without autograd's overhead."""

import torch
import torch.nn.functional as F
from torch import nn

from skae.losses import SquaredError
from skae.nn import MLP, Autoencoder, Residual

aten = torch.ops.aten

# type -> (settings it must have, forward(x), backward(grad, x, y))
DERIVATIVES = {
    nn.ELU: ({"alpha": 1.0}, F.elu, lambda g, x, y: aten.elu_backward(g, 1, 1, 1, True, y)),
    nn.GELU: ({"approximate": "none"}, F.gelu, lambda g, x, y: aten.gelu_backward(g, x)),
    nn.Identity: ({}, lambda x: x, lambda g, x, y: g),
    nn.ReLU: ({}, F.relu, lambda g, x, y: aten.threshold_backward(g, y, 0)),
    nn.Sigmoid: ({}, torch.sigmoid, lambda g, x, y: aten.sigmoid_backward(g, y)),
    nn.SiLU: ({}, F.silu, lambda g, x, y: aten.silu_backward(g, x)),
    nn.Tanh: ({}, torch.tanh, lambda g, x, y: aten.tanh_backward(g, y)),
}


def has_gradient(module, objective):
    """Return whether `ReconstructionGradient` can train ``module`` on ``objective``."""
    return (
        type(module) is Autoencoder
        and all(_known(half) for half in (module.encoder, module.decoder))
        and [type(term) for term in objective.terms.values()] == [SquaredError]
        and list(objective.weights.values()) == [1.0]
    )


def _known(half):
    if type(half) is not Residual:
        return False
    mlp = half.nonlinear
    return mlp is None or (type(mlp) is MLP and all(map(_known_activation, list(mlp)[1::2])))


def _known_activation(activation):
    if type(activation) not in DERIVATIVES:
        return False
    settings = DERIVATIVES[type(activation)][0]
    return all(getattr(activation, name) == value for name, value in settings.items())


class ReconstructionGradient:
    """The mean squared error of an autoencoder and its gradient in one call.

    The parameters' ``grad`` must be allocated; they are overwritten.

    Parameters
    ----------
    module : Autoencoder
    objective : Objective
        With `SquaredError` as its only term.
    """

    def __init__(self, module, objective):
        self.encoder = ResidualGradient(module.encoder)
        self.decoder = ResidualGradient(module.decoder)
        (term,) = objective.terms.values()
        self.column_weights = term.column_weights

    @torch.no_grad()
    def __call__(self, inputs, target, weight=None):
        """Return the loss and leave its gradient in the parameters' ``grad``."""
        n_samples = len(inputs)
        residual = self.decoder.forward(self.encoder.forward(inputs)).sub_(target)
        delta = residual * self.column_weights
        if weight is not None:
            delta *= weight[:, None]
        loss = torch.dot(delta.view(-1), residual.view(-1)) / n_samples
        delta *= 2 / n_samples
        self.encoder.backward(self.decoder.backward(delta), to_input=False)
        return loss


class ResidualGradient:
    """Forward and backward pass of a `Residual` of a linear map and an `MLP`."""

    def __init__(self, residual):
        self.linear = residual.linear
        mlp = residual.nonlinear or ()
        self.layers = list(mlp)[0::2]
        self.activations = [DERIVATIVES[type(a)][1:] for a in list(mlp)[1::2]]

    def forward(self, x):
        """Return the output; keep what ``backward`` needs."""
        self.inputs, self.sums = [x], []
        for layer, (activate, _) in zip(self.layers, self.activations, strict=False):
            self.sums.append(_affine(layer, self.inputs[-1]))
            self.inputs.append(activate(self.sums[-1]))
        if not self.layers:
            return _affine(self.linear, x)
        out = _affine(self.layers[-1], self.inputs[-1])
        return out if self.linear is None else out.addmm_(x, self.linear.weight.t())

    def backward(self, grad, to_input=True):
        """Leave the parameters' gradients; return that of the input where it is asked for."""
        linear_grad = None
        if self.linear is not None:
            linear_grad = self._through(self.linear, self.inputs[0], grad, to_input)
        for i in reversed(range(len(self.layers))):
            further = self._through(self.layers[i], self.inputs[i], grad, to_input or i > 0)
            if i > 0:
                derivative = self.activations[i - 1][1]
                grad = derivative(further, self.sums[i - 1], self.inputs[i])
        if not to_input or not self.layers:
            return linear_grad
        return further if linear_grad is None else further.add_(linear_grad)

    @staticmethod
    def _through(layer, x, grad, to_input):
        torch.mm(grad.t(), x, out=layer.weight.grad)
        if layer.bias is not None:
            torch.sum(grad, 0, out=layer.bias.grad)
        return grad.mm(layer.weight) if to_input else None


def _affine(layer, x):
    if layer.bias is None:
        return x.mm(layer.weight.t())
    return torch.addmm(layer.bias, x, layer.weight.t())
