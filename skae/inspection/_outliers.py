"""What is odd about the oddest rows."""

from numbers import Real

import numpy as np
from scipy import sparse

from skae._parameters import count
from skae.inspection._drawing import MODEL, OnSeveralAxes, grid


class OutlierDisplay(OnSeveralAxes):
    """The columns that make rows outliers, with observed and expected values.

    Make it with `from_estimator`.

    Parameters
    ----------
    parts : DataFrame of shape (n_rows, n_columns)
        How much each column, or unit of the code, adds to minus a row's score.
    seen, expected : ndarray of shape (n_rows, n_features)
        The rows and their reconstructions, with the columns of ``parts``.
    n_bars : int, default=5
        Number of columns to draw of each row: those that add most.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, shape (n_rows,)
        One for each row, the most abnormal first.
    figure_ : matplotlib Figure
    bars_ : list of matplotlib BarContainer

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skae import AutoencoderOutlierDetector
    >>> from skae.inspection import OutlierDisplay
    >>> X = load_wine(as_frame=True).data
    >>> detector = AutoencoderOutlierDetector(random_state=0).fit(X)
    >>> display = OutlierDisplay.from_estimator(detector, X, n_rows=3)
    >>> bool(display.parts.index[0] == X.index[detector.score_samples(X).argmin()])
    True
    """

    def __init__(self, *, parts, seen, expected, n_bars=5):
        self.parts = parts
        self.seen = seen
        self.expected = expected
        self.n_bars = n_bars

    @classmethod
    def from_estimator(cls, estimator, X, *, n_rows=3, n_bars=5, axes=None, **kwargs):
        """Explain the most abnormal rows of a table, and draw their columns.

        Parameters
        ----------
        estimator : fitted AutoencoderOutlierDetector
        X : frame or array-like of shape (n_samples, n_features)
        n_rows : int, default=3
            Number of rows to draw: those with the lowest scores.
        n_bars : int, default=5
            Number of columns of each.
        axes : sequence of n_rows matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to ``ax.barh``.

        Returns
        -------
        display : OutlierDisplay
        """
        if not hasattr(estimator, "explain"):
            raise ValueError(
                f"{type(estimator).__name__} does not explain scores: pass a fitted "
                "AutoencoderOutlierDetector."
            )
        count(n_bars, "n_bars")
        worst = np.argsort(estimator.score_samples(X), kind="stable")[: count(n_rows, "n_rows")]
        display = cls(
            parts=estimator.explain(X).iloc[worst],
            seen=_cells(X)[worst],
            expected=_cells(estimator.autoencoder_.reconstruct(X))[worst],
            n_bars=n_bars,
        )
        return display.plot(axes, **kwargs)

    def _draw(self, axes, settings):
        n_rows, n_bars = len(self.parts), count(self.n_bars, "n_bars")
        high = 0.32 * (min(n_bars, self.parts.shape[1]) + 2) + 0.9 / n_rows
        self.axes_ = grid(n_rows, 1, axes, panel=(6.4, high))
        self.bars_ = [self._draw_row(ax, row, settings) for row, ax in enumerate(self.axes_)]
        self.axes_[-1].set_xlabel("part of the score")

    def _draw_row(self, ax, row, settings):
        parts = self.parts.iloc[row].fillna(0.0)
        places = np.argsort(-parts.to_numpy(), kind="stable")[: self.n_bars][::-1]
        labels = [self._label(row, place) for place in places]
        ax.set_title(f"row {self.parts.index[row]}", loc="left")
        return ax.barh(labels, parts.iloc[places], **{"color": MODEL} | settings)

    def _label(self, row, place):
        name = str(self.parts.columns[place])
        if place >= self.seen.shape[1]:
            return f"{name} (code)"
        seen, expected = (_text(cells[row, place]) for cells in (self.seen, self.expected))
        return f"{name}: {seen}, expected {expected}"


def _cells(X):
    return np.asarray(X.toarray() if sparse.issparse(X) else X, dtype=object)


def _text(cell):
    if not isinstance(cell, Real) or isinstance(cell, bool):
        return str(cell)
    return f"{cell:,.0f}" if 1e3 <= abs(cell) < 1e7 else f"{cell:.3g}"
