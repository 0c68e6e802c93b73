"""A step at fixed places in memory: on a GPU one recorded CUDA graph, on a CPU a list of operations.

A small step is some forty kernels, and launching them takes longer than they
run. A graph launches them at once, but computes with the same memory each
time: so batch and learning rate are copied to where the recording found them.
On a CPU what leads to the operations takes as long as a small one itself.
"""

from functools import partial

import torch
from torch.overrides import TorchFunctionMode

from skae._training.gradients import PredictionGradient, ReconstructionGradient
from skae._training.step import Step
from skae._training.variational_gradients import VariationalGradient

KINDS = ReconstructionGradient, PredictionGradient, VariationalGradient


def step_of(net, gradient, optimizer, average):
    """Return what takes the steps of a net, or of several that are like it."""
    if _is_alike(net):
        if torch.device(net.device).type == "cuda":
            step = Step(gradient, optimizer, average)
            return RecordedStep(step, net.criterion_, recorded)
        gradient = Repeated(gradient, net.criterion_)
    return Step(gradient, optimizer, average)


def _is_alike(net):
    """Return whether the gradient of a net is the same operations whatever the rows."""
    by_hand = type(net.gradient) in KINDS
    return by_hand and not _looks(net.module_) and not net.rows.reduce.shared


def _looks(module):
    """Return whether a module looks at rows first, whether there are missing cells to fill."""
    return module.missing is not None and module.missing.loadings.shape[-1] > 0


def recorded(run):
    """Return a CUDA graph's launch, and what it leaves in place; ``run`` has been called before."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = run()
    return graph.replay, result


class RecordedStep:
    """A `Step` that is recorded for every shape of batch, and repeated from then on.

    The weight of the objective's rising terms is a part of the recording. ``record`` takes a function
    without parameters; it returns one that does the same again, and the place of the result.
    """

    def __init__(self, step, objective, record):
        self.step, self.objective, self.record = step, objective, record
        self.risen, self.places = None, {}

    def __call__(self, rate, inputs, target, weight):
        if self.risen != self.objective.risen:
            self.risen, self.places = self.objective.risen, {}
        parts = *(inputs if isinstance(inputs, tuple) else (inputs,)), target, weight
        shapes = tuple(part is not None and part.shape for part in parts)
        share = self.step.share()
        if shapes not in self.places:
            place = self.places[shapes] = Place(self.step, rate, share, parts)
            return place.run()  # once as it is: what is allocated on first use is then there
        return self.places[shapes](self.record, rate, share, parts).clone()


class Place:
    """Where the recording of one shape of batch finds its numbers.

    ``share`` is that of the present weights in their average; ``parts`` are inputs, target and weight.
    """

    def __init__(self, step, rate, share, parts):
        self.step, self.again = step, None
        self.rate, self.share = parts[0].new_tensor(rate), parts[0].new_tensor(share)
        self.parts = [part if part is None else part.clone() for part in parts]

    def run(self):
        """Take the step; return the loss before it."""
        *inputs, target, weight = self.parts
        inputs = inputs[0] if len(inputs) == 1 else tuple(inputs)
        return self.step.take(self.rate, self.share, inputs, target, weight)

    def __call__(self, record, rate, share, parts):
        """Take the step with other numbers; return the place of the loss before it."""
        self.rate.fill_(rate)
        self.share.fill_(share)
        for place, part in zip(self.parts, parts, strict=True):
            if part is not None:
                place.copy_(part)
        if self.again is None:
            self.again, self.loss = record(self.run)
        self.again()
        return self.loss


class Repeated:
    """A gradient on a CPU whose operations are noted for every shape of batch, and repeated from then on.

    All of them find their numbers in the same places each time. What is left out is what led there:
    looking up places and taking views of them is up to a half of a small step.

    Parameters
    ----------
    gradient : callable
        As in `Step`. It takes the same way whatever the rows.
    objective : Objective
        The weight of its rising terms is a part of what is noted.
    """

    def __init__(self, gradient, objective):
        self.gradient, self.objective = gradient, objective
        self.risen, self.noted = None, {}

    def __call__(self, inputs, target, weight):
        """Return the loss and leave its gradient."""
        if self.risen != self.objective.risen:
            self.risen, self.noted = self.objective.risen, {}
        parts = *(inputs if isinstance(inputs, tuple) else (inputs,)), target, weight
        shapes = tuple(part is not None and part.shape for part in parts)
        if shapes not in self.noted:
            self.noted[shapes] = None  # what is allocated on first use is there then
            return self.gradient(inputs, target, weight)
        if self.noted[shapes] is None:
            self.noted[shapes] = Operations(self.gradient, parts)
        return self.noted[shapes](parts)


class Operations(TorchFunctionMode):
    """The operations of a gradient on a batch, in its places.

    Parameters
    ----------
    gradient : callable
    parts : tuple of Tensor or None
        Inputs, target and weight of a batch.
    """

    def __init__(self, gradient, parts):
        super().__init__()
        self.calls, self.parts = [], [part if part is None else part.clone() for part in parts]
        *inputs, target, weight = self.parts
        with self:
            self.loss = gradient(inputs[0] if len(inputs) == 1 else tuple(inputs), target, weight)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Do an operation, and note it if it writes numbers."""
        call = partial(function, *args, **(kwargs or {}))
        result = call()
        if result is None or isinstance(result, torch.Tensor):
            tensors = [t for t in (*args, *call.keywords.values()) if isinstance(t, torch.Tensor)]
            if result is None or any(result is t for t in tensors):
                self.calls.append(call)
            elif all(_memory(result) != _memory(t) for t in tensors):  # it is no view
                self.calls.append(partial(_renew, result, call))
        return result

    def __call__(self, parts):
        """Repeat them with a batch; return the loss."""
        for place, part in zip(self.parts, parts, strict=True):
            if part is not None:
                place.copy_(part)
        for call in self.calls:
            call()
        return self.loss.clone()


def _memory(tensor):
    return tensor.untyped_storage().data_ptr()


def _renew(place, call):
    place.copy_(call())
