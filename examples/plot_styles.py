"""
The shape of one digit, the pen of another?
===========================================

`StyleBiGAN` draws images resolution by resolution, each with a style: here 4 x 4 pixels, then 8 x 8. Coarse styles of one row
and fine styles of another make an image that nobody wrote.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skae import StyleBiGAN
from skae.inspection import AdversarialCurveDisplay

X, y = load_digits(return_X_y=True)
gan = StyleBiGAN(8, image_shape=(8, 8), max_iter=60, random_state=0).fit(X[:1300])

# %%
# Training begins with the coarse images and fades the fine ones in. A discriminator learns to distinguish rows from drawn
# ones meanwhile; where it only guesses there is equilibrium, which no training reaches.

display = AdversarialCurveDisplay.from_estimator(gan)

# %%
# **The answer.** On the left the rows of the coarse styles, above those of the fine ones, both as they are given back.

X_new, y_new = X[1300:], y[1300:]
error = gan.reconstruction_error(X_new)
rows = np.stack([X_new[y_new == digit][error[y_new == digit].argmin()] for digit in range(10)])
given = gan.reconstruct(rows)
figure, axes = plt.subplots(11, 11, figsize=(8, 8), layout="constrained")
for i, line in enumerate(axes):
    mixed = given if i == 0 else gan.mix(rows[i - 1][None], rows, level=1)
    first = np.zeros(64) if i == 0 else given[i - 1]
    for ax, image in zip(line, [first, *mixed], strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)

# %%
# **Where it loses.** There is no PCA baseline: `ConvolutionalAutoencoder` gives the rows back more closely, and for
# samples alone a `BiGANTransformer` does as well on images this small, in a quarter of the time. With two resolutions there is
# little to mix; the laboratory's page on GANs shows 28 x 28 pixels.
