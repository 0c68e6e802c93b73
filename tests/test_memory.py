"""Large tables are not copied."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from skae import AutoencoderTransformer
import skae._fitting  # torch and skorch are loaded before the measurement

X = np.random.default_rng(0).random((400_000, 100), dtype=np.float32)
model = AutoencoderTransformer(4, hidden_layer_sizes=(8,), max_iter=1, random_state=0)
model.fit(X[:2000])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model.fit(X)
fitted = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model.transform(X)
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((fitted - before) * 1024 / X.nbytes, (used - fitted) * 1024 / X.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_no_second_copy_of_a_large_table():
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    fit, transform = map(float, out.stdout.split())
    assert fit < 0.8
    assert transform < 0.3
