"""Maps brought to the sizes of others."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.ops import image

__all__ = ["enlarged"]


def enlarged(x: Any, sizes: Any, interpolation: str, data_format: str) -> Any:
    """Maps of another size.

    Args:
        x: Maps, a tensor of 4 axes.
        sizes: Height and width of the result.
        interpolation: "nearest" or "bilinear".
        data_format: "channels_last" or "channels_first".
    """
    first = 1 if data_format == "channels_last" else 2
    own = x.shape[first : first + 2]
    if list(own) == list(sizes):
        return x
    if interpolation == "nearest" and all(n and size % n == 0 for n, size in zip(own, sizes, strict=True)):
        for axis, (n, size) in enumerate(zip(own, sizes, strict=True), first):
            x = ops.repeat(x, size // n, axis)
        return x
    return image.resize(x, tuple(sizes), interpolation, data_format=data_format)
