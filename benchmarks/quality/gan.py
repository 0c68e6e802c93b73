"""GANs: mode collapse on a ring of Gaussians, and drawn images beside those of other generators.

Run by ``python -m benchmarks.quality.gan FILE.csv``: it goes on where it was stopped, and prints
the tables of what is there. ``--check`` fails where a loss, with all else at its default, keeps
eight of eight modes for fewer than nine of ten seeds.

The ring is that of `benchmarks.quality.samples`; a mode is kept if at least 1 % of the samples
are within three standard deviations of its centre. Images: one half of the rows trains, the other
judges as many samples (of mnist_5k, 1,500 rows each); "real" stands for the training rows themselves. Shares of classes, and the
space of the Frechet distance, are those of a classifier of the training rows. Seconds are of the
processor.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KernelDensity
from sklearn.neural_network import MLPClassifier

import skae
from benchmarks.data import find
from benchmarks.quality.samples import N_MODES, SPREAD, ring_of
from skae.metrics import frechet_distance, mode_coverage, precision_recall

SEEDS, ENOUGH = 10, 9
LEAST_MODE = 0.01  # of the samples
LOSSES = "relativistic", "logistic", "least_squares"
NO_GUARDS = {"gradient_penalty": 0.0, "reconstruction_weight": 0.0}
RINGS = {
    **{loss: {"loss": loss} for loss in LOSSES},
    **{f"plain {loss}": {"loss": loss, **NO_GUARDS} for loss in LOSSES},
    **{
        f"plain logistic, {name}": {"loss": "logistic", **NO_GUARDS, name.split()[0]: value}
        for name, value in (("replay 0.5", 0.5),)
    },
    **{
        f"plain logistic, {name}": {"loss": "logistic", **NO_GUARDS, "minibatch_features": name}
        for name in ("deviation", "discrimination")
    },
}
COMPONENTS = {"digits": 16, "mnist_5k": 32}
SHAPES = {"digits": (8, 8), "mnist_5k": (28, 28)}
FEW, EPOCHS = 1500, 80  # rows of mnist_5k on each side; epochs of the GANs of its images


class Kernels:
    """Kernel density in the columns, or along PCA's axes where these are many."""

    def __init__(self, n_components, random_state):
        self.n_components, self.random_state = n_components, random_state

    def fit(self, X):
        """Choose the bandwidth by likelihood, in three folds."""
        self.pca = PCA(self.n_components, random_state=0).fit(X)
        Z = self.pca.transform(X)
        widths = np.std(Z) * np.geomspace(0.05, 1, 10)
        self.density = GridSearchCV(KernelDensity(), {"bandwidth": widths}, cv=3).fit(Z)
        return self

    def sample(self, n_samples, random_state):
        """Draw rows."""
        Z = self.density.best_estimator_.sample(n_samples, random_state)
        return self.pca.inverse_transform(Z)


IMAGES = {
    "VAE": skae.VAETransformer,
    "adversarial autoencoder": skae.AdversarialAutoencoder,
    "kernel density": Kernels,
    **{f"BiGAN, {loss}": partial(skae.BiGANTransformer, loss=loss) for loss in LOSSES},
    "BiGAN, replay 0.5": partial(skae.BiGANTransformer, replay=0.5),
    "BiGAN, deviation": partial(skae.BiGANTransformer, minibatch_features="deviation"),
    "BiGAN, convolutional": skae.BiGANTransformer,
    "StyleBiGAN, growing": skae.StyleBiGAN,
    "StyleBiGAN, full size": partial(skae.StyleBiGAN, growing=False),
    "StyleBiGAN, no mixing": partial(skae.StyleBiGAN, style_mixing=0.0),
}


def ring(name, seed):
    """Return what a GAN makes of the ring."""
    X, centres = ring_of(2000, seed)
    model, seconds = timed(skae.BiGANTransformer(2, random_state=seed, **RINGS[name]), X)
    distance = np.linalg.norm(model.sample(4000, seed)[:, None] - centres, axis=2)
    good = distance.min(axis=1) < 3 * SPREAD
    shares = np.bincount(distance.argmin(axis=1)[good], minlength=N_MODES) / len(distance)
    last = model.history_[-1]
    return {
        "modes": int((shares >= LEAST_MODE).sum()),
        "good": good.mean(),
        "least": shares.min(),
        "real_accuracy": last["real_accuracy"],
        "generated_accuracy": last["generated_accuracy"],
        "seconds": seconds,
    }


def split(data, seed):
    """Return training rows, test rows, and the labels of the training rows."""
    X, y = find(data).load()
    if data == "mnist_5k":
        order = np.random.default_rng(seed).permutation(len(X))[: 2 * FEW]
        return X[order[:FEW]], X[order[FEW:]], y[order[:FEW]]
    train, test, y_train, _ = train_test_split(X, y, test_size=0.5, random_state=seed)
    return train, test, y_train


def images(name, data, seed):
    """Return the figures of a generator's samples."""
    train, test, y_train = split(data, seed)
    scale = train.max()
    judge = MLPClassifier((64,), max_iter=100, random_state=seed).fit(train / scale, y_train)
    if name == "real":
        drawn, seconds, model = train[: len(test)], 0.0, None
    else:
        model = IMAGES[name](COMPONENTS[data], random_state=seed)
        if "Style" in name or "convolutional" in name:
            model.set_params(image_shape=SHAPES[data])
            model.set_params(**({"max_iter": EPOCHS} if data == "mnist_5k" else {}))
        model, seconds = timed(model, train)
        drawn = model.sample(len(test), random_state=seed)
    classes = np.bincount(judge.predict(drawn / scale), minlength=10) / len(drawn)
    precision, recall = precision_recall(test, drawn)
    return {
        "coverage": mode_coverage(test, drawn),
        "precision": precision,
        "recall": recall,
        "frechet": frechet_distance(test / scale, drawn / scale, judge),
        "least": classes.min(),
        "most": classes.max(),
        "score": model.score(test) if hasattr(model, "reconstruct") else np.nan,
        "seconds": seconds,
    }


def timed(model, X):
    """Return the fitted model, and seconds."""
    began = time.process_time()
    model.fit(X)
    return model, time.process_time() - began


def jobs(data, seeds):
    """Yield (data, name, seed, job), seed by seed."""
    for seed in range(SEEDS if "ring" in data else 0):
        for name in RINGS:
            yield "ring", name, seed, partial(ring, name, seed)
    for kind in (kind for kind in data if kind != "ring"):
        for seed in range(seeds):
            for name in ("real", *IMAGES):
                yield kind, name, seed, partial(images, name, kind, seed)


def run(path, data, seeds):
    """Do what is not yet in the file."""
    keys = ["data", "name", "seed"]
    known = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=keys)
    done = set(known[keys].itertuples(index=False, name=None))
    for kind, name, seed, job in jobs(data, seeds):
        if (kind, name, seed) in done:
            continue
        for measure, value in job().items():
            row = pd.DataFrame([[kind, name, seed, measure, value]])
            row.columns = [*keys, "measure", "value"]
            row.to_csv(path, mode="a", header=not path.exists(), index=False)


def report(path):
    """Return the tables: medians over the seeds, and of the ring the seeds that keep all modes."""
    found, parts = pd.read_csv(path), []
    for kind, part in found.groupby("data", sort=False):
        table = part.pivot_table(
            index="name", columns="measure", values="value", aggfunc="median", sort=False
        )
        if kind == "ring":
            modes = part[part.measure == "modes"]
            table.insert(0, "all modes", (modes.value == N_MODES).groupby(modes.name).sum())
        table.insert(0, "seeds", part.groupby("name").seed.nunique())
        lines = [
            "| " + " | ".join([kind, *table.columns]) + " |",
            "|---" * (len(table.columns) + 1) + "|",
        ]
        for row in table.itertuples():
            lines.append("| " + " | ".join([row[0], *(f"{cell:.3g}" for cell in row[1:])]) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def check(path):
    """Fail where a loss at the defaults does not keep all modes often enough."""
    found = pd.read_csv(path)
    modes = found[(found.data == "ring") & (found.measure == "modes")]
    for loss in LOSSES:
        kept = (modes[modes.name == loss].value == N_MODES).sum()
        if kept < ENOUGH:
            raise SystemExit(f"loss={loss!r} keeps all modes for {kept} seeds, not {ENOUGH}.")


def main(argv=None):
    """Measure, print the tables, and check."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--data", nargs="*", default=["ring", *SHAPES])
    parser.add_argument("--seeds", type=int, default=2, help="of images")
    parser.add_argument("--names", nargs="*", help="some of the models alone")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args(argv)
    for table in (RINGS, IMAGES) if arguments.names else ():
        for name in [name for name in table if name not in arguments.names]:
            del table[name]
    run(arguments.path, arguments.data, arguments.seeds)
    print(report(arguments.path))
    if arguments.check:
        check(arguments.path)


if __name__ == "__main__":
    main()
