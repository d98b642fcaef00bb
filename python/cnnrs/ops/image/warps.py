"""Images whose pixels come from other places: affine, perspective and elastic transformations."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base import random_keys
from cnnrs.base.arguments import choice, number
from cnnrs.base.dtypes import FLOAT
from cnnrs.ops import raw
from cnnrs.ops.comparisons import where
from cnnrs.ops.dispatch import apply, as_tensor, op
from cnnrs.ops.image.filters import blurred, gaussian
from cnnrs.ops.image.layout import as_batch, back_to, computed
from cnnrs.ops.image.sampling import FILL_MODES, INTERPOLATIONS, sample

__all__ = ["affine_transform", "elastic_transform", "map_coordinates", "perspective_transform"]

# Where the plane of a projection is reached there is no pixel: this is far outside of all images.
_NOWHERE = -(2.0**20)


def grid(height: int, width: int) -> tuple[Any, Any]:
    """The rows and columns of pixels, with a batch in front."""
    return (
        as_tensor(np.arange(height, dtype=np.float32).reshape(1, height, 1)),
        as_tensor(np.arange(width, dtype=np.float32).reshape(1, 1, width)),
    )


def warped(x: Any, rows: Any, columns: Any, interpolation: str, fill_mode: str, fill_value: Any) -> Any:
    """Images of shape (batch, height, width, channels) read at rows and columns of shape (batch, ...)."""
    batch, height, width, channels = x.shape
    dtype = x.dtype
    order = INTERPOLATIONS.index(interpolation)
    x = computed(x) if order else x
    values = apply("reshape", x, shape=[batch * height * width, channels])
    start = np.arange(batch, dtype=np.int32).reshape(batch, 1, 1) * np.int32(height * width)
    places = [apply("broadcast_to", c, shape=[batch, *c.shape[1:]]) for c in (rows, columns)]
    found = sample(values, places, (height, width), order, fill_mode, fill_value, as_tensor(start))
    return back_to(found, dtype)


def _projected(x: Any, transform: Any, interpolation: str, fill_mode: str, fill_value: Any) -> Any:
    """Images with each pixel from where a projective transformation of shape (batch or 1, 8) puts it."""
    rows, columns = grid(*x.shape[1:3])
    a0, a1, a2, b0, b1, b2, c0, c1 = (transform[:, i : i + 1, None] for i in range(8))
    depth = c0 * columns + c1 * rows + 1.0
    fine = apply("not_equal", depth, 0.0)
    safe = where(fine, depth, 1.0)
    x_in = where(fine, (a0 * columns + a1 * rows + a2) / safe, _NOWHERE)
    y_in = where(fine, (b0 * columns + b1 * rows + b2) / safe, _NOWHERE)
    return warped(x, y_in, x_in, interpolation, fill_mode, fill_value)


def _per_image(name: str, argument: str, value: Any, batch: int, shape: tuple[int, ...]) -> Any:
    """Floats of shape (batch or 1, *shape).

    Raises:
        ValueError: They are of another shape.
    """
    y = computed(value).astype(FLOAT)
    if y.ndim == len(shape):
        y = apply("expand_dims", y, axis=0)
    if tuple(y.shape) not in ((batch, *shape), (1, *shape)):
        raise ValueError(
            f"{name}: {argument}: expected shape {shape}, or {(batch, *shape)} for {batch} images, "
            f"received {tuple(as_tensor(value).shape)}"
        )
    return y


@op
def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Any:
    """Moves, turns, scales and shears images, each by a transformation of its own.

    The transformation `(a0, a1, a2, b0, b1, b2, c0, c1)` says where a pixel comes from: that of column x and
    row y from column `(a0 x + a1 y + a2) / k` and row `(b0 x + b1 y + b2) / k`, with `k = c0 x + c1 y + 1`.

    Args:
        images: Tensor of shape (height, width, channels) or (batch, height, width, channels), of any dtype.
        transform: Tensor of shape (8,), or (batch, 8) for one of each image.
        interpolation: "bilinear", the default, or "nearest".
        fill_mode: What lies outside of an image `a b c d`: "constant", the default, `fill_value`; "nearest"
            `a a | a b c d | d d`; "wrap" `c d | a b c d | a b`; "reflect" `b a | a b c d | d c`; "mirror"
            `c b | a b c d | c b`.
        fill_value: The number for "constant"; 0 by default.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of the shape and dtype of `images`. Integers are rounded. The gradient flows to `images` and,
        with "bilinear", to `transform`.

    Raises:
        TypeError: `images` or `transform` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, `transform` is of another shape, or another argument is
            none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1)
        >>> to_the_left = [1, 0, 0.5, 0, 1, 0, 0, 0]
        >>> ops.image.affine_transform(image, to_the_left, fill_mode="nearest")[0, :, 0].tolist()
        [1.5, 2.5, 3.0]
    """
    name = "affine_transform"
    choice(interpolation, name, "interpolation", INTERPOLATIONS)
    choice(fill_mode, name, "fill_mode", FILL_MODES)
    x, restore = as_batch(images, data_format, "affine_transform")
    transform = _per_image(name, "transform", transform, x.shape[0], (8,))
    return restore(_projected(x, transform, interpolation, fill_mode, fill_value))


def _cross(a: list[Any], b: list[Any]) -> list[Any]:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def _dot(a: list[Any], b: list[Any]) -> Any:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _basis(points: Any) -> tuple[list[list[Any]], list[list[Any]]]:
    """The map of the projective base to four points, as columns, and the rows of its adjugate."""
    p = [[points[:, i, 0:1, None], points[:, i, 1:2, None], 1.0] for i in range(4)]
    rows = [_cross(p[1], p[2]), _cross(p[2], p[0]), _cross(p[0], p[1])]
    # By Cramer's rule: the fourth point as a sum of the other three.
    factors = [_dot(row, p[3]) for row in rows]
    columns = [[factor * v for v in point] for factor, point in zip(factors, p, strict=False)]
    others = [factors[1] * factors[2], factors[2] * factors[0], factors[0] * factors[1]]
    adjugate = [[other * v for v in row] for other, row in zip(others, rows, strict=True)]
    return columns, adjugate


def homography(start_points: Any, end_points: Any) -> Any:
    """The transformations, of shape (batch, 8), that lead from the end points to the start points."""
    # The numbers are of the order of a pixel's coordinates, and products of eight of them would overflow.
    extent = apply("max", apply("abs", end_points), axes=[1, 2], keepdims=True)
    scale = apply("stop_gradient", 1.0 / apply("maximum", extent, 1.0))
    (columns, _), (_, adjugate) = _basis(start_points * scale), _basis(end_points * scale)
    h = [[sum(columns[k][i] * adjugate[k][j] for k in range(3)) for j in range(3)] for i in range(3)]
    # Back to pixels: translations grow with the coordinates, the projective part shrinks.
    unit = h[2][2]
    rows = [
        *(h[0][0] / unit, h[0][1] / unit, h[0][2] / (unit * scale)),
        *(h[1][0] / unit, h[1][1] / unit, h[1][2] / (unit * scale)),
        *(h[2][0] * scale / unit, h[2][1] * scale / unit),
    ]
    return apply("concat", *(apply("squeeze", row, axis=-1) for row in rows), axis=-1)


@op
def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Any:
    """Moves four points of an image to four others, as if it were looked at from elsewhere.

    Args:
        images: Tensor of shape (height, width, channels) or (batch, height, width, channels), of any dtype.
        start_points: Tensor of shape (4, 2), or (batch, 4, 2): columns and rows of points of the image, no
            three of them on a line.
        end_points: Tensor of the same shape: where they are in the result.
        interpolation: "bilinear", the default, or "nearest".
        fill_value: What lies outside of the image; 0 by default.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of the shape and dtype of `images`. Integers are rounded. The gradient flows to `images` and,
        with "bilinear", to the points.

    Raises:
        TypeError: `images` or the points are not numeric.
        ValueError: `images` has neither 3 nor 4 axes, the points are of other shapes, or another argument is
            none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.arange(9.0).reshape(3, 3, 1)
        >>> corners = np.array([[0, 0], [2, 0], [0, 2], [2, 2]])
        >>> ops.image.perspective_transform(image, corners, corners[:, ::-1])[:, :, 0].tolist()
        [[0.0, 3.0, 6.0], [1.0, 4.0, 7.0], [2.0, 5.0, 8.0]]
    """
    name = "perspective_transform"
    choice(interpolation, name, "interpolation", INTERPOLATIONS)
    x, restore = as_batch(images, data_format, "perspective_transform")
    start = _per_image(name, "start_points", start_points, x.shape[0], (4, 2))
    end = _per_image(name, "end_points", end_points, x.shape[0], (4, 2))
    if as_tensor(start_points).ndim != as_tensor(end_points).ndim:
        raise ValueError(
            f"{name}: start_points, end_points: expected equal shapes, "
            f"received {as_tensor(start_points).shape} and {as_tensor(end_points).shape}"
        )
    return restore(_projected(x, homography(start, end), interpolation, "constant", fill_value))


@op
def map_coordinates(
    inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0
) -> Any:
    """Reads elements of an array at coordinates, between which it interpolates.

    Args:
        inputs: Tensor of any shape with n axes, of any dtype.
        coordinates: Tensor of shape (n, ...), or a sequence of n tensors: where to read along each axis.
        order: 0 for the nearest element, 1 to interpolate linearly between the 2ⁿ around.
        fill_mode: What lies outside of an axis `a b c d`: "constant", the default, `fill_value`; "nearest"
            `a a | a b c d | d d`; "wrap" `c d | a b c d | a b`; "reflect" `b a | a b c d | d c`; "mirror"
            `c b | a b c d | c b`.
        fill_value: The number for "constant"; 0 by default.

    Returns:
        Tensor of the dtype of `inputs`, of the shape of `coordinates` without the first axis. Integers are
        rounded. The gradient flows to `inputs` and, with order 1, to `coordinates`.

    Raises:
        TypeError: `inputs` or `coordinates` is not numeric.
        ValueError: `coordinates` does not have one entry for each axis of `inputs`, or less than 2 axes, or
            another argument is none of the values above.

    Example:
        >>> from cnnrs import ops
        >>> ops.image.map_coordinates([10.0, 20.0, 30.0], [[0.5, 1.0, 2.5]], 1).tolist()
        [15.0, 20.0, 15.0]
        >>> ops.image.map_coordinates([10.0, 20.0, 30.0], [[0.5, 1.0, 2.5]], 1, "nearest").tolist()
        [15.0, 20.0, 30.0]
    """
    name = "map_coordinates"
    if isinstance(order, bool) or order not in (0, 1):
        raise ValueError(f"{name}: order: expected 0 or 1, received {order!r}")
    choice(fill_mode, name, "fill_mode", FILL_MODES)
    x = as_tensor(inputs)
    places = computed(coordinates)
    if places.ndim < 2 or places.shape[0] != x.ndim or x.ndim == 0:
        raise ValueError(
            f"{name}: coordinates: expected shape ({x.ndim}, ...) of at least 2 axes for inputs of "
            f"{x.ndim} axes, received {tuple(places.shape)}"
        )
    values = apply("reshape", computed(x) if order else x, shape=[-1] if 0 not in x.shape else [0])
    found = sample(values, [places[i] for i in range(x.ndim)], x.shape, int(order), fill_mode, fill_value)
    return back_to(found, x.dtype)


def elastic(x: Any, shifts: tuple[Any, Any], interpolation: str, fill_mode: str, fill_value: Any) -> Any:
    """Images of shape (batch, height, width, channels), with each pixel read some rows and columns away."""
    rows, columns = grid(*x.shape[1:3])
    down, right = shifts
    return warped(x, rows + down, columns + right, interpolation, fill_mode, fill_value)


def smooth_shifts(key: Any, shape: list[int], alpha: Any, sigma: Any, weights: Any) -> tuple[Any, Any]:
    """Random shifts along both axes: normal numbers of deviation `sigma`, blurred and times `alpha`."""
    noise = blurred(raw.random_normal(key, [*shape, 2]) * sigma, weights, weights) * alpha
    return noise[..., 0], noise[..., 1]


@op
def elastic_transform(
    images: Any,
    alpha: Any = 20.0,
    sigma: Any = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Any:
    """Distorts images by random, smooth shifts of their pixels.

    The shifts are normal numbers of standard deviation `sigma`, blurred by a Gaussian of that deviation and
    multiplied by `alpha` (Simard, Steinkraus and Platt 2003, "Best practices for convolutional neural
    networks").

    Args:
        images: Tensor of shape (height, width, channels) or (batch, height, width, channels), of any dtype.
        alpha: By what the shifts are multiplied: a number, or a tensor without axes; 20.0 by default.
        sigma: The deviation, a number >= 0; 5.0 by default.
        interpolation: "bilinear", the default, or "nearest".
        fill_mode: What lies outside, as in `affine_transform`; "reflect" by default.
        fill_value: The number for "constant"; 0.0 by default.
        seed: Integer, `random.SeedGenerator`, or None, the default, for the generator of the process.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of the shape and dtype of `images`. Integers are rounded.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, or another argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.ones((8, 8, 1))
        >>> ops.image.elastic_transform(image, seed=1).numpy().ravel().round(4).tolist() == [1.0] * 64
        True
    """
    name = "elastic_transform"
    choice(interpolation, name, "interpolation", INTERPOLATIONS)
    choice(fill_mode, name, "fill_mode", FILL_MODES)
    deviation = number(sigma, name, "sigma", least=0)
    x, restore = as_batch(images, data_format, "elastic_transform")
    weights = as_tensor(gaussian(int(6 * deviation) | 1, deviation))
    shape = list(x.shape[:3])
    if hasattr(alpha, "shape") and not isinstance(alpha, np.generic):
        alpha = computed(alpha)
    shifts = smooth_shifts(random_keys.draw(seed), shape, alpha, deviation, weights)
    return restore(elastic(x, shifts, interpolation, fill_mode, fill_value))
