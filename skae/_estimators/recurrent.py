"""The recurrent autoencoder."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from skae._data.blocks import Blocks
from skae._estimators.base import BaseAutoencoder
from skae._parameters import FromPCA, Ordering, Whitening, integer, lengths_of, parameters


@parameters
class RecurrentAutoencoder(Whitening, Ordering, FromPCA, BaseAutoencoder):
    r"""Nonlinear dimensionality reduction of sequences, beside PCA and not kept below it.

    Rows are flattened sequences, so that ``Pipeline``, ``PCA`` and
    ``StandardScaler`` stay what they are; shorter sequences are padded with
    NaN. An encoder maps a row x to a code z, a decoder maps it back; each is
    the map of PCA plus a recurrent network whose output starts at zero:

    .. math::

        z &= \Sigma^{-1} V (x - \mu) + W \frac1m \textstyle\sum_{t=1}^m h_t,
            \quad h_t = \mathrm{GRU}(h_{t-1}, x_t) \\
        \hat x_t &= \mu_t + (V^\top \Sigma z)_t + U s_t,
            \quad s_t = \mathrm{GRU}(s_{t-1}, B z), \quad s_0 = \tanh(A z)

    with column means :math:`\mu`, principal axes V (n_components x
    n_features), their standard deviations :math:`\Sigma`, and m the number of
    steps that are present. Long sequences are read and written several steps
    at a time: in at most 16 reads of equal length. Loss, floor and training
    are those of `AutoencoderTransformer`.

    Parameters
    ----------
    n_components : int, float or None, default=0.95
        As in `AutoencoderTransformer`.
    sequence_shape : (int, int) or None, default=None
        Steps and channels: how the columns of X are one sequence, in C order
        (all channels of the first step come first). None for one channel: each
        column is a step.
    hidden_layer_sizes : int or array-like of int, default=(64,)
        Units of each recurrent layer of the encoder; the decoder mirrors them.
    linear_path, whiten, ordered : object
        As in `AutoencoderTransformer`. With ``ordered`` the decoder is not
        told where the code was cut.
    batch_size, learning_rate_init, alpha, optimizer, max_iter, early_stopping, \
    validation_fraction, n_iter_no_change, tol, warm_start, callbacks, \
    skorch_params, checkpoint, device, verbose, random_state : object
        As in `AutoencoderTransformer`.

    Attributes
    ----------
    sequence_shape_ : (int, int)
        Steps and channels.
    n_components_, components_, explained_variance_ratio_, mean_, scale_, n_iter_, \
    best_iter_, loss_curve_, validation_scores_, pca_score_, history_, batch_size_, \
    hidden_layer_sizes_, device_, module_, n_features_in_, feature_names_in_ : object
        As in `AutoencoderTransformer`.

    Raises
    ------
    ValueError
        In ``fit``, if ``sequence_shape`` does not hold as many cells as X has
        columns, and if a column has no cell at all.

    See Also
    --------
    AutoencoderTransformer : For columns without an order, and where time is short.

    Notes
    -----
    **Shorter sequences.** Missing cells, at the end or elsewhere, enter as
    column means; the states of reads that are missing as a whole are left out
    of the average. They never enter the loss, ``score`` or
    ``reconstruction_error``. Where training rows have some, a fifth of the
    others is hidden in training, and training starts at the best linear map
    under such holes, as in every table with holes. ``inverse_transform`` and
    ``reconstruct`` give all steps.

    f and g see each channel in one unit, the root of its mean variance over the
    steps: a step that hardly varies is not made as loud as the others.

    References
    ----------
    K. Cho et al. Learning phrase representations using RNN encoder-decoder
    for statistical machine translation. EMNLP 2014.
    https://arxiv.org/abs/1406.1078

    N. Srivastava, E. Mansimov, R. Salakhutdinov. Unsupervised learning of
    video representations using LSTMs. ICML 2015. https://arxiv.org/abs/1502.04681

    Examples
    --------
    Two sine waves that differ in phase and pace, of 20 steps each, and rows
    that were not seen:

    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from skae import RecurrentAutoencoder
    >>> from skae.metrics import reconstruction_score
    >>> phase, pace = np.random.default_rng(0).uniform([0, 0.2], [6, 0.6], (600, 2)).T
    >>> angle = phase[:, None] + pace[:, None] * np.arange(20)
    >>> X = np.stack([np.sin(angle), np.cos(2 * angle)], axis=2).reshape(600, 40)
    >>> ae = RecurrentAutoencoder(
    ...     4, sequence_shape=(20, 2), max_iter=20, early_stopping=False, random_state=0
    ... ).fit(X[:500])
    >>> pca = PCA(4).fit(X[:500])
    >>> bool(ae.score(X[500:]) > reconstruction_score(pca, X[500:]) + 0.05)
    True

    A sequence that breaks off after 15 steps has a code, too:

    >>> short = X[500:].copy()
    >>> short[:, 30:] = np.nan
    >>> ae.transform(short).shape
    (100, 4)
    """

    sequence_shape: tuple | None = None
    hidden_layer_sizes: ArrayLike = (64,)

    _parameter_constraints = {
        "sequence_shape": ["array-like", None],
        "hidden_layer_sizes": ["array-like", integer(1)],
    }

    encoder = decoder = None  # no modules of the user's: f and g are given by sequence_shape
    activation = "tanh"  # of the units

    _architecture = (*BaseAutoencoder._architecture, "sequence_shape")

    categorical_features = min_frequency = column_weights = None  # cells are numbers

    def _read_numbers(self, X, reset, sample_weight=None):
        """Return a matrix of numbers; even if none is cut short now, later ones may be."""
        matrix = super()._read_numbers(X, reset, sample_weight)
        if reset:
            n_features = matrix.shape[1]
            self.sequence_shape_ = self._sequence_shape(n_features)
            if self._blocks is None:
                self._blocks = Blocks((None,) * n_features, np.ones(n_features))
            self._check_every_step()
        return matrix

    def _sequence_shape(self, n_features):
        """Return steps and channels."""
        asked = (n_features, 1) if self.sequence_shape is None else self.sequence_shape
        shape = lengths_of(asked)
        if len(shape) == 2 and min(shape) > 0 and math.prod(shape) == n_features:
            return shape
        raise ValueError(
            f"sequence_shape={self.sequence_shape!r} does not say how {n_features} columns are one "
            "sequence: pass (n_steps, n_channels), whose product is the number of columns; None "
            "stands for one channel."
        )

    def _check_every_step(self):
        """Refuse sequences all of which lack a cell."""
        empty = [column for column, n in enumerate(self._blocks.n_levels) if n == 0]
        if empty:
            step, channel = divmod(empty[0], self.sequence_shape_[1])
            raise ValueError(
                f"No row has a cell in column {empty[0]} (step {step}, channel {channel}): there is "
                "nothing to learn of it. Leave out steps that no sequence reaches, or channels "
                "that are never measured."
            )

    def __sklearn_tags__(self):
        """Return the tags: cells are numbers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = False
        return tags

    def _hidden_layer_sizes(self, n_rows):
        sizes = super()._hidden_layer_sizes(n_rows)
        if sizes or self.linear_path == "pca":
            return sizes
        raise ValueError(
            "hidden_layer_sizes=() and linear_path=None leave no network: give units, such as "
            "(64,), or linear_path='pca'."
        )

    @property
    def _n_inputs(self):
        return 2 * self._width

    def _blank_module(self, generator, linear=False):
        from skae.nn.cells import Holes

        module = super()._blank_module(generator, linear)
        module.holes = Holes(replace(self._blocks, flagged=True))
        return module

    def _new_module(self, generator, linear=False):
        from skae.nn.sequences import SequenceDecoder, SequenceEncoder, draw

        module = super()._new_module(None, linear=True)
        units = self.hidden_layer_sizes_
        if linear or not units:
            return module
        shape, k = self.sequence_shape_, self.n_components_
        module.encoder.nonlinear = SequenceEncoder(shape, units, k)
        module.decoder.nonlinear = SequenceDecoder(shape, units[::-1], k)
        for half in module.halves:
            draw(half.nonlinear, generator, zero_output=self._has_floor())
        return module

    def _start_at(self, module, start):
        from skae.nn.images import Images

        super()._start_at(module, start)
        variance = start.column_weights.reshape(self.sequence_shape_)
        of_channel = variance.mean(axis=0)
        unit = np.sqrt(variance / np.where(of_channel > 0, of_channel, 1.0)).ravel()
        for part in module.modules():
            if isinstance(part, Images):
                part.unit.copy_(part.unit.new_tensor(unit))

    def _step_flops(self):
        from skae.nn.sequences import steps_at_once

        n_steps, n_channels = self.sequence_shape_  # of one read: they come one after the other
        widths = [n_channels * steps_at_once(n_steps), *self.hidden_layer_sizes_]
        products = sum(3 * (a + b) * b for a, b in pairwise(widths))
        return 12 * self.batch_size_ * (products + self.n_features_in_ * self.n_components_)
