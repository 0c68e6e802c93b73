"""skae: autoencoders that take PCA's place in scikit-learn."""

from skae._autoencoder import AutoencoderTransformer

__all__ = ["AutoencoderTransformer"]
