"""Activations: elementwise functions, softmax and gated units."""

from __future__ import annotations

from typing import Any

from cnnrs.ops.dispatch import (
    apply,
    as_float,
    op,
    standardize_axes,
    standardize_axis,
)

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
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
    "squareplus",
    "swish",
    "tanh_shrink",
    "threshold",
]


@op
def relu(x: Any) -> Any:
    """`max(x, 0)`."""
    return apply("relu", as_float(x))


@op
def relu6(x: Any) -> Any:
    """`min(max(x, 0), 6)`."""
    return apply("relu6", as_float(x))


@op
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """`x` where positive, `negative_slope * x` elsewhere."""
    return apply("leaky_relu", as_float(x), negative_slope=float(negative_slope))


@op
def elu(x: Any, alpha: float = 1.0) -> Any:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere."""
    return apply("elu", as_float(x), alpha=float(alpha))


@op
def selu(x: Any) -> Any:
    """Scaled elu with the constants of Klambauer et al. (2017)."""
    return apply("selu", as_float(x))


@op
def celu(x: Any, alpha: float = 1.0) -> Any:
    """`x` where positive, `alpha * (exp(x / alpha) - 1)` elsewhere."""
    return apply("celu", as_float(x), alpha=float(alpha))


@op
def gelu(x: Any, approximate: bool = True) -> Any:
    """`x` times the normal distribution's function of `x`, by tanh if approximate, else by erf."""
    return apply("gelu", as_float(x), approximate=bool(approximate))


@op
def silu(x: Any) -> Any:
    """`x * sigmoid(x)`."""
    return apply("silu", as_float(x))


@op
def swish(x: Any) -> Any:
    """`x * sigmoid(x)`."""
    return apply("silu", as_float(x))


@op
def mish(x: Any) -> Any:
    """`x * tanh(softplus(x))`."""
    return apply("mish", as_float(x))


@op
def hard_sigmoid(x: Any) -> Any:
    """`relu6(x + 3) / 6`."""
    return apply("hard_sigmoid", as_float(x))


@op
def hard_silu(x: Any) -> Any:
    """`x * relu6(x + 3) / 6`."""
    return apply("hard_silu", as_float(x))


@op
def hard_swish(x: Any) -> Any:
    """`x * relu6(x + 3) / 6`."""
    return apply("hard_silu", as_float(x))


@op
def hard_tanh(x: Any) -> Any:
    """`x` limited to -1 to 1."""
    return apply("clip", as_float(x), min=-1.0, max=1.0)


@op
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """`x` where its magnitude is above the threshold, 0 elsewhere."""
    x = as_float(x)
    return apply("where", apply("greater", apply("abs", x), float(threshold)), x, 0.0)


@op
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """`x` moved towards 0 by the threshold."""
    x = as_float(x)
    return apply("sub", x, apply("clip", x, min=-float(threshold), max=float(threshold)))


@op
def tanh_shrink(x: Any) -> Any:
    """`x - tanh(x)`."""
    return apply("tanh_shrink", as_float(x))


@op
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """`x` where it is above the threshold, `default_value` elsewhere."""
    x = as_float(x)
    return apply("where", apply("greater", x, float(threshold)), x, float(default_value))


@op
def softplus(x: Any) -> Any:
    """`log(1 + exp(x))`."""
    return apply("softplus", as_float(x))


@op
def softsign(x: Any) -> Any:
    """`x / (1 + abs(x))`."""
    return apply("softsign", as_float(x))


@op
def log_sigmoid(x: Any) -> Any:
    """`log(sigmoid(x))`."""
    return apply("log_sigmoid", as_float(x))


@op
def squareplus(x: Any, b: float = 4) -> Any:
    """`(x + sqrt(x² + b)) / 2`."""
    x = as_float(x)
    return apply("mul", apply("add", x, apply("sqrt", apply("add", apply("square", x), float(b)))), 0.5)


@op
def sparse_plus(x: Any) -> Any:
    """0 up to -1, `(x + 1)² / 4` up to 1, `x` above."""
    x = as_float(x)
    middle = apply("mul", apply("square", apply("add", x, 1.0)), 0.25)
    return apply("where", apply("less_equal", x, -1.0), 0.0, apply("where", apply("less", x, 1.0), middle, x))


@op
def sparse_sigmoid(x: Any) -> Any:
    """0 up to -1, `(x + 1) / 2` up to 1, 1 above."""
    return apply("clip", apply("mul", apply("add", as_float(x), 1.0), 0.5), min=0.0, max=1.0)


@op
def glu(x: Any, axis: int = -1) -> Any:
    """The first half along an axis times the sigmoid of the second."""
    x = as_float(x)
    axis = standardize_axis(axis, x.ndim)
    if x.shape[axis] % 2:
        raise ValueError(f"glu: axis: expected an even extent, received {x.shape[axis]} in shape {x.shape}")
    index: list[Any] = [slice(None)] * x.ndim
    index[axis] = slice(0, x.shape[axis] // 2)
    first = x[tuple(index)]
    index[axis] = slice(x.shape[axis] // 2, None)
    return apply("mul", first, apply("sigmoid", x[tuple(index)]))


@op
def sigmoid(x: Any) -> Any:
    """`1 / (1 + exp(-x))`. The result remembers its logits for a cross-entropy that follows."""
    logits = as_float(x)
    result = apply("sigmoid", logits)
    result._keras_logits = logits
    return result


@op
def softmax(x: Any, axis: Any = -1) -> Any:
    """Exponentials divided by their sum along an axis (or axes). The result remembers its logits."""
    logits = as_float(x)
    if isinstance(axis, (list, tuple)):
        return _over_axes("softmax", logits, axis)
    result = apply("softmax", logits, axis=standardize_axis(axis, logits.ndim))
    if standardize_axis(axis, logits.ndim) == logits.ndim - 1:
        result._keras_logits = logits
    return result


@op
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """Logarithm of the softmax."""
    x = as_float(x)
    if isinstance(axis, (list, tuple)):
        return _over_axes("log_softmax", x, axis)
    return apply("log_softmax", x, axis=standardize_axis(axis, x.ndim))


def _over_axes(name: str, x: Any, axes: Any) -> Any:
    joined = standardize_axes(axes, x.ndim) or []
    kept = [a for a in range(x.ndim) if a not in joined]
    perm = kept + joined
    moved = apply("transpose", x, perm=perm)
    flat = apply("reshape", moved, shape=[x.shape[a] for a in kept] + [-1])
    result = apply("reshape", apply(name, flat, axis=flat.ndim - 1), shape=list(moved.shape))
    return apply("transpose", result, perm=[perm.index(a) for a in range(x.ndim)])
