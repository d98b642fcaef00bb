"""Parts of images, images with borders, and images turned and mirrored."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import _core, ops
from cnnrs.compat.tf.arguments import integer, numbers, tensor
from cnnrs.compat.tf.namespaces import operation
from cnnrs.compat.tf.selecting import slice as tf_slice

__all__ = [
    "central_crop",
    "crop_to_bounding_box",
    "extract_patches",
    "flip_left_right",
    "flip_up_down",
    "pad_to_bounding_box",
    "resize_with_crop_or_pad",
    "rot90",
    "transpose",
]


def images(x: Any, function: str) -> Any:
    """Images as a tensor.

    Raises:
        ValueError: They have neither 3 nor 4 axes.
    """
    made = tensor(x)
    if made.ndim not in (3, 4):
        raise ValueError(
            f"tf.image.{function}: expected images of 3 or 4 axes, received shape {tuple(made.shape)}"
        )
    return made


@operation
def crop_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    """The part of images that begins at an offset, and has a height and width.

    Raises:
        ValueError: The part is not within the images.
    """
    x = images(image, "crop_to_bounding_box")
    target = [integer(n, "image.crop_to_bounding_box", "target") for n in (target_height, target_width)]
    lead = [0] * (x.ndim - 3)
    size = [*x.shape[: x.ndim - 3], *target, x.shape[-1]]
    begin = [*lead, offset_height, offset_width, 0]
    try:
        offset = [integer(n, "image.crop_to_bounding_box", "offset") for n in (offset_height, offset_width)]
    except _core.TracedValueError:
        return tf_slice(x, begin, size)
    if min(*offset, *target) < 0 or any(
        o + t > n for o, t, n in zip(offset, target, x.shape[-3:-1], strict=True)
    ):
        raise ValueError(
            f"tf.image.crop_to_bounding_box: {target} pixels from {offset} on are not within images of "
            f"shape {tuple(x.shape)}"
        )
    return tf_slice(x, begin, size)


@operation
def pad_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    """Images that stand at an offset in zeros of a height and width.

    Raises:
        ValueError: They do not fit.
    """
    x = images(image, "pad_to_bounding_box")
    before = [integer(n, "image.pad_to_bounding_box", "offset") for n in (offset_height, offset_width)]
    target = [integer(n, "image.pad_to_bounding_box", "target") for n in (target_height, target_width)]
    behind = [t - b - n for t, b, n in zip(target, before, x.shape[-3:-1], strict=True)]
    if min(*before, *behind) < 0:
        raise ValueError(f"tf.image.pad_to_bounding_box: {tuple(x.shape)} at {before} does not fit {target}")
    pairs = [[b, a] for b, a in zip(before, behind, strict=True)]
    return ops.pad(x, [[0, 0]] * (x.ndim - 3) + pairs + [[0, 0]])


@operation
def central_crop(image: Any, central_fraction: Any) -> Any:
    """The middle of images: a fraction of their height and width.

    Raises:
        ValueError: The fraction is not in (0, 1].
    """
    x, part = images(image, "central_crop"), float(np.asarray(central_fraction))
    if not 0 < part <= 1:
        raise ValueError(
            f"tf.image.central_crop: central_fraction: expected a number in (0, 1], received {part}"
        )
    begin = [int((n - n * part) / 2) for n in x.shape[-3:-1]]
    size = [n - 2 * b for n, b in zip(x.shape[-3:-1], begin, strict=True)]
    return crop_to_bounding_box(x, *begin, *size)


@operation
def resize_with_crop_or_pad(image: Any, target_height: Any, target_width: Any) -> Any:
    """Images cropped in the middle where they are too large, with zeros around where they are too small."""
    x = images(image, "resize_with_crop_or_pad")
    target = [integer(n, "image.resize_with_crop_or_pad", "target") for n in (target_height, target_width)]
    if min(target) < 1:
        raise ValueError(f"tf.image.resize_with_crop_or_pad: expected a positive size, received {target}")
    size = x.shape[-3:-1]
    cut = [max((n - t) // 2, 0) for n, t in zip(size, target, strict=True)]
    kept = [min(n, t) for n, t in zip(size, target, strict=True)]
    margin = [max((t - n) // 2, 0) for n, t in zip(size, target, strict=True)]
    return pad_to_bounding_box(crop_to_bounding_box(x, *cut, *kept), *margin, *target)


@operation
def flip_left_right(image: Any) -> Any:
    """Images mirrored from left to right."""
    x = images(image, "flip_left_right")
    return ops.flip(x, x.ndim - 2)


@operation
def flip_up_down(image: Any) -> Any:
    """Images mirrored from top to bottom."""
    x = images(image, "flip_up_down")
    return ops.flip(x, x.ndim - 3)


@operation
def transpose(image: Any) -> Any:
    """Images whose rows are the columns."""
    x = images(image, "transpose")
    return ops.swapaxes(x, x.ndim - 3, x.ndim - 2)


@operation
def rot90(image: Any, k: Any = 1) -> Any:
    """Images turned counter-clockwise by k quarters."""
    x = images(image, "rot90")
    try:
        quarters = integer(k, "image.rot90", "k") % 4
    except _core.TracedValueError:
        if x.shape[-3] != x.shape[-2]:
            raise ValueError(
                f"tf.image.rot90: k: expected a number of Python for images of shape {tuple(x.shape)}; "
                "turned by a number that is not known yet, only squares have a shape"
            ) from None
        turned = ops.stack([ops.rot90(x, i, (x.ndim - 3, x.ndim - 2)) for i in range(4)], axis=0)
        return ops.take(turned, ops.mod(tensor(k), 4), axis=0)
    return ops.rot90(x, quarters, (x.ndim - 3, x.ndim - 2))


@operation
def extract_patches(images: Any, sizes: Any, strides: Any, rates: Any, padding: str) -> Any:
    """Patches of images as channels: of shape (batch, rows, columns, height · width · channels).

    Args:
        images: A tensor of shape (batch, height, width, channels).
        sizes: [1, height, width, 1] of a patch.
        strides: [1, rows, columns, 1] between patches.
        rates: [1, rows, columns, 1] between pixels of a patch.
        padding: "VALID" or "SAME".
    """
    given = [numbers(n, "image.extract_patches", "sizes") for n in (sizes, strides, rates)]
    if any(len(n) != 4 or n[0] != 1 or n[3] != 1 for n in given):
        raise ValueError(f"tf.image.extract_patches: expected lists [1, rows, columns, 1], received {given}")
    size, step, rate = (tuple(n[1:3]) for n in given)
    if str(padding).upper() not in ("VALID", "SAME"):
        raise ValueError(f"tf.image.extract_patches: padding: expected VALID or SAME, received {padding!r}")
    return ops.image.extract_patches(
        tensor(images), size, step, rate if rate != (1, 1) else 1, str(padding).lower(), "channels_last"
    )
