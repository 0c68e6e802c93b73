"""Fitted decision trees as arrays: files hold them, and no pickle."""

import numpy as np


def arrays_of(tree, n_nodes):
    """Return feature, threshold and children of a fitted tree, with room for ``n_nodes`` nodes.

    Returns
    -------
    feature : ndarray of int16, shape (n_nodes,)
        The column that a node looks at.
    threshold : ndarray of float64, shape (n_nodes,)
        A row goes right where its cell is above.
    children : ndarray of int16, shape (n_nodes, 2)
        Nodes to the left and to the right; a leaf's are itself.
    """
    inner = np.flatnonzero(tree.children_left >= 0)
    feature, threshold = np.zeros(n_nodes, np.int16), np.zeros(n_nodes)
    children = np.repeat(np.arange(n_nodes, dtype=np.int16)[:, None], 2, axis=1)
    feature[inner], threshold[inner] = tree.feature[inner], tree.threshold[inner]
    children[inner] = np.column_stack([tree.children_left, tree.children_right])[inner]
    return feature, threshold, children


def leaves(X, feature, threshold, children, depth):
    """Return the leaf of every row in such a tree, (n_rows,); no leaf is deeper than ``depth``."""
    node, first, cells = np.zeros(len(X), np.intp), np.arange(len(X)) * X.shape[1], X.ravel()
    feature, children = feature.astype(np.intp), children.astype(np.intp).ravel()
    for _ in range(depth):
        is_right = cells.take(first + feature.take(node)) > threshold.take(node)
        before, node = node, children.take(2 * node + is_right)
        if np.array_equal(before, node):
            break
    return node
