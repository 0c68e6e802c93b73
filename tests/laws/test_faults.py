"""Trainings that go wrong: the best so far, PCA, or an error that says what to do."""

import warnings

import numpy as np
import pytest
from family import CODING, labelled_digits, name_of, small
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

import skae
from skae._training.adam import FlatAdam

X, Y = labelled_digits()
every = pytest.mark.parametrize("kind", CODING, ids=name_of)


def fit(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X, Y)


@every
@pytest.mark.parametrize("rate", [1e3, 1e6])
def test_absurd_learning_rates_leave_a_model_above_the_baseline(kind, rate):
    estimator = small(kind, learning_rate_init=rate, max_iter=8)
    if "early_stopping" not in estimator.get_params():
        pytest.skip("has no baseline")
    model = fit(estimator)
    assert np.isfinite(model.transform(X)).all()
    if model.pca_score_ is not None:
        assert [model.pca_score_, *model.validation_scores_][model.best_iter_] >= model.pca_score_
        linear = fit(small(skae.AutoencoderTransformer, hidden_layer_sizes=()))
        assert kind is skae.ContrastiveEncoder or model.score(X) > 0.9 * linear.score(X)


@every
def test_without_a_baseline_they_are_an_error_and_leave_no_model(kind):
    estimator = small(kind, learning_rate_init=1e30, early_stopping=False, max_iter=8)
    with pytest.raises(ValueError, match=r"[Dd]iverged.*learning_rate_init.*StandardScaler"):
        fit(estimator)
    with pytest.raises(ValueError, match="not fitted"):
        estimator.transform(X)


def test_a_search_goes_on_beyond_a_candidate_that_diverges():
    ae = skae.AutoencoderTransformer(3, max_iter=3, early_stopping=False, random_state=0)
    grid = {"autoencodertransformer__learning_rate_init": [0.01, 1e30]}
    search = GridSearchCV(make_pipeline(ae, SVC()), grid, cv=3, error_score=np.nan)
    said = pytest.warns(match="test scores are non-finite")
    with said, pytest.warns(match="3 fits failed out of a total of 6"):
        search.fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] > 0.3
    assert np.isnan(scores[1])
    assert search.best_params_ == {"autoencodertransformer__learning_rate_init": 0.01}


@every
def test_running_out_of_memory_names_the_batch_size(kind, monkeypatch):
    monkeypatch.setattr(FlatAdam, "step", lambda *_: np.empty(2**50))
    with pytest.raises(MemoryError, match="batch_size=32: choose a smaller batch_size"):
        fit(small(kind, batch_size=32))
