"""Stacked autoencoders: one set of weights for both ways; layers trained one after the other."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import Dataset

from skae.losses import Objective, SquaredError
from skae.nn.autoencoders import Autoencoder
from skae.nn.layers import Gate, Residual


class Axes(nn.Module):
    r"""The linear encoder in units in which its transpose leads back.

    .. math:: z = \Sigma^{-1} V S x, \quad x = S^{-1} V^\top \Sigma z

    between rows in units of S and codes in units of :math:`\Sigma`; both are
    constant. At PCA, V are its axes.

    Parameters
    ----------
    n_features, n_components : int

    Attributes
    ----------
    axes : Parameter of shape (n_components, n_features)
        V.
    scale, deviations : Tensor of shapes (n_features,), (n_components,)
        S and Sigma, relative to the largest scale: float32 does not hold all
        units.
    """

    def __init__(self, n_features, n_components):
        super().__init__()
        self.axes = nn.Parameter(torch.empty(n_components, n_features, dtype=torch.float32))
        self.register_buffer("scale", torch.ones(n_features, dtype=torch.float32))
        self.register_buffer("deviations", torch.ones(n_components, dtype=torch.float32))

    @torch.no_grad()
    def start_at(self, start):
        """Take axes and units from a `LinearStart`; constant columns and empty axes have unit 1."""
        varies, used = start.column_weights > 0, start.components.any(axis=1)
        unit = start.scale.max(where=varies, initial=0) or 1.0
        self.axes.copy_(torch.from_numpy(start.components))
        self.scale.copy_(torch.from_numpy(np.where(varies, start.scale / unit, 1.0)))
        self.deviations.copy_(torch.from_numpy(np.where(used, start.deviations / unit, 1.0)))

    @property
    def weight(self):
        """The matrix of the map, of shape (n_components, n_features)."""
        return self.axes * self.scale / self.deviations[:, None]

    def forward(self, x):
        """Return the code."""
        return functional.linear(x * self.scale, self.axes) / self.deviations


class AxesBack(nn.Module):
    """The linear decoder that has the axes of some `Axes`.

    Parameters
    ----------
    there : Axes
        A submodule of the encoder. It is kept in a tuple, out of torch's
        sight, so that a state holds its weights once.
    """

    def __init__(self, there):
        super().__init__()
        self._there = (there,)

    @property
    def weight(self):
        """The matrix of the map, of shape (n_features, n_components)."""
        (there,) = self._there
        return there.axes.t() * there.deviations / there.scale[:, None]

    def forward(self, code):
        """Return the rows."""
        (there,) = self._there
        return functional.linear(code * there.deviations, there.axes.t()) / there.scale


class Transposed(nn.Module):
    """A layer with the weights of another one, transposed, and a bias of its own.

    Parameters
    ----------
    layer : nn.Linear
        A submodule of the encoder, kept as in `AxesBack`.
    """

    def __init__(self, layer):
        super().__init__()
        self._layer = (layer,)
        self.bias = nn.Parameter(torch.zeros(layer.in_features, dtype=torch.float32))

    @property
    def weight(self):
        """The transpose of the other layer's weights."""
        return self._layer[0].weight.t()

    def forward(self, x):
        """Return ``weight @ x + bias``."""
        return functional.linear(x, self.weight, self.bias)


def tied(module, generator):
    """Return an autoencoder whose decoder has the encoder's weights, transposed; biases apart.

    The last layer of f is the first of g. Were it zero, so that f starts at
    zero, g would start blind to the code; gates do it in its place, for every
    activation.
    """
    linear, f, g = module.encoder.linear, module.encoder.nonlinear, module.decoder.nonlinear
    if f is not None:
        g = nn.Sequential(*g)
        for i, layer in enumerate(reversed(f)):
            if i % 2 == 0:
                g[i] = Transposed(layer)
    if linear is None:
        return Autoencoder(Residual(None, f), Residual(None, g))
    axes = Axes(linear.in_features, linear.out_features)
    if f is not None:
        f.draw(generator)
        f, g = Gate(f, linear.out_features), Gate(g, linear.in_features)
    return Autoencoder(Residual(axes, f), Residual(AxesBack(axes), g))


class LayerRows(Dataset):
    """What some layers make of standardised rows.

    Parameters
    ----------
    rows : StandardisedRows
    layers : nn.Sequential
        May be empty.
    n_features : int
        Number of outputs.
    """

    def __init__(self, rows, layers, n_features):
        self.rows, self.layers, self.n_features = rows, layers, n_features
        self.weight, self.device = rows.weight, rows.device

    def __len__(self):
        return len(self.rows)

    @torch.no_grad()
    def take(self, index):
        """Return the layers' outputs for some rows."""
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
