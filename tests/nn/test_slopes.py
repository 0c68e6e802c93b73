"""Slopes of encoders, and the contraction of codes."""

import pytest
import torch

from skae.losses import Contraction
from skae.nn import ACTIVATIONS, MLP, Linear, Residual, SlopedAutoencoder, code_and_slopes
from skae.nn.autoencoders import squared_spread
from skae.nn.build import new_autoencoder


def residual(n_inputs, n_outputs, hidden, activation, linear=True):
    """Return a residual in float64 with random weights in every layer."""
    generator = torch.Generator().manual_seed(0)
    mlp = None if hidden is None else MLP([n_inputs, *hidden, n_outputs], activation, generator)
    straight = Linear(n_inputs, n_outputs, bias=False) if linear else None
    if linear:
        torch.nn.init.normal_(straight.weight, generator=generator)
    return Residual(straight, mlp).double()


def rows(n_features, n=7):
    x = torch.randn(n, n_features, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x + 0.01


def test_of_a_linear_encoder_is_the_norm_of_its_matrix():
    encoder, x = residual(6, 3, None, None), rows(6)
    module = SlopedAutoencoder(encoder, residual(3, 6, None, None), 3).eval()
    _, squares = code_and_slopes(encoder, x)
    norm = torch.linalg.matrix_norm(encoder.linear.weight) ** 2
    torch.testing.assert_close(squares.sum(1), norm.double().expand(7))
    code = module(x).code
    spread = (code - code.mean(0)).abs().mean(0) * (torch.pi / 2) ** 0.5
    relative = encoder.linear.weight / spread[:, None]
    norm = torch.linalg.matrix_norm(relative) ** 2
    torch.testing.assert_close(Contraction()(module(x), x), norm.double().expand(7))


def own(n_inputs, n_outputs):
    return torch.nn.Sequential(torch.nn.Linear(n_inputs, n_outputs), torch.nn.Softmax(dim=1))


ENCODERS = {
    **{
        f"{name} {hidden} {linear} {p}": residual(p, 3, hidden, activation, linear)
        for name, activation in ACTIVATIONS.items()
        for hidden in [(), (4,), (5, 4), (5, 4, 6)]
        for linear in [True, False]
        for p in [3, 9]  # narrower and wider than the first layer
    },
    "another activation": residual(6, 3, (5, 4), torch.nn.Mish),
    "an activation of its own settings": residual(6, 3, (5,), lambda: torch.nn.ELU(2.0)),
    "an activation in place": residual(6, 3, (5, 4), lambda: torch.nn.ELU(inplace=True)),
    "an activation of whole rows": residual(6, 3, (5, 4), lambda: torch.nn.Softmax(dim=-1)),
    "an own module": own(6, 3).double(),
    "an own module beside a linear path": Residual(torch.nn.Linear(6, 3), own(6, 3)).double(),
}


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_is_the_jacobian_row_by_row(encoder):
    first = next(m for m in encoder.modules() if isinstance(m, torch.nn.Linear))
    x = rows(first.in_features)
    with torch.no_grad():
        code, squares = code_and_slopes(encoder, x)
    torch.testing.assert_close(code, encoder(x).detach())
    assert not code.requires_grad
    assert not squares.requires_grad
    expected = [torch.autograd.functional.jacobian(encoder, row[None])[0, :, 0] for row in x]
    torch.testing.assert_close(squares, torch.stack(expected).square().sum(-1))


@pytest.mark.parametrize("name", ["gelu (5, 4) True 3", "tanh (5, 4) True 9", "an own module"])
def test_is_differentiable(name):
    encoder = ENCODERS[name]
    first = next(m for m in encoder.modules() if isinstance(m, torch.nn.Linear))
    x = rows(first.in_features)

    def contraction():
        return code_and_slopes(encoder, x)[1].sum()

    (slope,) = torch.autograd.grad(contraction(), first.weight)
    step = 1e-6 * torch.sign(slope)
    with torch.no_grad():
        first.weight += step
        above = contraction()
        first.weight -= 2 * step
        below = contraction()
        first.weight += step
    torch.testing.assert_close((above - below) / 2, (slope * step).sum(), rtol=1e-6, atol=0)


def test_scale_of_a_unit_neither_counts_nor_is_driven():
    """Also while the running variance lags behind: else a unit that grows is driven to grow."""
    x = rows(6, 400)
    for grown in (0.8, 1.0, 1.5, 10.0):
        module = SlopedAutoencoder(residual(6, 3, (5,), torch.nn.GELU), torch.nn.Identity(), 3)
        scale = torch.full((3,), 1.0, dtype=torch.float64, requires_grad=True)
        code, squares = code_and_slopes(module.encoder, x)
        module.double().mean.copy_(code.detach().mean(0))
        module.variance.copy_(squared_spread(code.detach(), module.mean) / grown)
        slopes = (
            squares
            * scale**2
            / module._squared_spread(scale * (code - code.detach().mean(0)) + code.detach().mean(0))
        )
        slopes.sum().backward()
        torch.testing.assert_close(
            scale.grad, torch.zeros(3, dtype=torch.float64), atol=1e-9, rtol=0
        )


def test_running_spread_is_that_of_the_code():
    module = SlopedAutoencoder(
        residual(6, 3, (5,), torch.nn.GELU), residual(3, 6, (5,), torch.nn.GELU), 3
    )
    x = rows(6, 500)
    module.double().train()
    for _ in range(400):
        outputs = module(x)
    torch.testing.assert_close(
        module.variance, squared_spread(outputs.code.detach(), module.mean), rtol=1e-3, atol=0
    )
    slopes = module.eval()(x).slopes
    module.encoder.linear.weight.data *= 10
    module.encoder.nonlinear[-1].weight.data *= 10
    module.encoder.nonlinear[-1].bias.data *= 10
    module.train()
    for _ in range(800):
        module(x)
    torch.testing.assert_close(module.eval()(x).slopes, slopes, rtol=1e-3, atol=0)


def test_the_spread_is_the_deviation_of_a_normal_unit_and_few_rows_cannot_buy_it():
    code = torch.randn(100_000, 1, generator=torch.Generator().manual_seed(0))
    of_normal = squared_spread(code, code.mean(0))
    torch.testing.assert_close(of_normal, torch.ones(1), rtol=0.02, atol=0)
    pressed = torch.cat([0.1 * code, torch.full((100, 1), 30.0)])  # a thousandth of the rows
    assert pressed.var() > 0.8
    assert squared_spread(pressed, pressed.mean(0)) < 0.1


def test_slopes_of_units_that_are_cut_do_not_count():
    generator = torch.Generator().manual_seed(0)
    plain = new_autoencoder((7, 7), 4, (5,), "tanh", generator, False, ordered=True)
    module = SlopedAutoencoder(plain.encoder, plain.decoder, 4).eval()
    x, lengths = torch.randn(9, 7, generator=generator), torch.arange(9) % 4 + 1
    mask = (torch.arange(4) < lengths[:, None]).float()
    torch.testing.assert_close(module(x, mask).slopes, module(x).slopes * mask)
