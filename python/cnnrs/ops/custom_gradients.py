"""`custom_gradient`: functions of tensors whose gradient a program gives."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from cnnrs import _core, tree
from cnnrs.base.arguments import named
from cnnrs.base.dtypes import FLOATS
from cnnrs.ops.creation import zeros
from cnnrs.ops.dispatch import as_tensor, op

__all__ = ["custom_gradient"]


@named
def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a function that says what its gradient is.

    The gradient is recorded where the function is called, and computed when one is asked for. It may itself
    be differentiated.

    Args:
        f: Function of tensors, nested or not, that returns `(outputs, grad)`. `grad` takes the gradient of
            each output and returns that of each tensor among the arguments, None for 0; it may instead take
            these tensors and a keyword `upstream`, as Keras on torch has it. Variables that `f` reads have
            gradients if they are arguments.

    Returns:
        The function that returns the outputs alone, of the shapes and dtypes that `f` gives them.

    Raises:
        TypeError: `f` is no function, or does not return outputs and a function.
        ValueError: `grad` returns another number of gradients, or one of another shape.

    Example:
        >>> import cnnrs
        >>> from cnnrs import ops
        >>> @ops.custom_gradient
        ... def clipped(x):
        ...     def grad(upstream):
        ...         return ops.clip(upstream, -1.0, 1.0)
        ...     return x, grad
        >>> cnnrs.grad(lambda x: ops.sum(clipped(x) * ops.array([0.5, 7.0])))(ops.array([1.0, 1.0])).tolist()
        [0.5, 1.0]
    """
    if not callable(f):
        raise TypeError(f"custom_gradient: f: expected a function, received {f!r}")

    @op
    @functools.wraps(f)
    def with_gradient(*args: Any, **kwargs: Any) -> Any:
        places, tensors = _tensors_of([list(args), kwargs])
        given_args, given_kwargs = tree.pack_sequence_as([list(args), kwargs], places)
        result = f(*given_args, **given_kwargs)
        if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
            raise TypeError(
                f"custom_gradient: {f.__name__}: expected (outputs, grad) to be returned, received {result!r}"
            )
        outputs, grad = result
        leaves = [as_tensor(leaf) for leaf in tree.flatten(outputs)]
        joined, split = _joined(leaves)
        upstream = _core.apply("upstream", [joined])
        gradients = _gradients(f.__name__, grad, split(upstream), tensors)
        value = _core.apply("custom_gradient", [joined, upstream, *tensors, *gradients])
        return tree.pack_sequence_as(outputs, split(value))

    return with_gradient


def _tensors_of(structure: Any) -> tuple[list[Any], list[Any]]:
    """The leaves of arguments with tensors for what has values, and the float tensors among them."""
    leaves: list[Any] = []
    tensors: list[Any] = []
    for leaf in tree.flatten(structure):
        if isinstance(leaf, _core.Variable) or (hasattr(leaf, "__array__") and hasattr(leaf, "shape")):
            leaf = as_tensor(leaf)
            if leaf.dtype in FLOATS:
                tensors.append(leaf)
        leaves.append(leaf)
    return leaves, tensors


def _joined(leaves: list[Any]) -> tuple[Any, Callable[[Any], list[Any]]]:
    """Outputs as one tensor, and what takes one of its shape apart again."""
    if len(leaves) == 1:
        return leaves[0], lambda whole: [whole]
    if not leaves:
        raise TypeError("custom_gradient: expected at least one output, received none")
    common = _core.apply("concat", [leaf.reshape((-1,)) for leaf in leaves], {"axis": 0})

    def split(whole: Any) -> list[Any]:
        parts, start = [], 0
        for leaf in leaves:
            part = whole[start : start + leaf.size].reshape(leaf.shape)
            parts.append(part if part.dtype == leaf.dtype else part.astype(leaf.dtype))
            start += leaf.size
        return parts

    return common, split


def _gradients(name: str, grad: Callable[..., Any], upstream: list[Any], tensors: list[Any]) -> list[Any]:
    """What `grad` gives for each tensor."""
    parameters = inspect.signature(grad).parameters.values()
    by_keyword = any(
        p.name == "upstream" and p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters
    )
    if by_keyword:
        given = grad(*tensors, upstream=upstream[0] if len(upstream) == 1 else tuple(upstream))
    else:
        given = grad(*upstream)
    given = list(given) if isinstance(given, (list, tuple)) else [given]
    if len(given) != len(tensors):
        raise ValueError(
            f"custom_gradient: {name}: expected {len(tensors)} gradients, one for each float tensor among "
            f"the arguments, received {len(given)}"
        )
    gradients = []
    for tensor, value in zip(tensors, given, strict=True):
        if value is None:
            value = zeros(tensor.shape, tensor.dtype)
        value = as_tensor(value)
        if value.shape != tensor.shape:
            raise ValueError(
                f"custom_gradient: {name}: expected a gradient of shape {tensor.shape}, "
                f"received {value.shape}"
            )
        gradients.append(value if value.dtype == tensor.dtype else value.astype(tensor.dtype))
    return gradients
