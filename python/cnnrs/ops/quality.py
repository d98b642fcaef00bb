"""How far signals are from each other."""

from __future__ import annotations

import math
from typing import Any

from cnnrs.base.arguments import number
from cnnrs.ops.dispatch import apply, as_float, in_float32, op

__all__ = ["psnr"]


@op
@in_float32
def psnr(x1: Any, x2: Any, max_val: float) -> Any:
    """Computes the peak signal-to-noise ratio: 20 log₁₀(max_val) - 10 log₁₀(mean((x1 - x2)²)).

    Args:
        x1: Tensor of any shape; other dtypes are converted to float32.
        x2: The tensor to compare with, of the same shape; converted likewise.
        max_val: The largest value that the signal may have, a number > 0.

    Returns:
        float32 tensor without axes, in decibels; infinity for equal tensors.

    Raises:
        TypeError: A tensor is not numeric.
        ValueError: The shapes differ, or `max_val` is no number > 0.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.psnr([0.0, 0.0], [0.1, -0.1], 1.0))
        20.0
    """
    a, b = as_float(x1), as_float(x2)
    if tuple(a.shape) != tuple(b.shape):
        raise ValueError(
            f"psnr: x1, x2: expected equal shapes, received {tuple(a.shape)} and {tuple(b.shape)}"
        )
    peak = 20.0 * math.log10(number(max_val, "psnr", "max_val", above=0))
    error = apply("mean", apply("square", a - b), axes=None, keepdims=False)
    return peak - apply("log", error) * (10.0 / math.log(10.0))
