"""What one fit does: start at the baseline, train, let held-out rows judge, and finish on all rows."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from skae._data.batches import Float64
from skae._linear.incremental import updated
from skae._linear.row_space import leading_space, row_space
from skae._model.moments import moments_of, moments_of_pca
from skae._parameters import private_random_state
from skae._training.checkpoint import NoCheckpoint
from skae._training.trainer import training

FIRST_RATIO, MOST_FITS = 0.6, 3  # of the errors of model and PCA, and in the search for a size
PARTIAL_RATE = 0.3  # share of the learning rate in an epoch over the batch of a stream


@dataclass
class Fit:
    """The result of a fit.

    Attributes
    ----------
    model : Model
    best_iter : int
        The epoch that was kept; 0 for the baseline.
    history : list of dict
        What was recorded of each epoch, pretraining first.
    held_out_curve : list of float
        Objective of the held-out rows: the baseline's, then after each epoch.
    optimizer_state : dict or None
        What a training that goes on needs.
    interrupted : bool
        Whether Ctrl-C ended the training.
    explained : float or None
        Share of the variance of held-out rows that the model explains, where
        it was measured.
    """

    model: object
    best_iter: int
    history: list
    held_out_curve: list
    optimizer_state: dict | None = None
    interrupted: bool = False
    explained: float | None = None


def fit_model(
    task,
    settings,
    rows,
    held_out=None,
    *,
    random_state=None,
    progress=None,
    checkpoint=None,
    before=None,
    pairs=None,
):
    """Fit a task to rows.

    Parameters
    ----------
    task : Task
        Its sizes are found here.
    settings : Settings
    rows : Rows
    held_out : Rows or None
        Rows that judge; by default some of ``rows``.
    random_state : int, RandomState or None
    progress : Progress or None
    checkpoint : NoCheckpoint or None
    before : Model or None
        Where training goes on; its present weights are then the baseline.
    pairs : list of (Rows, Rows) or None
        Training and held-out rows of each training; by default `split` deals them.

    Returns
    -------
    fit : Fit

    Raises
    ------
    ValueError
        If a training without a baseline diverges.
    MemoryError
        If a batch does not fit in memory.
    """
    checkpoint = checkpoint or NoCheckpoint()
    about = Circumstances(checkpoint.seed(random_state), progress, checkpoint, pairs)
    on_gpu = torch.device(settings.device).type == "cuda"
    rows.near(Float64(settings.device) if on_gpu else None)
    if before is not None and before.is_pca:
        before = None  # the best is found at once, wherever it starts
    try:
        if before is None:
            fit = fit_anew(task, settings, rows, held_out, about)
        else:
            fit = _trained(task, settings, rows, held_out, about, before)
    except KeyboardInterrupt:
        checkpoint.leave()
        raise
    checkpoint.leave() if fit.interrupted else checkpoint.finish()
    return fit


@dataclass(frozen=True)
class Circumstances:
    """What the trainings of a fit have in common, beside how they are done; as in `fit_model`."""

    random_state: object
    progress: object
    checkpoint: object
    pairs: object


def fit_anew(task, settings, rows, held_out, about):
    """Return the `Fit` of a new model, in the coordinates and of the size that are best."""
    space = row_space(rows, held_out) if task.can_turn else None
    if space is not None:
        parts = [part and space.inside(part) for part in (rows, held_out)]
        inside, about = task.inside(space, len(rows)), replace(about, pairs=None)
        return _outside(fit_anew(inside, settings, *parts, about), space, rows, task)
    if task.chooses_size(settings.early_stopping):
        return _fit_of_share(task, settings, rows, held_out, about)
    if task.can_lead and held_out is None:
        fit = _fit_in_leading_space(task, settings, rows, about)
        if fit is not None:
            return fit
    return _trained(task, settings, rows, held_out, about)


def _trained(task, settings, rows, held_out, about, before=None):
    """Return the `Fit` of one model, trained on rows as they are."""
    task.check()
    rng = private_random_state(about.random_state)
    if before is None:
        baseline = task.baseline(rows, task.n_components, rng)
        task = task.sized(len(baseline.deviations), len(rows))
    else:
        baseline = before.present_baseline
    with training(task, settings, rng, about.progress, about.checkpoint) as trainer:
        trained = trainer.train(baseline, rows, held_out, before, about.pairs)
        model = trainer.settled(trained, rows)
        model.attributes |= trainer.task.describe(model, rows)
    curves = trained.history, trained.held_out_curve
    state = trained.optimizer_state
    return Fit(model, trained.best_iter, *curves, state, trainer.interrupted, trained.explained)


def _fit_in_leading_space(task, settings, rows, about):
    """Return a fit along the leading axes of rows; None where much would stay outside."""
    rng = private_random_state(about.random_state)
    space = leading_space(rows, task.n_components, rng, task.targets_to_keep(rows))
    if space is None:
        return None
    inside = replace(task.inside(space, len(rows)), n_components=len(space.model.deviations))
    fit = _trained(inside, settings, space.inside(rows), None, about)
    losses = fit.held_out_curve or [row["train_loss"] for row in fit.history]
    if not fit.interrupted and fit.best_iter and space.lacks(min(losses), task.share):
        return None
    curve = [space.loss(loss, task.share) for loss in fit.held_out_curve]
    return replace(_outside(fit, space, rows, task), held_out_curve=curve)


def _outside(fit, space, rows, task):
    """Return a fit in a space as one of the columns."""
    model = fit.model.outside(space, rows, task)
    model.attributes |= moments_of(model, rows)
    return replace(fit, model=model, optimizer_state=None)


def _fit_of_share(task, settings, rows, held_out, about):
    """Return the fit of the fewest components found that explain the share asked for.

    What a fit leaves unexplained, over what PCA of its size does, tells how
    many components the next one needs. Where none of them explains the share
    there are as many as PCA needs.
    """
    asked, settings = task.n_components, replace(settings, measures=True)
    baseline = task.baseline(rows, asked, private_random_state(about.random_state))
    left = _unexplained(baseline)
    k, fits = _fewest(FIRST_RATIO * left, asked), {}
    while k not in fits and len(fits) < MOST_FITS:
        fits[k] = fit = fit_anew(replace(task, n_components=k), settings, rows, held_out, about)
        if fit.interrupted:
            return _asked_for(fit, asked, baseline)
        k = _fewest((1 - fit.explained) / left[k - 1] * left, asked)
    enough = [k for k, fit in fits.items() if fit.explained >= asked]
    k = min(enough, default=len(left))
    if k not in fits:
        fits[k] = fit_anew(replace(task, n_components=k), settings, rows, held_out, about)
    return _asked_for(fits[k], asked, baseline)


def _unexplained(baseline):
    """Return what 1, 2, ... components of a linear model leave unexplained."""
    shares = baseline.explained if baseline.shares is None else baseline.shares
    return np.maximum(1 - shares, np.finfo(float).eps)


def _fewest(left, asked):
    """Return the fewest components that leave no more than is asked for; else all."""
    enough = np.flatnonzero(left <= 1 - asked)
    return int(enough[0]) + 1 if len(enough) else len(left)


def _asked_for(fit, share, baseline):
    """Return a fit whose model tells what was asked for.

    An ordered code is no longer than it needs to be, and beside a baseline that is.
    """
    if fit.model.task.ordered:
        shares = np.cumsum(fit.model.attributes["explained_variance_ratio_"])
        fit = replace(fit, model=fit.model.truncated(_fewest(1 - shares, share)))
        if fit.model.schema.blocks is None:
            fit.model.baseline = baseline
    fit.model.task = replace(fit.model.task, n_components=share)
    return fit


def fit_batch(task, settings, rows, *, random_state=None, progress=None, before=None, n_before=0):
    """Fit a task to the batch of a stream, in one epoch; parameters as in `fit_model`.

    ``n_before`` is the number of batches so far. The settings have the state
    of the optimizer. No rows are held out. PCA is brought up to date instead.
    """
    task.check()
    rng = private_random_state(random_state)
    if before is None:
        baseline = task.baseline(rows, task.n_components, rng)
        task.check_first_batch(rows, baseline)
        task = task.sized(len(baseline.deviations), np.inf)
    else:
        baseline = before.present_baseline
    if task.is_pca and (before is None or before.is_pca):
        return _updated_pca(task, settings, rows, baseline, before)
    with training(task, settings, rng, progress, n_before=n_before) as trainer:
        trainer.settings = replace(
            trainer.settings,
            max_iter=1,
            learning_rate=PARTIAL_RATE * settings.learning_rate,
            decay_from=1.0,
            averaging=False,
            warm_up=0,
        )
        trained = trainer.without_baseline(trainer.module(baseline, before), baseline, rows)
    model = task.model.settled(task, trained.module, baseline, settings.device, before=before)
    model.attributes.pop("explained_variance_ratio_", None)
    model.attributes |= task.describe(model, rows)
    if before is not None:
        model.attributes["n_samples_"] += before.attributes.get("n_samples_", 0)
    return Fit(model, trained.best_iter, trained.history, [], trained.optimizer_state)


def _updated_pca(task, settings, rows, baseline, before):
    """Return the `Fit` of PCA of a batch, or of all rows so far."""
    if before is not None:
        n_before = before.attributes.get("n_samples_")
        if n_before is None:
            raise ValueError(
                "An earlier release of skae saved this model without the number of its rows, so its "
                "training cannot go on: call fit first."
            )
        baseline = task.of_pca(updated(baseline, n_before, rows))
    model = task.model.settled(task, None, baseline, settings.device)
    if before is None:
        model.attributes |= moments_of(model, rows)
    else:
        model.attributes |= moments_of_pca(model, n_before + rows.n_repeated)
    return Fit(model, 0, [], [])


def fine_tuned(model, settings, rows, *, random_state=None, progress=None):
    """Return a model that was trained on rows for a few epochs more."""
    if not model.nonlinear:
        return model
    rng = private_random_state(random_state)
    with training(model.task, settings, rng, progress) as trainer:
        model = trainer.fine_tune(model, rows)
    model.attributes |= model.task.describe(model, rows)
    return model
