"""Blocks in which each layer sees what all layers before it made."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import number
from cnnrs.layers.arguments import positive
from cnnrs.layers.blocks.base import Block
from cnnrs.layers.composed import in_turn
from cnnrs.layers.pooling import AveragePooling2D
from cnnrs.layers.regularization import Dropout

__all__ = ["DenseBlock", "TransitionBlock"]


class DenseBlock(Block):
    """The block of DenseNet: each of its layers adds `growth_rate` channels to all that came before.

    A layer is norm–activation–1 × 1 convolution to `bottleneck * growth_rate` channels, then
    norm–activation–3 × 3 convolution; without the first half if `bottleneck` is None.

    Args:
        num_layers: Layers, at most 1000.
        growth_rate: Channels that each adds.
        bottleneck: Channels between the convolutions over `growth_rate`; None for no 1 × 1 convolution.
        dropout: Share of the elements of each layer's result that training leaves out.
        seed: Integer for the dropout; None draws one.
        **kwargs: As for `BasicBlock`.

    Input shape: (batch, height, width, channels), or channels first. Output shape: the same with
    `channels + num_layers * growth_rate` channels.

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Huang, Liu, van der Maaten and Weinberger 2016, "Densely Connected Convolutional Networks",
        arXiv:1608.06993, section 3: DenseNet-B.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.DenseBlock(num_layers=6, growth_rate=32)(np.zeros((2, 8, 8, 64))).shape
    (2, 8, 8, 256)
    """

    def __init__(
        self,
        num_layers: int,
        growth_rate: int,
        bottleneck: int | None = 4,
        dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._keep(
            num_layers=positive(num_layers, self.name, "num_layers", most=1000),
            growth_rate=positive(growth_rate, self.name, "growth_rate"),
            bottleneck=None if bottleneck is None else positive(bottleneck, self.name, "bottleneck"),
            dropout=number(dropout, self.name, "dropout", least=0, below=1),
            seed=seed,
        )

    def _make_layers(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.steps = []
        for i in range(self.num_layers):
            self.steps.append(self._step(channels + i * self.growth_rate, f"layer{i + 1}"))

    def _step(self, channels: int, name: str) -> list[Any]:
        """One of the layers."""
        steps: list[Any] = []
        if self.bottleneck is not None:
            between = self.bottleneck * self.growth_rate
            steps += [self._norm(channels, f"{name}_norm1"), self._act(f"{name}_activation1")]
            steps.append(self._conv(between, 1, f"{name}_conv1"))
            channels = between
        steps += [self._norm(channels, f"{name}_norm2"), self._act(f"{name}_activation2")]
        steps.append(self._conv(self.growth_rate, 3, f"{name}_conv2"))
        if self.dropout:
            steps.append(Dropout(self.dropout, seed=self.seed, **self._inside(f"{name}_dropout")))
        return steps

    def call(self, inputs: Any) -> Any:
        x = inputs
        for steps in self.steps:
            x = ops.concatenate([x, in_turn(x, *steps)], self._axis)
        return x


class TransitionBlock(Block):
    """What stands between dense blocks: norm, activation, 1 × 1 convolution to fewer channels, pooling.

    Args:
        compression: Output channels over input channels, above 0 and at most 1, if `filters` is None.
        filters: Output channels; None for `int(channels * compression)`.
        pool_size: Of the average pooling, which is its stride, too.
        **kwargs: As for `BasicBlock`.

    Input shape: (batch, height, width, channels), or channels first. Output shape: (batch, height //
    pool_size, width // pool_size, filters).

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Huang, Liu, van der Maaten and Weinberger 2016, "Densely Connected Convolutional Networks",
        arXiv:1608.06993, section 3: DenseNet-C.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.TransitionBlock(compression=0.5)(np.zeros((2, 8, 8, 256))).shape
    (2, 4, 4, 128)
    """

    def __init__(
        self, compression: float = 0.5, filters: int | None = None, pool_size: int = 2, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self._keep(
            compression=number(compression, self.name, "compression", above=0, most=1),
            filters=None if filters is None else positive(filters, self.name, "filters"),
            pool_size=positive(pool_size, self.name, "pool_size"),
        )

    def _make_layers(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.norm_layer = self._norm(channels, "norm_layer")
        self.activation_layer = self._act("activation_layer")
        self.conv = self._conv(self.filters or max(1, int(channels * self.compression)), 1, "conv")
        self.pool = AveragePooling2D(self.pool_size, data_format=self.data_format, **self._inside("pool"))

    def call(self, inputs: Any) -> Any:
        return in_turn(inputs, self.norm_layer, self.activation_layer, self.conv, self.pool)
