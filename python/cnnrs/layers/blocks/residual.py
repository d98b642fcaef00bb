"""Residual blocks: a branch of convolutions beside a shortcut."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.arguments import positive
from cnnrs.layers.blocks.base import Block
from cnnrs.layers.composed import in_turn
from cnnrs.ops.spatial import spatial_numbers

__all__ = ["BasicBlock", "BottleneckBlock"]


class _ResidualBlock(Block):
    """`activation(branch(x) + shortcut(x))`, or `branch(x) + shortcut(x)` of the second version."""

    # Kernel sizes of the branch's convolutions. The one of 3, the first if there are two, has the stride.
    _kernels: tuple[int, ...]
    groups = 1

    def __init__(
        self,
        filters: int,
        strides: Any,
        version: int,
        dilation_rate: Any,
        attention: Any,
        drop_path: float,
        shortcut: str,
        seed: Any,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if version not in (1, 2):
            raise ValueError(f"{self.name}: version: expected 1 or 2, received {version!r}")
        if shortcut not in ("A", "B", "C"):
            raise ValueError(f"{self.name}: shortcut: expected 'A', 'B' or 'C', received {shortcut!r}")
        self._keep(
            filters=positive(filters, self.name, "filters"),
            strides=tuple(spatial_numbers(strides, f"{self.name}: strides", 2, 1)),
            version=version,
            dilation_rate=tuple(spatial_numbers(dilation_rate, f"{self.name}: dilation_rate", 2, 1)),
            shortcut=shortcut,
        )
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{self.name}: strides {self.strides} and dilation_rate {self.dilation_rate}: "
                "expected one of them to be 1"
            )
        self._keep_attention(attention)
        self._keep_drop_path(drop_path, seed)

    def _widths(self) -> tuple[int, ...]:
        """Filters of the branch's convolutions."""
        raise NotImplementedError(f"{type(self).__name__}: expected the class to define _widths()")

    def _make_layers(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        widths = self._widths()
        wide = self._kernels.index(3)
        # A convolution, its norm and its activation each.
        self.stages: list[list[Any]] = []
        incoming = channels
        for i, (filters, kernel) in enumerate(zip(widths, self._kernels, strict=True)):
            more: dict[str, Any] = {"strides": self.strides} if i == wide else {}
            if kernel == 3:
                more["dilation_rate"] = self.dilation_rate
                more["groups"] = self.groups
            normed = filters if self.version == 1 else incoming
            stage = [
                self._conv(filters, kernel, f"conv{i + 1}", **more),
                self._norm(normed, f"norm{i + 1}"),
                self._act(f"activation{i + 1}"),
            ]
            self.stages.append(stage)
            incoming = filters
        self.attention_layer = self._attend()
        self.stochastic_depth = self._drop()
        self._make_shortcut(channels, incoming)

    def _make_shortcut(self, channels: int, filters: int) -> None:
        self.projection = self.projection_norm = None
        self._added_channels = 0
        changes = channels != filters or max(self.strides) > 1
        if self.shortcut == "C" or (self.shortcut == "B" and changes):
            self.projection = self._conv(filters, 1, "projection", strides=self.strides)
            if self.version == 1:
                self.projection_norm = self._norm(filters, "projection_norm")
        elif channels > filters:
            raise ValueError(
                f"{self.name}: shortcut: 'A' adds channels of zeros to the {channels} of the input, expected "
                f"at least as many of the output, received {filters}"
            )
        else:
            self._added_channels = filters - channels

    def _beside(self, inputs: Any, activated: Any) -> Any:
        """The shortcut."""
        if self.projection is not None:
            return in_turn(activated, self.projection, self.projection_norm)
        down, along = self.strides
        places = (slice(None, None, down), slice(None, None, along))
        if max(self.strides) > 1:
            last = self.data_format == "channels_last"
            inputs = inputs[(slice(None), *places)] if last else inputs[(slice(None), slice(None), *places)]
        if self._added_channels:
            widths = [(0, 0)] * 4
            widths[self._axis] = (0, self._added_channels)
            inputs = ops.pad(inputs, widths)
        return inputs

    def call(self, inputs: Any) -> Any:
        return self._call_first(inputs) if self.version == 1 else self._call_second(inputs)

    def _call_first(self, inputs: Any) -> Any:
        *stages, (conv, norm, activation) = self.stages
        x = inputs
        for stage in stages:
            x = in_turn(x, *stage)
        x = in_turn(x, conv, norm, self.attention_layer, self.stochastic_depth)
        return activation(x + self._beside(inputs, inputs))

    def _call_second(self, inputs: Any) -> Any:
        (conv, norm, activation), *stages = self.stages
        activated = in_turn(inputs, norm, activation)
        x = conv(activated)
        for conv, norm, activation in stages:
            x = in_turn(x, norm, activation, conv)
        return in_turn(x, self.attention_layer, self.stochastic_depth) + self._beside(inputs, activated)


class BasicBlock(_ResidualBlock):
    """The residual block of ResNet-18 and 34, and of the networks for 32 × 32 pixels: two 3 × 3 convolutions.

    Version 1 is conv–norm–activation–conv–norm, the addition, then the activation. In version 2, norm and
    activation stand before each convolution, and nothing behind the addition: the shortcuts of a network
    then carry the input as it is.

    Args:
        filters: Output channels.
        strides: Step of the first convolution and of the shortcut, a number or a pair.
        version: 1, or 2 for pre-activation.
        dilation_rate: Of both convolutions.
        attention: What stands before the addition: "se", "cbam", "eca", "channel", "spatial", a layer that is
            copied, a function that makes one; None for nothing.
        drop_path: Share of the samples that training leaves the branch out for: see `StochasticDepth`.
        shortcut: "A": the input, with channels of zeros where the output has more; "B": a 1 × 1 convolution
            where the shape changes, else the input; "C": always the convolution.
        seed: Integer for `drop_path`; None draws one.
        **kwargs: `norm`: "batch", "layer", "group", "instance", a layer that is copied, a function that makes
            one, or None, with which convolutions have a bias; `activation`: name, function, or a layer that
            is copied; `kernel_initializer`; `kernel_regularizer`; `data_format`: "channels_last" or
            "channels_first"; and arguments of every layer.

    Input shape: (batch, height, width, channels), or channels first. Output shape: (batch,
    ceil(height / strides), ceil(width / strides), filters).

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        He, Zhang, Ren and Sun 2015, "Deep Residual Learning for Image Recognition", arXiv:1512.03385,
        figure 5 and section 4.1. Version 2: He, Zhang, Ren and Sun 2016, "Identity Mappings in Deep Residual
        Networks", arXiv:1603.05027, figure 4e.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> block = layers.BasicBlock(128, strides=2, attention="se")
    >>> block(np.zeros((2, 8, 8, 64))).shape
    (2, 4, 4, 128)
    """

    _kernels = (3, 3)

    def __init__(
        self,
        filters: int,
        strides: Any = 1,
        version: int = 1,
        dilation_rate: Any = 1,
        attention: Any = None,
        drop_path: float = 0.0,
        shortcut: str = "B",
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            filters, strides, version, dilation_rate, attention, drop_path, shortcut, seed, **kwargs
        )

    def _widths(self) -> tuple[int, ...]:
        return self.filters, self.filters


class BottleneckBlock(_ResidualBlock):
    """The residual block of ResNet-50, 101 and 152, of ResNeXt and of Wide ResNet: 1 × 1, 3 × 3, 1 × 1.

    The first convolution takes the channels down to `width = filters * base_width // 64 * groups`, the second
    one has the stride and the groups, the last one brings `filters * expansion` channels. ResNeXt-50 32×4d
    has `groups=32, base_width=4`, Wide ResNet-50-2 `base_width=128`.

    Args:
        filters: Filters of the first two convolutions, if `groups` and `base_width` are not given; the block
            has `filters * expansion` output channels.
        strides: Step of the 3 × 3 convolution and of the shortcut, a number or a pair.
        version: 1, or 2 for pre-activation: see `BasicBlock`.
        expansion: Output channels over `filters`.
        groups: Of the 3 × 3 convolution.
        base_width: Width of a group for 64 filters.
        dilation_rate: Of the 3 × 3 convolution.
        attention, drop_path, shortcut, seed: As for `BasicBlock`.
        **kwargs: As for `BasicBlock`.

    Input shape: (batch, height, width, channels), or channels first. Output shape: (batch,
    ceil(height / strides), ceil(width / strides), filters * expansion).

    Raises:
        ValueError: An argument is none of the above, or the number of channels is not known.

    Reference:
        He, Zhang, Ren and Sun 2015, arXiv:1512.03385, figure 5, and 2016, arXiv:1603.05027. Xie, Girshick,
        Dollár, Tu and He 2016, "Aggregated Residual Transformations for Deep Neural Networks",
        arXiv:1611.05431, figure 3c. Zagoruyko and Komodakis 2016, "Wide Residual Networks", arXiv:1605.07146.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.BottleneckBlock(64, groups=32, base_width=4)(np.zeros((2, 8, 8, 64))).shape
    (2, 8, 8, 256)
    """

    _kernels = (1, 3, 1)

    def __init__(
        self,
        filters: int,
        strides: Any = 1,
        version: int = 1,
        expansion: int = 4,
        groups: int = 1,
        base_width: int = 64,
        dilation_rate: Any = 1,
        attention: Any = None,
        drop_path: float = 0.0,
        shortcut: str = "B",
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            filters, strides, version, dilation_rate, attention, drop_path, shortcut, seed, **kwargs
        )
        self._keep(
            expansion=positive(expansion, self.name, "expansion"),
            groups=positive(groups, self.name, "groups"),
            base_width=positive(base_width, self.name, "base_width"),
        )

    def _widths(self) -> tuple[int, ...]:
        width = self.filters * self.base_width // 64 * self.groups
        if width == 0:
            raise ValueError(
                f"{self.name}: base_width: expected at least 64 / filters = {64 / self.filters:g}, "
                f"received {self.base_width}"
            )
        return width, width, self.filters * self.expansion
