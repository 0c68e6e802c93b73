"""Noise for the inputs of a training.

Every kind has ``begin(generator)``, which returns, for one pass over the rows, a
function from standardised rows to noisy ones, drawn anew for every batch; and,
if its moments are known in closed form, ``moments(low, high)``.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from skae._together import begin_together


class Moments(NamedTuple):
    r"""What noise does to standardised rows of correlation S.

    The noisy rows have mean ``mean`` and covariance
    :math:`c^2 S + \mathrm{diag}(d)`, and covariance :math:`c S` with the
    clean ones: c is ``kept``, d is ``own``.
    """

    kept: float
    own: np.ndarray
    mean: np.ndarray


@dataclass(frozen=True)
class Jitter:
    """Gaussian noise that regularises; cheap, as its numbers are used several times an epoch.

    Each batch takes a random section of one long draw.

    Parameters
    ----------
    level : float
        Standard deviation, in units of each column's own.
    """

    level: float

    by_places = True  # can be done to some rows of a batch
    DRAWS = 4  # numbers drawn in an epoch, in batches
    STARTS = 16  # places that are drawn together

    def begin(self, generator):
        """Return what adds noise to the batches of an epoch.

        Given their places and the batch's number of rows, to some rows of one.
        """
        pool, starts = None, []

        def add(x, places=None, n_rows=None):
            nonlocal pool, starts
            shape = x.shape if n_rows is None else (n_rows, *x.shape[1:])
            n_cells = math.prod(shape)
            if pool is None or pool.shape[0] < n_cells:
                pool = torch.randn(self.DRAWS * n_cells, generator=generator, dtype=x.dtype)
                pool = pool.mul_(self.level).to(x.device)
            starts = starts or torch.rand(self.STARTS, generator=generator, dtype=x.dtype).tolist()
            start = int(starts.pop() * (pool.shape[0] - n_cells + 1))
            noise = pool[start : start + n_cells].view(shape)
            return x + (noise if places is None else noise[places])

        return add

    @classmethod
    def begin_together(cls, noises, generator):
        """Return the same for several nets' batches, each from its own place of the draw."""
        levels = torch.tensor([noise.level for noise in noises], dtype=torch.float32)
        levels, pool = levels[:, None, None], None

        def add(x):
            nonlocal pool, levels
            n_nets, n_cells = len(x), x[0].numel()
            if pool is None or len(pool) < n_cells:
                pool = torch.randn(cls.DRAWS * n_cells, generator=generator, dtype=x.dtype)
                pool, levels = pool.to(x.device), levels.to(x.device)
            places = pool.unfold(0, n_cells, 1)
            starts = torch.randint(len(places), (n_nets,), generator=generator)
            return torch.addcmul(x, places[starts].view(x.shape), levels)

        return add


@dataclass(frozen=True)
class GaussianNoise:
    """Independent Gaussian noise; ``level`` is in units of each column's standard deviation."""

    level: float

    def begin(self, generator):
        """Return what adds noise to a batch."""

        def add(x):
            noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
            return noise.mul_(self.level).to(x.device).add_(x)

        return add

    def moments(self, low, high):
        """Return the `Moments`."""
        return Moments(1.0, np.full(len(low), self.level**2), np.zeros(len(low)))


@dataclass(frozen=True)
class MaskingNoise:
    """A share ``level`` of the cells becomes the column's mean.

    ``owner`` says to which cell of a table each column belongs.
    """

    level: float
    owner: np.ndarray | None = field(default=None, repr=False)

    def begin(self, generator):
        """Return what masks cells of a batch."""
        return lambda x: x.masked_fill(_cells(x, self.level, generator, self.owner), 0.0)

    def moments(self, low, high):
        """Return the `Moments`."""
        kept = 1 - self.level
        return Moments(kept, np.full(len(low), kept * self.level), np.zeros(len(low)))


@dataclass(frozen=True)
class SaltAndPepperNoise:
    """A share ``level`` of the cells becomes the column's minimum or maximum.

    ``low`` and ``high`` are those of the standardised training rows.
    """

    level: float
    low: np.ndarray = field(repr=False)
    high: np.ndarray = field(repr=False)

    def begin(self, generator):
        """Return what corrupts cells of a batch."""

        def spoil(x):
            low, high = (
                torch.as_tensor(v, dtype=x.dtype, device=x.device) for v in (self.low, self.high)
            )
            extremes = torch.where(_cells(x, 0.5, generator), low, high)
            return torch.where(_cells(x, self.level, generator), extremes, x)

        return spoil

    def moments(self, low, high):
        """Return the `Moments`."""
        kept, mean = 1 - self.level, self.level * (low + high) / 2
        second = kept + self.level * (low**2 + high**2) / 2
        return Moments(kept, second - mean**2 - kept**2, mean)


@dataclass(frozen=True)
class SwapNoise:
    """A share ``level`` of the cells takes the value of the same column in another row.

    ``owner`` says to which cell of a table each column belongs.
    """

    level: float
    owner: np.ndarray | None = field(default=None, repr=False)

    def begin(self, generator):
        """Return what swaps cells of a batch."""

        def swap(x):
            shape = _shape(x, self.owner)
            shift = torch.randint(1, max(2, len(x)), shape, generator=generator)
            shift = _spread(shift, self.owner)
            other = (torch.arange(len(x))[:, None] + shift) % len(x)
            hit = _cells(x, self.level, generator, self.owner)
            return torch.where(hit, x.gather(0, other.to(x.device)), x)

        return swap

    def moments(self, low, high):
        """Return the `Moments`."""
        kept = 1 - self.level
        return Moments(kept, np.full(len(low), 1 - kept**2), np.zeros(len(low)))


@dataclass(frozen=True)
class Hiding:
    """Cells of a table become missing: each with probability ``share``.

    Parameters
    ----------
    share : float
    owner : ndarray of shape (width,)
        The cell that each column of the one-hot rows belongs to.
    noise : object or None
        Noise of the cells that stay.
    """

    share: float
    owner: np.ndarray = field(repr=False)
    noise: object = None

    @property
    def by_places(self):
        """Whether it can be done to some rows of a batch."""
        return self.noise is None or getattr(self.noise, "by_places", False)

    def begin(self, generator):
        """Return what hides cells of a batch.

        Given their places and the batch's number of rows, of some rows of one.
        """
        corrupt = self.noise.begin(generator) if self.noise else None

        def hide(x, *of_batch):
            hidden = _cells(x, self.share, generator, self.owner, *of_batch)
            return (corrupt(x, *of_batch) if corrupt else x).masked_fill(hidden, torch.nan)

        return hide


@dataclass(frozen=True)
class Draws:
    """Puts standard normal numbers for the code beside the rows.

    Parameters
    ----------
    n_components : int
    n_draws : int or None
        Draws for each held-out row; None, in training, for a single one without a dimension of its own;
        0 for one that is zero, the mean of the code.
    noise : object or None
        Noise of the rows themselves.
    """

    n_components: int
    n_draws: int | None = None
    noise: object = None

    def begin(self, generator):
        """Return what makes pairs (rows, draws) of the batches of a pass."""
        return self._pairs(self.noise and self.noise.begin(generator), generator)

    @classmethod
    def begin_together(cls, kinds, generator):
        """Return the same for several nets' batches."""
        corrupt = begin_together([draws.noise for draws in kinds], generator)
        return kinds[0]._pairs(corrupt, generator)

    def _pairs(self, corrupt, generator):
        between = () if self.n_draws is None else (self.n_draws or 1,)

        def pair(x):
            shape = (*x.shape[:-1], *between, self.n_components)
            draws = torch.randn(shape, generator=generator, dtype=x.dtype).to(x.device)
            draws = draws.zero_() if self.n_draws == 0 else draws
            return corrupt(x) if corrupt else x, draws

        return pair


@dataclass(frozen=True)
class Views:
    """Makes two noisy versions of every row.

    Parameters
    ----------
    noise : object
        Draws both.
    """

    noise: object

    def begin(self, generator):
        """Return what makes pairs of the batches of a pass."""
        corrupt = self.noise.begin(generator)
        return lambda x: (corrupt(x), corrupt(x))


@dataclass(frozen=True)
class Sparing:
    """Leaves the last columns, labels, as they are.

    Parameters
    ----------
    noise : object
        Noise of rows with labels beside them.
    n_labels : int
    """

    noise: object
    n_labels: int

    def begin(self, generator):
        """Return what is done to a batch."""
        corrupt = self.noise.begin(generator)

        def spare(x):
            n_features = x.shape[1] - self.n_labels
            return torch.cat([corrupt(x)[:, :n_features], x[:, n_features:]], dim=1)

        return spare


@dataclass(frozen=True)
class Leading:
    """Inputs from the first columns of rows with labels beside them.

    Parameters
    ----------
    noise : object
        Noise of these columns.
    n_features : int
    """

    noise: object
    n_features: int

    def begin(self, generator):
        """Return what makes the inputs of a batch."""
        return self._of_rows(self.noise.begin(generator))

    @classmethod
    def begin_together(cls, kinds, generator):
        """Return the same for several nets' batches."""
        return kinds[0]._of_rows(begin_together([kind.noise for kind in kinds], generator))

    def _of_rows(self, corrupt):
        return lambda x: corrupt(x[..., : self.n_features])


@dataclass(frozen=True)
class OwnNoise:
    """A user's noise: ``function(tensor, generator) -> tensor``."""

    function: object

    def begin(self, generator):
        """Return what the user's function does to a batch."""

        def corrupt(x):
            missing = x.isnan()
            with torch.inference_mode(False):  # it may take gradients
                noisy = self.function(x.nan_to_num(nan=0.0).cpu().clone(), generator)
            if not isinstance(noisy, torch.Tensor) or noisy.shape != x.shape:
                raise ValueError(
                    f"noise={self.function!r} must return a tensor of shape {tuple(x.shape)}, "
                    f"got {noisy.shape if hasattr(noisy, 'shape') else noisy!r}."
                )
            noisy = noisy.detach().to(x)
            if not noisy.isfinite().all():
                raise ValueError(f"noise={self.function!r} gave values that are not finite.")
            return noisy.masked_fill(missing, torch.nan)

        return corrupt


NOISES = {
    "gaussian": GaussianNoise,
    "masking": MaskingNoise,
    "salt_and_pepper": SaltAndPepperNoise,
    "swap": SwapNoise,
}


def _cells(x, share, generator, owner=None, places=None, n_rows=None):
    """Return which cells are hit: each with probability ``share``.

    Of rows at some places of a batch: it is drawn for the whole of it.
    """
    shape = _shape(x, owner)
    shape = shape if places is None else (n_rows, *shape[1:])
    draws = torch.rand(shape, generator=generator, dtype=x.dtype)
    draws = draws if places is None else draws[places]
    return _spread(draws < share, owner).to(x.device)


def _shape(x, owner):
    """Return the number of rows and of cells in a row."""
    return x.shape if owner is None else (len(x), int(owner.max(initial=-1)) + 1)


def _spread(cells, owner):
    """Return values of cells for all columns that belong to them."""
    return cells if owner is None else cells[:, torch.from_numpy(owner)]
