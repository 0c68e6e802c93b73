"""One label in twenty: logistic regression on a contrastive code, and on PCA's of the same size.

Run by ``python -m benchmarks.quality.contrastive``; split and scaling are
those of the other benchmarks (persons kept apart in watch_har). The codes are
learned from all training rows without labels, and standardised. 5 % of the
training rows, drawn anew ten times a split, have a label.
"""

import argparse
import time

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.data import find, split
from skae import AutoencoderTransformer, ContrastiveEncoder

TABLES = "digits", "mnist_5k", "leaf_flavia", "cells", "watch_har"
N_COMPONENTS, LABELLED, DRAWS = 16, 0.05, 10
RIVALS = {
    "PCA": lambda k, random_state: PCA(k, random_state=random_state),
    "autoencoder": AutoencoderTransformer,
    "contrastive": ContrastiveEncoder,
}


def accuracies(model, s):
    """Return held-out accuracies, one for each draw of labels, and the seconds of the fit."""
    began = time.process_time()
    model.fit(s.X_train)
    seconds = time.process_time() - began
    train, test = model.transform(s.X_train), model.transform(s.X_test)
    found = []
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(train))
        some = order[: round(LABELLED * len(train))]
        head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        found.append(head.fit(train[some], s.y_train[some]).score(test, s.y_test))
    return found, seconds


def main(argv=None):
    """Print the table: means, and standard errors of the mean of all draws and splits."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="*", default=TABLES)
    arguments = parser.parse_args(argv)
    print("| data | model | accuracy | over PCA | seconds |\n" + "|---" * 5 + "|")
    for name in arguments.data:
        splits = [split(find(name), seed) for seed in range(arguments.seeds)]
        first = None
        for rival, make in RIVALS.items():
            models = [make(N_COMPONENTS, random_state=seed) for seed in range(len(splits))]
            runs, seconds = zip(*map(accuracies, models, splits), strict=True)
            runs = np.ravel(runs)
            first = runs if first is None else first
            shown = " | ".join(map(mean_and_error, (runs, runs - first)))
            print(f"| {name} | {rival} | {shown} | {np.mean(seconds):.1f} |", flush=True)


def mean_and_error(values):
    """Return the mean of some values and its standard error, as text."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / len(values) ** 0.5:.3f}"


if __name__ == "__main__":
    main()
