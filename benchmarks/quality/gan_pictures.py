"""From GAN to style-based generator in five pictures.

Run by ``python -m benchmarks.quality.gan_pictures FOLDER``; docs/lab/gan.md shows them.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from skorch.callbacks import Callback

import skae
from benchmarks.data import find
from benchmarks.quality.gan import NO_GUARDS, SHAPES
from benchmarks.quality.samples import ring_of
from skae.inspection import AdversarialCurveDisplay

RINGS = {
    "logistic, no guards": {"loss": "logistic", **NO_GUARDS},
    "logistic": {"loss": "logistic"},
    "least squares": {"loss": "least_squares"},
    "relativistic (default)": {},
}
MODEL, ROWS = "#d1495b", "#9ca3af"
N_IMAGES = 1500  # of mnist_5k that train
N_KEPT = 9  # epochs in the picture of growth


def rings(seed=0):
    """Draw samples over the rows of the ring, one panel for each loss."""
    X, _ = ring_of(2000, seed)
    figure = Figure(figsize=(10, 2.8), layout="constrained")
    for ax, (name, params) in zip(figure.subplots(1, len(RINGS)), RINGS.items(), strict=True):
        drawn = skae.BiGANTransformer(2, random_state=seed, **params).fit(X).sample(1000, seed)
        ax.scatter(*X[:1000].T, s=2, color=ROWS, label="rows")
        ax.scatter(*drawn.T, s=2, color=MODEL, label="samples")
        ax.set(title=name, xlim=(-3, 3), ylim=(-3, 3), xticks=[], yticks=[], aspect="equal")
    figure.axes[0].legend(loc="center", fontsize=7, markerscale=3, frameon=False)
    return figure


def curves(model):
    """Draw the losses and accuracies of a fitted model."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    AdversarialCurveDisplay.from_estimator(model, axes=figure.subplots(2, sharex=True))
    return figure


class Watch(Callback):
    """Keeps what the generator makes of a few codes, now and then."""

    def __init__(self, n_epochs):
        self.places = set(np.linspace(1, n_epochs, N_KEPT).astype(int))
        self.codes = torch.randn(4, 32, generator=torch.Generator().manual_seed(1))
        self.kept = []

    def __sklearn_clone__(self):
        """Stay what is looked at afterwards."""
        return self

    def on_epoch_end(self, net, **kwargs):
        """Keep it, with epoch and resolution."""
        if len(net.history) in self.places:
            with torch.no_grad():
                rows = net.module_.decoder(self.codes).numpy()
            self.kept.append((len(net.history), net.history[-1]["resolution"], rows))


def growth(kept, model, shape):
    """Draw what became of the same codes in training."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    grid = figure.subplots(len(kept[0][-1]), len(kept), squeeze=False)
    for column, (epoch, name, rows) in zip(grid.T, kept, strict=True):
        for ax, row in zip(column, rows * model.scale_ + model.mean_, strict=True):
            image(ax, row, shape)
        column[0].set_title(f"{name}\nepoch {epoch}", fontsize=8)
    return figure


def samples(models, shape):
    """Draw samples of several models, a line each."""
    figure = Figure(figsize=(10, 0.95 * len(models)), layout="constrained")
    grid = figure.subplots(len(models), 11, width_ratios=[2.2] + [1] * 10)
    for line, (name, rows) in zip(grid, models.items(), strict=True):
        line[0].text(1, 0.5, name, ha="right", va="center", fontsize=8)
        line[0].set_axis_off()
        for ax, row in zip(line[1:], rows[:10], strict=True):
            image(ax, row, shape)
    return figure


def mixing(model, coarse, fine, shape, levels=(1, 2)):
    """Draw rows with the coarse styles of the left column and the fine ones of the upper row."""
    figure = Figure(figsize=(5.2 * len(levels), 5.6), layout="constrained")
    for part, level in zip(figure.subfigures(1, len(levels)), levels, strict=True):
        part.suptitle(f"level={level}", fontsize=9)
        grid = part.subplots(len(coarse) + 1, len(fine) + 1)
        grid[0, 0].set_axis_off()
        grid[0, 0].text(0.5, 0.5, "coarse ↓\nfine →", ha="center", va="center", fontsize=8)
        for ax, row in zip(grid[0, 1:], model.reconstruct(fine), strict=True):
            image(ax, row, shape, frame=MODEL)
        for line, row, own in zip(grid[1:], coarse, model.reconstruct(coarse), strict=True):
            image(line[0], own, shape, frame="#0072B2")
            for ax, made in zip(line[1:], model.mix(row[None], fine, level), strict=True):
                image(ax, made, shape)
    return figure


def best(model, X, y, labels):
    """Return the row of each label that a model gives back best."""
    error = model.reconstruction_error(X)
    return np.stack([X[y == label][error[y == label].argmin()] for label in labels])


def image(ax, row, shape, frame=None):
    """Draw one image."""
    ax.imshow(row.reshape(shape), cmap="gray", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=frame is not None, color=frame, linewidth=2)


def fitted(X, n_epochs):
    """Return the models of the pictures, and what became of some codes in training."""
    params = {"image_shape": SHAPES["mnist_5k"], "random_state": 0, "max_iter": n_epochs}
    watch = Watch(n_epochs)
    models = {
        "VAE": skae.VAETransformer(32, random_state=0).fit(X),
        "StyleBiGAN": skae.StyleBiGAN(32, callbacks=[watch], **params).fit(X),
    }
    return models, watch.kept


def draw(models, kept, X_test, y_test, folder):
    """Draw all pictures."""
    shape, style = SHAPES["mnist_5k"], models["StyleBiGAN"]
    drawn = {"rows": X_test, **{name: model.sample(10, 0) for name, model in models.items()}}
    drawn["StyleBiGAN, truncation 0.6"] = style.sample(10, 0, truncation=0.6)
    coarse = best(style, X_test, y_test, (0, 2, 3, 4, 7, 9))
    fine = best(style, X_test[::-1][:500], y_test[::-1][:500], (1, 3, 6, 7, 8, 0))
    pictures = {
        "ring": rings(),
        "curves": curves(style),
        "growth": growth(kept, style, shape),
        "samples": samples(drawn, shape),
        "mixing": mixing(style, coarse, fine, shape),
    }
    for name, figure in pictures.items():
        figure.savefig(folder / f"gan_{name}.png", dpi=90)


def main(argv=None):
    """Fit and draw."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--max-iter", type=int, default=80, help="epochs on images")
    arguments = parser.parse_args(argv)
    X, y = find("mnist_5k").load()
    order = np.random.default_rng(0).permutation(len(X))
    X, y = X[order], y[order]
    models, kept = fitted(X[:N_IMAGES], arguments.max_iter)
    draw(models, kept, X[N_IMAGES:], y[N_IMAGES:], arguments.folder)


if __name__ == "__main__":
    main()
