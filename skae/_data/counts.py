"""What a table's columns hold, learned of blocks of its rows: levels by counting, numbers by sums."""

import numpy as np

from skae._data.labels import refuse_too_large
from skae._data.objects import CATEGORY
from skae._data.rows import Moments
from skae._data.table_encoder import factorized, kind_of, warn_of_text

LARGEST = 1023  # exponent of a power of two in float64


class TableCounts:
    """Learns the `Schema` of a table from blocks of its rows, which may be counted apart.

    ``X`` is the first block, which says what the `Columns` are. It is not counted.
    """

    def __init__(self, columns, X):
        self.of_schema, self.encoder, self.n_rows = columns, columns.encoder(), 0
        found = self.encoder.read_columns(X, True)
        warn_of_text(found, isinstance(self.encoder.categorical_features, str))
        self.columns = [
            LevelCounts(field.name) if field.kind == CATEGORY else NumberSums()
            for field, _ in found
        ]

    def add(self, X, weight=None):
        """Count a block: its rows have positive weights."""
        found = self.encoder.read_columns(X, False)
        weight = np.ones(len(found[0][1])) if weight is None else weight
        self.n_rows += len(weight)
        for column, (_, cells) in zip(self.columns, found, strict=True):
            column.add(cells, weight)
        return self

    def take_in(self, other):
        """Take in what was counted of later blocks."""
        self.n_rows += other.n_rows
        for column, its in zip(self.columns, other.columns, strict=True):
            column.take_in(its)
        return self

    def schema(self):
        learned = [
            column.learned(self.encoder, place, self.n_rows)
            for place, column in enumerate(self.columns)
        ]
        self.encoder.take(learned, [column.n_present for column in self.columns])
        lacking = self.encoder.n_samples_seen_ < self.n_rows
        return self.of_schema.of_table(self.encoder, lacking)


class NumberSums:
    """Mean and deviation of a column of numbers or times.

    Its cells are summed in a unit of their own size, a power of two, so that squares
    neither overflow nor vanish.
    """

    def __init__(self):
        self.moments, self.n_present, self.unit = Moments(), 0, 0.0

    def add(self, cells, weight):
        present = ~np.isnan(cells)
        cells, weight = cells[present], weight[present]
        self.n_present += len(cells)
        size = np.abs(cells).max(initial=0.0)
        if size > 0:
            self._grow(np.ldexp(1.0, min(np.frexp(size)[1], LARGEST)))
        if len(cells):
            self.moments.add(cells[:, None] / (self.unit or 1.0), weight)

    def take_in(self, other):
        self.n_present += other.n_present
        self._grow(other.unit)
        other._grow(self.unit)
        self.moments.take_in(other.moments)

    def _grow(self, unit):
        """Go on in a unit, if it is larger."""
        if unit <= self.unit:
            return
        known, ratio, self.unit = self.moments, self.unit / unit, unit
        if known.weight:
            known.mean, known.scatter = known.mean * ratio, known.scatter * ratio**2
            known.low, known.high = known.low * ratio, known.high * ratio

    def learned(self, encoder, place, n_rows):
        """Return mean and scale, and nothing of levels."""
        if not self.n_present:
            return np.nan, 1.0, None, None, None
        known, unit = self.moments, self.unit or 1.0
        mean, deviation = unit * float(known.mean[0]), unit * float(np.sqrt(known.variance[0]))
        ends = unit * np.array([known.low[0], known.high[0]])
        refuse_too_large(ends, mean, f"Column {encoder.names[place]!r}")
        rounding = self.n_present * np.finfo(np.float64).eps * max(deviation, abs(mean))
        return mean, deviation if deviation > rounding else 1.0, None, None, None


class LevelCounts:
    """Rows and weights of each level of a category; ``name`` is that of the column, for messages."""

    def __init__(self, name):
        self.name, self.kinds = name, set()
        self.places, self.counts, self.heavy = {}, [], []

    @property
    def n_present(self):
        return sum(self.counts)

    def add(self, cells, weight):
        codes, levels = factorized(self.name, cells)
        present = codes >= 0
        counts = np.bincount(codes[present], minlength=len(levels))
        heavy = np.bincount(codes[present], weight[present], minlength=len(levels))
        self._take(levels, counts.tolist(), heavy.tolist())

    def take_in(self, other):
        self._take(other.places, other.counts, other.heavy)

    def _take(self, levels, counts, heavy):
        self.kinds |= {kind_of(type(level)) for level in levels}
        if len(self.kinds) > 1:
            raise ValueError(
                f"Column {self.name!r} mixes several types: {sorted(self.kinds)}. Make it one type, "
                "for example with astype(str)."
            )
        for level, count, weighed in zip(levels, counts, heavy, strict=True):
            place = self.places.setdefault(level, len(self.counts))
            if place == len(self.counts):
                self.counts.append(0)
                self.heavy.append(0.0)
            self.counts[place] += count
            self.heavy[place] += weighed

    def learned(self, encoder, place, n_rows):
        """Return the levels as the encoder orders and pools them."""
        field, levels = encoder.fields[place], list(self.places)
        if field.categories is not None:
            known = set(field.categories)
            new = [level for level in levels if level not in known]
            if new and field.ordered:
                raise ValueError(
                    f"Column {field.name!r} has ordered categories, and later blocks hold others: "
                    f"{new[:3]}. Declare all of them, in their order, in every block."
                )
            field.categories.extend(new)
        parts = np.array(self.counts, dtype=int), np.array(self.heavy, dtype=float)
        return 0.0, 1.0, *encoder.levels_of(field, levels, *parts, n_rows)
