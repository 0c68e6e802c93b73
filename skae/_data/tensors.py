"""torch tensors in and out, where scikit-learn's ``array_api_dispatch`` asks for it."""

import sys

import numpy as np
from sklearn import get_config


def as_arrays(*values):
    """Return tensors as NumPy arrays, and other values as they are.

    Raises
    ------
    TypeError
        For arrays of other libraries, and for types that NumPy does not have.
    """
    return [_as_array(value) for value in values]


def like(array, X):
    """Return an array as what X is: a tensor on its device, or the array itself; frames stay."""
    if not (_dispatches() and _is_tensor(X) and isinstance(array, np.ndarray)):
        return array
    return sys.modules["torch"].from_numpy(array).to(X.device)


def _as_array(value):
    if not _dispatches() or isinstance(value, np.ndarray | np.generic):
        return value
    if _is_tensor(value):
        if value.dtype == sys.modules["torch"].bfloat16:
            raise TypeError("A tensor of bfloat16 has no NumPy type: pass tensor.float().")
        return value.detach().cpu().numpy()
    if hasattr(value, "__array_namespace__"):
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise TypeError(
            f"array_api_dispatch=True: skae takes NumPy arrays and torch tensors, not {kind}: "
            "convert it, for example with torch.from_dlpack."
        )
    return value


def _dispatches():
    return get_config()["array_api_dispatch"]


def _is_tensor(value):
    """Return whether a value is a tensor; where torch was not imported, none is."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)
