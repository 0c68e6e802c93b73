"""Fits whose rows are on several machines."""

from skae.distributed._cluster import SchedulerLost, WorkerLost

__all__ = ["SchedulerLost", "WorkerLost", "fit"]


def fit(ae, X, y=None, *, client=None, checkpoint=None, retries=2, timeout=60):
    """Fit."""
    if client is None and not hasattr(X, "__dask_graph__"):
        from skae.distributed._torchrun import fit_in_rank

        return fit_in_rank(ae, X, checkpoint, timeout)
    from skae.distributed._dask import fit_on_cluster

    return fit_on_cluster(ae, X, client, checkpoint, retries, timeout)
