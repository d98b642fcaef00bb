"""Convolutions of several reaches side by side."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import integers, number
from cnnrs.layers.arguments import positive
from cnnrs.layers.blocks.base import Block
from cnnrs.layers.composed import in_turn
from cnnrs.layers.regularization import Dropout

__all__ = ["ASPP"]


class ASPP(Block):
    """Atrous spatial pyramid pooling of DeepLabV3: 3 × 3 convolutions of several dilations, side by side.

    Beside them are a 1 × 1 convolution, and the mean of the whole map through a 1 × 1 convolution, which each
    place gets. A last 1 × 1 convolution takes all of them together.

    Args:
        filters: Filters of each branch, and output channels.
        dilation_rates: Of the 3 × 3 convolutions: (6, 12, 18) where the map is a sixteenth of the image's
            size, the doubles where it is an eighth.
        dropout: Share of the elements of the result that training leaves out; torchvision has 0.5.
        seed: Integer for the dropout; None draws one.
        **kwargs: As for `BasicBlock`.

    Input shape: (batch, height, width, channels), or channels first. Output shape: the same with `filters`
    channels.

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Chen, Papandreou, Schroff and Adam 2017, "Rethinking Atrous Convolution for Semantic Image
        Segmentation", arXiv:1706.05587, section 3.3 and figure 5.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.ASPP(32, dilation_rates=(2, 4))(np.zeros((2, 8, 8, 64))).shape
    (2, 8, 8, 32)
    """

    def __init__(
        self,
        filters: int = 256,
        dilation_rates: Any = (6, 12, 18),
        dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._keep(
            filters=positive(filters, self.name, "filters"),
            dilation_rates=tuple(integers(dilation_rates, self.name, "dilation_rates", least=1)),
            dropout=number(dropout, self.name, "dropout", least=0, below=1),
            seed=seed,
        )

    def _make_layers(self, input_shape: Any) -> None:
        self.branches = [self._unit(self.filters, 1, "branch1")]
        for i, rate in enumerate(self.dilation_rates):
            self.branches.append(self._unit(self.filters, 3, f"branch{i + 2}", dilation_rate=rate))
        self.pooled = self._unit(self.filters, 1, "pooled")
        self.projecting = self._unit(self.filters, 1, "project")
        if self.dropout:
            self.projecting.append(Dropout(self.dropout, seed=self.seed, **self._inside("dropout_layer")))

    def call(self, inputs: Any) -> Any:
        maps = [in_turn(inputs, *branch) for branch in self.branches]
        mean = in_turn(ops.mean(inputs, self._spatial_axes, keepdims=True), *self.pooled)
        maps.append(ops.broadcast_to(mean, maps[0].shape))
        return in_turn(ops.concatenate(maps, self._axis), *self.projecting)
