"""Values as JSON, with arrays beside it: what can be read back exactly, and nothing that acts.

JSON's own types stand for themselves. Everything else is a dict with one key
that begins with ``$``, one of ``READERS``: a tuple is ``{"$tuple": [...]}``.
"""

import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module

import numpy as np
import pandas as pd

from skae._data.objects import zone_of
from skae._io.safetensors import DTYPES, MOST_VALUES

PLAIN = {type(None), bool, int, float, str}
DTYPE = re.compile(r"[<>|]([biufmMU])(\d+)(\[\d*\w+\])?")
LAST_CHARACTER = 0x10FFFF
LONGEST_DECIMAL = 1000  # characters
ACTIVATIONS = """CELU ELU GELU Hardshrink Hardsigmoid Hardswish Hardtanh Identity LeakyReLU LogSigmoid
    Mish PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink"""
OPTIMIZERS = """ASGD Adadelta Adafactor Adagrad Adam AdamW Adamax LBFGS NAdam RAdam RMSprop Rprop
    SGD"""
TORCH = {f"nn.{name}" for name in ACTIVATIONS.split()}
TORCH |= {f"optim.{name}" for name in OPTIMIZERS.split()}


class CannotKeep(Exception):
    """A value that a file does not hold; ``path`` says where it was."""

    def __init__(self, path, value):
        super().__init__(f"{path} cannot be {str(value)[:80]}")
        self.path, self.value = path, value


def encode(value, path, arrays):
    """Return a value as JSON; its arrays are put into ``arrays`` by name. `CannotKeep` refuses others."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is list:
        return [encode(item, f"{path}[{i}]", arrays) for i, item in enumerate(value)]
    if kind is dict and all(type(key) is str and key[:1] != "$" for key in value):
        return {key: encode(item, f"{path}.{key}", arrays) for key, item in value.items()}
    for tag, writer in WRITERS.items():
        if isinstance(value, tag):
            return writer(value, path, arrays)
    raise CannotKeep(path, value)


def decode(value, arrays):
    """Return the value that `encode` was given; what it takes of ``arrays`` is removed there.

    A value that `encode` did not make raises an exception of any kind.
    """
    if isinstance(value, list):
        return [decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    tags = [key for key in value if key.startswith("$")]
    if not tags:
        return {key: decode(item, arrays) for key, item in value.items()}
    (content,) = value.values()
    return READERS[tags[0]](content, arrays)


# writers ------------------------------------------------------------------------------------------


def _write_tuple(value, path, arrays):
    if type(value) is not tuple:
        raise CannotKeep(path, value)
    return {"$tuple": encode(list(value), path, arrays)}


def _write_dict(value, path, arrays):
    if type(value) is not dict:
        raise CannotKeep(path, value)
    return {"$dict": encode([list(pair) for pair in value.items()], path, arrays)}


def _write_array(value, path, arrays):
    if type(value) not in (np.ndarray, np.memmap):
        raise CannotKeep(path, value)
    if value.dtype == object:
        cells = encode(value.ravel().tolist(), path, arrays)
        return {"$objects": [list(value.shape), cells]}
    stored = _stored(value.dtype)
    if stored is None:
        raise CannotKeep(path, value)
    while path in arrays:
        path += "'"
    by_column = value.flags.f_contiguous and not value.flags.c_contiguous
    ordered = np.ascontiguousarray(value.T if by_column else value)
    width = (-1,) if value.dtype.kind == "U" else ()
    shape = value.T.shape if by_column else value.shape
    if width and not value.size:
        width = (value.dtype.itemsize // 4,)
    arrays[path] = ordered.reshape(-1).view(stored).reshape((*shape, *width))
    return {"$array": [path, value.dtype.str, "F" if by_column else "C"]}


def _write_time(value, path, arrays):
    zone = getattr(value, "tzinfo", None)
    if type(value) not in TIMES.values() or (zone and type(value) is not pd.Timestamp):
        raise CannotKeep(path, value)
    (name,) = (name for name, kind in TIMES.items() if kind is type(value))
    if isinstance(value, pd.Timestamp | pd.Timedelta):
        return {"$time": [name, int(value.asm8.astype(np.int64)), value.unit, *_zone(value, path)]}
    if isinstance(value, timedelta):
        return {"$time": [name, value.days, value.seconds, value.microseconds]}
    return {"$time": [name, value.isoformat()]}


def _zone(value, path):
    """Return the name of a time's zone in a list, which is empty where it has none."""
    if getattr(value, "tzinfo", None) is None:
        return []
    try:
        zone_of(str(value.tzinfo))
    except (KeyError, ValueError, OSError) as error:
        raise CannotKeep(path, value) from error
    return [str(value.tzinfo)]


def _write_interval(value, path, arrays):
    ends = [encode(end, path, arrays) for end in (value.left, value.right)]
    return {"$interval": [*ends, value.closed]}


def _write_dtype(value, path, arrays):
    if value.kind != "O" and _stored(value) is None:
        raise CannotKeep(path, value)
    return {"$dtype": value.str}


def _write_class(value, path, arrays):
    name = value.__name__
    for module in ("nn", "optim"):
        if f"{module}.{name}" in TORCH and getattr(import_module(f"torch.{module}"), name) is value:
            return {"$torch": f"{module}.{name}"}
    raise CannotKeep(path, value)


# the more special kinds first: pandas' NaT is a datetime, its Timestamp too
WRITERS = {
    type(pd.NaT) | type(pd.NA): lambda value, *_: {"$missing": "NaT" if value is pd.NaT else "NA"},
    tuple: _write_tuple,
    dict: _write_dict,
    np.generic: lambda value, *where: {
        "$scalar": _write_array(np.asarray(value), *where)["$array"]
    },
    np.ndarray: _write_array,
    date | timedelta | time: _write_time,
    Decimal: lambda value, *_: {"$decimal": str(value)},
    pd.Interval: _write_interval,
    pd.Period: lambda value, *_: {"$period": [value.ordinal, value.freqstr]},
    np.dtype: _write_dtype,
    type: _write_class,
}

# readers ------------------------------------------------------------------------------------------


def _read_list(content, arrays):
    if not isinstance(content, list):  # all else may be long where it is small
        raise ValueError(f"{str(content)[:80]} is no list")
    return decode(content, arrays)


def _read_array(content, arrays):
    name, dtype, order = content
    kept, dtype = arrays.pop(name), _dtype(dtype)
    if kept.dtype != _stored(dtype):
        raise ValueError(f"{name} is of {kept.dtype}, which cannot be {dtype}")
    shape = kept.shape
    if dtype.kind == "U":
        *shape, width = shape
        if width * 4 != dtype.itemsize or kept.max(initial=0) > LAST_CHARACTER:
            raise ValueError(f"{name} is no text of {dtype}")
    array = kept.reshape(-1).view(dtype).reshape(shape)
    return array.T if order == "F" else array


def _read_objects(content, arrays):
    shape, cells = content
    if math.prod(shape) != len(cells) or any(not 0 <= n <= MOST_VALUES for n in shape):
        raise ValueError(f"{len(cells)} values are no array of shape {str(shape)[:80]}")
    array = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(_read_list(cells, arrays)):
        array[i] = cell
    return array.reshape(shape)


def _read_time(content, arrays):
    name, *parts = content
    kind = TIMES[name]
    if issubclass(kind, pd.Timestamp):
        stamp = kind(np.datetime64(*parts[:2]))
        return stamp if len(parts) == 2 else stamp.tz_localize("UTC").tz_convert(zone_of(parts[2]))
    if issubclass(kind, pd.Timedelta):
        return kind(np.timedelta64(*parts))
    return kind(*parts) if issubclass(kind, timedelta) else kind.fromisoformat(*parts)


def _read_interval(content, arrays):
    left, right, closed = _read_list(content, arrays)
    return pd.Interval(left, right, closed)


def _read_decimal(content, arrays):
    if not isinstance(content, str) or len(content) > LONGEST_DECIMAL:
        raise ValueError(f"{str(content)[:80]} is no decimal number")
    return Decimal(content)


def _read_period(content, arrays):
    ordinal, frequency = content
    return pd.Period(ordinal=ordinal, freq=frequency)


def _read_class(content, arrays):
    if content not in TORCH:
        raise ValueError(f"torch.{content} is no class that a file may name")
    module, name = content.split(".")
    return getattr(import_module(f"torch.{module}"), name)


TIMES = {
    "datetime": datetime,
    "date": date,
    "time": time,
    "timedelta": timedelta,
    "Timestamp": pd.Timestamp,
    "Timedelta": pd.Timedelta,
}
READERS = {
    "$array": _read_array,
    "$dict": lambda content, arrays: dict(_read_list(content, arrays)),
    "$decimal": _read_decimal,
    "$dtype": lambda content, arrays: _dtype(content),
    "$interval": _read_interval,
    "$missing": lambda content, arrays: {"NaT": pd.NaT, "NA": pd.NA}[content],
    "$objects": _read_objects,
    "$period": _read_period,
    "$scalar": lambda content, arrays: _read_array(content, arrays)[()],
    "$time": _read_time,
    "$torch": _read_class,
    "$tuple": lambda content, arrays: tuple(_read_list(content, arrays)),
}


def _stored(dtype):
    """Return the type that an array of ``dtype`` is kept as, one of a safetensors file, or None."""
    kind = f"{dtype.kind}{dtype.itemsize}"
    kind = "u4" if dtype.kind == "U" else kind.replace("M", "i").replace("m", "i")
    return np.dtype(kind) if kind in DTYPES.values() else None


def _dtype(text):
    if text == "|O":
        return np.dtype(object)
    if not (isinstance(text, str) and DTYPE.fullmatch(text)):
        raise ValueError(f"{text!r} is no type of numbers or text")
    return np.dtype(text)
