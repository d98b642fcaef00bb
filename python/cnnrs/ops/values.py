"""Reading values for functions whose results have a shape that depends on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base import context
from cnnrs.ops.dispatch import as_tensor

__all__ = ["is_known", "true_places", "values_of"]


def is_known(x: Any) -> bool:
    """Whether `x` has values now: not so of what a function that is being recorded computes."""
    if isinstance(x, _core.Variable):
        x = x.value
    return not isinstance(x, _core.Tensor) or x.is_realised or not context.is_tracing()


def values_of(x: Any, owner: str, instead: str) -> np.ndarray:
    """The values of `x` as an array.

    Args:
        x: Tensor, or what becomes one.
        owner: The function that reads them, for the message.
        instead: What to use while a function is recorded.

    Raises:
        RuntimeError: A function is being recorded, and `x` has no values yet.
    """
    x = as_tensor(x)
    if not is_known(x):
        raise RuntimeError(
            f"{owner}: the result depends on values that are not known while a function is recorded, in fit "
            f"or a functional model; {instead}"
        )
    return np.asarray(x.numpy())


def true_places(condition: Any, owner: str) -> tuple[Any, ...]:
    """int32 indices of the elements other than 0, one tensor for each axis."""
    values = values_of(condition, owner, "give x1 and x2 to ops.where, or weights of 0")
    return tuple(as_tensor(index.astype(np.int32)) for index in np.nonzero(np.atleast_1d(values)))
