"""Systems of equations, one a row, solved within a graph: ONNX has no operation for them."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def elimination(n, named):
    """Return the body of a loop that solves systems of n equations, with one unknown less each time.

    Gauss-Jordan elimination without exchange of rows, for positive definite matrices. It leads from
    (step, go on, systems) to (go on, systems): matrices (n_rows, n, n + 1) of float64 with the right
    side as last column, which is the solution at the end. ``named`` makes names that nothing else has.
    """
    nodes, constants = [], []

    def node(kind, *inputs, **attributes):
        made = named(kind.lower())
        nodes.append(helper.make_node(kind, inputs, [made], **attributes))
        return made

    def whole(*numbers):
        constants.append(numpy_helper.from_array(np.array(numbers), named("constant")))
        return constants[-1].name

    step, going, systems = (named(name) for name in ("step", "going", "systems"))
    first, last = whole(1), whole(-1)
    row = node("Gather", systems, step, axis=1)
    pivot = node("Unsqueeze", node("Gather", row, step, axis=1), last)
    row = node("Unsqueeze", node("Div", row, pivot), first)
    here = node("Cast", node("Equal", whole(*range(n)), step), to=TensorProto.DOUBLE)
    column = node("Sub", node("Gather", systems, step, axis=2), here)
    left = node("Sub", systems, node("Mul", node("Unsqueeze", column, last), row))
    on = node("Identity", going)

    def described(name, kind, shape):
        return helper.make_tensor_value_info(name, kind, shape)

    shape = [None, n, n + 1]
    given = [
        described(step, TensorProto.INT64, []),
        described(going, TensorProto.BOOL, []),
        described(systems, TensorProto.DOUBLE, shape),
    ]
    made = [described(on, TensorProto.BOOL, []), described(left, TensorProto.DOUBLE, shape)]
    return helper.make_graph(nodes, "elimination", given, made, constants)
