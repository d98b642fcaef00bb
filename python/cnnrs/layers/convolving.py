"""What convolutions of sequences, images and volumes share."""

from __future__ import annotations

from typing import Any

from cnnrs import activations, ops, regularizers
from cnnrs.layers.arguments import NoLora, Parts, looked_up, positive, refuse_lora
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.spatial import image_data_format, spatial_numbers

__all__ = ["Conv", "ConvTranspose", "DepthwiseConv", "SeparableConv"]


class _Convolution(Layer):
    """What all convolutions share: windows over 1, 2 or 3 spatial axes, bias, activation."""

    bias: Any
    # Spatial axes.
    _rank: int = 2
    _paddings: tuple[str, ...] = ("valid", "same")

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
        self.kernel_size = self._numbers(kernel_size, "kernel_size")
        self.strides = self._numbers(strides, "strides")
        if not isinstance(padding, str) or padding.lower() not in self._paddings:
            known = " or ".join(map(repr, self._paddings))
            raise ValueError(f"{self.name}: padding: expected {known}, received {padding!r}")
        self.padding = padding.lower()
        self.data_format = image_data_format(data_format, self.name)
        self.dilation_rate = self._numbers(dilation_rate, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{self.name}: strides {self.strides} and dilation_rate {self.dilation_rate}: "
                "expected one of them to be 1"
            )
        self.activation = looked_up(activation, activations, self.name, "activation")
        self.use_bias = use_bias
        self._parts = Parts(self, **parts)
        self.input_spec = InputSpec(ndim=self._rank + 2)

    def _numbers(self, value: Any, argument: str, least: int = 1) -> tuple[int, ...]:
        """A number for each spatial axis."""
        return tuple(spatial_numbers(value, f"{self.name}: {argument}", self._rank, least))

    def _channels(self, input_shape: Any) -> int:
        channels = input_shape[-1 if self.data_format == "channels_last" else 1]
        if channels is None:
            raise ValueError(
                f"{self.name}: expected a known number of channels, received shape {input_shape}"
            )
        axis = -1 if self.data_format == "channels_last" else 1
        self.input_spec = InputSpec(ndim=self._rank + 2, axes={axis: channels})
        return channels

    def _finish(self, outputs: Any) -> Any:
        if self.bias is not None:
            channels_last = self.data_format == "channels_last"
            shape = (-1, *[1] * self._rank)
            outputs = outputs + (self.bias if channels_last else ops.reshape(self.bias, shape))
        return outputs if self.activation is None else self.activation(outputs)

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
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "use_bias": self.use_bias,
            **self._parts.config(),
        }


class Conv(NoLora, _Convolution):
    """A convolution."""

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
        refuse_lora(type(self).__name__, kwargs)
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

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """The convolution of `call`, without bias and activation; a subclass may change it or its kernel."""
        window = self._window()
        if self.padding == "causal":
            before = self.dilation_rate[0] * (self.kernel_size[0] - 1)
            last = self.data_format == "channels_last"
            inputs = ops.pad(inputs, ((0, 0), (before, 0), (0, 0)) if last else ((0, 0), (0, 0), (before, 0)))
            window["padding"] = "valid"
        return ops.conv(inputs, kernel, **window)

    def call(self, inputs: Any) -> Any:
        return self._finish(self.convolution_op(inputs, self.kernel))

    def get_config(self) -> dict[str, Any]:
        return {"filters": self.filters, "groups": self.groups, **super().get_config()}


class DepthwiseConv(_Convolution):
    """A convolution of each channel by filters of its own."""

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


class SeparableConv(_Convolution):
    """A depthwise convolution followed by one of windows of one element."""

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
        shape = (*[1] * self._rank, channels * self.depth_multiplier, self.filters)
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


class ConvTranspose(_Convolution):
    """The gradient of a convolution with respect to its input."""

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
            self.output_padding = self._numbers(output_padding, "output_padding", 0)

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
