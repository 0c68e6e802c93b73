"""What goes into a TableEncoder comes out again, and what cannot go in is told so."""

import datetime
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sklearn.base import clone

from skae import TableEncoder


def pandas_frame():
    days = pd.to_datetime(["2020-01-01", None, "2021-07-01"])
    return pd.DataFrame(
        {
            "int": [1, 2, 3],
            "uint8": np.array([0, 200, 255], dtype="uint8"),
            "Int64": pd.array([1, None, 3], dtype="Int64"),
            "float32": np.array([1.0, np.nan, 2.0], dtype="float32"),
            "Float64": pd.array([1.5, None, 3.0], dtype="Float64"),
            "str": ["a", None, "b"],
            "object": pd.Series(["a", None, "b"], dtype=object),
            "numbers as objects": pd.Series([1.0, 2.5, np.nan], dtype=object),
            "category": pd.Categorical(["x", "y", None], categories=["z", "y", "x"], ordered=True),
            "interval": pd.cut([1, 2, 3], 2),
            "bool": [True, False, True],
            "boolean": pd.array([True, None, False], dtype="boolean"),
            "day": days,
            "nanoseconds": days.astype("datetime64[ns]"),
            "in Berlin": days.tz_localize("Europe/Berlin"),
            "duration": pd.to_timedelta([1, None, 3], unit="h"),
            "nothing": pd.Series([None] * 3, dtype=object),
            "no number": [np.nan] * 3,
        }
    ).set_axis(["r", "s", "t"])


def polars_frame():
    moment = datetime.datetime(2020, 1, 1)
    return pl.DataFrame(
        {
            "int": [1, None, 3],
            "uint8": pl.Series([0, 200, 255], dtype=pl.UInt8),
            "float": [1.5, None, 2.0],
            "float32": pl.Series([1, 2, 3], dtype=pl.Float32),
            "str": ["a", None, "b"],
            "enum": pl.Series(["a", "b", None], dtype=pl.Enum(["a", "b", "z"])),
            "category": pl.Series(["a", "b", None], dtype=pl.Categorical),
            "bool": [True, None, False],
            "moment": [moment, None, None],
            "in Berlin": pl.Series([moment, None, None]).dt.replace_time_zone("Europe/Berlin"),
            "day": [moment.date(), None, None],
            "duration": [datetime.timedelta(hours=1), None, None],
            "nothing": [None] * 3,
        }
    )


def test_pandas_there_and_back():
    X = pandas_frame()
    encoder = TableEncoder(min_frequency=1).fit(X)
    coded = encoder.transform(X)
    assert coded.dtype == np.float64
    np.testing.assert_array_equal(np.isnan(coded), X.isna())
    pd.testing.assert_frame_equal(encoder.decode(coded, like=X), X)
    pd.testing.assert_frame_equal(encoder.inverse_transform(coded), X.reset_index(drop=True))


def test_polars_there_and_back():
    X = polars_frame()
    encoder = TableEncoder(min_frequency=1).fit(X)
    assert_frame_equal(encoder.inverse_transform(encoder.transform(X)), X)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.text(max_size=3)),
            st.one_of(st.none(), st.floats(-1e6, 1e6)),
            st.booleans(),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_any_table_comes_back(rows):
    X = pd.DataFrame(rows, columns=["text", "number", "truth"])
    X = X.astype({"text": object, "number": float, "truth": bool})
    encoder = TableEncoder(min_frequency=1).fit(X)
    back = encoder.inverse_transform(encoder.transform(X))
    pd.testing.assert_frame_equal(back, X.where(X.notna(), None).astype(X.dtypes), atol=1e-9)


def test_standardised():
    X = pandas_frame()
    coded = TableEncoder().fit(X).transform(X)
    numbers = ["int", "uint8", "Int64", "day", "duration"]
    for name in numbers:
        column = coded[:, X.columns.get_loc(name)]
        np.testing.assert_allclose(np.nanmean(column), 0, atol=1e-9)
        np.testing.assert_allclose(np.nanstd(column), 1)


def test_pickled_and_cloned_it_is_the_same():
    X = pandas_frame()
    encoder = TableEncoder(min_frequency=1).fit(X)
    copy = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(copy.transform(X), encoder.transform(X))
    coded = encoder.transform(X)
    pd.testing.assert_frame_equal(copy.inverse_transform(coded), encoder.inverse_transform(coded))
    np.testing.assert_array_equal(clone(encoder).fit(X).transform(X), coded)


def test_levels_keep_their_order():
    X = pd.DataFrame({"a": ["b", "a", "c", "a"], "b": [True, False, True, True]})
    X["c"] = pd.Categorical(["low", "high", "low", "high"], ["low", "high"])
    encoder = TableEncoder(min_frequency=1).fit(X)
    assert encoder.categories_ == [["a", "b", "c"], [False, True], ["low", "high"]]
    np.testing.assert_allclose(encoder.level_shares_[0], [0.5, 0.25, 0.25])


@pytest.mark.parametrize("min_frequency", [3, 0.3])
def test_rare_levels_share_a_code(min_frequency):
    X = pd.DataFrame({"a": list("xxxxxyyzww")})
    encoder = TableEncoder(min_frequency=min_frequency).fit(X)
    assert encoder.categories_ == [["x"]]
    assert encoder.infrequent_categories_ == [["w", "y", "z"]]  # equally frequent ones in order
    np.testing.assert_array_equal(encoder.transform(X)[:, 0], [0] * 5 + [1] * 5)
    assert encoder.inverse_transform([[1.0]])["a"].tolist() == ["w"]
    np.testing.assert_allclose(encoder.level_shares_[0], [0.5, 0.5])


def test_auto_pools_down_to_a_thousand_codes():
    levels = np.random.default_rng(0).zipf(1.3, size=50_000) % 20_000
    encoder = TableEncoder().fit(pd.DataFrame({"a": np.char.add("level ", levels.astype(str))}))
    assert 10 < len(encoder.level_shares_[0]) <= 1001
    assert min(encoder.level_shares_[0]) >= 1e-3


def test_unseen_levels_are_rare_ones_or_missing_and_counted():
    X = pd.DataFrame({"a": list("xxxyz"), "b": list("uuuuu")})
    encoder = TableEncoder(min_frequency=2).fit(X)
    new = pd.DataFrame({"a": ["x", "q", "q"], "b": ["u", "v", None]})
    with pytest.warns(UserWarning, match=r"3 cells of 2 columns .*'a': 'q'; 'b': 'v'"):
        coded = encoder.transform(new)
    np.testing.assert_array_equal(coded, [[0, 0], [1, np.nan], [1, np.nan]])


def test_integers_are_rounded_within_their_range():
    X = pd.DataFrame({"a": np.array([0, 255], dtype="uint8"), "b": np.array([-5, 5])})
    back = TableEncoder().fit(X).inverse_transform([[9.0, 0.3], [-9.0, -0.3]])
    pd.testing.assert_frame_equal(
        back, pd.DataFrame({"a": np.array([255, 0], dtype="uint8"), "b": np.array([2, -2])})
    )


def test_arrays_stay_arrays():
    X = np.array([[1.0, 3.0], [2.0, 4.0], [2.0, np.nan]])
    encoder = TableEncoder(categorical_features=[0], min_frequency=1).fit(X)
    assert encoder.categories_ == [[1.0, 2.0], None]
    np.testing.assert_array_equal(encoder.inverse_transform(encoder.transform(X)), X)
    X = np.array([["a", 3.0], ["b", 4.0], [None, 5.0]], dtype=object)
    encoder = TableEncoder(categorical_features=[0], min_frequency=1).fit(X)
    back = encoder.inverse_transform(encoder.transform(X))
    assert back[:2].tolist() == X[:2].tolist()


@pytest.mark.parametrize("chosen", [["a"], [0], [True, False]])
def test_named_categories(chosen):
    X = pd.DataFrame({"a": [1, 2, 2], "b": [1.0, 2.0, 3.0]})
    encoder = TableEncoder(categorical_features=chosen, min_frequency=1).fit(X)
    assert encoder.categories_ == [[1, 2], None]
    pd.testing.assert_frame_equal(encoder.inverse_transform(encoder.transform(X)), X)


def test_rows_of_weight_zero_are_left_out():
    X = pd.DataFrame({"a": ["x", "y", "z"], "b": [0.0, 2.0, 100.0]})
    encoder = TableEncoder(min_frequency=1).fit(X, sample_weight=[3, 1, 0])
    assert encoder.categories_[0] == ["x", "y"]
    np.testing.assert_allclose(encoder.level_shares_[0], [0.75, 0.25])
    np.testing.assert_allclose(encoder.mean_[1], 0.5)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (pd.DataFrame({"a": ["x", 1]}), r"'a' mixes several types: 'x' \(str\), 1 \(number\)"),
        (pd.DataFrame({"a": [[1], [2]]}), "Column 'a' holds .1., and a list is no category"),
        (pd.DataFrame({"a": [1.0, np.inf]}), "infinity in column 'a'"),
        (pl.DataFrame({"a": [[1], [2]]}), "'a' is of type List"),
        (pd.DataFrame({"a": [1.0, 2j]}), "'a' is of type complex128"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "must be unique"),
    ],
)
def test_columns_that_cannot_be_read(X, message):
    with pytest.raises(ValueError, match=message):
        TableEncoder().fit(X)


@pytest.mark.parametrize("chosen", [["z"], [7], [True]])
def test_categories_that_do_not_exist(chosen):
    with pytest.raises(ValueError, match="categorical_features"):
        TableEncoder(categorical_features=chosen).fit(pd.DataFrame({"a": [1, 2], "b": [1, 2]}))


def test_categories_that_are_left_out():
    X = pd.DataFrame({"a": ["x", "y"], "b": ["x", "y"]})
    with pytest.raises(ValueError, match=r"\['b'\] hold categories"):
        TableEncoder(categorical_features=["a"]).fit(X)


def test_other_columns_than_in_fit():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    encoder = TableEncoder().fit(X)
    with pytest.raises(ValueError, match="'a': number .* in fit, category"):
        encoder.transform(X.assign(a=["u", "v"]))
    with pytest.raises(ValueError, match="unseen at fit time:\n- c\nFeature names seen at fit"):
        encoder.transform(X.rename(columns={"a": "c"}))
    with pytest.raises(ValueError, match="missing:?\n- b"):
        encoder.transform(X[["a"]])


def test_memory_is_that_of_rows_times_columns():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"id": rng.integers(20_000, size=100_000), "x": rng.normal(size=100_000)})
    X["id"] = "id " + X["id"].astype(str)
    tracemalloc.start()
    coded = TableEncoder(min_frequency=1).fit(X).transform(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert coded.shape == X.shape
    assert peak < 60e6  # one byte a row and level would be 2e9
