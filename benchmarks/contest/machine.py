"""When, on what machine and with which versions the results were measured."""

import datetime
import os
import platform
import subprocess
from pathlib import Path

from benchmarks.contest import results

MACHINE = results.FOLDER / "machine.csv"
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "skorch", "pyod", "pythae", "umap-learn",
            "encdr", "lightning")  # fmt: skip
LIST = """
from importlib.metadata import distributions
for d in distributions():
    print(d.metadata["Name"], d.version)
"""


def versions(python):
    """Return the versions of the packages of an interpreter."""
    told = subprocess.run([python, "-c", LIST], capture_output=True, text=True, check=True).stdout
    return dict(line.split() for line in told.splitlines() if len(line.split()) == 2)


def processor():
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "unknown")


def record(pythons):
    """Write down the machine and, of several interpreters, the versions: the first's stand."""
    found = {}
    for python in pythons:
        found = versions(python) | found
    figures = {
        "date": datetime.date.today().isoformat(), "cores": os.cpu_count(), "cpu": processor(),
        "python": platform.python_version(), **{p: found[p] for p in PACKAGES if p in found},
    }  # fmt: skip
    MACHINE.unlink(missing_ok=True)
    results.append(MACHINE, "machine", 0, figures)
