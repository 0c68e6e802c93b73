"""Fitted models with a distribution over codes."""

import numpy as np
import torch
from scipy.special import expit

from skae._data.marginals import Marginals
from skae._model.cells import cells_of
from skae._model.likelihood import lower_bound
from skae._model.model import Model
from skae._model.scores import dense
from skae.losses import DrawnDivergence

ACTIVE = 0.01  # variance of a unit's posterior means above which it says something
DRAW_SEED = 0  # of the model's marginals: the same draws at every call
MARGINAL_DRAWS = 2**15  # rows that show what the model's own marginals are
MARGINAL_CELLS = 2**23


class VariationalModel(Model):
    """A model whose codes are Gaussian, given a row."""

    ATTRIBUTES = (
        *Model.ATTRIBUTES,
        "_code_moments",
        "kl_per_component_",
        "active_units_",
        "_marginals",
    )
    own_noise = True

    def loadings(self):
        """Return the linear part of the decoder, whose codes have the prior's variance of 1."""
        return self.attributes["components_"]

    @property
    def noise_variance(self):
        """Of the Gaussian likelihood, in the squared units of X."""
        return self.attributes["noise_variance_"]

    def posterior(self, X):
        """Return mean and standard deviation of the code of rows."""
        posterior, k = self.module_in(X.dtype).posterior, self.task.size
        both = self.apply_to_rows(X, lambda x: torch.cat(posterior(x), dim=1), 2 * k)
        mean, log_variance = np.hsplit(both, 2)
        return mean, np.exp(log_variance / 2)

    def draw_codes(self, X, rng):
        """Return a code of every row, drawn from its distribution, as the decoder takes it."""
        mean, std = self.posterior(X)
        return mean + std * rng.standard_normal(mean.shape).astype(mean.dtype)

    def log_likelihood(self, X, n_draws):
        """Return a lower bound of every row's log-likelihood, in nats."""
        return lower_bound(self._log_weights, X, n_draws, self)

    def _log_weights(self, X, draws):
        """Return log p(x|z)p(z)/q(z|x), of shape (n_draws, n_samples)."""
        mean, scale = self.baseline.units
        x = torch.from_numpy((self.wide(X) - mean) / scale).to(self.device)
        draws = torch.from_numpy(draws).to(x).expand(len(x), -1, -1)
        with torch.inference_mode():
            outputs = self.module((x, draws))
            likelihood = self.task.likelihood_term(self.baseline, torch.float64).to(x.device)
            nats = -likelihood(outputs, x) - DrawnDivergence()(outputs, x)
            if self.schema.blocks is not None:
                nats -= self._nats_of_unseen(X, x, outputs.reconstruction, likelihood)
        return nats.cpu().numpy()

    def _nats_of_unseen(self, X, x, reconstruction, likelihood):
        """Return what levels that fit did not see cost beyond what the likelihood takes them for."""
        unseen = self.schema.blocks.unseen(X)
        if not unseen.any():
            return 0.0
        least = torch.from_numpy(self.schema.least_of_unseen()).to(x)
        cells = likelihood.cells
        more = cells.nats_of_unseen(reconstruction, least) - cells.nats(reconstruction, x)
        return (more * torch.from_numpy(unseen).to(x)).sum(-1)

    def sample(self, codes, rng):
        """Return the coded table of codes, each cell drawn from its distribution."""
        if self.schema.blocks is not None:
            return self._sample_cells(codes, rng)
        drawn = self.decode(codes)
        if self.task.is_bernoulli:
            return (rng.random_sample(drawn.shape) < drawn).astype(drawn.dtype)
        noise = rng.standard_normal(drawn.shape)
        return drawn + (np.sqrt(self.noise_variance) * noise).astype(drawn.dtype)

    def _sample_cells(self, codes, rng):
        def draw(probabilities):
            at = torch.from_numpy(rng.random_sample((*probabilities.shape[:-1], 1)))
            below = probabilities.cumsum(-1) < at.to(probabilities)
            return below.sum(-1).clamp(max=probabilities.shape[-1] - 1)

        coded, numbers = self.decode_cells(codes, draw), self.schema.blocks.numbers
        metric = self.schema.blocks.metric[: len(numbers)]
        deviation = np.sqrt(self.noise_variance) / metric
        coded[:, numbers] += deviation * rng.standard_normal((len(codes), len(numbers)))
        return coded

    def decode_levels(self, Z):
        """Return the same; Bernoulli columns as `decode` does."""
        return self.decode(Z) if self.task.is_bernoulli else super().decode_levels(Z)

    # numbers as they are in the training rows -------------------------------------------------

    def marginals_of(self, rows):
        """Return what the numbers of training rows look like, beside those before, by name."""
        found = Marginals.learn(rows, self.schema, self.marginals)
        return {} if found is None else {"_marginals": found.state()}

    @property
    def marginals(self):
        """The `Marginals` of the training rows; None of a file of old, or of very many columns."""
        state = self.attributes.get("_marginals")
        return None if state is None else Marginals(**state)

    def matched(self, coded):
        """Return the numbers of drawn rows, mapped to the training quantiles, by their places.

        The map of a column takes the quantiles of the model's own draws to
        those of the training rows: no order of two draws changes.
        """
        marginals = self.marginals
        if marginals is None:
            return None
        return {
            place: marginals.cells(
                number, np.interp(x, self.drawn_quantiles[:, number], marginals.shares)
            )
            for number, (place, x) in enumerate(self._numbers(coded, marginals.places))
        }

    def _numbers(self, coded, places):
        """Yield the places of columns, and their cells in units of X."""
        for place in places:
            yield place, self.schema.in_units(place, coded[:, place].astype(np.float64))

    @property
    def drawn_quantiles(self):
        """Quantiles of the model's own draws, (n_levels, n_numbers), in units of X; drawn once."""
        if "_drawn_quantiles" not in self.__dict__:
            marginals, rng = self.marginals, np.random.RandomState(DRAW_SEED)
            n = min(MARGINAL_DRAWS, MARGINAL_CELLS // max(1, self.schema.width))
            coded = self.sample(self.prior_codes(n, rng), rng)
            columns = [x for _, x in self._numbers(coded, marginals.places)]
            found = [np.quantile(x, marginals.shares) for x in columns]
            self._drawn_quantiles = np.array(found).reshape(-1, len(marginals.shares)).T
        return self._drawn_quantiles

    # rows of which some cells are known -------------------------------------------------------

    def cells_given(self, Z, coded):
        """Return coded tables of codes: numbers, and of categories the nats of those of a row.

        Parameters
        ----------
        Z : ndarray of shape (n_codes, n_components)
            Labels beside them, where the model has some.
        coded : ndarray of shape (n_columns,)
            The row as the schema codes it, NaN where nothing is known.
        """
        if self.schema.blocks is None:
            return self.decode(Z)
        n, cells = self.schema.n_numbers, cells_of(self.schema, self.baseline, torch.float64)
        mean, scale = self.baseline.mean, self.baseline.scale
        row = (self.schema.wide(coded[None], mean) - mean) / scale
        cells, row = cells.to(self.device), torch.from_numpy(row).to(self.device)

        def both(z):
            made = self.module.decoder(z)
            return torch.cat([made[:, :n], cells.nats(made, row.expand(len(z), -1))], dim=1)

        found = self._apply_to_codes(Z, both, cells.n_cells)
        return self.schema.coded(found, self.baseline.mean, self.baseline.scale)

    def deviation(self, place):
        """Return the standard deviation of the noise of a column of numbers, in units of X."""
        blocks, number = self.schema.blocks, place
        if blocks is not None:
            number = np.flatnonzero(blocks.numbers == place)[0]
        deviation = np.sqrt(np.broadcast_to(self.noise_variance, self.schema.n_numbers)[number])
        if blocks is not None:
            deviation = deviation / blocks.metric[number]
        return self.schema.in_units(place, deviation) - self.schema.in_units(place, 0.0)

    def bounds(self, place, cell):
        """Return what draws lie between that are matched to a number of a column, in units of X."""
        number = np.flatnonzero(self.marginals.places == place)[0]
        shares = self.marginals.share_of(number, cell)
        drawn = self.drawn_quantiles[:, number]
        low, high = np.interp(shares, self.marginals.shares, drawn)
        return -np.inf if shares[0] == 0 else low, np.inf if shares[1] == 1 else high

    def prior_codes(self, n, rng):
        """Return codes as the decoder takes them, drawn from the prior."""
        return rng.standard_normal((n, self.task.size))

    def _to_units_of_x(self, rows):
        if not self.task.is_bernoulli:
            return super()._to_units_of_x(rows)
        rows *= self.baseline.scale.astype(rows.dtype)
        rows += self.baseline.level.astype(rows.dtype)
        return expit(rows, out=rows)

    # change -----------------------------------------------------------------------------------

    def truncated(self, k):
        """Return the model of the first ``k`` components: with more noise, and so smaller means."""
        factor, log_factor = (f[:k].numpy(force=True) for f in self.module.factors(k))
        now = super().truncated(k)
        if "components_" in now.attributes:
            now.attributes["components_"] = factor[:, None] * now.attributes["components_"]
        if "explained_variance_" in now.attributes:
            now.attributes["explained_variance_"] = (
                factor**2 * now.attributes["explained_variance_"]
            )
        if "_code_moments" in now.attributes:
            square, spread, variance, logarithm = now.attributes["_code_moments"][:k].T
            moments = factor**2 * square, factor**2 * spread, np.exp(log_factor) * variance
            moments = np.column_stack([*moments, logarithm + log_factor])
            now.attributes |= now.unit_statistics(moments)
        return now

    def outside(self, space, rows, task):
        """Return the model of coordinates as one of the columns, for their task and rows."""
        inside = self.task.noise_unit(self.baseline)
        now = super().outside(space, rows, task)
        if not task.is_bernoulli:
            now.attributes |= now.marginals_of(rows)
        if now.nonlinear:
            for name in ("log_noise", "log_spread"):
                if hasattr(now.module, name):
                    part = getattr(now.module, name)
                    part += np.log(inside / task.noise_unit(now.baseline))
        return now

    def unit_statistics(self, moments):
        """Return what moments of the posteriors say of the units, and the noise.

        Parameters
        ----------
        moments : ndarray of shape (n_components, 4)
            Mean square and variance of the posterior means, mean of the
            posterior variances, and of their logarithms.
        """
        square, spread, variance, logarithm = moments.T
        known = {
            "_code_moments": moments,
            "kl_per_component_": (square + variance - 1 - logarithm) / 2,
            "active_units_": spread > ACTIVE,
        }
        if not self.task.is_bernoulli:
            log_noise = float(self.module.noise_of_whole())
            log_noise = max(log_noise, self.module.LEAST_LOG_NOISE)
            noise = self.task.noise_unit(self.baseline) * np.exp(log_noise)
            ratios = self.module.noise_ratios()
            if ratios is not None:
                noise = noise * self.baseline.noise_ratios * np.exp(ratios.numpy(force=True))
            known["noise_variance_"] = noise
        return known


class ConditionalVAEModel(VariationalModel):
    """A variational model of rows that have their coded labels beside them."""

    ATTRIBUTES = (*VariationalModel.ATTRIBUTES, "label_coef_", "label_intercept_")

    def wide(self, X):
        """Return rows as the network's columns, their labels last."""
        rows, labels = self._split(X)
        return np.hstack([self.schema.wide(rows, self.baseline.mean), labels])

    def reconstruct_cells(self, X):
        """Return the coded table that is made of rows, given their labels."""
        return self.decode_cells(self._with_labels(X))

    def reconstruct(self, X):
        """Return rows of numbers, dense, and their reconstruction, given their labels."""
        return self._split(X)[0], self.decode(self._with_labels(X))

    def draw_codes(self, X, rng):
        """Return a code of every row, drawn from its distribution, with its labels."""
        return np.hstack([super().draw_codes(X, rng), self._split(X)[1]])

    def prior_codes(self, n, rng):
        """Return codes with labels that are drawn as in the training rows."""
        labels = self.task.labels.draw(n, rng)
        return np.hstack([super().prior_codes(n, rng), labels])

    def _with_labels(self, X):
        return np.hstack([self.encode(X), self._split(X)[1]])

    def _split(self, X):
        """Return rows and their labels, dense."""
        return np.hsplit(dense(X), [self.schema.n_features])

    def head_inputs(self, X):
        """Return rows without labels as what infers these reads them."""
        mean = self.baseline.mean
        wide = X if self.schema.blocks is None else self.schema.wide(X, mean)
        return self.schema.filled(wide, mean)

    def state(self):
        """Return arrays and builtins."""
        return super().state() | {"_labels": vars(self.task.labels).copy()}
