"""Loss terms, one value a row, and their weighted sum."""

import math

import torch
from torch import nn

LEAST_SQUARE = 1e-12  # of a unit of the code, whose own is about 1
LEAST_RATE = 0.01  # of activation, and of rest, where the divergence still has a slope
NEWEST = 0.05  # of a batch in the activation rate that training sees
MOST_COMPARED = 1024  # held-out rows: all pairs of them are in memory
RAMP = 0.5  # in units of a unit's root mean square


class SquaredError(nn.Module):
    r"""Squared reconstruction error as a share of the total variance.

    .. math:: \ell_i = \sum_j w_j (x_{ij} - \hat x_{ij})^2

    With :math:`w_j` the variance of column j over the total variance, and x in
    standardised units, its mean over the training rows is the unexplained
    share of variance: the loss that PCA minimises among linear maps.

    Parameters
    ----------
    column_weights : Tensor of shape (n_features,)

    Further columns of the target, labels, are ignored.
    """

    def __init__(self, column_weights):
        super().__init__()
        self.register_buffer("column_weights", column_weights)

    def forward(self, outputs, target):
        """Return the error of each row, of shape (n_samples,)."""
        target = target[..., : len(self.column_weights)]
        return (outputs.reconstruction - target).square() @ self.column_weights


class LabelError(nn.Module):
    r"""Error of predicted labels, relative to that of their mean or shares.

    For numbers the squared error over the variance, for classes the
    cross-entropy over that of their shares; with several labels the mean. The
    outputs are those of a `PredictingAutoencoder`: numbers, standardised, and
    a score for each class. The labels are the last columns of the target: a
    standardised number, or 1 in the column of a class and 0 in those of the
    others, less the shares of the classes; NaN where there is no label.

    Parameters
    ----------
    columns : list of slice
        Position of each label among the predictions.
    are_classes : list of bool
    shares : Tensor of shape (n_targets,)
        Shares of the classes; 0 for numbers.
    weights : list of float
        Weight of the error of each label.
    """

    def __init__(self, columns, are_classes, shares, weights):
        super().__init__()
        self.columns, self.are_classes, self.weights = columns, are_classes, weights
        self.register_buffer("shares", shares)

    def forward(self, outputs, target):
        """Return the error of each row, of shape (n_samples,)."""
        return self.errors(outputs.prediction, target[..., -len(self.shares) :])

    def errors(self, prediction, target):
        """Return the error of each row, of shape (..., n_samples)."""
        return sum(
            weight * self._error(prediction[..., place], target[..., place], self.shares[place])
            if is_class
            else weight * (prediction - target)[..., place].nan_to_num(nan=0.0).square().sum(-1)
            for place, is_class, weight in zip(
                self.columns, self.are_classes, self.weights, strict=True
            )
        )

    @staticmethod
    def _error(scores, target, shares):
        """Return the cross-entropy of classes."""
        return -(scores.log_softmax(-1) * (target + shares).nan_to_num(nan=0.0)).sum(-1)

    def slopes(self, prediction, target):
        """Return the derivative of `errors` by the prediction."""
        slopes = torch.empty_like(prediction)
        for place, is_class, weight in zip(
            self.columns, self.are_classes, self.weights, strict=True
        ):
            if is_class:
                hits = (target[..., place] + self.shares[place]).nan_to_num(nan=0.0)
                slope = prediction[..., place].softmax(-1) * hits.sum(-1, keepdim=True) - hits
            else:
                slope = 2 * (prediction - target)[..., place].nan_to_num(nan=0.0)
            slopes[..., place] = weight * slope
        return slopes


class GaussianLikelihood(nn.Module):
    r"""Negative Gaussian log-likelihood of rows about their reconstruction, in nats.

    .. math:: \ell_i = \frac{1}{2} \sum_j \left(
        \frac{(x_{ij} - \hat x_{ij})^2}{\sigma^2} + \log(2 \pi \sigma^2) \right)

    with one noise variance for all columns, in the units of X, or as many as columns, that
    are learned with the weights (Rybkin, Daniilidis & Levine, Simple and effective
    VAE training with calibrated decoders, 2021,
    https://proceedings.mlr.press/v139/rybkin21a.html).

    Parameters
    ----------
    column_weights : Tensor of shape (n_features,)
        Variance of each column over ``unit``.
    unit : float
        Factor of ``exp(outputs.log_noise)`` that gives the noise
        variance in the squared units of X.
    n_columns : int or None
        Number of columns with noise; by default that of
        ``column_weights``. Coordinates of the rows' space may
        stand for more columns.

    Further columns of the target, labels, are ignored.
    """

    def __init__(self, column_weights, unit, n_columns=None):
        super().__init__()
        self.register_buffer("column_weights", column_weights)
        self.n_columns = n_columns or len(column_weights)
        self.constant = self.n_columns * math.log(2 * math.pi * unit)

    def forward(self, outputs, target):
        """Return nats of each row, of shape (..., n_samples)."""
        target = target[..., : len(self.column_weights)]
        weights, ratios = self.column_weights, outputs.log_noise_ratios
        if ratios is not None:
            weights = weights * torch.exp(-ratios)
        squares = (outputs.reconstruction - target).square() @ weights
        logarithms = self.n_columns * outputs.log_noise + self.constant
        if ratios is not None:
            logarithms = logarithms + ratios.sum()
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


class RelativeSize(nn.Module):
    r"""Mean absolute value of the code's k units, each in units of its own root mean square.

    .. math:: \ell_i = \frac1k \sum_u \frac{|z_{iu}|}{\sqrt{\frac1n \sum_m z_{mu}^2}}

    Its mean over the rows does not change with the scale of a unit: it is 1
    where all values are equally large, 0.8 where they are normal, and
    :math:`\sqrt p` where a share p of them is not zero.
    """

    def forward(self, outputs, target):
        """Return the mean over the units, of shape (n_samples,)."""
        code = outputs.code
        return (code.abs() / _root_mean_square(code)).mean(1)


class ActivationRate(nn.Module):
    r"""Kullback-Leibler divergence of each unit's activation rate from the target.

    .. math:: \frac1k \sum_u \rho \log \frac{\rho}{\hat\rho_u}
        + (1 - \rho) \log \frac{1 - \rho}{1 - \hat\rho_u}

    with :math:`\hat\rho_u` the share of the rows where unit u is not zero.
    The value of a row is linear in its own activity, and the mean over the
    rows is the divergence.

    Parameters
    ----------
    rate : float
        :math:`\rho`.
    """

    def __init__(self, rate):
        super().__init__()
        self.rate = rate
        self.earlier = None

    def forward(self, outputs, target):
        """Return the mean over the units, of shape (n_samples,)."""
        active = _activity(outputs.code)
        share = active.detach().mean(0)
        seen = self._seen(share).clamp(LEAST_RATE, 1 - LEAST_RATE)
        rest, rest_seen = 1 - self.rate, 1 - seen
        divergence = self.rate * (self.rate / seen).log() + rest * (rest / rest_seen).log()
        slope = rest / rest_seen - self.rate / seen
        return (divergence + slope * (active - share)).mean(1)

    def get_extra_state(self):
        """Return the share over the last batches, for a training that goes on."""
        return self.earlier

    def set_extra_state(self, state):
        """Go on from a share over earlier batches."""
        self.earlier = state

    def _seen(self, share):
        """Return the share over the last batches: a single one would push it above the target."""
        if not self.training:
            return share
        earlier = share if self.earlier is None else self.earlier.to(share.device)
        self.earlier = torch.lerp(earlier, share, NEWEST)
        return self.earlier


def _activity(code):
    """Return 1 where a unit is not zero, else 0.

    The gradient is that of a ramp, so that its mean over rows estimates how
    the share changes with the threshold, from the values just above it.
    """
    ramp = (code.abs() / (RAMP * _root_mean_square(code))).clamp(max=1)
    return ramp + ((code != 0).to(code.dtype) - ramp).detach()


def _root_mean_square(code):
    return code.square().mean(0).clamp(min=LEAST_SQUARE).sqrt()


class Contraction(nn.Module):
    r"""Squared Frobenius norm of the encoder's Jacobian, each unit in its own spread.

    .. math:: \ell_i = \sum_u \frac1{s_u^2}
        \left\lVert \frac{\partial z_u}{\partial x}(x_i) \right\rVert^2, \quad
        s_u = \sqrt{\pi / 2} \; \mathrm{E} |z_u - \mathrm{E} z_u|

    The spread is the standard deviation of a normal unit.

    The outputs are those of a `SlopedAutoencoder`.
    """

    def forward(self, outputs, target):
        """Return the norm at each row, of shape (n_samples,)."""
        return outputs.slopes.sum(1)


class ContrastiveError(nn.Module):
    r"""Normalised temperature-scaled cross-entropy of two views of each row (NT-Xent), in nats.

    .. math:: \ell_i = \frac12 (\ell(u_i, v_i) + \ell(v_i, u_i)), \quad
        \ell(a, b) = -\log \frac{e^{a \cdot b / \tau}}{\sum_{c \neq a} e^{a \cdot c / \tau}}

    with u and v the projections of both views at unit length, and c all other
    projections of the batch: 2 n - 1 for n rows. In evaluation, batches of more
    than ``MOST_COMPARED`` rows are split into groups.

    Parameters
    ----------
    temperature : float
        :math:`\tau`.
    """

    def __init__(self, temperature):
        super().__init__()
        self.temperature = temperature

    def forward(self, outputs, target):
        """Return the nats of each row, of shape (n_samples,)."""
        n_groups = 1 if self.training else -(-len(target) // MOST_COMPARED)
        parts = (views.tensor_split(n_groups) for views in outputs)
        return torch.cat([self._nats(*pair) for pair in zip(*parts, strict=True)])

    def _nats(self, first, second):
        both, n = nn.functional.normalize(torch.cat([first, second])), len(first)
        likeness = (both @ both.T / self.temperature).fill_diagonal_(-torch.inf)
        other = torch.arange(2 * n, device=both.device).roll(n)
        nats = nn.functional.cross_entropy(likeness, other, reduction="none")
        return (nats[:n] + nats[n:]) / 2


class Deception(nn.Module):
    r"""How sure a discriminator is that codes are not drawn from the prior, in nats.

    .. math:: \ell_i = -\log D(z_i) = \log(1 + e^{-a_i})

    with a the logits: the non-saturating loss of a generator
    (Goodfellow et al., Generative adversarial nets, 2014,
    https://arxiv.org/abs/1406.2661). The discriminator changes with every
    step, so for held-out rows the loss is zero.
    """

    def forward(self, outputs, target):
        """Return nats of each row, of shape (n_samples,)."""
        if not self.training:
            return torch.zeros_like(outputs.realness)
        return nn.functional.softplus(-outputs.realness)


class Objective(nn.Module):
    """A weighted sum of loss terms, one value a row.

    Parameters
    ----------
    **terms : (nn.Module, float)
        Each term is called as ``term(outputs, target)`` and returns a tensor
        of shape (n_samples,), or (n_draws, n_samples), which is averaged
        over draws; the float is its weight.
    rising : str or None
        The term whose weight rises at the beginning of training.

    Attributes
    ----------
    risen : float
        The share of that weight that training has reached. Held-out rows
        always use the full weight.
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
