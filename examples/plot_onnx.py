"""
How do I serve this pipeline without Python packages?
=====================================================

The service that will answer has numpy and onnxruntime, or no Python at all. `skae.onnx.to_onnx` turns a fitted pipeline
into one graph, and checks that graph against the pipeline before you get it.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.onnx import to_onnx

X, y = load_digits(return_X_y=True)
X = X.astype(np.float32)
pipeline = make_pipeline(
    StandardScaler(), AutoencoderTransformer(8, random_state=0), LogisticRegression(max_iter=1000)
)
pipeline.fit(X[:1000], y[:1000])

# %%
# One call for the graph; another library reads it.

graph = to_onnx(pipeline, X[:1000], method="predict").SerializeToString()
session = onnxruntime.InferenceSession(graph)
print(f"{len(graph) / 1024:.0f} KiB")
(served,) = session.run(None, {"X": X[1000:]})
print("same labels:", bool((served == pipeline.predict(X[1000:])).all()))

# %%
# **The answer**, in time for a request:


def microseconds(function, rows, repeats=50):
    function(rows)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function(rows)
        times.append(time.perf_counter() - began)
    return 1e6 * np.median(times)


sizes = [1, 10, 100, 797]
of_pipeline = [microseconds(pipeline.predict, X[1000 : 1000 + n]) for n in sizes]
of_graph = [microseconds(lambda x: session.run(None, {"X": x}), X[1000 : 1000 + n]) for n in sizes]
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
ax.loglog(sizes, of_pipeline, "o-", color="#6b7280", label="pipeline, in Python")
ax.loglog(sizes, of_graph, "o-", color="#d1495b", label="graph, in onnxruntime")
ax.set(xlabel="rows a request", ylabel="microseconds", title="Median time of an answer")
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)

# %%
# **Where it loses.** Not all can be written: ``sample`` and ``impute`` draw or take more than rows, and some estimators have float32 graphs
# only. The list, with reasons, is in :doc:`Out of Python </deploy>`. A graph does not refuse bad rows, such as infinite numbers:
# check them before.
