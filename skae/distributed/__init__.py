"""Fits whose rows are on several machines.

The extra ``dask`` installs what fits on a Dask cluster need: dask and distributed. Those
within the ranks of ``torchrun`` need nothing more.

Examples
--------
A fit on a cluster, here of two workers in this very process:

>>> import dask.array as da
>>> from distributed import Client
>>> from sklearn.datasets import load_digits
>>> from sklearn.preprocessing import StandardScaler
>>> import skae.distributed
>>> from skae import AutoencoderTransformer
>>> X = StandardScaler().fit_transform(load_digits().data)
>>> rows = da.from_array(X, chunks=(600, 64))
>>> client = Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0")
>>> ae = AutoencoderTransformer(8, max_iter=3, early_stopping=False, random_state=0)
>>> ae = skae.distributed.fit(ae, rows, client=client)
>>> codes = rows.map_blocks(ae.transform, chunks=(rows.chunks[0], (8,)), dtype=X.dtype)
>>> codes.compute().shape
(1797, 8)
>>> here = AutoencoderTransformer(8, max_iter=3, early_stopping=False, random_state=0).fit(X)
>>> bool(abs(ae.score(X) - here.score(X)) < 1e-5)
True
>>> client.close()
"""

from skae.distributed import _torchrun
from skae.distributed._lost import SchedulerLost, WorkerLost

try:
    from skae.distributed import _dask
except ModuleNotFoundError as error:
    if error.name not in ("dask", "distributed"):
        raise
    _dask = None

__all__ = ["SchedulerLost", "WorkerLost", "fit"]


def fit(ae, X, y=None, sample_weight=None, *, client=None, checkpoint=None, retries=2, timeout=60):
    r"""Fit an estimator to rows that are on several machines.

    Rows stay where they are. Means, scales and PCA are sums over all rows, in
    float64. Each step of training draws a batch b of all rows, and every
    rank r adds what its own rows :math:`b_r` tell of the gradient:

    .. math:: g = \sum_r \frac{|b_r|}{|b|} \nabla \frac{1}{|b_r|}
        \sum_{i \in b_r} w_i \ell_i(\theta)

    (the weights w have a mean of 1) with one all-reduce (gloo) of one vector, after which all take the same
    step of the same optimizer. Held-out rows, batches and noise are drawn by the
    rows' numbers, whoever has them: the result is that of
    ``ae.fit`` on all rows, up to rounding, whatever the number of workers and
    partitions. (Training amplifies rounding: scores agree far within the spread over
    seeds, single weights after many steps do not.) The same partitions and
    number of workers give the same bits. Two things of ``fit`` are left out: small tables have
    held-out rows instead of folds, and wide ones are not trained along their
    leading principal axes.

    In `AdversarialAutoencoder`, `ContractiveAutoencoder`, `ContrastiveEncoder`,
    `SparseAutoencoder` and with ``noise="swap"`` the loss of a row depends on the others of
    its batch: every rank gets all of them, and takes the step by itself. The
    rows are shared out there, the work is not.

    With a Dask collection the ranks are tasks on the workers of ``client``, at most one
    on each. Without a client, and with rows of any other kind,
    this is a rank that ``torchrun`` (or whoever
    sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, or has called
    ``torch.distributed.init_process_group``) has started: all ranks call
    `fit` with their own rows, and all have the same fitted estimator
    afterwards.

    **Where a worker is lost** the others notice at once, or after ``timeout`` where
    it is silent. All ranks end, and the fit begins again on who is left or has come back within
    ten seconds, from the last state (one every 30 seconds). Dask computes
    lost partitions again: they must come out the same, which is checked.

    Parameters
    ----------
    ae : object
        One of these, `AutoencoderTransformer`, `ConvolutionalAutoencoder`, `DenoisingAutoencoder`,
        `RecurrentAutoencoder` or `VAETransformer`. Changed at the end of a fit that succeeds, and
        not before.
    X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
        As for ``ae.fit``, but not sparse. Partitions of whole rows, as many as workers or
        more; some may be empty, and columns of categories may have other levels in each. Or, in a
        rank, its own rows: an array or a frame, with one row at least.
    y : None
        Ignored.
    sample_weight : dask.array.Array, dask.dataframe.Series, str or int, default=None
        Weight of each row, in partitions like those of ``X``; or the column of
        ``X`` (of an array its place) that holds them, which is then no feature. In a
        rank, an array of its own rows' weights, or that column. As in ``ae.fit``, rows of weight
        zero are left out.
    client : distributed.Client, default=None
        Of the cluster; by default the one that was made last.
    checkpoint : str or path-like, default=None
        File for the state of the fit, in a folder of the machine that calls `fit`
        (of the first rank). A later call with the same rows and parameters goes on
        where it ends. By default that of the estimator, if any; without one a
        cluster's driver keeps the state in memory.
    retries : int, default=2
        How often a fit on a cluster may begin again.
    timeout : float, default=60
        Seconds without an answer after which a worker or the scheduler is lost: more than the
        slowest epoch's judgement takes, and than rows need to travel
        to a worker.

    Returns
    -------
    ae : object
        The estimator, fitted as by ``ae.fit``.

    Raises
    ------
    WorkerLost
        If workers were lost more than ``retries`` times. It has ``workers``, their
        addresses, and ``epoch``.
    SchedulerLost
        If the scheduler is gone, or does not answer for ``timeout``.
    TypeError
        For other estimators, and rows that are no Dask collection beside a client.
    ValueError
        For partitions that differ in form, or that
        came out differently when they were computed again; for parameters
        that need all rows in one place: ``pretraining``, ``callbacks``, other optimizers,
        modules and noises of your own, ``warm_start``.

    References
    ----------
    Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour,
    2017, https://arxiv.org/abs/1706.02677;
    Li et al., PyTorch distributed: experiences on accelerating data parallel
    training, 2020, DOI 10.14778/3415478.3415530
    """
    if retries < 0 or timeout <= 0:
        raise ValueError(
            f"retries={retries!r} must be 0 or more, and timeout={timeout!r} seconds above 0."
        )
    if client is None and not hasattr(X, "__dask_graph__"):
        return _torchrun.fit_in_rank(ae, X, sample_weight, checkpoint, timeout)
    if _dask is None:
        raise ModuleNotFoundError(
            "Fits on a Dask cluster need dask and distributed: pip install 'skae[dask]'."
        )
    return _dask.fit_on_cluster(ae, X, sample_weight, client, checkpoint, retries, timeout)
