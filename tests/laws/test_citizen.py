"""Pipelines, searches, copies and files."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_score

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def small(**changes):
    return AutoencoderTransformer(**{"n_components": 3, "max_iter": 5, "random_state": 0} | changes)


@pytest.fixture(scope="module")
def labelled():
    from sklearn.datasets import load_wine

    return load_wine(return_X_y=True)


def test_pipeline_with_a_classifier(labelled):
    X, y = labelled
    pipeline = Pipeline([("scale", StandardScaler()), ("ae", small()), ("clf", SVC())])
    assert pipeline.fit(X, y).score(X, y) > 0.9


def test_search_over_pca_and_autoencoder(labelled):
    X, y = labelled
    pipeline = Pipeline([("scale", StandardScaler()), ("ae", PCA()), ("clf", SVC())])
    grid = {"ae": [PCA(), small()], "ae__n_components": [2, 4]}
    serial, parallel = (
        GridSearchCV(pipeline, grid, cv=3, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2)
    )
    scores = serial.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores, parallel.cv_results_["mean_test_score"])
    assert np.isfinite(scores).all()


def test_search_in_processes_gives_the_same_bits(digits):
    searches = [
        GridSearchCV(
            small(), {"n_components": [2, 3]}, cv=3, n_jobs=n_jobs, scoring=reconstruction_score
        ).fit(digits[0])
        for n_jobs in (1, 2)
    ]
    codes = [search.best_estimator_.transform(digits[1]) for search in searches]
    np.testing.assert_array_equal(*codes)
    np.testing.assert_array_equal(*(s.cv_results_["mean_test_score"] for s in searches))


def test_one_score_for_pca_and_autoencoder(digits):
    pipeline = make_pipeline(StandardScaler(), PCA(4))
    grid = {"pca": [PCA(4), AutoencoderTransformer(4, max_iter=40, random_state=0)]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring=reconstruction_score).fit(digits[0])
    assert isinstance(search.best_params_["pca"], AutoencoderTransformer)
    low, high = search.cv_results_["mean_test_score"]
    assert 0 < low < high < 1


def test_halving_search_over_epochs(digits):
    search = HalvingGridSearchCV(
        small(), {"n_components": [2, 4]}, resource="max_iter", min_resources=2, max_resources=8,
        factor=2, cv=2, random_state=0,
    ).fit(digits[0])  # fmt: skip
    assert search.best_estimator_.max_iter > 2
    assert search.best_params_["n_components"] == 4


@pytest.mark.parametrize(
    "estimator",
    [
        small(),
        small(hidden_layer_sizes=()),
        small(linear_path=None),
        small(activation=nn.ELU, whiten=True),
        small(encoder=nn.Linear),
    ],
    ids=["plain", "linear", "textbook", "elu", "own module"],
)
def test_copies_and_files_are_equal_to_the_bit(digits, estimator, tmp_path):
    X = digits[1]
    estimator = clone(estimator).fit(digits[0][:400])
    code = estimator.transform(X)
    joblib.dump(estimator, tmp_path / "model.joblib")
    for other in (pickle.loads(pickle.dumps(estimator)), joblib.load(tmp_path / "model.joblib")):
        np.testing.assert_array_equal(other.transform(X), code)
        np.testing.assert_array_equal(
            other.inverse_transform(code), estimator.inverse_transform(code)
        )
        np.testing.assert_array_equal(
            other.transform(X.astype(np.float32)), estimator.transform(X.astype(np.float32))
        )


def test_parameters_set_after_fit_do_not_change_copies(digits):
    estimator = small(hidden_layer_sizes=(8,), random_state=0).fit(digits[0])
    code = estimator.transform(digits[1])
    estimator.set_params(activation="relu", linear_path=None, encoder=nn.Linear)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(estimator)).transform(digits[1]), code)


def test_files_are_small(digits):
    estimator = small().fit(digits[0])
    n_cells = sum(p.numel() for p in estimator.module_.state_dict().values())
    assert len(pickle.dumps(estimator)) < 8 * n_cells + 30_000


def test_damaged_state_is_refused(digits):
    state = small().fit(digits[0]).__getstate__()
    name = next(iter(state["module_"]))
    state["module_"][name] = state["module_"][name][:-1]
    with pytest.raises(RuntimeError, match="size mismatch"):
        AutoencoderTransformer.__new__(AutoencoderTransformer).__setstate__(state)


def test_clone_is_unfitted_and_equal(digits):
    original = small(hidden_layer_sizes=(5, 4), activation=nn.ELU)
    copy = clone(original.fit(digits[0]))
    assert not hasattr(copy, "module_")
    assert copy.get_params() == original.get_params()


def test_refit_forgets(digits, wine):
    estimator = small().fit(digits[0]).fit(wine[0])
    np.testing.assert_array_equal(
        estimator.transform(wine[1]), small().fit(wine[0]).transform(wine[1])
    )


def test_partial_fit_goes_on_after_pickling(digits):
    whole, broken = small(), small()
    for batch in np.array_split(digits[0], 3):
        whole.partial_fit(batch)
        broken = pickle.loads(pickle.dumps(broken.partial_fit(batch)))
    np.testing.assert_allclose(whole.transform(digits[1]), broken.transform(digits[1]), rtol=1e-6)


def test_metadata_routing_of_weights(labelled):
    import sklearn

    X, _ = labelled
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=True),
            small(hidden_layer_sizes=()).set_fit_request(sample_weight=True),
        )
        weight = np.r_[np.ones(100), np.zeros(78)]
        weighted = pipeline.fit(X, sample_weight=weight)[-1].components_
        alone = make_pipeline(StandardScaler(), small(hidden_layer_sizes=())).fit(X[:100])
    np.testing.assert_allclose(np.abs(weighted), np.abs(alone[-1].components_), atol=1e-8)
