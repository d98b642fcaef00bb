"""`content_hash`: a hash of data that is the same in each run and on each machine, for records of runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs import tree
from cnnrs.base.arguments import file_path
from cnnrs.data.elements import as_element, host
from cnnrs.data.image_files import ImageFiles
from cnnrs.data.pipeline import INFINITE_CARDINALITY, Pipeline
from cnnrs.data.rows import ArrayRows
from cnnrs.data.strings import StringTensor

__all__ = ["content_hash"]

_BYTES = 2**20


def content_hash(data: Any) -> str:
    """SHA-256 of data: of arrays their types, shapes and bytes; of files their names and contents.

    Order counts. Of a data set it is the hash of what it reads, before steps such as `shuffle`, `map` and
    `batch`; of elements that a generator or a function gives, that of the elements.

    Args:
        data: Arrays, or a tuple or dict of them; the path of a file or a folder, or a list of paths; or a
            `Dataset`.

    Returns:
        64 hexadecimal digits.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A data set that is no table of arrays or files has no end.

    Example:
        >>> import numpy as np
        >>> from cnnrs.data import Dataset, content_hash
        >>> x, y = np.zeros((4, 2), np.uint8), np.arange(4)
        >>> content_hash(Dataset.from_tensor_slices((x, y)).shuffle(4).batch(2)) == content_hash((x, y))
        True
        >>> content_hash((x, y))[:16]
        'a367a4dee054c106'
    """
    digest = hashlib.sha256()
    if isinstance(data, Pipeline):
        for root in _roots(data):
            _add_dataset(root, digest)
    elif isinstance(data, (str, bytes, os.PathLike)):
        path = Path(file_path(data, "content_hash"))
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        _add_files(files, path if path.is_dir() else path.parent, digest)
    elif isinstance(data, (list, tuple)) and data and all(isinstance(p, (str, os.PathLike)) for p in data):
        paths = [Path(p) for p in data]
        _add_files(paths, Path(os.path.commonpath([p.absolute().parent for p in paths])), digest)
    else:
        _add(as_element(tuple(data) if isinstance(data, list) else data, "content_hash"), digest)
    return digest.hexdigest()


def _roots(dataset: Pipeline) -> Iterable[Pipeline]:
    """The data sets that a data set reads and that read none."""
    found: dict[int, Pipeline] = {}

    def visit(one: Pipeline) -> None:
        if not one._sources:
            found.setdefault(id(one), one)
        for source in one._sources:
            visit(source)

    visit(dataset)
    return found.values()


def _add_dataset(root: Pipeline, digest: Any) -> None:
    source = None if root._rows is None else root._rows.source
    if isinstance(source, ArrayRows):
        _add(source.structure, digest)
    elif isinstance(source, ImageFiles):
        paths = [Path(path) for path in source.paths]
        _add_files(paths, Path(os.path.commonpath([p.absolute().parent for p in paths])), digest)
        if source.labels is not None:
            _add(source.labels, digest)
    elif root._length == INFINITE_CARDINALITY:
        raise ValueError("content_hash: expected a data set with an end; take(n) gives the first elements")
    else:
        for element in root._open(True):
            _add(element, digest)


def _add_files(paths: list[Path], root: Path, digest: Any) -> None:
    for path in paths:
        name = os.path.relpath(path.absolute(), root.absolute()).replace(os.sep, "/")
        inner = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(_BYTES):
                inner.update(block)
        digest.update(f"file {name} {inner.hexdigest()}\n".encode("utf-8", "surrogateescape"))


def _add(structure: Any, digest: Any) -> None:
    digest.update(f"{tree.map_structure(lambda _: 0, structure)!r}\n".encode())
    for leaf in tree.flatten(structure):
        value = host(leaf)
        if isinstance(value, StringTensor):
            texts = value.array.ravel().tolist()
            digest.update(f"text {value.shape} {[len(text) for text in texts]}\n".encode())
            digest.update(b"".join(texts))
            continue
        array = np.ascontiguousarray(value)
        # Bytes in the order of most machines.
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{array.dtype.name} {np.shape(value)}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
