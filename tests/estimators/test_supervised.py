"""AutoencoderClassifier and AutoencoderRegressor: labels for some rows, an encoder from all."""

import pickle

import numpy as np
import pytest
import torch
from inside import model_of
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skae import (
    AdversarialAutoencoder,
    AutoencoderClassifier,
    AutoencoderRegressor,
    AutoencoderTransformer,
    BiGANTransformer,
    ConditionalVAE,
    ContractiveAutoencoder,
    ContrastiveEncoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    RecurrentAutoencoder,
    SparseAutoencoder,
    VAETransformer,
)
from skae._tasks.head import INTERCEPT_PENALTY, logistic_head

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def images():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, random_state=0)


@pytest.fixture(scope="module")
def pretrained(images):
    return AutoencoderTransformer(8, random_state=0).fit(images[0])


@pytest.fixture(scope="module")
def fine_tuned(images, pretrained):
    X, _, y, _ = images
    return AutoencoderClassifier(pretrained, random_state=0).fit(X, y)


def untrained(n_components):
    """Return an autoencoder that keeps its random weights."""
    return AutoencoderTransformer(
        n_components, linear_path=None, early_stopping=False, max_iter=1, learning_rate_init=1e-12
    )


def accuracies(seed):
    """Return the accuracy with fifty labels: pretrained, from scratch, and an SVC on PCA."""
    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, random_state=seed)
    labelled = np.random.default_rng(seed).permutation(len(train))[:50]
    known = np.full(len(train), -1)
    known[labelled] = y_train[labelled]
    model = AutoencoderClassifier(unlabeled=-1, random_state=seed).fit(train, known)
    scratch = untrained(model.autoencoder_.n_components_)
    scratch = AutoencoderClassifier(scratch, unlabeled=-1, random_state=seed).fit(train, known)
    pca = PCA(0.95).fit(train)
    svc = make_pipeline(FrozenEstimator(pca), SVC()).fit(train[labelled], known[labelled])
    return [each.score(test, y_test) for each in (model, scratch, svc)]


@quiet
def test_fifty_labels_of_digits():
    model, scratch, svc = np.mean([accuracies(seed) for seed in range(3)], axis=0)
    print(f"pretrained {model:.3f}, from scratch {scratch:.3f}, SVC on PCA {svc:.3f}")
    assert model > scratch
    assert model > svc


def test_fine_tuning_pays_with_many_labels(images, pretrained, fine_tuned):
    X, X_test, y, y_test = images
    head = AutoencoderClassifier(pretrained, fine_tune="head").fit(X, y)
    assert fine_tuned.best_iter_ > 0
    assert fine_tuned.score(X_test, y_test) > head.score(X_test, y_test) + 0.02
    losses = [log_loss(y_test, m.predict_proba(X_test)) for m in (fine_tuned, head)]
    assert losses[0] < losses[1]
    assert max(fine_tuned.validation_scores_) > fine_tuned.validation_scores_[0]


def test_labels_without_meaning_leave_the_head(images, pretrained):
    """Nothing can be learned: the head alone is kept."""
    X = images[0][:400]
    y = np.random.default_rng(0).integers(2, size=len(X))
    model = AutoencoderClassifier(pretrained, random_state=0).fit(X, y)
    head = AutoencoderClassifier(pretrained, fine_tune="head", random_state=0).fit(X, y)
    assert model.best_iter_ == 0
    np.testing.assert_array_equal(model.predict_proba(X), head.predict_proba(X))


def test_the_head_is_logistic_regression(images, pretrained):
    X, X_test, y, _ = images
    model = AutoencoderClassifier(pretrained, fine_tune="head").fit(X, y)
    unit = np.sqrt(np.mean(model_of(pretrained).code_scale ** 2))
    code, code_test = pretrained.transform(X) / unit, pretrained.transform(X_test) / unit
    sklearn = LogisticRegression(max_iter=1000, tol=1e-8).fit(code, y)
    np.testing.assert_allclose(
        model.predict_proba(X_test), sklearn.predict_proba(code_test), atol=2e-3
    )


def test_the_head_has_no_slope_and_knows_absent_classes():
    rng = np.random.default_rng(0)
    codes, weight = rng.normal(size=(40, 3)), rng.uniform(1, 2, 40)
    targets = np.eye(4)[rng.integers(3, size=40)]
    coef, intercept = logistic_head(codes, targets, weight)
    head = torch.tensor(np.column_stack([coef, intercept]), requires_grad=True)
    scores = torch.tensor(np.column_stack([codes, np.ones(40)])) @ head.T
    loss = torch.nn.functional.cross_entropy(scores, torch.tensor(targets), reduction="none")
    penalty = torch.tensor([1.0, 1.0, 1.0, INTERCEPT_PENALTY])
    (loss @ torch.tensor(weight) + (penalty * head.square()).sum() / 2).backward()
    assert head.grad.abs().max() < 1e-5
    assert intercept[3] < intercept[:3].min()


def test_the_regressor_s_head_is_ridge(images, pretrained):
    X, X_test, y, _ = images
    model = AutoencoderRegressor(pretrained, fine_tune="head").fit(X, y)
    unit = np.sqrt(np.mean(model_of(pretrained).code_scale ** 2))
    ridge = Ridge().fit(pretrained.transform(X) / unit, y)
    np.testing.assert_allclose(
        model.predict(X_test), ridge.predict(pretrained.transform(X_test) / unit), rtol=1e-6
    )


def test_regression_with_nan_for_no_label():
    X, y = load_diabetes(return_X_y=True)
    known = np.where(np.arange(len(y)) < 200, y, np.nan)
    model = AutoencoderRegressor(AutoencoderTransformer(5), unlabeled=np.nan, random_state=0).fit(
        X, known
    )
    assert model.autoencoder_.n_components_ == 5
    assert model.score(X[200:], y[200:]) > 0.35
    with pytest.raises(ValueError, match="NaN"):
        AutoencoderRegressor(AutoencoderTransformer(5)).fit(X, known)


@quiet
def test_several_outputs(images, pretrained):
    X, X_test, y, y_test = images
    Y = np.column_stack([y % 2, 100.0 * y])
    model = AutoencoderRegressor(pretrained, max_iter=30, random_state=0).fit(X, Y)
    assert model.best_iter_ > 0
    assert model.predict(X_test).shape == (len(X_test), 2)
    Y_test = np.column_stack([y_test % 2, 100.0 * y_test])
    head = AutoencoderRegressor(pretrained, fine_tune="head").fit(X, Y)
    assert model.score(X_test, Y_test) > head.score(X_test, Y_test)
    holes = np.where(np.arange(len(Y))[:, None] < 500, Y, [[np.nan, 1.0]])
    seeded = {"fine_tune": "head", "random_state": 0}
    part = AutoencoderRegressor(pretrained, unlabeled=np.nan, **seeded).fit(X, holes)
    alone = AutoencoderRegressor(pretrained, **seeded).fit(X[:500], Y[:500])
    np.testing.assert_allclose(part.predict(X_test), alone.predict(X_test))


@pytest.mark.parametrize("mark", [-1, "", np.nan, None])
def test_rows_without_a_label_only_pretrain(images, pretrained, mark):
    X, X_test, y, _ = images
    names = np.array([f"digit {label}" for label in y], dtype=object)
    labelled = np.arange(len(X)) < 200
    known = np.where(labelled, names, mark)
    if mark is None:
        X, known = X[labelled], known[labelled]
    seeded = {"fine_tune": "head", "random_state": 0}
    part = AutoencoderClassifier(pretrained, unlabeled=mark, **seeded).fit(X, known)
    alone = AutoencoderClassifier(pretrained, **seeded).fit(images[0][:200], names[:200])
    np.testing.assert_array_equal(part.predict(X_test), alone.predict(X_test))
    assert set(part.classes_) == set(names[:200])


@quiet
def test_a_fitted_autoencoder_is_taken_as_it_is(images):
    X, y = images[1], images[3]
    pretrained = AutoencoderTransformer(3, max_iter=1, early_stopping=False).fit(images[0])
    code = pretrained.transform(X)
    frozen = clone(
        AutoencoderClassifier(FrozenEstimator(pretrained), head="linear", max_iter=5)
    ).fit(X, y)
    for model in (AutoencoderClassifier(pretrained, fine_tune="head").fit(X, y), frozen):
        np.testing.assert_array_equal(model.autoencoder_.transform(X), code)
    assert frozen.best_iter_ > 0
    np.testing.assert_array_equal(pretrained.transform(X), code)
    labels = frozen.predict(X)
    pretrained.fit(X[:, :10])  # what becomes of it afterwards does not matter
    np.testing.assert_array_equal(frozen.predict(X), labels)


def test_another_number_of_columns_is_refused(images, pretrained):
    X = images[1]
    with pytest.raises(ValueError, match="X has 10 features.*fitted already: pass columns like"):
        AutoencoderClassifier(pretrained).fit(X[:, :10], images[3])


def test_an_encoder_that_wants_labels_itself_is_refused(images):
    X, _, y, _ = images
    autoencoder = ConditionalVAE(6, max_iter=3, hidden_layer_sizes=())
    for given in (autoencoder, clone(autoencoder).fit(X, y)):
        with pytest.raises(ValueError, match="ConditionalVAE needs labels.*VAETransformer"):
            AutoencoderClassifier(given).fit(X, y)


@quiet
@pytest.mark.usefixtures("plain_draws")
@pytest.mark.parametrize(
    "kind",
    [
        AdversarialAutoencoder,
        BiGANTransformer,
        ContrastiveEncoder,
        ContractiveAutoencoder,
        ConvolutionalAutoencoder,
        DenoisingAutoencoder,
        RecurrentAutoencoder,
        SparseAutoencoder,
        VAETransformer,
    ],
)
def test_any_autoencoder(images, kind):
    X, X_test, y, y_test = images[0][:700], images[1], images[2][:700], images[3]
    model = AutoencoderClassifier(kind(6, max_iter=3), max_iter=15, random_state=0).fit(X, y)
    head = AutoencoderClassifier(model.autoencoder_, fine_tune="head").fit(X, y)
    assert model.best_iter_ > 0
    assert model.score(X_test, y_test) > head.score(X_test, y_test)


def test_two_classes(images, pretrained):
    X, X_test, y, _ = images
    model = AutoencoderClassifier(pretrained, fine_tune="head").fit(X, y > 4)
    odds = model.decision_function(X_test)
    assert odds.shape == (len(X_test),)
    np.testing.assert_allclose(1 / (1 + np.exp(-odds)), model.predict_proba(X_test)[:, 1])
    np.testing.assert_array_equal(model.predict(X_test), odds > 0)


def test_weights_of_classes_and_rows_are_one_thing(images, pretrained):
    X, _, y, _ = images
    by_class = AutoencoderClassifier(pretrained, fine_tune="head", class_weight={3: 5.0})
    by_row = AutoencoderClassifier(pretrained, fine_tune="head")
    np.testing.assert_allclose(
        by_class.fit(X, y).coef_, by_row.fit(X, y, np.where(y == 3, 5.0, 1.0)).coef_
    )
    assert np.mean(by_class.predict(X) == 3) > np.mean(by_row.fit(X, y).predict(X) == 3)
    none = AutoencoderClassifier(pretrained, fine_tune="head").fit(X, y, 1.0 * (y != 3))
    assert 3 not in none.classes_


@quiet
def test_same_seed_same_bits_and_copies(images, pretrained):
    X, X_test, y, _ = images
    state = torch.get_rng_state(), np.random.get_state()[1]
    models = [
        AutoencoderClassifier(AutoencoderTransformer(4, max_iter=3), max_iter=5, random_state=0)
        for _ in range(2)
    ]
    shares = [model.fit(X, y).predict_proba(X_test) for model in models]
    np.testing.assert_array_equal(*shares)
    assert torch.equal(torch.get_rng_state(), state[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])
    assert models[0].best_iter_ > 0
    other = pickle.loads(pickle.dumps(models[0]))
    np.testing.assert_array_equal(other.predict_proba(X_test), shares[0])
    assert b"torch." not in pickle.dumps(models[0])


def test_searches(images, pretrained):
    X, _, y, _ = images
    model = AutoencoderClassifier(FrozenEstimator(pretrained), fine_tune="head")
    assert cross_val_score(model, X, y, cv=3).mean() > 0.8


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (np.full(40, -1), "No row of y has a label"),
        (np.where(np.arange(40) < 20, 1, -1), "only one class"),
        (np.linspace(0, 1, 40), "Unknown label type"),
    ],
)
def test_labels_that_cannot_be_learned(images, y, match):
    with pytest.raises(ValueError, match=match):
        AutoencoderClassifier(unlabeled=-1).fit(images[0][:40], y)
