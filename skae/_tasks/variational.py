"""Tasks with a distribution over codes: the variational autoencoder, and the conditional one."""

import warnings
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from skae._data.labels import Labels
from skae._data.marginals import steps
from skae._data.rows import WIDEST_COVARIANCE
from skae._linear.probabilistic import (
    ConditionalModel,
    ConditionalTableModel,
    LogisticModel,
    ProbabilisticModel,
    ProbabilisticTableModel,
    conditional_mixed,
    conditional_pca,
    logistic_pca,
    noise_unit,
    probabilistic_mixed,
    probabilistic_pca,
)
from skae._model.cells import cells_of
from skae._model.moments import shares_of
from skae._model.variational import ConditionalVAEModel, VariationalModel
from skae._tasks.base import LEAST_UNEXPLAINED, Task
from skae._tasks.head import logistic_head, ridge_head, some_of
from skae._training.held_out import FEWEST_ROWS
from skae.corruption import Draws, Sparing
from skae.losses import BernoulliLikelihood, DrawnDivergence, GaussianLikelihood, Objective
from skae.nn.autoencoders import (
    ConditionalAutoencoder,
    OrderedConditionalAutoencoder,
    OrderedVariationalAutoencoder,
    VariationalAutoencoder,
)
from skae.nn.build import divide_code, start_probabilistic
from skae.nn.cells import TableLikelihood

MOST_NATS = 300.0  # whose exponential, and the ratio of two, is in float64
HELD_OUT_DRAWS = 4  # codes a held-out row in the judgement
HEAD_SOLVER = {"maxiter": 200}


@dataclass(frozen=True, kw_only=True, eq=False)
class Variational(Task):
    """The evidence lower bound of the rows' log-likelihood.

    Attributes
    ----------
    beta, likelihood, kl_warmup, noise
        Parameters of the estimator.
    n_counted : int or None
        Columns that the likelihood counts; None for the decoder's outputs.
        Training may go along fewer axes.
    """

    beta: float = 1.0
    likelihood: str = "gaussian"
    kl_warmup: int = 0
    noise: str = "isotropic"
    n_counted: int | None = None

    ARCHITECTURE: ClassVar = (
        *(name for name in Task.ARCHITECTURE if name != "whiten"),
        "likelihood",
        "noise",
    )
    EARLIER: ClassVar = {"noise": "isotropic"}
    model: ClassVar = VariationalModel
    module: ClassVar = VariationalAutoencoder
    linear_model_of_table: ClassVar = ProbabilisticTableModel
    baseline_name: ClassVar = "linear baseline"
    least_range: ClassVar = 3.0
    input_noise: ClassVar = 0.5
    fineness: ClassVar = 0.4
    cool_down: ClassVar = 0.3  # after more of them it is too sure of itself
    offset: ClassVar = True

    @property
    def is_bernoulli(self):
        return self.likelihood == "bernoulli"

    def check(self):
        if self.is_bernoulli and self.schema.blocks is not None:
            raise ValueError(
                "likelihood='bernoulli' takes complete numeric columns within [0, 1], but X has "
                "missing cells, categories or dates: take likelihood='gaussian', which treats "
                "categories as such."
            )
        if self.noise == "columns" and self.is_bernoulli:
            raise ValueError(
                "noise='columns' is of numbers with Gaussian noise, but likelihood='bernoulli' has none: "
                "take noise='isotropic'."
            )
        if self.noise == "columns" and self.schema.width > WIDEST_COVARIANCE:
            raise ValueError(
                f"noise='columns' needs the covariance of the columns, which is not formed of more than "
                f"{WIDEST_COVARIANCE}, but X has {self.schema.width}: take noise='isotropic'."
            )

    def check_rows(self, X):
        if self.is_bernoulli and self.schema.blocks is None:
            self.schema.refuse_beyond_unit(X)

    @property
    def warm_up(self):
        """Epochs in which the weight of the divergence rises."""
        return self.kl_warmup

    @property
    def n_columns(self):
        return self.n_counted or self.schema.width

    @property
    def n_within_range(self):
        # a one in a column of zeros is no number too large: the likelihood must feel it
        return 0 if self.is_bernoulli else super().n_within_range

    @property
    def is_linear(self):
        return super().is_linear and not self.is_bernoulli

    @property
    def is_normal(self):
        return self.is_linear

    @property
    def can_turn(self):
        return not (self.has_own_modules or self.is_bernoulli or self.noise == "columns")

    def inside(self, space, n_rows):
        return replace(super().inside(space, n_rows), n_counted=self.schema.width)

    # where training starts --------------------------------------------------------------------

    @property
    def linear_model(self):
        return LogisticModel if self.is_bernoulli else ProbabilisticModel

    def baseline(self, rows, n_components, rng):
        if self.is_bernoulli:
            return logistic_pca(rows, n_components, rng)
        noise = self.noise, self._variance_of_grid(rows)
        if rows.blocks is not None:
            return probabilistic_mixed(rows, n_components, rng, *noise)
        return probabilistic_pca(rows, n_components, rng, self.beta, *noise)

    def _variance_of_grid(self, rows):
        """Return the variance that rounding to its grid gives a column, (n_numbers,), as rows count it."""
        if self.noise == "isotropic" or rows.reduce.shared:  # processes would find other grids
            return 0.0
        encoder, blocks, found = self.schema.encoder, self.schema.blocks, steps(rows, self.schema)
        if encoder is not None:
            found = found / encoder.scale_[blocks.numbers] * blocks.metric[: len(found)]
        return found**2 / 12

    def baseline_is_best(self, baseline):
        if self.is_bernoulli:  # its baseline is no optimum, even of a linear model
            return not baseline.column_weights.any()
        return super().baseline_is_best(baseline)

    def noise_unit(self, baseline):
        return noise_unit(baseline, self.schema.blocks)

    # the network ------------------------------------------------------------------------------

    def build(self, generator, linear=False):
        """Return a module; one whose code may be cut has a noise for each length."""
        halves = super().build(generator, linear).halves
        n_noises = self.schema.n_numbers if self.noise == "columns" else 0
        if not self.prefixes:
            return VariationalAutoencoder(*halves, n_noises)
        return OrderedVariationalAutoencoder(*halves, self.size, n_noises)

    def start_at(self, module, baseline):
        self.fill_by(module, baseline)
        if module.least_log_noises is not None:
            least = np.log(baseline.least_noises / self.noise_unit(baseline))
            module.least_log_noises.copy_(torch.from_numpy(least))
        if self.has_baseline:
            start_probabilistic(module, baseline, self.noise_unit(baseline))

    def freeze(self, module):
        """Take a Bernoulli encoder's linear map from training, where it has more than that."""
        if self.is_bernoulli and self.has_baseline:
            # a one in a column of zeros is many deviations off: Adam would throw its row's code
            beside = module.encoder.nonlinear is not None
            module.encoder.linear.weight.requires_grad_(not beside)

    @torch.no_grad()
    def settle(self, module, baseline, rows, device):
        """Raise the noise of columns to the mean square of what is left of the training rows.

        Steps of a limited length see little of a row far from all others, and make the noise of its
        columns too small.
        """
        if module.log_noise_ratios is None:
            return False
        n, (mean, scale) = self.schema.n_numbers, baseline.units
        generator = torch.Generator().manual_seed(0)

        def squares(x, weight):
            x = torch.from_numpy((x - mean) / scale).float()
            draws = torch.randn(len(x), HELD_OUT_DRAWS, self.size, generator=generator)
            rest = module.eval()((x.to(device), draws.to(device))).reconstruction.cpu()
            rest = (rest[..., :n] - x[:, :n]).square().mean(0).double().numpy()
            return np.stack([weight @ np.nan_to_num(rest, nan=0.0), weight @ ~np.isnan(rest)])

        total, count = rows.sum(squares)
        variances = baseline.scale[:n] ** 2 / self.noise_unit(baseline) / baseline.noise_ratios
        asked = np.log(np.maximum(variances * total / np.maximum(count, 1), np.finfo(float).tiny))
        level = module.noise_of_whole().clamp(min=module.LEAST_LOG_NOISE)
        asked = torch.from_numpy(asked).to(level) - level
        module.log_noise_ratios.copy_(torch.maximum(module.log_noise_ratios, asked))
        return True

    def calibrate(self, module, baseline, rows, device):
        """Scale the code to a mean square of 1 over the rows, as the prior's.

        The decoder undoes it, so the divergence falls and nothing else changes:
        weight decay favours larger codes with a flatter decoder.
        """
        module = module.double().eval()
        mean, scale = baseline.units

        def squares(x, weight):
            code, log_variance = module.posterior(torch.from_numpy((x - mean) / scale).to(device))
            return torch.from_numpy(weight).to(code) @ (code**2 + log_variance.exp())

        with torch.no_grad():
            divide_code(module, (rows.sum(squares) / len(rows)).sqrt())
        module.float()  # what training goes on with, to the bit

    # what is minimised ------------------------------------------------------------------------

    def objective(self, baseline):
        """Return minus the bound, in nats a column: of the size that training is set up for."""
        share = 1 / self.n_columns
        return Objective(
            rising="divergence",
            likelihood=(self.likelihood_term(baseline, torch.float32), share),
            divergence=(DrawnDivergence(), self.beta * share),
        )

    def likelihood_term(self, baseline, dtype):
        """Return the term of the objective that compares rows with their reconstruction."""
        if self.schema.blocks is not None:
            return self._likelihood_of_table(baseline, dtype)
        if self.is_bernoulli:
            parts = baseline.mean, baseline.scale, baseline.level
            return BernoulliLikelihood(*(torch.as_tensor(part, dtype=dtype) for part in parts))
        unit = self.noise_unit(baseline)
        weights = baseline.scale**2 / unit / baseline.noise_ratios
        unit *= np.exp(np.mean(np.log(baseline.noise_ratios)))
        if dtype == torch.float32:  # in training a constant column counts at most as a usual one
            constant = baseline.column_weights == 0
            weights[constant] = np.minimum(weights[constant], 1.0)
        return GaussianLikelihood(torch.as_tensor(weights, dtype=dtype), unit, self.n_columns)

    def _likelihood_of_table(self, baseline, dtype):
        blocks, encoder = self.schema.blocks, self.schema.encoder
        n, unit = len(blocks.numbers), self.noise_unit(baseline)
        log_units = np.zeros(n)
        if encoder is not None:
            log_units = np.log(encoder.scale_[blocks.numbers] / blocks.metric[:n])
        log_units = log_units + np.log(baseline.noise_ratios) / 2
        variances, log_units = (
            torch.as_tensor(part, dtype=dtype)
            for part in (baseline.scale[:n] ** 2 / unit / baseline.noise_ratios, log_units)
        )
        cells = cells_of(self.schema, baseline, dtype)
        return TableLikelihood(cells, variances, unit, log_units)

    def hiding(self, noise):
        """Return the noise: hidden cells would count as noise, and nothing is copied anyway."""
        return noise

    def corruption(self, baseline):
        return Draws(len(baseline.deviations), noise=super().corruption(baseline))

    def held_out_corruption(self, baseline):
        return Draws(len(baseline.deviations), HELD_OUT_DRAWS)

    def corruption_afterwards(self, baseline):
        # draws for a row that is far from all others may be decoded to anything, and rule the mean
        return Draws(len(baseline.deviations), n_draws=0)

    # judging ----------------------------------------------------------------------------------

    def score(self, loss):
        return -loss * self.n_columns

    def error(self, loss):
        # nats a column: half the logarithm of a variance
        return np.exp(np.clip(2 * loss, -MOST_NATS, MOST_NATS))

    def reconstruct_prefix(self, module, baseline, inputs, *mask):
        x, draws = inputs
        rows = module((x, torch.zeros_like(draws[:, 0])), *mask).reconstruction
        if not self.is_bernoulli:
            return rows
        level, mean, scale = (
            torch.as_tensor(part, dtype=rows.dtype, device=rows.device)
            for part in (baseline.level, baseline.mean, baseline.scale)
        )
        return (torch.addcmul(level, rows, scale).sigmoid() - mean) / scale

    def describe(self, model, rows):
        rng = np.random.RandomState(0)  # each fit draws the same

        def squares(x, weight):
            mean, std = model.posterior(x)
            parts = [weight @ part for part in (mean**2, std**2, np.log(std))]
            return weight @ mean, np.stack(parts), model.squares_of_draws(x, weight, rng)

        total, squares, of_draws = rows.raw_sum(squares)
        square, variance, logarithm = squares / len(rows)
        spread = square - (total / len(rows)) ** 2
        moments = np.column_stack([square, spread, variance, 2 * logarithm])
        n = rows.n_repeated
        known = model.unit_statistics(moments) | shares_of(model)
        known |= {"n_samples_": n, "explained_variance_": spread * n / max(n - 1, 1)}
        if not self.is_bernoulli and self.n_counted is None:
            going = model.joint_of(of_draws, rows) | model.marginals_of(rows)
            known |= going | model.told_by(rows, going)
        labels_say_all = self.n_labels and model.baseline.unexplained < LEAST_UNEXPLAINED
        silent = not (known["active_units_"].any() or labels_say_all)
        if len(rows) >= FEWEST_ROWS and silent:
            warnings.warn(
                f"No unit of the code is active, of {self.size}: codes say nothing about the rows. "
                "Lower beta, set kl_warmup, or check whether the columns are correlated at all.",
                UserWarning,
                stacklevel=2,
            )
        return known


@dataclass(frozen=True, kw_only=True, eq=False)
class Conditional(Variational):
    """The bound of the rows' log-likelihood given their labels."""

    labels: Labels | None = None

    ARCHITECTURE: ClassVar = tuple(name for name in Variational.ARCHITECTURE if name != "noise")
    EARLIER: ClassVar = {"ordered": False}
    model: ClassVar = ConditionalVAEModel
    linear_model: ClassVar = ConditionalModel
    linear_model_of_table: ClassVar = ConditionalTableModel

    @property
    def n_inputs(self):
        return super().n_inputs + self.n_labels

    @property
    def n_labels(self):
        return self.labels.width

    def chooses_size(self, early_stopping):
        """A share is that of what the labels leave, and PCA's."""
        return False

    @property
    def can_turn(self):
        """Labels are columns of their own: training goes along the columns."""
        return False

    def going_on(self, fitted):
        return replace(super().going_on(fitted), labels=fitted.labels)

    def restored(self, state):
        labels = Labels(**state.pop("_labels"))
        labels.check()
        for name in ("label_coef_", "label_intercept_"):
            state[name]  # KeyError: a model that cannot infer labels
        return replace(super().restored(state), labels=labels)

    def baseline(self, rows, n_components, rng):
        if rows.blocks is not None:
            return conditional_mixed(rows, n_components, rng)
        return conditional_pca(rows, n_components, rng, self.beta)

    def build(self, generator, linear=False):
        halves = super().build(generator, linear).halves
        if not self.prefixes:
            return ConditionalAutoencoder(*halves, self.n_labels)
        return OrderedConditionalAutoencoder(*halves, self.size, self.n_labels)

    def fill_by(self, module, baseline):
        if module.missing is not None:
            effects = baseline.taken / baseline.scale
            module.missing.learn(baseline.loadings, baseline.precision, effects)

    def corruption(self, baseline):
        draws = super().corruption(baseline)
        if draws.noise is None:
            return draws
        return replace(draws, noise=Sparing(draws.noise, self.n_labels))

    def describe(self, model, rows):
        return super().describe(model, rows) | self._head(model.baseline, rows)

    def _head(self, baseline, rows):
        """Solve what infers labels, on standardised rows, or some of them where there are many.

        Missing cells count as means.
        """
        part = some_of(rows, rows.width)
        both = part.take(slice(None)).astype(np.float64)
        x, coded = np.hsplit(both, [self.schema.width])
        x = np.nan_to_num((x - baseline.mean) / baseline.scale, nan=0.0)
        weight = np.ones(len(x)) if part.weight is None else part.weight
        solved = []
        for block, known in zip(self.labels.slices, self.labels.classes, strict=True):
            if known is None:
                solved.append(ridge_head(x, coded[:, block], weight))
            else:
                shares = coded[:, block] + self.labels.mean[block]
                solved.append(logistic_head(x, shares, weight, HEAD_SOLVER))
        coef, intercept = (np.concatenate(parts) for parts in zip(*solved, strict=True))
        coef = coef / baseline.scale
        return {"label_coef_": coef, "label_intercept_": intercept - coef @ baseline.mean}
