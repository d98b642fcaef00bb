"""`tf.nn`: activations, normalization, losses and lookups; convolutions and pooling stand in `convolutions`.

>>> import cnnrs.compat.tf as tf
>>> tf.nn.leaky_relu(tf.constant([-1.0, 2.0])).numpy().tolist(), tf.nn.l2_loss(tf.ones(4)).numpy().item()
([-0.20000000298023224, 2.0], 2.0)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.compat.tf import convolutions as _convolutions
from cnnrs.compat.tf.arguments import alike, as_float, axis_of, boolean, integer, numbers, tensor
from cnnrs.compat.tf.convolutions import *  # noqa: F403 - the namespace is their union
from cnnrs.compat.tf.convolutions import channels_first
from cnnrs.compat.tf.elementwise import log_sigmoid as _log_sigmoid
from cnnrs.compat.tf.elementwise import sigmoid, softplus, softsign, tanh
from cnnrs.compat.tf.namespaces import operation, unknown
from cnnrs.compat.tf.reductions import in_top_k, l2_normalize, top_k, zero_fraction

__all__ = [
    *_convolutions.__all__,
    "batch_normalization",
    "bias_add",
    "compute_average_loss",
    "crelu",
    "ctc_loss",
    "depth_to_space",
    "dropout",
    "elu",
    "embedding_lookup",
    "gelu",
    "in_top_k",
    "l2_loss",
    "l2_normalize",
    "leaky_relu",
    "local_response_normalization",
    "log_poisson_loss",
    "log_sigmoid",
    "log_softmax",
    "lrn",
    "moments",
    "relu",
    "relu6",
    "scale_regularization_loss",
    "selu",
    "sigmoid",
    "sigmoid_cross_entropy_with_logits",
    "silu",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "softplus",
    "softsign",
    "space_to_depth",
    "sparse_softmax_cross_entropy_with_logits",
    "swish",
    "tanh",
    "top_k",
    "weighted_cross_entropy_with_logits",
    "weighted_moments",
    "zero_fraction",
]

log_sigmoid = _log_sigmoid


@operation
def relu(features: Any) -> Any:
    """max(x, 0)."""
    x = tensor(features)
    return ops.nn.relu(x) if x.dtype.is_floating else ops.maximum(x, 0)


@operation
def relu6(features: Any) -> Any:
    """min(max(x, 0), 6)."""
    return ops.nn.relu6(as_float(features, "nn.relu6"))


@operation
def leaky_relu(features: Any, alpha: float = 0.2) -> Any:
    """x where it is positive, else alpha · x."""
    return ops.nn.leaky_relu(as_float(features, "nn.leaky_relu"), alpha)


@operation
def elu(features: Any) -> Any:
    """x where it is positive, else e^x - 1."""
    return ops.nn.elu(as_float(features, "nn.elu"))


@operation
def selu(features: Any) -> Any:
    """The scaled exponential unit."""
    return ops.nn.selu(as_float(features, "nn.selu"))


@operation
def crelu(features: Any, axis: Any = -1) -> Any:
    """The positive parts of x and of -x, one behind the other along an axis."""
    x = as_float(features, "nn.crelu")
    return ops.nn.relu(ops.concatenate([x, -x], axis=axis_of(axis, x.ndim, "nn.crelu")))


@operation
def gelu(features: Any, approximate: bool = False) -> Any:
    """x times the normal distribution of x, or its approximation by tanh."""
    return ops.nn.gelu(as_float(features, "nn.gelu"), boolean(approximate, "nn.gelu", "approximate"))


@operation
def silu(features: Any, beta: Any = 1.0) -> Any:
    """x · sigmoid(beta · x)."""
    x, factor = alike("nn.silu", as_float(features, "nn.silu"), beta)
    return ops.nn.silu(x) if isinstance(beta, float) and beta == 1.0 else x * ops.nn.sigmoid(factor * x)


swish = silu


@operation
def softmax(logits: Any, axis: Any = None) -> Any:
    """e^x of the logits, divided by their sum along an axis, the last by default."""
    x = as_float(logits, "nn.softmax")
    return ops.nn.softmax(x, axis=axis_of(-1 if axis is None else axis, x.ndim, "nn.softmax"))


@operation
def log_softmax(logits: Any, axis: Any = None) -> Any:
    """The logarithm of `softmax`."""
    x = as_float(logits, "nn.log_softmax")
    return ops.nn.log_softmax(x, axis=axis_of(-1 if axis is None else axis, x.ndim, "nn.log_softmax"))


@operation
def bias_add(value: Any, bias: Any, data_format: Any = None) -> Any:
    """A number for each channel added."""
    x, b = alike("nn.bias_add", value, bias)
    if channels_first(data_format, "nn.bias_add"):
        b = ops.reshape(b, (-1, *[1] * (x.ndim - 2)))
    return x + b


@operation
def dropout(x: Any, rate: Any, noise_shape: Any = None, seed: Any = None) -> Any:
    """Random elements 0, and the others divided by 1 - rate.

    Args:
        x: A tensor of floats.
        rate: The part that becomes 0, of 0 to 1.
        noise_shape: Extents of 1 where one draw serves a whole axis.
        seed: Integer, or None for the generator of the process.
    """
    from cnnrs import random as draws
    from cnnrs.compat.tf.random import source

    value = as_float(x, "nn.dropout")
    part = float(np.asarray(rate))
    if not 0 <= part < 1:
        raise ValueError(f"tf.nn.dropout: rate: expected a number of 0 to 1, received {part}")
    if part == 0:
        return value
    shape = None if noise_shape is None else tuple(numbers(noise_shape, "nn.dropout", "noise_shape"))
    return draws.dropout(value, part, noise_shape=shape, seed=source(seed, "dropout"))


@operation
def l2_loss(t: Any) -> Any:
    """Half of the sum of squares."""
    return ops.sum(ops.square(as_float(t, "nn.l2_loss"))) / 2


def _along(axes: Any, rank: int, function: str) -> tuple[int, ...]:
    return tuple(axis_of(a, rank, function) for a in numbers(axes, function, "axes"))


@operation
def moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False) -> tuple[Any, Any]:
    """Mean and variance along axes; `shift` is None."""
    if shift is not None:
        raise ValueError("tf.nn.moments: shift: expected None; the mean is what is subtracted")
    value = as_float(x, "nn.moments")
    return ops.nn.moments(
        value, _along(axes, value.ndim, "nn.moments"), boolean(keepdims, "nn.moments", "keepdims")
    )


@operation
def weighted_moments(x: Any, axes: Any, frequency_weights: Any, keepdims: bool = False) -> tuple[Any, Any]:
    """Mean and variance along axes, of elements with weights."""
    value, weights = alike("nn.weighted_moments", as_float(x, "nn.weighted_moments"), frequency_weights)
    along = _along(axes, value.ndim, "nn.weighted_moments")
    weights = ops.broadcast_to(weights, tuple(value.shape))
    total = ops.sum(weights, along, True)
    mean = ops.sum(weights * value, along, True) / total
    variance = ops.sum(weights * ops.square(value - mean), along, True) / total
    if boolean(keepdims, "nn.weighted_moments", "keepdims"):
        return mean, variance
    return ops.squeeze(mean, along), ops.squeeze(variance, along)


@operation
def batch_normalization(
    x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: Any
) -> Any:
    """(x - mean) / √(variance + epsilon), times scale, plus offset; both may be None."""
    factor = ops.nn.rsqrt(tensor(variance) + variance_epsilon)
    factor = factor if scale is None else factor * tensor(scale)
    shift = -tensor(mean) * factor
    return as_float(x, "nn.batch_normalization") * factor + (
        shift if offset is None else tensor(offset) + shift
    )


@operation
def local_response_normalization(
    input: Any, depth_radius: int = 5, bias: float = 1, alpha: float = 1, beta: float = 0.5
) -> Any:
    """x / (bias + alpha · Σx²)^beta, the sum over so many channels on both sides (Krizhevsky 2012)."""
    x = as_float(input, "nn.lrn")
    reach = integer(depth_radius, "nn.lrn", "depth_radius")
    channels = x.shape[-1]
    near = np.abs(np.arange(channels)[:, None] - np.arange(channels)) <= reach
    total = ops.matmul(ops.square(x), near.astype(x.dtype.name))
    return x / ops.power(bias + alpha * total, beta)


lrn = local_response_normalization


@operation
def depth_to_space(input: Any, block_size: int, data_format: str = "NHWC") -> Any:
    """Channels spread over blocks of pixels."""
    kind = "channels_first" if channels_first(data_format, "nn.depth_to_space") else "channels_last"
    return ops.nn.depth_to_space(tensor(input), block_size, kind)


@operation
def space_to_depth(input: Any, block_size: int, data_format: str = "NHWC") -> Any:
    """Blocks of pixels gathered in channels."""
    kind = "channels_first" if channels_first(data_format, "nn.space_to_depth") else "channels_last"
    return ops.nn.space_to_depth(tensor(input), block_size, kind)


@operation
def softmax_cross_entropy_with_logits(labels: Any, logits: Any, axis: Any = -1) -> Any:
    """-Σ labels · log_softmax(logits) along an axis."""
    z, y = alike("nn.softmax_cross_entropy_with_logits", as_float(logits, "nn.softmax_cross_entropy"), labels)
    place = axis_of(axis, z.ndim, "nn.softmax_cross_entropy_with_logits")
    return -ops.sum(y * ops.nn.log_softmax(z, axis=place), axis=place)


@operation
def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any) -> Any:
    """-log_softmax(logits) of the class that each label names, along the last axis."""
    z = as_float(logits, "nn.sparse_softmax_cross_entropy_with_logits")
    y = tensor(labels)
    if y.dtype.is_floating or tuple(y.shape) != tuple(z.shape[:-1]):
        raise ValueError(
            f"tf.nn.sparse_softmax_cross_entropy_with_logits: expected integers of shape "
            f"{tuple(z.shape[:-1])} as labels, received {y.dtype.name}{tuple(y.shape)}"
        )
    return ops.nn.sparse_categorical_crossentropy(y, z, from_logits=True)


@operation
def sigmoid_cross_entropy_with_logits(labels: Any = None, logits: Any = None) -> Any:
    """-(labels · log(p) + (1 - labels) · log(1 - p)) for p = sigmoid(logits), element by element."""
    z, y = alike("nn.sigmoid_cross_entropy_with_logits", as_float(logits, "nn.sigmoid_cross_entropy"), labels)
    if tuple(z.shape) != tuple(y.shape):
        raise ValueError(
            f"tf.nn.sigmoid_cross_entropy_with_logits: expected labels of shape {tuple(z.shape)}, received "
            f"{tuple(y.shape)}"
        )
    return ops.nn.relu(z) - z * y + ops.nn.softplus(-ops.abs(z))


@operation
def weighted_cross_entropy_with_logits(labels: Any, logits: Any, pos_weight: Any) -> Any:
    """`sigmoid_cross_entropy_with_logits` in which positive labels weigh `pos_weight`."""
    z, y, weight = alike("nn.weighted_cross_entropy_with_logits", logits, labels, pos_weight)
    factor = 1 + (weight - 1) * y
    return (1 - y) * z + factor * (ops.nn.softplus(-ops.abs(z)) + ops.nn.relu(-z))


@operation
def log_poisson_loss(targets: Any, log_input: Any, compute_full_loss: bool = False) -> Any:
    """exp(log_input) - log_input · targets, and Stirling's term for targets above 1 in the full loss."""
    x, z = alike("nn.log_poisson_loss", log_input, targets)
    result = ops.exp(x) - x * z
    if not boolean(compute_full_loss, "nn.log_poisson_loss", "compute_full_loss"):
        return result
    safe = ops.where(z > 1, z, ops.ones_like(z))
    stirling = safe * ops.log(safe) - safe + 0.5 * ops.log(2 * np.pi * safe)
    return result + ops.where(z > 1, stirling, ops.zeros_like(z))


@operation
def ctc_loss(
    labels: Any,
    logits: Any,
    label_length: Any,
    logit_length: Any,
    logits_time_major: bool = True,
    unique: Any = None,
    blank_index: Any = None,
) -> Any:
    """Connectionist temporal classification (Graves 2006), for each sequence.

    Args:
        labels: Integers of shape (batch, length).
        logits: Floats of shape (steps, batch, classes).
        label_length: The length of each sequence of labels.
        logit_length: How many steps of each count.
        logits_time_major: False for logits of shape (batch, steps, classes).
        unique: None.
        blank_index: The class of the blank, negative from the end; 0 if None.
    """
    if unique is not None:
        raise ValueError("tf.nn.ctc_loss: unique: expected None; equal labels are found by themselves")
    z = as_float(logits, "nn.ctc_loss")
    z = ops.swapaxes(z, 0, 1) if boolean(logits_time_major, "nn.ctc_loss", "logits_time_major") else z
    blank = 0 if blank_index is None else axis_of(blank_index, z.shape[-1], "nn.ctc_loss", "blank_index")
    return ops.nn.ctc_loss(tensor(labels), z, tensor(label_length), tensor(logit_length), blank)


@operation
def embedding_lookup(params: Any, ids: Any, max_norm: Any = None) -> Any:
    """The rows of a table, made shorter where their norm exceeds `max_norm`."""
    from cnnrs.compat.tf.linalg import clip_by_norm

    table = ops.concatenate(list(params), axis=0) if isinstance(params, (list, tuple)) else tensor(params)
    index = tensor(ids)
    rows = ops.take(table, index, axis=0)
    if max_norm is None:
        return rows
    return clip_by_norm(rows, float(max_norm), axes=list(range(index.ndim, rows.ndim)))


def compute_average_loss(
    per_example_loss: Any, sample_weight: Any = None, global_batch_size: Any = None
) -> Any:
    """The sum of the losses of samples, with weights, divided by the size of the batch."""
    loss = as_float(per_example_loss, "nn.compute_average_loss")
    if sample_weight is not None:
        weights = ops.cast(tensor(sample_weight), loss.dtype)
        loss = loss * ops.reshape(weights, (*weights.shape, *[1] * (loss.ndim - weights.ndim)))
    size = (
        loss.shape[0]
        if global_batch_size is None
        else integer(global_batch_size, "nn.compute_average_loss", "size")
    )
    return ops.sum(loss) / size


def scale_regularization_loss(regularization_loss: Any) -> Any:
    """The sum of the loss: there is one replica."""
    return ops.sum(as_float(regularization_loss, "nn.scale_regularization_loss"))


_RECURRENT = "use tf.keras.layers"
__getattr__ = unknown(
    "tf.nn",
    {
        "RNNCellDeviceWrapper RNNCellDropoutWrapper RNNCellResidualWrapper": _RECURRENT,
        "ctc_beam_search_decoder ctc_greedy_decoder": "use cnnrs.ops.nn.ctc_decode",
        "nce_loss sampled_softmax_loss": "cnnrs is for images; use softmax_cross_entropy_with_logits",
        "max_pool_with_argmax fractional_avg_pool fractional_max_pool dilation2d erosion2d": (
            "use tf.nn.max_pool2d, or cnnrs.ops.nn.unfold and a maximum"
        ),
        "collapse_repeated ctc_unique_labels sufficient_statistics normalize_moments isotonic_regression "
        "embedding_lookup_sparse safe_embedding_lookup_sparse experimental": "compute it with tf.math",
        "approx_max_k approx_min_k": "use tf.nn.top_k",
        "with_space_to_batch all_candidate_sampler": "use tf.nn.convolution with dilations",
    },
    __all__,
)
