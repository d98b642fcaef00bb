"""Encodings of classes, and cross-entropies."""

from __future__ import annotations

from typing import Any

from cnnrs.base.dtypes import standardize_dtype
from cnnrs.base.user_warnings import warn_user
from cnnrs.ops.dispatch import apply, as_float, as_tensor, op, standardize_axis

__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "in_top_k",
    "multi_hot",
    "one_hot",
    "sparse_categorical_crossentropy",
]


@op
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    """1 at the index, 0 elsewhere, along a new axis."""
    if sparse:
        raise ValueError("one_hot: sparse: expected False; sparse tensors are not supported")
    x = as_tensor(x).astype("int32")
    result = apply("one_hot", x, depth=int(num_classes), dtype=standardize_dtype(dtype))
    place = standardize_axis(axis, result.ndim)
    if place == result.ndim - 1:
        return result
    perm = list(range(result.ndim - 1))
    perm.insert(place, result.ndim - 1)
    return apply("transpose", result, perm=perm)


@op
def multi_hot(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
    **kwargs: Any,
) -> Any:
    """1 at each of the indices along an axis, 0 elsewhere."""
    if kwargs or sparse or num_classes is None:
        raise ValueError("multi_hot: expected num_classes, and no sparse tensors")
    hot = one_hot(inputs, num_classes, -1, dtype)
    place = standardize_axis(axis, hot.ndim - 1)
    return apply("max", hot, axes=[place], keepdims=False)


@op
def in_top_k(targets: Any, predictions: Any, k: int) -> Any:
    """Whether fewer than `k` predictions are larger than the target's."""
    targets, predictions = as_tensor(targets).astype("int32"), as_float(predictions)
    classes = predictions.shape[-1]
    hot = apply("one_hot", targets, depth=classes, dtype="bool")
    own = apply("sum", apply("where", hot, predictions, 0.0), axes=[predictions.ndim - 1], keepdims=True)
    larger = apply("greater", predictions, own).astype("int32")
    return apply("less", apply("sum", larger, axes=[predictions.ndim - 1], keepdims=False), int(k))


_EPSILON = 1e-7


def _logits(output: Any, from_logits: bool) -> tuple[Any, bool]:
    if not hasattr(output, "_keras_logits"):
        return as_float(output), from_logits
    if not from_logits:
        return output._keras_logits, True
    warn_user(
        "cross-entropy: from_logits=True, but the predictions come out of a softmax or sigmoid, "
        "which is then applied twice; drop that activation, or pass from_logits=False",
    )
    return as_float(output), from_logits


@op
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """`-sum(target * log(output))` along an axis."""
    target = as_float(target)
    output, from_logits = _logits(output, from_logits)
    if target.shape != output.shape:
        raise ValueError(
            f"categorical_crossentropy: target {target.shape} and output {output.shape} must agree"
        )
    axis = standardize_axis(axis, output.ndim)
    if from_logits and axis == output.ndim - 1:
        return apply("softmax_cross_entropy", output, target)
    if from_logits:
        logs = apply("log_softmax", output, axis=axis)
    else:
        output = apply("div", output, apply("sum", output, axes=[axis], keepdims=True))
        logs = apply("log", apply("clip", output, min=_EPSILON, max=1.0 - _EPSILON))
    return apply("neg", apply("sum", apply("mul", target, logs), axes=[axis], keepdims=False))


@op
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """`-log(output[target])` along the last axis; targets are class indices."""
    target = as_tensor(target).astype("int32")
    output, from_logits = _logits(output, from_logits)
    if standardize_axis(axis, output.ndim) != output.ndim - 1:
        raise ValueError(f"sparse_categorical_crossentropy: axis: expected the last one, received {axis}")
    if target.ndim == output.ndim and target.shape[-1] == 1:
        target = apply("squeeze", target, axis=target.ndim - 1)
    if target.shape != output.shape[:-1]:
        raise ValueError(
            "sparse_categorical_crossentropy: target: "
            f"expected shape {output.shape[:-1]}, received {target.shape}"
        )
    if not from_logits:
        output = apply("log", apply("clip", output, min=_EPSILON, max=1.0 - _EPSILON))
    return apply("sparse_softmax_cross_entropy", output, target)


@op
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """`-target * log(output) - (1 - target) * log(1 - output)`."""
    target = as_float(target)
    output, from_logits = _logits(output, from_logits)
    if target.shape != output.shape:
        raise ValueError(f"binary_crossentropy: target {target.shape} and output {output.shape} must agree")
    if from_logits:
        return apply("sigmoid_cross_entropy", output, target)
    output = apply("clip", output, min=_EPSILON, max=1.0 - _EPSILON)
    positive = apply("mul", target, apply("log", output))
    negative = apply("mul", apply("sub", 1.0, target), apply("log", apply("sub", 1.0, output)))
    return apply("neg", apply("add", positive, negative))
