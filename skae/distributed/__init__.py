"""Fits whose rows are on several machines.

On a Dask cluster this needs dask and distributed (extra ``dask``); under ``torchrun`` it needs nothing more.

Examples
--------
A fit on a cluster; here its two workers are threads of this process:

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

from numbers import Integral, Real

from skae._data.streams import Stream
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
    float64. Each step of training takes a batch b of all rows. Rank r computes the
    part of the gradient that belongs to its own rows :math:`b_r` of the batch:

    .. math:: g = \sum_r \frac{|b_r|}{|b|} \nabla \frac{1}{|b_r|}
        \sum_{i \in b_r} w_i \ell_i(\theta)

    with weights w of mean 1. One all-reduce (gloo) adds the parts, and all ranks take the same
    step. Held-out rows, batches and noise depend on the row numbers, not on the rank that has
    the row. So the result is that of ``ae.fit`` on all rows up to rounding, whatever the
    number of workers and partitions. (Training amplifies rounding: scores differ far less than
    between seeds, but single weights differ after many steps.) Equal partitions and an equal
    number of workers give the same bits. Two things of ``fit`` are left out: tables of up to
    500 rows have held-out rows instead of folds, and wide tables are not trained along their
    leading principal axes.

    In `AdversarialAutoencoder`, `ContractiveAutoencoder`, `ContrastiveEncoder`,
    `SparseAutoencoder`, and with ``noise="swap"``, the loss of a row depends on the other rows of
    its batch. There every rank receives the whole batch and does all of the work: more rows
    fit into memory, but no step gets faster.

    **With Dask** the ranks are tasks on the workers of ``client``, at most one on each.

    **With torchrun**, or where ``torch.distributed.init_process_group`` was called, or RANK,
    WORLD_SIZE, MASTER_ADDR and MASTER_PORT are set, every rank calls `fit` with its own rows and
    without a client. All have the same fitted estimator afterwards.

    **If a worker is lost**, the others notice at once, or after ``timeout`` if it is silent. All
    stop. The fit waits ten seconds for it to come back, then resumes with the workers that are
    there, from the last state (one every 30 seconds). Dask computes lost partitions again; a
    checksum tests that they come out the same.

    Parameters
    ----------
    ae : object
        An `AutoencoderTransformer`, `AdversarialAutoencoder`, `ContractiveAutoencoder`, `ContrastiveEncoder`,
        `ConvolutionalAutoencoder`, `DenoisingAutoencoder`, `RecurrentAutoencoder`, `SparseAutoencoder` or
        `VAETransformer`. It is changed only at the end of a fit that succeeds.
    X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
        As for ``ae.fit``, but not sparse. Each partition has whole rows; some may be empty, and
        categories may have different levels in each. Workers beyond the number of partitions with
        rows have nothing to do. In a rank of ``torchrun``: an array or a frame with at least one row.
    y : None
        Ignored.
    sample_weight : dask.array.Array, dask.dataframe.Series, str or int, default=None
        Weight of each row, in the partitions of ``X``; or the column of ``X`` that holds the
        weights (its position in an array), which is then not a feature. In a rank of ``torchrun``:
        an array with the weights of its rows, or that column. Rows of weight zero are left out.
    client : distributed.Client, default=None
        The client of the cluster; by default the one that was made last.
    checkpoint : str or path-like, default=None
        File for the state of the fit, on the machine that calls `fit` (with ``torchrun``: that of
        the first rank). A later call with the same rows and parameters resumes from it. By default
        the estimator's own ``checkpoint``; without one the process that calls `fit` keeps the
        state in memory.
    retries : int, default=2
        How often a fit on a cluster may be restarted.
    timeout : float, default=60
        Seconds without an answer after which a worker or the scheduler is considered lost. It must
        be longer than rows need to reach a worker, and than held-out rows take to be judged.

    Returns
    -------
    ae : object
        The same estimator, fitted.

    Raises
    ------
    WorkerLost
        If workers were lost more than ``retries`` times. It has their addresses (``workers``) and
        the ``epoch``; within ranks of ``torchrun`` the epoch alone.
    SchedulerLost
        If the scheduler is gone, or has not answered for ``timeout`` seconds.
    TypeError
        For other estimators, for streams, for what is no client, and if ``client`` is given but X is
        not a Dask collection.
    ValueError
        If partitions differ in their columns, or came out differently when they were computed
        again; for parameters that need all rows in one place: ``pretraining``, ``callbacks``,
        ``warm_start``, and your own optimizers, modules and noises.

    References
    ----------
    Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour,
    2017, https://arxiv.org/abs/1706.02677;
    Li et al., PyTorch distributed: experiences on accelerating data parallel
    training, 2020, DOI 10.14778/3415478.3415530
    """
    numbers = isinstance(retries, Integral) and isinstance(timeout, Real)
    if not (numbers and retries >= 0 and timeout > 0):
        raise ValueError(
            f"retries={retries!r}, timeout={timeout!r}: expected an int of at least 0 retries, and a timeout "
            "above 0 seconds."
        )
    if isinstance(X, Stream):
        raise TypeError(
            f"X is a stream, which one machine reads: call {type(ae).__name__}.fit, or pass a Dask array "
            "or dataframe of the same files."
        )
    if client is None and not hasattr(X, "__dask_graph__"):
        return _torchrun.fit_in_rank(ae, X, sample_weight, checkpoint, timeout)
    if _dask is None:
        raise ModuleNotFoundError(
            "Fits on a Dask cluster need dask and distributed: pip install 'skae[dask]'."
        )
    return _dask.fit_on_cluster(ae, X, sample_weight, client, checkpoint, retries, timeout)
