"""Ordered codes: in training each row keeps a prefix of its code, so that all prefixes decode well.

O. Rippel, M. Gelbart, R. Adams. Learning ordered representations with nested dropout. ICML 2014.
https://proceedings.mlr.press/v32/rippel14.html
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

WHOLE = 0.5  # share of the rows that keep all of their code
JUDGED = 8  # lengths at which held-out rows are judged; all of them, where there are no more


@dataclass(frozen=True)
class Cuts:
    """How much of its code a row keeps: all of it, or a prefix, of any length alike."""

    n_components: int

    @cached_property
    def shares(self):
        """Probability of each length: ndarray of shape (n_components,)."""
        shares = np.full(self.n_components, (1 - WHOLE) / self.n_components)
        shares[-1] += WHOLE
        return shares

    @cached_property
    def borders(self):
        """Where in [0, 1] the next length begins."""
        return torch.from_numpy(np.cumsum(self.shares[:-1])).float()

    def drawn(self, n_places, n_rows, start):
        """Return the masks of a batch; of several nets ``n_rows`` and ``start`` are (n_nets, 1).

        The lengths of the first ``n_rows`` are as even as they can be, from one
        random number in [0, 1): rows are shuffled anyway, and the gradient
        varies less. What follows is void.
        """
        even = (torch.arange(n_places) + start) / n_rows
        return self.masks(torch.searchsorted(self.borders, even, right=True) + 1)

    def before(self, corruption):
        """Return a corruption that also draws what each row keeps of its code."""
        return Cutting(self, corruption)

    def masks(self, lengths):
        """Return 1 for what is kept and 0 for what is not: (*lengths.shape, n_components)."""
        places = torch.arange(1, self.n_components + 1, device=lengths.device)
        return (places <= lengths[..., None]).float()

    @cached_property
    def judged(self):
        """Lengths at which held-out rows are judged, and weights: each stands for a group."""
        cut = np.arange(1, self.n_components)
        groups = [group for group in np.array_split(cut, JUDGED - 1) if len(group)]
        lengths = [int(group[len(group) // 2]) for group in groups]
        weights = [float(self.shares[group - 1].sum()) for group in groups]
        return [*lengths, self.n_components], [*weights, float(self.shares[-1])]

    def judged_masks(self, device):
        """Yield the mask of each length at which held-out rows are judged, and its weight."""
        lengths, weights = self.judged
        yield from zip(self.masks(torch.tensor(lengths, device=device)), weights, strict=True)


@dataclass(frozen=True)
class Cutting:
    """A corruption, and with it the masks of the code."""

    cuts: Cuts
    corruption: object

    def begin(self, generator):
        """Return what makes (inputs, masks) from the targets of a batch."""
        corrupt = self.corruption and self.corruption.begin(generator)

        def cut(x):
            masks = self.cuts.drawn(len(x), len(x), torch.rand((), generator=generator))
            return corrupt(x) if corrupt else x, masks.to(x.device)

        return cut


class PrefixShares:
    """The share of variance that prefixes of the code, of some lengths or all, explain, over rows seen in parts."""

    def __init__(self, n_components, lengths=None):
        self.cuts = Cuts(n_components)
        self.lengths = range(1, n_components + 1) if lengths is None else lengths
        self.errors = np.zeros(len(self.lengths))
        self.totals = []

    @torch.no_grad()
    def add(self, reconstruct, batches, weights, error):
        """Take rows in; those of weight zero do not count.

        ``reconstruct(inputs, mask)`` is what is made from a part of the code; the batches
        (inputs, (target, weight)) come in the order of ``weights``.
        """
        place = 0
        for inputs, (target, _) in batches:
            weight = weights[place : place + len(target)]
            place += len(target)
            counts, device = weight > 0, target.device
            target, weight = target[torch.from_numpy(counts).to(device)], weight[counts]
            self.totals.append(error.total(target, weight))
            for i, length in enumerate(self.lengths):
                mask = self.cuts.masks(torch.tensor([length], device=device))
                rows = reconstruct(inputs, mask)[torch.from_numpy(counts).to(device)]
                self.errors[i] += weight @ error(rows, target)

    def of_all(self, reduce):
        """Take in what other processes saw of the same rows; return it."""
        totals = (sum(part) for part in zip(*self.totals, strict=True))
        self.errors, *totals = reduce.sum((self.errors, *totals))
        self.totals = [totals]
        return self

    @property
    def shares(self):
        """Explained shares, about the mean of the rows: ndarray of shape (n_components,)."""
        weight, sums, squares = (sum(part) for part in zip(*self.totals, strict=True))
        total = squares - np.sum(sums**2) / weight
        return 1 - self.errors / total if total > 0 else np.zeros(len(self.errors))


@dataclass(frozen=True)
class ErrorOfNumbers:
    """Squared error of rows of numbers, and of their mean."""

    column_weights: np.ndarray

    def __call__(self, rows, target):
        target = _array(target)[:, : len(self.column_weights)]
        return (_array(rows) - target) ** 2 @ self.column_weights

    def total(self, target, weight):
        """Return weight, weighted sums and sum of weighted squares."""
        root = np.sqrt(self.column_weights)
        target = _array(target)[:, : len(root)] * root
        return weight.sum(), weight @ target, weight @ target**2 @ np.ones(len(root))


@dataclass(frozen=True)
class ErrorOfCells:
    """Error of a table's cells by a `CellError`, and of their columns' means or level shares."""

    term: object

    def __call__(self, rows, target):
        target = target[:, : self.term.cells.width]
        return _array(self.term.cells.errors(rows, target) @ self.term.weights)

    def total(self, target, weight):
        """Return weight, nothing, and the error of the training rows' baseline."""
        baseline = torch.zeros_like(target[:, : self.term.cells.width])
        level = self.term.shares.to(target).clamp_min(torch.finfo(target.dtype).tiny).log()
        baseline[:, self.term.cells.n_numbers :] = level - self.term.cells.level
        return weight.sum(), np.zeros(1), weight @ self(baseline, target)


def _array(tensor):
    return tensor.double().cpu().numpy()
