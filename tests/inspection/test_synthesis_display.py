"""SynthesisDisplay: columns and pairs of drawn rows beside real ones."""

import numpy as np
import pandas as pd
import pytest

from skae.inspection import SynthesisDisplay
from skae.metrics import synthesis_report


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    size = rng.normal(size=400)
    real = pd.DataFrame(
        {
            "size": size,
            "double": 2 * size,
            "kind": np.where(size > 0, "large", "small"),
            "code": rng.integers(0, 9, 400).astype(str),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.round(9 * size), unit="D"),
        }
    )
    return real.iloc[:200], real.iloc[200:]


def test_equal_rows_lie_on_each_other(pyplot, tables):
    real, _ = tables
    display = SynthesisDisplay.from_predictions(real, real)
    for _, similarity, _, shares, drawn in display.columns:
        assert similarity == 1
        np.testing.assert_array_equal(shares, drawn)
        assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(*display.trends.T)
    assert display.axes_[4].get_xlim()[0] == pytest.approx(18262, abs=60)  # days since 1970
    np.testing.assert_array_equal(display.points_.get_offsets(), display.trends)
    assert display.trends[0, 0] == pytest.approx(1)


def test_similarities_are_those_of_the_report_and_the_least_alike_are_drawn(pyplot, tables):
    real, drawn = tables
    drawn = drawn.assign(double=drawn["double"] + 3, kind="large")
    display = SynthesisDisplay.from_predictions(real, drawn, n_columns=5)
    report = synthesis_report(real, drawn, real)
    similarities = [column[1] for column in display.columns]
    assert np.mean(similarities) == pytest.approx(report.loc["shapes", "drawn"])
    display = SynthesisDisplay.from_predictions(real, drawn, n_columns=2)
    assert [column[0] for column in display.columns] == ["double", "kind"]


def test_many_levels_and_other_axes(pyplot, tables):
    display = SynthesisDisplay.from_predictions(*tables)
    levels = next(column for column in display.columns if column[0] == "code")[2]
    assert len(levels) == 7
    assert levels[-1] == "others"
    _, axes = pyplot.subplots(2, 3)
    assert display.plot(axes).axes_[0] is axes[0, 0]


def test_numbers_that_float64_hardly_tells_apart_are_drawn(pyplot):
    far = pd.DataFrame({"id": 2.0**60 + np.arange(100.0) % 3 * 256, "same": 1e30})
    shares = SynthesisDisplay.from_predictions(far, far).columns
    for _, similarity, _, real, drawn in shares:
        assert similarity == 1.0
        np.testing.assert_allclose(real, drawn)
        assert real.sum() == pytest.approx(1.0)


def test_other_columns_are_refused(tables):
    with pytest.raises(ValueError, match="drawn has the columns"):
        SynthesisDisplay.from_predictions(tables[0], tables[1][["size", "kind"]])
