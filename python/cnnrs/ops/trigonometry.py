"""Functions of angles and of hyperbolic ones, and what goes with them."""

from __future__ import annotations

import math
from typing import Any

from cnnrs.ops.dispatch import apply, as_float, as_floats, in_float32, op

__all__ = [
    "cos",
    "cosh",
    "deg2rad",
    "hypot",
    "rad2deg",
    "sin",
    "sinh",
    "tan",
    "tanh",
]


@op
def sin(x: Any) -> Any:
    """Computes the sine of each element.

    Args:
        x: Angles in radians, a tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`, between -1 and 1.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> import math
        >>> from cnnrs import ops
        >>> print(ops.sin([0.0, math.pi / 2]).numpy().round(4))
        [0. 1.]
    """
    return apply("sin", as_float(x))


@op
def cos(x: Any) -> Any:
    """Computes the cosine of each element.

    Args:
        x: Angles in radians, a tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`, between -1 and 1.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> import math
        >>> from cnnrs import ops
        >>> print(ops.cos([0.0, math.pi / 3]).numpy().round(4))
        [1.  0.5]
    """
    return apply("cos", as_float(x))


@op
@in_float32
def tan(x: Any) -> Any:
    """Computes the tangent of each element.

    It is computed as `sin(x) / cos(x)`.

    Args:
        x: Angles in radians, a tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> import math
        >>> from cnnrs import ops
        >>> print(ops.tan([0.0, math.pi / 4]).numpy().round(4))
        [0. 1.]
    """
    x = as_float(x)
    return apply("div", apply("sin", x), apply("cos", x))


@op
@in_float32
def sinh(x: Any) -> Any:
    """Computes the hyperbolic sine of each element.

    It is `(exp(x) - exp(-x)) / 2`, computed from `expm1` below 1, where the exponentials would cancel.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.sinh([0.0, 1.0, -1.0]).numpy().round(4))
        [ 0.      1.1752 -1.1752]
    """
    x = as_float(x)
    # Near 0 exponentials would cancel; beyond, e^(x/2) twice reaches as far as the result does.
    small = apply("expm1", apply("clip", x, min=-1.0, max=1.0))
    near = apply("mul", apply("add", small, apply("div", small, apply("add", small, 1.0))), 0.5)
    root, inverse = apply("exp", apply("mul", x, 0.5)), apply("exp", apply("mul", x, -0.5))
    far = apply(
        "sub", apply("mul", apply("mul", root, 0.5), root), apply("mul", apply("mul", inverse, 0.5), inverse)
    )
    return apply("where", apply("less", apply("abs", x), 1.0), near, far)


@op
@in_float32
def cosh(x: Any) -> Any:
    """Computes the hyperbolic cosine of each element.

    It is `(exp(x) + exp(-x)) / 2`.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`, at least 1.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.cosh([0.0, 1.0, -1.0]).numpy().round(4))
        [1.     1.5431 1.5431]
    """
    x = as_float(x)
    # e^(x/2) twice reaches as far as the result does.
    root, inverse = apply("exp", apply("mul", x, 0.5)), apply("exp", apply("mul", x, -0.5))
    return apply(
        "add", apply("mul", apply("mul", root, 0.5), root), apply("mul", apply("mul", inverse, 0.5), inverse)
    )


@op
def tanh(x: Any) -> Any:
    """Computes the hyperbolic tangent of each element.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`, between -1 and 1.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.tanh([0.0, 1.0, -100.0]).numpy().round(4))
        [ 0.      0.7616 -1.    ]
    """
    return apply("tanh", as_float(x))


@op
@in_float32
def deg2rad(x: Any) -> Any:
    """Converts angles from degrees to radians.

    Args:
        x: Angles in degrees, a tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.deg2rad([0.0, 180.0]).numpy().round(4))
        [0.     3.1416]
    """
    return apply("mul", as_float(x), math.pi / 180.0)


@op
@in_float32
def rad2deg(x: Any) -> Any:
    """Converts angles from radians to degrees.

    Args:
        x: Angles in radians, a tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> import math
        >>> from cnnrs import ops
        >>> print(ops.rad2deg([0.0, math.pi]).numpy().round(4))
        [  0. 180.]
    """
    return apply("mul", as_float(x), 180.0 / math.pi)


@op
@in_float32
def hypot(x1: Any, x2: Any) -> Any:
    """Computes `sqrt(x1² + x2²)` element by element, without overflow.

    The gradient where both arguments are 0 is 0.

    Args:
        x1: Tensor; other dtypes are converted to float32.
        x2: Tensor, whose shape broadcasts with that of `x1`; converted likewise.

    Returns:
        float32 tensor of the broadcast shape. It is infinite where either argument is, even beside NaN, as C
        defines it.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.hypot([3.0, 0.0], [4.0, float("inf")]).tolist()
        [5.0, inf]
        >>> float(ops.hypot(3e30, 4e30)) < float("inf")
        True
    """
    x1, x2 = as_floats(x1, x2)
    # Both are at most 1 in units of the longer one, so that no square overflows. The unit is a constant, so
    # that where both are as long each has its part of the gradient.
    unit = apply("stop_gradient", apply("maximum", apply("abs", x1), apply("abs", x2)))
    zero = apply("equal", unit, 0.0)
    unit = apply("where", zero, 1.0, unit)
    squares = apply("add", apply("square", apply("div", x1, unit)), apply("square", apply("div", x2, unit)))
    length = apply("where", zero, 0.0, apply("mul", unit, apply("sqrt", apply("where", zero, 1.0, squares))))
    infinite = apply("logical_or", apply("isinf", x1), apply("isinf", x2))
    return apply("where", infinite, float("inf"), length)
