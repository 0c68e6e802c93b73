"""A supervised head on an encoder: where it starts, its module and losses, and what `Fitting` asks."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import Ridge
from torch import nn

from skae._training.net import AutoencoderNet
from skae.corruption import Jitter
from skae.losses import Objective
from skae.nn import Linear, Outputs

INTERCEPT_PENALTY = 1e-3  # that of the coefficients is 1
NOISE = 0.5  # on standardised rows: with a tenth of it the network soon became too sure of itself
SOLVER = {"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-10}
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


class Predictor(nn.Module):
    """The encoder of an autoencoder and a linear head on its code.

    Parameters
    ----------
    autoencoder : Autoencoder
        Its decoder is not used.
    n_features : int
        Its columns; inputs have further ones, the targets, which are not seen.
    n_components, n_outputs : int
    """

    def __init__(self, autoencoder, n_features, n_components, n_outputs):
        super().__init__()
        autoencoder.decoder.requires_grad_(False)
        self.autoencoder, self.n_features = autoencoder, n_features
        self.head = Linear(n_components, n_outputs)

    def forward(self, x):
        """Return the outputs of rows and their code."""
        code = self.autoencoder.encode(x[:, : self.n_features])
        return Outputs(self.head(code), code)


class CrossEntropy(nn.Module):
    """Minus the log-probability of a row's class; classes are the last columns, one-hot."""

    def forward(self, outputs, target):
        """Return the loss of each row."""
        scores = outputs.reconstruction
        return -(scores.log_softmax(1) * target[:, -scores.shape[1] :]).sum(1)


class TargetError(nn.Module):
    """Mean squared error of the last columns, the targets."""

    def forward(self, outputs, target):
        """Return the loss of each row."""
        prediction = outputs.reconstruction
        return (prediction - target[:, -prediction.shape[1] :]).square().mean(1)


@dataclass(frozen=True)
class HeadStart:
    """Where fine-tuning starts: rows and targets, side by side, in what units, and a solved head."""

    mean: np.ndarray
    scale: np.ndarray
    deviations: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    shares = None  # no prefixes of the code are compared

    @property
    def units(self):
        """Mean and scale."""
        return self.mean, self.scale


@dataclass
class FineTuning:
    """The hooks that `Fitting` calls for its estimator, where that is an encoder and a head.

    Attributes
    ----------
    solve : callable
        `logistic_head` or `ridge_head`.
    loss : nn.Module
    codes, targets, weight : ndarray
        Whitened codes of all rows at the start, what the head shall give, and
        weights, as they were given.
    code_scale : ndarray of shape (n_components,)
        Units in which the head is solved: over their root mean square, so that
        units of the code that vary little count little.
    mean, scale : ndarray
        Of rows and targets, side by side; the targets are standardised already.
    device_, max_iter, n_iter_no_change
        As in estimators.
    n_within_reach : int
        Columns of the rows that are cut off at the reach: none, where the
        encoder is not kept to one.
    """

    solve: object
    loss: nn.Module
    codes: np.ndarray
    targets: np.ndarray
    weight: np.ndarray
    code_scale: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    device_: str
    max_iter: object
    n_iter_no_change: int
    n_within_reach: int

    def _make_start(self, rows, n_components, rng):
        unit = self.code_scale / np.sqrt(np.mean(self.code_scale**2))
        codes, targets = self.codes[rows.index] * unit, self.targets[rows.index]
        coef, intercept = self.solve(codes, targets, self.weight[rows.index])
        return HeadStart(self.mean, self.scale, self.code_scale, coef * unit, intercept)

    @torch.no_grad()
    def _start_at(self, module, start):
        module.head.weight.copy_(torch.from_numpy(start.coef))
        module.head.bias.copy_(torch.from_numpy(start.intercept))

    def _kind_of_net(self):
        return AutoencoderNet

    def _pretrain(self, module, start, rows, train):
        pass

    def _make_objective(self, start):
        return Objective(prediction=(self.loss, 1.0))

    def _make_corruption(self, start):
        return Jitter(NOISE)

    def _make_held_out_corruption(self, start):
        return

    def _has_floor(self):
        return True

    def _n_within_reach(self):
        return self.n_within_reach

    def _tolerance(self, start_loss):
        return TOLERANCE * start_loss

    def _held_out_score(self, loss):
        return -loss
