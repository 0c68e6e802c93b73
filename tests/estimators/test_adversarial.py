"""AdversarialAutoencoder: codes like draws from the prior, at a plain autoencoder's reconstruction."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from inside import net_of
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, LRScheduler

from benchmarks.quality.adversarial import discrepancy, squared_mmd
from skae import AdversarialAutoencoder, AutoencoderTransformer

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
LOSSES = {"discriminator_loss", "generator_loss", "reconstruction_loss", "train_loss"}


def small(k=2, **changes):
    settings = {"hidden_layer_sizes": (16,), "early_stopping": False, "max_iter": 4}
    return AdversarialAutoencoder(k, random_state=0, **settings | changes)


# the law ------------------------------------------------------------------------------------------


def rows(name, seed):
    if name == "digits":
        return train_test_split(load_digits().data / 16, test_size=0.4, random_state=seed)
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    return train_test_split(X, test_size=0.4, random_state=seed)


@quiet
@pytest.mark.parametrize(("name", "seed"), [("digits", 0), ("breast cancer", 1)])
def test_codes_are_nearer_to_the_prior_at_a_like_reconstruction(name, seed):
    train, test = rows(name, seed)
    settings = {"n_components": 2, "max_iter": 60, "random_state": seed}
    plain = AutoencoderTransformer(**settings).fit(train)
    model = AdversarialAutoencoder(**settings).fit(train)
    assert model.best_iter_ > 0
    assert discrepancy(model.transform(test)) < discrepancy(plain.transform(test))
    assert 1 - model.score(test) < 1.1 * (1 - plain.score(test))


def test_the_discrepancy_is_zero_for_draws_of_the_prior_and_nothing_else():
    rng = np.random.default_rng(0)
    of_prior = [squared_mmd(rng.normal(size=(300, 3))) for _ in range(40)]
    assert abs(np.mean(of_prior)) < 3 * np.std(of_prior) / np.sqrt(40)
    skewed = [squared_mmd(rng.exponential(size=(300, 3)) - 1) for _ in range(40)]  # same moments
    assert np.mean(skewed) > np.mean(of_prior) + 4 * np.std(of_prior)


# the two sides ------------------------------------------------------------------------------------


def test_each_side_moves_its_own_weights_only(digits):
    net = net_of(small(2, max_iter=20).fit, digits[0][:200])
    net.steps_done = 30
    halves = [*net.module_.encoder.parameters(), *net.module_.decoder.parameters()]
    before = [p.detach().clone() for p in net.module_.parameters()]
    n_own = sum(p.numel() for p in net.module_.discriminator.parameters())
    code = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)) + 3
    teach = net._teach
    first = teach(code, None)
    for p, old in zip(net.module_.parameters(), before, strict=True):
        assert torch.equal(p, old) == any(p is other for other in halves)
    for _ in range(300):
        last = teach(code, None)
    assert last < 0.5 * first  # these codes are easily told from the prior
    assert net.optimizer_.parameters.numel() == sum(p.numel() for p in halves)
    assert net.discriminator_optimizer_.parameters.numel() == n_own


class Listener(Callback):
    """Listens to single batches: training takes skorch's own loop."""

    def on_batch_end(self, net, **kwargs):
        pass


@quiet
@pytest.mark.parametrize(
    "changes", [{}, {"callbacks": [Listener()]}, {"optimizer": torch.optim.SGD}, {"ordered": True}]
)
def test_both_losses_are_in_the_history(digits, changes):
    model = small(3, max_iter=12, **changes).fit(digits[0], sample_weight=np.ones(len(digits[0])))
    assert len(model.history_) == 12
    for epoch in model.history_:
        assert epoch.keys() >= LOSSES
        sides = epoch["reconstruction_loss"] + 0.1 * epoch["generator_loss"]
        assert epoch["train_loss"] == pytest.approx(sides, rel=1e-4)
    assert 0.5 < model.history_[-1]["discriminator_loss"] < 0.75


def test_both_loops_learn_alike(digits):
    lean, by_skorch = (small(2, max_iter=10, callbacks=c) for c in (None, [Listener()]))
    a, b = (m.fit(digits[0]).transform(digits[1]) for m in (lean, by_skorch))
    np.testing.assert_allclose(a, b, atol=1e-3)


# start and baseline -------------------------------------------------------------------------------


@quiet
def test_a_schedule_of_the_users_leads_the_discriminator_too(digits):
    """Left behind it could not tell the codes that grow from draws of the prior."""
    settings = {"max_iter": 8, "early_stopping": False, "random_state": 0}
    constant = LRScheduler("StepLR", step_size=100)
    model = AdversarialAutoencoder(2, callbacks=[constant], **settings).fit(digits[0])
    losses = [row["discriminator_loss"] for row in model.history_]
    assert losses[-1] < losses[0] + 0.01
    still = LRScheduler("StepLR", step_size=1, gamma=0.0)
    model = AdversarialAutoencoder(2, callbacks=[still], **settings).fit(digits[0])
    losses = [row["discriminator_loss"] for row in model.history_]
    assert np.ptp(losses[1:]) < 0.01  # but for the draws


def test_starts_at_whitened_pca(digits):
    pca = PCA(4, whiten=True).fit(digits[0])
    expected = pca.transform(digits[1])
    linear = AdversarialAutoencoder(4, hidden_layer_sizes=()).fit(digits[0])
    np.testing.assert_allclose(linear.transform(digits[1]), expected, atol=1e-8)
    untrained = small(4, learning_rate_init=1e-12, max_iter=1).fit(digits[0])
    np.testing.assert_allclose(untrained.transform(digits[1]), expected, atol=1e-3)
    np.testing.assert_allclose(
        linear.components_, pca.components_ * pca.explained_variance_[:, None] ** 0.5, atol=1e-8
    )


@quiet
def test_gaussian_rows_are_left_at_pca(gaussian):
    model = AdversarialAutoencoder(3, random_state=0).fit(gaussian)
    assert model.best_iter_ == 0
    np.testing.assert_allclose(
        model.transform(gaussian), PCA(3, whiten=True).fit_transform(gaussian), atol=1e-8
    )
    assert model.pca_score_ >= max(model.validation_scores_[:1])


# samples ------------------------------------------------------------------------------------------


@quiet
def test_samples_are_decoded_draws_of_the_prior(digits):
    model = small(4, max_iter=30).fit(digits[0])
    codes = np.random.RandomState(3).standard_normal((5, 4))
    np.testing.assert_array_equal(model.sample(5, random_state=3), model.inverse_transform(codes))
    samples = model.sample(5000, random_state=0)
    made = model.reconstruct(digits[0])
    assert np.abs(samples.mean(axis=0) - made.mean(axis=0)).max() < 0.5
    assert 0.6 < samples.var() / made.var() < 1.6


@quiet
def test_tables(digits):
    frame = pd.DataFrame(digits[0][:300, 2:6], columns=list("abcd"))
    frame["e"] = np.where(frame["a"] > 0, "dark", "light")
    model = small(2, max_iter=10).fit(frame)
    drawn = model.sample(20, random_state=0)
    assert list(drawn.columns) == list("abcde")
    assert set(drawn["e"]) <= {"dark", "light"}


# a good citizen -----------------------------------------------------------------------------------


@quiet
def test_streams_and_warm_starts_keep_their_discriminator(digits):
    stream = small()
    for batch in np.array_split(digits[0], 4):
        before = (
            stream.module_.discriminator[0].weight.clone() if hasattr(stream, "module_") else None
        )
        stream = pickle.loads(pickle.dumps(stream.partial_fit(batch)))
        if before is not None:
            step = (stream.module_.discriminator[0].weight - before).abs().max()
            assert 0 < step < 0.5
    warm = small(warm_start=True, max_iter=10).fit(digits[0])
    first = warm.score(digits[1])
    assert warm.fit(digits[0]).score(digits[1]) > first - 0.02


@quiet
def test_ordered_codes_are_cut_and_shares_of_variance_met(digits):
    ordered = small(4, ordered=True, max_iter=15).fit(digits[0])
    two = ordered.truncate(2)
    np.testing.assert_allclose(two.transform(digits[1]), ordered.transform(digits[1])[:, :2])
    share = small(0.6, early_stopping=True, max_iter=15).fit(digits[0])
    assert share.n_components_ <= PCA(0.6).fit(digits[0]).n_components_
    assert share.sample(3).shape == (3, 64)
