"""Files served without torch give what torch gives; what numpy cannot serve is refused."""

import inspect
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from family import CODING, decoded, fitted, labelled_digits, name_of, rows_of_heads

import skae
from skae.nn.layers import ACTIVATIONS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FAST = {"n_components": 2, "max_iter": 2, "early_stopping": False, "random_state": 0}
TOLERANCE = {"f4": 1e-5, "f8": 1e-12}
SHAPED = "ConvolutionalAutoencoder", "RecurrentAutoencoder", "StyleBiGAN"
SERVED = [kind for kind in CODING if name_of(kind) not in SHAPED]


def served(model, path):
    skae.save(model, path / "model.skae")
    return skae.load(path / "model.skae", engine="numpy")


def assert_close(found, expected, tolerance, unit=0.0):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.dtype == expected.dtype
    assert (np.isnan(found) == np.isnan(expected)).all()
    largest = np.maximum(np.nanmax(np.abs(expected), axis=0), unit)
    assert (np.nanmax(np.abs(found - expected), axis=0) <= tolerance * largest).all()


def table(n=120):
    rng = np.random.default_rng(0)
    t = rng.normal(size=n)
    X = pd.DataFrame(
        {
            "number": t + 0.1 * rng.normal(size=n),
            "town": np.where(t > 0, "Ames", np.where(t > -1, "Boone", "Nevada")),
            "day": pd.date_range("2020-01-01", periods=n),
            "count": rng.integers(0, 9, n),
        }
    )
    X.loc[::7, "town"], X.loc[::5, "number"] = None, np.nan
    return X


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("kind", SERVED, ids=name_of)
def test_numpy_answers_as_torch_does(kind, dtype, tmp_path):
    X, y = labelled_digits(100)
    X = X.astype(dtype)
    model = fitted(kind, X, y, hidden_layer_sizes=(7, 5), early_stopping=False)
    numpy = served(model, tmp_path)
    rows = np.vstack([X, 5 * X[:5] - 40])  # beyond the training range, too
    y = np.append(y, y[:5])
    codes, tolerance = model.transform(rows), TOLERANCE[dtype]
    assert_close(numpy.transform(rows), codes, tolerance)
    if hasattr(model, "reconstruct"):
        assert_close(numpy.reconstruct(rows), model.reconstruct(rows), tolerance)
        assert_close(decoded(numpy, codes, y), decoded(model, codes, y), tolerance)
        error = model.reconstruction_error(rows)
        assert_close(numpy.reconstruction_error(rows), error, tolerance)
        expected = pytest.approx(model.score(rows), rel=tolerance, abs=tolerance)
        assert numpy.score(rows) == expected
    for method in ("score_samples", "transform_distribution"):
        if hasattr(model, method):
            expected = np.array(getattr(model, method)(X))
            assert_close(np.array(getattr(numpy, method)(X)), expected, tolerance)


@pytest.mark.parametrize(
    "changes",
    [
        *({"activation": name} for name in sorted(ACTIVATIONS)),
        {"linear_path": None, "hidden_layer_sizes": (7, 5)},
        {"ordered": True},
        {"tied_weights": True, "hidden_layer_sizes": (7, 5)},
        {"tied_weights": True, "linear_path": None},
        {"whiten": True},
        {"hidden_layer_sizes": ()},
    ],
    ids=str,
)
def test_networks(changes, tmp_path):
    X, _ = labelled_digits(60)
    model = skae.AutoencoderTransformer(**{"hidden_layer_sizes": (6,)} | FAST | changes).fit(X)
    numpy = served(model, tmp_path)
    assert_close(numpy.reconstruct(X), model.reconstruct(X), 1e-12)


def test_bernoulli_columns(tmp_path):
    X = labelled_digits(60)[0] / 16
    model = skae.VAETransformer(**FAST, likelihood="bernoulli").fit(X)
    numpy = served(model, tmp_path)
    assert_close(numpy.reconstruct(X), model.reconstruct(X), 1e-12)
    assert_close(numpy.score_samples(X), model.score_samples(X), 1e-12)
    with pytest.raises(ValueError, match=r"needs values within \[0, 1\]"):
        numpy.score_samples(X + 1)


@pytest.mark.parametrize("kind", [skae.AutoencoderTransformer, skae.VAETransformer], ids=name_of)
def test_tables(kind, tmp_path):
    X = table()
    model = kind(**FAST).fit(X)
    numpy = served(model, tmp_path)
    assert_close(numpy.transform(X), model.transform(X), 1e-12)
    made, known = numpy.reconstruct(X), model.reconstruct(X)
    pd.testing.assert_frame_equal(made, known, rtol=1e-12)
    for asked in ({"per_feature": True}, {"missing": "rescale"}, {}):
        error = model.reconstruction_error(X, **asked)
        assert_close(numpy.reconstruction_error(X, **asked), error, 1e-12, unit=1.0)
    assert_close(numpy.score_by_column(X), model.score_by_column(X), 1e-12, unit=1.0)
    assert numpy.score(X) == pytest.approx(model.score(X), abs=1e-12)
    pd.testing.assert_frame_equal(numpy.impute(X), model.impute(X), rtol=1e-12)
    if hasattr(model, "score_samples"):
        assert_close(numpy.score_samples(X), model.score_samples(X), 1e-12)


@pytest.mark.parametrize("kind", [skae.AutoencoderTransformer, skae.VAETransformer], ids=name_of)
def test_tables_of_words_alone(kind, tmp_path):
    X = table()[["town"]].assign(other=np.array(list("abc"))[np.arange(120) % 3])
    model = kind(**FAST).fit(X)
    numpy = served(model, tmp_path)
    assert_close(numpy.transform(X), model.transform(X), 1e-12)
    pd.testing.assert_frame_equal(numpy.reconstruct(X), model.reconstruct(X))
    same = skae.load(tmp_path / "model.skae")
    assert (same.transform(X) == model.transform(X)).all()


@pytest.mark.filterwarnings("ignore:.*levels that fit did not see")
@pytest.mark.parametrize("min_frequency", [1, 0.2])
@pytest.mark.parametrize("kind", [skae.AutoencoderTransformer, skae.VAETransformer], ids=name_of)
def test_levels_that_fit_did_not_see_and_rows_without_cells(kind, min_frequency, tmp_path):
    X = table()
    model = kind(**FAST, min_frequency=min_frequency).fit(X)
    numpy = served(model, tmp_path)
    later = X.head(6).assign(town=["Nowhere", "Nowhere", "Ames", None, "Boone", "Elsewhere"])
    later.iloc[3] = None
    later = later.astype({"count": "Int64"})
    assert_close(numpy.transform(later), model.transform(later), 1e-12)
    for asked in ({"per_feature": True}, {"missing": "rescale"}, {}):
        error = model.reconstruction_error(later, **asked)
        assert_close(numpy.reconstruction_error(later, **asked), error, 1e-12, unit=1.0)
    assert numpy.score(later) == pytest.approx(model.score(later), abs=1e-12)
    if hasattr(model, "score_samples"):
        expected = model.score_samples(later)
        assert np.isnan(expected[3])
        assert_close(numpy.score_samples(later), expected, 1e-12)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_numbers_with_missing_cells(dtype, tmp_path, cancer):
    """Columns of very different units: what is expected of a missing cell is computed in float64."""
    X = cancer[0] * np.geomspace(1e-3, 1e3, cancer[0].shape[1])
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X).astype(dtype)
    X = np.column_stack([X, np.full(len(X), np.nan, X.dtype)])
    X[3] = np.nan
    model = skae.AutoencoderTransformer(**FAST).fit(X)
    assert model._model.baseline.loadings.shape[1] > 1
    numpy = served(model, tmp_path)
    assert_close(numpy.transform(X), model.transform(X), TOLERANCE[dtype])
    found, expected = numpy.reconstruct(X)[:, :-1], model.reconstruct(X)[:, :-1]
    assert_close(found, expected, TOLERANCE[dtype])
    exact = model.transform(X.astype(np.float64))
    assert_close(model.transform(X), exact.astype(dtype), 1e-5)


@pytest.mark.filterwarnings("ignore:.*levels that fit did not see")
@pytest.mark.filterwarnings("ignore:No cell is present in")
@pytest.mark.parametrize("rows", ["table", "f4", "f8", "holes"])
def test_outlier_detectors(rows, tmp_path):
    X = table() if rows == "table" else labelled_digits(120)[0]
    X = X.astype(rows) if rows in ("f4", "f8") else X
    if rows == "holes":
        X = np.where(np.random.default_rng(0).random(X.shape) < 0.05, np.nan, X)
    ae = skae.AutoencoderTransformer(**FAST)
    model = skae.AutoencoderOutlierDetector(ae, random_state=0).fit(X)
    later = X.head(6).assign(town="Nowhere") if rows == "table" else 3 * X[:6] - 5
    numpy = served(model, tmp_path)
    for new in (X, later):
        expected = model.score_samples(new)
        assert_close(numpy.score_samples(new), expected, 1e-10)
        usual = np.abs(expected - model.offset_) > 1e-9 * np.abs(expected)  # one row is at the edge
        assert (numpy.predict(new)[usual] == model.predict(new)[usual]).all()
    assert_close(numpy.explain(later), model.explain(later), 1e-8)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_heads_of_every_kind(dtype, tmp_path):
    X, numbers = rows_of_heads()
    X, kinds = X.astype(dtype), set()
    later = np.vstack([X, 5 * X[:5] - 40])
    for y in numbers.values():
        for kind, target in (
            (skae.AutoencoderClassifier, np.where(y > 0, "yes", "no")),
            (skae.AutoencoderRegressor, y),
        ):
            ae = skae.AutoencoderTransformer(**FAST)
            model = kind(ae, fine_tune="head", random_state=0).fit(X, target)
            kinds.add((kind, model.head_, model.uses_columns_))
            numpy = served(model, tmp_path)
            for method in ("predict", "predict_proba", "decision_function"):
                if hasattr(model, method):
                    found, expected = (getattr(m, method)(later) for m in (numpy, model))
                    if found.dtype.kind == "U":
                        assert (found == expected).all()
                    else:
                        assert_close(found, expected, TOLERANCE[dtype])
    assert len(kinds) == 6


@pytest.mark.filterwarnings("ignore:.*levels that fit did not see")
def test_predictions_of_tables(tmp_path):
    X, t = table(), np.nan_to_num(table()["number"].to_numpy())
    later = X.head(6).assign(town=["Nowhere", None, "Ames", "Boone", None, "Ames"])
    for model in (
        skae.AutoencoderClassifier(skae.VAETransformer(**FAST), random_state=0).fit(X, t > 0),
        skae.AutoencoderRegressor(skae.AutoencoderTransformer(**FAST), random_state=0).fit(X, t),
        skae.SupervisedAutoencoder(**FAST).fit(X, t > 0),
    ):
        numpy = served(model, tmp_path)
        for method in ("predict", "predict_proba"):
            if hasattr(model, method):
                found, expected = (getattr(m, method)(later) for m in (numpy, model))
                assert_close(found * 1.0, expected * 1.0, 1e-12)


@pytest.mark.parametrize("rows", ["table", "complete", "f4", "f8"])
def test_labels_beside_rows(rows, tmp_path):
    X, y = labelled_digits(120)
    complete = table()[["count", "day"]].assign(word=np.array(list("abcd"))[y % 4])
    tables = {"table": table(), "complete": complete}
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.05, np.nan, X)
    X = tables[rows] if rows in tables else X.astype(rows)
    tolerance = TOLERANCE.get(rows, 1e-12)
    model = skae.ConditionalVAE(**FAST).fit(X, np.array(["a", "b", "c"])[y % 3])
    numpy = served(model, tmp_path)
    for given in ({}, {"y": "b"}):
        codes = model.transform(X, **given)
        assert_close(numpy.transform(X, **given), codes, tolerance)
        for method in ("reconstruction_error", "score_samples"):
            found, expected = (getattr(m, method)(X, **given) for m in (numpy, model))
            assert_close(found, expected, tolerance)
        pairs = [
            [m.reconstruct(X, **given), m.inverse_transform(codes, "c")] for m in (numpy, model)
        ]
        for found, expected in zip(*pairs, strict=True):
            if rows in tables:
                pd.testing.assert_frame_equal(found, expected, rtol=1e-12)
            else:
                assert_close(found, expected, tolerance)


@pytest.mark.parametrize("kind", [skae.AutoencoderTransformer, skae.VAETransformer], ids=name_of)
def test_the_covariance_of_linear_models(kind, tmp_path):
    X, _ = labelled_digits(100)
    model = kind(**FAST, hidden_layer_sizes=()).fit(X)
    numpy = served(model, tmp_path)
    np.testing.assert_array_equal(numpy.get_covariance(), model.get_covariance())
    np.testing.assert_array_equal(numpy.singular_values_, model.singular_values_)
    deep = served(kind(**FAST).fit(X), tmp_path)
    assert not hasattr(deep, "get_covariance")


@pytest.mark.parametrize(
    "model",
    [
        skae.ConvolutionalAutoencoder(**FAST),
        skae.RecurrentAutoencoder(**FAST, sequence_shape=(8, 8)),
        skae.AutoencoderTransformer(**FAST, activation=torch.nn.LeakyReLU),
        skae.StyleBiGAN(3, max_iter=3, random_state=0),
    ],
    ids=lambda model: name_of(type(model)),
)
def test_other_networks_are_refused(model, tmp_path):
    X, _ = labelled_digits(60)
    with pytest.raises(skae.LoadError, match="not served by engine='numpy'"):
        served(model.fit(X), tmp_path)


def test_an_unknown_engine_is_refused(tmp_path):
    with pytest.raises(ValueError, match="engine='jax': expected one of"):
        skae.load(tmp_path / "model.skae", engine="jax")


def test_what_is_not_served_says_so(tmp_path):
    X, _ = labelled_digits(60)
    numpy = served(skae.VAETransformer(**FAST, ordered=True).fit(X), tmp_path)
    for call in (
        lambda: numpy.sample(3),
        lambda: numpy.truncate(1),
        lambda: numpy.partial_fit(X),
        lambda: numpy.set_params(warm_start=True).fit(X),
    ):
        with pytest.raises(AttributeError, match="engine='torch'"):
            call()
    assert (numpy.set_params(warm_start=False).fit(X).transform(X)).shape == (60, 2)


def test_copies_pickles_and_files_of_what_is_served(tmp_path):
    X, _ = labelled_digits(60)
    model = skae.AutoencoderTransformer(**FAST).fit(X)
    numpy = served(model, tmp_path)
    same = pickle.loads(pickle.dumps(numpy))
    assert not hasattr(same, "module_")
    assert (same.transform(X) == numpy.transform(X)).all()
    skae.save(numpy, tmp_path / "again.skae")
    numpy.set_params(tol=0.5)
    assert pickle.loads(pickle.dumps(numpy)).tol == 0.5
    assert (skae.load(tmp_path / "again.skae").transform(X) == model.transform(X)).all()


SERVING = Path(__file__).parents[2] / "requirements-serving.txt"


def names_in(requirements):
    return {re.match(r"[\w-]+", line)[0] for line in requirements if not line.startswith("#")}


def test_the_serving_install_is_the_whole_one_without_torch():
    project = tomllib.loads((SERVING.parent / "pyproject.toml").read_text())["project"]
    listed = SERVING.read_text().splitlines()
    assert {line for line in listed if line[0] != "#"} <= set(project["dependencies"])
    assert names_in(project["dependencies"]) - names_in(listed) == {"torch", "skorch"}


WITHOUT_TORCH = """
import sys

KNOWN = {"skae", "sklearn", "cloudpickle", "dateutil", "pytz", "threadpoolctl", "tzdata", *sys.argv[2].split(",")}

class Nowhere:
    def find_spec(self, name, *_):
        package = name.split(".")[0]
        if package not in sys.stdlib_module_names | KNOWN and package[0] != "_":
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)

sys.meta_path.insert(0, Nowhere())
import numpy as np
import pandas as pd
import skae
"""
SERVE = """
X = table()
model = skae.load(sys.argv[1], engine="numpy")
codes = model.transform(X)
model.inverse_transform(codes), model.reconstruct(X), model.reconstruction_error(X)
model.score(X), model.score_samples(X)
for path in sys.argv[3:]:
    other = skae.load(path, engine="numpy")
    answers = [getattr(other, name)(X) for name in ("predict", "transform") if hasattr(other, name)]
    assert answers and all(len(answer) == len(X) for answer in answers)
for call in (lambda: skae.load(sys.argv[1]), lambda: model.fit(X)):
    try:
        call()
    except (ModuleNotFoundError, skae.LoadError) as error:
        assert "pip install torch" in str(error), error
    else:
        raise AssertionError("torch cannot be there")
assert not any(name.split(".")[0] in ("torch", "skorch") for name in sys.modules)
"""


def test_a_process_that_has_the_serving_install_alone(tmp_path):
    X, paths = table(), [tmp_path / name for name in ("model.skae", "head", "labels", "code")]
    y = np.where(np.nan_to_num(X["number"]) > 0, "above", "below")
    for path, model in zip(
        paths,
        (
            skae.VAETransformer(**FAST),
            skae.AutoencoderClassifier(skae.VAETransformer(**FAST), random_state=0),
            skae.ConditionalVAE(**FAST),
            skae.SupervisedAutoencoder(**FAST),
        ),
        strict=True,
    ):
        skae.save(model.fit(X, y), path)
    script = WITHOUT_TORCH + inspect.getsource(table) + SERVE
    known = ",".join(names_in(SERVING.read_text().splitlines()))
    command = [sys.executable, "-W", "ignore", "-c", script, str(paths[0]), known]
    command += map(str, paths[1:])
    subprocess.run(command, check=True)
