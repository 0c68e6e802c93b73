"""What tells drawn rows from real ones: boosted trees, by whose odds some of many draws are chosen."""

from dataclasses import dataclass

import numpy as np
from sklearn import config_context

from skae._model.trees import arrays_of, leaves

N_TREES = 150
RATE = 0.2
LEAVES = 31  # of a tree
DEPTH = 8
FEWEST_IN_LEAF = 20  # rows
MORE = 10.0  # real rows, and draws, that each leaf is taken to have beside its own
MOST_COLUMNS = 32  # that a split looks at
PATIENCE = 30  # trees without a gain on held-out rows, after which there are no more
HELD_OUT = 8  # one of so many rows tells how many trees are kept, and whether any


@dataclass(frozen=True, eq=False)
class Judge:
    r"""A sum of trees: the logarithm of the odds that a row is real, not drawn, of as many of both.

    A classifier that is right has the odds p(x) / q(x) of the real rows' density p and the draws' q. Draws
    that are chosen with probabilities proportional to them have the density p (Grover et al., Bias correction of
    learned generative models using likelihood-free importance weighting, NeurIPS 2019, https://arxiv.org/abs/1906.09531).

    Attributes
    ----------
    feature : ndarray of int, shape (n_trees, n_nodes)
        The column that a node looks at.
    threshold : ndarray of shape (n_trees, n_nodes)
        A row goes right where its cell is above.
    children : ndarray of int, shape (n_trees, n_nodes, 2)
        Nodes to the left and to the right; a leaf's are itself.
    value : ndarray of shape (n_trees, n_nodes)
        What leaves add.
    """

    feature: np.ndarray
    threshold: np.ndarray
    children: np.ndarray
    value: np.ndarray

    def log_odds(self, X):
        trees = zip(self.feature, self.threshold, self.children, self.value, strict=True)
        return sum(value[leaves(X, *tree, DEPTH)] for *tree, value in trees)

    def n_splits(self, n_columns):
        """Return how often each column tells rows apart, (n_columns,)."""
        is_inner = self.children[..., 0] != np.arange(self.children.shape[1])
        return np.bincount(self.feature[is_inner], minlength=n_columns)


def judge_of(real, weight, drawn, rng):
    """Return the arrays of a `Judge`, by name, and its log-odds of rows as a function.

    {} and None where held-out rows do not prove that it knows one from the other.
    ``real`` rows, with weights, and ``drawn`` ones are float32, without missing cells.
    """
    X = np.vstack([real, drawn])
    is_real = np.arange(len(X)) < len(real)
    share = np.append(weight / weight.sum(), np.full(len(drawn), 1 / len(drawn))) / 2
    held_out = rng.random_sample(len(X)) * HELD_OUT < 1
    with config_context(assume_finite=True, skip_parameter_validation=True):
        trees = _boosted(X, is_real, share * len(X), held_out, rng)
    if not trees:
        return {}, None
    arrays = zip(*(arrays_of(tree, 2 * LEAVES) for tree, _ in trees), strict=True)
    known = dict(zip(("feature", "threshold", "children"), map(np.array, arrays), strict=True))
    known["value"] = np.array([value for _, value in trees])

    def log_odds(rows):  # those of the `Judge`, by compiled trees: a tenth of the time
        return sum(value[tree.apply(rows)] for tree, value in trees)

    return known, log_odds


def _boosted(X, is_real, weight, held_out, rng):
    """Return trees and what their nodes add: as many as are best for held-out rows, none without a gain of two standard errors.

    Trees are grown as by Newton's steps of the logistic loss (LogitBoost, Friedman et al. 2000, DOI 10.1214/aos/1016218223).
    A leaf adds a part of the logarithm of its share of the real rows over that of the draws, chosen by the odds
    so far: in the end both have equal shares in every leaf, and so about the same marginals. Thresholds are drawn, and the
    best of all columns taken: many such trees take the time of few.
    """
    rest, sign = np.flatnonzero(~held_out), np.where(is_real, 1.0, -1.0)
    X = np.asfortranarray(X)  # in which trees find columns sooner
    grown_on = np.asfortranarray(X[rest])
    odds, trees, best = np.zeros(len(X)), [], (0.0, 0.0, 0)  # gain, its error, and number of trees
    while len(trees) < min(N_TREES, best[-1] + PATIENCE):
        p = 1 / (1 + np.exp(-odds))
        slope, curvature = weight * (is_real - p), weight * p * (1 - p) + 1e-6
        tree = _grown(grown_on, (slope / curvature)[rest], curvature[rest], rng)
        leaf, chosen = tree.apply(X), np.exp(odds) * weight * ~is_real
        value = _values(leaf[rest], (weight * is_real)[rest], chosen[rest])
        odds += value[leaf]
        trees.append((tree, np.where(np.arange(2 * LEAVES) < tree.node_count, value, 0.0)))
        nats = np.log(2) - np.logaddexp(0, -sign * odds)
        gain, error = _mean(nats[held_out], is_real[held_out], weight[held_out])
        best = max(best, (gain, error, len(trees)))
    gain, error, n_trees = best
    return trees[:n_trees] if gain > 2 * error else []


def _grown(X, steps, weight, rng):
    from sklearn.tree import DecisionTreeRegressor  # takes long to import

    tree = DecisionTreeRegressor(
        splitter="random",
        max_depth=DEPTH,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=FEWEST_IN_LEAF,
        max_features=min(MOST_COLUMNS, X.shape[1]),
        random_state=rng,
    )
    return tree.fit(X, steps, weight, check_input=False).tree_


def _values(leaf, real, chosen):
    """Return what the leaves add, given the leaves and the weights of rows."""
    real, chosen = (
        np.bincount(leaf, part * (real.sum() / part.sum()), 2 * LEAVES) for part in (real, chosen)
    )
    return RATE * np.log((real + MORE) / (chosen + MORE))


def _mean(nats, is_real, weight):
    """Return the mean of real and drawn rows, half each, and its standard error."""
    parts = [(nats[part], weight[part]) for part in (is_real, ~is_real)]
    means = [np.average(x, weights=w) for x, w in parts]
    errors = [
        np.linalg.norm(w * (x - mean)) / w.sum() for (x, w), mean in zip(parts, means, strict=True)
    ]
    return np.mean(means), np.hypot(*errors) / 2
