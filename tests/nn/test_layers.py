"""Layers."""

import torch

from skae.nn import Linear, ShrunkResidual


def test_threshold_of_zero_is_no_threshold_and_can_rise():
    half = ShrunkResidual(Linear(3, 2, bias=False), None, 2)
    torch.nn.init.eye_(half.linear.weight)
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(half(x), x[:, :2])
    for value in (0.0, -0.5, 0.5):
        half.zero_grad()
        half.threshold.data.fill_(value)
        z = half(x)
        torch.testing.assert_close(z, torch.nn.functional.softshrink(x[:, :2], max(value, 0.0)))
        z.abs().sum().backward()
        assert (half.threshold.grad < 0).all()
