"""Arrays from pickles and from archives of numpy, without running what these may ask for.

Data sets of sequences are arrays of lists, which numpy stores as pickles, and CIFAR comes as pickles.
A pickle is a program: it may call anything that it can name. Here it can name three things, those that arrays
are made of, and gets stand-ins for them that only keep what they are told. The arrays are made afterwards.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

__all__ = ["load_npz", "unpickle"]

# Types of elements that arrays of data sets have.
_TYPES = {"u1", "i4", "i8", "f4", "f8", "b1"}


class _DType:
    """What a pickle says of the type of elements."""

    def __init__(self, code: Any = b"", *rest: Any):
        self.code, self.order = _text(code), "|"

    def __setstate__(self, state: Any) -> None:
        self.order = _text(state[1])


class _Array:
    """What a pickle says of an array."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def made(self) -> np.ndarray:
        """The array.

        Raises:
            UnpicklingError: It is no array of numbers or lists.
        """
        try:
            _, shape, dtype, fortran, content = self.state
            if dtype.code.startswith("O"):
                # Lists of one length stay lists.
                array = np.empty(len(content), object)
                array[:] = content
                return array.reshape(shape)
            if dtype.code not in _TYPES or dtype.order not in "|<>=":
                raise pickle.UnpicklingError(f"expected elements of {sorted(_TYPES)}, received {dtype.code}")
            order = "<" if dtype.order in "|=" else dtype.order
            flat = np.frombuffer(bytearray(content), order + dtype.code)
            return flat.reshape(shape, order="F" if fortran else "C")
        except (TypeError, ValueError, AttributeError) as error:
            raise pickle.UnpicklingError(f"expected an array, received {error}") from error


def _reconstruct(*arguments: Any) -> _Array:
    return _Array()


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"refused: the file asks for {module}.{name}, which no array needs")
        return _KNOWN[module, name]


def unpickle(file: BinaryIO, name: str) -> Any:
    """What a pickle of arrays, numbers, lists and dictionaries holds; text is bytes.

    Args:
        file: An open file.
        name: What it is called, for errors.

    Raises:
        ValueError: It is damaged, or asks for anything else. Nothing that it asks for is run.
    """
    try:
        found = _Unpickler(file, encoding="bytes").load()
        if isinstance(found, dict):
            return {key: value.made() if isinstance(value, _Array) else value for key, value in found.items()}
        return found.made() if isinstance(found, _Array) else found
    except Exception as error:
        # A damaged pickle raises UnpicklingError, EOFError, TypeError, IndexError and others.
        raise ValueError(f"{name}: not a pickle of arrays, or damaged: {error}") from error


def load_npz(path: str, names: Sequence[str]) -> list[np.ndarray]:
    """Arrays of an archive of numpy, those of lists included.

    Args:
        path: The `.npz` file.
        names: The names of the arrays.

    Raises:
        ValueError: It is damaged, lacks an array, or asks for more than arrays.
    """
    with open(path, "rb") as file:
        content = io.BytesIO(file.read())
    try:
        with zipfile.ZipFile(content) as archive:
            return [_load_npy(archive.read(f"{name}.npy"), name) for name in names]
    except MemoryError:
        raise
    except Exception as error:
        # A damaged archive raises zipfile, zlib, KeyError, EOFError or ValueError, by where it is damaged.
        raise ValueError(f"{path}: expected an archive of {', '.join(names)}, received: {error}") from error


def _load_npy(content: bytes, name: str) -> np.ndarray:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if not dtype.hasobject:
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)
    found = unpickle(file, name)
    if not isinstance(found, np.ndarray) or found.shape != shape:
        raise ValueError(f"{name}: expected an array of shape {shape}")
    return found
