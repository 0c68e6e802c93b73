"""Fits on a CUDA device: the same models, and copies of them that need none.

The other tests run on the CPU, also where there is a device; these run with

    SKAE_TEST_CUDA=1 python -m pytest tests/training/test_cuda.py
"""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from family import GIVING_BACK, TRAINED, decoded, fitted, labelled_digits, name_of
from test_checkpoint import assert_same, killed_after, write_often

import skae
from skae import (
    AutoencoderTransformer,
    SparseAutoencoder,
    StyleBiGAN,
    SupervisedAutoencoder,
    VAETransformer,
)
from skae._training import recorded

pytestmark = [
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="needs a CUDA device and SKAE_TEST_CUDA=1"
    ),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
FOLDS, ONE_NET = 150, 600


def on(device, kind, X, y):
    inner = AutoencoderTransformer(3, max_iter=3, device=device)
    model = fitted(kind, X, y, device=device, autoencoder=inner)
    assert getattr(model, "device_", device) == device
    return model


def answers(model, X):
    return model.transform(X) if hasattr(model, "transform") else np.asarray(model.predict(X))


@pytest.mark.parametrize("n_rows", [FOLDS, ONE_NET])
@pytest.mark.parametrize("kind", TRAINED, ids=name_of)
def test_the_model_is_that_of_the_cpu(kind, n_rows):
    X, y = labelled_digits(n_rows)
    here = on("cpu", kind, X, y)
    there = on("cuda", kind, X, y)
    difference = np.linalg.norm(answers(there, X) - answers(here, X))
    assert difference < 0.01 * np.linalg.norm(answers(here, X))
    if hasattr(here, "score"):
        assert there.score(X, y) == pytest.approx(here.score(X, y), abs=1e-3)


@pytest.mark.parametrize("n_rows", [FOLDS, ONE_NET])
@pytest.mark.parametrize("kind", TRAINED, ids=name_of)
def test_one_seed_is_one_model(kind, n_rows):
    X, y = labelled_digits(n_rows)
    before = torch.get_rng_state(), torch.cuda.get_rng_state()
    first = answers(on("cuda", kind, X, y), X)
    np.testing.assert_array_equal(answers(on("cuda", kind, X, y), X), first)
    for old, new in zip(before, (torch.get_rng_state(), torch.cuda.get_rng_state()), strict=True):
        assert torch.equal(old, new)


def test_pooling_of_uneven_images_is_repeatable():
    X = np.random.default_rng(0).normal(size=(100, 10 * 10))
    ae = StyleBiGAN(3, image_shape=(10, 10), channels=(4, 4, 8), max_iter=6, random_state=0)
    first, again = (ae.set_params(device="cuda").fit(X).transform(X) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_linear_start_is_that_of_the_cpu(dtype):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(9000, 300)) * np.linspace(1, 2, 300) + 5).astype(dtype)
    weight = rng.uniform(0.5, 2, 9000)
    here, there = (
        AutoencoderTransformer(5, hidden_layer_sizes=(), device=device).fit(X, None, weight)
        for device in ("cpu", "cuda")
    )
    for name in ("mean_", "scale_", "components_", "explained_variance_", "noise_variance_"):
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", GIVING_BACK, ids=name_of)
def test_copies_are_on_the_cpu(kind, tmp_path):
    X, y = labelled_digits(ONE_NET)
    model = on("cuda", kind, X, y)
    skae.save(model, tmp_path / "model.skae")
    code = model.transform(X)
    for copy in (skae.load(tmp_path / "model.skae"), pickle.loads(pickle.dumps(model))):
        assert all(p.device.type == "cpu" for p in copy.module_.parameters())
        np.testing.assert_allclose(copy.transform(X), code, atol=1e-9 * np.abs(code).max())
        np.testing.assert_allclose(decoded(copy, code, y), decoded(model, code, y), atol=1e-9)


@pytest.mark.parametrize("kind", [AutoencoderTransformer, VAETransformer])
def test_tables(kind):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(700, 2)) @ rng.normal(size=(2, 4)), columns=list("abcd"))
    frame["kind"] = pd.Categorical(np.where(frame["a"] + frame["b"] > 0, "x", "y"))
    frame = frame.mask(rng.random(frame.shape) < 0.1)
    for rows in (frame, frame[:200]):
        here, there = (
            kind(3, max_iter=5, random_state=0, device=device).fit(rows)
            for device in ("cpu", "cuda")
        )
        np.testing.assert_allclose(there.transform(rows), here.transform(rows), atol=0.01)
        same = there.impute(rows)["kind"].astype(str) == here.impute(rows)["kind"].astype(str)
        assert same.mean() > 0.99


def test_what_a_fit_may_be_asked_for(tmp_path):
    X, _ = labelled_digits(ONE_NET)
    few = {"max_iter": 5, "random_state": 0, "device": "cuda"}
    assert 1 < AutoencoderTransformer(0.8, **few).fit(X).n_components_ < 20
    ordered = AutoencoderTransformer(6, ordered=True, **few).fit(X)
    np.testing.assert_allclose(ordered.truncate(2).transform(X), ordered.transform(X)[:, :2])
    stream = AutoencoderTransformer(4, **few)
    for part in np.array_split(X, 3):
        stream.partial_fit(part)
    assert stream.score(X) > 0.4
    weighted = VAETransformer(4, checkpoint=tmp_path / "fit.state", **few)
    weighted.fit(X, sample_weight=np.linspace(0.5, 2, len(X)))
    assert np.isfinite(weighted.score_samples(X)).all()
    assert weighted.sample(10, random_state=0).shape == (10, X.shape[1])


def test_a_killed_fit_goes_on(tmp_path, monkeypatch):
    write_often(monkeypatch)
    X, _ = labelled_digits(ONE_NET)
    params = {"penalty": "kl", "max_iter": 5, "random_state": 0, "device": "cuda"}
    whole = SparseAutoencoder(3, **params).fit(X)
    model = SparseAutoencoder(3, **params, checkpoint=tmp_path / "fit.state")
    assert killed_after(2, monkeypatch, model, X)
    assert (tmp_path / "fit.state").exists()
    assert_same(model.fit(X), whole)


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        (AutoencoderTransformer, {}),
        (AutoencoderTransformer, {"ordered": True}),
        (SupervisedAutoencoder, {}),
        (VAETransformer, {}),
    ],
)
@pytest.mark.parametrize("n_rows", [FOLDS, ONE_NET])
def test_recorded_steps_are_those_taken_one_by_one(kind, params, n_rows, monkeypatch):
    X, y = labelled_digits(n_rows)
    model = kind(4, max_iter=5, random_state=0, device="cuda", **params)
    code, score = model.fit(X, y).transform(X), model.score(X)
    graphs = []
    make = torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda g: graphs.append(g) or make(g))
    model.fit(X, y)
    assert graphs
    monkeypatch.setattr(recorded, "_can_record", lambda net: False)
    model.fit(X, y)
    np.testing.assert_allclose(model.transform(X), code, atol=2e-3)
    assert model.score(X) == pytest.approx(score, abs=1e-3)
