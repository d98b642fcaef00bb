"""Numbers at equal ratios, and tensors like others."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.base.dtypes import standardize_dtype
from cnnrs.ops.creation import zeros
from cnnrs.ops.dispatch import as_tensor, op, standardize_axis
from cnnrs.ops.values import values_of

__all__ = ["empty_like", "geomspace"]


@op
def empty_like(x: Any, dtype: Any = None) -> Any:
    """Makes a tensor of the shape of another, whose elements are 0: nothing is left to chance.

    Args:
        x: Tensor of any shape and dtype.
        dtype: Element type, as `cast` takes it; None, the default, for that of `x`.

    Returns:
        Tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric, or `dtype` is no known type.

    Example:
        >>> from cnnrs import ops
        >>> ops.empty_like([[1, 2]]).tolist()
        [[0, 0]]
    """
    x = as_tensor(x)
    return zeros(x.shape, standardize_dtype(dtype, x.dtype))


@op
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """Makes numbers at equal ratios.

    They are computed in float64 by numpy and then converted: tensors among the arguments are read, and no
    gradient flows to them.

    Args:
        start: The first number, not 0, or an array of them.
        stop: The last number, not 0, or an array that broadcasts with `start`.
        num: How many numbers, an integer >= 0; 50 by default.
        endpoint: Whether `stop` is the last number; by default it is.
        dtype: Element type, as `cast` takes it; None, the default, means float32.
        axis: Axis of the result along which the numbers lie if `start` or `stop` is an array.

    Returns:
        Tensor of shape `(num,)`, or with arrays of their broadcast shape with an axis of extent `num` added.

    Raises:
        TypeError: `start` or `stop` is not numeric, `axis` is no integer, or `dtype` is no known type.
        ValueError: `num` is no integer >= 0, `axis` is out of range, `start` or `stop` is 0, or they do not
            broadcast.
        RuntimeError: A function is being recorded, and a tensor among the arguments has no value yet.

    Example:
        >>> from cnnrs import ops
        >>> ops.geomspace(1.0, 1000.0, 4).tolist()
        [1.0, 10.0, 100.0, 1000.0]
    """
    axis = standardize_axis(axis, max(np.ndim(start), np.ndim(stop)) + 1)
    count = integer(num, "geomspace", "num", least=0)
    instead = "give Python numbers"
    first, last = (values_of(x, "geomspace", instead) if hasattr(x, "shape") else x for x in (start, stop))
    values = np.geomspace(first, last, count, endpoint=endpoint, axis=axis)
    return as_tensor(values.astype(np.float32)).astype(standardize_dtype(dtype))
