"""`tf.io.gfile`: files and folders. Paths of clouds are none that the system knows.

>>> import tempfile
>>> import cnnrs.compat.tf as tf
>>> with tempfile.TemporaryDirectory() as folder:
...     path = tf.io.gfile.join(folder, "a.txt")
...     with tf.io.gfile.GFile(path, "w") as file:
...         _ = file.write("some text")
...     tf.io.gfile.exists(path), tf.io.gfile.listdir(folder), tf.io.gfile.GFile(path).read()
(True, ['a.txt'], 'some text')
"""

from __future__ import annotations

import glob as _glob
import os
import shutil
from collections.abc import Iterator
from typing import Any

from cnnrs.base.arguments import file_path
from cnnrs.compat.tf.namespaces import unknown
from cnnrs.data.strings import StringTensor

__all__ = [
    "GFile",
    "copy",
    "exists",
    "get_registered_schemes",
    "glob",
    "isdir",
    "join",
    "listdir",
    "makedirs",
    "mkdir",
    "remove",
    "rename",
    "rmtree",
    "stat",
    "walk",
]


def local(path: Any, function: str) -> str:
    """A path as text, without the scheme of local files.

    Raises:
        TypeError: It is no path.
        ValueError: It is one of a cloud.
    """
    text = file_path(path.item() if isinstance(path, StringTensor) else path, f"tf.io.{function}")
    text = text.removeprefix("file://")
    scheme, found, _ = text.partition("://")
    if found and scheme.isalnum():
        raise ValueError(f"tf.io.{function}: expected a path of this system, received {text!r}")
    return text


class GFile:
    """An open file, with Python's methods and those of TensorFlow.

    Args:
        name: The path.
        mode: As for `open`; without "b" the file is text.
    """

    def __init__(self, name: Any, mode: str = "r"):
        self._name, self._mode = name, mode
        self._opened: Any = None

    @property
    def _file(self) -> Any:
        # As in TensorFlow, the file is opened when it is first used.
        if self._opened is None:
            # A mode that is not written out here says nothing to type checkers.
            text = {} if "b" in self._mode else {"encoding": "utf-8"}
            self._opened = open(local(self._name, "gfile.GFile"), self._mode, **text)  # type: ignore[call-overload]
        return self._opened

    @property
    def name(self) -> Any:
        """The path."""
        return self._name

    @property
    def mode(self) -> str:
        """How the file was opened."""
        return self._mode

    def read(self, n: int = -1) -> Any:
        """The next characters or bytes; all for -1."""
        return self._file.read(n)

    def readline(self) -> Any:
        """The next line."""
        return self._file.readline()

    def readlines(self) -> list[Any]:
        """All lines."""
        lines: list[Any] = self._file.readlines()
        return lines

    def write(self, file_content: Any) -> None:
        """Appends text or bytes."""
        content = file_content.item() if isinstance(file_content, StringTensor) else file_content
        if "b" in self._mode and isinstance(content, str):
            content = content.encode()
        elif "b" not in self._mode and isinstance(content, bytes):
            content = content.decode()
        self._file.write(content)

    def seek(self, offset: int, whence: int = 0) -> None:
        """Goes to a place."""
        self._file.seek(offset, whence)

    def seekable(self) -> bool:
        """Whether `seek` works."""
        return bool(self._file.seekable())

    def tell(self) -> int:
        """The place that is read or written next."""
        return int(self._file.tell())

    def size(self) -> int:
        """The size in bytes."""
        return os.path.getsize(local(self._name, "gfile.GFile"))

    def flush(self) -> None:
        """Hands what was written to the system."""
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        if self._opened is not None:
            self._opened.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)

    def __next__(self) -> Any:
        return next(self._file)

    def __enter__(self) -> GFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def exists(path: Any) -> bool:
    """Whether there is such a file or folder."""
    return os.path.exists(local(path, "gfile.exists"))


def isdir(path: Any) -> bool:
    """Whether it is a folder."""
    return os.path.isdir(local(path, "gfile.isdir"))


def glob(pattern: Any) -> list[str]:
    """The paths that match a pattern, or one of several, in order."""
    patterns = pattern if isinstance(pattern, (list, tuple)) else [pattern]
    return [path for one in patterns for path in sorted(_glob.glob(local(one, "gfile.glob")))]


def join(path: Any, *paths: Any) -> str:
    """Parts of a path, put together."""
    return os.path.join(*(local(part, "gfile.join") for part in (path, *paths)))


def listdir(path: Any) -> list[str]:
    """The names in a folder, in order."""
    return sorted(os.listdir(local(path, "gfile.listdir")))


def mkdir(path: Any) -> None:
    """Makes a folder in one that is there."""
    os.mkdir(local(path, "gfile.mkdir"))


def makedirs(path: Any) -> None:
    """Makes a folder and those around it, unless they are there."""
    os.makedirs(local(path, "gfile.makedirs"), exist_ok=True)


def remove(path: Any) -> None:
    """Deletes a file."""
    os.remove(local(path, "gfile.remove"))


def rmtree(path: Any) -> None:
    """Deletes a folder with all that is in it."""
    shutil.rmtree(local(path, "gfile.rmtree"))


def _free(dst: Any, overwrite: bool, function: str) -> str:
    target = local(dst, function)
    if not overwrite and os.path.exists(target):
        raise FileExistsError(f"tf.io.{function}: {target} is there; overwrite=True replaces it")
    return target


def rename(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Gives a file or folder another name."""
    os.replace(local(src, "gfile.rename"), _free(dst, overwrite, "gfile.rename"))


def copy(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Copies a file."""
    shutil.copyfile(local(src, "gfile.copy"), _free(dst, overwrite, "gfile.copy"))


def walk(top: Any, topdown: bool = True, onerror: Any = None) -> Iterator[tuple[str, list[str], list[str]]]:
    """The folders below one: of each its path, and the names of folders and of files in it."""
    return os.walk(local(top, "gfile.walk"), topdown, onerror)


class _Stat:
    """What the system knows of a file.

    Attributes:
        length: Its size in bytes.
        mtime_nsec: When it was changed, in nanoseconds.
        is_directory: Whether it is a folder.
    """

    def __init__(self, path: str):
        found = os.stat(path)
        self.length, self.mtime_nsec, self.is_directory = (
            found.st_size,
            found.st_mtime_ns,
            os.path.isdir(path),
        )


def stat(path: Any) -> _Stat:
    """What the system knows of a file: `length`, `mtime_nsec`, `is_directory`."""
    return _Stat(local(path, "gfile.stat"))


def get_registered_schemes() -> list[str]:
    """The kinds of paths that are known: local ones."""
    return ["", "file"]


__getattr__ = unknown("tf.io.gfile", {}, __all__)
