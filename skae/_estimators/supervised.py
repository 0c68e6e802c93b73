"""Supervised learning: a classifier and a regressor on a pretrained encoder."""

from dataclasses import field
from typing import NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import (
    assert_all_finite,
    check_consistent_length,
    compute_sample_weight,
    get_tags,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skae import _tasks, _training
from skae._data.labels import chosen, classes_of, columns_of, has_label, mean_and_spread, numbers_of
from skae._estimators.autoencoder import AutoencoderTransformer
from skae._estimators.base import BaseEncoder, copied, model_of, restored, settings_of
from skae._model.head import HeadModel, check_head
from skae._parameters import (
    FromPCA,
    StrOptions,
    check_sample_weight,
    fit_context,
    parameters,
    private_random_state,
    require_labels,
)

TRAINING = (
    "batch_size",
    "learning_rate_init",
    "alpha",
    "max_iter",
    "validation_fraction",
    "n_iter_no_change",
    "verbose",
    "random_state",
)


OF_HEAD = {"linear": "coef_", "kernel": "dual_coef_"}


class Targets(NamedTuple):
    """What is predicted: values, the zero and unit of their columns, weights of rows.

    ``attributes`` are the fitted attributes of the labels, by name.
    """

    values: np.ndarray
    zero: np.ndarray
    unit: np.ndarray
    weight: np.ndarray | None
    attributes: dict


@parameters
class Supervised(BaseEstimator):
    """Pretrain on all rows, solve a head on the code, fine-tune both on the labelled rows.

    A subclass brings its parameters, its docstring, and what it learns of labels.
    """

    autoencoder: BaseEncoder | FrozenEstimator | None = field(default=None, kw_only=False)
    head: str = "auto"
    fine_tune: str = "all"
    unlabeled: object = None
    batch_size: str | int = "auto"
    learning_rate_init: float = 0.01
    alpha: str | float = "auto"
    max_iter: str | int = "auto"
    validation_fraction: float = 0.1
    n_iter_no_change: int = 20
    verbose: int = 0
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints = {
        "autoencoder": [BaseEncoder, FrozenEstimator, None],
        "head": [StrOptions({"auto", "linear"})],
        "fine_tune": [StrOptions({"all", "head"})],
        "unlabeled": "no_validation",
    } | {name: FromPCA._parameter_constraints[name] for name in TRAINING}

    _kind = None  # of what is predicted: "classes" or "numbers"

    def _learned(self, y, weight):
        """Return the `Targets` of labels, or refuse them."""
        raise NotImplementedError

    def set_params(self, **params):
        """Set parameters; those of the autoencoder are ``autoencoder__n_components`` and so on.

        Raises
        ------
        ValueError
            For unknown names, and for those of an autoencoder that is None.
        """
        inner = [name for name in params if name.startswith("autoencoder__")]
        if inner and params.get("autoencoder", self.autoencoder) is None:
            raise ValueError(
                f"{inner[0]!r} is a parameter of the autoencoder, but autoencoder=None: set "
                "autoencoder=AutoencoderTransformer(), too, or first."
            )
        return super().set_params(**params)

    # fit --------------------------------------------------------------------------------------

    @fit_context
    def fit(self, X, y=None, sample_weight=None):
        """Pretrain on all rows, and learn from those that have a label.

        Parameters
        ----------
        X : array-like, CSR matrix or frame of shape (n_samples, n_features)
            Rows, as the autoencoder takes them: with categories, dates and
            missing cells where it does.
        y : array-like or frame of shape (n_samples,), or (n_samples, n_outputs) for a regressor
            Labels; rows where it is ``unlabeled`` (in any output) are used for
            pretraining only.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, in pretraining, head and fine-tuning. Rows of
            weight zero are left out.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If no row has a label, for labels that cannot be learned, for
            rows that the ``autoencoder`` refuses, such as other columns than
            those it was fitted to, and for a `ConditionalVAE`.
        """
        require_labels(y, type(self).__name__)
        columns = columns_of(y)
        check_consistent_length(X, columns[0])
        labelled, weight = has_label(columns, self.unlabeled), None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, labelled)
            labelled &= weight > 0
            weight = weight[labelled]
        if not labelled.any():
            raise ValueError(
                f"No row of y has a label (unlabeled={self.unlabeled!r}) and a positive weight: at "
                "least one must."
            )
        labels, several = chosen(columns, labelled), np.asarray(y).ndim > 1
        learned = self._learned(np.column_stack(labels) if several else labels[0], weight)
        rng = private_random_state(self.random_state)
        autoencoder = self._pretrained(X, sample_weight, rng)
        model = model_of(autoencoder)
        fit = self._fit_head(model, self._rows(model, X), labelled, learned, rng)
        self._set_fitted(autoencoder, fit, learned)
        return self

    def _pretrained(self, X, sample_weight, rng):
        """Return the autoencoder: as it is where it is fitted, else fitted to all rows."""
        given = AutoencoderTransformer() if self.autoencoder is None else self.autoencoder
        given = given.estimator if isinstance(given, FrozenEstimator) else given
        if get_tags(given).target_tags.required:
            raise ValueError(
                f"autoencoder={given!r}: {type(given).__name__} needs labels for its own fit: take "
                "VAETransformer, or another that is fitted without."
            )
        return pretrained(given, X, sample_weight, self.random_state, rng)

    def _rows(self, model, X):
        """Return rows as the autoencoder reads them."""
        try:
            return model.schema.read(X)
        except ValueError as error:
            raise ValueError(
                f"{error} The autoencoder is fitted already: pass columns like those of its fit, or "
                "an autoencoder that is not fitted."
            ) from error

    def _fit_head(self, encoder, X, labelled, learned, rng):
        targets = (learned.values - learned.zero) / learned.unit
        known = X[labelled]
        task = _tasks.Head.of(encoder, known, targets, learned.weight, self._kind, X)
        rows = task.rows(known, learned.weight)
        solves = self.fine_tune == "head" and self.head == "linear"
        if solves or len(rows) < _training.FEWEST_ROWS:
            return _training.Fit(task.solved(rows), 0, [], [])
        pairs = _tasks.dealt(rows, targets, self.validation_fraction, rng)
        fit = self._tuned(task, rows, pairs, rng)
        return _tasks.compared(task, fit, known, pairs) if self.head == "auto" else fit

    def _tuned(self, task, rows, pairs, rng):
        """Solve the linear head, and train it with the encoder where that is asked for and pays."""
        if self.fine_tune == "head":
            return _training.Fit(task.solved(rows), 0, [], [])
        encoder = task.encoder_model
        return _training.fit_model(
            task,
            settings_of(
                self,
                encoder.task,
                len(rows),
                encoder.device,
                early_stopping=True,
                tol=_tasks.TOLERANCE,
            ),
            rows,
            random_state=rng,
            progress=_training.Progress(self.verbose, type(self).__name__),
            pairs=pairs,
        )

    def _set_fitted(self, autoencoder, fit, learned):
        schema = fit.model.encoder.schema
        self.n_features_in_ = schema.n_features
        self.__dict__.pop("feature_names_in_", None)
        if schema.names is not None:
            self.feature_names_in_ = schema.names
        self.autoencoder_, self._encoder = autoencoder, fit.model.encoder
        self._set_head(fit.model, learned)
        self.best_iter_, self.n_iter_ = fit.best_iter, max(1, len(fit.history))
        self.loss_curve_ = [row["train_loss"] for row in fit.history]
        scores = [-float(loss) for loss in fit.held_out_curve]
        self.validation_scores_ = scores or None
        vars(self).update(learned.attributes)

    def _set_head(self, model, learned):
        for name in ("coef_", "dual_coef_"):
            self.__dict__.pop(name, None)
        self.head_ = "linear" if model.anchors is None else "kernel"
        setattr(self, OF_HEAD[self.head_], model.coef * learned.unit[:, None])
        self.intercept_ = model.intercept * learned.unit + learned.zero
        self.uses_columns_, self._units, self._anchors = model.beside, model.units, model.anchors

    # use --------------------------------------------------------------------------------------

    def _outputs(self, X):
        check_is_fitted(self)
        return self._head().outputs(self._encoder.schema.read(X))

    def _head(self):
        """Return the `HeadModel`, in the units of the labels."""
        coef = getattr(self, OF_HEAD["linear" if self._anchors is None else "kernel"])
        rest = self._units, self._anchors, self.uses_columns_
        return HeadModel(self._encoder, coef, self.intercept_, *rest)

    def __sklearn_tags__(self):
        """Return the tags: rows are what the autoencoder takes."""
        tags = super().__sklearn_tags__()
        given = AutoencoderTransformer() if self.autoencoder is None else self.autoencoder
        tags.input_tags = get_tags(given).input_tags
        return tags

    def __sklearn_is_fitted__(self):
        """Return whether there is a head."""
        return "intercept_" in self.__dict__

    def __getstate__(self):
        """Return the state, with an encoder that was fine-tuned as arrays and builtins."""
        state = super().__getstate__().copy()
        if "_encoder" in state:
            same = state["_encoder"] is model_of(self.autoencoder_)
            state["_encoder"] = None if same else state["_encoder"].state()
        return state

    def __setstate__(self, state):
        """Build the encoder anew, and check that the head belongs to it."""
        super().__setstate__(state)
        if "autoencoder_" in state:
            kept, autoencoder = state["_encoder"], self.autoencoder_
            same = model_of(autoencoder)
            self._encoder = same if kept is None else restored(autoencoder, kept)
            self._check_head()

    def _check_head(self):
        """Refuse, with a ValueError, a head that no fit makes for this encoder."""
        check_head(self._head())
        if self.n_features_in_ != self._encoder.schema.n_features:
            raise ValueError(f"n_features_in_={self.n_features_in_!r} is not that of the encoder")


def pretrained(given, X, sample_weight, random_state, rng):
    """Return a copy of an autoencoder where it is fitted, else one that is fitted to rows.

    It gets a ``random_state`` drawn from ``rng`` where it has none, and its owner has one.
    """
    if not given.__sklearn_is_fitted__():
        given = clone(given)
        if given.random_state is None and random_state is not None:
            given.set_params(random_state=int(rng.randint(2**31 - 1)))
        return given.fit(X, sample_weight=sample_weight)
    return copied(given)


@parameters
class AutoencoderClassifier(ClassifierMixin, Supervised):
    r"""A semi-supervised classifier: an autoencoder of all rows, and a head on the few labelled ones.

    The autoencoder is fitted to all rows. On its code z of the labelled ones
    a head is solved, multinomial logistic regression:

    .. math:: p(y = c \mid x) \propto \exp(w_c \cdot z(x) + b_c)

    Fine-tuning starts there (Kumar et al., 2022: a random
    head would first harm the encoder). It trains encoder and head
    together on the labelled rows. **The baseline** is the head alone. The fine-tuned
    network is kept only if its gain in log-likelihood on held-out rows (five folds up to 500
    labelled rows) passes the test of `AutoencoderTransformer`. Below 30 labelled
    rows there is no fine-tuning.

    Up to 500 labelled rows the same folds compare the result with three further heads, and the one
    with the largest log-likelihood is kept: a linear one that sees the columns beside the code, and
    two on the Gaussian kernel of the labelled rows :math:`a_i`, of their code alone or
    with the columns beside it,

    .. math:: p(y = c \mid x) \propto \exp\Big(\sum_i v_{ci} e^{-|u(x) - u(a_i)|^2 / m} + b_c\Big)

    with u the m numbers that the head sees, of mean square 1. So with few labels it is seldom worse than
    an SVC or a logistic regression on all columns (docs/benchmarks.md).

    Parameters
    ----------
    autoencoder : estimator of skae or None, default=None
        Any autoencoder or encoder that needs no labels; None is
        ``AutoencoderTransformer()``. A fitted one
        is copied and not fitted again. ``clone``, and so
        a search, makes it unfitted, unless it is inside
        ``sklearn.frozen.FrozenEstimator``. If it has no ``random_state`` it gets one
        drawn from this estimator's.
    head : {"auto", "linear"}, default="auto"
        "linear" compares no further heads: the head sees the code only, and has ``coef_``.
    fine_tune : {"all", "head"}, default="all"
        "head" leaves the encoder as it is.
    unlabeled : object, default=None
        The value of y that marks a row without a label, such as -1 or "".
        NaN stands for every missing value: NaN, None, ``pandas.NA``. None:
        all rows have a label.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, as in `LogisticRegression`; they multiply
        ``sample_weight``. Not used in pretraining.
    batch_size, learning_rate_init, alpha, max_iter, validation_fraction, \
    n_iter_no_change, verbose : object
        Of the fine-tuning, as in `AutoencoderTransformer`, for the labelled
        rows. If fine-tuning is refused with hundreds of labels (``best_iter_`` 0), a
        ``learning_rate_init`` of 0.003 may help.
    random_state : int, RandomState instance or None, default=None
        Seed of folds, order of rows and noise.

    Attributes
    ----------
    autoencoder_ : estimator
        The pretrained autoencoder, not fine-tuned.
    classes_ : ndarray of shape (n_classes,)
    head_ : {"linear", "kernel"}
        The kind of head that was kept.
    uses_columns_ : bool
        Whether it sees the columns beside the code.
    coef_ : ndarray of shape (n_classes, n_components) or (n_classes, n_components + n_columns)
        Coefficients of a linear head: of the (fine-tuned) code in the units of ``transform``, then,
        if ``uses_columns_``, of the standardised columns, one for each level of
        a category. Absent for a kernel head.
    dual_coef_ : ndarray of shape (n_classes, n_labelled)
        Coefficients v of a kernel head; absent for a linear one.
    intercept_ : ndarray of shape (n_classes,)
    best_iter_ : int
        The epoch of the fine-tuning that was kept; 0 means that the encoder was not changed.
    n_iter_ : int
        Epochs of the fine-tuning, at least 1.
    loss_curve_ : list of float
        Training loss of each epoch, in nats; with folds, the first fold's.
    validation_scores_ : list of float or None
        Mean held-out log-likelihood; the first entry is the head alone.
    n_features_in_, feature_names_in_
        As in `AutoencoderTransformer`.

    See Also
    --------
    AutoencoderRegressor : For numbers.
    sklearn.semi_supervised.SelfTrainingClassifier : Learns from its own predictions.

    Notes
    -----
    The head is solved on the code divided by one number, its root mean square, so
    that a unit that hardly varies counts little. On a whitened code 50
    labels of digits gave an accuracy of 0.75, here 0.84.

    With few labels a denoising code is better
    than the default: ``DenoisingAutoencoder(noise_level=1.0)``.

    References
    ----------
    G. E. Hinton, S. Osindero, Y.-W. Teh. A fast learning algorithm for deep
    belief nets. Neural Computation 18, 2006. DOI 10.1162/neco.2006.18.7.1527

    A. Kumar, A. Raghunathan, R. Jones, T. Ma, P. Liang. Fine-tuning can
    distort pretrained features and underperform out-of-distribution. ICLR
    2022. https://arxiv.org/abs/2202.10054

    Examples
    --------
    Fifty labels among a thousand rows:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import SVC
    >>> from skae import AutoencoderClassifier, DenoisingAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> X = StandardScaler().fit(X[:1000]).transform(X)
    >>> known = y[:1000].copy()
    >>> known[50:] = -1
    >>> autoencoder = DenoisingAutoencoder(noise_level=1.0)
    >>> model = AutoencoderClassifier(autoencoder, unlabeled=-1, random_state=0)
    >>> accuracy = model.fit(X[:1000], known).score(X[1000:], y[1000:])
    >>> bool(accuracy > SVC().fit(X[:50], y[:50]).score(X[1000:], y[1000:]))
    True
    """

    class_weight: dict | str | None = None

    _parameter_constraints = {"class_weight": [dict, StrOptions({"balanced"}), None]}

    _kind = "classes"

    def _learned(self, y, weight):
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        classes = classes_of(y)
        if y.dtype.kind in "OS" and not isinstance(classes[0], str):
            raise ValueError(
                f"y has the class {classes[0]!r}: classes are strings, integers or booleans. Convert "
                "them, for example to strings."
            )
        check_classification_targets(y)
        if len(classes) < 2:
            raise ValueError(
                f"y has only one class, {classes[:1].tolist()[0]!r}: a classifier needs at least two."
            )
        if self.class_weight is not None:
            by_class = compute_sample_weight(self.class_weight, y)
            weight = by_class if weight is None else by_class * weight
        values, n = (y[:, None] == classes).astype(np.float64), len(classes)
        return Targets(values, np.zeros(n), np.ones(n), weight, {"classes_": classes})

    def _check_head(self):
        super()._check_head()
        classes, n = self.classes_, len(self.intercept_)
        good = isinstance(classes, np.ndarray) and classes.shape == (n,) and n >= 2
        if not good or len(set(classes.tolist())) < n:
            raise ValueError(f"classes_={classes!r} are not the classes of {n} outputs")

    def decision_function(self, X):
        """Return the head's outputs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            Log-odds, up to a constant for each row; for two classes those of
            the second one.
        """
        scores = self._outputs(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X):
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return softmax(self._outputs(X), axis=1)

    def predict(self, X):
        """Return the most probable class of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        best = self._outputs(X).argmax(axis=1)
        return self.classes_[best]


@parameters
class AutoencoderRegressor(MultiOutputMixin, RegressorMixin, Supervised):
    r"""A semi-supervised regressor: an autoencoder of all rows, and a head on the few labelled ones.

    As `AutoencoderClassifier`, with ridge regression (linear, or of a kernel) as
    head and squared error, each output in units of its own variance, as loss.

    Parameters
    ----------
    autoencoder, head, fine_tune, batch_size, learning_rate_init, alpha, max_iter, \
    validation_fraction, n_iter_no_change, verbose, random_state : object
        As in `AutoencoderClassifier`.
    unlabeled : float or None, default=None
        As in `AutoencoderClassifier`; a row is unlabelled if any of its outputs is.

    Attributes
    ----------
    head_, uses_columns_, coef_, dual_coef_ : object
        As in `AutoencoderClassifier`, with outputs in place of classes.
    intercept_ : ndarray of shape (n_outputs,)
    loss_curve_ : list of float
        Training loss of each epoch: squared error over the variance of y.
    validation_scores_ : list of float or None
        Minus the held-out loss; the first entry is the head alone.
    autoencoder_, best_iter_, n_iter_, n_features_in_, feature_names_in_
        As in `AutoencoderClassifier`.

    See Also
    --------
    AutoencoderClassifier : For classes; explains how both work.

    References
    ----------
    Those of `AutoencoderClassifier`.

    Examples
    --------
    NaN marks rows without a label:

    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from skae import AutoencoderRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> known = np.where(np.arange(300) < 100, y[:300], np.nan)
    >>> model = AutoencoderRegressor(unlabeled=np.nan, random_state=0).fit(X[:300], known)
    >>> bool(model.score(X[300:], y[300:]) > 0.4)
    True
    """

    _kind = "numbers"

    def _learned(self, y, weight):
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        values = np.column_stack([numbers_of(column) for column in y.reshape(len(y), -1).T])
        assert_all_finite(values, input_name="y")
        zero, unit = mean_and_spread(values, weight)
        unit = np.where(unit > 0, unit, 1.0)
        return Targets(values, zero, unit, weight, {"_several": y.ndim == 2})

    def _check_head(self):
        super()._check_head()
        if not (self._several is True or (self._several is False and len(self.intercept_) == 1)):
            raise ValueError(
                f"_several={self._several!r} does not fit {len(self.intercept_)} outputs"
            )

    def predict(self, X):
        """Return the predicted values of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        values : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        outputs = self._outputs(X)
        return outputs if self._several else outputs[:, 0]
