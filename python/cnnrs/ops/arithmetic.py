"""Arithmetic of elements: sums, products, quotients, powers, signs and bounds."""

from __future__ import annotations

from typing import Any

from cnnrs.base.dtypes import FLOATS
from cnnrs.ops.dispatch import apply, as_float, as_floats, as_tensor, in_float32, op

__all__ = [
    "abs",
    "absolute",
    "add",
    "clip",
    "divide",
    "divide_no_nan",
    "floor_divide",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "power",
    "reciprocal",
    "sign",
    "sqrt",
    "square",
    "subtract",
    "true_divide",
]


@op
def add(x1: Any, x2: Any) -> Any:
    """Adds two tensors element by element.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype; two bools are added as int32.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.add([[1], [2]], [10, 20]).tolist()
        [[11, 21], [12, 22]]
    """
    return apply("add", x1, x2)


@op
def subtract(x1: Any, x2: Any) -> Any:
    """Subtracts `x2` from `x1` element by element.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype; two bools are subtracted as int32.
        Differences of two uint8 wrap around at 0.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.subtract([5, 7], [1, 10]).tolist()
        [4, -3]
    """
    return apply("sub", x1, x2)


@op
def multiply(x1: Any, x2: Any) -> Any:
    """Multiplies two tensors element by element.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype; two bools are multiplied as int32.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.multiply([1, 2, 3], 0.5).tolist()
        [0.5, 1.0, 1.5]
    """
    return apply("mul", x1, x2)


@op
def divide(x1: Any, x2: Any) -> Any:
    """Divides `x1` by `x2` element by element.

    `true_divide` is another name for it.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        float32 tensor of the broadcast shape, for integers too. Division by 0 gives an infinity, 0 / 0 gives
        NaN.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.divide([1, 6, -1], [2, 4, 0]).tolist()
        [0.5, 1.5, -inf]
    """
    return apply("div", x1, x2)


@op
def true_divide(x1: Any, x2: Any) -> Any:
    """Divides `x1` by `x2` element by element.

    `divide` is another name for it.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        float32 tensor of the broadcast shape, for integers too. Division by 0 gives an infinity, 0 / 0 gives
        NaN.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.true_divide([1, 6, -1], [2, 4, 0]).tolist()
        [0.5, 1.5, -inf]
    """
    return apply("div", x1, x2)


@op
@in_float32
def divide_no_nan(x1: Any, x2: Any) -> Any:
    """Divides `x1` by `x2` element by element, and gives 0 where `x2` is 0.

    No gradient flows to either argument where `x2` is 0.

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
        >>> ops.divide_no_nan([1.0, 3.0], [0.0, 2.0]).tolist()
        [0.0, 1.5]
    """
    x1, x2 = as_floats(x1, x2)
    zero = apply("equal", x2, 0.0)
    return apply("where", zero, 0.0, apply("div", x1, apply("where", zero, 1.0, x2)))


@op
def floor_divide(x1: Any, x2: Any) -> Any:
    """Divides `x1` by `x2` element by element and rounds the quotient down.

    The gradient is 0, since the result is a step function.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype; two bools are divided as int32.
        Integers divided by 0 give 0, floats an infinity or NaN.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.floor_divide([7, -7], 2).tolist()
        [3, -4]
    """
    return apply("floor_div", x1, x2)


@op
def mod(x1: Any, x2: Any) -> Any:
    """Computes the remainder of the division rounded down, element by element.

    It is `x1 - floor_divide(x1, x2) * x2`; the gradient takes the quotient as a constant.

    Args:
        x1: Dividend, a tensor of any dtype.
        x2: Divisor, a tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype, with the sign of `x2`; two bools are
        divided as int32. Remainders of a division by 0 are 0 for integers and NaN for floats.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.mod([7, -7], 3).tolist()
        [1, 2]
    """
    return apply("mod", x1, x2)


@op
def power(x1: Any, x2: Any) -> Any:
    """Raises `x1` to the power of `x2` element by element.

    The gradient with respect to the exponent is 0 where the base is not positive.

    Args:
        x1: Base, a tensor of any dtype.
        x2: Exponent, a tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype; two bools count as int32. Negative
        bases give NaN for exponents that are not whole. Powers of integers with negative exponents are
        rounded towards 0: use a float for one of the arguments to get fractions.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.power([2.0, 3.0, 4.0], [3.0, 2.0, -0.5]).tolist()
        [8.0, 9.0, 0.5]
    """
    return apply("pow", x1, x2)


def _of_bools(result: Any, x1: Any, x2: Any) -> Any:
    """The larger or smaller of two bools, as a bool: the core has it as uint8."""
    if result.dtype == "uint8" and as_tensor(x1).dtype == as_tensor(x2).dtype == "bool":
        return result.astype("bool")
    return result


@op
def maximum(x1: Any, x2: Any) -> Any:
    """Takes the larger of two tensors element by element.

    The gradient goes to the larger argument: to `x1` where both are equal, to `x2` where one is NaN.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype. NaN where either is NaN.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.maximum([1.0, 5.0, float("nan")], 3.0).tolist()
        [3.0, 5.0, nan]
    """
    return _of_bools(apply("maximum", x1, x2), x1, x2)


@op
def minimum(x1: Any, x2: Any) -> Any:
    """Takes the smaller of two tensors element by element.

    The gradient goes to the smaller argument: to `x1` where both are equal, to `x2` where one is NaN.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype. NaN where either is NaN.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.minimum([1.0, 5.0, float("nan")], 3.0).tolist()
        [1.0, 3.0, nan]
    """
    return _of_bools(apply("minimum", x1, x2), x1, x2)


@op
def negative(x: Any) -> Any:
    """Negates each element.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        Tensor of the shape and dtype of `x`, int32 for bool. uint8 wraps around: the negative of 1 is 255.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.negative([1, -2]).tolist()
        [-1, 2]
    """
    return apply("neg", as_tensor(x))


@op
def abs(x: Any) -> Any:
    """Computes the magnitude of each element.

    The gradient at 0 is 0. `absolute` is another name for it.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.abs([-1.5, 2.0]).tolist()
        [1.5, 2.0]
    """
    x = as_tensor(x)
    return x if x.dtype == "bool" else apply("abs", x)


@op
def absolute(x: Any) -> Any:
    """Computes the magnitude of each element.

    The gradient at 0 is 0. `abs` is another name for it.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.absolute([-1.5, 2.0]).tolist()
        [1.5, 2.0]
    """
    x = as_tensor(x)
    return x if x.dtype == "bool" else apply("abs", x)


@op
def sign(x: Any) -> Any:
    """Computes the sign of each element: -1, 0 or 1.

    The gradient is 0 everywhere.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        Tensor of the shape and dtype of `x`, int32 for bool. NaN stays NaN.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.sign([-2.5, 0.0, 7.0]).tolist()
        [-1.0, 0.0, 1.0]
    """
    return apply("sign", as_tensor(x))


@op
def square(x: Any) -> Any:
    """Multiplies each element by itself.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        Tensor of the shape and dtype of `x`, int32 for bool. Integers that do not fit wrap around.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.square([-3, 4]).tolist()
        [9, 16]
    """
    return apply("square", as_tensor(x))


@op
def sqrt(x: Any) -> Any:
    """Computes the square root of each element.

    The gradient at 0 is infinite.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; NaN for negative elements.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.sqrt([4.0, 2.25, -1.0]).tolist()
        [2.0, 1.5, nan]
    """
    return apply("sqrt", as_float(x))


@op
def reciprocal(x: Any) -> Any:
    """Computes 1 divided by each element.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; infinite for 0.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.reciprocal([4, 0]).tolist()
        [0.25, inf]
    """
    return apply("reciprocal", as_float(x))


@op
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """Limits each element to the range from `x_min` to `x_max`.

    The gradient is 1 within the range, bounds included, and 0 outside.

    Args:
        x: Tensor of any shape and dtype.
        x_min: Lower bound: a number, or a tensor whose shape broadcasts with that of `x`.
        x_max: Upper bound, of the same kind.

    Returns:
        Tensor of the broadcast shape, and of the common dtype of the three. NaN stays NaN. Where `x_min`
        exceeds `x_max`, the result is `x_max`.

    Raises:
        TypeError: An argument is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.clip([-2.0, 0.5, 3.0], 0.0, 1.0).tolist()
        [0.0, 0.5, 1.0]
    """
    x = as_tensor(x)
    numbers = isinstance(x_min, (int, float)) and isinstance(x_max, (int, float))
    if x.dtype in FLOATS and numbers and x_min <= x_max:
        return apply("clip", x, min=float(x_min), max=float(x_max))
    return apply("minimum", apply("maximum", x, x_min), x_max)
