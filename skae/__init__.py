"""skae: autoencoders that take PCA's place in scikit-learn."""

from skae._autoencoder import AutoencoderTransformer
from skae._denoising import DenoisingAutoencoder
from skae._variational import VAETransformer

__all__ = ["AutoencoderTransformer", "DenoisingAutoencoder", "VAETransformer"]
