"""
What is this person doing? Codes of movements of any length
===========================================================

A watch measures acceleration along three axes. Exercises last differently long, and a table has one width.
`RecurrentAutoencoder` takes sequences padded with NaN and gives each one a code of equal size.
"""

import matplotlib.pyplot as plt
import numpy as np
from seglearn.datasets import load_watch
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae import RecurrentAutoencoder
from skae.inspection import ReconstructionDisplay

watch = load_watch()
rng = np.random.default_rng(0)
steps, channels = 20, 3
scaler = StandardScaler().fit(np.concatenate(watch["X"])[:, :channels])

rows, labels, subjects = [], [], []
for series, label, subject in zip(watch["X"], watch["y"], watch["subject"], strict=True):
    series = scaler.transform(series[:, :channels])[::5]  # 10 values a second
    for start in range(0, len(series) - steps, 2 * steps):
        piece = np.full((steps, channels), np.nan)
        length = rng.integers(steps // 2, steps + 1)  # some are half as long
        piece[:length] = series[start : start + length]
        rows.append(piece.ravel())
        labels.append(watch["y_labels"][label])
        subjects.append(subject)
X, y, subjects = np.array(rows), np.array(labels), np.array(subjects)
print(X.shape, f"{np.isnan(X).mean():.0%} of the cells are padding")

# %%
# People, not rows, are held out: the model meets persons it has never seen.

test = np.isin(subjects, np.unique(subjects)[:5])
ae = RecurrentAutoencoder(12, sequence_shape=(steps, channels), max_iter=30, random_state=0)
ae.fit(X[~test], X_val=X[test][:300])
judge = SVC(C=10).fit(ae.transform(X[~test]), y[~test])
print("explained, new persons:", round(ae.score(X[test]), 3))
print("exercise named right:", round(judge.score(ae.transform(X[test]), y[test]), 3))

# %%
# **The answer.** Three sequences and what their code gives back; the padding stays empty.

figure, axes = plt.subplots(3, 3, figsize=(12, 5.5), sharex=True, layout="constrained")
ReconstructionDisplay.from_estimator(ae, X[test][:3], axes=axes)
figure.suptitle("Three sequences and their reconstructions from 12 numbers")

# %%
# **Where it loses.** On whole sequences of one length the dense `AutoencoderTransformer` reconstructs about as well, in a
# fraction of the time. A classifier trained on the raw sequences, with all labels, names exercises better than
# any code.
