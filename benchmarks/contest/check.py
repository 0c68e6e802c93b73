"""The regression guard: ``make benchmark-check`` fails where skae's quality falls.

`benchmarks/quality/tolerances` holds a line for each scenario: its name, the measure (smaller is
better, nats are taken negative), the value and how far above it a fit may lie: three standard
deviations over random states on one split, at least 3 %. Ratios of speed are printed, and
judged by people only. ``--write`` measures the file anew.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.contest import rivals, worker
from benchmarks.contest.scenarios import Scenario

TOLERANCES = Path(__file__).parent.parent / "quality" / "tolerances"
STATES, DEVIATIONS, LEAST = range(5), 3, 0.03
SPLIT = 3  # on which digits vary least with the random state
GUARDED = [
    Scenario("cell", data, f"k={k}", rival, "default")
    for data, k, rival in [
        ("iris", 2, "skae"), ("wine", 2, "skae"), ("wine", 8, "skae"), ("breast_cancer", 4, "skae"),
        ("breast_cancer", 16, "skae"), ("diabetes", 8, "skae"), ("digits", 2, "skae"),
        ("digits", 8, "skae"), ("cells", 8, "skae"), ("leaf_flavia", 8, "skae"),
        ("tissue_gene", 4, "skae"), ("wine", 2, "skae_vae"), ("digits", 4, "skae_vae"),
    ]
]  # fmt: skip
TIMED = "digits", "k=8", "mlp"


@dataclass(frozen=True)
class Line:
    """What is expected of one scenario."""

    scenario: str
    measure: str
    value: float
    tolerance: float

    def __str__(self):
        return f"{self.scenario} {self.measure} {self.value:.6g} {self.tolerance:.2g}"


def read(path):
    """Return the lines of the file."""
    lines = (line.split() for line in path.read_text().splitlines())
    kept = (line for line in lines if line and not line[0].startswith("#"))
    return [Line(name, measure, float(v), float(t)) for name, measure, v, t in kept]


def measured(scenario, measure, state=0):
    """Return a measure of one fit, smaller is better, and its seconds."""
    job = {"scenario": scenario, "seed": state, "split": SPLIT, "like": None}
    figures = worker.run(job)
    figure = figures.get(measure, figures)
    if not isinstance(figure, float):
        raise SystemExit(f"{scenario}: no {measure}: {figure}")
    return (-figure if measure == "nats" else figure), figures["fit_cpu_seconds"]


def verdict(line, found):
    """Return "worse", "better" or "equal": how a figure stands to what is expected."""
    if not found <= line.value + line.tolerance:  # so that NaN is worse
        return "worse"
    return "better" if found < line.value - line.tolerance else "equal"


def write(path):
    """Measure what is to be expected, and how far it varies."""
    lines = [f"# {__doc__.splitlines()[0]}", "# scenario measure value tolerance"]
    for scenario in GUARDED:
        measure = "nats" if scenario.rival == "skae_vae" else "unexplained"
        values = [measured(scenario.id, measure, state)[0] for state in STATES]
        mean = np.mean(values)
        tolerance = max(DEVIATIONS * np.std(values, ddof=1), LEAST * abs(mean))
        lines.append(str(Line(scenario.id, measure, mean, tolerance)))
        print(lines[-1], flush=True)
    path.write_text("\n".join(lines) + "\n")


def speed():
    """Print the time of a fit over that of MLPRegressor with the same network and epochs."""
    data, size, rival = TIMED
    own = worker.run({"scenario": f"cell/{data}/{size}/skae/default", "seed": 0, "like": None})
    took = {key: int(own[key]) for key in ("epochs", "batch_size")}
    took["hidden"] = [int(own["hidden_width"])] * int(own["hidden_layers"])
    job = {"scenario": f"cell/{data}/{size}/{rival}/equal", "seed": 0, "like": took}
    ratio = own["fit_cpu_seconds"] / worker.run(job)["fit_cpu_seconds"]
    print(f"{data} {size}: a fit takes {ratio:.2f} of MLPRegressor's (for people to judge)")


def main(argv=None):
    """Check, or write what to check against."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--write", action="store_true", help="measure the file anew")
    parser.add_argument("--file", type=Path, default=TOLERANCES)
    parser.add_argument("--speed", action="store_true", help="print a ratio of time too")
    arguments = parser.parse_args(argv)
    worker.preload(rivals.find("skae"))
    if arguments.write:
        return write(arguments.file)
    worst = []
    for line in read(arguments.file):
        found, seconds = measured(line.scenario, line.measure)
        said = verdict(line, found)
        print(f"{said:6} {line}: {found:.6g} in {seconds:.1f} s", flush=True)
        if said == "worse":
            worst.append(line.scenario)
    if arguments.speed:
        speed()
    if worst:
        sys.exit(f"worse than {arguments.file} allows: {', '.join(worst)}")
    return None


if __name__ == "__main__":
    main()
