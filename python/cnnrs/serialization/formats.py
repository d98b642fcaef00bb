"""File formats: the suffix by which a path says what the file holds, and who reads and writes such files."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cnnrs import _core
from cnnrs.base.arguments import file_path

__all__ = ["FORMATS", "Format", "check_model_path", "check_readable", "check_weights_path", "format_of"]


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

# Suffixes of files that other libraries write, and whose.
_FOREIGN = {
    ".keras": "a file of Keras",
    ".h5": "an HDF5 file",
    ".hdf5": "an HDF5 file",
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
    if whose is not None and not path.endswith(tuple(row.suffix for row in FORMATS)):
        if not os.path.exists(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        known = " and ".join(row.suffix for row in FORMATS)
        raise ValueError(
            f"{path!r} is {whose} by its name; this version reads {known} files alone. "
            "Build the model here, and set_weights() to the arrays of the other's get_weights()"
        )


def _check(filepath: Any, before: str, what: str) -> str:
    path = file_path(filepath, what)
    suffixes = [before + row.suffix for row in FORMATS]
    if not path.endswith(tuple(suffixes)):
        expected = " or ".join(map(repr, suffixes))
        whose = _foreign(path)
        hint = "other formats are not written" if whose is None else f"{whose} is not written by this version"
        raise ValueError(f"{what}: expected a path ending in {expected}, received {path!r}; {hint}")
    return path


def check_model_path(filepath: Any) -> str:
    """The path of a model's file; ValueError unless it ends in the suffix of a format.

    >>> from cnnrs import saving
    >>> saving.check_model_path("m.safetensors")
    'm.safetensors'
    """
    path = _check(filepath, "", "model file")
    if path.removesuffix(format_of(path).suffix).endswith(_WEIGHTS):
        raise ValueError(f"model file: {path!r} is the name of a file of weights; use save_weights")
    return path


def check_weights_path(filepath: Any) -> str:
    """The path of a file of weights; ValueError unless it ends in ".weights" and the suffix of a format.

    >>> from cnnrs import saving
    >>> saving.check_weights_path("m.weights.safetensors")
    'm.weights.safetensors'
    """
    return _check(filepath, _WEIGHTS, "weights file")
