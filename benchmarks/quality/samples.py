"""New rows: what guards a GAN against leaving out groups of rows, beside the VAE.

Run by ``python -m benchmarks.quality.samples``. The ring has eight Gaussians
in two columns; a sample is good within three standard deviations of a centre
(Srivastava et al., VEEGAN, 2017, https://arxiv.org/abs/1705.07761). Digits are
raw pixels, their samples judged by an SVC that learned from the training rows.
"""

import argparse
import time
from functools import partial

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from skae import BiGANTransformer, VAETransformer
from skae.metrics import mode_coverage

N_MODES, RADIUS, SPREAD = 8, 2.0, 0.1
MODELS = {
    "BiGAN": BiGANTransformer,
    "no penalty": partial(BiGANTransformer, gradient_penalty=0.0),
    "no reconstruction": partial(BiGANTransformer, reconstruction_weight=0.0),
    "neither": partial(BiGANTransformer, gradient_penalty=0.0, reconstruction_weight=0.0),
    "VAE": VAETransformer,
}


def ring_of(n, seed):
    """Return rows of the ring, and the centres."""
    rng = np.random.default_rng(seed)
    angles = 2 * np.pi * np.arange(N_MODES) / N_MODES
    centres = RADIUS * np.column_stack([np.cos(angles), np.sin(angles)])
    return centres[rng.integers(N_MODES, size=n)] + SPREAD * rng.normal(size=(n, 2)), centres


def ring(make, seed):
    """Return modes found, share of good samples, share of the least mode, and seconds."""
    X, centres = ring_of(2000, seed)
    began = time.process_time()
    model = make(2, random_state=seed).fit(X)
    seconds = time.process_time() - began
    distance = np.linalg.norm(model.sample(4000, seed)[:, None] - centres, axis=2)
    good = distance.min(axis=1) < 3 * SPREAD
    counts = np.bincount(distance.argmin(axis=1)[good], minlength=N_MODES)
    return (counts > 0).sum(), good.mean(), counts.min() / len(good), seconds


def digits(make, seed):
    """Return coverage, least and largest class, accuracy of neighbours, score and seconds."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=seed)
    began = time.process_time()
    model = make(16, random_state=seed).fit(X)
    seconds = time.process_time() - began
    coverage = mode_coverage(X_test, model.sample(len(X_test), seed))
    shares = np.bincount(SVC().fit(X, y).predict(model.sample(2000, seed)), minlength=10) / 2000
    neighbours = KNeighborsClassifier(1).fit(model.transform(X), y)
    accuracy = neighbours.score(model.transform(X_test), y_test)
    return coverage, shares.min(), shares.max(), accuracy, model.score(X_test), seconds


def main(argv=None):
    """Print both tables: means over the seeds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    seeds = range(parser.parse_args(argv).seeds)
    heads = {
        ring: "ring | modes | good | least mode | seconds",
        digits: "digits | coverage | least class | largest class | 1-NN | score | seconds",
    }
    for measure, head in heads.items():
        print(f"| {head} |\n" + "|---" * (head.count("|") + 1) + "|")
        for name, make in MODELS.items():
            figures = np.mean([measure(make, seed) for seed in seeds], axis=0)
            print(f"| {name} | {' | '.join(f'{figure:.3f}' for figure in figures)} |", flush=True)


if __name__ == "__main__":
    main()
