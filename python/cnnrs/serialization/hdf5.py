"""HDF5 files as groups of arrays, the form in which Keras stores weights.

Keras opens what `write` and `dumps` make. Links between groups, external storage and virtual data sets are
refused: a file holds what it says itself.
"""

from __future__ import annotations

import io
import os
import reprlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Group", "dumps", "read", "write"]


@dataclass
class Group:
    """What a group of an HDF5 file holds, each in the order of the file.

    Attributes:
        attrs: Attributes: text, bytes that are no text, numbers, arrays of numbers, lists of strings.
        groups: Groups inside, by name.
        arrays: Arrays by name. bfloat16 is as `Tensor.numpy()` gives it; to write, tensors will do as well.

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
        ValueError: It is no sound HDF5 file, or holds what no model is stored in.

    >>> from cnnrs.serialization import hdf5
    >>> hdf5.read(hdf5.dumps(hdf5.Group(attrs={"epoch": 3}))).attrs
    {'epoch': 3}
    """
    import h5py

    what = "HDF5 data" if isinstance(source, bytes) else repr(os.fspath(source))
    if not isinstance(source, bytes):
        source = Path(source).read_bytes()
    try:
        with h5py.File(io.BytesIO(source), "r") as file:
            return _group(file, "/")
    except Exception as error:
        raise ValueError(f"{what} is no sound HDF5 file: {error}") from error


def _group(at: Any, where: str) -> Group:
    import h5py

    found = Group(attrs={name: _attribute(at.attrs[name]) for name in at.attrs})
    for name in at:
        place = f"{where}{name}"
        if not isinstance(at.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{place}: expected a group or an array, received a link")
        item = at[name]
        if isinstance(item, h5py.Group):
            found.groups[name] = _group(item, place + "/")
            continue
        if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
            raise ValueError(f"{place}: expected a group or an array in this file")
        value = item[()]
        if item.attrs.get("dtype") == "bfloat16":
            import ml_dtypes

            value = np.asarray(value).view(ml_dtypes.bfloat16)
        found.arrays[name] = np.asarray(value)
    return found


def _attribute(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return bytes(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
        return [_attribute(item) for item in value.tolist()]
    return value.item() if isinstance(value, np.generic) else value


def dumps(root: Group) -> bytes:
    """The bytes of an HDF5 file.

    Args:
        root: The root group.

    Returns:
        What `write` would write.

    Raises:
        ValueError: An array or attribute is of a kind that is not stored.

    >>> from cnnrs.serialization import hdf5
    >>> hdf5.dumps(hdf5.Group())[:4]
    b'\\x89HDF'
    """
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as at:
        _store(at, root, "/")
    return file.getvalue()


def _store(at: Any, group: Group, where: str) -> None:
    for name, value in group.attrs.items():
        at.attrs[name] = value
    for name, inner in group.groups.items():
        _store(at.create_group(name), inner, f"{where}{name}/")
    for name, value in group.arrays.items():
        array = np.asarray(value if isinstance(value, np.ndarray) else value.numpy())
        if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
            raise ValueError(f"{where}{name}: expected numbers, received {reprlib.repr(value)}")
        data = at.create_dataset(name, data=array)
        if array.dtype.name == "bfloat16":
            data.attrs["dtype"] = "bfloat16"


def write(path: str | os.PathLike[str], root: Group) -> None:
    """Writes an HDF5 file, atomically.

    Args:
        path: The file to write or replace.
        root: The root group.

    Raises:
        ValueError: An array or attribute is of a kind that is not stored.
        OSError: The file cannot be written; whatever stood there is untouched.

    >>> import os, tempfile
    >>> from cnnrs.serialization import hdf5
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.weights.h5")
    ...     hdf5.write(path, hdf5.Group(attrs={"epoch": 3}))
    ...     hdf5.read(path).attrs
    {'epoch': 3}
    """
    content = dumps(root)
    temporary = f"{os.fspath(path)}.part"
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
