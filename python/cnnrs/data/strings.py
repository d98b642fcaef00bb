"""`StringTensor`: text among the tensors of a data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnrs import ops

__all__ = ["StringTensor", "as_bytes", "is_text"]


def as_bytes(value: Any) -> bytes:
    """Text, a path or bytes as bytes: text in UTF-8.

    Raises:
        TypeError: It is none of them.

    >>> as_bytes("ä")
    b'\\xc3\\xa4'
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        # Names of files need not be UTF-8; Python has their other bytes as surrogates.
        return value.encode(errors="surrogateescape")
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, StringTensor):
        return as_bytes(value.numpy())
    if isinstance(value, os.PathLike):
        return os.fsencode(value)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return as_bytes(value.item())
    raise TypeError(f"expected text or bytes, received {type(value).__name__}")


def is_text(value: Any) -> bool:
    """Whether it is text: str, bytes, a path, a `StringTensor` or an array of text.

    >>> is_text("a"), is_text(np.array(["a"])), is_text(1)
    (True, True, False)
    """
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.kind in "SUT":
            return True
        if value.dtype.kind != "O":
            return False
        return bool(value.size) and all(isinstance(v, (str, bytes, os.PathLike)) for v in value.ravel())
    return isinstance(value, (str, bytes, os.PathLike, StringTensor))


class StringTensor:
    """Text with a shape, as bytes: what data sets and `compat.tf` have in the place of a tensor of strings.

    No op of `cnnrs.ops` takes it; comparing two gives a tensor of bool.

    Attributes:
        dtype: "string".
        shape: The extents, () of one text.

    Args:
        value: Text, bytes, a path, or a nested list or an array of these.

    Raises:
        TypeError: Something is no text.

    Example:
        >>> from cnnrs.data import StringTensor
        >>> names = StringTensor(["cat", "dog"])
        >>> names.shape, names[1].numpy(), (names == "dog").tolist()
        ((2,), b'dog', [False, True])
    """

    dtype = "string"
    __hash__ = object.__hash__
    # numpy's operators leave the work to those of this class.
    __array_ufunc__ = None

    def __init__(self, value: Any):
        if isinstance(value, StringTensor):
            self.array: np.ndarray = value.array
            return
        if not isinstance(value, np.ndarray) and not isinstance(value, (list, tuple)):
            array = np.empty((), object)
            array[()] = as_bytes(value)
        else:
            given = value if isinstance(value, np.ndarray) else _nested(value)
            array = np.empty(given.shape, object)
            array.reshape(-1)[:] = [as_bytes(v) for v in given.ravel().tolist()]
        self.array = array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    @property
    def size(self) -> int:
        """The number of texts."""
        return self.array.size

    def numpy(self) -> Any:
        """Bytes if there are no axes; else an array of bytes, of dtype object."""
        return self.array.item() if self.array.ndim == 0 else self.array.copy()

    def item(self) -> bytes:
        """The bytes of the only text."""
        value = self.array.item()
        assert isinstance(value, bytes)
        return value

    def tolist(self) -> Any:
        """Bytes, in nested lists if there are axes."""
        return self.array.tolist()

    def map(self, function: Callable[[bytes], Any]) -> StringTensor:
        """A `StringTensor` of what a function makes of each text."""
        return StringTensor(self.array_of(function, object))

    def array_of(self, function: Callable[[bytes], Any], dtype: Any) -> np.ndarray:
        """An array of what a function makes of each text."""
        results = np.empty(self.array.shape, dtype)
        results.reshape(-1)[:] = [function(v) for v in self.array.ravel().tolist()]
        return results

    def reshape(self, *shape: Any) -> StringTensor:
        """The same texts with other axes."""
        return StringTensor(self.array.reshape(*shape))

    def _compared(self, other: Any, equal: bool) -> Any:
        try:
            texts = StringTensor(other)
        except TypeError:
            return NotImplemented
        return ops.convert_to_tensor(np.asarray((self.array == texts.array) == equal, bool))

    def __eq__(self, other: object) -> Any:
        return self._compared(other, True)

    def __ne__(self, other: object) -> Any:
        return self._compared(other, False)

    def __add__(self, other: Any) -> StringTensor:
        return StringTensor(np.asarray(self.array + StringTensor(other).array, object))

    def __radd__(self, other: Any) -> StringTensor:
        return StringTensor(other) + self

    def __getitem__(self, key: Any) -> StringTensor:
        if hasattr(key, "numpy"):
            key = key.numpy()
        return StringTensor(self.array[key])

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a single text has no len(); .numpy() gives its bytes")
        return len(self.array)

    def __iter__(self) -> Iterator[StringTensor]:
        if not self.ndim:
            raise TypeError("a single text cannot be iterated over; .numpy() gives its bytes")
        return (StringTensor(value) for value in self.array)

    def __fspath__(self) -> str:
        return os.fsdecode(self.item())

    def __bytes__(self) -> bytes:
        return self.item()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        # Other libraries know text by its type, as they would not by object.
        if dtype is not None and np.dtype(dtype).kind != "U":
            return self.array.astype(dtype)
        if not _is_utf8(self):
            return self.array
        # numpy itself would take the bytes for ASCII.
        texts = np.array([value.decode() for value in self.array.ravel().tolist()], dtype or np.str_)
        return texts.reshape(self.array.shape)

    def __repr__(self) -> str:
        return f"<StringTensor shape={self.shape} {self.array.tolist()!r}>"


def _is_utf8(texts: StringTensor) -> bool:
    try:
        for value in texts.array.ravel().tolist():
            value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _nested(value: Any) -> np.ndarray:
    """Lists of texts as an array, which numpy must not take for sequences of characters."""
    if not isinstance(value, (list, tuple)):
        single = np.empty((), object)
        single[()] = as_bytes(value)
        return single
    parts = [_nested(v) for v in value]
    if len({part.shape for part in parts}) > 1:
        raise ValueError(f"expected texts in rows of one length, received shapes {[p.shape for p in parts]}")
    return np.stack(parts) if parts else np.empty((0,), object)
