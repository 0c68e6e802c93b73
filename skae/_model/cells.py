"""The cells of a table in torch, for models: their `Cells`, and how levels are chosen."""

import numpy as np
import torch

from skae.nn.cells import Cells


def cells_of(schema, baseline, dtype=torch.float32):
    """Return the `Cells` of a table."""
    return Cells(schema.blocks, baseline.level, dtype)


def most_probable(probabilities):
    """Return the code of the most probable level."""
    return probabilities.argmax(-1)


def torch_type(dtype):
    """Return torch's type of numpy's floats."""
    return torch.float64 if dtype == np.float64 else torch.float32
