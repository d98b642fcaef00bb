"""Layers that tilt and distort images."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base import random_keys
from cnnrs.base.arguments import number
from cnnrs.layers.augmentation.arguments import FILL_MODES, interval
from cnnrs.layers.augmentation.base import images_of
from cnnrs.layers.augmentation.boxes import split, transformed
from cnnrs.layers.augmentation.warps import WarpLayer
from cnnrs.ops.image.layout import as_batch
from cnnrs.ops.image.sampling import sample
from cnnrs.ops.image.warps import elastic, homography, smooth_shifts

__all__ = ["RandomElasticTransform", "RandomPerspective"]

# How often the place of a point is corrected by the shift that is found there; the shifts are smooth.
_ROUNDS = 8
# The points of each side of a box that are moved. Shifts are alike within 1/20 of the image.
_POINTS_OF_SIDE = 33


class RandomPerspective(WarpLayer):
    """In training, moves the corners of some images, as if they were looked at from elsewhere.

    Args:
        factor: The range within 0..1 from which the probability of each image is drawn; a number f means
            0..f.
        scale: How far corners move at most, as a part of twice their distance from the first corner.
        interpolation: "bilinear" or "nearest".
        fill_value: What lies outside of the image.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they become the boxes around the tilted
            ones.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.RandomPerspective(0.0)(np.ones((2, 2, 1))).numpy().ravel().tolist()
    [1.0, 1.0, 1.0, 1.0]
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            fill_mode="constant",
            interpolation=interpolation,
            fill_value=fill_value,
            seed=seed,
            data_format=data_format,
            **kwargs,
        )
        self._set_factor(factor)
        self.scale = number(scale, self.name, "scale", least=0, most=1)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        batch, shape = self._batch(data), tuple(images_of(data).shape)
        height, width = self._sides(shape)
        chosen = self._chosen(batch, self.factor, seed)
        moves = self._uniform((batch, 4, 2), (-0.5 * self.scale, 0.5 * self.scale), seed)
        right, bottom = width - 1.0, height - 1.0
        corners = [[[0.0, 0.0], [right, 0.0], [0.0, bottom], [right, bottom]]]
        start = ops.broadcast_to(ops.cast(corners, "float32"), (batch, 4, 2))
        end = ops.where(ops.reshape(chosen, (batch, 1, 1)), start + start * moves, start)
        return {
            "apply_perspective": chosen,
            "start_points": start,
            "end_points": end,
            "input_shape": shape,
        }

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        x, restore = as_batch(images, self.data_format, self.name)
        points = transformation["start_points"], transformation["end_points"]
        moved = ops.image.perspective_transform(x, *points, interpolation, self.fill_value, "channels_last")
        chosen = ops.reshape(ops.convert_to_tensor(transformation["apply_perspective"]), (-1, 1, 1, 1))
        return restore(ops.where(chosen, moved, x))

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training or transformation is None:
            return []
        points = (ops.cast(transformation[name], "float32") for name in ("start_points", "end_points"))
        return self._warp(homography(*points), transformation["apply_perspective"])

    def _moved(self, boxes: Any, transformation: Any, height: int, width: int) -> Any:
        start, end = (ops.cast(transformation[name], "float32") for name in ("start_points", "end_points"))
        forward = homography(end, start)
        entries = [forward[:, i : i + 1, None] for i in range(8)]
        moved = transformed(boxes, (*entries, ops.ones((1, 1, 1))))
        chosen = ops.cast(transformation["apply_perspective"], "bool")
        return ops.where(ops.reshape(chosen, (-1, 1, 1)), moved, boxes)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["fill_mode"]
        return {**config, "factor": self.factor, "scale": self.scale}


class RandomElasticTransform(WarpLayer):
    """In training, distorts some images by random, smooth shifts of their pixels.

    Args:
        factor: The range within 0..1 from which the probability of each image is drawn; a number f means
            0..f.
        scale: The range of the strength, likewise.
        interpolation: "bilinear" or "nearest".
        fill_mode: What lies outside: "reflect", "wrap", "constant", "nearest" or "mirror".
        fill_value: The number for "constant".
        value_range: The least and the largest value of pixels, to which results are limited.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they become the boxes around the distorted
            ones, found by points of their sides.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> float(layers.RandomElasticTransform()(np.ones((4, 4, 1))).numpy().round(4).min())
    1.0
    """

    _FILL_MODES = (*FILL_MODES, "mirror")
    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            fill_mode=fill_mode,
            interpolation=interpolation,
            fill_value=fill_value,
            seed=seed,
            data_format=data_format,
            **kwargs,
        )
        self._set_factor(factor)
        self.scale = interval(self.name, "scale", scale, (0, 1))
        self._set_value_range(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training or self.scale[1] == 0 or self.factor[1] == 0:
            return None
        chosen = self._chosen(self._batch(data), self.factor, seed)
        strength = self._uniform((), self.scale, seed)
        # The key itself, so that masks are distorted as their images.
        key = random_keys.draw(self.generator if seed is None else seed)
        shape = tuple(images_of(data).shape)
        return {
            "apply_transform": chosen,
            "distortion_factor": strength,
            "seed": key,
            "input_shape": shape,
        }

    def _shifts(self, transformation: Any, batch: int, height: int, width: int) -> tuple[Any, Any]:
        """By how many rows and columns pixels are read away, of shape (batch, height, width)."""
        strength = ops.cast(transformation["distortion_factor"], "float32")
        sigma = ops.maximum(strength * (0.05 * min(height, width)), 1e-6)
        # The extent of the blur depends on a value; that of the strongest is there for all.
        reach = int(3 * 0.05 * min(height, width) * max(self.scale[1], 1e-6))
        distance = ops.abs(ops.cast(ops.arange(-reach, reach + 1), "float32"))
        weights = ops.exp(-0.5 * ops.square(distance / sigma))
        weights = ops.where(distance <= ops.floor(3.0 * sigma), weights, 0.0)
        seed = transformation["seed"]
        key = seed if hasattr(seed, "shape") else random_keys.draw(seed)
        alpha = strength * (0.1 * max(height, width))
        return smooth_shifts(key, [batch, height, width], alpha, sigma, weights / ops.sum(weights))

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        x, restore = as_batch(images, self.data_format, self.name)
        shifts = self._shifts(transformation, *x.shape[:3])
        distorted = elastic(x, shifts, interpolation, self.fill_mode, self.fill_value)
        chosen = ops.reshape(ops.convert_to_tensor(transformation["apply_transform"]), (-1, 1, 1, 1))
        return restore(ops.where(chosen, distorted, x))

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        # A field of shifts for each pixel is larger than the image: a plan makes and reads it.
        return None

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = super().transform_images(images, transformation, training)
        if not training or transformation is None:
            return images
        return ops.clip(images, *map(float, self.value_range))

    def _moved(self, boxes: Any, transformation: Any, height: int, width: int) -> Any:
        """The least boxes around where points of the sides go."""
        left, top, right, bottom = split(boxes)
        along = np.linspace(0.0, 1.0, _POINTS_OF_SIDE, dtype=np.float32)
        x, y = left + (right - left) * along, top + (bottom - top) * along
        same = np.zeros_like(along)
        xs = ops.concatenate([x, x, left + same, right + same], axis=-1)
        ys = ops.concatenate([top + same, bottom + same, y, y], axis=-1)
        # Sides lie between pixels, points in their middles.
        x, y = (ops.reshape(of, (of.shape[0], -1, 1)) - 0.5 for of in (xs, ys))
        moved = self._moved_points(x, y, transformation, True)[:2]
        xs, ys = (ops.reshape(of, xs.shape) + 0.5 for of in moved)
        return ops.stack([ops.min(xs, -1), ops.min(ys, -1), ops.max(xs, -1), ops.max(ys, -1)], axis=-1)

    def _moved_points(self, x: Any, y: Any, transformation: Any, training: bool) -> Any:
        if not training or transformation is None:
            return None
        height, width = self._sides(transformation["input_shape"])
        batch = x.shape[0]
        down, right = self._shifts(transformation, batch, height, width)
        field = ops.reshape(ops.stack([right, down], axis=-1), (batch * height * width, 2))
        start = np.arange(batch, dtype=np.int32).reshape(-1, 1) * np.int32(height * width)
        given = ops.concatenate([x, y], axis=-1)
        place = given
        # A pixel comes from its place plus the shift: so its place is the point less the shift there.
        for _ in range(_ROUNDS):
            at = ops.unstack(place, axis=-1)
            shift = sample(field, at[::-1], (height, width), 1, "nearest", 0.0, ops.convert_to_tensor(start))
            place = given - shift
        chosen = ops.reshape(ops.convert_to_tensor(transformation["apply_transform"]), (-1, 1, 1))
        place = ops.where(chosen, place, given)
        return place[..., 0:1], place[..., 1:2], height, width

    def get_config(self) -> dict[str, Any]:
        config = {"factor": self.factor, "scale": self.scale, "value_range": self.value_range}
        return {**super().get_config(), **config}
