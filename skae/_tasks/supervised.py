"""The task of reconstruction by a code that predicts labels as well."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from skae._data.labels import Labels
from skae._data.schema import entropy
from skae._linear.pcovr import PCovRModel, PCovRTableModel, Targets, mixed_pcovr, pcovr
from skae._model.supervised import SupervisedModel
from skae._tasks.base import Task
from skae._tasks.head import logistic_head, ridge_head, some_of
from skae._tasks.reconstruction import Reconstruction
from skae.corruption import Leading
from skae.losses import LabelError
from skae.nn.autoencoders import PredictingAutoencoder
from skae.nn.layers import Linear

OF_CLASSES, OF_NUMBERS = 0.5, 0.2  # what reconstruction counts, where mixing is "auto"
QUIETER = 0.5  # factor of the noise on inputs, for numbers: small differences count there
HEAD_SOLVER = {"maxiter": 200, "ftol": 1e-14, "gtol": 1e-9}


@dataclass(frozen=True, kw_only=True, eq=False)
class Supervised(Reconstruction):
    """Rows and labels from one code; with ``mixing=1`` the plain task, and a head afterwards.

    Attributes
    ----------
    mixing : "auto" or float
        As it was given; `share` is what reconstruction counts.
    labels : Labels
    labelled : float
        Share of the rows that have one.
    """

    mixing: object = "auto"
    labels: Labels | None = None
    labelled: float = 1.0

    ARCHITECTURE: ClassVar = (*Task.ARCHITECTURE, "mixing")
    model: ClassVar = SupervisedModel
    baseline_name: ClassVar = "PCovR"

    @property
    def predicts(self):
        """Whether training looks at labels."""
        return self.mixing == "auto" or self.mixing < 1

    @property
    def all_classes(self):
        """Whether no label is a number."""
        return all(known is not None for known in self.labels.classes)

    @property
    def share(self):
        """What reconstruction counts; prediction counts the rest."""
        if self.mixing != "auto":
            return self.mixing
        return OF_CLASSES if self.all_classes else OF_NUMBERS

    @property
    def input_noise(self):
        return super().input_noise * (QUIETER if self.predicts and not self.all_classes else 1.0)

    @property
    def n_targets(self):
        return self.labels.width

    def targets_of(self, rows):
        return rows.targets if self.predicts else None

    def going_on(self, fitted):
        return replace(super().going_on(fitted), labels=fitted.labels)

    def restored(self, state):
        labels = Labels(**state.pop("_labels"))
        labels.check()
        return replace(super().restored(state), labels=labels)

    @property
    def is_pca(self):
        return super().is_pca and not self.predicts

    @property
    def is_normal(self):
        return super().is_normal and not self.predicts

    def inside(self, space, n_rows):
        task = super().inside(space, n_rows)
        if not (self.predicts and space.rest):
            return task
        # rows count the variance of the space alone
        return replace(task, mixing=self.share * (1 - space.rest) / (1 - self.share * space.rest))

    def targets_to_keep(self, rows):
        return self._targets(rows) if self.predicts else None

    def _targets(self, rows):
        return Targets(rows.targets, self._weights_of_squares(), self.share)

    def chooses_size(self, early_stopping):
        # a share of the rows' variance says nothing of what the labels need
        return not self.predicts and super().chooses_size(early_stopping)

    # where training starts --------------------------------------------------------------------

    @property
    def linear_model(self):
        return PCovRModel if self.predicts else Task.linear_model

    @property
    def linear_model_of_table(self):
        return PCovRTableModel if self.predicts else Task.linear_model_of_table

    def baseline(self, rows, n_components, rng):
        """Return principal covariates regression, with logistic regressions of classes on its code."""
        if not self.predicts:
            return super().baseline(rows, n_components, rng)
        targets = self._targets(rows)
        if rows.blocks is None:
            model = pcovr(rows, targets, n_components, rng)
        else:
            model = mixed_pcovr(rows, targets, n_components, rng, self.schema.hidden)
        return self._with_logistic_head(model, rows)

    def _weights_of_squares(self):
        """Return what the squared error of each coded label counts: over its variance."""
        weights = np.ones(self.n_targets)
        for place, known in zip(self.labels.slices, self.labels.classes, strict=True):
            shares = self.labels.mean[place]
            variance = 1.0 if known is None else np.sum(shares * (1 - shares))
            weights[place] = 1 / variance if variance > 0 else 0.0
        return weights / len(self.labels.classes)

    def _with_logistic_head(self, model, rows):
        if all(known is None for known in self.labels.classes):
            return model
        head, intercept = model.head.copy(), model.intercept.copy()
        some = some_of(rows, rows.width)
        x = (some.take(slice(None)) - model.mean) / model.scale
        x = model.fill(x) if rows.blocks is not None else x
        codes = x @ model.encoder.T + model.offset
        for place, known in zip(self.labels.slices, self.labels.classes, strict=True):
            if known is not None:
                head[place], intercept[place] = self._solved(place, known, codes, some)
        return replace(model, head=head, intercept=intercept)

    def _solved(self, place, known, codes, rows):
        """Return the head of one label on the code of rows, in units of its root mean square."""
        targets = rows.targets[:, place]
        there = ~np.isnan(targets).any(axis=1)
        weight = np.full(len(rows), rows.n_repeated / len(rows))
        weight = weight if rows.weight is None else weight * rows.weight
        unit = np.sqrt(np.average(np.mean(codes**2, axis=1), weights=weight)) or 1.0
        about = codes[there] / unit, targets[there], weight[there]
        if known is None:
            coef, intercept = ridge_head(*about)
        else:
            codes, targets, weight = about
            hits = targets + self.labels.mean[place]
            coef, intercept = logistic_head(codes, hits, weight, HEAD_SOLVER)
        return coef / unit, intercept

    def baseline_is_best(self, baseline):
        if not self.predicts:
            return super().baseline_is_best(baseline)
        trains = self.hidden or self.has_own_modules
        return not (trains and baseline.column_weights.any())

    # the network ------------------------------------------------------------------------------

    def build(self, generator, linear=False):
        module = super().build(generator, linear)
        if not self.predicts:
            return module
        head = Linear(self.size, self.n_targets).requires_grad_(True)
        with torch.no_grad():
            head.weight.zero_()
            head.bias.zero_()
        return PredictingAutoencoder(module.encoder, module.decoder, head, self.schema.width)

    @torch.no_grad()
    def start_at(self, module, baseline):
        super().start_at(module, baseline)
        if self.predicts and self.has_baseline:
            module.head.weight.copy_(torch.from_numpy(baseline.head * baseline.deviations))
            module.head.bias.copy_(torch.from_numpy(baseline.intercept))

    # what is minimised ------------------------------------------------------------------------

    def objective(self, baseline):
        objective = super().objective(baseline)
        if not self.predicts:
            return objective
        objective.weights["reconstruction"] = self.share
        objective.terms["prediction"] = self.label_error()
        objective.weights["prediction"] = 1 - self.share
        return objective

    def label_error(self):
        labels, weights, shares = self.labels, [], self.labels.mean.copy()
        for place, known in zip(labels.slices, labels.classes, strict=True):
            unit = 1.0 if known is None else entropy(shares[place])
            weights.append(1 / (unit * self.labelled * len(labels.classes)) if unit else 0.0)
            if known is None:
                shares[place] = 0.0
        are_classes = [known is not None for known in labels.classes]
        shares = torch.as_tensor(shares, dtype=torch.float32)
        return LabelError(labels.slices, are_classes, shares, weights)

    def hiding(self, noise):
        noise = super().hiding(noise)
        return Leading(noise, self.schema.width) if noise and self.predicts else noise

    # judging ----------------------------------------------------------------------------------

    def describe(self, model, rows):
        return super().describe(model, rows) | self.head(model, rows)

    def head(self, model, rows):
        """Return the head of a model, on the code of `transform`: trained, or solved afterwards.

        It gives numbers in their own units, and a score for each class.
        """
        if self.predicts:
            coef, intercept = (p.cpu().numpy() for p in model.module.head.parameters())
            coef = coef / model.code_scale
        else:
            coef, intercept = self._solved_afterwards(model, rows)
        numbers = np.repeat([known is None for known in self.labels.classes], self.labels.sizes)
        scale, zero = self.labels.scale, np.where(numbers, self.labels.mean, 0.0)
        return {"coef_": coef * scale[:, None], "intercept_": intercept * scale + zero}

    def _solved_afterwards(self, model, rows):
        some = some_of(rows, model.task.size)
        codes, parts = model.encode(some.raw(slice(None))).astype(np.float64), []
        for place, known in zip(self.labels.slices, self.labels.classes, strict=True):
            parts.append(self._solved(place, known, codes, some))
        return (np.concatenate(part) for part in zip(*parts, strict=True))
