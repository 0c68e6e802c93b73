"""Speed beside hand-written loops, in ratios measured in one run. ``make bench-speed`` runs it.

Everything that is compared is run in turn, several rounds, and the medians
are divided: a machine that slows down slows all of them. Training is the time
of an epoch after PCA: the time of a fit of many epochs less that of
a fit of few, early stopping off.
"""

import argparse
import math
import statistics
import subprocess
import sys
import time
import warnings
from copy import deepcopy

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPRegressor
from torch import nn

from skae import AutoencoderTransformer
from skae._estimators.base import model_of
from skae.nn.build import new_autoencoder, released

SHAPES = {"1,797 x 64": (1797, 64), "20,000 x 64": (20_000, 64), "200,000 x 32": (200_000, 32),
          "60,000 x 784": (60_000, 784)}  # fmt: skip
NETWORKS = (128, 128), (64,)
N_COMPONENTS, BATCH = 8, 128


def table(n_rows, n_columns):
    """Return correlated float32 rows of unit variance."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 16)) @ rng.normal(size=(16, n_columns))
    X = np.tanh(X) + 0.1 * rng.normal(size=X.shape)
    return (X / X.std(axis=0)).astype(np.float32)


def network(n_columns, hidden):
    """Return the network that skae trains: a linear path and hidden layers each way."""
    generator = torch.Generator().manual_seed(0)
    module = new_autoencoder((n_columns, n_columns), N_COMPONENTS, hidden, "gelu", generator, True)
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, 0, 1 / math.sqrt(parameter.shape[1]))
    return module


class Reconstruction(nn.Module):
    """The network as a plain module: rows in, reconstructions out."""

    def __init__(self, n_columns, hidden):
        super().__init__()
        self.net = network(n_columns, hidden)

    def forward(self, x):
        """Return the reconstruction."""
        return self.net(x).reconstruction


def hand_written(X, hidden, epochs, **adam):
    """Train by a loop as a torch user writes it; return the seconds."""
    rows, model, loss = torch.from_numpy(X), Reconstruction(X.shape[1], hidden), nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **adam)
    began = time.perf_counter()
    for _ in range(epochs):
        order = torch.randperm(len(rows))
        for start in range(0, len(rows), BATCH):
            batch = rows[order[start : start + BATCH]]
            optimizer.zero_grad()
            loss(model(batch), batch).backward()
            optimizer.step()
    return time.perf_counter() - began


def plain_skorch(X, hidden, epochs):
    """Train by a plain skorch regressor; return the seconds."""
    from skorch import NeuralNetRegressor

    net = NeuralNetRegressor(
        Reconstruction(X.shape[1], hidden), optimizer=torch.optim.Adam, lr=1e-3, max_epochs=epochs,
        batch_size=BATCH, train_split=None, verbose=0, iterator_train__shuffle=True,
    )  # fmt: skip
    net.initialize()
    began = time.perf_counter()
    net.partial_fit(X, X)
    return time.perf_counter() - began


def mlp_regressor(X, hidden, epochs):
    """Train scikit-learn's perceptron to give its input; return the seconds."""
    layers = (*hidden, N_COMPONENTS, *hidden[::-1])
    model = MLPRegressor(
        hidden_layer_sizes=layers, batch_size=BATCH, max_iter=epochs, tol=0, n_iter_no_change=10**6
    )
    began = time.perf_counter()
    model.fit(X, X)
    return time.perf_counter() - began


def skae_fit(X, hidden, epochs):
    """Fit an autoencoder without held-out rows; return the seconds."""
    model = AutoencoderTransformer(
        N_COMPONENTS, hidden_layer_sizes=hidden, batch_size=BATCH, early_stopping=False,
        max_iter=epochs, random_state=0,
    )  # fmt: skip
    began = time.perf_counter()
    model.fit(X)
    return time.perf_counter() - began


def skae_epochs(X, hidden, epochs):
    """Return the seconds of ``epochs`` epochs: one fit less a shorter one."""
    return skae_fit(X, hidden, epochs + 1) - skae_fit(X, hidden, 1)


CONTENDERS = {
    "skae": skae_epochs,
    "torch, default Adam (a)": hand_written,
    "torch, fused Adam": lambda X, hidden, epochs: hand_written(X, hidden, epochs, fused=True),
    "plain skorch (b)": plain_skorch,
    "MLPRegressor (c)": mlp_regressor,
}


def medians(contenders, rounds):
    """Return the median seconds of each, run in turn."""
    seconds = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            seconds[name].append(run())
    return {name: statistics.median(times) for name, times in seconds.items()}


def training(shape, hidden, threads, rounds):
    """Print the ratios of an epoch at one shape."""
    torch.set_num_threads(threads)
    n_rows, n_columns = SHAPES[shape]
    X = table(n_rows, n_columns)
    epochs = max(1, 20_000 // n_rows)
    runs = {name: lambda run=run: run(X, hidden, epochs) for name, run in CONTENDERS.items()}
    result = medians(runs, rounds)
    ratios = " | ".join(f"{result['skae'] / result[name]:.2f}" for name in list(result)[1:])
    per_step = result["skae"] / epochs / (n_rows / BATCH) * 1e6
    print(f"| {shape} | {hidden} | {threads} | {per_step:.0f} | {ratios} |", flush=True)


def inference(rounds):
    """Print the ratios of transform and inverse_transform."""
    X = table(200_000, 64)
    model = AutoencoderTransformer(8, hidden_layer_sizes=(64,), max_iter=2, early_stopping=False)
    model.fit(X[:5000])
    pca = PCA(8).fit(X[:5000])
    Z = model.transform(X)
    runs = {
        "transform": lambda: timed(model.transform, X),
        "PCA.transform": lambda: timed(pca.transform, X),
        "raw encoder": lambda: timed(raw_chain, model, "encoder", X),
        "inverse_transform": lambda: timed(model.inverse_transform, Z),
        "PCA.inverse_transform": lambda: timed(pca.inverse_transform, Z),
        "raw decoder": lambda: timed(raw_chain, model, "decoder", Z),
    }
    t = medians(runs, rounds)
    print("\n200,000 x 64 float32, one hidden layer of 64, seconds and ratios:")
    print(f"transform {t['transform']:.3f}: {t['transform'] / t['PCA.transform']:.2f} of PCA's, "
          f"{t['transform'] / t['raw encoder']:.2f} of the raw chunked chain")  # fmt: skip
    back = t["inverse_transform"]
    print(f"inverse_transform {back:.3f}: {back / t['PCA.inverse_transform']:.2f} of PCA's, "
          f"{back / t['raw decoder']:.2f} of the raw chunked chain")  # fmt: skip


def raw_chain(model, half, X):
    """Apply the layers of a half as bare matrix products, chunk by chunk."""
    module = getattr(released(deepcopy(model_of(model).module_in(X.dtype))), half)
    first, activation, last = module.nonlinear
    straight = module.linear.weight.T
    out = torch.empty(len(X), last.out_features)
    with torch.inference_mode():
        for start in range(0, len(X), 8192):
            x = torch.from_numpy(X[start : start + 8192])
            hidden = activation(torch.addmm(first.bias, x, first.weight.T))
            chunk = torch.addmm(last.bias, hidden, last.weight.T).addmm_(x, straight)
            out[start : start + 8192] = chunk
    return out


def timed(function, *arguments):
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


FIRST_FIT = """
from sklearn.datasets import load_digits
from skae import AutoencoderTransformer
AutoencoderTransformer(8, max_iter=20, early_stopping=False).fit(load_digits().data)
"""
IMPORT_SKLEARN = "import sklearn.decomposition, sklearn.pipeline, sklearn.model_selection"


def first_fit(rounds):
    """Print the time of a first fit in a fresh process beside scikit-learn's import."""
    runs = {
        name: lambda code=code: timed(subprocess.run, [sys.executable, "-c", code])
        for name, code in {
            "fit": FIRST_FIT,
            "sklearn": IMPORT_SKLEARN,
            "skae": "import skae",
        }.items()
    }
    for run in runs.values():
        run()
    t = medians(runs, rounds)
    print(f"\nfresh process: import of scikit-learn {t['sklearn']:.2f} s, import skae "
          f"{t['skae']:.2f} s, first fit of digits, 20 epochs, {t['fit']:.2f} s: "
          f"{t['fit'] / t['sklearn']:.2f} of scikit-learn's import")  # fmt: skip


def main(argv=None):
    """Run the speed benchmark."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(argv).rounds
    warnings.filterwarnings("ignore")  # MLPRegressor does not converge, and need not
    print(f"one epoch of skae over one of each (code {N_COMPONENTS}, batch {BATCH})")
    names = " | ".join(list(CONTENDERS)[1:])
    print(f"| rows x columns | hidden | threads | us a step | {names} |")
    print("|---|---|---|---|---|---|---|---|")
    for shape in SHAPES:
        for hidden in NETWORKS:
            for threads in (1, 2):
                training(shape, hidden, threads, rounds)
    inference(rounds)
    first_fit(rounds)


if __name__ == "__main__":
    main()
