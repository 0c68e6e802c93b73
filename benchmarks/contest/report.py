"""Writes the first part of ``docs/benchmarks.md`` and its pictures, from the results alone."""

import math
from collections import Counter
from pathlib import Path

from benchmarks.contest import pictures, results
from benchmarks.contest.__main__ import CELLS, GROWTH
from benchmarks.contest.growth import AXES, CONTENDERS
from benchmarks.contest.imports import IMPORTS, STATEMENTS
from benchmarks.contest.machine import MACHINE
from benchmarks.contest.scenarios import ORDER, everything
from benchmarks.contest.search import SEARCH
from benchmarks.contest.statistics import geometric_mean
from benchmarks.contest.summary import (
    OURS,
    Results,
    code_means,
    contenders,
    cost_ratio,
    mean,
    score,
    standard_error,
)
from benchmarks.data import CLASSES, CONTEST, find

PAGE = Path(__file__).parent.parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- contest: written by benchmarks.contest.report -->", "<!-- end of contest -->"
CODE_JUDGES = "svc", "knn", "linear"


def label(contender):
    """Return how a contender is called in tables."""
    name, variant = contender
    return name.replace("_", " ") + (", equal" if variant == "equal" else "")


def shown(figure, form=".3f"):
    """Return a number as text, nothing for NaN."""
    return "" if math.isnan(figure) else format(figure, form)


def table(head, rows):
    """Return the lines of a markdown table."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in [head, *rows]]
    return [lines[0], "|" + "---|" * len(head), *lines[1:], ""]


def seeds(found):
    """Return how many scenarios have how many seeds, those that were not run too."""
    listed = everything()
    runs = [found.by_scenario.get(scenario, {}) for scenario in listed]
    over = [any(map(results.capped, run.values())) for run in runs]
    counts = Counter(len(run) for run, ended in zip(runs, over, strict=True) if not ended)
    told = [f"{count} have {n or 'none'}" for n, count in sorted(counts.items(), reverse=True)]
    capped = f", {sum(over)} took longer than the cap and were not repeated" if any(over) else ""
    return f"of {len(listed)} scenarios " + ", ".join(told) + capped


def standing(scores):
    """Return the table of wins, ties and losses."""
    head = ["rival", "cells", "win", "tie", "loss", "won or tied", "proven win / loss",
            "skae / rival", "no result"]  # fmt: skip
    rows = [
        [label(contender), len(s.outcomes), *map(s.count, ("win", "tie", "loss")),
         f"{s.share:.0%}" if s.outcomes else "",
         f"{s.count('win', True)} / {s.count('loss', True)}", shown(s.ratio), s.failed]
        for contender, s in scores.items()
    ]  # fmt: skip
    return table(head, rows)


def cells(found, variant, scores):
    """Return the table of unexplained shares, skae's losses in bold."""
    own = [("skae_vae", "default")] if variant == "default" else []
    others = own + [c for c in contenders() if c[1] == variant]
    scores = scores | {c: score(found, c) for c in own}
    rows = []
    for place in found.places():
        values = found.row(place, [OURS, *others], "unexplained")
        line = [f"{place[0]} {place[1]}", with_error(values[OURS])]
        for contender in others:
            figure = mean(values[contender])
            text = shown(figure, ".3f" if 0.001 <= figure < 10 else ".0e")
            better = scores[contender].outcomes.get(place) == "loss"
            line.append(f"**{text}**" if better and text else text)
        rows.append([*line, len(values[OURS])])
    return table(["data", "skae", *map(label, others), "seeds"], rows)


def with_error(values):
    """Return a mean with its standard error, where there are seeds for one."""
    error = shown(standard_error(values))
    return shown(mean(values)) + (f" ±{error}" if error else "")


def complete(found, contender, size, measures, task):
    """Return the data sets of a task on which skae and a contender have all measures."""
    return [
        data.name
        for data in CONTEST
        if (data.task == CLASSES) == (task == CLASSES)
        and all(found.pair((data.name, size), contender, m)[0] for m in measures)
    ]


def codes(found, task):
    """Return the table of what judges make of the code, beside skae's on the same data sets."""
    rows = []
    for contender in [("skae_vae", "default"), *contenders()]:
        line = [label(contender)]
        for size in ("k=2", "k=4", "k=8"):
            names = complete(found, contender, size, CODE_JUDGES, task)
            if not names:
                line.append("")
                continue
            own, other = code_means(found, contender, size, CODE_JUDGES, names)
            line.append(f"{own:.3f} / {other:.3f} ({len(names)})")
        if any(line[1:]):
            rows.append(line)
    return table(["skae / rival (data sets)", "k = 2", "k = 4", "k = 8"], rows)


def neighbours(found):
    """Return the table of trustworthiness and continuity of the two-dimensional code."""
    measures = "trustworthiness", "continuity"
    rows = []
    for contender in [("skae_vae", "default"), *contenders()]:
        names = [n for task in (CLASSES, "")
                 for n in complete(found, contender, "k=2", measures, task)]  # fmt: skip
        if names:
            means = [code_means(found, contender, "k=2", [m], names) for m in measures]
            pairs = [f"{own:.3f} / {other:.3f}" for own, other in means]
            rows.append([label(contender), *pairs, len(names)])
    return table(["skae / rival", *measures, "data sets"], rows)


def nats(found):
    """Return the table of held-out log-likelihoods, k = 8 or the largest below."""
    rivals = [("pca", "default"), ("factor_analysis", "default"),
              ("pythae_vae", "default"), ("pythae_vae", "equal")]  # fmt: skip
    rows = []
    for name in ORDER:
        sizes = [p for p in found.places() if p[0] == name and p[1] in ("k=2", "k=4", "k=8")]
        place = sizes[-1] if sizes else (name, "k=8")
        values = found.row(place, [("skae_vae", "default"), *rivals], "nats")
        line = list(map(mean, values.values()))
        if not math.isnan(line[0]):
            figures = [shown(figure, ".2f" if abs(figure) < 1e5 else ".0e") for figure in line]
            rows.append([f"{name} {place[1]}", *figures])
    return table(["data", "skae vae", *map(label, rivals)], rows)


def anomalies(found):
    """Return the table of areas under the curve."""
    places = found.places("anomaly")
    everyone = [OURS, ("skae_vae", "default"), *contenders()]
    columns = [found.row(place, everyone, "auc", "anomaly") for place in places]
    rows = []
    for contender in everyone:
        line = [mean(column[contender]) for column in columns]
        if not all(map(math.isnan, line)):
            rows.append([label(contender), *map(shown, line)])
    return table(["", *(f"{data}, {share}" for data, share in places)], rows)


def costs(found):
    """Return the table of time and memory."""
    rows = []
    for contender in contenders():
        ratios = cost_ratio(found, contender, "seconds")
        if not ratios:
            continue
        transform = cost_ratio(found, contender, "transform_seconds").values()
        memory = cost_ratio(found, contender, "peak_mib").values()
        slower = [f"{data} {ratio:.1f}" for data, ratio in ratios.items() if ratio > 1]
        names = ", ".join(slower) if len(slower) < len(ratios) else "all"
        rows.append([
            label(contender), f"{geometric_mean(list(ratios.values())):.2f}",
            f"{min(ratios.values()):.2f} to {max(ratios.values()):.2f}",
            f"{len(slower)} of {len(ratios)}: {names}" if slower else f"0 of {len(ratios)}",
            f"{geometric_mean(list(transform)):.2f}" if transform else "",
            f"{geometric_mean(list(memory)):.2f}" if memory else "",
        ])  # fmt: skip
    head = ["skae (vae over vae) over", "time of a fit", "range over data sets", "slower on",
            "time of transform", "memory of a fit"]  # fmt: skip
    return table(head, rows)


def imports():
    """Return the table of import times."""
    rows = results.read(IMPORTS)
    by_name = {name: [f["seconds"] for (id, _), f in rows.items() if id == f"import/{name}"]
               for name in STATEMENTS}  # fmt: skip
    return table(
        ["import of", "seconds of the processor"],
        [
            [name, f"{sorted(times)[len(times) // 2]:.2f}"]
            for name, times in by_name.items()
            if times
        ],
    )


def growth(found):
    """Return the table of slopes, and what did not end."""
    rows, remarks = [], []
    for axis in AXES:
        for name in CONTENDERS:
            line = [shown(pictures.slopes(found, axis, name, measure), ".2f")
                    for measure in ("seconds", "peak_mib")]  # fmt: skip
            sizes, seconds = pictures.growth_points(found, axis, name, "seconds")
            if sizes:
                rows.append(
                    [axis, name.replace("_", " "), *line, f"{sizes[-1]:,}: {seconds[-1]:.2f}"]
                )
            for n, why in pictures.unfinished(found, axis, name).items():
                remarks.append(f"- {axis} {n:,}, {name.replace('_', ' ')}: {why}.")
    head = ["grows", "model", "slope of time", "slope of memory", "largest: seconds"]
    return table(head, rows) + remarks


def search():
    """Return the table of the search's cost."""
    rows = results.read(SEARCH)
    lines = [[*id.split("/")[2:], f"{f['seconds']:.1f}",
              shown(f.get("cpu_seconds", math.nan), ".1f"), f"{f['best_score']:.3f}"]
             for (id, _), f in rows.items()]  # fmt: skip
    return table(["n_jobs", "reducer", "seconds", "of the processor", "best accuracy"], lines)


def failures(found):
    """Return what did not run, with the message."""
    lines = []
    for contender in contenders():
        for why, places in found.failures(contender).items():
            names = list(dict.fromkeys(data for data, _ in places))
            lines.append(f"- {label(contender)}, {len(places)} runs ({', '.join(names)}): `{why}`")
        if not any((s.rival, s.variant) == contender for s in found.of_kind("cell")):
            lines.append(f"- {label(contender)}: not run.")
    return [*lines, ""]


def data_sets():
    """Return the table of data sets."""
    rows = [[d.name, d.task, d.why, d.licence] for d in map(find, ORDER)]
    return table(["data", "task", "why", "licence"], rows)


def machine():
    """Return when and where the results were measured."""
    told = results.read(MACHINE)["machine", 0]
    versions = ", ".join(f"{k} {v}" for k, v in told.items() if k not in ("date", "cores", "cpu"))
    return (f"Measured on {told['date']}, {int(told['cores'])} cores ({told['cpu']}), shared and "
            f"noisy: {versions}.")  # fmt: skip


def verdict(found, scores):
    """Return the aims and what was reached, one line each."""
    lines = []
    for variant, aim in (("default", 0.9), ("equal", 0.75)):
        mine = {c: s for c, s in scores.items() if c[1] == variant and s.outcomes}
        missed = [f"{label(c)} ({s.share:.0%})" for c, s in mine.items() if s.share < aim]
        lines.append(
            f"- {aim:.0%} won or tied against every rival, {variant}, of the cells that were run: "
            + (f"missed against {', '.join(missed)}." if missed else "reached.")
        )
    return [*lines, faster(found), better_codes(found), ""]


def faster(found):
    """Return on how many data sets a fit is faster than each autoencoder of equal epochs."""
    told = []
    for contender in contenders():
        ratios = cost_ratio(found, contender, "seconds") if contender[1] == "equal" else {}
        if ratios:
            won = sum(ratio <= 1 for ratio in ratios.values())
            told.append(f"{label(contender)} {won} of {len(ratios)}")
    return f"- Faster than each network of equal epochs, data sets: {'; '.join(told)}."


def better_codes(found):
    """Return the mean accuracy on the code beside PCA's."""
    told = []
    for size in ("k=2", "k=4", "k=8"):
        names = complete(found, ("pca", "default"), size, CODE_JUDGES, CLASSES)
        own, other = code_means(found, ("pca", "default"), size, CODE_JUDGES, names)
        told.append(f"{size} {own:.3f} over {other:.3f}")
    return f"- Accuracy on the code above PCA's: {', '.join(told)}."


def page(found, grown, text):
    """Return the report: the words in ``report.md`` with the tables in their places."""
    scores = {c: score(found, c) for c in contenders()}
    parts = {
        "machine": [machine()], "seeds": [seeds(found)], "standing": standing(scores),
        "verdict": verdict(found, scores), "cells": cells(found, "default", scores),
        "equal": cells(found, "equal", scores), "classes": codes(found, CLASSES),
        "numbers": codes(found, ""), "neighbours": neighbours(found), "nats": nats(found),
        "anomalies": anomalies(found), "costs": costs(found), "imports": imports(),
        "growth": growth(grown), "search": search(), "failures": failures(found),
        "data": data_sets(),
    }  # fmt: skip
    for name, lines in parts.items():
        text = text.replace("{" + name + "}", "\n".join(lines).rstrip("\n"))
    return text


def main():
    """Write tables and pictures."""
    found, grown = Results(results.read(CELLS)), Results(results.read(GROWTH))
    folder = PAGE.parent / "figures"
    folder.mkdir(exist_ok=True)
    for variant in ("default", "equal"):
        scores = {label(c): score(found, c) for c in contenders() if c[1] == variant}
        order = [name for name in ORDER if any(p[0] == name for p in found.places())]
        pictures.dots(scores, order, folder / f"contest_{variant}.png")
    pictures.growth(grown, folder / "growth.png")
    text = page(found, grown, (Path(__file__).parent / "report.md").read_text())
    old = PAGE.read_text()
    before, rest = old.split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + text + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
