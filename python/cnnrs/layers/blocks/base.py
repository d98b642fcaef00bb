"""What blocks share: convolutions, norms, activations, attention and dropped branches by arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs.base.arguments import number
from cnnrs.layers.attention.cbam import CBAM
from cnnrs.layers.attention.channel import ChannelAttention, SqueezeExcitation
from cnnrs.layers.attention.efficient_channel import ECA
from cnnrs.layers.attention.spatial import SpatialAttention
from cnnrs.layers.base import Layer
from cnnrs.layers.blocks.norms import make_norm, norm_argument
from cnnrs.layers.composed import ComposedLayer, activation_argument, copy_of, layer_argument
from cnnrs.layers.convolutional import Conv2D, DepthwiseConv2D
from cnnrs.layers.dropping import StochasticDepth

__all__ = ["Block"]

_ATTENTION: dict[str, Callable[..., Layer]] = {
    "se": SqueezeExcitation,
    "cbam": CBAM,
    "eca": ECA,
    "channel": ChannelAttention,
    "spatial": SpatialAttention,
}


class Block(ComposedLayer):
    """The base of blocks of convolutions, each with a normalisation and an activation behind or before it.

    Args:
        norm: What normalises: "batch", "layer", "group", "instance", a layer that is copied, a function that
            makes one, or None; see `make_norm`. Convolutions have a bias where it is None.
        activation: Name, function, or a layer that is copied; None for none.
        kernel_initializer: How kernels start.
        **kwargs: `kernel_regularizer`; `data_format`; and arguments of every layer.
    """

    def __init__(
        self,
        *,
        norm: Any = "batch",
        activation: Any = "relu",
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ):
        super().__init__(kernel_initializer=kernel_initializer, **kwargs)
        activation = activation_argument(activation, self.name)
        self._keep(norm=norm_argument(norm, self.name), activation=activation)

    def _keep_attention(self, attention: Any) -> None:
        self._keep(attention=layer_argument(attention, _ATTENTION, self.name, "attention"))

    def _keep_drop_path(self, drop_path: Any, seed: Any) -> None:
        self._keep(drop_path=number(drop_path, self.name, "drop_path", least=0, below=1), seed=seed)

    def _conv(self, filters: int, kernel_size: Any, name: str, strides: Any = 1, **others: Any) -> Conv2D:
        """A convolution that keeps the size but for `strides`."""
        given: dict[str, Any] = {
            "padding": "same",
            "use_bias": self.norm is None,
            **self._weights(),
            **others,
        }
        return Conv2D(
            filters, kernel_size, strides, data_format=self.data_format, **given, **self._inside(name)
        )

    def _depthwise(self, kernel_size: Any, name: str, strides: Any = 1, **others: Any) -> DepthwiseConv2D:
        """A convolution of each channel that keeps the size but for `strides`."""
        return DepthwiseConv2D(
            kernel_size,
            strides,
            padding="same",
            use_bias=others.get("use_bias", self.norm is None),
            depthwise_initializer=self.kernel_initializer,
            depthwise_regularizer=self.kernel_regularizer,
            data_format=self.data_format,
            **self._inside(name),
        )

    def _norm(self, channels: int, name: str, **others: Any) -> Layer | None:
        return make_norm(self.norm, channels, self._axis, **others, **self._inside(name))

    def _unit(self, filters: int, kernel_size: Any, name: str, strides: Any = 1, **others: Any) -> list[Any]:
        """A convolution, a norm and an activation, for `in_turn`."""
        return [
            self._conv(filters, kernel_size, f"{name}_conv", strides, **others),
            self._norm(filters, f"{name}_norm"),
            self._act(f"{name}_activation"),
        ]

    def _act(self, name: str) -> Any:
        return self._function(self.activation, name)

    def _attend(self, name: str = "attention_layer") -> Layer | None:
        """The layer that `attention` asks for."""
        if self.attention is None:
            return None
        if isinstance(self.attention, Layer):
            return copy_of(self.attention, **self._inside(name))
        return _ATTENTION[self.attention](data_format=self.data_format, **self._inside(name))

    def _drop(self, name: str = "stochastic_depth") -> Layer | None:
        """The layer that leaves out a branch of some samples in training, if `drop_path` asks for it."""
        if self.drop_path == 0:
            return None
        return StochasticDepth(self.drop_path, seed=self.seed, **self._inside(name))
