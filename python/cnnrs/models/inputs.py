"""What a functional model is given, brought into the order and the form of its inputs."""

from __future__ import annotations

from typing import Any

from cnnrs import ops, tree
from cnnrs.base.user_warnings import warn_user
from cnnrs.models.graph import Graph
from cnnrs.ops.masks import keep_mask
from cnnrs.symbolic import KerasTensor

__all__ = ["fit_input", "in_order", "warn_of_structure"]


def in_order(graph: Graph, inputs: Any, model: str) -> tuple[list[Any], bool]:
    """The leaves of `inputs` in the order of the inputs of a graph.

    What dicts hold goes by the keys of the graph's dicts, or by the names of inputs if it has no dict there.
    Further keys do not matter.

    Returns:
        The leaves, and whether the structure is the graph's; lists and tuples are alike.

    Raises:
        ValueError: A dict lacks a key, or there are more or fewer leaves than inputs.
    """
    structure, wanted = graph.inputs_structure, graph.inputs
    if isinstance(inputs, dict) and not isinstance(structure, dict):
        names = [x.name for x in wanted]
        if any(name not in inputs for name in names):
            raise ValueError(f"{model}: expected inputs {names}, received {sorted(inputs)}")
        return [inputs[name] for name in names], True
    if not tree.is_nested(inputs) and len(wanted) == 1 and isinstance(structure, list):
        return [inputs], True
    if isinstance(structure, dict) and not isinstance(inputs, dict) and list(structure) != sorted(structure):
        raise ValueError(
            f"{model}: expected a dict with the keys {list(structure)}, whose order is not that of a list; "
            f"received {type(inputs).__name__}"
        )
    found, fits = _in_structure(structure, inputs, model)
    if len(found) != len(wanted):
        raise ValueError(f"{model}: expected {len(wanted)} inputs, received {len(found)}")
    return found, fits


def _in_structure(structure: Any, given: Any, model: str) -> tuple[list[Any], bool]:
    parts: list[tuple[list[Any], bool]] = []
    if isinstance(structure, dict) and isinstance(given, dict):
        if any(key not in given for key in structure):
            raise ValueError(
                f"{model}: expected inputs by the keys {list(structure)}, received {list(given)}"
            )
        parts = [_in_structure(structure[key], given[key], model) for key in sorted(structure)]
        fits = len(given) == len(structure)
    elif isinstance(structure, (list, tuple)) and isinstance(given, (list, tuple)):
        if len(structure) != len(given):
            return tree.flatten(given), False
        parts = [_in_structure(s, g, model) for s, g in zip(structure, given, strict=True)]
        fits = True
    else:
        return tree.flatten(given), not tree.is_nested(structure) and not tree.is_nested(given)
    return [leaf for leaves, _ in parts for leaf in leaves], fits and all(fit for _, fit in parts)


def warn_of_structure(graph: Graph, inputs: Any) -> None:
    """Warns that a model is given its inputs in another structure than it was made with."""
    expected = tree.map_structure(lambda x: x.name, graph.inputs_structure)
    received = tree.map_structure(lambda x: None if x is None else f"Tensor(shape={tuple(x.shape)})", inputs)
    # Keras's words come first, for scripts that filter by them.
    warn_user(
        "The structure of `inputs` doesn't match the expected structure: "
        f"expected {expected}, received {received}"
    )


def fit_input(value: Any, symbol: KerasTensor, model: str) -> Any:
    """`value` with the rank and dtype of a model's input: a last axis of 1 is added or removed.

    Raises:
        ValueError: The shapes cannot be reconciled, or None stands for an input that is not optional.
    """
    if value is None:
        assert symbol._keras_history is not None
        if getattr(symbol._keras_history[0], "optional", False):
            return None
        raise ValueError(
            f"{model}: input {symbol.name!r}: expected an array of shape {symbol.shape}, for it is not "
            "optional; received None"
        )
    given, shape = value, tuple(value.shape)
    wanted = symbol.shape
    if len(shape) == len(wanted) - 1 and wanted[-1] == 1:
        value = ops.expand_dims(value, -1)
    elif len(shape) == len(wanted) + 1 and shape[-1] == 1:
        value = ops.squeeze(value, -1)
    shape = tuple(value.shape)
    fits = len(shape) == len(wanted) and all(
        w is None or s is None or s == w or axis == 0
        for axis, (s, w) in enumerate(zip(shape, wanted, strict=True))
    )
    if not fits:
        raise ValueError(f"{model}: input {symbol.name!r}: expected shape {wanted}, received {shape}")
    if value.dtype != symbol.dtype:
        value = ops.cast(value, symbol.dtype)
    return keep_mask(value, given)
