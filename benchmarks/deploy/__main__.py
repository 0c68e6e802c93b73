"""Cold start, memory and time a row of a fitted Pipeline, its ONNX graph and the NumPy engine.

Run it with ``python -m benchmarks.deploy``, on a machine that has nothing else to do; each way is
measured in processes of its own, on one thread. Linux alone tells the memory.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae.onnx import to_onnx

N_COMPONENTS = 8
ACTIVATIONS = "gelu", "quick_gelu"
ONNX = """
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options)
answer = lambda X: session.run(None, {"X": X})
"""
SERVED = "import skae; answer = skae.load(path, engine='numpy')"
WAYS = {
    "Pipeline (joblib)": ("pipeline.joblib", "import joblib; answer = joblib.load(path).transform"),
    "ONNX, Pipeline": ("pipeline.onnx", ONNX),
    "torch, autoencoder": ("ae.skae", "import skae; answer = skae.load(path).transform"),
    "NumPy engine, autoencoder": ("ae.skae", f"{SERVED}.transform"),
    "NumPy engine, its graph alone": ("ae.skae", f"{SERVED}._model.encode"),
    "ONNX, PCA": ("pca.onnx", ONNX),
}
for name in ACTIVATIONS:
    WAYS |= {
        f"ONNX, {name}": (f"{name}.onnx", ONNX),
        f"ONNX, {name}, by hand": (f"{name}-hand.onnx", ONNX),
        f"ONNX, {name}, float64": (f"{name}64.onnx", ONNX),
    }
MEASURE = """
import time
began = time.perf_counter()
import json, re, sys
import numpy as np
path, dtype = sys.argv[1:3]
X = np.load(sys.argv[3]).astype(dtype)
{way}
answer(X[:1])
cold, processor = time.perf_counter() - began, time.process_time()
memory = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024

def least(rows, times):
    found = []
    for _ in range(times):
        start = time.perf_counter()
        answer(rows)
        found.append(time.perf_counter() - start)
    return min(found)

print(json.dumps({{
    "seconds to the first answer": cold,
    "of the processor": processor,
    "MiB then": memory,
    "microseconds, 1 row": 1e6 * least(X[:1], 3000),
    "milliseconds, 10,000 rows": 1e3 * least(np.resize(X, (10_000, X.shape[1])), 10),
}}))
"""
TIMES = 5  # processes, of which the least figures count


def by_hand(ae):
    """Return a graph of an autoencoder's encoder as one would write it: its products and no more."""
    weights = ae._model.weights()
    constants, nodes = [], []

    def constant(name, values):
        constants.append(numpy_helper.from_array(np.float32(values), name))

    inside = "encoder.inside."
    parts = {
        "mean": ae.mean_,
        "scale": ae.scale_,
        "low": weights["encoder.low"],
        "high": weights["encoder.high"],
        "beyond": weights["encoder.beyond"].T,
        "linear": weights[f"{inside}linear.weight"].T,
        "unit": ae._model.code_scale,
    }
    layers = sorted({int(n.split(".")[3]) for n in weights if n.startswith(f"{inside}nonlinear.")})
    for layer in layers:
        parts[f"w{layer}"] = weights[f"{inside}nonlinear.{layer}.weight"].T
        parts[f"b{layer}"] = weights[f"{inside}nonlinear.{layer}.bias"]
    for name, values in parts.items():
        constant(name, values)

    def node(kind, *inputs, to):
        nodes.append(helper.make_node(kind, inputs, [to]))
        return to

    def activated(x, layer):
        if ae.activation == "gelu":
            return node("Gelu", x, to=f"g{layer}")
        constant(f"slope{layer}", 1.702)
        steep = node("Sigmoid", node("Mul", x, f"slope{layer}", to=f"m{layer}"), to=f"s{layer}")
        return node("Mul", x, steep, to=f"g{layer}")

    x = node("Div", node("Sub", "X", "mean", to="centred"), "scale", to="x")
    within = node("Min", node("Max", x, "low", to="above"), "high", to="within")
    hidden = within
    for layer in layers:
        hidden = hidden if layer == 0 else activated(hidden, layer)
        hidden = node("Gemm", hidden, f"w{layer}", f"b{layer}", to=f"h{layer}")
    linear = node("MatMul", within, "linear", to="straight")
    beyond = node("MatMul", node("Sub", x, within, to="rest"), "beyond", to="outside")
    code = node("Add", node("Add", hidden, linear, to="inside"), beyond, to="code")
    node("Mul", code, "unit", to="Z")
    ends = (("X", ae.n_features_in_), ("Z", ae.n_components_))
    first, last = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, n])] for name, n in ends
    )
    graph = helper.make_graph(nodes, "by hand", first, last, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def models(folder):
    """Fit, and write what is measured into a folder."""
    X = load_digits().data.astype(np.float32)
    np.save(folder / "X.npy", X)
    about = {"early_stopping": False, "max_iter": 30, "random_state": 0}
    graphs = {"pca": to_onnx(PCA(N_COMPONENTS).fit(X), X)}
    for activation in ACTIVATIONS:
        ae = skae.AutoencoderTransformer(N_COMPONENTS, activation=activation, **about).fit(X)
        graphs[activation] = to_onnx(ae, X)
        graphs[f"{activation}64"] = to_onnx(ae, X.astype(np.float64))
        graphs[f"{activation}-hand"] = by_hand(ae)
        session = onnxruntime.InferenceSession(graphs[f"{activation}-hand"].SerializeToString())
        codes = ae.transform(X)
        by_graph = session.run(None, {"X": X})[0]
        if not np.allclose(by_graph, codes, atol=1e-5 * np.abs(codes).max()):
            raise ValueError(f"the graph by hand differs by {np.abs(by_graph - codes).max()}")
    skae.save(ae, folder / "ae.skae")
    pipeline = make_pipeline(StandardScaler(), clone(ae)).fit(X)
    joblib.dump(pipeline, folder / "pipeline.joblib")
    graphs["pipeline"] = to_onnx(pipeline, X)
    for name, graph in graphs.items():
        (folder / f"{name}.onnx").write_bytes(graph.SerializeToString())


def measured(folder):
    """Return a dict of measures for each way: the least of several processes."""
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    found = {}
    for _ in range(TIMES):
        for name, (file, way) in WAYS.items():
            dtype = "float64" if "float64" in name else "float32"
            paths = str(folder / file), dtype, str(folder / "X.npy")
            command = [sys.executable, "-W", "ignore", "-c", MEASURE.format(way=way), *paths]
            made = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
            now = json.loads(made.stdout) | {"KB": (folder / file).stat().st_size / 1e3}
            found[name] = {key: min(now[key], found.get(name, now)[key]) for key in now}
    return found


def main():
    """Print a table."""
    with tempfile.TemporaryDirectory() as folder:
        models(Path(folder))
        found = measured(Path(folder))
    columns = next(iter(found.values()))
    print("| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for name, row in found.items():
        print(f"| {name} | " + " | ".join(f"{value:.3g}" for value in row.values()) + " |")


if __name__ == "__main__":
    main()
