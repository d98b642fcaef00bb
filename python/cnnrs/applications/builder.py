"""Layers of networks whose parts have names of two kinds: those of torchvision, and those in Keras's
manner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnrs import initializers, layers
from cnnrs.applications.building import channel_axis

__all__ = ["KERAS", "TORCHVISION", "Builder", "Name"]

# A part is called alike in both kinds, or has a name for each: torchvision's stands first.
Name = str | tuple[str, str]

# Separators are dots in torchvision's names, `layer1.0.conv1`, and underscores in Keras's,
# `conv2_block1_1_conv`.
TORCHVISION, KERAS = 0, 1
_SEPARATORS = (".", "_")


def _activated(x: Any, activation: str | None, name: str) -> Any:
    return x if activation is None else layers.Activation(activation, name=name)(x)


class Builder:
    """Makes layers that pad, normalise and start as the papers' networks in PyTorch do.

    Args:
        kind: `TORCHVISION` or `KERAS`: the kind of the names.
        epsilon: What batch normalisation adds to variances.
        momentum: The part of the former moving statistics that a step keeps.
        activation: Activation behind normalisations.
        initializer: Name of the initializer of filters; None for a normal distribution by the outputs of a
        filter.
        prefix: What names begin with.
    """

    def __init__(
        self,
        kind: int,
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        activation: str = "relu",
        initializer: str | None = None,
        prefix: str = "",
    ):
        self.kind = kind
        self.epsilon = epsilon
        self.momentum = momentum
        self.activation = activation
        self.initializer = initializer
        self.prefix = prefix

    def name(self, name: Name) -> str:
        """The whole name of a layer."""
        return self.prefix + (name if isinstance(name, str) else name[self.kind])

    def under(self, name: Name, activation: str | None = None) -> Builder:
        """The same for the parts of a block, with another activation, if one is given."""
        prefix = self.name(name) + _SEPARATORS[self.kind]
        activation = activation or self.activation
        return Builder(self.kind, self.epsilon, self.momentum, activation, self.initializer, prefix)

    def pad(self, x: Any, padding: Any, name: str) -> Any:
        """Zeros around images."""
        return layers.ZeroPadding2D(padding, name=name)(x)

    def conv(
        self,
        x: Any,
        filters: int,
        kernel_size: int | tuple[int, int],
        name: Name,
        strides: int = 1,
        groups: int = 1,
        use_bias: bool = False,
        padding: int | None = None,
        activation: str | None = None,
    ) -> Any:
        """A convolution, whose windows reach over the edges by half of their size.

        Args:
            x: Images, symbolic.
            filters: Channels of the output.
            kernel_size: Height and width of the windows.
            name: Name of the layer.
            strides: Distance of the windows.
            groups: Groups of channels; as many as there are channels and filters make a depthwise
            convolution.
            use_bias: Whether there is a bias.
            padding: Rows and columns of zeros on each side; None for half of the windows.
            activation: Activation.
        """
        called = self.name(name)
        sizes = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        halves = tuple(size // 2 for size in sizes)
        wanted = halves if padding is None else (padding, padding)
        # At stride 1 "same" pads windows of odd size by half of it on both sides, as it does not at stride 2.
        same = strides == 1 and wanted == halves and all(size % 2 for size in sizes)
        if any(wanted) and not same:
            x = self.pad(x, wanted, f"{called}_pad")
        options: dict[str, Any] = {
            "strides": strides,
            "padding": "same" if same and any(halves) else "valid",
            "activation": activation,
            "use_bias": use_bias,
            "name": called,
        }
        # One for each layer, as it draws the same values again.
        initializer = self.initializer or initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
        channels = x.shape[channel_axis()]
        if groups > 1 and groups == channels == filters:
            return layers.DepthwiseConv2D(sizes, depthwise_initializer=initializer, **options)(x)
        return layers.Conv2D(filters, sizes, groups=groups, kernel_initializer=initializer, **options)(x)

    def norm(self, x: Any, name: Name) -> Any:
        """Batch normalisation."""
        make = layers.BatchNormalization(
            axis=channel_axis(), momentum=self.momentum, epsilon=self.epsilon, name=self.name(name)
        )
        return make(x)

    def act(self, x: Any, name: Name, activation: str | None = None) -> Any:
        """The activation, or another one."""
        return _activated(x, activation or self.activation, self.name(name))

    def conv_norm(self, x: Any, filters: int, kernel_size: Any, names: Sequence[Name], **options: Any) -> Any:
        """A convolution and a normalisation, and an activation where there is a third name."""
        x = self.norm(self.conv(x, filters, kernel_size, names[0], **options), names[1])
        return self.act(x, names[2]) if len(names) > 2 else x

    def max_pool(self, x: Any, size: int, name: Name, strides: int = 2, padding: int = 0) -> Any:
        """Maximum pooling of what is nowhere negative: zeros around it never exceed the largest element."""
        if padding:
            x = self.pad(x, padding, f"{self.name(name)}_pad")
        return layers.MaxPooling2D(size, strides, name=self.name(name))(x)

    def ceil_max_pool(self, x: Any, size: int, name: Name) -> Any:
        """Maximum pooling of stride 2 of what is nowhere negative, with a last window that reaches over the
        edge.

        With a row and a column of zeros behind the image as many windows fit in as at least begin inside.
        """
        x = self.pad(x, ((0, 1), (0, 1)), f"{self.name(name)}_pad")
        return layers.MaxPooling2D(size, 2, name=self.name(name))(x)

    def add(self, inputs: list[Any], name: Name) -> Any:
        """The sum of tensors."""
        return layers.Add(name=self.name(name))(inputs)

    def concatenate(self, inputs: list[Any], name: Name) -> Any:
        """Channels beside each other."""
        return layers.Concatenate(axis=channel_axis(), name=self.name(name))(inputs)

    def dropout(self, x: Any, rate: float, name: Name) -> Any:
        """Dropout; none where the rate is 0."""
        return layers.Dropout(rate, name=self.name(name))(x) if rate else x

    def survive(self, x: Any, rate: float, name: Name) -> Any:
        """Stochastic depth (Huang, Sun, Liu, Sedra and Weinberger 2016): training leaves out `x` for a part
        of the images, and scales it for the others; none where the rate is 0."""
        if not rate:
            return x
        shape = (None,) + (1,) * (len(x.shape) - 1)
        return layers.Dropout(rate, noise_shape=shape, name=self.name(name))(x)

    def excite(
        self,
        x: Any,
        squeezed: int,
        name: Name,
        activation: str = "relu",
        gate: str = "sigmoid",
        use_bias: bool = True,
    ) -> Any:
        """Squeeze and excitation (Hu, Shen and Sun 2018, arXiv 1709.01507): each channel times a factor that
        the means of all channels make.

        Args:
            x: Images, symbolic.
            squeezed: Channels between the two layers.
            name: Name of the block.
            activation: Activation between the two layers.
            gate: Activation of the factors.
            use_bias: Whether the two layers have biases.
        """
        make = self.under(name)
        channels = x.shape[channel_axis()]
        y = layers.GlobalAveragePooling2D(keepdims=True, name=make.name(("avgpool", "squeeze")))(x)
        y = make.conv(y, squeezed, 1, ("fc1", "reduce"), use_bias=use_bias, activation=activation)
        y = make.conv(y, channels, 1, ("fc2", "expand"), use_bias=use_bias, activation=gate)
        return layers.Multiply(name=make.name(("scale", "excite")))([x, y])

    def average(self, x: Any, name: Name = ("avgpool", "avg_pool")) -> Any:
        """Means of the channels."""
        return layers.GlobalAveragePooling2D(name=self.name(name))(x)

    def dense(self, x: Any, units: int, name: Name = ("fc", "predictions"), activation: Any = None) -> Any:
        """A dense layer: by default the classifier."""
        return layers.Dense(units, activation=activation, name=self.name(name))(x)
