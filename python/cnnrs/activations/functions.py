"""Activation functions: those of `cnnrs.ops`, some with the arguments and defaults of Keras."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.ops import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    swish,
    tanh,
    tanh_shrink,
    threshold,
)

__all__ = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]


def linear(x: Any) -> Any:
    """`x` itself."""
    return x


def exponential(x: Any) -> Any:
    """e to the power of x."""
    return ops.exp(x)


def gelu(x: Any, approximate: bool = False) -> Any:
    """`x` times the normal distribution's function of `x`, by erf, or by tanh if approximate."""
    return ops.gelu(x, approximate)


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """`x` above the threshold, elsewhere `negative_slope * (x - threshold)`; at most `max_value`."""
    if threshold == 0.0 and max_value is None:
        return ops.relu(x) if negative_slope == 0.0 else ops.leaky_relu(x, negative_slope)
    if threshold == 0.0 and max_value == 6.0 and negative_slope == 0.0:
        return ops.relu6(x)
    below = ops.multiply(ops.subtract(x, threshold), negative_slope) if negative_slope else 0.0
    kept = x if max_value is None else ops.minimum(x, max_value)
    # NaN is neither, and so kept.
    return ops.where(ops.less_equal(x, threshold), below, kept)
