"""Laws of the sparsity penalties, of soft thresholds and of SparseAutoencoder."""

import pickle

import numpy as np
import pytest
import torch
from inside import objective_of
from scipy.special import rel_entr
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae import SparseAutoencoder
from skae.losses import ActivationRate, RelativeSize
from skae.nn import Linear, Outputs, ShrunkResidual

PENALTIES = {"l1": RelativeSize(), "kl": ActivationRate(0.1).eval()}


def outputs(code):
    return Outputs(None, code)


@pytest.fixture(scope="module")
def code():
    """A code whose units are zero in different shares of the rows."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(500, 4)) * (rng.random((500, 4)) < [0.05, 0.1, 0.5, 1.0])
    return torch.from_numpy(z)


# penalties ------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_scale_of_a_unit_neither_counts_nor_is_driven(code, penalty):
    scale = torch.tensor([0.1, 1.0, 10.0, 1e3], dtype=code.dtype, requires_grad=True)
    scaled = penalty(outputs(code * scale), None)
    torch.testing.assert_close(scaled.detach(), penalty(outputs(code), None))
    scaled.mean().backward()
    torch.testing.assert_close(scale.grad * scale.detach(), torch.zeros(4, dtype=code.dtype))


def test_relative_size_of_rare_and_normal_units():
    z = np.random.default_rng(0).normal(size=(200_000, 1))
    rare = (np.arange(200_000) % 25 == 0)[:, None] * 3.0
    sizes = [
        PENALTIES["l1"](outputs(torch.from_numpy(v)), None).mean() for v in (z, rare, rare + 1e6)
    ]
    np.testing.assert_allclose(sizes, [np.sqrt(2 / np.pi), 0.2, 1], rtol=0.01)


def test_rows_average_to_the_divergence(code):
    rows = PENALTIES["kl"](outputs(code), None)
    share = (code != 0).double().mean(0).numpy().clip(0.01, 0.99)
    expected = np.mean(rel_entr(0.1, share) + rel_entr(0.9, 1 - share))
    np.testing.assert_allclose(rows.mean(), expected)
    assert rows.shape == (500,)
    assert rows.std() > 0


def test_divergence_pushes_towards_the_target():
    z = torch.from_numpy(np.random.default_rng(0).normal(size=(2000, 1)))
    for threshold, direction in [(0.5, -1), (2.5, 1)]:  # 62 % and 1.2 % active
        t = torch.tensor(threshold, dtype=z.dtype, requires_grad=True)
        ActivationRate(0.1).eval()(outputs(z - z.clamp(-t, t)), None).mean().backward()
        assert t.grad.sign().item() == direction


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_units_that_are_out_and_single_rows_stay_finite(penalty):
    for n_rows in (1, 5):
        dead = torch.zeros(n_rows, 3, requires_grad=True)
        penalty(outputs(dead), None).mean().backward()
        assert dead.grad.isfinite().all()


# thresholds -----------------------------------------------------------------------------------


def test_threshold_of_zero_is_no_threshold_and_can_rise():
    half = ShrunkResidual(Linear(3, 2, bias=False), None, 2)
    torch.nn.init.eye_(half.linear.weight)
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(half(x), x[:, :2])
    for value in (0.0, -0.5, 0.5):
        half.zero_grad()
        half.threshold.data.fill_(value)
        z = half(x)
        torch.testing.assert_close(z, torch.nn.functional.softshrink(x[:, :2], max(value, 0.0)))
        z.abs().sum().backward()
        assert (half.threshold.grad < 0).all()


# the estimator --------------------------------------------------------------------------------


def near_zero(code):
    return np.mean(np.abs(code) < 1e-3 * code.std(axis=0))


@pytest.mark.parametrize("k", [16, 100])
def test_more_weight_more_zeros(digits, k):
    train, test = digits
    shares, scores = [], []
    for weight in (0.0, 0.1, 1.0):
        model = SparseAutoencoder(k, penalty_weight=weight, random_state=0).fit(train)
        shares.append(near_zero(model.transform(test)))
        scores.append(model.score(test))
    assert shares[0] < 0.05 < shares[1] < shares[2]
    assert shares[2] > 0.6
    assert min(scores) > 0.7


@pytest.mark.parametrize(
    ("k", "sparsity"), [(16, 0.1), (16, 0.3), (100, 0.05), (100, 0.1), (0.95, 0.1)]
)
def test_rate_reaches_the_target(digits, k, sparsity):
    train = digits[0]
    model = SparseAutoencoder(k, penalty="kl", sparsity=sparsity, random_state=0).fit(train)
    assert abs(model.activation_rate_.mean() / sparsity - 1) < 0.2
    assert np.median(np.abs(model.activation_rate_ / sparsity - 1)) < 0.2
    np.testing.assert_array_equal(model.activation_rate_, np.mean(model.transform(train) != 0, 0))


@pytest.mark.parametrize("penalty", PENALTIES)
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


def test_start_and_floor_are_pca(gaussian):
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


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"linear_path": None},
        {"encoder": torch.nn.Linear, "decoder": torch.nn.Linear},
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
def test_files_are_equal_to_the_bit(cancer, penalty, changes):
    changes = {"n_components": 5, "max_iter": 2, "random_state": 0, **changes}
    model = SparseAutoencoder(penalty=penalty, **changes).fit(cancer[0])
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


def test_in_a_search():
    X, y = load_wine(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), SparseAutoencoder(4, random_state=0), SVC())
    grid = {"sparseautoencoder__penalty": ["l1", "kl"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.8


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
