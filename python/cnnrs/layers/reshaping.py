"""Shapes of samples."""

from __future__ import annotations

import math
from typing import Any

from cnnrs import ops
from cnnrs.layers.arguments import positive
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.spatial import image_data_format
from cnnrs.symbolic import KerasTensor

__all__ = ["Flatten", "Permute", "RepeatVector", "Reshape"]


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
        self.data_format = image_data_format(data_format, self.name)
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
        if None in extents or None in self.target_shape:
            return
        size, known = math.prod(extents), math.prod(extent for extent in self.target_shape if extent != -1)
        fits = size % known == 0 if -1 in self.target_shape and known else size == known
        if not fits:
            raise ValueError(
                f"{self.name}: target_shape: expected {size} elements per sample, "
                f"as in shape {tuple(input_shape)}, received {self.target_shape}"
            )

    def compute_output_spec(self, inputs: Any) -> Any:
        if None not in inputs.shape[1:]:
            return super().compute_output_spec(inputs)
        # What is unknown of the input says nothing of the output, whose extents are given.
        target = (None if extent == -1 else extent for extent in self.target_shape)
        return KerasTensor((inputs.shape[0], *target), inputs.dtype)

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
        if not isinstance(n, int):
            raise TypeError(f"{self.name}: n: expected an integer, received {n!r}")
        self.n = positive(n, self.name, "n")
        self.input_spec = InputSpec(ndim=2)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return ops.broadcast_to(ops.expand_dims(inputs, 1), (inputs.shape[0], self.n, inputs.shape[1]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
