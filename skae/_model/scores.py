"""Errors and scores of a fitted model: of rows of numbers, and of the cells of a table."""

import numpy as np
from scipy import sparse

from skae._data.rows import exact_mean
from skae._data.schema import entropy
from skae.metrics import explained_share


def level_entropies(schema, baseline):
    return np.array([entropy(share) for share in schema.level_shares(baseline)])


class RowScores:
    """What of rows of numbers a model explains, in their own units."""

    def __init__(self, model):
        self.model = model

    def error(self, X, per_feature=False, missing="sum"):
        error = np.subtract(*self.model.reconstruct(X), dtype=np.float64)
        with np.errstate(over="ignore"):
            error *= error
            error = error if per_feature else _of_rows(error, missing)
        refuse_infinite(np.nan_to_num(error, posinf=np.inf), error.dtype)
        return error

    def code_and_residuals(self, X):
        """Return codes, and what reconstructions and then means leave of each cell: float64.

        In standard deviations of the column; twice as many columns as X. NaN where a cell is missing.
        """
        code, X, baseline = self.model.encode(X), dense(X), self.model.baseline
        residuals = np.hstack([X - self.model.decode(code), X - baseline.mean])
        residuals /= np.tile(baseline.scale, 2)
        return code.astype(np.float64), residuals

    def score(self, X, reconstruct=None):
        """Return the explained share of the variance; ``reconstruct`` as in `CellScores`."""
        if reconstruct is None:
            return explained_share(*self.model.reconstruct(X))
        n = self.model.schema.n_features
        made = self.model.apply_to_rows(X, reconstruct, n, self.model._to_units_of_x)
        return explained_share(dense(X)[:, :n], made)

    def score_of_blocks(self, blocks):
        """Return the explained share of the variance of rows that come block by block."""
        sums = ColumnSums()
        for X in blocks:
            X, made = self.model.reconstruct(X)
            sums.add(X, np.subtract(X, made, dtype=np.float64) ** 2)
        if not np.any(sums.n):
            return np.nan
        total, error = sums.squares.sum(), sums.errors.sum()
        return float(1 - error / total) if total > 0 else float(error == 0)

    def score_by_column(self, X):
        """Return the explained share of each column, NaN for one without any cell."""
        X, made = self.model.reconstruct(X)
        shares = [explained_share(X[:, [j]], made[:, [j]]) for j in range(X.shape[1])]
        return np.where(np.isnan(X).all(axis=0), np.nan, shares)

    def baseline_scores(self, X):
        """Return the `score` of 1, 2, ... components of the baseline."""
        baseline = self.model.baseline
        return baseline.scores(self.model.schema.wide(X, baseline.mean))


class CellScores:
    """What of the cells of a table a model explains, each in units of its column's baseline."""

    def __init__(self, model):
        self.model, self.schema = model, model.schema

    def error(self, X, per_feature=False, missing="sum"):
        errors = self._errors(X)
        if self.schema.encoder is not None:
            unit = np.ones(errors.shape[1])
            unit[self.schema.n_numbers :] = [
                nats or 1.0 for nats in level_entropies(self.schema, self.model.baseline)
            ]
            errors = errors / unit
        return self.schema.in_columns(errors) if per_feature else _of_rows(errors, missing)

    def code_and_residuals(self, X):
        """Return codes, and what reconstructions and then means leave of each cell: float64.

        Numbers: the difference, in standard deviations of the column. Categories:
        nats. Two columns for each of the table; NaN where nothing is known.
        """
        X, model = dense(X), self.model
        found, size = model.code_and_differences(X).astype(np.float64), model.task.size
        halves = np.split(found[:, size:], 2, axis=1)
        residuals = np.hstack([self.schema.in_columns(half) for half in halves])
        residuals[np.tile(np.isnan(X), 2)] = np.nan
        return found[:, :size] * model.code_scale, residuals

    def score(self, X, *reconstruct):
        """Return the explained share; ``reconstruct`` maps standardised wide rows to outputs."""
        X = dense(X)
        score = self.schema.score(X, self._errors(X, *reconstruct))
        if np.isnan(score) and self.schema.encoder is None and not reconstruct:
            # squares of numbers that large are infinite
            return explained_share(X, self.model.reconstruct_cells(X))
        return score

    def score_of_blocks(self, blocks):
        schema = self.schema
        sums, levels = ColumnSums(), [0.0] * len(schema.blocks.categories)
        unseen = np.zeros(len(levels), dtype=bool)
        for X in blocks:
            X = dense(X)
            sums.add(X[:, schema.blocks.numbers], self._errors(X))
            unseen |= schema.blocks.unseen(X).any(axis=0)
            for number, codes in enumerate(X[:, schema.blocks.categories].T):
                codes = codes[~np.isnan(codes)].astype(int)
                n_levels = schema.blocks.sizes[number] + 1  # one for those that fit did not see
                levels[number] = levels[number] + np.bincount(codes, minlength=n_levels)
        nats = [np.sum(n) * entropy(n / max(np.sum(n), 1)) for n in levels]
        baselines = np.concatenate([sums.squares, nats])
        return schema.score_of_sums(sums.errors, baselines, sums.n_errors == 0, unseen)

    def score_by_column(self, X):
        X = dense(X)
        return self.schema.score_by_column(X, self._errors(X))

    def baseline_scores(self, X):
        from skae.nn.build import linear_maps

        device, baseline = self.model.device, self.model.baseline

        def first(k):
            fill = self.model.module_in(X.dtype).missing.fill
            encoder, decoder = (part.to(device) for part in linear_maps(baseline))
            return lambda x: fill(x) @ encoder.to(x)[:k].T @ decoder.to(x)[:, :k].T

        sizes = range(1, len(baseline.deviations) + 1)
        return np.array([self.score(X, first(k)) for k in sizes])

    def _errors(self, X, *reconstruct):
        """Return errors of cells, (n_samples, n_cells): NaN where missing.

        Numbers: squared, in squared units of the coded table. Categories: nats.
        ``reconstruct`` is a function of standardised wide rows, if any.
        """
        n, model = self.schema.n_numbers, self.model
        found = model.errors_of_cells(dense(X), *reconstruct)
        found[:, :n] *= (model.baseline.scale[:n] / self.schema.blocks.metric[:n]) ** 2
        return found


class ColumnSums:
    """Errors of cells, and squares about their columns' means, summed block by block."""

    def __init__(self):
        self.n = self.mean = self.squares = self.errors = self.n_errors = 0.0

    def add(self, X, errors):
        """Take in rows, NaN where a cell is missing, and the errors of their cells."""
        self.errors = self.errors + np.nansum(errors, axis=0)
        self.n_errors = self.n_errors + np.sum(~np.isnan(errors), axis=0)
        X = X.astype(np.float64)
        n = np.sum(~np.isnan(X), axis=0)
        mean = np.nansum(X, axis=0) / np.maximum(n, 1)
        mean = exact_mean(mean, np.fmin.reduce(X), np.fmax.reduce(X))
        all_n, step = np.maximum(self.n + n, 1), mean - self.mean
        between = step**2 * self.n * n / all_n
        self.squares = self.squares + np.nansum((X - mean) ** 2, axis=0) + between
        self.mean, self.n = self.mean + step * n / all_n, self.n + n


def scores_of(model):
    return RowScores(model) if model.schema.blocks is None else CellScores(model)


def _of_rows(errors, missing):
    """Return the errors of rows, given those of cells: NaN where nothing is present."""
    if missing not in ("sum", "rescale"):
        raise ValueError(f"missing={missing!r}: expected 'sum' or 'rescale'.")
    total, n_present = np.nansum(errors, axis=1), np.sum(~np.isnan(errors), axis=1)
    if missing == "rescale":
        total *= errors.shape[1] / np.maximum(n_present, 1)
    return np.where(n_present > 0, total, np.nan)


def dense(X):
    return X.toarray() if sparse.issparse(X) else X


def refuse_infinite(results, dtype):
    """Refuse what a network made of rows, where not all of it is finite."""
    if not (np.isfinite(results.sum()) or np.isfinite(results).all()):
        remedy = (
            "Rescale the columns."
            if dtype == np.float64
            else "Pass float64, or rescale the columns."
        )
        raise ValueError(
            f"A result is beyond the range of {dtype}: the input is too far from the training rows. {remedy}"
        )
