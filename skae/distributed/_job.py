"""What each rank does: the package's own fit, on rows of which it has a part."""

import io
import time
import zlib
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from scipy import sparse

from skae._data.shared import SharedRows
from skae._estimators.autoencoder import AutoencoderTransformer
from skae._estimators.denoising import DenoisingAutoencoder
from skae._estimators.variational import VAETransformer
from skae._parameters import private_random_state
from skae._training import Checkpoint, fit_model
from skae._training.checkpoint import read

KINDS = AutoencoderTransformer, DenoisingAutoencoder, VAETransformer


@dataclass(frozen=True)
class Job:
    """A fit, as it goes to the ranks.

    Attributes
    ----------
    task : Task
    settings : Settings
    seed : int
    key : str
        As of `Checkpoint`.
    timeout : float
        Seconds that a rank waits for another one.
    seconds : float
        Between two states of the fit that are handed on.
    """

    task: object
    settings: object
    seed: object
    key: str
    timeout: float
    seconds: float

    def run(self, ranks, matrix, checkpoint):
        """Return the `Fit` to the rows of all ranks, of which ``matrix`` are this one's."""
        counts = ranks.table([len(matrix)])[:, 0].astype(int)
        start = int(counts[: ranks.rank].sum())
        rows = SharedRows(matrix, start, int(counts.sum()), ranks)
        about = {"random_state": self.seed, "checkpoint": checkpoint}
        return fit_model(self.task, self.settings, rows, **about)


class SharedCheckpoint(Checkpoint):
    """The trainings of a fit of several ranks, which are the same in all: the first hands them on.

    Parameters
    ----------
    job : Job
    saved : bytes
        Of an earlier try; empty where there is none.
    hand_on : callable or None
        Takes the state as bytes, and how many epochs it holds; None in other ranks than the first.
    look : callable
        Called after each epoch; raises an error where the fit is to end.
    """

    keeps = False

    def __init__(self, job, saved, hand_on, look):
        self.key, self.seconds, self.hand_on, self.look = job.key, job.seconds, hand_on, look
        self.place, self.present, self.generators = 0, None, []
        self._go_on(read(io.BytesIO(saved)) if saved else None)
        self.drawn = job.seed
        self.n_epochs = sum(map(_n_epochs, self.trainings))

    def epoch(self):
        """Say that an epoch is over."""
        self.n_epochs += 1
        self.look()
        if self.hand_on is not None and time.monotonic() - self.written >= self.seconds:
            self._take()
            self.hand_on(bytes(self.content()), self.n_epochs)
            self.written = time.monotonic()

    def finish(self):
        """Leave it to the others: the fit is over where its model has arrived."""


def _n_epochs(state):
    """Return the epochs that a training's state holds."""
    training = state["training"]
    (net, *_) = training.get("nets", [training])
    return len(net["history"])


def checked(ae):
    """Refuse an estimator that only fits on one machine."""
    name = type(ae).__name__
    if not isinstance(ae, KINDS):
        kinds = ", ".join(kind.__name__ for kind in KINDS)
        raise TypeError(f"skae.distributed fits {kinds}, but not {name}: call its fit on a sample.")
    ae._validate_params()
    if getattr(ae, "_skl_callbacks", None):
        raise ValueError(
            "Callbacks of set_callbacks do not hear from several machines yet: call set_callbacks() "
            f"without any, or {name}.fit."
        )
    refused = {
        "warm_start": (ae.warm_start, False),
        "callbacks": (bool(ae.callbacks), False),
        "skorch_params": (bool(ae.skorch_params), False),
        "optimizer": (ae.optimizer, "adam"),
        "device": ("cpu" if ae.device == "auto" else ae.device, "cpu"),
        "ordered": (ae.ordered, False),
        "pretraining": (getattr(ae, "pretraining", None), None),
        "likelihood": (getattr(ae, "likelihood", "gaussian"), "gaussian"),
    }
    for parameter, (asked, known) in refused.items():
        if asked != known:
            raise ValueError(
                f"{parameter}={getattr(ae, parameter)!r} is not for fits on several machines yet: "
                f"leave it at its default, or call {name}.fit."
            )
    return ae


def checked_task(ae, schema, n_rows):
    """Return task and settings for rows of a schema; refuse what needs all rows in one place."""
    task = ae._task(schema)
    settings = ae._settings(task, n_rows)
    draws_by_row = task.draws_from_global or getattr(task, "noise", None) == "swap"
    if draws_by_row:
        raise ValueError(
            "Modules, activations and noises of your own, and noise='swap', may draw random numbers "
            f"by row, which several machines do not share: call {type(ae).__name__}.fit."
        )
    if task.chooses_size(settings.early_stopping):
        raise ValueError(
            f"n_components={task.n_components!r} is a share, which is searched with several fits: "
            "take 'auto' or an int on several machines."
        )
    return task, settings


def numbers_of(X, columns):
    """Return the schema of a part of a table, and its rows of numbers; refuse other tables."""
    schema, matrix = columns.learn(X)
    if sparse.issparse(matrix):
        raise ValueError("it is sparse: make it dense, for example with X.map_blocks(np.asarray).")
    if schema.encoder is not None:
        raise ValueError(
            "it has categories, dates or column weights: fits on several machines take columns of "
            "numbers. Encode them first, for example with dask_ml.preprocessing.DummyEncoder."
        )
    if schema.blocks is not None:
        raise ValueError(
            "it has missing cells: fits on several machines take complete rows. Fill them first, "
            "for example with ddf.fillna(ddf.mean()), or leave such rows out."
        )
    return schema, matrix


def checksum(matrix):
    """Return a number that stands for the content of rows."""
    return zlib.crc32(np.ascontiguousarray(matrix)) if matrix.size else 0


def seed_of(ae, kept):
    """Return what all ranks draw from: an int is as it is, and None what a killed fit drew."""
    given = ae.random_state
    if isinstance(given, Integral):
        return int(given)
    if given is None and kept is not None:
        return kept.drawn
    return int(private_random_state(given).randint(2**31 - 1))
