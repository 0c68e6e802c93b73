"""The training loop: a skorch net with lean epochs."""

import numpy as np
import torch
from sklearn.base import clone
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler, ParamMapper

from skae._data.batches import StandardisedStream, StreamedBatches, TensorBatches
from skae._data.shared import SharedBatches
from skae._training.adam import BETAS, FlatAdam, rate_factor
from skae._training.gradients import PredictionGradient, ReconstructionGradient
from skae._training.recorded import step_of
from skae._training.step import AVERAGING, AverageWeights
from skae._training.variational_gradients import OrderedGradient, VariationalGradient
from skae.nn import Residual

BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")
EVALUATION_ROWS = 4096
HELD_OUT_SEED = 0  # the noise on held-out rows is the same in every epoch
WARM_UP_STEPS = 20
TOGETHER = 1000  # losses in one tensor
ALIKE = ReconstructionGradient, PredictionGradient  # in training and judgement
BY_HAND = *ALIKE, VariationalGradient, OrderedGradient
LARGEST_GRADIENT = 1.0  # losses are shares of variance or nats a column: of the size of 1


class StopTraining(Exception):
    """A callback ends the training."""


class Diverged(ArithmeticError):
    """The loss is no longer finite."""


def check_finite(epoch, loss, *weights):
    """Raise `Diverged` where a loss or a weight is not finite any more."""
    # one number that is not finite makes the sum so, in a tenth of the time
    if not (np.isfinite(loss) and all(t.sum().isfinite() for t in weights)):
        raise Diverged(f"in epoch {epoch}, with loss {loss} or weights not finite")


class AutoencoderNet(NeuralNet):
    """The skorch net that trains an autoencoder; lives only while ``fit`` runs.

    An epoch runs in a lean loop unless a callback listens to single batches
    or the optimizer is the user's own: then it is skorch's loop.
    """

    betas, averaging = BETAS, AVERAGING

    def __init__(self, module, objective, settings, rows, held_out, generator):
        super().__init__(
            module,
            criterion=objective,
            lr=settings.learning_rate,
            max_epochs=settings.max_iter,
            batch_size=settings.batch_size,
            callbacks=list(map(_copied, settings.callbacks)),
            device=rows.device,
            train_split=None if held_out is None else lambda dataset: (dataset, held_out),
            verbose=0,
            **settings.skorch_params,
        )
        self.settings, self.rows, self.held_out = settings, rows, held_out
        self.generator = generator

    @property
    def _default_callbacks(self):
        return []

    def _set_training(self, training=True):
        if not (self.lean and isinstance(self.gradient, ALIKE)):  # alike in both
            super()._set_training(training)

    def get_iterator(self, dataset, training=False):
        kind = SharedBatches if dataset.reduce.shared else TensorBatches
        if training:
            noise, cuts = self.settings.corruption, self.settings.cuts
            noise = noise if cuts is None else cuts.before(noise)
            if isinstance(dataset, StandardisedStream):
                kind = StreamedBatches
            return kind(dataset, self.batch_size, self.generator, noise)
        noise = self.settings.held_out_corruption
        fixed = torch.Generator().manual_seed(HELD_OUT_SEED) if noise else None
        return kind(dataset, EVALUATION_ROWS, fixed, noise, shuffle=False)

    def initialize_optimizer(self, triggered_directly=None):
        """Make Adam over one flat vector, or the optimizer that was asked for."""
        settings, callbacks = self.settings, [callback for _, callback in self.callbacks_]
        self.lean = settings.optimizer == "adam" and not any(map(takes_part, callbacks))
        self.own_schedule = not any(isinstance(callback, LRScheduler) for callback in callbacks)
        self.steps_done = 0
        self.steps_an_epoch = len(self.get_iterator(self.rows, training=True))
        decayed, spared = _split_parameters(self.module_)
        if self.lean:
            self.optimizer_ = FlatAdam(
                decayed, spared, settings.alpha, LARGEST_GRADIENT, self.betas
            )
            if settings.optimizer_state:
                self.optimizer_.load_state_dict(settings.optimizer_state)
        else:
            self.optimizer_ = self._torch_optimizer(decayed, spared)
        self.average = None
        if settings.averaging:
            self.average = AverageWeights(self._trained(), self.averaging)
        self.whole = self.lean and settings.averaging and self._is_whole()
        if self.lean:
            self.step_by(self.new_gradient())
        return self

    def step_by(self, gradient):
        """Take steps by a gradient of what the optimizer moves at present."""
        self.gradient = gradient
        of_all = self.rows.reduce.gradient(gradient, self.optimizer_)
        self.step = step_of(self, of_all, self.optimizer_, self.average)

    def new_gradient(self):
        """Return what computes a batch's loss and gradient: by hand where possible, else autograd."""
        for kind in BY_HAND:
            if kind.fits(self.module_, self.criterion_):
                return kind(self.module_, self.criterion_)
        return self._by_autograd

    def without_autograd(self):
        """Return what steps run in: PyTorch keeps no book of those that are derived by hand."""
        return torch.inference_mode(isinstance(self.gradient, BY_HAND))

    def _by_autograd(self, inputs, target, weight):
        self.optimizer_.zero_grad()
        loss = self.get_loss(self.infer(inputs), (target, weight))
        loss.backward()
        return loss.detach()

    def _is_whole(self):
        """Return whether all weights are in the optimizer's one vector."""
        vector = self.optimizer_.parameters.untyped_storage().data_ptr()
        weights = self.module_.state_dict().values()
        return all(w.untyped_storage().data_ptr() == vector for w in weights)

    def _trained(self):
        return [self.optimizer_.parameters] if self.lean else list(self.module_.parameters())

    def _torch_optimizer(self, decayed, spared):
        settings = self.settings
        own = settings.optimizer != "adam"
        optimizer = settings.optimizer if own else torch.optim.AdamW
        betas = {} if own else {"betas": self.betas}
        params = {"lr": self.lr, **betas, **self.get_params_for("optimizer")}
        if own and not (decayed and settings.alpha):
            return optimizer([*decayed, *spared], **params)
        groups = []
        for parameters, decay in ((decayed, settings.alpha), (spared, 0.0)):
            factors = [1.0 if own else rate_factor(p) for p in parameters]
            for factor in sorted(set(factors)):
                chosen = [p for p, f in zip(parameters, factors, strict=True) if f == factor]
                group = {"params": chosen, "weight_decay": decay, "factor": factor}
                groups.append(group | {"lr": factor * params["lr"]})
        return optimizer(groups, **params)

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        """Return the mean objective of a batch."""
        target, weight = y_true
        losses = self.criterion_(y_pred, target)
        return losses.mean() if weight is None else (losses * weight).mean()

    def train_step_single(self, batch, **fit_params):
        """Return loss and outputs of a batch; leave gradients, none longer than the limit."""
        step = super().train_step_single(batch, **fit_params)
        torch.nn.utils.clip_grad_norm_(self.module_.parameters(), LARGEST_GRADIENT)
        return step

    def infer(self, x, **fit_params):
        """Return the module's outputs; the inputs of an ordered code are rows and a mask of it."""
        return self.module_(x) if self.settings.cuts is None else self.module_(*x)

    def _judge_by_hand(self, batch):
        """Do the same as `validation_step`, by the products of training."""
        inputs, (target, _) = batch
        losses = self.gradient.judge(inputs, target, self.settings.cuts)
        self.row_losses.append(losses.double().cpu().numpy())

    def validation_step(self, batch, **fit_params):
        """Judge held-out rows; their objectives, one a row, go to ``row_losses``."""
        inputs, (target, _) = batch
        with torch.no_grad():
            outputs = self.module_(inputs)
            losses = self.criterion_(outputs, target)
            if self.settings.cuts is not None:
                losses = self._expected(inputs, target, losses)
        self.row_losses.append(losses.double().cpu().numpy())
        return {"loss": losses.mean(), "y_pred": outputs}

    def _expected(self, inputs, target, whole):
        """Return the objective's mean over the cuts, given that of the whole code."""
        *cut, (_, last) = self.settings.cuts.judged_masks(target.device)
        losses = last * whole
        for mask, weight in cut:
            losses += weight * self.criterion_(self.module_(inputs, mask), target)
        return losses

    def judge(self, iterator=None):
        """Return the objective of every held-out row, under the averaged weights."""
        self.row_losses = []
        self._set_training(False)
        self._swap()
        if iterator is None or self.lean:
            by_hand = self.lean and isinstance(self.gradient, ALIKE)
            judge = self._judge_by_hand if by_hand else self.validation_step
            for batch in self.get_iterator(self.held_out):
                judge(batch)
        else:
            super().run_single_epoch(iterator, False, "valid", self.validation_step)
        self._swap()
        losses = np.concatenate(self.row_losses)
        self.row_losses = self.held_out.reduce.gathered(losses, self.held_out.rows)
        return self.row_losses

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run an epoch over training rows, or judge the held-out ones; record the mean loss."""
        if iterator is None:
            return
        if not training:
            loss = self._mean(self.judge(iterator))
        elif self.lean:
            loss = self._lean_epoch(iterator)
            self.history.new_batch()  # one for all, for callbacks such as Checkpoint
            self.history.record_batch("train_loss", loss)
        else:
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            loss = float(np.mean([batch["train_loss"] for batch in self.history[-1]["batches"]]))
        self._record(f"{prefix}_loss", loss)

    def _mean(self, row_losses):
        return float(np.average(row_losses, weights=self.held_out.rows.every_weight))

    def _record(self, key, loss):
        """Keep an epoch's loss in the history, and whether it is the lowest so far."""
        *before, epoch = self.history.to_list()
        lowest = next((row[key] for row in reversed(before) if row[f"{key}_best"]), np.inf)
        epoch[f"{key}_best"] = not before or loss < lowest
        epoch[key] = loss

    def take_in(self, loss):
        """Record an epoch that was trained and judged elsewhere; no callback listens."""
        self.on_epoch_begin(self)
        self._record("train_loss", loss)
        self._record("valid_loss", self._mean(self.row_losses))

    def _lean_epoch(self, iterator):
        self._set_training(True)
        self.rows.reduce.check_alike(self.optimizer_.parameters)
        losses, latest = [], []
        with self.without_autograd():
            for inputs, (target, weight) in iterator:
                # the rate comes first, as in skorch: a loss may ask for it, too
                latest.append(self.step(self.next_rate(), inputs, target, weight))
                if len(latest) == TOGETHER:  # of millions, single ones would take much memory
                    losses.append(torch.stack(latest))
                    latest = []
            losses += [torch.stack(latest)] if latest else []
            return self.rows.reduce.sum(torch.cat(losses)).mean().item()

    def next_rate(self):
        """Return the rate of the next step: a short rise, constant, and where asked for a fall."""
        vars(self)["steps_done"] += 1  # past skorch, which looks at every attribute that is set
        return self._rate()

    def _rate(self):
        rate = self.lr * min(1.0, self.steps_done / WARM_UP_STEPS)
        progress = self.steps_done / (self.steps_an_epoch * self.max_epochs)
        if progress > self.settings.decay_from:
            rate *= max(0.0, 1 - progress) / (1 - self.settings.decay_from)
        return rate

    def _step_optimizer(self, step_fn):
        if self.own_schedule:
            rate = self.next_rate()  # first, as in skorch: a loss may ask for it, too
            for group in self.optimizer_.param_groups:
                group["lr"] = rate * group.get("factor", 1.0)
        super()._step_optimizer(step_fn)
        if self.average is not None:
            self.average.update()

    def _swap(self):
        if self.average is not None:
            self.average.swap()

    def notify(self, method_name, **cb_kwargs):
        """Call the callbacks; one that interrupts (as skorch's EarlyStopping does) ends training."""
        if method_name in BATCH_EVENTS and self.lean:
            return
        getattr(self, method_name)(self, **cb_kwargs)
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except KeyboardInterrupt as interrupt:
                if not _raised_by(callback, interrupt):
                    raise
                raise StopTraining from None

    def rise(self):
        """Let the objective's rising terms have the weight of the next epoch."""
        self.criterion_.risen = min(1.0, (len(self.history) + 1) / (self.settings.warm_up + 1))

    def epoch(self):
        """Train for one more epoch; return the training loss."""
        self.rise()
        self.fit_loop(self.rows, epochs=1)
        loss = self.history[-1]["train_loss"]
        check_finite(len(self.history), loss, *self._trained())
        return loss

    def weights(self):
        """Return a copy of the averaged weights: one vector where they are one, else by name."""
        if self.whole:
            return self.average.average[0].clone()
        self._swap()
        weights = {name: w.detach().clone() for name, w in self.module_.state_dict().items()}
        self._swap()
        return weights

    def load(self, weights):
        """Take over `weights`, or the state of a module."""
        if isinstance(weights, dict):
            self.module_.load_state_dict(weights)
        else:
            self.optimizer_.parameters.copy_(weights)

    def state_dict(self):
        """Return what the next epochs depend on, besides the generator."""
        return {
            "history": plain(self.history),
            "lr": self.lr,
            "steps_done": self.steps_done,
            **{name: part.state_dict() for name, part in self._parts()},
        }

    def load_state_dict(self, state):
        self.history[:] = state["history"]
        self.lr, self.steps_done = state["lr"], state["steps_done"]
        for name, part in self._parts():
            part.load_state_dict(state[name])

    def _parts(self):
        yield "module", self.module_
        yield "objective", self.criterion_
        yield "optimizer", self.optimizer_
        if self.average is not None:
            yield "averages", self.average

    def restart(self, weights, rate, n_epochs):
        """Go back to the weights after some epochs, at another rate, with a fresh optimizer."""
        self.load(weights)
        del self.history[n_epochs:]
        self.lr = rate
        self.initialize_optimizer()


def plain(history):
    """Return a skorch history as a list of dicts, without batches."""
    return [{key: value for key, value in row.items() if key != "batches"} for row in history]


def _copied(callback):
    """Return a copy of a callback; a TypeError refuses what is none."""
    if callback is not None and not hasattr(_kind(callback), "initialize"):
        raise TypeError(
            f"callbacks holds {callback!r}: expected callbacks of skorch, objects of a class that has "
            "skorch.callbacks.Callback as its base and, for example, on_epoch_end(self, net, **kwargs)."
        )
    return clone(callback, safe=False)


def _kind(callback):
    """Return the class of a callback, which may have a name beside it or be a class itself."""
    kind = callback[-1] if isinstance(callback, tuple) else callback
    return kind if isinstance(kind, type) else type(kind)


def takes_part(callback):
    """Return whether a callback changes training itself: at single batches, or what is trained."""
    kind = _kind(callback)
    return issubclass(kind, ParamMapper) or any(
        getattr(kind, event, None) is not getattr(Callback, event) for event in BATCH_EVENTS
    )


def _raised_by(callback, interrupt):
    """Return whether a callback itself raised an interrupt, not the user's keyboard."""
    trace = interrupt.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_locals.get("self") is callback


def _split_parameters(module):
    """Return the weight matrices, which weight decay shrinks, and all other parameters.

    The linear maps beside a nonlinear one are spared: shrinking them leads away from PCA.
    """
    maps = [m.linear for m in module.modules() if isinstance(m, Residual) and m.linear is not None]
    spared = {id(p) for linear in maps for p in linear.parameters()}
    parameters = [p for p in module.parameters() if p.requires_grad]
    decayed = [p for p in parameters if p.ndim > 1 and id(p) not in spared]
    chosen = set(map(id, decayed))
    return decayed, [p for p in parameters if id(p) not in chosen]
