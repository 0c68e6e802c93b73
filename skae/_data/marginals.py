"""Numbers as they are in a table: quantiles, steps and heaps of its columns."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from scipy import sparse

N_LEVELS = 513  # quantiles that are kept of a column
FEWEST_LEVELS = 65
MOST_QUANTILES = 2**20  # of all columns
MOST_DECIMALS = 6
MOST_OF_STREAM = 2**18  # rows that are looked at
ROUNDINGS = 16  # by which a number may be off its grid
UNKNOWN = -1  # decimals of a column without a step


@dataclass(frozen=True, eq=False)
class Marginals:
    r"""What the numbers of a fit look like, column by column, in units of X.

    Attributes
    ----------
    places : ndarray of shape (n_numbers,)
        Of the columns in the table.
    quantiles : ndarray of shape (n_levels, n_numbers)
        At shares 0, 1 / (n_levels - 1), ..., 1: cells of the table, float64.
    step, decimals : ndarray of shape (n_numbers,)
        Cells are the least one plus whole steps, decimal numbers with so many
        places; 0 and -1 where there is no step.
    listed : ndarray of bool, shape (n_numbers,)
        Whether the cells repeat few values, and no others are drawn.
    zeros : ndarray of shape (n_numbers,)
        Share of the cells that are zero.
    weight : float
        Of the rows.
    """

    places: np.ndarray
    quantiles: np.ndarray
    step: np.ndarray
    decimals: np.ndarray
    listed: np.ndarray
    zeros: np.ndarray
    weight: float

    @classmethod
    def learn(cls, rows, schema, before=None):
        """Return those of `Rows`, and of rows ``before``; None for too many columns."""
        places = np.arange(schema.n_features) if schema.blocks is None else schema.blocks.numbers
        n_levels = min(N_LEVELS, MOST_QUANTILES // max(1, len(places)))
        if n_levels < FEWEST_LEVELS:
            return None
        n_repeated, rows = rows.n_repeated, rows.in_memory(MOST_OF_STREAM)
        columns, dtype = _columns(rows, places), rows.dtype
        weight = None if rows.all_weight is None else rows.all_weight[rows.index]
        found = [
            _learned(schema.in_units(place, cells), weight, n_levels, np.finfo(dtype).eps)
            for place, cells in zip(places, columns, strict=True)
        ]
        parts = (np.array(part) for part in zip(*found, strict=True))
        none = np.empty(0)
        nothing = np.empty((0, n_levels)), none, none, none.astype(bool), none
        quantiles, *others = parts if found else nothing
        now = cls(places, quantiles.T, *others, float(n_repeated))
        return now if before is None else now.with_those(before)

    def with_those(self, before):
        """Return the marginals of these rows and of earlier ones."""
        share = before.weight / (before.weight + self.weight)
        n = len(self.quantiles)
        weight = np.repeat([share, 1 - share], n)
        pairs = zip(before.quantiles.T, self.quantiles.T, strict=True)
        quantiles = [_quantiles(np.concatenate(pair), weight, n) for pair in pairs]
        known = (before.decimals >= 0) & (self.decimals >= 0)
        decimals = np.where(known, np.maximum(before.decimals, self.decimals), UNKNOWN)
        unit = 10.0 ** np.maximum(decimals, 0)
        apart = before.step, self.step, np.abs(before.quantiles[0] - self.quantiles[0])
        steps = [np.rint(np.where(known, part, 0) * unit).astype(np.int64) for part in apart]
        step = np.gcd.reduce(steps) / unit
        zeros = share * before.zeros + (1 - share) * self.zeros
        listed = before.listed & self.listed
        weight = before.weight + self.weight
        places = self.places, np.array(quantiles).reshape(-1, n).T
        return Marginals(*places, step, decimals, listed, zeros, weight)

    # use --------------------------------------------------------------------------------------

    @property
    def shares(self):
        """Shares of the cells below the quantiles."""
        return np.linspace(0, 1, len(self.quantiles))

    def cells(self, number, share):
        """Return the cells of a column below which such shares of its cells are."""
        known = self.quantiles[:, number]
        at = share * (len(known) - 1)
        below = np.minimum(at.astype(int), len(known) - 2)
        low, high, way = known[below], known[below + 1], at - below
        whole = self.listed[number] | self._in_heap(number)[below]
        found = np.where(whole, np.where(way < 0.5, low, high), low + way * (high - low))
        return self.on_grid(number, found)

    def _in_heap(self, number):
        """Return between which quantiles no cells are drawn: one of the two is a value that repeats."""
        same = np.diff(self.quantiles[:, number]) == 0
        return same | np.r_[False, same[:-1]] | np.r_[same[1:], False]

    def on_grid(self, number, cells):
        """Return the cells that the column may hold and that are nearest to some numbers."""
        known, step = self.quantiles[:, number], self.step[number]
        if step > 0:
            cells = known[0] + np.rint((cells - known[0]) / step) * step
        if self.decimals[number] >= 0:
            cells = np.round(cells, int(self.decimals[number]))
        return np.clip(cells, known[0], known[-1])

    def share_of(self, number, cell):
        """Return the shares of the cells below, and up to, a value: equal where it is one of many."""
        known, half = self.quantiles[:, number], self.step[number] / 2 * (1 - 1e-9)
        first = np.searchsorted(known, cell - half)
        last = np.searchsorted(known, cell + half, "right")
        if first == last:
            return (np.interp(cell, known, self.shares),) * 2
        return tuple(np.clip((np.array([first, last]) - 0.5) / (len(known) - 1), 0, 1))

    def summary(self, names):
        """Return what the columns look like, as a frame."""
        low, high = self.quantiles[[0, -1]]
        kind = np.where(self.decimals > 0, "decimals", "continuous")
        kind = np.where((self.decimals == 0), "whole", kind)
        known = {
            "kind": np.where(low == high, "constant", kind),
            "low": low,
            "high": high,
            "step": np.where(self.step > 0, self.step, np.nan),
            "listed": self.listed,
            "zeros": self.zeros,
        }
        return pd.DataFrame(known, index=pd.Index([names[place] for place in self.places]))

    # state ------------------------------------------------------------------------------------

    def state(self):
        """Return arrays and a float, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def check(self, schema):
        """Refuse, with a ValueError, what cannot have been learned of such columns."""
        every = np.arange(schema.n_features) if schema.blocks is None else schema.blocks.numbers
        n = len(every)
        arrays = [getattr(self, f.name) for f in fields(self)[:-1]]
        shapes = [(n,), np.shape(self.quantiles), *[(n,)] * 4]
        good = (
            all(isinstance(a, np.ndarray) for a in arrays)
            and [a.shape for a in arrays] == shapes
            and [a.dtype.kind for a in arrays] == list("ifffbf")
            and np.array_equal(self.places, every)
            and self.quantiles.ndim == 2
            and len(self.quantiles) >= FEWEST_LEVELS
            and self.quantiles.shape[1] == n
            and all(np.isfinite(a).all() for a in arrays)
            and (np.diff(self.quantiles, axis=0) >= 0).all()
            and (self.step >= 0).all()
            and (np.abs(self.decimals) <= MOST_DECIMALS).all()
            and type(self.weight) is float
            and 0 < self.weight < np.inf
        )
        if not good:
            raise ValueError(f"the marginals of {n} columns of numbers cannot be these")


def steps(rows, schema):
    """Return what the numbers of each column of `Rows` are apart, in units of X: 0 without a grid."""
    places = np.arange(schema.n_features) if schema.blocks is None else schema.blocks.numbers
    rows = rows.in_memory(MOST_OF_STREAM)
    eps, found = np.finfo(rows.dtype).eps, []
    for place, cells in zip(places, _columns(rows, places), strict=True):
        values = np.unique(schema.in_units(place, cells[~np.isnan(cells)]))
        found.append(_grid(values, eps)[0])
    return np.array(found)


def _columns(rows, places):
    """Yield columns of the rows, float64."""
    X = rows.X
    X = X[rows.index].tocsc() if sparse.issparse(X) else X
    for place in places:
        if sparse.issparse(X):
            yield X[:, [place]].toarray().ravel().astype(np.float64)
        else:
            yield X[rows.index, place].astype(np.float64)


def _learned(cells, weight, n_levels, eps):
    """Return quantiles, step, decimals, whether values repeat, and the share of zeros."""
    present = ~np.isnan(cells)
    cells = cells[present]
    weight = np.ones(len(cells)) if weight is None else weight[present]
    values = np.unique(cells)
    step, decimals = _grid(values, eps)
    if decimals >= 0:
        cells = np.round(cells, int(decimals))
    quantiles = _quantiles(cells, weight, n_levels)
    listed = len(values) <= min(n_levels, len(cells) / 2)
    return quantiles, step, decimals, listed, np.average(cells == 0, weights=weight)


def _quantiles(cells, weight, n_levels):
    """Return cells below which equal shares of the weight are: the least one first, the largest last."""
    order = np.argsort(cells, kind="stable")
    below = np.cumsum(weight[order])
    at = np.searchsorted(below, np.linspace(0, 1, n_levels) * below[-1] * (1 - 1e-12))
    return cells[order[np.minimum(at, len(cells) - 1)]]


def _grid(values, eps):
    """Return the largest step, and the decimals, of numbers in their order; 0 and -1 if there is none."""
    largest = np.abs(values).max()
    for decimals in range(MOST_DECIMALS + 1):
        scaled = values * 10.0**decimals
        rounding = ROUNDINGS * eps * largest * 10.0**decimals
        if rounding > 0.01:
            break
        whole = np.rint(scaled)
        if (np.abs(scaled - whole) <= rounding).all():
            steps = np.diff(whole.astype(np.int64))
            step = float(np.gcd.reduce(steps)) / 10.0**decimals if len(steps) else 0.0
            return step, float(decimals)
    return 0.0, float(UNKNOWN)
