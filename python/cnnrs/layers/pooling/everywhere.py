"""One value for each channel, of all places."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.spatial import image_data_format

__all__ = [
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
]


class GlobalPooling(Layer):
    """One value for each channel, of all places."""

    _rank: int = 2

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = image_data_format(data_format, self.name)
        self.keepdims = bool(keepdims)
        self.input_spec = InputSpec(ndim=self._rank + 2)
        self._build_at_init()

    def _axes(self) -> list[int]:
        first = 1 if self.data_format == "channels_last" else 2
        return list(range(first, first + self._rank))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format, "keepdims": self.keepdims}


class _GlobalMaxPooling(GlobalPooling):
    def call(self, inputs: Any) -> Any:
        return ops.max(inputs, self._axes(), self.keepdims)


class _GlobalAveragePooling(GlobalPooling):
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
