"""The base class of losses, and how values of samples become one number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base import naming
from cnnrs.base.arguments import NamedArguments
from cnnrs.base.dtypes import STORED, require_float32
from cnnrs.ops import raw
from cnnrs.ops.annotated import info_of
from cnnrs.ops.masks import mask_of, merge_masks

_EPSILON = 1e-7
_REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def as_tensor(value: Any) -> Any:
    """A tensor of `value`; tensors and variables pass."""
    if isinstance(value, (_core.Tensor, _core.Variable)):
        return value
    return _core.tensor(np.asarray(value))


def squeeze_or_expand(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Targets (n,) fit predictions (n, 1), and the other way round."""
    difference = len(y_true.shape) - len(y_pred.shape)
    if difference == 1 and y_true.shape[-1] == 1:
        y_true = raw.squeeze(y_true, axis=-1)
    elif difference == -1 and y_pred.shape[-1] == 1:
        y_true = raw.expand_dims(y_true, axis=-1)
    return y_true, y_pred


def _fit_weight(weight: Any, values: Any) -> Any:
    """A weight of the values' rank: one axis of 1 less, or axes of 1 more.

    Raises:
        ValueError: It does not broadcast to the values.
    """
    given = tuple(weight.shape)
    if len(weight.shape) == len(values.shape) + 1 and weight.shape[-1] == 1:
        weight = raw.squeeze(weight, axis=-1)
    missing = len(values.shape) - len(weight.shape)
    if missing > 0:
        weight = raw.reshape(weight, shape=[*weight.shape, *[1] * missing])
    if missing < 0 or any(w not in (1, v) for w, v in zip(weight.shape, values.shape, strict=True)):
        raise ValueError(
            f"sample_weight: expected a shape that broadcasts to {tuple(values.shape)}, received {given}"
        )
    return weight


def reduce_weighted_values(
    values: Any,
    sample_weight: Any = None,
    reduction: str | None = "sum_over_batch_size",
    mask: Any = None,
) -> Any:
    """Weights values of samples and reduces them to one number, unless `reduction` is "none".

    Args:
        values: One value a sample, or several.
        sample_weight: Factor of each value; missing last axes are added.
        reduction: As in `Loss`.
        mask: Where values count; means are over these alone.

    >>> from cnnrs import losses
    >>> float(losses.reduce_weighted_values([1.0, 3.0], sample_weight=[1.0, 0.0]))
    0.5
    """
    values = as_tensor(values)
    weight = (
        None if sample_weight is None else _fit_weight(as_tensor(sample_weight).astype("float32"), values)
    )
    if mask is not None:
        mask = mask.astype("float32")
        if reduction in ("mean", "sum_over_batch_size"):
            valid = raw.sum(mask) + _EPSILON
            mask = mask * (float(max(1, math.prod(mask.shape))) / valid)
        mask = _fit_weight(mask, values)
        weight = mask if weight is None else weight * mask
    if weight is not None:
        values = values * weight
    if reduction in (None, "none"):
        return values
    total = raw.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weight is not None:
        ones = raw.broadcast_to(weight, shape=list(values.shape))
        divisor = raw.sum(ones)
        # The network is in no branch of this: its gradients need no guard.
        return total / raw.where(divisor != 0.0, divisor, math.inf)
    return total * (1.0 / max(1, math.prod(values.shape)))


class Loss(NamedArguments):
    """Base class: subclasses define `call(y_true, y_pred)`, one value a sample.

    Args:
        name: Name.
        reduction: "sum_over_batch_size" (the mean over samples), "sum", "mean",
            "mean_with_sample_weight" or "none".
        dtype: float32.

    Example:

    >>> from cnnrs import losses
    >>> class Distance(losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return abs(y_true - y_pred)
    >>> float(Distance()([1.0, 2.0], [2.0, 4.0]))
    1.5
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ):
        if reduction not in _REDUCTIONS:
            raise ValueError(
                f"{type(self).__name__}: reduction: expected one of {_REDUCTIONS}, received {reduction!r}"
            )
        require_float32(dtype, type(self).__name__)
        self.name = name or naming.auto_name(naming.to_snake_case(type(self).__name__))
        self.reduction = reduction
        self.dtype = "float32"

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of targets and predictions of one leading shape, in float32; a scalar unless unreduced.

        Where the mask of the predictions is False, nothing counts.
        """
        mask = mask_of(y_pred)
        y_true, y_pred = (
            y.astype("float32") if y.dtype in STORED else y for y in (as_tensor(y_true), as_tensor(y_pred))
        )
        with _core.layer_scope(self.name):
            values = self.call(y_true, y_pred)
            mask = merge_masks(mask, info_of(values).mask)
            return reduce_weighted_values(values, sample_weight, self.reduction, mask)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One value a sample."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """The loss of a config."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name} reduction={self.reduction}>"
