"""Losses of embeddings: those of a class shall be near each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import _core, ops
from cnnrs.losses.classes import LossFunctionWrapper
from cnnrs.losses.loss import as_tensor
from cnnrs.ops import raw
from cnnrs.ops.annotated import annotate
from cnnrs.ops.dispatch import as_float, op

__all__ = ["Circle", "circle"]


@op
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Any:
    """The circle loss of pairs of embeddings of one length 1 (Sun et al. 2020, equation 6).

    Args:
        y_true: Integer labels, (n,).
        y_pred: Embeddings, (n, width), each of length 1.
        ref_labels: Labels of the references; None for `y_true`.
        ref_embeddings: Embeddings to compare with; None for `y_pred`.
        remove_diagonal: Whether an embedding is not compared with that at its own place.
        gamma: Scale of the similarities.
        margin: How far pairs shall be beyond the decision boundary.

    Returns:
        A float tensor (n,), which means of `Loss` take over where it is above 0.

    >>> from cnnrs import losses
    >>> losses.circle([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).numpy().round(4)
    array([0., 0., 0.], dtype=float32)
    """
    y_pred, labels = as_float(as_tensor(y_pred)), raw.reshape(as_tensor(y_true).astype("int32"), shape=[-1])
    references = y_pred if ref_embeddings is None else as_float(ref_embeddings).astype(y_pred.dtype)
    own = ref_labels is None
    ref_labels = labels if own else raw.reshape(as_tensor(ref_labels).astype("int32"), shape=[-1])
    distance = raw.relu(1.0 - ops.matmul(y_pred, ops.transpose(references)))
    if not distance.shape[0]:
        return raw.sum(distance, axes=[1])
    same = raw.expand_dims(labels, axis=-1) == raw.expand_dims(ref_labels, axis=0)
    other = ~same
    if remove_diagonal:
        n, m = (int(labels.shape[0]), int(ref_labels.shape[0]))
        same = same & _core.tensor(~np.eye(n, m, dtype=bool))
    scale, margin = float(gamma), float(margin)
    near = -scale * raw.relu(margin + distance) * (margin - distance)
    far = scale * raw.relu(1.0 + margin - distance) * (1.0 - margin - distance)
    total = _log_sum_where(same, near) + _log_sum_where(other, far)
    value = ops.softplus(total)
    return annotate(value, mask=value > 0.0)


def _log_sum_where(where: Any, x: Any) -> Any:
    """`log Σ e^x` of the elements of a row that count; -inf of none."""
    return ops.logsumexp(raw.where(where, x, -float("inf")), axis=1)


class Circle(LossFunctionWrapper):
    """The circle loss of embeddings of length 1, with integer labels (Sun et al. 2020).

    Args:
        gamma: Scale of the similarities.
        margin: How far pairs shall be beyond the decision boundary.
        remove_diagonal: Whether an embedding is not compared with itself.
        reduction: As in `Loss`. Means are over the samples whose loss is above 0.
        name: Name.
        dtype: As in `Loss`.

    >>> from cnnrs import losses
    >>> float(losses.Circle()([0, 1], [[1.0, 0.0], [0.0, 1.0]]))
    0.0
    """

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str = "sum_over_batch_size",
        name: str = "circle",
        dtype: Any = None,
    ):
        arguments = {"gamma": gamma, "margin": margin, "remove_diagonal": remove_diagonal}
        super().__init__(circle, reduction, name, dtype, **arguments)
