"""What the columns of a coded table are, and where each stands in what a network sees."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

UNSEEN = 0.5  # added to the code after the kept levels': a level that fit did not see


@dataclass(frozen=True)
class Blocks:
    r"""The columns of a table: numbers stand alone, each level of a category has its own place.

    A network sees the numbers first, then the levels, one column each: 1
    where a cell holds the level and 0 elsewhere, times its metric. That of
    factor analysis of mixed data is :math:`1 / \sqrt{p_l}`, with the level's
    share of the rows (Pages, Multiple factor analysis by example using R,
    2014, DOI 10.1201/b17700): PCA of such columns counts no kind more than
    another.

    Parameters
    ----------
    n_levels : tuple of int
        Levels of each column of the table; None for a number.
    metric : ndarray of shape (width,)
        What the columns are multiplied by.
    flagged : bool
        Whether the network sees which cells are missing.
    """

    n_levels: tuple
    metric: np.ndarray
    flagged: bool = False

    def check(self, n_columns):
        """Refuse, with a ValueError, what cannot be the blocks of a table."""
        levels, metric = self.n_levels, self.metric
        good = (
            isinstance(levels, tuple)
            and len(levels) == n_columns
            and all(n is None or (type(n) is int and 0 <= n <= metric.size) for n in levels)
            and isinstance(metric, np.ndarray)
            and metric.shape == (sum(1 if n is None else n for n in levels),)
            and metric.dtype == np.float64
            and (metric > 0).all()
            and np.isfinite(metric).all()
            and type(self.flagged) is bool
        )
        if not good:
            raise ValueError(f"blocks of a table of {n_columns} columns cannot be these")

    def state(self):
        """Return arrays and builtins, by the names of the parameters."""
        return {"n_levels": self.n_levels, "metric": self.metric, "flagged": self.flagged}

    @property
    def n_columns(self):
        return len(self.n_levels)

    @cached_property
    def numbers(self):
        """Places of the numbers in the table."""
        return np.array([i for i, n in enumerate(self.n_levels) if n is None], dtype=int)

    @cached_property
    def categories(self):
        """Places of the categories in the table; those without a level are left out."""
        return np.array([i for i, n in enumerate(self.n_levels) if n], dtype=int)

    @cached_property
    def sizes(self):
        """Number of levels of each category."""
        return np.array([self.n_levels[i] for i in self.categories], dtype=int)

    @cached_property
    def starts(self):
        """Where the levels of each category begin in the wide matrix."""
        return len(self.numbers) + np.cumsum([0, *self.sizes])[:-1].astype(int)

    @cached_property
    def owner(self):
        """Place in the table of each column of the wide matrix."""
        return np.concatenate([self.numbers, np.repeat(self.categories, self.sizes)])

    @cached_property
    def first(self):
        """A column of the wide matrix for each cell that can be present: numbers, then categories."""
        return np.concatenate([np.arange(len(self.numbers)), self.starts]).astype(int)

    @property
    def width(self):
        """Number of columns of the wide matrix."""
        return len(self.metric)

    @property
    def n_inputs(self):
        """Number of inputs of a network."""
        return self.width + (len(self.first) if self.flagged else 0)

    def unseen(self, coded):
        """Return which cells of the categories hold a level that fit did not see."""
        return coded[:, self.categories] % 1 == UNSEEN

    def present(self, coded):
        """Return which rows have a cell that is present, in a column that is used."""
        return ~np.isnan(coded[:, np.concatenate([self.numbers, self.categories])]).all(axis=1)

    def widen(self, coded):
        """Return the wide matrix of coded rows, NaN where a cell is missing."""
        n_numbers = len(self.numbers)
        wide = np.zeros((len(coded), self.width), dtype=coded.dtype)
        wide[:, :n_numbers] = coded[:, self.numbers]
        every = np.arange(len(coded))
        for column, start, size in zip(self.categories, self.starts, self.sizes, strict=True):
            codes = coded[:, column]
            present = codes < size  # neither missing nor unseen, where no code is shared
            wide[every[present], start + codes[present].astype(int)] = 1.0
            wide[~present, start : start + size] = np.nan
        wide *= self.metric
        return wide
