"""Channels that change places between groups."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.arguments import positive
from cnnrs.layers.base import Layer
from cnnrs.layers.blocks.base import Block
from cnnrs.layers.composed import in_turn, window_argument
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.spatial import image_data_format, spatial_numbers

__all__ = ["ChannelShuffle", "ShuffleBlock"]


def _shuffled(x: Any, groups: int, axis: int) -> Any:
    """The channels of `x` in the order in which the groups take turns."""
    shape = list(x.shape)
    axis %= len(shape)
    apart = [*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :]]
    return ops.reshape(ops.swapaxes(ops.reshape(x, apart), axis, axis + 1), shape)


class ChannelShuffle(Layer):
    """The channels of all groups in turn, so that the next grouped convolution sees some of each group.

    Of g groups of n channels, channel `i * n + j` becomes channel `j * g + i`.

    Args:
        groups: Number of groups, a divisor of the number of channels.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        **kwargs: As for `Layer`.

    Input and output shape: (batch, height, width, channels), or channels first.

    Raises:
        ValueError: An argument is none of the above, or `groups` does not divide the channels.

    Reference:
        Zhang, Zhou, Lin and Sun 2017, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for
        Mobile Devices", arXiv:1707.01083, figure 1.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.ChannelShuffle(2)(np.arange(6.0).reshape(1, 1, 1, 6))[0, 0, 0].tolist()
    [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    """

    def __init__(self, groups: int, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.groups = positive(groups, self.name, "groups")
        self.data_format = image_data_format(data_format, self.name)
        self.input_spec = InputSpec(ndim=4)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        axis = -1 if self.data_format == "channels_last" else 1
        if inputs.shape[axis] % self.groups:
            raise ValueError(
                f"{self.name}: groups: expected a divisor of {inputs.shape[axis]} channels, "
                f"received {self.groups}"
            )
        return _shuffled(inputs, self.groups, axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups, "data_format": self.data_format}


class ShuffleBlock(Block):
    """The unit of ShuffleNetV2: half of the channels pass through, and the halves are shuffled at the end.

    The other half goes through 1 × 1, depthwise and 1 × 1 convolutions. With a stride both branches see all
    channels, and the first one has a depthwise and a 1 × 1 convolution.

    Args:
        filters: Output channels, an even number; as many as the input's where `strides` is 1.
        strides: Step of the depthwise convolutions, a number or a pair.
        kernel_size: Height and width of their windows, a number or a pair.
        **kwargs: As for `BasicBlock`.

    Input shape: (batch, height, width, channels), or channels first. Output shape: (batch,
    ceil(height / strides), ceil(width / strides), filters).

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        Ma, Zhang, Zheng and Sun 2018, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture
        Design", arXiv:1807.11164, figures 3c and 3d.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.ShuffleBlock(116, strides=2)(np.zeros((2, 8, 8, 24))).shape
    (2, 4, 4, 116)
    """

    def __init__(self, filters: int, strides: Any = 1, kernel_size: Any = 3, **kwargs: Any):
        super().__init__(**kwargs)
        if positive(filters, self.name, "filters") % 2:
            raise ValueError(f"{self.name}: filters: expected an even number, received {filters}")
        self._keep(
            filters=filters,
            strides=tuple(spatial_numbers(strides, f"{self.name}: strides", 2, 1)),
            kernel_size=window_argument(kernel_size, self.name),
        )

    def _make_layers(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        half = self.filters // 2
        self._splits = max(self.strides) == 1
        if self._splits and channels != self.filters:
            raise ValueError(
                f"{self.name}: filters: expected {channels}, the number of the input's channels, where "
                f"strides is 1, received {self.filters}"
            )
        self.first_branch = []
        if not self._splits:
            self.first_branch = [
                self._depthwise(self.kernel_size, "branch1_depthwise", self.strides),
                self._norm(channels, "branch1_depthwise_norm"),
                *self._unit(half, 1, "branch1"),
            ]
        self.second_branch = [
            *self._unit(half, 1, "branch2_first"),
            self._depthwise(self.kernel_size, "branch2_depthwise", self.strides),
            self._norm(half, "branch2_depthwise_norm"),
            *self._unit(half, 1, "branch2_second"),
        ]

    def call(self, inputs: Any) -> Any:
        first, second = ops.split(inputs, 2, self._axis) if self._splits else (inputs, inputs)
        branches = [in_turn(first, *self.first_branch), in_turn(second, *self.second_branch)]
        return _shuffled(ops.concatenate(branches, self._axis), 2, self._axis)
