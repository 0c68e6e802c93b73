"""``n_components="auto"``, the default: as many components as PCA needs for 95 % of the variance."""

import numpy as np
import pandas as pd
import pytest
from family import CODING, name_of, small
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import skae
from skae import AutoencoderTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:150], Y[:150]


@pytest.fixture(scope="module")
def table():
    """Return a frame with numbers and categories, some cells missing."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(X[:, 18:30])
    frame.columns = [f"pixel {name}" for name in frame]
    frame["digit"] = pd.Categorical(Y)
    frame["even"] = np.where(Y % 2, "odd", "even")
    return frame.mask(rng.random(frame.shape) < 0.1)


def within_labels():
    """Return rows less the mean of their class."""
    means = pd.DataFrame(X).groupby(Y).transform("mean").to_numpy()
    return X - means


@pytest.mark.parametrize("kind", CODING, ids=name_of)
def test_auto_is_the_default_and_pcas_number(kind):
    assert kind().n_components == "auto"
    rows = within_labels() if kind is skae.ConditionalVAE else X
    model = small(kind, n_components="auto").fit(X, Y)
    assert model.n_components_ == PCA(0.95).fit(rows).n_components_


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("n_rows", [10, 150])
def test_one_plain_fit_takes_the_place_of_a_comparison(ordered, n_rows):
    auto = AutoencoderTransformer(ordered=ordered, max_iter=3, random_state=0).fit(X[:n_rows])
    given = clone(auto).set_params(n_components=auto.n_components_).fit(X[:n_rows])
    np.testing.assert_array_equal(auto.transform(X), given.transform(X))
    assert auto.validation_scores_ == given.validation_scores_


def test_auto_of_a_table_is_the_number_of_its_linear_model(table):
    params = {"max_iter": 2, "random_state": 0}
    auto = AutoencoderTransformer(**params).fit(table)
    linear = AutoencoderTransformer(0.95, hidden_layer_sizes=(), **params).fit(table)
    assert auto.n_components_ == linear.n_components_ > 1


def test_auto_of_a_stream_is_that_of_its_first_batch():
    model = AutoencoderTransformer().partial_fit(X).partial_fit(X[:40])
    assert model.n_components_ == PCA(0.95).fit(X).n_components_


def test_auto_of_more_columns_than_rows():
    wide = np.tile(X[:40], 4) + np.random.default_rng(0).normal(size=(40, 256))
    model = AutoencoderTransformer(max_iter=2, random_state=0).fit(wide)
    assert model.n_components_ == PCA(0.95).fit(wide).n_components_


def test_auto_is_saved(tmp_path):
    model = AutoencoderTransformer(max_iter=2, random_state=0).fit(X)
    skae.save(model, tmp_path / "model.skae")
    same = skae.load(tmp_path / "model.skae")
    assert same.n_components == "auto"
    np.testing.assert_array_equal(same.transform(X), model.transform(X))


@pytest.mark.parametrize("asked", ["pca", 0, 1.5, 0.0])
def test_what_is_no_number_of_components_is_refused(asked):
    with pytest.raises(ValueError, match=r"'n_components' parameter .* must be .*'auto'"):
        AutoencoderTransformer(asked).fit(X)
