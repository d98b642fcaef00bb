"""Bits of integers."""

from __future__ import annotations

from typing import Any

from cnnrs.ops.dispatch import apply, as_tensor
from cnnrs.ops.symbols import broadcast_of, op_of_shape, same_as

__all__ = [
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "gcd",
    "lcm",
    "left_shift",
    "right_shift",
]


@op_of_shape(broadcast_of)
def bitwise_and(x: Any, y: Any) -> Any:
    """Keeps the bits that both integers have.

    Args:
        x: Tensor of integers or bools.
        y: Tensor of integers or bools, whose shape broadcasts with that of `x`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype.

    Raises:
        TypeError: An argument holds floats.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.bitwise_and([12, 5], [10, 4]).tolist()
        [8, 4]
    """
    return apply("bit_and", x, y)


@op_of_shape(broadcast_of)
def bitwise_or(x: Any, y: Any) -> Any:
    """Keeps the bits that one of two integers has, or both.

    Args:
        x: Tensor of integers or bools.
        y: Tensor of integers or bools, whose shape broadcasts with that of `x`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype.

    Raises:
        TypeError: An argument holds floats.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.bitwise_or([12, 5], [10, 4]).tolist()
        [14, 5]
    """
    return apply("bit_or", x, y)


@op_of_shape(broadcast_of)
def bitwise_xor(x: Any, y: Any) -> Any:
    """Keeps the bits that one of two integers has, and not both.

    Args:
        x: Tensor of integers or bools.
        y: Tensor of integers or bools, whose shape broadcasts with that of `x`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype.

    Raises:
        TypeError: An argument holds floats.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.bitwise_xor([12, 5], [10, 4]).tolist()
        [6, 1]
    """
    return apply("bit_xor", x, y)


def _whole(x: Any) -> Any:
    """`x`, with bool as int32."""
    x = as_tensor(x) if hasattr(x, "dtype") else x
    return x.astype("int32") if getattr(x, "dtype", None) == "bool" else x


def _inverted(x: Any, name: str) -> Any:
    x = as_tensor(x)
    if x.dtype == "bool":
        return apply("logical_not", x)
    if "float" in x.dtype:
        raise TypeError(f"{name}: x: expected integers or bools, received {x.dtype}")
    return apply("sub", apply("neg", x), 1).astype(x.dtype)


@op_of_shape(same_as)
def bitwise_invert(x: Any) -> Any:
    """Inverts each bit.

    Args:
        x: Tensor of integers or bools.

    Returns:
        Tensor of the shape and dtype of `x`: -x - 1 for signed integers.

    Raises:
        TypeError: `x` holds floats.

    Example:
        >>> from cnnrs import ops
        >>> ops.bitwise_invert([0, 5, -1]).tolist()
        [-1, -6, 0]
    """
    return _inverted(x, "bitwise_invert")


@op_of_shape(same_as)
def bitwise_not(x: Any) -> Any:
    """Inverts each bit, as `bitwise_invert` does.

    Args:
        x: Tensor of integers or bools.

    Returns:
        Tensor of the shape and dtype of `x`: -x - 1 for signed integers.

    Raises:
        TypeError: `x` holds floats.

    Example:
        >>> from cnnrs import ops
        >>> ops.bitwise_not([True, False]).tolist()
        [False, True]
    """
    return _inverted(x, "bitwise_not")


@op_of_shape(broadcast_of)
def bitwise_left_shift(x: Any, y: Any) -> Any:
    """Moves the bits of `x` up by `y` places.

    Args:
        x: Tensor of integers.
        y: Tensor of integers, whose shape broadcasts with that of `x`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype; 0 where `y` is negative or at least
        the number of bits.

    Raises:
        TypeError: An argument holds floats.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.bitwise_left_shift([1, 3], [4, 1]).tolist()
        [16, 6]
    """
    return apply("shift_left", _whole(x), _whole(y))


@op_of_shape(broadcast_of)
def left_shift(x: Any, y: Any) -> Any:
    """Moves the bits of `x` up by `y` places, as `bitwise_left_shift` does.

    Args:
        x: Tensor of integers.
        y: Tensor of integers, whose shape broadcasts with that of `x`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype.

    Raises:
        TypeError: An argument holds floats.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.left_shift([1, 3], 2).tolist()
        [4, 12]
    """
    return apply("shift_left", _whole(x), _whole(y))


@op_of_shape(broadcast_of)
def bitwise_right_shift(x: Any, y: Any) -> Any:
    """Moves the bits of `x` down by `y` places; the sign stays.

    Args:
        x: Tensor of integers.
        y: Tensor of integers, whose shape broadcasts with that of `x`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype; 0, or -1 for negative `x`, where `y`
        is negative or at least the number of bits.

    Raises:
        TypeError: An argument holds floats.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.bitwise_right_shift([16, -5], [2, 1]).tolist()
        [4, -3]
    """
    return apply("shift_right", _whole(x), _whole(y))


@op_of_shape(broadcast_of)
def right_shift(x: Any, y: Any) -> Any:
    """Moves the bits of `x` down by `y` places, as `bitwise_right_shift` does.

    Args:
        x: Tensor of integers.
        y: Tensor of integers, whose shape broadcasts with that of `x`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype.

    Raises:
        TypeError: An argument holds floats.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.right_shift([16, 7], 2).tolist()
        [4, 1]
    """
    return apply("shift_right", _whole(x), _whole(y))


@op_of_shape(broadcast_of)
def gcd(x1: Any, x2: Any) -> Any:
    """Computes the greatest common divisor of integers.

    Args:
        x1: Tensor of integers.
        x2: Tensor of integers, whose shape broadcasts with that of `x1`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype, with numbers >= 0; 0 where both are
        0.

    Raises:
        TypeError: An argument holds floats.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.gcd([12, -9, 0], [18, 6, 5]).tolist()
        [6, 3, 5]
    """
    return apply("gcd", _whole(x1), _whole(x2))


@op_of_shape(broadcast_of)
def lcm(x1: Any, x2: Any) -> Any:
    """Computes the least common multiple of integers.

    Args:
        x1: Tensor of integers.
        x2: Tensor of integers, whose shape broadcasts with that of `x1`.

    Returns:
        Tensor of the broadcast shape and of the arguments' common dtype, with numbers >= 0; 0 where one is 0.

    Raises:
        TypeError: An argument holds floats.
        ValueError: The shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.lcm([4, -6, 0], [6, 4, 5]).tolist()
        [12, 12, 0]
    """
    x1, x2 = _whole(x1), _whole(x2)
    divisor = apply("gcd", x1, x2)
    quotient = apply("floor_div", apply("abs", x1), apply("maximum", divisor, 1))
    return apply("mul", quotient, apply("abs", x2)).astype(divisor.dtype)
