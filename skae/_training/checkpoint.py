"""The state of a fit in a file, from which a fit that was killed goes on.

A fit is a row of trainings; all it does between them follows from data,
parameters and seed. So a later fit does these parts again, and takes each
training from the file as far as it had come.
"""

import io
import os
import time
import warnings
import zipfile
from contextlib import contextmanager
from copy import deepcopy
from importlib.metadata import version

import joblib
import numpy as np
import torch

from skae._disk import replacing

SECONDS = 30.0  # between two writings
OFTEN = 1.0  # seconds between two states that are kept in memory, for Ctrl-C
KIND = "skae fit 1"
PARTS = {"kind", "key", "seed", "trainings"}


class NoCheckpoint:
    """What a fit takes that keeps nothing."""

    keeps = False

    def seed(self, random_state):
        """Return what the fit's random numbers are drawn from."""
        return random_state

    def watch(self, generators):
        """Take note of the generators that trainings draw from."""

    @contextmanager
    def training(self, training):
        """Say that a training begins and ends."""
        yield

    def epoch(self):
        """Say that an epoch is over."""

    def leave(self):
        """Say that Ctrl-C has ended the fit, which is not over."""

    def finish(self):
        """Say that the fit is over."""


class Checkpoint(NoCheckpoint):
    """The trainings of a fit, as far as they have come; written now and then.

    ``key`` stands for data, parameters and versions: a file with another one is of another fit. A
    ValueError refuses a file at ``path`` that is no state of a fit.
    """

    keeps = True

    def __init__(self, path, key):
        self.path, self.key = os.path.realpath(path), key  # wherever the process goes meanwhile
        folder = os.path.dirname(self.path)
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"checkpoint={self.path!r}: there is no folder {folder}.")
        saved = _read(self.path)
        self.spares = saved is not None and saved["key"] != key  # until its first own writing
        if self.spares:
            warnings.warn(
                f"checkpoint={self.path!r} belongs to a fit with other data, parameters or "
                "versions: this fit starts from the beginning and will replace it.",
                stacklevel=2,
            )
            saved = None
        self._go_on(saved)

    def _go_on(self, saved):
        """Begin where a file ended, if there is one."""
        self.drawn = saved["seed"] if saved else int(np.random.RandomState().randint(2**31 - 1))
        self.trainings = saved["trainings"] if saved else []
        self.place, self.present, self.generators = 0, None, []
        self.written = self.taken = time.monotonic()

    def seed(self, random_state):
        """Return ``random_state``, or for None what the killed fit drew."""
        return self.drawn if random_state is None else random_state

    def watch(self, generators):
        self.generators = generators

    @contextmanager
    def training(self, training):
        """Put a training, which has ``load_state_dict``, where the file left it; keep how it ends."""
        if self.place == len(self.trainings):
            self.trainings.append(None)
        elif self.trainings[self.place] is not None:
            state = self.trainings[self.place]
            training.load_state_dict(state["training"])
            for generator, drawn in zip(self.generators, state["generators"], strict=True):
                generator.set_state(drawn)
        self.present = training
        try:
            yield
            self._take()  # where it diverges, its last good state stays: it will do so again
        finally:
            self.place += 1

    def _take(self):
        self.trainings[self.place] = {
            "training": deepcopy(self.present.state_dict()),
            "generators": [generator.get_state() for generator in self.generators],
        }

    def epoch(self):
        """Keep the state, and write the file, where it is time to."""
        if time.monotonic() - self.taken >= min(OFTEN, SECONDS):
            self._take()
            self.taken = time.monotonic()
        if time.monotonic() - self.written >= SECONDS:
            self.write(self.content())
            self.written, self.spares = time.monotonic(), False

    def leave(self):
        """Write the file, so that a later fit goes on from where Ctrl-C ended this one.

        Not yet in place of another fit's: it may be that file that Ctrl-C should save.
        """
        if not self.spares:
            self.write(self.content())

    def content(self):
        """Return the state of the fit as bytes."""
        state = {"kind": KIND, "key": self.key, "seed": self.drawn, "trainings": self.trainings}
        content = io.BytesIO()  # torch makes a RuntimeError of what goes wrong within a file
        torch.save(_plain(state), content)
        return content.getbuffer()

    def write(self, content):
        try:
            with replacing(self.path) as file:
                file.write(content)
        except OSError as error:
            warnings.warn(f"The state of the fit could not be written: {error}", stacklevel=2)

    def finish(self):
        """Remove the file: the fit is over."""
        try:
            os.remove(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            warnings.warn(f"The state of the fit could not be removed: {error}", stacklevel=2)


def key(name, params, *content):
    """Return what stands for a fit: estimator, parameters, versions, and content such as rows."""
    asked = {name: params[name] for name in params if name not in ("checkpoint", "verbose")}
    versions = [version(package) for package in ("skae", "torch", "scikit-learn")]
    try:
        return joblib.hash([name, asked, versions, *content])
    except Exception as error:
        raise ValueError(
            f"checkpoint needs parameters that can be pickled: {error}. Define their functions and "
            "classes at the top of a module."
        ) from error


def _plain(value):
    """Return a state with Python's numbers for numpy's, which would not be read again."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


def _read(path):
    """Return the content of a file, None where there is none; refuse other files."""
    try:
        with open(path, "rb") as file:
            saved = read(file)
        if saved is not None:
            return saved
    except FileNotFoundError:
        return None
    except (OSError, MemoryError):
        raise
    except Exception as error:
        raise _foreign(path) from error
    raise _foreign(path)


def read(file):
    """Return the content of an open file; None where it is no state of a fit."""
    with zipfile.ZipFile(file) as parts:  # torch does not look at the sums
        whole = parts.testzip() is None
    file.seek(0)
    saved = torch.load(file, map_location="cpu", weights_only=True)
    return saved if whole and saved.keys() == PARTS and saved["kind"] == KIND else None


def _foreign(path):
    return ValueError(
        f"checkpoint={path!r} is no state of a fit, or a damaged one, and is left as it "
        "is: pass another path, or remove the file."
    )
