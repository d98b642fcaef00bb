"""Functions of single elements that circles, hyperbolas and the normal distribution bring."""

from __future__ import annotations

import math
from typing import Any

from cnnrs.base.dtypes import FLOATS
from cnnrs.ops.dispatch import apply, as_float, as_floats, as_index, as_tensor, in_float32, op
from cnnrs.ops.symbols import broadcast_of, op_of_shape

__all__ = [
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cbrt",
    "erfc",
    "erfinv",
    "i0",
    "ldexp",
    "logaddexp2",
    "sinc",
]

_LN2 = math.log(2.0)


def _polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    """Σ coefficient · x^k, the highest power first."""
    total: Any = coefficients[0]
    for coefficient in coefficients[1:]:
        total = apply("add", apply("mul", total, x), coefficient)
    return total


def _other_leg(x: Any) -> Any:
    """√(1 - x²). One root of the product had a NaN for its gradient at -1 and 1; two have an infinite one."""
    return apply("mul", apply("sqrt", apply("sub", 1.0, x)), apply("sqrt", apply("add", 1.0, x)))


@op
@in_float32
def arccos(x: Any) -> Any:
    """Computes the angle from 0 to π of which each element is the cosine.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; NaN outside of -1 to 1.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.round(ops.arccos([1.0, 0.0, -1.0]), 4).tolist()
        [0.0, 1.5707999467849731, 3.1415998935699463]
    """
    x = as_float(x)
    return apply("atan2", _other_leg(x), x)


@op
@in_float32
def arccosh(x: Any) -> Any:
    """Computes the number >= 0 of which each element is the hyperbolic cosine.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; NaN below 1.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.round(ops.arccosh([1.0, 2.0]), 4).tolist()
        [0.0, 1.3170000314712524]
    """
    x = as_float(x)
    t = apply("sub", x, 1.0)
    large = apply("greater", t, 1e9)
    near = apply("where", large, 1.0, t)
    root = apply("mul", apply("sqrt", near), apply("sqrt", apply("add", near, 2.0)))
    outer = apply("add", apply("log", apply("where", large, x, 1.0)), _LN2)
    return apply("where", large, outer, apply("log1p", apply("add", near, root)))


@op
@in_float32
def arcsin(x: Any) -> Any:
    """Computes the angle from -π/2 to π/2 of which each element is the sine.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; NaN outside of -1 to 1.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.round(ops.arcsin([0.0, 1.0]), 4).tolist()
        [0.0, 1.5707999467849731]
    """
    x = as_float(x)
    return apply("atan2", x, _other_leg(x))


@op
@in_float32
def arcsinh(x: Any) -> Any:
    """Computes the number of which each element is the hyperbolic sine.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.round(ops.arcsinh([0.0, 1.0]), 4).tolist()
        [0.0, 0.8813999891281128]
    """
    x = as_float(x)
    size = apply("abs", x)
    # Beyond 1e9 the 1 below the root is lost, and the square would overflow further on.
    large = apply("greater", size, 1e9)
    near = apply("where", large, 1.0, size)
    square = apply("square", near)
    root = apply("sqrt", apply("add", square, 1.0))
    inner = apply("log1p", apply("add", near, apply("div", square, apply("add", root, 1.0))))
    outer = apply("add", apply("log", apply("where", large, size, 1.0)), _LN2)
    value = apply("where", large, outer, inner)
    # -0 stays what it is, and x near 0 has a derivative.
    return apply(
        "where", apply("less", x, 0.0), apply("neg", value), apply("where", apply("equal", x, 0.0), x, value)
    )


@op
def arctan(x: Any) -> Any:
    """Computes the angle from -π/2 to π/2 of which each element is the tangent.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.round(ops.arctan([0.0, 1.0]), 4).tolist()
        [0.0, 0.7853999733924866]
    """
    return apply("atan2", as_float(x), 1.0)


@op
def arctan2(x1: Any, x2: Any) -> Any:
    """Computes the angle from -π to π of the point (x2, x1).

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        float32 tensor of the broadcast shape.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.round(ops.arctan2([1.0, -1.0], [1.0, 0.0]), 4).tolist()
        [0.7853999733924866, -1.5707999467849731]
    """
    return apply("atan2", *as_floats(x1, x2))


@op
@in_float32
def arctanh(x: Any) -> Any:
    """Computes the number of which each element is the hyperbolic tangent.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; NaN outside of -1 to 1.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.round(ops.arctanh([0.0, 0.5]), 4).tolist()
        [0.0, 0.5493000149726868]
    """
    x = as_float(x)
    # The logarithms have opposite signs, so that nothing cancels.
    return apply("mul", apply("sub", apply("log1p", x), apply("log1p", apply("neg", x))), 0.5)


@op
def cbrt(x: Any) -> Any:
    """Computes the cube root of each element.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; that of negative elements is negative.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.cbrt([27.0, -8.0]).tolist()
        [3.0, -2.0]
    """
    return apply("cbrt", as_float(x))


@op
def erfc(x: Any) -> Any:
    """Computes 1 - erf(x) without the loss of digits of that difference.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> [float(y) for y in ops.erfc([0.0, 3.0])]
        [1.0, 2.209049853263423e-05]
    """
    return apply("erfc", as_float(x))


@op
def erfinv(x: Any) -> Any:
    """Computes the number of which each element is the error function.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; infinite at -1 and 1, NaN beyond.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.round(ops.erfinv([0.0, 0.5]), 4).tolist()
        [0.0, 0.47690001130104065]
    """
    return apply("erfinv", as_float(x))


@op
@in_float32
def i0(x: Any) -> Any:
    """Computes the modified Bessel function of the first kind and of order 0.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.round(ops.i0([0.0, 1.0]), 4).tolist()
        [1.0, 1.2661000490188599]
    """
    size = apply("abs", as_float(x))
    # Polynomials of Abramowitz and Stegun, 9.8.1 and 9.8.2.
    near = apply("minimum", size, 3.75)
    inner = _polynomial(
        apply("square", apply("div", near, 3.75)),
        (0.0045813, 0.0360768, 0.2659732, 1.2067492, 3.0899424, 3.5156229, 1.0),
    )
    far = apply("maximum", size, 3.75)
    outer = _polynomial(
        apply("div", 3.75, far),
        (
            0.00392377,
            -0.01647633,
            0.02635537,
            -0.02057706,
            0.00916281,
            -0.00157565,
            0.00225319,
            0.01328592,
            0.39894228,
        ),
    )
    outer = apply("mul", apply("mul", apply("exp", far), apply("rsqrt", far)), outer)
    return apply("where", apply("less", size, 3.75), inner, outer)


@op_of_shape(broadcast_of)
@in_float32
def ldexp(x1: Any, x2: Any) -> Any:
    """Computes x1 · 2^x2.

    Args:
        x1: Tensor; other dtypes are converted to float32.
        x2: Tensor of integers, whose shape broadcasts with that of `x1`.

    Returns:
        float32 tensor of the broadcast shape.

    Raises:
        TypeError: `x1` is not numeric, or `x2` holds no integers.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.ldexp([0.5, 3.0], [4, -1]).tolist()
        [8.0, 1.5]
    """
    x2 = as_tensor(x2)
    if x2.dtype in FLOATS:
        raise TypeError(f"ldexp: x2: expected integers, received {x2.dtype}")
    x1 = as_float(x1)
    # 2^x2 alone may overflow where the result does not. Beyond `limit` each result is 0 or infinite, and a
    # third of `limit` overflows nothing.
    limit = 2200 if x1.dtype == "float64" else 300
    exponent = apply("minimum", apply("maximum", as_index(x2), -limit), limit)
    third = apply("floor_div", exponent, 3)
    for part in (third, third, apply("sub", exponent, apply("mul", third, 2))):
        x1 = apply("mul", x1, apply("pow", 2.0, part.astype(x1.dtype)))
    return x1


@op
@in_float32
def logaddexp2(x1: Any, x2: Any) -> Any:
    """Computes log2(2^x1 + 2^x2) without overflow.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        float32 tensor of the broadcast shape.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.logaddexp2([3.0, 1000.0], [3.0, 1000.0]).tolist()
        [4.0, 1001.0]
    """
    x1, x2 = as_floats(x1, x2)
    high = apply("maximum", x1, x2)
    gap = apply("sub", apply("minimum", x1, x2), high)
    # Of equal infinities the difference is NaN, and the sum that number.
    same = apply("equal", x1, x2)
    gap = apply("where", apply("logical_and", same, apply("isinf", x1)), 0.0, gap)
    power = apply("exp", apply("mul", gap, _LN2))
    return apply("add", high, apply("div", apply("log1p", power), _LN2))


@op
@in_float32
def sinc(x: Any) -> Any:
    """Computes sin(πx) / (πx), and 1 at 0.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.round(ops.sinc([0.0, 0.5]), 4).tolist()
        [1.0, 0.6366000175476074]
    """
    x = as_float(x)
    zero = apply("equal", x, 0.0)
    angle = apply("mul", apply("where", zero, 1.0, x), math.pi)
    # Near 0 the derivative is that of the series, -π²x/3.
    near = apply("sub", 1.0, apply("mul", apply("square", x), math.pi**2 / 6.0))
    return apply("where", zero, near, apply("div", apply("sin", angle), angle))
