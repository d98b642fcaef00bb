"""The cells of SimpleRNN, LSTM and GRU."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import flag
from cnnrs.layers.arguments import positive
from cnnrs.layers.recurrent.gates import _NONE, GatedCell

__all__ = ["GRUCell", "LSTMCell", "SimpleRNNCell"]


class SimpleRNNCell(GatedCell):
    """A step of `SimpleRNN`: `activation(inputs @ kernel + bias + state @ recurrent_kernel)`.

    Args:
        units: Features of the state, which is the output.
        activation: Name or function; None for none.
        use_bias: Whether to add a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: How the weights start.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties of the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: Applied to them after each update.
        dropout, recurrent_dropout: The part of the inputs and of the state that training sets to 0.
        seed: Integer; None draws one.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> output, states = layers.SimpleRNNCell(3)(np.zeros((2, 4)), [np.zeros((2, 3))])
    >>> output.shape, len(states)
    ((2, 3), 1)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = positive(units, self.name, "units")
        parts = {
            "kernel_initializer": kernel_initializer,
            "recurrent_initializer": recurrent_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "recurrent_regularizer": recurrent_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "recurrent_constraint": recurrent_constraint,
            "bias_constraint": bias_constraint,
        }
        self._share(activation, _NONE, use_bias, dropout, recurrent_dropout, seed, parts)

    def build(self, input_shape: Any) -> None:
        units = self.units
        self._add_kernels((input_shape[-1], units), (units, units), (units,))

    def advance(self, product: Any, states: list[Any], held: Any, training: Any) -> tuple[Any, list[Any]]:
        output = product + self._of_state(states[0], held, training)
        if self.activation is not None:
            output = self.activation(output)
        return output, [output]

    def get_config(self) -> dict[str, Any]:
        return {**self._gates_config(), "units": self.units}


class LSTMCell(GatedCell):
    """A step of `LSTM` (Hochreiter and Schmidhuber 1997). Its states are the output and the carry.

    Args:
        units: Features of the output.
        activation: Of the candidate and of the carry.
        recurrent_activation: Of the gates.
        use_bias: Whether to add a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: How the weights start.
        unit_forget_bias: Whether the bias of the forget gate starts at 1.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties of the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: Applied to them after each update.
        dropout, recurrent_dropout: The part of the inputs and of the state that training sets to 0.
        seed: Integer; None draws one.

    Weights: kernel (features, 4 · units), recurrent_kernel (units, 4 · units), bias (4 · units,), with the
    gates in the order input, forget, candidate, output.
    """

    gates = 4

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ):
        implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        self.implementation = check_implementation(implementation, self.name)
        self.units = self.output_size = positive(units, self.name, "units")
        self.state_size = [self.units, self.units]
        self.unit_forget_bias = flag(unit_forget_bias, self.name, "unit_forget_bias")
        parts = {
            "kernel_initializer": kernel_initializer,
            "recurrent_initializer": recurrent_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "recurrent_regularizer": recurrent_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "recurrent_constraint": recurrent_constraint,
            "bias_constraint": bias_constraint,
        }
        self._share(activation, recurrent_activation, use_bias, dropout, recurrent_dropout, seed, parts)

    def build(self, input_shape: Any) -> None:
        units = self.units
        start = self._forget_bias(units) if self.unit_forget_bias else None
        self._add_kernels((input_shape[-1], 4 * units), (units, 4 * units), (4 * units,), start)

    def advance(self, product: Any, states: list[Any], held: Any, training: Any) -> tuple[Any, list[Any]]:
        output, carry = states
        given = ops.split(product + self._of_state(output, held, training), 4, axis=-1)
        take, keep, show = (self.recurrent_activation(given[i]) for i in (0, 1, 3))
        carry = keep * carry + take * self.activation(given[2])
        output = show * self.activation(carry)
        return output, [output, carry]

    def get_config(self) -> dict[str, Any]:
        own = {"units": self.units, "unit_forget_bias": self.unit_forget_bias}
        return {**self._gates_config(), **own}


class GRUCell(GatedCell):
    """A step of `GRU` (Cho et al. 2014, arXiv:1406.1078).

    Args:
        units: Features of the state, which is the output.
        activation: Of the candidate.
        recurrent_activation: Of the gates.
        use_bias: Whether to add a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: How the weights start.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties of the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: Applied to them after each update.
        dropout, recurrent_dropout: The part of the inputs and of the state that training sets to 0.
        reset_after: Whether the reset gate multiplies the product of the state, or the state.
        seed: Integer; None draws one.

    Weights: kernel (features, 3 · units), recurrent_kernel (units, 3 · units), bias (2, 3 · units), or
    (3 · units,) without `reset_after`; the gates are in the order update, reset, candidate.
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: Any = None,
        **kwargs: Any,
    ):
        implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        self.implementation = check_implementation(implementation, self.name)
        self.units = self.state_size = self.output_size = positive(units, self.name, "units")
        self.reset_after = flag(reset_after, self.name, "reset_after")
        parts = {
            "kernel_initializer": kernel_initializer,
            "recurrent_initializer": recurrent_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "recurrent_regularizer": recurrent_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "recurrent_constraint": recurrent_constraint,
            "bias_constraint": bias_constraint,
        }
        self._share(activation, recurrent_activation, use_bias, dropout, recurrent_dropout, seed, parts)

    def build(self, input_shape: Any) -> None:
        units = self.units
        bias = (2, 3 * units) if self.reset_after else (3 * units,)
        self._add_kernels((input_shape[-1], 3 * units), (units, 3 * units), bias)

    def _input_bias(self) -> Any:
        return self.bias if self.bias is None or not self.reset_after else self.bias.value[0]

    def held(self) -> Any:
        kernel = self.recurrent_kernel.value
        if self.reset_after:
            return kernel, None if self.bias is None else self.bias.value[1]
        return kernel, kernel[:, : 2 * self.units], kernel[:, 2 * self.units :]

    def advance(self, product: Any, states: list[Any], held: Any, training: Any) -> tuple[Any, list[Any]]:
        (state,) = states
        units = self.units
        kept = self._dropped("recurrent_dropout", state, training)
        if self.reset_after:
            kernel, bias = held
            inner = self._of_state(state, kernel, training)
            if bias is not None:
                inner = inner + bias
            gates = self.recurrent_activation(product[:, : 2 * units] + inner[:, : 2 * units])
            update, reset = gates[:, :units], gates[:, units:]
            recurrent = reset * inner[:, 2 * units :]
        else:
            kernel, of_gates, of_candidate = held
            if isinstance(kept, list):
                parts = ops.split(of_gates, 2, axis=-1)
                inner = ops.concatenate(
                    [ops.matmul(x, k) for x, k in zip(kept, parts, strict=False)], axis=-1
                )
            else:
                inner = ops.matmul(kept, of_gates)
            gates = self.recurrent_activation(product[:, : 2 * units] + inner)
            update, reset = gates[:, :units], gates[:, units:]
            recurrent = ops.matmul(reset * (kept[2] if isinstance(kept, list) else kept), of_candidate)
        candidate = self.activation(product[:, 2 * units :] + recurrent)
        output = update * state + (1.0 - update) * candidate
        return output, [output]

    def get_config(self) -> dict[str, Any]:
        return {**self._gates_config(), "units": self.units, "reset_after": self.reset_after}


def check_implementation(value: Any, layer: str) -> int:
    """0, 1 or 2: names of forms of Keras that compute the same.

    Raises:
        ValueError: It is neither.
    """
    if value not in (0, 1, 2):
        raise ValueError(f"{layer}: implementation: expected 0, 1 or 2, received {value!r}")
    return int(value)
