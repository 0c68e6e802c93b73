"""skae: autoencoders that take PCA's place in scikit-learn."""

from skae._data.streams import stream
from skae._data.table_encoder import TableEncoder
from skae._estimators.adversarial import AdversarialAutoencoder
from skae._estimators.autoencoder import AutoencoderTransformer
from skae._estimators.bigan import BiGANTransformer
from skae._estimators.conditional import ConditionalVAE
from skae._estimators.contractive import ContractiveAutoencoder
from skae._estimators.contrastive import ContrastiveEncoder
from skae._estimators.convolutional import ConvolutionalAutoencoder
from skae._estimators.denoising import DenoisingAutoencoder
from skae._estimators.outlier import AutoencoderOutlierDetector
from skae._estimators.recurrent import RecurrentAutoencoder
from skae._estimators.sparse import SparseAutoencoder
from skae._estimators.supervised import AutoencoderClassifier, AutoencoderRegressor
from skae._estimators.supervised_autoencoder import SupervisedAutoencoder
from skae._estimators.variational import VAETransformer
from skae._io.files import LoadError, load, save
from skae._show_versions import show_versions

__all__ = [
    "AdversarialAutoencoder",
    "AutoencoderClassifier",
    "AutoencoderOutlierDetector",
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
    "SupervisedAutoencoder",
    "TableEncoder",
    "VAETransformer",
    "load",
    "save",
    "show_versions",
    "stream",
]
