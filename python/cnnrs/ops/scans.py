"""Running sums and products."""

from __future__ import annotations

from typing import Any

from cnnrs.base.dtypes import FLOAT, STORED, standardize_dtype
from cnnrs.ops.dispatch import apply, as_tensor, op
from cnnrs.ops.sorting import along

__all__ = ["cumprod", "cumsum"]


def _running(name: str, x: Any, axis: int | None, dtype: Any) -> Any:
    x = as_tensor(x)
    result = standardize_dtype(dtype, "int32" if x.dtype == "bool" else x.dtype)
    if x.ndim == 0:
        x = apply("reshape", x, shape=[1])
    if isinstance(axis, (list, tuple)) and len(axis) < 2:
        # Along no axis nothing adds up.
        if not axis:
            return x.astype(result)
        [axis] = axis
    x, axis = along(x, axis)
    # 16 bits of float are rounded once, and integers of fewer than 32 bits wrap around behind.
    if dtype is not None and not (x.dtype in STORED and result in STORED):
        x = x.astype(FLOAT if result in STORED else result)
    if x.dtype in STORED:
        x = x.astype(FLOAT)
    elif x.dtype in ("bool", "uint8", "int8", "uint16", "int16"):
        x = x.astype("int32")
    return apply(name, x, axis=axis).astype(result)


@op
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Computes the running sums along an axis.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis; None, the default, makes `x` flat first.
        dtype: Element type of the result, as `cast` takes it; None, the default, means that of `x`, or int32
            for bool.

    Returns:
        Tensor of the shape of `x`, or of one axis if `axis` is None. Sums of integers wrap around where they
        exceed their type.

    Raises:
        TypeError: `x` is not numeric, `axis` is no integer, or `dtype` is no known type.
        ValueError: `axis` is out of range.

    Example:
        >>> from cnnrs import ops
        >>> ops.cumsum([[1, 2], [3, 4]], axis=0).tolist(), ops.cumsum([[1, 2], [3, 4]]).tolist()
        ([[1, 2], [4, 6]], [1, 3, 6, 10])
    """
    return _running("cumulative_sum", x, axis, dtype)


@op
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Computes the running products along an axis.

    The gradient is right also where a factor is 0.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis; None, the default, makes `x` flat first.
        dtype: Element type of the result, as `cast` takes it; None, the default, means that of `x`, or int32
            for bool.

    Returns:
        Tensor of the shape of `x`, or of one axis if `axis` is None. Products of integers wrap around where
        they exceed their type.

    Raises:
        TypeError: `x` is not numeric, `axis` is no integer, or `dtype` is no known type.
        ValueError: `axis` is out of range.

    Example:
        >>> from cnnrs import ops
        >>> ops.cumprod([[1, 2], [3, 4]], axis=1).tolist(), ops.cumprod([[1, 2], [3, 4]]).tolist()
        ([[1, 2], [3, 12]], [1, 2, 6, 24])
    """
    return _running("cumulative_prod", x, axis, dtype)
