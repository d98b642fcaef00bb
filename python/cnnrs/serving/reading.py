"""From the body of a request to images, within limits."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

import numpy as np

from cnnrs.data import image_info
from cnnrs.runs.inference import Classifier
from cnnrs.serving.limits import Limits

__all__ = ["Refused", "decoded", "of_json"]


# Of a document: a text; numbers, in brackets or in brackets in brackets; and what Python alone takes for
# JSON. Bounds keep a row that is no picture from being one long step.
_NUMBERS = r"[-+0-9.eE,\s]"
_PIECES = re.compile(
    rf'"(?:[^"\\]|\\.)*"|\[{_NUMBERS}*(?:\[{_NUMBERS}{{0,128}}\]{_NUMBERS}{{0,128}}){{0,1024}}\]|NaN|-?Infinity',
    re.DOTALL,
)


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

    Raises:
        Refused: It is no JSON, or has no images.
    """
    try:
        document = _parsed(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"expected JSON: {error}") from error
    if isinstance(document, dict) and isinstance(document.get("images"), np.ndarray):
        document["images"] = list(document["images"])
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        raise Refused(
            400, 'expected {"images": […]}: files in base64, or lists of rows of pixels from 0 to 255'
        )
    unknown = sorted(set(document) - {"images", "top"})
    if unknown:
        raise Refused(400, f"no {unknown[0]!r}; expected images and top")
    return [_entry(number, entry) for number, entry in enumerate(document["images"])], document


def _parsed(text: str) -> Any:
    """The document, rows of numbers as arrays.

    Parsers and numpy hold the GIL while they work. Row by row, others get their turn in between.

    Raises:
        ValueError: It is no JSON.
    """
    rows: list[Any] = []

    def piece(match: re.Match[str]) -> str:
        found = match.group()
        if found[0] == '"':
            return found
        if found[0] != "[":
            rows.append(float(found))
            return "NaN"
        values = json.loads(found)
        try:
            rows.append(np.asarray(values, np.float32))
        except (TypeError, ValueError, OverflowError):
            rows.append(values)
        return "NaN"

    rest = _PIECES.sub(piece, text)
    left = iter(rows)
    return json.loads(rest, parse_constant=lambda _: next(left))


def _entry(number: int, entry: Any) -> Any:
    if isinstance(entry, str):
        text = entry.partition(",")[2] if entry.startswith("data:") else entry
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refused(400, f"images[{number}]: expected a file in base64: {error}") from error
    try:
        array = np.asarray(entry, np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(400, f"images[{number}]: expected rows of pixels: {error}") from error
    if array.ndim not in (2, 3) or not array.size:
        raise Refused(
            400, f"images[{number}]: expected (height, width) or (height, width, channels), received shape "
            f"{array.shape}"
        )  # fmt: skip
    if not np.all(np.isfinite(array)) or array.min() < 0 or array.max() > 255:
        raise Refused(400, f"images[{number}]: expected pixels from 0 to 255")
    return array


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
