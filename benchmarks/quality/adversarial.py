"""Codes beside the prior: the adversarial autoencoder, the plain one, the VAE and PCA.

Run by ``python -m benchmarks.quality.adversarial``. 60 % of the rows train, pixels
are divided by 16, other columns standardised. "MMD" is the unbiased squared
maximum mean discrepancy of the held-out rows' codes, standardised unit by unit,
from a standard normal, times 1000: with a Gaussian kernel whose bandwidth is the
median distance between draws of the prior. Draws of the prior give 0 on average,
and a little less once they are standardised: -1 for 300 of them.
"""

import argparse
import time

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import chi2
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.data import find
from skae import AdversarialAutoencoder, AutoencoderTransformer, VAETransformer
from skae.metrics import reconstruction_score

TABLES = "digits", "breast_cancer", "cells"
COMPONENTS = 2, 8
RIVALS = {
    "PCA": lambda k, random_state: PCA(k),
    "plain": AutoencoderTransformer,
    "VAE": VAETransformer,
    "adversarial": AdversarialAutoencoder,
}


def discrepancy(code):
    """Return `squared_mmd` of codes that are standardised, unit by unit."""
    return squared_mmd((code - code.mean(axis=0)) / code.std(axis=0))


def squared_mmd(z):
    r"""Return the unbiased squared maximum mean discrepancy of codes from a standard normal.

    With the kernel :math:`\exp(-|a - b|^2 / 2h)`, the means over the prior are
    known: :math:`(h / (h + 1))^{k/2} \exp(-|z|^2 / 2(h + 1))` for a code z, and
    :math:`(h / (h + 2))^{k/2}` for another draw (Gretton et al., A kernel
    two-sample test, 2012, https://jmlr.org/papers/v13/gretton12a.html).
    """
    k = z.shape[1]
    h = 2 * chi2.ppf(0.5, k)  # squared median distance of two draws
    within = np.exp(-pdist(z, "sqeuclidean") / (2 * h)).mean()
    between = np.exp(-np.sum(z**2, axis=1) / (2 * (h + 1))).mean()
    return within - 2 * (h / (h + 1)) ** (k / 2) * between + (h / (h + 2)) ** (k / 2)


def split(name, seed):
    """Return training and held-out rows."""
    X, _ = find(name).load()
    train, test = train_test_split(X, test_size=0.4, random_state=seed)
    if name == "digits":
        return train / 16, test / 16
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def figures(model, train, test):
    """Return unexplained variance, discrepancy times 1000, spread of the codes, and seconds."""
    began = time.process_time()
    model.fit(train)
    seconds = time.process_time() - began
    code = model.transform(test)
    lost = 1 - reconstruction_score(model, test)
    return lost, 1000 * discrepancy(code), code.std(axis=0).mean(), seconds


def main(argv=None):
    """Print the table: means over the seeds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="*", default=TABLES)
    arguments = parser.parse_args(argv)
    print("| data | k | model | unexplained | MMD x 1000 (each seed) | spread | s |")
    print("|---" * 7 + "|")
    for name in arguments.data:
        splits = [split(name, seed) for seed in range(arguments.seeds)]
        for k in COMPONENTS:
            for rival, make in RIVALS.items():
                models = [make(k, random_state=seed) for seed in range(len(splits))]
                runs = [figures(model, *rows) for model, rows in zip(models, splits, strict=True)]
                lost, distance, spread, seconds = np.mean(runs, axis=0)
                each = ", ".join(f"{run[1]:.2f}" for run in runs)
                print(f"| {name} | {k} | {rival} | {lost:.3f} | {distance:.2f} ({each}) ", end="")
                print(f"| {spread:.2f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
