"""Groups of parameters with their constraints; the one file that touches scikit-learn's private helpers."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache, wraps
from numbers import Integral, Real
from os import PathLike
from typing import dataclass_transform

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import (
    Interval,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_sample_weight, _get_feature_names, validate_data

try:  # experimental in scikit-learn 1.9, absent before
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Stands in where scikit-learn ships no callbacks."""

    def with_callbacks(method):
        """Leave ``method`` as it is."""
        return method


def frames_asked_for(estimator):
    """Return what `set_output` asks for: "default", "pandas" or "polars"."""
    return _get_output_config("transform", estimator)["dense"]


def validated(X, owner, n_features=None, names=None, **checks):
    """Return X as `validate_data` does for an estimator, to which nothing is written.

    ``owner`` is its name, for messages; with ``n_features=None`` X may have any columns. ``checks`` go
    to `sklearn.utils.check_array`.
    """
    estimator = _stand_in(owner)()
    if n_features is not None:
        estimator.n_features_in_ = n_features
        if names is not None:
            estimator.feature_names_in_ = names
    return validate_data(estimator, unmasked(X), reset=n_features is None, **checks)


def unmasked(X):
    """Return a masked array as one with NaN (None, NaT) where it is masked; all else as it is."""
    if isinstance(X, list | tuple) and any(isinstance(row, np.ma.MaskedArray) for row in X):
        X = np.ma.array(X)
    if not isinstance(X, np.ma.MaskedArray):
        return X
    if not np.ma.is_masked(X):
        return X.data
    kind, mask = X.dtype.kind, np.ma.getmaskarray(X)
    plain = X.data.astype({"U": object, "i": float, "u": float, "b": float}.get(kind, X.dtype))
    plain[mask] = {"U": None, "O": None, "M": "NaT", "m": "NaT"}.get(kind, np.nan)
    return plain


def check_sample_weight(sample_weight, X):
    """Return the weights of rows, float64, as scikit-learn checks them; a masked weight is NaN, and refused."""
    weight = unmasked(sample_weight)
    return _check_sample_weight(weight, X, dtype=np.float64, ensure_non_negative=True)


def require_labels(y, owner):
    """Refuse labels that are not there, as scikit-learn does."""
    if y is None:
        raise ValueError(
            f"This {owner} estimator requires y to be passed, but the target y is None: call fit(X, y)."
        )


@cache
def _stand_in(owner):
    """Return a class of some name, for scikit-learn's messages."""
    return type(owner, (BaseEstimator,), {})


feature_names = _get_feature_names  # of a frame; None where columns have no names
check_parameters = validate_parameter_constraints  # (constraints, parameters, name of the class)
fit_context = _fit_context(prefer_skip_nested_validation=True)


class _Numbers(Interval):
    """An interval without True and False, which Python counts as 1 and 0."""

    def is_satisfied_by(self, val):
        """Return whether a value is one of these numbers."""
        return not isinstance(val, bool) and super().is_satisfied_by(val)


def real(low, high=None, closed="left"):
    return _Numbers(Real, low, high, closed=closed)


def integer(low):
    return _Numbers(Integral, low, None, closed="left")


def counted(n, noun):
    """Return how many there are of something, for messages: "1 row", "2 rows"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def count(value, name):
    """Return a number of things, at least one."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name}={value!r} must be an int of at least 1.")
    return int(value)


def has_own_code(activation, custom):
    """Return whether modules are partly a user's, neither skae's nor torch's."""
    place = getattr(activation, "__module__", None) or ""
    built_in = isinstance(activation, str) or place.startswith("torch.nn.")
    return not built_in or any(make is not None for make in custom)


def lengths_of(shape):
    """Return the lengths in a shape as integers; nothing where they are no whole numbers."""
    lengths = np.ravel(shape)
    numbers = lengths.dtype.kind in "iuf" and np.isfinite(lengths).all()
    return tuple(map(int, lengths)) if numbers and (lengths % 1 == 0).all() else ()


def private_random_state(random_state):
    """Return a generator of the estimator's own: None never touches numpy's global one."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


def _signature(kind):
    """Return the signature of a constructor: names and defaults alone, a class's own names first."""
    kinds = [base for base in kind.__mro__ if "__dataclass_fields__" in vars(base)]
    order = ["self", *(name for base in kinds for name in inspect.get_annotations(base))]
    shown = inspect.signature(kind.__init__).parameters.values()
    shown = sorted(shown, key=lambda p: (p.kind, order.index(p.name)))
    return inspect.Signature([p.replace(annotation=p.empty) for p in shown])


def _refuse_forgotten(self):
    """Refuse parameters that a subclass annotates, but that its constructor does not take."""
    for kind in type(self).__mro__:
        if "__init__" in vars(kind):
            return
        for name, annotation in inspect.get_annotations(kind).items():
            public = "_" not in (name[0], name[-1]) and "ClassVar" not in str(annotation)
            if public and name in vars(kind):
                raise TypeError(
                    f"{kind.__name__} annotates {name} as a parameter, but its constructor does not "
                    f"take it: decorate {kind.__name__} with dataclasses.dataclass(kw_only=True, "
                    "eq=False, repr=False), or give it an __init__ that stores its parameters."
                )


def _explaining(init, owner, reasons):
    """Return a constructor that says why parameters which relatives take are not taken."""

    @wraps(init)
    def explained(self, *args, **params):
        for name in params.keys() & reasons.keys():
            raise TypeError(f"{owner} has no parameter {name!r}: {reasons[name]}.")
        init(self, *args, **params)

    return explained


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
def parameters(kind):
    """Make a class take its annotated names, and those of the groups it inherits, as parameters.

    It becomes a dataclass that looks as scikit-learn has it: defaults are in
    the signature and nowhere else, and ``_parameter_constraints`` are those
    of the groups and its own. ``NOT_TAKEN`` of the class says of parameters that
    its relatives have why it has not.
    """
    kind.__post_init__ = _refuse_forgotten
    dataclass(kind, kw_only=True, eq=False, repr=False, match_args=False)
    names = {known.name for known in fields(kind)}
    for name in names & vars(kind).keys():
        delattr(kind, name)
    tables = [vars(base).get("_parameter_constraints", {}) for base in reversed(kind.__mro__)]
    kind._parameter_constraints = {
        name: table[name] for table in tables for name in table if name in names
    }
    if "NOT_TAKEN" in vars(kind):
        kind.__init__ = _explaining(kind.__init__, kind.__name__, kind.NOT_TAKEN)
    kind.__init__.__doc__ = f"Store the parameters; `{kind.__name__}` explains them."
    kind.__init__.__signature__ = _signature(kind)
    return kind


ACTIVATIONS = {"elu", "gelu", "identity", "logistic", "quick_gelu", "relu", "silu", "tanh"}


@parameters
class Training:
    """How a network is trained."""

    batch_size: str | int = "auto"
    learning_rate_init: float = 0.012
    optimizer: str | Callable = "adam"
    max_iter: str | int = "auto"
    warm_start: bool = False
    callbacks: list | tuple | None = None
    skorch_params: dict | None = None
    checkpoint: str | PathLike | None = None
    device: str = "auto"
    verbose: int = 0
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints = {
        "batch_size": [StrOptions({"auto"}), integer(1)],
        "learning_rate_init": [real(0, closed="neither")],
        "optimizer": [StrOptions({"adam"}), callable],
        "max_iter": [StrOptions({"auto"}), integer(1)],
        "warm_start": ["boolean"],
        "callbacks": [list, tuple, None],
        "skorch_params": [dict, None],
        "checkpoint": [str, PathLike, None],
        "device": [str],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }


@parameters
class HeldOut:
    """How held-out rows judge a training."""

    early_stopping: bool = True
    validation_fraction: float = 0.1
    n_iter_no_change: str | int = "auto"
    tol: float = 0.05

    _parameter_constraints = {
        "early_stopping": ["boolean"],
        "validation_fraction": [real(0, 1, closed="neither")],
        "n_iter_no_change": [StrOptions({"auto"}), integer(1)],
        "tol": [real(0)],
    }


@parameters
class FromPCA(HeldOut, Training):
    """A training that starts at PCA."""

    n_components: int | float | str | None = field(default="auto", kw_only=False)
    linear_path: str | None = "pca"
    alpha: str | float = "auto"

    _parameter_constraints = {
        "n_components": [
            integer(1),
            Interval(RealNotInt, 0, 1, closed="neither"),
            StrOptions({"auto", "mle"}),
            None,
        ],
        "linear_path": [StrOptions({"pca"}), None],
        "alpha": [StrOptions({"auto"}), real(0)],
    }


@parameters
class Activation:
    """What makes a network nonlinear."""

    activation: str | Callable = "quick_gelu"

    _parameter_constraints = {"activation": [StrOptions(ACTIVATIONS), callable]}


@parameters
class DenseNetwork(Activation):
    """Multi-layer perceptrons."""

    hidden_layer_sizes: str | ArrayLike = "auto"

    _parameter_constraints = {
        "hidden_layer_sizes": [StrOptions({"auto"}), "array-like", integer(1)],
    }


@parameters
class OwnModules:
    """Modules of the user's in place of the perceptrons."""

    encoder: Callable | None = None
    decoder: Callable | None = None

    _parameter_constraints = {"encoder": [callable, None], "decoder": [callable, None]}


@parameters
class Whitening:
    """A code of unit variance."""

    whiten: bool = False

    _parameter_constraints = {"whiten": ["boolean"]}


@parameters
class Ordering:
    """A code whose components are ordered."""

    ordered: bool = False

    _parameter_constraints = {"ordered": ["boolean"]}


@parameters
class ImageInput:
    """Rows that are flattened images."""

    image_shape: tuple | None = None
    channels: ArrayLike = (16, 32)

    _parameter_constraints = {
        "image_shape": ["array-like", None],
        "channels": ["array-like", integer(1)],
    }


@parameters
class TableEncoding:
    """Which columns of a table are categories, and how they are coded."""

    categorical_features: str | ArrayLike | None = "from_dtype"
    min_frequency: str | int | float = "auto"

    _parameter_constraints = {
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "min_frequency": [
            StrOptions({"auto"}),
            integer(1),
            Interval(RealNotInt, 0, 1, closed="neither"),
        ],
    }


@parameters
class TableInput(TableEncoding):
    """Tables whose columns count, each with a weight."""

    column_weights: ArrayLike | dict | None = None

    _parameter_constraints = {"column_weights": ["array-like", dict, None]}


@parameters
class DenseFromPCA(DenseNetwork, Whitening, OwnModules, Ordering, TableInput, FromPCA):
    """What most autoencoders of tables take."""
