"""The loss of a student whose targets are labels and the logits of a teacher."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import number
from cnnrs.losses.classes import LossFunctionWrapper
from cnnrs.losses.loss import float_pair
from cnnrs.ops import raw
from cnnrs.ops.dispatch import in_float32, op

__all__ = ["Distillation", "distillation"]


@op
@in_float32
def distillation(y_true: Any, y_pred: Any, temperature: float = 3.0, alpha: float = 0.1) -> Any:
    """`α CE(y, softmax z) + (1 - α) T² KL(softmax(t / T), softmax(z / T))` (Hinton et al. 2015).

    Args:
        y_true: One-hot labels y and the teacher's logits t, (..., 2, classes): `ops.stack([y, t], axis=-2)`.
        y_pred: The student's logits z, (..., classes).
        temperature: T: larger numbers make the teacher's choices softer. T² keeps the size of the gradients.
        alpha: α: the share of the labels.

    Returns:
        A float tensor of the shape of `y_pred` without the last axis.

    Raises:
        ValueError: Shapes do not fit.

    >>> from cnnrs import losses
    >>> losses.distillation([[[0.0, 1.0], [1.0, 3.0]]], [[1.0, 3.0]]).numpy().round(4)
    array([0.0127], dtype=float32)
    """
    y_true, y_pred = float_pair(y_true, y_pred, squeeze=False)
    shape = tuple(y_pred.shape)
    if tuple(y_true.shape) != (*shape[:-1], 2, *shape[-1:]):
        raise ValueError(
            "distillation: y_true: expected one-hot labels and the teacher's logits, of shape "
            f"{(*shape[:-1], 2, *shape[-1:])}, received {tuple(y_true.shape)}"
        )
    labels, teacher = y_true[..., 0, :], y_true[..., 1, :]
    hard = ops.categorical_crossentropy(labels, y_pred, from_logits=True)
    cold = 1.0 / float(temperature)
    expected, found = ops.log_softmax(teacher * cold), ops.log_softmax(y_pred * cold)
    soft = raw.sum(raw.exp(expected) * (expected - found), axes=[-1])
    return float(alpha) * hard + (1.0 - float(alpha)) * float(temperature) ** 2 * soft


class Distillation(LossFunctionWrapper):
    """Trains on labels and on the logits of a teacher that were computed before.

    `fit(x, ops.stack([one_hot_labels, teacher.predict(x)], axis=1))` trains a student that gives logits.
    `distillation.Distiller` asks the teacher during training, which augmented images need.

    Args:
        temperature: Above 0; larger numbers make the teacher's choices softer.
        alpha: The share of the labels, 0..1; 0 leaves the teacher alone.
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.

    Raises:
        ValueError: An argument is none of these.

    Reference:
        Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network", arXiv:1503.02531.

    >>> from cnnrs import losses
    >>> loss = losses.Distillation(temperature=2.0, alpha=0.0)
    >>> float(loss([[[0.0, 1.0], [1.0, 3.0]]], [[1.0, 3.0]]))
    0.0
    """

    def __init__(
        self,
        temperature: float = 3.0,
        alpha: float = 0.1,
        reduction: str = "sum_over_batch_size",
        name: str = "distillation",
        dtype: Any = None,
    ):
        number(temperature, self, "temperature", above=0)
        number(alpha, self, "alpha", least=0, most=1)
        super().__init__(distillation, reduction, name, dtype, temperature=temperature, alpha=alpha)
