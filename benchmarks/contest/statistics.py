"""What the results say: comparisons over seeds and cells."""

import numpy as np
from scipy.stats import t as student

TIE, LEVEL, FEWEST_SEEDS = 0.01, 0.05, 3
TEST_OVER_TRAIN = 0.25 / 0.75


def geometric_mean(values):
    """Return the geometric mean of positive numbers."""
    return float(np.exp(np.mean(np.log(values))))


def outcome(ours, theirs):
    """Return "win", "tie" (within 1 %) or "loss" of two errors: the smaller is better."""
    ratio = np.mean(ours) / np.mean(theirs)
    if abs(ratio - 1) <= TIE:
        return "tie"
    return "win" if ratio < 1 else "loss"


def corrected_p(ours, theirs, test_over_train=TEST_OVER_TRAIN):
    r"""Return the two-sided p-value of the corrected resampled t test.

    Splits of one table share rows: the variance of the mean difference of J of them is
    taken as :math:`(1/J + n_{test}/n_{train})\,\hat\sigma^2` (Nadeau & Bengio 2003, Inference
    for the Generalization Error, doi:10.1023/A:1024068626366). NaN below three splits.
    """
    differences = np.subtract(ours, theirs)
    count = len(differences)
    if count < FEWEST_SEEDS:
        return np.nan
    deviation = np.sqrt((1 / count + test_over_train) * np.var(differences, ddof=1))
    if deviation == 0:
        return float(differences.mean() == 0)
    return float(2 * student.sf(abs(differences.mean()) / deviation, count - 1))


def slope(sizes, costs):
    """Return the exponent with which a cost grows: the slope on log axes."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
