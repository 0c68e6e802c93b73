"""Cells of a coded table in torch: missing cells on the way in, errors and values on the way out."""

import math
from copy import deepcopy

import numpy as np
import torch
from torch import nn

FACTORS = "loadings", "weighted", "pairs"  # of a factor analysis
BUCKET = 4  # categories whose numbers of levels differ by less than this factor go together


class Missing(nn.Module):
    r"""Put what is expected in place of missing cells, and add inputs that say where they are.

    Rows x are those of a factor analysis, standardised, with loadings L and
    noise precisions p. Of the present cells o of a row, and the missing ones m,

    .. math:: \hat x_m = L_m (I + L_o^\top P_o L_o)^{-1} L_o^\top P_o x_o

    which is the mean of the missing cells given the others. Without factors
    that is zero, the mean of the column. The last ``n_labels`` columns of a row, labels, are there: what
    they add to the others is taken off before, and added again.
    """

    def __init__(self, blocks, n_labels=0):
        super().__init__()
        first = torch.from_numpy(blocks.first) if blocks.flagged else None
        self.register_buffer("first", first, persistent=False)
        none = factors(np.zeros((blocks.width, 0)), np.ones(blocks.width))
        for name, part in zip(FACTORS, none, strict=True):
            self.register_buffer(name, part.float(), persistent=False)
        effects = torch.from_numpy(np.zeros((n_labels, blocks.width), dtype=np.float32))
        self.register_buffer("effects", effects if n_labels else None, persistent=False)

    def learn(self, loadings, precision, effects=None):
        """Take over loadings (width, n_factors), noise precisions (width,) and effects of labels."""
        for name, part in zip(FACTORS, factors(loadings, precision), strict=True):
            setattr(self, name, part.to(getattr(self, name)))
        if effects is not None:
            self.effects = torch.from_numpy(effects).to(self.effects)

    @classmethod
    def together(cls, several):
        """Return what fills the rows of several nets, (n_nets, n_samples, width), each by its own."""
        one = deepcopy(several[0])
        for name in FACTORS if one.effects is None else (*FACTORS, "effects"):
            setattr(one, name, torch.stack([getattr(missing, name) for missing in several]))
        return one

    def forward(self, x):
        """Return (..., n_samples, n_inputs) for wide standardised rows."""
        if self.first is None:
            return self.fill(x)
        return torch.cat([self.fill(x), x[..., self.first].isnan().to(x.dtype)], dim=-1)

    def fill(self, x):
        """Return wide standardised rows without missing cells; the factors' dtype is computed in."""
        parts = [getattr(self, name) for name in FACTORS]
        if self.effects is None:
            return completed(x.to(parts[0].dtype), *parts).to(x.dtype)
        rows, labels = x.split([x.shape[-1] - self.effects.shape[-2], self.effects.shape[-2]], -1)
        shift = labels.to(self.effects.dtype) @ self.effects
        filled = completed((rows - shift).to(parts[0].dtype), *parts) + shift
        return torch.cat([filled.to(x.dtype), labels], dim=-1)


def factors(loadings, precision):
    """Return the ``FACTORS`` of a factor analysis as tensors, float64."""
    weighted = precision[:, None] * loadings
    pairs = (weighted[:, :, None] * loadings[:, None, :]).reshape(len(loadings), -1)
    return tuple(map(torch.from_numpy, (loadings, weighted, pairs)))


def completed(x, loadings, weighted, pairs):
    """Return rows with the expected values in missing cells, given the ``FACTORS`` (see `Missing`)."""
    missing, filled = x.isnan(), x.nan_to_num(nan=0.0)
    n_factors = loadings.shape[-1]
    if not (n_factors and missing.any()):
        return filled
    gram = ((~missing).to(x.dtype) @ pairs).unflatten(-1, (n_factors, n_factors))
    gram.diagonal(dim1=-2, dim2=-1).add_(1.0)
    moments = (filled @ weighted).unsqueeze(-1)
    code = torch.cholesky_solve(moments, _cholesky(gram)).squeeze(-1)
    return torch.where(missing, code @ loadings.mT, filled)


def _cholesky(gram):
    """Return Cholesky factors of matrices (..., n, n), each by itself.

    Where rounding leaves one not positive definite, some roundings are added to its
    diagonal; NaN where that is not enough.
    """
    factor, failed = torch.linalg.cholesky_ex(gram)
    if not failed.any():
        return factor
    diagonal = gram.diagonal(dim1=-2, dim2=-1)
    rounding = 10 * torch.finfo(gram.dtype).eps * diagonal.sum(dim=-1)
    diagonal.add_(torch.where(failed > 0, rounding, 0.0).unsqueeze(-1))
    factor, failed = torch.linalg.cholesky_ex(gram)
    return torch.where((failed > 0)[..., None, None], torch.nan, factor)


class Bucket(nn.Module):
    """Where the levels of some categories are, padded to equal length, and which are real."""

    def __init__(self, starts, sizes):
        super().__init__()
        places = np.arange(sizes.max())
        real = places < sizes[:, None]
        index = np.where(real, starts[:, None] + places, starts[:, None])
        self.register_buffer("index", torch.from_numpy(index), persistent=False)
        self.register_buffer("real", torch.from_numpy(real), persistent=False)


class Cells(nn.Module):
    """What the wide rows of a table and their reconstruction say about its cells.

    Cells stand in the order numbers, categories (without those that have no level). A category's
    outputs are logits less ``level``, (width,). Further columns of the rows, labels, are not looked at.
    """

    def __init__(self, blocks, level, dtype=torch.float32):
        super().__init__()
        self.n_numbers = len(blocks.numbers)
        n_categories = len(blocks.categories)
        self.register_buffer("level", torch.as_tensor(level[self.n_numbers :], dtype=dtype))
        starts, sizes = blocks.starts - self.n_numbers, blocks.sizes
        group = np.ceil(np.log(np.maximum(sizes, 1)) / np.log(BUCKET)).astype(int)
        members = [np.flatnonzero(group == number) for number in np.unique(group)]
        self.buckets = nn.ModuleList(Bucket(starts[some], sizes[some]) for some in members)
        spread = np.repeat(np.arange(n_categories), blocks.sizes)
        self.register_buffer("spread", torch.from_numpy(spread))
        members_of = torch.zeros(len(spread), n_categories, dtype=dtype)
        members_of[torch.arange(len(spread)), self.spread] = 1.0
        self.register_buffer("members_of", members_of)
        places = np.concatenate(members or [np.empty(0, int)])
        self.register_buffer("order", torch.from_numpy(np.argsort(places)))
        self.n_cells = self.n_numbers + n_categories

    @property
    def width(self):
        """Number of columns of the wide rows."""
        return self.n_numbers + len(self.spread)

    def at(self, level):
        """Return the same cells with other logits where the outputs are zero."""
        other = deepcopy(self)
        other.level = level
        return other

    def present(self, target):
        """Return which cells are present: bool, of shape (n_samples, n_cells)."""
        firsts = [bucket.index[:, 0] for bucket in self.buckets]
        there = ~target[:, : self.width].isnan()
        if not firsts:
            return there
        levels = there[:, self.n_numbers :][:, torch.cat(firsts)]
        return torch.cat([there[:, : self.n_numbers], levels[:, self.order]], dim=1)

    def squares(self, reconstruction, target):
        """Return squared errors of the numbers, standardised; 0 where missing."""
        n = self.n_numbers
        return (reconstruction[..., :n] - target[..., :n]).nan_to_num(nan=0.0).square()

    def nats(self, reconstruction, target):
        """Return cross-entropies of the categories; 0 where missing."""
        logits, hits = self._centred(reconstruction, target)
        nats = (logits.exp() @ self.members_of).log() - (logits * hits) @ self.members_of
        return nats * (hits @ self.members_of)

    def nats_of_unseen(self, reconstruction, least):
        """Return what a level that fit did not see costs: as the least likely, or ``least``."""
        logits = reconstruction[..., self.n_numbers :] + self.level
        logits = logits - self._extreme(logits, torch.amax)[..., self.spread]
        sums = (logits.exp() @ self.members_of).log()
        return torch.maximum(sums - self._extreme(logits, torch.amin), least)

    def nats_and_slopes(self, reconstruction, target):
        """Return ``nats`` and their derivatives by the logits, (..., n_samples, n_all_levels)."""
        logits, hits = self._centred(reconstruction, target)
        odds = logits.exp()
        sums, there = odds @ self.members_of, hits @ self.members_of
        nats = (sums.log() - (logits * hits) @ self.members_of) * there
        return nats, odds.mul_((there / sums)[..., self.spread]).sub_(hits)

    def _centred(self, reconstruction, target):
        """Return logits less the largest of their category, and 1 where a cell has the level."""
        logits = reconstruction[..., self.n_numbers :] + self.level
        hits = (target[..., self.n_numbers : self.width] > 0).to(logits.dtype)
        largest = self._extreme(logits.detach(), torch.amax)
        return logits - largest[..., self.spread], hits

    def _extreme(self, logits, extreme):
        """Return the largest or smallest logit of each category, by ``torch.amax`` or `amin`."""
        found = [extreme(logits[..., bucket.index], -1) for bucket in self.buckets]
        return torch.cat(found, dim=-1)[..., self.order] if found else logits

    def probabilities(self, reconstruction):
        """Return standardised numbers and the probabilities of all levels, (n_samples, width)."""
        numbers, logits = reconstruction.split(
            [self.n_numbers, self.width - self.n_numbers], dim=-1
        )
        logits = logits + self.level
        odds = (logits - self._extreme(logits, torch.amax)[..., self.spread]).exp()
        return torch.cat([numbers, odds / (odds @ self.members_of)[..., self.spread]], dim=-1)

    def errors(self, reconstruction, target):
        """Return squared errors and cross-entropies, of shape (..., n_samples, n_cells)."""
        both = self.squares(reconstruction, target), self.nats(reconstruction, target)
        return torch.cat(both, dim=-1)

    def values(self, reconstruction):
        """Return standardised numbers and the most probable codes, of shape (n_samples, n_cells)."""
        logits = reconstruction[:, self.n_numbers :] + self.level
        found = []
        for bucket in self.buckets:
            own = logits[:, bucket.index].masked_fill(~bucket.real, -torch.inf)
            found.append(own.softmax(-1).argmax(-1).to(logits.dtype))
        numbers = reconstruction[:, : self.n_numbers]
        return torch.cat([numbers, torch.cat(found, dim=1)[:, self.order]], 1) if found else numbers


class TableLikelihood(nn.Module):
    """Negative log-likelihood of a table's cells that are present, in nats.

    Numbers are normal about their reconstruction, with one noise variance in
    units of the coded table, which is learned, ``exp(outputs.log_noise)`` times ``unit``; categories have the
    probabilities that their logits stand for. ``variances`` are those of the numbers over ``unit``,
    ``log_units`` the logarithms of their units, in those of X: densities are in these.
    """

    def __init__(self, cells, variances, unit, log_units):
        super().__init__()
        self.cells = cells
        self.register_buffer("variances", variances)
        self.register_buffer("constants", 2 * log_units + math.log(2 * math.pi * unit))

    def forward(self, outputs, target):
        """Return nats of each row, of shape (..., n_samples)."""
        variances, constants, ratios = self.variances, self.constants, outputs.log_noise_ratios
        if ratios is not None:
            variances, constants = variances * torch.exp(-ratios), constants + ratios
        squares = self.cells.squares(outputs.reconstruction, target) @ variances
        there = (~target[:, : self.cells.n_numbers].isnan()).to(squares.dtype)
        logarithms = there @ constants + there.sum(1) * outputs.log_noise
        nats = 0.5 * (squares * torch.exp(-outputs.log_noise) + logarithms)
        return nats + self.cells.nats(outputs.reconstruction, target).sum(-1)


class CellError(nn.Module):
    r"""Error of a table's cells in units of their columns' baselines.

    .. math:: \ell_i = \sum_j w_j m_{ij} e_{ij}, \quad
        e = \begin{cases} (x - \hat x)^2 & \text{numbers, standardised} \\
        -\log \hat p_x & \text{categories} \end{cases}

    with :math:`m_{ij}` 1 where a cell is present and 0 elsewhere. Further
    columns of the target, labels, are not looked at. ``shares`` are what the baseline says of all levels,
    one category after the other.
    """

    def __init__(self, cells, weights, shares):
        super().__init__()
        self.cells = cells
        self.register_buffer("weights", weights)
        self.register_buffer("shares", shares)

    def forward(self, outputs, target):
        """Return the error of each row, of shape (n_samples,)."""
        target = target[..., : self.cells.width]
        return self.cells.errors(outputs.reconstruction, target) @ self.weights
