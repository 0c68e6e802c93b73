"""Drawn rows beside real ones: `synthesis_report` of mixed tables. Resumable: rows are appended to a file.

3,000 rows of each table at most: two thirds are fitted to, as many rows are drawn, and the others are held out.
``python -m benchmarks.quality.synthesis RESULTS.csv``
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from benchmarks.tables import MIXED
from skae import VAETransformer
from skae.metrics import synthesis_report

ROWS = 3000


def independent(train, seed):
    """Return rows whose columns are drawn one by one: no pair is kept."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: train[name].array[rng.permutation(len(train))] for name in train})


def drawn_by(train, seed):
    """Yield names of generators, rows that they drew, and the seconds of the fit."""
    yield "independent columns", independent(train, seed), 0.0
    start = time.perf_counter()
    model = VAETransformer(random_state=seed).fit(train)
    seconds = time.perf_counter() - start
    n = len(train)
    yield "VAE, draws of the model", model.sample(n, seed, match_marginals=False), seconds
    yield "VAE", model.sample(n, seed), seconds
    start = time.perf_counter()
    model = VAETransformer(noise="columns", random_state=seed).fit(train)
    seconds = time.perf_counter() - start
    yield "VAE, noise by column", model.sample(n, seed), seconds


def reports(name, seed):
    """Yield a row of figures for each generator, and one of the training rows."""
    X, target = MIXED[name]()
    X = X.dropna().reset_index(drop=True)
    X = X.sample(min(ROWS, len(X)), random_state=seed)
    train, holdout = (
        part.reset_index(drop=True)
        for part in train_test_split(X, test_size=1 / 3, random_state=seed)
    )
    about = {"table": name, "seed": seed, "rows": len(train), "columns": X.shape[1]}
    for generator, drawn, seconds in drawn_by(train, seed):
        report = synthesis_report(train, drawn, holdout, target)
        yield (
            about | {"rows drawn by": generator} | report["drawn"].to_dict() | {"seconds": seconds}
        )
    yield about | {"rows drawn by": "real rows"} | report["real"].to_dict() | {"seconds": 0.0}


def main():
    """Write the figures of all tables that are not yet in the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tables", nargs="*", default=list(MIXED))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    for seed in range(asked.seeds):
        for name in asked.tables:
            known = pd.read_csv(asked.results) if asked.results.exists() else None
            if known is not None and ((known["table"] == name) & (known["seed"] == seed)).any():
                continue
            frame = pd.DataFrame(reports(name, seed))
            frame.round(4).to_csv(asked.results, mode="a", index=False, header=known is None)
            print(frame.drop(columns=["seed"]).round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
