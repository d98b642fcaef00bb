"""Imports of `keras` and `tensorflow` that give cnnrs."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import cnnrs
from cnnrs import config
from cnnrs.keras.paths import FORMER, KEPT, MODULES

__all__ = [
    "ROOTS",
    "announce",
    "canonical",
    "find",
    "find_module",
    "install",
    "is_installed",
    "path_of_module",
    "uninstall",
]

# The packages that scripts import, and what they get.
ROOTS = {"keras": "cnnrs.keras", "tf_keras": "cnnrs.keras", "tensorflow": "cnnrs.compat.tf"}

# Other names of the same namespaces.
_SAME = {
    "tf_keras": "keras",
    "keras.api": "keras",
    "keras._tf_keras.keras": "keras",
    "tensorflow.keras": "keras",
    "tensorflow.compat.v2": "tensorflow",
}
# What is no part of an API: it changes from release to release.
_PRIVATE = (
    "keras.src",
    "keras._tf_keras",
    "tensorflow.python",
    "tensorflow.core",
    "tensorflow.tsl",
    "tf_keras.src",
)


def canonical(path: str) -> str:
    """The path below `keras` or `tensorflow` for one that scripts write.

    >>> canonical("tensorflow.keras.layers"), canonical("tf_keras.api.ops"), canonical("tensorflow.io")
    ('keras.layers', 'keras.ops', 'tensorflow.io')
    """
    for other, name in _SAME.items():
        if path == other or path.startswith(f"{other}."):
            return canonical(name + path[len(other) :])
    return path


def find_module(path: str) -> ModuleType:
    """The module that an import of `path` gives.

    Args:
        path: As a script writes it: "tensorflow.keras.layers".

    Raises:
        ModuleNotFoundError: There is none; the message says why, or what to import instead.
    """
    name = canonical(path)
    private = next((p for p in _PRIVATE if name == p or name.startswith(f"{p}.")), None)
    if private is not None:
        raise _not_found(path, f"{private} is not public; import from {private.split('.')[0]}")
    root, _, below = name.partition(".")
    if root == "keras" and below and below not in MODULES | KEPT:
        if below in FORMER:
            raise _not_found(path, f"Keras 3 has no module {name}: {FORMER[below]}")
        from cnnrs.base.suggest import did_you_mean

        hint = did_you_mean(name, [f"keras.{module}" for module in MODULES])
        raise _not_found(path, f"Keras has no module {name}{hint}")
    found: Any = importlib.import_module(ROOTS[root])
    for part in below.split(".") if below else []:
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise _not_found(path, str(error)) from None
    if not isinstance(found, ModuleType):
        raise _not_found(path, f"{name} is no module; write `from {name.rpartition('.')[0]} import {part}`")
    return found


def _not_found(path: str, reason: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {path!r} in cnnrs: {reason}", name=path)


def find(path: str) -> Any:
    """The object that a path of a script means.

    Args:
        path: "tensorflow.keras.layers.Dense", "keras.Model.fit".

    Raises:
        AttributeError: cnnrs has no such name; the message says why, or which one is near.
        ModuleNotFoundError: The path begins with a module that is not there.
    """
    name = canonical(path)
    root, *parts = name.split(".")
    if any(name == p or name.startswith(f"{p}.") for p in _PRIVATE):
        find_module(name)
    found: Any = importlib.import_module(ROOTS[root])
    for position, part in enumerate(parts):
        try:
            found = getattr(found, part)
        except AttributeError:
            below = ".".join(parts[: position + 1])
            if root == "keras" and isinstance(found, ModuleType) and below in FORMER:
                find_module(f"keras.{below}")
            raise
    return found


def path_of_module(name: str) -> str | None:
    """The path that scripts write for a module of cnnrs; None for another's module.

    >>> path_of_module("cnnrs.layers"), path_of_module("cnnrs.compat.tf.image"), path_of_module("numpy")
    ('keras.layers', 'tensorflow.image', None)
    """
    for root, ours in (("tensorflow", "cnnrs.compat.tf"), ("keras", "cnnrs.keras"), ("keras", "cnnrs")):
        if name == ours:
            return root
        below = name.removeprefix(f"{ours}.")
        if below != name and (root == "tensorflow" or below in MODULES):
            return f"{root}.{below}"
    return None


class _Serving(Loader):
    """Puts the module of cnnrs under the name that was imported."""

    def __init__(self, module: ModuleType):
        self.module = module

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # The import takes what stands here then, as documented: `keras.layers` is `cnnrs.layers` itself.
        assert module.__spec__ is not None
        sys.modules[module.__spec__.name] = self.module


class _Finder(MetaPathFinder):
    """Answers for all that lies below `ROOTS`: nothing there comes from anywhere else."""

    def __init__(self) -> None:
        self.warned = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.split(".")[0] not in ROOTS:
            return None
        module = find_module(fullname)
        self._warn_of_backend()
        return ModuleSpec(fullname, _Serving(module), origin="cnnrs", is_package=hasattr(module, "__path__"))

    def _warn_of_backend(self) -> None:
        backend = os.environ.get("KERAS_BACKEND", "")
        if self.warned or backend in ("", "tensorflow", "cnnrs"):
            return
        self.warned = True
        _say(
            f"KERAS_BACKEND={backend} changes nothing: cnnrs computes, with the functions that scripts for "
            "'tensorflow' use, as keras.backend.backend() says"
        )


_FINDER = _Finder()
_SETTINGS = {"quiet": False}


def is_installed() -> bool:
    """Whether imports of `keras` and `tensorflow` give cnnrs."""
    return _FINDER in sys.meta_path


def install(quiet: bool = False) -> None:
    """Has imports of `keras`, `tensorflow` and `tf_keras` give cnnrs, in this process.

    `keras.backend.backend()` is "tensorflow" from then on: scripts ask for it to learn whether they may use
    `tf.GradientTape` and `tf.data`, and they may.

    Args:
        quiet: Whether nothing is written to stderr.

    Raises:
        ImportError: One of them is loaded already: a program with two kinds of layers would mix them up.
    """
    _SETTINGS["quiet"] = quiet
    if is_installed():
        return
    for name in ROOTS:
        loaded = sys.modules.get(name)
        if loaded is not None:
            where = getattr(loaded, "__file__", None) or "an unknown place"
            raise ImportError(
                f"cnnrs.keras: {name} is loaded already, from {where}; "
                "load cnnrs.keras in a fresh interpreter, before anything imports it",
                name=name,
            )
    sys.meta_path.insert(0, _FINDER)
    config.answer_backend("tensorflow")


def uninstall() -> None:
    """Undoes `install`: later imports give what is installed. Names that were imported stay as they are."""
    if not is_installed():
        return
    sys.meta_path.remove(_FINDER)
    for name in [name for name in sys.modules if name.split(".")[0] in ROOTS]:
        del sys.modules[name]
    config.answer_backend("cnnrs")


def announce(what: str) -> None:
    """Says on stderr, in one line, whose `keras` this is."""
    _say(f"cnnrs {cnnrs.version()} gives keras and tensorflow to {what}")


def _say(text: str) -> None:
    if not _SETTINGS["quiet"] and sys.stderr is not None:
        print(text if text.startswith("cnnrs ") else f"cnnrs: {text}", file=sys.stderr, flush=True)
