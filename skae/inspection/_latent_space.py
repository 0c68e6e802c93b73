"""Where rows are in the space of the code."""

from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_array, check_consistent_length

from skae._data.frames import column, frame_of, names_of
from skae._parameters import counted
from skae.inspection._drawing import (
    CLASSES,
    MODEL,
    OTHER,
    OnAxes,
    new_axes,
    number_colours,
    without_frame,
)

MANY = 5000  # rows of which hexagons are drawn instead of points
MOST_NUMBERS = 12  # different integers that are classes


class LatentSpaceDisplay(OnAxes):
    """Rows by their code, coloured by a class, a number or their error.

    Make it with `from_estimator` or `from_predictions`. There is one picture for each pair of
    components. Above 5,000 rows hexagons are drawn, coloured by
    the number of rows, the mean of the numbers or the most frequent class.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_components)
    names : list of str
        Names of the components.
    colors : ndarray of shape (n_samples,) or None, default=None
        Classes, or numbers.
    color_name : str or None, default=None

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, shape (n_components - 1, n_components - 1)
        Component j + 1 over component i at [j, i]; None above the diagonal.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
    points_ : list of matplotlib collections
        One for each pair.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import LatentSpaceDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> ae = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X)
    >>> display = LatentSpaceDisplay.from_estimator(ae, X, color_by=y)
    >>> display.codes.shape
    (150, 2)
    """

    def __init__(self, *, codes, names, colors=None, color_name=None):
        self.codes = codes
        self.names = names
        self.colors = colors
        self.color_name = color_name

    @classmethod
    def from_estimator(cls, estimator, X, *, color_by=None, components=(0, 1), ax=None, **kwargs):
        """Code rows, and draw them.

        Parameters
        ----------
        estimator : fitted transformer
            An autoencoder of skae, or any other, such as PCA or a Pipeline.
        X : frame or array-like of shape (n_samples, n_features)
        color_by : array-like of shape (n_samples,), column of X or "error", default=None
            A column by name; "error" is `reconstruction_error`, unless a column has that
            name. Floats and more than 12 different
            integers are numbers, all else classes.
        components : sequence of int, default=(0, 1)
            Two or more.
        ax : matplotlib Axes, or sequence of them (one a pair), default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to ``ax.scatter``, or with many rows to ``ax.hexbin``.

        Returns
        -------
        display : LatentSpaceDisplay

        Raises
        ------
        ValueError
            If there are too few components, or no such column.
        """
        if not hasattr(estimator, "transform"):
            inside = "its autoencoder_" if hasattr(estimator, "autoencoder_") else "a transformer"
            raise ValueError(f"{type(estimator).__name__} makes no codes: pass {inside}.")
        name, colors = colours_of(color_by, estimator, X)
        codes = np.asarray(estimator.transform(X))
        shares = getattr(estimator, "explained_variance_ratio_", None)
        display = cls._of(codes, name, colors, components, shares)
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(cls, codes, *, color_by=None, components=(0, 1), ax=None, **kwargs):
        """Draw codes.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_components)
            What ``transform`` returned.
        color_by : array-like of shape (n_samples,), default=None
        components, ax, **kwargs
            As in `from_estimator`.

        Returns
        -------
        display : LatentSpaceDisplay
        """
        name, colors = _given(color_by)
        return cls._of(check_array(codes), name, colors, components, None).plot(ax, **kwargs)

    @classmethod
    def _of(cls, codes, name, colors, components, shares):
        components = checked_components(components, codes.shape[1])
        if colors is not None:
            check_consistent_length(codes, colors)
        names = [component_name(k, shares) for k in components]
        return cls(codes=codes[:, components], names=names, colors=colors, color_name=name)

    def _draw(self, ax, settings):
        n = len(self.names) - 1
        self.axes_, pairs = np.full((n, n), None), list(zip(*np.tril_indices(n), strict=True))
        self._make_axes(ax, n, pairs)
        self.ax_ = self.axes_[0, 0]
        draw = _points if len(self.codes) <= MANY else _hexagons
        palette = palette_of(self.colors)
        self.points_ = []
        for j, i in pairs:
            own = self.axes_[j, i]
            self.points_.append(
                draw(own, self.codes[:, [i, j + 1]], self.colors, palette, settings)
            )
            own.set_xlabel(self.names[i] if j == n - 1 else "")
            own.set_ylabel(self.names[j + 1] if i == 0 else "")
            without_frame(own)
        self._explain(palette)

    def _make_axes(self, ax, n, pairs):
        """Set the axes of the pairs: those that are given, or new ones."""
        if ax is None:
            size = (6.4, 4.8) if n == 1 else (3.0 * n, 2.6 * n)
            made = new_axes(
                nrows=n, ncols=n, squeeze=False, figsize=size, sharex="col", sharey="row"
            )
            for place in zip(*np.triu_indices(n, 1), strict=True):
                made[place].set_axis_off()
            made = [made[place] for place in pairs]
        else:
            made = np.ravel(ax)
        if len(made) != len(pairs):
            raise ValueError(
                f"ax has {len(made)} for {counted(len(pairs), 'pair')} of components: pass one for each."
            )
        for place, one in zip(pairs, made, strict=True):
            self.axes_[place] = one

    def _explain(self, palette):
        """Draw the legend of classes, or the bar of numbers."""
        many = len(self.codes) > MANY
        title = self.color_name or ("rows" if many and self.colors is None else None)
        if palette is None:
            if self.colors is not None or many:
                shown = [ax for ax in self.axes_.ravel() if ax is not None]
                bar = self.ax_.figure.colorbar(self.points_[0], ax=shown, label=title, pad=0.02)
                bar.outline.set_visible(False)
            return
        # shapes of the legend are drawn by hand, for points may be hexagons
        handles = [
            self.ax_.plot([], [], "o", color=colour, label=str(name))[0]
            for name, colour in palette.items()
        ]
        legend = self.ax_.legend(
            handles=handles,
            title=title,
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            frameon=False,
            alignment="left",
        )
        legend.set_in_layout(len(self.points_) == 1)  # beside pairs there is place


def checked_components(components, n):
    """Return places of two or more different components."""
    components = list(components) if np.iterable(components) else [components]
    if n < 2:
        raise ValueError(
            "The code has 1 component, and this picture needs two: fit with n_components=2 or more, or "
            "take TraversalDisplay."
        )
    good = all(isinstance(k, Integral) and 0 <= k < n for k in components)
    if len(components) < 2 or len(set(components)) < len(components) or not good:
        raise ValueError(
            f"components={components}: expected two or more different ints from 0 to {n - 1}; the "
            f"code has {counted(n, 'component')}."
        )
    return [int(k) for k in components]


def component_name(k, shares=None):
    """Return what an axis says of a component."""
    return f"component {k}" + ("" if shares is None else f" ({100 * shares[k]:.0f} %)")


def palette_of(colors):
    """Return the colour of each class, the most frequent ones; None for numbers and nothing."""
    if colors is None or colors.dtype.kind == "f":
        return None
    counts = pd.Series(colors).value_counts()
    names = list(counts.index)
    if len(names) > len(CLASSES):
        names = names[: len(CLASSES) - 1]
    try:
        names = sorted(names)
    except TypeError:
        names = list(names)
    palette = dict(zip(names, CLASSES, strict=False))
    return palette | ({"others": OTHER} if len(names) < len(counts) else {})


def colours_of(color_by, estimator, X):
    """Return the name and the values that rows are coloured by."""
    if not isinstance(color_by, str):
        return _given(color_by)
    frame = frame_of(X)
    names = [] if frame is None else list(names_of(frame))
    if color_by in names:
        return color_by, _given(column(frame, names.index(color_by)).to_list())[1]
    if color_by == "error" and hasattr(estimator, "reconstruction_error"):
        return "squared error", np.asarray(estimator.reconstruction_error(X), dtype=float)
    raise ValueError(
        f"color_by={color_by!r} is not a column of X ({names[:3]}, ...), and {type(estimator).__name__} "
        f"{'has' if hasattr(estimator, 'reconstruction_error') else 'has no'} reconstruction_error: "
        "pass a column's name, 'error' or one value a row."
    )


def _given(values):
    """Return the name of values, and floats for numbers or objects for classes."""
    if values is None:
        return None, None
    shape, name = np.shape(values), getattr(values, "name", None)
    if len(shape) != 1:
        raise ValueError(
            f"color_by has the shape {shape}: expected one value a row. Pass a single column, such as "
            "X['name'] or y[:, 0]."
        )
    values = pd.Series(list(values))
    is_float = pd.api.types.is_float_dtype(values.dtype)
    is_whole = pd.api.types.is_integer_dtype(values.dtype)
    if is_float or (is_whole and values.nunique() > MOST_NUMBERS):
        return name, values.to_numpy(dtype=float)
    return name, values.astype(object).where(values.notna(), "missing").to_numpy()


def _points(ax, codes, colors, palette, settings):
    settings = {"s": 14, "alpha": 0.8, "linewidths": 0} | settings
    if colors is None:
        settings = {"color": MODEL} | settings
    elif palette is None:
        settings = {"c": colors, "cmap": number_colours(), "plotnonfinite": True} | settings
    else:
        settings = {"c": [palette.get(name, OTHER) for name in colors]} | settings
    return ax.scatter(*codes.T, **settings)


def _hexagons(ax, codes, colors, palette, settings):
    settings = {"gridsize": 50, "cmap": number_colours(), "linewidths": 0.2, "mincnt": 1} | settings
    if palette is not None:
        from matplotlib.colors import ListedColormap

        places = {name: place for place, name in enumerate(palette)}
        last = len(palette) - 1
        settings |= {
            "C": [places.get(name, last) for name in colors],
            "reduce_C_function": lambda found: np.bincount(np.asarray(found, dtype=int)).argmax(),
            "cmap": ListedColormap(list(palette.values())),
            "vmin": 0,
            "vmax": last,
        }
    elif colors is not None:
        settings |= {"C": colors, "reduce_C_function": np.nanmean}
    else:
        settings |= {"bins": "log"}
    return ax.hexbin(*codes.T, **settings)
