"""One ordered fit beside separate fits and PCA; the size that a share of variance needs.

Run by ``python -m benchmarks.quality.ordered``; the split is that of the
quality benchmark, and so is the scaling, but for images: their pixels share a
unit, and digits are shown in both. Variational autoencoders are also compared
by their log-likelihoods.
"""

import argparse
import time

import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.data import DATA_SETS
from skae import AutoencoderTransformer, VAETransformer
from skae.metrics import reconstruction_score

SIZES = (1, 2, 4, 8, 16)
SHARE = 0.9
TABLES = {  # name: (data set, whether its columns are standardised, estimator)
    "digits": ("digits", True, AutoencoderTransformer),
    "digits, pixels": ("digits", False, AutoencoderTransformer),
    "mnist_5k, pixels": ("mnist_5k", False, AutoencoderTransformer),
    "cells": ("cells", True, AutoencoderTransformer),
    "leaf_flavia": ("leaf_flavia", True, AutoencoderTransformer),
    "digits, VAE": ("digits", True, VAETransformer),
    "cells, VAE": ("cells", True, VAETransformer),
}


def halves(name, seed):
    """Return training and held-out rows."""
    data_set, standardised, _ = TABLES[name]
    X, _ = next(d for d in DATA_SETS if d.name == data_set).load()
    train, test = train_test_split(X, random_state=seed)
    if not standardised:
        return train, test
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def timed(estimator, X):
    """Return the fitted estimator and the seconds it took, of this process alone."""
    began = time.process_time()
    return estimator.fit(X), time.process_time() - began


def prefixes(name, seed):
    """Compare, by size, one ordered fit, separate fits and PCA.

    Returns the unexplained variance, the held-out nats a row where they are
    defined, and the cost.
    """
    train, test = halves(name, seed)
    make = TABLES[name][2]
    ordered, seconds = timed(make(16, ordered=True, random_state=seed), train)
    lost, nats = [], []
    for k in SIZES:
        separate, separate_seconds = timed(make(k, random_state=seed), train)
        models = ordered.truncate(k), separate, PCA(k).fit(train)
        lost.append([1 - reconstruction_score(model, test) for model in models])
        if hasattr(separate, "score_samples"):
            nats.append([model.score_samples(test).mean() for model in models])
    return np.array(lost), np.array(nats), seconds / separate_seconds


def sizes(name, seed):
    """Return both sizes for the share, the held-out scores, and the cost over a fit of that size."""
    train, test = halves(name, seed)
    pca = PCA(SHARE).fit(train)
    make = TABLES[name][2]
    chosen, seconds = timed(make(SHARE, random_state=seed), train)
    k = chosen.n_components_
    given, given_seconds = timed(make(k, random_state=seed), train)
    scores = [reconstruction_score(model, test) for model in (pca, chosen, given)]
    return [pca.n_components_, k, *scores, seconds / given_seconds]


def main(argv=None):
    """Print both tables: medians over the seeds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="*", default=list(TABLES))
    arguments = parser.parse_args(argv)
    seeds = range(arguments.seeds)
    names = " | ".join(f"k={k}" for k in SIZES)
    print(f"| one ordered fit of 16 over | {names} | time over a fit |\n" + "|---" * 7 + "|")
    gains = []
    for name in arguments.data:
        lost, nats, cost = zip(*(prefixes(name, seed) for seed in seeds), strict=True)
        for i, rival in enumerate(["separate fits", "PCA"], start=1):
            ratios = np.median([of_seed[:, 0] / of_seed[:, i] for of_seed in lost], axis=0)
            figures = " | ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"| {name}: {rival} | {figures} | {np.median(cost):.2f} |", flush=True)
            if np.size(nats):
                differences = np.median([of_seed[:, 0] - of_seed[:, i] for of_seed in nats], axis=0)
                figures = " | ".join(f"{difference:+.1f}" for difference in differences)
                gains.append(f"| {name}: {rival} | {figures} |")
    print(f"\n| nats a row over | {names} |\n" + "|---" * 6 + "|", *gains, sep="\n")
    print(
        f"\n| n_components={SHARE} | PCA | chosen | fewer | held-out score: PCA | chosen ", end=""
    )
    print("| that k given | time over that |\n" + "|---" * 8 + "|")
    for name in arguments.data:
        pca, k, *rest = np.median([sizes(name, seed) for seed in seeds], axis=0)
        figures = " | ".join(f"{figure:.3f}" for figure in rest[:-1])
        print(f"| {name} | {pca:.0f} | {k:.0f} | {1 - k / pca:.0%} | {figures} | {rest[-1]:.2f} |")


if __name__ == "__main__":
    main()
