"""Many calls, many fits, many rows: no error, no growth, no copy of the table."""

import json
import multiprocessing
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from family import CODING, fitted, labelled_digits, name_of

import skae

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", CODING, ids=name_of)
def test_eight_threads_use_what_another_one_pickles(kind):
    X, y = labelled_digits()
    model, single = fitted(kind, X, y), X.astype(np.float32)
    copy = pickle.loads(pickle.dumps(model))
    expected = copy.transform(X), copy.transform(single)
    over = threading.Event()

    def dump():
        dumps = set()
        while not over.is_set() or len(dumps) == 0:
            dumps.add(pickle.dumps(model))
        return dumps

    def use(i):
        rows, code = ((X, expected[0]), (single, expected[1]))[i % 2]
        return np.array_equal(model.transform(rows), code)

    with ThreadPoolExecutor(9) as pool:
        dumping = pool.submit(dump)
        same = list(pool.map(use, range(80)))
        over.set()
    assert all(same)
    assert len(dumping.result()) == 1


@linux
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_does_not_wait_for_threads_that_it_lacks():
    """Processes that multiprocessing starts are forks, up to Python 3.13."""
    rows = np.random.default_rng(0).normal(size=(100, 64))
    model = skae.AutoencoderTransformer(
        2, hidden_layer_sizes=(512,), max_iter=1, early_stopping=False
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        model.fit(rows).reconstruct(rows)
        fork = multiprocessing.get_context("fork").Process(target=model.reconstruct, args=(rows,))
        fork.start()
        fork.join(30)
        code = fork.exitcode
        fork.kill()
    finally:
        torch.set_num_threads(before)
    assert code == 0


def told_by(script):
    """Return what a script prints as JSON, in a process of its own."""
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ + script], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)


READ = """
import json, re, sys, threading, time
import numpy as np

def memory(kind="RssAnon"):  # MiB
    return int(re.search(kind + r":\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024

class Peak:  # of the memory that is the process's own: pages of a mapped file are not
    def __enter__(self):
        self.before = self.most = memory()
        self.over = False
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.over:
            self.most = max(self.most, memory())
            time.sleep(0.002)

    def __exit__(self, *error):
        self.over = True
        self.thread.join()
        self.mib = self.most - self.before
"""

FITS = """
import gc
from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
X = np.random.default_rng(0).normal(size=(60, 6)) ** 3
kinds = AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
def fits(n):
    for i in range(n):
        kinds[i % 3](2, max_iter=2, early_stopping=i % 2 == 0, random_state=i).fit(X).transform(X)
    gc.collect()
    return memory("VmRSS")
first = fits(100)
print(json.dumps([first, fits(300)]))
"""


@linux
def test_memory_stays_flat_over_hundreds_of_fits():
    after_warm_up, at_the_end = told_by(FITS)
    print(f"{at_the_end - after_warm_up:.1f} MiB more after 300 fits")
    assert at_the_end - after_warm_up < 6  # 20 KiB a fit


ROWS = """
from skae import AutoencoderTransformer
import skorch  # with torch, before the measurement
X = np.memmap({path!r}, dtype=np.float32, mode="r", shape=(400_000, 100))
model = AutoencoderTransformer(4, hidden_layer_sizes=(8,), max_iter=1, random_state=0)
model.fit(X[:2000])
model.transform(X[:20_000])
with Peak() as transform:
    Z = model.transform(X)
with Peak() as fit:
    model.fit(X)
print(json.dumps([fit.mib, transform.mib, X.nbytes / 2**20, Z.nbytes / 2**20]))
"""


@linux
def test_many_rows_of_a_mapped_file(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "rows"
    with open(path, "wb") as file:
        for _ in range(20):
            rng.random((20_000, 100), dtype=np.float32).tofile(file)
    fit, transform, rows, codes = told_by(ROWS.format(path=str(path)))
    assert fit < 1.5 * rows
    assert transform < codes + 80
    print(f"fit {fit:.0f} of {rows:.0f} MiB, transform {transform:.0f} beside {codes:.0f} MiB")


NARROW = """
from skae import AutoencoderTransformer
import skorch  # with torch, before the measurement
X = np.tanh(np.random.default_rng(0).normal(size=(120_000, 32))).astype(np.float32)
model = AutoencoderTransformer(8, hidden_layer_sizes=(256, 256), max_iter=1, random_state=0)
model.fit(X[:2000])
with Peak() as fit:
    model.fit(X)
print(json.dumps([fit.mib, X.nbytes / 2**20]))
"""


@linux
def test_layers_far_wider_than_the_rows_take_little():
    """No step of a fit, nor the survey after it, takes many rows through the network at once."""
    fit, rows = told_by(NARROW)
    assert fit < 6 * rows
    print(f"fit {fit:.0f} of {rows:.0f} MiB")
