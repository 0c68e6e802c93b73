"""The contrastive encoder."""

from skae import _tasks
from skae._estimators.base import BaseEncoder, task_of
from skae._parameters import DenseNetwork, FromPCA, TableEncoding, Whitening, parameters, real


@parameters
class ContrastiveEncoder(DenseNetwork, Whitening, TableEncoding, FromPCA, BaseEncoder):
    r"""Features for a classifier: an encoder that recognises rows with swapped cells.

    There is no decoder, and so no ``inverse_transform``, ``reconstruct`` and
    ``score``. The encoder is PCA plus a multi-layer perceptron f
    whose output starts at zero, as in `AutoencoderTransformer`:

    .. math:: z = \Sigma^{-1} V (x - \mu) + f((x - \mu) / s)

    Training makes two views of each row of a batch, in each of which a share of
    the cells is replaced by other rows' values. A head,
    itself the identity plus a perceptron that starts at zero, projects their
    codes to unit vectors u and v. The two views of a row have to find each
    other among those of all n rows (normalised temperature-scaled cross-entropy):

    .. math:: \min \; -\log \frac{e^{u_i \cdot v_i / \tau}}
        {\sum_{c \neq u_i} e^{u_i \cdot c / \tau}}

    and the same from v to u. Afterwards the head is not used.

    **The baseline** is PCA in this objective: the trained encoder is kept only
    if held-out rows show, by the rule of `AutoencoderTransformer`, that it
    recognises rows better than the whitened code of PCA does. Whether a
    classifier gains is not tested.

    Parameters
    ----------
    n_components : "auto", int, float, "mle" or None, default="auto"
        As in PCA: a share of variance gives the size that
        PCA needs, and "auto" is 0.95.
    noise_level : float, default=0.3
        Share of the cells that are swapped in each view, between 0 and 1.
    temperature : float, default=0.5
        :math:`\tau`. With a small one only the nearest other rows matter.
    hidden_layer_sizes, activation : object
        Of f, as in `AutoencoderTransformer`; the head mirrors its layers.
    linear_path : {"pca", None}, default="pca"
        None leaves out the linear maps of
        encoder and head: SCARF's encoder, from random weights,
        without a baseline.
    whiten : bool, default=False
        As in `AutoencoderTransformer`.
    categorical_features, min_frequency : object
        As in `AutoencoderTransformer`.
    batch_size : "auto" or int, default="auto"
        Rows a step, all of which are compared with each other. "auto" is the power
        of two nearest to n_samples / 5, from 32 to 256.
    learning_rate_init, alpha, optimizer, max_iter, early_stopping, \
    validation_fraction, n_iter_no_change, tol, warm_start, callbacks, \
    skorch_params, checkpoint, device, verbose, random_state : object
        As in `AutoencoderTransformer`.

    Attributes
    ----------
    validation_scores_ : list of float or None
        Minus the mean objective of the held-out rows after each epoch, in nats.
        It depends on their number: up to 1,024 are compared with
        each other.
    pca_score_ : float or None
        The same for the baseline, PCA's code.
    n_components_, explained_variance_, singular_values_, n_samples_, mean_, scale_, n_iter_, \
    best_iter_, loss_curve_, history_, batch_size_, hidden_layer_sizes_, device_, module_, n_features_in_, \
    feature_names_in_ : object
        As in `AutoencoderTransformer`.

    See Also
    --------
    AutoencoderTransformer : With ``inverse_transform``.
    AutoencoderClassifier : Puts a head on this encoder, too.

    Notes
    -----
    The scale of the code is PCA's at the start and changes in training. If it
    matters to the model behind it, use ``whiten=True`` or a `StandardScaler`.

    References
    ----------
    T. Chen, S. Kornblith, M. Norouzi, G. Hinton. A simple framework for
    contrastive learning of visual representations. ICML 2020.
    https://arxiv.org/abs/2002.05709

    D. Bahri, H. Jiang, Y. Tay, D. Metzler. SCARF: self-supervised contrastive
    learning using random feature corruption. ICLR 2022.
    https://arxiv.org/abs/2106.15147

    Examples
    --------
    With 50 labels of digits a linear classifier does better than on PCA:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import ContrastiveEncoder
    >>> X, y = load_digits(return_X_y=True)
    >>> def accuracy(reduce):
    ...     head = make_pipeline(StandardScaler(), LogisticRegression())
    ...     head.fit(reduce.transform(X[:50]), y[:50])
    ...     return head.score(reduce.transform(X[1300:]), y[1300:])
    >>> encoder = ContrastiveEncoder(16, max_iter=20, early_stopping=False, random_state=0)
    >>> bool(accuracy(encoder.fit(X[:1300])) > accuracy(PCA(16).fit(X[:1300])) + 0.02)
    True
    >>> hasattr(encoder, "inverse_transform")
    False
    """

    noise_level: float = 0.3
    temperature: float = 0.5

    _parameter_constraints = {
        "noise_level": [real(0, 1, closed="neither")],
        "temperature": [real(0, closed="neither")],
    }

    def _task(self, schema):
        return task_of(_tasks.Contrastive, self, schema)
