"""Attention to channels, then to places."""

from __future__ import annotations

from typing import Any

from cnnrs.layers.arguments import positive
from cnnrs.layers.attention.channel import ChannelAttention
from cnnrs.layers.attention.spatial import SpatialAttention
from cnnrs.layers.composed import ComposedLayer, window_argument

__all__ = ["CBAM"]


class CBAM(ComposedLayer):
    """Convolutional block attention module: `ChannelAttention`, then `SpatialAttention`.

    It keeps the shape, so that it can stand behind any convolution; in residual blocks it stands before the
    addition.

    Args:
        reduction: Of the channels, as for `ChannelAttention`.
        kernel_size: Height and width of the window of `SpatialAttention`.
        use_bias: Whether the dense layers of `ChannelAttention` have a bias.
        **kwargs: `kernel_initializer` and `kernel_regularizer`, as for `Conv2D`; `data_format`,
            "channels_last" or "channels_first"; and arguments of every layer.

    Input and output shape: (batch, height, width, channels), or channels first. Weights:
    `2 C²/r + C + C/r + 2 k²`.

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Woo, Park, Lee and Kweon 2018, "CBAM: Convolutional Block Attention Module", arXiv:1807.06521,
        equation 1.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.CBAM(reduction=16, kernel_size=7)
    >>> layer(np.zeros((2, 8, 8, 64))).shape, layer.count_params()
    ((2, 8, 8, 64), 678)
    """

    def __init__(
        self,
        reduction: int = 16,
        kernel_size: Any = 7,
        use_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._keep(
            reduction=positive(reduction, self.name, "reduction"),
            kernel_size=window_argument(kernel_size, self.name),
            use_bias=bool(use_bias),
        )

    def _make_layers(self, input_shape: Any) -> None:
        given = {**self._weights(), "data_format": self.data_format}
        self.channel_attention = ChannelAttention(
            self.reduction, use_bias=self.use_bias, **given, **self._inside("channel_attention")
        )
        self.spatial_attention = SpatialAttention(
            self.kernel_size, **given, **self._inside("spatial_attention")
        )

    def call(self, inputs: Any) -> Any:
        return self.spatial_attention(self.channel_attention(inputs))
