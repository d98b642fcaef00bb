"""Activations with arguments or weights: those of Keras."""

from __future__ import annotations

from typing import Any

from cnnrs import activations, ops
from cnnrs.base.user_warnings import warn_user
from cnnrs.layers.arguments import Parts
from cnnrs.layers.base import Layer

__all__ = ["ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"]


class ReLU(Layer):
    """`x` above the threshold, elsewhere `negative_slope * (x - threshold)`; at most `max_value`.

    Args:
        max_value: Upper limit, None for none.
        negative_slope: Slope below the threshold.
        threshold: Where it starts.

    >>> from cnnrs import layers
    >>> import numpy as np
    >>> layers.ReLU(max_value=6)(np.array([-1.0, 2.0, 9.0])).tolist()
    [0.0, 2.0, 6.0]
    """

    _is_activation = True

    _supports_masking = True

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        for argument, value in {
            "max_value": max_value,
            "negative_slope": negative_slope,
            "threshold": threshold,
        }.items():
            absent = argument == "max_value" and value is None
            if not absent and not (isinstance(value, (int, float)) and value >= 0):
                raise ValueError(f"{self.name}: {argument}: expected a number >= 0, received {value!r}")
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class LeakyReLU(Layer):
    """`x` where positive, `negative_slope * x` elsewhere.

    Args:
        negative_slope: Slope of the negative half.

    >>> from cnnrs import layers
    >>> import numpy as np
    >>> layers.LeakyReLU(0.5)(np.array([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    _is_activation = True

    _supports_masking = True

    further_arguments = (*Layer.further_arguments, "alpha")

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any):
        if "alpha" in kwargs:
            warn_user("LeakyReLU: alpha is called negative_slope since Keras 3")
            negative_slope = kwargs.pop("alpha")
        super().__init__(**kwargs)
        if not _is_number(negative_slope):
            raise ValueError(f"{self.name}: negative_slope: expected a number, received {negative_slope!r}")
        self.negative_slope = float(negative_slope)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return ops.leaky_relu(inputs, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(Layer):
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere.

    Args:
        alpha: Limit of the negative half.
    """

    _is_activation = True

    _supports_masking = True

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = alpha
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return ops.elu(inputs, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


def shape_of_slopes(layer: str, input_shape: Any, shared_axes: list[int]) -> list[int]:
    """The extents of an input without the batch, 1 along axes that share a weight.

    Args:
        layer: Name of the layer, for errors.
        input_shape: Shape of the input.
        shared_axes: Axes, counted from 1 after the batch.

    Raises:
        ValueError: An axis is none of the input's, or an extent that is not shared is not known.

    >>> shape_of_slopes("p_re_lu", (None, 8, 8, 3), [1, 2])
    [1, 1, 3]
    """
    shape = list(input_shape[1:])
    for axis in shared_axes:
        if not isinstance(axis, int) or not 1 <= axis <= len(shape):
            raise ValueError(f"{layer}: shared_axes: expected axes from 1 to {len(shape)}, received {axis!r}")
        shape[axis - 1] = 1
    if None in shape:
        unknown = [axis for axis, extent in enumerate(shape, 1) if extent is None]
        raise ValueError(
            f"{layer}: shared_axes: expected axes of unknown extent, {unknown}, among the shared ones, "
            f"received {list(shared_axes)} for an input of shape {tuple(input_shape)}"
        )
    return shape


class PReLU(Layer):
    """`x` where positive, `alpha * x` elsewhere, with learnt slopes.

    Args:
        alpha_initializer: How the slopes start.
        alpha_regularizer: Their penalty.
        alpha_constraint: Applied to them after each update.
        shared_axes: Axes along which a slope is shared, counted from 1 after the batch.

    Weights: alpha, of the input's shape without the batch, 1 along shared axes.
    """

    _is_activation = True

    _supports_masking = True

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._parts = Parts(
            self,
            alpha_initializer=alpha_initializer,
            alpha_regularizer=alpha_regularizer,
            alpha_constraint=alpha_constraint,
        )
        shared = [shared_axes] if isinstance(shared_axes, int) else shared_axes
        self.shared_axes = None if shared is None else list(shared)

    def build(self, input_shape: Any) -> None:
        shape = shape_of_slopes(self.name, input_shape, self.shared_axes or [])
        self.alpha = self.add_weight(shape=shape, **self._parts.of("alpha"))

    def call(self, inputs: Any) -> Any:
        return ops.relu(inputs) - self.alpha * ops.relu(-inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._parts.config(), "shared_axes": self.shared_axes}


class Softmax(Layer):
    """Exponentials divided by their sum along an axis.

    With a `mask` in the call, those where it is False are left out, and the result is 0 there.

    Args:
        axis: The axis, or a list of axes.

    >>> from cnnrs import layers
    >>> import numpy as np
    >>> layers.Softmax()(np.zeros((1, 4))).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """

    _supports_masking = True

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis
        self._build_at_init()

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return ops.softmax(inputs, self.axis)
        extents = tuple(inputs.shape)
        fits = mask.ndim <= inputs.ndim and all(
            m in (1, i) for m, i in zip(mask.shape[::-1], extents[::-1], strict=False)
        )
        if not fits:
            raise ValueError(
                f"{self.name}: mask: expected a shape that broadcasts to {extents}, received {mask.shape}"
            )
        if mask.dtype != "bool":
            mask = ops.greater(mask, 0.5)
        # Where all are masked, softmax would share 1 among them.
        outputs = ops.softmax(ops.where(mask, inputs, -3e38), self.axis)
        return ops.where(mask, outputs, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
