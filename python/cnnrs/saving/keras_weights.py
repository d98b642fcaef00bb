"""Weights in Keras's files: `.weights.h5`, one HDF5 file; `.weights.json`, a table of several.

The optimizer's state lies beside the weights, as Keras writes it.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from typing import Any, NamedTuple

import numpy as np

from cnnrs import _core
from cnnrs.base.arguments import number
from cnnrs.saving.generators import GROUP, generators_of, restore_generators
from cnnrs.saving.reading import unique_keys
from cnnrs.saving.state import Stores, load_state, save_state
from cnnrs.serialization import hdf5
from cnnrs.serialization.hdf5 import Group

__all__ = ["Content", "Shards", "content", "load", "load_shards", "read_shards", "shards", "state_group"]

# The table of shards is text; the weights are not in it.
_LARGEST_TABLE = 1 << 28


class Content(NamedTuple):
    """What a file holds."""

    root: Group

    def write(self, path: str) -> None:
        """Writes a file, atomically."""
        hdf5.write(path, self.root)


def state_group(model: Any, skip: Any = None) -> Group:
    """The state of a model as groups: `<path>/vars/<key>`, with the names of objects beside."""
    root = Group()
    for path, name, store in save_state(model, skip):
        if name is None and not store:
            continue
        group = root.group(f"{path}/vars")
        if name is not None:
            group.attrs["name"] = name
        group.arrays.update(store)
    generators = generators_of(model)
    if generators is not None:
        root.groups[GROUP] = generators
    return root


def content(model: Any, skip: Any = None) -> Content:
    """What a file of the weights of a built model holds."""
    return Content(state_group(model, skip))


def load(model: Any, root: Group, source: str, skip: Any = None, skip_mismatch: bool = False) -> None:
    """Hands a model the state in a file.

    Args:
        model: A built model.
        root: The root group of the file.
        source: What errors call the file.
        skip: Objects that are left as they are.
        skip_mismatch: Whether objects that do not fit are left as they are, with a warning.
    """
    load_state(model, Stores(root, source), skip, skip_mismatch)
    restore_generators(model, root.groups.get(GROUP))


class Shards(NamedTuple):
    """Weights in several files, each below a size.

    Attributes:
        files: The root group of each file.
        table: Where each group lies, by its path: the number of a file, or of several.
        total: Bytes of all weights.
    """

    files: list[Group]
    table: dict[str, list[int]]
    total: int

    def write(self, path: str) -> None:
        """Writes the files beside `path`, and the table to it; none takes its place before all are whole."""
        folder, stem = os.path.dirname(path), os.path.basename(path).removesuffix(".json")
        stem = stem.removesuffix(".h5").removesuffix(".weights")
        names = [f"{stem}_{i:05}.weights.h5" for i in range(len(self.files))]
        table = os.path.basename(path)
        for name in (*names, table):
            target = os.path.join(folder, name)
            if os.path.lexists(target) and not os.path.isfile(target):
                raise OSError(errno.EINVAL, "cannot write: expected a regular file", target)
        weight_map: dict[str, Any] = {}
        for place, numbers in self.table.items():
            found = [names[i] for i in numbers]
            weight_map[place] = found[0] if len(found) == 1 else found
        text = json.dumps({"metadata": {"total_size": self.total}, "weight_map": weight_map}, indent=4)
        with tempfile.TemporaryDirectory(prefix=f".{table}.", dir=folder or ".") as beside:
            try:
                for name, root in zip(names, self.files, strict=True):
                    hdf5.write(os.path.join(beside, name), root)
                _core.write_bytes(os.path.join(beside, table), [text.encode()])
            except OSError as error:
                raise OSError(error.errno, error.strerror, path) from error
            for name in (*names, table):
                os.replace(os.path.join(beside, name), os.path.realpath(os.path.join(folder, name)))


def shards(model: Any, max_shard_size: Any, skip: Any = None) -> Shards:
    """The state of a model in parts.

    Args:
        model: A built model.
        max_shard_size: Size of a file in GB, that is 2³⁰ bytes.
        skip: Objects that are left out.

    Raises:
        ValueError: A single weight is larger.
    """
    limit = number(max_shard_size, "save_weights", "max_shard_size", above=0) * 2**30
    files, size, total = [Group()], 0, 0
    table: dict[str, list[int]] = {}
    for path, name, store in save_state(model, skip):
        place = f"{path}/vars"
        for key, value in store.items():
            array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
            if array.nbytes > limit:
                raise ValueError(
                    f"save_weights: max_shard_size: expected at least {array.nbytes / 2**30:.3g} GB for "
                    f"{place}/{key}, received {max_shard_size!r}"
                )
            if size + array.nbytes > limit:
                files.append(Group())
                size = 0
            size, total = size + array.nbytes, total + array.nbytes
            group = files[-1].group(place)
            if name is not None:
                group.attrs["name"] = name
            group.arrays[key] = value
            numbers = table.setdefault("/" + place.lstrip("/"), [])
            if len(files) - 1 not in numbers:
                numbers.append(len(files) - 1)
    generators = generators_of(model)
    if generators is not None:
        files[0].groups[GROUP] = generators
    return Shards(files, table, total)


def read_shards(path: str) -> Group:
    """The groups of all files that a table names, as if they were in one.

    Args:
        path: The table.

    Raises:
        OSError: The table or a file that it names cannot be read.
        ValueError: The table is damaged, or names files elsewhere.
    """
    if os.path.getsize(path) > _LARGEST_TABLE:
        raise ValueError(f"{path!r}: expected a table of shards, received {os.path.getsize(path):,} bytes")
    with open(path, "rb") as file:
        raw = file.read()
    try:
        weight_map = json.loads(raw, object_pairs_hook=unique_keys)["weight_map"]
        files: dict[str, None] = {}
        for found in weight_map.values():
            for name in found if isinstance(found, list) else [found]:
                if not isinstance(name, str) or os.path.basename(name) != name or not name.endswith(".h5"):
                    raise ValueError(f"expected the name of a file beside the table, received {name!r}")
                files[name] = None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path!r} is no table of shards of weights: {error}") from error
    root = Group()
    for name in files:
        _merge(root, hdf5.read(os.path.join(os.path.dirname(path), name)))
    return root


def _merge(into: Group, other: Group) -> None:
    into.attrs.update(other.attrs)
    into.arrays.update(other.arrays)
    for name, group in other.groups.items():
        _merge(into.groups.setdefault(name, Group()), group)


def load_shards(model: Any, path: str, skip: Any = None, skip_mismatch: bool = False) -> None:
    """Hands a model the state in the files that a table names."""
    load(model, read_shards(path), repr(path), skip, skip_mismatch)
