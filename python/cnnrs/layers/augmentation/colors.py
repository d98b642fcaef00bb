"""Layers that change the colours of images."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.image_steps import Step
from cnnrs.layers.augmentation.base import RandomColorLayer, rescaled
from cnnrs.layers.augmentation.brightness import RandomBrightness, RandomContrast

__all__ = [
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomGrayscale",
    "RandomHue",
    "RandomSaturation",
]


class RandomColorDegeneration(RandomColorLayer):
    """In training, mixes each image with its grey values.

    Args:
        factor: The part of grey: the ends of a range within -1..1, or a number f for -f..f.
        value_range: The least and the largest value of pixels, to which results are limited.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        seed: Integer; None draws one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> grey = layers.RandomColorDegeneration((1.0, 1.0))(np.array([[[0.0, 100.0, 0.0]]]))
    >>> grey.numpy().round(1).tolist()
    [[[58.7..., 58.7..., 58.7...]]]
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self._set_factor(factor)
        self._set_value_range(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return {"factor": self._uniform((self._batch(data), 1, 1, 1), self.factor, seed)}

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        return self._color_steps(
            shape, training, Step("degenerate", self.value_range, [transformation["factor"]])
        )

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._floats(images)
        if not training:
            return images
        factor = ops.cast(self._shaped(transformation["factor"]), "float32")
        grey = ops.image.rgb_to_grayscale(images, self.data_format)
        return ops.clip(images + factor * (grey - images), *map(float, self.value_range))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}


class RandomGrayscale(RandomColorLayer):
    """In training, turns some images grey.

    Args:
        factor: The probability, from 0 to 1.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        seed: Integer; None draws one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.RandomGrayscale(1.0)(np.array([[[0.0, 1.0, 0.0]]])).numpy().round(3).tolist()
    [[[0.587..., 0.587..., 0.587...]]]
    """

    def __init__(self, factor: float = 0.5, data_format: str | None = None, seed: Any = None, **kwargs: Any):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 <= factor <= 1:
            raise ValueError(f"{self.name}: factor: expected a number from 0 to 1, received {factor!r}")
        self.factor = factor

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return self._uniform((self._batch(data), 1, 1, 1), (0.0, 1.0), seed) < self.factor

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        return self._color_steps(shape, training, Step("gray", params=[transformation]))

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._floats(images)
        if not training:
            return images
        if transformation is None:
            transformation = self.get_random_transformation(images)
        grey = ops.image.rgb_to_grayscale(images, self.data_format)
        return ops.where(self._shaped(transformation), grey, images)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


class _Channel(RandomColorLayer):
    """A layer that changes one of hue, saturation and value."""

    _CHANNEL = 0

    def _changed(self, images: Any, change: Any) -> Any:
        """Images in 0..1, with `change` of one channel, whose axis stays."""
        axis = -3 if self.data_format == "channels_first" else -1
        hsv = ops.split(ops.image.rgb_to_hsv(images, self.data_format), 3, axis=axis)
        hsv[self._CHANNEL] = change(hsv[self._CHANNEL])
        return ops.image.hsv_to_rgb(ops.concatenate(hsv, axis=axis), self.data_format)


class RandomHue(_Channel):
    """In training, turns the hue of each image around the circle of colours.

    Args:
        factor: By which part of half the circle, in a random direction: the ends of a range within 0..1, or a
            number f for 0..f.
        value_range: The least and the largest value of pixels.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        seed: Integer; None draws one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.RandomHue((1.0, 1.0), value_range=(0, 1))(np.array([[[1.0, 0.0, 0.0]]])).tolist()
    [[[0.0, 1.0, 1.0]]]
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self._set_factor(factor)
        self._set_value_range(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        batch = self._batch(data)
        sign = ops.where(self._uniform((batch,), (0.0, 1.0), seed) > 0.5, -1.0, 1.0)
        return {"factor": sign * self._uniform((batch,), self.factor, seed) * 0.5}

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        return self._color_steps(shape, training, Step("hue", self.value_range, [transformation["factor"]]))

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        if not training:
            return self._floats(images)
        turn = ops.cast(self._shaped(transformation["factor"]), "float32")

        def turned(hue: Any) -> Any:
            hue = hue + turn
            hue = ops.where(hue > 1.0, hue - 1.0, hue)
            return ops.where(hue < 0.0, hue + 1.0, hue)

        unit = rescaled(self._floats(images), self.value_range, (0, 1))
        return rescaled(ops.clip(self._changed(unit, turned), 0.0, 1.0), (0, 1), self.value_range)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}


class RandomSaturation(_Channel):
    """In training, multiplies the saturation of each image by a random factor.

    Args:
        factor: The ends of a range within -1..1: a drawn f multiplies the saturation by f / (1 - f), so that
            0 is grey, 0.5 the image itself and 1 full saturation. A number f stands for -f..f.
        value_range: The least and the largest saturation, to which results are limited.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        seed: Integer; None draws one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.RandomSaturation((0.0, 0.0))(np.array([[[0.25, 0.5, 1.0]]])).tolist()
    [[[1.0, 1.0, 1.0]]]
    """

    _CHANNEL = 1

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self._set_factor(factor)
        self._set_value_range(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        factor = self._uniform((self._batch(data),), self.factor, seed)
        return {"factor": factor / (1.0 - factor + 1e-7)}

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        return self._color_steps(
            shape, training, Step("saturation", self.value_range, [transformation["factor"]])
        )

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        if not training:
            return self._floats(images)
        factor = ops.cast(self._shaped(transformation["factor"]), "float32")
        low, high = map(float, self.value_range)
        return self._changed(self._floats(images), lambda s: ops.clip(s * factor, low, high))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}


class RandomColorJitter(RandomColorLayer):
    """In training, changes brightness, contrast, saturation and hue, in this order.

    Args:
        value_range: The least and the largest value of pixels.
        brightness_factor: As for `RandomBrightness`; None, as for the others, to leave it.
        contrast_factor: As for `RandomContrast`.
        saturation_factor: As for `RandomSaturation`.
        hue_factor: As for `RandomHue`.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.RandomColorJitter(brightness_factor=(-1.0, -1.0))(np.full((1, 1, 3), 99.0)).tolist()
    [[[0.0, 0.0, 0.0]]]
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        brightness_factor: Any = None,
        contrast_factor: Any = None,
        saturation_factor: Any = None,
        hue_factor: Any = None,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self._set_value_range(value_range)
        self.brightness_factor = brightness_factor
        self.contrast_factor = contrast_factor
        self.saturation_factor = saturation_factor
        self.hue_factor = hue_factor
        kinds: dict[Any, Any] = {
            RandomBrightness: brightness_factor,
            RandomContrast: contrast_factor,
            RandomSaturation: saturation_factor,
            RandomHue: hue_factor,
        }
        self._parts = [
            kind(factor=factor, value_range=value_range, seed=seed, data_format=data_format)
            for kind, factor in kinds.items()
            if factor is not None
        ]

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        seed = self.generator if seed is None else seed
        return [part.get_random_transformation(data, seed=seed) for part in self._parts] if training else None

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training:
            return []
        parts = [
            part._steps(drawn, shape, True) for part, drawn in zip(self._parts, transformation, strict=True)
        ]
        return None if None in parts else [step for steps in parts for step in steps]

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._floats(images)
        if not training:
            return images
        if transformation is None:
            transformation = self.get_random_transformation(images)
        for part, drawn in zip(self._parts, transformation, strict=True):
            images = part.transform_images(images, drawn)
        return images

    def get_config(self) -> dict[str, Any]:
        names = ["value_range", "brightness_factor", "contrast_factor", "saturation_factor", "hue_factor"]
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
