"""Normalisation, norms and attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs.base.arguments import reject
from cnnrs.ops.dispatch import (
    apply,
    as_float,
    as_tensor,
    op,
    standardize_axes,
    standardize_axis,
)

__all__ = [
    "batch_normalization",
    "dot_product_attention",
    "erf",
    "layer_normalization",
    "logsumexp",
    "moments",
    "norm",
    "normalize",
    "rms_normalization",
    "rsqrt",
]


@op
def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:
    """Mean and biased variance over axes."""
    if synchronized:
        raise ValueError("moments: synchronized: expected False; there is one device")
    x = as_float(x)
    axes = standardize_axes(axes, x.ndim, "axes")
    return (
        apply("mean", x, axes=axes, keepdims=bool(keepdims)),
        apply("variance", x, axes=axes, keepdims=bool(keepdims)),
    )


@op
def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Any:
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`, per element of `axis`."""
    x = as_float(x)
    axis = standardize_axis(axis, x.ndim)
    channels = x.shape[axis]
    gamma = np.ones(channels, np.float32) if scale is None else scale
    beta = np.zeros(channels, np.float32) if offset is None else offset
    perm = [a for a in range(x.ndim) if a != axis] + [axis]
    moved = x if axis == x.ndim - 1 else apply("transpose", x, perm=perm)
    y = apply("batch_norm_inference", moved, mean, variance, gamma, beta, epsilon=float(epsilon))
    return y if axis == x.ndim - 1 else apply("transpose", y, perm=[perm.index(a) for a in range(x.ndim)])


@op
def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None, **kwargs: Any
) -> Any:
    """Mean 0 and variance 1 over `axis`, then scaled by `gamma` and moved by `beta`."""
    reject(layer_normalization, kwargs)
    x = as_float(x)
    axes = sorted(standardize_axes(axis, x.ndim) or range(x.ndim))
    shape = [x.shape[a] for a in axes]
    gamma = np.ones(shape, np.float32) if gamma is None else gamma
    beta = np.zeros(shape, np.float32) if beta is None else beta
    return apply("layer_norm", x, gamma, beta, axes=axes, epsilon=1e-3 if epsilon is None else float(epsilon))


@op
def rms_normalization(x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None) -> Any:
    """Divided by the root of the mean square over `axis`."""
    x = as_float(x)
    axes = standardize_axes(axis, x.ndim)
    square = apply("mean", apply("square", x), axes=axes, keepdims=True)
    y = apply("mul", x, apply("rsqrt", apply("add", square, 1e-7 if epsilon is None else float(epsilon))))
    return y if scale is None else apply("mul", y, scale)


@op
def normalize(x: Any, axis: Any = -1, order: float = 2, epsilon: float | None = None) -> Any:
    """Divided by the norm of order `order` along an axis.

    Raises:
        ValueError: `order` is not positive.
    """
    if not order > 0:
        raise ValueError(f"normalize: order: expected a number > 0, received {order!r}")
    x = as_float(x)
    limit = 1e-7 if epsilon is None else float(epsilon)
    axes = standardize_axes(axis, x.ndim)
    if order == 2:
        square = apply("sum", apply("square", x), axes=axes, keepdims=True)
        return apply("mul", x, apply("rsqrt", apply("maximum", square, limit * limit)))
    powers = apply("pow", apply("abs", x), float(order))
    norm = apply("pow", apply("sum", powers, axes=axes, keepdims=True), 1.0 / order)
    return apply("div", x, apply("maximum", norm, limit))


@op
def rsqrt(x: Any) -> Any:
    """`1 / sqrt(x)`."""
    return apply("rsqrt", as_float(x))


@op
def erf(x: Any) -> Any:
    """Error function."""
    return apply("erf", as_float(x))


@op
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Logarithm of the sum of exponentials."""
    x = as_float(x)
    return apply("logsumexp", x, axes=standardize_axes(axis, x.ndim), keepdims=bool(keepdims))


@op
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Norm of vectors along one axis, or of the flat tensor: orders 1, 2, any other number, inf; "fro"."""
    x = as_float(x)
    axes = standardize_axes(axis, x.ndim)
    many = x.ndim if axes is None else len(axes)
    if many > 1 and ord not in (None, "fro"):
        raise ValueError(f"norm: ord: expected None or 'fro' for a norm over {many} axes, received {ord!r}")
    size = apply("abs", x)
    if ord in (None, "fro", 2):
        return apply("sqrt", apply("sum", apply("square", x), axes=axes, keepdims=keepdims))
    if ord == math.inf:
        return apply("max", size, axes=axes, keepdims=keepdims)
    if ord == 1:
        return apply("sum", size, axes=axes, keepdims=keepdims)
    return apply("pow", apply("sum", apply("pow", size, float(ord)), axes=axes, keepdims=keepdims), 1.0 / ord)


@op
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: Any = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    """Attention of shape (batch, positions, heads, depth): softmax(query · key * scale + bias) · value."""
    if flash_attention:
        raise ValueError("dot_product_attention: flash_attention: expected None or False; there is one form")
    query, key, value = (apply("transpose", as_float(t), perm=[0, 2, 1, 3]) for t in (query, key, value))
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
    scores = apply("mul", apply("matmul", query, key, transpose_b=True), factor)
    if attn_logits_soft_cap is not None:
        scores = apply("mul", apply("tanh", apply("div", scores, attn_logits_soft_cap)), attn_logits_soft_cap)
    if bias is not None:
        scores = apply("add", scores, bias)
    if is_causal:
        causal = np.tri(scores.shape[-2], scores.shape[-1], dtype=bool)
        mask = causal if mask is None else apply("logical_and", as_tensor(mask), causal)
    if mask is not None:
        scores = apply("where", mask, scores, -1e9)
    attended = apply("matmul", apply("softmax", scores, axis=3), value)
    return apply("transpose", attended, perm=[0, 2, 1, 3])
