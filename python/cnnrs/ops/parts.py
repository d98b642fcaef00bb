"""Signs, parts and neighbours of numbers, and the larger of two."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs.base.dtypes import FLOATS
from cnnrs.ops.dispatch import apply, as_float, as_floats, as_tensor, in_float32, of_integers, op

__all__ = [
    "angle",
    "conj",
    "conjugate",
    "fabs",
    "fmax",
    "fmin",
    "fmod",
    "heaviside",
    "imag",
    "isneginf",
    "isposinf",
    "isreal",
    "nextafter",
    "real",
    "signbit",
]


@op
@in_float32
def angle(x: Any) -> Any:
    """Computes the angle of numbers in the complex plane: 0, or π for negative ones.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        float32 tensor of the shape of `x`. NaN stays NaN.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.angle([2.0, -1.0]).tolist()
        [0.0, 3.1415927410125732]
    """
    x = as_float(x)
    value = apply("where", apply("less", x, 0.0), math.pi, apply("mul", apply("stop_gradient", x), 0.0))
    return apply("where", apply("isinf", x), apply("where", apply("less", x, 0.0), math.pi, 0.0), value)


@op
def conj(x: Any) -> Any:
    """Gives the complex conjugate of numbers: themselves, as tensors are real.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.conj([1.0, -2.0]).tolist()
        [1.0, -2.0]
    """
    return as_tensor(x)


@op
def conjugate(x: Any) -> Any:
    """Gives the complex conjugate of numbers, as `conj` does: themselves, as tensors are real.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.conjugate([1.0, -2.0]).tolist()
        [1.0, -2.0]
    """
    return as_tensor(x)


@op
def fabs(x: Any) -> Any:
    """Computes the absolute value of each element as a float.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.fabs([-2, 3]).tolist()
        [2.0, 3.0]
    """
    return apply("abs", as_float(x))


def _chosen(name: str, x1: Any, x2: Any) -> Any:
    """The larger or the smaller of two elements, or the other one where one is NaN."""
    if not any(type(x) is float or as_tensor(x).dtype in FLOATS for x in (x1, x2)):
        result = apply(name, x1, x2)
        return result.astype("bool") if as_tensor(x1).dtype == as_tensor(x2).dtype == "bool" else result
    x1, x2 = as_floats(x1, x2)
    result = apply(name, x1, x2)
    return apply("where", apply("isnan", x1), x2, apply("where", apply("isnan", x2), x1, result))


@op
def fmax(x1: Any, x2: Any) -> Any:
    """Takes the larger of two elements, or the other one where one is NaN.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.fmax([1.0, float('nan')], [2.0, 5.0]).tolist()
        [2.0, 5.0]
    """
    return _chosen("maximum", x1, x2)


@op
def fmin(x1: Any, x2: Any) -> Any:
    """Takes the smaller of two elements, or the other one where one is NaN.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.fmin([1.0, float('nan')], [2.0, 5.0]).tolist()
        [1.0, 5.0]
    """
    return _chosen("minimum", x1, x2)


@op
def fmod(x1: Any, x2: Any) -> Any:
    """Computes what division leaves when the quotient is cut towards 0: it has the sign of `x1`.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.fmod([-7, 7], [3, -3]).tolist(), ops.mod([-7, 7], [3, -3]).tolist()
        ([-1, 1], [2, -2])
    """
    if of_integers(x1, x2) is not None:
        # The least integer of a type has no magnitude.
        rest = apply("mod", x1, x2)
        other_sign = apply("logical_xor", apply("less", as_tensor(x1), 0), apply("less", rest, 0))
        return apply("where", apply("logical_and", other_sign, rest), apply("sub", rest, x2), rest)
    x1, x2 = as_floats(x1, x2)
    rest = apply("mod", apply("abs", x1), apply("abs", x2))
    return apply("where", apply("less", x1, 0), apply("neg", rest), rest)


@op
@in_float32
def heaviside(x1: Any, x2: Any) -> Any:
    """Computes the step function: 0 for negative elements, 1 for positive ones, and `x2` at 0.

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
        >>> ops.heaviside([-2.0, 0.0, 3.0], 0.5).tolist()
        [0.0, 0.5, 1.0]
    """
    x1, x2 = as_floats(x1, x2)
    step = apply("where", apply("less", x1, 0.0), 0.0, apply("where", apply("isnan", x1), x1, 1.0))
    return apply("where", apply("equal", x1, 0.0), x2, step)


@op
def imag(x: Any) -> Any:
    """Gives the imaginary part of numbers: 0, as tensors are real.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        Tensor of zeros, of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.imag([1.0, -2.0]).tolist()
        [0.0, 0.0]
    """
    x = as_tensor(x)
    return apply("broadcast_to", np.zeros((), np.float32), shape=list(x.shape)).astype(x.dtype)


@op
def isneginf(x: Any) -> Any:
    """Tells of each element whether it is negative infinity.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        bool tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.isneginf([float('inf'), -float('inf'), 1.0]).tolist()
        [False, True, False]
    """
    x = as_float(x)
    return apply("logical_and", apply("isinf", x), apply("less", x, 0.0))


@op
def isposinf(x: Any) -> Any:
    """Tells of each element whether it is positive infinity.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        bool tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.isposinf([float('inf'), -float('inf'), 1.0]).tolist()
        [True, False, False]
    """
    x = as_float(x)
    return apply("logical_and", apply("isinf", x), apply("greater", x, 0.0))


@op
def isreal(x: Any) -> Any:
    """Tells of each element whether it has no imaginary part: true, as tensors are real.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        bool tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.isreal([1.0, -2.0]).tolist()
        [True, True]
    """
    return apply("broadcast_to", np.ones((), np.bool_), shape=list(as_tensor(x).shape))


@op
def nextafter(x1: Any, x2: Any) -> Any:
    """Gives the float32 beside `x1` on the way to `x2`.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        float32 tensor of the broadcast shape; `x2` where both are equal.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.nextafter(1.0, 2.0)) - 1.0
        1.1920928955078125e-07
    """
    return apply("next_after", *as_floats(x1, x2))


@op
def real(x: Any) -> Any:
    """Gives the real part of numbers, which is all there is of them.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.real([1.0, -2.0]).tolist()
        [1.0, -2.0]
    """
    return as_tensor(x)


@op
def signbit(x: Any) -> Any:
    """Tells of each element whether its sign is negative, also of -0.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        bool tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.signbit([-0.0, 0.0, -3.0]).tolist()
        [True, False, True]
    """
    x = as_tensor(x)
    if x.dtype in FLOATS:
        return apply("less", apply("where", apply("equal", x, 0.0), apply("div", 1.0, x), x), 0.0)
    return apply("less", x, 0)
