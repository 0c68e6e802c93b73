"""What an estimator asks of a training: one idea a file.

A task is imported where it is first used, and torch with it.
"""

from skae._lazy import lazily

__getattr__ = lazily(
    __name__,
    {
        "adversarial": "Adversarial BiGAN Style",
        "contrastive": "Contrastive",
        "head": "TOLERANCE Head compared dealt",
        "reconstruction": "Contractive Denoising Reconstruction Sparse",
        "shaped": "Convolutional Recurrent",
        "supervised": "Supervised",
        "variational": "Conditional Variational",
    },
)
