"""Files: what is saved comes back to the bit, and no file is ever half written."""

import datetime
import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from safetensors.numpy import load_file
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops import io as skops_io
from skorch.callbacks import EpochTimer
from torch import nn, optim

import skae
from skae._io import files as io_files

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PUBLIC = [getattr(skae, name) for name in skae.__all__]
OTHERS = (  # of labels, of images: own tests
    skae.ConditionalVAE,
    skae.ConvolutionalAutoencoder,
    skae.StyleBiGAN,
    skae.SupervisedAutoencoder,
)
CLASSES = [c for c in PUBLIC if hasattr(c, "reconstruct") and c not in OTHERS]
SMALL = {"n_components": 2, "hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}


def plain(**changes):
    return skae.AutoencoderTransformer(**SMALL | changes)


MODELS = {
    **{c.__name__: c(**SMALL) for c in CLASSES},
    "trained": plain(max_iter=30),
    "embracing": plain(early_stopping=False, whiten=True, max_iter=30),
    "textbook": plain(linear_path=None),
    "linear": plain(hidden_layer_sizes=()),
    "tied": plain(tied_weights=True, early_stopping=False),
    "stacked": plain(pretraining="layerwise", early_stopping=False),
    "ordered": plain(ordered=True, early_stopping=False),
    "share": plain(n_components=0.6, max_iter=30),
    "activation": plain(activation=nn.LeakyReLU, early_stopping=False),
    "parametric activation": plain(activation=nn.PReLU, early_stopping=False),
    "optimizer": plain(optimizer=optim.SGD, skorch_params={"optimizer__momentum": 0.9}),
    "numpy parameters": plain(tol=np.float64(1e-3), max_iter=np.int64(3), alpha=np.float32(0.1)),
    "array parameter": plain(hidden_layer_sizes=np.array([3, 4])),
    "list parameter": plain(hidden_layer_sizes=[3]),
    "bernoulli": skae.VAETransformer(**SMALL, likelihood="bernoulli"),
    "salt and pepper": skae.DenoisingAutoencoder(**SMALL, noise="salt_and_pepper"),
    "kl": skae.SparseAutoencoder(**SMALL, penalty="kl"),
}


@pytest.fixture(scope="module")
def rows(wine):
    low, high = wine[0].min(axis=0), wine[0].max(axis=0)
    return (wine[0] - low) / (high - low)


@pytest.fixture(scope="module", params=MODELS)
def model(request, rows):
    return clone(MODELS[request.param]).fit(rows)


def assert_same(a, b):
    """Equal to the bit, and of equal types, all the way down."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        assert_same(list(a.values()), [b[key] for key in a])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, np.ndarray) and a.dtype == object:
        assert a.shape == b.shape
        assert_same(a.ravel().tolist(), b.ravel().tolist())
    elif isinstance(a, np.ndarray | np.generic):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes("A") == b.tobytes("A")
        assert a.flags.f_contiguous == b.flags.f_contiguous
    elif isinstance(a, np.dtype | type):
        assert a == b
    else:
        assert repr(a) == repr(b)


def there_and_back(estimator, folder):
    skae.save(estimator, folder / "model.skae")
    return skae.load(folder / "model.skae")


def test_state_and_results_are_equal_to_the_bit(model, rows, tmp_path):
    same = there_and_back(model, tmp_path)
    assert_same(same.__getstate__(), model.__getstate__())
    for X in (rows, rows.astype(np.float32), rows[:1]):
        code = model.transform(X)
        assert_same(same.transform(X), code)
        assert_same(same.inverse_transform(code), model.inverse_transform(code))
    assert same.score(rows) == model.score(rows)
    assert isinstance(same.module_, nn.Module)


def test_tables_are_kept(rows, tmp_path):
    table = pd.DataFrame(rows[:, :4], columns=list("abcd"))
    table["e"] = pd.cut(table["a"], 3, labels=["low", "middle", "high"])
    table["f"] = np.where(table["b"] > 0.5, "yes", "no")
    table["g"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(table["c"].round(3), unit="D")
    table = table.mask(np.random.default_rng(0).random(table.shape) < 0.1)
    for model in (plain(), skae.VAETransformer(**SMALL), plain(ordered=True)):
        for X in (table, table[list("abcd")]):
            same = there_and_back(model.fit(X), tmp_path)
            assert_same(same.__getstate__(), model.__getstate__())
            np.testing.assert_array_equal(same.transform(X), model.transform(X))
            pd.testing.assert_frame_equal(same.impute(X), model.impute(X))


def test_what_training_goes_on_from_is_kept(rows, tmp_path):
    streamed = plain().partial_fit(rows[:60])
    same = there_and_back(streamed, tmp_path).partial_fit(rows[60:])
    assert_same(same.transform(rows), streamed.partial_fit(rows[60:]).transform(rows))
    warm = plain(warm_start=True).fit(rows)
    same = there_and_back(warm, tmp_path).fit(rows)
    assert_same(same.transform(rows), warm.fit(rows).transform(rows))


def test_generative_methods_and_truncation_are_kept(rows, tmp_path):
    vae = skae.VAETransformer(**SMALL).fit(rows)
    same = there_and_back(vae, tmp_path)
    assert_same(same.score_samples(rows), vae.score_samples(rows))
    assert_same(same.sample(5, random_state=0), vae.sample(5, random_state=0))
    ordered = plain(ordered=True, early_stopping=False).fit(rows)
    same = there_and_back(ordered, tmp_path).truncate(1)
    assert_same(same.transform(rows), ordered.truncate(1).transform(rows))


def test_unfitted_estimators(tmp_path):
    estimator = plain(skorch_params={"a": [None, (1, -0.0, np.nan, np.inf), {2: "ü"}]})
    same = there_and_back(estimator, tmp_path)
    assert not hasattr(same, "module_")
    assert_same(same.get_params(), estimator.get_params())


def test_frames_output_and_routing_are_kept(rows, tmp_path):
    frame = pd.DataFrame(rows).add_prefix("column ")
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = plain().set_fit_request(sample_weight=True).set_output(transform="pandas")
    same = there_and_back(estimator.fit(frame), tmp_path)
    assert_same(same.feature_names_in_, estimator.feature_names_in_)
    pd.testing.assert_frame_equal(same.transform(frame), estimator.transform(frame))
    assert same.get_metadata_routing().fit.requests == {"sample_weight": True, "X_val": True}


def test_a_loaded_model_is_on_the_cpu_whatever_it_was_trained_on(rows, tmp_path):
    estimator = plain(device="cpu").fit(rows)
    code = estimator.transform(rows)
    estimator.set_params(device="cuda").device_ = "cuda"  # as fitted on another machine
    same = there_and_back(estimator, tmp_path)
    assert same.device_ == "cpu"
    assert {p.device.type for p in same.module_.parameters()} == {"cpu"}
    assert_same(same.transform(rows), code)


def test_other_readers_of_safetensors_read_the_arrays(rows, tmp_path):
    estimator = plain(max_iter=30).fit(rows)
    skae.save(estimator, tmp_path / "model.skae")
    arrays = load_file(tmp_path / "model.skae")
    assert_same(arrays["mean_"], estimator.mean_)
    for name, weights in estimator.module_.state_dict().items():
        assert_same(arrays[f"module_.{name}"], weights.numpy())


def test_files_are_small(rows, tmp_path):
    estimator = plain(hidden_layer_sizes=(64, 64), max_iter=30).fit(rows)
    skae.save(estimator, tmp_path / "model.skae")
    n_cells = sum(p.numel() for p in estimator.module_.state_dict().values())
    assert n_cells > 10_000
    assert (tmp_path / "model.skae").stat().st_size < 8 * n_cells + 20_000


# values -------------------------------------------------------------------------------------------

VALUES = [
    [],
    (),
    {},
    {"$tuple": 1, "": 2},
    {1: "a", (2, None): [True], None: {}},
    [1.5, -0.0, 5e-324, np.inf, -np.inf, np.nan, 10**30, -1, "\ud800", "\0", "$x"],
    [np.float64(0.1), np.float32(0.1), np.float16(2), np.int8(-1), np.uint64(2**64 - 1), np.True_],
    [np.str_("ab"), np.datetime64("2020-02-29T12", "h"), np.datetime64("NaT", "s"), np.timedelta64(5, "D")],
    [np.dtype("float32"), np.dtype(">i2"), np.dtype("U7"), np.dtype("M8[ns]"), np.dtype(object)],
    [datetime.datetime(2020, 2, 29, 1, 2, 3, 4), datetime.date(1, 1, 1), datetime.timedelta(-1, 2, 3)],
    [pd.Timestamp("2020-01-01 00:00:00.000000001"), pd.Timedelta("1ns"), pd.NaT, pd.NA],
    np.array(3.5),
    np.zeros((0, 3)),
    np.arange(6.0).reshape(2, 3).T,
    np.arange(24, dtype=np.int16).reshape(2, 3, 4)[:, ::2, ::-1],
    np.array([True, False]),
    np.array([1, 2], dtype=">f8"),
    np.array(["", "a", "äöü€😀"]),
    np.array([], dtype="U3"),
    np.array([["a", "bc"]]).T,
    np.array(["2020-01-01", "NaT"], dtype="M8[us]"),
    np.array([1, -1], dtype="m8[3s]"),
    np.array(["a", None, 1, 1.5, pd.NA, (1,), [2]], dtype=object),
    np.array([["a", 1], [None, 2]], dtype=object),
    [nn.ELU, optim.SGD, nn.Identity],
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
def test_values_are_equal_to_the_bit(value, tmp_path):
    estimator = plain(skorch_params={"value": value})
    assert_same(there_and_back(estimator, tmp_path).skorch_params["value"], value)


# refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": nn.Linear}, r"encoder=<class .*Linear'>.*network needs it.*joblib"),
        ({"decoder": lambda n, m: nn.Linear(n, m)}, r"decoder=<function.*joblib"),
        ({"activation": lambda: nn.ELU()}, r"activation=<function.*joblib"),
        ({"callbacks": [EpochTimer()]}, r"callbacks=\[.*set_params\(callbacks=None\)"),
        ({"random_state": np.random.RandomState(0)}, r"random_state=.*set_params\(random_state=No"),
        ({"optimizer": type("Own", (optim.SGD,), {})}, r"optimizer=.*set_params\(optimizer='adam'"),
        ({"skorch_params": {"iterator_train": print}}, r"skorch_params\.iterator_train=.*None"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_code_is_refused_with_the_way_out(changes, message, rows, tmp_path):
    with pytest.raises(TypeError, match=f"(?s)skae.save cannot keep {message}"):
        skae.save(plain(**changes), tmp_path / "model.skae")
    assert list(tmp_path.iterdir()) == []


def test_the_way_out_of_callbacks_works(rows, tmp_path):
    estimator = plain(callbacks=[EpochTimer()]).fit(rows)
    code = estimator.transform(rows)
    same = there_and_back(estimator.set_params(callbacks=None), tmp_path)
    assert_same(same.transform(rows), code)


def test_own_noise_is_refused(tmp_path):
    with pytest.raises(TypeError, match="noise=<function"):
        skae.save(skae.DenoisingAutoencoder(noise=lambda x, g: x), tmp_path / "model.skae")


def test_a_network_of_own_modules_is_refused_whatever_its_parameters_say(rows, tmp_path):
    estimator = plain(encoder=nn.Linear, early_stopping=False).fit(rows).set_params(encoder=None)
    with pytest.raises(TypeError, match="encoder=<class"):
        skae.save(estimator, tmp_path / "model.skae")


class Own(skae.AutoencoderTransformer):
    pass


@pytest.mark.parametrize("other", [PCA(), make_pipeline(plain()), Own(), "ae", None])
def test_other_objects_are_refused(other, tmp_path):
    with pytest.raises(TypeError, match=r"keeps estimators of skae .*skops\.io\.dump"):
        skae.save(other, tmp_path / "model.skae")


def test_parameters_that_fit_would_refuse_are_refused(tmp_path):
    with pytest.raises(ValueError, match="alpha"):
        skae.save(plain(alpha=-1.0), tmp_path / "model.skae")


def test_a_history_beyond_all_bounds_is_refused(rows, tmp_path):
    estimator = plain().fit(rows)
    estimator.history_ = estimator.history_ * 20_000
    with pytest.raises(ValueError, match="values can be read"):
        skae.save(estimator, tmp_path / "model.skae")
    estimator.history_ = estimator.history_[:10_000]
    assert len(there_and_back(estimator, tmp_path).history_) == 10_000


@pytest.mark.parametrize("content", [b"", b"12345678", b"not a model at all", b"\0" * 100])
def test_other_files_are_refused(content, tmp_path):
    (tmp_path / "model.skae").write_bytes(content)
    with pytest.raises(skae.LoadError, match=r"model\.skae is damaged, or was not written by"):
        skae.load(tmp_path / "model.skae")


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        skae.load(tmp_path / "model.skae")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(skae.LoadError, match="is not a file"):
            skae.load(path)


def test_files_of_other_packages_are_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3)}, tmp_path / "model.skae", metadata={"format": "pt"})
    with pytest.raises(skae.LoadError, match="not written by"):
        skae.load(tmp_path / "model.skae")


# disk ---------------------------------------------------------------------------------------------

FULL_DISK = """
import resource, sys
import skae

model = skae.load(sys.argv[1])
for limit in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        skae.save(model, sys.argv[1])
    except OSError as error:
        print(error.errno)
"""


def test_a_full_disk_leaves_the_old_file(rows, tmp_path):
    path = tmp_path / "model.skae"
    skae.save(plain().fit(rows), path)
    before = path.read_bytes()
    limits = [str(int(share * len(before))) for share in (0.0, 0.1, 0.9, 0.999)]
    command = [sys.executable, "-W", "ignore", "-c", FULL_DISK, path, *limits]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.stdout.split() == 4 * [str(errno.EFBIG)]  # no file may grow further
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, random, signal, sys, time
import numpy as np
import skae

path, X = sys.argv[1], np.ones((3, 13))
model = skae.load(path)
code = model.transform(X)
random.seed(0)
for _ in range(20):
    child = os.fork()
    if child == 0:
        while True:
            skae.save(model, path)
    time.sleep(random.uniform(0.001, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    model = skae.load(path)
    print((model.transform(X) == code).all())
"""


def test_a_process_killed_while_saving_leaves_a_whole_file(rows, tmp_path):
    skae.save(plain(hidden_layer_sizes=(200, 200), early_stopping=False).fit(rows), tmp_path / "m")
    command = [sys.executable, "-W", "ignore", "-c", KILLED, tmp_path / "m"]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.stdout.split() == 20 * ["True"]


def test_a_file_has_the_usual_permissions_and_replaces_what_a_link_means(rows, tmp_path):
    usual, path, link = (tmp_path / name for name in ("usual", "model.skae", "link.skae"))
    usual.touch()
    link.symlink_to(path)
    skae.save(plain(), link)
    assert link.is_symlink()
    assert path.stat().st_mode == usual.stat().st_mode
    assert isinstance(skae.load(link), skae.AutoencoderTransformer)
    assert len(list(tmp_path.iterdir())) == 3


# formats ------------------------------------------------------------------------------------------

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures").glob("format_*/*.skae"))


@pytest.mark.parametrize(("number", "later"), [(1, []), (2, [skae.SupervisedAutoencoder])])
def test_there_is_a_fixture_for_every_estimator(number, later):
    names = {path.stem for path in FIXTURES if path.parent.name == f"format_{number}"}
    known = [*CLASSES, skae.ConditionalVAE, skae.ContrastiveEncoder, *later]
    assert names == {c.__name__ for c in known}


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_files_of_every_format_load(path):
    estimator = skae.load(path)
    own = path.with_suffix(".npz")  # of those that came later than the format
    expected = dict(np.load(own if own.exists() else path.with_name("expected.npz")))
    X, name = expected["X"], type(estimator).__name__
    assert name == path.stem
    for method, result in (("transform", "code"), ("reconstruct", "reconstruction")):
        if hasattr(estimator, method):
            made, was = getattr(estimator, method)(X), expected[f"{name}_{result}"]
            np.testing.assert_allclose(made, was, rtol=1e-10, atol=1e-10)
    estimator.fit(X, np.arange(len(X)) % 2)  # and it is more than its numbers


def test_a_newer_format_says_which_release_reads_it(rows, tmp_path, monkeypatch):
    with monkeypatch.context() as later:
        later.setattr(io_files, "FORMAT", 9)
        later.setattr(io_files, "version", lambda name: "1.7.0")
        skae.save(plain().fit(rows), tmp_path / "model.skae")
    message = r"model\.skae has format 9, which skae 1\.7\.0 reads; .* formats up to 2: install"
    with pytest.raises(skae.LoadError, match=message):
        skae.load(tmp_path / "model.skae")


# skops --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CLASSES, ids=lambda c: c.__name__)
@pytest.mark.parametrize("piped", [False, True], ids=["alone", "pipeline"])
def test_skops_needs_to_trust_the_class_alone(kind, piped, rows, tmp_path):
    estimator = kind(**SMALL)
    estimator = make_pipeline(StandardScaler(), estimator) if piped else estimator
    path = tmp_path / "model.skops"
    skops_io.dump(estimator.fit(rows), path)
    untrusted = skops_io.get_untrusted_types(file=path)
    assert untrusted == [f"{kind.__module__}.{kind.__name__}"]
    same = skops_io.load(path, trusted=untrusted)
    assert_same(same.transform(rows), estimator.transform(rows))
    inner = [e[-1] if piped else e for e in (same, estimator)]
    assert_same(*(e.__getstate__() for e in inner))


@pytest.mark.parametrize("fine_tune", ["all", "head"])
def test_classifiers_and_regressors_are_kept_with_their_encoders(fine_tune, rows, tmp_path):
    y = np.array(["red", "white"])[(rows[:, 0] > 0.5).astype(int)]
    about = {"fine_tune": fine_tune, "max_iter": 30, "head": "linear", "random_state": 0}
    for model in (
        skae.AutoencoderClassifier(plain(), class_weight="balanced", **about).fit(rows, y),
        skae.AutoencoderRegressor(plain(), **about).fit(rows, rows[:, :2]),
        skae.AutoencoderRegressor(skae.VAETransformer(**SMALL), **about).fit(rows, rows[:, 0]),
    ):
        same = there_and_back(model, tmp_path)
        assert_same(same.predict(rows), model.predict(rows))
        assert_same(same._encoder.state(), model._encoder.state())
        parts = [
            {
                n: v
                for n, v in vars(m).items()
                if n not in ("autoencoder", "autoencoder_", "_encoder")
            }
            for m in (same, model)
        ]
        assert_same(*parts)
        assert_same(same.autoencoder_.__getstate__(), model.autoencoder_.__getstate__())
        served = skae.load(tmp_path / "model.skae", engine="numpy")
        expected = model.predict(rows)
        if isinstance(model, skae.AutoencoderClassifier):
            assert (served.predict(rows) == expected).all()
        else:
            np.testing.assert_allclose(served.predict(rows), expected, rtol=1e-12, atol=1e-12)


def test_a_head_of_another_encoder_is_refused(rows):
    y = (rows[:, 0] > 0.5).astype(int)
    model = skae.AutoencoderClassifier(plain(), fine_tune="head", random_state=0).fit(rows, y)
    for name, value in {
        "coef_": np.ones((2, 3)), "intercept_": np.ones(3), "classes_": np.array([1, 1]), "n_features_in_": 3,
    }.items():  # fmt: skip
        with pytest.raises(ValueError):
            skae.AutoencoderClassifier().__setstate__(model.__getstate__() | {name: value})


def test_heads_of_every_kind_are_kept_and_served(rows, tmp_path):
    y, heads = (rows[:, 0] > 0.5).astype(int), set()
    for seed in range(6):
        labels = np.where(np.random.default_rng(seed).random(len(y)) < 0.5, y, -1)
        model = skae.AutoencoderClassifier(plain(), unlabeled=-1, fine_tune="head", random_state=0)
        model.fit(rows, labels)
        heads.add((model.head_, model.uses_columns_))
        same = there_and_back(model, tmp_path)
        assert_same(same.predict_proba(rows), model.predict_proba(rows))
        served = skae.load(tmp_path / "model.skae", engine="numpy")
        np.testing.assert_allclose(served.predict_proba(rows), model.predict_proba(rows))
    assert heads - {("linear", False)}


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere' to write 'model.skae' to"):
        skae.save(plain(), tmp_path / "nowhere" / "model.skae")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        skae.save(plain(), tmp_path)
