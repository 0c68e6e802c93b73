"""What importing each package costs in a fresh interpreter, in processor time: ``import/pyod``."""

import os
import resource
import subprocess
from pathlib import Path

from benchmarks.contest import results
from benchmarks.contest.__main__ import ONE_THREAD, interpreter

STATEMENTS = {
    "skae": ("", "import skae"),
    "skae and torch": ("", "import skae, torch"),
    "sklearn.decomposition": ("", "import sklearn.decomposition"),
    "torch": ("", "import torch"),
    "pyod": ("rivals", "import pyod.models.auto_encoder"),
    "pythae": ("rivals", "import pythae.models, pythae.pipelines"),
    "umap": ("rivals", "import umap"),
    "encdr": ("encdr", "import encdr"),
}
ROUNDS = 3
IMPORTS = results.FOLDER / "imports.csv"


def seconds(python, statement):
    """Return the processor time that a fresh interpreter takes for a statement."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [python, "-c", statement]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | ONE_THREAD)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    """Measure all, in turn; the first round only fills the disk's cache."""
    done = results.read(IMPORTS)
    for seed in range(-1, ROUNDS):
        for name, (environment, statement) in STATEMENTS.items():
            python = interpreter(environment)
            if Path(python).exists() and (f"import/{name}", max(0, seed)) not in done:
                figures = {"seconds": seconds(python, statement) - seconds(python, "pass")}
                if seed >= 0:
                    results.append(IMPORTS, f"import/{name}", seed, figures)


if __name__ == "__main__":
    main()
