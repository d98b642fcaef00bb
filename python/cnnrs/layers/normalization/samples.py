"""Normalisation of each sample by itself."""

from __future__ import annotations

import math
from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import flag, integer, number
from cnnrs.base.user_warnings import warn_user
from cnnrs.layers.arguments import Parts, positive
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.layers.normalization.channels import pooled_statistics
from cnnrs.ops.dispatch import as_float, standardize_axes, standardize_axis

__all__ = ["GroupNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization"]


def _axes_argument(axis: Any, layer: str) -> Any:
    """An axis, or a list of axes.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(axis, (list, tuple)) and all(isinstance(a, int) for a in axis):
        return list(axis)
    if not isinstance(axis, int):
        raise TypeError(f"{layer}: axis: expected an integer or a list of integers, received {axis!r}")
    return axis


class _ScaleAndOffset(Layer):
    """Arguments of the normalisations without moving statistics."""

    _supports_masking = True

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
        self.axis = _axes_argument(axis, self.name)
        self.epsilon = float(number(epsilon, self.name, "epsilon", above=0))
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
        rms_scaling: Whether to divide by the deviation alone, and to scale by gamma without an offset.

    Weights: gamma and beta, of the extents of `axis`.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> y = layers.LayerNormalization()(np.array([[1.0, 3.0]]))
    >>> [round(v, 2) for v in y.tolist()[0]]
    [-1.0, 1.0]
    """

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
        rms_scaling = kwargs.pop("rms_scaling", False)
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
        self.rms_scaling = flag(rms_scaling, self.name, "rms_scaling")
        if self.rms_scaling:
            warn_user(
                f"{self.name}: rms_scaling: divides by the deviation from the mean, as Keras does; "
                "use layers.RMSNormalization to divide by the root of the mean square"
            )

    def build(self, input_shape: Any) -> None:
        axes = sorted(standardize_axes(self.axis, len(input_shape), f"{self.name}: axis") or [])
        shape = tuple(input_shape[a] for a in axes)
        self.axis = self.axis if isinstance(self.axis, list) else [self.axis]
        self.gamma = self.beta = None
        if self.scale or self.rms_scaling:
            self.gamma = self.add_weight(shape=shape, **self._parts.of("gamma"))
        if self.center and not self.rms_scaling:
            self.beta = self.add_weight(shape=shape, **self._parts.of("beta"))

    def call(self, inputs: Any) -> Any:
        if self.rms_scaling:
            inputs = as_float(inputs)
            variance = ops.var(inputs, axis=self.axis, keepdims=True)
            axes = standardize_axes(self.axis, inputs.ndim) or []
            shape = [inputs.shape[a] if a in axes else 1 for a in range(inputs.ndim)]
            return inputs * ops.rsqrt(variance + self.epsilon) * ops.reshape(self.gamma, shape)
        return ops.layer_normalization(inputs, self.gamma, self.beta, self.axis, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rms_scaling": self.rms_scaling}


class RMSNormalization(Layer):
    """Divided by the root of the mean square over `axis` (Zhang and Sennrich 2019), then scaled.

    Args:
        axis: The axis or axes.
        epsilon: Added to the mean square.

    Weights: scale, of the extents of `axis`.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> [round(v, 3) for v in layers.RMSNormalization()(np.array([[3.0, 4.0]])).tolist()[0]]
    [0.849, 1.131]
    """

    _widens = True

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = _axes_argument(axis, self.name)
        self.epsilon = float(number(epsilon, self.name, "epsilon", least=0))

    def build(self, input_shape: Any) -> None:
        axes = sorted(standardize_axes(self.axis, len(input_shape), f"{self.name}: axis") or [])
        shape = tuple(input_shape[a] for a in axes)
        self.scale = self.add_weight(shape=shape, initializer="ones", name="scale")

    def call(self, x: Any) -> Any:
        outputs = ops.rms_normalization(x, None, self.axis, self.epsilon)
        axes = standardize_axes(self.axis, x.ndim) or []
        return outputs * ops.reshape(self.scale, [x.shape[a] if a in axes else 1 for a in range(x.ndim)])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


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
        self.axis = integer(axis, self.name, "axis")
        self.groups = groups if groups == -1 else positive(groups, self.name, "groups")

    def build(self, input_shape: Any) -> None:
        axis = standardize_axis(self.axis, len(input_shape), f"{self.name}: axis")
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                f"{self.name}: expected a known number of channels, received shape {input_shape}"
            )
        if self.groups == -1:
            self.groups = channels
        groups = self.groups
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: channels})
        if channels % groups:
            raise ValueError(
                f"{self.name}: groups: expected a divisor of {channels} channels, received {groups}"
            )
        self._add((channels,))

    def call(self, inputs: Any) -> Any:
        inputs = as_float(inputs)
        axis = standardize_axis(self.axis, inputs.ndim)
        moved = ops.moveaxis(inputs, axis, -1)
        shape = list(moved.shape)
        samples, channels = shape[0], shape[-1]
        places = ops.reshape(moved, [samples, math.prod(shape[1:-1]), channels])
        # Statistics of groups are made of those of channels: the image is only read along whole channels.
        mean, variance = ops.moments(places, [1])
        by_group = [samples, self.groups, channels // self.groups]
        mean, variance = pooled_statistics(ops.reshape(mean, by_group), ops.reshape(variance, by_group), 2)
        mean, variance = (
            ops.reshape(ops.broadcast_to(s, by_group), [samples, 1, channels]) for s in (mean, variance)
        )
        factor = ops.rsqrt(variance + self.epsilon)
        if self.gamma is not None:
            factor = factor * self.gamma
        outputs = (places - mean) * factor
        if self.beta is not None:
            outputs = outputs + self.beta
        return ops.moveaxis(ops.reshape(outputs, shape), -1, axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}


class UnitNormalization(Layer):
    """Divided by the norm over an axis.

    Args:
        axis: The axis or axes.
    """

    _supports_masking = True

    _widens = True

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = _axes_argument(axis, self.name)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return ops.normalize(inputs, self.axis, order=2, epsilon=1e-12)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
