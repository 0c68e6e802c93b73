"""How to train: what an estimator's parameters were resolved to."""

from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from skae._training.ordered import Cuts

DECAY_FROM = 0.5  # without held-out rows the learning rate falls from here on
SMALLEST_DECAY, LARGEST_DECAY, COMPONENTS = 0.1, 0.8, 40  # of weights, where alpha is "auto"


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes
    ----------
    batch_size : int
    judged_batch_size : int or None
        While held-out rows judge and the last steps are still to come, where
        it is another.
    learning_rate : float
    max_iter : int
    alpha : "auto" or float
        Weight decay; "auto" until the size of the code is known.
    optimizer : "adam" or callable
    callbacks : list or tuple
    skorch_params : dict
    early_stopping : bool
        Whether held-out rows judge.
    validation_fraction, n_iter_no_change, tol
        As in estimators.
    warns : bool
        Whether to say that ``max_iter`` was too small: it was given.
    device : str
    corruption, held_out_corruption : object or None
        What is done to the inputs of a training, and to those of held-out rows.
    cuts : Cuts or None
        Of an ordered code.
    decay_from : float
        Share of the steps after which the rate falls linearly to zero.
    averaging : bool
    warm_up : int
        Epochs over which the objective's rising terms reach their weight.
    measures : bool
        Whether to measure the share of the variance that the code explains.
    optimizer_state : dict or None
        What an optimizer goes on with.
    """

    batch_size: int
    learning_rate: float
    max_iter: int
    alpha: object = 0.0
    optimizer: object = "adam"
    callbacks: list | tuple = ()
    skorch_params: dict = field(default_factory=dict)
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: str | int = "auto"
    tol: float = 0.05
    warns: bool = True
    device: str = "cpu"
    corruption: object = None
    held_out_corruption: object = None
    cuts: Cuts | None = None
    decay_from: float = 1.0
    averaging: bool = True
    warm_up: int = 0
    measures: bool = False
    optimizer_state: dict | None = None
    judged_batch_size: int | None = None

    def of(self, task):
        """Return the settings for a task whose size is known."""
        return replace(
            self,
            alpha=decay(task.size) if self.alpha == "auto" else self.alpha,
            cuts=Cuts(task.size) if task.ordered else None,
            decay_from=1.0 if self.early_stopping else DECAY_FROM,
            warm_up=task.warm_up,
        )


def decay(n_components):
    """Return the weight decay that "auto" stands for."""
    return float(np.clip(n_components / COMPONENTS, SMALLEST_DECAY, LARGEST_DECAY))


def found_device(device):
    """Return the name of the device that is meant."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device={device!r} cannot be used here: {error}. Take device='auto' or 'cpu'."
        ) from error
    return device


@contextmanager
def explained_memory(batch_size):
    """Turn every kind of running out of memory into a `MemoryError` with the remedy."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        words = ("out of memory", "can't allocate memory", "not enough memory")
        if isinstance(error, RuntimeError) and not any(w in str(error).lower() for w in words):
            raise
        raise MemoryError(
            f"Training ran out of memory with batch_size={batch_size}: choose a smaller batch_size "
            f"or fewer hidden units. The error was: {error}"
        ) from error
