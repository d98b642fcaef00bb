"""Single images, turned, shifted and brightened, as arrays of numpy.

Random functions draw from the generator of numpy's module, as in Keras: `np.random.seed` repeats them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.utils.images import array_to_img, img_to_array, pillow

__all__ = [
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
]

_RNG: Any = np.random
_MODES = ("constant", "nearest", "reflect", "wrap")


def apply_affine_transform(
    x: Any,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:
    """Turns, shifts, shears and zooms an image around its middle.

    Args:
        x: Array of 3 axes.
        theta: Degrees by which it is turned.
        tx: Pixels of the shift in the direction of x: along columns where they are the later axis.
        ty: Pixels of the shift in the direction of y.
        shear: Degrees of the shear.
        zx: Zoom in the direction of x; 2 makes things half as large.
        zy: Zoom in the direction of y.
        row_axis: The axis of rows.
        col_axis: The axis of columns.
        channel_axis: The axis of channels, 0 or 2.
        fill_mode: What lies outside: "constant", "nearest", "reflect" or "wrap", as in `scipy.ndimage`.
        cval: The number outside, for "constant".
        order: 0 for the nearest pixel, 1 for linear interpolation.

    Returns:
        Array of the shape and dtype of `x`.

    Raises:
        ValueError: The axes are not 0, 1 and 2, or another argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs.preprocessing.image import apply_affine_transform
        >>> apply_affine_transform(np.arange(4.0).reshape(1, 1, 4), tx=1, fill_mode="constant").tolist()
        [[[1.0, 2.0, 3.0, 0.0]]]
    """
    image = np.asarray(x)
    name = "apply_affine_transform"
    if image.ndim != 3 or {row_axis, col_axis, channel_axis} != {0, 1, 2} or channel_axis == 1:
        raise ValueError(
            f"{name}: expected an array of 3 axes, with channels first or last, received shape {image.shape} "
            f"with row_axis={row_axis}, col_axis={col_axis}, channel_axis={channel_axis}"
        )
    if fill_mode not in _MODES:
        raise ValueError(f"{name}: fill_mode: expected one of {', '.join(_MODES)}, received {fill_mode!r}")
    if order not in (0, 1):
        raise ValueError(f"{name}: order: expected 0 or 1, received {order!r}; splines are not there")
    matrix = np.eye(3)
    if theta != 0:
        cos, sin = np.cos(np.deg2rad(theta)), np.sin(np.deg2rad(theta))
        matrix = matrix @ [[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]
    if tx != 0 or ty != 0:
        matrix = matrix @ [[1, 0, tx], [0, 1, ty], [0, 0, 1]]
    if shear != 0:
        matrix = matrix @ [[1, -np.sin(np.deg2rad(shear)), 0], [0, np.cos(np.deg2rad(shear)), 0], [0, 0, 1]]
    if zx != 1 or zy != 1:
        matrix = matrix @ np.diag([zx, zy, 1])
    if (matrix == np.eye(3)).all():
        return image
    planes = np.moveaxis(image, (channel_axis, row_axis, col_axis), (0, 1, 2))
    linear, shift = matrix[:2, :2], matrix[:2, 2]
    if col_axis > row_axis:
        # The matrix is one of (x, y), the axes are (y, x).
        linear, shift = linear[::-1, ::-1], shift[::-1]
    middle = np.array([extent / 2 - 0.5 for extent in planes.shape[1:]])
    moved = _sampled(planes, linear, middle + shift - linear @ middle, fill_mode, cval, order)
    return np.moveaxis(moved, (0, 1, 2), (channel_axis, row_axis, col_axis)).astype(image.dtype)


def _sampled(
    planes: np.ndarray, linear: np.ndarray, offset: np.ndarray, mode: str, cval: float, order: int
) -> np.ndarray:
    """The planes at `linear @ (row, column) + offset`, as `scipy.ndimage.affine_transform` has them."""
    extents = planes.shape[1:]
    grid = np.indices(extents).reshape(2, -1)
    points = (linear @ grid + offset[:, None]).reshape(2, *extents)
    inside = np.ones(extents, bool)
    for point, extent in zip(points, extents, strict=True):
        inside &= (point >= 0) & (point <= extent - 1)
        if mode in ("constant", "nearest") or extent == 1:
            np.clip(point, 0, extent - 1, out=point)
        elif mode == "wrap":
            # Its period is one pixel less than the extent.
            point[:] = np.where((point < 0) | (point > extent - 1), np.mod(point, extent - 1), point)
    if order == 0:
        rows, columns = (_index(np.floor(p + 0.5), n) for p, n in zip(points, extents, strict=True))
        found = planes[:, rows, columns].astype(np.float64)
    else:
        low = np.floor(points)
        up, left = points - low
        (r0, r1), (c0, c1) = ((_index(p, n), _index(p + 1, n)) for p, n in zip(low, extents, strict=True))
        above = planes[:, r0, c0] * (1 - left) + planes[:, r0, c1] * left
        below = planes[:, r1, c0] * (1 - left) + planes[:, r1, c1] * left
        found = above * (1 - up) + below * up
    return np.where(inside, found, cval) if mode == "constant" else found


def _index(places: np.ndarray, extent: int) -> np.ndarray:
    """Whole places as indices; those outside are mirrored, with the last pixel twice."""
    turned = np.mod(places.astype(np.int64), 2 * extent)
    return np.where(turned < extent, turned, 2 * extent - 1 - turned)


def random_rotation(
    x: Any,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image turned by up to `rg` degrees to either side; further arguments are those of the affine map."""
    theta = _RNG.uniform(-rg, rg)
    axes = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    return apply_affine_transform(x, theta, 0, 0, 0, 1, 1, *axes)


def random_shift(
    x: Any,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image shifted by up to the parts `wrg` of its width and `hrg` of its height, to either side."""
    down = _RNG.uniform(-hrg, hrg) * x.shape[row_axis]
    right = _RNG.uniform(-wrg, wrg) * x.shape[col_axis]
    tx, ty = (right, down) if col_axis > row_axis else (down, right)
    axes = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    return apply_affine_transform(x, 0, tx, ty, 0, 1, 1, *axes)


def random_shear(
    x: Any,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image sheared by up to `intensity` degrees to either side."""
    shear = _RNG.uniform(-intensity, intensity)
    axes = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    return apply_affine_transform(x, 0, 0, 0, shear, 1, 1, *axes)


def random_zoom(
    x: Any,
    zoom_range: Any,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image zoomed by factors between the two of `zoom_range`, one for each axis."""
    if len(zoom_range) != 2:
        raise ValueError(f"random_zoom: zoom_range: expected two numbers, received {zoom_range!r}")
    zx, zy = (1, 1) if tuple(zoom_range) == (1, 1) else _RNG.uniform(zoom_range[0], zoom_range[1], 2)
    axes = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    return apply_affine_transform(x, 0, 0, 0, 0, zx, zy, *axes)


def apply_channel_shift(x: Any, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """An image with a number added to its channels, within its least and largest number.

    Raises:
        ValueError: There is no such axis.
    """
    if not -np.ndim(x) <= channel_axis < np.ndim(x):
        raise ValueError(f"apply_channel_shift: channel_axis: expected one of x, received {channel_axis}")
    return np.clip(np.asarray(x) + intensity, np.min(x), np.max(x))


def random_channel_shift(x: Any, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """An image with a random number of up to `intensity_range` added, or taken away."""
    return apply_channel_shift(x, _RNG.uniform(-intensity_range, intensity_range), channel_axis)


def apply_brightness_shift(x: Any, brightness: float, scale: bool = True) -> np.ndarray:
    """An image with another brightness, as Pillow's `ImageEnhance` has it.

    Args:
        x: Array of (height, width, channels).
        brightness: The factor; 1 leaves the image.
        scale: Whether the least number becomes 0 and the largest 255 first. Numbers outside of 0 to 255
            always do, and are taken back afterwards.

    Returns:
        Array of the shape of `x`.

    Raises:
        ImportError: Pillow is not there.
    """
    pillow("apply_brightness_shift")
    from PIL import ImageEnhance

    least, largest = np.min(x), np.max(x)
    beyond = bool(least < 0 or largest > 255)
    image = array_to_img(x, scale=beyond or scale)
    bright = img_to_array(ImageEnhance.Brightness(image).enhance(brightness))
    return bright / 255 * (largest - least) + least if beyond and not scale else bright


def random_brightness(x: Any, brightness_range: Any, scale: bool = True) -> np.ndarray:
    """An image with a brightness between the two of `brightness_range`."""
    if len(brightness_range) != 2:
        raise ValueError(
            f"random_brightness: brightness_range: expected two numbers, received {brightness_range!r}"
        )
    return apply_brightness_shift(x, _RNG.uniform(brightness_range[0], brightness_range[1]), scale)
