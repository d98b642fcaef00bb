"""`tf.train.Checkpoint` and what keeps several: variables, layers, models and optimizers in files.

A checkpoint is one HDF5 file, `<prefix>-<number>.index`, which scripts that look for TensorFlow's index find.
The groups in it are called as the arguments of `Checkpoint`, and hold what files of weights hold. Checkpoints
that TensorFlow wrote are refused.

>>> import os, tempfile
>>> import cnnrs.compat.tf as tf
>>> step, folder = tf.Variable(1), tempfile.TemporaryDirectory()
>>> checkpoint = tf.train.Checkpoint(step=step)
>>> manager = tf.train.CheckpointManager(checkpoint, folder.name, max_to_keep=2)
>>> for _ in range(3):
...     _ = step.assign_add(1)
...     path = manager.save()
>>> os.path.basename(path), [os.path.basename(kept) for kept in manager.checkpoints]
('ckpt-3', ['ckpt-2', 'ckpt-3'])
>>> _ = step.assign(0)
>>> _ = checkpoint.restore(manager.latest_checkpoint)
>>> int(step)
4
>>> folder.cleanup()
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnrs import variables
from cnnrs.compat.tf.checkpoint_files import file_of, get_checkpoint_state, note
from cnnrs.compat.tf.checkpoint_files import read as read_file
from cnnrs.compat.tf.modules import Module
from cnnrs.layers import Layer
from cnnrs.metrics import Metric
from cnnrs.optimizers import Optimizer
from cnnrs.saving.generators import GROUP, restore_generators
from cnnrs.saving.keras_weights import state_group
from cnnrs.saving.object_paths import saved_objects
from cnnrs.saving.state import Stores, load_own
from cnnrs.serialization import hdf5

__all__ = ["Checkpoint", "LoadStatus"]

_VALUE = "value"
_WITH_STATE = (Layer, Optimizer)


class Checkpoint:
    """Writes and reads the state of objects.

    Args:
        root: An object whose parts are saved with it.
        **kwargs: Objects by name: variables, layers, models, optimizers, metrics, modules, other checkpoints,
            and lists, tuples and dicts of these. They are attributes of the checkpoint.

    Raises:
        ValueError: An object has no state that could be saved.
    """

    def __init__(self, root: Any = None, **kwargs: Any):
        self._objects: dict[str, Any] = {} if root is None else {"root": root}
        self._objects.update(kwargs)
        for name, value in self._objects.items():
            _check(value, name)
        self._counter: variables.Variable | None = None

    def __getattr__(self, name: str) -> Any:
        if name in vars(self).get("_objects", {}):
            return self._objects[name]
        raise AttributeError(f"tf.train.Checkpoint has no object {name!r}", name=name, obj=self)

    @property
    def save_counter(self) -> Any:
        """How often `save` was called: a variable."""
        if self._counter is None:
            self._counter = variables.Variable(0, dtype="int64", trainable=False, name="save_counter")
        return self._counter

    def write(self, file_prefix: Any, options: Any = None) -> str:
        """Writes one file.

        Args:
            file_prefix: Its path, without the suffix.
            options: None.

        Returns:
            `file_prefix`.

        Raises:
            ValueError: An object has no variables yet.
        """
        _no_options(options)
        path = os.fspath(file_prefix)
        file = file_of(path, "Checkpoint.write")
        os.makedirs(os.path.dirname(file) or ".", exist_ok=True)
        root = hdf5.Group(attrs={"format": "cnnrs checkpoint"})
        for name, value in self._items():
            _store(value, root, name)
        hdf5.write(file, root)
        return path

    def save(self, file_prefix: Any, options: Any = None) -> str:
        """Writes the next file, `<file_prefix>-<number>`, and notes that it is the latest.

        Args:
            file_prefix: Path, without number and suffix.
            options: None.

        Returns:
            The path with the number: what `restore` takes.
        """
        self.save_counter.assign_add(1)
        path = self.write(f"{os.fspath(file_prefix)}-{int(self.save_counter)}", options)
        folder = os.path.dirname(path)
        before = get_checkpoint_state(folder)
        note(folder, [*(before.all_model_checkpoint_paths if before else ()), path])
        return path

    def read(self, save_path: Any, options: Any = None) -> LoadStatus:
        """Reads what `write` wrote.

        Args:
            save_path: The path.
            options: None.

        Returns:
            What was found, and what was not.

        Raises:
            FileNotFoundError: There is no such checkpoint.
            ValueError: A shape differs, the file is damaged, or TensorFlow wrote it.
        """
        _no_options(options)
        status = LoadStatus(os.fspath(save_path))
        found = read_file(save_path, "Checkpoint.restore")
        names = [name for name, _ in self._items()]
        status.left += [name for name in found.groups if name not in names]
        for name, value in self._items():
            _hand_over(value, found.groups.get(name), name, status)
        return status

    def restore(self, save_path: Any, options: Any = None) -> LoadStatus:
        """Reads what `save` wrote. What is not built yet gets its values when it is.

        Args:
            save_path: The path; None, which `latest_checkpoint` gives of an empty folder, changes nothing.
            options: None.

        Returns:
            What was found, and what was not.

        Raises:
            FileNotFoundError: There is no such checkpoint.
            ValueError: A shape differs, the file is damaged, or TensorFlow wrote it.
        """
        if save_path is None:
            _no_options(options)
            return LoadStatus(None)
        status = self.read(save_path, options)
        if "save_counter" in status.missing:
            status.missing.remove("save_counter")  # written by `write`
        return status

    def _items(self) -> Iterator[tuple[str, Any]]:
        yield from self._objects.items()
        yield "save_counter", self.save_counter


class LoadStatus:
    """What became of a checkpoint that was read.

    Attributes:
        path: The checkpoint; None if there was none.
        missing: Objects that the checkpoint knows nothing of.
        left: What the checkpoint holds, and nobody asked for.
        waiting: Objects that get their values when they are built.
    """

    def __init__(self, path: str | None):
        self.path = path
        self.missing: list[str] = []
        self.left: list[str] = []
        self.waiting: list[str] = []

    def assert_existing_objects_matched(self) -> LoadStatus:
        """Raises `AssertionError` if the checkpoint knows nothing of an object."""
        if self.path is None:
            raise AssertionError("no checkpoint was restored: save_path was None")
        if self.missing:
            raise AssertionError(f"{self.path}: nothing is stored for {', '.join(self.missing)}")
        return self

    def assert_consumed(self) -> LoadStatus:
        """Raises `AssertionError` if an object got nothing, or something in the checkpoint was not used."""
        self.assert_existing_objects_matched()
        unused = [*self.left, *self.waiting]
        if unused:
            raise AssertionError(f"{self.path}: not used, or not yet: {', '.join(unused)}")
        return self

    def assert_nontrivial_match(self) -> LoadStatus:
        """As `assert_existing_objects_matched`."""
        return self.assert_existing_objects_matched()

    def expect_partial(self) -> LoadStatus:
        """Says that it is meant that not everything is used. Nothing warns here, in any case."""
        return self


def _no_options(options: Any) -> None:
    if options is not None:
        raise ValueError(f"tf.train.Checkpoint: options: expected None, received {options!r}")


def _check(value: Any, name: str) -> None:
    """Raises ValueError if an object has no state."""
    if isinstance(value, (*_WITH_STATE, variables.Variable, Metric, Module, Checkpoint)):
        return
    if isinstance(value, (list, tuple, dict)):
        for step, inner in _inside(value):
            _check(inner, f"{name}/{step}")
        return
    raise ValueError(
        f"tf.train.Checkpoint: {name}: expected a variable, layer, model, optimizer, metric or module, or a "
        f"list, tuple or dict of these, received {type(value).__name__}"
    )


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    """The objects of a container, a module or a checkpoint, with the names of their groups."""
    if isinstance(value, Checkpoint):
        yield from value._items()
    elif isinstance(value, dict):
        yield from ((str(key), inner) for key, inner in value.items())
    else:
        yield from ((str(i), inner) for i, inner in enumerate(value))


def _parts(value: Any) -> Any:
    if isinstance(value, Metric):
        return value.variables
    return list(value._leaves()) if isinstance(value, Module) else value


def _store(value: Any, into: hdf5.Group, name: str) -> None:
    """Puts the state of an object into a group of its name."""
    if isinstance(value, variables.Variable):
        into.group(name).arrays[_VALUE] = value.numpy()
    elif isinstance(value, _WITH_STATE):
        into.groups[name] = state_group(value)
    else:
        for step, inner in _inside(_parts(value)):
            _store(inner, into.group(name), step)


def _hand_over(value: Any, found: hdf5.Group | None, name: str, status: LoadStatus) -> None:
    """Gives an object what its group holds."""
    if found is None:
        status.missing.append(name)
    elif isinstance(value, variables.Variable):
        if _VALUE not in found.arrays:
            status.missing.append(name)
            return
        _fit(value, found.arrays[_VALUE], f"{status.path}: {name}")
    elif isinstance(value, _WITH_STATE):
        _Waiting(value, Stores(found, f"{status.path}: {name}"), name, status).hand_over()
        restore_generators(value, found.groups.get(GROUP))
    else:
        for step, inner in _inside(_parts(value)):
            _hand_over(inner, found.groups.get(step), f"{name}/{step}", status)


def _fit(variable: Any, stored: Any, what: str) -> None:
    array = np.asarray(stored)
    if tuple(array.shape) != tuple(variable.shape):
        raise ValueError(f"{what}: expected shape {tuple(variable.shape)}, received {tuple(array.shape)}")
    variable.assign(array)


class _Waiting:
    """The state of a model, layer or optimizer, parts of which may not be built yet.

    Args:
        root: The object.
        stores: Its groups.
        name: What the checkpoint calls it.
        status: Is told what waits.
    """

    def __init__(self, root: Any, stores: Stores, name: str, status: LoadStatus):
        self.root, self.stores, self.name, self.status = root, stores, name, status
        self._done: set[int] = set()

    def hand_over(self) -> None:
        """Gives built parts what is stored for them, and has the others wait for it."""
        for saved in saved_objects(self.root):
            owner, store = saved.value, self.stores.store(saved.path)
            if id(owner) in self._done or not hasattr(owner, "load_own_variables"):
                continue
            where = f"{self.name}/{saved.path}".rstrip("/")
            if getattr(owner, "built", True):
                self._done.add(id(owner))
                if store:
                    load_own(owner, store)
                elif getattr(owner, "variables", None) and not self.stores.has(saved.path):
                    self.status.missing.append(where)
            elif store and "build" not in vars(owner):
                self.status.waiting.append(where)
                self._watch(owner, where)

    def _watch(self, owner: Any, where: str) -> None:
        build: Callable[..., Any] = owner.build

        def built(*args: Any, **kwargs: Any) -> Any:
            vars(owner).pop("build", None)
            result = build(*args, **kwargs)
            if hasattr(type(owner), "load_from_keras") or owner.built:
                self.status.waiting.remove(where)
                self.hand_over()
            return result

        # No attribute of a layer: it is no part of its state.
        vars(owner)["build"] = built
