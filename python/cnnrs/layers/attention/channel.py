"""Weights of channels, from what the whole map has of each."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.arguments import positive
from cnnrs.layers.composed import ComposedLayer, activation_argument
from cnnrs.layers.core import Dense

__all__ = ["ChannelAttention", "SqueezeExcitation"]


class _ChannelMLP(ComposedLayer):
    """A multilayer perceptron from channels to their weights, with fewer units between."""

    def __init__(
        self,
        reduction: int = 16,
        squeeze_filters: int | None = None,
        activation: Any = "relu",
        gate: Any = "sigmoid",
        use_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if squeeze_filters is not None:
            squeeze_filters = positive(squeeze_filters, self.name, "squeeze_filters")
        self._keep(
            reduction=positive(reduction, self.name, "reduction"),
            squeeze_filters=squeeze_filters,
            activation=activation_argument(activation, self.name),
            gate=activation_argument(gate, self.name, "gate"),
            use_bias=bool(use_bias),
        )

    def _make_layers(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        units = self.squeeze_filters or max(1, channels // self.reduction)
        self.squeeze = self._dense(units, "squeeze")
        self.squeeze_activation = self._function(self.activation, "squeeze_activation")
        self.excite = self._dense(channels, "excite")
        self.gate_activation = self._function(self.gate, "gate_activation")

    def _dense(self, units: int, name: str) -> Dense:
        return Dense(
            units,
            use_bias=self.use_bias,
            **self._weights(),
            **self._inside(name),
        )

    def _scores(self, pooled: Any) -> Any:
        """The perceptron, without its last activation."""
        return self.excite(self.squeeze_activation(self.squeeze(pooled)))

    def _over_maps(self, weights: Any) -> Any:
        """Weights of shape (batch, channels) in a shape that broadcasts to that of the maps."""
        return ops.expand_dims(weights, self._spatial_axes)


class SqueezeExcitation(_ChannelMLP):
    """Feature maps, each channel multiplied by a weight that the means of all channels decide.

    `inputs · gate(W₂ activation(W₁ mean(inputs) + b₁) + b₂)`: the mean over the places squeezes each
    channel into a number; two dense layers, the first of which has fewer units, excite the channels that
    matter in this image.

    Args:
        reduction: The first dense layer has `channels // reduction` units, at least 1.
        squeeze_filters: Its units as a number, whatever `reduction` says; None for none.
        activation: Name, function or layer after the first dense layer.
        gate: Name, function or layer that makes weights: "sigmoid", or "hard_sigmoid" as in MobileNetV3.
        use_bias: Whether the dense layers have a bias.
        **kwargs: `kernel_initializer` and `kernel_regularizer`, as for `Conv2D`; `data_format`,
            "channels_last" or "channels_first"; and arguments of every layer.

    Input and output shape: (batch, height, width, channels), or channels first. Weights: `2 C²/r` in the
    kernels, `C + C/r` in the biases.

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Hu, Shen, Albanie, Sun and Wu 2017, "Squeeze-and-Excitation Networks", arXiv:1709.01507, section 3.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.SqueezeExcitation(reduction=16)
    >>> layer(np.zeros((2, 8, 8, 64))).shape, layer.count_params()
    ((2, 8, 8, 64), 580)
    """

    def call(self, inputs: Any) -> Any:
        pooled = ops.mean(inputs, self._spatial_axes)
        return inputs * self._over_maps(self.gate_activation(self._scores(pooled)))


class ChannelAttention(_ChannelMLP):
    """Feature maps, each channel multiplied by a weight that means and maxima of all channels decide.

    `inputs · sigmoid(MLP(mean(inputs)) + MLP(max(inputs)))`: one perceptron of two layers, the first of which
    has fewer units, sees the mean and the maximum over the places.

    Args:
        reduction: The first dense layer has `channels // reduction` units, at least 1.
        squeeze_filters: Its units as a number, whatever `reduction` says; None for none.
        activation: Name, function or layer after the first dense layer.
        gate: Name, function or layer that makes weights of the sum.
        use_bias: Whether the dense layers have a bias.
        **kwargs: `kernel_initializer` and `kernel_regularizer`, as for `Conv2D`; `data_format`,
            "channels_last" or "channels_first"; and arguments of every layer.

    Input and output shape: (batch, height, width, channels), or channels first.

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Woo, Park, Lee and Kweon 2018, "CBAM: Convolutional Block Attention Module", arXiv:1807.06521,
        equation 2.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.ChannelAttention(reduction=16, use_bias=False)
    >>> layer(np.zeros((2, 8, 8, 64))).shape, layer.count_params()
    ((2, 8, 8, 64), 512)
    """

    def call(self, inputs: Any) -> Any:
        mean = self._scores(ops.mean(inputs, self._spatial_axes))
        largest = self._scores(ops.max(inputs, self._spatial_axes))
        return inputs * self._over_maps(self.gate_activation(mean + largest))
