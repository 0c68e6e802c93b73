"""The linear denoiser of few rows and many columns, by matrices of the rows."""

import numpy as np
import pytest

from skae import corruption
from skae._data.rows import Rows
from skae._linear import denoiser


def salt_and_pepper(model):
    ends = [(end - model.mean) / model.scale for end in (model.low, model.high)]
    return corruption.SaltAndPepperNoise(0.2, *ends)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("k", [3, 80])
@pytest.mark.parametrize(
    "make_noise",
    [
        lambda model: corruption.GaussianNoise(0.5),
        lambda model: corruption.MaskingNoise(0.3),
        salt_and_pepper,
    ],
)
def test_it_is_that_of_the_columns(make_noise, k, weighted, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 300)) + rng.normal(size=(60, 300))
    X *= rng.uniform(0.1, 9, 300)
    X[:, 7] = 3.0
    rows = Rows(X, weight=rng.uniform(0.2, 2, 60) if weighted else None)

    def fitted():
        return denoiser.linear_denoiser(rows, k, make_noise, np.random.RandomState(0))

    few = fitted()
    monkeypatch.setattr(denoiser, "FEW", np.inf)
    many = fitted()
    for name in ("encoder", "components", "deviations", "offset"):
        expected = getattr(many, name)
        tolerance = 1e-8 * np.abs(expected).max()
        np.testing.assert_allclose(getattr(few, name), expected, rtol=0, atol=tolerance)
    assert few.unexplained == pytest.approx(many.unexplained, rel=1e-9)
