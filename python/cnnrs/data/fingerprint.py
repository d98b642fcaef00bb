"""`Fingerprint`: what elements are made of, so that kept ones are not taken for those of other data."""

from __future__ import annotations

import hashlib
import os
import sys
import types
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.data.elements import host
from cnnrs.data.image_files import ImageFiles
from cnnrs.data.kept import InMemory
from cnnrs.data.mapping import ElementFunction
from cnnrs.data.passes import Passes
from cnnrs.data.pipeline import Pipeline
from cnnrs.data.rows import ArrayRows, Rows
from cnnrs.data.strings import StringTensor

__all__ = ["Fingerprint"]

# Variables of steps that change how fast elements come, or what errors call them, and no element.
_NO_CONTENT = {"in_memory", "name", "waiting", "where", "workers"}
# Entries of layers' configurations that are drawn anew where users give none.
_DRAWN = {"name", "seed", "build_config"}
_PLAIN = (type(None), bool, int, float, complex, str, bytes, os.PathLike, np.generic)
# Of a larger array so many bytes count, of rows that lie evenly apart.
_BYTES = 64 * 2**20
# Longer text names no file.
_LONGEST_PATH = 4096


class Fingerprint:
    """Hashes of what the elements of a data set are made of.

    The data are arrays and text by their content, of which large arrays give some rows, and files by their
    names, sizes and times. The steps are the functions and numbers of the data set's methods, with the
    configurations and weights of layers; what a step draws at random does not count. The code is that of
    users' functions, with what they refer to, as this version of Python compiles it.

    Args:
        dataset: The data set.

    Attributes:
        facts: The hashes and the spec of elements, as plain data.

    >>> import numpy as np
    >>> from cnnrs.data import Dataset
    >>> one, other = (Dataset.from_tensor_slices(np.arange(n)).batch(2) for n in (4, 6))
    >>> Fingerprint(one).difference(Fingerprint(other).facts)
    'the arrays and files that it reads are others'
    """

    def __init__(self, dataset: Pipeline):
        self._hashes = {kind: hashlib.sha256() for kind in ("data", "steps", "code")}
        # Objects by their addresses, kept so that none gets the address of another.
        self._seen: dict[int, Any] = {}
        self._add(dataset)
        del self._seen
        spec = dataset._known_spec()
        self.facts: dict[str, Any] = {
            **{kind: digest.hexdigest() for kind, digest in self._hashes.items()},
            "python": list(sys.version_info[:2]),
            "spec": None if spec is None else repr(spec),
        }

    def difference(self, facts: Any) -> str | None:
        """What differs from the facts of other elements, in words; None if nothing does."""
        if not isinstance(facts, dict) or facts == self.facts:
            return None
        own, other = self.facts["spec"], facts.get("spec")
        if own is not None and other is not None and own != other:
            return f"its elements are {own}, and were {other}"
        if facts.get("data") != self.facts["data"]:
            return "the arrays and files that it reads are others"
        if facts.get("steps") != self.facts["steps"]:
            return "its steps have other arguments, or come in another order"
        if facts.get("code") != self.facts["code"] and facts.get("python") == self.facts["python"]:
            return "the functions that it maps have other code"
        return None

    def _note(self, kind: str, *facts: Any) -> None:
        self._hashes[kind].update(repr(facts).encode("utf-8", "surrogatepass"))

    def _add(self, value: Any) -> None:
        """Adds a value that a step holds."""
        # Text in tensors may stand for a path, and is an array all the same.
        if isinstance(value, (np.ndarray, _core.Tensor, _core.Variable, StringTensor)):
            self._add_array(value, "data")
        elif isinstance(value, _PLAIN):
            self._add_plain(value)
        elif isinstance(value, type):
            self._note("steps", "type", value.__qualname__)
        elif id(value) in self._seen:
            self._note("steps", "again", list(self._seen).index(id(value)))
        else:
            self._seen[id(value)] = value
            self._add_object(value)

    def _add_plain(self, value: Any) -> None:
        text = os.fspath(value) if isinstance(value, os.PathLike) else value
        self._note("steps", text.item() if isinstance(text, np.generic) else text)
        if isinstance(text, (str, bytes)):
            self._add_file(text, None)

    def _add_object(self, value: Any) -> None:
        if isinstance(value, (list, tuple)):
            self._note("steps", "list", len(value))
            self._add_all(value)
        elif isinstance(value, dict):
            self._note("steps", "dict", len(value))
            for key in value:
                self._add(key)
                self._add(value[key])
        elif isinstance(value, Pipeline):
            self._note("steps", "dataset")
            self._add_all(value._sources)
            self._add(value._open_pass)
        elif isinstance(value, InMemory):
            self._add(value.source)
        elif isinstance(value, Passes):
            self._note("steps", "passes")
        elif isinstance(value, ElementFunction):
            self._add(value.function)
        elif isinstance(value, ArrayRows):
            self._add_all(tree.flatten(value.structure))
        elif isinstance(value, Rows):
            self._add(value.source)
            self._add(value.order)
        elif isinstance(value, ImageFiles):
            self._add_images(value)
        elif isinstance(value, partial):
            self._add_all((value.func, value.args, value.keywords))
        elif isinstance(value, types.MethodType):
            self._note("steps", "method", value.__name__)
            self._add(value.__self__)
            if not _is_own(value.__func__):
                self._add(value.__func__)
        elif isinstance(value, types.FunctionType):
            self._add_function(value)
        elif callable(getattr(value, "get_config", None)):
            self._add_layer(value)
        elif isinstance(value, types.ModuleType):
            self._note("steps", "module", value.__name__)
        elif isinstance(value, (set, frozenset)):
            # In an order that is the same in each run.
            self._note("steps", "set", sorted(map(repr, value)))
        elif hasattr(value, "__array__") and hasattr(value, "shape"):
            # Tables and tensors of other libraries.
            self._add_array(np.asarray(value), "data")
        else:
            self._add_attributes(value)

    def _add_all(self, values: Iterable[Any]) -> None:
        for value in values:
            self._add(value)

    def _add_attributes(self, value: Any) -> None:
        """An object of another class: its numbers, text and paths; of this package's, all that it holds.

        Users' objects may hold what changes while they are used.
        """
        own = _is_own(type(value))
        self._note("steps", "object", type(value).__qualname__, getattr(value, "__qualname__", None))
        for name, held in sorted(getattr(value, "__dict__", {}).items()):
            if name not in _NO_CONTENT and (own or _is_plain(held)):
                self._note("steps", name)
                self._add(held)

    def _add_function(self, function: types.FunctionType) -> None:
        own = _is_own(function)
        code = function.__code__
        self._note("steps", "function", function.__qualname__)
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            if not (own and name in _NO_CONTENT):
                try:
                    self._add(cell.cell_contents)
                except ValueError:
                    # A variable that has no value yet.
                    self._note("steps", "empty")
        for path in getattr(function, "reads", ()):
            self._add_file(path, None)
        if own:
            return
        self._add(function.__defaults__)
        self._add(function.__kwdefaults__)
        for name in sorted(set(self._add_code(code))):
            if name in function.__globals__:
                self._note("steps", name)
                self._add(function.__globals__[name])

    def _add_code(self, code: types.CodeType) -> list[str]:
        """Adds compiled code, and gives the names to which it refers."""
        names = list(code.co_names)
        self._note("code", code.co_code, code.co_names, code.co_varnames)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                names += self._add_code(constant)
            elif isinstance(constant, frozenset):
                # The order of their text differs from run to run.
                self._note("code", sorted(map(repr, constant)))
            else:
                self._note("code", constant)
        return names

    def _add_layer(self, layer: Any) -> None:
        self._note("steps", "layer", type(layer).__qualname__)
        try:
            config = layer.get_config()
        except Exception:
            # A layer of users without one: its numbers tell.
            self._add_attributes(layer)
            config = {}
        self._note("steps", _without_draws(config))
        for weight in getattr(layer, "weights", ()):
            self._add_array(weight, "steps")

    def _add_images(self, files: ImageFiles) -> None:
        self._note(
            "steps", "images", files.decoding.size, sorted(files.decoding.arguments.items()), files.skips
        )
        root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in files.paths])
        for path in files.paths:
            self._add_file(path, root)
        if files._targets is not None:
            self._add_array(files._targets, "data")

    def _add_file(self, path: str | bytes, root: str | None) -> None:
        """Notes size and time of the file that a text names, if it does; `root` is where names begin."""
        try:
            if not 0 < len(path) < _LONGEST_PATH:
                return
            found = os.stat(path)
        except (OSError, ValueError):
            if root is not None:
                self._note("data", "missing", os.path.relpath(os.fsdecode(path), root))
            return
        if root is not None or os.path.isfile(path):
            name = None if root is None else os.path.relpath(os.fsdecode(path), root)
            self._note("data", name, found.st_size, found.st_mtime_ns)

    def _add_array(self, value: Any, kind: str) -> None:
        if isinstance(value, StringTensor):
            texts = value.array.ravel().tolist()
            self._note(kind, "text", value.shape, texts)
            for text in texts:
                self._add_file(text, None)
            return
        array = np.asarray(host(value.value if isinstance(value, _core.Variable) else value))
        self._note(kind, array.dtype.str, array.shape)
        if array.nbytes > _BYTES and array.ndim:
            rows = max(1, _BYTES * len(array) // array.nbytes)
            array = array[np.linspace(0, len(array) - 1, rows).astype(np.int64)]
        if array.dtype.hasobject:
            self._note(kind, array.tolist())
        else:
            self._hashes[kind].update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _is_own(value: Any) -> bool:
    """Whether a function or a class is part of this package: its code changes with the version alone."""
    module = str(getattr(value, "__module__", ""))
    return module == "cnnrs" or module.startswith("cnnrs.")


def _is_plain(value: Any) -> bool:
    """Whether a value is a number, text or a path, or a list, tuple or dict of such."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, (*value, *value.values())))
    return isinstance(value, _PLAIN) and not isinstance(value, StringTensor)


def _without_draws(config: Any) -> Any:
    """A configuration without names and seeds, in one order."""
    if isinstance(config, dict):
        return sorted((str(k), _without_draws(v)) for k, v in config.items() if k not in _DRAWN)
    if isinstance(config, (list, tuple)):
        return [_without_draws(part) for part in config]
    if isinstance(config, np.ndarray):
        return config.tolist()
    if isinstance(config, (*_PLAIN, type)):
        return str(config)
    return type(config).__qualname__
