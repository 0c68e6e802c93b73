"""The sparse autoencoder."""

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
    real,
)


@parameters
class SparseAutoencoder(
    DenseNetwork, Whitening, OwnModules, Ordering, TableInput, FromPCA, BaseAutoencoder
):
    r"""An autoencoder whose codes are sparse: few units a row, the others exactly zero.

    The network of `AutoencoderTransformer`, whose encoder ends in a soft
    threshold with one trainable :math:`\theta_u \ge 0` a unit:

    .. math:: z_u = h_u - \mathrm{clip}(h_u, -\theta_u, \theta_u),
        \quad h = \Sigma^{-1} V (x - \mu) + f((x - \mu) / s)

    All thresholds start at zero, so that training starts at PCA, whose code
    is dense. The objective is the unexplained share of variance plus
    ``penalty_weight`` times

    .. math:: \text{l1:} \quad \frac1k \sum_u
        \frac{\mathrm{E} |z_u|}{\sqrt{\mathrm{E} z_u^2}}
        \qquad \text{kl:} \quad \frac1k \sum_u
        \rho \log \frac{\rho}{\hat\rho_u} + (1-\rho) \log \frac{1-\rho}{1-\hat\rho_u}

    with :math:`\rho` = ``sparsity`` and :math:`\hat\rho_u` the share of the
    rows in which unit u is not zero. Neither depends on the scale of a unit:
    a code shrunk tenfold before a decoder grown tenfold gains nothing.

    The baseline is PCA judged by this objective, penalty included: the trained
    code is kept where held-out rows show, by the rule of
    `AutoencoderTransformer`, that what sparsity is worth exceeds what it
    costs. Reconstruction alone may be worse than PCA's.

    Parameters
    ----------
    n_components : "auto", int, float, "mle" or None, default="auto"
        As in `AutoencoderTransformer`: for a float, the size whose
        reconstruction explains that share; with "kl" PCA's number, for a code
        that is cut would miss its rate. More components than columns (an
        overcomplete code) make sense here: those beyond the rank of X start
        in random directions, which the decoder does not yet use.
    penalty : {"l1", "kl"}, default="l1"
        "l1" lets each unit find its own rate; some may go out altogether.
        "kl" draws all units to the rate ``sparsity``.
    penalty_weight : "auto" or float, default="auto"
        What the penalty counts beside the unexplained share of variance.
        "auto" is 0.3 for "l1" and 10 for "kl". With 10 the mean rate came
        within a fifth of ``sparsity`` on digits and other wide tables; where
        the rows need their units (few columns, clusters) it stays above, up
        to 2.6 times: see ``activation_rate_``; a larger weight draws it down.
    sparsity : float, default=0.1
        Share of the rows in which a unit shall be active. Ignored by "l1".
    hidden_layer_sizes, activation, linear_path, whiten, encoder, decoder, \
    ordered, categorical_features, min_frequency, column_weights, batch_size, \
    learning_rate_init, alpha, optimizer, max_iter, \
    early_stopping, validation_fraction, n_iter_no_change, tol, warm_start, \
    callbacks, skorch_params, checkpoint, device, verbose, random_state
        As in `AutoencoderTransformer`. With ``ordered`` the penalty counts
        the whole code of a row, what is cut too.

    Attributes
    ----------
    activation_rate_ : ndarray of shape (n_components_,)
        Share of the (weighted) training rows in which each unit is not zero:
        about 1 where PCA was kept; with ``partial_fit``, of the last batch.
    components_ : ndarray of shape (n_components_, n_features_in_)
        The linear part of the decoder in the units of X: what a unit adds to
        a row. Neither orthogonal nor of unit length once trained; zero, where
        PCA was kept, beyond the rank. Absent with ``linear_path=None``.
    validation_scores_ : list of float or None
        1 minus the held-out objective, penalty included, epoch by epoch.
    pca_score_ : float or None
        The same of the baseline, PCA's dense code.
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
    Below 30 rows the model is PCA, and its code dense. Other rows than those
    of the training have somewhat more active units, the more so the larger
    the code and the fewer the rows. Outside the training range of a column, by
    more than the width of that range, a row gets the code of the nearest row
    within: PCA's maps, which extrapolate in `AutoencoderTransformer`, know no
    zeros.

    The textbook form of "kl" has logistic units and their mean activation.
    That can be met by units that hardly vary around the target; a share of
    exact zeros cannot.

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
    Digits in an overcomplete code, a tenth of which is used for each:

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
