"""Arithmetic, comparisons, logic and elementwise functions, with numpy's names and meaning."""

from __future__ import annotations

import math
from typing import Any

from cnnrs.base.arguments import integer
from cnnrs.base.dtypes import FLOATS, largest
from cnnrs.ops.dispatch import apply, as_bool, as_float, as_floats, as_tensor, in_float32, op
from cnnrs.ops.values import true_places

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
def equal(x1: Any, x2: Any) -> Any:
    """Tells element by element whether `x1` equals `x2`.

    The two are compared in their common dtype.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        bool tensor of the broadcast shape. NaN equals nothing, itself included.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.equal([1, 2, 3], 2).tolist()
        [False, True, False]
    """
    return apply("equal", x1, x2)


@op
def not_equal(x1: Any, x2: Any) -> Any:
    """Tells element by element whether `x1` differs from `x2`.

    The two are compared in their common dtype.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        bool tensor of the broadcast shape. NaN differs from everything, itself included.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.not_equal([1, 2, 3], 2).tolist()
        [True, False, True]
    """
    return apply("not_equal", x1, x2)


@op
def less(x1: Any, x2: Any) -> Any:
    """Tells element by element whether `x1` is less than `x2`.

    The two are compared in their common dtype.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        bool tensor of the broadcast shape. False where either is NaN.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.less([1, 2, 3], 2).tolist()
        [True, False, False]
    """
    return apply("less", x1, x2)


@op
def less_equal(x1: Any, x2: Any) -> Any:
    """Tells element by element whether `x1` is at most `x2`.

    The two are compared in their common dtype.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        bool tensor of the broadcast shape. False where either is NaN.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.less_equal([1, 2, 3], 2).tolist()
        [True, True, False]
    """
    return apply("less_equal", x1, x2)


@op
def greater(x1: Any, x2: Any) -> Any:
    """Tells element by element whether `x1` is greater than `x2`.

    The two are compared in their common dtype.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        bool tensor of the broadcast shape. False where either is NaN.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.greater([1, 2, 3], 2).tolist()
        [False, False, True]
    """
    return apply("greater", x1, x2)


@op
def greater_equal(x1: Any, x2: Any) -> Any:
    """Tells element by element whether `x1` is at least `x2`.

    The two are compared in their common dtype.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`.

    Returns:
        bool tensor of the broadcast shape. False where either is NaN.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.greater_equal([1, 2, 3], 2).tolist()
        [False, True, True]
    """
    return apply("greater_equal", x1, x2)


@op
def logical_and(x1: Any, x2: Any) -> Any:
    """Tells element by element whether both arguments are true.

    Args:
        x1: Tensor of any dtype; elements other than 0 are true, NaN among them.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`; read likewise.

    Returns:
        bool tensor of the broadcast shape.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.logical_and([True, True, False, False], [1, 0, 1, 0]).tolist()
        [True, False, False, False]
    """
    return apply("logical_and", as_bool(x1), as_bool(x2))


@op
def logical_or(x1: Any, x2: Any) -> Any:
    """Tells element by element whether at least one argument is true.

    Args:
        x1: Tensor of any dtype; elements other than 0 are true, NaN among them.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`; read likewise.

    Returns:
        bool tensor of the broadcast shape.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.logical_or([True, True, False, False], [1, 0, 1, 0]).tolist()
        [True, True, True, False]
    """
    return apply("logical_or", as_bool(x1), as_bool(x2))


@op
def logical_xor(x1: Any, x2: Any) -> Any:
    """Tells element by element whether exactly one argument is true.

    Args:
        x1: Tensor of any dtype; elements other than 0 are true, NaN among them.
        x2: Tensor of any dtype, whose shape broadcasts with that of `x1`; read likewise.

    Returns:
        bool tensor of the broadcast shape.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.logical_xor([True, True, False, False], [1, 0, 1, 0]).tolist()
        [False, True, True, False]
    """
    return apply("logical_xor", as_bool(x1), as_bool(x2))


@op
def logical_not(x: Any) -> Any:
    """Tells for each element whether it is false.

    Args:
        x: Tensor of any shape and dtype; elements other than 0 are true, NaN among them.

    Returns:
        bool tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.logical_not([True, False]).tolist(), ops.logical_not([0.0, 2.5]).tolist()
        ([False, True], [True, False])
    """
    return apply("logical_not", as_bool(x))


@op
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """Picks elements from `x1` where the condition holds, and from `x2` elsewhere.

    Each element's gradient flows only to the argument from which it was picked.

    Args:
        condition: Tensor of any dtype; elements other than 0 are true.
        x1: Tensor of any dtype; None, the default, to find the true elements: then values are read.
        x2: Tensor of any dtype, or None like `x1`. The three shapes broadcast.

    Returns:
        Tensor of the broadcast shape, and of the common dtype of `x1` and `x2`; without these, a tuple of
        int32 indices of the true elements, one for each axis.

    Raises:
        TypeError: An argument is not numeric.
        ValueError: The shapes do not broadcast, or one of `x1` and `x2` is missing.
        RuntimeError: A function is being recorded, and there are neither `x1` nor `x2`: indices of the true
            elements have no shape that is known beforehand.

    Example:
        >>> from cnnrs import ops
        >>> ops.where([True, False], [1, 2], [10, 20]).tolist()
        [1, 20]
    """
    if x1 is None and x2 is None:
        return true_places(condition, "where")
    if x1 is None or x2 is None:
        raise ValueError("where: expected both x1 and x2, or neither, received one of them")
    return apply("where", as_bool(condition), x1, x2)


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


@op
def isnan(x: Any) -> Any:
    """Tells for each element whether it is NaN.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        bool tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.isnan([1.0, float("nan"), float("inf")]).tolist()
        [False, True, False]
    """
    return apply("isnan", as_float(x))


@op
def isinf(x: Any) -> Any:
    """Tells for each element whether it is infinite, of either sign.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        bool tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.isinf([1.0, float("nan"), float("-inf")]).tolist()
        [False, False, True]
    """
    return apply("isinf", as_float(x))


@op
def isfinite(x: Any) -> Any:
    """Tells for each element whether it is neither infinite nor NaN.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        bool tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.isfinite([1.0, float("nan"), float("inf")]).tolist()
        [True, False, False]
    """
    return apply("isfinite", as_float(x))


@op
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """Replaces NaN and infinities by finite numbers.

    No gradient flows through the elements that are replaced.

    Args:
        x: Tensor of any shape and dtype.
        nan: What replaces NaN, 0 by default.
        posinf: What replaces infinity; None means the largest number of its type, for float32 3.4e38.
        neginf: What replaces minus infinity; None means the lowest number, for float32 -3.4e38.

    Returns:
        Tensor of the shape and dtype of `x`; integers and bools come back as they are.

    Raises:
        TypeError: An argument is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.nan_to_num([1.0, float("nan"), float("inf")], posinf=9.0).tolist()
        [1.0, 0.0, 9.0]
    """
    x = as_tensor(x)
    if x.dtype not in FLOATS:
        return x
    limit = largest(x.dtype)
    positive = limit if posinf is None else posinf
    lowest = -limit if neginf is None else neginf
    x = apply("where", apply("isnan", x), nan, x)
    x = apply("where", apply("equal", x, math.inf), positive, x)
    return apply("where", apply("equal", x, -math.inf), lowest, x)


@op
@in_float32
def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Tells element by element whether two tensors are equal up to a tolerance.

    Two elements are close if `abs(x1 - x2) <= atol + rtol * abs(x2)`, or if they are equal. Infinity is close
    to nothing but itself.

    Args:
        x1: Tensor; other dtypes are converted to float32.
        x2: Tensor, whose shape broadcasts with that of `x1`; converted likewise.
        rtol: Tolerance relative to the magnitude of `x2`, 1e-5 by default.
        atol: Absolute tolerance, 1e-8 by default.
        equal_nan: Whether NaN counts as close to NaN; by default it does not.

    Returns:
        bool tensor of the broadcast shape.

    Raises:
        TypeError: An argument is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.isclose([1.0, 1.0], [1.000001, 1.1]).tolist()
        [True, False]
    """
    x1, x2 = as_floats(x1, x2)
    near = apply(
        "less_equal",
        apply("abs", apply("sub", x1, x2)),
        apply("add", atol, apply("mul", rtol, apply("abs", x2))),
    )
    # Any distance is within a part of infinity.
    near = apply("logical_and", near, apply("isfinite", x2))
    near = apply("logical_or", near, apply("equal", x1, x2))
    if equal_nan:
        near = apply("logical_or", near, apply("logical_and", apply("isnan", x1), apply("isnan", x2)))
    return near


@op
def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Tells whether all elements of two tensors are equal up to a tolerance.

    `isclose` says which elements count as equal.

    Args:
        x1: Tensor; other dtypes are converted to float32.
        x2: Tensor, whose shape broadcasts with that of `x1`; converted likewise.
        rtol: Tolerance relative to the magnitude of `x2`, 1e-5 by default.
        atol: Absolute tolerance, 1e-8 by default.
        equal_nan: Whether NaN counts as close to NaN; by default it does not.

    Returns:
        bool tensor of shape ().

    Raises:
        TypeError: An argument is not numeric.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> bool(ops.allclose([1.0, 2.0], [1.0, 2.000001])), bool(ops.allclose([1.0, 2.0], [1.0, 2.1]))
        (True, False)
    """
    return apply("all", isclose(x1, x2, rtol, atol, equal_nan), axes=None, keepdims=False)


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
