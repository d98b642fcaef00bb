"""Which places of a map answer for which object, as YOLOX finds it."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnrs import ops

__all__ = ["Assignment", "sim_ota"]

# What makes a pair impossible; far above any cost, and finite in float32.
_NEVER = 1e6


class Assignment(NamedTuple):
    """What each place answers for.

    Attributes:
        is_positive: Whether it answers for an object, float32 of shape (batch, places).
        object: Which one, int32 of shape (batch, places); 0 where none.
        overlap: IoU of its box with the object's, float32 of shape (batch, places); 0 where none.
    """

    is_positive: Any
    object: Any
    overlap: Any


def sim_ota(
    boxes: Any,
    class_logits: Any,
    object_logits: Any,
    centers: Any,
    strides: Any,
    true_boxes: Any,
    true_classes: Any,
    candidates: int = 10,
    radius: float = 1.5,
    box_cost: float = 3.0,
) -> Assignment:
    """SimOTA: each object takes the places that cost least, as many as its best boxes overlap it.

    A place may be taken if its center lies within `radius` strides of the object's center. Its cost is the
    cross-entropy of its scores plus `box_cost` times -ln IoU. An object takes k places, the sum of the IoU of
    its `candidates` best boxes, and at least one; a place that several objects take answers for the one that
    it costs least. No gradient flows. Memory is that of a few tensors of (batch, objects, places).

    Args:
        boxes: Predicted boxes, "xyxy", of shape (batch, places, 4).
        class_logits: Tensor of shape (batch, places, classes).
        object_logits: Tensor of shape (batch, places).
        centers: Centers of the places in pixels, (x, y), of shape (places, 2).
        strides: Pixels that a place stands for, of shape (places,).
        true_boxes: Boxes of shape (batch, objects, 4).
        true_classes: Integers of shape (batch, objects), -1 where there is no object.
        candidates: How many boxes say how many places an object takes.
        radius: In strides.
        box_cost: Weight of the boxes' part of the cost.

    Returns:
        The `Assignment`.

    Reference:
        Ge, Liu, Wang, Li and Sun 2021, "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430, section 2.1.

    >>> import numpy as np
    >>> from cnnrs.detection import sim_ota
    >>> boxes = np.array([[[0.0, 0, 8, 8], [8, 0, 16, 8]]])
    >>> logits, centers = np.zeros((1, 2, 1)), np.array([[4.0, 4], [12, 4]])
    >>> strides, labels = np.array([8.0, 8]), np.array([[0]])
    >>> found = sim_ota(boxes, logits, logits[..., 0], centers, strides, boxes[:, 1:], labels)
    >>> found.is_positive.tolist(), found.overlap.tolist()
    ([[0.0, 1.0]], [[0.0, 1.0]])
    """
    boxes, class_logits, object_logits, true_boxes, centers, strides = (
        ops.stop_gradient(ops.cast(x, "float32"))
        for x in (boxes, class_logits, object_logits, true_boxes, centers, strides)
    )
    labels = ops.cast(true_classes, "int32")
    is_there = labels >= 0
    middle = (true_boxes[..., :2] + true_boxes[..., 2:]) * 0.5
    away = ops.max(ops.abs(centers - middle[:, :, None, :]), axis=-1)
    is_near = ops.logical_and(away < radius * strides, is_there[..., None])
    overlap = ops.where(is_near, ops.box_iou(true_boxes, boxes), 0.0)

    # The root of the product of both scores, as a probability; its cross-entropy with one class at 1.
    score = ops.sqrt(ops.sigmoid(class_logits) * ops.sigmoid(object_logits)[..., None])
    score = ops.clip(score, 1e-6, 1.0 - 1e-6)
    none = -ops.log(1.0 - score)
    one_hot = ops.one_hot(ops.maximum(labels, 0), class_logits.shape[-1])
    own = ops.matmul(one_hot, ops.swapaxes(-ops.log(score) - none, 1, 2))
    cost = ops.sum(none, axis=-1)[:, None, :] + own - box_cost * ops.log(overlap + 1e-8)
    cost = ops.where(is_near, cost, _NEVER)

    most = min(int(candidates), boxes.shape[1])
    best, _ = ops.top_k(overlap, most)
    taken = ops.maximum(ops.cast(ops.sum(best, axis=-1), "int32"), 1)
    cheapest, _ = ops.top_k(-cost, most)
    last = ops.take_along_axis(-cheapest, ops.minimum(taken, most)[..., None] - 1, axis=-1)
    is_taken = ops.logical_and(cost <= last, is_near)

    object_ = ops.argmin(ops.where(is_taken, cost, 2.0 * _NEVER), axis=1)
    is_positive = ops.any(is_taken, axis=1)
    object_ = ops.where(is_positive, object_, 0)
    own_overlap = ops.take_along_axis(overlap, object_[:, None, :], axis=1)[:, 0]
    positive = ops.cast(is_positive, "float32")
    return Assignment(positive, object_, own_overlap * positive)
