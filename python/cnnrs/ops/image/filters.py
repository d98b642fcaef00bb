"""Filters of images, and what they measure: blur, edges, structural similarity."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import integers, number
from cnnrs.base.dtypes import FLOATS
from cnnrs.ops.dispatch import apply, as_tensor, op
from cnnrs.ops.image import kernels
from cnnrs.ops.image.filtering import check_border, extended, in_rows
from cnnrs.ops.image.layout import as_batch, back_to, computed

__all__ = ["blurred", "gaussian_blur", "sobel_edges", "ssim", "unsharp_mask"]


def gaussian(size: int, sigma: Any) -> Any:
    """The weights of a Gaussian of deviation `sigma`, a number or a tensor of no axes, on `size` pixels."""
    x = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    if isinstance(sigma, (int, float)):
        weights: Any = np.exp(-0.5 * (x.astype(np.float64) / sigma) ** 2) if sigma else 1.0 * (x == 0)
        return (weights / weights.sum()).astype(np.float32)
    weights = apply("exp", -0.5 * apply("square", as_tensor(x) / computed(sigma)))
    return weights / weights.sum()


def blurred(x: Any, rows: Any, columns: Any, padding: str = "same") -> Any:
    """Images of shape (batch, height, width, channels), filtered with weights along both axes."""
    channels = x.shape[-1]
    for place, weights in enumerate((rows, columns)):
        size = weights.shape[0]
        if size > 1:
            shape = [size, 1, 1, 1] if place == 0 else [1, size, 1, 1]
            weights = apply(
                "broadcast_to", apply("reshape", weights, shape=shape), shape=[*shape[:3], channels]
            )
            options = {"strides": [1, 1], "padding": padding, "dilation": [1, 1], "groups": channels}
            x = apply("conv2d", x, weights.astype(x.dtype), **options)
    return x


def _number(value: Any) -> Any:
    """A number as a float; a tensor as it is."""
    return float(value) if np.ndim(value) == 0 and isinstance(value, (int, float, np.generic)) else value


@op
def gaussian_blur(
    images: Any,
    kernel_size: Any = (3, 3),
    sigma: Any = (1.0, 1.0),
    data_format: str | None = None,
    *,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
) -> Any:
    """Blurs images: each pixel becomes the mean of its neighbours, weighted by a Gaussian.

    Args:
        images: Tensor of shape (height, width, channels) or (batch, height, width, channels), of any dtype.
        kernel_size: How many pixels are weighted, a (horizontal, vertical) pair of integers >= 1; (3, 3) by
            default. None means 4 deviations on each side.
        sigma: The standard deviation in pixels, a (horizontal, vertical) pair of numbers, or a tensor of two;
            (1.0, 1.0) by default.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.
        fill_mode: What lies outside, as in `sobel`; "constant" by default, as in Keras.
        fill_value: What lies outside with "constant"; 0 by default.

    Returns:
        Tensor of the shape and dtype of `images`. Integers are rounded.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, or an argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> y = ops.image.gaussian_blur(np.array([0.0, 1.0, 0.0]).reshape(1, 3, 1))
        >>> print(y.numpy().ravel().round(3))
        [0.124 0.204 0.124]
    """
    fill_value = check_border("gaussian_blur", fill_mode, fill_value)
    pair = (
        sigma if hasattr(sigma, "shape") and not isinstance(sigma, np.ndarray) else np.ravel(sigma).tolist()
    )
    if kernel_size is None and isinstance(pair, list):
        kernel_size = [
            2 * kernels.reach(number(s, "gaussian_blur", "sigma", least=0), 4.0, "gaussian_blur") + 1
            for s in pair
        ]
    size = integers(kernel_size, "gaussian_blur", "kernel_size", least=1)
    if len(size) != 2 or len(pair) != 2:
        raise ValueError(
            "gaussian_blur: kernel_size, sigma: expected pairs of numbers, "
            f"received {kernel_size!r} and {sigma!r}"
        )
    batch, restore = as_batch(images, data_format, "gaussian_blur")
    across, down = (as_tensor(gaussian(n, _number(pair[i]))) for i, n in enumerate(size))
    x, padding = computed(batch), "same"
    # Zeros beyond the border are what a convolution has anyway.
    if fill_mode != "constant" or fill_value:
        margins = tuple(((n - 1) // 2, n - 1 - (n - 1) // 2) for n in (size[1], size[0]))
        x, padding = extended("gaussian_blur", x, margins, fill_mode, fill_value), "valid"
    return restore(back_to(blurred(x, down, across, padding), batch.dtype))


@op
def unsharp_mask(
    images: Any,
    sigma: float = 1.0,
    amount: float = 1.0,
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Any:
    """Sharpens images: `x + amount · (x - blurred x)`.

    Args:
        images: Tensor of shape (height, width, channels) or (batch, height, width, channels), of any dtype.
        sigma: Standard deviation of the blur in pixels, at least 0; 1 by default.
        amount: How much of the difference is added; 1 by default. Below 0 it blurs.
        fill_mode: What lies outside, as in `sobel`; "reflect" by default.
        fill_value: What lies outside with "constant"; 0 by default.
        data_format: "channels_last" or "channels_first"; None, the default, means
            `config.image_data_format()`.

    Returns:
        Tensor of the shape and dtype of `images`. Integers are rounded and limited to their range; floats may
        leave the range of the input.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, or an argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> step = np.array([0, 0, 0, 200, 200, 200], np.uint8).reshape(1, 6, 1)
        >>> ops.image.unsharp_mask(step).numpy().ravel().tolist()
        [0, 0, 0, 255, 212, 201]
    """
    sigma, amount = number(sigma, "unsharp_mask", "sigma", least=0), number(amount, "unsharp_mask", "amount")
    fill_value = check_border("unsharp_mask", fill_mode, fill_value)
    batch, restore = as_batch(images, data_format, "unsharp_mask")
    x = computed(batch)
    radius = kernels.reach(sigma, 4.0, "unsharp_mask")
    weights = as_tensor(gaussian(2 * radius + 1, sigma))
    soft = blurred(
        extended("unsharp_mask", x, ((radius, radius),) * 2, fill_mode, fill_value), weights, weights, "valid"
    )
    sharp = in_rows(lambda x, soft: x + amount * (x - soft), x, soft)
    return restore(back_to(sharp, batch.dtype))


@op
def sobel_edges(images: Any, data_format: str | None = None) -> Any:
    """Computes how images change from row to row and from column to column.

    These are the filters of Sobel and Feldman: a difference along one axis, and a mean with weights 1, 2, 1
    along the other. Images are mirrored at their borders, without the border itself.

    Args:
        images: Tensor of shape (batch, height, width, channels), with at least 2 rows and columns; other
            dtypes are converted to float32.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of floats of the shape of `images` with a last axis of 2 more: the change downwards and that to
        the right.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` does not have 4 axes, or has less than 2 rows or columns, or `data_format` is
            unknown.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.arange(9.0).reshape(1, 3, 3, 1)
        >>> ops.image.sobel_edges(image)[0, 1, 1, 0].tolist()
        [24.0, 8.0]
    """
    if as_tensor(images).ndim != 4:
        raise ValueError(
            f"sobel_edges: images: expected 4 axes, received shape {tuple(as_tensor(images).shape)}"
        )
    x, restore = as_batch(images, data_format, "sobel_edges")
    if min(x.shape[1:3]) < 2:
        raise ValueError(
            f"sobel_edges: images: expected at least 2 rows and columns, received shape {tuple(x.shape)}"
        )
    dtype = x.dtype
    x = computed(x)
    for axis in (1, 2):
        extent = x.shape[axis]
        mirrored = np.r_[1, np.arange(extent), extent - 2].astype(np.int32)
        x = apply("gather", x, mirrored, axis=axis)

    def part(x: Any, axis: int, shift: int) -> Any:
        extent = x.shape[axis] - 2
        return x[(slice(None),) * axis + (slice(shift, shift + extent),)]

    def mean(x: Any, axis: int) -> Any:
        return part(x, axis, 0) + 2.0 * part(x, axis, 1) + part(x, axis, 2)

    def change(x: Any, axis: int) -> Any:
        return part(x, axis, 2) - part(x, axis, 0)

    edges = apply("stack", mean(change(x, 1), 2), mean(change(x, 2), 1), axis=4)
    return restore(edges.astype(dtype) if dtype in FLOATS else edges)


@op
def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Any:
    """Measures how similar images are in structure.

    Means, variances and the covariance are those of windows weighted by a Gaussian (Wang et al. 2004, "Image
    quality assessment: from error visibility to structural similarity"). Equal images have 1.

    Args:
        image1: Tensor of shape (height, width, channels) or (batch, height, width, channels), of any dtype.
        image2: The images to compare with, of the same shape.
        max_val: The range of the pixels: 1.0, the default, for 0..1, or 255.
        filter_size: Extent of the windows, an integer from 1 to that of the images; 11 by default.
        filter_sigma: Standard deviation of the Gaussian in pixels; 1.5 by default.
        k1: Keeps the quotient of means steady where these are near 0; 0.01 by default.
        k2: Does so for variances; 0.03 by default.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of shape (batch,), or without axes for single images, of the dtype of `image1`, float32 for
        integers.

    Raises:
        TypeError: An image is not numeric.
        ValueError: The images have different shapes or neither 3 nor 4 axes, the window does not fit into
            them, or another argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.linspace(0.0, 1.0, 256).reshape(16, 16, 1)
        >>> [round(float(ops.image.ssim(image, other)), 3) for other in (image, 1.0 - image)]
        [1.0, -0.826]
    """
    first, _ = as_batch(image1, data_format, "ssim", "image1")
    second, _ = as_batch(image2, data_format, "ssim", "image2")
    shapes = tuple(as_tensor(image1).shape), tuple(as_tensor(image2).shape)
    if shapes[0] != shapes[1]:
        raise ValueError(f"ssim: image1, image2: expected equal shapes, received {shapes[0]} and {shapes[1]}")
    size = integers(filter_size, "ssim", "filter_size", least=1)
    if len(size) != 1 or size[0] > min(first.shape[1:3]):
        raise ValueError(
            f"ssim: filter_size: expected an integer up to {min(first.shape[1:3])}, received {filter_size!r}"
        )
    weights = as_tensor(gaussian(size[0], float(filter_sigma)))
    x, y = computed(first), computed(second)

    def mean(x: Any) -> Any:
        return blurred(x, weights, weights, "valid")

    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    mean_x, mean_y = mean(x), mean(y)
    products = mean_x * mean_y
    squares = apply("square", mean_x) + apply("square", mean_y)
    variances = mean(apply("square", x)) + mean(apply("square", y)) - squares
    covariance = mean(x * y) - products
    quotient = ((2.0 * products + c1) * (2.0 * covariance + c2)) / ((squares + c1) * (variances + c2))
    result = apply("mean", quotient, axes=[1, 2, 3], keepdims=False)
    # Of integers it stays a float, for all but 1 would be 0.
    result = result.astype(first.dtype) if first.dtype in FLOATS else result
    return result if len(shapes[0]) == 4 else apply("squeeze", result, axis=0)
