"""Tied weights and layerwise pretraining beside the default: with how many rows do they pay?

Run by ``python -m benchmarks.quality.stacked``; the split is that of the quality benchmark, of
whose training part the first rows are taken. ``StandardScaler`` and PCA see these rows alone.
"""

import argparse

from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.contest.statistics import geometric_mean
from benchmarks.data import DATA_SETS
from skae import AutoencoderTransformer
from skae.metrics import reconstruction_score

NAMES = ("digits", "breast_cancer", "leaf_flavia", "cells")
SIZES = (50, 100, 200, 500, 1000, 0)  # 0: all
N_COMPONENTS = 4
VARIANTS = {
    "default": {},
    "tied": {"tied_weights": True},
    "layerwise": {"pretraining": "layerwise"},
    "no PCA": {"linear_path": None},
    "no PCA, tied": {"linear_path": None, "tied_weights": True},
    "no PCA, layerwise": {"linear_path": None, "pretraining": "layerwise"},
}


def ratios(data_set, n_rows, seed, k, **network):
    """Return the held-out unexplained variance of each variant over PCA's."""
    X, _ = data_set.load()
    train, test = train_test_split(X, random_state=seed)
    train = train[: n_rows or None]
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    unexplained_pca = 1 - reconstruction_score(PCA(k).fit(train), test)
    result = {}
    for name, parameters in VARIANTS.items():
        model = AutoencoderTransformer(k, random_state=seed, **parameters, **network).fit(train)
        result[name] = (1 - model.score(test)) / unexplained_pca
    return result


def table_row(label, n_rows, runs):
    """Return a line of geometric means."""
    means = [geometric_mean([run[name] for run in runs]) for name in VARIANTS]
    return f"| {label} | {n_rows or 'all'} | " + " | ".join(f"{m:.3f}" for m in means) + " |"


def main(argv=None):
    """Print a table of ratios, one line a data set and number of rows."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--components", type=int, default=N_COMPONENTS)
    parser.add_argument("--data", nargs="*", default=NAMES)
    parser.add_argument("--rows", nargs="*", type=int, default=SIZES, help="0: all")
    parser.add_argument("--hidden", nargs="*", type=int, help="hidden_layer_sizes")
    parser.add_argument("--activation", default="gelu")
    arguments = parser.parse_args(argv)
    network = {
        "hidden_layer_sizes": arguments.hidden or "auto",
        "activation": arguments.activation,
    }
    chosen = [d for d in DATA_SETS if d.name in arguments.data]
    print(f"held-out unexplained variance over PCA's, k = {arguments.components}")
    print("| data | rows | " + " | ".join(VARIANTS) + " |")
    print("|---|---|" + "---|" * len(VARIANTS))
    for n_rows in arguments.rows:
        everything = []
        for data_set in chosen:
            if n_rows and n_rows > 0.75 * len(data_set.load()[0]):
                continue
            runs = [
                ratios(data_set, n_rows, seed, arguments.components, **network)
                for seed in range(arguments.seeds)
            ]
            print(table_row(data_set.name, n_rows, runs), flush=True)
            everything += runs
        print(table_row("all of these", n_rows, everything), flush=True)


if __name__ == "__main__":
    main()
