"""show_versions: what a bug report needs, and nothing else."""

import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path


def test_versions_are_told_without_importing_torch_and_without_paths():
    script = "import sys, skae; skae.show_versions(); assert 'torch' not in sys.modules"
    command = [sys.executable, "-W", "ignore", "-c", script]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    told = dict(line.split(": ", 1) for line in out.splitlines())
    for name in ("skae", "torch", "scikit-learn", "pandas"):
        assert told[name] == version(name)
    assert str(Path.home()) not in out
    assert str(Path(sys.executable).parent) not in out


def test_the_package_says_that_it_is_typed():
    assert files("skae").joinpath("py.typed").is_file()
