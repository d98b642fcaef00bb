"""Encodings of classes, and cross-entropies."""

from __future__ import annotations

import builtins
from typing import Any

from cnnrs.base.arguments import integer
from cnnrs.base.dtypes import standardize_dtype
from cnnrs.base.user_warnings import warn_user
from cnnrs.config import epsilon
from cnnrs.ops.annotated import info_of
from cnnrs.ops.dispatch import apply, as_float, as_index, as_tensor, in_float32, op, standardize_axis

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
    """Encodes class indices as vectors that are 1 at the index and 0 elsewhere.

    Args:
        x: Class indices, a tensor of any shape; other dtypes are converted to int32.
        num_classes: Length of the vectors, an integer >= 0.
        axis: Where the new axis stands in the result; the last by default.
        dtype: Element type of the result, as `cast` takes it; None means float32.
        sparse: False; there are no sparse tensors.

    Returns:
        Tensor of the shape of `x` with an axis of extent `num_classes` added, and of type `dtype`. An index
        outside of 0 to `num_classes - 1` gives a vector of zeros.

    Raises:
        TypeError: `x` is not numeric, `axis` is no integer, or `dtype` is no known type.
        ValueError: `num_classes` is no integer >= 0, `axis` is out of range, or `sparse` is true.

    Example:
        >>> from cnnrs import ops
        >>> ops.one_hot([0, 2], 3).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if sparse:
        raise ValueError("one_hot: sparse: expected False; sparse tensors are not supported")
    return _one_hot("one_hot", x, num_classes, axis, dtype)


def _one_hot(name: str, x: Any, num_classes: Any, axis: Any, dtype: Any) -> Any:
    depth = integer(num_classes, name, "num_classes", least=0)
    result = apply("one_hot", as_index(x), depth=depth, dtype=standardize_dtype(dtype))
    return _with_last_axis_at(result, axis)


def _with_last_axis_at(x: Any, axis: Any) -> Any:
    place = standardize_axis(axis, x.ndim)
    if place == x.ndim - 1:
        return x
    perm = list(range(x.ndim - 1))
    perm.insert(place, x.ndim - 1)
    return apply("transpose", x, perm=perm)


@op
def multi_hot(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
    **kwargs: Any,
) -> Any:
    """Encodes sets of class indices as vectors that are 1 at each index and 0 elsewhere.

    Args:
        inputs: Class indices, a tensor of shape (sets, indices, ...), or (indices) for one set; other dtypes
            are converted to int32.
        num_classes: Length of the vectors, an integer >= 0; required.
        axis: Where the vectors stand in the result; along the last axis by default.
        dtype: Element type of the result, as `cast` takes it; None means float32.
        sparse: False; there are no sparse tensors.
        kwargs: None; older names of arguments are refused.

    Returns:
        Tensor of the shape of `inputs` without the axis of the indices and with one of extent `num_classes`,
        of type `dtype`. Indices outside of 0 to `num_classes - 1` have no effect, and indices that are
        repeated count once.

    Raises:
        TypeError: `inputs` is not numeric, `axis` is no integer, or `dtype` is no known type.
        ValueError: `num_classes` is missing or no integer >= 0, `axis` is out of range, there are no indices,
            `sparse` is true, or an unknown argument is given.

    Example:
        >>> from cnnrs import ops
        >>> ops.multi_hot([[0, 2], [1, 1]], 3).tolist()
        [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    if kwargs or sparse or num_classes is None:
        raise ValueError("multi_hot: expected num_classes, and no sparse tensors")
    inputs = as_tensor(inputs)
    if inputs.ndim == 0:
        raise ValueError("multi_hot: inputs: expected at least one axis, received shape ()")
    hot = _one_hot("multi_hot", inputs, num_classes, -1, dtype)
    hot = apply("max", hot, axes=[builtins.min(1, inputs.ndim - 1)], keepdims=False)
    return _with_last_axis_at(hot, axis)


@op
@in_float32
def in_top_k(targets: Any, predictions: Any, k: int) -> Any:
    """Tells whether fewer than `k` classes score higher than the target.

    Args:
        targets: Class indices, a tensor of shape (...); other dtypes are converted to int32.
        predictions: Scores, a tensor of shape (..., classes); other dtypes are converted to float32.
        k: How many of the best classes count, an integer.

    Returns:
        bool tensor of shape (...). Classes that tie with the target do not count against it. False where the
        target is no class, or a score is NaN.

    Raises:
        TypeError: `targets` or `predictions` is not numeric.
        ValueError: The shapes do not fit, `predictions` has no axis, or `k` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> scores = [[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]]
        >>> ops.in_top_k([2, 0], scores, k=2).tolist()
        [True, False]
    """
    targets, predictions = as_index(targets), as_float(predictions)
    k = integer(k, "in_top_k", "k")
    if predictions.ndim == 0 or predictions.shape[:-1] != targets.shape:
        raise ValueError(
            "in_top_k: predictions: expected the shape of targets and an axis of classes, "
            f"received {predictions.shape} for targets of shape {targets.shape}"
        )
    last = [predictions.ndim - 1]
    classes = predictions.shape[-1]
    hot = apply("one_hot", targets, depth=classes, dtype="bool")
    nan = apply("isnan", predictions)
    own = apply("sum", apply("where", hot, predictions, 0.0), axes=last, keepdims=True)
    larger = apply("greater", predictions, own).astype("int32")
    found = apply("less", apply("sum", larger, axes=last, keepdims=False), k)
    known = apply("logical_and", hot, apply("logical_not", apply("any", nan, axes=last, keepdims=True)))
    return apply("logical_and", found, apply("any", known, axes=last, keepdims=False))


def _logits(output: Any, from_logits: bool, function: str, axis: Any = None) -> tuple[Any, bool]:
    """What a cross-entropy reads, and whether it is logits.

    Args:
        output: Its argument.
        from_logits: Its argument.
        function: The activation whose logits it can read.
        axis: The axis of softmax.
    """
    known = info_of(output).logits
    if known is not None and from_logits:
        warn_user(
            f"cross-entropy: from_logits=True, but the predictions come out of a {known.function}, so that "
            "an activation is applied twice; drop that one, or pass from_logits=False",
        )
    output = as_float(output)
    if known is None or from_logits or known.function != function:
        return output, from_logits
    fits = axis is None or standardize_axis(axis, output.ndim) == known.axis
    return (known.tensor, True) if fits else (output, False)


@op
@in_float32
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Computes the cross-entropy of two distributions over classes along an axis.

    It is `-sum(target * log(output))`, for logits `-sum(target * log_softmax(output))`. The result of
    `softmax` over the same axis is not read, also if it has been reshaped, cut or moved since: its logits
    are. Warns if `from_logits` is true although `output` is the result of `softmax` or `sigmoid`, so that two
    activations are applied.

    Args:
        target: Probabilities of the classes, such as one-hot vectors; other dtypes are converted to float32.
        output: Predicted probabilities or logits, of the shape of `target`. Probabilities are divided by
            their sum.
        from_logits: Whether `output` holds logits rather than probabilities; by default it holds
            probabilities, which are kept between 1e-7 and 1 - 1e-7 before their logarithm is taken.
        axis: Axis of the classes, the last by default.

    Returns:
        float32 tensor of the shape of `target` without `axis`.

    Raises:
        TypeError: `target` or `output` is not numeric, or `axis` is no integer.
        ValueError: The shapes differ, or `axis` is out of range.

    Example:
        >>> from cnnrs import ops
        >>> loss = ops.categorical_crossentropy([[0.0, 1.0]], [[0.25, 0.75]])
        >>> print(loss.numpy().round(4))
        [0.2877]
    """
    target = as_float(target)
    output, from_logits = _logits(output, from_logits, "softmax", axis)
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
        logs = apply("log", apply("clip", output, min=epsilon(), max=1.0 - epsilon()))
    return apply("neg", apply("sum", apply("mul", target, logs), axes=[axis], keepdims=False))


@op
@in_float32
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Computes the cross-entropy of class indices and predicted distributions.

    It is `-log(output[target])`, for logits `-log_softmax(output)[target]`. The result of `softmax` over the
    last axis is not read, also if it has been reshaped, cut or moved since: its logits are. Warns if
    `from_logits` is true although `output` is the result of `softmax` or `sigmoid`, so that two activations
    are applied.

    Args:
        target: Class indices, a tensor of shape (...) or (..., 1); other dtypes are converted to int32.
        output: Predicted probabilities or logits, a tensor of shape (..., classes). Probabilities should sum
            to 1.
        from_logits: Whether `output` holds logits rather than probabilities; by default it holds
            probabilities, which are kept between 1e-7 and 1 - 1e-7 before their logarithm is taken.
        axis: Axis of the classes; only the last one is supported.

    Returns:
        float32 tensor of shape (...).

    Raises:
        TypeError: `target` or `output` is not numeric, or `axis` is no integer.
        ValueError: The shapes do not fit, `axis` is not the last, or a class index is outside of 0 to
            `classes - 1`. The last is found when the result is computed.

    Example:
        >>> from cnnrs import ops
        >>> loss = ops.sparse_categorical_crossentropy([1, 0], [[0.25, 0.75], [1.0, 0.0]])
        >>> print(loss.numpy().round(4))
        [0.2877 0.    ]
    """
    target = as_index(target)
    output, from_logits = _logits(output, from_logits, "softmax", axis)
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
        output = apply("log", apply("clip", output, min=epsilon(), max=1.0 - epsilon()))
    return apply("sparse_softmax_cross_entropy", output, target)


@op
@in_float32
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Computes the cross-entropy of independent yes-or-no labels, element by element.

    It is `-target * log(p) - (1 - target) * log(1 - p)`, where `p` is `output`, or its sigmoid for logits.
    The result of `sigmoid` is not read, also if it has been reshaped, cut or moved since: its logits are.
    Warns if `from_logits` is true although `output` is the result of `sigmoid` or `softmax`, so that two
    activations are applied.

    Args:
        target: Labels, 0, 1 or probabilities; other dtypes are converted to float32.
        output: Predicted probabilities or logits, of the shape of `target`.
        from_logits: Whether `output` holds logits rather than probabilities; by default it holds
            probabilities, which are kept between 1e-7 and 1 - 1e-7 before their logarithm is taken.

    Returns:
        float32 tensor of the shape of `target`.

    Raises:
        TypeError: `target` or `output` is not numeric.
        ValueError: The shapes differ.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.binary_crossentropy([1.0, 0.0], [0.5, 0.25]).numpy().round(4))
        [0.6931 0.2877]
    """
    target = as_float(target)
    output, from_logits = _logits(output, from_logits, "sigmoid")
    if target.shape != output.shape:
        raise ValueError(f"binary_crossentropy: target {target.shape} and output {output.shape} must agree")
    if from_logits:
        return apply("sigmoid_cross_entropy", output, target)
    output = apply("clip", output, min=epsilon(), max=1.0 - epsilon())
    positive = apply("mul", target, apply("log", output))
    negative = apply("mul", apply("sub", 1.0, target), apply("log", apply("sub", 1.0, output)))
    return apply("neg", apply("add", positive, negative))
