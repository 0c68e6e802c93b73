"""Fitted estimators, and pipelines that end in them, as ONNX graphs."""

from importlib import import_module

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from skae._estimators.base import BaseEncoder, model_of
from skae._estimators.supervised import AutoencoderClassifier, AutoencoderRegressor
from skae._model.graph import Graph, described
from skae._model.likelihood import draws_of_codes
from skae._model.scores import level_entropies
from skae._onnx.check import check_graph
from skae._onnx.inputs import (
    as_inputs,
    columns_out,
    write_columns,
    write_matrix,
    write_wide,
)
from skae._onnx.writer import Writer

PACKAGES = "skl2onnx", "onnx", "onnxruntime"
OPSET = 20  # the first with GELU
N_DRAWS = 64  # of `score_samples`
PLACES = {"predict": 0, "predict_proba": 1, "transform": 0}  # among skl2onnx's outputs
AFFINE = StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, PCA


def to_onnx(estimator, X, method="transform"):
    """Return a fitted estimator or pipeline as an ONNX graph, which was run and compared.

    Parameters
    ----------
    estimator : object
        A fitted estimator of skae, a ``Pipeline``, or a search (whose
        ``best_estimator_`` is taken). Other steps of a pipeline are written
        by skl2onnx; back, by ``inverse_transform``, lead those scalers and
        PCA of scikit-learn whose inverse is an affine map.
    X : ndarray or frame of shape (n_samples, n_features)
        Rows of the kind that will be served; codes for ``inverse_transform``.
        Their types are those of the graph's inputs: float32 gives a float32
        graph, float64 one of float64. A frame's columns are inputs by name,
        as `as_inputs` gives them. A few hundred rows will do.
    method : str, default="transform"
        "transform", "transform_distribution", "inverse_transform",
        "reconstruct", "reconstruction_error", "predict", "predict_proba",
        "decision_function" or "score_samples": what the estimator has.

    Returns
    -------
    graph : onnx.ModelProto
        ``graph.SerializeToString()`` are the bytes of a file. Outputs stand
        in the order in which the method returns them; what is one number a
        row has shape (n_samples, 1), labels have (n_samples,). Tables come
        back as one output of shape (n_samples, 1) a column.

    Raises
    ------
    ImportError
        Where skl2onnx, onnx or onnxruntime is not installed.
    ValueError
        For a method that the estimator does not have, for networks that ONNX
        cannot hold, and where the graph differs from the estimator: by more
        than 1e-5 (float32) or 1e-9 (float64) of a column's largest value, or in
        any label. Compared are the rows of X, and rows that are made of
        them: with missing cells, with levels that fit did not see, and beyond
        the training range. ``reconstruction_error`` is compared in units of
        the largest squared distance of a row from the mean.

    Notes
    -----
    float64 graphs have a GELU of their own, within 1e-11 of the exact one:
    onnxruntime has no Erf in float64. ``score_samples`` is computed in
    float64 always, as the estimator does. What the estimator refuses with
    an error (infinite numbers, missing cells where it takes none) gives NaN
    in the graph.

    Examples
    --------
    >>> import onnxruntime
    >>> from sklearn.datasets import load_wine
    >>> from skae import AutoencoderTransformer
    >>> from skae.onnx import to_onnx
    >>> X = load_wine().data
    >>> ae = AutoencoderTransformer(2, max_iter=5, random_state=0).fit(X)
    >>> graph = to_onnx(ae, X, method="reconstruct")
    >>> session = onnxruntime.InferenceSession(graph.SerializeToString())
    >>> session.run(None, {"X": X[:3]})[0].shape
    (3, 13)
    """
    skl2onnx = needed()["skl2onnx"]
    register()
    estimator = getattr(estimator, "best_estimator_", estimator)
    check_is_fitted(estimator)
    if not hasattr(estimator, method):
        raise ValueError(f"method={method!r}: {type(estimator).__name__} has no such method.")
    last = _last(estimator)
    options = None
    if method == "inverse_transform":
        asked = Asked(estimator, method)
    elif _is_ours(last):
        asked = _with_last(estimator, Asked(last, method))
    else:
        asked, options = estimator, _options(last)
    graph = skl2onnx.convert_sklearn(
        asked,
        initial_types=_types(as_inputs(X)),
        target_opset={"": OPSET, "ai.onnx.ml": 3},
        options=options,
    )
    if asked is estimator:
        graph = _with_output(graph, method)
    check_graph(graph, estimator, X, method)
    return graph


def register():
    """Let skl2onnx know skae's estimators: its own ``to_onnx`` then writes them, too.

    Encoders become their ``transform``, `AutoencoderClassifier` labels and
    probabilities, `AutoencoderRegressor` its prediction. Only
    `skae.onnx.to_onnx` compares what was written with the estimator.

    Raises
    ------
    ImportError
        Where skl2onnx is not installed.

    Examples
    --------
    >>> import skae.onnx
    >>> skae.onnx.register()
    """
    skl2onnx = needed()["skl2onnx"]
    for kind in _kinds():
        skl2onnx.update_registered_converter(
            kind,
            f"Skae{kind.__name__}",
            _set_shapes,
            _convert,
            parser=None if kind is AutoencoderClassifier else _parse,
            options=ZIPMAP if kind is AutoencoderClassifier else None,
        )


ZIPMAP = {"zipmap": [True, False, "columns"], "output_class_labels": [False, True]}


def needed():
    """Return the packages of the extra, by name."""
    try:
        return {name: import_module(name) for name in PACKAGES}
    except ImportError as error:
        raise ImportError(
            f"skae.onnx needs {', '.join(PACKAGES)}: {error}. pip install 'skae[onnx]'."
        ) from error


def _kinds():
    import skae

    public = [getattr(skae, name) for name in skae.__all__]
    encoders = [k for k in public if isinstance(k, type) and issubclass(k, BaseEncoder)]
    return [*encoders, AutoencoderClassifier, AutoencoderRegressor, Asked]


class Asked(BaseEstimator):
    """A fitted estimator, and the method that a graph shall stand for."""

    def __init__(self, estimator, method):
        self.estimator, self.method = estimator, method


# pipelines ----------------------------------------------------------------------------------------


def _last(estimator):
    return _last(estimator.steps[-1][1]) if isinstance(estimator, Pipeline) else estimator


def _with_last(estimator, last):
    """Return a pipeline like an estimator, with another last step."""
    if not isinstance(estimator, Pipeline):
        return last
    *steps, (name, old) = estimator.steps
    return Pipeline([*steps, (name, _with_last(old, last))])


def _is_ours(estimator):
    return isinstance(estimator, BaseEncoder | AutoencoderClassifier | AutoencoderRegressor)


def _options(last):
    """Return skl2onnx's options for a last step of scikit-learn's."""
    if not is_classifier(last):
        return None
    return {id(last): {"zipmap": False}}


def _with_output(graph, method):
    """Return a graph with that output alone that a method of scikit-learn stands for."""
    from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs

    if method not in PLACES:
        raise ValueError(
            f"method={method!r}: for a last step that is not skae's one of {sorted(PLACES)}."
        )
    names = [output.name for output in graph.graph.output]
    wanted = names[min(PLACES[method], len(names) - 1)]
    return select_model_inputs_outputs(graph, outputs=[wanted]) if len(names) > 1 else graph


def _types(inputs):
    """Return skl2onnx's types of inputs."""
    types = needed()["skl2onnx"].common.data_types
    kinds = {
        "f4": types.FloatTensorType,
        "f8": types.DoubleTensorType,
        "i8": types.Int64TensorType,
        "b1": types.BooleanTensorType,
    }
    found = []
    for name, array in inputs.items():
        kind = kinds.get(array.dtype.str[1:], types.StringTensorType)
        found.append((name, kind([None, array.shape[1]])))
    return found


# converters ---------------------------------------------------------------------------------------


def _asked(operator_or_model):
    """Return the estimator and the method."""
    model = getattr(operator_or_model, "raw_operator", operator_or_model)
    if isinstance(model, Asked):
        return model.estimator, model.method
    return model, "transform" if isinstance(model, BaseEncoder) else "predict"


def _parse(scope, model, inputs, custom_parsers=None):
    """Declare what an estimator gives."""
    estimator, method = _asked(model)
    operator = scope.declare_local_operator(f"Skae{type(model).__name__}", model)
    operator.inputs = inputs
    for name, kind in _outputs(estimator, method, _dtype(inputs, estimator, method)):
        operator.outputs.append(scope.declare_local_variable(name, kind))
    return operator.outputs


def _set_shapes(operator):
    """Say what types the outputs have."""
    estimator, method = _asked(operator)
    found = _outputs(estimator, method, _dtype(operator.inputs, estimator, method))
    if len(operator.outputs) == 2 and len(found) == 1:  # labels, and probabilities
        found += _outputs(estimator, "predict_proba", _dtype(operator.inputs, estimator, method))
    for output, (_, kind) in zip(operator.outputs, found, strict=True):
        output.type = kind


def _dtype(inputs, estimator, method):
    """Return the type that a graph computes in."""
    types = needed()["skl2onnx"].common.data_types
    coded = isinstance(estimator, BaseEncoder) and model_of(estimator).schema.encoder is not None
    coded = coded and method != "inverse_transform"
    single = all(isinstance(variable.type, types.FloatTensorType) for variable in inputs)
    return np.float32 if single and not coded and method != "score_samples" else np.float64


def _outputs(estimator, method, dtype):
    """Return pairs of a name and a type for what a method gives."""
    types = needed()["skl2onnx"].common.data_types
    number = types.FloatTensorType if dtype == np.float32 else types.DoubleTensorType
    if method == "predict" and is_classifier(estimator):
        whole = estimator.classes_.dtype.kind in "biu"
        return [("label", (types.Int64TensorType if whole else types.StringTensorType)([None]))]
    if method == "transform_distribution":
        k = estimator.n_components_
        return [(name, number([None, k])) for name in ("mean", "std")]
    if method in ("inverse_transform", "reconstruct") and _gives_columns(estimator):
        kinds = {"float": number, "int": types.Int64TensorType, "str": types.StringTensorType}
        suffix = "" if method == "inverse_transform" else "_reconstructed"
        columns = columns_out(model_of(estimator).schema.encoder)
        return [(f"{name}{suffix}", kinds[kind]([None, 1])) for name, kind in columns]
    return [(method, number([None, _width(estimator, method)]))]


def _gives_columns(estimator):
    """Return whether rows come back as the columns of a frame."""
    if not isinstance(estimator, BaseEncoder):
        return False
    encoder = model_of(estimator).schema.encoder
    return encoder is not None and encoder.library is not None


def _width(estimator, method):
    if method in ("reconstruction_error", "score_samples"):
        return 1
    if method == "transform":
        return estimator.n_components_
    if method in ("inverse_transform", "reconstruct"):
        return estimator.n_features_in_
    n = len(estimator.coef_)
    return 1 if method == "decision_function" and n == 2 else n


def _convert(scope, operator, container):
    """Write the nodes of an estimator."""
    estimator, method = _asked(operator)
    writer = Writer(scope, container, _dtype(operator.inputs, estimator, method))
    inputs = [(v.full_name, _is_other(v, writer.dtype)) for v in operator.inputs]
    if method == "inverse_transform":
        made = _write_inverse(writer, estimator, [write_matrix(writer, inputs)])
    elif isinstance(estimator, BaseEncoder):
        made = _write_encoder(writer, estimator, method, inputs)
    else:
        wanted = ["predict", "predict_proba"] if len(operator.outputs) == 2 else [method]
        made = _write_supervised(writer, estimator, wanted, inputs)
    for name, output in zip(made, operator.outputs, strict=True):
        writer.name(name, output.full_name)


def _is_other(variable, dtype):
    """Return whether an input is of another type than the graph."""
    types = needed()["skl2onnx"].common.data_types
    same = types.FloatTensorType if dtype == np.float32 else types.DoubleTensorType
    return not isinstance(variable.type, same)


# estimators ---------------------------------------------------------------------------------------


def _write_encoder(writer, estimator, method, inputs):
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
        labels = _write_labels(writer, model, rows)
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
