"""The rivals: for each package an adapter as thin as it goes, and the list of them.

An adapter has ``fit(X)`` and ``reconstruct(X)``; where the package gives them also
``transform(X)`` and ``nats(X)``, the mean log-likelihood of rows. It is made by
``make(k, seed, like)``: at the package's defaults where ``like`` is None, else with the
network, epochs and batch size that skae took in the same cell; what else there is to choose
(learning rate, activation, start) stays the package's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Like:
    """What skae's training took."""

    hidden: tuple
    epochs: int
    batch_size: int


class Reducer:
    """An estimator with ``transform`` and ``inverse_transform``."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X):
        """Fit the estimator."""
        self.estimator.fit(X)
        return self

    def transform(self, X):
        """Return the code."""
        return self.estimator.transform(X)

    def reconstruct(self, X):
        """Return the way to the code and back."""
        return self.estimator.inverse_transform(self.transform(X))


class Probabilistic(Reducer):
    """An estimator that has ``score_samples`` too."""

    def nats(self, X):
        """Return the mean log-likelihood of rows."""
        return float(np.mean(self.estimator.score_samples(X)))


class Skae(Reducer):
    """Skae, which also tells what its training took."""

    def like(self):
        """Return the network, the epochs and the batch size of the fit."""
        ae = self.estimator
        return Like(ae.hidden_layer_sizes_, ae.n_iter_, ae.batch_size_)


class SkaeVAE(Skae, Probabilistic):
    """Skae's variational autoencoder."""


def skae(k, seed, like):
    from skae import AutoencoderTransformer

    return Skae(AutoencoderTransformer(k, random_state=seed))


def skae_vae(k, seed, like):
    from skae import VAETransformer

    return SkaeVAE(VAETransformer(k, random_state=seed))


def pca(k, seed, like):
    from sklearn.decomposition import PCA

    return Probabilistic(PCA(k, random_state=seed))


def kernel_pca(k, seed, like):
    from sklearn.decomposition import KernelPCA

    return Reducer(
        KernelPCA(k, kernel="rbf", fit_inverse_transform=True, random_state=seed, n_jobs=1)
    )


class Factors(Probabilistic):
    """FactorAnalysis, whose way back is its model's mean."""

    def reconstruct(self, X):
        """Return the mean of rows given their factors."""
        return self.transform(X) @ self.estimator.components_ + self.estimator.mean_


def factor_analysis(k, seed, like):
    from sklearn.decomposition import FactorAnalysis

    return Factors(FactorAnalysis(k, random_state=seed))


class Perceptron:
    """MLPRegressor(X, X): it shows no code."""

    def __init__(self, model):
        self.model = model

    def fit(self, X):
        """Fit rows to themselves."""
        self.model.fit(X, X)
        return self

    def reconstruct(self, X):
        """Return the prediction."""
        return self.model.predict(X).reshape(X.shape)


def mlp(k, seed, like):
    """Return the perceptron; its default, one hidden layer of 100, stands on either side of the code."""
    from sklearn.neural_network import MLPRegressor

    if like is None:
        return Perceptron(MLPRegressor(hidden_layer_sizes=(100, k, 100), random_state=seed))
    return Perceptron(
        MLPRegressor(
            hidden_layer_sizes=(*like.hidden, k, *like.hidden[::-1]), max_iter=like.epochs,
            batch_size=like.batch_size, tol=0, n_iter_no_change=like.epochs, random_state=seed,
        )
    )  # fmt: skip


class Pyod:
    """A network of PyOD: rows are standardised as its own preprocessing does."""

    def __init__(self, detector):
        self.detector = detector

    def fit(self, X):
        """Fit the detector."""
        self.detector.fit(X)
        own = self.detector.preprocessing
        self.shift = self.detector.X_mean if own else 0.0
        self.scale = self.detector.X_std + 1e-8 if own else 1.0
        self.detector.model.eval()
        return self

    def transform(self, X):
        """Return the output of the encoder: of a variational one, the mean."""
        return self._through(self._encode, (X - self.shift) / self.scale)

    def reconstruct(self, X):
        """Return the decoder's output at that code."""
        model = self.detector.model
        decode = model.decoder
        rows = self._through(lambda x: decode(self._encode(x)), (X - self.shift) / self.scale)
        return rows * self.scale + self.shift

    def _encode(self, x):
        code = self.detector.model.encoder(x)
        return self.detector.model.encoder_mu(code) if self._variational() else code

    def _variational(self):
        return hasattr(self.detector.model, "encoder_mu")

    def _through(self, function, X):
        import torch

        with torch.no_grad():
            return function(torch.as_tensor(X, dtype=torch.float32)).numpy().astype(np.float64)


def pyod_ae(k, seed, like):
    """Return the autoencoder; its default layers (64, 32) have the code as a third one."""
    from pyod.models.auto_encoder import AutoEncoder

    if like is None:
        return Pyod(AutoEncoder(hidden_neuron_list=[64, 32, k], random_state=seed, verbose=0))
    return Pyod(
        AutoEncoder(
            hidden_neuron_list=[*like.hidden, k], epoch_num=like.epochs, batch_size=like.batch_size,
            batch_norm=False, dropout_rate=0.0, preprocessing=False, random_state=seed, verbose=0,
        )
    )  # fmt: skip


def pyod_vae(k, seed, like):
    from pyod.models.vae import VAE

    if like is None:
        return Pyod(VAE(latent_dim=k, random_state=seed, verbose=0))
    return Pyod(
        VAE(
            latent_dim=k, encoder_neuron_list=list(like.hidden),
            decoder_neuron_list=list(like.hidden[::-1]), epoch_num=like.epochs,
            batch_size=like.batch_size, dropout_rate=0.0, preprocessing=False, random_state=seed,
            verbose=0,
        )
    )  # fmt: skip


class Pythae:
    """A model of pythae.

    Its default decoder ends in a sigmoid, so rows are brought to [0, 1] for it; the equal
    network, given as modules of one's own, has none and takes rows as they are.
    """

    def __init__(self, kind, k, seed, like):
        self.kind, self.k, self.seed, self.asked = kind, k, seed, like

    def fit(self, X):
        """Train the model."""
        import logging
        import tempfile

        import torch
        from pythae.pipelines import TrainingPipeline
        from pythae.trainers import BaseTrainerConfig

        logging.disable(logging.CRITICAL)
        low, high = (X.min(0), X.max(0)) if self.asked is None else (0.0, 1.0)
        self.low, self.range = low, np.where(high > low, high - low, 1.0)
        torch.manual_seed(self.seed)
        self.model = self._model(X.shape[1])
        asked = {} if self.asked is None else {
            "num_epochs": self.asked.epochs,
            "per_device_train_batch_size": self.asked.batch_size,
        }  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            config = BaseTrainerConfig(output_dir=folder, seed=self.seed, no_cuda=True, **asked)
            TrainingPipeline(self.model, config)(train_data=self._rows(X))
        self.model.eval()
        return self

    def transform(self, X):
        """Return the embedding: of a variational model, the mean."""
        return self._predict(X).embedding.numpy().astype(np.float64)

    def reconstruct(self, X):
        """Return the reconstruction in the units of X."""
        rows = self._predict(X).recon_x.numpy().astype(np.float64)
        return rows.reshape(X.shape) * self.range + self.low

    def _predict(self, X):
        import torch

        with torch.no_grad():
            return self.model.predict(self._rows(X))

    def _rows(self, X):
        import torch

        return torch.as_tensor((X - self.low) / self.range, dtype=torch.float32)

    def _model(self, n_columns):
        from pythae import models

        config = getattr(models, f"{self.kind}Config")(input_dim=(n_columns,), latent_dim=self.k)
        halves = {} if self.asked is None else _pythae_network(config, self.asked.hidden, self.kind)
        return getattr(models, self.kind)(model_config=config, **halves)


class PythaeVAE(Pythae):
    """The variational model, with pythae's importance-sampled likelihood (its noise is 1)."""

    def nats(self, X):
        """Return the mean log-likelihood in the units of X."""
        import torch

        torch.manual_seed(self.seed)
        with torch.no_grad():
            nats = self.model.get_nll(self._rows(X), n_samples=64, batch_size=64)
        return float(nats - np.log(np.broadcast_to(self.range, X.shape[1])).sum())


def layers(*widths):
    """Return linear layers of given widths, with ReLU between them."""
    from torch import nn

    pairs = pairwise(widths)
    return nn.Sequential(*[m for a, b in pairs for m in (nn.Linear(a, b), nn.ReLU())][:-1])


def _pythae_network(config, hidden, kind):
    """Return encoder and decoder of given widths as pythae's modules."""
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    n_columns, k = config.input_dim[0], config.latent_dim
    outputs = 2 * k if kind == "VAE" else k

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.net = layers(n_columns, *hidden, outputs)

        def forward(self, x):
            code = self.net(x.reshape(len(x), -1))
            if kind == "AE":
                return ModelOutput(embedding=code)
            return ModelOutput(embedding=code[:, :k], log_covariance=code[:, k:])

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.net = layers(k, *hidden[::-1], n_columns)

        def forward(self, z):
            return ModelOutput(reconstruction=self.net(z))

    return {"encoder": Encoder(), "decoder": Decoder()}


def pythae_ae(k, seed, like):
    return Pythae("AE", k, seed, like)


def pythae_vae(k, seed, like):
    return PythaeVAE("VAE", k, seed, like)


def encdr(k, seed, like):
    from encdr import ENCDR

    trainer = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}
    if like is None:
        return Reducer(ENCDR(latent_dim=k, random_state=seed, trainer_kwargs=trainer))
    return Reducer(
        ENCDR(
            hidden_dims=list(like.hidden), latent_dim=k, max_epochs=like.epochs,
            batch_size=like.batch_size, validation_split=0.0, standardize=False,
            random_state=seed, trainer_kwargs=trainer,
        )
    )  # fmt: skip


class Umap(Reducer):
    """UMAP; its way back needs a triangulation of the code, feasible in two dimensions only."""

    def reconstruct(self, X):
        """Return the way back, of two-dimensional codes."""
        if self.estimator.n_components > 2:
            raise NotImplementedError(
                f"UMAP.inverse_transform triangulates the code: not feasible in "
                f"{self.estimator.n_components} dimensions"
            )
        return super().reconstruct(X)


def umap(k, seed, like):
    from umap import UMAP

    return Umap(UMAP(n_components=k, random_state=seed, n_jobs=1))


class HandWritten:
    """A torch loop as a user writes it: its rate and optimizer are torch's defaults."""

    def __init__(self, k, seed, like):
        self.k, self.seed, self.asked = k, seed, like

    def fit(self, X):
        """Train."""
        import torch
        from torch import nn

        generator = torch.Generator().manual_seed(self.seed)
        torch.manual_seed(self.seed)
        widths = (X.shape[1], *self.asked.hidden, self.k)
        self.model = nn.Sequential(layers(*widths), layers(*widths[::-1]))
        rows, loss = torch.as_tensor(X, dtype=torch.float32), nn.MSELoss()
        optimizer = torch.optim.Adam(self.model.parameters())
        for _ in range(self.asked.epochs):
            order = torch.randperm(len(rows), generator=generator)
            for start in range(0, len(rows), self.asked.batch_size):
                batch = rows[order[start : start + self.asked.batch_size]]
                optimizer.zero_grad()
                loss(self.model(batch), batch).backward()
                optimizer.step()
        return self


def hand_written(k, seed, like):
    return HandWritten(k, seed, like)


@dataclass(frozen=True)
class Rival:
    """An adapter's maker, and where it runs."""

    make: Callable
    package: str
    environment: str = ""  # virtual environment: "" is our own, else .venv-<environment>
    like: str | None = None  # whose network and epochs the second variant takes

    @property
    def name(self):
        """Return the name that scenario ids use."""
        return self.make.__name__

    @property
    def variants(self):
        """Return how it is run."""
        return ("default", "equal") if self.like else ("default",)


RIVALS = [
    Rival(skae, "skae"),
    Rival(skae_vae, "skae"),
    Rival(pca, "sklearn"),
    Rival(kernel_pca, "sklearn"),
    Rival(factor_analysis, "sklearn"),
    Rival(mlp, "sklearn", like="skae"),
    Rival(pyod_ae, "pyod", "rivals", like="skae"),
    Rival(pyod_vae, "pyod", "rivals", like="skae_vae"),
    Rival(pythae_ae, "pythae", "rivals", like="skae"),
    Rival(pythae_vae, "pythae", "rivals", like="skae_vae"),
    Rival(encdr, "encdr", "encdr", like="skae"),
    Rival(umap, "umap", "rivals"),
]


LOOP = Rival(hand_written, "torch", like="skae")  # beside which growth is measured


def find(name):
    """Return the rival of that name."""
    return next(rival for rival in [*RIVALS, LOOP] if rival.name == name)
