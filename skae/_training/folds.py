"""The nets of folds, trained in one step: several small steps at once cost little more than one."""

from functools import partial

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from skae._together import begin_together, joined
from skae._training.adam import StackedAdam
from skae._training.net import check_finite
from skae._training.recorded import step_of
from skae._training.step import AverageWeights
from skae.nn.cells import Missing

# of all nets; more does not stay in the cache: one by one is as fast
MOST_BYTES = 2**23  # of rows
MOST_WEIGHT_BYTES = 2**24
NARROW = 32  # inputs of a layer


def can_train(nets):
    """Return whether `Folds` can train nets: in the lean loop, and not too large."""
    first = nets[0]
    return (
        len(nets) > 1
        and first.lean
        and getattr(getattr(first.gradient, "slope", None), "stacks", False)  # none of autograd
        and all(parameter.requires_grad for parameter in first.module_.parameters())
        and not first.settings.callbacks
        and sum(4 * len(net.rows) * net.rows.n_features for net in nets) <= MOST_BYTES
        and len(nets) * first.optimizer_.parameters.nbytes <= MOST_WEIGHT_BYTES
    )


class Folds:
    """Initialised nets that are alike, trained for an epoch in common steps.

    Each net has its own rows, batches, noise and length of gradient, as if it
    were trained alone; its weights and its optimizer's state are its own, too,
    but lie beside those of the others. Only the first one has a history.
    """

    def __init__(self, nets):
        self.nets, self.generator, self.kind = nets, nets[0].generator, type(nets[0].gradient)
        self.held_out = HeldOut(nets)
        self.rows = torch.cat([net.rows.take(slice(None)) for net in nets])
        weights = [net.rows.weight for net in nets]
        self.row_weights = None if weights[0] is None else torch.cat(weights)[:, None]
        self._lay_out([len(net.rows) for net in nets], min(net.steps_an_epoch for net in nets))
        self.take_over()

    def take_over(self):
        """Lay side by side what the nets are training at present."""
        self.adam = StackedAdam([net.optimizer_ for net in self.nets])
        self.gradient = self.judged = self._gradient(self.adam.parameters)
        self.average = None
        if self.nets[0].average is not None:
            self.average = AverageWeights([self.adam.parameters], self.nets[0].averaging)
            (means,) = self.average.average
            for net, mean in zip(self.nets, means, strict=True):
                net.average.move([net.optimizer_.parameters], [mean])
            self.judged = self._gradient(means)
        for net in self.nets:
            net.step_by(self.kind(net.module_, net.criterion_))  # of where the weights are now
        self.step = step_of(self.nets[0], self.gradient, self.adam, self.average)

    def _gradient(self, values):
        """Return the gradient of all nets whose parameters are in the rows of a matrix."""
        objectives = [net.criterion_ for net in self.nets]
        place = Stack(values, self.adam.gradient, [net.module_ for net in self.nets])
        return self.kind(self.nets[0].module_, *objectives, place=place)

    def _lay_out(self, sizes, n_batches):
        """Find the places of each net's rows: in every batch as many for all, some of them void."""
        edges = torch.tensor([[n * i // n_batches for i in range(n_batches + 1)] for n in sizes])
        self.counts = counts = edges.diff().T[..., None]  # batches, nets, 1
        filled = torch.arange(int(counts.max())) < counts
        self.shares = (filled / counts)[..., None].to(self.rows)
        self.firsts = [sum(sizes[:net]) for net in range(len(sizes))]
        self.index = torch.tensor(self.firsts)[:, None].repeat(n_batches, 1, filled.shape[2])
        net, batch, place = filled.transpose(0, 1).nonzero(as_tuple=True)
        self.places = batch, net, place  # in the order of the nets, and in each of its rows

    def epoch(self):
        """Train every net for an epoch and judge it; return their mean loss."""
        first = self.nets[0]
        first.rise()
        if self.average is not None:
            self.average.n_steps = first.average.n_steps
        with first.without_autograd():
            losses = [self.step(first.next_rate(), *batch) for batch in self._batches()]
            losses = torch.stack(losses).mean(0).tolist()
        row_losses = self.held_out.judge(self.judged)
        for net, judged in zip(self.nets, row_losses, strict=True):
            net.row_losses, net.steps_done = judged, first.steps_done
            if self.average is not None:
                net.average.n_steps = self.average.n_steps
        first.take_in(losses[0])
        loss = float(np.mean(losses))
        check_finite(len(first.history), loss, self.adam.parameters)
        return loss

    def _batches(self):
        orders = [
            torch.randperm(len(net.rows), generator=self.generator).add_(first)
            for net, first in zip(self.nets, self.firsts, strict=True)
        ]
        self.index[self.places] = torch.cat(orders)
        corrupt = begin_together([net.settings.corruption for net in self.nets], self.generator)
        weights = self.shares
        if self.row_weights is not None:
            weights = weights * self.row_weights[self.index]
        for target, weight, n_rows in zip(self.rows[self.index], weights, self.counts, strict=True):
            inputs, masks = corrupt(target) if corrupt else target, self._masks(target, n_rows)
            yield inputs if masks is None else (inputs, masks), target, weight

    def _masks(self, target, n_rows):
        """Return what each row keeps of its code, where that is ordered."""
        cuts = self.nets[0].settings.cuts
        if cuts is None:
            return None
        start = torch.rand(n_rows.shape, generator=self.generator)
        return cuts.drawn(target.shape[1], n_rows, start).to(target.device)


class HeldOut:
    """The held-out rows of every net, in one batch."""

    def __init__(self, nets):
        self.sizes, self.cuts = [len(net.held_out) for net in nets], nets[0].settings.cuts
        batches = [next(iter(net.get_iterator(net.held_out))) for net in nets]
        pad = partial(pad_sequence, batch_first=True)
        self.inputs = joined(pad, [inputs for inputs, _ in batches])
        self.targets = pad([target for _, (target, _) in batches])

    def judge(self, gradient):
        """Return the objective of every net's rows."""
        losses = gradient.judge(self.inputs, self.targets, self.cuts).double().cpu().numpy()
        return [row[:size] for row, size in zip(losses, self.sizes, strict=True)]


class Stack:
    """Where several nets have their parameters: a row of matrices is the vector of one net."""

    product, sum_with_product = staticmethod(torch.bmm), staticmethod(torch.baddbmm)

    def __init__(self, values, gradient, modules):
        self.matrices, self.modules = (values, gradient), modules

    def inputs(self, module):
        """Return the function that makes the encoders' inputs of rows: each net fills its own."""
        if module.missing is None:
            return module.inputs
        return Missing.together([module.missing for module in self.modules])

    def buffer(self, module, name):
        """Return a buffer of shape (n,) of all nets, in a shape that goes with rows."""
        return torch.stack([getattr(module, name) for module in self.modules]).unsqueeze(1)

    def views(self, parameter):
        """Return a parameter's values in all nets, in a shape that goes with rows, and gradients."""
        start = parameter.storage_offset()
        span = slice(start, start + parameter.numel())
        values, gradient = (m[:, span].view(-1, *parameter.shape) for m in self.matrices)
        between = (1,) * (2 - parameter.dim())
        return values.view(len(values), *between, *parameter.shape), gradient

    @staticmethod
    def leave_slope(x, grad, out):
        """Leave the gradients of weight matrices, given those of the layer's outputs.

        Of few inputs the product is up to four times as fast the other way round.
        """
        if x.shape[-1] <= NARROW:
            out.copy_(torch.bmm(x.mT, grad).mT)
        else:
            torch.bmm(grad.mT, x, out=out)

    @staticmethod
    def leave_input(weight, grad, out):
        """Leave the gradients of layers' inputs, given those of their outputs."""
        torch.bmm(grad, weight, out=out)
