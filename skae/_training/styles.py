"""Training of a style-based generator: it grows, and mixes styles."""

import torch

from skae._training.bigan import BiganNet
from skae.nn.styles import Growing

GROWTH = 0.5  # share of a training after which images have their full size


def level_at(progress, finest):
    """Return the level after a share of the training: to stay, to fade the next one in, and so on."""
    position = 2 * finest * progress / GROWTH
    step = int(position)
    if step >= 2 * finest:
        return float(finest)
    return step // 2 + (position - step if step % 2 else 0.0)


class StyleNet(BiganNet):
    """The net that trains a `Bigan` of `Growing` networks.

    Some generated rows have the coarse styles of one code and the fine ones of
    another. No code made them, so the encoder's own stands beside them: where
    they pass for real rows, so do these pairs.
    """

    def initialize_optimizer(self, triggered_directly=None):
        """Make the optimizer; find what grows. What has grown before stays as it is."""
        super().initialize_optimizer(triggered_directly)
        self.growing = [part for part in self.module_.modules() if isinstance(part, Growing)]
        decoder = self.module_.decoder
        self.grows = float(decoder.level) < len(decoder.sizes) - 1
        return self

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run an epoch; record the resolution, and how far it was faded in."""
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if training:
            decoder = self.module_.decoder
            top, share = decoder.present()
            self.history.record("resolution", "{} x {}".format(*decoder.sizes[top]))
            self.history.record("fade_in", share)
            if len(self.history) == self.max_epochs:
                self._set_level(len(decoder.sizes) - 1)

    def _leave_gradients(self, x, weight):
        if self.grows:
            done = len(self.history) - 1 + len(self.losses) / self.steps_an_epoch
            self._set_level(level_at(done / self.max_epochs, len(self.module_.decoder.sizes) - 1))
        return super()._leave_gradients(x, weight)

    def _set_level(self, level):
        for part in self.growing:
            part.level.fill_(level)

    def _generate(self, x):
        decoder, n_sizes = self.module_.decoder, len(self.module_.decoder.sizes)
        codes, noise = self._drawn(x, self.module_.n_components), self._drawn(x, decoder.n_noises)
        style, (top, _) = decoder.mapping(codes), decoder.present()
        if not (top and self.criterion_.style_mixing):
            return decoder.synthesise([style] * n_sizes, noise), codes
        mixed = torch.rand(len(x), generator=self.generator) < self.criterion_.style_mixing
        mixed, other = mixed.to(x.device), decoder.mapping(self._drawn(x, codes.shape[1]))
        fine = torch.where(mixed[:, None], other, style)
        cut = int(torch.randint(1, top + 1, (), generator=self.generator))
        rows = decoder.synthesise([style] * cut + [fine] * (n_sizes - cut), noise)
        with torch.no_grad():
            codes = torch.where(mixed[:, None], self.module_.encode(rows), codes)
        return rows, codes

    def _drawn(self, x, width):
        """Return normal draws of some width for every row of a batch."""
        return torch.randn(len(x), width, generator=self.generator).to(x)
