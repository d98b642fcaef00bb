"""`MixedTargets`: targets of a batch whose samples were mixed, and the values of losses for them."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
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
        weight: The weight of `first`: of samples, of shape (batch,), or of pixels.
        target_weight: The same weight, in a shape that broadcasts to the targets'.
        of_samples: The weight of samples, for losses that give fewer values than there are pixels; None if
            `weight` is that.
        is_map: Whether the targets are maps of the images' size.
        cut: Whether weights of pixels are 0 or 1 alone, so that `dominant` is the mixture itself.

    Attributes:
        sample_total: The weight of samples' losses that goes with `of_samples`; None if there is none.

    >>> from cnnrs import ops
    >>> half = ops.convert_to_tensor([0.75])
    >>> mixed = MixedTargets(ops.convert_to_tensor([1]), ops.convert_to_tensor([0]), half, half)
    >>> mixed.dominant().tolist()
    [1]
    """

    def __init__(
        self,
        first: Any,
        second: Any,
        weight: Any,
        target_weight: Any,
        of_samples: Any = None,
        is_map: bool = False,
        cut: bool = False,
    ):
        self.first, self.second = first, second
        self.weight, self.target_weight = weight, target_weight
        self.of_samples = weight if of_samples is None else of_samples
        self.is_map, self.cut = is_map, cut
        self.sample_total: Any = None
        self.shape, self.dtype = first.shape, first.dtype

    def map(self, function: Callable[[Any], Any]) -> MixedTargets:
        """The same with other forms of both targets."""
        made = copy(self)
        made.first, made.second = function(self.first), function(self.second)
        made.shape, made.dtype = made.first.shape, made.first.dtype
        return made

    def with_weight(self, weight: Any, of_samples: Any, sample_total: Any) -> MixedTargets:
        """The same with other weights of the first loss: that of `weight`, and that of samples."""
        made = copy(self)
        made.weight, made.of_samples, made.sample_total = weight, of_samples, sample_total
        return made

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


def mixed_values(
    call: Callable[[Any, Any], Any], name: str, y_true: Any, y_pred: Any, sample_weight: Any = None
) -> tuple[Any, Any]:
    """`call(y_true, y_pred)` and the weight of its values, where `y_true` may hold `MixedTargets`.

    The loss of maps that were cut is that of the maps put together. Where maps were cut in some batches and
    added in others, a loss that gives fewer values than there are pixels, such as one for each image, has no
    value to which the weight of a pixel belongs: it gets the mixture of the targets, if they have the shape
    of the predictions, and else goes by the weights of samples. A loss that gives one number for the whole
    batch gets the mixture of the targets.

    Args:
        call: Gives the values of a loss.
        name: The name of the loss.
        y_true: Targets, or a structure of them.
        y_pred: Predictions.
        sample_weight: The weight of the values.

    Raises:
        ValueError: The loss gives one number, and targets are not of the predictions' shape.
    """
    mixed = [y for y in tree.flatten(y_true) if _is_mixed(y)]
    if not mixed:
        return call(y_true, y_pred), sample_weight

    def targets(of: Callable[[MixedTargets], Any]) -> Any:
        return tree.map_structure(lambda y: of(y) if _is_mixed(y) else y, y_true)

    cut = all(y.cut for y in mixed)
    first = call(targets(MixedTargets.dominant if cut else lambda y: y.first), y_pred)
    weight, rank = mixed[0].weight, len(first.shape)
    of_fewer = not rank or rank < len(weight.shape)
    if of_fewer:
        weight = mixed[0].of_samples
        if rank and mixed[0].sample_total is not None:
            sample_weight = mixed[0].sample_total
    if cut:
        return first, sample_weight
    if not rank or (of_fewer and all(_fits(y, y_pred) for y in mixed)):
        unfit = [y for y in mixed if not _fits(y, y_pred)]
        if unfit:
            raise ValueError(
                f"{name}: a loss that gives one number for a batch: expected one-hot targets with "
                f"batch_augmentation, received {unfit[0].dtype} of shape {tuple(unfit[0].shape)}"
            )
        return call(targets(MixedTargets.soft), y_pred), sample_weight
    second = call(targets(lambda y: y.second), y_pred)
    weight = _fitted(weight.astype(first.dtype), first)
    values = weight * first + (1.0 - weight) * second
    masks = info_of(first).mask, info_of(second).mask
    if masks[0] is None or masks[1] is None:
        return values, sample_weight
    # A value counts where one of the targets that it has does: each is 0 where its own does not.
    counts = [ops.logical_and(part > 0.0, m) for part, m in zip((weight, 1.0 - weight), masks, strict=True)]
    return annotate(values, mask=ops.logical_or(*counts)), sample_weight


def _fits(y: MixedTargets, y_pred: Any) -> bool:
    """Whether a mixture of targets is one of predictions' kind."""
    return y.dtype in FLOATS if tree.is_nested(y_pred) else tuple(y.shape) == tuple(y_pred.shape)


def _fitted(weight: Any, values: Any) -> Any:
    """A weight with as many axes as the values."""
    missing = len(values.shape) - len(weight.shape)
    return raw.reshape(weight, shape=[*weight.shape, *[1] * missing]) if missing > 0 else weight
