"""Rounding of elements."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import integer
from cnnrs.base.dtypes import FLOATS
from cnnrs.ops.dispatch import apply, as_float, as_tensor, in_float32, op

__all__ = [
    "ceil",
    "floor",
    "round",
    "trunc",
]


@op
def floor(x: Any) -> Any:
    """Rounds each element down to a whole number.

    The gradient is 0, since the result is a step function.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.floor([1.5, -1.5]).tolist()
        [1.0, -2.0]
    """
    return apply("floor", as_float(x))


@op
def ceil(x: Any) -> Any:
    """Rounds each element up to a whole number.

    The gradient is 0, since the result is a step function.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.ceil([1.5, -1.5]).tolist()
        [2.0, -1.0]
    """
    return apply("ceil", as_float(x))


@op
@in_float32
def trunc(x: Any) -> Any:
    """Rounds each element towards 0 to a whole number.

    The gradient is 0, since the result is a step function.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.trunc([1.5, -1.5]).tolist()
        [1.0, -1.0]
    """
    x = as_tensor(x)
    if x.dtype not in FLOATS:
        return x
    return apply("where", apply("less", x, 0.0), apply("ceil", x), apply("floor", x))


def _round_integers(x: Any, digits: int) -> Any:
    """Integers to multiples of `10**digits`; from the middle between two of these, to the even one."""
    x = x.astype("int32")
    if digits > 9:
        return apply("mul", x, 0)  # 0 is nearer than 10**10
    unit = 10**digits
    below = apply("floor_div", x, unit)
    rest = apply("sub", x, apply("mul", below, unit))
    odd = apply("equal", apply("mod", below, 2), 1)
    # Twice the rest may not fit into int32.
    beyond = apply("add", apply("sub", rest, unit), rest)
    up = apply(
        "logical_or", apply("greater", beyond, 0), apply("logical_and", apply("equal", beyond, 0), odd)
    )
    return apply("mul", apply("add", below, up.astype("int32")), unit)


@op
@in_float32
def round(x: Any, decimals: int = 0) -> Any:
    """Rounds each element to a number of decimals, halves to the even neighbour.

    The gradient is 0, since the result is a step function.

    Args:
        x: Tensor of any shape and dtype.
        decimals: Integer from -38 to 38, the decimals that float32 reaches; 0 by default, for whole numbers.
            Negative ones round to tens, hundreds and so on.

    Returns:
        Tensor of the shape and dtype of `x`. Integers come back as they are unless `decimals` is negative;
        they wrap around where the rounded number exceeds their type.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `decimals` is no integer from -38 to 38.

    Example:
        >>> from cnnrs import ops
        >>> ops.round([0.5, 1.5, 2.5]).tolist()
        [0.0, 2.0, 2.0]
        >>> print(ops.round([1.234, 5.678], decimals=1).numpy())
        [1.2 5.7]
    """
    decimals = integer(decimals, "round", "decimals", least=-38, most=38)
    x = as_tensor(x)
    if x.dtype not in FLOATS:
        return x if decimals >= 0 else _round_integers(x, -decimals).astype(x.dtype)
    if decimals == 0:
        return apply("round", x)
    return apply("div", apply("round", apply("mul", x, 10.0**decimals)), 10.0**decimals)
