"""A column that does not vary says nothing, whatever its value: rounding of its mean is no signal."""

import numpy as np
import pandas as pd
import pytest
from family import CODING, GIVING_BACK, labelled_digits, small

import skae
from skae.metrics import explained_share

pytestmark = pytest.mark.filterwarnings("ignore")
THIRD = 1 / 3  # the mean of such numbers is not always the number


def rows_with(value, hole):
    """Return rows of 8 columns, the last of them constant; every seventh row lacks a cell."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-3, 3, (150, 1))
    curves = np.hstack([np.sin(t), np.cos(t), t**2, t, t**3, rng.normal(size=(150, 1)), t])
    X = np.hstack([curves + 0.02 * rng.normal(size=(150, 7)), np.full((150, 1), value)])
    if hole is not None:
        X[::7, hole] = np.nan
    return X, (t[:, 0] > 0).astype(int)


@pytest.mark.parametrize(
    ("kind", "hole"),
    [(kind, hole) for kind in CODING for hole in ([None] if kind._complete else [None, 7])],
)
def test_the_value_of_a_constant_column_changes_nothing(kind, hole):
    codes = []
    for value in (0.0, 1e9 + THIRD):
        X, y = rows_with(value, hole)
        model = small(kind, 8).fit(X, y)
        codes.append(model.transform(X))
        if kind in GIVING_BACK:
            np.testing.assert_array_equal(model.reconstruct(X)[:, 7], value)
            assert model.score_by_column(X)[7] == 1
    np.testing.assert_array_equal(*codes)


def test_a_trained_network_does_not_learn_what_rounding_leaves():
    """Adam divides by the size of gradients, however small they are."""
    X, _ = rows_with(1e-6, None)
    X = np.tile(X, (4, 1)) + 1e-3 * np.random.default_rng(1).normal(size=(600, 8)) * (X[0] != 1e-6)
    model = skae.VAETransformer(1, random_state=0).fit(X)
    assert model.best_iter_
    np.testing.assert_array_equal(model.reconstruct(X)[:, 7], 1e-6)


def test_a_stream_knows_constant_columns_too():
    X, _ = rows_with(THIRD, None)
    rows = np.tile(X, (8, 1))
    model = skae.AutoencoderTransformer(2, hidden_layer_sizes=()).fit(skae.stream(rows, block=512))
    assert model.mean_[7] == THIRD
    np.testing.assert_array_equal(model.reconstruct(X)[:, 7], THIRD)


@pytest.mark.parametrize("n_rows", [3, 6, 7])
def test_rows_that_share_a_value_have_no_variance_to_explain(n_rows):
    same = np.full((n_rows, 1), 0.1)
    assert explained_share(same, same + 0.1) == 0
    assert explained_share(same, same) == 1
    X, _ = rows_with(0.0, None)
    table = pd.DataFrame(X, columns=list("abcdefgh"))
    for rows in (table, table.mask(X > 3), table.assign(k=["x", "y"] * 75)):
        model = skae.AutoencoderTransformer(2, max_iter=2, random_state=0).fit(rows)
        few = rows[:n_rows].assign(a=0.1)
        assert model.score_by_column(few)["a"] == 0
        assert -10 < model.score(few) <= 1


WITHOUT_START = [
    (kind, {"linear_path": None}) for kind in GIVING_BACK if "linear_path" in kind().get_params()
]
TIED = [{"tied_weights": True}, {"tied_weights": True, "linear_path": None}]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        *WITHOUT_START,
        *[(skae.AutoencoderTransformer, changes) for changes in TIED],
        (skae.BiGANTransformer, {}),
    ],
)
def test_no_weights_move_a_constant_column(kind, changes):
    """Random weights, shared ones and those that a discriminator taught would."""
    X, y = labelled_digits(60)
    model = small(kind, early_stopping=False, **changes).fit(X, y)
    assert model.best_iter_
    np.testing.assert_array_equal(model.reconstruct(X)[:, X.std(axis=0) == 0], 0.0)


def test_labels_are_not_told_by_what_rounding_leaves():
    """Beside rows of 1e-20 the noise of training would be far larger in columns whose unit is 1."""
    X, y = labelled_digits(60)
    X, settings = 1e-20 * X, {"hidden_layer_sizes": (), "random_state": 0}
    model = skae.SupervisedAutoencoder(2, **settings).fit(X, y)
    changed = X + (X.std(axis=0) == 0)
    np.testing.assert_array_equal(model.transform(changed), model.transform(X))
