"""An epoch of every estimator beside a hand-written loop over the same network, noise and loss.

Run by ``python -m benchmarks.speed.family``. The loop is written as a torch
user writes it, with ``torch.optim.Adam`` at its defaults; it gets skae's own
module, corruption and objective, so only the way they are run differs.
"""

import argparse
import time

import numpy as np
import torch

import skae
from benchmarks.speed.__main__ import BATCH, N_COMPONENTS, medians, table
from skae._estimators.base import BaseAutoencoder, model_of

HIDDEN = (64,)
OTHERS = (
    skae.AdversarialAutoencoder,
    skae.BiGANTransformer,
    skae.ConditionalVAE,
    skae.ConvolutionalAutoencoder,
    skae.RecurrentAutoencoder,
)
ESTIMATORS = [
    kind
    for kind in (getattr(skae, name) for name in skae.__all__)
    if isinstance(kind, type)
    and issubclass(kind, BaseAutoencoder)
    # those with networks and losses of their own are left out
    and kind not in OTHERS
]


def estimator(kind, epochs):
    """Return an estimator that trains for a number of epochs, without held-out rows."""
    return kind(
        N_COMPONENTS, hidden_layer_sizes=HIDDEN, batch_size=BATCH, early_stopping=False,
        max_iter=epochs, random_state=0,
    )  # fmt: skip


def fit(kind, X, epochs):
    """Return the seconds of a fit."""
    model = estimator(kind, epochs)
    began = time.perf_counter()
    model.fit(X)
    return time.perf_counter() - began


def hand_written(kind, X, epochs):
    """Return the seconds of a plain loop."""
    model, generator = estimator(kind, 1).fit(X), torch.Generator().manual_seed(0)
    task, baseline = model_of(model).task, model_of(model).baseline
    module, objective = task.network(generator), task.objective(baseline)
    task.start_at(module, baseline)
    rows = torch.from_numpy((X - baseline.mean) / baseline.scale).float()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    began = time.perf_counter()
    for _ in range(epochs):
        corrupt = task.corruption(baseline).begin(generator)
        order = torch.randperm(len(rows))
        for first in range(0, len(rows), BATCH):
            batch = rows[order[first : first + BATCH]]
            optimizer.zero_grad()
            objective(module(corrupt(batch)), batch).mean().backward()
            optimizer.step()
    return time.perf_counter() - began


def main(argv=None):
    """Print the ratio for every estimator."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(argv).rounds
    torch.set_num_threads(1)
    X, epochs = table(5000, 64).astype(np.float64), 4
    print(f"5,000 x 64, hidden layer {HIDDEN[0]}, code {N_COMPONENTS}, batch {BATCH}, one thread")
    print("| estimator | us a step | over the hand-written loop |")
    print("|---|---|---|")
    for kind in ESTIMATORS:
        runs = {
            "skae": lambda kind=kind: fit(kind, X, epochs + 1) - fit(kind, X, 1),
            "loop": lambda kind=kind: hand_written(kind, X, epochs),
        }
        t = medians(runs, rounds)
        step = t["skae"] / epochs / (len(X) / BATCH) * 1e6
        print(f"| {kind.__name__} | {step:.0f} | {t['skae'] / t['loop']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
