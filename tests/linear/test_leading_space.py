"""Wide tables: trained along their leading axes, given back as columns'."""

import numpy as np
import pytest
from inside import standardised, widths
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer, SupervisedAutoencoder
from skae._linear import row_space
from skae._linear.row_space import leading_space
from skae.metrics import reconstruction_score


@pytest.fixture(scope="module")
def wide():
    """Digits seen through 200 mixing sensors with a little noise, and a constant one."""
    rng = np.random.default_rng(0)
    X = load_digits().data
    X = X @ rng.normal(size=(64, 200)) + rng.normal(size=(len(X), 200))
    X = np.column_stack([X, np.full(len(X), 3.0)])
    return X[:1300], X[1300:]


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(X, **params):
    return AutoencoderTransformer(4, random_state=0, **params).fit(X)


@pytest.fixture(scope="module")
def model(wide):
    return fitted(wide[0])


def test_little_lies_outside(wide):
    X = wide[0] - wide[0].mean(axis=0)
    space = leading_space(standardised(wide[0]).rows, 4, np.random.RandomState(0))
    inside = X @ space.axes
    np.testing.assert_allclose(space.axes.T @ space.axes, np.eye(inside.shape[1]), atol=1e-9)
    share = 1 - np.sum(inside**2) / np.sum(X**2)
    assert space.rest == pytest.approx(share)
    pca = PCA(4).fit(X)
    assert share <= 0.06 * (1 - pca.explained_variance_ratio_.sum())
    assert inside.var(axis=0).max() < 20 * inside.var(axis=0).min()  # turned: none stands out


def test_wide_tables_train_along_fewer_axes(wide):
    (width,) = widths(wide[0], 4)
    assert 16 <= width < 100
    assert widths(wide[0], 4, ordered=True) == {201}
    assert widths(wide[0][:, :100], 4) == {100}


def test_where_pca_is_kept_it_is_pca_of_the_columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(700, 150)) * 0.9 ** np.arange(150) @ rng.normal(size=(150, 150))
    assert len(widths(X, 4)) == 1
    assert widths(X, 4) != {150}
    model, pca = fitted(X), PCA(4).fit(X)
    assert model.best_iter_ == 0
    np.testing.assert_allclose(model.components_, pca.components_, atol=1e-8)
    assert model.noise_variance_ == pytest.approx(pca.noise_variance_)
    np.testing.assert_allclose(model.transform(X), pca.transform(X), atol=1e-6)


def test_it_is_far_better_than_pca(model, wide):
    pca = PCA(4).fit(wide[0])
    left = 1 - model.score(wide[1])
    assert left < 0.8 * (1 - reconstruction_score(pca, wide[1]))
    assert left < 1.5 * (1 - max(model.validation_scores_))  # which tell of columns, too


def test_a_constant_column_comes_back(model, wide):
    assert (model.reconstruct(wide[1])[:, -1] == 3.0).all()


def test_where_much_lies_outside_the_columns_are_trained(model, wide, monkeypatch):
    monkeypatch.setattr(row_space, "MOST_REST", 0.0)
    again = fitted(wide[0], max_iter=6)
    monkeypatch.setattr(row_space, "FEWEST_COLUMNS", 1000)
    in_columns = fitted(wide[0], max_iter=6)
    np.testing.assert_array_equal(again.transform(wide[1]), in_columns.transform(wide[1]))


# with labels ----------------------------------------------------------------------------------------


def supervised(X, y, **params):
    return SupervisedAutoencoder(4, random_state=0, **params).fit(X, y)


def test_labels_that_the_leading_axes_tell_are_learned_there(wide):
    y = load_digits().target
    (width,) = widths(wide[0], 4, y[:1300], SupervisedAutoencoder)
    assert width < 100
    model = supervised(wide[0], y[:1300])
    assert np.mean(model.predict(wide[1]) == y[1300:]) > 0.93
    assert model.score(wide[1]) > reconstruction_score(PCA(4).fit(wide[0]), wide[1])
    code = model.transform(wide[1])
    np.testing.assert_allclose(model.inverse_transform(code), model.reconstruct(wide[1]), atol=1e-9)


@pytest.mark.parametrize("place", [20, 40])
def test_labels_that_follow_a_direction_of_next_to_no_variance_are_predicted(place, monkeypatch):
    """The space holds what a regression reads: it is wider than PCA's, and tells as much as all columns."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(2500, 150)) * 0.85 ** np.arange(150)
    X = scores @ np.linalg.qr(rng.normal(size=(150, 150)))[0]
    y = scores[:, place] / 0.85**place + 0.5 * rng.normal(size=len(X))
    (width,) = widths(X[:2000], 4, y[:2000], SupervisedAutoencoder)
    assert max(widths(X[:2000], 4)) < place < width < 75
    model = supervised(X[:2000], y[:2000])
    monkeypatch.setattr(row_space, "FEWEST_COLUMNS", 1000)
    of_columns = supervised(X[:2000], y[:2000])
    error, by_columns = (
        np.mean((m.predict(X[2000:]) - y[2000:]) ** 2) / np.var(y[2000:])
        for m in (model, of_columns)
    )
    assert error < min(0.3, by_columns + 0.01)


def test_random_labels_leave_pca_of_the_columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(700, 150)) * 0.9 ** np.arange(150) @ rng.normal(size=(150, 150))
    y = rng.normal(size=700)
    assert max(widths(X, 4, y, SupervisedAutoencoder)) < 100
    model, pca = supervised(X, y), PCA(4).fit(X)
    assert model.best_iter_ == 0
    np.testing.assert_allclose(model.components_, pca.components_, atol=1e-8)
    assert model.noise_variance_ == pytest.approx(pca.noise_variance_)
    np.testing.assert_allclose(model.transform(X), pca.transform(X), atol=1e-6)


def test_scores_of_a_training_tell_of_columns(wide, monkeypatch):
    """They are 1 less the objective, whose reconstruction counts what lies outside, too."""
    y = load_digits().target[:1300]
    inside = supervised(wide[0], y, max_iter=2)
    monkeypatch.setattr(row_space, "FEWEST_COLUMNS", 1000)
    in_columns = supervised(wide[0], y, max_iter=2)
    assert inside.pca_score_ == pytest.approx(in_columns.pca_score_, abs=0.002)
