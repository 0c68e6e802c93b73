import os

if "SKAE_TEST_CUDA" not in os.environ:  # which is for test_cuda.py alone
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


def halves(X):
    """Return standardised training and held-out rows."""
    train, test = train_test_split(X, random_state=0)
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


@pytest.fixture(scope="session")
def digits():
    return halves(load_digits().data)


@pytest.fixture(scope="session")
def cancer():
    return halves(load_breast_cancer().data)


@pytest.fixture(scope="session")
def wine():
    return halves(load_wine().data)


@pytest.fixture(scope="session")
def gaussian():
    """Correlated Gaussian rows: nothing beats PCA here."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(400, 10)) @ rng.normal(size=(10, 10))


@pytest.fixture
def plain_draws(monkeypatch):
    """Let VAEs draw as after few rows: what else they learn for draws is most of the time of a fit."""
    for name in ("FEWEST_OF_MIXTURE", "FEWEST_JUDGED"):
        monkeypatch.setattr(f"skae._model.variational.{name}", np.inf)


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")
