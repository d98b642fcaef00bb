"""Functions of tensors whose symbolic results are known without recording them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from cnnrs import symbolic, tree
from cnnrs.base.arguments import explain

__all__ = ["op_of_shape", "same_as"]

F = TypeVar("F", bound=Callable[..., Any])


class _Specified(symbolic.OpFunction):
    """A function as a node, with a function of its arguments for what it gives."""

    def __init__(self, function: Callable[..., Any], spec: Callable[..., Any]):
        super().__init__(function)
        self.spec = spec

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return self.spec(*args, **kwargs)


def op_of_shape(spec: Callable[..., Any]) -> Callable[[F], F]:
    """Makes a function of tensors one that takes symbolic tensors too.

    Args:
        spec: Function of the arguments that gives the symbolic results: for functions that read values, and
            so cannot be recorded on placeholders.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def dispatching(*args: Any, **kwargs: Any) -> Any:
            if symbolic.any_symbolic(args, kwargs):
                return _Specified(dispatching, spec).symbolic_call(*args, **kwargs)
            try:
                return function(*args, **kwargs)
            except TypeError as error:
                explain(error, function, kwargs)
                raise

        dispatching.is_cnnrs_op = True  # type: ignore[attr-defined]
        return dispatching  # type: ignore[return-value]

    return decorate


def same_as(structure: Any) -> Any:
    """Symbolic tensors of the shapes and types of a structure of tensors."""

    def like(leaf: Any) -> Any:
        if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
            return symbolic.KerasTensor(tuple(leaf.shape), str(leaf.dtype))
        return leaf

    return tree.map_structure(like, structure)
