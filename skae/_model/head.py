"""What is predicted from codes: a head, linear or by a kernel, and the encoder that it stands on."""

from dataclasses import dataclass, field

import numpy as np
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.utils import gen_batches

from skae._model.scores import refuse_infinite

CHUNK_CELLS = 2**22  # that are predicted at once


@dataclass
class HeadModel:
    r"""A head, and the encoder that it stands on.

    Its outputs are linear in what it sees of a row, or in the kernel
    :math:`e^{-|u - a|^2 / m}` of that, u, with m numbers, and of each anchor a.

    Attributes
    ----------
    encoder : Model
    coef : ndarray of shape (n_outputs, n_seen) or (n_outputs, n_anchors)
        Of a linear head in the units of ``encode``.
    intercept : ndarray of shape (n_outputs,)
    units : ndarray of shape (n_seen,) or None
        What a kernel head multiplies by before it compares.
    anchors : ndarray of shape (n_anchors, n_seen) or None
        None makes a linear head.
    beside : bool
        Whether the head sees the columns beside the code.
    """

    encoder: object
    coef: np.ndarray
    intercept: np.ndarray
    units: np.ndarray | None = None
    anchors: np.ndarray | None = None
    beside: bool = False
    attributes: dict = field(default_factory=dict)

    def outputs(self, X):
        """Return the outputs of rows that the schema read: (n_samples, n_outputs)."""
        width = max(self.coef.shape[1], self.encoder.schema.width)
        batches = gen_batches(X.shape[0], max(1, CHUNK_CELLS // width))
        parts = [self.of_seen(seen_of(self.encoder, X[batch], self.beside)) for batch in batches]
        return np.concatenate([*parts, np.empty((0, len(self.intercept)))])

    def of_seen(self, seen):
        """Return the outputs of what the head sees of rows."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.anchors is not None:
                seen = kernel(seen * self.units, self.anchors)
            outputs = seen @ self.coef.T + self.intercept
        refuse_infinite(outputs, outputs.dtype)
        return outputs


def seen_of(encoder, X, beside):
    """Return what a head sees of rows: their code and, with ``beside``, their standardised columns."""
    seen = encoder.code_and_columns(X) if beside else encoder.encode(X)
    return seen.astype(np.float64)


def kernel(seen, anchors):
    """Return the Gaussian kernel of rows and anchors, in units of the number of columns."""
    return rbf_kernel(seen, anchors, gamma=1 / anchors.shape[1])


def predicted(model, X):
    """Return what the linear head that a model has itself says of rows: (n_samples, n_targets)."""
    told = model.attributes
    return model.encode(X) @ told["coef_"].T.astype(X.dtype) + told["intercept_"]


def check_head(head):
    """Refuse, with a ValueError, a head that does not belong to its encoder."""
    size = head.encoder.task.size + (head.encoder.schema.width if head.beside else 0)
    shapes = {"coef": (len(head.intercept), size), "intercept": (len(head.intercept),)}
    if head.anchors is not None:
        n_anchors = len(head.anchors)
        shapes |= {"coef": (len(head.intercept), n_anchors), "units": (size,)}
        shapes |= {"anchors": (n_anchors, size)}
    for name, shape in shapes.items():
        array = getattr(head, name)
        good = isinstance(array, np.ndarray) and array.dtype == np.float64
        if not (good and array.shape == shape and np.isfinite(array).all()):
            raise ValueError(f"{name} is not that of a head of {size} numbers a row")
