"""What a fitted model computes, as a list of array operations: the ONNX writer and the NumPy engine run it.

It is read off the weights by their names, and needs no torch.
"""

import re
from dataclasses import dataclass, field
from math import log, pi

import numpy as np

from skae._linear.probabilistic import noise_unit
from skae._model import CannotDescribe

CLASSES = {  # of activations, in torch.nn and in skae.nn.layers
    "ELU": "elu",
    "GELU": "gelu",
    "Identity": "identity",
    "QuickGELU": "quick_gelu",
    "ReLU": "relu",
    "SiLU": "silu",
    "Sigmoid": "logistic",
    "Tanh": "tanh",
}
ACTIVATIONS = set(CLASSES.values())
LOG_VARIANCES = -30.0, 10.0  # as `VariationalAutoencoder` has them
LEAST_LOG_NOISE = log(1e-8)
LEAST_UNIT = 1e-6  # of a pixel, as `Rows` has it
KERNEL, STRIDE = 3, 2  # of convolutions


@dataclass(frozen=True, eq=False)
class Value:
    """An array that a graph makes; arithmetic with it adds operations."""

    graph: "Graph"
    place: int

    def __add__(self, other):
        return self.graph.add("add", self, other)

    def __sub__(self, other):
        return self.graph.add("subtract", self, other)

    def __mul__(self, other):
        return self.graph.add("multiply", self, other)

    def __truediv__(self, other):
        return self.graph.add("divide", self, other)

    def __getitem__(self, columns):
        """Return some columns: a slice, or an array of their places."""
        if isinstance(columns, slice):
            return self.graph.add("slice", self, start=columns.start or 0, stop=columns.stop)
        return self.graph.add("take", self, np.asarray(columns, dtype=np.int64))

    def affine(self, weight, bias=None):
        """Return ``x @ weight.T + bias``, for rows x; the bias may be a value of its own for each."""
        bias = np.zeros(len(weight)) if bias is None else bias
        shaped = isinstance(bias, Value) or bias.shape == (len(weight),)
        if weight.ndim != 2 or not shaped:
            raise ValueError(f"weights of shape {weight.shape} have a bias of shape {bias.shape}")
        return self.graph.add("affine", self, np.ascontiguousarray(weight.T), bias)

    def clip(self, low, high):
        """Return the values within bounds, which are arrays."""
        return self.graph.add("minimum", self.graph.add("maximum", self, low), high)

    def do(self, operation, **attributes):
        return self.graph.add(operation, self, **attributes)


@dataclass(frozen=True)
class Step:
    """One operation, on places of earlier steps and constants."""

    operation: str
    inputs: tuple
    attributes: dict


@dataclass(eq=False)
class Graph:
    """Operations in the order in which they run.

    Attributes
    ----------
    dtype : dtype
        float32 or float64: that of all constants that are floats.
    steps : list of Step
        Those named "input" stand for what the graph gets.
    """

    dtype: np.dtype
    steps: list = field(default_factory=list)

    def input(self):
        """Return the array that the graph is given next."""
        return self.add("input")

    def add(self, operation, *inputs, **attributes):
        """Return the result of an operation on values and constants."""
        known = tuple(x.place if isinstance(x, Value) else self._constant(x) for x in inputs)
        self.steps.append(Step(operation, known, attributes))
        return Value(self, len(self.steps) - 1)

    def concat(self, *parts):
        """Return arrays side by side."""
        return parts[0] if len(parts) == 1 else self.add("concat", *parts)

    def _constant(self, value):
        value = np.asarray(value)
        return value if value.dtype.kind in "biUO" else value.astype(self.dtype)


@dataclass(frozen=True)
class Network:
    """The halves of an autoencoder.

    Attributes
    ----------
    weights : dict of ndarray
        As the module has them.
    activation : str
        One of `ACTIVATIONS`.
    shape : tuple or None
        Of images (channels, height, width) or of sequences (steps, channels).
    own : callable
        ``own(place, x)`` applies the user's module at a place such as
        "encoder.nonlinear.".
    owned : tuple of str
        The halves that hold one.
    """

    weights: dict
    activation: str
    shape: tuple | None = None
    own: object = None
    owned: tuple = ()

    def half(self, place, x):
        """Return what the half at a place, "encoder." or "decoder.", makes of rows."""
        weights = self.weights
        if f"{place}beyond" in weights:
            inside = x.clip(weights[f"{place}low"], weights[f"{place}high"])
            made = self.half(f"{place}inside.", inside)
            beyond = weights[f"{place}beyond"]
            return (x - inside).affine(beyond, made) if beyond.any() else made
        dense = self._residual(place, x)
        if f"{place}threshold" in weights:
            threshold = np.maximum(weights[f"{place}threshold"], 0)
            dense = dense - dense.clip(-threshold, threshold)
        return dense

    def _residual(self, place, x):
        linear, bent = f"{place}linear.weight", f"{place}nonlinear."
        if linear not in self.weights and not self._has(bent):
            return self._nonlinear(place, x)
        if linear not in self.weights:
            return self._nonlinear(bent, x)
        bias = self.weights.get(f"{place}linear.bias")
        if self._has(bent):
            made = self._nonlinear(bent, x)
            bias = made if bias is None else made + bias
        return x.affine(self.weights[linear], bias)

    def _has(self, place):
        return any(name.startswith(place) for name in self.weights)

    def _nonlinear(self, place, x):
        weights = self.weights
        if f"{place}gain" in weights:
            return self._nonlinear(f"{place}module.", x) * weights[f"{place}gain"]
        if place.partition(".")[0] in self.owned:
            if self.own is None:
                raise CannotDescribe(
                    "the network holds a torch module or an activation of your own"
                )
            if f"{place.removesuffix('nonlinear.')}told.weight" in weights:
                raise CannotDescribe(
                    "with ordered=True the decoder also gets the length of a code, which is written only for "
                    "skae's own activations: use one of these"
                )
            return self.own(place, x)
        if f"{place}steps.unit" in weights:
            return self._read_sequences(place, x)
        if f"{place}rows.unit" in weights:
            return self._write_sequences(place, x)
        if f"{place}0.unit" in weights:
            return self._read_images(place, x)
        if self.shape is not None:
            return self._write_images(place, x)
        return self._perceptron(place, x)

    def _perceptron(self, place, x):
        told = self.weights.get(f"{place.removesuffix('nonlinear.')}told.weight")
        for number, name in enumerate(self._layers(place)):
            x = x if number == 0 else self._activate(x)
            bias = self.weights[f"{name}bias"]
            if told is not None and number == 0:
                bias = bias + told.sum(axis=1)
            x = x.affine(self.weights[f"{name}weight"], bias)
        return x

    def _layers(self, place):
        """Return the places of the layers within a sequence of modules."""
        pattern = re.compile(re.escape(place) + r"(\d+)\.weight")
        found = sorted(int(m[1]) for m in map(pattern.fullmatch, self.weights) if m)
        return [f"{place}{number}." for number in found]

    def _activate(self, x):
        return x if self.activation == "identity" else x.do(self.activation)

    # images -----------------------------------------------------------------------------------

    def _sizes(self, layers):
        """Return height and width before the first convolution, and after each."""
        sizes = [self.shape[1:]]
        for _ in layers:
            sizes.append(tuple(-(-length // STRIDE) for length in sizes[-1]))
        return sizes

    def _read_images(self, place, x):
        *convolutions, last = self._layers(place)
        x = (x * self.weights[f"{place}0.unit"]).do("reshape", shape=(-1, *self.shape))
        for name in convolutions:
            weight, bias = self.weights[f"{name}weight"], self.weights[f"{name}bias"]
            x = self._activate(x.graph.add("convolve", x, weight, bias))
        weight = self.weights[f"{last}weight"]
        x = x.do("reshape", shape=(-1, weight.shape[1]))
        return x.affine(weight, self.weights[f"{last}bias"])

    def _write_images(self, place, x):
        first, *enlargements = self._layers(place)
        sizes = self._sizes(enlargements)[::-1]
        x = x.affine(self.weights[f"{first}weight"], self.weights[f"{first}bias"])
        channels = self.weights[f"{first}weight"].shape[0] // (sizes[0][0] * sizes[0][1])
        x = x.do("reshape", shape=(-1, channels, *sizes[0]))
        for name, before, after in zip(enlargements, sizes, sizes[1:], strict=False):
            weight, bias = self.weights[f"{name}weight"], self.weights[f"{name}bias"]
            x = x.graph.add("enlarge", self._activate(x), weight, bias, before=before, size=after)
        names = (n for n in self.weights if n.startswith(place) and n.endswith(".unit"))
        (unit,) = (self.weights[name] for name in names)
        return x.do("reshape", shape=(-1, unit.size)) * _inverse(unit)

    # sequences --------------------------------------------------------------------------------

    def _reads(self, x):
        """Return rows as reads of several steps each; zeros follow the last step."""
        (n_steps, n_channels), at_once = self.shape, steps_at_once(self.shape[0])
        lacking = -n_steps % at_once
        if lacking:
            x = x.do("pad", columns=lacking * n_channels)
        n_reads = (n_steps + lacking) // at_once
        return x.do("reshape", shape=(-1, n_reads, at_once * n_channels)), n_reads

    def _recurrences(self, place, states, first=None):
        number = 0
        while f"{place}layers.{number}.weight_ih_l0" in self.weights:
            states = self._recurrence(f"{place}layers.{number}.", states, first)
            number, first = number + 1, None
        return states

    def _recurrence(self, place, states, first):
        names = "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"
        parts = [self.weights[f"{place}{name}"] for name in names]
        begin = () if first is None else (first,)
        n_reads = -(-self.shape[0] // steps_at_once(self.shape[0]))
        return states.graph.add("recur", states, *parts, *begin, n_reads=n_reads)

    def _read_sequences(self, place, x):
        n = self.shape[0] * self.shape[1]
        rows, missing = x[:n], x[n:]
        present = missing * -1.0 + 1.0
        present, _ = self._reads(present)
        weight = present.do("largest", axis=2)
        states, _ = self._reads(rows * self.weights[f"{place}steps.unit"])
        states = self._recurrences(place, states)
        mean = (states * weight).do("sum", axis=1)
        count = x.graph.add("maximum", weight.do("sum", axis=1), np.ones(1))
        output = f"{place}output."
        return (mean / count).affine(self.weights[f"{output}weight"], self.weights[f"{output}bias"])

    def _write_sequences(self, place, x):
        (n_steps, n_channels), at_once = self.shape, steps_at_once(self.shape[0])
        n_reads, told = -(-n_steps // at_once), f"{place}told."
        both = x.affine(self.weights[f"{told}weight"], self.weights[f"{told}bias"])
        n = len(self.weights[f"{told}weight"]) // 2
        state, read = both[:n].do("tanh"), both[n:]
        reads = read.do("repeat", times=n_reads, width=n)
        states = self._recurrences(place, reads, state)
        output = f"{place}output."
        weight = self.weights[f"{output}weight"]
        steps = states.do("reshape", shape=(-1, weight.shape[1]))
        steps = steps.affine(weight, self.weights[f"{output}bias"])
        steps = steps.do("reshape", shape=(-1, n_reads * at_once * n_channels))
        unit = self.weights[f"{place}rows.unit"]
        return steps[: n_steps * n_channels] * _inverse(unit)


def steps_at_once(n_steps):
    """Return how many steps are read, and written, at a time: as `skae.nn.sequences` has it."""
    return -(-n_steps // 16)


def _inverse(unit):
    """Return one over the units of pixels; 0 for those that do not vary, or next to nothing."""
    unit = np.asarray(unit, dtype=np.float64)
    return np.divide(1.0, unit, where=unit > LEAST_UNIT, out=np.zeros(unit.shape))


def untied(weights):
    """Return weights that have those of a decoder which shares its encoder's."""
    axes = [name for name in weights if name.endswith("linear.axes")]
    encoder = [name for name in weights if name.startswith("encoder.")]
    lonely = [
        name
        for name in weights
        if re.search(r"^decoder\..*\d+\.bias$", name)
        and name.replace("bias", "weight") not in weights
    ]
    weights = dict(weights)
    for name in axes:
        place = name.removesuffix("axes")
        matrix, scale, deviations = (
            weights.pop(place + n) for n in ("axes", "scale", "deviations")
        )
        weights[f"{place}weight"] = matrix * scale / deviations[:, None]
        back = place.replace("encoder.", "decoder.")
        weights[f"{back}weight"] = matrix.T * deviations / scale[:, None]
    matrices = [n for n in encoder if re.search(r"nonlinear\.(module\.)?\d+\.weight$", n)]
    matrices.sort(key=_number)
    for name, mirror in zip(sorted(lonely, key=_number), reversed(matrices), strict=False):
        weights[name.replace("bias", "weight")] = weights[mirror].T
    return weights


def _number(name):
    return int(re.search(r"(\d+)\.\w+$", name)[1])


# models -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Described:
    """A fitted model as these graphs read it.

    Attributes
    ----------
    network : Network
    blocks : Blocks or None
        Of the schema.
    flagged : bool
        Whether the encoder sees which cells are missing.
    baseline : LinearModel
        Its mean and scale are those of the standardisation.
    code_scale : ndarray of shape (n_components,)
    kind : {"plain", "gaussian", "bernoulli"}
        "plain" has no distribution over codes; the others name the likelihood.
    n_labels : int
        Columns beside rows and codes.
    units : ndarray or None
        Of the numbers of a coded table: what one of them is, in units of X.
    least : ndarray of shape (n_categories,)
        Nats that a level which fit did not see costs at least.
    """

    network: Network
    blocks: object
    flagged: bool
    baseline: object
    code_scale: np.ndarray
    kind: str = "plain"
    n_labels: int = 0
    units: np.ndarray | None = None
    least: np.ndarray | None = None

    @property
    def size(self):
        return len(self.code_scale)

    @property
    def n_numbers(self):
        return len(self.baseline.mean) if self.blocks is None else len(self.blocks.numbers)

    # pieces -----------------------------------------------------------------------------------

    def standardised(self, rows):
        """Return what training calls rows, with NaN where a cell is missing."""
        mean, scale = self.baseline.units
        x = rows - mean
        if rows.graph.dtype == np.float32:
            rest = mean - mean.astype(np.float32).astype(np.float64)
            x = x - rest if rest.any() else x
        return x / scale

    def inputs(self, x):
        """Return what the encoder gets for standardised rows."""
        if self.blocks is None:
            return x
        flags = [x[self.blocks.first].do("isnan").do("as_number")] if self.flagged else []
        return x.graph.concat(self._filled(x), *flags)

    def posterior(self, x):
        """Return what the encoder makes of standardised rows."""
        return self.network.half("encoder.", self.inputs(x))

    def _filled(self, x):
        """Return standardised wide rows without missing cells, labels beside them as they are."""
        if not self.n_labels:
            return self._completed(x)
        width, baseline = len(self.baseline.mean), self.baseline
        rows, labels = x[:width], x[width:]
        shift = labels.affine((baseline.taken / baseline.scale).T)
        return x.graph.concat(self._completed(rows - shift) + shift, labels)

    def _completed(self, x):
        """Return standardised rows, missing cells at what is expected given the others."""
        loadings, precision = self.baseline.loadings, self.baseline.precision
        if not loadings.shape[1]:
            return x.graph.add("where", x.do("isnan"), np.zeros(1), x)
        weighted = precision[:, None] * loadings
        pairs = (weighted[:, :, None] * loadings[:, None, :]).reshape(len(loadings), -1)
        return x.do("complete", loadings=loadings, weighted=weighted, pairs=pairs)

    def mean_of_code(self, x):
        """Return the code of standardised rows, in the module's units."""
        both = self.posterior(x)
        return both if self.kind == "plain" else both[: self.size]

    def outputs(self, code):
        """Return what the decoder makes of codes in the module's units."""
        return self.network.half("decoder.", code)

    def in_units_of_x(self, outputs):
        """Return the rows of numbers that outputs stand for."""
        scaled = outputs * self.baseline.scale
        if self.kind == "bernoulli":
            return (scaled + self.baseline.level).do("logistic")
        return scaled + self.baseline.mean

    def cells(self, outputs):
        """Return numbers, in units of the coded table, and codes of categories: (n_samples, n_cells)."""
        n, baseline, blocks = self.n_numbers, self.baseline, self.blocks
        parts = []
        if n:
            numbers = outputs[:n] * baseline.scale[:n] + baseline.mean[:n]
            parts.append(numbers / blocks.metric[:n])
        parts += [logits.do("best") for logits in self._logits(outputs)]
        return outputs.graph.concat(*parts)

    def _spans(self):
        return [slice(a, a + b) for a, b in zip(self.blocks.starts, self.blocks.sizes, strict=True)]

    def _logits(self, outputs):
        return [outputs[span] + self.baseline.level[span] for span in self._spans()]

    def errors(self, x, outputs, unseen=None):
        """Return squares of standardised numbers, nats of categories, and which cells are missing.

        ``unseen`` is 1 where a category's cell holds a level that fit did not see, else 0:
        it costs as much as the least likely level, and at least ``least_of_unseen``.
        """
        n, graph = self.n_numbers, x.graph
        squares = outputs[:n] - x[:n]
        parts = [squares * squares] if n else []
        parts += self._nats_of_categories(x, outputs, unseen)
        return graph.concat(*parts), self.lacking(x, unseen)

    def lacking(self, x, unseen=None):
        """Return which cells of wide rows are missing; levels that fit did not see are not."""
        missing, n = x[self.blocks.first].do("isnan"), self.n_numbers
        if unseen is None:
            return missing
        missing = missing.do("as_number")
        others = [missing[:n]] if n else []
        missing = x.graph.concat(*others, missing[n:] * (unseen * -1.0 + 1.0))
        return x.graph.add("greater", missing, np.full(1, 0.5))

    def _nats_of_categories(self, x, outputs, unseen):
        graph, parts = x.graph, []
        for i, (span, logits) in enumerate(zip(self._spans(), self._logits(outputs), strict=True)):
            hits = graph.add("greater", x[span], np.zeros(1)).do("as_number")
            whole = logits.do("logsumexp")
            nats = whole - (logits * hits).do("total")
            if unseen is not None:
                worst = graph.add("maximum", whole - logits.do("smallest"), self.least[[i]])
                is_new = graph.add("greater", unseen[i : i + 1], np.full(1, 0.5))
                nats = graph.add("where", is_new, worst, nats)
            parts.append(nats)
        return parts

    # what estimators answer -------------------------------------------------------------------

    def code(self, rows):
        return self.mean_of_code(self.standardised(rows)) * self.code_scale

    def code_and_columns(self, rows):
        """Return the code of wide rows, and what is encoded: standardised, without missing cells."""
        inputs = self.inputs(self.standardised(rows))
        code = self.network.half("encoder.", inputs)[: self.size] * self.code_scale
        return rows.graph.concat(code, inputs[: len(self.baseline.mean)])

    def distribution(self, rows):
        """Return means and standard deviations of the code of wide rows, side by side."""
        low, high = (np.full(1, bound) for bound in LOG_VARIANCES)
        both = self.posterior(self.standardised(rows))
        mean, log_variance = both[: self.size], both[self.size :].clip(low, high)
        return rows.graph.concat(mean, (log_variance * 0.5).do("exp"))

    def decoded(self, code):
        """Return the decoder's outputs for codes, which may have labels beside them."""
        return self.outputs(code / np.append(self.code_scale, np.ones(self.n_labels)))

    def rows(self, code):
        """Return the rows of numbers that codes stand for."""
        return self.in_units_of_x(self.decoded(code))

    def table(self, code):
        """Return the cells that codes stand for: numbers and codes of categories."""
        return self.cells(self.decoded(code))

    def errors_of_cells(self, rows, unseen=None):
        """Return the errors of the cells of wide rows, and which cells are missing."""
        x = self.standardised(rows)
        code = self.mean_of_code(x)
        if self.n_labels:
            code = x.graph.concat(code, x[len(self.baseline.mean) :])
        return self.errors(x, self.outputs(code), unseen)

    def code_and_differences(self, rows):
        """Return codes in the module's units, and what is left of the cells of wide rows.

        By the module, and then by the baseline's means alone. Numbers: the difference,
        standardised. Categories: nats. 0 where missing.
        """
        x, n, parts = self.standardised(rows), self.n_numbers, []
        code = self.mean_of_code(x)
        made = self.outputs(code)
        for outputs in (made, made * 0.0):
            parts += [x[:n] - outputs[:n]] if n else []
            parts += self._nats_of_categories(x, outputs, None)
        missing = self.lacking(x)
        left = rows.graph.add(
            "where", rows.graph.concat(missing, missing), np.zeros(1), rows.graph.concat(*parts)
        )
        return rows.graph.concat(code, left)

    # likelihood -------------------------------------------------------------------------------

    def log_weights_of_rows(self, rows, unseen=None, *, draws):
        return self.log_weights(self.standardised(rows), draws, unseen)

    def log_weights(self, x, draws, unseen=None):
        """Return log p(x|z) p(z) / q(z|x) of standardised rows, of shape (n_samples, n_draws)."""
        k, n_draws, graph = self.size, len(draws), x.graph
        both = self.posterior(x)
        mean = both[:k].do("reshape", shape=(-1, 1, k))
        low, high = (np.full(1, bound) for bound in LOG_VARIANCES)
        log_variance = both[k:].clip(low, high).do("reshape", shape=(-1, 1, k))
        code = (log_variance * 0.5).do("exp") * draws + mean
        divergence = (code * code - draws**2 - log_variance).do("total") * 0.5
        codes = code.do("reshape", shape=(-1, k))
        if self.n_labels:
            labels = x[len(self.baseline.mean) :]
            codes = graph.concat(codes, _repeated(labels, n_draws, self.n_labels))
        outputs = self.outputs(codes)
        rows = _repeated(x, n_draws, len(self.baseline.units[0]))
        if unseen is not None:
            unseen = _repeated(unseen, n_draws, len(self.blocks.categories))
        nats = self._nats(rows, outputs, unseen) + divergence.do("reshape", shape=(-1, 1))
        return nats.do("reshape", shape=(-1, n_draws)) * -1.0

    def _nats(self, x, outputs, unseen):
        """Return minus the log-likelihood of rows, of shape (n_rows, 1)."""
        if self.blocks is not None:
            return self._nats_of_table(x, outputs, unseen)
        baseline, n = self.baseline, len(self.baseline.mean)
        if self.kind == "bernoulli":
            logits = outputs * baseline.scale + baseline.level
            rows = x * baseline.scale + baseline.mean
            return (logits.do("softplus") - rows * logits).do("total")
        unit = noise_unit(baseline)
        log_noise = self._log_noise
        difference = outputs - x[:n]
        ratios = self._log_ratios
        precisions = baseline.scale**2 / unit * np.exp(-log_noise - ratios)
        weighted = difference * difference * (precisions / 2)
        constant = (n * (log(2 * pi * unit) + log_noise) + ratios.sum()) / 2
        return weighted.do("total") + constant

    def _nats_of_table(self, x, outputs, unseen):
        n, unit, log_noise = self.n_numbers, noise_unit(self.baseline, self.blocks), self._log_noise
        errors, missing = self.errors(x, outputs, unseen)
        n_categories = len(self.blocks.categories)
        ratios = self._log_ratios
        factor = self.baseline.scale[:n] ** 2 / unit * np.exp(-log_noise - ratios) / 2
        units = np.zeros(n) if self.units is None else np.log(self.units)
        units = units + ratios / 2
        constant = units + (log(2 * pi * unit) + log_noise) / 2
        whole = errors * np.concatenate([factor, np.ones(n_categories)])
        whole = whole + np.concatenate([constant, np.zeros(n_categories)])
        return x.graph.add("where", missing, np.zeros(1), whole).do("total")

    @property
    def _log_noise(self):
        log_noise = np.atleast_1d(self.network.weights["log_noise"])[-1]
        return max(float(log_noise), LEAST_LOG_NOISE)

    @property
    def _log_ratios(self):
        known, weights = np.log(self.baseline.noise_ratios), self.network.weights
        if "log_noise_ratios" not in weights:
            return known
        level, least = self._log_noise, weights["least_log_noises"]
        return known + np.maximum(level + weights["log_noise_ratios"], least) - level


def _repeated(x, times, width):
    """Return each row so many times, one copy after the other."""
    return x.do("repeat", times=times, width=width).do("reshape", shape=(-1, width))


def _name_of(activation):
    """Return skae's name of an activation; of others what they are."""
    place = getattr(activation, "__module__", None) or ""
    if isinstance(activation, str) or not place.startswith(("torch.nn.", "skae.nn.")):
        return activation
    return CLASSES.get(activation.__name__, activation)


def described(model, own=None):
    """Return a fitted `Model`, or one of the NumPy engine, as graphs read it.

    ``own`` applies the user's modules; see `Network`.
    """
    task, schema = model.task, model.schema
    activation = _name_of(task.activation)
    foreign = activation not in ACTIVATIONS or getattr(task, "traced", False)
    halves = "encoder", "decoder"
    owned = tuple(name for name in halves if foreign or getattr(task, name) is not None)
    shape = task.shape if getattr(task, "of_images", hasattr(task, "shape")) else None
    network = Network(untied(model.weights()), activation, shape, own, owned)
    blocks, encoder = schema.blocks, schema.encoder
    units = least = None
    if encoder is not None:
        n = len(blocks.numbers)
        units = encoder.scale_[blocks.numbers] / blocks.metric[:n]
        least = schema.least_of_unseen()
    return Described(
        network,
        blocks,
        blocks is not None and task.n_inputs - task.n_labels > schema.width,
        model.baseline,
        model.code_scale,
        getattr(task, "likelihood", "plain"),
        task.n_labels,
        units,
        least,
    )
