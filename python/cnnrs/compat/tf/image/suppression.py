"""Choices of boxes, the best first, and none that overlaps a chosen one too much."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnnrs import ops
from cnnrs.compat.tf.arguments import as_float, boolean, integer
from cnnrs.compat.tf.namespaces import operation
from cnnrs.ops.values import values_of

__all__ = [
    "combined_non_max_suppression",
    "non_max_suppression",
    "non_max_suppression_overlaps",
    "non_max_suppression_padded",
    "non_max_suppression_with_scores",
]


def _chosen(
    function: str,
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: Any,
    score_threshold: Any,
    sigma: Any = 0.0,
    is_batch: bool = False,
) -> Any:
    """The boxes that stay, in tensors of the size that was asked for."""
    corners, points = as_float(boxes, f"image.{function}"), as_float(scores, f"image.{function}")
    is_rank = corners.ndim >= 2 if is_batch else corners.ndim == 2
    if not is_rank or corners.shape[-1] != 4 or points.shape != corners.shape[:-1]:
        raise ValueError(
            f"tf.image.{function}: expected boxes of shape ({'..., ' if is_batch else ''}n, 4) and n scores, "
            f"received {tuple(corners.shape)} and {tuple(points.shape)}"
        )
    most = integer(max_output_size, f"image.{function}", "max_output_size")
    return ops.non_max_suppression(
        corners, points, most, float(iou_threshold), float(score_threshold), soft_nms_sigma=float(sigma)
    )


def _count(chosen: Any, function: str) -> int:
    instead = "non_max_suppression_padded(..., pad_to_max_output_size=True) has a fixed size"
    return int(values_of(chosen.count, f"tf.image.{function}", instead))


@operation
def non_max_suppression(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: float = 0.5,
    score_threshold: float = float("-inf"),
) -> Any:
    """The indices of boxes that no better one overlaps, the best first; it needs values: not while recording.

    Args:
        boxes: Corners, of shape (n, 4).
        scores: How good each is.
        max_output_size: The most indices.
        iou_threshold: How much of their union two boxes may have in common.
        score_threshold: What a score must exceed.
    """
    function = "non_max_suppression"
    chosen = _chosen(function, boxes, scores, max_output_size, iou_threshold, score_threshold)
    return chosen.indices[: _count(chosen, function)]


class WithScores(NamedTuple):
    """What `non_max_suppression_with_scores` gives."""

    selected_indices: Any
    selected_scores: Any


@operation
def non_max_suppression_with_scores(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: float = 0.5,
    score_threshold: float = float("-inf"),
    soft_nms_sigma: float = 0.0,
) -> WithScores:
    """As `non_max_suppression`, with the scores; a sigma above 0 lowers the scores of boxes that overlap."""
    function = "non_max_suppression_with_scores"
    chosen = _chosen(function, boxes, scores, max_output_size, iou_threshold, score_threshold, soft_nms_sigma)
    count = _count(chosen, function)
    return WithScores(chosen.indices[:count], chosen.scores[:count])


class Padded(NamedTuple):
    """What `non_max_suppression_padded` gives."""

    selected_indices_padded: Any
    num_valid: Any


@operation
def non_max_suppression_padded(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: float = 0.5,
    score_threshold: float = float("-inf"),
    pad_to_max_output_size: bool = False,
) -> Padded:
    """As `non_max_suppression`, with zeros behind if so asked, and how many indices count.

    With the zeros it can be recorded, in a `tf.function` too, and takes a batch: boxes of shape (..., n, 4).
    """
    function = "non_max_suppression_padded"
    is_padded = boolean(pad_to_max_output_size, f"image.{function}", "pad_to_max_output_size")
    chosen = _chosen(
        function, boxes, scores, max_output_size, iou_threshold, score_threshold, is_batch=is_padded
    )
    if is_padded:
        return Padded(chosen.indices, chosen.count)
    return Padded(chosen.indices[: _count(chosen, function)], chosen.count)


@operation
def non_max_suppression_overlaps(
    overlaps: Any,
    scores: Any,
    max_output_size: Any,
    overlap_threshold: float = 0.5,
    score_threshold: float = float("-inf"),
) -> Any:
    """As `non_max_suppression`, of things whose overlaps are given; it needs values: not while recording.

    Args:
        overlaps: How much each overlaps each other one, of shape (n, n).
        scores: How good each is.
        max_output_size: The most indices.
        overlap_threshold: How much two may overlap.
        score_threshold: What a score must exceed.
    """
    function, instead = "image.non_max_suppression_overlaps", "give boxes to non_max_suppression_padded"
    common, points = (values_of(as_float(x, function), f"tf.{function}", instead) for x in (overlaps, scores))
    if points.ndim != 1 or common.shape != (len(points), len(points)):
        raise ValueError(
            f"tf.{function}: expected overlaps of shape (n, n) and n scores, received {common.shape} and "
            f"{points.shape}"
        )
    most = integer(max_output_size, function, "max_output_size")
    kept: list[int] = []
    for place in np.argsort(-points, kind="stable"):
        if len(kept) == most or not points[place] > score_threshold:
            break
        if not (common[place, kept] > overlap_threshold).any():
            kept.append(int(place))
    return ops.array(np.array(kept, "int32"))


class Combined(NamedTuple):
    """What `combined_non_max_suppression` gives."""

    nmsed_boxes: Any
    nmsed_scores: Any
    nmsed_classes: Any
    valid_detections: Any


@operation
def combined_non_max_suppression(
    boxes: Any,
    scores: Any,
    max_output_size_per_class: Any,
    max_total_size: Any,
    iou_threshold: float = 0.5,
    score_threshold: float = float("-inf"),
    pad_per_class: bool = False,
    clip_boxes: bool = True,
) -> Combined:
    """`non_max_suppression` of each class of each image, and the best of all classes.

    Args:
        boxes: Corners, of shape (batch, n, classes or 1, 4).
        scores: Scores, of shape (batch, n, classes).
        max_output_size_per_class: The most boxes of a class.
        max_total_size: The most boxes of an image.
        iou_threshold: How much of their union two boxes may have in common.
        score_threshold: What a score must exceed.
        pad_per_class: Whether the results have as many boxes as all classes may have, at most the total.
        clip_boxes: Whether boxes are clipped to 0 to 1.

    Returns:
        Boxes, scores and classes, zeros behind those that count, and how many count.
    """
    function = "image.combined_non_max_suppression"
    corners, points = as_float(boxes, function), as_float(scores, function)
    shape = tuple(points.shape)
    if corners.ndim != 4 or len(shape) != 3 or corners.shape[2] not in (1, shape[2]):
        raise ValueError(
            f"tf.{function}: expected boxes of shape (batch, n, classes or 1, 4) and scores of shape "
            f"(batch, n, classes), received {tuple(corners.shape)} and {shape}"
        )
    batch, n, classes = shape
    per_class = integer(max_output_size_per_class, function, "max_output_size_per_class")
    total = integer(max_total_size, function, "max_total_size")
    if boolean(pad_per_class, function, "pad_per_class"):
        total = min(total, per_class * classes)
    by_class = ops.broadcast_to(ops.transpose(corners, (0, 2, 1, 3)), (batch, classes, n, 4))
    chosen = ops.non_max_suppression(
        by_class,
        ops.transpose(points, (0, 2, 1)),
        min(per_class, n),
        float(iou_threshold),
        float(score_threshold),
    )
    found = ops.take_along_axis(by_class, chosen.indices[..., None], axis=2)
    is_chosen = ops.arange(min(per_class, n)) < chosen.count[..., None]
    of_class = ops.broadcast_to(ops.arange(classes, dtype="float32")[:, None], is_chosen.shape)
    # The best of all classes; those of equal scores in the order of classes.
    flat = classes * min(per_class, n)
    values = ops.reshape(ops.where(is_chosen, chosen.scores, float("-inf")), (batch, flat))
    order = ops.argsort(-values, axis=1)[:, :total]
    count = ops.minimum(ops.sum(chosen.count, axis=1), total)
    counts = ops.arange(order.shape[1]) < count[:, None]
    behind = total - order.shape[1]

    def best(x: Any) -> Any:
        picked = ops.where(counts, ops.take_along_axis(ops.reshape(x, (batch, flat)), order, axis=1), 0.0)
        return ops.pad(picked, ((0, 0), (0, behind))) if behind else picked

    sides = [best(found[..., side]) for side in range(4)]
    result = ops.stack(sides, axis=-1)
    if boolean(clip_boxes, function, "clip_boxes"):
        result = ops.clip(result, 0.0, 1.0)
    return Combined(result, best(chosen.scores), best(of_class), count)
