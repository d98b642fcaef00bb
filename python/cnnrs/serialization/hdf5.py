"""HDF5 files as groups of arrays, the form in which Keras stores weights.

h5py and Keras open what `write` and `dumps` make. A file holds what it says itself: links to other objects,
data in other files and virtual data sets are not followed. Reading a file of n bytes takes at most
64 n bytes + 64 MiB for its arrays, and work in proportion to n; a file that asks for more is refused.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnrs import _core

__all__ = ["Group", "dumps", "read", "write"]


@dataclass
class Group:
    """What a group of an HDF5 file holds; after `read` in the order of the names, which is that of h5py.

    Attributes:
        attrs: Attributes by name: text (written also from bytes), numbers, one-dimensional arrays of numbers,
            lists of strings.
        groups: Groups inside, by name.
        arrays: Arrays by name, of any dtype that tensors have, or of strings. bfloat16 is as `Tensor.numpy()`
            gives it; to write, tensors will do as well.

    >>> from cnnrs.serialization import hdf5
    >>> root = hdf5.Group(attrs={"backend": "cnnrs"})
    >>> root.group("layers/dense/vars").arrays["0"] = np.ones((2, 3), "float32")
    >>> again = hdf5.read(hdf5.dumps(root))
    >>> again.attrs["backend"], again.get("layers/dense/vars").arrays["0"].shape
    ('cnnrs', (2, 3))
    """

    attrs: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    arrays: dict[str, Any] = field(default_factory=dict)

    def get(self, path: str) -> Group | None:
        """The group at a path below this one, with "/" between names, or None.

        >>> Group().get("a/b") is None
        True
        """
        found: Group | None = self
        for name in filter(None, path.split("/")):
            found = found.groups.get(name) if found is not None else None
        return found

    def group(self, path: str) -> Group:
        """The group at a path below this one, which is made if it is not there.

        >>> root = Group()
        >>> root.group("a/b") is root.groups["a"].groups["b"]
        True
        """
        found = self
        for name in filter(None, path.split("/")):
            found = found.groups.setdefault(name, Group())
        return found


def read(source: str | os.PathLike[str] | bytes) -> Group:
    """What an HDF5 file holds.

    Args:
        source: A path, or the bytes of a file.

    Returns:
        The root group.

    Raises:
        OSError: There is no such file, or it cannot be read.
        ValueError: It is no sound HDF5 file, or holds what no model is stored in; the message names file and
            place.
        MemoryError: It does not fit into memory.

    >>> from cnnrs.serialization import hdf5
    >>> hdf5.read(hdf5.dumps(hdf5.Group(attrs={"epoch": 3}))).attrs
    {'epoch': 3}
    """
    return _group(_core.parse_hdf5(source) if isinstance(source, bytes) else _core.load_hdf5(source))


def _group(parts: tuple[dict[str, Any], dict[str, Any], dict[str, np.ndarray]]) -> Group:
    attrs, groups, arrays = parts
    return Group(attrs, {name: _group(inner) for name, inner in groups.items()}, arrays)


def write(path: str | os.PathLike[str], root: Group) -> None:
    """Writes an HDF5 file, atomically.

    Args:
        path: The file to write or replace.
        root: The root group.

    Raises:
        TypeError: An array or attribute is of a type that is not stored.
        ValueError: The format has no place for a name or value, or groups are inside each other without end.
        OSError: The file cannot be written; whatever stood there is untouched.

    >>> import os, tempfile
    >>> from cnnrs.serialization import hdf5
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.weights.h5")
    ...     hdf5.write(path, hdf5.Group(attrs={"epoch": 3}))
    ...     hdf5.read(path).attrs
    {'epoch': 3}
    """
    _core.save_hdf5(path, _parts(root))


def dumps(root: Group) -> bytes:
    """The bytes of an HDF5 file.

    Args:
        root: The root group.

    Returns:
        What `write` writes.

    Raises:
        TypeError: An array or attribute is of a type that is not stored.
        ValueError: The format has no place for a name or value, or groups are inside each other without end.

    >>> from cnnrs.serialization import hdf5
    >>> hdf5.dumps(hdf5.Group())[:4]
    b'\\x89HDF'
    """
    return _core.encode_hdf5(_parts(root))


# Groups inside groups that files have.
_MAX_DEPTH = 64


def _parts(group: Group, depth: int = 0) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A group as the core takes it."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"HDF5 file: expected at most {_MAX_DEPTH} groups inside each other")
    for name in group.groups.keys() & group.arrays.keys():
        raise ValueError(f"HDF5 file: {name!r} is the name of a group and of an array")
    return (
        {name: _attribute(name, value) for name, value in group.attrs.items()},
        {name: _parts(inner, depth + 1) for name, inner in group.groups.items()},
        {name: _array(value) for name, value in group.arrays.items()},
    )


def _attribute(name: str, value: Any) -> Any:
    """The value of an attribute as the core takes it."""
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, tuple | list):
        if all(isinstance(item, str | bytes) for item in value):
            return [_text(item) for item in value]
        value = np.asarray(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        if value.ndim != 1:
            raise ValueError(
                f"attribute {name!r}: expected an array of one axis, received one of shape {value.shape}"
            )
        return _array(value)
    return value


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _array(value: Any) -> Any:
    """An array as the core takes it: numbers in the machine's byte order, strings as objects."""
    if isinstance(value, np.ndarray | np.generic):
        value = np.asarray(value)
        if value.dtype.kind == "U":
            return value.astype(object)
        if value.dtype.kind == "S":
            return np.char.decode(value, "utf-8").astype(object)
        if not value.dtype.isnative:
            return value.astype(value.dtype.newbyteorder("="))
    return value
