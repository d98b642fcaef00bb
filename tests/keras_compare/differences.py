"""Differences from Keras on TensorFlow that are meant: backends disagree, or Keras is wrong by definition."""

from __future__ import annotations

import re

__all__ = ["MEANT", "meant"]

# A case, a difference, as patterns, and the reason.
MEANT: list[tuple[str, str, str]] = [
    (
        r"ops\.(cumsum|cumprod|prod|sum)#",
        r"dtype int32, Keras (uint8|uint32)",
        "Sums and products of uint8 are int32: counts of pixels do not wrap around.",
    ),
    (
        r"ops\.(cast|saturate_cast)#",
        r"gradients",
        "Gradients through a cast to 16 bits are not rounded to 16 bits on the way.",
    ),
    (
        r"ops\.logaddexp#",
        r"gradients",
        "Equal numbers share the gradient of `logaddexp`; TensorFlow gives all of it to the first.",
    ),
    (
        r"ops\.(cbrt|corrcoef|deg2rad|heaviside|hypot|i0|rad2deg)#",
        r"dtype float32, Keras float64",
        "Functions of floats give float32 for int64, as most of Keras do; seven of TensorFlow give float64.",
    ),
    (
        r"ops\.sparsemax#",
        r"value: ",
        "`sparsemax` adds up to 1; that of Keras 3.15.1 on TensorFlow gives rows of zeros.",
    ),
    (
        r"ops\.adaptive_max_pool#",
        r"gradients",
        "Equal maxima of a window share its gradient.",
    ),
    (
        r"ops\.(corrcoef|fliplr|flipud)#",
        r"refused",
        "`corrcoef`, `fliplr` and `flipud` refuse arrays of too few or too many axes, as numpy does.",
    ),
    (
        r"ops\.corrcoef#",
        r"something, Keras nothing",
        "`corrcoef` is differentiable.",
    ),
    (
        r"ops\.hypot#",
        r"gradients",
        "The gradient of `hypot(x, y)` is x / hypot also where |x| = |y|; TensorFlow's is not.",
    ),
    (
        r"ops\.image\.(affine_transform|hsv_to_rgb|map_coordinates|perspective_transform)#",
        r"something, Keras nothing",
        "Functions of images are differentiable in more arguments than TensorFlow's.",
    ),
    (
        r"(ops\.image\.resize#|layers\.Resizing)",
        r"value: ",
        "Bicubic weights are computed; TensorFlow looks them up in a table of 1,024, which is exact to 3e-4.",
    ),
    (
        r"losses\.Tversky",
        r"value: ",
        "`alpha` of Tversky weighs false positives, as documented; Keras 3.15.1 swaps it with `beta`.",
    ),
]


def meant(key: str, difference: str) -> str | None:
    """Why a difference of a case is meant; None if it is not."""
    for case, what, reason in MEANT:
        if re.search(case, key) and re.search(what, difference):
            return reason
    return None
