"""The gradient of a variational autoencoder's bound, derived by hand."""

import torch
from torch.nn.functional import softplus

from skae._cells import TableLikelihood
from skae._gradients import Alone, ResidualGradient, known
from skae.losses import BernoulliLikelihood, DrawnDivergence, GaussianLikelihood
from skae.nn import ConditionalAutoencoder, VariationalAutoencoder


class VariationalGradient:
    """The mean negative bound of a variational autoencoder and its gradient in one call.

    The parameters' ``grad`` must be allocated; they are overwritten.

    Parameters
    ----------
    module : VariationalAutoencoder or ConditionalAutoencoder
    *objectives : Objective
        Of one of ``NATS``, "likelihood", and a `DrawnDivergence`,
        "divergence"; several, of as many nets in one `place`.
    place : object
        Such as `skae._gradients.Alone`.
    """

    def __init__(self, module, *objectives, place=Alone):
        self.encoder = ResidualGradient(module.encoder, place)
        self.decoder = ResidualGradient(module.decoder, place)
        self.objective, self.filled, self.told = objectives[0], module.inputs, module.told
        self.limits = module.LOG_VARIANCES
        likelihoods = [objective.terms["likelihood"] for objective in objectives]
        noise = Noise(module, place)
        self.slope = NATS[type(likelihoods[0])](noise, *likelihoods)

    @staticmethod
    def fits(module, objective):
        """Return whether this is the gradient of an objective of a module."""
        if type(module) not in (VariationalAutoencoder, ConditionalAutoencoder):
            return False
        kinds = {name: type(term) for name, term in objective.terms.items()}
        return (
            all(map(known, module.halves))
            and kinds.keys() == {"likelihood", "divergence"}
            and kinds["likelihood"] in NATS
            and kinds["divergence"] is DrawnDivergence
        )

    @torch.no_grad()
    def __call__(self, inputs, target, weight=None):
        """Return the loss and leave its gradient in the parameters' ``grad``.

        ``inputs`` are rows and draws. Of several nets a weight is over the
        number of rows.
        """
        (x, draws), weights = inputs, self.objective.weights
        share = _shares(target, weight)
        divergence = share * (weights["divergence"] * self.objective.risen)
        mean, raw = self.encoder.forward(self.filled(x)).chunk(2, dim=-1)
        log_variance = raw.clamp(*self.limits)
        spread = (0.5 * log_variance).exp_().mul_(draws)
        code = mean + spread
        rows = self.decoder.forward(self.told(code, x))
        loss, delta = self.slope(rows, target, share * weights["likelihood"])
        nats = (code.square() - draws.square()).sub_(log_variance)
        loss = loss + 0.5 * torch.sum(nats * divergence, (-2, -1))
        into_code = self.decoder.backward(delta)[..., : code.shape[-1]].addcmul_(code, divergence)
        into_log_variance = (into_code * spread).sub_(divergence).mul_(0.5)
        into_log_variance *= (raw >= self.limits[0]) & (raw <= self.limits[1])
        self.encoder.backward(torch.cat([into_code, into_log_variance], -1), to_input=False)
        return loss

    @torch.no_grad()
    def judge(self, inputs, target):
        """Return the objective of every row of several nets, over several draws a row."""
        x, draws = inputs[0], inputs[1].transpose(-2, -3)  # nets, draws, rows, units
        mean, log_variance = self.encoder.forward(x).unsqueeze(-3).chunk(2, dim=-1)
        log_variance = log_variance.clamp(*self.limits)
        code = mean + (0.5 * log_variance).exp_() * draws
        told = self.told(code, x.unsqueeze(-3)).flatten(-3, -2)
        rows = self.decoder.forward(told).unflatten(-2, code.shape[-3:-1])
        weights = self.objective.weights
        nats = (code.square() - draws.square()).sub_(log_variance).sum(-1)
        losses = self.slope.judge(rows, target.unsqueeze(-3)) * weights["likelihood"]
        return losses.add_(nats, alpha=0.5 * weights["divergence"]).mean(-2)


def _shares(target, weight):
    """Return the share of each row in the mean, of shape (..., n_samples, 1)."""
    n_samples = target.shape[-2]
    if weight is None:
        return target.new_full((n_samples, 1), 1 / n_samples)
    return weight if weight.dim() == 3 else weight[:, None] / n_samples


class Noise:
    """The noise about a reconstruction: its logarithm, and where the gradient of that goes."""

    def __init__(self, module, place):
        self.least = module.LEAST_LOG_NOISE
        self.value, self.grad = place.views(module.log_noise)

    @property
    def logarithm(self):
        """The logarithm of the variance, of shape () or (n_nets, 1, 1)."""
        return self.value.clamp(min=self.least)

    def backward(self, grad):
        """Leave the gradient; below the least there is none."""
        self.grad.copy_(grad * (self.value >= self.least).view(grad.shape))


class GaussianSlope:
    """The mean of a `GaussianLikelihood` and its derivatives."""

    stacks = True

    def __init__(self, noise, *terms):
        self.noise, self.n_columns = noise, len(terms[0].column_weights)
        self.column_weights, self.constant = terms[0].column_weights, terms[0].constant
        if len(terms) > 1:
            constants = [term.constant for term in terms]
            self.column_weights = torch.stack([term.column_weights for term in terms])[:, None]
            self.constant = self.column_weights.new_tensor(constants)[:, None, None]

    def __call__(self, reconstruction, target, share):
        """Return mean and derivative by the reconstruction, which is overwritten."""
        log_noise = self.noise.logarithm
        residual = reconstruction.sub_(target[..., : self.n_columns])
        delta = (residual * share).mul_(self.column_weights * torch.exp(-log_noise))
        squares, total = torch.sum(delta * residual, (-2, -1)), torch.sum(share, (-2, -1))
        self.noise.backward(0.5 * (self.n_columns * total - squares))
        logarithms = (self.n_columns * log_noise + self.constant).view(total.shape)
        return 0.5 * (squares + total * logarithms), delta

    def judge(self, reconstruction, target):
        """Return nats of each row of several nets, of shape (n_nets, n_draws, n_samples)."""
        log_noise, column_weights = self.noise.logarithm, self.column_weights[:, None]
        errors = reconstruction.sub_(target[..., : self.n_columns]).square_()
        squares = torch.sum(errors.mul_(column_weights), -1)
        logarithms = self.n_columns * log_noise + self.constant
        return 0.5 * (squares * torch.exp(-log_noise) + logarithms)


class BernoulliSlope:
    """The mean of a `BernoulliLikelihood` and its derivative; there is no noise to learn."""

    stacks = False

    def __init__(self, noise, term):
        self.term = term
        noise.backward(torch.zeros_like(noise.value))

    def __call__(self, reconstruction, target, share):
        """Return mean and derivative by the reconstruction."""
        term = self.term
        logits = torch.addcmul(term.level, reconstruction, term.scale)
        x = torch.addcmul(term.mean, target, term.scale)
        loss = torch.sum((softplus(logits) - x * logits).mul_(share))
        return loss, logits.sigmoid_().sub_(x).mul_(term.scale).mul_(share)


class TableSlope:
    """The mean of a `TableLikelihood` and its derivatives."""

    stacks = False

    def __init__(self, noise, term):
        self.noise, self.term = noise, term

    def __call__(self, reconstruction, target, share):
        """Return mean and derivative by the reconstruction, which is overwritten."""
        log_noise, term = self.noise.logarithm, self.term
        cells, n = term.cells, term.cells.n_numbers
        loss, share_of_row = 0.0, share[:, 0]
        if cells.n_cells > n:
            nats, slopes = cells.nats_and_slopes(reconstruction, target)
            loss = share_of_row @ nats.sum(1)
            torch.mul(slopes, share, out=reconstruction[:, n:])
        residual = reconstruction[:, :n] - target[:, :n]
        there = (~residual.isnan()).to(share.dtype)
        delta = reconstruction[:, :n]
        torch.mul(residual.nan_to_num_(nan=0.0), term.variances * torch.exp(-log_noise), out=delta)
        delta *= share
        squares, numbers = torch.sum(delta * residual), share_of_row @ there.sum(1)
        self.noise.backward(0.5 * (numbers - squares))
        logarithms = share_of_row @ (there @ term.constants) + numbers * log_noise
        return loss + 0.5 * (squares + logarithms), reconstruction


NATS = {
    GaussianLikelihood: GaussianSlope,
    BernoulliLikelihood: BernoulliSlope,
    TableLikelihood: TableSlope,
}
