"""The base of all estimators: fit reads the table, makes a task, and sets what training returns."""

from copy import deepcopy
from dataclasses import fields, replace
from importlib.metadata import version
from numbers import Integral
from os import fspath

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted

from skae import _model as fitted_models
from skae import _training
from skae._data.frames import has_names, one_row
from skae._data.schema import DTYPES, Columns, Schema
from skae._data.streams import Stream
from skae._data.tensors import as_arrays, like
from skae._estimators.streaming import (
    by_block,
    fitted_by_block,
    opened_by,
    refuse_stream,
    score_of_stream,
    task_and_rows,
)
from skae._parameters import (
    CallbackSupportMixin,
    check_sample_weight,
    count,
    counted,
    fit_context,
    frames_asked_for,
    private_random_state,
    unmasked,
    with_callbacks,
)

FINE_TUNING = "fine-tuning"  # the phase after a pretraining
LEAST_SINE = 1e-6  # of the angle between two codes that gives an arc
NOT_ALWAYS = "feature_names_in_", "table_encoder_", "singular_values_"
OF_LINEAR = (
    "it is of a linear AutoencoderTransformer, AdversarialAutoencoder, RecurrentAutoencoder, "
    "VAETransformer or ConditionalVAE: set hidden_layer_sizes=() and linear_path='pca'"
)
ABSENT = {
    "explained_variance_ratio_": (
        "fit gives it with ordered=True, where the estimator has that parameter, and to linear "
        "models (hidden_layer_sizes=() and linear_path='pca') other than ConditionalVAE; partial_fit "
        "to linear AutoencoderTransformers and AdversarialAutoencoders alone"
    ),
    "noise_variance_": (
        "fit gives it to what decodes columns of numbers, and truncate with fine_tune_on"
    ),
    "get_covariance": OF_LINEAR,
    "get_precision": OF_LINEAR,
}


class BaseEncoder(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Fit and transform for all encoders.

    A subclass brings its parameters, its docstring and its task.
    """

    __metadata_request__fit = {"X_val": True}  # Pipeline(transform_input=["X_val"]) needs no more
    _complete = None  # what is said of missing cells, where they are refused

    def _task(self, schema):
        """Return the task of columns: its fields that are parameters have their values."""
        raise NotImplementedError

    # fit --------------------------------------------------------------------------------------

    @with_callbacks
    @fit_context
    def fit(self, X, y=None, sample_weight=None, X_val=None):
        """Learn the model from rows.

        Parameters
        ----------
        X : array-like, CSR matrix or frame of shape (n_samples, n_features)
            Training rows. float32 and float64 are used without a
            copy; other types become float64. NaN and masked cells are missing. Frames of
            pandas or polars may hold categories, dates and durations too.
            Sparse rows are made dense batch by batch. With
            ``config_context(array_api_dispatch=True)`` torch tensors are accepted: `transform`,
            `inverse_transform` and `reconstruct` then return tensors on their
            device; fitted attributes are NumPy arrays. A `skae.stream` is read
            block by block: rows need not fit into memory.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row: in the loss, in PCA and for
            held-out rows. Rows of weight zero are left out.
        X_val : array-like of shape (n_val, n_features), default=None
            Held-out rows. By default they are drawn
            from ``X``; pass your own if rows are grouped or ordered in time.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For infinite input, columns that are neither numbers nor
            categories nor dates, several types in one column, the wrong
            shape, and if training without a baseline diverges. After
            an error the estimator is as it was before.
        MemoryError
            If a batch does not fit in memory.
        """
        return self._fit(X, y, sample_weight, X_val)

    def _fit(self, X, y, sample_weight, X_val, y_val=None):
        before = self._model if self.warm_start and self.__sklearn_is_fitted__() else None
        if isinstance(X, Stream):
            refuse_stream(self, sample_weight)
            with opened_by(self, X, before, X_val is None) as reading:
                return self._fit_rows(X, *task_and_rows(self, reading, before), X_val, None, before)
        task, rows = self._read(X, y, sample_weight, before)
        return self._fit_rows(X, task, rows, None, X_val, y_val, before)

    def _fit_rows(self, X, task, rows, pairs, X_val, y_val, before):
        """Fit a task to the rows of X; ``pairs`` are those that are trained on and held out, if known."""
        held_out = None
        if X_val is not None:
            mean = None if before is None else before.baseline.mean
            held_out = self._later_rows(task, X_val, y_val, mean=mean)
            if len(held_out) < _training.FEWEST_ROWS:
                raise ValueError(
                    f"X_val has {counted(len(held_out), 'row')}: expected at least {_training.FEWEST_ROWS}, to "
                    "compare models."
                )
        settings = self._settings(task, len(rows), before)
        fit = _training.fit_model(
            task,
            settings,
            rows,
            held_out,
            random_state=self.random_state,
            progress=self._progress(X, getattr(rows, "meter", None)),
            checkpoint=self._open_checkpoint(task, settings, rows, held_out, before),
            before=before,
            pairs=pairs,
        )
        self._set_fitted(fit, settings)
        if fit.interrupted:
            raise KeyboardInterrupt
        return self

    @fit_context
    def partial_fit(self, X, y=None, sample_weight=None):
        """Learn from one batch of a stream: one epoch over its rows.

        The first call starts at the linear model of its rows and fixes the
        standardisation. There is no comparison with the baseline, for no rows are held out.

        A linear `AutoencoderTransformer` or `AdversarialAutoencoder`
        (``hidden_layer_sizes=()``) of complete numbers is
        the PCA of all rows so far, by the incremental SVD of
        ``IncrementalPCA``. With missing cells, categories or dates, and in
        other estimators, a linear model is trained as any other.

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
            If the first batch has fewer rows than components, if the loss
            does not stay finite, or if an earlier release saved a linear
            model that is to go on.
        """
        before = self._model if self.__sklearn_is_fitted__() else None
        task, rows = self._read(X, y, sample_weight, before)
        settings = self._settings(task, len(rows), before, going_on=True)
        n_before = 0 if before is None else self.n_iter_
        fit = _training.fit_batch(
            task,
            settings,
            rows,
            random_state=self.random_state,
            progress=self._progress(X),
            before=before,
            n_before=n_before,
        )
        if before is not None:
            fit.history = [*self.history_, *fit.history]
        fit.best_iter = len(_fine_tuning(fit.history))
        self._set_fitted(fit, settings)
        return self

    def _read(self, X, y, sample_weight, before):
        """Return the task of training rows, and the rows; ``before`` is the model to go on with."""
        X, sample_weight = as_arrays(X, sample_weight)
        if before is not None:
            self._check_unchanged(before)
            task = self._task(before.schema).going_on(before.task)
            return task, self._later_rows(task, X, y, sample_weight, before.baseline.mean)
        schema, X = self._columns().learn(X, sample_weight)
        task = self._task(schema)
        task.check_rows(X)
        return task, _weighted(task.schema, X, sample_weight)

    def _later_rows(self, task, X, y=None, sample_weight=None, mean=None):
        """Return rows of known columns; ``mean`` is that of the model, where there is one."""
        X, sample_weight = as_arrays(X, sample_weight)
        X = task.schema.read(X, judged=mean is None)
        task.check_rows(X)
        return _weighted(task.schema, X, sample_weight, mean)

    def _columns(self):
        names = "categorical_features", "min_frequency", "column_weights"
        return Columns(
            type(self).__name__,
            *(getattr(self, name, None) for name in names),
            takes_categories=hasattr(self, "categorical_features"),
            complete=self._complete,
        )

    def _check_unchanged(self, before):
        """Refuse to go on with another network than the fitted one."""
        for name, built in before.task.asked().items():
            asked = getattr(self, name, built)
            if asked is not built and not np.array_equal(asked, built):
                raise ValueError(
                    f"Training goes on with the fitted network, but {name} was {built!r} then "
                    f"and is {asked!r} now: set it back, or call fit with warm_start=False."
                )

    def _settings(self, task, n_rows, before=None, going_on=False):
        """Return the `Settings` of a training on so many rows.

        With ``going_on`` those of the batch before hold on.
        """
        changes = {"device": None if before is None else before.device}
        if going_on:
            changes["optimizer_state"] = self.__dict__.get("_optimizer_state")
            if before is not None:
                changes["batch_size"] = self.batch_size_
        return settings_of(self, task, n_rows, **changes)

    def _open_checkpoint(self, task, settings, rows, held_out, before):
        """Return what keeps this fit's trainings."""
        if self.checkpoint is None:
            return _training.NoCheckpoint()
        if self.callbacks:
            raise ValueError(
                f"checkpoint={self.checkpoint!r} cannot keep what callbacks={self.callbacks!r} "
                "remember: leave one of them out."
            )
        params = self.get_params(deep=False)
        parts = [part and part.content for part in (rows, held_out)]
        weights = None if before is None else before.weights()
        about = task.schema.names, weights, settings.device  # parameters may speak of names
        key = _training.key(type(self).__name__, params, *parts, *about)
        return _training.Checkpoint(self.checkpoint, key)

    def _progress(self, X, meter=None):
        """Return what reports a fit's progress."""
        listener = _Callbacks(self, X) if getattr(self, "_skl_callbacks", None) else None
        return _training.Progress(self.verbose, type(self).__name__, listener, meter)

    def _set_fitted(self, fit, settings):
        self._set_model(fit.model)
        self._optimizer_state = fit.optimizer_state
        self.batch_size_, self.best_iter_ = settings.batch_size, fit.best_iter
        epochs = _fine_tuning(fit.history)
        self.history_, self.n_iter_ = epochs, max(1, len(epochs))
        if len(epochs) < len(fit.history):
            self.history_ = [{"phase": FINE_TUNING, **row} for row in fit.history]
        self.loss_curve_ = [row["train_loss"] for row in epochs]
        scores = [float(fit.model.task.score(loss)) for loss in fit.held_out_curve]
        self.validation_scores_ = scores[1:] if scores else None
        self.pca_score_ = scores[0] if scores and fit.model.task.has_baseline else None

    def _set_model(self, model):
        task, schema = model.task, model.schema
        earlier = self.__dict__.get("_model")
        for name in (
            *NOT_ALWAYS,
            *model.ATTRIBUTES,
            *(earlier.attributes if earlier is not None else ()),
        ):
            self.__dict__.pop(name, None)
        known = {
            "n_features_in_": schema.n_features,
            "feature_names_in_": schema.names,
            "table_encoder_": schema.encoder,
            "n_components_": task.size,
            "hidden_layer_sizes_": task.hidden,
            "mean_": model.baseline.mean,
            "scale_": model.baseline.scale,
            "module_": model.module,
            "device_": model.device,
            "singular_values_": model.singular_values,
            **task.shapes,
            **model.attributes,
        }
        self._model = model
        for name, value in known.items():
            if value is not None and not name.startswith("_"):
                setattr(self, name, value)

    def _around(self, model, **params):
        """Return a copy of this estimator around another model, with other parameters."""
        twin = type(self).__new__(type(self))
        whole = ("_model", "module_", "_optimizer_state")
        rest = {name: value for name, value in vars(self).items() if name not in whole}
        vars(twin).update(deepcopy(rest) | params)
        twin._optimizer_state = None
        own = {name: deepcopy(getattr(model, name)) for name in ("baseline", "attributes")}
        twin._set_model(replace(model, **own))
        return twin

    # use --------------------------------------------------------------------------------------

    def transform(self, X):
        """Return the code of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            In the dtype of X (float64 for integers), in the units of the
            baseline (PCA's), or of unit variance over the training rows
            with ``whiten=True``. For a `skae.stream` an iterator over the
            codes of its blocks, as from other methods that take rows.
        """
        model, rows = self._known(X)
        return like(model.encode(rows), X)

    def _known(self, X):
        """Return the fitted model, and rows as it reads them."""
        check_is_fitted(self)
        return self._model, self._model.schema.read(*as_arrays(X))

    def __sklearn_is_fitted__(self):
        """Return whether there is a model."""
        return "_model" in self.__dict__

    @property
    def _n_features_out(self):
        return self.n_components_

    def __sklearn_tags__(self):
        """Return the tags: float32 stays float32."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._complete is None
        tags.input_tags.sparse = getattr(self, "column_weights", None) is None
        tags.input_tags.categorical = hasattr(self, "categorical_features")
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __getattr__(self, name):
        """Say why there is no such attribute, and how to get it."""
        if name not in ABSENT:
            return super().__getattribute__(name)  # its own words
        raise AttributeError(f"This {type(self).__name__} has no {name}: {ABSENT[name]}.")

    # state ------------------------------------------------------------------------------------

    def __getstate__(self):
        """Return arrays, builtins and skae's version: no torch object."""
        state = super().__getstate__().copy()
        model = state.pop("_model", None)
        if state.get("checkpoint") is not None:
            state["checkpoint"] = fspath(state["checkpoint"])
        if model is not None:
            state |= model.state() | {"_skae_version": version("skae")}
        if state.get("_optimizer_state"):
            state["_optimizer_state"] = {
                name: value.cpu().numpy() if hasattr(value, "cpu") else value
                for name, value in state["_optimizer_state"].items()
            }
        return state

    def __setstate__(self, state):
        """Check the state, then build the model anew."""
        state = fitted_models.writable(dict(state)) if "module_" in state else dict(state)
        if "module_" not in state:
            super().__setstate__(state)
            return
        fitted_models.check_fit(state)
        params = {name: state[name] for name in self._get_param_names() if name in state}
        vars(self).update(params)
        model = self._restored(state)
        super().__setstate__(state)
        self._set_model(model)

    def _restored(self, state):
        """Return the model of a state; what only the model needs is removed from it."""
        engine = state.pop("_engine", None)
        schema = Schema.from_state(type(self).__name__, self._complete, state)
        if engine == "numpy":
            return fitted_models.NumpyModel.of_state(schema, state, type(self))
        fitted_models.check_schema(schema)
        task = self._task(schema)
        constraints = self._parameter_constraints
        fitted_models.check_parameters_of(task, state["_built"], constraints)
        task = task.restored(state)
        return task.model.from_state(task, state)


# around the wrapper of `set_output`, which knows no iterators
BaseEncoder.transform = by_block(BaseEncoder.transform)
BaseEncoder.fit_transform = fitted_by_block(BaseEncoder.fit_transform)


def _is_normal(estimator):
    """Return whether the parameters make a model a normal distribution of rows."""
    if estimator.__sklearn_is_fitted__():
        return estimator._model.task.is_normal
    return estimator._task(Schema(type(estimator).__name__, n_features=1)).is_normal


class BaseAutoencoder(BaseEncoder):
    """Fit, transform and inverse_transform for all autoencoders."""

    __metadata_request__inverse_transform = {"Z": UNUSED}  # what is decoded is no metadata

    @by_block
    def inverse_transform(self, Z):
        """Return rows decoded from codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components_)

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            In the dtype of Z and the units of the training rows. A frame like
            that of the fit if it had categories or dates, or if
            `set_output` asks for frames.
        """
        codes = self._check_codes(Z)
        return like(self._give(self._model.decode_cells(codes), Z), Z)

    def _check_codes(self, Z):
        check_is_fitted(self)
        own, given = self.get_feature_names_out().tolist(), list(getattr(Z, "columns", ()))
        if given != own and set(given) == set(own):
            raise ValueError(
                f"The columns of Z are those of the code in another order: {given[:3]} come first, "
                f"and {own[:3]} should. Pass Z[list(model.get_feature_names_out())]."
            )
        with np.errstate(invalid="ignore"):  # of the sum by which infinities are looked for
            Z = check_array(unmasked(*as_arrays(Z)), dtype=DTYPES, input_name="Z")
        if Z.shape[1] != self.n_components_:
            raise ValueError(
                f"Z has {counted(Z.shape[1], 'column')}, but this {type(self).__name__} has "
                f"{counted(self.n_components_, 'component')}: pass what transform returned."
            )
        return Z

    def _give(self, coded, like=None, numbers=None):
        """Return a coded table in the form of the fit."""
        return self._model.schema.give_back(coded, frames_asked_for(self), like, numbers)

    @by_block
    def reconstruct(self, X):
        """Return ``inverse_transform(transform(X))``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        reconstruction : ndarray or frame of shape (n_samples, n_features)
        """
        model, rows = self._known(X)
        return like(self._give(model.reconstruct_cells(rows), X), X)

    @by_block
    def impute(self, X):
        """Return rows with missing cells filled; present cells stay as they are.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        filled : frame or ndarray of shape (n_samples, n_features)
            Like ``X``, with the reconstruction in place of missing cells. A
            column without any cell in ``fit`` stays missing.
        """
        model, rows = self._known(X)
        return model.schema.fill(X, model.reconstruct_cells(rows))

    @by_block
    def reconstruction_error(self, X, per_feature=False, missing="sum"):
        r"""Return the squared reconstruction error of rows, in the squared units of X.

        .. math:: e_i = \sum_{j \text{ present}} (x_{ij} - \hat x_{ij})^2

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        per_feature : bool, default=False
            Return the error of each cell instead of the sum over the row.
        missing : {"sum", "rescale"}, default="sum"
            "sum" is the sum over the present cells: a row with
            fewer of them has a smaller error. "rescale" multiplies it by the
            number of columns over that of present cells, as
            `sklearn.metrics.pairwise.nan_euclidean_distances` does, so that
            rows with different numbers of missing cells can be compared.
            Scale columns of different units first.

        Returns
        -------
        error : ndarray of shape (n_samples,), or ndarray or frame of shape (n_samples, n_features)
            float64; with ``per_feature`` a frame if ``fit`` saw one. NaN for missing cells, and for a row
            without any present cell. In a table with categories or dates each
            column is in units of its own baseline: the variance of
            numbers, the entropy of the levels of
            categories (nats if there was one level). A level that ``fit``
            did not see costs as much as the least likely level of its row
            would, and at least the :math:`\log(n + 1)` nats of a level that
            holds one in n + 1 cells (of the pooled rare levels, if
            there are some).
        """
        model, rows = self._known(X)
        error = fitted_models.scores_of(model).error(rows, per_feature, missing)
        return model.schema.by_cell(error, X) if per_feature else error

    def score(self, X, y=None):
        r"""Return the share of the variance of ``X`` that the reconstruction explains.

        .. math:: 1 - \frac{\sum_{ij} (x_{ij} - \hat x_{ij})^2}{\sum_{ij} (x_{ij} - \bar x_j)^2}

        ``PCA.score`` is a log-likelihood instead: to search over both,
        pass ``scoring=skae.metrics.reconstruction_score``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or `skae.stream`
        y : None
            Ignored.

        Returns
        -------
        score : float
            At most 1; larger is better. Where ``X`` does not vary, 1 if it is
            reconstructed exactly, else 0, as in `sklearn.metrics.r2_score`.
            NaN if no cell of ``X`` is present.
        """
        if isinstance(X, Stream):
            return score_of_stream(self, X)
        model, X = self._known(X)
        return fitted_models.scores_of(model).score(X)

    def score_by_column(self, X):
        r"""Return the share of each column that the reconstruction explains.

        For numbers :math:`1 - \sum_i (x_i - \hat x_i)^2 / \sum_i (x_i - \bar x)^2`;
        for categories :math:`1 - \sum_i \log \hat p_{x_i} / \sum_i \log p_{x_i}`,
        with p the shares of the levels in ``X``; over the present cells.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray or Series of shape (n_features_in_,)
            A pandas Series with the names of the columns if ``fit`` saw a
            frame. At most 1; NaN for a column without any cell; for a constant column
            1 if it is reconstructed exactly, else 0.
        """
        model, X = self._known(X)
        return model.schema.by_column(fitted_models.scores_of(model).score_by_column(X))

    def interpolate(self, a, b, n_steps=10, path="linear"):
        """Return rows between ``a`` and ``b``, whose codes lie between theirs.

        Parameters
        ----------
        a, b : array-like of shape (n_features,)
            Two rows.
        n_steps : int, default=10
            Number of rows to return, at least 2.
        path : {"linear", "spherical"}, default="linear"
            "linear" is the straight line between the codes. "spherical" is an arc
            around zero in whitened units, on which angle and length change evenly
            (Shoemake, 1985, DOI 10.1145/325165.325242; White, 2016,
            https://arxiv.org/abs/1609.04468): codes of many normal units
            have similar lengths, but the middle of a line between two is shorter. If
            a code is zero, or both are opposite, there is no
            arc, and the line is taken.

        Returns
        -------
        rows : ndarray of shape (n_steps, n_features)
            From the reconstruction of ``a`` to that of ``b``.
        """
        on_path, share = way(n_steps, path)
        ends = self._ends(a, b)
        model = self._model
        whole = model.schema.blocks is None
        codes = model.encode(ends) if whole else np.vstack(list(map(model.encode, ends[:, None])))
        unit = model.code_scale.astype(codes.dtype)
        between = on_path(*codes / unit, share.astype(codes.dtype)) * unit
        return self._give(model.decode_cells(between))

    def _ends(self, a, b):
        """Return two rows as the model reads them; arrays of complete numbers have no names."""
        check_is_fitted(self)
        schema = self._model.schema
        if schema.blocks is not None:
            ends = [self._known(one_row(end))[1] for end in (a, b)]
            if any(len(end) != 1 for end in ends):
                raise ValueError(
                    f"a and b have {len(ends[0])} and {len(ends[1])} rows: pass one row for each end."
                )
            return np.vstack(ends)
        ends = [
            self._known(one_row(end))[1] if schema.names is not None and has_names(end) else end
            for end in (a, b)
        ]
        ends = [np.ravel(unmasked(end)) for end in ends]
        for end in ends:
            if len(end) != self.n_features_in_:
                raise ValueError(
                    f"The rows have {len(end)} features, but {type(self).__name__} is expecting "
                    f"{self.n_features_in_} features as input: pass one row for each end."
                )
        return check_array(np.vstack(ends), dtype=DTYPES)

    @available_if(_is_normal)
    def get_covariance(self):
        r"""Return the covariance of the rows under the linear model.

        With V the components, :math:`\Lambda` their ``explained_variance_``
        and :math:`\sigma^2` the ``noise_variance_``,

        .. math:: V^\top (\Lambda - \sigma^2) V + \sigma^2 I

        which is ``PCA.get_covariance`` (with ``whiten=False``; scikit-learn
        1.9 multiplies by the variances twice with ``whiten=True``). For
        `VAETransformer` it is :math:`V^\top V + \sigma^2 I`, as its codes
        have the variance of the prior, and for `ConditionalVAE` the same for
        rows of one label.

        Only for linear models
        (``hidden_layer_sizes=()`` and ``linear_path="pca"``) of
        `AutoencoderTransformer`, `AdversarialAutoencoder`,
        `RecurrentAutoencoder`, `VAETransformer` and `ConditionalVAE`.

        Returns
        -------
        covariance : ndarray of shape (n_features_in_, n_features_in_)
            float64, in the squared units of X.

        Raises
        ------
        ValueError
            For a table with categories, dates or ``column_weights``.
        """
        check_is_fitted(self)
        return fitted_models.covariance(self._model)

    @available_if(_is_normal)
    def get_precision(self):
        """Return the inverse of `get_covariance`.

        Returns
        -------
        precision : ndarray of shape (n_features_in_, n_features_in_)
            float64.

        Raises
        ------
        ValueError
            If the covariance is singular, and as `get_covariance`.
        """
        check_is_fitted(self)
        return fitted_models.precision(self._model)

    @available_if(lambda self: hasattr(self, "ordered"))
    def truncate(self, n_components, fine_tune_on=None):
        """Return the fitted model of the first components; this one stays as it is.

        Only with ``ordered=True``. Without ``fine_tune_on`` nothing is
        trained, and ``transform`` returns the first columns of this model's code.
        If the baseline was kept (``best_iter_`` 0), nothing is trained
        in any case: the result is the baseline of that many components, such as
        ``PCA(n_components)``.

        Parameters
        ----------
        n_components : int
            From 1 to ``n_components_``.
        fine_tune_on : array-like of shape (n_samples, n_features), default=None
            Training rows, or some of them, to train the shorter code on for a few
            epochs, without held-out rows.

        Returns
        -------
        truncated : object
            A fitted estimator, with ``n_components`` as its parameter.

        Raises
        ------
        ValueError
            If ``n_components`` is out of range or components are not ordered.
        """
        check_is_fitted(self)
        if not self._model.task.ordered:
            raise ValueError(
                f"truncate needs ordered components, but this {type(self).__name__} was fitted "
                f"with ordered=False: fit with ordered=True, or with n_components={n_components}."
            )
        whole = isinstance(n_components, Integral) and not isinstance(n_components, bool)
        if not (whole and 1 <= n_components <= self.n_components_):
            raise ValueError(
                f"n_components={n_components!r}: expected an int from 1 to {self.n_components_}, "
                "the components of the fitted model. Fit again for more."
            )
        k = int(n_components)
        model = self._model.truncated(k)
        model.task = replace(model.task, n_components=k)
        truncated = self._around(model, n_components=k)
        return truncated if fine_tune_on is None else fine_tuned(truncated, fine_tune_on)

    def _baseline_scores(self, X):
        """Return the baseline's name, and the `score` of its first 1, 2, ... components."""
        model, X = self._known(X)
        return model.task.baseline_name, fitted_models.scores_of(model).baseline_scores(X)


class DecodedPrior:
    """Sampling for generators whose rows are what the decoder makes of normal codes."""

    def sample(self, n_samples=1, random_state=None):
        """Draw new rows: codes from the prior, decoded.

        Parameters
        ----------
        n_samples : int, default=1
            At least 1.
        random_state : int, RandomState instance or None, default=None
            None never touches numpy's global generator.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            float64: ``inverse_transform`` of standard normal codes.
        """
        n_samples = count(n_samples, "n_samples")
        check_is_fitted(self)
        rng = private_random_state(random_state)
        return self.inverse_transform(rng.standard_normal((n_samples, self.n_components_)))


class _Callbacks:
    """Calls the callbacks that scikit-learn's ``set_callbacks`` gave an estimator."""

    def __init__(self, estimator, X):
        self.estimator, self.X, self.context = estimator, X, None

    def begin(self, max_iter):
        if self.context is None:
            self.context = self.estimator._init_callback_context(max_subtasks=max_iter)
            self.context.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=None)

    def epoch(self):
        task = self.context.subcontext(task_name="epoch")
        task.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=None)
        task.call_on_fit_task_end(estimator=self.estimator, X=self.X, y=None)

    def end(self):
        if self.context is not None:
            self.context.call_on_fit_task_end(estimator=self.estimator, X=self.X, y=None)


def model_of(estimator):
    """Return the fitted model of an estimator."""
    check_is_fitted(estimator)
    return estimator._model


def copied(estimator):
    """Return a copy of a fitted estimator, on the same device."""
    model = model_of(estimator)
    return estimator._around(replace(model, module=deepcopy(model.module)))


def fine_tuned(estimator, X, y=None):
    """Return a fitted estimator whose model is trained on rows for a few epochs more."""
    model = model_of(estimator)
    rows = estimator._later_rows(model.task, X, y, mean=model.baseline.mean)
    settings = estimator._settings(model.task, len(rows), model, going_on=True)
    about = {"random_state": estimator.random_state, "progress": estimator._progress(X)}
    estimator._set_model(_training.fine_tuned(model, settings, rows, **about))
    return estimator


def restored(estimator, state):
    """Return a model that an estimator of this kind gave the state of."""
    return estimator._restored(fitted_models.writable(dict(state)))


def task_of(kind, estimator, schema):
    """Return a task of some kind: fields that are parameters of an estimator have their values."""
    return kind(schema=schema, **_given(kind, estimator))


def settings_of(estimator, task, n_rows, device=None, **changes):
    """Return the `Settings` of a training on so many rows: fields that are parameters have their values."""
    given = _given(_training.Settings, estimator)
    known = {name: given[name] for name in given if given[name] is not None} | changes
    known["device"] = device or _training.found_device(estimator.device)
    if known["batch_size"] == "auto":
        known["batch_size"] = task.batch_size(n_rows)
        known["judged_batch_size"] = task.judged_batch_size(n_rows)
    if known["max_iter"] == "auto":
        judged = known.get("judged_batch_size") if known.get("early_stopping") else None
        known["max_iter"] = task.max_iter(max(1, n_rows // (judged or known["batch_size"])))
    rate, warns = float(estimator.learning_rate_init), estimator.max_iter != "auto"
    return _training.Settings(learning_rate=rate, warns=warns, **known)


def _given(kind, estimator):
    """Return the parameters of an estimator that are fields of a dataclass, by name.

    They are its attributes: a subclass whose constructor takes fewer has them all the same.
    """
    names = [field.name for field in fields(kind)]
    return {name: getattr(estimator, name) for name in names if hasattr(estimator, name)}


def _fine_tuning(history):
    """Return the epochs of a history that are not a pretraining's."""
    return [row for row in history if row.get("phase", FINE_TUNING) == FINE_TUNING]


def _weighted(schema, X, sample_weight=None, mean=None):
    """Return `Rows` with weights; those of weight zero are left out."""
    if sample_weight is None:
        return schema.rows(X, mean=mean)
    weight = check_sample_weight(sample_weight, X)
    if not weight.any():
        raise ValueError("sample_weight is zero for every row: at least one must be positive.")
    return schema.rows(X, np.flatnonzero(weight), weight, mean)


def _line(a, b, share):
    """Return vectors on the line from ``a`` to ``b``."""
    return (1 - share) * a + share * b


def _arc(a, b, share):
    """Return vectors whose angle and length change evenly; on the line, where no angle is given."""
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    if min(lengths) == 0:
        return _line(a, b, share)
    a, b = a / lengths[0], b / lengths[1]
    angle = 2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b))
    if np.sin(angle) < LEAST_SINE:
        return _line(lengths[0] * a, lengths[1] * b, share)
    directions = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    return directions * _line(*lengths, share)


PATHS = {"linear": _line, "spherical": _arc}


def way(n_steps, path):
    """Return the function of a path, and the shares of the way at each step."""
    if count(n_steps, "n_steps") < 2:
        raise ValueError(f"n_steps={n_steps}: a path has at least 2 steps, its two ends.")
    if path not in PATHS:
        raise ValueError(f"path={path!r}: expected one of {sorted(PATHS)}.")
    return PATHS[path], np.linspace(0, 1, n_steps)[:, None]
