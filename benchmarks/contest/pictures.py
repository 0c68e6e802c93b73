"""The pictures of the report, drawn from the results alone."""

import math

import numpy as np

from benchmarks.contest.growth import AXES, CONTENDERS
from benchmarks.contest.scenarios import Scenario
from benchmarks.contest.statistics import geometric_mean, slope
from benchmarks.contest.summary import mean

MARKS = "os^Dv<>Pp*hX"
LIMIT = 30  # ratios beyond are drawn at the border


def dots(scores, order, path):
    """Draw, for each data set and contender, its error over skae's (geometric mean over k)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 0.34 * len(order) + 1.6), layout="constrained")
    axes = figure.subplots()
    for i, (name, score) in enumerate(scores.items()):
        points = [(row, ratio_of(score, data)) for row, data in enumerate(order)]
        points = [(row, min(ratio, LIMIT)) for row, ratio in points if not math.isnan(ratio)]
        if points:
            rows, ratios = zip(*points, strict=True)
            offset = 0.5 * (i / max(1, len(scores) - 1) - 0.5)
            axes.plot(ratios, np.array(rows) + offset, MARKS[i % len(MARKS)], ms=4, label=name)
    axes.axvline(1, color="black", lw=0.8)
    axes.set(xscale="log", yticks=range(len(order)), yticklabels=order,
             xlabel="held-out error over skae's at equal k (right of the line: skae is better)")  # fmt: skip
    ticks = [1, 2, 5, 10, 20, LIMIT]
    axes.set_xticks(ticks, labels=[str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=80)


def ratio_of(score, data):
    """Return the geometric mean over k of a contender's error over ours, NaN without one."""
    ratios = [1 / ratio for (name, _), ratio in score.ratios.items() if name == data]
    return geometric_mean(ratios) if ratios else math.nan


def growth_points(results, axis, name, measure):
    """Return the sizes of an axis that were run to the end, and their costs."""
    found = []
    for n in AXES[axis]:
        costs = results.values((axis, f"n={n}"), (name, CONTENDERS[name]), measure, "growth")
        cost = mean(list(costs.values()))
        if not math.isnan(cost) and cost > 0:
            found.append((n, cost))
    return tuple(zip(*found, strict=True)) or ((), ())


def growth(results, path):
    """Draw time and memory over rows, columns and components, on log axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    for line, (measure, unit) in enumerate([("seconds", "s"), ("peak_mib", "MiB")]):
        for column, axis in enumerate(AXES):
            axes = figure.add_subplot(2, 3, 3 * line + column + 1)
            for name, mark in zip(CONTENDERS, MARKS, strict=False):
                sizes, costs = growth_points(results, axis, name, measure)
                if sizes:
                    axes.plot(sizes, costs, f"{mark}-", ms=4, lw=1, label=name)
            label = axis if line else ""
            axes.set_xscale("log", base=2 if axis == "components" else 10)
            axes.set(yscale="log", xlabel=label, ylabel="" if column else unit)
            axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=70)


def slopes(results, axis, name, measure):
    """Return the exponent of growth over the upper half of an axis, NaN below two points."""
    sizes, costs = growth_points(results, axis, name, measure)
    half = len(sizes) // 2
    return slope(sizes[half:], costs[half:]) if len(sizes) - half > 1 else math.nan


def unfinished(results, axis, name):
    """Return the sizes at which a contender failed, with why."""
    found = {}
    for n in AXES[axis]:
        scenario = Scenario("growth", axis, f"n={n}", name, CONTENDERS[name])
        for figures in results.by_scenario.get(scenario, {}).values():
            if "failed" in figures:
                found[n] = figures["failed"]
    return found
