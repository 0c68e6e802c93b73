"""What a fit or a copy leaves as it was: the generator it was given, and the estimator it was made of."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from family import PUBLIC, fitted, name_of
from sklearn.datasets import load_digits

import skae
from skae import AutoencoderClassifier, AutoencoderTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_digits(return_X_y=True)
X, y = X[:200], y[:200] % 2


@pytest.mark.parametrize("params", [{"fine_tune": "head", "head": "linear"}, {"unlabeled": -1}])
def test_a_head_that_is_only_solved_draws_nothing(params):
    """Only the pretraining takes a seed from the generator."""
    labels = np.where(np.arange(200) < 25, y, -1) if "unlabeled" in params else y
    given, same = np.random.RandomState(0), np.random.RandomState(0)
    autoencoder = AutoencoderTransformer(2, max_iter=2)
    AutoencoderClassifier(autoencoder, random_state=given, **params).fit(X, labels)
    same.randint(2**31 - 1)
    assert given.randint(2**31) == same.randint(2**31)


@pytest.mark.parametrize("n_rows", [20, 200])
def test_a_batch_counts_one_epoch(n_rows):
    """Also after a fit to so few rows that nothing was trained."""
    ae = AutoencoderTransformer(2, max_iter=3, random_state=0).fit(X[:n_rows])
    n_before = len(ae.history_)
    ae.partial_fit(X[:50])
    assert len(ae.history_) == ae.n_iter_ == ae.best_iter_ == n_before + 1


def test_copies_have_arrays_of_their_own():
    ae = AutoencoderTransformer(3, ordered=True, max_iter=2, random_state=0).fit(X)
    codes = ae.transform(X)
    head = AutoencoderClassifier(ae, fine_tune="head").fit(X, y)
    for copy in (ae.truncate(2), head.autoencoder_):
        copy.mean_[:], copy.scale_[:], copy.components_[:] = 0, 2, 0
    assert np.array_equal(ae.transform(X), codes)
    assert ae.components_.any()


READ_ALL = """
import pathlib, pickle, sys, warnings
import torch, skae  # torch has filters of its own
before = list(warnings.filters)
for path in pathlib.Path(sys.argv[1]).iterdir():
    model = skae.load(path) if path.suffix == ".skae" else pickle.loads(path.read_bytes())
    model.n_features_in_
    assert warnings.filters == before, path
    assert not {"torch._dynamo.utils", "sklearn.tree"} & set(sys.modules), path
"""


def test_reading_a_model_imports_no_compiler_or_trees_and_leaves_warnings_alone(tmp_path):
    for kind in PUBLIC:
        model = fitted(kind, X[:60], y[:60], early_stopping=False)
        (tmp_path / f"{name_of(kind)}.pickle").write_bytes(pickle.dumps(model))
        if name_of(kind) != "TableEncoder":
            skae.save(model, tmp_path / f"{name_of(kind)}.skae")
    command = [sys.executable, "-c", READ_ALL, tmp_path]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
