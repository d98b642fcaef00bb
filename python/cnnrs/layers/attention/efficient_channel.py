"""Weights of channels, from a few neighbours of each."""

from __future__ import annotations

import math
from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import number
from cnnrs.layers.composed import ComposedLayer
from cnnrs.layers.convolutional import Conv1D

__all__ = ["ECA"]


class ECA(ComposedLayer):
    """Efficient channel attention: each channel multiplied by a weight that its neighbours' means decide.

    `inputs · sigmoid(conv(mean(inputs)))`, where the mean is over the places, and the convolution runs along
    the channels, with one filter of k taps. Without squeezing the channels, it has k weights. By default k
    follows from the number of channels C: `t = ⌊|(log₂ C + b) / γ|⌋`, and `t + 1` where t is even.

    Args:
        kernel_size: Taps of the filter, odd; None for the number above.
        gamma: γ in it.
        b: b in it.
        **kwargs: `kernel_initializer` and `kernel_regularizer`, as for `Conv2D`; `data_format`,
            "channels_last" or "channels_first"; and arguments of every layer.

    Input and output shape: (batch, height, width, channels), or channels first. Weights: kernel (k, 1, 1).

    Raises:
        ValueError: An argument is none of the above, the number of channels is not known, or the filter is
            more than twice as long as the channels are many.

    Reference:
        Wang, Wu, Zhu, Li, Zuo and Hu 2019, "ECA-Net: Efficient Channel Attention for Deep Convolutional
        Neural Networks", arXiv:1910.03151, equation 12 and figure 3.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.ECA()
    >>> layer(np.zeros((2, 8, 8, 256))).shape, layer.count_params()
    ((2, 8, 8, 256), 5)
    """

    def __init__(
        self,
        kernel_size: int | None = None,
        gamma: float = 2,
        b: float = 1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if kernel_size is not None and (
            type(kernel_size) is not int or kernel_size < 1 or kernel_size % 2 == 0
        ):
            raise ValueError(
                f"{self.name}: kernel_size: expected an odd integer >= 1, or None, received {kernel_size!r}"
            )
        self._keep(
            kernel_size=kernel_size,
            gamma=number(gamma, self.name, "gamma", above=0),
            b=number(b, self.name, "b"),
        )

    def _make_layers(self, input_shape: Any) -> None:
        taps, channels = self.kernel_size, self._channels(input_shape)
        if taps is None:
            taps = int(abs((math.log2(channels) + self.b) / self.gamma))
            taps += taps % 2 == 0
        # Further away than all channels lies only padding.
        if taps > 2 * channels + 1:
            raise ValueError(
                f"{self.name}: expected at most {2 * channels + 1} taps for {channels} channels, received "
                f"kernel_size={self.kernel_size}, gamma={self.gamma} and b={self.b}, which are {taps}"
            )
        self.conv = Conv1D(
            1,
            taps,
            padding="same",
            use_bias=False,
            **self._weights(),
            data_format="channels_last",
            **self._inside("conv"),
        )

    def call(self, inputs: Any) -> Any:
        means = ops.mean(inputs, self._spatial_axes)
        weights = ops.sigmoid(ops.squeeze(self.conv(ops.expand_dims(means, -1)), -1))
        return inputs * ops.expand_dims(weights, self._spatial_axes)
