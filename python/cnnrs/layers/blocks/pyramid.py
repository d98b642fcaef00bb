"""Maps of several sizes, each with what the smaller ones know."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import integer
from cnnrs.layers.arguments import positive
from cnnrs.layers.blocks.base import Block
from cnnrs.layers.blocks.sizes import enlarged
from cnnrs.layers.calls import _is_shape
from cnnrs.layers.composed import in_turn

__all__ = ["FPN"]


class FPN(Block):
    """Feature pyramid network: a list of a network's maps becomes a list of maps of equal channels.

    Each map goes through a 1 × 1 convolution. From the smallest on, each is enlarged and added to the next
    larger one. A 3 × 3 convolution of each sum makes the output.

    Args:
        filters: Channels of all outputs.
        extra_levels: Further, smaller maps at the end, each of half the size of the one before.
        extra: How they are made: "pool", every second pixel, as for Faster R-CNN; or "conv", a 3 × 3
            convolution of stride 2 of the last map of the input, then of the relu of the one before, as for
            RetinaNet.
        interpolation: "nearest" or "bilinear", how maps are enlarged.
        norm: None, as in the paper; others as for `BasicBlock`.
        activation: Of the convolutions; None, as in the paper.
        **kwargs: As for `BasicBlock`.

    It is called on a list of maps, each smaller than the one before, usually by 2: (batch, height, width,
    channels), or channels first. Output: a list of `len(inputs) + extra_levels` maps of the sizes of the
    inputs and `filters` channels.

    Raises:
        ValueError: An argument is none of the above, a map is larger than the one before it, or the number of
            channels is not known.

    Reference:
        Lin, Dollár, Girshick, He, Hariharan and Belongie 2016, "Feature Pyramid Networks for Object
        Detection", arXiv:1612.03144, section 3. RetinaNet: Lin, Goyal, Girshick, He and Dollár 2017,
        arXiv:1708.02002, footnote 2.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> maps = [np.zeros((1, 16, 16, 64)), np.zeros((1, 8, 8, 128)), np.zeros((1, 4, 4, 256))]
    >>> [p.shape for p in layers.FPN(32, extra_levels=1)(maps)]
    [(1, 16, 16, 32), (1, 8, 8, 32), (1, 4, 4, 32), (1, 2, 2, 32)]
    """

    _input_ndim = None

    def __init__(
        self,
        filters: int = 256,
        extra_levels: int = 0,
        extra: str = "pool",
        interpolation: str = "nearest",
        norm: Any = None,
        activation: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(norm=norm, activation=activation, kernel_initializer=kernel_initializer, **kwargs)
        for argument, value, known in (
            ("extra", extra, ("pool", "conv")),
            ("interpolation", interpolation, ("nearest", "bilinear")),
        ):
            if value not in known:
                raise ValueError(
                    f"{self.name}: {argument}: expected {known[0]!r} or {known[1]!r}, received {value!r}"
                )
        self._keep(
            filters=positive(filters, self.name, "filters"),
            extra_levels=integer(extra_levels, self.name, "extra_levels", least=0),
            extra=extra,
            interpolation=interpolation,
        )

    def _check(self, shapes: Any) -> None:
        if not isinstance(shapes, (list, tuple)) or _is_shape(shapes) or any(len(s) != 4 for s in shapes):
            raise ValueError(
                f"{self.name}: expected a list of maps of 4 axes, received shapes {shapes}; of one map, a "
                "list of one"
            )

    def _make_layers(self, input_shape: Any) -> None:
        self._check(input_shape)
        self.lateral = []
        self.smoothing = []
        for i in range(len(input_shape)):
            self.lateral.append(self._unit(self.filters, 1, f"lateral{i + 1}"))
            self.smoothing.append(self._unit(self.filters, 3, f"output{i + 1}"))
        self.extra_convs = []
        if self.extra == "conv":
            for i in range(self.extra_levels):
                name = f"extra{i + 1}"
                self.extra_convs.append(self._conv(self.filters, 3, name, strides=2, use_bias=True))

    def _recorded_shape(self, input_shape: Any) -> Any:
        # Unknown sizes stand in a proportion that call() accepts.
        last = len(input_shape) - 1
        return [
            tuple(
                8 << (last - i) if n is None and a in self._spatial_axes else n for a, n in enumerate(shape)
            )
            for i, shape in enumerate(input_shape)
        ]

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check(input_shape)
        shapes = []
        for shape in input_shape:
            shapes.append(self._with_sizes(shape, [shape[a] for a in self._spatial_axes]))
        for _ in range(self.extra_levels):
            sizes = [shapes[-1][a] for a in self._spatial_axes]
            half = [None if n is None else -(-n // 2) for n in sizes]
            shapes.append(self._with_sizes(shapes[-1], half))
        return shapes

    def _with_sizes(self, shape: Any, sizes: Any) -> tuple[Any, ...]:
        found = list(shape)
        for axis, size in zip(self._spatial_axes, sizes, strict=True):
            found[axis] = size
        found[self._axis] = self.filters
        return tuple(found)

    def call(self, inputs: Any) -> Any:
        if len(inputs) != len(self.lateral):
            raise ValueError(
                f"{self.name}: expected {len(self.lateral)} maps, as at the first call, "
                f"received {len(inputs)}"
            )
        maps = [in_turn(x, *steps) for x, steps in zip(inputs, self.lateral, strict=True)]
        for i in range(len(maps) - 1, 0, -1):
            sizes = [maps[i - 1].shape[a] for a in self._spatial_axes]
            own = [maps[i].shape[a] for a in self._spatial_axes]
            if own[0] > sizes[0] or own[1] > sizes[1]:
                raise ValueError(
                    f"{self.name}: expected maps of which each is smaller than the one before, received "
                    f"one of {own[0]} × {own[1]} behind one of {sizes[0]} × {sizes[1]}"
                )
            maps[i - 1] = maps[i - 1] + enlarged(maps[i], sizes, self.interpolation, self.data_format)
        maps = [in_turn(x, *steps) for x, steps in zip(maps, self.smoothing, strict=True)]
        return maps + self._further(inputs[-1], maps[-1])

    def _further(self, source: Any, smallest: Any) -> list[Any]:
        """The extra maps."""
        found: list[Any] = []
        for i in range(self.extra_levels):
            if self.extra == "conv":
                x = self.extra_convs[i](ops.relu(found[-1]) if found else source)
            else:
                x = found[-1] if found else smallest
                every = (slice(None, None, 2), slice(None, None, 2))
                last = self.data_format == "channels_last"
                x = x[(slice(None), *every)] if last else x[(slice(None), slice(None), *every)]
            found.append(x)
        return found
