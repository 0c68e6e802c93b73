"""Parameter constraints; the one file that touches scikit-learn's private helpers."""

from numbers import Integral, Real
from os import PathLike

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import (
    Interval,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_sample_weight

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


check_sample_weight = _check_sample_weight
check_parameters = validate_parameter_constraints  # (constraints, parameters, name of the class)
fit_context = _fit_context(prefer_skip_nested_validation=True)


def real(low, high=None, closed="left"):
    """A float (or int) between two bounds."""
    return Interval(Real, low, high, closed=closed)


def integer(low, high=None):
    """An int of at least ``low``."""
    return Interval(Integral, low, high, closed="left")


def count(value, name):
    """Return a number of things, at least one."""
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name}={value!r} must be an int of at least 1.")
    return int(value)


def lengths_of(shape):
    """Return the lengths in a shape as integers; nothing where they are no whole numbers."""
    lengths = np.ravel(shape)
    numbers = lengths.dtype.kind in "iuf" and np.isfinite(lengths).all()
    return tuple(map(int, lengths)) if numbers and (lengths % 1 == 0).all() else ()


def private_random_state(random_state):
    """Return a generator of the estimator's own: None never touches numpy's global one."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


ACTIVATIONS = {"elu", "gelu", "identity", "logistic", "relu", "silu", "tanh"}

TABLE_ENCODER = {
    "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
    "min_frequency": [
        StrOptions({"auto"}),
        integer(1),
        Interval(RealNotInt, 0, 1, closed="neither"),
    ],
}

AUTOENCODER = TABLE_ENCODER | {
    "n_components": [integer(1), Interval(RealNotInt, 0, 1, closed="neither"), None],
    "hidden_layer_sizes": [StrOptions({"auto"}), "array-like", integer(1)],
    "activation": [StrOptions(ACTIVATIONS), callable],
    "linear_path": [StrOptions({"pca"}), None],
    "whiten": ["boolean"],
    "encoder": [callable, None],
    "decoder": [callable, None],
    "ordered": ["boolean"],
    "column_weights": ["array-like", dict, None],
    "batch_size": [StrOptions({"auto"}), integer(1)],
    "learning_rate_init": [real(0, closed="neither")],
    "alpha": [StrOptions({"auto"}), real(0)],
    "optimizer": [StrOptions({"adam"}), callable],
    "max_iter": [StrOptions({"auto"}), integer(1)],
    "early_stopping": ["boolean"],
    "validation_fraction": [real(0, 1, closed="neither")],
    "n_iter_no_change": [integer(1)],
    "tol": [real(0)],
    "warm_start": ["boolean"],
    "callbacks": [list, tuple, None],
    "skorch_params": [dict, None],
    "checkpoint": [str, PathLike, None],
    "device": [str],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}
