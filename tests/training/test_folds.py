"""The nets of folds are trained in common steps: as each would be alone."""

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import EarlyStopping

from skae import (
    AutoencoderTransformer,
    ConditionalVAE,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VAETransformer,
)
from skae._training import folds as folds_module
from skae._training import trainer as fitting
from skae._training.step import Step

pytestmark = pytest.mark.usefixtures("plain_draws")
Folds = folds_module.Folds


class Nets(Exception):
    """Ends a fit where its folds' nets are ready."""


def nets_of(monkeypatch, estimator, X, y=None, weights=None):
    """Return the nets of a fit's folds before their first epoch."""

    def stop(nets):
        assert can_train(nets)
        raise Nets(nets)

    can_train = fitting.can_train
    with monkeypatch.context() as context:
        context.setattr(fitting, "can_train", stop)
        with pytest.raises(Nets) as stopped:
            estimator.fit(X, y, sample_weight=weights)
    return stopped.value.args[0]


def batches_of(folds):
    """Return the batches of an epoch."""
    return folds._batches()


def curved(n_rows, n_columns):
    rng = np.random.default_rng(0)
    X = np.tanh(rng.normal(size=(n_rows, 3)) @ rng.normal(size=(3, n_columns)))
    return X + 0.1 * rng.normal(size=X.shape)


def table(n_rows):
    """Return a frame with numbers, a category of many levels, one of two, and missing cells."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(curved(n_rows, 4), columns=list("abcd"))
    frame["many"] = pd.Categorical(pd.cut(frame["a"] + frame["b"], 7).astype(str))
    frame["two"] = pd.Categorical(np.where(frame["c"] > 0, "x", "y"))
    return frame.mask(rng.random(frame.shape) < 0.1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("estimator", "X", "settings"),
    [
        (AutoencoderTransformer, curved(163, 6), {}),
        (AutoencoderTransformer, curved(101, 150), {"hidden_layer_sizes": (20, 10)}),  # two rates
        (
            AutoencoderTransformer,
            curved(66, 5),
            {"activation": "tanh", "alpha": 0.0, "batch_size": 7},
        ),
        (AutoencoderTransformer, curved(120, 5), {"linear_path": None, "batch_size": 40}),
        (AutoencoderTransformer, curved(163, 6), {"ordered": True}),
        (AutoencoderTransformer, curved(163, 6), {"ordered": True, "linear_path": None}),
        (VAETransformer, curved(163, 6), {"beta": 0.5}),
        (VAETransformer, curved(163, 6), {"noise": "columns"}),
        (VAETransformer, curved(163, 6), {"ordered": True}),
        (VAETransformer, table(163), {"ordered": True}),
        (ConditionalVAE, curved(163, 6), {"ordered": True, "batch_size": 7}),
        (VAETransformer, curved(101, 150), {"hidden_layer_sizes": (20, 10)}),
        (VAETransformer, curved(120, 5), {"linear_path": None, "batch_size": 40}),
        (ConditionalVAE, curved(163, 6), {"batch_size": 7}),
        (ConditionalVAE, table(163), {}),
        (AutoencoderTransformer, table(163), {}),
        (AutoencoderTransformer, table(163), {"ordered": True}),
        (SupervisedAutoencoder, curved(163, 6), {}),
        (SupervisedAutoencoder, curved(163, 6), {"ordered": True, "batch_size": 7}),
        (SupervisedAutoencoder, table(163), {}),
        (VAETransformer, table(163), {}),
        (VAETransformer, table(163)[["a", "b", "c"]], {}),
        (VAETransformer, table(163), {"noise": "columns"}),
    ],
)
def test_a_common_step_is_a_step_of_each(monkeypatch, estimator, X, settings, weighted):
    estimator = estimator(2, random_state=0, **settings)
    weights = np.linspace(0.5, 2.0, len(X)) if weighted else None
    told = isinstance(estimator, ConditionalVAE | SupervisedAutoencoder)
    labels = np.arange(len(X)) % 3 if told else None
    folds = Folds(nets_of(monkeypatch, estimator, X, labels, weights))
    alone = nets_of(monkeypatch, estimator, X, labels, weights)
    step = Step(folds.gradient, folds.adam, folds.average)
    with folds.nets[0].without_autograd():
        for _ in range(2):
            felt = [True] * len(alone)
            for inputs, target, weight in batches_of(folds):
                rate, *_ = [net.next_rate() for net in folds.nets]
                losses = step(rate, inputs, target, weight)
                for row, net in enumerate(alone):
                    real = weight[row, :, 0] > 0
                    own_weight = weight[row, real, 0] * real.sum()
                    loss = net.gradient(of_row(inputs, row, real), target[row][real], own_weight)
                    torch.testing.assert_close(losses[row], loss)
                    own = net.optimizer_.gradient.clone()
                    net.optimizer_.step(net.next_rate())
                    net.average.update()
                    # a step is blind to a gradient's size: of the tiny ones it takes in what is rounded
                    felt[row] &= own.abs() > 1e-4 * own.abs().max()
                    assert felt[row].sum() > 0.2 * len(own) or net.steps_done == 1
                    for together, single in zip(
                        tensors(folds.nets[row]), tensors(net), strict=True
                    ):
                        together, single = together[felt[row]], single[felt[row]]
                        torch.testing.assert_close(together, single, rtol=1e-3, atol=1e-6)
            # what a step is blind to may differ: none goes on from it
            for row, net in enumerate(alone):
                for together, single in zip(tensors(folds.nets[row]), tensors(net), strict=True):
                    single.copy_(together)


def of_row(inputs, row, real):
    """Return the inputs of one net: rows, and where there are any its draws and masks."""
    if isinstance(inputs, tuple):
        return tuple(of_row(part, row, real) for part in inputs)
    return inputs[row][real]


def tensors(net):
    """Return a net's parameters, the running moments of their gradient, and their average."""
    adam = net.optimizer_
    return adam.parameters, adam.mean, adam.square, net.average.average[0]


@pytest.mark.parametrize("n_rows", [61, 163])
def test_an_epoch_takes_every_row_once(monkeypatch, n_rows):
    estimator = AutoencoderTransformer(2, batch_size=20, random_state=0)
    nets = nets_of(monkeypatch, estimator, curved(n_rows, 5))
    batches = list(batches_of(Folds(nets)))
    for row, net in enumerate(nets):
        seen = torch.cat([target[row][weight[row, :, 0] > 0] for _, target, weight in batches])
        assert sorted(seen.tolist()) == sorted(net.rows.take(slice(None)).tolist())
        for _, _, weight in batches:
            assert weight[row].sum() == pytest.approx(1)


def test_void_rows_take_no_length_from_the_others(monkeypatch):
    """Also in batches with void rows the whole code has its share of the net's own rows."""
    estimator = AutoencoderTransformer(5, ordered=True, batch_size=20, random_state=0)
    nets = nets_of(monkeypatch, estimator, curved(163, 8))
    share, folds, off = nets[0].settings.cuts.shares[-1], Folds(nets), []
    for _ in range(20):
        for (_, masks), _, weight in batches_of(folds):
            for whole, own in zip(masks[..., -1], weight[..., 0] > 0, strict=True):
                if not own.all():
                    off.append(float(whole[own].sum() - share * own.sum()))
    assert len(off) > 100
    assert np.abs(off).max() < 1
    assert abs(np.mean(off)) < 3 * np.std(off) / len(off) ** 0.5


def test_each_row_has_its_weight(monkeypatch):
    estimator = AutoencoderTransformer(2, batch_size=20, random_state=0)
    X, weights = curved(163, 5), np.linspace(0.5, 2.0, 163)
    nets = nets_of(monkeypatch, estimator, X, weights=weights)
    for _, target, weight in batches_of(Folds(nets)):
        for row, net in enumerate(nets):
            own, real = net.rows.take(slice(None)), weight[row, :, 0] > 0
            for x, w in zip(target[row][real], weight[row, real, 0] * real.sum(), strict=True):
                (place,) = (own == x).all(dim=1).nonzero()
                torch.testing.assert_close(w, net.rows.weight[place][0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_weights_of_one_are_none():
    X = curved(163, 6)
    scores = []
    for weights in (None, np.ones(len(X))):
        estimator = AutoencoderTransformer(2, activation="tanh", max_iter=10, random_state=0)
        scores.append(estimator.fit(X, sample_weight=weights).validation_scores_)
    assert scores[0] == scores[1]


def test_noise_knows_a_nets_own_rows_only(monkeypatch):
    """Swapped cells come from rows of the same fold, so that none held out is seen."""
    estimator = DenoisingAutoencoder(2, noise="swap", batch_size=20, random_state=0)
    nets = nets_of(monkeypatch, estimator, curved(163, 5))
    for inputs, target, _ in batches_of(Folds(nets)):
        assert not torch.equal(inputs, target)
        for row, net in enumerate(nets):
            own = net.rows.take(slice(None))
            for column in range(5):
                assert torch.isin(inputs[row, :, column], own[:, column]).all()


@pytest.mark.parametrize(
    ("estimator", "X", "settings"),
    [
        (AutoencoderTransformer, curved(163, 6), {}),
        (AutoencoderTransformer, curved(163, 6), {"ordered": True}),
        (AutoencoderTransformer, table(163), {}),
        (AutoencoderTransformer, table(163), {"ordered": True}),
        (VAETransformer, curved(163, 6), {"kl_warmup": 5, "beta": 2.0}),
        (VAETransformer, table(163), {}),
        (VAETransformer, curved(163, 6), {"ordered": True}),
        (ConditionalVAE, curved(163, 6), {"ordered": True}),
    ],
)
def test_training_goes_on_where_it_was(monkeypatch, estimator, X, settings):
    """Between epochs each net holds its whole state: new folds of the same nets go on."""
    estimator = estimator(2, random_state=0, **settings)
    weights, weight = [], np.linspace(0.5, 2.0, len(X))
    labels = np.arange(len(X)) % 3 if isinstance(estimator, ConditionalVAE) else None
    for renew in (False, True):
        nets = nets_of(monkeypatch, estimator, X, labels, weights=weight)
        folds = Folds(nets)
        for epoch in range(3):
            folds = Folds(nets) if renew else folds
            loss = folds.epoch()
            assert 0.5 * loss < nets[0].history[-1]["train_loss"] < 2 * loss
            assert nets[0].criterion_.risen == min(
                1, (epoch + 1) / (settings.get("kl_warmup", 0) + 1)
            )
            assert len(nets[0].history) == epoch + 1
            mean = np.average(nets[0].row_losses, weights=nets[0].held_out.rows.weight)
            assert nets[0].history[-1]["valid_loss"] == pytest.approx(mean)
            for net in nets:
                together = net.row_losses
                assert net.average.n_steps == (epoch + 1) * net.steps_an_epoch
                np.testing.assert_allclose(net.judge(), together, rtol=1e-4)
        weights.append([net.optimizer_.parameters for net in nets])
    for one, other in zip(*weights, strict=True):
        assert torch.equal(one, other)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("spoilt", ["weight", "module"])
@pytest.mark.parametrize("kind", [AutoencoderTransformer, VAETransformer])
def test_what_diverges_starts_again_at_a_tenth_of_the_rate(monkeypatch, kind, spoilt):
    """Then the folds are those of a fit at that rate from the first epoch on."""
    X, rate, generators = curved(163, 6), 0.01, []

    def fit(rate, before):
        epochs, epoch = [], Folds.epoch

        def disturbed(folds):
            epochs.append(folds)
            before(len(epochs), folds)
            return epoch(folds)

        with monkeypatch.context() as context:
            context.setattr(Folds, "epoch", disturbed)
            estimator = kind(2, learning_rate_init=rate, max_iter=12, random_state=0).fit(X)
        return estimator, [t.clone() for net in epochs[0].nets for t in tensors(net)]

    def spoil(number, folds):
        net = folds.nets[2]
        if number == 5 and spoilt == "weight":
            net.optimizer_.parameters[3] = torch.nan
        elif number == 5:
            next(net.module_.parameters()).data.fill_(torch.inf)
        elif number == 6:
            generators.append(folds.generator.get_state())

    def go_on(number, folds):
        if number == 1:
            folds.generator.set_state(generators[0])

    again, found = fit(rate, spoil)
    slow, expected = fit(rate / 10, go_on)
    assert again.validation_scores_ == slow.validation_scores_
    assert len(again.validation_scores_) == 12
    assert all(map(torch.equal, found, expected))


def test_a_net_of_folds_can_be_trained_alone(monkeypatch):
    nets = nets_of(monkeypatch, AutoencoderTransformer(2, random_state=0), curved(163, 6))
    first = Folds(nets).epoch()
    for _ in range(20):
        nets[0].epoch()
    assert nets[0].history[-1]["train_loss"] < 0.9 * first


def test_what_is_large_or_frozen_is_trained_one_by_one(monkeypatch):
    nets = nets_of(monkeypatch, VAETransformer(2, random_state=0), curved(100, 5))
    assert fitting.can_train(nets)
    for most in ("MOST_BYTES", "MOST_WEIGHT_BYTES"):
        with monkeypatch.context() as context:
            context.setattr(folds_module, most, 4 * 100)
            assert not fitting.can_train(nets)
    nets[0].module_.encoder.linear.weight.requires_grad_(False)
    assert not fitting.can_train(nets)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": torch.optim.SGD},
        {"callbacks": [EarlyStopping()]},
        {"tied_weights": True},
        {"hidden_layer_sizes": (1000, 1000)},  # too large to gain
    ],
)
def test_what_common_steps_do_not_know_is_trained_one_by_one(monkeypatch, settings):
    asked = []

    def can_train(nets):
        asked.append(known(nets))
        return asked[-1]

    known = fitting.can_train
    monkeypatch.setattr(fitting, "can_train", can_train)
    estimator = AutoencoderTransformer(2, max_iter=2, random_state=0, **settings)
    estimator.fit(curved(100, 5))
    assert asked == [False]
