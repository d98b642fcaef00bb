"""Weights of places, from what all channels have there."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.composed import ComposedLayer, activation_argument, window_argument
from cnnrs.layers.convolutional import Conv2D

__all__ = ["SpatialAttention"]


class SpatialAttention(ComposedLayer):
    """Feature maps, each place multiplied by a weight that the places around it decide.

    `inputs · sigmoid(conv([mean, max]))`, where mean and maximum are over the channels of each place, and the
    convolution has one filter of `kernel_size`.

    Args:
        kernel_size: Height and width of the window, a number or a pair.
        gate: Name, function or layer that makes weights.
        use_bias: Whether the convolution has a bias.
        **kwargs: `kernel_initializer` and `kernel_regularizer`, as for `Conv2D`; `data_format`,
            "channels_last" or "channels_first"; and arguments of every layer.

    Input and output shape: (batch, height, width, channels), or channels first. Weights: kernel
    (height, width, 2, 1), whatever the number of channels.

    Raises:
        ValueError: An argument is none of the above.

    Reference:
        Woo, Park, Lee and Kweon 2018, "CBAM: Convolutional Block Attention Module", arXiv:1807.06521,
        equation 3.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.SpatialAttention(kernel_size=7)
    >>> layer(np.zeros((2, 8, 8, 64))).shape, layer.count_params()
    ((2, 8, 8, 64), 98)
    """

    def __init__(
        self,
        kernel_size: Any = 7,
        gate: Any = "sigmoid",
        use_bias: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._keep(
            kernel_size=window_argument(kernel_size, self.name),
            gate=activation_argument(gate, self.name, "gate"),
            use_bias=bool(use_bias),
        )

    def _make_layers(self, input_shape: Any) -> None:
        self.conv = Conv2D(
            1,
            self.kernel_size,
            padding="same",
            use_bias=self.use_bias,
            **self._weights(),
            data_format=self.data_format,
            **self._inside("conv"),
        )
        self.gate_activation = self._function(self.gate, "gate_activation")

    def call(self, inputs: Any) -> Any:
        axis = self._axis
        means = ops.mean(inputs, axis, keepdims=True)
        largest = ops.max(inputs, axis, keepdims=True)
        return inputs * self.gate_activation(self.conv(ops.concatenate([means, largest], axis)))
