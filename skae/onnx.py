"""Estimators, and whole pipelines with them, as ONNX graphs.

The extra ``onnx`` installs what this needs: skl2onnx, onnx and onnxruntime.

Examples
--------
A pipeline that needs neither skae nor torch any more:

>>> import onnxruntime
>>> from sklearn.datasets import load_digits
>>> from sklearn.linear_model import LogisticRegression
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> from skae import AutoencoderTransformer
>>> from skae.onnx import to_onnx
>>> X, y = load_digits(return_X_y=True)
>>> X = X.astype("float32")
>>> ae = AutoencoderTransformer(4, max_iter=5, early_stopping=False, random_state=0)
>>> pipeline = make_pipeline(StandardScaler(), ae, LogisticRegression(max_iter=1000))
>>> pipeline = pipeline.fit(X[:1000], y[:1000])
>>> graph = to_onnx(pipeline, X[:1000], method="predict")
>>> session = onnxruntime.InferenceSession(graph.SerializeToString())
>>> (labels,) = session.run(None, {"X": X[1000:]})
>>> bool((labels == pipeline.predict(X[1000:])).all())
True
"""

try:
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import skl2onnx  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"skae.onnx needs onnx, onnxruntime and skl2onnx ({error}): pip install 'skae[onnx]'."
    ) from error

from skae._onnx.export import register, to_onnx
from skae._onnx.inputs import as_inputs

__all__ = ["as_inputs", "register", "to_onnx"]
