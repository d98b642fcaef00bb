"""Ops on tensors as they are: one function for each op of the core that other folders record.

The functions of `cnnrs.ops` convert their arguments, take symbolic tensors and check what users may
get wrong. Each function here records one node and does nothing else. It takes tensors, variables, arrays
and numbers; axes and shapes are sequences of integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnrs import _core
from cnnrs._core import Tensor

__all__ = [
    "abs",
    "add",
    "all",
    "any",
    "argmax",
    "batch_norm",
    "batch_norm_inference",
    "broadcast_to",
    "ceil",
    "channel_stats",
    "clip",
    "cos",
    "dropout",
    "equal",
    "exp",
    "expand_dims",
    "floor",
    "gather",
    "log",
    "log1p",
    "max",
    "maximum",
    "mean",
    "minimum",
    "mod",
    "mul",
    "pow",
    "random_normal",
    "random_uniform",
    "relu",
    "reshape",
    "rsqrt",
    "scatter",
    "sigmoid",
    "sign",
    "softplus",
    "sqrt",
    "square",
    "squeeze",
    "stop_gradient",
    "sum",
    "where",
]


def abs(x: Any) -> Tensor:
    """|x|"""
    return _core.apply("abs", (x,))


def add(a: Any, b: Any) -> Tensor:
    """a + b."""
    return _core.apply("add", (a, b))


def all(x: Any, axes: Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Whether all elements along axes are true; None means all of them."""
    return _core.apply("all", (x,), {"axes": axes, "keepdims": keepdims})


def any(x: Any, axes: Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Whether any element along axes is true; None means all of them."""
    return _core.apply("any", (x,), {"axes": axes, "keepdims": keepdims})


def argmax(x: Any, axis: int) -> Tensor:
    """Index of the largest element along an axis."""
    return _core.apply("argmax", (x,), {"axis": axis})


def batch_norm(x: Any, gamma: Any, beta: Any, epsilon: float) -> Tensor:
    """Channels normalised by the statistics of the batch, scaled and shifted."""
    return _core.apply("batch_norm", (x, gamma, beta), {"epsilon": epsilon})


def batch_norm_inference(x: Any, mean: Any, variance: Any, gamma: Any, beta: Any, epsilon: float) -> Tensor:
    """Channels normalised by given statistics, scaled and shifted."""
    return _core.apply("batch_norm_inference", (x, mean, variance, gamma, beta), {"epsilon": epsilon})


def broadcast_to(x: Any, shape: Sequence[int]) -> Tensor:
    """x repeated along axes of extent 1."""
    return _core.apply("broadcast_to", (x,), {"shape": shape})


def ceil(x: Any) -> Tensor:
    """The least integer that is not less."""
    return _core.apply("ceil", (x,))


def channel_stats(x: Any) -> Tensor:
    """Mean and variance of each channel, the last axis."""
    return _core.apply("channel_stats", (x,))


def clip(x: Any, min: float, max: float) -> Tensor:
    """x within bounds."""
    return _core.apply("clip", (x,), {"min": min, "max": max})


def cos(x: Any) -> Tensor:
    """Cosine."""
    return _core.apply("cos", (x,))


def dropout(x: Any, key: Any, rate: float) -> Tensor:
    """A random part of the elements 0, the rest divided by 1 - rate."""
    return _core.apply("dropout", (x, key), {"rate": rate})


def equal(a: Any, b: Any) -> Tensor:
    """Whether a = b."""
    return _core.apply("equal", (a, b))


def exp(x: Any) -> Tensor:
    """e to the power of x."""
    return _core.apply("exp", (x,))


def expand_dims(x: Any, axis: int) -> Tensor:
    """x with a new axis of extent 1."""
    return _core.apply("expand_dims", (x,), {"axis": axis})


def floor(x: Any) -> Tensor:
    """The greatest integer that is not more."""
    return _core.apply("floor", (x,))


def gather(x: Any, indices: Any, axis: int) -> Tensor:
    """The slices of x along an axis at indices."""
    return _core.apply("gather", (x, indices), {"axis": axis})


def log(x: Any) -> Tensor:
    """Natural logarithm."""
    return _core.apply("log", (x,))


def log1p(x: Any) -> Tensor:
    """log(1 + x)."""
    return _core.apply("log1p", (x,))


def max(x: Any, axes: Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Maximum over axes; None means all of them."""
    return _core.apply("max", (x,), {"axes": axes, "keepdims": keepdims})


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of both."""
    return _core.apply("maximum", (a, b))


def mean(x: Any, axes: Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Mean over axes; None means all of them."""
    return _core.apply("mean", (x,), {"axes": axes, "keepdims": keepdims})


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of both."""
    return _core.apply("minimum", (a, b))


def mod(a: Any, b: Any) -> Tensor:
    """The remainder of a / b, with the sign of b."""
    return _core.apply("mod", (a, b))


def mul(a: Any, b: Any) -> Tensor:
    """a · b."""
    return _core.apply("mul", (a, b))


def pow(a: Any, b: Any) -> Tensor:
    """a to the power of b."""
    return _core.apply("pow", (a, b))


def random_normal(key: Any, shape: Sequence[int]) -> Tensor:
    """Draws of a normal distribution of mean 0 and deviation 1."""
    return _core.apply("random_normal", (key,), {"shape": shape})


def random_uniform(key: Any, shape: Sequence[int]) -> Tensor:
    """Draws of 0..1, the upper bound excluded."""
    return _core.apply("random_uniform", (key,), {"shape": shape})


def relu(x: Any) -> Tensor:
    """max(x, 0)."""
    return _core.apply("relu", (x,))


def reshape(x: Any, shape: Sequence[int]) -> Tensor:
    """The elements in another shape; one extent may be -1."""
    return _core.apply("reshape", (x,), {"shape": shape})


def rsqrt(x: Any) -> Tensor:
    """1 / √x."""
    return _core.apply("rsqrt", (x,))


def scatter(x: Any, indices: Any, shape: Sequence[int], axis: int = 0, kind: str = "add") -> Tensor:
    """Zeros of a shape, with which the slices of x are combined along an axis at indices."""
    return _core.apply("scatter", (x, indices), {"axis": axis, "shape": shape, "kind": kind})


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e^-x)."""
    return _core.apply("sigmoid", (x,))


def sign(x: Any) -> Tensor:
    """-1, 0 or 1."""
    return _core.apply("sign", (x,))


def softplus(x: Any) -> Tensor:
    """log(1 + e^x)."""
    return _core.apply("softplus", (x,))


def sqrt(x: Any) -> Tensor:
    """√x."""
    return _core.apply("sqrt", (x,))


def square(x: Any) -> Tensor:
    """x²."""
    return _core.apply("square", (x,))


def squeeze(x: Any, axis: int) -> Tensor:
    """x without an axis of extent 1."""
    return _core.apply("squeeze", (x,), {"axis": axis})


def stop_gradient(x: Any) -> Tensor:
    """x, through which no gradient flows."""
    return _core.apply("stop_gradient", (x,))


def sum(x: Any, axes: Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Sum over axes; None means all of them."""
    return _core.apply("sum", (x,), {"axes": axes, "keepdims": keepdims})


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """a where the condition holds, else b."""
    return _core.apply("where", (condition, a, b))
