"""The base class of losses, and how values of samples become one number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.base import naming, policies
from cnnrs.base.arguments import NamedArguments
from cnnrs.base.dtypes import FLOAT, FLOATS, STORED
from cnnrs.config import epsilon
from cnnrs.losses.mixed import MixedTargets, mixed_values
from cnnrs.ops import raw
from cnnrs.ops.annotated import info_of
from cnnrs.ops.dispatch import as_data
from cnnrs.ops.masks import mask_of, merge_masks

_REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def as_tensor(value: Any) -> Any:
    """A tensor of `value`, of at most 32 bits; tensors and variables pass."""
    if isinstance(value, (_core.Tensor, _core.Variable)):
        return value
    return as_data(np.asarray(value))


def squeeze_or_expand(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Targets (n,) fit predictions (n, 1), and the other way round."""
    difference = len(y_true.shape) - len(y_pred.shape)
    if difference == 1 and y_true.shape[-1] == 1:
        y_true = raw.squeeze(y_true, axis=-1)
    elif difference == -1 and y_pred.shape[-1] == 1:
        y_true = raw.expand_dims(y_true, axis=-1)
    return y_true, y_pred


def float_pair(y_true: Any, y_pred: Any, squeeze: bool = True) -> tuple[Any, Any]:
    """Targets and predictions in the float type of the predictions, or float32; fitted to one rank."""
    y_true, y_pred = as_tensor(y_true), as_tensor(y_pred)
    if y_pred.dtype not in FLOATS:
        y_pred = y_pred.astype(FLOAT)
    if squeeze:
        y_true, y_pred = squeeze_or_expand(y_true, y_pred)
    return (y_true if y_true.dtype == y_pred.dtype else y_true.astype(y_pred.dtype)), y_pred


def float_dtype(dtype: Any, owner: str) -> str:
    """The float type that a loss is told to give; of a policy, the one in which it computes.

    Raises:
        ValueError: It is none.
    """
    if isinstance(dtype, dict):  # the config of a policy
        dtype = dtype.get("config", {}).get("name")
    found = FLOAT if dtype is None else policies.of(dtype).compute_dtype
    if found not in FLOATS:
        raise ValueError(f"{owner}: dtype: expected a type of floats, received {dtype!r}")
    return found


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
    dtype = values.dtype if values.dtype in FLOATS else FLOAT
    weight = None
    if sample_weight is not None:
        weight = _fit_weight(as_tensor(sample_weight).astype(dtype), values)
    if mask is not None:
        mask = mask.astype(dtype)
        if reduction in ("mean", "sum_over_batch_size"):
            valid = raw.sum(mask) + epsilon()
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
        dtype: The type of the result, of floats. Targets and predictions are rounded to it, and what is
            computed of them is computed in float32 if it has 16 bits, and rounded once.

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
        self._dtype = float_dtype(dtype, type(self).__name__)
        self.name = name or naming.auto_name(naming.to_snake_case(type(self).__name__))
        self.reduction = reduction

    @property
    def dtype(self) -> str:
        """The type of the result."""
        return self._dtype

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of targets and predictions of one leading shape, in `dtype`; a scalar unless unreduced.

        Where the mask of the predictions is False, nothing counts.
        """
        mask = None if tree.is_nested(y_pred) else mask_of(y_pred)
        y_true, y_pred = self._prepared(y_true), self._prepared(y_pred)
        with _core.layer_scope(self.name):
            values, sample_weight = mixed_values(self.call, self.name, y_true, y_pred, sample_weight)
            mask = merge_masks(mask, info_of(values).mask)
            loss = reduce_weighted_values(values, sample_weight, self.reduction, mask)
            return loss.astype(self.dtype) if self.dtype in STORED else loss

    def _prepared(self, y: Any) -> Any:
        """Targets or predictions, or a structure of them, as they are computed with. Labels stay integers."""
        if isinstance(y, dict) or (
            isinstance(y, (list, tuple)) and any(hasattr(leaf, "shape") for leaf in tree.flatten(y))
        ):
            return tree.map_structure(self._prepared, y)
        if isinstance(y, MixedTargets):
            return y.map(self._prepared)
        y = as_data(y, self.dtype)
        if self.dtype in STORED:
            return (y.astype(self.dtype) if y.dtype in FLOATS else y).astype(FLOAT)
        return y.astype(self.dtype) if y.dtype in FLOATS and y.dtype != self.dtype else y

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One value a sample."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        own = {} if self.dtype == FLOAT else {"dtype": self.dtype}
        return {"name": self.name, "reduction": self.reduction, **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """The loss of a config."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name} reduction={self.reduction}>"
