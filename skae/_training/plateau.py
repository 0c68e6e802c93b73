"""Where a training ends: its held-out loss has stopped falling."""

from dataclasses import dataclass

import numpy as np

WINDOW = 0.3  # of the epochs so far
FEWEST_STEPS, EPOCHS, MOST_OF_LONG = 300, 8, 1000  # before the end; so many epochs, of long tables
FEWEST_OF_FOLDS, EPOCHS_OF_FOLDS = 200, 30  # or so many epochs, of tiny tables
GROWTH, MOST_STEPS = 0.25, 1500  # of the fewest steps, with what training has gained
SHORT_CODE, FINEST = 6, 0.4  # shorter ones rest on plateaus before they learn
MIXED = 0.5  # with categories, too, the loss falls more slowly, and longer


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
    fewest : float
        Steps before which "auto" does not end a training that gains nothing;
        where the error falls, more is to come, and they are more.
    """

    error: object
    tol: float
    n_iter: object
    warm_up: int
    steps: int
    fewest: float

    @classmethod
    def of(cls, settings, task, nets):
        """Return that of nets that are trained side by side."""
        folds, steps = len(nets) > 1, nets[0].steps_an_epoch
        few, most = EPOCHS_OF_FOLDS * steps, EPOCHS * steps
        fewest = min(FEWEST_OF_FOLDS, few) if folds else np.clip(most, FEWEST_STEPS, MOST_OF_LONG)
        fineness = _fineness(task)
        fewest /= fineness**GROWTH
        tol = settings.tol * fineness
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
        best = max(self.error(min(curve)), np.finfo(float).tiny)
        gain = max(1.0, self.error(curve[0]) / best)
        return min(self.fewest * gain**GROWTH, MOST_STEPS) / self.steps


def _fineness(task):
    """Return which part of ``tol`` counts as a gain: less where errors fall slowly, but for long."""
    fineness = np.clip(task.size / SHORT_CODE, FINEST, 1.0)
    blocks = task.schema.blocks
    if blocks is not None and len(blocks.categories):
        fineness *= MIXED
    return min(task.fineness, fineness)
