"""Time of an epoch in one process, and in two that each have half of the rows.

Each figure is the least of some repetitions, the two kinds in turn. Processor
time beside it is what other work on the machine leaves alone.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time

import numpy as np

CASES = {  # rows, columns, components, hidden units, rows a step
    "2.5 ms a step": (16_384, 100, 16, (128, 128), 512),
    "20 ms a step": (32_768, 100, 16, (128, 128), 4096),
    "100 ms a step": (8_192, 400, 50, (512, 512), 2048),
}
EPOCHS = 1, 4  # of two fits, whose difference is that of the epochs alone


def times(case):
    """Print what an epoch takes in this rank: seconds, and seconds of the processor."""
    import skae.distributed
    from skae import AutoencoderTransformer

    n, p, k, hidden, batch = CASES[case]
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(n, p)) @ rng.normal(size=(p, p))).astype(np.float32)
    found = []
    for max_iter in EPOCHS:
        ae = AutoencoderTransformer(
            k,
            hidden_layer_sizes=hidden,
            batch_size=batch,
            max_iter=max_iter,
            early_stopping=False,
            random_state=0,
        )
        begun = time.perf_counter(), time.process_time()
        skae.distributed.fit(ae, np.array_split(X, size)[rank])
        found.append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
    print(json.dumps(list((np.array(found[1]) - found[0]) / (EPOCHS[1] - EPOCHS[0]))))


def run(case, n_ranks):
    """Return the slowest rank's seconds an epoch, and its processor's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    about = os.environ | {"WORLD_SIZE": str(n_ranks), "MASTER_ADDR": "127.0.0.1"}
    about |= {"MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.cluster", "--rank", case]
    ranks = [
        subprocess.Popen(command, env=about | {"RANK": str(rank)}, stdout=subprocess.PIPE)
        for rank in range(n_ranks)
    ]
    return np.max([json.loads(rank.communicate()[0]) for rank in ranks], axis=0)


def main():
    """Compare one process with two."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rank", help="be a rank of this case")
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    if given.rank:
        times(given.rank)
        return
    print("case | seconds: one process, two, ratio | processor seconds: one, two, ratio")
    for case in CASES:
        found = [[run(case, n) for n in (1, 2)] for _ in range(given.times)]
        (wall, cpu), (wall_2, cpu_2) = np.min(found, axis=0)
        print(
            f"{case} | {wall:.3f} {wall_2:.3f} {wall / wall_2:.2f} | "
            f"{cpu:.3f} {cpu_2:.3f} {cpu / cpu_2:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
