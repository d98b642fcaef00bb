"""Values and gradients inside of a model, for layers at any depth of models of any kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.analysis.recording import Fact, find_layer, watched
from cnnrs.base import context
from cnnrs.base.dtypes import data_dtype
from cnnrs.ops.dispatch import as_float

__all__ = ["Run", "gradient_of_layer", "recorded", "result_of", "run"]


class Run:
    """A recorded run of a model, with what happened inside.

    Attributes:
        inputs: The placeholders of the samples, flat.
        outputs: The model's results, flat.
        values: Results of the watched layers' last calls, by `id`.
    """

    def __init__(self, inputs: list[Any], outputs: list[Any], values: dict[int, Any]):
        self.inputs = inputs
        self.outputs = outputs
        self.values = values

    def output(self, which: Any, model: Any, owner: str) -> Any:
        """One of the model's results: by number, or by the name of the layer that makes it.

        Raises:
            ValueError: There is none of that number or name, or several and none is chosen.
        """
        names = list(getattr(model, "output_names", None) or ()) if _has_graph(model) else []
        if which is None:
            if len(self.outputs) == 1:
                return self.outputs[0]
            known = f" ({', '.join(names)})" if names else ""
            raise ValueError(
                f"{owner}: output: {model.name} has {len(self.outputs)} outputs{known}; expected the "
                "number of one"
            )
        if isinstance(which, str) and which in names:
            which = names.index(which)
        if (
            isinstance(which, bool)
            or not isinstance(which, (int, np.integer))
            or not 0 <= which < len(self.outputs)
        ):
            expected = f"a number below {len(self.outputs)}" + (f" or one of {names}" if names else "")
            raise ValueError(f"{owner}: output: expected {expected}, received {which!r}")
        return self.outputs[int(which)]


def _has_graph(model: Any) -> bool:
    return getattr(model, "_graph", None) is not None


def recorded(
    model: Any,
    x: Any,
    layers: list[Any],
    compute: Callable[..., list[Any]],
    extra: Sequence[np.ndarray] = (),
    training: bool = False,
) -> Callable[..., list[np.ndarray]]:
    """Records a run of `model` with `layers` watched, and what `compute` makes of it.

    Args:
        model: The model.
        x: Samples, in the structure of its inputs, whose shapes and types count.
        layers: Layers whose results are wanted.
        compute: Gives the tensors that are wanted, for a `Run` and tensors in place of `extra`.
        extra: Further arguments of the function, whose shapes count.
        training: The mode.

    Returns:
        A function of arrays like those in `x`, flat, and those in `extra`, that gives arrays.
    """
    arrays = tree.map_structure(np.asarray, x)
    if not model.built:
        with _core.no_grad():
            model(tree.map_structure(lambda a: _core.tensor(a[:1]), arrays), training=False)
    values: dict[int, Any] = {}

    def notice(layer: Any, outputs: Any) -> Any:
        values[id(layer)] = outputs
        return outputs

    facts = tree.map_structure(lambda a: Fact(a.shape, data_dtype(a.dtype)), arrays)
    with context.trace() as recorder:
        inputs = tree.map_structure(lambda f: recorder.placeholder(list(f.shape), f.dtype, "x"), facts)
        further = [recorder.placeholder(list(a.shape), data_dtype(a.dtype), "argument") for a in extra]
        with watched(layers, notice):
            outputs = model(inputs, training=training)
        found = compute(Run(tree.flatten(inputs), tree.flatten(outputs), values), *further)
        function = recorder.compile(found)
    return lambda *arguments: [value.numpy() for value in function(*arguments)]


def run(
    model: Any, x: Any, layers: list[Any], compute: Callable[[Run], list[Any]], training: bool = False
) -> list[np.ndarray]:
    """What `recorded` gives for these samples."""
    arrays = tree.flatten(tree.map_structure(np.asarray, x))
    return recorded(model, x, layers, compute, (), training)(*arrays)


def gradient_of_layer(
    model: Any, layer: Any, x: np.ndarray, reduce: Callable[[Any], Any], owner: str
) -> np.ndarray:
    """The gradient by the samples of a number that `reduce` makes of a layer's result, or of the model's.

    Args:
        model: A model of one input.
        layer: The layer or its name; None for the model's result.
        x: The samples.
        reduce: Gives a scalar for a result.
        owner: What asks, for errors.
    """
    target = None if layer is None else find_layer(model, layer, owner)

    def compute(found: Run) -> list[Any]:
        outputs = found.outputs[0] if target is None else result_of(found, target, owner)
        (gradient,) = _core.gradients(as_float(reduce(outputs)), found.inputs)
        if gradient is None:
            raise ValueError(f"{owner}: {model.name}: the result does not depend on the input differentiably")
        return [gradient]

    (gradient,) = run(model, x, [] if target is None else [target], compute)
    return gradient


def result_of(found: Run, layer: Any, owner: str) -> Any:
    """The result of a watched layer's last call; the first, of several.

    Raises:
        ValueError: The model does not call it.
    """
    if id(layer) not in found.values:
        raise ValueError(f"{owner}: layer: {layer.name!r} is not called by the model")
    return tree.flatten(found.values[id(layer)])[0]
