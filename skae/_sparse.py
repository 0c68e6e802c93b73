"""The sparse autoencoder."""

from dataclasses import replace

import numpy as np

from skae._base import BaseAutoencoder
from skae._params import AUTOENCODER, StrOptions, real


class SparseAutoencoder(BaseAutoencoder):
    """DOC"""

    _parameter_constraints = AUTOENCODER | {
        "penalty": [StrOptions({"l1", "kl"})],
        "penalty_weight": [real(0)],
        "sparsity": [real(0, 1, closed="neither")],
    }

    _architecture = (*BaseAutoencoder._architecture, "penalty", "penalty_weight", "sparsity")

    def __init__(
        self,
        n_components=0.95,
        *,
        penalty="l1",
        penalty_weight=0.05,
        sparsity=0.1,
        hidden_layer_sizes="auto",
        activation="gelu",
        linear_path="pca",
        whiten=False,
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
        self.penalty = penalty
        self.penalty_weight = penalty_weight
        self.sparsity = sparsity
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.linear_path = linear_path
        self.whiten = whiten
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

    def _make_start(self, rows, n_components, rng):
        """Return PCA; units beyond the rank look in random directions, which PCA does not use."""
        start = super()._make_start(rows, n_components, rng)
        used = start.components.any(axis=1)
        whitened = start.encoder[used] / start.deviations[used, None]
        mixing = rng.normal(size=(len(used) - used.sum(), used.sum()))
        mixing /= np.linalg.norm(mixing, axis=1, keepdims=True)
        encoder = start.encoder.copy()
        encoder[~used] = mixing @ whitened
        return replace(start, encoder=encoder)

    def _new_module(self, generator, linear=False):
        from skae.nn import ShrunkResidual

        module = super()._new_module(generator, linear)
        dense = module.encoder
        module.encoder = ShrunkResidual(dense.linear, dense.nonlinear, self.n_components_)
        return module

    def _make_objective(self, start):
        from skae.losses import ActivationRate, Objective, RelativeSize

        term = RelativeSize() if self.penalty == "l1" else ActivationRate(self.sparsity)
        (reconstruction,) = super()._make_objective(start).terms.values()
        return Objective(reconstruction=(reconstruction, 1.0), sparsity=(term, self.penalty_weight))

    def _start_is_best(self, start):
        return not start.column_weights.any()  # PCA leaves the code dense

    def _tolerance(self, start_loss):
        return self.tol * min(start_loss, 1.0)  # the start's divergence may exceed all variance

    def _surveyed(self, module, rows, start):
        """Give rows beyond the training range the code of the nearest row within: it is sparse."""
        module, spread = super()._surveyed(module, rows, start)
        if self._confined:
            module.encoder.beyond.zero_()
        return module, spread

    def _take(self, fitted, rows=None):
        super()._take(fitted, rows)
        self.activation_rate_ = None
        if rows is not None:
            active = sum(w @ (self._encode(chunk) != 0) for chunk, w in rows.chunks())
            self.activation_rate_ = active / len(rows)
