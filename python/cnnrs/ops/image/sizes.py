"""Images of another size: products with small matrices, one for the rows and one for the columns."""

from __future__ import annotations

import functools
import math
from types import ModuleType
from typing import Any

import numpy as np

from cnnrs.base.arguments import choice, integer
from cnnrs.ops import elementwise
from cnnrs.ops.dispatch import apply, as_tensor, op, standardize_axis
from cnnrs.ops.image.layout import back_to, computed, rows_of
from cnnrs.ops.spatial import pair

__all__ = ["resize", "scale_and_translate"]

_METHODS = {
    "linear": "linear",
    "bilinear": "linear",
    "trilinear": "linear",
    "triangle": "linear",
    "cubic": "cubic",
    "bicubic": "cubic",
    "tricubic": "cubic",
    "lanczos3": "lanczos3",
    "lanczos5": "lanczos5",
}
_INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "area")
# Up to how many pixels an output pixel may sum for numpy to beat products of matrices: 1 ms against 8 for a
# bilinear resize of 480 x 640 to 224 x 224.
_FEW = 8
# Those of data sets of files, as Keras has them there.
_FILE_INTERPOLATIONS = (*_INTERPOLATIONS, "gaussian", "mitchellcubic")


def _kernel(xp: ModuleType, x: Any, method: str) -> Any:
    """The weight of a pixel at distance `x` >= 0, in pixels of the kernel's scale.

    Keys 1981, "Cubic convolution interpolation for digital image processing", with a = -1/2; Duchon 1979,
    "Lanczos filtering in one and two dimensions"; Mitchell and Netravali 1988, "Reconstruction filters in
    computer graphics", with B = C = 1/3; a Gaussian of standard deviation 1/2, cut at 3/2.
    """
    if method == "linear":
        return xp.maximum(0.0, 1.0 - x)
    if method == "cubic":
        near = (1.5 * x - 2.5) * x * x + 1.0
        far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
        return xp.where(x >= 2.0, 0.0, xp.where(x >= 1.0, far, near))
    if method == "mitchellcubic":
        near = ((7.0 * x - 12.0) * x * x + 16.0 / 3.0) / 6.0
        far = (((-7.0 / 3.0 * x + 12.0) * x - 20.0) * x + 32.0 / 3.0) / 6.0
        return xp.where(x >= 2.0, 0.0, xp.where(x >= 1.0, far, near))
    if method == "gaussian":
        return xp.where(x >= 1.5, 0.0, xp.exp(-2.0 * x * x))
    radius = float(method[-1])
    # Nearer than 1/1000 the quotient is 1 within the precision.
    safe = xp.where(x > 1e-3, x, 1.0)
    y = radius * xp.sin(math.pi * safe) * xp.sin(math.pi * safe / radius) / (math.pi**2 * safe * safe)
    return xp.where(x > radius, 0.0, xp.where(x > 1e-3, y, 1.0))


def _weights(
    xp: ModuleType, extent: int, target: int, scale: Any, translation: Any, method: str, antialias: bool
) -> Any:
    """The matrix of shape (target, extent) that scales and shifts an axis.

    The centre of output pixel i lies at `(i + 0.5 - translation) / scale - 0.5` of the input.

    Args:
        xp: numpy for numbers, `elementwise` for tensors.
        extent: Pixels of the input.
        target: Pixels of the output.
        scale: By how much the output is larger.
        translation: By how many pixels of the output it is shifted.
        method: The kernel.
        antialias: Whether the kernel grows where the output is smaller.
    """
    shrink = 1.0 / scale
    width = xp.maximum(shrink, 1.0) if antialias else 1.0
    # Of tensors the numbers take the type, those of numpy have 64 bits.
    dtype: Any = np.float64 if xp is np else np.float32
    rows, pixels = (np.arange(n).astype(dtype) for n in (target, extent))
    centres = (rows[:, None] + 0.5 - translation) * shrink - 0.5
    weights = _kernel(xp, xp.abs(centres - pixels) / width, method)
    total = weights.sum(axis=1, keepdims=True)
    some = xp.abs(total) > 1000.0 * float(np.finfo(np.float32).eps)
    weights = xp.where(some, weights / xp.where(some, total, 1.0), 0.0)
    inside = xp.logical_and(centres >= -0.5, centres <= extent - 0.5)
    return xp.where(inside, weights, 0.0)


@functools.lru_cache(maxsize=64)
def _resizing(extent: int, target: int, interpolation: str, antialias: bool) -> np.ndarray:
    """The matrix of shape (target, extent) that resizes an axis."""
    if interpolation == "area":
        # The part of each input pixel that an output pixel covers.
        edges = np.arange(target + 1) * extent / target
        pixels = np.arange(extent)
        covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
        return np.maximum(covered, 0.0) * target / extent
    scale = target / extent
    with np.errstate(all="ignore"):
        matrix: np.ndarray = _weights(
            np, extent, target, scale, 0.0, _METHODS.get(interpolation, interpolation), antialias
        )
    # Weights that float32 holds and whose sum is 1: even areas keep their value, and white stays 255.
    matrix = np.rint(matrix * 2**24) / 2**24
    missing = 1.0 - matrix.sum(axis=1)
    matrix[np.arange(target), matrix.argmax(axis=1)] += np.where(np.abs(missing) < 1e-3, missing, 0.0)
    return matrix


def _along(x: Any, axis: int, matrix: Any) -> Any:
    """The product of a matrix with the vectors along an axis of `x`."""
    outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    extent, target = x.shape[axis], matrix.shape[0]
    if inner == 1:
        flat = apply("reshape", x, shape=[outer, extent])
        y = apply("matmul", flat, matrix, transpose_b=True)
    elif inner < 16:
        # Vectors of few columns would waste the product's tiles.
        flat = apply("reshape", x, shape=[outer, extent, inner])
        y = apply("matmul", apply("transpose", flat, perm=[0, 2, 1]), matrix, transpose_b=True)
        y = apply("transpose", y, perm=[0, 2, 1])
    else:
        y = apply("matmul", matrix, apply("reshape", x, shape=[outer, extent, inner]))
    return apply("reshape", y, shape=[*x.shape[:axis], target, *x.shape[axis + 1 :]])


def _to_aspect_ratio(x: Any, axis: int, size: list[int], crop: bool, pad: bool, fill_value: float) -> Any:
    """Images cropped, or padded, so that their sides are to each other as those of `size`."""
    (height, width), (rows, columns) = x.shape[axis : axis + 2], size
    ideal = int(width * rows / columns), int(height * columns / rows)
    if crop:
        cropped = [max(min(n, i), 1) for n, i in zip((height, width), ideal, strict=True)]
        begin = [(n - c) // 2 for n, c in zip((height, width), cropped, strict=True)]
        places = [slice(b, b + c) for b, c in zip(begin, cropped, strict=True)]
        return x[(slice(None),) * axis + tuple(places)]
    if pad:
        margins = [(max(n, i) - n) // 2 for n, i in zip((height, width), ideal, strict=True)]
        sides = [[0, 0]] * axis + [[m, m] for m in margins] + [[0, 0]] * (x.ndim - axis - 2)
        if "int" in str(x.dtype):
            limits = np.iinfo(x.dtype)
            fill_value = round(min(max(fill_value, limits.min), limits.max))
        if isinstance(x, np.ndarray):
            return np.pad(x, sides, constant_values=fill_value)
        return apply("pad", x, paddings=sides, value=fill_value)
    return x


def resized_array(
    image: np.ndarray,
    size: list[int],
    interpolation: str,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
) -> np.ndarray:
    """An array of shape (height, width, channels) as `resize` has it, computed by numpy.

    Images of a directory have many sizes, each of which would want a plan of its own.
    """
    choice(interpolation, "resize", "interpolation", _FILE_INTERPOLATIONS)
    image = _to_aspect_ratio(image, 0, size, crop_to_aspect_ratio, pad_to_aspect_ratio, 0.0)
    return np.ascontiguousarray(_by_taps(image, 0, size, interpolation, False), dtype=np.float32)


def _by_taps(
    image: np.ndarray, axis: int, size: list[int], interpolation: str, antialias: bool
) -> np.ndarray:
    """An array whose rows lie along `axis` and columns along the next one, in another size."""
    for place, target in enumerate(size, axis):
        extent = image.shape[place]
        if extent == target:
            continue
        if interpolation == "nearest":
            image = np.take(image, _nearest(extent, target), axis=place)
            continue
        start, weights = _taps(extent, target, interpolation, antialias)
        along = [1] * image.ndim
        along[place] = target
        # An output pixel reads few pixels: a product with the matrix would mostly multiply by 0.
        total = np.take(image, start, axis=place) * weights[0].reshape(along)
        for tap in range(1, len(weights)):
            total += np.take(image, start + tap, axis=place) * weights[tap].reshape(along)
        image = total
    return image


def _suits_host(x: np.ndarray, axis: int, size: list[int], interpolation: str, antialias: bool) -> bool:
    """Whether numpy is faster than products of matrices: output pixels read few, and small maps are few."""
    extents = x.shape[axis : axis + 2]
    if interpolation == "nearest":
        return True
    if math.prod(x.shape[:axis]) > 4 and min(extents) < 128:
        return False
    return all(
        extent == target or len(_taps(extent, target, interpolation, antialias)[1]) <= _FEW
        for extent, target in zip(extents, size, strict=True)
    )


@functools.lru_cache(maxsize=1024)
def _taps(extent: int, target: int, interpolation: str, antialias: bool) -> tuple[np.ndarray, np.ndarray]:
    """The first pixel that each output pixel reads, and the weights of it and those behind it.

    The weights have the shape (taps, target) and are float32.
    """
    matrix = _resizing(extent, target, interpolation, antialias)
    some = matrix != 0.0
    begin = some.argmax(axis=1)
    taps = max(int((extent - some[:, ::-1].argmax(axis=1) - begin).max()), 1)
    start = np.minimum(begin, extent - taps)
    weights = np.take_along_axis(matrix, start[:, None] + np.arange(taps), axis=1)
    return start, np.ascontiguousarray(weights.T, dtype=np.float32)


def taps(extent: int, target: int, interpolation: str, antialias: bool) -> list[float]:
    """What output pixels read along an axis, in numbers for the core.

    They are how many pixels each reads, how many output pixels there are, the first pixel of each, and the
    weights of shape (taps, target).
    """
    if interpolation == "nearest":
        return [1, target, *_nearest(extent, target).tolist(), *[1.0] * target]
    start, weights = _taps(extent, target, interpolation, antialias)
    return [len(weights), target, *start.tolist(), *weights.ravel().tolist()]


def _nearest(extent: int, target: int) -> np.ndarray:
    """The pixels nearest to the centres of output pixels."""
    centres = np.floor((np.arange(target) + 0.5) * extent / target)
    return np.minimum(centres, extent - 1).astype(np.int32)


def _room(shape: Any, axis: int, target: list[int], is_computed: bool) -> None:
    """Raises a MemoryError where the weights and what is computed at once have no room, before they are made.

    The system would grant one part after another, and end the process when they are written.
    """
    extents = shape[axis : axis + 2]
    # Where a graph is recorded, the plan asks for the memory of the result.
    result = math.prod(shape) // math.prod(extents) * math.prod(target) * 4 if is_computed else 0
    # The distances, weights and masks of an axis are float64 arrays that are there at once.
    weights = 6 * 8 * max(e * t if e != t else 0 for e, t in zip(extents, target, strict=True))
    try:
        np.empty(result + weights, np.uint8)
    except (MemoryError, ValueError):
        sides = " x ".join(map(str, target))
        raise MemoryError(
            f"resize: size: no memory for images of {sides} pixels, which take {result + weights:,} bytes"
        ) from None


@op
def resize(
    images: Any,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Any:
    """Scales images to another size.

    The centre of output pixel i lies at `(i + 0.5) * extent / new extent - 0.5` of the input. A kernel weighs
    the pixels around it; the weights of those inside of the image are divided by their sum.

    Args:
        images: Tensor of shape (height, width, channels) or (batch, height, width, channels), of any dtype.
        size: The new size: an integer >= 1 for both extents, or a (height, width) pair.
        interpolation: "bilinear", the default; "nearest"; "bicubic" (Keys 1981, a = -1/2); "lanczos3" or
            "lanczos5" (Duchon 1979); or "area", the mean of what an output pixel covers.
        antialias: Whether the kernels grow with the pixels where images become smaller; False by default. It
            makes no difference for "nearest" and "area".
        crop_to_aspect_ratio: Whether margins are cut off, so that shapes stay undistorted; False by default.
        pad_to_aspect_ratio: Whether margins are added instead; False by default.
        fill_mode: "constant", what the added margins hold: `fill_value`.
        fill_value: The number in the margins of `pad_to_aspect_ratio`; 0.0 by default.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of the dtype of `images` with the new height and width. Integers are rounded, and limited to
        their range.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes or no pixels, both aspect ratios are asked for, or
            another argument is none of the values above.
        MemoryError: There is no memory for images of this size.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.array([0.0, 4.0]).reshape(1, 2, 1)
        >>> ops.image.resize(image, (1, 4))[:, :, 0].tolist()
        [[0.0, 1.0, 3.0, 4.0]]
        >>> ops.image.resize(image, (1, 4), interpolation="nearest")[:, :, 0].tolist()
        [[0.0, 0.0, 4.0, 4.0]]
    """
    choice(interpolation, "resize", "interpolation", _INTERPOLATIONS)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: crop_to_aspect_ratio, pad_to_aspect_ratio: expected at most one to be True")
    if fill_mode != "constant":
        raise ValueError(f"resize: fill_mode: expected 'constant', received {fill_mode!r}")
    is_host = isinstance(images, np.ndarray) and images.dtype in (np.float32, np.uint8)
    x = images if is_host else as_tensor(images)
    axis = rows_of(x, data_format, "resize")
    target = pair(size, "resize: size")
    if 0 in x.shape[axis : axis + 2]:
        raise ValueError(f"resize: images: expected at least one pixel, received shape {x.shape}")
    _room(x.shape, axis, target, is_host)
    dtype = x.dtype
    x = _to_aspect_ratio(x, axis, target, crop_to_aspect_ratio, pad_to_aspect_ratio, fill_value)
    if is_host:
        if _suits_host(x, axis, target, interpolation, bool(antialias)):
            with np.errstate(all="ignore"):
                y = _by_taps(x, axis, target, interpolation, bool(antialias))
            return as_tensor(y if y.dtype == dtype else np.clip(np.rint(y), 0, 255).astype(dtype))
        x = as_tensor(x)
        dtype = x.dtype
    if interpolation == "nearest":
        for place, extent in enumerate(target, axis):
            x = apply("gather", x, _nearest(x.shape[place], extent), axis=place)
        return x
    x = computed(x)
    for place, extent in enumerate(target, axis):
        if x.shape[place] != extent:
            matrix = _resizing(x.shape[place], extent, interpolation, bool(antialias))
            x = _along(x, place, matrix.astype(x.dtype))
    return back_to(x, dtype)


@op
def scale_and_translate(
    images: Any,
    output_shape: Any,
    scale: Any,
    translation: Any,
    spatial_dims: Any,
    method: str,
    antialias: bool = True,
) -> Any:
    """Scales and shifts images, by factors and distances that may be tensors.

    The centre of output pixel i lies at `(i + 0.5 - translation) / scale - 0.5` of the input. What lies
    outside of the input is 0.

    Args:
        images: Tensor of any shape and dtype.
        output_shape: The shape of the result: that of `images` except for the axes in `spatial_dims`, with
            None for extents of `images`.
        scale: Tensor of shape (n,): the factor of each spatial axis.
        translation: Tensor of shape (n,): the shift of each spatial axis in pixels of the output.
        spatial_dims: The n axes that are scaled, as a sequence of integers.
        method: "linear" (also "bilinear", "trilinear", "triangle"), "cubic" ("bicubic", "tricubic"),
            "lanczos3" or "lanczos5".
        antialias: Whether the kernels grow with the pixels where images become smaller; True by default.

    Returns:
        Tensor of the dtype of `images` and of shape `output_shape`. Integers are rounded, and limited to the
        range of those in `images`.

    Raises:
        TypeError: `images`, `scale` or `translation` is not numeric, or `spatial_dims` holds no integers.
        ValueError: The shapes do not fit each other, or `method` is none of the words above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.array([1.0, 2.0]).reshape(1, 2, 1)
        >>> y = ops.image.scale_and_translate(image, (1, 4, 1), [2.0], [0.0], (1,), "linear")
        >>> y[0, :, 0].tolist()
        [1.0, 1.25, 1.75, 2.0]
    """
    name = "scale_and_translate"
    choice(method, name, "method", tuple(_METHODS))
    x = as_tensor(images)
    axes = [standardize_axis(axis, x.ndim, f"{name}: spatial_dims") for axis in spatial_dims]
    # None is the extent of the images, as in the shape of a symbolic tensor.
    given = zip(output_shape, x.shape, strict=False)
    shape = [n if extent is None else integer(extent, name, "output_shape", least=0) for extent, n in given]
    fixed = [axis for axis in range(x.ndim) if axis not in axes]
    if len(output_shape) != x.ndim or any(shape[axis] != x.shape[axis] for axis in fixed):
        raise ValueError(
            f"{name}: output_shape: expected that of images, {tuple(x.shape)}, except for axes {axes}, "
            f"received {tuple(shape)}"
        )
    factors, shifts = computed(scale), computed(translation)
    for argument, value in (("scale", factors), ("translation", shifts)):
        if tuple(value.shape) != (len(axes),):
            raise ValueError(
                f"{name}: {argument}: expected shape ({len(axes)},), as spatial_dims has, "
                f"received {tuple(value.shape)}"
            )
    y = computed(x)
    for place, axis in enumerate(axes):
        extents = x.shape[axis], shape[axis]
        matrix = _weights(
            elementwise, *extents, factors[place], shifts[place], _METHODS[method], bool(antialias)
        )
        y = _along(y, axis, matrix.astype(y.dtype))
    if axes and x.dtype != y.dtype and "int" in x.dtype:
        y = elementwise.clip(elementwise.round(y), x.min().astype(y.dtype), x.max().astype(y.dtype))
    return back_to(y, x.dtype)
