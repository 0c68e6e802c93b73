"""Files that are whole or not there."""

import os
import secrets
from contextlib import contextmanager


@contextmanager
def replacing(path):
    """Yield a new file that takes the place of the one at ``path`` once it is on the disk."""
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"There is no folder {folder!r} to write {name!r} to: make it first."
        )
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"{path!r} is a folder: pass the path of a file, such as one in it."
        )
    part = os.path.join(folder, f".{name[:50]}.{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        if os.path.lexists(part):
            os.remove(part)
        raise
    _sync(folder)


def _sync(folder):
    """Put a folder's entries on the disk, where the system knows how."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
