"""Arrays and text in one file: the safetensors format, read within bounds.

Eight bytes say how long the header is, the header says in JSON what each
array is and where, then come the arrays (https://huggingface.co/docs/safetensors). The
header's ``__metadata__`` has a SHA-256 of all bytes, taken with zeros in its
own place. It shows damage, not malice: who changes a file can change the sum.

What is read takes as much memory as the file has bytes, and for the JSON, which
swells when it is read, up to 24 MiB: `MOST_BYTES` and `MOST_VALUES` see to it.
"""

import hashlib
import json
import math
import os
from typing import NamedTuple

import numpy as np

DTYPES = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U64": "u8",
    "U32": "u4",
    "U16": "u2",
    "U8": "u1",
    "BOOL": "b1",
}
NAMES = {np.dtype(kind): name for name, kind in DTYPES.items()}
NO_SUM = "0" * 64
MOST_BYTES, MOST_VALUES = 2**21, 2**17  # of JSON


def write(file, arrays, metadata):
    """Write arrays, C-contiguous and of the types `DTYPES`, and text by name, no more than `parse` takes."""
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    header, start = {"__metadata__": {**metadata, "sha256": NO_SUM}}, 0
    for name in names:
        array = arrays[name]
        place = [start, start := start + array.nbytes]
        kind = NAMES[array.dtype]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": place}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    check_size(text)
    data = [_bytes(arrays[name]) for name in names]
    total = _sum([text, *data])
    text = text.replace(_entry(NO_SUM), _entry(total))
    for part in (len(text).to_bytes(8, "little"), text, *data):
        file.write(part)


class Header(NamedTuple):
    """What a file says of itself: where its arrays are, its text by name, and all that as read."""

    places: dict
    metadata: dict
    text: bytes


def read_header(file):
    """Return the `Header` of an open file; what has none raises a ValueError, or another exception."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= min(size - 8, MOST_BYTES):
        raise ValueError(f"a header of {length} bytes is not in a file of {size}")
    text = file.read(length)
    places = parse(text)
    return Header(places, places.pop("__metadata__"), text)


def read_arrays(file, header):
    """Return the arrays that follow a header, by name; others than were written raise, as above."""
    places = header.places
    _check_places(places, file.tell(), os.fstat(file.fileno()).st_size)
    arrays = {}
    for name in sorted(places, key=lambda name: places[name]["data_offsets"]):
        kind, shape = places[name]["dtype"], places[name]["shape"]
        raw = np.empty(_n_bytes(places[name]), dtype=np.uint8)
        if file.readinto(raw.data) != len(raw):
            raise ValueError("it became shorter while it was read")
        if kind == "BOOL" and raw.max(initial=0) > 1:
            raise ValueError(f"{name} is not of true and false")
        arrays[name] = raw.view(DTYPES[kind]).reshape(shape)
    found = header.metadata["sha256"]
    blank = header.text.replace(_entry(found), _entry(NO_SUM))
    if _sum([blank, *map(_bytes, arrays.values())]) != found:
        raise ValueError("its bytes are not those that were written: the SHA-256 differs")
    return arrays


def parse(text):
    """Return the value of JSON in ASCII, of bounded size."""
    check_size(text)
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("its JSON is no object")
    return value


def check_size(text):
    """Refuse JSON of more bytes, or of more values, than may be read."""
    n_values = sum(map(text.count, (b",", b"[", b"{")))
    if not text.isascii() or len(text) > MOST_BYTES or n_values > MOST_VALUES:
        raise ValueError(
            f"JSON of {len(text)} bytes and about {n_values} values: at most {MOST_BYTES} bytes, "
            f"in ASCII, and {MOST_VALUES} values can be read"
        )


def _check_places(places, first, size):
    """Refuse arrays that do not fill a file from its first byte of data on, one after the other."""
    start, n_bytes = 0, size - first
    for place in sorted(places.values(), key=lambda place: place["data_offsets"]):
        shape, (begin, end) = place["shape"], place["data_offsets"]
        numbers = [*shape, begin, end]
        if len(shape) > 8 or any(type(n) is not int or not 0 <= n <= size for n in numbers):
            raise ValueError(f"an array of shape {str(shape)[:80]} is not in {n_bytes} bytes")
        if begin != start or end - begin != _n_bytes(place):
            raise ValueError(f"an array of shape {shape} is not at bytes {begin} to {end}")
        start = end
    if start != n_bytes:
        raise ValueError(f"its arrays have {start} bytes of {n_bytes}")


def _n_bytes(place):
    return math.prod(place["shape"]) * np.dtype(DTYPES[place["dtype"]]).itemsize


def _bytes(array):
    return array.reshape(-1).view(np.uint8).data


def _entry(total):
    return f'"sha256":"{total}"'.encode()


def _sum(parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
