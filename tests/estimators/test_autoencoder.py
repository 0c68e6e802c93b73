"""What a user sees of AutoencoderTransformer."""

import numpy as np
import pandas as pd
import pytest
import torch
from inside import model_of
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import nn

from skae import AutoencoderTransformer
from skae.metrics import explained_share, reconstruction_score

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def fitted(digits):
    return AutoencoderTransformer(4, random_state=0).fit(digits[0])


def test_interpolation_ends_at_the_reconstructions(fitted, digits):
    a, b = digits[1][:2]
    path = fitted.interpolate(a, b, n_steps=7)
    assert path.shape == (7, 64)
    np.testing.assert_allclose(path[[0, -1]], fitted.reconstruct(digits[1][:2]), atol=1e-10)
    middle = fitted.inverse_transform(fitted.transform(digits[1][:2]).mean(axis=0)[None])
    np.testing.assert_allclose(path[3], middle[0], atol=1e-10)


def test_spherical_interpolation_turns_evenly(fitted, digits):
    """Whitened codes on the way change angle and length by equal steps, and end where the line ends."""
    a, b = digits[1][:2]
    line = fitted.interpolate(a, b, n_steps=7)
    path = fitted.interpolate(a, b, n_steps=7, path="spherical")
    np.testing.assert_allclose(path[[0, -1]], line[[0, -1]], atol=1e-10)
    assert np.abs(path[3] - line[3]).max() > 0.01
    unit = model_of(fitted).code_scale
    ends = fitted.transform(digits[1][:2]) / unit
    lengths = np.linalg.norm(ends, axis=1)
    (first, last), share = ends / lengths[:, None], np.linspace(0, 1, 7)[:, None]
    angle = np.arccos(first @ last)
    turned = (np.sin((1 - share) * angle) * first + np.sin(share * angle) * last) / np.sin(angle)
    codes = ((1 - share) * lengths[0] + share * lengths[1]) * turned
    np.testing.assert_allclose(fitted.inverse_transform(codes * unit), path, atol=1e-8)


@pytest.mark.parametrize("factor", [0, -2, 4], ids=["zero", "opposite", "same direction"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_without_an_angle_the_arc_is_the_line(factor, dtype):
    half = np.random.default_rng(0).integers(-20, 20, size=(50, 3))
    X = np.vstack([half, -half]).astype(dtype)  # codes of factors of 2 are exact
    model = AutoencoderTransformer(3, hidden_layer_sizes=()).fit(X)
    for a, b in ((X[0], factor * X[0]), (factor * X[0], X[0])):
        line, arc = (model.interpolate(a, b, 5, path) for path in ("linear", "spherical"))
        np.testing.assert_allclose(arc, line, atol=1e-5)


def test_unknown_paths_are_refused(fitted, digits):
    with pytest.raises(ValueError, match="path='round': expected one of"):
        fitted.interpolate(*digits[1][:2], path="round")


def test_fitted_attributes(fitted):
    assert fitted.n_iter_ == len(fitted.loss_curve_) == len(fitted.validation_scores_)
    assert fitted.n_iter_ == len(fitted.history_) >= fitted.best_iter_ > 0
    assert fitted.components_.shape == (4, 64)
    assert fitted.hidden_layer_sizes_ == (128, 128)
    assert fitted.batch_size_ == 128
    assert fitted.device_ in ("cpu", "cuda")
    assert max(fitted.validation_scores_) > fitted.pca_score_
    best = fitted.validation_scores_[fitted.best_iter_ - 1]
    assert best == pytest.approx(max(fitted.validation_scores_))


def test_frames_in_and_out(wine):
    frame = pd.DataFrame(wine[0], columns=[f"c{i}" for i in range(13)])
    estimator = AutoencoderTransformer(2, random_state=0).set_output(transform="pandas")
    code = estimator.fit_transform(frame)
    assert list(code.columns) == ["autoencodertransformer0", "autoencodertransformer1"]
    pd.testing.assert_index_equal(estimator.inverse_transform(code).columns, frame.columns)
    plain = estimator.set_output(transform="default").inverse_transform(code)
    assert isinstance(plain, np.ndarray)
    assert list(estimator.feature_names_in_) == list(frame.columns)


def test_input_is_not_changed(digits):
    X = digits[0].copy()
    estimator = AutoencoderTransformer(3, early_stopping=False, max_iter=2).fit(X)
    estimator.score(X)
    code = estimator.transform(X)
    before = code.copy()
    estimator.inverse_transform(code)
    np.testing.assert_array_equal(X, digits[0])
    np.testing.assert_array_equal(code, before)


# streams and warm starts ------------------------------------------------------------------------


def test_partial_fit_learns_from_a_stream(digits):
    train, test = digits
    estimator = AutoencoderTransformer(4, random_state=0)
    scores = []
    for _ in range(15):
        for batch in np.array_split(train, 3):
            estimator.partial_fit(batch)
        scores.append(estimator.score(test))
    from sklearn.decomposition import PCA

    assert scores[-1] > scores[0]
    assert 1 - scores[-1] < 0.7 * (1 - reconstruction_score(PCA(4).fit(train), test))
    assert estimator.n_iter_ == 45


def test_partial_fit_starts_at_the_first_batch(digits):
    first = digits[0][:100]
    estimator = AutoencoderTransformer(4, learning_rate_init=1e-30, random_state=0)
    estimator.partial_fit(first).partial_fit(digits[0][100:500])
    np.testing.assert_allclose(estimator.mean_, first.mean(axis=0))
    with pytest.raises(ValueError, match="3 rows, fewer than n_components=4"):
        AutoencoderTransformer(4).partial_fit(digits[0][:3])


def test_partial_fit_goes_on_from_fit(digits, fitted):
    from sklearn.base import clone

    estimator = clone(fitted).fit(digits[0])
    before = estimator.score(digits[0])
    for _ in range(3):
        estimator.partial_fit(digits[0])
    assert estimator.score(digits[0]) > before - 0.02


@quiet
def test_warm_start_goes_on(digits):
    estimator = AutoencoderTransformer(4, warm_start=True, max_iter=10, random_state=0)
    first = estimator.fit(digits[0]).score(digits[1])
    second = estimator.set_params(max_iter=30).fit(digits[0]).score(digits[1])
    assert second >= first
    cold = AutoencoderTransformer(4, max_iter=10, random_state=0)
    assert cold.fit(digits[0]).score(digits[1]) == cold.fit(digits[0]).score(digits[1])


@quiet
def test_warm_start_refuses_another_network(digits):
    estimator = AutoencoderTransformer(4, warm_start=True, max_iter=2, random_state=0)
    estimator.fit(digits[0])
    for change in ({"n_components": 5}, {"activation": "relu"}, {"hidden_layer_sizes": (9,)}):
        with pytest.raises(
            ValueError, match=f"goes on with the fitted network, but {next(iter(change))} was"
        ):
            clone(estimator).fit(digits[0]).set_params(**change).fit(digits[0])


def test_a_failed_fit_has_written_nothing(digits):
    estimator = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(digits[0])
    before = vars(estimator).copy()
    code = estimator.transform(digits[1])
    with pytest.raises(ValueError, match="device='warp'"):
        estimator.set_params(device="warp").fit(digits[0][:, 1:])
    assert vars(estimator) == before | {"device": "warp"}
    np.testing.assert_array_equal(estimator.transform(digits[1]), code)
    fresh = AutoencoderTransformer(2, device="warp")
    before = vars(fresh).copy()
    with pytest.raises(ValueError, match="device='warp'"):
        fresh.fit(digits[0])
    assert vars(fresh) == before


def test_whitened_units_survive_partial_fit(digits):
    estimator = AutoencoderTransformer(3, whiten=True, random_state=0).fit(digits[0])
    estimator.set_params(learning_rate_init=1e-30).partial_fit(digits[0])
    np.testing.assert_allclose(estimator.transform(digits[0]).std(axis=0, ddof=1), 1, rtol=1e-3)


def test_warm_start_keeps_what_it_cannot_improve(gaussian):
    estimator = AutoencoderTransformer(3, warm_start=True, random_state=0)
    before = estimator.fit(gaussian).transform(gaussian)
    np.testing.assert_allclose(estimator.fit(gaussian).transform(gaussian), before, atol=1e-8)


# own modules ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"encoder": nn.Linear(64, 4)},
            r"Linear.* is a module: pass, .*lambda n_inputs, n_outputs",
        ),
        ({"decoder": lambda n_in, n_out: 3}, "callables .*got <function"),
        ({"activation": nn.ELU()}, "a class such as torch.nn.ELU"),
        ({"decoder": lambda n_in, n_out: nn.Linear(n_in, 3)}, "expected"),
        ({"activation": lambda: 3}, "makes no torch.nn.Module"),
        ({"hidden_layer_sizes": (3.7,)}, "integers"),
    ],
)
def test_wrong_modules_are_named(digits, parameters, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(4, **parameters).fit(digits[0])


def test_own_modules_are_copied(digits):
    layer = nn.Linear(64, 2)
    AutoencoderTransformer(
        2, encoder=lambda n_in, n_out: layer, early_stopping=False, max_iter=1, linear_path=None
    ).fit(digits[0])
    assert layer.weight.dtype == torch.float32
    assert layer.weight.requires_grad


def two_layers(n_inputs, n_outputs):
    return nn.Sequential(nn.Linear(n_inputs, 50), nn.ReLU(), nn.Linear(50, n_outputs))


@quiet
def test_own_modules_start_at_pca_and_learn(digits):
    own = AutoencoderTransformer(4, encoder=two_layers, decoder=two_layers, random_state=0)
    own.fit(digits[0])
    assert own.best_iter_ > 0
    assert 1 - own.score(digits[1]) < 0.8 * (1 - own.pca_score_)
    again = AutoencoderTransformer(4, encoder=two_layers, decoder=two_layers, random_state=0)
    np.testing.assert_array_equal(
        again.fit(digits[0]).transform(digits[1]), own.transform(digits[1])
    )


@pytest.mark.parametrize("activation", ["relu", "silu", "tanh", nn.ELU, nn.Softplus])
@quiet
def test_activations(digits, activation):
    estimator = AutoencoderTransformer(4, activation=activation, max_iter=20, random_state=0)
    assert estimator.fit(digits[0]).score(digits[1]) > estimator.pca_score_


def test_textbook_autoencoder(digits):
    estimator = AutoencoderTransformer(8, linear_path=None, random_state=0).fit(digits[0])
    assert estimator.score(digits[1]) > 0.6


# bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([[np.nan], [np.nan]]), "NaN"),
        (np.array([[1.0, np.inf], [2.0, 3.0]]), "infinity"),
        (np.array([["a", "b"], ["c", "d"]]), "holds 'a', which is not a number"),
        (np.ones((3, 2), dtype=complex), "Complex data not supported"),
        (np.empty((0, 3)), "0 sample"),
        (np.empty((3, 0)), "0 feature"),
        (np.ones(3), "Expected 2D array"),
        (np.array([[1e200, 1.0], [-1e200, 2.0]]), "too large"),
    ],
)
def test_bad_rows(X, message):
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=message):
            getattr(AutoencoderTransformer(1), method)(X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": "gelo"}, "'activation' parameter"),
        ({"n_components": -1}, "'n_components' parameter"),
        ({"n_components": 1.5}, "'n_components' parameter"),
        ({"hidden_layer_sizes": (10, -1)}, "hidden_layer_sizes must be > 0"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"learning_rate_init": -1.0}, "'learning_rate_init' parameter"),
        ({"max_iter": 0}, "'max_iter' parameter"),
        ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
        ({"linear_path": "svd"}, "'linear_path' parameter"),
        ({"optimizer": "adamm"}, "'optimizer' parameter"),
        ({"device": "warp"}, "device='warp'"),
    ],
)
def test_bad_parameters(wine, parameters, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(**parameters).fit(wine[0])


def test_bad_use(fitted, digits):
    with pytest.raises(NotFittedError):
        AutoencoderTransformer().transform(digits[0])
    with pytest.raises(ValueError, match="X has 3 features"):
        fitted.transform(digits[1][:, :3])
    with pytest.raises(ValueError, match="Z has 3 columns.*4 components"):
        fitted.inverse_transform(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="n_steps=1"):
        fitted.interpolate(digits[1][0], digits[1][1], n_steps=1)
    tiny = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(digits[0] * 1e-30)
    with pytest.raises(ValueError, match="beyond the range of float32"):
        tiny.set_params(whiten=True).fit(digits[0] * 1e-30).transform(
            np.full((1, 64), 3e38, dtype=np.float32)
        )


@pytest.mark.parametrize("per_feature", [False, True])
def test_errors_beyond_float64_are_refused(per_feature):
    """A square was infinite, with a warning of an overflow."""
    rows = np.random.default_rng(0).normal(size=(40, 3))
    model = AutoencoderTransformer(1, hidden_layer_sizes=()).fit(rows)
    assert np.isfinite(model.reconstruction_error(1e150 * rows)).all()
    with pytest.raises(ValueError, match="beyond the range of float64"):
        model.reconstruction_error(1e160 * rows, per_feature=per_feature)


def test_wrong_column_names(wine):
    frame = pd.DataFrame(wine[0], columns=[f"c{i}" for i in range(13)])
    estimator = AutoencoderTransformer(2, hidden_layer_sizes=()).fit(frame)
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.transform(frame.rename(columns={"c0": "other"}))


@pytest.mark.parametrize("weight", [np.zeros(133), -np.ones(133), np.ones(5)])
def test_bad_weights(wine, weight):
    with pytest.raises(ValueError, match="[Ss]ample.weight|[Nn]egative"):
        AutoencoderTransformer(2).fit(wine[0], sample_weight=weight)


def test_metrics_refuse_what_cannot_go_back(wine):
    from sklearn.preprocessing import Normalizer

    with pytest.raises(TypeError, match="Normalizer has no inverse_transform"):
        reconstruction_score(Normalizer().fit(wine[0]), wine[0])
    with pytest.raises(ValueError, match="shape"):
        explained_share(np.ones((2, 2)), np.ones((2, 3)))
    assert explained_share(np.ones((3, 2)), np.ones((3, 2))) == 1.0
    assert explained_share(np.ones((3, 2)), np.zeros((3, 2))) == 0.0
