"""Adversarial training: a discriminator of pairs, and the net that trains it beside its opponents."""

import torch
from torch import nn

from skae._training.adversarial import TwoSidedNet
from skae._training.adversarial_losses import LOSSES
from skae._training.net import LARGEST_GRADIENT
from skae.nn import Autoencoder, Outputs

REPLAYED = 4096  # generated pairs that are kept, at most
KERNELS, KERNEL_WIDTH = 8, 3  # of minibatch discrimination
FEWEST_DEVIATION = 1e-8  # whose root has a slope


class Deviation(nn.Module):
    """How much the rows of a batch differ: their standard deviation, the mean over all columns.

    Karras et al. (2018, https://arxiv.org/abs/1710.10196).
    """

    def __init__(self, n_inputs, generator):
        super().__init__()
        self.width = 1

    def forward(self, x):
        """Return the same number beside every row: (n_samples, 1)."""
        variance = x.var(0, correction=0)
        return (variance + FEWEST_DEVIATION).sqrt().mean().expand(len(x), 1)


class Discrimination(nn.Module):
    """How close each row of a batch is to the others, in some learned directions.

    Salimans et al. (2016, https://arxiv.org/abs/1606.03498), but the mean over
    the batch, so that its size does not matter.
    """

    def __init__(self, n_inputs, generator):
        super().__init__()
        self.width = KERNELS
        start = torch.empty(n_inputs, KERNELS * KERNEL_WIDTH, dtype=torch.float32)
        self.weight = nn.Parameter(start.normal_(0, n_inputs**-0.5, generator=generator))

    def forward(self, x):
        """Return the mean closeness, from 0 to 1, of each row: (n_samples, width)."""
        places = (x @ self.weight).T.unflatten(0, (KERNEL_WIDTH, KERNELS))
        distances = (places[..., None] - places[..., None, :]).abs().sum(0)
        return (-distances).exp().mean(-1).T


MINIBATCH_FEATURES = {"deviation": Deviation, "discrimination": Discrimination}


class PairDiscriminator(nn.Module):
    """Scores pairs of a standardised row and a code.

    ``features`` of a row stand beside the code, and ``minibatch`` of a whole batch beside both (None
    scores each pair by itself); ``head`` makes a score of them.
    """

    def __init__(self, features, head, minibatch=None):
        super().__init__()
        self.features = features
        self.head = head
        self.minibatch = minibatch

    def forward(self, rows, codes, sizes=None):
        """Return the scores, of shape (n_samples,), of one batch or of several, whose sizes are given."""
        seen = torch.cat([self.features(rows), codes], dim=1)
        if self.minibatch is not None:
            beside = torch.cat([self.minibatch(batch) for batch in seen.split(sizes or len(seen))])
            seen = torch.cat([seen, beside], dim=1)
        return self.head(seen).squeeze(1)


class Bigan(Autoencoder):
    """An encoder, a generator (``decoder``) and the `PairDiscriminator` of their pairs."""

    def __init__(self, encoder, decoder, discriminator, n_components):
        super().__init__(encoder, decoder)
        self.discriminator = discriminator
        self.n_components = n_components


class AdversarialLoss(nn.Module):
    """What joins the adversarial losses, one of `LOSSES`, in a training.

    The error of each row is added to the loss of encoder and generator; ``gradient_penalty`` is what
    the discriminator's squared slopes count, ``replay`` the share of generated pairs that it saw earlier.
    """

    def __init__(self, reconstruction, reconstruction_weight, gradient_penalty, loss, replay):
        super().__init__()
        self.reconstruction = reconstruction
        self.reconstruction_weight = reconstruction_weight
        self.gradient_penalty = gradient_penalty
        self.loss = loss
        self.replay = replay

    @property
    def of(self):
        return LOSSES[self.loss]

    def forward(self, outputs, target):
        """Return the weighted error of each row, of shape (n_samples,)."""
        return self.reconstruction_weight * self.reconstruction(outputs, target)


class Replay:
    """Generated pairs of earlier steps: a discriminator sees a share of each step's again.

    So it does not forget what the generator has left (Shrivastava et al.,
    2017, https://arxiv.org/abs/1612.07828).
    """

    def __init__(self, share, generator):
        self.share, self.generator = share, generator
        self.pairs = None

    def exchange(self, made):
        """Return rows and codes of some earlier pairs, and keep as many new ones; at first none."""
        n = round(self.share * len(made[0]))
        if n == 0:
            return ()
        new = [part[:n].detach() for part in made]
        if self.pairs is None:
            self.pairs = new
            return ()
        places = torch.randperm(len(self.pairs[0]), generator=self.generator)[:n]
        earlier = [part[places.to(part.device)] for part in self.pairs]
        if len(self.pairs[0]) < REPLAYED:
            self.pairs = [torch.cat(parts) for parts in zip(self.pairs, new, strict=True)]
        else:
            for part, its in zip(self.pairs, new, strict=True):
                part[places.to(part.device)] = its
        return earlier

    def state_dict(self):
        return {"pairs": self.pairs}

    def load_state_dict(self, state):
        self.pairs = state["pairs"]


class BiganNet(TwoSidedNet):
    r"""The net that trains a `Bigan`: all parts take each step at once, on losses of their own.

    With `AdversarialLosses` of the scores of real pairs (x, E(x)) and generated
    ones (G(z), z), the discriminator minimises its loss plus the penalty of
    its slopes, encoder and generator theirs plus the reconstruction error.
    """

    betas = 0.5, 0.99  # of Adam: it has to forget faster where the losses move
    averaging = 0.999  # they circle about their equilibrium: a longer average is nearer to it
    RECORDED = "generator_loss", "discriminator_loss", "real_accuracy", "generated_accuracy"

    def initialize_optimizer(self, triggered_directly=None):
        super().initialize_optimizer(triggered_directly)
        self.replay = Replay(self.criterion_.replay, self.generator)
        return self

    def new_gradient(self):
        """Return what leaves the gradients of both sides."""
        return self._new_gradients

    def _parts(self):
        yield from super()._parts()
        yield "replay", self.replay

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
        code, (rows, drawn) = module.encode(x), self._generate(x)
        recorded, of_code, of_rows = self._discriminate((x, code), (rows, drawn), share)
        error = self.criterion_(Outputs(module.decoder(code), code), x) @ share
        torch.autograd.backward([code, rows, error], [of_code, of_rows, None])
        self.losses.append(recorded)
        return recorded[0] + error.detach()

    def _generate(self, x):
        """Return as many generated rows as there are in a batch, and their codes."""
        drawn = torch.randn(len(x), self.module_.n_components, generator=self.generator).to(x)
        return self.module_.decoder(drawn), drawn

    def _discriminate(self, real, made, share):
        """Leave the discriminator's gradients.

        Returns what is recorded, and the slopes of the opponents' loss by the
        codes of real pairs and by the rows of generated ones.
        """
        discriminator, losses = self.module_.discriminator, self.criterion_.of
        parts = [part for part in (real, made, self.replay.exchange(made)) if part]
        sizes = [len(rows) for rows, _ in parts]
        pairs = [torch.cat(part).detach().requires_grad_() for part in zip(*parts, strict=True)]
        scores = discriminator(*pairs, sizes)
        slopes = torch.autograd.grad(scores.sum(), pairs, create_graph=True)
        squares = sum(slope.square().sum(1) for slope in slopes)
        pulls = losses.slopes(*scores.detach().split(sizes)[:2])
        pulls = torch.cat([pull * share for pull in pulls])
        if discriminator.minibatch is None:  # a pair is scored by itself: these slopes will do
            moves = [pulls[:, None] * slope.detach()[: len(pulls)] for slope in slopes]
        else:
            pulls = torch.cat([pulls, pulls.new_zeros(len(scores) - len(pulls))])
            moves = torch.autograd.grad(scores, pairs, pulls, retain_graph=True)
        seen, penalty = _judged(scores, sizes), torch.cat(_judged(squares, sizes))
        loss = losses.discriminator(*seen) @ share
        penalised = loss + self.criterion_.gradient_penalty / 2 * (penalty @ share.repeat(2))
        penalised.backward(inputs=list(discriminator.parameters()))
        recorded = self._told(scores.detach().split(sizes)[:2], loss.detach(), share)
        n = len(share)
        return recorded, moves[1][:n], moves[0][n : 2 * n]

    def _told(self, scores, loss, share):
        """Return what is recorded of a step, given the scores of real and generated pairs."""
        losses, (real, made) = self.criterion_.of, scores
        threshold = losses.threshold(real, made)
        found = (
            losses.opponents(real, made),
            (real > threshold).to(real),
            (made < threshold).to(made),
        )
        opponents, *accuracies = (each @ share for each in found)
        return torch.stack([opponents, loss, *accuracies])


def _judged(values, sizes):
    """Return the values of real pairs, and of generated ones, some exchanged for earlier ones."""
    real, made, *earlier = values.split(sizes)
    return real, torch.cat([*earlier, made[sum(map(len, earlier)) :]])
