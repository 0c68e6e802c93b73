"""Every estimator on the same rows: reconstruction, denoising, nats, and what a classifier makes of the code.

Run by ``python -m benchmarks.quality.family``; split and scaling are those of
the quality benchmark, the noise is Gaussian of half a standard deviation.
"""

import argparse
import time
import warnings
from functools import partial

import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from benchmarks.data import CLASSES, DATA_SETS
from benchmarks.quality.__main__ import geometric_mean
from benchmarks.quality.denoising import spoil
from skae import (
    AutoencoderTransformer,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    VAETransformer,
)
from skae.metrics import reconstruction_score

N_COMPONENTS, NOISE = 8, 0.5
MEMBERS = {
    "PCA": lambda k, random_state: PCA(k, svd_solver="full"),
    "Autoencoder": AutoencoderTransformer,
    "tied": partial(AutoencoderTransformer, tied_weights=True),
    "layer-wise": partial(AutoencoderTransformer, pretraining="layerwise"),
    "Denoising": partial(DenoisingAutoencoder, noise_level=NOISE),
    "Sparse, l1": SparseAutoencoder,
    "Sparse, kl": partial(SparseAutoencoder, penalty="kl"),
    "Contractive": ContractiveAutoencoder,
    "VAE": VAETransformer,
}


def figures(model, task, train, test, noisy, y_train, y_test):
    """Return what is measured of one model."""
    began = time.perf_counter()
    model.fit(train)
    seconds = time.perf_counter() - began
    judge = (SVC if task == CLASSES else SVR)().fit(model.transform(train), y_train)
    cleaned = model.inverse_transform(model.transform(noisy))
    return {
        "unexplained": 1 - reconstruction_score(model, test),
        "denoising": np.mean((cleaned - test) ** 2),
        "nats": np.mean(model.score_samples(test)) if hasattr(model, "score_samples") else np.nan,
        "judge": judge.score(model.transform(test), y_test),
        "seconds": seconds,
    }


def runs(data_set, seeds):
    """Return, for every member, its figures of all seeds."""
    X, y = data_set.load()
    result = {name: [] for name in MEMBERS}
    for seed in seeds:
        train, test, y_train, y_test = train_test_split(X, y, random_state=seed)
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
        noisy = spoil("gaussian", NOISE, train, test, np.random.default_rng(seed))
        k = min(N_COMPONENTS, np.linalg.matrix_rank(train) - 1)
        for name, make in MEMBERS.items():
            parts = train, test, noisy, y_train, y_test
            result[name].append(figures(make(k, random_state=seed), data_set.task, *parts))
    return result


def line(name, mine, pca):
    """Return a row of the table: ratios and differences to PCA's."""
    ratio = {
        key: geometric_mean([a[key] / b[key] for a, b in zip(mine, pca, strict=True)])
        for key in ("unexplained", "denoising")
    }
    nats = np.mean([a["nats"] - b["nats"] for a, b in zip(mine, pca, strict=True)])
    judge, seconds = (np.mean([a[key] for a in mine]) for key in ("judge", "seconds"))
    nats = "" if np.isnan(nats) else f"{nats:+.2f}"
    return (
        f"| {name} | {ratio['unexplained']:.3f} | {ratio['denoising']:.3f} | {nats} "
        f"| {judge:.3f} | {seconds:.1f} |"
    )


def main(argv=None):
    """Print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--data", nargs="*", default=[d.name for d in DATA_SETS])
    arguments = parser.parse_args(argv)
    warnings.filterwarnings("ignore", category=UserWarning)  # inactive units
    print("| data | estimator | unexplained / PCA | denoising / PCA | nats - PCA | SVC | seconds |")
    print("|---|---|---|---|---|---|---|")
    for data_set in DATA_SETS:
        if data_set.name in arguments.data:
            result = runs(data_set, range(arguments.seeds))
            for name, mine in result.items():
                print(f"| {data_set.name} " + line(name, mine, result["PCA"]), flush=True)


if __name__ == "__main__":
    main()
