"""The bidirectional generative adversarial network."""

from collections.abc import Callable
from dataclasses import field

from skae import _tasks
from skae._estimators.base import BaseAutoencoder, DecodedPrior, task_of
from skae._parameters import (
    DenseNetwork,
    ImageInput,
    StrOptions,
    Training,
    integer,
    parameters,
    real,
)


@parameters
class Adversarial:
    """A generator with an encoder, and the discriminator that trains both."""

    n_components: int | str = field(default="auto", kw_only=False)
    activation: str | Callable = "relu"
    learning_rate_init: float = 0.003
    gradient_penalty: float = 0.01
    reconstruction_weight: float = 1.0
    loss: str = "relativistic"
    replay: float = 0.0
    minibatch_features: str | None = None

    _parameter_constraints = {
        "n_components": [StrOptions({"auto"}), integer(1)],
        "gradient_penalty": [real(0)],
        "reconstruction_weight": [real(0)],
        "loss": [StrOptions({"relativistic", "logistic", "least_squares"})],
        "replay": [real(0, 1)],
        "minibatch_features": [StrOptions({"deviation", "discrimination"}), None],
    }

    _complete = (
        "X has missing cells (NaN), and a GAN's rows are whole: fill them, for example with "
        "SimpleImputer, or take VAETransformer, which takes rows with missing cells."
    )


@parameters
class BiGANTransformer(
    Adversarial, ImageInput, DenseNetwork, Training, DecodedPrior, BaseAutoencoder
):
    r"""A generative adversarial network with an encoder: new rows like those of the fit.

    A generator G makes rows of standard normal codes z, an encoder E codes of
    rows x, and a discriminator D learns to distinguish the pairs (x, E(x)) from
    (G(z), z) while both learn to deceive it (BiGAN, Donahue et al., 2017;
    ALI, Dumoulin et al., 2017). Where they succeed, G(z) is distributed as
    the rows and E is its inverse. With the scores r = D(x, E(x)) and
    g = D(G(z), z),

    .. math::

        L_D &= \mathrm{E} \, \ell_D(r, g) + \tfrac{1}{2} \gamma p
            \, (\mathrm{E} |\nabla D(x, E(x))|^2 + \mathrm{E} |\nabla D(G(z), z)|^2) \\
        L_{GE} &= \mathrm{E} \, \ell_{GE}(r, g) + \lambda \, \mathrm{E} |x - G(E(x))|^2

    with p columns, :math:`\gamma` the ``gradient_penalty``, :math:`\lambda`
    the ``reconstruction_weight``, and the last square as a share of the total
    variance (ALICE, Li et al., 2017). ``loss`` sets the losses of a pair of scores; "even" is their
    value at the equilibrium, where pairs cannot be distinguished:

    ================= ============================== ============================== =========
    loss              discriminator                  generator and encoder          even
    ================= ============================== ============================== =========
    "relativistic"    log(1 + exp(g - r))            log(1 + exp(r - g))            log 2
    "logistic"        log(1 + exp(-r))               log(1 + exp(r))                2 log 2
                      + log(1 + exp(g))              + log(1 + exp(-g))
    "least_squares"   (r - 1)^2 / 2 + g^2 / 2        r^2 / 2 + (g - 1)^2 / 2        1/4
    ================= ============================== ============================== =========

    **There is no baseline**: a GAN has no likelihood to compare on held-out rows,
    so nothing is held out, training starts at random weights, and the
    reconstruction is often worse than PCA's. Take it for ``sample``: rows
    from well separated groups, which a `VAETransformer` blurs. Do not take it
    to reduce columns, for small data, or if you need log-likelihoods.

    **Against mode collapse** there are the relativistic loss, which compares each
    generated pair with a real one rather than with a threshold, the gradient
    penalty at both (Huang et al., 2024), the reconstruction error of all
    rows, and averaged weights. ``replay`` and ``minibatch_features``
    are the textbook's remedies; beside these they are not needed. Check
    coverage with `skae.metrics.mode_coverage`, and the
    training with `skae.inspection.AdversarialCurveDisplay`.

    **On images** the networks are convolutional. Of DCGAN's rules (Radford et
    al., 2016) they keep strided convolutions in place of pooling, ReLU, dense layers
    only at the code, and Adam's first beta of 0.5. There is no batch
    normalisation, which would make a row's code depend on the rows beside
    it: weights are drawn with
    variance 1 / fan-in, and the penalty keeps slopes small.
    The generator's output is not squashed by tanh, for standardised
    rows have no bounds, and the discriminator's ReLU is leaky only with
    ``activation=torch.nn.LeakyReLU``.

    Parameters
    ----------
    n_components : "auto" or int, default="auto"
        Units of the code; may exceed the number of columns. "auto" is as many
        as PCA needs for 95 % of the variance.
    image_shape : (int, int), (int, int, int) or None, default=None
        Height and width, or channels (1 to 4), height and width, where rows
        are flattened images in C order, as in `ConvolutionalAutoencoder`. None
        for perceptrons.
    hidden_layer_sizes : "auto", int or array-like of int, default="auto"
        Hidden units of the encoder and of the discriminator; the generator
        mirrors them. "auto" is (128, 128). Without effect on images.
    channels : int or array-like of int, default=(16, 32)
        Channels after each convolution, which halves height and width.
    activation : str or callable, default="relu"
        As in `AutoencoderTransformer`.
    gradient_penalty : float, default=0.01
        :math:`\gamma`, per column: larger is steadier, smaller is sharper.
    reconstruction_weight : float, default=1.0
        :math:`\lambda`; 0 is the published BiGAN.
    loss : {"relativistic", "logistic", "least_squares"}, default="relativistic"
        See above: Jolicoeur-Martineau (2019), Goodfellow et al. (2014) in the
        non-saturating form, or Mao et al. (2017).
    replay : float, default=0.0
        Share, less than 1, of the discriminator's generated pairs that
        come from earlier steps, of which up to 4,096 are kept (Shrivastava et al., 2017).
    minibatch_features : {"deviation", "discrimination"} or None, default=None
        Statistics of the batch that the discriminator sees beside each pair, so that
        it detects rows that are too much alike: the mean standard
        deviation of the columns (Karras et al., 2018), or how close the pair is to
        all others in learned directions (Salimans et al., 2016). With
        "discrimination" a step takes several times as long.
    batch_size : "auto" or int, default="auto"
        Rows a step. "auto" is as in `AutoencoderTransformer`, at most 128;
        for images at most 64.
    learning_rate_init : float, default=0.003
        Learning rate of Adam, with betas (0.5, 0.99); falls to zero over the second half.
    optimizer, callbacks, skorch_params, checkpoint, device, verbose, random_state : object
        As in `AutoencoderTransformer`.
    max_iter : "auto" or int, default="auto"
        Epochs, all of which are run. "auto" is about 2,500 steps,
        from 20 to 400 epochs.
    warm_start : bool, default=False
        Continue ``fit`` from the fitted networks, the discriminator included.

    Attributes
    ----------
    n_components_ : int
    mean_, scale_ : ndarray of shape (n_features,)
        Mean and standard deviation of the columns: the networks see
        standardised rows.
    hidden_layer_sizes_ : tuple of int
        Hidden units, or ``channels`` of images.
    history_ : list of dict
        For every epoch ``generator_loss`` and ``discriminator_loss``
        (without penalty); ``train_loss``, the former plus the weighted
        reconstruction error; and ``real_accuracy`` and ``generated_accuracy``,
        the shares of either kind of pairs that the discriminator classifies correctly, by a score
        above or below 0 ("logistic"), 1/2 ("least_squares"), or
        the middle between the mean scores of both kinds in the batch ("relativistic").
    loss_curve_ : list of float
        ``train_loss`` of every epoch.
    explained_variance_, singular_values_, noise_variance_, n_samples_, n_iter_, \
    batch_size_, device_, module_, n_features_in_, feature_names_in_ : object
        As in `AutoencoderTransformer`; ``best_iter_`` is ``n_iter_``, and
        ``validation_scores_`` and ``pca_score_`` are None.

    Raises
    ------
    ValueError
        In ``fit``, for missing cells, for an ``image_shape`` that does not hold
        as many pixels as X has columns, and if training diverges.

    See Also
    --------
    VAETransformer : Samples with a likelihood, and a baseline.
    StyleBiGAN : Images with styles that can be mixed.

    Notes
    -----
    ``transform`` returns E(x), in the prior's units: about, but not exactly,
    standard normal over the rows. ``sample_weight`` is the weight of real rows in
    all losses. ``X_val`` is checked, but not used.

    References
    ----------
    J. Donahue, P. Krähenbühl, T. Darrell. Adversarial feature learning. ICLR
    2017. https://arxiv.org/abs/1605.09782

    V. Dumoulin et al. Adversarially learned inference. ICLR 2017.
    https://arxiv.org/abs/1606.00704

    C. Li et al. ALICE: towards understanding adversarial learning for joint
    distribution matching. NeurIPS 2017. https://arxiv.org/abs/1709.01215

    Y. Huang et al. The GAN is dead; long live the GAN! A modern GAN baseline.
    NeurIPS 2024. https://arxiv.org/abs/2501.05441

    A. Jolicoeur-Martineau. The relativistic discriminator: a key element missing
    from standard GAN. ICLR 2019. https://arxiv.org/abs/1807.00734

    I. Goodfellow et al. Generative adversarial nets. NeurIPS 2014.
    https://arxiv.org/abs/1406.2661

    X. Mao et al. Least squares generative adversarial networks. ICCV 2017.
    https://arxiv.org/abs/1611.04076

    A. Shrivastava et al. Learning from simulated and unsupervised images through
    adversarial training. CVPR 2017. https://arxiv.org/abs/1612.07828

    T. Salimans et al. Improved techniques for training GANs. NeurIPS 2016.
    https://arxiv.org/abs/1606.03498

    T. Karras, T. Aila, S. Laine, J. Lehtinen. Progressive growing of GANs for
    improved quality, stability, and variation. ICLR 2018.
    https://arxiv.org/abs/1710.10196

    A. Radford, L. Metz, S. Chintala. Unsupervised representation learning with
    deep convolutional generative adversarial networks. ICLR 2016.
    https://arxiv.org/abs/1511.06434

    Examples
    --------
    A short training on digits, and new ones:

    >>> from sklearn.datasets import load_digits
    >>> from skae import BiGANTransformer
    >>> X = load_digits().data
    >>> gan = BiGANTransformer(8, max_iter=3, random_state=0).fit(X)
    >>> gan.sample(3, random_state=0).shape
    (3, 64)
    >>> gan.transform(X).shape
    (1797, 8)
    """

    def _task(self, schema):
        return task_of(_tasks.BiGAN, self, schema)
