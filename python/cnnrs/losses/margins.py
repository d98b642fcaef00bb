"""Softmax losses of cosines with a margin for the class of a sample: ArcFace and CosFace."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base.arguments import flag, number
from cnnrs.losses.classes import LossFunctionWrapper
from cnnrs.losses.functions import sparse_labels
from cnnrs.losses.loss import as_tensor
from cnnrs.ops import raw
from cnnrs.ops.dispatch import as_float, in_float32, op
from cnnrs.ops.roots import root

__all__ = ["ArcFace", "CosFace", "arcface", "cosface"]


def wider_angles(cosines: Any, margin: float, easy_margin: bool) -> Any:
    """`cos(θ + margin)` of cosines of angles θ, continued where that would grow again.

    Beyond θ + margin = π it is `cos θ - margin sin margin`, which falls on. With an easy margin, angles of
    more than a right one stay as they are.
    """
    sines = root(raw.relu((1.0 - cosines) * (1.0 + cosines)))
    wider = cosines * math.cos(margin) - sines * math.sin(margin)
    if easy_margin:
        return raw.where(cosines > 0.0, wider, cosines)
    return raw.where(cosines > -math.cos(margin), wider, cosines - margin * math.sin(margin))


def changed_at(labels: Any, cosines: Any, changed: Any) -> Any:
    """Cosines (..., classes), of which a function has changed those of the labels (...).

    It computes these alone: angles of all classes would cost more than the cross-entropy.
    """
    labels = raw.expand_dims(labels, axis=-1)
    own = changed(ops.take_along_axis(cosines, labels, axis=-1))
    return raw.where(labels == np.arange(cosines.shape[-1], dtype=np.int32), own, cosines)


def _entropy(y_true: Any, y_pred: Any, scale: float, loss: str, changed: Any) -> Any:
    """The cross-entropy of cosines times the scale, after those of the labels were changed."""
    cosines = as_float(as_tensor(y_pred))
    if cosines.ndim < 2:
        raise ValueError(
            f"{loss}: y_pred: expected cosines of shape (batch, classes), received {tuple(cosines.shape)}"
        )
    labels = sparse_labels(y_true, cosines)
    if tuple(labels.shape) != tuple(cosines.shape[:-1]):
        raise ValueError(
            f"{loss}: y_true: expected integer labels of shape {tuple(cosines.shape[:-1])}, "
            f"received {tuple(labels.shape)}"
        )
    logits = float(scale) * changed_at(labels, cosines, changed)
    return ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)


@op
@in_float32
def arcface(
    y_true: Any, y_pred: Any, scale: float = 64.0, margin: float = 0.5, easy_margin: bool = False
) -> Any:
    """The cross-entropy of `scale · cos θ`, with `cos(θ + margin)` for the label (Deng et al. 2019, eq. 3).

    Args:
        y_true: Integer labels, of the shape of `y_pred` without the last axis, or with 1 in its place.
        y_pred: Cosines of the angles θ between an embedding and the vector of each class, (..., classes): the
            output of `layers.CosineDense`.
        scale: Factor of the cosines.
        margin: Radians that are added to the angle of the label.
        easy_margin: Whether angles of more than a right one are left as they are. Otherwise
            `cos θ - margin sin margin` stands in beyond θ + margin = π, where the cosine would grow again.

    Returns:
        A float tensor of the shape of `y_pred` without the last axis.

    Raises:
        ValueError: Shapes do not fit.

    >>> from cnnrs import losses
    >>> losses.arcface([0], [[0.8, 0.6]], scale=4.0, margin=0.5).numpy().round(4)
    array([1.1317], dtype=float32)
    """
    return _entropy(
        y_true, y_pred, scale, "arcface", lambda cosines: wider_angles(cosines, float(margin), easy_margin)
    )


@op
@in_float32
def cosface(y_true: Any, y_pred: Any, scale: float = 64.0, margin: float = 0.35) -> Any:
    """The cross-entropy of `scale · cos θ`, with `cos θ - margin` for the label (Wang et al. 2018, eq. 4).

    Args:
        y_true: Integer labels, of the shape of `y_pred` without the last axis, or with 1 in its place.
        y_pred: Cosines of the angles θ between an embedding and the vector of each class, (..., classes): the
            output of `layers.CosineDense`.
        scale: Factor of the cosines.
        margin: What is subtracted from the cosine of the label.

    Returns:
        A float tensor of the shape of `y_pred` without the last axis.

    Raises:
        ValueError: Shapes do not fit.

    >>> from cnnrs import losses
    >>> losses.cosface([0], [[0.75, 0.5]], scale=4.0, margin=0.25).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    return _entropy(y_true, y_pred, scale, "cosface", lambda cosines: cosines - float(margin))


class ArcFace(LossFunctionWrapper):
    """The additive angular margin loss: the label's angle must be smaller by a margin than is needed.

    Predictions are cosines: the last layer is `layers.CosineDense(classes)`, and its input is the embedding.
    `layers.ArcFace` has the margin in the layer, where it is left out for inference.

    Args:
        scale: Factor of the cosines, above 0.
        margin: Radians that are added to the angle of the label, 0 to π.
        easy_margin: Whether angles of more than a right one are left as they are.
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.

    Raises:
        ValueError: An argument is none of these.

    Reference:
        Deng, Guo, Xue and Zafeiriou 2019, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
        arXiv:1801.07698.

    >>> from cnnrs import losses
    >>> print(f"{float(losses.ArcFace(scale=4.0)([0], [[0.8, 0.6]])):.4f}")
    1.1317
    """

    def __init__(
        self,
        scale: float = 64.0,
        margin: float = 0.5,
        easy_margin: bool = False,
        reduction: str = "sum_over_batch_size",
        name: str = "arcface",
        dtype: Any = None,
    ):
        check_margin(self, scale, margin, easy_margin)
        arguments = {"scale": scale, "margin": margin, "easy_margin": easy_margin}
        super().__init__(arcface, reduction, name, dtype, **arguments)


def check_margin(owner: Any, scale: Any, margin: Any, easy_margin: Any) -> None:
    """Raises a ValueError unless these are arguments of `ArcFace`."""
    number(scale, owner, "scale", above=0)
    number(margin, owner, "margin", least=0, most=math.pi)
    flag(easy_margin, owner, "easy_margin")


class CosFace(LossFunctionWrapper):
    """The large margin cosine loss: the label's cosine must be larger by a margin than is needed.

    Predictions are cosines, the output of `layers.CosineDense(classes)`.

    Args:
        scale: Factor of the cosines, above 0.
        margin: What is subtracted from the cosine of the label, at least 0.
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.

    Raises:
        ValueError: An argument is none of these.

    Reference:
        Wang et al. 2018, "CosFace: Large Margin Cosine Loss for Deep Face Recognition", arXiv:1801.09414.

    >>> from cnnrs import losses
    >>> print(f"{float(losses.CosFace(scale=4.0, margin=0.25)([0], [[0.75, 0.5]])):.4f}")
    0.6931
    """

    def __init__(
        self,
        scale: float = 64.0,
        margin: float = 0.35,
        reduction: str = "sum_over_batch_size",
        name: str = "cosface",
        dtype: Any = None,
    ):
        number(scale, self, "scale", above=0)
        number(margin, self, "margin", least=0)
        super().__init__(cosface, reduction, name, dtype, scale=scale, margin=margin)
