"""OutlierDisplay: what is odd about the oddest rows."""

import numpy as np
from sklearn.datasets import load_wine

from skae import AutoencoderOutlierDetector
from skae.inspection import OutlierDisplay


def test_the_picture_shows_the_oddest_rows_and_their_columns(pyplot):
    X = load_wine(as_frame=True).data
    detector = AutoencoderOutlierDetector(random_state=0).fit(X)
    display = OutlierDisplay.from_estimator(detector, X, n_rows=2, n_bars=4)
    worst = X.index[np.argsort(detector.score_samples(X))[:2]]
    assert list(display.parts.index) == list(worst)
    assert display.seen.shape == display.expected.shape == (2, 13)
    for row, (ax, bars) in enumerate(zip(display.axes_, display.bars_, strict=True)):
        parts = display.parts.iloc[row].sort_values()[-4:]
        np.testing.assert_allclose([bar.get_width() for bar in bars], parts)
        labels = [label.get_text() for label in ax.get_yticklabels()]
        assert all(label.startswith(name) for label, name in zip(labels, parts.index, strict=True))
        assert str(worst[row]) in ax.get_title(loc="left")
