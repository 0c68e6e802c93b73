"""Codes of real tables: what they explain, column by column, and what can be predicted from them.

The linear rivals are factor analysis of mixed data, which is where training
starts, and PCA of the table with one-hot categories, columns standardised and
missing cells filled with means. Half of at most 6,000 rows is held out.
"""

import time
import warnings
from resource import RUSAGE_SELF, getrusage

import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.tables import TABLES, flights
from skae import AutoencoderTransformer

SIZES = 2, 4, 8, 16
ROWS = 6000


def one_hot():
    """Return what makes numbers of a table."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    levels = OneHotEncoder(min_frequency=10, handle_unknown="ignore", sparse_output=False)
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (levels, make_column_selector(dtype_include="category")),
    )


def without_dates(X):
    """Return a table with dates as numbers, which every method can read."""
    dates = X.select_dtypes(["datetime", "datetimetz"]).columns
    return X.assign(**{name: X[name].astype("int64") / 1e18 for name in dates})


def halves(name, seed):
    X, target = TABLES[name]()
    X = without_dates(X.dropna(subset=[target]).sample(n=min(ROWS, len(X)), random_state=seed))
    y = np.log(X.pop(target)) if name != "flights" else X.pop(target)
    return train_test_split(X, y, test_size=0.5, random_state=seed)


def codes(train, k):
    """Yield names, fitted transformers and what they explain of held-out rows."""
    yield "PCA of one-hot", make_pipeline(one_hot(), PCA(k, random_state=0)).fit(train)
    linear = AutoencoderTransformer(k, hidden_layer_sizes=(), random_state=0)
    yield "FAMD", linear.fit(train)
    yield "skae", AutoencoderTransformer(k, random_state=0).fit(train)


def by_kind(model, test):
    """Return the explained share: of all columns, numbers and categories."""
    if not hasattr(model, "score_by_column"):
        return ["", "", ""]
    scores = model.score_by_column(test)
    kinds = (test.dtypes == "category").to_numpy()
    return [f"{np.nanmean(part):.3f}" for part in (scores, scores[~kinds], scores[kinds])]


def of_codes(name, seed=0):
    train, test, y, y_test = halves(name, seed)
    for k in SIZES:
        for label, model in codes(train, k):
            Z, Z_test = model.transform(train), model.transform(test)
            heads = RidgeCV(np.logspace(-3, 3, 7)), HistGradientBoostingRegressor(random_state=0)
            r2 = [f"{head.fit(Z, y).score(Z_test, y_test):.3f}" for head in heads]
            cells = " | ".join([*by_kind(model, test), *r2])
            print(f"| {name} | {k} | {label} | {cells} |", flush=True)


def whole_flights():
    """Fit all 336,776 flights."""
    X, _ = flights()
    begin = time.process_time()
    model = AutoencoderTransformer(8, random_state=0).fit(X)
    seconds = time.process_time() - begin
    peak = getrusage(RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nAll {len(X):,} flights: {seconds:.0f} s of the processor, {peak:.1f} GiB,", end=" ")
    print(f"{model.n_iter_} epochs, score {model.pca_score_:.3f} -> {model.score(X[::10]):.3f}")


def main():
    warnings.simplefilter("ignore")
    print("| table | k | code | explained | numbers | categories | ridge R2 | boosting R2 |")
    print("|---|---|---|---|---|---|---|---|")
    for name in TABLES:
        of_codes(name)
    whole_flights()


if __name__ == "__main__":
    main()
