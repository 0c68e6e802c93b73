"""skae: autoencoders that take PCA's place in scikit-learn."""

from skae._adversarial import AdversarialAutoencoder
from skae._autoencoder import AutoencoderTransformer
from skae._bigan import BiGANTransformer
from skae._conditional import ConditionalVAE
from skae._contractive import ContractiveAutoencoder
from skae._contrastive import ContrastiveEncoder
from skae._convolutional import ConvolutionalAutoencoder
from skae._denoising import DenoisingAutoencoder
from skae._files import LoadError, load, save
from skae._recurrent import RecurrentAutoencoder
from skae._sparse import SparseAutoencoder
from skae._supervised import AutoencoderClassifier, AutoencoderRegressor
from skae._table import TableEncoder
from skae._variational import VAETransformer

__all__ = [
    "AdversarialAutoencoder",
    "AutoencoderClassifier",
    "AutoencoderRegressor",
    "AutoencoderTransformer",
    "BiGANTransformer",
    "ConditionalVAE",
    "ContractiveAutoencoder",
    "ContrastiveEncoder",
    "ConvolutionalAutoencoder",
    "DenoisingAutoencoder",
    "LoadError",
    "RecurrentAutoencoder",
    "SparseAutoencoder",
    "TableEncoder",
    "VAETransformer",
    "load",
    "save",
]
