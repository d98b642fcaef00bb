"""Numbers times a scale, plus an offset."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import config, ops
from cnnrs.base import image_steps
from cnnrs.base.image_steps import Step
from cnnrs.layers.base import Layer
from cnnrs.ops.dispatch import as_float

__all__ = ["Rescaling"]


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

    _batches_lists = True
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

    def _mapped(self, inputs: Any) -> Any:
        """Images of a layer of augmentation in a mapped function, scaled in the same chain; else None."""
        collector = image_steps.current()
        scale, offset = np.ravel(self.scale), np.ravel(self.offset)
        first = config.image_data_format() == "channels_first"
        channels = inputs.shape[-3 if first else -1] if len(inputs.shape) >= 3 else 1
        plain = scale.size in (1, channels) and offset.size in (1, channels)
        if collector is None or not plain or self.compute_dtype == "float64" or not collector.follows(inputs):
            return None
        numbers = [scale.size, *scale.tolist(), offset.size, *offset.tolist()]
        return collector.add(inputs, [Step("scale", numbers)], first)

    def call(self, inputs: Any) -> Any:
        mapped = self._mapped(inputs)
        if mapped is not None:
            return mapped
        x = ops.cast(inputs, "float64") if self.compute_dtype == "float64" else as_float(inputs)
        outputs = x * _per_channel(self.scale, x.dtype)
        if isinstance(self.offset, (int, float)) and self.offset == 0:
            return outputs
        return outputs + _per_channel(self.offset, x.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": _plain(self.scale), "offset": _plain(self.offset)}


def _plain(value: Any) -> Any:
    """A number, or a list of them."""
    return value if isinstance(value, (int, float)) else np.asarray(value).tolist()


def _per_channel(value: Any, dtype: str) -> Any:
    """`value` in a float type, with axes for height and width behind it where channels come first."""
    array = np.asarray(value, np.float64 if dtype == "float64" else np.float32)
    if array.ndim == 0 or config.image_data_format() == "channels_last":
        return array
    return array.reshape(array.shape + (1,) * (3 - array.ndim))
