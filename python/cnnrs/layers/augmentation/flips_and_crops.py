"""Layers that flip images, cut them, and bring them to a size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base.dtypes import FLOATS
from cnnrs.base.image_steps import SizedStep, Step
from cnnrs.layers.arguments import positive
from cnnrs.layers.augmentation.base import BaseImagePreprocessingLayer, RandomLayer, images_of
from cnnrs.layers.augmentation.boxes import split, together
from cnnrs.ops.image.sizes import taps
from cnnrs.symbolic import KerasTensor

__all__ = ["CenterCrop", "RandomCrop", "RandomFlip", "Resizing", "SizedLayer"]


class RandomFlip(RandomLayer):
    """In training, flips each image with a probability of one half.

    Args:
        mode: "horizontal", "vertical", or "horizontal_and_vertical" for both at once.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they are flipped as their images.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> image = np.array([1.0, 2.0]).reshape(1, 2, 1)
    >>> flip = layers.RandomFlip("horizontal", seed=1)
    >>> sorted({tuple(flip(image).numpy().ravel().tolist()) for _ in range(20)})
    [(1.0, 2.0), (2.0, 1.0)]
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        modes = ("horizontal", "vertical", "horizontal_and_vertical")
        if mode not in modes:
            expected = ", ".join(map(repr, modes))
            raise ValueError(f"{self.name}: mode: expected one of {expected}, received {mode!r}")
        self.mode = mode

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = images_of(data).shape
        draws = (self._batch(data), 1, 1, 1) if len(shape) == 4 else (1, 1, 1)
        return {"flips": self._uniform(draws, (0.0, 1.0), seed) <= 0.5, "input_shape": tuple(shape)}

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training or transformation is None:
            return []
        return [Step("flip", ["horizontal" in self.mode, "vertical" in self.mode], [transformation["flips"]])]

    def _flipped(self, x: Any, transformation: Any) -> Any:
        if transformation is None:
            return x
        rows, columns = (-2, -1) if self.data_format == "channels_first" else (-3, -2)
        axes = [axis for axis, word in ((columns, "horizontal"), (rows, "vertical")) if word in self.mode]
        return ops.where(ops.convert_to_tensor(transformation["flips"]), ops.flip(x, axes), x)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        return self._flipped(images, transformation) if training else images

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        masks = ops.convert_to_tensor(segmentation_masks)
        return self._flipped(masks, transformation) if training else masks

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training or transformation is None:
            return bounding_boxes
        height, width = self._sides(transformation["input_shape"])
        given = self._convert(bounding_boxes, self.bounding_box_format, "rel_xyxy", height, width)
        left, top, right, bottom = split(given["boxes"])
        flips = ops.squeeze(ops.convert_to_tensor(transformation["flips"]), -1)
        if "horizontal" in self.mode:
            left, right = ops.where(flips, 1 - right, left), ops.where(flips, 1 - left, right)
        if "vertical" in self.mode:
            top, bottom = ops.where(flips, 1 - bottom, top), ops.where(flips, 1 - top, bottom)
        given["boxes"] = together(left, top, right, bottom)
        given = self._clipped(given, 1.0, 1.0)
        return self._convert(given, "rel_xyxy", self.bounding_box_format, height, width)

    def _moved_points(self, x: Any, y: Any, transformation: Any, training: bool) -> Any:
        if not training or transformation is None:
            return None
        height, width = self._sides(transformation["input_shape"])
        flips = ops.reshape(transformation["flips"], (-1, 1, 1))
        if "horizontal" in self.mode:
            x = ops.where(flips, width - 1.0 - x, x)
        if "vertical" in self.mode:
            y = ops.where(flips, height - 1.0 - y, y)
        return x, y, height, width

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


class SizedLayer(BaseImagePreprocessingLayer):
    """A layer whose images have a given height and width."""

    height: int
    width: int

    def _set_size(self, height: Any, width: Any) -> None:
        self.height = positive(height, self.name, "height")
        self.width = positive(width, self.name, "width")

    def _window(self, height: int, width: int) -> tuple[int, int, int, int]:
        """The largest window in the middle of an image whose sides are to each other as those wanted."""
        rows = max(min(height, int(width * self.height / self.width)), 1)
        columns = max(min(width, int(height * self.width / self.height)), 1)
        return (height - rows) // 2, (width - columns) // 2, rows, columns

    def _cut(self, x: Any, top: Any, left: Any, rows: int, columns: int) -> Any:
        """A window of images; its place may be a tensor."""
        axis = len(x.shape) - (2 if self.data_format == "channels_first" else 3)
        for place, (begin, extent) in enumerate(((top, rows), (left, columns)), axis):
            if isinstance(begin, (int, np.integer)):
                x = x[(slice(None),) * place + (slice(int(begin), int(begin) + extent),)]
            else:
                indices = ops.cast(begin, "int32") + ops.arange(extent, dtype="int32")
                x = ops.take(x, indices, axis=place)
        return x

    def _fitted(self, x: Any, interpolation: str) -> Any:
        """The largest window in the middle, resized."""
        x = self._cut(x, *self._window(*self._sides(x.shape)))
        return ops.image.resize(x, (self.height, self.width), interpolation, data_format=self.data_format)

    def _by_size(self, shape: Any, steps: Callable[[int, int], Sequence[Step]]) -> Sequence[Step | SizedStep]:
        """Steps that height and width decide: now, or where these are not known, when an image tells them."""
        height, width = self._sides(shape)
        return [SizedStep(steps)] if height is None else steps(height, width)

    def _fitted_steps(self, height: int, width: int) -> list[Step]:
        top, left, rows, columns = self._window(height, width)
        return [Step("cut", [rows, columns, top, left]), self._resize_step(rows, columns, "bilinear")]

    def _resize_step(self, rows: int, columns: int, interpolation: str, antialias: bool = False) -> Step:
        axes = (rows, self.height), (columns, self.width)
        return Step("resize", [n for axis in axes for n in taps(*axis, interpolation, antialias)])

    def _cut_boxes(self, boxes: Any, top: Any, left: Any) -> Any:
        """Boxes as "xyxy", from the corner of a window on."""
        top, left = (ops.cast(begin, "float32") for begin in (top, left))
        x1, y1, x2, y2 = split(boxes)
        return together(x1 - left, y1 - top, x2 - left, y2 - top)

    def _fitted_boxes(self, boxes: Any, height: int, width: int) -> Any:
        """Boxes as "xyxy" from the corner of the largest window in the middle on, resized."""
        top, left, rows, columns = self._window(height, width)
        x1, y1, x2, y2 = split(self._cut_boxes(boxes, top, left))
        across, down = self.width / columns, self.height / rows
        return together(x1 * across, y1 * down, x2 * across, y2 * down)

    def _cut_points(self, x: Any, y: Any, top: Any, left: Any) -> Any:
        """Points from the corner of a window on, and the size of the result."""
        return x - ops.cast(left, "float32"), y - ops.cast(top, "float32"), self.height, self.width

    def _fitted_points(self, x: Any, y: Any, height: int, width: int) -> Any:
        """Points of the largest window in the middle, resized, and the size of the result."""
        top, left, rows, columns = self._window(height, width)
        across, down = self.width / columns, self.height / rows
        return (x + 0.5 - left) * across - 0.5, (y + 0.5 - top) * down - 0.5, self.height, self.width

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        data = args[0] if args else kwargs.get("data")
        # A shape tells neither the parts of a dict nor that integers stay integers.
        by_shape = isinstance(data, KerasTensor) and data.dtype in FLOATS
        return super().compute_output_spec(*args, **kwargs) if by_shape else self._recorded_spec(args, kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if isinstance(input_shape, dict):
            return super().compute_output_shape(input_shape)
        shape = list(input_shape)
        if len(shape) not in (3, 4) or isinstance(shape[0], (list, tuple)):
            raise ValueError(f"{self.name}: input_shape: expected 3 or 4 extents, received {input_shape}")
        axis = len(shape) - (2 if self.data_format == "channels_first" else 3)
        shape[axis : axis + 2] = [self.height, self.width]
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}


class _Place(tuple[Any, ...]):
    """Where a window begins, `(top, left)`; empty for the largest window in the middle.

    Attributes:
        sides: Height and width of the images.
    """

    sides: tuple[int, int]


class RandomCrop(SizedLayer, RandomLayer):
    """In training, cuts images of a size out of a random place, the same for all of a batch.

    Images that are smaller, and all images in prediction, are cut to the largest window in the middle that
    has the shape of the result, and resized.

    Args:
        height: Height of the result.
        width: Width of the result.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        name: Name.
        bounding_box_format: How boxes are given, if there are any; they are cut with their images.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.RandomCrop(2, 3)(np.zeros((1, 8, 8, 3)), training=True).shape
    (1, 2, 3, 3)
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: Any = None,
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, name=name, **kwargs)
        self._set_size(height, width)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        height, width = self._sides(images_of(data).shape)
        place = _Place()
        if training and height >= self.height and width >= self.width:
            place = _Place(
                ops.minimum(ops.cast(ops.floor(self._uniform((), (0.0, room + 1), seed)), "int32"), room)
                for room in (height - self.height, width - self.width)
            )
        place.sides = (height, width)
        return place

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training or not transformation:
            return self._by_size(shape, self._fitted_steps)
        return [Step("window", [self.height, self.width], transformation)]

    def _random_crop(self, x: Any, transformation: Any, training: bool, interpolation: str) -> Any:
        if not training or not transformation:
            return self._fitted(x, interpolation)
        top, left = transformation
        return self._cut(x, top, left, self.height, self.width)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        return self._random_crop(self._floats(images), transformation, training, "bilinear")

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        masks = ops.convert_to_tensor(segmentation_masks)
        return self._random_crop(masks, transformation, training, "nearest")

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        height, width = getattr(transformation, "sides", (self.height, self.width))
        given = self._convert(bounding_boxes, self.bounding_box_format, "xyxy", height, width)
        if training and transformation:
            top, left = transformation
            given["boxes"] = self._cut_boxes(given["boxes"], top, left)
        else:
            given["boxes"] = self._fitted_boxes(given["boxes"], height, width)
        given = self._clipped(given, self.height, self.width)
        return self._convert(given, "xyxy", self.bounding_box_format, self.height, self.width)

    def _moved_points(self, x: Any, y: Any, transformation: Any, training: bool) -> Any:
        if training and transformation:
            return self._cut_points(x, y, *transformation)
        return self._fitted_points(x, y, *transformation.sides)


class CenterCrop(SizedLayer):
    """Cuts the middle out of images; those that are smaller are cut to the shape of the result and resized.

    Args:
        height: Height of the result.
        width: Width of the result.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they are cut with their images.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.CenterCrop(1, 2)(np.arange(12.0).reshape(3, 4, 1)).numpy().ravel().tolist()
    [5.0, 6.0]
    """

    _USE_BASE_FACTOR = False

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self._set_size(height, width)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return {"input_shape": tuple(images_of(data).shape)}

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        return labels

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        return self._by_size(shape, self._centred_steps)

    def _centred_steps(self, height: int, width: int) -> list[Step]:
        rest = height - self.height, width - self.width
        if min(rest) < 0:
            return self._fitted_steps(height, width)
        return [Step("cut", [self.height, self.width, rest[0] // 2, rest[1] // 2])]

    def _center_crop(self, x: Any, interpolation: str) -> Any:
        rest = [n - m for n, m in zip(self._sides(x.shape), (self.height, self.width), strict=True)]
        if min(rest) < 0:
            return self._fitted(x, interpolation)
        return self._cut(x, rest[0] // 2, rest[1] // 2, self.height, self.width)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        return self._center_crop(self._floats(images), "bilinear")

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return self._center_crop(ops.convert_to_tensor(segmentation_masks), "nearest")

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        height, width = self._sides(transformation["input_shape"])
        given = self._convert(bounding_boxes, self.bounding_box_format, "xyxy", height, width)
        rest = height - self.height, width - self.width
        if min(rest) < 0:
            given["boxes"] = self._fitted_boxes(given["boxes"], height, width)
        else:
            top, left = rest[0] // 2, rest[1] // 2
            given["boxes"] = self._cut_boxes(given["boxes"], top, left)
        given = self._clipped(given, self.height, self.width)
        return self._convert(given, "xyxy", self.bounding_box_format, self.height, self.width)

    def _moved_points(self, x: Any, y: Any, transformation: Any, training: bool) -> Any:
        height, width = self._sides(transformation["input_shape"])
        rest = height - self.height, width - self.width
        if min(rest) < 0:
            return self._fitted_points(x, y, height, width)
        return self._cut_points(x, y, rest[0] // 2, rest[1] // 2)


class Resizing(SizedLayer):
    """Images of another size.

    Args:
        height: The new height.
        width: The new width.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3", "lanczos5" or "area".
        crop_to_aspect_ratio: Whether margins are cut off, so that shapes stay undistorted.
        pad_to_aspect_ratio: Whether margins are added instead.
        fill_mode: "constant", what the added margins hold: `fill_value`.
        fill_value: The number in the margins of `pad_to_aspect_ratio`.
        antialias: Whether kernels grow with the pixels where images become smaller.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they are resized with their images.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Resizing(1, 4)(np.array([0.0, 4.0]).reshape(1, 2, 1)).numpy().ravel().tolist()
    [0.0, 1.0, 3.0, 4.0]
    """

    _USE_BASE_FACTOR = False
    _keeps_bytes = True

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self._set_size(height, width)
        self.interpolation = interpolation
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode = fill_mode
        self.fill_value = fill_value
        self.antialias = bool(antialias)
        # A wrong argument raises its error now.
        self._resized(ops.zeros((1, 1, 1)), interpolation)

    def _arguments(self) -> dict[str, Any]:
        names = ["crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode", "fill_value", "antialias"]
        return {name: getattr(self, name) for name in names}

    def _resized(self, x: Any, interpolation: str) -> Any:
        size = (self.height, self.width)
        return ops.image.resize(x, size, interpolation, data_format=self.data_format, **self._arguments())

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return self._sides(images_of(data).shape)

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        return self._by_size(shape, self._resizing_steps)

    def _resizing_steps(self, rows: int, columns: int) -> list[Step]:
        ideal = int(columns * self.height / self.width), int(rows * self.width / self.height)
        steps = []
        if self.crop_to_aspect_ratio:
            top, left, rows, columns = self._window(rows, columns)
            steps = [Step("cut", [rows, columns, top, left])]
        elif self.pad_to_aspect_ratio:
            top, left = (max(rows, ideal[0]) - rows) // 2, (max(columns, ideal[1]) - columns) // 2
            rows, columns = rows + 2 * top, columns + 2 * left
            steps = [Step("pad", [top, left, rows, columns, self.fill_value])]
        return [*steps, self._resize_step(rows, columns, self.interpolation, self.antialias)]

    def transform_labels(self, labels: Any, transformation: Any = None, training: bool = True) -> Any:
        return labels

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        return self._resized(ops.convert_to_tensor(images), self.interpolation)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return self._resized(ops.convert_to_tensor(segmentation_masks), "nearest")

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        height, width = transformation
        boxes = ops.convert_to_tensor(bounding_boxes["boxes"])
        absent = ops.all(boxes == -1, axis=-1, keepdims=True) | ops.all(boxes == 0, axis=-1, keepdims=True)
        given = self._convert(bounding_boxes, self.bounding_box_format, "xyxy", height, width)
        down, across, top, left = self._scales(height, width)
        x1, y1, x2, y2 = split(given["boxes"])
        boxes = together(x1 * across + left, y1 * down + top, x2 * across + left, y2 * down + top)
        given = self._clipped({**given, "boxes": boxes}, self.height, self.width)
        given["boxes"] = ops.where(absent, 0.0, given["boxes"])
        return self._convert(given, "xyxy", self.bounding_box_format, self.height, self.width)

    def _scales(self, height: int, width: int) -> tuple[float, float, float, float]:
        """By how much images grow down and across, and where they begin in the result."""
        down, across = self.height / height, self.width / width
        top = left = 0.0
        if self.pad_to_aspect_ratio:
            down = across = min(down, across)
            top, left = (self.height - height * down) // 2, (self.width - width * across) // 2
        elif self.crop_to_aspect_ratio:
            down = across = max(down, across)
            top, left = -((height * down - self.height) // 2), -((width * across - self.width) // 2)
        return down, across, top, left

    def _moved_points(self, x: Any, y: Any, transformation: Any, training: bool) -> Any:
        down, across, top, left = self._scales(*transformation)
        return (x + 0.5) * across + left - 0.5, (y + 0.5) * down + top - 0.5, self.height, self.width

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "interpolation": self.interpolation, **self._arguments()}
