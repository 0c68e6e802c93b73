"""A fit that was killed goes on, and ends at the same bits."""

import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import time
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
import skops.io as sio
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNet
from torch import nn

import skae
from skae import (
    AutoencoderTransformer,
    DenoisingAutoencoder,
    SparseAutoencoder,
    VAETransformer,
)
from skae._training import checkpoint as _checkpoint
from skae._training.adam import FlatAdam

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("plain_draws"),
]

KINDS = [
    kind
    for kind in (getattr(skae, name) for name in skae.__all__)
    if hasattr(kind, "get_params") and "checkpoint" in kind().get_params()
]
X, Y = load_digits().data[:700], load_digits().target[:700]
FEW = X[:200]  # five folds and a last training


class Killed(BaseException):
    """Ends a fit wherever it is, as SIGKILL does."""


@pytest.fixture(autouse=True)
def often(monkeypatch):
    write_often(monkeypatch)


def write_often(monkeypatch):
    """Write after every epoch."""
    monkeypatch.setattr(_checkpoint, "SECONDS", 0.0)


def dropout(n_inputs, n_outputs):
    return nn.Sequential(nn.Linear(n_inputs, 8), nn.Dropout(0.3), nn.Linear(8, n_outputs))


def go_elsewhere(n_inputs, n_outputs):
    os.chdir("elsewhere")
    return dropout(n_inputs, n_outputs)


def bits(estimator):
    state = estimator.__getstate__()
    told = ("loss_curve_", "validation_scores_", "best_iter_", "n_iter_")
    return [*state["module_"].values(), *(np.array(state[name], dtype=float) for name in told)]


def assert_same(a, b):
    for x, y in zip(bits(a), bits(b), strict=True):
        np.testing.assert_array_equal(x, y)


def killed_after(n_epochs, monkeypatch, estimator, rows, **given):
    """Fit, and be killed after some epochs; return whether that came before the end."""
    epoch, n_left = _checkpoint.Checkpoint.epoch, iter(range(n_epochs))

    def count(self):
        epoch(self)
        if next(n_left, None) is None:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(_checkpoint.Checkpoint, "epoch", count)
        try:
            estimator.fit(rows, **given)
        except Killed:
            return True
        return False


SETTINGS = {
    "folds": (AutoencoderTransformer, FEW, {}),
    "far more columns": (AutoencoderTransformer, np.hstack([FEW, FEW**2, np.sqrt(FEW)])[:60], {}),
    "size chosen": (AutoencoderTransformer, X, {"n_components": 0.8}),
    "ordered": (AutoencoderTransformer, X, {"n_components": 4, "ordered": True}),
    "no baseline": (AutoencoderTransformer, X, {"early_stopping": False}),
    "textbook": (AutoencoderTransformer, X, {"linear_path": None}),
    "pretrained": (AutoencoderTransformer, FEW, {"pretraining": "layerwise"}),
    "own optimizer": (AutoencoderTransformer, X, {"optimizer": torch.optim.RMSprop}),
    "own module": (AutoencoderTransformer, X, {"encoder": dropout}),
    "rate of activation": (SparseAutoencoder, FEW, {"penalty": "kl"}),
    "replayed": (skae.BiGANTransformer, X, {"replay": 0.5, "max_iter": 12}),
    "growing": (skae.StyleBiGAN, FEW, {"image_shape": (8, 8), "max_iter": 12}),
    "swap noise": (DenoisingAutoencoder, X, {"noise": "swap"}),
    "warm-up": (VAETransformer, X, {"kl_warmup": 4}),
    "numpy's numbers": (
        VAETransformer,
        X,
        {
            "learning_rate_init": np.float32(0.01),
            "tol": np.float64(1e-4),
            "n_iter_no_change": np.int64(20),
            "kl_warmup": np.int64(2),
        },
    ),
    "numpy's numbers for torch": (
        AutoencoderTransformer,
        X,
        {
            "optimizer": torch.optim.SGD,
            "skorch_params": {"optimizer__momentum": np.float64(0.9)},
        },
    ),
}


@cache
def whole_fit(name):
    """Return the parameters of some settings, and a fit that nothing disturbed."""
    kind, rows, params = SETTINGS[name]
    params = {"n_components": 3, "max_iter": 6, "random_state": 0} | params
    return params, kind(**params).fit(rows)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("n_epochs", [1, 5, 11])
def test_killed_fits_end_at_the_same_bits(name, n_epochs, tmp_path, monkeypatch):
    kind, rows, _ = SETTINGS[name]
    params, whole = whole_fit(name)
    path = tmp_path / "fit.state"
    was_killed = killed_after(n_epochs, monkeypatch, kind(**params, checkpoint=path), rows)
    assert path.exists() == was_killed
    assert_same(kind(**params, checkpoint=path).fit(rows), whole)
    assert not path.exists()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_estimator_goes_on(kind, tmp_path, monkeypatch):
    params = {"n_components": 2, "max_iter": 3, "random_state": 0}
    params["max_iter"] = 5 if "GAN" in kind.__name__ else 3  # all others go on on all rows
    whole = kind(**params).fit(X, Y)
    path = str(tmp_path / "fit.state")
    assert killed_after(2, monkeypatch, kind(**params, checkpoint=path), X, y=Y)
    assert_same(kind(**params, checkpoint=path).fit(X, Y), whole)


@pytest.mark.parametrize("cache", [None, False])
def test_fits_of_streams_go_on(cache, tmp_path, monkeypatch):
    rows = skae.stream(X, block=512, cache=cache)
    params, path = {"n_components": 3, "max_iter": 4, "random_state": 0}, tmp_path / "fit"
    whole = AutoencoderTransformer(**params).fit(rows)
    ae = AutoencoderTransformer(**params, checkpoint=path)
    assert killed_after(2, monkeypatch, ae, rows)
    assert_same(ae.fit(rows), whole)
    assert killed_after(2, monkeypatch, ae, rows)
    with pytest.warns(UserWarning, match="to a fit with other data"):
        ae.fit(skae.stream(X + 1.0, block=512, cache=cache))


def test_other_labels_are_another_fit(tmp_path, monkeypatch):
    path = tmp_path / "fit.state"
    cvae = skae.ConditionalVAE(2, max_iter=3, random_state=0, checkpoint=path)
    assert killed_after(2, monkeypatch, cvae, X, y=Y)
    with pytest.warns(UserWarning, match="other data, parameters or versions"):
        cvae.fit(X, Y[::-1])


def test_without_a_seed_the_killed_fits_seed_goes_on(tmp_path, monkeypatch):
    path = tmp_path / "fit.state"
    first = AutoencoderTransformer(3, max_iter=4, checkpoint=path)
    assert killed_after(2, monkeypatch, first, X)
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    a = AutoencoderTransformer(3, max_iter=4, checkpoint=path).fit(X)
    b = AutoencoderTransformer(3, max_iter=4, checkpoint=copy).fit(X)
    assert_same(a, b)


def test_warm_starts_go_on(tmp_path, monkeypatch):
    path = tmp_path / "fit.state"
    first = AutoencoderTransformer(3, max_iter=4, warm_start=True, random_state=0).fit(X)
    whole, broken = (pickle.loads(pickle.dumps(first)) for _ in range(2))
    whole.fit(X)
    assert killed_after(2, monkeypatch, broken.set_params(checkpoint=path), X)
    again = pickle.loads(pickle.dumps(first)).set_params(checkpoint=path)
    assert_same(again.fit(X), whole)


@pytest.mark.parametrize("change", ["rows", "weights", "parameters", "held-out rows"])
def test_another_fit_starts_anew_and_says_so(change, tmp_path, monkeypatch):
    path = tmp_path / "fit.state"
    params = {"n_components": 3, "max_iter": 4, "random_state": 0}
    assert killed_after(2, monkeypatch, AutoencoderTransformer(**params, checkpoint=path), X)
    rows, given = X, {}
    if change == "rows":
        rows = X.copy()
        rows[-1, 20] += 1e-9
    elif change == "weights":
        given["sample_weight"] = np.linspace(1, 2, len(X))
    elif change == "held-out rows":
        given["X_val"] = X[:50]
    else:
        params["alpha"] = 0.2
    whole = AutoencoderTransformer(**params).fit(rows, **given)
    with pytest.warns(UserWarning, match="other data, parameters or versions"):
        other = AutoencoderTransformer(**params, checkpoint=path).fit(rows, **given)
    assert_same(other, whole)
    assert not path.exists()


def test_weights_of_other_columns_are_another_fit(tmp_path, monkeypatch):
    frame = pd.DataFrame(X[:, 20:26], columns=list("abcdef"))
    params = {"n_components": 3, "max_iter": 4, "random_state": 0, "column_weights": {"a": 5.0}}
    ae = AutoencoderTransformer(**params, checkpoint=tmp_path / "fit.state")
    assert killed_after(2, monkeypatch, ae, frame)
    other = frame.rename(columns={"a": "b", "b": "a"})
    with pytest.warns(UserWarning, match="other data, parameters or versions"):
        ae.fit(other)
    assert_same(ae, AutoencoderTransformer(**params).fit(other))


def test_damaged_files_are_refused_or_make_no_difference(tmp_path, monkeypatch):
    path, random_numbers = tmp_path / "fit.state", random.Random(0)
    ae = AutoencoderTransformer(3, max_iter=2, random_state=0, checkpoint=path)
    assert killed_after(1, monkeypatch, ae, X)
    content = path.read_bytes()
    whole, refusals = AutoencoderTransformer(3, max_iter=2, random_state=0).fit(X), []
    for _ in range(40):
        damaged = bytearray(content)
        damaged[random_numbers.randrange(len(content))] ^= 1 << random_numbers.randrange(8)
        path.write_bytes(damaged)
        try:
            assert_same(ae.fit(X), whole)
        except ValueError as error:
            refusals.append(str(error))
    assert len(refusals) > 20
    assert all("no state of a fit, or a damaged one" in refusal for refusal in refusals)


def test_a_link_stays_and_the_file_it_leads_to_goes(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    path, target = tmp_path / "link", tmp_path / "disk" / "fit.state"
    path.symlink_to(target)
    ae = AutoencoderTransformer(3, max_iter=3, random_state=0, checkpoint=path)
    assert killed_after(2, monkeypatch, ae, X)
    assert target.exists()
    ae.fit(X)
    assert not target.exists()
    assert path.is_symlink()


def test_a_path_is_of_the_folder_in_which_fit_began(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    ae = AutoencoderTransformer(3, max_iter=3, encoder=go_elsewhere, checkpoint="fit.state")
    assert killed_after(2, monkeypatch, ae, X)
    assert (tmp_path / "fit.state").exists()


@pytest.mark.parametrize("name", ["état 日本", "日" * 80, "x" * 250])
def test_any_name_that_the_disk_takes(name, tmp_path, monkeypatch):
    ae = AutoencoderTransformer(3, max_iter=3, random_state=0, checkpoint=tmp_path / name)
    assert killed_after(2, monkeypatch, ae, X)
    assert (tmp_path / name).exists()


def test_a_file_that_cannot_be_removed_does_not_end_a_fit(tmp_path, monkeypatch):
    path, epoch = tmp_path / "fit.state", _checkpoint.Checkpoint.epoch

    def put_a_folder_there(self):
        epoch(self)
        if path.is_file():
            path.unlink()
            path.mkdir()

    monkeypatch.setattr(_checkpoint.Checkpoint, "epoch", put_a_folder_there)
    ae = AutoencoderTransformer(3, max_iter=1, random_state=0, checkpoint=path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The state of the fit could not be written")
        with pytest.warns(UserWarning, match="could not be removed"):
            ae.fit(X)
    assert np.isfinite(ae.transform(X)).all()


def test_estimators_with_a_path_are_saved(tmp_path):
    path = tmp_path / "fit.state"
    ae = AutoencoderTransformer(3, max_iter=1, random_state=0, checkpoint=path).fit(X)
    skae.save(ae, tmp_path / "model")
    assert skae.load(tmp_path / "model").checkpoint == str(path)
    assert pickle.loads(pickle.dumps(ae)).checkpoint == str(path)
    assert sio.get_untrusted_types(data=sio.dumps(ae)) == [
        f"{AutoencoderTransformer.__module__}.AutoencoderTransformer"
    ]


def test_a_classifiers_autoencoder_goes_on_without_a_seed(tmp_path, monkeypatch):
    path = tmp_path / "fit.state"
    model = skae.AutoencoderClassifier(AutoencoderTransformer(3, max_iter=3, checkpoint=path))
    assert killed_after(2, monkeypatch, model, X, y=Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, Y)
    assert not path.exists()


def test_other_files_are_left_as_they_are(tmp_path):
    for content in (b"", b"a, b\n1, 2\n", b"\x80\x04\x95"):
        path = tmp_path / "table.csv"
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no state of a fit"):
            AutoencoderTransformer(3, checkpoint=path).fit(X)
        assert path.read_bytes() == content
    for content in ({"kind": "another"}, {"kind": _checkpoint.KIND}, [1]):
        torch.save(content, path)
        with pytest.raises(ValueError, match="no state of a fit"):
            AutoencoderTransformer(3, checkpoint=path).fit(X)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        AutoencoderTransformer(3, checkpoint=tmp_path / "missing" / "fit.state").fit(X)


def test_files_run_nothing(tmp_path):
    class Harm:
        def __reduce__(self):
            return (pytest.fail, ("code was run",))

    torch.save({"kind": _checkpoint.KIND, "key": Harm()}, tmp_path / "fit.state")
    with pytest.raises(ValueError, match="no state of a fit"):
        AutoencoderTransformer(3, checkpoint=tmp_path / "fit.state").fit(X)


def test_callbacks_cannot_be_kept(tmp_path):
    from skorch.callbacks import EpochTimer

    with pytest.raises(ValueError, match="callbacks"):
        AutoencoderTransformer(callbacks=[EpochTimer()], checkpoint=tmp_path / "f").fit(X)


OFTEN = """
from skae._training import checkpoint, fit_model  # imports may swallow an interrupt
checkpoint.SECONDS = 0.0
"""
FULL_DISK = """
import resource, sys, warnings
from sklearn.datasets import load_digits
from skae import AutoencoderTransformer

ae = AutoencoderTransformer(3, max_iter=3, random_state=0, checkpoint=sys.argv[1])
for limit in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ae.fit(load_digits().data[:700])
    print(any("could not be written" in str(warning.message) for warning in told))
    print(ae.loss_curve_)
"""


def test_a_full_disk_does_not_end_a_fit(tmp_path):
    whole = AutoencoderTransformer(3, max_iter=3, random_state=0).fit(X)
    command = [sys.executable, "-c", OFTEN + FULL_DISK, tmp_path / "f", "0", "100", "50000"]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == 3 * ["True", str(whole.loss_curve_)]
    assert list(tmp_path.iterdir()) == []


def test_pipelines_with_a_checkpoint(tmp_path):
    from sklearn.pipeline import make_pipeline

    ae = AutoencoderTransformer(3, max_iter=3, checkpoint=tmp_path / "f")
    model = make_pipeline(ae, LogisticRegression(max_iter=1000)).fit(X, Y)
    assert model.score(X, Y) > 0.3


# Ctrl-C -------------------------------------------------------------------------------------------


def interrupted_after(n_calls, monkeypatch, fit, rows, place=(_checkpoint.Checkpoint, "epoch")):
    """Press Ctrl-C once, at the end of a method's call, after some others."""
    method, presses = getattr(*place), iter([False] * n_calls + [True])

    def count(*args, **kwargs):
        result = method(*args, **kwargs)
        if next(presses, False):
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch:
        patch.setattr(*place, count)
        with pytest.raises(KeyboardInterrupt):
            fit(rows)


@pytest.mark.parametrize(
    "name", ["folds", "size chosen", "no baseline", "textbook", "own optimizer"]
)
@pytest.mark.parametrize("n_epochs", [0, 4, 7])
def test_ctrl_c_leaves_the_best_so_far(name, n_epochs, tmp_path, monkeypatch):
    kind, rows, _ = SETTINGS[name]
    params, whole = whole_fit(name)
    estimator = kind(**params, checkpoint=tmp_path / "fit.state")
    if name in ("no baseline", "textbook", "own optimizer"):
        n_epochs = min(n_epochs, 4)  # one training, six epochs
    interrupted_after(n_epochs, monkeypatch, estimator.fit, rows)
    assert np.isfinite(estimator.transform(rows)).all()
    if estimator.pca_score_ is not None:
        assert estimator.score(rows) > 0.99 * AutoencoderTransformer(
            estimator.n_components_, hidden_layer_sizes=()
        ).fit(rows).score(rows)
    assert_same(estimator.fit(rows), whole)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": False},
        {"early_stopping": False, "ordered": True},
        {"pretraining": "layerwise"},
        {"pretraining": "layerwise", "early_stopping": False},
    ],
)
@pytest.mark.parametrize("n_steps", [0, 30])
def test_ctrl_c_within_an_epoch_leaves_a_whole_model(params, n_steps, tmp_path, monkeypatch):
    params = {"n_components": 3, "max_iter": 6, "batch_size": 32, "random_state": 0} | params
    whole = AutoencoderTransformer(**params).fit(X)
    ae = AutoencoderTransformer(**params, checkpoint=tmp_path / "fit.state")
    interrupted_after(n_steps, monkeypatch, ae.fit, X, (FlatAdam, "step"))
    assert vars(ae).keys() == vars(whole).keys()
    assert len(ae.loss_curve_) == ae.best_iter_ == n_steps // 22 * ("pretraining" not in params)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ae)).transform(X), ae.transform(X))
    assert_same(ae.fit(X), whole)


def test_ctrl_c_while_pretraining_folds_leaves_pca(tmp_path, monkeypatch):
    params = {"n_components": 3, "max_iter": 20, "random_state": 0, "pretraining": "layerwise"}
    ae = AutoencoderTransformer(**params, checkpoint=tmp_path / "fit.state")
    whole = AutoencoderTransformer(**params).fit(FEW)
    assert killed_after(30, monkeypatch, ae, FEW)  # the file has all pretrainings
    interrupted_after(0, monkeypatch, ae.fit, FEW, (NeuralNet, "initialize"))
    pca = AutoencoderTransformer(3, hidden_layer_sizes=()).fit(FEW)
    np.testing.assert_allclose(ae.reconstruct(FEW), pca.reconstruct(FEW), atol=1e-6)
    assert_same(ae.fit(FEW), whole)


@pytest.mark.parametrize("warm_start", [True, False])
@pytest.mark.parametrize("kind", [AutoencoderTransformer, VAETransformer])
def test_ctrl_c_after_training_leaves_the_model_before_or_none(kind, warm_start, monkeypatch):
    params = {"max_iter": 1, "learning_rate_init": 1e-12, "random_state": 0}
    model = kind(3, warm_start=warm_start, **params).fit(X)
    before = pickle.dumps(model)
    model.set_params(max_iter=8, learning_rate_init=0.01)
    for fit in (model.fit, model.partial_fit):
        interrupted_after(0, monkeypatch, fit, X, (nn.Module, "double"))
        assert_same(pickle.loads(pickle.dumps(model)), pickle.loads(before))
    fresh = clone(model)
    interrupted_after(0, monkeypatch, fresh.fit, X, (nn.Module, "double"))
    assert vars(fresh) == vars(clone(model))


def test_without_a_checkpoint_ctrl_c_leaves_nothing(monkeypatch):
    def interrupt(self, *args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(NeuralNet, "fit_loop", interrupt)
    estimator = AutoencoderTransformer(3)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X)
    assert vars(estimator) == vars(AutoencoderTransformer(3))


@pytest.mark.parametrize("rows", [X, FEW])
@pytest.mark.parametrize("often", [0.0, 1e9])
def test_ctrl_c_leaves_the_file_and_the_next_fit_goes_on(rows, often, tmp_path, monkeypatch):
    """A real SIGINT within the first half minute, when the file was not yet written of itself."""
    monkeypatch.setattr(_checkpoint, "SECONDS", 1e9)
    monkeypatch.setattr(_checkpoint, "OFTEN", often)
    steps, step, press = [], FlatAdam.step, set()

    def counted(*args, **kwargs):
        steps.append(len(steps))
        if steps[-1] in press:
            os.kill(os.getpid(), signal.SIGINT)
        return step(*args, **kwargs)

    monkeypatch.setattr(FlatAdam, "step", counted)
    params = {"max_iter": 10, "tol": 1e-9, "random_state": 0}
    whole, n_steps = AutoencoderTransformer(3, **params).fit(rows), len(steps)
    ae = AutoencoderTransformer(3, **params, checkpoint=tmp_path / "f")
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        press.add(n_steps + n_steps * 2 // 3)
        with pytest.raises(KeyboardInterrupt):
            ae.fit(rows)
    finally:
        signal.signal(signal.SIGINT, outside)
    assert (tmp_path / "f").exists()
    steps.clear()
    press.clear()
    assert_same(ae.fit(rows), whole)
    assert len(steps) < n_steps or often  # where nothing was kept yet it begins anew
    assert not (tmp_path / "f").exists()


def test_ctrl_c_before_training_leaves_the_file_too(tmp_path, monkeypatch):
    ae = AutoencoderTransformer(3, max_iter=6, checkpoint=tmp_path / "f")  # with a seed it drew
    interrupted_after(0, monkeypatch, ae.fit, X, (FlatAdam, "step"))
    assert (tmp_path / "f").exists()
    ae.fit(X)
    assert not (tmp_path / "f").exists()


def test_ctrl_c_spares_the_file_of_another_fit(tmp_path, monkeypatch):
    """The warning may be why it is pressed."""
    ae = AutoencoderTransformer(3, max_iter=6, random_state=0, checkpoint=tmp_path / "f")
    interrupted_after(3, monkeypatch, ae.fit, X)
    before = (tmp_path / "f").read_bytes()
    other = clone(ae).set_params(alpha=0.5)
    with pytest.warns(UserWarning, match="from the beginning and will replace it"):
        interrupted_after(0, monkeypatch, other.fit, X, (FlatAdam, "step"))
    assert (tmp_path / "f").read_bytes() == before
    assert_same(ae.fit(X), clone(ae).set_params(checkpoint=None).fit(X))


INTERRUPTED = """
import os, pickle, random, signal, sys, threading
import numpy as np
from sklearn.datasets import load_digits
from skae import AutoencoderTransformer

X, moments = load_digits().data[:700], random.Random(0)
made = []

def press(moment, over):
    while not over.wait(moment):
        os.kill(os.getpid(), signal.SIGINT)
        moment = 10.0  # once more, should Python have dropped it in a finaliser

for i in range(24):
    params = {"early_stopping": i % 2 == 0, "max_iter": 1000, "n_iter_no_change": 1000}
    params |= {"hidden_layer_sizes": (600, 600), "batch_size": 700}  # most time goes into writing
    ae = AutoencoderTransformer(3, **params, random_state=0, checkpoint=sys.argv[1])
    over = threading.Event()
    finger = threading.Thread(target=press, args=(moments.uniform(0.1, 0.5), over))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    finger.start()
    try:
        try:
            ae.fit(X)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second press may come late
    except KeyboardInterrupt:
        if hasattr(ae, "module_"):
            made.append(np.array_equal(pickle.loads(pickle.dumps(ae)).transform(X), ae.transform(X)))
    over.set()
    finger.join()
print(len(made), all(made))
"""


def test_ctrl_c_at_random_moments(tmp_path):
    """Wherever the fit is: in a step, between two, while it writes."""
    command = [sys.executable, "-W", "ignore", "-c", OFTEN + INTERRUPTED, tmp_path / "fit.state"]
    out = subprocess.run(command, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    n_usable, all_same = out.stdout.split()
    assert int(n_usable) > 16
    assert all_same == "True"
    assert {path.name for path in tmp_path.iterdir()} <= {"fit.state"}


# SIGKILL ------------------------------------------------------------------------------------------


def fit_and_tell(path, sender):
    """Fit in a process of its own and send the bits."""
    _checkpoint.SECONDS = 0.0
    estimator = AutoencoderTransformer(8, max_iter=120, n_iter_no_change=120, random_state=0)
    sender.send("begins")
    sender.send(bits(estimator.set_params(checkpoint=path).fit(FEW)))


def test_twenty_kills_at_random_moments(tmp_path):
    """SIGKILL, wherever the fit is: in a step, between two, while it writes or cleans up."""
    processes = multiprocessing.get_context("forkserver")
    # what this module imports, since the server does not find its folder before Python 3.13
    processes.set_forkserver_preload(["pytest", "skops.io", "skorch", "skae._io.files"])
    undisturbed, sender = processes.Pipe(duplex=False)
    worker = processes.Process(target=fit_and_tell, args=(tmp_path / "other", sender))
    worker.start()
    assert undisturbed.recv() == "begins"
    start = time.monotonic()
    expected = undisturbed.recv()
    worker.join()
    latest = max(0.6, (time.monotonic() - start) / 10)  # on a machine that does much else, too
    path, moments = tmp_path / "fit.state", random.Random(0)
    n_killed, n_going_on, result = 0, 0, None
    while result is None:
        receiver, sender = processes.Pipe(duplex=False)
        worker = processes.Process(target=fit_and_tell, args=(path, sender))
        worker.start()
        sender.close()
        assert receiver.recv() == "begins"
        n_going_on += path.exists()
        if n_killed < 20:
            time.sleep(moments.uniform(0.0, latest))
            worker.kill()
            worker.join()
            assert worker.exitcode == -signal.SIGKILL
            n_killed += 1
        else:
            result = receiver.recv()
            worker.join()
    for x, y in zip(result, expected, strict=True):
        np.testing.assert_array_equal(x, y)
    assert n_going_on > 10
    assert not path.exists()
