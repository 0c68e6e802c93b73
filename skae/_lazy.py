"""Names that are imported where they are first used: torch is, with them."""

from importlib import import_module

NEEDED = "torch", "skorch"  # packages that an installation which serves models can do without


def lazily(package, places):
    """Return a ``__getattr__`` for a package, given its modules and the names in each, parted by spaces."""
    modules = {name: module for module, names in places.items() for name in names.split()}

    def __getattr__(name):
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = import_module(f"{package}.{modules[name]}")
        except ModuleNotFoundError as error:
            if error.name not in NEEDED:
                raise
            raise ModuleNotFoundError(
                f"Training, and models that were loaded with engine='torch', need {error.name}, "
                f"which is not installed here: pip install torch skorch.",
                name=error.name,
            ) from error
        return getattr(module, name)

    return __getattr__
