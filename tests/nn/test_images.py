"""Networks of images."""

import numpy as np
import torch
from sklearn.datasets import load_digits

from skae import ConvolutionalAutoencoder
from skae.nn.images import Images, draw, image_decoder, image_encoder


def test_neighbours_matter():
    """Moving an image by one pixel moves what its convolutions see; away from the border, no more."""
    shape, channels = (1, 16, 16), (4,)
    encoder = image_encoder(shape, channels, 2, torch.nn.ReLU)
    draw(encoder, torch.Generator().manual_seed(0), zero_output=False)
    image = torch.zeros(1, 1, 16, 16)
    image[..., 6:10, 6:10] = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    maps = encoder[:-2]
    moved = torch.roll(image, (2, 2), (2, 3))
    with torch.no_grad():
        expected = torch.roll(maps(image.flatten(1)), (1, 1), (2, 3))
        torch.testing.assert_close(maps(moved.flatten(1)), expected)


def test_a_decoder_ends_in_rows():
    decoder = image_decoder((3, 9, 13), (4, 8, 16), 5, torch.nn.GELU)
    draw(decoder, torch.Generator().manual_seed(0), zero_output=False)
    rows = decoder(torch.ones(2, 5))
    assert rows.shape == (2, 3 * 9 * 13)
    assert (rows != 0).all()


def test_pixels_share_a_unit():
    """A quiet pixel stays quiet for the convolutions; a constant one is not seen and stays as it is."""
    X = load_digits().data[:200]
    X[:, 9] = 5.0
    params = {"channels": (4, 8), "max_iter": 5, "early_stopping": False, "random_state": 0}
    model = ConvolutionalAutoencoder(4, **params).fit(X)
    unit = next(m.unit.numpy() for m in model.module_.modules() if isinstance(m, Images))
    np.testing.assert_allclose(unit**2 * X.var(axis=0).mean(), X.var(axis=0), atol=1e-6)
    np.testing.assert_array_equal(model.reconstruct(X)[:, 9], 5.0)
