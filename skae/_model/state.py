"""What a fitted state must look like: checked before anything is made of it."""

from dataclasses import fields

import numpy as np

from skae._parameters import check_parameters

MOST = 2**31  # of a size that no weights vouch for

# shapes, with k units of the code, p columns and m coded labels; those of the start may have more units
ARRAYS = {
    "mean_": "p",
    "scale_": "p",
    "_code_scale": "k",
    "components_": "kp",
    "explained_variance_ratio_": "k",
    "activation_rate_": "k",
    "kl_per_component_": "k",
    "active_units_": "k",
    "label_coef_": "mp",
    "label_intercept_": "m",
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
    "inertia": "k",
    "effects": "mp",
}
POSITIVE = {"scale_", "_code_scale", "scale", "deviations", "noise_variance_"}  # are divided by
UNLIKE_NUMBERS = {"explained_variance_ratio_"}  # that may say "not known"
KINDS = {
    "_nonlinear": bool,
    "_confined": bool,
    "_prefixes": bool,
    "history_": list,
    "loss_curve_": list,
    "validation_scores_": list | None,
    "pca_score_": float | None,
    "_optimizer_state": dict | None,
    "_skae_version": str,
}
COUNTS = {"n_features_in_", "n_components_", "batch_size_", "n_iter_"}
OPTIONAL = {
    "components_",
    "explained_variance_ratio_",
    "activation_rate_",
    "kl_per_component_",
    "active_units_",
    "label_coef_",
    "label_intercept_",
    "_optimizer_state",
}
CONTAINERS = {"transform": ("default", "pandas", "polars", None)}  # of set_output


def check_state(estimator, weights):
    """Refuse a fitted state whose parts do not belong together.

    Parameters
    ----------
    estimator : BaseEncoder
        With all of its state but the module.
    weights : dict of ndarray
        Of the module.

    Raises
    ------
    ValueError
        Or KeyError, where something is missing.
    """
    state = vars(estimator)
    for name in COUNTS:
        _check(_is_count(state[name]), name, state[name])
    for name, kind in KINDS.items():
        if name in state or name not in OPTIONAL:
            _check(isinstance(state[name], kind), name, state[name])
    check_tables(state)
    sizes = {"p": estimator._width, "k": state["n_components_"], "m": estimator._n_labels}
    for name, letters in ARRAYS.items():
        if name in state or name not in OPTIONAL:
            _check_array(name, state[name], letters, sizes)
    _check_start(estimator, state["_start"], sizes)
    _check_network(estimator, state, weights)
    _check_told(state, sizes)
    check_output(state)
    _check_optimizer(state.get("_optimizer_state"), weights)


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
    _check(array.dtype.kind in "bf", name, array.dtype)
    if name not in UNLIKE_NUMBERS:
        _check(np.isfinite(array).all(), name, "infinite or NaN")
    if name in POSITIVE:
        _check((array > 0).all(), name, "zero or less")


def _check_start(estimator, start, sizes):
    names = [field.name for field in fields(estimator._kind_of_start())]
    _check(isinstance(start, dict) and start.keys() == set(names), "_start", start)
    k = len(start["deviations"])
    _check(k >= sizes["k"], "_start", f"of {k} components")
    for name in names:
        _check_array(name, start[name], START[name], {**sizes, "k": k})


def _check_network(estimator, state, weights):
    """Refuse a network that cannot be the one of these weights; only then is it made."""
    built = state["_built"]
    _check(
        isinstance(built, dict) and built.keys() == set(estimator._architecture), "_built", built
    )
    known = estimator._parameter_constraints
    chosen = {name: value for name, value in built.items() if name in known}
    check_parameters({name: known[name] for name in chosen}, chosen, type(estimator).__name__)
    for name in built.keys() - chosen.keys():  # what the class itself has settled
        settled = getattr(estimator, name)
        _check(type(built[name]) is type(settled) and built[name] == settled, name, built[name])
    hidden = state["hidden_layer_sizes_"]
    _check(isinstance(hidden, tuple) and all(map(_is_count, hidden)), "hidden_layer_sizes_", hidden)
    if state["_nonlinear"] and built.get("encoder") is None:
        _check(len(hidden) < len(weights), "hidden_layer_sizes_", hidden)
    for name, array in weights.items():
        _check(np.isfinite(array).all(), name, "infinite or NaN")


def _check_told(state, sizes):
    """Check what a fit tells of itself and of its columns."""
    _check(_is_count(state["best_iter_"], least=0), "best_iter_", state["best_iter_"])
    _check(all(isinstance(row, dict) for row in state["history_"]), "history_", "of such rows")
    for name in ("loss_curve_", "validation_scores_"):
        _check(all(isinstance(x, float) for x in state[name] or ()), name, "of such values")
    if "noise_variance_" in state:
        _check_array("noise_variance_", state["noise_variance_"], "", sizes)
    names = state.get("feature_names_in_")
    if names is not None:
        good = isinstance(names, np.ndarray) and names.shape == (state["n_features_in_"],)
        _check(good and all(isinstance(n, str) for n in names), "feature_names_in_", names)


def check_tables(state):
    """Refuse what is known of a table's columns where its parts do not belong together."""
    n, blocks, encoder = state["n_features_in_"], state["_blocks"], state.get("table_encoder_")
    known = state["_fields"]
    _check(known is None or (isinstance(known, list) and len(known) == n), "_fields", known)
    if known is not None:
        _check(state["_library"] in ("pandas", "polars"), "_library", state["_library"])
    _check(encoder is None or blocks is not None, "table_encoder_", "without blocks")
    if blocks is None:
        return
    blocks.check(n)
    if encoder is None:
        _check(not any(blocks.n_levels), "_blocks", "with categories")
        return
    encoder.check_state(n, blocks.n_levels)
    _check_array("_column_weights", state["_column_weights"], "n", {"n": n})


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


def fill(module, weights, own):
    """Make arrays the weights of a module; torch refuses other names and shapes.

    Parameters
    ----------
    module : nn.Module
        In float64; on the "meta" device, where nothing was allocated yet.
    weights : dict of ndarray
    own : bool
        Whether the module is partly a user's; it has memory then, and gets copies.
    """
    import torch

    if own:
        weights = {name: torch.tensor(array) for name, array in weights.items()}
    else:
        for name, array in weights.items():
            _check(array.dtype == np.float64, name, array.dtype)
        weights = {
            name: torch.from_numpy(np.require(array, requirements=["C", "A", "W"]))
            for name, array in weights.items()
        }
    module.load_state_dict(weights, assign=not own)
