"""
Was it the prescribed exercise? Odd sequences of a watch
========================================================

After an operation of the shoulder a patient does pendulum swings at home, with a watch on the arm. Which of the recorded sequences are
something else? A `RecurrentAutoencoder` in `AutoencoderOutlierDetector` learns pendulum swings alone, of any length, and gives
p-values.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import false_discovery_control
from seglearn.datasets import load_watch
from sklearn.ensemble import IsolationForest
from sklearn.metrics import RocCurveDisplay
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderOutlierDetector, RecurrentAutoencoder

watch = load_watch()
rng = np.random.default_rng(0)
steps, channels = 20, 3
scaler = StandardScaler().fit(np.concatenate(watch["X"])[:, :channels])

rows, exercises, later = [], [], []
for series, exercise in zip(watch["X"], watch["y"], strict=True):
    series = scaler.transform(series[:, :channels])[::5]  # 10 values a second
    for start in range(0, len(series) - steps, steps):
        piece = np.full((steps, channels), np.nan)
        length = rng.integers(steps // 2, steps + 1)  # one to two seconds
        piece[:length] = series[start : start + length]
        rows.append(piece.ravel())
        exercises.append(exercise)
        later.append(start > 0.6 * len(series))
X, later = np.array(rows), np.array(later)
exercises = np.array(watch["y_labels"])[exercises]

# %%
# The first 60 % of each recording of pendulum swings (PEN) are fitted, by ten persons. The later 40 % of all seven exercises are judged:
# the persons are known, as a therapist who sets up the watch would know them.

swings = X[(exercises == "PEN") & ~later]
new, names = X[later], exercises[later]
recurrent = RecurrentAutoencoder(8, sequence_shape=(steps, channels), max_iter=25)
detector = AutoencoderOutlierDetector(recurrent, calibration_fraction=0.3, random_state=0)
detector.fit(swings)
alarm = false_discovery_control(detector.p_values(new)) <= 0.1
is_other = names != "PEN"
print(f"fitted to {len(swings)} sequences; {alarm.sum()} alarms among {len(new)} new ones")
print(f"other exercises found: {alarm[is_other].mean():.0%}")
print(f"false alarms: {(alarm & ~is_other).sum()} of {(~is_other).sum()} pendulum swings")

# %%
# **The answer.** The oddest sequence of each exercise beside the most usual swing. Red marks the moments that gave it away: what
# ``explain`` says of the three values of a step, relative to the oddest step of the same sequence.

titles = {
    "PEN": "pendulum", "ABD": "abduction", "FEL": "forward elevation", "IR": "internal rotation",
    "ER": "external rotation", "TRAP": "trapezius extension", "ROW": "upright row",
}  # fmt: skip
scores = detector.score_samples(new)
swing = np.where(is_other, -np.inf, scores).argmax()
shown = [swing, *(np.where(names == name, scores, 0).argmin() for name in list(titles)[1:])]
parts = detector.explain(new[shown]).to_numpy()[:, : steps * channels]
parts = np.nansum(parts.reshape(-1, steps, channels), axis=2)

figure, axes = plt.subplots(2, 4, figsize=(12, 5.5), sharey=True, layout="constrained")
seconds = np.arange(steps) / 10
for ax, row, part in zip(axes.flat, shown, parts, strict=False):
    strength = 0.5 * part / part.max() if names[row] != "PEN" else np.zeros(steps)
    for second, alpha in zip(seconds, strength, strict=True):
        ax.axvspan(second - 0.05, second + 0.05, color="#d1495b", alpha=alpha, lw=0)
    ax.set_prop_cycle(color=["#1b4965", "#5fa8d3", "#6b7280"])
    lines = ax.plot(seconds, new[row].reshape(steps, channels), lw=1.8)
    ax.set_title(titles[names[row]], loc="left")
    ax.set_xlabel("seconds")
    ax.spines[["top", "right"]].set_visible(False)
for ax in axes[:, 0]:
    ax.set_ylabel("acceleration, scaled")
figure.suptitle("The most usual swing, and the oddest of each other exercise")
axes[1, 3].set_axis_off()
axes[1, 3].legend(lines, ["x", "y", "z"], title="axis of the watch", frameon=False, loc="center")

# %%
# And the rankings, beside those of nearest neighbours and a forest, which get zeros in place of the padding:

filled = np.nan_to_num(new)
neighbours = NearestNeighbors(n_neighbors=5).fit(np.nan_to_num(swings))
forest = IsolationForest(random_state=0).fit(np.nan_to_num(swings))
oddness = {
    "recurrent autoencoder": -scores,
    "5 nearest neighbours": neighbours.kneighbors(filled)[0].mean(axis=1),
    "IsolationForest": -forest.score_samples(filled),
}
figure, ax = plt.subplots(figsize=(5, 4.5), layout="constrained")
for (name, odd), color in zip(oddness.items(), ("#d1495b", "#00798c", "#6b7280"), strict=True):
    RocCurveDisplay.from_predictions(
        is_other, odd, name=name, ax=ax, curve_kwargs={"color": color, "lw": 2}
    )
ax.set(
    title="Other exercises than pendulum swings",
    xlabel="share of the swings flagged",
    ylabel="share of the other exercises flagged",
)
ax.legend(loc="lower right", frameon=False)
ax.spines[["top", "right"]].set_visible(False)

# %%
# **Where it loses.** With each of the seven exercises as the prescribed one in turn, nearest neighbours have a mean area under the curve of
# 0.88 and are ahead three times; the recurrent autoencoder has 0.89, the dense one 0.85, a forest 0.79. Fitted to abduction or to
# forward elevation, the detector raises no alarm at all. For a mere ranking neighbours do as well, and faster. And p-values hold for these persons: fitted to
# half of the persons and asked about the others, usual pendulum swings and upright rows had p-values below 5 % in 8 to 14 of 100 cases.
