"""Classifier and regressor over tables, and over labels of every type, some of them missing."""

import contextlib
import datetime
import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.utils import get_tags

from skae import (
    AutoencoderClassifier,
    AutoencoderRegressor,
    AutoencoderTransformer,
    BiGANTransformer,
    ConditionalVAE,
    ContrastiveEncoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    RecurrentAutoencoder,
    VAETransformer,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

TAKING_TABLES = [AutoencoderTransformer, ContrastiveEncoder, DenoisingAutoencoder, VAETransformer]
HEADS = [AutoencoderClassifier, AutoencoderRegressor]


@pytest.fixture(scope="module")
def cancer():
    """Breast cancer as a table of numbers, categories and dates, a tenth of them missing."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = X.sample(frac=1, random_state=0)
    table = X[["mean texture", "mean area", "mean symmetry"]].copy()
    table["size"] = pd.qcut(X["mean radius"], 4, labels=["S", "M", "L", "XL"])
    table["shape"] = np.where(X["mean compactness"] > 0.1, "rough", "smooth")
    table["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(X["area error"].round(), unit="D")
    table["concave"] = (X["mean concavity"] > 0.1).astype("boolean")
    missing = np.random.default_rng(0).random(table.shape) < 0.1
    return table.mask(missing).reset_index(drop=True), y[X.index].to_numpy()


def small(kind=AutoencoderTransformer, **changes):
    """Return an autoencoder with a short training."""
    params = {"n_components": 4, "max_iter": 3, "random_state": 0, "early_stopping": False}
    known = kind().get_params()
    return kind(**{name: value for name, value in (params | changes).items() if name in known})


def head(kind, autoencoder, **changes):
    """Return a classifier or regressor with a short training."""
    return kind(autoencoder, **{"max_iter": 5, "random_state": 0} | changes)


# tables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("inner", TAKING_TABLES)
def test_tables_are_taken_as_the_autoencoder_takes_them(cancer, inner, kind):
    table, y = cancer
    model = head(kind, small(inner)).fit(table[:400], y[:400])
    assert model.n_iter_ == 5
    assert model.score(table[400:], y[400:]) > (0.85 if kind is AutoencoderClassifier else 0.4)
    assert model.n_features_in_ == 7
    assert model.feature_names_in_.tolist() == table.columns.tolist()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(table), model.predict(table))


@pytest.mark.parametrize("kind", HEADS)
def test_the_head_is_linear_in_the_code_of_a_table(cancer, kind):
    """Also over an autoencoder that is fitted on that very table."""
    table, y = cancer
    autoencoder = small().fit(table)
    model = head(kind, autoencoder, fine_tune="head").fit(table, y)
    outputs = autoencoder.transform(table) @ model.coef_.T + model.intercept_
    if kind is AutoencoderRegressor:
        np.testing.assert_allclose(model.predict(table), outputs[:, 0])
    else:
        np.testing.assert_allclose(model.decision_function(table), outputs[:, 1] - outputs[:, 0])


def test_rows_without_labels_help_to_pretrain_on_tables(cancer):
    table, y = cancer
    known = pd.Series(y, dtype="Int64").where(np.arange(len(y)) < 60)
    model = head(AutoencoderClassifier, small(), unlabeled=np.nan).fit(table, known)
    alone = small().fit(table)
    np.testing.assert_array_equal(model.autoencoder_.transform(table), alone.transform(table))
    assert model.score(table[60:], y[60:]) > 0.8


def test_polars_frames_are_as_those_of_pandas(cancer):
    table, y = cancer
    sizes = pl.col("size").cast(pl.String).cast(pl.Enum(["S", "M", "L", "XL"]))
    other = pl.from_pandas(table).with_columns(sizes)
    models = [head(AutoencoderClassifier, small()).fit(each, y) for each in (table, other)]
    np.testing.assert_array_equal(models[0].predict_proba(table), models[1].predict_proba(other))


@pytest.mark.parametrize("kind", HEADS)
def test_sparse_rows_are_as_dense_ones(kind):
    X, y = load_breast_cancer(return_X_y=True)
    X = np.where(X.mean(axis=0) < X, X / X.std(axis=0), 0.0)
    thin = sparse.csr_matrix(X)
    models = [head(kind, small()).fit(each[:400], y[:400]) for each in (X, thin)]
    assert models[1].n_iter_ == 5
    np.testing.assert_allclose(models[1].predict(thin[400:]), models[0].predict(X[400:]), atol=1e-4)


@pytest.mark.parametrize("of_fit", ["missing", "complete"])
@pytest.mark.parametrize("kind", HEADS)
def test_numbers_with_missing_cells(of_fit, kind):
    """Missing in the fit of the autoencoder, or only later, when its columns' means stand in."""
    X, y = load_iris(return_X_y=True)
    X = np.random.default_rng(0).permutation(np.column_stack([X, y]))
    X, y = X[:, :4], X[:, 4].astype(int)
    lacks = np.where(np.random.default_rng(1).random(X.shape) < 0.1, np.nan, X)
    autoencoder = small(n_components=2).fit(lacks if of_fit == "missing" else X)
    model = head(kind, autoencoder).fit(lacks[:100], y[:100])
    assert model.score(lacks[100:], y[100:]) > 0.6


def test_sequences_of_different_lengths():
    X, y = load_breast_cancer(return_X_y=True)
    X = X[:, :10] / X[:, :10].std(axis=0)
    ends = np.random.default_rng(0).integers(5, 11, len(X))
    X = np.where(np.arange(10) < ends[:, None], X, np.nan)
    model = head(AutoencoderClassifier, small(RecurrentAutoencoder)).fit(X[:400], y[:400])
    assert model.score(X[400:], y[400:]) > 0.8


@pytest.mark.parametrize("inner", [ConvolutionalAutoencoder, BiGANTransformer])
def test_what_the_autoencoder_refuses_is_refused(inner):
    X, y = load_iris(return_X_y=True)
    X = np.where(np.arange(X.size).reshape(X.shape) == 20, np.nan, X)
    assert not get_tags(AutoencoderClassifier(inner())).input_tags.allow_nan
    with pytest.raises(ValueError, match="missing cells|NaN"):
        head(AutoencoderClassifier, small(inner)).fit(X, y)


def test_other_columns_than_those_of_a_fitted_autoencoder(cancer):
    table, y = cancer
    autoencoder = small().fit(table)
    with pytest.raises(ValueError, match="fitted already: pass columns like those of its fit, or"):
        AutoencoderClassifier(autoencoder).fit(table.drop(columns="day"), y)
    model = AutoencoderClassifier(autoencoder, fine_tune="head").fit(table, y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table.drop(columns="day"))


def test_tags_are_those_of_the_autoencoder():
    tags = get_tags(AutoencoderClassifier()).input_tags
    assert tags.allow_nan
    assert tags.sparse
    assert tags.categorical
    assert not get_tags(AutoencoderRegressor(BiGANTransformer())).input_tags.categorical


@pytest.mark.parametrize("kind", HEADS)
def test_parameters_of_an_autoencoder_that_is_none(kind):
    message = "'autoencoder__n_components' is a parameter of the autoencoder, but autoencoder=None"
    for autoencoder in ({}, {"autoencoder": None}):
        with pytest.raises(ValueError, match=message):
            kind().set_params(autoencoder__n_components=2, **autoencoder)
    model = kind().set_params(autoencoder=AutoencoderTransformer(), autoencoder__n_components=2)
    assert model.autoencoder.n_components == 2
    assert model.set_params(autoencoder__n_components=3, fine_tune="head").fine_tune == "head"


# labels -------------------------------------------------------------------------------------------

Y = load_iris().target
NAMES = np.array(["a", "b", "c"])[Y]
MISSING = np.arange(len(Y)) % 3 == 0


def objects(labels, mark=None):
    """Return labels as an array of objects, a third of them missing."""
    column = np.array(list(labels), dtype=object)
    column[MISSING] = mark
    return column


def masked(labels):
    return np.ma.array(labels, mask=MISSING)


INTEGERS = pd.Series(objects(Y, pd.NA), dtype="Int64")
OF_CLASSES = {
    "objects, None": objects(NAMES),
    "objects, NaN": objects(NAMES, np.nan),
    "objects, NA": objects(NAMES, pd.NA),
    "list": objects(NAMES).tolist(),
    "str": pd.Series(objects(NAMES), dtype="str"),
    "string": pd.Series(objects(NAMES), dtype="string"),
    "arrow": pd.Series(objects(NAMES), dtype=pd.ArrowDtype(pa.string())),
    "category": pd.Series(objects(NAMES), dtype="category"),
    "Categorical": pd.Categorical(objects(NAMES)),
    "index": pd.Index(objects(NAMES)),
    "frame": pd.DataFrame({"y": objects(NAMES)})["y"],
    "masked": masked(NAMES),
    "polars": pl.Series(objects(NAMES).tolist()),
    "polars category": pl.Series(objects(NAMES).tolist(), dtype=pl.Categorical),
}
OF_INTEGERS = {
    "Int64": INTEGERS,
    "array of Int64": INTEGERS.array,
    "objects, None": objects(Y),
    "objects, NA": objects(Y, pd.NA),
    "list": objects(Y).tolist(),
    "category": INTEGERS.astype("category"),
    "arrow": INTEGERS.astype("int64[pyarrow]"),
    "masked": masked(Y),
    "polars": pl.Series(objects(Y).tolist()),
}
OF_NUMBERS = {
    "float": np.where(MISSING, np.nan, Y),
    "Float64": INTEGERS.astype("Float64"),
    "Decimal": objects(map(Decimal, Y.tolist())),
    "Fraction": objects(map(Fraction, Y.tolist())),
    "polars float": pl.Series(objects(Y).tolist(), dtype=pl.Float32),
} | OF_INTEGERS


@pytest.fixture(scope="module")
def iris():
    X = load_iris().data
    return X, small(n_components=2).fit(X)


def told(kind, iris, y, **changes):
    X, autoencoder = iris
    return kind(autoencoder, fine_tune="head", head="linear", **changes).fit(X, y)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_missing_entries_of_strings_are_rows_without_a_label(iris, name):
    model = told(AutoencoderClassifier, iris, OF_CLASSES[name], unlabeled=np.nan)
    alone = AutoencoderClassifier(iris[1], fine_tune="head", head="linear").fit(
        iris[0][~MISSING], NAMES[~MISSING]
    )
    assert model.classes_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(model.coef_, alone.coef_)
    with pytest.raises(ValueError, match="50 missing labels .*row 0, .*pass unlabeled=np.nan"):
        told(AutoencoderClassifier, iris, OF_CLASSES[name])
    with pytest.raises(ValueError, match="but unlabeled='': pass unlabeled=np.nan"):
        told(AutoencoderClassifier, iris, OF_CLASSES[name], unlabeled="")


@pytest.mark.parametrize("mark", [pd.NA, pd.NaT, np.float32("nan"), Decimal("NaN")])
def test_every_missing_entry_stands_for_all_others(iris, mark):
    model = told(AutoencoderClassifier, iris, objects(NAMES), unlabeled=mark)
    assert model.classes_.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("name", OF_INTEGERS)
def test_integers_stay_integers_beside_missing_entries(iris, name):
    model = told(AutoencoderClassifier, iris, OF_INTEGERS[name], unlabeled=np.nan)
    assert model.classes_.dtype.kind == "i"
    assert model.predict(iris[0]).dtype.kind == "i"


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_missing_entries_of_numbers_are_rows_without_a_label(iris, name):
    model = told(AutoencoderRegressor, iris, OF_NUMBERS[name], unlabeled=np.nan)
    alone = AutoencoderRegressor(iris[1], fine_tune="head", head="linear").fit(
        iris[0][~MISSING], Y[~MISSING]
    )
    np.testing.assert_array_equal(model.coef_, alone.coef_)
    with pytest.raises(ValueError, match="50 missing labels .*row 0, .*pass unlabeled=np.nan"):
        told(AutoencoderRegressor, iris, OF_NUMBERS[name])


def test_one_missing_output_is_enough(iris):
    outputs = pd.DataFrame({"a": INTEGERS, "b": INTEGERS.fillna(0).astype(float)})
    model = told(AutoencoderRegressor, iris, outputs, unlabeled=np.nan)
    alone = AutoencoderRegressor(iris[1], fine_tune="head", head="linear").fit(
        iris[0][~MISSING], np.column_stack([Y, Y])[~MISSING]
    )
    np.testing.assert_array_equal(model.predict(iris[0]), alone.predict(iris[0]))


ODD = {
    "dates": objects([datetime.date(2020, 1, 1 + label) for label in Y]),
    "datetimes": pd.Series(pd.to_datetime(objects("2020-01-0" + pd.Series(Y + 1).astype(str)))),
    "several types": objects(["a" if label else 1 for label in Y]),
    "bytes": objects([b"a", b"b", b"c"][label] for label in Y),
    "Decimal": objects(map(Decimal, Y.tolist())),
    "sets": objects({int(label)} for label in Y),
    "dicts": objects({} for label in Y),
    "periods": pd.Series(pd.period_range("2020", periods=3, freq="M")[Y]),
    "intervals": pd.cut(Y, 3),
    "nanoseconds": pd.Series(pd.to_datetime(Y, unit="D").as_unit("ns")),
    "durations": pd.to_timedelta(Y, unit="D").as_unit("ns"),
    "complex": np.where(MISSING, 1j, Y),
    "records": np.array([(1, 2.0)] * len(Y), dtype=[("a", int), ("b", float)]),
    "sparse": sparse.csr_matrix(Y[:, None]),
    "a dict": {1: 2},
    "ragged": [[1, 2]] * (len(Y) - 1) + [[1]],
    "three dimensions": np.zeros((len(Y), 1, 1)),
    "two columns": np.column_stack([NAMES, NAMES]),
    "a set": set(Y.tolist()),
    "text": "abc",
    "infinite": np.where(MISSING, np.inf, Y),
    "nothing": objects([None] * len(Y)),
}


LEARNED = {
    ("datetimes", AutoencoderClassifier),
    ("nanoseconds", AutoencoderClassifier),
    ("durations", AutoencoderClassifier),
    ("Decimal", AutoencoderClassifier),
    ("Decimal", AutoencoderRegressor),
}


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("mark", [np.nan, ""])
@pytest.mark.parametrize("name", ODD)
def test_odd_labels_are_learned_or_refused_with_a_reason(iris, name, mark, kind):
    try:
        model = told(kind, iris, ODD[name], unlabeled=mark)
    except ValueError:
        pass
    else:
        assert (name, kind) in LEARNED
        assert len(model.predict(iris[0])) == len(Y)


@pytest.fixture(scope="module")
def conditional():
    """Return models of classes and of numbers."""
    X = load_iris().data
    return [ConditionalVAE(2, hidden_layer_sizes=()).fit(X, y) for y in (NAMES, X[:, 0])]


@pytest.mark.filterwarnings("ignore:y has")
@pytest.mark.parametrize("name", ODD)
def test_odd_labels_of_a_conditional_model_are_taken_or_refused_with_a_reason(conditional, name):
    X = load_iris().data
    for model in conditional:
        with contextlib.suppress(ValueError):
            assert model.transform(X, ODD[name]).shape == (len(X), 2)
    with contextlib.suppress(ValueError):
        assert ConditionalVAE(2, hidden_layer_sizes=()).fit(X, ODD[name]).n_components_ == 2
