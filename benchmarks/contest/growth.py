"""How time and memory grow with rows, columns and components, beside PCA and a hand-written loop.

``growth/rows/n=1000/skae/default``. One axis grows, the others stay at 10,000 rows (2,000 where
columns grow), 32 columns (100 where components grow) and 8 components.
"""

import numpy as np

from benchmarks.contest.rivals import LOOP
from benchmarks.contest.scenarios import Scenario

AXES = {
    "rows": (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000),
    "columns": (10, 30, 100, 300, 1_000, 3_000),
    "components": (2, 4, 8, 16, 32, 64),
}
CONTENDERS = {"skae": "default", "pca": "default", LOOP.name: "equal"}


def shape(axis, n):
    """Return rows, columns and components at one point of an axis."""
    sizes = {
        "rows": 2_000 if axis == "columns" else 10_000,
        "columns": 100 if axis == "components" else 32,
        "components": 8,
    }
    return tuple((sizes | {axis: n}).values())


def table(rows, columns):
    """Return correlated float32 rows of unit variance: a curved image of 16 factors, and noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 16)).astype(np.float32)
    X = np.tanh(X @ rng.normal(size=(16, columns)).astype(np.float32))
    X += 0.1 * rng.normal(size=X.shape).astype(np.float32)
    return X / X.std(axis=0)


def scenarios():
    """Return all points, the small ones first."""
    points = [(i, axis, n) for axis, sizes in AXES.items() for i, n in enumerate(sizes)]
    return [
        Scenario("growth", axis, f"n={n}", name, variant)
        for _, axis, n in sorted(points)
        for name, variant in CONTENDERS.items()
    ]
