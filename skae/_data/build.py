"""Data frames out: columns built anew, and missing cells filled."""

import re
from decimal import Context, Decimal

import numpy as np
import pandas as pd

from skae._data import objects
from skae._data.frames import TIMES, form_of, plain_numbers, zone_in
from skae._data.objects import CATEGORY, MICROSECONDS, is_missing, limits, zone_of

FARTHEST_NANOSECONDS = 9.2233720368e15  # from 1970, in microseconds
WIDE = Context(prec=objects.MOST_DIGITS)
UNITS = {"s": 1e6, "ms": 1e3}  # of times, in microseconds


def build(fields, columns, to, like=None, label_names=None):
    """Return a frame of a library, "pandas" or "polars".

    For numbers and times the columns are float64, NaN where missing; for categories lists of levels,
    None where missing. Where ``like`` is a frame of pandas, its index is taken. ``label_names`` are those
    of the levels of pandas' column labels; None for plain ones.
    """
    names = [field.name for field in fields]
    if to == "pandas":
        frame = _pandas_frame(fields, columns)
        frame.columns = names if label_names is None else labels(names, label_names)
        return frame.set_axis(like.index, axis=0) if hasattr(like, "iloc") else frame
    import polars as pl

    made = [_column(field, cells, to) for field, cells in zip(fields, columns, strict=True)]
    return pl.DataFrame(dict(zip(map(str, names), made, strict=True)))


def _pandas_frame(fields, columns):
    if all(field.dtype == "float64" for field in fields):
        return pd.DataFrame(np.column_stack(columns))
    made = [_column(field, cells, "pandas") for field, cells in zip(fields, columns, strict=True)]
    return pd.DataFrame(dict(enumerate(made)))


def labels(names, label_names):
    """Return the column labels of a pandas frame; ``label_names`` as of `build`."""
    if label_names is None:
        return pd.Index(names)
    if len(label_names) > 1:
        return pd.MultiIndex.from_tuples(names, names=label_names)
    return pd.Index(names, name=label_names[0], tupleize_cols=False)


def _column(field, cells, to):
    try:
        return _pandas_column(field, cells) if to == "pandas" else _polars_column(field, cells)
    except Exception as error:  # the libraries have many kinds
        raise ValueError(
            f"Column {field.name!r} cannot be made as {field.dtype!r} again ({error}): convert it "
            "to another type."
        ) from error


def _pandas_column(field, cells):
    dtype, form = field.dtype, form_of(field.dtype)
    if field.kind == CATEGORY:
        if form is not None or "[pyarrow]" in dtype:
            return pd.Series(cells, dtype="object" if form is not None else _arrow(dtype))
        if field.categories is not None:
            return pd.Series(pd.Categorical(cells, field.categories, field.ordered))
        # these have no place for missing cells
        plain = re.fullmatch(r"bool|u?int\d+|interval\[u?int.*", dtype)
        lacks_cells = plain and any(cell is None for cell in cells)
        return pd.Series(cells, dtype="object" if lacks_cells else dtype)
    if form:
        return pd.Series(objects.made(form, cells), dtype="object")
    if re.match(r"decimal|time\d", dtype):
        return _arrow_objects(dtype, cells)
    if field.kind in TIMES:
        return _pandas_times(dtype, cells)
    if dtype.startswith("Sparse["):
        return pd.Series(cells).astype(_sparse(dtype))
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
    return pd.to_datetime(ticks, unit="us", utc=zone_in(dtype) is not None).astype(dtype)


def _ticks(cells, dtype):
    """Return seconds in microseconds, in whole units of a type and within what it holds."""
    found = re.search(r"[\['](s|ms|us|ns)\b", dtype)
    unit = UNITS.get(found and found[1], 1)
    zone = zone_in(dtype)
    zone = zone and zone_of(zone)
    low, high = limits(dtype.lower().startswith(("timedelta", "duration")), zone)
    if found and found[1] == "ns":
        low, high = max(low, -FARTHEST_NANOSECONDS), min(high, FARTHEST_NANOSECONDS)
    return np.clip(unit * np.round(cells / MICROSECONDS / unit), low, high)


def _sparse(name):
    """Return the sparse type of a name, which pandas does not read where it is filled with zeros."""
    kind, fill = re.fullmatch(r"Sparse\[(\w+), (.+)\]", name).groups()
    return pd.SparseDtype(kind, np.dtype(kind).type(float(fill) if fill != "False" else 0))


def _arrow(name):
    """Return the type of pyarrow of a name, also of those that pandas cannot read."""
    inner = name.removesuffix("[pyarrow]")
    known = re.fullmatch(r"dictionary<values=(\w+), indices=(\w+), ordered=([01])>", inner)
    if known is None and inner != "string":
        return name
    import pyarrow as pa

    if known is None:
        return pd.ArrowDtype(pa.string())
    values, places = pa.type_for_alias(known[1]), pa.type_for_alias(known[2])
    return pd.ArrowDtype(pa.dictionary(places, values, known[3] == "1"))


def _arrow_objects(name, cells):
    """Return decimal numbers and times of the day as a column of pyarrow."""
    import pyarrow as pa

    inner = name.removesuffix("[pyarrow]")
    decimal = re.fullmatch(r"(decimal\d+)\((\d+), (-?\d+)\)", inner)
    if decimal is None:
        made, kind = objects.made("time", _ticks(cells, name) * MICROSECONDS), inner
        kind = pa.type_for_alias(inner)
    else:
        digits, places = int(decimal[2]), int(decimal[3])
        made = _decimals(cells, digits, places)
        kind = getattr(pa, decimal[1])(digits, places)
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(made, type=kind)))


def _decimals(cells, digits, places):
    """Return decimal numbers of a scale, within what so many digits hold."""
    most = float(10 ** (digits - places))
    inside = np.clip(cells, -np.nextafter(most, 0), np.nextafter(most, 0))
    made = objects.made(f"Decimal, {places}", inside)
    largest = Decimal(10**digits - 1).scaleb(-places, WIDE)
    return [x if x is None or abs(x) <= largest else largest.copy_sign(x) for x in made]


def _polars_column(field, cells):
    import polars as pl

    form = form_of(field.dtype)
    if field.kind == CATEGORY:
        return pl.Series(cells, dtype=_polars_dtype(field))
    if form:
        return pl.Series(objects.made(form, cells), dtype=pl.Object)
    if field.dtype == "Time":
        return pl.Series(objects.made("time", cells), dtype=pl.Time)
    decimal = re.fullmatch(r"Decimal\(precision=(\d+), scale=(\d+)\)", field.dtype)
    if decimal:
        digits, places = int(decimal[1]), int(decimal[2])
        return pl.Series(_decimals(cells, digits, places), dtype=pl.Decimal(digits, places))
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
    zone, made = zone_in(dtype), ticks.cast(pl.Datetime("us"))
    if zone is not None:
        made = made.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        return made.cast(pl.Datetime(unit, zone))
    return made.cast(pl.Datetime(unit))


def whole_numbers(dtype, cells):
    """Return cells as numbers that an integer type holds: rounded, within its range."""
    size = re.match(r"(u?)int(\d+)", dtype.lower())
    if size is None:
        return cells
    bits, signed = int(size[2]), not size[1]
    low, high = -(2.0 ** (bits - 1)) if signed else 0.0, 2.0 ** (bits - signed) - 1
    if bits > 53:
        high = np.nextafter(2.0 ** (bits - signed), 0)  # the largest float64 below it
    return np.clip(np.round(cells), low, high)


def fill(X, made):
    """Return a native frame with the cells of another one where it has none."""
    return _fill_pandas(X, made) if isinstance(X, pd.DataFrame) else _fill_polars(X, made)


def _fill_polars(X, made):
    import polars as pl

    columns = {}
    for name in X.columns:
        column = X[name]
        missing = column.is_null() | (column.is_nan() if column.dtype.is_float() else False)
        wider = column.dtype == pl.Null or column.dtype == pl.Enum
        column = column.cast(made[name].dtype) if wider else column
        other = made[name].cast(column.dtype)
        columns[name] = other.zip_with(missing.fill_null(True), column) if missing.any() else column
    return pl.DataFrame(columns)


def _like(cells, dtype):
    """Return cells as those of another type of the same kind."""
    if isinstance(dtype, pd.CategoricalDtype):
        return pd.Categorical(cells.astype(object), dtype=dtype)
    if all(map(_is_number, (dtype, cells.dtype))) and cells.notna().any():
        return pd.Series(whole_numbers(str(dtype), cells.to_numpy(np.float64))).astype(dtype)
    if isinstance(cells.dtype, pd.DatetimeTZDtype) or cells.dtype.kind == "M":
        zone = getattr(dtype, "tz", None)
        cells = pd.Series(pd.to_datetime(cells, utc=True))
        return cells.dt.tz_convert(zone) if zone else cells.dt.tz_localize(None).astype(dtype)
    return cells


def _is_number(dtype):
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def fill_numbers(X, coded):
    """Return a frame of plain numbers with those of a matrix where it has none."""
    if not isinstance(X, pd.DataFrame):
        return _fill_polars_numbers(X, coded)
    dtypes = set(X.dtypes)
    if len(dtypes) == 1 and getattr(next(iter(dtypes)), "kind", "") == "f":
        cells = X.to_numpy()
        if isinstance(cells, np.ndarray) and cells.dtype in dtypes:
            filled = np.where(np.isnan(cells), coded.astype(cells.dtype), cells)
            return pd.DataFrame(filled, X.index, X.columns)
    return _fill_pandas(X, pd.DataFrame(coded, X.index))


def _fill_polars_numbers(X, coded):
    import polars as pl

    holes = np.isnan(plain_numbers(X)[0]).any(axis=0)
    places = np.flatnonzero(holes).tolist()
    names = X.columns
    some = X.select([names[place] for place in places])
    made = {
        name: pl.Series(coded[:, place]) for name, place in zip(some.columns, places, strict=True)
    }
    return X.with_columns(_fill_polars(some, made)) if places else X


def _fill_pandas(X, made):
    filled, holes = X.copy(), np.asarray(X.isna(), dtype=bool)
    for place in np.flatnonzero(holes.any(axis=0)).tolist():
        column, missing, cells = X.iloc[:, place], holes[:, place], made.iloc[:, place]
        if isinstance(column.dtype, pd.SparseDtype):
            filled.isetitem(place, column.sparse.to_dense().mask(missing, cells))
            continue
        if isinstance(column.dtype, pd.CategoricalDtype):
            new = [c for c in cells[missing].unique() if c not in column.cat.categories]
            column = column.cat.add_categories([c for c in new if not is_missing(c)])
        if column.dtype == object:
            column = pd.Series(np.where(missing, cells, column), X.index, dtype=object)
            filled.isetitem(place, column)
            continue
        new = _like(cells[missing], column.dtype)
        if missing.all():
            same = _is_number(column.dtype) and _is_number(cells.dtype)
            filled.isetitem(place, new.array if same else cells)
            continue
        column = column.copy()
        column[missing] = getattr(new, "array", new)
        filled.isetitem(place, column)
    return filled
