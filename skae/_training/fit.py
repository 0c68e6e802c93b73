"""What one fit does: start at the baseline, train, let held-out rows judge, and finish on all rows."""

from dataclasses import dataclass, replace

import numpy as np

from skae._linear.incremental import updated
from skae._linear.row_space import row_space
from skae._model.moments import moments_of, moments_of_pca
from skae._parameters import private_random_state
from skae._training.checkpoint import NoCheckpoint
from skae._training.trainer import training

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
    """

    model: object
    best_iter: int
    history: list
    held_out_curve: list
    optimizer_state: dict | None = None
    interrupted: bool = False


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
    about = {"random_state": random_state, "progress": progress, "checkpoint": checkpoint}
    if before is not None and before.is_pca:
        before = None  # the best is found at once, wherever it starts
    space = row_space(rows, held_out) if before is None and task.can_turn else None
    if space is not None:
        parts = [part and space.inside(part) for part in (rows, held_out)]
        fit = fit_model(task.inside(space, len(rows)), settings, *parts, **about)
        model = fit.model.outside(space, rows, task)
        model.attributes |= moments_of(model, rows)
        return replace(fit, model=model, optimizer_state=None)
    task.check()
    checkpoint = checkpoint or NoCheckpoint()
    rng = private_random_state(checkpoint.seed(random_state))
    if before is None:
        baseline = task.baseline(rows, task.n_components, rng)
        task = task.sized(len(baseline.deviations), len(rows))
    else:
        baseline = before.present_baseline
    with training(task, settings, rng, progress, checkpoint) as trainer:
        chooses = before is None and task.chooses_size(settings.early_stopping)
        if chooses:
            trainer.compare_prefixes()
        trained = trainer.train(baseline, rows, held_out, before, pairs)
        model = trainer.settled(trained, rows)
        if chooses:
            model = trainer.choose_size(model, trained.prefix_shares, rows)
        model.attributes |= trainer.task.describe(model, rows)
    if not trainer.interrupted:
        checkpoint.finish()
    optimizer_state = None if chooses else trained.optimizer_state
    curves = trained.history, trained.held_out_curve
    return Fit(model, trained.best_iter, *curves, optimizer_state, trainer.interrupted)


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
    model.attributes["n_samples_"] += (
        0 if before is None else before.attributes.get("n_samples_", 0)
    )
    return Fit(model, trained.best_iter, trained.history, [], trained.optimizer_state)


def _updated_pca(task, settings, rows, baseline, before):
    """Return the `Fit` of PCA of a batch, or of all rows so far."""
    if before is not None:
        n_before = before.attributes.get("n_samples_")
        if n_before is None:
            raise ValueError(
                "An earlier release of skae saved this model, without the number of its rows: "
                "fit it to rows again, then go on."
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
