"""A fit within the ranks that torchrun, or a program of the user's, has started."""

import os
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

from torch import distributed as dist

from skae._training import Checkpoint, key
from skae.distributed._job import Job, Part, SharedCheckpoint, checked, learn, seed_of
from skae.distributed._lost import WorkerLost
from skae.distributed._ranks import Broken, Ranks

SECONDS = 30.0  # between two states of a fit that are kept


def fit_in_rank(ae, X, sample_weight, checkpoint, timeout):
    """Fit an estimator to the rows of all ranks, as `skae.distributed.fit` does."""
    with _ranks(timeout) as ranks:
        try:
            fit, settings = _fit(ae, Part(X, sample_weight), ranks, checkpoint, timeout)
        except Broken as error:
            raise WorkerLost(
                f"{error}, in epoch {error.epoch}. The estimator has not changed. Start all ranks again with "
                "the same checkpoint to resume (torchrun --max-restarts does that).",
                epoch=error.epoch,
            ) from error
    ae._set_fitted(fit, settings)
    return ae


@contextmanager
def _ranks(timeout):
    """Yield the ranks that were started.

    The process-wide group by which they meet stays for later fits: if it were ended and begun
    again, a rank that is ahead might meet the old one.
    """
    begun = dist.is_initialized()
    if not begun and "RANK" not in os.environ:
        raise ValueError(
            "X is neither a Dask array nor a dataframe, and this is no rank of torchrun: pass a Dask "
            "collection, or start this program with torchrun."
        )
    wait = timedelta(seconds=timeout)
    if not begun:
        dist.init_process_group("gloo", timeout=wait)
    group = dist.new_group(backend="gloo", timeout=wait)
    try:
        yield Ranks(group)
    finally:
        dist.destroy_process_group(group)


def _fit(ae, part, ranks, checkpoint, timeout):
    with ranks.failing_together():
        asked = key(type(checked(ae)).__name__, ae.get_params(deep=False))
    others = ranks.of_all((asked, repr(ae)))
    for rank, (other, said) in enumerate(others):
        if other != others[0][0]:
            raise ValueError(
                "The estimator must have the same parameters in all ranks. "
                f"Rank 0 has {others[0][1]}, and rank {rank} {said}."
            )
    each = partial(_each, ranks, part)
    task, settings, looks = learn(ae, lambda *given: each(*given)[0], each)
    path = ae.checkpoint if checkpoint is None else checkpoint
    identity = key(type(ae).__name__, ae.get_params(deep=False), [look.checksum for look in looks])
    kept = None
    with ranks.failing_together():
        if path is not None and ranks.rank == 0:
            kept = Checkpoint(path, identity)
    begun = bytes(kept.content()) if kept and kept.trainings else b""
    seed = int(ranks.of_first(str(seed_of(ae, kept)).encode()))
    job = Job(task, settings, seed, identity, timeout, SECONDS)
    hand_on = None if kept is None else lambda content, _: kept.write(content)
    state = SharedCheckpoint(job, ranks.of_first(begun), hand_on, lambda: None)
    try:
        fit = job.run(ranks, *part.coded(task.schema), state)
    except Broken as error:
        error.epoch = state.n_epochs
        raise
    if kept is not None:
        kept.finish()
    return fit, settings


def _each(ranks, part, function, *given):
    """Return a function of the rows of each rank."""
    with ranks.failing_together():
        if not len(part):
            raise ValueError("X has no rows: each rank must have some.")
        found = function(part, *given)
    return ranks.of_all(found)
