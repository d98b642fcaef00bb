"""Layers that mix the images of a batch with each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops, random
from cnnrs.base import image_steps
from cnnrs.layers.augmentation import boxes as bounding
from cnnrs.layers.augmentation import points
from cnnrs.layers.augmentation.base import RandomLayer, images_of
from cnnrs.layers.augmentation.erasing import BoxLayer

__all__ = ["CutMix", "Mix", "MixUp"]


def _order(batch: int, draws: Any) -> Any:
    """A random order of a batch: the ranks of random numbers."""
    earlier = ops.expand_dims(draws, 0) < ops.expand_dims(draws, 1)
    places = np.arange(batch)
    same = ops.expand_dims(draws, 0) == ops.expand_dims(draws, 1)
    tie = ops.logical_and(same, ops.convert_to_tensor(places[None, :] < places[:, None]))
    return ops.sum(ops.cast(ops.logical_or(earlier, tie), "int32"), axis=1)


class Mix(RandomLayer):
    """A layer that joins each image with another one of the batch."""

    def call(self, data: Any, training: bool = True) -> Any:
        if isinstance(data, tuple):
            raise TypeError(
                f"{self.name}: expected images, or a dict with 'images', received a tuple; labels are mixed, "
                "too: data.map(lambda x, y: layer({'images': x, 'labels': y})) with one-hot labels, or "
                "fit(data, batch_augmentation=layer) with any"
            )
        shape = tuple(images_of(data).shape)
        # One image by itself stays as it is, as in Keras; over a data set that would be a mistake.
        if training and image_steps.current() is not None and len(shape) == 3:
            raise ValueError(
                f"{self.name}: expected a batch of images, with 4 axes, to mix them with each other, "
                f"received one image of shape {shape}; map it behind batch: data.batch(32).map(...)"
            )
        return super().call(data, training=training)

    def mixing(self, shape: Any) -> tuple[Any, Any, Any]:
        """Draws how a batch is to be mixed.

        Args:
            shape: That of the batch, with a first axis of samples.

        Returns:
            The places of the samples that are mixed in, of shape (batch,); the weights of the samples that
            were there, of shape (batch,); and those of their elements, of a shape that broadcasts to `shape`.
        """
        raise NotImplementedError(f"{type(self).__name__}: expected the class to define mixing")

    def _permutation(self, batch: int, seed: Any) -> Any:
        return _order(batch, self._uniform((batch,), (0.0, 1.0), seed))

    def _beta(self, batch: int, alpha: Any, seed: Any) -> Any:
        return random.beta((batch,), alpha, alpha, seed=self.generator if seed is None else seed)

    def _mixed(self, x: Any, transformation: Any, rank: int = 0) -> Any:
        """`x`, with at least `rank` axes, and the entries of other images, by their weights."""
        x = ops.convert_to_tensor(x)
        weight = ops.cast(transformation["mix_weight"], "float32")
        weight = ops.reshape(weight, (-1, *([1] * (max(len(x.shape), rank) - 1))))
        other = ops.take(x, transformation["permutation_order"], axis=0)
        return weight * ops.cast(x, "float32") + (1.0 - weight) * ops.cast(other, "float32")

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        if not training or transformation is None:
            return labels
        return self._mixed(self._shares(labels), transformation)

    def _shares(self, labels: Any) -> Any:
        """Labels whose sums mean something, as float32: one-hot ones, or numbers.

        Raises:
            ValueError: They are numbers of classes.
        """
        labels = ops.convert_to_tensor(labels)
        shape = tuple(labels.shape)
        if "int" in labels.dtype and (len(shape) < 2 or shape[-1] == 1):
            raise ValueError(
                f"{self.name}: labels: expected one-hot labels, or floats, received {labels.dtype} of shape "
                f"{shape}: between two classes lies no third one; ops.one_hot(labels, classes) makes them"
            )
        return ops.cast(labels, "float32")


class MixUp(Mix):
    """In training, adds to each image another one of the batch, and likewise to its label.

    `model.fit(x, y, batch_augmentation=layers.MixUp())` mixes whole batches, with labels of any kind.

    Zhang et al. 2018, "mixup: Beyond empirical risk minimization", arXiv:1710.09412.

    Args:
        alpha: Of the beta distribution from which the weights are drawn, a number > 0: the larger, the more
            images are mixed.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        seed: Integer; None draws one.
        bounding_box_format: How boxes are given, if there are any: those of both images stay.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> data = {"images": np.ones((4, 2, 2, 3)), "labels": np.eye(4)}
    >>> mixed = layers.MixUp(seed=1)(data)
    >>> mixed["images"].shape, mixed["labels"].numpy().sum(axis=1).round(4).tolist()
    ((4, 2, 2, 3), [1.0, 1.0, 1.0, 1.0])
    """

    def __init__(self, alpha: float = 0.2, data_format: str | None = None, seed: Any = None, **kwargs: Any):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or alpha <= 0:
            raise ValueError(f"{self.name}: alpha: expected a number > 0, received {alpha!r}")
        self.alpha = alpha

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return self._drawn(self._batch(data), seed)

    def _drawn(self, batch: int, seed: Any) -> dict[str, Any]:
        return {
            "mix_weight": self._beta(batch, self.alpha, seed),
            "permutation_order": self._permutation(batch, seed),
        }

    def mixing(self, shape: Any) -> tuple[Any, Any, Any]:
        drawn = self._drawn(int(shape[0]), None)
        weight = drawn["mix_weight"]
        return drawn["permutation_order"], weight, ops.reshape(weight, (-1, *[1] * (len(shape) - 1)))

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        return self._mixed(images, transformation, 4) if training else self._floats(images)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return self._mixed(segmentation_masks, transformation) if training else segmentation_masks

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training:
            return bounding_boxes
        order = transformation["permutation_order"]

        def both(values: Any) -> Any:
            values = ops.convert_to_tensor(values)
            return ops.concatenate([values, ops.take(values, order, axis=0)], axis=min(1, values.ndim - 1))

        return {**bounding_boxes, **{key: both(bounding_boxes[key]) for key in ("boxes", "labels")}}

    def transform_keypoints(self, keypoints: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return keypoints
        other = ops.take(keypoints, transformation["permutation_order"], axis=0)
        return ops.concatenate([keypoints, other], axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


class CutMix(Mix, BoxLayer):
    """In training, puts a box of another image of the batch into each, and mixes the labels by its area.

    `model.fit(x, y, batch_augmentation=layers.CutMix())` mixes whole batches, with labels of any kind.

    Yun et al. 2019, "CutMix: Regularization strategy to train strong classifiers", arXiv:1905.04899.

    Args:
        factor: The range within 0..1 from which the parameter of the beta distribution of the areas is
            drawn; a number f stands for 0..f.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any: those of both images stay as far as they
            are seen, twice as many as before.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> data = {"images": np.ones((4, 8, 8, 3)), "labels": np.eye(4)}
    >>> cut = layers.CutMix(seed=1)(data)
    >>> cut["images"].shape, cut["labels"].numpy().sum(axis=1).round(4).tolist()
    ((4, 8, 8, 3), [1.0, 1.0, 1.0, 1.0])
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(self, factor: Any = 1.0, seed: Any = None, data_format: str | None = None, **kwargs: Any):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self._set_factor(factor)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        shape = tuple(images_of(data).shape)
        self._batch(data)
        return self._drawn(shape, seed) if training and len(shape) == 4 else None

    def _drawn(self, shape: Any, seed: Any) -> dict[str, Any]:
        batch = int(shape[0])
        height, width = self._sides(shape)
        alpha = self._uniform((), self.factor, seed) + 1e-6
        part = ops.sqrt(1.0 - self._beta(batch, alpha, seed))
        x0, x1 = self._bounds(batch, width, part, seed)
        y0, y1 = self._bounds(batch, height, part, seed)
        return {
            "permutation_order": self._permutation(batch, seed),
            "corners": (x0, x1, y0, y1),
            "batch_masks": self._boxes(shape, (x0, x1, y0, y1)),
            "mix_weight": 1.0 - (x1 - x0) * (y1 - y0) / float(width * height),
            "input_shape": tuple(shape),
        }

    def mixing(self, shape: Any) -> tuple[Any, Any, Any]:
        if len(shape) != 4:
            raise ValueError(
                f"{self.name}: expected a batch of images, with 4 axes, received shape {tuple(shape)}"
            )
        drawn = self._drawn(shape, None)
        stays = 1.0 - ops.cast(drawn["batch_masks"], "float32")
        # Labels count as the pixels do, which boxes take up as a whole.
        return drawn["permutation_order"], ops.mean(stays, axis=(1, 2, 3)), stays

    def _pasted(self, x: Any, transformation: Any) -> Any:
        other = ops.take(x, transformation["permutation_order"], axis=0)
        return ops.where(ops.convert_to_tensor(transformation["batch_masks"]), other, x)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._floats(images)
        return self._pasted(images, transformation) if training and transformation is not None else images

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        masks = ops.convert_to_tensor(segmentation_masks)
        return self._pasted(masks, transformation) if training and transformation is not None else masks

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training or transformation is None:
            return bounding_boxes
        height, width = self._sides(transformation["input_shape"])
        given = self._convert(bounding_boxes, self.bounding_box_format, "xyxy", height, width)
        # Of the box that is put in, the pixels whose numbers lie within its corners.
        x0, x1, y0, y1 = (ops.reshape(ops.ceil(corner), (-1, 1, 1)) for corner in transformation["corners"])
        window = bounding.together(x0, y0, x1, y1)
        order = transformation["permutation_order"]
        own, own_area = bounding.seen_beside(given["boxes"], window)
        other = ops.take(given["boxes"], order, axis=0)
        put, put_area = bounding.seen_within(other, window)
        labels = ops.convert_to_tensor(given["labels"])
        joined = {
            "boxes": ops.concatenate([own, put], axis=1),
            "labels": ops.concatenate(
                [
                    self._seen(labels, own_area, bounding.areas(given["boxes"])),
                    self._seen(ops.take(labels, order, axis=0), put_area, bounding.areas(other)),
                ],
                axis=1,
            ),
        }
        return self._convert({**given, **joined}, "xyxy", self.bounding_box_format, height, width)

    def _seen(self, labels: Any, area: Any, whole: Any) -> Any:
        """Labels of boxes of which this area is seen: -1 where nothing is, or too little."""
        return bounding.marked(labels, ops.logical_and(area > 0, area >= self.min_visibility * whole))

    def transform_keypoints(self, keypoints: Any, transformation: Any, training: bool = True) -> Any:
        if not training or transformation is None:
            return keypoints
        x0, x1, y0, y1 = (ops.reshape(corner, (-1, 1, 1)) for corner in transformation["corners"])
        other = ops.take(keypoints, transformation["permutation_order"], axis=0)

        def within(of: Any) -> Any:
            x, y = ops.round(of[..., 0:1]), ops.round(of[..., 1:2])
            across = ops.logical_and(x >= x0, x < x1)
            return ops.logical_and(across, ops.logical_and(y >= y0, y < y1))

        shown = points.kept(other, within(other))
        return ops.concatenate([points.kept(keypoints, ops.logical_not(within(keypoints))), shown], axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}
