"""Average and maximum, mixed by a number that is learnt or by a gate that sees what is pooled."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import choice, flag, number
from cnnrs.layers.arguments import Parts
from cnnrs.layers.calls import _symbols
from cnnrs.layers.pooling.everywhere import GlobalPooling
from cnnrs.layers.pooling.weights import channel_weights, channels_of
from cnnrs.layers.pooling.windows import Pooling

__all__ = ["GatedPooling2D", "GlobalMixedPooling2D", "MixedPooling2D"]


def _between(average: Any, maximum: Any, alpha: Any) -> Any:
    return average + alpha * (maximum - average)


class _Mixing:
    """The share of the maximum: a number that stays, or the sigmoid of weights."""

    name: str
    mixing: Any = None

    def _take_alpha(self, alpha: Any, per: Any, known: tuple[str, ...], parts: dict[str, Any]) -> None:
        self.alpha = None if alpha is None else number(alpha, self.name, "alpha", least=0, most=1)
        self.per = choice(per, self.name, "per", known)
        if alpha is not None and per != "layer":
            raise ValueError(f"{self.name}: alpha: expected None to learn one per {per}, received {alpha!r}")
        self._parts = Parts(self, **parts)

    def _share(self) -> Any:
        return self.alpha if self.alpha is not None else ops.sigmoid(self.mixing)

    def _config(self) -> dict[str, Any]:
        return {"alpha": self.alpha, "per": self.per, **self._parts.config()}


class MixedPooling2D(_Mixing, Pooling):
    """The maximum and the mean of each window, mixed: `alpha * max + (1 - alpha) * mean`.

    `alpha` is learnt, as the sigmoid of a weight, which keeps it between the two; or it is a number that
    stays. The weights start at 0, and alpha so at a half.

    Args:
        pool_size: Height and width of the window, a number or a pair.
        strides: Step of the window; None for the window's size.
        padding: "valid" or "same"; what is beyond the border does not count.
        alpha: The share of the maximum, from 0 to 1; None to learn it.
        per: What has an alpha of its own, if it is learnt: the "layer", each "channel", each "region" (each
            place of the output, which must be known), or each "channel_region" (each element of the output).
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        mixing_initializer, mixing_regularizer, mixing_constraint: Of the weights.

    Input shape: (batch, height, width, channels). Output shape: that of `MaxPooling2D`.

    Weights: mixing, of shape (1,), (channels,), (height out, width out, 1) or (height out, width out,
    channels); with `channels_first` the channels come first. None, if alpha is a number.

    Raises:
        ValueError: An argument is none of the above, or `per` asks for places of images of unknown size.

    Reference:
        Lee, Gallagher and Tu 2016, "Generalizing pooling functions in convolutional neural networks: mixed,
        gated, and tree", arXiv:1509.08985, equation 1.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
    >>> layers.MixedPooling2D()(x).item(), layers.MixedPooling2D(alpha=0.8)(x).item()
    (2.25, 2.700000047683716)
    """

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        alpha: float | None = None,
        per: str = "layer",
        data_format: str | None = None,
        mixing_initializer: Any = "zeros",
        mixing_regularizer: Any = None,
        mixing_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        parts = {
            "mixing_initializer": mixing_initializer,
            "mixing_regularizer": mixing_regularizer,
            "mixing_constraint": mixing_constraint,
        }
        self._take_alpha(alpha, per, ("layer", "channel", "region", "channel_region"), parts)

    def build(self, input_shape: Any) -> None:
        channels = channels_of(self, input_shape)
        if self.alpha is None:
            shape = self._shape(input_shape, channels)
            self.mixing = self.add_weight(shape=shape, **self._parts.of("mixing"))

    def _shape(self, input_shape: Any, channels: int) -> tuple[int, ...]:
        channels = channels if "channel" in self.per else 1
        last = self.data_format == "channels_last"
        if "region" not in self.per:
            return (channels,) if last or channels == 1 else (channels, 1, 1)
        output = ops.max_pool(_symbols(tuple(input_shape)), *self._window()).shape
        places = output[1:3] if last else output[2:4]
        if None in places:
            raise ValueError(
                f"{self.name}: per: expected images of known height and width for weights per {self.per}, "
                f"received shape {tuple(input_shape)}"
            )
        return (*places, channels) if last else (channels, *places)

    def call(self, inputs: Any) -> Any:
        average, maximum = (pool(inputs, *self._window()) for pool in (ops.average_pool, ops.max_pool))
        return _between(average, maximum, self._share())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config()}


class GlobalMixedPooling2D(_Mixing, GlobalPooling):
    """The maximum and the mean of each channel over all places, mixed: `alpha * max + (1 - alpha) * mean`.

    Args:
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        keepdims: Whether height and width stay, with extent 1.
        alpha: The share of the maximum, from 0 to 1; None to learn it, as `MixedPooling2D` does.
        per: What has an alpha of its own, if it is learnt: the "layer", or each "channel".
        mixing_initializer, mixing_regularizer, mixing_constraint: Of the weights.

    Input shape: (batch, height, width, channels). Output shape: (batch, channels).

    Weights: mixing, of shape (1,) or (channels,); none, if alpha is a number.

    Raises:
        ValueError: An argument is none of the above.

    Reference:
        Lee, Gallagher and Tu 2016, arXiv:1509.08985, equation 1, with all places as one region.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.GlobalMixedPooling2D()(np.arange(4.0).reshape(1, 2, 2, 1)).tolist()
    [[2.25]]
    """

    def __init__(
        self,
        data_format: str | None = None,
        keepdims: bool = False,
        alpha: float | None = None,
        per: str = "layer",
        mixing_initializer: Any = "zeros",
        mixing_regularizer: Any = None,
        mixing_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(data_format, keepdims, **kwargs)
        parts = {
            "mixing_initializer": mixing_initializer,
            "mixing_regularizer": mixing_regularizer,
            "mixing_constraint": mixing_constraint,
        }
        self._take_alpha(alpha, per, ("layer", "channel"), parts)

    def build(self, input_shape: Any) -> None:
        channels = channels_of(self, input_shape)
        if self.alpha is None:
            shape = (channels if self.per == "channel" else 1,)
            self.mixing = self.add_weight(shape=shape, **self._parts.of("mixing"))

    def call(self, inputs: Any) -> Any:
        average, maximum = (pool(inputs, self._axes(), True) for pool in (ops.mean, ops.max))
        share = self._share()
        outputs = _between(
            average, maximum, share if self.mixing is None else channel_weights(share, self.data_format)
        )
        return outputs if self.keepdims else ops.squeeze(outputs, tuple(self._axes()))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config()}


class GatedPooling2D(Pooling):
    """The maximum and the mean of each window, mixed by a gate that depends on the image.

    It is `g * max + (1 - g) * mean`, where g is the sigmoid of a weighted sum: of the elements of the window
    in the same channel, or, with `gate="pointwise"`, of the means of the window in all channels.

    Args:
        pool_size: Height and width of the window, a number or a pair.
        strides: Step of the window; None for the window's size.
        padding: "valid" or "same"; what is beyond the border does not count.
        gate: "region" for a filter of the size of the window, as in the paper; "pointwise" for a convolution
            with a filter of one pixel.
        per: "layer" for one filter for all channels, "channel" for one each.
        use_bias: Whether a bias is added before the sigmoid; the paper has none.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        kernel_initializer, kernel_regularizer, kernel_constraint: Of the filters.
        bias_initializer, bias_regularizer, bias_constraint: Of the bias.

    Input shape: (batch, height, width, channels). Output shape: that of `MaxPooling2D`.

    Weights: kernel, for regions of shape (pool height, pool width, 1 or channels, 1), for pixels (1, 1,
    channels, 1 or channels); and bias, (1,) or (channels,).

    Raises:
        ValueError: An argument is none of the above.

    Reference:
        Lee, Gallagher and Tu 2016, "Generalizing pooling functions in convolutional neural networks: mixed,
        gated, and tree", arXiv:1509.08985, equation 3.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.GatedPooling2D()
    >>> layer(np.arange(4.0).reshape(1, 2, 2, 1)).item()
    2.25
    >>> layer.set_weights([np.full((2, 2, 1, 1), 10.0)])
    >>> layer(np.arange(4.0).reshape(1, 2, 2, 1)).item()
    3.0
    """

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        gate: str = "region",
        per: str = "layer",
        use_bias: bool = False,
        data_format: str | None = None,
        kernel_initializer: Any = "zeros",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        self.gate = choice(gate, self.name, "gate", ("region", "pointwise"))
        self.per = choice(per, self.name, "per", ("layer", "channel"))
        self.use_bias = flag(use_bias, self.name, "use_bias")
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
        self._channels = channels_of(self, input_shape)
        many = self._channels if self.per == "channel" else 1
        shape = (*self.pool_size, many, 1) if self.gate == "region" else (1, 1, self._channels, many)
        self.kernel = self.add_weight(shape=shape, **self._parts.of("kernel"))
        self.bias = self.add_weight(shape=(many,), **self._parts.of("bias")) if self.use_bias else None

    def call(self, inputs: Any) -> Any:
        average, maximum = (pool(inputs, *self._window()) for pool in (ops.average_pool, ops.max_pool))
        if self.gate == "region":
            kernel = ops.broadcast_to(self.kernel, (*self.pool_size, self._channels, 1))
            window: dict[str, Any] = {
                "strides": self.strides,
                "padding": self.padding,
                "data_format": self.data_format,
            }
            gate = ops.depthwise_conv(inputs, kernel, **window)
        else:
            gate = ops.conv(average, self.kernel, data_format=self.data_format)
        if self.bias is not None:
            gate = gate + channel_weights(self.bias, self.data_format)
        return _between(average, maximum, ops.sigmoid(gate))

    def get_config(self) -> dict[str, Any]:
        own = {"gate": self.gate, "per": self.per, "use_bias": self.use_bias}
        return {**super().get_config(), **own, **self._parts.config()}
