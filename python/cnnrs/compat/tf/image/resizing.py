"""Images of another size.

Pixels have their centres at halves, and without `antialias` a smaller image reads few of the pixels, as
TensorFlow has it. All methods but "nearest" give float32.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.compat.tf.arguments import boolean, integer, numbers, tensor
from cnnrs.compat.tf.image.cropping import pad_to_bounding_box
from cnnrs.compat.tf.namespaces import operation

__all__ = ["ResizeMethod", "resize", "resize_with_pad"]


class ResizeMethod:
    """How `resize` finds what lies between pixels."""

    BILINEAR = "bilinear"
    NEAREST_NEIGHBOR = "nearest"
    BICUBIC = "bicubic"
    AREA = "area"
    LANCZOS3 = "lanczos3"
    LANCZOS5 = "lanczos5"
    GAUSSIAN = "gaussian"
    MITCHELLCUBIC = "mitchellcubic"


_METHODS = tuple(value for name, value in vars(ResizeMethod).items() if name.isupper())


def _mitchell(x: np.ndarray) -> np.ndarray:
    """Mitchell and Netravali 1988, "Reconstruction filters in computer graphics", with B = C = 1/3."""
    near = ((7 * x - 12) * x * x + 16 / 3) / 6
    far = (((-7 / 3 * x + 12) * x - 20) * x + 32 / 3) / 6
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _gaussian(x: np.ndarray) -> np.ndarray:
    """A normal distribution of deviation 1/2, cut off at 3/2."""
    return np.where(x < 1.5, np.exp(-(x**2) / 0.5), 0.0)


@functools.lru_cache(maxsize=64)
def _matrix(extent: int, target: int, method: str, antialias: bool) -> np.ndarray:
    """The matrix of shape (target, extent) that resizes an axis by one of the kernels above."""
    kernel = _gaussian if method == "gaussian" else _mitchell
    scale = extent / target
    width = max(scale, 1.0) if antialias else 1.0
    centres = (np.arange(target) + 0.5) * scale - 0.5
    weights = kernel(np.abs(centres[:, None] - np.arange(extent)) / width)
    return (weights / weights.sum(axis=1, keepdims=True)).astype("float32")


def _method(method: Any) -> str:
    word = {0: "bilinear", 1: "nearest", 2: "bicubic", 3: "area"}.get(method, method)
    if word not in _METHODS:
        raise ValueError(
            f"tf.image.resize: method: expected one of {', '.join(_METHODS)}, received {method!r}"
        )
    return str(word)


@operation
def resize(
    images: Any,
    size: Any,
    method: Any = ResizeMethod.BILINEAR,
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
) -> Any:
    """Images of another size.

    Args:
        images: A tensor of shape (height, width, channels) or (batch, height, width, channels).
        size: The new height and width.
        method: One of `ResizeMethod`.
        preserve_aspect_ratio: Whether the result is the largest of the images' own proportions that fits.
        antialias: Whether a smaller image is made of all pixels.

    Returns:
        A float32 tensor; of the dtype of the images with the method "nearest", or if nothing changes.

    Raises:
        ValueError: The images have another number of axes, or the size is not two positive integers.
    """
    x, word = tensor(images), _method(method)
    wanted = numbers(size, "image.resize", "size")
    if x.ndim not in (3, 4):
        raise ValueError(f"tf.image.resize: expected images of 3 or 4 axes, received shape {tuple(x.shape)}")
    if len(wanted) != 2 or min(wanted) < 1:
        raise ValueError(f"tf.image.resize: size: expected two positive integers, received {wanted}")
    height, width = x.shape[-3:-1]
    if boolean(preserve_aspect_ratio, "image.resize", "preserve_aspect_ratio"):
        scale = min(np.float32(wanted[0]) / np.float32(height), np.float32(wanted[1]) / np.float32(width))
        wanted = [max(int(np.round(scale * np.float32(n))), 1) for n in (height, width)]
    smooth = boolean(antialias, "image.resize", "antialias")
    if wanted == [height, width] and word != "nearest":
        return x if x.dtype == "float32" else ops.cast(x, "float32")
    if word == "nearest":
        rows, columns = (
            np.minimum((np.arange(n) + np.float32(0.5)) * np.float32(m / n), m - 1).astype("int32")
            for n, m in zip(wanted, (height, width), strict=True)
        )
        return ops.take(ops.take(x, rows, axis=x.ndim - 3), columns, axis=x.ndim - 2)
    x = ops.cast(x, "float32")
    if word in ("gaussian", "mitchellcubic"):
        rows, columns = (_matrix(m, n, word, smooth) for n, m in zip(wanted, (height, width), strict=True))
        return ops.einsum("ih,jw,...hwc->...ijc", rows, columns, x)
    smooth = smooth and word != "area"
    return ops.image.resize(x, wanted, interpolation=word, antialias=smooth, data_format="channels_last")


@operation
def resize_with_pad(
    image: Any,
    target_height: Any,
    target_width: Any,
    method: Any = ResizeMethod.BILINEAR,
    antialias: bool = False,
) -> Any:
    """Images of another size, in their own proportions, with zeros around them."""
    x = tensor(image)
    target = [integer(n, "image.resize_with_pad", "target") for n in (target_height, target_width)]
    height, width = (np.float32(n) for n in x.shape[-3:-1])
    ratio = max(width / np.float32(target[1]), height / np.float32(target[0]))
    size = [int(np.floor(n / ratio)) for n in (height, width)]
    # The margin is that of the size before it is rounded down.
    exact = [(np.float32(t) - n / ratio) / 2 for t, n in zip(target, (height, width), strict=True)]
    before = [max(0, int(np.floor(margin))) for margin in exact]
    resized = resize(x, size, method, antialias=antialias)
    return pad_to_bounding_box(resized, *before, *target)
