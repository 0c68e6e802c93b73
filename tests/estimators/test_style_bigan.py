"""StyleBiGAN: it grows, draws, and mixes styles."""

import pickle

import numpy as np
import pytest
import torch
from inside import model_of, net_of
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.svm import SVC

import skae
from skae import StyleBiGAN
from skae.nn.styles import StyleBlock, averages, resolutions

SHAPE = (8, 8)


def small(**changes):
    settings = {"image_shape": SHAPE, "channels": (4, 8), "max_iter": 4, "random_state": 0}
    return StyleBiGAN(3, **settings | changes)


@pytest.fixture(scope="module")
def labelled():
    X, y = load_digits(return_X_y=True)
    return X[:1200], y[:1200], X[1200:], y[1200:]


@pytest.fixture(scope="module")
def trained(labelled):
    return StyleBiGAN(8, image_shape=SHAPE, max_iter=30, random_state=0).fit(labelled[0])


@pytest.fixture(scope="module")
def short(labelled):
    return small().fit(labelled[0][:200])


def test_all_classes_are_drawn(labelled, trained):
    X, y, X_test, _ = labelled
    shares = np.bincount(SVC().fit(X, y).predict(trained.sample(1000, 0)), minlength=10) / 1000
    assert shares.min() > 0.03
    assert shares.max() < 0.25
    assert trained.score(X_test) > 0.3


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 8, 8), [(4, 4), (8, 8)]),
        ((1, 28, 28), [(4, 4), (7, 7), (14, 14), (28, 28)]),
        ((3, 5, 9), [(2, 3), (3, 5), (5, 9)]),
        ((1, 1, 4), [(1, 4)]),
    ],
)
def test_resolutions_halve_down_to_four_pixels(shape, expected):
    assert resolutions(shape) == expected


def test_each_resolution_is_faded_in(labelled):
    """In the first half: stay, fade, stay, ...; the history tells it, and the end is the full size."""
    X = np.pad(labelled[0][:64].reshape(-1, 8, 8), ((0, 0), (4, 4), (4, 4))).reshape(64, -1)
    model = small(image_shape=(16, 16), max_iter=16, batch_size=16).fit(X)
    told = [(row["resolution"], row["fade_in"]) for row in model.history_]
    assert [name for name, _ in told] == ["4 x 4"] * 2 + ["8 x 8"] * 4 + ["16 x 16"] * 10
    shares = [share for _, share in told]
    assert 0 < shares[2] < shares[3] < 1
    assert shares[4:6] == [1, 1]
    assert 0 < shares[6] < shares[7] < 1
    assert shares[8:] == [1] * 8
    assert model.resolutions_ == ((4, 4), (8, 8), (16, 16))
    whole = small(image_shape=(16, 16), growing=False, max_iter=2).fit(X)
    assert {row["resolution"] for row in whole.history_} == {"16 x 16"}


def test_a_resolution_that_was_not_faded_in_changes_nothing(short):
    """At the beginning of a fade all networks give what they gave before."""
    module, x = short.module_, torch.from_numpy(np.random.default_rng(0).normal(size=(5, 64)))
    code = torch.from_numpy(np.random.default_rng(1).normal(size=(5, 3)))
    for part in (module.encoder, module.decoder):
        inputs, found = x if part is module.encoder else code, []
        for level in (0.0, 1e-9, 1.0):
            part.level.fill_(level)
            found.append(part(inputs))
        torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-6)
        assert not torch.allclose(found[0], found[2], rtol=1e-3)


def test_modulation_is_that_of_the_weights():
    """Scaling what goes in and out is one convolution a row, with weights of its own."""
    generator = torch.Generator().manual_seed(0)
    block = StyleBlock(3, 5, torch.nn.Identity).requires_grad_(False)
    for parameter in block.parameters():
        parameter.normal_(generator=generator)
    x, style = torch.randn(4, 3, 6, 7, generator=generator), torch.randn(4, 64, generator=generator)
    noise = torch.randn(4, 1, 6, 7, generator=generator)
    for row in range(4):
        weight = block.weight * (1 + block.style(style[row]))[:, None, None]
        weight = weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt()
        expected = torch.nn.functional.conv2d(x[row : row + 1], weight, padding=1)
        expected = expected + block.bias + block.strength * noise[row : row + 1]
        found = block(x, style, noise)[row : row + 1]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_ends_of_mixing_are_reconstructions(labelled, trained):
    a, b = labelled[2][:20], labelled[2][20:40]
    np.testing.assert_allclose(trained.mix(a, b, 0), trained.reconstruct(b), atol=1e-9)
    np.testing.assert_allclose(trained.mix(a, b, 2), trained.reconstruct(a), atol=1e-9)
    np.testing.assert_allclose(trained.mix(a, a, 1), trained.reconstruct(a), atol=1e-9)
    half = trained.mix(a.astype(np.float32), b, 1)
    np.testing.assert_allclose(half, trained.mix(a, b, 1), atol=1e-3)
    one = trained.mix(a[:1], b, 1)
    np.testing.assert_allclose(one, trained.mix(np.repeat(a[:1], 20, axis=0), b, 1), atol=1e-9)


def test_coarse_styles_decide_what_is_seen(labelled, trained):
    """Averaged to 4 x 4 pixels, a mixed image is nearer to the row of its coarse styles."""
    a, b = labelled[2][:100], labelled[2][100:200]
    small_ones = [
        rows.reshape(-1, 4, 2, 4, 2).mean((2, 4)).reshape(len(rows), -1)
        for rows in (trained.mix(a, b, 1), trained.reconstruct(a), trained.reconstruct(b))
    ]
    mixed, of_a, of_b = small_ones
    nearer = np.linalg.norm(mixed - of_a, axis=1) < np.linalg.norm(mixed - of_b, axis=1)
    assert nearer.mean() > 0.8  # 0.84 or 0.9, by how a machine rounds; 0.5 by chance


def test_truncation_leads_to_the_mean_style(trained):
    """At 0 all images are one but for the noise; they differ less the smaller it is."""
    spread = [trained.sample(200, 0, truncation=share).std(axis=0).mean() for share in (0, 0.5, 1)]
    assert spread[0] < spread[1] < spread[2]
    np.testing.assert_array_equal(trained.sample(5, 3), trained.sample(5, 3, truncation=1.0))
    assert (trained.sample(3, 0) != trained.sample(3, 1)).any()


def test_noise_is_drawn_and_left_out_of_the_way_back(trained):
    codes = np.random.RandomState(4).standard_normal((7, 8))
    drawn, plain = trained.sample(7, 4), trained.inverse_transform(codes)
    assert 0 < np.abs(drawn - plain).mean() < 0.5 * plain.std()
    np.testing.assert_array_equal(trained.inverse_transform(codes), plain)


def test_mixed_rows_stand_beside_the_encoders_code(labelled):
    for share in (0.0, 0.25, 1.0):
        net = net_of(small(style_mixing=share, growing=False).fit, labelled[0][:200])
        net.generator.manual_seed(3)
        rows, codes = net._generate(net.rows.take(slice(200)))
        drawn = torch.randn(200, 3, generator=torch.Generator().manual_seed(3))
        mixed = (codes != drawn).all(1)
        assert mixed.float().mean().item() == pytest.approx(share, abs=0.1)
        torch.testing.assert_close(codes[mixed], net.module_.encode(rows[mixed]))
        assert not codes.requires_grad


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 1, 9), (2, 2)])
def test_images_of_any_shape(shape, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)) @ rng.normal(size=(3, int(np.prod(shape))))
    X[:, 2] = 1.5
    model = small(image_shape=shape, loss="logistic", replay=0.5, max_iter=2).fit(X)
    code = model.transform(X)
    one_by_one = np.vstack([model.transform(row[None]) for row in X])
    np.testing.assert_allclose(one_by_one, code, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(model.reconstruct(X)[:, 2], 1.5)
    skae.save(model, tmp_path / "model.skae")
    for same in (skae.load(tmp_path / "model.skae"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(same.transform(X), code)
        np.testing.assert_array_equal(same.sample(3, 1), model.sample(3, 1))
        np.testing.assert_array_equal(same.mix(X[:3], X[3:6], 1), model.mix(X[:3], X[3:6], 1))


def test_training_goes_on_at_full_size(labelled):
    X = labelled[0][:300]
    warm = small(max_iter=6, warm_start=True).fit(X)
    assert {row["resolution"] for row in warm.history_} == {"4 x 4", "8 x 8"}
    assert {row["resolution"] for row in warm.fit(X).history_} == {"8 x 8"}
    assert model_of(warm).module.decoder.level == 1
    stream = clone(warm).partial_fit(X)
    assert stream.partial_fit(X).history_[-1]["resolution"] == "8 x 8"


def test_bad_values_are_refused(labelled, short):
    X = labelled[0]
    for level in (-1, 3, 0.5):
        with pytest.raises(ValueError, match="expected an int from 0 to 2"):
            short.mix(X[:2], X[:2], level)
    with pytest.raises(ValueError, match="a has 2 rows, b has 3"):
        short.mix(X[:2], X[:3], 1)
    for share in (-0.1, 1.5, "half"):
        with pytest.raises(ValueError, match="truncation=.*expected a number from 0 to 1"):
            short.sample(1, truncation=share)
    with pytest.raises(ValueError, match="channels is empty"):
        small(channels=()).fit(X[:100])
    with pytest.warns(UserWarning, match="taken for a signal"):
        small(image_shape=None, max_iter=1).fit(X[:100, :60])


@pytest.mark.parametrize(("before", "after"), [((8, 8), (4, 4)), ((10, 7), (3, 4))])
def test_pooling_is_a_product_with_matrices(before, after):
    images = torch.randn(2, 3, *before, generator=torch.Generator().manual_seed(0))
    rows, columns = (averages(*sizes) for sizes in zip(before, after, strict=True))
    pooled = torch.nn.functional.adaptive_avg_pool2d(images, after)
    torch.testing.assert_close(rows.T @ images @ columns, pooled)
