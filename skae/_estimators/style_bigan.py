"""The style-based generator of images, with an encoder."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae import _tasks
from skae._estimators.base import BaseAutoencoder, task_of
from skae._estimators.bigan import Adversarial
from skae._parameters import (
    Activation,
    ImageInput,
    Training,
    count,
    counted,
    parameters,
    private_random_state,
    real,
)


@parameters
class StyleBiGAN(Adversarial, ImageInput, Activation, Training, BaseAutoencoder):
    r"""New images like those of the fit, from styles that can be mixed. There is no PCA baseline.

    A `BiGANTransformer` of images with the generator of StyleGAN: a *mapping
    network* makes a style w of a code z, and at each resolution, from about
    4 x 4 pixels up to the whole image, a convolution is *modulated* by w
    (Karras et al., 2019, 2020). With inputs i, outputs o and places k of the
    kernel,

    .. math::

        s = 1 + A w, \quad w'_{iok} = s_i w_{iok} / \sqrt{\textstyle\sum_{ik} (s_i w_{iok})^2},
        \quad h = \phi(w' * h_{\text{coarser}} + b + c \, n), \quad n \sim N(0, 1)

    with one number of *noise* n a pixel. Coarse resolutions decide what is
    seen, fine ones how it is drawn: see ``mix``. The losses, the encoder E
    and the code are those of `BiGANTransformer`.

    **Growing** (Karras et al., 2018): training begins with images of about 4 x 4
    pixels. In its first half larger resolutions are *faded in*: the image is
    a weighted mean of both, whose weight moves from the old to the new one. In the second half
    all networks train at full size. Every epoch's ``resolution`` and
    ``fade_in`` are in ``history_``.

    **Style mixing**: a share of the generated rows has the coarse styles of one
    code and the fine ones of another, so that resolutions do not learn to rely
    on each other. As no single code made them, the discriminator's pairs have E(G) beside
    them, which is not trained by them.

    Take it to draw and mix images. Do not take it to reduce
    columns (`ConvolutionalAutoencoder`), for columns that are not pixels, or when time
    is short.

    Parameters
    ----------
    n_components : "auto" or int, default="auto"
        Units of the code z. "auto" is as many as PCA needs for 95 % of the variance.
    image_shape : (int, int), (int, int, int) or None, default=None
        As in `ConvolutionalAutoencoder`.
    channels : int or array-like of int, default=(16, 32)
        Channels of the convolutions at full resolution, at half of it, and so on;
        the last number is that of all coarser ones.
    growing : bool, default=True
        False trains at full size from the first epoch.
    style_mixing : float, default=0.5
        Share of the generated rows that have styles of two codes.
    activation : str or callable, default="relu"
        As in `AutoencoderTransformer`.
    gradient_penalty, reconstruction_weight, loss, replay, minibatch_features : object
        As in `BiGANTransformer`.
    batch_size : "auto" or int, default="auto"
        Rows a step. "auto" is as in `BiGANTransformer`, at most 64.
    learning_rate_init : float, default=0.003
        Learning rate of Adam, with betas (0.5, 0.99); falls to zero over the second half.
    optimizer, max_iter, callbacks, skorch_params, checkpoint, device, verbose, \
    random_state : object
        As in `BiGANTransformer`.
    warm_start : bool, default=False
        Continue ``fit`` from the fitted networks, at full size.

    Attributes
    ----------
    image_shape_ : (int, int, int)
        Channels, height and width.
    resolutions_ : tuple of (int, int)
        Heights and widths, from coarse to fine: each is half of the next,
        rounded up.
    hidden_layer_sizes_ : tuple of int
        ``channels``.
    history_ : list of dict
        As of `BiGANTransformer`, and for every epoch ``resolution``, the finest one at its
        end ("7 x 7"), and ``fade_in``, the share of the image that is of it.
    n_components_, mean_, scale_, loss_curve_, explained_variance_, \
    singular_values_, noise_variance_, n_samples_, n_iter_, best_iter_, \
    validation_scores_, pca_score_, batch_size_, device_, module_, \
    n_features_in_, feature_names_in_ : object
        As in `BiGANTransformer`.

    Raises
    ------
    ValueError
        In ``fit``, for missing cells, for an ``image_shape`` that does not hold
        as many pixels as X has columns, and if training diverges.

    Warns
    -----
    UserWarning
        If ``image_shape=None`` treats rows as signals.

    See Also
    --------
    BiGANTransformer : The same without styles, for columns of any kind.
    ConvolutionalAutoencoder : A closer reconstruction, with PCA as its baseline.

    Notes
    -----
    ``inverse_transform`` leaves the noise out, so it is the same at every call;
    ``sample`` draws it. Unlike in StyleGAN the code is not normalised before it is
    mapped, for E has to reconstruct it. The network is small: one convolution a
    resolution, linear 1 x 1 maps to pixels, and upsampling that repeats
    pixels. ``partial_fit`` grows within the first batch.

    References
    ----------
    T. Karras, T. Aila, S. Laine, J. Lehtinen. Progressive growing of GANs for
    improved quality, stability, and variation. ICLR 2018.
    https://arxiv.org/abs/1710.10196

    T. Karras, S. Laine, T. Aila. A style-based generator architecture for
    generative adversarial networks. CVPR 2019. https://arxiv.org/abs/1812.04948

    T. Karras et al. Analyzing and improving the image quality of StyleGAN.
    CVPR 2020. https://arxiv.org/abs/1912.04958

    Examples
    --------
    A short training on digits; the coarse styles of zeros with the fine ones of
    ones:

    >>> from sklearn.datasets import load_digits
    >>> from skae import StyleBiGAN
    >>> X, y = load_digits(return_X_y=True)
    >>> gan = StyleBiGAN(8, image_shape=(8, 8), max_iter=4, random_state=0).fit(X)
    >>> gan.resolutions_
    ((4, 4), (8, 8))
    >>> [row["resolution"] for row in gan.history_]
    ['4 x 4', '8 x 8', '8 x 8', '8 x 8']
    >>> gan.mix(X[y == 0][:5], X[y == 1][:5], level=1).shape
    (5, 64)
    >>> gan.sample(3, random_state=0, truncation=0.7).shape
    (3, 64)
    """

    growing: bool = True
    style_mixing: float = 0.5

    _parameter_constraints = {"growing": ["boolean"], "style_mixing": [real(0, 1, closed="both")]}

    def _task(self, schema):
        return task_of(_tasks.Style, self, schema)

    def sample(self, n_samples=1, random_state=None, *, truncation=1.0):
        r"""Draw new images: codes from the prior and noise, decoded.

        Parameters
        ----------
        n_samples : int, default=1
            At least 1.
        random_state : int, RandomState instance or None, default=None
            None never touches numpy's global generator.
        truncation : float, default=1.0
            :math:`\psi`, from 0 to 1: styles become
            :math:`\bar w + \psi (w - \bar w)`, with the prior's mean style :math:`\bar w`. Values
            below 1 give more typical images, with less variety.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            float64, in units of X.

        Raises
        ------
        ValueError
            If ``truncation`` is not from 0 to 1.
        """
        n_samples = count(n_samples, "n_samples")
        if not (isinstance(truncation, Real) and 0 <= truncation <= 1):
            raise ValueError(f"truncation={truncation!r}: expected a number from 0 to 1.")
        check_is_fitted(self)
        rng, n_noises = private_random_state(random_state), self.module_.decoder.n_noises
        codes, noise = (rng.standard_normal((n_samples, n)) for n in (self.n_components_, n_noises))
        return self._give(self._model.drawn(codes, noise, truncation))

    def mix(self, a, b, level):
        """Return images with the coarse styles of some rows and the fine styles of others.

        Parameters
        ----------
        a, b : array-like of shape (n_samples, n_features)
            Rows with the coarse and the fine styles, pair by
            pair; a single row is paired with every row of the other.
        level : int
            Number of ``resolutions_``, from the coarsest on, that have the styles of
            ``a``: 0 is the reconstruction of ``b``, ``len(resolutions_)`` that of ``a``.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features)
            Without noise, in units of X.

        Raises
        ------
        ValueError
            If there is no such level, or the numbers of rows differ.
        """
        check_is_fitted(self)
        most = len(self.resolutions_)
        if not (isinstance(level, Integral) and 0 <= level <= most):
            raise ValueError(f"level={level!r}: expected an int from 0 to {most}.")
        codes = [self._model.encode(self._known(rows)[1]) for rows in (a, b)]
        n = max(map(len, codes))
        if any(len(code) not in (1, n) for code in codes):
            raise ValueError(
                f"a has {counted(len(codes[0]), 'row')}, b has {len(codes[1])}: pass as many, or one."
            )
        codes = [np.broadcast_to(code, (n, code.shape[1])) for code in codes]
        return self._give(self._model.mixed(*codes, int(level)))
