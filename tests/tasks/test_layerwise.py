"""Tied weights and layerwise pretraining."""

import pickle

import numpy as np
import pytest
import torch
from inside import net_of, nets_of
from scipy.linalg import subspace_angles
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn

from skae import AutoencoderTransformer
from skae.nn.build import released

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
VARIANTS = [
    {"tied_weights": True},
    {"pretraining": "layerwise"},
    {"tied_weights": True, "pretraining": "layerwise"},
]
variants = pytest.mark.parametrize("variant", VARIANTS, ids=["tied", "layerwise", "both"])
paths = pytest.mark.parametrize("linear_path", ["pca", None])


def trained(X, n_components=4, **parameters):
    """Return an estimator after three epochs, without a baseline."""
    settings = {"max_iter": 3, "early_stopping": False, "random_state": 0, **parameters}
    return AutoencoderTransformer(n_components, **settings).fit(X)


def network(estimator):
    return released(estimator.module_)


def matrices(estimator):
    return [p for p in network(estimator).parameters() if p.ndim > 1]


def mlp(half):
    return getattr(half.nonlinear, "module", half.nonlinear)


def phase_losses(estimator, phase):
    return [row["train_loss"] for row in estimator.history_ if row["phase"] == phase]


class FirstOutputs(Callback):
    """Appends what the network gives for some rows before its first epoch."""

    def __init__(self, rows, seen):
        self.rows, self.seen = rows, seen

    def __sklearn_clone__(self):
        return self

    @torch.no_grad()
    def on_train_begin(self, net, **kwargs):
        self.seen.append(net.module_(torch.from_numpy(self.rows).float()))

    def on_batch_begin(self, net, **kwargs):
        """Listen to batches, so that trainings without held-out rows hear of it too."""


# tied weights ---------------------------------------------------------------------------------


@paths
@pytest.mark.parametrize("hidden", [(20,), (30, 20, 10)])
def test_tied_weights_halve_the_matrices(digits, linear_path, hidden):
    settings = {"linear_path": linear_path, "hidden_layer_sizes": hidden}
    tied = trained(digits[0], tied_weights=True, **settings)
    apart = trained(digits[0], **settings)
    n_cells = [sum(p.numel() for p in matrices(e)) for e in (tied, apart)]
    assert 2 * n_cells[0] == n_cells[1]
    n_stored = [
        sum(w.numel() for w in network(e).state_dict().values() if w.ndim > 1)
        for e in (tied, apart)
    ]
    assert n_stored == n_cells


@paths
def test_each_decoder_layer_is_the_transpose_of_its_mirror(digits, linear_path):
    estimator = trained(digits[0], tied_weights=True, linear_path=linear_path)
    module = network(estimator)
    there, back = (list(mlp(half))[::2] for half in (module.encoder, module.decoder))
    for layer, mirror in zip(there, reversed(back), strict=True):
        assert torch.equal(layer.weight.t(), mirror.weight)
        assert not torch.equal(layer.weight, torch.zeros_like(layer.weight))


def test_tied_linear_maps_are_transposes_in_the_units_of_the_rows(cancer):
    X = cancer[0] * np.linspace(0.1, 10, cancer[0].shape[1])
    estimator = trained(X, tied_weights=True)
    module, unit = network(estimator), PCA(4).fit(X).explained_variance_ ** 0.5
    encoder = module.encoder.linear(torch.eye(X.shape[1], dtype=torch.float64)).T.numpy()
    decoder = module.decoder.linear(torch.eye(4, dtype=torch.float64)).T.numpy()
    to_code = encoder * unit[:, None] / estimator.scale_
    np.testing.assert_allclose(to_code, estimator.components_, rtol=1e-6)
    np.testing.assert_allclose(decoder / unit * estimator.scale_[:, None], to_code.T, rtol=1e-6)
    assert np.abs(estimator.components_ - PCA(4).fit(X).components_).max() > 1e-4


def test_tied_axes_are_spared_by_weight_decay_and_each_parameter_appears_once(digits):
    net = net_of(AutoencoderTransformer(4, tied_weights=True, random_state=0).fit, digits[0])
    module, adam = net.module_, net.optimizer_
    layers = list(mlp(module.encoder))[::2]
    n_decayed = sum(part.numel() for _, part in adam.decayed)
    assert n_decayed == sum(layer.weight.numel() for layer in layers)
    assert adam.parameters.numel() == sum(p.numel() for p in module.parameters())
    for _, part in adam.decayed:
        part.zero_()
    assert module.encoder.linear.axes.any()
    assert not any(layer.weight.any() for layer in layers)
    adam.parameters.zero_()
    assert all(not p.any() for half in (module.encoder, module.decoder) for p in half.parameters())
    assert not any(layer.weight.any() for layer in list(mlp(module.decoder))[::2])


@pytest.mark.parametrize(("linear_path", "hidden"), [(None, ()), (None, (20,)), ("pca", (20,))])
def test_tied_networks_are_left_to_autograd(digits, linear_path, hidden):
    settings = {"linear_path": linear_path, "hidden_layer_sizes": hidden}
    by_hand, by_autograd = (
        net_of(AutoencoderTransformer(4, tied_weights=tied, **settings).fit, digits[0]).gradient
        for tied in (False, True)
    )
    assert hasattr(type(by_hand), "fits")
    assert not hasattr(type(by_autograd), "fits")


def test_tied_linear_autoencoder_spans_the_subspace_of_pca(digits):
    X = digits[0][:, digits[0].std(axis=0) > 0]
    settings = {"tied_weights": True, "hidden_layer_sizes": (), "linear_path": None}
    estimator = trained(X, 3, alpha=0.0, max_iter=400, learning_rate_init=0.003, **settings)
    (weight,) = matrices(estimator)
    assert np.rad2deg(subspace_angles(weight.numpy().T, PCA(3).fit(X).components_.T)).max() < 1


def test_tied_linear_network_with_a_linear_path_is_pca(digits):
    estimator = AutoencoderTransformer(3, tied_weights=True, hidden_layer_sizes=())
    pca = PCA(3).fit(digits[0])
    estimator.fit(digits[0])
    np.testing.assert_allclose(estimator.transform(digits[1]), pca.transform(digits[1]), atol=1e-9)
    np.testing.assert_allclose(estimator.components_, pca.components_, atol=1e-9)


def test_tied_weights_bear_any_units():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(300, 6))
    X *= np.array([1e-9, 1, 1, 1, 1e9, 0])
    for units in (1.0, 1e30, 1e100, 1e-100):
        estimator = trained(X * units, 3, tied_weights=True)
        assert np.isfinite(estimator.score(X * units))


@quiet
def test_tied_weights_learn(digits):
    estimator = AutoencoderTransformer(4, tied_weights=True, max_iter=40, random_state=0)
    estimator.fit(digits[0])
    assert 1 - estimator.score(digits[1]) < 0.7 * (1 - estimator.pca_score_)


# pretraining ----------------------------------------------------------------------------------


@quiet
@paths
@pytest.mark.parametrize("n_rows", [200, 700])
def test_attributes_speak_of_the_fine_tuning(digits, linear_path, n_rows):
    estimator = AutoencoderTransformer(
        4, pretraining="layerwise", linear_path=linear_path, hidden_layer_sizes=(30, 20),
        max_iter=40, random_state=0,
    )  # fmt: skip
    estimator.fit(digits[0][:n_rows])
    phases = [row["phase"] for row in estimator.history_]
    assert list(dict.fromkeys(phases)) == ["layer 1", "layer 2", "layer 3", "fine-tuning"]
    assert [phases.count(f"layer {i}") for i in (1, 2, 3)] == [4, 4, 4]
    tuning = [row for row in estimator.history_ if row["phase"] == "fine-tuning"]
    assert estimator.n_iter_ == len(tuning) == len(estimator.validation_scores_)
    assert estimator.loss_curve_ == [row["train_loss"] for row in tuning]
    assert 0 < estimator.best_iter_ <= estimator.n_iter_


@paths
def test_every_layer_learns(digits, linear_path):
    estimator = trained(
        digits[0], pretraining="layerwise", linear_path=linear_path, max_iter=50, alpha=0.0
    )
    for phase in ("layer 1", "layer 2", "layer 3"):
        losses = phase_losses(estimator, phase)
        assert losses[-1] < 0.9 * losses[0]


@quiet
def test_folds_are_pretrained_without_their_held_out_rows(digits):
    settings = {"pretraining": "layerwise", "hidden_layer_sizes": (20,), "max_iter": 60}
    estimator = AutoencoderTransformer(4, **settings, random_state=0)
    layers = [net.rows for net in nets_of(estimator.fit, digits[0][:300]) if net.max_epochs == 6]
    first = [rows for rows in layers if rows.n_features == 64]
    *folds, everything = [rows.rows.rows.index for rows in first]
    held_out = [np.setdiff1d(np.arange(300), rows) for rows in folds]
    assert len(folds) == 3
    np.testing.assert_array_equal(np.sort(np.concatenate(held_out)), np.arange(300))
    np.testing.assert_array_equal(everything, np.arange(300))


@quiet
def test_held_out_rows_do_not_touch_the_pretraining(digits):
    phases = []
    for held_out in (digits[1], 3 * digits[1] + 1):
        estimator = AutoencoderTransformer(4, pretraining="layerwise", max_iter=10, random_state=0)
        history = estimator.fit(digits[0], X_val=held_out).history_
        phases.append([row["train_loss"] for row in history if row["phase"] != "fine-tuning"])
    assert phases[0] == phases[1] != []


def test_rows_without_weight_do_not_count(digits):
    X = digits[0][:200]
    weight = np.repeat([1.0, 0.0], 100)
    with_zeros = AutoencoderTransformer(
        3, pretraining="layerwise", early_stopping=False, max_iter=10, random_state=0
    ).fit(X, sample_weight=weight)
    without = trained(X[:100], 3, pretraining="layerwise", max_iter=10)
    np.testing.assert_allclose(with_zeros.transform(X), without.transform(X), rtol=1e-5, atol=1e-5)


def test_weights_count_in_the_pretraining(digits):
    """A layer that gives nearly all weight to some rows comes near one that sees them alone."""
    X, heavy = digits[0][:400], np.arange(400) < 200
    losses = []
    for light in (1e-3, 0.0):
        weight = np.where(heavy, 1.0, light)
        estimator = AutoencoderTransformer(
            3, pretraining="layerwise", early_stopping=False, max_iter=100, random_state=0
        ).fit(X, sample_weight=weight)
        losses.append(phase_losses(estimator, "layer 1")[-1])
    assert losses[0] < 1.1 * losses[1]


def test_streams_are_not_pretrained(digits):
    estimator = AutoencoderTransformer(4, pretraining="layerwise", random_state=0)
    plain = AutoencoderTransformer(4, random_state=0)
    for e in (estimator, plain):
        e.partial_fit(digits[0][:200]).partial_fit(digits[0][200:400])
    np.testing.assert_array_equal(estimator.transform(digits[1]), plain.transform(digits[1]))
    assert estimator.n_iter_ == len(estimator.history_) == 2


def test_a_stream_goes_on_after_a_pretrained_fit(digits):
    estimator = trained(digits[0], pretraining="layerwise")
    n_rows = len(estimator.history_)
    estimator.partial_fit(digits[0])
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 4
    assert len(estimator.history_) == n_rows + 1
    assert estimator.history_[-1]["phase"] == "fine-tuning"


@quiet
def test_a_pretraining_that_diverges_gives_pca_or_an_error(digits):
    settings = {"pretraining": "layerwise", "learning_rate_init": 1e35, "random_state": 0}
    estimator = AutoencoderTransformer(4, **settings)
    with pytest.warns(ConvergenceWarning) as warned:
        estimator.fit(digits[0])
    assert "Pretraining diverged" in str(warned[0].message)
    pca = PCA(4).fit(digits[0])
    np.testing.assert_allclose(estimator.transform(digits[1]), pca.transform(digits[1]), atol=1e-9)
    with pytest.raises(ValueError, match="diverged"):
        trained(digits[0], linear_path=None, **settings)


# both -----------------------------------------------------------------------------------------


@quiet
@variants
@pytest.mark.parametrize("activation", ["logistic", "gelu", "tanh", nn.Softplus])
def test_fine_tuning_starts_at_pca(digits, variant, activation):
    X, seen = digits[0], []
    scale = np.where(X.std(axis=0) > 0, X.std(axis=0), 1)
    first = FirstOutputs((X - X.mean(axis=0)) / scale, seen)
    trained(X, activation=activation, callbacks=[first], max_iter=5, **variant)
    (outputs,) = seen
    pca = PCA(4).fit(X)
    code = pca.transform(X)
    expected = (pca.inverse_transform(code) - X.mean(axis=0)) / scale
    np.testing.assert_allclose(outputs.code, code / code.std(axis=0, ddof=1), atol=2e-5)
    np.testing.assert_allclose(outputs.reconstruction, expected, atol=2e-5)


@variants
def test_the_baseline_holds(gaussian, variant):
    estimator = AutoencoderTransformer(3, random_state=0, **variant).fit(gaussian[:200])
    pca = PCA(3).fit(gaussian[:200])
    assert estimator.best_iter_ == 0
    np.testing.assert_allclose(estimator.transform(gaussian), pca.transform(gaussian), atol=1e-9)
    np.testing.assert_allclose(estimator.components_, pca.components_, atol=1e-9)


@variants
@paths
def test_equal_seeds_give_equal_bits_and_leave_global_generators_alone(
    digits, variant, linear_path
):
    settings = {"linear_path": linear_path, "max_iter": 10, **variant}
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    code = trained(digits[0], **settings).transform(digits[1])
    torch.rand(3)
    torch.set_rng_state(before[0])
    np.testing.assert_array_equal(trained(digits[0], **settings).transform(digits[1]), code)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    other = trained(digits[0], **{**settings, "random_state": 1}).transform(digits[1])
    assert not np.array_equal(other, code)


@variants
@paths
def test_pickle_keeps_the_model_and_the_tie(digits, variant, linear_path):
    estimator = trained(digits[0], linear_path=linear_path, whiten=True, **variant)
    again = pickle.loads(pickle.dumps(estimator))
    for dtype in (np.float64, np.float32):
        X = digits[1].astype(dtype)
        np.testing.assert_array_equal(again.reconstruct(X), estimator.reconstruct(X))
    assert len(matrices(again)) == len(matrices(estimator))
    again.set_params(warm_start=True).fit(digits[0])
    assert np.isfinite(again.score(digits[1]))


@quiet
@variants
def test_warm_start_goes_on(digits, variant):
    estimator = AutoencoderTransformer(4, warm_start=True, max_iter=10, random_state=0, **variant)
    first = estimator.fit(digits[0]).score(digits[1])
    assert estimator.set_params(max_iter=30).fit(digits[0]).score(digits[1]) >= first
    assert all(row.get("phase", "fine-tuning") == "fine-tuning" for row in estimator.history_)


def test_warm_start_refuses_to_tie(digits):
    estimator = trained(digits[0], warm_start=True)
    with pytest.raises(ValueError, match="tied_weights was False then and is True now"):
        estimator.set_params(tied_weights=True).fit(digits[0])


@variants
def test_streams_learn(digits, variant):
    estimator = AutoencoderTransformer(4, random_state=0, **variant)
    scores = [estimator.partial_fit(digits[0]).score(digits[1]) for _ in range(20)]
    assert scores[-1] > scores[0]


@quiet
def test_a_search_over_both(digits):
    grid = {"tied_weights": [False, True], "pretraining": [None, "layerwise"]}
    estimator = AutoencoderTransformer(3, max_iter=3, random_state=0)
    search = GridSearchCV(estimator, grid, cv=2, error_score="raise").fit(digits[0])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()


@pytest.mark.parametrize("half", ["encoder", "decoder"])
@pytest.mark.parametrize(
    ("name", "value", "off"),
    [("tied_weights", True, "False"), ("pretraining", "layerwise", "None")],
)
def test_own_modules_are_refused(digits, half, name, value, off):
    with pytest.raises(ValueError, match=rf"{name}={value!r} needs.*{half}=.*or set {name}={off}"):
        AutoencoderTransformer(4, **{half: nn.Linear, name: value}).fit(digits[0])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"tied_weights": "yes"}, "'tied_weights' parameter"),
        ({"pretraining": "greedy"}, "'pretraining' parameter"),
    ],
)
def test_bad_parameters(digits, parameters, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(**parameters).fit(digits[0])
