"""Losses of boxes: one minus their intersection over union, and its forms for boxes that lie apart."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.config import epsilon
from cnnrs.losses.classes import LossFunctionWrapper
from cnnrs.losses.loss import float_pair
from cnnrs.ops.box_formats import FORMATS
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


def _check_format(value: Any, loss: str) -> None:
    if not isinstance(value, str) or value.lower() not in FORMATS:
        raise ValueError(
            f"{loss}: bounding_box_format: expected one of {', '.join(FORMATS)}, received {value!r}"
        )


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


# What the functions and classes below share with `iou_loss` and `IoULoss`.
_OF_FUNCTION = """
    Args:
        y_true: Boxes of shape (batch, ..., 4).
        y_pred: Predicted boxes, of the same shape.
        bounding_box_format: As in `ops.box_iou`.

    Returns:
        A float tensor of shape (batch, ...).

    Raises:
        ValueError: Shapes do not fit, or the format is unknown.
"""
_OF_CLASS = """
    Args:
        bounding_box_format: As in `ops.box_iou`.
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.
"""


def _one_minus(overlap: Any, name: str, summary: str, example: str) -> Any:
    """A loss function: one minus an overlap of `cnnrs.ops`."""

    def function(y_true: Any, y_pred: Any, bounding_box_format: str = "xyxy") -> Any:
        return 1.0 - overlap(*_boxes(y_true, y_pred, name), True, bounding_box_format)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{summary}\n{_OF_FUNCTION}\n    >>> from cnnrs import losses\n    {example}\n    "
    return op(function)


def _class_of(function: Any, class_name: str, summary: str, reference: str, example: str) -> type:
    """The class of such a function."""

    def __init__(
        self: Any,
        bounding_box_format: str = "xyxy",
        reduction: str = "sum_over_batch_size",
        name: str = function.__name__,
        dtype: Any = None,
    ) -> None:
        _check_format(bounding_box_format, class_name)
        LossFunctionWrapper.__init__(
            self, function, reduction, name, dtype, bounding_box_format=bounding_box_format
        )

    doc = f"{summary}\n{_OF_CLASS}\n    Reference:\n        {reference}\n"
    doc += f"\n    >>> from cnnrs import losses\n    {example}\n    "
    members = {"__init__": __init__, "__doc__": doc, "__module__": __name__}
    return type(class_name, (LossFunctionWrapper,), members)


giou_loss = _one_minus(
    ops.generalized_box_iou,
    "giou_loss",
    "`1 - GIoU` of each box (Rezatofighi et al. 2019, arXiv:1902.09630), 0..2: `ops.generalized_box_iou`.",
    ">>> losses.giou_loss([[0.0, 0, 1, 1]], [[3.0, 0, 4, 1]]).tolist()\n    [1.5]",
)
diou_loss = _one_minus(
    ops.distance_box_iou,
    "diou_loss",
    "`1 - DIoU` of each box (Zheng et al. 2020, arXiv:1911.08287), 0..2: `ops.distance_box_iou`.",
    ">>> losses.diou_loss([[0.0, 0, 4, 4]], [[1.0, 1, 3, 3]]).tolist()\n    [0.75]",
)
ciou_loss = _one_minus(
    ops.complete_box_iou,
    "ciou_loss",
    "`1 - CIoU` of each box (Zheng et al. 2020, arXiv:1911.08287), 0..3: `ops.complete_box_iou`.",
    '>>> print(f"{float(losses.ciou_loss([[0.0, 0, 2, 2]], [[0.0, 0, 2, 4]])[0]):.3f}")\n    0.553',
)


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
        _check_format(bounding_box_format, "IoULoss")
        super().__init__(iou_loss, reduction, name, dtype, bounding_box_format=bounding_box_format, mode=mode)


GIoULoss = _class_of(
    giou_loss,
    "GIoULoss",
    "One minus the generalized IoU of boxes, which draws boxes that lie apart together.",
    """Rezatofighi et al. 2019, "Generalized Intersection over Union: A Metric and A Loss for Bounding Box
        Regression", arXiv:1902.09630.""",
    ">>> float(losses.GIoULoss()([[0.0, 0, 1, 1]], [[3.0, 0, 4, 1]]))\n    1.5",
)
DIoULoss = _class_of(
    diou_loss,
    "DIoULoss",
    "One minus the distance IoU of boxes, which draws their centers together.",
    """Zheng et al. 2020, "Distance-IoU Loss: Faster and Better Learning for Bounding Box Regression",
        arXiv:1911.08287.""",
    ">>> float(losses.DIoULoss()([[0.0, 0, 4, 4]], [[1.0, 1, 3, 3]]))\n    0.75",
)
CIoULoss = _class_of(
    ciou_loss,
    "CIoULoss",
    "One minus the complete IoU of boxes, which makes their proportions alike, too.",
    "Zheng et al. 2020, arXiv:1911.08287. No gradient flows through the weight of the proportions.",
    '>>> print(f"{float(losses.CIoULoss()([[0.0, 0, 2, 2]], [[0.0, 0, 2, 4]])):.3f}")\n    0.553',
)
