"""`tf.lookup`: tables from keys to values.

Tables of integers work inside of recorded functions; those with texts on either side run in Python.

>>> import cnnrs.compat.tf as tf
>>> pairs = tf.lookup.KeyValueTensorInitializer(["cat", "dog"], [0, 1])
>>> table = tf.lookup.StaticHashTable(pairs, default_value=-1)
>>> table.lookup(tf.constant(["dog", "cow"])).numpy().tolist()
[1, -1]
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.compat.tf import strings
from cnnrs.compat.tf.arguments import integer, tensor
from cnnrs.compat.tf.dtypes import as_dtype, int64, string
from cnnrs.compat.tf.namespaces import unknown

__all__ = [
    "KeyValueTensorInitializer",
    "StaticHashTable",
    "StaticVocabularyTable",
    "TextFileIndex",
    "TextFileInitializer",
    "experimental",
]


def _host(values: Any, dtype: Any = None) -> np.ndarray:
    """Keys or values as an array: texts as bytes."""
    if strings.is_text(values):
        return strings.as_array(values)
    array = np.asarray(values)
    return array if dtype is None else array.astype(as_dtype(dtype).as_numpy_dtype)


def _dtype(array: np.ndarray) -> Any:
    return string if array.dtype == object else as_dtype(array.dtype)


class KeyValueTensorInitializer:
    """Keys and values of a table.

    Args:
        keys: Integers or texts.
        values: A value for each.
        key_dtype: Type of the keys; int64 for integers without a type.
        value_dtype: Type of the values.
        name: What begins the message of an error.
    """

    def __init__(
        self, keys: Any, values: Any, key_dtype: Any = None, value_dtype: Any = None, name: str | None = None
    ):
        self.keys, self.values = (
            _host(x if strings.is_text(x) else tensor(x), dtype)
            for x, dtype in ((keys, key_dtype), (values, value_dtype))
        )
        if self.keys.shape != self.values.shape or self.keys.ndim != 1:
            raise ValueError(
                f"{name or 'KeyValueTensorInitializer'}: expected as many values as keys, received shapes "
                f"{self.keys.shape} and {self.values.shape}"
            )


class TextFileIndex:
    """What of a line a table takes: the whole line, or its number."""

    WHOLE_LINE = -2
    LINE_NUMBER = -1


class TextFileInitializer(KeyValueTensorInitializer):
    """Keys and values from the lines of a file.

    Args:
        filename: The file, in UTF-8.
        key_dtype: Type of the keys.
        key_index: `TextFileIndex.WHOLE_LINE`, `LINE_NUMBER`, or the number of a column.
        value_dtype: Type of the values.
        value_index: Likewise.
        vocab_size: How many lines; None for all.
        delimiter: Between columns.
        name: What begins the message of an error.
        value_index_offset: What is added to the numbers of lines.
    """

    def __init__(
        self,
        filename: Any,
        key_dtype: Any,
        key_index: int,
        value_dtype: Any,
        value_index: int,
        vocab_size: int | None = None,
        delimiter: str = "\t",
        name: str | None = None,
        value_index_offset: int = 0,
    ):
        path = filename.decode() if isinstance(filename, bytes) else filename
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")
        lines = lines[:-1] if lines and not lines[-1] else lines
        lines = lines if vocab_size is None else lines[:vocab_size]

        def column(index: int, dtype: Any, offset: int) -> Any:
            if index == TextFileIndex.LINE_NUMBER:
                return np.arange(len(lines)) + offset
            parts = (
                lines
                if index == TextFileIndex.WHOLE_LINE
                else [line.split(delimiter)[index] for line in lines]
            )
            return (
                parts
                if as_dtype(dtype) == string
                else [as_dtype(dtype).as_numpy_dtype(part) for part in parts]
            )

        super().__init__(
            column(key_index, key_dtype, 0),
            column(value_index, value_dtype, value_index_offset),
            None if as_dtype(key_dtype) == string else key_dtype,
            None if as_dtype(value_dtype) == string else value_dtype,
            name,
        )


class StaticHashTable:
    """A table that stays as it was made.

    Args:
        initializer: Its keys and values.
        default_value: The value of other keys.
        name: Name.
        experimental_is_anonymous: Either; tables have no shared names.
    """

    def __init__(
        self,
        initializer: Any,
        default_value: Any,
        name: str | None = None,
        experimental_is_anonymous: bool = False,
    ):
        if not isinstance(experimental_is_anonymous, bool):
            raise TypeError("StaticHashTable: experimental_is_anonymous: expected True or False")
        self.name = name or "table"
        self._values_dtype = _dtype(initializer.values)
        self._keys_dtype = _dtype(initializer.keys)
        self._default = _host(default_value)
        self._pairs: dict[Any, Any] = {}
        for key, value in zip(initializer.keys.tolist(), initializer.values, strict=True):
            if self._pairs.setdefault(key, value) != value:
                raise ValueError(f"{self.name}: key {key!r} has two values, {self._pairs[key]} and {value}")

    @property
    def key_dtype(self) -> Any:
        """The type of the keys."""
        return self._keys_dtype

    @property
    def value_dtype(self) -> Any:
        """The type of the values."""
        return self._values_dtype

    @property
    def default_value(self) -> Any:
        """The value of other keys."""
        return self._default if self._values_dtype == string else tensor(self._default)

    def size(self, name: str | None = None) -> Any:
        """How many keys there are; `name` is a text or None."""
        return tensor(np.array(len(self._pairs) if name is None or str(name) else 0, "int64"))

    def lookup(self, keys: Any, name: str | None = None) -> Any:
        """The values of keys, and the default value of those that are not there."""
        if self._keys_dtype == string or self._values_dtype == string:
            return self._in_python(keys, name)
        if strings.is_text(keys):
            raise TypeError(f"{name or self.name}: expected keys of {self._keys_dtype.name}, received texts")
        made = tensor(keys)
        known = np.array(sorted(self._pairs), self._keys_dtype.as_numpy_dtype)
        other = np.asarray(self._default, self._values_dtype.as_numpy_dtype)
        if not len(known):
            return ops.broadcast_to(other, tuple(made.shape))
        values = np.array([self._pairs[key] for key in known.tolist()], self._values_dtype.as_numpy_dtype)
        flat = ops.reshape(ops.cast(made, self._keys_dtype.name), (-1,))
        place = ops.minimum(ops.searchsorted(known, flat), len(known) - 1)
        found = ops.where(ops.equal(ops.take(known, place), flat), ops.take(values, place), other)
        return ops.reshape(found, tuple(made.shape))

    def _in_python(self, keys: Any, name: str | None) -> Any:
        given = _host(keys)
        if (given.dtype == object) != (self._keys_dtype == string) and given.size:
            raise TypeError(
                f"{name or self.name}: expected keys of {self._keys_dtype.name}, received {given.dtype}"
            )
        default = self._default.item() if self._default.ndim == 0 else self._default
        found = [self._pairs.get(key, default) for key in given.reshape(-1).tolist()]
        result = np.empty(
            len(found), object if self._values_dtype == string else self._values_dtype.as_numpy_dtype
        )
        result[:] = found
        shaped = result.reshape(given.shape)
        return shaped if self._values_dtype == string else tensor(shaped)

    def __getitem__(self, keys: Any) -> Any:
        return self.lookup(keys)

    def export(self, name: str | None = None) -> tuple[Any, Any]:
        """All keys and values; `name` is a text or None."""
        keys = np.array(list(self._pairs), object if self._keys_dtype == string else None)
        values = np.array(list(self._pairs.values()), object if self._values_dtype == string else None)
        if name is not None and not isinstance(name, str):
            raise TypeError(f"export: name: expected text or None, received {name!r}")
        found, held = (x if x.dtype == object else tensor(x) for x in (keys, values))
        return found, held


class StaticVocabularyTable(StaticHashTable):
    """A table from keys to int64 in which other keys share so many buckets behind the values.

    Args:
        initializer: Its keys and values, which are 0 to n - 1; or None for buckets alone.
        num_oov_buckets: How many buckets.
        lookup_key_dtype: The type of keys that are asked for.
        name: Name.
        experimental_is_anonymous: Either; tables have no shared names.
    """

    def __init__(
        self,
        initializer: Any,
        num_oov_buckets: int,
        lookup_key_dtype: Any = None,
        name: str | None = None,
        experimental_is_anonymous: bool = False,
    ):
        self._buckets = integer(num_oov_buckets, "StaticVocabularyTable", "num_oov_buckets")
        if self._buckets < 1:
            raise ValueError(
                f"StaticVocabularyTable: num_oov_buckets: expected at least 1, received {num_oov_buckets}"
            )
        start = initializer or KeyValueTensorInitializer(
            np.empty(0, object), np.empty(0, "int64"), lookup_key_dtype or string, int64
        )
        super().__init__(start, np.int64(-1), name, experimental_is_anonymous)

    def lookup(self, keys: Any, name: str | None = None) -> Any:
        """The values of keys, and for others a bucket that follows from the key."""
        found = np.asarray(super().lookup(keys, name))
        if self._keys_dtype == string:
            buckets = np.asarray(strings.to_hash_bucket_fast(keys, self._buckets))
        else:
            texts = [str(key).encode() for key in np.asarray(keys).reshape(-1)]
            buckets = np.asarray(strings.to_hash_bucket_fast(texts, self._buckets)).reshape(found.shape)
        return tensor(np.where(found < 0, buckets + len(self._pairs), found).astype("int64"))

    def size(self, name: str | None = None) -> Any:
        """How many values there are, buckets included."""
        return super().size(name) + self._buckets


class _MutableHashTable(StaticHashTable):
    """A table that keys are put into.

    Args:
        key_dtype: Type of the keys.
        value_dtype: Type of the values.
        default_value: The value of other keys.
        name: Name.
    """

    def __init__(self, key_dtype: Any, value_dtype: Any, default_value: Any, name: str | None = None):
        kinds = [np.empty(0, as_dtype(t).as_numpy_dtype) for t in (key_dtype, value_dtype)]
        start = KeyValueTensorInitializer([], [], "int64", "int64")
        start.keys, start.values = kinds
        super().__init__(start, default_value, name)

    def insert(self, keys: Any, values: Any, name: str | None = None) -> None:
        """Puts keys and their values in, in the place of values that they had."""
        given, new = _host(keys).reshape(-1), _host(values).reshape(-1)
        if len(given) != len(new):
            raise ValueError(f"{name or self.name}: expected {len(given)} values, received {len(new)}")
        self._pairs.update(zip(given.tolist(), new, strict=True))

    def remove(self, keys: Any, name: str | None = None) -> None:
        """Takes keys out; `name` is a text or None."""
        if name is not None and not isinstance(name, str):
            raise TypeError(f"remove: name: expected text or None, received {name!r}")
        for key in _host(keys).reshape(-1).tolist():
            self._pairs.pop(key, None)


class experimental:
    """`tf.lookup.experimental`."""

    MutableHashTable = _MutableHashTable


__getattr__ = unknown("tf.lookup", {}, __all__)
