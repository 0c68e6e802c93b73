"""Training: from a task and rows to a fitted model.

The names below are imported where they are first used, and torch with them.
"""

from skae._lazy import lazily

__getattr__ = lazily(
    __name__,
    {
        "checkpoint": "Checkpoint NoCheckpoint key",
        "fit": "Fit fine_tuned fit_batch fit_model",
        "held_out": "FEWEST_ROWS n_held_out",
        "progress": "Progress",
        "settings": "Settings found_device",
    },
)
