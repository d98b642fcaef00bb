"""`.keras` files: a zip archive of metadata, config, weights as HDF5 and assets; or such a folder."""

from __future__ import annotations

import json
import os
import reprlib
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from cnnrs.base.consent import permitting, writing_code
from cnnrs.saving import keras_weights
from cnnrs.saving.keras_config import from_keras, to_keras
from cnnrs.saving.reading import reading, unique_keys
from cnnrs.saving.state import load_assets, save_assets
from cnnrs.saving.weights import is_model
from cnnrs.serialization import CustomObjectScope, deserialize_keras_object, hdf5, serialize_keras_object
from cnnrs.serialization.archive import read_members, write_members
from cnnrs.serialization.objects import sharing, without_single_numbers

__all__ = ["KERAS_VERSION", "Content", "content", "load_model", "load_weights", "read", "read_folder"]

# The version of Keras whose form the files have.
KERAS_VERSION = "3.15.1"

_METADATA, _CONFIG, _WEIGHTS, _ASSETS = "metadata.json", "config.json", "model.weights.h5", "assets/"
_WANTED = (_METADATA, _CONFIG, _WEIGHTS, _ASSETS)


class Content(NamedTuple):
    """What an archive holds.

    Attributes:
        members: The members, by name.
    """

    members: dict[str, bytes]

    def write(self, path: str) -> None:
        """Writes an archive, atomically."""
        write_members(path, self.members)

    def write_into(self, file: Any) -> None:
        """Writes an archive into an open file of bytes."""
        with zipfile.ZipFile(file, "w") as archive:
            for name, member in self.members.items():
                archive.writestr(zipfile.ZipInfo(name), member)

    def write_folder(self, path: str) -> None:
        """Writes the members into a folder, which takes the place of what stood there when it is whole."""
        path = os.path.abspath(path)
        beside = tempfile.mkdtemp(prefix=f".{os.path.basename(path)}.", dir=os.path.dirname(path))
        try:
            new = os.path.join(beside, "new")
            for name, member in self.members.items():
                target = os.path.join(new, *name.split("/"))
                os.makedirs(os.path.dirname(target), exist_ok=True)
                try:
                    Path(target).write_bytes(member)
                except OSError as error:
                    raise OSError(error.errno, f"cannot write: {error.strerror}", path) from error
            if os.path.lexists(path):
                os.replace(path, os.path.join(beside, "old"))
            os.replace(new, path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def content(model: Any, include_optimizer: bool = True) -> Content:
    """What an archive of a model holds. Without the optimizer it is one that is not compiled."""
    with sharing(), writing_code():
        config = without_single_numbers(to_keras(serialize_keras_object(model)))
    if not include_optimizer:
        config.pop("compile_config", None)
    skip = None if include_optimizer else [model.optimizer]
    members = {
        _METADATA: json.dumps({"keras_version": KERAS_VERSION, "date_saved": None}).encode(),
        _CONFIG: json.dumps(config).encode(),
        _WEIGHTS: hdf5.dumps(keras_weights.state_group(model, skip)),
    }
    with tempfile.TemporaryDirectory() as folder:

        def inside(path: str) -> str:
            made = os.path.join(folder, *path.split("/"))
            os.makedirs(made, exist_ok=True)
            return made

        save_assets(model, inside)
        for root, folders, files in os.walk(folder):
            folders.sort()
            for name in sorted(files):
                file = Path(root, name)
                members[_ASSETS + file.relative_to(folder).as_posix()] = file.read_bytes()
    return Content(members)


def read(source: str | bytes) -> dict[str, bytes]:
    """The members of an archive, given by its path or its bytes, that a model is made of."""
    members = read_members(source, _WANTED)
    if _CONFIG not in members:
        path = source if isinstance(source, str) else "the archive"
        raise ValueError(f"{path!r}: expected an archive with {_CONFIG!r}, received one without")
    return members


def read_folder(path: str) -> dict[str, bytes]:
    """The files of a folder that a model is made of, as `zipped=False` writes them."""
    found = {name: Path(path, name).read_bytes() for name in _WANTED[:3] if Path(path, name).is_file()}
    base = Path(path, _ASSETS)
    for file in sorted(base.rglob("*")) if base.is_dir() else ():
        if file.is_file() and not file.is_symlink():
            found[_ASSETS + file.relative_to(base).as_posix()] = file.read_bytes()
    return found


def load_model(
    members: dict[str, bytes], path: str, custom_objects: Any, compile: bool, safe_mode: bool
) -> Any:
    """The model of an archive, with its state.

    Args:
        members: What `read` gave.
        path: What errors call the archive.
        custom_objects: Classes and functions by name.
        compile: Whether loss, optimizer and metrics are restored.
        safe_mode: Whether code in the archive is refused.
    """
    with reading(_CONFIG, path):
        data = _json(members[_CONFIG])
        data = from_keras(data)
        compiled = data.pop("compile_config", None)
        with sharing(), permitting(not safe_mode), CustomObjectScope(custom_objects or {}):
            model = deserialize_keras_object(data, custom_objects, safe_mode)
            if not is_model(model):
                raise TypeError(f"expected a model, received {reprlib.repr(model)}")
            if compile and compiled:
                model.compile_from_config(compiled)
    if _WEIGHTS not in members:
        raise ValueError(f"{path!r}: expected an archive with {_WEIGHTS!r}, received one without")
    root = _weights(members, path)
    # The vocabularies first: weights of theirs belong to tokens.
    with tempfile.TemporaryDirectory() as folder:
        for name, member in members.items():
            if name.startswith(_ASSETS):
                target = Path(folder, *name.removeprefix(_ASSETS).split("/"))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(member)

        def inside(place: str) -> str | None:
            found = os.path.join(folder, *place.split("/"))
            return found if os.path.isdir(found) else None

        keras_weights.load(model, root, repr(path))
        with reading(_ASSETS, path):
            load_assets(model, inside)
    return model


def _weights(members: dict[str, bytes], path: str) -> hdf5.Group:
    try:
        return hdf5.read(members[_WEIGHTS])
    except ValueError as error:
        raise ValueError(f"{path!r}: {_WEIGHTS}: {error}") from error


def _json(raw: bytes) -> dict[str, Any]:
    try:
        data = json.loads(raw.decode(), object_pairs_hook=unique_keys)
    except RecursionError as error:
        raise ValueError("JSON of too many levels") from error
    if not isinstance(data, dict):
        raise ValueError(f"expected an object as JSON, received {reprlib.repr(data)}")
    return data


def load_weights(
    model: Any, members: dict[str, bytes], path: str, skip: Any = None, skip_mismatch: bool = False
) -> None:
    """Hands a model the weights of an archive."""
    if _WEIGHTS not in members:
        raise ValueError(f"{path!r}: expected an archive with {_WEIGHTS!r}, received one without")
    keras_weights.load(model, _weights(members, path), repr(path), skip, skip_mismatch)
