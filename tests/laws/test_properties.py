"""Odd shapes and values: the right answer or a clear error, never NaN."""

import warnings

import numpy as np
import pytest
from family import CODING, decoded, labelled_digits, name_of, small
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


def labels(X):
    return np.arange(len(X)) % 2


def fit(estimator, X):
    """Fit to rows of two classes by turns; most estimators ignore them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "No unit of the code is active")  # of a VAE
        return estimator.fit(X, labels(X))


def assert_finite(model, X):
    """Finite, of the right shapes, and X as it was."""
    before = X.copy()
    code = model.transform(X)
    assert code.shape == (len(X), model.n_components_)
    assert np.isfinite(code).all()
    if hasattr(model, "inverse_transform"):
        rows = decoded(model, code, labels(X))
        assert rows.shape == X.shape
        assert np.isfinite(rows).all()
    np.testing.assert_array_equal(X, before)


every = pytest.mark.parametrize("kind", CODING, ids=name_of)
FEWER = settings(SETTINGS, max_examples=15)


@every
@FEWER
@given(X=tables, k=st.integers(1, 8), early_stopping=st.booleans())
def test_every_estimator_gives_finite_numbers(kind, X, k, early_stopping):
    changes = {"n_components": k, "early_stopping": early_stopping, "max_iter": 2}
    assert_finite(fit(small(kind, X.shape[1], **changes), X), X)


def spoilt(digits):
    """Return tables of 64 columns, each with another flaw."""
    low, high = digits.copy(), digits.copy()
    low[:, 3] *= 1e-30
    high[:, 4] *= 1e30
    mixed = digits.copy()
    mixed[:, 3], mixed[:, 4] = low[:, 3], high[:, 4]
    outlier = digits.copy()
    outlier[7, 20] = 1e30
    return {
        "one row": digits[:1],
        "two rows": digits[:2],
        "constant": np.full((60, 64), 3.0),
        "constant columns": np.where(np.arange(64) < 32, 7.0, digits),
        "duplicate columns": digits[:, np.repeat(np.arange(32), 2)],
        "duplicate rows": digits[np.zeros(60, dtype=int)],
        "rank of two": digits[:, :2] @ np.ones((2, 64)) + digits[:, [21]] * np.arange(64),
        "scale of 1e-30": 1e-30 * digits,
        "scale of 1e30": 1e30 * digits,
        "a column at 1e-30": low,
        "a column at 1e30": high,
        "columns at 1e-30 and 1e30": mixed,
        "one huge outlier": outlier,
        "float32 near its end": (1e37 * digits).astype(np.float32),
    }


FLAWS = spoilt(labelled_digits(80)[0])


@every
@pytest.mark.parametrize("flaw", FLAWS)
def test_flawed_tables(kind, flaw):
    X = FLAWS[flaw]
    for early_stopping in (True, False):
        assert_finite(fit(small(kind, early_stopping=early_stopping, n_components=5), X), X)


@every
def test_one_column(kind):
    X = labelled_digits(60)[0][:, 20:21]
    assert_finite(fit(small(kind, 1, n_components=1), X), X)


@every
def test_more_components_than_anything(kind):
    X = labelled_digits(40)[0]
    model = fit(small(kind, n_components=100), X)
    assert_finite(model, X)
    assert model.n_components_ == 100


@every
def test_no_column_is_refused(kind):
    with pytest.raises(ValueError, match=r"0 feature\(s\).* minimum of 1 is required"):
        fit(small(kind), np.empty((30, 0)))
    with pytest.raises(ValueError, match=r"0 sample\(s\).* minimum of 1 is required"):
        fit(small(kind), np.empty((0, 64)))


@every
def test_infinities_are_refused(kind):
    X = labelled_digits(60)[0].astype(np.float32)
    model = fit(small(kind), X)
    for value in (np.inf, -np.inf, 1e39):
        with np.errstate(over="ignore"):
            X[3, 5] = value
        for use in (model.transform, lambda X: fit(small(kind), X)):
            with pytest.raises(ValueError, match="infinity or a value too large"):
                use(X)


def layouts(X, folder):
    """Return the same rows in other layouts and types."""
    wide = np.zeros((len(X), 128))
    wide[:, ::2] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    mapped = np.memmap(folder / "rows", dtype=X.dtype, mode="w+", shape=X.shape)
    mapped[:] = X
    mapped.flush()
    return {
        "Fortran": np.asfortranarray(X),
        "negative strides": X[::-1, ::-1].copy()[::-1, ::-1],
        "not contiguous": wide[:, ::2],
        "read-only": read_only,
        "memmap": np.memmap(folder / "rows", dtype=X.dtype, mode="r", shape=X.shape),
        "integers": X.astype(np.int32),
        "small integers": X.astype(np.uint8),
        "list": X.tolist(),
    }


@every
def test_layout_and_type_do_not_matter(kind, tmp_path):
    X = np.ascontiguousarray(labelled_digits(80)[0])
    code = fit(small(kind), X).transform(X)
    for name, same in layouts(X, tmp_path).items():
        before = np.array(same)
        made = fit(small(kind), same).transform(same)
        np.testing.assert_allclose(made, code, rtol=1e-7, atol=1e-7 * abs(code).max(), err_msg=name)
        np.testing.assert_array_equal(np.asarray(same), before)


@every
def test_booleans_are_numbers_or_categories(kind):
    X = labelled_digits(80)[0] > 8
    model = fit(small(kind), X)
    assert np.isfinite(model.transform(X)).all()
    np.testing.assert_array_equal(model.transform(X), fit(small(kind), X).transform(X))


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
