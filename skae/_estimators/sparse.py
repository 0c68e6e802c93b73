"""The sparse autoencoder."""

from skae import _tasks
from skae._estimators.base import BaseAutoencoder, task_of
from skae._parameters import DenseFromPCA, StrOptions, parameters, real


@parameters
class SparseAutoencoder(DenseFromPCA, BaseAutoencoder):
    r"""An autoencoder with sparse codes: few nonzero units a row, the others exactly zero.

    The network of `AutoencoderTransformer`, whose encoder ends in a soft
    threshold with one trainable :math:`\theta_u \ge 0` for each unit:

    .. math:: z_u = h_u - \mathrm{clip}(h_u, -\theta_u, \theta_u),
        \quad h = \Sigma^{-1} V (x - \mu) + f((x - \mu) / s)

    Thresholds start at zero, so that training starts at PCA, whose code
    is dense. The objective is the unexplained share of variance plus
    ``penalty_weight`` times

    .. math:: \text{l1:} \quad \frac1k \sum_u
        \frac{\mathrm{E} |z_u|}{\sqrt{\mathrm{E} z_u^2}}
        \qquad \text{kl:} \quad \frac1k \sum_u
        \rho \log \frac{\rho}{\hat\rho_u} + (1-\rho) \log \frac{1-\rho}{1-\hat\rho_u}

    with :math:`\rho` = ``sparsity`` and :math:`\hat\rho_u` the share of the
    rows in which unit u is not zero. Neither depends on the scale of a unit:
    shrinking the code and growing the decoder gains nothing.

    The baseline is PCA, compared by this objective, penalty included: the trained
    code is kept if held-out rows show, by the rule of
    `AutoencoderTransformer`, that sparsity gains more than it
    costs. Its reconstruction may be worse than PCA's, many times worse where PCA leaves
    next to nothing: exact zeros cost more than that.

    Parameters
    ----------
    n_components : "auto", int, float, "mle" or None, default="auto"
        As in `AutoencoderTransformer`; with "kl" a float is the share that PCA
        explains. More components than columns (an
        overcomplete code) make sense here: those beyond the rank of X start
        in random directions, which the decoder does not yet use.
    penalty : {"l1", "kl"}, default="l1"
        "l1" lets each unit find its own activation rate; some may die out.
        "kl" draws the rates of all units to ``sparsity``.
    penalty_weight : "auto" or float, default="auto"
        Weight of the penalty beside the unexplained share of variance.
        "auto" is 0.3 for "l1" and 10 for "kl". With 10 the mean rate came
        within a fifth of ``sparsity`` on digits and other wide tables; with
        few columns, or clusters, it stays up
        to 2.6 times as large: see ``activation_rate_``; a larger weight lowers it.
    sparsity : float, default=0.1
        Target share of the rows in which a unit is not zero. Ignored by "l1".
    hidden_layer_sizes, activation, linear_path, whiten, encoder, decoder, \
    ordered, categorical_features, min_frequency, column_weights, batch_size, \
    learning_rate_init, alpha, optimizer, max_iter, \
    early_stopping, validation_fraction, n_iter_no_change, tol, warm_start, \
    callbacks, skorch_params, checkpoint, device, verbose, random_state
        As in `AutoencoderTransformer`. With ``ordered`` the penalty is on
        the full code of a row.

    Attributes
    ----------
    activation_rate_ : ndarray of shape (n_components_,)
        Share of the (weighted) training rows in which each unit is not zero:
        about 1 if PCA was kept; after ``partial_fit``, of the last batch.
    components_ : ndarray of shape (n_components_, n_features_in_)
        The linear part of the decoder in the units of X, one row a component.
        Neither orthogonal nor of unit length once trained; if
        PCA was kept, zero beyond the rank. Absent with ``linear_path=None``.
    validation_scores_ : list of float or None
        1 minus the held-out objective of each epoch, penalty included.
    pca_score_ : float or None
        The same for the baseline, PCA's dense code.
    n_components_, explained_variance_, explained_variance_ratio_, singular_values_, \
    noise_variance_, n_samples_, mean_, scale_, n_iter_, best_iter_, loss_curve_, \
    history_, batch_size_, hidden_layer_sizes_, device_, module_, \
    n_features_in_, feature_names_in_
        As in `AutoencoderTransformer`.

    Raises
    ------
    InvalidParameterError
        In ``fit``, for a negative ``penalty_weight``, an unknown ``penalty``
        and a ``sparsity`` outside (0, 1).

    See Also
    --------
    AutoencoderTransformer : Without the penalty.
    sklearn.decomposition.SparsePCA : Sparse components, not codes.

    Notes
    -----
    Below 30 rows the model is PCA, and its code dense. It is PCA too where more
    than a fifth of the cells is missing and the sparse code reconstructs present cells worse
    than PCA of the mean-filled rows. New rows
    have somewhat more active units, the more so the larger
    the code and the fewer the rows. A row outside the training range of a column by
    more than the width of that range gets the code of the nearest row
    within, for PCA's maps, which extrapolate in `AutoencoderTransformer`, give no
    zeros. So the error of such a row is large: columns with heavy tails, such as money, are better
    transformed first (``np.log1p``, ``QuantileTransformer``).

    The textbook form of "kl" takes the mean activation of logistic units. Units
    that hardly vary around the target meet that; a share of
    exact zeros they cannot.

    References
    ----------
    A. Ng. Sparse autoencoder. CS294A lecture notes, Stanford, 2011.
    https://web.stanford.edu/class/cs294a/sparseAutoencoder_2011new.pdf

    K. Gregor, Y. LeCun. Learning fast approximations of sparse coding. ICML
    2010. https://icml.cc/Conferences/2010/papers/449.pdf

    P. O. Hoyer. Non-negative matrix factorization with sparseness
    constraints. JMLR 5, 2004. https://jmlr.org/papers/v5/hoyer04a.html

    Examples
    --------
    Digits in an overcomplete code, of which each uses a tenth:

    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoencoder
    >>> X = load_digits().data
    >>> sparse = SparseAutoencoder(80, penalty="kl", n_iter_no_change=5, random_state=0)
    >>> code = sparse.fit_transform(X[:600])
    >>> bool(0.08 < np.mean(code != 0) < 0.15)
    True
    """

    penalty: str = "l1"
    penalty_weight: str | float = "auto"
    sparsity: float = 0.1

    _parameter_constraints = {
        "penalty": [StrOptions({"l1", "kl"})],
        "penalty_weight": [StrOptions({"auto"}), real(0)],
        "sparsity": [real(0, 1, closed="neither")],
    }

    def _task(self, schema):
        return task_of(_tasks.Sparse, self, schema)
