"""Images as all functions here see them: batches with the channels last, computed in floats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs.base.dtypes import FLOAT, FLOATS, STORED
from cnnrs.ops.core import saturate_cast
from cnnrs.ops.dispatch import apply, as_tensor
from cnnrs.ops.spatial import image_data_format

__all__ = ["as_batch", "back_to", "computed", "filling", "of_floats", "rows_of", "spatial"]


def spatial(images: Any, data_format: str | None, owner: str, argument: str = "images") -> tuple[Any, int]:
    """Images as a tensor, and the axis of their rows, which that of their columns follows.

    Args:
        images: One, or a batch.
        data_format: What was given.
        owner: The function or layer, for messages.
        argument: The argument, for messages.

    Raises:
        ValueError: They have neither 3 nor 4 axes, or `data_format` is unknown.
    """
    x = as_tensor(images)
    return x, rows_of(x, data_format, owner, argument)


def rows_of(x: Any, data_format: str | None, owner: str, argument: str = "images") -> int:
    """`spatial` for what has a shape already: the axis of the rows."""
    if x.ndim not in (3, 4):
        raise ValueError(
            f"{owner}: {argument}: expected 3 axes for one image or 4 for a batch of them, "
            f"received shape {x.shape}"
        )
    return x.ndim - 3 + (0 if image_data_format(data_format) == "channels_last" else 1)


def as_batch(
    images: Any, data_format: str | None, owner: str, argument: str = "images"
) -> tuple[Any, Callable[[Any], Any]]:
    """Images as a tensor of shape (batch, height, width, channels), and what gives results their form.

    Args:
        images: One, or a batch.
        data_format: What was given.
        owner: The function or layer, for messages.
        argument: The argument, for messages.

    Raises:
        ValueError: They have neither 3 nor 4 axes, or `data_format` is unknown.
    """
    x, axis = spatial(images, data_format, owner, argument)
    single, first = x.ndim == 3, axis != x.ndim - 3
    if single:
        x = apply("expand_dims", x, axis=0)
    if first:
        x = apply("transpose", x, perm=[0, 2, 3, 1])

    def restore(y: Any) -> Any:
        if first:
            y = apply("transpose", y, perm=[0, 3, 1, 2, *range(4, y.ndim)])
        return apply("squeeze", y, axis=0) if single else y

    return x, restore


def computed(x: Any) -> Any:
    """`x` in the float type in which it is computed: integers and 16 bits become float32."""
    x = as_tensor(x)
    return x.astype(FLOAT) if x.dtype not in FLOATS or x.dtype in STORED else x


def back_to(y: Any, dtype: str) -> Any:
    """What was computed of elements of `dtype`, as such: rounded and limited if they are integers."""
    if y.dtype == dtype:
        return y
    if dtype in FLOATS:
        return y.astype(dtype)
    return saturate_cast(apply("round", y), dtype)


def of_floats(y: Any, dtype: str) -> Any:
    """What was computed of elements of `dtype`, in that type if it is one of floats; else as it is."""
    return y.astype(dtype) if dtype in FLOATS and y.dtype != dtype else y


def filling(value: Any, dtype: str) -> Any:
    """What fills images of elements of `dtype`: a number is not rounded to float32 on its way to them."""
    if not isinstance(value, (int, float, np.number)):
        return back_to(computed(value), dtype)
    # The others hold no number that float32 does not; float64 is a type that GPUs lack.
    wide = dtype in ("float64", "int32", "uint32", "int64", "uint64")
    return back_to(computed((np.float64 if wide else np.float32)(value)), dtype)
