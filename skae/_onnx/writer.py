"""The operations of a `Graph` as ONNX nodes."""

import warnings
from copy import deepcopy
from functools import cache, partial
from io import BytesIO

import numpy as np
from onnx import TensorProto, load_from_string, numpy_helper
from scipy.special import expit, log_ndtr

from skae._model import CannotDescribe
from skae._model.graph import KERNEL, STRIDE
from skae._onnx.elimination import elimination

DEGREE, WIDEST_SQUARE, N_FITTED = 18, 52.0, 400  # of the approximation of the GELU: within 2e-12
MISSING_TIME = np.iinfo(np.int64).min  # as numpy's and pandas' NaT


class Writer:
    """Puts nodes of float32 or float64 into a container of skl2onnx, whose scope names them."""

    def __init__(self, scope, container, dtype):
        self.scope, self.container, self.dtype = scope, container, np.dtype(dtype)
        self._known = {}

    def node(self, kind, *inputs, domain="", **attributes):
        """Add a node; return the name of its output."""
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        made = self.scope.get_unique_variable_name(kind.lower())
        version = {"op_version": 2} if domain else {}
        name = self.scope.get_unique_operator_name(kind)
        self.container.add_node(
            kind, names, [made], op_domain=domain, name=name, **version, **attributes
        )
        return made

    def name(self, known, wanted):
        """Give a result the name that an output shall have."""
        name = self.scope.get_unique_operator_name("Identity")
        self.container.add_node("Identity", [known], [wanted], name=name)

    def constant(self, value):
        value = np.asarray(value)
        value = value.astype(self.dtype) if value.dtype.kind == "f" else value
        key = value.dtype.str, value.shape, value.tobytes()
        if value.dtype == object or key not in self._known:
            name = self.scope.get_unique_variable_name("constant")
            tensor = numpy_helper.from_array(np.array(value, order="C"))
            if value.dtype == object:
                text = [cell.encode() for cell in value.ravel()]
                self.container.add_initializer(name, TensorProto.STRING, value.shape, text)
            else:
                self.container.add_initializer(name, tensor.data_type, value.shape, tensor)
            self._known[key] = name
        return self._known[key]

    def whole(self, *numbers):
        """Return the name of a vector of integers."""
        return self.constant(np.array(numbers, dtype=np.int64))

    def cast(self, x):
        """Return numbers in the type of the graph."""
        kind = TensorProto.FLOAT if self.dtype == np.float32 else TensorProto.DOUBLE
        return self.node("Cast", x, to=kind)

    def precise(self):
        """Return a writer of float64 into the same container."""
        if self.dtype == np.float64:
            return self
        return Writer(self.scope, self.container, np.float64)

    def integer(self, x):
        return self.node("Cast", x, to=TensorProto.INT64)

    def rows_with(self, flags):
        """Return the places of rows in which some flag is set."""
        some = _reduced("ReduceMax", self, self.integer(flags), keepdims=0)
        return self.node("Reshape", self.node("NonZero", some), self.whole(-1))

    def replaced(self, x, rows, new):
        """Return a matrix with other rows at some places."""
        return self.node("ScatterND", x, self.node("Unsqueeze", rows, self.whole(-1)), new)

    def smallest(self, x, n):
        made, places = (self.scope.get_unique_variable_name("smallest") for _ in range(2))
        name = self.scope.get_unique_operator_name("TopK")
        inputs = [x, self.whole(n)]
        self.container.add_node("TopK", inputs, [made, places], name=name, largest=0)
        return made

    def solve(self, matrix, right, n):
        """Return the solutions of systems of n equations: (n_rows, n, n) and (n_rows, n) in float64.

        Gauss-Jordan elimination of positive definite matrices, in a loop that is left out
        where there are no rows.
        """
        both = self.node("Concat", matrix, self.node("Unsqueeze", right, self.whole(-1)), axis=-1)
        n_rows = self.node("Min", self.node("Shape", right, start=0, end=1), self.whole(1))
        times = self.node("Reshape", self.node("Mul", n_rows, self.whole(n)), self.whole())
        body = elimination(n, self.scope.get_unique_variable_name)
        solved = self.node("Loop", times, np.array(True), both, body=body)
        return self.node("Gather", solved, np.array(n), axis=-1)

    def write(self, graph, outputs, inputs):
        """Write a graph between named inputs and outputs, which are values; return the names of the outputs."""
        names, given = [], iter(inputs)
        for step in graph.steps:
            if step.operation == "input":
                names.append(next(given))
                continue
            known = [names[x] if isinstance(x, int) else x for x in step.inputs]
            names.append(WRITERS[step.operation](self, *known, **step.attributes))
        return [names[value.place] for value in outputs]


# operations ---------------------------------------------------------------------------------------


def _plain(kind, **fixed):
    def write(writer, *inputs, **attributes):
        return writer.node(kind, *inputs, **fixed, **attributes)

    return write


def _affine(writer, x, weight, bias):
    if not isinstance(bias, str) and not bias.any():
        return writer.node("MatMul", x, weight)
    return writer.node("Gemm", x, weight, bias)


def _scaled(kind, neutral):
    """Return what writes an operation, unless its constant changes nothing."""

    def write(writer, x, y):
        if isinstance(y, np.ndarray) and y.ndim == 1 and (y == neutral).all():
            return x
        return writer.node(kind, x, y)

    return write


def _gelu(writer, x):
    if writer.dtype == np.float32:
        return writer.node("Gelu", x) if writer.container.target_opset >= 20 else _erf(writer, x)
    return _exact_gelu(writer, x)


def _erf(writer, x):
    shape = writer.node("Erf", writer.node("Mul", x, np.array([np.sqrt(0.5)])))
    half = writer.node("Mul", x, np.array([0.5]))
    return writer.node("Mul", half, writer.node("Add", shape, np.array([1.0])))


def _exact_gelu(writer, x):
    r"""Write the GELU in float64, for which onnxruntime has no Erf, of a matrix.

    With the logistic function and a polynomial q,

    .. math:: x \Phi(x) = x \, \sigma(x \, q(x^2)), \quad
        q(s) \approx \frac{1}{\sqrt s} \log \frac{\Phi(\sqrt s)}{\Phi(-\sqrt s)}

    None of its roots is real: it is a product of sums of two squares, which takes few nodes.
    """
    unit, places, squares = _logit()
    s = writer.node("Mul", x, writer.node("Mul", x, unit))
    off = writer.node("Add", s, places)
    parts = writer.node("Add", writer.node("Mul", off, off), squares)
    logit = writer.node("Mul", x, _reduced("ReduceProd", writer, parts, axis=0, keepdims=0))
    return writer.node("Mul", x, writer.node("Sigmoid", logit))


@cache
def _logit():
    """Return what s, a root's real part and its imaginary part enter q as: all times one unit.

    Errors are weighted with what they change of the GELU.
    """
    s = (1 - np.cos(np.pi * (np.arange(N_FITTED) + 0.5) / N_FITTED)) / 2 * WIDEST_SQUARE
    x = np.sqrt(s)
    logit = log_ndtr(x) - log_ndtr(-x)
    weight = s * expit(logit) * expit(-logit)
    q = np.polynomial.Chebyshev.fit(s, logit / x, DEGREE, w=weight, domain=[0, WIDEST_SQUARE])
    roots = q.roots()
    roots = roots[roots.imag > 0][:, None, None]
    unit = q.convert(kind=np.polynomial.Polynomial).coef[-1] ** (1 / DEGREE)
    return np.array([unit]), -unit * roots.real, (unit * roots.imag) ** 2


def _elu(writer, x):
    """Write the ELU; onnxruntime has none in float64."""
    if writer.dtype == np.float32:
        return writer.node("Elu", x)
    below = writer.node("Exp", writer.node("Min", x, np.array([0.0])))
    below = writer.node("Sub", below, np.array([1.0]))
    return writer.node("Add", writer.node("Relu", x), below)


def _slice(writer, x, start, stop):
    stop = np.iinfo(np.int64).max if stop is None else stop
    return writer.node("Slice", x, writer.whole(start), writer.whole(stop), writer.whole(-1))


def _repeat(writer, x, times, width):
    x = writer.node("Unsqueeze", x, writer.whole(1))
    return writer.node("Expand", x, writer.whole(1, times, 1))


def _total(writer, x):
    return writer.node("ReduceSum", x, writer.whole(-1), keepdims=1)


def _sum(writer, x, axis):
    return writer.node("ReduceSum", x, writer.whole(axis), keepdims=0)


def _reduced(kind, writer, x, axis=-1, keepdims=1):
    axes = {"axes": [axis]} if writer.container.target_opset < 18 else {}
    axis = () if axes else (writer.whole(axis),)
    return writer.node(kind, x, *axis, keepdims=keepdims, **axes)


def _complete(writer, x, loadings, weighted, pairs):
    """Write what `skae.nn.cells.completed` computes, in float64."""
    precise, n_factors = writer.precise(), loadings.shape[1]
    missing = precise.node("IsNaN", x)
    x = x if precise is writer else precise.cast(x)
    filled = precise.node("Where", missing, np.zeros(1), x)
    rows = precise.rows_with(missing)
    lacking, some = (precise.node("Gather", part, rows, axis=0) for part in (missing, filled))
    present = precise.cast(precise.node("Not", lacking))
    gram = precise.node("MatMul", present, pairs)
    gram = precise.node("Reshape", gram, precise.whole(-1, n_factors, n_factors))
    gram = precise.node("Add", gram, np.eye(n_factors))
    code = precise.solve(gram, precise.node("MatMul", some, weighted), n_factors)
    made = precise.node("MatMul", code, np.ascontiguousarray(loadings.T))
    filled = precise.replaced(filled, rows, precise.node("Where", lacking, made, some))
    return filled if precise is writer else writer.cast(filled)


def _quick_gelu(writer, x):
    return writer.node("Mul", x, writer.node("Sigmoid", writer.node("Mul", x, np.array([1.702]))))


def _logsumexp(writer, x):
    most = _reduced("ReduceMax", writer, x)
    odds = writer.node("Exp", writer.node("Sub", x, most))
    return writer.node("Add", writer.node("Log", _total(writer, odds)), most)


def _softplus(writer, x):
    """Write log(1 + exp(x)) so that neither end overflows."""
    size = writer.node("Neg", writer.node("Abs", x))
    rest = writer.node("Log", writer.node("Add", writer.node("Exp", size), np.array([1.0])))
    return writer.node("Add", writer.node("Relu", x), rest)


def _best(writer, x):
    return writer.cast(writer.node("ArgMax", x, axis=-1, keepdims=1))


def _pad(writer, x, columns):
    return writer.node("Pad", x, writer.whole(0, 0, 0, columns), np.array(0.0))


def _refuse_double(writer):
    if writer.dtype == np.float64:
        raise CannotDescribe(
            "onnxruntime has no convolutions and no recurrent units in float64: pass float32 rows, "
            "for a graph of float32 (of outlier detectors and of score_samples there is none)"
        )


def _convolve(writer, x, weight, bias):
    _refuse_double(writer)
    pads, strides = [KERNEL // 2] * 4, [STRIDE] * 2
    return writer.node("Conv", x, weight, bias, pads=pads, strides=strides)


def _enlarge(writer, x, weight, bias, before, size):
    _refuse_double(writer)
    begin = KERNEL // 2
    ends = [begin - 1 + 2 * n - m for n, m in zip(before, size, strict=True)]
    return writer.node(
        "ConvTranspose", x, weight, bias, pads=[begin] * 2 + ends, strides=[STRIDE] * 2
    )


def _recur(writer, states, inputs, own, bias, own_bias, first=None, n_reads=1):
    """Write gated recurrent units: torch has the gates in the order r, z, n, ONNX in z, r, n."""
    _refuse_double(writer)
    n = own.shape[1]

    def gates(array):
        reset, update, new = array.reshape(3, n, -1)
        return np.concatenate([update, reset, new])[None]

    both = np.concatenate([gates(bias).ravel(), gates(own_bias).ravel()])[None]
    by_step = writer.node("Transpose", states, perm=[1, 0, 2])
    begin = ()
    if first is not None:  # their second input, lengths, has to be named then
        rows = writer.node("Shape", first, start=0, end=1)
        lengths = writer.node("Expand", np.array([n_reads], dtype=np.int32), rows)
        begin = lengths, writer.node("Unsqueeze", first, writer.whole(0))
    made = writer.node(
        "GRU",
        by_step,
        gates(inputs),
        gates(own),
        both,
        *begin,
        hidden_size=n,
        linear_before_reset=1,
    )
    return writer.node("Transpose", writer.node("Squeeze", made, writer.whole(1)), perm=[1, 0, 2])


def _own(writer, x, module, n_inputs):
    """Write a user's torch module, as torch's own exporter writes it."""
    made = load_from_string(_exported(writer, module, n_inputs)).graph
    names = {made.input[0].name: x, "": ""}
    for tensor in made.initializer:
        names[tensor.name] = writer.scope.get_unique_variable_name("own")
        writer.container.add_initializer(names[tensor.name], tensor.data_type, tensor.dims, tensor)
    for node in made.node:
        for name in node.output:
            names[name] = writer.scope.get_unique_variable_name("own")
        for part in (node.input, node.output):
            part[:] = [names[name] for name in part]
        node.name = writer.scope.get_unique_operator_name("own")
        writer.container.nodes.append(node)
    return names[made.output[0].name]


def _exported(writer, module, n_inputs):
    """Return the bytes of a torch module as ONNX."""
    import torch

    kind = torch.float32 if writer.dtype == np.float32 else torch.float64
    file, rows = BytesIO(), torch.zeros(2, n_inputs, dtype=kind)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                deepcopy(module).cpu().to(kind),
                (rows,),
                file,
                dynamo=False,
                input_names=["rows"],
                dynamic_axes={"rows": {0: "n"}},
                opset_version=writer.container.target_opset,
            )
    except Exception as error:  # torch has many kinds
        raise CannotDescribe(
            f"torch cannot write {type(module).__name__}, a module of your own, as ONNX: {error}"
        ) from error
    return file.getvalue()


WRITERS = {
    "add": _scaled("Add", 0),
    "affine": _affine,
    "as_number": Writer.cast,
    "best": _best,
    "complete": _complete,
    "concat": _plain("Concat", axis=-1),
    "convolve": _convolve,
    "divide": _scaled("Div", 1),
    "elu": _elu,
    "enlarge": _enlarge,
    "exp": _plain("Exp"),
    "gelu": _gelu,
    "greater": _plain("Greater"),
    "isnan": _plain("IsNaN"),
    "largest": partial(_reduced, "ReduceMax"),
    "logistic": _plain("Sigmoid"),
    "logsumexp": _logsumexp,
    "maximum": _plain("Max"),
    "minimum": _plain("Min"),
    "multiply": _scaled("Mul", 1),
    "own": _own,
    "pad": _pad,
    "recur": _recur,
    "quick_gelu": _quick_gelu,
    "relu": _plain("Relu"),
    "repeat": _repeat,
    "reshape": lambda writer, x, shape: writer.node("Reshape", x, writer.whole(*shape)),
    "silu": lambda writer, x: writer.node("Mul", x, writer.node("Sigmoid", x)),
    "slice": _slice,
    "smallest": partial(_reduced, "ReduceMin"),
    "softplus": _softplus,
    "subtract": _scaled("Sub", 0),
    "sum": _sum,
    "take": _plain("Gather", axis=-1),
    "tanh": _plain("Tanh"),
    "total": _total,
    "where": _plain("Where"),
}
