"""What one fit does: start at PCA, train, let held-out rows judge, and finish on all rows."""

import warnings
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from skae._data.batches import StandardisedRows
from skae._training.checkpoint import NoCheckpoint
from skae._training.folds import Folds, can_train
from skae._training.held_out import HeldOutCurves
from skae._training.net import AutoencoderNet, Diverged, Settings, StopTraining, plain, takes_part
from skae._training.ordered import Cuts, PrefixShares

SLOWER = 0.1  # factor of the learning rate after a divergence
POLISH_EPOCHS, POLISH_RATE = 10, 0.3  # the last epochs of a large fit, on all rows
ORDERED_POLISH_EPOCHS = 30  # the same of an ordered code
MOST_POLISH_STEPS = 5000  # where these epochs would take more there are fewer
PRETRAINING, PRETRAINING_DECAY = 0.1, 0.5  # epochs of a phase, in max_iter; when the rate falls
LONGER = 2  # times the patience, before folds improve at all: their epochs have few steps
COMPARING_RATE = 0.5  # of the learning rate, where the prefixes of a code are to be compared
COMPARING_EPOCHS = 15  # at a falling rate, before they are compared
SAMPLE = 1000  # training rows that show what a prefix explains, where none are held out


@dataclass
class Fitted:
    """The result of a fit.

    ``module`` is None where the floor holds: then the model is its start.
    ``start`` is what the module's inputs were standardised with, and
    ``prefix_shares`` what each prefix of an ordered code explains.
    """

    module: torch.nn.Module | None
    start: object
    best_iter: int
    history: list
    held_out_curve: list
    optimizer_state: dict | None = None
    prefix_shares: np.ndarray | None = None


@dataclass
class Fitting:
    """One fit: what its trainings share.

    Attributes
    ----------
    estimator : BaseEncoder
        Its hooks make the objective and the corruption.
    settings : Settings
    rng : RandomState
    generator : torch.Generator
    progress : Progress
    patience : int
        Epochs without an improvement after which training stops.
    compares : bool
        Whether the prefixes of the code are compared, to keep one of them.
    pretraining : list of dict
        History of the first pretraining.
    checkpoint : NoCheckpoint
        Keeps the trainings on disk, where it is asked to; then Ctrl-C ends
        them, but leaves the best so far.
    interrupted : bool
        Whether that has happened.
    """

    estimator: object
    settings: Settings
    rng: np.random.RandomState
    generator: torch.Generator
    progress: object
    patience: int
    compares: bool = False
    pretraining: list = field(default_factory=list)
    checkpoint: NoCheckpoint = field(default_factory=NoCheckpoint)
    interrupted: bool = False

    @contextmanager
    def _interruptible(self):
        """Let Ctrl-C end what is inside, and the fit keep what it has."""
        try:
            yield
        except KeyboardInterrupt:
            if not self.checkpoint.keeps:
                raise
            self.interrupted = True

    def compare_prefixes(self, shortest):
        """Train for comparing the prefixes of the code: half the patience will do.

        So wide a code starts near its best: at the full rate it would first get worse.
        """
        cuts = Cuts(self.estimator.n_components_, 0.0, shortest)
        rate = COMPARING_RATE * self.settings.learning_rate
        self.settings = replace(self.settings, cuts=cuts, learning_rate=rate)
        self.patience = max(1, self.patience // 2)
        self.compares = True

    def linear(self, start, rows):
        """Leave it at the linear start."""
        self.progress.begin(1)
        return Fitted(None, start, 0, [], [], prefix_shares=self._shares_of_start(start, rows))

    def _shares_of_start(self, start, rows):
        """Return what each prefix of the start explains: it knows, or rows tell."""
        if self.settings.cuts is None or start.shares is not None:
            return start.shares
        module = self.estimator._linear_module(start).float().requires_grad_(True)
        net = self._net(module, start, rows, self.settings).initialize()
        return self._training_shares(net, start, rows)

    def without_floor(self, module, start, rows):
        """Train on all rows for the whole of ``max_iter``."""
        net = self._net(module, start, rows, self.settings)
        self.progress.begin(self.settings.max_iter)
        with self._interruptible():
            self._run(net, self.progress.epoch)
        if self.interrupted:
            net.module_.load_state_dict(net.weights())
        state = net.optimizer_.state_dict() if net.lean else None
        epochs = [row for row in plain(net.history) if "train_loss" in row]  # Ctrl-C leaves a part
        history = [*self.pretraining, *epochs]
        fitted = Fitted(net.module_, start, len(epochs), history, [], state)
        if self.settings.cuts is not None:
            fitted.prefix_shares = self._training_shares(net, start, rows)
        return fitted

    def _training_shares(self, net, start, rows):
        """Return what each prefix of the code explains of some training rows."""
        some = rows.subset(np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).astype(int))
        part = StandardisedRows(some, *start.units, self.estimator.device_)
        return self._prefix_shares([net], [start], [part], [part.row_weights])

    def above_floor(self, module, start, rows, pairs, final):
        """Train from the linear start, judge and finish.

        Parameters
        ----------
        module : nn.Module
            A copy of it is trained in every training.
        start : LinearStart
            That of ``rows``.
        rows : Rows
            All rows.
        pairs : list of (Rows, Rows)
            Training and held-out rows of each training.
        final : bool
            Whether held-out rows may be trained on in the end.
        """
        k = len(start.deviations)
        starts = [self.estimator._make_start(part, k, self.rng) for part, _ in pairs]
        nets = [
            self._net(self.started(module, s, part), s, part, self.settings, held_out)
            for s, (part, held_out) in zip(starts, pairs, strict=True)
        ]
        curves, weights = self._train_together(nets)
        history = [*self.pretraining, *_judged(nets[0].history, curves)]
        fitted = Fitted(None, start, 0, history, curves.curve)
        rejected = self.estimator._has_floor() and not curves.accept()
        if rejected:
            weights = [self._at(module, s).state_dict() for s in starts]
        for net, chosen in zip(nets, weights, strict=True):
            net.module_.load_state_dict(chosen)
        if self.compares and not rejected:
            self._come_to_rest(nets, starts, pairs)
        if self.settings.cuts is not None:
            parts = [net.held_out for net in nets]
            fitted.prefix_shares = self._prefix_shares(nets, starts, parts, curves.row_weights())
        if rejected:
            return fitted
        if len(nets) > 1 and not self.interrupted:
            with self._interruptible():
                fitted.module = self._again(module, start, rows, max(1, curves.best), nets[0].lr)
        if len(nets) == 1 or self.interrupted:
            self._finish(fitted, nets[0], starts[0], rows if final else None)
        if fitted.module is None:
            fitted.prefix_shares = self._shares_of_start(start, rows)
        else:
            fitted.best_iter = curves.best
        return fitted

    def _come_to_rest(self, nets, starts, pairs):
        """Train each net for a few epochs more on its own rows: prefixes gain most from it."""
        for net, start, (part, _) in zip(nets, starts, pairs, strict=True):
            module = self.polished(net.module_, start, part, net.lr, COMPARING_EPOCHS)
            net.module_.load_state_dict(module.state_dict())

    def _finish(self, fitted, net, start, rows):
        """Take a trained net as it is, or let it take in all rows."""
        fitted.module, fitted.start = net.module_, start
        if rows is not None:
            n_epochs = POLISH_EPOCHS if self.settings.cuts is None else ORDERED_POLISH_EPOCHS
            steps = max(1, len(rows) // self.settings.batch_size)
            n_epochs = min(n_epochs, max(1, MOST_POLISH_STEPS // steps))
            fitted.module = self.polished(net.module_, start, rows, net.lr, n_epochs)

    def go_on(self, module, start, pair):
        """Train further; the present weights are the floor. ``module`` is left as it is."""
        net = self._net(deepcopy(module), start, pair[0], self.settings, pair[1])
        curves, (weights,) = self._train_together([net])
        accepted = curves.accept()
        net.module_.load_state_dict(weights if accepted else module.state_dict())
        kept = net.module_ if accepted or self.estimator._nonlinear else None
        fitted = Fitted(kept, start, curves.best if accepted else 0, [], curves.curve)
        fitted.history = _judged(net.history, curves)
        if self.settings.cuts is not None:
            weights = curves.row_weights()
            fitted.prefix_shares = self._prefix_shares([net], [start], [net.held_out], weights)
        return fitted

    def _prefix_shares(self, nets, starts, parts, weights):
        """Return what each prefix of the code explains of one part of the rows for each net."""
        prefixes = PrefixShares(len(starts[0].deviations))
        for net, start, part, weight in zip(nets, starts, parts, weights, strict=True):
            reconstruct = partial(self.estimator._reconstruct_cut, net.module_.eval(), start)
            error = self.estimator._error_of_prefixes(start)
            prefixes.add(reconstruct, net.get_iterator(part), weight, error)
        return prefixes.shares

    def _net(self, module, start, rows, settings, held_out=None):
        noise = self.estimator._make_corruption(start)
        judged_in = self.estimator._make_held_out_corruption(start)
        settings = replace(settings, corruption=noise, held_out_corruption=judged_in)
        device = self.estimator.device_
        rows = StandardisedRows(rows, *start.units, device)
        if held_out is not None:
            n_columns = self.estimator._n_within_reach()
            reach = rows.limits(n_columns) if n_columns else None
            held_out = StandardisedRows(held_out, *start.units, device, reach)
        objective = self.estimator._make_objective(start)
        kind = self.estimator._kind_of_net()
        return kind(module, objective, settings, rows, held_out, self.generator)

    def started(self, module, start, rows):
        """Return a copy of the module at a start, pretrained where the estimator asks for it."""
        if self.interrupted:
            return self._at(module, start)
        try:
            with self._interruptible():
                return self._pretrained(self._at(module, start), start, rows)
        except Diverged as failure:
            warnings.warn(
                f"Pretraining diverged ({failure}): training starts without it. "
                "Choose a smaller learning_rate_init, or scale the columns of X.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self._at(module, start)

    def _at(self, module, start):
        module = deepcopy(module)
        self.estimator._start_at(module, start)
        return module

    def _pretrained(self, module, start, rows):
        settings = replace(
            self.settings,
            max_iter=max(1, round(PRETRAINING * self.settings.max_iter)),
            decay_from=PRETRAINING_DECAY,
            corruption=self.estimator._make_corruption(start),
            callbacks=(),
            cuts=None,
        )
        history = []

        def train(phase, part, rows, objective):
            net = AutoencoderNet(part, objective, settings, rows, None, self.generator)
            self._run(net)
            history.extend({"phase": phase, **row} for row in plain(net.history))

        self.estimator._pretrain(module, start, rows, train)
        self.pretraining = self.pretraining or history
        return module

    def _again(self, module, start, rows, n_epochs, rate):
        """Train on all rows for as many epochs as the held-out rows chose; None if it diverges."""
        settings = replace(self._final_settings(), max_iter=n_epochs, learning_rate=rate)
        try:
            return self._run(self._net(self.started(module, start, rows), start, rows, settings))
        except Diverged as failure:
            _warn_of_divergence(failure)
            return None

    def polished(self, module, start, rows, rate, n_epochs):
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
            return self._run(self._net(deepcopy(module), start, rows, settings))
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
        with self.checkpoint.training(net), _told([net]):
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
        at_first = self.estimator.n_iter_no_change * (LONGER if len(nets) > 1 else 1)
        tolerance = self.estimator._tolerance(curves.curve[0])
        patience = _Patience(self.patience, at_first, tolerance, curves.curve[0], settings.warm_up)
        together = _Together(nets, curves, patience, first)
        folds = Folds(nets) if can_train(nets) else None
        if self.interrupted:
            return curves, first
        try:
            with self._interruptible(), self.checkpoint.training(together), _told(nets):
                while not together.is_over(settings.max_iter):
                    back = together.best if len(nets) == 1 else first
                    loss, go_on = self._epoch(nets, back, curves, folds)
                    number, held_out = together.judge()
                    self.checkpoint.epoch()
                    self.progress.epoch(number, loss, self.estimator._held_out_score(held_out))
                    if not go_on:
                        break
                else:
                    self._warn_of_max_iter(patience)
        except Diverged as failure:
            if not self.estimator._has_floor():
                raise
            _warn_of_divergence(failure)
            curves.best = 0
        return curves, together.best

    def _epoch(self, nets, best, curves, folds=None):
        """Train each net for an epoch; where one diverges, once more from the best weights.

        Several nets go back to their start, so that all have seen as many epochs.
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
        asked = self.estimator.max_iter
        if asked != "auto" and patience.reference_iter > max(0, asked - patience.n_iter):
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
def _told(nets):
    """Tell the callbacks that training begins and ends; let them end it early."""
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
