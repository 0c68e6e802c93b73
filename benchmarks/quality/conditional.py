"""Rows given their labels: log-likelihoods beside the VAE's, and whether samples are what was asked for.

Run by ``python -m benchmarks.quality.conditional``; split and scaling are those of
the quality benchmark. All likelihoods are held-out nats a row, of rows *and*
labels where labels are told: log p(x | y) + log p(y), with p(y) the shares of
the training classes, or a Gaussian for numbers. "SVC" is the share of samples,
100 a class, that an SVC of the real training rows takes for their class.
"""

import argparse
import time

import numpy as np
from scipy.stats import norm
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.data import CLASSES, find
from skae import ConditionalVAE, VAETransformer

TABLES = "digits", "breast_cancer", "wine", "cells", "leaf_flavia", "diabetes"
N_COMPONENTS = 8


def log_share(y, y_test, task):
    """Return log p(y) of held-out labels."""
    if task != CLASSES:
        return norm.logpdf(y_test, y.mean(), y.std())
    classes, counts = np.unique(y, return_counts=True)
    return np.log(counts / len(y))[np.searchsorted(classes, y_test)]


def hits(model, svc, classes):
    """Return the share of samples that are taken for their class."""
    found = [svc.predict(model.sample(100, y=c, random_state=0)) == c for c in classes]
    return float(np.mean(found))


def figures(data_set, seed):
    """Return the figures of a split."""
    X, y = data_set.load()
    y = y.astype(float) if data_set.task != CLASSES else y.astype(str)
    X, X_test, y, y_test = train_test_split(X, y, random_state=seed)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    share = log_share(y, y_test, data_set.task)
    began = time.process_time()
    model = ConditionalVAE(N_COMPONENTS, random_state=seed).fit(X, y)
    seconds = time.process_time() - began
    floor = ConditionalVAE(N_COMPONENTS, hidden_layer_sizes=()).fit(X, y)
    alone = VAETransformer(N_COMPONENTS, random_state=seed).fit(X).score_samples(X_test)
    joint, start = (m.score_samples(X_test, y_test) + share for m in (model, floor))
    gain = joint - alone
    error = gain.std() / np.sqrt(len(gain))
    drawn = np.nan
    if data_set.task == CLASSES:
        drawn = hits(model, SVC().fit(X, y), np.unique(y))
    return alone.mean(), start.mean(), joint.mean(), gain.mean(), error, drawn, seconds


def main(argv=None):
    """Print the table: means over the seeds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="*", default=TABLES)
    arguments = parser.parse_args(argv)
    print(
        "| data | VAE: log p(x) | floor: log p(x, y) | ConditionalVAE | gain on the VAE | SVC | s |"
    )
    print("|---" * 7 + "|")
    for name in arguments.data:
        runs = [figures(find(name), seed) for seed in range(arguments.seeds)]
        alone, start, joint, gain, error, drawn, seconds = np.mean(runs, axis=0)
        print(
            f"| {name} | {alone:.2f} | {start:.2f} | {joint:.2f} | {gain:.2f} +- {error:.2f} ",
            end="",
        )
        print(f"| {drawn:.3f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
