"""An activation that sees the neighbourhood of each pixel."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import number
from cnnrs.layers.arguments import Parts
from cnnrs.layers.base import Layer
from cnnrs.layers.batch_normalization import BatchNormalization
from cnnrs.layers.convolutional import DepthwiseConv2D
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.spatial import image_data_format, pair

__all__ = ["FReLU"]


class FReLU(Layer):
    """The larger of each pixel and a funnel condition: `max(x, BN(depthwise(x)))`.

    The condition is a weighted sum of the pixel's neighbourhood in the same channel, normalised by its batch.
    Where ReLU compares with 0, this compares with what is around, and so activates by spatial context.

    Args:
        kernel_size: Height and width of the neighbourhood, a number or a pair.
        momentum, epsilon: Of the batch normalisation.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        kernel_initializer, kernel_regularizer, kernel_constraint: Of the filters.

    Input and output shape: (batch, height, width, channels).

    Weights: the filters, (height, width, channels, 1), and gamma, beta, moving_mean and moving_variance of
    the batch normalisation, each (channels,).

    Raises:
        ValueError: An argument is none of the above.

    Reference:
        Ma, Zhang and Sun 2020, "Funnel activation for visual recognition", arXiv:2007.11824, equations 1
        and 2; the normalisation is that of the authors' code.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.FReLU(kernel_initializer="zeros")
    >>> layer(np.array([-1.0, 2.0]).reshape(1, 1, 2, 1)).tolist()
    [[[[0.0], [2.0]]]]
    >>> layers.FReLU()(np.zeros((1, 5, 5, 16))).shape
    (1, 5, 5, 16)
    """

    _is_activation = True

    def __init__(
        self,
        kernel_size: Any = 3,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        data_format: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        kernel_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.kernel_size = tuple(pair(kernel_size, f"{self.name}: kernel_size"))
        self.momentum = number(momentum, self.name, "momentum", least=0, most=1)
        self.epsilon = number(epsilon, self.name, "epsilon", above=0)
        self.data_format = image_data_format(data_format, self.name)
        self._parts = Parts(
            self,
            kernel_initializer=kernel_initializer,
            kernel_regularizer=kernel_regularizer,
            kernel_constraint=kernel_constraint,
        )
        self.condition = DepthwiseConv2D(
            self.kernel_size,
            padding="same",
            data_format=self.data_format,
            use_bias=False,
            depthwise_initializer=self.kernel_initializer,
            depthwise_regularizer=self.kernel_regularizer,
            depthwise_constraint=self.kernel_constraint,
            dtype=self.dtype_policy,
            name="condition",
        )
        self.normalization = BatchNormalization(
            axis=-1 if self.data_format == "channels_last" else 1,
            momentum=self.momentum,
            epsilon=self.epsilon,
            dtype=self.dtype_policy,
            name="normalization",
        )
        self.input_spec = InputSpec(ndim=4)

    def build(self, input_shape: Any) -> None:
        self.condition._build_with(input_shape)
        self.normalization._build_with(input_shape)
        self.input_spec = self.condition.input_spec

    def call(self, inputs: Any, training: Any = None) -> Any:
        return ops.maximum(inputs, self.normalization(self.condition(inputs), training=training))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "data_format": self.data_format,
            **self._parts.config(),
        }
