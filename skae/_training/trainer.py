"""The trainings of one fit: from a baseline, side by side where folds judge, and on all rows."""

import warnings
from contextlib import contextmanager, nullcontext, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from scipy.stats import sem
from sklearn.exceptions import ConvergenceWarning

from skae._data.batches import StandardisedRows
from skae._linear.mixed import mean_filled_pca, missing_share
from skae._model.model import linear_network, new_network
from skae._training.checkpoint import NoCheckpoint
from skae._training.folds import Folds, can_train
from skae._training.held_out import FEWER, FEWEST_ROWS, HeldOutCurves, gains_over, split
from skae._training.net import AutoencoderNet, Diverged, StopTraining, plain, takes_part
from skae._training.ordered import Cuts, PrefixShares
from skae._training.progress import Progress
from skae._training.settings import Settings, explained_memory
from skae._training.threads import limited_threads
from skae.nn.build import global_generator, global_generators

SLOWER = 0.1  # factor of the learning rate after a divergence
POLISH_EPOCHS, POLISH_RATE = 10, 0.3  # the last epochs of a large fit, on all rows
ORDERED_POLISH_EPOCHS = 30  # the same of an ordered code
MOST_POLISH_STEPS = 5000  # where these epochs would take more there are fewer
TUNING_EPOCHS = 15  # on the rows that a code which was cut is fine-tuned on
PRETRAINING, PRETRAINING_DECAY = 0.1, 0.5  # epochs of a phase, in max_iter; when the rate falls
LONGER = 2  # times the patience, before folds improve at all: their epochs have few steps
COMPARING_RATE = 0.5  # of the learning rate, where the prefixes of a code are to be compared
COMPARING_EPOCHS = 15  # at a falling rate, before they are compared
SAMPLE = 1000  # training rows that show what a prefix explains, where none are held out


@dataclass
class Trained:
    """The result of the trainings of a fit.

    ``module`` is None where the baseline was kept. ``baseline`` is what the
    module's inputs were standardised with, and ``prefix_shares`` what each
    prefix of an ordered code explains.
    """

    module: torch.nn.Module | None
    baseline: object
    best_iter: int
    history: list
    held_out_curve: list
    optimizer_state: dict | None = None
    prefix_shares: np.ndarray | None = None


@contextmanager
def training(task, settings, rng, progress=None, checkpoint=None, n_before=0):
    """Yield the `Trainer` of a fit, under its limits; turn its failures into errors."""
    progress, checkpoint = progress or Progress(), checkpoint or NoCheckpoint()
    seed = int(rng.randint(2**30)) + n_before  # a stream does not draw the same again
    generator = torch.Generator().manual_seed(seed)
    generators, aside = [generator], nullcontext()
    if task.draws_from_global:
        generators += global_generators(settings.device)
        aside = global_generator(seed, settings.device)
    checkpoint.watch(generators)
    threads = limited_threads(task.step_flops(settings.batch_size))
    try:
        with threads, aside, torch.enable_grad(), explained_memory(settings.batch_size):
            yield Trainer(task, settings, rng, generator, progress, checkpoint)
    except Diverged as failure:
        raise ValueError(
            f"Training diverged: {failure}. Choose a smaller learning_rate_init, or scale the "
            "columns of X, for example with StandardScaler."
        ) from failure
    finally:
        progress.end()


@dataclass
class Trainer:
    """The trainings of one fit, and what they share.

    Attributes
    ----------
    task : Task
        With its sizes.
    given : Settings
        Before the size of the code was known.
    rng : RandomState
    generator : torch.Generator
    progress : Progress
    checkpoint : NoCheckpoint
        Keeps the trainings on disk, where it is asked to; then Ctrl-C ends
        them, but leaves the best so far.
    compares : bool
        Whether the prefixes of the code are compared, to keep one of them.
    pretraining : list of dict
        History of the first pretraining.
    interrupted : bool
        Whether Ctrl-C has ended the training.
    settings : Settings
        Of the present task.
    patience : int
        Epochs without an improvement after which training stops.
    """

    task: object
    given: Settings
    rng: np.random.RandomState
    generator: torch.Generator
    progress: Progress
    checkpoint: NoCheckpoint = field(default_factory=NoCheckpoint)
    compares: bool = False
    pretraining: list = field(default_factory=list)
    interrupted: bool = False

    def __post_init__(self):
        """Resolve the settings."""
        self.settings = self.given.of(self.task)
        self.patience = self.given.n_iter_no_change

    @contextmanager
    def _interruptible(self):
        """Let Ctrl-C end what is inside, and the fit keep what it has."""
        try:
            yield
        except KeyboardInterrupt:
            if not self.checkpoint.keeps:
                raise
            self.interrupted = True

    # sizes ------------------------------------------------------------------------------------

    def compare_prefixes(self):
        """Train for comparing the prefixes of the code: half the patience will do.

        So wide a code starts near its best: at the full rate it would first get worse.
        """
        k = self.task.size
        shortest = 1 if self.task.ordered else (k + 1) // 2
        self.task = replace(self.task, prefixes=True)
        self.settings = replace(
            self.settings,
            cuts=Cuts(k, 0.0, shortest),
            learning_rate=COMPARING_RATE * self.settings.learning_rate,
        )
        self.patience = max(1, self.patience // 2)
        self.compares = True

    def choose_size(self, model, shares, rows):
        """Keep the fewest components that explain the share asked for, or all; train them on."""
        reached = np.flatnonzero(shares >= self.task.n_components)
        enough = model.nonlinear and len(reached) > 0
        model = model.truncated(int(reached[0]) + 1 if enough else model.task.size)
        return self.fine_tune(model, rows) if model.nonlinear else model

    def fine_tune(self, model, rows):
        """Return a model that is trained for a few epochs more; its ranges do not shrink."""
        self.task = model.task
        self.settings = self.given.of(self.task)
        baseline = model.present_baseline
        rate = self.settings.learning_rate
        module = self.polished(model.trainable(self.generator), baseline, rows, rate, TUNING_EPOCHS)
        self.task.calibrate(module, baseline, rows, self.settings.device)
        return model.tuned(module, rows)

    # one way through --------------------------------------------------------------------------

    def train(self, baseline, rows, held_out=None, before=None, pairs=None):
        """Return the `Trained` of a fit: at the baseline, without one, or judged against it."""
        few = held_out is None and len(rows) < FEWEST_ROWS
        cold = before is None
        if cold and self.task.has_baseline and (self.task.baseline_is_best(baseline) or few):
            return self.linear(baseline, rows)
        module = self.module(baseline, before)
        if few or not self.settings.early_stopping:
            module = self.started(module, baseline, rows) if cold else module
            return self.without_baseline(module, baseline, rows)
        if held_out is not None:
            pairs = [(rows, held_out)]
        elif pairs is None:
            pairs = split(rows, self.settings.validation_fraction, self.rng, cross_fit=cold)
        if not cold:
            return self.go_on(module, baseline, pairs[0], before)
        final = held_out is None and not self.compares  # else fine-tuning follows
        return self.above_baseline(module, baseline, rows, pairs, final)

    def module(self, baseline, before=None):
        """Return what training goes on with: a fitted module, or a new one at the baseline."""
        if before is not None:
            return before.trainable(self.generator)
        return new_network(self.task, baseline, self.generator)

    def linear(self, baseline, rows):
        """Leave it at the baseline."""
        self.progress.begin(1)
        shares = self._shares_of_baseline(baseline, rows)
        return Trained(None, baseline, 0, [], [], prefix_shares=shares)

    def without_baseline(self, module, baseline, rows):
        """Train on all rows for the whole of ``max_iter``."""
        net = self._net(module, baseline, rows, self.settings)
        self.progress.begin(self.settings.max_iter)
        with self._interruptible():
            self._run(net, self.progress.epoch)
        if self.interrupted:
            net.module_.load_state_dict(net.weights())
        state = net.optimizer_.state_dict() if net.lean else None
        epochs = [row for row in plain(net.history) if "train_loss" in row]  # Ctrl-C leaves a part
        history = [*self.pretraining, *epochs]
        trained = Trained(net.module_, baseline, len(epochs), history, [], state)
        if self.settings.cuts is not None:
            trained.prefix_shares = self._training_shares(net, baseline, rows)
        return trained

    def above_baseline(self, module, baseline, rows, pairs, final):
        """Train from the baseline, judge and finish.

        Parameters
        ----------
        module : nn.Module
            A copy of it is trained in every training.
        baseline : LinearModel
            That of ``rows``.
        rows : Rows
            All rows.
        pairs : list of (Rows, Rows)
            Training and held-out rows of each training.
        final : bool
            Whether held-out rows may be trained on in the end.
        """
        k = len(baseline.deviations)
        baselines = [self.task.baseline(part, k, self.rng) for part, _ in pairs]
        nets = [
            self._net(self.started(module, own, part), own, part, self.settings, held_out)
            for own, (part, held_out) in zip(baselines, pairs, strict=True)
        ]
        curves, weights = self._train_together(nets)
        history = [*self.pretraining, *_judged(nets[0].history, curves)]
        trained = Trained(None, baseline, 0, history, curves.curve)
        _load(nets, weights)
        accepted = curves.accept() and self._keeps_up(nets, baselines, pairs)
        rejected = self.task.has_baseline and not accepted
        if rejected:
            _load(nets, [self._at(module, own).state_dict() for own in baselines])
        if self.compares and not rejected:
            self._come_to_rest(nets, baselines, pairs)
        if self.settings.cuts is not None:
            parts = [net.held_out for net in nets]
            weights = curves.row_weights()
            trained.prefix_shares = self._prefix_shares(nets, baselines, parts, weights)
        if rejected:
            return trained
        if len(nets) > 1 and not self.interrupted:
            n_epochs = max(1, curves.best)
            with self._interruptible():
                trained.module = self._again(module, baseline, rows, n_epochs, nets[0].lr)
        if len(nets) == 1 or self.interrupted:
            self._finish(trained, nets[0], baselines[0], rows if final else None)
        if trained.module is None:
            trained.prefix_shares = self._shares_of_baseline(baseline, rows)
        else:
            trained.best_iter = curves.best
        return trained

    def _keeps_up(self, nets, baselines, pairs):
        """Return whether held-out rows with many missing cells are told better than by filled PCA.

        By a standard error; objectives that trade reconstruction for something else may give up
        so much of it. With few missing cells that is their own affair, as with none.
        """
        schema, (first, _) = self.task.schema, pairs[0]
        if not (self.task.keeps_up and schema.hidden and missing_share(first) > schema.hidden):
            return True
        gains = [
            gains_over(net, own, mean_filled_pca(part, self.task.size), schema.n_numbers)
            for net, own, (part, _) in zip(nets, baselines, pairs, strict=True)
        ]
        gains = np.concatenate(gains)
        return bool(gains.mean() > FEWER * sem(gains) or not gains.any())

    def go_on(self, module, baseline, pair, before):
        """Train further; the present weights are the baseline. ``module`` is left as it is."""
        net = self._net(deepcopy(module), baseline, pair[0], self.settings, pair[1])
        curves, (weights,) = self._train_together([net])
        accepted = curves.accept()
        net.module_.load_state_dict(weights if accepted else module.state_dict())
        kept = net.module_ if accepted or before.nonlinear else None
        best = curves.best if accepted else 0
        trained = Trained(kept, baseline, best, _judged(net.history, curves), curves.curve)
        if self.settings.cuts is not None:
            weights = curves.row_weights()
            trained.prefix_shares = self._prefix_shares([net], [baseline], [net.held_out], weights)
        return trained

    def settled(self, trained, rows):
        """Return the model of what was trained on rows."""
        task, baseline, device = self.task, trained.baseline, self.settings.device
        if trained.best_iter > 0:
            task.calibrate(trained.module, baseline, rows, device)
        model = task.model.settled(task, trained.module, baseline, device, rows)
        if task.ordered:
            shares = np.diff(trained.prefix_shares, prepend=0.0)
            model.attributes["explained_variance_ratio_"] = shares
        return model

    # what prefixes of the code explain --------------------------------------------------------

    def _shares_of_baseline(self, baseline, rows):
        """Return what each prefix of the baseline explains, as it knows or as rows show."""
        if self.settings.cuts is None or baseline.shares is not None:
            return baseline.shares
        module = linear_network(self.task, baseline).float().requires_grad_(True)
        net = self._net(module, baseline, rows, self.settings).initialize()
        return self._training_shares(net, baseline, rows)

    def _training_shares(self, net, baseline, rows):
        """Return what each prefix of the code explains of some training rows."""
        some = rows.subset(np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).astype(int))
        part = self._ready(some, baseline)
        return self._prefix_shares([net], [baseline], [part], [part.row_weights])

    def _prefix_shares(self, nets, baselines, parts, weights):
        """Return what each prefix of the code explains of one part of the rows for each net."""
        prefixes = PrefixShares(len(baselines[0].deviations))
        for net, own, part, weight in zip(nets, baselines, parts, weights, strict=True):
            reconstruct = partial(self.task.reconstruct_prefix, net.module_.eval(), own)
            error = self.task.prefix_error(own, self.settings.device)
            prefixes.add(reconstruct, net.get_iterator(part), weight, error)
        return prefixes.shares

    # single trainings -------------------------------------------------------------------------

    def _net(self, module, baseline, rows, settings, held_out=None):
        settings = replace(
            settings,
            corruption=self.task.corruption(baseline),
            held_out_corruption=self.task.held_out_corruption(baseline),
        )
        rows = self._ready(rows, baseline)
        if held_out is not None:
            n_columns = self.task.n_within_range
            held_out = self._ready(
                held_out, baseline, rows.limits(n_columns) if n_columns else None
            )
        objective = self.task.objective(baseline)
        return self.task.net(module, objective, settings, rows, held_out, self.generator)

    def _ready(self, rows, baseline, reach=None):
        """Return rows as training reads them."""
        about = self.settings.device, reach, self.task.targets_of(rows)
        return StandardisedRows(rows, *baseline.units, *about)

    def started(self, module, baseline, rows):
        """Return a copy of the module at a baseline, pretrained where the task asks for it."""
        if self.interrupted:
            return self._at(module, baseline)
        try:
            with self._interruptible():
                return self._pretrained(self._at(module, baseline), baseline, rows)
        except Diverged as failure:
            warnings.warn(
                f"Pretraining diverged ({failure}): training starts without it. "
                "Choose a smaller learning_rate_init, or scale the columns of X.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self._at(module, baseline)

    def _at(self, module, baseline):
        module = deepcopy(module)
        self.task.start_at(module, baseline)
        return module

    def _pretrained(self, module, baseline, rows):
        settings = replace(
            self.settings,
            max_iter=max(1, round(PRETRAINING * self.settings.max_iter)),
            decay_from=PRETRAINING_DECAY,
            corruption=self.task.corruption(baseline),
            callbacks=(),
            cuts=None,
        )
        history = []

        def train(phase, part, rows, objective):
            net = AutoencoderNet(part, objective, settings, rows, None, self.generator)
            self._run(net)
            history.extend({"phase": phase, **row} for row in plain(net.history))

        self.task.pretrain(module, baseline, rows, train, settings.device)
        self.pretraining = self.pretraining or history
        return module

    def _come_to_rest(self, nets, baselines, pairs):
        """Train each net for a few epochs more on its own rows: prefixes gain most from it."""
        for net, own, (part, _) in zip(nets, baselines, pairs, strict=True):
            module = self.polished(net.module_, own, part, net.lr, COMPARING_EPOCHS)
            net.module_.load_state_dict(module.state_dict())

    def _finish(self, trained, net, baseline, rows):
        """Take a trained net as it is, or let it take in all rows."""
        trained.module, trained.baseline = net.module_, baseline
        if rows is not None:
            n_epochs = POLISH_EPOCHS if self.settings.cuts is None else ORDERED_POLISH_EPOCHS
            steps = max(1, len(rows) // self.settings.batch_size)
            n_epochs = min(n_epochs, max(1, MOST_POLISH_STEPS // steps))
            trained.module = self.polished(net.module_, baseline, rows, net.lr, n_epochs)

    def _again(self, module, baseline, rows, n_epochs, rate):
        """Train on all rows for as many epochs as the held-out rows chose; None if it diverges."""
        settings = replace(self._final_settings(), max_iter=n_epochs, learning_rate=rate)
        try:
            module = self.started(module, baseline, rows)
            return self._run(self._net(module, baseline, rows, settings))
        except Diverged as failure:
            _warn_of_divergence(failure)
            return None

    def polished(self, module, baseline, rows, rate, n_epochs):
        """Train on all rows for a few epochs at a falling rate; or leave it, if it diverges.

        After Ctrl-C there is no time for it.
        """
        if self.interrupted:
            return module
        settings = replace(
            self._final_settings(),
            max_iter=n_epochs,
            learning_rate=POLISH_RATE * rate,
            decay_from=0.0,
            averaging=False,
            warm_up=0,
        )
        with suppress(Diverged), self._interruptible():
            return self._run(self._net(deepcopy(module), baseline, rows, settings))
        return module

    def _final_settings(self):
        """Return settings with those callbacks only that change training itself."""
        return replace(self.settings, callbacks=tuple(filter(takes_part, self.settings.callbacks)))

    def _run(self, net, after_epoch=None):
        """Train a net without held-out rows to the end; return its module.

        After Ctrl-C none is trained.
        """
        net.initialize()
        if self.interrupted:
            return net.module_
        with self.checkpoint.training(net), _notified([net]):
            for number in range(len(net.history) + 1, net.max_epochs + 1):
                loss = net.epoch()
                self.checkpoint.epoch()
                if after_epoch is not None:
                    after_epoch(number, loss)
        net.module_.load_state_dict(net.weights())
        return net.module_

    def _train_together(self, nets):
        """Train nets side by side; return their curves and the best weights of each."""
        settings = self.settings
        self.progress.begin(settings.max_iter)
        for net in nets:
            net.initialize()
        curves = HeldOutCurves([n.held_out.row_weights for n in nets], [n.judge() for n in nets])
        first = [net.weights() for net in nets]
        at_first = settings.n_iter_no_change * (LONGER if len(nets) > 1 else 1)
        tolerance = self.task.tolerance(settings.tol, curves.curve[0])
        patience = _Patience(self.patience, at_first, tolerance, curves.curve[0], settings.warm_up)
        together = _Together(nets, curves, patience, first)
        folds = Folds(nets) if can_train(nets) else None
        if self.interrupted:
            return curves, first
        try:
            with self._interruptible(), self.checkpoint.training(together), _notified(nets):
                while not together.is_over(settings.max_iter):
                    back = together.best if len(nets) == 1 else first
                    loss, go_on = self._epoch(nets, back, curves, folds)
                    number, held_out = together.judge()
                    self.checkpoint.epoch()
                    self.progress.epoch(number, loss, self.task.score(held_out))
                    if not go_on:
                        break
                else:
                    self._warn_of_max_iter(patience)
        except Diverged as failure:
            if not self.task.has_baseline:
                raise
            _warn_of_divergence(failure)
            curves.best = 0
        return curves, together.best

    def _epoch(self, nets, best, curves, folds=None):
        """Train each net for an epoch; where one diverges, once more from the best weights.

        Several nets go back to the baseline, so that all have seen as many epochs.
        Returns the loss, and False where a callback stopped the one net after
        its held-out rows were judged.
        """
        try:
            if folds is not None:
                return folds.epoch(), True
            return float(np.mean([net.epoch() for net in nets])), True
        except StopTraining:
            if len(nets) > 1 or "valid_loss" not in nets[0].history[-1]:
                raise
            return nets[0].history[-1]["train_loss"], False
        except Diverged:
            if nets[0].lr < self.settings.learning_rate:
                raise
            n_epochs = curves.best if len(nets) == 1 else 0
            curves.rewind(n_epochs)
            for net, weights in zip(nets, best, strict=True):
                net.restart(weights, net.lr * SLOWER, n_epochs)
            if folds is not None:
                folds.take_over()
            return self._epoch(nets, best, curves, folds)

    def _warn_of_max_iter(self, patience):
        asked = self.given.max_iter
        if self.given.warns and patience.reference_iter > max(0, asked - patience.n_iter):
            warnings.warn(
                f"max_iter={asked} reached while the held-out loss was still falling: "
                "increase max_iter.",
                ConvergenceWarning,
                stacklevel=2,
            )


@dataclass
class _Together:
    """Nets that are trained side by side, what held-out rows said of them, and their best weights."""

    nets: list
    curves: HeldOutCurves
    patience: object
    best: list

    def is_over(self, max_iter):
        """Return whether there is no next epoch."""
        return self.patience.is_over or len(self.curves.curve) > max_iter

    def judge(self):
        """Take in an epoch; return its number and held-out loss."""
        if self.curves.add([net.row_losses for net in self.nets]):
            self.best = [net.weights() for net in self.nets]
        number, loss = len(self.curves.curve) - 1, self.curves.curve[-1]
        self.patience.see(number, loss)
        return number, loss

    def state_dict(self):
        """Return what the next epochs depend on, besides the generator."""
        return {
            "nets": [net.state_dict() for net in self.nets],
            "curves": self.curves.state_dict(),
            "patience": vars(self.patience),
            "best": self.best,
        }

    def load_state_dict(self, state):
        """Go on from a `state_dict`."""
        for net, its in zip(self.nets, state["nets"], strict=True):
            net.load_state_dict(its)
        self.curves.load_state_dict(state["curves"])
        vars(self.patience).update(state["patience"])
        self.best = state["best"]


class _Patience:
    """Ends a training whose held-out loss no longer falls, or at first did not fall.

    The epochs of a warm-up, in which the training loss is still another, do
    not count.
    """

    def __init__(self, n_iter, at_first, tol, start_loss, warm_up):
        self.n_iter, self.at_first, self.tol = n_iter, at_first, tol
        self.warm_up, self.reference, self.reference_iter = warm_up, start_loss, warm_up
        self.is_over = False

    def see(self, number, loss):
        """Take in an epoch; it is over if the last improvement was ``n_iter`` epochs ago."""
        if loss < self.reference - self.tol:
            self.reference, self.reference_iter = loss, number
        n_iter = self.n_iter if self.reference_iter > self.warm_up else self.at_first
        self.is_over = number - self.reference_iter >= n_iter


@contextmanager
def _notified(nets):
    """Notify the callbacks that training begins and ends; let them end it early."""
    try:
        for net in nets:
            net.notify("on_train_begin", X=net.rows, y=None)
    except StopTraining:
        raise ValueError("A callback asked to stop before the first epoch.") from None
    try:
        yield
    except StopTraining:
        pass
    finally:
        for net in nets:
            net.notify("on_train_end", X=net.rows, y=None)


def _load(nets, weights):
    for net, chosen in zip(nets, weights, strict=True):
        net.module_.load_state_dict(chosen)


def _warn_of_divergence(failure):
    warnings.warn(
        f"Training diverged twice ({failure}): the fitted model is the one it started from. "
        "Choose a smaller learning_rate_init, or scale the columns of X.",
        ConvergenceWarning,
        stacklevel=2,
    )


def _judged(history, curves):
    """Return a skorch history as a list of dicts, without epochs that do not count."""
    return plain(history[: len(curves.curve) - 1])
