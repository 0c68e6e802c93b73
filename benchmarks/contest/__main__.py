"""Runs what is not yet in the results: ``make benchmark``, or part of it by options.

The first seeds of all scenarios come first; interrupted, it goes on where it was. What took
longer than its cap with one seed is not tried with the others.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from benchmarks.contest import growth, machine, results, rivals
from benchmarks.contest.scenarios import everything

ROOT = Path(__file__).parent.parent.parent
LIBRARIES = "OMP", "MKL", "OPENBLAS", "NUMBA"
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in LIBRARIES} | {
    "NUMBA_THREADING_LAYER": "workqueue"  # OpenMP's threads do not survive a fork
}
CELLS, GROWTH = results.FOLDER / "cells.csv", results.FOLDER / "growth.csv"


def interpreter(environment):
    """Return the python of a virtual environment."""
    return str(ROOT / f".venv-{environment}/bin/python") if environment else sys.executable


def like(scenario, seed, done):
    """Return the network, epochs and batch size that a scenario takes from skae's."""
    if scenario.variant == "default":
        return None
    model = replace(scenario, rival=rivals.find(scenario.rival).like, variant="default")
    took = done[model.id, seed]
    return {
        "hidden": [int(took["hidden_width"])] * int(took["hidden_layers"]),
        "epochs": int(took["epochs"]),
        "batch_size": int(took["batch_size"]),
    }


class Workers:
    """A worker for each rival, started when first needed and kept: imports cost more than fits."""

    def __init__(self):
        self.running = {}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for worker in self.running.values():
            worker.stdin.close()
            worker.wait()

    def ask(self, rival, job):
        """Return the figures of a job."""
        worker = self.running.get(rival.name)
        if worker is None or worker.poll() is not None:
            worker = self.running[rival.name] = self._start(rival)
        print(json.dumps(job), file=worker.stdin, flush=True)
        return json.loads(worker.stdout.readline() or '{"failed": "the worker died"}')

    def _start(self, rival):
        command = [interpreter(rival.environment), "-m", "benchmarks.contest.worker", rival.name]
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, text=True, cwd=ROOT, env=environment, **pipes)


def run_group(group, seed, path, workers):
    """Run the scenarios of one rival on one data set."""
    rival = rivals.find(group[0].rival)
    if not Path(interpreter(rival.environment)).exists():
        print(f"{rival.name}: .venv-{rival.environment} is missing, not run", flush=True)
        return
    done = results.read(path)
    for scenario in group:
        try:
            job = {"scenario": scenario.id, "seed": seed, "like": like(scenario, seed, done)}
        except KeyError:  # skae's own fit failed or is not there
            continue
        figures = workers.ask(rival, job)
        results.append(path, scenario.id, seed, figures)
        told = figures.get("unexplained", figures.get("auc", figures.get("failed", "")))
        seconds = figures.get("fit_seconds", float("nan"))
        print(f"{scenario.id} seed {seed}: {told} in {seconds:.2f} s", flush=True)


def groups(scenarios):
    """Return scenarios in groups that one worker serves."""
    return [list(group) for _, group in groupby(scenarios, lambda s: (s.kind, s.data, s.rival))]


def run(scenarios, seeds, path, jobs=1):
    """Run what is missing: seed by seed, table by table, skae first, whose epochs others take."""
    with Workers() as workers, ThreadPoolExecutor(jobs) as pool:
        for seed in seeds:
            done = results.read(path)
            missing = [s for s in scenarios if (s.id, seed) not in done]
            for _, block in groupby(missing, lambda s: (s.kind, s.data)):
                for _, part in groupby(list(block), lambda s: s.rival.startswith("skae")):
                    tasks = [pool.submit(run_group, g, seed, path, workers) for g in groups(part)]
                    for task in tasks:
                        task.result()


def main(argv=None):
    """Run the contest."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[""], help="parts of scenario names")
    parser.add_argument("--jobs", type=int, default=1, help="workers side by side")
    parser.add_argument("--growth", action="store_true", help="time and memory by size instead")
    parser.add_argument("--results", type=Path)
    arguments = parser.parse_args(argv)
    scenarios = growth.scenarios() if arguments.growth else everything()
    scenarios = [s for s in scenarios if any(part in s.id for part in arguments.only)]
    path = arguments.results or (GROWTH if arguments.growth else CELLS)
    environments = dict.fromkeys(rival.environment for rival in rivals.RIVALS)
    machine.record([p for p in map(interpreter, environments) if Path(p).exists()])
    run(scenarios, range(arguments.seeds), path, arguments.jobs)


if __name__ == "__main__":
    main()
