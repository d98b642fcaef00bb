"""Normalisation by a learnt mixture of the statistics of instances, layers and batches."""

from __future__ import annotations

import math
from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import integer, number
from cnnrs.layers.input_spec import InputSpec
from cnnrs.layers.normalization.channels import (
    channels_along,
    pooled_statistics,
    spatial_axes,
    with_channels,
)
from cnnrs.layers.normalization.samples import _ScaleAndOffset
from cnnrs.ops.dispatch import as_float, standardize_axis

__all__ = ["SwitchableNormalization"]

_KINDS = ("instance", "layer", "batch")


class SwitchableNormalization(_ScaleAndOffset):
    """Normalised by means and variances that are mixed of those of instances, layers and the batch.

    The weights of a mixture are a softmax, one for the means and one for the variances: the layer learns
    which normalisation suits it. In training the batch's statistics are those of the batch, and moving
    statistics follow them: `moving = moving * momentum + batch * (1 - momentum)`. In inference, when the
    layer is not trainable, or for an empty batch, the moving statistics take their place; the others are
    always those of the sample. As these depend on the image, nothing is folded into a convolution.

    Args:
        axis: The axis of the channels.
        momentum: Weight of the past in the moving statistics.
        epsilon: Added to the variance.
        using: Which statistics are mixed: some of "instance", "layer" and "batch".
        center: Whether to add beta.
        scale: Whether to multiply by gamma.
        beta_initializer, gamma_initializer: Starts.
        beta_regularizer, gamma_regularizer: Penalties.
        beta_constraint, gamma_constraint: Applied after each update.

    Input and output shape: (batch, ..., channels), with one or more axes of places.

    Weights: gamma and beta, each (channels,); mean_weight and variance_weight, each of one number for each
    of `using`, from ones, if there are several; with "batch" also moving_mean and moving_variance, each
    (channels,).

    Raises:
        ValueError: The input has no axis of places, or an argument is none of the above.

    Reference:
        Luo, Ren, Peng, Zhang and Li 2019, "Differentiable learning-to-normalize via switchable
        normalization", arXiv:1806.10779, equations 3 to 5.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.SwitchableNormalization()
    >>> layer(np.random.default_rng(0).normal(size=(2, 4, 4, 3))).shape
    (2, 4, 4, 3)
    >>> {kind: round(share, 3) for kind, share in layer.importance()["mean"].items()}
    {'instance': 0.333, 'layer': 0.333, 'batch': 0.333}
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        using: Any = _KINDS,
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
        self.momentum = number(momentum, self.name, "momentum", least=0, most=1)
        given = (using,) if isinstance(using, str) else tuple(using)
        if not given or len(set(given)) < len(given) or not set(given) <= set(_KINDS):
            raise ValueError(f"{self.name}: using: expected some of {', '.join(_KINDS)}, received {using!r}")
        self.using = given
        self.input_spec = InputSpec(min_ndim=3)

    def build(self, input_shape: Any) -> None:
        shape = (channels_along(self, input_shape, self.axis, min_ndim=3),)
        self._add(shape)
        self.mean_weight = self.variance_weight = None
        many = len(self.using)
        if many > 1:
            self.mean_weight = self.add_weight(shape=(many,), initializer="ones", name="mean_weight")
            self.variance_weight = self.add_weight(shape=(many,), initializer="ones", name="variance_weight")
        if "batch" in self.using:
            moving: dict[str, Any] = {"shape": shape, "trainable": False}
            self.moving_mean = self.add_weight(**moving, initializer="zeros", name="moving_mean")
            self.moving_variance = self.add_weight(**moving, initializer="ones", name="moving_variance")

    def call(self, inputs: Any, training: Any = False) -> Any:
        inputs = as_float(inputs)
        channels = standardize_axis(self.axis, inputs.ndim)
        places = spatial_axes(inputs.ndim, self.axis)
        mean, variance = ops.moments(inputs, places, keepdims=True)
        # The other statistics are made of those of the instances (equation 4): the image is read once.
        statistics = {"instance": (mean, variance)}
        if "layer" in self.using:
            statistics["layer"] = pooled_statistics(mean, variance, channels)
        if "batch" in self.using:
            if training and self.trainable and math.prod(inputs.shape):
                statistics["batch"] = pooled_statistics(mean, variance, 0)
                self._follow(*statistics["batch"])
            else:
                statistics["batch"] = tuple(
                    with_channels(moving, inputs.ndim, self.axis)
                    for moving in (self.moving_mean, self.moving_variance)
                )
        mean, variance = (
            self._mixed(weight, [statistics[kind][i] for kind in self.using])
            for i, weight in enumerate((self.mean_weight, self.variance_weight))
        )
        factor = ops.rsqrt(variance + self.epsilon)
        if self.gamma is not None:
            factor = factor * with_channels(self.gamma, inputs.ndim, self.axis)
        outputs = (inputs - mean) * factor
        return outputs if self.beta is None else outputs + with_channels(self.beta, inputs.ndim, self.axis)

    def _mixed(self, weight: Any, statistics: list[Any]) -> Any:
        if weight is None:
            return statistics[0]
        shares = ops.softmax(weight)
        total = shares[0] * statistics[0]
        for i, statistic in enumerate(statistics[1:], 1):
            total = total + shares[i] * statistic
        return total

    def _follow(self, mean: Any, variance: Any) -> None:
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            flat = ops.reshape(ops.stop_gradient(batch), moving.shape)
            moving.assign(moving.value * self.momentum + flat * (1.0 - self.momentum))

    def importance(self) -> dict[str, dict[str, float]]:
        """The weights of the mixtures, for "mean" and "variance": numbers by the names in `using`.

        Raises:
            ValueError: The layer has not been built.
        """
        if not self.built:
            raise ValueError(f"{self.name}: importance: expected a layer that was called or built")
        shares = {"mean": self.mean_weight, "variance": self.variance_weight}
        return {
            name: dict(zip(self.using, [1.0] if w is None else ops.softmax(w.value).tolist(), strict=True))
            for name, w in shares.items()
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "using": list(self.using)}
