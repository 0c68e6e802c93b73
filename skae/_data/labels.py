"""Labels of rows: classes and numbers as columns that a network gets."""

import warnings
from collections.abc import Hashable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from numbers import Real

import numpy as np
import pandas as pd
from scipy import sparse

from skae._data.frames import as_frame
from skae._data.objects import is_missing
from skae._data.rows import Rows
from skae._parameters import counted

SHOWN = 10  # classes in a message
MANY, FEW = 20, 5  # more classes than this, with fewer rows each, look like numbers
SINGLE = 2  # fewer rows of each than this look like names of the rows, as to scikit-learn
FRACTIONS = Decimal, Fraction  # numbers, and never classes
ROUNDING = 1e-6  # of shares that sum to one


@dataclass(frozen=True)
class Labels:
    """What the labels of some rows are: one or several columns, each of classes or of numbers.

    Coded, a class is 1 in a column of its own and 0 in those of the others,
    less the shares of the classes; a number is standardised. So a coded label
    of zero is the mean one.

    Parameters
    ----------
    classes : list of (ndarray or None)
        The classes of each column, sorted; None for numbers.
    mean, scale : ndarray of shape (n_coded,)
        Of the coded columns: shares and 1, or mean and standard deviation.
    names : list of str or None
        Names of the columns, where they were those of a frame.
    """

    classes: list
    mean: np.ndarray
    scale: np.ndarray
    names: list | None = None

    @classmethod
    def learn(cls, columns, weight=None, names=None):
        """Return the labels of rows, given by `columns_of`: floats are numbers, others classes."""
        columns = [_complete(column, j) for j, column in enumerate(columns)]
        classes = [_numbers_like_classes(c) if c.dtype.kind == "f" else _sorted(c) for c in columns]
        n = sum(1 if known is None else len(known) for known in classes)
        plain = cls(classes, np.zeros(n), np.ones(n))
        coded = plain.coded(columns)
        mean, spread = mean_and_spread(coded, weight)
        numbers = np.repeat([c is None for c in classes], plain.sizes) & (spread > 0)
        return cls(classes, mean, np.where(numbers, spread, 1.0), names)

    def check(self):
        """Refuse parts that do not belong together."""
        n = sum(self.sizes)
        good = isinstance(self.classes, list) and len(self.classes) > 0
        good &= all(c is None or (c.ndim == 1 and len(c) > 0) for c in self.classes)
        for part in (self.mean, self.scale):
            good &= part.shape == (n,) and part.dtype.kind == "f" and np.isfinite(part).all()
        good &= self.names is None or (
            isinstance(self.names, list) and len(self.names) == len(self.classes)
        )
        for block, known in zip(self.slices, self.classes, strict=True):
            shares = self.mean[block]
            good &= known is None or ((shares >= 0).all() and abs(shares.sum() - 1) < ROUNDING)
        if not good or (self.scale <= 0).any():
            raise ValueError("the labels' parts do not belong together")

    @property
    def width(self):
        """Number of coded columns."""
        return len(self.mean)

    @property
    def sizes(self):
        """Number of coded columns of each column of labels."""
        return [1 if known is None else len(known) for known in self.classes]

    @property
    def slices(self):
        """The coded columns of each column of labels."""
        return [slice(*ends) for ends in pairwise(np.cumsum([0, *self.sizes]).tolist())]

    def refuse_other_names(self, y):
        """Refuse a frame whose columns have other names than those of the fit, or another order."""
        names = names_of_labels(y)
        if None not in (names, self.names) and names != self.names:
            raise ValueError(
                f"y has the columns {names}, but the labels of the fit were {self.names}: pass the same, "
                "in the same order."
            )

    def code(self, y, n_rows):
        """Return the coded labels of rows, (n_rows, width); one label may stand for all."""
        self.refuse_other_names(y)
        several = len(self.classes) > 1
        columns = columns_of([y] if several and np.ndim(y) == 1 and as_frame(y) is None else y)
        if len(columns[0]) not in (1, n_rows):
            raise ValueError(
                f"y has {counted(len(columns[0]), 'label')} for {counted(n_rows, 'row')}: pass one for each row, or a "
                "single one for all."
            )
        coded = self.coded(columns)
        return coded if len(coded) == n_rows else np.repeat(coded, n_rows, axis=0)

    def coded(self, columns):
        if len(columns) != len(self.classes):
            raise ValueError(
                f"y has {counted(len(columns), 'column')}, but the labels of the fit have {len(self.classes)}: "
                "pass as many."
            )
        parts = [
            _numbers(_complete(column, j))
            if known is None
            else _one_hot(_complete(column, j), known)
            for j, (column, known) in enumerate(zip(columns, self.classes, strict=True))
        ]
        return (np.hstack(parts) - self.mean) / self.scale

    def beside_rows(self, rows, columns):
        """Return `Rows` with the labels that `columns_of` gave for every row of their matrix."""
        coded = np.zeros((rows.X.shape[0], self.width))
        coded[rows.index] = self.coded([column[rows.index] for column in columns])
        return LabelledRows(rows, coded)

    def targets_of_rows(self, rows, columns, labelled):
        """Return `TargetRows`: the labels of those rows of a matrix that are marked as labelled.

        ``columns``, as `columns_of` gave them, and ``labelled`` are of every row of the matrix.
        """
        known = rows.index[labelled[rows.index]]
        coded = np.full((rows.X.shape[0], self.width), np.nan)
        if len(known):
            coded[known] = self.coded(chosen(columns, known))
        return TargetRows(rows, coded)

    def draw(self, n_rows, rng):
        """Return coded labels, each column from its distribution: shares, or a Gaussian."""
        coded = rng.standard_normal((n_rows, self.width))
        for block, known in zip(self.slices, self.classes, strict=True):
            if known is not None:
                drawn = rng.choice(len(known), n_rows, p=self.mean[block] / self.mean[block].sum())
                coded[:, block] = np.eye(len(known))[drawn] - self.mean[block]
        return coded

    def nearest(self, scores):
        """Return coded labels for the scores of classes and coded numbers that a head gives."""
        coded = np.array(scores, dtype=np.float64)
        for block, known in zip(self.slices, self.classes, strict=True):
            if known is not None:
                best = coded[:, block].argmax(axis=1)
                coded[:, block] = np.eye(len(known))[best] - self.mean[block]
        return coded


class LabelledRows(Rows):
    """`Rows` with their coded labels beside them: ``labels``, (n_rows, n_labels), of every row of ``rows.X``."""

    def __init__(self, rows, labels):
        super().__init__(rows.X, rows.index, rows.all_weight, rows.blocks)
        self.labels, self.gpu = labels.astype(rows.X.dtype, copy=False), rows.gpu

    @property
    def content(self):
        return *super().content, self.labels

    @property
    def own_labels(self):
        """Coded labels of these rows alone."""
        return self.labels[self.index]

    @property
    def width(self):
        return super().width + self.labels.shape[1]

    def subset(self, places):
        return LabelledRows(super().subset(places), self.labels)

    def raw(self, index):
        """Return rows of ``X`` and labels side by side."""
        return np.hstack([super().raw(index), self.labels[self.index[index]]])

    def take(self, index):
        """Return rows and labels side by side."""
        rows = self.widened(super().raw(index))
        return np.hstack([rows, self.labels[self.index[index]]])


class TargetRows(Rows):
    """`Rows` whose coded labels, to be predicted, stand apart: they are no columns of the rows.

    ``targets``, (n_rows, n_labels), are of every row of ``rows.X``; NaN where there is no label.
    """

    def __init__(self, rows, targets):
        super().__init__(rows.X, rows.index, rows.all_weight, rows.blocks)
        self.all_targets, self.gpu = targets, rows.gpu

    @property
    def targets(self):
        """Coded labels of the chosen rows."""
        return self.all_targets[self.index]

    @property
    def content(self):
        return *super().content, self.all_targets

    def subset(self, places):
        return TargetRows(super().subset(places), self.all_targets)

    def replaced(self, X):
        """Return the same rows, with their weights and labels, in other columns."""
        return TargetRows(super().replaced(X), self.targets)


class Residuals(Rows):
    """What a linear map of the labels leaves of `LabelledRows`: ``effects`` of shape (n_labels, width)."""

    def __init__(self, rows, effects):
        super().__init__(rows.X, rows.index, rows.all_weight, rows.blocks)
        self.rows, self.effects, self.gpu = rows, effects, rows.gpu

    @property
    def own_labels(self):
        return self.rows.own_labels

    def subset(self, places):
        return Residuals(self.rows.subset(places), self.effects)

    def take(self, index):
        if self.ready is not None:
            return self.ready[index]
        rows, labels = np.hsplit(self.rows.take(index), [self.width])
        return self.changed(rows - labels @ self.effects)


def mean_and_spread(values, weight=None, about="y"):
    """Return mean and standard deviation of columns of numbers, of any size that float64 holds.

    ``about`` says in a message what they are.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.average(values, axis=0, weights=weight)
        rest = values - mean
        spread = np.sqrt(np.average(rest**2, axis=0, weights=weight))
    refuse_too_large(values, mean, about)
    largest = np.abs(rest).max(axis=0)
    lost = (largest > 0) & ((spread == 0) | np.isinf(spread))  # squares are beyond float64
    unit = np.where(lost, largest, 1.0)
    again = (
        unit * np.sqrt(np.average((rest / unit) ** 2, axis=0, weights=weight)) if lost.any() else 0
    )
    return mean, np.where(lost, again, spread)


def refuse_too_large(values, mean, about):
    """Refuse numbers whose distance from their mean float64 does not hold."""
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(values - mean).all()
    if not finite:
        raise ValueError(
            f"{about} has numbers as large as {np.abs(values).max():.3g}, whose mean is beyond float64: scale "
            "it, for example with StandardScaler."
        )


def beside(X, labels):
    """Return rows with their coded labels beside them, in the dtype of the rows."""
    labels = labels.astype(X.dtype)
    if sparse.issparse(X):
        return sparse.hstack([X, labels], format="csr")
    return np.hstack([X, labels])


def columns_of(y):
    """Return the columns of labels as arrays; NaN, None or NA stand for a missing one."""
    if sparse.issparse(y):
        raise ValueError("y is a sparse matrix: pass an array, such as y.toarray().")
    y = pd.Series(y) if isinstance(y, pd.api.extensions.ExtensionArray) else y
    frame = as_frame(y.to_frame() if hasattr(y, "to_frame") else y)
    if frame is not None:
        return [_typed(_cells(column)) for column in frame.iter_columns()]
    y = np.atleast_1d(_array(y))
    if y.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: y is {y.dtype}. Pass real numbers.")
    if y.ndim > 2 or y.size == 0 or y.dtype.kind == "V":
        raise ValueError(
            f"y has the shape {y.shape} and the type {y.dtype}: expected labels of shape (n_samples,) or "
            "(n_samples, n_columns)."
        )
    return list(map(_typed, y.T if y.ndim == 2 else [y]))


def names_of_labels(y):
    """Return the names of several columns of labels in a frame; None for other labels."""
    names = list(getattr(y, "columns", ()))
    return names if len(names) > 1 and all(isinstance(name, str) for name in names) else None


def has_label(columns, unlabeled):
    """Return which rows have a label in every column that `columns_of` gave.

    ``unlabeled`` is the entry that marks a row without one: NaN stands for
    every missing entry, None for no mark.
    """
    missing = np.any([pd.isna(column) for column in columns], axis=0)
    if unlabeled is not None and is_missing(unlabeled):
        return ~missing
    if missing.any():
        raise ValueError(
            f"y has {counted(missing.sum(), 'missing label')} (NaN, None or NA), the first in row "
            f"{missing.argmax()}, but unlabeled={unlabeled!r}: pass unlabeled=np.nan to learn the code "
            "from these rows, too, or leave them out."
        )
    return np.all([column != unlabeled for column in columns], axis=0)


def chosen(columns, rows):
    """Return the labels of some rows, each column in the type that its labels there have."""
    return [_typed(column[rows]) for column in columns]


def _cells(column):
    """Return the labels in a column of a frame; those of integers stay such beside missing ones."""
    if column.dtype.is_float() or column.dtype.is_temporal() or not column.is_null().any():
        return np.asarray(column.to_numpy())
    cells = np.empty(len(column), dtype=object)
    cells[:] = column.to_list()
    return cells


def _array(y):
    """Return labels as an array; of a list, numpy would make strings of all beside a string."""
    array = np.asarray(y)
    if np.ma.is_masked(y):
        return np.where(np.ma.getmaskarray(y), None, array.astype(object))
    if isinstance(y, np.ndarray) or array.dtype.kind != "U":
        return array
    objects = np.asarray(y, dtype=object)
    return array if all(isinstance(label, str) for label in objects.flat) else objects


def _typed(column):
    """Return a column of objects in the one type of numbers that they have, where they do."""
    if column.dtype != object:
        return column
    for label in column.tolist():
        if not isinstance(label, Hashable):
            raise ValueError(
                f"y has {label!r} for a label: expected strings, numbers or booleans, one a row."
            )
    present = ~pd.isna(column)
    if present.any() and all(isinstance(label, FRACTIONS) for label in column[present].tolist()):
        return np.where(present, column, np.nan).astype(np.float64)  # such as prices of a database
    typed = pd.Series(column[present], dtype=object).infer_objects().to_numpy()
    return typed if typed.dtype.kind in "biuf" and present.all() else column


def _complete(column, j):
    """Return a column of labels; refuse missing and infinite ones."""
    missing = np.flatnonzero(pd.isna(column))
    if len(missing):
        raise ValueError(
            f"y has {counted(len(missing), 'missing label')} (NaN or None) in column {j}, the first in row "
            f"{missing[0]}: leave such rows out, or give them a class of their own."
        )
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        raise ValueError(f"y has infinite numbers in column {j}: expected finite ones.")
    return column


def classes_of(column):
    """Return the classes of a column, sorted."""
    try:
        return np.unique(column)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in column.tolist()})
        raise ValueError(
            f"y has classes of several types ({', '.join(kinds)}): convert them to one, such as str."
        ) from None


def _sorted(column):
    """Return the classes of a column, sorted; warn where they look like numbers or names of rows."""
    known = classes_of(column)
    if column.dtype.kind in "iu" and _are_many(known, column):
        warnings.warn(
            f"y has {counted(len(known), 'integer')} in {counted(len(column), 'row')}, and each is taken for a class of "
            "its own: where they are numbers, pass y.astype(float).",
            UserWarning,
            stacklevel=2,
        )
    elif column.dtype.kind not in "biu" and _are_many(known, column, SINGLE):
        warnings.warn(
            f"y has {len(known)} different labels in {len(column)} rows, such as {str(known[0])!r}, and each is "
            "taken for a class of its own: pass labels that rows share, not a name of each; of times make "
            "numbers, such as (y - y.min()) / pandas.Timedelta(days=1).",
            UserWarning,
            stacklevel=2,
        )
    return known


def _numbers_like_classes(column):
    """Return None, for numbers have no classes; warn where they look like classes."""
    found = np.unique(column)
    if (found == np.round(found)).all() and not _are_many(found, column):
        warnings.warn(
            f"y has {counted(len(found), 'whole number')} in {counted(len(column), 'row')}, and as floats they are taken "
            "for numbers: where they are classes, pass y.astype(int).",
            UserWarning,
            stacklevel=2,
        )


def _are_many(found, column, few=FEW):
    """Return whether the values of a column are more than it would have classes, each of few rows."""
    return len(found) > max(MANY, len(column) / few)


def numbers_of(column):
    """Return a column of labels as float64; refuse what is no number."""
    is_time = column.dtype.kind in "mM"  # of nanoseconds, tolist makes whole numbers
    others = column.tolist() if column.dtype.kind not in "biufmM" else column[:is_time]
    for label in others:
        if is_time or not isinstance(label, Real | Decimal):
            raise ValueError(
                f"y has {label!r}, which is not a number: convert it to one, or take a classifier."
            )
    return column.astype(np.float64)


def _numbers(column):
    try:
        return column.astype(np.float64)[:, None]
    except (TypeError, ValueError):
        raise ValueError(
            f"y has {column.tolist()[0]!r} where the labels of the fit are numbers: pass numbers."
        ) from None


def _one_hot(column, classes):
    """Return 1 in the column of each label's class; refuse others."""
    place = {value: i for i, value in enumerate(classes.tolist())}
    found = [place.get(value) for value in column.tolist()]
    if None in found:
        known = ", ".join(map(repr, classes[:SHOWN].tolist()))
        more = ", ..." if len(classes) > SHOWN else ""
        raise ValueError(
            f"y has the class {column.tolist()[found.index(None)]!r}, which fit did not see: "
            f"expected one of {known}{more}. Fit to rows of that class, too."
        )
    return np.eye(len(classes))[found]
