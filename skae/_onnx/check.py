"""A graph is run, and compared with the estimator that it was written from."""

import warnings
from contextlib import suppress

import narwhals.stable.v2 as nw
import numpy as np
import onnxruntime
from sklearn.base import is_outlier_detector

from skae._data.frames import CATEGORY, TIMES, as_frame, fields, frame_of
from skae._onnx.inputs import as_inputs

TOLERANCES = {np.float32: 1e-5, np.float64: 1e-9}  # of the largest value of a column
N_MADE = 16  # rows of each kind that are made
BACK = "inverse_transform", "reconstruct"
FAR = 4.0  # widths of a column's range that they lie beyond it
GIVEN = "the rows of X"
UNSEEN = "a level that fit did not see"


def check_graph(graph, estimator, X, method, y=None):
    """Refuse, with a ValueError, a graph that cannot be run, or gives other answers than the estimator."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime has many kinds
        raise ValueError(
            f"onnxruntime cannot run the graph of {method}: {error}. It has some operations only in float32 "
            "(those of SimpleImputer, trees, support vectors, and activations that are not skae's): pass "
            "float32 rows."
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of levels that fit did not see, of columns without a cell
        _compare(session, estimator, X, method, GIVEN, y)
        for what, rows in made_rows(X):
            _compare(session, estimator, rows, method, what, first(y, rows.shape[0]))


def first(rows, n):
    """Return the first rows or labels, where there are some."""
    return rows.head(n) if hasattr(rows, "head") else rows[:n] if rows is not None else None


def _compare(session, estimator, X, method, what, y):
    """Compare answers for some rows, where the estimator gives any."""
    known = {place.name for place in session.get_inputs()}
    inputs = {name: cells for name, cells in as_inputs(X, y).items() if name in known}
    try:
        estimator, X = _asked(estimator, X, method)
        expected = answer(estimator, X, method, y)
    except ValueError:
        if what == GIVEN:
            raise
        return  # the estimator refuses such rows
    found = session.run(None, inputs)
    unit = _unit(estimator, X, method)
    single = any(cells.dtype == np.float32 for cells in (*as_inputs(X).values(), *found))
    tolerance = TOLERANCES[np.float32 if single else np.float64]
    sure = _sure(estimator, X, method, tolerance)
    said = f"The graph of {method} differs from it on {what}"
    for a, (b, rounding) in zip(found, _answers(expected, len(found)), strict=True):
        _refuse_difference(a[sure], b[sure], unit, tolerance, rounding, said)


def answer(estimator, X, method, y=None):
    """Return what a method of an estimator, or of the last step of a pipeline, says of rows."""
    estimator, X = _asked(estimator, X, method)
    return getattr(estimator, method)(X, **({} if y is None else {"y": y}))


def _asked(estimator, X, method):
    """Return what has a method, and its rows: a pipeline, or the last step of one that has it not."""
    if hasattr(estimator, method):
        return estimator, X
    return _asked(estimator[-1], estimator[:-1].transform(X), method)


def _sure(estimator, X, method, tolerance):
    """Return which rows are compared: not those whose label rounding may change.

    They lie on an outlier detector's threshold, which is the score of a training
    row, or between two classes.
    """
    if method != "predict":
        return slice(None)
    if is_outlier_detector(estimator):
        score = estimator.score_samples(X)
        return np.abs(estimator.decision_function(X)) > tolerance * np.abs(score)
    if not hasattr(estimator, "predict_proba"):
        return slice(None)
    shares = estimator.predict_proba(X)
    shares = shares if isinstance(shares, list) else [shares]
    return np.all([_lead(part) > tolerance for part in shares], axis=0)


def _lead(shares):
    """Return by how much the first class of each row is more probable than the second."""
    most = np.sort(shares, axis=1)[:, -2:]
    return most[:, -1] - most[:, 0] if shares.shape[1] > 1 else np.ones(len(shares))


def _answers(expected, n_outputs):
    """Return the arrays of an answer, and the rounding of each: a microsecond of times, else 0."""
    if frame_of(expected) is not None and expected.shape[1] == n_outputs:
        rounding = [float(field.kind in TIMES) for field in fields(expected)]
        return list(zip(as_inputs(expected).values(), rounding, strict=True))
    arrays = expected if isinstance(expected, tuple | list) else [np.asarray(expected)]
    if len(arrays) < n_outputs:  # several labels, which may be words and numbers
        arrays = [np.array(column.tolist()) for column in arrays[0].T]
    return [(array, 0.0) for array in arrays]


def _unit(estimator, X, method):
    """Return the least that differences are compared with.

    1 for probabilities, and the largest squared distance of a row from the
    mean for errors: tiny ones have few digits.
    """
    if getattr(estimator, "likelihood", None) == "bernoulli" and method in BACK:
        return 1.0
    if method != "reconstruction_error":
        return 0.0
    if frame_of(X) is not None:
        return 1.0
    with np.errstate(over="ignore"):
        return float(np.nanmax(np.nansum((X - np.nanmean(X, axis=0)) ** 2, axis=1)))


def _refuse_difference(found, expected, unit, tolerance, rounding, what):
    if expected.size != found.size:
        raise ValueError(f"{what}: its shape is {found.shape}, not {expected.shape}.")
    expected = expected.reshape(found.shape)
    if found.dtype.kind not in "fi" or expected.dtype.kind not in "fi" or found.ndim < 2:
        different = int(np.sum(found != expected))
        if different:
            raise ValueError(
                f"{what}: {different} of {found.size} labels differ. Please report this."
            )
        return
    a, b = found.astype(np.float64), expected.astype(np.float64)
    if (np.isnan(a) != np.isnan(b)).any():
        raise ValueError(f"{what}: other cells are missing. Please report this.")
    if not a.size or np.isnan(a).all():
        return
    largest = np.maximum(np.nanmax(np.abs(b), axis=0), unit)
    difference = np.maximum(np.nanmax(np.abs(a - b), axis=0) - rounding, 0)
    difference /= np.where(largest > 0, largest, 1.0)
    if np.nanmax(difference) > tolerance:
        raise ValueError(
            f"{what}: by {np.nanmax(difference):.1e} of a column's largest value; {tolerance:.0e} is allowed. "
            "If the rows are float32, pass float64. If they are float64, skl2onnx may have written a step in "
            "float32 (trees or support vectors, for example): pass float32. Otherwise report this."
        )


# made rows ----------------------------------------------------------------------------------------


def made_rows(X):
    """Yield what some rows are, and the rows: X with cells that are missing, far out, or new."""
    frame = as_frame(X)
    rng = np.random.RandomState(0)
    n = min(N_MADE, X.shape[0])
    if frame is None and X.dtype.kind in "OU":
        return
    if frame is None:
        if X.dtype.kind == "f":
            yield "rows with missing cells", _with_holes(X[:n], rng)
        yield "rows beyond the training range", _far(X, n, rng)
        return
    rows = X.head(n)
    yield "rows with missing cells", _changed(rows, rng, _missing)
    yield "rows with levels that fit did not see", _changed(rows, rng, _unseen)
    yield "rows beyond the training range", _changed(rows, rng, _beyond)


def _changed(rows, rng, change):
    """Return a frame half of whose cells are changed, in columns whose type allows it."""
    frame, before, changed = as_frame(rows), as_inputs(rows), []
    for field in fields(rows):
        with suppress(Exception):  # a type that has no place for it: the libraries have many errors
            made = _with_changed(frame.get_column(field.name), field, rng, change)
            (now,) = as_inputs(made.to_frame().to_native()).values()
            if now.dtype == before[str(field.name)].dtype:
                changed.append(made)
    return frame.with_columns(changed).to_native()


def _with_changed(series, field, rng, change):
    cells = series.to_list()
    other = change(field, cells, rng)
    chosen = rng.random_sample(len(cells)) < 0.5
    chosen[0] = True  # so that a row may have no cell at all
    mixed = [new if c else old for c, new, old in zip(chosen, other, cells, strict=True)]
    return nw.new_series(series.name, mixed, series.dtype, backend=series.implementation)


def _missing(field, cells, rng):
    return [None] * len(cells)


def _unseen(field, cells, rng):
    return [UNSEEN if field.kind == CATEGORY else cell for cell in cells]


def _beyond(field, cells, rng):
    if field.kind == CATEGORY:
        return cells
    present = [cell for cell in cells if cell is not None and cell == cell]
    width = max(present) - min(present)
    far = FAR * rng.choice([-1.0, 1.0], size=len(cells))
    moved = [(present[0] if c is None else c) + width * s for c, s in zip(cells, far, strict=True)]
    whole = isinstance(present[0], int)
    return [int(cell) for cell in moved] if whole else moved


def _with_holes(X, rng):
    X = np.array(X)
    X[rng.random_sample(X.shape) < 0.2] = np.nan
    X[0] = np.nan
    return X


def _far(X, n, rng):
    low, high = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    signs = rng.choice([-1.0, 0.0, 1.0], size=(n, X.shape[1]))
    return (X[:n] + FAR * signs * (high - low)).astype(X.dtype)
