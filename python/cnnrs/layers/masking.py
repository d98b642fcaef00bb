"""How calls of layers find the masks of their inputs and hand them on."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnrs import _core, symbolic, tree
from cnnrs.base.user_warnings import warn_user
from cnnrs.ops.masks import any_mask, mask_of, masks_of, set_mask

__all__ = ["Found", "find", "hand_on"]


class Found(NamedTuple):
    """The masks of a call.

    Attributes:
        previous: The mask of the first input, or what `mask` was given; None if there is none.
        arguments: Arguments of `call` for masks that the caller did not give.
    """

    previous: Any
    arguments: dict[str, Any]


_NONE = Found(None, {})


def find(signature: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Found:
    """The masks of a call with these arguments.

    If `call` has one tensor among its arguments, its mask becomes the argument `mask`; of several, the mask
    of `x` becomes the argument `x_mask`.
    """
    if len(args) == 1 and type(args[0]) in (_core.Tensor, symbolic.KerasTensor):
        given = kwargs and not signature.mask_names.isdisjoint(kwargs)
        if mask_of(args[0]) is None and not given:
            return _NONE
    added = _arguments(signature, args, kwargs) if signature.mask_names else {}
    mask = added.get("mask", kwargs.get("mask"))
    previous = mask if mask is not None else masks_of(args[0] if args else next(iter(kwargs.values())))
    return Found(previous if any_mask(previous) else None, added)


def _arguments(signature: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    named = {**dict(zip(signature.names, args, strict=False)), **kwargs}
    tensors = {name: value for name, value in named.items() if _is_tensors(value)}
    single = len(tensors) == 1
    wanted = {"mask" if single else f"{name}_mask": value for name, value in tensors.items()}
    found = {}
    for name, value in wanted.items():
        if name in signature.mask_names and name not in named:
            masks = masks_of(value)
            if any_mask(masks):
                found[name] = masks
    return found


def _is_tensors(value: Any) -> bool:
    leaves = tree.flatten(value)
    return bool(leaves) and all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves)


def hand_on(layer: Any, first: Any, outputs: Any, previous: Any, warn: bool) -> None:
    """Gives the outputs of a layer the masks that its `compute_mask` makes."""
    if not layer.supports_masking:
        if warn and previous is not None and not layer._carries_masks:
            warn_user(
                f"{layer.name}: {type(layer).__name__} does not support masking: its input has a mask, "
                "its output has none"
            )
        return
    flat = tree.flatten(outputs)
    if all(mask_of(x) is not None for x in flat):
        return
    if previous is None and isinstance(first, (list, tuple)):
        previous = [None] * len(first)
    masks = layer.compute_mask(first, previous)
    if masks is None:
        return
    for x, mask in zip(flat, tree.flatten(masks), strict=False):
        if mask is not None and mask_of(x) is None:
            set_mask(x, mask)
