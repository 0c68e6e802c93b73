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
    variance (ALICE, Li et al., 2017). The ``loss`` says what a pair of scores costs, and
    what it costs at the equilibrium, where no pair can be distinguished from another:

    ================= ============================== ============================== =========
    loss              discriminator                  generator and encoder          even
    ================= ============================== ============================== =========
    "relativistic"    log(1 + exp(g - r))            log(1 + exp(r - g))            log 2
    "logistic"        log(1 + exp(-r))               log(1 + exp(r))                2 log 2
                      + log(1 + exp(g))              + log(1 + exp(-g))
    "least_squares"   (r - 1)^2 / 2 + g^2 / 2        r^2 / 2 + (g - 1)^2 / 2        1/4
    ================= ============================== ============================== =========

    **There is no baseline**: a GAN has no likelihood that held-out rows could
    judge, so nothing is held out, training starts at random weights, and the
    reconstruction is often worse than PCA's. Take it for ``sample``: rows
    from groups that lie apart, which a `VAETransformer` blurs. Do not take it
    to reduce columns, for small data, or where log-likelihoods are asked for.

    **Guards against mode collapse** are the relativistic loss, which compares each
    generated pair with a real one rather than with a threshold, and the slopes'
    penalty at both (Huang et al., 2024), the reconstruction, which no group
    of rows escapes, and averaged weights. ``replay`` and ``minibatch_features``
    are the textbook's remedies; beside those guards they are not needed. See how
    much of the rows is covered with `skae.metrics.mode_coverage`, and how the
    training went with `skae.inspection.AdversarialCurveDisplay`.

    **On images** the networks are convolutional. Of DCGAN's rules (Radford et
    al., 2016) they keep strided convolutions in place of pooling, ReLU, dense layers
    at the code alone, and a short memory of Adam's mean (0.5). Batch
    normalisation is left out: a row's code would depend on the rows beside
    it, and a batch of one row would have none. In its place weights drawn with
    variance 1 / fan-in give layers a unit scale at first, and the penalty keeps the slopes small
    later. The generator's output is not squashed by tanh, for standardised
    rows have no bounds, and the discriminator's ReLU is not leaky unless
    ``activation=torch.nn.LeakyReLU`` says so.

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
        :math:`\gamma`, a column: larger is steadier, smaller is sharper.
    reconstruction_weight : float, default=1.0
        :math:`\lambda`; 0 is BiGAN as it was published.
    loss : {"relativistic", "logistic", "least_squares"}, default="relativistic"
        See above: Jolicoeur-Martineau (2019), Goodfellow et al. (2014) in the
        non-saturating form, or Mao et al. (2017).
    replay : float, default=0.0
        Share, less than 1, of the generated pairs that the discriminator learns from which
        are drawn from up to 4,096 pairs of earlier steps (Shrivastava et al., 2017).
    minibatch_features : {"deviation", "discrimination"} or None, default=None
        What the discriminator sees of a whole batch beside each pair, so that
        a generator whose rows are too much alike is found out: the mean standard
        deviation of the columns (Karras et al., 2018), or how close the pair is to
        all others in learned directions (Salimans et al., 2016). With
        "discrimination" a step takes several times as long.
    batch_size : "auto" or int, default="auto"
        Rows a step. "auto" is as in `AutoencoderTransformer`, at most 128,
        of images 64.
    learning_rate_init : float, default=0.003
        Of Adam, with betas (0.5, 0.99); falls to zero over the second half.
    optimizer, callbacks, skorch_params, checkpoint, device, verbose, random_state : object
        As in `AutoencoderTransformer`.
    max_iter : "auto" or int, default="auto"
        Epochs, all of which are run. "auto" stands for about 2,500 steps,
        between 20 and 400 epochs.
    warm_start : bool, default=False
        Whether ``fit`` goes on with the fitted networks, the discriminator's too.

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
        (without penalty), ``train_loss``: the former plus the weighted
        reconstruction error; and ``real_accuracy`` and ``generated_accuracy``,
        the shares of the pairs of either kind that the discriminator classes correctly: by a score
        above or below 0, 1/2 ("least_squares"), or, where differences alone mean something
        ("relativistic"), the middle between the mean scores of both kinds in the batch.
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
        as many pixels as X has columns, and for a training that diverges.

    See Also
    --------
    VAETransformer : Samples with a likelihood, and not below probabilistic PCA.
    StyleBiGAN : Images that grow in training, and styles that can be mixed.

    Notes
    -----
    ``transform`` gives E(x), in the prior's units: about, but not exactly,
    standard normal over the rows. ``sample_weight`` weighs the real rows in
    all losses. ``X_val`` is checked and not used.

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
    A short training on digits, and rows that nobody wrote:

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
