"""Laws of the contraction and of ContractiveAutoencoder."""

import pickle

import numpy as np
import pytest
import torch
from scipy.stats import kurtosis
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.svm import SVC

from skae import AutoencoderTransformer, ContractiveAutoencoder

# the estimator --------------------------------------------------------------------------------


def movement(model, train, test):
    """Return how far codes of slightly moved rows move, in squared standard deviations."""
    moved = test + 0.1 * np.random.default_rng(0).normal(size=test.shape)
    return np.mean(
        ((model.transform(moved) - model.transform(test)) / model.transform(train).std(0)) ** 2
    )


def beside_the_nearest(model, train, test):
    """Return how far codes of slightly moved rows move, over the distance to the nearest other row."""
    moved = test + 0.1 * np.random.default_rng(0).normal(size=test.shape)
    code, steps = model.transform(test), model.transform(moved) - model.transform(test)
    nearest = NearestNeighbors(n_neighbors=1).fit(model.transform(train)).kneighbors(code)[0]
    return np.median(np.linalg.norm(steps, axis=1) / nearest[:, 0])


def labels(load):
    return train_test_split(load().target, random_state=0)


@pytest.fixture(scope="module")
def pairs(digits, cancer):
    """Return rows, labels, plain and contractive autoencoder of each table."""
    found = []
    for (train, test), load in ((digits, load_digits), (cancer, load_breast_cancer)):
        train = train[::2]
        kinds = AutoencoderTransformer, ContractiveAutoencoder
        models = [kind(8, random_state=0).fit(train) for kind in kinds]
        y, y_test = labels(load)
        found.append((train, test, y[::2], y_test, *models))
    return found


def test_code_moves_less_beside_the_nearest_row_at_no_worse_reconstruction(pairs):
    """Comparable is: at least as much explained variance of unseen rows, less one percent."""
    ratios = []
    for train, test, _, _, plain, model in pairs:
        assert model.score(test) > plain.score(test) - 0.01
        moved = [beside_the_nearest(each, train, test) for each in (plain, model)]
        ratios.append(moved[1] / moved[0])
    print(f"movement beside that of the plain code: {ratios}")
    assert np.mean(ratios) < 0.97


def test_no_row_buys_it(pairs):
    """Nothing is pressed together under the spread of a few rows: tails, neighbours, classes."""
    accuracies = []
    for train, test, y, y_test, plain, model in pairs:
        tails = [np.median(kurtosis(each.transform(train))) for each in (plain, model)]
        assert tails[1] < tails[0] + 3
        for judge in (SVC(), KNeighborsClassifier()):
            of_judge = [
                judge.fit(each.transform(train), y).score(each.transform(test), y_test)
                for each in (plain, model)
            ]
            accuracies.append(of_judge)
    plain, contractive = np.mean(accuracies, axis=0)
    assert contractive > plain - 0.01


def test_more_weight_less_movement(cancer):
    train, test = cancer
    moved = [
        movement(
            ContractiveAutoencoder(8, penalty_weight=w, random_state=0).fit(train), train, test
        )
        for w in (0.0, 0.001, 0.01)
    ]
    assert moved[2] < 0.5 * moved[0]
    assert moved[2] < moved[1] < moved[0]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_no_penalty_is_the_plain_autoencoder(digits):
    train, test = digits
    plain, ours = [
        estimator(8, batch_size=64, max_iter=3, random_state=0, **weight).fit(train)
        for estimator, weight in [
            (AutoencoderTransformer, {}),
            (ContractiveAutoencoder, {"penalty_weight": 0.0}),
        ]
    ]
    start = AutoencoderTransformer(8, hidden_layer_sizes=()).fit(train).score(test)
    gain = plain.score(test) - start
    assert gain > 0.01
    assert abs(ours.score(test) - plain.score(test)) < 0.05 * gain  # rounding differs


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_held_out_score_of_the_start_is_that_of_pca_with_its_contraction(gaussian):
    train, test = gaussian[:300], gaussian[300:]
    model = ContractiveAutoencoder(4, penalty_weight=0.1, max_iter=1).fit(train, X_val=test)
    pca = PCA(4).fit(train)
    error = np.sum((test - pca.inverse_transform(pca.transform(test))) ** 2, axis=1).mean()
    code = pca.transform(test)
    spread = np.sqrt(np.pi / 2) * np.abs(code - code.mean(axis=0)).mean(axis=0)
    matrix = pca.components_ * train.std(axis=0) / spread[:, None]
    objective = error / train.var(axis=0).sum() + 0.1 * np.sum(matrix**2)
    np.testing.assert_allclose(1 - model.pca_score_, objective, rtol=1e-4)


def test_baseline_is_pca(gaussian):
    model = ContractiveAutoencoder(4, penalty_weight=1e-9, random_state=0).fit(gaussian)
    assert model.best_iter_ == 0
    np.testing.assert_allclose(
        model.transform(gaussian), PCA(4).fit_transform(gaussian), atol=1e-10
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"linear_path": None},
        {"linear_path": None, "hidden_layer_sizes": ()},
        {"encoder": torch.nn.Linear, "decoder": torch.nn.Linear},
        {"activation": torch.nn.Mish},
        {"early_stopping": False},
        {"whiten": True},
        {"n_components": None},
        {"n_components": 0.9},
        {"n_components": 40},
        {"hidden_layer_sizes": ()},
        {"batch_size": 1, "max_iter": 1},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_files_are_equal_to_the_bit(cancer, changes):
    changes = {"n_components": 5, "max_iter": 2, "random_state": 0, **changes}
    model = ContractiveAutoencoder(**changes).fit(cancer[0])
    code = model.transform(cancer[1])
    assert np.isfinite(model.score(cancer[1]))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(cancer[1]), code)
    np.testing.assert_array_equal(again.inverse_transform(code), model.inverse_transform(code))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_streams_and_going_on_keep_the_spread_of_the_code(digits):
    train = digits[0]
    model = ContractiveAutoencoder(8, max_iter=15, warm_start=True, random_state=0)
    weight = np.random.default_rng(0).uniform(size=len(train))
    model.fit(train, sample_weight=weight)
    before = model.module_.variance.clone()
    assert not torch.allclose(before, torch.ones(8, dtype=before.dtype), rtol=0.05)
    again = pickle.loads(pickle.dumps(model))
    for going_on in (model, again):
        going_on.fit(train, sample_weight=weight)
        torch.testing.assert_close(going_on.module_.variance, before, rtol=0.5, atol=0)
    stream = ContractiveAutoencoder(8, random_state=0).partial_fit(train).partial_fit(train)
    assert 0 < stream.score(train) < 1


def test_constant_and_tiny_data():
    constant = ContractiveAutoencoder(2, random_state=0).fit(np.full((40, 3), 7.0))
    np.testing.assert_allclose(constant.reconstruct(np.full((2, 3), 7.0)), 7.0)
    assert ContractiveAutoencoder(2, random_state=0).fit(np.eye(3)).best_iter_ == 0


def test_negative_weight(gaussian):
    with pytest.raises(ValueError, match="'penalty_weight' parameter"):
        ContractiveAutoencoder(2, penalty_weight=-0.1).fit(gaussian)
