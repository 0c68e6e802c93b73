"""The variational autoencoder."""

import warnings

import numpy as np
from scipy import sparse
from scipy.special import expit, logsumexp
from sklearn.utils.validation import check_is_fitted

from skae._estimators.base import BaseAutoencoder
from skae._linear.probabilistic import (
    LogisticStart,
    ProbabilisticStart,
    logistic_start,
    noise_unit,
    probabilistic_pca,
    probabilistic_table,
)
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
from skae._training.held_out import FEWEST_ROWS
from skae.metrics import explained_share

HELD_OUT_DRAWS = 4  # codes a held-out row in the judgement
ACTIVE = 0.01  # variance of a unit's posterior means above which it says something
DRAW_SEED = 0  # of score_samples: the same draws for every row, call and model
FEWEST_DRAWS = 64
CHUNK_CELLS = 2**20


class BaseVariational(BaseAutoencoder):
    """What the variational autoencoders share: all but their parameters."""

    _architecture = (
        *(name for name in BaseAutoencoder._architecture if name != "whiten"),
        "likelihood",
    )
    _input_noise = 0.5
    _table_start_kind = LogisticStart
    _hidden = 0.0  # hidden cells would count as noise, and the divergence prevents copying anyway
    _start_name = "linear start"
    _told_of_units = ("_code_moments",)
    _least_range = 3.0
    whiten = False  # the code is in the prior's units

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
        return self._posterior(self._check_known(X))

    def score_samples(self, X, n_draws=64):
        r"""Return a lower bound of the log-likelihood of every row, in nats.

        .. math:: \log \frac{1}{L} \sum_{l=1}^L
            \frac{p(x | z_l) \, p(z_l)}{q(z_l | x)}, \quad z_l \sim q(z | x)

        It rises with the number of draws L, in expectation, to
        :math:`\log p(x)` (Burda et al., 2016). All rows share the draws, so
        that neither their order nor their company matters; below 64 it is
        the mean over several sets of ``n_draws``. Where PCA was kept, with
        Gaussian noise above its floor and fewer components than the rank, it
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
            For ``n_draws`` below 1, values outside [0, 1] for the Bernoulli
            likelihood, and rows so far out that float64 does not hold it.
        """
        n_draws = count(n_draws, "n_draws")
        X = self._check_known(X)
        self._check_holes(X)
        self._check_likelihood(X, self._built["likelihood"])
        return self._bounds(X, n_draws)

    def _bounds(self, X, n_draws):
        n_sets = -(-FEWEST_DRAWS // n_draws)
        shape = (n_sets * n_draws, self.n_components_)
        draws = np.random.RandomState(DRAW_SEED).standard_normal(shape)
        width = max(X.shape[1], self.n_components_, *self.hidden_layer_sizes_)
        n_rows = max(1, CHUNK_CELLS // (len(draws) * width))
        bounds = []
        for start in range(0, X.shape[0], n_rows):
            nats = self._log_weights(X[start : start + n_rows], draws)
            sets = nats.reshape(n_sets, n_draws, -1)
            bounds.append((logsumexp(sets, axis=1) - np.log(n_draws)).mean(axis=0))
        return self._finite(np.concatenate(bounds))

    def _check_holes(self, X):
        if self._blocks is None and not sparse.issparse(X) and np.isnan(X.sum()):
            raise ValueError(
                "X has missing cells, but the rows of the fit had none: their likelihood is not "
                "known. Fit to rows with missing cells, or fill them first."
            )

    def sample(self, n_samples=1, random_state=None):
        r"""Draw new rows: codes from the prior, decoded, with noise.

        Parameters
        ----------
        n_samples : int, default=1
            At least 1.
        random_state : int, RandomState instance or None, default=None
            None never touches numpy's global generator.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_in_)
            float64; zeros and ones for the Bernoulli likelihood. The rows
            without noise are ``inverse_transform`` of standard normal codes.
        """
        n_samples = count(n_samples, "n_samples")
        check_is_fitted(self)
        rng = private_random_state(random_state)
        codes = rng.standard_normal((n_samples, self.n_components_))
        if self._blocks is not None:
            return self._give(self._drawn_cells(codes, rng))
        X = self._decode(codes)
        if self._built["likelihood"] == "bernoulli":
            return (rng.random_sample(X.shape) < X).astype(np.float64)
        return self._give(X + np.sqrt(self.noise_variance_) * rng.standard_normal(X.shape))

    def impute(self, X, n_draws=None, random_state=None):
        """Return rows with their missing cells filled: what was present stays as it is.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
        n_draws : int or None, default=None
            Number of plausible tables; None fills in the reconstruction.
        random_state : int, RandomState instance or None, default=None
            None never touches numpy's global generator.

        Returns
        -------
        filled : frame or ndarray of shape (n_samples, n_features), or a list of them
            Like ``X``. With ``n_draws`` a list of as many: for each, codes are
            drawn from their distributions given the cells that are present,
            and missing cells from theirs given the code (multiple imputation,
            Rubin, 1987, DOI 10.1002/9780470316696).
        """
        if n_draws is None:
            return super().impute(X)
        check_is_fitted(self)
        mean, std = self._posterior(self._check_known(X))
        rng = private_random_state(random_state)
        tables = []
        for _ in range(count(n_draws, "n_draws")):
            codes = mean + std * rng.standard_normal(mean.shape).astype(mean.dtype)
            tables.append(self._filled(X, self._drawn_cells(codes, rng)))
        return tables

    def _drawn_cells(self, codes, rng):
        """Return the coded table of codes, each cell drawn from its distribution."""
        import torch

        if self._blocks is None:
            drawn, noise = self._decode(codes), rng.standard_normal((len(codes), self._width))
            if self._built["likelihood"] == "bernoulli":
                return (rng.random_sample(drawn.shape) < drawn).astype(drawn.dtype)
            return drawn + (np.sqrt(self.noise_variance_) * noise).astype(drawn.dtype)

        def draw(probabilities):
            at = torch.from_numpy(rng.random_sample((*probabilities.shape[:-1], 1)))
            below = probabilities.cumsum(-1) < at.to(probabilities)
            return below.sum(-1).clamp(max=probabilities.shape[-1] - 1)

        coded, numbers = self._decode_cells(codes, draw), self._blocks.numbers
        deviation = np.sqrt(self.noise_variance_) / self._blocks.metric[: len(numbers)]
        coded[:, numbers] += deviation * rng.standard_normal((len(codes), len(numbers)))
        return coded

    def _posterior(self, X):
        import torch

        posterior = self._module_for(X.dtype).posterior
        both = self._apply_to_rows(
            X, lambda x: torch.cat(posterior(x), dim=1), 2 * self.n_components_, lambda out: out
        )
        mean, log_variance = np.hsplit(both, 2)
        return mean, np.exp(log_variance / 2)

    @staticmethod
    def _finite(bounds):
        if not np.isfinite(bounds).all():
            row = int(np.flatnonzero(~np.isfinite(bounds))[0])
            raise ValueError(
                f"The log-likelihood of row {row} is beyond the range of float64: it is too far "
                "from the training rows. Leave it out, or check its units."
            )
        return bounds

    def _log_weights(self, X, draws):
        """Return log p(x|z)p(z)/q(z|x), of shape (n_draws, n_samples)."""
        import torch

        from skae.losses import DrawnDivergence

        mean, scale = self._row_units()
        x = torch.from_numpy((self._wide(X) - mean) / scale).to(self.device_)
        draws = torch.from_numpy(draws).to(x).expand(len(x), -1, -1)
        with torch.inference_mode():
            outputs = self.module_((x, draws))
            likelihood = self._likelihood(self._fitted_start(), torch.float64).to(x.device)
            nats = -likelihood(outputs, x) - DrawnDivergence()(outputs, x)
        return nats.cpu().numpy()

    # hooks ------------------------------------------------------------------------------------

    def _make_start(self, rows, n_components, rng):
        if rows.blocks is not None:
            return probabilistic_table(rows, n_components, rng)
        if self.likelihood == "bernoulli":
            return logistic_start(rows, n_components, rng)
        return probabilistic_pca(rows, n_components, rng, self.beta)

    @property
    def _start_kind(self):
        return LogisticStart if self._built["likelihood"] == "bernoulli" else ProbabilisticStart

    def _kind(self):
        from skae.nn import VariationalAutoencoder

        return VariationalAutoencoder

    def _new_module(self, generator, linear=False):
        from skae.nn import OrderedVariationalAutoencoder

        module = super()._new_module(generator, linear)
        if not self._prefixes:
            return module
        return OrderedVariationalAutoencoder(module.encoder, module.decoder, self.n_components_)

    def _has_offset(self):
        return True

    def _start_at(self, module, start):
        from skae.nn.build import start_probabilistic

        if self._has_floor():
            start_probabilistic(module, start, noise_unit(start, self._blocks))

    def _trainable_module(self, generator):
        module = super()._trainable_module(generator)
        if self._built["likelihood"] == "bernoulli" and self._has_floor():
            # a one in a column of zeros is many deviations off: Adam would throw its row's code
            beside = module.encoder.nonlinear is not None
            module.encoder.linear.weight.requires_grad_(not beside)
        return module

    def _likelihood(self, start, dtype):
        """Return the term of the objective that compares rows with their reconstruction."""
        import torch

        from skae.losses import BernoulliLikelihood, GaussianLikelihood

        if self._blocks is not None:
            return self._likelihood_of_table(start, dtype)
        if self._built["likelihood"] == "bernoulli":
            parts = start.mean, start.scale, start.level
            return BernoulliLikelihood(*(torch.as_tensor(part, dtype=dtype) for part in parts))
        unit = noise_unit(start)
        weights = start.scale**2 / unit
        if dtype == torch.float32:  # in training a constant column counts at most as a usual one
            constant = start.column_weights == 0
            weights[constant] = np.minimum(weights[constant], 1.0)
        return GaussianLikelihood(torch.as_tensor(weights, dtype=dtype), unit, self._n_counted)

    def _likelihood_of_table(self, start, dtype):
        import torch

        from skae.nn.cells import TableLikelihood

        n, unit = len(self._blocks.numbers), noise_unit(start, self._blocks)
        log_units = np.zeros(n)
        if "table_encoder_" in self.__dict__:
            units = self.table_encoder_.scale_[self._blocks.numbers]
            log_units = np.log(units / self._blocks.metric[:n])
        variances, log_units = (
            torch.as_tensor(part, dtype=dtype) for part in (start.scale[:n] ** 2 / unit, log_units)
        )
        return TableLikelihood(self._cells(start, dtype), variances, unit, log_units)

    def _make_objective(self, start):
        import torch

        from skae.losses import DrawnDivergence, Objective

        share = 1 / self._n_counted  # nats a column: of the size that training is set up for
        return Objective(
            rising="divergence",
            likelihood=(self._likelihood(start, torch.float32), share),
            divergence=(DrawnDivergence(), self.beta * share),
        )

    def _make_corruption(self, start):
        from skae.corruption import Draws

        return Draws(len(start.deviations), noise=super()._make_corruption(start))

    def _make_held_out_corruption(self, start):
        from skae.corruption import Draws

        holes = super()._make_held_out_corruption(start)
        return Draws(len(start.deviations), HELD_OUT_DRAWS, holes)

    def _can_turn(self):
        own = self.encoder, self.decoder
        return own == (None, None) and self.likelihood == "gaussian"

    def _turn_out(self, span, rows):
        inside = noise_unit(self._fitted_start())
        super()._turn_out(span, rows)
        if self._nonlinear:
            for name in ("log_noise", "log_spread"):
                if hasattr(self.module_, name):
                    part = getattr(self.module_, name)
                    part += np.log(inside / noise_unit(self._fitted_start()))

    @property
    def _n_counted(self):
        """Number of columns that the likelihood counts; training may go along fewer axes."""
        return self.__dict__.get("_n_columns", self._width)

    def _n_within_reach(self):
        # a one in a column of zeros is no number too large: the likelihood must feel it
        return 0 if self._built["likelihood"] == "bernoulli" else super()._n_within_reach()

    def _reconstruct_cut(self, module, start, inputs, mask):
        import torch

        x, draws = inputs
        rows = module((x, torch.zeros_like(draws[:, 0])), mask).reconstruction  # of the means
        if self._built["likelihood"] != "bernoulli":
            return rows
        level, mean, scale = (
            torch.as_tensor(part, dtype=rows.dtype, device=rows.device)
            for part in (start.level, start.mean, start.scale)
        )
        return (torch.addcmul(level, rows, scale).sigmoid() - mean) / scale

    def _start_scores(self, X):
        X, start = self._check_known(X), self._fitted_start()
        if self._blocks is not None:
            return self._table_start_scores(X, start)
        X = self._wide(X)
        bernoulli = self._built["likelihood"] == "bernoulli"
        standardised, scores = (X - start.mean) / start.scale, []
        for k in range(1, len(start.components) + 1):
            first = start.first(k)
            rows = standardised @ first.encoder.T @ first.components + first.level
            scores.append(explained_share(X, expit(rows) if bernoulli else rows))
        return np.array(scores)

    def _held_out_score(self, loss):
        return -loss * self._n_counted

    def _tolerance(self, start_loss):
        return self.tol

    def _settings(self, n_rows, **changes):
        return super()._settings(n_rows, **{"warm_up": self.kl_warmup, **changes})

    def _start_is_best(self, start):
        if self.likelihood == "bernoulli":  # its start is no optimum, even of a linear model
            return not start.column_weights.any()
        return super()._start_is_best(start)

    def _check_domain(self, X):
        if self.likelihood == "bernoulli" and self._blocks is not None:
            raise ValueError(
                "likelihood='bernoulli' takes complete numeric columns within [0, 1], but X has "
                "missing cells, categories or dates: take likelihood='gaussian', which treats "
                "categories as such."
            )
        self._check_likelihood(X, self.likelihood)
        return X

    def _check_likelihood(self, X, likelihood):
        if likelihood == "bernoulli":
            X = X.toarray() if sparse.issparse(X) else X
            outside = np.flatnonzero((X < 0).any(axis=0) | (X > 1).any(axis=0))
            if len(outside):
                column = outside[0]
                name = repr(getattr(self, "feature_names_in_", {column: int(column)})[column])
                raise ValueError(
                    f"likelihood='bernoulli' needs values within [0, 1], but column {name} has "
                    f"values from {X[:, column].min():.9g} to {X[:, column].max():.9g}: scale it, "
                    "for example with MinMaxScaler(clip=True), or take likelihood='gaussian'."
                )

    def _to_units_of_x(self, rows):
        if self._built["likelihood"] != "bernoulli":
            return super()._to_units_of_x(rows)
        rows *= self.scale_.astype(rows.dtype)
        rows += self._start["level"].astype(rows.dtype)
        return expit(rows, out=rows)

    def _take(self, fitted, rows=None):
        if fitted.best_iter > 0 and rows is not None:
            self._calibrate(fitted.module, fitted.start, rows)
        self.__dict__.pop("_code_moments", None)
        super()._take(fitted, rows)

    def _calibrate(self, module, start, rows):
        """Scale the code to a mean square of 1 over the rows, as the prior's.

        The decoder undoes it, so the divergence falls and nothing else changes:
        weight decay favours larger codes with a flatter decoder.
        """
        import torch

        from skae.nn.build import divide_code

        module, square = module.double().eval(), 0.0
        unit = start.units
        with torch.no_grad():
            for chunk, weight in rows.chunks():
                x = (chunk - unit[0]) / unit[1]
                mean, log_variance = module.posterior(torch.from_numpy(x).to(self.device_))
                square = square + torch.from_numpy(weight).to(mean) @ (mean**2 + log_variance.exp())
            divide_code(module, (square / len(rows)).sqrt())
        module.float()  # what training goes on with, to the bit

    def _diagnose(self, rows):
        total = squares = 0.0
        for chunk, weight in rows.raw_chunks():
            mean, std = self._posterior(chunk)
            total = total + weight @ mean
            squares = squares + np.stack([weight @ part for part in (mean**2, std**2, np.log(std))])
        square, variance, logarithm = squares / len(rows)
        spread = square - (total / len(rows)) ** 2
        self._code_moments = np.column_stack([square, spread, variance, 2 * logarithm])
        self._tell()
        if len(rows) >= FEWEST_ROWS and not self.active_units_.any():
            warnings.warn(
                f"All {self.n_components_} units of the code are inactive: it says nothing about "
                "the rows. Lower beta, set kl_warmup, or see whether the columns are correlated "
                "at all.",
                UserWarning,
                stacklevel=2,
            )

    def _keep_first(self, k):
        factor, log_factor = (f[:k].numpy(force=True) for f in self.module_.factors(k))
        super()._keep_first(k)
        if "components_" in self.__dict__:
            self.components_ = factor[:, None] * self.components_
        if "_code_moments" in self.__dict__:
            square, spread, variance, logarithm = self._code_moments.T
            moments = factor**2 * square, factor**2 * spread, np.exp(log_factor) * variance
            self._code_moments = np.column_stack([*moments, logarithm + log_factor])
            self._tell()

    def _tell(self):
        """Say what is known of the units, and the noise."""
        square, spread, variance, logarithm = self._code_moments.T
        self.kl_per_component_ = (square + variance - 1 - logarithm) / 2
        self.active_units_ = spread > ACTIVE
        self.__dict__.pop("noise_variance_", None)
        if self._built["likelihood"] == "gaussian":
            log_noise = float(self.module_.noise_of_whole())
            log_noise = max(log_noise, self.module_.LEAST_LOG_NOISE)
            unit = noise_unit(self._fitted_start(), self._blocks)
            self.noise_variance_ = unit * np.exp(log_noise)


@parameters
class VAETransformer(DenseNetwork, OwnModules, Ordering, TableInput, FromPCA, BaseVariational):
    r"""A variational autoencoder that starts at probabilistic PCA and is not kept below it.

    A generative model of rows: a code z from a standard normal prior is
    decoded to a row, about which there is noise. The encoder gives the mean
    and the standard deviation of the code of a row. Training maximises the
    evidence lower bound of the log-likelihood, in nats:

    .. math:: \log p(x) \ge \mathrm{E}_{q(z|x)} \log p(x | z)
        - \beta \, \mathrm{KL}(q(z | x) \| p(z)), \quad
        q(z | x) = N(m(x), s(x)^2), \; p(z) = N(0, 1)

    with :math:`p(x | z) = N(\hat x(z), \sigma^2)`, one noise variance for all
    columns that is learned too (Rybkin et al., 2021), or independent
    Bernoulli columns. The networks are those of `AutoencoderTransformer`: a
    linear map plus a multi-layer perceptron whose output starts at zero. The
    linear maps start at probabilistic PCA, which is the optimum of a linear
    model of this kind (Lucas et al., 2019): before the first step the bound
    of a row *is* its ``PCA.score_samples``, with Gaussian noise, ``beta=1``
    and fewer components than the rank.

    **The floor** is that start, in this objective: the trained model is kept
    only where held-out rows show, by the rule of `AutoencoderTransformer`,
    that their bound is higher. With another ``beta`` it is the optimum of the
    linear model for that weight, and the objective is judged. The Bernoulli
    model starts at PCA's codes with a ridge logistic regression of the columns
    on them; where columns are independent that can be worse than their means
    alone.

    Parameters
    ----------
    n_components : int, float or None, default=0.95
        As in `AutoencoderTransformer`: a float is the share of the held-out
        variance that the reconstructions of the posterior means shall explain.
    beta : float, default=1.0
        Weight of the divergence from the prior: above 1 fewer units of the
        code are used, and more independently (Higgins et al., 2017).
    likelihood : {"gaussian", "bernoulli"}, default="gaussian"
        "bernoulli" is for columns within [0, 1]; ``inverse_transform`` then
        gives probabilities, and values between 0 and 1 count as shares.
    kl_warmup : int, default=0
        Epochs over which the weight of the divergence rises to ``beta`` in
        training. Held-out rows are judged at ``beta`` throughout, and the
        patience of early stopping begins where it is reached; let
        ``max_iter`` be larger. A warm start warms up again, ``partial_fit``
        does not.
    ordered : bool, default=False
        Order the components, as in `AutoencoderTransformer`. The noise, and
        with it what a unit can say, hangs on the number of components: each
        length of the code has a noise variance of its own, and posteriors and
        decoder follow it as in probabilistic PCA. So each prefix starts at
        the probabilistic PCA of its size, and the floor is the mean bound of
        these over the lengths. ``truncate(k)`` gives the first columns of
        this model's code in units of the prior: each times a constant, for
        with more noise the means are smaller. A prefix of the Bernoulli start
        is not a regression of its own, but the first columns of the whole
        one's weights; nor does the noise lead posteriors and decoder of a
        model with an ``encoder`` or ``decoder`` of your own, or without
        ``linear_path``.
    hidden_layer_sizes, activation, linear_path, encoder, decoder, \
    categorical_features, min_frequency, column_weights, batch_size, \
    learning_rate_init, alpha, optimizer, max_iter, \
    early_stopping, validation_fraction, n_iter_no_change, tol, warm_start, \
    callbacks, skorch_params, checkpoint, device, verbose, random_state
        As in `AutoencoderTransformer`; an ``encoder`` of your own gets
        ``2 * n_components`` outputs, the means and the logarithms of the
        variances, and ``tol`` is in nats a column.

    Attributes
    ----------
    active_units_ : ndarray of bool, shape (n_components_,)
        Units whose mean varies over the training rows, by a variance above
        0.01 (Burda et al., 2016); the others repeat the prior. With
        ``partial_fit`` this and the next are those of the last batch.
    kl_per_component_ : ndarray of shape (n_components_,)
        Mean divergence of each unit from the prior over the training rows,
        in nats.
    noise_variance_ : float
        :math:`\sigma^2`, in the squared units of X; PCA's where the floor
        holds. After ``truncate`` that of this length of the code. At least
        1e-8 of the mean variance of a column, so that no likelihood becomes
        infinite. Gaussian likelihood only.
    components_ : ndarray of shape (n_components_, n_features_in_)
        The linear part of the decoder, in units of X (Bernoulli: logits) per
        unit of the code: at the start PCA's axes times
        ``sqrt(explained_variance_ - noise_variance_)``. Absent with
        ``linear_path=None``.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        As in `AutoencoderTransformer`, of the posterior means'
        reconstructions. Where the floor holds for want of layers or rows it is
        that of probabilistic PCA on the training rows, whose means shrink:
        less than PCA's.
    validation_scores_ : list of float or None
        Mean bound of the held-out rows, in nats a row, epoch by epoch; the
        objective's value where ``beta`` is not 1; with ``ordered`` its mean
        over the lengths. Far rows are treated as in `AutoencoderTransformer`,
        but Bernoulli columns are not cut off.
    pca_score_ : float or None
        The same of the start: the floor.
    n_components_, mean_, scale_, n_iter_, best_iter_, loss_curve_, \
    history_, batch_size_, hidden_layer_sizes_, device_, module_, \
    n_features_in_, feature_names_in_
        As in `AutoencoderTransformer`; losses are negative objectives in nats
        a column.

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
    ``transform`` gives the posterior means, in the units of the prior: a
    standard normal draw is a legal code. The means shrink towards zero, so
    ``score``, the share of variance that their reconstructions explain, can
    lie below PCA's where ``score_samples`` is above; it is not the mean of
    ``score_samples``. With as many components as the rank, or more, no
    variance is left for the noise and the start is kept.

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

    O. Rippel, M. Gelbart, R. Adams. Learning ordered representations with
    nested dropout. ICML 2014. https://proceedings.mlr.press/v32/rippel14.html

    Examples
    --------
    Held-out log-likelihood in nats, beside PCA's, and new rows:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import VAETransformer
    >>> X = load_digits().data / 16
    >>> vae = VAETransformer(n_components=8, random_state=0).fit(X[:1300])
    >>> pca = PCA(n_components=8).fit(X[:1300])
    >>> bool(vae.score_samples(X[1300:]).mean() > pca.score(X[1300:]) + 5)
    True
    >>> vae.sample(3, random_state=0).shape
    (3, 64)

    One ordered fit serves every size, and each prefix is above PCA of its size:

    >>> vae = VAETransformer(n_components=4, ordered=True, random_state=0).fit(X[:1300])
    >>> pca = PCA(n_components=2).fit(X[:1300])
    >>> bool(vae.truncate(2).score_samples(X[1300:]).mean() > pca.score(X[1300:]))
    True
    """

    beta: float = 1.0
    likelihood: str = "gaussian"
    kl_warmup: int = 0

    _parameter_constraints = {
        "beta": [real(0)],
        "likelihood": [StrOptions({"gaussian", "bernoulli"})],
        "kl_warmup": [integer(0)],
    }
