"""Terms of objectives, each by what it shall be."""

import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from torch import nn

from skae.losses import (
    MOST_COMPARED,
    ActivationRate,
    ContrastiveError,
    Deception,
    DrawnDivergence,
    RelativeSize,
)
from skae.nn import (
    AdversarialOutputs,
    Outputs,
    Projections,
    VariationalOutputs,
)

PENALTIES = {"l1": RelativeSize(), "kl": ActivationRate(0.1).eval()}


def outputs(code):
    return Outputs(None, code)


@pytest.fixture(scope="module")
def code():
    """A code whose units are zero in different shares of the rows."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(500, 4)) * (rng.random((500, 4)) < [0.05, 0.1, 0.5, 1.0])
    return torch.from_numpy(z)


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_scale_of_a_unit_neither_counts_nor_is_driven(code, penalty):
    scale = torch.tensor([0.1, 1.0, 10.0, 1e3], dtype=code.dtype, requires_grad=True)
    scaled = penalty(outputs(code * scale), None)
    torch.testing.assert_close(scaled.detach(), penalty(outputs(code), None))
    scaled.mean().backward()
    torch.testing.assert_close(scale.grad * scale.detach(), torch.zeros(4, dtype=code.dtype))


def test_relative_size_of_rare_and_normal_units():
    z = np.random.default_rng(0).normal(size=(200_000, 1))
    rare = (np.arange(200_000) % 25 == 0)[:, None] * 3.0
    sizes = [
        PENALTIES["l1"](outputs(torch.from_numpy(v)), None).mean() for v in (z, rare, rare + 1e6)
    ]
    np.testing.assert_allclose(sizes, [np.sqrt(2 / np.pi), 0.2, 1], rtol=0.01)


def test_rows_average_to_the_divergence(code):
    rows = PENALTIES["kl"](outputs(code), None)
    share = (code != 0).double().mean(0).numpy().clip(0.01, 0.99)
    expected = np.mean(rel_entr(0.1, share) + rel_entr(0.9, 1 - share))
    np.testing.assert_allclose(rows.mean(), expected)
    assert rows.shape == (500,)
    assert rows.std() > 0


def test_divergence_pushes_towards_the_target():
    z = torch.from_numpy(np.random.default_rng(0).normal(size=(2000, 1)))
    for threshold, direction in [(0.5, -1), (2.5, 1)]:  # 62 % and 1.2 % active
        t = torch.tensor(threshold, dtype=z.dtype, requires_grad=True)
        ActivationRate(0.1).eval()(outputs(z - z.clamp(-t, t)), None).mean().backward()
        assert t.grad.sign().item() == direction


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_units_that_are_out_and_single_rows_stay_finite(penalty):
    for n_rows in (1, 5):
        dead = torch.zeros(n_rows, 3, requires_grad=True)
        penalty(outputs(dead), None).mean().backward()
        assert dead.grad.isfinite().all()


def test_divergence_is_torchs():
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    draws = torch.randn(7, 5, 3, generator=generator, dtype=torch.float64)
    code = mean + posterior.scale * draws
    drawn = DrawnDivergence()(VariationalOutputs(None, code, mean, log_variance, draws, None), None)
    expected = (posterior.log_prob(code) - prior.log_prob(code)).sum(-1)
    torch.testing.assert_close(drawn, expected, check_dtype=False)


def test_deception_is_the_loss_of_a_generator():
    logits = torch.linspace(-4, 4, 9)
    outputs = AdversarialOutputs(None, None, logits)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.ones(9), reduction="none"
    )
    torch.testing.assert_close(Deception()(outputs, None), expected)
    assert (Deception().eval()(outputs, None) == 0).all()


def test_the_error_is_what_simclr_says():
    rng = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 5, 3, generator=rng, dtype=torch.float64)
    found = ContrastiveError(0.2)(Projections(first, second), first)
    both = torch.cat([first, second])
    for i in range(5):
        nats = 0.0
        for a, b in ((i, i + 5), (i + 5, i)):
            likeness = nn.functional.cosine_similarity(both[a], both) / 0.2
            others = torch.cat([likeness[:a], likeness[a + 1 :]])
            nats += (others.logsumexp(0) - likeness[b]) / 2
        torch.testing.assert_close(found[i], nats)


def test_no_scale_of_the_projections_matters_and_equal_views_are_best():
    rng = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 50, 8, generator=rng)
    error = ContrastiveError(0.5)
    torch.testing.assert_close(
        error(Projections(first, second), first), error(Projections(3 * first, second / 7), first)
    )
    assert (
        error(Projections(first, first), first).mean()
        < error(Projections(first, second), first).mean()
    )


def test_many_held_out_rows_are_compared_in_groups():
    n = 2 * MOST_COMPARED + 6
    views = Projections(*torch.randn(2, n, 2, generator=torch.Generator().manual_seed(0)))
    error = ContrastiveError(0.5).eval()
    expected = [
        error(Projections(*(v[part] for v in views)), views.first[part])
        for part in np.array_split(np.arange(n), 3)
    ]
    torch.testing.assert_close(error(views, views.first), torch.cat(expected))
