"""Sequences: PCA, the dense and the recurrent autoencoder on motion sensors, some of them cut short.

Run by ``python -m benchmarks.quality.sequences``; split by person and scaling
are those of the other benchmarks. "Cut short" rows break off, half of them,
at a random step after the fortieth of a hundred, in training and in the test.
PCA gets column means in place of what is missing. Seconds are of the
processor.
"""

import argparse
import time

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from benchmarks.data import find, split
from skae import AutoencoderTransformer, RecurrentAutoencoder

SHAPE = 100, 6
N_COMPONENTS = 8
RIVALS = {
    "PCA": lambda k, random_state: make_pipeline(FunctionTransformer(np.nan_to_num), PCA(k)),
    "dense": AutoencoderTransformer,
    "recurrent": lambda k, **settings: RecurrentAutoencoder(k, sequence_shape=SHAPE, **settings),
}


def cut_short(X, rng):
    """Return rows half of which break off at a random step."""
    ends = np.where(rng.random(len(X)) < 0.5, SHAPE[0], rng.integers(40, SHAPE[0], len(X)))
    step = np.arange(X.shape[1]) // SHAPE[1]
    return np.where(step < ends[:, None], X, np.nan)


def figures(model, train, test, whole, y_train, y_test):
    """Return unexplained shares of present and of whole rows, accuracy on the code, and seconds."""
    began = time.process_time()
    model.fit(train)
    seconds = time.process_time() - began
    made = model.inverse_transform(model.transform(test))
    accuracy = SVC().fit(model.transform(train), y_train).score(model.transform(test), y_test)
    return *(unexplained(made, X) for X in (test, whole)), accuracy, seconds


def unexplained(made, X):
    """Return the share of the variance of the cells that are present that is not explained."""
    return np.nansum((X - made) ** 2) / np.nansum((X - np.nanmean(X, axis=0)) ** 2)


def main(argv=None):
    """Print the table: means over the seeds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args(argv).seeds)
    names = "rows", "model", "unexplained", "of the whole rows", "SVC", "seconds"
    print("| " + " | ".join(names) + " |\n" + "|---" * len(names) + "|")
    splits = [split(find("watch_har"), seed) for seed in seeds]
    for rows in ("whole", "cut short"):
        for name, make in RIVALS.items():
            runs = []
            for seed, s in zip(seeds, splits, strict=True):
                rng = np.random.default_rng(seed)
                train, test = s.X_train, s.X_test
                if rows == "cut short":
                    train, test = cut_short(train, rng), cut_short(test, rng)
                model = make(N_COMPONENTS, random_state=seed)
                runs.append(figures(model, train, test, s.X_test, s.y_train, s.y_test))
            present, whole, accuracy, seconds = np.mean(runs, axis=0)
            print(f"| {rows} | {name} | {present:.3f} | {whole:.3f} ", end="")
            print(f"| {accuracy:.3f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
