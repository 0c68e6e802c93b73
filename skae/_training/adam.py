"""Adam over one flat vector of parameters."""

import math
from itertools import groupby

import torch

BETAS = (0.8, 0.95)
EPS = 1e-8
SMALLEST_PIECE, MOST_PIECES = 2**11, 24  # of the vector on a GPU
ONE = torch.ones(())  # a Python number would become a tensor in every step
WIDE = 128  # inputs of a layer from which on its learning rate falls


def rate_factor(parameter):
    """Return the share of the learning rate that a parameter gets.

    A step of Adam is as long in every weight, so it moves an output by up to
    the rate times the number of inputs: a weight matrix of more than ``WIDE``
    inputs gets less in proportion (Yang et al., Tensor programs V, 2021,
    https://arxiv.org/abs/2203.03466).
    """
    return min(1.0, WIDE / parameter.shape[1]) if parameter.ndim == 2 else 1.0


class FlatAdam:
    """Adam with decoupled weight decay; all parameters live in one vector.

    One kernel a step instead of several for each parameter. The parameters
    become views of one vector, and their gradients views of another.
    Made without ``torch.optim``, whose first optimizer in a process imports
    the compiler.

    Parameters
    ----------
    decayed, spared : iterables of nn.Parameter
        Those that weight decay shrinks, and the others.
    alpha : float
        Weight decay: a step multiplies by ``1 - lr * alpha``.
    largest_gradient : float
        Longer gradients are shortened to this norm.
    betas : (float, float)
        How much of the running mean and mean square a step keeps.

    References
    ----------
    Kingma & Ba, Adam, 2015, https://arxiv.org/abs/1412.6980;
    Loshchilov & Hutter, Decoupled weight decay regularization, 2019,
    https://arxiv.org/abs/1711.05101
    """

    def __init__(self, decayed, spared, alpha=0.0, largest_gradient=math.inf, betas=BETAS):
        decayed = sorted(decayed, key=rate_factor)
        spared = sorted(spared, key=rate_factor, reverse=True)
        self.alpha, self.largest_gradient, self.betas = alpha, largest_gradient, betas
        self.owners = decayed + spared
        self.spans = list(_spans(self.owners))
        self.decayed_spans = list(_spans(decayed)) if alpha else []
        parameters = torch.cat([p.detach().reshape(-1) for p in self.owners])
        self.n_steps = torch.zeros((), dtype=torch.float32, device=parameters.device)
        self._settle(parameters, *(torch.zeros_like(parameters) for _ in range(3)))

    @property
    def vectors(self):
        """Parameters, gradient, and the gradient's running mean and mean square."""
        return self.parameters, self.gradient, self.mean, self.square

    def move(self, *vectors):
        """Go on in other ``vectors``, as they are now."""
        for new, old in zip(vectors, self.vectors, strict=True):
            new.copy_(old)
        self._settle(*vectors)

    def _settle(self, parameters, gradient, mean, square):
        self.parameters, self.gradient, self.mean, self.square = parameters, gradient, mean, square
        start = 0
        for p in self.owners:
            span = slice(start, start + p.numel())
            p.data, p.grad = parameters[span].view(p.shape), gradient[span].view(p.shape)
            start = span.stop
        self._divide(lambda span: span)

    def _divide(self, place):
        """Find what weight decay shrinks and what has one rate; ``place`` leads to a span of it."""
        self.decayed = [(f, self.parameters[place(span)]) for f, span in self.decayed_spans]
        self.parts = [(f, self._of_vectors(place(span))) for f, span in self.spans]

    def _of_vectors(self, place):
        """Return a list of the parts at a place, all contiguous, of each of the `vectors`."""
        return [_pieces(vector[place]) for vector in self.vectors]

    def zero_grad(self):
        self.gradient.zero_()

    def step(self, lr):
        """Move the parameters against their gradients."""
        self.n_steps += ONE
        shrink = self._shrink()
        for factor, weights in self.decayed:
            weights *= 1 - factor * lr * self.alpha
        update = _fused if hasattr(torch, "_fused_adam_") else _plain
        for factor, part in self.parts:
            update(self, factor * lr, shrink, *part)

    def _shrink(self):
        """Return by how much the gradient is too long."""
        return self._excess(torch.linalg.vector_norm(self.gradient))

    def _excess(self, norm):
        """Return gradients' norms over the largest, at least 1."""
        if self.largest_gradient != 1:
            norm /= self.largest_gradient
        return norm.clamp_min_(1.0)

    def state_dict(self):
        """Return what the next steps depend on, besides parameters and gradients."""
        return {"mean": self.mean, "square": self.square, "n_steps": self.n_steps}

    def load_state_dict(self, state):
        for name, value in self.state_dict().items():
            value.copy_(torch.as_tensor(state[name]))


class StackedAdam(FlatAdam):
    """Several alike nets' `FlatAdam` in one: a row of each matrix becomes the vector of one of them."""

    def __init__(self, adams):
        first = adams[0]
        self.alpha, self.betas = first.alpha, first.betas
        self.largest_gradient, self.n_steps = first.largest_gradient, first.n_steps
        self.spans, self.decayed_spans = first.spans, first.decayed_spans
        matrices = [vector.new_empty(len(adams), len(vector)) for vector in first.vectors]
        self.parameters, self.gradient, self.mean, self.square = matrices
        for adam, *rows in zip(adams, *matrices, strict=True):
            adam.move(*rows)
            adam.n_steps = self.n_steps
        self.no_scale = torch.ones_like(self.n_steps)
        self._divide(lambda span: (slice(None), span))

    def _of_vectors(self, place):
        whole = super()._of_vectors(place)
        if whole[0][0].is_contiguous():
            return whole
        return [list(matrix) for [matrix] in whole]

    def _shrink(self):
        norm = torch.linalg.vector_norm(self.gradient, dim=1, keepdim=True)
        self.gradient /= self._excess(norm)
        return self.no_scale


def _pieces(vector):
    """Return a vector in pieces: on a GPU several, for one of a small vector is one block of threads."""
    if not vector.is_cuda or vector.dim() > 1:
        return [vector]
    return list(vector.split(max(SMALLEST_PIECE, -(-len(vector) // MOST_PIECES))))


def _spans(parameters):
    """Yield (rate factor, slice of the vector) of neighbours with one factor."""
    start = 0
    for factor, group in groupby(parameters, key=rate_factor):
        stop = start + sum(p.numel() for p in group)
        yield factor, slice(start, stop)
        start = stop


def _plain(adam, lr, shrink, *part):
    beta1, beta2 = adam.betas
    n_steps = adam.n_steps.item()
    scale = math.sqrt(1 - beta2**n_steps)
    step = lr / (1 - beta1**n_steps)
    for parameters, gradient, mean, square in zip(*part, strict=True):
        gradient.div_(shrink)
        mean.lerp_(gradient, 1 - beta1)
        square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        parameters.addcdiv_(mean, square.sqrt().div_(scale).add_(EPS), value=-step)


def _fused(adam, lr, shrink, *part):
    torch._fused_adam_(
        *part,
        [],
        [adam.n_steps] * len(part[0]),
        lr=lr,
        beta1=adam.betas[0],
        beta2=adam.betas[1],
        weight_decay=0.0,
        eps=EPS,
        amsgrad=False,
        maximize=False,
        grad_scale=shrink,
    )
