"""The two halves of a U-Net's level."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import number
from cnnrs.layers.arguments import positive
from cnnrs.layers.blocks.base import Block
from cnnrs.layers.composed import in_turn
from cnnrs.layers.convolutional import Conv2DTranspose
from cnnrs.layers.pooling import AveragePooling2D, MaxPooling2D
from cnnrs.layers.regularization import Dropout
from cnnrs.layers.resampling import UpSampling2D

__all__ = ["UNetDown", "UNetUp"]


class _UNetBlock(Block):
    """Convolutions in turn, each with norm and activation."""

    def __init__(
        self,
        filters: int,
        num_convs: int,
        padding: str,
        attention: Any,
        dropout: float,
        seed: Any,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if padding not in ("same", "valid"):
            raise ValueError(f"{self.name}: padding: expected 'same' or 'valid', received {padding!r}")
        self._keep(
            filters=positive(filters, self.name, "filters"),
            num_convs=positive(num_convs, self.name, "num_convs", most=1000),
            padding=padding,
            dropout=number(dropout, self.name, "dropout", least=0, below=1),
            seed=seed,
        )
        self._keep_attention(attention)

    def _make_convs(self, first_strides: int = 1) -> None:
        self.steps: list[Any] = []
        for i in range(self.num_convs):
            strides = first_strides if i == 0 else 1
            self.steps += self._unit(self.filters, 3, f"step{i + 1}", strides, padding=self.padding)
        self.attention_layer = self._attend()
        self.dropout_layer = None
        if self.dropout:
            self.dropout_layer = Dropout(self.dropout, seed=self.seed, **self._inside("dropout_layer"))

    def _convolved(self, x: Any) -> Any:
        return in_turn(x, *self.steps, self.attention_layer, self.dropout_layer)


class UNetDown(_UNetBlock):
    """A level of the contracting path of a U-Net: pooling, then convolutions.

    The result goes on to the next level, and beside that to the `UNetUp` of the same size. The first level
    has `pool=None`.

    Args:
        filters: Filters of the convolutions, and output channels.
        pool: "max" or "average" pooling of 2 × 2; "conv", where the first convolution has stride 2; None to
            keep the size.
        num_convs: Number of 3 × 3 convolutions, at most 1000.
        padding: "same", or "valid" as in the paper.
        attention: What stands behind the convolutions: see `BasicBlock`.
        dropout: Share of the elements of the result that training leaves out.
        seed: Integer for the dropout; None draws one.
        **kwargs: As for `BasicBlock`; the paper has `norm=None`.

    Input shape: (batch, height, width, channels), or channels first.

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Ronneberger, Fischer and Brox 2015, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
        arXiv:1505.04597, figure 1.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.UNetDown(16)(np.zeros((2, 8, 8, 8))).shape
    (2, 4, 4, 16)
    """

    def __init__(
        self,
        filters: int,
        pool: str | None = "max",
        num_convs: int = 2,
        padding: str = "same",
        attention: Any = None,
        dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(filters, num_convs, padding, attention, dropout, seed, **kwargs)
        if pool not in ("max", "average", "conv", None):
            raise ValueError(
                f"{self.name}: pool: expected 'max', 'average', 'conv' or None, received {pool!r}"
            )
        self._keep(pool=pool)

    def _make_layers(self, input_shape: Any) -> None:
        self.pooling = None
        if self.pool in ("max", "average"):
            kind = MaxPooling2D if self.pool == "max" else AveragePooling2D
            self.pooling = kind(2, data_format=self.data_format, **self._inside("pooling"))
        self._make_convs(2 if self.pool == "conv" else 1)

    def call(self, inputs: Any) -> Any:
        return self._convolved(in_turn(inputs, self.pooling))


class UNetUp(_UNetBlock):
    """A level of the expanding path of a U-Net: a map of twice the size beside the skip, then convolutions.

    Args:
        filters: Filters of the convolutions, and output channels.
        up: "transpose", a transposed convolution of 2 × 2; "nearest" or "bilinear", an enlarged map that a
            2 × 2 convolution follows.
        num_convs: Number of 3 × 3 convolutions, at most 1000.
        padding: "same": a map that is a pixel too small or too large for the skip, whose size was odd, is
            padded or cut; or "valid" as in the paper, where the middle of the skip is cut out.
        attention: What stands behind the convolutions: see `BasicBlock`.
        dropout: Share of the elements of the result that training leaves out.
        seed: Integer for the dropout; None draws one.
        **kwargs: As for `BasicBlock`; the paper has `norm=None`.

    It is called on a list `[x, skip]` of maps (batch, height, width, channels), or channels first, where the
    skip has twice the size of `x`. Output shape with padding "same": that of the skip, of `filters` channels.

    Raises:
        ValueError: An argument is none of the above, the sizes do not fit, or the number of channels is not
            known.

    Reference:
        Ronneberger, Fischer and Brox 2015, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
        arXiv:1505.04597, figure 1.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.UNetUp(16)([np.zeros((2, 4, 4, 32)), np.zeros((2, 8, 8, 16))]).shape
    (2, 8, 8, 16)
    """

    _input_ndim = None

    def __init__(
        self,
        filters: int,
        up: str = "transpose",
        num_convs: int = 2,
        padding: str = "same",
        attention: Any = None,
        dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(filters, num_convs, padding, attention, dropout, seed, **kwargs)
        if up not in ("transpose", "nearest", "bilinear"):
            raise ValueError(
                f"{self.name}: up: expected 'transpose', 'nearest' or 'bilinear', received {up!r}"
            )
        self._keep(up=up)

    def _check(self, shapes: Any) -> None:
        if (
            not isinstance(shapes, (list, tuple))
            or len(shapes) != 2
            or any(not isinstance(shape, (list, tuple)) or len(shape) != 4 for shape in shapes)
        ):
            raise ValueError(
                f"{self.name}: expected a list [x, skip] of maps of 4 axes, received shapes {shapes}"
            )

    def _make_layers(self, input_shape: Any) -> None:
        self._check(input_shape)
        named = {"data_format": self.data_format}
        if self.up == "transpose":
            self.raising: list[Any] = [
                Conv2DTranspose(self.filters, 2, 2, **named, **self._weights(), **self._inside("up_conv"))
            ]
        else:
            larger = UpSampling2D(2, interpolation=self.up, **named, **self._inside("up_sampling"))
            self.raising = [larger, self._conv(self.filters, 2, "up_conv", use_bias=True)]
        self._make_convs()

    def _recorded_shape(self, input_shape: Any) -> Any:
        # Unknown sizes stand in a proportion that call() accepts.
        lost = 2 * self.num_convs if self.padding == "valid" else 0
        sizes = (16 + lost, 32 + 2 * lost)
        return [
            tuple(size if n is None and axis in self._spatial_axes else n for axis, n in enumerate(shape))
            for size, shape in zip(sizes, input_shape, strict=True)
        ]

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check(input_shape)
        x, skip = input_shape
        found = list(skip)
        found[self._axis] = self.filters
        if self.padding == "valid":
            for axis in self._spatial_axes:
                found[axis] = None if x[axis] is None else 2 * x[axis] - 2 * self.num_convs
        return tuple(found)

    def call(self, inputs: Any) -> Any:
        x, skip = inputs
        x = in_turn(x, *self.raising)
        for axis in self._spatial_axes:
            size, wanted = x.shape[axis], skip.shape[axis]
            if self.padding == "valid" and size <= wanted:
                skip = _cut(skip, axis, (wanted - size) // 2, size)
            elif abs(size - wanted) > 1 or self.padding == "valid":
                raise ValueError(
                    f"{self.name}: expected a skip of twice the size of the map, received shapes "
                    f"{tuple(inputs[0].shape)} and {tuple(inputs[1].shape)}"
                )
            elif size > wanted:
                x = _cut(x, axis, 0, wanted)
            elif size < wanted:
                widths = [(0, 0)] * 4
                widths[axis] = (0, 1)
                x = ops.pad(x, widths)
        return self._convolved(ops.concatenate([skip, x], self._axis))


def _cut(x: Any, axis: int, start: int, size: int) -> Any:
    """`size` places of an axis."""
    index = [slice(None)] * axis + [slice(start, start + size)]
    return x[tuple(index)]
