"""Key points: tensors of shape (points, 2), or with a batch in front, of columns and rows of pixels.

A third number says whether the point is visible. What is not there is (-1, -1), and 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops

__all__ = ["absent", "checked", "kept", "placed"]


def checked(layer: str, keypoints: Any, single: bool) -> Any:
    """Key points as float32.

    Raises:
        ValueError: They have another shape.
    """
    given = ops.cast(keypoints, "float32")
    axes = 2 if single else 3
    if len(given.shape) != axes or given.shape[-1] not in (2, 3):
        front = "" if single else "batch, "
        raise ValueError(
            f"{layer}: keypoints: expected shape ({front}points, 2) or ({front}points, 3), "
            f"received {tuple(given.shape)}"
        )
    return given


def absent(keypoints: Any) -> Any:
    """Which points are not there, of shape (..., points, 1)."""
    if keypoints.shape[-1] == 3:
        return ops.equal(keypoints[..., 2:3], 0.0)
    return ops.all(ops.equal(keypoints, -1.0), axis=-1, keepdims=True)


def kept(keypoints: Any, which: Any) -> Any:
    """Key points, of which those that are not kept are marked."""
    gone = [-1.0, -1.0, 0.0][: keypoints.shape[-1]]
    return ops.where(which, keypoints, np.array(gone, np.float32))


def placed(keypoints: Any, x: Any, y: Any, height: Any, width: Any) -> Any:
    """Key points at new columns and rows; those outside of a picture of this size are marked.

    Args:
        keypoints: What they were before.
        x: The new columns, of shape (..., points, 1).
        y: The new rows.
        height: Height of the picture in pixels, or the ends of its rows.
        width: Width of the picture, or the ends of its columns.
    """

    def within(place: Any, extent: Any) -> Any:
        begin, end = extent if isinstance(extent, tuple) else (0.0, extent)
        return ops.logical_and(place >= begin - 0.5, place < end - 0.5)

    seen = ops.logical_and(within(x, width), within(y, height))
    seen = ops.logical_and(seen, ops.logical_not(absent(keypoints)))
    return kept(ops.concatenate([x, y, keypoints[..., 2:]], axis=-1), seen)
