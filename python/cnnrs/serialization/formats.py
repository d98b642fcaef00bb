"""File formats: the suffix by which a path says what the file holds, and who reads and writes such files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cnnrs import _core
from cnnrs.base.arguments import file_path

__all__ = [
    "FORMATS",
    "Format",
    "check_model_path",
    "check_readable",
    "check_weights_path",
    "format_of",
    "kind_of_file",
    "kind_of_path",
]


class Format(NamedTuple):
    """How tensors and strings lie in a file.

    Attributes:
        suffix: Suffix of the files of models; those of weights have ".weights" before it.
        write: Writes a file, atomically: of path, tensors by name, strings by name.
        read: Reads a file: tensors, strings, and whether it has a checksum, which fits.
    """

    suffix: str
    write: Callable[[str, dict[str, np.ndarray], dict[str, str]], None]
    read: Callable[[str], tuple[dict[str, np.ndarray], dict[str, str], bool]]


# One row a format. Files with other suffixes are read as the first.
FORMATS = [
    Format(".safetensors", _core.save_safetensors, _core.load_safetensors),
]

_WEIGHTS = ".weights"

# Suffixes of the files of Keras, by their kinds: archives, HDF5 files, tables of shards. `cnnrs.saving` reads
# and writes them, for what lies where in them depends on the model.
_KERAS = {"keras": (".keras",), "hdf5": (".h5", ".hdf5"), "shards": (".weights.json",)}
# How files of each kind begin.
_BEGINNINGS = {"keras": b"PK\x03\x04", "hdf5": b"\x89HDF\r\n\x1a\n"}
_CALLED = {
    "keras": "a .keras archive",
    "hdf5": "an HDF5 file",
    "shards": "a table of shards",
    "native": "a safetensors file",
}

# Suffixes of files that other libraries write, and whose.
_FOREIGN = {
    ".ckpt": "a checkpoint of TensorFlow",
    ".pb": "a graph of TensorFlow",
    ".tflite": "a model of LiteRT",
    ".onnx": "an ONNX file",
    ".npz": "arrays of numpy",
    ".pt": "a file of PyTorch",
    ".pth": "a file of PyTorch",
    ".pkl": "a pickle",
}


def format_of(path: str) -> Format:
    """The format of a file with this path.

    >>> format_of("m.weights.safetensors").suffix
    '.safetensors'
    """
    return next((row for row in FORMATS if path.endswith(row.suffix)), FORMATS[0])


def _foreign(path: str) -> str | None:
    """Whose files have the suffix of a path, if they are those of another library."""
    return next((whose for suffix, whose in _FOREIGN.items() if path.endswith(suffix)), None)


def check_readable(path: str) -> None:
    """ValueError if the suffix of a path is of files that are not read, FileNotFoundError if it is missing.

    >>> from cnnrs.serialization import formats
    >>> formats.check_readable("m.safetensors")
    """
    whose = _foreign(path)
    if whose is not None and not path.endswith(_suffixes()):
        if not os.path.exists(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        known = ", ".join([".keras", ".h5", *_suffixes()])
        raise ValueError(
            f"{path!r} is {whose} by its name; this version reads {known} files. "
            "Build the model here, and set_weights() to the arrays of the other's get_weights()"
        )


def kind_of_path(path: str) -> str:
    """The kind of file by the ending of its path: "keras", "hdf5", "shards", or "native" for the others.

    >>> kind_of_path("m.weights.h5"), kind_of_path("m.safetensors")
    ('hdf5', 'native')
    """
    return next((kind for kind, suffixes in _KERAS.items() if path.endswith(suffixes)), "native")


def kind_of_file(path: str) -> str:
    """The kind of a file, by how it begins and by the ending of its path.

    Raises:
        OSError: There is no such file, or it is a folder.
        ValueError: Its content is of another kind than its name says, or it is another library's.
    """
    check_readable(path)
    kind = kind_of_path(path)
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would wait for somebody who writes into it.
        raise OSError(errno.EINVAL, "expected a regular file", path)
    with open(path, "rb") as file:
        beginning = file.read(8)
    found = next((kind for kind, known in _BEGINNINGS.items() if beginning.startswith(known)), None)
    if found == kind or (found is None and kind not in _BEGINNINGS):
        return kind
    if found is not None and not path.endswith(
        (*(s for many in _KERAS.values() for s in many), *_suffixes())
    ):
        return found
    received = "neither that nor HDF5" if found is None and kind == "keras" else "something else"
    received = _CALLED[found] if found is not None else received
    if not beginning:
        received = "an empty file"
    raise ValueError(
        f"{path!r} is {_CALLED[kind]} by its name, but begins as {received}; "
        "it is damaged, or of another kind"
    )


def _suffixes() -> tuple[str, ...]:
    return tuple(row.suffix for row in FORMATS)


def _check(filepath: Any, suffixes: list[str], what: str) -> str:
    path = file_path(filepath, what)
    if not path.endswith(tuple(suffixes)):
        expected = ", ".join(map(repr, suffixes[:-1])) + f" or {suffixes[-1]!r}"
        whose = _foreign(path)
        hint = "other formats are not written" if whose is None else f"{whose} is not written by this version"
        raise ValueError(f"{what}: expected a path ending in {expected}, received {path!r}; {hint}")
    return path


def check_model_path(filepath: Any) -> str:
    """The path of a model's file; ValueError unless it ends in the suffix of a format.

    >>> from cnnrs import saving
    >>> saving.check_model_path("m.safetensors"), saving.check_model_path("m.keras")
    ('m.safetensors', 'm.keras')
    """
    path = _check(filepath, [".keras", ".h5", ".hdf5", *_suffixes()], "model file")
    suffix = next(s for s in (".keras", ".h5", ".hdf5", *_suffixes()) if path.endswith(s))
    if path.removesuffix(suffix).endswith(_WEIGHTS):
        raise ValueError(f"model file: {path!r} is the name of a file of weights; use save_weights")
    return path


def check_weights_path(filepath: Any, sharded: bool = False) -> str:
    """The path of a file of weights; ValueError unless it ends in ".weights" and the suffix of a format.

    Args:
        filepath: The path.
        sharded: Whether it is that of a table of several files.

    >>> from cnnrs import saving
    >>> saving.check_weights_path("m.weights.safetensors")
    'm.weights.safetensors'
    """
    if sharded:
        return _check(filepath, [".weights.json", ".weights.h5"], "weights in shards")
    return _check(filepath, [".weights.h5", *(_WEIGHTS + suffix for suffix in _suffixes())], "weights file")
