"""From the body of a request to images, within limits."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.data import image_info
from cnnrs.runs.inference import Classifier
from cnnrs.serving.limits import Limits

__all__ = ["Refused", "decoded", "of_json"]


# Characters of base64 that are decoded at once: whoever else wants the GIL waits for one such piece.
_PIECE = 1 << 20


class Refused(Exception):
    """A request that is answered by an error.

    Attributes:
        status: The status of HTTP.
        message: What is wrong with it.
    """

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status, self.message = status, message


def of_json(body: bytes) -> tuple[list[Any], dict[str, Any]]:
    """The images of a JSON document, as bytes of files or as arrays, and what else it says.

    The document is parsed in Rust without the GIL: rows of numbers become arrays at once.

    Raises:
        Refused: It is no JSON, or has no images.
    """
    try:
        images, top, is_object = _core.parse_image_json(body)
    except ValueError as error:
        message = str(error)
        own = message.startswith(("images[", "no "))
        raise Refused(400, message if own else f"expected JSON: {message}") from error
    if images is None or not is_object:
        raise Refused(
            400, 'expected {"images": […]}: files in base64, or lists of rows of pixels from 0 to 255'
        )
    rest = {} if top is None else {"top": json.loads(top)}
    return [_entry(number, entry) for number, entry in enumerate(images)], rest


def _entry(number: int, entry: Any) -> Any:
    if isinstance(entry, str):
        return _of_base64(number, entry.partition(",")[2] if entry.startswith("data:") else entry)
    if entry.ndim not in (2, 3) or not entry.size:
        raise Refused(
            400, f"images[{number}]: expected (height, width) or (height, width, channels), received shape "
            f"{entry.shape}"
        )  # fmt: skip
    if not np.all(np.isfinite(entry)) or entry.min() < 0 or entry.max() > 255:
        raise Refused(400, f"images[{number}]: expected pixels from 0 to 255")
    return entry


def _of_base64(number: int, text: str) -> bytes:
    """The file of a text in base64."""
    parts = []
    try:
        for start in range(0, len(text), _PIECE):
            piece = text[start : start + _PIECE]
            parts.append(base64.b64decode(piece, validate=True))
            if start + _PIECE < len(text) and len(parts[-1]) != _PIECE // 4 * 3:
                raise ValueError("characters behind the end")
    except (binascii.Error, ValueError) as error:
        raise Refused(400, f"images[{number}]: expected a file in base64: {error}") from error
    return b"".join(parts)


def decoded(classifier: Classifier, limits: Limits, images: list[tuple[str, Any]]) -> list[np.ndarray]:
    """Images as the model takes them.

    Args:
        classifier: The model.
        limits: How many pixels an image may have.
        images: What each is called, and its bytes or pixels.

    Raises:
        Refused: One is no image, or too large.
    """
    found = []
    for name, image in images:
        if isinstance(image, bytes):
            if not image:
                raise Refused(422, f"{name}: expected an image, received nothing")
            _check_pixels(name, image, limits)
        try:
            is_file = isinstance(image, bytes)
            found.append(classifier.read(image) if is_file else classifier.preprocessing.pixels(image))
        except (ValueError, MemoryError) as error:
            message = str(error).removeprefix("predict_image: images: ")
            raise Refused(422, f"{name}: {message}") from error
    return found


def _check_pixels(name: str, content: bytes, limits: Limits) -> None:
    """Looks at the header alone: what is too large is not decoded."""
    try:
        info = image_info(content)
    except ValueError:
        # The decoder says what is wrong with it.
        return
    width, height = info.width, info.height
    if width * height > limits.max_pixels:
        raise Refused(
            413, f"{name}: {width}x{height} pixels; at most {limits.max_pixels:,} are taken"
        )  # fmt: skip
