"""`Lighting`: changes of the colour and strength of the light."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops, random
from cnnrs.base.arguments import number
from cnnrs.base.image_steps import Step
from cnnrs.layers.augmentation.base import RandomColorLayer

__all__ = ["Lighting"]

# Standard deviations along the principal components of the colours of ImageNet, in parts of the range, and
# the components, one a column: as published with fb.resnet.torch (Gross and Wilber 2016) and used since.
_DEVIATIONS = (0.2175, 0.0188, 0.0045)
_COMPONENTS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


class Lighting(RandomColorLayer):
    """In training, adds to each image a random multiple of the principal components of the training colours.

    Krizhevsky, Sutskever and Hinton 2012, "ImageNet classification with deep convolutional neural networks",
    section 4.1: to each pixel `[p1 p2 p3] [a1 d1, a2 d2, a3 d3]` is added, with the components p, their
    deviations d, and a drawn from a normal distribution once for each image.

    Args:
        factor: The standard deviation of a, a number >= 0; the paper has 0.1.
        deviations: The standard deviations d, three numbers in parts of the range; None for those of
            ImageNet.
        components: The components p as columns, of shape (3, 3); None for those of ImageNet.
        value_range: The least and the largest value of pixels, to which results are limited.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    Example:

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> image = np.full((1, 4, 4, 3), 99.0)
    >>> change = layers.Lighting(0.1, seed=1)(image).numpy() - image
    >>> bool(np.ptp(change, axis=(1, 2)).max() == 0), bool(abs(change).max() > 0)
    (True, True)
    """

    def __init__(
        self,
        factor: float = 0.1,
        deviations: Any = None,
        components: Any = None,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = number(factor, self.name, "factor", least=0)
        self.deviations = self._numbers("deviations", deviations, (3,))
        self.components = self._numbers("components", components, (3, 3))
        self._set_value_range(value_range)

    def _numbers(self, argument: str, value: Any, shape: tuple[int, ...]) -> Any:
        if value is None:
            return None
        array = np.asarray(value)
        if array.dtype.kind not in "fiu" or array.shape != shape or not np.isfinite(array).all():
            raise ValueError(
                f"{self.name}: {argument}: expected numbers of shape {shape}, received {value!r}"
            )
        return array.tolist()

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        seed = self.generator if seed is None else seed
        draws = random.normal((self._batch(data), 3), 0.0, self.factor, seed=seed)
        deviations = np.asarray(_DEVIATIONS if self.deviations is None else self.deviations)
        components = np.asarray(_COMPONENTS if self.components is None else self.components)
        low, high = map(float, self.value_range)
        matrix = (components * deviations * (high - low)).astype(np.float32)
        return {"rgb_delta": ops.matmul(draws, matrix.T)}

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training:
            return []
        return self._color_steps(
            shape, True, Step("add_color", [3, *self.value_range], [transformation["rgb_delta"]])
        )

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._floats(images)
        if not training:
            return images
        first = self.data_format == "channels_first"
        if images.shape[-3 if first else -1] != 3:
            raise ValueError(f"{self.name}: expected images of 3 channels, received shape {images.shape}")
        delta = ops.reshape(transformation["rgb_delta"], (-1, 3, 1, 1) if first else (-1, 1, 1, 3))
        delta = ops.squeeze(delta, 0) if len(images.shape) == 3 else delta
        return ops.clip(images + delta, *map(float, self.value_range))

    def get_config(self) -> dict[str, Any]:
        names = ("factor", "deviations", "components", "value_range")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
