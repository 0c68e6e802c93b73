"""Tables that are read block by block: files, data sets, and what makes iterators."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from glob import escape, glob
from importlib import import_module
from numbers import Integral
from os import PathLike, fspath, path

import numpy as np
from scipy import sparse

from skae._data.frames import frame_of, library, names_of
from skae._parameters import counted, unmasked

FEWEST_IN_BLOCK = 512  # rows: the largest batch of a training
SUFFIXES = ".npy", ".parquet", ".pq"
LITTLE_AT_ONCE = {"pre_buffer": False, "buffer_size": 2**16}  # bytes, of a parquet file


@dataclass(frozen=True)
class Part:
    """What of a stream can be read by itself: a file, or a piece of one.

    Attributes
    ----------
    name : str
        For messages.
    read : callable
        Returns a new iterator of frames or arrays.
    n_rows : int or None
        How many there are, where that is known without reading them.
    start : int
        First row in what has the name.
    """

    name: str
    read: Callable
    n_rows: int | None = None
    start: int = 0


def stream(source, *, block=65_536, cache=None, cache_limit=None, weight=None):
    """Return a table that is read block by block: for rows that do not fit into memory.

    Parameters
    ----------
    source : str, path-like, list of them, ndarray, pyarrow Dataset, polars LazyFrame or callable
        Parquet files (read with pyarrow) or ``.npy`` files: their paths, a
        pattern such as ``"rows/*.parquet"``, or a folder (without its subfolders); an array, such as a
        ``numpy.memmap``; a ``pyarrow.dataset.Dataset``; a polars
        ``LazyFrame`` (from ``polars.scan_csv``, for example); or a function
        without arguments that returns a new iterator of frames or arrays
        at each call, as training reads the rows many times. Parquet files and
        data sets give pandas frames.
    block : int, default=65_536
        Rows that are read at a time, at least 512. The memory of a fit grows
        with it, and not with the length of the stream.
    cache : None, str, path-like or False, default=None
        Folder for a cache of memory-mapped blocks, which is read in place of the
        source. It is a new folder within this one, or with
        None within the system's temporary folder, and
        is removed when the fit ends; where the process is killed, a folder ``skae-...``
        stays. False reads the source each time.
    cache_limit : int or None, default=None
        Maximum size of the cache in bytes; never more than nine tenths of the free disk.
        Where the rows need more, all of them are read from the source each time, with a warning.
    weight : str, int or None, default=None
        The column (position in arrays) with the weights of the rows.
        It is not a feature. Rows of weight zero are left out.

    Returns
    -------
    stream : Stream
        For ``fit``, ``transform``, ``score``, ``reconstruction_error``,
        ``reconstruct``, ``impute`` and ``inverse_transform``. An iterator over it gives
        the blocks, without their weights.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        For other sources, and parameters out of range.

    See Also
    --------
    skae.AutoencoderTransformer.partial_fit : For rows that can be read only once.

    Examples
    --------
    >>> import numpy as np
    >>> import skae
    >>> X = np.random.default_rng(0).normal(size=(3000, 4)) @ np.diag([3.0, 2.0, 1.0, 0.1])
    >>> rows = skae.stream(X, block=1000)
    >>> ae = skae.AutoencoderTransformer(2, max_iter=3, random_state=0).fit(rows)
    >>> [codes.shape for codes in ae.transform(rows)]
    [(1000, 2), (1000, 2), (1000, 2)]
    >>> bool(np.isclose(ae.score(rows), ae.score(X)))
    True
    """
    if not isinstance(block, Integral) or block < FEWEST_IN_BLOCK:
        raise ValueError(f"block={block!r}: expected an int of at least {FEWEST_IN_BLOCK} rows.")
    if not (cache is None or cache is False or isinstance(cache, str | PathLike)):
        raise TypeError(f"cache={cache!r}: expected None, a folder, or False for no cache.")
    if isinstance(cache, str | PathLike) and not path.isdir(cache):
        raise FileNotFoundError(f"cache={fspath(cache)!r}: there is no such folder.")
    if cache_limit is not None and (not isinstance(cache_limit, Integral) or cache_limit < 0):
        raise ValueError(f"cache_limit={cache_limit!r}: expected an int, of bytes, or None.")
    if isinstance(weight, bool) or not (weight is None or isinstance(weight, str | Integral)):
        raise TypeError(
            f"weight is {type(weight).__name__}: expected the column that holds the weights, by its name "
            "(its position in arrays), or None."
        )
    return Stream(_parts(source, int(block)), int(block), cache, cache_limit, weight)


@dataclass(frozen=True, eq=False)
class Stream:
    """A table that is read block by block; see `stream`, which makes it.

    Attributes
    ----------
    parts : list of Part
    block : int
    cache, cache_limit, weight
        As given to `stream`.
    """

    parts: list
    block: int
    cache: object = None
    cache_limit: int | None = None
    weight: object = None

    def __iter__(self):
        """Yield frames or arrays of at most ``block`` rows."""
        for part in self.parts:
            for _, X, _ in self.tables(part):
                yield X

    def tables(self, part):
        """Yield of a part: where it is, at most ``block`` of its rows, and their weights or None."""
        start = part.start
        for X in part.read():
            X = _as_table(X, part.name)
            for first in range(0, len(X), self.block):
                where = f"{part.name}, from row {start + first}"
                with located(where):
                    yield where, *weighed(rows_of(X, slice(first, first + self.block)), self.weight)
            start += len(X)

    @property
    def n_rows(self):
        """Rows in all, where that is known without reading them; else None."""
        known = [part.n_rows for part in self.parts]
        return None if None in known else sum(known)

    def __array__(self, *args, **kwargs):
        """Refuse to be read whole."""
        raise TypeError(
            "A stream of rows is read block by block, by fit, transform, score, reconstruct, impute, "
            "reconstruction_error and inverse_transform of most autoencoders. What was called "
            "needs a table that is in memory: pass an array or a frame."
        )

    def __repr__(self):
        names = list(dict.fromkeys(part.name for part in self.parts)) or ["nothing"]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"<skae.stream of {names[0]}{more}, block={self.block}>"


@contextmanager
def located(where):
    """Let errors say where in a stream they were found."""
    try:
        yield
    except (ValueError, TypeError, OSError) as error:
        kind = next(kind for kind in (OSError, TypeError, ValueError) if isinstance(error, kind))
        raise kind(f"{where}: {error}") from error


def rows_of(X, places):
    """Return some rows of a frame or an array, by their places."""
    return X.iloc[places] if hasattr(X, "iloc") else X[places]


def weighed(X, weight):
    """Return rows without the column of their weights, and that; None where they have none.

    ``weight`` names it (in arrays it is a place), or is the weights themselves.
    """
    if weight is None:
        return X, None
    if not isinstance(weight, str | Integral):
        return X, _checked(weight, len(X))
    is_frame = frame_of(X) is not None
    known = names_of(X) if is_frame else range(-X.shape[1], X.shape[1])
    if weight not in known:
        told = known[:5] if is_frame else f"{X.shape[1]} columns, without names"
        raise ValueError(f"weight={weight!r} is no column: there are {told}.")
    if not is_frame:
        return np.delete(X, weight, axis=1), _checked(X[:, weight], len(X))
    rest = X.drop(weight, axis=1) if library(X) == "pandas" else X.drop(weight)
    return rest, _checked(X[weight], len(X))


def that_count(X, weight):
    """Return the rows of positive weight, and their weights."""
    if weight is None:
        return X, weight
    some = np.flatnonzero(weight)
    return rows_of(X, some), weight[some]


def _checked(weight, n_rows):
    """Return weights as float64; refuse what are none."""
    try:
        weight = np.asarray(weight, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(f"the weights are no numbers: {error}.") from error
    if weight.shape != (n_rows,):
        raise ValueError(
            f"weights of the shape {weight.shape}: expected one for each of {counted(n_rows, 'row')}."
        )
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        wrong = weight[~(np.isfinite(weight) & (weight >= 0))][0]
        raise ValueError(f"a weight is {wrong}: expected numbers of at least 0, none missing.")
    return weight


def _as_table(X, name):
    """Return what an iterator gave as a frame or an array of two dimensions."""
    if type(X).__module__.partition(".")[0] == "pyarrow":
        X = X.to_pandas()
    if frame_of(X) is None:
        with located(name):
            if sparse.issparse(X):
                raise TypeError(
                    "Sparse rows cannot be streamed: pass them to fit, which reads them in parts."
                )
            X = np.asarray(unmasked(X))
            if X.ndim != 2:
                raise ValueError(f"expected rows and columns, not an array of the shape {X.shape}.")
    return X


# what can be streamed ---------------------------------------------------------------------------


def _parts(source, block):
    if isinstance(source, str | PathLike) or (
        isinstance(source, list | tuple) and all(isinstance(p, str | PathLike) for p in source)
    ):
        return _parts_of_files(_files(source), block)
    if isinstance(source, np.ndarray):
        return list(_slices("array", lambda: source, source, block))
    if type(source).__name__ == "LazyFrame":
        return [Part("LazyFrame", partial(_lazy_tables, source, block))]
    if hasattr(source, "get_fragments"):
        return [
            part for piece in source.get_fragments() for part in _of_fragment(source, piece, block)
        ]
    if isinstance(source, Iterator):
        raise TypeError(
            f"An iterator ({type(source).__name__}) can be read only once, but training reads the rows "
            "many times: pass a function that returns a new iterator each time."
        )
    if callable(source):
        return [Part(getattr(source, "__name__", "function"), _Fresh(source))]
    raise TypeError(
        f"source is of type {type(source).__name__}: expected paths, an array, a pyarrow Dataset, a "
        "polars LazyFrame or a function that returns an iterator. A frame is in memory: pass it to "
        "fit as it is."
    )


def _files(source):
    """Return the paths that are meant, in their order."""
    found = []
    for given in [source] if isinstance(source, str | PathLike) else source:
        given = fspath(given)
        if path.isdir(given):
            files = sorted(f for s in SUFFIXES for f in glob(path.join(escape(given), "*" + s)))
        else:
            files = [given] if path.exists(given) else sorted(glob(given, recursive=True))
        if not files:
            raise FileNotFoundError(
                f"There is no file at {given!r} that can be streamed ({', '.join(SUFFIXES)}). For files in "
                "folders of a folder pass a pattern such as 'rows/**/*.parquet'."
            )
        found += files
    return found


def _parts_of_files(files, block):
    kinds = {path.splitext(file)[1].lower() for file in files}
    if kinds == {".npy"}:
        return [part for file in files for part in _of_array_file(file, block)]
    if kinds <= {".parquet", ".pq"}:
        return [part for file in files for part in _of_parquet(file, block)]
    raise ValueError(
        f"The files end in {sorted(kinds)}: expected either .parquet or .npy. Of CSV files "
        "polars.scan_csv makes a LazyFrame, which can be streamed."
    )


def _of_array_file(file, block):
    def opened():
        return np.load(file, mmap_mode="r")

    with located(file):
        yield from _slices(file, opened, opened(), block)


def _slices(name, opened, array, block):
    if array.ndim != 2:
        raise ValueError(f"expected rows and columns, not an array of the shape {array.shape}.")
    for start in range(0, len(array), block):
        rows = slice(start, min(start + block, len(array)))
        yield Part(name, partial(_slice, opened, rows), rows.stop - rows.start, start)


def _slice(opened, rows):
    yield opened()[rows]


def _of_parquet(file, block):
    """Yield the row groups of a file."""
    with located(file):
        groups, start = _parquet(file).metadata, 0
        for number in range(groups.num_row_groups):
            n_rows = groups.row_group(number).num_rows
            yield Part(file, partial(_row_group, file, number, block), n_rows, start)
            start += n_rows


def _parquet(file):
    try:
        return import_module("pyarrow.parquet").ParquetFile(file, **LITTLE_AT_ONCE)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Parquet files are read with pyarrow, which is not installed: pip install pyarrow, or "
            "pass a polars.scan_parquet(...)."
        ) from error


def _row_group(file, number, block):
    with located(file), _parquet(file) as opened:
        yield from opened.iter_batches(block, row_groups=[number], use_threads=False)
    _release()


def _of_fragment(dataset, fragment, block):
    """Yield a fragment of a pyarrow data set, as a part; refuse one that lacks columns."""
    name = getattr(fragment, "path", None) or "Dataset"
    with located(name):
        own = set(fragment.physical_schema.names)
        known = str(fragment.partition_expression)
        lacking = [n for n in dataset.schema.names if n not in own and f"{n} ==" not in known]
        if lacking:
            raise ValueError(f"the columns {lacking[:5]} are missing, which the data set has.")
        yield Part(name, partial(_batches, dataset, fragment, block))


def _batches(dataset, fragment, block):
    limits = {"batch_readahead": 1, "fragment_readahead": 1, "use_threads": False}
    if type(fragment).__name__ == "ParquetFileFragment":
        kind = import_module("pyarrow.dataset").ParquetFragmentScanOptions
        limits["fragment_scan_options"] = kind(use_buffered_stream=True, **LITTLE_AT_ONCE)
    with located(getattr(fragment, "path", None) or "Dataset"):
        yield from fragment.to_batches(schema=dataset.schema, batch_size=block, **limits)
    _release()


def _release():
    """Give back what pyarrow keeps of freed memory."""
    import_module("pyarrow").default_memory_pool().release_unused()


class _Fresh:
    """Calls a function for a new iterator; refuses one that was there before."""

    def __init__(self, source):
        self.source, self.last = source, None

    def __call__(self):
        made = self.source()
        if not hasattr(made, "__iter__") or hasattr(made, "shape"):
            raise TypeError(
                f"{self.source!r} returned {type(made).__name__}: expected an iterator of frames or "
                "arrays, such as iter([frame])."
            )
        made = iter(made)
        if made is self.last:
            raise TypeError(
                f"{self.source!r} returned the same iterator twice, which can be read only once: return a "
                "new one each time."
            )
        self.last = made
        return made


def _lazy_tables(frame, block):
    """Yield the rows of a LazyFrame in their order."""
    if hasattr(frame, "collect_batches"):
        yield from frame.collect_batches(chunk_size=block, maintain_order=True)
        return
    start, rows = 0, frame.slice(0, block).collect()
    while len(rows):
        yield rows
        start += len(rows)
        rows = frame.slice(start, block).collect()
