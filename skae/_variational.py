"""The variational autoencoder."""

import warnings

import numpy as np
from scipy.special import expit, logsumexp
from sklearn.utils import check_random_state

from skae._base import DTYPES, INPUT_NOISE, BaseAutoencoder
from skae._params import AUTOENCODER, StrOptions, integer, real
from skae._start import ProbabilisticStart, logistic_start, noise_unit, probabilistic_pca

HELD_OUT_DRAWS = 4
ACTIVE = 0.01


class VAETransformer(BaseAutoencoder):
    _parameter_constraints = {
        name: kinds for name, kinds in AUTOENCODER.items() if name != "whiten"
    } | {
        "beta": [real(0)],
        "likelihood": [StrOptions({"gaussian", "bernoulli"})],
        "kl_warmup": [integer(0)],
    }

    _architecture = (
        *(name for name in BaseAutoencoder._architecture if name != "whiten"),
        "likelihood",
    )
    _start_kind = ProbabilisticStart
    _least_range = 3.0
    whiten = False

    def __init__(
        self,
        n_components=0.95,
        *,
        beta=1.0,
        likelihood="gaussian",
        kl_warmup=0,
        hidden_layer_sizes="auto",
        activation="gelu",
        linear_path="pca",
        encoder=None,
        decoder=None,
        batch_size="auto",
        learning_rate_init=0.01,
        alpha=0.1,
        optimizer="adam",
        max_iter="auto",
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=20,
        tol=1e-3,
        warm_start=False,
        callbacks=None,
        skorch_params=None,
        device="auto",
        verbose=0,
        random_state=None,
    ):
        self.n_components = n_components
        self.beta = beta
        self.likelihood = likelihood
        self.kl_warmup = kl_warmup
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.linear_path = linear_path
        self.encoder = encoder
        self.decoder = decoder
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.optimizer = optimizer
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.skorch_params = skorch_params
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    # hooks

    def _make_start(self, rows, n_components, rng):
        make = logistic_start if self.likelihood == "bernoulli" else probabilistic_pca
        return make(rows, n_components, rng)

    def _kind(self):
        from skae.nn import VariationalAutoencoder

        return VariationalAutoencoder

    def _has_offset(self):
        return True

    def _start_at(self, module, start):
        from skae._architecture import start_probabilistic

        start_probabilistic(module, start, noise_unit(start), self._has_floor())

    def _make_objective(self, start):
        import torch

        from skae.losses import BernoulliLikelihood, DrawnDivergence, GaussianLikelihood, Objective

        n_features = len(start.mean)
        if self._built["likelihood"] == "bernoulli":
            parts = (start.mean, start.scale, start.level)
            likelihood = BernoulliLikelihood(*(torch.as_tensor(p, dtype=torch.float32) for p in parts))
        else:
            unit = noise_unit(start)
            weights = torch.as_tensor(start.scale**2 / unit, dtype=torch.float32)
            likelihood = GaussianLikelihood(weights, unit)
        return Objective(
            rising="divergence",
            likelihood=(likelihood, 1 / n_features),
            divergence=(DrawnDivergence(), self.beta / n_features),
        )

    def _make_corruption(self, start):
        from skae.corruption import Draws

        return Draws(len(start.deviations), noise=super()._make_corruption(start))

    def _make_held_out_corruption(self, start):
        from skae.corruption import Draws

        return Draws(len(start.deviations), HELD_OUT_DRAWS)

    def _held_out_score(self, loss):
        return -loss * self.n_features_in_

    def _least_improvement(self, start_loss):
        return self.tol

    def _settings(self, n_rows, **changes):
        return super()._settings(n_rows, **{"warm_up": self.kl_warmup, **changes})

    def _start_is_best(self, start):
        if self.likelihood == "bernoulli":
            return not start.column_weights.any()
        return super()._start_is_best(start)
