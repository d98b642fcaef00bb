"""Normalisation of each channel of each image by itself."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import integer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.layers.normalization.channels import channels_along, spatial_axes, with_channels
from cnnrs.layers.normalization.samples import _ScaleAndOffset
from cnnrs.ops.dispatch import as_float

__all__ = ["InstanceNormalization"]


class InstanceNormalization(_ScaleAndOffset):
    """Mean 0 and variance 1 of each channel of each sample over its places, then scale and offset.

    Contrast and brightness of a single image are taken away, in training and inference alike: style transfer
    and image translation live on it. It depends on the image, and so cannot be folded into a convolution
    before it, as batch normalisation can.

    Args:
        axis: The axis of the channels.
        epsilon: Added to the variance.
        center: Whether to add beta.
        scale: Whether to multiply by gamma.
        beta_initializer, gamma_initializer: Starts.
        beta_regularizer, gamma_regularizer: Penalties.
        beta_constraint, gamma_constraint: Applied after each update.

    Input and output shape: (batch, ..., channels), with one or more axes of places.

    Weights: gamma and beta, each (channels,).

    Raises:
        ValueError: The input has no axis of places, or an argument is none of the above.

    Reference:
        Ulyanov, Vedaldi and Lempitsky 2016, "Instance normalization: the missing ingredient for fast
        stylization", arXiv:1607.08022, equation 5.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> x = np.array([[1.0, 3.0], [10.0, 30.0]]).reshape(2, 1, 2, 1)
    >>> layers.InstanceNormalization()(x).numpy().round(2).ravel().tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            axis,
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.axis = integer(axis, self.name, "axis")
        self.input_spec = InputSpec(min_ndim=3)

    def build(self, input_shape: Any) -> None:
        self._add((channels_along(self, input_shape, self.axis, min_ndim=3),))

    def call(self, inputs: Any) -> Any:
        inputs = as_float(inputs)
        mean, variance = ops.moments(inputs, spatial_axes(inputs.ndim, self.axis), keepdims=True)
        factor = ops.rsqrt(variance + self.epsilon)
        if self.gamma is not None:
            factor = factor * with_channels(self.gamma, inputs.ndim, self.axis)
        outputs = (inputs - mean) * factor
        return outputs if self.beta is None else outputs + with_channels(self.beta, inputs.ndim, self.axis)
