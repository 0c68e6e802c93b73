"""Held-out unexplained variance at the defaults, beside PCA. ``make bench-quality`` runs it.

Protocol: 75/25 split, StandardScaler on the training part, PCA fitted on the
same 75 %; cells in which PCA leaves less than 1e-6 unexplained are left out.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from benchmarks.contest.statistics import geometric_mean
from benchmarks.data import CLASSES, DATA_SETS
from skae import AutoencoderTransformer
from skae.metrics import reconstruction_score

COMPONENTS = (2, 4, 8, 16)
NEGLIGIBLE = 1e-6
FIELDS = "data rows columns k seed pca ae ratio best_iter seconds svc_pca svc_ae knn_pca knn_ae"


def cells(data_set, seeds):
    """Yield the figures of every number of components and seed of a data set."""
    X, y = data_set.load()
    for seed in seeds:
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
        scaler = StandardScaler().fit(X_train)
        parts = scaler.transform(X_train), scaler.transform(X_test), y_train, y_test
        for k in COMPONENTS:
            if k < np.linalg.matrix_rank(parts[0]):
                yield from cell(data_set, k, seed, *parts)


def cell(data_set, k, seed, X_train, X_test, y_train, y_test):
    """Yield the figures of one cell, unless PCA leaves nothing to explain."""
    pca = PCA(k, svd_solver="full").fit(X_train)
    unexplained_pca = 1 - reconstruction_score(pca, X_test)
    if unexplained_pca < NEGLIGIBLE:
        return
    began = time.perf_counter()
    ae = AutoencoderTransformer(k, random_state=seed).fit(X_train)
    seconds = time.perf_counter() - began
    unexplained_ae = 1 - ae.score(X_test)
    row = [data_set.name, len(X_train), X_train.shape[1], k, seed, unexplained_pca, unexplained_ae]
    row += [unexplained_ae / unexplained_pca, ae.best_iter_, seconds]
    judges = (SVC, KNeighborsClassifier) if data_set.task == CLASSES else (SVR, KNeighborsRegressor)
    for judge in judges:
        for reducer in (pca, ae):
            model = judge().fit(reducer.transform(X_train), y_train)
            row.append(model.score(reducer.transform(X_test), y_test))
    yield dict(zip(FIELDS.split(), row, strict=True))


def summary(rows):
    """Return the lines of the summary table, one a data set, and the totals."""
    lines = [
        "| data | rows x columns | ratio by k | geometric mean | median | worst | cells > 1.01 "
        "| seconds a fit (most) | SVC PCA / AE | kNN PCA / AE |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    means = []
    for name in dict.fromkeys(row["data"] for row in rows):
        mine = [row for row in rows if row["data"] == name]
        ratios = np.array([row["ratio"] for row in mine])
        by_k = {k: [r["ratio"] for r in mine if r["k"] == k] for k in COMPONENTS}
        means.append(geometric_mean(ratios))
        seconds = [row["seconds"] for row in mine]
        accuracy = {f: np.mean([row[f] for row in mine]) for f in FIELDS.split()[-4:]}
        lines.append(
            f"| {name} | {mine[0]['rows']} x {mine[0]['columns']} | "
            + " ".join(f"{k}: {geometric_mean(v):.3f}" for k, v in by_k.items() if v)
            + f" | {means[-1]:.3f} | {np.median(ratios):.3f} | {ratios.max():.3f} "
            f"| {np.sum(ratios > 1.01)} of {len(ratios)} "
            f"| {np.mean(seconds):.2f} ({max(seconds):.2f}) "
            f"| {accuracy['svc_pca']:.3f} / {accuracy['svc_ae']:.3f} "
            f"| {accuracy['knn_pca']:.3f} / {accuracy['knn_ae']:.3f} |"
        )
    ratios = np.array([row["ratio"] for row in rows])
    lines += [
        "",
        f"Geometric mean over data sets of equal weight: {geometric_mean(means):.3f}. "
        f"Cells at most 1.01: {np.mean(ratios <= 1.01):.1%} of {len(ratios)}; "
        f"worst {ratios.max():.3f}.",
    ]
    return lines


def main(argv=None):
    """Run the quality benchmark."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="*", default=[d.name for d in DATA_SETS])
    parser.add_argument("--csv", type=Path, help="where the figures of all cells go")
    arguments = parser.parse_args(argv)
    rows = []
    for data_set in DATA_SETS:
        if data_set.name not in arguments.data:
            continue
        for row in cells(data_set, range(arguments.seeds)):
            rows.append(row)
            print(
                "{data:>14} k={k:<3} seed={seed} PCA {pca:.4f} AE {ae:.4f} ".format(**row), end=""
            )
            print("ratio {ratio:.3f}, epoch {best_iter}, {seconds:.2f} s".format(**row), flush=True)
    if arguments.csv:
        with arguments.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS.split())
            writer.writeheader()
            writer.writerows(rows)
    print("\n" + "\n".join(summary(rows)))


if __name__ == "__main__":
    main()
