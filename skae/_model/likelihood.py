"""Lower bounds of log-likelihoods from drawn codes."""

import numpy as np
from scipy.special import logsumexp

from skae._model.scores import dense

DRAW_SEED = 0  # the same draws for every row, call and model
FEWEST_DRAWS = 64
CHUNK_CELLS = 2**20


def draws_of_codes(n_draws, size):
    """Return standard normal draws in whole sets of ``n_draws``, (n_sets * n_draws, size)."""
    n_sets = -(-FEWEST_DRAWS // n_draws)
    return np.random.RandomState(DRAW_SEED).standard_normal((n_sets * n_draws, size))


def lower_bound(log_weights, X, n_draws, model):
    """Return a lower bound of every row's log-likelihood, in nats; NaN for rows of a table without any cell.

    ``log_weights(X, draws)`` is log p(x|z)p(z)/q(z|x), of shape (n_draws, n_samples).
    """
    task, blocks = model.task, model.schema.blocks
    draws = draws_of_codes(n_draws, task.size)
    width = max(X.shape[1], task.size, *task.hidden)
    n_rows = max(1, CHUNK_CELLS // (len(draws) * width))
    bounds = []
    for first in range(0, X.shape[0], n_rows):
        some = dense(X[first : first + n_rows])
        sets = log_weights(some, draws).reshape(len(draws) // n_draws, n_draws, -1)
        bound = _finite((logsumexp(sets, axis=1) - np.log(n_draws)).mean(axis=0), first)
        bounds.append(bound if blocks is None else np.where(blocks.present(some), bound, np.nan))
    return np.concatenate(bounds)


def _finite(bounds, first):
    """Refuse bounds, from that of row ``first`` on, that are not finite."""
    if not np.isfinite(bounds).all():
        row = first + int(np.flatnonzero(~np.isfinite(bounds))[0])
        raise ValueError(
            f"The log-likelihood of row {row} is beyond the range of float64: it is too far "
            "from the training rows. Leave it out, or check its units."
        )
    return bounds
