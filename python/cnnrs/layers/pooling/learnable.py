"""Pooling by filters that are learnt."""

from __future__ import annotations

import math
from typing import Any

from cnnrs import initializers, ops
from cnnrs.base.arguments import flag
from cnnrs.layers.arguments import Parts
from cnnrs.layers.pooling.weights import channel_weights, channels_of
from cnnrs.layers.pooling.windows import Pooling

__all__ = ["LearnablePooling2D"]


class LearnablePooling2D(Pooling):
    """A weighted sum of each window, with weights for each channel: a depthwise convolution with steps.

    It starts as average pooling, and learns from there what to keep.

    Args:
        pool_size: Height and width of the window, a number or a pair.
        strides: Step of the window; None for the window's size.
        padding: "valid" or "same"; what is beyond the border counts as 0.
        use_bias: Whether a bias is added.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        kernel_initializer: How the weights start; None for those of the mean, `1 / (height * width)`.
        bias_initializer: How the bias starts.
        kernel_regularizer, bias_regularizer: Penalties.
        kernel_constraint, bias_constraint: Applied after each update.

    Input shape: (batch, height, width, channels). Output shape: that of `AveragePooling2D`.

    Weights: kernel, (pool height, pool width, channels, 1), and bias, (channels,).

    Raises:
        ValueError: An argument is none of the above.

    Reference:
        Springenberg, Dosovitskiy, Brox and Riedmiller 2015, "Striving for simplicity: the all convolutional
        net", arXiv:1412.6806, section 2, where convolutions with steps take the place of pooling; here
        channel by channel, as LeNet-5's trainable subsampling (LeCun et al. 1998) did with one weight.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.LearnablePooling2D()
    >>> layer(np.arange(4.0).reshape(1, 2, 2, 1)).item(), layer.count_params()
    (1.5, 4)
    """

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        use_bias: bool = False,
        data_format: str | None = None,
        kernel_initializer: Any = None,
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        self.use_bias = flag(use_bias, self.name, "use_bias")
        if kernel_initializer is None:
            kernel_initializer = initializers.Constant(1.0 / math.prod(self.pool_size))
        self._parts = Parts(
            self,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )

    def build(self, input_shape: Any) -> None:
        channels = channels_of(self, input_shape)
        self.kernel = self.add_weight(shape=(*self.pool_size, channels, 1), **self._parts.of("kernel"))
        self.bias = self.add_weight(shape=(channels,), **self._parts.of("bias")) if self.use_bias else None

    def call(self, inputs: Any) -> Any:
        window: dict[str, Any] = {
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
        }
        outputs = ops.depthwise_conv(inputs, self.kernel, **window)
        return outputs if self.bias is None else outputs + channel_weights(self.bias, self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "use_bias": self.use_bias, **self._parts.config()}
