"""Where a training ends: its held-out loss has stopped falling."""

from dataclasses import dataclass

import numpy as np

WINDOW = 0.3  # of the epochs so far
FEWEST_STEPS, EPOCHS, MOST_OF_LONG = 400, 8, 1000  # before the end; so many epochs, of long tables
FEWEST_OF_FOLDS, EPOCHS_OF_FOLDS = 200, 40  # or so many epochs, of tiny tables
MOST_STEPS_WITHOUT_GAIN = 250
MUCH, FEWEST_AFTER_MUCH = 0.3, 700  # of the baseline's error; where less is left, more is to come
TOLERANCE_OF_FOLDS = 0.5  # small tables learn slowly, and their steps are cheap
SHORT_CODE, FINEST = 6, 0.4  # shorter ones rest on plateaus before they learn


@dataclass(frozen=True)
class Plateau:
    """The end of a training: the error fell by less than ``tol`` of itself in its last epochs.

    Attributes
    ----------
    error : callable
        Turns a loss into an error, which is positive.
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

    error: object
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
        fineness = min(task.fineness, max(FINEST, task.size / SHORT_CODE))
        tol = settings.tol * fineness * (TOLERANCE_OF_FOLDS if folds else 1.0)
        return cls(task.error, tol, settings.n_iter_no_change, settings.warm_up, steps, fewest)

    def reached(self, curve):
        """Return whether a curve of held-out losses, the baseline's first, has come to rest."""
        number = len(curve) - 1
        trained = number - self.warm_up
        enough = self._fewest_epochs(curve) if self.n_iter == "auto" else self.n_iter
        return trained >= max(1, enough) and not self.falls(curve)

    def falls(self, curve):
        """Return whether the loss fell by ``tol`` of itself in the last epochs."""
        number = len(curve) - 1
        window = max(1, round(WINDOW * number)) if self.n_iter == "auto" else self.n_iter
        before, best = (
            self.error(min(part)) for part in (curve[: max(1, number - window + 1)], curve)
        )
        return best < before and before - best >= self.tol * best

    def _fewest_epochs(self, curve):
        """Return the epochs that are trained in any case, given the losses so far."""
        start, best = self.error(curve[0]), self.error(min(curve))
        if best < MUCH * start:
            return max(self.fewest, FEWEST_AFTER_MUCH) / self.steps
        return min(self.fewest, np.inf if best < start else MOST_STEPS_WITHOUT_GAIN) / self.steps
