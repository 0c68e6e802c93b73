"""The plain autoencoder."""

from skae import _tasks
from skae._estimators.base import BaseAutoencoder, task_of
from skae._parameters import DenseFromPCA, StrOptions, parameters


@parameters
class AutoencoderTransformer(DenseFromPCA, BaseAutoencoder):
    r"""Nonlinear dimensionality reduction that starts at PCA, and leaves it only for a proven gain.

    An encoder maps a row x to a code z, a decoder maps it back. Each is the
    map of PCA plus a multi-layer perceptron whose output starts at zero:

    .. math::

        z &= \Sigma^{-1} V (x - \mu) + f((x - \mu) / s) \\
        \hat x &= \mu + V^\top \Sigma z + s \cdot g(z)

    with column means :math:`\mu` and standard deviations s, principal axes V
    (n_components x n_features) and their standard deviations
    :math:`\Sigma`. Both linear maps are trained too. The loss is the unexplained
    share of variance, PCA's own loss, in the units of X:
    scale the columns as you would for PCA.

    **The baseline** is PCA. Held-out rows compare it with every epoch. The trained
    model is kept if its mean gain over PCA, row by row, exceeds
    twice its standard error (or once, if the mean without the 5 % largest and
    smallest gains exceeds twice its own); otherwise the fitted model is the
    PCA of all rows. Up to 500 rows there are five folds (three from 200 rows of numbers without missing cells on), and the model is
    then trained on all rows for the number of epochs that they chose. Above,
    ``validation_fraction`` of the rows is held out, and the last
    steps, at a falling rate, are on all rows. Where held-out rows gain by it, the decoder's last
    layer is then solved for by ridge regression. A model that reconstructs the training rows
    worse than PCA does, in the mean, is not kept either: rows far from all others may be most of the
    variance, and held-out rows do not show them. There is no baseline without held-out rows
    (``early_stopping=False``, ``partial_fit``) and without PCA
    (``linear_path=None``), and no promise for rows unlike all training rows.

    Parameters
    ----------
    n_components : "auto", int, float, "mle" or None, default="auto"
        Size of the code. "auto" is as many components as PCA needs for 95 % of
        the variance (for tables: as its baseline needs), as ``PCA(0.95)``. An int
        may exceed ``n_features``. None is ``min(n_samples, n_features)``. "mle" is
        PCA's number by Minka's maximum likelihood, if there are at least as many
        rows as columns.

        A float in (0, 1) is a share of the variance: the
        fewest components found with which the *autoencoder* explains it for
        held-out rows, by up to three fits. This is the shortest code; what it
        leaves out is not only noise, and a classifier may
        need it. If none explains the share there are as many components as PCA
        needs; likewise without held-out rows (``early_stopping=False``,
        ``partial_fit``), with ``linear_path=None``, fewer than 30 rows, or own modules.
    hidden_layer_sizes : "auto", int or array-like of int, default="auto"
        Hidden units of the encoder, layer by layer; the decoder mirrors them.
        "auto" is (64,) up to 500 rows and (128, 128) above. ``()`` is the
        linear autoencoder, without f and g; its best weights are PCA's
        (Baldi & Hornik, 1989).
    activation : {"quick_gelu", "gelu", "elu", "identity", "logistic", "relu", "silu", "tanh"} \
            or callable, default="quick_gelu"
        Activation of the hidden layers: a name, or a callable that returns a module, such as
        ``torch.nn.LeakyReLU``. "quick_gelu" is x times the logistic function
        of 1.702 x, close to "gelu" and faster.
    linear_path : {"pca"} or None, default="pca"
        None leaves out the linear maps: the textbook autoencoder, from random
        weights, without a baseline.
    tied_weights : bool, default=False
        Use the encoder's transposed weights in the decoder; biases are separate. The linear
        maps share one matrix of axes in the units of X (``components_``), and
        f and g are multiplied by gains, one a column, that start at zero. Helps up
        to about 100 rows with ``linear_path=None``, hardly otherwise. Not
        with ``encoder`` or ``decoder``. With ``ordered`` the decoder does
        not see where the code was truncated.
    pretraining : {"layerwise"} or None, default=None
        "layerwise" trains each hidden layer, and the code, as an autoencoder of
        the layer below before the whole network is fine-tuned, for a tenth of
        ``max_iter`` epochs each, on training rows only. With a linear path the outputs of f and g
        still start at zero. Helps deep networks of
        saturating units ("logistic"), hardly others. Not used in ``partial_fit`` and
        by a warm start; not with ``encoder`` or ``decoder``.
    whiten : bool, default=False
        Give the code unit variance over the training rows; otherwise it is
        in PCA's units.
    encoder, decoder : callable or None, default=None
        ``(n_inputs, n_outputs) -> torch.nn.Module`` in place of f and g. Beside
        a linear path their outputs are multiplied by gains that
        start at zero. For modules that draw random numbers, torch's global
        generator is seeded by ``random_state`` during ``fit`` and restored.
    ordered : bool, default=False
        Order the components by what they explain, as PCA's are. In training
        half of the rows keep only a prefix of their code, of random length
        (nested dropout, Rippel et al., 2014), so that every prefix decodes
        well. ``truncate(k)`` returns the model of the first k. Model and
        baseline are compared by the mean loss over these lengths. Where at one of them the error of
        held-out rows is more than 5 % above PCA's, the model is PCA at all lengths. The full
        code explains a few percent less than an unordered one.
    categorical_features : "from_dtype", None or array-like, default="from_dtype"
        Which columns are categories: "from_dtype" takes a frame's booleans,
        strings, categories and objects; None takes none; or names, positions or a
        mask. See `TableEncoder`.
    min_frequency : "auto", int or float, default="auto"
        Levels with fewer rows, or a smaller share of them, are pooled. "auto"
        is a thousandth of the rows, and at least 2.
    column_weights : array-like of shape (n_features,), dict or None, default=None
        Weight of each column in the loss and in ``score``, in units of its
        own baseline: the variance of a number, the entropy of the levels of
        a category. A dict gives the weights of some columns by name; the
        others have 1. With None, numbers keep their own units if all
        columns are numbers; otherwise all columns have the same weight.
    batch_size : "auto" or int, default="auto"
        Rows a step. "auto" is the power of two nearest to n_samples / 10
        (up to 500 rows n_samples / 20), from 32 to 512. Above 500 rows a step
        takes half of them, at least 64, until the last steps on all rows.
    learning_rate_init : float, default=0.012
        Learning rate of Adam, after a warm-up of 20 steps. It stays constant where
        rows are held out, which see a running average of the weights; otherwise
        it falls to zero over the second half.
    alpha : "auto" or float, default="auto"
        Decoupled weight decay of f's and g's weight matrices. "auto" is
        n_components / 40, from 0.1 to 0.8.
    optimizer : "adam" or callable, default="adam"
        "adam" or a class such as ``torch.optim.SGD``, which gets ``alpha`` as
        its ``weight_decay``.
    max_iter : "auto" or int, default="auto"
        Maximum number of epochs. "auto" is about 4,000 steps, from 20 to 400 epochs; fewer, down
        to 3, if 20 epochs are more than 20,000 steps.
    early_stopping : bool, default=True
        Hold rows out, stop when their loss no longer falls (see ``tol``),
        keep the best epoch, continue on all rows at a falling rate,
        and keep PCA if it is not beaten.
    validation_fraction : float, default=0.1
        Share of the rows held out above 500 rows; at least 30 rows and at
        most a third.
    n_iter_no_change : "auto" or int, default="auto"
        Number of last epochs that ``tol`` applies to. "auto" is 30 % of the
        epochs so far, after at least 300 steps (100 up to 500 rows; more for
        long tables, below six components, and the more training has gained
        over PCA).
    tol : float, default=0.05
        Training ends when the held-out loss fell by less than this share of
        itself in the last ``n_iter_no_change`` epochs (times n_components / 6,
        at least 0.4, below six components, and half of it in tables with
        categories). Smaller values train longer: 0.02 often gives an error a
        few percent lower in 1.5 times the time; 1e-4 trains to the end.
    warm_start : bool, default=False
        Continue the next ``fit`` from the present weights, which are then
        its baseline. Held-out rows are drawn anew, so some of them were trained
        on before, and the score is too good, unless ``X_val`` is given.
    callbacks : list of skorch callbacks or None, default=None
        Cloned for each training, also for each fold. The last
        training, on all rows, has no held-out rows and calls only those that
        act on single batches or on what is trained. A callback of single batches
        makes training several times slower.
    skorch_params : dict or None, default=None
        Further parameters of the ``skorch.NeuralNet`` inside, such as
        ``{"optimizer__momentum": 0.9}``.
    checkpoint : str, path-like or None, default=None
        File in which `fit` saves its state between epochs, about every 30 seconds.
        After a fit was killed or interrupted, ``fit`` with the same rows and
        parameters resumes, and ends at the same bits as an undisturbed one;
        with others it starts anew and warns. The file is removed when ``fit``
        ends. Ctrl-C is still raised, but during training leaves
        the best model so far (at least PCA, where there is a baseline) ready for
        use, and the file. Not together with ``callbacks``.
        Estimators that are fitted at the same time, as in a search, need
        different paths.
    device : str, default="auto"
        "auto" (CUDA if there is one, otherwise the CPU), "cpu", "cuda", ...
    verbose : int, default=0
        1 prints a line for each epoch, 2 shows a progress bar with the held-out score.
    random_state : int, RandomState instance or None, default=None
        Seed of splits, initial weights, order of rows and noise. The global generators of
        numpy, torch and Python are neither read nor set.

    Attributes
    ----------
    n_components_ : int
        Size of the code.
    components_ : ndarray of shape (n_components_, n_features_in_)
        The linear part of the decoder in the units of X, one row a
        component; PCA's principal axes where PCA was kept. Absent with
        ``linear_path=None``.
    explained_variance_ : ndarray of shape (n_components_,)
        Variance of each unit of the code over the training rows (denominator
        n - 1), in PCA's units, before whitening; in the network's own units with
        ``linear_path=None``.
    singular_values_ : ndarray of shape (n_components_,)
        ``sqrt((n_samples_ - 1) * explained_variance_)``: lengths of the
        columns of the centred code.
    noise_variance_ : float
        Mean variance of the residuals, in the squared units of X:
        :math:`\sum_{ij} (x_{ij} - \hat x_{ij})^2 / (n - 1)` over the present cells of the
        training rows, divided by ``min(n, n_features) - n_components_``; 0 if
        that is not positive. Absent for tables with categories, dates or
        ``column_weights``, and after ``truncate`` of a network.
    n_samples_ : int or float
        Number of training rows; ``sample_weight`` counts as repetitions if
        its mean is above 1. After ``partial_fit`` all rows so far, while
        the two variances of a network are those of the last batch.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        In a linear model (``hidden_layer_sizes=()``, ``linear_path="pca"``)
        PCA's share of the training rows' variance. Otherwise only
        with ``ordered=True``: the share of the held-out rows' variance that
        each component adds to those before it, which is *not* ``explained_variance_``
        over the total variance. It sums to the held-out score
        of the model before the last steps on all rows, need not be sorted and may
        be negative. Rows that PCA misses by far have less weight.
        Without held-out rows it is that of (at most 1,000)
        training rows. Absent from a network after ``partial_fit``.
    mean_ : ndarray of shape (n_features_in_,)
        Column means that standardise the rows.
    scale_ : ndarray of shape (n_features_in_,)
        Standard deviations of the columns; 1 for constant ones. For tables with
        categories, dates or ``column_weights`` these two and ``components_``
        have one column for each number and for each level of a category.
    table_encoder_ : TableEncoder
        The encoder of such tables; absent for others.
    n_iter_ : int
        Epochs run, at least 1.
    best_iter_ : int
        The epoch that was kept; 0 means that the model is the baseline: PCA, or
        with ``warm_start`` the earlier weights.
    loss_curve_ : list of float
        Training loss of each epoch, with noise on the inputs; with folds, the
        first fold's.
    validation_scores_ : list of float or None
        Held-out score of each epoch: the explained share, pooled over the folds,
        with ``ordered`` averaged over the lengths of the code.
        It differs from the ``score`` of these rows: where there is a baseline, rows that
        it misses by far have less weight, and numbers outside the training range
        of their column by more than its width are clipped to that
        limit. None without held-out rows.
    pca_score_ : float or None
        The score of the baseline (PCA; with ``warm_start`` the earlier weights) on
        the same rows.
    history_ : list of dict
        skorch's record, one dict an epoch; with folds, the first fold's.
        With ``pretraining`` the epochs of its phases come first:
        "phase" is "layer 1", "layer 2", ..., "fine-tuning". All other
        attributes are about the fine-tuning.
    batch_size_, hidden_layer_sizes_, device_ : int, tuple of int, str
        Values that were used. A model that was loaded or copied is on the CPU.
    module_ : torch.nn.Module
        The network of standardised rows, float64.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, where X has string names.

    See Also
    --------
    sklearn.decomposition.PCA : The linear method that this one starts at.
    skae.metrics.reconstruction_score : One score for both.

    Notes
    -----
    In training, Gaussian noise is added to the standardised inputs, with a
    standard deviation of a quarter of the square root of the share that PCA
    leaves unexplained. Where a
    value lies outside the training range of its column, or unit of the code, by
    more than the width of that range, PCA's linear maps extrapolate.

    With at least three times as many columns as rows, training uses coordinates of
    the space that the rows lie in, at a cost that does not grow with the columns. See docs/model.md.

    With ``ordered`` the decoder sees which units of the code it gets: each adds
    a bias to its first hidden layer. So setting the last columns of a
    code to zero is not the same as ``truncate``.

    **Tables.** Frames with categories, dates and missing cells need no preprocessing
    and are restored by ``inverse_transform``; see docs/model.md. Missing
    cells are filled with their expectation, given the present ones, under a factor
    analysis of the training rows; PCA of such rows is the baseline. The
    encoder sees which cells are missing, a fifth of the others is hidden from it in
    training and for held-out rows, and only present cells enter the
    loss.

    Two fits with equal ``random_state`` give the same bits on the same
    machine if torch uses one thread, as it does for small networks and
    inside workers.

    References
    ----------
    P. Baldi, K. Hornik. Neural networks and principal component analysis:
    learning from examples without local minima. Neural Networks 2, 1989.
    DOI 10.1016/0893-6080(89)90014-2

    Y. Bengio, P. Lamblin, D. Popovici, H. Larochelle. Greedy layer-wise
    training of deep networks. NIPS 19, 2007.
    https://papers.nips.cc/paper/3048-greedy-layer-wise-training-of-deep-networks

    P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio, P.-A. Manzagol. Stacked
    denoising autoencoders. JMLR 11, 2010 (tied weights).
    https://jmlr.org/papers/v11/vincent10a.html

    G. E. Hinton, R. R. Salakhutdinov. Reducing the dimensionality of data
    with neural networks. Science 313, 2006. DOI 10.1126/science.1127647

    O. Rippel, M. Gelbart, R. Adams. Learning ordered representations with
    nested dropout. ICML 2014. https://proceedings.mlr.press/v32/rippel14.html

    Examples
    --------
    In place of PCA, on digits (the score is on unseen rows):

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import train_test_split
    >>> from skae import AutoencoderTransformer
    >>> from skae.metrics import reconstruction_score
    >>> X_train, X_test = train_test_split(load_digits().data, random_state=0)
    >>> ae = AutoencoderTransformer(n_components=4, random_state=0).fit(X_train)
    >>> ae.transform(X_test).shape
    (450, 4)
    >>> pca = PCA(n_components=4).fit(X_train)
    >>> bool(ae.score(X_test) > reconstruction_score(pca, X_test) + 0.1)
    True

    One fit for all sizes:

    >>> ae = AutoencoderTransformer(n_components=8, ordered=True, random_state=0).fit(X_train)
    >>> two = ae.truncate(2)
    >>> two.transform(X_test).shape
    (450, 2)
    >>> bool(two.score(X_test) > reconstruction_score(PCA(2).fit(X_train), X_test) + 0.1)
    True

    Without hidden layers it is PCA, with PCA's attributes, and ``partial_fit`` is
    ``IncrementalPCA``:

    >>> import numpy as np
    >>> linear = AutoencoderTransformer(4, hidden_layer_sizes=()).fit(X_train)
    >>> bool(np.allclose(linear.explained_variance_, pca.explained_variance_))
    True
    >>> bool(np.allclose(linear.get_covariance(), pca.get_covariance()))
    True
    >>> linear.partial_fit(X_test).n_samples_
    1797
    """

    tied_weights: bool = False
    pretraining: str | None = None

    _parameter_constraints = {
        "tied_weights": ["boolean"],
        "pretraining": [StrOptions({"layerwise"}), None],
    }

    def _task(self, schema):
        return task_of(_tasks.Reconstruction, self, schema)
