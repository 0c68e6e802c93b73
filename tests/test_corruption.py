"""Noises: their moments are what they say."""

import numpy as np
import pytest
import torch

from skae.corruption import NOISES, Jitter, SwapNoise

NAMES = sorted(NOISES)


def make_noise(name, level, X):
    extremes = (X.min(axis=0), X.max(axis=0)) if name == "salt_and_pepper" else ()
    return NOISES[name](level, *extremes)


@pytest.fixture(scope="module")
def skewed():
    """Standardised, correlated, skewed rows."""
    rng = np.random.default_rng(0)
    X = rng.exponential(size=(200_000, 4)) @ rng.normal(size=(4, 4))
    return (X - X.mean(axis=0)) / X.std(axis=0)


@pytest.mark.parametrize("name", NAMES)
def test_moments_are_those_of_the_noise(skewed, name):
    noise = make_noise(name, 0.3, skewed)
    x = torch.from_numpy(skewed)
    noisy = noise.begin(torch.Generator().manual_seed(0))(x).numpy()
    kept, own, mean = noise.moments(skewed.min(axis=0), skewed.max(axis=0))
    correlation = np.cov(skewed.T)
    scale = np.sqrt(kept**2 + own)  # standard deviation of a noisy column
    np.testing.assert_allclose((noisy.mean(axis=0) - mean) / scale, 0, atol=0.01)
    cross = (skewed.T @ (noisy - noisy.mean(axis=0))) / len(x)
    np.testing.assert_allclose(cross / scale, kept * correlation / scale, atol=0.02)
    expected = kept**2 * correlation + np.diag(own)
    np.testing.assert_allclose(np.cov(noisy.T) / np.outer(scale, scale),
                               expected / np.outer(scale, scale), atol=0.02)  # fmt: skip


def test_swapped_cells_stay_in_their_column():
    x = torch.arange(20.0)[:, None] + 100 * torch.arange(3.0)
    noisy = SwapNoise(0.5).begin(torch.Generator().manual_seed(0))(x)
    assert torch.equal((noisy / 100).floor(), (x / 100).floor())
    assert 0.2 < (noisy != x).float().mean() < 0.7


def test_noise_for_all_nets_has_each_nets_own_level():
    generator, levels = torch.Generator().manual_seed(0), (0.0, 0.1, 3.0)
    add = Jitter.begin_together([Jitter(level) for level in levels], generator)
    first, second = add(torch.zeros(3, 50, 40)), add(torch.zeros(3, 50, 40))
    for noise, other in [(first, first), (first, second)]:
        np.testing.assert_allclose(noise.std((1, 2)), levels, rtol=0.1)
        assert abs(np.corrcoef(noise[1].ravel(), other[2].ravel())[0, 1]) < 0.1
    assert not torch.equal(first[1], second[1])
