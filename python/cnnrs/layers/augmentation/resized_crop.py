"""`RandomResizedCrop`: a random part of each image, at one size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base.image_steps import Step, UnsizedImage
from cnnrs.layers.augmentation.arguments import INTERPOLATIONS, choice, positive_range
from cnnrs.layers.augmentation.base import RandomLayer, images_of
from cnnrs.layers.augmentation.boxes import split, together
from cnnrs.layers.augmentation.flips_and_crops import SizedLayer
from cnnrs.ops.image.layout import as_batch

__all__ = ["RandomResizedCrop"]

# Windows that are tried for each image before one in the middle is taken.
_TRIES = 10


class RandomResizedCrop(SizedLayer, RandomLayer):
    """In training, cuts a window of random place, area and shape out of each image, and resizes it.

    It is the augmentation of the Inception networks (Szegedy et al. 2015, "Going deeper with convolutions",
    arXiv:1409.4842, section 6), with which networks of ImageNet are trained since. Of ten windows per image,
    with an area from `scale` and the logarithm of width / height from that of `ratio`, the first that fits
    is taken; if none fits, the largest in the middle whose shape is in the range. In prediction the largest
    window in the middle with the shape of the result is taken.

    Args:
        height: Height of the result.
        width: Width of the result.
        scale: The range of the window's area, as a part of the image's.
        ratio: The range of the window's width divided by its height.
        interpolation: "bilinear" or "nearest".
        antialias: Whether the kernel grows with the pixels where windows become smaller.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they are cut and resized as their images.

    Example:

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> crop = layers.RandomResizedCrop(32, 32, seed=1)
    >>> crop(np.zeros((4, 50, 40, 3), np.uint8)).shape
    (4, 32, 32, 3)
    >>> whole = layers.RandomResizedCrop(1, 2, scale=(1, 1), ratio=(2, 2))
    >>> whole(np.array([1.0, 2.0]).reshape(1, 2, 1)).numpy().ravel().tolist()
    [1.0, 2.0]
    """

    def __init__(
        self,
        height: int,
        width: int,
        scale: Any = (0.08, 1.0),
        ratio: Any = (3 / 4, 4 / 3),
        interpolation: str = "bilinear",
        antialias: bool = True,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self._set_size(height, width)
        self.scale = positive_range(self.name, "scale", scale, most=1)
        self.ratio = positive_range(self.name, "ratio", ratio)
        self.interpolation = choice(self.name, "interpolation", interpolation, INTERPOLATIONS)
        self.antialias = bool(antialias)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        images, batch = images_of(data), self._batch(data)
        shape = tuple(images.shape)
        sizes = self._sizes if training else self._window
        if isinstance(images, UnsizedImage):
            found = images.numbers(sizes)
            numbers = [found[i] for i in range(found.shape[0])]
        else:
            numbers = [float(n) for n in sizes(*self._sides(shape))]
        if training:
            window = self._drawn(batch, numbers, seed)
        elif isinstance(images, UnsizedImage):
            window = ops.expand_dims(ops.stack(numbers), 0)
        else:
            window = ops.convert_to_tensor(np.array([numbers] * batch, np.float32))
        return {"window": window, "input_shape": shape}

    def _sizes(self, height: int, width: int) -> tuple[int, ...]:
        """What `_drawn` needs to know of images: pixels, height and width, and those of the last resort."""
        return (height * width, height, width, *self._fallback(height, width))

    def _drawn(self, batch: int, sizes: list[Any], seed: Any) -> Any:
        """Windows (top, left, height, width), of shape (batch, 4), by what `_sizes` gives."""
        pixels, height, width, rows, columns = sizes
        area = self._uniform((batch, _TRIES), self.scale, seed) * pixels
        ratio = ops.exp(self._uniform((batch, _TRIES), tuple(map(math.log, self.ratio)), seed))
        across, down = ops.round(ops.sqrt(area * ratio)), ops.round(ops.sqrt(area / ratio))
        fits = (across > 0.0) & (across <= width) & (down > 0.0) & (down <= height)
        first = ops.expand_dims(ops.argmax(fits, axis=1), 1)
        some = ops.any(fits, axis=1)
        down = ops.where(some, ops.take_along_axis(down, first, axis=1)[:, 0], rows)
        across = ops.where(some, ops.take_along_axis(across, first, axis=1)[:, 0], columns)
        places = []
        for extent, length in ((height, down), (width, across)):
            room = extent - length
            place = ops.minimum(ops.floor(self._uniform((batch,), (0.0, 1.0), seed) * (room + 1.0)), room)
            places.append(ops.where(some, place, ops.floor(room / 2.0)))
        return ops.stack([*places, down, across], axis=1)

    def _fallback(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the largest window whose shape is in the range."""
        low, high = self.ratio
        if width < low * height:
            return max(min(round(width / low), height), 1), width
        if width > high * height:
            return height, max(min(round(height * high), width), 1)
        return height, width

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        numbers = [self.height, self.width, self.antialias, self.interpolation == "nearest"]
        return [Step("resample", numbers, [transformation["window"]])]

    def _weights(self, first: Any, length: Any, target: int, extent: int, nearest: bool) -> Any:
        """Matrices of shape (batch, target, extent) that resize windows of an axis."""
        first, length = (ops.reshape(x, (-1, 1, 1)) for x in (first, length))
        ratio = length / float(target)
        rows = np.arange(target, dtype=np.float32)[None, :, None]
        pixels = np.arange(extent, dtype=np.float32)[None, None, :]
        if nearest:
            place = ops.minimum(first + ops.floor((rows + 0.5) * ratio), first + length - 1.0)
            return ops.cast(ops.equal(place, pixels), "float32")
        centres = first + (rows + 0.5) * ratio - 0.5
        support = ops.maximum(ratio, 1.0) if self.antialias else 1.0
        weights = ops.maximum(1.0 - ops.abs(centres - pixels) / support, 0.0)
        inside = ops.logical_and(first <= pixels, first + length > pixels)
        weights = ops.where(inside, weights, 0.0)
        return weights / ops.sum(weights, axis=-1, keepdims=True)

    def _resampled(self, images: Any, transformation: Any, nearest: bool) -> Any:
        x, restore = as_batch(images, self.data_format, self.name)
        batch, height, width, channels = x.shape
        window = ops.cast(transformation["window"], "float32")
        top, left, rows, columns = (window[:, i] for i in range(4))
        down = self._weights(top, rows, self.height, height, nearest)
        across = self._weights(left, columns, self.width, width, nearest)
        y = ops.matmul(down, ops.reshape(x, (batch, height, width * channels)))
        y = ops.transpose(ops.reshape(y, (batch, self.height, width, channels)), (0, 2, 1, 3))
        y = ops.matmul(across, ops.reshape(y, (batch, width, self.height * channels)))
        y = ops.reshape(y, (batch, self.width, self.height, channels))
        return restore(ops.transpose(y, (0, 2, 1, 3)))

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        return self._resampled(self._floats(images), transformation, self.interpolation == "nearest")

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        masks = ops.convert_to_tensor(segmentation_masks)
        resampled = self._resampled(ops.cast(masks, "float32"), transformation, nearest=True)
        return ops.cast(resampled, masks.dtype)

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        height, width = self._sides(transformation["input_shape"])
        given = self._convert(bounding_boxes, self.bounding_box_format, "xyxy", height, width)
        left, top, right, bottom = split(given["boxes"])
        x0, y0, across, down = self._scales(transformation)
        boxes = together((left - x0) * across, (top - y0) * down, (right - x0) * across, (bottom - y0) * down)
        given = self._clipped({**given, "boxes": boxes}, self.height, self.width)
        return self._convert(given, "xyxy", self.bounding_box_format, self.height, self.width)

    def _scales(self, transformation: Any) -> tuple[Any, Any, Any, Any]:
        """Left and top of windows, and by how much they grow across and down, each of shape (batch, 1, 1)."""
        window = ops.cast(transformation["window"], "float32")
        top, left, rows, columns = (window[:, i : i + 1, None] for i in range(4))
        return left, top, float(self.width) / columns, float(self.height) / rows

    def _moved_points(self, x: Any, y: Any, transformation: Any, training: bool) -> Any:
        left, top, across, down = self._scales(transformation)
        return (x + 0.5 - left) * across - 0.5, (y + 0.5 - top) * down - 0.5, self.height, self.width

    def get_config(self) -> dict[str, Any]:
        names = ("scale", "ratio", "interpolation", "antialias")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
