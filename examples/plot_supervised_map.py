"""
Can I see ten classes in a picture of two axes?
===============================================

PCA's first two components show what varies most, which is not what tells digits apart. Where labels are known,
`SupervisedAutoencoder` finds a code that serves both.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae import AutoencoderTransformer, SupervisedAutoencoder
from skae.inspection import LatentSpaceDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
reducers = {
    "PCA": PCA(2),
    "autoencoder": AutoencoderTransformer(2, random_state=0),
    "supervised autoencoder": SupervisedAutoencoder(2, random_state=0),
}

# %%
# **The answer.** All three show digits that were not seen in the fit. The number is the accuracy of an SVC that sees nothing but
# these two axes.

figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
for ax, (name, reducer) in zip(axes, reducers.items(), strict=True):
    model = make_pipeline(StandardScaler(), reducer).fit(X_train, y_train)
    codes = model.transform(X_test)
    judge = SVC().fit(model.transform(X_train), y_train)
    LatentSpaceDisplay.from_predictions(codes, color_by=y_test.astype(str), ax=ax)
    ax.set_title(f"{name}: {judge.score(codes, y_test):.2f}")
    if ax is not axes[-1] and ax.get_legend():
        ax.get_legend().remove()

# %%
# **Where it loses.** A supervised code keeps less of what the labels do not need: here it gives back no more of the pixels than
# the plain one. If labels change, or the code shall serve other tasks, take `AutoencoderTransformer`. And if a picture of
# *these* rows is all you need, t-SNE or UMAP spread classes further apart without labels; they have no way back.
