"""What is predicted from codes, as nodes of an ONNX graph."""

import numpy as np
from skl2onnx.common import data_types as types

from skae._model.graph import Graph
from skae._onnx.inputs import constants

PREDICTIONS = "predict", "predict_proba", "decision_function"


def head_outputs(writer, head, seen):
    """Return the outputs of a head in float64, of what it sees of rows: the code, or code and columns side by side."""
    precise = writer.precise()
    seen = seen if precise is writer else precise.cast(seen)

    def outputs(seen):
        if head.anchors is not None:
            seen = _kernel(seen * head.units, head.anchors)
        return seen.affine(head.coef, head.intercept)

    return run(precise, outputs, seen)[0]


def _kernel(seen, anchors):
    """Return the Gaussian kernel of rows and anchors, as `skae._model.head.kernel` does."""
    squares = seen.affine(-2 * anchors, (anchors**2).sum(axis=1)) + (seen * seen).do("total")
    squares = seen.graph.add("maximum", squares, np.zeros(1))
    return (squares * (-1 / anchors.shape[1])).do("exp")


def run(writer, build, *inputs):
    """Write what a function of values makes of named inputs; return the names of its results."""
    graph = Graph(writer.dtype)
    made = build(*[graph.input() for _ in inputs])
    return writer.write(graph, list(made) if isinstance(made, tuple) else [made], inputs)


def write_answer(writer, outputs, classes, method):
    """Return what a method makes of the outputs for a label, which are in float64; of numbers ``classes`` is None."""
    precise = writer.precise()
    if classes is not None and method == "predict":
        best = precise.node("ArgMax", outputs, axis=-1, keepdims=0)
        return precise.node("Gather", _known(classes), best, axis=0)
    if method == "predict_proba":
        outputs = precise.node("Softmax", outputs, axis=-1)
    elif method == "decision_function" and len(classes) == 2:
        outputs = run(precise, lambda x: x[1:2] - x[0:1], outputs)[0]
    return outputs if precise is writer else writer.cast(outputs)


def answer_type(classes, method, number, n_outputs):
    """Return skl2onnx's type of an answer; ``number`` is that of the graph's numbers."""
    if classes is None or method != "predict":
        n = 1 if method == "decision_function" and n_outputs == 2 else n_outputs
        return number([None, n])
    kinds = {"i": types.Int64TensorType, "O": types.StringTensorType}
    return kinds[_known(classes).dtype.kind]([None])


def _known(classes):
    """Return classes as strings, or as integers: those that are floats are whole."""
    known = constants(classes)
    return known.astype(np.int64) if known.dtype.kind == "f" else known
