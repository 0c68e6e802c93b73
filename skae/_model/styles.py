"""The fitted model of a style-based generator: it draws, and mixes styles."""

from functools import partial

import numpy as np
import torch

from skae._model.inference import apply
from skae._model.model import Model

DRAWS = 4096  # of the prior, whose mean style truncation leads to


def _copy(rows, out):
    out[:] = rows


class StyleModel(Model):
    """A `Model` whose decoder is a `StyleDecoder`."""

    def drawn(self, codes, noise, truncation):
        """Return rows of codes and noise; styles go a share of the way from the mean one."""

        def draw(decoder, x):
            code, noise = x.split([self.task.size, decoder.n_noises], dim=1)
            style = decoder.mapping(code)
            if truncation != 1:
                style = torch.lerp(self._mean_style(decoder), style, truncation)
            return decoder.synthesise([style] * len(decoder.sizes), noise)

        return self._made(draw, codes, noise)

    def mixed(self, a, b, level):
        """Return rows that have the styles of some codes at the coarse resolutions, else of others."""

        def mix(decoder, x):
            coarse, fine = map(decoder.mapping, x.chunk(2, dim=1))
            return decoder.synthesise([coarse] * level + [fine] * (len(decoder.sizes) - level))

        return self._made(mix, a, b)

    def _made(self, function, *parts):
        inputs, width = np.hstack(parts), self.schema.n_features
        made = partial(function, self.module_in(inputs.dtype).decoder)
        return apply(made, inputs, width, self.device, _copy, self._to_units_of_x)

    def _mean_style(self, decoder):
        generator = torch.Generator().manual_seed(0)  # the same mean at every call
        codes = torch.randn(DRAWS, self.task.size, generator=generator)
        return decoder.mapping(codes.to(decoder.start)).mean(0)
