"""Rows far fewer than columns, in coordinates of the space that they lie in.

n rows differ in n - 1 directions at most. In coordinates of these a training
has the same PCA and the same errors, at a cost that no longer grows with the
columns; in the end its maps are turned back into maps of the columns.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from skae._linear.pca import LinearModel, assembled, columns, principal_axes, resolved
from skae._linear.pcovr import first_axes

AXES = 1.5  # a dimension: a step of Adam, as long in every weight, then keeps more of its direction
MOST_AXES = 0.5  # a column: with more the change does not pay
LEFT_OUT = 0.06  # of what PCA leaves unexplained: what lies outside leading axes
UNTOLD = 0.02  # of what a regression of labels leaves unexplained: what these axes do not tell
MOST_REST = 0.25  # of what a model leaves
FEWEST_COLUMNS, MOST_COLUMNS = 128, 2048  # that are turned to leading axes
MOST_CELLS = 2**26  # that are decomposed


@dataclass(frozen=True)
class RowSpace:
    """A space that holds rows.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,)
        Mean and standard deviation of the columns; the scale of a constant
        column is 1.
    weights, low, high : ndarray of shape (n_features,)
        As ``column_weights``, ``low`` and ``high`` of a `LinearModel`.
    axes : ndarray of shape (n_features, n_axes)
        A tight frame: ``axes @ axes.T`` projects on the space, so coordinates
        ``axes.T @ (x - mean)`` have the lengths of its vectors.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    low: np.ndarray
    high: np.ndarray
    axes: np.ndarray
    rest = 0.0

    def inside(self, rows):
        """Return the coordinates of rows as `Rows`."""
        parts = [(chunk - self.mean) @ self.axes for chunk, _ in rows.chunks()]
        return rows.replaced(np.concatenate(parts))

    def outside(self, model):
        """Return a linear model of coordinates as one of the columns, and the signs of its units.

        Signs are chosen as PCA chooses them: by the largest entry of an axis.
        """
        components = model.components @ self.axes.T
        largest = np.argmax(np.abs(components), axis=1)[:, None]
        signs = np.where(np.take_along_axis(components, largest, axis=1)[:, 0] < 0, -1.0, 1.0)
        components *= signs[:, None]
        components[:, self.weights == 0] = 0.0
        turned = replace(
            model,
            mean=self.mean + self.axes @ model.mean,
            scale=self.scale,
            column_weights=self.weights,
            components=components,
            low=self.low,
            high=self.high,
            encoder=signs[:, None] * (model.encoder / model.scale @ self.axes.T) * self.scale,
        )
        if hasattr(model, "level"):
            ones = np.ones(len(self.mean))
            turned = replace(turned, level=turned.mean, noise_ratios=ones)
        if hasattr(model, "head"):
            turned = replace(turned, head=turned.head * signs)
        return turned, signs

    def widen(self, module, scale, signs):
        """Turn a trained autoencoder of coordinates into one of columns, in place.

        It is float64; encoder and decoder are `Residual`, with an `MLP` or without. ``scale`` is what its
        coordinates were divided by, ``signs`` are those of the units of the code.
        """
        like = next(module.parameters())
        signs = np.append(signs, np.ones((module.WIDTH - 1) * len(signs)))  # variances have none
        units = self.scale[:, None]
        parts = signs, self.axes / scale * units, self.axes * scale / units
        signs, into, out = (like.new_tensor(part) for part in parts)
        if hasattr(module, "head"):
            module.head.weight.data *= signs
            module.width = len(self.scale)
        for first, last in _ends(module.encoder):
            first.weight.data, first.in_features = first.weight @ into.T, len(into)
            last.weight.data *= signs[:, None]
            if last.bias is not None:
                last.bias.data *= signs
        for first, last in _ends(module.decoder):
            first.weight.data *= signs[: first.in_features]
            last.weight.data, last.out_features = out @ last.weight, len(out)
            if last.bias is not None:
                last.bias.data = out @ last.bias


def row_space(rows, held_out=None):
    """Return the `RowSpace` of rows, or None where that is not much narrower than their columns."""
    parts = [rows] if held_out is None else [rows, held_out]
    n_rows, n_columns = sum(part.n_repeated for part in parts), rows.width
    if (
        not rows.is_dense
        or AXES * n_rows > MOST_AXES * n_columns
        or n_rows * n_columns > MOST_CELLS
    ):
        return None
    mean, scale, weights, low, high, _ = columns(rows)
    X = np.concatenate([chunk - mean for part in parts for chunk, _ in part.chunks()])
    _, values, axes = linalg.svd(X, full_matrices=False, check_finite=False)
    axes = axes[values > values[0] * n_columns * np.finfo(np.float64).eps]
    axes[:, weights == 0] = 0.0  # rounding, and nothing else
    low, high = (low - mean) / scale, (high - mean) / scale
    return RowSpace(mean, scale, weights, low, high, _frame(axes)) if len(axes) else None


@dataclass(frozen=True)
class LeadingSpace(RowSpace):
    """The leading principal axes of rows, turned at random: what lies outside is next to nothing.

    Turned, for a step of Adam is as long in every weight, and single axes
    have very different variances.

    Attributes
    ----------
    model : LinearModel
        PCA of the columns.
    rest : float
        Share of the variance that lies outside.
    """

    model: LinearModel
    rest: float

    def outside(self, model):
        """Return PCA of the columns, and the signs of its units against those of coordinates."""
        if hasattr(model, "head"):
            turned, signs = super().outside(model)
            total = self.model.unexplained and self.model.noise_variance / self.model.unexplained
            left = self.loss(model.unexplained)
            return replace(turned, unexplained=left, noise_variance=left * total), signs
        along = np.sum((model.components @ self.axes.T) * self.model.components, axis=1)
        return self.model, np.where(along < 0, -1.0, 1.0)

    def loss(self, inside, share=1.0):
        """Return the loss of columns, given that of coordinates; the rows count so much in it."""
        rest = share * self.rest
        return rest + (1 - rest) * inside

    def lacks(self, loss, share=1.0):
        """Return whether what lies outside is much of what a model leaves, by its loss inside."""
        return share * self.rest > MOST_REST * self.loss(loss, share)


def leading_space(rows, n_components, random_state, targets=None):
    """Return the `LeadingSpace` of rows, or None where it is not much narrower than the columns.

    With targets it holds what of these a regression tells, too.
    """
    # with fewer rows the last axes are those of these very rows
    if (
        not (rows.is_dense and len(rows) > rows.width)
        or not FEWEST_COLUMNS < rows.width <= MOST_COLUMNS
    ):
        return None
    moments = columns(rows)
    mean, scale, weights, *_, total = moments
    axes, values = principal_axes(rows, mean, None, random_state)
    k = resolved(n_components, values, rows.width, total * len(rows), rows)
    model = assembled(moments, axes, values, k, len(rows), rows.n_repeated)
    rests = 1 - np.cumsum(values**2) / (total * len(rows))
    n_axes = max(4 * k, int(np.argmax(rests <= LEFT_OUT * model.unexplained)) + 1)
    if targets is not None:
        n_axes = max(n_axes, first_axes(rows, targets, mean, axes, values, UNTOLD))
    if n_axes > MOST_AXES * rows.width or model.unexplained <= 0:
        return None
    drawn = np.random.RandomState(0).standard_normal((n_axes, n_axes))
    frame = axes[:n_axes].T @ linalg.qr(drawn, check_finite=False)[0]
    frame[weights == 0] = 0.0
    return LeadingSpace(
        mean, scale, weights, model.low, model.high, frame, model, rests[n_axes - 1]
    )


def _frame(axes):
    """Return more axes of the same space as columns, each with its share of all directions."""
    shape = int(np.ceil(AXES * len(axes))), len(axes)
    drawn = np.random.RandomState(0).standard_normal(shape)
    return axes.T @ linalg.qr(drawn, mode="economic", check_finite=False)[0].T


def _ends(half):
    """Yield first and last layer of each of the maps whose sum is an encoder or decoder."""
    if half.linear is not None:
        yield half.linear, half.linear
    if half.nonlinear is not None:
        yield half.nonlinear[0], half.nonlinear[-1]
