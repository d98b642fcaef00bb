"""The elements of windows, place by place."""

from __future__ import annotations

from typing import Any

from cnnrs import ops

__all__ = ["channels_first", "channels_last", "taps"]


def channels_last(x: Any, data_format: str) -> Any:
    """Images with the channels last."""
    return x if data_format == "channels_last" else ops.transpose(x, (0, 2, 3, 1))


def channels_first(x: Any, data_format: str) -> Any:
    """Images with the channels last as `data_format` says."""
    return x if data_format == "channels_last" else ops.transpose(x, (0, 3, 1, 2))


def taps(x: Any, size: Any, strides: Any, padding: str, beyond: float) -> list[Any]:
    """For each place of a window, what all windows see there.

    Args:
        x: Images with the channels last.
        size: Height and width of the window.
        strides: Steps of the window.
        padding: "valid" or "same", where windows lie as those of `ops.max_pool`.
        beyond: What is seen beyond the border.

    Returns:
        Tensors of the shape of the pooled images, row by row of the window.

    >>> from cnnrs import ops
    >>> seen = taps(ops.reshape(ops.arange(6), (1, 2, 3, 1)), (2, 2), (1, 1), "valid", 0)
    >>> [ops.ravel(t).tolist() for t in seen]
    [[0, 1], [1, 2], [3, 4], [4, 5]]
    """
    many, sides = [], [(0, 0)]
    for extent, window, stride in zip(x.shape[1:3], size, strides, strict=True):
        before = after = 0
        if padding == "same":
            whole = max((-(-extent // stride) - 1) * stride + window - extent, 0)
            before, after = whole // 2, whole - whole // 2
        if window > extent + before + after:
            raise ValueError(
                f"pool_size: expected windows within images of {tuple(x.shape[1:3])}, received {tuple(size)}"
            )
        many.append((extent + before + after - window) // stride + 1)
        sides.append((before, after))
    if any(after for _, after in sides):
        x = ops.pad(x, (*sides, (0, 0)), constant_values=beyond)
    rows, columns = ((n - 1) * stride + 1 for n, stride in zip(many, strides, strict=True))
    return [
        x[:, i : i + rows : strides[0], j : j + columns : strides[1]]
        for i in range(size[0])
        for j in range(size[1])
    ]
