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
    """How much of its code a row keeps: all of it, or a prefix, of any length alike.

    Parameters
    ----------
    n_components : int
    whole : float
        Share of the rows that keep all, beyond those whose length is drawn.
    shortest : int
        The least length that is drawn.
    """

    n_components: int
    whole: float = WHOLE
    shortest: int = 1

    @cached_property
    def shares(self):
        """Probability of each length: ndarray of shape (n_components,)."""
        shares = np.zeros(self.n_components)
        shares[self.shortest - 1 :] = (1 - self.whole) / (self.n_components - self.shortest + 1)
        shares[-1] += self.whole
        return shares

    def before(self, corruption):
        """Return a corruption that also draws what each row keeps of its code."""
        return Cutting(self, corruption)

    def masks(self, lengths):
        """Return 1 for what is kept and 0 for what is not: (len(lengths), n_components)."""
        places = torch.arange(1, self.n_components + 1, device=lengths.device)
        return (places <= lengths[:, None]).float()

    @cached_property
    def judged(self):
        """Lengths at which held-out rows are judged, and weights: each stands for a group."""
        cut = np.arange(self.shortest, self.n_components)
        groups = [group for group in np.array_split(cut, JUDGED - 1) if len(group)]
        lengths = [int(group[len(group) // 2]) for group in groups]
        weights = [float(self.shares[group - 1].sum()) for group in groups]
        return [*lengths, self.n_components], [*weights, float(self.shares[-1])]


@dataclass(frozen=True)
class Cutting:
    """A corruption, and with it the masks of the code.

    Within a batch the lengths are as even as they can be, from one random
    number: rows are shuffled anyway, and the gradient varies less.

    Parameters
    ----------
    cuts : Cuts
    corruption : object or None
    """

    cuts: Cuts
    corruption: object

    def begin(self, generator):
        """Return what makes (inputs, masks) from the targets of a batch."""
        corrupt = self.corruption and self.corruption.begin(generator)
        borders = torch.from_numpy(np.cumsum(self.cuts.shares[:-1])).float()

        def cut(x):
            even = (torch.arange(len(x)) + torch.rand((), generator=generator)) / len(x)
            lengths = torch.searchsorted(borders, even, right=True) + 1
            return corrupt(x) if corrupt else x, self.cuts.masks(lengths).to(x.device)

        return cut


class PrefixShares:
    """The share of variance that each prefix of the code explains, over rows seen in parts.

    Parameters
    ----------
    n_components : int
    """

    def __init__(self, n_components):
        self.cuts = Cuts(n_components)
        self.errors = np.zeros(n_components)
        self.weight = self.sums = self.squares = 0.0

    @torch.no_grad()
    def add(self, reconstruct, batches, weights, column_weights):
        """Take rows in; those of weight zero do not count.

        Parameters
        ----------
        reconstruct : callable
            ``reconstruct(inputs, mask)`` is what is made from a part of the code.
        batches : iterable of (inputs, (target, weight))
            In the order of ``weights``.
        weights : ndarray of shape (n_rows,)
        column_weights : ndarray of shape (n_features,)
        """
        place, root = 0, np.sqrt(column_weights)
        for inputs, (target, _) in batches:
            weight = weights[place : place + len(target)]
            place += len(target)
            counts, device = weight > 0, target.device
            target, weight = _array(target)[counts], weight[counts]
            self.weight += weight.sum()
            self.sums = self.sums + weight @ (target * root)
            self.squares += weight @ (target * root) ** 2 @ np.ones(len(root))
            for i in range(len(self.errors)):
                mask = self.cuts.masks(torch.tensor([i + 1], device=device))
                rest = _array(reconstruct(inputs, mask))[counts] - target
                self.errors[i] += weight @ rest**2 @ column_weights

    @property
    def shares(self):
        """Explained shares, about the mean of the rows: ndarray of shape (n_components,)."""
        total = self.squares - np.sum(self.sums**2) / self.weight
        return 1 - self.errors / total if total > 0 else np.zeros(len(self.errors))


def _array(tensor):
    return tensor.double().cpu().numpy()
