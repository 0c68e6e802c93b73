"""What a fitted state must look like: checked before anything is made of it."""

from dataclasses import fields, replace

import numpy as np

from skae._data.marginals import Marginals
from skae._model.joint import correlations
from skae._parameters import check_parameters

MOST = 2**31  # of a size that no weights vouch for

# shapes, with k units of the code, p columns, m coded labels, t targets and f factors; those of the baseline
# may have more units
ARRAYS = {
    "mean_": "p",
    "scale_": "p",
    "_code_scale": "k",
    "components_": "kp",
    "explained_variance_": "k",
    "explained_variance_ratio_": "k",
    "activation_rate_": "k",
    "kl_per_component_": "k",
    "active_units_": "k",
    "label_coef_": "mp",
    "label_intercept_": "m",
    "coef_": "tk",
    "intercept_": "t",
    "noise_variance_": "",
    "n_samples_": "",
    "_joint_covariance": "jj",
}
START = {
    "mean": "p",
    "scale": "p",
    "column_weights": "p",
    "components": "kp",
    "deviations": "k",
    "unexplained": "",
    "low": "p",
    "high": "p",
    "encoder": "kp",
    "offset": "k",
    "noise_variance": "",
    "log_variance": "k",
    "level": "p",
    "explained": "k",
    "noises": "k",
    "spread": "k",
    "noise_ratios": "n",
    "inertia": "k",
    "effects": "mp",
    "taken": "mp",
    "loadings": "pf",
    "precision": "p",
    "head": "tk",
    "intercept": "t",
}
# are divided by
POSITIVE = {"scale_", "_code_scale", "scale", "deviations", "precision", "noise_ratios"}
NOT_NEGATIVE = {"explained_variance_", "noise_variance_", "n_samples_"}
UNLIKE_NUMBERS = {"explained_variance_ratio_"}  # that may say "not known"
KINDS = {"_nonlinear": bool, "_confined": bool, "_prefixes": bool}
KINDS_OF_FIT = {
    "history_": list,
    "loss_curve_": list,
    "validation_scores_": list | None,
    "pca_score_": float | None,
    "_optimizer_state": dict | None,
    "_skae_version": str,
}
OPTIONAL = ARRAYS.keys() - {"mean_", "scale_", "_code_scale"} | {"_optimizer_state"}
CONTAINERS = {"transform": ("default", "pandas", "polars", None)}  # of set_output


def check_schema(schema):
    """Refuse, with a ValueError, what cannot have been learned of the columns of a table."""
    n, names, known = schema.n_features, schema.names, schema.fields
    _check(_is_count(n), "n_features_in_", n)
    if names is not None:
        good = isinstance(names, np.ndarray) and names.shape == (n,)
        _check(good and all(isinstance(name, str) for name in names), "feature_names_in_", names)
    _check(known is None or (isinstance(known, list) and len(known) == n), "_fields", known)
    if known is not None:
        _check(schema.library in ("pandas", "polars"), "_library", schema.library)
    _check(schema.encoder is None or schema.blocks is not None, "table_encoder_", "without blocks")
    if schema.blocks is None:
        return
    schema.blocks.check(n)
    if schema.encoder is None:
        _check(not any(schema.blocks.n_levels), "_blocks", "with categories")
        return
    schema.encoder.check_state(n, schema.blocks.n_levels)
    _check_array("_column_weights", schema.column_weights, "n", {"n": n})


def check_parameters_of(task, built, constraints):
    """Refuse, with a ValueError, what a network cannot have been built from.

    ``constraints`` are those of the estimator's parameters; of what is no parameter the values of
    ``task``, of the same class, stand.
    """
    good = isinstance(built, dict)
    good = good and built.keys() | task.EARLIER.keys() == set(task.ARCHITECTURE)
    _check(good, "_built", built)
    chosen = {name: value for name, value in built.items() if name in constraints}
    check_parameters({name: constraints[name] for name in chosen}, chosen, task.schema.owner)
    for name in built.keys() - chosen.keys():  # what the class itself has settled
        settled = getattr(task, name)
        _check(type(built[name]) is type(settled) and built[name] == settled, name, built[name])


def with_factors(schema, start):
    """Return a baseline's state with what earlier files lack.

    There missing cells of a table were filled with means, and all columns had one noise.
    """
    if not isinstance(start, dict):
        return start
    if "noises" in start:
        start = {"noise_ratios": np.ones(schema.n_numbers)} | start
    if schema.blocks is None or "loadings" in start:
        return start
    width = schema.width
    return {"loadings": np.zeros((width, 0)), "precision": np.ones(width)} | start


def check_state(task, state):
    """Refuse a fitted state whose parts do not belong together; return the task with its sizes.

    A ValueError, or a KeyError where something is missing.
    """
    _check_kinds(state, KINDS)
    _check(_is_count(state["n_components_"]), "n_components_", state["n_components_"])
    hidden = state["hidden_layer_sizes_"]
    _check(isinstance(hidden, tuple) and all(map(_is_count, hidden)), "hidden_layer_sizes_", hidden)
    task = replace(task, size=state["n_components_"], hidden=hidden, prefixes=state["_prefixes"])
    sizes = {"p": task.schema.width, "k": task.size, "m": task.n_labels, "t": task.n_targets}
    blocks = task.schema.blocks
    sizes["n"] = task.schema.n_numbers
    sizes["j"] = task.size + (task.schema.n_features if blocks is None else len(blocks.first))
    by_column = {"noise_variance_": "n"} if np.ndim(state.get("noise_variance_")) else {}
    for name, letters in (ARRAYS | by_column).items():
        if name in state or name not in OPTIONAL:
            _check_array(name, state[name], letters, sizes)
    if "_marginals" in state:
        _check(isinstance(state["_marginals"], dict), "_marginals", state["_marginals"])
        Marginals(**state["_marginals"]).check(task.schema)
    if "_joint_covariance" in state:
        good = _is_covariance(state["_joint_covariance"])
        _check(good, "_joint_covariance", "not positive definite")
    if "_joint_mixture" in state:
        _check_mixture(state["_joint_mixture"], sizes["j"])
    n_told = task.schema.n_features + task.n_labels
    if "_judge" in state:
        _check_judge(state["_judge"], n_told)
    if "_full_conditionals" in state:
        _check_full_conditionals(state["_full_conditionals"], task.schema, n_told)
    _check_start(task, state["_start"], sizes)
    _check_network(task, state)
    return task


def _check_mixture(mixture, size):
    """Refuse what is no mixture of codes and residuals."""
    good = isinstance(mixture, dict) and mixture.keys() == {"shares", "means", "covariances"}
    _check(good, "_joint_mixture", mixture)
    sizes = {"c": np.size(mixture["shares"]), "j": size}
    for name, letters in (("shares", "c"), ("means", "cj"), ("covariances", "cjj")):
        _check_array(f"_joint_mixture: {name}", mixture[name], letters, sizes)
    shares, covariances = mixture["shares"], mixture["covariances"]
    good = (shares >= 0).all() and abs(shares.sum() - 1) < 1e-8
    good = good and all(map(_is_covariance, covariances))
    _check(good, "_joint_mixture", "shares that add up to 1, and positive definite covariances")


def _check_judge(judge, n_columns):
    """Refuse what are no trees of rows of so many columns."""
    _check_names("_judge", judge, {"feature", "threshold", "children", "value"})
    sizes = dict(zip("tm", np.shape(judge["value"]), strict=False))
    sizes = {"t": 0, "m": 0} | sizes
    _check_array("_judge: value", judge["value"], "tm", sizes)
    _check_trees("_judge", judge, "tm", sizes, n_columns)


def _check_full_conditionals(known, schema, n_told):
    """Refuse what are no trees of rows of so many columns, with donors, of some columns."""
    name = "_full_conditionals"
    _check_names(name, known, {"columns", "feature", "threshold", "children", "donors"})
    sizes = {"c": 0, "t": 0, "m": 0, "d": 0}
    sizes |= dict(zip("ctmd", np.shape(known["donors"]), strict=False))
    _check_array(f"{name}: donors", known["donors"], "ctmd", sizes)
    _check_places(f"{name}: columns", known["columns"], (sizes["c"],), schema.n_features)
    _check_trees(name, known, "ctm", sizes, n_told)
    for donors, n_levels in zip(known["donors"], schema.n_levels[known["columns"]], strict=True):
        good = n_levels == 0 or np.isin(donors, np.arange(n_levels)).all()
        _check(good, f"{name}: donors", f"of {n_levels} levels")


def _check_names(name, known, names):
    _check(isinstance(known, dict) and known.keys() == names, name, known)


def _check_trees(name, trees, letters, sizes, n_columns):
    """Refuse what are no nodes of trees."""
    shape = tuple(sizes[letter] for letter in letters)
    _check_array(f"{name}: threshold", trees["threshold"], letters, sizes)
    _check_places(f"{name}: feature", trees["feature"], shape, n_columns)
    _check_places(f"{name}: children", trees["children"], (*shape, 2), sizes["m"])


def _check_places(name, places, shape, most):
    """Refuse what are no whole numbers from 0 to ``most``."""
    good = isinstance(places, np.ndarray) and places.dtype.kind == "i" and places.shape == shape
    good = good and places.size and places.min() >= 0 and places.max() < most
    _check(good, name, places)


def _is_covariance(found):
    """Return whether a matrix is symmetric and positive definite."""
    good = np.array_equal(found, found.T) and (np.diag(found) > 0).all()
    return good and np.linalg.eigvalsh(correlations(found)[0])[0] > 0


def check_fit(state):
    """Refuse fitted attributes that no fit gives; raises as `check_state`."""
    _check_kinds(state, KINDS_OF_FIT)
    for name, least in (("batch_size_", 1), ("n_iter_", 1), ("best_iter_", 0)):
        _check(_is_count(state[name], least), name, state[name])
    _check(all(isinstance(row, dict) for row in state["history_"]), "history_", "of such rows")
    for name in ("loss_curve_", "validation_scores_"):
        _check(all(isinstance(x, float) for x in state[name] or ()), name, "of such values")
    check_output(state)
    _check_optimizer(state.get("_optimizer_state"), state["module_"])


def _check_kinds(state, kinds):
    for name, kind in kinds.items():
        if name in state or name not in OPTIONAL:
            _check(isinstance(state[name], kind), name, state[name])


def _check(good, name, value):
    if not good:
        raise ValueError(f"{name} cannot be {str(value)[:80]}")


def _is_count(value, least=1):
    return type(value) is int and least <= value < MOST


def _check_array(name, value, letters, sizes):
    shape = tuple(sizes[letter] for letter in letters)
    good = isinstance(value, np.ndarray | np.generic | float | int) and np.shape(value) == shape
    _check(good, name, value)
    array = np.asarray(value)
    _check(array.dtype.kind in ("bfi" if name == "n_samples_" else "bf"), name, array.dtype)
    if name not in UNLIKE_NUMBERS:
        _check(np.isfinite(array).all(), name, "infinite or NaN")
    if name in POSITIVE:
        _check((array > 0).all(), name, "zero or less")
    if name in NOT_NEGATIVE:
        _check((array >= 0).all(), name, "less than zero")


def _check_start(task, start, sizes):
    names = [field.name for field in fields(task.linear_kind())]
    _check(isinstance(start, dict) and start.keys() == set(names), "_start", start)
    k = len(start["deviations"])
    _check(k >= sizes["k"], "_start", f"of {k} components")
    n_factors = (*np.shape(start.get("loadings")), 0, 0)[1]
    for name in names:
        _check_array(name, start[name], START[name], {**sizes, "k": k, "f": n_factors})


def _check_network(task, state):
    """Refuse a network that cannot be the one of these weights; only then is it made."""
    weights = state["module_"]
    if state["_nonlinear"] and task.encoder is None:
        _check(len(task.hidden) < len(weights), "hidden_layer_sizes_", task.hidden)
    for name, array in weights.items():
        _check(np.isfinite(array).all(), name, "infinite or NaN")
    for name in ("log_noise_ratios", "least_log_noises"):
        if "log_noise_ratios" in weights:
            _check_array(name, weights[name], "n", {"n": task.schema.n_numbers})


def check_output(state):
    """Refuse what `set_output` would refuse."""
    for method, container in state.get("_sklearn_output_config", {}).items():
        _check(container in CONTAINERS[method], "_sklearn_output_config", container)


def _check_optimizer(optimizer, weights):
    if not optimizer:
        return
    _check(optimizer.keys() == {"mean", "square", "n_steps"}, "_optimizer_state", optimizer)
    n = optimizer["mean"].size
    _check(n <= sum(array.size for array in weights.values()), "_optimizer_state", n)
    for name, letters in (("mean", "n"), ("square", "n"), ("n_steps", "")):
        _check_array(name, optimizer[name], letters, {"n": n})
        _check(optimizer[name].dtype == np.float32, name, optimizer[name].dtype)
    _check((optimizer["square"] >= 0).all(), "square", "less than zero")


def writable(value):
    """Return a state with copies of those arrays that are only read, such as those of a mapped file.

    torch has no tensors of such memory.
    """
    if isinstance(value, dict):
        return {name: writable(part) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(writable, value))
    read_only = isinstance(value, np.ndarray) and not value.flags.writeable
    return np.array(value) if read_only else value
