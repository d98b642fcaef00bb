"""`Mosaic`: four images of a batch in one."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.layers.augmentation import points
from cnnrs.layers.augmentation.arguments import ordered, within
from cnnrs.layers.augmentation.base import images_of
from cnnrs.layers.augmentation.mixing import Mix

__all__ = ["Mosaic"]


class Mosaic(Mix):
    """In training, puts four images of the batch together, which meet in a random point.

    Bochkovskiy, Wang and Liao 2020, "YOLOv4: Optimal speed and accuracy of object detection",
    arXiv:2004.10934, section 3.2: each image is the upper left one of a picture, and three others of the
    batch are at its side, of which the parts nearest to the common point are seen. Boxes and key points of
    all four stay, four times as many as before; labels are mixed by the areas.

    Args:
        offset: The range of the common point's place, as parts of width and height.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any.

    Example:

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> data = {"images": np.arange(4.0).reshape(4, 1, 1, 1) * np.ones((1, 8, 8, 3)), "labels": np.eye(4)}
    >>> mosaic = layers.Mosaic(seed=2)(data)
    >>> mosaic["images"].shape, mosaic["labels"].numpy().sum(axis=1).round(4).tolist()
    ((4, 8, 8, 3), [1.0, 1.0, 1.0, 1.0])
    """

    def __init__(
        self, offset: Any = (0.25, 0.75), seed: Any = None, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.offset = within(self.name, "offset", offset, (0, 1), from_zero=True)
        ordered(self.name, "offset", offset)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        shape = tuple(images_of(data).shape)
        batch = self._batch(data)
        # There are no others beside a single image.
        if not training or batch == 1:
            return None
        height, width = self._sides(shape)
        others = [self._permutation(batch, seed) for _ in range(3)]
        place = self._uniform((batch, 2), self.offset, seed)
        return {
            # Of each picture the images at the upper left and right, and at the lower left and right.
            "images": ops.stack([ops.cast(ops.arange(batch), "int32"), *others], axis=1),
            "x": ops.round(place[:, 0] * float(width)),
            "y": ops.round(place[:, 1] * float(height)),
            "input_shape": shape,
        }

    def _weights(self, transformation: Any) -> Any:
        """The parts of the area that the four images have, of shape (batch, 4)."""
        height, width = self._sides(transformation["input_shape"])
        x, y = transformation["x"] / float(width), transformation["y"] / float(height)
        return ops.stack([x * y, (1.0 - x) * y, x * (1.0 - y), (1.0 - x) * (1.0 - y)], axis=1)

    def _together(self, images: Any, transformation: Any) -> Any:
        first = self.data_format == "channels_first"
        x = ops.transpose(images, (0, 2, 3, 1)) if first else images
        batch, height, width, channels = x.shape
        right = ops.reshape(ops.cast(transformation["x"], "int32"), (-1, 1, 1))
        down = ops.reshape(ops.cast(transformation["y"], "int32"), (-1, 1, 1))
        rows = np.arange(height, dtype=np.int32).reshape(1, -1, 1)
        columns = np.arange(width, dtype=np.int32).reshape(1, 1, -1)
        lower, beside = ops.greater_equal(rows, down), ops.greater_equal(columns, right)
        of = [ops.reshape(transformation["images"][:, i], (-1, 1, 1)) for i in range(4)]
        image = ops.where(lower, ops.where(beside, of[3], of[2]), ops.where(beside, of[1], of[0]))
        # Each image ends or begins at the common point.
        place = (image * height + (rows - down) % height) * width + (columns - right) % width
        found = ops.take(ops.reshape(x, (batch * height * width, channels)), place, axis=0)
        return ops.transpose(found, (0, 3, 1, 2)) if first else found

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._floats(images)
        return self._together(images, transformation) if training and transformation is not None else images

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        masks = ops.convert_to_tensor(segmentation_masks)
        return self._together(masks, transformation) if training and transformation is not None else masks

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        if not training or transformation is None:
            return labels
        labels = self._shares(labels)
        weights = self._weights(transformation)
        mixed: Any = 0.0
        for i in range(4):
            weight = ops.reshape(weights[:, i], (-1, *([1] * (len(labels.shape) - 1))))
            mixed = mixed + weight * ops.take(labels, transformation["images"][:, i], axis=0)
        return mixed

    def _quarters(self, transformation: Any) -> list[tuple[Any, Any, Any]]:
        """Of each of the four images its places in the batch, and by how much it is shifted."""
        height, width = self._sides(transformation["input_shape"])
        x, y = (ops.reshape(transformation[name], (-1, 1, 1)) for name in ("x", "y"))
        shifts = [(x - width, y - height), (x, y - height), (x - width, y), (x, y)]
        return [(transformation["images"][:, i], *shift) for i, shift in enumerate(shifts)]

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training or transformation is None:
            return bounding_boxes
        height, width = self._sides(transformation["input_shape"])
        given = self._convert(bounding_boxes, self.bounding_box_format, "xyxy", height, width)
        boxes, labels = [], []
        for images, right, down in self._quarters(transformation):
            moved = ops.take(given["boxes"], images, axis=0)
            moved = moved + ops.concatenate([right, down, right, down], axis=-1)
            own = ops.take(ops.convert_to_tensor(given["labels"]), images, axis=0)
            part = self._clipped({"boxes": moved, "labels": own}, height, width)
            boxes.append(part["boxes"])
            labels.append(part["labels"])
        joined = {"boxes": ops.concatenate(boxes, axis=1), "labels": ops.concatenate(labels, axis=1)}
        return self._convert({**given, **joined}, "xyxy", self.bounding_box_format, height, width)

    def transform_keypoints(self, keypoints: Any, transformation: Any, training: bool = True) -> Any:
        if not training or transformation is None:
            return keypoints
        height, width = self._sides(transformation["input_shape"])
        parts = []
        for images, right, down in self._quarters(transformation):
            own = ops.take(keypoints, images, axis=0)
            parts.append(points.placed(own, own[..., 0:1] + right, own[..., 1:2] + down, height, width))
        return ops.concatenate(parts, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "offset": self.offset}
