"""Adam over one vector is torch's."""

import pytest
import torch
from torch import nn

from skae._training.adam import BETAS, FlatAdam


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("n_inputs", "factor"), [(4, 1.0), (512, 0.25)])
def test_flat_adam_is_torchs_adamw(monkeypatch, fused, n_inputs, factor):
    """A matrix of more than 128 inputs gets less of the rate, in proportion."""
    if not fused:
        monkeypatch.delattr(torch, "_fused_adam_")
    target = torch.randn(5, n_inputs, generator=generator(1))
    ours, theirs = (nn.Linear(n_inputs, 5) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    flat = FlatAdam([ours.weight], [ours.bias], alpha=0.3)
    adamw = torch.optim.AdamW(
        [
            {"params": [theirs.weight], "weight_decay": 0.3, "lr": factor * 0.02},
            {"params": [theirs.bias]},
        ],
        lr=0.02, weight_decay=0.0, betas=BETAS,
    )  # fmt: skip
    for _ in range(30):
        flat.zero_grad()
        adamw.zero_grad()
        (ours.weight - target).square().sum().add(ours.bias.exp().sum()).backward()
        (theirs.weight - target).square().sum().add(theirs.bias.exp().sum()).backward()
        flat.step(0.02)
        adamw.step()
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(ours.bias, theirs.bias, rtol=1e-4, atol=1e-6)


def test_long_gradients_are_shortened():
    layer = nn.Linear(3, 2)
    adam = FlatAdam(layer.parameters(), [], largest_gradient=1.0)
    layer.weight.grad.fill_(100.0)
    adam.step(0.0)
    assert abs(torch.linalg.vector_norm(adam.gradient).item() - 1) < 1e-5
    layer.weight.grad.fill_(0.01)
    before = adam.gradient.clone()
    adam.step(0.0)
    torch.testing.assert_close(adam.gradient, before * min(1, 1 / before.norm().item()))
