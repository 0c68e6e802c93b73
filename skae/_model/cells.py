"""What torch computes of the cells of a table, for fitted models."""

import numpy as np
import torch

from skae.nn.cells import Cells


def cells_of(schema, baseline, dtype=torch.float32):
    return Cells(schema.blocks, baseline.level, dtype)


def torch_type(dtype):
    return torch.float64 if dtype == np.float64 else torch.float32


def errors_of_cells(model, X, reconstruct=None):
    """Return the errors of a table's cells, (n_samples, n_cells): NaN where missing.

    Numbers: squares in the module's units. Categories: nats, also of levels that fit did
    not see. ``reconstruct`` is a function of standardised wide rows; by default the module's.
    """
    module, cells = _parts(model, X)
    made = reconstruct or module.reconstruct

    def errors(x):
        found = cells.errors(made(x), x)
        return torch.where(cells.present(x), found, -1.0)

    found = model.apply_to_rows(X, errors, cells.n_cells)
    found = np.where(found < 0, np.nan, found.astype(np.float64))
    unseen = model.schema.blocks.unseen(X)
    rows = np.flatnonzero(unseen.any(axis=1))
    if len(rows):
        least = torch.from_numpy(model.schema.least_of_unseen()).to(cells.level)
        nats = model.apply_to_rows(
            X[rows], lambda x: cells.nats_of_unseen(made(x), least), len(least)
        )
        own = found[rows, cells.n_numbers :]
        found[rows, cells.n_numbers :] = np.where(unseen[rows], nats, own)
    return found


def code_and_differences(model, X):
    """Return codes in the module's units, and what is left of each cell: (n_samples, k + 2 n_cells).

    By the module, and then by the baseline's means alone. Numbers: the difference,
    standardised. Categories: nats.
    """
    module, cells = _parts(model, X)
    size, n = model.task.size, cells.n_numbers

    def left(x, made):
        return (x[:, :n] - made[:, :n]).nan_to_num(nan=0.0), cells.nats(made, x)

    def both(x):
        code = module.encode(x)
        made = module.decoder(code)
        return torch.cat([code, *left(x, made), *left(x, torch.zeros_like(made))], dim=1)

    return model.apply_to_rows(X, both, size + 2 * cells.n_cells)


def _parts(model, X):
    """Return the module and the `Cells` in the dtype of rows."""
    cells = cells_of(model.schema, model.baseline, torch_type(X.dtype))
    return model.module_in(X.dtype), cells.to(model.device)
