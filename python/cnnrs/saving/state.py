"""The state of models in groups, as Keras's files hold it: `<path of an object>/vars/<key>`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base.user_warnings import warn_user
from cnnrs.layers import Layer
from cnnrs.saving.object_paths import Saved, saved_objects
from cnnrs.serialization.hdf5 import Group

__all__ = ["Stores", "load_assets", "load_own", "load_state", "save_assets", "save_state"]

# Where files of TensorFlow 2.13 have what is below "layers".
_BEFORE_3 = "_layer_checkpoint_dependencies"


class Stores:
    """The groups of a file, by the paths of objects: those of one HDF5 file, or of several shards.

    Args:
        root: The root group; of several files, their root groups merged.
        source: What errors call the file.
    """

    def __init__(self, root: Group, source: str):
        self._root, self.source = root, source

    def has(self, path: str) -> bool:
        """Whether the file knows a path."""
        return self._find(path) is not None

    def _find(self, path: str) -> Group | None:
        found = self._root.get(path)
        if found is None and _BEFORE_3 in self._root.groups:
            found = self._root.get(path.replace("layers", _BEFORE_3))
        return found

    def store(self, path: str) -> dict[str, np.ndarray]:
        """What the object at a path stored; nothing, if the file does not know it."""
        group = self._find(path)
        inner = group.groups.get("vars") if group is not None else None
        return dict(inner.arrays) if inner is not None else {}


def save_state(root: Any, skip: Any = None) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    """The state of a model and of all inside of it.

    Args:
        root: The model.
        skip: Objects that are left out.

    Returns:
        Of each object: its path, its name or None, what it stores.
    """
    for saved in saved_objects(root, skip):
        if not hasattr(saved.value, "save_own_variables"):
            continue
        name = getattr(saved.value, "name", None)
        yield saved.path, name if isinstance(name, str) else None, _stored(saved.value)


def _stored(owner: Any) -> dict[str, Any]:
    """What an object stores, as Keras does: counts have 64 bits."""
    if hasattr(owner, "save_for_keras"):
        return dict(owner.save_for_keras())
    store: dict[str, Any] = {}
    owner.save_own_variables(store)
    variables = [variable for variable, _ in owner._ordered_own()] if isinstance(owner, Layer) else []
    if set(store) == {str(i) for i in range(len(variables))}:
        for i, variable in enumerate(variables):
            if variable.name == "count" and variable.dtype == "int32":
                store[str(i)] = np.asarray(store[str(i)]).astype(np.int64)
    return {key: _array(owner, key, value) for key, value in store.items()}


def _array(owner: Any, key: Any, value: Any) -> Any:
    """A value of a store, as a file holds it."""
    if isinstance(value, (_core.Tensor, _core.Variable)):
        return value.value if isinstance(value, _core.Variable) else value
    array = np.asarray(value)
    if not isinstance(key, str) or (array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16"):
        raise TypeError(
            f"{owner.name}: save_own_variables: expected arrays of numbers under strings, "
            f"received {type(value).__name__} under {key!r}"
        )
    return array


def load_state(root: Any, stores: Stores, skip: Any = None, skip_mismatch: bool = False) -> None:
    """Hands each object inside a model what it stored.

    Args:
        root: The model.
        stores: The groups of a file.
        skip: Objects that are left as they are.
        skip_mismatch: Whether objects that do not fit are left as they are, with a warning.

    Raises:
        ValueError: An object does not fit; then the model is as before.
    """
    objects = [saved for saved in saved_objects(root, skip) if hasattr(saved.value, "load_own_variables")]
    places = _places(objects, stores)
    before = [(v, v.value) for saved in objects for v in getattr(saved.value, "variables", ())]
    problems: list[tuple[Any, Exception]] = []
    for saved in objects:
        if hasattr(saved.value, "load_from_keras") and saved.path == "optimizer":
            _prepare(root, saved.value, stores.store(places[id(saved)]))
        store = stores.store(places[id(saved)])
        try:
            load_own(saved.value, store)
        except Exception as problem:
            problems.append((saved.value, problem))
    if not problems:
        return
    first, error = problems[0]
    names = ", ".join(repr(getattr(value, "name", type(value).__name__)) for value, _ in problems)
    text = f"no {error}" if isinstance(error, KeyError) else str(error)
    message = (
        f"{stores.source}: a total of {len(problems)} objects could not be loaded: {names}. "
        f"The first is {first!r}: {text}"
    )
    if not skip_mismatch:
        for variable, value in before:
            variable.assign(value)
        raise ValueError(message) from error
    warn_user(message)


def _prepare(model: Any, optimizer: Any, store: dict[str, np.ndarray]) -> None:
    """Makes the slots of a model's optimizer, if a file has them."""
    if not optimizer.built and len(store) > len(optimizer.variables):
        optimizer.build(model.trainable_variables)


def load_own(owner: Any, store: dict[str, np.ndarray]) -> None:
    """Hands an object, which is built, what it stored; what is inside of it is left as it is."""
    if not hasattr(owner, "load_from_keras"):
        owner.load_own_variables(store)
        return
    count = len(owner.keras_order())
    if len(store) == count:
        owner.load_from_keras(store)
    elif store and np.asarray(store.get("0", 0)).any():
        # Weights count without it; as in Keras, another optimizer starts afresh.
        warn_user(
            f"{owner.name} starts afresh: the file has {len(store)} variables of an optimizer, it has {count}"
        )


def _places(objects: list[Saved], stores: Stores) -> dict[int, str]:
    """The path at which a file has each object: the first of those that lead to it and are in the file."""
    found: dict[int, str] = {}
    for saved in objects:
        paths = [
            f"{found.get(id(around), around.path) if around is not None else ''}/{step}".strip("/")
            for around, step in saved.places
        ]
        found[id(saved)] = next((path for path in paths if stores.has(path)), saved.path)
    return found


def save_assets(root: Any, folder: Callable[[str], str]) -> None:
    """Calls `save_assets` of the objects that define it.

    Args:
        root: The model.
        folder: Makes the folder of a path.
    """
    for saved in saved_objects(root):
        if hasattr(saved.value, "save_assets"):
            saved.value.save_assets(folder(saved.path))


def load_assets(root: Any, folder: Callable[[str], str | None]) -> None:
    """Calls `load_assets` of the objects that define it, each with the folder of its path, or None.

    Args:
        root: The model.
        folder: The folder of a path; None if there is none.
    """
    for saved in saved_objects(root):
        if hasattr(saved.value, "load_assets"):
            saved.value.load_assets(folder(saved.path))
