"""Autoencoders as torch modules: an encoder, a decoder, and what each kind gives for a batch."""

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import pad

from skae.nn.layers import ACTIVATIONS, MLP, Residual

NEW_SHARE = 0.02  # of a batch in the running moments of the code
LEAST_VARIANCE = 1e-12  # of a unit of the code, whose own is about 1


class Outputs(NamedTuple):
    """Outputs of an autoencoder for a batch: the reconstruction and the code it was made from."""

    reconstruction: torch.Tensor
    code: torch.Tensor


class Autoencoder(nn.Module):
    """An encoder and a decoder of standardised rows.

    Parameters
    ----------
    encoder : nn.Module
        Maps (n_samples, n_features) to (n_samples, n_components).
    decoder : nn.Module
        Maps (n_samples, n_components) to (n_samples, n_features).
    """

    WIDTH = 1  # columns of the encoder's output a component
    n_labels = 0  # columns beside the code that the decoder gets

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.missing = None  # what fills missing cells, of tables

    @property
    def halves(self):
        """Encoder and decoder."""
        return self.encoder, self.decoder

    def inputs(self, x):
        """Return what the encoder gets for ``x``."""
        return x if self.missing is None else self.missing(x)

    def encode(self, x):
        """Return the code of ``x``."""
        return self.encoder(self.inputs(x))

    def decoder_inputs(self, code, x):
        """Return what the decoder gets for codes of ``x``."""
        return code

    def reconstruct(self, x):
        """Return the reconstruction of ``x`` alone, from its code or the mean of it."""
        return self.decoder(self.decoder_inputs(self.encode(x), x))

    def forward(self, x, mask=None):
        """Return the reconstruction of ``x`` and its code; a mask truncates the code."""
        code = self.encode(x)
        return Outputs(self.decode(code, mask), code)

    def decode(self, code, mask=None):
        """Return the reconstruction from a code, truncated by a mask if there is one."""
        return self.decoder(code) if mask is None else self.decoder(code * mask, mask)


class PredictingOutputs(NamedTuple):
    """Reconstruction, code, and what the code predicts."""

    reconstruction: torch.Tensor
    code: torch.Tensor
    prediction: torch.Tensor


class PredictingAutoencoder(Autoencoder):
    """An autoencoder with a linear head on its code that predicts labels.

    Parameters
    ----------
    encoder, decoder : nn.Module
        As in `Autoencoder`.
    head : nn.Linear
        Maps (n_samples, n_components) to (n_samples, n_targets).
    width : int
        Columns of the rows; further ones, labels, are not seen.
    """

    def __init__(self, encoder, decoder, head, width):
        super().__init__(encoder, decoder)
        self.head, self.width = head, width

    def inputs(self, x):
        """Return what the encoder gets for ``x``."""
        return super().inputs(x[..., : self.width])

    def forward(self, x, mask=None):
        """Return the `PredictingOutputs`; a mask truncates the code for decoder and head."""
        reconstruction, code = super().forward(x, mask)
        return PredictingOutputs(
            reconstruction, code, self.head(code if mask is None else code * mask)
        )


class Projections(NamedTuple):
    """Outputs of a `ContrastiveNetwork` for a batch: the projections of two views of each row."""

    first: torch.Tensor
    second: torch.Tensor


class ContrastiveNetwork(Autoencoder):
    """An encoder, and in the decoder's place a head from codes to where views are compared."""

    def forward(self, views):
        """Return the `Projections` of a pair of batches."""
        return Projections(*(self.decoder(self.encode(view)) for view in views))


class VariationalOutputs(NamedTuple):
    """Outputs of a variational autoencoder for a batch.

    ``code`` is ``mean + exp(log_variance / 2) * draws``; with several draws a
    row, code, draws and reconstruction have a leading dimension.
    """

    reconstruction: torch.Tensor
    code: torch.Tensor
    mean: torch.Tensor
    log_variance: torch.Tensor
    draws: torch.Tensor
    log_noise: torch.Tensor
    log_noise_ratios: torch.Tensor | None = None


class VariationalAutoencoder(Autoencoder):
    """An encoder to a Gaussian over codes, a decoder, and the noise about its output.

    Parameters
    ----------
    encoder : nn.Module
        Maps (n_samples, n_features) to (n_samples, 2 * n_components): the
        means, then the logarithms of the variances.
    decoder : nn.Module
        Maps (n_samples, n_components) to (n_samples, n_features).
    n_noises : int
        Numbers whose noises are learned one by one; 0 where they share one.

    Attributes
    ----------
    log_noise : Parameter of shape ()
    log_noise_ratios : Parameter of shape (n_noises,) or None
        Logarithms of what the noises of columns are over that.
    least_log_noises : Tensor of shape (n_noises,) or None
        No noise is below.
    """

    WIDTH = 2
    LEAST_LOG_NOISE = math.log(1e-8)  # so that no likelihood becomes infinite
    LOG_VARIANCES = -30.0, 10.0

    def __init__(self, encoder, decoder, n_noises=0):
        super().__init__(encoder, decoder)
        self.log_noise = nn.Parameter(torch.zeros((), dtype=torch.float32))
        ratios = nn.Parameter(torch.zeros(n_noises, dtype=torch.float32)) if n_noises else None
        least = torch.full((n_noises,), self.LEAST_LOG_NOISE) if n_noises else None
        self.register_parameter("log_noise_ratios", ratios)
        self.register_buffer("least_log_noises", least)

    def encode(self, x):
        """Return the mean of the code of ``x``."""
        return self.posterior(x)[0]

    def posterior(self, x):
        """Return mean and log-variance of the code of ``x``."""
        mean, log_variance = self.encoder(self.inputs(x)).chunk(2, dim=-1)
        return mean, log_variance.clamp(*self.LOG_VARIANCES)

    def forward(self, inputs):
        """Return the `VariationalOutputs` of rows and standard normal draws.

        The draws have shape (n_samples, n_components), or, several a row,
        (n_samples, n_draws, n_components).
        """
        x, draws = inputs
        if draws.dim() == 3:
            draws = draws.transpose(0, 1)
        mean, log_variance = self.posterior(x)
        code = torch.addcmul(mean, (0.5 * log_variance).exp(), draws)
        decoded = self.decoder(self.decoder_inputs(code, x).flatten(0, -2))
        reconstruction = decoded.unflatten(0, code.shape[:-1])
        noise = self.noise_of_whole().clamp(min=self.LEAST_LOG_NOISE), self.noise_ratios()
        return VariationalOutputs(reconstruction, code, mean, log_variance, draws, *noise)

    def noise_of_whole(self):
        """Return the logarithm of the noise about rows made from the whole code."""
        return self.log_noise

    def noise_ratios(self):
        """Return the logarithms of what columns' noises are multiplied by; None where they share one."""
        if self.log_noise_ratios is None:
            return None
        level = self.noise_of_whole().clamp(min=self.LEAST_LOG_NOISE)
        return torch.maximum(level + self.log_noise_ratios, self.least_log_noises) - level


class ConditionalAutoencoder(VariationalAutoencoder):
    """A variational autoencoder of rows whose last columns are labels that encoder and decoder get.

    Parameters
    ----------
    encoder : nn.Module
        Maps (n_samples, n_features + n_labels) to (n_samples, 2 * n_components).
    decoder : nn.Module
        Maps (n_samples, n_components + n_labels) to (n_samples, n_features).
    n_labels : int
    """

    def __init__(self, encoder, decoder, n_labels):
        super().__init__(encoder, decoder)
        self.n_labels = n_labels

    def decoder_inputs(self, code, x):
        """Return codes with the labels of ``x`` beside them."""
        labels = x[..., x.shape[-1] - self.n_labels :]
        return torch.cat([code, labels.expand(*code.shape[:-1], -1)], dim=-1)


class OrderedVariationalAutoencoder(VariationalAutoencoder):
    r"""A variational autoencoder with ordered components: each length of the code has its own noise.

    In probabilistic PCA the posterior
    variance of unit j of a code of length k, and the scale of its mean and of
    its column of the decoder, are

    .. math:: r_{jk} = \min(1, \sigma_k^2 / \lambda_j), \quad \sqrt{1 - r_{jk}}

    with :math:`\sigma_k^2` the noise variance and :math:`\lambda_j` that of
    the rows along axis j. Posterior and decoder of a truncated code are multiplied
    by their ratios to those of the full code, so that each prefix of a linear network is
    a probabilistic PCA.

    Parameters
    ----------
    encoder, decoder : nn.Module
        As in `VariationalAutoencoder`.
    n_components : int
    n_noises : int
        As in `VariationalAutoencoder`; their proportions are those of every length.

    Attributes
    ----------
    log_noise : Parameter of shape (n_components,)
        That of each length.
    log_spread : Tensor of shape (n_components,)
        Logarithm of :math:`\lambda`, in the unit of the noise; so large at
        first that nothing depends on the noise.
    """

    LOG_SHARES = math.log(1e-8), -1e-6

    def __init__(self, encoder, decoder, n_components, n_noises=0):
        super().__init__(encoder, decoder, n_noises)
        self.log_noise = nn.Parameter(torch.zeros(n_components, dtype=torch.float32))
        self.register_buffer("log_spread", torch.full((n_components,), 1e3, dtype=torch.float32))

    def noise_of_whole(self):
        """Return the logarithm of the noise about rows made from the whole code."""
        return self.log_noise[-1]

    def factors(self, lengths):
        """Return the factors of means and the logarithms of those of variances, by length."""
        share = self._log_share(self.log_noise[lengths - 1].unsqueeze(-1))
        whole = self._log_share(self.log_noise[-1])
        return (share.expm1() / whole.expm1()).sqrt(), share - whole

    def _log_share(self, log_noise):
        return (log_noise - self.log_spread).clamp(*self.LOG_SHARES)

    def forward(self, inputs, mask=None):
        """Return the `VariationalOutputs`; units that a mask drops repeat the prior, at zero."""
        if mask is None:
            return super().forward(inputs)
        x, draws = inputs
        if draws.dim() == 3:
            draws = draws.transpose(0, 1)
        lengths = mask.sum(-1).long()
        factor, log_factor = self.factors(lengths)
        mean, log_variance = self.posterior(x)
        mean, log_variance = mask * factor * mean, mask * (log_variance + log_factor)
        draws = mask * draws
        code = torch.addcmul(mean, (0.5 * log_variance).exp(), draws)
        masks = mask.expand_as(code).flatten(0, -2)
        inputs = self.decoder_inputs(factor * code, x).flatten(0, -2)
        rows = self.decoder(inputs, pad(masks, (0, self.n_labels), value=1.0))
        noise = self.log_noise[lengths - 1].clamp(min=self.LEAST_LOG_NOISE), self.noise_ratios()
        rows = rows.unflatten(0, code.shape[:-1])
        return VariationalOutputs(rows, code, mean, log_variance, draws, *noise)


class OrderedConditionalAutoencoder(OrderedVariationalAutoencoder):
    """A `ConditionalAutoencoder` with ordered components: labels stand beside every prefix.

    Parameters
    ----------
    encoder, decoder : nn.Module
        As in `ConditionalAutoencoder`.
    n_components, n_labels : int
    """

    def __init__(self, encoder, decoder, n_components, n_labels):
        super().__init__(encoder, decoder, n_components)
        self.n_labels = n_labels

    decoder_inputs = ConditionalAutoencoder.decoder_inputs


class AdversarialOutputs(NamedTuple):
    """Reconstruction, code, and the discriminator's logit of each code."""

    reconstruction: torch.Tensor
    code: torch.Tensor
    realness: torch.Tensor


class AdversarialAutoencoder(Autoencoder):
    """An autoencoder with a discriminator of its codes, which only training needs.

    Parameters
    ----------
    encoder, decoder : nn.Module
        As in `Autoencoder`.
    discriminator : nn.Module
        Maps (n_samples, n_components) to (n_samples, 1): logits of being drawn
        from the prior.
    """

    def __init__(self, encoder, decoder, discriminator):
        super().__init__(encoder, decoder)
        self.discriminator = discriminator

    def forward(self, x, mask=None):
        """Return the `AdversarialOutputs`; a mask truncates the code for the decoder."""
        reconstruction, code = super().forward(x, mask)
        return AdversarialOutputs(reconstruction, code, self.discriminator(code)[:, 0])


class SlopedOutputs(NamedTuple):
    """Reconstruction, code, and how steep each unit of the code is: see `SlopedAutoencoder`."""

    reconstruction: torch.Tensor
    code: torch.Tensor
    slopes: torch.Tensor


class SlopedAutoencoder(Autoencoder):
    """An autoencoder that also computes the slopes of its code in training.

    A slope is the squared length of a unit's gradient with respect to the
    input, over the squared spread of that unit: scaling a unit does not change
    it. The spread is the mean absolute deviation, scaled to be
    the standard deviation of a normal unit. (A few far rows could inflate the standard
    deviation itself.)

    Parameters
    ----------
    encoder, decoder : nn.Module
        As in `Autoencoder`.
    n_components : int

    Attributes
    ----------
    mean, variance : Tensor of shape (n_components,)
        Running mean and squared spread of the code over the batches; at first
        those of a whitened normal code.
    """

    def __init__(self, encoder, decoder, n_components):
        super().__init__(encoder, decoder)
        self.register_buffer("mean", torch.zeros(n_components, dtype=torch.float32))
        self.register_buffer("variance", torch.ones(n_components, dtype=torch.float32))

    def forward(self, x, mask=None):
        """Return reconstruction, code and slopes, the latter of shape (n_samples, n_components).

        A mask says what of the code is used; units that are not have no slopes.
        """
        code, squares = code_and_slopes(self.encoder, self.inputs(x))
        reconstruction = self.decode(code, mask)
        slopes = squares / self._squared_spread(code)
        return SlopedOutputs(reconstruction, code, slopes if mask is None else slopes * mask)

    def _squared_spread(self, code):
        """Return the running squared spread, with the relative gradient of this batch's.

        So scaling a unit has no gradient even while its spread changes; with
        the gradient itself a unit that grows would be driven to grow further.
        """
        if not self.training:
            return squared_spread(code, code.mean(0)).clamp(min=LEAST_VARIANCE)
        running = self.variance.clamp(min=LEAST_VARIANCE)
        spread = squared_spread(code, self.mean)
        now = spread.detach()
        self.mean.lerp_(code.detach().mean(0), NEW_SHARE)
        self.variance.lerp_(now, NEW_SHARE)
        return running * (1 + (spread - now) / torch.maximum(now, running / 2))


def squared_spread(code, mean):
    """Return the square of each unit's mean absolute deviation, times pi / 2."""
    return (code - mean).abs().mean(0).square() * (torch.pi / 2)


def code_and_slopes(encoder, x):
    """Return an encoder's code of rows and its squared slopes.

    Both have shape (n_samples, n_components). The squared slopes of a row are
    the squared lengths of the rows of the Jacobian there; their sum is its
    squared Frobenius norm. Differentiable where gradients are enabled.
    """
    by = _by_layers if _elementwise(encoder) else _by_autograd
    return by(encoder, x)


def _elementwise(encoder):
    """Return whether an encoder is a `Residual` whose `MLP` has activations of our own."""
    mlp = encoder.nonlinear if type(encoder) is Residual else False
    return mlp is None or (
        type(mlp) is MLP
        and all(
            type(a) in ACTIVATIONS.values() and not getattr(a, "inplace", False)
            for a in list(mlp)[1::2]
        )
    )


def _by_layers(encoder, x):
    """Multiply the layers' matrices with the slopes of the activations between them."""
    layers, linear = list(encoder.nonlinear or ()), encoder.linear
    straight = 0.0 if linear is None else linear.weight
    if not layers:
        code = linear(x)
        return code, straight.square().sum(1).expand_as(code)
    hidden, slopes = x, []
    for layer, activation in zip(layers[0:-1:2], layers[1::2], strict=True):
        hidden, slope = _value_and_slope(activation, layer(hidden))
        slopes.append(slope)
    code = layers[-1](hidden) if linear is None else layers[-1](hidden) + linear(x)
    if not slopes:
        return code, (layers[-1].weight + straight).square().sum(1).expand_as(code)
    outer = layers[-1].weight * slopes[-1][:, None]
    for layer, slope in zip(layers[-3:0:-2], slopes[-2::-1], strict=True):
        outer = (outer @ layer.weight) * slope[:, None]
    return code, _squared_lengths(outer, layers[0].weight, straight)


def _squared_lengths(outer, first, straight):
    """Return the squared lengths of the rows of ``outer @ first + straight``.

    A wide product is never formed: the lengths are known from that of ``first`` with itself.
    """
    if first.shape[1] <= first.shape[0]:
        return (outer @ first + straight).square().sum(-1)
    squares = (outer @ (first @ first.T) * outer).sum(-1)
    if torch.is_tensor(straight):
        squares = squares + 2 * (outer * (straight @ first.T)).sum(-1) + straight.square().sum(1)
    return squares


def _value_and_slope(activation, x):
    """Return an elementwise activation and its derivative."""
    keep = torch.is_grad_enabled()
    with torch.enable_grad():
        x = x if x.requires_grad else x.detach().requires_grad_()
        value = activation(x)
        (slope,) = torch.autograd.grad(value.sum(), x, create_graph=keep)
    return (value, slope) if keep else (value.detach(), slope)


def _by_autograd(encoder, x):
    """Differentiate any encoder that treats rows one by one, all units at once."""
    keep = torch.is_grad_enabled()
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        code = encoder(x)
        n_samples, n_components = code.shape
        units = torch.eye(n_components, dtype=x.dtype, device=x.device)
        (jacobian,) = torch.autograd.grad(
            code,
            x,
            units[:, None].expand(-1, n_samples, -1),
            create_graph=keep,
            is_grads_batched=True,
        )
        squares = jacobian.square().sum(-1).T
    return (code, squares) if keep else (code.detach(), squares.detach())
