"""
The same handwriting, another digit?
====================================

`ConditionalVAE` gets the label as a second input, so its code keeps what the label does not say: slant, width, weight of the pen. Then one person's
style can be given to every digit.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skae import ConditionalVAE

X, y = load_digits(return_X_y=True)
X = X / 16
vae = ConditionalVAE(6, random_state=0).fit(X[:1300], y[:1300])

# %%
# Five images that were not seen, each coded with its label and decoded with ten others.

rows = np.arange(1300, 1305)
styles = vae.transform(X[rows], y[rows])
written = [vae.inverse_transform(style[None].repeat(10, axis=0), range(10)) for style in styles]

# %%
# **The answer.** On the left the image as it was, on the right its style in ten digits.

figure, axes = plt.subplots(5, 11, figsize=(9, 4.2), layout="constrained")
for line, row, digits in zip(axes, rows, written, strict=True):
    for ax, image in zip(line, [X[row], *digits], strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
axes[0, 0].set_title("given", fontsize=10)
for digit in range(10):
    axes[0, digit + 1].set_title(digit, fontsize=10)

# %%
# **Where it loses.** A code without the label is a poor code for predicting it, by design. And like all variational models this one
# blurs: means of the possible pixels, not draws of them.
