"""Dense, and layers that wrap a function."""

from __future__ import annotations

from typing import Any

from cnnrs import activations, ops, serialization
from cnnrs.layers.arguments import Parts, positive
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec

__all__ = ["Activation", "Dense", "Identity", "Lambda"]


class Dense(Layer):
    """`activation(inputs @ kernel + bias)` on the last axis.

    Args:
        units: Extent of the last axis of the output.
        activation: Name or function; None for none.
        use_bias: Whether to add a bias.
        kernel_initializer, bias_initializer: How the weights start.
        kernel_regularizer, bias_regularizer: Penalties of the weights.
        activity_regularizer: Penalty of the output.
        kernel_constraint, bias_constraint: Applied to the weights after each update.

    Input shape: (batch, ..., features). Output shape: (batch, ..., units). Weights: kernel (features, units),
    bias (units,).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Dense(10)(np.zeros((2, 84))).shape
    (2, 10)
    """

    def __init__(
        self,
        units: int,
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
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive(units, self.name, "units")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self._parts = Parts(
            self,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        features = input_shape[-1]
        if features is None:
            raise ValueError(
                f"{self.name}: expected a known extent of the last axis, received shape {input_shape}"
            )
        self.kernel = self.add_weight(shape=(features, self.units), **self._parts.of("kernel"))
        self.bias = self.add_weight(shape=(self.units,), **self._parts.of("bias")) if self.use_bias else None
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def call(self, inputs: Any, training: Any = None) -> Any:
        outputs = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            outputs = outputs + self.bias
        return self.activation(outputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **self._parts.config(),
        }


class Activation(Layer):
    """An activation function as a layer.

    Args:
        activation: Name or function.

    >>> from cnnrs import layers
    >>> import numpy as np
    >>> layers.Activation("relu")(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, activation: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class Identity(Layer):
    """The input itself."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return inputs


class Lambda(Layer):
    """A Python function as a layer.

    A model with it can be saved only if the function is registered with
    `cnnrs.saving.register_keras_serializable`: files hold no code.

    Args:
        function: Takes the inputs.
        output_shape: None; shapes are found by recording the function.
        mask: None; masks are not propagated.
        arguments: Further keyword arguments of the function.

    >>> from cnnrs import layers
    >>> import numpy as np
    >>> layers.Lambda(lambda x: x * 2)(np.array([1.0, 2.0])).tolist()
    [2.0, 4.0]
    """

    def __init__(
        self, function: Any, output_shape: Any = None, mask: Any = None, arguments: Any = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        if isinstance(function, dict):
            function = serialization.deserialize_keras_object(function)
        if not callable(function):
            raise TypeError(f"{self.name}: function: expected a function, received {function!r}")
        if output_shape is not None or mask is not None:
            raise ValueError(f"{self.name}: output_shape, mask: expected None; shapes are found by recording")
        self.function = function
        self.arguments = dict(arguments or {})
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return self.function(inputs, **self.arguments)

    def get_config(self) -> dict[str, Any]:
        function = serialization.serialize_keras_object(self.function)
        return {**super().get_config(), "function": function, "arguments": self.arguments}
