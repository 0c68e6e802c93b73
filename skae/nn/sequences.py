"""Torch modules for rows that are flattened sequences."""

import math

import torch
from torch import nn

from skae.nn.images import Images, Rows
from skae.nn.layers import Linear, Unset, draw_normal

MOST_READS = 16  # longer recurrences take longer and learn more slowly


class Recurrence(Unset, nn.GRU):
    """One layer of gated recurrent units, in float32; made without values."""

    def __init__(self, n_inputs, n_units):
        super().__init__(n_inputs, n_units, batch_first=True, dtype=torch.float32)

    def forward(self, x, first=None):
        """Return all states, (n_samples, n_reads, n_units); the one before them is ``first``."""
        if x.is_cuda:
            return self.one_by_one(x, first)
        return super().forward(x, None if first is None else first[None])[0]

    def one_by_one(self, x, first=None):
        """Return the same, read by read: cuDNN wants the weights in a chunk of memory of its own."""
        state = x.new_zeros(len(x), self.hidden_size) if first is None else first
        states = []
        for read in x.unbind(1):
            state = torch.gru_cell(read, state, *self.all_weights[0])
            states.append(state)
        return torch.stack(states, 1)


class SequenceEncoder(nn.Module):
    """Maps standardised rows, and which of their cells are missing, to codes.

    The states of those reads that hold a cell are averaged: so what a shorter
    sequence lacks is not read, and the code of its beginning is like its own. ``units`` are those of each
    recurrent layer, ``known`` the places in the sequence of the columns that rows have, where they are not all.
    """

    def __init__(self, sequence_shape, units, n_outputs, known=None):
        super().__init__()
        _keep(self, known)
        self.at_once = steps_at_once(sequence_shape[0])
        self.steps = Images(sequence_shape)
        self.layers = _layers(self.at_once * sequence_shape[1], units)
        self.output = Linear(units[-1], n_outputs)

    def forward(self, inputs):
        """Return the codes of rows beside their flags, (n_samples, 2 * n_features)."""
        rows, missing = inputs.chunk(2, dim=1)
        present = 1 - missing
        if self.known is not None:
            rows, present = (self._whole(part) for part in (rows, present))
        present = present.unflatten(1, self.steps.image_shape)
        weight = _reads(present, self.at_once).amax(2, keepdim=True)
        states = _reads(self.steps(rows), self.at_once)
        for layer in self.layers:
            states = layer(states)
        return self.output((states * weight).sum(1) / weight.sum(1).clamp(min=1))

    def _whole(self, columns):
        """Return all places of the sequence, zero where there is no column."""
        whole = columns.new_zeros(len(columns), math.prod(self.steps.image_shape))
        return whole.index_copy(1, self.known, columns)


class SequenceDecoder(nn.Module):
    """Maps codes to standardised rows: the code sets the first state, and is an input of every read.

    Its parameters are those of a `SequenceEncoder`.
    """

    def __init__(self, sequence_shape, units, n_inputs, known=None):
        super().__init__()
        _keep(self, known)
        n_steps, n_channels = sequence_shape
        self.n_steps, self.at_once = n_steps, steps_at_once(n_steps)
        self.told = Linear(n_inputs, 2 * units[0])
        self.layers = _layers(units[0], units)
        self.output = Linear(units[-1], self.at_once * n_channels)
        self.rows = Rows(sequence_shape)

    def forward(self, code):
        """Return rows of shape (n_samples, n_features)."""
        state, told = self.told(code).chunk(2, dim=1)
        first, *others = self.layers
        states = told[:, None].expand(-1, -(-self.n_steps // self.at_once), -1)
        states = first(states, state.tanh())
        for layer in others:
            states = layer(states)
        steps = self.output(states).unflatten(2, (self.at_once, -1)).flatten(1, 2)
        rows = self.rows(steps[:, : self.n_steps])
        return rows if self.known is None else rows[:, self.known]


def steps_at_once(n_steps):
    """Return how many steps are read, and written, at a time."""
    return -(-n_steps // MOST_READS)


def _keep(half, known):
    """Keep which columns there are, for a module that is not yet on a device."""
    known = None if known is None else torch.from_numpy(known)
    half.register_buffer("known", known, persistent=False)


def _layers(n_inputs, units):
    return nn.ModuleList(map(Recurrence, (n_inputs, *units[:-1]), units))


def _reads(steps, at_once):
    """Return (n_samples, n_reads, at_once * n_channels): zeros follow the last step."""
    padded = nn.functional.pad(steps, (0, 0, 0, -steps.shape[1] % at_once))
    return padded.unflatten(1, (-1, at_once)).flatten(2)


@torch.no_grad()
def draw(half, generator, zero_output):
    """Draw normal weights of variance 1 / fan-in; biases, and with ``zero_output`` the outputs, are 0."""
    for parameter in half.parameters():
        if parameter.ndim == 2:
            std = 1 / math.sqrt(parameter.shape[1])
            draw_normal(parameter, std, generator)
        else:
            parameter.zero_()
    if zero_output:
        half.output.weight.zero_()
