"""`ElementFunction`: a function of elements, recorded once for each signature and replayed as a plan."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from cnnrs import _core, tree
from cnnrs.base import context, policies
from cnnrs.base.key_scope import KeyScope
from cnnrs.base.recent import Recent
from cnnrs.data.elements import as_element, for_user, host
from cnnrs.data.spec import TensorSpec, plain_name, spec_of
from cnnrs.ops.dispatch import as_tensor

__all__ = ["ElementFunction", "arguments_of", "as_bool", "on_the_processor"]

_LOG = logging.getLogger("cnnrs.data")
# Signatures for which a function is recorded. One that meets more is run by Python, whose ops find their
# plans by their graphs: recording would cost more than it saves.
_MAX_SIGNATURES = 16
_TENSOR = object()


class _Recording(NamedTuple):
    """A recorded function.

    Attributes:
        compiled: The plan.
        outputs: What the function returned, with `_TENSOR` in place of tensors.
        spec: The specs of that.
    """

    compiled: Any
    outputs: Any
    spec: Any


class on_the_processor:
    """Context manager in which this thread computes on the processor: a pipeline feeds the device."""

    def __enter__(self) -> None:
        self._before = _core.set_thread_device("cpu")

    def __exit__(self, *exception: object) -> None:
        _core.restore_thread_device(self._before)


class ElementFunction:
    """A user's function of elements, whose parts are its arguments if they come in a tuple.

    The first call with a signature (shapes and types) records the function on placeholders; further ones
    replay its plan without Python, in any thread. A function that cannot be recorded, for it reads values,
    files or text, or returns data sets, runs in Python for each element; the log says so once.

    Random draws depend on the key of the element alone, see `base.key_scope`.

    Args:
        function: The user's function.
        where: What errors and the log call it: "Dataset.map".
        returns_datasets: Whether it is there to return data sets, so that Python runs it.
    """

    def __init__(self, function: Callable[..., Any], where: str, returns_datasets: bool = False):
        if not callable(function):
            raise TypeError(f"{where}: expected a function, received {function!r}")
        self.function = function
        self.where = where
        self.runs_in_python = returns_datasets
        self._recordings: Recent[Any, _Recording] = Recent(_MAX_SIGNATURES)
        self._lock = threading.Lock()

    def __call__(self, arguments: tuple[Any, ...], key: np.ndarray) -> Any:
        """What the function makes of one element.

        Args:
            arguments: The arguments, structures of leaves.
            key: The key of the element, two int32.

        Returns:
            An element, whose tensors are computed.
        """
        with on_the_processor():
            recording = None if self.runs_in_python else self._recording(arguments)
            if recording is None:
                return self._in_python(arguments, key)
            compiled, outputs, _ = recording
            values: Iterator[Any] = iter(compiled(*tree.flatten(arguments), key))
        if outputs is _TENSOR:
            return next(values)
        return tree.map_structure(lambda leaf: next(values) if leaf is _TENSOR else leaf, outputs)

    def _recording(self, arguments: tuple[Any, ...]) -> _Recording | None:
        """The plan for such arguments and the structure of its outputs; None if there is none."""
        facts = []
        for leaf in tree.flatten(arguments):
            if not isinstance(leaf, (np.ndarray, np.generic, _core.Tensor)):
                return self._give_up("elements hold text or data sets")
            facts.append((leaf.shape, plain_name(leaf.dtype)))
        signature = (tuple(facts), _core.plan_key(), policies.changes())
        found = self._recordings.get(signature)
        if found is not None:
            return found
        with self._lock:
            found = self._recordings.get(signature)
            if found is not None or self.runs_in_python:
                return found
            if len(self._recordings) == _MAX_SIGNATURES:
                return self._give_up(f"elements have more than {_MAX_SIGNATURES} shapes")
            try:
                found = self._record(arguments)
            except Exception as error:
                # What is wrong with the function, if anything is, comes out where Python runs it.
                return self._give_up(f"{type(error).__name__}: {error}")
            if found is None:
                return self._give_up("it returns text or data sets")
            self._recordings[signature] = found
        return found

    def _record(self, arguments: tuple[Any, ...]) -> _Recording | None:
        with context.trace() as recorder:

            def place(leaf: Any) -> Any:
                return recorder.placeholder(list(leaf.shape), plain_name(leaf.dtype), "element")

            placed = tree.map_structure(place, arguments)
            with KeyScope(recorder.placeholder([2], "int32", "key")):
                outputs = self._returned(placed)
            leaves = tree.flatten(outputs)
            if any(
                not (leaf is None or isinstance(leaf, (np.ndarray, np.generic, _core.Tensor)))
                for leaf in leaves
            ):
                return None
            spec = spec_of(outputs)
            compiled = recorder.compile([as_tensor(leaf) for leaf in leaves if leaf is not None])
        structure = tree.map_structure(lambda leaf: None if leaf is None else _TENSOR, outputs)
        return _Recording(compiled, structure, spec)

    def _in_python(self, arguments: tuple[Any, ...], key: np.ndarray) -> Any:
        with KeyScope(key), _core.no_grad():
            outputs = self._returned(tree.map_structure(for_user, arguments))
        tensors = [leaf for leaf in tree.flatten(outputs) if isinstance(leaf, _core.Tensor)]
        if tensors:
            _core.realise(tensors)
        return outputs

    def _returned(self, arguments: tuple[Any, ...]) -> Any:
        """What the function returns, as an element: a list is as a tuple, as in tf.data."""
        result = self.function(*arguments)
        return as_element(tuple(result) if isinstance(result, list) else result, self.where)

    def _give_up(self, reason: str) -> _Recording | None:
        if not self.runs_in_python:
            self.runs_in_python = True
            name = getattr(self.function, "__qualname__", type(self.function).__name__)
            _LOG.info("%s: %s runs in Python for each element: %s", self.where, name, reason)
        return None

    def spec(self, arguments: tuple[Any, ...]) -> Any:
        """The specs of the result, by those of the arguments; None if only a call tells.

        Recording tells, where all shapes are known.
        """
        leaves = tree.flatten(arguments)
        known = all(isinstance(s, TensorSpec) and s.shape is not None and None not in s.shape for s in leaves)
        if self.runs_in_python or not known or any(s.dtype == "string" for s in leaves):
            return None
        examples = tree.map_structure(lambda s: np.zeros(s.shape, s.dtype), arguments)
        with on_the_processor():
            recording = self._recording(examples)
        return None if recording is None else recording.spec


def arguments_of(element: Any) -> tuple[Any, ...]:
    """The arguments of a function of an element: the parts of a tuple."""
    return tuple(element) if isinstance(element, tuple) else (element,)


def as_bool(value: Any, where: str) -> bool:
    """What a predicate returned, as a bool.

    Raises:
        ValueError: It is no single bool or number.
    """
    value = host(value)
    if np.ndim(value) != 0 or not isinstance(value, (bool, np.bool_, int, np.ndarray, np.generic)):
        raise ValueError(f"{where}: expected a function that returns a single bool, received {value!r}")
    return bool(value)
