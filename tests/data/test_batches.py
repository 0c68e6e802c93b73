"""From rows to batches: every row once, with its weight."""

import numpy as np
import pytest
import torch
from inside import standardised

from skae._data import batches


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("n_rows", [1, 2, 31, 32, 33, 100, 1000])
def test_batches_are_the_whole(monkeypatch, n_rows):
    monkeypatch.setattr(batches, "CHUNK_BYTES", 4096)
    X = np.random.default_rng(0).normal(size=(n_rows, 5))
    rows = standardised(X)
    in_order = [target for _, (target, _) in batches.TensorBatches(rows, 32)]
    np.testing.assert_array_equal(torch.cat(in_order).numpy(), X.astype(np.float32))
    shuffled = [target for _, (target, _) in batches.TensorBatches(rows, 32, generator())]
    sizes = [len(batch) for batch in shuffled]
    assert len(sizes) == max(1, n_rows // 32)
    assert max(sizes) - min(sizes) <= 1
    together = torch.cat(shuffled).numpy()
    np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(X.astype(np.float32), axis=0))
    if n_rows > 30:
        assert not np.array_equal(together, X.astype(np.float32))


def test_weights_follow_their_rows(monkeypatch):
    monkeypatch.setattr(batches, "CHUNK_BYTES", 256)
    X = np.arange(50.0)[:, None]
    rows = standardised(X, weight=np.arange(50.0))
    for _, (target, weight) in batches.TensorBatches(rows, 8, generator()):
        torch.testing.assert_close(weight, target[:, 0] / np.arange(50.0).mean())


def test_large_tables_are_standardised_in_chunks(monkeypatch):
    X = np.random.default_rng(0).normal(3, 2, size=(200, 4))
    kept = standardised(X, None, X.mean(0), X.std(0))
    monkeypatch.setattr(batches, "READY_BYTES", 0)
    anew = standardised(X, None, X.mean(0), X.std(0))
    order = torch.randperm(200, generator=generator())
    torch.testing.assert_close(kept.take(order), anew.take(order), rtol=0, atol=0)
    assert anew._ready is None
