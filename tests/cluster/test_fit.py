"""Fits on a Dask cluster and within ranks: the same as a fit to all rows, whoever has which."""

import os
import socket
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from inside import model_of
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

import skae.distributed
from skae import (
    AutoencoderTransformer,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    VAETransformer,
)

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
import dask.array as da  # noqa: E402
import dask.dataframe as dd  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:max_iter:sklearn.exceptions.ConvergenceWarning")
long = pytest.mark.skipif(
    "SKAE_TEST_CLUSTER" not in os.environ, reason="minutes: make test-cluster"
)

CUTS = {
    "one": [],
    "even": [500, 1000],
    "uneven": [1300],
    "one row": [700, 701],
    "empty": [0, 400, 400, 1100, 1347],
}
KINDS = [
    AutoencoderTransformer(4, random_state=0),
    DenoisingAutoencoder(4, random_state=0),
    DenoisingAutoencoder(4, noise="salt_and_pepper", random_state=0),
    VAETransformer(4, random_state=0),
]


@pytest.fixture(scope="module")
def client():
    """Yield a client of four workers, threads of this process."""
    about = {"processes": False, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(n_workers=4, **about) as cluster:
        yield distributed.Client(cluster)


@pytest.fixture(scope="module")
def X(digits):
    return digits[0]


def in_parts(X, cuts):
    """Return a Dask array of partitions that end at some rows."""
    return da.concatenate([da.from_array(part, chunks=part.shape) for part in np.split(X, cuts)])


def on_cluster(ae, X, client, **about):
    return skae.distributed.fit(ae, X, client=client, **about)


def like(ae, **params):
    return type(ae)(**(ae.get_params() | params))


def weights(ae):
    return model_of(ae).weights()


def distance(one, other):
    return max(np.abs(weights(one)[name] - weights(other)[name]).max() for name in weights(one))


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
def test_pca_is_that_of_all_rows(X, client, cuts):
    ae = on_cluster(AutoencoderTransformer(5, hidden_layer_sizes=()), in_parts(X, cuts), client)
    pca = PCA(5).fit(X)
    np.testing.assert_allclose(ae.mean_, pca.mean_, atol=1e-9)
    np.testing.assert_allclose(ae.components_, pca.components_, atol=1e-9)
    np.testing.assert_allclose(ae.explained_variance_, pca.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(ae.noise_variance_, pca.noise_variance_, rtol=1e-9)
    assert ae.n_samples_ == len(X)


def test_pca_of_constant_columns_and_of_few_rows(X, client):
    """The rank is found as in one process: the code of the directions beyond it is zero."""
    for table in (X, X[:40], np.hstack([X, X])[:300]):
        ae = AutoencoderTransformer(None, hidden_layer_sizes=())
        here, there = like(ae).fit(table), on_cluster(ae, in_parts(table, [10, 11]), client)
        np.testing.assert_allclose(there.reconstruct(table), table, atol=1e-6)
        rank = np.linalg.matrix_rank(table - table.mean(axis=0))
        assert (np.abs(there.transform(table)).max(axis=0) > 0)[:rank].all()
        assert not there.explained_variance_[rank:].any()
        np.testing.assert_allclose(there.explained_variance_, here.explained_variance_, atol=1e-9)


@pytest.mark.parametrize("ae", KINDS, ids=repr)
def test_baseline_and_its_rule_are_those_of_one_process(X, client, ae):
    """Held-out rows are the same ones: they judge the baseline alike."""
    params = {"max_iter": 1, "batch_size": 500}
    here = like(ae, **params)
    here.fit(X)
    there = on_cluster(like(ae, **params), in_parts(X, CUTS["empty"]), client)
    for name in ("mean", "scale", "encoder", "components", "deviations", "unexplained"):
        one, other = (getattr(model_of(each).baseline, name) for each in (here, there))
        np.testing.assert_allclose(one, other, atol=1e-9)
    assert there.pca_score_ == pytest.approx(here.pca_score_, abs=1e-5)
    assert there.best_iter_ == here.best_iter_


@pytest.mark.parametrize("ae", KINDS, ids=repr)
def test_gradient_and_first_steps_are_those_of_one_process(X, client, ae):
    """After one step the optimizer's mean is the gradient; ten are one epoch of ten batches."""
    batch = like(ae, max_iter=1, batch_size=256, early_stopping=False)
    rows = in_parts(X[:256], [3, 100, 101])
    here, there = like(batch).fit(X[:256]), on_cluster(like(batch), rows, client)
    here, there = (each._optimizer_state["mean"].numpy() for each in (here, there))
    assert np.abs(here - there).max() < 1e-5 * np.abs(here).max()
    ten_steps = like(batch, batch_size=len(X) // 10)
    rows = in_parts(X, CUTS["one row"])
    assert distance(like(ten_steps).fit(X), on_cluster(like(ten_steps), rows, client)) < 1e-4


@long
def test_score_is_within_the_spread_of_seeds(X, client, digits):
    def scores(fit, seeds):
        return [fit(AutoencoderTransformer(8, random_state=i)).score(digits[1]) for i in seeds]

    here = scores(lambda ae: ae.set_params(max_iter=20).fit(X), range(5))
    for name in ("one", "uneven", "empty"):
        parts = in_parts(X, CUTS[name])
        (there,) = scores(
            lambda ae, p=parts: on_cluster(ae.set_params(max_iter=20), p, client), [0]
        )
        assert abs(there - here[0]) < max(here) - min(here)


def test_same_workers_and_partitions_give_the_same_bits(X, client):
    fits = [
        on_cluster(AutoencoderTransformer(4, max_iter=3, random_state=0), rows, client)
        for rows in [in_parts(X, CUTS["uneven"])] * 2
    ]
    assert distance(*fits) == 0
    assert fits[0].history_ == fits[1].history_


def test_where_nothing_beats_pca_it_stays_pca(gaussian, client):
    ae = on_cluster(AutoencoderTransformer(3, random_state=0), in_parts(gaussian, [9, 10]), client)
    assert ae.best_iter_ == 0
    pca = PCA(3).fit(gaussian)
    np.testing.assert_allclose(
        ae.reconstruct(gaussian), pca.inverse_transform(pca.transform(gaussian))
    )


def test_frames_come_back_with_their_names(X, client):
    frame = pd.DataFrame(X[:, 20:30], columns=[f"pixel {i}" for i in range(10)])
    rows = dd.from_pandas(frame, npartitions=3)
    ae = on_cluster(AutoencoderTransformer(3, max_iter=2, random_state=0), rows, client)
    assert ae.feature_names_in_.tolist() == frame.columns.tolist()
    assert ae.score_by_column(frame).index.tolist() == frame.columns.tolist()
    ae.set_output(transform="pandas")
    codes = rows.map_partitions(ae.transform, meta=ae.transform(frame.head(2)))
    pd.testing.assert_frame_equal(codes.compute(), ae.transform(frame), check_freq=False)


def test_arguments_of_a_dataframes_partitions(X, client):
    """One call a partition, without any other word, as the guide shows it."""
    frame = pd.DataFrame(X[:, 20:26]).rename(columns=str)
    rows = dd.from_pandas(frame, npartitions=2)
    ae = AutoencoderTransformer(2, max_iter=2, random_state=0).set_output(transform="pandas")
    codes = rows.map_partitions(on_cluster(ae, rows, client).transform).compute()
    np.testing.assert_array_equal(codes, ae.transform(frame))


def with_cell(X, cell):
    X = X[:, 20:30].copy()
    X[-1, 3] = cell
    return X


def test_what_is_refused(X, client):
    rows = in_parts(X, [500])
    text = pd.DataFrame({"a": np.arange(60.0), "b": pd.Categorical(list("xyz") * 20)})
    missing, infinite = (in_parts(with_cell(X, cell), [500]) for cell in (np.nan, np.inf))
    two_types = da.concatenate([rows[:500], rows[500:].astype("f4")], allow_unknown_chunksizes=True)
    ae = AutoencoderTransformer(2)
    for error, words, each, table in (
        (TypeError, "but not ContractiveAutoencoder", ContractiveAutoencoder(2), rows),
        (TypeError, "X is ndarray", ae, X),
        (ValueError, "X has no rows", ae, rows[:0]),
        (ValueError, "Partition 1 of X: it has missing cells", ae, missing),
        (ValueError, "Partition 1 of X: Input X contains infinity", ae, infinite),
        (ValueError, "Partition 0 of X: it has categories", ae, dd.from_pandas(text, 2)),
        (ValueError, "ordered=True is not for", AutoencoderTransformer(2, ordered=True), rows),
        (ValueError, "is a share", AutoencoderTransformer(0.9), rows),
        (ValueError, "noise='swap'", DenoisingAutoencoder(2, noise="swap"), rows),
        (ValueError, "likelihood=", VAETransformer(2, likelihood="bernoulli"), rows),
        (ValueError, "warm_start=True", AutoencoderTransformer(2, warm_start=True), rows),
        (ValueError, "callbacks=", AutoencoderTransformer(2, callbacks=[print]), rows),
    ):
        with pytest.raises(error, match=words):
            skae.distributed.fit(each, table, client=client)
        assert not hasattr(each, "mean_")
    assert two_types.dtype == np.float64
    with pytest.raises(ValueError, match="timeout=0 seconds"):
        skae.distributed.fit(ae, rows, client=client, timeout=0)
    with pytest.raises(ValueError, match="start this program with torchrun"):
        skae.distributed.fit(ae, X)


RANK = """
import sys, warnings
import numpy as np
import skae.distributed
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from skae import AutoencoderTransformer, save

rank, path = int(sys.argv[1]), sys.argv[2]
X = StandardScaler().fit_transform(load_breast_cancer().data)
rows = np.split(X, [100])[rank]
ae = AutoencoderTransformer(3, max_iter=3, batch_size=51, random_state=0)
warnings.simplefilter("ignore")
try:
    skae.distributed.fit(ae, rows.astype("f4") if rank else rows, timeout=30)
except ValueError as error:
    assert "The ranks disagree" in str(error), error
assert not hasattr(ae, "mean_")
skae.distributed.fit(ae, rows, timeout=30)
save(ae, f"{path}/{rank}.skae")
"""


@long
def test_ranks_of_torchrun_end_with_the_same_bits(tmp_path):
    """And rows of other types are an error in every rank."""
    about = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    command = [sys.executable, "-c", RANK]
    ranks = [
        subprocess.Popen([*command, str(rank), str(tmp_path)], env=about | {"RANK": str(rank)})
        for rank in range(2)
    ]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    first, second = ((tmp_path / f"{rank}.skae").read_bytes() for rank in range(2))
    assert first == second
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    here = AutoencoderTransformer(3, max_iter=3, batch_size=51, random_state=0)
    here.fit(X)
    there = skae.load(tmp_path / "0.skae")
    assert there.score(X) == pytest.approx(here.score(X), abs=1e-5)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])
