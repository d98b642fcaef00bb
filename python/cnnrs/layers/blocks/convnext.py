"""The block of ConvNeXt."""

from __future__ import annotations

from typing import Any

from cnnrs import initializers, ops
from cnnrs.base.arguments import number
from cnnrs.layers.arguments import positive
from cnnrs.layers.base import Layer
from cnnrs.layers.blocks.base import Block
from cnnrs.layers.composed import in_turn, window_argument

__all__ = ["ConvNeXtBlock"]


class ConvNeXtBlock(Block):
    """The block of ConvNeXt: 7 × 7 depthwise, layer norm, 1 × 1 to more channels, GELU, 1 × 1 back.

    The result is multiplied by a learnt number for each channel that starts small, and the input is added.

    Args:
        kernel_size: Height and width of the depthwise convolution's window, a number or a pair.
        expansion: Channels inside over those of the input.
        layer_scale: Where the numbers of the channels start; None for none.
        drop_path: Share of the samples that training leaves the branch out for: see `StochasticDepth`.
        norm: "layer", with an epsilon of 1e-6; others as for `BasicBlock`.
        activation: Name, function, or a layer that is copied.
        kernel_initializer: How kernels start.
        seed: Integer for `drop_path`; None draws one.
        **kwargs: `kernel_regularizer`; `data_format`: "channels_last" or "channels_first"; and arguments of
            every layer.

    Input and output shape: (batch, height, width, channels), or channels first. Weights: `(k² + 1) C` of the
    depthwise convolution, `2 C` of the norm, `2 e C² + e C + C` of the 1 × 1 convolutions, `C` of the scale.

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Liu, Mao, Wu, Feichtenhofer, Darrell and Xie 2022, "A ConvNet for the 2020s", arXiv:2201.03545,
        figure 4. The scale: Touvron, Cord, Sablayrolles, Synnaeve and Jégou 2021, "Going deeper with Image
        Transformers", arXiv:2103.17239.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> block = layers.ConvNeXtBlock()
    >>> block(np.zeros((2, 8, 8, 96))).shape, block.count_params()
    ((2, 8, 8, 96), 79296)
    """

    def __init__(
        self,
        kernel_size: Any = 7,
        expansion: int = 4,
        layer_scale: float | None = 1e-6,
        drop_path: float = 0.0,
        norm: Any = "layer",
        activation: Any = "gelu",
        kernel_initializer: Any = "glorot_uniform",
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(norm=norm, activation=activation, kernel_initializer=kernel_initializer, **kwargs)
        self._keep(
            kernel_size=window_argument(kernel_size, self.name),
            expansion=positive(expansion, self.name, "expansion"),
            layer_scale=None if layer_scale is None else number(layer_scale, self.name, "layer_scale"),
        )
        self._keep_drop_path(drop_path, seed)

    def _make_layers(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        named = not isinstance(self.norm, Layer)
        self.depthwise_conv = self._depthwise(self.kernel_size, "depthwise_conv", use_bias=True)
        self.norm_layer = self._norm(channels, "norm_layer", **({"epsilon": 1e-6} if named else {}))
        self.expand_conv = self._conv(self.expansion * channels, 1, "expand_conv", use_bias=True)
        self.activation_layer = self._act("activation_layer")
        self.project_conv = self._conv(channels, 1, "project_conv", use_bias=True)
        self.scale = None
        if self.layer_scale is not None:
            start = initializers.Constant(self.layer_scale)
            self.scale = self.add_weight(shape=(channels,), initializer=start, name="scale")
        self.stochastic_depth = self._drop()

    def call(self, inputs: Any) -> Any:
        x = in_turn(
            inputs,
            self.depthwise_conv,
            self.norm_layer,
            self.expand_conv,
            self.activation_layer,
            self.project_conv,
        )
        if self.scale is not None:
            last = self.data_format == "channels_last"
            x = x * (self.scale if last else ops.reshape(self.scale, (-1, 1, 1)))
        return inputs + in_turn(x, self.stochastic_depth)
