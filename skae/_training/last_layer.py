"""The decoder's last layer at the end of a training: solved for, where held-out rows gain by it."""

from itertools import islice

import torch

from skae._data.batches import standardised
from skae._training.held_out import HeldOutCurves
from skae.losses import Objective, SquaredError
from skae.nn.autoencoders import Autoencoder, SlopedAutoencoder
from skae.nn.cells import CellError
from skae.nn.layers import MLP, Linear, Residual

STRENGTHS = 10.0, 1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-5  # of the shrinkage; held-out rows choose
MOST_ROWS = 2**16  # that are read, about: of a longer table evenly spread ones


def chosen_strength(nets):
    """Return how strongly the changes of the nets' last layers are to be shrunk; None for no change.

    Each net's layer is solved for with its training rows. Its held-out ones judge, as they judge
    epochs: the gain must be beyond doubt. The nets keep the weights that they have.
    """
    if not all(map(can_solve, nets)):
        return None
    for net in nets:
        net.average = None  # the weights are those that were chosen
    layers = [LastLayer(net) for net in nets]
    weights = [net.held_out.row_weights for net in nets]
    curves = HeldOutCurves(weights, [net.judge() for net in nets])
    for strength in STRENGTHS:
        for layer in layers:
            layer.solve(strength)
        curves.add([net.judge() for net in nets])
        if curves.curve[-1] > curves.curve[-2]:
            break  # with less shrinkage it would rise further
    for layer in layers:
        layer.restore()
    return STRENGTHS[curves.best - 1] if curves.accept() else None


def can_solve(net):
    """Return whether a net ends in a layer of skae's own and its squared errors.

    Its rows are judged as they are, so none lacks cells; with noisy rows or labels nothing was gained. A code
    that is cut has another last layer for every length.
    """
    module, objective, settings = net.module_, net.criterion_, net.settings
    if type(module) not in (Autoencoder, SlopedAutoencoder) or type(objective) is not Objective:
        return False
    decoder, term = module.decoder, objective.terms["reconstruction"]
    return (
        settings.cuts is None
        and settings.held_out_corruption is None
        and type(term) in (SquaredError, CellError)
        and type(decoder) is Residual
        and type(decoder.nonlinear) is MLP
        and n_numbers(term, decoder) > 0
        and type(decoder.linear) in (Linear, type(None))
        and all(part.requires_grad for part in decoder.parameters())  # none is a user's to keep
    )


def n_numbers(term, decoder):
    """Return how many of the decoder's outputs are numbers, whose errors are squares."""
    return term.cells.n_numbers if type(term) is CellError else decoder.nonlinear[-1].out_features


class LastLayer:
    r"""The best last layer of a trained net's decoder for its training rows, given all that comes before.

    With the features h = (last hidden units, 1, code) of n rows, and what is left of each number,
    r, weights, biases and linear map change by

    .. math:: \left(H^\top H + \lambda s I\right)^{-1} H^\top R

    where s is the mean eigenvalue of :math:`H^\top H`: ridge regression of what is left (Hoerl &
    Kennard, Ridge regression: biased estimation for nonorthogonal problems, 1970, DOI
    10.1080/00401706.1970.10488634). What few rows show stays as it was trained.
    """

    @torch.no_grad()
    def __init__(self, net):
        self.module, term = net.module_, net.criterion_.terms["reconstruction"]
        decoder = self.module.decoder
        *self.hidden, last = decoder.nonlinear
        self.n_numbers = n_numbers(term, decoder)
        parts = last.weight, last.bias, getattr(decoder.linear, "weight", None)
        self.parts = [part.data[: self.n_numbers] for part in parts if part is not None]
        self.trained = [part.clone() for part in self.parts]
        gram = moments = 0.0
        rows = _in_memory(net.rows)
        every = -(-len(rows) // MOST_ROWS)
        for inputs, (target, weight) in islice(net.get_iterator(rows), None, None, every):
            features, left = self._seen(inputs, target)
            weighted = features if weight is None else features * weight[:, None]
            gram, moments = gram + weighted.T @ features, moments + weighted.T @ left
        self.values, self.vectors = torch.linalg.eigh(gram)
        self.moments = self.vectors.T @ moments

    def _seen(self, inputs, target):
        """Return the features of rows and what is left of their numbers, in float64."""
        code = units = self.module.encode(inputs)
        for layer in self.hidden:
            units = layer(units)
        left = target[:, : self.n_numbers] - self.module.decoder(code)[:, : self.n_numbers]
        linear = [] if len(self.parts) < 3 else [code]
        features = torch.cat([units, torch.ones_like(units[:, :1]), *linear], dim=1)
        return features.double(), left.double()

    def solve(self, strength):
        """Put the layer for a strength of the shrinkage into the net."""
        self.restore()
        shrunk = self.moments / (self.values + strength * self.values.mean())[:, None]
        change = (self.vectors @ shrunk).T
        widths = [part[0].numel() for part in self.parts]
        for part, its in zip(self.parts, change.split(widths, dim=1), strict=True):
            part += its.reshape(part.shape)

    def restore(self):
        for part, trained in zip(self.parts, self.trained, strict=True):
            part.copy_(trained)


def _in_memory(part):
    """Return standardised rows; of those that one process does not hold, evenly spread ones."""
    rows = part.rows.in_memory(MOST_ROWS)
    if rows is part.rows:
        return part
    return standardised(rows, part.mean, part.scale, part.device)
