"""MNIST: 70,000 handwritten digits of 28 × 28 pixels in 10 classes.

Y. LeCun, C. Cortes and C. J. C. Burges hold the copyright of the images, which are distributed under
CC BY-SA 3.0; the attribution lies beside the files.
"""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path

import numpy as np

from cnnrs.base.arguments import file_path, named
from cnnrs.datasets import idx

__all__ = ["load_data"]

_DEFAULT = "mnist.npz"
_FOLDER = Path(__file__).parent / "data" / "mnist"
_Split = tuple[np.ndarray, np.ndarray]

# Name, shape, SHA-256 of the unpacked file.
_FILES: dict[str, tuple[tuple[int, ...], str]] = {
    "train-images-idx3-ubyte": (
        (60000, 28, 28),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte": (
        (60000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte": (
        (10000, 28, 28),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte": (
        (10000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}
# Bytes of an array's header in an archive, at most.
_MOST_HEADER = 1 << 16
_NPZ_KEYS = (("x_train", "y_train"), ("x_test", "y_test"))


@named
def load_data(path: str = _DEFAULT) -> tuple[_Split, _Split]:
    """Loads MNIST from the files that ship with the package; nothing is downloaded.

    Args:
        path: The default name means the shipped files. Anything else is the path of an `.npz` file with
            the arrays `x_train`, `y_train`, `x_test` and `y_test`, such as Keras's own `mnist.npz`.

    Returns:
        `((x_train, y_train), (x_test, y_test))`: uint8 images of shape `(60000, 28, 28)` and
        `(10000, 28, 28)` with values 0 to 255, uint8 labels of shape `(60000,)` and `(10000,)` with
        values 0 to 9.

    Raises:
        ValueError: A file is truncated, foreign, or its checksum or its arrays differ from MNIST's.
        FileNotFoundError: No file is at `path`, or the shipped files are missing.

    Example:
        >>> from cnnrs.datasets import mnist
        >>> (x_train, y_train), (x_test, y_test) = mnist.load_data()
        >>> x_train.shape, x_train.dtype, y_test.shape
        ((60000, 28, 28), dtype('uint8'), (10000,))
    """
    name = file_path(path, "load_data")
    if name != _DEFAULT:
        return _load_npz(name)
    try:
        x_train, y_train, x_test, y_test = (
            idx.read_gzip(_FOLDER / f"{file}.gz", shape, sha256) for file, (shape, sha256) in _FILES.items()
        )
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error.filename}: a file that ships with cnnrs is missing: reinstall it with "
            "pip install --force-reinstall cnnrs, or give load_data the path of Keras's mnist.npz"
        ) from error
    return (x_train, y_train), (x_test, y_test)


def _load_npz(path: str) -> tuple[_Split, _Split]:
    """Keras's file: the same arrays under four names."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"path: no file at {path!r}; leave `path` out to load the shipped files")
    shapes = [shape for shape, _ in _FILES.values()]
    expected = dict(zip((key for pair in _NPZ_KEYS for key in pair), shapes, strict=True))
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {key: _read_npy(archive, key, shape) for key, shape in expected.items()}
    except MemoryError as error:
        raise MemoryError(f"{path}: {error}") from error
    except _WrongArrayError as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:
        # A damaged archive raises zipfile, zlib, KeyError, EOFError or ValueError, by where it is damaged.
        raise ValueError(
            f"{path}: expected an .npz file with {', '.join(expected)}, received: {error}"
        ) from error
    train, test = ((arrays[x], arrays[y]) for x, y in _NPZ_KEYS)
    return train, test


class _WrongArrayError(ValueError):
    """An array of an archive has another shape or dtype."""


def _read_npy(archive: zipfile.ZipFile, key: str, shape: tuple[int, ...]) -> np.ndarray:
    """An array of uint8, unpacked only after its size and its header are as they should be."""
    entry = archive.getinfo(f"{key}.npy")
    if entry.file_size > math.prod(shape) + _MOST_HEADER:
        raise _WrongArrayError(f"{key}: expected shape {shape} of uint8, received {entry.file_size} bytes")
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        found, _, dtype = read(file)
    if found != shape or dtype != np.uint8:
        raise _WrongArrayError(f"{key}: expected shape {shape} of uint8, received {found} of {dtype}")
    with archive.open(entry) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
