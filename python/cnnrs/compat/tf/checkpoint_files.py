"""Files of checkpoints: one for each, and one that says which a folder has."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from cnnrs import _core
from cnnrs.base.arguments import file_path
from cnnrs.serialization import hdf5

__all__ = [
    "SUFFIX",
    "CheckpointState",
    "file_of",
    "get_checkpoint_state",
    "latest_checkpoint",
    "list_variables",
    "note",
    "read",
]

SUFFIX = ".index"
_STATE = "checkpoint"


def file_of(path: Any, what: str) -> str:
    """The file of a checkpoint."""
    path = file_path(path, what)
    return path if path.endswith(SUFFIX) else path + SUFFIX


def read(path: Any, what: str) -> hdf5.Group:
    """What a checkpoint holds.

    Raises:
        FileNotFoundError: There is none.
        ValueError: TensorFlow wrote it, or it is damaged.
    """
    file = file_of(path, what)
    if not os.path.exists(file):
        raise FileNotFoundError(f"{what}: there is no checkpoint {path!r}: no file {file!r}")
    with open(file, "rb") as stream:
        is_ours = stream.read(8) == b"\x89HDF\r\n\x1a\n"
    if not is_ours:
        raise ValueError(
            f"{what}: {file}: expected a checkpoint of cnnrs, received one of TensorFlow or another file; "
            "load the model in TensorFlow and save it as .weights.h5"
        )
    return hdf5.read(file)


class CheckpointState(NamedTuple):
    """What a folder says about its checkpoints.

    Attributes:
        model_checkpoint_path: The latest.
        all_model_checkpoint_paths: All that are kept, oldest first.
    """

    model_checkpoint_path: str
    all_model_checkpoint_paths: list[str]


def note(folder: str, paths: list[str]) -> None:
    """Writes which checkpoints a folder has: the text that TensorFlow writes."""
    inside = [os.path.basename(path) for path in dict.fromkeys(paths)]
    lines = [f"model_checkpoint_path: {json.dumps(inside[-1])}\n"] if inside else []
    lines += [f"all_model_checkpoint_paths: {json.dumps(name)}\n" for name in inside]
    _core.write_bytes(os.path.join(folder, _STATE), ["".join(lines).encode()])


def get_checkpoint_state(checkpoint_dir: Any, latest_filename: str | None = None) -> CheckpointState | None:
    """What a folder says about its checkpoints; None if nothing.

    Args:
        checkpoint_dir: The folder.
        latest_filename: The file that says it; "checkpoint" if None.
    """
    folder = os.fspath(checkpoint_dir)
    try:
        with open(os.path.join(folder, latest_filename or _STATE), encoding="utf-8") as file:
            text = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    found: dict[str, list[str]] = {}
    for key, quoted in re.findall(r'^(\w+): ("(?:[^"\\]|\\.)*")$', text, re.MULTILINE):
        found.setdefault(key, []).append(os.path.join(folder, json.loads(quoted)))
    if "model_checkpoint_path" not in found:
        return None
    return CheckpointState(found["model_checkpoint_path"][-1], found.get("all_model_checkpoint_paths", []))


def latest_checkpoint(checkpoint_dir: Any, latest_filename: str | None = None) -> str | None:
    """The path of the latest checkpoint of a folder; None if there is none.

    Args:
        checkpoint_dir: The folder.
        latest_filename: The file that says it; "checkpoint" if None.
    """
    state = get_checkpoint_state(checkpoint_dir, latest_filename)
    if state is None or not os.path.exists(state.model_checkpoint_path + SUFFIX):
        return None
    return state.model_checkpoint_path


def list_variables(ckpt_dir_or_file: Any) -> list[tuple[str, list[int]]]:
    """Names and shapes of what a checkpoint holds.

    Args:
        ckpt_dir_or_file: The path of a checkpoint, or a folder, whose latest is meant.

    Raises:
        FileNotFoundError: There is none.
    """
    path = os.fspath(ckpt_dir_or_file)
    if os.path.isdir(path):
        path = latest_checkpoint(path) or path

    def walk(group: hdf5.Group, above: str) -> Iterator[tuple[str, list[int]]]:
        for name, array in group.arrays.items():
            yield f"{above}{name}", list(np.shape(array))
        for name, inner in group.groups.items():
            yield from walk(inner, f"{above}{name}/")

    return list(walk(read(path, "list_variables"), ""))
