"""Where rows are in the space of the code, and which way each column grows there."""

import numpy as np

from skae._parameters import count
from skae.inspection._code import Code
from skae.inspection._drawing import MODEL, OTHER, OnAxes, without_frame
from skae.inspection._latent_space import MANY, LatentSpaceDisplay, checked_components, colours_of

N_STEPS = 24  # along an arrow
LENGTH = 2.0  # deviations of the code, at a correlation of 1
GAP = 0.045  # between names, in heights of the picture


class BiplotDisplay(OnAxes):
    r"""Rows by two components, and for each column an arrow along which it grows fastest.

    An arrow starts at the mean code and follows the gradient of its column's
    decoder, in deviations of code and column:

    .. math:: \frac{d\tilde z}{dt} = \frac{1}{s_j} \nabla_{\tilde z}\, g_j(z),
        \quad \tilde z = z / s_z, \quad 0 \le t \le 2

    so it bends where the decoder does. It ends at the column's maximum, at most two
    deviations from the mean. If PCA was kept the arrows are
    straight, as in PCA's biplot (Gabriel, 1971): twice the correlations of
    column and components, in deviations of the code. (Gower and Harding, 1988,
    bend the axes of a nonlinear ordination in this way.)

    Make it with `from_estimator`.

    Parameters
    ----------
    points : LatentSpaceDisplay
        The rows.
    paths : list of n_arrows ndarrays of shape (n_points, 2)
        The arrows, in units of the code.
    labels : list of str
        Names of the arrows: columns, and levels as "column = level".

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    arrows_ : list of matplotlib Line2D
    texts_ : list of matplotlib Annotation

    References
    ----------
    K. R. Gabriel. The biplot graphic display of matrices with application to
    principal component analysis. Biometrika 58, 1971. DOI 10.1093/biomet/58.3.453

    J. C. Gower, S. A. Harding. Nonlinear biplots. Biometrika 75, 1988.
    DOI 10.1093/biomet/75.3.445

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import BiplotDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> ae = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X)
    >>> display = BiplotDisplay.from_estimator(ae, X, n_arrows=2)
    >>> display.labels
    ['petal length (cm)', 'sepal length (cm)']
    """

    def __init__(self, *, points, paths, labels):
        self.points = points
        self.paths = paths
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, estimator, X, *, color_by=None, components=(0, 1), n_arrows=8, ax=None, **kwargs
    ):
        """Code rows, follow the decoder, and draw both.

        Parameters
        ----------
        estimator : fitted autoencoder
        X : frame or array-like of shape (n_samples, n_features)
        color_by : array-like of shape (n_samples,), column of X or "error", default=None
            As in `LatentSpaceDisplay`.
        components : pair of int, default=(0, 1)
            The others stay at their means.
        n_arrows : int, default=8
            Number of columns, or levels, to draw: those that change most, in their standard deviations.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to ``ax.scatter``, or with many rows to ``ax.hexbin``.

        Returns
        -------
        display : BiplotDisplay

        Raises
        ------
        ValueError
            If there are not two such components, or the estimator has no decoder.
        """
        code = Code.of(estimator, X)
        pair = checked_components(components, code.values.shape[1])
        if len(pair) != 2:
            raise ValueError(f"components={components!r}: a biplot has two.")
        outputs = _longest(code, pair, count(n_arrows, "n_arrows"))
        name, colors = colours_of(color_by, estimator, X)
        shares = getattr(estimator, "explained_variance_ratio_", None)
        display = cls(
            points=LatentSpaceDisplay._of(code.values, name, colors, pair, shares),
            paths=_paths(code, pair, outputs),
            labels=[code.labels[j] for j in outputs],
        )
        return display.plot(ax, **kwargs)

    def _draw(self, ax, settings):
        plain = self.points.colors is None and len(self.points.codes) <= MANY
        self.points.plot(ax, **(({"color": OTHER, "alpha": 0.5} if plain else {}) | settings))
        self.ax_ = self.points.ax_
        colour = MODEL if plain else self.ax_.xaxis.label.get_color()
        self.arrows_ = [self._arrow(path, colour) for path in self.paths]
        self.ax_.margins(0.12)
        self.ax_.autoscale_view()
        self.texts_ = self._names()
        without_frame(self.ax_)

    def _arrow(self, path, colour):
        style = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0}
        if len(path) > 1 and (path[-1] != path[-2]).any():
            self.ax_.annotate("", path[-1], path[-2], arrowprops=style)
        return self.ax_.plot(*path.T, color=colour, linewidth=1.5)[0]

    def _names(self):
        """Write names at the ends of arrows, apart from each other and within the picture."""
        from matplotlib.patheffects import withStroke

        ends = np.array([path[-1] for path in self.paths])
        right = ends[:, 0] >= self.paths[0][0, 0]
        to_axes = self.ax_.transData + self.ax_.transAxes.inverted()
        heights = to_axes.transform(ends)[:, 1]
        for side in (right, ~right):
            heights[side] = _apart(heights[side], GAP)
        words = {
            "xycoords": ("data", "axes fraction"),
            "textcoords": "offset points",
            "va": "center",
            "fontsize": "small",
            "fontweight": "bold",
            "path_effects": [withStroke(linewidth=3, foreground=self.ax_.get_facecolor())],
        }
        sides = {True: {"xytext": (6, 0), "ha": "left"}, False: {"xytext": (-6, 0), "ha": "right"}}
        texts = [
            self.ax_.annotate(label, (x, y), **words | sides[bool(is_right)])
            for label, x, y, is_right in zip(self.labels, ends[:, 0], heights, right, strict=True)
        ]
        self._make_room(texts)
        return texts

    def _make_room(self, texts):
        """Widen the picture so far that no name leaves it."""
        self.ax_.figure.draw_without_rendering()  # for the layout
        box, boxes = self.ax_.get_window_extent(), [text.get_window_extent() for text in texts]
        left, right = self.ax_.get_xlim()
        pixels = box.width / (right - left)
        before = max([0.0, *(box.x0 - one.x0 for one in boxes)])
        after = max([0.0, *(one.x1 - box.x1 for one in boxes)])
        factor = box.width / max(box.width - before - after, box.width / 4)
        self.ax_.set_xlim(left - factor * before / pixels, right + factor * after / pixels)


def _longest(code, pair, n_arrows):
    """Return the outputs that two components change most, in their deviations."""
    spread = np.where(code.spread > 0, code.spread, np.inf)
    squares = sum((code.deviations[k] * code.slopes(k).mean(axis=0) / spread) ** 2 for k in pair)
    order = np.argsort(-squares, kind="stable")
    return order[~_second_of_two(code)[order]][:n_arrows]


def _second_of_two(code):
    """Return which outputs are the second of two levels: the arrow of the first says it all."""
    sizes = np.bincount(code.places)[code.places]
    return (sizes == 2) & (np.insert(np.diff(code.places), 0, 1) == 0)


def _paths(code, pair, outputs):
    """Return the way along each output's gradient from the mean code."""
    unit, spread = code.deviations[pair], code.spread[outputs]
    unit, spread = (np.where(part > 0, part, 1.0) for part in (unit, spread))
    place, own = np.tile(code.mean, (len(outputs), 1)), (np.arange(len(outputs)), outputs)
    start, before, goes_on = place[:, pair].copy(), None, np.ones(len(outputs), dtype=bool)
    paths = [[point] for point in start]
    for _ in range(N_STEPS):
        slopes = [code.slopes(k, place, code.mean_label)[own] for k in pair]
        way = unit * np.transpose(slopes) / spread[:, None]
        if before is not None:
            goes_on &= np.sum(way * before, axis=1) > 0  # else it would turn back
        place[np.ix_(goes_on, pair)] += LENGTH / N_STEPS * unit * way[goes_on]
        for j in np.flatnonzero(goes_on):
            paths[j].append(place[j, pair])
        goes_on &= np.linalg.norm((place[:, pair] - start) / unit, axis=1) < LENGTH
        before = way
    return [np.array(path) for path in paths]


def _apart(heights, gap):
    """Return heights that are at least a gap apart, moved as little as a few rounds find."""
    order = np.argsort(heights)
    moved = heights[order]
    for _ in range(50):
        lack = np.maximum(gap - np.diff(moved), 0) / 2
        moved = moved - np.append(lack, 0) + np.insert(lack, 0, 0)
    found = np.empty_like(moved)
    found[order] = moved
    return found
