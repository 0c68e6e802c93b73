"""The adversarial autoencoder."""

from skae import _tasks
from skae._estimators.base import BaseAutoencoder, DecodedPrior, task_of
from skae._parameters import (
    DenseNetwork,
    FromPCA,
    Ordering,
    OwnModules,
    TableInput,
    parameters,
    real,
)


@parameters
class AdversarialAutoencoder(
    DenseNetwork, OwnModules, Ordering, TableInput, FromPCA, DecodedPrior, BaseAutoencoder
):
    r"""An autoencoder whose codes are made to look like draws from a standard normal.

    A discriminator D learns to distinguish codes of rows from draws of the prior, and
    the encoder learns to deceive it, while encoder and decoder reconstruct the
    rows. In turn, batch by batch,

    .. math::

        \min_D \; &-\tfrac12 \mathrm{E}_{p \sim N(0, 1)} \log D(p)
            - \tfrac12 \mathrm{E}_x \log(1 - D(z(x))) \\
        \min_{z, \hat x} \; & \ell(x, \hat x(z(x))) - w \, \mathrm{E}_x \log D(z(x))

    with :math:`\ell` the loss of `AutoencoderTransformer` (the unexplained share of
    variance). So ``sample`` can decode new codes, and rows are reconstructed nearly as
    closely as by a plain autoencoder: unlike in
    `VAETransformer` codes have no noise and do not shrink. The networks are
    those of `AutoencoderTransformer`; training starts at PCA with a *whitened*
    code, which has the prior's mean and variances.

    **The baseline** is that PCA, by reconstruction alone: the trained model is
    kept only if held-out rows show, by the rule of `AutoencoderTransformer`,
    that it reconstructs better than PCA. The match with the prior is not compared:
    if the baseline was kept, the code is that of whitened PCA, whatever its shape.

    Parameters
    ----------
    n_components : "auto", int, float, "mle" or None, default="auto"
        As in `AutoencoderTransformer`.
    adversarial_weight : float, default=0.1
        w: larger values bring codes closer to the prior, at the cost of the
        reconstruction. 0 is the plain autoencoder.
    ordered : bool, default=False
        As in `AutoencoderTransformer`; the discriminator sees full codes.
    hidden_layer_sizes, activation, linear_path, encoder, decoder, \
    categorical_features, min_frequency, column_weights, batch_size, \
    learning_rate_init, alpha, optimizer, max_iter, early_stopping, \
    validation_fraction, n_iter_no_change, tol, warm_start, callbacks, \
    skorch_params, checkpoint, device, verbose, random_state : object
        As in `AutoencoderTransformer`. The discriminator has its own Adam
        at a fifth of the rate.

    Attributes
    ----------
    history_ : list of dict
        For each epoch, beside what `AutoencoderTransformer` records, the means of
        ``discriminator_loss`` and ``generator_loss`` (-log D of the codes; both are
        0.69 if the discriminator can only guess) and of
        ``reconstruction_loss``; ``train_loss`` is the sum that is minimised.
    validation_scores_ : list of float or None
        Explained share of the held-out rows, without the discriminator.
    n_components_, components_, explained_variance_, explained_variance_ratio_, \
    singular_values_, noise_variance_, n_samples_, mean_, scale_, n_iter_, \
    best_iter_, loss_curve_, pca_score_, batch_size_, hidden_layer_sizes_, device_, \
    module_, n_features_in_, feature_names_in_ : object
        As in `AutoencoderTransformer`; ``components_`` are in units of X per
        unit of the code.

    See Also
    --------
    VAETransformer : Likelihoods, and codes with error bars.

    Notes
    -----
    ``transform`` returns the code in units of the prior: a standard normal draw
    is a valid code. Before training it is ``PCA(whiten=True).transform``.

    References
    ----------
    A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow, B. Frey. Adversarial
    autoencoders. 2015. https://arxiv.org/abs/1511.05644

    Examples
    --------
    Codes nearer to the prior's spread than a plain autoencoder's, and new rows:

    >>> from sklearn.datasets import load_digits
    >>> from skae import AdversarialAutoencoder
    >>> X = load_digits().data / 16
    >>> ae = AdversarialAutoencoder(2, max_iter=20, early_stopping=False, random_state=0)
    >>> code = ae.fit(X[:1300]).transform(X[1300:])
    >>> bool(abs(code.std() - 1) < 0.2)
    True
    >>> ae.sample(3, random_state=0).shape
    (3, 64)
    """

    adversarial_weight: float = 0.1

    _parameter_constraints = {"adversarial_weight": [real(0)]}

    def _task(self, schema):
        return task_of(_tasks.Adversarial, self, schema)
