"""Rows with many missing cells: what each estimator leaves of the cells that are present.

Run by ``python -m benchmarks.quality.missing``. Tables of scikit-learn, a
quarter of the rows for testing, standardised; then cells are hidden at random,
or every row ends at a random column, in training and test rows alike. Errors
are those of the test rows' present cells, over the error of the least that any
fit may give: PCA of the training rows whose missing cells are column means,
applied to test rows filled with the same means. ``hidden`` is the same ratio
for the cells that were hidden. Means over the seeds; ``worst`` is the largest
ratio of a single fit. With ``--results`` a file takes one line a fit; what it has
is not run again.
"""

import argparse
import itertools
import json
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

import skae

TABLES = "digits", "breast_cancer", "wine", "diabetes"
SHARES = 0.3, 0.5, 0.8, 0.95
ENDS = "ends"  # every row ends at a random column
ESTIMATORS = {
    "linear": lambda k, p, **rest: skae.AutoencoderTransformer(k, hidden_layer_sizes=(), **rest),
    "plain": lambda k, p, **rest: skae.AutoencoderTransformer(k, **rest),
    "denoising": lambda k, p, **rest: skae.DenoisingAutoencoder(k, **rest),
    "sparse": lambda k, p, **rest: skae.SparseAutoencoder(k, **rest),
    "contractive": lambda k, p, **rest: skae.ContractiveAutoencoder(k, **rest),
    "adversarial": lambda k, p, **rest: skae.AdversarialAutoencoder(k, **rest),
    "vae": lambda k, p, **rest: skae.VAETransformer(k, **rest),
    "recurrent": lambda k, p, **rest: skae.RecurrentAutoencoder(k, **rest),
}


def rows(table, pattern, seed):
    """Return training and test rows with missing cells, and the whole test rows."""
    X = getattr(datasets, f"load_{table}")(return_X_y=True)[0]
    rng = np.random.default_rng(seed)
    test, train = np.split(X[rng.permutation(len(X))], [len(X) // 4])
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    return spoilt(train, pattern, rng), spoilt(test, pattern, rng), test


def labels(table, seed):
    """Return the labels of these training and test rows."""
    y = getattr(datasets, f"load_{table}")(return_X_y=True)[1]
    test, train = np.split(y[np.random.default_rng(seed).permutation(len(y))], [len(y) // 4])
    return train, test


def spoilt(X, pattern, rng):
    """Return rows with missing cells."""
    if pattern == ENDS:
        ends = rng.integers(1, X.shape[1] + 1, len(X))
        return np.where(np.arange(X.shape[1]) < ends[:, None], X, np.nan)
    return np.where(rng.random(X.shape) < pattern, np.nan, X)


def errors(made, seen, whole):
    """Return the squared errors of present and of hidden cells, in columns that fit knew."""
    squares = (made - whole) ** 2
    present = ~np.isnan(seen)
    return np.nansum(squares[present]), np.nansum(squares[~present])


def of_filled_pca(k, train, seen, whole):
    """Return the same of PCA of mean-filled rows."""
    known = ~np.isnan(train).all(axis=0)
    train, seen, whole = train[:, known], seen[:, known], whole[:, known]
    mean = np.nanmean(train, axis=0)
    pca = PCA(k, svd_solver="full").fit(np.where(np.isnan(train), mean, train))
    made = pca.inverse_transform(pca.transform(np.where(np.isnan(seen), mean, seen)))
    return errors(made, seen, whole)


def ratios(make, k, table, pattern, seed, **settings):
    """Return the errors of present and hidden cells over those of PCA of mean-filled rows."""
    train, seen, whole = rows(table, pattern, seed)
    model = make(k, train.shape[1], random_state=seed, **settings).fit(train)
    found = errors(model.reconstruct(seen), seen, whole)
    return np.divide(found, of_filled_pca(k, train, seen, whole))


def fits(settings, results):
    """Run the fits that a file has not, and return all, by setting."""
    lines = results.read_text().splitlines() if results and results.exists() else []
    known = {tuple(line["fit"]): line for line in map(json.loads, lines)}
    for fit in settings:
        if fit not in known:
            table, pattern, k, name, seed = fit
            began = time.process_time()
            present, hidden = ratios(ESTIMATORS[name], k, table, pattern, seed)
            seconds = time.process_time() - began
            known[fit] = {"fit": fit, "present": present, "hidden": hidden, "seconds": seconds}
            if results:
                with results.open("a") as file:
                    file.write(json.dumps(known[fit]) + "\n")
    return known


def main(argv=None):
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES)
    parser.add_argument("--ends", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--estimators", nargs="+", default=list(ESTIMATORS))
    parser.add_argument("--components", nargs="+", type=int, default=[2, 8])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    patterns = [*asked.shares, *([ENDS] if asked.ends else [])]
    rows = list(itertools.product(asked.tables, patterns, asked.components, asked.estimators))
    seeds = range(asked.seeds)  # outermost, so that every setting has its first figures early
    known = fits([(*row, seed) for seed in seeds for row in rows], asked.results)
    print("| table | missing | k | model | present | worst | hidden | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        found = [known[*row, seed] for seed in seeds]
        present, hidden, seconds = (
            [fit[name] for fit in found] for name in ("present", "hidden", "seconds")
        )
        means = f"{np.mean(present):.3f} | {max(present):.3f} | {np.mean(hidden):.3f}"
        print("|", " | ".join(map(str, row)), f"| {means} | {np.mean(seconds):.1f} |")


if __name__ == "__main__":
    main()
