"""Fits in processes of their own, so that caps and peak memory are real.

Run by `benchmarks.contest` in the virtual environment of the rival: a job a line comes in, a
result a line goes out. Each fit is a fork of this process: packages and data are loaded
once, and every fit starts from the same memory. A first small fit, not clocked, takes
what a process pays once.
"""

import json
import multiprocessing
import os
import resource
import signal
import sys
import time
import warnings
from functools import lru_cache

import numpy as np
from sklearn.preprocessing import StandardScaler

from benchmarks.contest import growth, machine, measures, rivals
from benchmarks.contest.rivals import Like
from benchmarks.contest.scenarios import ANOMALIES, ANOMALY_COMPONENTS, Scenario
from benchmarks.data import find, split

MOST_BYTES = 8 * 2**30
MOST_SECONDS = {"warm-up": 300, "fit": 120, "measures": 600}  # of processor time
PATIENCE = 10  # times that, by the clock: other work may hold the processor
_split = lru_cache(1)(split)


def hidden_anomalies(name, share, seed):
    """Return standardised rows of which a share is of the odd class, and which they are."""
    data, odd_class = ANOMALIES[name]
    X, y = find(data).load()
    rng = np.random.default_rng(seed)
    usual, odd = np.flatnonzero(y != odd_class), np.flatnonzero(y == odd_class)
    share = float(share.rstrip("%")) / 100
    count = round(len(usual) * share / (1 - share))
    rows = rng.permutation([*usual, *rng.choice(odd, count, replace=False)])
    return StandardScaler().fit_transform(X[rows]), y[rows] == odd_class


def memory(field):
    """Return a line of this process's memory status in MiB."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field)) / 1024


def clocked(model, X):
    """Fit a model; return its time, wall and processor, and the memory it took at most."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew
    before, wall, processor = memory("VmRSS"), time.perf_counter(), time.process_time()
    model.fit(X)
    return {
        "fit_seconds": time.perf_counter() - wall,
        "fit_cpu_seconds": time.process_time() - processor,
        "peak_mib": max(0.0, memory("VmHWM") - before),
    }


def cell(scenario, split_seed):
    """Return the size of the code, the rows to fit on, and what measures a model."""
    data_set = find(scenario.data)
    data = _split(data_set, split_seed)

    def measure(model):
        result = {}
        if hasattr(model, "transform"):
            began = time.perf_counter()
            model.transform(data.X_test)
            result["transform_seconds"] = time.perf_counter() - began
        return result | measures.cell(model, data, data_set.task, scenario.n)

    return scenario.n, data.X_train, measure


def anomaly(scenario, seed):
    """Return the same of hidden anomalies."""
    X, odd = hidden_anomalies(scenario.data, scenario.size, seed)
    return ANOMALY_COMPONENTS, X, lambda model: measures.anomaly(model, X, odd)


def growing(scenario, seed):
    """Return the same of a point of growth."""
    rows, columns, k = growth.shape(scenario.data, scenario.n)
    return k, growth.table(rows, columns), lambda model: {}


KINDS = {"cell": cell, "anomaly": anomaly, "growth": growing}


def figures(scenario, seed, split_seed, like, send):
    """Fit and measure one scenario; tell when a stage is done."""
    rival = rivals.find(scenario.rival)
    rng = np.random.default_rng(0)
    rival.make(2, 0, Like((8,), 1, 32) if rival.like else None).fit(rng.normal(size=(64, 5)))
    k, X, measure = KINDS[scenario.kind](scenario, split_seed)
    send("warm-up")
    allow("fit")
    model = rival.make(k, seed, like)
    result = clocked(model, X) | {"processor": machine.processor()}
    send("fit")
    allow("measures")
    if hasattr(model, "like"):
        took = model.like()
        result |= {"epochs": took.epochs, "batch_size": took.batch_size,
                   "hidden_width": took.hidden[0], "hidden_layers": len(took.hidden)}  # fmt: skip
    return result | measure(model)


def allow(stage):
    """Let the system end this process when a stage takes more processor time than it may."""
    seconds = int(time.process_time()) + MOST_SECONDS[stage]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


def child(connection, job):
    """Do a job and send its figures, or why there are none."""
    warnings.filterwarnings("ignore")
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    allow("warm-up")
    scenario, like = Scenario.parse(job["scenario"]), job["like"]
    like = like and Like(tuple(like["hidden"]), like["epochs"], like["batch_size"])
    try:
        seed, split_seed = job["seed"], job.get("split", job["seed"])
        result = figures(scenario, seed, split_seed, like, connection.send)
    except BaseException as error:  # also what a package exits with
        result = {"failed": f"{type(error).__name__}: {error}"[:200]}
    connection.send(result)


def run(job):
    """Do a job in a fork, within its caps."""
    context = multiprocessing.get_context("fork")
    mine, its = context.Pipe()
    process = context.Process(target=child, args=(its, job))
    process.start()
    its.close()
    try:
        return await_result(mine, process)
    finally:
        process.kill()
        process.join()


def await_result(connection, process):
    """Return what a fork sends in the end, or in which stage it failed."""
    for stage, seconds in MOST_SECONDS.items():
        if not connection.poll(PATIENCE * seconds):
            return {"failed": f"{stage} took more than {PATIENCE * seconds} s by the clock"}
        try:
            message = connection.recv()
        except EOFError:
            process.join()
            if process.exitcode == -signal.SIGXCPU:
                return {"failed": f"{stage} took more than {seconds} s"}
            return {"failed": f"the process died in {stage}, exit code {process.exitcode}"}
        if isinstance(message, dict):
            return message
    return {"failed": "no result"}


def preload(rival):
    """Import what a rival needs, and all that its fits would import or compile one by one."""
    model = rival.make(2, 0, None)
    if rival.package == "umap":
        rows = np.random.default_rng(0).normal(size=(2, 64, 5))
        model.fit(rows[0]).reconstruct(rows[1])
    elif rival.package != "sklearn":
        import torch._dynamo  # noqa: F401


def main():
    """Answer jobs until there are no more."""
    warnings.filterwarnings("ignore")
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # packages print
    problem = None
    try:
        preload(rivals.find(sys.argv[1]))
    except Exception as error:
        problem = {"failed": f"import: {type(error).__name__}: {error}"[:200]}
    for line in sys.stdin:
        job = json.loads(line)
        if not problem and job["scenario"].startswith("cell"):
            _split(find(Scenario.parse(job["scenario"]).data), job["seed"])
        print(json.dumps(problem or run(job)), file=replies, flush=True)


if __name__ == "__main__":
    main()
