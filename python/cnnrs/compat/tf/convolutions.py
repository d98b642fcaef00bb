"""Convolutions and pooling with the arguments of `tf.nn`: lists of strides, "SAME", "NCHW", explicit padding.

>>> import cnnrs.compat.tf as tf
>>> x, w = tf.ones((1, 4, 4, 1)), tf.ones((3, 3, 1, 2))
>>> tf.nn.conv2d(x, w, strides=[1, 2, 2, 1], padding="SAME").shape.as_list()
[1, 2, 2, 2]
>>> tf.nn.conv2d_transpose(x, w[..., :1], [1, 8, 8, 1], strides=2).shape.as_list()
[1, 8, 8, 1]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs import ops
from cnnrs.compat.tf.arguments import as_float, extents, numbers
from cnnrs.compat.tf.namespaces import operation

__all__ = [
    "atrous_conv2d",
    "avg_pool",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "conv1d",
    "conv1d_transpose",
    "conv2d",
    "conv2d_transpose",
    "conv3d",
    "conv3d_transpose",
    "conv_transpose",
    "convolution",
    "depthwise_conv2d",
    "max_pool",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "pool",
    "separable_conv2d",
]

_LAST = {1: "NWC", 2: "NHWC", 3: "NDHWC"}
_FIRST = {1: "NCW", 2: "NCHW", 3: "NCDHW"}


def channels_first(data_format: Any, function: str) -> bool:
    """Whether the channels stand behind the batch.

    Raises:
        ValueError: It is no format of tensors.
    """
    if data_format is None or data_format in _LAST.values():
        return False
    if data_format in _FIRST.values() or (isinstance(data_format, str) and data_format.startswith("NC")):
        return True
    raise ValueError(
        f"tf.{function}: data_format: expected NHWC or NCHW, or their kin, received {data_format!r}"
    )


def _spatial(values: Any, rank: int, first: bool, function: str, argument: str) -> tuple[int, ...]:
    """A number for each spatial axis, of one number, one for each of them, or one for each axis."""
    given = numbers(1 if values is None else values, function, argument)
    if len(given) == rank + 2:
        outer = given[:2] if first else [given[0], given[-1]]
        if outer != [1, 1]:
            raise ValueError(
                f"tf.{function}: {argument}: expected 1 for batch and channels, received {given}"
            )
        given = given[2:] if first else given[1:-1]
    if len(given) not in (1, rank) or min(given) < 1:
        raise ValueError(
            f"tf.{function}: {argument}: expected 1, {rank} or {rank + 2} numbers >= 1, received {values}"
        )
    return tuple(given * rank if len(given) == 1 else given)


def _padding(padding: Any, rank: int, first: bool, function: str) -> Any:
    """ "same", "valid", or pairs for the spatial axes."""
    if isinstance(padding, str):
        if padding.upper() not in ("SAME", "VALID"):
            raise ValueError(f"tf.{function}: padding: expected SAME, VALID or pairs, received {padding!r}")
        return padding.lower()
    flat = numbers(padding, function, "padding")
    pairs = [(a, b) for a, b in zip(flat[::2], flat[1::2], strict=True)]
    if len(pairs) == rank + 2:
        pairs = pairs[2:] if first else pairs[1:-1]
    if len(pairs) != rank:
        raise ValueError(f"tf.{function}: padding: expected a pair for each axis, received {padding!r}")
    return tuple(pairs)


def _laid_out(compute: Callable[[Any], Any], x: Any, first: bool) -> Any:
    """`compute` of images with the channels last, for images that may have them first."""
    if not first:
        return compute(x)
    return ops.moveaxis(compute(ops.moveaxis(x, 1, -1)), -1, 1)


def _images(x: Any, rank: int | None, function: str) -> Any:
    """Images as tensors of floats.

    Raises:
        ValueError: They have another number of axes.
    """
    made = as_float(x, function)
    if rank is not None and made.ndim != rank + 2:
        raise ValueError(
            f"tf.{function}: expected a tensor of {rank + 2} axes, received shape {tuple(made.shape)}"
        )
    return made


def _convolve(
    function: str,
    rank: int | None,
    x: Any,
    filters: Any,
    strides: Any,
    padding: Any,
    data_format: Any,
    dilations: Any,
) -> Any:
    x = _images(x, rank, function)
    rank, first = x.ndim - 2, channels_first(data_format, function)
    steps = _spatial(strides, rank, first, function, "strides")
    apart = _spatial(dilations, rank, first, function, "dilations")
    around = _padding(padding, rank, first, function)
    kernel = as_float(filters, function)
    return _laid_out(lambda v: ops.nn.conv(v, kernel, steps, around, "channels_last", apart), x, first)


@operation
def convolution(
    input: Any,
    filters: Any,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: Any = None,
    dilations: Any = None,
) -> Any:
    """The convolution of images, sequences or volumes.

    Args:
        input: A tensor of shape (batch, ..., channels), or as `data_format` says.
        filters: A tensor of shape (..., channels / groups, filters).
        strides: The distance of windows: a number, or one for each spatial axis; 1 if None.
        padding: "SAME", "VALID", or pairs of how many zeros stand before and behind each axis.
        data_format: "NHWC" or "NCHW", or their kin for sequences and volumes.
        dilations: The distance of a filter's taps; 1 if None.
    """
    return _convolve("nn.convolution", None, input, filters, strides, padding, data_format, dilations)


@operation
def conv1d(
    input: Any,
    filters: Any,
    stride: Any,
    padding: Any,
    data_format: str = "NWC",
    dilations: Any = None,
) -> Any:
    """The convolution of sequences; arguments are those of `convolution`."""
    return _convolve("nn.conv1d", 1, input, filters, stride, padding, data_format, dilations)


@operation
def conv2d(
    input: Any, filters: Any, strides: Any, padding: Any, data_format: str = "NHWC", dilations: Any = None
) -> Any:
    """The convolution of images; arguments are those of `convolution`."""
    return _convolve("nn.conv2d", 2, input, filters, strides, padding, data_format, dilations)


@operation
def conv3d(
    input: Any, filters: Any, strides: Any, padding: Any, data_format: str = "NDHWC", dilations: Any = None
) -> Any:
    """The convolution of volumes; arguments are those of `convolution`."""
    return _convolve("nn.conv3d", 3, input, filters, strides, padding, data_format, dilations)


@operation
def atrous_conv2d(value: Any, filters: Any, rate: Any, padding: Any) -> Any:
    """The convolution of images with filters whose taps stand `rate` pixels apart."""
    return _convolve("nn.atrous_conv2d", 2, value, filters, 1, padding, "NHWC", rate)


@operation
def depthwise_conv2d(
    input: Any, filter: Any, strides: Any, padding: Any, data_format: Any = None, dilations: Any = None
) -> Any:
    """Filters of each channel; arguments are those of `convolution`, filters of shape (h, w, channels, m)."""
    name = "nn.depthwise_conv2d"
    x, first = _images(input, 2, name), channels_first(data_format, name)
    steps, apart = (
        _spatial(strides, 2, first, name, "strides"),
        _spatial(dilations, 2, first, name, "dilations"),
    )
    around, kernel = _padding(padding, 2, first, name), as_float(filter, name)
    return _laid_out(
        lambda v: ops.nn.depthwise_conv(v, kernel, steps, around, "channels_last", apart), x, first
    )


@operation
def separable_conv2d(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: Any,
    data_format: Any = None,
    dilations: Any = None,
) -> Any:
    """`depthwise_conv2d`, then products along the channels with filters of shape (1, 1, channels · m, n)."""
    spread = depthwise_conv2d(input, depthwise_filter, strides, padding, data_format, dilations)
    return _convolve("nn.separable_conv2d", 2, spread, pointwise_filter, 1, "VALID", data_format, 1)


def _transposed(
    function: str,
    rank: int | None,
    x: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any,
    fmt: Any,
    dil: Any,
) -> Any:
    """The gradient of a convolution by its input, which is of the shape `output_shape`."""
    x = _images(x, rank, function)
    rank, first = x.ndim - 2, channels_first(fmt, function)
    steps = _spatial(strides, rank, first, function, "strides")
    apart = _spatial(dil, rank, first, function, "dilations")
    around, kernel = _padding(padding, rank, first, function), as_float(filters, function)
    wanted = extents(output_shape, function, "output_shape")
    if len(wanted) == rank + 2:
        wanted = wanted[2:] if first else wanted[1:-1]
    if len(wanted) != rank:
        raise ValueError(f"tf.{function}: output_shape: expected {rank + 2} extents, received {output_shape}")

    def compute(value: Any) -> Any:
        full = ops.nn.conv_transpose(value, kernel, steps, "valid", None, "channels_last", apart)
        cuts, margins = [slice(None)], [[0, 0]]
        for axis, (out, step, tap, gap) in enumerate(zip(wanted, steps, kernel.shape, apart, strict=False)):
            reach, many = (tap - 1) * gap + 1, value.shape[axis + 1]
            if around == "same":
                fits, total = -(-out // step) == many, max((many - 1) * step + reach - out, 0)
                before = total // 2
            elif around == "valid":
                fits, before = -(-(out - reach + 1) // step) == many, 0
            else:
                before, behind = around[axis]
                fits = (out + before + behind - reach) // step + 1 == many
            if not fits:
                raise ValueError(
                    f"tf.{function}: output_shape: a convolution of {out} pixels does not give {many} "
                    f"with stride {step}"
                )
            held = full.shape[axis + 1]
            cuts.append(slice(before, min(before + out, held)))
            margins.append([0, max(before + out - held, 0)])
        return ops.pad(full[tuple(cuts)], [*margins, [0, 0]])

    return _laid_out(compute, x, first)


@operation
def conv_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: Any = None,
    dilations: Any = None,
) -> Any:
    """The gradient of a convolution by its input.

    Args:
        input: A tensor of shape (batch, ..., channels), or as `data_format` says.
        filters: A tensor of shape (..., filters, channels).
        output_shape: The shape of the result.
        strides: The distance of windows in the result.
        padding: "SAME", "VALID", or pairs for each axis.
        data_format: "NHWC" or "NCHW", or their kin.
        dilations: The distance of a filter's taps; 1 if None.

    Raises:
        ValueError: No convolution of the result has the shape of the input.
    """
    return _transposed(
        "nn.conv_transpose", None, input, filters, output_shape, strides, padding, data_format, dilations
    )


@operation
def conv1d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: str = "NWC",
    dilations: Any = None,
) -> Any:
    """`conv_transpose` of sequences."""
    return _transposed(
        "nn.conv1d_transpose", 1, input, filters, output_shape, strides, padding, data_format, dilations
    )


@operation
def conv2d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: str = "NHWC",
    dilations: Any = None,
) -> Any:
    """`conv_transpose` of images."""
    return _transposed(
        "nn.conv2d_transpose", 2, input, filters, output_shape, strides, padding, data_format, dilations
    )


@operation
def conv3d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: str = "NDHWC",
    dilations: Any = None,
) -> Any:
    """`conv_transpose` of volumes."""
    return _transposed(
        "nn.conv3d_transpose", 3, input, filters, output_shape, strides, padding, data_format, dilations
    )


def _pooled(
    function: str,
    kind: str,
    rank: int | None,
    x: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: Any,
) -> Any:
    x = _images(x, rank, function)
    rank, first = x.ndim - 2, channels_first(data_format, function)
    extents = numbers(ksize, function, "ksize")
    if kind == "MAX" and not first and len(extents) == rank + 2 and extents[-1] > 1:
        return _channels_pooled(function, x, extents, numbers(strides, function, "strides"))
    window = _spatial(ksize, rank, first, function, "ksize")
    steps = _spatial(strides, rank, first, function, "strides")
    around = _padding(padding, rank, first, function)

    def compute(value: Any) -> Any:
        mode = around
        if not isinstance(around, str):
            if kind != "MAX":
                raise ValueError(f"tf.{function}: padding: expected SAME or VALID, received pairs")
            pairs = [[0, 0], *(list(p) for p in around), [0, 0]]
            value, mode = ops.pad(value, pairs, mode="constant", constant_values=float("-inf")), "valid"
        pool = ops.nn.max_pool if kind == "MAX" else ops.nn.average_pool
        return pool(value, window, steps, mode, "channels_last")

    return _laid_out(compute, x, first)


def _channels_pooled(function: str, x: Any, ksize: list[int], strides: list[int]) -> Any:
    """The maximum of each window of channels. As in TensorFlow, windows neither overlap nor leave gaps."""
    width, channels = ksize[-1], x.shape[-1]
    if {*ksize[:-1], *strides[:-1]} != {1} or strides[-1] != width or channels % width:
        raise ValueError(
            f"tf.{function}: ksize, strides: expected windows of channels to be as far apart as they are "
            f"wide, to divide the {channels} channels, and to be of one pixel, received {ksize} and {strides}"
        )
    windows = ops.reshape(x, (*(ops.shape(x)[:-1]), channels // width, width))
    return ops.max(windows, axis=-1)


def _pool(kind: str, word: str, rank: int | None, default: Any) -> Any:
    name = f"{kind.lower()}_pool{'' if rank is None else f'{rank}d'}"

    def function(input: Any, ksize: Any, strides: Any, padding: Any, data_format: Any = default) -> Any:
        return _pooled(f"nn.{name}", kind, rank, input, ksize, strides, padding, data_format)

    function.__name__ = name
    function.__doc__ = f"The {word} of each window of `ksize` pixels, of tensors in `data_format`."
    return operation(function)


max_pool, avg_pool = (_pool(k, w, None, None) for k, w in (("MAX", "maximum"), ("AVG", "mean")))
max_pool1d, avg_pool1d = (_pool(k, w, 1, "NWC") for k, w in (("MAX", "maximum"), ("AVG", "mean")))
max_pool2d, avg_pool2d = (_pool(k, w, 2, "NHWC") for k, w in (("MAX", "maximum"), ("AVG", "mean")))
max_pool3d, avg_pool3d = (_pool(k, w, 3, "NDHWC") for k, w in (("MAX", "maximum"), ("AVG", "mean")))


@operation
def pool(
    input: Any,
    window_shape: Any,
    pooling_type: str,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: Any = None,
    dilations: Any = None,
) -> Any:
    """The maximum or mean of each window.

    Args:
        input: A tensor of shape (batch, ..., channels), or as `data_format` says.
        window_shape: The extents of a window.
        pooling_type: "MAX" or "AVG".
        strides: The distance of windows; 1 if None.
        padding: "SAME" or "VALID".
        data_format: "NHWC" or "NCHW", or their kin.
        dilations: 1: pixels of a window are neighbours.
    """
    if pooling_type not in ("MAX", "AVG"):
        raise ValueError(f"tf.nn.pool: pooling_type: expected MAX or AVG, received {pooling_type!r}")
    if {*numbers(1 if dilations is None else dilations, "nn.pool", "dilations")} != {1}:
        raise ValueError("tf.nn.pool: dilations: expected 1, for pixels of a window are neighbours")
    return _pooled("nn.pool", pooling_type, None, input, window_shape, strides, padding, data_format)
