"""What importing each package costs in a fresh interpreter: ``import/pyod``."""

import os
import subprocess
import time
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
    """Return the seconds that a fresh interpreter takes for a statement."""
    began = time.perf_counter()
    command = [python, "-c", statement]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | ONE_THREAD)
    return time.perf_counter() - began


def main():
    """Measure all, in turn; the first round only fills the disk's cache."""
    for seed in range(-1, ROUNDS):
        for name, (environment, statement) in STATEMENTS.items():
            python = interpreter(environment)
            if Path(python).exists():
                figures = {"seconds": seconds(python, statement) - seconds(python, "pass")}
                if seed >= 0:
                    results.append(IMPORTS, f"import/{name}", seed, figures)


if __name__ == "__main__":
    main()
