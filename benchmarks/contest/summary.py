"""From rows of results to the figures that the report tells: no formatting here."""

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from benchmarks.contest.rivals import RIVALS, find
from benchmarks.contest.scenarios import Scenario
from benchmarks.contest.statistics import LEVEL, corrected_p, geometric_mean, outcome

OURS = "skae", "default"


COARSE = 0.1  # seconds below which the system's count of processor time is too coarse


def number(figure):
    """Return whether a figure is one, not the message of a failure."""
    return isinstance(figure, float)


def seconds(figures):
    """Return the time of a fit: the processor's, of a short one the clock's; NaN without one."""
    processor, clock = figures.get("fit_cpu_seconds", 0.0), figures.get("fit_seconds", math.nan)
    return processor if processor >= COARSE else clock


class Results:
    """The figures of all scenarios: those of one are keyed by seed."""

    def __init__(self, rows):
        self.by_scenario = defaultdict(dict)
        for (id, seed), figures in rows.items():
            time = {"seconds": seconds(figures)} if "fit_seconds" in figures else {}
            self.by_scenario[Scenario.parse(id)][seed] = figures | time

    def of_kind(self, kind):
        """Return the scenarios of a kind."""
        return [scenario for scenario in self.by_scenario if scenario.kind == kind]

    def places(self, kind="cell"):
        """Return what was run, data and size, in the order of the file."""
        return list(dict.fromkeys((s.data, s.size) for s in self.of_kind(kind)))

    def values(self, place, contender, measure, kind="cell"):
        """Return a measure's numbers by seed."""
        runs = self.by_scenario.get(Scenario(kind, *place, *contender), {})
        return {seed: f[measure] for seed, f in runs.items() if number(f.get(measure))}

    def processors(self, place, contender):
        """Return by seed what a contender was run on; of early results it is not known: None."""
        runs = self.by_scenario.get(Scenario("cell", *place, *contender), {})
        return {seed: figures.get("processor") for seed, figures in runs.items()}

    def row(self, place, contenders, measure, kind="cell"):
        """Return each contender's numbers on the seeds that all have who have any."""
        found = {c: self.values(place, c, measure, kind) for c in contenders}
        seeds = [set(f) for f in found.values() if f]
        shared = sorted(set.intersection(*seeds)) if seeds else []
        return {c: [f[seed] for seed in shared] if f else [] for c, f in found.items()}

    def pair(self, place, contender, measure, ours=OURS, kind="cell"):
        """Return our numbers and theirs on the seeds that both have."""
        own = self.values(place, ours, measure, kind)
        other = self.values(place, contender, measure, kind)
        seeds = sorted(own.keys() & other.keys())
        return [own[seed] for seed in seeds], [other[seed] for seed in seeds]

    def failures(self, contender):
        """Return why runs of a contender gave no reconstruction, with their places."""
        why = defaultdict(list)
        for scenario, runs in self.by_scenario.items():
            if (scenario.rival, scenario.variant) == contender and scenario.kind == "cell":
                for figures in runs.values():
                    message = figures.get("failed", figures.get("unexplained"))
                    if isinstance(message, str):
                        why[message].append((scenario.data, scenario.size))
        return dict(why)


def contenders():
    """Return all rivals' variants but skae's own, by name and variant."""
    return [(r.name, v) for r in RIVALS if r.package != "skae" for v in r.variants]


def mean(values):
    """Return the mean, NaN of none."""
    return float(np.mean(values)) if values else math.nan


def standard_error(values):
    """Return the standard error of the mean, NaN below two values."""
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else math.nan


@dataclass
class Score:
    """How skae stands to one contender in reconstruction."""

    outcomes: dict  # (data, size): "win", "tie", "loss"
    ratios: dict  # (data, size): our unexplained share over theirs
    proven: dict  # (data, size): "win" or "loss", where the difference is significant
    failed: int

    def count(self, said, proven=False):
        """Return in how many cells."""
        return list((self.proven if proven else self.outcomes).values()).count(said)

    @property
    def share(self):
        """Return the share of cells that are won or tied."""
        return (len(self.outcomes) - self.count("loss")) / max(1, len(self.outcomes))

    @property
    def ratio(self):
        """Return the geometric mean of the ratios, data sets weighted alike."""
        by_data = defaultdict(list)
        for (data, _), ratio in self.ratios.items():
            by_data[data].append(ratio)
        return (
            geometric_mean([geometric_mean(r) for r in by_data.values()]) if by_data else math.nan
        )


def score(results, contender):
    """Return how skae stands to a contender in reconstruction."""
    found = Score({}, {}, {}, 0)
    for place in results.places():
        ours, theirs = results.pair(place, contender, "unexplained")
        if not ours:
            scenario = Scenario("cell", *place, *contender)
            found.failed += scenario in results.by_scenario
            continue
        found.outcomes[place] = outcome(ours, theirs)
        found.ratios[place] = float(np.mean(ours) / np.mean(theirs))
        if corrected_p(ours, theirs) < LEVEL and found.outcomes[place] != "tie":
            found.proven[place] = found.outcomes[place]
    return found


def counterpart(contender):
    """Return what of ours a contender's cost is laid beside: a variational model for one."""
    return find(contender[0]).like or OURS[0], "default"


def cost_ratio(results, contender, measure):
    """Return the geometric mean of our cost over theirs, by data set: each pair on one processor."""
    ours, by_data = counterpart(contender), defaultdict(list)
    for place in results.places():
        own, other = (results.values(place, c, measure) for c in (ours, contender))
        processor, its = (results.processors(place, c) for c in (ours, contender))
        for seed in own.keys() & other.keys():
            if own[seed] > 0 and other[seed] > 0 and processor[seed] == its[seed]:
                by_data[place[0]].append(own[seed] / other[seed])
    return {data: geometric_mean(ratios) for data, ratios in by_data.items()}


def code_means(results, contender, size, measures, data):
    """Return our mean of measures of the code and theirs, on the seeds that both have."""
    pairs = [results.pair((name, size), contender, m) for name in data for m in measures]
    return [float(np.mean([np.mean(pair[side]) for pair in pairs])) for side in (0, 1)]
