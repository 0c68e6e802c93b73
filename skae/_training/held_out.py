"""The judgement: a model is kept only where held-out rows show that it is better than the baseline."""

import numpy as np
import torch

FEWEST_ROWS = 30  # of fewer, a gain cannot be distinguished from chance
FEWEST_EFFECTIVE = 15  # rows, where their weights differ: (sum w)^2 / sum w^2
CROSS_FITTED_ROWS = 500  # up to here folds judge, above it one held-out part
FOLDS = 5
FEWER_FOLDS, FEWER_FROM = 3, 200  # of so many rows of numbers
FEWEST_HELD_OUT = 30
STANDARD_ERRORS, FEWER = 2.0, 1.0
TRIMMED = 0.05  # of the gains, left out at either end
ROWS_AT_ONCE = 4096
OUTLIER_QUANTILE, OUTLIER_FACTOR = 0.99, 2.0


def split(rows, fraction, rng, cross_fit=True):
    """Return pairs (training rows, held-out rows): folds for small data, one pair for large."""
    order = rng.permutation(len(rows))
    if cross_fit and len(rows) <= CROSS_FITTED_ROWS and not rows.reduce.shared:
        fewer = rows.blocks is None and len(rows) >= FEWER_FROM
        parts = np.array_split(order, FEWER_FOLDS if fewer else FOLDS)
    else:
        parts = [order[: n_held_out(fraction, len(rows))]]
    return [(rows.subset(_others(p, len(rows))), rows.subset(np.sort(p))) for p in parts]


def _others(places, n_rows):
    """Return the places of the other rows."""
    others = np.ones(n_rows, dtype=bool)
    others[places] = False
    return np.flatnonzero(others)


def n_held_out(fraction, n_rows):
    """Return how many of so many rows are held out in one part."""
    return min(max(round(fraction * n_rows), FEWEST_HELD_OUT), max(1, n_rows // 3))


class HeldOutCurves:
    """The objective of held-out rows, epoch by epoch, for one or several trainings.

    Parameters
    ----------
    weights : list of ndarray
        Row weights of each training's held-out rows.
    start : list of ndarray
        The baseline's objectives of these rows, before the first epoch.
    """

    def __init__(self, weights, start):
        self.judged = [np.isfinite(losses) for losses in start]
        if not any(judged.any() for judged in self.judged):
            raise ValueError(
                "No held-out row can be compared: all are beyond the range of float32 in units of the "
                "training rows. Check the units of X_val, or scale the columns."
            )
        start = self._judged_rows(start)
        everything = np.concatenate(start)
        limit = OUTLIER_FACTOR * np.quantile(everything, OUTLIER_QUANTILE)
        self.weights = [
            weight * _influence(losses, limit)
            for weight, losses in zip(self._judged_rows(weights), start, strict=True)
        ]
        self.epochs = [start]
        self.curve = [self._mean(start)]
        self.best = 0

    def add(self, losses):
        """Take in an epoch; return whether it is the best so far."""
        losses = self._judged_rows(losses)
        self.curve.append(self._mean(losses))
        improved = self.curve[-1] < self.curve[self.best]
        if improved:
            self.best = len(self.curve) - 1
        if len(losses) == 1:  # a single training needs its first and best epochs only
            self.epochs = [self.epochs[0], losses] if improved else self.epochs
        else:
            self.epochs.append(losses)
        return improved

    def _judged_rows(self, values):
        """Leave out rows so far from the training rows that the baseline's objective overflows."""
        return [value[judged] for value, judged in zip(values, self.judged, strict=True)]

    def mean(self, losses):
        """Return the mean objective that the curve would have for such rows."""
        return self._mean(self._judged_rows(losses))

    def row_weights(self):
        """Return the weight of every held-out row of each training; 0 where it is not judged."""
        everything = [np.zeros(len(judged)) for judged in self.judged]
        for place, judged, weight in zip(everything, self.judged, self.weights, strict=True):
            place[judged] = weight
        return everything

    def state_dict(self):
        """Return what the epochs so far have shown, the baseline aside."""
        epochs = [[losses.tolist() for losses in epoch] for epoch in self.epochs[1:]]
        return {"epochs": epochs, "curve": self.curve, "best": self.best}

    def load_state_dict(self, state):
        """Go on from a `state_dict`."""
        self.epochs[1:] = [[np.array(losses) for losses in epoch] for epoch in state["epochs"]]
        self.curve, self.best = list(state["curve"]), state["best"]

    def rewind(self, epoch):
        """Forget what came after an epoch: 0, the baseline, or for a single training its best."""
        del self.curve[epoch + 1 :]
        if len(self.weights) > 1:
            del self.epochs[epoch + 1 :]
        self.best = epoch

    def accept(self):
        r"""Return whether the gain over the baseline is significant.

        The gain of a row is the baseline's objective less that of the best
        epoch, times its weight. Their mean must exceed twice its standard
        error; or once, where without the 5 % largest and the 5 % smallest
        gains it exceeds twice its own (Tukey & McLaughlin, Less vulnerable
        confidence and significance procedures, 1963,
        https://www.jstor.org/stable/25049278): a few large gains hide a common
        one from the plain standard error, and a few large losses must not
        hide among the trimmed. With several trainings each fold's epoch is
        chosen on the other folds, so that no row takes part in the choice it
        judges.
        """
        if self.best == 0:
            return False
        starts, bests = map(np.concatenate, zip(*self._judged(), strict=True))
        if not np.isfinite(bests).all():  # of a fold whose epoch others chose
            return False
        gains = starts - bests
        weight = np.concatenate(self.weights)
        if weight.sum() ** 2 / np.sum(weight**2) < FEWEST_EFFECTIVE:
            return False
        gains = np.sort(gains * weight)
        n_out, n = int(TRIMMED * len(gains)), len(gains)
        inner = gains[n_out : n - n_out]
        error = standard_error(gains.clip(inner[0], inner[-1])) / (1 - 2 * TRIMMED)
        common = inner.mean() > STANDARD_ERRORS * error
        return bool(gains.mean() > (FEWER if common else STANDARD_ERRORS) * standard_error(gains))

    def _judged(self):
        """Yield, for each training, its rows' objectives under the baseline and at the chosen epoch."""
        if len(self.weights) == 1:
            yield self.epochs[0][0], self.epochs[-1][0]
            return
        sums = np.array(
            [[w @ x for w, x in zip(self.weights, epoch, strict=True)] for epoch in self.epochs]
        )
        for fold in range(len(self.weights)):
            others = np.delete(sums, fold, axis=1).sum(axis=1)
            yield self.epochs[0][fold], self.epochs[int(np.argmin(others))][fold]

    def _mean(self, losses):
        return float(np.average(np.concatenate(losses), weights=np.concatenate(self.weights)))


def standard_error(values):
    """Return the standard error of a mean."""
    return values.std(ddof=1) / np.sqrt(len(values))


@torch.no_grad()
def gains_over(module, part, baseline, least, n_numbers):
    """Return by how much each row's present numbers are predicted better than by a linear model.

    A row counts as often as it has numbers beyond the first: one alone is copied, which says
    nothing of rows that have more.

    Parameters
    ----------
    module : nn.Module
    part : StandardisedRows
    baseline : LinearModel
        Its mean and scale are those of these rows.
    least : LinearModel
        Its rows have its mean in place of missing cells.
    n_numbers : int
        Columns, the first ones, that are numbers.
    """
    module, gains = module.eval(), []
    for span in part.rows.spans(ROWS_AT_ONCE):
        x = part.here(span)
        parts = baseline.scale, least.components, (least.mean - baseline.mean) / baseline.scale
        scale, axes, mean = (torch.from_numpy(part).to(x) for part in parts)
        made, x = module.reconstruct(x), x[:, : len(scale)]  # labels may be beside rows
        by_axes = ((x - mean).nan_to_num(nan=0.0) * scale) @ axes.T @ axes / scale + mean
        theirs, ours = (
            ((rows - x) * scale)[:, :n_numbers].nan_to_num(nan=0.0).square().sum(1)
            for rows in (by_axes, made)
        )
        beyond = (x[:, :n_numbers].isfinite().sum(1) - 1).clamp(min=0)
        gains.append(((theirs - ours) * beyond).double().cpu().numpy())
    gains = part.rows.reduce.gathered(np.concatenate(gains), part.rows)
    return gains * part.row_weights


def _influence(start, limit):
    """Return weights that let no row count for more than ``limit`` under the baseline.

    The rows are judged relative to the baseline: one that the trained model
    makes worse counts in full.
    """
    return limit / np.maximum(start, limit) if limit > 0 else np.ones(len(start))
