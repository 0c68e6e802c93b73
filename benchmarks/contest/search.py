"""What a search costs: twelve points, three folds, on digits: ``search/digits/jobs=1/pca``.

Size of the code (4) by the penalty of the classifier behind it (3), with PCA, with skae and with
a plain skorch net whose network, epochs and batch size are skae's (those of a fit of 8).
"""

import time
import warnings

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.contest import results
from benchmarks.data import find
from skae import AutoencoderTransformer

GRID = {"reduce__n_components": [2, 4, 8, 16], "judge__C": [0.1, 1, 10]}
SEARCH = results.FOLDER / "search.csv"


class PlainSkorch(TransformerMixin, BaseEstimator):
    """A skorch regressor from rows to themselves, as a reducer."""

    def __init__(self, n_components=8, hidden=(128, 128), epochs=20, batch_size=64):
        self.n_components, self.hidden = n_components, hidden
        self.epochs, self.batch_size = epochs, batch_size

    def fit(self, X, y=None):
        """Train the net."""
        import torch
        from skorch import NeuralNetRegressor

        from benchmarks.contest.rivals import layers

        torch.set_num_threads(1)
        torch.manual_seed(0)
        widths = (X.shape[1], *self.hidden, self.n_components)
        X = X.astype(np.float32)
        self.net_ = NeuralNetRegressor(
            torch.nn.Sequential(layers(*widths), layers(*widths[::-1])),
            optimizer=torch.optim.Adam, lr=1e-3, max_epochs=self.epochs, verbose=0,
            batch_size=self.batch_size, train_split=None, iterator_train__shuffle=True,
        ).fit(X, X)  # fmt: skip
        return self

    def transform(self, X):
        """Return the code."""
        import torch

        with torch.no_grad():
            rows = torch.as_tensor(X, dtype=torch.float32)
            return self.net_.module_[0](rows).numpy().astype(np.float64)


def contenders(X):
    """Return the reducers that are searched over."""
    ae = AutoencoderTransformer(8, random_state=0).fit(X)
    same = {"hidden": ae.hidden_layer_sizes_, "epochs": ae.n_iter_, "batch_size": ae.batch_size_}
    return {"pca": PCA(), "skae": AutoencoderTransformer(random_state=0),
            "plain_skorch": PlainSkorch(**same)}  # fmt: skip


def main():
    """Time the searches, in turn."""
    warnings.filterwarnings("ignore")
    X, y = find("digits").load()
    reducers = contenders(StandardScaler().fit_transform(X[: len(X) * 2 // 3]))
    done = results.read(SEARCH)
    for jobs in (1, 2):
        for name, reducer in reducers.items():
            scenario = f"search/digits/jobs={jobs}/{name}"
            if (scenario, 0) in done:
                continue
            steps = [("scale", StandardScaler()), ("reduce", reducer), ("judge", SVC())]
            search = GridSearchCV(Pipeline(steps), GRID, cv=3, n_jobs=jobs)
            clock, processor = time.perf_counter(), time.process_time()
            search.fit(X, y)
            figures = {"seconds": time.perf_counter() - clock, "best_score": search.best_score_}
            if jobs == 1:
                figures["cpu_seconds"] = time.process_time() - processor
            results.append(SEARCH, scenario, 0, figures)
            print(scenario, figures, flush=True)


if __name__ == "__main__":
    main()
