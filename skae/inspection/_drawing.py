"""What all pictures share: colours, axes, and words.

Colours are those of Okabe and Ito (2008, https://jfly.uni-koeln.de/color/), which colour-blind
people tell apart, and can be seen on light and on dark ground.
"""

import numpy as np

from skae._parameters import counted, lengths_of

MODEL, BASELINE = "#d1495b", "#6b7280"  # the autoencoder, and what it is compared with
CLASSES = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"),
    *("#B2A800", "#9467BD", "#8C564B", "#17BECF"),  # two more pairs, of which shades differ
)
OTHER = "#9ca3af"
SHOWN = 0.15, 0.95  # of viridis: its ends are lost on dark and on light ground


class OnAxes:
    """A display whose ``_draw(ax, settings)`` sets ``ax_``."""

    def plot(self, ax=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw, as in `from_estimator`; a new figure by default.
        **kwargs : dict
            As in `from_estimator`.

        Returns
        -------
        display : object
            This one.
        """
        self._draw(ax, kwargs)
        self.figure_ = self.ax_.figure
        return self


class OnSeveralAxes:
    """A display whose ``_draw(axes, settings)`` sets ``axes_``."""

    def plot(self, axes=None, **kwargs):
        """Draw.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            As ``axes_``; a new figure by default.
        **kwargs : dict
            As in `from_estimator`.

        Returns
        -------
        display : object
            This one.
        """
        self._draw(axes, kwargs)
        self.figure_ = self.axes_[0].figure
        return self


class OfShape(OnSeveralAxes):
    """A display of columns, images or sequences, as ``shape`` says."""

    def _draw(self, axes, settings):
        if self.shape is None:
            self._plot_table(axes, settings)
        elif len(self.shape) == 3:
            self._plot_images(axes, settings)
        else:
            self._plot_sequences(axes, settings)


def number_colours():
    """Return the colours of numbers, from small to large."""
    import matplotlib as mpl

    return mpl.colors.ListedColormap(mpl.colormaps["viridis"](np.linspace(*SHOWN, 256)))


def new_axes(ax=None, **settings):
    """Return axes: those that are given, or those of a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained", **settings)[1]


def grid(n, n_wide, axes=None, panel=(2.4, 2.0), **settings):
    """Return ``n`` axes, in rows of ``n_wide``, that are given or new; those left over are not shown."""
    if axes is not None:
        axes = np.ravel(axes)
        if len(axes) < n:
            raise ValueError(
                f"{n} axes are needed, but axes has {len(axes)}: pass one for each picture."
            )
        return axes[:n]
    n_wide = min(n, n_wide)
    n_high = -(-n // n_wide)
    size = (panel[0] * n_wide, panel[1] * n_high)
    made = new_axes(nrows=n_high, ncols=n_wide, squeeze=False, figsize=size, **settings).ravel()
    for ax in made[n:]:
        ax.set_axis_off()
    return made[:n]


def without_frame(ax):
    """Take the lines above and on the right from axes."""
    ax.spines[["top", "right"]].set_visible(False)


def shorten_dates(axis):
    """Write so few dates at an axis that they do not overlap."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    axis.set_major_locator(AutoDateLocator(minticks=2, maxticks=4))
    axis.set_major_formatter(ConciseDateFormatter(axis.get_major_locator()))


def draw_image(ax, values, shape, low, high, settings):
    """Draw a flattened image: grey of one channel, coloured of three, else the mean of all."""
    image = np.moveaxis(np.reshape(values, shape), 0, -1)
    image = image if shape[0] == 3 else image.mean(axis=-1)
    if shape[0] == 3:
        image = np.clip((image - low) / ((high - low) or 1.0), 0, 1)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax.imshow(image, **{"cmap": "gray", "vmin": low, "vmax": high} | settings)


def image_shape_of(asked, known, n_columns):
    """Return the shape of rows: the one that is asked for, as (channels, height, width), or known."""
    if asked is None:
        return known
    shape = lengths_of(asked)
    shape = (1, *shape) if len(shape) == 2 else shape
    if len(shape) != 3 or min(shape) < 1 or np.prod(shape) != n_columns:
        raise ValueError(
            f"image_shape={asked!r} does not make an image of {counted(n_columns, 'column')}: pass "
            "(height, width) or (channels, height, width)."
        )
    return shape
