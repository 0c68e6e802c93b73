"""Applying a fitted module to rows, chunk by chunk, without autograd."""

import numpy as np
import torch

from skae._data.batches import Range
from skae._model.likelihood import refuse_infinite

CHUNK_CELLS = 2**18
SURVEYED = 2**10  # rows at once: hidden layers may be far wider than they
OF_GPU = 2**4  # times as many cells and rows there


def apply(module, X, n_outputs, device, before, after, n_inputs=None):
    """Return ``module`` of every row of ``X``, in the dtype of X.

    Parameters
    ----------
    module : nn.Module
        Its parameters have the dtype of ``X``.
    X : ndarray or CSR matrix of shape (n_samples, n_columns)
        Only read.
    n_outputs : int
    device : str
        Where the module is.
    before : callable
        ``before(rows, out)`` writes what the module gets.
    after : callable
        ``after(rows)`` works in place.
    n_inputs : int or None
        Columns of what the module gets; by default those of ``X``.

    Returns
    -------
    out : ndarray of shape (n_samples, n_outputs)

    Raises
    ------
    ValueError
        If a result is not finite.
    """
    n_samples, n_inputs = X.shape[0], X.shape[1] if n_inputs is None else n_inputs
    out = np.empty((n_samples, n_outputs), dtype=X.dtype)
    n_rows = at_once(CHUNK_CELLS, device) // max(1, n_inputs, n_outputs) or 1
    place = np.empty((min(n_rows, n_samples), n_inputs), dtype=X.dtype)
    with torch.inference_mode(), np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, n_samples, n_rows):
            rows = slice(start, start + n_rows)
            inputs = place[: len(out[rows])]
            before(X[rows], inputs)
            out[rows] = module(torch.from_numpy(inputs).to(device)).cpu().numpy()
            after(out[rows])
            refuse_infinite(out[rows], X.dtype)
    return out


def at_once(n, device):
    """Return how many rows or cells are worked on together, given how many on a processor."""
    return n * OF_GPU if torch.device(device).type == "cuda" else n


def survey(module, rows, baseline, device):
    """Look at all training rows once.

    Returns
    -------
    inputs, codes : Range
        Where the standardised rows and their codes lie.
    deviations : ndarray of shape (n_components,)
        Standard deviation of each unit of the code (1 where it is constant).
    """
    inputs, codes = Range(), Range()
    mean, scale = (torch.tensor(part, device=device) for part in baseline.units)

    def moments(rows, weight):
        x = torch.from_numpy(rows).to(device).sub(mean).div_(scale)
        z, w = module.encode(x), torch.from_numpy(weight).to(device)
        inputs.add(module.inputs(x))
        codes.add(module.decoder_inputs(z, x))
        return torch.stack([w @ z, w @ z**2])

    with torch.inference_mode():
        total = rows.sum(moments, at_once(SURVEYED, device))
    mean, square = (total / len(rows)).cpu().numpy()
    variance = (square - mean**2) * len(rows) / max(len(rows) - 1, 1)
    deviations = np.sqrt(np.where(variance > 1e-12, variance, 1.0))
    return inputs.of_all(rows), codes.of_all(rows), deviations
