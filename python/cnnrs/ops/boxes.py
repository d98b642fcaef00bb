"""Boxes: how much they overlap, and the choice of the best among those that do."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from cnnrs.base.arguments import flag, integer, number
from cnnrs.base.dtypes import INTEGERS
from cnnrs.ops.arithmetic import maximum, minimum
from cnnrs.ops.box_formats import FORMATS, convert_format
from cnnrs.ops.comparisons import where
from cnnrs.ops.core import stop_gradient
from cnnrs.ops.dispatch import apply, as_float, as_index, as_tensor, op
from cnnrs.ops.special import arctan2

__all__ = [
    "box_iou",
    "complete_box_iou",
    "distance_box_iou",
    "generalized_box_iou",
    "non_max_suppression",
]


def _corners(boxes: Any, function: str, argument: str, bounding_box_format: Any) -> Any:
    """Boxes as "xyxy" in float32; those relative to an image's size keep its unit."""
    boxes = as_float(boxes)
    boxes = boxes if boxes.dtype == "float64" else boxes.astype("float32")
    if boxes.ndim < 2 or boxes.shape[-1] != 4:
        raise ValueError(f"{function}: {argument}: expected shape (..., n, 4), received {tuple(boxes.shape)}")
    if not isinstance(bounding_box_format, str) or bounding_box_format.lower() not in FORMATS:
        raise ValueError(
            f"{function}: bounding_box_format: expected one of {', '.join(FORMATS)}, received "
            f"{bounding_box_format!r}"
        )
    source = bounding_box_format.lower().removeprefix("rel_")
    # Overlaps are the same with rows and columns exchanged.
    return boxes if source in ("xyxy", "yxyx") else convert_format(boxes, source, "xyxy", dtype=boxes.dtype)


class _Sides(NamedTuple):
    """The four numbers of boxes, ordered, and their extents along both axes."""

    low: list[Any]
    high: list[Any]
    size: list[Any]


def _sides(boxes: Any, axis: int | None) -> _Sides:
    """The sides of boxes, with an axis of extent 1 at `axis`."""
    parts = [boxes[..., k] for k in range(4)]
    if axis is not None:
        parts = [part[..., None] if axis == -1 else part[..., None, :] for part in parts]
    low = [minimum(parts[k], parts[k + 2]) for k in (0, 1)]
    high = [maximum(parts[k], parts[k + 2]) for k in (0, 1)]
    return _Sides(low, high, [b - a for a, b in zip(low, high, strict=True)])


def _ratio(a: Any, b: Any) -> Any:
    """`a / b`; 0, without a gradient, where `b` is 0."""
    has_any = b > 0.0
    return where(has_any, a / where(has_any, b, 1.0), 0.0)


def _shape_penalty(first: _Sides, second: _Sides, iou: Any) -> Any:
    """The penalty of other proportions (Zheng et al. 2020, equations 8 to 11); its weight is a constant."""
    angles = []
    for sides in (first, second):
        width, height = sides.size
        # A box without sides has no proportions, and no gradient of them.
        is_point = (width <= 0.0) & (height <= 0.0)
        angles.append(arctan2(width, where(is_point, 1.0, height)))
    difference = 4.0 / math.pi**2 * (angles[1] - angles[0]) ** 2
    weight = stop_gradient(_ratio(difference, 1.0 - iou + difference))
    return weight * difference


def _overlap(
    function: str, kind: str, boxes1: Any, boxes2: Any, aligned: Any, bounding_box_format: Any
) -> Any:
    flag(aligned, function, "aligned")
    first, second = (
        _corners(boxes, function, name, bounding_box_format)
        for name, boxes in (("boxes1", boxes1), ("boxes2", boxes2))
    )
    if aligned and first.shape[-2] != second.shape[-2] and 1 not in (first.shape[-2], second.shape[-2]):
        raise ValueError(
            f"{function}: boxes2: expected as many boxes as boxes1, which aligned=True compares one by one, "
            f"received {tuple(first.shape)} and {tuple(second.shape)}; aligned=False compares all pairs"
        )
    a, b = (_sides(first, None), _sides(second, None)) if aligned else (_sides(first, -1), _sides(second, -2))
    common = [maximum(minimum(a.high[k], b.high[k]) - maximum(a.low[k], b.low[k]), 0.0) for k in (0, 1)]
    both = common[0] * common[1]
    union = a.size[0] * a.size[1] + b.size[0] * b.size[1] - both
    iou = _ratio(both, union)
    if kind == "iou":
        return iou
    around = [maximum(a.high[k], b.high[k]) - minimum(a.low[k], b.low[k]) for k in (0, 1)]
    if kind == "giou":
        hull = around[0] * around[1]
        return iou - _ratio(hull - union, hull)
    between = [(a.low[k] + a.high[k] - b.low[k] - b.high[k]) * 0.5 for k in (0, 1)]
    distance = _ratio(between[0] ** 2 + between[1] ** 2, around[0] ** 2 + around[1] ** 2)
    if kind == "diou":
        return iou - distance
    return iou - distance - _shape_penalty(a, b, iou)


@op
def box_iou(boxes1: Any, boxes2: Any, aligned: bool = False, bounding_box_format: str = "xyxy") -> Any:
    """Gives the intersection over union of boxes: the part of their union that both cover.

    Boxes without area overlap nothing. Opposite corners may stand in any order.

    Args:
        boxes1: Tensor of shape (..., n, 4).
        boxes2: Tensor of shape (..., m, 4), whose leading axes broadcast with those of `boxes1`.
        aligned: Whether boxes are compared one by one, with `n == m`, or all pairs of them.
        bounding_box_format: How boxes are given: "xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", or
            "rel_" before one of these.

    Returns:
        Float tensor of 0..1, of shape (..., n, m), or (..., n) if aligned.

    Raises:
        TypeError: An argument is not numeric, or `aligned` is no bool.
        ValueError: Shapes do not fit, or the format is unknown.

    Example:
        >>> from cnnrs import ops
        >>> ops.box_iou([[0.0, 0, 2, 2]], [[0.0, 0, 2, 1], [5, 5, 6, 6]]).tolist()
        [[0.5, 0.0]]
    """
    return _overlap("box_iou", "iou", boxes1, boxes2, aligned, bounding_box_format)


@op
def generalized_box_iou(
    boxes1: Any, boxes2: Any, aligned: bool = False, bounding_box_format: str = "xyxy"
) -> Any:
    """Gives the generalized IoU of boxes: IoU less the part of the box around both that neither covers.

    GIoU = IoU - |C \\ (A u B)| / |C|, with C the least box around A and B. It has a gradient where boxes lie
    apart.

    Args:
        boxes1: Tensor of shape (..., n, 4).
        boxes2: Tensor of shape (..., m, 4).
        aligned: Whether boxes are compared one by one, or all pairs of them.
        bounding_box_format: As in `box_iou`.

    Returns:
        Float tensor of -1..1, of shape (..., n, m), or (..., n) if aligned.

    Raises:
        TypeError: An argument is not numeric, or `aligned` is no bool.
        ValueError: Shapes do not fit, or the format is unknown.

    Reference:
        Rezatofighi, Tsoi, Gwak, Sadeghian, Reid and Savarese 2019, "Generalized Intersection over Union: A
        Metric and A Loss for Bounding Box Regression", arXiv:1902.09630, algorithm 1.

    Example:
        >>> from cnnrs import ops
        >>> ops.generalized_box_iou([[0.0, 0, 1, 1]], [[1.0, 0, 2, 1], [3, 0, 4, 1]]).tolist()
        [[0.0, -0.5]]
    """
    return _overlap("generalized_box_iou", "giou", boxes1, boxes2, aligned, bounding_box_format)


@op
def distance_box_iou(
    boxes1: Any, boxes2: Any, aligned: bool = False, bounding_box_format: str = "xyxy"
) -> Any:
    """Gives the distance IoU of boxes: IoU less the squared distance of their centers by a squared diagonal.

    The diagonal is that of the least box around both. It is invariant to scale, but not to the ratio of the
    axes' units: boxes relative to the size of an image that is no square have another one than in pixels.

    Args:
        boxes1: Tensor of shape (..., n, 4).
        boxes2: Tensor of shape (..., m, 4).
        aligned: Whether boxes are compared one by one, or all pairs of them.
        bounding_box_format: As in `box_iou`.

    Returns:
        Float tensor of -1..1, of shape (..., n, m), or (..., n) if aligned.

    Raises:
        TypeError: An argument is not numeric, or `aligned` is no bool.
        ValueError: Shapes do not fit, or the format is unknown.

    Reference:
        Zheng, Wang, Liu, Li, Ye and Ren 2020, "Distance-IoU Loss: Faster and Better Learning for Bounding Box
        Regression", arXiv:1911.08287, equations 6 and 7.

    Example:
        >>> from cnnrs import ops
        >>> ops.distance_box_iou([[0.0, 0, 4, 4]], [[0.0, 0, 4, 4], [1, 1, 3, 3]]).tolist()
        [[1.0, 0.25]]
    """
    return _overlap("distance_box_iou", "diou", boxes1, boxes2, aligned, bounding_box_format)


@op
def complete_box_iou(
    boxes1: Any, boxes2: Any, aligned: bool = False, bounding_box_format: str = "xyxy"
) -> Any:
    """Gives the complete IoU of boxes: distance IoU less a penalty a·v of different proportions.

    v = 4/pi² (arctan(w1/h1) - arctan(w2/h2))², and a = v / (1 - IoU + v), through which no gradient flows.

    Args:
        boxes1: Tensor of shape (..., n, 4).
        boxes2: Tensor of shape (..., m, 4).
        aligned: Whether boxes are compared one by one, or all pairs of them.
        bounding_box_format: As in `box_iou`.

    Returns:
        Float tensor of -2..1, of shape (..., n, m), or (..., n) if aligned.

    Raises:
        TypeError: An argument is not numeric, or `aligned` is no bool.
        ValueError: Shapes do not fit, or the format is unknown.

    Reference:
        Zheng, Wang, Liu, Li, Ye and Ren 2020, arXiv:1911.08287, equations 8 to 11.

    Example:
        >>> from cnnrs import ops
        >>> overlaps = ops.complete_box_iou([[0.0, 0, 2, 2]], [[0.0, 0, 2, 2], [0, 0, 2, 4]])
        >>> [round(x, 3) for x in overlaps[0].tolist()]
        [1.0, 0.447]
    """
    return _overlap("complete_box_iou", "ciou", boxes1, boxes2, aligned, bounding_box_format)


class Suppressed(NamedTuple):
    """What `non_max_suppression` chose.

    Attributes:
        indices: Places of the boxes, the best first, int32, shape (..., max_output_size); 0 behind the last.
        scores: Their scores, float32 of the same shape; 0 behind the last.
        count: How many there are, int32 of shape (...).
    """

    indices: Any
    scores: Any
    count: Any


@op
def non_max_suppression(
    boxes: Any,
    scores: Any,
    max_output_size: int,
    iou_threshold: float = 0.5,
    score_threshold: float = float("-inf"),
    classes: Any = None,
    soft_nms_sigma: float = 0.0,
    bounding_box_format: str = "xyxy",
) -> Suppressed:
    """Chooses boxes, the best first, and none that overlaps a chosen one too much; images one by one.

    The result has a fixed size, so it can be recorded: in functions, in models, under `fit` and `predict`.
    Equal scores keep their order, scores that are NaN are never chosen, and no gradient flows.

    Args:
        boxes: Tensor of shape (..., n, 4). Opposite corners may stand in any order.
        scores: Tensor of shape (..., n).
        max_output_size: How many boxes are chosen at most.
        iou_threshold: The greatest overlap, 0..1, of a box with a better one that was chosen.
        score_threshold: What a score must exceed.
        classes: Integers of shape (..., n): boxes of different classes leave each other alone. None for one
            class.
        soft_nms_sigma: Above 0, the score of a box falls by exp(-IoU² / (2·soft_nms_sigma)) for each chosen
            one (soft NMS, whose paper has σ = 2·soft_nms_sigma), and to 0 above `iou_threshold`, for which 1
            is usual then.
        bounding_box_format: As in `box_iou`.

    Returns:
        `Suppressed`: indices, scores, and count.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: Shapes do not fit, a threshold is out of range, or the format is unknown.

    Reference:
        Bodla, Singh, Chellappa and Davis 2017, "Soft-NMS -- Improving Object Detection With One Line of
        Code", arXiv:1704.04503, for the soft form.

    Example:
        >>> from cnnrs import ops
        >>> boxes = [[0.0, 0, 2, 2], [0, 0, 2, 1.9], [3, 3, 5, 5]]
        >>> chosen = ops.non_max_suppression(boxes, [0.7, 0.8, 0.6], max_output_size=3)
        >>> chosen.indices.tolist(), int(chosen.count)
        ([1, 2, 0], 2)
    """
    function = "non_max_suppression"
    most = integer(max_output_size, function, "max_output_size", least=0)
    limit = number(iou_threshold, function, "iou_threshold", least=0, most=1)
    sigma = number(soft_nms_sigma, function, "soft_nms_sigma", least=0)
    if not isinstance(score_threshold, (int, float, np.integer, np.floating)) or math.isnan(score_threshold):
        raise ValueError(f"{function}: score_threshold: expected a number, received {score_threshold!r}")
    corners = _corners(boxes, function, "boxes", bounding_box_format).astype("float32")
    inputs = [corners, as_tensor(scores).astype("float32")]
    if classes is not None:
        labels = as_tensor(classes)
        if labels.dtype not in INTEGERS:
            raise TypeError(f"{function}: classes: expected integers, received {labels.dtype}")
        inputs.append(as_index(labels))
    for name, x in zip(("scores", "classes"), inputs[1:], strict=False):
        if x.shape != corners.shape[:-1]:
            raise ValueError(
                f"{function}: {name}: expected shape {tuple(corners.shape[:-1])}, a number for each of the "
                f"boxes, received {tuple(x.shape)}"
            )
    rules = {"count": most, "overlap": limit, "least": float(score_threshold), "sigma": sigma}
    chosen = apply(function, *inputs, **rules)
    places = chosen[..., 0].astype("int32")
    count = apply("sum", (places >= 0).astype("int32"), axes=[places.ndim - 1], keepdims=False)
    return Suppressed(maximum(places, 0), chosen[..., 1], count)
