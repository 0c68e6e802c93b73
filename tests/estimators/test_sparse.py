"""Laws of the sparsity penalties, of soft thresholds and of SparseAutoencoder."""

import pickle

import numpy as np
import pytest
import torch
from inside import objective_of
from sklearn.decomposition import PCA

from skae import SparseAutoencoder
from skae.nn import Outputs

# the estimator --------------------------------------------------------------------------------


def near_zero(code):
    return np.mean(np.abs(code) < 1e-3 * code.std(axis=0))


def test_more_weight_more_zeros(digits):
    train, test = digits
    shares, scores = [], []
    for k, weight in ((16, 0.0), (16, 0.1), (16, 1.0), (100, 1.0)):
        model = SparseAutoencoder(k, penalty_weight=weight, random_state=0).fit(train)
        shares.append(near_zero(model.transform(test)))
        scores.append(model.score(test))
    assert shares[0] < 0.05 < shares[1] < shares[2]
    assert shares[3] > 0.6
    assert shares[2] > 0.5
    assert min(scores) > 0.7


@pytest.mark.parametrize(("k", "sparsity"), [(16, 0.1), (16, 0.3), (100, 0.05), (0.95, 0.1)])
def test_rate_reaches_the_target(digits, k, sparsity):
    train = digits[0][::2]
    model = SparseAutoencoder(k, penalty="kl", sparsity=sparsity, random_state=0).fit(train)
    assert abs(model.activation_rate_.mean() / sparsity - 1) < 0.2
    assert np.median(np.abs(model.activation_rate_ / sparsity - 1)) < 0.2
    np.testing.assert_array_equal(model.activation_rate_, np.mean(model.transform(train) != 0, 0))


@pytest.mark.parametrize("penalty", ["l1", "kl"])
def test_shrinking_the_code_gains_nothing(digits, penalty):
    """The objective of the network with a code shrunk tenfold, and the decoder to match, is equal."""
    train, test = digits
    model = SparseAutoencoder(16, penalty=penalty, hidden_layer_sizes=(), random_state=0).fit(train)
    assert model.best_iter_ > 0
    objective = objective_of(model).eval()
    encoder, decoder = model.module_.encoder.inside, model.module_.decoder.inside
    x = torch.from_numpy((test - model.mean_) / model.scale_)

    def judged():
        code = encoder(x)
        return objective(Outputs(decoder(code), code), x)

    before = judged()
    encoder.linear.weight /= 10
    encoder.threshold /= 10
    decoder.linear.weight *= 10
    torch.testing.assert_close(judged(), before)


def test_start_and_baseline_are_pca(gaussian):
    model = SparseAutoencoder(4, penalty_weight=0.0, random_state=0).fit(gaussian)
    assert model.best_iter_ == 0
    np.testing.assert_allclose(
        model.transform(gaussian), PCA(4).fit_transform(gaussian), atol=1e-10
    )
    np.testing.assert_array_equal(model.activation_rate_, 1.0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_units_beyond_the_rank_look_in_directions_of_their_own(digits):
    train = digits[0]
    start = SparseAutoencoder(80, penalty_weight=0.0, random_state=0).fit(train[:25])
    z = start.transform(train[:25])
    np.testing.assert_allclose(start.reconstruct(train[:25]), train[:25], atol=1e-8)
    np.testing.assert_allclose(z[:, 24:].var(axis=0, ddof=1), 1, rtol=1e-6)
    assert not start.components_[24:].any()
    trained = SparseAutoencoder(100, penalty="kl", max_iter=30, random_state=0)
    trained.set_params(n_iter_no_change=5).fit(train)
    assert (np.linalg.norm(trained.components_[64:], axis=1) > 0.01).all()


def test_far_rows_get_the_code_of_the_nearest_row_within(cancer):
    train, test = cancer
    model = SparseAutoencoder(8, penalty="kl", random_state=0).fit(train)
    assert model.best_iter_ > 0
    far = test.copy()
    far[:, 3] = 1e4
    within = far.copy()
    low, high = train[:, 3].min(), train[:, 3].max()
    within[:, 3] = high + (high - low)
    np.testing.assert_allclose(model.transform(far), model.transform(within), atol=1e-8)


@pytest.mark.parametrize(
    "changes",
    [
        {"penalty": "kl"},
        {"linear_path": None},
        {"encoder": torch.nn.Linear, "decoder": torch.nn.Linear, "penalty": "kl"},
        {"early_stopping": False},
        {"whiten": True, "penalty": "kl"},
        {"n_components": None},
        {"n_components": 0.9},
        {"n_components": 0.9, "penalty": "kl"},
        {"n_components": 40, "penalty": "kl"},
        {"hidden_layer_sizes": ()},
        {"batch_size": 1, "max_iter": 1, "penalty": "kl"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_files_are_equal_to_the_bit(cancer, changes):
    changes = {"n_components": 5, "max_iter": 2, "random_state": 0, **changes}
    model = SparseAutoencoder(**changes).fit(cancer[0])
    code = model.transform(cancer[1])
    assert np.isfinite(model.score(cancer[1]))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(cancer[1]), code)
    np.testing.assert_array_equal(again.inverse_transform(code), model.inverse_transform(code))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_streams_weights_and_going_on(digits):
    train = digits[0]
    stream = SparseAutoencoder(16, penalty="kl", learning_rate_init=0.05, random_state=0)
    for _ in range(15):
        stream.partial_fit(train)
    np.testing.assert_array_equal(stream.activation_rate_, np.mean(stream.transform(train) != 0, 0))
    assert np.mean(stream.transform(train) != 0) < 0.7
    weight = np.random.default_rng(0).uniform(size=len(train))
    model = SparseAutoencoder(16, max_iter=20, warm_start=True, random_state=0)
    model.fit(train, sample_weight=weight)
    active = model.transform(train) != 0
    np.testing.assert_allclose(model.activation_rate_, weight @ active / weight.sum())
    rate = model.activation_rate_.mean()
    model.set_params(penalty_weight=1.0).fit(train, sample_weight=weight)
    assert model.activation_rate_.mean() < rate


def test_constant_and_tiny_data():
    constant = SparseAutoencoder(2, random_state=0).fit(np.full((40, 3), 7.0))
    np.testing.assert_allclose(constant.reconstruct(np.full((2, 3), 7.0)), 7.0)
    tiny = SparseAutoencoder(2, random_state=0).fit(np.eye(3))
    assert tiny.best_iter_ == 0


@pytest.mark.parametrize(
    "parameters",
    [
        {"penalty": "l2"},
        {"penalty_weight": -1.0},
        {"penalty_weight": "high"},
        {"sparsity": 0.0},
        {"sparsity": 1.0},
        {"sparsity": -0.1},
    ],
)
def test_bad_parameters(gaussian, parameters):
    with pytest.raises(ValueError, match=f"'{next(iter(parameters))}' parameter"):
        SparseAutoencoder(2, **parameters).fit(gaussian)
