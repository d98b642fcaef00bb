"""Images of files and of bytes as arrays of uint8."""

from __future__ import annotations

import io
import os
import warnings
from typing import Any

import numpy as np

from cnnrs.base.extras import library

__all__ = ["INTERPOLATIONS", "decoded"]

INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "area", "lanczos")
_FILTERS = {"bilinear": 2, "nearest": 0, "bicubic": 3, "area": 4, "lanczos": 1}
_MODES = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}


def decoded(
    source: Any,
    where: str,
    *,
    size: tuple[int, int] | None,
    color_mode: str,
    interpolation: str,
    fit: str,
) -> np.ndarray:
    """An image as (height, width, channels) of uint8.

    Args:
        source: A path, or the bytes of a file.
        where: What errors call the function.
        size: (height, width); None leaves it.
        color_mode: "rgb", "rgba" or "grayscale".
        interpolation: One of `INTERPOLATIONS`.
        fit: "stretch" to the size, "crop" what lies beyond its shape, or "pad" with zeros.

    Raises:
        ImportError: Pillow, of the extra `image`, is not there.
        FileNotFoundError: There is no such file.
        ValueError: It is no image, or damaged; the message names the file.
    """
    image = library("PIL.Image", "image", where)
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    name = "the bytes" if isinstance(source, bytes) else os.fspath(source)
    try:
        with warnings.catch_warnings():
            # A file of more pixels than Pillow likes is refused, and not warned of.
            warnings.simplefilter("error", image.DecompressionBombWarning)
            with image.open(file) as opened:
                picture = opened if opened.mode == _MODES[color_mode] else opened.convert(_MODES[color_mode])
                picture.load()
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError, image.DecompressionBombError, Warning) as error:
        raise ValueError(f"{where}: {name}: not an image, or damaged: {error}") from error
    if size is not None and (picture.height, picture.width) != size:
        picture = _resized(image, picture, size, _FILTERS[interpolation], fit)
    array = np.asarray(picture)
    return array if array.ndim == 3 else array[:, :, None]


def _resized(image: Any, picture: Any, size: tuple[int, int], method: int, fit: str) -> Any:
    height, width = size
    if fit == "stretch":
        return picture.resize((width, height), method)
    if fit == "crop":
        ratio = min(picture.width / width, picture.height / height)
        inner_w, inner_h = width * ratio, height * ratio
        left, top = (picture.width - inner_w) / 2, (picture.height - inner_h) / 2
        return picture.resize((width, height), method, box=(left, top, left + inner_w, top + inner_h))
    ratio = max(picture.width / width, picture.height / height)
    inner = max(round(picture.width / ratio), 1), max(round(picture.height / ratio), 1)
    whole = image.new(picture.mode, (width, height))
    whole.paste(picture.resize(inner, method), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return whole
