"""Images as arrays, files and Pillow's images. Pillow is the extra `cnnrs[image]`."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from cnnrs import config, ops
from cnnrs.base.suggest import did_you_mean
from cnnrs.ops.spatial import image_data_format, pair

__all__ = ["array_to_img", "img_to_array", "load_img", "pillow", "save_img", "smart_resize"]


def pillow(function: str) -> ModuleType:
    """The module `PIL.Image`.

    Raises:
        ImportError: Pillow is not there; the message names the extra.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            f"{function}: Pillow is not there; install it with: pip install 'cnnrs[image]'"
        ) from error
    return Image


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """Makes an image of Pillow of an array.

    Args:
        x: Array of shape (height, width, channels), with 1, 3 or 4 channels.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        scale: Whether the least number becomes 0 and the largest 255; else they stay what they are.
        dtype: Element type of the computation; None takes `config.floatx()`.

    Returns:
        A `PIL.Image.Image`.

    Raises:
        ImportError: Pillow is not there.
        ValueError: The array has another shape.

    Example:
        >>> import numpy as np
        >>> from cnnrs import utils
        >>> utils.array_to_img(np.zeros((2, 3, 3))).size
        (3, 2)
    """
    image = pillow("array_to_img")
    first = image_data_format(data_format) == "channels_first"
    array = np.array(x, dtype=dtype or config.floatx())
    if array.ndim != 3:
        raise ValueError(f"array_to_img: x: expected 3 axes, received shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"array_to_img: x: expected pixels, received shape {array.shape}")
    if first:
        array = array.transpose(1, 2, 0)
    if scale:
        array = array - np.min(array)
        largest = np.max(array)
        array = array / largest * 255 if largest != 0 else array
    channels = array.shape[2]
    if channels not in (1, 3, 4):
        raise ValueError(f"array_to_img: x: expected 1, 3 or 4 channels, received shape {array.shape}")
    if channels == 1:
        # More than 8 bits are another mode.
        kind = np.int32 if np.max(array) > 255 else np.uint8
        return image.fromarray(array[:, :, 0].astype(kind))
    return image.fromarray(array.astype(np.uint8))


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """Makes an array of an image.

    Args:
        img: An image of Pillow, or an array of shape (height, width) or (height, width, channels).
        data_format: "channels_last" or "channels_first", of the result; None takes the configured one.
        dtype: Element type; None takes `config.floatx()`.

    Returns:
        Array of 3 axes.

    Raises:
        ValueError: The image has another number of axes.

    Example:
        >>> import numpy as np
        >>> from cnnrs import utils
        >>> utils.img_to_array(np.ones((2, 3), "uint8")).shape
        (2, 3, 1)
    """
    first = image_data_format(data_format) == "channels_first"
    array = np.asarray(img, dtype=dtype or config.floatx())
    if array.ndim == 2:
        return array[None] if first else array[:, :, None]
    if array.ndim != 3:
        raise ValueError(f"img_to_array: img: expected 2 or 3 axes, received shape {array.shape}")
    return array.transpose(2, 0, 1) if first else array


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Writes an array as an image file.

    Args:
        path: The file: a path, or an open file.
        x: Array of shape (height, width, channels).
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        file_format: The format, as "png"; None takes that of the path's suffix.
        scale: As for `array_to_img`.
        **kwargs: Further arguments of `PIL.Image.Image.save`.

    Raises:
        ImportError: Pillow is not there.
        ValueError: The array has another shape, or the format is unknown.

    Example:
        >>> import io
        >>> import numpy as np
        >>> from cnnrs import utils
        >>> file = io.BytesIO()
        >>> utils.save_img(file, np.ones((2, 3, 3)), file_format="png")
        >>> utils.load_img(file).size
        (3, 2)
    """
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = Path(os.fspath(path)).suffix[1:].lower()
    if file_format and file_format.lower() == "jpg":
        file_format = "jpeg"
    if file_format:
        known = pillow("save_img")
        known.init()
        if file_format.upper() not in known.SAVE:
            hint = did_you_mean(file_format, [name.lower() for name in known.SAVE])
            raise ValueError(
                f"save_img: file_format: expected a format that Pillow writes, received {file_format!r}{hint}"
            )
    img = array_to_img(x, data_format=data_format, scale=scale)
    if img.mode == "RGBA" and file_format == "jpeg":
        warnings.warn("save_img: JPEG has no alpha channel; it is left out", UserWarning, stacklevel=2)
        img = img.convert("RGB")
    img.save(path, format=file_format, **kwargs)


_MODES = {"rgb": ("RGB",), "rgba": ("RGBA",), "grayscale": ("L", "I;16", "I")}


def in_mode(img: Any, color_mode: str, function: str) -> Any:
    """An image of Pillow with other channels.

    Raises:
        ValueError: `color_mode` is unknown.
    """
    if color_mode not in _MODES:
        raise ValueError(
            f"{function}: color_mode: expected 'rgb', 'rgba' or 'grayscale', received {color_mode!r}"
        )
    return img if img.mode in _MODES[color_mode] else img.convert(_MODES[color_mode][0])


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Reads an image file.

    Args:
        path: The file: a path, or an `io.BytesIO` of its content.
        color_mode: "rgb", "rgba" or "grayscale".
        target_size: The (height, width) to which the image is resized; None leaves it.
        interpolation: How, as Pillow has it: "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos".
        keep_aspect_ratio: Whether the image is cropped around its middle first, so that it stays undistorted.

    Returns:
        A `PIL.Image.Image`.

    Raises:
        ImportError: Pillow is not there.
        TypeError: `path` is no path.
        ValueError: Another argument is none of the values above.

    Example:
        >>> import io
        >>> import numpy as np
        >>> from cnnrs import utils
        >>> file = io.BytesIO()
        >>> utils.save_img(file, np.ones((2, 3, 3)), file_format="png")
        >>> utils.load_img(file, target_size=(8, 8)).size
        (8, 8)
    """
    image = pillow("load_img")
    if isinstance(path, io.BytesIO):
        img = image.open(path)
    elif isinstance(path, (str, bytes, os.PathLike)):
        with open(path, "rb") as file:
            content = file.read()
        try:
            img = image.open(io.BytesIO(content))
        except image.UnidentifiedImageError:
            kind = "an empty file" if not content else "not an image that Pillow reads, or damaged"
            raise image.UnidentifiedImageError(f"load_img: {os.fspath(path)!r}: {kind}") from None
    else:
        raise TypeError(f"load_img: path: expected a path or io.BytesIO, received {type(path).__name__}")
    img = in_mode(img, color_mode, "load_img")
    if target_size is None:
        return img
    height, width = pair(target_size, "load_img: target_size")
    if img.size == (width, height):
        return img
    methods = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
    if interpolation not in methods:
        raise ValueError(
            f"load_img: interpolation: expected one of {', '.join(methods)}, received {interpolation!r}"
        )
    box = None
    if keep_aspect_ratio:
        across, down = img.size
        rows, columns = min(down, across * height // width), min(across, down * width // height)
        left, top = (across - columns) // 2, (down - rows) // 2
        box = (left, top, left + columns, top + rows)
    return img.resize((width, height), getattr(image.Resampling, interpolation.upper()), box=box)


def smart_resize(
    x: Any, size: Any, interpolation: str = "bilinear", data_format: str | None = "channels_last"
) -> Any:
    """Images cropped around their middle to the proportions of a size, and resized to it.

    Args:
        x: Images of 3 or 4 axes.
        size: The (height, width).
        interpolation: As for `ops.image.resize`.
        data_format: "channels_last" or "channels_first"; None takes the configured one.

    Returns:
        A tensor; an array if `x` is one.

    Raises:
        ValueError: Another number of axes or another size is given.

    Example:
        >>> import numpy as np
        >>> from cnnrs.preprocessing.image import smart_resize
        >>> smart_resize(np.ones((8, 20, 3)), (4, 4)).shape
        (4, 4, 3)
    """
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ValueError(f"smart_resize: size: expected (height, width), received {size!r}")
    resized = ops.image.resize(
        x, size, interpolation, crop_to_aspect_ratio=True, data_format=image_data_format(data_format)
    )
    return resized.numpy() if isinstance(x, np.ndarray) else resized
