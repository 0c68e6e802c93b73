"""Data frames in and out: what each column holds, its cells, and columns built anew.

pandas and polars are read through narwhals; each builds its own columns.
"""

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from skae._parameters import unmasked

NUMBER, TIME, DURATION, CATEGORY = "number", "time", "duration", "category"
TIMES = TIME, DURATION
FARTHEST_NANOSECONDS, FARTHEST = 9.2233720368e15, 6e16  # from 1970, in microseconds
MICROSECONDS = 1e-6  # in seconds, the unit of times and durations as numbers


@dataclass(frozen=True)
class Field:
    """A column of a frame, or of an array.

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

    def __post_init__(self):
        """Refuse what no frame has: a field may come from a file."""
        good = (
            isinstance(self.dtype, str)
            and self.kind in (NUMBER, TIME, DURATION, CATEGORY)
            and isinstance(self.categories, list | None)
            and isinstance(self.ordered, bool)
        )
        if not good:
            raise ValueError(f"a column cannot be of kind {self.kind!r} and type {self.dtype!r}")


def as_frame(X):
    """Return X as a narwhals frame, or None where it is none."""
    if isinstance(X, np.ndarray):
        return None
    if not (hasattr(X, "iloc") or type(X).__module__.startswith("polars")):
        return None  # neither pandas nor polars
    try:
        frame = nw.from_native(X, eager_only=True)
    except TypeError:
        return None
    except Exception as error:  # narwhals has several for names that occur twice
        raise ValueError(f"The columns of X cannot be told apart: {error}") from error
    return frame if isinstance(frame, nw.DataFrame) else None


def library(frame):
    """Return the name of the library that a narwhals frame belongs to."""
    return frame.implementation.value


def fields(frame):
    """Return a `Field` for each column of a narwhals frame."""
    return [_field(name, frame.get_column(name)) for name in frame.columns]


def _field(name, series):
    native, kind = series.to_native(), _kind(series)
    dtype = native.dtype
    categories = getattr(dtype, "categories", None) if kind == CATEGORY else None
    if categories is not None and str(dtype) == "Categorical":  # polars: a pool of all frames
        categories = None
    categories = None if categories is None else list(categories)
    ordered = bool(getattr(dtype, "ordered", False))
    return Field(name, _dtype_name(dtype), kind, categories, ordered)


def _dtype_name(dtype):
    return "Enum" if str(dtype).startswith("Enum(") else str(dtype)


def zoned(dtype):
    """Return whether the name of a type says a time zone."""
    return "time_zone='" in dtype or (dtype.startswith("datetime64") and ", " in dtype)


def _in_utc(series):
    """Return times of a zone whose name narwhals does not know, in UTC; None for others."""
    native = series.to_native()
    if series.dtype != nw.Unknown or getattr(native.dtype, "tz", None) is None:
        return None
    return nw.from_native(native.dt.tz_convert("UTC"), series_only=True)


def _kind(series):
    dtype = series.dtype
    if dtype == nw.Duration:
        return DURATION
    if _in_utc(series) is not None:
        return TIME
    if dtype.is_numeric() or dtype == nw.Unknown:
        return NUMBER
    if dtype.is_temporal() and dtype != nw.Time:
        return TIME
    if dtype == nw.Object and _all_numbers(series.to_list()):
        return NUMBER
    known = nw.Boolean, nw.String, nw.Categorical, nw.Enum, nw.Object
    if any(dtype == kind for kind in known):
        return CATEGORY
    raise ValueError(
        f"Column {series.name!r} is of type {dtype}: expected numbers, booleans, strings, "
        "categories, dates or durations. Convert it, or leave it out."
    )


def _all_numbers(values):
    present = [value for value in values if not is_missing(value)]
    return bool(present) and all(
        isinstance(value, Real | Decimal) and not isinstance(value, bool | np.bool_)
        for value in present
    )


def is_missing(value):
    """Return whether a cell holds nothing: None, NaN, NaT or NA."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:  # pandas.NA is neither equal nor unequal
        return True
    except ValueError:  # an array in a cell
        return False


def numbers(series, kind):
    """Return the cells of a column of numbers or times as float64, NaN where missing."""
    if kind in TIMES:
        return _times(series)
    if series.dtype in (nw.Object, nw.Unknown):
        cells = [math.nan if is_missing(value) else value for value in series.to_list()]
        try:
            return np.array(cells, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Column {series.name!r} cannot be turned into numbers: {error}. Convert it, or "
                "leave it out."
            ) from error
    return np.array(series.cast(nw.Float64).to_numpy(), dtype=np.float64)


def _times(series):
    """Return dates and durations in seconds, dates since 1970."""
    in_utc = _in_utc(series)
    series = series if in_utc is None else in_utc
    if series.dtype == nw.Duration:
        ticks = series.dt.total_microseconds()
    else:
        dates = series.cast(nw.Datetime("us")) if series.dtype == nw.Date else series
        ticks = dates.dt.timestamp("us")
    return np.array(ticks.cast(nw.Float64).to_numpy(), dtype=np.float64) * MICROSECONDS


def build(fields, columns, to, index=None):
    """Return a frame of a library.

    Parameters
    ----------
    fields : list of Field
    columns : list
        For numbers and times float64, NaN where missing; for categories
        lists of levels, None where missing.
    to : {"pandas", "polars"}
    index : pandas.Index or None
    """
    made = [_column(field, cells, to) for field, cells in zip(fields, columns, strict=True)]
    names = [field.name for field in fields]
    if to == "pandas":
        frame = pd.DataFrame(dict(enumerate(made)))
        frame.columns = names
        return frame if index is None else frame.set_axis(index, axis=0)
    import polars as pl

    return pl.DataFrame([pl.Series(str(n), column) for n, column in zip(names, made, strict=True)])


def _column(field, cells, to):
    try:
        return _pandas_column(field, cells) if to == "pandas" else _polars_column(field, cells)
    except Exception as error:  # the libraries have many kinds
        raise ValueError(
            f"Column {field.name!r} cannot be made as {field.dtype!r} again ({error}): convert it "
            "to another type."
        ) from error


def _pandas_column(field, cells):
    dtype = field.dtype
    if field.kind == CATEGORY:
        if field.categories is not None:
            return pd.Series(pd.Categorical(cells, field.categories, field.ordered))
        plain = dtype == "bool" or re.fullmatch(r"u?int\d+", dtype)  # no place for missing cells
        lacks_cells = plain and any(cell is None for cell in cells)
        return pd.Series(cells, dtype="object" if lacks_cells else dtype)
    if field.kind in TIMES:
        return _pandas_times(dtype, cells)
    whole = whole_numbers(dtype, cells)
    if dtype.startswith(("int", "uint")) and "[" not in dtype and np.isnan(whole).any():
        return pd.Series(whole)  # numpy's integers have no place for a missing cell
    if np.isnan(whole).any() and dtype[0].isupper():
        return pd.Series(pd.array(whole, dtype="Float64")).astype(dtype)
    return pd.Series(whole).astype(dtype)


def _pandas_times(dtype, cells):
    ticks = pd.Series(_ticks(cells, dtype)).astype("Int64")
    if dtype.startswith(("timedelta", "duration")):
        return pd.to_timedelta(ticks, unit="us").astype(dtype)
    return pd.to_datetime(ticks, unit="us", utc=zoned(dtype)).astype(dtype)


def _ticks(cells, dtype):
    """Return seconds in whole microseconds, within what a type holds."""
    most = FARTHEST_NANOSECONDS if "[ns" in dtype or "'ns'" in dtype else FARTHEST
    return np.clip(np.round(cells / MICROSECONDS), -most, most)


def _polars_column(field, cells):
    import polars as pl

    if field.kind == CATEGORY:
        return pl.Series(cells, dtype=_polars_dtype(field))
    present = ~np.isnan(cells)
    if field.kind in TIMES:
        ticks = _ticks(cells, field.dtype)
        ticks = pl.Series([int(t) if p else None for t, p in zip(ticks, present, strict=True)])
        return _polars_times(field.dtype, ticks.cast(pl.Int64))
    whole = whole_numbers(field.dtype.lower(), cells)
    made = pl.Series(whole, nan_to_null=True)
    dtype = _polars_dtype(field)
    return made if dtype is None else made.cast(dtype)


def _polars_dtype(field):
    import polars as pl

    if field.dtype == "Enum":
        return pl.Enum(field.categories)
    named = getattr(pl, re.match(r"\w+", field.dtype)[0], None)
    is_type = isinstance(named, type) and issubclass(named, pl.DataType)
    return named if is_type else None


def _polars_times(dtype, ticks):
    import polars as pl

    if dtype == "Date":
        return ticks.cast(pl.Datetime("us")).cast(pl.Date)
    unit = re.search(r"time_unit='(\w+)'", dtype)[1]
    if dtype.startswith("Duration"):
        return ticks.cast(pl.Duration("us")).cast(pl.Duration(unit))
    zone = re.search(r"time_zone='(.+)'", dtype)
    made = ticks.cast(pl.Datetime("us"))
    if zone is not None:
        made = made.dt.replace_time_zone("UTC").dt.convert_time_zone(zone[1])
        return made.cast(pl.Datetime(unit, zone[1]))
    return made.cast(pl.Datetime(unit))


def whole_numbers(dtype, cells):
    """Return cells as numbers that an integer type holds: rounded, within its range."""
    size = re.match(r"(u?)int(\d+)", dtype.lower())
    if size is None:
        return cells
    info = np.iinfo(f"{size[1]}int{size[2]}")
    low, high = float(info.min), float(info.max)
    if info.bits == 64:
        high = np.nextafter(high, 0)  # the largest float64 below it
    return np.clip(np.round(cells), low, high)


def one_row(row):
    """Return one row of a frame or an array as a table of one row."""
    if hasattr(row, "to_frame") and hasattr(row, "index"):
        return row.to_frame().T.infer_objects()
    return row if as_frame(row) is not None else np.asarray(unmasked(row)).reshape(1, -1)


def fill(X, made):
    """Return a native frame with the cells of another one where it has none."""
    if hasattr(X, "iloc"):
        return _fill_pandas(X, made)
    import polars as pl

    columns = []
    for name in X.columns:
        column = X[name]
        missing = column.is_null() | (column.is_nan() if column.dtype.is_float() else False)
        wider = column.dtype == pl.Null or column.dtype == pl.Enum
        column = column.cast(made[name].dtype) if wider else column
        other = made[name].cast(column.dtype)
        columns.append(other.zip_with(missing.fill_null(True), column) if missing.any() else column)
    return pl.DataFrame(columns)


def _like(cells, dtype):
    """Return cells as those of another type of the same kind."""
    if isinstance(dtype, pd.CategoricalDtype):
        return pd.Categorical(cells.astype(object), dtype=dtype)
    if pd.api.types.is_integer_dtype(dtype) and pd.api.types.is_float_dtype(cells.dtype):
        return pd.Series(whole_numbers(str(dtype), cells.to_numpy(np.float64)))
    if isinstance(cells.dtype, pd.DatetimeTZDtype) or cells.dtype.kind == "M":
        zone = getattr(dtype, "tz", None)
        cells = pd.Series(pd.to_datetime(cells, utc=True))
        return cells.dt.tz_convert(zone) if zone else cells.dt.tz_localize(None).astype(dtype)
    return cells


def _fill_pandas(X, made):
    filled = X.copy()
    for place in range(X.shape[1]):
        column, missing = X.iloc[:, place], X.iloc[:, place].isna().to_numpy()
        if not missing.any():
            continue
        cells = made.iloc[:, place]
        if isinstance(column.dtype, pd.CategoricalDtype):
            new = [c for c in cells[missing].unique() if c not in column.cat.categories]
            column = column.cat.add_categories([c for c in new if not is_missing(c)])
        new = _like(cells[missing], column.dtype)
        column = cells if missing.all() else column.copy()
        if not missing.all():
            column[missing] = getattr(new, "array", new)
        filled.isetitem(place, column)
    return filled
