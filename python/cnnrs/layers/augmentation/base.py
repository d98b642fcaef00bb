"""`BaseImagePreprocessingLayer`: what layers of augmentation have in common."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from cnnrs import ops, random
from cnnrs.layers.augmentation import boxes as bounding
from cnnrs.layers.augmentation.arguments import interval, range_of_values
from cnnrs.layers.base import Layer
from cnnrs.ops.spatial import image_data_format
from cnnrs.random import SeedGenerator

__all__ = ["BaseImagePreprocessingLayer", "ColorLayer", "RandomColorLayer", "RandomLayer"]


class BaseImagePreprocessingLayer(Layer):
    """The base of layers that transform images, and with them boxes, labels and segmentation masks.

    The layer takes images, or a dict with the keys "images" and, where there are any, "bounding_boxes"
    (itself a dict of "boxes" and "labels"), "labels" and "segmentation_masks"; one image or a batch of them.
    A subclass defines `get_random_transformation`, which draws what is to be done, and `transform_images` and
    its like, which do it: so images, boxes and masks are transformed alike.

    Args:
        factor: What some subclasses draw from: a number, or the ends of a range.
        bounding_box_format: How boxes are given: "xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", and
            the first four of these after "rel_" for parts of the image's size. None where there are no boxes.
        data_format: "channels_last" or "channels_first"; None takes the configured one.

    >>> import numpy as np
    >>> from cnnrs.layers.augmentation import BaseImagePreprocessingLayer
    >>> class Darker(BaseImagePreprocessingLayer):
    ...     def transform_images(self, images, transformation, training=True):
    ...         return images * 0.5
    >>> Darker()(np.ones((2, 2, 1))).numpy().ravel().tolist()
    [0.5, 0.5, 0.5, 0.5]
    """

    # Pixels of 0..255 want more than 16 bits while they are computed.
    _widens = True
    _USE_BASE_FACTOR = True
    _FACTOR_BOUNDS: tuple[float, float] = (-1, 1)

    def __init__(
        self,
        factor: Any = None,
        bounding_box_format: str | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.bounding_box_format = bounding_box_format
        self.data_format = image_data_format(data_format)
        if self._USE_BASE_FACTOR:
            self._set_factor(factor or 0.0)
        elif factor is not None:
            raise ValueError(f"{self.name}: factor: the layer takes none, received {factor!r}")
        self._build_at_init()

    def _set_factor(self, factor: Any) -> None:
        self.factor: Any = interval(self.name, "factor", factor, self._FACTOR_BOUNDS)

    def _set_value_range(self, value_range: Any) -> None:
        self.value_range: Any = range_of_values(self.name, value_range)

    # ---- what subclasses define

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Draws what is to be done with `data`: images, or a dict that holds them."""
        return None

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        """A batch of images, transformed."""
        raise NotImplementedError(f"{type(self).__name__}: expected the class to define transform_images")

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        """The labels of a batch, transformed."""
        raise NotImplementedError(f"{type(self).__name__}: expected the class to define transform_labels")

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        """The boxes of a batch, transformed: a dict of "boxes" and "labels"."""
        raise NotImplementedError(
            f"{type(self).__name__}: expected the class to define transform_bounding_boxes"
        )

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        """The segmentation masks of a batch, transformed."""
        raise NotImplementedError(
            f"{type(self).__name__}: expected the class to define transform_segmentation_masks"
        )

    # ---- single samples

    def transform_single_image(self, image: Any, transformation: Any, training: bool = True) -> Any:
        """One image, transformed."""
        images = ops.expand_dims(image, 0)
        return ops.squeeze(self.transform_images(images, transformation, training=training), 0)

    def transform_single_label(self, label: Any, transformation: Any, training: bool = True) -> Any:
        """The label of one image, transformed."""
        labels = ops.expand_dims(label, 0)
        return ops.squeeze(self.transform_labels(labels, transformation, training=training), 0)

    def transform_single_bounding_box(
        self, bounding_box: Any, transformation: Any, training: bool = True
    ) -> Any:
        """The boxes of one image, transformed."""
        several = {key: ops.expand_dims(value, 0) for key, value in bounding_box.items()}
        result = self.transform_bounding_boxes(several, transformation, training=training)
        return {key: ops.squeeze(value, 0) for key, value in result.items()}

    def transform_single_segmentation_mask(
        self, segmentation_mask: Any, transformation: Any, training: bool = True
    ) -> Any:
        """The segmentation mask of one image, transformed."""
        masks = ops.expand_dims(segmentation_mask, 0)
        result = self.transform_segmentation_masks(masks, transformation, training=training)
        return ops.squeeze(result, 0)

    # ---- the call

    def call(self, data: Any, training: bool = True) -> Any:
        images = images_of(data)
        if len(images.shape) not in (3, 4):
            raise ValueError(
                f"{self.name}: expected 3 axes for one image or 4 for a batch of them, "
                f"received shape {tuple(images.shape)}"
            )
        transformation = self.get_random_transformation(data, training=training)
        single = len(images.shape) == 3

        def transform(kind: str, value: Any) -> Any:
            name = f"transform_single_{kind}" if single else _PLURALS[kind]
            return getattr(self, name)(value, transformation=transformation, training=training)

        if not isinstance(data, dict):
            return transform("image", ops.convert_to_tensor(data))
        result = dict(data)
        result["images"] = transform("image", ops.convert_to_tensor(data["images"]))
        if "bounding_boxes" in data:
            if not self.bounding_box_format:
                raise ValueError(
                    f"{self.name}: bounding_box_format: expected the format of the bounding boxes that were "
                    "given, as 'xyxy', received None"
                )
            result["bounding_boxes"] = transform("bounding_box", bounding.dense(data["bounding_boxes"]))
        if "labels" in data:
            result["labels"] = transform("label", ops.convert_to_tensor(data["labels"]))
        if "segmentation_masks" in data:
            masks = ops.convert_to_tensor(data["segmentation_masks"])
            result["segmentation_masks"] = transform("segmentation_mask", masks)
        return result

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "data_format": self.data_format}
        if self.bounding_box_format is not None:
            config["bounding_box_format"] = self.bounding_box_format
        return config

    @property
    def backend(self) -> Any:
        """What Keras's own layers compute with: `backend.numpy`, `backend.nn`, `backend.image`, and so on."""
        return _BACKEND

    # ---- helpers

    def _floats(self, images: Any) -> Any:
        """Images in the type in which all is computed: float32, unless the layer's own has more bits."""
        return ops.cast(images, "float64" if self.compute_dtype == "float64" else "float32")

    def _shaped(self, values: Any) -> Any:
        """Numbers of shape (batch,), with axes to meet images."""
        values = ops.convert_to_tensor(values)
        return ops.reshape(values, (*values.shape, *([1] * (4 - len(values.shape)))))

    def _sides(self, shape: Any) -> tuple[int, int]:
        """Height and width in a shape of images."""
        return (shape[-2], shape[-1]) if self.data_format == "channels_first" else (shape[-3], shape[-2])

    def _convert(
        self, bounding_boxes: Any, source: str | None, target: str | None, height: Any, width: Any
    ) -> Any:
        """Boxes in another format."""
        boxes = bounding.convert_format(
            bounding_boxes["boxes"], str(source), str(target), height=height, width=width
        )
        return {**bounding_boxes, "boxes": boxes}


_BACKEND = SimpleNamespace(
    name="cnnrs",
    numpy=ops,
    core=ops,
    nn=ops.nn,
    image=ops.image,
    random=random,
    cast=ops.cast,
    convert_to_tensor=ops.convert_to_tensor,
    shape=ops.shape,
    is_tensor=ops.is_tensor,
)
_PLURALS = {
    "image": "transform_images",
    "label": "transform_labels",
    "bounding_box": "transform_bounding_boxes",
    "segmentation_mask": "transform_segmentation_masks",
}


def images_of(data: Any) -> Any:
    """The images among what a layer was given."""
    return data["images"] if isinstance(data, dict) else data


def rescaled(images: Any, source: Any, target: Any) -> Any:
    """Images whose values lie in another range."""
    if tuple(source) == tuple(target):
        return images
    scale = (target[1] - target[0]) / (source[1] - source[0])
    return (images - float(source[0])) * float(scale) + float(target[0])


class ColorLayer(BaseImagePreprocessingLayer):
    """A layer that changes the values of pixels, and leaves boxes, labels and masks alone."""

    _USE_BASE_FACTOR = False

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        return labels

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        return bounding_boxes

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return segmentation_masks


class RandomLayer(BaseImagePreprocessingLayer):
    """A layer with a random generator, which leaves labels alone.

    Args:
        seed: Integer; None draws one.
    """

    _USE_BASE_FACTOR = False

    def __init__(self, seed: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = SeedGenerator(seed)

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        return labels

    def _batch(self, data: Any) -> int:
        """How many images there are."""
        shape = images_of(data).shape
        if len(shape) not in (3, 4):
            raise ValueError(
                f"{self.name}: expected 3 axes for one image or 4 for a batch of them, "
                f"received shape {tuple(shape)}"
            )
        return 1 if len(shape) == 3 else int(shape[0])

    def _uniform(self, shape: Any, ends: Any, seed: Any = None) -> Any:
        """Draws from a range, of the layer's own generator unless another seed is given."""
        low, high = map(float, ends)
        seed = self.generator if seed is None else seed
        return random.uniform(tuple(shape), low, high, seed=seed)

    def _chosen(self, batch: int, factor: Any, seed: Any = None) -> Any:
        """Which images are changed: of shape (batch,), each with a probability from the range `factor`."""
        probability = self._uniform((batch,), (factor[0], factor[1]), seed)
        return self._uniform((batch,), (0.0, 1.0), seed) < probability

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


class RandomColorLayer(ColorLayer, RandomLayer):
    """A random layer that changes the values of pixels."""
