"""Fitted estimators as nodes of an ONNX graph."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from skae._data.table_encoder import TableEncoder
from skae._estimators.base import BaseEncoder, model_of
from skae._estimators.outlier import FARTHEST, AutoencoderOutlierDetector
from skae._linear.distance import ROUNDING, WIDEST
from skae._model import CannotDescribe
from skae._model.graph import described
from skae._model.head import HeadModel
from skae._model.likelihood import draws_of_codes
from skae._model.scores import level_entropies
from skae._onnx.heads import PREDICTIONS, head_outputs, run, write_answer
from skae._onnx.inputs import (
    write_codes,
    write_columns,
    write_known_labels,
    write_matrix,
    write_wide,
)

N_DRAWS = 64  # of `score_samples`
AFFINE = StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, PCA


def write_estimator(writer, estimator, methods, inputs, labels=()):
    """Return what methods of a fitted estimator give: the names of outputs.

    For ``inverse_transform`` it may be a Pipeline; an `AutoencoderClassifier` alone has several methods.
    ``inputs`` are names, and whether each is of another type than the graph; ``labels`` are those that
    hold the labels of rows, one for each column of them.
    """
    if labels:
        labels = write_known_labels(writer, model_of(estimator).task.labels, labels)
    if methods == ["inverse_transform"]:
        codes = write_matrix(writer, [*inputs, *((name, False) for name in labels)])
        return _write_inverse(writer, estimator, [codes])
    if isinstance(estimator, BaseEncoder):
        return _write_encoder(writer, estimator, methods[0], inputs, labels)
    if isinstance(estimator, TableEncoder):
        return [write_codes(writer, estimator, inputs)]
    if isinstance(estimator, AutoencoderOutlierDetector):
        return [_write_detector(writer, estimator, methods[0], inputs)]
    return _write_supervised(writer, estimator, methods, inputs)


def _write_encoder(writer, estimator, method, inputs, labels):
    model = model_of(estimator)
    parts = described(model, _own(model))
    rows, wide, unseen = _write_rows(writer, model, inputs, labels)
    if method == "transform":
        return run(writer, parts.code, wide)
    if method == "transform_distribution":
        both = run(writer, parts.distribution, wide)[0]
        return [_columns(writer, both, 0, parts.size), _columns(writer, both, parts.size)]
    if method in PREDICTIONS:
        return _write_predictions(writer, model, parts, wide, method)
    if method == "score_samples":
        return [_write_bound(writer, parts, wide, unseen)]
    if method == "reconstruction_error" and model.schema.blocks is not None:
        return [_write_errors_of_cells(writer, model, parts, wide, unseen)]
    code = run(writer, parts.code, wide)[0]
    if parts.n_labels:
        labels = _columns(writer, wide, model.schema.width)
        code = writer.node("Concat", code, labels, axis=-1)
    made = _write_back(writer, model, parts, code)
    return made if method == "reconstruct" else [_write_errors(writer, rows, made[0])]


def _write_inverse(writer, estimator, made):
    """Return what rows the last step of a pipeline, or an estimator, makes of codes, step by step."""
    if isinstance(estimator, Pipeline):
        for _, step in reversed(estimator.steps):
            made = _write_inverse(writer, step, made)
        return made
    if isinstance(estimator, str) or estimator is None:  # "passthrough"
        return made
    if len(made) != 1:
        raise CannotDescribe(
            "inverse_transform returns a table with categories as columns, so no step may come before the autoencoder."
        )
    if isinstance(estimator, BaseEncoder):
        model = model_of(estimator)
        return _write_back(writer, model, described(model, _own(model)), made[0])
    if not isinstance(estimator, AFFINE) or getattr(estimator, "clip", False):
        names = ", ".join(kind.__name__ for kind in AFFINE)
        raise CannotDescribe(
            f"skae.onnx cannot write inverse_transform of {estimator!r}: expected {names}."
        )
    n = getattr(estimator, "n_components_", estimator.n_features_in_)
    offset = estimator.inverse_transform(np.zeros((1, n)))
    matrix = estimator.inverse_transform(np.eye(n)) - offset
    if isinstance(estimator, PCA):
        return run(writer, lambda x: x.affine(matrix.T, offset[0]), made[0])
    return run(writer, lambda x: x * np.diag(matrix).copy() + offset[0], made[0])


def _own(model):
    """Return what applies a user's torch module."""

    def apply(place, x):
        module = model.module.get_submodule(place.rstrip("."))
        encodes = place.startswith("encoder")
        n = model.task.n_inputs if encodes else model.task.size + model.task.n_labels
        return x.do("own", module=module, n_inputs=n)

    return apply


def _columns(writer, name, start, stop=None):
    return run(writer, lambda x: x[start:stop], name)[0]


def _write_rows(writer, model, inputs, known=()):
    """Return rows of numbers as they are given, wide rows, and which levels fit did not see.

    The first is None for a coded table, the last is None without categories. Beside wide rows
    stand labels, where the model has some: known ones, or those that the rows seem to have.
    """
    schema, unseen = model.schema, None
    if schema.blocks is not None:
        rows, (wide, unseen) = None, write_wide(writer, schema, inputs)
    else:
        rows = wide = write_matrix(writer, inputs)
        wide = _mean_filled(writer, model, rows) if schema.complete is None else rows
    if model.task.n_labels:
        labels = known or [_write_labels(writer, model, _mean_filled(writer, model, wide))]
        wide = writer.node("Concat", wide, *labels, axis=-1)
    return rows, wide, unseen


def _mean_filled(writer, model, rows):
    return writer.node("Where", writer.node("IsNaN", rows), model.baseline.mean, rows)


def _write_labels(writer, model, rows):
    labels, head = model.task.labels, model.attributes
    coef, intercept = head["label_coef_"], head["label_intercept_"]
    scores = run(writer, lambda x: x.affine(coef, intercept), rows)[0]
    parts = []
    for block, known in zip(labels.slices, labels.classes, strict=True):
        part = _columns(writer, scores, block.start, block.stop)
        if known is not None:
            best = writer.node("ArgMax", part, axis=-1, keepdims=0)
            part = writer.node("Gather", np.eye(len(known)) - labels.mean[block], best, axis=0)
        parts.append(part)
    return parts[0] if len(parts) == 1 else writer.node("Concat", *parts, axis=-1)


def _write_back(writer, model, parts, code):
    """Return the rows that codes stand for: one matrix, or the columns of a table."""
    schema = model.schema
    if schema.blocks is None:
        return run(writer, parts.rows, code)
    cells = run(writer, parts.table, code)[0]
    if schema.encoder is not None:
        columns = write_columns(writer, schema, cells)
        if schema.encoder.library is not None:
            return columns
        return [write_matrix(writer, [(name, True) for name in columns])]
    n, numbers = schema.n_features, schema.blocks.numbers.tolist()
    if len(numbers) == n:
        return [cells]
    empty = writer.node("Mul", _columns(writer, cells, 0, 1), np.array([np.nan]))
    both = writer.node("Concat", cells, empty, axis=-1)  # columns without any cell stay missing
    places = [numbers.index(i) if i in numbers else len(numbers) for i in range(n)]
    return [writer.node("Gather", both, np.array(places), axis=-1)]


def _write_errors(writer, rows, made):
    """Return the squared errors of rows of numbers; a missing cell has none."""

    def errors(x, made):
        difference = x - made
        return _of_present(difference * difference, x.do("isnan"))

    return run(writer, errors, rows, made)[0]


def _of_present(errors, missing):
    """Return the sums over cells that are present; NaN for rows in which none is."""
    total = errors.graph.add("where", missing, np.zeros(1), errors).do("total")
    return _of_some(total, missing)


def _of_some(values, missing):
    """Return values of rows, NaN where each cell is missing."""
    graph, present = values.graph, (missing.do("as_number") * -1.0 + 1.0).do("total")
    return graph.add(
        "where", graph.add("greater", present, np.full(1, 0.5)), values, np.full(1, np.nan)
    )


def _write_errors_of_cells(writer, model, parts, wide, unseen):
    schema, n = model.schema, parts.n_numbers
    factor = (model.baseline.scale[:n] / schema.blocks.metric[:n]) ** 2
    nats = np.ones(len(schema.blocks.categories))
    if schema.encoder is not None:
        nats = np.array([1 / (nats or 1.0) for nats in level_entropies(schema, model.baseline)])

    def errors(x, *unseen):
        found, missing = parts.errors_of_cells(x, *unseen)
        return _of_present(found * np.concatenate([factor, nats]), missing)

    return run(writer, errors, *_given(wide, unseen))[0]


def _given(wide, unseen):
    """Return the inputs of a graph of a table."""
    return [wide] if unseen is None else [wide, unseen]


def _write_bound(writer, parts, wide, unseen):
    """Return the lower bound of the log-likelihood."""
    draws = draws_of_codes(N_DRAWS, parts.size)

    def bound(x, *unseen):
        weights = parts.log_weights_of_rows(x, *unseen, draws=draws)
        nats = weights.do("logsumexp") - np.log(N_DRAWS)
        return nats if parts.blocks is None else _of_some(nats, parts.lacking(x, *unseen))

    return run(writer, bound, *_given(wide, unseen))[0]


def _write_supervised(writer, estimator, methods, inputs):
    """Return what methods of a classifier or regressor give."""
    model, head = estimator._encoder, estimator._head()
    _, wide, _ = _write_rows(writer, model, inputs)
    parts = described(model, _own(model))
    (seen,) = run(writer, parts.code_and_columns if head.beside else parts.code, wide)
    outputs, classes = head_outputs(writer, head, seen), getattr(estimator, "classes_", None)
    return [write_answer(writer, outputs, classes, method) for method in methods]


def _write_predictions(writer, model, parts, wide, method):
    """Return what a head that a model has itself says of each label."""
    head = HeadModel(model, model.attributes["coef_"], model.attributes["intercept_"])
    outputs = head_outputs(writer, head, run(writer, parts.code, wide)[0])
    return [
        write_answer(
            writer, _columns(writer.precise(), outputs, span.start, span.stop), classes, method
        )
        for span, classes in zip(model.task.labels.slices, model.task.labels.classes, strict=True)
    ]


# the detector of odd rows -------------------------------------------------------------------------


def _write_detector(writer, detector, method, inputs):
    model = model_of(detector.autoencoder_)
    rows, wide, unseen = _write_rows(writer, model, inputs)
    parts = described(model, _own(model))
    if rows is not None:
        values = _write_features_of_rows(writer, detector, model, parts, rows, wide)
    else:
        values = _write_features_of_cells(writer, detector, model, parts, wide, unseen)
    squares = _write_squares(writer, detector, values)
    lowest = np.array([detector.training_scores_.min()])  # where a row has no cell
    score = writer.node("Neg", squares)
    score = writer.node("Where", writer.node("IsNaN", score), lowest, score)
    score = writer.node("Add", score, run(writer, _nan_where_infinite, wide)[0])
    if method == "score_samples":
        return score
    decision = writer.node("Sub", score, np.array([detector.offset_]))
    if method == "decision_function":
        return decision
    usual = writer.node("GreaterOrEqual", decision, np.zeros(1))
    labels = writer.node("Where", usual, writer.whole(1), writer.whole(-1))
    return writer.node("Reshape", labels, writer.whole(-1))


def _nan_where_infinite(x):
    """Return 0 for each row, and NaN for those that the estimator refuses."""
    return x.graph.add("where", x.do("isnan"), np.zeros(1), x * np.zeros(1)).do("total")


def _write_features_of_rows(writer, detector, model, parts, rows, wide):
    """Return the features of rows of numbers in their units, NaN where missing."""
    features, baseline = detector._features, model.baseline
    known = np.flatnonzero(features.known)

    def values(x, wide):
        code = parts.code(wide)
        residuals = [(x - made) / baseline.scale for made in (parts.rows(code), baseline.mean)]
        return x.graph.concat(x.graph.concat(*residuals)[known], code) / features.units

    return run(writer, values, rows, wide)[0]


def _write_features_of_cells(writer, detector, model, parts, wide, unseen):
    """Return the same of a table."""
    features, blocks = detector._features, model.schema.blocks
    cells = np.concatenate([blocks.numbers, blocks.categories])
    places = np.concatenate([cells, blocks.n_columns + cells])
    known = np.array([int(np.flatnonzero(places == i)[0]) for i in np.flatnonzero(features.known)])
    spans = slice(0, len(cells)), slice(len(cells), len(places))

    def values(x, *unseen):
        both = parts.code_and_differences(x)
        code, left = both[: parts.size] * parts.code_scale, both[parts.size :]
        left = x.graph.concat(*(with_missing(x, left[span], *unseen) for span in spans))
        return x.graph.concat(left[known], code) / features.units

    def with_missing(x, left, *unseen):
        left = x.graph.add("where", parts.lacking(x, *unseen), np.full(1, np.nan), left)
        if not unseen:
            return left
        n, new = parts.n_numbers, x.graph.add("greater", unseen[0], np.full(1, 0.5))
        others = [left[:n]] if n else []
        nats = x.graph.add("where", new, np.full(1, features.unseen), left[n:])
        return x.graph.concat(*others, nats)

    return run(writer, values, *_given(wide, unseen))[0]


def _write_limited(writer, features, values):
    """Return features within their limits, and rows as near as `FARTHEST`, as `Features.of`."""
    limits, farthest = features.limits(len(features.units)), np.array([FARTHEST])
    missing = writer.node("IsNaN", values)
    within = writer.node("Min", writer.node("Max", values, -limits), limits)
    lengths = writer.node("Abs", writer.node("Where", missing, np.zeros(1), within))
    most = writer.node("Max", run(writer, lambda x: x.do("largest"), lengths)[0], farthest)
    nearer = writer.node("Mul", within, writer.node("Div", farthest, most))
    return writer.node("Where", missing, values, nearer)


def _write_squares(writer, detector, values):
    """Return the squares that scores are the negative of; NaN where no cell is, (n, 1)."""
    features, neighbours = detector._features, detector._neighbours
    values = _write_limited(writer, features, values)
    squares = _write_distance(writer, detector._distance, features.n_residuals, values)
    if neighbours is None:
        return squares
    columns = _columns(writer, values, features.columns.start, features.columns.stop)
    return writer.node(
        "Sqrt", writer.node("Mul", squares, _write_near(writer, neighbours, columns))
    )


def _write_near(writer, neighbours, columns):
    """Return the mean squared distance to the nearest kept rows, as `Neighbours.squares`."""
    missing = writer.node("IsNaN", columns)
    present = writer.cast(writer.node("Not", missing))
    filled = writer.node("Where", missing, np.zeros(1), columns)
    products = writer.node("MatMul", filled, -2 * neighbours.rows.T)
    lengths = writer.node("MatMul", present, (neighbours.rows**2).T)
    nearest = writer.smallest(writer.node("Add", products, lengths), neighbours.n_nearest)

    def mean(nearest, filled, present):
        graph, own = nearest.graph, (filled * filled).do("total")
        sums = nearest.do("total") / float(neighbours.n_nearest) + own
        more = graph.add("greater", sums, own * ROUNDING)
        whole = graph.add("where", more, sums, np.zeros(1)) / present.do("total")
        return whole * float(neighbours.rows.shape[1])

    return run(writer, mean, nearest, filled, present)[0]


def _write_distance(writer, distance, n_residuals, values):
    """Return squared distances as if all features were present; NaN where no cell is, (n, 1)."""
    n_axes, width = distance.axes.shape
    if n_axes < width:
        raise CannotDescribe(
            f"the detector has {width} features, of which it keeps {n_axes} axes: expected at most {WIDEST} features"
        )
    missing = writer.node("IsNaN", values)
    off = writer.node("Sub", values, distance.centre)
    off = _write_completed(
        writer, distance, missing, writer.node("Where", missing, np.zeros(1), off)
    )

    def squares(off, missing):
        along = off.affine(distance.axes) * distance.gains
        present = (missing.do("as_number") * -1.0 + 1.0).do("total")
        whole = (along * along).do("total") * float(width) / present
        return _of_some(whole, missing[:n_residuals])

    return run(writer, squares, off, missing)[0]


def _write_completed(writer, distance, missing, off):
    """Return distances from the centre, with those in place of missing ones that make it least.

    As `Distance.completed`: with the inverse covariance P they solve
    ``P[m, m] d = -(P off)[m]`` for the missing features m of each row.
    """
    width = len(distance.centre)
    inverse = (distance.axes.T * distance.gains**2) @ distance.axes
    rows = writer.rows_with(missing)
    some, flags = (writer.node("Gather", part, rows, axis=0) for part in (off, missing))
    flags = writer.cast(flags)
    pulls = writer.node("Mul", writer.node("MatMul", some, -inverse), flags)
    down, across = (writer.node("Unsqueeze", flags, writer.whole(axis)) for axis in (-1, -2))
    matrix = writer.node("Mul", writer.node("Mul", inverse, down), across)
    present = writer.node("Sub", np.ones(1), down)
    matrix = writer.node("Add", matrix, writer.node("Mul", np.eye(width), present))
    nearest = writer.node("Add", some, writer.solve(matrix, pulls, width))
    return writer.replaced(off, rows, nearest)
