"""Loss terms, one value a row, and their weighted sum."""

import math

import torch
from torch import nn


class SquaredError(nn.Module):
    r"""Squared reconstruction error as a share of the total variance.

    .. math:: \ell_i = \sum_j w_j (x_{ij} - \hat x_{ij})^2

    With :math:`w_j` the variance of column j over the total variance, and x in
    standardised units, its mean over the training rows is the unexplained
    share of variance: the loss that PCA minimises among linear maps.

    Parameters
    ----------
    column_weights : Tensor of shape (n_features,)
    """

    def __init__(self, column_weights):
        super().__init__()
        self.register_buffer("column_weights", column_weights)

    def forward(self, outputs, target):
        """Return the error of each row, of shape (n_samples,)."""
        return (outputs.reconstruction - target).square() @ self.column_weights


class GaussianLikelihood(nn.Module):
    r"""Negative Gaussian log-likelihood of rows about their reconstruction, in nats.

    .. math:: \ell_i = \frac{1}{2} \sum_j \left(
        \frac{(x_{ij} - \hat x_{ij})^2}{\sigma^2} + \log(2 \pi \sigma^2) \right)

    with one noise variance for all columns, in the units of X, that is
    learned with the weights (Rybkin, Daniilidis & Levine, Simple and effective
    VAE training with calibrated decoders, 2021,
    https://proceedings.mlr.press/v139/rybkin21a.html).

    Parameters
    ----------
    column_weights : Tensor of shape (n_features,)
        Variance of each column over ``unit``.
    unit : float
        What ``exp(outputs.log_noise)`` is multiplied by to give the noise
        variance in the squared units of X.
    """

    def __init__(self, column_weights, unit):
        super().__init__()
        self.register_buffer("column_weights", column_weights)
        self.constant = len(column_weights) * math.log(2 * math.pi * unit)

    def forward(self, outputs, target):
        """Return nats of each row, of shape (..., n_samples)."""
        squares = (outputs.reconstruction - target).square() @ self.column_weights
        logarithms = len(self.column_weights) * outputs.log_noise + self.constant
        return 0.5 * (squares * torch.exp(-outputs.log_noise) + logarithms)


class BernoulliLikelihood(nn.Module):
    r"""Negative Bernoulli log-likelihood of rows in [0, 1], in nats.

    .. math:: \ell_i = \sum_j \log(1 + e^{a_{ij}}) - x_{ij} a_{ij}

    Parameters
    ----------
    mean, scale : Tensor of shape (n_features,)
        Turn standardised targets into x.
    level : Tensor of shape (n_features,)
        The logits are ``a = scale * outputs.reconstruction + level``.
    """

    def __init__(self, mean, scale, level):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.register_buffer("level", level)

    def forward(self, outputs, target):
        """Return nats of each row, of shape (..., n_samples)."""
        logits = torch.addcmul(self.level, outputs.reconstruction, self.scale)
        x = torch.addcmul(self.mean, target, self.scale)
        return (nn.functional.softplus(logits) - x * logits).sum(-1)


class DrawnDivergence(nn.Module):
    r"""Kullback-Leibler divergence of the code from its prior at the drawn codes, in nats.

    .. math:: \ell_i = \log q(z_i | x_i) - \log p(z_i)
        = \frac{1}{2} \sum_j (z_{ij}^2 - \epsilon_{ij}^2 - \log s_{ij}^2)

    Its mean over draws is the divergence. Where q is the exact posterior, the
    sum with the likelihood is ``-log p(x)`` for every draw, without noise
    (Roeder, Wu & Duvenaud, Sticking the landing, 2017, https://arxiv.org/abs/1703.09194).
    """

    def forward(self, outputs, target):
        """Return nats of each row, of shape (..., n_samples)."""
        squares = outputs.code.square() - outputs.draws.square()
        return 0.5 * (squares - outputs.log_variance).sum(-1)


class Objective(nn.Module):
    """A weighted sum of loss terms, one value a row.

    Parameters
    ----------
    **terms : (nn.Module, float)
        Each term is called as ``term(outputs, target)`` and returns a tensor
        of shape (n_samples,), or (n_draws, n_samples), of which the mean is
        taken; the float is its weight.
    rising : str or None
        The term whose weight rises at the beginning of a training.

    Attributes
    ----------
    risen : float
        The share of that weight that training has reached. Held-out rows are
        always judged with the whole weight.
    """

    def __init__(self, rising=None, **terms):
        super().__init__()
        self.terms = nn.ModuleDict({name: term for name, (term, _) in terms.items()})
        self.weights = {name: weight for name, (_, weight) in terms.items()}
        self.rising, self.risen = rising, 1.0

    def forward(self, outputs, target):
        """Return the objective of each row, of shape (n_samples,)."""
        losses = sum(
            self._weight(name) * term(outputs, target) for name, term in self.terms.items()
        )
        return losses if losses.dim() == 1 else losses.mean(0)

    def _weight(self, name):
        rises = self.training and name == self.rising
        return self.weights[name] * (self.risen if rises else 1.0)
