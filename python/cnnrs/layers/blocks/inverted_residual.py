"""Blocks that are wide inside and narrow at their ends: MobileNetV2, EfficientNet and EfficientNetV2."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import number
from cnnrs.layers.arguments import positive
from cnnrs.layers.attention.channel import SqueezeExcitation
from cnnrs.layers.base import Layer
from cnnrs.layers.blocks.base import Block
from cnnrs.layers.composed import in_turn, window_argument
from cnnrs.ops.spatial import spatial_numbers

__all__ = ["FusedMBConv", "InvertedResidual", "MBConv"]


class _NarrowBlock(Block):
    """A branch to more channels and back, to which the input is added where the shape stays."""

    # Whether the depthwise convolution is inside, else a full one in place of it and of the first 1 × 1.
    _is_depthwise = True

    def __init__(
        self,
        filters: int,
        strides: Any,
        expansion: float,
        kernel_size: Any,
        drop_path: float,
        activation: Any,
        seed: Any,
        **kwargs: Any,
    ):
        super().__init__(activation=activation, **kwargs)
        self._keep(
            filters=positive(filters, self.name, "filters"),
            strides=tuple(spatial_numbers(strides, f"{self.name}: strides", 2, 1)),
            expansion=number(expansion, self.name, "expansion", least=1),
            kernel_size=window_argument(kernel_size, self.name),
        )
        self._keep_drop_path(drop_path, seed)

    def _make_layers(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self._adds = max(self.strides) == 1 and channels == self.filters
        inside = int(channels * self.expansion)
        self.steps = self._expanding(channels, inside)
        self.attention_layer = self._attend_to(channels)
        self.projecting = []
        if self._is_depthwise or inside != channels:
            self.projecting = [
                self._conv(self.filters, 1, "project_conv"),
                self._norm(self.filters, "project_norm"),
            ]
        self.stochastic_depth = self._drop() if self._adds else None

    def _expanding(self, channels: int, inside: int) -> list[Any]:
        steps: list[Any] = []
        if inside != channels:
            steps += [
                self._conv(inside, 1, "expand_conv"),
                self._norm(inside, "expand_norm"),
                self._act("expand_activation"),
            ]
        return [
            *steps,
            self._depthwise(self.kernel_size, "depthwise_conv", self.strides),
            self._norm(inside, "depthwise_norm"),
            self._act("depthwise_activation"),
        ]

    def _attend_to(self, channels: int) -> Layer | None:
        """The attention inside, of a block whose input has so many channels."""
        raise NotImplementedError(f"{type(self).__name__}: expected the class to define _attend_to()")

    def call(self, inputs: Any) -> Any:
        x = in_turn(inputs, *self.steps, self.attention_layer, *self.projecting, self.stochastic_depth)
        return x + inputs if self._adds else x


class InvertedResidual(_NarrowBlock):
    """The block of MobileNetV2: 1 × 1 convolution to more channels, depthwise, 1 × 1 to few channels.

    Norm and activation stand behind the first two, a norm alone behind the last one. The input is added where
    stride and channels leave the shape as it is.

    Args:
        filters: Output channels.
        strides: Step of the depthwise convolution, a number or a pair.
        expansion: Channels inside over those of the input; with 1 there is no first convolution.
        kernel_size: Height and width of the depthwise convolution's window, a number or a pair.
        attention: What stands behind the depthwise convolution: "se", "cbam", "eca", "channel", "spatial", a
            layer that is copied, a function that makes one; None for nothing.
        drop_path: Share of the samples that training leaves the branch out for: see `StochasticDepth`.
        activation: Name, function, or a layer that is copied.
        seed: Integer for `drop_path`; None draws one.
        **kwargs: As for `BasicBlock`.

    Input shape: (batch, height, width, channels), or channels first. Output shape: (batch,
    ceil(height / strides), ceil(width / strides), filters).

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Sandler, Howard, Zhu, Zhmoginov and Chen 2018, "MobileNetV2: Inverted Residuals and Linear
        Bottlenecks", arXiv:1801.04381, section 3.3 and figure 4d.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.InvertedResidual(24, strides=2)(np.zeros((2, 8, 8, 16))).shape
    (2, 4, 4, 24)
    """

    def __init__(
        self,
        filters: int,
        strides: Any = 1,
        expansion: float = 6,
        kernel_size: Any = 3,
        attention: Any = None,
        drop_path: float = 0.0,
        activation: Any = "relu6",
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(filters, strides, expansion, kernel_size, drop_path, activation, seed, **kwargs)
        self._keep_attention(attention)

    def _attend_to(self, channels: int) -> Layer | None:
        return self._attend()


class MBConv(_NarrowBlock):
    """The block of EfficientNet: an inverted residual with squeeze and excitation inside.

    Args:
        filters, strides, expansion, kernel_size: As for `InvertedResidual`.
        se_ratio: Units between the dense layers of `SqueezeExcitation` over the channels of the block's
            input; 0 for no such layer.
        drop_path: Share of the samples that training leaves the branch out for: see `StochasticDepth`.
        activation: Name, function, or a layer that is copied; the attention has it, too.
        seed: Integer for `drop_path`; None draws one.
        **kwargs: As for `BasicBlock`.

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
        arXiv:1905.11946, section 4; the block is that of Tan, Chen, Pang, Vasudevan, Sandler, Howard and Le
        2018, "MnasNet", arXiv:1807.11626.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.MBConv(40, strides=2, kernel_size=5)(np.zeros((2, 8, 8, 24))).shape
    (2, 4, 4, 40)
    """

    def __init__(
        self,
        filters: int,
        strides: Any = 1,
        expansion: float = 6,
        kernel_size: Any = 3,
        se_ratio: float = 0.25,
        drop_path: float = 0.0,
        activation: Any = "silu",
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(filters, strides, expansion, kernel_size, drop_path, activation, seed, **kwargs)
        self._keep(se_ratio=number(se_ratio, self.name, "se_ratio", least=0, most=1))

    def _attend_to(self, channels: int) -> Layer | None:
        if self.se_ratio == 0:
            return None
        return SqueezeExcitation(
            squeeze_filters=max(1, int(channels * self.se_ratio)),
            activation=self._act("attention_activation"),
            data_format=self.data_format,
            **self._weights(),
            **self._inside("attention_layer"),
        )


class FusedMBConv(MBConv):
    """The block of EfficientNetV2's first stages: `MBConv` with one full convolution to more channels.

    The full convolution stands in place of the 1 × 1 and the depthwise one. With `expansion` 1 it is the only
    one, and has `filters`.

    Args:
        filters, strides, kernel_size, drop_path, activation, seed: As for `MBConv`.
        expansion: Channels inside over those of the input.
        se_ratio: As for `MBConv`; the paper has none in these stages.
        **kwargs: As for `BasicBlock`.

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Tan and Le 2021, "EfficientNetV2: Smaller Models and Faster Training", arXiv:2104.00298, figure 2.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.FusedMBConv(48, strides=2, expansion=4)(np.zeros((2, 8, 8, 24))).shape
    (2, 4, 4, 48)
    """

    _is_depthwise = False

    def __init__(
        self,
        filters: int,
        strides: Any = 1,
        expansion: float = 4,
        kernel_size: Any = 3,
        se_ratio: float = 0.0,
        drop_path: float = 0.0,
        activation: Any = "silu",
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            filters, strides, expansion, kernel_size, se_ratio, drop_path, activation, seed, **kwargs
        )

    def _expanding(self, channels: int, inside: int) -> list[Any]:
        filters = inside if inside != channels else self.filters
        return [
            self._conv(filters, self.kernel_size, "expand_conv", self.strides),
            self._norm(filters, "expand_norm"),
            self._act("expand_activation"),
        ]
