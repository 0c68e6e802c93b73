"""Rows with missing cells: no fit tells the present ones worse than PCA of mean-filled rows.

The long grid is ``python -m benchmarks.quality.missing``; its figures are in docs/lab/missing.md.
"""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import skae
from benchmarks.quality.missing import (
    ENDS,
    ESTIMATORS,
    SHARES,
    TABLES,
    labels,
    of_filled_pca,
    ratios,
)
from benchmarks.quality.missing import errors as errors_of
from benchmarks.quality.missing import rows as rows_of

MEAN, WORST = 1.01, 1.1
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def sequences(n_rows, least, most, seed, n_steps=40):
    """Return waves of two channels that break off after ``least`` to ``most`` steps, and whole ones."""
    rng = np.random.default_rng(seed)
    phase, pace = rng.uniform([0, 0.2], [6, 0.6], (n_rows, 2)).T
    angle = phase[:, None] + pace[:, None] * np.arange(n_steps)
    X = np.stack([np.sin(angle), np.cos(2 * angle)], axis=2).reshape(n_rows, -1)
    X += 0.1 * rng.normal(size=X.shape)
    ends = rng.integers(least, most + 1, n_rows)
    return np.where(np.arange(2 * n_steps) // 2 < ends[:, None], X, np.nan), X


@pytest.mark.parametrize("n_components", [2, 8])
@pytest.mark.parametrize("pattern", [*SHARES, ENDS])
@pytest.mark.parametrize("table", TABLES)
def test_linear_models(table, pattern, n_components):
    make = ESTIMATORS["linear"]
    present = [ratios(make, n_components, table, pattern, seed)[0] for seed in range(5)]
    assert np.mean(present) <= MEAN
    assert max(present) <= WORST


SHORT = [(name, pattern) for name in ESTIMATORS if name != "linear" for pattern in (0.5, ENDS)]


@quiet
@pytest.mark.parametrize(("name", "pattern"), SHORT)
def test_every_estimator(name, pattern):
    """Here with short trainings."""
    present = [
        ratios(ESTIMATORS[name], 3, "wine", pattern, seed, max_iter=8, learning_rate_init=0.01)[0]
        for seed in range(2)
    ]
    assert np.mean(present) <= MEAN
    assert max(present) <= WORST


@quiet
@pytest.mark.parametrize(("name", "pattern", "seed"), [("vae", ENDS, 0), ("contractive", 0.95, 1)])
def test_what_costs_reconstruction_is_not_kept_below_pca_of_filled_rows(name, pattern, seed):
    """Eight components of 13 columns: PCA leaves little, and bound or penalty would give it away.

    Nor is what was judged another model than what is kept in the end.
    """
    assert ratios(ESTIMATORS[name], 8, "wine", pattern, seed)[0] <= MEAN


@pytest.mark.usefixtures("plain_draws")
@pytest.mark.parametrize("n_components", [2, 8])
@pytest.mark.parametrize("pattern", [0.3, 0.8, 0.9, 0.95, ENDS])
@pytest.mark.parametrize("table", ["wine", "breast_cancer", "diabetes"])
def test_linear_variational_models(table, pattern, n_components):
    """The noise that a code is shrunk for is that of the cells which a row has."""

    def make(k, n_columns, **rest):
        return skae.VAETransformer(k, hidden_layer_sizes=(), **rest)

    present = [ratios(make, n_components, table, pattern, seed)[0] for seed in range(3)]
    assert np.mean(present) <= MEAN
    assert max(present) <= WORST


@quiet
@pytest.mark.parametrize(("pattern", "n_components"), [(0.8, 8), (0.95, 2), (ENDS, 8)])
def test_sparse_codes_are_not_kept_below_pca_of_filled_rows(pattern, n_components):
    """Zeros are asked for, but not at any price."""
    short = {"max_iter": 30, "learning_rate_init": 0.01}
    assert ratios(ESTIMATORS["sparse"], n_components, "wine", pattern, 0, **short)[0] <= MEAN


@pytest.mark.usefixtures("plain_draws")
@pytest.mark.parametrize("pattern", [0.3, 0.8, ENDS])
@pytest.mark.parametrize("table", ["wine", "breast_cancer"])
def test_labels_tell_missing_cells_beside_what_is_present(table, pattern):
    """Present cells as near as by PCA of mean-filled rows, hidden ones nearer than without labels."""
    found = []
    for seed in range(3):
        train, seen, whole = rows_of(table, pattern, seed)
        y, y_seen = labels(table, seed)
        model = skae.ConditionalVAE(2, hidden_layer_sizes=()).fit(train, y)
        plain = skae.VAETransformer(2, hidden_layer_sizes=()).fit(train)
        own, of_plain = (
            errors_of(made, seen, whole)
            for made in (model.reconstruct(seen, y_seen), plain.reconstruct(seen))
        )
        found.append((own[0] / of_filled_pca(2, train, seen, whole)[0], own[1] / of_plain[1]))
    present, hidden = np.transpose(found)
    assert present.mean() <= MEAN
    assert present.max() <= WORST
    assert hidden.mean() < 1


@quiet
@pytest.mark.parametrize(
    ("name", "pattern", "n_components", "seed"),
    [
        ("denoising", 0.95, 8, 3),
        ("plain", 0.95, 8, 3),
        ("sparse", 0.3, 8, 2),
        ("plain", 0.99, 2, 0),
    ],
)
def test_rows_with_few_cells_do_not_judge_those_with_more(name, pattern, n_components, seed):
    """A single present cell is copied by any code: that is no gain."""
    assert ratios(ESTIMATORS[name], n_components, "wine", pattern, seed)[0] <= MEAN


@quiet
@pytest.mark.parametrize(
    ("name", "pattern", "seed"),
    [("denoising", 0.8, 1), ("plain", 0.5, 2)],
)
def test_a_cell_far_outside_the_training_range_does_not_spoil_its_row(name, pattern, seed):
    """In these test rows it is 90 standard deviations out, in those of training at most 35."""
    seen = rows_of("digits", pattern, seed)[1]
    assert np.nanmax(seen) > 80
    assert ratios(ESTIMATORS[name], 2, "digits", pattern, seed)[0] < 1


@quiet
def test_few_present_cells_are_no_reason_not_to_train():
    train, seen, whole = rows_of("breast_cancer", 0.9, 0)
    model = skae.AutoencoderTransformer(8, max_iter=5, random_state=0).fit(train)
    assert len(model.history_) > 0
    assert 0 < model.pca_score_ < 1
    present, _ = errors_of(model.reconstruct(seen), seen, whole)
    assert present < 0.65 * np.sum(seen[~np.isnan(seen)] ** 2)


@quiet
@pytest.mark.parametrize("name", ["linear", "plain", "denoising", "vae", "recurrent"])
def test_sequences_of_very_different_lengths(name):
    """The last column has two cells, nearly equal: its scale says nothing."""
    train, _ = sequences(150, 3, 39, seed=0)
    train[:2, -2:] = 0.3, 0.31
    train[1, -1] = 0.3001
    seen, whole = sequences(150, 3, 40, seed=1)
    model = ESTIMATORS[name](4, 80, max_iter=5, random_state=0).fit(train)
    made = model.reconstruct(seen)
    assert np.nanmax(np.abs(made)) < 3 * np.nanmax(np.abs(whole))
    error, of_means = (
        found[0] for found in (errors_of(made, seen, whole), of_filled_pca(4, train, seen, whole))
    )
    assert error <= MEAN * of_means


def test_steps_that_no_sequence_reaches_stay_unused(tmp_path):
    train, _ = sequences(150, 7, 29, seed=0)
    seen, whole = sequences(150, 7, 29, seed=1)
    model = skae.RecurrentAutoencoder(4, sequence_shape=(40, 2), max_iter=10, random_state=0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.fit(train)
    said = [str(w.message) for w in said if not issubclass(w.category, ConvergenceWarning)]
    assert len(said) == 1
    assert (
        "No row has a cell in 22 of 80 columns, the first of which is step 29, channel 0" in said[0]
    )
    made = model.reconstruct(seen)
    np.testing.assert_array_equal(np.isnan(made), np.broadcast_to(np.arange(80) >= 58, made.shape))
    error, of_means = errors_of(made, seen, whole)[0], of_filled_pca(4, train, seen, whole)[0]
    assert error < 0.9 * of_means
    later = np.where(np.isnan(seen), whole, seen)
    later[:, :58] = seen[:, :58]  # nothing was learned of what comes after
    np.testing.assert_array_equal(model.transform(later), model.transform(seen))
    skae.save(model, tmp_path / "model.skae")
    loaded = skae.load(tmp_path / "model.skae")
    np.testing.assert_array_equal(loaded.transform(seen), model.transform(seen))
