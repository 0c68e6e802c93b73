"""What a training asks of an estimator: its parameters as values, and pure functions of them."""

import pickle
from dataclasses import dataclass, replace
from itertools import pairwise
from numbers import Integral
from typing import ClassVar

import numpy as np
import torch

from skae._data.schema import Schema
from skae._linear.mixed import MixedModel, mixed_pca
from skae._linear.pca import LinearModel, pca
from skae._model.cells import cells_of
from skae._model.model import Model
from skae._model.moments import moments_of
from skae._model.scores import level_entropies
from skae._parameters import counted
from skae._training.net import AutoencoderNet
from skae._training.ordered import ErrorOfCells, ErrorOfNumbers
from skae.corruption import Hiding, Jitter
from skae.losses import Objective, SquaredError
from skae.nn.autoencoders import Autoencoder
from skae.nn.build import draws_from_global, keep_constants, new_autoencoder, start_at
from skae.nn.cells import CellError, Missing

OWN_CODE = "encoder", "decoder", "activation", "noise"  # what may be a user's
AUTO_HIDDEN, AUTO_HIDDEN_SMALL, SMALL = (128, 128), (64,), 500  # up to SMALL rows
LEAST_UNEXPLAINED = 1e-10  # share of variance below which nothing is left to learn
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 4000, 20, 400  # of a training, where max_iter is "auto"
MOST_STEPS, LEAST_EPOCHS = 20_000, 3  # of one on so many rows that 20 epochs are more
SMALLEST_BATCH, LARGEST_BATCH = 32, 512  # where batch_size is "auto"
BATCHES, BATCHES_OF_SMALL = 10, 20  # an epoch, about


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """What is learned of rows: the plain autoencoder's task, and the base of all others.

    A task holds no estimator and writes nothing. `fit_model` calls its methods.

    Attributes
    ----------
    schema : Schema
    n_components, hidden_layer_sizes, activation, linear_path, whiten, encoder, decoder, \
    ordered, categorical_features, min_frequency, column_weights
        Parameters of the estimator, as they were given.
    size : int or None
        Units of the code, once they are known.
    hidden : tuple of int or None
        Hidden units, once they are known.
    prefixes : bool
        Whether the decoder gets codes that were cut.
    """

    schema: Schema
    n_components: object
    hidden_layer_sizes: object = "auto"
    activation: object = "quick_gelu"
    linear_path: str | None = "pca"
    whiten: bool = False
    encoder: object = None
    decoder: object = None
    ordered: bool = False
    categorical_features: object = None
    min_frequency: object = None
    column_weights: object = None
    size: int | None = None
    hidden: tuple | None = None
    prefixes: bool = False

    # the parameters that a fitted network was built from
    ARCHITECTURE: ClassVar = (
        "n_components",
        "hidden_layer_sizes",
        "activation",
        "linear_path",
        "whiten",
        "encoder",
        "decoder",
        "ordered",
        "categorical_features",
        "min_frequency",
        "column_weights",
    )
    EARLIER: ClassVar = {}  # of them, those that files of earlier releases do not tell
    model: ClassVar = Model  # of the fitted task
    module: ClassVar = Autoencoder
    net: ClassVar = AutoencoderNet  # that trains the module
    linear_model: ClassVar = LinearModel  # of a matrix
    linear_model_of_table: ClassVar = MixedModel
    baseline_name: ClassVar = "PCA"
    decodes: ClassVar = True  # whether there is a way back to rows
    keeps_up: ClassVar = True  # whether rows that lack cells come back as close as by PCA
    keeps_training_rows: ClassVar = True  # whether their mean objective must not rise by training
    couples_rows: ClassVar = False  # whether the loss of a row depends on others of its batch
    encoder_extrapolates: ClassVar = True  # along the linear map, outside the training range
    least_range: ClassVar = -np.inf  # codes from minus to plus this are the decoder's in any case
    input_noise: ClassVar = 0.25  # in units of the root of the share that PCA leaves unexplained
    unit_axes: ClassVar = True  # whether the components of its PCA have a length of 1
    offset: ClassVar = False  # whether the encoder's linear map adds a constant
    share: ClassVar = 1.0  # what reconstruction counts in the objective
    fineness: ClassVar = 1.0  # of the gains that are worth training for, in ``tol``
    cool_down: ClassVar = 0.5  # steps at a falling rate, in those before
    warm_up: ClassVar = 0  # epochs in which a term of the objective rises

    def __getstate__(self):
        """Return what a task is pickled as; refuse what of it is code that does not pickle."""
        for name in OWN_CODE:
            value = getattr(self, name, None)
            try:
                pickle.dumps(value)
            except Exception as error:
                raise pickle.PicklingError(
                    f"{name}={value!r} cannot be pickled, and so not go to another process: define "
                    "it at the top of a module."
                ) from error
        return vars(self)

    def __deepcopy__(self, memo):
        """Return the task itself: it never changes."""
        return self

    # sizes ------------------------------------------------------------------------------------

    def check(self):
        """Refuse parameters that do not go together, or not with the columns."""

    def check_rows(self, X):
        """Refuse rows that the task has no place for."""

    def check_first_batch(self, rows, baseline):
        """Refuse the first batch of a stream, where it has fewer rows than components."""
        k = len(baseline.deviations)
        if len(rows) < k:
            raise ValueError(
                f"The first batch has {counted(len(rows), 'row')}, fewer than n_components={k}: pass more "
                "rows, or ask for fewer components."
            )

    def sized(self, n_components, n_rows):
        """Return the task with its sizes, given those of its baseline and of the training."""
        hidden = self.hidden_units(n_rows)
        return replace(self, size=n_components, hidden=hidden, prefixes=self.ordered)

    def going_on(self, fitted):
        """Return the task with the sizes of a fitted one."""
        sizes = ("size", "hidden", "prefixes")
        return replace(self, **{name: getattr(fitted, name) for name in sizes})

    def restored(self, state):
        """Return the task with the parameters that a network of a saved state was built from."""
        return replace(self, **self.EARLIER | state["_built"])

    def asked(self):
        """Return the parameters that the network was built from."""
        return {name: getattr(self, name) for name in self.ARCHITECTURE}

    def hidden_units(self, n_rows):
        if isinstance(self.hidden_layer_sizes, str):
            return AUTO_HIDDEN_SMALL if n_rows <= SMALL else AUTO_HIDDEN
        sizes = tuple(np.ravel(self.hidden_layer_sizes).tolist())
        if any(size <= 0 or size != int(size) for size in sizes):
            raise ValueError(
                f"hidden_layer_sizes must be > 0 and integers, got {self.hidden_layer_sizes}."
            )
        return tuple(map(int, sizes))

    def batch_size(self, n_rows):
        """Return the rows a step, where ``batch_size`` is "auto"."""
        size = 2 ** np.round(np.log2(n_rows / (BATCHES if n_rows > SMALL else BATCHES_OF_SMALL)))
        return int(np.clip(size, SMALLEST_BATCH, LARGEST_BATCH))

    def judged_batch_size(self, n_rows):
        """Return the rows a step while held-out rows judge, where ``batch_size`` is "auto"."""
        return self.batch_size(n_rows)

    def max_iter(self, steps):
        """Return the most epochs of so many steps, where ``max_iter`` is "auto"."""
        epochs = int(np.clip(STEPS // steps, FEWEST_EPOCHS, MOST_EPOCHS))
        return min(epochs, max(MOST_STEPS // steps, LEAST_EPOCHS))

    @property
    def shapes(self):
        """Fitted attributes of the shape of rows, by name."""
        return {}

    @property
    def n_inputs(self):
        return self.schema.n_inputs

    @property
    def n_outputs(self):
        return self.schema.width

    @property
    def n_labels(self):
        """Number of columns that encoder and decoder get beside row and code."""
        return 0

    @property
    def n_targets(self):
        """Number of columns that are predicted from the code."""
        return 0

    def targets_of(self, rows):
        """Return what training reads beside the rows, to predict it: (n_rows, n_targets), or None."""

    def targets_to_keep(self, rows):
        """Return the `Targets` that a space of fewer axes must still tell, or None."""

    @property
    def has_own_modules(self):
        """Whether encoder or decoder are the user's."""
        return self.encoder is not None or self.decoder is not None

    @property
    def is_linear(self):
        """Whether the parameters make the fitted model its baseline, whatever the rows."""
        is_deep = np.size(self.hidden_layer_sizes) or self.has_own_modules
        return self.has_baseline and not is_deep

    @property
    def is_pca(self):
        """Whether they make it PCA of complete rows of numbers."""
        return False

    @property
    def is_normal(self):
        """Whether they make it a normal distribution of rows: PCA, or probabilistic PCA."""
        return False

    @property
    def has_baseline(self):
        """Whether training starts at a linear model to fall back on."""
        return self.linear_path == "pca"

    @property
    def n_within_range(self):
        """Number of columns, the first ones, in which held-out rows are cut off far outside.

        Levels and labels are not: they are what they are, and no number too large.
        """
        return self.schema.n_numbers if self.has_baseline else 0

    @property
    def can_turn(self):
        """Whether training may go along other axes than the columns."""
        return False

    @property
    def can_lead(self):
        """Whether training may leave out directions that hold next to nothing."""
        return False

    def inside(self, space, n_rows):
        """Return the task in coordinates of a `RowSpace`."""
        schema = Schema(self.schema.owner, space.axes.shape[1])
        whole = min(n_rows, self.schema.width)
        asked = whole if self.n_components is None else self.n_components
        return replace(self, schema=schema, n_components=asked)

    def chooses_size(self, early_stopping):
        """Return whether held-out rows choose the number of components."""
        asked = self.n_components
        is_share = not (asked is None or isinstance(asked, str | Integral))
        can_compare = "ordered" in self.ARCHITECTURE and early_stopping and self.has_baseline
        return is_share and can_compare and not (self.has_own_modules or self.is_linear)

    def step_flops(self, batch_size):
        """Return about how many floating-point operations a training step takes."""
        widths = [self.n_inputs, *self.hidden, self.size]
        products = sum(a * b for a, b in pairwise(widths)) + widths[0] * widths[-1]
        return 12 * batch_size * products

    @property
    def draws_from_global(self):
        """Whether modules or noise may draw from torch's global generators."""
        return draws_from_global(self.activation, (self.encoder, self.decoder))

    # where training starts --------------------------------------------------------------------

    def baseline(self, rows, n_components, rng):
        """Return the best linear model of the task's own objective."""
        if rows.blocks is None:
            return pca(rows, n_components, rng)
        return mixed_pca(rows, n_components, rng, self.schema.hidden)

    def of_pca(self, model):
        """Return the baseline that PCA of the rows is, where the task `is_pca`."""
        return model

    def linear_kind(self):
        return self.linear_model if self.schema.blocks is None else self.linear_model_of_table

    def baseline_is_best(self, baseline):
        """Return whether training cannot improve on the baseline.

        Where cells are missing there is always something to learn of them.
        """
        linear = not (self.hidden or self.has_own_modules)
        done = baseline.unexplained < LEAST_UNEXPLAINED
        complete = self.schema.blocks is None or not self.schema.blocks.flagged
        return linear or (done and (complete or not baseline.column_weights.any()))

    # the network ------------------------------------------------------------------------------

    def network(self, generator, linear=False):
        """Return a module with new weights; with ``linear``, its linear maps alone."""
        module = self.build(generator, linear)
        if self.schema.blocks is not None:
            module.missing = Missing(self.schema.blocks, self.n_labels)
        return module

    def build(self, generator, linear=False):
        """Return the same, without the part for missing cells."""
        return new_autoencoder(
            (self.n_inputs, self.n_outputs),
            self.size,
            self.hidden,
            self.activation,
            None if linear else generator,
            self.has_baseline,
            (self.encoder, self.decoder),
            self.offset,
            self.module,
            self.prefixes,
            self.n_labels,
        )

    def start_at(self, module, baseline):
        """Put a linear model into a new module."""
        self.fill_by(module, baseline)
        if self.has_baseline:
            start_at(module, baseline)

    def fill_by(self, module, baseline):
        """Let a module fill missing cells as a linear model does."""
        if module.missing is not None:
            module.missing.learn(baseline.loadings, baseline.precision)

    def freeze(self, module):
        """Take from training what of a module must not change."""

    def pretrain(self, module, baseline, rows, train, device):
        """Train parts of a new module on rows: ``train(phase, part, rows, objective)``."""

    def keep_constants(self, module, baseline):
        """Let numbers that do not vary come back as they are: random weights, and opponents, would not."""
        if self.decodes:
            constant = baseline.column_weights[: self.schema.n_numbers] == 0
            keep_constants(module, torch.from_numpy(constant))

    def settle(self, module, baseline, rows, device):
        """Bring what is told by formula up to date with all rows; return whether there is such a thing."""
        return False

    def calibrate(self, module, baseline, rows, device):
        """Put a trained module's code into the units that it is given in."""

    # what is minimised ------------------------------------------------------------------------

    def objective(self, baseline):
        """Return the `Objective` of a training."""
        return Objective(reconstruction=(self.reconstruction(baseline), 1.0))

    def reconstruction(self, baseline):
        """Return the error of a row as a share of the baseline of its columns."""
        if self.schema.blocks is not None:
            return self.cell_error(baseline)
        return SquaredError(torch.as_tensor(baseline.column_weights, dtype=torch.float32))

    def cell_error(self, baseline):
        shares = np.concatenate([*self.schema.level_shares(baseline), np.empty(0)])
        weights, shares = (
            torch.as_tensor(part, dtype=torch.float32)
            for part in (self._cell_weights(baseline), shares)
        )
        return CellError(cells_of(self.schema, baseline), weights, shares)

    def _cell_weights(self, baseline):
        """Return what each cell counts, over the baseline of its column: (n_cells,)."""
        schema, blocks = self.schema, self.schema.blocks
        if schema.encoder is None:
            return baseline.column_weights
        varies = baseline.column_weights[: len(blocks.numbers)] > 0
        entropies = level_entropies(schema, baseline)
        inverse = np.divide(1, entropies, where=entropies > 0, out=np.zeros(len(entropies)))
        numbers = schema.column_weights[blocks.numbers] * varies
        categories = schema.column_weights[blocks.categories]
        counted = np.sum(numbers) + np.sum(categories * (entropies > 0))
        return np.concatenate([numbers, categories * inverse]) / (counted or 1.0)

    def corruption(self, baseline):
        """Return what is done to the inputs of a training, or None."""
        level = self.input_noise * np.sqrt(baseline.unexplained)
        return self.hiding(Jitter(level) if self.has_baseline else None)

    def held_out_corruption(self, baseline):
        """Return what is done to the inputs of held-out rows, or None."""
        return self.hiding(None)

    def corruption_afterwards(self, baseline):
        """Return what is done to the inputs of training rows that are judged once more, or None."""
        return self.held_out_corruption(baseline)

    def hiding(self, noise):
        """Return a noise that hides cells as well, where the table lacks some."""
        if not self.schema.hidden:
            return noise
        return Hiding(self.schema.hidden, self.schema.blocks.owner, noise)

    # judging ----------------------------------------------------------------------------------

    def score(self, loss):
        """Return the score, larger is better, that a mean objective of held-out rows stands for."""
        return 1 - loss

    def error(self, loss):
        """Return the error, which is positive, that a mean objective of held-out rows stands for."""
        return loss

    def prefix_error(self, baseline, device):
        if self.schema.blocks is None:
            return ErrorOfNumbers(baseline.column_weights)
        return ErrorOfCells(self.cell_error(baseline).to(device))

    def reconstruct_prefix(self, module, baseline, inputs, *mask):
        """Return standardised rows, made from what a mask leaves of the code."""
        return module(inputs, *mask).reconstruction

    def describe(self, model, rows):
        """Return the fitted attributes of a model and its training rows, by name."""
        return moments_of(model, rows)
