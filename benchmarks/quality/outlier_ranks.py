"""Ranks of detectors over many sets, and how far apart two must be to differ.

J. Demšar. Statistical comparisons of classifiers over multiple data sets. Journal of Machine
Learning Research 7, 2006, https://www.jmlr.org/papers/v7/demsar06a.html
"""

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import friedmanchisquare, rankdata, studentized_range

LEVEL = 0.05
USUAL_SHARE = 0.9  # of the sets, which a method must have to be ranked
OURS, COLOUR, GREY = "detector", "#d1495b", "#555555"


def by_set(results, protocol):
    """Return figures of a protocol, set by set and method by method: the mean over the seeds."""
    found = {}
    for key, figures in results.items():
        name, its_protocol, _ = key.split("|")
        if its_protocol == protocol:
            for method, values in figures.items():
                found.setdefault(name, {}).setdefault(method, []).append(values)
    return {
        name: {method: np.mean(values, axis=0) for method, values in methods.items()}
        for name, methods in found.items()
    }


def ranks(sets):
    """Return the methods that are ranked, and their ranks by area: a row for each set, 1 is best."""
    counts = {}
    for figures in sets.values():
        for method in figures:
            counts[method] = counts.get(method, 0) + 1
    methods = [name for name, n in counts.items() if n >= USUAL_SHARE * len(sets)]
    areas = [
        [figures[name][0] for name in methods]
        for figures in sets.values()
        if figures.keys() >= set(methods)
    ]
    return methods, rankdata(-np.array(areas), axis=1)


def critical_difference(n_methods, n_sets):
    """Return by how much mean ranks must differ (Nemenyi's test)."""
    spread = studentized_range.ppf(1 - LEVEL, n_methods, np.inf) / np.sqrt(2)
    return float(spread * np.sqrt(n_methods * (n_methods + 1) / (6 * n_sets)))


def draw(panels, path):
    """Draw mean ranks with half a critical difference to both sides: who overlaps does not differ.

    Parameters
    ----------
    panels : dict
        From titles to what `by_set` returns.
    path : path
        Of the picture.
    """
    figure = Figure(figsize=(9, 3.2 * ((len(panels) + 1) // 2)), layout="constrained")
    axes = figure.subplots((len(panels) + 1) // 2, 2, squeeze=False)
    for ax, (title, sets) in zip(axes.flat, panels.items(), strict=False):
        methods, found = ranks(sets)
        order = np.argsort(-found.mean(axis=0), kind="stable")
        half = critical_difference(len(methods), len(found)) / 2
        for place, method in enumerate(order):
            colour = COLOUR if methods[method] == OURS else GREY
            about = {"xerr": half, "fmt": "o", "capsize": 3, "color": colour}
            ax.errorbar(found[:, method].mean(), place, **about)
        ax.set_yticks(range(len(order)), [methods[method] for method in order])
        p = friedmanchisquare(*found.T).pvalue
        ax.set_title(f"{title}, {len(found)} sets")
        ax.set_xlabel(f"mean rank (Friedman: p = {p:.0e})")
    figure.savefig(path, dpi=110)
