"""The picture of an adversarial training: what the history says, and where the equilibrium would be."""

import numpy as np
import pytest

import skae
from skae.inspection import AdversarialCurveDisplay

NAMES = "discriminator_loss", "generator_loss", "real_accuracy", "generated_accuracy"


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(60, 64))


@pytest.mark.parametrize(
    ("loss", "even"), [("relativistic", 0.693), ("logistic", 1.386), ("least_squares", 0.25)]
)
def test_losses_and_accuracies_are_those_of_the_history(pyplot, rows, loss, even):
    gan = skae.BiGANTransformer(3, loss=loss, max_iter=6, random_state=0).fit(rows)
    display = AdversarialCurveDisplay.from_estimator(gan, linewidth=3)
    for line, name in zip(display.lines_, NAMES, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), [row[name] for row in gan.history_])
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 7))
        assert line.get_linewidth() == 3
    marked = [ax.lines[2].get_ydata()[0] for ax in display.axes_]
    assert marked == pytest.approx([even, 0.5], abs=1e-3)
    _, axes = pyplot.subplots(2)
    assert list(display.plot(axes).axes_) == list(axes)


def test_resolutions_are_named_where_they_begin(pyplot, rows):
    gan = skae.StyleBiGAN(3, image_shape=(8, 8), max_iter=8, random_state=0).fit(rows)
    display = AdversarialCurveDisplay.from_estimator(gan)
    begin = [row["resolution"] for row in gan.history_].index("8 x 8") + 1
    assert 1 < begin < 8
    assert display.phases == [(1, "4 x 4"), (begin, "8 x 8")]
    assert [text.get_text().strip() for text in display.axes_[0].texts] == ["4 x 4", "8 x 8"]


def test_other_histories_are_refused(rows):
    for kind in (skae.AdversarialAutoencoder, skae.AutoencoderTransformer):
        model = kind(3, max_iter=3, early_stopping=False, random_state=0).fit(rows)
        with pytest.raises(ValueError, match="has no losses and accuracies of a discriminator"):
            AdversarialCurveDisplay.from_estimator(model)
