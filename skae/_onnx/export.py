"""Fitted estimators, and pipelines that end in them, as ONNX graphs."""

import warnings

import numpy as np
import skl2onnx
import skl2onnx._parse
from skl2onnx.common import data_types as types
from skl2onnx.common.onnx_optimisation_identity import onnx_remove_node_identity
from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

import skae
from skae._data.labels import columns_of
from skae._data.table_encoder import TableEncoder
from skae._estimators.base import BaseEncoder, model_of
from skae._estimators.conditional import ConditionalVAE
from skae._estimators.outlier import AutoencoderOutlierDetector
from skae._estimators.supervised import AutoencoderClassifier, AutoencoderRegressor
from skae._model import CannotDescribe
from skae._onnx.check import BACK, answer, check_graph, first
from skae._onnx.estimators import write_estimator
from skae._onnx.heads import PREDICTIONS, answer_type
from skae._onnx.inputs import TEXT, as_inputs, as_rows, columns_out
from skae._onnx.names import rename
from skae._onnx.writer import Writer

OPSET = 20  # the first with GELU
SHOWN = 300  # letters of another package's error
METHODS = (
    "transform",
    "transform_distribution",
    "inverse_transform",
    "reconstruct",
    "denoise",
    "reconstruction_error",
    "predict",
    "predict_proba",
    "decision_function",
    "score_samples",
)
ALIASES = {"denoise": "reconstruct"}
PRECISE = ("score_samples",)  # computed in float64 always
PLACES = {"predict": 0, "predict_proba": 1, "transform": -1}  # among skl2onnx's outputs
CODERS = BaseEncoder, TableEncoder
OURS = *CODERS, AutoencoderClassifier, AutoencoderRegressor, AutoencoderOutlierDetector


def to_onnx(estimator, X, method="transform", y=None):
    """Write a fitted estimator or pipeline as an ONNX graph, and check the graph against it.

    Parameters
    ----------
    estimator : object
        A fitted estimator of skae, a ``Pipeline``, or a search (its ``best_estimator_`` is
        taken). skl2onnx writes the other steps of a pipeline. ``inverse_transform`` also works
        through ``StandardScaler``, ``MinMaxScaler``, ``MaxAbsScaler``, ``RobustScaler`` and ``PCA``.
    X : ndarray or frame of shape (n_samples, n_features)
        Rows like those that will be served; codes for ``inverse_transform``. A few hundred are
        enough. Their types are those of the graph's inputs: float32 rows give a float32 graph,
        float64 rows one of float64. Each column of a frame is an input with its name, as
        `as_inputs` returns them.
    method : str, default="transform"
        "transform", "transform_distribution", "inverse_transform", "reconstruct", "denoise",
        "reconstruction_error", "predict", "predict_proba", "decision_function" or
        "score_samples", with its default arguments. The estimator must have it. If a pipeline
        lacks it (``reconstruction_error``, for example), the graph applies it to the last step,
        on what the steps before make of X.
    y : array-like or frame of shape (n_samples,) or (n_samples, n_columns), default=None
        Labels of the rows, or of the codes, of a `ConditionalVAE`. They become inputs of the
        graph, as `as_inputs` returns them. Without them the graph infers labels from X;
        ``inverse_transform`` needs them. A class that ``fit`` did not see gives NaN.

    Returns
    -------
    graph : onnx.ModelProto
        Write ``graph.SerializeToString()`` to a file. Outputs are in the order in which the method
        returns them. One number a row has shape (n_samples, 1), labels have (n_samples,). A table
        is one output of shape (n_samples, 1) for each column; several labels are one output each.

    Raises
    ------
    ValueError
        If the estimator lacks the method, if ONNX cannot hold the network, or if the graph differs
        from the estimator: by more than 1e-5 (float32) or 1e-9 (float64) of a column's largest
        value, or in a label (unless two classes are equally likely within these limits). The check
        takes the rows of X, and variants of them: with missing cells, with levels that fit did not
        see, and far outside the training range. ``reconstruction_error`` is compared in units of
        the largest squared distance of a row from the mean.

    Notes
    -----
    onnxruntime has no Erf in float64, so float64 graphs have their own GELU, within 1e-11 of the
    exact one. ``score_samples``, outlier detectors, and expected values of missing cells are always
    computed in float64, as in the estimators. The estimator refuses infinite numbers, and missing
    cells if it takes none. The graph does not: check rows before.

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

    Rows of a given class, from codes:

    >>> from skae import ConditionalVAE
    >>> from skae.onnx import as_inputs
    >>> y = load_wine().target
    >>> model = ConditionalVAE(2, max_iter=5, random_state=0).fit(X, y)
    >>> codes = model.transform(X, y)
    >>> graph = to_onnx(model, codes, method="inverse_transform", y=y)
    >>> session = onnxruntime.InferenceSession(graph.SerializeToString())
    >>> session.run(None, as_inputs(codes[:3], [0, 1, 2]))[0].shape
    (3, 13)
    """
    register()
    estimator = _plain(estimator)
    check_is_fitted(estimator)
    rows = as_rows(X)
    if not (isinstance(rows, np.ndarray) and rows.dtype.kind == "O"):
        X = rows  # else it has words, beside numbers that are such
    _check_method(_last(estimator), method)
    n_labels = _check_labels(estimator, X, method, y)
    answer(estimator, first(X, 1), method, first(y, 1))  # its errors say most
    graph = _written(estimator, method, _types(as_inputs(X, y)), n_labels)
    check_graph(graph, estimator, X, method, y)
    return graph


def register():
    """Register skae's estimators with skl2onnx, so that its own ``to_onnx`` can write them, too.

    The graph of an autoencoder or a `TableEncoder` is its ``transform``; that of an
    `AutoencoderClassifier` gives labels and probabilities, that of an `AutoencoderRegressor` or
    `AutoencoderOutlierDetector` the prediction. Only `skae.onnx.to_onnx` compares the graph with the
    estimator. For a classifier and float64 rows pass ``options={"zipmap": False}`` to skl2onnx: ONNX has
    no ZipMap in float64.

    Examples
    --------
    >>> import skae.onnx
    >>> skae.onnx.register()
    """
    unmerged = skl2onnx._parse.do_not_merge_columns  # by a ColumnTransformer, to those of one type
    skl2onnx._parse.do_not_merge_columns = tuple(dict.fromkeys((*unmerged, *OURS)))
    for kind in _kinds():
        skl2onnx.update_registered_converter(
            kind,
            f"Skae{kind.__name__}",
            _set_shapes,
            _convert,
            parser=None if kind is AutoencoderClassifier else _parse,
            options=ZIPMAP if kind is AutoencoderClassifier else None,
        )


ZIPMAP = {  # what skl2onnx asks of every classifier
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [True, False],
}


def _kinds():
    public = [getattr(skae, name) for name in skae.__all__]
    return [*(k for k in public if isinstance(k, type) and issubclass(k, OURS)), Asked]


class Asked(BaseEstimator):
    """A fitted estimator, the method that a graph shall stand for, and how many inputs are labels."""

    def __init__(self, estimator, method, n_labels=0):
        self.estimator, self.method, self.n_labels = estimator, method, n_labels


def _check_method(last, method):
    if method not in METHODS:
        raise ValueError(f"method={method!r}: expected one of {', '.join(METHODS)}.")
    if not hasattr(last, method):
        others = [name for name in METHODS if hasattr(last, name)]
        raise ValueError(
            f"method={method!r}: {type(last).__name__} has no such method. Pass one of "
            f"{', '.join(others)}."
        )


def _check_labels(estimator, X, method, y):
    """Return how many columns labels have; refuse those that a method does not take, or lacks."""
    takes = isinstance(estimator, ConditionalVAE)
    if y is not None and not takes:
        raise ValueError(
            f"y: {type(estimator).__name__} takes no labels: leave y out. Only a ConditionalVAE, by itself, takes them."
        )
    if y is None and method == "inverse_transform" and isinstance(_last(estimator), ConditionalVAE):
        raise ValueError(
            "inverse_transform of ConditionalVAE needs a label for each code: pass y, and the estimator without "
            "a pipeline around it."
        )
    if y is None:
        return 0
    labels, columns = model_of(estimator).task.labels, columns_of(y)
    check_consistent_length(X, *columns)
    labels.coded(columns)
    return len(columns)


def _written(estimator, method, kinds, n_labels):
    """Return the graph of a method, not yet compared; ``kinds`` are the types of its inputs."""
    last = _last(estimator)
    if method == "inverse_transform":
        return _converted(Asked(estimator, method, n_labels), kinds)
    if len(kinds) > 1 and not (n_labels or _names_columns(estimator)):
        columns = FunctionTransformer().fit([[0.0]])
        estimator = Pipeline([("columns", columns), *_steps(estimator)])
    if isinstance(last, OURS):
        asked = Asked(last, ALIASES.get(method, method), n_labels)
        return _converted(_with_last(estimator, asked), kinds)
    return _with_output(_converted(estimator, kinds, _options(last, method)), method)


def _converted(estimator, kinds, options=None):
    """Return what skl2onnx makes of an estimator, inputs and outputs with the names of columns."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what skl2onnx asks scikit-learn for
            graph, topology = skl2onnx.convert_sklearn(
                estimator,
                initial_types=kinds,
                target_opset={"": OPSET, "ai.onnx.ml": 3},
                options=options,
                intermediate=True,
            )
    except (CannotDescribe, MemoryError):
        raise
    except Exception as error:  # skl2onnx has many kinds
        raise ValueError(
            f"skl2onnx cannot write this pipeline: {str(error)[:SHOWN]}. It writes some steps only in "
            "float32: pass float32 rows."
        ) from error
    graph = onnx_remove_node_identity(graph)
    names = [
        {variable.onnx_name: variable.raw_name for variable in variables}
        for variables in (topology.scopes[0].input_variables, topology.scopes[0].output_variables)
    ]
    rename(graph.graph, *names)
    return graph


# pipelines ----------------------------------------------------------------------------------------


def _plain(estimator):
    """Return a pipeline without steps that do nothing, and the best estimators of searches."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        return estimator
    steps = [
        (name, _plain(step)) for name, step in estimator.steps if step not in (None, "passthrough")
    ]
    return Pipeline(steps) if steps else FunctionTransformer().fit([[0.0]])


def _steps(estimator):
    return estimator.steps if isinstance(estimator, Pipeline) else [("only", estimator)]


def _names_columns(estimator):
    """Return whether an estimator takes the columns of a frame one by one.

    All others get them side by side: skl2onnx would refuse them or, for scalers, join them in float32.
    """
    if isinstance(estimator, Pipeline):
        return _names_columns(estimator.steps[0][1])
    if isinstance(estimator, FeatureUnion):
        return any(_names_columns(part) for _, part in estimator.transformer_list)
    return isinstance(estimator, (*OURS, ColumnTransformer))


def _last(estimator):
    return _last(estimator.steps[-1][1]) if isinstance(estimator, Pipeline) else estimator


def _with_last(estimator, last):
    """Return a pipeline like an estimator, with another last step."""
    if not isinstance(estimator, Pipeline):
        return last
    *steps, (name, old) = estimator.steps
    return Pipeline([*steps, (name, _with_last(old, last))])


def _options(last, method):
    """Return skl2onnx's options for a last step of scikit-learn's."""
    if not is_classifier(last):
        return None
    return {id(last): {"zipmap": False} if method == "predict_proba" else {}}


def _with_output(graph, method):
    """Return a graph with that output alone that a method of scikit-learn stands for."""
    if method not in PLACES:
        raise ValueError(
            f"method={method!r}: the last step is not one of skae's, so expected one of {sorted(PLACES)}."
        )
    outputs = list(graph.graph.output)
    if len(outputs) == 1:
        return graph
    wanted = outputs[PLACES[method]]
    graph = select_model_inputs_outputs(graph, outputs=[wanted.name])
    used = {name for node in graph.graph.node for name in node.input}
    constants = [tensor for tensor in graph.graph.initializer if tensor.name in used]
    for part, kept in (("initializer", constants), ("value_info", []), ("output", [wanted])):
        del getattr(graph.graph, part)[:]
        getattr(graph.graph, part).extend(kept)
    return graph


def _types(inputs):
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
    model = getattr(operator_or_model, "raw_operator", operator_or_model)
    if isinstance(model, Asked):
        return model.estimator, model.method
    return model, "transform" if isinstance(model, CODERS) else "predict"


def _parse(scope, model, inputs, custom_parsers=None):
    estimator, method = _asked(model)
    operator = scope.declare_local_operator(f"Skae{type(model).__name__}", model)
    operator.inputs = inputs
    for name, kind in _outputs(estimator, method, _dtype(operator)):
        operator.outputs.append(scope.declare_local_variable(name, kind))
    return operator.outputs


def _set_shapes(operator):
    (estimator, method), dtype = _asked(operator), _dtype(operator)
    found = _outputs(estimator, method, dtype)
    if len(operator.outputs) == 2 and len(found) == 1:  # labels, and probabilities
        found += _outputs(estimator, "predict_proba", dtype)
    for output, (_, kind) in zip(operator.outputs, found, strict=True):
        output.type = kind


def _inputs(operator):
    """Return what an operator gets: rows, or codes, and labels."""
    n = len(operator.inputs) - getattr(operator.raw_operator, "n_labels", 0)
    return operator.inputs[:n], operator.inputs[n:]


def _dtype(operator):
    (estimator, method), (inputs, _) = _asked(operator), _inputs(operator)
    single = all(isinstance(variable.type, types.FloatTensorType) for variable in inputs)
    if isinstance(estimator, TableEncoder):
        return np.float64
    if method != "inverse_transform":
        coded = _model_within(estimator).schema.encoder is not None
        single &= not (coded or method in PRECISE or hasattr(estimator, "training_scores_"))
    return np.float32 if single else np.float64


def _model_within(estimator):
    """Return the fitted model of one of skae's estimators."""
    if hasattr(estimator, "_encoder"):
        return estimator._encoder
    return model_of(getattr(estimator, "autoencoder_", estimator))


def _outputs(estimator, method, dtype):
    """Return pairs of a name and a type for what a method gives."""
    number = types.FloatTensorType if dtype == np.float32 else types.DoubleTensorType
    if isinstance(estimator, AutoencoderOutlierDetector):
        kind = types.Int64TensorType([None]) if method == "predict" else number([None, 1])
        return [("label" if method == "predict" else method, kind)]
    if method in PREDICTIONS:
        return _predictions(estimator, method, number)
    if method == "transform_distribution":
        k = estimator.n_components_
        return [(name, number([None, k])) for name in ("mean", "std")]
    encoder = _table_given_back(estimator) if method in BACK else None
    if encoder is not None:
        kinds = {"float": number, "int": types.Int64TensorType, "str": types.StringTensorType}
        suffix = "" if method == "inverse_transform" else "_reconstructed"
        return [(f"{name}{suffix}", kinds[kind]([None, 1])) for name, kind in columns_out(encoder)]
    return [(method, number([None, _width(estimator, method)]))]


def _predictions(estimator, method, number):
    """Return such pairs for what is predicted: one for each label."""
    if isinstance(estimator, BaseEncoder):
        labels = model_of(estimator).task.labels
        known = list(zip(labels.classes, labels.sizes, strict=True))
    else:
        known = [(getattr(estimator, "classes_", None), len(estimator.intercept_))]
    found = []
    for place, (classes, n) in enumerate(known):
        name = "label" if method == "predict" and classes is not None else method
        name = name if len(known) == 1 else f"{name}_{place}"
        found.append((name, answer_type(classes, method, number, n)))
    return found


def _table_given_back(estimator):
    """Return what codes the table whose columns come back; None where rows come back as a matrix."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[0][1]
    if not isinstance(estimator, BaseEncoder):
        return None
    encoder = model_of(estimator).schema.encoder
    return None if encoder is None or encoder.library is None else encoder


def _width(estimator, method):
    if method == "transform":
        return getattr(estimator, "n_components_", estimator.n_features_in_)
    if method in BACK:
        return estimator.n_features_in_
    return 1


def _convert(scope, operator, container):
    estimator, method = _asked(operator)
    writer, (rows, labels) = Writer(scope, container, _dtype(operator)), _inputs(operator)
    inputs = [(v.full_name, _is_other(v, writer.dtype)) for v in rows]
    labels = [v.full_name for v in labels]
    both = method == "predict" and len(operator.outputs) == 2
    methods = ["predict", "predict_proba"] if both else [method]
    made = write_estimator(writer, estimator, methods, inputs, labels)
    for name, output in zip(made, operator.outputs, strict=True):
        writer.name(name, output.full_name)


def _is_other(variable, dtype):
    """Return whether an input is of another type than the graph: `TEXT` of strings."""
    if isinstance(variable.type, types.StringTensorType):
        return TEXT
    same = types.FloatTensorType if dtype == np.float32 else types.DoubleTensorType
    return not isinstance(variable.type, same)
