"""Pooling over windows, and over whole images."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.convolution import image_data_format, pair

__all__ = ["AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "MaxPooling2D"]


class _Pooling(Layer):
    def __init__(
        self,
        pool_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        name: str | None,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.pool_size = tuple(pair(pool_size, f"{self.name}: pool_size"))
        self.strides = self.pool_size if strides is None else tuple(pair(strides, f"{self.name}: strides"))
        if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
            raise ValueError(f"{self.name}: padding: expected 'valid' or 'same', received {padding!r}")
        self.padding = padding.lower()
        self.data_format = image_data_format(data_format)
        self.input_spec = InputSpec(ndim=4)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
        }


class MaxPooling2D(_Pooling):
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
        return ops.max_pool(inputs, self.pool_size, self.strides, self.padding, self.data_format)


class AveragePooling2D(_Pooling):
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

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)

    def call(self, inputs: Any) -> Any:
        return ops.average_pool(inputs, self.pool_size, self.strides, self.padding, self.data_format)


class _GlobalPooling(Layer):
    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = image_data_format(data_format)
        self.keepdims = bool(keepdims)
        self.input_spec = InputSpec(ndim=4)

    def _axes(self) -> tuple[int, int]:
        return (1, 2) if self.data_format == "channels_last" else (2, 3)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format, "keepdims": self.keepdims}


class GlobalMaxPooling2D(_GlobalPooling):
    """The largest element of each channel.

    Args:
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        keepdims: Whether height and width stay, with extent 1.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.GlobalMaxPooling2D()(np.zeros((2, 4, 4, 3))).shape
    (2, 3)
    """

    def call(self, inputs: Any) -> Any:
        return ops.max(inputs, self._axes(), self.keepdims)


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean of each channel.

    Args:
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        keepdims: Whether height and width stay, with extent 1.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.GlobalAveragePooling2D(keepdims=True)(np.zeros((2, 4, 4, 3))).shape
    (2, 1, 1, 3)
    """

    def call(self, inputs: Any) -> Any:
        return ops.mean(inputs, self._axes(), self.keepdims)
