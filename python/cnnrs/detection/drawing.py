"""Pictures of detections: into the pixels of an array, or as SVG, without a library."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from cnnrs.base.arguments import integer

__all__ = ["draw_boxes", "to_svg"]

# Colours of classes, one after the other (Okabe and Ito's, which colour-blind people tell apart).
_COLORS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)

# Height and mean width of letters, in pixels.
_FONT, _LETTER = 10, 6


def _pixels(image: Any, owner: str) -> np.ndarray:
    """An image as bytes of shape (height, width, 3): floats of 0..1 are scaled."""
    x = np.asarray(image)
    if x.ndim != 3 or x.shape[-1] not in (1, 3):
        raise ValueError(f"{owner}: image: expected shape (height, width, 1 or 3), received {x.shape}")
    if x.dtype.kind == "f" and x.size and x.max() <= 1.0:
        x = x * 255.0
    return np.broadcast_to(np.clip(np.rint(x), 0, 255).astype("uint8"), (*x.shape[:2], 3)).copy()


def _rows(detections: Any, least: float, owner: str) -> list[tuple[np.ndarray, int, float | None]]:
    """Boxes ("xyxy"), classes and scores of those that are there."""
    if not isinstance(detections, dict) or not {"boxes", "classes"} <= detections.keys():
        raise ValueError(f"{owner}: detections: expected a dict with boxes and classes, of one image")
    boxes, labels = np.asarray(detections["boxes"], "float64"), np.asarray(detections["classes"])
    if boxes.ndim != 2 or boxes.shape[1] != 4 or labels.shape != boxes.shape[:1]:
        raise ValueError(
            f"{owner}: detections: expected boxes of shape (n, 4) and n classes, those of one image, "
            f"received {boxes.shape} and {labels.shape}"
        )
    scores = detections.get("scores")
    points = [None] * len(boxes) if scores is None else [float(s) for s in scores]
    rows = zip(boxes, labels.astype(int).tolist(), points, strict=True)
    shown = [row for row in rows if row[1] >= 0 and (row[2] is None or row[2] >= least)]
    for box, *_ in shown:
        if not np.isfinite(box).all():
            raise ValueError(f"{owner}: detections: boxes: expected finite numbers, received {box.tolist()}")
    return shown


def draw_boxes(image: Any, detections: Any, score_threshold: float = 0.3, thickness: int = 2) -> np.ndarray:
    """An image with the edges of boxes, in a colour for each class.

    Args:
        image: Array of shape (height, width, 1 or 3), bytes or floats of 0..1 or 0..255.
        detections: Dict of "boxes" (n, 4), "xyxy" in pixels, "classes", and "scores" if there are any: one
            image's part of what a detector predicts.
        score_threshold: The least score of what is drawn.
        thickness: Pixels of an edge.

    Returns:
        uint8 array of shape (height, width, 3).

    Raises:
        ValueError: A shape does not fit, or a key is missing.

    >>> import numpy as np
    >>> from cnnrs.detection import draw_boxes
    >>> boxes = {"boxes": [[2, 2, 6, 6]], "classes": [0]}
    >>> draw_boxes(np.zeros((8, 8, 3)), boxes, thickness=1).any(axis=-1).sum()
    np.int64(16)
    """
    made = _pixels(image, "draw_boxes")
    integer(thickness, "draw_boxes", "thickness", least=1)
    height, width = made.shape[:2]
    for box, label, _ in _rows(detections, score_threshold, "draw_boxes"):
        left, top, right, bottom = (int(round(v)) for v in box)
        if right < 0 or bottom < 0 or left >= width or top >= height:
            continue
        for k in range(thickness):
            down = slice(max(top + k, 0), max(bottom - k + 1, 0))
            across = slice(max(left + k, 0), max(right - k + 1, 0))
            for y in (top + k, bottom - k):
                if 0 <= y < height:
                    made[y, across] = _COLORS[label % len(_COLORS)]
            for x in (left + k, right - k):
                if 0 <= x < width:
                    made[down, x] = _COLORS[label % len(_COLORS)]
    return made


def _png(pixels: np.ndarray) -> bytes:
    """The bytes of a PNG file of shape (height, width, 3), each row unfiltered (RFC 2083)."""
    height, width = pixels.shape[:2]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = np.concatenate([np.zeros((height, 1), "uint8"), pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def _label_at(left: float, top: float, letters: int, width: float) -> tuple[float, float]:
    """Where a label begins: above its box, or inside where there is no room, and within the picture."""
    x = max(0.0, min(left, width - _LETTER * letters))
    return x, (top - 3 if top >= _FONT + 2 else max(top, 0.0) + _FONT)


def to_svg(
    image: Any,
    detections: Any,
    class_names: Sequence[str] | None = None,
    score_threshold: float = 0.3,
    scale: int = 1,
) -> str:
    """An image with boxes, the names of their classes and their scores, as the text of an SVG file.

    Args:
        image: As in `draw_boxes`.
        detections: As in `draw_boxes`.
        class_names: Names of the classes; None for their numbers.
        score_threshold: The least score of what is drawn.
        scale: How many times larger than the image the picture is.

    Raises:
        ValueError: A shape does not fit, a key is missing, or a class has no name.

    >>> import numpy as np
    >>> from cnnrs.detection import to_svg
    >>> boxes = {"boxes": [[2, 2, 6, 6]], "classes": [0], "scores": [0.9]}
    >>> "cat 0.90" in to_svg(np.zeros((8, 8, 3)), boxes, ["cat"])
    True
    """
    pixels = _pixels(image, "to_svg")
    integer(scale, "to_svg", "scale", least=1)
    height, width = (n * scale for n in pixels.shape[:2])
    data = base64.b64encode(_png(pixels)).decode()
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="{_FONT}">',
        f'<image width="{width}" height="{height}" style="image-rendering:pixelated" '
        f'href="data:image/png;base64,{data}"/>',
    ]
    for box, label, score in _rows(detections, score_threshold, "to_svg"):
        if class_names is not None and label >= len(class_names):
            raise ValueError(
                f"to_svg: class_names: expected a name of class {label}, received {class_names!r}"
            )
        color = "rgb({},{},{})".format(*_COLORS[label % len(_COLORS)])
        left, top, right, bottom = box * scale
        words = str(label) if class_names is None else class_names[label]
        words += "" if score is None else f" {score:.2f}"
        x, y = _label_at(left, top, len(words), width)
        parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" '
            f'fill="none" stroke="{color}" stroke-width="2"/>'
        )
        parts.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}">{escape(words)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
