"""Batch normalisation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base.arguments import flag, integer, number
from cnnrs.layers.arguments import Parts
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops import raw
from cnnrs.ops.dispatch import as_float, standardize_axis

__all__ = ["BatchNormalization"]

_EPSILON = 1e-7


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
        renorm: Whether to correct the statistics of the batch towards moving ones (Ioffe 2017,
            arXiv:1702.03275).
        renorm_clipping: Bounds of the correction: a dict with some of "rmax", "rmin" and "dmax".
        renorm_momentum: Weight of the past in the moving statistics of the correction.
        synchronized: Whether statistics are those of all devices; there is one, which makes it the same.

    A `mask` of the call, of one axis less than the inputs, says which of their places count.

    Weights: gamma, beta, moving_mean, moving_variance, each (channels,); with `renorm` also moving_stddev,
    renorm_mean and renorm_stddev.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.BatchNormalization()
    >>> y = layer(np.random.default_rng(0).normal(5.0, 2.0, (8, 4, 4, 3)), training=True).numpy()
    >>> bool(abs(y.mean()) < 1e-4), bool(abs(y.std() - 1) < 1e-2)
    (True, True)
    """

    _supports_masking = True

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
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not 0 <= momentum <= 1:
            raise ValueError(f"{self.name}: momentum: expected a number from 0 to 1, received {momentum}")
        self.axis = integer(axis, self.name, "axis")
        self.momentum = float(momentum)
        self.epsilon = float(number(epsilon, self.name, "epsilon", above=0))
        self.center = center
        self.scale = scale
        self.renorm = flag(renorm, self.name, "renorm")
        self.renorm_clipping = self._clipping(renorm_clipping) if self.renorm else renorm_clipping
        self.renorm_momentum = float(number(renorm_momentum, self.name, "renorm_momentum"))
        self.synchronized = flag(synchronized, self.name, "synchronized")
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

    def _clipping(self, given: Any) -> dict[str, float]:
        bounds = dict(given or {})
        if set(bounds) - {"rmax", "rmin", "dmax"}:
            raise ValueError(
                f"{self.name}: renorm_clipping: expected the keys 'rmax', 'rmin' and 'dmax', received {given}"
            )
        rmax, rmin, dmax = bounds.get("rmax"), bounds.get("rmin"), bounds.get("dmax")
        if rmax is not None and rmin is not None and rmax < rmin:
            raise ValueError(
                f"{self.name}: renorm_clipping: expected rmax of at least rmin, received {given}"
            )
        if dmax is not None and dmax < 0:
            raise ValueError(f"{self.name}: renorm_clipping: expected dmax of at least 0, received {given}")
        return bounds

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
        if self.renorm:
            start = self._parts.of("moving_mean")["initializer"]
            deviation = {**moving, "initializer": self._initial_deviation}
            self.moving_stddev = self.add_weight(name="moving_stddev", **deviation)
            self.renorm_mean = self.add_weight(name="renorm_mean", **moving, initializer=start)
            self.renorm_stddev = self.add_weight(name="renorm_stddev", **deviation)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: channels})

    def _initial_deviation(self, shape: Any, dtype: Any = None) -> Any:
        return np.sqrt(np.asarray(self.moving_variance_initializer(shape, dtype=dtype)))

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        inputs = as_float(inputs)
        axis = standardize_axis(self.axis, inputs.ndim)
        last = inputs.ndim - 1
        counts = None
        if mask is not None:
            if mask.ndim != last:
                raise ValueError(
                    f"{self.name}: mask: expected one axis less than the inputs of shape {inputs.shape}, "
                    f"received shape {mask.shape}"
                )
            counts = ops.broadcast_to(ops.cast(ops.expand_dims(mask, -1), "bool"), inputs.shape)
        if axis != last:
            inputs = ops.moveaxis(inputs, axis, -1)
            counts = None if counts is None else ops.moveaxis(counts, axis, -1)
        channels = inputs.shape[-1]
        gamma = np.ones(channels, np.float32) if self.gamma is None else self.gamma
        beta = np.zeros(channels, np.float32) if self.beta is None else self.beta
        # A batch without samples has no statistics.
        if training and self.trainable and math.prod(inputs.shape[:-1]):
            outputs = self._normalize(inputs, gamma, beta, counts)
        else:
            mean, variance = self.moving_mean, self.moving_variance
            outputs = raw.batch_norm_inference(inputs, mean, variance, gamma, beta, epsilon=self.epsilon)
        return outputs if axis == last else ops.moveaxis(outputs, -1, axis)

    def _normalize(self, inputs: Any, gamma: Any, beta: Any, counts: Any) -> Any:
        """By the statistics of the batch, which the moving ones follow."""
        if counts is None:
            statistics = raw.stop_gradient(raw.channel_stats(inputs))
            mean, variance = statistics[0], statistics[1]
        else:
            mean, variance = self._masked_moments(inputs, counts)
        if self.renorm:
            gamma, beta = self._corrected(gamma, beta, raw.stop_gradient(mean), raw.stop_gradient(variance))
        if counts is None:
            outputs = raw.batch_norm(inputs, gamma, beta, epsilon=self.epsilon)
        else:
            outputs = (inputs - mean) * ops.rsqrt(variance + self.epsilon) * gamma + beta
        mean, variance = raw.stop_gradient(mean), raw.stop_gradient(variance)
        self._follow(self.moving_mean, mean, self.momentum)
        if self.renorm:
            deviation = ops.sqrt(variance + self.epsilon)
            self._follow(self.renorm_mean, mean, self.renorm_momentum)
            self._follow(self.renorm_stddev, deviation, self.renorm_momentum)
            self._follow(self.moving_stddev, deviation, self.momentum)
            squared = ops.square(self.moving_stddev.value)
            self.moving_variance.assign(ops.relu(squared - self.epsilon))
        else:
            self._follow(self.moving_variance, variance, self.momentum)
        return outputs

    def _masked_moments(self, inputs: Any, counts: Any) -> tuple[Any, Any]:
        axes = list(range(inputs.ndim - 1))
        number_of = ops.sum(ops.cast(counts, inputs.dtype), axes) + _EPSILON
        zero = ops.zeros_like(inputs)
        mean = ops.sum(ops.where(counts, inputs, zero), axes) / number_of
        distance = ops.where(counts, inputs - mean, zero)
        return mean, ops.sum(ops.square(distance), axes) / number_of

    def _corrected(self, gamma: Any, beta: Any, mean: Any, variance: Any) -> tuple[Any, Any]:
        """Scale and offset that bring what the batch's statistics made to the moving statistics."""
        deviation = ops.maximum(self.renorm_stddev.value, self.epsilon**0.5)
        r = ops.sqrt(variance + self.epsilon) / deviation
        d = (mean - self.renorm_mean.value) / deviation
        bounds = self.renorm_clipping
        if bounds.get("rmin") is not None:
            r = ops.maximum(r, bounds["rmin"])
        if bounds.get("rmax") is not None:
            r = ops.minimum(r, bounds["rmax"])
        if bounds.get("dmax") is not None:
            d = ops.clip(d, -bounds["dmax"], bounds["dmax"])
        gamma = ops.convert_to_tensor(gamma)
        return r * gamma, d * gamma + beta

    def _follow(self, moving: Any, batch: Any, momentum: float) -> None:
        moving.assign(moving.value * momentum + batch * (1.0 - momentum))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **self._parts.config(),
            "renorm": self.renorm,
            "renorm_clipping": self.renorm_clipping,
            "renorm_momentum": self.renorm_momentum,
            "synchronized": self.synchronized,
        }
