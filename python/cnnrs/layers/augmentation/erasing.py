"""Layers that erase parts of images, and blur them."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops, random
from cnnrs.base.image_steps import Step
from cnnrs.layers.augmentation.arguments import interval
from cnnrs.layers.augmentation.base import RandomColorLayer, RandomLayer, images_of

__all__ = ["BoxLayer", "RandomErasing", "RandomGaussianBlur"]


class BoxLayer(RandomLayer):
    """A layer that draws a box for each image."""

    def _bounds(self, batch: int, extent: int, part: Any, seed: Any) -> tuple[Any, Any]:
        """Where boxes begin and end that take up a part of an extent."""
        length = part * float(extent)
        begin = self._uniform((batch,), (0.0, 1.0), seed) * (float(extent) - length)
        return begin, begin + length

    def _boxes(self, shape: Any, corners: tuple[Any, Any, Any, Any]) -> Any:
        """Which pixels of images of `shape` lie in the boxes (x0, x1, y0, y1)."""
        height, width = self._sides(shape)
        first = self.data_format == "channels_first"
        rows = np.arange(height, dtype=np.float32).reshape((1, 1, -1, 1) if first else (1, -1, 1, 1))
        columns = np.arange(width, dtype=np.float32).reshape((1, 1, 1, -1) if first else (1, 1, -1, 1))
        x0, x1, y0, y1 = (ops.reshape(corner, (-1, 1, 1, 1)) for corner in corners)
        across = ops.logical_and(columns >= x0, columns < x1)
        return ops.logical_and(across, ops.logical_and(rows >= y0, rows < y1))


class RandomErasing(RandomColorLayer, BoxLayer):
    """In training, replaces a random box of some images.

    Zhong et al. 2020, "Random erasing data augmentation", arXiv:1708.04896.

    Args:
        factor: The range within 0..1 from which the probability of each image is drawn; a number f means
            0..f.
        scale: The range of the squares of the parts of height and width that a box takes up, likewise.
        fill_value: What the box holds: a number, one for each of three channels, or None for normal noise.
        value_range: The least and the largest value of pixels, to which what fills is limited.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> erase = layers.RandomErasing((1.0, 1.0), scale=(1.0, 1.0), fill_value=7)
    >>> float(erase(np.zeros((2, 2, 1))).numpy().min())
    7.0
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = (0.02, 0.33),
        fill_value: Any = None,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self._set_factor(factor)
        self.scale = interval(self.name, "scale", scale, (0, 1))
        if fill_value is not None and np.shape(fill_value) not in ((), (3,)):
            raise ValueError(f"{self.name}: fill_value: expected a number or three, received {fill_value!r}")
        self.fill_value = fill_value
        self._set_value_range(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        batch, shape = self._batch(data), tuple(images_of(data).shape)
        height, width = self._sides(shape)
        parts = ops.sqrt(self._uniform((batch, 2), self.scale, seed))
        corners = (
            *self._bounds(batch, width, parts[:, 0], seed),
            *self._bounds(batch, height, parts[:, 1], seed),
        )
        return {
            "apply_erasing": self._chosen(batch, self.factor, seed),
            "corners": corners,
            "batch_masks": self._boxes(shape, corners),
            "fill_value": self._fill(shape, seed),
        }

    def _fill(self, shape: Any, seed: Any) -> Any:
        low, high = map(float, self.value_range)
        if self.fill_value is None:
            noise = random.normal(shape, seed=self.generator if seed is None else seed)
            return ops.clip(noise * high, low, high)
        fill = np.clip(np.asarray(self.fill_value, np.float32), low, high)
        if fill.shape and self.data_format == "channels_first":
            fill = fill.reshape(3, 1, 1)
        return ops.convert_to_tensor(fill)

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training:
            return []
        if self.fill_value is None:
            # Noise is drawn by a plan, in numbers as many as the pixels of the image.
            return None
        low, high = map(float, self.value_range)
        fill = np.clip(np.ravel(np.asarray(self.fill_value, np.float32)), low, high)
        params = [*transformation["corners"], transformation["apply_erasing"]]
        return [Step("erase", [len(fill), *fill.tolist()], params)]

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._floats(images)
        if not training:
            return images
        masks = ops.convert_to_tensor(transformation["batch_masks"])
        fill = ops.cast(transformation["fill_value"], "float32")
        chosen = self._shaped(transformation["apply_erasing"])
        return ops.where(ops.logical_and(masks, chosen), fill, images)

    def get_config(self) -> dict[str, Any]:
        names = ("factor", "scale", "fill_value", "value_range")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class RandomGaussianBlur(RandomColorLayer):
    """In training, blurs some images.

    Args:
        factor: The range within 0..1 from which the probability of each image is drawn; a number f means
            0..f.
        kernel_size: How many pixels are weighted, an odd number or a (horizontal, vertical) pair of them.
        sigma: The range of the standard deviation in pixels, within 0..1, likewise.
        value_range: The least and the largest value of pixels, to which results are limited.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        seed: Integer; None draws one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.RandomGaussianBlur(0.0)(np.full((2, 2, 1), 5.0)).numpy().ravel().tolist()
    [5.0, 5.0, 5.0, 5.0]
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        kernel_size: Any = 3,
        sigma: Any = 1.0,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self._set_factor(factor)
        pair = (kernel_size, kernel_size) if isinstance(kernel_size, (int, np.integer)) else kernel_size
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(n > 0 and n % 2 for n in pair):
            raise ValueError(
                f"{self.name}: kernel_size: expected an odd number or a pair of them, "
                f"received {kernel_size!r}"
            )
        self.kernel_size = tuple(pair)
        self.sigma = interval(self.name, "sigma", sigma, (0, 1))
        self._set_value_range(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        return {
            "should_apply_blur": self._chosen(self._batch(data), self.factor, seed),
            "blur_factor": self._uniform((2,), self.sigma, seed) + 1e-6,
        }

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training or transformation is None:
            return []
        sigma = ops.reshape(transformation["blur_factor"], (1, 2))
        params = [sigma, transformation["should_apply_blur"]]
        return [Step("blur", [*self.kernel_size, *self.value_range], params)]

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._floats(images)
        if not training or transformation is None:
            return images
        sigma = ops.cast(transformation["blur_factor"], "float32")
        blurred = ops.image.gaussian_blur(images, self.kernel_size, sigma, self.data_format)
        images = ops.where(self._shaped(transformation["should_apply_blur"]), blurred, images)
        return ops.clip(images, *map(float, self.value_range))

    def get_config(self) -> dict[str, Any]:
        names = ("factor", "kernel_size", "sigma", "value_range")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
