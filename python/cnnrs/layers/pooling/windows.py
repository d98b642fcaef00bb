"""The largest element, or the mean, of each window."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.arguments import with_defaults
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.spatial import image_data_format, spatial_numbers

__all__ = [
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
]


class Pooling(Layer):
    """Pooling over windows of 1, 2 or 3 spatial axes."""

    _rank: int = 2

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.pool_size = self._numbers(pool_size, "pool_size")
        self.strides = self.pool_size if strides is None else self._numbers(strides, "strides")
        if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
            raise ValueError(f"{self.name}: padding: expected 'valid' or 'same', received {padding!r}")
        self.padding = padding.lower()
        self.data_format = image_data_format(data_format, self.name)
        self.input_spec = InputSpec(ndim=self._rank + 2)
        self._build_at_init()

    def _numbers(self, value: Any, argument: str) -> tuple[int, ...]:
        return tuple(spatial_numbers(value, f"{self.name}: {argument}", self._rank))

    def _window(self) -> tuple[Any, ...]:
        """What poolings of `ops` take behind the input."""
        return self.pool_size, self.strides, self.padding, self.data_format

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
        }


class _MaxPooling(Pooling):
    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)

    def call(self, inputs: Any) -> Any:
        return ops.max_pool(inputs, *self._window())


class _AveragePooling(Pooling):
    def call(self, inputs: Any) -> Any:
        return ops.average_pool(inputs, *self._window())


class MaxPooling2D(_MaxPooling):
    """The largest element of each window.

    Args:
        pool_size: Height and width of the window, a number or a pair.
        strides: Step of the window; None for the window's size.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        name: Name.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.MaxPooling2D()(np.arange(4.0).reshape(1, 2, 2, 1)).item()
    3.0
    """


class MaxPooling1D(_MaxPooling):
    """The largest element of each window of sequences of shape (batch, steps, channels).

    Args:
        pool_size, strides, padding, data_format, name: As for `MaxPooling2D`, numbers.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.MaxPooling1D()(np.arange(4.0).reshape(1, 4, 1)).tolist()
    [[[1.0], [3.0]]]
    """

    _rank = 1
    __init__ = with_defaults(_MaxPooling.__init__, pool_size=2)


class MaxPooling3D(_MaxPooling):
    """The largest element of each window of volumes of shape (batch, depth, height, width, channels).

    Args:
        pool_size, strides, padding, data_format, name: As for `MaxPooling2D`, numbers or triples.
    """

    _rank = 3
    __init__ = with_defaults(_MaxPooling.__init__, pool_size=(2, 2, 2))


class AveragePooling2D(_AveragePooling):
    """The mean of each window; padding does not count.

    Args:
        pool_size: Height and width of the window, a number or a pair.
        strides: Step of the window; None for the window's size.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        name: Name.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.AveragePooling2D(2)(np.arange(4.0).reshape(1, 2, 2, 1)).item()
    1.5
    """


class AveragePooling1D(_AveragePooling):
    """The mean of each window of sequences of shape (batch, steps, channels); padding does not count.

    Args:
        pool_size, strides, padding, data_format, name: As for `AveragePooling2D`, numbers.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.AveragePooling1D(2)(np.arange(4.0).reshape(1, 4, 1)).tolist()
    [[[0.5], [2.5]]]
    """

    _rank = 1


class AveragePooling3D(_AveragePooling):
    """The mean of each window of volumes of shape (batch, depth, height, width, channels).

    Args:
        pool_size, strides, padding, data_format, name: As for `AveragePooling2D`, numbers or triples.
    """

    _rank = 3
