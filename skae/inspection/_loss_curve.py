"""How a training went."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae.inspection._drawing import BASELINE, CLASSES, MODEL, OnAxes, new_axes, without_frame

TRAINING = CLASSES[4]
RATIO = 10  # of losses, from which on the axis is logarithmic


class LossCurveDisplay(OnAxes):
    """Loss over the epochs: of training and held-out rows, beside the baseline's.

    Make it with `from_estimator`.

    Parameters
    ----------
    training : array-like of shape (n_epochs,)
        Mean loss of the training rows in each epoch, with the noise that training adds.
    held_out : array-like of shape (n_judged_epochs,) or None, default=None
        Loss of the held-out rows after each epoch.
    baseline : float or None, default=None
        Loss of the baseline on the held-out rows.
    best_iter : int or None, default=None
        The epoch that was kept; 0 for the baseline.
    baseline_name : str, default="PCA"

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    training_line_, held_out_line_, baseline_line_ : matplotlib Line2D or None
    kept_ : matplotlib Line2D or None
        The mark of the kept epoch.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import LossCurveDisplay
    >>> ae = AutoencoderTransformer(1, random_state=0).fit(load_iris().data)
    >>> display = LossCurveDisplay.from_estimator(ae)
    >>> bool(display.held_out.min() < display.baseline)
    True
    """

    def __init__(
        self, *, training, held_out=None, baseline=None, best_iter=None, baseline_name="PCA"
    ):
        self.training = training
        self.held_out = held_out
        self.baseline = baseline
        self.best_iter = best_iter
        self.baseline_name = baseline_name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **kwargs):
        """Draw the loss of a fitted estimator.

        Parameters
        ----------
        estimator : fitted autoencoder
            Any estimator of skae with ``transform``.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to ``ax.plot`` for the held-out rows, or for the training rows if none
            were held out.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        ValueError
            If ``estimator`` has no losses, as linear models, which are not trained.
        """
        check_is_fitted(estimator)
        if hasattr(estimator, "autoencoder_"):
            raise ValueError(
                f"{type(estimator).__name__} has no baseline to draw: pass its autoencoder_."
            )
        if not getattr(estimator, "loss_curve_", None):
            raise ValueError(
                f"This {type(estimator).__name__} has no loss curve: it was not trained, as linear "
                "models (hidden_layer_sizes=()) are not."
            )
        score = estimator._model.task.score
        zero, one = score(0.0), score(1.0)

        def losses(scores):
            return (zero - np.asarray(scores)) / (zero - one)

        told = estimator.validation_scores_, estimator.pca_score_
        held_out, baseline = (None if scores is None else losses(scores) for scores in told)
        display = cls(
            training=np.array(estimator.loss_curve_),
            held_out=held_out,
            baseline=None if baseline is None else float(baseline),
            best_iter=None if held_out is None else estimator.best_iter_,
            baseline_name=estimator._model.task.baseline_name,
        )
        return display.plot(ax, **kwargs)

    def _draw(self, ax, settings):
        self.ax_ = ax = new_axes(ax)
        self.held_out_line_ = self.baseline_line_ = self.kept_ = None
        own = settings if self.held_out is None else {}
        self.training_line_ = self._curve(self.training, "training rows", TRAINING, 1.2, own)
        if self.held_out is not None:
            self.held_out_line_ = self._curve(self.held_out, "held-out rows", MODEL, 2, settings)
        if self.baseline is not None:
            label = f"{self.baseline_name}, held-out rows"
            line = {"color": BASELINE, "linestyle": "--", "linewidth": 1.5, "label": label}
            self.baseline_line_ = ax.axhline(self.baseline, **line)
        self._mark_kept()
        without_frame(ax)
        ax.set(xlabel="epoch", ylabel="loss", yscale=self._scale())
        ax.set_xlim(left=0)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(frameon=False)

    def _curve(self, losses, label, colour, width, settings):
        settings = {"color": colour, "linewidth": width, "label": label} | settings
        return self.ax_.plot(np.arange(1, len(losses) + 1), losses, **settings)[0]

    def _mark_kept(self):
        """Mark the epoch that was kept; epoch 0 is the baseline."""
        if self.held_out is None or self.best_iter is None or self.best_iter > len(self.held_out):
            return
        k = self.best_iter
        if k == 0 and self.baseline is None:
            return
        loss = self.held_out[k - 1] if k else self.baseline
        colour = MODEL if k else BASELINE
        label = f"kept: epoch {k}" if k else f"kept: {self.baseline_name} (no clear gain)"
        settings = {"markersize": 9, "label": label, "clip_on": False, "linestyle": "none"}
        self.kept_ = self.ax_.plot(k, loss, "o", color=colour, **settings)[0]

    def _scale(self):
        """Return "log" for positive losses that differ by a large factor, else "linear"."""
        parts = [part for part in (self.training, self.held_out, self.baseline) if part is not None]
        lowest, highest = min(map(np.min, parts)), max(map(np.max, parts))
        return "log" if lowest > 0 and highest > RATIO * lowest else "linear"
