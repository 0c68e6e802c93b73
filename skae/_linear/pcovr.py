"""Principal covariates regression: PCA of rows that have their regression beside them."""

from dataclasses import dataclass, replace
from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy import linalg
from sklearn.utils.extmath import svd_flip

from skae._linear.mixed import (
    MixedModel,
    filled,
    linear_code,
    sample,
    unexplained_of_hidden,
    with_logits,
)
from skae._linear.pca import MOST_AXES, LinearModel, assembled, columns, principal_axes, resolved

STRENGTHS = np.geomspace(1e-6, 1e2, 33)  # of the ridge, over the largest eigenvalue
STANDARD_ERRORS = 2.0  # by which held-out rows must show that the rows tell their targets


class WithHead:
    """A linear model that predicts targets from its code, by ``head`` in units of the code and ``intercept``."""

    def first(self, k):
        return replace(super().first(k), head=self.head[:, :k])


@dataclass(frozen=True)
class PCovRModel(WithHead, LinearModel):
    """Principal covariates regression of rows of numbers."""

    head: np.ndarray
    intercept: np.ndarray


@dataclass(frozen=True)
class PCovRTableModel(WithHead, MixedModel):
    """The same of a table's wide rows."""

    head: np.ndarray
    intercept: np.ndarray


class Targets(NamedTuple):
    """What is predicted.

    Attributes
    ----------
    values : ndarray of shape (n_rows, n_targets)
        NaN in rows where they are not known.
    weights : ndarray of shape (n_targets,)
        What the square of each counts: those of the training rows have a mean of 1.
    mixing : float
        What the rows count, in (0, 1]; targets count the rest.
    """

    values: np.ndarray
    weights: np.ndarray
    mixing: float


def pcovr(rows, targets, n_components, random_state):
    r"""Return principal covariates regression of rows of numbers and of their `Targets`.

    The code of rank k that minimises

    .. math:: \alpha \frac{\lVert X - Z B \rVert^2}{\lVert X \rVert^2}
        + (1 - \alpha) \frac{\lVert \hat Y - Z C \rVert^2}{\lVert Y \rVert^2}

    with :math:`\hat Y = X W` a regression of the targets (de Jong & Kiers,
    Principal covariates regression, 1992, DOI 10.1016/0169-7439(92)80100-I;
    Helfrecht et al., Structure-property maps with kernel principal covariates
    regression, 2020, DOI 10.1088/2632-2153/aba9ef). It is PCA of the rows
    :math:`[x, \tau \hat y]`, in PCA's units: where :math:`\hat y` is zero it is
    PCA of x. ``n_components`` is resolved as PCA resolves it on the rows alone.
    """
    moments = columns(rows)
    most = max(n_components, MOST_AXES) if isinstance(n_components, Integral) else n_components
    axes, values = principal_axes(rows, moments[0], most, random_state)
    k = resolved(n_components, values, rows.width, moments[-1] * len(rows), rows)
    model = assembled(moments, axes, values, k, len(rows), rows.n_repeated)
    return PCovRModel(**vars(model) | _covariates(model, rows, targets, axes, values))


def mixed_pcovr(rows, targets, n_components, random_state, hidden=0.0):
    """Return principal covariates regression of the wide rows of a table, with logits (see `mixed_pca`)."""
    model = linear_code(rows, n_components, random_state)
    whole = filled(rows, model.mean, model)
    most = max(len(model.deviations), MOST_AXES)
    axes, values = principal_axes(whole, model.mean, most, random_state)
    parts = _covariates(model, whole, targets, axes, values)
    head = {name: parts.pop(name) for name in ("head", "intercept")}
    model = replace(model, **parts)
    if rows.blocks.flagged:
        model = replace(model, unexplained=unexplained_of_hidden(rows, model, random_state))
    drawn, inertia = sample(rows, model, random_state, hidden), model.shares
    model, level = with_logits(model, *drawn)
    return PCovRTableModel(**vars(model), level=level, inertia=inertia, **head)


def _covariates(model, rows, targets, axes, values):
    """Return what of PCA is another with targets, by name, and the head; PCA's where nothing varies.

    ``model`` is PCA of the rows, which lack no cell, and the axes and singular values are theirs.
    """
    k, n_targets = len(model.deviations), targets.values.shape[1]
    rank = int(np.sum(values > values.max(initial=0) * max(len(rows), rows.width) * 1e-14))
    axes, values = axes[:rank], values[:rank]
    coef, level = regression(rows, targets, model.mean, axes, values)
    components, encoder = np.zeros((2, k, rows.width))
    head, deviations = np.zeros((n_targets, k)), np.ones(k)
    total = np.sum(model.variances)
    if not rank or not total:  # singular values of a table without variance are rounding
        return {"head": head, "intercept": level}
    lift = np.sqrt((1 - targets.mixing) / targets.mixing * total * targets.weights)
    lifted = values[:, None] * coef * lift
    both = np.diag(values**2) + lifted @ lifted.T
    used = min(k, rank)
    squares, turn = linalg.eigh(both, subset_by_index=[rank - used, rank - 1])
    lengths, turn = np.sqrt(squares[::-1]), turn[:, ::-1]
    back = (turn / lengths).T * values  # from codes to principal scores
    components[:used] = back @ axes
    varies = model.column_weights >= np.finfo(np.float64).eps ** 2  # the others are rounding
    components[:used], signs = _flipped(components[:used] * varies)
    encoder[:used] = (turn * lengths * signs).T / values @ axes * varies
    head[:, :used] = (signs[:, None] * back @ coef).T
    unbiased = rows.n_repeated / max(rows.n_repeated - 1, 1)
    deviations[:used] = lengths * np.sqrt(unbiased / len(rows))
    explained = np.sum(components[:used] ** 2, axis=1) @ lengths**2 / len(rows)
    unexplained = float(np.clip(1 - explained / total, 0, 1))
    n_left = min(rows.n_repeated, rows.width) - k
    return {
        "components": components,
        "encoder": encoder * model.scale,
        "deviations": deviations,
        "unexplained": unexplained,
        "noise_variance": unexplained * total * unbiased / n_left if n_left > 0 else 0.0,
        "head": head,
        "intercept": level,
    }


def first_axes(rows, targets, mean, axes, values, left_out):
    """Return how many principal axes hold all but a share of what their regression of targets leaves."""
    coef, _ = regression(rows, targets, mean, axes, values)
    explained = np.cumsum((values[:, None] * coef) ** 2 @ targets.weights) / len(rows)
    left = max(1 - explained[-1], 0.0)
    return int(np.argmax(explained[-1] - explained <= left_out * left)) + 1 if coef.any() else 0


def _flipped(components):
    """Return components with PCA's signs, and the signs."""
    flipped = svd_flip(None, components.copy(), u_based_decision=False)[1]
    return flipped, np.where(np.sum(flipped * components, axis=1) < 0, -1.0, 1.0)


def regression(rows, targets, mean, axes, values):
    """Return a ridge regression of targets on principal scores: coefficients, and its value at the mean.

    Its strength has the least generalised cross-validation error (Golub, Heath
    & Wahba, 1979, DOI 10.1080/00401706.1979.10489751), which is that of
    leaving out row by row, each of the same leverage. Where such errors are not
    smaller than those of the mean by two standard errors, the rows tell nothing
    of the targets, and the coefficients, (n_axes, n_targets), are zero. The scores are centred at ``mean``.
    """
    if np.isnan(targets.values).any(axis=1).all():
        return np.zeros((len(axes), len(targets.weights))), np.zeros(len(targets.weights))
    sums = _Sums.of(rows, targets, mean, axes, values)
    coef, trace = sums.best(targets.weights)
    level = sums.mean_of_targets - sums.mean_of_scores @ coef
    if not coef.any() or _is_chance(rows, targets, sums, mean, axes.T @ coef, level, trace):
        return np.zeros_like(coef), sums.mean_of_targets
    return coef, level


@dataclass(frozen=True)
class _Sums:
    """What a ridge regression needs of rows whose targets are known, in axes of its own.

    Attributes
    ----------
    n : float
        Number of these rows.
    mean_of_targets, mean_of_scores : ndarray of shapes (n_targets,), (n_axes,)
    square : ndarray of shape (n_targets,)
        Of the centred targets.
    products : ndarray of shape (n_axes, n_targets)
        Of the centred scores with the targets, along the axes of the regression.
    eigenvalues : ndarray of shape (n_axes,)
        Of the scatter matrix of the scores.
    turn : ndarray of shape (n_axes, n_axes) or None
        From these axes to the principal ones; None where all targets are known.
    """

    n: float
    mean_of_targets: np.ndarray
    mean_of_scores: np.ndarray
    square: np.ndarray
    products: np.ndarray
    eigenvalues: np.ndarray
    turn: np.ndarray | None

    @classmethod
    def of(cls, rows, targets, mean, axes, values):
        known, total = ~np.isnan(targets.values).any(axis=1), 0.0
        count, moments, scatter = 0.0, 0.0, None
        for x, weight, y in beside(rows, targets.values):
            x, weight, y = x - mean, weight * ~np.isnan(y).any(axis=1), np.nan_to_num(y, nan=0.0)
            count += weight.sum()
            both = np.column_stack([np.ones(len(x)), y])
            moments = moments + (x * weight[:, None]).T @ both
            total = total + (both * weight[:, None]).T @ both
            if not known.all():
                scores = x @ axes.T
                before = 0.0 if scatter is None else scatter
                scatter = before + (scores * weight[:, None]).T @ scores
        scores = axes @ moments
        of_scores, of_targets = scores[:, 0] / count, total[0, 1:] / count
        square = np.diag(total)[1:] - count * of_targets**2
        products = scores[:, 1:] - count * np.outer(of_scores, of_targets)
        eigenvalues, turn = values**2, None
        if scatter is not None:
            scatter = scatter - count * np.outer(of_scores, of_scores)
            eigenvalues, turn = linalg.eigh((scatter + scatter.T) / 2)
            eigenvalues, products = eigenvalues.clip(0), turn.T @ products
        n = rows.n_repeated * count / len(rows)
        return cls(n, of_targets, of_scores, square, products, eigenvalues, turn)

    def best(self, weights):
        """Return the coefficients of the best strength, and the trace of its hat matrix."""
        largest = self.eigenvalues.max(initial=0)
        coef = np.zeros_like(self.products)
        if not largest:
            return coef, 1.0
        kept = self.eigenvalues[:, None] / (self.eigenvalues[:, None] + largest * STRENGTHS)
        some = self.eigenvalues > largest * np.finfo(np.float64).eps
        explained = self.products[some] ** 2 @ weights / self.eigenvalues[some]
        left = self.square @ weights - explained @ (2 * kept - kept**2)[some]
        traces = 1 + kept.sum(axis=0)
        errors = left / np.maximum(1 - traces / self.n, np.finfo(np.float64).eps) ** 2
        place = int(np.argmin(np.where(traces < self.n, errors, np.inf)))
        coef[some] = self.products[some] * (kept[some, place] / self.eigenvalues[some])[:, None]
        return coef if self.turn is None else self.turn @ coef, traces[place]


def _is_chance(rows, targets, sums, mean, coef, level, trace):
    """Return whether rows that are left out are predicted no better by a regression than by the mean."""
    count, total, squares = 0.0, 0.0, 0.0
    for x, weight, y in beside(rows, targets.values):
        known = ~np.isnan(y).any(axis=1)
        x, weight, y = x[known] - mean, weight[known], y[known]
        of_mean = (y - sums.mean_of_targets) / (1 - 1 / max(sums.n, 2))
        left = (y - level - x @ coef) / max(1 - trace / sums.n, np.finfo(np.float64).eps)
        gains = (of_mean**2 - left**2) @ targets.weights
        count += weight.sum()
        total += weight @ gains
        squares += weight @ gains**2
    mean_gain = total / count
    error = np.sqrt(max(squares / count - mean_gain**2, 0.0) / max(sums.n - 1, 1))
    return not mean_gain > STANDARD_ERRORS * error


def beside(rows, values):
    """Yield chunks of rows, their weights and what stands beside them."""
    for span, (x, weight) in zip(rows.spans(), rows.chunks(), strict=True):
        yield x, weight, values[span]
