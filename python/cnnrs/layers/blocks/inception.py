"""Convolutions of several sizes side by side."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.arguments import positive
from cnnrs.layers.blocks.base import Block
from cnnrs.layers.composed import in_turn
from cnnrs.layers.pooling import MaxPooling2D
from cnnrs.ops.spatial import spatial_numbers

__all__ = ["InceptionBlock"]

_FILTERS = (
    "filters_1x1",
    "filters_3x3_reduce",
    "filters_3x3",
    "filters_5x5_reduce",
    "filters_5x5",
    "filters_pool",
)


class InceptionBlock(Block):
    """The module of GoogLeNet: 1 × 1, 3 × 3 and 5 × 5 convolutions and a pooling, their channels together.

    The larger convolutions have a 1 × 1 convolution to fewer channels before them, the pooling of 3 × 3 one
    behind it. The arguments are the columns of the paper's table 1.

    Args:
        filters_1x1: Filters of the 1 × 1 convolution.
        filters_3x3_reduce, filters_3x3: Filters before and of the 3 × 3 convolution.
        filters_5x5_reduce, filters_5x5: Filters before and of the 5 × 5 convolution.
        filters_pool: Filters behind the pooling.
        kernel_sizes: Of the two larger convolutions; (3, 3) is what torchvision has.
        norm: None, as in the paper; "batch" for the network with batch normalisation; others as for
            `BasicBlock`.
        **kwargs: As for `BasicBlock`.

    Input shape: (batch, height, width, channels), or channels first. Output shape: the same with
    `filters_1x1 + filters_3x3 + filters_5x5 + filters_pool` channels.

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke and Rabinovich 2014, "Going Deeper with
        Convolutions", arXiv:1409.4842, figure 2b and table 1.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> block = layers.InceptionBlock(64, 96, 128, 16, 32, 32)
    >>> block(np.zeros((2, 8, 8, 192))).shape, block.count_params()
    ((2, 8, 8, 256), 163696)
    """

    def __init__(
        self,
        filters_1x1: int,
        filters_3x3_reduce: int,
        filters_3x3: int,
        filters_5x5_reduce: int,
        filters_5x5: int,
        filters_pool: int,
        kernel_sizes: Any = (3, 5),
        norm: Any = None,
        **kwargs: Any,
    ):
        super().__init__(norm=norm, **kwargs)
        given = (filters_1x1, filters_3x3_reduce, filters_3x3, filters_5x5_reduce, filters_5x5, filters_pool)
        for name, value in zip(_FILTERS, given, strict=True):
            self._keep(**{name: positive(value, self.name, name)})
        sizes = spatial_numbers(kernel_sizes, f"{self.name}: kernel_sizes", 2, 1)
        self._keep(kernel_sizes=tuple(sizes))

    def _make_layers(self, input_shape: Any) -> None:
        second, third = self.kernel_sizes
        pooling = MaxPooling2D(3, 1, padding="same", data_format=self.data_format, **self._inside("pooling"))
        self.branches = [
            self._unit(self.filters_1x1, 1, "branch1"),
            [
                *self._unit(self.filters_3x3_reduce, 1, "branch2_reduce"),
                *self._unit(self.filters_3x3, second, "branch2"),
            ],
            [
                *self._unit(self.filters_5x5_reduce, 1, "branch3_reduce"),
                *self._unit(self.filters_5x5, third, "branch3"),
            ],
            [pooling, *self._unit(self.filters_pool, 1, "branch4")],
        ]

    def call(self, inputs: Any) -> Any:
        return ops.concatenate([in_turn(inputs, *branch) for branch in self.branches], self._axis)
