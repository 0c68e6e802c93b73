"""Cells of tables: numbers and levels of categories."""

import numpy as np
import torch

from skae._data.blocks import Blocks
from skae.nn.cells import Cells


def test_cell_errors_are_those_of_torch():
    blocks = Blocks((3, None, 2), np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    coded = np.array([[2.0, 0.5, np.nan], [0.0, np.nan, 1.0]])
    wide = torch.from_numpy(blocks.widen(coded))
    level = np.arange(6.0)
    cells = Cells(blocks, level, torch.float64)
    made = torch.randn(2, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits = made + torch.from_numpy(level)
    cross = torch.nn.functional.cross_entropy
    found = cells.errors(made, wide)
    assert found[0, 0] == (made[0, 0] - 0.5) ** 2
    assert found[1, 0] == found[0, 2] == 0
    torch.testing.assert_close(found[0, 1], cross(logits[0, 1:4], torch.tensor(2)))
    torch.testing.assert_close(found[1, 1], cross(logits[1, 1:4], torch.tensor(0)))
    torch.testing.assert_close(found[1, 2], cross(logits[1, 4:], torch.tensor(1)))
    assert cells.present(wide).tolist() == [[True, True, False], [False, True, True]]
    values = cells.values(made)
    assert values[:, 1].tolist() == logits[:, 1:4].argmax(1).tolist()


def test_missing_cells_have_no_gradient():
    blocks = Blocks((3, None), np.ones(4))
    wide = torch.from_numpy(blocks.widen(np.array([[np.nan, 1.0], [1.0, np.nan]]))).float()
    made = torch.randn(2, 4, requires_grad=True)
    Cells(blocks, np.zeros(4)).errors(made, wide).sum().backward()
    assert (made.grad[0, 1:] == 0).all()
    assert made.grad[1, 0] == 0
    assert made.grad[0, 0] != 0
    assert (made.grad[1, 1:] != 0).all()
