"""Normalisation by the mean square of each channel of each image, and the threshold that belongs to it."""

from __future__ import annotations

from typing import Any

from cnnrs import initializers, ops
from cnnrs.base.arguments import flag, integer
from cnnrs.layers.arguments import Parts
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.layers.normalization.channels import channels_along, spatial_axes, with_channels
from cnnrs.layers.normalization.samples import _ScaleAndOffset
from cnnrs.ops.dispatch import as_float

__all__ = ["TLU", "FilterResponseNormalization"]


class FilterResponseNormalization(_ScaleAndOffset):
    """Each channel of each sample divided by the root of its mean square over places, then scale and offset.

    It is `gamma * x / sqrt(mean(x^2) + abs(epsilon)) + beta`. No mean is taken away, and no other sample
    counts: batches of one are as good as large ones. Use it without bias in the convolution before it, and
    with `TLU` in place of ReLU behind it. It depends on the image, and so cannot be folded into a
    convolution.

    Args:
        axis: The axis of the channels.
        epsilon: Added to the mean square; where it is learnt, where it starts.
        center: Whether to add beta.
        scale: Whether to multiply by gamma.
        learned_epsilon: Whether a weight of each channel is added to the mean square, by its magnitude. The
            paper does so, from 1e-4, where few places are left, as in fully connected parts.
        beta_initializer, gamma_initializer: Starts.
        beta_regularizer, gamma_regularizer: Penalties.
        beta_constraint, gamma_constraint: Applied after each update.

    Input and output shape: (batch, ..., channels), with one or more axes of places.

    Weights: gamma and beta, each (channels,); with `learned_epsilon` also epsilon, (channels,).

    Raises:
        ValueError: The input has no axis of places, or an argument is none of the above.

    Reference:
        Singh and Krishnan 2020, "Filter response normalization layer: eliminating batch dependence in the
        training of deep neural networks", arXiv:1911.09737, equations 1, 2 and 5.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> x = np.array([1.0, 7.0]).reshape(1, 1, 2, 1)
    >>> print(layers.FilterResponseNormalization()(x).numpy().round(2).ravel())
    [0.2 1.4]
    """

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-6,
        center: bool = True,
        scale: bool = True,
        learned_epsilon: bool = False,
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
        self.learned_epsilon = flag(learned_epsilon, self.name, "learned_epsilon")
        self.input_spec = InputSpec(min_ndim=3)

    def build(self, input_shape: Any) -> None:
        shape = (channels_along(self, input_shape, self.axis, min_ndim=3),)
        self._add(shape)
        self.offset = None
        if self.learned_epsilon:
            start = initializers.Constant(self.epsilon)
            self.offset = self.add_weight(shape=shape, initializer=start, name="epsilon")

    def call(self, inputs: Any) -> Any:
        inputs = as_float(inputs)
        square = ops.mean(ops.square(inputs), spatial_axes(inputs.ndim, self.axis), keepdims=True)
        offset: Any = self.epsilon
        if self.offset is not None:
            offset = with_channels(ops.abs(self.offset), inputs.ndim, self.axis)
        factor = ops.rsqrt(square + offset)
        if self.gamma is not None:
            factor = factor * with_channels(self.gamma, inputs.ndim, self.axis)
        outputs = inputs * factor
        return outputs if self.beta is None else outputs + with_channels(self.beta, inputs.ndim, self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "learned_epsilon": self.learned_epsilon}


class TLU(Layer):
    """The larger of the input and a threshold that each channel learns: `max(x, tau)`.

    Filter response normalisation leaves means that are not 0; a ReLU cut at 0 would cut them anywhere.

    Args:
        axis: The axis of the channels.
        affine: Whether the threshold is `alpha * x + tau`, with a learnt alpha, as for leaky forms.
        tau_initializer, tau_regularizer, tau_constraint: Of the threshold.
        alpha_initializer, alpha_regularizer, alpha_constraint: Of the slope below it.

    Input and output shape: (batch, ..., channels).

    Weights: tau, (channels,); with `affine` also alpha, (channels,).

    Raises:
        ValueError: An argument is none of the above.

    Reference:
        Singh and Krishnan 2020, arXiv:1911.09737, equation 3; with `affine` equation 8 of its appendix.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.TLU(tau_initializer="ones")(np.array([[0.0], [2.0]])).tolist()
    [[1.0], [2.0]]
    """

    _supports_masking = True

    _is_activation = True

    def __init__(
        self,
        axis: int = -1,
        affine: bool = False,
        tau_initializer: Any = "zeros",
        tau_regularizer: Any = None,
        tau_constraint: Any = None,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.axis = integer(axis, self.name, "axis")
        self.affine = flag(affine, self.name, "affine")
        self._parts = Parts(
            self,
            tau_initializer=tau_initializer,
            tau_regularizer=tau_regularizer,
            tau_constraint=tau_constraint,
            alpha_initializer=alpha_initializer,
            alpha_regularizer=alpha_regularizer,
            alpha_constraint=alpha_constraint,
        )
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        shape = (channels_along(self, input_shape, self.axis, min_ndim=2),)
        self.tau = self.add_weight(shape=shape, **self._parts.of("tau"))
        self.alpha = self.add_weight(shape=shape, **self._parts.of("alpha")) if self.affine else None

    def call(self, inputs: Any) -> Any:
        threshold = with_channels(self.tau, inputs.ndim, self.axis)
        if self.alpha is not None:
            threshold = with_channels(self.alpha, inputs.ndim, self.axis) * inputs + threshold
        return ops.maximum(inputs, threshold)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "affine": self.affine, **self._parts.config()}
