"""The recurrent autoencoder."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from skae import _tasks
from skae._data.blocks import Blocks
from skae._estimators.base import BaseAutoencoder, task_of
from skae._parameters import FromPCA, Ordering, Whitening, integer, parameters


@parameters
class RecurrentAutoencoder(Whitening, Ordering, FromPCA, BaseAutoencoder):
    r"""Nonlinear dimensionality reduction of sequences: recurrent units beside PCA's linear maps.

    Rows are flattened sequences; shorter ones are padded with
    NaN. An encoder maps a row x to a code z, a decoder maps it back. Each is
    the map of PCA plus a recurrent network whose output starts at zero:

    .. math::

        z &= \Sigma^{-1} V (x - \mu) + W \frac1m \textstyle\sum_{t=1}^m h_t,
            \quad h_t = \mathrm{GRU}(h_{t-1}, x_t) \\
        \hat x_t &= \mu_t + (V^\top \Sigma z)_t + U s_t,
            \quad s_t = \mathrm{GRU}(s_{t-1}, B z), \quad s_0 = \tanh(A z)

    with column means :math:`\mu`, principal axes V (n_components x
    n_features), their standard deviations :math:`\Sigma`, and m the number of
    steps that are present. Long sequences are read and written several steps
    at a time: in at most 16 reads of equal length. Loss, baseline and training
    are those of `AutoencoderTransformer`.

    Parameters
    ----------
    n_components : "auto", int, float, "mle" or None, default="auto"
        As in `AutoencoderTransformer`.
    sequence_shape : (int, int) or None, default=None
        Steps and channels of a sequence in C order
        (all channels of the first step come first). None is one channel: each
        column is a step.
    hidden_layer_sizes : int or array-like of int, default=(64,)
        Units of each recurrent layer of the encoder; the decoder mirrors them.
    linear_path, whiten, ordered : object
        As in `AutoencoderTransformer`. With ``ordered`` the decoder does
        not see where the code was truncated.
    batch_size, learning_rate_init, alpha, optimizer, max_iter, early_stopping, \
    validation_fraction, n_iter_no_change, tol, warm_start, callbacks, \
    skorch_params, checkpoint, device, verbose, random_state : object
        As in `AutoencoderTransformer`.

    Attributes
    ----------
    sequence_shape_ : (int, int)
        Steps and channels.
    n_components_, components_, explained_variance_, explained_variance_ratio_, \
    singular_values_, noise_variance_, n_samples_, mean_, scale_, n_iter_, \
    best_iter_, loss_curve_, validation_scores_, pca_score_, history_, batch_size_, \
    hidden_layer_sizes_, device_, module_, n_features_in_, feature_names_in_ : object
        As in `AutoencoderTransformer`.

    Raises
    ------
    ValueError
        In ``fit``, if ``sequence_shape`` does not hold as many cells as X has
        columns.

    Warns
    -----
    UserWarning
        In ``fit``, once, if a column has no cell at all: it is not used, and
        ``inverse_transform`` returns NaN there.

    See Also
    --------
    AutoencoderTransformer : For columns without an order, and much faster.

    Notes
    -----
    **Shorter sequences.** Missing cells, at the end or elsewhere, are filled with
    their expectation given the present ones, or with column means if
    no training row had any. The average leaves out states of reads without any
    cell. Missing cells never enter the loss, ``score`` or
    ``reconstruction_error``. If training rows have some, a fifth of the
    others is hidden in training, as in every table with missing cells.
    ``inverse_transform`` and ``reconstruct`` return all steps that a training
    row reached.

    f and g see each channel in one unit, the root of its mean variance over the
    steps, so a step that hardly varies has less weight.

    References
    ----------
    K. Cho et al. Learning phrase representations using RNN encoder-decoder
    for statistical machine translation. EMNLP 2014.
    https://arxiv.org/abs/1406.1078

    N. Srivastava, E. Mansimov, R. Salakhutdinov. Unsupervised learning of
    video representations using LSTMs. ICML 2015. https://arxiv.org/abs/1502.04681

    Examples
    --------
    Two sine waves of 20 steps that differ in phase and frequency, and unseen rows:

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

    A sequence that ends after 15 steps has a code, too:

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

    def _task(self, schema):
        if schema.blocks is None:  # even if no sequence is cut short now, later ones may be
            n = schema.n_features
            schema = replace(schema, blocks=Blocks((None,) * n, np.ones(n)))
        return task_of(_tasks.Recurrent, self, schema)
