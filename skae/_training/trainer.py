"""The trainings of one fit: from a baseline, side by side where folds judge, and on all rows."""

import warnings
from collections import OrderedDict
from contextlib import contextmanager, nullcontext, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from skae._data.batches import standardised
from skae._linear.mixed import mean_filled_pca, missing_share
from skae._model.model import linear_network, new_network
from skae._training.checkpoint import NoCheckpoint
from skae._training.folds import Folds, can_train
from skae._training.held_out import (
    FEWEST_ROWS,
    HeldOutCurves,
    gains_over,
    split,
    standard_error,
)
from skae._training.last_layer import LastLayer, chosen_strength
from skae._training.net import AutoencoderNet, Diverged, StopTraining, plain, takes_part
from skae._training.ordered import PrefixShares
from skae._training.plateau import Plateau
from skae._training.progress import Progress
from skae._training.settings import Settings, explained_memory
from skae._training.threads import limited_threads
from skae.nn.build import global_generator, global_generators, repeatable

SLOWER = 0.1  # factor of the learning rate after a divergence
# the last steps of a fit, on all rows at a falling rate: how many at most, unless this part of
# the steps before is more; and of folds, in the task's share of the steps before
COOL_DOWN_STEPS, COOL_DOWN_PART, COOL_DOWN_OF_FOLDS = 400, 1 / 3, 1.2
ORDERED_STEPS = 500  # at least, of an ordered code
MOST_LOST = 1.05  # error of a prefix of it over the baseline's, on held-out rows
TUNING_EPOCHS, TUNING_RATE = 15, 0.3  # on the rows that a code which was cut is fine-tuned on
PRETRAINING, PRETRAINING_DECAY = 0.1, 0.5  # epochs of a phase, in max_iter; when the rate falls
SAMPLE = 1000  # training rows that show what a prefix explains, where none are held out
ERRORS_OF_FEW_CELLS = 3.0  # standard errors of the gain, where many cells are missing
SHOWN = 2**16  # rows of a stream that show whether a model falls behind


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

    @property
    def explained(self):
        """Share of the variance that the code explains, where it was measured."""
        return None if self.prefix_shares is None else float(self.prefix_shares[-1])


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
        with (
            threads,
            aside,
            torch.enable_grad(),
            explained_memory(settings.batch_size),
            repeatable(settings.device),
        ):
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
    pretraining : list of dict
        History of the first pretraining.
    interrupted : bool
        Whether Ctrl-C has ended the training.
    strength : float or None
        With which the last layer is solved for in the end, where it is.
    settings : Settings
        Of the present task.
    """

    task: object
    given: Settings
    rng: np.random.RandomState
    generator: torch.Generator
    progress: Progress
    checkpoint: NoCheckpoint = field(default_factory=NoCheckpoint)
    pretraining: list = field(default_factory=list)
    interrupted: bool = False
    strength: float | None = None

    def __post_init__(self):
        """Resolve the settings."""
        self.settings = self.given.of(self.task)

    @contextmanager
    def _interruptible(self):
        """Let Ctrl-C end what is inside, and the fit keep what it has."""
        try:
            yield
        except KeyboardInterrupt:
            if not self.checkpoint.keeps:
                raise
            self.interrupted = True

    # one model on other rows -------------------------------------------------------------------

    def fine_tune(self, model, rows):
        """Return a model that is trained for a few epochs more; its ranges do not shrink."""
        self.task = model.task
        self.settings = self.given.of(self.task)
        baseline = model.present_baseline
        rate = self.settings.learning_rate
        module = model.trainable(self.generator)
        module = self.cooled_down(module, baseline, rows, TUNING_RATE * rate, TUNING_EPOCHS)
        self.task.keep_constants(module, baseline)
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
        return self.above_baseline(module, baseline, rows, pairs, held_out is None)

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
            net.load(net.weights())
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
        judged = self.settings.judged_batch_size or self.settings.batch_size
        settings = replace(self.settings, batch_size=judged)
        nets = [
            self._net(self.started(module, own, part), own, part, settings, held_out)
            for own, (part, held_out) in zip(baselines, pairs, strict=True)
        ]
        curves, weights = self._train_together(nets)
        history = [*self.pretraining, *_judged(nets[0].history, curves)]
        trained = Trained(None, baseline, 0, history, curves.curve)
        _load(nets, weights)
        accepted = curves.accept() and self._keeps_up(nets, baselines, pairs)
        rejected = self.task.has_baseline and not accepted
        if self.settings.cuts is not None or self.settings.measures:
            trained.prefix_shares, least = self._held_out_shares(
                module, nets, baselines, curves, rejected
            )
            rejected = rejected or _loses_a_length(trained.prefix_shares, least)
            if rejected:
                trained.prefix_shares = least
            _load(nets, weights)
        if rejected:
            return trained
        trained.best_iter = curves.best
        self.strength = None if self.interrupted else chosen_strength(nets)
        if len(nets) > 1 and not self.interrupted:
            n_epochs = max(1, curves.best)
            with self._interruptible():
                trained.module = self._again(module, baseline, rows, n_epochs, nets[0].lr)
        if len(nets) == 1 or self.interrupted:
            self._finish(trained, nets[0], baselines[0], rows if final else None, curves)
        start = self._at(module, trained.baseline)
        about = trained.module, trained.baseline, rows
        if self._falls_behind(*about) or not self._keeps_rows(start, *about):
            trained.module, trained.baseline = None, baseline
        if trained.module is None:
            trained.prefix_shares = self._shares_of_baseline(baseline, rows)
            trained.best_iter = 0
        return trained

    def _keeps_up(self, nets, baselines, pairs):
        """Return whether held-out rows with many missing cells are predicted better than by filled PCA.

        By three standard errors: few cells judge a model that another, trained on all rows, takes the
        place of, and below that hidden cells are mostly told worse. With few missing cells reconstruction is the objective's own affair, as with none.
        """
        if not (self._lacks_much(pairs[0][0]) and self.task.schema.n_numbers):
            return True
        gains = [
            self._gains(net.module_, net.held_out, own, part)
            for net, own, (part, _) in zip(nets, baselines, pairs, strict=True)
        ]
        gains = np.concatenate(gains)
        return bool(gains.mean() > ERRORS_OF_FEW_CELLS * standard_error(gains))

    def _lacks_much(self, rows):
        """Return whether the model must tell these rows better than PCA of mean-filled rows."""
        hidden = self.task.schema.hidden
        return bool(self.task.keeps_up and hidden and missing_share(rows) > hidden)

    def _gains(self, module, part, baseline, rows):
        """Return by how much rows are predicted better than by PCA of other, mean-filled ones."""
        least = mean_filled_pca(rows, self.task.size)
        return gains_over(module, part, baseline, least, self.task.schema.n_numbers)

    def _falls_behind(self, module, baseline, rows):
        """Return whether a module tells its own training rows worse than PCA of mean-filled ones.

        It is another one than those that held-out rows have judged.
        """
        if module is None or not self._lacks_much(rows):
            return False
        some = rows.in_memory(SHOWN)
        part = standardised(some, *baseline.units, self.settings.device)
        return self._gains(module, part, baseline, rows).mean() < 0

    def _keeps_rows(self, start, module, baseline, rows):
        """Return whether no training rows are unlearned, at least with what the task settles afterwards."""
        about = module, baseline, rows
        if not self._unlearned(start, *about):
            return True
        return self.task.settle(*about, self.settings.device) and not self._unlearned(start, *about)

    def _unlearned(self, start, module, baseline, rows):
        """Return whether training has raised the mean objective of the rows that a module was trained on.

        One of them, far from all others, may be most of the variance. No held-out row is like it,
        so none shows what becomes of it.
        """
        if module is None or not (self.task.has_baseline and self.task.keeps_training_rows):
            return False
        settings = replace(self.settings, callbacks=(), averaging=False)
        some = rows.in_memory(SHOWN)
        net = self._net(deepcopy(start), baseline, some, settings).initialize()
        noise = self.task.corruption_afterwards(baseline)
        net.settings = replace(net.settings, held_out_corruption=noise)
        net.held_out, draws = net.rows, self.generator.get_state()
        before = net._mean(net.judge())
        net.module_.load_state_dict(module.state_dict())
        self.generator.set_state(draws)
        return not net._mean(net.judge()) <= before

    def go_on(self, module, baseline, pair, before):
        """Train further; the present weights are the baseline. ``module`` is left as it is."""
        net = self._net(deepcopy(module), baseline, pair[0], self.settings, pair[1])
        curves, (weights,) = self._train_together([net])
        net.load(weights)
        accepted = curves.accept() and self._keeps_rows(module, net.module_, baseline, pair[0])
        net.load(weights if accepted else module.state_dict())
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
            task.keep_constants(trained.module, baseline)
            task.calibrate(trained.module, baseline, rows, device)
        model = task.model.settled(task, trained.module, baseline, device, rows)
        if task.ordered:
            shares = np.diff(trained.prefix_shares, prepend=0.0)
            model.attributes["explained_variance_ratio_"] = shares
        return model

    # what prefixes of the code explain --------------------------------------------------------

    def _shares_of_baseline(self, baseline, rows):
        """Return what each prefix of the baseline explains, as it knows or as rows show."""
        asked = self.settings.cuts is not None or self.settings.measures
        if not asked or baseline.shares is not None:
            return baseline.shares
        module = linear_network(self.task, baseline).float().requires_grad_(True)
        net = self._net(module, baseline, rows, self.settings).initialize()
        return self._training_shares(net, baseline, rows)

    def _held_out_shares(self, module, nets, baselines, curves, rejected):
        """Return what each prefix explains of held-out rows, and what it does at the baselines.

        The second is None where the two are not compared: penalties have a price at every length.
        """
        rows = [net.held_out for net in nets], curves.row_weights()
        shares = None if rejected else self._prefix_shares(nets, baselines, *rows)
        plain = list(getattr(nets[0].criterion_, "terms", ())) == ["reconstruction"]
        if not rejected and not (plain and self.task.has_baseline and len(shares) > 1):
            return shares, None
        _load(nets, [self._at(module, own).state_dict() for own in baselines])
        return shares, self._prefix_shares(nets, baselines, *rows)

    def _training_shares(self, net, baseline, rows):
        """Return what each prefix of the code explains of some training rows."""
        some = rows.subset(np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).astype(int))
        part = self._ready(some, baseline)
        return self._prefix_shares([net], [baseline], [part], [part.row_weights])

    def _prefix_shares(self, nets, baselines, parts, weights):
        """Return what each prefix of the code explains of one part of the rows for each net."""
        k = len(baselines[0].deviations)
        prefixes = PrefixShares(k, None if self.settings.cuts is not None else [k])
        for net, own, part, weight in zip(nets, baselines, parts, weights, strict=True):
            weight = part.those_read(weight)
            reconstruct = partial(self.task.reconstruct_prefix, net.module_.eval(), own)
            if self.settings.cuts is None:
                reconstruct = partial(_of_whole, reconstruct)
            error = self.task.prefix_error(own, self.settings.device)
            prefixes.add(reconstruct, net.get_iterator(part), weight, error)
        return prefixes.of_all(parts[0].reduce).shares

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
        coupled = self.task.couples_rows
        return standardised(rows, *baseline.units, *about, coupled=coupled)

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
        module = _copy(module)
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

    def _finish(self, trained, net, baseline, rows, curves):
        """Take a trained net as it is, or let it take in all rows."""
        trained.module, trained.baseline = net.module_, baseline
        if rows is not None and not self.interrupted:
            steps = max(1, len(rows) // self.settings.batch_size)
            n_epochs = self._cool_down_epochs(trained.best_iter * net.steps_an_epoch, steps)
            state = net.optimizer_.state_dict() if net.lean else None
            cooled = self.cooled_down(
                net.module_, baseline, rows, net.lr, n_epochs, optimizer_state=state
            )
            trained.module = self._no_worse(net, cooled, curves)
        elif self.strength is not None:
            LastLayer(net).solve(self.strength)

    def _no_worse(self, net, further, curves):
        """Return a module that was trained further, or the best one where held-out rows lose by it.

        They were trained on meanwhile, and should gain.
        """
        best = deepcopy(net.module_)
        net.module_.load_state_dict(further.state_dict())
        net.average = None
        return further if curves.mean([net.judge()]) <= curves.curve[curves.best] else best

    def _cool_down_epochs(self, n_before, steps):
        """Return the epochs of so many steps that a training of ``n_before`` steps ends with."""
        most = max(COOL_DOWN_STEPS, COOL_DOWN_PART * n_before)
        least = 0 if self.settings.cuts is None else ORDERED_STEPS
        return max(1, round(max(least, min(self.task.cool_down * n_before, most)) / steps))

    def _again(self, module, baseline, rows, n_epochs, rate):
        """Train on all rows for as many epochs as the held-out rows chose; None if it diverges.

        Epochs at a falling rate follow.
        """
        steps = max(1, len(rows) // self.settings.batch_size)
        share = COOL_DOWN_OF_FOLDS * self.task.cool_down
        n_last = min(share * n_epochs, COOL_DOWN_STEPS / steps)
        n_all = n_epochs + max(1, round(n_last))
        settings = replace(
            self._final_settings(),
            max_iter=n_all,
            learning_rate=rate,
            decay_from=n_epochs / n_all,
            averaging=False,
        )
        try:
            module = self.started(module, baseline, rows)
            return self._solved(self._net(module, baseline, rows, settings))
        except Diverged as failure:
            _warn_of_divergence(failure)
            return None

    def cooled_down(self, module, baseline, rows, rate, n_epochs, optimizer_state=None):
        """Train on all rows for some epochs at a falling rate; or leave it, if it diverges.

        After Ctrl-C there is no time for it.
        """
        if self.interrupted:
            return module
        settings = replace(
            self._final_settings(),
            max_iter=n_epochs,
            learning_rate=rate,
            decay_from=0.0,
            averaging=False,
            warm_up=0,
            optimizer_state=optimizer_state,
        )
        with suppress(Diverged), self._interruptible():
            return self._solved(self._net(_copy(module), baseline, rows, settings))
        return module

    def _solved(self, net):
        """Run a net to the end; solve for its last layer, where held-out rows gained by that."""
        module = self._run(net)
        if self.strength is not None and not self.interrupted:
            LastLayer(net).solve(self.strength)
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
        if net.average is not None:
            net.load(net.weights())
        return net.module_

    def _train_together(self, nets):
        """Train nets side by side; return their curves and the best weights of each."""
        settings = self.settings
        self.progress.begin(settings.max_iter)
        for net in nets:
            net.initialize()
        curves = HeldOutCurves([n.held_out.row_weights for n in nets], [n.judge() for n in nets])
        first = [net.weights() for net in nets]
        plateau = Plateau.of(settings, self.task, nets)
        together = _Together(nets, curves, plateau, first)
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
                    self._warn_of_max_iter(plateau.falls(curves.curve))
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

    def _warn_of_max_iter(self, falls):
        if self.given.warns and falls:
            warnings.warn(
                f"max_iter={self.given.max_iter} reached while the held-out loss was still falling: "
                "increase max_iter.",
                ConvergenceWarning,
                stacklevel=2,
            )


@dataclass
class _Together:
    """Nets that are trained side by side, what held-out rows said of them, and their best weights."""

    nets: list
    curves: HeldOutCurves
    plateau: object
    best: list

    def is_over(self, max_iter):
        """Return whether there is no next epoch."""
        curve = self.curves.curve
        return self.plateau.reached(curve) or len(curve) > max_iter

    def judge(self):
        """Take in an epoch; return its number and held-out loss."""
        if self.curves.add([net.row_losses for net in self.nets]):
            self.best = [net.weights() for net in self.nets]
        return len(self.curves.curve) - 1, self.curves.curve[-1]

    def state_dict(self):
        """Return what the next epochs depend on, besides the generator."""
        return {
            "nets": [net.state_dict() for net in self.nets],
            "curves": self.curves.state_dict(),
            "best": self.best,
        }

    def load_state_dict(self, state):
        """Go on from a `state_dict`."""
        for net, its in zip(self.nets, state["nets"], strict=True):
            net.load_state_dict(its)
        self.curves.load_state_dict(state["curves"])
        self.best = state["best"]


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


def _copy(module):
    """Return a deep copy; what is empty, most of all hooks that nobody set, is made anew, in half the time."""
    every = [value for part in module.modules() for value in vars(part).values()]
    empty = {id(v): type(v)() for v in every if type(v) in (dict, set, OrderedDict) and not v}
    return deepcopy(module, empty)


def _loses_a_length(shares, least):
    """Return whether a prefix of an ordered code explains less than the baseline's, beyond chance."""
    return least is not None and bool(np.any(1 - shares > MOST_LOST * (1 - least)))


def _load(nets, weights):
    for net, chosen in zip(nets, weights, strict=True):
        net.load(chosen)


def _of_whole(reconstruct, inputs, mask):
    """Return rows made from the whole code, by modules that know no other."""
    return reconstruct(inputs)


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
