"""Laws of the training loop: gradients, optimizer, batches, callbacks, randomness, failure."""

import random
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from inside import model_of, net_of, nets_of
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, EpochScoring, Freezer, LRScheduler
from torch import nn

from skae import AutoencoderTransformer, VAETransformer
from skae._training.net import Diverged, check_finite
from skae._training.trainer import _copy


def short(**changes):
    """Return an autoencoder that trains for a few epochs without held-out rows."""
    settings = {"early_stopping": False, "max_iter": 3, "random_state": 0} | changes
    return AutoencoderTransformer(3, **settings)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# randomness -----------------------------------------------------------------------------------


def test_global_generators_are_untouched(digits):
    X = digits[0][:200]

    def custom(n_in, n_out):
        return nn.Sequential(nn.Linear(n_in, 4), nn.Dropout(), nn.Linear(4, n_out))

    for estimator in (short(random_state=None), short(encoder=custom), short(early_stopping=True)):
        states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(X).partial_fit(X).reconstruct(X)
        assert random.getstate() == states[0]
        np.testing.assert_array_equal(np.random.get_state()[1], states[1])
        assert torch.equal(torch.get_rng_state(), states[2])


def test_without_a_seed_fits_differ_whatever_the_global_state(digits):
    codes = []
    for _ in range(2):
        np.random.seed(0)
        torch.manual_seed(0)
        codes.append(short(random_state=None).fit(digits[0][:200]).transform(digits[1]))
    assert not np.array_equal(*codes)


def test_own_modules_in_threads_equal_those_in_series(digits):
    X = digits[0][:200]

    def dropping(n_inputs, n_outputs):
        return nn.Sequential(nn.Linear(n_inputs, 8), nn.Dropout(), nn.Linear(8, n_outputs))

    def code(seed):
        return short(random_state=seed, encoder=dropping).fit(X).transform(X)

    state = torch.get_rng_state()
    in_series = [code(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        in_threads = list(pool.map(code, range(4)))
    for a, b in zip(in_series, in_threads, strict=True):
        np.testing.assert_array_equal(a, b)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_settings_of_torch_around_a_fit_do_not_matter(digits):
    def code(**changes):
        estimator = AutoencoderTransformer(3, max_iter=3, random_state=0, **changes)
        return estimator.fit(digits[0]).transform(digits[1])

    built_in, own = code(), code(encoder=nn.Linear)
    with torch.no_grad():
        np.testing.assert_array_equal(code(encoder=nn.Linear), own)
    torch.set_default_dtype(torch.float64)
    try:
        np.testing.assert_array_equal(code(), built_in)
    finally:
        torch.set_default_dtype(torch.float32)


def test_thread_setting_is_restored(digits):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen = []

        class Look(Callback):
            def on_epoch_end(self, net, **kwargs):
                seen.append(torch.get_num_threads())

        short(callbacks=[Look()]).fit(digits[0])
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# callbacks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [print, "EarlyStopping", ("stop", 1)])
def test_what_is_no_callback_is_refused(wrong, digits):
    with pytest.raises(TypeError, match="expected callbacks of skorch"):
        short(callbacks=[wrong]).fit(digits[0])


class Recorder(Callback):
    """Counts its events in a list that clones share."""

    events = []

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.events.append("train_begin")

    def on_epoch_end(self, net, **kwargs):
        self.events.append("epoch_end")

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.events.append("train_end")


class BatchRecorder(Recorder):
    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        self.events.append("batch_end" if training else "valid_batch_end")

    def on_grad_computed(self, net, named_parameters, **kwargs):
        assert all(p.grad is not None for _, p in named_parameters)
        self.events.append("grad_computed")


def test_epoch_callbacks_fire(digits):
    Recorder.events.clear()
    short(callbacks=[Recorder()]).fit(digits[0])
    assert Recorder.events == ["train_begin", *3 * ["epoch_end"], "train_end"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_batch_callbacks_fire_in_skorchs_loop(digits):
    Recorder.events.clear()
    estimator = short(callbacks=[BatchRecorder()], early_stopping=True)
    estimator.fit(digits[0])
    steps = (1347 - 135) // (estimator.batch_size_ // 2)  # half batches while rows judge
    assert estimator.best_iter_ == 3
    on_all = 1347 // estimator.batch_size_
    all_steps = 3 * steps + round(0.5 * 3 * steps / on_all) * on_all
    assert Recorder.events.count("batch_end") == all_steps
    assert Recorder.events.count("grad_computed") == all_steps
    assert Recorder.events.count("valid_batch_end") == 3


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_both_loops_learn_the_same(digits):
    lean, skorchs = (
        AutoencoderTransformer(4, max_iter=15, random_state=0, callbacks=callbacks).fit(digits[0])
        for callbacks in ([Recorder()], [BatchRecorder()])
    )
    assert abs(lean.score(digits[1]) - skorchs.score(digits[1])) < 0.02
    assert abs(lean.loss_curve_[0] - skorchs.loss_curve_[0]) < 1e-3


def test_history_keeps_what_callbacks_record(digits):
    scoring = EpochScoring(
        lambda net, X, y=None: 0.5, name="half", on_train=True, use_caching=False
    )
    estimator = short(callbacks=[("mine", scoring)]).fit(digits[0])
    assert [row["half"] for row in estimator.history_] == [0.5] * 3
    assert [row["train_loss"] for row in estimator.history_] == estimator.loss_curve_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_early_stopping_of_skorch_ends_training(digits):
    stopping = EarlyStopping(patience=2, threshold=0.9, sink=lambda *a: None)
    estimator = AutoencoderTransformer(4, callbacks=[stopping], random_state=0).fit(digits[0])
    assert estimator.n_iter_ == 3 == len(estimator.validation_scores_)


def test_learning_rate_schedulers_of_skorch_work(digits):
    scheduler = LRScheduler(policy=torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
    estimator = short(callbacks=[scheduler], learning_rate_init=0.008).fit(digits[0])
    rates = [row["event_lr"] for row in estimator.history_]
    np.testing.assert_allclose(rates, [0.008, 0.004, 0.002])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_each_fold_has_callbacks_of_its_own(cancer):
    rates = []

    class Look(Callback):
        def on_epoch_end(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    scheduler = LRScheduler(policy=torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
    AutoencoderTransformer(
        4, max_iter=2, learning_rate_init=0.008, callbacks=[Look(), scheduler], random_state=0
    ).fit(cancer[0])
    assert rates[:6] == [*3 * [0.008], *3 * [0.004]]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_checkpoints_of_skorch_work(digits, tmp_path):
    estimator = AutoencoderTransformer(
        4, max_iter=5, callbacks=[Checkpoint(dirname=tmp_path)], random_state=0
    )
    estimator.fit(digits[0])
    assert (tmp_path / "params.pt").exists()


def test_frozen_parameters_stay(digits):
    frozen, free = (
        short(callbacks=callbacks).fit(digits[0]).components_
        for callbacks in ([Freezer("decoder.linear.weight")], None)
    )
    start = short(learning_rate_init=1e-30).fit(digits[0]).components_
    np.testing.assert_allclose(frozen, start, atol=1e-6)
    assert np.abs(free - start).max() > 1e-3


def test_callbacks_are_cloned(digits):
    class Stateful(Callback):
        def on_epoch_end(self, net, **kwargs):
            self.touched = True

    callback = Stateful()
    short(callbacks=[callback]).fit(digits[0])
    assert not hasattr(callback, "touched")


@pytest.mark.parametrize(("n_components", "alpha"), [(3, 0.1), (12, 0.3), (40, 0.8)])
def test_decay_grows_with_the_components(digits, n_components, alpha):
    auto, same, none = (
        short(**decay).set_params(n_components=n_components).fit(digits[0])
        for decay in ({}, {"alpha": alpha}, {"alpha": 0})
    )
    np.testing.assert_array_equal(auto.loss_curve_, same.loss_curve_)
    assert auto.loss_curve_ != none.loss_curve_


def test_own_optimizer(digits):
    settings = {"optimizer": torch.optim.SGD, "skorch_params": {"optimizer__momentum": 0.9}}
    estimator = short(**settings).fit(digits[0])
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]


def test_progress_lines(digits, capsys):
    short(verbose=1).fit(digits[0])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"Iteration {i}" for i in (1, 2, 3)]
    assert float(lines[0].split("= ")[1]) > 0


def test_progress_bar(digits, capsys):
    short(verbose=2).fit(digits[0])
    assert "3/3" in capsys.readouterr().err


def test_callbacks_of_scikit_learn(digits):
    pytest.importorskip("sklearn.callback")
    log = []

    class Log:
        def setup(self, estimator, context):
            log.append("setup")

        def on_fit_task_begin(self, estimator, context, **kwargs):
            log.append(f"begin {context.task_name}")

        def on_fit_task_end(self, estimator, context, **kwargs):
            log.append(f"end {context.task_name}")

        def teardown(self, estimator, context):
            log.append("teardown")

    estimator = short()
    estimator.set_callbacks(Log()).fit(digits[0])
    epochs = 3 * ["begin epoch", "end epoch"]
    assert log == ["setup", "begin fit", *epochs, "end fit", "teardown"]


# failure --------------------------------------------------------------------------------------


class Spoil(Callback):
    """Makes the weights infinite in the epochs named."""

    def __init__(self, epochs=()):
        self.epochs = epochs

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) in self.epochs:
            with torch.no_grad():
                next(net.module_.parameters()).fill_(torch.inf)


class SpoilOnce(Callback):
    """Makes the weights infinite in the sixth epoch of the first net that gets there."""

    done = False

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 6 and not SpoilOnce.done:
            SpoilOnce.done = True
            with torch.no_grad():
                next(net.module_.parameters()).fill_(torch.inf)


def spoilt_once(X, max_iter):
    """Return an accepted fit that diverged once."""
    SpoilOnce.done = False
    estimator = AutoencoderTransformer(
        4, max_iter=max_iter, callbacks=[SpoilOnce()], random_state=0
    ).fit(X)
    assert SpoilOnce.done
    assert estimator.best_iter_ > 0
    return estimator


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_one_divergence_is_survived(digits):
    estimator = spoilt_once(digits[0], max_iter=20)
    assert estimator.score(digits[1]) > estimator.pca_score_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_folds_that_diverge_start_again(cancer):
    estimator = spoilt_once(cancer[0], max_iter=30)
    assert estimator.n_iter_ == len(estimator.validation_scores_) == len(estimator.loss_curve_)


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
def test_a_weight_that_is_not_finite_is_found(number):
    weights = torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 1e6
    check_finite(3, 0.5, weights)
    with pytest.raises(Diverged, match="epoch 3"):
        check_finite(3, number, weights)
    weights[17] = number
    with pytest.raises(Diverged, match="epoch 3"):
        check_finite(3, 0.5, weights)


def test_a_fitted_model_has_no_gradients(digits):
    for rows in (digits[0], digits[0][:100]):
        model = short().fit(rows)
        assert all(p.grad is None for p in model.module_.parameters())


def test_two_divergences_leave_pca(digits):
    estimator = AutoencoderTransformer(4, callbacks=[Spoil((5, 8))], random_state=0)
    with pytest.warns(ConvergenceWarning, match="learning_rate_init"):
        estimator.fit(digits[0])
    assert estimator.best_iter_ == 0
    assert np.isfinite(estimator.reconstruct(digits[1])).all()


def test_divergence_without_a_baseline_is_an_error(digits):
    with pytest.raises(ValueError, match="diverged.*learning_rate_init"):
        short(callbacks=[Spoil((2,))]).fit(digits[0])


def test_two_divergences_without_a_linear_path_are_an_error(digits):
    estimator = AutoencoderTransformer(4, linear_path=None, callbacks=[Spoil((2, 3))])
    with pytest.raises(ValueError, match="diverged.*learning_rate_init"):
        estimator.fit(digits[0])


def test_huge_learning_rate_never_gives_nan(digits):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator = AutoencoderTransformer(4, learning_rate_init=1e6, random_state=0)
        estimator.fit(digits[0])
    assert estimator.score(digits[1]) > 0


def test_keyboard_interrupt_propagates(digits):
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            short(max_iter=100_000).fit(digits[0])
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, outside)


def test_out_of_memory_names_the_batch_size(digits):
    class Full(Callback):
        def on_epoch_begin(self, net, **kwargs):
            torch.empty(2**60)

    with pytest.raises(MemoryError, match="batch_size=128"):
        short(callbacks=[Full()]).fit(digits[0])


def test_max_iter_reached_is_said(digits):
    with pytest.warns(ConvergenceWarning, match="max_iter=3 "):
        AutoencoderTransformer(4, max_iter=3, random_state=0).fit(digits[0])


@pytest.mark.parametrize(
    ("n_rows", "epochs"), [(1000, 64), (50_000, 20), (500_000, 10), (50_000_000, 3)]
)
def test_auto_epochs_are_bounded_by_steps(gaussian, n_rows, epochs):
    task = model_of(short(max_iter=1).fit(gaussian)).task
    batch_size = 16 if n_rows == 1000 else 256
    assert task.max_iter(n_rows // batch_size) == epochs


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_last_steps_are_a_part_of_those_before(digits):
    """They go on from the best epoch, with the optimizer's state, at a rate that falls to zero."""
    estimator = AutoencoderTransformer(2, max_iter=25, batch_size=32, random_state=0)
    judged, last, *_ = nets_of(estimator.fit, digits[0])
    before = estimator.best_iter_ * judged.steps_an_epoch
    steps = last.max_epochs * last.steps_an_epoch
    assert judged.held_out is not None
    assert before > 100
    assert steps == pytest.approx(min(0.5 * before, 400), abs=last.steps_an_epoch)
    assert last.optimizer_.n_steps == steps + judged.optimizer_.n_steps
    assert last.next_rate() == 0.0


def test_the_rate_rises_in_twenty_steps_and_stays(gaussian):
    estimator = AutoencoderTransformer(2, batch_size=32, learning_rate_init=0.5, random_state=0)
    net = net_of(estimator.fit, gaussian)
    rates = [net.next_rate() for _ in range(40)]
    np.testing.assert_allclose(rates, 0.5 * np.minimum(1, np.arange(1, 41) / 20))


@pytest.mark.parametrize(("kind", "share"), [(AutoencoderTransformer, 0.25), (VAETransformer, 0.5)])
def test_inputs_have_noise_in_proportion_to_what_pca_leaves(digits, kind, share):
    net = net_of(kind(8, random_state=0).fit, digits[0])
    batches = net.get_iterator(net.rows, True)
    noise = torch.cat([rows_of(inputs) - target for inputs, (target, _) in batches])
    left = 1 - PCA(8).fit(digits[0]).explained_variance_ratio_.sum()
    assert noise.std().item() == pytest.approx(share * left**0.5, rel=0.1)
    held_out, (target, _) = next(iter(net.get_iterator(net.held_out)))
    assert torch.equal(rows_of(held_out), target)


def rows_of(inputs):
    """Return the rows of what a module is given; random numbers may stand beside them."""
    return inputs[0] if isinstance(inputs, tuple) else inputs


def test_held_out_rows_are_judged_by_the_mean_of_the_last_weights(digits):
    net = net_of(AutoencoderTransformer(2, random_state=0).fit, digits[0])
    net.initialize()
    seen = [net.optimizer_.parameters.clone()]
    step = net.optimizer_.step
    net.optimizer_.step = lambda rate: (step(rate), seen.append(net.optimizer_.parameters.clone()))
    net.epoch()
    mean = seen[0]
    for n, present in enumerate(seen[1:], 1):
        mean = mean.lerp(present, 1 - min(0.98, (1 + n) / (10 + n)))
    torch.testing.assert_close(net.average.average[0], mean)
    judged = net.row_losses
    net.load(net.weights())
    net.average = None
    np.testing.assert_allclose(net.judge(), judged, rtol=1e-5)


def test_a_copied_module_has_values_and_hooks_of_its_own():
    module, seen = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), []
    module[0].register_forward_hook(lambda *_: seen.append("kept"))
    copied = _copy(module)
    copied[1].register_forward_hook(lambda *_: seen.append("its own"))
    copied[0].weight.data.zero_()
    module.eval()(torch.ones(1, 2))
    assert seen == ["kept"]
    assert module[0].weight.abs().min() > 0
    copied(torch.ones(2, 2))
    assert seen == ["kept", "kept", "its own"]
