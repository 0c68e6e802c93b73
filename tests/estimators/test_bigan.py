"""BiGANTransformer: new rows, an encoder beside the generator, and what its losses are."""

import pickle

import numpy as np
import pytest
import torch
from inside import net_of
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from torch.nn.functional import logsigmoid

import skae
from skae import BiGANTransformer
from skae.metrics import mode_coverage

N_MODES, RADIUS, SPREAD = 8, 2.0, 0.1


def relativistic(real, made):
    return -logsigmoid(real - made), -logsigmoid(made - real)


def logistic(real, made):
    """Of the discriminator, and non-saturating, of encoder and generator."""
    judge = -logsigmoid(real) - torch.log(1 - torch.sigmoid(made))
    return judge, -torch.log(1 - torch.sigmoid(real)) - logsigmoid(made)


def least_squares(real, made):
    return ((real - 1) ** 2 + made**2) / 2, (real**2 + (made - 1) ** 2) / 2


LOSSES = {f.__name__: f for f in (relativistic, logistic, least_squares)}
EQUILIBRIUM = {"relativistic": np.log(2), "logistic": 2 * np.log(2), "least_squares": 0.25}


def small(n_components=3, **changes):
    settings = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
    return BiGANTransformer(n_components, **settings | changes)


def ring(n, rng):
    """Return rows of eight Gaussians on a ring, and their centres."""
    angles = 2 * np.pi * np.arange(N_MODES) / N_MODES
    centres = RADIUS * np.column_stack([np.cos(angles), np.sin(angles)])
    return centres[rng.integers(N_MODES, size=n)] + SPREAD * rng.normal(size=(n, 2)), centres


@pytest.fixture(scope="module")
def labelled():
    X, y = load_digits(return_X_y=True)
    return X[:1200], y[:1200], X[1200:], y[1200:]


@pytest.fixture(scope="module")
def trained(labelled):
    return BiGANTransformer(random_state=0, max_iter=80).fit(labelled[0])


def test_all_modes_of_a_ring():
    """Every mode has samples within 3 standard deviations, as most samples are.

    ``make test-gan`` does so for ten seeds of every loss.
    """
    X, centres = ring(2000, np.random.default_rng(0))
    X_new = BiGANTransformer(2, random_state=0).fit(X).sample(2000, 0)
    distance = np.linalg.norm(X_new[:, None] - centres, axis=2)
    good = distance.min(axis=1) < 3 * SPREAD
    counts = np.bincount(distance.argmin(axis=1)[good], minlength=N_MODES)
    assert (counts > 0).all()
    assert good.mean() > 0.5
    assert counts.max() < 0.35 * good.sum()


def test_all_classes_of_digits(labelled, trained):
    X, y, X_test, _ = labelled
    X_new = trained.sample(len(X_test), random_state=0)
    shares = np.bincount(SVC().fit(X, y).predict(X_new), minlength=10) / len(X_new)
    assert shares.min() > 0.03
    assert shares.max() < 0.25
    assert mode_coverage(X_test, X_new) > 0.4
    assert mode_coverage(X_test, np.tile(X_test.mean(axis=0), (len(X_test), 1))) < 0.1


def test_the_code_knows_the_digits(labelled, trained):
    X, y, X_test, y_test = labelled
    nearest = KNeighborsClassifier(1).fit(trained.transform(X), y)
    assert nearest.score(trained.transform(X_test), y_test) > 0.5
    assert trained.score(X_test) > 0.4
    assert np.corrcoef(trained.reconstruct(X_test).ravel(), X_test.ravel())[0, 1] > 0.7


def test_both_losses_are_told(trained):
    """log 2 = 0.69 in nats is the loss of either side where no pair leads."""
    assert len(trained.history_) == trained.n_iter_ == 80
    last = trained.history_[-1]
    assert 0 < last["discriminator_loss"] < np.log(2)
    assert np.log(2) < last["generator_loss"] < last["train_loss"] < 5
    assert trained.loss_curve_[-1] == last["train_loss"]
    assert trained.best_iter_ == trained.n_iter_
    assert trained.pca_score_ is None
    assert not hasattr(trained, "components_")


@pytest.mark.parametrize("minibatch", [None, "deviation", "discrimination"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_are_those_of_the_losses(weighted, loss, minibatch):
    """What a step leaves equals autograd's gradient of each loss as the docstring writes it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6, 4)) * [1, 2, 3, 4]
    params = {"reconstruction_weight": 0.7, "gradient_penalty": 0.3, "loss": loss}
    params["minibatch_features"] = minibatch
    net = net_of(small(2, activation="tanh", **params).fit, X)
    net.generator.manual_seed(2)
    x, weight = net.rows.take(slice(None)), torch.rand(6) if weighted else None
    net.losses = []
    net.gradient(x, x, weight)
    share = torch.ones(6) if weight is None else weight

    parts = net.module_
    drawn = torch.randn(6, 2, generator=torch.Generator().manual_seed(2))
    real, made = (x, parts.encode(x)), (parts.decoder(drawn), drawn)
    of_judge, of_others = LOSSES[loss](*(parts.discriminator(*pair) for pair in (real, made)))
    penalty = 0.0
    for pair in (real, made):
        pair = [part.detach().requires_grad_() for part in pair]
        scores = parts.discriminator(*pair).sum()
        slopes = torch.autograd.grad(scores, pair, create_graph=True)
        penalty = penalty + sum(slope.square().sum(1) for slope in slopes)
    shares = torch.from_numpy(X.var(axis=0) / X.var(axis=0).sum()).float()
    reconstruction = (parts.decoder(real[1]) - x).square() @ shares
    critic = (share * (of_judge + 0.3 * 4 / 2 * penalty)).mean()
    others = (share * (of_others + 0.7 * reconstruction)).mean()
    judges = list(parts.discriminator.parameters())
    players = [*parts.encoder.parameters(), *parts.decoder.parameters()]
    for value, parameters in ((critic, judges), (others, players)):
        expected = torch.autograd.grad(value, parameters, retain_graph=True)
        for parameter, gradient in zip(parameters, expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("minibatch", [None, "deviation"])
def test_a_share_of_the_judged_pairs_is_replayed(minibatch):
    """The discriminator's gradient is that of earlier pairs in place of some new ones."""
    X = np.random.default_rng(0).normal(size=(8, 4))
    params = {"replay": 0.25, "gradient_penalty": 0.0, "minibatch_features": minibatch}
    net = net_of(small(2, **params).fit, X)
    x, seen, parts = net.rows.take(slice(None)), [], net.module_
    net.losses = []
    parts.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    for _ in range(2):
        net.gradient(x, x, None)
    (first, _, sizes), (rows, codes, sizes_then) = seen
    assert (sizes, sizes_then) == ([8, 8], [8, 8, 2])
    earlier = rows[16:]
    assert all((row == first[8:]).all(1).any() for row in earlier)
    scores = parts.discriminator(rows, codes, sizes_then)
    judged = torch.cat([scores[16:], scores[10:16]])
    expected = torch.autograd.grad(
        -logsigmoid(scores[:8] - judged).mean(), list(parts.discriminator.parameters())
    )
    for parameter, gradient in zip(parts.discriminator.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_nets_are_copied(loss, wine):
    """As callbacks that keep the net do."""
    net = net_of(small(loss=loss, replay=0.5).fit, wine[0])
    assert pickle.loads(pickle.dumps(net.criterion_)).of is net.criterion_.of


@pytest.mark.parametrize("name", ["deviation", "discrimination"])
def test_features_of_a_batch_tell_equal_rows_from_different_ones(name):
    net = net_of(
        small(2, minibatch_features=name).fit, np.random.default_rng(0).normal(size=(8, 4))
    )
    minibatch = net.module_.discriminator.minibatch
    x = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    different, equal = minibatch(x), minibatch(x[:1].expand(6, -1))
    assert different.shape == equal.shape == (6, minibatch.width)
    if name == "deviation":
        torch.testing.assert_close(different[:, 0], x.std(0, correction=0).mean().expand(6))
        assert equal.max() < 1e-3
    else:
        assert (equal == 1).all()
        assert different.max() < 1


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_at_their_equilibrium_where_no_pair_can_be_told(loss, wine):
    """A discriminator whose slopes cost everything guesses."""
    model = small(loss=loss, gradient_penalty=1e6, max_iter=60, learning_rate_init=0.01).fit(
        wine[0]
    )
    last = model.history_[-1]
    for side in ("discriminator", "generator"):
        assert last[f"{side}_loss"] == pytest.approx(EQUILIBRIUM[loss], rel=0.1)


def test_accuracies_are_told_of_both_sides(trained):
    for row in trained.history_:
        for side in ("real", "generated"):
            assert 0 <= row[f"{side}_accuracy"] <= 1
    assert trained.history_[0]["real_accuracy"] > 0.5


def test_samples_are_decoded_normal_codes(wine):
    model = small().fit(wine[0])
    codes = np.random.RandomState(4).standard_normal((7, 3))
    np.testing.assert_array_equal(model.sample(7, 4), model.inverse_transform(codes))


@pytest.mark.parametrize("shape", [(8, 9), (3, 8, 11), (4, 15, 8), (1, 1, 9)])
def test_images_of_any_shape(shape, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)) @ rng.normal(size=(3, int(np.prod(shape))))
    X[:, 5] = 1.5
    model = BiGANTransformer(3, image_shape=shape, channels=(4, 8), max_iter=2, random_state=0)
    code = model.fit(X).transform(X)
    assert code.shape == (40, 3)
    assert model.hidden_layer_sizes_ == (4, 8)
    assert model.sample(2, 0).shape == (2, X.shape[1])
    np.testing.assert_array_equal(model.reconstruct(X)[:, 5], 1.5)
    one_by_one = np.vstack([model.transform(row[None]) for row in X])
    np.testing.assert_allclose(one_by_one, code, rtol=1e-12, atol=1e-12)
    skae.save(model, tmp_path / "model.skae")
    for same in (skae.load(tmp_path / "model.skae"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(same.transform(X), code)
        np.testing.assert_array_equal(same.sample(3, 1), model.sample(3, 1))


def test_convolutions_cover_the_classes_too(labelled):
    X, y, _, _ = labelled
    model = BiGANTransformer(
        8, image_shape=(8, 8), channels=(8, 16), max_iter=25, random_state=0
    ).fit(X)
    shares = np.bincount(SVC().fit(X, y).predict(model.sample(1000, 0)), minlength=10) / 1000
    assert shares.min() > 0
    assert shares.max() < 0.35


def test_training_goes_on(labelled):
    """A warm start is the longer for its first fit, and knows the discriminator."""
    X = labelled[0]
    cold = BiGANTransformer(8, max_iter=10, random_state=0).fit(X)
    warm = clone(cold).set_params(warm_start=True).fit(X)
    judges = {n: w for n, w in warm.module_.state_dict().items() if n.startswith("discriminator")}
    assert judges
    score = warm.score(X)
    assert warm.fit(X).score(X) > score
    assert warm.n_iter_ == 10


def test_a_stream(labelled):
    stream, model = labelled[0], BiGANTransformer(8, random_state=0)
    scores = []
    for _ in range(4):
        for batch in np.array_split(stream, 4):
            model = pickle.loads(pickle.dumps(model.partial_fit(batch)))
        scores.append(model.score(labelled[2]))
    assert model.n_iter_ == len(model.history_) == 16
    assert scores[-1] > scores[0]


def test_more_units_than_columns_and_than_rows():
    X = np.random.default_rng(0).normal(size=(10, 3))
    assert small(12).fit(X).transform(X).shape == (10, 12)
    assert small(12).partial_fit(X).transform(X).shape == (10, 12)


def test_rows_of_weight_zero_are_left_out(wine):
    X, weight = wine[0], np.r_[np.ones(90), np.zeros(len(wine[0]) - 90)]
    some, first = small().fit(X, sample_weight=weight), small().fit(X[:90])
    np.testing.assert_allclose(some.transform(X), first.transform(X), rtol=1e-5, atol=1e-6)


def test_remedies_are_saved_and_go_on(wine, tmp_path):
    """A warm start knows what of a batch the discriminator sees."""
    model = small(loss="logistic", replay=0.5, minibatch_features="discrimination", warm_start=True)
    skae.save(model.fit(wine[0]), tmp_path / "model.skae")
    loaded = skae.load(tmp_path / "model.skae")
    np.testing.assert_array_equal(loaded.transform(wine[0]), model.transform(wine[0]))
    again = [one.fit(wine[0]).transform(wine[0]) for one in (model, loaded)]
    np.testing.assert_array_equal(*again)
    with pytest.raises(ValueError, match="minibatch_features was 'discrimination'"):
        model.set_params(minibatch_features=None).fit(wine[0])


def test_own_optimizer_and_batch_callbacks(wine):
    """They take skorch's own loop; both losses are there all the same."""
    from skorch.callbacks import GradientNormClipping

    for changes in ({"optimizer": torch.optim.SGD}, {"callbacks": [GradientNormClipping(1.0)]}):
        model = small(**changes).fit(wine[0])
        assert {"generator_loss", "discriminator_loss"} <= model.history_[-1].keys()


def test_divergence_is_an_error(wine):
    with pytest.raises(ValueError, match=r"diverged.*smaller learning_rate_init"):
        small(learning_rate_init=1e30, max_iter=20).fit(wine[0])


def test_missing_cells_are_refused(wine):
    X = wine[0].copy()
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match="missing cells.*SimpleImputer"):
        small().fit(X)
    with pytest.raises(ValueError, match="missing cells"):
        small().fit(wine[0]).transform(X)


def test_shapes_that_do_not_fit_are_refused():
    X = np.random.default_rng(0).normal(size=(50, 65))
    with pytest.raises(ValueError, match=r"make an image of 65 columns.*the number of columns\.$"):
        small(image_shape=(8, 8)).fit(X)
    with pytest.raises(ValueError, match="channels must be > 0"):
        small(image_shape=(5, 13), channels=(4, 0)).fit(X)
