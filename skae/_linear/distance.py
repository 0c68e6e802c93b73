"""Distances of rows: from a centre, with a shrunk covariance of the rows nearest to it, and from kept rows."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import gen_batches
from sklearn.utils.extmath import randomized_svd

WIDEST = 2000  # columns up to which the covariance is a matrix
MOST_AXES = 200  # of wider ones
LEAST_VARIANCE = 1e-12
PASSES = 4  # power iterations
N_NEAREST = 8
ROUNDING = 1e-12  # of a row's own square: what lies below it in a difference of such squares
BATCH = 512  # rows whose distances from kept ones lie side by side: they fit a cache


@dataclass(frozen=True, eq=False)
class Distance:
    r"""A centre and the symmetric root W of an inverse covariance.

    .. math:: u = W (f - \mu), \quad d^2 = \lVert u \rVert^2, \quad
        W = r I + A^\top (\mathrm{diag}(g) - r I) A

    Attributes
    ----------
    centre : ndarray of shape (n_columns,)
    axes : ndarray of shape (n_axes, n_columns)
        A, orthonormal; all axes up to `WIDEST` columns.
    gains : ndarray of shape (n_axes,)
        g, inverse standard deviations along the axes.
    rest : float
        r, the same in all other directions.
    """

    centre: np.ndarray
    axes: np.ndarray
    gains: np.ndarray
    rest: float

    def whitened(self, rows):
        """Return u of complete rows; the squares of its columns add up to the squared distance."""
        return self._product(rows - self.centre, self.gains, self.rest)

    def squares(self, rows):
        """Return the squared distance of complete rows, shape (n_rows,)."""
        rows = rows - self.centre
        along = rows @ self.axes.T
        squares = (along**2) @ self.gains**2
        if len(self.axes) < rows.shape[1]:
            elsewhere = np.sum(rows**2, axis=1) - np.sum(along**2, axis=1)
            squares += self.rest**2 * np.maximum(elsewhere, 0.0)
        return squares

    def completed(self, rows):
        """Return rows with the values in place of NaN that bring them nearest to the centre.

        Their distance is then that of the columns that are present alone, with
        the covariance of those.
        """
        missing = np.isnan(rows)
        if not missing.any():
            return rows
        rows = np.where(missing, self.centre, rows)
        patterns, which = np.unique(np.packbits(missing, axis=1), axis=0, return_inverse=True)
        which = np.ravel(which)
        order = np.argsort(which, kind="stable")
        ends = np.cumsum(np.bincount(which, minlength=len(patterns)))[:-1]
        for places in np.split(order, ends):
            absent = missing[places[0]]
            if absent.any():
                rows[np.ix_(places, np.flatnonzero(absent))] += self._nearest(rows[places], absent)
        return rows

    def _nearest(self, rows, absent):
        """Return where absent columns lie nearest to the centre, given the others."""
        pulls = self._product(rows - self.centre, self.gains**2, self.rest**2)[:, absent]
        axes, excess = self.axes[:, absent], self.gains**2 - self.rest**2
        if len(axes) >= axes.shape[1]:
            precision = (axes.T * excess) @ axes
            precision[np.diag_indices_from(precision)] += self.rest**2
            return -np.linalg.solve(precision, pulls.T).T
        inner = self.rest**2 * np.eye(len(axes)) + excess[:, None] * (axes @ axes.T)
        along = np.linalg.solve(inner, excess[:, None] * (axes @ pulls.T))
        return (axes.T @ along - pulls.T).T / self.rest**2

    def _product(self, rows, along, elsewhere):
        """Return rows times a matrix with these eigenvalues along the axes, and elsewhere."""
        return elsewhere * rows + ((rows @ self.axes.T) * (along - elsewhere)) @ self.axes


@dataclass(frozen=True, eq=False)
class Neighbours:
    r"""Some rows, and how far others are from the eight that are nearest among them.

    .. math:: N(x) = \frac{1}{8} \sum_{i=1}^{8} \lVert x - x_{(i)} \rVert^2

    over the columns that are present, scaled up to the number of all.

    Attributes
    ----------
    rows : ndarray of shape (n_kept, n_columns)
        Complete and distinct; of fewer than eight, all are neighbours.
    """

    rows: np.ndarray

    @classmethod
    def among(cls, rows, distances, weight, most):
        """Return those of at most ``most`` rows, evenly spread over the order of some distances.

        The mean of a column stands for what is missing.
        """
        order = np.argsort(distances, kind="stable")
        below = np.cumsum(weight[order])
        asked = below[-1] * (np.arange(most) + 0.5) / most
        places = order[np.searchsorted(below, asked * (1 - 1e-12))]
        filled = np.where(np.isnan(rows), means_of_present(rows, weight), rows)
        return cls(np.unique(filled[places], axis=0))

    @property
    def n_nearest(self):
        """Number of rows that N is the mean of."""
        return min(N_NEAREST, len(self.rows))

    def squares(self, rows):
        """Return N of rows, shape (n_rows,); infinite where it is too large for a number."""
        found = np.empty(len(rows))
        for span in gen_batches(len(rows), BATCH):
            between = self._between(rows[span])
            between.partition(self.n_nearest - 1, axis=1)
            found[span] = between[:, : self.n_nearest].mean(axis=1)
        own = np.nansum(rows**2, axis=1)
        found = np.where(found + own > ROUNDING * own, found + own, 0.0)
        found /= np.maximum(np.mean(~np.isnan(rows), axis=1), LEAST_VARIANCE)
        return np.where(np.isinf(own), np.inf, found)

    def parts(self, rows):
        """Return how much each column adds to N, but for its scale; NaN where a cell is missing."""
        parts = np.empty(rows.shape)
        for span in gen_batches(len(rows), BATCH):
            nearest = np.argpartition(self._between(rows[span]), self.n_nearest - 1, axis=1)
            apart = rows[span, None] - self.rows[nearest[:, : self.n_nearest]]
            parts[span] = np.mean(apart**2, axis=1)
        return parts

    def _between(self, rows):
        """Return squared distances from all kept rows less the rows' own squares, (n_rows, n_kept)."""
        present, lengths = ~np.isnan(rows), self.rows**2
        filled = np.where(present, rows, 0.0)
        if present.all():
            present, lengths = present[:, :1], lengths.sum(axis=1, keepdims=True)
        return np.hstack([filled, present]) @ np.hstack([-2 * self.rows, lengths]).T


def robust_distance(rows, weight, share, n_steps, ridge=0.0, random_state=0):
    """Return the `Distance` of the rows that are nearest to their own centre.

    After the distance of all rows, each step takes the nearest rows, a ``share`` of the weight, for
    those that the next one is learned from (the concentration steps of Rousseeuw and
    Van Driessen, 1999, with a shrunk covariance). A value that is missing is NaN. ``ridge`` and
    ``random_state`` are as in `shrunk_distance`.
    """
    filled, kept = np.where(np.isnan(rows), means_of_present(rows, weight), rows), slice(None)
    distance = shrunk_distance(filled, weight, ridge, random_state)
    for _ in range(n_steps):
        filled = distance.completed(rows)
        squares = distance.squares(filled)
        kept = squares <= weighted_quantile(squares, share, weight)
        distance = shrunk_distance(filled[kept], weight[kept], ridge, random_state)
    return distance


def shrunk_distance(rows, weight, ridge=0.0, random_state=0):
    """Return the `Distance` of complete rows: weights count as repetitions.

    The covariance is shrunk towards a multiple of the identity (Ledoit and Wolf,
    2004, DOI 10.1016/S0047-259X(03)00096-4), and has ``ridge`` times the identity added. Above `WIDEST` columns it
    has at most `MOST_AXES` axes, which a random search finds, and one variance in all other directions.
    """
    total, n_columns = weight.sum(), rows.shape[1]
    centre = weight @ rows / total
    centred = rows - centre
    lengths = np.sum(centred**2, axis=1)
    whole = weight @ lengths / total  # trace of the covariance
    if n_columns <= WIDEST:
        variances, axes = np.linalg.eigh((centred.T * (weight / total)) @ centred)
        variances, axes = np.maximum(variances, 0.0), axes.T
        squares = np.sum(variances**2)
    else:
        scaled = centred * np.sqrt(weight / total)[:, None]
        n_axes = min(MOST_AXES, *rows.shape)
        about = {"n_iter": PASSES, "random_state": random_state}
        _, deviations, axes = randomized_svd(scaled, n_axes, **about)
        variances = deviations**2
        left = max(whole - variances.sum(), 0.0)
        squares = np.sum(variances**2) + left**2 / (n_columns - n_axes)
    mean = whole / n_columns
    spread = squares / n_columns - mean**2
    error = (weight @ lengths**2 / total - squares) / (total * n_columns)
    shrinkage = min(max(error / spread, 0.0), 1.0) if spread > 0 else 0.0
    floor = shrinkage * mean + ridge
    gains = 1 / np.sqrt(np.maximum((1 - shrinkage) * variances + floor, LEAST_VARIANCE))
    if n_columns <= WIDEST:
        return Distance(centre, axes, gains, 0.0)
    rest = (1 - shrinkage) * left / (n_columns - n_axes) + floor
    return Distance(centre, axes, gains, float(1 / np.sqrt(max(rest, LEAST_VARIANCE))))


def weighted_quantile(values, share, weight):
    """Return the value up to which a share of the weight lies, weights counted as repetitions.

    Midway to the next one where the share is exact.
    """
    order = np.argsort(values, kind="stable")
    values, below = values[order], np.cumsum(weight[order])
    asked = share * below[-1]
    place = np.searchsorted(below, asked * (1 - 1e-12))
    exact = below[place] <= asked * (1 + 1e-12) and place + 1 < len(values)
    return (values[place] + values[place + 1]) / 2 if exact else values[place]


def means_of_present(rows, weight):
    """Return the means of the columns over what is present; 0 where nothing is."""
    present = ~np.isnan(rows)
    sums = weight @ np.where(present, rows, 0.0)
    counts = weight @ present
    return np.divide(sums, counts, out=np.zeros(rows.shape[1]), where=counts > 0)
