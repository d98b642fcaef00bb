"""Layers that change how bright images are, and how strong their contrast is."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.image_steps import Step
from cnnrs.layers.augmentation.arguments import within
from cnnrs.layers.augmentation.base import ColorLayer, RandomColorLayer, images_of, rescaled

__all__ = [
    "AutoContrast",
    "RandomBrightness",
    "RandomContrast",
    "RandomInvert",
    "RandomPosterization",
    "RandomSharpness",
    "Solarization",
]


class RandomBrightness(RandomColorLayer):
    """In training, adds to each image a random part of the range of values.

    Args:
        factor: The part: the ends of a range within -1..1, or a number f for -f..f.
        value_range: The least and the largest value of pixels, to which results are limited.
        seed: Integer; None draws one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.
        data_format: "channels_last" or "channels_first"; None takes the configured one.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.RandomBrightness((0.2, 0.2))(np.full((1, 1, 3), 250.0)).tolist()
    [[[255.0, 255.0, 255.0]]]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: Any = None, **kwargs: Any):
        super().__init__(seed=seed, **kwargs)
        self._set_factor(factor)
        self._set_value_range(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        shape = (self._batch(data), 1, 1, 1) if len(images_of(data).shape) == 4 else (1, 1, 1)
        if not training:
            return {"rgb_delta": ops.zeros(shape)}
        low, high = self.value_range
        return {"rgb_delta": self._uniform(shape, self.factor, seed) * float(high - low)}

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        return [Step("add", self.value_range, [transformation["rgb_delta"]])] if training else []

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return self._floats(images)
        delta = ops.cast(transformation["rgb_delta"], "float32")
        return ops.clip(self._floats(images) + delta, *map(float, self.value_range))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}


class RandomContrast(RandomColorLayer):
    """In training, multiplies the distance of each image from the mean of its channels by a random factor.

    Args:
        factor: The ends of a range: the factor lies in 1 - first..1 + second; a number f means 0..f.
        value_range: The least and the largest value of pixels, to which results are limited.
        seed: Integer; None draws one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.
        data_format: "channels_last" or "channels_first"; None takes the configured one.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.RandomContrast(0.2)(np.full((1, 1, 3), 7.0)).tolist()
    [[[7.0, 7.0, 7.0]]]
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: Any = None, **kwargs: Any):
        super().__init__(seed=seed, **kwargs)
        self._set_factor(factor)
        self._set_value_range(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        shape = (self._batch(data), 1, 1, 1) if len(images_of(data).shape) == 4 else (1, 1, 1)
        if not training:
            return {"contrast_factor": ops.zeros(shape)}
        return {"contrast_factor": self._uniform(shape, (1.0 - self.factor[0], 1.0 + self.factor[1]), seed)}

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        return [Step("contrast", self.value_range, [transformation["contrast_factor"]])] if training else []

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        if not training:
            return images
        axes = (-2, -1) if self.data_format == "channels_first" else (-3, -2)
        mean = ops.mean(images, axis=axes, keepdims=True)
        factor = ops.cast(transformation["contrast_factor"], "float32")
        return ops.clip((images - mean) * factor + mean, *map(float, self.value_range))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}


class RandomInvert(RandomColorLayer):
    """In training, turns some images into their negatives: the largest value minus the pixels.

    Args:
        factor: The range within 0..1 from which the probability of each image is drawn; a number f means
            0..f.
        value_range: The least and the largest value of pixels.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.RandomInvert((1.0, 1.0), value_range=(0, 1))(np.zeros((1, 2, 1))).numpy().ravel().tolist()
    [1.0, 1.0]
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self._set_factor(factor)
        self._set_value_range(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return {"apply_inversion": self._chosen(self._batch(data), self.factor, seed)} if training else None

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training:
            return []
        return [Step("invert", self.value_range[1:], [transformation["apply_inversion"]])]

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        if not training:
            return images
        inverted = float(self.value_range[1]) - images
        return ops.where(self._shaped(transformation["apply_inversion"]), inverted, images)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}


class RandomPosterization(RandomColorLayer):
    """In training, keeps a random number of the highest of the 8 bits of values.

    Args:
        factor: How many bits: the ends of a range within 1..8, of which the second is excluded, or a number.
        value_range: The least and the largest value of pixels, which stand for 0 and 255.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        seed: Integer; None draws one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> image = np.array([63.0, 64.0, 255.0]).reshape(1, 3, 1)
    >>> layers.RandomPosterization((2, 2))(image).numpy().ravel().tolist()
    [0.0, 64.0, 192.0]
    """

    _FACTOR_BOUNDS = (1, 8)

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
        low, high = map(int, self.factor)
        batch = self._batch(data)
        bits: Any = ops.full((batch,), low, "int32")
        if low != high:
            bits = low + ops.cast(ops.floor(self._uniform((batch,), (0.0, high - low), seed)), "int32")
            bits = ops.minimum(bits, high - 1)
        return {"shift_factor": 8 - bits}

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        return [Step("posterize", self.value_range, [transformation["shift_factor"]])] if training else []

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return self._floats(images)
        # Powers of two divide floats without error, and the quotient's floor is the shift.
        shift = ops.cast(self._shaped(transformation["shift_factor"]), "float32")
        step = ops.round(ops.exp2(shift))
        levels = ops.trunc(rescaled(self._floats(images), self.value_range, (0, 255)))
        return rescaled(ops.floor(levels / step) * step, (0, 255), self.value_range)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}


class RandomSharpness(RandomColorLayer):
    """In training, blends each image with a smoothed one, or moves it away from that.

    Args:
        factor: The ends of a range within 0..1, or a number f for 0..f: 0 is the smoothed image, 0.5 the
            image itself, 1 as far beyond it.
        value_range: The least and the largest value of pixels, to which results are limited.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        seed: Integer; None draws one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.RandomSharpness((0.5, 0.5))(np.array([9.0, 0.0]).reshape(1, 2, 1)).numpy().ravel().tolist()
    [9.0, 0.0]
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
        return {"factor": self._uniform((self._batch(data),), self.factor, seed)}

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training:
            return []
        return [Step("sharpness", self.value_range, [ops.cast(transformation["factor"], "float32") * 2.0])]

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        if not training:
            return images
        factor = ops.cast(self._shaped(transformation["factor"]), "float32") * 2.0
        channels = images.shape[-3 if self.data_format == "channels_first" else -1]
        kernel = ops.broadcast_to(ops.reshape(_SMOOTH, (3, 3, 1, 1)), (3, 3, channels, 1))
        smooth = ops.depthwise_conv(images, kernel, 1, "same", self.data_format)
        return ops.clip(images + (1.0 - factor) * (smooth - images), *map(float, self.value_range))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}


_SMOOTH = [[1 / 13, 1 / 13, 1 / 13], [1 / 13, 5 / 13, 1 / 13], [1 / 13, 1 / 13, 1 / 13]]


class Solarization(RandomColorLayer):
    """In training, adds a random number to each image and inverts the values above a random threshold.

    Args:
        addition_factor: The range of what is added, as a part of 255, within 0..1; a number f means 0..f.
        threshold_factor: The range of the threshold, likewise.
        value_range: The least and the largest value of pixels, which stand for 0 and 255.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Solarization()(np.array([0.0, 200.0]).reshape(1, 2, 1)).numpy().ravel().tolist()
    [255.0, 55.0]
    """

    def __init__(
        self,
        addition_factor: Any = 0.0,
        threshold_factor: Any = 0.0,
        value_range: Any = (0, 255),
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, **kwargs)
        self.addition_factor = self._part("addition_factor", addition_factor)
        self.threshold_factor = self._part("threshold_factor", threshold_factor)
        self._set_value_range(value_range)

    def _part(self, argument: str, value: Any) -> tuple[float, float]:
        return within(self.name, argument, value, (0, 1), from_zero=True)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = (self._batch(data), 1, 1, 1) if len(images_of(data).shape) == 4 else (1, 1, 1)

        def draw(factor: tuple[float, float]) -> Any:
            return self._uniform(shape, (factor[0], factor[1] * 255.0), seed)

        return {"additions": draw(self.addition_factor), "thresholds": draw(self.threshold_factor)}

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training or transformation is None:
            return []
        return [Step("solarize", self.value_range, [transformation[k] for k in ("additions", "thresholds")])]

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        if not training or transformation is None:
            return images
        additions, thresholds = (ops.cast(transformation[k], "float32") for k in ("additions", "thresholds"))
        result = ops.clip(rescaled(images, self.value_range, (0, 255)) + additions, 0.0, 255.0)
        result = ops.where(result < thresholds, result, 255.0 - result)
        return rescaled(result, (0, 255), self.value_range)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "value_range": self.value_range,
            "addition_factor": self.addition_factor,
            "threshold_factor": self.threshold_factor,
        }


class AutoContrast(ColorLayer):
    """Stretches the values of each channel so that the least becomes 0 and the largest the end of the range.

    Args:
        value_range: The least and the largest value of pixels.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.AutoContrast()(np.array([10.0, 20.0, 30.0]).reshape(1, 3, 1)).numpy().ravel().tolist()
    [0.0, 127.5, 255.0]
    """

    def __init__(self, value_range: Any = (0, 255), **kwargs: Any):
        super().__init__(**kwargs)
        self._set_value_range(value_range)

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        return [Step("stretch", self.value_range)]

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._floats(images)
        x = rescaled(images, self.value_range, (0, 255))
        axes = (-2, -1) if self.data_format == "channels_first" else (-3, -2)
        low, high = ops.min(x, axis=axes, keepdims=True), ops.max(x, axis=axes, keepdims=True)
        varied = high > low
        scale = 255.0 / ops.where(varied, high - low, 1.0)
        stretched = rescaled(ops.clip((x - low) * scale, 0.0, 255.0), (0, 255), self.value_range)
        return ops.where(varied, stretched, images)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "value_range": self.value_range}
