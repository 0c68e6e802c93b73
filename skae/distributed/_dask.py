"""A fit on a Dask cluster: ranks are started, watched, and started again where one is lost."""

import time
import uuid
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from numbers import Integral
from urllib.parse import urlparse

import dask
import distributed
import numpy as np
from scipy.optimize import linear_sum_assignment
from torch.distributed import DistError, TCPStore

from skae._data.stream_rows import joined
from skae._data.streams import located
from skae._training import Checkpoint, key
from skae.distributed._cluster import PAUSE, SLACK, Cluster
from skae.distributed._job import Job, Part, SharedCheckpoint, checked, checksum, learn, seed_of
from skae.distributed._lost import WorkerLost
from skae.distributed._ranks import Broken, gloo

SECONDS = 30.0  # between two states of a fit that are kept
RETURN_SECONDS = 10.0  # that a worker which was lost has to come back

_stores = {}  # of groups that begin in this process


# in the driver --------------------------------------------------------------------------------


def fit_on_cluster(ae, X, sample_weight, client, checkpoint, retries, timeout):
    """Fit an estimator as `skae.distributed.fit` does."""
    checked(ae)
    partitions = _partitions(X, sample_weight)
    cluster = Cluster(_checked(client or _default_client()), timeout)
    n_workers = len(cluster.at_least_one())
    parts = Parts(cluster, cluster.client.compute(partitions))
    task, settings, looks = learn(ae, parts.first, parts.each)
    table = Table.of(parts.futures, looks)
    path = ae.checkpoint if checkpoint is None else checkpoint
    identity = key(type(ae).__name__, ae.get_params(deep=False), table.sums)
    kept = None if path is None else Checkpoint(path, identity)
    job = Job(task, settings, seed_of(ae, kept), identity, timeout, SECONDS)
    fit = Tries(cluster, table, job, retries, kept).fit(n_workers)
    ae._set_fitted(fit, settings)
    if kept is not None:
        kept.finish()
    return ae


def _default_client():
    try:
        return distributed.default_client()
    except ValueError as error:
        raise ValueError(
            "There is no Dask client: pass client=distributed.Client(...), or start one first."
        ) from error


def _checked(client):
    if not isinstance(client, distributed.Client) or client.asynchronous:
        raise TypeError(
            f"client={client!r}: expected a distributed.Client, not an asynchronous one, such as "
            "Client(cluster)."
        )
    return client


def _partitions(X, weight):
    """Return the `Part` of each partition of a Dask array or dataframe, in their order, delayed."""
    if not _is_collection(X, 2):
        raise TypeError(
            f"X is {type(X).__name__}: expected a Dask array or dataframe with rows and columns. (With "
            "torchrun leave out client, and pass the rows of this rank.)"
        )
    if hasattr(X, "rechunk"):
        X = X.rechunk({1: -1})
    rows = np.ravel(X.to_delayed())
    return [dask.delayed(Part)(*pair) for pair in zip(rows, _weights(X, weight), strict=True)]


def _is_collection(X, n_dimensions):
    shape = getattr(X, "shape", None)  # of a Delayed it is another Delayed
    return isinstance(shape, tuple) and len(shape) == n_dimensions and hasattr(X, "to_delayed")


def _weights(X, weight):
    """Return the weights of each partition, or the column that holds them."""
    n_parts = X.npartitions
    if weight is None or isinstance(weight, str | Integral):
        return [weight] * n_parts
    if not _is_collection(weight, 1):
        raise TypeError(
            f"sample_weight is {type(weight).__name__}: expected a Dask array or series with a weight "
            "for each row of X, or the column of X that holds the weights."
        )
    are_arrays = hasattr(weight, "rechunk") and hasattr(X, "rechunk")
    if are_arrays and weight.shape == X.shape[:1]:
        weight = weight.rechunk((X.chunks[0],))
    if weight.npartitions != n_parts:
        raise ValueError(
            f"sample_weight has {weight.npartitions} partitions, but X has {n_parts}: give both "
            "the same partitions."
        )
    return np.ravel(weight.to_delayed())


@dataclass(frozen=True)
class Parts:
    """The partitions, as they are computed."""

    cluster: Cluster
    futures: list

    def first(self, function, *given):
        """Return a function of the first partition with rows."""
        for place, future in enumerate(self.futures):
            about = function, given
            told = self.cluster.client.submit(_heard_of_part, future, place, *about, pure=False)
            ((found, warned),) = self.cluster.results([told])
            if found is not None:
                _warn(warned)
                return found
        raise ValueError("X has no rows.")

    def each(self, function, *given):
        """Return a function of each partition; None of those without rows."""
        places = range(len(self.futures))
        about = {"function": function, "given": given, "pure": False}
        return self.cluster.results(
            self.cluster.client.map(_of_part, self.futures, places, **about)
        )


@dataclass(frozen=True)
class Table:
    """The partitions that have rows, in their order."""

    parts: list
    sizes: list
    sums: list

    @classmethod
    def of(cls, parts, looks):
        """Return what was seen of all partitions."""
        some = [place for place, look in enumerate(looks) if look is not None and look.n_rows]
        sizes, sums = zip(*((looks[i].n_rows, looks[i].checksum) for i in some), strict=True)
        return cls([parts[place] for place in some], sizes, sums)

    @property
    def n_rows(self):
        return sum(self.sizes)

    def dealt(self, n_workers):
        """Return the partitions of each rank: neighbours, of about as many rows.

        The same for as many workers, whoever they are.
        """
        middle = np.cumsum(self.sizes) - np.array(self.sizes) / 2
        owner = (middle * min(n_workers, len(self.sizes)) // self.n_rows).astype(int)
        return [np.flatnonzero(owner == rank) for rank in np.unique(owner)]


@dataclass
class Tries:
    """The tries of one fit.

    Attributes
    ----------
    cluster : Cluster
    table : Table
    job : Job
    left : int
        How often it may begin anew.
    kept : Checkpoint or None
        Writes the file.
    saved : bytes
        The last state that a rank handed on.
    epoch : int
        The last epoch that was heard of.
    """

    cluster: Cluster
    table: Table
    job: Job
    left: int
    kept: object
    saved: bytes = b""
    epoch: int = 0
    name: str = field(default_factory=lambda: f"skae-{uuid.uuid4().hex}")

    def __post_init__(self):
        """Begin with what is in the file, if anything is."""
        if self.kept is not None and self.kept.trainings:
            self.saved = bytes(self.kept.content())

    def fit(self, n_workers):
        """Return the `Fit`; ``n_workers`` were there when rows began to be read."""
        while True:
            workers = self.cluster.come_back(n_workers, RETURN_SECONDS)
            fit, lost = self._try(workers)
            if fit is not None:
                return fit
            if not self.left:
                raise self._worker_lost(lost)
            self.left, n_workers = self.left - 1, len(workers)

    def _worker_lost(self, lost):
        who = f"Lost {', '.join(lost)}" if lost else "A worker did not answer in time"
        return WorkerLost(
            f"{who} in epoch {self.epoch}, and no retries were left. The estimator has not changed. Raise "
            "retries, or timeout if workers are slow rather than lost, and call fit with the same "
            "checkpoint to resume.",
            lost,
            self.epoch,
        )

    def _try(self, workers):
        """Return the fit of a try, or None and the workers that were lost."""
        client, name = self.cluster.client, f"{self.name}-{self.left}"
        self.cluster.results(client.map(len, self.table.parts, pure=False))
        dealt = self.table.dealt(len(workers))
        places = self._places(dealt, workers)
        state = distributed.Variable(name, client=client)
        self.cluster.call(partial(state.set, (self.saved, self.epoch), asynchronous=True))
        futures = [client.submit(_open_store, name, self.job.timeout, **_only_on(places[0]))]
        try:
            found, lost = self._watch(futures, places[:1], state)
            if lost is None:
                futures = self._submit(dealt, places, name, found)
                found, lost = self._watch(futures, places, state)
            if lost is not None:
                return None, lost
            fit, told = found
            _warn(told)
            return fit, None
        finally:
            with suppress(OSError, RuntimeError):  # of a scheduler that is gone
                self.cluster.check()
                self._keep(state)
                client.cancel(futures)
                state.delete()

    def _submit(self, dealt, places, name, port):
        """Start the ranks, each on its worker."""
        submitted = []
        for rank, (own, address) in enumerate(zip(dealt, places, strict=True)):
            sums = [self.table.sums[i] for i in own]
            about = Rank(rank, len(places), name, places[0], port, address, sums)
            parts = [self.table.parts[i] for i in own]
            given = about, self.job, self.saved, parts
            submitted.append(self.cluster.client.submit(_run, *given, **_only_on(address)))
        return submitted

    def _places(self, dealt, workers):
        """Return the worker of each rank: where most of its rows are."""
        keys = [part.key for part in self.table.parts]
        who_has = self.cluster.call(self.cluster.client.scheduler.who_has, keys=keys)
        here = np.zeros((len(dealt), len(workers)))
        for rank, own in enumerate(dealt):
            for i in own:
                for address in who_has.get(keys[i], ()):
                    if address in workers:
                        here[rank, workers.index(address)] += self.table.sizes[i]
        return [workers[place] for place in linear_sum_assignment(-here)[1]]

    def _watch(self, futures, places, state):
        """Wait for futures; return the first one's result, and None or the workers lost."""
        deadline, written = None, time.monotonic()
        while True:
            states = self.cluster.states(futures)
            workers = self.cluster.workers()
            gone = [address for address in places if address not in workers]
            done = [state == "finished" for state in states]
            at_work = [p for p, is_done in zip(places, done, strict=True) if not is_done]
            if not at_work or (gone and set(at_work) <= set(gone)):
                return self._ended(futures, states, gone)
            if (gone or any(done)) and deadline is None:
                deadline = time.monotonic() + self.job.timeout + SLACK
            if deadline is not None and time.monotonic() > deadline:
                return self._ended(futures, states, gone or at_work)
            if self.kept is not None and time.monotonic() - written > self.job.seconds:
                self._keep(state)
                written = time.monotonic()
            time.sleep(PAUSE)

    def _ended(self, futures, states, gone):
        """Return the first rank's result and None; or the workers that were lost."""
        alive = [f for f, state in zip(futures, states, strict=True) if state == "finished"]
        try:
            found = self.cluster.gathered(alive)
        except (TimeoutError, OSError):  # of a worker that was lost at the end
            return None, gone
        if states[0] == "finished" and not isinstance(found[0], Lost):
            return found[0], None
        told = [result.epoch for result in found if isinstance(result, Lost)]
        self.epoch = max([self.epoch, *told])
        return None, gone

    def _keep(self, state):
        """Take the last state that was handed on, and write it."""
        self.saved, epoch = self.cluster.call(partial(state.get, asynchronous=True))
        self.epoch = max(self.epoch, epoch)
        if self.kept is not None and self.saved:
            self.kept.write(self.saved)


def _warn(told):
    """Warn here of what was warned of in a worker."""
    for message, category in told:
        warnings.warn(message, category, stacklevel=6)


def _only_on(address):
    """Return how a task is submitted to one worker: it must not run on another, or twice."""
    return {"workers": [address], "allow_other_workers": False, "pure": False}


# in the workers -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rank:
    """Which rank a task is, and where it meets the others.

    ``sums`` are what its partitions' content must be: they may have been computed again.
    """

    rank: int
    n_ranks: int
    name: str
    first: str
    port: int
    address: str
    sums: list

    def store(self, timeout):
        """Return where the ranks find each other: the first rank's process has it."""
        if self.rank == 0:
            return _stores.pop(self.name)
        about = {"is_master": False, "wait_for_workers": False}
        return TCPStore(_host(self.first), self.port, timeout=timedelta(seconds=timeout), **about)


@dataclass(frozen=True)
class Lost:
    """What a rank returns that lost another one: the epoch."""

    epoch: int


def _of_part(part, place, function, given):
    """Return a function of a partition; None of one without rows."""
    with located(f"Partition {place} of X"):
        return function(part, *given) if len(part) else None


def _heard_of_part(*about):
    """Return the same, and its warnings."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = _of_part(*about)
    return found, _as_pairs(told)


def _as_pairs(told):
    """Return messages and categories of warnings."""
    return [(str(warned.message), warned.category) for warned in told]


def _open_store(name, timeout):
    """Open what ranks meet by, on a free port; return the port."""
    about = {"is_master": True, "wait_for_workers": False, "timeout": timedelta(seconds=timeout)}
    _stores[name] = TCPStore("localhost", 0, **about)
    return _stores[name].port


def _run(about, job, saved, parts):
    """Be a rank; return the fit and its warnings, or the epoch in which another was lost."""
    matrix, weight = _rows(about, job.task.schema, parts)
    state = distributed.Variable(about.name)
    hand_on = partial(_hand_on, state) if about.rank == 0 else None
    checkpoint = SharedCheckpoint(job, saved, hand_on, _look_for_end())
    try:
        store = about.store(job.timeout)
        group = gloo(store, about.rank, about.n_ranks, _host(about.address), job.timeout)
        with group as ranks, warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            fit = job.run(ranks, matrix, weight, checkpoint)
    except (Broken, DistError):
        return Lost(checkpoint.n_epochs)
    return (fit, _as_pairs(told)) if about.rank == 0 else None


def _rows(about, schema, parts):
    """Return the rows of a rank's partitions, and their weights."""
    read = [part.coded(schema) for part in parts]
    if [checksum(*part) for part in read] != about.sums:
        raise ValueError(
            "A partition that was lost came out otherwise when it was computed again, and the fit "
            "cannot go on: X must be the same each time, for example read from files, or drawn "
            "with a seed."
        )
    return read[0] if len(read) == 1 else joined(read)


def _look_for_end():
    """Return what ends a rank whose task was cancelled: nobody waits for it."""
    worker = distributed.get_worker()
    key = worker.get_current_task()

    def look():
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise Broken("The task was cancelled.")

    return look


def _hand_on(state, content, n_epochs):
    """Give the state of the fit to who watches; if that fails, there will be a next time."""
    with suppress(OSError, TimeoutError):
        state.set((content, n_epochs))


def _host(address):
    return urlparse(address).hostname
