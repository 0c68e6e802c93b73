"""AutoencoderClassifier with 50, 100 and 200 labels beside SVC and logistic regression on all columns.

Run by ``python -m benchmarks.quality.few_labels``. Split and scaling are those of the contest; one
autoencoder at its defaults is fitted to all training rows of a table (3,000 at most), and the labels
are drawn ten times. Each draw is a line in a CSV file, and is not run again.
"""

import argparse
import csv
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from benchmarks.data import CLASSES, CONTEST
from benchmarks.quality.main_job import halves
from skae import AutoencoderClassifier, AutoencoderTransformer

LABELS = 50, 100, 200
FIELDS = "table", "labels", "draw", "SVC", "logistic", "skae", "head", "columns", "fine-tuned"
OUT = "benchmarks/results/few_labels.csv"


def line(autoencoder, train, test, n_labels, draw):
    """Return the held-out accuracies of a draw, and the head that was kept."""
    some = np.random.default_rng(1000 * draw + n_labels).permutation(len(train.y))[:n_labels]
    names, y = np.unique(train.y, return_inverse=True)
    known = np.full(len(y), -1)
    known[some] = y[some]
    if len(np.unique(y[some])) < 2:
        return None
    model = AutoencoderClassifier(autoencoder, unlabeled=-1, random_state=draw).fit(train.X, known)
    y_test = np.searchsorted(names, test.y)
    rivals = SVC(), LogisticRegression(max_iter=3000)
    scores = [rival.fit(train.X[some], y[some]).score(test.X, y_test) for rival in rivals]
    scores.append(model.score(test.X, y_test))
    kept = model.head_, model.uses_columns_, model.best_iter_
    return (n_labels, draw, *(f"{score:.5f}" for score in scores), *kept)


def run(tables, draws, out):
    """Append the lines that are not there yet."""
    done = set()
    if out.exists():
        done = set(map(tuple, pd.read_csv(out)[["table", "labels", "draw"]].to_numpy()))
    for table in tables:
        train, test = halves(table, 0)
        sizes = [n for n in LABELS if n <= len(train.y)]
        missing = [(n, d) for d in range(draws) for n in sizes if (table.name, n, d) not in done]
        if not missing:
            continue
        autoencoder = AutoencoderTransformer(random_state=0).fit(train.X)
        for n_labels, draw in missing:
            new = line(autoencoder, train, test, n_labels, draw)
            if new is None:
                continue
            with out.open("a", newline="") as file:
                writer = csv.writer(file)
                if file.tell() == 0:
                    writer.writerow(FIELDS)
                writer.writerow((table.name, *new))
            print(table.name, *new, flush=True)


def report(results):
    """Print means of each table and number of labels."""
    means = results.groupby(["table", "labels"], sort=False)[["SVC", "logistic", "skae"]].mean()
    print(
        "| table | labels | SVC | logistic | skae | beside the better |\n|---|---|---|---|---|---|"
    )
    for (name, n), row in means.iterrows():
        gain = row["skae"] - max(row["SVC"], row["logistic"])
        print(
            f"| {name} | {n} | {row.SVC:.3f} | {row.logistic:.3f} | {row.skae:.3f} | {gain:+.3f} |"
        )
    by_table = means.groupby(level="table").mean()
    print(means.mean().round(4).to_dict())
    for rival in ("SVC", "logistic"):
        behind = by_table.index[by_table["skae"] < by_table[rival] - 0.01].tolist()
        print(f"more than a point behind {rival}, over all numbers of labels: {behind}")


def main(argv=None):
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--data", nargs="*", help="names of tables; all by default")
    parser.add_argument("--out", type=Path, default=Path(OUT))
    parser.add_argument("--report", action="store_true", help="run nothing")
    arguments = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    tables = [t for t in CONTEST if t.task == CLASSES]
    if not arguments.report:
        chosen = [t for t in tables if not arguments.data or t.name in arguments.data]
        run(chosen, arguments.draws, arguments.out)
    report(pd.read_csv(arguments.out))


if __name__ == "__main__":
    main()
