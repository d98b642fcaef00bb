"""Layers of several inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

from cnnrs import ops
from cnnrs.layers.base import Layer
from cnnrs.ops.dispatch import standardize_axis
from cnnrs.ops.masks import mask_of

__all__ = [
    "Add",
    "Average",
    "Concatenate",
    "Dot",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]


class _Merge(Layer):
    """Combines a list of inputs element by element. Those of fewer axes get axes of 1 after the batch.

    Where all inputs have masks, the output has one: True where any of them is.
    """

    _function: Callable[[Any, Any], Any]
    _count: int | None = None
    _supports_masking = True

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)

    def build(self, input_shape: Any) -> None:
        shapes = self._shapes(input_shape)
        if len({shape[0] for shape in shapes if shape} - {None}) > 1:
            raise ValueError(f"{self.name}: expected inputs of one batch, received shapes {shapes}")
        rank = max(map(len, shapes))
        for extents in zip(*(_with_rank(shape, rank) for shape in shapes), strict=True):
            if len({e for e in extents if e is not None} - {1}) > 1:
                raise ValueError(
                    f"{self.name}: shapes {' and '.join(map(str, map(tuple, shapes)))} do not broadcast"
                )

    def _shapes(self, input_shape: Any) -> list[Any]:
        """The shapes of a list of inputs.

        Raises:
            ValueError: There is no list of as many inputs as the layer takes.
        """
        listed = isinstance(input_shape, (list, tuple)) and input_shape
        if not listed or not all(isinstance(s, (list, tuple)) for s in input_shape):
            raise ValueError(f"{self.name}: expected a list of inputs, received one of shape {input_shape}")
        if self._count and len(input_shape) != self._count:
            raise ValueError(f"{self.name}: expected {self._count} inputs, received {len(input_shape)}")
        return list(input_shape)

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)):
            raise ValueError(f"{self.name}: expected a list of inputs, received {inputs!r}")
        rank = max(x.ndim for x in inputs)
        return self._merge([x if x.ndim == rank else _expand(x, rank) for x in inputs])

    def _merge(self, inputs: list[Any]) -> Any:
        return reduce(type(self)._function, inputs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return None
        for argument, value in (("inputs", inputs), ("mask", mask)):
            if not isinstance(value, (list, tuple)):
                raise ValueError(f"{self.name}: {argument}: expected a list, received {value!r}")
        if len(mask) != len(inputs):
            raise ValueError(f"{self.name}: mask: expected {len(inputs)} masks, received {len(mask)}")
        return self._merge_masks(inputs, mask)

    def _merge_masks(self, inputs: Any, masks: Any) -> Any:
        return None if any(m is None for m in masks) else reduce(ops.logical_or, masks)


def _with_rank(shape: Any, rank: int) -> tuple[Any, ...]:
    return (*shape[:1], *[1] * (rank - len(shape)), *shape[1:])


def _expand(x: Any, rank: int) -> Any:
    """`x` with axes of 1 after the batch; its mask, which is for other axes, is left behind."""
    return ops.reshape(x, _with_rank(x.shape, rank))


def _mask_over(x: Any) -> Any:
    """The mask of `x` over all its elements; None if it has none."""
    mask = mask_of(x)
    return None if mask is None else ops.broadcast_to(ops.expand_dims(mask, -1), x.shape)


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
    """Product of a list of inputs. What a mask leaves out counts as 1.

    >>> from cnnrs import layers
    >>> import numpy as np
    >>> layers.Multiply()([np.array([1.0, 2.0]), np.array([2.0, 3.0])]).tolist()
    [2.0, 6.0]
    """

    _function = staticmethod(ops.multiply)

    def _merge(self, inputs: list[Any]) -> Any:
        masks = [_mask_over(x) for x in inputs]
        pairs = zip(inputs, masks, strict=True)
        product = super()._merge([x if m is None else ops.where(m, x, ops.ones_like(x)) for x, m in pairs])
        if any(m is None for m in masks):
            return product
        return ops.where(reduce(ops.logical_or, masks), product, ops.zeros_like(product))


class _Extremum(_Merge):
    """One of a list of inputs at each place; those that a mask leaves out do not take part."""

    def _merge(self, inputs: list[Any]) -> Any:
        output, kept = inputs[0], _mask_over(inputs[0])
        for x in inputs[1:]:
            mask = _mask_over(x)
            if mask is not None:
                x = ops.where(mask, x, output)
            if kept is not None:
                output = ops.where(kept, output, x)
            kept = None if mask is None or kept is None else ops.logical_or(kept, mask)
            output = type(self)._function(output, x)
        return output


class Maximum(_Extremum):
    """The largest of a list of inputs, element by element."""

    _function = staticmethod(ops.maximum)


class Minimum(_Extremum):
    """The smallest of a list of inputs, element by element."""

    _function = staticmethod(ops.minimum)


class Average(_Merge):
    """Mean of a list of inputs."""

    _function = staticmethod(ops.add)

    def _merge(self, inputs: list[Any]) -> Any:
        return super()._merge(inputs) / float(len(inputs))


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

    def build(self, input_shape: Any) -> None:
        shapes = self._shapes(input_shape)
        if len(set(map(len, shapes))) > 1:
            raise ValueError(f"{self.name}: expected inputs of one rank, received shapes {shapes}")
        axis = standardize_axis(self.axis, len(shapes[0]), f"{self.name}: axis")
        for place, extents in enumerate(zip(*shapes, strict=True)):
            if place != axis and len({e for e in extents if e is not None}) > 1:
                raise ValueError(
                    f"{self.name}: expected inputs that differ in the extent of axis {self.axis} alone, "
                    f"received shapes {shapes}"
                )

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)):
            raise ValueError(f"{self.name}: expected a list of inputs, received {inputs!r}")
        return ops.concatenate(list(inputs), self.axis)

    def _merge_masks(self, inputs: Any, masks: Any) -> Any:
        if all(m is None for m in masks):
            return None
        whole = []
        for x, mask in zip(inputs, masks, strict=True):
            ones = ops.ones_like(x, dtype="bool")
            if mask is not None:
                mask = ops.cast(mask, "bool")
                ones = ops.logical_and(ones, ops.expand_dims(mask, -1) if mask.ndim < x.ndim else mask)
            whole.append(ones)
        return ops.any(ops.concatenate(whole, self.axis), axis=-1)

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
        if not isinstance(axes, int):
            if not isinstance(axes, (list, tuple)):
                raise TypeError(f"{self.name}: axes: expected an integer or a pair, received {axes!r}")
            if len(axes) != 2 or not all(isinstance(axis, int) for axis in axes):
                raise ValueError(f"{self.name}: axes: expected two integers, received {axes!r}")
        self.axes = axes
        self.normalize = normalize

    def build(self, input_shape: Any) -> None:
        shapes = self._shapes(input_shape)
        extents = [shape[place] for shape, place in zip(shapes, self._places(*shapes), strict=True)]
        if len({e for e in extents if e is not None}) > 1:
            raise ValueError(
                f"{self.name}: axes {self.axes}: expected axes of one extent, received {extents} "
                f"of shapes {shapes}"
            )

    def _places(self, *shapes: Any) -> list[int]:
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else tuple(self.axes)
        places = [
            standardize_axis(axis, len(shape), f"{self.name}: axes")
            for axis, shape in zip(pair, shapes, strict=True)
        ]
        if 0 in places:
            raise ValueError(f"{self.name}: axes: expected axes after the batch, received {self.axes}")
        return places

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
            raise ValueError(f"{self.name}: expected a list of 2 inputs, received {inputs!r}")
        first, second = inputs
        places = self._places(first.shape, second.shape)
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

    def _merge_masks(self, inputs: Any, masks: Any) -> None:
        return None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def add(inputs: Any, **kwargs: Any) -> Any:
    """`Add(**kwargs)(inputs)`.

    >>> from cnnrs import Input, layers
    >>> layers.add([Input((3,)), Input((3,))]).shape
    (None, 3)
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """`Subtract(**kwargs)(inputs)`."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """`Multiply(**kwargs)(inputs)`."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """`Average(**kwargs)(inputs)`."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """`Maximum(**kwargs)(inputs)`."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """`Minimum(**kwargs)(inputs)`."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate(axis, **kwargs)(inputs)`.

    >>> from cnnrs import Input, layers
    >>> layers.concatenate([Input((3,)), Input((2,))]).shape
    (None, 5)
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """`Dot(axes, **kwargs)(inputs)`."""
    return Dot(axes=axes, **kwargs)(inputs)
