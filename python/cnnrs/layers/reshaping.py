"""Shapes, padding, cropping and upsampling."""

from __future__ import annotations

import math
from typing import Any

from cnnrs import ops
from cnnrs.layers.arguments import positive
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.convolution import image_data_format, pair

__all__ = ["Cropping2D", "Flatten", "Permute", "RepeatVector", "Reshape", "UpSampling2D", "ZeroPadding2D"]


class Flatten(Layer):
    """All axes after the batch as one.

    Args:
        data_format: With "channels_first" the channels are moved last before.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Flatten()(np.zeros((2, 5, 5, 16))).shape
    (2, 400)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = image_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = ops.moveaxis(inputs, 1, -1)
        return ops.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class Reshape(Layer):
    """The axes after the batch in another shape.

    Args:
        target_shape: Extents without the batch; one may be -1.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Reshape((3, -1))(np.zeros((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, target_shape: Any, **kwargs: Any):
        super().__init__(**kwargs)
        target_shape = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)
        if sum(extent == -1 for extent in target_shape) > 1 or any(extent < -1 for extent in target_shape):
            raise ValueError(f"{self.name}: target_shape: expected at most one -1, received {target_shape}")
        self.target_shape = target_shape

    def build(self, input_shape: Any) -> None:
        extents = input_shape[1:]
        if None in extents:
            return
        size, known = math.prod(extents), math.prod(extent for extent in self.target_shape if extent != -1)
        fits = size % known == 0 if -1 in self.target_shape and known else size == known
        if not fits:
            raise ValueError(
                f"{self.name}: target_shape: expected {size} elements per sample, "
                f"as in shape {tuple(input_shape)}, received {self.target_shape}"
            )

    def call(self, inputs: Any) -> Any:
        # Of an empty batch, the batch's shape does not say what -1 stands for.
        known = math.prod(extent for extent in self.target_shape if extent != -1)
        rest = math.prod(inputs.shape[1:]) // known if known else -1
        shape = (rest if extent == -1 else extent for extent in self.target_shape)
        return ops.reshape(inputs, (inputs.shape[0], *shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}


class Permute(Layer):
    """The axes after the batch in another order.

    Args:
        dims: The order, counted from 1.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Permute((2, 1))(np.zeros((2, 3, 4))).shape
    (2, 4, 3)
    """

    def __init__(self, dims: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"{self.name}: dims: expected an order of 1 to {len(self.dims)}, received {dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return ops.transpose(inputs, (0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}


class RepeatVector(Layer):
    """Each vector repeated along a new axis: (batch, features) to (batch, n, features).

    Args:
        n: How often.
    """

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.n = positive(n, self.name, "n")
        self.input_spec = InputSpec(ndim=2)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return ops.broadcast_to(ops.expand_dims(inputs, 1), (inputs.shape[0], self.n, inputs.shape[1]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}


def _margins(value: Any, layer: str, argument: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """A number, a number per axis, or a pair per axis, as ((top, bottom), (left, right))."""
    if isinstance(value, int):
        value = (value, value)
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(f"{layer}: {argument}: expected a number or a pair, received {value!r}")
    height, width = (tuple(pair(side, f"{layer}: {argument}", 0)) for side in value)
    return height, width  # type: ignore[return-value]


class ZeroPadding2D(Layer):
    """Zeros around images.

    Args:
        padding: A number, `(rows, columns)`, or `((top, bottom), (left, right))`.
        data_format: "channels_last" or "channels_first"; None takes the configured one.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.ZeroPadding2D(((1, 0), (2, 3)))(np.zeros((1, 4, 4, 1))).shape
    (1, 5, 9, 1)
    """

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.padding = _margins(padding, self.name, "padding")
        self.data_format = image_data_format(data_format)
        self.input_spec = InputSpec(ndim=4)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        none = (0, 0)
        last = self.data_format == "channels_last"
        return ops.pad(inputs, (none, *self.padding, none) if last else (none, none, *self.padding))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}


class Cropping2D(Layer):
    """Images without their margins.

    Args:
        cropping: A number, `(rows, columns)`, or `((top, bottom), (left, right))`.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
    """

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.cropping = _margins(cropping, self.name, "cropping")
        self.data_format = image_data_format(data_format)
        self.input_spec = InputSpec(ndim=4)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        height, width = inputs.shape[1:3] if self.data_format == "channels_last" else inputs.shape[2:4]
        (top, bottom), (left, right) = self.cropping
        if top + bottom >= height or left + right >= width:
            raise ValueError(
                f"{self.name}: cropping: {self.cropping} leaves nothing of {height} x {width} pixels"
            )
        rows, columns = slice(top, height - bottom), slice(left, width - right)
        return (
            inputs[:, rows, columns] if self.data_format == "channels_last" else inputs[:, :, rows, columns]
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": self.cropping, "data_format": self.data_format}


class UpSampling2D(Layer):
    """Larger images.

    Args:
        size: Factors of height and width, a number or a pair.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        interpolation: "nearest" or "bilinear".

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.UpSampling2D(2)(np.zeros((1, 3, 4, 5))).shape
    (1, 6, 8, 5)
    """

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(
                f"{self.name}: interpolation: expected 'nearest' or 'bilinear', received {interpolation!r}"
            )
        self.size = tuple(pair(size, f"{self.name}: size"))
        self.data_format = image_data_format(data_format)
        self.interpolation = interpolation
        self.input_spec = InputSpec(ndim=4)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        axis = 1 if self.data_format == "channels_last" else 2
        if self.interpolation == "nearest":
            return ops.repeat(ops.repeat(inputs, self.size[0], axis), self.size[1], axis + 1)
        size = (inputs.shape[axis] * self.size[0], inputs.shape[axis + 1] * self.size[1])
        return ops.image.resize(inputs, size, self.interpolation, data_format=self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "data_format": self.data_format,
            "interpolation": self.interpolation,
        }
