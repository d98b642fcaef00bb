"""Normalisation, norms and attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import config
from cnnrs.base.arguments import reject
from cnnrs.base.user_warnings import warn_user
from cnnrs.ops.dispatch import (
    apply,
    as_float,
    as_tensor,
    in_float32,
    op,
    standardize_axes,
    standardize_axis,
    standardize_keepdims,
)
from cnnrs.ops.roots import power_of_magnitude, root

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
@in_float32
def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:
    """Computes mean and variance over axes.

    The variance is `mean((x - mean)²)`: the sum is divided by the number of elements, not by one less.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        axes: The axis, or a sequence of axes; None means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.
        synchronized: False; there is one device.

    Returns:
        Pair of float32 tensors of the shape of `x` without the reduced axes, or with extent 1 there if
        `keepdims` is true.

    Raises:
        TypeError: `x` is not numeric, or an axis is no integer.
        ValueError: An axis is out of range or named twice, or `synchronized` is true; or `keepdims` is no
            bool.

    Example:
        >>> from cnnrs import ops
        >>> mean, variance = ops.moments([[1.0, 3.0], [5.0, 9.0]], axes=0)
        >>> mean.tolist(), variance.tolist()
        ([3.0, 6.0], [4.0, 9.0])
    """
    if synchronized:
        raise ValueError("moments: synchronized: expected False; there is one device")
    x = as_float(x)
    axes, keepdims = standardize_axes(axes, x.ndim, "axes"), standardize_keepdims(keepdims)
    return (
        apply("mean", x, axes=axes, keepdims=keepdims),
        apply("variance", x, axes=axes, keepdims=keepdims),
    )


@op
@in_float32
def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Any:
    """Normalizes each channel of a tensor by a given mean and variance.

    It is `(x - mean) / sqrt(variance + epsilon) * scale + offset` (Ioffe and Szegedy, arXiv:1502.03167).
    `moments` computes mean and variance of a batch.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        mean: Means, a tensor of one axis with the extent of `axis`.
        variance: Variances, of the same shape.
        axis: The axis of the channels.
        offset: What is added to each channel, of the same shape; None, the default, means 0.
        scale: Factor of each channel, of the same shape; None, the default, means 1.
        epsilon: A number >= 0 that keeps the root from 0, 1e-3 by default.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: An argument is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range, a shape does not fit, or `epsilon` is negative.

    Example:
        >>> from cnnrs import ops
        >>> x = [[1.0, 10.0], [3.0, 30.0]]
        >>> ops.batch_normalization(x, mean=[2.0, 20.0], variance=[1.0, 100.0], axis=-1, epsilon=0.0).tolist()
        [[-1.0, -1.0], [1.0, 1.0]]
    """
    x = as_float(x)
    axis = standardize_axis(axis, x.ndim)
    channels = x.shape[axis]
    for name, given in (("mean", mean), ("variance", variance), ("offset", offset), ("scale", scale)):
        if given is not None and tuple(as_tensor(given).shape) != (channels,):
            raise ValueError(
                f"batch_normalization: `{name}` must be a vector of length {channels}, the extent of axis "
                f"{axis}, received shape {as_tensor(given).shape}"
            )
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
    """Normalizes elements to mean 0 and variance 1 over axes.

    It is `(x - mean) / sqrt(variance + epsilon) * gamma + beta`, with mean and variance of `x` over `axis`
    (Ba et al., arXiv:1607.06450).

    Args:
        x: Tensor of at least one axis; other dtypes are converted to float32.
        gamma: Factors, a tensor whose shape is the extents of `axis`; None, the default, means 1.
        beta: What is added, of the same shape; None, the default, means 0.
        axis: The axis, or a sequence of axes, the last one by default; None means all.
        epsilon: A number >= 0 that keeps the root from 0; None, the default, means `config.epsilon()`.
        kwargs: `rms_scaling=True`, for files of older models: x is divided by its deviation and not shifted.
            Other arguments are refused.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: An argument is not numeric or not known, or an axis is no integer.
        ValueError: An axis is out of range or named twice, a shape does not fit, or `epsilon` is negative.

    Example:
        >>> from cnnrs import ops
        >>> ops.layer_normalization([[1.0, 3.0], [10.0, 30.0]], epsilon=0.0).tolist()
        [[-1.0, 1.0], [-1.0, 1.0]]
    """
    rms_scaling = kwargs.pop("rms_scaling", False)
    reject(layer_normalization, kwargs)
    x = as_float(x)
    axes = sorted(standardize_axes(axis, x.ndim) or range(x.ndim))
    limit = config.epsilon() if epsilon is None else float(epsilon)
    if rms_scaling:
        warn_user(
            "layer_normalization: You passed `rms_scaling=True`, which is deprecated: it divides by the "
            "deviation, not the root mean square. Use rms_normalization"
        )
        deviation = apply("add", apply("variance", x, axes=axes, keepdims=True), limit)
        y = apply("mul", x, apply("rsqrt", deviation))
        if gamma is None:
            return y
        extents = [n if a in axes else 1 for a, n in enumerate(x.shape)]
        return apply("mul", y, apply("reshape", as_float(gamma), shape=extents)).astype(x.dtype)
    shape = [x.shape[a] for a in axes]
    gamma = np.ones(shape, np.float32) if gamma is None else gamma
    beta = np.zeros(shape, np.float32) if beta is None else beta
    return apply("layer_norm", x, gamma, beta, axes=axes, epsilon=limit).astype(x.dtype)


@op
@in_float32
def rms_normalization(x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None) -> Any:
    """Divides elements by their root mean square over axes.

    It is `x / sqrt(mean(x²) + epsilon) * scale` (Zhang and Sennrich, arXiv:1910.07467).

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        scale: Factors, a tensor that broadcasts with `x`; None, the default, means 1.
        axis: The axis, or a sequence of axes, the last one by default; None means all.
        epsilon: A number that keeps the root from 0; None, the default, means `config.epsilon()`.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: An argument is not numeric, or an axis is no integer.
        ValueError: An axis is out of range or named twice, or the shape of `scale` does not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.rms_normalization([1.0, 7.0]).numpy().round(4))
        [0.2 1.4]
    """
    x = as_float(x)
    axes = standardize_axes(axis, x.ndim)
    square = apply("mean", apply("square", x), axes=axes, keepdims=True)
    y = apply(
        "mul",
        x,
        apply("rsqrt", apply("add", square, config.epsilon() if epsilon is None else float(epsilon))),
    )
    return y if scale is None else apply("mul", y, scale).astype(x.dtype)


@op
@in_float32
def normalize(x: Any, axis: Any = -1, order: float = 2, epsilon: float | None = None) -> Any:
    """Divides elements by their norm over axes.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        axis: The axis, or a sequence of axes, the last one by default; None means all.
        order: Order p of the norm `sum(abs(x)^p)^(1/p)`, a number > 0; 2 by default. `math.inf` means
            `max(abs(x))`.
        epsilon: The least number by which to divide; None, the default, means `config.epsilon()`.

    Returns:
        Float tensor of the shape and type of `x`, or float32 if it is no float. Its norm is 1, or less where
        that of `x` is below `epsilon`.

    Raises:
        TypeError: `x` is not numeric, or `epsilon` or an axis is of another type than said.
        ValueError: `order` is no number > 0, or an axis is out of range or named twice.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.normalize([3.0, 4.0]).numpy().round(4))
        [0.6 0.8]
        >>> ops.normalize([1.0, 3.0], order=1).tolist()
        [0.25, 0.75]
    """
    if not _is_number(order) or not order > 0:
        raise ValueError(f"normalize: order: expected a number > 0, received {order!r}")
    x = as_float(x)
    limit = config.epsilon() if epsilon is None else float(epsilon)
    axes = standardize_axes(axis, x.ndim)
    if order == 2:
        square = apply("sum", apply("square", x), axes=axes, keepdims=True)
        return apply("mul", x, apply("rsqrt", apply("maximum", square, limit * limit)))
    return apply("div", x, apply("maximum", _norm(x, order, axes, True), limit))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _norm(x: Any, order: float, axes: list[int] | None, keepdims: bool) -> Any:
    """The norm of vectors along axes; order 0 counts what differs from 0, as in numpy."""
    size = apply("abs", x)
    if order in (math.inf, -math.inf):
        return apply("max" if order > 0 else "min", size, axes=axes, keepdims=keepdims)
    if order == 0:
        return apply("sum", apply("not_equal", x, 0.0).astype(x.dtype), axes=axes, keepdims=keepdims)
    if order == 1:
        return apply("sum", size, axes=axes, keepdims=keepdims)
    powers = apply("sum", power_of_magnitude(x, order), axes=axes, keepdims=keepdims)
    return power_of_magnitude(powers, 1.0 / order)


@op
def rsqrt(x: Any) -> Any:
    """Computes 1 divided by the square root of each element.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`; infinite for 0, NaN for negative elements.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.rsqrt([4.0, 0.25, 0.0]).numpy().round(4))
        [0.5 2.  inf]
    """
    return apply("rsqrt", as_float(x))


@op
def erf(x: Any) -> Any:
    """Computes the error function of each element.

    It is `2 / sqrt(pi)` times the integral of `exp(-t²)` from 0 to `x` (Abramowitz and Stegun, equation
    7.1.1).

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`, between -1 and 1.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.erf([-1.0, 0.0, 1.0]).numpy().round(4))
        [-0.8427  0.      0.8427]
    """
    return apply("erf", as_float(x))


@op
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Computes the logarithm of the sum of exponentials over axes, without overflow.

    It is `log(sum(exp(x)))`, computed after the maximum is subtracted.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        float32 tensor of the shape of `x` without the reduced axes, or with extent 1 there if `keepdims` is
        true.

    Raises:
        TypeError: `x` is not numeric, or an axis is no integer.
        ValueError: An axis is out of range or named twice, or there are no elements to add up; or `keepdims`
            is no bool.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.logsumexp([[0.0, 0.0], [100.0, 100.0]], axis=1).numpy().round(4))
        [  0.6931 100.6931]
    """
    x = as_float(x)
    keepdims = standardize_keepdims(keepdims)
    return apply("logsumexp", x, axes=standardize_axes(axis, x.ndim), keepdims=keepdims)


@op
@in_float32
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Computes norms of vectors or matrices.

    The gradient is 0 where all elements are 0, and by an element that is 0 where the derivative is infinite.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        ord: None, the default, for `sqrt(sum(x²))`. Of vectors, along one axis, 2 for the same, 1 for
            `sum(abs(x))`, 0 for the number of elements that are not 0, `math.inf` for `max(abs(x))`,
            `-math.inf` for `min(abs(x))`, and other numbers p for `sum(abs(x)^p)^(1/p)`. Of matrices, along
            two axes, "fro" for the same as None, "nuc" for the sum of the singular values, 2 and -2 for the
            largest and the least, 1 and -1 for the largest and the least sum of the sizes in a column, and
            `math.inf` and `-math.inf` for those of rows.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        float32 tensor of the shape of `x` without the reduced axes, or with extent 1 there if `keepdims` is
        true.

    Raises:
        TypeError: `x` is not numeric, or an axis is no integer.
        ValueError: `ord` is none of the above for that many axes, an axis is out of range or named twice, or
            there are no elements for an infinite `ord`; or `keepdims` is no bool.

    Example:
        >>> import math
        >>> from cnnrs import ops
        >>> float(ops.norm([3.0, 4.0])), float(ops.norm([3.0, 4.0], ord=math.inf))
        (5.0, 4.0)
        >>> ops.norm([[3.0, 4.0], [0.0, 2.0]], ord=1, axis=1).tolist()
        [7.0, 2.0]
    """
    x, keepdims = as_float(x), standardize_keepdims(keepdims)
    axes = standardize_axes(axis, x.ndim)
    many = x.ndim if axes is None else len(axes)
    if many == 2 and ord is not None and ord != "fro":
        rows, columns = [0, 1] if axes is None else axes
        return _matrix_norm(x, ord, rows, columns, keepdims)
    if many > 1 and ord is not None and not (many == 2 and ord == "fro"):
        raise ValueError(f"norm: ord: expected None for a norm over {many} axes, received {ord!r}")
    if many == 1 and isinstance(ord, str):
        raise ValueError(f"norm: ord: expected None or a number for vectors, received {ord!r}")
    if ord in (None, "fro", 2):
        return root(apply("sum", apply("square", x), axes=axes, keepdims=keepdims))
    if not _is_number(ord) or ord != ord:
        raise ValueError(f"norm: ord: expected None, 'fro' or a number, received {ord!r}")
    return _norm(x, ord, axes, keepdims)


def _matrix_norm(x: Any, ord: Any, rows: int, columns: int, keepdims: bool) -> Any:
    rest = [a for a in range(x.ndim) if a not in (rows, columns)]
    if ord in (1, -1, math.inf, -math.inf) and not isinstance(ord, bool):
        # Sums of columns go down the rows.
        summed, compared = (rows, columns) if abs(ord) == 1 else (columns, rows)
        sums = apply("sum", apply("abs", x), axes=[summed], keepdims=True)
        y = apply("max" if ord > 0 else "min", sums, axes=[compared], keepdims=True)
        y = apply("reshape", y, shape=[x.shape[a] for a in rest])
    elif ord in ("nuc", 2, -2):
        values = apply("singular_values", apply("transpose", x, perm=[*rest, rows, columns]))
        y = apply({"nuc": "sum", 2: "max", -2: "min"}[ord], values, axes=[-1], keepdims=False)
    else:
        raise ValueError(
            "norm: ord: expected None, 'fro', 'nuc', 1, -1, 2, -2, inf or -inf for matrices, "
            f"received {ord!r}"
        )
    if keepdims:
        y = apply("reshape", y, shape=[1 if a in (rows, columns) else n for a, n in enumerate(x.shape)])
    return y


@op
@in_float32
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
    """Computes the values that queries find among keys, weighted by their similarity.

    It is `softmax(query · key * scale + bias) · value` (Vaswani et al., "Attention is all you need",
    arXiv:1706.03762, equation 1).

    Args:
        query: Tensor of shape (batch, queries, heads, depth); other dtypes are converted to float32.
        key: Tensor of shape (batch, keys, key heads, depth), converted likewise. Where there are fewer heads
            than of queries, whose number is a multiple, each serves as many neighbours among these
            (arXiv:2305.13245).
        value: Tensor of shape (batch, keys, key heads, value depth), converted likewise.
        bias: What is added to the scores, a tensor that broadcasts to (batch, heads, queries, keys); None,
            the default, for nothing.
        mask: Which keys a query may see, a tensor that broadcasts to (batch, heads, queries, keys); None, the
            default, for all. A query that may see none gives the mean of all values.
        scale: Factor of the scores; None, the default, means `1 / sqrt(depth)`.
        is_causal: Whether the query at position i may see only the keys up to position i; False by default.
        flash_attention: None or False; there is one form.
        attn_logits_soft_cap: Bound c of the scores, which become `c * tanh(scores / c)` before `bias` is
            added (arXiv:2408.00118, section 2); None, the default, for no bound.

    Returns:
        float32 tensor of shape (batch, queries, heads, value depth).

    Raises:
        TypeError: An argument is not numeric.
        ValueError: The shapes do not fit, or `flash_attention` is true.

    Example:
        >>> from cnnrs import ops
        >>> query = key = ops.zeros((1, 2, 1, 4))
        >>> value = ops.reshape(ops.array([2.0, 6.0]), (1, 2, 1, 1))
        >>> ops.ravel(ops.dot_product_attention(query, key, value)).tolist()
        [4.0, 4.0]
        >>> ops.ravel(ops.dot_product_attention(query, key, value, is_causal=True)).tolist()
        [2.0, 4.0]
    """
    if flash_attention:
        raise ValueError("dot_product_attention: flash_attention: expected None or False; there is one form")
    query, key, value = as_float(query), as_float(key), as_float(value)
    for name, given in (("query", query), ("key", key), ("value", value)):
        if given.ndim != 4:
            raise ValueError(
                f"dot_product_attention: {name}: expected shape (batch, length, heads, features), "
                f"received {given.shape}"
            )
    batch, queries, heads, depth = query.shape
    groups = key.shape[2]
    if value.shape[2] != groups or groups == 0 or heads % groups:
        raise ValueError(
            f"dot_product_attention: key, value: expected heads that divide the {heads} of query, received "
            f"{groups} and {value.shape[2]}"
        )
    factor = 1.0 / math.sqrt(depth) if scale is None else float(scale)
    # The one with fewer elements is scaled, and a query by what makes it, in passing.
    scales_query = depth <= key.shape[1]
    if scales_query:
        query = apply("mul", query, factor)
    query, key, value = (apply("transpose", t, perm=[0, 2, 1, 3]) for t in (query, key, value))
    if groups != heads:
        # The heads of a group are further queries of one head.
        query = apply("reshape", query, shape=[batch, groups, heads // groups * queries, depth])
    scores = apply("matmul", query, key, transpose_b=True)
    if not scales_query:
        scores = apply("mul", scores, factor)
    if groups != heads:
        scores = apply("reshape", scores, shape=[batch, heads, queries, key.shape[2]])
    if attn_logits_soft_cap is not None:
        scores = apply("mul", apply("tanh", apply("div", scores, attn_logits_soft_cap)), attn_logits_soft_cap)
    if bias is not None:
        scores = apply("add", scores, bias)
    if is_causal:
        causal = np.tri(scores.shape[-2], scores.shape[-1], dtype=bool)
        mask = causal if mask is None else apply("logical_and", as_tensor(mask), causal)
    if mask is not None:
        scores = apply("where", mask, scores, -1e9)
    weights = apply("softmax", scores, axis=3)
    if groups != heads:
        weights = apply("reshape", weights, shape=[batch, groups, heads // groups * queries, key.shape[2]])
    attended = apply("matmul", weights, value)
    if groups != heads:
        attended = apply("reshape", attended, shape=[batch, heads, queries, value.shape[-1]])
    return apply("transpose", attended, perm=[0, 2, 1, 3])
