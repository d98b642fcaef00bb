"""Pooling to a given number of places."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.spatial import image_data_format, spatial_numbers

__all__ = [
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
]


class _AdaptivePooling(Layer):
    """Windows whose size and distance follow from the extents of input and output."""

    _rank: int = 2

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.output_size = tuple(spatial_numbers(output_size, f"{self.name}: output_size", self._rank))
        self.data_format = image_data_format(data_format, self.name)
        self.input_spec = InputSpec(ndim=self._rank + 2)
        self._build_at_init()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_size": self.output_size, "data_format": self.data_format}


class _AdaptiveAveragePooling(_AdaptivePooling):
    def call(self, inputs: Any) -> Any:
        return ops.adaptive_average_pool(inputs, self.output_size, self.data_format)


class _AdaptiveMaxPooling(_AdaptivePooling):
    def call(self, inputs: Any) -> Any:
        return ops.adaptive_max_pool(inputs, self.output_size, self.data_format)


class AdaptiveAveragePooling2D(_AdaptiveAveragePooling):
    """Means of as many windows of images as the output has pixels.

    Window i covers rows `floor(i * height / rows)` to `ceil((i + 1) * height / rows)`, columns likewise.

    Args:
        output_size: Rows and columns of the output, a number or a pair.
        data_format: "channels_last" or "channels_first"; None takes the configured one.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.AdaptiveAveragePooling2D(2)(np.zeros((1, 7, 5, 3))).shape
    (1, 2, 2, 3)
    """


class AdaptiveAveragePooling1D(_AdaptiveAveragePooling):
    """Means of as many windows of sequences as the output has steps.

    Args:
        output_size: Steps of the output.
        data_format: As for `AdaptiveAveragePooling2D`.
    """

    _rank = 1


class AdaptiveAveragePooling3D(_AdaptiveAveragePooling):
    """Means of as many windows of volumes as the output has places.

    Args:
        output_size, data_format: As for `AdaptiveAveragePooling2D`, a number or a triple.
    """

    _rank = 3


class AdaptiveMaxPooling2D(_AdaptiveMaxPooling):
    """The largest elements of as many windows of images as the output has pixels.

    Args:
        output_size, data_format: As for `AdaptiveAveragePooling2D`.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.AdaptiveMaxPooling2D((1, 2))(np.arange(4.0).reshape(1, 2, 2, 1)).tolist()
    [[[[2.0], [3.0]]]]
    """


class AdaptiveMaxPooling1D(_AdaptiveMaxPooling):
    """The largest elements of as many windows of sequences as the output has steps.

    Args:
        output_size: Steps of the output.
        data_format: As for `AdaptiveAveragePooling2D`.
    """

    _rank = 1


class AdaptiveMaxPooling3D(_AdaptiveMaxPooling):
    """The largest elements of as many windows of volumes as the output has places.

    Args:
        output_size, data_format: As for `AdaptiveAveragePooling2D`, a number or a triple.
    """

    _rank = 3
