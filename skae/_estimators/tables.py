"""Tables in a fitted estimator: what it reads, what it gives back, and errors by column."""

from contextlib import suppress
from dataclasses import asdict
from functools import partial

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from skae._data.blocks import Blocks
from skae._data.frames import (
    NUMBER,
    Field,
    as_frame,
    build,
    fields,
    fill,
    is_missing,
    library,
    numbers,
)
from skae._data.rows import Rows
from skae._data.table_encoder import TableEncoder, refuse_other_kinds
from skae._parameters import frames_asked_for

DTYPES = (np.float64, np.float32)
LEAST_WEIGHT = 1e-6  # of a column in the linear start, which decodes those of weight zero too
HIDDEN = 0.2  # share of the cells that are hidden in training, where some are missing


class Tables:
    """The part of `BaseEncoder` that knows of columns, categories and missing cells.

    A table of numbers alone is a matrix in its own units; one with missing
    cells has `Blocks` too; any other is coded by a `TableEncoder`.
    """

    # reading ----------------------------------------------------------------------------------

    def _read(self, X, reset, sample_weight=None):
        """Return X as a matrix of numbers: as it is, or coded."""
        if reset:
            self._blocks, self._fields = None, None
            self.__dict__.pop("table_encoder_", None)
            if self._is_coded(X):
                return self._read_first_table(X, sample_weight)
        elif "table_encoder_" in self.__dict__:
            return self.table_encoder_.transform(X)
        return self._read_numbers(X, reset, sample_weight)

    def _is_coded(self, X):
        """Return whether X is more than a table of numbers in their own units."""
        asked = self.categorical_features
        if self.column_weights is not None or not (asked is None or isinstance(asked, str)):
            return True
        frame = None if asked is None else as_frame(X)
        return frame is not None and any(field.kind != NUMBER for field in fields(frame))

    def _read_first_table(self, X, sample_weight):
        asked = {"categorical_features": self.categorical_features}
        encoder = TableEncoder(**asked, min_frequency=self.min_frequency)
        encoder.fit(X, sample_weight=sample_weight)
        validate_data(self, X, skip_check_array=True)
        self.table_encoder_ = encoder
        coded, _ = encoder.code(X)
        self._column_weights = self._weights_of_columns()
        shares, known = encoder.level_shares_, ~np.isnan(encoder.mean_)
        n_levels = tuple(
            len(share) if share is not None else (None if is_known else 0)
            for share, is_known in zip(shares, known, strict=True)
        )
        root = np.sqrt(np.maximum(self._column_weights, LEAST_WEIGHT))
        numbers = [root[i] for i, n in enumerate(n_levels) if n is None]
        levels = [root[i] / np.sqrt(shares[i]) for i, n in enumerate(n_levels) if n]
        used = np.array([n != 0 for n in n_levels])
        _refuse_nothing(used)
        has_holes = bool(np.isnan(_counted(coded, sample_weight)[:, used]).any())
        self._blocks = Blocks(n_levels, np.concatenate([numbers, *levels]), has_holes)
        return coded

    def _weights_of_columns(self):
        """Return the weight of each column, with a mean of 1."""
        asked, n = self.column_weights, self.n_features_in_
        asked = asked.to_dict() if hasattr(asked, "to_dict") else asked
        if isinstance(asked, dict):
            names = [field.name for field in self.table_encoder_._fields]
            unknown = [name for name in asked if name not in names]
            if unknown:
                raise ValueError(
                    f"column_weights names {unknown[:3]}, but X has no such columns: its columns "
                    f"are {names[:3]}, ..."
                )
            asked = [asked.get(name, 1.0) for name in names]
        weights = np.ones(n) if asked is None else np.asarray(asked, dtype=np.float64)
        if weights.shape != (n,) or not (weights >= 0).all() or not np.isfinite(weights).all():
            raise ValueError(
                f"column_weights={self.column_weights!r}: expected {n} numbers of at least 0, one "
                "a column, or a dict from column names to such numbers."
            )
        if not weights.any():
            raise ValueError("column_weights are zero for every column: one must be positive.")
        return weights / weights.mean()

    def _read_numbers(self, X, reset, sample_weight=None):
        """Return a matrix of numbers; one with missing cells gets `Blocks` in fit."""
        check = partial(validate_data, self, dtype=DTYPES, reset=reset, accept_sparse="csr")
        frame = as_frame(X)
        if frame is not None:
            X = self._read_frame_of_numbers(X, frame, reset)
        # complete rows, the usual ones, are looked at once, by a sum that may overflow
        with suppress(ValueError), np.errstate(invalid="ignore"):
            return check(X)
        matrix = check(X, ensure_all_finite="allow-nan")
        if reset:
            self._find_holes(_counted(matrix, sample_weight))
        elif self._blocks is None:
            self._check_late_holes()
        return matrix

    def _read_frame_of_numbers(self, X, frame, reset):
        """Return what `validate_data` can read of a frame of numbers; refuse other columns."""
        found = fields(frame)
        if reset:
            self._library, self._fields = library(frame), found
            other = [field.name for field in found if field.kind != NUMBER]
            if other:
                asked = "categorical_features" in self.get_params(deep=False)
                reason = (
                    "categorical_features=None takes none for categories: take 'from_dtype', or"
                )
                reason = reason if asked else f"{type(self).__name__} takes numbers only:"
                raise ValueError(
                    f"The columns {other[:3]} are no numbers, and {reason} convert them."
                )
        elif self._fields is not None and len(found) == len(self._fields):
            refuse_other_kinds(self._fields, found, frame)
        if all(column.dtype.is_numeric() for column in frame.iter_columns()):
            return X
        columns = {name: numbers(frame.get_column(name), NUMBER) for name in frame.columns}
        return build(
            [Field(name, "Float64", NUMBER) for name in columns],
            columns.values(),
            library(frame),
            getattr(X, "index", None),
        )

    def _find_holes(self, X):
        """Make `Blocks` where cells are missing."""
        missing = np.isnan(X.data if sparse.issparse(X) else X)
        if not missing.any():
            return
        n_missing = missing.sum(axis=0)
        if sparse.issparse(X):
            n_missing = np.bincount(X.indices[missing], minlength=X.shape[1])
        known = n_missing < X.shape[0]
        _refuse_nothing(known)
        n_levels = tuple(None if is_known else 0 for is_known in known)
        self._blocks = Blocks(n_levels, np.ones(int(known.sum())), flagged=True)

    def _check_late_holes(self):
        """Refuse rows with holes before there is a model, where the rows of the fit have none."""
        if "module_" not in self.__dict__:
            raise ValueError(
                "X_val has missing cells, but X has none: training would not learn to fill them. "
                "Leave such rows out of X_val."
            )

    def _with_means(self, X):
        """Return rows with the column means of the fit in missing cells: it had none."""
        if not np.isnan(X.sum()):
            return X
        if sparse.issparse(X):
            X, missing = X.copy(), np.isnan(X.data)
            X.data[missing] = self.mean_[X.indices[missing]]
            return X
        return np.where(np.isnan(X), self.mean_.astype(X.dtype), X)

    # what a network sees ----------------------------------------------------------------------

    @property
    def _width(self):
        """Number of outputs of the decoder."""
        return self.n_features_in_ if self._blocks is None else self._blocks.width

    @property
    def _n_inputs(self):
        """Number of inputs of the encoder."""
        return self.n_features_in_ if self._blocks is None else self._blocks.n_inputs

    @property
    def _hidden(self):
        """Share of the cells that are hidden in training."""
        return HIDDEN if self._blocks is not None and self._blocks.flagged else 0.0

    def _rows(self, X, index=None, weight=None):
        if self._blocks is None and "module_" in self.__dict__:  # else they are complete
            X = self._with_means(X)
        return Rows(X, index, weight, self._blocks)

    def _wide(self, X):
        """Return dense rows as a network's columns, not yet standardised."""
        if sparse.issparse(X):
            X = X.toarray()
        return self._with_means(X) if self._blocks is None else self._blocks.widen(X)

    def _cells(self, start, dtype=None):
        """Return the `Cells` of the table."""
        import torch

        from skae.nn.cells import Cells

        level = getattr(start, "level", np.zeros(self._width))
        return Cells(self._blocks, level, torch.float32 if dtype is None else dtype)

    def _cell_weights(self, start):
        """Return what each cell counts, over the baseline of its column: (n_cells,)."""
        blocks = self._blocks
        if "table_encoder_" not in self.__dict__:
            return start.column_weights
        varies = start.column_weights[: len(blocks.numbers)] > 0
        weights = [self._column_weights[blocks.numbers] * varies]
        entropies = np.array([_entropy(share) for share in self._shares(start)])
        inverse = np.divide(1, entropies, where=entropies > 0, out=np.zeros(len(entropies)))
        weights = np.concatenate([*weights, self._column_weights[blocks.categories] * inverse])
        counted = np.sum(self._column_weights[blocks.numbers] * varies) + np.sum(
            self._column_weights[blocks.categories] * (entropies > 0)
        )
        return weights / (counted or 1.0)

    def _cell_error(self, start):
        """Return the `CellError` of training."""
        import torch

        from skae.nn.cells import CellError

        shares = np.concatenate([*self._shares(start), np.empty(0)])
        weights, shares = (
            torch.as_tensor(part, dtype=torch.float32)
            for part in (self._cell_weights(start), shares)
        )
        return CellError(self._cells(start), weights, shares)

    def _error_of_prefixes(self, start):
        """Return by what the prefixes of a code are compared."""
        from skae._training.ordered import ErrorOfCells, ErrorOfNumbers

        if self._blocks is None:
            return ErrorOfNumbers(start.column_weights)
        return ErrorOfCells(self._cell_error(start).to(self.device_))

    def _shares(self, start):
        """Yield the shares of the levels of each category in the rows of a start."""
        for first, size in zip(self._blocks.starts, self._blocks.sizes, strict=True):
            block = slice(first, first + size)
            yield start.mean[block] / self._blocks.metric[block]

    # giving back ------------------------------------------------------------------------------

    def _decode_cells(self, Z, choose=None):
        """Return the coded table of codes; ``choose`` picks a level by its probability."""
        import torch

        if self._blocks is None:
            return self._decode(Z)
        dtype = torch.float64 if Z.dtype == np.float64 else torch.float32
        cells = self._cells(self._fitted_start(), dtype).to(self.device_)
        decoder, pick = self._module_for(Z.dtype).decoder, choose or _most_probable
        values = self._apply_to_codes(Z, lambda z: cells.values(decoder(z), pick), cells.n_cells)
        return self._in_places(values)

    def _in_places(self, values):
        """Return standardised numbers and codes as columns of the coded table."""
        blocks = self._blocks
        n = len(blocks.numbers)
        coded = np.full((len(values), blocks.n_columns), np.nan, dtype=values.dtype)
        mean, scale = self.mean_[:n], self.scale_[:n]
        coded[:, blocks.numbers] = (values[:, :n] * scale + mean) / blocks.metric[:n]
        coded[:, blocks.categories] = values[:, n:]
        return coded

    def _give(self, coded, like=None):
        """Return a coded table in the form of the fit."""
        if "table_encoder_" in self.__dict__:
            return self.table_encoder_.decode(coded.astype(np.float64), like)
        asked = frames_asked_for(self)
        if asked not in ("pandas", "polars"):
            return coded
        known = self._fields
        if known is None:
            names = getattr(self, "feature_names_in_", None)
            names = [f"x{i}" for i in range(coded.shape[1])] if names is None else names
            plain = str(coded.dtype) if asked == "pandas" else coded.dtype.name.capitalize()
            known = [Field(name, plain, NUMBER) for name in names]
        elif self._library != asked:
            known = [Field(field.name, "Float64", NUMBER) for field in known]
        index = like.index if asked == "pandas" and hasattr(like, "iloc") else None
        return build(known, list(coded.T.astype(np.float64)), asked, index)

    def _filled(self, X, coded):
        frame = as_frame(X)
        if frame is not None and "table_encoder_" in self.__dict__:
            coded, encoder = coded.astype(np.float64), self.table_encoder_
            if library(frame) == encoder._library:
                return fill(X, encoder.decode(coded, X))
            index = getattr(X, "index", None)
            return fill(X, build(fields(frame), encoder.columns(coded), library(frame), index))
        if frame is not None:
            made = [Field(name, "float64", NUMBER) for name in frame.columns]
            columns = list(coded.T.astype(np.float64))
            if library(frame) != "pandas":
                made = fields(frame)
            return fill(X, build(made, columns, library(frame), getattr(X, "index", None)))
        if "table_encoder_" in self.__dict__:
            X, made = np.asarray(X), self.table_encoder_.decode(coded.astype(np.float64))
            return np.where(_missing(X), made, X)
        X = X.toarray() if sparse.issparse(X) else np.asarray(X)
        X = X if X.dtype in DTYPES else X.astype(np.float64)
        return np.where(np.isnan(X), coded, X)

    # errors -----------------------------------------------------------------------------------

    def _cell_errors(self, X, reconstruct=None):
        """Return errors of a coded table's cells: NaN where missing, of shape (n_samples, n_cells).

        Numbers: squared, in squared units of the coded table. Categories: nats.
        ``reconstruct`` is a function of standardised wide rows.
        """
        import torch

        module = self._module_for(X.dtype)
        made = reconstruct or (lambda x: module.decoder(module.encode(x)))
        dtype = torch.float64 if X.dtype == np.float64 else torch.float32
        cells = self._cells(self._fitted_start(), dtype).to(self.device_)

        def errors(x):
            found = cells.errors(made(x), x)
            return torch.where(cells.present(x), found, -1.0)

        found = self._apply_to_rows(X, errors, cells.n_cells, lambda out: out)
        found = np.where(found < 0, np.nan, found.astype(np.float64))
        n = cells.n_numbers
        found[:, :n] *= (self.scale_[:n] / self._blocks.metric[:n]) ** 2
        return found

    def _baselines(self, X):
        """Return summed errors of each cell's column mean, or level shares, in the rows of X."""
        blocks, found = self._blocks, []
        for column in blocks.numbers:
            x = X[:, column][~np.isnan(X[:, column])].astype(np.float64)
            found.append(np.sum((x - x.mean()) ** 2) if len(x) else 0.0)
        for column in blocks.categories:
            codes = X[:, column][~np.isnan(X[:, column])].astype(int)
            found.append(len(codes) * _entropy(np.bincount(codes) / max(len(codes), 1)))
        return np.array(found)

    def _table_scores(self, X, errors):
        """Return the explained share of every column, NaN where nothing is known of it."""
        blocks, sums, baselines = self._blocks, np.nansum(errors, axis=0), self._baselines(X)
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(baselines > 0, 1 - sums / baselines, (sums == 0).astype(np.float64))
        shares[np.isnan(errors).all(axis=0) | self._says_nothing()] = np.nan
        scores = np.full(blocks.n_columns, np.nan)
        scores[np.concatenate([blocks.numbers, blocks.categories])] = shares
        return scores

    def _says_nothing(self):
        """Return which cells are of categories all of whose levels share one code."""
        nothing = np.zeros(len(self._blocks.first), dtype=bool)
        if "table_encoder_" in self.__dict__:
            pooled = self.table_encoder_.infrequent_categories_
            several = [len(pooled[place] or ()) > 1 for place in self._blocks.categories]
            nothing[len(self._blocks.numbers) :] = np.array(several, bool) & (
                self._blocks.sizes == 1
            )
        return nothing

    def _table_score(self, X, reconstruct=None):
        """Return `score` of a coded table."""
        X = X.toarray() if sparse.issparse(X) else X
        errors = self._cell_errors(X, reconstruct)
        if "table_encoder_" not in self.__dict__:
            total = self._baselines(X).sum()
            error = np.nansum(errors)
            return float(1 - error / total) if total > 0 else float(error == 0)
        scores = self._table_scores(X, errors)
        known = ~np.isnan(scores) & (self._column_weights > 0)
        known[self._blocks.categories] &= self._blocks.sizes > 1
        if not known.any():
            return 0.0
        return float(np.average(scores[known], weights=self._column_weights[known]))

    def _table_start_scores(self, X, start):
        """Return the `score` of 1, 2, ... components of the linear start of a table."""
        from skae.nn.build import linear_maps

        def first(k):
            encoder, decoder = (part.to(self.device_) for part in linear_maps(start))
            return lambda x: x.nan_to_num(nan=0.0) @ encoder.to(x)[:k].T @ decoder.to(x)[:, :k].T

        sizes = range(1, len(start.deviations) + 1)
        return np.array([self._table_score(X, first(k)) for k in sizes])

    def _table_error(self, X, per_feature):
        """Return `reconstruction_error` of a coded table."""
        X = X.toarray() if sparse.issparse(X) else X
        errors, start = self._cell_errors(X), self._fitted_start()
        if "table_encoder_" in self.__dict__:
            n = len(self._blocks.numbers)
            unit = np.ones(errors.shape[1])
            unit[n:] = [_entropy(share) or 1.0 for share in self._shares(start)]
            errors = errors / unit
        if not per_feature:
            return np.nansum(errors, axis=1)
        cells = np.full((len(X), self._blocks.n_columns), np.nan)
        cells[:, np.concatenate([self._blocks.numbers, self._blocks.categories])] = errors
        return cells

    # state ------------------------------------------------------------------------------------

    def _plain_tables(self, state):
        """Turn what is known of tables into builtins and arrays, in place."""
        if state.get("_blocks") is not None:
            blocks = state["_blocks"]
            names = "n_levels", "metric", "flagged"
            state["_blocks"] = {name: getattr(blocks, name) for name in names}
        if state.get("_fields"):
            state["_fields"] = [asdict(field) for field in state["_fields"]]
        if "table_encoder_" in state:
            state["table_encoder_"] = state["table_encoder_"].__getstate__()

    def _table_objects(self, state):
        """Undo `_plain_tables`."""
        if state.get("_blocks") is not None:
            state["_blocks"] = Blocks(**state["_blocks"])
        if state.get("_fields"):
            state["_fields"] = [Field(**field) for field in state["_fields"]]
        if "table_encoder_" in state:
            encoder = TableEncoder()
            encoder.__setstate__(state["table_encoder_"])
            state["table_encoder_"] = encoder


def _counted(X, sample_weight):
    """Return the rows of positive weight."""
    return X if sample_weight is None else X[np.flatnonzero(np.asarray(sample_weight) > 0)]


def _refuse_nothing(known):
    """Refuse a table all of whose columns are empty."""
    if not known.any():
        raise ValueError("X has no cell that is present: every column is all missing (NaN).")


def _entropy(shares):
    """Return the entropy of some shares, in nats."""
    shares = shares[shares > 0]
    return float(-np.sum(shares * np.log(shares)))


def _most_probable(probabilities):
    return probabilities.argmax(-1)


def _missing(X):
    """Return which cells of an array hold nothing."""
    if X.dtype.kind in "fc":
        return np.isnan(X)
    return np.array([[is_missing(cell) for cell in row] for row in X.tolist()], dtype=bool)
