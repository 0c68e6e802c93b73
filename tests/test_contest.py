"""The benchmark's own arithmetic, and that its guard can fail."""

import importlib
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import ttest_rel

import benchmarks
from benchmarks.contest import results
from benchmarks.contest.check import Line, verdict
from benchmarks.contest.measures import unexplained
from benchmarks.contest.scenarios import Scenario
from benchmarks.contest.statistics import corrected_p, outcome, slope
from benchmarks.contest.summary import Results, cost_ratio
from benchmarks.data import DATA_SETS, DataSet, find, split
from skae.metrics import explained_share


def test_without_shared_rows_the_corrected_test_is_the_paired_t_test():
    ours, theirs = np.random.default_rng(0).normal(size=(2, 5))
    plain = ttest_rel(ours, theirs).pvalue
    assert corrected_p(ours, theirs, test_over_train=0) == pytest.approx(plain)
    assert corrected_p(ours, theirs) > plain


def test_two_splits_prove_nothing():
    assert np.isnan(corrected_p([0.1, 0.1], [0.9, 0.8]))


@pytest.mark.parametrize(
    ("ours", "said"), [(0.98, "win"), (0.995, "tie"), (1.005, "tie"), (1.02, "loss")]
)
def test_a_tie_is_within_one_percent(ours, said):
    assert outcome([ours], [1.0]) == said


def test_the_slope_of_a_power_is_its_exponent():
    sizes = np.array([10, 100, 1000])
    assert slope(sizes, 3 * sizes**1.5) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("found", "said"), [(1.2, "worse"), (np.nan, "worse"), (1.05, "equal"), (0.8, "better")]
)
def test_what_the_guard_says_of_a_figure(found, said):
    assert verdict(Line("cell", "unexplained", 1.0, 0.1), found) == said


def test_the_benchmarks_error_is_that_of_score():
    X, rows = np.random.default_rng(0).normal(size=(2, 20, 3))
    assert unexplained(X, rows) == pytest.approx(1 - explained_share(X, rows))


def test_results_come_back_as_written(tmp_path):
    path = tmp_path / "cells.csv"
    results.append(path, "cell/a", 0, {"unexplained": 0.25, "nats": "MemoryError: too large"})
    results.append(path, "cell/b", 1, {"failed": "no, really"})
    assert results.read(path) == {
        ("cell/a", 0): {"unexplained": 0.25, "nats": "MemoryError: too large"},
        ("cell/b", 1): {"failed": "no, really"},
    }


def test_a_scenarios_name_is_the_scenario():
    scenario = Scenario("cell", "digits", "k=4", "pca", "default")
    assert Scenario.parse(scenario.id) == scenario


def test_splits_share_neither_rows_nor_groups():
    X = np.repeat(np.arange(40.0), 3)[:, None] + np.tile([0.0, 0.1, 0.1], 40)[:, None]
    groups = np.repeat(np.arange(40), 3)
    data = split(DataSet("made up", lambda: (X, groups, groups), "regression", "", ""), 0)
    assert len(data.y_train) + len(data.y_test) == 80  # of equal rows one is kept
    assert not set(data.y_train) & set(data.y_test)


def test_training_columns_are_standardised():
    data = split(find("wine"), 0)
    np.testing.assert_allclose(data.X_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.X_train.std(axis=0), 1)


def test_names_of_data_sets_are_unique():
    assert len({data_set.name for data_set in DATA_SETS}) == len(DATA_SETS)


@pytest.mark.skipif(sys.platform != "linux", reason="the worker reads /proc")
@pytest.mark.parametrize(("value", "code"), [(0.1, 0), (0.01, 1)])
def test_the_guard_fails_where_a_fit_is_worse_than_the_file_allows(tmp_path, value, code):
    file = tmp_path / "tolerances"
    file.write_text(f"cell/iris/k=2/skae/default unexplained {value} 0.001\n")
    command = [sys.executable, "-m", "benchmarks.contest.check", "--file", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert ("worse" in done.stdout) == bool(code)


def test_every_benchmark_can_be_imported():
    for module in pkgutil.walk_packages(benchmarks.__path__, "benchmarks."):
        importlib.import_module(module.name)


def test_times_are_compared_where_both_were_taken_on_one_processor():
    def took(seconds, processor):
        return {"fit_seconds": seconds} | ({"processor": processor} if processor else {})

    ours, theirs = "cell/iris/k=2/skae/default", "cell/iris/k=2/pca/default"
    runs = {(ours, 0): took(1.0, None), (theirs, 0): took(2.0, None)}
    runs |= {(ours, 1): took(9.0, "a"), (theirs, 1): took(1.0, "b")}
    assert cost_ratio(Results(runs), ("pca", "default"), "seconds") == {"iris": 0.5}
