"""Layers that choose among the other layers of augmentation."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops, random
from cnnrs.base import context
from cnnrs.base.arguments import integer
from cnnrs.base.image_steps import Step
from cnnrs.layers.augmentation.arguments import MOST_LAYERS
from cnnrs.layers.augmentation.base import RandomLayer
from cnnrs.layers.augmentation.brightness import (
    AutoContrast,
    RandomBrightness,
    RandomContrast,
    RandomPosterization,
    RandomSharpness,
    Solarization,
)
from cnnrs.layers.augmentation.colors import RandomColorDegeneration
from cnnrs.layers.augmentation.histograms import Equalization
from cnnrs.layers.augmentation.warps import RandomRotation, RandomShear, RandomTranslation

__all__ = ["COLORS", "GEOMETRY", "VALUES", "Policy", "RandAugment"]

GEOMETRY = ["random_shear", "random_translation", "random_rotation"]
COLORS = ["random_brightness", "random_color_degeneration", "random_contrast", "random_sharpness"]
VALUES = ["random_posterization", "solarization", "auto_contrast", "equalization"]


class Policy(RandomLayer):
    """A layer that has one of each kind."""

    _FACTOR_BOUNDS = (0, 1)

    def __init__(self, *, value_range: Any, factor: Any, interpolation: str, **kwargs: Any):
        super().__init__(**kwargs)
        self._set_value_range(value_range)
        self._set_factor(factor)
        self.interpolation = interpolation

    def _make_layers(self) -> None:
        common: dict[str, Any] = {
            "data_format": self.data_format,
            "bounding_box_format": self.bounding_box_format,
        }
        drawn = {**common, "seed": self.seed}
        moving = {**drawn, "interpolation": self.interpolation}
        factor, values = self.factor, {"value_range": self.value_range}
        bits = max(1, int(8 * factor[1]))
        self.random_shear = RandomShear(x_factor=factor, y_factor=factor, **moving)
        self.random_translation = RandomTranslation(factor, factor, **moving)
        self.random_rotation = RandomRotation(factor, **moving)
        self.random_brightness = RandomBrightness(factor, **values, **drawn)
        self.random_color_degeneration = RandomColorDegeneration(factor, **values, **drawn)
        self.random_contrast = RandomContrast(factor, **values, **drawn)
        self.random_sharpness = RandomSharpness(factor, **values, **drawn)
        self.random_posterization = RandomPosterization(bits, **values, **drawn)
        self.solarization = Solarization(factor, factor, **values, **drawn)
        self.auto_contrast = AutoContrast(**values, **common)
        self.equalization = Equalization(**values, **common)

    def _draw(self, name: str, data: Any) -> Any:
        """What a layer is to do."""
        return getattr(self, name).get_random_transformation(data, seed=self.generator)

    def _choice(self, index: Any, transforms: dict[str, Any], shape: Any) -> Any:
        """A step that does what the layer of an index does; None if one of them has no steps."""
        parts = [getattr(self, name)._steps(drawn, shape, True) for name, drawn in transforms.items()]
        return None if None in parts else Step("choose", (), [index], parts)

    def get_config(self) -> dict[str, Any]:
        names = ("value_range", "factor", "interpolation")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class RandAugment(Policy):
    """In training, applies some layers that are drawn anew for each batch.

    Cubuk et al. 2020, "RandAugment: Practical automated data augmentation", arXiv:1909.13719.

    Args:
        value_range: The least and the largest value of pixels.
        num_ops: How many layers are applied, one after another.
        factor: How strong they are, within 0..1.
        interpolation: "bilinear" or "nearest", of those that move pixels.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they move with their images.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.RandAugment(seed=1)(np.zeros((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    _AUGMENT_LAYERS = [*GEOMETRY, *COLORS, *VALUES]

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_ops: int = 2,
        factor: Any = 0.5,
        interpolation: str = "bilinear",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            value_range=value_range,
            factor=factor,
            interpolation=interpolation,
            seed=seed,
            data_format=data_format,
            **kwargs,
        )
        self.num_ops = integer(num_ops, self.name, "num_ops", least=0, most=MOST_LAYERS)
        self._make_layers()

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        indices = random.randint((self.num_ops,), 0, len(self._AUGMENT_LAYERS), seed=self.generator)
        transforms = {name: self._draw(name, data) for name in self._AUGMENT_LAYERS}
        return {"transforms": transforms, "layer_idxes": indices}

    def _applied(self, x: Any, transformation: Any, apply: Any) -> Any:
        """`x` after the drawn layers: `apply(layer, x, transformation)` of one after another.

        Where values can be read, just the drawn ones compute; in a recorded function all do.
        """
        indices = transformation["layer_idxes"]
        items = list(transformation["transforms"].items())
        if not context.is_tracing():
            for index in np.asarray(ops.convert_to_numpy(indices)):
                name, drawn = items[int(index)]
                x = apply(getattr(self, name), x, drawn)
            return x
        for i in range(self.num_ops):
            result = x
            for place, (name, drawn) in enumerate(items):
                changed = apply(getattr(self, name), x, drawn)
                result = _either(indices[i] == place, changed, result)
            x = result
        return x

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training:
            return []
        indices = ops.convert_to_tensor(transformation["layer_idxes"])
        steps = [self._choice(indices[i], transformation["transforms"], shape) for i in range(self.num_ops)]
        return None if None in steps else steps

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        if not training:
            return images
        return self._applied(images, transformation, lambda layer, x, drawn: layer.transform_images(x, drawn))

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training:
            return bounding_boxes
        return self._applied(
            dict(bounding_boxes),
            transformation,
            lambda layer, x, drawn: layer.transform_bounding_boxes(x, drawn),
        )

    def transform_keypoints(self, keypoints: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return keypoints
        return self._applied(
            keypoints, transformation, lambda layer, x, drawn: layer.transform_keypoints(x, drawn)
        )

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training:
            return segmentation_masks
        return self._applied(
            segmentation_masks,
            transformation,
            lambda layer, x, drawn: layer.transform_segmentation_masks(x, drawn),
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_ops": self.num_ops}


def _either(condition: Any, a: Any, b: Any) -> Any:
    """A tensor, or a dict of them, by a condition."""
    if isinstance(a, dict):
        return {key: _either(condition, a[key], b[key]) for key in a}
    return ops.where(condition, a, b)
