"""Fitted models with a distribution over codes."""

from dataclasses import replace

import numpy as np
import torch
from scipy.special import expit

from skae._data.marginals import Marginals
from skae._model.full_conditionals import PROVING_ROWS, FullConditionals, full_conditionals_of
from skae._model.joint import (
    LARGEST,
    Joint,
    bounds_of_level,
    covariance,
    level_at,
    mixture_of,
    residual_of_level,
    squares,
)
from skae._model.judge import Judge, judge_of
from skae._model.likelihood import lower_bound
from skae._model.model import Model
from skae._model.scores import dense
from skae.losses import DrawnDivergence

ACTIVE = 0.01  # variance of a unit's posterior means above which it says something
DRAW_SEED = 0  # of the model's marginals: the same draws at every call
MARGINAL_DRAWS = 2**14, 2**15  # rows that show what the model's own marginals are: fewest and most
DRAWN_FOR_EACH_SEEN = 16  # of these, for a row fitted to
MARGINAL_CELLS = 2**23
MOST_JOINT = 512  # units of a code and columns, of which the covariance is kept
MOST_MIXED = 128  # of which a mixture is
FEWEST_OF_MIXTURE = 100  # rows
MOST_OF_MIXTURE = 4000
DRAWS_OF_MIXTURE = 2  # codes of each row
FEWEST_JUDGED = 200  # rows
MOST_JUDGED = 10_000
DRAWN_FOR_EACH = 4  # of them
CANDIDATES = 10  # of which one is chosen
CHOSEN_CELLS = 2**20  # of candidates at a time


class VariationalModel(Model):
    """A model whose codes are Gaussian, given a row."""

    ATTRIBUTES = (
        *Model.ATTRIBUTES,
        "_code_moments",
        "kl_per_component_",
        "active_units_",
        "_marginals",
        "_joint_covariance",
        "_joint_mixture",
        "_judge",
        "_full_conditionals",
    )
    own_noise = True

    def loadings(self):
        """Return the linear part of the decoder, whose codes have the prior's variance of 1."""
        return self.attributes["components_"]

    @property
    def noise_variance(self):
        """Of the Gaussian likelihood, in the squared units of X."""
        log_noise = max(float(self.module.noise_of_whole()), self.module.LEAST_LOG_NOISE)
        noise = self.task.noise_unit(self.baseline) * np.exp(log_noise)
        ratios = self.module.noise_ratios()
        if ratios is None:
            return noise
        return noise * self.baseline.noise_ratios * np.exp(ratios.numpy(force=True))

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

    def sample(self, codes, rng, joint=None):
        """Return the coded table of codes, each cell drawn from its distribution.

        With a `Joint` the codes are its units, and residuals follow them.
        """
        if self.task.is_bernoulli:
            drawn = self.decode(codes)
            return (rng.random_sample(drawn.shape) < drawn).astype(drawn.dtype)
        codes, means, own = self.parted(codes, joint)
        residuals = means + own * rng.standard_normal((len(codes), self.n_cells))
        return self._cells_at(self.decode_levels(codes), residuals.astype(codes.dtype))

    def _cells_at(self, decoded, residuals):
        """Return the coded table at residuals of what is decoded."""
        n, blocks = self.schema.n_numbers, self.schema.blocks
        numbers = decoded[:, :n] + self.deviations.astype(decoded.dtype) * residuals[:, :n]
        if blocks is None:
            self._to_units_of_x(numbers)
            return numbers
        levels = [
            level_at(decoded[:, of_levels], residuals[:, cell])
            for cell, _, of_levels in self._categories()
        ]
        values = np.column_stack([numbers, *levels]).astype(decoded.dtype)
        return self.schema.coded(values, self.baseline.mean, self.baseline.scale)

    def _categories(self):
        """Yield the cell, the place in the table, and the decoder's outputs of each category."""
        blocks = self.schema.blocks
        if blocks is None:
            return
        starts = zip(blocks.categories, blocks.starts, blocks.sizes, strict=True)
        for cell, (place, first, size) in enumerate(starts, self.schema.n_numbers):
            yield cell, place, slice(first, first + size)

    @property
    def n_cells(self):
        """Number of cells of a row: numbers, then categories."""
        blocks = self.schema.blocks
        return self.schema.n_features if blocks is None else len(blocks.first)

    @property
    def deviations(self):
        """Of the noise of numbers, (n_numbers,), in the module's units."""
        n = self.schema.n_numbers
        return np.sqrt(np.broadcast_to(self.noise_variance, n)) / self.baseline.scale[:n]

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

    def on_grid(self, coded):
        """Return the numbers of drawn rows, by their places: the nearest ones that training rows may hold."""
        marginals = self.marginals
        if marginals is None:
            return {}
        return {
            place: marginals.on_grid(number, x)
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
            self._drawn_quantiles = self._quantiles_of(self._marginal_draws())
        return self._drawn_quantiles

    def _marginal_draws(self):
        """Return the coded table that shows what the model's own marginals are: always the same."""
        n = np.clip(DRAWN_FOR_EACH_SEEN * self.marginals.weight, *MARGINAL_DRAWS)
        n = min(int(n), MARGINAL_CELLS // max(1, self.schema.width))
        joint, rng = self.joint, np.random.RandomState(DRAW_SEED)
        return self.sample(self.prior_codes(n, rng, joint), rng, joint)

    def _quantiles_of(self, coded):
        """Return the quantiles of the numbers of a coded table, (n_levels, n_numbers)."""
        marginals = self.marginals
        columns = [x for _, x in self._numbers(coded, marginals.places)]
        found = [np.quantile(x, marginals.shares) for x in columns]
        return np.array(found).reshape(-1, len(marginals.shares)).T

    # codes and residuals that go together -----------------------------------------------------

    def squares_of_draws(self, X, weight, rng):
        """Return the sum over rows that `joint_of` needs; 0 where there are too many columns."""
        if self.task.is_bernoulli or self.task.size + self.n_cells > MOST_JOINT:
            return np.zeros((0, 0))
        return squares(self._codes_and_residuals(X, rng), weight)

    def _codes_and_residuals(self, X, rng):
        """Return a draw of both for every row, (n_samples, n_units), float64: outliers count as `LARGEST`."""
        codes = self.draw_codes(X, rng)
        residuals = self._residuals(X, self.decode_levels(codes), rng)
        return np.hstack([codes[:, : self.task.size], residuals]).clip(-LARGEST, LARGEST)

    def _residuals(self, X, decoded, rng):
        """Return the residuals of the cells of rows, (n_samples, n_cells), float64; draws where missing."""
        found, n = rng.standard_normal((len(decoded), self.n_cells)), self.schema.n_numbers
        mean, scale = self.baseline.units
        numbers = (self.wide(X)[:, :n] - mean[:n]) / scale[:n] - decoded[:, :n]
        numbers /= np.maximum(self.deviations, np.finfo(float).tiny)
        found[:, :n] = np.where(np.isnan(numbers), found[:, :n], numbers)
        for cell, place, of_levels in self._categories():
            known = X[:, place] < of_levels.stop - of_levels.start  # neither missing nor unseen
            codes = X[known, place].astype(int)
            found[known, cell] = residual_of_level(decoded[known, of_levels], codes, rng)
        return found

    def joint_of(self, sums, rows):
        """Return the covariance of codes and residuals, with that of rows before, or a mixture, by name."""
        if not sums.size:
            return {}
        now, before = covariance(sums, len(rows)), self.attributes.get("_joint_covariance")
        if before is not None:
            share = self.marginals.weight / (self.marginals.weight + rows.n_repeated)
            now = share * before + (1 - share) * now
        self.attributes.pop("_joint_mixture", None)
        mixture = self._mixture(rows, now) if before is None else {}
        return {"_joint_covariance": now} | ({"_joint_mixture": mixture} if mixture else {})

    def _mixture(self, rows, covariance):
        """Return the mixture of the codes and residuals of rows, by name; {} of none."""
        if len(rows) < FEWEST_OF_MIXTURE or len(covariance) > MOST_MIXED:
            return {}
        rng = np.random.RandomState(0)  # each fit draws the same
        rows = rows.some(MOST_OF_MIXTURE, rng).in_memory(MOST_OF_MIXTURE)
        X = rows.raw(slice(None))
        draws = [self._codes_and_residuals(X, rng) for _ in range(DRAWS_OF_MIXTURE)]
        weight = np.ones(len(rows)) if rows.weight is None else rows.weight
        return mixture_of(np.array(draws), weight, covariance, rng)

    @property
    def joint(self):
        """The `Joint` of the training rows; None of a file of old, or of many columns."""
        known = self.attributes.get("_joint_covariance")
        if known is None or self.marginals is None:
            return None
        mixture = self.attributes.get("_joint_mixture", {"covariances": known[None]})
        return Joint.of(self.task.size, **mixture)

    def parted(self, units, joint):
        """Return codes, means of the residuals, and what these have to themselves."""
        return (units, 0.0, 1.0) if joint is None else joint.split(units)

    # draws that pass for rows -----------------------------------------------------------------

    def told_by(self, rows, known):
        """Return what makes draws pass for rows, with the attributes ``known``, by name; {} where nothing is proven."""
        going_on = "_joint_covariance" in self.attributes
        for name in ("_judge", "_full_conditionals"):
            self.attributes.pop(name, None)
        few = len(rows) < FEWEST_JUDGED
        if going_on or few or not {"_joint_covariance", "_marginals"} <= known.keys():
            return {}
        rng = np.random.RandomState(0)  # each fit draws the same
        now = replace(self, attributes=self.attributes | known)
        rows = rows.some(MOST_JUDGED, rng).in_memory(MOST_JUDGED)
        drawn = now._marginal_draws()  # as many as are looked at anyway
        now._drawn_quantiles = now._quantiles_of(drawn)
        coded, numbers = now._whole(rows.raw(slice(None)), rng)
        real = now.looks(coded, numbers)
        n_columns, marginals = real.shape[1], now.marginals  # labels are the last ones
        levels = np.zeros(n_columns, dtype=int)
        levels[: self.schema.n_features] = self.schema.n_levels
        repeats = levels > 0
        repeats[marginals.places[marginals.listed]] = True
        n_judged, n_proving = DRAWN_FOR_EACH * len(rows), CANDIDATES * PROVING_ROWS
        drawn = now.looks(drawn[: max(n_judged, n_proving if repeats.any() else 0)])
        weight = np.ones(len(rows)) if rows.weight is None else rows.weight
        judge, log_odds = judge_of(real, weight, drawn[:n_judged], rng)
        suspect = np.zeros(n_columns)
        if judge and repeats.any():
            suspect, drawn = Judge(**judge).n_splits(n_columns), drawn[:n_proving]
            drawn = drawn[_chosen(drawn, log_odds, rng)]
        for place, cells in numbers.items():
            coded[:, place] = cells
        suspect = np.where(repeats, suspect, -1)
        found = full_conditionals_of(real, coded, weight, drawn, levels, suspect, rng)
        both = {"_judge": judge, "_full_conditionals": found}
        return {name: part for name, part in both.items() if part}

    def looks(self, coded, numbers=None):
        """Return what a `Judge` sees of rows, (n_rows, n_columns): float32 numbers, and codes of levels.

        ``numbers`` are in units of X, by their places; by default draws that are matched. They
        are seen over their range, from the middle one.
        """
        numbers, found = numbers or self.matched(coded), coded.astype(np.float64)
        known = self.marginals.quantiles
        with np.errstate(over="ignore", invalid="ignore"):
            spread = known[-1] - known[0]
            for number, (place, cells) in enumerate(numbers.items()):
                found[:, place] = (cells - known[len(known) // 2, number]) / (spread[number] or 1.0)
        return np.nan_to_num(found).astype(np.float32)

    def _whole(self, X, rng):
        """Return the coded table of real rows, float64, and their numbers by place; missing cells are drawn."""
        marginals, missing = self.marginals, np.isnan(X)
        drawn = self.sample(self.draw_codes(X, rng), rng) if missing.any() else X
        numbers = {
            place: marginals.on_grid(number, np.where(np.isnan(cells), others, cells))
            for number, ((place, cells), others) in enumerate(
                zip(self._numbers(X, marginals.places), self.matched(drawn).values(), strict=True)
            )
        }
        return np.where(missing, drawn, X).astype(np.float64), numbers

    @property
    def judge(self):
        """The `Judge` of draws that go together and are matched; None where there is none."""
        return self._told("_judge", Judge)

    @property
    def full_conditionals(self):
        """The `FullConditionals` of such draws; None where there are none."""
        return self._told("_full_conditionals", FullConditionals)

    def _told(self, name, kind):
        needs = {name, "_joint_covariance", "_marginals"}
        return kind(**self.attributes[name]) if needs <= self.attributes.keys() else None

    def judged(self, n, codes_of, rng, known=None):
        """Return the coded table of n rows that pass for real ones.

        Each is one of `CANDIDATES` draws, with a probability proportional to the odds that it is real.

        Parameters
        ----------
        n : int
        codes_of : callable
            Draws units of the `Joint` for rows, given their numbers.
        rng : RandomState
        known : Given, optional
            Cells that all draws have.
        """
        joint, judge = self.joint, self.judge
        most, found = max(1, CHOSEN_CELLS // (CANDIDATES * self.schema.width)), []
        for first in range(0, n, most):
            rows = np.arange(first, min(first + most, n)).repeat(CANDIDATES)
            coded = self.sample(codes_of(rows), rng, joint)
            numbers = self.matched(coded)
            if known is not None:
                known.put_into(coded, numbers)
            found.append(coded[_chosen(self.looks(coded, numbers), judge.log_odds, rng)])
        return np.vstack(found)

    def draw_anew(self, coded, numbers, rng, held=()):
        """Draw cells of some columns of a coded table, and of its numbers by place, given the others.

        Columns that are ``held`` stay as they are.
        """
        known, marginals = self.full_conditionals, self.marginals
        for at, place in enumerate(() if known is None else known.columns):
            if place in held:
                continue
            found = known.draw(at, self.looks(coded, numbers), rng)
            if place in numbers:
                number = np.flatnonzero(marginals.places == place)[0]
                numbers[place] = marginals.on_grid(number, found)
            else:
                coded[:, place] = found

    # rows of which some cells are known -------------------------------------------------------

    def bounds_of_cells(self, codes, coded, bounds):
        """Yield known cells, and what their residuals lie between given codes.

        Parameters
        ----------
        codes : ndarray of shape (n_codes, n_components)
            Labels beside them, where the model has some.
        coded : ndarray of shape (n_columns,)
            The row as the schema codes it, NaN where nothing is known.
        bounds : dict
            Of known numbers by their places, in units of X.
        """
        decoded = self.decode_levels(codes)
        numbers = self._cells_at(decoded, np.zeros((len(codes), self.n_cells)))
        for place, (low, high) in bounds.items():
            mean, deviation = self.schema.in_units(place, numbers[:, place]), self.deviation(place)
            low, high = ((bound - mean) / deviation for bound in (low, high))
            yield self._number(place), low, high
        for cell, place, of_levels in self._categories():
            if not np.isnan(coded[place]):
                level = np.full(len(codes), int(coded[place]))
                yield cell, *bounds_of_level(decoded[:, of_levels], level)

    def _number(self, place):
        """Return which of the numbers the column at a place is."""
        blocks = self.schema.blocks
        return place if blocks is None else int(np.flatnonzero(blocks.numbers == place)[0])

    def deviation(self, place):
        """Return the standard deviation of the noise of a column of numbers, in units of X."""
        number = self._number(place)
        deviation = self.deviations[number] * self.baseline.scale[number]
        if self.schema.blocks is not None:
            deviation = deviation / self.schema.blocks.metric[number]
        encoder = self.schema.encoder
        return deviation if encoder is None else deviation * encoder.scale_[place]

    def bounds(self, place, cell):
        """Return what draws lie between that are matched to a number of a column, in units of X."""
        number = np.flatnonzero(self.marginals.places == place)[0]
        shares = self.marginals.share_of(number, cell)
        drawn = self.drawn_quantiles[:, number]
        low, high = np.interp(shares, self.marginals.shares, drawn)
        return -np.inf if shares[0] == 0 else low, np.inf if shares[1] == 1 else high

    def prior_codes(self, n, rng, joint=None, labels=None):
        """Return codes as the decoder takes them, or units of a `Joint`, drawn from the prior.

        Models of labels put them beside: ``labels``, coded, (n, n_labels), or draws.
        """
        return rng.standard_normal((n, self.task.size)) if joint is None else joint.draw(n, rng)

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
        for name in ("_joint_covariance", "_joint_mixture", "_judge", "_full_conditionals"):
            now.attributes.pop(name, None)  # no rows say what is left now
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
            known["noise_variance_"] = self.noise_variance
        return known


def _chosen(looks, log_odds, rng):
    """Return the places of some rows: one of each `CANDIDATES`, by the odds that it is real."""
    n = len(looks) // CANDIDATES
    odds = log_odds(looks[: n * CANDIDATES]).reshape(n, CANDIDATES)
    return np.argmax(odds + rng.gumbel(size=odds.shape), axis=1) + CANDIDATES * np.arange(n)


class ConditionalVAEModel(VariationalModel):
    """A variational model of rows that have their coded labels beside them."""

    ATTRIBUTES = (*VariationalModel.ATTRIBUTES, "label_coef_", "label_intercept_")

    def wide(self, X):
        """Return rows as the network's columns, their labels last."""
        rows, labels = self._split(X)
        return np.hstack([self.schema.wide(rows, self.baseline.mean), labels])

    def sample(self, codes, rng, joint=None):
        """Return the coded table of codes, as `VariationalModel`, with their labels beside it."""
        return np.hstack([super().sample(codes, rng, joint), codes[:, -self.task.n_labels :]])

    def reconstruct_cells(self, X):
        """Return the coded table that is made of rows, given their labels."""
        return self.decode_cells(self._with_labels(X))

    def reconstruct(self, X):
        """Return rows of numbers, dense, and their reconstruction, given their labels."""
        return self._split(X)[0], self.decode(self._with_labels(X))

    def draw_codes(self, X, rng):
        """Return a code of every row, drawn from its distribution, with its labels."""
        return np.hstack([super().draw_codes(X, rng), self._split(X)[1]])

    def prior_codes(self, n, rng, joint=None, labels=None):
        """Return the same with labels, which are drawn as in the training rows where there are none."""
        labels = self.task.labels.draw(n, rng) if labels is None else labels
        return np.hstack([super().prior_codes(n, rng, joint), labels])

    def _with_labels(self, X):
        return np.hstack([self.encode(X), self._split(X)[1]])

    def _split(self, X):
        """Return rows and their labels, dense."""
        return np.hsplit(dense(X), [self.schema.n_features])

    def state(self):
        """Return arrays and builtins."""
        return super().state() | {"_labels": vars(self.task.labels).copy()}
