"""What is run: permanent names, so that results of different days can be laid side by side.

- ``cell/digits/k=4/pyod_ae/equal``: a rival on a data set with a code of k.
- ``anomaly/digits-0/1%/pca/default``: rows of one class hidden among the others.
- ``growth/rows/n=1000/skae/default``: a made-up table, for time and memory.
"""

from dataclasses import dataclass

from benchmarks.contest.rivals import RIVALS
from benchmarks.data import CONTEST, find

COMPONENTS, WIDE, SHARE_OF_WIDE = (2, 4, 8, 16), 400, 0.05
ANOMALIES = {"digits-0": ("digits", 0), "breast_cancer-malignant": ("breast_cancer", 0)}
ANOMALY_SHARES, ANOMALY_COMPONENTS = ("1%", "5%"), 8
# the cheap and the telling first: where a run is cut short, most of what matters is there
TURNS = {
    "skae": 0,
    "pca": 0,
    "factor_analysis": 0,
    "mlp": 0,
    "pyod_ae": 1,
    "pythae_ae": 1,
    "encdr": 1,
    "skae_vae": 2,
    "pyod_vae": 2,
    "pythae_vae": 2,
    "kernel_pca": 3,
    "umap": 3,
}
ORDER = ["iris", "wine", "breast_cancer", "diabetes", "digits", "tissue_gene", "leaf_flavia",
         "cells", "ames", "caravan", "watch_har", "mnist_5k", "diamonds", "flights"]  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """One thing that is run, once for each seed."""

    kind: str
    data: str
    size: str  # "k=4", "n=1000" or the share of anomalies
    rival: str
    variant: str

    @property
    def id(self):
        """Return the permanent name."""
        return "/".join((self.kind, self.data, self.size, self.rival, self.variant))

    @classmethod
    def parse(cls, id):
        """Return the scenario of a name."""
        return cls(*id.split("/"))

    @property
    def n(self):
        """Return the number in the size."""
        return int(self.size[2:])


def sizes(n_rows, n_columns):
    """Return the sizes of code at which a data set is run."""
    ks = {k for k in COMPONENTS if k < min(n_rows, n_columns)}
    return sorted(ks | ({int(SHARE_OF_WIDE * n_columns)} if n_columns >= WIDE else set()))


def cells(name):
    """Return a data set's scenarios."""
    X = find(name).load()[0]
    return [
        Scenario("cell", name, f"k={k}", rival.name, variant)
        for rival in RIVALS
        for variant in rival.variants
        for k in sizes(len(X) * 3 // 4, X.shape[1])
    ]


def anomalies():
    """Return the scenarios of hidden anomalies."""
    return [
        Scenario("anomaly", name, share, rival.name, variant)
        for name in ANOMALIES
        for share in ANOMALY_SHARES
        for rival in RIVALS
        for variant in rival.variants
    ]


def everything():
    """Return all scenarios: in turns of rivals, in each the cheap data sets first."""
    assert set(ORDER) == {data_set.name for data_set in CONTEST}
    small, large = ORDER[:9], ORDER[9:]
    listed = [s for name in small for s in cells(name)] + anomalies()
    listed += [s for name in large for s in cells(name)]
    return sorted(listed, key=lambda scenario: TURNS[scenario.rival])
