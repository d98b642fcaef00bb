"""A layer for the number of bounding boxes."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.arguments import positive
from cnnrs.layers.augmentation.base import ColorLayer

__all__ = ["MaxNumBoundingBoxes"]


class MaxNumBoundingBoxes(ColorLayer):
    """Brings the boxes of all images to one number: the first ones stay, and what is missing is filled.

    Args:
        max_number: How many boxes each image has then.
        fill_value: What added boxes and labels hold.
        bounding_box_format: How boxes are given.
        data_format: "channels_last" or "channels_first"; None takes the configured one.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> boxes = {"boxes": np.ones((1, 1, 4)), "labels": np.ones((1, 1))}
    >>> layer = layers.MaxNumBoundingBoxes(2, bounding_box_format="xyxy")
    >>> layer({"images": np.ones((1, 4, 4, 3)), "bounding_boxes": boxes})["bounding_boxes"]["labels"].tolist()
    [[1.0, -1.0]]
    """

    def __init__(self, max_number: int, fill_value: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.max_number = positive(int(max_number), self.name, "max_number")
        self.fill_value = int(fill_value)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        return images

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        boxes, labels = (ops.convert_to_tensor(bounding_boxes[name]) for name in ("boxes", "labels"))
        missing = max(self.max_number - boxes.shape[1], 0)

        def brought(x: Any) -> Any:
            widths = [[0, 0], [0, missing]] + [[0, 0]] * (len(x.shape) - 2)
            return ops.pad(x[:, : self.max_number], widths, constant_values=self.fill_value)

        return {**bounding_boxes, "boxes": brought(boxes), "labels": brought(labels)}

    def compute_output_shape(self, input_shape: Any) -> Any:
        if not isinstance(input_shape, dict) or "bounding_boxes" not in input_shape:
            return input_shape
        shapes = input_shape["bounding_boxes"]
        extra = sorted(set(shapes) - {"boxes", "labels"})
        if extra:
            raise KeyError(
                f"{self.name}: bounding_boxes: expected 'boxes' and 'labels', received also {extra}"
            )
        brought = {name: (shape[0], self.max_number, *shape[2:]) for name, shape in shapes.items()}
        return {**input_shape, "bounding_boxes": brought}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_number": self.max_number, "fill_value": self.fill_value}
