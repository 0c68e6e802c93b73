"""torch tensors in, torch tensors out, where scikit-learn's array_api_dispatch asks for it."""

import numpy as np
import pytest
import sklearn
import torch
from family import CODING, PUBLIC, decoded, labelled_digits, name_of, small
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import skae

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def dispatching(monkeypatch):
    """Let scikit-learn dispatch."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    try:
        with sklearn.config_context(array_api_dispatch=True):
            yield
    except ImportError as error:
        pytest.skip(f"this scikit-learn does not dispatch here: {error}")


@quiet
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64], ids=str)
@pytest.mark.parametrize("kind", CODING, ids=name_of)
def test_tensors_give_tensors(dispatching, kind, dtype):
    X, y = labelled_digits(60)
    X = torch.from_numpy(X).to(dtype)
    model, same = (small(kind, early_stopping=False).fit(rows, y) for rows in (X, X.numpy()))
    about = (y,) if "Conditional" in name_of(kind) else ()
    code, expected = model.transform(X, *about), same.transform(X.numpy(), *about)
    assert isinstance(code, torch.Tensor)
    assert code.device == X.device
    assert code.numpy().dtype == expected.dtype
    np.testing.assert_array_equal(code.numpy(), expected)
    if hasattr(kind, "inverse_transform"):
        rows = decoded(model, code, y)
        assert isinstance(rows, torch.Tensor)
        np.testing.assert_array_equal(rows.numpy(), decoded(same, expected, y))


@quiet
def test_arrays_stay_arrays(dispatching):
    X = labelled_digits()[0]
    model = small(skae.AutoencoderTransformer).fit(torch.from_numpy(X))
    assert type(model.transform(X)) is np.ndarray
    assert type(model.components_) is np.ndarray
    with sklearn.config_context(array_api_dispatch=False):
        assert type(model.transform(torch.from_numpy(X))) is np.ndarray


@quiet
def test_weights_and_held_out_rows_may_be_tensors(dispatching):
    X = torch.from_numpy(labelled_digits()[0])
    weight, about = torch.ones(len(X)), {"hidden_layer_sizes": ()}
    model = small(skae.AutoencoderTransformer, **about).fit(X, sample_weight=weight, X_val=X[:40])
    streamed = small(skae.AutoencoderTransformer, **about).partial_fit(X, sample_weight=weight)
    np.testing.assert_allclose(streamed.components_, model.components_)


def test_other_arrays_are_refused_in_a_sentence(dispatching):
    class Array:
        def __array_namespace__(self):
            return None

    model = skae.AutoencoderTransformer(2)
    with pytest.raises(TypeError, match=r"NumPy arrays and torch tensors, not .*Array: convert it"):
        model.fit(Array())
    with pytest.raises(TypeError, match=r"pass tensor\.float\(\)"):
        model.fit(torch.ones(40, 3, dtype=torch.bfloat16))


# metadata and documentation ---------------------------------------------------------------------


@quiet
def test_pipelines_transform_held_out_rows():
    X = labelled_digits()[0]
    train, held_out = X[:100], X[100:]
    with sklearn.config_context(enable_metadata_routing=True):
        steps = [("scale", StandardScaler()), ("reduce", small(skae.AutoencoderTransformer))]
        pipeline = Pipeline(steps, transform_input=["X_val"]).fit(train, X_val=held_out)
        scaler = StandardScaler().fit(train)
        alone = small(skae.AutoencoderTransformer)
        alone.fit(scaler.transform(train), X_val=scaler.transform(held_out))
    np.testing.assert_array_equal(pipeline.transform(X), alone.transform(scaler.transform(X)))


@pytest.mark.parametrize("kind", CODING, ids=name_of)
def test_codes_are_no_metadata(kind):
    assert not hasattr(kind, "set_inverse_transform_request")
    with sklearn.config_context(enable_metadata_routing=True):
        assert kind().get_metadata_routing().fit.requests["X_val"] is True
        assert (
            kind().set_fit_request(X_val=False).get_metadata_routing().fit.requests["X_val"]
            is False
        )


@pytest.mark.parametrize("kind", PUBLIC, ids=name_of)
def test_html_links_to_no_page_that_does_not_exist(kind):
    """There is none on the web yet."""
    assert "href" not in kind()._repr_html_()
