"""Functions of images: patches, padding, cropping, resizing, grey values."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.ops.convolution import _from_last, _padding, _to_last, image_data_format, pair
from cnnrs.ops.dispatch import apply, as_float, as_tensor, in_float32, op

__all__ = ["crop_images", "extract_patches", "pad_images", "resize", "rgb_to_grayscale"]


@op
def extract_patches(
    images: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """Cuts windows out of images and makes each of them one vector.

    Args:
        images: Tensor of shape (batch, height, width, channels); other dtypes are converted to float32.
        size: Size of the windows: an integer >= 1, or a (height, width) pair.
        strides: Distance of neighbouring windows, likewise; None, the default, means `size`, so that they do
            not overlap.
        dilation_rate: Distance of a window's neighbouring pixels, likewise; 1 by default.
        padding: "valid", the default, for whole windows only, or "same" for zeros around the images, so that
            there are `ceil(extent / stride)` windows along each axis; or `((top, bottom), (left, right))` for
            that many zeros.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        float32 tensor of shape (batch, rows, columns, window height * window width * channels), with the
        elements of a window in the order (row, column, channel).

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` does not have 4 axes, the window does not fit into the image, or another argument
            is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> images = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> patches = ops.image.extract_patches(images, 2)
        >>> patches.shape, patches[0, 0, 1].tolist()
        ((1, 2, 2, 4), [2.0, 3.0, 6.0, 7.0])
    """
    x, first = _to_last(images, data_format)
    height, width = pair(size, "size")
    channels = x.shape[-1]
    length = height * width * channels
    # A convolution whose filter (i, j, c) picks one element of the window.
    kernel = np.eye(length, dtype=np.float32).reshape(height, width, channels, length)
    y = apply(
        "conv2d",
        x,
        kernel,
        strides=[height, width] if strides is None else pair(strides, "strides"),
        padding=_padding(padding),
        dilation=pair(dilation_rate, "dilation_rate"),
        groups=1,
    )
    return _from_last(y, first)


def _spatial(images: Any, data_format: str | None) -> tuple[Any, int]:
    x = as_tensor(images)
    if x.ndim not in (3, 4):
        raise ValueError(f"images: expected 3 or 4 axes, received shape {x.shape}")
    last = image_data_format(data_format) == "channels_last"
    return x, x.ndim - 3 + (0 if last else 1)


def _amounts(name: str, given: dict[str, Any], extent: int, grows: bool, side: str) -> tuple[int, int]:
    """The amounts at both ends of an axis.

    Args:
        name: The function.
        given: Its arguments: the amounts at both ends and the target, of which one is None.
        extent: The extent of the axis.
        grows: Whether the amounts are added to it.
        side: What the axis is called.
    """
    absent = [argument for argument, amount in given.items() if amount is None]
    if len(absent) != 1:
        raise ValueError(
            f"{name}: {side}: expected two of the amounts at both ends and the target, "
            f"received {3 - len(absent)}"
        )
    before, after, target = (
        None if amount is None else integer(amount, name, argument) for argument, amount in given.items()
    )
    change = 0 if target is None else (target - extent if grows else extent - target)
    before = change - (after or 0) if before is None else before
    after = change - before if after is None else after
    if before < 0 or after < 0 or not (grows or before + after <= extent):
        raise ValueError(
            f"{name}: {side}: expected amounts >= 0 that fit an extent of {extent}, "
            f"received {before} and {after}"
        )
    return before, after


@op
def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """Adds zeros around images.

    Args:
        images: Tensor of shape (height, width, channels) or (batch, height, width, channels), of any dtype.
        top_padding: Rows above: an integer >= 0, or None, the default. Exactly two of `top_padding`,
            `bottom_padding` and `target_height` are given, and the third follows.
        left_padding: Columns to the left, likewise: an integer >= 0, or None, the default. Exactly two of
            `left_padding`, `right_padding` and `target_width` are given.
        bottom_padding: Rows below: an integer >= 0, or None, the default.
        right_padding: Columns to the right: an integer >= 0, or None, the default.
        target_height: Height of the result: an integer >= 0, or None, the default.
        target_width: Width of the result: an integer >= 0, or None, the default.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of the dtype of `images`, with the new height and width.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, more or less than two amounts are given for a
            direction, an amount is no integer or is or becomes negative, or `data_format` is unknown.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> padded = ops.image.pad_images(np.ones((1, 2, 1)), 1, 0, target_height=2, target_width=3)
        >>> padded[:, :, 0].tolist()
        [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
    """
    x, axis = _spatial(images, data_format)
    paddings = [[0, 0] for _ in range(x.ndim)]
    rows = {"top_padding": top_padding, "bottom_padding": bottom_padding, "target_height": target_height}
    columns = {"left_padding": left_padding, "right_padding": right_padding, "target_width": target_width}
    paddings[axis] = list(_amounts("pad_images", rows, x.shape[axis], True, "height"))
    paddings[axis + 1] = list(_amounts("pad_images", columns, x.shape[axis + 1], True, "width"))
    return apply("pad", x, paddings=paddings, value=0.0)


@op
def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """Removes the margins of images.

    Args:
        images: Tensor of shape (height, width, channels) or (batch, height, width, channels), of any dtype.
        top_cropping: Rows removed above: an integer >= 0, or None, the default. Exactly two of
            `top_cropping`, `bottom_cropping` and `target_height` are given, and the third follows.
        left_cropping: Columns removed on the left, likewise: an integer >= 0, or None, the default. Exactly
            two of `left_cropping`, `right_cropping` and `target_width` are given.
        bottom_cropping: Rows removed below: an integer >= 0, or None, the default.
        right_cropping: Columns removed on the right: an integer >= 0, or None, the default.
        target_height: Height of the result: an integer >= 0, or None, the default.
        target_width: Width of the result: an integer >= 0, or None, the default.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of the dtype of `images`, with the new height and width.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, more or less than two amounts are given for a
            direction, an amount is no integer or is or becomes negative, more is cut than there is, or
            `data_format` is unknown.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.arange(9).reshape(3, 3, 1)
        >>> ops.image.crop_images(image, 1, 0, target_height=1, target_width=2)[:, :, 0].tolist()
        [[3, 4]]
    """
    x, axis = _spatial(images, data_format)
    rows = {"top_cropping": top_cropping, "bottom_cropping": bottom_cropping, "target_height": target_height}
    columns = {"left_cropping": left_cropping, "right_cropping": right_cropping, "target_width": target_width}
    top, bottom = _amounts("crop_images", rows, x.shape[axis], False, "height")
    left, right = _amounts("crop_images", columns, x.shape[axis + 1], False, "width")
    index: list[Any] = [slice(None)] * x.ndim
    index[axis] = slice(top, x.shape[axis] - bottom)
    index[axis + 1] = slice(left, x.shape[axis + 1] - right)
    return x[tuple(index)]


def interpolation_matrix(size: int, target: int, interpolation: str) -> np.ndarray:
    """Rows of weights, one per output pixel, with half-pixel centres; shape (target, size)."""
    centres = (np.arange(target) + 0.5) * size / target - 0.5
    matrix = np.zeros((target, size), np.float32)
    rows = np.arange(target)
    if interpolation == "nearest":
        matrix[rows, np.minimum(np.floor(centres + 0.5), size - 1).astype(int)] = 1.0
        return matrix
    low = np.floor(centres)
    weight = (centres - low).astype(np.float32)
    np.add.at(matrix, (rows, np.clip(low, 0, size - 1).astype(int)), 1.0 - weight)
    np.add.at(matrix, (rows, np.clip(low + 1, 0, size - 1).astype(int)), weight)
    return matrix


@op
@in_float32
def resize(
    images: Any,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Any:
    """Scales images to another size.

    The centre of output pixel i lies at `(i + 0.5) * extent / new extent - 0.5` of the input. "bilinear"
    weighs the two nearest pixels along each axis by their distance, and repeats the border beyond it.

    Args:
        images: Tensor of shape (height, width, channels) or (batch, height, width, channels); other dtypes
            are converted to float32.
        size: The new size: an integer >= 1 for both extents, or a (height, width) pair.
        interpolation: "bilinear", the default, or "nearest".
        antialias: False; it is not supported.
        crop_to_aspect_ratio: False; use `crop_images` before.
        pad_to_aspect_ratio: False; use `pad_images` before.
        fill_mode: "constant"; it has a meaning only for `pad_to_aspect_ratio`.
        fill_value: 0.0; it has a meaning only for `pad_to_aspect_ratio`.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        float32 tensor with the new height and width.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes or no pixels, or another argument is none of the values
            above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.array([0.0, 4.0]).reshape(1, 2, 1)
        >>> ops.image.resize(image, (1, 4))[:, :, 0].tolist()
        [[0.0, 1.0, 3.0, 4.0]]
        >>> ops.image.resize(image, (1, 4), interpolation="nearest")[:, :, 0].tolist()
        [[0.0, 0.0, 4.0, 4.0]]
    """
    if interpolation not in ("bilinear", "nearest"):
        raise ValueError(
            f"resize: interpolation: expected 'bilinear' or 'nearest', received {interpolation!r}"
        )
    if antialias or crop_to_aspect_ratio or pad_to_aspect_ratio:
        raise ValueError(
            "resize: antialias, crop_to_aspect_ratio, pad_to_aspect_ratio: expected False; "
            "crop with crop_images or pad with pad_images first"
        )
    if fill_mode != "constant" or fill_value != 0.0:
        raise ValueError("resize: fill_mode, fill_value: have a meaning only with pad_to_aspect_ratio")
    x, axis = _spatial(as_float(images), data_format)
    height, width = pair(size, "size")
    if 0 in x.shape[axis : axis + 2]:
        raise ValueError(f"resize: images: expected at least one pixel, received shape {x.shape}")
    for place, target in ((axis, height), (axis + 1, width)):
        matrix = interpolation_matrix(x.shape[place], target, interpolation)
        perm = [a for a in range(x.ndim) if a != place] + [place]
        moved = apply("matmul", apply("transpose", x, perm=perm), matrix, transpose_b=True)
        x = apply("transpose", moved, perm=[perm.index(a) for a in range(x.ndim)])
    return x


@op
@in_float32
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Any:
    """Reduces the three channels of colour images to one.

    It is 0.2989 red + 0.587 green + 0.114 blue: the weights of ITU-R BT.601, with 0.2989 in place of 0.299 as
    in Keras.

    Args:
        images: Tensor of shape (height, width, channels) or (batch, height, width, channels); other dtypes
            are converted to float32. The channels are red, green and blue.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        float32 tensor with one channel.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes or does not have 3 channels, or `data_format` is
            unknown.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> pixels = np.array([[[255, 0, 0], [0, 255, 0]]])
        >>> print(ops.image.rgb_to_grayscale(pixels)[:, :, 0].numpy().round(1))
        [[ 76.2 149.7]]
    """
    x, axis = _spatial(as_float(images), data_format)
    channel = x.ndim - 1 if axis == x.ndim - 3 else axis - 1
    if x.shape[channel] != 3:
        raise ValueError(f"rgb_to_grayscale: expected 3 channels, received {x.shape[channel]}")
    shape = [3 if a == channel else 1 for a in range(x.ndim)]
    weights = np.asarray([0.2989, 0.587, 0.114], np.float32).reshape(shape)
    return apply("sum", apply("mul", x, weights), axes=[channel], keepdims=True)
