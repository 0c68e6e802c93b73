"""Graphs answer as the estimators do; those that would not are refused."""

import json
import subprocess
import sys
import urllib.request
from dataclasses import replace
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from family import CODING, PUBLIC, fitted, labelled_digits, name_of, rows_of_heads
from scipy import sparse
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    OneHotEncoder,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC

import skae
from skae._onnx import estimators
from skae._onnx.writer import _logit
from skae.nn.layers import ACTIVATIONS
from skae.onnx import as_inputs, register, to_onnx

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
METHODS = (
    "transform",
    "transform_distribution",
    "inverse_transform",
    "reconstruct",
    "denoise",
    "reconstruction_error",
    "score_samples",
)
FAST = {"n_components": 2, "max_iter": 2, "early_stopping": False, "random_state": 0}
TOLERANCE = {"f4": 1e-5, "f8": 1e-9}
SINGLE = (
    "ConvolutionalAutoencoder",
    "RecurrentAutoencoder",
    "StyleBiGAN",
)  # onnxruntime has them in float32 alone


def run(graph, X, y=None):
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    return session.run(None, as_inputs(X, y))


def assert_close(found, expected, tolerance):
    expected = np.asarray(expected).reshape(found.shape)
    largest = np.nanmax(np.abs(expected), axis=0)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    assert (np.nanmax(np.abs(found - expected), axis=0) <= tolerance * largest).all()


def asked_of(model):
    return [method for method in METHODS if hasattr(model, method)]


def table(n=120):
    rng = np.random.default_rng(0)
    t = rng.normal(size=n)
    X = pd.DataFrame(
        {
            "number": t + 0.1 * rng.normal(size=n),
            "town": np.where(t > 0, "Ames", np.where(t > -1, "Boone", "Nevada")),
            "day": pd.date_range("2020-01-01", periods=n),
            "wait": pd.to_timedelta(rng.integers(0, 10**6, n), unit="ms"),
            "flag": t > 0.3,
            "count": rng.integers(0, 9, n),
            "grade": pd.Categorical(rng.choice(list("abcd"), n), ordered=True),
        }
    )
    X.loc[::7, "town"], X.loc[::5, "number"], X.loc[8, "day"] = None, np.nan, pd.NaT
    X.loc[3, "town"] = "Zearing"  # a rare level
    return X


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("kind", CODING, ids=name_of)
def test_every_method_of_every_estimator(kind, dtype):
    X, y = labelled_digits(60)
    X = X.astype(dtype)
    model = fitted(kind, X, y, hidden_layer_sizes=(6,), channels=(3,), early_stopping=False)
    for method in asked_of(model):
        rows = model.transform(X) if method == "inverse_transform" else X
        given = (y,) if method == "inverse_transform" and kind is skae.ConditionalVAE else ()
        if name_of(kind) in SINGLE and dtype == "f8":
            with pytest.raises(ValueError, match="float32"):
                to_onnx(model, rows, method)
            continue
        found = run(to_onnx(model, rows, method, *given), rows, *given)
        expected = getattr(model, method)(rows, *given)
        expected = expected if isinstance(expected, tuple) else (expected,)
        for a, b in zip(found, expected, strict=True):
            if method != "reconstruction_error":  # to_onnx has units for it
                assert_close(a, b, TOLERANCE[dtype])


@pytest.mark.parametrize(
    "changes",
    [
        *({"activation": name} for name in sorted(ACTIVATIONS)),
        {"activation": torch.nn.SiLU},
        {"linear_path": None, "hidden_layer_sizes": (7, 5)},
        {"ordered": True},
        {"tied_weights": True, "hidden_layer_sizes": (7, 5)},
        {"tied_weights": True, "linear_path": None},
        {"whiten": True},
        {"hidden_layer_sizes": ()},
    ],
    ids=str,
)
def test_networks(changes):
    X, _ = labelled_digits(60)
    model = skae.AutoencoderTransformer(**{"hidden_layer_sizes": (6,)} | FAST | changes).fit(X)
    (found,) = run(to_onnx(model, X, "reconstruct"), X)
    assert_close(found, model.reconstruct(X), 1e-9)


def test_the_gelu_of_float64():
    """Of each number that a network may meet, and of those that none should."""
    x = np.concatenate([np.linspace(-40, 40, 100_001), [1e9, -1e9, 1e200, -1e200, 5e-324]])
    unit, places, squares = (part.reshape(-1, 1) for part in _logit())
    with np.errstate(over="ignore"):
        q = np.prod((unit * x * x + places) ** 2 + squares, axis=0)
        found = x * expit(x * q)
    exact = torch.nn.functional.gelu(torch.from_numpy(x)).numpy()
    assert np.abs(found - exact).max() < 5e-12
    X = 1e6 * labelled_digits(60)[0]
    model = skae.AutoencoderTransformer(**FAST, activation="gelu", linear_path=None).fit(X)
    assert_close(run(to_onnx(model, X), 1e6 * X)[0], model.transform(1e6 * X), 1e-9)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
@pytest.mark.parametrize("kind", [skae.AutoencoderTransformer, skae.VAETransformer], ids=name_of)
def test_tables_by_the_names_of_their_columns(kind, frame):
    X = frame(table())
    model = kind(**FAST, hidden_layer_sizes=(6,)).fit(X)
    graph = to_onnx(model, X)
    assert [place.name for place in graph.graph.input] == list(X.columns)
    assert_close(run(graph, X)[0], model.transform(X), 1e-9)
    for method in ("reconstruct", "reconstruction_error"):
        to_onnx(model, X, method)
    codes = model.transform(X)
    graph = to_onnx(model, codes, "inverse_transform")
    assert [place.name for place in graph.graph.output] == list(X.columns)
    back = dict(zip(X.columns, run(graph, codes), strict=True))
    given = as_inputs(model.inverse_transform(codes))
    for name in ("town", "grade", "flag", "count"):
        assert (back[name] == given[name]).all()
    assert back["day"].dtype == np.int64


@pytest.mark.filterwarnings("ignore:.*levels that fit did not see")
@pytest.mark.parametrize("min_frequency", [1, 0.05])
@pytest.mark.parametrize("kind", [skae.AutoencoderTransformer, skae.VAETransformer], ids=name_of)
def test_unseen_levels_and_missing_cells_inside_the_graph(kind, min_frequency):
    X = table()
    model = kind(**FAST, min_frequency=min_frequency).fit(X)
    later = X.head(5).assign(town=["nowhere", None, "Zearing", "Ames", None], number=np.nan)
    later = later.assign(day=later["day"].where([True] * 4 + [False]))
    for method in ("transform", "reconstruction_error", "score_samples"):
        if hasattr(model, method):
            found = run(to_onnx(model, X, method), later)[0]
            assert_close(found, getattr(model, method)(later), 1e-9)


def test_rows_without_any_cell():
    X = np.where(np.random.default_rng(0).random((60, 64)) < 0.1, np.nan, labelled_digits(60)[0])
    X[3] = np.nan
    for model, method in (
        (skae.AutoencoderTransformer(**FAST), "reconstruction_error"),
        (skae.VAETransformer(**FAST), "score_samples"),
    ):
        found = run(to_onnx(model.fit(X), X, method), X)[0][:, 0]
        np.testing.assert_array_equal(np.isnan(found), np.arange(60) == 3)


@pytest.mark.parametrize("of_table", [False, True])
def test_noise_by_column(of_table):
    X = table() if of_table else labelled_digits(150)[0]
    model = skae.VAETransformer(noise="columns", **FAST).fit(X)
    found = run(to_onnx(model, X, "score_samples"), X)[0][:, 0]
    assert_close(found, model.score_samples(X), 1e-9)


@pytest.mark.filterwarnings("ignore:No cell is present in")
@pytest.mark.parametrize("rows", ["table", "float32", "float64", "holes"])
def test_outlier_detectors(rows):
    X = table() if rows == "table" else labelled_digits(150)[0]
    X = X.astype(rows) if rows.startswith("float") else X
    if rows == "holes":
        X = np.where(np.random.default_rng(0).random(X.shape) < 0.05, np.nan, X)
    ae = skae.AutoencoderTransformer(**FAST)
    model = skae.AutoencoderOutlierDetector(ae, random_state=0).fit(X)
    for method in ("score_samples", "decision_function"):
        found, expected = run(to_onnx(model, X, method), X)[0], getattr(model, method)(X)
        assert_close(found, expected, 1e-9)
    usual = np.abs(expected) > 1e-9 * np.abs(model.score_samples(X))  # one row is at the edge
    graph = to_onnx(model, X, "predict")
    assert (run(graph, X)[0][usual] == model.predict(X)[usual]).all()
    if rows.startswith("float"):  # what the estimator refuses is not usual
        assert (run(graph, np.full_like(X[:2], np.inf))[0] == -1).all()


@pytest.mark.parametrize("missing", [False, True])
def test_changes_in_a_constant_column_have_their_limit_in_the_graph(missing):
    X, _ = labelled_digits(150)
    X[:, 20] = 1.0
    X[1, 30] = np.nan if missing else X[1, 30]
    ae = skae.AutoencoderTransformer(3, hidden_layer_sizes=(), random_state=0)
    model = skae.AutoencoderOutlierDetector(ae, random_state=0).fit(X)
    changed = X[:6].copy()
    changed[:4, 20] = [2.0, 40.0, -40.0, np.nan if missing else 1.0]
    found = run(to_onnx(model, X, "score_samples"), changed)[0]
    assert_close(found, model.score_samples(changed), 1e-9)


def test_a_pipeline_that_ends_in_a_detector():
    X, _ = labelled_digits(150)
    detector = skae.AutoencoderOutlierDetector(skae.AutoencoderTransformer(**FAST), random_state=0)
    model = make_pipeline(StandardScaler(), detector).fit(X)
    found = run(to_onnx(model, X, "score_samples"), X)[0]
    assert_close(found, model.score_samples(X), 1e-9)


def test_what_the_numpy_engine_serves_is_written_too(tmp_path):
    X, _ = labelled_digits(60)
    model = skae.AutoencoderTransformer(**FAST).fit(X)
    skae.save(model, tmp_path / "ae.skae")
    served = skae.load(tmp_path / "ae.skae", engine="numpy")
    assert_close(run(to_onnx(served, X, "reconstruct"), X)[0], model.reconstruct(X), 1e-9)


def test_columns_whose_names_are_the_same_as_text_are_refused():
    with pytest.raises(ValueError, match="the same as text"):
        as_inputs(pd.DataFrame([[1.0, 2.0]], columns=[1, "1"]))


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
def test_types_that_tables_have_come_back(frame):
    rng, n = np.random.default_rng(0), 80
    t = rng.normal(size=n)
    days = pd.date_range("2020-01-01", periods=n)
    X = pd.DataFrame({
        "row": t, "small": rng.integers(0, 9, n).astype("uint8"), "ms": days.astype("datetime64[ms]"),
        "zoned": days.tz_localize("Europe/Berlin"), "wait": pd.to_timedelta(t, unit="s").astype("timedelta64[ms]"),
        "many": pd.array(rng.integers(0, 9, n), dtype="Int64"), "word": pd.Series(rng.choice(["a", "b"], n), dtype="str"),
        "money": [Decimal(f"{x:.2f}") for x in t], "at": [day.time() for day in days + pd.to_timedelta(t**2, unit="h")],
        "day": [day.date() for day in days], "single": t.astype("float32"), "whole": pd.Series(range(n), dtype=object),
    })  # fmt: skip
    X = frame(X)
    model = skae.AutoencoderTransformer(**FAST).fit(X)
    for method in ("transform", "reconstruct"):
        to_onnx(model, X, method)


@pytest.mark.parametrize("name", ["number", "town", "day", "wait", "flag", "count", "grade"])
def test_a_table_of_one_column(name):
    X = table()[[name]]
    model = skae.AutoencoderTransformer(**FAST | {"n_components": 1}).fit(X)
    for method in ("transform", "reconstruct", "reconstruction_error"):
        to_onnx(model, X, method)
    to_onnx(model, model.transform(X), "inverse_transform")


def test_what_onnx_has_no_type_for_is_refused():
    X = table()[["number", "town"]]
    X["month"] = pd.period_range("2020-01", periods=len(X), freq="M")
    model = skae.AutoencoderTransformer(**FAST).fit(X)
    with pytest.raises(ValueError, match="no type for periods"):
        to_onnx(model, X, "reconstruct")
    X["month"] = pd.cut(X["number"], 3)
    with pytest.raises(ValueError, match="for which ONNX has no type"):
        as_inputs(X)


def test_without_its_packages_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "skae.onnx")
    with pytest.raises(ImportError, match=r"pip install 'skae\[onnx\]'"):
        import_module("skae.onnx")


@pytest.mark.parametrize("rows", ["holes", "float32", "empty column", "categories"])
def test_numbers_with_missing_cells(rows):
    X = table()[["number", "count"]].astype(float).to_numpy()
    extra = {"categorical_features": [1]} if rows == "categories" else {}
    X = X.astype(np.float32) if rows == "float32" else X
    X = np.column_stack([X, np.full(len(X), np.nan)]) if rows == "empty column" else X
    model = skae.AutoencoderTransformer(**FAST, **extra).fit(X)
    for method in ("transform", "reconstruct", "reconstruction_error"):
        to_onnx(model, X, method)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_pipelines(dtype):
    X, y = labelled_digits(100)
    X = X.astype(dtype)
    reduce = make_pipeline(StandardScaler(), PCA(12), skae.AutoencoderTransformer(**FAST))
    for head, target, method in (
        (LogisticRegression(), y, "predict"),
        (LogisticRegression(), y, "predict_proba"),
        (Ridge(), y.astype(float), "predict"),
    ):
        model = make_pipeline(reduce, StandardScaler(), head).fit(X, target)
        found = run(to_onnx(model, X, method), X)[0]
        assert_close(found, getattr(model, method)(X), 1e-4 if dtype == "f4" else 1e-9)
    codes = reduce.transform(X)
    back = run(to_onnx(reduce, codes, "inverse_transform"), codes)[0]
    assert_close(back, reduce.inverse_transform(codes), TOLERANCE[dtype] * 10)


def test_what_only_the_last_step_of_a_pipeline_has():
    X, _ = labelled_digits(60)
    model = make_pipeline(StandardScaler(), skae.VAETransformer(**FAST)).fit(X)
    scaled = model[0].transform(X)
    for method in ("reconstruct", "reconstruction_error", "transform_distribution"):
        found, expected = run(to_onnx(model, X, method), X), getattr(model[1], method)(scaled)
        assert_close(found[0], expected[0] if isinstance(expected, tuple) else expected, 1e-9)


def test_pipelines_of_frames():
    X, y = table(), np.arange(120) % 2
    model = make_pipeline(skae.AutoencoderTransformer(**FAST), LogisticRegression()).fit(X, y)
    assert_close(run(to_onnx(model, X, "predict_proba"), X)[0], model.predict_proba(X), 1e-9)
    X = X[["grade", "count"]].assign(count=X["count"].astype(float), more=np.arange(120.0))
    columns = make_column_transformer(
        (OneHotEncoder(), ["grade"]), (StandardScaler(), ["count", "more"])
    )
    model = make_pipeline(columns, skae.AutoencoderTransformer(**FAST)).fit(X)
    assert_close(run(to_onnx(model, X), X)[0], model.transform(X), 1e-9)


LABELS = {
    "integers": lambda y: y % 3 - 1,
    "floats": lambda y: (y % 3).astype(float),
    "booleans": lambda y: y % 2 == 0,
    "words": lambda y: np.array(["no", "yes"])[y % 2],
    "objects": lambda y: np.array(["no", "yes", "perhaps"], object)[y % 3],
}


@pytest.mark.filterwarnings("ignore:y has 3 whole numbers")
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("labels", LABELS)
def test_classifiers(labels, dtype):
    X, y = labelled_digits(100)
    X, y = X.astype(dtype), LABELS[labels](y)
    ae = skae.AutoencoderTransformer(**FAST)
    classifier = skae.AutoencoderClassifier(ae, head="linear", max_iter=2, random_state=0)
    for model in (classifier.fit(X, y), skae.SupervisedAutoencoder(**FAST).fit(X, y)):
        if labels == "floats" and model is not classifier:  # they are numbers there
            assert_close(
                run(to_onnx(model, X, "predict"), X)[0], model.predict(X), TOLERANCE[dtype]
            )
            continue
        assert (run(to_onnx(model, X, "predict"), X)[0] == model.predict(X)).all()
        for method in ("predict_proba", "decision_function"):
            if hasattr(model, method):
                found, expected = run(to_onnx(model, X, method), X)[0], getattr(model, method)(X)
                assert_close(found, expected, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_heads_of_every_kind(dtype):
    X, numbers = rows_of_heads()
    X, kinds = X.astype(dtype), set()
    for y in numbers.values():
        for kind, target in (
            (skae.AutoencoderClassifier, np.where(y > 0, "yes", "no")),
            (skae.AutoencoderRegressor, y),
        ):
            ae = skae.AutoencoderTransformer(**FAST)
            model = kind(ae, fine_tune="head", random_state=0).fit(X, target)
            kinds.add((kind, model.head_, model.uses_columns_))
            for method in ("predict", "predict_proba", "decision_function"):
                if hasattr(model, method):
                    found = run(to_onnx(model, X, method), X)[0]
                    expected = getattr(model, method)(X)
                    if found.dtype.kind == "O":
                        assert (found == expected).all()
                    else:
                        assert_close(found, expected, TOLERANCE[dtype])
    assert len(kinds) == 6


@pytest.mark.filterwarnings("ignore:.*levels that fit did not see")
@pytest.mark.filterwarnings("ignore:y has .* integers")
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
def test_predictions_of_tables(frame):
    X, t = table(), np.nan_to_num(table()["number"].to_numpy())
    later = frame(X.head(6).assign(town=["nowhere", None, "Zearing", "Ames", None, "Boone"]))
    X, y, kinds = frame(X), np.where(t > 0, "above", "below"), set()
    for model in (
        skae.AutoencoderClassifier(skae.VAETransformer(**FAST), random_state=0).fit(X, y),
        skae.AutoencoderRegressor(skae.AutoencoderTransformer(**FAST), random_state=0).fit(X, t),
        skae.SupervisedAutoencoder(**FAST).fit(X, y),
    ):
        kinds.add(getattr(model, "uses_columns_", None))
        found, expected = run(to_onnx(model, X, "predict"), later)[0], model.predict(later)
        if found.dtype.kind == "O":
            assert (found == expected).all()
            found = run(to_onnx(model, X, "predict_proba"), later)[0]
            expected = model.predict_proba(later)
        assert_close(found, expected, 1e-9)
    assert True in kinds


def test_several_labels_at_once():
    X, y = labelled_digits(100)
    both = pd.DataFrame({"odd": np.where(y % 2, "odd", "even"), "ink": X.sum(axis=1)})
    classes = np.column_stack([y % 2, y % 3])
    for dtype in ("f4", "f8"):
        X = X.astype(dtype)
        model = skae.SupervisedAutoencoder(**FAST).fit(X, both)
        odd, ink = run(to_onnx(model, X, "predict"), X)
        expected = model.predict(X)
        assert (odd == expected[:, 0]).all()
        assert_close(ink, expected[:, 1].astype(float), TOLERANCE[dtype])
        model = skae.SupervisedAutoencoder(**FAST).fit(X, classes)
        assert (np.column_stack(run(to_onnx(model, X, "predict"), X)) == model.predict(X)).all()
        shares = run(to_onnx(model, X, "predict_proba"), X)
        for found, expected in zip(shares, model.predict_proba(X), strict=True):
            assert_close(found, expected, TOLERANCE[dtype])


def test_labels_on_the_edge_of_two_classes_do_not_count():
    """Where two classes are equally likely, rounding decides."""
    X, y = labelled_digits(100)
    model = skae.AutoencoderClassifier(
        skae.AutoencoderTransformer(**FAST), head="linear", fine_tune="head", random_state=0
    ).fit(X, y % 2)
    model.coef_[1], model.intercept_[1] = model.coef_[0], model.intercept_[0] + 1e-17
    to_onnx(model, X, "predict")


CONDITIONS = {
    "words": lambda y: np.array(["no", "yes", "perhaps"])[y % 3],
    "integers": lambda y: y % 3,
    "numbers": lambda y: y + 0.5,
    "both": lambda y: pd.DataFrame({"odd": y % 2 == 1, "half": y / 2 + 0.1}),
}


@pytest.mark.parametrize("labels", CONDITIONS)
@pytest.mark.parametrize("rows", ["table", "complete", "holes", "float32"])
def test_labels_beside_rows(rows, labels):
    """Given to the graph, or inferred in it."""
    X, y = labelled_digits(120)
    tables = {"table": table(), "complete": table()[["count", "grade", "flag", "wait"]]}
    X, y = tables.get(rows, X), CONDITIONS[labels](y)
    if rows not in tables:
        X = np.where(np.random.default_rng(0).random(X.shape) < 0.05, np.nan, X)
        X = X.astype(rows) if rows == "float32" else X
    model = skae.ConditionalVAE(**FAST).fit(X, y)
    codes, tolerance = model.transform(X), TOLERANCE["f4" if rows == "float32" else "f8"]
    for given in ({}, {"y": y}):
        for method in ("transform", "reconstruct", "reconstruction_error", "score_samples"):
            graph = to_onnx(model, X, method, **given)
            if method == "transform":
                assert_close(
                    run(graph, X, *given.values())[0], model.transform(X, **given), tolerance
                )
    names = [f"y_{i}" for i in range(2)] if labels == "both" else ["y"]
    assert [place.name for place in graph.graph.input][-len(names) :] == names
    graph = to_onnx(model, codes, "inverse_transform", y)
    if rows not in tables:
        back = run(graph, codes, y)[0]
        assert_close(back, model.inverse_transform(codes, y), tolerance)


def test_classes_that_fit_did_not_see_give_nan():
    X, y = labelled_digits(60)
    model = skae.ConditionalVAE(**FAST).fit(X, y)
    codes = model.transform(X, y)
    graph = to_onnx(model, codes, "inverse_transform", y)
    back = run(graph, codes[:2], np.array([3, 17]))[0]
    assert np.isnan(back).all(axis=1).tolist() == [False, True]


def test_labels_that_no_graph_can_take_are_refused():
    X, y = labelled_digits(60)
    model = skae.ConditionalVAE(**FAST).fit(X, y)
    with pytest.raises(ValueError, match="needs a label for each code: pass y"):
        to_onnx(model, model.transform(X), "inverse_transform")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        to_onnx(model, X, "transform", y[:5])
    with pytest.raises(ValueError, match="which fit did not see"):
        to_onnx(model, X, "transform", y + 1)
    with pytest.raises(ValueError, match="takes no labels: leave y out"):
        to_onnx(skae.AutoencoderTransformer(**FAST).fit(X), X, "transform", y)
    with pytest.raises(ValueError, match="X has a column of that name: rename the column"):
        as_inputs(pd.DataFrame({"y": [1.0]}), [2.0])


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_regressors(n_outputs):
    X, _ = labelled_digits(100)
    y = X[:, 20] if n_outputs == 1 else X[:, 20:22]
    ae = skae.VAETransformer(**FAST)
    model = skae.AutoencoderRegressor(ae, head="linear", max_iter=2, random_state=0).fit(X, y)
    assert_close(run(to_onnx(model, X, "predict"), X)[0], model.predict(X), 1e-9)


def search():
    pipeline = make_pipeline(StandardScaler(), skae.AutoencoderTransformer(**FAST), SVC())
    return GridSearchCV(pipeline, {"autoencodertransformer__n_components": [2, 3]}, cv=2)


@pytest.mark.parametrize(
    "make",
    [
        search,
        lambda: make_pipeline("passthrough", skae.AutoencoderTransformer(**FAST), LinearSVC()),
        lambda: make_pipeline(
            GridSearchCV(skae.AutoencoderTransformer(**FAST), {"whiten": [True, False]}, cv=2),
            KMeans(3, random_state=0),
        ),
        lambda: make_pipeline(
            make_union(skae.AutoencoderTransformer(**FAST), PCA(2)), KNeighborsClassifier()
        ),
        lambda: make_pipeline(
            make_column_transformer(
                (skae.AutoencoderTransformer(**FAST), slice(0, 30)), remainder="passthrough"
            ),
            GradientBoostingClassifier(n_estimators=3, random_state=0),
        ),
        lambda: make_pipeline(StandardScaler(), skae.AutoencoderTransformer(**FAST)).set_output(
            transform="pandas"
        ),
    ],
)
def test_what_people_build_around_an_autoencoder(make):
    X, y = labelled_digits(100)
    X = X.astype(np.float32)
    model = make().fit(X, y % 3)
    for method in ("predict", "transform"):
        if hasattr(model, method):
            found, expected = run(to_onnx(model, X, method), X)[0], getattr(model, method)(X)
            assert_close(found * 1.0, np.asarray(expected) * 1.0, 1e-5)


def test_a_column_transformer_gives_an_autoencoder_its_columns_as_they_are():
    """Not merged to one type: it takes strings, dates and numbers."""
    X, y = table(), np.arange(120) % 2
    columns = make_column_transformer(
        (skae.AutoencoderTransformer(**FAST), ["number", "town", "day", "flag"]),
        (StandardScaler(), ["count"]),
    )
    model = make_pipeline(columns, LogisticRegression()).fit(X, y)
    assert_close(run(to_onnx(model, X, "predict_proba"), X)[0], model.predict_proba(X), 1e-9)


NAMES = ["a b", "größe", "x.y", "label", "transform", "X", "1st", "gemm"]


@pytest.mark.parametrize("columns", [NAMES, range(8)], ids=["words", "places"])
def test_inputs_have_the_names_of_columns_whatever_they_are(columns):
    X, y = labelled_digits(60)
    X = pd.DataFrame(X[:, 20:28], columns=columns)
    for model in (
        skae.AutoencoderTransformer(**FAST).fit(X),
        make_pipeline(StandardScaler(), skae.AutoencoderTransformer(**FAST)).fit(X),
    ):
        graph = to_onnx(model, X)
        assert [place.name for place in graph.graph.input] == list(map(str, columns))
        assert_close(run(graph, X)[0], model.transform(X), 1e-9)
    X[99 if columns != NAMES else "town"] = np.where(y % 2, "Ames", "Boone")
    model = skae.AutoencoderTransformer(**FAST).fit(X)
    codes = model.transform(X)
    graph = to_onnx(model, codes, "inverse_transform")
    wanted = [str(name) if name != "X" else "X_1" for name in X.columns]
    assert [place.name for place in graph.graph.output] == wanted
    assert_close(run(graph, codes)[0], model.inverse_transform(codes)[columns[0]], 1e-9)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "float16", "object", "list", "sparse"])
def test_rows_of_other_types(dtype):
    X, _ = labelled_digits(60)
    X = {"list": X.tolist, "sparse": lambda: sparse.csr_array(X)}.get(
        dtype, lambda: X.astype(dtype)
    )()
    model = skae.AutoencoderTransformer(**FAST).fit(X)
    assert_close(run(to_onnx(model, X), X)[0], model.transform(X), 1e-9)


def test_types_of_inputs_do_not_tell_which_cells_are_missing():
    X = table()
    model = skae.AutoencoderTransformer(**FAST).fit(X)
    graph = to_onnx(model, X)
    later = X.head(3).assign(flag=[True, None, False], count=[1, np.nan, 3], town=None)
    for rows in (later, later.astype({"flag": "boolean"}), later.assign(flag=later["flag"].isna())):
        assert_close(run(graph, rows)[0], model.transform(rows), 1e-9)
    assert run(graph, X[:0])[0].shape == (0, 2)
    none = X.head(2).assign(flag=pd.array([None, None], dtype="boolean"))
    assert_close(run(graph, none)[0], model.transform(none), 1e-9)


def test_words_beside_numbers_in_an_array():
    X = table()[["number", "town"]].to_numpy(object)
    model = skae.AutoencoderTransformer(**FAST, categorical_features=[1]).fit(X)
    assert_close(run(to_onnx(model, X), X)[0], model.transform(X), 1e-9)
    X[:, 1] = X[:, 1] == "Ames"
    X = np.column_stack([X, np.where(X[:, 1], "a", "b")])
    model = skae.AutoencoderTransformer(**FAST, categorical_features=[1, 2]).fit(X)
    with pytest.raises(ValueError, match="pass a frame"):
        to_onnx(model, X)


def test_a_table_encoder_by_itself():
    X = table().assign(empty=np.nan)
    for frequency in (1, "auto", 10):
        model = skae.TableEncoder(min_frequency=frequency).fit(X)
        assert_close(run(to_onnx(model, X), X)[0][:, :-1], model.transform(X)[:, :-1], 1e-9)


def test_what_other_packages_cannot_do_is_said_with_the_remedy():
    X, y = labelled_digits(100)
    for last, match in (
        (SVR(), "pass float32 rows"),  # onnxruntime
        (RidgeClassifier(), "pass float32 rows"),  # skl2onnx
    ):
        model = make_pipeline(skae.AutoencoderTransformer(**FAST), last).fit(X, y)
        with pytest.raises(ValueError, match=match):
            to_onnx(model, X, "predict")
        X4 = X.astype(np.float32)
        to_onnx(make_pipeline(skae.AutoencoderTransformer(**FAST), last).fit(X4, y), X4, "predict")
    with pytest.raises(ValueError, match="is expecting 64 features"):
        to_onnx(model, X[:, :5], "predict")


def own(n_inputs, n_outputs):
    return torch.nn.Sequential(
        torch.nn.Linear(n_inputs, 5), torch.nn.Tanh(), torch.nn.Linear(5, n_outputs)
    )


class Sorting(torch.nn.Linear):
    """A module that ONNX has no operator for."""

    def forward(self, x):
        return torch.linalg.svdvals(x).sum() + super().forward(x)


def test_modules_of_a_users_own_go_through_torchs_exporter():
    X, _ = labelled_digits(60)
    model = skae.AutoencoderTransformer(**FAST, encoder=own, decoder=own).fit(X)
    assert_close(run(to_onnx(model, X, "reconstruct"), X)[0], model.reconstruct(X), 1e-9)
    X = X.astype(np.float32)
    model = skae.AutoencoderTransformer(**FAST, activation=torch.nn.LeakyReLU).fit(X)
    assert_close(run(to_onnx(model, X), X)[0], model.transform(X), 1e-5)
    model = skae.AutoencoderTransformer(**FAST, encoder=Sorting).fit(X)
    with pytest.raises(ValueError, match="torch cannot write Sorting"):
        to_onnx(model, X)


def test_skl2onnx_knows_the_classes():
    skl2onnx = pytest.importorskip("skl2onnx", reason="the extra onnx is not installed")
    X, y = labelled_digits(60)
    X = X.astype(np.float32)
    register()
    ae = skae.AutoencoderTransformer(**FAST)
    model = make_pipeline(
        StandardScaler(), skae.AutoencoderClassifier(ae, head="linear", max_iter=2)
    ).fit(X, y)
    graph = skl2onnx.to_onnx(model, X[:1], target_opset=20, options={"zipmap": False})
    label, probabilities = run(graph, X)
    assert (label == model.predict(X)).all()
    assert_close(probabilities, model.predict_proba(X), 1e-4)
    for last, labels in ((model, y), (model[-1], np.array(list("abcdefghij"))[y]), (ae, None)):
        graph = skl2onnx.to_onnx(last.fit(X, labels), X[:1], target_opset=20)
        found = run(graph, X)[0]
        if labels is None:
            assert_close(found, last.transform(X), 1e-5)
        else:
            assert (found == last.predict(X)).all()


def _other_units(parts):
    return replace(parts, code_scale=parts.code_scale * 1.001)


def _wider(parts):
    high = {"encoder.high": parts.network.weights["encoder.high"] + 1.0}
    return replace(parts, network=replace(parts.network, weights=parts.network.weights | high))


def _mean_filled(parts):
    loadings = 0.0 * parts.baseline.loadings
    return replace(parts, baseline=replace(parts.baseline, loadings=loadings))


def _dear_levels(parts):
    return replace(parts, least=parts.least + 9.0)


@pytest.mark.filterwarnings("ignore:.*levels that fit did not see")
@pytest.mark.parametrize(
    ("what", "spoil"),
    [
        ("the rows of X", _other_units),
        ("rows beyond the training range", _wider),
        ("rows with missing cells", _mean_filled),
        ("rows with levels that fit did not see", _dear_levels),
    ],
)
def test_a_graph_that_differs_is_refused(what, spoil, monkeypatch):
    """What only some rows show is found by the rows that the exporter makes."""
    X, method = labelled_digits(60)[0], "transform"
    if spoil is _mean_filled:
        X = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    if spoil is _dear_levels:
        X, method = table()[["number", "town"]].dropna(), "reconstruction_error"
    model = skae.AutoencoderTransformer(**FAST).fit(X)
    X = labelled_digits(60)[0] if spoil is _mean_filled else X  # no cell is missing
    described = estimators.described
    monkeypatch.setattr(estimators, "described", lambda *given: spoil(described(*given)))
    with pytest.raises(ValueError, match=f"differs from it on {what}"):
        to_onnx(model, X, method)


PAGE = (Path(__file__).parents[1] / "docs" / "deploy.md").read_text()
TRAINING = "fit", "partial", "set_", "get_", "check_state"
INNER = (
    "read",
    "decode",
    "columns",
    "unseen",
    "share_of_unseen",
    "levels_of",
    "read_columns",
    "take",
)  # of a TableEncoder
WAYS = "f4", "f8", "numpy"
DRAWN_ANEW = ("sample",)


def listed(estimator, method):
    """Return the ways in which the page says that a method is served."""
    table = PAGE.partition("| estimators | methods |")[2].partition("\n\n")[0]
    ways = set(WAYS)
    for line in table.splitlines()[2:]:
        estimators, methods, onnx_, engine, _ = (part.strip() for part in line.split("|")[1:-1])
        if all(
            part == "all" or f"`{name}`" in part
            for part, name in ((estimators, estimator), (methods, method))
        ):
            ways -= {"no": {"f4", "f8"}, "float32": {"f8"}, "yes": set()}[onnx_]
            ways -= {"no": {"numpy"}, "yes": set()}[engine]
    return ways


def given_to(model, method, X, y):
    """Return the arguments of a method."""
    codes = model.transform(X) if hasattr(model, "transform") else None
    return {
        "inverse_transform": (codes, y) if type(model) is skae.ConditionalVAE else (codes,),
        "interpolate": (X[0], X[1]),
        "mix": (X[:2], X[2:4], 1),
        "sample": (2,),
        "truncate": (1,),
        "score": (X, y),
    }.get(method, (X,))


def is_served(models, way, method, X, y):
    """Return whether a method of fitted estimators, by their way, is in fact served."""
    dtype = "f4" if way == "f4" else "f8"
    model = models[dtype]
    given = given_to(model, method, X.astype(dtype), y)
    expected = getattr(model, method)(*given)
    try:
        if way != "numpy":
            to_onnx(model, given[0], method, *given[1:2])
            return True
        found = getattr(models[way], method)(*given)
    except (AttributeError, ValueError):
        return False
    if isinstance(expected, np.ndarray) and expected.dtype.kind == "f" and method not in DRAWN_ANEW:
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * np.abs(expected).max())
    return True


def models_of(kind, X, y, path):
    """Return fitted estimators: two to be exported, and one that numpy serves."""
    changes = {"ordered": True, "early_stopping": False, "hidden_layer_sizes": (6,)}
    models = {dtype: fitted(kind, X.astype(dtype), y, **changes) for dtype in ("f4", "f8")}
    try:
        skae.save(models["f8"], path)
        return models | {"numpy": skae.load(path, engine="numpy")}
    except (skae.LoadError, TypeError):
        return models | {"numpy": None}


def test_the_list_of_what_is_not_served_is_complete(tmp_path):
    X, y = labelled_digits(120)
    for kind in PUBLIC:
        models = models_of(kind, X, y, tmp_path / "model.skae")
        methods = [
            name
            for name in dir(models["f8"])
            if name[0] != "_" and not name.startswith(TRAINING) and name not in INNER
            and callable(getattr(kind, name, None)) and hasattr(models["f8"], name)
            and not hasattr(BaseEstimator, name)
        ]  # fmt: skip
        for method in methods:
            found = {way for way in ("numpy", "f8") if is_served(models, way, method, X, y)}
            if "f8" in found or is_served(models, "f4", method, X, y):  # the law above has both
                found.add("f4")
            assert found == listed(name_of(kind), method), f"{name_of(kind)}.{method}"


@pytest.mark.parametrize(
    ("model", "method", "match"),
    [
        (
            lambda: skae.AutoencoderOutlierDetector(skae.ConvolutionalAutoencoder(**FAST)),
            "predict",
            "of outlier detectors",
        ),
        (
            lambda: skae.BiGANTransformer(2, max_iter=2, random_state=0, image_shape=(8, 8)),
            "transform",
            "no convolutions",
        ),
        (
            lambda: skae.AutoencoderTransformer(**FAST, activation=torch.nn.LeakyReLU),
            "transform",
            "onnxruntime cannot run.*LeakyRelu.*pass float32 rows",
        ),
        (
            lambda: skae.AutoencoderTransformer(
                **FAST, activation=torch.nn.LeakyReLU, ordered=True
            ),
            "reconstruct",
            "gets the length of a code",
        ),
        (
            lambda: make_pipeline(PowerTransformer(), skae.AutoencoderTransformer(**FAST)),
            "inverse_transform",
            "cannot write inverse_transform of PowerTransformer",
        ),
        (lambda: skae.AutoencoderTransformer(**FAST), "p_values", "expected one of transform"),
    ],
)
def test_what_depends_on_parameters_is_refused_with_the_reason(model, method, match):
    X, _ = labelled_digits(60)
    model = model().fit(X)
    rows = model.transform(X) if method == "inverse_transform" else X
    with pytest.raises(ValueError, match=match):
        to_onnx(model, rows, method)


def test_a_detector_of_very_many_columns_is_refused():
    X = np.random.default_rng(0).normal(size=(40, 2000))
    detector = skae.AutoencoderOutlierDetector(skae.AutoencoderTransformer(**FAST)).fit(X)
    with pytest.raises(ValueError, match="at most 2000 features"):
        to_onnx(detector, X, "predict")


@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(),
        PCA(),
        make_union(StandardScaler(), PCA()),
        QuantileTransformer(n_quantiles=40),
    ],
)
def test_a_frame_of_float64_keeps_its_digits_through_a_step_in_front(scaler):
    X = load_wine(as_frame=True).data
    model = make_pipeline(scaler, skae.AutoencoderTransformer(**FAST)).fit(X)
    (found,) = run(to_onnx(model, X), X)
    assert_close(found, model.transform(X), 1e-9)


def test_an_unknown_method_is_refused():
    X, _ = labelled_digits(60)
    model = skae.ContrastiveEncoder(**FAST).fit(X)
    with pytest.raises(ValueError, match="has no such method"):
        to_onnx(model, X, "reconstruct")
    with pytest.raises(ValueError, match="expected one of transform, "):
        to_onnx(model, X, "get_params")


ALONE = """
import sys

class Nowhere:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {"skae", "sklearn", "scipy", "pandas", "torch", "skorch", "skl2onnx", "onnx"}:
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Nowhere())
"""


def test_numpy_and_onnxruntime_alone_agree_with_the_numpy_engine(tmp_path):
    X, _ = labelled_digits(60)
    model = skae.AutoencoderTransformer(**FAST).fit(X)
    (tmp_path / "ae.onnx").write_bytes(to_onnx(model, X).SerializeToString())
    skae.save(model, tmp_path / "ae.skae")
    np.save(tmp_path / "X.npy", X)
    run_it = """
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession("ae.onnx")
np.save("Z.npy", session.run(None, {"X": np.load("X.npy")})[0])
"""
    subprocess.run([sys.executable, "-c", ALONE + run_it], cwd=tmp_path, check=True)
    numpy = skae.load(tmp_path / "ae.skae", engine="numpy")
    assert_close(np.load(tmp_path / "Z.npy"), numpy.transform(X), 1e-9)


def test_the_how_to_serves_over_http(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "deploy.md").read_text()
    (serve,) = (block.partition("```")[0] for block in page.split("```py\n")[1:])
    assert len(serve.split("\n")) < 25
    serve = serve.replace(
        "server.serve_forever", "print(server.server_port, flush=True)\nserver.serve_forever"
    )
    X, y = labelled_digits(100)
    X = X.astype(np.float32)
    ae = skae.AutoencoderTransformer(**FAST)
    model = make_pipeline(StandardScaler(), ae, LogisticRegression()).fit(X, y)
    (tmp_path / "digits.onnx").write_bytes(to_onnx(model, X, "predict").SerializeToString())
    command = [sys.executable, "-c", ALONE + serve, str(tmp_path / "digits.onnx"), "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            port = int(server.stdout.readline())
            rows = json.dumps(X[:5].tolist()).encode()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}", rows) as answer:
                assert json.load(answer) == model.predict(X[:5]).tolist()
        finally:
            server.terminate()
