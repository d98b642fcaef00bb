"""Roots and powers of magnitudes, whose gradients at 0 are 0 where the derivatives are infinite."""

from __future__ import annotations

from typing import Any

from cnnrs.ops.dispatch import apply

__all__ = ["power_of_magnitude", "root"]


def root(x: Any) -> Any:
    """The square root of a float tensor, as of a sum of squares: at 0 its gradient is 0.

    >>> from cnnrs import ops
    >>> root(ops.array([0.0, 4.0])).tolist()
    [0.0, 2.0]
    """
    return _beside_zero(x, lambda safe: apply("sqrt", safe), 0.0)


def power_of_magnitude(x: Any, exponent: float) -> Any:
    """`abs(x) ** exponent` of a float tensor, for an exponent other than 0: at 0 its gradient is 0.

    >>> from cnnrs import ops
    >>> power_of_magnitude(ops.array([0.0, -4.0]), 0.5).tolist()
    [0.0, 2.0]
    """
    at_zero = 0.0 if exponent > 0 else float("inf")
    return _beside_zero(apply("abs", x), lambda safe: apply("pow", safe, float(exponent)), at_zero)


def _beside_zero(x: Any, function: Any, at_zero: float) -> Any:
    """`function` of what is not 0, which never sees 0; `at_zero` elsewhere."""
    zero = apply("equal", x, 0.0)
    return apply("where", zero, at_zero, function(apply("where", zero, 1.0, x)))
