"""Noisy held-out rows, cleaned: DenoisingAutoencoder beside its linear start, PCA and the autoencoder.

Run by ``python -m benchmarks.quality.denoising``; the split and scaling are
those of the quality benchmark.
"""

import argparse

import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.contest.statistics import geometric_mean
from benchmarks.data import DATA_SETS
from skae import AutoencoderTransformer, DenoisingAutoencoder

NOISES = {"gaussian": 0.5, "masking": 0.3, "salt_and_pepper": 0.1, "swap": 0.3}
N_COMPONENTS = 8


def spoil(noise, level, train, X, rng):
    """Return noisy rows, by numpy alone."""
    if noise == "gaussian":
        return X + level * train.std(axis=0) * rng.normal(size=X.shape)
    value = {
        "masking": np.broadcast_to(train.mean(axis=0), X.shape),
        "salt_and_pepper": np.where(
            rng.random(X.shape) < 0.5, train.min(axis=0), train.max(axis=0)
        ),
        "swap": np.take_along_axis(train, rng.integers(0, len(train), X.shape), axis=0),
    }[noise]
    return np.where(rng.random(X.shape) < level, value, X)


def errors(data_set, noise, level, seed):
    """Return the mean squared error of each method on held-out rows."""
    X, _ = data_set.load()
    train, test = train_test_split(X, random_state=seed)
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    k = min(N_COMPONENTS, np.linalg.matrix_rank(train) - 1)
    noisy = spoil(noise, level, train, test, np.random.default_rng(seed))
    settings = {"noise": noise, "noise_level": level, "random_state": seed}
    methods = {
        "denoising": DenoisingAutoencoder(k, **settings),
        "linear denoiser": DenoisingAutoencoder(k, hidden_layer_sizes=(), **settings),
        "PCA": PCA(k),
        "AutoencoderTransformer": AutoencoderTransformer(k, random_state=seed),
    }
    result = {"noisy rows": noisy}
    for name, method in methods.items():
        method.fit(train)
        result[name] = method.inverse_transform(method.transform(noisy))
    return {name: np.mean((clean - test) ** 2) for name, clean in result.items()}


def main(argv=None):
    """Print the ratios of the denoising autoencoder's error to the others'."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--data", nargs="*", default=[d.name for d in DATA_SETS])
    arguments = parser.parse_args(argv)
    rivals = ["linear denoiser", "PCA", "AutoencoderTransformer", "noisy rows"]
    print("error of DenoisingAutoencoder over that of each, against the clean held-out rows")
    print("| data | noise | " + " | ".join(rivals) + " |")
    print("|---|---|" + "---|" * len(rivals))
    for data_set in DATA_SETS:
        if data_set.name in arguments.data:
            for noise, level in NOISES.items():
                runs = [errors(data_set, noise, level, s) for s in range(arguments.seeds)]
                ratios = [
                    geometric_mean([r["denoising"] / r[rival] for r in runs]) for rival in rivals
                ]
                cells = " | ".join(f"{ratio:.3f}" for ratio in ratios)
                print(f"| {data_set.name} | {noise} {level} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
