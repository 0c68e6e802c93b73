"""Applying a fitted module to rows, chunk by chunk, without autograd."""

import os

import numpy as np
import torch

from skae._data.batches import Range
from skae._model.scores import refuse_infinite

CHUNK_CELLS = 2**18
SURVEYED = 2**10  # rows at once: hidden layers may be far wider than they
OF_GPU = 2**4  # times as many cells and rows there

if hasattr(os, "register_at_fork"):
    # a process made by fork lacks the threads of torch, and would wait for them for ever
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def apply(module, X, n_outputs, device, before, after, n_inputs=None):
    """Return ``module`` of every row of ``X``, which is only read, in the dtype of X.

    ``before(rows, out)`` writes what the module gets, ``n_inputs`` columns (by default those of ``X``),
    and ``after(rows)`` works in place on the ``n_outputs`` columns of its results. A ValueError refuses
    results that are not finite.
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


def survey(module, rows, baseline, device, n_told=0):
    """Look at all training rows once.

    The first ``n_told`` columns that the module makes anew are compared with as many of the rows.
    Returns the `Range` of the standardised rows and that of their codes, and sums: of each unit of the
    code, and of its square; where rows are compared, of the squares of what is left of each column, in
    units of X, and of the cells that are present.
    """
    inputs, codes = Range(), Range()
    mean, scale = (torch.tensor(part, device=device) for part in baseline.units)

    def sums(rows, weight):
        x = torch.from_numpy(rows).to(device).sub(mean).div_(scale)
        z, w = module.encode(x), torch.from_numpy(weight).to(device)
        to_decoder = module.decoder_inputs(z, x)
        inputs.add(module.inputs(x))
        codes.add(to_decoder)
        of_code = w @ z, w @ z**2
        if not n_told:
            return of_code
        rest = (x[:, :n_told] - module.decoder(to_decoder)).mul_(scale[:n_told])
        present = ~rest.isnan()
        return *of_code, w @ rest.nan_to_num_(nan=0.0).square_(), w @ present.to(w)

    with torch.inference_mode():
        total = rows.sum(sums, at_once(SURVEYED, device))
    total = tuple(part.cpu().numpy() for part in total)
    return inputs.of_all(rows), codes.of_all(rows), total
