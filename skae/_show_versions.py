"""What a bug report needs to say of the machine."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version

OPTIONAL = "matplotlib", "polars", "pyarrow", "safetensors", "skops"
THREADS = "OMP_NUM_THREADS", "MKL_NUM_THREADS"


def show_versions():
    """Print the versions of skae, Python and the packages it uses, for bug reports.

    Nothing is imported, and no path or name of a user is printed.

    Examples
    --------
    >>> import skae
    >>> skae.show_versions()
    skae: 0.1.0
    python: 3...
    system: ...
    cpus: ...
    ...
    torch: ...
    """
    required = [line for line in requires("skae") or () if "extra ==" not in line]
    names = sorted(re.match(r"[\w.-]+", line)[0] for line in required)
    told = {
        "skae": version("skae"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        **{name: os.environ[name] for name in THREADS if name in os.environ},
        **{name: _version(name) for name in (*names, *OPTIONAL)},
    }
    print(*(f"{name}: {value}" for name, value in told.items()), sep="\n")


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
