"""A fit on a cluster ends: fitted as if nothing had been, or with an error and the estimator as it was.

Real processes, and real signals. ``make test-cluster`` runs the long ones.
"""

import hashlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
from inside import model_of
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

import skae.distributed
from skae import AutoencoderTransformer

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
import dask.array as da  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:max_iter:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif("SKAE_TEST_CLUSTER" not in os.environ, reason="minutes: make test-cluster"),
]

X = StandardScaler().fit_transform(load_digits().data)
TIMEOUT = 60  # of fits here: the machine may be busy


@pytest.fixture(scope="module")
def client():
    """Yield a client of two workers, each a process that its nanny starts again."""
    with started(2) as client:
        yield client


@contextmanager
def started(n_workers):
    """Yield a client of a cluster that does not give up a worker which takes longer to start than 15 s."""
    about = {"threads_per_worker": 1, "dashboard_address": ":0", "host": "127.0.0.1"}
    about["silence_logs"] = logging.CRITICAL
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "120s"}),
        distributed.LocalCluster(n_workers=n_workers, **about) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def often(monkeypatch):
    """Keep the state of a fit often, and wait long for workers."""
    monkeypatch.setattr("skae.distributed._dask.SECONDS", 0.05)
    monkeypatch.setattr("skae.distributed._dask.RETURN_SECONDS", 60.0)


@pytest.fixture(autouse=True)
def _whole(request):
    """Wait until the workers that a test killed are back."""
    if "client" in request.fixturenames:
        request.getfixturevalue("client").wait_for_workers(2, timeout=60)


def rows():
    return da.from_array(X, chunks=(600, 64))


def asked(**params):
    """Return an estimator that trains for seconds, not longer."""
    known = {"max_iter": 30, "n_iter_no_change": 30, "batch_size": 32, "random_state": 0}
    return AutoencoderTransformer(8, **(known | params))


def bits(ae):
    """Return checksums: where they differ, nobody reads the bytes."""
    return {name: checksum(array) for name, array in model_of(ae).weights().items()}


def checksum(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


class Trouble(threading.Thread):
    """Sends a signal to a worker.

    Parameters
    ----------
    client : distributed.Client
    how : signal.Signals
    victim : int
    seconds : float
        How long it waits.
    path : Path or None
        A file for which it waits first: of the state of a fit, which is then in its epochs.
    """

    def __init__(self, client, how=signal.SIGKILL, victim=0, seconds=0.0, path=None):
        super().__init__(daemon=True)
        self.pids = client.run(os.getpid)
        self.address = sorted(self.pids)[victim]
        self.how, self.seconds, self.path = how, seconds, path
        self.start()

    def run(self):
        while self.path is not None and not self.path.exists():
            time.sleep(0.02)
        time.sleep(self.seconds)
        os.kill(self.pids[self.address], self.how)

    def noticed(self, client):
        """Wait until the scheduler knows that the worker is gone."""
        self.join()
        while self.address in client.nthreads():
            time.sleep(0.05)


@pytest.fixture(scope="module")
def undisturbed(client):
    return bits(skae.distributed.fit(asked(), rows(), client=client))


def test_a_killed_worker_does_not_end_a_fit(client, undisturbed, tmp_path, often):
    """Where it comes back, the bits are those of a fit that was left alone."""
    path = tmp_path / "fit"
    trouble = Trouble(client, path=path)
    ae = skae.distributed.fit(asked(), rows(), client=client, checkpoint=path, timeout=TIMEOUT)
    assert not trouble.is_alive()
    assert trouble.address not in client.nthreads()
    assert bits(ae) == undisturbed
    assert not path.exists()


def test_an_error_names_the_worker_and_the_next_call_goes_on(client, undisturbed, tmp_path, often):
    ae, path = asked(), tmp_path / "fit"
    about = {"client": client, "checkpoint": path, "timeout": TIMEOUT}
    trouble = Trouble(client, victim=1, path=path)
    with pytest.raises(skae.distributed.WorkerLost, match=trouble.address) as error:
        skae.distributed.fit(ae, rows(), retries=0, **about)
    assert isinstance(error.value, RuntimeError)
    assert error.value.workers == [trouble.address]
    assert error.value.epoch > 0
    assert set(vars(ae)) == set(vars(asked()))
    assert path.exists()
    client.wait_for_workers(2, timeout=60)
    skae.distributed.fit(ae, rows(), **about)
    assert bits(ae) == undisturbed


def test_a_search_on_the_cluster(client):
    search = GridSearchCV(asked(max_iter=2), {"n_components": [2, 4]}, cv=2)
    with joblib.parallel_config("dask"):
        search.fit(X[:, 20:40])
    here = GridSearchCV(asked(max_iter=2), {"n_components": [2, 4]}, cv=2).fit(X[:, 20:40])
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"]
    )


RANK = """
import os, signal, sys, threading, time
from pathlib import Path
import numpy as np
import skae.distributed
from skae import AutoencoderTransformer, save
from skae.distributed import _torchrun

rank, part, path, dies = int(os.environ["RANK"]), sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "dies"
_torchrun.SECONDS = 0.05

def die():
    while not path.exists():
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGKILL)

if dies and rank == 1:
    threading.Thread(target=die).start()
about = {"max_iter": 30, "n_iter_no_change": 30, "batch_size": 32, "random_state": 0}
ae = AutoencoderTransformer(8, **about)
try:
    skae.distributed.fit(ae, np.load(part), checkpoint=path, timeout=60)
except skae.distributed.WorkerLost as error:
    assert error.epoch > 0 and f"in epoch {error.epoch}. The estimator has not" in str(error), error
    assert not hasattr(ae, "mean_")
    sys.exit(3)
save(ae, f"{path}-{rank}.skae")
"""


def in_ranks(tmp_path, path, how):
    """Start two ranks, as torchrun does; return how they ended."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    about = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = []
    for rank in range(2):
        np.save(tmp_path / f"{rank}.npy", np.split(X, [600])[rank])
        command = [sys.executable, "-W", "ignore", "-c", RANK, tmp_path / f"{rank}.npy", path, how]
        ranks.append(subprocess.Popen(command, env=about | {"RANK": str(rank)}))
    return [rank.wait(timeout=200) for rank in ranks]


def test_ranks_of_torchrun_go_on_from_the_checkpoint(tmp_path):
    """The rank that is left says in which epoch; started again, both end at the bits of one left alone."""
    assert in_ranks(tmp_path, tmp_path / "fit", "dies") == [3, -signal.SIGKILL]
    assert (tmp_path / "fit").exists()
    for path in (tmp_path / "fit", tmp_path / "undisturbed"):
        assert in_ranks(tmp_path, path, "lives") == [0, 0]
        assert not path.exists()
    names = (f"{name}-{rank}.skae" for name in ("fit", "undisturbed") for rank in range(2))
    assert len({(tmp_path / name).read_bytes() for name in names}) == 1


# make test-cluster ----------------------------------------------------------------------------


@pytest.mark.parametrize("moment", np.random.default_rng(0).uniform(0, 1, size=20).round(3))
def test_killed_at_any_moment(client, undisturbed, moment, often):
    """From reading partitions to the last steps: a share of the time that a fit takes."""
    begun = time.monotonic()
    skae.distributed.fit(asked(), rows(), client=client)
    whole, within = time.monotonic() - begun, False
    while not within:
        client.wait_for_workers(2, timeout=60)
        trouble = Trouble(client, victim=int(1000 * moment) % 2, seconds=moment * whole)
        begun = time.monotonic()
        ae = skae.distributed.fit(asked(), rows(), client=client, timeout=TIMEOUT)
        took, within = time.monotonic() - begun, not trouble.is_alive()
        whole = min(whole, took)
        trouble.noticed(client)
        assert bits(ae) == undisturbed
    print(f"\nkilled after {trouble.seconds:.2f} s, took {took:.1f} s")


def test_a_stopped_worker_is_lost_after_the_timeout(tmp_path, monkeypatch):
    monkeypatch.setattr("skae.distributed._dask.SECONDS", 0.05)
    monkeypatch.setattr("skae.distributed._dask.RETURN_SECONDS", 1.0)
    path = tmp_path / "fit"
    with started(2) as client:
        skae.distributed.fit(asked(max_iter=1), rows(), client=client)
        trouble = Trouble(client, signal.SIGSTOP, path=path)
        begun = time.monotonic()
        about = {"checkpoint": path, "timeout": 5}
        ae = skae.distributed.fit(asked(), rows(), client=client, **about)
        took = time.monotonic() - begun
        assert trouble.address not in client.nthreads()
        client.wait_for_workers(2, timeout=60)  # its nanny has started it again
    assert ae.score(X) > ae.pca_score_
    assert took < 60


def test_partitions_that_change_are_an_error(client, tmp_path, often):
    """Dask computes lost ones again; a fit that went on with other rows would be of neither."""
    path = tmp_path / "fit"
    draw = dask.delayed(lambda _: np.random.default_rng().normal(size=(600, 64)))
    drawn = [da.from_delayed(draw(i), (600, 64), float) for i in range(2)]
    Trouble(client, path=path)
    with pytest.raises(ValueError, match="came out otherwise"):
        skae.distributed.fit(
            asked(), da.concatenate(drawn), client=client, checkpoint=path, timeout=TIMEOUT
        )


def test_the_last_worker_is_lost(tmp_path, often):
    path = tmp_path / "fit"
    with started(1) as client:
        trouble = Trouble(client, path=path)
        about = {"checkpoint": path, "retries": 0, "timeout": TIMEOUT}
        with pytest.raises(skae.distributed.WorkerLost, match=trouble.address):
            skae.distributed.fit(asked(), rows(), client=client, **about)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_scheduler_is_an_error_in_time(how, tmp_path):
    where = str(tmp_path / "scheduler.json")
    command = [sys.executable, "-m", "distributed.cli.dask_{}", "--host", "127.0.0.1"]
    command += ["--no-dashboard", "--scheduler-file", where]
    parts = [
        subprocess.Popen([word.format(part) for word in command], stderr=subprocess.DEVNULL)
        for part in ("scheduler", "worker", "worker")
    ]
    try:
        with distributed.Client(scheduler_file=where, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            ae = asked()
            timer = threading.Timer(8, parts[0].send_signal, [how])
            timer.start()
            begun = time.monotonic()
            with pytest.raises(skae.distributed.SchedulerLost, match="scheduler tcp://127.0.0.1"):
                skae.distributed.fit(
                    ae.set_params(max_iter=10**5, tol=0), rows(), client=client, timeout=5
                )
            assert time.monotonic() - begun < 60
            assert not hasattr(ae, "mean_")
    finally:
        for part in parts:
            part.kill()
            part.wait()
