"""Gradients by hand are those of autograd."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from skae._data.blocks import Blocks
from skae._training import gradients
from skae._training.gradients import DERIVATIVES, PredictionGradient, ReconstructionGradient
from skae._training.variational_gradients import OrderedGradient, VariationalGradient
from skae.losses import (
    BernoulliLikelihood,
    DrawnDivergence,
    GaussianLikelihood,
    LabelError,
    Objective,
    SquaredError,
)
from skae.nn import (
    ACTIVATIONS,
    ConditionalAutoencoder,
    Linear,
    OrderedConditionalAutoencoder,
    OrderedVariationalAutoencoder,
    PredictingAutoencoder,
    VariationalAutoencoder,
)
from skae.nn.build import new_autoencoder
from skae.nn.cells import CellError, Cells, Missing, TableLikelihood

BLOCKS = Blocks((None, None, None, 3), np.ones(6))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)], ids=str)
@pytest.mark.parametrize("linear_path", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_gradient_by_hand_is_autograds(activation, hidden, linear_path, weighted):
    module = new_autoencoder((6, 6), 3, hidden, activation, generator(), linear_path).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator(1))
    objective = Objective(reconstruction=(SquaredError(torch.rand(6).double()), 1.0))
    assert ReconstructionGradient.fits(module, objective)
    x = torch.randn(20, 6, generator=generator(2), dtype=torch.float64)
    target = torch.randn(20, 6, generator=generator(3), dtype=torch.float64)
    weight = torch.rand(20, generator=generator(4), dtype=torch.float64) if weighted else None
    losses = objective(module(x), target)
    loss = (losses * (1 if weight is None else weight)).mean()
    expected = torch.autograd.grad(loss, list(module.parameters()))
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, torch.nan)
    by_hand = ReconstructionGradient(module, objective)(x, target, weight)
    torch.testing.assert_close(by_hand, loss.detach())
    for parameter, gradient in zip(module.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.parametrize("n_rows", [9, 16, 257])
def test_a_slope_in_parts_is_the_whole(n_rows):
    """As a GPU takes it."""
    x, grad = (torch.randn(n_rows, n, generator=generator()) for n in (20, 3))
    out = torch.empty(3, 20)
    gradients._leave_in_parts(x, grad, out)
    torch.testing.assert_close(out, grad.T @ x)


def test_batches_of_many_sizes_share_memory():
    """Each process that has a part of the rows has another number of them in every step."""
    module = new_autoencoder((6, 6), 3, (7, 5), "elu", generator(), True)
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator(1))
        parameter.grad = torch.empty_like(parameter)
    objective = Objective(reconstruction=(SquaredError(torch.ones(6)), 1.0))
    used, memory = ReconstructionGradient(module, objective), set()
    for n_rows in (40, 13, 30, 41, 17, 44, 1, 29, 40):
        x = torch.randn(n_rows, 6, generator=generator(n_rows))
        found = []
        for gradient in (used, ReconstructionGradient(module, objective)):
            loss = gradient(x, x)
            found.append([loss, *(parameter.grad.clone() for parameter in module.parameters())])
        for ours, fresh in zip(*found, strict=True):
            assert torch.equal(ours, fresh)
        rooms = used.encoder.room, used.decoder.room, used.slope.room
        parts = [part.data_ptr() for room in rooms for part in room.parts]
        memory |= set(parts)
    assert len(memory) == len(parts)


def test_no_number_becomes_a_tensor_in_a_gradient():
    module = new_autoencoder((6, 6), 3, (7, 5), "quick_gelu", generator(), True)
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    gradient = ReconstructionGradient(
        module, Objective(reconstruction=(SquaredError(torch.ones(6)), 1.0))
    )
    x = torch.randn(20, 6, generator=generator(2))
    with torch.inference_mode():
        gradient(x, x)
        with torch.autograd.profiler.profile() as seen:
            gradient(x, x)
    calls = [event.name for event in seen.function_events]
    assert "aten::mul_" in calls
    assert "aten::_to_copy" not in calls


def test_unknown_networks_are_left_to_autograd():
    objective = Objective(reconstruction=(SquaredError(torch.ones(6)), 1.0))
    for activation in (nn.Softplus, lambda: nn.GELU("tanh"), lambda: nn.ELU(0.5)):
        assert not ReconstructionGradient.fits(
            new_autoencoder((6, 6), 3, (7,), activation, generator(), True), objective
        )
    custom = new_autoencoder((6, 6), 3, (), "gelu", generator(), True, (nn.Linear, None))
    assert not ReconstructionGradient.fits(custom, objective)
    double = Objective(a=(SquaredError(torch.ones(6)), 1.0), b=(SquaredError(torch.ones(6)), 1.0))
    assert not ReconstructionGradient.fits(
        new_autoencoder((6, 6), 3, (7,), "gelu", generator(), True), double
    )

    own = type("Own", (Objective,), {})(reconstruction=(SquaredError(torch.ones(6)), 1.0))
    assert not ReconstructionGradient.fits(
        new_autoencoder((6, 6), 3, (7,), "gelu", generator(), True), own
    )


def test_every_activation_has_a_derivative():
    assert set(ACTIVATIONS.values()) == set(DERIVATIVES)


@pytest.mark.parametrize("hidden", [(5,), (6, 5), ()])
def test_gradients_are_autograds(hidden):
    generator = torch.Generator().manual_seed(0)
    module = new_autoencoder((7, 7), 4, hidden, "gelu", generator, True, ordered=True).double()
    for parameter in module.parameters():
        parameter.data.normal_(generator=generator)
    x = torch.randn(9, 7, generator=generator, dtype=torch.float64)
    mask = (torch.arange(4) < torch.arange(9)[:, None] % 4 + 1).double()
    objective = Objective(error=(SquaredError(torch.rand(7, generator=generator).double()), 1.0))
    objective(module(x, mask), x).mean().backward()
    expected = [p.grad.clone() for p in module.parameters()]
    assert ReconstructionGradient.fits(module, objective)
    loss = ReconstructionGradient(module, objective)((x, mask), x)
    torch.testing.assert_close(loss, objective(module(x, mask), x).mean().detach())
    for parameter, grad in zip(module.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, grad)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("of_cells", [False, True])
def test_the_gradient_of_rows_and_labels_is_that_of_autograd(of_cells, cut, weighted):
    draw = torch.Generator().manual_seed(0)
    module = new_autoencoder((6, 6), 3, (7, 5), "gelu", draw, True, ordered=cut)
    module = PredictingAutoencoder(module.encoder, module.decoder, Linear(3, 4), 6).double()
    if of_cells:
        module.missing = Missing(BLOCKS).double()
    for p in module.parameters():
        torch.nn.init.normal_(p, generator=draw)
        p.grad = torch.full_like(p, torch.nan)
    shares = torch.tensor([0.2, 0.5, 0.3, 0.0], dtype=torch.float64)
    labels = LabelError([slice(0, 3), slice(3, 4)], [True, False], shares, [0.4, 0.7])
    rows = SquaredError(torch.rand(6, generator=draw).double())
    if of_cells:
        weights, none = torch.rand(4, generator=draw).double(), torch.empty(0)
        rows = CellError(Cells(BLOCKS, np.arange(6.0), torch.float64), weights, none)
    objective = Objective(reconstruction=(rows, 0.3), prediction=(labels, 0.7))
    inputs, target = torch.randn(2, 20, 10, generator=draw, dtype=torch.float64)
    hits = torch.eye(3, dtype=torch.float64)[torch.randint(3, (20,), generator=draw)]
    target[:, 6:9] = hits - shares[:3]
    target[::4, 6:] = torch.nan  # no label
    if of_cells:
        target[:, 3:6] = hits
        target[1::4, [0, 3, 4, 5]] = torch.nan
    weight = torch.rand(20, generator=draw).double() if weighted else None
    mask = (torch.arange(3) < torch.arange(20)[:, None] % 3 + 1).double()
    losses = objective(module(inputs, mask if cut else None), target)
    loss = (losses if weight is None else losses * weight).mean()
    expected = torch.autograd.grad(loss, list(module.parameters()))
    assert PredictionGradient.fits(module, objective)
    given = (inputs, mask) if cut else inputs
    found = PredictionGradient(module, objective)(given, target, weight)
    torch.testing.assert_close(found, loss.detach())
    torch.testing.assert_close([p.grad for p in module.parameters()], list(expected))


def random_network(hidden, n_labels, draw):
    """Return a network whose log-variances are cut off for some rows."""
    settings = {"offset": True, "kind": VariationalAutoencoder, "n_labels": n_labels}
    module = new_autoencoder((6 + n_labels, 6), 3, hidden, "gelu", draw, True, **settings)
    if n_labels:
        module = ConditionalAutoencoder(module.encoder, module.decoder, n_labels)
    for p in module.parameters():
        torch.nn.init.normal_(p, 0, 3.0, generator=draw)
        p.grad = torch.full_like(p, torch.nan)
    return module.double()


def by_autograd(module, objective, inputs, target, weight):
    """Return the loss and its gradient by each parameter that is trained."""
    losses = objective(module(inputs), target)
    loss = (losses if weight is None else losses * weight).mean()
    trained = [p for p in module.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, trained, allow_unused=True)
    pairs = zip(trained, gradients, strict=True)
    return loss.detach(), [torch.zeros_like(p) if g is None else g for p, g in pairs]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("risen", [1.0, 0.25])
@pytest.mark.parametrize("log_noise", [-1.0, -30.0])  # below the least there is no gradient
@pytest.mark.parametrize("kind", ["gaussian", "by column", "labelled", "bernoulli"])
@pytest.mark.parametrize("hidden", [(), (7, 5)], ids=str)
def test_the_gradient_by_hand_is_that_of_autograd(hidden, kind, log_noise, risen, weighted):
    draw, n_labels = torch.Generator().manual_seed(0), 2 * (kind == "labelled")
    module = random_network(hidden, n_labels, draw)
    if kind == "by column":
        halves = module.encoder, module.decoder
        module = VariationalAutoencoder(*halves, n_noises=6).double()
        torch.nn.init.normal_(module.log_noise_ratios, generator=draw)
        torch.nn.init.normal_(module.least_log_noises, -2, generator=draw)
        module.log_noise.grad, module.log_noise_ratios.grad = (
            torch.zeros(()).double(),
            torch.zeros(6).double(),
        )
    torch.nn.init.constant_(module.log_noise, log_noise)
    likelihood = GaussianLikelihood(torch.rand(6, generator=draw).double(), 0.3)
    if kind == "bernoulli":
        likelihood = BernoulliLikelihood(*torch.rand(3, 6, generator=draw).double())
        module.encoder.linear.weight.requires_grad_(False).grad = None
    terms = {"likelihood": (likelihood, 0.2), "divergence": (DrawnDivergence(), 0.3)}
    objective = Objective("divergence", **terms)
    objective.risen = risen
    x, target = torch.rand(2, 20, 6 + n_labels, generator=draw, dtype=torch.float64)
    inputs = 5 * x, torch.randn(20, 3, generator=draw, dtype=torch.float64)
    weight = torch.rand(20, generator=draw).double() if weighted else None
    log_variance = module.encoder(inputs[0]).detach().chunk(2, dim=1)[1]
    assert (log_variance > module.LOG_VARIANCES[1]).any()
    expected = by_autograd(module, objective, inputs, target, weight)
    assert VariationalGradient.fits(module, objective)
    loss = VariationalGradient(module, objective)(inputs, target, weight)
    found = loss, [p.grad for p in module.parameters() if p.requires_grad]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "log_noise", [-1.0, -30.0]
)  # below the least the likelihood has no gradient
@pytest.mark.parametrize("kind", ["gaussian", "labelled", "bernoulli", "cells"])
def test_the_gradient_of_an_ordered_code_is_that_of_autograd(kind, log_noise, weighted):
    draw, n_labels = torch.Generator().manual_seed(0), 2 * (kind == "labelled")
    about = {"offset": True, "kind": VariationalAutoencoder, "n_labels": n_labels, "ordered": True}
    module = new_autoencoder((6 + n_labels, 6), 3, (7, 5), "gelu", draw, True, **about)
    halves = module.encoder, module.decoder
    module = OrderedVariationalAutoencoder(*halves, 3)
    if n_labels:
        module = OrderedConditionalAutoencoder(*halves, 3, n_labels)
    for p in module.double().parameters():
        torch.nn.init.normal_(p, generator=draw)
        p.grad = torch.full_like(p, torch.nan)
    module.log_noise.data.add_(log_noise)
    torch.nn.init.normal_(module.log_spread, log_noise, generator=draw)  # some shares are cut off
    likelihood = GaussianLikelihood(torch.rand(6, generator=draw).double(), 0.3)
    if kind == "bernoulli":
        likelihood = BernoulliLikelihood(*torch.rand(3, 6, generator=draw).double())
    x, target = torch.rand(2, 20, 6 + n_labels, generator=draw, dtype=torch.float64)
    if kind == "cells":
        cells = Cells(BLOCKS, np.arange(6.0), torch.float64)
        likelihood = TableLikelihood(cells, torch.rand(3).double(), 0.7, torch.rand(3).double())
        target[:, 3:] = torch.eye(3)[torch.randint(3, (20,), generator=draw)]
        target[::4, 1] = torch.nan
    terms = {"likelihood": (likelihood, 0.2), "divergence": (DrawnDivergence(), 0.3)}
    objective = Objective("divergence", **terms)
    objective.risen = 0.25
    inputs = 5 * x, torch.randn(20, 3, generator=draw, dtype=torch.float64)
    mask = (torch.arange(3) < torch.arange(20)[:, None] % 3 + 1).double()
    weight = torch.rand(20, generator=draw).double() if weighted else None
    cut = partial(module, mask=mask)
    cut.parameters = module.parameters
    expected = by_autograd(cut, objective, inputs, target, weight)
    assert OrderedGradient.fits(module, objective)
    loss = OrderedGradient(module, objective)((inputs, mask), target, weight)
    torch.testing.assert_close((loss, [p.grad for p in module.parameters()]), expected)


class OwnObjective(Objective):
    """What a user might add to is not known."""


def test_what_is_not_known_is_left_to_autograd():
    draw = torch.Generator().manual_seed(0)
    terms = {"likelihood": (GaussianLikelihood(torch.ones(6), 1.0), 1.0)}
    terms_of_both = terms | {"divergence": (DrawnDivergence(), 1.0)}
    both = Objective("divergence", **terms_of_both)
    module = random_network((7,), 0, draw).float()
    assert VariationalGradient.fits(module, both)
    assert not VariationalGradient.fits(module, Objective("divergence", **terms))
    assert not VariationalGradient.fits(module, Objective("likelihood", **terms_of_both))
    assert not VariationalGradient.fits(module, OwnObjective("divergence", **terms_of_both))
    ordered = OrderedVariationalAutoencoder(module.encoder, module.decoder, 3)
    assert not VariationalGradient.fits(ordered, both)
    module.decoder = torch.nn.Linear(3, 6)
    assert not VariationalGradient.fits(module, both)
