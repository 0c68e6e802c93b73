"""Laws of the noises, of the best linear denoiser, and of DenoisingAutoencoder."""

import numpy as np
import pytest
import torch
from inside import model_of, net_of
from sklearn.decomposition import PCA

from benchmarks.quality.denoising import spoil  # by numpy alone, independent of skae's noise
from skae import AutoencoderTransformer, DenoisingAutoencoder
from skae.corruption import NOISES

NAMES = sorted(NOISES)


def test_every_batch_has_new_noise_and_held_out_rows_the_same(gaussian):
    estimator = DenoisingAutoencoder(2, noise_level=1.0, batch_size=32, random_state=0)
    net = net_of(estimator.fit, gaussian, X_val=gaussian[:64])
    batches = [batch for _ in range(2) for batch in net.get_iterator(net.rows, training=True)]
    noise = torch.stack([inputs[:32] - target[:32] for inputs, (target, _) in batches])
    assert len(noise.unique(dim=0)) == len(batches) == 2 * (len(gaussian) // 32)
    assert 0.95 < noise.std() < 1.05
    (judged, target), again = [next(iter(net.get_iterator(net.held_out))) for _ in range(2)]
    assert torch.equal(judged, again[0])
    assert not torch.equal(judged, target[0])
    assert torch.equal(target[0], net.held_out.take(slice(None)))


# the linear denoiser --------------------------------------------------------------------------


def linear(name, level, k, **changes):
    return DenoisingAutoencoder(k, noise=name, noise_level=level, hidden_layer_sizes=(), **changes)


def test_gaussian_start_is_the_reduced_rank_regression(cancer):
    X, k, level = cancer[0], 4, 0.5
    S = np.cov(X.T, bias=True)
    N = level**2 * np.diag(np.diag(S))
    U = np.linalg.eigh(S @ np.linalg.inv(S + N) @ S)[1][:, ::-1][:, :k]
    expected = (cancer[1] - X.mean(axis=0)) @ (U @ U.T @ S @ np.linalg.inv(S + N)).T + X.mean(
        axis=0
    )
    np.testing.assert_allclose(
        linear("gaussian", level, k).fit(X).denoise(cancer[1]), expected, atol=1e-8
    )


@pytest.mark.parametrize("name", NAMES)
def test_start_is_the_best_linear_denoiser(cancer, name):
    """No worse than PCA, and than a regression on many noisy copies, in the noise it was made for."""
    X, level, k = cancer[0] * np.linspace(0.5, 3, 30) + 7, 0.3, 4
    model = linear(name, level, k).fit(X)
    noisy = np.vstack([spoil(name, level, X, X, np.random.default_rng(seed)) for seed in range(40)])
    clean = np.tile(X, (40, 1))
    error = np.mean((model.denoise(noisy) - clean) ** 2)
    pca = PCA(k).fit(X)
    assert error < np.mean((pca.inverse_transform(pca.transform(noisy)) - clean) ** 2)
    centred, target = noisy - noisy.mean(axis=0), clean - clean.mean(axis=0)
    regression = np.linalg.lstsq(centred, target, rcond=None)[0]
    axes = PCA(k).fit(centred @ regression).components_
    best = np.mean((centred @ regression @ axes.T @ axes - target) ** 2)
    assert error < 1.01 * best


def test_own_noise_finds_the_same_start(cancer):
    def gaussian(x, generator):
        return x + 0.5 * torch.randn(x.shape, generator=generator, dtype=x.dtype)

    X = np.tile(cancer[0], (20, 1))
    own = linear(gaussian, 1.0, 3, random_state=0).fit(X)
    known = linear("gaussian", 0.5, 3).fit(X)
    error = np.mean((own.denoise(cancer[1]) - known.denoise(cancer[1])) ** 2)
    assert error < 1e-3 * np.mean(known.denoise(cancer[1]) ** 2)


def test_rejected_fit_is_the_linear_denoiser(gaussian):
    model = DenoisingAutoencoder(4, random_state=0).fit(gaussian)
    assert model.best_iter_ == 0
    expected = linear("gaussian", 0.3, 4).fit(gaussian).denoise(gaussian)
    np.testing.assert_allclose(model.denoise(gaussian), expected, atol=1e-8)


# the estimator --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(digits):
    return AutoencoderTransformer(16, random_state=0).fit(digits[0])


@pytest.mark.parametrize(("name", "level"), [("gaussian", 0.5), ("masking", 0.3), ("swap", 0.3)])
def test_cleans_better_than_pca_and_the_plain_autoencoder(digits, plain, name, level):
    train, test = digits
    noisy = spoil(name, level, train, test, np.random.default_rng(0))
    denoiser = DenoisingAutoencoder(16, noise=name, noise_level=level, random_state=0).fit(train)
    error = np.mean((denoiser.denoise(noisy) - test) ** 2)
    for rival in (PCA(16).fit(train), plain):
        assert error < 0.9 * np.mean((rival.inverse_transform(rival.transform(noisy)) - test) ** 2)
    assert error < 0.8 * np.mean((noisy - test) ** 2)


def test_held_out_score_is_of_noisy_rows(digits):
    model = DenoisingAutoencoder(8, noise_level=1.0, random_state=0).fit(digits[0], X_val=digits[1])
    noisy = spoil("gaussian", 1.0, *digits, np.random.default_rng(0))
    error = np.mean((model.denoise(noisy) - digits[1]) ** 2) * 64
    score = 1 - error / digits[0].var(axis=0).sum()
    assert abs(max(model.validation_scores_) - score) < 0.05
    assert model.score(digits[1]) > max(model.validation_scores_) + 0.05


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"noise": "pepper"}, "'noise' parameter"),
        ({"noise_level": 0.0}, "'noise_level' parameter"),
        ({"noise_level": -1.0}, "'noise_level' parameter"),
        ({"noise": "masking", "noise_level": 1.0}, "noise_level=1.0.*below 1"),
        ({"noise": lambda x, generator: x[:, 0]}, "must return a tensor of shape"),
        ({"noise": lambda x, generator: None}, "must return a tensor of shape"),
        ({"noise": lambda x, generator: x * torch.nan}, "not finite"),
    ],
)
def test_bad_noise(cancer, parameters, message):
    with pytest.raises(ValueError, match=message):
        DenoisingAutoencoder(2, **parameters).fit(cancer[0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_constant_and_duplicate_columns():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(200, 1))
    X = np.hstack([a, a, np.full((200, 1), 3.0), rng.normal(size=(200, 1))])
    for name in NAMES:
        model = DenoisingAutoencoder(3, noise=name, max_iter=3, random_state=0)
        reconstruction = model.fit(X).denoise(X)
        assert np.isfinite(reconstruction).all()
        np.testing.assert_allclose(reconstruction[:, 2], 3.0, atol=0.05)
    assert model_of(model).baseline.column_weights[2] == 0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_own_noise_that_knows_no_generator_is_reproducible(cancer):
    state = torch.get_rng_state()
    codes = [
        DenoisingAutoencoder(
            3, noise=lambda x, generator: x + 0.3 * torch.randn_like(x), max_iter=3, random_state=0
        )
        .fit(cancer[0])
        .transform(cancer[1])
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*codes)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_own_noise_may_take_gradients(cancer):
    def away_from_mean(x, generator):
        rows = x.requires_grad_()
        return x + 0.1 * torch.autograd.grad(rows.square().sum(), rows)[0]

    makers = away_from_mean, lambda x, generator: x + 0.1 * (2 * x)
    codes = [
        DenoisingAutoencoder(3, noise=maker, max_iter=3, random_state=0)
        .fit(cancer[0])
        .transform(cancer[1])
        for maker in makers
    ]
    np.testing.assert_array_equal(*codes)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_own_noise_of_another_dtype(cancer, dtype):
    model = DenoisingAutoencoder(3, noise=lambda x, generator: x.to(dtype), max_iter=2)
    assert np.isfinite(model.fit(cancer[0]).denoise(cancer[1])).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_own_noise_with_few_or_collinear_rows_starts_no_worse_than_pca():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 200)) + 0.1 * rng.normal(size=(60, 200))
    wide = DenoisingAutoencoder(5, noise=lambda x, generator: x, max_iter=5, random_state=0)
    wide.fit(X[:40])
    pca = PCA(5).fit(X[:40])
    error = np.mean((wide.denoise(X[40:]) - X[40:]) ** 2)
    assert error < 1.05 * np.mean((pca.inverse_transform(pca.transform(X[40:])) - X[40:]) ** 2)
    collinear = np.repeat(rng.normal(size=(200, 3)), 2, axis=1)
    same = DenoisingAutoencoder(3, noise=lambda x, generator: x, hidden_layer_sizes=())
    np.testing.assert_allclose(same.fit(collinear).denoise(collinear), collinear, atol=1e-4)
