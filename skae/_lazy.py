"""Names that are imported where they are first used: torch is, with them."""

from importlib import import_module


def lazily(package, places):
    """Return a ``__getattr__`` for a package.

    Parameters
    ----------
    package : str
        Its name.
    places : dict
        Modules of the package, and the names in each, parted by spaces.
    """
    modules = {name: module for module, names in places.items() for name in names.split()}

    def __getattr__(name):
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return __getattr__
