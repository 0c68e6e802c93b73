"""The denoising autoencoder."""

from collections.abc import Callable

from skae import _tasks
from skae._estimators.base import BaseAutoencoder, task_of
from skae._parameters import DenseFromPCA, StrOptions, parameters, real


@parameters
class DenoisingAutoencoder(DenseFromPCA, BaseAutoencoder):
    r"""An autoencoder that returns clean rows for noisy ones.

    The network of `AutoencoderTransformer`, trained to reconstruct rows from
    noisy copies of them, with new noise in every batch:

    .. math:: \min \; \mathrm{E} \lVert x - \hat x(\tilde x) \rVert^2,
        \quad \tilde x = \mathrm{noise}(x)

    Training starts at the best linear denoiser of rank k: with S the
    covariance of the clean rows, C that of clean with noisy rows and R that
    of noisy rows,

    .. math:: \hat x = \mu + U U^\top C R^{-1} (\tilde x - \tilde\mu)

    with U the top k eigenvectors of :math:`C R^{-1} C^\top`. This is the
    baseline: the trained model is kept only if noisy held-out rows show, by
    the rule of `AutoencoderTransformer`, that it comes closer to the clean
    ones.

    Parameters
    ----------
    n_components : "auto", int, float, "mle" or None, default="auto"
        As in `AutoencoderTransformer`; a float is the share of the
        clean held-out rows' variance that is explained from the noisy ones.
    noise : {"gaussian", "masking", "salt_and_pepper", "swap"} or callable, \
            default="gaussian"
        "gaussian" adds noise to every cell. The others replace a share of the cells:
        "masking" by the column's mean, "salt_and_pepper" by its
        minimum or maximum in training, "swap" by the value of another row of the
        batch. A callable ``(tensor, generator) -> tensor`` gets
        standardised float32 rows on the CPU, of shape (n_samples,
        n_features), and a ``torch.Generator`` to draw from.
    noise_level : float, default=0.3
        Gaussian: standard deviation, in units of each column's own.
        Others: share of the cells, below 1. Ignored for a callable.
    hidden_layer_sizes, activation, linear_path, whiten, encoder, decoder, \
    ordered, categorical_features, min_frequency, column_weights, batch_size, \
    learning_rate_init, alpha, optimizer, max_iter, \
    early_stopping, validation_fraction, n_iter_no_change, tol, warm_start, \
    callbacks, skorch_params, checkpoint, device, verbose, random_state
        As in `AutoencoderTransformer`.

    Attributes
    ----------
    components_ : ndarray of shape (n_components_, n_features_in_)
        The linear part of the decoder in the units of X. Absent with
        ``linear_path=None``.
    validation_scores_ : list of float or None
        Share of the variance of the clean held-out rows that is explained
        from the noisy ones, epoch by epoch.
    pca_score_ : float or None
        The same of the baseline, the linear denoiser.
    n_components_, explained_variance_, explained_variance_ratio_, singular_values_, \
    noise_variance_, n_samples_, mean_, scale_, n_iter_, best_iter_, loss_curve_, \
    history_, batch_size_, hidden_layer_sizes_, device_, module_, \
    n_features_in_, feature_names_in_
        As in `AutoencoderTransformer`; ``best_iter_`` is 0 where the linear
        denoiser was kept.

    See Also
    --------
    AutoencoderTransformer : Without noise.

    Notes
    -----
    The noise on held-out rows is the same in every epoch (unless a callable
    ignores its generator). Above 4,096 columns, and with a callable and fewer
    than five rows a column, the baseline is PCA. ``score`` and ``transform``
    take rows as they are: on clean rows ``score`` is lower than that of an
    autoencoder that was trained on clean rows, and where PCA leaves next to nothing the error is many
    times PCA's. So is the linear denoiser's, which draws all rows towards the mean.

    References
    ----------
    P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol. Extracting and
    composing robust features with denoising autoencoders. ICML 2008.
    DOI 10.1145/1390156.1390294

    P. Vincent et al. Stacked denoising autoencoders. JMLR 11, 2010.
    https://jmlr.org/papers/v11/vincent10a.html

    A. J. Izenman. Reduced-rank regression for the multivariate linear model.
    Journal of Multivariate Analysis 5, 1975. DOI 10.1016/0047-259X(75)90042-1

    Examples
    --------
    Noisy digits come closer to the clean ones:

    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAutoencoder
    >>> X = load_digits().data
    >>> noise = 0.5 * X.std(axis=0) * np.random.default_rng(0).normal(size=X.shape)
    >>> noisy = X + noise
    >>> model = DenoisingAutoencoder(16, noise_level=0.5, random_state=0).fit(X[:1300])
    >>> error = np.mean((model.denoise(noisy[1300:]) - X[1300:]) ** 2)
    >>> bool(error < 0.7 * np.mean(noise[1300:] ** 2))
    True
    """

    noise: str | Callable = "gaussian"
    noise_level: float = 0.3

    _parameter_constraints = {
        "noise": [StrOptions({"gaussian", "masking", "salt_and_pepper", "swap"}), callable],
        "noise_level": [real(0, closed="neither")],
    }

    def _task(self, schema):
        return task_of(_tasks.Denoising, self, schema)

    def denoise(self, X):
        """Return cleaned rows: the reconstruction of noisy ones.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        clean : ndarray of shape (n_samples, n_features)
        """
        return self.reconstruct(X)
