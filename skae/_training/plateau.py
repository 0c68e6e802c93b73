"""Where a training ends: its held-out loss has stopped falling."""

from dataclasses import dataclass

import numpy as np

WINDOW = 0.3  # of the epochs so far
FEWEST_STEPS, EPOCHS, MOST_OF_LONG = 250, 8, 1000  # before the end; so many epochs, of long tables
FEWEST_OF_FOLDS, EPOCHS_OF_FOLDS = 120, 40  # or so many epochs, of tiny tables
MOST_STEPS_WITHOUT_GAIN = 160
MUCH, FEWEST_AFTER_MUCH = 0.3, 700  # of the baseline's error; where less is left, more is to come
TOLERANCE_OF_FOLDS = 0.4  # small tables learn slowly, and their steps are cheap


@dataclass(frozen=True)
class Plateau:
    """The end of a training: the error fell by less than ``tol`` of itself in its last epochs.

    Attributes
    ----------
    log_error : callable
        Turns a loss into the logarithm of an error.
    tol : float
    n_iter : "auto" or int
        How many are the last epochs; "auto": 30 % of the epochs so far.
    warm_up : int
        Epochs in which the training loss is still another; they do not count.
    steps : int
        In an epoch.
    fewest : int
        Steps before which "auto" does not end a training.
    """

    log_error: object
    tol: float
    n_iter: object
    warm_up: int
    steps: int
    fewest: int

    @classmethod
    def of(cls, settings, task, nets):
        """Return that of nets that are trained side by side."""
        folds, steps = len(nets) > 1, nets[0].steps_an_epoch
        few, most = EPOCHS_OF_FOLDS * steps, EPOCHS * steps
        fewest = min(FEWEST_OF_FOLDS, few) if folds else np.clip(most, FEWEST_STEPS, MOST_OF_LONG)
        tol = settings.tol * (TOLERANCE_OF_FOLDS if folds else 1.0)
        return cls(task.log_error, tol, settings.n_iter_no_change, settings.warm_up, steps, fewest)

    def reached(self, curve):
        """Return whether a curve of held-out losses, the baseline's first, has come to rest."""
        number = len(curve) - 1
        window = max(1, round(WINDOW * number)) if self.n_iter == "auto" else self.n_iter
        before = number - window
        start, then, best = (
            self.log_error(min(curve[: n + 1])) for n in (0, max(before, 0), number)
        )
        trained = number - self.warm_up
        if trained <= 0 or before < 0:
            return False
        if self.n_iter == "auto" and trained < self._fewest_epochs(best - start):
            return False
        return then - best < self.tol or best == then

    def _fewest_epochs(self, gain):
        """Return the epochs that are trained in any case, given the error's change so far."""
        if gain < np.log(MUCH):
            return max(self.fewest, FEWEST_AFTER_MUCH) / self.steps
        return min(self.fewest, np.inf if gain < 0 else MOST_STEPS_WITHOUT_GAIN) / self.steps
