"""`Unfinished`: a folder that is written before it gets its name, and goes if its writer is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

__all__ = ["Unfinished"]

# Within a hidden folder: what stood at the target until its successor was complete.
_REPLACED = "replaced"


class Unfinished:
    """A new hidden folder beside a path, for what will stand there.

    The process that writes the folder holds a lock on it, which ends with the process. Each writer to the
    same path first removes the folders that nobody locks. Where the system has no locks of folders (Windows,
    some file systems of networks), such folders stay.

    Attributes:
        path: The folder.

    Args:
        target: The path. Its parent exists.

    Raises:
        OSError: The parent takes no folder.
    """

    def __init__(self, target: Path):
        self._target = target
        _clear(target)
        self.path, self._lock = _new_folder(target)

    def finish(self, replace: bool) -> None:
        """Moves the folder to the target.

        Args:
            replace: Whether it replaces what stands there; otherwise that stays, and this folder is removed.

        Raises:
            OSError: The target cannot be written; what stood there still does.
        """
        if not self._target.exists():
            try:
                os.rename(self.path, self._target)
            except OSError:
                # Another process may have written the same meanwhile.
                if replace or not self._target.exists():
                    raise
        elif replace:
            old, lock = _new_folder(self._target)
            try:
                os.rename(self._target, old / _REPLACED)
                try:
                    os.rename(self.path, self._target)
                except OSError:
                    os.rename(old / _REPLACED, self._target)
                    raise
                shutil.rmtree(old, ignore_errors=True)
            finally:
                _release(lock)
        self.discard()

    def discard(self) -> None:
        """Removes the folder if it has not been moved."""
        shutil.rmtree(self.path, ignore_errors=True)
        lock, self._lock = self._lock, None
        _release(lock)


def _prefix(target: Path) -> str:
    return f".{target.name}.cnnrs-"


def _new_folder(target: Path) -> tuple[Path, int | None]:
    """A hidden folder beside the target, and the lock on it; None where there are no locks."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
        lock = _locked(path, wait=True)
        # Another writer that looked before the lock was there may have removed the folder.
        if path.exists():
            return path, lock
        _release(lock)


def _clear(target: Path) -> None:
    """Removes the folders of writers that are dead, and puts back what one of them had begun to replace."""
    for name in os.listdir(target.parent):
        if not name.startswith(_prefix(target)):
            continue
        folder = target.parent / name
        lock = _locked(folder, wait=False)
        if lock is None:
            continue
        try:
            if (folder / _REPLACED).exists() and not os.path.lexists(target):
                with contextlib.suppress(OSError):
                    os.rename(folder / _REPLACED, target)
            if not (folder / _REPLACED).exists() or os.path.lexists(target):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            _release(lock)


def _locked(folder: Path, wait: bool) -> int | None:
    """Locks a folder; None if another process has it, it is gone, or there are no locks.

    Args:
        folder: The folder. No link is followed.
        wait: Whether to wait for another process that has it.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(opened)
        return None
    return opened


def _release(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)
