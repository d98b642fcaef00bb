"""Symbolic tensors, and the graph of operations that functional models are made of.

`Input` gives a `KerasTensor`. Calling a layer or a function of `cnnrs.ops` on it records a `Node` and gives
symbolic outputs, whose shapes come from recording the operation on placeholders of probe sizes.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable
from typing import Any

from cnnrs import tree
from cnnrs._core import Tensor
from cnnrs.base import context, naming
from cnnrs.base.arguments import NamedArguments
from cnnrs.base.dtypes import standardize_dtype

__all__ = [
    "KerasTensor",
    "Node",
    "Operation",
    "any_symbolic",
    "get_source_inputs",
    "infer",
    "is_keras_tensor",
]

# Sizes taken for an unknown extent. What differs between the two runs is unknown in the output. Axis 0 is the
# batch; other axes are images whose size must survive a deep network's strides.
_BATCH_PROBES = (12, 24)
_EXTENT_PROBES = (480, 960)
_LARGE_PROBES = (64 * 480, 64 * 960)
# Less than most extents that something is cut to; and how many sizes are tried until arguments fit.
_SMALL_PROBE = 2
_MOST_FITTINGS = 200


class KerasTensor:
    """A tensor without values: the shape (None where unknown), the dtype, and the operation that makes it.

    Python's operators, indexing and every function of `cnnrs.ops` work on it.

    >>> import cnnrs
    >>> x = cnnrs.Input((28, 28, 1))
    >>> (x / 255.0)[:, ::2].shape
    (None, 14, 28, 1)

    Args:
        shape: Extents; None where unknown.
        dtype: Element type.
        sparse: False; there are no sparse tensors.
        ragged: False; there are no ragged tensors.
        record_history: Whether what is made of the tensor knows how it was made, as models need it.
        name: Name.
    """

    # `array + x` is a symbolic tensor; functions of numpy meet `__array__`.
    __array_priority__ = 1000.0

    def __init__(
        self,
        shape: Any,
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ):
        if sparse or ragged:
            raise ValueError("KerasTensor: sparse and ragged tensors are not supported; expected False")
        self._shape = _check_shape(shape)
        self._dtype = standardize_dtype(dtype)
        self.name = name or naming.auto_name("keras_tensor")
        self.record_history = record_history
        self._keras_history: tuple[Operation, int, int] | None = None
        # What `bool` says of a comparison of two symbols.
        self.truth: bool | None = None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Extents; None where unknown."""
        return self._shape

    @property
    def dtype(self) -> str:
        """Name of the element type."""
        return self._dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._shape)

    @property
    def sparse(self) -> bool:
        """Always False."""
        return False

    @property
    def ragged(self) -> bool:
        """Always False."""
        return False

    @property
    def ragged_rank(self) -> None:
        """None: there are no ragged tensors."""
        return None

    @property
    def row_splits_dtype(self) -> None:
        """None: there are no ragged tensors."""
        return None

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self._shape}, dtype={self._dtype}, name={self.name}>"

    def _no_value(self) -> TypeError:
        return TypeError(
            f"{self!r} is symbolic and has no value. Call the model on an array to get values, "
            "or use functions of cnnrs.ops to compute with it."
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise ValueError(str(self._no_value()))

    def numpy(self) -> Any:
        """Raises TypeError: there is no value."""
        raise self._no_value()

    def __bool__(self) -> bool:
        if self.truth is None:
            raise self._no_value()
        return self.truth

    def __int__(self) -> int:
        raise self._no_value()

    def __float__(self) -> float:
        raise self._no_value()

    def __iter__(self) -> Any:
        raise NotImplementedError(f"{self!r} is symbolic: iterate over ops.unstack(x, axis=0) instead")

    def __len__(self) -> int:
        if not self._shape or self._shape[0] is None:
            raise self._no_value()
        return self._shape[0]


def _check_shape(shape: Any) -> tuple[int | None, ...]:
    try:
        extents = (shape,) if isinstance(shape, int) and not isinstance(shape, bool) else tuple(shape)
    except TypeError:
        raise TypeError(f"shape: expected a tuple of integers or None, received {shape!r}") from None
    result: list[int | None] = []
    for extent in extents:
        if extent is None:
            result.append(None)
            continue
        try:
            value = extent.__index__()
        except (AttributeError, TypeError):
            raise TypeError(f"shape: expected integers or None, received {extent!r} in {shape!r}") from None
        if value < 0:
            raise ValueError(f"shape: expected extents of at least 0, received {value} in {shape!r}")
        result.append(value)
    return tuple(result)


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is symbolic."""
    return isinstance(x, KerasTensor)


def any_symbolic(args: Any, kwargs: Any) -> bool:
    """Whether a symbolic tensor is among the arguments, nested ones included."""
    return _holds_symbolic(args) or (bool(kwargs) and _holds_symbolic(kwargs.values()))


# What most arguments are; they hold nothing.
_PLAIN = frozenset([Tensor, int, float, bool, str, type(None)])


def _holds_symbolic(values: Any) -> bool:
    for value in values:
        kind = type(value)
        if kind in _PLAIN:
            continue
        if isinstance(value, KerasTensor):
            return True
        if isinstance(value, (list, tuple)):
            if _holds_symbolic(value):
                return True
        elif isinstance(value, dict) and _holds_symbolic(value.values()):
            return True
    return False


class Node:
    """One call of an operation on symbolic tensors.

    Attributes:
        operation: What was called.
        arguments: `(args, kwargs)` of the call, with symbolic tensors at their places.
        inputs: The symbolic tensors among the arguments.
        outputs: The symbolic results, flat.
    """

    def __init__(self, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any):
        self.operation = operation
        self.arguments = (args, kwargs)
        self.inputs = [a for a in tree.flatten([list(args), kwargs]) if isinstance(a, KerasTensor)]
        self.outputs = tree.flatten(outputs)
        if not all(x.record_history for x in self.inputs):
            return
        index = len(operation._inbound_nodes)
        operation._inbound_nodes.append(self)
        for position, output in enumerate(self.outputs):
            output._keras_history = (operation, index, position)

    @property
    def parents(self) -> list[Node]:
        """The nodes that make the inputs."""
        found = []
        for x in self.inputs:
            if x._keras_history is not None:
                operation, index, _ = x._keras_history
                found.append(operation._inbound_nodes[index])
        return found

    @property
    def inputs_alone(self) -> Any:
        """`inputs`, or the only one of them."""
        return self.inputs[0] if len(self.inputs) == 1 else self.inputs

    @property
    def outputs_alone(self) -> Any:
        """`outputs`, or the only one of them."""
        return self.outputs[0] if len(self.outputs) == 1 else self.outputs

    def fill(self, values: dict[int, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with symbolic tensors replaced by `values[id(tensor)]`."""

        def replace(leaf: Any) -> Any:
            return values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

        args, kwargs = self.arguments
        if len(args) == 1 and isinstance(args[0], KerasTensor) and not kwargs:
            return (values[id(args[0])],), {}
        return tree.map_structure(replace, args), tree.map_structure(replace, kwargs)


def get_source_inputs(tensor: KerasTensor) -> list[KerasTensor]:
    """The inputs that a symbolic tensor is made of.

    Args:
        tensor: A symbolic tensor.

    Returns:
        The results of `Input` that it depends on, each once, in the order in which they are met; `[tensor]`,
        if no operation made it.

    Raises:
        TypeError: It is no symbolic tensor.

    >>> import cnnrs
    >>> x = cnnrs.Input((4,), name="pixels")
    >>> [source.name for source in cnnrs.utils.get_source_inputs((x + 1.0) * x)]
    ['pixels']
    """
    if not isinstance(tensor, KerasTensor):
        raise TypeError(f"get_source_inputs: expected a symbolic tensor, received {tensor!r}")
    found: dict[int, KerasTensor] = {}
    met: set[int] = set()
    waiting = [tensor]
    while waiting:
        current = waiting.pop()
        if id(current) in met:
            continue
        met.add(id(current))
        operation, index, _ = current._keras_history or (None, 0, 0)
        inputs = operation._inbound_nodes[index].inputs if operation else []
        if not inputs:
            found[id(current)] = current
        waiting.extend(reversed(inputs))
    return list(found.values())


class Operation(NamedArguments):
    """Something that can be called on symbolic tensors: a layer, or a function of `cnnrs.ops`."""

    _inbound_nodes: list[Node]
    _auto_arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        instance = super().__new__(cls)
        object.__setattr__(instance, "_auto_arguments", (args, kwargs))
        return instance

    def __init__(self, name: str | None = None):
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(f"name: expected a string without '/', received {name!r}")
        if name and not naming.is_text(name):
            raise ValueError(f"name: expected text that UTF-8 has, received {name!r}")
        self.name = name or naming.auto_name(naming.to_snake_case(type(self).__name__))
        self._inbound_nodes = []

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation."""
        raise NotImplementedError(f"{type(self).__name__} does not define call()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Records a node if a symbolic tensor is among the arguments, else computes."""
        if any_symbolic(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def _run_node(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call as part of a functional model."""
        return self(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic outputs for symbolic inputs: shapes and dtypes only."""
        return infer(self.call, args, kwargs)

    @property
    def input(self) -> Any:
        """The symbolic inputs of the first call.

        Raises:
            AttributeError: It has not been called on symbolic tensors.
        """
        return self._first_node("input").inputs_alone

    @property
    def output(self) -> Any:
        """The symbolic outputs of the first call.

        Raises:
            AttributeError: It has not been called on symbolic tensors.
        """
        return self._first_node("output").outputs_alone

    def _first_node(self, attribute: str) -> Node:
        if not self._inbound_nodes:
            raise AttributeError(
                f"{self.name} has no {attribute!r}: expected it to be called on symbolic tensors first"
            )
        return self._inbound_nodes[0]

    def get_config(self) -> dict[str, Any]:
        """The arguments from which `from_config` makes the operation again.

        Raises:
            NotImplementedError: A subclass has arguments of other types than numbers, strings and containers
                of them, and does not define `get_config`.
        """
        config: dict[str, Any] = {"name": self.name}
        return self._arguments_as_config(config) if type(self).get_config is Operation.get_config else config

    def _arguments_as_config(self, config: dict[str, Any]) -> dict[str, Any]:
        args, kwargs = self._auto_arguments
        parameters = inspect.signature(type(self).__init__)
        bound = parameters.bind(self, *args, **kwargs)
        bound.apply_defaults()
        given: dict[str, Any] = {}
        for name, value in list(bound.arguments.items())[1:]:
            kind = parameters.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                given.update(value)
            elif kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
                given[name] = value
            elif value != ():
                raise NotImplementedError(
                    f"{type(self).__name__}: expected get_config(), for it takes {name} by position alone"
                )
        for name, value in given.items():
            if not all(isinstance(leaf, (int, float, str, bool, type(None))) for leaf in tree.flatten(value)):
                raise NotImplementedError(
                    f"{type(self).__name__}: expected get_config() to be defined, for argument {name!r} "
                    f"is a {type(value).__name__}, which cannot be written to a file"
                )
        takes_rest = any(p.kind is p.VAR_KEYWORD for p in parameters.parameters.values())
        known = {key: value for key, value in config.items() if takes_rest or key in parameters.parameters}
        # What the object has counts: names are made up where none is given, others may have been set since.
        return {**given, **known}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The operation with these arguments."""
        try:
            return cls(**config)
        except TypeError as error:
            if type(error) is not TypeError:
                # Of a kind of its own, such as that of names that nobody knows.
                raise
            raise TypeError(f"{cls.__name__}.from_config: {error}; received {config}") from error

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Records a node; gives its outputs."""
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs


class OpFunction(Operation):
    """A function of `cnnrs.ops` as a node of a functional model."""

    def __init__(self, function: Callable[..., Any], name: str | None = None):
        super().__init__(name or naming.auto_name(function.__name__))
        self.function = function

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        # Some functions know the shapes where no probe of an unknown extent would fit other arguments.
        by_rule = getattr(self.function, "output_spec", None)
        known = None if by_rule is None else by_rule(*args, **kwargs)
        return infer_op(self.call, args, kwargs) if known is None else known

    def __repr__(self) -> str:
        return f"<ops.{self.function.__name__} name={self.name}>"


def infer(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Symbolic results of `function` for symbolic arguments.

    The function is recorded on placeholders; nothing is computed. Unknown extents are probed with two sizes;
    where the results differ, the result's extent is unknown.
    """
    unknown = bool(_unknown_extents(args, kwargs))
    try:
        first = _probe(function, args, kwargs, 0)
    except Exception as error:
        if unknown:
            larger = _of_larger(function, args, kwargs) if isinstance(error, ValueError) else None
            if larger is not None:
                return larger
            _hide_probes(error, lambda: _probe(function, args, kwargs, 1))
        raise
    second = _probe(function, args, kwargs, 1) if unknown else first
    return _merged(first, second)


def _of_larger(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The results for much larger extents than those that are probed first: of wider windows.

    None if the function refuses the larger ones, too.
    """
    places = [place for place in _unknown_extents(args, kwargs) if place[1]]
    if not places:
        return None
    try:
        first, second = (
            _probe(function, args, kwargs, {**_batches(args, kwargs, which), **dict.fromkeys(places, size)})
            for which, size in enumerate(_LARGE_PROBES)
        )
        return _merged(first, second)
    except (ValueError, TypeError, IndexError):
        return None


def _batches(args: Any, kwargs: Any, which: int) -> dict[tuple[int, int], int]:
    """A size for each batch whose size is unknown."""
    return {place: _BATCH_PROBES[which] for place in _unknown_extents(args, kwargs) if not place[1]}


def infer_op(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The same for a function of `cnnrs.ops`, whose unknown extents may have to fit others.

    What is unknown is taken for a known extent of another argument, or for a number among the arguments, if
    the function refuses it otherwise: `add` of shapes (None, 3) and (2, None) gives (2, 3). A small size
    shows which extents are cut to a known one only if they are larger.
    """
    places = _unknown_extents(args, kwargs)
    try:
        result = infer(function, args, kwargs)
    except (ValueError, TypeError, IndexError):
        fitting = _fitting(function, args, kwargs, places)
        if fitting is None:
            raise
        return fitting
    if not places:
        return result
    try:
        small = _probe(function, args, kwargs, dict.fromkeys(places, _SMALL_PROBE))
        return _merged(small, result)
    except (ValueError, TypeError, IndexError):
        return result


def _unknown_extents(args: Any, kwargs: Any) -> list[tuple[int, int]]:
    """The symbols, by `id`, and axes of all unknown extents."""
    symbols = {id(a): a for a in tree.flatten([list(args), kwargs]) if isinstance(a, KerasTensor)}
    return [(key, axis) for key, x in symbols.items() for axis, n in enumerate(x.shape) if n is None]


def _fitting(function: Callable[..., Any], args: Any, kwargs: Any, places: list[tuple[int, int]]) -> Any:
    """The results for the first sizes that the function takes; None if it takes none."""
    leaves = tree.flatten([list(args), kwargs])
    symbols = {id(a): a for a in leaves if isinstance(a, KerasTensor)}
    # What is unknown of a single symbol is not taken for what is known of it.
    several = len(symbols) > 1
    known = [n for a in symbols.values() if several for n in a.shape if n is not None]
    known += [a for a in leaves if type(a) is int and 0 < a < _EXTENT_PROBES[0]]
    known += [n for a in leaves if not isinstance(a, KerasTensor) for n in getattr(a, "shape", ())]
    choices: list[tuple[int, int]] = [
        _EXTENT_PROBES,
        _BATCH_PROBES,
        *((n, n) for n in dict.fromkeys([*known, 1] if several else known)),
    ]
    sizes = [[_BATCH_PROBES, *choices] if axis == 0 else choices for _, axis in places]
    for chosen in itertools.islice(itertools.product(*sizes), _MOST_FITTINGS):
        try:
            first, second = (
                _probe(function, args, kwargs, {p: c[which] for p, c in zip(places, chosen, strict=True)})
                for which in (0, 1)
            )
            return _merged(first, second)
        except (ValueError, TypeError, IndexError):
            continue
    return None


def _merged(first: Any, second: Any) -> Any:
    """Symbolic tensors of what two probes have in common."""

    def merge(a: Any, b: Any) -> Any:
        if not isinstance(a, (_Spec, KerasTensor)):
            return a
        if len(a.shape) != len(b.shape):
            raise ValueError(f"the rank depends on an unknown extent: {a.shape} and {b.shape}")
        shape = tuple(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True))
        return KerasTensor(shape, a.dtype)

    return tree.map_structure(merge, first, second)


def _hide_probes(error: Exception, again: Callable[[], Any]) -> None:
    """Puts None, or what the batch is multiplied with, for the numbers in a message that depend on the probe.

    Args:
        error: What the first probe raised.
        again: The second probe.
    """
    if len(error.args) != 1 or not isinstance(error.args[0], str):
        return
    try:
        again()
    except Exception as second:
        parts, others = (re.split(r"(\d+)", str(e.args[0] if e.args else "")) for e in (error, second))
        if len(parts) != len(others) or parts[::2] != others[::2]:
            return
        for i in range(1, len(parts), 2):
            if parts[i] != others[i]:
                parts[i] = _unknown(int(parts[i]), int(others[i]), parts[i - 1], parts[i + 1])
        error.args = ("".join(parts),)


def _unknown(first: int, second: int, before: str, after: str) -> str:
    """How a number is shown that is one with the first probe and another with the second."""
    factor, rest = divmod(first, _BATCH_PROBES[0])
    inside = before.endswith(("(", ", ", "[")) and after.startswith((",", ")", "]"))
    if not inside and rest == 0 and factor > 1 and second == factor * _BATCH_PROBES[1]:
        return f"{factor} x batch"
    return "None"


class _Spec:
    def __init__(self, shape: tuple[int, ...], dtype: str):
        self.shape = shape
        self.dtype = dtype


def _probe(function: Callable[..., Any], args: Any, kwargs: Any, which: Any) -> Any:
    """What the function gives for placeholders: of probe 0 or 1, or of sizes by `(id, axis)`."""
    with context.trace() as recorder:

        def place(leaf: Any) -> Any:
            if not isinstance(leaf, KerasTensor):
                return leaf
            if isinstance(which, dict):
                sizes = [which[id(leaf), axis] if n is None else n for axis, n in enumerate(leaf.shape)]
            else:
                sizes = [
                    extent if extent is not None else (_EXTENT_PROBES if axis else _BATCH_PROBES)[which]
                    for axis, extent in enumerate(leaf.shape)
                ]
            return recorder.placeholder(sizes, leaf.dtype, leaf.name)

        placed_args, placed_kwargs = tree.map_structure(place, tuple(args)), tree.map_structure(place, kwargs)
        outputs = function(*placed_args, **placed_kwargs)
        return tree.map_structure(_spec, outputs)


def _spec(leaf: Any) -> Any:
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return _Spec(tuple(leaf.shape), str(leaf.dtype))
    return leaf
