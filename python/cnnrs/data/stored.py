"""Elements of data sets on disk: a folder of safetensors files and a description of them.

The description is written last and the folder gets its name when all is in it: what has its name is whole.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.base.arguments import file_path
from cnnrs.data.elements import host
from cnnrs.data.fingerprint import Fingerprint
from cnnrs.data.pipeline import Pipeline
from cnnrs.data.strings import StringTensor
from cnnrs.data.unfinished import Unfinished

__all__ = ["cached_in_file", "read_elements", "write_elements"]

_FORMAT = "cnnrs.data"
_VERSION = 1
_DESCRIPTION = "dataset.json"
# Elements are gathered in files of about this size, so that few lie in memory.
_FILE_BYTES = 64 * 2**20


def _layout(structure: Any) -> Any:
    """A structure as JSON holds it, with the number of each leaf."""
    count = iter(range(len(tree.flatten(structure))))
    return _described(tree.map_structure(lambda _: next(count), structure))


def _described(structure: Any) -> Any:
    if isinstance(structure, dict):
        if not all(isinstance(key, str) for key in structure):
            raise TypeError(
                f"expected text as keys of elements that are kept on disk, received {list(structure)}"
            )
        return {"dict": {key: _described(value) for key, value in structure.items()}}
    if isinstance(structure, (list, tuple)):
        return {"tuple": [_described(part) for part in structure]}
    return structure


def _rebuilt(layout: Any, leaves: list[Any]) -> Any:
    if isinstance(layout, int):
        return leaves[layout]
    if isinstance(layout, dict) and isinstance(layout.get("dict"), dict):
        return {key: _rebuilt(value, leaves) for key, value in layout["dict"].items()}
    if isinstance(layout, dict) and isinstance(layout.get("tuple"), list):
        return tuple(_rebuilt(part, leaves) for part in layout["tuple"])
    raise ValueError(f"expected a structure of elements, found {layout!r}")


def _pack(name: str, leaf: Any, into: dict[str, np.ndarray]) -> None:
    """Adds the arrays of a leaf: text as its bytes and their lengths."""
    leaf = host(leaf)
    if leaf is None:
        return
    if isinstance(leaf, StringTensor):
        texts = [text for text in leaf.numpy().ravel()] if leaf.ndim else [leaf.item()]
        into[f"{name}.text"] = np.frombuffer(b"".join(texts), np.uint8)
        into[f"{name}.lengths"] = np.array([len(t) for t in texts], np.int64).reshape(leaf.shape)
    elif hasattr(leaf, "element_spec"):
        raise TypeError(
            "expected elements of numbers and text, received data sets; use flat_map to join them"
        )
    else:
        into[name] = np.asarray(leaf, order="C")


def _unpack(name: str, arrays: dict[str, np.ndarray]) -> Any:
    if name in arrays:
        return arrays[name]
    if f"{name}.text" not in arrays:
        return None
    data, lengths = arrays[f"{name}.text"].tobytes(), arrays[f"{name}.lengths"]
    ends = np.cumsum(lengths.ravel()).tolist()
    if (lengths < 0).any() or (ends and ends[-1] != len(data)):
        raise ValueError(f"expected {len(data)} bytes of text, found other lengths")
    texts = np.empty(lengths.shape, object)
    begins = [0, *ends[:-1]]
    texts.reshape(-1)[:] = [data[a:b] for a, b in zip(begins, ends, strict=True)] if ends else []
    return StringTensor(texts)


class _Writer:
    """Writes elements into a new folder beside `path`, which gets this name at the end.

    Args:
        path: The name.
        where: What errors call the method.
    """

    def __init__(self, path: str, where: str):
        self.where = where
        self.path = Path(path)
        self._arrays: dict[str, np.ndarray] = {}
        self._bytes = self._files = self.count = 0
        with self._naming():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._unfinished = Unfinished(self.path)
        self._in_file = 0
        self._counts: list[int] = []
        self._structure: Any = None

    def add(self, element: Any) -> None:
        layout = _layout(element)
        if self._structure is None:
            self._structure = layout
        elif layout != self._structure:
            raise ValueError(f"expected elements of structure {self._structure}, received {layout}")
        before = len(self._arrays)
        for number, leaf in enumerate(tree.flatten(element)):
            _pack(f"{self._in_file}/{number}", leaf, self._arrays)
        self._bytes += sum(array.nbytes for array in list(self._arrays.values())[before:])
        self._in_file += 1
        self.count += 1
        if self._bytes > _FILE_BYTES:
            self._flush()

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Makes errors of the disk name what was to be written, and say what is left of it."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(
                error.errno,
                f"{self.where}: {self.path}: {reason}, after {self.count} elements; nothing of it is left",
            ) from error

    def _flush(self) -> None:
        with self._naming():
            file = self._unfinished.path / f"{self._files:05}.safetensors"
            _core.save_safetensors(str(file), self._arrays, {})
        self._counts.append(self._in_file)
        self._files += 1
        self._arrays, self._bytes, self._in_file = {}, 0, 0

    def finish(self, replace: bool, of: dict[str, Any] | None = None) -> None:
        """Gives the folder its name; `of` is what the elements are made of.

        Without `replace`, what another process has written meanwhile stays: its elements serve as well.
        """
        if self._in_file:
            self._flush()
        description = {
            "format": _FORMAT,
            "version": _VERSION,
            "structure": self._structure,
            "counts": self._counts,
            **({} if of is None else {"of": of}),
        }
        with self._naming():
            description_file = self._unfinished.path / _DESCRIPTION
            description_file.write_text(json.dumps(description), encoding="utf-8")
            self._unfinished.finish(replace)

    def discard(self) -> None:
        self._unfinished.discard()


def _description(path: str) -> dict[str, Any]:
    """What a folder says of its elements.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is none of a data set, of a newer version, or damaged.
    """
    file = Path(path) / _DESCRIPTION
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: expected elements of a data set, found nothing")
    try:
        if file.stat().st_size > _FILE_BYTES:
            raise ValueError("it is too large")
        found = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise ValueError("it is of another format")
        if not isinstance(found.get("version"), int) or found["version"] > _VERSION:
            raise ValueError(f"its version is {found.get('version')!r}; this cnnrs reads up to {_VERSION}")
        counts = found.get("counts")
        if not isinstance(counts, list) or not all(type(n) is int and n > 0 for n in counts):
            raise ValueError(f"expected the counts of elements, found {counts!r}")
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected a folder that holds elements of a data set: {error}") from None
    return found


def read_elements(path: str) -> tuple[Callable[[bool], Iterator[Any]], int]:
    """The elements that `write_elements` wrote: a function that begins a pass, and their number.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is none of a data set, of a newer version, or damaged.
    """
    found = _description(path)

    def open_pass(_: bool) -> Iterator[Any]:
        for number, count in enumerate(found["counts"]):
            file = Path(path) / f"{number:05}.safetensors"
            try:
                arrays = _core.load_safetensors(str(file))[0]
                leaves = _leaf_count(found["structure"])
                for i in range(count):
                    values = [_unpack(f"{i}/{leaf}", arrays) for leaf in range(leaves)]
                    element = _rebuilt(found["structure"], values)
                    if not any(value is not None for value in values) and leaves:
                        raise ValueError(f"element {i} is missing")
                    yield element
            except (ValueError, KeyError, IndexError, FileNotFoundError) as error:
                raise ValueError(f"{path}: {file.name} of a data set is damaged: {error}") from None

    # What `Fingerprint` asks: the description is written anew whenever the elements are.
    open_pass.reads = [str(Path(path) / _DESCRIPTION)]  # type: ignore[attr-defined]
    return open_pass, sum(found["counts"])


def _leaf_count(layout: Any) -> int:
    parts: Any = ()
    if isinstance(layout, int):
        return 1
    if isinstance(layout, dict):
        parts = layout["dict"].values() if isinstance(layout.get("dict"), dict) else layout.get("tuple", ())
    return sum(_leaf_count(part) for part in parts)


def write_elements(elements: Iterator[Any], path: str) -> None:
    """Writes all elements to a folder, which replaces one of its name that holds elements.

    Raises:
        FileExistsError: Something else has this name.
        TypeError: An element holds what no file does.
    """
    if os.path.lexists(path):
        try:
            _description(path)
        except ValueError as error:
            raise FileExistsError(
                f"{path}: expected a free name, or elements of a data set: {error}"
            ) from None
    writer = _Writer(path, "Dataset.save")
    try:
        for element in elements:
            writer.add(element)
        writer.finish(replace=True)
    except BaseException:
        writer.discard()
        raise


def cached_in_file(source: Pipeline, filename: Any) -> Callable[[bool], Iterator[Any]]:
    """A pass over elements that are written to a folder by the first whole pass, and read by the others.

    Beside the elements lies what they are made of, so that they are not taken for those of another data set.
    """
    path = file_path(filename.numpy() if isinstance(filename, StringTensor) else filename, "Dataset.cache")
    lock = threading.Lock()

    def fingerprint() -> Fingerprint:
        # As the data set was at first: what its functions hold may change while they are called.
        if source._fingerprint is None:
            source._fingerprint = Fingerprint(source)
        found: Fingerprint = source._fingerprint
        return found

    def kept() -> Callable[[bool], Iterator[Any]]:
        # Elements that an earlier version wrote say nothing of it.
        difference = fingerprint().difference(_description(path).get("of"))
        if difference is not None:
            raise ValueError(
                f"Dataset.cache: {path}: expected elements of this data set, found those of another one, or "
                f"of an earlier state: {difference}; delete this folder to compute them anew, or give each "
                "data set a name of its own"
            )
        return read_elements(path)[0]

    def cached(peek: bool) -> Iterator[Any]:
        if os.path.lexists(path):
            yield from kept()(peek)
            return
        if peek or not lock.acquire(blocking=False):
            yield from source._open(peek)
            return
        try:
            of = fingerprint().facts
            writer = _Writer(path, "Dataset.cache")
            try:
                for element in source._open(peek):
                    writer.add(element)
                    yield element
                writer.finish(replace=False, of=of)
            except BaseException:
                writer.discard()
                raise
        finally:
            lock.release()

    return cached
