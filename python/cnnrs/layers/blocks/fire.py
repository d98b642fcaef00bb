"""The module of SqueezeNet."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.arguments import positive
from cnnrs.layers.blocks.base import Block
from cnnrs.layers.composed import in_turn

__all__ = ["FireBlock"]


class FireBlock(Block):
    """The fire module of SqueezeNet: a 1 × 1 convolution to few channels, then 1 × 1 and 3 × 3 side by side.

    Args:
        squeeze: Filters of the first convolution.
        expand_1x1: Filters of the 1 × 1 convolution behind it.
        expand_3x3: Filters of the 3 × 3 convolution beside that one; None for as many.
        norm: None, as in the paper; others as for `BasicBlock`.
        **kwargs: As for `BasicBlock`.

    Input shape: (batch, height, width, channels), or channels first. Output shape: the same with
    `expand_1x1 + expand_3x3` channels.

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer 2016, "SqueezeNet: AlexNet-level accuracy with 50x
        fewer parameters and <0.5MB model size", arXiv:1602.07360, section 3.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> block = layers.FireBlock(16, 64)
    >>> block(np.zeros((2, 8, 8, 96))).shape, block.count_params()
    ((2, 8, 8, 128), 11920)
    """

    def __init__(
        self,
        squeeze: int,
        expand_1x1: int,
        expand_3x3: int | None = None,
        norm: Any = None,
        **kwargs: Any,
    ):
        super().__init__(norm=norm, **kwargs)
        self._keep(
            squeeze=positive(squeeze, self.name, "squeeze"),
            expand_1x1=positive(expand_1x1, self.name, "expand_1x1"),
            expand_3x3=None if expand_3x3 is None else positive(expand_3x3, self.name, "expand_3x3"),
        )

    def _make_layers(self, input_shape: Any) -> None:
        self.squeezing = self._unit(self.squeeze, 1, "squeeze")
        self.expanding = [
            self._unit(self.expand_1x1, 1, "expand_1x1"),
            self._unit(self.expand_3x3 or self.expand_1x1, 3, "expand_3x3"),
        ]

    def call(self, inputs: Any) -> Any:
        x = in_turn(inputs, *self.squeezing)
        return ops.concatenate([in_turn(x, *branch) for branch in self.expanding], self._axis)
