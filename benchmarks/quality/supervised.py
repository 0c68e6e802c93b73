"""Codes for a task: SupervisedAutoencoder beside the methods that look at labels, and those that do not.

Run by ``python -m benchmarks.quality.supervised RESULTS.csv``. Each line is one
fit: a table, a size of the code, a seed, a method; lines that are there are not
run again, so a run that was stopped goes on. ``--report`` prints tables of means
and paired differences, ``--picture FILE`` draws prediction over reconstruction.

Rows are split and scaled as in the contest, with at most `MOST_ROWS` for
training. Three judges see the code alone: SVC, kNN and a linear model (for
numbers their regressors), with scikit-learn's parameters.
"""

import argparse
import csv
import os
import time
import warnings
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from benchmarks.contest.measures import JUDGES, judge
from benchmarks.data import CLASSES, CONTEST, Split, find, split
from skae import AutoencoderTransformer, SupervisedAutoencoder
from skae.metrics import explained_share

SIZES = 1, 2, 4, 8
MOST_ROWS, MOST_COMPARED = (
    4_000,
    2_000,
)  # of training; of NCA and kernels, which grow with the square
CHOICE = "digits", "wine", "mnist_5k", "leaf_flavia", "caravan", "diabetes", "diamonds"
REPORT = "breast_cancer", "iris", "cells", "tissue_gene", "watch_har", "ames", "flights"
MIXINGS = 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97
COLUMNS = "data", "k", "seed", "method", *JUDGES, "reconstruction", "head", "seconds"


def coded(y):
    """Return labels as columns of numbers, of unit variance in all."""
    if y.dtype.kind != "f":
        y = OneHotEncoder(sparse_output=False).fit_transform(y[:, None])
    y = y.reshape(len(y), -1) - y.reshape(len(y), -1).mean(axis=0)
    return y / np.sqrt(np.mean(y**2, axis=0).sum())


class Linear:
    """A method of scikit-learn's that gives codes; rows are given back by the best linear map."""

    def __init__(self, method, is_kernel=False, numbers=False):
        self.method, self.most, self.numbers = method, MOST_COMPARED if is_kernel else None, numbers

    def fit(self, X, y):
        """Fit the method, and the way back."""
        some = slice(self.most)
        self.method.fit(X[some], coded(y[some]) if self.numbers else y[some])
        self.back = RidgeCV().fit(self.transform(X), X)
        return self

    def transform(self, X):
        """Return the code."""
        return np.asarray(self.method.transform(X)).reshape(len(X), -1)

    def score(self, X):
        """Return the explained share of the variance."""
        return explained_share(X, self.back.predict(self.transform(X)))


def all_columns():
    """Return what leaves rows as they are."""
    return Linear(FunctionTransformer())


def methods(k, seed, data, task):
    """Return what makes each method of a size, by name."""
    n, p = data.X_train.shape
    n_classes = len(np.unique(data.y_train)) if task == CLASSES else None
    about = {"random_state": seed}
    made = {
        "pca": lambda: Linear(PCA(k, **about)),
        "plain": lambda: AutoencoderTransformer(k, **about),
        "supervised": lambda: SupervisedAutoencoder(k, **about),
        "pls": lambda: Linear(PLSRegression(k, scale=False), numbers=True),
        "columns": all_columns,
    }
    for mixing in MIXINGS:
        made[f"mixing={mixing}"] = partial(SupervisedAutoencoder, k, mixing=mixing, **about)
        linear = {"hidden_layer_sizes": (), "mixing": mixing}
        made[f"pcovr={mixing}"] = partial(SupervisedAutoencoder, k, **linear, **about)
    if task == CLASSES:
        made["nca"] = lambda: Linear(
            NeighborhoodComponentsAnalysis(min(k, p), init="pca", max_iter=50, **about), True
        )
        if k < n_classes:
            made["lda"] = lambda: Linear(LinearDiscriminantAnalysis(n_components=k))
    if find_spec("skmatter"):
        made["kpcovr"] = lambda: kernel_pcovr(k, 1 / np.sum(data.X_train.var(axis=0)))
    if find_spec("umap"):
        made["umap"] = lambda: umap(k, task, seed)
    return made if k <= min(n, p) else {"columns": all_columns}


def kernel_pcovr(k, gamma):
    """Return KernelPCovR with a Gaussian kernel of SVC's width."""
    from skmatter.decomposition import KernelPCovR

    kernel = {"kernel": "rbf", "gamma": gamma}
    return Linear(
        KernelPCovR(mixing=0.5, n_components=k, center=True, **kernel), True, numbers=True
    )


def umap(k, task, seed):
    """Return UMAP with labels."""
    from umap import UMAP

    metric = "categorical" if task == CLASSES else "l2"
    return Linear(UMAP(n_components=k, target_metric=metric, random_state=seed))


def rows_of(data_set, seed):
    """Return a split with not too many rows; classes are integers, numbers standardised (for SVR)."""
    data = split(data_set, seed)
    y = np.concatenate([data.y_train, data.y_test])
    if data_set.task == CLASSES:
        y = np.unique(y, return_inverse=True)[1]
    else:
        y = (y - data.y_train.mean()) / data.y_train.std()
    y, y_test = np.split(y, [len(data.y_train)])
    return Split(data.X_train[:MOST_ROWS], data.X_test, y[:MOST_ROWS], y_test)


def cell(make, data, task):
    """Return the figures of a method."""
    start = time.process_time()  # others use the machine, too
    model = make().fit(data.X_train, data.y_train)
    seconds = time.process_time() - start
    codes = [model.transform(X) for X in (data.X_train, data.X_test)]
    figures = {name: judge(name, codes, data, task) for name in JUDGES}
    figures |= {"reconstruction": model.score(data.X_test), "seconds": seconds}
    if hasattr(model, "predict"):
        predicted = model.predict(data.X_test)
        right = np.mean(predicted == data.y_test)
        figures["head"] = (
            right if task == CLASSES else explained_share(data.y_test[:, None], predicted[:, None])
        )
    return figures


def run(path, names, sizes, seeds, wanted):
    """Run what is not in the file yet, and write it there line by line."""
    known = set()
    if path.exists():
        with open(path, newline="") as file:
            known = {tuple(line[c] for c in COLUMNS[:4]) for line in csv.DictReader(file)}
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if not known:
            writer.writeheader()
        for seed in seeds:
            for name in names:
                data_set = find(name)
                data = rows_of(data_set, seed)
                for k in sizes:
                    made = methods(k, seed, data, data_set.task)
                    for method in (m for m in wanted or made if m in made):
                        place = name, str(k), str(seed), method
                        if place in known:
                            continue
                        figures = cell(made[method], data, data_set.task)
                        writer.writerow(dict(zip(COLUMNS[:4], place, strict=True)) | figures)
                        file.flush()
                        os.fsync(file.fileno())


def judged(path):
    """Return the figures of a file, with the mean of the judges."""
    frame = pd.read_csv(path)
    return frame.assign(judges=frame[list(JUDGES)].mean(axis=1))


def compared(frame, of, what):
    """Return each method's mean and that of another where both are, and what the other has more.

    The interval is twice the standard error of the differences' means over the tables.
    """
    wide = frame.pivot_table(index=["data", "k", "seed"], columns="method", values=what)
    for method in wide.columns.drop(of):
        both = wide[[of, method]].dropna()
        gains = (both[of] - both[method]).groupby("data").mean()
        if len(gains):
            yield method, *both.mean(), gains.mean(), 2 * gains.sem(), len(gains)


def report(path, of="supervised"):
    """Print what a method has more than each other one, by the size of the code."""
    frame = judged(path)
    tasks = {d.name: d.task for d in CONTEST}
    for what in ("judges", "reconstruction"):
        for task, rows in frame.groupby(frame["data"].map(tasks)):
            for k, part in rows.groupby("k"):
                print(f"\n{task}, {what}, k = {k}\n\n| | {of} | it | difference | +- | tables |")
                print("|---" * 6 + "|")
                for method, own, its, gain, error, n in compared(part, of, what):
                    print(f"| {method} | {own:.3f} | {its:.3f} | {gain:+.3f} | {error:.3f} | {n} |")


def draw(path, picture, sizes=(2, 4)):
    """Draw, of the tables with classes, accuracy over reconstruction as the mixing runs."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    frame = judged(path)
    frame = frame[frame["data"].isin([d.name for d in CONTEST if d.task == CLASSES])]
    figure, axes = plt.subplots(1, len(sizes), figsize=(10, 4.5), layout="constrained")
    for ax, k in zip(axes, sizes, strict=True):
        wide = frame[frame["k"] == k].pivot_table(
            index=["data", "seed"], columns="method", values=["reconstruction", "judges"]
        )
        wide = wide.dropna(axis=1, thresh=0.9 * len(wide)).dropna()
        means = wide.mean().unstack(0)
        for kind, colour, end in (("mixing", "#d1495b", "plain"), ("pcovr", "#30638e", "pca")):
            names = [name for name in means.index if name.startswith(f"{kind}=")]
            if end in means.index:
                names.append(end)
            line = means.loc[names]
            label = "SupervisedAutoencoder" if kind == "mixing" else "PCovR (linear)"
            ax.plot(line["reconstruction"], line["judges"], "o-", color=colour, label=label)
            for name, point in line.iterrows():
                text = name.removeprefix(f"{kind}=").replace("plain", "1").replace("pca", "1: PCA")
                ax.annotate(text, point[["reconstruction", "judges"]], (4, -9), fontsize=8,
                            textcoords="offset points")  # fmt: skip
        others = [n for n in means.index if "=" not in n and n not in ("plain", "pca", "columns")]
        for name, point in means.loc[others].iterrows():
            ax.plot(point["reconstruction"], point["judges"], "s", color="#6b7280")
            ax.annotate(name.upper(), point[["reconstruction", "judges"]], (5, 3), fontsize=8,
                        textcoords="offset points")  # fmt: skip
        ax.set(title=f"{k} components", xlabel="explained share of the rows")
    axes[0].set_ylabel("accuracy, mean of three judges")
    axes[0].legend(frameon=False, loc="lower right")
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def main(argv=None):
    """Run, report or draw."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="*", default=[data_set.name for data_set in CONTEST])
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--methods", nargs="*")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--picture")
    arguments = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    if arguments.report:
        report(arguments.results)
    if arguments.picture:
        draw(arguments.results, arguments.picture)
    if arguments.report or arguments.picture:
        return
    run(
        arguments.results,
        arguments.data,
        arguments.sizes,
        range(arguments.seeds),
        arguments.methods,
    )


if __name__ == "__main__":
    main()
