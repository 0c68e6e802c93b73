"""Training against a discriminator: a net with an optimizer for each of the two sides."""

import torch
from torch.nn.functional import softplus

from skae._training.adam import FlatAdam
from skae._training.net import LARGEST_GRADIENT, AutoencoderNet

BETAS = 0.9, 0.999  # of the discriminator's Adam
RATE = 0.2  # of the discriminator, in the autoencoder's


class TwoSidedNet(AutoencoderNet):
    """A net that records epoch by epoch, under the names ``RECORDED``, what its steps put into ``losses``."""

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run an epoch; record the means of what both sides lost."""
        self.losses = []
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if training:
            means = torch.stack(self.losses).mean(0).tolist()
            for name, mean in zip(self.RECORDED, means, strict=True):
                self.history.record(name, mean)


class AdversarialNet(TwoSidedNet):
    """The skorch net that trains an autoencoder and a discriminator of its codes, step by step.

    The module's outputs have a ``code``, and it has a ``discriminator``; the
    objective has a term "deception". Both losses, and what of the objective is
    left without deception, are recorded epoch by epoch.
    """

    RECORDED = "discriminator_loss", "generator_loss", "reconstruction_loss"

    def initialize_optimizer(self, triggered_directly=None):
        """Make the autoencoder's optimizer, and the discriminator's."""
        discriminator = self.module_.discriminator.requires_grad_(False)
        super().initialize_optimizer(triggered_directly)
        parameters = list(discriminator.parameters())
        self.discriminator_optimizer_ = FlatAdam([], parameters, 0.0, LARGEST_GRADIENT, BETAS)
        return self

    def _parts(self):
        yield from super()._parts()
        yield "discriminator_optimizer", self.discriminator_optimizer_

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        """Teach the discriminator the codes of a batch; return the mean objective."""
        loss = super().get_loss(y_pred, y_true, *args, **kwargs)
        weight = y_true[1]
        taught = self._teach(y_pred.code.detach(), weight)
        deception = _mean(self.criterion_.terms["deception"](y_pred, None), weight)
        rest = loss - self.criterion_.weights["deception"] * deception
        self.losses.append(torch.stack([taught, deception, rest]).detach())
        return loss

    def _teach(self, code, weight):
        """Let the discriminator take a step towards distinguishing codes from the prior; return its loss."""
        discriminator, optimizer = self.module_.discriminator, self.discriminator_optimizer_
        prior = torch.randn(code.shape, generator=self.generator, dtype=code.dtype).to(code.device)
        discriminator.requires_grad_(True)
        of_prior, of_code = discriminator(torch.cat([prior, code])).view(2, -1)
        loss = (softplus(-of_prior).mean() + _mean(softplus(of_code), weight)) / 2
        loss.backward()
        optimizer.step(RATE * self._present_rate())
        optimizer.zero_grad()
        discriminator.requires_grad_(False)
        return loss.detach()

    def _present_rate(self):
        """Return the autoencoder's rate, also where a schedule of the user's sets it."""
        if self.own_schedule:
            return self._rate()
        group = self.optimizer_.param_groups[0]
        return group["lr"] / group.get("factor", 1.0)


def _mean(losses, weight):
    return losses.mean() if weight is None else (losses * weight).mean()
