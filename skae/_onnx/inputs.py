"""The columns of a table as inputs of a graph, and as its outputs."""

import re

import numpy as np
from onnx import TensorProto
from scipy import sparse

from skae._data.frames import (
    CATEGORY,
    NUMBER,
    TIMES,
    column,
    fields,
    form_of,
    frame_of,
    numbers,
    table,
)
from skae._data.labels import columns_of
from skae._data.objects import is_missing
from skae._model import CannotDescribe
from skae._onnx.writer import MISSING_TIME

MICROSECOND = 1e-6  # in seconds, the unit of times in a coded table
MISSING_TEXT = ""
TEXT = "text"  # the type of an input
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "day": 86400e6}  # in microseconds


def as_inputs(X, y=None):
    """Return the inputs that a graph of `to_onnx` takes: arrays by name.

    Parameters
    ----------
    X : ndarray or frame of shape (n_samples, n_features)
    y : array-like or frame of shape (n_samples,) or (n_samples, n_columns), default=None
        Labels, if the graph was written with labels.

    Returns
    -------
    inputs : dict of ndarray
        For an array ``{"X": X}``. For a frame one array of shape (n_samples, 1) for each column:

        - strings as they are, "" where missing;
        - dates as int64 microseconds since 1970 in UTC, durations as int64 microseconds, the
          smallest int64 (NaT) where missing;
        - numbers and booleans as float64, or float32 if the column has that type, NaN where missing.

        A column of objects without any present cell counts as strings. Labels are named "y", or
        "y_0", "y_1", ... if there are several columns of them.

    Raises
    ------
    ValueError
        If categories or labels are neither strings, numbers nor booleans; if a string is empty
        but not missing; if a column of X has the name of the labels.

    Examples
    --------
    >>> import pandas as pd
    >>> from skae.onnx import as_inputs
    >>> as_inputs(pd.DataFrame({"town": ["Ames", None]}))["town"].tolist()
    [['Ames'], ['']]
    """
    X = as_rows(X)
    frame = frame_of(X)
    inputs = {"X": X} if frame is None else _columns(frame)
    labels = {} if y is None else _labels(y)
    both = sorted(inputs.keys() & labels.keys())
    if both:
        raise ValueError(
            f"Labels are an input named {both[0]!r}, but X has a column of that name: rename the column."
        )
    return inputs | labels


def as_rows(X):
    """Return rows as a frame, or as an array of a type that graphs have: float32, float64 or int64.

    Where some are strings, all become strings.
    """
    X = table(X)
    if frame_of(X) is not None:
        return X
    X = X.toarray() if sparse.issparse(X) else np.asarray(X)
    if X.dtype.kind in "iub":
        return X.astype(np.int64)
    if X.dtype.kind in "US" or (X.dtype.kind == "O" and any(isinstance(c, str) for c in X.flat)):
        cells = [MISSING_TEXT if is_missing(cell) else str(cell) for cell in X.flat]
        return np.array(cells, dtype=object).reshape(X.shape)
    return X if X.dtype == np.float32 else X.astype(np.float64)


def _labels(y):
    columns = columns_of(y)
    names = ["y"] if len(columns) == 1 else [f"y_{place}" for place in range(len(columns))]
    return {name: constants(column)[:, None] for name, column in zip(names, columns, strict=True)}


def constants(labels):
    """Return labels as int64, float64 or strings: types that ONNX has."""
    if labels.dtype.kind in "biuf":
        return labels.astype(np.float64 if labels.dtype.kind == "f" else np.int64)
    for label in labels.tolist():
        if not isinstance(label, str):
            raise CannotDescribe(
                f"ONNX has no type for the label {label!r}: expected strings, numbers or booleans"
            )
    return labels.astype(object)


def _columns(frame):
    known = fields(frame)
    if len({str(field.name) for field in known}) < len(known):
        raise ValueError(
            "Inputs of a graph are named by text, and two columns' names are the same as text."
        )
    return {
        str(field.name): _cells(field, column(frame, place))[:, None]
        for place, field in enumerate(known)
    }


def _cells(field, series):
    if field.kind == CATEGORY:
        return _categories(field, series.to_list())
    cells = numbers(series, field.kind)
    missing = np.isnan(cells)
    if field.kind in TIMES:
        return np.where(missing, MISSING_TIME, np.round(np.nan_to_num(cells) / MICROSECOND)).astype(
            np.int64
        )
    return cells.astype(np.float32) if str(series.dtype) == "Float32" else cells


def _categories(field, cells):
    missing = [is_missing(cell) for cell in cells]
    present = [cell for cell, lacks in zip(cells, missing, strict=True) if not lacks]
    if all(isinstance(cell, str) for cell in present) and (present or "ool" not in field.dtype):
        if MISSING_TEXT in present:
            raise ValueError(
                f"Column {field.name!r} has empty strings, which mean missing cells in a graph: give that "
                "level a name, or set it to None."
            )
        return np.array(np.where(missing, MISSING_TEXT, np.array(cells, object)), dtype=object)
    plain = [np.nan if lacks else cell for cell, lacks in zip(cells, missing, strict=True)]
    try:
        return np.array(plain, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"Column {field.name!r} has categories such as {present[0]!r}, for which ONNX has no type: "
            "expected strings, numbers or booleans. Convert the column before fit."
        ) from None


# in -----------------------------------------------------------------------------------------------


def write_matrix(writer, inputs):
    """Return a matrix of numbers from inputs, pairs of a name and whether it has another type."""
    return _beside(writer, [writer.cast(name) if other else name for name, other in inputs])


def write_wide(writer, schema, inputs):
    """Return the wide rows of a table, NaN where a cell is missing, and which levels are new.

    The latter are 1 in a cell of a category whose level fit did not see, else 0; None without
    categories. ``inputs`` are names, and whether each is of another type than the graph: `TEXT` of strings.
    """
    blocks, encoder = schema.blocks, schema.encoder
    if encoder is None:
        matrix = write_matrix(writer, inputs)
        every = len(blocks.numbers) == schema.n_features
        return (matrix if every else writer.node("Gather", matrix, blocks.numbers, axis=-1)), None
    inputs = _by_column(writer, encoder, inputs)
    parts = []
    if len(blocks.numbers):
        table = _write_numbers(writer, encoder, blocks.numbers, inputs)
        parts.append(writer.node("Mul", table, blocks.metric[: len(blocks.numbers)]))
    starts = blocks.starts - len(blocks.numbers)
    metric, unseen = blocks.metric[len(blocks.numbers) :], []
    for place, start, size in zip(blocks.categories, starts, blocks.sizes, strict=True):
        index = _write_level(writer, encoder, place, size, *inputs[place])
        levels = np.full((size + 2, size), np.nan)
        levels[:size] = np.diag(metric[start : start + size])
        if encoder.infrequent_categories_[place]:
            levels[size + 1] = levels[size - 1]  # that of the rare levels
        row = writer.node("Gather", levels, index, axis=0)
        parts.append(writer.node("Reshape", row, writer.whole(-1, size)))
        unseen.append(writer.cast(writer.node("Equal", index, writer.whole(size + 1))))
    return _beside(writer, parts), _beside(writer, unseen)


def _beside(writer, parts):
    """Return matrices side by side, None of none."""
    if len(parts) < 2:
        return parts[0] if parts else None
    return writer.node("Concat", *parts, axis=-1)


def _by_column(writer, encoder, inputs):
    n = encoder.n_features_in_
    if len(inputs) == n:
        return inputs
    ((name, other),) = inputs
    return [(writer.node("Gather", name, np.array([i]), axis=-1), other) for i in range(n)]


def write_codes(writer, encoder, inputs):
    """Return a coded table, as `TableEncoder.transform` does."""
    columns = []
    for place, cells in enumerate(_by_column(writer, encoder, inputs)):
        levels = encoder.level_shares_[place]
        if encoder.fields[place].kind != CATEGORY and not np.isnan(encoder.mean_[place]):
            columns.append(_write_numbers(writer, encoder, [place], {place: cells}))
        elif levels is None or not len(levels):  # no cell in fit
            shape = writer.node("Shape", cells[0])
            columns.append(writer.node("Expand", np.full((1, 1), np.nan), shape))
        else:
            size = len(levels)
            known = size - 1 if encoder.infrequent_categories_[place] else np.nan
            code = _write_level(writer, encoder, place, size, *cells)
            columns.append(writer.node("Gather", np.array([*range(size), np.nan, known]), code))
    return _beside(writer, columns)


def _write_numbers(writer, encoder, places, inputs):
    """Return columns of numbers and times, standardised."""
    columns = []
    for place in places:
        name, other = inputs[place]
        if other == TEXT:  # of an array that holds words, too
            missing = writer.node("Equal", name, np.array([MISSING_TEXT], dtype=object))
            name = writer.node("Where", missing, np.array(["nan"], dtype=object), name)
        column = writer.cast(name) if other else name
        if encoder.fields[place].kind in TIMES:
            missing = writer.node("Equal", name, writer.whole(MISSING_TIME))
            column = writer.node("Mul", column, np.array([MICROSECOND]))
            column = writer.node("Where", missing, np.array([np.nan]), column)
        columns.append(column)
    table = writer.node("Sub", _beside(writer, columns), encoder.mean_[places])
    return writer.node("Div", table, encoder.scale_[places])


def _write_level(writer, encoder, place, size, name, other):
    """Return the code of each cell of a category column, as `_write_code` does."""
    kept = encoder.categories_[place]
    pooled = encoder.infrequent_categories_[place] or []
    codes = [*range(len(kept)), *[len(kept)] * len(pooled)]
    return _write_code(writer, [*kept, *pooled], codes, size, name, other)


def _write_code(writer, levels, codes, size, name, other):
    """Return the code of each cell that holds one of some levels, strings or numbers, (n_samples, 1).

    ``size`` where it is missing, one more where it holds another level.
    """
    unseen = size + 1
    if all(isinstance(level, str) for level in levels):
        known = {MISSING_TEXT: size} | dict(zip(levels, codes, strict=True))
        return writer.node(
            "LabelEncoder",
            name,
            domain="ai.onnx.ml",
            keys_strings=list(known),
            values_int64s=list(known.values()),
            default_int64=unseen,
        )
    if other == TEXT:
        raise CannotDescribe(
            "X is an array of words with categories that are no words: pass a frame, whose columns have "
            "types of their own"
        )
    name = writer.cast(name) if other else name
    hits = writer.cast(writer.node("Equal", name, np.array([levels], dtype=np.float64)))
    less = np.array(codes, dtype=np.float64)[:, None] - unseen
    code = writer.node("Add", writer.node("MatMul", hits, less), np.array([float(unseen)]))
    missing = writer.node("IsNaN", name)
    return writer.integer(writer.node("Where", missing, np.array([float(size)]), code))


def write_known_labels(writer, labels, names):
    """Return the coded labels that inputs, one for each column of labels, hold: NaN for a class that fit did not see."""
    precise, parts = writer.precise(), []
    for name, block, classes in zip(names, labels.slices, labels.classes, strict=True):
        if classes is None:
            coded = precise.node("Sub", precise.cast(name), labels.mean[block])
            coded = precise.node("Div", coded, labels.scale[block])
            parts.append(coded if precise is writer else writer.cast(coded))
            continue
        n = len(classes)
        place = _write_code(precise, classes.tolist(), list(range(n)), n, name, True)
        coded = np.vstack([np.eye(n) - labels.mean[block], np.full((2, n), np.nan)])
        row = writer.node("Gather", coded, place, axis=0)
        parts.append(writer.node("Reshape", row, writer.whole(-1, n)))
    return parts


# out ----------------------------------------------------------------------------------------------


def columns_out(encoder):
    """Return the name and kind of each column that a graph gives back: float, int or str."""
    return [(str(field.name), _kind_out(encoder, i)) for i, field in enumerate(encoder.fields)]


def _kind_out(encoder, place):
    field = encoder.fields[place]
    if field.kind in TIMES:
        return "int"
    if field.kind == NUMBER:
        known = not np.isnan(encoder.mean_[place])
        return "int" if known and _is_whole(field) else "float"
    levels = encoder.categories_[place]
    pooled = encoder.infrequent_categories_[place] or []
    return "str" if all(isinstance(level, str) for level in [*levels, *pooled]) else "float"


def _is_whole(field):
    return re.match(r"u?int\d", field.dtype.lower()) is not None


def write_columns(writer, schema, cells):
    """Return the columns that cells, numbers and codes in one matrix, stand for."""
    blocks, encoder = schema.blocks, schema.encoder
    order = np.concatenate([blocks.numbers, blocks.categories]).tolist()
    columns = []
    for place, field in enumerate(encoder.fields):
        column = None
        if place in order:
            column = writer.node("Gather", cells, np.array([order.index(place)]), axis=-1)
        write = _write_category if field.kind == CATEGORY else _write_number
        columns.append(write(writer, encoder, place, column, cells))
    return columns


def _write_number(writer, encoder, place, column, cells):
    field = encoder.fields[place]
    if column is None:  # a column without any cell in fit
        first = writer.node("Gather", cells, np.array([0]), axis=-1)
        if field.kind not in TIMES:
            return writer.node("Mul", first, np.array([np.nan]))
        zero = writer.integer(writer.node("Mul", first, np.array([0.0])))
        return writer.node("Add", zero, writer.whole(MISSING_TIME))
    column = writer.node("Mul", column, encoder.scale_[[place]])
    column = writer.node("Add", column, encoder.mean_[[place]])
    if field.kind in TIMES:
        return _write_time(writer, field.dtype, column)
    if _is_whole(field):
        info = np.iinfo(re.match(r"u?int\d+", field.dtype.lower())[0])
        high = float(info.max) if info.bits < 64 else np.nextafter(2.0**63, 0)
        column = writer.node("Max", column, np.array([float(info.min)]))
        column = writer.node("Min", column, np.array([high]))
        return writer.integer(writer.node("Round", column))
    if re.match("float(16|32)", field.dtype.lower()):
        return writer.cast(writer.node("Cast", column, to=TensorProto.FLOAT))
    places = re.search(r"ecimal.*?(\d+)\)?(\[pyarrow\]|\])?$", field.dtype)
    if places is None:
        return writer.node("Round", column) if form_of(field.dtype) == "int" else column
    unit = np.array([10.0 ** int(places[1])])
    return writer.node("Div", writer.node("Round", writer.node("Mul", column, unit)), unit)


def _write_time(writer, dtype, seconds):
    """Return seconds in microseconds, whole multiples of the unit of a type."""
    unit, form = re.search(r"[\['](s|ms)\b", dtype), form_of(dtype)
    if "eriod" in dtype:
        raise CannotDescribe(f"ONNX has no type for periods ({dtype}), so it cannot return them")
    size = UNITS[unit[1] if unit else "us"]
    if form == "date" or dtype == "Date":
        size = UNITS["day"]
    ticks = writer.node("Div", seconds, np.array([MICROSECOND]))
    rounded = "Round"
    if dtype == "Date":  # polars cuts off the time of the day
        ticks, rounded = writer.node("Round", ticks), "Floor"
    if size > 1:
        ticks = writer.node("Div", ticks, np.array([size]))
    ticks = writer.node(rounded, ticks)
    if size > 1:
        ticks = writer.node("Mul", ticks, np.array([size]))
    if form == "time" or re.match(r"[tT]ime(\d|$)", dtype):  # of the day
        ticks = writer.node("Max", ticks, np.zeros(1))
        ticks = writer.node("Min", ticks, np.array([UNITS["day"] - 1]))
    return writer.integer(ticks)


def _write_category(writer, encoder, place, column, cells):
    pooled = encoder.infrequent_categories_[place] or []
    levels = [*encoder.categories_[place], *pooled[:1]]
    text = _kind_out(encoder, place) == "str"
    if column is None:
        first = writer.node("Gather", cells, np.array([0]), axis=-1)
        column = writer.node("Mul", first, np.array([0.0]))
        levels = [MISSING_TEXT] if text else [np.nan]
    known = np.array(levels, dtype=object if text else np.float64)
    found = writer.node("Gather", known, writer.integer(column), axis=0)
    return writer.node("Reshape", found, writer.whole(-1, 1))
