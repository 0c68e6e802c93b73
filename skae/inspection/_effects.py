"""Accumulated local effects of a component, and the kinds of their curves."""

import numpy as np

MOST_BINS, FEWEST_ROWS = 20, 5  # bins of a curve, and rows in each
TOLERANCE = 0.05  # of a curve's range, or of its way up and down
LEAST_RANGE = 1e-6  # in deviations of the column: smaller is rounding


def local_effects(code, component):
    """Return the edges of bins, and the accumulated local effects of a component there.

    Between the edges of its bin a component moves every row, which keeps its
    other components; the mean differences of the outputs are summed from bin to bin
    (Apley & Zhu, 2020). The curves, (n_bins + 1, n_outputs), begin at zero.
    """
    values = code.values[:, component]
    edges = _edges(values)
    place = _bins(edges, values)
    low, high = code.values.copy(), code.values.copy()
    low[:, component] = edges[place]
    high[:, component] = edges[np.minimum(place + 1, len(edges) - 1)]
    differences = code.decode(high) - code.decode(low)
    steps = [differences[place == b].mean(axis=0) for b in range(len(edges) - 1)]
    steps = np.reshape(steps, (-1, differences.shape[1]))
    return edges, _sums(steps)


def _edges(values):
    """Return the edges of bins of about as many values; none is empty, however many are equal."""
    n_bins = int(np.clip(len(values) // FEWEST_ROWS, 1, MOST_BINS))
    edges = np.unique(np.quantile(values, np.linspace(0, 1, n_bins + 1)))
    ends = np.append(_bins(edges, values) + 1, 0)
    return edges[np.unique(np.minimum(ends, len(edges) - 1))]


def _bins(edges, values):
    return np.clip(np.searchsorted(edges, values) - 1, 0, max(len(edges) - 2, 0))


def kinds_of_curves(edges, curves, unit=1.0):
    """Return for each curve "linear", "monotone", "one turn" or "other".

    Linear: nowhere further from a straight line (least squares) than 5 % of the
    curve's range; so is a curve that does not move, or far less than its ``unit``. Monotone: the way
    against its main direction is at most 5 % of the whole way up and down. One turn: so are
    both parts of a curve that rises, then falls, or falls, then rises.
    """
    steps = np.diff(curves, axis=0)
    up, down = (_sums(np.maximum(way, 0)) for way in (steps, -steps))
    bound = TOLERANCE * (up[-1] + down[-1])
    against = np.minimum(down + up[-1] - up, up + down[-1] - down)  # turning at each point
    is_monotone = np.minimum(against[0], against[-1]) <= bound
    return np.select(
        [_are_straight(edges, curves, unit), is_monotone, against.min(axis=0) <= bound],
        ["linear", "monotone", "one turn"],
        "other",
    )


def _are_straight(edges, curves, unit):
    largest = np.ptp(curves, axis=0)
    line = np.vander((edges - edges.mean()) / (np.ptp(edges) or 1.0), 2)
    off = np.abs(curves - line @ np.linalg.lstsq(line, curves, rcond=None)[0]).max(axis=0)
    return (off <= TOLERANCE * largest) | (largest <= LEAST_RANGE * unit)


def _sums(steps):
    return np.vstack([np.zeros(steps.shape[1]), np.cumsum(steps, axis=0)])
