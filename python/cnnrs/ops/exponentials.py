"""Exponentials and logarithms of elements."""

from __future__ import annotations

import math
from typing import Any

from cnnrs.ops.dispatch import apply, as_float, as_floats, in_float32, op

__all__ = [
    "exp",
    "exp2",
    "expm1",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
]


@op
def exp(x: Any) -> Any:
    """Raises e to the power of each element.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; infinite where the power exceeds 3.4e38, from about 88.7 on.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.exp([0.0, 1.0, 100.0]).numpy().round(4))
        [1.     2.7183    inf]
    """
    return apply("exp", as_float(x))


@op
@in_float32
def exp2(x: Any) -> Any:
    """Raises 2 to the power of each element.

    It is computed as `exp(x * log(2))`.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; infinite from 128 on.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.exp2([0.0, 3.0, -1.0]).numpy().round(4))
        [1.  8.  0.5]
    """
    return apply("exp", apply("mul", as_float(x), math.log(2.0)))


@op
def expm1(x: Any) -> Any:
    """Computes `exp(x) - 1` for each element, accurately near 0.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> f"{float(ops.expm1(1e-8)):.2e}", f"{float(ops.exp(1e-8) - 1):.2e}"
        ('1.00e-08', '0.00e+00')
    """
    return apply("expm1", as_float(x))


@op
def log(x: Any) -> Any:
    """Computes the natural logarithm of each element.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; minus infinity for 0, NaN for negative elements.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.log([1.0, 10.0, 0.0]).numpy().round(4))
        [0.     2.3026   -inf]
    """
    return apply("log", as_float(x))


@op
@in_float32
def log2(x: Any) -> Any:
    """Computes the logarithm to base 2 of each element.

    It is computed as `log(x) / log(2)`.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; minus infinity for 0, NaN for negative elements.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.log2([1.0, 8.0, 0.5]).numpy().round(4))
        [ 0.  3. -1.]
    """
    return apply("mul", apply("log", as_float(x)), 1.0 / math.log(2.0))


@op
@in_float32
def log10(x: Any) -> Any:
    """Computes the logarithm to base 10 of each element.

    It is computed as `log(x) / log(10)`.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; minus infinity for 0, NaN for negative elements.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.log10([1.0, 1000.0, 0.01]).numpy().round(4))
        [ 0.  3. -2.]
    """
    return apply("mul", apply("log", as_float(x)), 1.0 / math.log(10.0))


@op
def log1p(x: Any) -> Any:
    """Computes `log(1 + x)` for each element, accurately near 0.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; minus infinity for -1, NaN below.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> f"{float(ops.log1p(1e-8)):.2e}", f"{float(ops.log(ops.add(1.0, 1e-8))):.2e}"
        ('1.00e-08', '0.00e+00')
    """
    return apply("log1p", as_float(x))


@op
@in_float32
def logaddexp(x1: Any, x2: Any) -> Any:
    """Computes `log(exp(x1) + exp(x2))` element by element, without overflow.

    It is the larger argument plus `log1p(exp(-d))`, where `d` is the distance of the two.

    Args:
        x1: Tensor; other dtypes are converted to float32.
        x2: Tensor, whose shape broadcasts with that of `x1`; converted likewise.

    Returns:
        float32 tensor of the broadcast shape.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.logaddexp([0.0, 100.0], [0.0, 100.0]).numpy().round(4))
        [  0.6931 100.6931]
        >>> float(ops.logaddexp(float("-inf"), float("-inf")))
        -inf
    """
    x1, x2 = as_floats(x1, x2)
    first = apply("greater_equal", x1, x2)
    greater, smaller = apply("where", first, x1, x2), apply("where", first, x2, x1)
    # Equal infinities have no distance, and share the gradient, as all that is equal does.
    same = apply("logical_and", apply("equal", x1, x2), apply("isinf", x1))
    distance = apply("where", same, 0.0, apply("sub", smaller, greater))
    between = apply("add", apply("mul", x1, 0.5), apply("mul", x2, 0.5))
    return apply("where", same, between, apply("add", greater, apply("log1p", apply("exp", distance))))
