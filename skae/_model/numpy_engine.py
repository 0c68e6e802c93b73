"""Fitted models without torch: numpy runs the graphs that say what they compute."""

import re
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from typing import ClassVar

import numpy as np
from scipy import sparse, special

from skae._data.labels import Labels
from skae._linear.mixed import MixedModel
from skae._linear.pca import LinearModel
from skae._linear.pcovr import PCovRModel, PCovRTableModel
from skae._linear.probabilistic import (
    ConditionalModel,
    ConditionalTableModel,
    LogisticModel,
    ProbabilisticModel,
    ProbabilisticTableModel,
)
from skae._model import CannotDescribe, normal
from skae._model.graph import Described, Graph, described
from skae._model.head import predicted
from skae._model.likelihood import lower_bound
from skae._model.scores import dense, refuse_infinite
from skae._model.state import ARRAYS, OPTIONAL, check_schema, check_state, with_factors
from skae._parameters import check_parameters

CHUNK_CELLS = 2**18
N_TRIED = 3  # rows
LAYER = re.compile(r"encoder\.(inside\.)?(nonlinear\.)?(module\.)?\d+\.weight")
STRAIGHT = re.compile(r"encoder\.(inside\.)?linear\.(weight|axes)")
NORMAL = "AutoencoderTransformer", "RecurrentAutoencoder", "VAETransformer"  # where linear
OF_MODEL = "_built", "_prefixes", "n_components_", "hidden_layer_sizes_"
ATTRIBUTES = *(name for name in ARRAYS if name in OPTIONAL), "_code_moments", "_marginals"
KEPT = (
    *ATTRIBUTES,
    *OF_MODEL,
    "mean_",
    "scale_",
    "_start",
    "_nonlinear",
    "_confined",
    "_code_scale",
    "module_",
    "_labels",
)


def _gelu(x):
    return x * special.ndtr(x)


def _elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _repeat(x, times, width):
    return np.broadcast_to(x[:, None], (len(x), times, width))


def _complete(x, loadings, weighted, pairs):
    """Return rows with the expected values in missing cells (see `skae.nn.cells.Missing`)."""
    missing, n_factors = np.isnan(x), loadings.shape[1]
    filled, rows = np.where(missing, 0, x), np.flatnonzero(missing.any(axis=1))
    if len(rows):
        lacking = missing[rows]
        gram = ((~lacking).astype(np.float64) @ pairs).reshape(-1, n_factors, n_factors)
        moments = (filled[rows] @ weighted)[:, :, None]
        code = np.linalg.solve(gram + np.eye(n_factors), moments)[:, :, 0]
        filled[rows] = np.where(lacking, code @ loadings.T, filled[rows])
    return filled


OPERATIONS = {
    "add": np.add,
    "affine": lambda x, weight, bias: x @ weight + bias,
    "as_number": lambda x, dtype: x.astype(dtype),
    "best": lambda x: x.argmax(-1, keepdims=True).astype(x.dtype),
    "complete": _complete,
    "concat": lambda *parts: np.concatenate(parts, axis=-1),
    "divide": np.divide,
    "elu": _elu,
    "exp": np.exp,
    "gelu": _gelu,
    "greater": np.greater,
    "isnan": np.isnan,
    "logistic": special.expit,
    "logsumexp": lambda x: special.logsumexp(x, axis=-1, keepdims=True),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "multiply": np.multiply,
    "quick_gelu": lambda x: x * special.expit(np.asarray(1.702, x.dtype) * x),
    "relu": lambda x: np.maximum(x, 0),
    "repeat": _repeat,
    "reshape": lambda x, shape: x.reshape(shape),  # NumPy before 2.1 knows `shape` by another name
    "silu": lambda x: x * special.expit(x),
    "slice": lambda x, start, stop: x[..., start:stop],
    "smallest": lambda x: x.min(-1, keepdims=True),
    "softplus": lambda x: np.logaddexp(x, 0),
    "subtract": np.subtract,
    "take": lambda x, places: x[..., places],
    "tanh": np.tanh,
    "total": lambda x: x.sum(-1, keepdims=True),
    "where": np.where,
}


class Program:
    """A graph that numpy runs."""

    def __init__(self, graph, outputs):
        self.outputs = [value.place for value in outputs]
        self.steps = [self._step(step, graph.dtype) for step in graph.steps]

    def _step(self, step, dtype):
        if step.operation == "input":
            return None
        places = [x if isinstance(x, int) else None for x in step.inputs]
        values = [None if isinstance(x, int) else x for x in step.inputs]
        attributes = dict(step.attributes)
        if step.operation == "as_number":
            attributes["dtype"] = dtype
        return OPERATIONS[step.operation], places, values, attributes

    def __call__(self, *inputs):
        made, given = [], iter(inputs)
        for step in self.steps:
            if step is None:
                made.append(next(given))
                continue
            function, places, values, attributes = step
            known = [
                value if place is None else made[place]
                for place, value in zip(places, values, strict=True)
            ]
            made.append(function(*known, **attributes))
        return [made[place] for place in self.outputs]


class Served:
    """What lacks all that is only done with torch, and says so."""

    def __getattr__(self, name):
        raise AttributeError(
            f"A model that was loaded with engine='numpy' has no {name!r}: load the file with "
            "engine='torch' where more is asked than codes, rows and scores."
        )


@dataclass(eq=False)
class NumpyModel(Served):
    """A fitted model as `Model` is one, but for training; numpy alone computes.

    Attributes
    ----------
    task : object
        What of a `Task` encoding and decoding ask for.
    schema : Schema
    baseline : LinearModel
    code_scale : ndarray of shape (n_components,)
    attributes : dict
    kept : dict
        The state that the model was made of.
    """

    task: object
    schema: object
    baseline: object
    code_scale: np.ndarray
    kept: dict
    attributes: dict = field(default_factory=dict)
    device: str = "cpu"
    module: object = None
    _programs: dict = field(default_factory=dict)

    ATTRIBUTES: ClassVar = ATTRIBUTES

    @property
    def singular_values(self):
        return normal.singular_values(self.attributes)

    def loadings(self):
        components = self.attributes["components_"]
        if self.task.likelihood != "plain":
            return components
        return normal.loadings(self.attributes, normal.squared_lengths(components))

    def weights(self):
        return self.kept["module_"]

    @cached_property
    def described(self):
        return described(self)

    # use --------------------------------------------------------------------------------------

    def encode(self, X):
        return self._of_rows(X, Described.code)

    def code_and_columns(self, X):
        return self._of_rows(X, Described.code_and_columns)

    def posterior(self, X):
        return tuple(np.hsplit(self._of_rows(X, Described.distribution), 2))

    def decode(self, Z):
        return self._run(Described.rows, Z)

    def decode_cells(self, Z):
        """Return the coded table that codes stand for."""
        blocks = self.schema.blocks
        if blocks is None:
            return self.decode(Z)
        table = np.full((len(Z), blocks.n_columns), np.nan, dtype=Z.dtype)
        table[:, np.concatenate([blocks.numbers, blocks.categories])] = self._run(
            Described.table, Z
        )
        return table

    def predict(self, X):
        """Return what the head of a supervised code says of rows."""
        return predicted(self, X)

    def wide(self, X):
        """Return rows as the network's columns, labels beside them, dense, not yet standardised."""
        n, mean = self.schema.n_features, self.baseline.mean
        if not self.task.n_labels:
            return self.schema.wide(X, mean)
        X = dense(X)
        return np.hstack([self.schema.wide(X[:, :n], mean), X[:, n:]])

    def reconstruct_cells(self, X):
        """Return the coded table that is made of rows, given labels beside them."""
        code = self.encode(X)
        if self.task.n_labels:
            code = np.hstack([code, X[:, self.schema.n_features :]])
        return self.decode_cells(code)

    def reconstruct(self, X):
        """Return rows of numbers, dense, and their reconstruction, given labels beside the rows."""
        X = X.toarray() if sparse.issparse(X) else X
        code, n = self.encode(X), self.schema.n_features
        return X[:, :n], self.decode(np.hstack([code, X[:, n:]]) if self.task.n_labels else code)

    def errors_of_cells(self, X):
        """Return errors of a table's cells in the module's units: NaN where missing."""
        return self._of_rows(X, _errors, self._unseen(X)).astype(np.float64)

    def code_and_differences(self, X):
        return self._of_rows(X, Described.code_and_differences)

    def log_likelihood(self, X, n_draws):
        return lower_bound(self._log_weights, X, n_draws, self)

    def _log_weights(self, X, draws):
        rows = self.wide(X).astype(np.float64)
        unseen = self._unseen(X)
        key = "log-weights", len(draws)
        if key not in self._programs:
            build = partial(Described.log_weights_of_rows, draws=draws)
            self._programs[key] = self._made(build, np.float64, len(unseen))
        with np.errstate(over="ignore", invalid="ignore"):
            (nats,) = self._programs[key](rows, *unseen)
        return nats.T

    def _unseen(self, X):
        """Return a tuple: where levels are that fit did not see, in a table with categories."""
        blocks = self.schema.blocks
        if blocks is None or not len(blocks.categories):
            return ()
        return (blocks.unseen(X).astype(X.dtype),)

    def _of_rows(self, X, build, beside=()):
        """Return what a graph makes of rows that the schema read, and of arrays beside them."""
        if sparse.issparse(X) and X.shape[0] * X.shape[1] > CHUNK_CELLS:
            step = max(1, CHUNK_CELLS // X.shape[1])
            parts = [X[i : i + step] for i in range(0, X.shape[0], step)]
            return np.concatenate([self._of_rows(part, build) for part in parts])
        return self._run(build, self.wide(X), *beside)

    def _run(self, build, *rows):
        """Return what a graph makes of rows, chunk by chunk."""
        n_rows, width = rows[0].shape
        program = self._program(build, rows[0].dtype, len(rows) - 1)
        step = max(1, CHUNK_CELLS // max(1, width))
        starts = range(0, max(n_rows, 1), step)
        with np.errstate(over="ignore", invalid="ignore"):
            parts = [program(*(part[i : i + step] for part in rows))[0] for i in starts]
        made = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if build is not _errors:
            refuse_infinite(made, rows[0].dtype)
        return made

    def _program(self, build, dtype, n_beside=0):
        key = build, dtype.char
        if key not in self._programs:
            self._programs[key] = self._made(build, dtype, n_beside)
        return self._programs[key]

    def _made(self, build, dtype, n_beside=0):
        graph = Graph(np.dtype(dtype))
        rows, *beside = [graph.input() for _ in range(1 + n_beside)]
        return Program(graph, [build(self.described, rows, *beside)])

    # state ------------------------------------------------------------------------------------

    def state(self):
        """Return arrays and builtins that `of_state` makes the model of."""
        return {**self.kept, "_engine": "numpy"}

    def __getstate__(self):
        """Return what the model is pickled as: what it was made of."""
        known = {name: value for name, value in vars(self).items() if name != "described"}
        return known | {"_programs": {}}

    @classmethod
    def of_state(cls, schema, state, kind):
        """Return the model of a state, whose entries are removed; ``kind`` is the estimator's class.

        `CannotDescribe` refuses networks that numpy does not run here: with convolutions, recurrent units,
        or modules of a user's own; a ValueError or a KeyError parts that do not belong together.
        """
        check_schema(schema)
        constraints = kind._parameter_constraints
        built = {name: value for name, value in state["_built"].items() if name in constraints}
        check_parameters({name: constraints[name] for name in built}, built, schema.owner)
        state["_start"] = with_factors(schema, state["_start"])
        kept = schema.state() | {name: state[name] for name in KEPT if name in state}
        task = check_state(_task(schema, state, hasattr(kind, "inverse_transform")), state)
        for name in (*OF_MODEL, "_nonlinear", "_confined", "module_", "mean_", "scale_"):
            del state[name]
        baseline = task.linear_kind()(**state.pop("_start"))
        model = cls(task, schema, baseline, state.pop("_code_scale"), kept)
        names = [name for name in ATTRIBUTES if name in state]
        model.attributes = {name: state.pop(name) for name in names}
        state.pop("_labels", None)
        model._try()
        return model

    def _try(self):
        """Refuse weights that do not fit each other: a few rows of zeros show it."""
        schema, task = self.schema, self.task
        rows = np.zeros((N_TRIED, len(self.baseline.units[0])))
        codes = np.zeros((N_TRIED, task.size + task.n_labels))
        tried = [(Described.code, rows, task.size)]
        if task.decodes:
            tried.append((Described.decoded, codes, schema.width))
        if task.likelihood != "plain":
            tried.append((Described.distribution, rows, 2 * task.size))
            tried.append(
                (partial(Described.log_weights_of_rows, draws=codes[:2, : task.size]), rows, 2)
            )
        for build, given, width in tried:
            (made,) = self._made(build, np.float64)(given)
            if made.shape != (N_TRIED, width):
                raise ValueError("its network gives other columns than it was fitted to")


@dataclass(frozen=True, eq=False)
class FittedTask(Served):
    """What of a task a fitted model is asked for, as a file tells it."""

    schema: object
    activation: object
    encoder: object
    decoder: object
    ordered: bool
    likelihood: str
    has_baseline: bool
    decodes: bool
    labels: object
    kind: type
    told_missing: bool = False
    predicts: bool = False
    size: int | None = None
    hidden: tuple | None = None
    prefixes: bool = False
    shapes: ClassVar = {}
    of_images: ClassVar = False

    @property
    def is_normal(self):
        """Whether the parameters make the model a normal distribution of rows."""
        return self.has_baseline and not self.hidden and self.schema.owner in NORMAL

    @property
    def n_labels(self):
        return 0 if self.labels is None or self.predicts else self.labels.width

    @property
    def n_targets(self):
        return self.labels.width if self.predicts else 0

    @property
    def n_inputs(self):
        width = 2 * self.schema.width if self.told_missing else self.schema.n_inputs
        return width + self.n_labels

    def linear_kind(self):
        return self.kind

    def check_rows(self, X):
        """Refuse rows that the likelihood has no place for."""
        if self.likelihood == "bernoulli":
            self.schema.refuse_beyond_unit(X)


def _task(schema, state, decodes):
    """Return what of a task a state tells, its sizes not yet checked."""
    built, weights = state["_built"], state["module_"]
    for half in ("encoder", "decoder"):
        if built[half] is not None:
            raise CannotDescribe(f"{half} is a module of your own")
    if any(name.endswith((".unit", "weight_ih_l0")) for name in weights):
        raise CannotDescribe("the network has convolutions or recurrent units")
    if not isinstance(built["activation"], str):
        raise CannotDescribe(f"activation={built['activation']!r} is none of skae's")
    _check_layers(state)
    labels = None
    if "_labels" in state:
        labels = Labels(**state["_labels"])
        labels.check()
    return FittedTask(
        schema=schema,
        activation=built["activation"],
        encoder=None,
        decoder=None,
        ordered=bool(built.get("ordered")),
        likelihood=built.get("likelihood", "plain"),
        has_baseline=built["linear_path"] == "pca",
        decodes=decodes,
        labels=labels,
        kind=_linear_kind(state["_start"], built.get("likelihood")),
        told_missing="sequence_shape" in built,
        predicts="mixing" in built,
    )


def _check_layers(state):
    """Refuse weights that are not those of the layers that the network has."""
    weights, built, hidden = state["module_"], state["_built"], state["hidden_layer_sizes_"]
    linear = built["linear_path"] == "pca"
    bent = state["_nonlinear"] and (len(hidden) > 0 or not linear)
    layers = [name for name in weights if LAYER.fullmatch(name)]
    straight = [name for name in weights if STRAIGHT.fullmatch(name)]
    good = len(layers) == (len(hidden) + 1 if bent else 0) and len(straight) == linear
    good &= all(array.dtype == np.float64 for array in weights.values())
    good &= state["_confined"] == ("encoder.beyond" in weights) == ("decoder.beyond" in weights)
    if not good:
        raise ValueError("its weights are not those of such a network")


PLAIN = (
    LinearModel,
    MixedModel,
    ProbabilisticTableModel,
    ConditionalModel,
    ConditionalTableModel,
    PCovRModel,
    PCovRTableModel,
)


def _linear_kind(start, likelihood):
    """Return the class of linear models with such fields."""
    of_rows = LogisticModel if likelihood == "bernoulli" else ProbabilisticModel
    for kind in (*PLAIN, of_rows):
        if start.keys() == {part.name for part in fields(kind)}:
            return kind
    raise ValueError("its linear model is of no kind that skae knows")


def _errors(model, rows, *unseen):
    """Return the errors of cells, NaN where one is missing."""
    errors, missing = model.errors_of_cells(rows, *unseen)
    return rows.graph.add("where", missing, np.full(1, np.nan), errors)
