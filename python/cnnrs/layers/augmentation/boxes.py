"""Bounding boxes: their formats, and what transformations do to them.

Boxes are tensors of shape (boxes, 4) or (batch, boxes, 4). "xyxy" is left, top, right, bottom in pixels.
"""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.ops.box_formats import FORMATS, convert_format, split, together

__all__ = [
    "FORMATS",
    "affine",
    "areas",
    "clip_to_image_size",
    "convert_format",
    "dense",
    "marked",
    "seen_beside",
    "seen_within",
    "split",
    "together",
]

# How many characters a message quotes of what a user gave.
_SHOWN = 60


def clip_to_image_size(
    bounding_boxes: Any, height: Any = None, width: Any = None, bounding_box_format: str = "xyxy"
) -> Any:
    """Boxes cut off at the borders of the image; the labels of those that are gone become -1.

    Args:
        bounding_boxes: A dict of "boxes" and, where there are any, "labels".
        height: Height of the image in pixels; needed for "xyxy".
        width: Width of the image in pixels; needed for "xyxy".
        bounding_box_format: "xyxy" or "rel_xyxy".

    Raises:
        NotImplementedError: The boxes have another format.
        ValueError: The size is missing.
    """
    if bounding_box_format not in ("xyxy", "rel_xyxy"):
        raise NotImplementedError(
            f"bounding_box_format: expected 'xyxy' or 'rel_xyxy', received {bounding_box_format!r}"
        )
    if bounding_box_format == "rel_xyxy":
        height, width = 1.0, 1.0
    elif height is None or width is None:
        raise ValueError("height, width: expected the size of the image, received None")
    left, top, right, bottom = split(bounding_boxes["boxes"])
    sides = [ops.cast(side, left.dtype) for side in (width, height)]
    left, right = (ops.clip(x, 0.0, sides[0]) for x in (left, right))
    top, bottom = (ops.clip(y, 0.0, sides[1]) for y in (top, bottom))
    result = {**bounding_boxes, "boxes": together(left, top, right, bottom)}
    if bounding_boxes.get("labels") is not None:
        result["labels"] = marked(bounding_boxes["labels"], areas(result["boxes"]) > 0)
    return result


def marked(labels: Any, seen: Any) -> Any:
    """Labels of boxes, of which those that are not seen become -1.

    Args:
        labels: Tensor of shape (..., boxes), or (..., boxes, classes).
        seen: Which boxes are seen, of shape (..., boxes).
    """
    labels = ops.convert_to_tensor(labels)
    seen = ops.expand_dims(seen, -1) if len(labels.shape) > len(seen.shape) else seen
    return ops.where(seen, labels, ops.cast(-1, labels.dtype))


def areas(boxes: Any) -> Any:
    """The areas of "xyxy" boxes."""
    left, top, right, bottom = split(boxes)
    return ops.squeeze((right - left) * (bottom - top), -1)


def seen_within(boxes: Any, window: Any) -> tuple[Any, Any]:
    """What a window shows of "xyxy" boxes: the parts of them, and the areas of these.

    Args:
        boxes: Tensor of shape (batch, boxes, 4).
        window: Another "xyxy" box of each image, of shape (batch, 1, 4).
    """
    sides, of = split(boxes), split(window)
    left, top = (ops.clip(side, low, high) for side, low, high in zip(sides[:2], of[:2], of[2:], strict=True))
    right, bottom = (
        ops.clip(side, low, high) for side, low, high in zip(sides[2:], of[:2], of[2:], strict=True)
    )
    parts = together(left, top, right, bottom)
    return parts, areas(parts)


def seen_beside(boxes: Any, window: Any) -> tuple[Any, Any]:
    """What is left of "xyxy" boxes that a window covers in part: the boxes around it, and the areas left.

    A box becomes smaller where the window covers it from side to side and reaches beyond one of its ends.

    Args:
        boxes: Tensor of shape (batch, boxes, 4).
        window: Another "xyxy" box of each image, of shape (batch, 1, 4).
    """
    left, top, right, bottom = split(boxes)
    x0, y0, x1, y1 = split(window)
    across = ops.logical_and(x0 <= left, x1 >= right)
    along = ops.logical_and(y0 <= top, y1 >= bottom)

    def rest(covered: Any, begin: Any, end: Any, low: Any, high: Any) -> tuple[Any, Any]:
        first = ops.where(ops.logical_and(covered, low <= begin), ops.clip(high, begin, end), begin)
        last = ops.where(ops.logical_and(covered, high >= end), ops.clip(low, begin, end), end)
        # Covered as a whole, a box has its end before its begin.
        return first, ops.maximum(first, last)

    (left, right), (top, bottom) = rest(along, left, right, x0, x1), rest(across, top, bottom, y0, y1)
    return together(left, top, right, bottom), areas(boxes) - seen_within(boxes, window)[1]


def transformed(boxes: Any, matrix: Any) -> Any:
    """The least "xyxy" boxes around those whose corners a transformation moves.

    Args:
        boxes: Tensor of shape (batch, boxes, 4).
        matrix: Nine numbers of shape (batch, 1, 1), in the order of rows; None for 0 and 1 where they are so.
    """
    left, top, right, bottom = split(boxes)
    xs, ys = [], []
    for x, y in ((left, top), (right, top), (right, bottom), (left, bottom)):
        a, b, c, d, e, f, g, h, i = matrix
        depth = g * x + h * y + i
        xs.append((a * x + b * y + c) / depth)
        ys.append((d * x + e * y + f) / depth)
    xs, ys = ops.concatenate(xs, axis=-1), ops.concatenate(ys, axis=-1)
    ends = [ops.min(xs, -1), ops.min(ys, -1), ops.max(xs, -1), ops.max(ys, -1)]
    return ops.stack(ends, axis=-1)


def affine(boxes: Any, forward: tuple[Any, Any, Any, Any, Any, Any]) -> Any:
    """The least "xyxy" boxes around those moved by x' = a x + b y + c, y' = d x + e y + f."""
    one = ops.ones((1, 1, 1))
    return transformed(boxes, (*forward, 0.0 * one, 0.0 * one, one))


def dense(bounding_boxes: Any) -> dict[str, Any]:
    """Boxes as float32 tensors, and labels; lists of different lengths are filled with 0, labels with -1.

    Raises:
        ValueError: It is no dict of "boxes" and "labels", or their shapes do not fit.
    """
    if not isinstance(bounding_boxes, dict):
        raise ValueError(
            "bounding_boxes: expected a dict with the keys 'boxes' and 'labels', received "
            f"{_described(bounding_boxes)}"
        )
    missing = [key for key in ("boxes", "labels") if key not in bounding_boxes]
    if missing:
        raise ValueError(
            "bounding_boxes: expected a dict with the keys 'boxes' and 'labels', received the keys "
            f"{list(bounding_boxes)}, without {' and '.join(map(repr, missing))}; a class for each box, of "
            "shape (boxes,) or (batch, boxes), may be 0 for all"
        )
    boxes, labels = bounding_boxes["boxes"], bounding_boxes["labels"]
    if isinstance(boxes, list):
        if not isinstance(labels, list) or len(labels) != len(boxes):
            raise ValueError(
                "bounding_boxes: expected as many labels as boxes in lists, "
                f"received {len(boxes)} entries of boxes and {_described(labels)}"
            )
        if boxes and isinstance(boxes[0], list) and boxes[0] and isinstance(boxes[0][0], list):
            most = max(len(entry) for entry in boxes)
            boxes = [entry + [[0, 0, 0, 0]] * (most - len(entry)) for entry in boxes]
            labels = [entry + [-1] * (most - len(entry)) for entry in labels]
    boxes, labels = ops.cast(boxes, "float32"), ops.convert_to_tensor(labels)
    if len(boxes.shape) not in (2, 3) or boxes.shape[-1] != 4:
        raise ValueError(
            "bounding_boxes: boxes: expected shape (boxes, 4) or (batch, boxes, 4), "
            f"received {tuple(boxes.shape)}"
        )
    if len(labels.shape) not in (len(boxes.shape) - 1, len(boxes.shape)):
        raise ValueError(
            f"bounding_boxes: labels: expected shape {tuple(boxes.shape[:-1])}, or with one axis of classes "
            f"more, received {tuple(labels.shape)}"
        )
    return {**bounding_boxes, "boxes": boxes, "labels": labels}


def _described(value: Any) -> str:
    """What a user gave, without the numbers of tensors."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{type(value).__name__} of shape {tuple(shape)}"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({type(value).__name__})"
