"""The code of some rows, and the decoder as a function of it: what reports and pictures look at."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from skae import _model as fitted_models

STEP = 1e-4  # of central differences, in deviations of the code: errors of about its square
RARE = "(rare levels)"


@dataclass(frozen=True, eq=False)
class Code:
    """A fitted autoencoder at some rows.

    Attributes
    ----------
    estimator : fitted autoencoder
    model : Model
    rows : ndarray of shape (n_samples, n_columns)
        As the model reads them, dense float64, with labels where it takes some.
    values : ndarray of shape (n_samples, n_components)
        Their code.
    """

    estimator: object
    model: object
    rows: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, estimator, X):
        """Return the code of at least two rows; labels that a model takes are inferred."""
        refuse_without_decoder(estimator)
        check_is_fitted(estimator)
        read = getattr(estimator, "_labelled", None)
        model, rows = estimator._known(X) if read is None else read(X, None)
        rows = fitted_models.dense(rows).astype(np.float64)
        if len(rows) < 2:
            raise ValueError(f"X has {len(rows)} row: at least 2 are needed, best many.")
        return cls(estimator, model, rows, model.encode(rows))

    @cached_property
    def mean(self):
        return self.values.mean(axis=0)

    @property
    def row_labels(self):
        """Labels of the rows, (n_samples, n_labels): of most models there are none."""
        return self.rows[:, self.model.schema.n_features :]

    @cached_property
    def mean_label(self):
        """Mean label, (1, n_labels)."""
        return self.row_labels.mean(axis=0, keepdims=True)

    @cached_property
    def deviations(self):
        """Standard deviation of each component (denominator n - 1)."""
        return self.values.std(axis=0, ddof=1)

    # the decoder ------------------------------------------------------------------------------

    def decode(self, values, labels=None):
        """Return outputs at codes, less ``offset``; labels are those of the rows, or others.

        One column for each number, in units of X, and one for the probability of each level.
        """
        labels = self.row_labels if labels is None else labels
        values = np.hstack([values, np.broadcast_to(labels, (len(values), labels.shape[1]))])
        return self.model.decode_levels(values) * self.unit

    def slopes(self, component, values=None, labels=None):
        """Return the derivatives of all outputs by a component, at the rows' codes or at others."""
        values = self.values if values is None else values
        step = np.zeros(values.shape[1])
        step[component] = STEP * (self.deviations[component] or 1.0)
        up, down = (self.decode(values + change, labels) for change in (step, -step))
        return (up - down) / (2 * step[component])

    def score_without(self, component):
        """Return the `score` of the rows where a component is set to its mean."""
        module, place = self.model.module, self.mean / self.model.code_scale

        def reconstruct(x):
            code = module.encode(x).clone()
            code[..., component] = place[component]
            return module.decoder(module.decoder_inputs(code, x))

        return fitted_models.scores_of(self.model).score(self.rows, reconstruct)

    # its outputs ------------------------------------------------------------------------------

    @cached_property
    def _coded(self):
        """Scale and mean of the outputs that are numbers, of what a `TableEncoder` made of them."""
        encoder, blocks = self.model.schema.encoder, self.model.schema.blocks
        if encoder is None:
            return 1.0, 0.0
        return encoder.scale_[blocks.numbers], encoder.mean_[blocks.numbers]

    @cached_property
    def metric(self):
        """What outputs are multiplied by in the columns that PCA sees."""
        blocks = self.model.schema.blocks
        if blocks is None:
            return np.ones(self.model.schema.n_features)
        metric = blocks.metric.copy()
        metric[: self.model.schema.n_numbers] /= self._coded[0]
        return metric

    @cached_property
    def unit(self):
        """Standard deviation of each output that is a number, in units of X; 1 for probabilities."""
        unit, n = np.ones(len(self.metric)), self.model.schema.n_numbers
        if not self._is_bernoulli:
            unit[:n] = self.model.baseline.scale[:n] / self.metric[:n]
        return unit

    @cached_property
    def offset(self):
        """What of an output `decode` leaves out: the mean of a number in units of X."""
        offset, n = np.zeros(len(self.metric)), self.model.schema.n_numbers
        if not self._is_bernoulli:
            _, mean = self._coded
            offset[:n] = self.model.baseline.mean[:n] / self.metric[:n] + mean
        return offset

    @property
    def _is_bernoulli(self):
        return getattr(self.model.task, "is_bernoulli", False)

    @cached_property
    def spread(self):
        """Standard deviation of what each output stands for: of a level, that of its flag."""
        baseline, schema, n = self.model.baseline, self.model.schema, self.model.schema.n_numbers
        spread = baseline.scale / self.metric if self._is_bernoulli else self.unit.copy()
        if schema.blocks is not None:
            share = np.concatenate([*schema.level_shares(baseline), np.empty(0)])
            spread[n:] = np.sqrt(share * (1 - share))
        return spread

    @cached_property
    def places(self):
        """Place in X of the column of each output."""
        blocks = self.model.schema.blocks
        return np.arange(self.model.schema.n_features) if blocks is None else blocks.owner

    @cached_property
    def names(self):
        return np.fromiter(column_names(self.model.schema), dtype=object)  # names may be tuples

    @cached_property
    def levels(self):
        schema = self.model.schema
        levels = [None] * schema.n_numbers
        for place in () if schema.encoder is None else schema.blocks.categories:
            rare = schema.encoder.infrequent_categories_[place]
            levels += [*schema.encoder.categories_[place], *([RARE] if rare else [])]
        return levels

    @property
    def shape(self):
        """Shape of a row, (channels, height, width) or (steps, channels); None of a table."""
        return next(iter(self.model.task.shapes.values()), None)

    @cached_property
    def index(self):
        """What each output is, by name: column, and level where there are some; place of a pixel."""
        if self.shape is not None:
            words = ("channel", "row", "column") if len(self.shape) == 3 else ("step", "channel")
            places = np.unravel_index(self.places, self.shape)
            return pd.MultiIndex.from_arrays(places, names=words)
        names = self.names[self.places]
        if self.model.schema.encoder is None:
            return pd.Index(names, name="column")
        return pd.MultiIndex.from_arrays([names, self.levels], names=["column", "level"])

    @property
    def labels(self):
        """What each output is, as a short text."""
        pairs = zip(self.names[self.places], self.levels, strict=True)
        return [str(name) if level is None else f"{name} = {level}" for name, level in pairs]


def column_names(schema):
    """Return the names of the columns of X; x0, x1, ... of an array."""
    known = schema._frame_of_fit
    return [f"x{place}" for place in range(schema.n_features)] if known is None else list(known[1])


def refuse_without_decoder(estimator):
    """Refuse what is no autoencoder, with the remedy."""
    if hasattr(estimator, "inverse_transform") and hasattr(estimator, "_known"):
        return
    kind = type(estimator).__name__
    remedy = "pass a fitted autoencoder of skae."
    if hasattr(estimator, "steps"):
        remedy = "pass its autoencoder, pipeline[-1], and the rows before it, pipeline[:-1].transform(X)."
    elif hasattr(estimator, "autoencoder_"):
        remedy = "pass its autoencoder_."
    elif hasattr(estimator, "transform"):
        remedy = "it has no decoder, and what a component means is read from the decoder."
    raise ValueError(f"{kind} cannot be looked into: {remedy}")
