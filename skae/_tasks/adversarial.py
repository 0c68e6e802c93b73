"""Tasks with a discriminator: the adversarial autoencoder, and the bidirectional GAN."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from torch import nn

from skae._model.styles import StyleModel
from skae._tasks.base import FEWEST_EPOCHS, MOST_EPOCHS, Task
from skae._tasks.shaped import LARGEST_BATCH_OF_IMAGES, ImageShape
from skae._training.adversarial import AdversarialNet
from skae._training.adversarial_losses import LOSSES
from skae._training.bigan import (
    MINIBATCH_FEATURES,
    AdversarialLoss,
    Bigan,
    BiganNet,
    PairDiscriminator,
)
from skae._training.styles import StyleNet
from skae.losses import Deception, Objective
from skae.nn.autoencoders import AdversarialAutoencoder
from skae.nn.build import activation_class
from skae.nn.images import draw, image_decoder, image_encoder, products, set_unit
from skae.nn.layers import ACTIVATIONS, MLP
from skae.nn.styles import Growing, GrowingEncoder, StyleDecoder, resolutions

DISCRIMINATOR = (64, 64)  # hidden units
BIGAN_STEPS = 2500  # of a training, where max_iter is "auto"
BIGAN_FEATURES = 64  # that a discriminator's convolutions give beside the code
BIGAN_BATCH = 128  # at most, where batch_size is "auto"


@dataclass(frozen=True, kw_only=True, eq=False)
class Adversarial(Task):
    """Reconstruction by codes that a discriminator cannot distinguish from draws of the prior."""

    adversarial_weight: float = 0.1

    ARCHITECTURE: ClassVar = tuple(name for name in Task.ARCHITECTURE if name != "whiten")
    couples_rows: ClassVar = True  # what the discriminator learns of one tells on others
    net: ClassVar = AdversarialNet
    unit_axes: ClassVar = False

    @property
    def is_pca(self):
        return self.is_linear and self.schema.blocks is None

    @property
    def is_normal(self):
        return self.is_linear

    def baseline(self, rows, n_components, rng):
        """Return PCA with a whitened code: the prior's mean and variances."""
        return self.of_pca(super().baseline(rows, n_components, rng))

    def of_pca(self, model):
        deviations = model.deviations[:, None]
        return replace(
            model,
            encoder=model.encoder / deviations,
            components=model.components * deviations,
            offset=model.offset / model.deviations,
            deviations=np.ones_like(model.deviations),
        )

    def build(self, generator, linear=False):
        module = super().build(generator, linear)
        discriminator = None
        if not linear:
            discriminator = MLP([self.size, *DISCRIMINATOR, 1], ACTIVATIONS["gelu"], generator)
        return AdversarialAutoencoder(module.encoder, module.decoder, discriminator)

    def objective(self, baseline):
        return Objective(
            reconstruction=(self.reconstruction(baseline), 1.0),
            deception=(Deception(), self.adversarial_weight),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class BiGAN(ImageShape, Task):
    """Pairs of rows and codes that a discriminator cannot distinguish from generated ones."""

    image_shape: object = None
    channels: object = (16, 32)
    gradient_penalty: float = 0.01
    reconstruction_weight: float = 1.0
    loss: str = "relativistic"
    replay: float = 0.0
    minibatch_features: str | None = None
    linear_path: str | None = None

    ARCHITECTURE: ClassVar = (
        *(name for name in Task.ARCHITECTURE if name not in ("whiten", "ordered")),
        "image_shape",
        "channels",
        "minibatch_features",
    )
    EARLIER: ClassVar = {"minibatch_features": None}
    net: ClassVar = BiganNet

    @property
    def equilibrium(self):
        """Loss of either side where no pair can be distinguished from another."""
        return LOSSES[self.loss].equilibrium

    @property
    def of_images(self):
        return self.image_shape is not None

    @property
    def shapes(self):
        """Nothing: ``image_shape`` says it all."""
        return {}

    def check_first_batch(self, rows, baseline):
        """Refuse none: only mean and scale of the baseline are used."""

    def hidden_units(self, n_rows):
        return super().hidden_units(n_rows) if self.of_images else Task.hidden_units(self, np.inf)

    def batch_size(self, n_rows):
        most = LARGEST_BATCH_OF_IMAGES if self.of_images else BIGAN_BATCH
        return min(super().batch_size(n_rows), most)

    def max_iter(self, steps):
        return int(np.clip(BIGAN_STEPS // steps, FEWEST_EPOCHS, MOST_EPOCHS))

    def build(self, generator, linear=False):
        activation, k = activation_class(self.activation), self.size
        if self.of_images:
            shape, channels = self.shape, self.hidden
            encoder = image_encoder(shape, channels, k, activation)
            decoder = image_decoder(shape, channels, k, activation)
            features = image_encoder(shape, channels, BIGAN_FEATURES, activation)
            features.append(activation())
            for part in (encoder, decoder, features):
                draw(part, generator, zero_output=False)
            widths = [BIGAN_FEATURES + k, BIGAN_FEATURES, 1]
        else:
            p, hidden = self.schema.n_features, self.hidden
            encoder = MLP([p, *hidden, k], activation, generator)
            decoder = MLP([k, *hidden[::-1], p], activation, generator)
            features, widths = nn.Identity(), [p + k, *hidden, 1]
        discriminator = self.discriminator(features, widths, generator)
        return Bigan(encoder, decoder, discriminator, k)

    def discriminator(self, features, widths, generator):
        """Return a `PairDiscriminator` whose head has some widths, beside what it sees of a batch."""
        minibatch = None
        if self.minibatch_features is not None:
            minibatch = MINIBATCH_FEATURES[self.minibatch_features](widths[0], generator)
            widths = [widths[0] + minibatch.width, *widths[1:]]
        head = MLP(widths, activation_class(self.activation), generator)
        return PairDiscriminator(features, head, minibatch)

    def start_at(self, module, baseline):
        """Give images the common unit of their pixels; there is no linear model to start at."""
        set_unit(module, baseline)

    def objective(self, baseline):
        error = super().objective(baseline)
        penalty = self.gradient_penalty * self.schema.n_features
        weights = self.reconstruction_weight, penalty
        return AdversarialLoss(error, *weights, self.loss, self.replay)

    def step_flops(self, batch_size):
        if not self.of_images:
            return 3 * Task.step_flops(self, batch_size)
        return 36 * batch_size * products(self.shape, self.hidden, self.size)


@dataclass(frozen=True, kw_only=True, eq=False)
class Style(BiGAN):
    """Pairs as of `BiGAN`, of images that grow and are made of styles."""

    growing: bool = True
    style_mixing: float = 0.5

    ARCHITECTURE: ClassVar = tuple(
        name for name in BiGAN.ARCHITECTURE if name != "hidden_layer_sizes"
    )
    model: ClassVar = StyleModel
    net: ClassVar = StyleNet
    of_images: ClassVar = True
    traced: ClassVar = True  # torch's own exporter writes it as ONNX

    @property
    def shapes(self):
        return {"image_shape_": self.shape, "resolutions_": tuple(resolutions(self.shape))}

    def check(self):
        self.warn_of_signals()

    def hidden_units(self, n_rows):
        channels = super().hidden_units(n_rows)
        if channels:
            return channels
        raise ValueError("channels is empty: give the channels of the largest images, such as 16.")

    def build(self, generator, linear=False):
        activation, k = activation_class(self.activation), self.size
        n_sizes = len(resolutions(self.shape))
        channels = [self.hidden[min(i, len(self.hidden) - 1)] for i in range(n_sizes)][::-1]
        half = self.shape, channels
        about = activation, generator
        encoder = GrowingEncoder(*half, k, *about)
        decoder = StyleDecoder(*half, k, *about)
        features = nn.Sequential(GrowingEncoder(*half, BIGAN_FEATURES, *about), activation())
        widths = [BIGAN_FEATURES + k, BIGAN_FEATURES, 1]
        return Bigan(encoder, decoder, self.discriminator(features, widths, generator), k)

    def start_at(self, module, baseline):
        super().start_at(module, baseline)
        for part in module.modules():
            if self.growing and isinstance(part, Growing):
                part.level.zero_()

    def objective(self, baseline):
        objective = super().objective(baseline)
        objective.style_mixing = self.style_mixing
        return objective
