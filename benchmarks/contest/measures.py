"""What is measured of a fitted model."""

import warnings

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.manifold import trustworthiness
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC, SVR

from benchmarks.data import CLASSES

MOST_JUDGED, MOST_NEIGHBOURS = 2_000, 1_000  # rows: judges and neighbourhoods grow with the square
JUDGES = {
    "svc": (SVC, SVR),
    "knn": (KNeighborsClassifier, KNeighborsRegressor),
    "linear": (lambda: LogisticRegression(max_iter=1000), LinearRegression),
}


def unexplained(X, reconstruction):
    """Return the share of variance that a reconstruction leaves."""
    return float(np.sum((X - reconstruction) ** 2) / np.sum((X - X.mean(axis=0)) ** 2))


def judge(name, codes, data, task):
    """Return the accuracy (of numbers: R2) of a judge that sees the code alone."""
    make = JUDGES[name][task != CLASSES]
    train, test = (code[:MOST_JUDGED] for code in codes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make().fit(train, data.y_train[:MOST_JUDGED])
        return model.score(test, data.y_test[:MOST_JUDGED])


def attempt(measure, *arguments):
    """Return what a measure gives: a number, or why there is none."""
    try:
        value = float(measure(*arguments))
    except Exception as error:  # whatever a package raises is its result
        return f"{type(error).__name__}: {error}"[:200]
    return value if np.isfinite(value) else f"not finite: {value}"


def cell(model, data, task, k):
    """Return the figures of one cell, by name."""
    test = data.X_test
    figures = {"unexplained": attempt(lambda: unexplained(test, model.reconstruct(test)))}
    if hasattr(model, "nats"):
        figures["nats"] = attempt(model.nats, test[:MOST_NEIGHBOURS])
    if not hasattr(model, "transform"):
        return figures
    try:
        codes = [model.transform(X[:MOST_JUDGED]) for X in (data.X_train, test)]
    except Exception as error:
        return figures | {"svc": f"{type(error).__name__}: {error}"[:200]}
    for name in JUDGES:
        figures[name] = attempt(judge, name, codes, data, task)
    if k == 2:
        rows, code = test[:MOST_NEIGHBOURS], codes[1][:MOST_NEIGHBOURS]
        figures["trustworthiness"] = attempt(trustworthiness, rows, code)
        figures["continuity"] = attempt(trustworthiness, code, rows)
    return figures


def anomaly(model, X, odd):
    """Return how well reconstruction errors rank hidden anomalies."""

    def area():
        return roc_auc_score(odd, np.sum((X - model.reconstruct(X)) ** 2, axis=1))

    return {"auc": attempt(area)}
