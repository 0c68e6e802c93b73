"""How many threads torch may take."""

import multiprocessing
import threading
from contextlib import contextmanager

import torch

WORTH_THREADS = 3e8  # floating-point operations a step

_lock = threading.Lock()
_state = {"users": 0, "outside": 1}


@contextmanager
def limited_threads(step_flops):
    """Let torch take one thread where more do not pay: for small steps, and inside a worker.

    The last to leave restores what the first found.
    """
    if step_flops > WORTH_THREADS and not _inside_worker():
        yield
        return
    with _lock:
        if _state["users"] == 0:
            _state["outside"] = torch.get_num_threads()
        _state["users"] += 1
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _state["users"] -= 1
            torch.set_num_threads(_state["outside"])


def _inside_worker():
    return (
        multiprocessing.current_process().name != "MainProcess"
        or threading.current_thread() is not threading.main_thread()
    )
