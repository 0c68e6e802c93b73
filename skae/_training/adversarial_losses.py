"""What both sides of an adversarial training minimise, given the scores of pairs."""

import math
from typing import NamedTuple

from torch.nn.functional import softplus


class AdversarialLosses(NamedTuple):
    """The losses of a discriminator and of its opponents, encoder and generator.

    All are functions of the scores of real and of generated pairs, in this
    order, and give one number a pair.

    Attributes
    ----------
    discriminator, opponents : callable
    slopes : callable
        Those of the opponents' loss, by either score.
    threshold : callable
        The score from which on a pair counts as real.
    equilibrium : float
        Either loss where no pair can be distinguished from another.
    """

    discriminator: object
    opponents: object
    slopes: object
    threshold: object
    equilibrium: float


def _lead_slopes(real, generated):
    slope = (real - generated).sigmoid()
    return slope, -slope


# a real pair against a generated one; differences of scores alone mean something
RELATIVISTIC = AdversarialLosses(
    discriminator=lambda real, generated: softplus(generated - real),
    opponents=lambda real, generated: softplus(real - generated),
    slopes=_lead_slopes,
    threshold=lambda real, generated: (real.mean() + generated.mean()) / 2,
    equilibrium=math.log(2),
)
# each pair by itself; non-saturating, for a generator that always loses must go on learning
LOGISTIC = AdversarialLosses(
    discriminator=lambda real, generated: softplus(-real) + softplus(generated),
    opponents=lambda real, generated: softplus(real) + softplus(-generated),
    slopes=lambda real, generated: (real.sigmoid(), -(-generated).sigmoid()),
    threshold=lambda real, generated: 0.0,
    equilibrium=2 * math.log(2),
)
# the scores are to be 1 of real pairs, 0 of generated ones
LEAST_SQUARES = AdversarialLosses(
    discriminator=lambda real, generated: ((real - 1).square() + generated.square()) / 2,
    opponents=lambda real, generated: (real.square() + (generated - 1).square()) / 2,
    slopes=lambda real, generated: (real, generated - 1),
    threshold=lambda real, generated: 0.5,
    equilibrium=0.25,
)
LOSSES = {"relativistic": RELATIVISTIC, "logistic": LOGISTIC, "least_squares": LEAST_SQUARES}
