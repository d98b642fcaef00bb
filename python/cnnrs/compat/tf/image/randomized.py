"""Images changed at random. Functions with `stateless` in their name do the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.compat.tf import random
from cnnrs.compat.tf.arguments import numbers, tensor
from cnnrs.compat.tf.image import colors, cropping
from cnnrs.compat.tf.namespaces import operation

__all__ = [
    "random_brightness",
    "random_contrast",
    "random_crop",
    "random_flip_left_right",
    "random_flip_up_down",
    "random_hue",
    "random_jpeg_quality",
    "random_saturation",
    "stateless_random_brightness",
    "stateless_random_contrast",
    "stateless_random_crop",
    "stateless_random_flip_left_right",
    "stateless_random_flip_up_down",
    "stateless_random_hue",
    "stateless_random_jpeg_quality",
    "stateless_random_saturation",
]

# A draw of `shape`, a lower and an upper bound.
_Draw = Callable[..., Any]


def _stateful(seed: Any) -> _Draw:
    return lambda shape, low, high, dtype="float32": random.uniform(shape, low, high, dtype, seed)


def _stateless(seed: Any) -> _Draw:
    return lambda shape, low, high, dtype="float32": random.stateless_uniform(shape, seed, low, high, dtype)


def _within(function: str, lower: Any, upper: Any, least: float | None = None) -> None:
    """Raises ValueError unless the bounds of a draw are in order."""
    if upper <= lower or (least is not None and lower < least):
        raise ValueError(f"tf.image.{function}: expected bounds in order, received {lower} and {upper}")


def _brightness(function: str, image: Any, max_delta: Any, draw: _Draw) -> Any:
    if max_delta < 0:
        raise ValueError(f"tf.image.{function}: max_delta: expected at least 0, received {max_delta}")
    return colors.adjust_brightness(image, draw((), -max_delta, max_delta))


def _contrast(function: str, image: Any, lower: Any, upper: Any, draw: _Draw) -> Any:
    _within(function, lower, upper, 0.0)
    return colors.adjust_contrast(image, draw((), lower, upper))


def _saturation(function: str, image: Any, lower: Any, upper: Any, draw: _Draw) -> Any:
    _within(function, lower, upper, 0.0)
    return colors.adjust_saturation(image, draw((), lower, upper))


def _hue(function: str, image: Any, max_delta: Any, draw: _Draw) -> Any:
    if not 0 <= max_delta <= 0.5:
        raise ValueError(
            f"tf.image.{function}: max_delta: expected a number of 0 to 0.5, received {max_delta}"
        )
    return colors.adjust_hue(image, draw((), -max_delta, max_delta))


def _flip(function: str, image: Any, draw: _Draw, back: int) -> Any:
    x = cropping.images(image, function)
    flags = draw(tuple(x.shape[: x.ndim - 3]), 0.0, 1.0) < 0.5
    return ops.where(ops.reshape(flags, (*flags.shape, 1, 1, 1)), ops.flip(x, x.ndim - back), x)


def _quality(function: str, image: Any, lowest: int, highest: int, draw: _Draw) -> Any:
    _within(function, lowest, highest, 0)
    if highest > 100:
        raise ValueError(f"tf.image.{function}: max_jpeg_quality: expected at most 100, received {highest}")
    return colors.adjust_jpeg_quality(image, np.asarray(draw((), lowest, highest, "int32")))


def _crop(value: Any, size: Any, draw: _Draw) -> Any:
    x, wanted = tensor(value), numbers(size, "image.random_crop", "size")
    if len(wanted) != x.ndim or any(w > n or w < 0 for w, n in zip(wanted, x.shape, strict=True)):
        raise ValueError(f"tf.image.random_crop: size: {wanted} does not fit into shape {tuple(x.shape)}")
    room = np.array([n - w + 1 for n, w in zip(x.shape, wanted, strict=True)], "int32")
    begin = ops.cast(ops.floor(draw((x.ndim,), 0.0, 1.0) * room.astype("float32")), "int32")
    return ops.slice(x, ops.minimum(begin, room - 1), wanted)


@operation
def random_brightness(image: Any, max_delta: Any, seed: Any = None) -> Any:
    """Images to which a number of ±`max_delta` is added."""
    return _brightness("random_brightness", image, max_delta, _stateful(seed))


@operation
def stateless_random_brightness(image: Any, max_delta: Any, seed: Any) -> Any:
    """As `random_brightness`, the same for the same seed of two integers."""
    return _brightness("stateless_random_brightness", image, max_delta, _stateless(seed))


@operation
def random_contrast(image: Any, lower: Any, upper: Any, seed: Any = None) -> Any:
    """Images whose contrast is multiplied by a number of `lower` to `upper`."""
    return _contrast("random_contrast", image, lower, upper, _stateful(seed))


@operation
def stateless_random_contrast(image: Any, lower: Any, upper: Any, seed: Any) -> Any:
    """As `random_contrast`, the same for the same seed of two integers."""
    return _contrast("stateless_random_contrast", image, lower, upper, _stateless(seed))


@operation
def random_saturation(image: Any, lower: Any, upper: Any, seed: Any = None) -> Any:
    """Images whose saturation is multiplied by a number of `lower` to `upper`."""
    return _saturation("random_saturation", image, lower, upper, _stateful(seed))


@operation
def stateless_random_saturation(image: Any, lower: Any, upper: Any, seed: Any = None) -> Any:
    """As `random_saturation`, the same for the same seed of two integers."""
    return _saturation("stateless_random_saturation", image, lower, upper, _stateless(seed))


@operation
def random_hue(image: Any, max_delta: Any, seed: Any = None) -> Any:
    """Images whose hue is turned by a number of ±`max_delta`."""
    return _hue("random_hue", image, max_delta, _stateful(seed))


@operation
def stateless_random_hue(image: Any, max_delta: Any, seed: Any) -> Any:
    """As `random_hue`, the same for the same seed of two integers."""
    return _hue("stateless_random_hue", image, max_delta, _stateless(seed))


@operation
def random_flip_left_right(image: Any, seed: Any = None) -> Any:
    """Each image mirrored from left to right, or not."""
    return _flip("random_flip_left_right", image, _stateful(seed), 2)


@operation
def stateless_random_flip_left_right(image: Any, seed: Any) -> Any:
    """As `random_flip_left_right`, the same for the same seed of two integers."""
    return _flip("stateless_random_flip_left_right", image, _stateless(seed), 2)


@operation
def random_flip_up_down(image: Any, seed: Any = None) -> Any:
    """Each image mirrored from top to bottom, or not."""
    return _flip("random_flip_up_down", image, _stateful(seed), 3)


@operation
def stateless_random_flip_up_down(image: Any, seed: Any) -> Any:
    """As `random_flip_up_down`, the same for the same seed of two integers."""
    return _flip("stateless_random_flip_up_down", image, _stateless(seed), 3)


@operation
def random_crop(value: Any, size: Any, seed: Any = None) -> Any:
    """A part of the extents `size`, which has one for each axis, anywhere in a tensor."""
    return _crop(value, size, _stateful(seed))


@operation
def stateless_random_crop(value: Any, size: Any, seed: Any) -> Any:
    """As `random_crop`, the same for the same seed of two integers."""
    return _crop(value, size, _stateless(seed))


@operation
def random_jpeg_quality(image: Any, min_jpeg_quality: int, max_jpeg_quality: int, seed: Any = None) -> Any:
    """An image as JPEG of a random quality keeps it."""
    return _quality("random_jpeg_quality", image, min_jpeg_quality, max_jpeg_quality, _stateful(seed))


@operation
def stateless_random_jpeg_quality(image: Any, min_jpeg_quality: int, max_jpeg_quality: int, seed: Any) -> Any:
    """As `random_jpeg_quality`, the same for the same seed of two integers."""
    return _quality(
        "stateless_random_jpeg_quality", image, min_jpeg_quality, max_jpeg_quality, _stateless(seed)
    )
