"""Derivatives along a direction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs import _core, tree
from cnnrs.ops.creation import zeros_like
from cnnrs.ops.dispatch import apply, as_float, op

__all__ = ["jvp"]


@op
def jvp(fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """Computes a function's value, and its derivative along a direction.

    The derivative comes from two gradients: that of the weighted results is linear in the weights, and its
    own gradient by these is the derivative (Townsend, "A new trick for calculating Jacobian vector products",
    2017).

    Args:
        fun: A function of tensors that gives a tensor, or a structure of tensors; a pair of that and anything
            with `has_aux`.
        primals: The arguments, a list or tuple of tensors or structures of them.
        tangents: The direction: for each of them a tensor of its shape.
        has_aux: Whether `fun` gives something besides; False by default.

    Returns:
        Pair of the value and the derivative, in the structure that `fun` gives; and what it gives besides, if
        `has_aux` is true.

    Raises:
        TypeError: `fun` is no function, `primals` or `tangents` is no list or tuple or not numeric.
        ValueError: The structures or shapes differ, or `has_aux` is true and `fun` gives no pair.

    Example:
        >>> from cnnrs import ops
        >>> value, slope = ops.jvp(lambda x: x * x, [3.0], [0.5])
        >>> float(value), float(slope)
        (9.0, 3.0)
    """
    if not callable(fun):
        raise TypeError(f"jvp: fun: expected a function, received {fun!r}")
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (list, tuple)):
            raise TypeError(f"jvp: {name}: expected a list or tuple, received {given!r}")
    try:
        for one, other in ((primals, tangents), (tangents, primals)):
            tree.map_structure(lambda *_: None, list(one), list(other))
    except ValueError as error:
        raise ValueError(f"jvp: tangents: expected the structure of primals; {error}") from None
    points = [_leaf(as_float(x)) for x in tree.flatten(primals)]
    directions = [as_float(t) for t in tree.flatten(tangents)]
    if [x.shape for x in points] != [t.shape for t in directions]:
        raise ValueError(
            f"jvp: tangents: expected shapes {[x.shape for x in points]}, "
            f"received {[t.shape for t in directions]}"
        )
    result = fun(*tree.pack_sequence_as(list(primals), points))
    if has_aux and not (isinstance(result, tuple) and len(result) == 2):
        raise ValueError(f"jvp: has_aux: expected (value, aux) from fun, received {result!r}")
    value, aux = result if has_aux else (result, None)
    values = [as_float(y) for y in tree.flatten(value)]
    weights = [_leaf(zeros_like(y)) for y in values]
    gradients = _core.gradients(_sum(values, weights), points)
    along = [(g, t) for g, t in zip(gradients, directions, strict=True) if g is not None]
    slopes: list[Any] = [None] * len(values)
    if along:
        slopes = list(_core.gradients(_sum(*zip(*along, strict=True)), weights))
    slopes = [zeros_like(y) if slope is None else slope for slope, y in zip(slopes, values, strict=True)]
    derivative = tree.pack_sequence_as(value, slopes)
    return (value, derivative, aux) if has_aux else (value, derivative)


def _leaf(x: Any) -> Any:
    """A tensor by which gradients can be taken, which no earlier computation shares."""
    leaf = x.detach()
    leaf.requires_grad = True
    return leaf


def _sum(tensors: Any, factors: Any) -> Any:
    total = None
    for x, factor in zip(tensors, factors, strict=True):
        term = apply("sum", apply("mul", x, factor), axes=None, keepdims=False)
        total = term if total is None else apply("add", total, term)
    return total
