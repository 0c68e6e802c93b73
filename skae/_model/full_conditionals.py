"""Columns that are drawn anew given the others: by trees whose leaves hold cells of training rows."""

from dataclasses import dataclass

import numpy as np

from skae._model.trees import arrays_of, leaves

N_TREES = 5
LEAVES = 1024  # of a tree
DEPTH = 24
FEWEST_IN_LEAF = 5  # rows
N_DONORS = 4  # cells that a leaf keeps
MOST_LOOKED_AT = 32  # columns, by a split
MOST_LEVELS = 64  # of a column that is drawn anew
MOST_TRIED = 32  # columns
MOST_DRAWN_ANEW = 16  # of them
HELD_OUT = 4  # one of so many rows tells which columns they are
PROVING_TREES = 3
PROVING_ROWS = 2000
PROOF = 3.0  # standard errors


@dataclass(frozen=True, eq=False)
class FullConditionals:
    """The distributions of some columns given all others.

    A cell is that of a training row in the same leaf of a tree, as in tables that are synthesised by
    regression trees (Reiter, Using CART to generate partially synthetic public use microdata, Journal of Official
    Statistics 21, 2005); several trees are drawn from at random (Doove et al. 2014, DOI 10.1016/j.csda.2013.10.025).
    One column after the other is a sweep of Gibbs sampling.

    Attributes
    ----------
    columns : ndarray of int, shape (n_drawn_anew,)
        Their places in the table, in the order in which they are drawn: numbers first.
    feature, threshold, children : ndarray of shape (n_drawn_anew, n_trees, n_nodes), children (..., 2)
        As `arrays_of` gives them.
    donors : ndarray of shape (n_drawn_anew, n_trees, n_nodes, n_donors)
        Of a leaf: codes of levels, and numbers in units of X.
    """

    columns: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    children: np.ndarray
    donors: np.ndarray

    def draw(self, number, X, rng):
        """Return a donor for each row, (n_rows,), of the column that is drawn anew as this number."""
        found, own = np.empty(len(X)), rng.randint(len(self.feature[number]), size=len(X))
        trees = zip(
            self.feature[number], self.threshold[number], self.children[number], strict=True
        )
        for place, tree in enumerate(trees):
            rows = np.flatnonzero(own == place)
            of_leaf = self.donors[number, place, leaves(X[rows], *tree, DEPTH)]
            found[rows] = of_leaf[np.arange(len(rows)), rng.randint(N_DONORS, size=len(rows))]
        return found


def full_conditionals_of(real, cells, weight, drawn, n_levels, suspect, rng):
    """Return the arrays of `FullConditionals`, by name; {} where held-out rows prove it of no column.

    Of a column it is proven where trees that were fitted to real rows foretell its held-out
    cells better than trees that were fitted to as many draws, by `PROOF` standard errors: so these have lost
    what it has to do with the other columns.

    Parameters
    ----------
    real : ndarray of shape (n_real, n_columns)
        float32, without missing cells.
    cells : ndarray of shape (n_real, n_columns)
        The same rows: codes of levels, and numbers in units of X.
    weight : ndarray of shape (n_real,)
    drawn : ndarray of shape (n_drawn, n_columns)
    n_levels : ndarray of int, shape (n_columns,)
        0 for a number.
    suspect : ndarray of shape (n_columns,)
        The columns where it is largest are tried, by themselves the first ones; those below 0 are not.
    rng : RandomState
    """
    columns = _proven(real, weight, drawn, n_levels, suspect, rng)
    if not len(columns):
        return {}
    forests = [
        _trees(real, weight, c, _targets(real[:, c], weight, n_levels[c]), N_TREES, rng)
        for c in columns
    ]
    n_nodes = max(tree.node_count for trees in forests for tree in trees)
    nodes = (arrays_of(tree, n_nodes) for trees in forests for tree in trees)
    donors = [
        _donors(tree.apply(real), n_nodes, weight, cells[:, column], rng)
        for column, trees in zip(columns, forests, strict=True)
        for tree in trees
    ]
    feature, threshold, children = map(np.array, zip(*nodes, strict=True))
    known = {
        "feature": feature,
        "threshold": threshold.astype(np.float32),
        "children": children,
        "donors": np.array(donors),
    }
    by_column = {
        name: x.reshape((len(columns), N_TREES, *x.shape[1:])) for name, x in known.items()
    }
    return by_column | {"columns": columns}


def _proven(real, weight, drawn, n_levels, suspect, rng):
    """Return the columns of the clearest proof, numbers first."""
    gains = np.zeros(len(n_levels))
    for column in np.sort(np.argsort(-suspect, kind="stable")[:MOST_TRIED]):
        if suspect[column] >= 0:
            gains[column] = _gain(real, weight, drawn, column, n_levels[column], rng)
    best = np.sort(np.argsort(-gains, kind="stable")[:MOST_DRAWN_ANEW])
    columns = best[gains[best] > PROOF]
    return columns[np.argsort(n_levels[columns] > 0, kind="stable")]


def _gain(real, weight, drawn, column, n_levels, rng):
    """Return by how many standard errors real rows teach more about a column than draws do.

    0 where cells that are drawn anew would be further from what they should be than draws are.
    """
    if np.ptp(real[:, column]) == 0 or n_levels > MOST_LEVELS:
        return 0.0
    targets_of = _targets(real[:, column], weight, n_levels)
    order = rng.permutation(len(real))[:PROVING_ROWS]
    held_out, rest = np.split(order, [len(order) // HELD_OUT])
    rest = rest[: len(drawn)]
    X, truth = real[held_out], targets_of(real[held_out, column])
    losses, distances = [], []
    for rows, of_row in ((drawn[: len(rest)], np.ones(len(rest))), (real[rest], weight[rest])):
        trees = _trees(rows, of_row, column, targets_of, PROVING_TREES, rng)
        found = np.mean([_foretold(tree, X) for tree in trees], axis=0)
        losses.append((found - truth) ** 2)
        anew = (_anew(tree, rows, of_row, column, X, rng) for tree in trees)
        anew = [targets_of(cells) for donors in anew for cells in donors]
        distances.append(np.mean((anew - truth) ** 2, axis=0))
    weight = weight[held_out]
    means = (np.average(x, axis=0, weights=weight) for x in (losses[1], *distances))
    less = _noise_taken(*means)
    if (less.sum() if n_levels else less.min()) <= 0:
        return 0.0
    gain = np.subtract(*losses).sum(axis=1)
    mean = np.average(gain, weights=weight)
    error = np.linalg.norm(weight * (gain - mean)) / weight.sum()
    return mean / max(error, np.finfo(float).tiny)


def _noise_taken(loss, distance_of_draws, distance):
    """Return how much less noise cells have that are drawn anew.

    With s the conditional variance, d that of draws, and h the variance of what cells of a leaf should be, the mean squared
    distances of a donor are 2 s + 2 h and s + d + 2 h, and the loss of some trees' mean is s + h / 2. The noise is s + 2 h, and d.
    """
    h = np.maximum(distance - 2 * loss, 0)
    return distance_of_draws - distance - 2 * h


def _anew(tree, rows, weight, column, X, rng):
    """Return the donors for each row of X, (N_DONORS, n_rows)."""
    donors = _donors(tree.apply(rows), tree.node_count, weight, rows[:, column], rng)
    return donors[tree.apply(X)].T


def _foretold(tree, X):
    """Return what a tree foretells of rows, (n_rows, n_targets)."""
    return tree.predict(X).reshape(len(X), -1)


def _targets(cells, weight, n_levels):
    """Return what makes of cells what trees foretell, (n_rows, n_targets).

    That is which level; of a number its share of the training cells, and itself, both with a variance of about 1.
    """
    if n_levels:
        return lambda found: (found[:, None] == np.arange(n_levels)).astype(float)
    known, place = np.unique(cells, return_inverse=True)
    below = np.r_[0, np.cumsum(np.bincount(place, weight))] / weight.sum()
    mean, deviation = np.average(cells, weights=weight), np.std(cells, dtype=np.float64)

    def of_number(found):
        ends = (below[np.searchsorted(known, found, side)] for side in ("left", "right"))
        return np.column_stack([np.sqrt(3) * sum(ends), (found - mean) / deviation])

    return of_number


def _trees(rows, weight, column, targets_of, n_trees, rng):
    """Return trees that foretell a column from the others."""
    from sklearn.tree import ExtraTreeRegressor  # takes long to import

    others, targets = rows.copy(), targets_of(rows[:, column])
    others[:, column] = 0  # no split looks at what is equal in all rows
    tree = ExtraTreeRegressor(
        max_depth=DEPTH,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=FEWEST_IN_LEAF,
        max_features=min(MOST_LOOKED_AT, rows.shape[1]),
        random_state=rng,
    )
    return [tree.fit(others, targets, weight, check_input=False).tree_ for _ in range(n_trees)]


def _donors(leaf, n_nodes, weight, cells, rng):
    """Return cells of each leaf, (n_nodes, N_DONORS): of different rows, where weights are equal."""
    order = np.argsort(leaf, kind="stable")
    shares = np.bincount(leaf, weight, n_nodes)[:, None]
    part = (np.arange(N_DONORS) + rng.random_sample((n_nodes, 1))) / N_DONORS
    at = np.searchsorted(np.cumsum(weight[order]), np.cumsum(shares)[:, None] - shares * part)
    return np.where(shares > 0, cells[order[at.clip(0, len(cells) - 1)]], 0)
