"""`MixedTargets`: targets of a batch whose samples were mixed, and the values of losses for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs import ops, tree
from cnnrs.base.dtypes import FLOATS
from cnnrs.ops import raw
from cnnrs.ops.annotated import annotate, info_of

__all__ = ["MixedTargets", "mixed_values"]


class MixedTargets:
    """Two targets of each sample of a batch, and the weight of the first.

    The loss of a mixture is the mixture of the losses, `w L(first) + (1 - w) L(second)`. For cross-entropies,
    which are linear in their targets, that is the loss of soft labels, and labels stay
    what they were, integers or one-hot (Zhang et al. 2018, arXiv:1710.09412, section 2).

    Args:
        first: The targets.
        second: Those of the samples that were mixed in, likewise.
        weight: The weight of `first`, of the shape of a loss's values, or of their first axes.
        target_weight: The same weight, in a shape that broadcasts to the targets'.

    >>> from cnnrs import ops
    >>> half = ops.convert_to_tensor([0.75])
    >>> mixed = MixedTargets(ops.convert_to_tensor([1]), ops.convert_to_tensor([0]), half, half)
    >>> mixed.dominant().tolist()
    [1]
    """

    def __init__(self, first: Any, second: Any, weight: Any, target_weight: Any):
        self.first, self.second = first, second
        self.weight, self.target_weight = weight, target_weight
        self.shape, self.dtype = first.shape, first.dtype

    def map(self, function: Callable[[Any], Any]) -> MixedTargets:
        """The same with other forms of both targets."""
        return MixedTargets(function(self.first), function(self.second), self.weight, self.target_weight)

    def with_weight(self, weight: Any) -> MixedTargets:
        """The same with another weight of the first loss."""
        return MixedTargets(self.first, self.second, weight, self.target_weight)

    def dominant(self) -> Any:
        """The target of greater weight."""
        return raw.where(self.target_weight >= 0.5, self.first, self.second)

    def soft(self) -> Any:
        """The mixture of the targets themselves."""
        first, second = (y if y.dtype in FLOATS else y.astype("float32") for y in (self.first, self.second))
        weight = self.target_weight.astype(first.dtype)
        return weight * first + (1.0 - weight) * second


def _is_mixed(y: Any) -> bool:
    return isinstance(y, MixedTargets)


def mixed_values(call: Callable[[Any, Any], Any], name: str, y_true: Any, y_pred: Any) -> Any:
    """`call(y_true, y_pred)`, where `y_true` may hold `MixedTargets`.

    A loss that gives one number for the whole batch gets the mixture of its targets.

    Args:
        call: Gives the values of a loss.
        name: The name of the loss.
        y_true: Targets, or a structure of them.
        y_pred: Predictions.

    Raises:
        ValueError: The loss gives one number, and targets are not of the predictions' shape.
    """
    mixed = [y for y in tree.flatten(y_true) if _is_mixed(y)]
    if not mixed:
        return call(y_true, y_pred)

    def targets(of: Callable[[MixedTargets], Any]) -> Any:
        return tree.map_structure(lambda y: of(y) if _is_mixed(y) else y, y_true)

    first = call(targets(lambda y: y.first), y_pred)
    if not first.shape:
        for y in mixed:
            fits = y.dtype in FLOATS if tree.is_nested(y_pred) else tuple(y.shape) == tuple(y_pred.shape)
            if not fits:
                raise ValueError(
                    f"{name}: a loss that gives one number for a batch: expected one-hot targets with "
                    f"batch_augmentation, received {y.dtype} of shape {tuple(y.shape)}"
                )
        return call(targets(MixedTargets.soft), y_pred)
    second = call(targets(lambda y: y.second), y_pred)
    weight = _fitted(mixed[0].weight.astype(first.dtype), first)
    values = weight * first + (1.0 - weight) * second
    masks = info_of(first).mask, info_of(second).mask
    if masks[0] is None or masks[1] is None:
        return values
    # A value counts where one of the targets that it has does: each is 0 where its own does not.
    counts = [ops.logical_and(part > 0.0, m) for part, m in zip((weight, 1.0 - weight), masks, strict=True)]
    return annotate(values, mask=ops.logical_or(*counts))


def _fitted(weight: Any, values: Any) -> Any:
    """A weight with as many axes as the values."""
    missing = len(values.shape) - len(weight.shape)
    return raw.reshape(weight, shape=[*weight.shape, *[1] * missing]) if missing > 0 else weight
