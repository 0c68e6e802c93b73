"""A fitted model: it encodes and decodes, and needs no estimator for it."""

from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from scipy import sparse
from torch import nn

from skae._data.batches import MARGIN
from skae._linear.pca import LinearModel
from skae._model import normal
from skae._model.cells import cells_of, code_and_differences, errors_of_cells, torch_type
from skae._model.inference import apply, survey
from skae._model.moments import noise_of_fewer, whitening
from skae._model.state import check_state, with_factors
from skae._parameters import has_own_code
from skae.nn.build import confined, global_generator, released, take_prefix, widen
from skae.nn.layers import Linear, Residual

FARTHEST = {8: 2.0**12, 4: 2.0**3}  # deviations of a mean from zero, by the bytes of a float
OF_UNITS = ("components_", "explained_variance_", "explained_variance_ratio_", "activation_rate_")


def unchanged(values):
    """Leave values as they are."""


@dataclass(eq=False)
class Model:
    """A fitted network, and what is needed to use it.

    Attributes
    ----------
    task : Task
        With its sizes.
    module : nn.Module
        float64, of standardised rows and codes.
    baseline : LinearModel
        Its mean and scale are those of the standardisation. It may have more
        components than the code, which was cut then.
    nonlinear : bool
        Whether more than the baseline was kept.
    code_scale : ndarray of shape (n_components,)
        What the module's codes are multiplied by.
    extrapolates : bool
        Whether linear maps extrapolate outside the training range.
    device : str
    attributes : dict
        Fitted attributes of the model, by name.
    """

    task: object
    module: nn.Module
    baseline: LinearModel
    nonlinear: bool
    code_scale: np.ndarray
    extrapolates: bool = False
    device: str = "cpu"
    attributes: dict = field(default_factory=dict)

    ATTRIBUTES: ClassVar = (*OF_UNITS, "noise_variance_", "n_samples_")
    own_noise: ClassVar = False  # whether the noise is a part of the model

    @classmethod
    def settled(cls, task, module, baseline, device, rows=None, before=None):
        """Return the model of a trained module, which is taken over; of the baseline, where it is None.

        From ``rows``, all training rows, the training range and the units of a whitened code are learned.
        ``before`` is the model that the module went on from; without rows its units stay.
        """
        nonlinear = module is not None
        module = module if nonlinear else linear_network(task, baseline)
        module.zero_grad()  # or it would keep its gradients for good
        module = module.to(device).double().eval().requires_grad_(False)
        task.fill_by(module, baseline)  # in float64, as in a copy
        attributes = {} if before is None else dict(before.attributes)
        if task.decodes and task.has_baseline:
            attributes["components_"] = _components(module, baseline, task.size)
        extrapolates = rows is not None and task.has_baseline and nonlinear
        sums, numbers = None, task.schema.blocks is None
        if extrapolates or (rows is not None and task.whiten):
            n_told = task.schema.n_features if numbers and cls.tells_rest(task) else 0
            inputs, codes, sums = survey(module, rows, baseline, device, n_told)
            if extrapolates:
                module = _extrapolating(task, module, baseline, inputs, codes, device)
        if rows is None and before is not None:
            code_scale = before.code_scale
        elif task.whiten:
            code_scale = np.ones(task.size) if sums is None else whitening(*sums[:2], len(rows))
        else:
            code_scale = baseline.deviations if task.has_baseline else np.ones(task.size)
        model = cls(task, module, baseline, nonlinear, code_scale, extrapolates, device, attributes)
        if numbers and sums is not None:
            model._sums = sums  # until moments are made of them
        return model

    @classmethod
    def tells_rest(cls, task):
        """Return whether what rows have beside their reconstruction is the noise about it."""
        return task.decodes and task.schema.encoder is None and not cls.own_noise

    @property
    def schema(self):
        """What the fit learned of the columns."""
        return self.task.schema

    @property
    def present_baseline(self):
        """The baseline of the present code, which may have been cut since."""
        return self.baseline.first(self.task.size)

    @property
    def is_pca(self):
        """Whether the parameters make it PCA, and nothing was trained."""
        return self.task.is_pca and not self.nonlinear

    @property
    def singular_values(self):
        """Of the code of the training rows, (n_components,); None where no variances are known."""
        return normal.singular_values(self.attributes)

    def loadings(self):
        """Return W of a linear model whose rows have the covariance W'W plus that of the noise."""
        return normal.loadings(self.attributes, self.squared_lengths)

    @property
    def squared_lengths(self):
        """Of the components; of those beyond the rank 1."""
        if self.task.unit_axes:
            return np.ones(self.task.size)
        return normal.squared_lengths(self.attributes["components_"])

    # use --------------------------------------------------------------------------------------

    def encode(self, X):
        """Return the code of rows that the schema read, in their dtype."""
        if self._one_product is not None and self._one_product[2] < FARTHEST[X.dtype.itemsize]:
            matrix, of_mean = (part.astype(X.dtype, copy=False) for part in self._one_product[:2])
            with np.errstate(over="ignore", invalid="ignore"):
                code = X @ matrix
                code -= of_mean
            if np.isfinite(code).all():  # else cells are missing, or too large
                return code
        scale = self.code_scale.astype(X.dtype)
        return self.apply_to_rows(
            X,
            self.module_in(X.dtype).encode,
            self.task.size,
            lambda code: np.multiply(code, scale, out=code),
        )

    @cached_property
    def _one_product(self):
        """What makes linear codes of rows in one product; None where the encoder is no matrix.

        Matrix (n_features, n_components), what is taken off then, and the largest mean, in
        deviations of its column: means far from zero would cost digits, and rows are centred first.
        """
        encoder, k = self.module.encoder, self.task.size
        is_matrix = type(encoder) is Residual and type(encoder.linear) is Linear
        if self.nonlinear or self.schema.blocks is not None or not is_matrix:
            return None
        (mean, scale), bias = self.baseline.units, encoder.linear.bias
        weight = encoder.linear.weight[:k].numpy(force=True)
        matrix = np.ascontiguousarray((weight / scale).T) * self.code_scale
        of_zero = 0.0 if bias is None else bias[:k].numpy(force=True) * self.code_scale
        farthest = np.max(np.abs(mean / scale), where=weight.any(axis=0), initial=0.0)
        return matrix, mean @ matrix - of_zero, farthest

    def code_and_columns(self, X):
        """Return codes, and beside them what is encoded: standardised columns, missing cells filled."""
        module, width = self.module_in(X.dtype), self.schema.width
        columns = self.apply_to_rows(X, lambda x: module.inputs(x)[:, :width], width)
        return np.hstack([self.encode(X), columns])

    def decode(self, Z):
        """Return the rows of numbers that codes stand for, in units of X."""
        decoder = self.module_in(Z.dtype).decoder
        return self._apply_to_codes(Z, decoder, self.schema.n_features, self._to_units_of_x)

    def decode_cells(self, Z):
        """Return the coded table that codes stand for, with the most probable levels."""
        if self.schema.blocks is None:
            return self.decode(Z)
        cells = cells_of(self.schema, self.baseline, torch_type(Z.dtype)).to(self.device)
        decoder = self.module_in(Z.dtype).decoder
        values = self._apply_to_codes(Z, lambda z: cells.values(decoder(z)), cells.n_cells)
        return self.schema.coded(values, self.baseline.mean, self.baseline.scale)

    def decode_levels(self, Z):
        """Return standardised numbers of codes, and the probability of each level: a column each."""
        decoder = self.module_in(Z.dtype).decoder
        if self.schema.blocks is None:
            return self._apply_to_codes(Z, decoder, self.schema.n_features)
        cells = cells_of(self.schema, self.baseline, torch_type(Z.dtype)).to(self.device)
        width = self.schema.width
        return self._apply_to_codes(Z, lambda z: cells.probabilities(decoder(z)), width)

    def wide(self, X):
        """Return rows as the network's columns, dense, not yet standardised."""
        return self.schema.wide(X, self.baseline.mean)

    def reconstruct_cells(self, X):
        """Return the coded table that is made of rows."""
        return self.decode_cells(self.encode(X))

    def reconstruct(self, X):
        """Return rows of numbers, dense, and their reconstruction."""
        X = X.toarray() if sparse.issparse(X) else X
        return X, self.decode(self.encode(X))

    def errors_of_cells(self, X, reconstruct=None):
        """Return the errors of a table's cells, as `skae._model.cells.errors_of_cells` does."""
        return errors_of_cells(self, X, reconstruct)

    def code_and_differences(self, X):
        """Return codes in the module's units, and what is left of each cell of a table."""
        return code_and_differences(self, X)

    def apply_to_rows(self, X, function, n_outputs, after=unchanged):
        exact, scale = self.baseline.units
        mean, scale = exact.astype(X.dtype), scale.astype(X.dtype)
        rest = (exact - mean).astype(X.dtype)  # what float32 cannot hold of the mean

        def standardise(rows, out):
            np.subtract(self.wide(rows), mean, out=out)
            if X.dtype == np.float32:
                out -= rest
            out /= scale

        return apply(function, X, n_outputs, self.device, standardise, after, len(mean))

    def _apply_to_codes(self, Z, function, n_outputs, after=unchanged):
        """Return a function at codes, with labels beside them where the task has some."""
        unit = np.append(self.code_scale, np.ones(self.task.n_labels)).astype(Z.dtype)

        def to_module(code, out):
            np.divide(code, unit, out=out)

        return apply(function, Z, n_outputs, self.device, to_module, after)

    def _to_units_of_x(self, rows):
        """Turn the decoder's outputs into rows, in place."""
        rows *= self.baseline.scale.astype(rows.dtype)
        rows += self.baseline.mean.astype(rows.dtype)

    def module_in(self, dtype):
        """Return the module in the dtype of the data; the float32 copy is made once."""
        if dtype == np.float64:
            return self.module
        if "_module_float32" not in self.__dict__:
            self._module_float32 = deepcopy(self.module).float()
            if self.module.missing is not None:  # float32 does not solve for the missing cells
                self._module_float32.missing = deepcopy(self.module.missing)
        return self._module_float32

    def weights(self):
        """Return the module's weights as arrays, by name."""
        return {name: value.cpu().numpy() for name, value in self.module.state_dict().items()}

    # change -----------------------------------------------------------------------------------

    def trainable(self, generator):
        """Return what training goes on with: a copy of the module, or a new one at the baseline."""
        if not self.nonlinear:
            return new_network(self.task, self.present_baseline, generator)
        module = released(deepcopy(self.module)).float().requires_grad_(True)
        self.task.freeze(module)
        return module

    def truncated(self, k):
        """Return the model of the first ``k`` components."""
        task = replace(self.task, size=k, prefixes=self.task.ordered)
        module = empty_network(task, self.nonlinear, self.extrapolates, self.baseline)
        module = module.to(self.device).eval().requires_grad_(False)
        take_prefix(module, self.module, task.n_inputs, k)
        attributes = {
            name: value[:k] if name in OF_UNITS else value
            for name, value in self.attributes.items()
        }
        scale = self.code_scale[:k]
        if "noise_variance_" in attributes and not self.own_noise:
            # more is left than before: without rows only PCA knows how much
            del attributes["noise_variance_"]
            if self.is_pca:
                attributes["noise_variance_"] = noise_of_fewer(self, k)
        return replace(self, task=task, module=module, code_scale=scale, attributes=attributes)

    def tuned(self, module, rows):
        """Return the model with a module that was trained a little further on rows."""
        rows = rows if self.extrapolates else None
        now = self.settled(self.task, module, self.present_baseline, self.device, rows, before=self)
        widen(now.module, self.module)
        now.baseline = self.baseline
        return now

    def outside(self, space, rows, task):
        """Return the model of coordinates as one of the columns, for their task and rows."""
        inside, k = self.baseline, self.task.size
        baseline, signs = space.outside(inside)
        task = task.going_on(self.task)
        module = None
        if self.nonlinear:
            module = released(self.module)
            space.widen(module, inside.scale, signs[:k])
        present = baseline.first(k)
        now = self.settled(task, module, present, self.device, rows, before=self)
        now.baseline = baseline
        return now

    # state ------------------------------------------------------------------------------------

    def state(self):
        """Return arrays and builtins that `from_state` makes the model of."""
        return {
            **self.schema.state(),
            **self.attributes,
            "n_components_": self.task.size,
            "hidden_layer_sizes_": self.task.hidden,
            "mean_": self.baseline.mean,
            "scale_": self.baseline.scale,
            "_built": self.task.asked(),
            "_prefixes": self.task.prefixes,
            "_start": asdict(self.baseline),
            "_nonlinear": self.nonlinear,
            "_confined": self.extrapolates,
            "_code_scale": self.code_scale,
            "module_": self.weights(),
        }

    @classmethod
    def from_state(cls, task, state):
        """Return the model of a state, on the CPU; its entries are removed. Raises as `check_state`."""
        state["_start"] = with_factors(task.schema, state["_start"])
        task = check_state(task, state)
        weights = state.pop("module_")
        nonlinear, extrapolates = state.pop("_nonlinear"), state.pop("_confined")
        baseline = task.linear_kind()(**state.pop("_start"))
        module = filled_network(task, nonlinear, extrapolates, baseline, weights)
        model = cls(task, module, baseline, nonlinear, state.pop("_code_scale"), extrapolates)
        names = [name for name in cls.ATTRIBUTES if name in state]
        model.attributes = {name: state.pop(name) for name in names}
        for name in ("_built", "_prefixes", "n_components_", "hidden_layer_sizes_"):
            del state[name]
        return model

    def __getstate__(self):
        """Return what a model is pickled as: its module as arrays."""
        known = {name: value for name, value in vars(self).items() if name[0] != "_"}
        return known | {"module": self.weights(), "device": "cpu"}

    def __setstate__(self, state):
        """Build the module anew."""
        names = "task", "nonlinear", "extrapolates", "baseline", "module"
        module = filled_network(*(state[name] for name in names))
        vars(self).update(state | {"module": module})


def new_network(task, baseline, generator):
    """Return a new module to be trained, at a linear model."""
    module = task.network(generator)
    task.start_at(module, baseline)
    task.freeze(module)
    return module


def linear_network(task, baseline):
    """Return the module of a linear model alone."""
    module = task.network(None, linear=True).double()
    task.start_at(module, baseline)
    return module.requires_grad_(False)


def empty_network(task, nonlinear, extrapolates, baseline):
    """Return a module like that of a fitted model, its values not yet set."""
    with global_generator(0) if task.draws_from_global else nullcontext():
        module = task.network(torch.Generator(), linear=not nonlinear)
    module = (confined(module) if extrapolates else module).double()
    task.fill_by(module, baseline)
    return module


def filled_network(task, nonlinear, extrapolates, baseline, weights):
    """Return the module of some weights; before it has them, skae's own takes no memory.

    A module that is partly a user's has memory, and gets copies.
    """
    own = has_own_code(task.activation, (task.encoder, task.decoder))
    with nullcontext() if own else torch.device("meta"):
        module = empty_network(task, nonlinear, extrapolates, baseline)
    if own:
        weights = {name: torch.tensor(array) for name, array in weights.items()}
    else:
        for name, array in weights.items():
            if array.dtype != np.float64:
                raise ValueError(f"{name} cannot be of {array.dtype}")
        weights = {
            name: torch.from_numpy(np.require(array, requirements=["C", "A", "W"]))
            for name, array in weights.items()
        }
    module.load_state_dict(weights, assign=not own)  # which refuses other names and shapes
    return module.eval().requires_grad_(False)


def _components(module, baseline, k):
    """Return the linear part of the decoder in units of X, one row a component."""
    loadings = module.decoder.linear.weight.T.cpu().numpy()[:k]
    return loadings * baseline.scale / baseline.deviations[:, None]


def _extrapolating(task, module, baseline, inputs, codes, device):
    """Let linear maps extrapolate from a module far from all rows, whose ranges are known."""
    beyond = linear_network(task, baseline)
    module = confined(module).to(device).double().eval()
    # what is far out fills missing cells, too: no trained map is to multiply it
    margin = 0.0 if task.schema.hidden and task.encoder_extrapolates else MARGIN
    inputs.give_to(module.encoder, beyond.encoder.linear.weight, margin)
    codes.widen(task.least_range).give_to(module.decoder, beyond.decoder.linear.weight, margin)
    if not task.encoder_extrapolates:
        module.encoder.beyond.zero_()
    return module
