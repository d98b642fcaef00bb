"""Losses of boxes: one minus their intersection over union, and its forms for boxes that lie apart."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.config import epsilon
from cnnrs.losses.classes import LossFunctionWrapper
from cnnrs.losses.loss import float_pair
from cnnrs.ops.dispatch import op

__all__ = [
    "CIoULoss",
    "DIoULoss",
    "GIoULoss",
    "IoULoss",
    "ciou_loss",
    "diou_loss",
    "giou_loss",
    "iou_loss",
]

_MODES = ("linear", "quadratic", "log")


def _boxes(y_true: Any, y_pred: Any, loss: str) -> tuple[Any, Any]:
    y_true, y_pred = float_pair(y_true, y_pred, squeeze=False)
    for name, boxes in (("y_true", y_true), ("y_pred", y_pred)):
        if len(boxes.shape) < 2 or boxes.shape[-1] != 4:
            raise ValueError(
                f"{loss}: {name}: expected boxes of shape (batch, ..., 4), received {tuple(boxes.shape)}"
            )
    return y_true, y_pred


@op
def iou_loss(y_true: Any, y_pred: Any, bounding_box_format: str = "xyxy", mode: str = "linear") -> Any:
    """`1 - IoU` of each box; `1 - IoU²` for mode "quadratic", `-ln IoU` for "log" (Yu et al. 2016).

    It is constant, with a gradient of 0, where boxes lie apart.

    Args:
        y_true: Boxes of shape (batch, ..., 4).
        y_pred: Predicted boxes, of the same shape.
        bounding_box_format: As in `ops.box_iou`.
        mode: "linear", "quadratic" or "log".

    Returns:
        A float tensor of shape (batch, ...).

    Raises:
        ValueError: Shapes do not fit, or the format or the mode is unknown.

    >>> from cnnrs import losses
    >>> losses.iou_loss([[0.0, 0, 2, 2]], [[0.0, 0, 2, 1]]).tolist()
    [0.5]
    """
    if mode not in _MODES:
        raise ValueError(f"iou_loss: mode: expected one of {', '.join(_MODES)}, received {mode!r}")
    overlap = ops.box_iou(*_boxes(y_true, y_pred, "iou_loss"), True, bounding_box_format)
    if mode == "log":
        return -ops.log(ops.maximum(overlap, epsilon()))
    return 1.0 - (overlap if mode == "linear" else overlap * overlap)


@op
def giou_loss(y_true: Any, y_pred: Any, bounding_box_format: str = "xyxy") -> Any:
    """`1 - GIoU` of each box (Rezatofighi et al. 2019, arXiv:1902.09630), 0..2: `ops.generalized_box_iou`.

    Args:
        y_true: Boxes of shape (batch, ..., 4).
        y_pred: Predicted boxes, of the same shape.
        bounding_box_format: As in `ops.box_iou`.

    Returns:
        A float tensor of shape (batch, ...).

    Raises:
        ValueError: Shapes do not fit, or the format is unknown.

    >>> from cnnrs import losses
    >>> losses.giou_loss([[0.0, 0, 1, 1]], [[3.0, 0, 4, 1]]).tolist()
    [1.5]
    """
    return 1.0 - ops.generalized_box_iou(*_boxes(y_true, y_pred, "giou_loss"), True, bounding_box_format)


@op
def diou_loss(y_true: Any, y_pred: Any, bounding_box_format: str = "xyxy") -> Any:
    """`1 - DIoU` of each box (Zheng et al. 2020, arXiv:1911.08287), 0..2: `ops.distance_box_iou`.

    Args:
        y_true: Boxes of shape (batch, ..., 4).
        y_pred: Predicted boxes, of the same shape.
        bounding_box_format: As in `ops.box_iou`.

    Returns:
        A float tensor of shape (batch, ...).

    Raises:
        ValueError: Shapes do not fit, or the format is unknown.

    >>> from cnnrs import losses
    >>> losses.diou_loss([[0.0, 0, 4, 4]], [[1.0, 1, 3, 3]]).tolist()
    [0.75]
    """
    return 1.0 - ops.distance_box_iou(*_boxes(y_true, y_pred, "diou_loss"), True, bounding_box_format)


@op
def ciou_loss(y_true: Any, y_pred: Any, bounding_box_format: str = "xyxy") -> Any:
    """`1 - CIoU` of each box (Zheng et al. 2020, arXiv:1911.08287), 0..3: `ops.complete_box_iou`.

    Args:
        y_true: Boxes of shape (batch, ..., 4).
        y_pred: Predicted boxes, of the same shape.
        bounding_box_format: As in `ops.box_iou`.

    Returns:
        A float tensor of shape (batch, ...).

    Raises:
        ValueError: Shapes do not fit, or the format is unknown.

    >>> from cnnrs import losses
    >>> print(f"{float(losses.ciou_loss([[0.0, 0, 2, 2]], [[0.0, 0, 2, 4]])[0]):.3f}")
    0.553
    """
    return 1.0 - ops.complete_box_iou(*_boxes(y_true, y_pred, "ciou_loss"), True, bounding_box_format)


class IoULoss(LossFunctionWrapper):
    """One minus the intersection over union of boxes; boxes that lie apart have no gradient.

    Args:
        bounding_box_format: As in `ops.box_iou`.
        mode: "linear" for `1 - IoU`, "quadratic" for `1 - IoU²`, "log" for `-ln IoU`.
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.

    Reference:
        Yu, Jiang, Wang, Cao and Huang 2016, "UnitBox: An Advanced Object Detection Network",
        arXiv:1608.01471, for the logarithm.

    >>> from cnnrs import losses
    >>> float(losses.IoULoss()([[0.0, 0, 2, 2]], [[0.0, 0, 2, 1]]))
    0.5
    """

    def __init__(
        self,
        bounding_box_format: str = "xyxy",
        mode: str = "linear",
        reduction: str = "sum_over_batch_size",
        name: str = "iou_loss",
        dtype: Any = None,
    ):
        if mode not in _MODES:
            raise ValueError(f"IoULoss: mode: expected one of {', '.join(_MODES)}, received {mode!r}")
        super().__init__(iou_loss, reduction, name, dtype, bounding_box_format=bounding_box_format, mode=mode)


class GIoULoss(LossFunctionWrapper):
    """One minus the generalized IoU of boxes, which draws boxes that lie apart together.

    Args:
        bounding_box_format: As in `ops.box_iou`.
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.

    Reference:
        Rezatofighi et al. 2019, "Generalized Intersection over Union: A Metric and A Loss for Bounding Box
        Regression", arXiv:1902.09630.

    >>> from cnnrs import losses
    >>> float(losses.GIoULoss()([[0.0, 0, 1, 1]], [[3.0, 0, 4, 1]]))
    1.5
    """

    def __init__(
        self,
        bounding_box_format: str = "xyxy",
        reduction: str = "sum_over_batch_size",
        name: str = "giou_loss",
        dtype: Any = None,
    ):
        super().__init__(giou_loss, reduction, name, dtype, bounding_box_format=bounding_box_format)


class DIoULoss(LossFunctionWrapper):
    """One minus the distance IoU of boxes, which draws their centers together.

    Args:
        bounding_box_format: As in `ops.box_iou`.
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.

    Reference:
        Zheng et al. 2020, "Distance-IoU Loss: Faster and Better Learning for Bounding Box Regression",
        arXiv:1911.08287.

    >>> from cnnrs import losses
    >>> float(losses.DIoULoss()([[0.0, 0, 4, 4]], [[1.0, 1, 3, 3]]))
    0.75
    """

    def __init__(
        self,
        bounding_box_format: str = "xyxy",
        reduction: str = "sum_over_batch_size",
        name: str = "diou_loss",
        dtype: Any = None,
    ):
        super().__init__(diou_loss, reduction, name, dtype, bounding_box_format=bounding_box_format)


class CIoULoss(LossFunctionWrapper):
    """One minus the complete IoU of boxes, which makes their proportions alike, too.

    Args:
        bounding_box_format: As in `ops.box_iou`.
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.

    Reference:
        Zheng et al. 2020, arXiv:1911.08287. No gradient flows through the weight of the proportions.

    >>> from cnnrs import losses
    >>> print(f"{float(losses.CIoULoss()([[0.0, 0, 2, 2]], [[0.0, 0, 2, 4]])):.3f}")
    0.553
    """

    def __init__(
        self,
        bounding_box_format: str = "xyxy",
        reduction: str = "sum_over_batch_size",
        name: str = "ciou_loss",
        dtype: Any = None,
    ):
        super().__init__(ciou_loss, reduction, name, dtype, bounding_box_format=bounding_box_format)
