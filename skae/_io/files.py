"""Files of fitted estimators that hold numbers and text, and no code."""

import json
import os
import stat
from contextlib import contextmanager
from importlib.metadata import version

import sklearn

from skae import _model
from skae._disk import replacing
from skae._estimators.base import BaseEncoder
from skae._estimators.outlier import AutoencoderOutlierDetector
from skae._estimators.supervised import Supervised
from skae._io import safetensors
from skae._io.json import CannotKeep, decode, encode
from skae._model import CannotDescribe
from skae._parameters import has_own_code

FORMAT = 2  # since 2 a table's missing cells are filled by a factor analysis, whose parts are kept
ENGINES = "torch", "numpy"
PACKAGES = "skae", "numpy", "scikit-learn", "torch"  # whose versions a file holds
METHODS = "fit", "partial_fit", "score"  # that metadata may be routed to
SHADOWS = "_metadata_request", "_skl_callbacks", "_model", "_engine"  # attributes that act
FITTED = {"module_", "autoencoder_"}  # what a fitted estimator has: a network, or one that has it
KEPT = BaseEncoder, AutoencoderOutlierDetector, Supervised
NETWORK = "_built", "encoder", "decoder", "activation", "noise"  # what a network is made of
OWN_CODE = "encoder", "decoder", "noise", "callbacks", "_skl_callbacks"  # what may be a user's


class LoadError(ValueError):
    """A file that `load` refuses: damaged, changed, of another kind, or from a newer release."""


def save(estimator, path):
    r"""Write an estimator of skae, fitted or not, to a file.

    The file holds its parameters, its fitted attributes and the weights of
    its network, as JSON and arrays in the safetensors format, and a SHA-256 of
    it all. It replaces an older file only once it is complete and on the disk.

    Parameters
    ----------
    estimator : object
        Of one of skae's classes. For a Pipeline or a search, which contain
        estimators of other packages, use ``skops.io.dump``.
    path : str or path-like
        Such as ``"model.skae"``.

    Raises
    ------
    TypeError
        For a parameter that is code, which the file must not hold: your own
        ``encoder``, ``decoder`` and ``noise``,
        callbacks, an activation that is not torch's; and for a RandomState.
        The message says what to do.
    ValueError
        For parameters that ``fit`` would refuse, and for a history of more
        than about 10,000 epochs.
    OSError
        If the file cannot be written. An older file is as it was.

    See Also
    --------
    load : Reads the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_wine
    >>> import skae
    >>> X = load_wine().data
    >>> ae = skae.AutoencoderTransformer(2, max_iter=5, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skae.save(ae, Path(folder) / "model.skae")
    ...     same = skae.load(Path(folder) / "model.skae")
    >>> bool((same.transform(X) == ae.transform(X)).all())
    True
    """
    arrays = {}
    metadata = {
        "format": f"skae {FORMAT}",
        "versions": _json({name: version(name) for name in PACKAGES}),
        "estimator": _json(_described(estimator, arrays)),
    }
    with replacing(path) as file:
        safetensors.write(file, arrays, metadata)


def load(path, engine="torch"):
    """Read an estimator that `save` wrote.

    No code of the file is run, and only skae's own classes are created. Sizes are
    checked before memory is allocated: at most twice the size
    of the file, and some 24 MiB for its JSON. Whoever can change the file can
    change what the model computes.

    Parameters
    ----------
    path : str or path-like
    engine : {"torch", "numpy"}, default="torch"
        "numpy" returns an estimator that works without torch installed: ``transform``,
        ``transform_distribution``,
        ``inverse_transform``, ``reconstruct``, ``reconstruction_error``,
        ``impute``, ``interpolate``, ``score``, ``score_by_column``,
        ``score_samples``, ``predict``, ``predict_proba``, and all methods of detectors,
        classifiers and regressors. Results agree with torch's within 1e-12 of each column's
        largest value (1e-5 for float32, of which a p-value may differ by a step). ``fit`` still needs torch.

    Returns
    -------
    estimator : object
        As it was saved, to the bit; on the CPU.

    Raises
    ------
    LoadError
        If the file is damaged or not of this kind, or if a newer release of
        skae wrote it: the message says which. With ``engine="numpy"`` also
        for networks with convolutions, recurrent units, your own modules,
        or an activation that is not one of skae's.
    ValueError
        For another ``engine``.
    OSError
        If there is no such file, or it cannot be read.

    See Also
    --------
    save : Shows an example.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r}: expected one of {ENGINES}.")
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise LoadError(f"{path} is not a file: pass the path of one that skae.save wrote.")

    with open(path, "rb") as file, _refused(path):
        header = safetensors.read_header(file)
        _check_format(header.metadata)
        arrays = safetensors.read_arrays(file, header)
        described = safetensors.parse(header.metadata["estimator"].encode("ascii"))
        estimator = _made(described, arrays, engine)
        if arrays:
            raise ValueError(f"nothing needs its array {next(iter(arrays))}")
        return estimator


@contextmanager
def _refused(path):
    """Turn whatever is wrong with a file into a `LoadError`."""
    try:
        yield
    except (OSError, MemoryError):
        raise
    except _Newer as error:
        raise LoadError(f"{path} {error}") from None
    except CannotDescribe as error:
        raise LoadError(
            f"{path} is not served by engine='numpy': {error}. Take engine='torch', or skae.onnx."
        ) from None
    except ModuleNotFoundError as error:
        raise LoadError(f"{path} cannot be read here: {error}") from None
    except Exception as error:
        reason = str(error).partition("\n")[0][:300] or type(error).__name__
        raise LoadError(
            f"{path} is damaged, or was not written by skae.save: {reason}. Take another copy of "
            "it, or fit and save again."
        ) from error


class _Newer(Exception):
    """A file of a format that a newer release made."""


def _check_format(metadata):
    name, number = metadata["format"].split()
    if name != "skae" or int(number) < 1:
        raise ValueError(f"its format is {metadata['format']!r}")
    if int(number) > FORMAT:
        release = json.loads(metadata["versions"])["skae"]
        raise _Newer(
            f"has format {int(number)}, which skae {release} reads; this is skae "
            f"{version('skae')}, which reads formats up to {FORMAT}: install skae {release} or newer."
        )


# estimators ---------------------------------------------------------------------------------------


def _classes():
    """Return the public estimators that are kept, by name: what a file may name."""
    import skae

    public = {name: getattr(skae, name) for name in skae.__all__}
    return {
        name: kind
        for name, kind in public.items()
        if isinstance(kind, type) and issubclass(kind, KEPT)
    }


def _described(estimator, arrays):
    """Return class and state as JSON; the arrays are put into ``arrays``."""
    name = type(estimator).__name__
    if _classes().get(name) is not type(estimator):
        raise TypeError(
            f"skae.save keeps estimators of skae ({', '.join(_classes())}), not {name}: for others, "
            "and for a Pipeline with one, take skops.io.dump."
        )
    estimator._validate_params()
    state = estimator.__getstate__()
    requests = _requests(state.pop("_metadata_request", None))
    _serve(state, None)
    if not state.keys() & FITTED:  # a fit that failed may have left something
        state = {key: state[key] for key in state if key in _unfitted(estimator)}
    try:
        _check_no_code(state)
        encoded = {key: _encoded(value, key, arrays) for key, value in state.items()}
    except CannotKeep as error:
        raise TypeError(_way_out(estimator, error.path, error.value)) from None
    _check_names(estimator, state)
    return {"class": name, "state": encoded, "requests": requests}


def _encoded(value, key, arrays):
    """Return a value as JSON; an autoencoder within an estimator is described in its turn."""
    if isinstance(value, BaseEncoder):
        return {"$estimator": _described(value, arrays)}
    return encode(value, key, arrays)


def _decoded(value, kind, arrays, engine):
    """Return the value that `_encoded` was given; ``kind`` is that of its owner."""
    if isinstance(value, dict) and value.keys() == {"$estimator"}:
        described = value["$estimator"]
        inner = _classes()[described["class"]]
        if issubclass(kind, BaseEncoder) or not issubclass(inner, BaseEncoder):
            raise ValueError(f"{kind.__name__} has no {inner.__name__} within")
        return _made(described, arrays, engine)
    return decode(value, arrays)


def _made(described, arrays, engine):
    """Return the estimator of a description; what it takes of ``arrays`` is removed there."""
    kind = _classes()[described["class"]]
    state = {
        key: _decoded(value, kind, arrays, engine) for key, value in described["state"].items()
    }
    _check_no_code(state)
    estimator = kind()  # parameters that its release did not have yet
    _check_names(estimator, state)
    _model.check_output(state)
    _serve(state, engine)
    estimator.__setstate__(state)
    estimator._validate_params()
    _route(estimator, described["requests"])
    return estimator


def _networks(state):
    """Yield the states of networks: an estimator's own, and an encoder that was fine-tuned."""
    yield state
    if isinstance(state.get("_encoder"), dict):
        yield state["_encoder"]


def _serve(state, engine):
    """Say in a state what its networks are run by; nothing for torch."""
    for network in _networks(state):
        network.pop("_engine", None)
        if engine == "numpy" and "module_" in network:
            network["_engine"] = engine


def _check_names(estimator, state):
    """Refuse attributes that no fit makes, and those that would hide what the class has."""
    if not state.keys() & FITTED and state.keys() - _unfitted(estimator):
        raise ValueError("it has fitted attributes, but no network")
    for name in state.keys() - estimator.get_params(deep=False).keys():
        fitted = name.isidentifier() and name.startswith("_") != name.endswith("_")
        if not fitted or hasattr(type(estimator), name) or name in SHADOWS:
            raise ValueError(
                f"{type(estimator).__name__} has no attribute {name[:80]!r} that a file could keep"
            )


def _unfitted(estimator):
    """Return the attributes that an estimator without a network has."""
    return {*estimator.get_params(deep=False), "_sklearn_output_config", "_skl_callbacks"}


def _check_no_code(state):
    """Refuse what skae would call while it builds or trains a network, unless it is torch's."""
    for place in [part for whole in _networks(state) for part in (whole, whole.get("_built", {}))]:
        for name in OWN_CODE:
            value = place.get(name)
            if value and not isinstance(value, str):
                raise CannotKeep(name, value)
        if has_own_code(place.get("activation", ""), ()):
            raise CannotKeep("activation", place["activation"])


def _way_out(estimator, path, value):
    name = path.split(".")[0].split("[")[0]
    if name in NETWORK:
        way = (
            "The network needs it: take skae's own (hidden_layer_sizes, activation, noise), or "
            "save with joblib.dump, whose files can run code when they are loaded"
        )
    elif name in estimator.get_params(deep=False):
        way = f"set_params({name}={getattr(type(estimator)(), name)!r})"
        way = f"What was fitted does not need it: call {way} before, and set it again after loading"
    elif name == "_skl_callbacks":
        way = "What was fitted does not need it: call set_callbacks() before"
    else:
        way = "Save with joblib.dump, whose files can run code when they are loaded"
    return (
        f"skae.save cannot keep {path}={value!r}: a file holds numbers, text and arrays, and "
        f"{type(value).__name__} is none of these. {way}."
    )


def _json(value):
    return json.dumps(value, separators=(",", ":"))


def _requests(request):
    """Return the metadata that methods ask for, as `set_fit_request` and its like take it."""
    if request is None:
        return {}
    return {method: dict(getattr(request, method).requests) for method in METHODS}


def _route(estimator, requests):
    with sklearn.config_context(enable_metadata_routing=True):
        for method, asked in requests.items():
            if method not in METHODS:
                raise ValueError(f"no metadata go to {method[:80]}")
            if asked:
                getattr(estimator, f"set_{method}_request")(**asked)
