"""How well drawn rows pass for real ones."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from skae._data.frames import column, fields, frame_of, numbers, table
from skae._data.objects import CATEGORY, TIME, is_missing
from skae._parameters import counted

N_BINS = 10  # of a number, beside a category
MOST_LEVELS = 255  # that gradient boosting takes for categories
FEWEST_ROWS = 20


def synthesis_report(real, drawn, holdout, target=None):
    r"""Return how well drawn rows pass for real ones that no fit has seen.

    Five scores of the drawn rows and, for comparison, of the
    training rows, which are another real sample:

    - ``shapes``: mean over the columns of

      .. math:: 1 - \sup_t |F(t) - G(t)| \;\text{(numbers)}, \quad
          1 - \tfrac12 \sum_l |p_l - q_l| \;\text{(categories)}

      with F and p the distribution functions and shares of the held-out
      rows, G and q those of the others; missing cells are left out.
    - ``trends``: mean over the pairs of columns of :math:`1 - |r - s| / 2` for
      two numbers, with their correlations r and s in rows where both are
      present, and otherwise :math:`1 - \frac12 \sum_{lm} |p_{lm} - q_{lm}|`. A number beside
      a category is cut into 10 bins of equal width over the range of the held-out
      rows; missing is a separate level. Pairs with a constant number are left out.
    - ``efficacy``: how well gradient boosting trained on the rows
      predicts ``target`` in the held-out ones: area under the ROC curve (with
      several classes the mean of one against the rest), or :math:`R^2` of a number.
      NaN without a target, or without another column.
    - ``detection``: :math:`2 (1 - \max(\mathrm{AUC}, 1/2))` of gradient boosting that separates
      the rows from as many held-out ones, cross-validated in 5 folds:
      1 if it cannot, 0 if it always can.
    - ``closest_record``: share of the rows that are nearer to a training row than to any
      of as many held-out ones; ties count
      half. About 0.5 if no row was copied, 1 if all were. Squared distances are sums of
      squared differences of numbers, over their range in the training rows, and of 1 for
      each differing level. NaN for the training rows.

    Parameters
    ----------
    real : frame or array-like of shape (n_samples, n_columns)
        The rows that the generator was fitted to: numbers, dates, categories
        and missing cells, as in `VAETransformer`.
    drawn : frame or array-like of shape (n_drawn, n_columns)
        Preferably as many as ``real``.
    holdout : frame or array-like of shape (n_holdout, n_columns)
        Real rows of the same distribution that the generator has not seen.
        All three need at least 20 rows.
    target : name of a column, or its position in arrays, default=None
        Column to predict from the others.

    Returns
    -------
    report : DataFrame
        The five scores as rows; columns "drawn" and "real". Larger is
        better, except for ``closest_record``. Deterministic.

    Raises
    ------
    ValueError
        If columns differ in name or kind, there is no such
        target, or there are too few rows.

    References
    ----------
    ``shapes`` and ``trends`` are KSComplement, TVComplement, CorrelationSimilarity and
    ContingencySimilarity of sdmetrics, https://docs.sdv.dev/sdmetrics; ``detection`` is its
    way of scoring, with another classifier.

    Examples
    --------
    Shuffling each column keeps their shapes and destroys their correlations:

    >>> import numpy as np
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skae.metrics import synthesis_report
    >>> rng = np.random.default_rng(0)
    >>> X = rng.permutation(load_breast_cancer().data[:, :5])
    >>> report = synthesis_report(X[:300], rng.permuted(X[:300], axis=0), X[300:], target=0)
    >>> bool((report.loc["shapes"] > 0.9).all())
    True
    >>> bool(report.loc["detection", "drawn"] < 0.3 < report.loc["detection", "real"])
    True
    """
    from skae.metrics import _models as models  # gradient boosting takes long to import

    real, drawn, holdout = coded(real, drawn, holdout)
    place = None if target is None else real.place(target)
    report = {}
    for name, rows in (("drawn", drawn), ("real", real)):
        report[name] = {
            "shapes": np.nanmean([shape(*pair) for pair in zip(holdout, rows, strict=True)]),
            "trends": _trends(holdout, rows),
            "efficacy": np.nan if place is None else models.efficacy(rows, holdout, place),
            "detection": models.detection(rows, holdout),
        }
    report["drawn"]["closest_record"] = models.nearer(drawn, real, holdout)
    return pd.DataFrame(report)


@dataclass(frozen=True)
class _Column:
    """The cells of a column: float64, NaN where missing; codes of a category's levels."""

    cells: np.ndarray
    levels: object = None  # of a category
    is_date: bool = False  # whose cells are seconds since 1970

    @property
    def n_levels(self):
        return None if self.levels is None else len(self.levels)

    @property
    def present(self):
        return self.cells[~np.isnan(self.cells)]

    def codes(self, edges=None):
        """Return levels, or bins of a number, as whole numbers: missing is one of its own."""
        if self.n_levels is None:
            return np.digitize(self.cells, edges)
        return np.nan_to_num(self.cells, nan=self.n_levels).astype(int)


@dataclass(frozen=True)
class _Table:
    """Columns in one order, and their names."""

    columns: list
    names: list

    def __iter__(self):
        return iter(self.columns)

    def __len__(self):
        return len(self.columns[0].cells)

    def place(self, target):
        if target not in self.names:
            raise ValueError(
                f"target={target!r}: there is no such column; these are {self.names[:3]}, ..."
            )
        return self.names.index(target)

    def matrix(self, leave=None):
        """Return the coded columns, but for one, and which of them are categories."""
        kept = [column for place, column in enumerate(self.columns) if place != leave]
        few = [column.n_levels is not None and column.n_levels <= MOST_LEVELS for column in kept]
        return np.column_stack([column.cells for column in kept]), few


def coded(*tables, names=("drawn", "holdout")):
    """Return tables with equal codes for equal levels; all but the first have names."""
    frames = [_frame(X) for X in tables]
    known = [fields(frame) for frame in frames]
    columns = [field.name for field in known[0]]
    for word, frame, found in zip(names, frames[1:], known[1:], strict=True):
        _check_same(known[0], found, word, frame)
    few = min(map(len, frames))
    if few < FEWEST_ROWS:
        raise ValueError(
            f"At least {FEWEST_ROWS} rows of each are needed, but one has {counted(few, 'row')}."
        )
    parts = [_cells(frames, place, field.kind) for place, field in enumerate(known[0])]
    _refuse_infinite(parts, columns)
    return [_Table(list(some), columns) for some in zip(*parts, strict=True)]


def _frame(X):
    """Return a table as a frame; the names of an array's columns are their places."""
    X = table(X)
    return X if frame_of(X) is not None else pd.DataFrame(np.asarray(X))


def _check_same(known, found, word, frame):
    """Refuse other columns than those of the real rows, and columns of another kind."""
    names, others = ([field.name for field in some] for some in (known, found))
    if names != others:
        of_array = others == list(range(len(names)))
        remedy = f" Pass {word} as a frame, such as pandas.DataFrame({word}, columns=real.columns)."
        raise ValueError(
            f"{word} has the columns {others[:3]}, ..., real has {names[:3]}, ...: they must be the "
            f"same, in the same order.{remedy if of_array else ''}"
        )
    for place, (one, other) in enumerate(zip(known, found, strict=True)):
        empty = one.kind != other.kind and all(map(is_missing, column(frame, place).to_list()))
        if one.kind != other.kind and not empty:
            raise ValueError(
                f"Column {one.name!r} is a {one.kind} in real and a {other.kind} in {word}: "
                "convert it."
            )


def _refuse_infinite(parts, names):
    for name, tables in zip(names, parts, strict=True):
        if any(np.isinf(column.cells).any() for column in tables):
            raise ValueError(
                f"Column {name!r} has infinite numbers: replace them, or make them missing."
            )


def _cells(frames, place, kind):
    """Return a column of several frames, as one `_Column` of each."""
    series = [column(frame, place) for frame in frames]
    if kind != CATEGORY:
        return [_Column(numbers(part, kind), is_date=kind == TIME) for part in series]
    parts = [[None if is_missing(c) else c for c in part.to_list()] for part in series]
    every = np.fromiter((c for part in parts for c in part), dtype=object)
    codes, levels = pd.factorize(every)
    codes = np.where(codes < 0, np.nan, codes.astype(np.float64))
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return [_Column(cells, levels) for cells in np.split(codes, ends)]


def shape(one, other):
    """Return how alike the distributions of a column are; NaN if one has no cell."""
    a, b = one.present, other.present
    if not (len(a) and len(b)):
        return np.nan
    if one.n_levels is None:
        at = np.sort(np.concatenate([a, b]))
        shares = (np.searchsorted(np.sort(x), at, side="right") / len(x) for x in (a, b))
        return 1 - np.abs(np.subtract(*shares)).max()
    return _overlap(a.astype(int), b.astype(int), one.n_levels)


def _overlap(a, b, n):
    """Return one less the total variation of two samples of whole numbers below n."""
    p, q = (np.bincount(codes, minlength=n) / len(codes) for codes in (a, b))
    return 1 - np.abs(p - q).sum() / 2


def _trends(one, other):
    """Return how alike pairs of columns are, on average."""
    pairs = zip(combinations(one, 2), combinations(other, 2), strict=True)
    found = [_trend(*pair) for pair in pairs]
    return np.nanmean(found) if not np.isnan(found).all() else np.nan


def _trend(one, other):
    """Return how alike a pair of columns is in two tables."""
    if all(column.n_levels is None for column in one):
        return 1 - abs(_correlation(*one) - _correlation(*other)) / 2
    edges = [_edges(column) if column.n_levels is None else None for column in one]
    sizes = [N_BINS + 2 if column.n_levels is None else column.n_levels + 1 for column in one]
    joint = [
        np.ravel_multi_index([c.codes(e) for c, e in zip(pair, edges, strict=True)], sizes)
        for pair in (one, other)
    ]
    codes = np.unique(np.concatenate(joint), return_inverse=True)[1]
    a, b = np.split(codes, [len(joint[0])])
    return _overlap(a, b, codes.max() + 1)


def association(one, other):
    """Return how closely two columns of a table go together; NaN if one is constant.

    The correlation of two numbers; else Cramér's V, of a number's bins as in `synthesis_report`.
    """
    if one.n_levels is None and other.n_levels is None:
        return _correlation(one, other)
    edges = [_edges(column) if column.n_levels is None else None for column in (one, other)]
    codes = [column.codes(e) for column, e in zip((one, other), edges, strict=True)]
    counts = stats.contingency.crosstab(*codes).count
    return float(stats.contingency.association(counts)) if min(counts.shape) > 1 else np.nan


def _edges(column):
    """Return the inner and outer edges of a number's bins."""
    edges = bin_edges(column.present, N_BINS)
    edges[[0, -1]] = -np.inf, np.inf
    return edges


def bin_edges(cells, n_bins):
    """Return the edges of bins as `numpy.histogram_bin_edges` does, which needs a width that float64 can tell."""
    low, high = (cells.min(), cells.max()) if len(cells) else (0.0, 1.0)
    half = 0.5 if low == high else 0.0
    return np.linspace(low - half, high + half, n_bins + 1)


def _correlation(a, b):
    """Return the correlation of two numbers where both are present; NaN if one is constant."""
    both = ~(np.isnan(a.cells) | np.isnan(b.cells))
    x, y = a.cells[both], b.cells[both]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    return np.corrcoef(x, y)[0, 1]
