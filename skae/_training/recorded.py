"""A step at fixed places in memory, which on a GPU is one recorded CUDA graph.

A small step is some forty kernels, and launching them takes longer than they
run. A graph launches them at once, but computes with the same memory each
time: so batch and learning rate are copied to where the recording found them.
"""

import torch

from skae._training.gradients import PredictionGradient, ReconstructionGradient
from skae._training.step import Step
from skae._training.variational_gradients import VariationalGradient

KINDS = ReconstructionGradient, PredictionGradient, VariationalGradient


def step_of(net, gradient, optimizer, average):
    """Return what takes the steps of a net, or of several that are like it."""
    step = Step(gradient, optimizer, average)
    return RecordedStep(step, net.criterion_, recorded) if _can_record(net) else step


def _can_record(net):
    """Return whether the steps of a net are on a GPU, and the same kernels whatever the rows."""
    on_gpu = torch.device(net.device).type == "cuda"
    by_hand = isinstance(net.gradient, KINDS)
    return on_gpu and by_hand and not _looks(net.module_) and not net.rows.reduce.shared


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
