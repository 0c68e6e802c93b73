"""Rows given their classes: log-likelihoods beside the VAE's, and whether samples are what was asked for.

Run by ``python -m benchmarks.quality.conditional``; split and scaling are those of
the quality benchmark. All likelihoods are held-out nats a row, with p(y) the
shares of the training classes. log p(x, y) lies below log p(x) by what the rows do
not say of their class; summed over the classes it is a log p(x), too. "SVC" is
the share of samples, 100 a class, that an SVC of the real training rows takes
for their class.
"""

import argparse
import time

import numpy as np
from scipy.special import logsumexp
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.data import find
from skae import ConditionalVAE, VAETransformer

TABLES = "digits", "breast_cancer", "wine", "cells", "leaf_flavia"
N_COMPONENTS = 8


def joint(model, X, classes, shares):
    """Return log p(x, y) of rows and every class: (n_samples, n_classes)."""
    return np.column_stack(
        [model.score_samples(X, c) + np.log(p) for c, p in zip(classes, shares, strict=True)]
    )


def hits(model, svc, classes):
    """Return the share of samples that are taken for their class."""
    found = [svc.predict(model.sample(100, y=c, random_state=0)) == c for c in classes]
    return float(np.mean(found))


def figures(data_set, seed):
    """Return the figures of a split."""
    X, y = data_set.load()
    X, X_test, y, y_test = train_test_split(X, y.astype(str), random_state=seed)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    classes, counts = np.unique(y, return_counts=True)
    true = np.arange(len(y_test)), np.searchsorted(classes, y_test)
    began = time.process_time()
    model = ConditionalVAE(N_COMPONENTS, random_state=seed).fit(X, y)
    seconds = time.process_time() - began
    baseline = ConditionalVAE(N_COMPONENTS, hidden_layer_sizes=()).fit(X, y)
    alone = VAETransformer(N_COMPONENTS, random_state=seed).fit(X).score_samples(X_test)
    of_all = joint(model, X_test, classes, counts / len(y))
    start = joint(baseline, X_test, classes, counts / len(y))[true]
    gains = of_all[true] - alone, logsumexp(of_all, axis=1) - alone
    errors = [gain.std() / np.sqrt(len(gain)) for gain in gains]
    drawn = hits(model, SVC().fit(X, y), classes)
    pairs = np.column_stack([np.mean(gains, axis=1), errors]).ravel()
    return alone.mean(), start.mean(), of_all[true].mean(), *pairs, drawn, seconds


def main(argv=None):
    """Print the table: means over the seeds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="*", default=TABLES)
    arguments = parser.parse_args(argv)
    print("| data | VAE: log p(x) | baseline: log p(x, y) | ConditionalVAE: log p(x, y) ", end="")
    print("| gain on the VAE | the same of its log p(x) | SVC | s |\n" + "|---" * 8 + "|")
    for name in arguments.data:
        runs = [figures(find(name), seed) for seed in range(arguments.seeds)]
        figure = np.mean(runs, axis=0)
        print(
            "| {} | {:.2f} | {:.2f} | {:.2f} | {:.2f} +- {:.2f} ".format(name, *figure[:5]), end=""
        )
        print("| {:.2f} +- {:.2f} | {:.3f} | {:.1f} |".format(*figure[5:]), flush=True)


if __name__ == "__main__":
    main()
