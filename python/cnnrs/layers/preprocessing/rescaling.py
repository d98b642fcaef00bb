"""Numbers times a scale, plus an offset."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import config, ops
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
