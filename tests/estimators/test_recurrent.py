"""RecurrentAutoencoder: sequences as rows."""

import pickle

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupShuffleSplit
from sklearn.preprocessing import StandardScaler

import skae
from skae import RecurrentAutoencoder
from skae.metrics import reconstruction_score

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SHAPE = 100, 6


@pytest.fixture(scope="module")
def watch():
    """Six motion sensors in windows of 100 steps: rows of some persons, and of others."""
    from seglearn.datasets import load_watch

    data = load_watch()
    windows = [x[: len(x) // 100 * 100].reshape(-1, 600) for x in data["X"]]
    persons = np.repeat(data["subject"], list(map(len, windows)))
    X = np.unique(np.column_stack([persons, *[np.concatenate(windows)]]), axis=0)
    train, test = next(GroupShuffleSplit(1, test_size=0.25, random_state=0).split(X, None, X[:, 0]))
    scaler = StandardScaler().fit(X[train, 1:])
    return scaler.transform(X[train, 1:]), scaler.transform(X[test, 1:])


@pytest.fixture(scope="module")
def fitted(watch):
    return small(8, max_iter=12).fit(watch[0])


@pytest.fixture(scope="module")
def fitted_to_short_ones(watch):
    return small(8, max_iter=12).fit(shortened(watch[0], 40))


def small(n_components=4, **changes):
    settings = {"sequence_shape": SHAPE, "early_stopping": False, "max_iter": 3, "random_state": 0}
    return RecurrentAutoencoder(n_components, **settings | changes)


def cut(X, n_steps):
    """Return sequences that break off after some steps."""
    return np.where(np.arange(600) < 6 * n_steps, X, np.nan)


def shortened(X, least):
    """Return sequences half of which break off, at a random step."""
    rng = np.random.default_rng(0)
    ends = np.where(rng.random(len(X)) < 0.5, 100, rng.integers(least, 100, len(X)))
    return np.where(np.arange(600) < 6 * ends[:, None], X, np.nan)


@quiet
def test_below_pca_on_new_persons(watch):
    model = RecurrentAutoencoder(8, sequence_shape=SHAPE, max_iter=12, random_state=0).fit(watch[0])
    pca = PCA(8).fit(watch[0])
    assert model.best_iter_ > 0
    assert 1 - model.score(watch[1]) < 0.9 * (1 - reconstruction_score(pca, watch[1]))


@pytest.mark.parametrize("name", ["fitted", "fitted_to_short_ones"])
def test_a_sequence_cut_short_has_nearly_the_code_of_the_whole(name, watch, request):
    model, X = request.getfixturevalue(name), watch[1]
    whole = model.transform(X)
    spread = np.sqrt(np.mean((whole - whole.mean(axis=0)) ** 2))
    away = [
        np.sqrt(np.mean((model.transform(cut(X, n)) - whole) ** 2)) / spread
        for n in (100, 95, 75, 50)
    ]
    assert away[0] == 0
    assert away[1] < 0.15
    assert away[1] < away[2] < away[3] < 0.75


@pytest.mark.parametrize("name", ["fitted", "fitted_to_short_ones"])
def test_all_steps_come_back_and_those_present_count(name, watch, request):
    model, X = request.getfixturevalue(name), cut(watch[1], 60)
    made = model.reconstruct(X)
    assert np.isfinite(made).all()
    cells = (made - X) ** 2
    np.testing.assert_allclose(model.reconstruction_error(X), np.nansum(cells, axis=1))
    np.testing.assert_allclose(model.reconstruction_error(X, per_feature=True), cells, atol=1e-9)
    present = slice(0, 360)
    total = np.sum((X[:, present] - X[:, present].mean(axis=0)) ** 2)
    assert model.score(X) == pytest.approx(1 - np.nansum(cells) / total)
    filled = model.impute(X)
    np.testing.assert_array_equal(filled[:, present], X[:, present])
    np.testing.assert_array_equal(filled[:, 360:], made[:, 360:])


def test_short_training_rows_beat_the_means(watch, fitted_to_short_ones):
    """What comes after the end of a sequence is told better than by the mean course."""
    X = watch[1]
    made = fitted_to_short_ones.reconstruct(cut(X, 75))[:, 450:]
    assert np.mean((made - X[:, 450:]) ** 2) < 0.8 * np.mean(X[:, 450:] ** 2)


def test_holes_in_the_middle_and_in_single_channels(watch, fitted):
    X = watch[1][:50].copy()
    X[:, 300:330] = X[:, 5::6] = np.nan
    assert np.isfinite(fitted.transform(X)).all()
    assert np.isfinite(fitted.transform(np.full((1, 600), np.nan))).all()


def test_starts_at_pca(watch):
    model = small(learning_rate_init=1e-12, max_iter=1).fit(watch[0])
    pca = PCA(4).fit(watch[0])
    np.testing.assert_allclose(model.transform(watch[1]), pca.transform(watch[1]), atol=1e-3)


def test_without_units_it_is_pca(watch):
    model = small(hidden_layer_sizes=()).fit(watch[0])
    pca = PCA(4, svd_solver="full").fit(watch[0])
    np.testing.assert_allclose(model.transform(watch[1]), pca.transform(watch[1]), atol=1e-8)


@quiet
def test_never_below_the_baseline_of_gaussian_rows(gaussian):
    train, test = gaussian[:250], gaussian[250:]
    model = RecurrentAutoencoder(4, sequence_shape=(5, 2), max_iter=30, random_state=0).fit(train)
    pca = PCA(4).fit(train)
    assert model.score(test) >= reconstruction_score(pca, test) - 0.01
    assert (model.best_iter_ == 0) == np.allclose(model.transform(test), pca.transform(test))


@pytest.mark.parametrize("name", ["fitted", "fitted_to_short_ones"])
def test_rows_are_independent_and_copies_equal_to_the_bit(name, watch, request, tmp_path):
    model, X = request.getfixturevalue(name), shortened(watch[1], 1)
    code = model.transform(X)
    one_by_one = np.vstack([model.transform(row[None]) for row in X[:50]])
    np.testing.assert_allclose(one_by_one, code[:50], rtol=1e-12, atol=1e-12 * np.abs(code).max())
    skae.save(model, tmp_path / "model.skae")
    for other in (pickle.loads(pickle.dumps(model)), skae.load(tmp_path / "model.skae")):
        np.testing.assert_array_equal(other.transform(X), code)
        np.testing.assert_array_equal(other.inverse_transform(code), model.inverse_transform(code))


def test_ordered_codes_are_cut(watch):
    ordered = small(6, ordered=True, whiten=True).fit(watch[0])
    two = ordered.truncate(2)
    np.testing.assert_allclose(two.transform(watch[1]), ordered.transform(watch[1])[:, :2])
    assert two.score(watch[1]) > reconstruction_score(PCA(2).fit(watch[0]), watch[1])


def test_a_stream_may_bring_shorter_sequences(watch):
    stream = small()
    for batch in np.array_split(watch[0], 3):
        stream.partial_fit(batch)
    code = stream.transform(watch[1])
    stream.partial_fit(shortened(watch[0], 40))
    assert stream.n_iter_ == 4
    assert not np.allclose(stream.transform(watch[1]), code)
    assert np.isfinite(stream.transform(cut(watch[1], 30))).all()


@quiet
def test_going_on_keeps_what_was_learned(watch):
    warm = small(warm_start=True, early_stopping=True).fit(watch[0])
    first = warm.score(watch[1])
    assert warm.fit(watch[0]).score(watch[1]) > first - 0.01


def test_rows_may_be_weighted(watch):
    weight = np.r_[np.ones(400), np.zeros(len(watch[0]) - 400)]
    weighted = small(hidden_layer_sizes=()).fit(watch[0], sample_weight=weight)
    alone = small(hidden_layer_sizes=()).fit(watch[0][:400])
    np.testing.assert_allclose(weighted.transform(watch[1]), alone.transform(watch[1]), atol=1e-8)


@pytest.mark.parametrize("shape", [
    (100,), (6, 11), (0, 65), (-5, -13), (5, 13, 1), (5.5, 13), (np.nan, 13), ("5", 13),
])  # fmt: skip
def test_shapes_that_do_not_fit_are_refused(shape):
    with pytest.raises(
        ValueError, match=r"not make a sequence of 65 columns: pass \(n_steps, n_chan"
    ):
        small(sequence_shape=shape).fit(np.random.default_rng(0).normal(size=(50, 65)))


def test_no_network_at_all_is_refused(watch):
    with pytest.raises(ValueError, match=r"leave no network: give units"):
        small(hidden_layer_sizes=(), linear_path=None).fit(watch[0])
