"""`TrivialAugment`: one change of each image, of random kind and strength."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops, random
from cnnrs.base.arguments import integer
from cnnrs.base.image_steps import Step
from cnnrs.layers.augmentation.base import images_of
from cnnrs.layers.augmentation.boxes import affine
from cnnrs.layers.augmentation.brightness import (
    AutoContrast,
    RandomPosterization,
    RandomSharpness,
    Solarization,
)
from cnnrs.layers.augmentation.colors import RandomColorDegeneration
from cnnrs.layers.augmentation.histograms import Equalization
from cnnrs.layers.augmentation.warps import WarpLayer, rows_of_matrices

__all__ = ["TrivialAugment"]

# The kinds of the wide space of the paper (table 1), their largest strength, and whether its sign is random.
_KINDS: tuple[tuple[str, float, bool], ...] = (
    ("identity", 0.0, False),
    ("shear_x", 0.99, True),
    ("shear_y", 0.99, True),
    ("translate_x", 32.0, True),
    ("translate_y", 32.0, True),
    ("rotate", 135.0, True),
    ("brightness", 0.99, True),
    ("color", 0.99, True),
    ("contrast", 0.99, True),
    ("sharpness", 0.99, True),
    ("posterize", 6.0, False),
    ("solarize", 255.0, False),
    ("auto_contrast", 0.0, False),
    ("equalize", 0.0, False),
)
_NAMES = [name for name, _, _ in _KINDS]
# All that move pixels are one warp.
_COLORS = _NAMES[_NAMES.index("brightness") :]


def _part(name: str) -> float:
    """The part of a chain that does what a kind is: the first one warps, and the identity has none."""
    if name == "identity":
        return -1.0
    return 1.0 + _COLORS.index(name) if name in _COLORS else 0.0


class TrivialAugment(WarpLayer):
    """In training, changes each image by one operation of random kind and strength.

    Müller and Hutter 2021, "TrivialAugment: Tuning-free yet state-of-the-art data augmentation",
    arXiv:2103.10158: nothing has to be tuned. The kinds and strengths are those of its wide space: identity,
    shears up to 0.99, shifts up to 32 pixels, turns up to 135 degrees, brightness, colour, contrast and
    sharpness times 0.01..1.99, posterization to 2..8 bits, solarization from a threshold of 0..255 on,
    automatic contrast, and equalization. Pixels beyond the border count as 0 where an image is sharpened.

    Args:
        value_range: The least and the largest value of pixels.
        num_magnitude_bins: How many strengths there are, an integer >= 2; the paper has 31.
        interpolation: "nearest" or "bilinear", of those that move pixels.
        fill_mode: What lies outside of the image: "constant", "reflect", "wrap" or "nearest".
        fill_value: The number for "constant".
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they move with their images.

    Example:

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.TrivialAugment(seed=1)(np.zeros((4, 8, 8, 3), np.uint8)).shape
    (4, 8, 8, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_magnitude_bins: int = 31,
        interpolation: str = "nearest",
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        seed: Any = None,
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
        self._set_value_range(value_range)
        self.num_magnitude_bins = integer(
            num_magnitude_bins, self.name, "num_magnitude_bins", least=2, most=2**16
        )
        values: dict[str, Any] = {"value_range": self.value_range, "data_format": self.data_format}
        # What the layers do with the numbers that this one draws.
        self._layers: dict[str, Any] = {
            "color": RandomColorDegeneration(1.0, **values),
            "sharpness": RandomSharpness(1.0, **values),
            "posterize": RandomPosterization((1, 8), **values),
            "solarize": Solarization(**values),
            "auto_contrast": AutoContrast(**values),
            "equalize": Equalization(**values),
        }

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        batch, shape = self._batch(data), tuple(images_of(data).shape)
        seed = self.generator if seed is None else seed
        kind = random.randint((batch,), 0, len(_KINDS), seed=seed)
        level = ops.cast(random.randint((batch,), 0, self.num_magnitude_bins, seed=seed), "float32")
        level = level / float(self.num_magnitude_bins - 1)
        sign = ops.where(self._uniform((batch,), (0.0, 1.0), seed) < 0.5, -1.0, 1.0)
        largest = ops.take(np.array([most for _, most, _ in _KINDS], np.float32), kind)
        signed = ops.take(np.array([signed for _, _, signed in _KINDS]), kind)
        return {
            "kind": kind,
            "level": level,
            "strength": level * largest * ops.where(signed, sign, 1.0),
            "input_shape": shape,
        }

    def _is(self, transformation: Any, name: str) -> Any:
        return ops.equal(transformation["kind"], _NAMES.index(name))

    def _entries(self, transformation: Any) -> tuple[Any, ...]:
        """Numbers a to f: the pixel of x, y is read at x' = a x + b y + c, y' = d x + e y + f."""
        height, width = self._sides(transformation["input_shape"])
        strength = transformation["strength"]

        def of(name: str) -> Any:
            return ops.where(self._is(transformation, name), strength, 0.0)

        radians = of("rotate") * (np.pi / 180.0)
        cos, sin = ops.cos(radians), ops.sin(radians)
        x, y = (width - 1) / 2.0, (height - 1) / 2.0
        # One of them at most is no identity, so that they add up.
        return (
            cos,
            of("shear_x") - sin,
            of("translate_x") + x - cos * x + sin * y,
            of("shear_y") + sin,
            cos,
            of("translate_y") + y - sin * x - cos * y,
        )

    def _matrix(self, transformation: Any, shape: Any) -> Any:
        return rows_of_matrices(transformation["kind"].shape[0], *self._entries(transformation), 0.0, 0.0)

    def _moved(self, boxes: Any, transformation: Any, height: int, width: int) -> Any:
        a, b, c, d, e, f = (ops.reshape(n, (-1, 1, 1)) for n in self._entries(transformation))
        area = a * e - b * d
        a, b, d, e = e / area, -b / area, -d / area, a / area
        return affine(boxes, (a, b, -(a * c + b * f), d, e, -(d * c + e * f)))

    def _drawn(self, name: str, transformation: Any) -> Any:
        """What one of the layers is told to do."""
        strength, level = transformation["strength"], transformation["level"]
        numbers: dict[str, Any] = {
            "color": {"factor": -strength},
            "sharpness": {"factor": (1.0 + strength) * 0.5},
            "posterize": {"shift_factor": ops.round(level * 6.0)},
            "solarize": {
                "additions": self._shaped(0.0 * level),
                "thresholds": self._shaped(255.0 * (1.0 - level)),
            },
        }
        return numbers.get(name)

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training or transformation is None:
            return []
        factor = 1.0 + transformation["strength"]
        own = {
            "brightness": [Step("multiply", [self.value_range[0], *self.value_range], [factor])],
            "contrast": [Step("contrast_of_gray", self.value_range, [factor])],
        }
        parts: list[Any] = [super()._steps(transformation, shape, training)]
        for name in _COLORS:
            drawn = self._drawn(name, transformation)
            parts.append(own[name] if name in own else self._layers[name]._steps(drawn, shape, True))
        if None in parts:
            return None
        # Of kinds the parts: no part for the identity.
        place = [_part(name) for name in _NAMES]
        return [Step("choose", (), [ops.take(np.array(place, np.float32), transformation["kind"])], parts)]

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        if not training or transformation is None:
            return images
        low, high = map(float, self.value_range)
        factor = self._shaped(1.0 + transformation["strength"])
        first = self.data_format == "channels_first"
        result = super().transform_images(images, transformation, training)
        for name in _COLORS:
            if name == "brightness":
                changed = ops.clip((images - low) * factor + low, low, high)
            elif name == "contrast":
                grey = images
                if images.shape[-3 if first else -1] == 3:
                    grey = ops.image.rgb_to_grayscale(images, self.data_format)
                axes = (-2, -1) if first else (-3, -2)
                mean = ops.mean(grey, axis=axes, keepdims=True)
                changed = ops.clip((images - mean) * factor + mean, low, high)
            else:
                changed = self._layers[name].transform_images(images, self._drawn(name, transformation))
            result = ops.where(self._shaped(self._is(transformation, name)), changed, result)
        return result

    def get_config(self) -> dict[str, Any]:
        names = ("value_range", "num_magnitude_bins")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
