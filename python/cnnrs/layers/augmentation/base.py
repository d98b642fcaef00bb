"""`BaseImagePreprocessingLayer`: what layers of augmentation have in common."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any, cast

from cnnrs import ops, random
from cnnrs.base import image_steps
from cnnrs.base.arguments import number
from cnnrs.layers.augmentation import boxes as bounding
from cnnrs.layers.augmentation import points
from cnnrs.layers.augmentation.arguments import interval, range_of_values
from cnnrs.layers.base import Layer
from cnnrs.ops.spatial import image_data_format
from cnnrs.random import SeedGenerator

__all__ = ["BaseImagePreprocessingLayer", "ColorLayer", "RandomColorLayer", "RandomLayer"]


class BaseImagePreprocessingLayer(Layer):
    """The base of layers that transform images, and with them boxes, labels and segmentation masks.

    The layer takes images, or a dict with the keys "images" and, where there are any, "bounding_boxes"
    (itself a dict of "boxes" and "labels"), "labels", "segmentation_masks" and "keypoints"; one image or a
    batch of them. Masks may lack the axis of channels. A subclass defines `get_random_transformation`, which
    draws what is to be done, and `transform_images` and its like, which do it: so all of them are transformed
    alike.

    Key points have the shape (points, 2) or (batch, points, 2): columns and rows of the pixels in whose
    middles they lie. A third number says whether a point is visible. Points that leave the picture become
    (-1, -1), and invisible: 0.

    Args:
        factor: What some subclasses draw from: a number, or the ends of a range.
        bounding_box_format: How boxes are given: "xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", and
            the first four of these after "rel_" for parts of the image's size. None where there are no boxes.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        min_visibility: The part of a box, from 0 to 1, that has to stay in the picture: the label of one of
            which less is left becomes -1, as that of one that is gone.

    >>> import numpy as np
    >>> from cnnrs.layers.augmentation import BaseImagePreprocessingLayer
    >>> class Darker(BaseImagePreprocessingLayer):
    ...     def transform_images(self, images, transformation, training=True):
    ...         return images * 0.5
    >>> Darker()(np.ones((2, 2, 1))).numpy().ravel().tolist()
    [0.5, 0.5, 0.5, 0.5]
    """

    _batches_lists = True
    # Pixels of 0..255 want more than 16 bits while they are computed.
    _widens = True
    # Whether images of bytes stay bytes, instead of becoming floats.
    _keeps_bytes = False
    _USE_BASE_FACTOR = True
    _FACTOR_BOUNDS: tuple[float, float] = (-1, 1)

    def __init__(
        self,
        factor: Any = None,
        bounding_box_format: str | None = None,
        data_format: str | None = None,
        min_visibility: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if bounding_box_format is not None and bounding_box_format not in bounding.FORMATS:
            raise ValueError(
                f"{self.name}: bounding_box_format: expected None or one of "
                f"{', '.join(map(repr, bounding.FORMATS))}, received {bounding_box_format!r}"
            )
        self.bounding_box_format = bounding_box_format
        self.min_visibility = number(min_visibility, self.name, "min_visibility", least=0, most=1)
        self.data_format = image_data_format(data_format, self.name)
        if self._USE_BASE_FACTOR:
            self._set_factor(factor or 0.0)
        elif factor is not None:
            raise ValueError(f"{self.name}: factor: the layer takes none, received {factor!r}")
        self._build_at_init()

    def _set_factor(self, factor: Any) -> None:
        self.factor: Any = interval(self.name, "factor", factor, self._FACTOR_BOUNDS)

    def _set_value_range(self, value_range: Any) -> None:
        self.value_range: Any = range_of_values(self.name, value_range)

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        """What `transform_images` does to images of a shape, as steps of the core; None if there are none.

        No step at all means that nothing is done.
        """
        return None

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

    def transform_keypoints(self, keypoints: Any, transformation: Any, training: bool = True) -> Any:
        """The key points of a batch, of shape (batch, points, 2 or 3), transformed."""
        moved = self._moved_points(keypoints[..., 0:1], keypoints[..., 1:2], transformation, training)
        return keypoints if moved is None else points.placed(keypoints, *moved)

    def _moved_points(self, x: Any, y: Any, transformation: Any, training: bool) -> Any:
        """Where points go that lie at columns x and rows y, and the height and width of the result.

        None says that they stay.
        """
        raise NotImplementedError(f"{type(self).__name__}: expected the class to define transform_keypoints")

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

    def transform_single_keypoint(self, keypoint: Any, transformation: Any, training: bool = True) -> Any:
        """The key points of one image, transformed."""
        several = ops.expand_dims(keypoint, 0)
        return ops.squeeze(self.transform_keypoints(several, transformation, training=training), 0)

    # ---- the call

    def call(self, data: Any, training: bool = True) -> Any:
        if isinstance(data, tuple):
            raise TypeError(
                f"{self.name}: expected images, or a dict with 'images', received a tuple; of pairs, say "
                "data.map(lambda x, y: (layer(x), y))"
            )
        images = images_of(data)
        if len(images.shape) not in (3, 4):
            raise ValueError(
                f"{self.name}: expected 3 axes for one image or 4 for a batch of them, "
                f"received shape {tuple(images.shape)}"
            )
        transformation = self.get_random_transformation(data, training=training)
        single = len(images.shape) == 3

        def transform(kind: str, value: Any) -> Any:
            if kind == "image":
                mapped = self._mapped(value, transformation, training)
                if mapped is not None:
                    return mapped
            name = f"transform_single_{kind}" if single else _PLURALS[kind]
            return getattr(self, name)(value, transformation=transformation, training=training)

        if not isinstance(data, dict):
            unsized = isinstance(data, image_steps.UnsizedImage)
            return transform("image", data if unsized else ops.convert_to_tensor(data))
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
            result["segmentation_masks"] = self._masks(
                masks, tuple(images.shape), lambda given: transform("segmentation_mask", given)
            )
        if "keypoints" in data:
            given = points.checked(self.name, data["keypoints"], single)
            result["keypoints"] = transform("keypoint", given)
        return result

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "data_format": self.data_format}
        if self.bounding_box_format is not None:
            config["bounding_box_format"] = self.bounding_box_format
        if self.min_visibility:
            config["min_visibility"] = self.min_visibility
        return config

    @property
    def backend(self) -> Any:
        """What Keras's own layers compute with: `backend.numpy`, `backend.nn`, `backend.image`, and so on."""
        return _BACKEND

    # ---- helpers

    def _masks(self, masks: Any, images: tuple[Any, ...], transform: Any) -> Any:
        """Masks transformed; those without an axis of channels get one for that time."""
        shape, axis = tuple(masks.shape), -3 if self.data_format == "channels_first" else -1
        bare = len(shape) == len(images) - 1
        if bare:
            masks = ops.expand_dims(masks, axis)
        given, wanted = tuple(masks.shape), self._sides(images)
        fits = len(given) == len(images) and all(
            a is None or b is None or a == b
            for a, b in zip((*given[:-3], *self._sides(given)), (*images[:-3], *wanted), strict=True)
        )
        if not fits:
            raise ValueError(
                f"{self.name}: segmentation_masks: expected the height and width of the images, with or "
                f"without an axis of channels, received shape {shape} for images of shape {images}"
            )
        result = transform(masks)
        return ops.squeeze(result, axis) if bare else result

    def _mapped(self, images: Any, transformation: Any, training: bool) -> Any:
        """Images transformed by steps of the core, in a function that a data set maps; else None."""
        collector, kind = image_steps.current(), cast(Any, type(self))
        if collector is None or self.compute_dtype == "float64" or not _has_steps(kind):
            return None
        steps = self._steps(transformation, tuple(images.shape), training)
        if not steps:
            return None
        if self._keeps_bytes and images.dtype == "uint8":
            steps = [*steps, image_steps.Step("round")]
        return collector.add(images, steps, self.data_format == "channels_first")

    def _color_steps(self, shape: Any, training: bool, step: Any) -> Any:
        """A step that needs three colours."""
        if not training:
            return []
        return [step] if shape[-3 if self.data_format == "channels_first" else -1] == 3 else None

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

    def _clipped(self, given: Any, height: Any, width: Any) -> Any:
        """Boxes as "xyxy", cut off at the borders; labels of those of which too little is left become -1."""
        clipped = bounding.clip_to_image_size(given, height, width)
        labels = clipped.get("labels")
        if labels is None or not self.min_visibility:
            return clipped
        enough = bounding.areas(clipped["boxes"]) >= self.min_visibility * bounding.areas(given["boxes"])
        return {**clipped, "labels": bounding.marked(labels, enough)}

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
    "keypoint": "transform_keypoints",
}


@functools.cache
def _has_steps(kind: Any) -> bool:
    """Whether steps say what the class does: not if a subclass has changed that."""

    def depth(name: str) -> int:
        return next(i for i, base in enumerate(kind.__mro__) if name in vars(base))

    return depth("_steps") <= depth("transform_images")


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

    def _moved_points(self, x: Any, y: Any, transformation: Any, training: bool) -> Any:
        return None


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
