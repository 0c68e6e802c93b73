"""The files of results: one row for each scenario, seed and measure, only ever appended to."""

import csv
import threading
from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "results"
FIELDS = "scenario", "seed", "measure", "value", "message"
_lock = threading.Lock()


def append(path, scenario, seed, figures):
    """Write the figures of one run: numbers as values, anything else as a message."""
    path.parent.mkdir(exist_ok=True)
    with _lock, path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow(FIELDS)
        for measure, figure in figures.items():
            number = not isinstance(figure, str)
            writer.writerow(
                [
                    scenario,
                    seed,
                    measure,
                    f"{figure:.6g}" if number else "",
                    "" if number else figure,
                ]
            )


def read(path):
    """Return ``{(scenario, seed): {measure: number or message}}``."""
    found = defaultdict(dict)
    if path.exists():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                figure = float(row["value"]) if row["value"] else row["message"]
                found[row["scenario"], int(row["seed"])][row["measure"]] = figure
    return dict(found)


def capped(figures):
    """Return whether a run ended because it took longer than it may."""
    return "took more than" in figures.get("failed", "")
