"""The convolutional autoencoder."""

from skae import _tasks
from skae._estimators.base import BaseAutoencoder, task_of
from skae._parameters import Activation, FromPCA, ImageInput, Ordering, Whitening, parameters


@parameters
class ConvolutionalAutoencoder(
    ImageInput, Activation, Whitening, Ordering, FromPCA, BaseAutoencoder
):
    r"""Nonlinear dimensionality reduction of images: convolutions beside PCA's linear maps.

    Rows are flattened images, as for ``PCA`` and
    ``StandardScaler``. An encoder maps a row x to a code z,
    a decoder maps it back. Each is the map of PCA plus a convolutional
    network whose output starts at zero:

    .. math::

        z &= \Sigma^{-1} V (x - \mu) + f((x - \mu) / \bar s) \\
        \hat x &= \mu + V^\top \Sigma z + \bar s \cdot g(z)

    with column means :math:`\mu`, the root :math:`\bar s` of the pixels' mean
    variance, principal axes V (n_components x n_features) and their standard
    deviations :math:`\Sigma`. f halves height and width (rounded up) with each
    of its convolutions of 3 x 3 pixels, a dense layer gives the code; g mirrors
    it with transposed convolutions. Loss, baseline and training are those of
    `AutoencoderTransformer`.

    Parameters
    ----------
    n_components : "auto", int, float, "mle" or None, default="auto"
        As in `AutoencoderTransformer`.
    image_shape : (int, int), (int, int, int) or None, default=None
        Height and width, or channels (1 to 4), height and width, of an image
        in C order (the first channel comes
        first). None is one channel and a square: 784 columns are 28 x 28.
        If they make no square, a row is a signal, such as a spectrum: an image of
        height 1, and a warning says so.
    channels : int or array-like of int, default=(16, 32)
        Channels after each convolution of the encoder; the decoder mirrors
        them. (8, 16) takes about three quarters of the time and
        reconstructs less well.
    activation, linear_path, whiten, ordered : object
        As in `AutoencoderTransformer`. With ``ordered`` the decoder does
        not see where the code was truncated.
    batch_size : "auto" or int, default="auto"
        Rows a step. "auto" is 32 or 64, whichever is nearer to n_samples / 20: the
        time of a step is proportional to its rows, so
        small batches learn more in the same time.
    learning_rate_init, alpha, optimizer, max_iter, early_stopping, \
    validation_fraction, n_iter_no_change, tol, warm_start, callbacks, \
    skorch_params, checkpoint, device, verbose, random_state : object
        As in `AutoencoderTransformer`.

    Attributes
    ----------
    image_shape_ : (int, int, int)
        Channels, height and width.
    hidden_layer_sizes_ : tuple of int
        ``channels``.
    n_components_, components_, explained_variance_, explained_variance_ratio_, \
    singular_values_, noise_variance_, n_samples_, mean_, scale_, n_iter_, \
    best_iter_, loss_curve_, validation_scores_, pca_score_, history_, batch_size_, \
    device_, module_, n_features_in_, feature_names_in_ : object
        As in `AutoencoderTransformer`.

    Raises
    ------
    ValueError
        In ``fit``, if ``image_shape`` does not hold as many pixels as X has
        columns.

    Warns
    -----
    UserWarning
        If ``image_shape=None`` treats rows as signals.

    See Also
    --------
    AutoencoderTransformer : For columns without an order.

    Notes
    -----
    f and g see all pixels in one common unit, not standardised one by one: border pixels
    keep their small variance. A `StandardScaler` in front changes that.

    References
    ----------
    J. Masci, U. Meier, D. Ciresan, J. Schmidhuber. Stacked convolutional
    auto-encoders for hierarchical feature extraction. ICANN 2011.
    DOI 10.1007/978-3-642-21735-7_7

    Examples
    --------
    Digits of 8 x 8 pixels, a short training, and unseen rows:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import ConvolutionalAutoencoder
    >>> from skae.metrics import reconstruction_score
    >>> X = load_digits().data
    >>> ae = ConvolutionalAutoencoder(4, max_iter=15, early_stopping=False, random_state=0)
    >>> ae = ae.fit(X[:1000])
    >>> ae.image_shape_
    (1, 8, 8)
    >>> pca = PCA(4).fit(X[:1000])
    >>> bool(ae.score(X[1000:]) > reconstruction_score(pca, X[1000:]) + 0.05)
    True
    """

    _complete = (
        "Images have missing pixels (NaN): fill them, for example with SimpleImputer, or take "
        "AutoencoderTransformer, which takes rows with missing cells."
    )

    def _task(self, schema):
        return task_of(_tasks.Convolutional, self, schema)
