"""The picture of what each number of components explains."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae.inspection import ComponentCurveDisplay
from skae.metrics import reconstruction_score


@pytest.fixture(scope="module")
def fitted(digits):
    return AutoencoderTransformer(0.6, ordered=True, random_state=0).fit(digits[0])


def test_curve_display(pyplot, fitted, digits):
    display = ComponentCurveDisplay.from_estimator(fitted, digits[1], linestyle="--")
    np.testing.assert_allclose(display.scores[-1], fitted.score(digits[1]))
    np.testing.assert_allclose(
        display.start_scores[3],
        reconstruction_score(PCA(4).fit(digits[0][:]), digits[1]),
        atol=0.02,
    )
    assert display.line_.get_linestyle() == "--"
    assert display.figure_ is display.ax_.figure
    _, ax = pyplot.subplots()
    assert display.plot(ax).ax_ is ax


def test_curve_display_marks_the_chosen_size(pyplot, fitted, digits):
    display = ComponentCurveDisplay.from_estimator(fitted, digits[1])
    assert display.chosen_.get_xdata()[0] == fitted.n_components_ == len(display.scores)
    assert len(display.start_scores) == PCA(0.6).fit(digits[0]).n_components_
    assert display.share == 0.6


@pytest.mark.parametrize("asked", [2, None, "auto", "mle"])
def test_only_a_share_that_was_asked_for_is_a_line(pyplot, wine, asked):
    model = AutoencoderTransformer(asked, ordered=True, hidden_layer_sizes=()).fit(wine[0])
    assert ComponentCurveDisplay.from_estimator(model, wine[1]).share is None
