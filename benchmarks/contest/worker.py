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
import sys
import time
import warnings
from functools import cache

import numpy as np
from sklearn.preprocessing import StandardScaler

from benchmarks.contest import measures, rivals
from benchmarks.contest.rivals import Like
from benchmarks.contest.scenarios import ANOMALIES, Scenario
from benchmarks.data import find, split

MOST_SECONDS, MOST_BYTES = 120, 8 * 2**30
STAGES = {"warm-up": 300, "fit": MOST_SECONDS, "measures": 600}  # seconds
_split = cache(split)


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


def figures(scenario, seed, like, send):
    """Fit and measure one scenario; tell when a stage is done."""
    rival = rivals.find(scenario.rival)
    rng = np.random.default_rng(0)
    rival.make(2, 0, Like((8,), 1, 32) if rival.like else None).fit(rng.normal(size=(64, 5)))
    send("warm-up")
    model = rival.make(scenario.n_components, seed, like)
    if scenario.kind == "anomaly":
        X, odd = hidden_anomalies(scenario.data, scenario.size, seed)
    else:
        data = _split(find(scenario.data), seed)
        X = data.X_train
    result = clocked(model, X)
    send("fit")
    if hasattr(model, "like"):
        took = model.like()
        result |= {"epochs": took.epochs, "batch_size": took.batch_size,
                   "hidden_width": took.hidden[0], "hidden_layers": len(took.hidden)}  # fmt: skip
    if scenario.kind == "anomaly":
        return result | measures.anomaly(model, X, odd)
    if hasattr(model, "transform"):
        began = time.perf_counter()
        model.transform(data.X_test)
        result["transform_seconds"] = time.perf_counter() - began
    return result | measures.cell(model, data, find(scenario.data).task, scenario.n_components)


def child(connection, job):
    """Do a job and send its figures, or why there are none."""
    warnings.filterwarnings("ignore")
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    scenario, like = Scenario.parse(job["scenario"]), job["like"]
    like = like and Like(tuple(like["hidden"]), like["epochs"], like["batch_size"])
    try:
        result = figures(scenario, job["seed"], like, connection.send)
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
        for stage, seconds in STAGES.items():
            if not mine.poll(seconds):
                return {"failed": f"{stage} took more than {seconds} s"}
            message = mine.recv()
            if isinstance(message, dict):
                return message
        return {"failed": "no result"}
    except EOFError:
        process.join()
        return {"failed": f"the process died with exit code {process.exitcode}"}
    finally:
        process.kill()
        process.join()


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
