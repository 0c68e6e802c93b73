"""Fitted estimators as nodes of an ONNX graph."""

import numpy as np
from sklearn.base import is_classifier
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from skae._estimators.base import BaseEncoder, model_of
from skae._estimators.outlier import AutoencoderOutlierDetector
from skae._linear.distance import WIDEST
from skae._model import CannotDescribe
from skae._model.graph import Graph, described
from skae._model.likelihood import draws_of_codes
from skae._model.scores import level_entropies
from skae._onnx.inputs import write_columns, write_matrix, write_wide

N_DRAWS = 64  # of `score_samples`
AFFINE = StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, PCA


def write_estimator(writer, estimator, methods, inputs):
    """Return what methods of an estimator give: the names of outputs.

    Parameters
    ----------
    writer : Writer
    estimator : object
        Fitted; for ``inverse_transform`` it may be a Pipeline.
    methods : list of str
        More than one of `AutoencoderClassifier` alone.
    inputs : list of (str, bool)
        Names of inputs, and whether each is of another type than the graph.
    """
    if methods == ["inverse_transform"]:
        return _write_inverse(writer, estimator, [write_matrix(writer, inputs)])
    if isinstance(estimator, BaseEncoder):
        return _write_encoder(writer, estimator, methods[0], inputs)
    if isinstance(estimator, AutoencoderOutlierDetector):
        return [_write_detector(writer, estimator, methods[0], inputs)]
    return _write_supervised(writer, estimator, methods, inputs)


def _write_encoder(writer, estimator, method, inputs):
    if method in ("predict", "predict_proba"):
        raise CannotDescribe(
            f"{method} of {type(estimator).__name__} is not written: put a classifier or regressor "
            "behind its transform in a Pipeline, and export that"
        )
    model = model_of(estimator)
    parts = described(model, _own(model))
    rows, wide, unseen = _write_rows(writer, model, inputs)
    if method == "transform":
        return _run(writer, parts.code, wide)
    if method == "transform_distribution":
        both = _run(writer, parts.distribution, wide)[0]
        return [_columns(writer, both, 0, parts.size), _columns(writer, both, parts.size)]
    if method == "score_samples":
        return [_write_bound(writer, parts, wide, unseen)]
    if method == "reconstruction_error" and model.schema.blocks is not None:
        return [_write_errors_of_cells(writer, model, parts, wide, unseen)]
    code = _run(writer, parts.code, wide)[0]
    if parts.n_labels:
        labels = _columns(writer, wide, model.schema.n_features)
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
        raise ValueError("A table comes back as columns: no step can stand in front of it.")
    if isinstance(estimator, BaseEncoder):
        model = model_of(estimator)
        return _write_back(writer, model, described(model, _own(model)), made[0])
    if not isinstance(estimator, AFFINE) or getattr(estimator, "clip", False):
        names = ", ".join(kind.__name__ for kind in AFFINE)
        raise ValueError(f"{estimator!r} has no way back in ONNX here: expected {names}.")
    n = getattr(estimator, "n_components_", estimator.n_features_in_)
    offset = estimator.inverse_transform(np.zeros((1, n)))
    matrix = estimator.inverse_transform(np.eye(n)) - offset
    if isinstance(estimator, PCA):
        return _run(writer, lambda x: x.affine(matrix.T, offset[0]), made[0])
    return _run(writer, lambda x: x * np.diag(matrix).copy() + offset[0], made[0])


def _own(model):
    """Return what applies a user's torch module."""

    def apply(place, x):
        module = model.module.get_submodule(place.rstrip("."))
        encodes = place.startswith("encoder")
        n = model.task.n_inputs if encodes else model.task.size + model.task.n_labels
        return x.do("own", module=module, n_inputs=n)

    return apply


def _run(writer, build, *inputs):
    """Write what a function of values makes of named inputs."""
    graph = Graph(writer.dtype)
    made = build(*[graph.input() for _ in inputs])
    return writer.write(graph, list(made) if isinstance(made, tuple) else [made], inputs)


def _columns(writer, name, start, stop=None):
    return _run(writer, lambda x: x[start:stop], name)[0]


def _write_rows(writer, model, inputs):
    """Return rows of numbers as they are given, wide rows, and which levels fit did not see.

    The first is None for a coded table, the last is None without categories.
    """
    schema, mean = model.schema, model.baseline.mean
    if schema.blocks is not None:
        return None, *write_wide(writer, schema, inputs)
    rows = wide = write_matrix(writer, inputs)
    if schema.complete is None:
        missing = writer.node("IsNaN", rows)
        wide = writer.node("Where", missing, mean, rows)
    if model.task.n_labels:
        labels = _write_labels(writer, model, wide)
        wide = writer.node("Concat", wide, labels, axis=-1)
    return rows, wide, None


def _write_labels(writer, model, rows):
    """Return the coded labels that rows seem to have."""
    labels, head = model.task.labels, model.attributes
    coef, intercept = head["label_coef_"], head["label_intercept_"]
    scores = _run(writer, lambda x: x.affine(coef, intercept), rows)[0]
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
        return _run(writer, parts.rows, code)
    cells = _run(writer, parts.table, code)[0]
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

    return _run(writer, errors, rows, made)[0]


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

    return _run(writer, errors, *_given(wide, unseen))[0]


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

    return _run(writer, bound, *_given(wide, unseen))[0]


def _write_supervised(writer, estimator, methods, inputs):
    if estimator.head_ == "kernel" or estimator.uses_columns_:
        raise CannotDescribe(
            f"the head is a kernel's or reads columns beside the code (head_={estimator.head_!r}, "
            f"uses_columns_={estimator.uses_columns_}): fit with head='linear'"
        )
    model = estimator._encoder
    _, wide, _ = _write_rows(writer, model, inputs)
    coef, intercept = estimator.coef_, estimator.intercept_
    parts = described(model, _own(model))
    outputs = _run(writer, lambda x: parts.code(x).affine(coef, intercept), wide)[0]
    return [_write_answer(writer, estimator, method, outputs) for method in methods]


def _write_answer(writer, estimator, method, outputs):
    """Return what a method makes of the outputs of a head."""
    if not is_classifier(estimator):
        return outputs
    if method == "predict_proba":
        return writer.node("Softmax", outputs, axis=-1)
    if method == "decision_function":
        two = len(estimator.classes_) == 2
        return _run(writer, lambda x: x[1:2] - x[0:1], outputs)[0] if two else outputs
    classes = estimator.classes_
    whole = classes.dtype.kind in "biu"
    known = classes.astype(np.int64) if whole else np.array([str(c) for c in classes], object)
    return writer.node("Gather", known, writer.node("ArgMax", outputs, axis=-1, keepdims=0), axis=0)


# the detector of odd rows -------------------------------------------------------------------------


def _write_detector(writer, detector, method, inputs):
    """Return scores, decisions or labels."""
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
    score = writer.node("Add", score, _run(writer, _nan_where_infinite, wide)[0])
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
    """Return residuals and codes of rows of numbers in their units, NaN where missing."""
    features = detector._features

    def values(x, wide):
        code = parts.code(wide)
        residuals = (x - parts.rows(code)) / model.baseline.scale
        return x.graph.concat(residuals[np.flatnonzero(features.known)], code) / features.units

    return _run(writer, values, rows, wide)[0]


def _write_features_of_cells(writer, detector, model, parts, wide, unseen):
    """Return the same of a table."""
    features, blocks = detector._features, model.schema.blocks
    cells = np.concatenate([blocks.numbers, blocks.categories])
    known = np.array([int(np.flatnonzero(cells == i)[0]) for i in np.flatnonzero(features.known)])

    def values(x, *unseen):
        both, graph = parts.code_and_differences(x), x.graph
        code, left = both[: parts.size] * parts.code_scale, both[parts.size :]
        left = graph.add("where", parts.lacking(x, *unseen), np.full(1, np.nan), left)
        if unseen:
            n = parts.n_numbers
            new = graph.add("greater", unseen[0], np.full(1, 0.5))
            others = [left[:n]] if n else []
            nats = graph.add("where", new, np.full(1, features.unseen), left[n:])
            left = graph.concat(*others, nats)
        return graph.concat(left[known], code) / features.units

    return _run(writer, values, *_given(wide, unseen))[0]


def _write_squares(writer, detector, values):
    """Return squared distances as if all features were present; NaN where no cell is, (n, 1)."""
    distance, n_residuals = detector._distance, detector._features.n_residuals
    n_axes, width = distance.axes.shape
    if n_axes < width:
        raise CannotDescribe(
            f"a detector with {width} features keeps {n_axes} axes of them: graphs are written up to "
            f"{WIDEST} features"
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

    return _run(writer, squares, off, missing)[0]


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
