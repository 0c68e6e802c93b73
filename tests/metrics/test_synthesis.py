"""Laws of `synthesis_report`: its figures are those of sdmetrics, and its ends are where they must be."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from skae.metrics import synthesis_report


@pytest.fixture(scope="module")
def table():
    """Numbers, whole ones with zeros, categories, flags, dates and missing cells: three equal samples."""
    rng = np.random.default_rng(0)
    n = 900
    size = rng.normal(size=n)
    X = pd.DataFrame(
        {
            "size": size,
            "visits": rng.poisson(np.exp(size / 2)) * (rng.random(n) < 0.6),
            "kind": pd.Categorical(np.where(size + rng.normal(size=n) > 0.5, "long", "short")),
            "shop": pd.Series(rng.choice(list("abcde"), n), dtype=object),
            "paid": size + rng.normal(size=n) > 0,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, n), "D"),
        }
    )
    X.loc[rng.random(n) < 0.1, "size"] = np.nan
    X.loc[rng.random(n) < 0.1, "shop"] = None
    return X


def parts(X, n=300):
    return (X.iloc[i * n : (i + 1) * n].reset_index(drop=True) for i in range(3))


def shuffled(X, seed=0):
    """Return columns that are each shuffled: no pair is left."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: X[name].array[rng.permutation(len(X))] for name in X})


def test_shapes_and_trends_are_those_of_sdmetrics(table):
    pair, single = (
        pytest.importorskip(f"sdmetrics.{kind}", reason="the peer is not installed")
        for kind in ("column_pairs", "single_column")
    )
    real, holdout, other = parts(table)
    drawn = shuffled(other)
    found = synthesis_report(real, drawn, holdout)["drawn"]
    numbers = ["size", "visits", "day"]
    shapes = [
        (single.KSComplement if name in numbers else single.TVComplement).compute(
            holdout[name], drawn[name]
        )
        for name in table
    ]
    np.testing.assert_allclose(found["shapes"], np.mean(shapes), rtol=1e-9)
    trends = []
    names = list(table)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            some = [a, b]
            of_numbers = [name for name in some if name in numbers]
            rows = [X[some].copy() for X in (holdout, drawn)]
            if len(of_numbers) == 2:
                trends.append(pair.CorrelationSimilarity.compute(*rows))
                continue
            for X in rows:
                for name in of_numbers:
                    X[name] = pd.to_numeric(X[name]).astype(float)
            trends.append(
                pair.ContingencySimilarity.compute(*rows, continuous_column_names=of_numbers)
            )
    np.testing.assert_allclose(found["trends"], np.mean(trends), rtol=1e-9)


def test_figures_are_those_of_their_formulas():
    """By hand, of two columns: no peer is needed."""
    rng = np.random.default_rng(1)
    real, drawn, holdout = (
        pd.DataFrame({"x": rng.normal(shift, 1, 50), "c": rng.choice(list("ab"), 50)})
        for shift in (0.0, 0.5, 0.0)
    )
    found = synthesis_report(real, drawn, holdout)["drawn"]
    gaps = [abs((holdout.x <= t).mean() - (drawn.x <= t).mean()) for t in [*holdout.x, *drawn.x]]
    apart = abs((holdout.c == "a").mean() - (drawn.c == "a").mean())
    assert found["shapes"] == pytest.approx(1 - (max(gaps) + apart) / 2)
    low, width = holdout.x.min(), np.ptp(holdout.x) / 10
    cells = [
        pd.crosstab(np.clip((X.x - low) // width, 0, 9), X.c, normalize=True).stack()
        for X in (holdout, drawn)
    ]
    both = cells[0].subtract(cells[1], fill_value=0).abs().sum() / 2
    assert found["trends"] == pytest.approx(1 - both)


def test_a_second_real_sample_passes_and_its_ends_hold(table):
    real, holdout, other = parts(table)
    same = synthesis_report(real, other, holdout, target="kind")
    for figure in ("shapes", "trends"):
        assert abs(np.subtract(*same.loc[figure])) < 0.03
        assert same.loc[figure].min() > 0.85
    assert (same.loc["detection"] > 0.7).all()
    assert abs(same.loc["closest_record", "drawn"] - 0.5) < 0.1
    np.testing.assert_allclose(*same.loc["efficacy"], atol=0.1)
    copied = synthesis_report(real, real, holdout, target="kind")["drawn"]
    assert copied["closest_record"] > 0.95
    away = shuffled(other)
    away["size"] += 100
    away["kind"] = "long"
    away = away.astype({"kind": real["kind"].dtype})
    far = synthesis_report(real, away, holdout, target="kind")
    assert far.loc["detection", "drawn"] < 0.01
    assert far.loc["efficacy", "drawn"] == 0.5
    pd.testing.assert_series_equal(far["real"], same["real"])


def test_pairs_that_are_lost_are_seen(table):
    real, holdout, other = parts(table)
    kept = synthesis_report(real, other, holdout, target="paid")["drawn"]
    lost = synthesis_report(real, shuffled(other), holdout, target="paid")["drawn"]
    assert lost["shapes"] == pytest.approx(kept["shapes"])
    assert lost["trends"] < kept["trends"] - 0.02
    assert lost["efficacy"] < kept["efficacy"] - 0.1
    assert lost["detection"] < kept["detection"]


def test_frames_of_polars_and_arrays(table):
    polars = pytest.importorskip("polars")
    three = list(parts(table[["size", "visits", "paid"]]))
    pd.testing.assert_frame_equal(
        synthesis_report(*map(polars.from_pandas, three), target="paid"),
        synthesis_report(*three, target="paid"),
    )
    of_arrays = synthesis_report(*(X[["size", "visits"]].to_numpy() for X in three), target=1)
    pd.testing.assert_frame_equal(
        of_arrays, synthesis_report(*(X[["size", "visits"]] for X in three), target="visits")
    )


def test_what_cannot_be_compared_is_named(table):
    real, holdout, other = parts(table)
    with pytest.raises(ValueError, match="target='price'.*no such column"):
        synthesis_report(real, other, holdout, target="price")
    with pytest.raises(ValueError, match="drawn has the columns.*same order"):
        synthesis_report(real, other[["kind", "size"]], holdout)
    numbers = real[["size"]], other[["size"]].to_numpy(), holdout[["size"]]
    with pytest.raises(ValueError, match=r"Pass drawn as a frame, such as pandas.DataFrame\(drawn"):
        synthesis_report(*numbers)
    with pytest.raises(ValueError, match="'size' is a number in real and a category in holdout"):
        synthesis_report(real, other, holdout.astype({"size": str}))
    with pytest.raises(ValueError, match="5 rows"):
        synthesis_report(real, other[:5], holdout)


@pytest.mark.parametrize("n_present", [0, 1, 30])
def test_columns_with_few_cells_are_compared(table, n_present):
    real, holdout, other = (X.assign(rare=np.nan) for X in parts(table))
    for X in (real, holdout, other):
        X.iloc[:n_present, -1] = np.arange(n_present, dtype=float)
    report = synthesis_report(real, other, holdout, target="paid")
    without = synthesis_report(
        *(X.drop(columns="rare") for X in (real, other, holdout)), target="paid"
    )
    assert abs(report.loc["detection", "drawn"] - without.loc["detection", "drawn"]) < 0.2
    gone = synthesis_report(real, other.assign(rare=1.0), holdout).loc["detection", "drawn"]
    assert gone < 0.05


def test_numbers_that_float64_hardly_tells_apart_are_compared(table):
    """Their bins beside a category have no width."""
    few = table[["kind"]].assign(far=1e15 + 0.2 * (table["size"] > 0), farther=1e30)
    real, holdout, other = parts(few)
    report = synthesis_report(real, other, holdout)
    assert (report.loc[["shapes", "trends"]] > 0.8).all(axis=None)


def test_infinite_numbers_are_named(table):
    real, holdout, other = parts(table)
    with pytest.raises(ValueError, match="Column 'size' has infinite numbers"):
        synthesis_report(real, other.assign(size=np.inf), holdout)


def test_efficacy_does_not_depend_on_units_and_needs_another_column():
    X = np.random.default_rng(0).permutation(load_iris().data)
    expected = synthesis_report(X[:70], X[:70], X[70:], target=0).loc["efficacy", "real"]
    for unit in (2.0**-200, 2.0**200):
        rows = X * [unit, 1, 1, 1]
        found = synthesis_report(rows[:70], rows[:70], rows[70:], target=0).loc["efficacy", "real"]
        assert found == expected
    one = X[:, :1]
    assert np.isnan(
        synthesis_report(one[:70], one[:70], one[70:], target=0).loc["efficacy", "real"]
    )
