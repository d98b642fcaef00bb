"""Activations that are put together of pieces, most of them straight."""

from __future__ import annotations

from typing import Any

from cnnrs.ops.dispatch import apply, as_float, in_float32, op

__all__ = [
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "soft_shrink",
    "sparse_plus",
    "sparse_sigmoid",
    "threshold",
]


@op
def hard_sigmoid(x: Any) -> Any:
    """Applies the piecewise linear approximation of the sigmoid.

    It is `relu6(x + 3) / 6` (Howard et al., "Searching for MobileNetV3", arXiv:1905.02244). The gradient is 0
    at -3 and 1/6 at 3.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`, between 0 and 1.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.hard_sigmoid([-4.0, 0.0, 1.5, 4.0]).tolist()
        [0.0, 0.5, 0.75, 1.0]
    """
    return apply("hard_sigmoid", as_float(x))


@op
def hard_silu(x: Any) -> Any:
    """Applies the piecewise approximation of the sigmoid linear unit.

    It is `x * relu6(x + 3) / 6` (Howard et al., "Searching for MobileNetV3", arXiv:1905.02244). The gradient
    is 0 at -3 and 1.5 at 3. `hard_swish` is another name for it.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.hard_silu([0.0, 1.5, 4.0]).tolist()
        [0.0, 1.125, 4.0]
    """
    return apply("hard_silu", as_float(x))


@op
def hard_swish(x: Any) -> Any:
    """Applies the piecewise approximation of the sigmoid linear unit.

    It is `x * relu6(x + 3) / 6` (Howard et al., "Searching for MobileNetV3", arXiv:1905.02244). The gradient
    is 0 at -3 and 1.5 at 3. `hard_silu` is another name for it.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.hard_swish([0.0, 1.5, 4.0]).tolist()
        [0.0, 1.125, 4.0]
    """
    return apply("hard_silu", as_float(x))


@op
def hard_tanh(x: Any) -> Any:
    """Limits each element to the range from -1 to 1.

    It is `clip(x, -1, 1)`. The gradient is 1 at -1 and at 1.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`, between -1 and 1.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.hard_tanh([-2.0, 0.5, 2.0]).tolist()
        [-1.0, 0.5, 1.0]
    """
    return apply("clip", as_float(x), min=-1.0, max=1.0)


@op
@in_float32
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Sets elements of small magnitude to 0.

    It is `x` where `abs(x)` exceeds the threshold, and 0 elsewhere: hard thresholding of Donoho and
    Johnstone, "Ideal spatial adaptation by wavelet shrinkage" (1994). The gradient at the threshold is 0. NaN
    stays NaN.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        threshold: The largest magnitude that becomes 0, 0.5 by default.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric, or `threshold` is no number.
        ValueError: `threshold` is text that does not read as a number.

    Example:
        >>> from cnnrs import ops
        >>> ops.hard_shrink([-2.0, -0.5, 0.25, 1.0]).tolist()
        [-2.0, 0.0, 0.0, 1.0]
    """
    x = as_float(x)
    # A comparison with NaN does not hold, and so NaN is kept.
    return apply("where", apply("less_equal", apply("abs", x), float(threshold)), 0.0, x)


@op
@in_float32
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Moves each element towards 0 by a threshold.

    It is `x - clip(x, -threshold, threshold)`: soft thresholding of Donoho and Johnstone, "Ideal spatial
    adaptation by wavelet shrinkage" (1994). The gradient at the threshold is 0.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        threshold: The amount, and the largest magnitude that becomes 0; 0.5 by default, not negative.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric, or `threshold` is no number.
        ValueError: `threshold` is negative, or text that does not read as a number.

    Example:
        >>> from cnnrs import ops
        >>> ops.soft_shrink([-2.0, -0.5, 0.25, 1.0]).tolist()
        [-1.5, 0.0, 0.0, 0.5]
    """
    x = as_float(x)
    return apply("sub", x, apply("clip", x, min=-float(threshold), max=float(threshold)))


@op
@in_float32
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """Replaces elements that do not exceed a threshold by a constant.

    No gradient flows through the elements that are replaced. NaN stays NaN.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        threshold: The largest number that is replaced.
        default_value: What replaces it.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric, or `threshold` or `default_value` is no number.
        ValueError: `threshold` or `default_value` is text that does not read as a number.

    Example:
        >>> from cnnrs import ops
        >>> ops.threshold([-1.0, 2.0, 3.0], 2.0, 0.0).tolist()
        [0.0, 0.0, 3.0]
    """
    x = as_float(x)
    # A comparison with NaN does not hold, and so NaN is kept.
    return apply("where", apply("less_equal", x, float(threshold)), float(default_value), x)


@op
@in_float32
def sparse_plus(x: Any) -> Any:
    """Computes the form of softplus that is exactly 0 for elements up to -1.

    It is 0 up to -1, `(x + 1)² / 4` from there to 1, and `x` above. Its derivative is `sparse_sigmoid`.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.sparse_plus([-2.0, 0.0, 1.0, 2.0]).tolist()
        [0.0, 0.25, 1.0, 2.0]
    """
    x = as_float(x)
    middle = apply("mul", apply("square", apply("add", x, 1.0)), 0.25)
    return apply("where", apply("less_equal", x, -1.0), 0.0, apply("where", apply("less", x, 1.0), middle, x))


@op
@in_float32
def sparse_sigmoid(x: Any) -> Any:
    """Computes the piecewise linear sigmoid that is exactly 0 up to -1 and 1 from 1 on.

    It is `clip((x + 1) / 2, 0, 1)`. The gradient is 1/2 at -1 and at 1.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`, between 0 and 1.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.sparse_sigmoid([-2.0, 0.0, 0.5, 2.0]).tolist()
        [0.0, 0.5, 0.75, 1.0]
    """
    return apply("clip", apply("mul", apply("add", as_float(x), 1.0), 0.5), min=0.0, max=1.0)
