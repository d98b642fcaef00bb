"""Models recorded on placeholders: the operations, and which of them make the results of which layer."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from cnnrs import _core, tree
from cnnrs.base import context
from cnnrs.base.arguments import shown
from cnnrs.base.dtypes import data_dtype, standardize_dtype
from cnnrs.base.suggest import did_you_mean
from cnnrs.layers.base import Layer

__all__ = ["Call", "Fact", "Recording", "find_layer", "input_facts", "paths_of", "record", "watched"]

# What stands for an unknown extent of an image: pyramids of networks halve it eight times.
_UNKNOWN_EXTENT = 256


class Fact:
    """Shape and element type of an input. No tuple, so that it is a leaf in nested structures."""

    def __init__(self, shape: tuple[int, ...], dtype: str):
        self.shape = shape
        self.dtype = dtype


class Call(NamedTuple):
    """A call of a layer.

    Attributes:
        layer: The layer.
        path: Names of what it lies in, without the model's, and its own, with slashes between.
        outputs: Numbers of the operations that make its results.
    """

    layer: Any
    path: str
    outputs: list[int]


class Recording(NamedTuple):
    """What a model does, operation by operation.

    Attributes:
        nodes: The operations, as the core tells them, in an order in which they can run.
        calls: Calls of layers, in the order in which they end.
        outputs: Numbers of the operations that make the model's results.
        function: The compiled function of model alone.
    """

    nodes: list[dict[str, Any]]
    calls: list[Call]
    outputs: list[int]
    function: Any


def paths_of(model: Any) -> dict[int, tuple[Any, str]]:
    """The layers inside of a model, at any depth, with their paths, by `id`; each once."""
    found: dict[int, tuple[Any, str]] = {}

    def visit(layer: Any, prefix: str) -> None:
        for inner in layer._sublayers():
            if id(inner) not in found and inner is not model:
                path = f"{prefix}{inner.name}"
                if isinstance(inner, Layer):
                    found[id(inner)] = (inner, path)
                visit(inner, f"{path}/")

    visit(model, "")
    return found


def find_layer(model: Any, layer: Any, owner: str) -> Any:
    """A layer inside of a model, at any depth.

    Args:
        model: The model.
        layer: The layer, its name or its path.
        owner: What asks, for the error.

    Raises:
        ValueError: There is none, or several of that name.
    """
    known = paths_of(model)
    if isinstance(layer, Layer):
        if id(layer) in known:
            return layer
        raise ValueError(f"{owner}: layer: expected a layer of {model.name}, received {layer.name!r}")
    if not isinstance(layer, str):
        raise ValueError(f"{owner}: layer: expected a layer or its name, received {shown(layer)}")
    for inner, path in known.values():
        if path == layer:
            return inner
    named = [(inner, path) for inner, path in known.values() if inner.name == layer]
    if len(named) == 1:
        return named[0][0]
    if named:
        paths = ", ".join(repr(path) for _, path in named)
        raise ValueError(f"{owner}: layer: expected one of the paths {paths}, received {layer!r}")
    names = [inner.name for inner, _ in known.values()]
    raise ValueError(f"{owner}: layer: {model.name} has no layer {layer!r}{did_you_mean(layer, names)}")


@contextlib.contextmanager
def watched(layers: list[Any], notice: Callable[[Any, Any], Any]) -> Iterator[None]:
    """Hands what calls of `layers` on this thread return to `notice(layer, outputs)`, whose result counts
    instead.

    Subclassed models and layers inside of layers have no graph that could be cut: their calls are watched.
    """
    thread = threading.get_ident()
    before: list[tuple[dict[str, Any], Any]] = []

    def watch(layer: Any) -> None:
        call = layer.call

        @functools.wraps(call)
        def noticed(*args: Any, **kwargs: Any) -> Any:
            outputs = call(*args, **kwargs)
            return notice(layer, outputs) if threading.get_ident() == thread else outputs

        # Not by `setattr`, which would take it for a change of the layer.
        attributes = vars(layer)
        before.append((attributes, attributes.get("call")))
        attributes["call"] = noticed

    try:
        for layer in layers:
            watch(layer)
        yield
    finally:
        for attributes, call in reversed(before):
            if call is None:
                attributes.pop("call", None)
            else:
                attributes["call"] = call


def input_facts(
    model: Any, x: Any = None, batch_size: int = 1, owner: str = "analysis", input_shape: Any = None
) -> Any:
    """Shapes and types of the inputs, in their structure: those of `x`, or the model's own.

    Raises:
        TypeError: The model is none.
        ValueError: The model has no inputs of known rank, and neither `x` nor `input_shape` is given.
    """
    if not isinstance(model, Layer):
        raise TypeError(f"{owner}: model: expected a model or a layer, received {type(model).__name__}")
    if x is not None:
        arrays = tree.map_structure(np.asarray, x)
        if any(array.ndim == 0 for array in tree.flatten(arrays)):
            raise ValueError(f"{owner}: x: expected arrays of samples, received a number")
        return tree.map_structure(lambda a: Fact(a.shape, data_dtype(a.dtype)), arrays)
    if input_shape is not None:
        if not isinstance(input_shape, (tuple, list)) or not all(
            isinstance(n, (int, np.integer)) and n > 0 for n in input_shape
        ):
            raise ValueError(
                f"{owner}: input_shape: expected extents without the batch, received {input_shape!r}"
            )
        return Fact((batch_size, *map(int, input_shape)), "float32")
    try:
        inputs = model.input
    except (AttributeError, ValueError):
        inputs = None
    if inputs is not None:
        return tree.map_structure(
            lambda s: Fact(_known(s.shape, batch_size), standardize_dtype(s.dtype)), inputs
        )
    shapes = getattr(model, "_build_shapes", None) or {}
    shape = shapes.get("input_shape")
    if isinstance(shape, (tuple, list)) and all(n is None or isinstance(n, int) for n in shape):
        return Fact(_known(tuple(shape), batch_size), "float32")
    raise ValueError(
        f"{owner}: {model.name} has no inputs of known shapes yet; expected x, samples of a batch, or "
        "input_shape"
    )


def _known(shape: tuple[int | None, ...], batch_size: int) -> tuple[int, ...]:
    return (batch_size, *(_UNKNOWN_EXTENT if n is None else n for n in shape[1:]))


def record(model: Any, facts: Any, training: bool = False) -> Recording:
    """Records a model on inputs of these shapes.

    Args:
        model: A model or a layer.
        facts: What `input_facts` gives.
        training: The mode.
    """
    if not model.built:
        with _core.no_grad():
            model(tree.map_structure(lambda f: _core.tensor(np.zeros((1, *f.shape[1:]), f.dtype)), facts))
    paths = paths_of(model)
    made: list[tuple[Any, list[Any]]] = []

    def notice(layer: Any, outputs: Any) -> Any:
        tensors = [t for t in tree.flatten(outputs) if isinstance(t, _core.Tensor)]
        made.append((layer, tensors))
        return outputs

    with context.trace() as recorder:
        inputs = tree.map_structure(lambda f: recorder.placeholder(list(f.shape), f.dtype, "x"), facts)
        with watched([layer for layer, _ in paths.values()], notice), _core.no_grad():
            outputs = model(inputs, training=training)
        results = [o for o in tree.flatten(outputs) if isinstance(o, _core.Tensor)]
        function = recorder.compile(results)
        told = recorder.compile([*results, *(t for _, tensors in made for t in tensors)])
    nodes, numbers = told.recorded()
    rest = iter(numbers[len(results) :])
    calls = [Call(layer, paths[id(layer)][1], [next(rest) for _ in tensors]) for layer, tensors in made]
    return Recording(nodes, calls, numbers[: len(results)], function)
