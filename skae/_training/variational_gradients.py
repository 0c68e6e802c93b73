"""The gradient of a variational autoencoder's bound, derived by hand."""

import torch
from torch.nn.functional import pad, softplus

from skae._training.gradients import (
    HALF,
    Alone,
    ResidualGradient,
    cells_of,
    known,
    of_nets,
    shares,
)
from skae.losses import BernoulliLikelihood, DrawnDivergence, GaussianLikelihood, Objective
from skae.nn import (
    ConditionalAutoencoder,
    OrderedConditionalAutoencoder,
    OrderedVariationalAutoencoder,
    VariationalAutoencoder,
)
from skae.nn.cells import TableLikelihood


class VariationalGradient:
    r"""The mean negative bound of a variational autoencoder and its gradient in one call.

    With the code :math:`z = m + s \epsilon`, the likelihood's gradient g by the
    code, and each row's share c of the mean times the divergence's weight,

    .. math:: \frac{\partial}{\partial m} = g + c z, \quad
        \frac{\partial}{\partial \log s^2} = \tfrac12 ((g + c z) s \epsilon - c)

    The parameters' ``grad`` must be allocated; they are overwritten.

    Parameters
    ----------
    module : VariationalAutoencoder or ConditionalAutoencoder
    *objectives : Objective
        Of one of ``LIKELIHOOD_SLOPES``, "likelihood", and a `DrawnDivergence`,
        "divergence"; several, of as many nets in one `place`.
    place : object
        Such as `skae._training.gradients.Alone`.
    """

    kinds_of_module = VariationalAutoencoder, ConditionalAutoencoder

    def __init__(self, module, *objectives, place=Alone):
        self.encoder = ResidualGradient(module.encoder, place)
        self.decoder = ResidualGradient(module.decoder, place)
        self.objective, self.filled = objectives[0], place.inputs(module)
        self.decoder_inputs = module.decoder_inputs
        self.limits = module.LOG_VARIANCES
        likelihoods = [objective.terms["likelihood"] for objective in objectives]
        self.noise = self._noise(module, place)
        self.slope = LIKELIHOOD_SLOPES[type(likelihoods[0])](self.noise, *likelihoods)

    @staticmethod
    def _noise(module, place):
        return Noise(module, place)

    @classmethod
    def fits(cls, module, objective):
        """Return whether this is the gradient of an objective of a module."""
        if type(module) not in cls.kinds_of_module or type(objective) is not Objective:
            return False
        kinds = {name: type(term) for name, term in objective.terms.items()}
        return (
            all(map(known, module.halves))
            and objective.rising == "divergence"
            and kinds.keys() == {"likelihood", "divergence"}
            and kinds["likelihood"] in LIKELIHOOD_SLOPES
            and kinds["divergence"] is DrawnDivergence
        )

    def __call__(self, inputs, target, weight=None):
        """Return the loss and leave its gradient in the parameters' ``grad``.

        ``inputs`` are rows and a draw for each. Of several nets ``weight`` is
        each row's share of the mean, of shape (n_nets, n_samples, 1).
        """
        (x, draws), weights = inputs, self.objective.weights
        share = shares(target, weight)
        divergence = share * (weights["divergence"] * self.objective.risen)
        mean, raw = self.encoder.forward(self.filled(x)).chunk(2, dim=-1)
        log_variance = raw.clamp(*self.limits)
        spread = (HALF * log_variance).exp_().mul_(draws)
        code = mean + spread
        rows = self.decoder.forward(self.decoder_inputs(code, x))
        loss, delta = self.slope(rows, target, share * weights["likelihood"])
        nats = (code.square() - draws.square()).sub_(log_variance)
        loss = loss + HALF * torch.sum(nats * divergence, (-2, -1))
        into_code = self.decoder.backward(delta)[..., : code.shape[-1]].addcmul_(code, divergence)
        into_log_variance = (into_code * spread).sub_(divergence).mul_(HALF)
        into_log_variance *= raw == log_variance  # within the limits
        self.encoder.backward(torch.cat([into_code, into_log_variance], -1), to_input=False)
        return loss

    @torch.inference_mode()  # as in steps, whose places it takes
    def judge(self, inputs, target, cuts=None):
        """Return the objective of every row of several nets, over several draws; none is cut."""
        x, draws = inputs[0], inputs[1].transpose(-2, -3).contiguous()  # nets, draws, rows, units
        mean, log_variance = self.encoder.forward(self.filled(x)).unsqueeze(-3).chunk(2, dim=-1)
        log_variance = log_variance.clamp(*self.limits)
        code = mean + (HALF * log_variance).exp_() * draws
        divergence = (code.square() - draws.square()).sub_(log_variance).sum(-1)
        rows = self.decoder.forward(self.decoder_inputs(code, x.unsqueeze(-3)).flatten(-3, -2))
        nats = self.slope.judge(rows, target.repeat(1, draws.shape[-3], 1)).view(divergence.shape)
        weights = self.objective.weights
        losses = weights["likelihood"] * nats + 0.5 * weights["divergence"] * divergence
        return losses.mean(-2)


class Noise:
    """The noise about a reconstruction: its logarithm, and where the gradient of that goes.

    One for all columns, or as many as columns.
    """

    def __init__(self, module, place):
        self.least, ratios = module.LEAST_LOG_NOISE, module.log_noise_ratios
        self.value, self.grad = place.views(module.log_noise)
        self.by_column = ratios is not None
        if self.by_column:
            self.ratios, self.grad_of_ratios = place.views(ratios)
            self.least_by_column = place.buffer(module, "least_log_noises")

    @property
    def logarithm(self):
        """The logarithm of the variance, of shape () or (n_nets, 1, 1), or by column in the last."""
        level = self.value.clamp(min=self.least)
        return torch.maximum(level + self.ratios, self.least_by_column) if self.by_column else level

    def logarithms(self, n_columns):
        """Return the sum of the logarithms over so many columns, in dimensions of 1."""
        each = self.logarithm
        return each.sum(-1, keepdim=True) if self.by_column else n_columns * each

    def sum(self, cells):
        """Return the sum over rows, and over columns that share a noise."""
        return torch.sum(cells, -2 if self.by_column else (-2, -1))

    def of_all(self, sums):
        """Return the sum over all columns, of what `sum` returns."""
        return sums.sum(-1) if self.by_column else sums

    def counted(self, share, n_columns):
        """Return the sum over the shares of rows, and over columns that share a noise."""
        total = torch.sum(share, (-2, -1))
        return total.unsqueeze(-1) if self.by_column else n_columns * total

    def mean(self, logarithms, share):
        """Return the mean over rows of what `logarithms` returns."""
        total = torch.sum(share, (-2, -1))
        return total * logarithms.view(total.shape)

    def backward(self, grad):
        """Leave the gradient, given that by each noise; below the least there is none."""
        if self.by_column:
            above = self.logarithm > self.least_by_column
            grad = grad * above.view(grad.shape)
            self.grad_of_ratios.copy_(grad)
            grad = grad.sum(-1)
        self.grad.copy_(grad * (self.value >= self.least).view(grad.shape))


class OrderedGradient(VariationalGradient):
    r"""The same of an ordered code, of which each row keeps a prefix.

    Of a length l the means, and the inputs of the decoder, are multiplied by the
    factors :math:`f_l`, and the logarithms of the variances have :math:`\log r_l` added
    (see `skae.nn.OrderedVariationalAutoencoder`). Both are functions of the noise of that length,
    which gets their gradient besides the likelihood's.
    """

    kinds_of_module = OrderedVariationalAutoencoder, OrderedConditionalAutoencoder

    def __init__(self, module, *objectives, place=Alone):
        super().__init__(module, *objectives, place=place)
        self.n_labels = module.n_labels

    @staticmethod
    def _noise(module, place):
        return NoiseOfLengths(module, place)

    @classmethod
    def fits(cls, module, objective):
        return super().fits(module, objective) and module.log_noise_ratios is None

    def __call__(self, inputs, target, weight=None):
        """As in `VariationalGradient`; ``inputs`` are rows and draws, and the mask of each code."""
        ((x, draws), mask), weights, noise = inputs, self.objective.weights, self.noise
        share = shares(target, weight)
        divergence = share * (weights["divergence"] * self.objective.risen)
        factor, log_ratio = noise.take(mask)
        mean, raw = self.encoder.forward(self.filled(x)).chunk(2, dim=-1)
        log_variance = raw.clamp(*self.limits)
        code, draws, shrunk, spread = _cut(mask, factor, log_ratio, mean, log_variance, draws)
        rows = self._decoded(self.decoder_inputs(factor * code, x), mask)
        loss, delta = self.slope(rows, target, share * weights["likelihood"])
        nats = (code.square() - draws.square()).sub_(shrunk)
        loss = loss + HALF * torch.sum(nats * divergence, (-2, -1))
        into_input = self.decoder.backward(delta)[..., : code.shape[-1]]
        into_code = (into_input * factor).addcmul_(code, divergence)
        into_log_variance = (into_code * spread).sub_(divergence).mul_(mask).mul_(HALF)
        into_code *= mask
        noise.add(into_input * code + into_code * mean, into_log_variance)
        into_log_variance *= raw == log_variance  # within the limits
        self.encoder.backward(
            torch.cat([into_code * factor, into_log_variance], -1), to_input=False
        )
        return loss

    @torch.inference_mode()  # as in steps, whose places it takes
    def judge(self, inputs, target, cuts=None):
        """Return the objective of every row of several nets: its mean over draws and cuts."""
        x, draws = inputs[0], inputs[1].transpose(-2, -3).contiguous()  # nets, draws, rows, units
        mean, log_variance = self.encoder.forward(self.filled(x)).unsqueeze(-3).chunk(2, dim=-1)
        log_variance = log_variance.clamp(*self.limits)
        target, x = target.repeat(1, draws.shape[-3], 1), x.unsqueeze(-3)
        weights, losses = self.objective.weights, 0.0
        for mask, of_length in cuts.judged_masks(x.device):
            factors = (part.unsqueeze(-3) for part in self.noise.take(mask.unsqueeze(0)))
            factor, log_ratio = factors
            code, kept, shrunk, _ = _cut(mask, factor, log_ratio, mean, log_variance, draws)
            divergence = (code.square() - kept.square()).sub_(shrunk).sum(-1)
            rows = self._decoded(self.decoder_inputs(factor * code, x).flatten(-3, -2), mask)
            nats = self.slope.judge(rows, target).view(divergence.shape)
            both = weights["likelihood"] * nats + 0.5 * weights["divergence"] * divergence
            losses = losses + of_length * both.mean(-2)
        return losses

    def _decoded(self, code, mask):
        """Return rows of codes, whose labels are always kept."""
        mask = pad(mask, (0, self.n_labels), value=1.0)
        return self.decoder.forward(code, mask.expand_as(code))


def _cut(mask, factor, log_ratio, mean, log_variance, draws):
    """Return codes, draws, log-variances and deviations times draws, zero in what a mask drops."""
    draws, log_variance = mask * draws, mask * (log_variance + log_ratio)
    spread = (HALF * log_variance).exp_() * draws
    return mask * factor * mean + spread, draws, log_variance, spread


class NoiseOfLengths(Noise):
    """The same of an ordered code: each length has its own, and so each row that of its length."""

    def __init__(self, module, place):
        super().__init__(module, place)
        self.log_spread, self.limits = place.buffer(module, "log_spread"), module.LOG_SHARES

    def take(self, mask):
        """Take the lengths of codes; return factors and log-ratios of every row, (..., n_rows, k)."""
        self.hot = mask - pad(mask[..., 1:], (0, 1))  # 1 at the last unit that is kept
        raw = self.value.unsqueeze(-1) if self.value.dim() == 1 else self.value.mT
        self.raw = raw - self.log_spread
        self.share = self.raw.clamp(*self.limits)
        whole = self.share[..., -1:, :]
        self.factors = (self.share.expm1() / whole.expm1()).sqrt()
        return self.hot @ self.factors, self.hot @ (self.share - whole)

    @property
    def logarithm(self):
        """The logarithm of the variance of each row, of shape (..., n_rows, 1)."""
        return torch.sum(self.hot * self.value.clamp(min=self.least), -1, keepdim=True)

    def sum(self, cells):
        """Return the sum over the columns of each row."""
        return cells.sum(-1, keepdim=True)

    def of_all(self, sums):
        """Return the sum over all rows."""
        return sums.sum((-2, -1))

    def counted(self, share, n_columns):
        """Return the shares of rows, for each of so many columns."""
        return n_columns * share

    def mean(self, logarithms, share):
        """Return the mean over rows of what `logarithms` returns."""
        return torch.sum(logarithms * share, (-2, -1))

    def backward(self, grad):
        """Leave the gradient of the noise of each length, given that of each row's."""
        grad = torch.sum(self.hot * grad, -2)
        self.grad.copy_(grad * (self.value >= self.least).view(grad.shape))

    def add(self, into_factor, into_log_ratio):
        """Add to the gradient what comes from factors and log-ratios of rows."""
        turned = self.hot.mT
        of_factor, of_ratio = turned @ into_factor * (0.5 * self.factors), turned @ into_log_ratio
        within = (self.raw == self.share).to(of_factor.dtype)
        slopes = self.share.exp() / self.share.expm1()
        self.grad += torch.sum((of_factor * slopes + of_ratio) * within, -1)
        whole = torch.sum(of_factor * slopes[..., -1:, :] + of_ratio, -2)
        self.grad[..., -1] -= torch.sum(whole * within[..., -1, :], -1)


class GaussianSlope:
    """The mean of a `GaussianLikelihood`, of one net or several, and its derivatives."""

    stacks = True

    def __init__(self, noise, *terms):
        self.noise, self.n_columns = noise, terms[0].n_columns
        self.width = len(terms[0].column_weights)
        self.column_weights = of_nets([term.column_weights for term in terms])
        constants = [self.column_weights.new_tensor([term.constant]) for term in terms]
        self.constant = of_nets(constants)

    def __call__(self, reconstruction, target, share):
        """Return mean and derivative by the reconstruction, overwritten; leave the noise's."""
        log_noise = self.noise.logarithm
        residual = reconstruction.sub_(target[..., : self.width])
        delta = (residual * share).mul_(self.column_weights * torch.exp(-log_noise))
        noise, squares = self.noise, self.noise.sum(delta * residual)
        noise.backward(0.5 * (noise.counted(share, self.n_columns) - squares))
        logarithms = noise.logarithms(self.n_columns) + self.constant
        return 0.5 * (noise.of_all(squares) + noise.mean(logarithms, share)), delta

    def judge(self, reconstruction, target):
        """Return nats of each row of several nets."""
        log_noise = self.noise.logarithm
        errors = reconstruction.sub_(target[..., : self.width]).square_()
        squares = errors.mul_(self.column_weights * torch.exp(-log_noise)).sum(-1)
        logarithms = self.noise.logarithms(self.n_columns) + self.constant
        return 0.5 * (squares + logarithms[..., 0])


class BernoulliSlope:
    """The mean of a `BernoulliLikelihood` and its derivative; there is no noise to learn."""

    stacks = False

    def __init__(self, noise, term):
        self.noise, self.term = noise, term

    def __call__(self, reconstruction, target, share):
        """Return mean and derivative by the reconstruction; leave the noise a gradient of zero."""
        term = self.term
        self.noise.grad.zero_()
        logits = torch.addcmul(term.level, reconstruction, term.scale)
        x = torch.addcmul(term.mean, target, term.scale)
        loss = torch.sum((softplus(logits) - x * logits).mul_(share))
        return loss, logits.sigmoid_().sub_(x).mul_(term.scale).mul_(share)


class TableSlope:
    """The mean of a `TableLikelihood`, of one net or several, and its derivatives."""

    stacks = True

    def __init__(self, noise, *terms):
        self.noise, self.cells = noise, cells_of(terms)
        self.variances = of_nets([term.variances for term in terms])
        self.constants = of_nets([term.constants for term in terms])

    def __call__(self, reconstruction, target, share):
        cells, n, loss = self.cells, self.cells.n_numbers, 0.0
        if cells.n_cells > n:
            nats, slopes = cells.nats_and_slopes(reconstruction, target)
            loss = torch.sum(nats.mul_(share), (-2, -1))
            torch.mul(slopes, share, out=reconstruction[..., n:])
        log_noise, delta = self.noise.logarithm, reconstruction[..., :n]
        missing = target[..., :n].isnan()
        residual = (delta - target[..., :n]).masked_fill_(missing, 0.0)
        there = (~missing).to(share.dtype).mul_(share)
        torch.mul(residual, share, out=delta).mul_(self.variances * torch.exp(-log_noise))
        squares, total = self.noise.sum(delta * residual), self.noise.sum(there)
        self.noise.backward(0.5 * (total - squares))
        logarithms = torch.sum(there.mul_(log_noise + self.constants), (-2, -1))
        return loss + 0.5 * (self.noise.of_all(squares) + logarithms), reconstruction

    def judge(self, reconstruction, target):
        cells, log_noise = self.cells, self.noise.logarithm
        precisions = self.variances * torch.exp(-log_noise)
        nats = cells.squares(reconstruction, target).mul_(precisions)
        there = ~target[..., : cells.n_numbers].isnan()
        nats = 0.5 * nats.add_(there * (log_noise + self.constants)).sum(-1)
        return nats + cells.nats(reconstruction, target).sum(-1)


LIKELIHOOD_SLOPES = {
    GaussianLikelihood: GaussianSlope,
    BernoulliLikelihood: BernoulliSlope,
    TableLikelihood: TableSlope,
}
