"""What comes back as what: names where the fit saw names."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_iris, load_wine

from skae import AutoencoderTransformer, ConditionalVAE, RecurrentAutoencoder, VAETransformer

ROWS, LABELS = load_wine(return_X_y=True)
NUMBERS = pd.DataFrame(ROWS[:, :6], index=[f"bottle {i}" for i in range(len(ROWS))])
NUMBERS = NUMBERS.rename(columns="column {}".format)
MIXED = NUMBERS.assign(kind=np.array(["red", "white", "rose"])[LABELS])
LACKING = NUMBERS.mask(np.random.default_rng(0).random(NUMBERS.shape) < 0.1)
FRAMES = {
    "numbers": NUMBERS,
    "categories": MIXED,
    "missing cells": LACKING,
    "integers for names": NUMBERS.set_axis(range(6), axis=1),
    "two levels of names": NUMBERS.set_axis([("a", i) for i in range(6)], axis=1),
    "polars": pl.from_pandas(NUMBERS.reset_index(drop=True)),
    "polars, categories": pl.from_pandas(MIXED.reset_index(drop=True)),
}
KINDS = AutoencoderTransformer, RecurrentAutoencoder, VAETransformer, ConditionalVAE


def fitted(kind, X):
    params = {"max_iter": 1, "early_stopping": False, "hidden_layer_sizes": (4,)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(2, random_state=0, **params).fit(X, LABELS)


def takes(kind, X):
    """Return whether an estimator takes these rows."""
    try:
        return fitted(kind, X)
    except ValueError:
        return None


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_a_frame_have_their_names(kind, name):
    X = FRAMES[name]
    model = takes(kind, X)
    if model is None:
        pytest.skip(f"{kind.__name__} takes no {name}")
    names = list(X.columns)
    scores = model.score_by_column(X)
    assert isinstance(scores, pd.Series)
    assert scores.index.tolist() == names
    cells = model.reconstruction_error(X, per_feature=True)
    assert type(cells) is type(X)
    assert list(cells.columns) == names
    if isinstance(X, pd.DataFrame):
        assert cells.index.equals(X.index)
        assert cells.columns.equals(X.columns)
        np.testing.assert_array_equal(cells.isna(), X.isna())
    assert type(model.reconstruction_error(X)) is np.ndarray
    sums = np.nansum(cells.to_numpy(), axis=1)
    np.testing.assert_allclose(sums, model.reconstruction_error(X))


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_an_array_have_places(kind):
    X = NUMBERS.to_numpy()
    model, of_frame = fitted(kind, X), fitted(kind, NUMBERS)
    for each, other in [
        (model.score_by_column(X), of_frame.score_by_column(NUMBERS)),
        (
            model.reconstruction_error(X, per_feature=True),
            of_frame.reconstruction_error(NUMBERS, per_feature=True),
        ),
    ]:
        assert type(each) is np.ndarray
        np.testing.assert_array_equal(each, other)


def test_all_numbers_come_back_as_from_pca():
    """Arrays, unless set_output asks for frames; other tables come back as they were."""
    model = fitted(AutoencoderTransformer, NUMBERS)
    assert type(model.reconstruct(NUMBERS)) is np.ndarray
    frame = model.set_output(transform="pandas").reconstruct(NUMBERS)
    assert frame.columns.equals(NUMBERS.columns)
    assert frame.index.equals(NUMBERS.index)
    assert type(fitted(AutoencoderTransformer, MIXED).reconstruct(MIXED)) is pd.DataFrame
    assert type(fitted(AutoencoderTransformer, MIXED).transform(MIXED)) is np.ndarray


def test_a_frame_fitted_as_an_array_is_none():
    X = load_iris(as_frame=True).data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoencoderTransformer(2, max_iter=1).fit(X.to_numpy())
        assert type(model.score_by_column(X)) is np.ndarray
