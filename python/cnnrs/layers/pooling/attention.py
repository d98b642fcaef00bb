"""Means weighted by scores that a convolution gives to each pixel."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import choice
from cnnrs.layers.arguments import Parts
from cnnrs.layers.pooling.everywhere import GlobalPooling
from cnnrs.layers.pooling.taps import channels_first, channels_last
from cnnrs.layers.pooling.weights import channels_of
from cnnrs.layers.pooling.windows import Pooling

__all__ = ["AttentionPooling2D", "GlobalAttentionPooling2D"]

# How far below the largest score another one counts: the exponential of more is 0 in float32.
_RANGE = 80.0


class _Scores:
    """The convolution that scores places."""

    name: str

    def _take_scores(self, per: Any, parts: dict[str, Any]) -> None:
        self.per = choice(per, self.name, "per", ("layer", "channel"))
        self._parts = Parts(self, **parts)

    def build(self: Any, input_shape: Any) -> None:
        channels = channels_of(self, input_shape)
        shape = (1, 1, channels, channels if self.per == "channel" else 1)
        self.kernel = self.add_weight(shape=shape, **self._parts.of("kernel"))

    def _weighted(self: Any, inputs: Any) -> tuple[Any, Any]:
        """Images with the channels last, and the weights of their places: exponentials of scores."""
        images = channels_last(inputs, self.data_format)
        scores = ops.conv(images, self.kernel, data_format="channels_last")
        largest = ops.stop_gradient(ops.max(scores, (1, 2), keepdims=True))
        return images, ops.exp(ops.maximum(scores - largest, -_RANGE))


class AttentionPooling2D(_Scores, Pooling):
    """The mean of each window, weighted by the softmax of scores over the window.

    A convolution with a filter of one pixel gives each pixel its score: one for all channels, or one for
    each. The filter starts at 0, with which all weights are equal: the layer starts as average pooling.
    Scores more than 80 below the largest of the image count as 80 below.

    Args:
        pool_size: Height and width of the window, a number or a pair.
        strides: Step of the window; None for the window's size.
        padding: "valid" or "same"; what is beyond the border does not count.
        per: What has scores of its own: the "layer", or each "channel".
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        kernel_initializer, kernel_regularizer, kernel_constraint: Of the filter.

    Input shape: (batch, height, width, channels). Output shape: that of `AveragePooling2D`.

    Weights: kernel, (1, 1, channels, 1 or channels).

    Raises:
        ValueError: An argument is none of the above, or the window does not fit into the image.

    Reference:
        Gao, Wang and Wu 2019, "LIP: local importance-based pooling", arXiv:1908.04156, equation 5, with a
        projection as the module that gives logits.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer, x = layers.AttentionPooling2D(), np.arange(4.0).reshape(1, 2, 2, 1)
    >>> layer(x).item()
    1.5
    >>> layer.set_weights([np.full((1, 1, 1, 1), 20.0)])
    >>> layer(x).item()
    3.0
    """

    # Exponentials are larger than 16 bits hold.
    _widens = True

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        per: str = "layer",
        data_format: str | None = None,
        kernel_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        kernel_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        parts = {
            "kernel_initializer": kernel_initializer,
            "kernel_regularizer": kernel_regularizer,
            "kernel_constraint": kernel_constraint,
        }
        self._take_scores(per, parts)

    def call(self, inputs: Any) -> Any:
        images, weights = self._weighted(inputs)
        window = (self.pool_size, self.strides, self.padding, "channels_last")
        # Both means leave out what is beyond the border: their ratio is that of the sums.
        outputs = ops.average_pool(images * weights, *window) / ops.average_pool(weights, *window)
        return channels_first(outputs, self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "per": self.per, **self._parts.config()}


class GlobalAttentionPooling2D(_Scores, GlobalPooling):
    """The mean of each channel over all places, weighted by the softmax of their scores.

    A convolution with a filter of one pixel gives each place its score: one for all channels, or one for
    each. The filter starts at 0: the layer starts as `GlobalAveragePooling2D`.

    Args:
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        keepdims: Whether height and width stay, with extent 1.
        per: What has scores of its own: the "layer", or each "channel".
        kernel_initializer, kernel_regularizer, kernel_constraint: Of the filter.

    Input shape: (batch, height, width, channels). Output shape: (batch, channels).

    Weights: kernel, (1, 1, channels, 1 or channels).

    Raises:
        ValueError: An argument is none of the above.

    Reference:
        Cao, Xu, Lin, Wei and Hu 2019, "GCNet: non-local networks meet squeeze-excitation networks and
        beyond", arXiv:1904.11492, the context modelling of equation 4.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer, x = layers.GlobalAttentionPooling2D(), np.arange(4.0).reshape(1, 2, 2, 1)
    >>> layer(x).tolist()
    [[1.5]]
    """

    _widens = True

    def __init__(
        self,
        data_format: str | None = None,
        keepdims: bool = False,
        per: str = "layer",
        kernel_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        kernel_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(data_format, keepdims, **kwargs)
        parts = {
            "kernel_initializer": kernel_initializer,
            "kernel_regularizer": kernel_regularizer,
            "kernel_constraint": kernel_constraint,
        }
        self._take_scores(per, parts)

    def call(self, inputs: Any) -> Any:
        images, weights = self._weighted(inputs)
        total = ops.sum(weights, (1, 2), keepdims=True)
        outputs = ops.sum(images * weights, (1, 2), keepdims=True) / total
        outputs = channels_first(outputs, self.data_format)
        return outputs if self.keepdims else ops.squeeze(outputs, tuple(self._axes()))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "per": self.per, **self._parts.config()}
