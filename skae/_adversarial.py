"""The adversarial autoencoder."""

from dataclasses import replace

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae._base import BaseAutoencoder
from skae._params import AUTOENCODER, integer, private_random_state, real

DISCRIMINATOR = (64, 64)  # hidden units


class AdversarialAutoencoder(BaseAutoencoder):
    """DOC"""

    _parameter_constraints = {
        name: kinds for name, kinds in AUTOENCODER.items() if name != "whiten"
    } | {"adversarial_weight": [real(0)]}

    _architecture = tuple(name for name in BaseAutoencoder._architecture if name != "whiten")
    whiten = False  # the code is in the prior's units

    def __init__(
        self,
        n_components=0.95,
        *,
        adversarial_weight=0.01,
        hidden_layer_sizes="auto",
        activation="gelu",
        linear_path="pca",
        encoder=None,
        decoder=None,
        ordered=False,
        categorical_features="from_dtype",
        min_frequency="auto",
        column_weights=None,
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
        self.adversarial_weight = adversarial_weight
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.linear_path = linear_path
        self.encoder = encoder
        self.decoder = decoder
        self.ordered = ordered
        self.categorical_features = categorical_features
        self.min_frequency = min_frequency
        self.column_weights = column_weights
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

    def sample(self, n_samples=1, random_state=None):
        """Draw new rows: codes from the prior, decoded.

        Parameters
        ----------
        n_samples : int, default=1
            At least 1.
        random_state : int, RandomState instance or None, default=None
            None never touches numpy's global generator.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            float64: ``inverse_transform`` of standard normal codes.
        """
        if not (isinstance(n_samples, int | np.integer) and n_samples >= 1):
            raise ValueError(f"n_samples={n_samples!r} must be an int of at least 1.")
        check_is_fitted(self)
        rng = private_random_state(random_state)
        return self._give(self._decode_cells(rng.standard_normal((n_samples, self.n_components_))))

    # hooks ----------------------------------------------------------------------------------------

    def _make_start(self, rows, n_components, rng):
        """Return PCA with a whitened code: the prior's mean and variances."""
        start = super()._make_start(rows, n_components, rng)
        deviations = start.deviations[:, None]
        return replace(
            start,
            encoder=start.encoder / deviations,
            components=start.components * deviations,
            offset=start.offset / start.deviations,
            deviations=np.ones_like(start.deviations),
        )

    def _new_module(self, generator, linear=False):
        from skae.nn import MLP, ACTIVATIONS
        from skae.nn import AdversarialAutoencoder as Module

        module = super()._new_module(generator, linear)
        discriminator = None
        if not linear:
            widths = [self.n_components_, *DISCRIMINATOR, 1]
            discriminator = MLP(widths, ACTIVATIONS["gelu"], generator)
        return Module(module.encoder, module.decoder, discriminator)

    def _kind_of_net(self):
        from skae._adversarial_training import AdversarialNet

        return AdversarialNet

    def _make_objective(self, start):
        from skae.losses import Deception, Objective

        (reconstruction,) = super()._make_objective(start).terms.values()
        deception = Deception(), self.adversarial_weight
        return Objective(reconstruction=(reconstruction, 1.0), deception=deception)
