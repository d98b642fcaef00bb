"""Layers of several inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

from cnnrs import ops
from cnnrs.layers.base import Layer

__all__ = ["Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"]


class _Merge(Layer):
    """Combines a list of inputs element by element."""

    _function: Callable[[Any, Any], Any]
    _count: int | None = None

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape, (list, tuple)) or not all(
            isinstance(s, (list, tuple)) for s in input_shape
        ):
            raise ValueError(f"{self.name}: expected a list of inputs, received one of shape {input_shape}")
        if len(input_shape) < 2 or (self._count and len(input_shape) != self._count):
            wanted = f"{self._count}" if self._count else "at least 2"
            raise ValueError(f"{self.name}: expected {wanted} inputs, received {len(input_shape)}")

    def call(self, inputs: Any) -> Any:
        return reduce(type(self)._function, inputs)


class Add(_Merge):
    """Sum of a list of inputs.

    >>> from cnnrs import layers
    >>> import numpy as np
    >>> layers.Add()([np.ones(2), np.array([2.0, 3.0])]).tolist()
    [3.0, 4.0]
    """

    _function = staticmethod(ops.add)


class Subtract(_Merge):
    """The first of two inputs less the second."""

    _function = staticmethod(ops.subtract)
    _count = 2


class Multiply(_Merge):
    """Product of a list of inputs.

    >>> from cnnrs import layers
    >>> import numpy as np
    >>> layers.Multiply()([np.array([1.0, 2.0]), np.array([2.0, 3.0])]).tolist()
    [2.0, 6.0]
    """

    _function = staticmethod(ops.multiply)


class Maximum(_Merge):
    """The largest of a list of inputs, element by element."""

    _function = staticmethod(ops.maximum)


class Minimum(_Merge):
    """The smallest of a list of inputs, element by element."""

    _function = staticmethod(ops.minimum)


class Average(_Merge):
    """Mean of a list of inputs."""

    _function = staticmethod(ops.add)

    def call(self, inputs: Any) -> Any:
        return super().call(inputs) / float(len(inputs))


class Concatenate(_Merge):
    """A list of inputs joined along an axis.

    Args:
        axis: The axis; the others must agree.

    >>> from cnnrs import layers
    >>> import numpy as np
    >>> layers.Concatenate()([np.zeros((1, 2)), np.zeros((1, 3))]).shape
    (1, 5)
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        return ops.concatenate(list(inputs), self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class Dot(_Merge):
    """Sum of products of two inputs over an axis of each, sample by sample.

    Args:
        axes: The axis, or a pair of axes, counted with the batch.
        normalize: Whether to divide by the norms first, which gives cosines.

    >>> from cnnrs import layers
    >>> import numpy as np
    >>> layers.Dot(axes=1)([np.ones((2, 3)), np.ones((2, 3))]).tolist()
    [[3.0], [3.0]]
    """

    _count = 2

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.axes = axes
        self.normalize = normalize

    def call(self, inputs: Any) -> Any:
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else tuple(self.axes)
        first, second = inputs
        places = [axis % x.ndim for axis, x in zip(pair, inputs, strict=True)]
        if 0 in places:
            raise ValueError(f"{self.name}: axes: expected axes after the batch, received {self.axes}")
        if self.normalize:
            first, second = (ops.normalize(x, axis) for x, axis in zip((first, second), places, strict=True))
        first = ops.moveaxis(first, places[0], -1)
        second = ops.moveaxis(second, places[1], -1)
        kept = [*first.shape[1:-1], *second.shape[1:-1]]
        first, second = (
            ops.reshape(x, (x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])) for x in (first, second)
        )
        product = ops.matmul(first, ops.swapaxes(second, 1, 2))
        return ops.reshape(product, (product.shape[0], *(kept or [1])))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}
