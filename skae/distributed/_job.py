"""What each rank does: the package's own fit, on rows of which it has a part."""

import io
import time
import zlib
from copy import deepcopy
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from scipy import sparse

from skae._data.counts import TableCounts
from skae._data.frames import fields_of, table
from skae._data.shared import SharedRows
from skae._data.streams import located, that_count, weighed
from skae._estimators.streaming import TAKEN, is_taken
from skae._parameters import private_random_state
from skae._training import Checkpoint, fit_model
from skae._training.checkpoint import read


@dataclass(frozen=True)
class Job:
    """A fit, as it goes to the ranks.

    A rank waits for ``timeout`` seconds for another one, and hands states of the fit on after
    ``seconds``; ``key`` is that of a `Checkpoint`.
    """

    task: object
    settings: object
    seed: object
    key: str
    timeout: float
    seconds: float

    def run(self, ranks, matrix, weight, checkpoint):
        """Return the `Fit` to the rows of all ranks, of which ``matrix`` are this one's."""
        counts = ranks.table([len(matrix)])[:, 0].astype(int)
        start = int(counts[: ranks.rank].sum())
        blocks = self.task.schema.blocks
        rows = SharedRows(matrix, start, int(counts.sum()), ranks, None, weight, blocks)
        about = {"random_state": self.seed, "checkpoint": checkpoint}
        return fit_model(self.task, self.settings, rows, **about)


class SharedCheckpoint(Checkpoint):
    """The trainings of a fit of several ranks, which are the same in all: the first hands them on.

    ``saved`` are the bytes of an earlier try, if any. ``hand_on``, in the first rank alone, takes the
    state as bytes, and how many epochs it holds; ``look``, called after each epoch, raises an error
    where the fit is to end.
    """

    keeps = False

    def __init__(self, job, saved, hand_on, look):
        self.key, self.seconds, self.hand_on, self.look = job.key, job.seconds, hand_on, look
        self.place, self.present, self.generators = 0, None, []
        self._go_on(read(io.BytesIO(saved)) if saved else None)
        self.drawn = job.seed
        self.n_epochs = sum(map(_n_epochs, filter(None, self.trainings)))

    def epoch(self):
        self.n_epochs += 1
        self.look()
        if self.hand_on is not None and time.monotonic() - self.written >= self.seconds:
            self._take()
            self.hand_on(bytes(self.content()), self.n_epochs)
            self.written = time.monotonic()

    def finish(self):
        """Leave it to the others: the fit is over where its model has arrived."""


def _n_epochs(state):
    training = state["training"]
    (net, *_) = training.get("nets", [training])
    return len(net["history"])


def checked(ae):
    """Refuse an estimator that only fits on one machine."""
    name = type(ae).__name__
    if not is_taken(ae):
        kinds = ", ".join(TAKEN)
        raise TypeError(
            f"{name} cannot be fitted on several machines: expected one of {kinds}. Call {name}.fit on a sample."
        )
    ae._validate_params()
    if getattr(ae, "_skl_callbacks", None):
        raise ValueError(
            "set_callbacks: callbacks do not work on several machines yet. Remove them with set_callbacks(), "
            f"or call {name}.fit."
        )
    refused = {
        "warm_start": (ae.warm_start, False),
        "callbacks": (bool(ae.callbacks), False),
        "skorch_params": (bool(ae.skorch_params), False),
        "optimizer": (ae.optimizer, "adam"),
        "device": ("cpu" if ae.device == "auto" else ae.device, "cpu"),
        "pretraining": (getattr(ae, "pretraining", None), None),
    }
    for parameter, (asked, known) in refused.items():
        if asked != known:
            raise ValueError(
                f"{parameter}={getattr(ae, parameter)!r} does not work on several machines yet: "
                f"leave it at its default, or call {name}.fit."
            )
    return ae


def learn(ae, first, each):
    """Return task, settings and `Look` of each part, of a table that is in parts.

    ``first(function, *given)`` returns ``function(part, *given)`` of the first part with rows,
    ``each`` the same of each part, in their order; None of those without rows.
    """
    learned = first(begun, ae._columns())
    if isinstance(learned, TableCounts):
        for place, counts in enumerate(each(counted, learned)):
            with located(f"Partition (or rank) {place} of X"):
                if counts is not None:
                    learned.take_in(counts)
        learned = learned.schema()
    looks = each(look, ae._task(learned))
    seen = alike(looks)
    n_rows, n_missing = (sum(part) for part in zip(*seen, strict=True))
    if learned.encoder is None and n_missing.any():
        learned = learned.lacking(n_missing, n_rows)
    task = ae._task(learned)
    return task, checked_settings(ae, task, n_rows), looks


def alike(looks):
    """Yield rows that count and missing cells of the parts with rows, which must be of one form."""
    some = [place for place, look in enumerate(looks) if look is not None]
    if not any(looks[place].n_rows for place in some):
        raise ValueError("sample_weight is zero for every row: at least one must be positive.")
    form = looks[some[0]].form
    for place in some:
        if looks[place].form != form:
            raise ValueError(
                f"Partition (or rank) {place} of X is {looks[place].form}, but {some[0]} is {form}: "
                "give them the same columns and types, for example with astype."
            )
        yield looks[place].n_rows, looks[place].n_missing


def checked_settings(ae, task, n_rows):
    """Return the settings of a task; refuse what needs all rows in one place."""
    settings = ae._settings(task, n_rows)
    if task.draws_from_global:
        raise ValueError(
            "Your own modules, activations and noises do not work on several machines yet, for they may "
            f"draw random numbers: call {type(ae).__name__}.fit."
        )
    return settings


# a part of a table ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """Rows that are in one place, and their weights, or the column that holds these."""

    X: object
    weight: object = None

    def __len__(self):
        return self.X.shape[0] if hasattr(self.X, "shape") else len(self.X)

    def rows(self):
        X = table(self.X)
        if sparse.issparse(X):
            raise ValueError(
                "it is sparse: make it dense, for example with X.map_blocks(np.asarray)."
            )
        return weighed(X, self.weight)

    def coded(self, schema):
        X, weight = self.rows()
        return that_count(schema.read(X), weight)


def begun(part, columns):
    """Return the `Schema` that a part begins with: of numbers, or the `TableCounts` of a table."""
    X, _ = part.rows()
    found = fields_of(X)
    return TableCounts(columns, X) if columns.codes(found) else columns.of_numbers(X, found)[0]


def counted(part, known):
    """Return the `TableCounts` of a part, which go on from those that are begun."""
    X, weight = that_count(*part.rows())
    return deepcopy(known).add(X, weight) if len(X) else None


@dataclass(frozen=True)
class Look:
    """What is seen of a part: rows that count, its form, cells that each column lacks, its content."""

    n_rows: int
    form: str
    n_missing: np.ndarray
    checksum: int


def look(part, task):
    """Return the `Look` at a part; refuse rows that the task has no place for."""
    X, weight = part.coded(task.schema)
    task.check_rows(X)
    form = f"of {X.dtype} in {X.shape[1]} columns"
    return Look(len(X), form, np.isnan(X).sum(axis=0), checksum(X, weight))


def checksum(*arrays):
    """Return a number that stands for the content of arrays; some may be None."""
    found = 0
    for array in arrays:
        if array is not None and array.size:
            found = zlib.crc32(np.ascontiguousarray(array), found)
    return found


def seed_of(ae, kept):
    """Return what all ranks draw from: an int is as it is, and None what a killed fit drew."""
    given = ae.random_state
    if isinstance(given, Integral):
        return int(given)
    if given is None and kept is not None:
        return kept.drawn
    return int(private_random_state(given).randint(2**31 - 1))
