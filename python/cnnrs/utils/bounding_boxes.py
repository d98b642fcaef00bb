"""Bounding boxes for models that find objects: their formats, their overlap, and deltas against anchors.

Boxes are tensors of shape (boxes, 4) or (batch, boxes, 4). "xyxy" is left, top, right, bottom in pixels; the
other formats are "yxyx", "xywh", "center_xywh", "center_yxhw", and the first four of these after "rel_" for
parts of the image's size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cnnrs import config, ops
from cnnrs.layers.augmentation import boxes as bounding
from cnnrs.layers.augmentation.boxes import clip_to_image_size, convert_format

__all__ = [
    "affine_transform",
    "clip_to_image_size",
    "compute_ciou",
    "compute_iou",
    "convert_format",
    "crop",
    "decode_deltas_to_boxes",
    "encode_box_to_deltas",
    "pad",
]

_CENTERS = ("center_xywh", "center_yxhw")


def _corners_only(function: str, bounding_box_format: str) -> None:
    if bounding_box_format.lower() != "xyxy":
        raise NotImplementedError(
            f"{function}: bounding_box_format: expected 'xyxy', received {bounding_box_format!r}; "
            "convert_format makes such boxes of others"
        )


def affine_transform(
    boxes: Any,
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: Any,
    width: Any,
    center_x: Any = None,
    center_y: Any = None,
    bounding_box_format: str = "xyxy",
) -> Any:
    """The least boxes around those whose corners an affine map moves.

    The next six arguments are numbers, or have shape (batch,).

    Args:
        boxes: Tensor of shape (boxes, 4) or (batch, boxes, 4).
        angle: Rotation in degrees.
        translate_x: Move along the width, as a part of it.
        translate_y: Move along the height, as a part of it.
        scale: Factor of the size.
        shear_x: Shear along the width in degrees.
        shear_y: Shear along the height in degrees.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        center_x: The point that stays, as a part of the width; None takes the middle.
        center_y: The point that stays, as a part of the height; None takes the middle.
        bounding_box_format: "xyxy", which is the only one here.

    Raises:
        NotImplementedError: The boxes have another format.
        ValueError: The boxes have another shape.

    >>> import numpy as np
    >>> from cnnrs.utils import bounding_boxes
    >>> bounding_boxes.affine_transform(np.array([[1.0, 2, 5, 6]]), 0, 0, 0, 2, 0, 0, 11, 11).numpy().tolist()
    [[-3.0, -1.0, 5.0, 7.0]]
    """
    _corners_only("affine_transform", bounding_box_format)
    boxes = _floats("affine_transform", "boxes", boxes)
    turn, across, down, factor, lean_x, lean_y = (
        ops.reshape(ops.cast(value, boxes.dtype), (-1, 1, 1))
        for value in (angle, translate_x, translate_y, scale, shear_x, shear_y)
    )
    radians = -math.pi / 180
    turn, lean_x, lean_y = turn * radians, lean_x * radians, lean_y * radians
    # What rotation and shear do; the map is its inverse, whose determinant is 1.
    a = ops.cos(turn - lean_y) / ops.cos(lean_y)
    c = -ops.sin(turn - lean_y) / ops.cos(lean_y)
    b = a * ops.tan(lean_x) + ops.sin(turn)
    d = ops.cos(turn) - c * ops.tan(lean_x)
    x = (0.5 if center_x is None else center_x) * (width - 1)
    y = (0.5 if center_y is None else center_y) * (height - 1)
    from_x, from_y = x - across * (width - 1), y - down * (height - 1)
    to_x, to_y = (d * factor, -b * factor), (-c * factor, a * factor)
    forward = (
        *(*to_x, x - to_x[0] * from_x - to_x[1] * from_y),
        *(*to_y, y - to_y[0] * from_x - to_y[1] * from_y),
    )
    if len(boxes.shape) == 3:
        return bounding.affine(boxes, forward)
    return bounding.affine(boxes[None], forward)[0]


def crop(boxes: Any, top: Any, left: Any, height: Any, width: Any, bounding_box_format: str = "xyxy") -> Any:
    """Boxes as they lie in a part of the image, cut off at its borders.

    Args:
        boxes: Tensor of shape (boxes, 4) or (batch, boxes, 4).
        top: The first row of the part.
        left: The first column of the part.
        height: Its height.
        width: Its width.
        bounding_box_format: "xyxy", which is the only one here.

    Raises:
        NotImplementedError: The boxes have another format.
        ValueError: The boxes have another shape.

    >>> import numpy as np
    >>> from cnnrs.utils import bounding_boxes
    >>> boxes = np.array([[10, 20, 50, 60]])
    >>> bounding_boxes.crop(boxes, top=10, left=20, height=40, width=25).numpy().tolist()
    [[0.0, 10.0, 25.0, 40.0]]
    """
    _corners_only("crop", bounding_box_format)
    x0, y0, x1, y1 = bounding.split(_floats("crop", "boxes", boxes))
    columns = [ops.clip(x - left, 0, width) for x in (x0, x1)]
    rows = [ops.clip(y - top, 0, height) for y in (y0, y1)]
    return bounding.together(columns[0], rows[0], columns[1], rows[1])


def pad(
    boxes: Any,
    top: Any,
    left: Any,
    height: Any = None,
    width: Any = None,
    bounding_box_format: str = "xyxy",
) -> Any:
    """Boxes as they lie in an image that got rows above and columns at the left.

    Args:
        boxes: Tensor of shape (boxes, 4) or (batch, boxes, 4).
        top: How many rows.
        left: How many columns.
        height: None: boxes move alike in an image of any height.
        width: None, likewise.
        bounding_box_format: "xyxy", which is the only one here.

    Raises:
        NotImplementedError: The boxes have another format.
        ValueError: The boxes have another shape, or a height or width is given.

    >>> import numpy as np
    >>> from cnnrs.utils import bounding_boxes
    >>> bounding_boxes.pad(np.array([[1, 2, 5, 6]]), top=3, left=4).numpy().tolist()
    [[5.0, 5.0, 9.0, 9.0]]
    """
    _corners_only("pad", bounding_box_format)
    if height is not None or width is not None:
        raise ValueError(
            "pad: height, width: expected None, since boxes move alike in an image of any size; "
            f"received {height!r} and {width!r}; clip_to_image_size cuts boxes off"
        )
    x0, y0, x1, y1 = bounding.split(_floats("pad", "boxes", boxes))
    return bounding.together(x0 + left, y0 + top, x1 + left, y1 + top)


def _floats(function: str, argument: str, boxes: Any) -> Any:
    boxes = ops.convert_to_tensor(boxes)
    if len(boxes.shape) not in (2, 3) or boxes.shape[-1] != 4:
        raise ValueError(
            f"{function}: {argument}: expected shape (boxes, 4) or (batch, boxes, 4), "
            f"received {tuple(boxes.shape)}"
        )
    return boxes if "float" in str(boxes.dtype) else ops.cast(boxes, config.floatx())


def _sides(function: str, image_shape: Any) -> tuple[Any, Any]:
    if image_shape is None:
        return None, None
    if not isinstance(image_shape, (tuple, list)) or len(image_shape) != 3:
        raise ValueError(
            f"{function}: image_shape: expected (height, width, channels), received {image_shape!r}"
        )
    return image_shape[0], image_shape[1]


def compute_iou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: float = -1,
    image_shape: Any = None,
) -> Any:
    """The overlap of each box with each other one: the part of their union that both cover.

    Args:
        boxes1: Tensor of shape (n, 4) or (batch, n, 4).
        boxes2: Tensor of shape (m, 4) or (batch, m, 4).
        bounding_box_format: How they are given.
        use_masking: Whether boxes of negative numbers alone stand for none.
        mask_val: The overlap of such boxes.
        image_shape: (height, width, channels), needed for formats relative to the image's size.

    Returns:
        Tensor of shape (n, m), or (batch, n, m).

    Raises:
        ValueError: The boxes have another shape or format, or the image's is missing.

    >>> import numpy as np
    >>> from cnnrs.utils import bounding_boxes
    >>> found, true = np.array([[0, 0, 2, 2], [4, 4, 5, 5]]), np.array([[0, 0, 2, 4]])
    >>> bounding_boxes.compute_iou(found, true, "xyxy").numpy().round(3).tolist()
    [[0.5], [0.0]]
    """
    height, width = _sides("compute_iou", image_shape)
    first, second = (
        bounding.split(
            convert_format(_floats("compute_iou", name, boxes), bounding_box_format, "xyxy", height, width)
        )
        for name, boxes in (("boxes1", boxes1), ("boxes2", boxes2))
    )
    across = [ops.swapaxes(part, -1, -2) for part in second]
    columns = ops.minimum(first[2], across[2]) - ops.maximum(first[0], across[0])
    rows = ops.minimum(first[3], across[3]) - ops.maximum(first[1], across[1])
    common = ops.maximum(columns, 0.0) * ops.maximum(rows, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, across)]
    overlap = common / (areas[0] + areas[1] - common + config.epsilon())
    if not use_masking:
        return overlap
    none = [ops.max(ops.stack(box, axis=0), axis=0) < 0.0 for box in (first, across)]
    return ops.where(ops.logical_or(*none), ops.cast(mask_val, overlap.dtype), overlap)


def compute_ciou(boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Any = None) -> Any:
    """The overlap of boxes less what their distance and their proportions differ (complete IoU).

    See Zheng et al., "Enhancing Geometric Factors in Model Learning and Inference for Object Detection and
    Instance Segmentation" (2020).

    Args:
        boxes1: Tensor of shape (..., 4).
        boxes2: Tensor of the same shape.
        bounding_box_format: How they are given.
        image_shape: (height, width, channels), needed for formats relative to the image's size.

    Returns:
        Tensor of shape (...): 1 for equal boxes.

    Raises:
        ValueError: The boxes have another last axis or another format, or the image's shape is missing.

    >>> import numpy as np
    >>> from cnnrs.utils import bounding_boxes
    >>> boxes = np.array([[0.0, 0, 2, 2]])
    >>> overlap = bounding_boxes.compute_ciou(boxes, boxes + [0, 0, 0, 2], "xyxy")
    >>> print(f"{float(overlap[0]):.3f}")
    0.447
    """
    height, width = _sides("compute_ciou", image_shape)
    epsilon = config.epsilon()
    first, second = (
        [
            ops.squeeze(part, -1)
            for part in bounding.split(convert_format(boxes, bounding_box_format, "xyxy", height, width))
        ]
        for boxes in (boxes1, boxes2)
    )
    sizes = [(box[2] - box[0], box[3] - box[1] + epsilon) for box in (first, second)]
    columns = ops.minimum(first[2], second[2]) - ops.maximum(first[0], second[0])
    rows = ops.minimum(first[3], second[3]) - ops.maximum(first[1], second[1])
    common = ops.maximum(columns, 0.0) * ops.maximum(rows, 0.0)
    union = sizes[0][0] * sizes[0][1] + sizes[1][0] * sizes[1][1] - common + epsilon
    overlap = common / (union + epsilon)
    around = [ops.maximum(first[i + 2], second[i + 2]) - ops.minimum(first[i], second[i]) for i in (0, 1)]
    between = [(first[i] + first[i + 2] - second[i] - second[i + 2]) / 2 for i in (0, 1)]
    distance = (between[0] ** 2 + between[1] ** 2) / (around[0] ** 2 + around[1] ** 2 + epsilon)
    angles = [ops.arctan(across / down) for across, down in sizes]
    proportions = 4 / math.pi**2 * (angles[1] - angles[0]) ** 2
    weight = proportions / (proportions - overlap + (1 + epsilon))
    return overlap - (distance + proportions * weight)


def _variances(function: str, variance: Any) -> Any:
    if variance is None:
        return None
    factors = ops.convert_to_tensor(variance, "float32")
    if len(factors.shape) == 0 or factors.shape[-1] != 4:
        raise ValueError(f"{function}: variance: expected 4 numbers, received {variance!r}")
    return factors


def _center_format(function: str, argument: str, value: str) -> str:
    if value not in _CENTERS:
        raise ValueError(
            f"{function}: {argument}: expected 'center_xywh' or 'center_yxhw', received {value!r}"
        )
    return value


def encode_box_to_deltas(
    anchors: Any,
    boxes: Any,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Sequence[float] | None = None,
    image_shape: Any = None,
) -> Any:
    """What a model learns of boxes: distances of centers from anchors', and logarithms of ratios of sizes.

    Args:
        anchors: Tensor of shape (n, 4).
        boxes: Tensor of shape (n, 4) or (batch, n, 4).
        anchor_format: How the anchors are given.
        box_format: How the boxes are given.
        encoding_format: "center_yxhw" or "center_xywh", the order of the deltas.
        variance: Four numbers by which deltas are divided; None leaves them.
        image_shape: (height, width, channels), needed for formats relative to the image's size.

    Returns:
        Tensor of the shape of the boxes.

    Raises:
        ValueError: An argument has another shape, or is none of the values above.

    >>> import numpy as np
    >>> from cnnrs.utils import bounding_boxes
    >>> anchors, boxes = np.array([[0.0, 0, 4, 4]]), np.array([[1.0, 2, 5, 6]])
    >>> bounding_boxes.encode_box_to_deltas(anchors, boxes, "xyxy", "xyxy").numpy().tolist()
    [[0.5, 0.25, 0.0, 0.0]]
    """
    factors = _variances("encode_box_to_deltas", variance)
    order = _center_format("encode_box_to_deltas", "encoding_format", encoding_format)
    height, width = _sides("encode_box_to_deltas", image_shape)
    start = convert_format(anchors, anchor_format, order, height, width)
    goal = convert_format(boxes, box_format, order, height, width)
    sizes, goal_sizes = (ops.maximum(x[..., 2:], config.epsilon()) for x in (start, goal))
    deltas = ops.concatenate([(goal[..., :2] - start[..., :2]) / sizes, ops.log(goal_sizes / sizes)], axis=-1)
    return deltas if factors is None else deltas / factors


def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Sequence[float] | None = None,
    image_shape: Any = None,
) -> Any:
    """The boxes that a model's deltas mean: the inverse of `encode_box_to_deltas`.

    Args:
        anchors: Tensor of shape (n, 4), or a dict of them.
        boxes_delta: Tensor of shape (n, 4) or (batch, n, 4), or a dict of them with the same keys.
        anchor_format: How the anchors are given.
        box_format: How the boxes are returned.
        encoded_format: "center_yxhw" or "center_xywh", the order of the deltas.
        variance: Four numbers by which deltas are multiplied; None leaves them.
        image_shape: (height, width, channels), needed for formats relative to the image's size.

    Raises:
        ValueError: An argument has another shape, or is none of the values above.

    >>> import numpy as np
    >>> from cnnrs.utils import bounding_boxes
    >>> anchors, deltas = np.array([[0.0, 0, 4, 4]]), np.array([[0.5, 0.25, 0, 0]])
    >>> bounding_boxes.decode_deltas_to_boxes(anchors, deltas, "xyxy", "xyxy").numpy().tolist()
    [[1.0, 2.0, 5.0, 6.0]]
    """
    factors = _variances("decode_deltas_to_boxes", variance)
    order = _center_format("decode_deltas_to_boxes", "encoded_format", encoded_format)
    height, width = _sides("decode_deltas_to_boxes", image_shape)
    if isinstance(anchors, dict) != isinstance(boxes_delta, dict) or (
        isinstance(anchors, dict) and anchors.keys() != boxes_delta.keys()
    ):
        raise ValueError("decode_deltas_to_boxes: boxes_delta: expected the structure of anchors")

    def decoded(start: Any, deltas: Any) -> Any:
        start = convert_format(start, anchor_format, order, height, width)
        deltas = ops.cast(deltas, start.dtype)
        deltas = deltas if factors is None else deltas * factors
        sizes = start[..., 2:]
        parts = [deltas[..., :2] * sizes + start[..., :2], ops.exp(deltas[..., 2:]) * sizes]
        return convert_format(ops.concatenate(parts, axis=-1), order, box_format, height, width)

    if isinstance(anchors, dict):
        return {level: decoded(start, boxes_delta[level]) for level, start in anchors.items()}
    return decoded(anchors, boxes_delta)
