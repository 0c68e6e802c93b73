"""How the two sides of an adversarial training did."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae.inspection._drawing import BASELINE, CLASSES, MODEL, OnSeveralAxes, grid, without_frame

EVEN = 0.5  # the accuracy of guesses
SIDES = ("discriminator", "generator"), ("real", "generated")


class AdversarialCurveDisplay(OnSeveralAxes):
    """Losses of discriminator and generator over the epochs, and the discriminator's accuracy.

    Make it with `from_estimator`. A dashed line marks the equilibrium,
    where the discriminator can only
    guess. With few rows and many
    columns losses often stay away from it, which is not a failure by itself.

    Parameters
    ----------
    discriminator_loss, generator_loss : array-like of shape (n_epochs,)
        Mean losses of each epoch, without penalty and reconstruction error.
    real_accuracy, generated_accuracy : array-like of shape (n_epochs,)
        Share of either kind of pairs that the discriminator classified correctly.
    equilibrium : float
        Loss at the equilibrium.
    phases : list of (int, str), default=()
        Epochs in which a resolution begins, and its name.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Of losses and of accuracies.
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        Of both losses, then of both accuracies.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import BiGANTransformer
    >>> from skae.inspection import AdversarialCurveDisplay
    >>> gan = BiGANTransformer(2, max_iter=5, random_state=0).fit(load_iris().data)
    >>> display = AdversarialCurveDisplay.from_estimator(gan)
    >>> round(display.equilibrium, 2)
    0.69
    """

    def __init__(
        self,
        *,
        discriminator_loss,
        generator_loss,
        real_accuracy,
        generated_accuracy,
        equilibrium,
        phases=(),
    ):
        self.discriminator_loss = discriminator_loss
        self.generator_loss = generator_loss
        self.real_accuracy = real_accuracy
        self.generated_accuracy = generated_accuracy
        self.equilibrium = equilibrium
        self.phases = phases

    @classmethod
    def from_estimator(cls, estimator, *, axes=None, **kwargs):
        """Draw the training of a fitted estimator.

        Parameters
        ----------
        estimator : fitted BiGANTransformer or StyleBiGAN
        axes : sequence of two matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to ``ax.plot``.

        Returns
        -------
        display : AdversarialCurveDisplay

        Raises
        ------
        ValueError
            If ``estimator`` was not trained against a discriminator of rows, or
            by a release that did not record its accuracy.
        """
        check_is_fitted(estimator)
        history = getattr(estimator, "history_", ())
        names = [f"{side}_loss" for side in SIDES[0]] + [f"{side}_accuracy" for side in SIDES[1]]
        if not history or any(name not in row for row in history for name in names):
            raise ValueError(
                f"The history of this {type(estimator).__name__} has no losses and accuracies of a "
                "discriminator of rows: pass a BiGANTransformer or a StyleBiGAN that this release "
                "has fitted."
            )
        curves = {name: np.array([row[name] for row in history]) for name in names}
        equilibrium = estimator._model.task.equilibrium
        display = cls(**curves, equilibrium=equilibrium, phases=_phases(history))
        return display.plot(axes, **kwargs)

    def _draw(self, axes, settings):
        self.axes_ = axes = grid(2, 1, axes, panel=(6.4, 2.4), sharex=axes is None)
        self.lines_ = []
        for ax, sides, name, even in zip(
            axes, SIDES, ("loss", "accuracy"), (self.equilibrium, EVEN), strict=True
        ):
            for side, colour in zip(sides, (MODEL, CLASSES[0]), strict=True):
                values = np.asarray(getattr(self, f"{side}_{name}"))
                label = side if name == "loss" else f"{side} pairs"
                own = {"color": colour, "linewidth": 1.5, "label": label} | settings
                self.lines_ += ax.plot(np.arange(1, len(values) + 1), values, **own)
            ax.axhline(even, color=BASELINE, linestyle="--", linewidth=1.2, label="equilibrium")
            for epoch, _ in self.phases:
                ax.axvline(epoch, color=BASELINE, linewidth=0.8, linestyle=":")
            without_frame(ax)
            ax.set(ylabel=name)
            ax.legend(frameon=False, fontsize="small")
        self._finish()

    def _finish(self):
        """Put in limits, words and the names of phases."""
        losses, accuracies = self.axes_
        losses.set_ylim(bottom=0)
        accuracies.set(xlabel="epoch", ylim=(0, 1.02))
        accuracies.set_xlim(left=0)
        accuracies.xaxis.get_major_locator().set_params(integer=True)
        for epoch, name in self.phases:
            place = (epoch, 1), losses.get_xaxis_transform()
            losses.text(*place[0], f" {name}", transform=place[1], fontsize="small", va="bottom")


def _phases(history):
    """Return the epochs in which another resolution begins, and its name."""
    named = [row.get("resolution") for row in history]
    return [
        (epoch, name)
        for epoch, (before, name) in enumerate(zip([None, *named], named, strict=False), start=1)
        if name != before
    ]
