"""Windows over 1, 2 or 3 spatial axes, in terms of the core's windows over images.

A sequence is an image of one row. A volume is convolved as images whose channels are those of all planes that
a window sees; it is pooled within planes and then across them. So each kernel exists once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import config
from cnnrs.base.arguments import shown
from cnnrs.ops.dispatch import apply, as_float, as_tensor

__all__ = [
    "Spatial",
    "convolve",
    "convolve_transposed",
    "image_data_format",
    "only_channels_last",
    "pair",
    "pool",
    "spatial_numbers",
]

Padding = str | list[list[int]]


def spatial_numbers(value: Any, argument: str, rank: int, least: int = 1) -> list[int]:
    """An integer, or one for each of `rank` axes, as a list.

    Raises:
        ValueError: It is neither, or below `least`.
    """
    values = [value] * rank if isinstance(value, (int, np.integer)) else value
    try:
        numbers = [v.__index__() for v in values]
    except (AttributeError, TypeError):
        numbers = []
    if len(numbers) != rank or min(numbers) < least:
        many = {1: "a sequence of one", 2: "a pair of integers"}.get(rank, f"{rank} integers")
        raise ValueError(f"{argument}: expected an integer or {many} >= {least}, received {shown(value)}")
    return numbers


def pair(value: Any, argument: str, least: int = 1) -> list[int]:
    """An integer, or a pair of them, as a list of two.

    Raises:
        ValueError: It is neither, or below `least`.
    """
    return spatial_numbers(value, argument, 2, least)


def standard_padding(padding: Any, rank: int, owner: str) -> Padding:
    """`padding` as the core takes it: "valid", "same", or elements before and after along each axis.

    Args:
        padding: The argument.
        rank: The number of spatial axes.
        owner: The op, for errors.

    Raises:
        ValueError: It is neither of these words nor a pair of integers >= 0 for each axis.
    """
    if isinstance(padding, str):
        if padding.lower() not in ("valid", "same"):
            raise ValueError(f"{owner}: padding: expected 'valid' or 'same', received {padding!r}")
        return padding.lower()
    try:
        sides = [[end.__index__() for end in side] for side in padding]
    except (AttributeError, TypeError):
        sides = []
    if [len(side) for side in sides] != [2] * rank or min(map(min, sides)) < 0:
        pairs = {1: "((left, right),)", 2: "((top, bottom), (left, right))"}
        raise ValueError(
            f"{owner}: padding: expected 'valid', 'same' or {pairs.get(rank, f'{rank} pairs')} of integers "
            f">= 0, received {padding!r}"
        )
    return sides


def image_data_format(data_format: str | None, owner: str = "") -> str:
    """`data_format`, or the configured one if it is None.

    Args:
        data_format: "channels_last", "channels_first" or None.
        owner: Name of the layer whose argument it is, for the error.

    Raises:
        ValueError: It is neither "channels_last" nor "channels_first".
    """
    if data_format is None:
        return config.image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        where = f"{owner}: " if owner else ""
        raise ValueError(
            f"{where}data_format: expected 'channels_last' or 'channels_first', received {data_format!r}"
        )
    return data_format


def only_channels_last(network: str) -> None:
    """Refuses to build a network whose layers need channels at the end.

    Raises:
        ValueError: `config.image_data_format()` says that they stand first.
    """
    if config.image_data_format() != "channels_last":
        raise ValueError(
            f"{network}: expected config.image_data_format() to be 'channels_last', received "
            f"{config.image_data_format()!r}"
        )


class Spatial:
    """The input of an op over windows, channels last, and how its output lies.

    Args:
        x: The input.
        data_format: How it lies; None takes the configured format.
        owner: The op, for errors.

    Attributes:
        x: The input, of shape (batch, spatial axes, channels).
        rank: The number of spatial axes: 1 to 3.
        first: Whether the input came, and the output goes, with channels first.
    """

    def __init__(self, x: Any, data_format: str | None, owner: str):
        x = as_float(x)
        self.rank, self.owner = x.ndim - 2, owner
        self.first = image_data_format(data_format, owner) == "channels_first"
        if not 1 <= self.rank <= 3:
            raise ValueError(
                f"{owner}: expected images of shape (batch, height, width, channels), sequences of 3 axes or "
                f"volumes of 5, received shape {x.shape}"
            )
        self.x = apply("transpose", x, perm=[0, *range(2, x.ndim), 1]) if self.first else x

    def numbers(self, value: Any, argument: str, least: int = 1) -> list[int]:
        """One number for each spatial axis."""
        return spatial_numbers(value, f"{self.owner}: {argument}", self.rank, least)

    def padding(self, padding: Any) -> Padding:
        """`padding` for these axes."""
        return standard_padding(padding, self.rank, self.owner)

    def kernel(self, kernel: Any, channels: str, argument: str = "kernel") -> Any:
        """A kernel of these axes and two of channels."""
        kernel = as_float(kernel)
        if kernel.ndim != self.rank + 2:
            axes = {1: "width", 2: "height, width", 3: "depth, height, width"}[self.rank]
            raise ValueError(
                f"{self.owner}: {argument}: expected shape ({axes}, {channels}), received {kernel.shape}"
            )
        return kernel

    def leave(self, y: Any) -> Any:
        """The output as the caller wants it."""
        return apply("transpose", y, perm=[0, y.ndim - 1, *range(1, y.ndim - 1)]) if self.first else y


def _rows(padding: Padding) -> Padding:
    return padding if isinstance(padding, str) else [[0, 0], *padding]


def _planes(padding: Padding) -> Padding:
    return padding if isinstance(padding, str) else padding[1:]


def _margins(padding: Padding, extent: int, window: int, stride: int) -> tuple[int, int]:
    """Planes of zeros before and after the first spatial axis."""
    if not isinstance(padding, str):
        return padding[0][0], padding[0][1]
    whole = max(-(-extent // stride) * stride - stride + window - extent, 0) if padding == "same" else 0
    return whole // 2, whole - whole // 2


def _pad(x: Any, axis: int, before: int, after: int) -> Any:
    """Zeros along an axis; negative numbers cut."""
    extent = x.shape[axis]
    if before < 0 or after < 0:
        x = _range(x, axis, max(-before, 0), extent + min(after, 0))
    if before > 0 or after > 0:
        sides = [[max(before, 0), max(after, 0)] if a == axis else [0, 0] for a in range(x.ndim)]
        x = apply("pad", x, paddings=sides, value=0.0)
    return x


def _range(x: Any, axis: int, start: int, stop: int, step: int = 1) -> Any:
    lead = list(x.shape[:axis])
    return apply("slice", x, starts=[0] * axis + [start], stops=[*lead, stop], steps=[1] * axis + [step])


def _taps(x: Any, size: int, stride: int, dilation: int, groups: int) -> Any:
    """Images whose channels are, group by group, those of the planes that a window of `size` planes sees."""
    many = (x.shape[1] - (size - 1) * dilation - 1) // stride + 1
    if many < 1:
        raise ValueError(f"kernel_size: a window of {size} planes does not fit an input of {x.shape[1]}")
    batch, _, height, width, channels = x.shape
    grouped = [batch, many, height, width, groups, 1, channels // groups]
    seen = [
        apply(
            "reshape",
            _range(x, 1, t * dilation, t * dilation + (many - 1) * stride + 1, stride),
            shape=grouped,
        )
        for t in range(size)
    ]
    joined = apply("concat", *seen, axis=5)
    return apply("reshape", joined, shape=[batch * many, height, width, size * channels]), many


def convolve(
    x: Any, kernel: Any, strides: list[int], padding: Padding, dilation: list[int], groups: int
) -> Any:
    """The convolution of `x`, channels last, along its 1 to 3 spatial axes."""
    rank = x.ndim - 2
    if rank == 1:
        x, kernel = apply("expand_dims", x, axis=1), apply("expand_dims", kernel, axis=0)
        y = convolve(x, kernel, [1, *strides], _rows(padding), [1, *dilation], groups)
        return apply("squeeze", y, axis=1)
    if rank == 2:
        way = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
        return apply("conv2d", x, kernel, **way)
    size, *rest = kernel.shape
    margins = _margins(padding, x.shape[1], (size - 1) * dilation[0] + 1, strides[0])
    seen, many = _taps(_pad(x, 1, *margins), size, strides[0], dilation[0], groups)
    kernel = apply("transpose", kernel, perm=[1, 2, 0, 3, 4])
    kernel = apply("reshape", kernel, shape=[*rest[:2], size * rest[2], rest[3]])
    y = convolve(seen, kernel, strides[1:], _planes(padding), dilation[1:], groups)
    return apply("reshape", y, shape=[x.shape[0], many, *y.shape[1:]])


def convolve_transposed(
    x: Any, kernel: Any, size: list[int], strides: list[int], padding: str, dilation: list[int]
) -> Any:
    """The gradient by its input, of extents `size`, of the convolution whose output `x` is."""
    rank = x.ndim - 2
    if rank == 1:
        x, kernel = apply("expand_dims", x, axis=1), apply("expand_dims", kernel, axis=0)
        y = convolve_transposed(x, kernel, [1, *size], [1, *strides], padding, [1, *dilation])
        return apply("squeeze", y, axis=1)
    if rank == 2:
        way = {"size": size, "strides": strides, "padding": padding, "dilation": dilation}
        return apply("conv2d_input_grad", x, kernel, **way)
    batch, planes, *rest = x.shape
    taps, step = kernel.shape[0], strides[0]
    window = (taps - 1) * dilation[0] + 1
    before, after = _margins(padding, size[0], window, step)
    if (size[0] + before + after - window) // step + 1 != planes:
        raise ValueError(
            f"conv_transpose: output_padding: no convolution of stride {step} makes {planes} planes "
            f"of {size[0]}"
        )
    if step > 1:  # planes of zeros between those of x
        x = _pad(apply("reshape", x, shape=[batch, planes, 1, *rest]), 2, 0, step - 1)
        x = _range(apply("reshape", x, shape=[batch, planes * step, *rest]), 1, 0, (planes - 1) * step + 1)
    left = window - 1 - before
    x = _pad(x, 1, left, size[0] + window - 1 - left - x.shape[1])
    seen, many = _taps(x, taps, 1, dilation[0], 1)
    kernel = apply("transpose", apply("flip", kernel, axes=[0]), perm=[1, 2, 3, 0, 4])
    kernel = apply("reshape", kernel, shape=[*kernel.shape[:3], taps * rest[2]])
    y = convolve_transposed(seen, kernel, size[1:], strides[1:], padding, dilation[1:])
    return apply("reshape", y, shape=[batch, many, *y.shape[1:]])


def pool(
    name: str, x: Any, size: list[int], strides: list[int], padding: Padding, further: dict[str, bool]
) -> Any:
    """The pooling `name` of `x`, channels last, along its 1 to 3 spatial axes, with further attributes."""
    rank = x.ndim - 2
    if rank == 1:
        x = apply("expand_dims", x, axis=1)
        y = pool(name, x, [1, *size], [1, *strides], _rows(padding), further)
        return apply("squeeze", y, axis=1)
    if rank == 2:
        return apply(name, x, pool_size=size, strides=strides, padding=padding, **further)
    batch, planes, *rest = x.shape
    flat = apply("reshape", x, shape=[batch * planes, *rest])
    y = pool(name, flat, size[1:], strides[1:], _planes(padding), further)
    within = list(y.shape[1:])
    y = apply("reshape", y, shape=[batch, planes, within[0] * within[1], within[2]])
    across: Padding = padding if isinstance(padding, str) else [padding[0], [0, 0]]
    y = pool(name, y, [size[0], 1], [strides[0], 1], across, further)
    return apply("reshape", y, shape=[batch, y.shape[1], *within])


def images_last(x: Any, data_format: str | None) -> tuple[Any, bool]:
    """Images with the channels last, of any dtype, and whether they came first."""
    x = as_tensor(x)
    if x.ndim != 4:
        raise ValueError(
            f"expected images of shape (batch, height, width, channels), received shape {x.shape}"
        )
    first = image_data_format(data_format) == "channels_first"
    return (apply("transpose", x, perm=[0, 2, 3, 1]) if first else x), first


def images_as_given(x: Any, first: bool) -> Any:
    """Images with the channels last as the caller wants them."""
    return apply("transpose", x, perm=[0, 3, 1, 2]) if first else x
