"""The task of a supervised head on the encoder of a fitted model."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import Ridge
from torch import nn

from skae._data.labels import LabelledRows
from skae._data.rows import Rows
from skae._model.head import HeadModel, kernel, seen_of
from skae._model.model import Model
from skae._tasks.base import Task
from skae._training.held_out import CROSS_FITTED_ROWS, FOLDS
from skae.corruption import Jitter
from skae.losses import Objective
from skae.nn.autoencoders import Outputs
from skae.nn.layers import Linear

INTERCEPT_PENALTY = 1e-3  # that of the coefficients is 1
NOISE = 0.5  # on standardised rows: with a tenth of it the network soon became too sure of itself
SOLVER = {"maxiter": 2000, "maxcor": 30, "ftol": 1e-15, "gtol": 1e-10}
KERNEL_C = 10.0  # inverse strength of the penalty of a kernel head; that of a linear one is 1
LEAST_EIGENVALUE = 1e-10  # of a kernel, relative to its largest
CELLS = 2**22  # at most, that a head beside a decoder is solved on
TOLERANCE = 1e-3  # of the held-out loss of the head alone: less is no improvement


def logistic_head(codes, targets, weight, solver=SOLVER):
    """Return coefficients and intercepts of multinomial logistic regression, ``C=1``.

    The intercepts are penalised a little: a class without rows has a finite one.
    """
    codes = np.column_stack([codes, np.ones(len(codes))])
    penalty = np.append(np.ones(codes.shape[1] - 1), INTERCEPT_PENALTY)

    def objective(flat):
        head = flat.reshape(targets.shape[1], -1)
        log_share = log_softmax(codes @ head.T, axis=1)
        slope = weight[:, None] * (np.exp(log_share) - targets)
        loss = np.sum(penalty * head**2) / 2 - np.sum(weight[:, None] * targets * log_share)
        return loss, (slope.T @ codes + penalty * head).ravel()

    first = np.zeros(targets.shape[1] * codes.shape[1])
    head = minimize(objective, first, jac=True, method="L-BFGS-B", options=solver).x
    head = head.reshape(targets.shape[1], -1)
    return head[:, :-1], head[:, -1]


def ridge_head(codes, targets, weight):
    """Return coefficients and intercepts of ridge regression, ``alpha=1``."""
    ridge = Ridge().fit(codes, targets, weight)
    coef = ridge.coef_.reshape(targets.shape[1], -1)
    return coef, np.broadcast_to(ridge.intercept_, len(coef)).copy()


def some_of(rows, width):
    """Return rows, or of very many a part, evenly spread."""
    most = max(1, CELLS // width)
    return rows.subset(np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int))


def cross_entropy(outputs, targets):
    """Return minus the log-probability of each row's class."""
    return -np.sum(targets * log_softmax(outputs, axis=1), axis=1)


def squared_error(outputs, targets):
    return np.mean((outputs - targets) ** 2, axis=1)


LOSSES = {"classes": cross_entropy, "numbers": squared_error}


class Predictor(nn.Module):
    """The encoder of an autoencoder and a linear head on its code; inputs beyond ``width`` are targets, and not seen."""

    def __init__(self, autoencoder, width, n_components, n_outputs):
        super().__init__()
        autoencoder.decoder.requires_grad_(False)
        self.autoencoder, self.width = autoencoder, width
        self.head = Linear(n_components, n_outputs)

    def forward(self, x):
        code = self.autoencoder.encode(x[:, : self.width])
        return Outputs(self.head(code), code)


class CrossEntropy(nn.Module):
    """Minus the log-probability of a row's class; classes are the last columns, one-hot."""

    def forward(self, outputs, target):
        scores = outputs.reconstruction
        return -(scores.log_softmax(1) * target[:, -scores.shape[1] :]).sum(1)


class TargetError(nn.Module):
    """Mean squared error of the last columns, the targets."""

    def forward(self, outputs, target):
        prediction = outputs.reconstruction
        return (prediction - target[:, -prediction.shape[1] :]).square().mean(1)


HEADS = {"classes": (logistic_head, CrossEntropy), "numbers": (ridge_head, TargetError)}


def kernel_head(seen, targets, weight, solve):
    """Return dual coefficients and intercepts of a head on the Gaussian kernel of rows.

    It is the linear head on the kernel's own coordinates of the rows, its
    penalty over ``KERNEL_C``: kernel logistic regression, or kernel ridge.
    """
    values, vectors = np.linalg.eigh(kernel(seen, seen))
    sure = values > LEAST_EIGENVALUE * values[-1]
    roots = np.sqrt(KERNEL_C * values[sure])
    coef, intercept = solve(vectors[:, sure] * roots, targets, weight)
    return coef * KERNEL_C / roots @ vectors[:, sure].T, intercept


@dataclass(frozen=True)
class LinearHead:
    """Where fine-tuning starts: rows and targets, side by side, in what units, and a solved head."""

    mean: np.ndarray
    scale: np.ndarray
    deviations: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    shares: ClassVar = None  # no prefixes of the code are compared

    @property
    def units(self):
        return self.mean, self.scale


def units_of(encoder, beside):
    """Return the units in which a head sees code and columns: alike in sum, squares of 1 in the mean.

    The columns count in the units in which the autoencoder's loss counts them.
    """
    parts = [encoder.code_scale]
    if beside:
        parts.append(np.sqrt(encoder.baseline.column_weights))
    size = sum(map(len, parts))
    parts = [part * np.sqrt(size / len(parts) / (np.sum(part**2) or 1.0)) for part in parts]
    return np.concatenate([parts[0] / encoder.code_scale, *parts[1:]])


@dataclass(frozen=True, kw_only=True, eq=False)
class Head(Task):
    """Predict targets from the code of a fitted model; encoder and head are trained together.

    Rows have their targets as last columns.

    Attributes
    ----------
    encoder_model : Model
    targets : ndarray of shape (n_samples, n_outputs)
        Standardised.
    weight : ndarray of shape (n_samples,)
    kind : {"classes", "numbers"}
    codes : ndarray of shape (n_samples, n_components)
        Whitened codes of the rows before training.
    everything : Rows
        All rows, those without targets too: where they lie, the trained
        encoder is trusted.
    """

    encoder_model: Model
    targets: np.ndarray
    weight: np.ndarray
    kind: str
    codes: np.ndarray
    everything: Rows

    decodes: ClassVar = False
    keeps_up: ClassVar = False
    keeps_training_rows: ClassVar = False

    @classmethod
    def of(cls, model, X, targets, weight, kind, everything):
        """Return the task of rows that the schema read, and of their targets."""
        return cls(
            schema=model.schema,
            n_components=model.task.size,
            encoder_model=model,
            targets=targets,
            weight=np.ones(len(targets)) if weight is None else weight,
            kind=kind,
            codes=model.encode(X).astype(np.float64) / model.code_scale,
            everything=model.schema.rows(everything, mean=model.baseline.mean),
        )

    def rows(self, X, weight=None):
        """Return rows with their targets beside them."""
        mean = self.encoder_model.baseline.mean
        return LabelledRows(self.schema.rows(X, None, weight, mean), self.targets)

    @property
    def model(self):
        """What makes the fitted model: the task itself."""
        return self

    def sized(self, n_components, n_rows):
        return replace(self, size=n_components, hidden=self.encoder_model.task.hidden)

    @property
    def n_within_range(self):
        return self.schema.n_numbers if self.encoder_model.task.has_baseline else 0

    @property
    def draws_from_global(self):
        return self.encoder_model.task.draws_from_global

    def step_flops(self, batch_size):
        return self.encoder_model.task.step_flops(batch_size)

    # where training starts --------------------------------------------------------------------

    def baseline(self, rows, n_components, rng):
        """Return the head that is best on some of the rows, with the encoder as it is.

        It is solved in units of the code over their root mean square, so that
        units of the code that vary little count little.
        """
        encoder, n_outputs = self.encoder_model, self.targets.shape[1]
        unit = encoder.code_scale / np.sqrt(np.mean(encoder.code_scale**2))
        codes, targets = self.codes[rows.index] * unit, self.targets[rows.index]
        coef, intercept = HEADS[self.kind][0](codes, targets, self.weight[rows.index])
        mean, scale = encoder.baseline.units
        mean, scale = np.append(mean, np.zeros(n_outputs)), np.append(scale, np.ones(n_outputs))
        return LinearHead(mean, scale, encoder.code_scale, coef * unit, intercept)

    def baseline_is_best(self, baseline):
        """Return False: what the encoder learns can always help."""
        return False

    def solved(self, rows):
        """Return the `HeadModel` of the head that is best on rows, with the encoder as it is."""
        head = self.baseline(rows, self.n_components, None)
        return HeadModel(self.encoder_model, head.coef / head.deviations, head.intercept)

    def heads(self, X):
        """Return the heads that are compared, each a `OneHead` of the rows X, simple ones first."""
        parts = [(beside, seen_of(self.encoder_model, X, beside)) for beside in (False, True)]
        return [
            OneHead(self, seen, beside, by_kernel)
            for beside, seen in parts
            for by_kernel in (False, True)
        ]

    def network(self, generator, linear=False):
        module = self.encoder_model.trainable(generator)
        return Predictor(module, self.schema.width, self.size, self.targets.shape[1])

    @torch.no_grad()
    def start_at(self, module, baseline):
        module.head.weight.copy_(torch.from_numpy(baseline.coef))
        module.head.bias.copy_(torch.from_numpy(baseline.intercept))

    # what is minimised ------------------------------------------------------------------------

    def objective(self, baseline):
        return Objective(prediction=(HEADS[self.kind][1](), 1.0))

    def corruption(self, baseline):
        return Jitter(NOISE)

    def held_out_corruption(self, baseline):
        """Return None: held-out rows are as they are."""

    def score(self, loss):
        return -loss

    def describe(self, model, rows):
        """Return nothing: what a fit records of the code is the autoencoder's."""
        return {}

    # the fitted model -------------------------------------------------------------------------

    def settled(self, task, module, baseline, device, rows):
        """Return the `HeadModel` of a trained module; of the solved head, where it is None."""
        model = self.encoder_model
        if module is None:
            return HeadModel(model, baseline.coef / model.code_scale, baseline.intercept)
        encoder = model.settled(
            model.task,
            module.autoencoder,
            model.present_baseline,
            device,
            self.everything,
            before=model,
        )
        encoder.baseline = model.baseline
        coef, intercept = (p.detach().double().cpu().numpy() for p in module.head.parameters())
        return HeadModel(encoder, coef / encoder.code_scale, intercept)


@dataclass(frozen=True)
class OneHead:
    """One way to a head: what it sees of the rows with targets, linear or by a kernel, as in a `HeadModel`."""

    task: Head
    seen: np.ndarray
    beside: bool
    by_kernel: bool

    def fitted(self, index):
        """Return the `HeadModel` of the rows at places ``index``."""
        units = units_of(self.task.encoder_model, self.beside)
        seen = self.seen[index] * units
        of_rows = seen, self.task.targets[index], self.task.weight[index]
        solve = HEADS[self.task.kind][0]
        if self.by_kernel:
            coef, intercept = kernel_head(*of_rows, solve)
            return HeadModel(self.task.encoder_model, coef, intercept, units, seen, self.beside)
        coef, intercept = solve(*of_rows)
        return HeadModel(self.task.encoder_model, coef * units, intercept, beside=self.beside)

    def loss(self, pairs):
        """Return the mean loss of held-out rows; pairs are (training rows, held-out rows)."""
        total = weight = 0.0
        for train, held_out in pairs:
            outputs = self.fitted(train.index).of_seen(self.seen[held_out.index])
            of_row = self.task.weight[held_out.index]
            total += of_row @ LOSSES[self.task.kind](outputs, self.task.targets[held_out.index])
            weight += of_row.sum()
        return total / weight


def compared(task, fit, X, pairs):
    """Return a fit with the head that loses least on held-out rows: its own, or another on its rows.

    The linear head on the code alone is the measure: what fine-tuning gained
    is expressed as a share of that head's loss. With many rows fine-tuning needs no rival.
    """
    if len(task.targets) > CROSS_FITTED_ROWS:
        return fit
    heads = task.heads(X)
    losses = [head.loss(pairs) for head in heads]
    curve = fit.held_out_curve
    tuned = losses[0] * min(curve) / curve[0] if fit.best_iter else losses[0]
    best = int(np.argmin(losses))
    if losses[best] >= tuned:
        return fit
    model = heads[best].fitted(np.arange(len(task.targets)))
    return replace(fit, model=model, best_iter=0)


def dealt(rows, targets, fraction, rng):
    """Return pairs (training rows, held-out rows), dealt out in the order of the targets.

    So folds have like shares of each class, or like distributions of a number.
    """
    order = np.lexsort((rng.permutation(len(rows)), targets @ np.arange(1, targets.shape[1] + 1)))
    cross_fit = len(rows) <= CROSS_FITTED_ROWS
    n_parts = FOLDS if cross_fit else max(2, round(1 / fraction))
    parts = [np.sort(order[i::n_parts]) for i in range(n_parts if cross_fit else 1)]
    return [(rows.subset(np.setdiff1d(order, part)), rows.subset(part)) for part in parts]
