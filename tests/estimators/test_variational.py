"""Laws of VAETransformer: it starts at probabilistic PCA, and its nats are PCA's nats."""

import pickle
import tracemalloc
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from inside import model_of, objective_of
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from skorch.callbacks import LRScheduler

from skae import VAETransformer
from skae.nn import (
    VariationalOutputs,
)

plain = pytest.mark.usefixtures("plain_draws")


def untrained(k, X, **changes):
    """Return a model with all its layers, as it is before the first step."""
    settings = {"early_stopping": False, "learning_rate_init": 1e-30, "max_iter": 1, "alpha": 0}
    return VAETransformer(k, random_state=0, **settings, **changes).fit(X)


def linear(k, X):
    return VAETransformer(k, hidden_layer_sizes=()).fit(X)


@pytest.fixture(scope="module")
def images():
    return train_test_split(load_digits().data / 16, test_size=0.3, random_state=0)


@pytest.fixture(scope="module")
def vae(images):
    return VAETransformer(8, random_state=0).fit(images[0])


# the start ------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 4, 8])
@pytest.mark.parametrize("name", ["digits", "cancer", "wine"])
@plain
def test_start_is_probabilistic_pca(request, name, k):
    train, test = request.getfixturevalue(name)
    X = train * np.linspace(0.5, 3, train.shape[1]) + 7
    held_out = test * np.linspace(0.5, 3, train.shape[1]) + 7
    pca = PCA(k).fit(X)
    exact = linear(k, X)
    np.testing.assert_allclose(
        exact.score_samples(held_out, 1), pca.score_samples(held_out), rtol=1e-6
    )
    assert exact.noise_variance_ == pytest.approx(pca.noise_variance_)
    network = untrained(k, X)
    assert any("nonlinear" in name for name, _ in network.module_.named_parameters())
    difference = network.score_samples(held_out, 1).mean() - pca.score(held_out)
    assert abs(difference) < 1e-3 * X.shape[1]


@plain
def test_held_out_objective_of_the_start_is_pcas_score(images):
    train, test = images
    model = VAETransformer(8, random_state=0).fit(train, X_val=test)
    assert model.pca_score_ == pytest.approx(PCA(8).fit(train).score(test), abs=1e-3 * 64)


def test_divergence_by_component_is_torchs(vae, images):
    mean, std = (torch.from_numpy(part) for part in vae.transform_distribution(images[0]))
    exact = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, std), torch.distributions.Normal(0.0, 1.0)
    )
    np.testing.assert_allclose(vae.kl_per_component_, exact.mean(0).numpy())


# what training gains --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("load", "scaler", "k", "gain"),
    [(load_digits, MinMaxScaler(), 8, 12), (load_breast_cancer, StandardScaler(), 4, 1)],
)
@plain
def test_more_likely_than_pca(load, scaler, k, gain):
    train, test = train_test_split(load().data, test_size=0.3, random_state=0)
    train, test = scaler.fit_transform(train), scaler.transform(test)
    model = VAETransformer(k, random_state=0).fit(train)
    assert model.best_iter_ > 0
    assert model.validation_scores_[model.best_iter_ - 1] > model.pca_score_
    assert model.score_samples(test, 1).mean() > PCA(k).fit(train).score(test) + gain


@pytest.mark.parametrize("beta", [0.2, 1.0, 3.0, 8.0])
@pytest.mark.filterwarnings("ignore:No unit of the code:UserWarning")
@plain
def test_start_is_the_linear_optimum_for_every_weight(wine, beta):
    """No move of the noise, the scale of a unit or its posterior makes the objective better."""
    X = wine[0]
    model = VAETransformer(4, hidden_layer_sizes=(), beta=beta).fit(X)
    objective = objective_of(model)
    x = torch.from_numpy((X - model.mean_) / model.scale_)
    draws = torch.randn(len(x), 400, 4, generator=torch.Generator().manual_seed(0)).double()
    draws -= draws.mean(1, keepdim=True)
    draws /= draws.square().mean(1, keepdim=True).sqrt()

    def loss():
        with torch.no_grad():
            return objective(model.module_((x, draws)), x).mean().item()

    best = loss()
    encoder, decoder = model.module_.encoder.linear, model.module_.decoder.linear
    moves = [(model.module_.log_noise, ())]
    moves += [(encoder.bias, (4 + j,)) for j in range(4)]
    moves += [(decoder.weight, (slice(None), j)) for j in range(4)]
    for parameter, place in moves:
        old = parameter.data[place].clone()
        for step in (0.9, 1.1):
            parameter.data[place] = (
                old * step if place and place[0] == slice(None) else old + step - 1
            )
            assert loss() > best - 2e-3
        parameter.data[place] = old


@pytest.mark.parametrize("sizes", [(), (16,)])
@plain
def test_beta_changes_the_model_whatever_the_layers(wine, sizes):
    divergences = [
        VAETransformer(2, beta=beta, hidden_layer_sizes=sizes, random_state=0)
        .fit(wine[0])
        .kl_per_component_.sum()
        for beta in (0.1, 1.0, 4.0)
    ]
    assert divergences[0] > divergences[1] > divergences[2]


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@plain
def test_other_optimizers_and_callbacks(images, likelihood):
    settings = {"likelihood": likelihood, "max_iter": 2, "random_state": 0}
    by_sgd = VAETransformer(2, optimizer=torch.optim.SGD, **settings)
    scheduled = VAETransformer(2, callbacks=[LRScheduler("StepLR", step_size=1)], **settings)
    for model in (by_sgd, scheduled):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(images[0][:600])
        assert np.isfinite(model.score_samples(images[1])).all()


@plain
def test_rejected_fit_is_probabilistic_pca_of_all_rows(gaussian):
    model = VAETransformer(3, random_state=0).fit(gaussian)
    assert model.best_iter_ == 0
    np.testing.assert_allclose(
        model.score_samples(gaussian), PCA(3).fit(gaussian).score_samples(gaussian)
    )


def test_transform_is_the_posterior_mean(vae, images):
    mean, std = vae.transform_distribution(images[1])
    np.testing.assert_array_equal(vae.transform(images[1]), mean)
    assert ((std > 0) & (std < 1.5)).all()
    again = vae.transform_distribution(images[1].astype(np.float32))
    assert again[0].dtype == again[1].dtype == np.float32
    np.testing.assert_allclose(again[1], std, rtol=1e-3)


# log-likelihood -------------------------------------------------------------------------------


def test_more_draws_never_lower_the_bound(vae, images):
    bounds = [vae.score_samples(images[1], n) for n in (1, 4, 16, 64, 256)]
    for fewer, more in pairwise(bounds[:-1]):
        assert (more >= fewer - 1e-9).all()
    gain = bounds[-1] - bounds[-2]
    assert gain.mean() > -2 * gain.std() / np.sqrt(len(gain))
    assert bounds[-1].mean() > bounds[0].mean() + 0.1


def test_bound_does_not_hang_on_company(vae, images):
    X = images[1]
    with pytest.raises(ValueError, match="n_draws=0 must be an int of at least 1"):
        vae.score_samples(X, n_draws=0)
    whole = vae.score_samples(X)
    np.testing.assert_allclose(vae.score_samples(X[::-1]), whole[::-1], rtol=1e-10)
    np.testing.assert_allclose(vae.score_samples(X[5:6]), whole[5:6], rtol=1e-10)


@plain
def test_bound_is_that_of_a_gaussian_mixture_by_quadrature():
    """With one component the likelihood can be integrated on a grid."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-2, 2, 1500)
    X = np.column_stack([t, t**2, np.sin(2 * t)]) + 0.1 * rng.normal(size=(1500, 3))
    model = VAETransformer(1, random_state=0).fit(X)
    assert model.best_iter_ > 0
    z = np.linspace(-8, 8, 4001)
    prior = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    squares = ((X[:50, None, :] - model.inverse_transform(z[:, None])) ** 2).sum(-1)
    noise = 2 * model.noise_variance_
    density = np.exp(-squares / noise) / (np.pi * noise) ** 1.5
    exact = np.log((density * prior).sum(axis=1) * (z[1] - z[0]))
    bound = model.score_samples(X[:50], 5000)
    assert np.all(bound < exact + 0.05)
    assert np.mean(exact - bound) < 0.05


# new rows -------------------------------------------------------------------------------------


def test_samples_of_the_start_have_pcas_covariance(wine):
    X = wine[0]
    samples = linear(3, X).sample(200_000, random_state=0, match_marginals=False)
    expected = PCA(3).fit(X).get_covariance()
    np.testing.assert_allclose(np.cov(samples.T), expected, atol=0.03)
    np.testing.assert_allclose(samples.mean(axis=0), X.mean(axis=0), atol=0.03)


def test_samples_are_like_the_rows(vae, images):
    samples = vae.sample(2000, random_state=0)
    np.testing.assert_allclose(samples.mean(axis=0), images[0].mean(axis=0), atol=0.1)
    expected = np.cov(images[0].T)
    assert np.linalg.norm(np.cov(samples.T) - expected) < 0.35 * np.linalg.norm(expected)


@pytest.mark.parametrize("linear_path", ["pca", None])
@plain
def test_codes_are_of_the_priors_size(images, linear_path):
    model = VAETransformer(6, linear_path=linear_path, random_state=0).fit(images[0])
    mean, std = model.transform_distribution(images[0])
    np.testing.assert_allclose((mean**2 + std**2).mean(axis=0), 1, rtol=1e-5)


# Bernoulli ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bernoulli(images):
    return VAETransformer(8, likelihood="bernoulli", random_state=0).fit(images[0])


def test_bernoulli_gives_probabilities(bernoulli, images):
    test = images[1]
    assert bernoulli.best_iter_ > 0
    assert bernoulli.validation_scores_[bernoulli.best_iter_ - 1] > bernoulli.pca_score_ + 1
    probabilities = bernoulli.reconstruct(test)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert set(np.unique(bernoulli.sample(50, random_state=0))) == {0.0, 1.0}
    assert bernoulli.score_samples(test).mean() <= 0
    assert not hasattr(bernoulli, "noise_variance_")


def test_bernoulli_likelihood_is_the_cross_entropy(bernoulli, images):
    """A code without spread would leave nothing but the cross-entropy of its reconstruction."""
    test = images[1][:20]
    p = np.clip(bernoulli.reconstruct(test), 1e-15, 1 - 1e-15)
    entropy = -(test * np.log(p) + (1 - test) * np.log1p(-p)).sum(axis=1)
    model = model_of(bernoulli)
    objective = model.task.likelihood_term(model.baseline, torch.float64)
    x = torch.from_numpy((test - bernoulli.mean_) / bernoulli.scale_)
    mean = bernoulli.module_.encode(x)
    outputs = VariationalOutputs(bernoulli.module_.decoder(mean), mean, mean, None, None, None)
    np.testing.assert_allclose(objective(outputs, x).numpy(), entropy)


def test_bernoulli_start_is_a_logistic_regression(images):
    """Its means are near the columns' (it is fitted to draws), and its bound above theirs alone."""
    train, test = images
    model = untrained(8, train, likelihood="bernoulli")
    np.testing.assert_allclose(model.reconstruct(train).mean(axis=0), train.mean(axis=0), atol=0.03)
    p = np.clip(train.mean(axis=0), 1e-6, 1 - 1e-6)
    independent = (test * np.log(p) + (1 - test) * np.log1p(-p)).sum(axis=1).mean()
    assert model.score_samples(test, 1).mean() > independent


@pytest.mark.parametrize("column", [np.zeros(40), np.ones(40), np.eye(40)[7]])
@pytest.mark.filterwarnings("ignore:No unit of the code:UserWarning")
def test_columns_that_are_nearly_always_the_same(column):
    model = VAETransformer(1, likelihood="bernoulli", random_state=0).fit(column[:, None])
    assert np.isfinite(model.score_samples(column[:, None])).all()
    assert abs(model.sample(2000, 0).mean() - column.mean()) < 0.05


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@plain
def test_what_a_fit_was_made_with_decides(images):
    model = VAETransformer(2, likelihood="bernoulli", random_state=0, max_iter=20)
    model.fit(images[0][:200])
    model.set_params(likelihood="gaussian")
    with pytest.raises(ValueError, match="likelihood='bernoulli' needs values within"):
        model.score_samples(5 * images[0])
    with pytest.raises(ValueError, match="likelihood was 'bernoulli' then and is 'gaussian' now"):
        model.partial_fit(images[0])
    model.fit(images[0][:200])
    assert hasattr(model, "noise_variance_")
    model.set_params(likelihood="bernoulli").fit(images[0][:200])
    assert not hasattr(model, "noise_variance_")
    code = model.transform(images[1])
    with pytest.raises(ValueError, match="column 0 has values from 0 to 5"):
        model.fit(5 * images[0][:, 2:])
    np.testing.assert_array_equal(model.transform(images[1]), code)


def test_rows_beyond_all_numbers_are_refused(vae, images):
    with pytest.raises(ValueError, match="log-likelihood of row 1 is beyond the range"):
        vae.score_samples(np.vstack([images[1][:1], 1e160 * images[1][:1]]))


@plain
def test_memory_does_not_grow_with_rows(images):
    model = VAETransformer(1, hidden_layer_sizes=()).fit(images[0][:, 2:4])
    X = np.tile(images[0][:, 2:4], (40, 1))
    tracemalloc.start()
    model.score_samples(X, n_draws=64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * len(X) * 8


def test_bernoulli_refuses_other_values(images):
    model = VAETransformer(2, likelihood="bernoulli")
    X = images[0].copy()
    X[3, 7] = 1.5
    with pytest.raises(ValueError, match=r"column 7 has values from 0 to 1.5: scale it"):
        model.fit(X)
    with pytest.raises(ValueError, match="column 0 has values"):
        model.fit(images[0], X_val=images[1] - 1)
    frame = pd.DataFrame(X).add_prefix("pixel ")
    with pytest.raises(ValueError, match="column 'pixel 7' has values"):
        model.fit(frame)


# diagnostics, warm-up, bad input --------------------------------------------------------------


@plain
def test_inactive_units_are_told(images):
    model = VAETransformer(4, beta=1000.0, early_stopping=False, max_iter=30, random_state=0)
    with pytest.warns(UserWarning, match="No unit of the code is active, of 4"):
        model.fit(images[0])
    assert not model.active_units_.any()
    assert model.kl_per_component_.shape == (4,)


@plain
def test_beta_presses_the_divergence_down(images):
    settings = {"early_stopping": False, "max_iter": 15, "random_state": 0}
    divergences = [
        VAETransformer(8, beta=beta, **settings).fit(images[0]).kl_per_component_.sum()
        for beta in (0.5, 1.0, 5.0)
    ]
    assert divergences[0] > divergences[1] > divergences[2]


@plain
def test_patience_begins_after_the_warm_up(gaussian):
    model = VAETransformer(3, kl_warmup=30, n_iter_no_change=5, random_state=0).fit(gaussian)
    assert model.n_iter_ >= 35
    soon = VAETransformer(3, n_iter_no_change=5, random_state=0).fit(gaussian)
    assert soon.n_iter_ < 30


@plain
def test_warm_up_raises_the_training_loss_only(images):
    """Held-out rows are judged at full weight from the first epoch on."""
    settings = {"max_iter": 2, "n_iter_no_change": 2, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cold = VAETransformer(8, **settings).fit(images[0])
        warm = VAETransformer(8, kl_warmup=10, **settings).fit(images[0])
    assert warm.loss_curve_[0] < cold.loss_curve_[0] - 0.05
    assert warm.pca_score_ == cold.pca_score_


@pytest.mark.parametrize(
    "X",
    [
        np.repeat(np.random.default_rng(0).normal(size=(60, 3)), 2, axis=1),
        np.column_stack([np.random.default_rng(0).normal(size=(60, 3)), np.full(60, 5.0)]),
        np.random.default_rng(0).normal(size=(5, 8)),
        np.full((40, 3), 2.0),
        1e30 * np.random.default_rng(0).normal(size=(50, 4)),
        1e-30 * np.random.default_rng(0).normal(size=(50, 4)),
    ],
    ids=["duplicate columns", "constant column", "5 rows", "constant", "huge", "tiny"],
)
@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.filterwarnings("ignore:No unit of the code:UserWarning")
def test_everything_stays_finite(X, k):
    model = VAETransformer(k, random_state=0).fit(X)
    mean, std = model.transform_distribution(X)
    for value in (mean, std, model.score_samples(X), model.sample(10, 0), model.reconstruct(X)):
        assert np.isfinite(value).all()
    assert np.isfinite(model.kl_per_component_).all()
    assert model.noise_variance_ > 0


@pytest.mark.parametrize(
    "changes", [{"beta": -1}, {"likelihood": "poisson"}, {"kl_warmup": -2}, {"kl_warmup": 1.5}]
)
def test_bad_parameters(gaussian, changes):
    with pytest.raises(
        ValueError, match=f"The '{next(iter(changes))}' parameter of VAETransformer"
    ):
        VAETransformer(2, **changes).fit(gaussian)


# a citizen ------------------------------------------------------------------------------------


def test_search_and_pickle(images):
    X, y = load_digits(return_X_y=True)
    vae = VAETransformer(8, max_iter=15, random_state=0)
    pipeline = make_pipeline(MinMaxScaler(), vae, SVC())
    search = GridSearchCV(pipeline, {"vaetransformer__beta": [1.0, 1000.0]}, cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X[:600], y[:600])
    assert search.best_score_ > 0.8
    copy = pickle.loads(pickle.dumps(search.best_estimator_[1]))
    Z = images[1]
    np.testing.assert_array_equal(copy.score_samples(Z), search.best_estimator_[1].score_samples(Z))
    np.testing.assert_array_equal(copy.sample(3, 0), search.best_estimator_[1].sample(3, 0))


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@plain
def test_without_a_linear_path(images, likelihood):
    model = VAETransformer(4, linear_path=None, likelihood=likelihood, random_state=0)
    model.fit(images[0])
    assert model.pca_score_ is None
    assert not hasattr(model, "components_")
    assert model.score(images[1]) > 0.3


@plain
def test_stream_and_own_modules(images):
    def encoder(n_inputs, n_outputs):
        return torch.nn.Sequential(
            torch.nn.Linear(n_inputs, 32), torch.nn.Tanh(), torch.nn.Linear(32, n_outputs)
        )

    model = VAETransformer(4, encoder=encoder, random_state=0)
    for part in np.array_split(images[0], 4):
        model.partial_fit(part)
    bound = model.score_samples(images[1]).mean()
    assert bound > PCA(4).fit(images[0]).score(images[1]) - 3
    assert model.kl_per_component_.shape == (4,)


@plain
def test_wine_is_not_worse_than_pca():
    train, test = train_test_split(load_wine().data, test_size=0.3, random_state=0)
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    model = VAETransformer(2, random_state=0).fit(train)
    assert model.score_samples(test, 1).mean() > PCA(2).fit(train).score(test) - 0.3


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@plain
def test_likelihoods_are_by_64_draws(digits):
    model = VAETransformer(2, random_state=0, max_iter=20).fit(digits[0])
    assert model.best_iter_ > 0
    scores = model.score_samples(digits[1])
    np.testing.assert_array_equal(scores, model.score_samples(digits[1], 64))
    assert scores.mean() > model.score_samples(digits[1], 1).mean() + 0.1


@pytest.mark.filterwarnings("ignore:max_iter", "error::RuntimeWarning")
def test_hundreds_of_nats_a_column_overflow_nothing():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=200), rng.normal(size=200), 2.0**53 + np.arange(200)])
    VAETransformer(2, max_iter=5, random_state=0).fit(X)
