"""Layers that turn, shift, zoom and shear images."""

from __future__ import annotations

import math
from typing import Any

from cnnrs import ops
from cnnrs.base.image_steps import Step
from cnnrs.layers.augmentation.arguments import FILL_MODES, INTERPOLATIONS, choice, within
from cnnrs.layers.augmentation.base import RandomLayer, images_of
from cnnrs.layers.augmentation.boxes import affine
from cnnrs.ops.image import sampling

__all__ = [
    "RandomRotation",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "WarpLayer",
    "rows_of_matrices",
]


class WarpLayer(RandomLayer):
    """A layer whose pixels come from other places.

    Args:
        fill_mode: What lies outside of the image.
        interpolation: How values between pixels are found.
        fill_value: The number for the mode "constant".
    """

    _FILL_MODES: tuple[str, ...] = FILL_MODES

    def __init__(self, *, fill_mode: str, interpolation: str, fill_value: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.fill_mode = choice(self.name, "fill_mode", fill_mode, self._FILL_MODES)
        self.interpolation = choice(self.name, "interpolation", interpolation, INTERPOLATIONS)
        self.fill_value = fill_value

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        matrix = self._matrix(transformation, images.shape)
        return ops.image.affine_transform(
            images, matrix, interpolation, self.fill_mode, self.fill_value, self.data_format
        )

    def _warp(self, matrix: Any, chosen: Any = 1.0) -> list[Step]:
        """The step that reads pixels from where transformations say, of the images that are chosen."""
        modes = sampling.FILL_MODES.index(self.fill_mode)
        return [Step("warp", [self.interpolation == "nearest", modes, self.fill_value], [matrix, chosen])]

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training or transformation is None:
            return []
        matrix = self._matrix(transformation, shape)
        return self._warp(ops.expand_dims(matrix, 0) if len(matrix.shape) == 1 else matrix)

    def _matrix(self, transformation: Any, shape: Any) -> Any:
        """The transformations, as `ops.image.affine_transform` takes them."""
        raise NotImplementedError

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        if not training or transformation is None:
            return images
        return self._transform_images(images, transformation, self.interpolation)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        masks = ops.convert_to_tensor(segmentation_masks)
        if not training or transformation is None:
            return masks
        return self._transform_images(masks, transformation, "nearest")

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training or transformation is None:
            return bounding_boxes
        height, width = self._sides(transformation["input_shape"])
        given = self._convert(bounding_boxes, self.bounding_box_format, "xyxy", height, width)
        given["boxes"] = self._moved(given["boxes"], transformation, height, width)
        given = self._clipped(given, height, width)
        return self._convert(given, "xyxy", self.bounding_box_format, height, width)

    def _moved_points(self, x: Any, y: Any, transformation: Any, training: bool) -> Any:
        if not training or transformation is None:
            return None
        height, width = self._sides(transformation["input_shape"])
        # A point is a box without extent.
        moved = self._moved(ops.concatenate([x, y, x, y], axis=-1), transformation, height, width)
        return moved[..., 0:1], moved[..., 1:2], height, width

    def _moved(self, boxes: Any, transformation: Any, height: int, width: int) -> Any:
        """Boxes of shape (batch, boxes, 4), as "xyxy", where their pixels go."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        names = ("fill_mode", "interpolation", "fill_value")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _numbers(*values: Any) -> list[Any]:
    """Numbers of shape (batch, 1), to meet boxes."""
    return [ops.reshape(ops.cast(value, "float32"), (-1, 1, 1)) for value in values]


def rows_of_matrices(batch: int, *entries: Any) -> Any:
    """Transformations of shape (batch, 8), of numbers and of tensors of shape (batch,)."""
    columns = [ops.broadcast_to(ops.cast(entry, "float32"), (batch,)) for entry in entries]
    return ops.stack(columns, axis=1)


class RandomRotation(WarpLayer):
    """In training, turns each image around its middle by a random angle.

    Args:
        factor: The angle as a part of the full circle, against the clock: the ends of a range within -1..1,
            or a number f for -f..f.
        fill_mode: What lies outside: "reflect", "wrap", "constant" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: Integer; None draws one.
        fill_value: The number for "constant".
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they become the boxes around the turned
            ones.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> image = np.arange(4.0).reshape(2, 2, 1)
    >>> layers.RandomRotation((0.25, 0.25))(image).numpy().round().ravel().tolist()
    [1.0, 3.0, 0.0, 2.0]
    """

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
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

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        batch, shape = self._batch(data), tuple(images_of(data).shape)
        height, width = self._sides(shape)
        angle = self._uniform((batch,), (self.factor[0] * 360.0, self.factor[1] * 360.0), seed)
        cos, sin = _turn(angle)
        x, y = (width - 1) / 2.0, (height - 1) / 2.0
        matrix = rows_of_matrices(
            batch, cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y, 0.0, 0.0
        )
        return {
            "angle": angle,
            "rotation_matrix": matrix if len(shape) == 4 else ops.squeeze(matrix, 0),
            "image_height": height,
            "image_width": width,
            "batch_size": batch,
            "input_shape": shape,
        }

    def _matrix(self, transformation: Any, shape: Any) -> Any:
        return transformation["rotation_matrix"]

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        if training and transformation is not None and "input_shape" not in transformation:
            sides = transformation["image_height"], transformation["image_width"]
            first = self.data_format == "channels_first"
            transformation = {**transformation, "input_shape": (1, *sides) if first else (*sides, 1)}
        return super().transform_bounding_boxes(bounding_boxes, transformation, training)

    def _moved(self, boxes: Any, transformation: Any, height: int, width: int) -> Any:
        cos, sin = _turn(*_numbers(transformation["angle"]))
        x, y = (width - 1) / 2.0, (height - 1) / 2.0
        return affine(boxes, (cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


def _turn(angle: Any) -> tuple[Any, Any]:
    """Cosine and sine of angles in degrees."""
    radians = ops.cast(angle, "float32") * (math.pi / 180.0)
    return ops.cos(radians), ops.sin(radians)


class RandomTranslation(WarpLayer):
    """In training, shifts each image by random parts of its height and width.

    Args:
        height_factor: The part of the height, downwards: the ends of a range within -1..1, or a number f for
            -f..f.
        width_factor: The part of the width, to the right, likewise.
        fill_mode: What lies outside: "reflect", "wrap", "constant" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: Integer; None draws one.
        fill_value: The number for "constant".
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they are shifted with their images.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> shift = layers.RandomTranslation((0.5, 0.5), (0.0, 0.0), fill_mode="constant")
    >>> shift(np.array([1.0, 2.0]).reshape(2, 1, 1)).numpy().ravel().tolist()
    [0.0, 1.0]
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
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
        self.height_factor = height_factor
        self.width_factor = width_factor
        self.height_lower, self.height_upper = within(self.name, "height_factor", height_factor, (-1, 1))
        self.width_lower, self.width_upper = within(self.name, "width_factor", width_factor, (-1, 1))

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        batch, shape = self._batch(data), tuple(images_of(data).shape)
        height, width = self._sides(shape)
        down = self._uniform((batch, 1), (self.height_lower, self.height_upper), seed) * float(height)
        right = self._uniform((batch, 1), (self.width_lower, self.width_upper), seed) * float(width)
        return {"translations": ops.concatenate([right, down], axis=1), "input_shape": shape}

    def _matrix(self, transformation: Any, shape: Any) -> Any:
        shifts = ops.convert_to_tensor(transformation["translations"])
        return rows_of_matrices(shifts.shape[0], 1.0, 0.0, -shifts[:, 0], 0.0, 1.0, -shifts[:, 1], 0.0, 0.0)

    def _moved(self, boxes: Any, transformation: Any, height: int, width: int) -> Any:
        shifts = ops.cast(transformation["translations"], "float32")
        moves = ops.concatenate([shifts, shifts], axis=1)
        return boxes + ops.expand_dims(moves, 1)

    def get_config(self) -> dict[str, Any]:
        factors = {"height_factor": self.height_factor, "width_factor": self.width_factor}
        return {**super().get_config(), **factors}


class RandomZoom(WarpLayer):
    """In training, zooms each image around its middle.

    Args:
        height_factor: By how much more of the height is seen, as a part of it: the ends of a range within
            -1..1, -1 excluded, or a number f for -f..f. Negative numbers zoom in, positive ones out.
        width_factor: The same for the width; None keeps the shapes undistorted.
        fill_mode: What lies outside: "reflect", "wrap", "constant" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: Integer; None draws one.
        fill_value: The number for "constant".
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they are zoomed with their images.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> zoom = layers.RandomZoom((-0.5, -0.5), (0.0, 0.0))
    >>> zoom(np.array([0.0, 1.0, 2.0]).reshape(3, 1, 1)).numpy().ravel().tolist()
    [0.5, 1.0, 1.5]
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
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
        self.height_factor = height_factor
        self.width_factor = width_factor
        self.height_lower, self.height_upper = self._part("height_factor", height_factor)
        if width_factor is not None:
            self.width_lower, self.width_upper = self._part("width_factor", width_factor)

    def _part(self, argument: str, value: Any) -> tuple[float, float]:
        return within(self.name, argument, value, (-1, 1), open_below=True)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        batch, shape = self._batch(data), tuple(images_of(data).shape)
        height = self._uniform((batch, 1), (1.0 + self.height_lower, 1.0 + self.height_upper), seed)
        width = height
        if self.width_factor is not None:
            width = self._uniform((batch, 1), (1.0 + self.width_lower, 1.0 + self.width_upper), seed)
        return {"height_zoom": height, "width_zoom": width, "input_shape": shape}

    def _matrix(self, transformation: Any, shape: Any) -> Any:
        height, width = self._sides(shape)
        across, down = (
            ops.reshape(ops.cast(transformation[name], "float32"), (-1,))
            for name in ("width_zoom", "height_zoom")
        )
        x, y = (1.0 - across) * ((width - 1) / 2.0), (1.0 - down) * ((height - 1) / 2.0)
        return rows_of_matrices(across.shape[0], across, 0.0, x, 0.0, down, y, 0.0, 0.0)

    def _moved(self, boxes: Any, transformation: Any, height: int, width: int) -> Any:
        across, down = _numbers(transformation["width_zoom"], transformation["height_zoom"])
        x, y = (1.0 - across) * ((width - 1) / 2.0), (1.0 - down) * ((height - 1) / 2.0)
        scale = ops.concatenate([across, down, across, down], axis=-1)
        return (boxes - ops.concatenate([x, y, x, y], axis=-1)) / scale

    def get_config(self) -> dict[str, Any]:
        factors = {"height_factor": self.height_factor, "width_factor": self.width_factor}
        return {**super().get_config(), **factors}


class RandomShear(WarpLayer):
    """In training, shears each image: rows move to the side, and columns up or down, by their distance.

    Args:
        x_factor: How far rows move for each row: the ends of a range within 0..1, or a number f for -f..f;
            with a random sign, shared by both directions.
        y_factor: How far columns move for each column, likewise.
        interpolation: "bilinear" or "nearest".
        fill_mode: What lies outside: "reflect", "wrap", "constant" or "nearest".
        fill_value: The number for "constant".
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        seed: Integer; None draws one.
        bounding_box_format: How boxes are given, if there are any; they become the boxes around the sheared
            ones.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> float(layers.RandomShear((0.5, 0.5))(np.ones((4, 4, 1))).numpy().min())
    1.0
    """

    def __init__(
        self,
        x_factor: Any = 0.0,
        y_factor: Any = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: Any = None,
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
        self.x_factor = within(self.name, "x_factor", x_factor, (0, 1))
        self.y_factor = within(self.name, "y_factor", y_factor, (0, 1))

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        batch, shape = self._batch(data), tuple(images_of(data).shape)
        sign = ops.where(self._uniform((batch, 1), (0.0, 1.0), seed) > 0.5, -1.0, 1.0)
        y = self._uniform((batch, 1), self.y_factor, seed)
        x = self._uniform((batch, 1), self.x_factor, seed)
        return {"shear_factor": ops.concatenate([x, y], axis=1) * sign, "input_shape": shape}

    def _matrix(self, transformation: Any, shape: Any) -> Any:
        shear = ops.convert_to_tensor(transformation["shear_factor"])
        return rows_of_matrices(shear.shape[0], 1.0, shear[:, 0], 0.0, shear[:, 1], 1.0, 0.0, 0.0, 0.0)

    def _moved(self, boxes: Any, transformation: Any, height: int, width: int) -> Any:
        shear = ops.convert_to_tensor(transformation["shear_factor"])
        x, y = _numbers(shear[:, 0], shear[:, 1])
        # The inverse of what pixels come from; rows and columns that fall together have none.
        area = 1.0 - x * y
        area = ops.where(ops.abs(area) < 1e-6, 1e-6, area)
        return affine(boxes, (1.0 / area, -x / area, 0.0 * x, -y / area, 1.0 / area, 0.0 * x))

    def get_config(self) -> dict[str, Any]:
        # What the signs of a single number were is in the range, which the constructor does not take back.
        return {**super().get_config(), "x_factor": _given(self.x_factor), "y_factor": _given(self.y_factor)}


def _given(factor: tuple[float, float]) -> Any:
    """What a range of shears was made of."""
    return factor[1] if factor[0] < 0 or factor == (0, 0) else factor
