"""Progress of a fit: printed lines, a bar, and whoever else listens."""

import sys
import time

from skae._parameters import counted

LONG = 60.0  # seconds of all epochs


class Progress:
    """Reports that an epoch is over: to the terminal and to scikit-learn's callbacks.

    ``verbose`` shows nothing (0), a line an epoch (1), or a bar (2) behind ``name``; a ``listener`` has
    ``begin(max_iter)``, ``epoch()`` and ``end()``; a `Meter` counts what is read of a stream.
    """

    def __init__(self, verbose=0, name="", listener=None, meter=None):
        self.verbose, self.name, self.listener, self.meter = verbose, name, listener, meter
        self.bar = None
        self.silent = not verbose

    def first_pass(self):
        """Show how fast a stream was read for the first time."""
        pace = self.meter.pace()
        if self.verbose:
            print(f"First pass: {pace}", flush=True)

    def begin(self, max_iter):
        self.began, self.max_iter = time.monotonic(), max_iter
        if self.listener is not None:
            self.listener.begin(max_iter)
        if self.verbose >= 2 and self.bar is None:
            from tqdm import tqdm

            self.bar = tqdm(total=max_iter, unit="epoch", desc=self.name)

    def epoch(self, number, loss, score=None):
        """Show the loss of an epoch, and the held-out score where there is one."""
        if self.silent:
            self._announce(number)
        pace = "" if self.meter is None else f", {self.meter.pace()}"
        if self.bar is not None:
            self.bar.set_postfix_str(
                f"score={1 - loss if score is None else score:.4f}{pace}", refresh=False
            )
            self.bar.update()
        elif self.verbose:
            held_out = "" if score is None else f", validation score: {score:.6f}"
            print(f"Iteration {number}, loss = {loss:.8f}{held_out}{pace}", flush=True)
        if self.listener is not None:
            self.listener.epoch()

    def _announce(self, number):
        """Say once how long the training may take, where that is long."""
        taken = time.monotonic() - self.began
        longest = taken / number * self.max_iter
        if longest < LONG or taken < LONG / 10:  # the first epochs also warm up
            return
        print(
            f"{self.name or 'skae'}: this fit may take more than a minute: {counted(self.max_iter, 'epoch')} at "
            f"{taken / number:.2g} s are {longest / 60:.1f} min. Most end sooner; verbose=1 or 2 shows its "
            "progress.",
            file=sys.stderr,
            flush=True,
        )
        self.silent = False

    def end(self):
        if self.bar is not None:
            self.bar.close()
        if self.listener is not None:
            self.listener.end()
