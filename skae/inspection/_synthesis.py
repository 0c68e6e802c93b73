"""Drawn rows beside real ones."""

from itertools import combinations

import numpy as np

from skae._parameters import count
from skae.inspection._drawing import BASELINE, MODEL, grid, shorten_dates, without_frame
from skae.metrics._synthesis import association, bin_edges, coded, shape

N_BINS, OUTERMOST = 30, 0.005  # of numbers: the range leaves out so much at either end
MOST_LEVELS, LONGEST = 6, 10  # levels of a category that are drawn, characters of their names
OTHERS = "others"


class SynthesisDisplay:
    """Columns and pairs of columns of drawn rows, beside those of real ones.

    Make it with `from_predictions`.

    Parameters
    ----------
    columns : list of (name, similarity, places, real, drawn)
        For each column: how similar its distributions are, as ``shapes``
        in `skae.metrics.synthesis_report`; the edges of a number's bins, or the levels of
        a category; and the shares of rows there.
    trends : ndarray of shape (n_pairs, 2)
        Correlation (or Cramér's V) of each pair of columns, in real and in drawn rows.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, shape (n_columns + 1,)
        One for each column, and the last one for the pairs.
    figure_ : matplotlib Figure
    points_ : matplotlib PathCollection
        The pairs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from skae.inspection import SynthesisDisplay
    >>> X = load_wine(as_frame=True).data
    >>> shuffled = X.apply(np.random.default_rng(0).permutation)
    >>> display = SynthesisDisplay.from_predictions(X, shuffled, n_columns=3)
    >>> real, drawn = display.trends.T
    >>> bool(abs(drawn).max() < 0.3 < abs(real).max())
    True
    """

    def __init__(self, *, columns, trends):
        self.columns = columns
        self.trends = trends

    @classmethod
    def from_predictions(cls, real, drawn, *, n_columns=7, axes=None):
        """Compare drawn rows with real ones, column by column and in pairs.

        Parameters
        ----------
        real : frame or array-like of shape (n_samples, n_columns)
            Preferably rows that the generator has not seen.
        drawn : frame or array-like of shape (n_drawn, n_columns)
            Both need at least 20 rows.
        n_columns : int, default=7
            Number of columns to draw: the least similar ones, in the order of the table.
        axes : sequence of matplotlib Axes, default=None
            One for each column and one for the pairs; a new figure by default.

        Returns
        -------
        display : SynthesisDisplay

        Raises
        ------
        ValueError
            As `skae.metrics.synthesis_report`.
        """
        n_columns = count(n_columns, "n_columns")
        real, drawn = coded(real, drawn, names=("drawn",))
        similarity = np.array([shape(*pair) for pair in zip(real, drawn, strict=True)])
        shown = np.sort(np.argsort(similarity, kind="stable")[:n_columns])  # NaN comes last
        columns = [
            (real.names[i], similarity[i], *_shares(real.columns[i], drawn.columns[i]))
            for i in shown
        ]
        trends = [
            [association(*pair) for pair in pairs]
            for pairs in zip(combinations(real, 2), combinations(drawn, 2), strict=True)
        ]
        return cls(columns=columns, trends=np.array(trends).reshape(-1, 2)).plot(axes)

    def plot(self, axes=None):
        """Draw columns and pairs.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            As in `from_predictions`.

        Returns
        -------
        display : SynthesisDisplay
            This one.
        """
        self.axes_ = grid(len(self.columns) + 1, 4, axes, panel=(2.6, 2.3))
        self.figure_ = self.axes_[0].figure
        for ax, column in zip(self.axes_, self.columns, strict=False):
            self._draw_column(ax, *column)
        self._draw_trends(self.axes_[-1])
        shown = self.axes_[0].get_legend_handles_labels()
        self.axes_[-1].legend(*shown, frameon=False, fontsize="small", loc="upper left")
        return self

    def _draw_column(self, ax, name, similarity, places, real, drawn):
        if len(places) > len(real):
            ax.stairs(real, places, fill=True, color=BASELINE, alpha=0.4, label="real")
            ax.stairs(drawn, places, color=MODEL, linewidth=1.5, label="drawn")
            if np.issubdtype(places.dtype, np.datetime64):
                shorten_dates(ax.xaxis)
            else:
                ax.locator_params(axis="x", nbins=4)
        else:
            at = np.arange(len(places))
            ax.bar(at - 0.2, real, 0.4, color=BASELINE, alpha=0.6, label="real")
            ax.bar(at + 0.2, drawn, 0.4, color=MODEL, label="drawn")
            ax.set_xticks(at, places, rotation=30, ha="right", fontsize="small")
        ax.set_title(f"{name}: {similarity:.2f} alike", fontsize="medium")
        ax.set_yticks([])
        without_frame(ax)

    def _draw_trends(self, ax):
        self.points_ = ax.scatter(*self.trends.T, s=12, color=MODEL, alpha=0.7)
        ends = np.nanmin(self.trends, initial=0.0), np.nanmax(self.trends, initial=0.1)
        ax.plot(ends, ends, color=BASELINE, linewidth=1, zorder=0)
        ax.set(xlabel="in real rows", ylabel="in drawn rows")
        ax.set_title("association of pairs", fontsize="medium")
        without_frame(ax)


def _shares(real, drawn):
    """Return the places of two columns' cells, bins or levels, and the shares of them there."""
    if real.levels is None:
        edges, *shares = _shares_of_bins(real.present, drawn.present)
        dates = edges.astype("datetime64[s]") if real.is_date else edges
        return dates, *shares
    levels = np.array([_short(level) for level in real.levels], dtype=object)
    columns = real, drawn
    real, drawn = (np.bincount(c.present.astype(int), minlength=c.n_levels) for c in columns)
    order = np.argsort(-real, kind="stable")
    some, rest = order[:MOST_LEVELS], order[MOST_LEVELS:]
    parts = [np.append(n[some], n[rest].sum()) if len(rest) else n[some] for n in (real, drawn)]
    names = [*levels[some], *([OTHERS] if len(rest) else [])]
    return names, *(part / max(part.sum(), 1) for part in parts)


def _shares_of_bins(real, drawn):
    both = np.concatenate([real, drawn])
    ends = np.quantile(both, [OUTERMOST, 1 - OUTERMOST]) if len(both) else (0.0, 1.0)
    edges = bin_edges(np.clip(both, *ends), N_BINS)
    counts = (np.histogram(np.clip(x, *ends), edges)[0] / max(len(x), 1) for x in (real, drawn))
    return edges, *counts


def _short(level):
    text = str(level)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
