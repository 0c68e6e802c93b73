"""Tables of all kinds that people have: nothing of them is guessed in silence."""

import datetime as dt
import time
import warnings
from decimal import Decimal
from zoneinfo import ZoneInfo

import narwhals
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.utils.fixes import parse_version

import skae
from skae import (
    AutoencoderTransformer,
    ConditionalVAE,
    DenoisingAutoencoder,
    TableEncoder,
    VAETransformer,
)
from skae.metrics import explained_share

FAMILY = [AutoencoderTransformer, DenoisingAutoencoder, VAETransformer, ConditionalVAE]
WITH_LIKELIHOOD = VAETransformer, ConditionalVAE
UNSEEN = "ignore:.*levels that fit did not see:UserWarning"

pytestmark = pytest.mark.filterwarnings("ignore:max_iter=")


def quick(kind=AutoencoderTransformer, **parameters):
    defaults = {"n_components": 2, "max_iter": 4, "tol": 0, "random_state": 0}
    return kind(**(defaults | parameters))


@pytest.fixture(scope="module")
def cancer():
    """Breast cancer with categories, a flag that never changes and a few rare levels."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    table = X[["mean texture", "mean area", "mean symmetry"]].copy()
    table["size"] = pd.qcut(X["mean radius"], 4, labels=["S", "M", "L", "XL"]).astype(str)
    table["kind"] = y.map({0: "malignant", 1: "benign"})
    table["flag"], table["constant"] = True, 1.0
    table["city"] = np.where(np.arange(len(table)) % 2, "Oslo", "Rome")
    table.loc[:5, "city"] = [f"village {i}" for i in range(6)]
    return table


@pytest.fixture(scope="module", params=FAMILY, ids=lambda kind: kind.__name__)
def model(request, cancer):
    return quick(request.param).fit(cancer.iloc[:400], np.arange(400) % 3)


@pytest.mark.parametrize(
    "X",
    [
        np.full((40, 3), 2.5),
        pd.DataFrame({"number": 2.5, "level": ["x"] * 40}),
        pd.DataFrame({"level": ["x"] * 40, "flag": True}),
    ],
    ids=["numbers", "table", "levels"],
)
def test_a_table_that_does_not_vary_has_the_score_of_r2(X):
    """1 where it is reconstructed exactly, as r2_score(X, X); 0 where it has changed."""
    model = quick(n_components=1).fit(X)
    assert model.score(X) == 1.0
    other = (
        X + 1
        if isinstance(X, np.ndarray)
        else X[["level"]].map(lambda _: "y").join(X.drop(columns="level"))[X.columns]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the level is new
        assert model.score(other) < 1.0


# what fit did not see -------------------------------------------------------------------------


@pytest.mark.filterwarnings(UNSEEN)
def test_an_unseen_level_costs_at_least_what_the_rarest_would(model, cancer):
    later = cancer.iloc[400:]
    for name, rarest in {"size": 1 / 401, "kind": 1 / 401, "city": 6 / 400}.items():
        place = cancer.columns.get_loc(name)

        def cost(level, name=name, place=place):
            table = later.assign(**{name: level})
            return np.asarray(model.reconstruction_error(table, per_feature=True))[:, place]

        shares = model.table_encoder_.level_shares_[place]
        entropy = -np.sum(shares * np.log(shares))
        assert (cost("never seen") >= -np.log(rarest) / entropy - 1e-9).all()
        known = [cost(level).mean() for level in cancer[name].unique()]
        assert cost("never seen").mean() >= max(known)


@pytest.mark.filterwarnings(UNSEEN)
@pytest.mark.parametrize(
    "change", [{"size": "huge"}, {"kind": "?"}, {"city": "Bonn"}, {"flag": False}]
)
def test_rows_with_an_unseen_level_stand_out(model, change, cancer):
    later = cancer.iloc[400:]
    odd = later.assign(**change)
    errors = [model.reconstruction_error(rows) for rows in (later, odd)]
    is_odd = np.repeat([0, 1], len(later))
    assert roc_auc_score(is_odd, np.concatenate(errors)) > 0.9
    place = cancer.columns.get_loc(*change)
    few = pd.concat([later, odd.head(3)])
    assert model.score(few) < model.score(pd.concat([later, later.head(3)]))
    cells = np.asarray(model.reconstruction_error(odd, per_feature=True))
    assert cells[:, place].min() > 1
    if isinstance(model, WITH_LIKELIHOOD):
        assert (model.score_samples(odd) < model.score_samples(later)).all()


def test_a_changed_flag_costs_as_a_changed_number_at_least(cancer):
    model = quick().fit(cancer)
    later = cancer.head(40)
    with pytest.warns(UserWarning, match="fit did not see"):
        flag = model.reconstruction_error(later.assign(flag=False), per_feature=True).to_numpy()
    number = model.reconstruction_error(later.assign(constant=0.0), per_feature=True).to_numpy()
    assert (flag[:, 5] >= number[:, 6]).all()
    assert (number[:, 6] == 1).all()


@pytest.mark.filterwarnings(UNSEEN)
def test_columns_of_names_stay_without_a_cost():
    X = pd.DataFrame({"a": np.arange(60.0), "b": np.arange(60.0) ** 2})
    X["name"] = pd.Categorical([f"name {i}" for i in range(60)])
    model = quick().fit(X)
    later = X.assign(name="another")
    np.testing.assert_allclose(model.reconstruction_error(later), model.reconstruction_error(X))


@pytest.mark.filterwarnings(UNSEEN)
def test_codes_of_unseen_levels_are_missing_or_rare(cancer):
    encoder = TableEncoder().fit(cancer)
    coded = encoder.transform(cancer.assign(size="huge", city="Bonn"))
    assert np.isnan(coded[:, 3]).all()
    assert (coded[:, 7] == 2).all()
    np.testing.assert_array_equal(encoder.n_samples_seen_, cancer.notna().sum())


@pytest.mark.parametrize("kind", FAMILY)
@pytest.mark.parametrize("numbers", [False, True])
def test_a_row_with_nothing_present_is_nan_and_no_part_of_the_score(kind, numbers, cancer):
    table = cancer.iloc[:, :3] if numbers else cancer
    holes = np.random.default_rng(0).random(table.shape) < 0.2
    holes[0], holes[1] = True, False
    spoilt = table.mask(holes)
    model = quick(kind).fit(spoilt, np.arange(len(spoilt)) % 3)
    errors = model.reconstruction_error(spoilt)
    assert np.isnan(errors).tolist() == holes.all(axis=1).tolist()
    np.testing.assert_allclose(model.score(spoilt), model.score(spoilt[1:]))
    if kind in WITH_LIKELIHOOD:
        assert np.isnan(model.score_samples(spoilt[:2])).tolist() == [True, False]


def test_rescaled_errors_fall_little_with_missing_cells():
    X = load_digits().data[:, 20:44]
    rng = np.random.default_rng(0)
    holes = rng.random(X.shape) < 0.5
    hidden = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    model = quick(n_components=6).fit(hidden[:900])
    few = np.where(holes, np.nan, X)[900:]
    total = model.reconstruction_error(few)
    rescaled = model.reconstruction_error(few, missing="rescale")
    np.testing.assert_allclose(rescaled, total * 24 / np.sum(~np.isnan(few), axis=1))
    complete = model.reconstruction_error(X[900:])
    np.testing.assert_array_equal(model.reconstruction_error(X[900:], missing="rescale"), complete)
    fall, of_sum = (np.log(e.mean() / complete.mean()) for e in (rescaled, total))
    assert abs(fall) < abs(of_sum) / 2  # not at all, would fewer cells not be fitted more closely
    with pytest.raises(ValueError, match="missing='mean': expected 'sum' or 'rescale'"):
        model.reconstruction_error(few, missing="mean")


# masked arrays --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8"])
def test_masked_cells_are_missing(dtype):
    X = load_digits().data[:200, 20:30].astype(dtype)
    mask = np.random.default_rng(0).random(X.shape) < 0.1
    spoilt = np.where(mask, np.nan, X).astype("float32" if dtype == "float32" else "float64")
    masked = np.ma.array(np.where(mask, np.array(99, dtype), X), mask=mask)
    a, b = quick().fit(masked), quick().fit(spoilt)
    for method in ("transform", "reconstruct", "impute", "reconstruction_error", "score"):
        wanted = getattr(b, method)(spoilt)
        np.testing.assert_array_equal(getattr(a, method)(masked), wanted)
    np.testing.assert_array_equal(a.transform(list(masked)), b.transform(spoilt))
    np.testing.assert_array_equal(a.impute(masked)[~mask], X[~mask])
    made = b.reconstruct(spoilt)
    assert explained_share(masked, made) == explained_share(spoilt, made)
    complete = np.ma.array(X)
    np.testing.assert_array_equal(quick().fit(complete).transform(X), quick().fit(X).transform(X))


def test_masked_texts_and_weights():
    cells = np.array([["a", "b"], ["c", "d"], ["a", "d"], ["c", "b"]])
    masked = np.ma.array(cells, mask=cells == "b")
    encoder = TableEncoder(categorical_features=[0, 1], min_frequency=1).fit(masked)
    assert encoder.categories_ == [["a", "c"], ["d"]]
    weight = np.ma.array(np.ones(4), mask=[0, 1, 0, 0])
    with pytest.raises(ValueError, match="NaN"):
        encoder.fit(cells, sample_weight=weight)


# dates and numbers among objects --------------------------------------------------------------

DAYS = [dt.date(2020, 1, 1) + dt.timedelta(days=7 * i) for i in range(60)]
STAMPS = [pd.Timestamp(day) for day in DAYS]
TIMES = {
    "date": DAYS,
    "datetime": [dt.datetime(day.year, day.month, day.day) for day in DAYS],
    "Timestamp": STAMPS,
    "numpy days": list(np.array(DAYS, dtype="datetime64[D]")),
    "in Berlin": [stamp.tz_localize("Europe/Berlin") for stamp in STAMPS],
    "aware": [dt.datetime.fromtimestamp(9e5 * i, dt.UTC) for i in range(60)],
    "timedelta": [day - DAYS[0] for day in DAYS],
    "Timedelta": [stamp - STAMPS[0] for stamp in STAMPS],
    "numpy durations": list(np.arange(60).astype("timedelta64[h]")),
    "time": [dt.time(i // 3, i) for i in range(60)],
    "Period": list(pd.period_range("2020-01", periods=60, freq="M")),
}


def objects(cells):
    """Return a table with a column of objects, and two of numbers that follow it."""
    x = np.arange(60.0)
    return pd.DataFrame({"x": x, "y": x**2, "c": pd.Series(cells, dtype=object)})


@pytest.mark.parametrize("name", TIMES)
def test_objects_that_are_times_are_times_and_come_back(name):
    table = objects(TIMES[name])
    spoilt = table.copy()
    spoilt.loc[[3, 30], "c"] = None
    encoder = TableEncoder().fit(spoilt)
    assert encoder.categories_ == [None] * 3
    back = encoder.inverse_transform(encoder.transform(spoilt))
    present = spoilt["c"].notna()
    assert back["c"][present].tolist() == table["c"][present].tolist()
    assert {type(cell) for cell in back["c"][present]} == {type(TIMES[name][0])}
    if name == "in Berlin":
        assert str(back["c"][0].tz) == "Europe/Berlin"
    row = encoder.transform(table.loc[7].to_frame().T)
    np.testing.assert_allclose(row, encoder.transform(table)[[7]])


def test_dates_are_imputed_each_as_its_own():
    table = objects(DAYS)
    spoilt = table.copy()
    spoilt.loc[[5, 50], "c"] = None
    filled = quick(hidden_layer_sizes=(), n_components=1).fit(spoilt).impute(spoilt)
    assert all(type(cell) is dt.date for cell in filled["c"])
    assert filled["c"][5] < dt.date(2020, 8, 1) < filled["c"][50]
    pd.testing.assert_frame_equal(filled.drop([5, 50]), table.drop([5, 50]))


def test_times_of_several_zones_are_one_time():
    zones = ["UTC+01:00", "UTC+02:00", "America/New_York"]
    utc = [stamp.tz_localize("UTC") for stamp in STAMPS]
    several = [stamp.tz_convert(zones[i % 3]) for i, stamp in enumerate(utc)]
    encoder = TableEncoder().fit(objects(several))
    np.testing.assert_allclose(encoder.transform(objects(several)), encoder.transform(objects(utc)))
    assert encoder.inverse_transform(encoder.transform(objects(several)))["c"].tolist() == utc
    with pytest.raises(ValueError, match="with and without a zone"):
        encoder.fit(objects([*several[:59], STAMPS[0]]))
    with pytest.raises(ValueError, match="'c': time .* in fit, time"):
        encoder.transform(objects(STAMPS))


def test_numbers_among_objects_come_back_as_what_they_were():
    cells = [Decimal(i) / 4 for i in range(60)]
    for table in (objects(cells), objects(cells).assign(kind=["a", "b"] * 30)):
        spoilt = table.copy()
        spoilt.loc[[5, 50], "c"] = None
        filled = quick().fit(spoilt).impute(spoilt)["c"]
        assert all(type(cell) is Decimal for cell in filled)
        assert all(cell.as_tuple().exponent == -2 for cell in filled[[5, 50]])
        assert filled.drop([5, 50]).tolist() == table["c"].drop([5, 50]).tolist()
    whole = quick().fit(objects(list(range(60)))).impute(objects([None, *range(1, 60)]))["c"]
    assert all(type(cell) is int for cell in whole)


# text that is none ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([str(day) for day in DAYS], r"reads as dates: \['c'\], which pandas.to_datetime"),
        ([f"{day:%d.%m.%Y} 10:30" for day in DAYS], "reads as dates"),
        ([f"{1000 * i:,}" for i in range(60)], r"reads as numbers: \['c'\], which .*coerce"),
        (["?"] * 10 + [str(i / 7) for i in range(50)], "reads as numbers"),
        ([f"customer {i}" for i in range(60)], r"nearly all differ: \['c'\], .*leave"),
    ],
)
def test_text_that_looks_like_something_else_is_told_once_a_fit(cells, message):
    table = objects(cells)
    with pytest.warns(UserWarning, match=message) as caught:
        model = quick().fit(table)
    assert len([w for w in caught if "Some columns of text" in str(w.message)]) == 1
    model.transform(table)
    TableEncoder(categorical_features=["c"]).fit(table)
    TableEncoder().fit(table.astype({"c": "category"}))
    TableEncoder().fit(objects(["a street", "b 12", "c-7"] * 20))


def test_a_column_whose_levels_are_all_pooled_is_named():
    table = objects([f"level {i % 30}" for i in range(60)])
    with pytest.warns(UserWarning, match=r"learned of 'c' \(30 levels\).*min_frequency=3 asks"):
        TableEncoder(min_frequency=3).fit(table)
    TableEncoder(min_frequency=2).fit(table)


def test_text_among_numbers_has_a_remedy():
    for cells in ([*range(59), "?"], [*range(59), "n/a"]):
        with pytest.raises(
            ValueError, match=r"0 \(number\), .*to_numeric\(column, errors='coerce'"
        ):
            quick().fit(objects(cells))
    with pytest.raises(ValueError, match=r"mixes several types: 0.5 \(number\)"):
        quick().fit(objects([np.float64(0.5), *["a"] * 59]))


# types of columns -----------------------------------------------------------------------------


def arrow(values, kind):
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, type=kind)))


LEVELS = ["a", "b", "c"] * 20
PRICES = [Decimal(i) / 100 for i in range(60)]
COLUMNS = {
    "dictionary": arrow(LEVELS, pa.string()).dtype.pyarrow_dtype,
    "decimal": arrow(PRICES, pa.decimal128(10, 2)),
    "wide decimal": arrow(PRICES, pa.decimal256(50, 4)),
    "string": arrow(LEVELS, pa.string()),
    "time": arrow(TIMES["time"], pa.time64("us")),
    "seconds": arrow(TIMES["time"], pa.time32("s")),
    "stamps": arrow(STAMPS, pa.timestamp("ms", "Europe/Berlin")),
    "days": arrow(DAYS, pa.date32()),
    "truths": arrow([True, False] * 30, pa.bool_()),
    "months": pd.Series(pd.period_range("2020-01", periods=60, freq="M")),
    "cut": pd.Series(pd.cut(np.arange(60.0), 4)),
    "intervals": pd.Series(pd.arrays.IntervalArray.from_breaks([0.0, 1.0, 2.0]).repeat(30)),
    "quarters": pd.Series(pd.Categorical(pd.period_range("2020", periods=4, freq="Q").repeat(15))),
    "zoned levels": pd.Series(
        pd.Categorical(pd.date_range("2020", periods=4, tz="Europe/Berlin").repeat(15))
    ),
    "sparse": pd.Series(pd.arrays.SparseArray([0.0, 0.0, 1.0] * 20, fill_value=0.0)),
    "nullable": pd.Series(range(60), dtype="Int16"),
}
COLUMNS["dictionary"] = pd.Series(
    pd.arrays.ArrowExtensionArray(pa.array(LEVELS).dictionary_encode())
)
POLARS = {
    "decimal": pl.Series(list(map(str, PRICES))).cast(pl.Decimal(10, 2)),
    "time": pl.Series(TIMES["time"]),
    "": pl.Series(LEVELS),
}
if hasattr(pl, "Int128"):  # from polars 1.18 on
    POLARS["int128"] = pl.Series(range(60), dtype=pl.Int128)


def check_way_back(table, tmp_path):
    """Fit, save, load; return what comes back of the codes of a table."""
    encoder = TableEncoder(min_frequency=1).fit(table)
    back = encoder.inverse_transform(encoder.transform(table))
    model = quick(max_iter=1).fit(table)
    skae.save(model, tmp_path / "model.skae")
    loaded = skae.load(tmp_path / "model.skae")
    np.testing.assert_array_equal(loaded.transform(table), model.transform(table))
    assert type(loaded.reconstruct(table)) is type(model.reconstruct(table))
    made = model.impute(table)
    assert list(made.columns) == list(table.columns)
    return back


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_pandas_come_back(name, tmp_path):
    table = objects([0.0] * 60).assign(c=COLUMNS[name])
    back = check_way_back(table, tmp_path)
    assert (back.dtypes == table.dtypes).all()
    pd.testing.assert_series_equal(back["c"], table["c"])
    spoilt = table.copy()
    spoilt["c"] = spoilt["c"].where(np.arange(60) != 4)
    filled = TableEncoder(min_frequency=1).fit(table)
    coded = filled.transform(spoilt)
    assert np.isnan(coded[4, 2])
    assert filled.inverse_transform(coded)["c"].dtype == table["c"].dtype


@pytest.mark.parametrize("name", POLARS)
def test_columns_of_polars_come_back(name, tmp_path):
    table = pl.DataFrame({"x": np.arange(60.0), "y": np.arange(60.0) ** 2, name: POLARS[name]})
    assert_frame_equal(check_way_back(table, tmp_path), table)
    model = quick(max_iter=1).set_output(transform="polars").fit(table)
    assert model.reconstruct(table).schema == table.schema


def test_a_column_that_was_empty_in_fit_stays_unused():
    x = np.arange(60.0)
    for others in ({}, {"kind": ["a", "b"] * 30}):
        first = pd.DataFrame({"x": x, "y": x**2, "note": np.nan, **others})
        later = first.assign(note=["text", None] * 30)
        stream = quick().partial_fit(first)
        with pytest.warns(UserWarning, match=r"\['note'\] .* had no value .*are ignored") as caught:
            stream.partial_fit(later)
        assert len(caught) == 1
        with pytest.warns(UserWarning, match="so they are ignored"):
            code = stream.transform(later)
        np.testing.assert_array_equal(code, stream.transform(first))
        stream.transform(later.assign(note=None))
    first = pl.DataFrame({"x": x, "y": x**2, "note": pl.Series([None] * 60, dtype=pl.Float64)})
    model = quick().fit(first)
    with pytest.warns(UserWarning, match="so they are ignored"):
        code = model.transform(first.with_columns(note=pl.lit("text")))
    np.testing.assert_array_equal(code, model.transform(first))


# names and indices ----------------------------------------------------------------------------


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize(
    "labels",
    [
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["u", "v"]),
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]),
        pd.Index(["a", "b", "c"], name="measure"),
        pd.Index([3, 4, 5], name="year"),
        pd.Index([("a", 1), ("a", 2), ("b", 1)], tupleize_cols=False),
    ],
)
def test_labels_of_columns_and_rows_are_kept(labels, coded, tmp_path):
    rows = np.column_stack([np.arange(60.0), np.arange(60.0) ** 2, np.arange(60.0) % 7])
    table = pd.DataFrame(rows, index=[f"row {i}" for i in range(60)], columns=labels)
    if coded:
        table.isetitem(2, ["a", "b", "c"] * 20)
    model = quick().set_output(transform="pandas").fit(table)
    skae.save(model, tmp_path / "model.skae")
    for fitted in (model, skae.load(tmp_path / "model.skae")):
        for made in (
            fitted.inverse_transform(fitted.transform(table)),
            fitted.reconstruct(table),
            fitted.impute(table),
        ):
            pd.testing.assert_index_equal(made.columns, labels)
            pd.testing.assert_index_equal(made.index, table.index)
        errors = fitted.reconstruction_error(table, per_feature=True)
        pd.testing.assert_index_equal(errors.columns, labels)
        pd.testing.assert_index_equal(fitted.score_by_column(table).index, labels)
    encoder = TableEncoder().set_output(transform="pandas").fit(table)
    back = encoder.inverse_transform(encoder.transform(table))
    pd.testing.assert_index_equal(back.columns, labels)
    pd.testing.assert_index_equal(back.index, table.index)


# fast, and clear words ------------------------------------------------------------------------


@pytest.mark.parametrize("n_columns", [100, 2000])
def test_a_wide_frame_costs_little_more_than_its_array(n_columns):
    X = np.random.default_rng(0).normal(size=(40, n_columns))
    frame = pd.DataFrame(X, columns=[f"column {i}" for i in range(n_columns)])
    model = quick(hidden_layer_sizes=()).fit(frame)
    pca = PCA(2).fit(frame)

    def seconds(call):
        best = np.inf
        for _ in range(20):
            start = time.process_time()
            call()
            best = min(best, time.process_time() - start)
        return best

    assert seconds(lambda: model.transform(frame)) < 2 * seconds(lambda: pca.transform(frame))
    holes = frame.mask(X > 2)
    assert seconds(lambda: model.impute(holes)) < 20 * seconds(lambda: pca.transform(frame))
    by_array = quick(hidden_layer_sizes=()).fit(X)
    np.testing.assert_allclose(model.transform(frame), by_array.transform(X), atol=1e-9)


def test_sparse_frames_are_read_as_sparse_rows():
    X = sparse.random(300, 400, 0.02, "csr", random_state=0)
    frame = pd.DataFrame.sparse.from_spmatrix(X).add_prefix("word ")
    a, b = (quick(hidden_layer_sizes=()).fit(rows) for rows in (frame, X))
    np.testing.assert_allclose(a.transform(frame), b.transform(X), rtol=1e-9, atol=1e-9)
    start = time.process_time()
    a.transform(frame)
    assert time.process_time() - start < 1


def test_columns_that_are_stored_sparse_for_other_cells_than_zeros_are_numbers():
    X = sparse.random(60, 4, 0.5, "csr", random_state=0).toarray()
    for fill in (np.nan, X[0, 0] + 1):
        columns = [pd.arrays.SparseArray(x, fill_value=fill) for x in X.T]
        frame = pd.DataFrame(dict(enumerate(columns))).add_prefix("x")
        a, b = (quick(hidden_layer_sizes=()).fit(rows) for rows in (frame, X))
        np.testing.assert_allclose(a.transform(frame), b.transform(X), atol=1e-12)


def test_a_frame_of_narwhals_is_the_one_inside():
    table = objects(DAYS)
    wrapped = narwhals.from_native(table)
    model = quick().fit(wrapped)
    np.testing.assert_array_equal(model.transform(wrapped), model.transform(table))
    pd.testing.assert_frame_equal(model.reconstruct(wrapped), model.reconstruct(table))


NUMBERS = np.arange(60.0).reshape(20, 3)


@pytest.mark.parametrize(
    ("X", "kind", "message"),
    [
        (pl.DataFrame(NUMBERS).lazy(), TypeError, r"X\.collect\(\)"),
        (pa.table({"x": NUMBERS[:, 0]}), TypeError, "polars.from_arrow"),
        (np.zeros((10, 4, 4)), ValueError, r"\(10, 4, 4\).*reshape.*image_shape.*sequence_shape"),
        (np.array([[1.0, "red"], [2.0, "blue"]] * 9, object), ValueError, "'red'.*to_numeric"),
        (np.array([["1.5", "red"]] * 9), ValueError, "'red', which is not a number"),
        (np.array([[1.0, dt.date(2020, 1, 1)]] * 9, object), ValueError, "is not a number"),
        (np.array([["2020-01-01"] * 2] * 9, "datetime64[D]"), ValueError, "array of datetime64"),
        (
            pd.DataFrame(np.zeros((9, 500)), columns=list("ab") * 250),
            ValueError,
            r"some occur more than once \(2 in all\)",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_remedy(X, kind, message):
    with pytest.raises(kind, match=message) as refusal:
        quick().fit(X)
    assert len(str(refusal.value)) < 500


def test_sparse_rows_have_no_column_weights():
    X = sparse.random(30, 4, 0.5, "csr", random_state=0)
    with pytest.raises(TypeError, match=r"no column_weights: pass X.toarray\(\)"):
        quick(column_weights=[1, 2, 1, 1]).fit(X)


# columns that are of another kind later -----------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Some columns of text")
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("library", [pd, pl])
def test_text_in_fit_and_numbers_later_is_refused(library, named, numbers_as_text):
    """No cell could be a level of the fit. The other way round, too."""
    text, whole = map(library.DataFrame, numbers_as_text)
    before, now = (text, whole) if not named else (whole, text)
    chosen = ["room"] if named else "from_dtype"
    encoder = TableEncoder(categorical_features=chosen).fit(before)
    model = quick(n_components=1, categorical_features=chosen).fit(before)
    words = "no text in fit, such as 10, and holds text now, such as '10'.*pandas.to_numeric"
    if not named:
        words = r"text in fit, such as '10', and holds no text now, such as 10.*astype\(str\)"
    for method in (model.transform, model.reconstruction_error, model.score, encoder.transform):
        with pytest.raises(ValueError, match=f"Column 'room' held {words}"):
            method(now)


def test_levels_that_are_equal_are_one_whatever_their_type(numbers_as_text):
    """Whole numbers as floats, categories of numbers as numbers, flags as 0 and 1; and a new level."""
    _, whole = map(pd.DataFrame, numbers_as_text)
    encoder = TableEncoder(categorical_features=["room"]).fit(whole)
    expected = encoder.transform(whole)
    for other in (float, "category", object, "Int64"):
        np.testing.assert_array_equal(encoder.transform(whole.astype({"room": other})), expected)
    with pytest.warns(UserWarning, match=r"in 1 cell of 1 column \('room': 40\)"):
        encoder.transform(whole.replace({"room": {10: 40}}).iloc[[0, 1, 2]].replace(20, 30))


@pytest.fixture(scope="module")
def numbers_as_text():
    rng = np.random.default_rng(0)
    size, room = rng.normal(size=60), np.tile([10, 20, 30], 20)
    return {"size": size, "room": room.astype(str)}, {"size": size, "room": room}


# objects in an array where fit saw a frame --------------------------------------------------------


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_objects_in_an_array_are_read_as_the_columns_of_the_fit(model, cancer):
    table = cancer.iloc[400:].assign(day=pd.Timestamp("2024-01-31"))
    encoder = TableEncoder().fit(table)
    np.testing.assert_array_equal(
        encoder.transform(table.to_numpy(object)), encoder.transform(table)
    )
    rows = cancer.iloc[400:]
    np.testing.assert_array_equal(model.transform(rows.to_numpy(object)), model.transform(rows))
    with pytest.raises(ValueError, match=r"'size': category \(.*\) in fit, time \(.*\) now"):
        model.transform(rows.assign(kind=pd.Timestamp("2024-01-31")).to_numpy(object)[:, ::-1])


def test_a_fit_that_fails_leaves_the_encoder_as_it_was(cancer):
    """Its columns are still those of the frame, not those of an array that it refused."""
    encoder = TableEncoder().fit(cancer)
    before, expected = vars(encoder).copy(), encoder.transform(cancer)
    with pytest.raises(ValueError, match="could not convert string to float"):
        encoder.fit(cancer.to_numpy(object))
    assert vars(encoder) == before
    np.testing.assert_array_equal(encoder.transform(cancer), expected)
    fresh = TableEncoder()
    with pytest.raises(ValueError, match="could not convert string to float"):
        fresh.fit(cancer.to_numpy(object))
    assert vars(fresh) == vars(TableEncoder())


# what has columns, but not those that are meant ---------------------------------------------------


def test_codes_in_another_order_are_refused():
    """Their names say so; of other names, such as a ColumnTransformer's, nothing is known."""
    X = load_digits(as_frame=True).data.iloc[:100]
    model = quick().set_output(transform="pandas").fit(X)
    codes = model.transform(X)
    with pytest.raises(
        ValueError, match=r"in another order: \['autoencodertransformer1', .* should"
    ):
        model.inverse_transform(codes[codes.columns[::-1]])
    same = [codes, codes.add_prefix("ae__"), pl.from_pandas(codes), codes.to_numpy()]
    for made in map(model.inverse_transform, same):
        np.testing.assert_array_equal(made, model.inverse_transform(codes))


@pytest.mark.parametrize("kind", [AutoencoderTransformer, TableEncoder])
def test_arrays_of_records_are_pointed_to_frames(kind):
    records = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1, 2, 4]}).to_records(index=False)
    with pytest.raises(TypeError, match=r"an array of records: pass pandas.DataFrame\(X\)"):
        kind().fit(records)
    kind().fit(pd.DataFrame(records))


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, pd.NaT])
@pytest.mark.parametrize("kind", [AutoencoderTransformer, TableEncoder])
def test_what_stands_for_nothing_in_an_array_of_objects(kind, nothing):
    """Such as ``frame.convert_dtypes().to_numpy()`` gives."""
    X = load_digits().data[:50, 2:6]
    X[3, 1] = np.nan
    objects = X.astype(object)
    objects[3, 1] = nothing
    model = quick(hidden_layer_sizes=()) if kind is AutoencoderTransformer else kind()
    np.testing.assert_array_equal(model.fit_transform(objects), model.fit_transform(X))


def test_text_in_an_array_is_explained():
    with pytest.raises(
        ValueError, match="Column 1 of the array is read as numbers: .*'b'.*a frame"
    ):
        TableEncoder(categorical_features=[0]).fit([["a", "b"], ["c", "d"]])


def test_what_is_given_is_a_dict():
    model = quick(VAETransformer, n_components=1).fit(pd.DataFrame({"a": np.arange(60.0) % 7}))
    with pytest.raises(TypeError, match="given='a': expected a dict"):
        model.sample(2, given="a")


# at the ends of what a type holds -----------------------------------------------------------------

MICROSECOND = dt.timedelta(microseconds=1)
OLD_PANDAS = pytest.mark.xfail(
    parse_version(pd.__version__) < parse_version("3"),
    raises=(OverflowError, pd.errors.OutOfBoundsDatetime),
    reason="an error of pandas 2, whose times begin in 1677",
    strict=False,
)
ENDS = [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(2020, 2, 29)] * 20


@pytest.mark.parametrize(
    "cells",
    [
        pd.Series(ENDS, dtype=object),
        pd.Series([dt.datetime(day.year, day.month, day.day) for day in ENDS], dtype=object),
        pd.Series(np.array(ENDS, dtype="M8[s]")),
        pytest.param(pd.Series([pd.Period(day, "D") for day in ENDS]), marks=OLD_PANDAS),
        pd.Series(ENDS, dtype="date32[pyarrow]"),
        pd.Series(ENDS, dtype="timestamp[s][pyarrow]"),
        pl.Series(ENDS),
    ],
    ids=lambda cells: str(cells.dtype),
)
def test_the_first_and_the_last_year_come_back(cells):
    table = {"x": np.arange(60.0), "c": cells}
    table = pl.DataFrame(table) if isinstance(cells, pl.Series) else pd.DataFrame(table)
    encoder = TableEncoder().fit(table)
    back = encoder.inverse_transform(encoder.transform(table))
    assert back["c"].to_list() == cells.to_list()
    encoder.inverse_transform(np.array([[0, 1e9], [0, -1e9]]))  # far outside: the ends


def of_arrow(times):
    """Return times as a column of pyarrow, which pandas cannot make of Python's."""
    ticks = [
        (t.replace(tzinfo=None) - dt.datetime(1970, 1, 1) - t.utcoffset()) // MICROSECOND
        for t in times
    ]
    kind = pa.timestamp("us", tz=str(times[0].tzinfo).removeprefix("UTC"))
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(ticks, type=kind)))


@pytest.mark.parametrize(
    "zone",
    [ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), dt.timezone(dt.timedelta(hours=5))],
    ids=str,
)
@pytest.mark.parametrize(
    "column",
    [
        lambda times: pd.Series(times, dtype=object),
        lambda times: pd.Series(list(map(pd.Timestamp, times)), dtype=object),
        lambda times: pd.Series(list(map(pd.Timestamp, times))),
        pytest.param(of_arrow, marks=OLD_PANDAS),
    ],
    ids=["datetime", "Timestamp", "pandas", "pyarrow"],
)
def test_the_first_and_the_last_hour_of_a_zone_come_back(zone, column):
    """In UTC they are in the years 0 and 10000, which Python does not know."""
    times = [dt.datetime(1, 1, 1, tzinfo=zone), dt.datetime(9999, 12, 31, 23, tzinfo=zone)] * 20
    table = pd.DataFrame({"x": np.arange(40.0), "c": column(times)})
    encoder = TableEncoder().fit(table)
    coded = encoder.transform(table)
    back = encoder.inverse_transform(coded)
    np.testing.assert_array_equal(coded[:, 1], np.tile([-1.0, 1.0], 20))
    np.testing.assert_allclose(encoder.transform(back), coded, atol=1e-13)
    assert back["c"].dtype == table["c"].dtype
    if back["c"].dtype == object:
        assert back["c"][0] == table["c"][0]
        assert type(back["c"][0]) is type(table["c"][0])
    encoder.inverse_transform(np.array([[0, 1e9], [0, -1e9]]))  # far outside: the ends


@pytest.mark.parametrize(
    "names", [[0, 1, 2, 3], pd.MultiIndex.from_product([["a", "b"], [0, 1]])], ids=["int", "levels"]
)
@pytest.mark.parametrize("coded", [False, True])
def test_columns_whose_names_are_no_text_have_an_order_too(names, coded):
    X = pd.DataFrame(load_digits().data[:60, 20:24])
    X = (X > 8 if coded else X).set_axis(names, axis=1)
    model = quick(hidden_layer_sizes=()).fit(X)
    with pytest.raises(ValueError, match="those of the fit in another order"):
        model.transform(X[X.columns[::-1]])
    np.testing.assert_array_equal(model.transform(X), model.transform(X[X.columns]))


def test_integers_beyond_float64_are_read_in_every_library():
    whole = 2**60 + 1024 * np.arange(60)
    expected = TableEncoder().fit_transform(pd.DataFrame({"a": whole}))
    found = TableEncoder().fit_transform(pd.DataFrame({"a": arrow(whole, pa.int64())}))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("unit", [1e-200, 1e300])
def test_a_column_of_any_size_has_unit_variance(unit):
    coded = TableEncoder().fit_transform(pd.DataFrame({"a": unit * np.arange(60.0)}))
    np.testing.assert_allclose([coded.mean(), coded.std()], [0, 1], atol=1e-9)


@pytest.mark.parametrize("unit", [1e-200, 1e200, np.r_[np.full(300, 1e-200), np.full(300, 1e100)]])
def test_a_stream_knows_columns_of_any_size(unit):
    rows = load_digits().data[:600, 20:22]
    X = pd.DataFrame(
        {"a": unit * rows[:, 0], "b": rows[:, 1], "c": np.where(rows[:, 1] > 8, "x", "y")}
    )
    blocks = skae.stream(lambda: iter([X[:300], X[300:]]))
    in_memory, streamed = (quick(max_iter=1).fit(rows).table_encoder_ for rows in (X, blocks))
    for name in ("mean_", "scale_"):
        found, expected = (getattr(encoder, name) for encoder in (streamed, in_memory))
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
@pytest.mark.parametrize("lacks_cells", [False, True])
@pytest.mark.parametrize("source", [np.asarray, skae.stream])
def test_rows_whose_squares_float64_does_not_hold_are_refused(unit, lacks_cells, source):
    X = unit * load_digits().data[:600, 20:24]
    X[:5, 0] = np.nan if lacks_cells else X[:5, 0]
    with pytest.raises(ValueError, match="the variance of its columns is (beyond|below) float64"):
        quick().fit(source(X))


def test_weights_below_zero_are_refused():
    with pytest.raises(ValueError, match="Negative values"):
        TableEncoder().fit(NUMBERS, sample_weight=np.r_[-1.0, np.ones(19)])


@pytest.mark.parametrize(
    "library",
    [list, pd.Series, lambda prices: pl.Series(list(map(str, prices))).cast(pl.Decimal(10, 2))],
)
def test_prices_of_a_database_are_numbers(library):
    """Decimals are numbers as labels, as they are in a table; some may be unknown."""
    X = load_digits().data[:60, 20:30]
    prices = [Decimal(int(100 * price)) / 100 for price in X.mean(axis=1)]
    model = skae.SupervisedAutoencoder(2, max_iter=2, random_state=0, unlabeled=np.nan)
    expected = clone(model).fit(X, np.array(prices, dtype=float)).predict(X)
    np.testing.assert_array_equal(model.fit(X, library(prices)).predict(X), expected)
    some = model.fit(X, [None, *prices[1:]]).predict(X)
    assert some.dtype == np.float64


def test_masked_cells_of_a_stream_are_missing():
    X = load_digits().data[:600, 20:24]
    masked = np.ma.array(np.where(X > 12, 1e6, X), mask=X > 12)
    expected = quick().fit(skae.stream(masked.filled(np.nan), block=512)).transform(X)
    for source in (masked, lambda: iter([masked[:500], masked[500:]])):
        model = quick().fit(skae.stream(source, block=512))
        np.testing.assert_allclose(model.transform(X), expected)


# words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "kind", "message"),
    [
        (lambda X: X.assign(kind="new"), ValueError, "unseen at fit time:\n- kind"),
        (
            lambda X: X.mask(X > 20, np.inf),
            ValueError,
            r"infinity .* in 1 column, such as \['size'\]",
        ),
        (
            lambda X: X.to_numpy() * [1, np.inf],
            ValueError,
            r"infinity .* in 1 column, such as \['age",
        ),
        (lambda X: X.to_dict("records"), TypeError, r"of dicts: pass pandas.DataFrame\(X\)"),
        (lambda X: X.iloc[0].to_dict(), TypeError, r"of one row pandas.DataFrame\(\[X\]\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_later_rows_that_are_others_are_told_apart(later, kind, message):
    X = pd.DataFrame({"size": np.arange(30.0), "age": np.arange(30.0) % 7 + 1})
    model = quick(hidden_layer_sizes=(), n_components=1).fit(X)
    with pytest.raises(kind, match=message):
        model.transform(later(X))


def test_the_ends_of_a_path_are_rows():
    X = load_digits().data[:50, 20:24]
    model = quick(hidden_layer_sizes=()).fit(X)
    with pytest.raises(ValueError, match="The rows have 2 features, but .* is expecting 4"):
        model.interpolate(X[0, :2], X[1])
    for wrong in (2.5, "3", None):
        with pytest.raises(ValueError, match=f"n_steps={wrong!r} must be an int"):
            model.interpolate(X[0], X[1], wrong)
