"""Drawn rows beside real ones: `synthesis_report` of mixed tables. Resumable: rows are appended to a file.

3,000 rows of each table at most (``--rows``): two thirds are fitted to, as many rows are drawn, and the others
are held out. ``python -m benchmarks.quality.synthesis RESULTS.csv``
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.model_selection import train_test_split

from benchmarks.tables import MIXED, some_flights
from skae import VAETransformer
from skae.metrics import synthesis_report

TABLES = MIXED | {"flights": some_flights}
ROWS = 3000
WIDTH = 0.3  # of the smoothed bootstrap, in standard deviations of normal scores


def independent(train, seed):
    """Return rows whose columns are drawn one by one: no pair is kept."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: train[name].array[rng.permutation(len(train))] for name in train})


def scores_of(train, rng):
    """Return normal scores of a table, ties in random order, and the places of the cells in their order."""
    ranks = []
    for name in train:
        column = train[name]
        codes = column.cat.codes if isinstance(column.dtype, pd.CategoricalDtype) else column
        ranks.append(np.lexsort([rng.random(len(train)), codes.to_numpy()]))
    order = np.column_stack(ranks)
    return norm.ppf((order.argsort(axis=0) + 0.5) / len(train)), order


def with_scores(train, order, scores):
    """Return the table of normal scores: each is the training cell of its rank."""
    at = (norm.cdf(scores) * len(train)).astype(int).clip(0, len(train) - 1)
    return pd.DataFrame({n: train[n].array[order[at[:, j], j]] for j, n in enumerate(train)})


def copula(train, seed):
    """Return rows of a Gaussian copula: normal scores with the covariance of the training rows'."""
    rng = np.random.default_rng(seed)
    scores, order = scores_of(train, rng)
    drawn = rng.multivariate_normal(np.zeros(train.shape[1]), np.cov(scores.T), len(train))
    return with_scores(train, order, drawn)


def bootstrap(train, seed):
    """Return rows of a smoothed bootstrap: normal scores of training rows, shrunk, and noise."""
    rng = np.random.default_rng(seed)
    scores, order = scores_of(train, rng)
    noise = rng.multivariate_normal(np.zeros(train.shape[1]), np.cov(scores.T), len(train))
    some = scores[rng.integers(len(train), size=len(train))]
    return with_scores(train, order, np.sqrt(1 - WIDTH**2) * some + WIDTH * noise)


def drawn_by(train, seed):
    """Yield names of generators, rows that they drew, and the seconds of the fit."""
    yield "independent columns", independent(train, seed), 0.0
    yield "Gaussian copula", copula(train, seed), 0.0
    yield "smoothed bootstrap", bootstrap(train, seed), 0.0
    start = time.process_time()
    model = VAETransformer(random_state=seed).fit(train)
    seconds = time.process_time() - start
    n = len(train)
    yield "VAE, draws of the model", model.sample(n, seed, match_marginals=False), seconds
    yield "VAE", model.sample(n, seed), seconds
    start = time.process_time()
    model = VAETransformer(noise="columns", random_state=seed).fit(train)
    seconds = time.process_time() - start
    yield "VAE, noise by column", model.sample(n, seed), seconds


def reports(name, seed, rows):
    """Yield a row of figures for each generator, and one of the training rows."""
    X, target = TABLES[name]()
    X = X.dropna().reset_index(drop=True)
    X = X.sample(min(rows, len(X)), random_state=seed)
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
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--tables", nargs="*", default=list(MIXED))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    for seed in range(asked.seeds):
        for name in asked.tables:
            known = pd.read_csv(asked.results) if asked.results.exists() else None
            if known is not None and ((known["table"] == name) & (known["seed"] == seed)).any():
                continue
            frame = pd.DataFrame(reports(name, seed, asked.rows))
            frame.round(4).to_csv(asked.results, mode="a", index=False, header=known is None)
            print(frame.drop(columns=["seed"]).round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
