"""Preparation of inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.layers.base import Layer
from cnnrs.ops.dispatch import as_float
from cnnrs.ops.spatial import image_data_format, pair

__all__ = ["Rescaling", "Resizing"]


class Rescaling(Layer):
    """`inputs * scale + offset`, as floats.

    Args:
        scale: A number, or one per channel.
        offset: A number, or one per channel.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Rescaling(1 / 255)(np.array([0, 255], np.uint8)).tolist()
    [0.0, 1.0]
    """

    _supports_masking = True

    # Bytes are scaled before they are rounded.
    _widens = True

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        for argument, value in (("scale", scale), ("offset", offset)):
            if np.asarray(value).dtype.kind not in "fiub":
                raise ValueError(
                    f"{self.name}: {argument}: expected a number, or one per channel, received {value!r}"
                )
        self.scale = scale
        self.offset = offset
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        outputs = as_float(inputs) * self.scale
        return (
            outputs if isinstance(self.offset, (int, float)) and self.offset == 0 else outputs + self.offset
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}


class Resizing(Layer):
    """Images of another size.

    Args:
        height, width: The size.
        interpolation: "bilinear" or "nearest".
        crop_to_aspect_ratio, pad_to_aspect_ratio, antialias: False.
        fill_mode, fill_value: Have a meaning only with pad_to_aspect_ratio.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
    """

    _widens = True

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.height, self.width = pair((height, width), f"{self.name}: height, width")
        self.interpolation = interpolation
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode = fill_mode
        self.fill_value = fill_value
        self.antialias = antialias
        self.data_format = image_data_format(data_format)
        self._build_at_init()

    def _arguments(self) -> dict[str, Any]:
        names = ["interpolation", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode", "fill_value"]
        return {name: getattr(self, name) for name in [*names, "antialias", "data_format"]}

    def call(self, inputs: Any) -> Any:
        return ops.image.resize(inputs, (self.height, self.width), **self._arguments())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width, **self._arguments()}
