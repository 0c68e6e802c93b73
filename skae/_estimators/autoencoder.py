"""The plain autoencoder."""

from skae import _tasks
from skae._estimators.base import BaseAutoencoder, task_of
from skae._parameters import (
    DenseNetwork,
    FromPCA,
    Ordering,
    OwnModules,
    StrOptions,
    TableInput,
    Whitening,
    parameters,
)


@parameters
class AutoencoderTransformer(
    DenseNetwork, Whitening, OwnModules, Ordering, TableInput, FromPCA, BaseAutoencoder
):
    r"""Nonlinear dimensionality reduction that starts at PCA, and leaves it only for a proven gain.

    An encoder maps a row x to a code z, a decoder maps it back; each is the
    map of PCA plus a multi-layer perceptron whose output starts at zero:

    .. math::

        z &= \Sigma^{-1} V (x - \mu) + f((x - \mu) / s) \\
        \hat x &= \mu + V^\top \Sigma z + s \cdot g(z)

    with column means :math:`\mu` and standard deviations s, principal axes V
    (n_components x n_features) and their standard deviations
    :math:`\Sigma`. Both linear maps are trained too. The loss is the share
    of variance that stays unexplained, PCA's own loss, in the units of X:
    scale the columns as you would for PCA.

    **The baseline** is PCA. Held-out rows judge PCA and every epoch. The trained
    model is kept where its mean gain over PCA, row by row, is larger than
    twice its standard error (or once, where without the 5 % largest and
    smallest gains it is twice its own); otherwise the fitted model is the
    PCA of all rows. Up to 500 rows five folds judge in turn and the model is
    then trained on all rows for the number of epochs that they chose; above,
    ``validation_fraction`` of the rows is held out, and taken in by the last
    steps, at a falling rate. No rule can vouch for rows unlike all
    training rows. There is no such guarantee without held-out rows
    (``early_stopping=False``, ``partial_fit``) or without PCA
    (``linear_path=None``).

    Parameters
    ----------
    n_components : "auto", int, float, "mle" or None, default="auto"
        Size of the code. "auto" is as many components as PCA needs for 95 % of
        the variance (of a table, as its baseline does): as good a default as
        ``PCA(0.95)`` for what stands behind it in a pipeline. An int may exceed
        ``n_features``: 2 for a picture, the size to be stored, or one that a
        search found. None is ``min(n_samples, n_features)``: nothing is left
        out. "mle" is PCA's own number by Minka's
        maximum likelihood, where there are as many rows as columns.

        A float in (0, 1) is a share of the variance, for the shortest code: the
        fewest components found with which the *autoencoder* explains it for
        held-out rows. What it leaves out is not noise alone: a classifier may
        miss it. Up to three fits look for them: what one leaves unexplained,
        over what PCA of its size does, tells the size of the next. Where none
        explains the share there are as many as PCA needs, and so where nothing
        is held out (``early_stopping=False``, ``partial_fit``), with
        ``linear_path=None``, fewer than 30 rows, or own modules.
    hidden_layer_sizes : "auto", int or array-like of int, default="auto"
        Hidden units of the encoder, layer by layer; the decoder mirrors them.
        "auto" is (64,) up to 500 rows and (128, 128) above. ``()`` is the
        linear autoencoder, without f and g; its best weights are PCA's
        (Baldi & Hornik, 1989).
    activation : {"quick_gelu", "gelu", "elu", "identity", "logistic", "relu", "silu", "tanh"} \
            or callable, default="quick_gelu"
        Activation of the hidden layers, or what makes one, such as
        ``torch.nn.LeakyReLU``. "quick_gelu" is x times the logistic function
        of 1.702 x, close to "gelu" and faster.
    linear_path : {"pca"} or None, default="pca"
        None leaves the linear maps out: the textbook autoencoder from random
        weights, without a baseline to fall back on.
    tied_weights : bool, default=False
        Let the decoder have the encoder's weights, transposed: half as many
        matrices, one for each layer and its mirror; biases are apart. The linear
        maps share one matrix of axes in the units of X (``components_``), and
        gains that start at zero, one a column, stand after f and g. Helps up
        to about 100 rows with ``linear_path=None``, hardly otherwise. Not
        with ``encoder`` or ``decoder``; with ``ordered`` the decoder does
        not see where the code was cut.
    pretraining : {"layerwise"} or None, default=None
        "layerwise" trains each hidden layer, and the code, as an autoencoder of
        the layer below before the whole is fine-tuned: a tenth of
        ``max_iter`` epochs each, the first on standardised rows, within
        training rows only. With a linear path f and g then start at zero
        all the same, with the hidden layers found. Helps deep networks of
        saturating units ("logistic"), hardly others. Not in ``partial_fit``,
        not where ``warm_start`` goes on; not with ``encoder`` or ``decoder``.
    whiten : bool, default=False
        Give the code unit variance over the training rows; otherwise it is
        in PCA's units.
    encoder, decoder : callable or None, default=None
        ``(n_inputs, n_outputs) -> torch.nn.Module`` in place of f and g. In
        front of a linear path their outputs are multiplied by gains that
        start at zero. For modules that draw random numbers torch's global
        generator is seeded by ``random_state`` during ``fit`` and restored.
    ordered : bool, default=False
        Order the components by what they explain, as PCA's are: in training
        half of the rows keep only a prefix of their code, of random length
        (nested dropout, Rippel et al., 2014), so that every prefix decodes
        well. ``truncate(k)`` then gives the model of the first k. Model and
        baseline are compared by the loss, averaged over these lengths. The full
        code is worse by some percent than without (see the Notes).
    categorical_features : "from_dtype", None or array-like, default="from_dtype"
        Which columns are categories: "from_dtype" takes a frame's booleans,
        strings, categories and objects; None none; or names, places or a
        mask. See `TableEncoder`.
    min_frequency : "auto", int or float, default="auto"
        Levels of fewer rows, or of a smaller share of them, are pooled; "auto"
        is a thousandth of the rows, and at least 2.
    column_weights : array-like of shape (n_features,), dict or None, default=None
        What each column counts, in the loss and in ``score``, in units of its
        own baseline: the variance of numbers, the entropy of the levels of
        categories. A dict gives the weights of some columns by name, the
        others have 1. None leaves numbers in their own units where all
        columns are numbers, and weighs all columns alike where some are not.
    batch_size : "auto" or int, default="auto"
        Rows a step. "auto" is the power of two nearest to n_samples / 10
        (up to 500 rows n_samples / 20), from 32 to 512.
    learning_rate_init : float, default=0.012
        Step size of Adam: reached after 20 steps, then constant while
        held-out rows watch a running average of the weights. Without
        held-out rows it falls to zero over the second half.
    alpha : "auto" or float, default="auto"
        Decoupled weight decay of f's and g's weight matrices. "auto" is
        n_components / 40, from 0.1 to 0.8.
    optimizer : "adam" or callable, default="adam"
        "adam" or a class such as ``torch.optim.SGD``, which gets ``alpha`` as
        its ``weight_decay``.
    max_iter : "auto" or int, default="auto"
        Most epochs. "auto" is what takes about 4,000 steps, from 20 to 400; fewer, down
        to 3, where 20 would take more than 20,000 steps.
    early_stopping : bool, default=True
        Hold rows out, stop when their loss has come to rest (see ``tol``),
        keep the best epoch, go on from there on all rows at a falling rate,
        and keep PCA where it is not beaten.
    validation_fraction : float, default=0.1
        Share of the rows held out above 500 rows; at least 30 rows and at
        most a third.
    n_iter_no_change : "auto" or int, default="auto"
        Epochs that ``tol`` looks back on. "auto" is the last 30 % of the
        epochs so far, after at least 400 steps (more of long tables, 700
        where less than 30 % of PCA's loss is left; 200 up to 500 rows).
    tol : float, default=0.05
        Training ends when the held-out loss fell by less than this share of
        itself in the last ``n_iter_no_change`` epochs (half of it up to 500
        rows, whose steps are cheap; times n_components / 6, at least 0.4, where
        that is less than one). Smaller values train longer: 0.02 often
        gives an error a few percent lower in 1.5 times the time; 1e-4 trains
        to the end.
    warm_start : bool, default=False
        Let the next ``fit`` go on from the present weights, which are then
        its baseline. Its held-out rows are drawn anew: those that were trained
        on before judge too kindly, unless ``X_val`` is given.
    callbacks : list of skorch callbacks or None, default=None
        Cloned for each training, those of the five folds too; the first that
        asks for it (as ``EarlyStopping`` does) ends training. The last
        training, on all rows, has no held-out rows and hears only those that
        act on single batches or on what is trained. Such a callback takes
        training through skorch's own loop, several times slower.
    skorch_params : dict or None, default=None
        Further parameters of the ``skorch.NeuralNet`` inside, such as
        ``{"optimizer__momentum": 0.9}``.
    checkpoint : str, path-like or None, default=None
        A file that `fit` writes its state to every 30 seconds or so, between
        two epochs. After a fit that was killed, ``fit`` with the same rows and
        parameters goes on from it, and ends at the same bits as if nothing had
        happened; with others it starts anew and warns. A fit that ends
        removes the file. Ctrl-C is raised as ever, but while it trains leaves
        the best model so far (where there is a baseline, at least PCA) ready for
        use, and the file, so that the next ``fit`` goes on. Not together with ``callbacks``;
        each estimator that is fitted at the same time, as in a search, needs
        a path of its own.
    device : str, default="auto"
        "auto" (CUDA if there is one, else the CPU), "cpu", "cuda", ...
    verbose : int, default=0
        1 prints a line an epoch, 2 shows a bar with the held-out score.
    random_state : int, RandomState instance or None, default=None
        Split, first weights, order of rows and noise. numpy's, torch's and
        Python's global generators are neither read nor set (a RandomState
        instance is drawn from, as everywhere).

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
        n - 1), in PCA's units: with ``whiten=True``, too, that of the code
        before it is whitened; with ``linear_path=None`` in the network's own.
        PCA's in a linear model.
    singular_values_ : ndarray of shape (n_components_,)
        ``sqrt((n_samples_ - 1) * explained_variance_)``: lengths of the
        columns of the centred code.
    noise_variance_ : float
        Mean variance of what is left, over the directions that are left:
        :math:`\sum_{ij} (x_{ij} - \hat x_{ij})^2 / (n - 1)`, summed over the
        training rows, over ``min(n, n_features) - n_components_``; 0 where
        that is not positive. In the squared units of X, of the cells that
        are present; absent for tables with categories, dates or
        ``column_weights``, and for what ``truncate`` cuts from a network.
    n_samples_ : int or float
        Number of training rows; ``sample_weight`` counts as repetitions where
        its mean is above 1. After ``partial_fit`` all rows so far, while
        the two variances of a network are those of the last batch.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        In a linear model (``hidden_layer_sizes=()``, ``linear_path="pca"``)
        PCA's: the share of the training rows' variance. In any other it is
        there with ``ordered=True`` alone, and is *not* ``explained_variance_``
        over the total variance, for a decoder that is not linear does
        not give back the variance of its code: it is the share of the held-out rows' variance that
        each component adds to those before it. It sums to the held-out score
        of the model before it took these rows in, need not be sorted and may
        be negative. Rows that PCA misses by far count less, as in the
        judgement. Without held-out rows it is that of (at most 1,000)
        training rows; after ``partial_fit`` it is absent from a network.
    mean_ : ndarray of shape (n_features_in_,)
        Column means of the rows that the standardisation was learned from.
    scale_ : ndarray of shape (n_features_in_,)
        Their standard deviations; 1 for constant columns. For tables with
        categories, dates or ``column_weights`` these two and ``components_``
        have one column for each number and for each level of a category.
    table_encoder_ : TableEncoder
        What codes such tables; absent for others.
    n_iter_ : int
        Epochs run, at least 1.
    best_iter_ : int
        The epoch that was kept; 0 means that the model is the baseline: PCA, or
        with ``warm_start`` the earlier weights.
    loss_curve_ : list of float
        Training loss of each epoch, on inputs with noise; with folds, the
        first fold's.
    validation_scores_ : list of float or None
        Held-out score of each epoch: the explained share, over all folds
        where there are several, and averaged over the lengths of the code
        where it is cut. Rows that the baseline misses by far weigh less, and
        where there is a baseline numbers that lie outside the training range
        of their column by more than its width are first brought to that
        limit, so it is not the ``score`` of these rows. None without held-out rows.
    pca_score_ : float or None
        The baseline's score on the same held-out rows: PCA's (with
        ``warm_start``, that of the earlier weights).
    history_ : list of dict
        What skorch recorded, one dict an epoch; with folds, the first fold's.
        With ``pretraining`` the epochs of its phases come first, and
        "phase" is "layer 1", "layer 2", ..., "fine-tuning"; all other
        attributes speak of the fine-tuning alone.
    batch_size_, hidden_layer_sizes_, device_ : int, tuple of int, str
        What was used. A model that was loaded or copied is on the CPU.
    module_ : torch.nn.Module
        The network, float64, of standardised rows and codes.
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
    leaves unexplained. Rows that PCA misses by far more than the others are
    given less weight in the judgement, so that a few do not decide it. Where a
    value lies outside the training range of its column, or unit of the code, by
    more than the width of that range, PCA's linear maps extrapolate.

    Where the rows are far fewer than the columns (up to a third of their
    number) training takes place in coordinates of the space that the rows lie
    in, at a cost that does not grow with the columns; the fitted model is one
    of the columns all the same. See docs/model.md.

    A decoder for prefixes sees which units of the code it gets: each adds
    a bias to its first hidden layer. Zeros in place of the last columns of a
    code are therefore not the same as ``truncate``.

    **Tables.** Frames with categories, dates and missing cells are taken as they
    are, and given back by ``inverse_transform``; see docs/model.md. Missing
    cells are filled with what a factor analysis of the training rows expects
    of them given the present ones, and PCA of such rows is the baseline. The
    encoder sees which are missing, a fifth of the others is hidden from it in
    training and in the judgement, and only cells that are present enter the
    loss.

    With equal ``random_state`` two fits give the same bits on the same
    machine where torch takes one thread, as it does for small networks and
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
    In PCA's place, on digits (the score is on rows that were not seen):

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

    Without hidden layers it is PCA, with all that PCA says of itself, and a
    stream of batches is ``IncrementalPCA``:

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
