"""The loss of sequences of labels that nobody has aligned with the steps."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.losses.classes import LossFunctionWrapper
from cnnrs.losses.loss import as_tensor
from cnnrs.ops import raw
from cnnrs.ops.dispatch import as_float, as_index, op

__all__ = ["CTC", "ctc"]


@op
def ctc(y_true: Any, y_pred: Any) -> Any:
    """Minus the logarithm of the probability of labels, however the steps spell them (Graves et al. 2006).

    Args:
        y_true: Labels of 1 and above, (batch, labels). Zeros at the end of a row fill it, 0 being the blank.
        y_pred: Logits, (batch, steps, classes).

    Returns:
        A float tensor (batch,).

    Raises:
        ValueError: The shapes are others.

    >>> from cnnrs import losses
    >>> losses.ctc([[1, 0]], [[[0.0, 0.0], [0.0, 0.0]]]).numpy().round(4)
    array([0.2877], dtype=float32)
    """
    y_true, y_pred = as_tensor(y_true), as_float(as_tensor(y_pred))
    if len(y_true.shape) != 2 or len(y_pred.shape) != 3:
        raise ValueError(
            "ctc: expected y_true of shape (batch, labels) and y_pred of shape (batch, steps, classes), "
            f"received {tuple(y_true.shape)} and {tuple(y_pred.shape)}"
        )
    labels = as_index(y_true)
    lengths = raw.sum((labels != 0).astype("int32"), axes=[-1])
    batch, steps = int(y_pred.shape[0]), int(y_pred.shape[1])
    every_step = ops.full((batch,), steps, dtype="int32")
    return ops.ctc_loss(labels, y_pred, lengths, every_step, mask_index=0)


class CTC(LossFunctionWrapper):
    """Connectionist temporal classification of logits (batch, steps, classes); labels as in `ctc`.

    Args:
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.

    >>> from cnnrs import losses
    >>> round(float(losses.CTC()([[1, 0]], [[[0.0, 0.0], [0.0, 0.0]]])), 4)
    0.2877
    """

    def __init__(self, reduction: str = "sum_over_batch_size", name: str = "ctc", dtype: Any = None):
        super().__init__(ctc, reduction, name, dtype)
