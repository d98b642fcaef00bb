"""Pooling over windows, and over all spatial axes."""

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
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
]


class _Pooling(Layer):
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
        self.data_format = image_data_format(data_format)
        self.input_spec = InputSpec(ndim=self._rank + 2)
        self._build_at_init()

    def _numbers(self, value: Any, argument: str) -> tuple[int, ...]:
        return tuple(spatial_numbers(value, f"{self.name}: {argument}", self._rank))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
        }


class _MaxPooling(_Pooling):
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


class _AveragePooling(_Pooling):
    def call(self, inputs: Any) -> Any:
        return ops.average_pool(inputs, self.pool_size, self.strides, self.padding, self.data_format)


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


class _GlobalPooling(Layer):
    """One value a channel, of all places."""

    _rank: int = 2

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = image_data_format(data_format)
        self.keepdims = bool(keepdims)
        self.input_spec = InputSpec(ndim=self._rank + 2)
        self._build_at_init()

    def _axes(self) -> list[int]:
        first = 1 if self.data_format == "channels_last" else 2
        return list(range(first, first + self._rank))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format, "keepdims": self.keepdims}


class _GlobalMaxPooling(_GlobalPooling):
    def call(self, inputs: Any) -> Any:
        return ops.max(inputs, self._axes(), self.keepdims)


class _GlobalAveragePooling(_GlobalPooling):
    def call(self, inputs: Any) -> Any:
        return ops.mean(inputs, self._axes(), self.keepdims)


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """The largest element of each channel.

    Args:
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        keepdims: Whether height and width stay, with extent 1.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.GlobalMaxPooling2D()(np.zeros((2, 4, 4, 3))).shape
    (2, 3)
    """


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """The largest element of each channel of sequences of shape (batch, steps, channels).

    Args:
        data_format, keepdims: As for `GlobalMaxPooling2D`.
    """

    _rank = 1


class GlobalMaxPooling3D(_GlobalMaxPooling):
    """The largest element of each channel of volumes of shape (batch, depth, height, width, channels).

    Args:
        data_format, keepdims: As for `GlobalMaxPooling2D`.
    """

    _rank = 3


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """The mean of each channel.

    Args:
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        keepdims: Whether height and width stay, with extent 1.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.GlobalAveragePooling2D(keepdims=True)(np.zeros((2, 4, 4, 3))).shape
    (2, 1, 1, 3)
    """


class GlobalAveragePooling1D(_GlobalAveragePooling):
    """The mean of each channel of sequences of shape (batch, steps, channels), over the steps of its mask.

    Args:
        data_format, keepdims: As for `GlobalAveragePooling2D`.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.GlobalAveragePooling1D()(np.array([[[1.0], [5.0]]]), mask=np.array([[True, False]])).tolist()
    [[1.0]]
    """

    _rank = 1
    _supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return super().call(inputs)
        (axis,) = self._axes()
        mask = ops.cast(ops.expand_dims(mask, 2 if axis == 1 else 1), "bool")
        total = ops.sum(ops.where(mask, inputs, ops.zeros_like(inputs)), axis, self.keepdims)
        return total / ops.sum(ops.cast(mask, inputs.dtype), axis, self.keepdims)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None


class GlobalAveragePooling3D(_GlobalAveragePooling):
    """The mean of each channel of volumes of shape (batch, depth, height, width, channels).

    Args:
        data_format, keepdims: As for `GlobalAveragePooling2D`.
    """

    _rank = 3
