"""PCA of a stream of rows, brought up to date batch by batch."""

import numpy as np
from scipy import linalg
from sklearn.utils.extmath import svd_flip

from skae._linear.pca import assembled, columns, principal_axes, scaled


def updated(model, n_before, rows):
    r"""Return PCA of the ``n_before`` rows so far and of a further batch, as a `LinearModel`.

    With :math:`S_0 V_0` the singular values and axes of the n rows so far,
    centred at :math:`\mu_0`, and :math:`S_1 V_1` those of the m rows of the
    batch at :math:`\mu_1`, those of both are the singular values and axes of

    .. math:: [S_0 V_0;\ S_1 V_1;\ (nm / (n + m))^{1/2} (\mu_0 - \mu_1)]

    of which as many are kept as before: the sequential Karhunen-Loeve
    transform, as in ``IncrementalPCA`` (Ross, Lim, Lin & Yang, Incremental
    learning for robust visual tracking, 2008, DOI 10.1007/s11263-007-0075-7).
    Moments of the columns are exact, so the noise variance counts what
    earlier batches left out, too.
    """
    n_batch, k = rows.n_repeated, len(model.deviations)
    n = n_before + n_batch
    mean, scale, weights, low, high, _ = columns(rows)
    batch_axes, values = principal_axes(rows, mean, None, None)
    step = np.sqrt(n_before * n_batch / n) * (model.mean - mean)
    spreads = model.deviations * np.sqrt(n_before - 1)
    stacked = np.vstack(
        [
            spreads[:, None] * model.components,
            (values * np.sqrt(n_batch / len(rows)))[:, None] * batch_axes,
            step,
        ]
    )
    _, values, axes = linalg.svd(stacked, full_matrices=False, check_finite=False)
    axes = svd_flip(None, axes, u_based_decision=False)[1]
    variance = np.where(weights > 0, scale**2, 0.0)
    between = n_before * n_batch / n**2 * (model.mean - mean) ** 2
    moments = scaled(
        (n_before * model.mean + n_batch * mean) / n,
        (n_before * model.variances + n_batch * variance) / n + between,
        np.minimum(model.low * model.scale + model.mean, low),
        np.maximum(model.high * model.scale + model.mean, high),
        n,
    )
    return assembled(moments, axes, values, k, n, n)
