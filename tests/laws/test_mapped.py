"""Estimators whose arrays are mapped from a file, and only read."""

import warnings
from functools import partial

import joblib
import numpy as np
import pytest
import torch
from family import TRAINED, labelled_digits, name_of, small

USES = "transform", "predict", "score_samples"


@pytest.fixture(autouse=True)
def _always():
    """Let torch warn every time, not only once a process."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


@pytest.mark.parametrize("kind", TRAINED, ids=name_of)
def test_a_mapped_model_is_used_without_a_warning_and_not_written_to(kind, tmp_path):
    X, y = labelled_digits(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = small(kind, max_iter=1, early_stopping=False).fit(X, y)
    joblib.dump(model, tmp_path / "model")
    file = (tmp_path / "model").read_bytes()
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=".*not writable")
        for use in filter(partial(hasattr, mapped), USES):
            np.testing.assert_array_equal(getattr(mapped, use)(X), getattr(model, use)(X))
        if hasattr(mapped, "partial_fit"):
            mapped.partial_fit(X, y)
    assert (tmp_path / "model").read_bytes() == file
