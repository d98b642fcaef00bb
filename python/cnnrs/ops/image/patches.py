"""Windows cut out of images and volumes, and images put together of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs.base.arguments import integers
from cnnrs.ops.dispatch import apply, as_tensor, op
from cnnrs.ops.spatial import image_data_format
from cnnrs.symbolic import KerasTensor, infer

__all__ = ["extract_patches", "extract_patches_3d", "reconstruct_patches"]


@op
def extract_patches(
    images: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
) -> Any:
    """Cuts windows out of images and makes each of them one vector.

    Args:
        images: Tensor of shape (batch, height, width, channels) or (height, width, channels), of any dtype. A
            `size` of three numbers takes volumes instead, as `extract_patches_3d` does.
        size: Size of the windows: an integer >= 1, or a (height, width) pair.
        strides: Distance of neighbouring windows, likewise; None, the default, means `size`, so that they do
            not overlap.
        dilation_rate: Distance of a window's neighbouring pixels, likewise; 1 by default.
        padding: "valid", the default, for whole windows only, or "same" for zeros around the images, so that
            there are `ceil(extent / stride)` windows along each axis; or `((top, bottom), (left, right))` for
            that many zeros.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of the dtype of `images` and of shape (batch, rows, columns, window height * window width *
        channels), without the batch if `images` had none, with the elements of a window in the order (row,
        column, channel).

    Raises:
        TypeError: `images` is not numeric, or `size` is neither a number nor a sequence.
        ValueError: `images` does not have 3 or 4 axes, the window does not fit into the image, or another
            argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> images = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> patches = ops.image.extract_patches(images, 2)
        >>> patches.shape, patches[0, 0, 1].tolist()
        ((1, 2, 2, 4), [2.0, 3.0, 6.0, 7.0])
    """
    axes = 3 if len(_size("extract_patches", size)) == 3 else 2
    return _extract("extract_patches", images, size, strides, dilation_rate, padding, data_format, axes)


@op
def extract_patches_3d(
    volumes: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
) -> Any:
    """Cuts blocks out of volumes and makes each of them one vector.

    Args:
        volumes: Tensor of shape (batch, depth, height, width, channels) or (depth, height, width, channels),
            of any dtype.
        size: Size of the blocks: an integer >= 1, or a (depth, height, width) triple.
        strides: Distance of neighbouring blocks, likewise; None, the default, means `size`.
        dilation_rate: Distance of a block's neighbouring elements, likewise; 1 by default.
        padding: "valid", the default, for whole blocks only, or "same" for zeros around the volumes, so that
            there are `ceil(extent / stride)` blocks along each axis; or a pair of numbers of zeros for each
            axis.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of the
            depth, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of the dtype of `volumes` and of shape (batch, planes, rows, columns, elements of a block),
        without the batch if `volumes` had none.

    Raises:
        TypeError: `volumes` is not numeric, or `size` is neither a number nor a sequence.
        ValueError: `volumes` does not have 4 or 5 axes, the block does not fit into the volume, or another
            argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> volumes = np.arange(64.0).reshape(1, 4, 4, 4, 1)
        >>> blocks = ops.image.extract_patches_3d(volumes, 2)
        >>> blocks.shape, blocks[0, 0, 0, 0].tolist()
        ((1, 2, 2, 2, 8), [0.0, 1.0, 4.0, 5.0, 16.0, 17.0, 20.0, 21.0])
    """
    return _extract("extract_patches_3d", volumes, size, strides, dilation_rate, padding, data_format, 3)


def _size(name: str, size: Any) -> list[int]:
    """The numbers in `size`.

    Raises:
        TypeError: It is neither a number nor a sequence.
        ValueError: It holds something else than integers >= 1, or more than three.
    """
    if isinstance(size, str) or not (hasattr(size, "__index__") or hasattr(size, "__len__")):
        raise TypeError(f"{name}: size: expected an integer or a tuple of 2 or 3 integers, received {size!r}")
    found = integers(size, name, "size", least=1)
    if len(found) > 3 or (len(found) == 1 and not hasattr(size, "__index__")):
        raise ValueError(f"{name}: size: expected an integer or a tuple of 2 or 3, received {size!r}")
    return found


def _each_axis(name: str, argument: str, value: Any, axes: int) -> list[int]:
    found = integers(value, name, argument, least=1)
    if len(found) == 1:
        found *= axes
    if len(found) != axes:
        raise ValueError(f"{name}: {argument}: expected an integer or {axes} integers, received {value!r}")
    return found


def _channels_last(name: str, x: Any, data_format: str | None, axes: int) -> tuple[Any, Any]:
    """`x` with a batch in front and the channels at the end, and what gives results their form."""
    x = as_tensor(x)
    if x.ndim not in (axes + 1, axes + 2):
        what = "images" if axes == 2 else "volumes"
        raise ValueError(
            f"{name}: {what}: expected {axes + 2} axes, or one less without a batch, received {x.shape}"
        )
    single = x.ndim == axes + 1
    first = image_data_format(data_format) == "channels_first"
    if single:
        x = apply("expand_dims", x, axis=0)
    if first:
        x = apply("transpose", x, perm=[0, *range(2, axes + 2), 1])

    def restore(y: Any) -> Any:
        if first:
            y = apply("transpose", y, perm=[0, axes + 1, *range(1, axes + 1)])
        return apply("squeeze", y, axis=0) if single else y

    return x, restore


def _margins(
    name: str, padding: Any, extents: list[int], window: list[int], strides: list[int]
) -> list[list[int]]:
    """Zeros before and after along each axis."""
    if isinstance(padding, str):
        if padding.lower() == "valid":
            return [[0, 0] for _ in extents]
        if padding.lower() == "same":
            totals = [
                max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(extents, window, strides, strict=True)
            ]
            return [[total // 2, total - total // 2] for total in totals]
    else:
        try:
            sides = [integers(side, name, "padding", least=0) for side in padding]
        except (TypeError, ValueError):
            sides = []
        if [len(side) for side in sides] == [2] * len(extents):
            return sides
    raise ValueError(
        f"{name}: padding: expected 'valid', 'same' or {len(extents)} pairs of integers >= 0, "
        f"received {padding!r}"
    )


def _extract(
    name: str,
    images: Any,
    size: Any,
    strides: Any,
    dilation_rate: Any,
    padding: Any,
    data_format: str | None,
    axes: int,
) -> Any:
    kernel = _each_axis(name, "size", _size(name, size), axes)
    steps = kernel if strides is None else _each_axis(name, "strides", strides, axes)
    dilation = _each_axis(name, "dilation_rate", dilation_rate, axes)
    x, restore = _channels_last(name, images, data_format, axes)
    extents = list(x.shape[1:-1])
    window = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    margins = _margins(name, padding, extents, window, steps)
    if any(map(any, margins)):
        x = apply("pad", x, paddings=[[0, 0], *margins, [0, 0]], value=0.0)
    batch, *extents, channels = x.shape
    counts = [(n - w) // s + 1 for n, w, s in zip(extents, window, steps, strict=True)]
    if min(counts) < 1:
        raise ValueError(f"{name}: size: a window of {window} does not fit into {extents} elements")
    if kernel == steps and max(dilation) == 1:
        # Windows beside each other: the axes are cut.
        whole = [slice(0, c * k) for c, k in zip(counts, kernel, strict=True)]
        x = x[(slice(None), *whole)] if extents != [s.stop for s in whole] else x
    else:
        # Along each axis, the rows of all windows one after another.
        for axis, (count, k, step, gap) in enumerate(zip(counts, kernel, steps, dilation, strict=True), 1):
            rows = (np.arange(count)[:, None] * step + np.arange(k) * gap).reshape(-1)
            x = apply("gather", x, rows.astype(np.int32), axis=axis)
    pairs = [extent for pair in zip(counts, kernel, strict=True) for extent in pair]
    x = apply("reshape", x, shape=[batch, *pairs, channels])
    x = apply("transpose", x, perm=[0, *range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2), 2 * axes + 1])
    return restore(apply("reshape", x, shape=[batch, *counts, math.prod(kernel) * channels]))


@op
def reconstruct_patches(
    patches: Any,
    size: Any,
    output_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """Puts images, or volumes, together of patches that do not overlap: the inverse of `extract_patches`.

    Args:
        patches: Tensor of shape (batch, rows, columns, elements of a patch), or without the batch, of any
            dtype, as `extract_patches` gives it; with a third axis of patches for volumes.
        size: Size of the patches: an integer, a (height, width) pair or a (depth, height, width) triple.
        output_size: Size of the images: a tuple of as many integers as `size`, two if that is an integer.
        strides: Distance of neighbouring patches; None, the default, or `size`: patches that overlap are not
            supported.
        padding: "valid", the default, if the patches cover the images exactly, or "same" if zeros around the
            images were in the patches: these are cut off.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of the
            rows, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of the dtype of `patches` and of shape (batch, *output_size, channels), without the batch if
        `patches` had none.

    Raises:
        TypeError: `patches` is not numeric, `size` is neither a number nor a sequence, or `output_size` is no
            sequence.
        ValueError: The sizes do not fit the patches, or an argument is none of the values above.
        NotImplementedError: `strides` differs from `size`.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> images = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> patches = ops.image.extract_patches(images, 2)
        >>> bool((ops.image.reconstruct_patches(patches, 2, (4, 4)).numpy() == images).all())
        True
    """
    name = "reconstruct_patches"
    kernel = _size(name, size)
    kernel = kernel * 2 if len(kernel) == 1 else kernel
    axes = len(kernel)
    if not isinstance(output_size, (tuple, list)):
        raise TypeError(f"{name}: output_size: expected a tuple of integers, received {output_size!r}")
    extents = integers(output_size, name, "output_size", least=1)
    if len(extents) != axes:
        raise ValueError(
            f"{name}: output_size: expected {axes} integers, as size has, received {output_size}"
        )
    if padding not in ("valid", "same"):
        raise ValueError(f"{name}: padding: expected 'valid' or 'same', received {padding!r}")
    if strides is not None and _each_axis(name, "strides", strides, axes) != kernel:
        raise NotImplementedError(
            f"{name}: strides: expected None or {tuple(kernel)}, as size, for patches that do not overlap; "
            f"received {strides}"
        )
    x, restore = _channels_last(name, patches, data_format, axes)
    return restore(_joined(name, x, kernel, extents, padding))


def _joined(name: str, x: Any, kernel: list[int], extents: list[int], padding: str) -> Any:
    """Patches of shape (batch, *counts, length) as images of shape (batch, *extents, channels)."""
    axes = len(kernel)
    batch, *counts, length = x.shape
    if length % math.prod(kernel):
        raise ValueError(
            f"{name}: patches: expected a multiple of {math.prod(kernel)} elements in a patch of size "
            f"{tuple(kernel)}, received {length}"
        )
    begin = []
    for count, k, extent in zip(counts, kernel, extents, strict=True):
        rest = count * k - extent
        if rest if padding == "valid" else not 0 <= rest < k:
            raise ValueError(
                f"{name}: output_size: expected what {tuple(counts)} patches of size {tuple(kernel)} cover "
                f"with padding {padding!r}, received {tuple(extents)}"
            )
        begin.append(rest // 2)
    channels = length // math.prod(kernel)
    x = apply("reshape", x, shape=[batch, *counts, *kernel, channels])
    perm = [axis for place in range(axes) for axis in (1 + place, 1 + axes + place)]
    x = apply("transpose", x, perm=[0, *perm, 2 * axes + 1])
    whole = [count * k for count, k in zip(counts, kernel, strict=True)]
    x = apply("reshape", x, shape=[batch, *whole, channels])
    if whole != extents:
        x = x[(slice(None), *(slice(b, b + n) for b, n in zip(begin, extents, strict=True)))]
    return x


def _reconstructed_spec(
    patches: Any,
    size: Any,
    output_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> KerasTensor | None:
    """The shape of images put together of a number of patches that is unknown: `output_size` says it."""
    kernel = _size("reconstruct_patches", size)
    kernel = kernel * 2 if len(kernel) == 1 else kernel
    axes = len(kernel)
    if not isinstance(patches, KerasTensor) or patches.ndim not in (axes + 1, axes + 2):
        return None
    first = image_data_format(data_format) == "channels_first"
    shape = list(patches.shape)
    place = len(shape) - axes - (0 if first else 1)
    channel = place - 1 if first else len(shape) - 1
    if None not in shape[place : place + axes] or shape[channel] is None or not _is_size(output_size, axes):
        return None
    counts = [-(-n // k) for n, k in zip(output_size, kernel, strict=True)]
    if any(
        n is not None and n != count for n, count in zip(shape[place : place + axes], counts, strict=True)
    ):
        return None
    shape[place : place + axes] = counts
    options = {"strides": strides, "padding": padding, "data_format": data_format}
    spec: KerasTensor = infer(
        reconstruct_patches, (KerasTensor(shape, patches.dtype), size, output_size), options
    )
    return spec


def _is_size(value: Any, axes: int) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == axes and all(type(n) is int for n in value)


reconstruct_patches.output_spec = _reconstructed_spec  # type: ignore[attr-defined]
