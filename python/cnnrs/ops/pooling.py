"""Pooling of sequences, images and volumes."""

from __future__ import annotations

from typing import Any

from cnnrs.ops.dispatch import op
from cnnrs.ops.spatial import Spatial, pool

__all__ = ["average_pool", "max_pool"]


def _pool(name: str, inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str | None) -> Any:
    at = Spatial(inputs, data_format)
    size = at.numbers(pool_size, "pool_size")
    step = size if strides is None else at.numbers(strides, "strides")
    return at.leave(pool(name, at.x, size, step, at.padding(padding)))


@op
def max_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
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

    Returns:
        float32 tensor of shape (batch, height out, width out, channels). Without padding, `height out` is
        `(height - pool height) // stride + 1`, and the width likewise. NaN where the window holds NaN.

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
    return _pool("max_pool2d", inputs, pool_size, strides, padding, data_format)


@op
def average_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Any:
    """Computes the mean of each window of images.

    Padding does not count: each window is divided by the number of its pixels inside the image.

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
    return _pool("avg_pool2d", inputs, pool_size, strides, padding, data_format)
