"""Dense, and layers that wrap a function."""

from __future__ import annotations

import inspect
from typing import Any

from cnnrs import activations, ops, serialization, tree
from cnnrs.layers.arguments import NoLora, Parts, looked_up, positive, refuse_lora
from cnnrs.layers.base import Layer
from cnnrs.layers.calls import _is_shape, _tuples
from cnnrs.layers.input_spec import InputSpec

__all__ = ["Activation", "Dense", "Identity", "Lambda"]


class Dense(NoLora, Layer):
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

    _supports_masking = True

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
        refuse_lora("Dense", kwargs)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive(units, self.name, "units")
        self.activation = looked_up(activation, activations, self.name, "activation")
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
        return outputs if self.activation is None else self.activation(outputs)

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

    _supports_masking = True

    def __init__(self, activation: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.activation = looked_up(activation, activations, self.name, "activation")
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class Identity(Layer):
    """The input itself."""

    _supports_masking = True

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
        function: Takes the inputs, and `mask` and `training` if it names them.
        output_shape: Shape of the output without the batch, or a function of the input's shape that gives
            the whole; None to find it by recording the function.
        mask: The mask of the output: a tensor, or a function of the inputs and their mask; None for none.
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
        function, output_shape, mask = map(_restored, (function, output_shape, mask))
        if not callable(function):
            raise TypeError(f"{self.name}: function: expected a function, received {function!r}")
        self.function = function
        self.arguments = dict(arguments or {})
        self.mask = mask if mask is None or callable(mask) else ops.convert_to_tensor(mask)
        self._output_shape = output_shape if callable(output_shape) else _tuples(output_shape)
        self.supports_masking = mask is not None
        try:
            names = set(inspect.signature(function).parameters)
        except (TypeError, ValueError):  # of C
            names = set()
        self._takes = names & {"mask", "training"}
        self._build_at_init()

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        context = {"mask": mask, "training": training}
        return self.function(inputs, **self.arguments, **{name: context[name] for name in self._takes})

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self._output_shape is not None:
            return self._spec_by_shape(args, kwargs)
        return self._recorded_spec(args, kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is None:
            try:
                return super().compute_output_shape(input_shape)
            except Exception as error:
                raise NotImplementedError(
                    f"{self.name}: expected output_shape to be given, for recording the function on an input "
                    f"of shape {input_shape} fails: {error}"
                ) from error
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        batch = tree.flatten(input_shape)[0]
        return _with_batch(self._output_shape, batch)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        def plain(value: Any) -> Any:
            return serialization.serialize_keras_object(value)

        config = {**super().get_config(), "function": plain(self.function)}
        if self._output_shape is not None:
            given = self._output_shape
            config["output_shape"] = plain(given) if callable(given) else given
        if self.mask is not None:
            config["mask"] = plain(self.mask if callable(self.mask) else self.mask.numpy())
        return {**config, "arguments": plain(self.arguments)}


def _restored(value: Any) -> Any:
    """What a config holds in place of `value`, if it is one."""
    if isinstance(value, dict) and "class_name" in value:
        return serialization.deserialize_keras_object(value)
    return value


def _with_batch(shape: Any, batch: int | None) -> Any:
    """The shapes in a structure, with the batch before them."""
    if _is_shape(shape):
        return (batch, *shape)
    if isinstance(shape, dict):
        return {key: _with_batch(part, batch) for key, part in shape.items()}
    return type(shape)(_with_batch(part, batch) for part in shape)
