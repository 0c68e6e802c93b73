"""Laws of the contraction and of ContractiveAutoencoder."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae import AutoencoderTransformer, ContractiveAutoencoder
from skae.losses import Contraction
from skae.nn import ACTIVATIONS, MLP, Linear, Residual, SlopedAutoencoder, code_and_slopes


def residual(n_inputs, n_outputs, hidden, activation, linear=True):
    """Return a residual in float64 with random weights in every layer."""
    generator = torch.Generator().manual_seed(0)
    mlp = None if hidden is None else MLP([n_inputs, *hidden, n_outputs], activation, generator)
    straight = Linear(n_inputs, n_outputs, bias=False) if linear else None
    if linear:
        torch.nn.init.normal_(straight.weight, generator=generator)
    return Residual(straight, mlp).double()


def rows(n_features, n=7):
    x = torch.randn(n, n_features, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x + 0.01


# the contraction ------------------------------------------------------------------------------


def test_of_a_linear_encoder_is_the_norm_of_its_matrix():
    encoder, x = residual(6, 3, None, None), rows(6)
    module = SlopedAutoencoder(encoder, residual(3, 6, None, None), 3).eval()
    _, squares = code_and_slopes(encoder, x)
    norm = torch.linalg.matrix_norm(encoder.linear.weight) ** 2
    torch.testing.assert_close(squares.sum(1), norm.double().expand(7))
    code = module(x).code
    relative = encoder.linear.weight / code.std(0, unbiased=False)[:, None]
    norm = torch.linalg.matrix_norm(relative) ** 2
    torch.testing.assert_close(Contraction()(module(x), x), norm.double().expand(7))


def own(n_inputs, n_outputs):
    return torch.nn.Sequential(torch.nn.Linear(n_inputs, n_outputs), torch.nn.Softmax(dim=1))


ENCODERS = {
    **{
        f"{name} {hidden} {linear} {p}": residual(p, 3, hidden, activation, linear)
        for name, activation in ACTIVATIONS.items()
        for hidden in [(), (4,), (5, 4), (5, 4, 6)]
        for linear in [True, False]
        for p in [3, 9]  # narrower and wider than the first layer
    },
    "another activation": residual(6, 3, (5, 4), torch.nn.Mish),
    "an activation of its own settings": residual(6, 3, (5,), lambda: torch.nn.ELU(2.0)),
    "an activation in place": residual(6, 3, (5, 4), lambda: torch.nn.ELU(inplace=True)),
    "an activation of whole rows": residual(6, 3, (5, 4), lambda: torch.nn.Softmax(dim=-1)),
    "an own module": own(6, 3).double(),
    "an own module beside a linear path": Residual(torch.nn.Linear(6, 3), own(6, 3)).double(),
}


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_is_the_jacobian_row_by_row(encoder):
    first = next(m for m in encoder.modules() if isinstance(m, torch.nn.Linear))
    x = rows(first.in_features)
    with torch.no_grad():
        code, squares = code_and_slopes(encoder, x)
    torch.testing.assert_close(code, encoder(x).detach())
    assert not code.requires_grad
    assert not squares.requires_grad
    expected = [torch.autograd.functional.jacobian(encoder, row[None])[0, :, 0] for row in x]
    torch.testing.assert_close(squares, torch.stack(expected).square().sum(-1))


@pytest.mark.parametrize("name", ["gelu (5, 4) True 3", "tanh (5, 4) True 9", "an own module"])
def test_is_differentiable(name):
    encoder = ENCODERS[name]
    first = next(m for m in encoder.modules() if isinstance(m, torch.nn.Linear))
    x = rows(first.in_features)

    def contraction():
        return code_and_slopes(encoder, x)[1].sum()

    (slope,) = torch.autograd.grad(contraction(), first.weight)
    step = 1e-6 * torch.sign(slope)
    with torch.no_grad():
        first.weight += step
        above = contraction()
        first.weight -= 2 * step
        below = contraction()
        first.weight += step
    torch.testing.assert_close((above - below) / 2, (slope * step).sum(), rtol=1e-6, atol=0)


# scale ----------------------------------------------------------------------------------------


def test_scale_of_a_unit_neither_counts_nor_is_driven():
    """Also while the running variance lags behind: else a unit that grows is driven to grow."""
    x = rows(6, 400)
    for grown in (0.8, 1.0, 1.5, 10.0):
        module = SlopedAutoencoder(residual(6, 3, (5,), torch.nn.GELU), torch.nn.Identity(), 3)
        scale = torch.full((3,), 1.0, dtype=torch.float64, requires_grad=True)
        code, squares = code_and_slopes(module.encoder, x)
        module.double().mean.copy_(code.detach().mean(0))
        module.variance.copy_(code.detach().var(0, correction=0) / grown)
        slopes = (
            squares
            * scale**2
            / module._variance(scale * (code - code.detach().mean(0)) + code.detach().mean(0))
        )
        slopes.sum().backward()
        torch.testing.assert_close(
            scale.grad, torch.zeros(3, dtype=torch.float64), atol=1e-9, rtol=0
        )


def test_running_variance_is_that_of_the_code():
    module = SlopedAutoencoder(
        residual(6, 3, (5,), torch.nn.GELU), residual(3, 6, (5,), torch.nn.GELU), 3
    )
    x = rows(6, 500)
    module.double().train()
    for _ in range(400):
        outputs = module(x)
    torch.testing.assert_close(
        module.variance, outputs.code.detach().var(0, correction=0), rtol=1e-3, atol=0
    )
    slopes = module.eval()(x).slopes
    module.encoder.linear.weight.data *= 10
    module.encoder.nonlinear[-1].weight.data *= 10
    module.encoder.nonlinear[-1].bias.data *= 10
    module.train()
    for _ in range(800):
        module(x)
    torch.testing.assert_close(module.eval()(x).slopes, slopes, rtol=1e-3, atol=0)


# the estimator --------------------------------------------------------------------------------


def movement(model, train, test):
    """Return how far codes of slightly moved rows move, in squared standard deviations."""
    moved = test + 0.1 * np.random.default_rng(0).normal(size=test.shape)
    return np.mean(
        ((model.transform(moved) - model.transform(test)) / model.transform(train).std(0)) ** 2
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_code_moves_less_at_no_worse_reconstruction(digits, seed):
    """Comparable is: at least as much explained variance of unseen rows, less one percent."""
    train, test = digits
    plain = AutoencoderTransformer(8, random_state=seed).fit(train)
    model = ContractiveAutoencoder(8, random_state=seed).fit(train)
    assert model.score(test) > plain.score(test) - 0.01
    assert movement(model, train, test) < 0.6 * movement(plain, train, test)
    code, pca = model.transform(train), PCA(8).fit(train)
    assert movement(model, train, test) < 0.5 * movement(pca, train, test)
    assert np.all(code.std(axis=0) > 0.1 * pca.transform(train).std(axis=0))


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
        estimator(8, max_iter=3, random_state=0, **weight).fit(train)
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
    matrix = pca.components_ * train.std(axis=0) / pca.transform(test).std(axis=0)[:, None]
    objective = error / train.var(axis=0).sum() + 0.1 * np.sum(matrix**2)
    np.testing.assert_allclose(1 - model.pca_score_, objective, rtol=1e-4)


def test_floor_is_pca(gaussian):
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


def test_in_a_search():
    X, y = load_wine(return_X_y=True)
    pipeline = make_pipeline(
        StandardScaler(), ContractiveAutoencoder(4, n_iter_no_change=5, random_state=0), SVC()
    )
    grid = {"contractiveautoencoder__penalty_weight": [0.001, 0.01]}
    assert GridSearchCV(pipeline, grid, cv=2).fit(X, y).best_score_ > 0.8


def test_constant_and_tiny_data():
    constant = ContractiveAutoencoder(2, random_state=0).fit(np.full((40, 3), 7.0))
    np.testing.assert_allclose(constant.reconstruct(np.full((2, 3), 7.0)), 7.0)
    assert ContractiveAutoencoder(2, random_state=0).fit(np.eye(3)).best_iter_ == 0


def test_negative_weight(gaussian):
    with pytest.raises(ValueError, match="'penalty_weight' parameter"):
        ContractiveAutoencoder(2, penalty_weight=-0.1).fit(gaussian)
