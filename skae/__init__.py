"""skae: autoencoders that take PCA's place in scikit-learn."""

from skae._autoencoder import AutoencoderTransformer
from skae._denoising import DenoisingAutoencoder

__all__ = ["AutoencoderTransformer", "DenoisingAutoencoder"]
