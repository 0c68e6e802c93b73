"""Streams beside rows in memory: seconds, rows a second and memory, each in a process of its own.

``python -m benchmarks.scale FOLDER`` writes 10 million rows of 32 float32 columns there (1.3 GB) as
parquet, once, and fits them. ``--rows 40_000_000 --columns 128 --epochs 1 --ways uncached`` is the
benchmark of 20 GB, which take 32 GB of the disk as parquet; with ``--ways made`` a function makes the
rows anew in every pass, and no disk holds them.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

ROW_GROUP, BLOCK = 2**18, 65_536
WAYS = "memory", "cached", "uncached", "made"


def made(n_rows, n_columns, at_once=BLOCK):
    """Yield rows on a curved surface, some at once."""
    maps = np.random.default_rng(0).normal(size=(2, 8, n_columns)).astype(np.float32)
    for number, start in enumerate(range(0, n_rows, at_once)):
        n, rng = min(at_once, n_rows - start), np.random.default_rng(number + 1)
        Z = rng.standard_normal((n, 8), dtype=np.float32)
        noise = rng.standard_normal((n, n_columns), dtype=np.float32)
        yield Z @ maps[0] + np.sin(Z) @ maps[1] + noise / 4


def place(folder, n_rows, n_columns):
    """Return the folder of rows that are written."""
    return Path(folder) / f"rows_{n_rows}_{n_columns}"


def write(folder, n_rows, n_columns):
    """Write rows as parquet files of a million rows, unless they are there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = place(folder, n_rows, n_columns)
    if folder.exists():
        return
    folder.mkdir(parents=True)
    for number, X in enumerate(made(n_rows, n_columns, 2**20)):
        table = pa.table(dict(zip(map(str, range(n_columns)), X.T, strict=True)))
        pq.write_table(table, folder / f"{number:04d}.parquet", ROW_GROUP)


def fitted(way, asked):
    """Fit the rows one way; return what it took."""
    import pandas as pd

    import skae

    ae = skae.AutoencoderTransformer(8, max_iter=asked.epochs, tol=1e-4, random_state=0, verbose=1)
    size = asked.rows, asked.columns
    folder = None if way == "made" else place(asked.folder, *size)
    start, used = time.monotonic(), time.process_time()
    if way == "memory":
        X = pd.read_parquet(folder)
    elif way == "made":
        X = skae.stream(partial(made, *size), block=BLOCK, cache=False)
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
    parser.add_argument("--columns", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS[:3]))
    parser.add_argument("--one", choices=("write", *WAYS), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one == "write":
        write(asked.folder, asked.rows, asked.columns)
        return
    if asked.one:
        print(json.dumps(fitted(asked.one, asked)), flush=True)
        return
    for way in ["write"] * any(way != "made" for way in asked.ways) + asked.ways:
        # a process for each, as the memory at most is that of a process
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.scale", *sys.argv[1:]]
        subprocess.run([*command, "--one", way], check=True)


if __name__ == "__main__":
    main()
