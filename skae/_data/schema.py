"""What a fit learns of the columns of X: how later rows are read, and given back."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy import sparse

from skae._data.blocks import Blocks
from skae._data.build import build, fill, fill_numbers, labels
from skae._data.frames import (
    Field,
    column,
    field_of,
    fields,
    fields_of,
    form_of,
    frame_of,
    is_plain,
    label_names,
    library,
    names_of,
    numbers,
    table,
)
from skae._data.objects import NUMBER, is_missing
from skae._data.rows import Rows, exact_mean
from skae._data.table_encoder import TableEncoder, refuse_other_kinds, warn_of_unused
from skae._parameters import check_sample_weight, counted, feature_names, validated

DTYPES = (np.float64, np.float32)
LEAST_WEIGHT = 1e-6  # of a column in the linear model, which decodes those of weight zero too
HIDDEN = 0.2  # share of the cells that are hidden in training, where some are missing


@dataclass(frozen=True, eq=False)
class Columns:
    """What an estimator takes for columns, and how: its parameters, and what it can do.

    Attributes
    ----------
    owner : str
        The estimator's name, for messages.
    categorical_features, min_frequency, column_weights : object
        Its parameters; None where it has none.
    takes_categories : bool
        Whether it has the parameter ``categorical_features``.
    complete : str or None
        What is said of missing cells, where they are refused.
    """

    owner: str
    categorical_features: object = None
    min_frequency: object = None
    column_weights: object = None
    takes_categories: bool = True
    complete: str | None = None

    def learn(self, X, sample_weight=None):
        """Return the `Schema` of a table, and the table as a matrix of numbers."""
        X = table(X)
        found = fields_of(X)
        if self.codes(found):
            return self._learn_table(X, sample_weight)
        schema, matrix = self.of_numbers(X, found)
        return schema.with_missing(_counted(matrix, sample_weight)), matrix

    def of_numbers(self, X, found):
        """Return the `Schema` of a table of numbers, whatever cells it lacks, and it as a matrix.

        ``found`` are the fields of a frame, None for an array.
        """
        schema, frame = Schema(self.owner, complete=self.complete), frame_of(X)
        if frame is not None:
            self._refuse_others(found)
            of_frame = {"library": library(frame), "label_names": label_names(X)}
            schema = replace(schema, fields=found, **of_frame)
        matrix, names = schema.read_numbers(X, feature_names(X), is_plain(X))
        if frame is not None and isinstance(matrix, np.ndarray):
            matrix = np.ascontiguousarray(matrix)  # frames hold columns, but rows are drawn from it
        return replace(schema, n_features=matrix.shape[1], names=names), matrix

    def codes(self, found):
        """Return whether the fields of X are more than numbers in their own units."""
        asked = self.categorical_features
        if self.column_weights is not None or not (asked is None or isinstance(asked, str)):
            return True
        return asked is not None and any(field.kind != NUMBER for field in found or ())

    def _refuse_others(self, found):
        other = [field.name for field in found if field.kind != NUMBER]
        if other:
            reason = "categorical_features=None takes none for categories: take 'from_dtype', or"
            reason = reason if self.takes_categories else f"{self.owner} takes numbers only:"
            raise ValueError(f"The columns {other[:3]} are not numeric, and {reason} convert them.")

    def _learn_table(self, X, sample_weight):
        if sparse.issparse(X):
            raise TypeError(
                "Sparse rows have no categories, and no column_weights: pass X.toarray(), or "
                "multiply the columns by the roots of their weights yourself."
            )
        encoder = self.encoder().fit(X, sample_weight=sample_weight)
        coded = encoder.read(X, warns=False)
        lacking = np.isnan(_counted(coded, sample_weight)).any(axis=0)
        return self.of_table(encoder, lacking), coded

    def encoder(self):
        """Return the `TableEncoder` that codes tables, not yet fitted."""
        asked = {"categorical_features": self.categorical_features}
        return TableEncoder(**asked, min_frequency=self.min_frequency)

    def of_table(self, encoder, lacking):
        """Return the `Schema` of a table, given its encoder and which columns lack cells."""
        weights = self._weights(encoder)
        shares, known = encoder.level_shares_, ~np.isnan(encoder.mean_)
        n_levels = tuple(
            len(share) if share is not None else (None if is_known else 0)
            for share, is_known in zip(shares, known, strict=True)
        )
        root = np.sqrt(np.maximum(weights, LEAST_WEIGHT))
        of_numbers = [root[i] for i, n in enumerate(n_levels) if n is None]
        of_levels = [root[i] / np.sqrt(shares[i]) for i, n in enumerate(n_levels) if n]
        used = np.array([n != 0 for n in n_levels])
        _refuse_nothing(used)
        lacks_cells = bool(lacking[used].any())
        blocks = Blocks(n_levels, np.concatenate([of_numbers, *of_levels]), lacks_cells)
        of_encoder = encoder.n_features_in_, getattr(encoder, "feature_names_in_", None)
        return Schema(
            self.owner, *of_encoder, blocks=blocks, encoder=encoder, column_weights=weights
        )

    def _weights(self, encoder):
        asked, n = self.column_weights, encoder.n_features_in_
        asked = asked.to_dict() if hasattr(asked, "to_dict") else asked
        if isinstance(asked, dict):
            names = encoder.names
            unknown = [name for name in asked if name not in names]
            if unknown:
                raise ValueError(
                    f"column_weights names {unknown[:3]}, but X has no such columns: its columns "
                    f"are {names[:3]}, ..."
                )
            asked = [asked.get(name, 1.0) for name in names]
        try:
            weights = np.ones(n) if asked is None else np.asarray(asked, dtype=np.float64)
        except (TypeError, ValueError):  # of what is no number
            weights = np.empty(0)
        if weights.shape != (n,) or not (weights >= 0).all() or not np.isfinite(weights).all():
            raise ValueError(
                f"column_weights={self.column_weights!r}: expected {counted(n, 'number')} of at least 0, one "
                "a column, or a dict from column names to such numbers."
            )
        if not weights.any():
            raise ValueError("column_weights are zero for every column: one must be positive.")
        return weights / weights.mean()


@dataclass(frozen=True, eq=False)
class Schema:
    """What a fit learned of the columns of X.

    A table of numbers alone is a matrix in its own units; one with missing
    cells has `Blocks` too; any other is coded by a `TableEncoder`.

    Attributes
    ----------
    owner : str
        The estimator's name, for messages.
    n_features : int
    names : ndarray of str or None
        As ``feature_names_in_``.
    fields : list of Field or None
        Of a frame of numbers.
    library : str or None
        Whose frame it was.
    blocks : Blocks or None
        The columns, where the table is coded or has missing cells.
    encoder : TableEncoder or None
        Codes a table.
    column_weights : ndarray of shape (n_features,) or None
        What each column of a coded table counts, with a mean of 1.
    complete : str or None
        What is said of missing cells, where they are refused.
    label_names : list or None
        Names of the levels of a pandas frame's columns, where they have some.
    """

    owner: str
    n_features: int | None = None
    names: np.ndarray | None = None
    fields: list | None = None
    library: str | None = None
    blocks: Blocks | None = None
    encoder: TableEncoder | None = None
    column_weights: np.ndarray | None = None
    complete: str | None = None
    label_names: list | None = None

    # reading ----------------------------------------------------------------------------------

    def read(self, X, judged=False):
        """Return later rows as a matrix of numbers: as they are, or coded.

        Where the rows of the fit were complete, rows that are ``judged`` in
        that very fit must be so, too.
        """
        X = table(X)
        known = self._frame_of_fit
        if self.names is None and known is not None and frame_of(X) is not None:
            _refuse_reordered(names_of(X), known[1])
        if self.encoder is not None:
            return self.encoder.read(X, self.owner)
        plain = is_plain(X)
        matrix, _ = self.read_numbers(X if plain else self._of_known_kinds(X), self.names, plain)
        if self.blocks is None and (judged or self.complete) and _lacks_cells(matrix):
            raise ValueError(
                self.complete
                or "X_val has missing cells, but X has none: training would not learn to fill "
                "them. Leave such rows out of X_val."
            )
        return matrix

    def _of_known_kinds(self, X):
        """Return a table whose columns are of the kinds of the fit, or refuse it."""
        frame = None if self.fields is None else frame_of(X)
        if frame is None:
            return X
        if len(frame.columns) != len(self.fields):  # the names say more than what the cells are
            validated(X, self.owner, self.n_features, self.names, skip_check_array=True)
            return X
        unused = self._unused()
        found = fields(frame)
        refuse_other_kinds(self.fields, found, frame, unused=unused)
        other = [place for place in unused if found[place].kind != NUMBER]
        warn_of_unused(frame, other)
        return _without(X, frame, other)

    def _unused(self):
        """Return the places of the columns that had no cell in fit."""
        levels = () if self.blocks is None else self.blocks.n_levels
        return [place for place, n in enumerate(levels) if n == 0]

    def read_numbers(self, X, names, plain):
        """Return a matrix of numbers, NaN where a cell is missing, and the names of its columns.

        ``plain`` says whether X is a frame of numbers alone (see `is_plain`).
        """
        checks = {"dtype": DTYPES, "accept_sparse": "csr"}
        known = self.owner, self.n_features, names
        X = X if plain else _plain_numbers(X)
        if frame_of(X) is not None and not _is_extended(X):
            if self.n_features is not None and (names is None or names.tolist() != list(X.columns)):
                validated(X, *known, skip_check_array=True)  # says what is wrong with them
            X, known = X.to_numpy(), (*known[:2], None)
        if isinstance(X, np.ndarray):
            # complete rows, the usual ones, are looked at once, by a sum that may overflow
            with suppress(TypeError, ValueError), np.errstate(invalid="ignore"):
                return validated(X, *known, **checks), names
        try:
            return validated(X, *known, ensure_all_finite="allow-nan", **checks), names
        except (TypeError, ValueError) as error:
            _explain(X, error, names)
            raise

    def with_missing(self, X):
        """Return a schema with `Blocks` where cells are missing."""
        if not _lacks_cells(X):
            return self
        missing = np.isnan(X.data if sparse.issparse(X) else X)
        n_missing = missing.sum(axis=0)
        if sparse.issparse(X):
            n_missing = np.bincount(X.indices[missing], minlength=X.shape[1])
        return self.lacking(n_missing, X.shape[0])

    def lacking(self, n_missing, n_rows):
        """Return a schema with `Blocks`, given how many cells each column lacks."""
        if self.complete:
            raise ValueError(self.complete)
        known = n_missing < n_rows
        _refuse_nothing(known)
        n_levels = tuple(None if is_known else 0 for is_known in known)
        return replace(self, blocks=Blocks(n_levels, np.ones(int(known.sum())), flagged=True))

    def rows(self, X, index=None, weight=None, mean=None):
        """Return `Rows` of a matrix; ``mean`` stands in for cells that no row of the fit lacked."""
        if self.blocks is None and mean is not None:
            X = self.filled(X, mean)
        return Rows(X, index, weight, self.blocks)

    def wide(self, X, mean):
        """Return dense rows as a network's columns, not yet standardised."""
        X = X.toarray() if sparse.issparse(X) else X
        return self.filled(X, mean) if self.blocks is None else self.blocks.widen(X)

    def filled(self, X, mean):
        """Return rows with column means in missing cells."""
        with np.errstate(over="ignore"):
            if not np.isnan(X.sum()):
                return X
        if sparse.issparse(X):
            X, missing = X.copy(), np.isnan(X.data)
            X.data[missing] = mean[X.indices[missing]]
            return X
        return np.where(np.isnan(X), mean.astype(X.dtype), X)

    def refuse_beyond_unit(self, X):
        """Refuse rows that are no probabilities: values outside [0, 1]."""
        X = X.toarray() if sparse.issparse(X) else X
        outside = np.flatnonzero((X < 0).any(axis=0) | (X > 1).any(axis=0))
        if len(outside):
            column = outside[0]
            name = repr(int(column) if self.names is None else self.names[column])
            raise ValueError(
                f"likelihood='bernoulli' needs values within [0, 1], but column {name} has "
                f"values from {X[:, column].min():.9g} to {X[:, column].max():.9g}: scale it, "
                "for example with MinMaxScaler(clip=True), or take likelihood='gaussian'."
            )

    # what a network sees ----------------------------------------------------------------------

    @property
    def width(self):
        """Number of outputs of the decoder."""
        return self.n_features if self.blocks is None else self.blocks.width

    @property
    def n_inputs(self):
        return self.n_features if self.blocks is None else self.blocks.n_inputs

    @property
    def n_numbers(self):
        """Number of the decoder's outputs that are numbers: they come first."""
        return self.width if self.blocks is None else len(self.blocks.numbers)

    @property
    def n_levels(self):
        """Number of levels of each column of the table, (n_features,): 0 of a number."""
        known = [0] * self.n_features if self.blocks is None else self.blocks.n_levels
        return np.array([n or 0 for n in known], dtype=int)

    @property
    def hidden(self):
        """Share of the cells that are hidden in training."""
        return HIDDEN if self.blocks is not None and self.blocks.flagged else 0.0

    # giving back ------------------------------------------------------------------------------

    def coded(self, values, mean, scale):
        """Return standardised numbers and codes as columns of the coded table."""
        blocks, n = self.blocks, self.n_numbers
        table = np.full((len(values), blocks.n_columns), np.nan, dtype=values.dtype)
        table[:, blocks.numbers] = (values[:, :n] * scale[:n] + mean[:n]) / blocks.metric[:n]
        table[:, blocks.categories] = values[:, n:]
        return table

    def in_units(self, place, cells):
        """Return the cells of a column of numbers of the coded table in units of X."""
        if self.encoder is None:
            return cells
        return cells * self.encoder.scale_[place] + self.encoder.mean_[place]

    def give_back(self, coded, container, like=None, numbers=None):
        """Return a coded table in the form of the fit, or numbers in the one of `set_output`.

        ``numbers`` are cells in units of X for some columns, by their places.
        """
        if self.encoder is not None:
            return self.encoder.decode(coded.astype(np.float64), like, numbers)
        coded = _with_numbers(coded, numbers)
        if container not in ("pandas", "polars"):
            return coded
        known = self.fields
        if known is None:
            made_up = [f"x{i}" for i in range(self.n_features)]
            names = made_up if self.names is None else self.names
            plain = str(coded.dtype)
            plain = plain if container == "pandas" else coded.dtype.name.capitalize()
            known = [Field(name, plain, NUMBER) for name in names]
        elif self.library != container:
            known = [Field(field.name, "Float64", NUMBER) for field in known]
        columns = list(coded.T.astype(np.float64))
        return build(known, columns, container, like, self.label_names)

    def by_column(self, values):
        """Return a value for each column: a Series with their names, where the fit saw a frame."""
        known = self._frame_of_fit
        return values if known is None else pd.Series(values, labels(*known[1:]))

    def by_cell(self, values, like):
        """Return a number for each cell: in a frame with names, where the fit saw one."""
        known = self._frame_of_fit
        if known is None:
            return values
        to, names, label_names = known
        dtype = "float64" if to == "pandas" else "Float64"
        known = [Field(name, dtype, NUMBER) for name in names]
        return build(known, values.T, to, like, label_names)

    @property
    def _frame_of_fit(self):
        """Library, column names and `label_names` of the frame of the fit; None for an array."""
        encoder = self.encoder
        if encoder is not None and encoder.library is not None:
            return encoder.library, encoder.names, encoder.label_names
        return self.fields and (
            self.library,
            [field.name for field in self.fields],
            self.label_names,
        )

    def fill(self, X, coded, numbers=None):
        """Return the table X with the cells of a coded one where it has none; ``numbers`` as in `give_back`."""
        X = table(X)
        frame = frame_of(X)
        if self.encoder is None:
            coded = _with_numbers(coded, numbers)
        if frame is None:
            return self._fill_array(X, coded, numbers)
        if self.encoder is None and is_plain(X):
            return fill_numbers(X, coded)
        coded = coded.astype(np.float64)
        if self.encoder is not None and library(frame) == self.encoder.library:
            return fill(X, self.encoder.decode(coded, X, numbers))
        columns = list(coded.T) if self.encoder is None else self.encoder.columns(coded, numbers)
        like = fields(frame)
        if self.encoder is None and library(frame) == "pandas":
            like = [_of_filled(*pair) for pair in zip(self.fields or like, like, strict=True)]
        return fill(X, build(like, columns, library(frame), X))

    def _fill_array(self, X, coded, numbers):
        if self.encoder is not None:
            made = self.encoder.decode(coded.astype(np.float64), numbers=numbers)
            X = np.asarray(X)
            return np.where(_missing(X), made, X)
        X = X.toarray() if sparse.issparse(X) else np.asarray(X)
        X = X if X.dtype in DTYPES else X.astype(np.float64)
        return np.where(np.isnan(X), coded, X)

    # errors and scores ------------------------------------------------------------------------

    def baselines(self, X):
        """Return summed errors of each cell's column mean, or level shares, in the rows of X."""
        found = []
        for place in self.blocks.numbers:
            x = X[:, place][~np.isnan(X[:, place])].astype(np.float64)
            mean = exact_mean(x.mean(), x.min(), x.max()) if len(x) else 0.0
            found.append(np.sum((x - mean) ** 2))
        for place in self.blocks.categories:
            codes = X[:, place][~np.isnan(X[:, place])].astype(int)
            found.append(len(codes) * entropy(np.bincount(codes) / max(len(codes), 1)))
        return np.array(found)

    def score(self, X, errors):
        """Return the explained share of a coded table, given the errors of its cells."""
        sums, unseen = np.nansum(errors, axis=0), self.blocks.unseen(X).any(axis=0)
        return self.score_of_sums(sums, self.baselines(X), np.isnan(errors).all(axis=0), unseen)

    def score_of_sums(self, sums, baselines, empty, unseen):
        """Return the same, given sums of cells' errors and baselines.

        ``empty`` are cells that are in no row, ``unseen`` categories with
        levels that fit did not see.
        """
        if empty.all():
            return np.nan
        if self.encoder is None:
            total, error = baselines.sum(), sums.sum()
            return float(1 - error / total) if total > 0 else float(error == 0)
        scores = self._score_by_column(sums, baselines, empty)
        known = ~np.isnan(scores) & (self.column_weights > 0)
        varies = known.copy()
        varies[self.blocks.categories] &= (self.blocks.sizes > 1) | unseen
        known = varies if varies.any() else known
        if not known.any():
            return 0.0
        return float(np.average(scores[known], weights=self.column_weights[known]))

    def score_by_column(self, X, errors):
        """Return the explained share of every column, NaN where nothing is known of it."""
        sums, empty = np.nansum(errors, axis=0), np.isnan(errors).all(axis=0)
        return self._score_by_column(sums, self.baselines(X), empty)

    def _score_by_column(self, sums, baselines, empty):
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(baselines > 0, 1 - sums / baselines, (sums == 0).astype(np.float64))
        shares[empty | self._says_nothing()] = np.nan
        return self.in_columns(shares[None])[0]

    def in_columns(self, cells):
        """Return values of cells, numbers first, in the places of their columns; NaN elsewhere."""
        table = np.full((len(cells), self.blocks.n_columns), np.nan)
        table[:, np.concatenate([self.blocks.numbers, self.blocks.categories])] = cells
        return table

    def _says_nothing(self):
        """Return which cells are of categories all of whose levels share one code."""
        blocks, nothing = self.blocks, np.zeros(len(self.blocks.first), dtype=bool)
        if self.encoder is not None:
            pooled = self.encoder.infrequent_categories_
            several = [len(pooled[place] or ()) > 1 for place in blocks.categories]
            nothing[self.n_numbers :] = np.array(several, bool) & (blocks.sizes == 1)
        return nothing

    def level_shares(self, baseline):
        """Yield the shares of the levels of each category in the rows of a linear model."""
        for first, size in zip(self.blocks.starts, self.blocks.sizes, strict=True):
            block = slice(first, first + size)
            yield baseline.mean[block] / self.blocks.metric[block]

    def least_of_unseen(self):
        """Return the least that an unseen level of each category costs, in nats."""
        return -np.log([self.encoder.share_of_unseen(place) for place in self.blocks.categories])

    # state ------------------------------------------------------------------------------------

    def state(self):
        blocks = self.blocks
        state = {
            "n_features_in_": self.n_features,
            "_blocks": None if blocks is None else blocks.state(),
            "_fields": self.fields and [field._asdict() for field in self.fields],
        }
        more = {
            "feature_names_in_": self.names,
            "_library": self.library,
            "_label_names": self.label_names,
            "_column_weights": self.column_weights,
            "table_encoder_": self.encoder and self.encoder.__getstate__(),
        }
        return state | {name: value for name, value in more.items() if value is not None}

    @classmethod
    def from_state(cls, owner, complete, state):
        """Return the schema of a state, whose entries are removed."""
        encoder, blocks, found = (
            state.pop(name, None) for name in ("table_encoder_", "_blocks", "_fields")
        )
        return cls(
            owner,
            state.pop("n_features_in_"),
            state.pop("feature_names_in_", None),
            found and list(map(field_of, found)),
            state.pop("_library", None),
            None if blocks is None else Blocks(**blocks),
            _table_encoder(encoder),
            state.pop("_column_weights", None),
            complete,
            state.pop("_label_names", None),
        )


def _table_encoder(state):
    if state is None:
        return None
    encoder = TableEncoder()
    encoder.__setstate__(state)
    return encoder


def entropy(shares):
    shares = shares[shares > 0]
    return float(-np.sum(shares * np.log(shares)))


def _plain_numbers(X):
    """Return what `validate_data` can read of a frame of numbers; other tables as they are."""
    frame = frame_of(X)
    if frame is None:
        return X
    columns = [numbers(column(frame, place), NUMBER) for place in range(len(frame.columns))]
    made = [Field(name, "float64", NUMBER) for name in names_of(frame)]
    return build(made, columns, "pandas", X, label_names(X))


def _with_numbers(coded, numbers):
    """Return a matrix with the cells of some columns, by their places, in it."""
    for place, cells in (numbers or {}).items():
        coded[:, place] = cells
    return coded


def _is_extended(X):
    """Return whether a frame has sparse columns or nullable ones, which scikit-learn reads."""
    of_pandas = set(X.dtypes) if library(X) == "pandas" else ()
    return any(isinstance(dtype, pd.api.extensions.ExtensionDtype) for dtype in of_pandas)


def _of_filled(before, now):
    """Return the field of what fills a column of numbers: floats, or objects like those of the fit."""
    objects = next((field for field in (before, now) if form_of(field.dtype)), None)
    return objects if objects and form_of(now.dtype) is not None else now._replace(dtype="float64")


def _refuse_reordered(names, known):
    """Refuse the columns of the fit in another order: scikit-learn looks at names that are strings alone."""
    if names != known and len(names) == len(known) and set(names) == set(known):
        raise ValueError(
            f"The columns of X are those of the fit in another order: {names[:3]} come first, and "
            f"{known[:3]} should. Pass them in the order of the fit, such as X[first.columns]."
        )


def _without(X, frame, places):
    """Return a frame whose columns at some places are empty numbers."""
    if not places:
        return X
    if library(frame) == "polars":
        empty = X.to_series(places[0]).is_null().cast(float) * np.nan
        return X.with_columns(empty.alias(column(frame, place).name) for place in places)
    X = X.copy()
    for place in places:
        X.isetitem(place, np.nan)
    return X


def _explain(X, error, names):
    """Say of an array that is no matrix of numbers how it can be passed."""
    shape = np.shape(X) if hasattr(X, "shape") else ()
    if len(shape) > 2:
        raise ValueError(
            f"X has the shape {shape}: expected rows and columns. Pass X.reshape(len(X), -1), and "
            "to ConvolutionalAutoencoder image_shape, to RecurrentAutoencoder sequence_shape."
        ) from error
    if isinstance(X, np.ndarray) and X.dtype in DTYPES and X.ndim == 2:
        places = np.flatnonzero(np.isinf(X).any(axis=0)).tolist()
        known = places if names is None else [names[place] for place in places]
        if places:
            raise ValueError(
                f"Input X contains infinity or a value too large for {X.dtype}, in "
                f"{counted(len(places), 'column')}, such as {known[:3]}: replace it, or make it missing."
            ) from error
    if isinstance(X, np.ndarray) and X.dtype.kind in "OUS":
        other = next(filter(_is_no_number, X.ravel().tolist()), None)
        if other is not None:
            raise ValueError(
                f"X is an array that holds {other!r}, which is not a number: pass a pandas or polars "
                "frame, or name the columns of categories in categorical_features; among numbers, "
                "pandas.to_numeric(column, errors='coerce') makes text a missing value."
            ) from error


def _is_no_number(cell):
    """Return whether a cell is text or a time that cannot be read as a number."""
    if isinstance(cell, str | bytes):
        with suppress(ValueError):
            float(cell)
            return False
    return isinstance(cell, str | bytes | date | timedelta | np.datetime64)


def _counted(X, sample_weight):
    """Return the rows of positive weight."""
    if sample_weight is None:
        return X
    return X[np.flatnonzero(check_sample_weight(sample_weight, X))]


def _lacks_cells(X):
    return bool(np.isnan(X.data if sparse.issparse(X) else X).any())


def _refuse_nothing(known):
    """Refuse a table all of whose columns are empty."""
    if not known.any():
        raise ValueError("X has no present cell: all cells are missing (NaN).")


def _missing(X):
    """Return which cells of an array hold nothing."""
    if X.dtype.kind in "fc":
        return np.isnan(X)
    return np.array([[is_missing(cell) for cell in row] for row in X.tolist()], dtype=bool)
