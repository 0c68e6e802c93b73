"""Noise for the batches of several nets at once, of shape (n_nets, n_samples, width)."""

import torch


def begin_together(noises, generator):
    """Return what corrupts the nets' batches for an epoch; None where there is no noise.

    A kind of noise that is drawn for all nets at once has a ``begin_together``
    of its own; any other is drawn net by net.
    """
    if noises[0] is None:
        return None
    if hasattr(noises[0], "begin_together"):
        return noises[0].begin_together(noises, generator)
    each = [noise.begin(generator) for noise in noises]

    def spoil(x):
        spoilt = [corrupt(rows) for corrupt, rows in zip(each, x, strict=True)]
        return joined(torch.stack, spoilt)

    return spoil


def joined(join, inputs):
    """Join the inputs of nets, which may be tuples of tensors."""
    if isinstance(inputs[0], tuple):
        return tuple(join(parts) for parts in zip(*inputs, strict=True))
    return join(inputs)
