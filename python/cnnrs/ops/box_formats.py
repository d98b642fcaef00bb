"""Formats of bounding boxes. "xyxy" is left, top, right, bottom in pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs.ops.core import cast, convert_to_tensor
from cnnrs.ops.joining import concatenate

__all__ = ["FORMATS", "convert_format", "split", "together"]

FORMATS = (
    "xyxy",
    "yxyx",
    "xywh",
    "center_xywh",
    "center_yxhw",
    "rel_xyxy",
    "rel_yxyx",
    "rel_xywh",
    "rel_center_xywh",
)


def split(boxes: Any) -> list[Any]:
    """The four numbers of boxes, each with a last axis of 1."""
    boxes = convert_to_tensor(boxes)
    return [boxes[..., i : i + 1] for i in range(4)]


def together(*parts: Any) -> Any:
    """Boxes of their four numbers."""
    return concatenate(list(parts), axis=-1)


def _from_corners(a: Any, b: Any, c: Any, d: Any) -> list[Any]:
    return [a, b, c, d]


def _from_rows(top: Any, left: Any, bottom: Any, right: Any) -> list[Any]:
    return [left, top, right, bottom]


def _from_size(left: Any, top: Any, width: Any, height: Any) -> list[Any]:
    return [left, top, left + width, top + height]


def _from_center(x: Any, y: Any, width: Any, height: Any) -> list[Any]:
    return [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0]


def _from_center_rows(y: Any, x: Any, height: Any, width: Any) -> list[Any]:
    return _from_center(x, y, width, height)


def _to_size(left: Any, top: Any, right: Any, bottom: Any) -> list[Any]:
    return [left, top, right - left, bottom - top]


def _to_center(left: Any, top: Any, right: Any, bottom: Any) -> list[Any]:
    width, height = right - left, bottom - top
    return [left + width / 2.0, top + height / 2.0, width, height]


def _to_center_rows(left: Any, top: Any, right: Any, bottom: Any) -> list[Any]:
    x, y, width, height = _to_center(left, top, right, bottom)
    return [y, x, height, width]


# To "xyxy" and from it.
_CONVERTERS: dict[str, tuple[Callable[..., list[Any]], Callable[..., list[Any]]]] = {
    "xyxy": (_from_corners, _from_corners),
    "yxyx": (_from_rows, _from_rows),
    "xywh": (_from_size, _to_size),
    "center_xywh": (_from_center, _to_center),
    "center_yxhw": (_from_center_rows, _to_center_rows),
}


def convert_format(
    boxes: Any, source: str, target: str, height: Any = None, width: Any = None, dtype: Any = "float32"
) -> Any:
    """Boxes in another format.

    Args:
        boxes: Tensor with a last axis of 4, or a dict with such a tensor under "boxes".
        source: The format that they have, one of `FORMATS`.
        target: The format that they get.
        height: Height of the image, where just one of the formats is relative to its size.
        width: Width of the image, likewise.
        dtype: Element type of the result.

    Raises:
        ValueError: A format is unknown, the last axis is not 4, or the size is missing.
    """
    if isinstance(boxes, dict):
        return {**boxes, "boxes": convert_format(boxes["boxes"], source, target, height, width, dtype)}
    boxes = convert_to_tensor(boxes)
    if boxes.shape[-1] != 4:
        raise ValueError(f"boxes: expected a last axis of 4, received shape {tuple(boxes.shape)}")
    source, target = source.lower(), target.lower()
    for argument, value in (("source", source), ("target", target)):
        if value not in FORMATS:
            raise ValueError(f"{argument}: expected one of {', '.join(FORMATS)}, received {value!r}")
    relative = source.startswith("rel_"), target.startswith("rel_")
    if any(relative) and (height is None or width is None):
        raise ValueError(
            f"height, width: expected the size of the image, to convert {source!r} to {target!r}; "
            "received None"
        )
    boxes = cast(boxes, dtype)
    if source == target:
        return boxes
    parts = _CONVERTERS[source.removeprefix("rel_")][0](*split(boxes))
    if relative[0] != relative[1]:
        sides = [cast(side, dtype) for side in (width, height, width, height)]
        parts = [p * side if relative[0] else p / side for p, side in zip(parts, sides, strict=True)]
    return together(*_CONVERTERS[target.removeprefix("rel_")][1](*parts))
