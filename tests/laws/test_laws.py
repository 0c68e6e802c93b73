"""What every estimator keeps: the same bits, whoever runs it, and the world as it was."""

import contextlib
import inspect
import pickle
import random
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from family import (
    CODING,
    GIVING_BACK,
    PUBLIC,
    TRAINED,
    decoded,
    fitted,
    labelled_digits,
    name_of,
    small,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import skae

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = labelled_digits()
every = pytest.mark.parametrize("kind", TRAINED, ids=name_of)


@pytest.fixture(scope="module")
def models():
    """Return each estimator, fitted once; held-out rows do not turn its network down."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {kind: fitted(kind, X, Y, early_stopping=False) for kind in PUBLIC}


def outputs(kind, seed=0):
    """Return what an estimator says of few rows after a fit: in a process of its own, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = fitted(kind, X[:60], Y[:60], random_state=seed)
    method = model.transform if hasattr(model, "transform") else model.predict
    made = [np.asarray(method(X[:60])), *map(float, model.loss_curve_)]
    return pickle.dumps(made)


# the same bits ------------------------------------------------------------------------------------


@every
def test_threads_and_processes_give_the_bits_of_a_series(kind):
    seeds = [0, 1, 2, 3] * 2
    alone = {seed: outputs(kind, seed=seed) for seed in set(seeds)}
    assert len(set(alone.values())) == 4
    with ThreadPoolExecutor(8) as pool:
        in_threads = list(pool.map(lambda seed: outputs(kind, seed=seed), seeds))
    assert in_threads == [alone[seed] for seed in seeds]
    in_processes = joblib.Parallel(2)(joblib.delayed(outputs)(kind, seed=s) for s in (0, 1))
    assert in_processes == [alone[0], alone[1]]


@every
def test_small_fits_have_the_same_bits_with_one_and_two_threads_of_torch(kind):
    outside, made = torch.get_num_threads(), []
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        try:
            made.append(outputs(kind))
            assert torch.get_num_threads() == n_threads
        finally:
            torch.set_num_threads(outside)
    assert made[0] == made[1]


@every
def test_copies_give_the_same_bits(kind, models):
    copy = pickle.loads(pickle.dumps(models[kind]))
    method = "transform" if kind in CODING else "predict"
    np.testing.assert_array_equal(getattr(copy, method)(X), getattr(models[kind], method)(X))


@pytest.mark.parametrize("kind", PUBLIC, ids=name_of)
def test_a_pickled_state_is_arrays_and_builtins(kind, models):
    dump = pickle.dumps(models[kind])
    assert b"torch." not in dump
    assert b"skorch." not in dump


@pytest.mark.parametrize("kind", CODING, ids=name_of)
def test_one_row_a_shuffle_and_batches_agree(kind, models):
    model = models[kind]
    order = np.random.default_rng(0).permutation(len(X))
    functions = [model.transform]
    if kind in GIVING_BACK:
        functions += [model.reconstruct, model.reconstruction_error]
    if hasattr(model, "score_samples"):
        functions.append(model.score_samples)
    for function in functions:
        whole = np.asarray(function(X))
        near = {"rtol": 1e-12, "atol": 1e-12 * np.abs(whole).max()}
        np.testing.assert_allclose(np.asarray(function(X[order])), whole[order], **near)
        np.testing.assert_allclose(
            np.concatenate([function(X[i : i + 1]) for i in range(20)]), whole[:20], **near
        )
        np.testing.assert_allclose(
            np.concatenate([function(part) for part in np.array_split(X, 7)]), whole, **near
        )


# the world as it was ------------------------------------------------------------------------------


def world():
    """Return what an estimator must not change."""
    return (
        random.getstate(),
        pickle.dumps(np.random.get_state()),
        torch.get_rng_state().numpy().tobytes(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        pickle.dumps(np.geterr()),
    )


def calls(model):
    """Return a call for each public method of a fitted model that takes or gives rows."""
    code = model.transform(X) if hasattr(model, "transform") else None
    found = {
        "fit": lambda: small(type(model)).fit(X, Y),
        "fit_transform": lambda: small(type(model)).fit_transform(X, Y),
        "partial_fit": lambda: pickle.loads(pickle.dumps(model)).partial_fit(X, Y),
        "inverse_transform": lambda: decoded(model, code, Y),
        "interpolate": lambda: model.interpolate(X[0], X[1]),
        "sample": lambda: model.sample(4),
        "score": lambda: model.score(X, Y),
        "truncate": lambda: model.truncate(2),
        "impute": lambda: model.impute(X),
        "mix": lambda: model.mix(X[:4], X[4:8], 1),
    }
    names = ["transform", "reconstruct", "reconstruction_error", "score_samples", "predict"]
    names += [
        "denoise",
        "score_by_column",
        "predict_proba",
        "decision_function",
        "transform_distribution",
    ]
    found |= {name: lambda name=name: getattr(model, name)(X) for name in names}
    return found


WITHOUT_ROWS = {
    "get_feature_names_out",
    "get_metadata_routing",
    "get_params",
    "set_callbacks",
    "set_output",
    "set_params",
}


@every
def test_no_method_changes_the_world_or_its_rows(kind, models):
    model = models[kind]
    rows, labels = X.copy(), Y.copy()
    known = calls(model)
    public = {
        name for name, _ in inspect.getmembers(model, callable) if "_" not in (name[0], name[-1])
    }
    public -= {name for name in public if name.startswith("set_") and name.endswith("_request")}
    assert public - WITHOUT_ROWS <= known.keys()
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    for name in sorted(public & known.keys()):
        before = world()
        refused = (
            pytest.raises((ValueError, AttributeError), match="ordered")
            if name == "truncate"
            else contextlib.nullcontext()
        )
        with warnings.catch_warnings(), refused:
            warnings.simplefilter("ignore")
            known[name]()
        assert world() == before, name
    np.testing.assert_array_equal(X, rows)
    np.testing.assert_array_equal(Y, labels)


def test_the_family_is_whole():
    public = [getattr(skae, name) for name in skae.__all__]
    assert {kind for kind in public if hasattr(kind, "fit")} == set(PUBLIC)
    assert set(PUBLIC) - set(TRAINED) == {skae.AutoencoderOutlierDetector, skae.TableEncoder}


# alike in all -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [k for k in CODING if hasattr(k, "sample")], ids=name_of)
def test_drawn_rows_repeat_with_their_seed(kind, models):
    model = models[kind]
    np.testing.assert_array_equal(model.sample(4, random_state=3), model.sample(4, random_state=3))
    assert not np.array_equal(model.sample(4), model.sample(4))
    for bad in (0, -1, 1.5, "3", None):
        with pytest.raises(ValueError, match=f"n_samples={bad!r} must be an int of at least 1"):
            model.sample(bad)


@pytest.mark.parametrize("kind", CODING, ids=name_of)
def test_searched_in_front_of_a_classifier(kind):
    pipeline = make_pipeline(StandardScaler(), small(kind), SVC())
    grid = {f"{name_of(kind).lower()}__n_components": [2, 6]}
    search = GridSearchCV(pipeline, grid, cv=2, refit=False).fit(X, Y)
    told = kind is skae.ConditionalVAE  # its code leaves out what the label says
    assert search.best_score_ > (0.1 if told else 0.3)  # of ten digits
