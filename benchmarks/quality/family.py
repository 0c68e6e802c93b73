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

from benchmarks.contest.statistics import geometric_mean
from benchmarks.data import CLASSES, DATA_SETS
from benchmarks.quality.denoising import spoil
from skae import (
    AdversarialAutoencoder,
    AutoencoderTransformer,
    BiGANTransformer,
    ConditionalVAE,
    ContractiveAutoencoder,
    ContrastiveEncoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    VAETransformer,
)

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
    "conditional VAE": ConditionalVAE,
    "Adversarial": AdversarialAutoencoder,
    "BiGAN": BiGANTransformer,
    "Contrastive": ContrastiveEncoder,
}


def figures(model, task, train, test, noisy, y_train, y_test):
    """Return what is measured of one model."""
    began = time.process_time()
    model.fit(train, y_train)
    seconds = time.process_time() - began
    judge = (SVC if task == CLASSES else SVR)().fit(model.transform(train), y_train)
    made, cleaned = reconstructions(model, test), reconstructions(model, noisy)
    return {
        "unexplained": np.sum((made - test) ** 2) / np.sum((test - test.mean(axis=0)) ** 2),
        "denoising": np.mean((cleaned - test) ** 2),
        "nats": np.mean(model.score_samples(test)) if hasattr(model, "score_samples") else np.nan,
        "judge": judge.score(model.transform(test), y_test),
        "seconds": seconds,
    }


def reconstructions(model, X):
    """Return what a model makes of rows; NaN where it has no decoder."""
    if hasattr(model, "reconstruct"):  # infers the label, where one is asked for
        return model.reconstruct(X)
    decode = getattr(model, "inverse_transform", lambda code: np.full_like(X, np.nan))
    return decode(model.transform(X))


def runs(data_set, seeds, members):
    """Return, for every member, its figures of all seeds."""
    X, y = data_set.load()
    result = {name: [] for name in members}
    for seed in seeds:
        train, test, y_train, y_test = train_test_split(X, y, random_state=seed)
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
        noisy = spoil("gaussian", NOISE, train, test, np.random.default_rng(seed))
        k = min(N_COMPONENTS, np.linalg.matrix_rank(train) - 1)
        for name in members:
            parts = train, test, noisy, y_train, y_test
            model = MEMBERS[name](k, random_state=seed)
            result[name].append(figures(model, data_set.task, *parts))
    return result


def line(name, mine, pca):
    """Return a row of the table: ratios and differences to PCA's."""
    ratio = {
        key: geometric_mean([a[key] / b[key] for a, b in zip(mine, pca, strict=True)])
        for key in ("unexplained", "denoising")
    }
    nats = np.mean([a["nats"] - b["nats"] for a, b in zip(mine, pca, strict=True)])
    judge, seconds = (np.mean([a[key] for a in mine]) for key in ("judge", "seconds"))
    shown = [*(f"{value:.3f}" for value in ratio.values()), f"{nats:+.2f}"]
    shown = ["" if "nan" in number else number for number in shown]
    return " ".join(f"| {cell}" for cell in [name, *shown, f"{judge:.3f}", f"{seconds:.1f} |"])


def main(argv=None):
    """Print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--data", nargs="*", default=[d.name for d in DATA_SETS])
    parser.add_argument("--members", nargs="*", default=list(MEMBERS)[1:], choices=list(MEMBERS))
    arguments = parser.parse_args(argv)
    warnings.filterwarnings("ignore", category=UserWarning)  # inactive units
    print("| data | estimator | unexplained / PCA | denoising / PCA | nats - PCA | SVC | seconds |")
    print("|---|---|---|---|---|---|---|")
    for data_set in DATA_SETS:
        if data_set.name in arguments.data:
            result = runs(data_set, range(arguments.seeds), ["PCA", *arguments.members])
            for name, mine in result.items():
                print(f"| {data_set.name} " + line(name, mine, result["PCA"]), flush=True)


if __name__ == "__main__":
    main()
