"""Tables and numbers: frames with categories, dates and missing cells coded as a float matrix, and back."""

import re
import warnings
from collections.abc import Hashable
from numbers import Integral, Real

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from skae._data.blocks import UNSEEN
from skae._data.build import build, whole_numbers
from skae._data.frames import (
    Field,
    column,
    field_of,
    fields,
    form_of,
    frame_of,
    label_names,
    library,
    numbers,
    plain_numbers,
    table,
    zone_in,
)
from skae._data.labels import mean_and_spread
from skae._data.objects import CATEGORY, NUMBER, is_missing
from skae._data.rows import exact_mean
from skae._parameters import (
    TableEncoding,
    check_sample_weight,
    counted,
    fit_context,
    parameters,
    validated,
)

FEWEST, LEAST_SHARE = 2, 1e-3  # rows of a level of its own, where min_frequency is "auto"
EXAMPLES = 3  # of what was wrong, in a message
NEARLY, LOOKED_AT = 0.9, 1000  # share of a column's cells, and how many of them are looked at
FEWEST_IDS = 20  # cells: of fewer, nothing is strange if each is another one
PLACEHOLDERS = {"", "?", "-", "--", ".", "na", "n/a", "nan", "null", "none", "missing", "unknown"}
NUMBERS, DATES, IDS = "text that reads as numbers", "text that reads as dates", "nearly all differ"
PATTERNS = {
    DATES: re.compile(
        r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2}))"
        r"([T ]\d{1,2}:\d{2}.*)?"
    ),
    NUMBERS: re.compile(r"[-+]?[$€£]?\s?(\d[\d,.' _]*|\.\d+)(e[-+]?\d+)?\s?[%$€£]?", re.I),
}
REMEDIES = {
    NUMBERS: "which pandas.to_numeric(column, errors='coerce') makes numbers",
    DATES: "which pandas.to_datetime(column) makes dates",
    IDS: "which says nothing of other rows: leave such columns out",
}


@parameters
class TableEncoder(TableEncoding, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Turn a table into a float64 matrix with one column for each of its columns, and back.

    Numbers, dates and durations are standardised,

    .. math:: (x - \mu_j) / s_j,

    with mean and standard deviation (denominator n) of the present
    cells; dates are seconds since 1970. Categories become 0, 1, 2, ...
    A missing cell (None, NaN, NaT, NA) becomes NaN. Rare levels of a column
    share its last code. The matrix has one column for each column, however
    many levels there are.

    Parameters
    ----------
    categorical_features : "from_dtype", None or array-like, default="from_dtype"
        Which columns are categories: "from_dtype" takes a frame's columns of
        booleans, strings, categories and objects that are not all numbers;
        None takes none; otherwise names, positions or a boolean mask.
    min_frequency : "auto", int or float, default="auto"
        Levels of fewer rows (int), or of a smaller share of the rows (float),
        share one code. "auto" is a thousandth of the rows, and at least 2: a
        column has at most 1,000 codes then.

    Attributes
    ----------
    categories_ : list of (list or None)
        For each category column its levels in the order of their codes, rare
        ones left out; None for others.
    infrequent_categories_ : list of (list or None)
        The levels that share the last code, the most frequent first; None
        where there are none.
    level_shares_ : list of (ndarray or None)
        Share of each code among the present cells.
    mean_, scale_ : ndarray of shape (n_features_in_,)
        Mean and standard deviation of numbers; 0 and 1 for categories. The scale of a constant column is
        1; the mean of a column without any cell is NaN: it stays missing.
    n_samples_seen_ : ndarray of shape (n_features_in_,)
        Number of present cells of each column, int.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, where they are strings.

    See Also
    --------
    sklearn.preprocessing.OrdinalEncoder : For categories only.

    Notes
    -----
    A level that was not seen in ``fit`` gets the code of rare levels, or NaN
    if there are none, with a warning. (In errors and scores of an
    autoencoder it costs at least as much as the least likely level.) ``inverse_transform`` decodes
    the shared code as its most frequent level.

    Examples
    --------
    >>> import pandas as pd
    >>> from skae import TableEncoder
    >>> X = pd.DataFrame({"size": [1, 3, None], "colour": ["red", "blue", "red"]})
    >>> encoder = TableEncoder(min_frequency=1).fit(X)
    >>> encoder.transform(X)
    array([[-1.,  1.],
           [ 1.,  0.],
           [nan,  1.]])
    >>> encoder.inverse_transform([[1.0, 0.0]])
       size colour
    0   3.0   blue
    """

    _label_names = None  # of the levels of a pandas frame's columns

    @fit_context
    def fit(self, X, y=None, sample_weight=None):
        """Learn the levels of categories, means and deviations of numbers.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            A pandas or polars frame, or an array.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Rows of weight zero are left out.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For columns of a type that is neither number, time nor category,
            for several types in one column, and for infinite numbers;
            for negative weights.
        """
        before = vars(self).copy()
        try:
            return self._learn(X, sample_weight)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    def _learn(self, X, sample_weight):
        """Learn what `fit` does; an error leaves a part of it."""
        columns = self._read(X, reset=True)
        n_rows = len(columns[0][1])
        weight = np.ones(n_rows)
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, np.empty((n_rows, 1)))
        learned = [
            (0.0, 1.0, *self._levels(field, cells, weight))
            if field.kind == CATEGORY
            else (*_moments(cells, weight, f"Column {field.name!r}"), None, None, None)
            for field, cells in columns
        ]
        self.take(learned, [int(np.sum(~pd.isna(c) & (weight > 0))) for _, c in columns])
        warn_of_text(columns, isinstance(self.categorical_features, str))
        self._warn_of_all_pooled(n_rows)
        return self

    def _warn_of_all_pooled(self, n_rows):
        """Warn of columns whose levels are all rare; `warn_of_text` names those that nearly all differ."""
        levels = zip(self._fields, self.categories_, self.infrequent_categories_, strict=True)
        lost = [
            f"{field.name!r} ({len(pooled)} levels)"
            for field, kept, pooled in levels
            if kept == [] and pooled and 1 < len(pooled) < NEARLY * n_rows
        ]
        if lost and n_rows >= FEWEST_IDS:
            warnings.warn(
                f"Nothing is learned of {', '.join(lost[:EXAMPLES])}{' ...' if lost[EXAMPLES:] else ''}: each "
                f"level has fewer rows than min_frequency={self.min_frequency!r} asks for, which is "
                f"{self._fewest(n_rows):g} here, and all are pooled. Pass a smaller min_frequency, join levels, "
                "or leave such columns out.",
                UserWarning,
                stacklevel=4,
            )

    def transform(self, X):
        """Return the coded table.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        coded : ndarray of shape (n_samples, n_features)
            float64, with NaN for missing cells.

        Raises
        ------
        ValueError
            If columns differ from those of ``fit`` in name or kind.
        """
        coded = self.read(X)
        for place, field in enumerate(self._fields):
            if field.kind == CATEGORY:
                coded[:, place] = self._as_known(place, coded[:, place])
        return coded

    def read(self, X, owner="TableEncoder", warns=True):
        """Return the coded table, in which unseen levels have a code of their own.

        That code is 0.5 above the code of the rare levels, or above the largest code if there are
        none. A warning counts unseen levels, but not in fit, where rows without weight have them.
        ``owner`` is the estimator's name, for messages.
        """
        check_is_fitted(self)
        columns = self._read(X, False, owner)
        coded = np.empty((len(columns[0][1]), len(columns)))
        unseen = {}
        for place, (field, cells) in enumerate(columns):
            if field.kind == CATEGORY:
                coded[:, place] = self._codes(place, cells, unseen)
            else:
                with np.errstate(over="ignore"):  # what is made of infinities is refused
                    coded[:, place] = (cells - self.mean_[place]) / self.scale_[place]
        if warns:
            _warn_of_unseen(unseen)
        return coded

    def _as_known(self, place, codes):
        """Return codes with those of unseen levels as rare ones, or as missing."""
        other = np.floor(codes) if self.infrequent_categories_[place] else np.nan
        return np.where(codes % 1 == UNSEEN, other, codes)

    def share_of_unseen(self, place):
        """Return the share of a category's cells that levels have which fit did not see.

        Where rare levels were pooled theirs, else that of one cell more.
        """
        shares = self.level_shares_[place]
        if self.infrequent_categories_[place]:
            return shares[-1]
        if hasattr(self, "n_samples_seen_"):
            return 1 / (1 + self.n_samples_seen_[place])
        return shares.min() / FEWEST  # a file of old does not say how many there were

    def unseen(self, X):
        """Return which cells hold levels that fit did not see: bool, of the shape of the table."""
        columns = self._read(X, reset=False)
        found = np.zeros((len(columns[0][1]), len(columns)), dtype=bool)
        for place, (field, cells) in enumerate(columns):
            if field.kind == CATEGORY:
                codes, levels = factorized(field.name, cells)
                known = {*self.categories_[place], *(self.infrequent_categories_[place] or [])}
                is_new = np.array([*(level not in known for level in levels), False])
                found[:, place] = is_new[codes]
        return found

    def inverse_transform(self, X):
        """Return the table decoded from a matrix.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Codes are rounded to the nearest level.

        Returns
        -------
        table : frame or ndarray of shape (n_samples, n_features)
            With the library, column names and types of the fit, and
            the index of X. Integers are rounded, within the range of their type.
        """
        check_is_fitted(self)
        coded = check_array(table(X), dtype=np.float64, ensure_all_finite="allow-nan")
        if coded.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {counted(coded.shape[1], 'column')}, but this TableEncoder codes {self.n_features_in_}: "
                "pass what transform returned."
            )
        return self.decode(coded, table(X))

    def decode(self, X, like=None, numbers=None):
        """Return the table of a float64 matrix of the right shape.

        ``like`` is a frame or an array whose index, if it has one, is taken;
        ``numbers`` are cells in units of the table, by the places of their columns.
        """
        columns = self.columns(X, numbers)
        if self._library is not None:
            return build(self._fields, columns, self._library, like, self._label_names)
        dtype = np.dtype(self._fields[0].dtype)
        plain = dtype if dtype.kind in "fiub" and dtype != np.float64 else np.float64
        if any(f.kind == CATEGORY for f in self._fields) and dtype.kind not in "fiub":
            plain = object
        table = np.empty(X.shape, dtype=plain)
        for place, (field, cells) in enumerate(zip(self._fields, columns, strict=True)):
            whole = cells if field.kind == CATEGORY else whole_numbers(str(plain), cells)
            table[:, place] = [np.nan if c is None else c for c in whole]
        return table

    @property
    def library(self):
        """The library of the frame that was fitted: "pandas", "polars", or None for an array."""
        return self._library

    @property
    def fields(self):
        """A `Field` for each column."""
        return self._fields

    @property
    def names(self):
        """The names of the columns, strings or not; their places in an array."""
        return [field.name for field in self._fields]

    @property
    def label_names(self):
        """The names of the levels of a pandas frame's columns; None for plain ones."""
        return self._label_names

    def columns(self, X, numbers=None):
        """Return the cells of each column of a coded table: float64, or lists of levels."""
        known = numbers or {}
        return [
            known[place] if place in known else self._cells(place, X[:, place])
            for place in range(X.shape[1])
        ]

    def __sklearn_tags__(self):
        """Return the tags: missing cells and categories are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float64"]
        return tags

    # state ------------------------------------------------------------------------------------

    def __getstate__(self):
        """Return builtins and arrays."""
        state = super().__getstate__().copy()
        if "_fields" in state:
            state["_fields"] = [field._asdict() for field in state["_fields"]]
        return state

    def __setstate__(self, state):
        state = dict(state)
        if "_fields" in state:
            state["_fields"] = list(map(field_of, state["_fields"]))
        super().__setstate__(state)

    def check_state(self, n_columns, n_levels):
        """Refuse, with a ValueError, a state that cannot be that of such a table."""
        lists = self._fields, self.categories_, self.infrequent_categories_, self.level_shares_
        good = (
            all(isinstance(part, list) and len(part) == n_columns for part in lists)
            and self._library in (None, "pandas", "polars")
            and all(isinstance(a, np.ndarray) for a in (self.mean_, self.scale_))
            and self.mean_.shape == self.scale_.shape == (n_columns,)
            and self.mean_.dtype == self.scale_.dtype == np.float64
            and (self.scale_ > 0).all()
            and self.n_features_in_ == n_columns
            and _are_names(getattr(self, "feature_names_in_", None), n_columns)
        )
        if not good:
            raise ValueError(f"the encoder of a table of {n_columns} columns cannot be this one")
        for n, field, *known in zip(n_levels, *lists, strict=True):
            _check_column(n, field, *known)

    def take(self, learned, n_present):
        """Take what was learned of the columns elsewhere, as `fit` would have learned it.

        ``learned`` are mean, scale, levels, rare levels and shares of each column.
        """
        mean, scale, *of_levels = map(list, zip(*learned, strict=True))
        self.mean_, self.scale_ = np.array(mean), np.array(scale)
        self.categories_, self.infrequent_categories_, self.level_shares_ = of_levels
        self.n_samples_seen_ = np.array(n_present)
        self.decode(np.zeros((1, len(mean))))  # refuses types that cannot be made again

    # reading ----------------------------------------------------------------------------------

    def read_columns(self, X, first):
        """Return pairs of a `Field` and its cells, of a block of the rows that are fitted."""
        columns = self._read(X, reset=first)
        if first:  # of no column is it known whether it stays empty
            self.categories_, self.infrequent_categories_ = [[[None]] * len(columns)] * 2
            self.mean_ = np.zeros(len(columns))
        return columns

    def _read(self, X, reset, owner="TableEncoder"):
        """Return pairs of a `Field` and its cells: float64, or an object array."""
        X = table(X)
        frame = frame_of(X)
        if frame is None:
            if not hasattr(X, "dtype") and np.asarray(X).dtype.kind == "U":
                X = np.array(X, dtype=object)  # else numpy turns NaN into text
            X = self._validated(X, reset, owner, dtype=None, ensure_all_finite="allow-nan")
            found = [Field(place, str(X.dtype), NUMBER) for place in range(X.shape[1])]
            if not reset and self._library is not None and X.dtype == object:
                X = frame = pd.DataFrame(X, columns=self.names)  # such cells may be anything
                found = fields(frame)
        else:
            self._validated(X, reset, owner, skip_check_array=True)
            if 0 in frame.shape:
                what = "sample" if not len(frame) else "feature"
                raise ValueError(
                    f"Found array with 0 {what}(s) (shape={frame.shape}) while a minimum of 1 is required."
                )
            found = fields(frame)
        if reset:
            self._library = None if frame is None else library(frame)
            self._fields, self._label_names = self._with_categories(found, frame), label_names(X)
            unread = []
        else:
            unread = self._check_kinds(found, frame)
        plain = {}
        if frame is not None:
            matrix, places = plain_numbers(frame)
            plain = dict(zip(places, matrix.T, strict=True))
        return [
            (field, _cells_of(field, place, X, frame, place in unread, plain.get(place)))
            for place, field in enumerate(self._fields)
        ]

    def _validated(self, X, reset, owner, **checks):
        """Return X as `validate_data` does, in whose messages the owner is named."""
        if reset:
            return validate_data(self, X, **checks)
        known = self.n_features_in_, getattr(self, "feature_names_in_", None)
        return validated(X, owner, *known, **checks)

    def _with_categories(self, found, frame):
        """Return the fields with those kinds that ``categorical_features`` asks for."""
        asked = self.categorical_features
        if isinstance(asked, str):
            return found
        chosen = _mask(asked, [field.name for field in found], frame is not None)
        left = [f.name for f, c in zip(found, chosen, strict=True) if f.kind == CATEGORY and not c]
        if left:
            raise ValueError(
                f"The columns {left[:EXAMPLES]} hold categories and are not among "
                "categorical_features: name them there, convert them to numbers or leave them out."
            )
        return [
            field._replace(kind=CATEGORY) if is_chosen else field
            for field, is_chosen in zip(found, chosen, strict=True)
        ]

    def _check_kinds(self, found, frame):
        """Refuse columns whose kind is another than in fit; return those that are not to be read."""
        chosen = not isinstance(self.categorical_features, str)
        unused = [] if frame is None else self._unused()
        refuse_other_kinds(self._fields, found, frame, chosen, unused)
        unread = [place for place in unused if found[place].kind != NUMBER]
        warn_of_unused(frame, unread)
        return unread

    def _unused(self):
        levels = zip(self.categories_, self.infrequent_categories_, strict=True)
        empty = [kept is not None and not (kept or pooled) for kept, pooled in levels]
        return np.flatnonzero(np.array(empty, bool) | np.isnan(self.mean_)).tolist()

    # levels -----------------------------------------------------------------------------------

    def _levels(self, field, cells, weight):
        """Return the levels of a column, its rare levels and the shares of all codes."""
        codes, levels = factorized(field.name, cells)
        present = (codes >= 0) & (weight > 0)
        counts = np.bincount(codes[present], minlength=len(levels))
        heavy = np.bincount(codes[present], weight[present], minlength=len(levels))
        return self.levels_of(field, levels, counts, heavy, np.sum(weight > 0))

    def levels_of(self, field, levels, counts, heavy, n_rows):
        """Return the same, given how many cells hold each level and what they weigh."""
        order = _natural_order(levels, field.categories)
        order = [place for place in order if counts[place]]
        rare = [place for place in order if counts[place] < self._fewest(n_rows)]
        rare.sort(key=lambda place: -heavy[place])
        is_rare = set(rare)
        kept = [place for place in order if place not in is_rare]
        shares = heavy[kept].tolist() + ([heavy[rare].sum()] if rare else [])
        total = sum(shares) or 1.0
        pooled = [levels[place] for place in rare] or None
        return [levels[place] for place in kept], pooled, np.array(shares) / total

    def _fewest(self, n_rows):
        if self.min_frequency == "auto":
            return max(FEWEST, LEAST_SHARE * n_rows)
        whole = isinstance(self.min_frequency, Integral)
        return self.min_frequency if whole else self.min_frequency * n_rows

    def _codes(self, place, cells, unseen):
        """Return the codes of cells; count levels that were not seen in fit."""
        kept, pooled = self.categories_[place], self.infrequent_categories_[place] or []
        code_of = {level: code for code, level in enumerate(kept)}
        code_of |= dict.fromkeys(pooled, len(kept))
        codes, levels = factorized(self._fields[place].name, cells)
        other = len(kept) + UNSEEN
        new = [level for level in levels if level not in code_of]
        known = np.array([*(code_of.get(level, other) for level in levels), np.nan])
        if new:
            self._refuse_other_type(place, list(code_of), new)
            is_new = np.array([*(level not in code_of for level in levels), False])
            unseen[self._fields[place].name] = int(is_new[codes].sum()), new
        return known[codes]

    def _refuse_other_type(self, place, known, new):
        """Refuse text where fit had other levels, and others where it had text: none can be one of them."""
        was, are = ({isinstance(level, str) for level in levels} for levels in (known, new))
        if not known or was & are:
            return
        words, remedy = ("text", "no text"), ", for example with astype(str)"
        if True not in was:
            are_numbers = kind_of(type(known[0])) == "number"
            words = words[::-1]
            remedy = ", for example with pandas.to_numeric(column)" if are_numbers else ""
        raise ValueError(
            f"Column {self._fields[place].name!r} held {words[0]} in fit, such as {shown(known[0])}, "
            f"and holds {words[1]} now, such as {shown(new[0])}: make it what it was{remedy}."
        )

    def _cells(self, place, codes):
        """Return the cells that coded ones stand for."""
        if self._fields[place].kind != CATEGORY:
            return codes * self.scale_[place] + self.mean_[place]
        levels = [*self.categories_[place], *(self.infrequent_categories_[place] or [])[:1], None]
        last = len(levels) - 2
        nearest = np.clip(np.round(np.where(np.isnan(codes), 0, codes)), 0, max(last, 0))
        nearest = np.where(np.isnan(codes) | (last < 0), last + 1, nearest)
        return [levels[code] for code in nearest.astype(int)]


def refuse_other_kinds(fields, found, frame, chosen=False, unused=()):
    """Refuse columns whose kind is another than in fit; one without any cell has every kind.

    ``chosen`` says that categories were named, whatever their type. Columns
    at the places ``unused`` had no cell in fit.
    """
    changed = [
        f"{before.name!r}: {before.kind} ({before.dtype}) in fit, {now.kind} ({now.dtype}) now"
        for place, (before, now) in enumerate(zip(fields, found, strict=True))
        if before.dtype != now.dtype
        and (before.kind != now.kind or bool(zone_in(before.dtype)) != bool(zone_in(now.dtype)))
        and not (before.kind == CATEGORY and (chosen or now.kind == NUMBER or form_of(now.dtype)))
        and place not in unused
        and not (frame is not None and _is_empty(column(frame, place)))
    ]
    if changed:
        raise ValueError(
            "The kind of some columns has changed: "
            + "; ".join(changed)
            + ". Convert them to what they were in fit."
        )


def warn_of_unused(frame, places):
    """Warn of columns that had no cell in fit and have some of another kind now."""
    filled = [column(frame, p).name for p in places if not _is_empty(column(frame, p))]
    if filled:
        warnings.warn(
            f"The columns {filled[:EXAMPLES]} ({len(filled)} in all) had no value in fit, so they are "
            "ignored. To use them, fit again with rows in which they have values.",
            UserWarning,
            stacklevel=5,
        )


def _is_empty(series):
    if series.dtype == nw.Object or series.dtype.is_float():  # NaN and NaT are no nulls there
        return all(map(is_missing, series.to_list()))
    return series.null_count() == len(series)


def _cells_of(field, place, X, frame, is_unread, plain):
    """Return the cells of a column; of one that is not to be read, missing ones."""
    if is_unread:
        return np.full(len(frame), None if field.kind == CATEGORY else np.nan)
    if field.kind == CATEGORY:
        return _category_cells(field, place, X, frame)
    return _finite(field, _number_cells(field, place, X, frame) if plain is None else plain)


def _category_cells(field, place, X, frame):
    """Return the cells of a category column as an object array, None where missing."""
    values = X[:, place].tolist() if frame is None else column(frame, place).to_list()
    cells = np.fromiter(values, dtype=object, count=len(values))
    cells[pd.isna(cells)] = None
    kinds = {kind_of(kind) for kind in set(map(type, cells)) - {type(None)}}
    if len(kinds) > 1:
        found = {kind_of(type(cell)): cell for cell in cells[::-1] if cell is not None}
        examples = ", ".join(f"{shown(cell)} ({kind})" for kind, cell in reversed(found.items()))
        remedy = "Make it one type, for example with astype(str)."
        if kinds == {"number", "str"}:
            remedy = (
                "If it is a column of numbers, pandas.to_numeric(column, errors='coerce') makes "
                "the text missing; if these are categories, make them text with astype(str)."
            )
        raise ValueError(f"Column {field.name!r} mixes several types: {examples}. {remedy}")
    return cells


def shown(value):
    """Return how a value is shown in a message: those of numpy as Python's."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def _are_names(names, n_columns):
    return names is None or (
        isinstance(names, np.ndarray)
        and names.shape == (n_columns,)
        and all(isinstance(name, str) for name in names)
    )


def _check_column(n, field, kept, pooled, shares):
    """Refuse what cannot be known of a column with ``n`` codes."""
    if field.kind == CATEGORY:
        good = (
            isinstance(kept, list)
            and isinstance(pooled, list | None)
            and n == len(kept) + bool(pooled)
            and isinstance(shares, np.ndarray)
            and shares.shape == (n,)
            and all(isinstance(level, Hashable) for level in [*kept, *(pooled or [])])
        )
    else:
        good = n in (None, 0) and kept is pooled is shares is None
    if not good:
        raise ValueError(f"the levels of column {field.name!r} cannot be these")


def kind_of(kind):
    if issubclass(kind, bool | np.bool_):
        return "bool"
    return "number" if issubclass(kind, Real) else kind.__name__


def _number_cells(field, place, X, frame):
    """Return the cells of a column of numbers or times as float64."""
    if frame is None:
        try:
            cells = X[:, place].astype(np.float64)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"Column {place} of the array is read as numbers: {error}. Pass a frame, whose columns "
                "have kinds, or name the columns of categories in categorical_features."
            ) from error
    else:
        series = column(frame, place)
        of_numbers = field.kind == NUMBER and series.dtype.is_numeric()
        there = of_numbers or not _is_empty(series)
        cells = numbers(series, field.kind) if there else np.full(len(frame), np.nan)
    return cells


def _finite(field, cells):
    """Return the cells of a column of numbers, none of which may be infinite."""
    if np.isinf(cells).any():
        raise ValueError(
            f"Input X contains infinity in column {field.name!r}: replace it, or make it missing."
        )
    return cells


def _moments(cells, weight, about):
    """Return mean and standard deviation of the cells that are present; 1 of a constant column."""
    present = ~np.isnan(cells) & (weight > 0)
    if not present.any():
        return np.nan, 1.0
    cells, weight = cells[present], weight[present]
    mean, deviation = map(float, mean_and_spread(cells, weight, about))
    mean = float(exact_mean(mean, cells.min(), cells.max()))
    rounding = len(cells) * np.finfo(np.float64).eps * max(deviation, abs(mean))
    return mean, deviation if deviation > rounding else 1.0


def factorized(name, cells):
    """Return the code of each cell of a column, -1 where missing, and the levels."""
    try:
        codes, levels = pd.factorize(cells)
    except TypeError as error:
        cell = next((cell for cell in cells if not isinstance(cell, Hashable)), cells[0])
        raise ValueError(
            f"Column {name!r} holds {shown(cell)}, and a {type(cell).__name__} is no category: convert "
            "it, for example to strings, or leave the column out."
        ) from error
    return codes, list(levels)


def _natural_order(levels, categories):
    """Return places of levels in their order: that of the column's type, or from small to large."""
    if categories is not None:
        rank = {level: place for place, level in enumerate(categories)}
        return sorted(range(len(levels)), key=lambda place: rank.get(levels[place], len(rank)))
    try:
        return sorted(range(len(levels)), key=levels.__getitem__)
    except TypeError:
        return list(range(len(levels)))


def _mask(asked, names, in_frame):
    """Return which columns a list of names, places or a mask chooses."""
    chosen = np.zeros(len(names), dtype=bool)
    if asked is None:
        return chosen
    asked = np.asarray(asked)
    if asked.dtype == bool:
        if asked.shape != chosen.shape:
            raise ValueError(
                f"categorical_features is a mask of shape {asked.shape}, but X has "
                f"{counted(len(names), 'column')}."
            )
        return asked
    if asked.dtype.kind in "iu":
        wrong = [int(place) for place in asked.ravel() if not -1 < place < len(names)]
        if not wrong:
            chosen[asked.ravel()] = True
            return chosen
    else:
        wrong = [name for name in asked.ravel().tolist() if not in_frame or name not in names]
        if not wrong:
            return np.isin(np.array(names, dtype=object), asked.ravel().astype(object))
    raise ValueError(
        f"categorical_features names {wrong[:EXAMPLES]}, but X has no such columns: it has "
        f"{len(names)}{f', such as {names[:EXAMPLES]}' if in_frame else ', without names'}."
    )


def warn_of_text(columns, guessed):
    """Warn once of text that reads as numbers or dates, or of which nearly every cell differs.

    ``guessed`` says that nobody named the columns of categories.
    """
    suspects = {}
    for field, cells in columns if guessed else ():
        if field.kind == CATEGORY and field.categories is None:
            reading = _reading(cells)
            if reading is not None:
                suspects.setdefault(reading, []).append(field.name)
    if suspects:
        told = "; ".join(
            f"{reading}: {names[:EXAMPLES]}{' ...' if len(names) > EXAMPLES else ''}, {REMEDIES[reading]}"
            for reading, names in suspects.items()
        )
        warnings.warn(
            f"Some columns of text are read as categories, but look like something else. {told}. "
            "If they are categories, say so with astype('category').",
            UserWarning,
            stacklevel=5,
        )


def _reading(cells):
    """Return what a column of text looks like: one of `REMEDIES`, or None for categories."""
    texts = [cell.strip() for cell in cells if isinstance(cell, str)]
    texts = [text for text in texts if text.lower() not in PLACEHOLDERS]
    some = texts[:: max(1, len(texts) // LOOKED_AT)]
    for reading, pattern in PATTERNS.items():
        if some and sum(map(bool, map(pattern.fullmatch, some))) >= NEARLY * len(some):
            return reading
    many = len(texts) >= FEWEST_IDS and len(set(texts)) >= NEARLY * len(texts)
    return IDS if many else None


def _warn_of_unseen(unseen):
    """Warn once of levels that were not seen in fit."""
    if unseen:
        n_cells = sum(count for count, _ in unseen.values())
        examples = "; ".join(
            f"{name!r}: {', '.join(map(shown, levels[:EXAMPLES]))}"
            for name, (_, levels) in list(unseen.items())[:EXAMPLES]
        )
        warnings.warn(
            f"Levels that fit did not see, in {counted(n_cells, 'cell')} of {counted(len(unseen), 'column')} "
            f"({examples}). They count as rare levels, or as missing where there were none.",
            UserWarning,
            stacklevel=4,
        )
