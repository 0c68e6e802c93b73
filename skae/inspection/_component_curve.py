"""What each number of components explains."""

from numbers import Integral

import numpy as np

from skae.inspection._drawing import BASELINE, MODEL, OnAxes, new_axes


class ComponentCurveDisplay(OnAxes):
    """Explained share of variance over the number of components, beside PCA's.

    Make it with `from_estimator`.

    Parameters
    ----------
    scores : array-like of shape (n_components,)
        Share that the first 1, 2, ... components of the autoencoder explain.
    start_scores : array-like of shape (n_start_components,)
        The same for its baseline; longer if a share of variance
        was asked for and the autoencoder needed fewer components.
    share : float or None, default=None
        The share that was asked for, drawn as a thin line.
    name, start_name : str, default="autoencoder", "PCA"
        The names in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_, start_line_ : matplotlib Line2D
        The two curves.
    chosen_ : matplotlib Line2D
        The mark at the number of components of the model.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import ComponentCurveDisplay
    >>> X = load_digits().data
    >>> model = AutoencoderTransformer(0.7, ordered=True, random_state=0).fit(X[:1300])
    >>> display = ComponentCurveDisplay.from_estimator(model, X[1300:])
    >>> len(display.scores) < len(display.start_scores)
    True
    """

    def __init__(self, *, scores, start_scores, share=None, name="autoencoder", start_name="PCA"):
        self.scores = scores
        self.start_scores = start_scores
        self.share = share
        self.name = name
        self.start_name = start_name

    @classmethod
    def from_estimator(cls, estimator, X, *, ax=None, **kwargs):
        """Score every prefix of a fitted code, and of its baseline, and draw both.

        Parameters
        ----------
        estimator : fitted autoencoder with ``ordered=True``
        X : array-like of shape (n_samples, n_features)
            Rows to score, preferably unseen ones.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to ``ax.plot`` for the autoencoder's curve.

        Returns
        -------
        display : ComponentCurveDisplay

        Raises
        ------
        ValueError
            If the components of ``estimator`` are not ordered.
        """
        if not hasattr(estimator, "truncate"):
            raise ValueError(
                f"The components of {type(estimator).__name__} are not ordered: draw the curve of "
                "an autoencoder that has ordered=True."
            )
        sizes = range(1, estimator.n_components_ + 1)
        asked = estimator.n_components
        start_name, start_scores = estimator._baseline_scores(X)
        display = cls(
            scores=np.array([estimator.truncate(k).score(X) for k in sizes]),
            start_scores=start_scores,
            share=None if asked is None or isinstance(asked, str | Integral) else asked,
            start_name=start_name,
        )
        return display.plot(ax, **kwargs)

    def _draw(self, ax, settings):
        self.ax_ = ax = new_axes(ax)
        self.line_ = self._curve(self.scores, MODEL, self.name, settings)
        self.start_line_ = self._curve(self.start_scores, BASELINE, self.start_name, {})
        self.chosen_ = self._mark(self.line_)
        if len(self.start_scores) > len(self.scores):
            self._mark(self.start_line_)
        if self.share is not None:
            ax.axhline(self.share, color="0.75", linewidth=1, zorder=0)
        lowest = min(0, np.min(self.scores), np.min(self.start_scores))
        ax.set(xlabel="components", ylabel="explained share of variance", ylim=(lowest, 1))
        ax.set_xlim(0, len(self.start_scores) + 1)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(loc="lower right", frameon=False)

    def _curve(self, scores, colour, label, settings):
        sizes = np.arange(1, len(scores) + 1)
        settings = {"color": colour, "linewidth": 2, "label": label} | settings
        return self.ax_.plot(sizes, scores, **settings)[0]

    def _mark(self, line):
        """Mark the end of a curve with its size."""
        k, score = (values[-1] for values in line.get_data())
        colour = line.get_color()
        place = {"xytext": (0, -9), "textcoords": "offset points", "ha": "center", "va": "top"}
        self.ax_.annotate(str(k), (k, score), color=colour, weight="bold", **place)
        return self.ax_.plot(k, score, "o", color=colour, markersize=7)[0]
