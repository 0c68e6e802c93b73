"""A fit from a task, settings and plain arrays alone, in another process, gives the same bits."""

import pickle
import pickletools
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from family import TRAINED, labelled_digits, name_of, small
from torch import nn

import skae
from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer, _training

CHILD = """
import pickle, sys
from dataclasses import replace
import numpy as np
from skae._training import fit_model

def rows_of(task, given):
    if hasattr(task, "targets"):
        return task.rows(given["X"], given["weight"])
    rows = task.schema.rows(given["X"], given["index"], given["weight"])
    if given["labels"] is None:
        return rows
    if hasattr(task, "mixing"):
        return task.labels.targets_of_rows(rows, given["labels"], np.ones(len(rows.X), dtype=bool))
    return task.labels.beside_rows(rows, given["labels"])

def fitted(task, settings, random_state, rows, held_out, places):
    rows = rows_of(task, rows)
    held_out = held_out and rows_of(task, held_out)
    pairs = places and [tuple(map(rows.subset, both)) for both in places]
    fit = fit_model(task, settings, rows, held_out, random_state=random_state, pairs=pairs)
    model = getattr(fit.model, "encoder", fit.model)
    head = [getattr(fit.model, name, None) for name in ("coef", "intercept")]
    return model.weights(), head, fit.history, fit.held_out_curve, fit.best_iter

made = {}
for name, dump in pickle.load(sys.stdin.buffer).items():
    made[name] = fitted(**pickle.loads(dump))
pickle.dump(made, sys.stdout.buffer)
"""

X, Y = labelled_digits()
W = np.linspace(0.5, 2.0, len(X))
GAPS = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
TABLE = pd.DataFrame(X[:, 20:24]).add_prefix("column ")
TABLE["size"] = pd.cut(TABLE["column 1"], 3, labels=["S", "M", "L"])
WIDE = np.hstack([X, X**2, np.sqrt(X)])[:40]
CASES = {name_of(kind): (small(kind), {"X": X, "y": Y}) for kind in TRAINED}
CASES |= {
    "weights": (small(AutoencoderTransformer), {"X": X, "sample_weight": W}),
    "labels and weights": (small(skae.ConditionalVAE), {"X": X, "y": Y, "sample_weight": W}),
    "rows that judge": (small(VAETransformer), {"X": X, "X_val": X[:50]}),
    "one split": (small(AutoencoderTransformer), {"X": np.tile(X, (4, 1))}),
    "missing cells": (small(DenoisingAutoencoder), {"X": GAPS}),
    "a table": (small(AutoencoderTransformer), {"X": TABLE}),
    "a table, variational": (small(VAETransformer), {"X": TABLE}),
    "a table, labelled": (
        small(skae.ConditionalVAE),
        {"X": TABLE.mask(GAPS[:, :5] > 12), "y": Y, "sample_weight": W},
    ),
    "a chosen size": (small(AutoencoderTransformer, n_components=0.6), {"X": X}),
    "pretrained": (small(AutoencoderTransformer, pretraining="layerwise"), {"X": X}),
    "the rows' own space": (small(AutoencoderTransformer), {"X": WIDE}),
    "an own module": (small(AutoencoderTransformer, encoder=nn.Linear), {"X": X}),
}


def plain(rows):
    """Return rows as arrays."""
    if rows is None:
        return None
    return {
        "X": rows.X,
        "index": rows.index,
        "weight": rows.all_weight,
        "labels": None,
    }


def told(fit):
    """Return what two fits are compared by: bits, and nothing else."""
    model = getattr(fit.model, "encoder", fit.model)
    head = [getattr(fit.model, name, None) for name in ("coef", "intercept")]
    return model.weights(), head, fit.history, fit.held_out_curve, fit.best_iter


def watched(estimator, data):
    """Fit an estimator; return what it gave to its last training, pickled, and what that returned."""
    kept = []

    def keep(task, settings, rows, held_out=None, *, random_state=None, pairs=None, **others):
        given = {"rows": plain(rows), "held_out": plain(held_out)}
        if hasattr(task, "targets"):
            given["rows"]["X"] = rows.X[:, : task.schema.n_features]
        if hasattr(rows, "labels") or hasattr(rows, "all_targets"):
            given["rows"]["labels"] = [data["y"]]
        given |= {"task": task, "settings": settings, "random_state": random_state}
        given["places"] = pairs and [tuple(part.index for part in both) for both in pairs]
        dump = pickle.dumps(given)
        about = {"random_state": random_state, "pairs": pairs}
        kept.append((dump, fit_model(task, settings, rows, held_out, **about, **others)))
        return kept[-1][1]

    fit_model = _training.fit_model
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(_training, "fit_model", keep)
        estimator.fit(**data)
    return kept[-1]


@pytest.fixture(scope="module")
def here():
    return {name: watched(estimator, data) for name, (estimator, data) in CASES.items()}


@pytest.fixture(scope="module")
def there(here):
    """Return what another process makes of all dumps."""
    command = [sys.executable, "-W", "ignore", "-c", CHILD]
    dumps = pickle.dumps({name: dump for name, (dump, _) in here.items()})
    made = subprocess.run(command, input=dumps, capture_output=True)
    assert made.returncode == 0, made.stderr.decode()
    return pickle.loads(made.stdout)


@pytest.mark.parametrize("name", CASES)
def test_a_fit_in_another_process_has_the_bits_of_the_estimator(name, here, there):
    weights, *others = told(here[name][1])
    its_weights, *its_others = there[name]
    assert weights.keys() == its_weights.keys()
    for key, value in weights.items():
        np.testing.assert_array_equal(its_weights[key], value)
    np.testing.assert_equal(its_others, others)
    estimator = CASES[name][0]
    if hasattr(estimator, "module_"):
        for key, value in estimator.module_.state_dict().items():
            np.testing.assert_array_equal(its_weights[key], value.numpy())


@pytest.mark.parametrize("name", CASES)
def test_what_goes_to_another_process_knows_no_estimator(name, here):
    words = [arg for _, arg, _ in pickletools.genops(here[name][0]) if isinstance(arg, str)]
    assert any(word.startswith("skae._tasks") for word in words)
    assert not any("skae._estimators" in word for word in words)


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (AutoencoderTransformer(2, encoder=lambda n_in, n_out: nn.Linear(n_in, n_out)), "encoder"),
        (VAETransformer(2, decoder=lambda n_in, n_out: nn.Linear(n_in, n_out)), "decoder"),
        (AutoencoderTransformer(2, activation=lambda: nn.ELU(0.5)), "activation"),
        (DenoisingAutoencoder(2, noise=lambda x, generator: x), "noise"),
    ],
    ids=["encoder", "decoder", "activation", "noise"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_own_code_without_a_place_fits_here_but_does_not_pickle(estimator, name):
    """A fit in the process never pickles."""
    model = estimator.set_params(max_iter=2, random_state=0).fit(X)
    assert np.isfinite(model.transform(X)).all()
    with pytest.raises(
        pickle.PicklingError, match=f"{name}=<function.*define it at the top of a mod"
    ):
        watched(estimator, {"X": X})
