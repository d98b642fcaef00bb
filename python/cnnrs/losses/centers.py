"""The distance of features from the centres of their classes."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.losses.loss import as_tensor
from cnnrs.ops import raw
from cnnrs.ops.dispatch import as_float, as_index, in_float32, op

__all__ = ["center"]


@op
@in_float32
def center(y_true: Any, y_pred: Any, centers: Any) -> Any:
    """`½ |x - c|²` of features x and the centre c of their class (Wen et al. 2016, equation 2).

    `layers.CenterLoss` holds the centres and moves them.

    Args:
        y_true: Integer labels, (n,) or (n, 1).
        y_pred: Features, (n, width).
        centers: The centres, (classes, width).

    Returns:
        A float tensor (n,).

    Raises:
        ValueError: Shapes do not fit, or a label is no number of a class.

    >>> from cnnrs import losses
    >>> losses.center([1], [[3.0, 4.0]], [[9.0, 9.0], [0.0, 0.0]]).tolist()
    [12.5]
    """
    y_pred, centers = as_float(as_tensor(y_pred)), as_float(as_tensor(centers))
    if y_pred.ndim != 2 or centers.ndim != 2 or y_pred.shape[1] != centers.shape[1]:
        raise ValueError(
            "center: expected features (n, width) and centers (classes, width), received "
            f"{tuple(y_pred.shape)} and {tuple(centers.shape)}"
        )
    labels, n = as_index(as_tensor(y_true)), y_pred.shape[0]
    if tuple(labels.shape) not in ((n,), (n, 1)):
        raise ValueError(
            f"center: y_true: expected integer labels of shape ({n},) or ({n}, 1), "
            f"received {tuple(labels.shape)}"
        )
    # Numbers below 0 are no classes; as they are, they would count from the last one.
    labels = raw.reshape(labels, shape=[-1])
    labels = raw.where(labels < 0, labels - centers.shape[0], labels)
    own = ops.take(centers, labels, axis=0)
    return 0.5 * raw.sum(raw.square(y_pred - own), axes=[1])
