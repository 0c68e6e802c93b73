"""Stacked autoencoders: layers that are trained one after the other."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from skae.losses import Objective, SquaredError
from skae.nn.autoencoders import Autoencoder
from skae.nn.layers import Gate


class LayerRows(Dataset):
    """What some layers, or none, make of standardised rows: ``n_features`` outputs."""

    def __init__(self, rows, layers, n_features):
        self.rows, self.layers, self.n_features = rows, layers, n_features
        self.weight, self.device, self.reduce = rows.weight, rows.device, rows.reduce
        self.reachable = rows.reachable

    def __len__(self):
        return len(self.rows)

    @torch.no_grad()
    def take(self, index):
        return self.layers(self.rows.take(index))


def layers(module, rows, column_weights):
    """Yield each layer of f with its mirror in g as an autoencoder, what it is trained on, and how.

    Their squared errors are shares of the variance of the rows, then means
    over the hidden units. The layers are the module's own.
    """
    f, g = (list(_mlp(half)) for half in (module.encoder, module.decoder))
    for i in range(0, len(f), 2):
        there, back = nn.Sequential(*f[i : i + 2]), nn.Sequential(*g[len(f) - 1 - i :][:2])
        width = f[i].in_features
        weights = np.full(width, 1 / width) if i else column_weights
        error = SquaredError(torch.as_tensor(weights, dtype=torch.float32))
        below = LayerRows(rows, nn.Sequential(*f[:i]), width)
        yield Autoencoder(there, back), below, Objective(reconstruction=(error, 1.0))


@torch.no_grad()
def silence(module):
    """Let f and g start at zero again, their hidden layers as they are."""
    for half in (module.encoder, module.decoder):
        if isinstance(half.nonlinear, Gate):
            half.nonlinear.gain.zero_()
        else:
            nn.init.zeros_(half.nonlinear[-1].weight)
            nn.init.zeros_(half.nonlinear[-1].bias)


def _mlp(half):
    return half.nonlinear.module if isinstance(half.nonlinear, Gate) else half.nonlinear
