"""Time of a step in one process of one thread, and in two that each have half of the rows.

Each figure is the median over the steps of a fit, and the least of some fits, the two kinds in
turn. The processor's time is beside it, for other work on the machine leaves that alone.
"""

import argparse
import os
import socket
import subprocess
import sys
import time

import numpy as np
import torch
from torch import distributed as dist

import skae.distributed
from skae import AutoencoderTransformer, SparseAutoencoder
from skae._training import recorded
from skae._training.step import Step

PLAIN = AutoencoderTransformer
CASES = {  # estimator, share of missing cells, rows, columns, components, hidden units, rows a step
    "512 x 100": (PLAIN, 0.0, 16_384, 100, 16, (128, 128), 512),
    "4,096 x 100": (PLAIN, 0.0, 32_768, 100, 16, (128, 128), 4096),
    "4,096 x 100, a tenth missing": (PLAIN, 0.1, 32_768, 100, 16, (128, 128), 4096),
    "4,096 x 100, sparse codes": (SparseAutoencoder, 0.0, 32_768, 100, 16, (128, 128), 4096),
    "2,048 x 400": (PLAIN, 0.0, 8_192, 400, 50, (512, 512), 2048),
}
EPOCHS = 6


class TimedStep(Step):
    """A step that keeps the time, and the processor's."""

    ends = []

    def __call__(self, *batch):
        """Take a step; keep when it ended."""
        loss = super().__call__(*batch)
        self.ends.append((time.perf_counter(), time.process_time()))
        return loss


def a_step(fit, case):
    """Return milliseconds from step to step, and the processor's: the median of a fit."""
    kind, *_, k, hidden, batch = CASES[case]
    about = {"hidden_layer_sizes": hidden, "batch_size": batch, "early_stopping": False}
    TimedStep.ends.clear()
    fit(kind(k, max_iter=EPOCHS, random_state=0, **about))
    return 1000 * np.median(np.diff(TimedStep.ends, axis=0), axis=0)


def be_rank(times):
    """Fit alone and together, in turn; the first rank prints what was least."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    recorded.Step = TimedStep
    for case, (_, missing, n, p, *_) in CASES.items():
        rng = np.random.default_rng(0)
        X = (rng.normal(size=(n, p)) @ rng.normal(size=(p, p))).astype(np.float32)
        X[rng.random(X.shape) < missing] = np.nan
        part = np.array_split(X, 2)[dist.get_rank()]
        found = []
        for _ in range(times):
            dist.barrier()
            one = np.full(2, np.inf)
            if dist.get_rank() == 0:
                one = a_step(lambda ae, X=X: ae.fit(X), case)
            dist.barrier()
            both = a_step(lambda ae, part=part: skae.distributed.fit(ae, part), case)
            found.append([one, both])
        (wall, cpu), (wall_2, cpu_2) = np.min(found, axis=0)
        if dist.get_rank() == 0:
            print(
                f"{case} | {wall:.1f} {wall_2:.1f} {wall / wall_2:.2f} | "
                f"{cpu:.1f} {cpu_2:.1f} {cpu / cpu_2:.2f}",
                flush=True,
            )


def main():
    """Start two ranks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    if "RANK" in os.environ:
        be_rank(given.times)
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    print(
        "case | ms a step: one process, two, ratio | the processor's: one, two, ratio", flush=True
    )
    about = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-m", "benchmarks.cluster", "--times", str(given.times)]
    ranks = [subprocess.Popen(command, env=about | {"RANK": str(rank)}) for rank in range(2)]
    sys.exit(max(rank.wait() for rank in ranks))


if __name__ == "__main__":
    main()
