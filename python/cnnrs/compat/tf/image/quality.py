"""How images differ, and how they change from pixel to pixel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.compat.tf.arguments import boolean, tensor
from cnnrs.compat.tf.image.colors import convert_image_dtype
from cnnrs.compat.tf.namespaces import operation

__all__ = ["image_gradients", "psnr", "sobel_edges", "ssim", "ssim_multiscale", "total_variation"]


def _pair(a: Any, b: Any, max_val: Any, function: str) -> tuple[Any, Any, Any]:
    """Both images and the greatest value as floats.

    Raises:
        ValueError: The shapes do not broadcast, or have less than 3 axes.
    """
    x, y = tensor(a), tensor(b)
    if min(x.ndim, y.ndim) < 3 or tuple(x.shape[-3:]) != tuple(y.shape[-3:]):
        raise ValueError(
            f"tf.image.{function}: expected images of one shape, received {tuple(x.shape)}, {tuple(y.shape)}"
        )
    most = convert_image_dtype(ops.cast(tensor(max_val), x.dtype), "float32")
    return convert_image_dtype(x, "float32"), convert_image_dtype(y, "float32"), most


@operation
def psnr(a: Any, b: Any, max_val: Any) -> Any:
    """The peak signal-to-noise ratio in decibels, for each image."""
    x, y, most = _pair(a, b, max_val, "psnr")
    error = ops.mean(ops.square(x - y), axis=(-3, -2, -1))
    return 20.0 / math.log(10) * ops.log(most) - 10.0 / math.log(10) * ops.log(error)


def _ssim_parts(x: Any, y: Any, most: Any, size: int, sigma: float, k1: float, k2: float) -> tuple[Any, Any]:
    """The index and its part of contrast and structure, of shape (..., rows, columns, channels)."""
    if min(x.shape[-3:-1]) < size:
        raise ValueError(f"tf.image.ssim: filter_size: {size} does not fit into shape {tuple(x.shape)}")
    line = np.exp(-((np.arange(size) - (size - 1) / 2) ** 2) / (2 * sigma**2))
    line = (line / line.sum()).astype("float32")
    outer = tuple(x.shape[:-3])

    def blurred(v: Any) -> Any:
        flat = ops.reshape(v, (-1, *v.shape[-3:]))
        channels = flat.shape[-1]
        for shape in ((size, 1, 1, 1), (1, size, 1, 1)):
            kernel = np.tile(line.reshape(shape), (1, 1, channels, 1))
            flat = ops.nn.depthwise_conv(flat, kernel, data_format="channels_last")
        return ops.reshape(flat, (*outer, *flat.shape[1:]))

    c1, c2 = ops.square(k1 * most), ops.square(k2 * most)
    mean_x, mean_y = blurred(x), blurred(y)
    products, squares = mean_x * mean_y * 2.0, ops.square(mean_x) + ops.square(mean_y)
    luminance = (products + c1) / (squares + c1)
    structure = (blurred(x * y) * 2.0 - products + c2) / (
        blurred(ops.square(x) + ops.square(y)) - squares + c2
    )
    return luminance * structure, structure


@operation
def ssim(
    img1: Any,
    img2: Any,
    max_val: Any,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    return_index_map: bool = False,
) -> Any:
    """The structural similarity (Wang 2004) of each pair of images.

    Args:
        img1: Images of shape (..., height, width, channels).
        img2: Others of that shape.
        max_val: The greatest value that pixels may have.
        filter_size: Pixels of the window.
        filter_sigma: The deviation of its weights.
        k1: The constant of the luminance.
        k2: The constant of contrast and structure.
        return_index_map: Whether the index of each pixel is given, the mean of the channels.
    """
    x, y, most = _pair(img1, img2, max_val, "ssim")
    index, _ = _ssim_parts(x, y, most, filter_size, filter_sigma, k1, k2)
    if boolean(return_index_map, "image.ssim", "return_index_map"):
        return ops.mean(index, axis=-1)
    return ops.mean(index, axis=(-3, -2, -1))


@operation
def ssim_multiscale(
    img1: Any,
    img2: Any,
    max_val: Any,
    power_factors: Any = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333),
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Any:
    """The structural similarity over several sizes (Wang 2003); with a power for each; see `ssim`."""
    x, y, most = _pair(img1, img2, max_val, "ssim_multiscale")
    outer = tuple(x.shape[:-3])
    x, y = (ops.reshape(v, (-1, *v.shape[-3:])) for v in (x, y))
    total = None
    for i, power in enumerate(power_factors):
        if i:
            # An odd image has its last row or column twice.
            odd = [[0, 0], *([0, n % 2] for n in x.shape[1:3]), [0, 0]]
            x, y = (
                ops.nn.average_pool(ops.pad(v, odd, mode="symmetric"), 2, 2, "valid", "channels_last")
                for v in (x, y)
            )
        index, structure = _ssim_parts(x, y, most, filter_size, filter_sigma, k1, k2)
        part = index if i == len(power_factors) - 1 else structure
        factor = ops.power(ops.nn.relu(ops.mean(part, axis=(1, 2))), power)
        total = factor if total is None else total * factor
    return ops.reshape(ops.mean(total, axis=-1), outer)


@operation
def total_variation(images: Any) -> Any:
    """The sum of the differences of neighbouring pixels, for each image."""
    x = tensor(images)
    if x.ndim not in (3, 4):
        raise ValueError(f"tf.image.total_variation: expected 3 or 4 axes, received shape {tuple(x.shape)}")
    down, right = x[..., 1:, :, :] - x[..., :-1, :, :], x[..., :, 1:, :] - x[..., :, :-1, :]
    axes = (-3, -2, -1)
    result = ops.sum(ops.abs(down), axes) + ops.sum(ops.abs(right), axes)
    return result if result.dtype == x.dtype else ops.cast(result, x.dtype)


@operation
def image_gradients(image: Any) -> tuple[Any, Any]:
    """The differences to the pixels below and to the right; 0 in the last row and column."""
    x = tensor(image)
    if x.ndim != 4:
        raise ValueError(f"tf.image.image_gradients: expected 4 axes, received shape {tuple(x.shape)}")
    down, right = x[:, 1:] - x[:, :-1], x[:, :, 1:] - x[:, :, :-1]
    return (
        ops.pad(down, [[0, 0], [0, 1], [0, 0], [0, 0]]),
        ops.pad(right, [[0, 0], [0, 0], [0, 1], [0, 0]]),
    )


@operation
def sobel_edges(image: Any) -> Any:
    """The changes downwards and to the right by Sobel's filters, along a new last axis."""
    return ops.image.sobel_edges(tensor(image), data_format="channels_last")
