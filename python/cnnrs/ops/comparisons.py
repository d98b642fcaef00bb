"""Comparisons and logic of elements, and the choice between them."""

from __future__ import annotations

import math
from typing import Any

from cnnrs.base.dtypes import FLOATS, largest
from cnnrs.ops.dispatch import apply, as_bool, as_float, as_floats, as_tensor, in_float32, op
from cnnrs.ops.values import true_places

__all__ = [
    "allclose",
    "equal",
    "greater",
    "greater_equal",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "nan_to_num",
    "not_equal",
    "where",
]


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
