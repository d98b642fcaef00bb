"""Convolutions of sequences, images and volumes."""

from __future__ import annotations

from typing import Any

from cnnrs.layers.arguments import with_defaults
from cnnrs.layers.convolving import Conv, ConvTranspose, DepthwiseConv, SeparableConv

__all__ = [
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
]

# Defaults of arguments that have a number for each spatial axis.
_SEQUENCES = {"strides": 1, "dilation_rate": 1}
_VOLUMES = {"strides": (1, 1, 1), "dilation_rate": (1, 1, 1)}


class Conv2D(Conv):
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


class Conv1D(Conv):
    """Convolution of sequences.

    Args:
        filters: Number of output channels.
        kernel_size: Length of the window.
        strides: Step of the window.
        padding: "valid", "same" or "causal": zeros before the sequence, so that no output sees a later step.
        data_format, dilation_rate, groups, activation, use_bias: As for `Conv2D`.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer: As for `Conv2D`.
        activity_regularizer, kernel_constraint, bias_constraint: As for `Conv2D`.

    Input shape: (batch, steps, channels). Output shape: (batch, new steps, filters). Weights: kernel
    (length, channels / groups, filters), bias (filters,).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Conv1D(6, 3, padding="causal")(np.zeros((2, 10, 4))).shape
    (2, 10, 6)
    """

    _rank = 1
    _paddings = ("valid", "same", "causal")
    __init__ = with_defaults(Conv.__init__, **_SEQUENCES)


class Conv3D(Conv):
    """Convolution of volumes.

    Args:
        filters: Number of output channels.
        kernel_size, strides, dilation_rate: As for `Conv2D`, numbers or triples.
        padding, data_format, groups, activation, use_bias: As for `Conv2D`.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer: As for `Conv2D`.
        activity_regularizer, kernel_constraint, bias_constraint: As for `Conv2D`.

    Input shape: (batch, depth, height, width, channels).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Conv3D(6, 3)(np.zeros((2, 5, 6, 7, 4))).shape
    (2, 3, 4, 5, 6)
    """

    _rank = 3
    __init__ = with_defaults(Conv.__init__, **_VOLUMES)


class DepthwiseConv2D(DepthwiseConv):
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


class DepthwiseConv1D(DepthwiseConv):
    """Convolution of each channel of sequences by filters of its own.

    Args:
        kernel_size, strides, dilation_rate: As for `DepthwiseConv2D`, numbers.
        padding, depth_multiplier, data_format, activation, use_bias: As for `DepthwiseConv2D`.
        depthwise_initializer, bias_initializer, depthwise_regularizer: As for `DepthwiseConv2D`.
        bias_regularizer, activity_regularizer, depthwise_constraint, bias_constraint: Likewise.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.DepthwiseConv1D(3, depth_multiplier=2)(np.zeros((1, 8, 4))).shape
    (1, 6, 8)
    """

    _rank = 1
    __init__ = with_defaults(DepthwiseConv.__init__, **_SEQUENCES)


class SeparableConv2D(SeparableConv):
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


class SeparableConv1D(SeparableConv):
    """A depthwise convolution of sequences followed by one that mixes the channels.

    Args:
        filters: Number of output channels.
        kernel_size, strides, dilation_rate: As for `SeparableConv2D`, numbers.
        padding, data_format, depth_multiplier, activation, use_bias: As for `SeparableConv2D`.
        depthwise_initializer, pointwise_initializer, bias_initializer: How the weights start.
        depthwise_regularizer, pointwise_regularizer, bias_regularizer: Penalties of the weights.
        activity_regularizer: Penalty of the output.
        depthwise_constraint, pointwise_constraint, bias_constraint: Applied after each update.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.SeparableConv1D(5, 3)(np.zeros((1, 8, 4))).shape
    (1, 6, 5)
    """

    _rank = 1
    __init__ = with_defaults(SeparableConv.__init__, **_SEQUENCES)


class Conv2DTranspose(ConvTranspose):
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


class Conv1DTranspose(ConvTranspose):
    """Transposed convolution of sequences.

    Args:
        filters: Number of output channels.
        kernel_size, strides, output_padding, dilation_rate: As for `Conv2DTranspose`, numbers.
        padding, data_format, activation, use_bias: As for `Conv2DTranspose`.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer: As for `Conv2DTranspose`.
        activity_regularizer, kernel_constraint, bias_constraint: As for `Conv2DTranspose`.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Conv1DTranspose(3, 3, strides=2, padding="same")(np.zeros((1, 8, 4))).shape
    (1, 16, 3)
    """

    _rank = 1
    __init__ = with_defaults(ConvTranspose.__init__, **_SEQUENCES)


class Conv3DTranspose(ConvTranspose):
    """Transposed convolution of volumes.

    Args:
        filters: Number of output channels.
        kernel_size, strides, output_padding, dilation_rate: As for `Conv2DTranspose`, numbers or triples.
        padding, data_format, activation, use_bias: As for `Conv2DTranspose`.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer: As for `Conv2DTranspose`.
        activity_regularizer, kernel_constraint, bias_constraint: As for `Conv2DTranspose`.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Conv3DTranspose(3, 3, strides=2, padding="same")(np.zeros((1, 2, 3, 4, 4))).shape
    (1, 4, 6, 8, 3)
    """

    _rank = 3

    # Its arguments are in another order, as in Keras.
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Any = None,
        dilation_rate: Any = (1, 1, 1),
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
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            output_padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )
