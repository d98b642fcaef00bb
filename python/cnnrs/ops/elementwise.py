"""Arithmetic, comparisons, logic and elementwise functions, with numpy's names and meaning."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs.base.dtypes import FLOAT
from cnnrs.ops.dispatch import apply, as_bool, as_float, as_tensor, op

__all__ = [
    "abs",
    "absolute",
    "add",
    "allclose",
    "ceil",
    "clip",
    "cos",
    "cosh",
    "deg2rad",
    "divide",
    "divide_no_nan",
    "equal",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "hypot",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "nan_to_num",
    "negative",
    "not_equal",
    "power",
    "rad2deg",
    "reciprocal",
    "round",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "true_divide",
    "trunc",
    "where",
]


@op
def add(x1: Any, x2: Any) -> Any:
    """`x1 + x2`."""
    return apply("add", x1, x2)


@op
def subtract(x1: Any, x2: Any) -> Any:
    """`x1 - x2`."""
    return apply("sub", x1, x2)


@op
def multiply(x1: Any, x2: Any) -> Any:
    """`x1 * x2`."""
    return apply("mul", x1, x2)


@op
def divide(x1: Any, x2: Any) -> Any:
    """`x1 / x2`; integers give float32."""
    return apply("div", x1, x2)


@op
def true_divide(x1: Any, x2: Any) -> Any:
    """`x1 / x2`; integers give float32."""
    return apply("div", x1, x2)


@op
def divide_no_nan(x1: Any, x2: Any) -> Any:
    """`x1 / x2`, and 0 where `x2` is 0."""
    x1, x2 = as_float(x1), as_float(x2)
    zero = apply("equal", x2, 0.0)
    return apply("where", zero, 0.0, apply("div", x1, apply("where", zero, 1.0, x2)))


@op
def floor_divide(x1: Any, x2: Any) -> Any:
    """`x1 // x2`: the quotient rounded down."""
    return apply("floor_div", x1, x2)


@op
def mod(x1: Any, x2: Any) -> Any:
    """`x1 % x2`, with the sign of `x2`."""
    return apply("mod", x1, x2)


@op
def power(x1: Any, x2: Any) -> Any:
    """`x1 ** x2`."""
    return apply("pow", x1, x2)


@op
def maximum(x1: Any, x2: Any) -> Any:
    """The larger of two, element by element."""
    return apply("maximum", x1, x2)


@op
def minimum(x1: Any, x2: Any) -> Any:
    """The smaller of two, element by element."""
    return apply("minimum", x1, x2)


@op
def equal(x1: Any, x2: Any) -> Any:
    """`x1 == x2`."""
    return apply("equal", x1, x2)


@op
def not_equal(x1: Any, x2: Any) -> Any:
    """`x1 != x2`."""
    return apply("not_equal", x1, x2)


@op
def less(x1: Any, x2: Any) -> Any:
    """`x1 < x2`."""
    return apply("less", x1, x2)


@op
def less_equal(x1: Any, x2: Any) -> Any:
    """`x1 <= x2`."""
    return apply("less_equal", x1, x2)


@op
def greater(x1: Any, x2: Any) -> Any:
    """`x1 > x2`."""
    return apply("greater", x1, x2)


@op
def greater_equal(x1: Any, x2: Any) -> Any:
    """`x1 >= x2`."""
    return apply("greater_equal", x1, x2)


@op
def logical_and(x1: Any, x2: Any) -> Any:
    """Whether both are true."""
    return apply("logical_and", as_bool(x1), as_bool(x2))


@op
def logical_or(x1: Any, x2: Any) -> Any:
    """Whether one is true."""
    return apply("logical_or", as_bool(x1), as_bool(x2))


@op
def logical_xor(x1: Any, x2: Any) -> Any:
    """Whether exactly one is true."""
    return apply("logical_xor", as_bool(x1), as_bool(x2))


@op
def logical_not(x: Any) -> Any:
    """Whether it is false."""
    return apply("logical_not", as_bool(x))


@op
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """`x1` where the condition holds, `x2` elsewhere."""
    if x1 is None or x2 is None:
        raise ValueError("where: expected x1 and x2; indices of the true elements have no fixed shape")
    return apply("where", as_bool(condition), x1, x2)


@op
def negative(x: Any) -> Any:
    """`-x`."""
    return apply("neg", as_tensor(x))


@op
def abs(x: Any) -> Any:
    """Magnitude."""
    return apply("abs", as_tensor(x))


@op
def absolute(x: Any) -> Any:
    """Magnitude."""
    return apply("abs", as_tensor(x))


@op
def sign(x: Any) -> Any:
    """-1, 0 or 1."""
    return apply("sign", as_tensor(x))


@op
def square(x: Any) -> Any:
    """`x * x`."""
    return apply("square", as_tensor(x))


@op
def sqrt(x: Any) -> Any:
    """Square root."""
    return apply("sqrt", as_float(x))


@op
def reciprocal(x: Any) -> Any:
    """`1 / x`."""
    return apply("reciprocal", as_float(x))


@op
def exp(x: Any) -> Any:
    """e to the power of x."""
    return apply("exp", as_float(x))


@op
def exp2(x: Any) -> Any:
    """2 to the power of x."""
    return apply("exp", apply("mul", as_float(x), math.log(2.0)))


@op
def expm1(x: Any) -> Any:
    """`exp(x) - 1`, exact near 0."""
    return apply("expm1", as_float(x))


@op
def log(x: Any) -> Any:
    """Natural logarithm."""
    return apply("log", as_float(x))


@op
def log2(x: Any) -> Any:
    """Logarithm to base 2."""
    return apply("mul", apply("log", as_float(x)), 1.0 / math.log(2.0))


@op
def log10(x: Any) -> Any:
    """Logarithm to base 10."""
    return apply("mul", apply("log", as_float(x)), 1.0 / math.log(10.0))


@op
def log1p(x: Any) -> Any:
    """`log(1 + x)`, exact near 0."""
    return apply("log1p", as_float(x))


@op
def logaddexp(x1: Any, x2: Any) -> Any:
    """`log(exp(x1) + exp(x2))` without overflow.

    >>> from cnnrs import ops
    >>> float(ops.logaddexp(float("-inf"), float("-inf")))
    -inf
    """
    x1, x2 = as_float(x1), as_float(x2)
    first = apply("greater_equal", x1, x2)
    greater, smaller = apply("where", first, x1, x2), apply("where", first, x2, x1)
    # Equal infinities have no distance.
    same = apply("logical_and", apply("equal", x1, x2), apply("isinf", x1))
    distance = apply("where", same, 0.0, apply("sub", smaller, greater))
    return apply("add", greater, apply("log1p", apply("exp", distance)))


@op
def sin(x: Any) -> Any:
    """Sine."""
    return apply("sin", as_float(x))


@op
def cos(x: Any) -> Any:
    """Cosine."""
    return apply("cos", as_float(x))


@op
def tan(x: Any) -> Any:
    """Tangent."""
    x = as_float(x)
    return apply("div", apply("sin", x), apply("cos", x))


@op
def sinh(x: Any) -> Any:
    """Hyperbolic sine."""
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
def cosh(x: Any) -> Any:
    """Hyperbolic cosine."""
    x = as_float(x)
    # e^(x/2) twice reaches as far as the result does.
    root, inverse = apply("exp", apply("mul", x, 0.5)), apply("exp", apply("mul", x, -0.5))
    return apply(
        "add", apply("mul", apply("mul", root, 0.5), root), apply("mul", apply("mul", inverse, 0.5), inverse)
    )


@op
def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return apply("tanh", as_float(x))


@op
def floor(x: Any) -> Any:
    """Rounded down."""
    return apply("floor", as_float(x))


@op
def ceil(x: Any) -> Any:
    """Rounded up."""
    return apply("ceil", as_float(x))


@op
def trunc(x: Any) -> Any:
    """Rounded towards 0."""
    x = as_float(x)
    return apply("where", apply("less", x, 0.0), apply("ceil", x), apply("floor", x))


@op
def round(x: Any, decimals: int = 0) -> Any:
    """Rounded to a number of decimals, halves to even.

    Raises:
        ValueError: `decimals` is no integer from -38 to 38, the decimals that float32 reaches.
    """
    if not isinstance(decimals, int) or not -38 <= decimals <= 38:
        raise ValueError(f"round: decimals: expected an integer from -38 to 38, received {decimals!r}")
    x = as_tensor(x)
    if x.dtype != FLOAT:
        return x
    if decimals == 0:
        return apply("round", x)
    return apply("div", apply("round", apply("mul", x, 10.0**decimals)), 10.0**decimals)


@op
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """Limited to `x_min` to `x_max`."""
    x = as_tensor(x)
    if x.dtype == FLOAT and isinstance(x_min, (int, float)) and isinstance(x_max, (int, float)):
        return apply("clip", x, min=float(x_min), max=float(x_max))
    return apply("minimum", apply("maximum", x, x_min), x_max)


@op
def isnan(x: Any) -> Any:
    """Whether it is not a number."""
    return apply("isnan", as_float(x))


@op
def isinf(x: Any) -> Any:
    """Whether it is infinite."""
    return apply("isinf", as_float(x))


@op
def isfinite(x: Any) -> Any:
    """Whether it is neither infinite nor NaN."""
    return apply("isfinite", as_float(x))


@op
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """NaN and infinities replaced by finite numbers, by default the largest ones."""
    x = as_float(x)
    limit = float(np.finfo(np.float32).max)
    positive = limit if posinf is None else posinf
    lowest = -limit if neginf is None else neginf
    x = apply("where", apply("isnan", x), nan, x)
    x = apply("where", apply("equal", x, math.inf), positive, x)
    return apply("where", apply("equal", x, -math.inf), lowest, x)


@op
def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether two are equal up to `atol + rtol * abs(x2)`."""
    x1, x2 = as_float(x1), as_float(x2)
    near = apply(
        "less_equal",
        apply("abs", apply("sub", x1, x2)),
        apply("add", atol, apply("mul", rtol, apply("abs", x2))),
    )
    near = apply("logical_or", near, apply("equal", x1, x2))
    if equal_nan:
        near = apply("logical_or", near, apply("logical_and", apply("isnan", x1), apply("isnan", x2)))
    return near


@op
def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether all elements are close."""
    return apply("all", isclose(x1, x2, rtol, atol, equal_nan), axes=None, keepdims=False)


@op
def deg2rad(x: Any) -> Any:
    """Degrees as radians."""
    return apply("mul", as_float(x), math.pi / 180.0)


@op
def rad2deg(x: Any) -> Any:
    """Radians as degrees."""
    return apply("mul", as_float(x), 180.0 / math.pi)


@op
def hypot(x1: Any, x2: Any) -> Any:
    """`sqrt(x1² + x2²)` without overflow: infinite where either is, even beside NaN.

    >>> from cnnrs import ops
    >>> float(ops.hypot(3e30, 4e30)) < float("inf")
    True
    """
    x1, x2 = as_float(x1), as_float(x2)
    long1, long2 = apply("abs", x1), apply("abs", x2)
    first = apply("greater_equal", long1, long2)
    # The smaller one keeps its sign, so that it is differentiable at 0.
    greater, smaller = apply("where", first, long1, long2), apply("where", first, x2, x1)
    # The ratio is at most 1, so that its square does not overflow.
    ratio = apply("div", smaller, apply("where", apply("equal", greater, 0.0), 1.0, greater))
    length = apply("mul", greater, apply("sqrt", apply("add", apply("square", ratio), 1.0)))
    infinite = apply("logical_or", apply("isinf", x1), apply("isinf", x2))
    return apply("where", infinite, float("inf"), length)
