"""What a fit records of a model in the words of PCA: variances of its code and of what it leaves."""

import numpy as np

from skae._model.inference import SURVEYED, at_once

LEAST_VARIANCE = 1e-12  # of a unit of the code that is not constant


def moments_of(model, rows):
    """Return attributes of a model that was fitted to rows, by name: they are coded once more."""
    told = shares_of(model) | _moments_of_rows(model, rows)
    if model.is_pca:
        told["explained_variance_"] = _variances(model.present_baseline)
    return told | {"n_samples_": rows.n_repeated}


def moments_of_pca(model, n_samples):
    """Return the same of a model that is PCA of so many rows, most of them gone."""
    baseline = model.present_baseline
    left = baseline.unexplained * unbiased(baseline.variances.sum(), n_samples)
    told = {"n_samples_": n_samples, "explained_variance_": _variances(baseline)}
    return told | shares_of(model) | {"noise_variance_": _a_direction(left, baseline, n_samples)}


def noise_of_fewer(model, k):
    """Return the noise variance of the first ``k`` components of a PCA."""
    told, k_before = model.attributes, model.task.size
    n_axes = min(told["n_samples_"], len(model.baseline.mean))
    left = told["noise_variance_"] * max(n_axes - k_before, 0)
    left += (told["explained_variance_"] * model.squared_lengths)[k:].sum()
    return float(left / (n_axes - k)) if n_axes > k else 0.0


def _variances(baseline):
    """Return the variance of each component of PCA; 0 beyond the rank."""
    return baseline.deviations**2 * baseline.components.any(axis=1)


def unbiased(variance, n_samples):
    """Return a variance of denominator n as one of n - 1."""
    return variance * n_samples / max(n_samples - 1, 1)


def shares_of(model):
    """Return what each component of a linear model adds to the explained share."""
    shares = None
    if model.task.is_linear and not model.nonlinear:
        shares = model.present_baseline.shares
    return {} if shares is None else {"explained_variance_ratio_": np.diff(shares, prepend=0.0)}


def whitening(total, square, n):
    """Return the factors that give the units of a code variance 1; those of constant ones are 1."""
    variance = unbiased(square / n - (total / n) ** 2, n)
    return 1 / np.sqrt(np.where(variance > LEAST_VARIANCE, variance, 1.0))


def _moments_of_rows(model, rows):
    n, told = rows.n_repeated, {}
    total, square, *rest = model.__dict__.pop("_sums", None) or _sums(model, rows)
    variance = np.maximum(square / len(rows) - (total / len(rows)) ** 2, 0.0)
    unit = model.present_baseline.deviations if model.task.has_baseline else 1.0
    told["explained_variance_"] = unbiased(variance * unit**2, n)
    if rest:
        left, count = rest
        left = unbiased(np.sum(left / np.maximum(count, np.finfo(float).tiny)), n)
        told["noise_variance_"] = _a_direction(left, model.present_baseline, n)
    return told


def _sums(model, rows):
    """Return what `survey` sums, of a fitted model, whatever its cells are."""
    tells_rest = model.tells_rest(model.task)

    def sums(X, weight):
        code = model.encode(X)
        units = code / model.code_scale
        of_code = weight @ units, weight @ units**2
        if not tells_rest:
            return of_code
        rest = X - model.decode_cells(code)
        present = ~np.isnan(rest)
        return *of_code, weight @ np.where(present, rest, 0.0) ** 2, weight @ present

    return rows.raw_sum(sums, at_once(SURVEYED, model.device))


def _a_direction(left, baseline, n_samples):
    """Return the mean over the directions that a code leaves of the variance left; 0 of none."""
    n_left = min(n_samples, len(baseline.mean)) - len(baseline.deviations)
    return float(left / n_left) if n_left > 0 else 0.0
