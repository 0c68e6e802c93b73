"""Few labels, many rows: the supervised hand-off beside an SVC on PCA and a network from scratch.

Run by ``python -m benchmarks.quality.labels``; split and scaling are those of
the quality benchmark. PCA and the autoencoders learn from all training rows,
the rest from those with a label.
"""

import argparse
import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.data import DATA_SETS
from skae import AutoencoderClassifier, AutoencoderTransformer, DenoisingAutoencoder

TABLES = "digits", "breast_cancer", "cells"
LABELS = 50, 200, None
NAMES = (
    "SVC on PCA", "from scratch", "head", "head and encoder", "denoising: head", "and encoder",
)  # fmt: skip


def accuracies(data_set, seed):
    """Return the held-out accuracy of all rivals, one row for each number of labels."""
    X, y = data_set.load()
    y = np.unique(y, return_inverse=True)[1]
    X, X_test, y, y_test = train_test_split(X, y, random_state=seed)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    pca = PCA(0.95).fit(X)
    plain = AutoencoderTransformer(0.95, random_state=seed).fit(X)
    noisy = DenoisingAutoencoder(0.95, noise_level=1.0, random_state=seed).fit(X)
    random = AutoencoderTransformer(
        plain.n_components_, linear_path=None, early_stopping=False, max_iter=1,
        learning_rate_init=1e-12, random_state=seed,
    ).fit(X)  # fmt: skip
    rivals = (random, "all"), (plain, "head"), (plain, "all"), (noisy, "head"), (noisy, "all")
    order, result = np.random.default_rng(seed).permutation(len(X)), []
    for n_labels in LABELS:
        some = order[:n_labels]
        known = np.full(len(X), -1)
        known[some] = y[some]
        svc = SVC().fit(pca.transform(X[some]), y[some])
        result.append([svc.score(pca.transform(X_test), y_test)])
        for autoencoder, fine_tune in rivals:
            model = AutoencoderClassifier(
                autoencoder, head="linear", fine_tune=fine_tune, unlabeled=-1, random_state=seed
            )
            result[-1].append(model.fit(X, known).score(X_test, y_test))
    return result


def main(argv=None):
    """Print the table: means over the seeds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="*", default=TABLES)
    arguments = parser.parse_args(argv)
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    print("| data | labels | " + " | ".join(NAMES) + " |\n" + "|---" * (len(NAMES) + 2) + "|")
    for data_set in (d for d in DATA_SETS if d.name in arguments.data):
        runs = [accuracies(data_set, seed) for seed in range(arguments.seeds)]
        for n_labels, means in zip(LABELS, np.mean(runs, axis=0), strict=True):
            figures = " | ".join(f"{mean:.3f}" for mean in means)
            print(f"| {data_set.name} | {n_labels or 'all'} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
