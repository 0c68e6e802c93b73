"""Data frames in: what each column holds, and its cells as numbers.

pandas and polars are read through narwhals, but for columns of plain numbers,
which a look at the types tells.
"""

import re
from typing import NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from scipy import sparse

from skae._data import objects
from skae._data.objects import CATEGORY, DURATION, MICROSECONDS, NUMBER, TIME
from skae._parameters import unmasked

TIMES = TIME, DURATION
EXAMPLES = 3  # of names, in a message
ZONES = [  # in names of types: of polars, pyarrow, pandas, and of objects
    re.compile(pattern)
    for pattern in (
        r"time_zone='(.+?)'",
        r", tz=(.+?)\]",
        r"^datetime64\[\w+, (.+)\]",
        r"^[oO]bject\[(?:datetime|Timestamp), (.+)\]",
    )
]


class Field(NamedTuple):
    """A column of a frame, or of an array; a tuple, for a wide frame has many.

    Attributes
    ----------
    name : object
        Its name; its place in an array.
    dtype : str
        Its type, as its library names it.
    kind : {"number", "time", "duration", "category"}
    categories : list or None
        All that the type allows, seen or not.
    ordered : bool
        Whether these have an order.
    """

    name: object
    dtype: str
    kind: str
    categories: list | None = None
    ordered: bool = False


def field_of(state):
    """Return the `Field` of a dict from a file; refuse what no frame has."""
    field = Field(**state)
    good = (
        isinstance(field.dtype, str)
        and field.kind in (NUMBER, TIME, DURATION, CATEGORY)
        and (field.categories is None or isinstance(field.categories, list))
        and isinstance(field.ordered, bool)
    )
    if not good:
        raise ValueError(f"a column cannot be of kind {field.kind!r} and type {field.dtype!r}")
    return field


def table(X):
    """Return X as the frame or array inside of it: a masked array with NaN, a narwhals frame's own."""
    module = type(X).__module__.partition(".")[0]
    if module == "narwhals" and hasattr(X, "to_native"):
        X = X.to_native()
    if type(X).__name__ == "LazyFrame":
        raise TypeError("X is a LazyFrame, whose rows have not been computed: pass X.collect().")
    if module == "pyarrow":
        raise TypeError(
            "X is a table of pyarrow: pass polars.from_arrow(X), or "
            "X.to_pandas(types_mapper=pandas.ArrowDtype)."
        )
    dicts = isinstance(X, dict) and not sparse.issparse(X)  # as some sparse rows are
    if dicts or (isinstance(X, list) and X and isinstance(X[0], dict)):
        raise TypeError(
            "X is made of dicts: pass pandas.DataFrame(X) of a list of them or of columns, and of one "
            "row pandas.DataFrame([X])."
        )
    X = unmasked(X)
    if isinstance(X, np.ndarray) and X.dtype.names is not None:
        raise TypeError(
            "X is an array of records: pass pandas.DataFrame(X), whose columns have types."
        )
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 2:
        missing = pd.isna(X)  # NA and NaT are no floats, as None and NaN are
        X = np.where(missing, np.nan, X) if missing.any() else X
    if isinstance(X, np.ndarray) and X.dtype.kind in "mM":
        raise ValueError(
            f"X is an array of {X.dtype}: what is learned would depend on its unit. Pass a pandas frame, "
            "in which dates and durations are columns of their own kind."
        )
    return X


def as_frame(X):
    """Return X as a narwhals frame, or None where it is none."""
    return None if frame_of(X) is None else nw.from_native(X, eager_only=True)


def frame_of(X):
    """Return X where it is a frame of pandas or polars, else None."""
    if isinstance(X, pd.DataFrame):
        _refuse_same_names(X)
        return X
    of_polars = type(X).__module__.startswith("polars") and type(X).__name__ == "DataFrame"
    return X if of_polars else None


def dense(X):
    """Return a pandas frame with sparse columns as an array of numbers; all else as it is."""
    if not isinstance(X, pd.DataFrame):
        return X
    has_sparse = any(isinstance(dtype, pd.SparseDtype) for dtype in X.dtypes)
    return X.to_numpy(np.float64) if has_sparse else X


def _refuse_same_names(X):
    names = X.columns
    if not names.is_unique:
        again = list(dict.fromkeys(names[names.duplicated()]))
        raise ValueError(
            f"The names of the columns of X must be unique, but some occur more than once "
            f"({len(again)} in all): {again[:EXAMPLES]}. Rename these columns."
        )


def library(frame):
    return "pandas" if isinstance(frame, pd.DataFrame) else "polars"


def label_names(X):
    """Return the names of the levels of a pandas frame's columns; None for plain ones."""
    columns = getattr(X, "columns", None)
    if not isinstance(columns, pd.Index):
        return None
    plain = columns.nlevels == 1 and columns.name is None
    plain &= columns.dtype != object or not any(type(name) is tuple for name in columns)
    return None if plain else list(columns.names)


def is_plain(X):
    """Return whether X is a frame of numbers alone that scikit-learn reads: a look at its types."""
    if frame_of(X) is None:
        return False
    dtypes = list(X.dtypes)
    dtypes = dict(zip(_keys(X, dtypes), dtypes, strict=True)).values()
    are_sparse = {isinstance(dtype, pd.SparseDtype) for dtype in dtypes}
    return len(are_sparse) < 2 and all(map(_is_plain_number, dtypes))


def _keys(frame, dtypes):
    """Return what tells apart which types are plain numbers; polars compares its own ones slowly."""
    if library(frame) == "pandas":
        return dtypes
    keys = list(map(type, dtypes))
    return dtypes if any(issubclass(key, type) for key in set(keys)) else keys


def _is_plain_number(dtype):
    if isinstance(dtype, np.dtype):
        return dtype.kind in "iuf"
    if isinstance(dtype, pd.SparseDtype):
        return dtype.subtype.kind in "iufb" and dtype.fill_value == 0  # others are not sparse rows
    if isinstance(dtype, pd.api.extensions.ExtensionDtype):
        of_arrow = isinstance(dtype, pd.ArrowDtype)
        return not of_arrow and bool(dtype._is_numeric) and not dtype._is_boolean
    is_float = getattr(dtype, "is_float", None)  # polars
    return is_float is not None and (is_float() or dtype.is_integer())


def fields(frame):
    """Return a `Field` for each column of a frame."""
    dtypes = list(frame.dtypes)
    keys = _keys(frame, dtypes)
    kinds = dict(zip(keys, dtypes, strict=True)).items()
    plain = {key: str(dtype) for key, dtype in kinds if _is_plain_number(dtype)}
    return [
        Field(name, plain[key], NUMBER) if key in plain else _field(name, column(frame, place))
        for place, (name, key) in enumerate(zip(names_of(frame), keys, strict=True))
    ]


def fields_of(X):
    """Return the same of a table; None for an array."""
    frame = frame_of(table(X))
    return None if frame is None else fields(frame)


def names_of(frame):
    in_pandas = isinstance(frame.columns, pd.Index)
    return frame.columns.to_numpy(object).tolist() if in_pandas else frame.columns


def refuse_another_order(X, other, what):
    """Refuse a frame that has the columns of another one, in another order."""
    names, others = (list(getattr(frame, "columns", ())) for frame in (X, other))
    if names != others and set(names) == set(others):
        raise ValueError(
            f"The columns of {what} are those of X in another order: {others[:3]} come first, and "
            f"{names[:3]} should."
        )


def column(frame, place):
    """Return a column by its place, as narwhals has it: a fit on an array knows no names."""
    in_pandas = library(frame) == "pandas"
    series = frame.iloc[:, place] if in_pandas else frame.to_series(place)
    return nw.from_native(series, series_only=True)


def plain_numbers(frame):
    """Return the columns of plain numbers as one float64 matrix, NaN where missing, and their places."""
    places = [place for place, dtype in enumerate(frame.dtypes) if _is_plain_number(dtype)]
    if library(frame) == "pandas":
        return frame.iloc[:, places].to_numpy(np.float64, na_value=np.nan), places
    names = frame.columns
    matrix = frame.select([names[place] for place in places]).to_numpy()
    return np.asarray(matrix, dtype=np.float64), places


def _field(name, series):
    kind, form = _kind(name, series)
    dtype = series.to_native().dtype
    categories = getattr(dtype, "categories", None) if kind == CATEGORY else None
    if categories is not None and str(dtype) == "Categorical":  # polars: a pool of all frames
        categories = None
    categories = None if categories is None else list(categories)
    ordered = bool(getattr(dtype, "ordered", False))
    return Field(name, _dtype_name(dtype) + (form and f"[{form}]"), kind, categories, ordered)


def _dtype_name(dtype):
    return "Enum" if str(dtype).startswith("Enum(") else str(dtype)


def form_of(dtype):
    """Return what the objects of a column are, of the name of its type; None for other columns."""
    found = re.fullmatch(r"[oO]bject(?:\[(.+)\])?", dtype)
    return found and (found[1] or "")


def zone_in(dtype):
    """Return the name of the time zone in the name of a type, None without one."""
    return next((found[1] for found in (pattern.search(dtype) for pattern in ZONES) if found), None)


def _in_utc(series):
    """Return times of a zone whose name narwhals does not know, in UTC; None for others."""
    native = series.to_native()
    if series.dtype != nw.Unknown or getattr(native.dtype, "tz", None) is None:
        return None
    return nw.from_native(native.dt.tz_convert("UTC"), series_only=True)


def _kind(name, series):
    """Return the kind of a column, and the form of its objects."""
    dtype, native = series.dtype, series.to_native().dtype
    if dtype == nw.Object:
        return objects.described(series.to_list())
    if dtype in (nw.Duration, nw.Time):
        return DURATION, ""
    if isinstance(native, pd.PeriodDtype) or _in_utc(series) is not None:
        return TIME, ""
    if isinstance(native, pd.IntervalDtype):
        return CATEGORY, ""
    if dtype.is_numeric() or (dtype == nw.Unknown and not _is_complex(native)):
        return NUMBER, ""
    if dtype.is_temporal():
        return TIME, ""
    if any(dtype == kind for kind in (nw.Boolean, nw.String, nw.Categorical, nw.Enum)):
        return CATEGORY, ""
    raise ValueError(
        f"Column {name!r} is of type {native}: expected numbers, booleans, strings, "
        "categories, dates or durations. Convert it, or leave it out."
    )


def _is_complex(dtype):
    return getattr(dtype, "kind", "") == "c"


def numbers(series, kind):
    """Return the cells of a column of numbers or times as float64, NaN where missing."""
    native = series.to_native().dtype
    if isinstance(native, pd.SparseDtype):
        return np.asarray(series.to_native(), dtype=np.float64)
    if series.dtype == nw.Time:
        return objects.read(series.to_list(), kind)
    if kind in TIMES and series.dtype != nw.Object:
        return _times(series)
    if series.dtype in (nw.Object, nw.Unknown):
        try:
            return objects.read(series.to_list(), kind)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Column {series.name!r} cannot be turned into numbers: {error}. Convert it, or "
                "leave it out."
            ) from error
    return _floats(series)


def _times(series):
    """Return dates and durations in seconds, dates since 1970."""
    native, in_utc = series.to_native(), _in_utc(series)
    if isinstance(native.dtype, pd.PeriodDtype):
        in_utc = nw.from_native(native.dt.to_timestamp(), series_only=True)
    series = series if in_utc is None else in_utc
    if series.dtype == nw.Duration:
        ticks = series.dt.total_microseconds()
    else:
        dates = series.cast(nw.Datetime("us")) if series.dtype == nw.Date else series
        ticks = dates.dt.timestamp("us")
    return _floats(ticks) * MICROSECONDS


def _floats(series):
    """Return numbers as float64; pyarrow itself refuses integers beyond 2**53, such as the year 9999."""
    native = series.to_native()
    if isinstance(native.dtype, pd.ArrowDtype) and series.dtype.is_integer():
        native = native.astype("UInt64" if series.dtype.is_unsigned_integer() else "Int64")
        return native.to_numpy(np.float64, na_value=np.nan)
    return np.array(series.cast(nw.Float64).to_numpy(), dtype=np.float64)


def has_names(row):
    """Return whether the cells of a row have names: those of a frame, or of a Series of pandas."""
    return isinstance(row, pd.Series) or frame_of(row) is not None


def one_row(row):
    """Return one row of a frame or an array as a table of one row."""
    if hasattr(row, "to_frame") and hasattr(row, "index"):
        return row.to_frame().T.infer_objects()
    row = table(row)
    return row if frame_of(row) is not None else np.asarray(row).reshape(1, -1)
