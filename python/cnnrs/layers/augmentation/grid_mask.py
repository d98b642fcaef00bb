"""`GridMask`: squares of a grid, erased."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base.arguments import number
from cnnrs.base.image_steps import Step
from cnnrs.layers.augmentation.arguments import interval, positive_range
from cnnrs.layers.augmentation.base import RandomColorLayer, images_of
from cnnrs.ops.image.layout import as_batch

__all__ = ["GridMask"]


class GridMask(RandomColorLayer):
    """In training, erases squares that lie on a regular grid, of some images.

    Chen, Liu, Zhao and Jia 2020, "GridMask data augmentation", arXiv:2001.04086: the unit of the grid has a
    length d, in which a square of length (1 - r) d is erased; the grid's place is random. The ratio r says
    how much of each unit's side is kept. (The paper has d from 96..224 for images of 224 pixels, r = 0.6 for
    ImageNet, and a probability that grows to 0.8 while training.)

    Args:
        factor: The range within 0..1 from which the probability of each image is drawn; a number f means
            0..f.
        ratio: The part of the side of a unit that is kept, a number in 0..1.
        unit: The range of the unit's length, as a part of the shorter side of the image.
        fill_value: What the squares hold.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    Example:

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> mask = layers.GridMask((1.0, 1.0), ratio=0.5, unit=(0.5, 0.5), seed=1)
    >>> float(mask(np.ones((1, 8, 8, 1))).numpy().mean())
    0.75
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = (0.5, 0.5),
        ratio: float = 0.6,
        unit: Any = (96 / 224, 1.0),
        fill_value: float = 0.0,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = interval(self.name, "factor", factor, (0, 1))
        self.ratio = number(ratio, self.name, "ratio", least=0, most=1)
        self.unit = positive_range(self.name, "unit", unit)
        self.fill_value = number(fill_value, self.name, "fill_value")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        batch = self._batch(data)
        shorter = float(min(self._sides(images_of(data).shape)))
        period = ops.maximum(ops.round(self._uniform((batch,), self.unit, seed) * shorter), 1.0)
        left, top = (ops.floor(self._uniform((batch,), (0.0, 1.0), seed) * period) for _ in range(2))
        return {
            "apply_mask": self._chosen(batch, self.factor, seed),
            "period": period,
            "length": ops.round(period * (1.0 - self.ratio)),
            "left": left,
            "top": top,
        }

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training:
            return []
        names = ("period", "length", "left", "top", "apply_mask")
        return [Step("grid", [1, self.fill_value], [transformation[name] for name in names])]

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._floats(images)
        if not training:
            return images
        x, restore = as_batch(images, self.data_format, self.name)
        period, length = (ops.reshape(transformation[name], (-1, 1, 1, 1)) for name in ("period", "length"))
        erased: Any = ops.reshape(transformation["apply_mask"], (-1, 1, 1, 1))
        for name, shape in (("top", (1, -1, 1, 1)), ("left", (1, 1, -1, 1))):
            extent = x.shape[shape.index(-1)]
            place = np.arange(extent, dtype=np.float32).reshape(shape)
            place = place - ops.reshape(transformation[name], (-1, 1, 1, 1))
            inside = place - ops.floor(place / period) * period < length
            erased = ops.logical_and(erased, inside)
        return restore(ops.where(erased, self.fill_value, x))

    def get_config(self) -> dict[str, Any]:
        names = ("factor", "ratio", "unit", "fill_value")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
