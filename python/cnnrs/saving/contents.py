"""What lies in a file of a model or of weights, without making the model."""

from __future__ import annotations

import json
import os
import reprlib
from typing import Any, NamedTuple

import numpy as np

from cnnrs.base.arguments import file_path
from cnnrs.saving import keras_archive, keras_weights
from cnnrs.saving.generators import GROUP
from cnnrs.saving.reading import reading
from cnnrs.serialization import hdf5
from cnnrs.serialization.formats import format_of, kind_of_file
from cnnrs.serialization.hdf5 import Group

__all__ = ["Contents", "as_dict", "contents_of", "describe"]

_CONFIG = "config.json"
_KINDS = {"keras": "Keras archive", "hdf5": "HDF5", "shards": "shards of weights", "native": "safetensors"}


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
        kind: The format.
        made_by: What wrote it, as far as it says so.
        config: The description of the model; None for weights alone.
        root: The arrays as groups; for safetensors by the parts of their names.
    """

    kind: str
    made_by: str
    config: dict[str, Any] | None
    root: Group


def contents_of(filepath: Any) -> Contents:
    """Reads a file.

    Args:
        filepath: A file of any format that `load_model` or `load_weights` reads.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged, or of another kind.
    """
    path = file_path(filepath, "summary")
    is_folder = os.path.isdir(path) and os.path.exists(os.path.join(path, "config.json"))
    kind = "keras" if is_folder else kind_of_file(path)
    if kind == "keras":
        members = keras_archive.read_folder(path) if is_folder else keras_archive.read(path)
        metadata = _object(members.get("metadata.json", b"{}"), "metadata.json", path)
        version, config = metadata.get("keras_version", "?"), _object(members[_CONFIG], _CONFIG, path)
        root = hdf5.read(members["model.weights.h5"]) if "model.weights.h5" in members else Group()
        what = "folder of a Keras archive" if is_folder else _KINDS[kind]
        return Contents(what, f"Keras {version}", config, root)
    if kind == "shards":
        return Contents(_KINDS[kind], "Keras", None, keras_weights.read_shards(path))
    if kind == "hdf5":
        root = hdf5.read(path)
        attrs = root.groups.get("model_weights", root).attrs
        text = root.attrs.get("model_config")
        described = _object(text, "model_config", path) if isinstance(text, str) else None
        kind = "HDF5" if described is None else "legacy HDF5"
        return Contents(kind, f"Keras {attrs.get('keras_version', 3)}", described, root)
    tensors, metadata, _ = format_of(path).read(path)
    root = Group()
    for name, value in tensors.items():
        *folders, last = name.split("/")
        root.group("/".join(folders)).arrays[last] = value
    made_by = f"cnnrs, format {metadata['cnnrs_format']}" if "cnnrs_format" in metadata else "another program"
    described = _object(metadata["model"], "metadata 'model'", path) if "model" in metadata else None
    return Contents(_KINDS[kind], made_by, described, root)


def _object(text: str | bytes, part: str, path: str) -> dict[str, Any]:
    """An object of JSON in a part of a file."""
    with reading(part, path):
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError(f"expected an object as JSON, received {reprlib.repr(data)}")
        return data


def as_dict(contents: Contents) -> dict[str, Any]:
    """The same as `describe` tells, as JSON takes it.

    >>> as_dict(Contents("HDF5", "Keras 3", None, Group(arrays={"0": np.zeros((2, 3))})))["arrays"]
    [{'path': '0', 'shape': [2, 3], 'dtype': 'float64'}]
    """
    arrays = _arrays(contents.root, "")
    found: dict[str, Any] = {"kind": contents.kind, "made_by": contents.made_by}
    name, kind, layers = _model_of(contents)
    if kind is not None:
        found |= {"name": name, "class": kind, "layers": layers}
        found["image_preprocessing"] = (contents.config or {}).get("image_preprocessing")
    found["arrays"] = [
        {"path": path, "shape": list(a.shape), "dtype": a.dtype.name} for path, a in arrays.items()
    ]
    found["elements"] = sum(a.size for a in arrays.values())
    found["bytes"] = sum(a.nbytes for a in arrays.values())
    return found


def _model_of(contents: Contents) -> tuple[Any, Any, list[dict[str, Any]]]:
    """Name and class of the model in a file, and those of each layer; None for weights alone."""
    if not isinstance(contents.config, dict):
        return None, None, []
    inner = contents.config.get("config")
    name = inner.get("name") if isinstance(inner, dict) else None
    layers = inner.get("layers") if isinstance(inner, dict) else None
    rows = []
    for layer in layers if isinstance(layers, list) else []:
        layer = layer if isinstance(layer, dict) else {}
        own = layer.get("config")
        own = own if isinstance(own, dict) else {}
        rows.append({"name": own.get("name", "?"), "class": layer.get("class_name", "?")})
    return name, str(contents.config.get("class_name")), rows


def describe(contents: Contents) -> str:
    """A text about a file: what made it, the layers of the model, the arrays.

    >>> print(describe(Contents("HDF5", "Keras 3", None, Group(arrays={"0": np.zeros((2, 3))}))))
    HDF5, made by Keras 3
    <BLANKLINE>
    array   shape    dtype     elements
    0       (2, 3)   float64          6
    <BLANKLINE>
    1 arrays, 6 elements, 48 bytes
    """
    lines = [f"{contents.kind}, made by {contents.made_by}"]
    name, kind, layers = _model_of(contents)
    if kind is not None and contents.config is not None:
        lines.append(f"model {name!r}, a {kind} of {len(layers)} layers")
        lines += [f"  {layer['name']} ({layer['class']})" for layer in layers]
        lines += _images(contents.config.get("image_preprocessing"))
    arrays = _arrays(contents.root, "")
    rows = [("array", "shape", "dtype", "elements")]
    rows += [(path, str(a.shape), a.dtype.name, f"{a.size:,}") for path, a in arrays.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines.append("")
    for row in rows:
        left = "   ".join(cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True))
        lines.append(f"{left}   {row[3].rjust(widths[3])}")
    elements = sum(a.size for a in arrays.values())
    size = sum(a.nbytes for a in arrays.values())
    lines += ["", f"{len(arrays)} arrays, {elements:,} elements, {size:,} bytes"]
    return "\n".join(_printable(line) for line in lines)


def _images(preprocessing: Any) -> list[str]:
    """What a file says of the images that its model takes, and of its classes."""
    if not isinstance(preprocessing, dict):
        return []
    names = preprocessing.get("class_names")
    size = preprocessing.get("image_size")
    shape = " × ".join(map(str, size)) if isinstance(size, list) else "any size"
    lines = [f"takes images: {shape}, {preprocessing.get('color_mode')}"]
    if isinstance(names, list):
        more = ", …" if len(names) > 20 else ""
        lines.append(f"{len(names)} classes: {', '.join(map(str, names[:20]))}{more}")
    return lines


def _printable(line: str) -> str:
    """A line of a text about a file, whose names must not steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _arrays(group: Group, path: str) -> dict[str, np.ndarray]:
    """The arrays of a group and of those inside; what lies in a group `vars` belongs to the one around."""
    found = {f"{path}{name}": value for name, value in group.arrays.items()}
    for name, inner in group.groups.items():
        if not (path == "" and name == GROUP):
            found |= _arrays(inner, path if name == "vars" else f"{path}{name}/")
    return found
