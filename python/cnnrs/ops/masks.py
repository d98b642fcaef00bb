"""Which steps of a tensor count, as layers hand it on: the attribute `_keras_mask`, as in Keras."""

from __future__ import annotations

from typing import Any

from cnnrs import _core, tree
from cnnrs.ops import raw

__all__ = [
    "any_mask",
    "keep_mask",
    "mask_of",
    "masks_of",
    "merge_masks",
    "set_mask",
    "weigh",
    "with_mask",
    "without_mask",
]


def mask_of(x: Any) -> Any:
    """The mask of a tensor, False where it does not count; None if it has none."""
    return getattr(x, "_keras_mask", None)


def masks_of(structure: Any) -> Any:
    """The masks of the tensors in a structure."""
    return tree.map_structure(mask_of, structure) if tree.is_nested(structure) else mask_of(structure)


def set_mask(x: Any, mask: Any) -> None:
    """Gives a tensor, or a symbolic one, its mask."""
    x._keras_mask = mask


def keep_mask(result: Any, x: Any) -> Any:
    """`result`, with the mask of what it was made of."""
    mask = mask_of(x)
    if mask is not None and result is not x:
        set_mask(result, mask)
    return result


def with_mask(x: Any, mask: Any) -> Any:
    """`x` with a mask, as another tensor: that of the caller keeps its own."""
    if mask is None or mask_of(x) is mask:
        return x
    x = _core.apply("identity", (x,))
    set_mask(x, mask)
    return x


def without_mask(x: Any) -> Any:
    """`x`, or if it has a mask the same values without it."""
    return x if mask_of(x) is None else _core.apply("identity", (x,))


def any_mask(masks: Any) -> bool:
    """Whether a structure of masks holds one."""
    return masks is not None and any(mask is not None for mask in tree.flatten(masks))


def merge_masks(mask: Any, other: Any) -> Any:
    """A mask where both hold; None stands for one that holds everywhere.

    The one of fewer axes holds for all of the missing last axes of the other.
    """
    if mask is None or other is None:
        return other if mask is None else mask
    rank = max(len(mask.shape), len(other.shape))
    mask, other = (_with_axes(m.astype("bool"), rank) for m in (mask, other))
    return _core.apply("logical_and", (mask, other))


def weigh(sample_weight: Any, mask: Any) -> Any:
    """Weights of samples that are 0 where a mask is False; None stands for weights of 1."""
    if mask is None:
        return sample_weight
    mask = mask.astype("float32")
    if sample_weight is None:
        return mask
    sample_weight = sample_weight.astype("float32")
    rank = max(len(mask.shape), len(sample_weight.shape))
    return _with_axes(sample_weight, rank) * _with_axes(mask, rank)


def _with_axes(x: Any, rank: int) -> Any:
    """`x` with last axes of extent 1, so that it has `rank`."""
    missing = rank - len(x.shape)
    return raw.reshape(x, shape=[*x.shape, *[1] * missing]) if missing else x
