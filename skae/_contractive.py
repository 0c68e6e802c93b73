"""The contractive autoencoder."""

from skae._base import BaseAutoencoder
from skae._params import AUTOENCODER, real


class ContractiveAutoencoder(BaseAutoencoder):
    """DOC"""

    _parameter_constraints = AUTOENCODER | {"penalty_weight": [real(0)]}

    def __init__(
        self,
        n_components=0.95,
        *,
        penalty_weight=0.01,
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
        self.penalty_weight = penalty_weight
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

    def _new_module(self, generator, linear=False):
        from skae.nn import SlopedAutoencoder

        module = super()._new_module(generator, linear)
        return SlopedAutoencoder(module.encoder, module.decoder, self.n_components_)

    def _make_objective(self, start):
        from skae.losses import Contraction, Objective

        (reconstruction,) = super()._make_objective(start).terms.values()
        contraction = (Contraction(), self.penalty_weight)
        return Objective(reconstruction=(reconstruction, 1.0), contraction=contraction)

    def _start_is_best(self, start):
        return not start.column_weights.any()  # PCA knows no contraction
