"""`function`: Python that is recorded once for each signature and then replayed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cnnrs import _core, symbolic, tree
from cnnrs.base import context, policies
from cnnrs.base.dtypes import standardize_dtype
from cnnrs.base.recent import Recent
from cnnrs.base.trainable_set import Choice
from cnnrs.base.user_warnings import warn_user
from cnnrs.ops.dispatch import as_tensor

__all__ = ["Function", "function"]

_MANY_TRACES = 8
# Signatures whose recordings a function keeps, those used last, and recordings of one signature.
_MAX_SIGNATURES = 64
_MAX_CHOICES = 8


class _Recording(NamedTuple):
    """A recorded function.

    Attributes:
        trained: What was trained when it was recorded.
        compiled: The plan.
        outputs: What the function returned, with `_TENSOR` in place of tensors.
    """

    trained: Choice
    compiled: Any
    outputs: Any


class Function:
    """What `function` makes of a Python function.

    Attributes:
        traces: How often the function has been recorded.
    """

    def __init__(self, python_function: Callable[..., Any]):
        self.python_function = python_function
        self._signature = inspect.signature(python_function)
        self._recorded: Recent[Any, list[_Recording]] = Recent(_MAX_SIGNATURES)
        self._traces = 0
        self._warned = False
        functools.update_wrapper(self, python_function)

    @property
    def traces(self) -> int:
        """How often the function has been recorded."""
        return self._traces

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replays the function, after recording it if these shapes and values are new."""
        if context.is_tracing() or symbolic.any_symbolic(args, kwargs):
            return self.python_function(*args, **kwargs)
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        structure = [list(bound.args), bound.kwargs]
        key: list[Any] = []
        arrays: list[Any] = []
        for leaf in tree.flatten(structure):
            fact = _fact(leaf)
            key.append(fact if fact is not None else _static(leaf))
            if fact is not None:
                arrays.append(leaf)
        layout = repr(tree.map_structure(lambda _: 0, structure))
        signature = (layout, tuple(key), context.current_training(), _core.plan_key(), policies.changes())
        earlier = self._recorded.get(signature)
        recording = next((r for r in earlier or () if r.trained.holds()), None)
        if recording is None:
            recording = self._record(bound, structure)
            self._traces += 1
            self._recorded[signature] = [*(earlier or [])[-_MAX_CHOICES + 1 :], recording]
            if earlier is None and len(self._recorded) == _MANY_TRACES + 1 and not self._warned:
                self._warned = True
                self._warn(signature)
        values = iter(recording.compiled(*arrays))
        return tree.map_structure(lambda leaf: next(values) if leaf is _TENSOR else leaf, recording.outputs)

    def _record(self, bound: inspect.BoundArguments, structure: Any) -> _Recording:
        trained = Choice()
        with context.trace() as recorder:

            def place(leaf: Any) -> Any:
                fact = _fact(leaf)
                return leaf if fact is None else recorder.placeholder(list(fact[0]), fact[1], "argument")

            args, kwargs = tree.map_structure(place, structure)
            outputs = self.python_function(*args, **kwargs)
            leaves = [leaf for leaf in _in_order(outputs) if _is_value(leaf)]
            compiled = recorder.compile([as_tensor(leaf) for leaf in leaves])
        returned = tree.map_structure(lambda leaf: _TENSOR if _is_value(leaf) else leaf, outputs)
        return _Recording(trained, compiled, returned)

    def _warn(self, signature: Any) -> None:
        others = list(self._recorded)[-2]
        different = [
            f"{old} and {new}" for old, new in zip(others[1], signature[1], strict=False) if old != new
        ] or ["the structure of the arguments"]
        warn_user(
            f"{self.python_function.__qualname__} has been recorded for {len(self._recorded)} signatures; "
            f"the last two differ in {different[0]}. Pass what changes as a tensor, and pad to few shapes.",
            RuntimeWarning,
        )

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        # One recording per object, kept beside its attributes.
        cache = vars(instance).setdefault("_recorded_functions", _Recordings())
        name = self.python_function.__name__
        if name not in cache.functions:
            cache.functions[name] = Function(self.python_function.__get__(instance, owner))
        return cache.functions[name]

    def __repr__(self) -> str:
        return f"<function {self.python_function.__qualname__}, {self.traces} traces>"


class _Recordings:
    """The recorded methods of an object."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}


_TENSOR = object()


def _in_order(structure: Any) -> list[Any]:
    """Leaves in the order in which `tree.map_structure` visits them."""
    leaves: list[Any] = []
    tree.map_structure(leaves.append, structure)
    return leaves


def _is_value(leaf: Any) -> bool:
    return isinstance(leaf, (_core.Tensor, _core.Variable, np.ndarray))


def _fact(leaf: Any) -> tuple[tuple[int, ...], str] | None:
    """Shape and dtype of what becomes an argument of the recorded function; None for what is part of it."""
    if isinstance(leaf, (_core.Tensor, np.ndarray, np.generic)):
        return tuple(leaf.shape), standardize_dtype(leaf.dtype)
    if isinstance(leaf, float):
        return (), "float32"
    return None


def _static(leaf: Any) -> Any:
    """A stand-in for a value that is part of the recording: itself, or its identity."""
    try:
        hash(leaf)
    except TypeError:
        return (type(leaf), id(leaf))
    # True == 1, but they are different arguments.
    return (type(leaf), leaf) if not isinstance(leaf, _core.Variable) else (type(leaf), id(leaf))


def function(func: Callable[..., Any] | None = None) -> Any:
    """Records a Python function once for each signature and choice of what is trained, then replays it.

    Tensors, arrays and floats among the arguments are inputs of the recording; a new shape or dtype makes a
    new one. Integers, strings, layers and all else are part of it; a new value makes a new one. Variables are
    read and assigned at each call. After `trainable` of a layer or variable has changed, the function is
    recorded anew; changed back, the earlier recording serves again. What the function prints or appends
    happens only while it is recorded.

    Raises:
        RuntimeError: The function reads a value (`float(x)`, `x.numpy()`, `if x > 0`) while it is recorded.

    >>> import numpy as np
    >>> import cnnrs
    >>> from cnnrs import ops
    >>> @cnnrs.function
    ... def double(x):
    ...     print("recording")
    ...     return ops.add(x, x)
    >>> double(np.ones(2)).tolist()
    recording
    [2.0, 2.0]
    >>> double(np.array([1.0, 5.0])).tolist()
    [2.0, 10.0]
    """
    return function if func is None else Function(func)
