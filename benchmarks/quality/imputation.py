"""Filling missing cells in real tables, against the imputers of scikit-learn.

A tenth of the cells is hidden, at random or, in the block pattern, a random
third of the rows loses a random third of the columns together. Every method
gets the same rows, at most 20,000; the others get categories as codes and
standardised columns. The error of a column is the root mean square over its
standard deviation for numbers and dates, and the share of wrong levels for
categories, over the hidden cells. Seconds are those of the processor, with one thread.
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from benchmarks.tables import MOST_ROWS, TABLES
from skae import AutoencoderTransformer, VAETransformer

SHARE = 0.1
OURS = {
    "skae, k=8, linear": lambda: AutoencoderTransformer(8, hidden_layer_sizes=(), random_state=0),
    "skae, k=8, 2 epochs": lambda: AutoencoderTransformer(
        8, max_iter=2, early_stopping=False, random_state=0
    ),
    "skae, k=8": lambda: AutoencoderTransformer(8, random_state=0),
    "skae, default size": lambda: AutoencoderTransformer(random_state=0),
    "skae, k=16": lambda: AutoencoderTransformer(16, random_state=0),
    "skae, 95 %": lambda: AutoencoderTransformer(0.95, random_state=0),
    "skae VAE, k=8": lambda: VAETransformer(8, random_state=0),
}
RIVALS = {
    "mean / mode": None,
    "KNNImputer": lambda: KNNImputer(keep_empty_features=True),
    "IterativeImputer": lambda: IterativeImputer(random_state=0, keep_empty_features=True),
}


def some_rows(X, rng):
    """Return at most as many rows as every method gets."""
    places = np.sort(rng.permutation(len(X))[:MOST_ROWS])
    return X.iloc[places].reset_index(drop=True)


def holes(X, pattern, rng):
    """Return which of the present cells are hidden."""
    mask = rng.random(X.shape) < SHARE
    if pattern == "block":
        rows = rng.permutation(len(X))[: len(X) // 3]
        columns = rng.permutation(X.shape[1])[: X.shape[1] // 3]
        mask = np.zeros(X.shape, dtype=bool)
        mask[np.ix_(rows, columns)] = True
    return mask & X.notna().to_numpy()


def as_numbers(column):
    """Return a column as floats: codes, seconds or numbers."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.astype(float).where(column.notna()).to_numpy()
    if column.dtype.kind == "M":
        return (column - pd.Timestamp(0, tz=column.dt.tz)).dt.total_seconds().to_numpy()
    return column.to_numpy(np.float64, na_value=np.nan)


def is_category(column):
    return isinstance(column.dtype, pd.CategoricalDtype)


def fill_by(imputer, X):
    """Return the numbers that an imputer of scikit-learn puts into a table."""
    numbers = np.column_stack([as_numbers(X[name]) for name in X])
    if imputer is None:
        simple = [
            SimpleImputer(strategy="most_frequent" if is_category(X[n]) else "mean") for n in X
        ]
        return np.hstack([s.fit_transform(numbers[:, [j]]) for j, s in enumerate(simple)])
    mean, scale = np.nanmean(numbers, axis=0), np.nanstd(numbers, axis=0)
    scale[scale == 0] = 1.0
    return imputer().fit_transform((numbers - mean) / scale) * scale + mean


def fill_by_skae(make, X):
    filled = make().fit(X).impute(X)
    return np.column_stack([as_numbers(filled[name]) for name in X])


def errors(X, filled, mask):
    """Return the mean error of numbers and of categories, and of all columns."""
    found = {True: [], False: []}
    for j, name in enumerate(X):
        hidden, truth = mask[:, j], as_numbers(X[name])
        if not hidden.any() or np.nanstd(truth) == 0:
            continue
        guess = filled[hidden, j]
        if is_category(X[name]):
            levels = np.clip(np.round(guess), 0, len(X[name].cat.categories) - 1)
            error = np.mean(levels != truth[hidden])
        else:
            error = np.sqrt(np.mean((guess - truth[hidden]) ** 2)) / np.nanstd(truth)
        found[is_category(X[name])].append(error)
    return [np.mean(part) for part in (found[False], found[True], found[False] + found[True])]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--patterns", nargs="+", default=["random", "block"])
    parser.add_argument("--methods", nargs="+", default=[*RIVALS, *OURS])
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    AutoencoderTransformer(1, max_iter=1).fit(np.eye(40))  # torch is imported by the first fit
    print("| table | missing | method | numbers | categories | all | seconds |")
    print("|---|---|---|---|---|---|---|")
    for table in asked.tables:
        X = some_rows(TABLES[table]()[0], np.random.default_rng(0))
        for pattern in asked.patterns:
            mask = holes(X, pattern, np.random.default_rng(1))
            spoilt = X.mask(mask)
            for method in asked.methods:
                begin = time.process_time()
                if method in OURS:
                    filled = fill_by_skae(OURS[method], spoilt)
                else:
                    filled = fill_by(RIVALS[method], spoilt)
                seconds = time.process_time() - begin
                cells = " | ".join(f"{e:.3f}" for e in errors(X, filled, mask))
                print(f"| {table} | {pattern} | {method} | {cells} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
