"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile

__all__ = ["write_bytes"]


def write_bytes(path: str, data: bytes) -> None:
    """Replaces a file, or makes it; on any failure whatever stood there is untouched.

    Args:
        path: The file; a link stays one, and the file that it names is replaced.
        data: What the file holds then.

    Raises:
        OSError: The folder is not there, is full, or may not be written to.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bytes(os.path.join(folder, "a"), b"new")
    ...     os.listdir(folder)
    ['a']
    """
    path = os.path.realpath(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path!r}: expected the path of a file, received that of a folder")
    folder = os.path.dirname(path)
    try:
        mode = os.stat(path).st_mode & 0o7777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    handle, beside = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, mode)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
