"""The base of all estimators: fit, transform and inverse_transform around a few hooks.

torch is imported where it is first needed: importing skae costs little more
than importing scikit-learn.
"""

from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import asdict
from importlib.metadata import version
from itertools import pairwise
from os import fspath

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skae._estimators.decoding import Decoding
from skae._estimators.prefixes import OrderedComponents
from skae._estimators.tables import Tables
from skae._linear.mixed import TableStart, table_start
from skae._linear.pca import LinearStart, linear_start
from skae._linear.row_space import InOwnSpan
from skae._parameters import (
    CallbackSupportMixin,
    check_sample_weight,
    fit_context,
    private_random_state,
    with_callbacks,
)
from skae._training.held_out import FEWEST_ROWS
from skae._training.progress import Progress

AUTO_HIDDEN, AUTO_HIDDEN_SMALL, SMALL = (128, 128), (64,), 500  # up to SMALL rows
LEAST_UNEXPLAINED = 1e-10  # share of variance below which nothing is left to learn
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 4000, 20, 400  # of a training, where max_iter is "auto"
MOST_STEPS, LEAST_EPOCHS = 20_000, 3  # of one on so many rows that 20 epochs are more
DECAY_FROM = 0.5  # without held-out rows the learning rate falls from here on
PARTIAL_RATE = 0.3  # share of the learning rate that partial_fit takes


class BaseEncoder(
    CallbackSupportMixin,
    InOwnSpan,
    OrderedComponents,
    Tables,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Fit and transform for all encoders.

    A subclass brings its parameters, its docstring and the hooks below.
    """

    # hooks: these are the plain autoencoder's ----------------------------------------------------

    def _hidden_layer_sizes(self, n_rows):
        """Return the hidden units of the encoder."""
        if isinstance(self.hidden_layer_sizes, str):
            return AUTO_HIDDEN_SMALL if n_rows <= SMALL else AUTO_HIDDEN
        sizes = tuple(np.ravel(self.hidden_layer_sizes).tolist())
        if any(size <= 0 or size != int(size) for size in sizes):
            raise ValueError(
                f"hidden_layer_sizes must be > 0 and integers, got {self.hidden_layer_sizes}."
            )
        return tuple(map(int, sizes))

    # the parameters that a fitted network was built from
    _architecture = (
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

    _start_name = "PCA"
    _told_of_units = ()  # further fitted attributes, with one entry for each unit of the code
    _input_noise = 0.25  # in units of the square root of the share that PCA leaves unexplained
    _start_kind, _table_start_kind = LinearStart, TableStart  # of a matrix, of a table
    _n_labels = 0  # columns that encoder and decoder are told beside row and code
    _least_range = -np.inf  # codes from minus to plus this are the trained decoder's in any case

    def _make_start(self, rows, n_components, rng):
        """Return the start of some rows: of `_start_kind`, or `_table_start_kind` for a table."""
        if rows.blocks is None:
            return linear_start(rows, n_components, rng)
        return table_start(rows, n_components, rng, self._hidden)

    def _new_module(self, generator, linear=False):
        """Return a module with new weights; with ``linear``, its linear maps alone."""
        from skae.nn.build import new_autoencoder

        return new_autoencoder(
            (self._n_inputs, self._width),
            self.n_components_,
            self.hidden_layer_sizes_,
            self._built["activation"],
            None if linear else generator,
            self._has_floor(),
            self._custom(),
            self._has_offset(),
            self._kind(),
            self._prefixes,
            self._n_labels,
        )

    def _kind(self):
        """Return the class of the module."""
        from skae.nn import Autoencoder

        return Autoencoder

    def _kind_of_net(self):
        """Return the class of the net that trains the module."""
        from skae._training.net import AutoencoderNet

        return AutoencoderNet

    def _start_at(self, module, start):
        """Put a `LinearStart` into a new module."""
        from skae.nn.build import start_at

        if self._has_floor():
            start_at(module, start)

    def _pretrain(self, module, start, rows, train):
        """Train parts of a new module on rows: ``train(phase, part, rows, objective)``."""

    def _make_objective(self, start):
        """Return the `Objective` of a training."""
        import torch

        from skae.losses import Objective, SquaredError

        if self._blocks is not None:
            return Objective(reconstruction=(self._cell_error(start), 1.0))
        column_weights = torch.as_tensor(start.column_weights, dtype=torch.float32)
        return Objective(reconstruction=(SquaredError(column_weights), 1.0))

    def _make_corruption(self, start):
        """Return what is done to the inputs of a training, or None."""
        from skae.corruption import Jitter

        level = self._input_noise * np.sqrt(start.unexplained)
        return self._with_holes(Jitter(level) if self._has_floor() else None)

    def _with_holes(self, noise):
        """Return a corruption that hides cells as well, where the table has holes."""
        from skae.corruption import Hiding

        if not self._hidden:
            return noise
        return Hiding(self._hidden, self._blocks.owner, noise)

    def _make_held_out_corruption(self, start):
        """Return what is done to the inputs of held-out rows, or None."""
        return self._with_holes(None)

    def _reconstruct_cut(self, module, start, inputs, mask):
        """Return standardised rows, made from what a mask leaves of the code."""
        return module(inputs, mask).reconstruction

    def _calibrate(self, module, start, rows):
        """Put a trained module's code into the units that it is given in."""

    def _has_offset(self):
        """Return whether the encoder's linear map adds a constant."""
        return False

    def _check_domain(self, X):
        """Return rows of finite numbers, or refuse them."""
        return X

    def _diagnose(self, rows):
        """Set what a fit tells about its rows, beyond what all estimators tell."""

    def _held_out_score(self, loss):
        """Return the score, larger is better, that a mean objective of held-out rows stands for."""
        return 1 - loss

    def _has_floor(self):
        """Return whether training starts at a linear model to fall back on."""
        return self._built["linear_path"] == "pca"

    def _n_within_reach(self):
        """Return how many columns, the first ones, of held-out rows are cut off at the reach.

        Levels and labels are not: they are what they are, and no number too large.
        """
        if not self._has_floor():
            return 0
        return self._width if self._blocks is None else len(self._blocks.numbers)

    def _start_is_best(self, start):
        """Return whether training cannot improve on the start."""
        custom = self._built["encoder"] is not None or self._built["decoder"] is not None
        return start.unexplained < LEAST_UNEXPLAINED or not (self.hidden_layer_sizes_ or custom)

    def _tolerance(self, start_loss):
        """Return the held-out improvement that counts as one."""
        return self.tol * abs(start_loss)

    # fit --------------------------------------------------------------------------------------

    @with_callbacks
    @fit_context
    def fit(self, X, y=None, sample_weight=None, X_val=None):
        """Learn the model from rows.

        Parameters
        ----------
        X : array-like, CSR matrix or frame of shape (n_samples, n_features)
            Training rows. float32 and float64 are used as they are, without a
            copy; other types become float64. NaN is a missing cell. Frames of
            pandas or polars may hold categories, dates and durations too.
            Sparse rows are made dense batch by batch.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row: in the loss, in the PCA start and in the
            held-out judgement. Rows of weight zero are left out.
        X_val : array-like of shape (n_val, n_features), default=None
            Held-out rows that judge the training. By default they are drawn
            from ``X``; grouped or time-ordered rows want their own.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For infinite input, columns that are neither numbers nor
            categories nor dates, several types in one column, the wrong
            shape, and for a training without a floor that diverges.
        MemoryError
            If a batch does not fit in memory.
        """
        return self._fit(X, y, sample_weight, X_val)

    def _fit(self, X, y, sample_weight, X_val, y_val=None):
        warm = self.warm_start and hasattr(self, "module_")
        with self._whole_or_not(warm):
            interrupted = self._learn(warm, X, y, sample_weight, X_val, y_val)
        if interrupted:
            raise KeyboardInterrupt
        return self

    @contextmanager
    def _whole_or_not(self, goes_on):
        """Let what fails leave no half of two models: the one before, if it goes on, else none."""
        before = dict(self.__dict__) if goes_on else None
        if not goes_on:
            self.__dict__.pop("module_", None)
        try:
            yield
        except BaseException:
            if goes_on:
                self.__dict__ = before
            else:
                self.__dict__.pop("module_", None)
            raise

    def _learn(self, warm, X, y, sample_weight, X_val, y_val):
        """Start anew or go on; return whether Ctrl-C ended the training early."""
        rows = self._check_rows(X, sample_weight, not warm, y)
        held_out = None
        if X_val is not None:
            held_out = self._check_rows(X_val, None, False, y_val)
            if len(held_out) < FEWEST_ROWS:
                raise ValueError(
                    f"X_val has {len(held_out)} rows: at least {FEWEST_ROWS} are needed to judge."
                )
        about = Progress(self, X), self._open_checkpoint(rows, held_out, warm)
        span = None if warm else self._own_span(rows, held_out)
        if span is not None:
            return self._learn_inside(span, rows, held_out, *about)
        return self._learn_rows(warm, rows, held_out, *about)

    def _learn_rows(self, warm, rows, held_out, progress, checkpoint):
        rng = private_random_state(checkpoint.seed(self.random_state))
        if warm:
            self._check_unchanged()
            self.batch_size_ = self._batch_size(len(rows))
        else:
            self._resolve(self._make_start(rows, self.n_components, rng), len(rows))
        settings = self._settings(len(rows))
        with self._fitting(rng, progress, settings, checkpoint=checkpoint) as fitting:
            chooses = not warm and self._chooses_size()
            if chooses:
                self._prefixes = True
                longer_half = (self.n_components_ + 1) // 2
                fitting.compare_prefixes(1 if self.ordered else longer_half)
            fitted = self._train(fitting, rows, held_out, warm)
            self._take(fitted, rows)
            if chooses:
                self._choose_size(fitting, fitted.prefix_shares, rows)
            self._diagnose(rows)
        if not fitting.interrupted:
            checkpoint.finish()
        return fitting.interrupted

    def _open_checkpoint(self, rows, held_out, warm):
        """Return what keeps this fit's trainings."""
        from skae._training.checkpoint import Checkpoint, NoCheckpoint, key

        if self.checkpoint is None:
            return NoCheckpoint()
        if self.callbacks:
            raise ValueError(
                f"checkpoint={self.checkpoint!r} cannot keep what callbacks={self.callbacks!r} "
                "remember: leave one of them out."
            )
        going_on = _arrays(self.module_.state_dict()) if warm else None
        parts = [part and part.content for part in (rows, held_out)]
        names = getattr(self, "feature_names_in_", None)  # parameters may speak of them
        told = key(self, *parts, names, going_on, _device(self.device))
        return Checkpoint(self.checkpoint, told)

    @fit_context
    def partial_fit(self, X, y=None, sample_weight=None):
        """Learn from one batch of a stream: one epoch over its rows.

        The first call starts at the linear model of its rows and freezes the
        standardisation. There is no floor, for no rows are held out.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; in the first call at least as many as components.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row within this batch.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If the first batch has fewer rows than components, or if the loss
            does not stay finite.
        """
        first = not hasattr(self, "module_")
        if not first:
            self._check_unchanged()
        rows = self._check_rows(X, sample_weight, first, y)
        rng = private_random_state(self.random_state)
        if first:
            start = self._check_first_batch(rows, self._make_start(rows, self.n_components, rng))
            self._resolve(start, len(rows), more_to_come=True)
        settings = self._settings(
            len(rows),
            max_iter=1,
            learning_rate=PARTIAL_RATE * self.learning_rate_init,
            decay_from=1.0,
            averaging=False,
            warm_up=0,
            optimizer_state=self.__dict__.get("_optimizer_state"),
        )
        n_before = 0 if first else self.n_iter_
        with self._fitting(rng, Progress(self, X), settings, n_before) as fitting:
            module = self._trainable_module(fitting.generator)
            fitted = fitting.without_floor(module, self._present_start(), rows)
        earlier = [] if first else self.history_
        with self._whole_or_not(not first):
            self._take(fitted)
            self._diagnose(rows)
            self._record([*earlier, *fitted.history], [])
            self.best_iter_ = self.n_iter_
        return self

    def _check_rows(self, X, sample_weight, reset, y=None):
        X = self._check_domain(self._read(X, reset, sample_weight))
        if sample_weight is None:
            return self._rows(X)
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if not weight.any():
            raise ValueError("sample_weight is zero for every row: at least one must be positive.")
        return self._rows(X, np.flatnonzero(weight), weight)

    def _check_first_batch(self, rows, start):
        if len(rows) < len(start.deviations):
            raise ValueError(
                f"The first batch has {len(rows)} rows, fewer than n_components="
                f"{len(start.deviations)}: pass more rows, or ask for fewer components."
            )
        return start

    def _resolve(self, start, n_rows, more_to_come=False):
        """Start anew: settle what the parameters leave open."""
        stale = "module_", "_module_float32", "_optimizer_state", "_code_scale", "components_"
        for name in (*stale, "explained_variance_ratio_"):
            self.__dict__.pop(name, None)
        self._built = {name: getattr(self, name) for name in self._architecture}
        self._start = asdict(start)
        self._nonlinear = self._confined = False
        self._prefixes = self._orders()
        self.n_components_ = len(start.deviations)
        self.hidden_layer_sizes_ = self._hidden_layer_sizes(np.inf if more_to_come else n_rows)
        self.batch_size_ = self._batch_size(n_rows)
        self.device_ = _device(self.device)

    def _batch_size(self, n_rows):
        if self.batch_size == "auto":
            return int(2 ** np.clip(np.round(np.log2(n_rows / 20)), 5, 8))
        return self.batch_size

    def _weight_decay(self):
        if self.alpha == "auto":
            return float(np.clip(self.n_components_ / 40, 0.1, 0.8))
        return self.alpha

    def _check_unchanged(self):
        """Refuse to go on with another network than the fitted one."""
        for name, built in self._built.items():
            asked = getattr(self, name)
            if asked is not built and not np.array_equal(asked, built):
                raise ValueError(
                    f"Training goes on with the fitted network, but {name} was {built!r} then "
                    f"and is {asked!r} now: set it back, or start anew with fit (and "
                    "warm_start=False)."
                )

    def _settings(self, n_rows, **changes):
        """Return the `Settings` of a training."""
        from skae._training.net import Settings
        from skae._training.ordered import Cuts

        max_iter = self.max_iter
        if max_iter == "auto":
            steps = max(1, n_rows // self.batch_size_)
            max_iter = int(np.clip(STEPS // steps, FEWEST_EPOCHS, MOST_EPOCHS))
            max_iter = min(max_iter, max(MOST_STEPS // steps, LEAST_EPOCHS))
        settings = {
            "batch_size": self.batch_size_,
            "learning_rate": float(self.learning_rate_init),
            "alpha": self._weight_decay(),
            "optimizer": self.optimizer,
            "max_iter": max_iter,
            "callbacks": tuple(self.callbacks or ()),
            "skorch_params": self.skorch_params or {},
            "decay_from": 1.0 if self.early_stopping else DECAY_FROM,
            "cuts": Cuts(self.n_components_) if self._orders() else None,
        }
        return Settings(**{**settings, **changes})

    @contextmanager
    def _fitting(self, rng, progress, settings, n_before=0, checkpoint=None):
        """Yield the `Fitting` of a call, under its limits; turn its failures into errors."""
        import torch

        from skae._training.checkpoint import NoCheckpoint
        from skae._training.fit import Fitting
        from skae._training.net import Diverged, explained_memory
        from skae._training.threads import limited_threads
        from skae.nn.build import global_generator, global_generators

        seed = int(rng.randint(2**30)) + n_before  # a stream does not draw the same again
        generator = torch.Generator().manual_seed(seed)
        generators, aside = [generator], nullcontext()
        if self._draws_from_global():
            generators += global_generators(self.device_)
            aside = global_generator(seed, self.device_)
        checkpoint = checkpoint or NoCheckpoint()
        checkpoint.watch(generators)
        threads = limited_threads(self._step_flops())
        try:
            with threads, aside, torch.enable_grad(), explained_memory(self.batch_size_):
                yield Fitting(
                    self,
                    settings,
                    rng,
                    generator,
                    progress,
                    self.n_iter_no_change,
                    checkpoint=checkpoint,
                )
        except Diverged as failure:
            raise ValueError(
                f"Training diverged: {failure}. Choose a smaller learning_rate_init, or scale the "
                "columns of X, for example with StandardScaler."
            ) from failure
        finally:
            progress.end()

    def _draws_from_global(self):
        from skae.nn.build import draws_from_global

        return draws_from_global(self._built["activation"], self._custom())

    def _custom(self):
        return self._built.get("encoder"), self._built.get("decoder")

    def _train(self, fitting, rows, held_out, warm):
        """Return the `Fitted` of a call of fit."""
        from skae._training.held_out import split

        start = self._present_start()
        few = held_out is None and len(rows) < FEWEST_ROWS
        if not warm and self._has_floor() and (self._start_is_best(start) or few):
            return fitting.linear(start, rows)
        module = self._trainable_module(fitting.generator)
        if few or not self.early_stopping:
            module = module if warm else fitting.started(module, start, rows)
            return fitting.without_floor(module, start, rows)
        pairs = [(rows, held_out)]
        if held_out is None:
            pairs = split(rows, self.validation_fraction, fitting.rng, cross_fit=not warm)
        if warm:
            return fitting.go_on(module, start, pairs[0])
        final = held_out is None and not self._chooses_size()  # else fine-tuning follows
        return fitting.above_floor(module, start, rows, pairs, final)

    def _trainable_module(self, generator):
        """Return what training goes on with: the fitted module, or a new one at the start."""
        from skae.nn.build import released

        if self._nonlinear:
            return released(deepcopy(self.module_)).float().requires_grad_(True)
        module = self._blank_module(generator)
        self._start_at(module, self._present_start())
        return module

    def _blank_module(self, generator, linear=False):
        """Return a new module that knows what to do with missing cells."""
        module = self._new_module(generator, linear)
        if self._blocks is not None:
            from skae.nn.cells import Holes

            module.holes = Holes(self._blocks)
        return module

    def _present_start(self):
        """Return the start of the present code, which may have been cut since."""
        return self._fitted_start().first(self.n_components_)

    def _fitted_start(self):
        return self._kind_of_start()(**self._start)

    def _kind_of_start(self):
        return self._start_kind if self._blocks is None else self._table_start_kind

    def _take(self, fitted, rows=None):
        """Make a `Fitted` the estimator's state; ``rows`` are all training rows, where known."""
        start = fitted.start
        self._start = asdict(start)
        self.mean_, self.scale_ = start.mean, start.scale
        self._optimizer_state = fitted.optimizer_state
        self._nonlinear = fitted.module is not None
        module = self._linear_module(start) if fitted.module is None else fitted.module
        self._settle(module, start, rows)
        self.__dict__.pop("explained_variance_ratio_", None)
        if self._orders() and rows is not None:
            self.explained_variance_ratio_ = np.diff(fitted.prefix_shares, prepend=0.0)
        self.best_iter_ = fitted.best_iter
        self._record(fitted.history, fitted.held_out_curve)

    def _settle(self, module, start, rows):
        """Make a trained module the fitted one."""
        module.zero_grad()  # or it would keep its gradients for good
        module = module.to(self.device_).double().eval().requires_grad_(False)
        self._show_linear(module, start)
        spread = np.ones(self.n_components_)
        self._confined = rows is not None and self._has_floor() and self._nonlinear
        if self._confined or (rows is not None and self.whiten):
            module, spread = self._surveyed(module, rows, start)
        self.module_ = module
        self.__dict__.pop("_module_float32", None)
        if rows is not None or "_code_scale" not in self.__dict__:
            units = start.deviations if self._has_floor() else np.ones_like(spread)
            self._code_scale = 1 / spread if self.whiten else units

    def _show_linear(self, module, start):
        """Set what a fit shows of its linear maps."""

    def _linear_module(self, start):
        module = self._blank_module(None, linear=True).double()
        self._start_at(module, start)
        return module.requires_grad_(False)

    def _surveyed(self, module, rows, start):
        """Let PCA take over from a trained module far from all rows; return it and the code's spread."""
        from skae._model.inference import survey
        from skae.nn.build import confined

        inputs, codes, spread = survey(module, rows, start, self.device_)
        if self._confined:
            beyond = self._linear_module(start)
            module = confined(module).to(self.device_).double().eval()
            inputs.give_to(module.encoder, beyond.encoder.linear.weight)
            codes.widen(self._least_range).give_to(module.decoder, beyond.decoder.linear.weight)
        return module, spread

    def _record(self, history, held_out_curve):
        self.history_ = history
        self.n_iter_ = max(1, len(history))
        self.loss_curve_ = [row["train_loss"] for row in history]
        self.validation_scores_ = self.pca_score_ = None
        if held_out_curve:
            scores = [float(self._held_out_score(loss)) for loss in held_out_curve]
            self.validation_scores_ = scores[1:]
            if self._has_floor():
                self.pca_score_ = scores[0]

    def _step_flops(self):
        """Return about how many floating-point operations a training step takes."""
        widths = [self._n_inputs, *self.hidden_layer_sizes_, self.n_components_]
        products = sum(a * b for a, b in pairwise(widths)) + widths[0] * widths[-1]
        return 12 * self.batch_size_ * products

    # use --------------------------------------------------------------------------------------

    def transform(self, X):
        """Return the code of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            In the dtype of X (float64 for integers): in the units of the
            linear start (PCA's), or of unit variance over the training rows
            where ``whiten=True``.
        """
        return self._encode(self._check_known(X))

    def __sklearn_is_fitted__(self):
        """Return whether there is a model, also after a fit that failed."""
        return "module_" in self.__dict__

    @property
    def _n_features_out(self):
        return self.n_components_

    def __sklearn_tags__(self):
        """Return the tags: float32 stays float32."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check_known(self, X):
        check_is_fitted(self)
        return self._read(X, reset=False)

    def _encode(self, X):
        code_scale = self._units(X.dtype)[2]
        return self._apply_to_rows(
            X,
            self._module_for(X.dtype).encode,
            self.n_components_,
            lambda code: np.multiply(code, code_scale, out=code),
        )

    def _apply_to_rows(self, X, function, n_outputs, after):
        """Return a function of the module at standardised rows."""
        from skae._model.inference import apply

        exact, scale = self._row_units()
        mean, scale = exact.astype(X.dtype), scale.astype(X.dtype)
        rest = (exact - mean).astype(X.dtype)  # what float32 cannot hold of the mean

        def standardise(rows, out):
            np.subtract(self._wide(rows), mean, out=out)
            if X.dtype == np.float32:
                out -= rest
            out /= scale

        return apply(function, X, n_outputs, self.device_, standardise, after, len(mean))

    def _decode(self, Z):
        decoder = self._module_for(Z.dtype).decoder
        return self._apply_to_codes(Z, decoder, self.n_features_in_, self._to_units_of_x)

    def _apply_to_codes(self, Z, function, n_outputs, after=lambda out: out):
        """Return a function at codes."""
        from skae._model.inference import apply

        code_scale = self._units(Z.dtype)[2]

        def to_module(code, out):
            np.divide(code, code_scale, out=out)

        return apply(function, Z, n_outputs, self.device_, to_module, after)

    def _to_units_of_x(self, rows):
        """Turn the decoder's outputs into rows, in place."""
        mean, scale, _ = self._units(rows.dtype)
        rows *= scale
        rows += mean

    def _row_units(self):
        """Return what the rows that the encoder reads are less, and what over that."""
        return self.mean_, self.scale_

    def _units(self, dtype):
        return [a.astype(dtype) for a in (self.mean_, self.scale_, self._code_scale)]

    def _module_for(self, dtype):
        """Return the fitted module in the dtype of the data; the float32 copy is made once."""
        if dtype == np.float64:
            return self.module_
        if "_module_float32" not in self.__dict__:
            self._module_float32 = deepcopy(self.module_).float()
        return self._module_float32

    # state ------------------------------------------------------------------------------------

    def __getstate__(self):
        """Return arrays, builtins and skae's version: no torch object."""
        state = super().__getstate__().copy()
        state.pop("_module_float32", None)
        if state.get("checkpoint") is not None:
            state["checkpoint"] = fspath(state["checkpoint"])
        if "module_" in state:
            state["module_"] = _arrays(state["module_"].state_dict())
            state["_skae_version"] = version("skae")
        self._plain_tables(state)
        if state.get("_optimizer_state"):
            state["_optimizer_state"] = _arrays(state["_optimizer_state"])
        return state

    def __setstate__(self, state):
        """Check the state, then build the module anew and fill it.

        Before it is filled, a module of skae's own has shapes but no memory.
        """
        state = dict(state)
        self._table_objects(state)
        weights = state.pop("module_", None)
        super().__setstate__(state)
        if weights is not None:
            import torch

            from skae._model.state import check_state, fill
            from skae.nn.build import has_own_code

            check_state(self, weights)
            own = has_own_code(self._built["activation"], self._custom())
            with nullcontext() if own else torch.device("meta"):
                module = self._empty_module()
            fill(module, weights, own)
            self.module_ = module.eval().requires_grad_(False)
            self.device_ = "cpu"

    def _empty_module(self):
        """Return a module like the fitted one, its values not yet set."""
        import torch

        from skae.nn.build import confined, global_generator

        with global_generator(0) if self._draws_from_global() else nullcontext():
            module = self._blank_module(torch.Generator(), linear=not self._nonlinear)
        if self._confined:
            module = confined(module)
        return module.double()


class BaseAutoencoder(Decoding, BaseEncoder):
    """Fit, transform and inverse_transform for all autoencoders."""

    def _show_linear(self, module, start):
        if self._has_floor():
            loadings = module.decoder.linear.weight.T.cpu().numpy()[: self.n_components_]
            self.components_ = loadings * start.scale / start.deviations[:, None]


def _device(device):
    """Return the name of the device that is meant."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device={device!r} cannot be used here: {error}. Take device='auto' or 'cpu'."
        ) from error
    return device


def _arrays(tensors):
    return {k: v.cpu().numpy() if hasattr(v, "cpu") else v for k, v in tensors.items()}
