"""Adversarial training: a discriminator of pairs, and the net that trains it beside its opponents."""

import torch
from torch import nn
from torch.nn.functional import softplus

from skae._training.net import LARGEST_GRADIENT, AutoencoderNet
from skae.nn import Autoencoder, Outputs


class PairDiscriminator(nn.Module):
    """Scores pairs of a standardised row and a code, each pair by itself.

    Parameters
    ----------
    features : nn.Module
        What of a row stands beside the code.
    head : nn.Module
        From both to one score.
    """

    def __init__(self, features, head):
        super().__init__()
        self.features = features
        self.head = head

    def forward(self, rows, codes):
        """Return the scores, of shape (n_samples,)."""
        return self.head(torch.cat([self.features(rows), codes], dim=1)).squeeze(1)


class Bigan(Autoencoder):
    """An encoder, a generator (``decoder``) and the discriminator of their pairs.

    Parameters
    ----------
    encoder, decoder : nn.Module
        As in `Autoencoder`.
    discriminator : PairDiscriminator
    n_components : int
    """

    def __init__(self, encoder, decoder, discriminator, n_components):
        super().__init__(encoder, decoder)
        self.discriminator = discriminator
        self.n_components = n_components


class AdversarialLoss(nn.Module):
    """What joins the adversarial losses in a training.

    Parameters
    ----------
    reconstruction : nn.Module
        Error of each row, added to the loss of encoder and generator.
    reconstruction_weight : float
        What it counts.
    gradient_penalty : float
        What the discriminator's squared slopes count.
    """

    def __init__(self, reconstruction, reconstruction_weight, gradient_penalty):
        super().__init__()
        self.reconstruction = reconstruction
        self.reconstruction_weight = reconstruction_weight
        self.gradient_penalty = gradient_penalty

    def forward(self, outputs, target):
        """Return the weighted error of each row, of shape (n_samples,)."""
        return self.reconstruction_weight * self.reconstruction(outputs, target)


class BiganNet(AutoencoderNet):
    r"""The net that trains a `Bigan`: all parts take each step at once, on losses of their own.

    With :math:`d = D(x, E(x)) - D(G(z), z)`, the lead of a real pair over a
    made one, the discriminator's loss is :math:`\log(1 + e^{-d})` plus the
    penalty of its slopes, that of encoder and generator
    :math:`\log(1 + e^d)` plus the reconstruction error.
    """

    betas = 0.5, 0.99  # of Adam: it has to forget faster where the losses move
    averaging = 0.999  # they circle about their equilibrium: a longer average is nearer to it

    def initialize_optimizer(self, triggered_directly=None):
        """Make one optimizer of all parts."""
        super().initialize_optimizer(triggered_directly)
        self.gradient = self._new_gradients
        return self

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run an epoch; record the mean losses of both sides."""
        self.losses = []
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if training:
            generator, discriminator = torch.stack(self.losses).mean(0).tolist()
            self.history.record("generator_loss", generator)
            self.history.record("discriminator_loss", discriminator)

    def train_step_single(self, batch, **fit_params):
        """Return the loss of a batch; leave gradients, none longer than the limit."""
        x, (_, weight) = batch
        loss = self._leave_gradients(x, weight)
        nn.utils.clip_grad_norm_(self.module_.parameters(), LARGEST_GRADIENT)
        return {"loss": loss, "y_pred": None}

    def _new_gradients(self, x, target, weight):
        self.optimizer_.zero_grad()
        return self._leave_gradients(x, weight)

    def _leave_gradients(self, x, weight):
        """Return the loss of encoder and generator; leave the gradients of all parts."""
        module, share = self.module_, torch.full_like(x[:, 0], 1 / len(x))
        share = share if weight is None else share * weight
        drawn = torch.randn(len(x), module.n_components, generator=self.generator).to(x)
        code, rows = module.encode(x), module.decoder(drawn)
        lead, discriminator_loss, slopes = self._discriminate((x, code), (rows, drawn), share)
        (_, of_rows), (of_code, _) = slopes
        pull = (lead.sigmoid() * share)[:, None]
        error = self.criterion_(Outputs(module.decoder(code), code), x) @ share
        torch.autograd.backward([code, rows, error], [pull * of_code, -pull * of_rows, None])
        generator_loss = softplus(lead) @ share
        self.losses.append(torch.stack([generator_loss, discriminator_loss]))
        return generator_loss + error.detach()

    def _discriminate(self, real, made, share):
        """Leave the discriminator's gradients; return the lead, its loss, and its slopes at the pairs.

        Each pair is scored by itself, so the slopes that the penalty needs are
        those that encoder and generator need, too.
        """
        pairs = [
            torch.cat(parts).detach().requires_grad_() for parts in zip(real, made, strict=True)
        ]
        scores = self.module_.discriminator(*pairs)
        slopes = torch.autograd.grad(scores.sum(), pairs, create_graph=True)
        lead = torch.sub(*scores.chunk(2))
        loss = softplus(-lead) @ share
        squares = sum(slope.square().sum(1) for slope in slopes) @ share.repeat(2)
        penalised = loss + self.criterion_.gradient_penalty / 2 * squares
        penalised.backward(inputs=list(self.module_.discriminator.parameters()))
        return lead.detach(), loss.detach(), [slope.detach().chunk(2) for slope in slopes]
