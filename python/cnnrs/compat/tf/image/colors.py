"""Element types, brightness, contrast and colours of images."""

from __future__ import annotations

import io as _io
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.compat.tf.arguments import as_float, boolean, tensor
from cnnrs.compat.tf.dtypes import as_dtype
from cnnrs.compat.tf.namespaces import operation

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_jpeg_quality",
    "adjust_saturation",
    "convert_image_dtype",
    "grayscale_to_rgb",
    "hsv_to_rgb",
    "per_image_standardization",
    "rgb_to_grayscale",
    "rgb_to_hsv",
    "rgb_to_yiq",
    "rgb_to_yuv",
    "yiq_to_rgb",
    "yuv_to_rgb",
]


@operation
def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False) -> Any:
    """Images of another dtype: floats of 0 to 1, integers of 0 to the greatest of their type.

    Args:
        image: Images.
        dtype: The dtype.
        saturate: Whether what exceeds an integer type becomes its least or greatest number.
    """
    x, wanted = tensor(image), as_dtype(dtype)
    given = x.dtype
    clip = boolean(saturate, "image.convert_image_dtype", "saturate")
    if given == wanted:
        return x
    if given.is_integer and wanted.is_integer:
        if given.max > wanted.max:
            scaled = ops.floor_divide(x, (given.max + 1) // (wanted.max + 1))
            return (ops.saturate_cast if clip else ops.cast)(scaled, wanted.name)
        cast = (ops.saturate_cast if clip else ops.cast)(x, wanted.name)
        return cast * ((wanted.max + 1) // (given.max + 1))
    if wanted.is_floating:
        return ops.cast(x, wanted.name) * (1.0 / given.max) if given.is_integer else ops.cast(x, wanted.name)
    scaled = x * (wanted.max + 0.5)
    return (ops.saturate_cast if clip else ops.cast)(scaled, wanted.name)


def _as_floats(image: Any) -> tuple[Any, Any]:
    """Images as floats, and the dtype that they had."""
    x = tensor(image)
    return (x if x.dtype in ("float16", "float32") else convert_image_dtype(x, "float32")), x.dtype


@operation
def adjust_brightness(image: Any, delta: Any) -> Any:
    """Images to which `delta`, of the range from 0 to 1, is added."""
    x, dtype = _as_floats(image)
    return convert_image_dtype(x + ops.cast(tensor(delta), x.dtype), dtype, saturate=True)


@operation
def adjust_contrast(images: Any, contrast_factor: Any) -> Any:
    """Images whose distance from the mean of each channel is multiplied."""
    x, dtype = _as_floats(images)
    mean = ops.mean(x, axis=(x.ndim - 3, x.ndim - 2), keepdims=True)
    changed = (x - mean) * ops.cast(tensor(contrast_factor), x.dtype) + mean
    return convert_image_dtype(changed, dtype, saturate=True)


@operation
def adjust_gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Any:
    """gain · image^gamma.

    Raises:
        ValueError: gamma is negative.
    """
    if isinstance(gamma, (int, float)) and gamma < 0:
        raise ValueError(f"tf.image.adjust_gamma: gamma: expected a number of at least 0, received {gamma}")
    x, dtype = _as_floats(image)
    return convert_image_dtype(gain * ops.power(x, gamma), dtype, saturate=True)


def _hsv(image: Any) -> tuple[Any, Any, Any, Any]:
    """Hue, saturation and value of images, and the dtype that they had."""
    x, dtype = _as_floats(image)
    hsv = ops.image.rgb_to_hsv(x, data_format="channels_last")
    return hsv[..., :1], hsv[..., 1:2], hsv[..., 2:], dtype


def _of_hsv(hue: Any, saturation: Any, value: Any, dtype: Any) -> Any:
    hsv = ops.concatenate([hue, saturation, value], axis=-1)
    return convert_image_dtype(ops.image.hsv_to_rgb(hsv, data_format="channels_last"), dtype)


@operation
def adjust_hue(image: Any, delta: Any) -> Any:
    """Images whose hue is turned by `delta`, of -1 to 1."""
    hue, saturation, value, dtype = _hsv(image)
    return _of_hsv(ops.mod(hue + delta, 1.0), saturation, value, dtype)


@operation
def adjust_saturation(image: Any, saturation_factor: Any) -> Any:
    """Images whose saturation is multiplied."""
    hue, saturation, value, dtype = _hsv(image)
    return _of_hsv(hue, ops.clip(saturation * saturation_factor, 0.0, 1.0), value, dtype)


@operation
def adjust_jpeg_quality(image: Any, jpeg_quality: Any) -> Any:
    """An image as JPEG of a quality of 0 to 100 keeps it; it needs values, and the extra `cnnrs[image]`."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "tf.image.adjust_jpeg_quality: Pillow is not there; install it with: pip install 'cnnrs[image]'"
        ) from error
    x = tensor(image)
    pixels = np.asarray(convert_image_dtype(x, "uint8", saturate=True))
    buffer = _io.BytesIO()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    picture.save(buffer, "JPEG", quality=int(np.asarray(jpeg_quality)))
    decoded = np.asarray(Image.open(buffer)).reshape(pixels.shape)
    return convert_image_dtype(tensor(decoded), x.dtype, saturate=True)


@operation
def rgb_to_grayscale(images: Any) -> Any:
    """The brightness of images as one channel."""
    x = tensor(images)
    floats = convert_image_dtype(x, "float32")
    grey = ops.sum(floats * np.array([0.2989, 0.587, 0.114], "float32"), axis=-1, keepdims=True)
    return convert_image_dtype(grey, x.dtype)


@operation
def grayscale_to_rgb(images: Any) -> Any:
    """One channel three times."""
    x = tensor(images)
    if x.shape[-1] != 1:
        raise ValueError(f"tf.image.grayscale_to_rgb: expected one channel, received shape {tuple(x.shape)}")
    return ops.concatenate([x, x, x], axis=-1)


@operation
def rgb_to_hsv(images: Any) -> Any:
    """Hue, saturation and value of images of 0 to 1."""
    return ops.image.rgb_to_hsv(as_float(images, "image.rgb_to_hsv"), data_format="channels_last")


@operation
def hsv_to_rgb(images: Any) -> Any:
    """Images of hue, saturation and value of 0 to 1."""
    return ops.image.hsv_to_rgb(as_float(images, "image.hsv_to_rgb"), data_format="channels_last")


# The matrices of ITU-R BT.601 (YUV) and of NTSC (YIQ); rows are red, green and blue.
_YUV = np.array(
    [[0.299, -0.14714119, 0.61497538], [0.587, -0.28886916, -0.51496512], [0.114, 0.43601035, -0.10001026]]
)
_OF_YUV = np.array([[1.0, 1.0, 1.0], [0.0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0.0]])
_YIQ = np.array(
    [[0.299, 0.59590059, 0.2115], [0.587, -0.27455667, -0.52273617], [0.114, -0.32134392, 0.31119955]]
)
_OF_YIQ = np.array(
    [[1.0, 1.0, 1.0], [0.95598634, -0.27201283, -1.10674021], [0.6208248, -0.64720424, 1.70423049]]
)


def _product(name: str, matrix: np.ndarray, doc: str) -> Any:
    def function(images: Any) -> Any:
        x = as_float(images, f"image.{name}")
        return ops.matmul(x, matrix.astype(x.dtype.name if x.dtype != "bfloat16" else "float32"))

    function.__name__, function.__doc__ = name, doc
    return operation(function)


rgb_to_yuv = _product("rgb_to_yuv", _YUV, "Brightness and two differences of colours.")
yuv_to_rgb = _product(
    "yuv_to_rgb", _OF_YUV, "Red, green and blue of brightness and two differences of colours."
)
rgb_to_yiq = _product("rgb_to_yiq", _YIQ, "Brightness and two differences of colours, as NTSC has them.")
yiq_to_rgb = _product("yiq_to_rgb", _OF_YIQ, "Red, green and blue of NTSC's brightness and differences.")


@operation
def per_image_standardization(image: Any) -> Any:
    """(x - mean) / max(deviation, 1 / √pixels) of each image; integers become float32."""
    x = tensor(image)
    x = x if x.dtype.is_floating else ops.cast(x, "float32")
    axes = (x.ndim - 3, x.ndim - 2, x.ndim - 1)
    many = float(np.prod([x.shape[a] for a in axes]))
    mean, deviation = ops.mean(x, axes, keepdims=True), ops.std(x, axes, keepdims=True)
    return (x - mean) / ops.maximum(deviation, many**-0.5)
