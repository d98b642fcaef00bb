"""Functions of tensors whose symbolic results are known without recording them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from cnnrs import symbolic, tree
from cnnrs.base.dtypes import result_type
from cnnrs.ops.dispatch import as_tensor, op

__all__ = ["broadcast_of", "dtype_of", "op_of_shape", "same_as"]

F = TypeVar("F", bound=Callable[..., Any])


def op_of_shape(spec: Callable[..., Any]) -> Callable[[F], F]:
    """Makes a function of tensors one that takes symbolic tensors too.

    Args:
        spec: Function of the arguments that gives the symbolic results, or None where they are recorded on
            placeholders: for functions that read values.
    """

    def decorate(function: F) -> F:
        dispatching = op(function)
        dispatching.output_spec = spec  # type: ignore[attr-defined]
        return dispatching

    return decorate


def dtype_of(x: Any) -> str:
    """The name of the element type that `x` has as a tensor."""
    return str(x.dtype) if hasattr(x, "dtype") else as_tensor(x).dtype


def same_as(structure: Any) -> Any:
    """Symbolic tensors of the shapes and types of a structure of tensors."""

    def like(leaf: Any) -> Any:
        if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
            return symbolic.KerasTensor(tuple(leaf.shape), str(leaf.dtype))
        return leaf

    return tree.map_structure(like, structure)


def broadcast_of(x1: Any, x2: Any) -> Any:
    """The symbol of the broadcast shape and the common type of two arguments, of which one is symbolic."""
    shapes = [tuple(getattr(x, "shape", ())) for x in (x1, x2)]
    rank = max(len(shape) for shape in shapes)
    first, second = ((1,) * (rank - len(shape)) + shape for shape in shapes)
    extents = []
    for a, b in zip(first, second, strict=True):
        if a is not None and b is not None and a != b and 1 not in (a, b):
            raise ValueError(f"shapes {shapes[0]} and {shapes[1]} do not broadcast")
        extents.append(b if a == 1 else a if b == 1 else b if a is None else a)
    dtypes = [str(x.dtype) if hasattr(x, "dtype") else type(x) for x in (x1, x2)]
    return symbolic.KerasTensor(tuple(extents), result_type(*dtypes))
