"""Streams beside rows in memory: seconds, rows a second and memory, each in a process of its own.

``python -m benchmarks.scale FOLDER`` writes 10 million rows of 32 float32 columns there (1.3 GB) as
parquet, once, and fits them. ``--rows 160_000_000 --ways uncached`` is the benchmark of 20 GB.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

COLUMNS, ROW_GROUP, BLOCK = 32, 2**18, 65_536
WAYS = "memory", "cached", "uncached"


def write(folder, n_rows):
    """Write rows on a curved surface as parquet files of a million rows; return their folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Path(folder) / f"rows_{n_rows}"
    folder.mkdir(parents=True, exist_ok=True)
    maps = np.random.default_rng(0).normal(size=(2, 8, COLUMNS)).astype(np.float32)
    for number, start in enumerate(range(0, n_rows, 2**20)):
        path, n = folder / f"{number:04d}.parquet", min(2**20, n_rows - start)
        if path.exists():
            continue
        rng = np.random.default_rng(number + 1)
        Z = rng.standard_normal((n, 8), dtype=np.float32)
        X = (
            Z @ maps[0]
            + np.sin(Z) @ maps[1]
            + rng.standard_normal((n, COLUMNS), dtype=np.float32) / 4
        )
        pq.write_table(
            pa.table(dict(zip(map(str, range(COLUMNS)), X.T, strict=True))), path, ROW_GROUP
        )
    return folder


def fitted(way, folder, epochs):
    """Fit the rows one way; return what it took."""
    import pandas as pd

    import skae

    ae = skae.AutoencoderTransformer(8, max_iter=epochs, tol=1e-4, random_state=0, verbose=1)
    start, used = time.monotonic(), time.process_time()
    if way == "memory":
        X = pd.read_parquet(folder)
    else:
        X = skae.stream(folder, block=BLOCK, cache=folder if way == "cached" else False)
    read = time.monotonic()
    ae.fit(X)
    return {
        "way": way,
        "read": read - start,
        "fit": time.monotonic() - read,
        "processor": time.process_time() - used,
        "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "score": ae.validation_scores_[-1],
        "pca": ae.pca_score_,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    folder = str(write(asked.folder, asked.rows))
    if asked.one:
        print(json.dumps(fitted(asked.one, folder, asked.epochs)))
        return
    for way in asked.ways:
        more = ["--rows", str(asked.rows), "--epochs", str(asked.epochs), "--one", way]
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.scale", asked.folder, *more]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        print(out, flush=True)


if __name__ == "__main__":
    main()
