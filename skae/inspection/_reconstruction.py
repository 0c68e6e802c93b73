"""How well rows come back."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from skae import _model as fitted_models
from skae._data.frames import frame_of, names_of, refuse_another_order
from skae._parameters import count
from skae.inspection._code import column_names, refuse_without_decoder
from skae.inspection._drawing import (
    MODEL,
    OTHER,
    OfShape,
    draw_image,
    grid,
    image_shape_of,
    new_axes,
    without_frame,
)
from skae.metrics import explained_share


class ReconstructionDisplay(OfShape):
    """Explained share of each column; images and sequences beside their reconstructions.

    Make it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    shares : Series of shape (n_columns,) or None, default=None
        Explained share of each column.
    rows, reconstructions : ndarray of shape (n_rows, n_features) or None, default=None
        Images or sequences.
    shape : tuple or None, default=None
        Of a row: (channels, height, width) or (steps, channels).
    n_columns : int, default=20
        Number of columns to draw: the least explained ones.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for a table; for images two rows, originals and reconstructions; for
        sequences one for each row and channel.
    figure_ : matplotlib Figure
    artists_ : list
        Bars, images or lines.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import ReconstructionDisplay
    >>> X = load_iris(as_frame=True).data
    >>> ae = AutoencoderTransformer(1, hidden_layer_sizes=()).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(ae, X)
    >>> display.shares.idxmin()
    'sepal width (cm)'
    """

    def __init__(self, *, shares=None, rows=None, reconstructions=None, shape=None, n_columns=20):
        self.shares = shares
        self.rows = rows
        self.reconstructions = reconstructions
        self.shape = shape
        self.n_columns = n_columns

    @classmethod
    def from_estimator(
        cls, estimator, X, *, n_rows=8, n_columns=20, image_shape=None, axes=None, **kwargs
    ):
        """Reconstruct rows, and draw them.

        Parameters
        ----------
        estimator : fitted autoencoder
        X : frame or array-like of shape (n_samples, n_features)
            Rows, preferably unseen ones.
        n_rows : int, default=8
            Number of images or sequences to draw, from the first on.
        n_columns : int, default=20
            Number of columns of a table to draw: the least explained ones.
        image_shape : (height, width) or (channels, height, width), default=None
            Draw rows as images. Not needed for a `ConvolutionalAutoencoder`.
        axes : sequence of matplotlib Axes, default=None
            As ``axes_``; a new figure by default.
        **kwargs : dict
            Passed to ``ax.barh``, to ``ax.imshow``, or to ``ax.plot`` for the reconstructions.

        Returns
        -------
        display : ReconstructionDisplay

        Raises
        ------
        ValueError
            If the shape is not that of the rows, or the estimator has no decoder.
        """
        refuse_without_decoder(estimator)
        check_is_fitted(estimator)
        n_columns, n_rows = count(n_columns, "n_columns"), count(n_rows, "n_rows")
        model = estimator._model
        known = next(iter(model.task.shapes.values()), None)
        shape = image_shape_of(image_shape, known, model.schema.n_features)
        if shape is None:
            shares = pd.Series(np.asarray(estimator.score_by_column(X)), column_names(model.schema))
            return cls(shares=shares, n_columns=n_columns).plot(axes, **kwargs)
        rows = X[:n_rows]
        made = np.asarray(estimator.reconstruct(rows), dtype=float)
        rows = fitted_models.dense(estimator._known(rows)[1])
        return cls(rows=rows, reconstructions=made, shape=shape).plot(axes, **kwargs)

    @classmethod
    def from_predictions(
        cls, X, reconstruction, *, n_rows=8, n_columns=20, image_shape=None, axes=None, **kwargs
    ):
        """Draw rows of numbers and reconstructions of any model.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Numbers.
        reconstruction : frame or array-like of shape (n_samples, n_features)
        n_rows, n_columns, image_shape, axes, **kwargs
            As in `from_estimator`.

        Returns
        -------
        display : ReconstructionDisplay
        """
        frame = frame_of(X)
        refuse_another_order(X, reconstruction, "the reconstruction")
        rows, made = (np.asarray(part, dtype=float) for part in (X, reconstruction))
        if rows.ndim != 2 or rows.shape != made.shape:
            raise ValueError(
                f"X has shape {rows.shape}, the reconstruction has {made.shape}: expected two tables "
                "of the same rows and columns."
            )
        shape = image_shape_of(image_shape, None, rows.shape[1])
        if shape is not None:
            n = count(n_rows, "n_rows")
            return cls(rows=rows[:n], reconstructions=made[:n], shape=shape).plot(axes, **kwargs)
        names = list(names_of(frame)) if frame is not None else None
        names = names or [f"x{place}" for place in range(rows.shape[1])]
        shares = [explained_share(rows[:, [j]], made[:, [j]]) for j in range(rows.shape[1])]
        n_columns = count(n_columns, "n_columns")
        return cls(shares=pd.Series(shares, names), n_columns=n_columns).plot(axes, **kwargs)

    def _plot_table(self, axes, settings):
        known = self.shares.dropna().sort_values(kind="stable")
        drawn = known.iloc[: count(self.n_columns, "n_columns")][::-1]
        size = 6.4, 0.9 + 0.28 * len(drawn)
        ax = new_axes(None if axes is None else np.ravel(axes)[0], figsize=size)
        self.axes_ = np.array([ax])
        bars = ax.barh([str(name) for name in drawn.index], drawn, **{"color": MODEL} | settings)
        ax.bar_label(bars, [f" {share:.2f}" for share in drawn], fontsize="small")
        self.artists_ = list(bars)
        ax.set(xlabel="explained share of the column", xlim=(min([0.0, *drawn]), 1.0))
        if len(drawn) < len(known):
            title = f"the {len(drawn)} least explained of {len(known)} columns"
            ax.set_title(title, loc="left", fontsize="medium")
        without_frame(ax)

    def _plot_images(self, axes, settings):
        n, low, high = len(self.rows), np.nanmin(self.rows), np.nanmax(self.rows)
        self.axes_ = grid(2 * n, n, axes, panel=(1.0, 1.1))
        both = np.vstack([self.rows, self.reconstructions])
        self.artists_ = [
            draw_image(ax, row, self.shape, low, high, settings)
            for ax, row in zip(self.axes_, both, strict=True)
        ]
        for ax, word in ((self.axes_[0], "rows"), (self.axes_[n], "reconstructions")):
            ax.set_title(word, loc="left", fontsize="medium")

    def _plot_sequences(self, axes, settings):
        n, n_channels = len(self.rows), self.shape[1]
        self.axes_ = grid(n * n_channels, n_channels, axes, panel=(4.8, 1.3), sharex=axes is None)
        self.artists_ = []
        pairs = zip(self.rows, self.reconstructions, strict=True)
        channels = [
            pair
            for both in pairs
            for pair in zip(*(part.reshape(self.shape).T for part in both), strict=True)
        ]
        for ax, (row, made) in zip(self.axes_, channels, strict=True):
            self.artists_ += ax.plot(row, color=OTHER, lw=3, label="row")
            own = {"color": MODEL, "lw": 1.5, "label": "reconstruction"} | settings
            self.artists_ += ax.plot(np.where(np.isnan(row), np.nan, made), **own)
            without_frame(ax)
        if n_channels > 1:
            for c, ax in enumerate(self.axes_[:n_channels]):
                ax.set_title(f"channel {c}", loc="left", fontsize="medium")
        for ax in self.axes_[-n_channels:]:
            ax.set_xlabel("step")
        place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2}
        self.axes_[n_channels - 1].legend(ncols=2, frameon=False, **place)
