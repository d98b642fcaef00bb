"""Functions of numpy on tensors and variables: they read the values, and give what numpy gives for arrays.

Symbolic tensors have no values, and say so.

Operators are another matter: `array + tensor` is a tensor, for tensors have the higher `__array_priority__`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.symbolic import KerasTensor

__all__ = ["array_function"]

# They ask for no value, and answer inside of traced functions, too.
_OF_SHAPES: dict[Any, Any] = {
    np.shape: lambda a: tuple(a.shape),
    np.ndim: lambda a: a.ndim,
    np.size: lambda a: a.size,
}


def _to_array(x: Any) -> Any:
    return x.numpy() if isinstance(x, (_core.Tensor, _core.Variable, KerasTensor)) else x


def array_function(self: Any, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """What numpy calls for `np.mean(tensor)`: the function of the values."""
    of_shape = _OF_SHAPES.get(function)
    if of_shape is not None and not kwargs and len(args) == 1:
        return of_shape(args[0])
    args, kwargs = tree.map_structure(_to_array, [list(args), dict(kwargs)])
    return function(*args, **kwargs)
