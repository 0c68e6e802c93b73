"""Odd shapes and values: the right answer or a clear error, never NaN."""

import warnings

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.exceptions import ConvergenceWarning

from skae import AutoencoderTransformer

SETTINGS = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

shapes = st.tuples(st.integers(1, 45), st.integers(1, 6))
values = st.one_of(
    st.floats(-10, 10, width=32),
    st.sampled_from([0.0, 1.0, -1.0, 1e30, -1e30, 1e-30, 1e6]),
)
tables = shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=values))


@SETTINGS
@given(
    X=tables,
    k=st.integers(1, 8),
    whiten=st.booleans(),
    linear_path=st.sampled_from(["pca", None]),
    early_stopping=st.booleans(),
)
def test_finite_in_finite_out(X, k, whiten, linear_path, early_stopping):
    estimator = AutoencoderTransformer(
        k, whiten=whiten, linear_path=linear_path, early_stopping=early_stopping, max_iter=2,
        random_state=0,
    )  # fmt: skip
    before = X.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        code = estimator.fit(X).transform(X)
    assert code.shape == (len(X), k)
    assert np.isfinite(code).all()
    reconstruction = estimator.inverse_transform(code)
    assert reconstruction.shape == X.shape
    assert np.isfinite(reconstruction).all()
    np.testing.assert_array_equal(X, before)


def test_a_column_below_all_rounding():
    X = np.full((40, 3), 1e-30)
    X[0] = 0.0, 1e30, 1e-30
    X[1, 2] = 1e30
    model = AutoencoderTransformer(1, early_stopping=False, max_iter=2, random_state=0).fit(X)
    assert np.isfinite(model.reconstruct(X)).all()


@SETTINGS
@given(X=tables, scale=st.sampled_from([1e-20, 1e-3, 1e3, 1e20]), shift=st.sampled_from([0.0, 1.0]))
def test_units_of_x_do_not_matter(X, scale, shift):
    """Rescaling all of X rescales the reconstruction."""
    X = np.round(np.clip(X, -100, 100), 3)
    settings = {"n_components": 2, "hidden_layer_sizes": ()}
    plain = AutoencoderTransformer(**settings).fit(X).reconstruct(X)
    scaled = AutoencoderTransformer(**settings).fit((X + shift) * scale)
    np.testing.assert_allclose(
        scaled.reconstruct((X + shift) * scale) / scale - shift, plain, atol=1e-6
    )
