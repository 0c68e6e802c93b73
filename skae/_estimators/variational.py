"""The variational autoencoder."""

from functools import partial

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from skae import _tasks
from skae._estimators.base import BaseAutoencoder, task_of
from skae._estimators.given import is_given, known_cells
from skae._parameters import (
    DenseNetwork,
    FromPCA,
    Ordering,
    OwnModules,
    StrOptions,
    TableInput,
    count,
    integer,
    parameters,
    private_random_state,
    real,
)


class DrawsNumbers:
    """Draws of models that know what the numbers of the training rows look like."""

    @property
    def number_summary_(self):
        """What each column of numbers looks like in the training rows, as a frame."""
        check_is_fitted(self)
        schema, marginals = self._model.schema, self._model.marginals
        if marginals is None:
            raise AttributeError(
                f"This {type(self).__name__} has no number_summary_: it has none for Bernoulli columns, or very many "
                "columns, and models of earlier releases lack it (fit again)."
            )
        names = schema.names if schema.encoder is None else schema.encoder.names
        return marginals.summary(range(schema.n_features) if names is None else names)

    def _drawn(self, n_samples, random_state, match_marginals, given, labels=None):
        """Return a table of rows with the given cells, and with coded labels, one a row."""
        model, rng = self._model, private_random_state(random_state)
        known = known_cells(self, given, match_marginals) if is_given(given) else None
        joint, judge = (model.joint, model.judge) if match_marginals else (None, None)

        def codes_of(rows):
            draw = partial(model.prior_codes, joint=joint) if known is None else known.codes
            return draw(len(rows), rng, labels=None if labels is None else labels[rows])

        if judge is None:
            coded = model.sample(codes_of(np.arange(n_samples)), rng, joint)
        else:
            coded = model.judged(n_samples, codes_of, rng, known)
        numbers = (model.matched(coded) if match_marginals else None) or {}
        if known is not None:
            known.put_into(coded, numbers)
        if match_marginals:
            model.draw_anew(coded, numbers, rng, () if known is None else known.places)
        return self._give(coded[:, : model.schema.n_features], numbers=numbers)


@parameters
class VAETransformer(
    DrawsNumbers, DenseNetwork, OwnModules, Ordering, TableInput, FromPCA, BaseAutoencoder
):
    r"""A variational autoencoder that starts at probabilistic PCA, and leaves it only for a proven gain.

    A generative model of rows: a code z is drawn from a standard normal prior,
    decoded to a row, and noise is added. The encoder gives the mean
    and the standard deviation of a row's code. Training maximises the
    evidence lower bound (ELBO) of the log-likelihood, in nats:

    .. math:: \log p(x) \ge \mathrm{E}_{q(z|x)} \log p(x | z)
        - \beta \, \mathrm{KL}(q(z | x) \| p(z)), \quad
        q(z | x) = N(m(x), s(x)^2), \; p(z) = N(0, 1)

    with :math:`p(x | z) = N(\hat x(z), \sigma^2)`, one noise variance for all
    columns, or one for each (``noise``), that is learned too (Rybkin et al., 2021), or
    independent Bernoulli columns. The networks are those of `AutoencoderTransformer`: a
    linear map plus a multi-layer perceptron whose output starts at zero. The
    linear maps start at probabilistic PCA, the optimum of a linear
    VAE (Lucas et al., 2019): before the first step the bound
    of a row *is* its ``PCA.score_samples``, with Gaussian noise, ``beta=1``
    and fewer components than the rank.

    **The baseline** is that linear model, in this objective: the trained model is kept
    only if held-out rows show, by the rule of `AutoencoderTransformer`,
    that their bound is higher. With another ``beta`` it is the linear model's
    optimum for that weight. The Bernoulli
    model starts at PCA's codes with a ridge logistic regression of the columns
    on them; if columns are independent that can be worse than their means
    alone.

    Parameters
    ----------
    n_components : "auto", int, float, "mle" or None, default="auto"
        As in `AutoencoderTransformer`: a float is the share of the held-out
        variance that the reconstructions of the posterior means explain.
    beta : float, default=1.0
        Weight of the divergence from the prior: above 1 the code uses fewer units,
        more independently (Higgins et al., 2017).
    likelihood : {"gaussian", "bernoulli"}, default="gaussian"
        "bernoulli" is for columns within [0, 1]; ``inverse_transform`` then
        returns probabilities, and values between 0 and 1 count as shares.
    kl_warmup : int, default=0
        Epochs over which the weight of the divergence rises to ``beta`` in
        training; early stopping begins afterwards. Held-out rows are compared at
        ``beta`` throughout. ``max_iter`` must be larger. Not used in ``partial_fit``.
    noise : {"isotropic", "columns"}, default="isotropic"
        "columns": each column of numbers has a noise variance of its own. Training
        starts at factor analysis (Jöreskog, 1967), which does not depend on the units of
        the columns: before the first step the bound is ``FactorAnalysis.score_samples``
        (of tables with categories or missing cells: at the same code, with the noise that
        it leaves of each column). No noise is below 0.005 of the variance of its column;
        in the start not below that of rounding to its grid either, and that of a constant
        column is PCA's. Rows drawn of mixed tables pass better for real ones, and draws of missing
        cells cover what is hidden more evenly; columns
        that have much noise are reconstructed less closely. Which of the two is likelier tell
        ``validation_scores_`` of two fits (with the same ``random_state`` of the same
        held-out rows). At most 4,096 columns, Gaussian likelihood only.
    ordered : bool, default=False
        Order the components, as in `AutoencoderTransformer`. Each
        length of the code has its own noise variance, which posteriors and
        decoder follow as in probabilistic PCA: each prefix starts at
        the probabilistic PCA of its size, and the baseline is their mean bound
        over the lengths. The code of ``truncate(k)`` is the first columns of
        this model's code, each times a constant, in units of the prior.
        With Bernoulli columns, your own ``encoder`` or ``decoder``, or without
        ``linear_path``, posteriors and decoder do not follow the noise.
    hidden_layer_sizes, activation, linear_path, encoder, decoder, \
    categorical_features, min_frequency, column_weights, batch_size, \
    learning_rate_init, alpha, optimizer, max_iter, \
    early_stopping, validation_fraction, n_iter_no_change, tol, warm_start, \
    callbacks, skorch_params, checkpoint, device, verbose, random_state
        As in `AutoencoderTransformer`. Your own ``encoder`` has
        ``2 * n_components`` outputs: the means and the logarithms of the
        variances. ``tol`` is in nats a column.

    Attributes
    ----------
    active_units_ : ndarray of bool, shape (n_components_,)
        Units whose posterior mean has a variance above 0.01 over the training rows
        (Burda et al., 2016); the others repeat the prior. After
        ``partial_fit`` this and the next are those of the last batch.
    kl_per_component_ : ndarray of shape (n_components_,)
        Mean divergence of each unit from the prior over the training rows,
        in nats.
    number_summary_ : DataFrame of shape (n_numbers, 6)
        The form of each column of numbers in the training rows, by name: ``kind``
        ("constant", "whole", "decimals" or "continuous"), ``low`` and ``high``, the ``step``
        between values (NaN if there is none), whether only ``listed`` values
        are drawn, and the share of ``zeros``. `sample` follows it. It holds
        cells of the training rows, the smallest and the largest of each column among them.
    noise_variance_ : float, or ndarray of shape (n_numbers,)
        :math:`\sigma^2`, in the squared units of X; PCA's if the baseline
        was kept, and with noise by column as ``FactorAnalysis.noise_variance_``. After ``truncate`` that
        of this length of the code. At least
        1e-8 of the mean variance of a column, so that no likelihood becomes
        infinite. Gaussian likelihood only.
    components_ : ndarray of shape (n_components_, n_features_in_)
        The linear part of the decoder, in units of X (Bernoulli: logits) per
        unit of the code: in the baseline PCA's axes times the roots of PCA's
        variances less ``noise_variance_``. Absent with ``linear_path=None``.
    explained_variance_ : ndarray of shape (n_components_,)
        Variance of the posterior means over the training rows, in units of
        the prior.
    singular_values_, n_samples_ : ndarray of shape (n_components_,), int or float
        As in `AutoencoderTransformer`.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        As in `AutoencoderTransformer`, for the reconstructions of posterior means.
        Without hidden layers, or with too few rows, it is
        that of probabilistic PCA on the training rows, whose means shrink:
        less than PCA's.
    validation_scores_ : list of float or None
        Mean bound of the held-out rows after each epoch, in nats a row; the
        objective's value if ``beta`` is not 1; with ``ordered`` its mean
        over the lengths. Rows far out are treated as in `AutoencoderTransformer`,
        except in Bernoulli columns.
    pca_score_ : float or None
        The same for the baseline.
    n_components_, mean_, scale_, n_iter_, best_iter_, loss_curve_, \
    history_, batch_size_, hidden_layer_sizes_, device_, module_, \
    n_features_in_, feature_names_in_
        As in `AutoencoderTransformer`; losses are in nats a column.

    Warns
    -----
    UserWarning
        If all units are inactive: the code says nothing about the rows.

    See Also
    --------
    AutoencoderTransformer : Without a distribution; closer reconstructions.
    sklearn.decomposition.PCA : Its ``score_samples`` are in the same nats.

    Notes
    -----
    ``transform`` returns the posterior means, in the units of the prior: a
    standard normal draw is a valid code. The means shrink towards zero, so
    ``score``, the share of variance that their reconstructions explain, can
    be below PCA's although ``score_samples`` is above. With at least as many components as the
    rank no variance is left for the noise, and the baseline is kept. Where more than a
    fifth of the cells is missing, the baseline reconstructs present cells no worse than PCA of the
    mean-filled training rows: the means shrink less then, at the cost of ``score_samples``.

    References
    ----------
    D. P. Kingma, M. Welling. Auto-encoding variational Bayes. ICLR 2014.
    https://arxiv.org/abs/1312.6114

    J. Lucas, G. Tucker, R. Grosse, M. Norouzi. Don't blame the ELBO! A linear
    VAE perspective on posterior collapse. NeurIPS 2019.
    https://arxiv.org/abs/1911.02469

    O. Rybkin, K. Daniilidis, S. Levine. Simple and effective VAE training
    with calibrated decoders. ICML 2021. https://arxiv.org/abs/2006.13202

    I. Higgins et al. beta-VAE: learning basic visual concepts with a
    constrained variational framework. ICLR 2017.
    https://openreview.net/forum?id=Sy2fzU9gl

    Y. Burda, R. Grosse, R. Salakhutdinov. Importance weighted autoencoders.
    ICLR 2016. https://arxiv.org/abs/1509.00519

    K. G. Jöreskog. Some contributions to maximum likelihood factor analysis.
    Psychometrika 32, 1967. https://doi.org/10.1007/BF02289658

    O. Rippel, M. Gelbart, R. Adams. Learning ordered representations with
    nested dropout. ICML 2014. https://proceedings.mlr.press/v32/rippel14.html

    A. Grover et al. Bias correction of learned generative models using
    likelihood-free importance weighting. NeurIPS 2019. https://arxiv.org/abs/1906.09531

    J. P. Reiter. Using CART to generate partially synthetic public use microdata.
    Journal of Official Statistics 21, 2005, 441-462.

    Examples
    --------
    Held-out log-likelihood in nats, beside PCA's, and new rows:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import VAETransformer
    >>> X = load_digits().data / 16
    >>> vae = VAETransformer(n_components=8, random_state=0).fit(X[:600])
    >>> pca = PCA(n_components=8).fit(X[:600])
    >>> bool(vae.score_samples(X[1300:]).mean() > pca.score(X[1300:]) + 5)
    True
    >>> vae.sample(3, random_state=0).shape
    (3, 64)

    Drawn numbers have the form of the table's, and cells may be given:

    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> size = rng.normal(size=400)
    >>> table = pd.DataFrame({
    ...     "age": np.round(40 + 9 * size).astype(int),
    ...     "gain": np.where(size > 1, np.round(np.exp(size), 2), 0.0),
    ...     "member": np.where(size + rng.normal(size=400) > 0, "yes", "no"),
    ... })
    >>> tables = VAETransformer(1, hidden_layer_sizes=()).fit(table)
    >>> tables.number_summary_[["kind", "step"]]
              kind  step
    age      whole  1.00
    gain  decimals  0.01
    >>> members = tables.sample(200, random_state=0, given={"member": "yes"})
    >>> bool(set(members["age"]) <= set(table["age"]) and members["age"].mean() > 42)
    True

    Columns with noises of their own start at factor analysis:

    >>> from sklearn.datasets import load_wine
    >>> from sklearn.decomposition import FactorAnalysis
    >>> rows = load_wine().data
    >>> rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    >>> linear = VAETransformer(3, noise="columns", hidden_layer_sizes=()).fit(rows)
    >>> theirs = FactorAnalysis(3, tol=1e-8, max_iter=5000, svd_method="lapack").fit(rows)
    >>> print(f"{linear.score_samples(rows).mean():.4f}, {theirs.score(rows):.4f}")
    -15.0802, -15.0802

    One ordered fit serves every size, and each prefix is above PCA of its size:

    >>> vae = VAETransformer(n_components=4, ordered=True, random_state=0).fit(X[:600])
    >>> pca = PCA(n_components=2).fit(X[:600])
    >>> bool(vae.truncate(2).score_samples(X[1300:]).mean() > pca.score(X[1300:]))
    True
    """

    beta: float = 1.0
    likelihood: str = "gaussian"
    kl_warmup: int = 0
    noise: str = "isotropic"

    _parameter_constraints = {
        "beta": [real(0)],
        "likelihood": [StrOptions({"gaussian", "bernoulli"})],
        "kl_warmup": [integer(0)],
        "noise": [StrOptions({"columns", "isotropic"})],
    }

    def _task(self, schema):
        return task_of(_tasks.Variational, self, schema)

    def transform_distribution(self, X):
        """Return the distribution of the code of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        mean, std : ndarray of shape (n_samples, n_components_)
            Of independent Gaussians, in the dtype of X; ``mean`` is what
            ``transform`` returns.
        """
        model, X = self._known(X)
        return model.posterior(X)

    def score_samples(self, X, n_draws=64):
        r"""Return a lower bound of the log-likelihood of every row, in nats.

        .. math:: \log \frac{1}{L} \sum_{l=1}^L
            \frac{p(x | z_l) \, p(z_l)}{q(z_l | x)}, \quad z_l \sim q(z | x)

        Its expectation rises with the number of draws L to
        :math:`\log p(x)` (Burda et al., 2016). All rows share the draws, so
        a row's bound does not depend on the other rows; below 64 it is
        the mean over several sets of ``n_draws``. If PCA was kept, with
        Gaussian noise above its lower limit and fewer components than the rank, it
        is ``PCA.score_samples`` with any number of draws.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_draws : int, default=64
            L, at least 1.

        Returns
        -------
        bound : ndarray of shape (n_samples,)
            float64; of densities in the units of X, or of probabilities for
            the Bernoulli likelihood.

        Raises
        ------
        ValueError
            For ``n_draws`` below 1, values outside [0, 1] with the Bernoulli
            likelihood, and rows so far out that the bound overflows float64.
        """
        return bound_of(*self._known(X), n_draws)

    def sample(self, n_samples=1, random_state=None, match_marginals=True, given=None):
        r"""Draw new rows: codes and residuals that go together, decoded.

        Parameters
        ----------
        n_samples : int, default=1
            At least 1.
        random_state : int, RandomState instance or None, default=None
            None never touches numpy's global generator.
        match_marginals : bool, default=True
            Draw rows as the training rows are. Residuals go together, and with the
            codes, as those of the training rows (up to 512 codes and columns; docs/model.md):
            by their covariance, or a mixture where held-out rows show groups that lie apart.
            Then each column of numbers is mapped to
            its training quantiles by a monotone function: they lie within the
            training range and on its grid (whole
            numbers stay whole, two decimals stay two), and repeated values, such as zeros, come in their
            proportion; see ``number_summary_``. Last, each row is chosen among ten draws, by the odds that boosted
            trees give it to be real, if held-out rows prove that they know one from the other (from 200 rows; Grover et al., 2019); and
            categories, and numbers that repeat few values, whose relation to the other columns the draws have lost, as held-out rows prove, are drawn anew given these, by trees whose leaves hold training cells (Reiter, 2005). False returns draws of the
            model alone, whose likelihood is that of `score_samples`: codes from the prior, independent noise. No effect in
            the Bernoulli model, above some 16,000 columns of numbers, and in models from older files.
        given : dict or None, default=None
            Cells that all rows have, by the names of their columns (positions in
            an array), such as ``{"cut": "Ideal", "carat": 0.7}``. The rest of the row
            follows its distribution given these cells, from which codes (and what
            residuals have in common) are drawn by sequential Monte Carlo; rows are chosen, and columns drawn anew, as above. A value that repeats, or lies on a grid, has the
            probability of all draws that are mapped to it.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            float64; zeros and ones for the Bernoulli likelihood. Without noise and
            ``match_marginals`` the rows are ``inverse_transform`` of standard normal codes.

        Raises
        ------
        ValueError
            If ``given`` has unknown columns, levels that fit did not see or pooled,
            missing cells, numbers outside the training range or (with
            ``match_marginals``) off its grid; and for ``given`` with the Bernoulli likelihood.
        """
        n_samples = count(n_samples, "n_samples")
        check_is_fitted(self)
        return self._drawn(n_samples, random_state, match_marginals, given)

    def impute(self, X, n_draws=None, random_state=None):
        """Return rows with missing cells filled; present cells stay as they are.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
        n_draws : int or None, default=None
            Number of plausible tables; None fills cells with the reconstruction.
        random_state : int, RandomState instance or None, default=None
            None never touches numpy's global generator.

        Returns
        -------
        filled : frame or ndarray of shape (n_samples, n_features), or a list of them
            Like ``X``. With ``n_draws`` a list of them, for each of which codes are
            drawn given the present cells,
            and missing cells given the code (multiple imputation,
            Rubin, 1987, DOI 10.1002/9780470316696). Drawn numbers become the nearest ones within the
            training range and on its grid (``number_summary_``). For columns of numbers
            in different units scale them, or take ``noise="columns"``: one noise for all is too much
            for some, and too little for others.
        """
        return imputed(*self._known(X), X, n_draws, random_state)


def bound_of(model, rows, n_draws):
    """Return the `score_samples` of rows that the schema read."""
    n_draws = count(n_draws, "n_draws")
    if model.schema.blocks is None and not sparse.issparse(rows) and np.isnan(rows.sum()):
        raise ValueError(
            "X has missing cells, but the rows of the fit had none: their likelihood is not "
            "known. Fit to rows with missing cells, or fill them first."
        )
    model.task.check_rows(rows)
    return model.log_likelihood(rows, n_draws)


def imputed(model, rows, X, n_draws, random_state):
    """Return the table X, or several, with the missing cells of its rows filled."""
    if n_draws is None:
        return model.schema.fill(X, model.reconstruct_cells(rows))
    n_draws, rng = count(n_draws, "n_draws"), private_random_state(random_state)
    drawn = (model.sample(model.draw_codes(rows, rng), rng) for _ in range(n_draws))
    return [
        model.schema.fill(X, coded[:, : model.schema.n_features], model.on_grid(coded))
        for coded in drawn
    ]
