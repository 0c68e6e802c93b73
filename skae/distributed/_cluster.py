"""A Dask cluster, watched: no call waits for good, and what does not answer is lost."""

import time
from contextlib import suppress
from functools import partial

from skae.distributed._lost import SchedulerLost, WorkerLost

PAUSE = 0.05  # seconds between two looks at futures
ROUND = 1.0  # between two looks at the workers
SLACK = 10.0  # seconds beyond the timeout that what has begun may take to end


class Cluster:
    """The workers of a client; one of which nothing is heard for ``timeout`` seconds is lost, and so is the scheduler."""

    def __init__(self, client, timeout):
        self.client, self.timeout = client, timeout
        self.address = client.scheduler.address
        self.heard = {}  # the last word of each worker, and when it came
        self.looked, self.present = -ROUND, []

    def call(self, function, *args, **kwargs):
        try:
            return self.client.sync(function, *args, callback_timeout=self.timeout, **kwargs)
        except (OSError, TimeoutError, RuntimeError) as error:
            raise self._lost() from error

    def check(self, states=()):
        """Raise an error where the scheduler is gone."""
        if self.client.status != "running" or "cancelled" in states:
            raise self._lost()

    def _lost(self):
        return SchedulerLost(
            f"The scheduler {self.address} is gone, or did not answer for {self.timeout:g} s. The estimator "
            "has not changed. Start a cluster, and call fit with the same checkpoint to resume."
        )

    # workers ----------------------------------------------------------------------------------

    def workers(self):
        """Return the addresses of the workers; those that were silent for too long begin anew."""
        now = time.monotonic()
        if now - self.looked < ROUND:
            return self.present
        known = self.call(self.client.scheduler.identity, n_workers=-1)["workers"]
        words = {address: about["last_seen"] for address, about in known.items()}
        before = self.heard
        self.heard = {
            address: before[address] if before.get(address, (None,))[0] == word else (word, now)
            for address, word in words.items()
        }
        for address, (_, when) in list(self.heard.items()):
            if now - when > self.timeout:
                self.let_go(address)
        self.looked, self.present = now, sorted(self.heard)
        return self.present

    def let_go(self, address):
        """Have a worker's nanny start it again; what it holds is computed elsewhere."""
        about = {"wait_for_workers": False, "on_error": "return", "timeout": self.timeout / 2}
        name = {"workers": [address], "stimulus_id": f"skae-silent-{time.time()}"}
        self.call(self.client.scheduler.restart_workers, **name, **about)
        del self.heard[address]

    def at_least_one(self):
        """Wait until there is a worker; return the workers."""
        deadline = time.monotonic() + self.timeout
        while not self.workers():
            if time.monotonic() > deadline:
                raise WorkerLost(
                    f"There has been no worker for {self.timeout:g} s. Start workers, and call fit with the "
                    "same checkpoint to resume."
                )
            time.sleep(PAUSE)
        return self.present

    def come_back(self, n_workers, seconds):
        """Wait some seconds for so many workers; return those that are there."""
        deadline, self.looked = time.monotonic() + seconds, -ROUND
        while len(self.at_least_one()) < n_workers and time.monotonic() < deadline:
            time.sleep(PAUSE)
        return self.present

    # futures ----------------------------------------------------------------------------------

    def results(self, futures):
        """Wait for futures, whoever computes them in the end; return their results."""
        while True:
            if all(state == "finished" for state in self.states(futures)):
                with suppress(TimeoutError):  # where a result was lost meanwhile
                    return self.gathered(futures)
            self.at_least_one()
            time.sleep(PAUSE)

    def states(self, futures):
        """Return the states of futures; raise what one of them raised."""
        states = [future.status for future in futures]
        self.check(states)
        for future, state in zip(futures, states, strict=True):
            if state == "error":
                raise future.exception(timeout=self.timeout)
        return states

    def gathered(self, futures):
        gather = partial(self.client.gather, futures, asynchronous=True)
        return self.client.sync(gather, callback_timeout=self.timeout)
