"""Convolutions."""

from __future__ import annotations

from typing import Any

from cnnrs import activations, ops
from cnnrs.layers.arguments import Parts, positive
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.convolution import image_data_format, pair

__all__ = ["Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D"]


class _Convolution(Layer):
    """What all convolutions share: windows, bias, activation."""

    bias: Any

    def __init__(
        self,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
        activation: Any,
        use_bias: bool,
        activity_regularizer: Any,
        parts: dict[str, Any],
        **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.kernel_size = tuple(pair(kernel_size, f"{self.name}: kernel_size"))
        self.strides = tuple(pair(strides, f"{self.name}: strides"))
        if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
            raise ValueError(f"{self.name}: padding: expected 'valid' or 'same', received {padding!r}")
        self.padding = padding.lower()
        self.data_format = image_data_format(data_format)
        self.dilation_rate = tuple(pair(dilation_rate, f"{self.name}: dilation_rate"))
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{self.name}: strides {self.strides} and dilation_rate {self.dilation_rate}: "
                "expected one of them to be 1"
            )
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self._parts = Parts(self, **parts)
        self.input_spec = InputSpec(ndim=4)

    def _channels(self, input_shape: Any) -> int:
        channels = input_shape[-1 if self.data_format == "channels_last" else 1]
        if channels is None:
            raise ValueError(
                f"{self.name}: expected a known number of channels, received shape {input_shape}"
            )
        self.input_spec = InputSpec(ndim=4, axes={-1 if self.data_format == "channels_last" else 1: channels})
        return channels

    def _finish(self, outputs: Any) -> Any:
        if self.bias is not None:
            channels_last = self.data_format == "channels_last"
            outputs = outputs + (self.bias if channels_last else ops.reshape(self.bias, (-1, 1, 1)))
        return self.activation(outputs)

    def _window(self) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            **self._window(),
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **self._parts.config(),
        }


class Conv2D(_Convolution):
    """Convolution of images.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the window, a number or a pair.
        strides: Step of the window, a number or a pair.
        padding: "valid", or "same" for ceil(size / stride) output pixels; where the amount of padding is odd,
            the extra row or column is at the bottom or right.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        dilation_rate: Distance between the elements of the window, a number or a pair.
        groups: Number of groups of channels that are convolved separately.
        activation: Name or function; None for none.
        use_bias: Whether to add a bias.
        kernel_initializer, bias_initializer: How the weights start.
        kernel_regularizer, bias_regularizer: Penalties of the weights.
        activity_regularizer: Penalty of the output.
        kernel_constraint, bias_constraint: Applied to the weights after each update.

    Input shape: (batch, height, width, channels). Output shape: (batch, new height, new width, filters).
    Weights: kernel (height, width, channels / groups, filters), bias (filters,).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Conv2D(6, 5, padding="same")(np.zeros((2, 28, 28, 1))).shape
    (2, 28, 28, 6)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        parts = {
            "kernel_initializer": kernel_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "bias_constraint": bias_constraint,
        }
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            activity_regularizer,
            parts,
            **kwargs,
        )
        self.filters = positive(filters, self.name, "filters")
        self.groups = positive(groups, self.name, "groups")
        if self.filters % self.groups:
            raise ValueError(
                f"{self.name}: filters: expected a multiple of groups {groups}, received {filters}"
            )

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ValueError(
                f"{self.name}: groups: expected a divisor of {channels} channels, received {self.groups}"
            )
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self.add_weight(shape=shape, **self._parts.of("kernel"))
        self.bias = (
            self.add_weight(shape=(self.filters,), **self._parts.of("bias")) if self.use_bias else None
        )

    def call(self, inputs: Any) -> Any:
        return self._finish(ops.conv(inputs, self.kernel, **self._window()))

    def get_config(self) -> dict[str, Any]:
        return {"filters": self.filters, "groups": self.groups, **super().get_config()}


class DepthwiseConv2D(_Convolution):
    """Convolution of each channel by filters of its own.

    Args:
        kernel_size: Height and width of the window, a number or a pair.
        strides: Step of the window, a number or a pair.
        padding: "valid" or "same".
        depth_multiplier: Filters for each channel.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        dilation_rate: Distance between the elements of the window, a number or a pair.
        activation: Name or function; None for none.
        use_bias: Whether to add a bias.
        depthwise_initializer, bias_initializer: How the weights start.
        depthwise_regularizer, bias_regularizer: Penalties of the weights.
        activity_regularizer: Penalty of the output.
        depthwise_constraint, bias_constraint: Applied to the weights after each update.

    Input shape: (batch, height, width, channels). Output shape: (batch, new height, new width, channels *
    depth_multiplier). Weights: kernel (height, width, channels, depth_multiplier), bias.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.DepthwiseConv2D(3, depth_multiplier=2)(np.zeros((1, 8, 8, 4))).shape
    (1, 6, 6, 8)
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        parts = {
            "depthwise_initializer": depthwise_initializer,
            "bias_initializer": bias_initializer,
            "depthwise_regularizer": depthwise_regularizer,
            "bias_regularizer": bias_regularizer,
            "depthwise_constraint": depthwise_constraint,
            "bias_constraint": bias_constraint,
        }
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            activity_regularizer,
            parts,
            **kwargs,
        )
        self.depth_multiplier = positive(depth_multiplier, self.name, "depth_multiplier")

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self.add_weight(shape=shape, **{**self._parts.of("depthwise"), "name": "kernel"})
        shape = (channels * self.depth_multiplier,)
        self.bias = self.add_weight(shape=shape, **self._parts.of("bias")) if self.use_bias else None

    def call(self, inputs: Any) -> Any:
        return self._finish(ops.depthwise_conv(inputs, self.kernel, **self._window()))

    def get_config(self) -> dict[str, Any]:
        return {"depth_multiplier": self.depth_multiplier, **super().get_config()}


class SeparableConv2D(_Convolution):
    """A depthwise convolution followed by one with a 1 x 1 kernel.

    Args:
        filters: Number of output channels.
        kernel_size, strides, padding, data_format, dilation_rate: Of the depthwise convolution.
        depth_multiplier: Filters for each channel of the depthwise convolution.
        activation: Name or function; None for none.
        use_bias: Whether to add a bias.
        depthwise_initializer, pointwise_initializer, bias_initializer: How the weights start.
        depthwise_regularizer, pointwise_regularizer, bias_regularizer: Penalties of the weights.
        activity_regularizer: Penalty of the output.
        depthwise_constraint, pointwise_constraint, bias_constraint: Applied after each update.

    Weights: depthwise_kernel (height, width, channels, depth_multiplier), pointwise_kernel
    (1, 1, channels * depth_multiplier, filters), bias (filters,).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.SeparableConv2D(5, 3)(np.zeros((1, 8, 8, 4))).shape
    (1, 6, 6, 5)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        parts = {
            "depthwise_initializer": depthwise_initializer,
            "pointwise_initializer": pointwise_initializer,
            "bias_initializer": bias_initializer,
            "depthwise_regularizer": depthwise_regularizer,
            "pointwise_regularizer": pointwise_regularizer,
            "bias_regularizer": bias_regularizer,
            "depthwise_constraint": depthwise_constraint,
            "pointwise_constraint": pointwise_constraint,
            "bias_constraint": bias_constraint,
        }
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            activity_regularizer,
            parts,
            **kwargs,
        )
        self.filters = positive(filters, self.name, "filters")
        self.depth_multiplier = positive(depth_multiplier, self.name, "depth_multiplier")

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        named = {**self._parts.of("depthwise"), "name": "depthwise_kernel"}
        self.depthwise_kernel = self.add_weight(shape=shape, **named)
        shape = (1, 1, channels * self.depth_multiplier, self.filters)
        named = {**self._parts.of("pointwise"), "name": "pointwise_kernel"}
        self.pointwise_kernel = self.add_weight(shape=shape, **named)
        self.bias = (
            self.add_weight(shape=(self.filters,), **self._parts.of("bias")) if self.use_bias else None
        )

    def call(self, inputs: Any) -> Any:
        kernels = self.depthwise_kernel, self.pointwise_kernel
        return self._finish(ops.separable_conv(inputs, *kernels, **self._window()))

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "depth_multiplier": self.depth_multiplier}
        return {**own, **super().get_config()}


class Conv2DTranspose(_Convolution):
    """Transposed convolution: the gradient of a convolution with respect to its input.

    Args:
        filters: Number of output channels.
        kernel_size, strides, padding, data_format, dilation_rate: Of the convolution whose gradient this is.
        output_padding: Rows and columns added at the bottom and right; None chooses as Keras does.
        activation: Name or function; None for none.
        use_bias: Whether to add a bias.
        kernel_initializer, bias_initializer: How the weights start.
        kernel_regularizer, bias_regularizer: Penalties of the weights.
        activity_regularizer: Penalty of the output.
        kernel_constraint, bias_constraint: Applied to the weights after each update.

    Weights: kernel (height, width, filters, channels), bias (filters,).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Conv2DTranspose(3, 3, strides=2, padding="same")(np.zeros((1, 8, 8, 4))).shape
    (1, 16, 16, 3)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        parts = {
            "kernel_initializer": kernel_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "bias_constraint": bias_constraint,
        }
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            activity_regularizer,
            parts,
            **kwargs,
        )
        self.filters = positive(filters, self.name, "filters")
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = tuple(pair(output_padding, f"{self.name}: output_padding", 0))

    def build(self, input_shape: Any) -> None:
        shape = (*self.kernel_size, self.filters, self._channels(input_shape))
        self.kernel = self.add_weight(shape=shape, **self._parts.of("kernel"))
        self.bias = (
            self.add_weight(shape=(self.filters,), **self._parts.of("bias")) if self.use_bias else None
        )

    def call(self, inputs: Any) -> Any:
        window = {**self._window(), "output_padding": self.output_padding}
        return self._finish(ops.conv_transpose(inputs, self.kernel, **window))

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "output_padding": self.output_padding}
        return {**own, **super().get_config()}
