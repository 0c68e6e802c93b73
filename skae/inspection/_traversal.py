"""What rows become along one component."""

from numbers import Integral

import numpy as np

from skae._data.objects import TIME
from skae._parameters import count
from skae.inspection._code import Code
from skae.inspection._drawing import (
    CLASSES,
    MODEL,
    OfShape,
    draw_image,
    grid,
    image_shape_of,
    number_colours,
    shorten_dates,
    without_frame,
)

ENDS = 0.05, 0.95  # quantiles of the component
MOST_LEVELS = 4  # of a category that are drawn, those that change most


class TraversalDisplay(OfShape):
    """Decoded rows along one component: a curve for each column, images or sequences.

    Make it with `from_estimator`.

    Parameters
    ----------
    positions : ndarray of shape (n_steps,)
        Values of the component, in units of the code.
    rows : ndarray of shape (n_steps, n_outputs)
        Decoded rows: numbers in units of X (dates and
        durations in seconds), and the probability of each level.
    columns : list of (str, list of int)
        Names and outputs of the columns to draw, those that change most
        first; for sequences the channels.
    levels : list
        Level of each output, None for numbers.
    times : ndarray of shape (n_outputs,)
        Which outputs are dates.
    component : int
    shape : tuple or None, default=None
        Shape of images, (channels, height, width), or sequences, (steps, channels).

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for each column, image or channel.
    figure_ : matplotlib Figure
    artists_ : list
        Lines or images.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import TraversalDisplay
    >>> X = load_iris(as_frame=True).data
    >>> ae = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(X)
    >>> display = TraversalDisplay.from_estimator(ae, X, component=1, n_columns=2)
    >>> [name for name, _ in display.columns]
    ['sepal width (cm)', 'sepal length (cm)']
    """

    def __init__(self, *, positions, rows, columns, levels, times, component, shape=None):
        self.positions = positions
        self.rows = rows
        self.columns = columns
        self.levels = levels
        self.times = times
        self.component = component
        self.shape = shape

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        component=0,
        *,
        n_steps=11,
        n_columns=6,
        image_shape=None,
        axes=None,
        **kwargs,
    ):
        """Decode codes between the 5 % and the 95 % quantile of a component, and draw them.

        Parameters
        ----------
        estimator : fitted autoencoder
        X : frame or array-like of shape (n_samples, n_features)
            Rows, for the range of the component. The other components (and labels of
            `ConditionalVAE`) stay at their means.
        component : int, default=0
        n_steps : int, default=11
            At least 2.
        n_columns : int, default=6
            Number of columns of a table to draw.
        image_shape : (height, width) or (channels, height, width), default=None
            Draw rows as images. Not needed for a `ConvolutionalAutoencoder`.
        axes : sequence of matplotlib Axes, default=None
            One for each column, image or channel; a new figure by default.
        **kwargs : dict
            Passed to ``ax.plot`` or ``ax.imshow``.

        Returns
        -------
        display : TraversalDisplay

        Raises
        ------
        ValueError
            If there is no such component or shape, or the estimator has no decoder.
        """
        code = Code.of(estimator, X)
        n = code.values.shape[1]
        if not (isinstance(component, Integral) and 0 <= component < n):
            raise ValueError(f"component={component!r}: expected an int from 0 to {n - 1}.")
        component, steps = int(component), count(n_steps, "n_steps")
        if steps < 2:
            raise ValueError(f"n_steps={n_steps}: expected at least 2, the ends of the way.")
        shape = image_shape_of(image_shape, code.shape, code.model.schema.n_features)
        positions = np.linspace(*np.quantile(code.values[:, component], ENDS), steps)
        codes = np.tile(code.mean, (steps, 1))
        codes[:, component] = positions
        rows = code.decode(codes, code.mean_label) + code.offset
        times = _times(code)
        if shape is None:
            columns = _changing(code, rows, count(n_columns, "n_columns"))
        else:
            rows, columns = _in_place(code, rows), _channels(shape)
        display = cls(
            positions=positions,
            rows=rows,
            columns=columns,
            levels=code.levels,
            times=times,
            component=component,
            shape=shape,
        )
        return display.plot(axes, **kwargs)

    def _plot_table(self, axes, settings):
        self.axes_ = grid(len(self.columns), 3, axes, sharex=axes is None)
        self.artists_ = []
        for ax, (name, outputs) in zip(self.axes_, self.columns, strict=True):
            self.artists_ += self._curves(ax, outputs, settings)
            ax.set_title(name, loc="left", fontsize="medium")
            without_frame(ax)
        for ax in self.axes_[-3:]:
            ax.set_xlabel(f"component {self.component}")
            ax.tick_params(labelbottom=True)

    def _curves(self, ax, outputs, settings):
        """Draw a number, or the probabilities of the levels of a category."""
        values = self.rows[:, outputs]
        if self.levels[outputs[0]] is None:
            if self.times[outputs[0]]:
                values = (1e6 * values).astype("datetime64[us]")
                shorten_dates(ax.yaxis)
            return ax.plot(self.positions, values[:, 0], **{"color": MODEL, "lw": 2} | settings)
        ax.set(ylim=(-0.03, 1.03))
        lines = []
        for place, output in enumerate(outputs):
            own = {"color": CLASSES[place], "lw": 2, "label": str(self.levels[output])}
            lines += ax.plot(self.positions, self.rows[:, output], **own | settings)
        ax.legend(fontsize="x-small", frameon=False, handlelength=1)
        return lines

    def _plot_images(self, axes, settings):
        n, low, high = len(self.rows), np.nanmin(self.rows), np.nanmax(self.rows)
        self.axes_ = grid(n, n, axes, panel=(1.0, 1.3))
        self.artists_ = []
        for ax, row, position in zip(self.axes_, self.rows, self.positions, strict=True):
            self.artists_.append(draw_image(ax, row, self.shape, low, high, settings))
            ax.set_xlabel(f"{position:.3g}", fontsize="small")
        self.axes_[0].set_title(f"component {self.component}", loc="left", fontsize="medium")

    def _plot_sequences(self, axes, settings):
        self.axes_ = grid(len(self.columns), 1, axes, panel=(6.4, 2.6), sharex=axes is None)
        shades = number_colours()(np.linspace(0, 1, len(self.rows)))
        self.artists_ = []
        for ax, (name, outputs) in zip(self.axes_, self.columns, strict=True):
            for row, shade, position in zip(self.rows, shades, self.positions, strict=True):
                own = {"color": shade, "lw": 1.5, "label": f"{position:.3g}"} | settings
                self.artists_ += ax.plot(row[outputs], **own)
            ax.set_title(name, loc="left", fontsize="medium")
            without_frame(ax)
        self.axes_[-1].set_xlabel("step")
        lines = self.artists_[: len(self.rows)][:: max(1, len(self.rows) // 5)]
        self.axes_[0].legend(
            handles=lines,
            title=f"component {self.component}",
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            frameon=False,
        )


def _changing(code, rows, n_columns):
    """Return names and outputs of the columns that change most, in their deviations."""
    change = np.ptp(rows, axis=0) / np.where(code.spread > 0, code.spread, np.inf)
    found = []
    for place in np.unique(code.places):
        outputs = np.flatnonzero(code.places == place)
        outputs = outputs[np.argsort(-change[outputs], kind="stable")][:MOST_LEVELS]
        found.append((change[outputs[0]], str(code.names[place]), outputs.tolist()))
    found.sort(key=lambda column: -column[0])
    return [(name, outputs) for _, name, outputs in found[:n_columns]]


def _channels(shape):
    """Return names and places of the channels of sequences."""
    if len(shape) == 3:
        return []
    n_steps, n_channels = shape
    return [
        (f"channel {c}", list(range(c, n_steps * n_channels, n_channels)))
        for c in range(n_channels)
    ]


def _in_place(code, rows):
    """Return rows with all their places: NaN where nothing is known."""
    whole = np.full((len(rows), code.model.schema.n_features), np.nan)
    whole[:, code.places] = rows
    return whole


def _times(code):
    encoder = code.model.schema.encoder
    if encoder is None:
        return np.zeros(len(code.places), dtype=bool)
    return np.array([encoder._fields[place].kind == TIME for place in code.places])
