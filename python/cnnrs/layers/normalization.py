"""Normalisation of activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.layers.arguments import Parts, positive
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops import raw
from cnnrs.ops.dispatch import as_float, standardize_axes, standardize_axis

__all__ = ["BatchNormalization", "GroupNormalization", "LayerNormalization", "UnitNormalization"]


class BatchNormalization(Layer):
    """Mean 0 and variance 1 of each channel over the batch (Ioffe and Szegedy 2015), then scale and offset.

    In training the statistics are those of the batch, with the biased variance, and moving statistics follow
    them: `moving = moving * momentum + batch * (1 - momentum)`. In inference, when the layer is not
    trainable, or for an empty batch, the moving statistics are used.

    Args:
        axis: The axis of the channels.
        momentum: Weight of the past in the moving statistics.
        epsilon: Added to the variance.
        center: Whether to add beta.
        scale: Whether to multiply by gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: Starts.
        beta_regularizer, gamma_regularizer: Penalties.
        beta_constraint, gamma_constraint: Applied after each update.

    Weights: gamma, beta, moving_mean, moving_variance, each (channels,).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.BatchNormalization()
    >>> y = layer(np.random.default_rng(0).normal(5.0, 2.0, (8, 4, 4, 3)), training=True).numpy()
    >>> bool(abs(y.mean()) < 1e-4), bool(abs(y.std() - 1) < 1e-2)
    (True, True)
    """

    # Sums over a batch are larger than 16 bits hold.
    _widens = True

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not 0 <= momentum <= 1:
            raise ValueError(f"{self.name}: momentum: expected a number from 0 to 1, received {momentum}")
        if epsilon <= 0:
            raise ValueError(f"{self.name}: epsilon: expected a number > 0, received {epsilon}")
        self.axis = axis
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self._parts = Parts(
            self,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            moving_mean_initializer=moving_mean_initializer,
            moving_variance_initializer=moving_variance_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
        )

    def build(self, input_shape: Any) -> None:
        axis = standardize_axis(self.axis, len(input_shape), f"{self.name}: axis")
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                f"{self.name}: expected a known number of channels, received shape {input_shape}"
            )
        self.gamma = self.add_weight(shape=(channels,), **self._parts.of("gamma")) if self.scale else None
        self.beta = self.add_weight(shape=(channels,), **self._parts.of("beta")) if self.center else None
        moving: dict[str, Any] = {"shape": (channels,), "trainable": False}
        self.moving_mean = self.add_weight(**moving, **self._parts.of("moving_mean"))
        self.moving_variance = self.add_weight(**moving, **self._parts.of("moving_variance"))
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: channels})

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if mask is not None:
            raise ValueError(f"{self.name}: mask: expected None; masks are not supported")
        inputs = as_float(inputs)
        axis = standardize_axis(self.axis, inputs.ndim)
        last = inputs.ndim - 1
        if axis != last:
            inputs = ops.moveaxis(inputs, axis, -1)
        channels = inputs.shape[-1]
        gamma = np.ones(channels, np.float32) if self.gamma is None else self.gamma
        beta = np.zeros(channels, np.float32) if self.beta is None else self.beta
        # A batch without samples has no statistics.
        if training and self.trainable and math.prod(inputs.shape[:-1]):
            outputs = raw.batch_norm(inputs, gamma, beta, epsilon=self.epsilon)
            statistics = raw.stop_gradient(raw.channel_stats(inputs))
            self._follow(self.moving_mean, statistics[0])
            self._follow(self.moving_variance, statistics[1])
        else:
            mean, variance = self.moving_mean, self.moving_variance
            outputs = raw.batch_norm_inference(inputs, mean, variance, gamma, beta, epsilon=self.epsilon)
        return outputs if axis == last else ops.moveaxis(outputs, -1, axis)

    def _follow(self, moving: Any, batch: Any) -> None:
        moving.assign(moving.value * self.momentum + batch * (1.0 - self.momentum))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **self._parts.config(),
        }


class _ScaleAndOffset(Layer):
    """Arguments of the normalisations without moving statistics."""

    _widens = True

    def __init__(
        self,
        axis: Any = -1,
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
        super().__init__(**kwargs)
        if epsilon <= 0:
            raise ValueError(f"{self.name}: epsilon: expected a number > 0, received {epsilon}")
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else axis
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self._parts = Parts(
            self,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
        )

    def _add(self, shape: Any) -> None:
        self.gamma = self.add_weight(shape=shape, **self._parts.of("gamma")) if self.scale else None
        self.beta = self.add_weight(shape=shape, **self._parts.of("beta")) if self.center else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **self._parts.config(),
        }


class LayerNormalization(_ScaleAndOffset):
    """Mean 0 and variance 1 of each sample over `axis` (Ba, Kiros and Hinton 2016), then scale and offset.

    Args:
        axis: The axis or axes to normalise over.
        epsilon: Added to the variance.
        center: Whether to add beta.
        scale: Whether to multiply by gamma.
        beta_initializer, gamma_initializer: Starts.
        beta_regularizer, gamma_regularizer: Penalties.
        beta_constraint, gamma_constraint: Applied after each update.

    Weights: gamma and beta, of the extents of `axis`.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> y = layers.LayerNormalization()(np.array([[1.0, 3.0]]))
    >>> [round(v, 2) for v in y.tolist()[0]]
    [-1.0, 1.0]
    """

    def build(self, input_shape: Any) -> None:
        axes = standardize_axes(self.axis, len(input_shape), f"{self.name}: axis") or []
        self._add(tuple(input_shape[a] for a in sorted(axes)))

    def call(self, inputs: Any) -> Any:
        return ops.layer_normalization(inputs, self.gamma, self.beta, self.axis, self.epsilon)


class GroupNormalization(_ScaleAndOffset):
    """Mean 0 and variance 1 of each sample over groups of channels (Wu and He 2018), then scale and offset.

    Args:
        groups: Number of groups; -1 for one group per channel.
        axis: The axis of the channels.
        epsilon: Added to the variance.
        center: Whether to add beta.
        scale: Whether to multiply by gamma.
        beta_initializer, gamma_initializer: Starts.
        beta_regularizer, gamma_regularizer: Penalties.
        beta_constraint, gamma_constraint: Applied after each update.

    Weights: gamma and beta, each (channels,).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.GroupNormalization(groups=2)(np.zeros((1, 4, 4, 6))).shape
    (1, 4, 4, 6)
    """

    def __init__(
        self,
        groups: int = 32,
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
        self.groups = groups if groups == -1 else positive(groups, self.name, "groups")

    def build(self, input_shape: Any) -> None:
        channels = input_shape[self.axis]
        groups = channels if self.groups == -1 else self.groups
        if channels is None or channels % groups:
            raise ValueError(
                f"{self.name}: groups: expected a divisor of {channels} channels, received {groups}"
            )
        self._add((channels,))

    def call(self, inputs: Any) -> Any:
        inputs = as_float(inputs)
        axis = standardize_axis(self.axis, inputs.ndim)
        moved = ops.moveaxis(inputs, axis, -1)
        shape = list(moved.shape)
        groups = shape[-1] if self.groups == -1 else self.groups
        grouped = ops.reshape(moved, [shape[0], math.prod(shape[1:-1]), groups, shape[-1] // groups])
        mean, variance = ops.moments(grouped, [1, 3], keepdims=True)
        outputs = ops.reshape((grouped - mean) * ops.rsqrt(variance + self.epsilon), shape)
        if self.gamma is not None:
            outputs = outputs * self.gamma
        if self.beta is not None:
            outputs = outputs + self.beta
        return ops.moveaxis(outputs, -1, axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}


class UnitNormalization(Layer):
    """Divided by the norm over an axis.

    Args:
        axis: The axis or axes.
    """

    _widens = True

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return ops.normalize(inputs, self.axis, order=2, epsilon=1e-12)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
