"""Pooling of sequences, images and volumes."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import flag
from cnnrs.ops.dispatch import apply, as_float, as_tensor, in_float32, of_integers, op
from cnnrs.ops.spatial import Spatial, pool

__all__ = ["adaptive_average_pool", "adaptive_max_pool", "average_pool", "max_pool"]


def _pool(
    name: str,
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: Any,
    data_format: str | None,
    ceil_mode: Any,
    **further: bool,
) -> Any:
    at = Spatial(inputs, data_format, _OWNERS[name])
    size = at.numbers(pool_size, "pool_size")
    step = size if strides is None else at.numbers(strides, "strides")
    sides = at.padding(padding)
    ceil_mode = flag(ceil_mode, _OWNERS[name], "ceil_mode")
    if ceil_mode and sides == "same":
        raise ValueError(
            f"{_OWNERS[name]}: ceil_mode: expected False with padding 'same', which leaves no pixel out; "
            "received True"
        )
    y = pool(name, at.x, size, step, sides, {"ceil_mode": ceil_mode, **further})
    if ceil_mode and further.get("count_include_pad"):
        y = _within_padding(y, at.x.shape[1:-1], size, step, sides)
    return at.leave(y)


# How users call the poolings of the core.
_OWNERS = {"max_pool2d": "max_pool", "avg_pool2d": "average_pool"}


def _within_padding(y: Any, extents: Any, size: list[int], step: list[int], sides: Any) -> Any:
    """Means over whole windows as means over their parts that lie in the image or its padding.

    Windows of `ceil_mode` reach beyond the padding, where there is nothing to count.
    """
    for axis, extent in enumerate(extents):
        before, after = (0, 0) if isinstance(sides, str) else sides[axis]
        starts = np.arange(y.shape[axis + 1]) * step[axis]
        counted = np.minimum(starts + size[axis], extent + before + after) - starts
        if (counted < size[axis]).any():
            dtype = "float64" if y.dtype == "float64" else "float32"
            shape = [-1 if a == axis + 1 else 1 for a in range(y.ndim)]
            y = apply("mul", y, (size[axis] / counted).astype(dtype).reshape(shape)).astype(y.dtype)
    return y


def _floats_of(inputs: Any) -> tuple[Any, str]:
    """Elements of which the largest are taken as floats that hold them, and the dtype that these keep."""
    inputs = as_tensor(inputs)
    if of_integers(inputs) is None:
        inputs = as_float(inputs)
        return inputs, inputs.dtype
    # float32 holds what has up to 16 bits.
    return inputs.astype("float64" if inputs.dtype.endswith(("32", "64")) else "float32"), inputs.dtype


@op
def max_pool(
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: Any = "valid",
    data_format: str | None = None,
    *,
    ceil_mode: bool = False,
) -> Any:
    """Takes the largest element of each window of images.

    Padding never counts. The gradient goes to the first of equal elements, in the order of rows.

    Args:
        inputs: Images, a tensor of shape (batch, height, width, channels), sequences without the axis of the
            height, or volumes with one of the depth before it; other dtypes are converted to float32.
        pool_size: Size of the window: an integer >= 1, or one for each spatial axis.
        strides: Distance of neighbouring windows, likewise; None, the default, means `pool_size`.
        padding: "valid", the default, for whole windows only; "same" for `ceil(extent / stride)` windows
            along each axis, which may reach beyond the border; or `((top, bottom), (left, right))` for that
            many pixels beyond, with one pair for each spatial axis.
        data_format: "channels_last" for the shapes given here, "channels_first" for images of shape (batch,
            channels, height, width) in and out; None, the default, means `config.image_data_format()`.
        ceil_mode: Whether the division in the output's extents rounds up: a last window that begins inside
            the image or the padding before it, and ends beyond, counts as far as it lies inside.

    Returns:
        float32 tensor of shape (batch, height out, width out, channels). Without padding, `height out` is
        `(height - pool height) // stride + 1`, and the width likewise. NaN where the window holds NaN.
        Integers give integers of their type, exact up to 2**53.

    Raises:
        TypeError: `inputs` is not numeric.
        ValueError: `inputs` does not have 3 to 5 axes, the window does not fit into the image, the padding
            leaves a window without any pixel, or another argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> ops.max_pool(image, 2)[0, :, :, 0].tolist()
        [[5.0, 7.0], [13.0, 15.0]]
    """
    inputs, kept = _floats_of(inputs)
    y = _pool("max_pool2d", inputs, pool_size, strides, padding, data_format, ceil_mode)
    return y if y.dtype == kept else y.astype(kept)


@op
def average_pool(
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: Any = "valid",
    data_format: str | None = None,
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> Any:
    """Computes the mean of each window of images.

    Padding does not count unless it is asked for: each window is divided by the number of its pixels inside
    the image.

    Args:
        inputs: Images, a tensor of shape (batch, height, width, channels), sequences without the axis of the
            height, or volumes with one of the depth before it; other dtypes are converted to float32.
        pool_size: Size of the window: an integer >= 1, or one for each spatial axis.
        strides: Distance of neighbouring windows, likewise; None, the default, means `pool_size`.
        padding: "valid", the default, for whole windows only; "same" for `ceil(extent / stride)` windows
            along each axis, which may reach beyond the border; or `((top, bottom), (left, right))` for that
            many pixels beyond, with one pair for each spatial axis.
        data_format: "channels_last" for the shapes given here, "channels_first" for images of shape (batch,
            channels, height, width) in and out; None, the default, means `config.image_data_format()`.
        ceil_mode: Whether the division in the output's extents rounds up: a last window that begins inside
            the image or the padding before it, and ends beyond, counts as far as it lies inside.
        count_include_pad: Whether padding counts, as pixels of 0, in means; what `ceil_mode` adds beyond the
            padding never does.

    Returns:
        float32 tensor of shape (batch, height out, width out, channels). Without padding, `height out` is
        `(height - pool height) // stride + 1`, and the width likewise.

    Raises:
        TypeError: `inputs` is not numeric.
        ValueError: `inputs` does not have 3 to 5 axes, the window does not fit into the image, the padding
            leaves a window without any pixel, or another argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> ops.average_pool(image, 2)[0, :, :, 0].tolist()
        [[2.5, 4.5], [10.5, 12.5]]
    """
    include = flag(count_include_pad, "average_pool", "count_include_pad")
    at = (inputs, pool_size, strides, padding, data_format, ceil_mode)
    return _pool("avg_pool2d", *at, count_include_pad=include)


def _adaptive(name: str, inputs: Any, output_size: Any, data_format: str | None, owner: str) -> Any:
    at = Spatial(inputs, data_format, owner)
    x = at.x
    for axis, size in enumerate(at.numbers(output_size, "output_size"), 1):
        x = _adaptive_axis(name, x, axis, size)
    return at.leave(x)


def _adaptive_axis(name: str, x: Any, axis: int, size: int) -> Any:
    """Window i of `size` along an axis lies from `floor(i * n / size)` to `ceil((i + 1) * n / size)`."""
    n = x.shape[axis]
    if n == size:
        return x
    if n == 0:
        raise ValueError(f"output_size: expected an input with elements along each axis, received {x.shape}")
    before, behind = list(x.shape[:axis]), list(x.shape[axis + 1 :])
    if n % size == 0:
        blocks = apply("reshape", x, shape=[*before, size, n // size, *behind])
        return apply(name, blocks, axes=[axis + 1], keepdims=False)
    i = np.arange(size)
    starts, stops = i * n // size, -(-(i + 1) * n // size)
    longest = int(np.max(stops - starts))
    # Windows of one length: a shorter one holds its last element again, with weight 0.
    offsets = np.arange(longest)
    places = np.minimum(starts[:, None] + offsets, (stops - 1)[:, None]).astype(np.int32)
    windows = apply("gather", x, places, axis=axis)
    if name == "max":
        return apply("max", windows, axes=[axis + 1], keepdims=False)
    counts = (stops - starts)[:, None]
    dtype = "float64" if x.dtype == "float64" else "float32"
    weights = np.where(offsets < counts, 1.0 / counts, 0.0).astype(dtype)
    weights = weights.reshape([size, longest, *[1] * len(behind)])
    return apply("sum", apply("mul", windows, weights), axes=[axis + 1], keepdims=False)


@op
@in_float32
def adaptive_average_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Any:
    """Computes the means of windows that divide images into a grid of a given size.

    Window i of n along an axis of `extent` pixels lies from `floor(i * extent / n)` to `ceil((i + 1) * extent
    / n)`: windows overlap where n does not divide the extent.

    Args:
        inputs: Images, a tensor of shape (batch, height, width, channels), sequences without the axis of the
            height, or volumes with one of the depth before it; other dtypes are converted to float32.
        output_size: Size of the grid: an integer >= 1, or one for each spatial axis.
        data_format: "channels_last" for the shapes given here, "channels_first" for images of shape (batch,
            channels, height, width) in and out; None, the default, means `config.image_data_format()`.

    Returns:
        float32 tensor of shape (batch, height out, width out, channels).

    Raises:
        TypeError: `inputs` is not numeric.
        ValueError: `inputs` does not have 3 to 5 axes, or another argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> ops.adaptive_average_pool(np.arange(5.0).reshape(1, 5, 1), 2)[0, :, 0].tolist()
        [1.0, 3.0]
    """
    return _adaptive("mean", inputs, output_size, data_format, "adaptive_average_pool")


@op
def adaptive_max_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Any:
    """Takes the largest elements of windows that divide images into a grid of a given size.

    Window i of n along an axis of `extent` pixels lies from `floor(i * extent / n)` to `ceil((i + 1) * extent
    / n)`: windows overlap where n does not divide the extent.

    Args:
        inputs: Images, a tensor of shape (batch, height, width, channels), sequences without the axis of the
            height, or volumes with one of the depth before it; other dtypes are converted to float32.
        output_size: Size of the grid: an integer >= 1, or one for each spatial axis.
        data_format: "channels_last" for the shapes given here, "channels_first" for images of shape (batch,
            channels, height, width) in and out; None, the default, means `config.image_data_format()`.

    Returns:
        float32 tensor of shape (batch, height out, width out, channels). NaN where the window holds NaN.
        Integers give integers of their type, exact up to 2**53.

    Raises:
        TypeError: `inputs` is not numeric.
        ValueError: `inputs` does not have 3 to 5 axes, or another argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> ops.adaptive_max_pool(np.arange(5.0).reshape(1, 5, 1), 2)[0, :, 0].tolist()
        [2.0, 4.0]
    """
    inputs, kept = _floats_of(inputs)
    y = _adaptive("max", inputs, output_size, data_format, "adaptive_max_pool")
    return y if y.dtype == kept else y.astype(kept)
