"""Fitted models: they encode and decode, and need no estimator for it.

The names below are imported where they are first used, and torch with them.
"""

from skae._lazy import lazily


class CannotDescribe(ValueError):
    """A network that the operations of a graph do not make."""


__getattr__ = lazily(
    __name__,
    {
        "given": "Given",
        "normal": "covariance precision",
        "numpy_engine": "NumpyModel",
        "scores": "dense scores_of",
        "state": "check_fit check_output check_parameters_of check_schema writable",
    },
)
