"""Activations of single elements with weights."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.activation.functions import PReLU, shape_of_slopes
from cnnrs.layers.arguments import Parts
from cnnrs.layers.base import Layer

__all__ = ["AdaptivePReLU", "Swish"]


class AdaptivePReLU(PReLU):
    """`relu(x) + alpha * relu(-x)`, with learnt slopes.

    It is `x` where positive, and `-alpha * x` elsewhere: alpha is what `PReLU` calls `-alpha`. A positive
    alpha makes the left branch rise to the left, as the hinge of an adaptive piecewise linear unit does; 1
    gives the magnitude, -1 the identity, 0 the ReLU. Weights of a `PReLU` fit with the other sign.

    Args:
        alpha_initializer: How the slopes start.
        alpha_regularizer: Their penalty.
        alpha_constraint: Applied to them after each update.
        shared_axes: Axes along which a slope is shared, counted from 1 after the batch: `[1, 2]` of images
            for one slope for each channel.

    Input and output shape: (batch, ...).

    Weights: alpha, of the input's shape without the batch, 1 along shared axes.

    Raises:
        ValueError: An axis is none of the input's.

    Reference:
        He, Zhang, Ren and Sun 2015, "Delving deep into rectifiers", arXiv:1502.01852, equation 1, in the
        form of Agostinelli, Hoffman, Sadowski and Baldi 2015, "Learning activation functions to improve deep
        neural networks", arXiv:1412.6830, equation 1, with one hinge at 0.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.AdaptivePReLU(alpha_initializer="ones")
    >>> layer(np.array([[-2.0], [3.0]])).tolist()
    [[2.0], [3.0]]
    """

    def call(self, inputs: Any) -> Any:
        return ops.relu(inputs) + self.alpha * ops.relu(-inputs)


class Swish(Layer):
    """`x * sigmoid(beta * x)`, with a learnt beta.

    With beta = 1 it is `activations.silu`, with 0 half of the identity, and with a large one the ReLU.

    Args:
        beta_initializer: How beta starts.
        beta_regularizer: Its penalty.
        beta_constraint: Applied to it after each update.
        shared_axes: Axes along which a beta is shared, counted from 1 after the batch. None shares all but
            the last axis: one beta for each channel.

    Input and output shape: (batch, ...).

    Weights: beta, of the input's shape without the batch, 1 along shared axes.

    Raises:
        ValueError: An axis is none of the input's, or the extent of one that is not shared is not known.

    Reference:
        Ramachandran, Zoph and Le 2017, "Searching for activation functions", arXiv:1710.05941, section 4.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.Swish()
    >>> print(layer(np.array([[-1.0, 0.0, 2.0]])).numpy().round(4))
    [[-0.2689  0.      1.7616]]
    >>> layer.count_params()
    3
    """

    _is_activation = True

    _supports_masking = True

    def __init__(
        self,
        beta_initializer: Any = "ones",
        beta_regularizer: Any = None,
        beta_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._parts = Parts(
            self,
            beta_initializer=beta_initializer,
            beta_regularizer=beta_regularizer,
            beta_constraint=beta_constraint,
        )
        shared = [shared_axes] if isinstance(shared_axes, int) else shared_axes
        self.shared_axes = None if shared is None else list(shared)

    def build(self, input_shape: Any) -> None:
        every = list(range(1, len(input_shape) - 1))
        shared = every if self.shared_axes is None else self.shared_axes
        shape = shape_of_slopes(self.name, input_shape, shared)
        # Axes of extent 1 in front broadcast without being there.
        while len(shape) > 1 and shape[0] == 1 and self.shared_axes is None:
            shape.pop(0)
        self.beta = self.add_weight(shape=tuple(shape), **self._parts.of("beta"))

    def call(self, inputs: Any) -> Any:
        return inputs * ops.sigmoid(self.beta * inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._parts.config(), "shared_axes": self.shared_axes}
