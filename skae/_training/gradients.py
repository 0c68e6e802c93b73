"""Gradients derived by hand for the network that skae builds itself.

Autograd's bookkeeping and fresh memory for every intermediate result cost
more than the arithmetic of a small step; here each result has its place.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from skae.losses import LabelError, Objective, SquaredError
from skae.nn import MLP, Autoencoder, Linear, PredictingAutoencoder, PrefixDecoder, Residual
from skae.nn.cells import CellError
from skae.nn.layers import QuickGELU

aten = torch.ops.aten
silu, silu_backward = aten.silu.out, aten.silu_backward.grad_input  # found once
HALF = torch.tensor(0.5)  # a Python number would become a tensor, and be cast, in every step
UNSCALED = {
    dtype: torch.tensor(1 / QuickGELU.SCALE, dtype=dtype)
    for dtype in (torch.float32, torch.float64)
}
# inputs of a layer, and outputs of a batch, from where its products are quicker the other way round
NARROW, LARGE = 15, 2**12
SMALL_SLOPE, PARTS = 64, 8  # rows or columns of a slope that would leave a GPU idle, and its parts
SLACK = 1.1  # of memory, for batches that are a little larger


@dataclass(frozen=True)
class Derivative:
    """An activation and its derivative, written to a given place.

    ``forward(x, out)``; ``backward(g, x, y)`` overwrites the gradient g of the
    output y with that of the input. x is the input times ``scale``.
    ``settings`` are the attributes that the activation module must have for
    this to hold.
    """

    forward: object
    backward: object
    settings: tuple = ()
    scale: float = 1.0


def _quick_gelu(scaled, out):
    silu(scaled, out=out)
    out.mul_(UNSCALED[out.dtype])


DERIVATIVES = {
    nn.ELU: Derivative(
        lambda x, out: aten.elu.out(x, out=out),
        lambda g, x, y: aten.elu_backward.grad_input(g, 1, 1, 1, True, y, grad_input=g),
        (("alpha", 1.0),),
    ),
    nn.GELU: Derivative(
        lambda x, out: aten.gelu.out(x, out=out),
        lambda g, x, y: aten.gelu_backward.grad_input(g, x, grad_input=g),
        (("approximate", "none"),),
    ),
    nn.Identity: Derivative(lambda x, out: out.copy_(x), lambda g, x, y: None),
    QuickGELU: Derivative(
        _quick_gelu,
        lambda g, scaled, y: silu_backward(g, scaled, grad_input=g),
        scale=QuickGELU.SCALE,
    ),
    nn.ReLU: Derivative(
        lambda x, out: torch.clamp_min(x, 0, out=out),
        lambda g, x, y: aten.threshold_backward.grad_input(g, y, 0, grad_input=g),
    ),
    nn.Sigmoid: Derivative(
        lambda x, out: torch.sigmoid(x, out=out),
        lambda g, x, y: aten.sigmoid_backward.grad_input(g, y, grad_input=g),
    ),
    nn.SiLU: Derivative(
        lambda x, out: silu(x, out=out),
        lambda g, x, y: silu_backward(g, x, grad_input=g),
    ),
    nn.Tanh: Derivative(
        lambda x, out: torch.tanh(x, out=out),
        lambda g, x, y: aten.tanh_backward.grad_input(g, y, grad_input=g),
    ),
}


def known(half):
    """Return whether `ResidualGradient` knows an encoder or decoder."""
    kinds = (Residual, PrefixDecoder)
    if type(half) not in kinds or type(half.linear) not in (Linear, type(None)):
        return False
    mlp = half.nonlinear
    return mlp is None or (type(mlp) is MLP and all(map(_known_activation, list(mlp)[1::2])))


def _known_activation(activation):
    derivative = DERIVATIVES.get(type(activation))
    return derivative is not None and all(
        getattr(activation, name) == value for name, value in derivative.settings
    )


class Alone:
    """Where one net has its parameters, and how they are multiplied with rows."""

    product, sum_with_product = staticmethod(torch.mm), staticmethod(torch.addmm)

    @staticmethod
    def inputs(module):
        """Return the function that makes the encoder's inputs of rows."""
        return module.inputs

    @staticmethod
    def buffer(module, name):
        return getattr(module, name)

    @staticmethod
    def views(parameter):
        """Return values, in a shape that goes with rows, and their gradient's place, if any."""
        return parameter.detach(), parameter.grad

    @staticmethod
    def leave_slope(x, grad, out):
        """Leave the gradient of a weight matrix, given that of the layer's output."""
        if out.is_cuda and min(out.shape) < SMALL_SLOPE and len(x) > PARTS:
            _leave_in_parts(x, grad, out)
        elif is_narrow(x, grad):
            out.copy_(torch.mm(x.mT, grad).mT)
        else:
            torch.mm(grad.mT, x, out=out)

    @staticmethod
    def leave_input(weight, grad, out):
        """Leave the gradient of a layer's inputs, given that of its output."""
        if is_narrow(out, grad):
            weight = weight.mT.contiguous().mT
        torch.mm(grad, weight, out=out)


def _leave_sum(grad, out):
    """Leave the gradient of a bias: on a GPU a product with ones takes a third of the time."""
    if out.is_cuda and grad.dim() == 2:
        torch.mv(grad.mT, grad.new_ones(len(grad)), out=out)
    else:
        torch.sum(grad, -2, out=out)


def _leave_in_parts(x, grad, out):
    """Leave a product over many rows as a sum over parts of them, which a GPU works on side by side."""
    whole = len(x) - len(x) % PARTS
    parts = [rows[:whole].unflatten(0, (PARTS, -1)) for rows in (grad, x)]
    torch.sum(torch.bmm(parts[0].mT, parts[1]), 0, out=out)
    if whole < len(x):
        torch.addmm(out, grad[whole:].mT, x[whole:], out=out)


def is_narrow(x, grad):
    """Return whether products with a layer's few inputs are up to four times as fast turned round."""
    return x.shape[-1] <= NARROW and grad.numel() >= LARGE


class Layer:
    """A linear layer's tensors, and its products; ``place`` is such as `Alone`."""

    def __init__(self, layer, place):
        self.n_outputs = layer.out_features
        self.product, self.sum_with_product = place.product, place.sum_with_product
        self.leave_slope, self.leave_input = place.leave_slope, place.leave_input
        self.weight, self.weight_grad = place.views(layer.weight)
        self.transposed = self.weight.mT
        self.bias = self.bias_grad = None
        if layer.bias is not None:
            self.bias, self.bias_grad = place.views(layer.bias)

    def forward(self, x, out, scale=1.0):
        """Return the layer's output, times a scale."""
        if self.bias is None:
            return self.product(x, self.transposed, out=out).mul_(scale)
        scales = {} if scale == 1 else {"beta": scale, "alpha": scale}
        return self.sum_with_product(self.bias, x, self.transposed, out=out, **scales)

    def add(self, x, out, scale=1.0):
        """Add the layer's output, times a scale, to what is there."""
        if self.bias is not None:
            out.add_(self.bias, alpha=scale)
        return self.sum_with_product(out, x, self.transposed, out=out, alpha=scale)

    def backward(self, x, grad, into=None, add=False):
        """Leave the parameters' gradients; write, or add, the input's ``into`` its place."""
        if self.weight_grad is not None:
            self.leave_slope(x, grad, self.weight_grad)
        if self.bias_grad is not None:
            _leave_sum(grad, self.bias_grad)
        if into is not None and add:
            self.sum_with_product(into, grad, self.weight, out=into)
        elif into is not None:
            self.leave_input(self.weight, grad, into)


class Room:
    """Memory that is written anew for every batch.

    Batches of other sizes share it: where processes have parts of the rows, each has another number of
    them in every step. A GPU has memory for each size, for recorded steps keep their places.
    """

    def __init__(self):
        self.parts, self.places = [], {}

    def __call__(self, x, widths):
        """Return tensors for the rows of x, of some widths; those of an earlier call are void then."""
        if x.shape not in self.places:
            self.places[x.shape] = self._made(x, [(*x.shape[:-1], width) for width in widths])
        return self.places[x.shape]

    def _made(self, x, shapes):
        if x.is_cuda:
            return [x.new_empty(shape) for shape in shapes]
        sizes = [math.prod(shape) for shape in shapes]
        if not self.parts or any(s > len(part) for s, part in zip(sizes, self.parts, strict=True)):
            self.parts, self.places = [x.new_empty(int(SLACK * size)) for size in sizes], {}
        return [
            part[:size].view(shape)
            for part, size, shape in zip(self.parts, sizes, shapes, strict=True)
        ]


class ReconstructionGradient:
    """The mean error of an autoencoder and its gradient in one call.

    The parameters' ``grad`` must be allocated; they are overwritten. Objectives have one of ``SLOPES``
    as the only term; several are of as many nets in one ``place``, which is such as `Alone`.
    """

    width = None  # of the rows, where labels stand beside them

    def __init__(self, module, *objectives, place=Alone):
        self.encoder = ResidualGradient(module.encoder, place)
        self.decoder = ResidualGradient(module.decoder, place)
        terms = [next(iter(objective.terms.values())) for objective in objectives]
        kinds = SLOPES if len(terms) == 1 else STACKED
        self.slope, self.filled = kinds[type(terms[0])](*terms), place.inputs(module)

    @staticmethod
    def fits(module, objective):
        """Return whether this is the gradient of an objective of a module."""
        return (
            type(module) is Autoencoder
            and type(objective) is Objective
            and all(map(known, module.halves))
            and [type(term) in SLOPES for term in objective.terms.values()] == [True]
            and list(objective.weights.values()) == [1.0]
        )

    def __call__(self, inputs, target, weight=None):
        """Return the loss and leave its gradient in the parameters' ``grad``.

        ``inputs`` are rows, or rows and a mask of their codes. Of several nets
        ``weight`` is each row's share of the mean, of shape (n_nets, n_samples, 1).
        """
        inputs, mask = inputs if isinstance(inputs, tuple) else (inputs, None)
        code = self.encoder.forward(self.filled(inputs))
        code = code if mask is None else code.mul_(mask)
        loss, delta = self.slope(self.decoder.forward(code, mask), target, weight)
        into_code = self.decoder.backward(delta)
        into_code = into_code if mask is None else into_code.mul_(mask)
        self.encoder.backward(into_code, to_input=False)
        return loss

    @torch.inference_mode()  # as in steps, whose places it takes
    def judge(self, inputs, target, cuts=None):
        """Return the objective of every row, of one net or several: its mean over the code's cuts."""
        code = self.encoder.forward(self.filled(inputs[..., : self.width]))
        if cuts is None:
            return self._judged(code, target)
        losses = 0.0
        for mask, weight in cuts.judged_masks(code.device):
            losses = losses + weight * self._judged(code * mask, target, mask.expand_as(code))
        return losses

    def _judged(self, code, target, mask=None):
        return self.slope.judge(self.decoder.forward(code, mask), target)


class PredictionGradient(ReconstructionGradient):
    """The same of a `PredictingAutoencoder`, whose code has a head beside the decoder.

    The objective has one of ``SLOPES``, "reconstruction", and a `LabelError`,
    "prediction", each with a weight of its own. The gradient by the code is
    the sum of what decoder and head leave.
    """

    def __init__(self, module, *objectives, place=Alone):
        super().__init__(module, *objectives, place=place)
        self.head, self.width = Layer(module.head, place), module.width
        self.labels = objectives[0].terms["prediction"]
        weights = objectives[0].weights
        self.weights = weights["reconstruction"], weights["prediction"]

    @staticmethod
    def fits(module, objective):
        if type(module) is not PredictingAutoencoder or type(objective) is not Objective:
            return False
        kinds = {name: type(term) for name, term in objective.terms.items()}
        return (
            all(map(known, module.halves))
            and kinds.keys() == {"reconstruction", "prediction"}
            and kinds["reconstruction"] in SLOPES
            and kinds["prediction"] is LabelError
        )

    def __call__(self, inputs, target, weight=None):
        inputs, mask = inputs if isinstance(inputs, tuple) else (inputs, None)
        of_rows, of_labels = self.weights
        rows, labels = target[..., : self.width], target[..., self.width :]
        code = self.encoder.forward(self.filled(inputs[..., : self.width]))
        code = code if mask is None else code.mul_(mask)
        loss, delta = self.slope(self.decoder.forward(code, mask), rows, weight)
        into_code = self.decoder.backward(delta.mul_(of_rows))
        prediction, share = self._predict(code), of_labels * shares(target, weight)
        errors = self.labels.errors(prediction, labels).unsqueeze(-1).mul_(share)
        slopes = self.labels.slopes(prediction, labels).mul_(share)
        self.head.backward(code, slopes, into_code, add=True)
        into_code = into_code if mask is None else into_code.mul_(mask)
        self.encoder.backward(into_code, to_input=False)
        return of_rows * loss + errors.sum((-2, -1))

    def _predict(self, code):
        return self.head.forward(code, code.new_empty(*code.shape[:-1], self.head.n_outputs))

    def _judged(self, code, target, mask=None):
        rows, labels = target[..., : self.width], target[..., self.width :]
        of_rows, of_labels = self.weights
        errors = of_rows * super()._judged(code, rows, mask)
        return errors + of_labels * self.labels.errors(self._predict(code), labels)


class SquaredSlope:
    """The mean of a `SquaredError` and its derivative by the reconstruction."""

    stacks = True

    def __init__(self, term):
        self.column_weights, self.room, self.slopes = term.column_weights, Room(), {}

    def __call__(self, reconstruction, target, weight):
        """Return both; the reconstruction is overwritten."""
        n_samples = target.shape[0]
        if n_samples not in self.slopes:
            self.slopes[n_samples] = self.column_weights * (2 / n_samples)
        (delta,) = self.room(target, target.shape[-1:])
        residual = reconstruction.sub_(target)
        torch.mul(residual, self.slopes[n_samples], out=delta)
        if weight is not None:
            delta *= weight[:, None]
        return torch.dot(delta.view(-1), residual.view(-1)).mul_(HALF), delta

    def judge(self, reconstruction, target):
        """Return the error of every row; the reconstruction is overwritten."""
        return reconstruction.sub_(target).square_() @ self.column_weights


class StackedSlope:
    """The same of several nets."""

    def __init__(self, *terms):
        self.column_weights = torch.stack([term.column_weights for term in terms])[:, :, None]
        self.slopes = 2 * self.column_weights.mT

    def __call__(self, reconstruction, target, weight):
        residual = reconstruction.sub_(target)
        delta = (residual * weight).mul_(self.slopes)
        return torch.sum(delta * residual, (1, 2)).mul_(HALF), delta

    def judge(self, reconstruction, target):
        errors = reconstruction.sub_(target).square_()
        return torch.bmm(errors, self.column_weights)[..., 0]


class CellSlope:
    """The mean of a `CellError`, of one net or several, and its derivative."""

    stacks = True

    def __init__(self, *terms):
        self.cells, self.weights = cells_of(terms), of_nets([term.weights for term in terms])
        self.slopes = 2 * self.weights[..., : self.cells.n_numbers]

    def __call__(self, reconstruction, target, weight):
        """Return mean and derivative by the reconstruction, which is overwritten."""
        cells, n, share = self.cells, self.cells.n_numbers, shares(target, weight)
        numbers, categories = self.weights[..., :n], self.weights[..., n:]
        residual = (reconstruction[..., :n] - target[..., :n]).nan_to_num_(nan=0.0)
        loss = torch.sum(residual.square().mul_(numbers).mul_(share), (-2, -1))
        torch.mul(residual, self.slopes, out=reconstruction[..., :n])
        if categories.shape[-1]:
            nats, slopes = cells.nats_and_slopes(reconstruction, target)
            loss += torch.sum((nats * categories).mul_(share), (-2, -1))
            torch.mul(slopes, categories[..., cells.spread], out=reconstruction[..., n:])
        return loss, reconstruction.mul_(share)

    def judge(self, reconstruction, target):
        """Return the error of every row of several nets."""
        return self.cells.errors(reconstruction, target).mul_(self.weights).sum(-1)


def of_nets(tensors):
    """Return the tensor of one net; of several one that goes with (n_nets, n_samples, n_columns)."""
    return tensors[0] if len(tensors) == 1 else torch.stack(tensors)[:, None]


def cells_of(terms):
    """Return the `Cells` of one net or several, whose categories differ in their level."""
    cells = [term.cells for term in terms]
    return cells[0] if len(cells) == 1 else cells[0].at(of_nets([c.level for c in cells]))


def shares(target, weight):
    """Return each row's share of the mean, of shape (..., n_samples, 1)."""
    n_samples = target.shape[-2]
    if weight is None:
        return target.new_full((n_samples, 1), 1 / n_samples)
    return weight if weight.dim() == 3 else weight[:, None] / n_samples


SLOPES = {SquaredError: SquaredSlope, CellError: CellSlope}
STACKED = SLOPES | {SquaredError: StackedSlope}


class ResidualGradient:
    """Forward and backward pass of a `Residual` or `PrefixDecoder` with an `MLP`.

    The output and the gradient of the input stay valid until the next call.
    """

    def __init__(self, residual, place):
        layers = list(residual.nonlinear or ())
        self.linear = None if residual.linear is None else Layer(residual.linear, place)
        self.layers = [Layer(layer, place) for layer in layers[0::2]]
        told = isinstance(residual, PrefixDecoder)
        self.told = Layer(residual.told, place) if told else None
        self.derivatives = [DERIVATIVES[type(activation)] for activation in layers[1::2]]
        self.room = Room()

    def forward(self, x, mask=None):
        """Return the output; keep what ``backward`` needs."""
        self.mask = mask
        out, *places = self.room(x, self._widths(x.shape[-1]))
        n = len(self.derivatives)
        self.sums, self.inputs, self.grads = places[:n], [x, *places[n : 2 * n]], places[2 * n :]
        for i, derivative in enumerate(self.derivatives):
            self.layers[i].forward(self.inputs[i], self.sums[i], derivative.scale)
            if i == 0 and self.told is not None:
                self.told.add(mask, self.sums[0], derivative.scale)
            derivative.forward(self.sums[i], self.inputs[i + 1])
        if not self.layers:
            return self.linear.forward(x, out)
        self.layers[-1].forward(self.inputs[-1], out)
        return out if self.linear is None else self.linear.add(x, out)

    def backward(self, grad, to_input=True):
        """Leave the parameters' gradients; return that of the input where it is asked for."""
        x, into_x = self.inputs[0], self.grads[0] if to_input else None
        outer = grad
        for i in reversed(range(len(self.layers))):
            into = self.grads[i] if i > 0 else into_x
            self.layers[i].backward(self.inputs[i], grad, into)
            if i > 0:
                self.derivatives[i - 1].backward(into, self.sums[i - 1], self.inputs[i])
                grad = into
        if self.told is not None:
            self.told.backward(self.mask, grad)
        if self.linear is not None:
            self.linear.backward(x, outer, into_x, add=bool(self.layers))
        return into_x

    def _widths(self, n_inputs):
        """Return those of the output, of sums, layer inputs and their gradients."""
        hidden = [layer.n_outputs for layer in self.layers[:-1]]
        n_outputs = (self.layers[-1] if self.layers else self.linear).n_outputs
        return [n_outputs, *hidden, *hidden, n_inputs, *hidden]
