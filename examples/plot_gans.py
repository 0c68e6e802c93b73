"""
From GAN to style-based generator in five pictures: what does each step bring?
==============================================================================

A generator draws rows, a discriminator learns to distinguish them from the real ones, and each learns from the other. A ring of
points and the digits of scikit-learn show what goes wrong, and what people did about it.

Four networks are trained, so this page takes about 15 seconds of one processor, longer than the others. Epochs and rows are few: with
the defaults the samples are better (figures are on the laboratory's page on GANs).
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from skae import BiGANTransformer, StyleBiGAN
from skae.inspection import AdversarialCurveDisplay

# %%
# **1. Mode collapse.** Eight groups on a ring. On the left the logistic loss of 2014 alone, on the right the default:
# the relativistic loss, a penalty on the discriminator's slopes, and an encoder whose reconstructions count. Both had 120 epochs.

rng = np.random.default_rng(0)
angles = np.pi / 4 * rng.integers(8, size=1000)
ring = 2 * np.column_stack([np.cos(angles), np.sin(angles)]) + rng.normal(0, 0.1, (1000, 2))
plain = {"loss": "logistic", "gradient_penalty": 0.0, "reconstruction_weight": 0.0}
gans = {
    name: BiGANTransformer(2, max_iter=120, random_state=0, **params).fit(ring)
    for name, params in {"logistic loss alone": plain, "with the remedies": {}}.items()
}
figure, axes = plt.subplots(1, 2, figsize=(7, 3.6), layout="constrained")
for ax, (name, gan) in zip(axes, gans.items(), strict=True):
    ax.scatter(*ring.T, s=3, color="#9ca3af", label="rows")
    ax.scatter(*gan.sample(1000, random_state=0).T, s=3, color="#d1495b", label="samples")
    ax.set(title=name, xlim=(-3, 3), ylim=(-3, 3), xticks=[], yticks=[], aspect="equal")
ax.legend(loc="center", markerscale=3, frameon=False)

# %%
# **2. No loss falls.** In other trainings a curve that falls is good news. Here two sides pull at each other; in equilibrium the
# discriminator would only guess (dashed). Look at the samples, not at the losses.

figure, axes = plt.subplots(2, 2, figsize=(8, 4.5), sharex=True, sharey="row", layout="constrained")
for column, (name, gan) in zip(axes.T, gans.items(), strict=True):
    AdversarialCurveDisplay.from_estimator(gan, axes=column)
    column[0].set_title(name)

# %%
# **3. Pixels as columns.** The same estimator, dense, on digits. Above rows, below samples, not picked.

X, y = load_digits(return_X_y=True)
X_new, y_new = X[900:], y[900:]


def draw(lines, names):
    """Draw lines of images, with a name at the left of each."""
    tiles = [np.hstack([np.pad(image.reshape(8, 8), 1) for image in line]) for line in lines]
    size = 0.55 * len(lines[0]) + 1, 0.55 * len(lines)
    ax = plt.figure(figsize=size, layout="constrained").subplots()
    ax.imshow(np.vstack(tiles), cmap="gray_r", vmin=0, vmax=16)
    ax.set(xticks=[], yticks=10 * np.arange(len(lines)) + 4.5, yticklabels=names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


dense = BiGANTransformer(16, max_iter=50, random_state=0).fit(X[:900])
draw([X_new[:10], dense.sample(10, random_state=0)], ["rows", "samples"])

# %%
# **4. Growing.** `StyleBiGAN` begins with 4 x 4 pixels and fades 8 x 8 in. A callback keeps what it makes of ten codes.


class Watch(Callback):
    """Keeps what a generator makes of the same codes after some epochs."""

    def __init__(self, epochs, codes):
        self.epochs, self.codes, self.kept = epochs, codes, {}

    def __sklearn_clone__(self):
        """Stay the one that is looked at."""
        return self

    def on_epoch_end(self, net, **kwargs):
        """Keep the images, in the units of the networks."""
        if len(net.history) in self.epochs:
            with torch.no_grad():
                self.kept[len(net.history)] = net.module_.decoder(self.codes).numpy()


watch = Watch((1, 7, 11, 15, 30), torch.from_numpy(rng.normal(size=(10, 8))).float())
gan = StyleBiGAN(8, image_shape=(8, 8), max_iter=30, callbacks=[watch], random_state=0).fit(X[:900])
names = [f"epoch {epoch}\n{gan.history_[epoch - 1]['resolution']}" for epoch in watch.kept]
draw([rows * gan.scale_ + gan.mean_ for rows in watch.kept.values()], names)

# %%
# **5. Styles are mixed.** Each resolution has a style. At the left the rows of the coarse styles, above those of the fine ones, both
# as they are given back; each image between them takes its coarse style from the left and its fine one from above.

error = gan.reconstruction_error(X_new)
rows = np.stack([X_new[y_new == digit][error[y_new == digit].argmin()] for digit in range(10)])
given = gan.reconstruct(rows)
lines = [[own, *gan.mix(row[None], rows, level=1)] for row, own in zip(rows, given, strict=True)]
draw([[np.zeros(64), *given], *lines], ["fine", *["coarse"] * 10])

# %%
# Most images keep the shape of the left; some take on the upper one's: the four with a zero's fine style is a zero.

# %%
# **Where it loses.** For samples of images this small the dense `BiGANTransformer` does as well as `StyleBiGAN`, in a quarter of
# the time, and on 28 x 28 pixels kernel density along principal axes covers more. There is no PCA baseline:
# `ConvolutionalAutoencoder` gives the rows back more closely. With two resolutions there is little to mix;
# the laboratory's page shows four. Nor does the plain GAN always collapse: seven of ten seeds kept
# all eight groups with the default number of epochs.
