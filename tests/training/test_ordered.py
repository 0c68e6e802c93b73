"""Ordered components: every prefix of the code is a model; a share of variance chooses the size."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from inside import model_of, objective_of
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from torch import nn

from skae import (
    AutoencoderTransformer,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    VAETransformer,
)
from skae._training.ordered import JUDGED, Cuts, ErrorOfNumbers, PrefixShares
from skae.inspection import ComponentCurveDisplay
from skae.metrics import reconstruction_score

pytestmark = pytest.mark.usefixtures("plain_draws")
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SIZES = (1, 2, 4, 8)


def ordered(n_components=8, **changes):
    return AutoencoderTransformer(n_components, ordered=True, random_state=0, **changes)


@pytest.fixture(scope="module")
def fitted(digits):
    return ordered().fit(digits[0])


@pytest.fixture(scope="module")
def by_share(digits):
    return AutoencoderTransformer(0.7, random_state=0).fit(digits[0])


# how rows are cut -------------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [*map(Cuts, (1, 2, 3, 8, 9, 50))], ids=str)
def test_lengths_are_drawn_as_often_as_they_shall_be(cuts):
    assert cuts.shares.sum() == pytest.approx(1)
    cut = cuts.before(None).begin(torch.Generator().manual_seed(0))
    lengths = torch.cat([cut(torch.zeros(64, 2))[1].sum(1) for _ in range(500)]).numpy()
    share = np.bincount(lengths.astype(int), minlength=cuts.n_components + 1)[1:] / len(lengths)
    np.testing.assert_allclose(share, cuts.shares, atol=0.01)


@pytest.mark.parametrize("cuts", [*map(Cuts, (1, 2, 3, 8, 9, 50))], ids=str)
def test_judged_lengths_stand_for_all(cuts):
    lengths, weights = cuts.judged
    assert lengths == sorted(set(lengths))
    assert lengths[0] >= 1
    assert lengths[-1] == cuts.n_components
    assert len(lengths) <= JUDGED
    assert sum(weights) == pytest.approx(1)
    if cuts.n_components <= JUDGED:
        np.testing.assert_allclose(weights, cuts.shares)


def test_masks_keep_prefixes():
    masks = Cuts(3).masks(torch.tensor([1, 3]))
    assert masks.tolist() == [[1, 0, 0], [1, 1, 1]]


# every prefix is a model ------------------------------------------------------------------------


def test_no_length_is_lost_for_others():
    """Three components tell a trend and a sine nearly, so their error hardly counts in the mean."""
    t = np.arange(719)
    y = 2.8 * np.sin(2 * np.pi * t / 28) + 0.002 * t
    y += 0.01 * np.random.default_rng(0).normal(size=len(t))
    X = np.lib.stride_tricks.sliding_window_view(y, 20)
    left = [
        1 - each.fit(X).score(X)
        for each in (ordered(3, max_iter=60), ordered(3, hidden_layer_sizes=()))
    ]
    assert left[0] < 1.05 * left[1]


def test_prefixes_of_a_rejected_fit_are_pca(gaussian):
    estimator = ordered().fit(gaussian)
    assert estimator.best_iter_ == 0
    for k in SIZES:
        pca, first = PCA(k).fit(gaussian), estimator.truncate(k)
        np.testing.assert_allclose(
            first.reconstruct(gaussian), pca.inverse_transform(pca.transform(gaussian)), atol=1e-9
        )
        np.testing.assert_allclose(np.abs(first.components_), np.abs(pca.components_), atol=1e-9)


def test_prefixes_before_the_first_step_are_pca(digits):
    estimator = ordered(early_stopping=False, learning_rate_init=1e-30, max_iter=1).fit(digits[0])
    assert model_of(estimator).nonlinear
    for k in SIZES:
        score = reconstruction_score(PCA(k).fit(digits[0]), digits[1])
        assert estimator.truncate(k).score(digits[1]) == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("k", SIZES)
def test_prefixes_beat_pca(fitted, digits, k):
    pca = reconstruction_score(PCA(k).fit(digits[0]), digits[1])
    assert fitted.truncate(k).score(digits[1]) > pca + 0.05


@pytest.mark.parametrize("k", SIZES)
def test_truncation_gives_the_first_columns(fitted, digits, k):
    X, first = digits[1], fitted.truncate(k)
    code = first.transform(X)
    np.testing.assert_allclose(code, fitted.transform(X)[:, :k], rtol=1e-10, atol=1e-12)
    assert first.inverse_transform(code).shape == X.shape
    np.testing.assert_allclose(first.components_, fitted.components_[:k])
    np.testing.assert_array_equal(
        first.explained_variance_ratio_, fitted.explained_variance_ratio_[:k]
    )
    assert first.get_feature_names_out().shape == (k,)


def test_truncation_decodes_as_in_training(fitted, digits):
    """A truncated decoder does what the whole one does with a masked code."""
    x = torch.from_numpy((digits[1] - fitted.mean_) / fitted.scale_)
    mask = (torch.arange(8) < 3).double().expand(len(x), 8)
    rows = fitted.module_(x, mask).reconstruction.numpy() * fitted.scale_ + fitted.mean_
    np.testing.assert_allclose(fitted.truncate(3).reconstruct(digits[1]), rows, atol=1e-9)


def test_full_truncation_is_the_same_model(fitted, digits):
    whole = fitted.truncate(8)
    np.testing.assert_array_equal(whole.reconstruct(digits[1]), fitted.reconstruct(digits[1]))


def test_truncation_of_a_truncation(fitted, digits):
    np.testing.assert_array_equal(
        fitted.truncate(4).truncate(2).reconstruct(digits[1]),
        fitted.truncate(2).reconstruct(digits[1]),
    )


def test_truncated_is_independent(fitted, digits):
    before = fitted.reconstruct(digits[1])
    first = fitted.truncate(2, fine_tune_on=digits[0][:100])
    first.partial_fit(digits[0][:200])
    np.testing.assert_array_equal(fitted.reconstruct(digits[1]), before)
    assert fitted.n_components == fitted.n_components_ == 8


def test_stream_goes_on_truncated(digits):
    stream = ordered(4).partial_fit(digits[0][:300]).partial_fit(digits[0][300:600])
    first = stream.truncate(2, fine_tune_on=digits[0][:50]).partial_fit(digits[0][600:900])
    assert np.isfinite(first.transform(digits[1])).all()


def test_truncated_copies(fitted, digits):
    first = fitted.truncate(2)
    assert first.n_components == clone(first).n_components == 2
    assert not hasattr(clone(first), "module_")
    copy = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(copy.reconstruct(digits[1]), first.reconstruct(digits[1]))
    np.testing.assert_array_equal(
        copy.truncate(1).transform(digits[1]), first.truncate(1).transform(digits[1])
    )


def test_fine_tuning_helps(fitted, digits):
    tuned = fitted.truncate(4, fine_tune_on=digits[0])
    assert tuned.score(digits[1]) > fitted.truncate(4).score(digits[1])
    assert np.isfinite(tuned.transform(digits[1].astype(np.float32))).all()


def test_fine_tuning_leaves_pca_alone(gaussian):
    estimator = ordered(4).fit(gaussian)
    np.testing.assert_array_equal(
        estimator.truncate(2, fine_tune_on=gaussian[:50]).transform(gaussian),
        estimator.truncate(2).transform(gaussian),
    )


@quiet
@pytest.mark.parametrize(
    "changes", [{"whiten": True}, {"linear_path": None}, {"activation": nn.ELU}]
)
def test_truncation_of_other_networks(digits, changes):
    estimator = ordered(4, max_iter=5, **changes).fit(digits[0])
    first = estimator.truncate(2)
    np.testing.assert_allclose(
        first.transform(digits[1]), estimator.transform(digits[1])[:, :2], rtol=1e-9, atol=1e-12
    )
    copy = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(copy.reconstruct(digits[1]), first.reconstruct(digits[1]))


def own_encoder(n_inputs, n_outputs):
    return nn.Sequential(nn.Linear(n_inputs, 20), nn.ReLU(), nn.Linear(20, n_outputs))


@quiet
def test_truncation_of_own_modules(digits):
    estimator = ordered(4, encoder=own_encoder, early_stopping=False, max_iter=3).fit(digits[0])
    np.testing.assert_allclose(
        estimator.truncate(2).transform(digits[1]), estimator.transform(digits[1])[:, :2]
    )
    estimator = ordered(4, encoder=upside_down, early_stopping=False, max_iter=3).fit(digits[0])
    with pytest.raises(ValueError, match="cannot be cut to 2 components.*fit with n_components=2"):
        estimator.truncate(2)


def upside_down(n_inputs, n_outputs):
    return nn.Sequential(nn.Linear(n_inputs, n_outputs), Backwards())


class Backwards(nn.Module):
    def forward(self, x):
        return x.flip(1)


# what each component explains -------------------------------------------------------------------


def test_ratios_sum_to_the_held_out_score():
    train, held_out = train_test_split(load_digits().data, random_state=0)
    estimator = ordered().fit(train, X_val=held_out)
    ratio = estimator.explained_variance_ratio_
    for k in SIZES:
        assert ratio[:k].sum() == pytest.approx(estimator.truncate(k).score(held_out), abs=1e-5)


def test_ratios_of_the_linear_model_are_pcas(digits):
    ratio = ordered(hidden_layer_sizes=()).fit(digits[0]).explained_variance_ratio_
    np.testing.assert_allclose(ratio, PCA(8).fit(digits[0]).explained_variance_ratio_)


def test_ratios_without_held_out_rows(digits):
    estimator = ordered(early_stopping=False, max_iter=5).fit(digits[0][:500])
    score = estimator.score(digits[0][:500])
    assert estimator.explained_variance_ratio_.sum() == pytest.approx(score, abs=2e-3)


def test_ratios_are_absent_where_nothing_tells_them(digits):
    assert not hasattr(AutoencoderTransformer(2, max_iter=2), "explained_variance_ratio_")
    estimator = ordered(4, max_iter=2, early_stopping=False).fit(digits[0])
    plain = clone(estimator).set_params(ordered=False).fit(digits[0])
    assert not hasattr(plain, "explained_variance_ratio_")
    assert not hasattr(estimator.partial_fit(digits[0]), "explained_variance_ratio_")


def test_shares_of_prefixes_by_hand():
    X = torch.tensor([[1.0, 1.0], [-1.0, 3.0], [9.0, 9.0]])
    shares = PrefixShares(2)
    batches = [(X[:1], (X[:1], None)), (X[1:], (X[1:], None))]
    weights = np.array([2.0, 2.0, 0.0]), np.array([0.5, 0.5])
    weight, column_weights = weights
    shares.add(lambda x, mask: x * mask, batches, weight, ErrorOfNumbers(column_weights))
    # squares about the mean: 2 and 2; the first prefix leaves 1 + 9 of them
    np.testing.assert_allclose(shares.shares, [1 - 10 / 4, 1.0])


# a share of variance chooses the size -----------------------------------------------------------


def test_share_needs_fewer_components_than_pca(by_share, digits):
    assert by_share.n_components_ < PCA(0.7).fit(digits[0]).n_components_
    assert by_share.score(digits[1]) > 0.7
    assert by_share.transform(digits[1]).shape[1] == by_share.n_components_
    assert not hasattr(by_share, "explained_variance_ratio_")


def test_share_with_ordered_components(by_share, digits):
    estimator = clone(by_share).set_params(ordered=True).fit(digits[0])
    assert estimator.explained_variance_ratio_.sum() >= 0.7
    assert estimator.explained_variance_ratio_[:-1].sum() < 0.7
    assert estimator.truncate(2).transform(digits[1]).shape[1] == 2


def test_share_on_few_rows(digits):
    estimator = AutoencoderTransformer(0.7, random_state=0).fit(digits[0][:300])
    assert estimator.n_components_ <= PCA(0.7).fit(digits[0][:300]).n_components_
    assert estimator.score(digits[1]) > reconstruction_score(
        PCA(estimator.n_components_).fit(digits[0][:300]), digits[1]
    )


def test_share_of_whitened_code_has_unit_variance(digits):
    code = AutoencoderTransformer(0.5, whiten=True, random_state=0).fit_transform(digits[0])
    np.testing.assert_allclose(code.std(axis=0, ddof=1), 1, rtol=1e-6)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_share_is_pcas_where_pca_is_kept(gaussian, share):
    estimator = AutoencoderTransformer(share, random_state=0).fit(gaussian)
    assert estimator.best_iter_ == 0
    assert estimator.n_components_ == PCA(share).fit(gaussian).n_components_


@quiet
@pytest.mark.parametrize(
    "changes", [{"early_stopping": False}, {"linear_path": None}, {"encoder": own_encoder}]
)
def test_share_is_pcas_without_a_baseline_or_with_own_modules(digits, changes):
    estimator = AutoencoderTransformer(0.6, max_iter=2, **changes).fit(digits[0])
    assert estimator.n_components_ == PCA(0.6).fit(digits[0]).n_components_


def test_share_in_noise(digits):
    estimator = DenoisingAutoencoder(0.6, noise_level=0.5, random_state=0).fit(digits[0])
    assert estimator.n_components_ <= PCA(0.6).fit(digits[0]).n_components_
    noise = 0.5 * np.random.default_rng(0).normal(size=digits[1].shape)
    error = np.sum((estimator.denoise(digits[1] + noise) - digits[1]) ** 2)
    assert 1 - error / np.sum((digits[1] - digits[1].mean(axis=0)) ** 2) > 0.6


def test_denoiser_is_cut_like_its_start(digits):
    estimator = DenoisingAutoencoder(6, ordered=True, hidden_layer_sizes=()).fit(digits[0])
    small = DenoisingAutoencoder(3, hidden_layer_sizes=()).fit(digits[0])
    np.testing.assert_allclose(
        estimator.truncate(3).reconstruct(digits[1]), small.reconstruct(digits[1]), atol=1e-9
    )


# the other estimators ---------------------------------------------------------------------------


OTHERS = {
    "tied": AutoencoderTransformer(tied_weights=True),
    "layerwise": AutoencoderTransformer(pretraining="layerwise"),
    "l1": SparseAutoencoder(),
    "kl": SparseAutoencoder(penalty="kl", sparsity=0.4),
    "contractive": ContractiveAutoencoder(),
    "variational": VAETransformer(),
}


def other(name, n_components, **changes):
    settings = {"n_components": n_components, "random_state": 0, **changes}
    return clone(OTHERS[name]).set_params(**settings)


@quiet
@pytest.mark.parametrize("name", OTHERS)
def test_prefixes_of_other_estimators(digits, name):
    estimator = other(name, 6, ordered=True, max_iter=25).fit(digits[0])
    assert estimator.best_iter_ > 0
    assert estimator.explained_variance_ratio_.shape == (6,)
    code = estimator.transform(digits[1])
    for k in (1, 3, 6):
        first = estimator.truncate(k)
        cut, expected = first.transform(digits[1]), code[:, :k]
        if name == "variational":  # in the units of a shorter code, whose means are smaller
            cut, expected = cut / cut.std(axis=0), expected / expected.std(axis=0)
        np.testing.assert_allclose(cut, expected, rtol=1e-9, atol=1e-12)
        shares = estimator.explained_variance_ratio_[:k].sum()
        assert first.score(digits[1]) > shares - 0.1  # the last epochs come after it
        copy = pickle.loads(pickle.dumps(first))
        np.testing.assert_array_equal(copy.reconstruct(digits[1]), first.reconstruct(digits[1]))
    tuned = estimator.truncate(3, fine_tune_on=digits[0][:200])
    assert np.isfinite(tuned.transform(digits[1])).all()


@quiet
@pytest.mark.parametrize("name", ["tied", "layerwise", "contractive", "variational"])
def test_prefixes_of_other_estimators_beat_pca(digits, name):
    estimator = other(name, 4, ordered=True, max_iter=60).fit(digits[0])
    for k in (1, 2, 4):
        pca = reconstruction_score(PCA(k).fit(digits[0]), digits[1])
        assert estimator.truncate(k).score(digits[1]) > pca + 0.02


@pytest.mark.parametrize("name", ["tied", "contractive"])
def test_prefixes_of_other_rejected_fits_are_pca(gaussian, name):
    estimator = other(name, 4, ordered=True, **NO_PENALTY.get(name, {})).fit(gaussian)
    assert estimator.best_iter_ == 0
    pca = PCA(2).fit(gaussian)
    np.testing.assert_allclose(
        estimator.truncate(2).reconstruct(gaussian),
        pca.inverse_transform(pca.transform(gaussian)),
        atol=1e-9,
    )


NO_PENALTY = {"contractive": {"penalty_weight": 0.0}}


@quiet
@pytest.mark.parametrize("name", OTHERS)
def test_share_with_other_estimators(digits, name):
    estimator = other(name, 0.6, max_iter=8).fit(digits[0])
    assert estimator.n_components_ <= PCA(0.6).fit(digits[0]).n_components_
    assert estimator.transform(digits[1]).shape[1] == estimator.n_components_
    assert np.isfinite(estimator.reconstruct(digits[1])).all()


@quiet
def test_activation_rates_are_those_of_the_units_that_are_left(digits):
    estimator = other("kl", 6, ordered=True, max_iter=5).fit(digits[0])
    first = estimator.truncate(2)
    np.testing.assert_array_equal(first.activation_rate_, estimator.activation_rate_[:2])
    tuned = estimator.truncate(2, fine_tune_on=digits[0])
    active = (tuned.transform(digits[0]) != 0).mean(axis=0)
    np.testing.assert_allclose(tuned.activation_rate_, active)


# a distribution over codes ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def images():
    return train_test_split(load_digits().data / 16, test_size=0.3, random_state=0)


@pytest.fixture(scope="module")
def variational(images):
    train, held_out = images
    return VAETransformer(6, ordered=True, random_state=0).fit(train, X_val=held_out)


@pytest.fixture(scope="module")
def bernoulli(images):
    model = VAETransformer(4, ordered=True, likelihood="bernoulli", max_iter=30, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(images[0], X_val=images[1])


@pytest.mark.filterwarnings("ignore:No unit of the code:UserWarning")
@pytest.mark.parametrize("k", [1, 8])
@pytest.mark.parametrize("beta", [0.0, 1.0, 3.0, 40.0])
@pytest.mark.parametrize(("n_rows", "n_components"), [(500, 10), (500, 70), (12, 11)])
def test_prefix_of_the_variational_baseline_is_the_baseline_of_that_size(
    images, n_rows, n_components, beta, k
):
    X = images[0][:n_rows]
    params = {"beta": beta, "ordered": True, "hidden_layer_sizes": (), "random_state": 0}
    cut = VAETransformer(n_components, **params).fit(X).truncate(k)
    fresh = VAETransformer(k, **params).fit(X)
    for name in ("components_", "noise_variance_", "explained_variance_ratio_"):
        np.testing.assert_allclose(getattr(cut, name), getattr(fresh, name), atol=1e-8)
    for one, other in zip(
        *(m.transform_distribution(images[1]) for m in (cut, fresh)), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-8)
    code = fresh.transform(images[1])
    np.testing.assert_allclose(
        cut.inverse_transform(code), fresh.inverse_transform(code), atol=1e-8
    )


@pytest.fixture(scope="module")
def rejected(gaussian):
    return VAETransformer(8, ordered=True, random_state=0).fit(gaussian)


@pytest.mark.parametrize("k", SIZES)
def test_prefixes_of_a_rejected_variational_fit_are_probabilistic_pca(gaussian, rejected, k):
    estimator = rejected
    assert estimator.best_iter_ == 0
    pca, first = PCA(k).fit(gaussian), estimator.truncate(k)
    alone = VAETransformer(k, hidden_layer_sizes=()).fit(gaussian)
    np.testing.assert_allclose(first.score_samples(gaussian, 1), pca.score_samples(gaussian))
    np.testing.assert_allclose(first.noise_variance_, pca.noise_variance_)
    np.testing.assert_allclose(first.transform(gaussian), alone.transform(gaussian), atol=1e-9)
    np.testing.assert_allclose(first.kl_per_component_, alone.kl_per_component_)
    np.testing.assert_allclose(np.abs(first.components_), np.abs(alone.components_), atol=1e-9)
    tuned = estimator.truncate(k, fine_tune_on=gaussian[:50])
    np.testing.assert_array_equal(tuned.transform(gaussian), first.transform(gaussian))


def test_prefixes_before_the_first_step_are_probabilistic_pca(images):
    settings = {"early_stopping": False, "learning_rate_init": 1e-30, "max_iter": 1, "alpha": 0}
    estimator = VAETransformer(8, ordered=True, random_state=0, **settings).fit(images[0])
    assert model_of(estimator).nonlinear
    for k in SIZES:
        bound = estimator.truncate(k).score_samples(images[1], 1).mean()
        assert bound == pytest.approx(PCA(k).fit(images[0]).score(images[1]), abs=1e-3)


def test_variational_baseline_is_pcas_mean_over_the_lengths(variational, images):
    lengths, weights = Cuts(6).judged
    scores = [PCA(k).fit(images[0]).score(images[1]) for k in lengths]
    assert variational.pca_score_ == pytest.approx(np.dot(weights, scores), abs=1e-3 * 64)


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_variational_prefixes_are_more_likely_than_pca(variational, images, k):
    pca = PCA(k).fit(images[0])
    first = variational.truncate(k)
    assert first.score_samples(images[1], 1).mean() > pca.score(images[1]) + 0.3
    assert first.score(images[1]) > reconstruction_score(pca, images[1])
    assert first.noise_variance_ < pca.noise_variance_


@pytest.mark.parametrize("name", ["variational", "bernoulli"])
@pytest.mark.parametrize("k", [1, 3])
def test_a_cut_row_has_the_objective_of_the_shorter_model(request, images, name, k):
    """What is cut counts neither in the reconstruction nor in the divergence."""
    estimator = request.getfixturevalue(name)
    n, n_units = 20, estimator.n_components_
    draws = torch.randn(n, 3, n_units, generator=torch.Generator().manual_seed(0)).double()
    x = torch.from_numpy((images[1][:n] - estimator.mean_) / estimator.scale_)
    first = estimator.truncate(k)
    objective = objective_of(estimator)
    mask = Cuts(n_units).masks(torch.tensor([k])).double()[0]
    np.testing.assert_allclose(
        objective(estimator.module_((x, draws), mask), x).numpy(),
        objective(first.module_((x, draws[..., :k])), x).numpy(),
    )


@pytest.mark.parametrize("name", ["variational", "bernoulli"])
def test_ratios_of_variational_components_sum_to_the_held_out_score(request, images, name):
    estimator = request.getfixturevalue(name)
    for k in range(1, estimator.n_components_ + 1):
        share = estimator.explained_variance_ratio_[:k].sum()
        assert share == pytest.approx(estimator.truncate(k).score(images[1]), abs=1e-4)


@pytest.mark.parametrize("name", ["variational", "bernoulli"])
@pytest.mark.parametrize("k", [1, 3])
def test_what_a_truncated_model_tells_of_its_units(request, images, name, k):
    first = request.getfixturevalue(name).truncate(k)
    mean, std = first.transform_distribution(images[0])
    divergence = (mean**2 + std**2 - 1 - 2 * np.log(std)).mean(axis=0) / 2
    np.testing.assert_allclose(first.kl_per_component_, divergence)
    np.testing.assert_array_equal(first.active_units_, mean.var(axis=0) > 0.01)


def test_fine_tuned_codes_are_of_the_priors_size(variational, images):
    tuned = variational.truncate(3, fine_tune_on=images[0])
    mean, std = tuned.transform_distribution(images[0])
    np.testing.assert_allclose((mean**2 + std**2).mean(axis=0), 1, rtol=1e-5)
    bounds = [m.score_samples(images[1], 1).mean() for m in (tuned, variational.truncate(3))]
    assert bounds[0] > bounds[1]


def test_truncated_bernoulli_gives_probabilities(bernoulli, images):
    first = bernoulli.truncate(2)
    rows = first.inverse_transform(np.random.default_rng(0).normal(size=(50, 2)))
    assert ((rows >= 0) & (rows <= 1)).all()
    assert not hasattr(first, "noise_variance_")
    assert set(np.unique(first.sample(20, random_state=0))) == {0.0, 1.0}


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_variational_baseline_scores_are_those_of_its_prefixes(pyplot, images, likelihood):
    """With few rows the start is kept, and the ratios are those of these rows."""
    X = images[0][:25]
    X = X[:, X.std(axis=0) > 0]
    model = VAETransformer(5, ordered=True, likelihood=likelihood, random_state=0).fit(X)
    assert model.best_iter_ == 0
    scores = [model.truncate(k).score(X) for k in range(1, 6)]
    shown = ComponentCurveDisplay.from_estimator(model, X)
    np.testing.assert_allclose(shown.start_scores, scores)
    np.testing.assert_allclose(np.cumsum(model.explained_variance_ratio_), scores, atol=1e-5)


@quiet
def test_variational_share_without_ordered_components(digits):
    model = VAETransformer(0.7, max_iter=40, random_state=0).fit(digits[0])
    assert model.n_components_ < PCA(0.7).fit(digits[0]).n_components_
    assert not hasattr(model, "explained_variance_ratio_")
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.score_samples(digits[1]), model.score_samples(digits[1]))


@quiet
@pytest.mark.parametrize(
    "changes", [{"linear_path": None}, {"encoder": own_encoder}, {"decoder": own_encoder}]
)
def test_truncation_of_other_variational_networks(images, changes):
    model = VAETransformer(4, ordered=True, max_iter=3, random_state=0, **changes)
    for part in np.array_split(images[0], 2):
        model.partial_fit(part)
    first = model.truncate(2, fine_tune_on=images[0][:100]).partial_fit(images[0][:100])
    assert np.isfinite(first.score_samples(images[1])).all()
    copy = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(copy.transform(images[1]), first.transform(images[1]))


# a good citizen ---------------------------------------------------------------------------------


@quiet
def test_deterministic_and_without_the_global_generators(digits):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    twice = [
        AutoencoderTransformer(0.6, ordered=True, max_iter=5, random_state=3).fit(digits[0])
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*(m.transform(digits[1]) for m in twice))
    tuned = [m.truncate(2, fine_tune_on=digits[0][:200]).transform(digits[1]) for m in twice]
    np.testing.assert_array_equal(*tuned)
    assert torch.equal(torch_state, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_state, np.random.get_state()[1])


@quiet
def test_rows_of_weight_zero_do_not_count(digits):
    X, weight = digits[0][:700], np.r_[np.ones(550), np.zeros(150)]
    weighted = ordered(3, max_iter=3).fit(X, sample_weight=weight)
    alone = ordered(3, max_iter=3).fit(X[:550])
    np.testing.assert_allclose(weighted.transform(X), alone.transform(X), rtol=1e-6)
    np.testing.assert_allclose(
        weighted.explained_variance_ratio_, alone.explained_variance_ratio_, atol=1e-9
    )


@quiet
def test_search(digits):
    grid = {"n_components": [2, 0.5], "ordered": [True, False]}
    search = GridSearchCV(AutoencoderTransformer(max_iter=3, random_state=0), grid, cv=2)
    scores = search.fit(digits[0][:400]).cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()


@quiet
def test_warm_start_goes_on_with_the_chosen_size(digits):
    estimator = AutoencoderTransformer(0.6, warm_start=True, max_iter=5, random_state=0)
    k = estimator.fit(digits[0]).n_components_
    assert estimator.fit(digits[0]).n_components_ == k
    cut = ordered(4, warm_start=True, max_iter=5).fit(digits[0]).truncate(2)
    assert cut.fit(digits[0]).explained_variance_ratio_.shape == (2,)


@quiet
def test_prefixes_of_an_optimizer_of_ones_own(digits):
    own = ordered(4, optimizer=torch.optim.AdamW, max_iter=40).fit(digits[0])
    for k in (1, 2, 4):
        pca = reconstruction_score(PCA(k).fit(digits[0]), digits[1])
        assert own.truncate(k).score(digits[1]) > pca


@pytest.mark.parametrize("k", [0, 9, -1, 2.0, "2"])
def test_bad_sizes(fitted, k):
    with pytest.raises(ValueError, match=f"n_components={k!r}: expected an int from 1 to 8"):
        fitted.truncate(k)


def test_bad_use(by_share, digits):
    with pytest.raises(ValueError, match="ordered=False: fit with ordered=True, or with n_comp"):
        by_share.truncate(2)
    with pytest.raises(NotFittedError):
        ordered().truncate(2)
    with pytest.raises(ValueError, match="ordered=True"):
        ComponentCurveDisplay.from_estimator(by_share, digits[1])
    with pytest.raises(ValueError, match="components of PCA are not ordered"):
        ComponentCurveDisplay.from_estimator(PCA(2).fit(digits[0]), digits[1])
    with pytest.raises(ValueError, match="X has 3 features"):
        ordered(2, hidden_layer_sizes=()).fit(digits[0]).truncate(1, fine_tune_on=np.ones((5, 3)))
