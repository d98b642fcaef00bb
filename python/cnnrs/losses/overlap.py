"""Losses of the overlap of masks: Dice, Tversky, focal Tversky and Jaccard."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import flag, number
from cnnrs.config import epsilon
from cnnrs.losses.classes import LossFunctionWrapper
from cnnrs.losses.loss import float_pair
from cnnrs.ops import raw
from cnnrs.ops.dispatch import in_float32, op
from cnnrs.ops.roots import power_of_magnitude

__all__ = ["Dice", "FocalTversky", "Jaccard", "Tversky", "dice", "focal_tversky", "jaccard", "tversky"]


def _masks(y_true: Any, y_pred: Any, from_logits: bool, class_axis: int, loss: str) -> tuple[Any, Any]:
    """Masks and predicted probabilities of one shape.

    Logits of one class become probabilities by the sigmoid, those of several by the softmax.
    """
    y_true, y_pred = float_pair(y_true, y_pred, squeeze=False)
    if tuple(y_true.shape) != tuple(y_pred.shape):
        raise ValueError(
            f"{loss}: y_true: expected masks of the shape of the predictions, {tuple(y_pred.shape)}, "
            f"received {tuple(y_true.shape)}; `ops.one_hot(labels, classes)` makes masks of labels"
        )
    if from_logits:
        one = not y_pred.ndim or y_pred.shape[class_axis] == 1
        y_pred = raw.sigmoid(y_pred) if one else ops.softmax(y_pred, axis=class_axis)
    return y_true, y_pred


@op
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """`1 - 2 Σ(y_true · y_pred) / (Σ y_true + Σ y_pred)` over `axis`, the whole batch by default.

    Masks without any element count as missed: the loss of two empty ones is 1.

    Args:
        y_true: Masks.
        y_pred: Predicted masks, of the same shape.
        axis: Axes to sum over; None for all.

    Returns:
        A float tensor of the other axes.

    >>> from cnnrs import losses
    >>> losses.dice([[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]], axis=1).numpy().round(4)
    array([0.3333, 1.    ], dtype=float32)
    """
    y_true, y_pred = float_pair(y_true, y_pred, squeeze=False)
    both = ops.sum(y_true * y_pred, axis=axis)
    return 1.0 - 2.0 * both / (ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + epsilon())


@op
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Any:
    """`1 - TP / (TP + α FP + β FN)` over `axis` (Salehi et al. 2017); `dice` for α = β = ½.

    Args:
        y_true: Masks.
        y_pred: Predicted masks, of the same shape.
        alpha: Weight of false positives.
        beta: Weight of false negatives.
        axis: Axes to sum over; None for all.

    Returns:
        A float tensor of the other axes.

    >>> from cnnrs import losses
    >>> round(float(losses.tversky([[1.0, 1.0]], [[1.0, 0.0]], beta=1.0)), 4)
    0.5
    """
    y_true, y_pred = float_pair(y_true, y_pred, squeeze=False)
    both = ops.sum(y_true * y_pred, axis=axis)
    false_positives = ops.sum((1.0 - y_true) * y_pred, axis=axis)
    false_negatives = ops.sum(y_true * (1.0 - y_pred), axis=axis)
    wrong = false_positives * float(alpha) + false_negatives * float(beta)
    return 1.0 - both / (both + wrong + epsilon())


@op
@in_float32
def focal_tversky(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 4 / 3,
    axis: Any = None,
    smooth: float = 1e-7,
    from_logits: bool = False,
    class_axis: int = -1,
) -> Any:
    """`(1 - TI)^(1 / γ)` with the Tversky index TI of `tversky` (Abraham and Khan 2018, equation 4).

    Args:
        y_true: Masks.
        y_pred: Probabilities or logits, of the same shape.
        alpha: Weight of false positives.
        beta: Weight of false negatives.
        gamma: Above 1, masks that overlap little count for more.
        axis: Axes to sum over; None for all.
        smooth: What is added to both sides of the fraction. Two empty masks have the loss 0.
        from_logits: Whether predictions are logits: of the sigmoid for one class, else of the softmax.
        class_axis: The axis of the classes, which logits need.

    Returns:
        A float tensor of the other axes. Where the overlap is perfect, the gradient is 0.

    Raises:
        ValueError: Shapes differ.

    >>> from cnnrs import losses
    >>> round(float(losses.focal_tversky([[1.0, 1.0]], [[1.0, 0.0]], gamma=1.0)), 4)
    0.4118
    """
    y_true, y_pred = _masks(y_true, y_pred, from_logits, class_axis, "focal_tversky")
    both = ops.sum(y_true * y_pred, axis=axis)
    false_positives = ops.sum((1.0 - y_true) * y_pred, axis=axis)
    false_negatives = ops.sum(y_true * (1.0 - y_pred), axis=axis)
    wrong = false_positives * float(alpha) + false_negatives * float(beta)
    return power_of_magnitude(wrong / (both + wrong + float(smooth)), 1.0 / float(gamma))


@op
@in_float32
def jaccard(
    y_true: Any,
    y_pred: Any,
    axis: Any = None,
    smooth: float = 1e-7,
    from_logits: bool = False,
    class_axis: int = -1,
) -> Any:
    """`1 - (I + s) / (U + s)` with `I = Σ y p` and `U = Σ (y + p - y p)` over `axis` (Rahman and Wang 2016).

    Args:
        y_true: Masks.
        y_pred: Probabilities or logits, of the same shape.
        axis: Axes to sum over; None for all.
        smooth: s, which is added to both sides of the fraction. Two empty masks have the loss 0.
        from_logits: Whether predictions are logits: of the sigmoid for one class, else of the softmax.
        class_axis: The axis of the classes, which logits need.

    Returns:
        A float tensor of the other axes.

    Raises:
        ValueError: Shapes differ.

    >>> from cnnrs import losses
    >>> losses.jaccard([[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]], axis=1).numpy().round(4)
    array([0.5, 1. ], dtype=float32)
    """
    y_true, y_pred = _masks(y_true, y_pred, from_logits, class_axis, "jaccard")
    products = y_true * y_pred
    union = ops.sum(y_true + y_pred - products, axis=axis)
    # As a share of what is wrong it is exact where nearly all is right.
    wrong = ops.sum(y_true + y_pred - 2.0 * products, axis=axis)
    return wrong / (union + float(smooth))


class Dice(LossFunctionWrapper):
    """One minus the Dice coefficient of masks.

    Args:
        reduction: As in `Loss`.
        name: Name.
        axis: Axes to sum over; None for all, and one coefficient for the batch.
        dtype: As in `Loss`.

    Reference:
        Sørensen 1948 and Dice 1945; as a loss Milletari, Navab and Ahmadi 2016, "V-Net", arXiv:1606.04797,
        whose denominator sums squares. Here, as in Keras, it sums the predictions: `Tversky` for α = β = ½.

    >>> from cnnrs import losses
    >>> round(float(losses.Dice()([[1.0, 1.0]], [[1.0, 0.0]])), 4)
    0.3333
    """

    def __init__(
        self,
        reduction: str = "sum_over_batch_size",
        name: str = "dice",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(dice, reduction, name, dtype, axis=axis)


class Tversky(LossFunctionWrapper):
    """One minus the Tversky index of masks.

    Args:
        alpha: Weight of false positives, at least 0.
        beta: Weight of false negatives, at least 0; one of both is above 0.
        reduction: As in `Loss`.
        name: Name.
        axis: Axes to sum over; None for all, and one index for the batch.
        dtype: As in `Loss`.

    Raises:
        ValueError: An argument is none of these.

    Reference:
        Salehi, Erdogmus and Gholipour 2017, "Tversky loss function for image segmentation using 3D fully
        convolutional deep networks", arXiv:1706.05721, equation 3.

    >>> from cnnrs import losses
    >>> round(float(losses.Tversky(beta=1.0)([[1.0, 1.0]], [[1.0, 0.0]])), 4)
    0.5
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str = "sum_over_batch_size",
        name: str = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ):
        alpha, beta = (
            number(value, "Tversky", argument, least=0)
            for argument, value in (("alpha", alpha), ("beta", beta))
        )
        if not alpha + beta:
            raise ValueError("Tversky: alpha, beta: expected one of them above 0, received 0 and 0")
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)


class FocalTversky(LossFunctionWrapper):
    """The Tversky loss to the power of `1 / gamma`: masks that overlap little count for more.

    For masks of few pixels, of which none shall be missed. Pass `axis=(1, 2)` for one index for each image
    and class, so that rare classes count as much as large ones.

    Args:
        alpha: Weight of false positives, at least 0.
        beta: Weight of false negatives, at least 0. The paper calls this one α.
        gamma: Above 0; above 1, masks that overlap little count for more.
        axis: Axes to sum over; None for all, and one index for the batch.
        smooth: What is added to both sides of the fraction, at least 0. Two empty masks have the loss 0.
        from_logits: Whether predictions are logits: of the sigmoid for one class, else of the softmax.
        class_axis: The axis of the classes, which logits need.
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.

    Raises:
        ValueError: An argument is none of these.

    Reference:
        Abraham and Khan 2018, "A Novel Focal Tversky loss function with improved Attention U-Net for lesion
        segmentation", arXiv:1810.07842.

    >>> from cnnrs import losses
    >>> round(float(losses.FocalTversky(gamma=1.0)([[1.0, 1.0]], [[1.0, 0.0]])), 4)
    0.4118
    """

    def __init__(
        self,
        alpha: float = 0.3,
        beta: float = 0.7,
        gamma: float = 4 / 3,
        axis: Any = None,
        smooth: float = 1e-7,
        from_logits: bool = False,
        class_axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str = "focal_tversky",
        dtype: Any = None,
    ):
        for argument, value in (("alpha", alpha), ("beta", beta), ("smooth", smooth)):
            number(value, self, argument, least=0)
        number(gamma, self, "gamma", above=0)
        flag(from_logits, self, "from_logits")
        arguments = {"alpha": alpha, "beta": beta, "gamma": gamma, "axis": axis, "smooth": smooth}
        arguments |= {"from_logits": from_logits, "class_axis": class_axis}
        super().__init__(focal_tversky, reduction, name, dtype, **arguments)


class Jaccard(LossFunctionWrapper):
    """One minus the intersection over union of masks, with probabilities in place of choices.

    It is what `metrics.IoU` measures, made differentiable. Boxes have `IoULoss`.

    Args:
        axis: Axes to sum over; None for all, and one number for the batch. With `(1, 2)` there is one for
            each image and class, so that rare classes count as much as large ones.
        smooth: What is added to both sides of the fraction, at least 0. Two empty masks have the loss 0.
        from_logits: Whether predictions are logits: of the sigmoid for one class, else of the softmax.
        class_axis: The axis of the classes, which logits need.
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.

    Raises:
        ValueError: An argument is none of these.

    Reference:
        Rahman and Wang 2016, "Optimizing Intersection-Over-Union in Deep Neural Networks for Image
        Segmentation", ISVC.

    >>> from cnnrs import losses
    >>> round(float(losses.Jaccard()([[1.0, 1.0]], [[1.0, 0.0]])), 4)
    0.5
    """

    def __init__(
        self,
        axis: Any = None,
        smooth: float = 1e-7,
        from_logits: bool = False,
        class_axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str = "jaccard",
        dtype: Any = None,
    ):
        number(smooth, self, "smooth", least=0)
        flag(from_logits, self, "from_logits")
        arguments = {"axis": axis, "smooth": smooth, "from_logits": from_logits, "class_axis": class_axis}
        super().__init__(jaccard, reduction, name, dtype, **arguments)
