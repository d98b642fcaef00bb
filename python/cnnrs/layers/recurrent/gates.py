"""What the cells of this package share: their arguments, their weights, and a step in two halves."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import activations, ops, random
from cnnrs.base.arguments import number
from cnnrs.layers.arguments import Parts, looked_up
from cnnrs.layers.base import Layer
from cnnrs.random import SeedGenerator

__all__ = ["GatedCell"]


class GatedCell(Layer):
    """A cell whose step is a product of the input, and one of the state.

    The product of the input does not depend on the state: `RNN` computes it for all steps at once
    (`of_inputs`), and then goes through the steps (`advance`) with weights that it has read once (`held`).

    Attributes:
        units: Features of the state.
        gates: Gates, each of which has a part of the kernels.
    """

    gates = 1
    state_size: Any
    recurrent_activation: Any = None
    bias: Any

    def _share(
        self,
        activation: Any,
        recurrent_activation: Any,
        use_bias: bool,
        dropout: float,
        recurrent_dropout: float,
        seed: Any,
        parts: dict[str, Any],
    ) -> None:
        self.activation = looked_up(activation, activations, self.name, "activation")
        if recurrent_activation is not _NONE:
            self.recurrent_activation = looked_up(
                recurrent_activation, activations, self.name, "recurrent_activation"
            )
        self.use_bias = bool(use_bias)
        self.dropout = min(1.0, max(0.0, number(dropout, self.name, "dropout")))
        self.recurrent_dropout = min(1.0, max(0.0, number(recurrent_dropout, self.name, "recurrent_dropout")))
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self._parts = Parts(self, **parts)
        # Draws of a run along a sequence, which are the same for all of its steps.
        self._drawn: dict[str, Any] | None = None

    def _add_kernels(self, kernel: Any, recurrent_kernel: Any, bias: Any, start: Any = None) -> None:
        self.kernel = self.add_weight(shape=kernel, **self._parts.of("kernel"))
        recurrent = {**self._parts.of("recurrent"), "name": "recurrent_kernel"}
        self.recurrent_kernel = self.add_weight(shape=recurrent_kernel, **recurrent)
        self.bias = None
        if self.use_bias:
            part = self._parts.of("bias")
            self.bias = self.add_weight(
                shape=bias, **(part if start is None else {**part, "initializer": start})
            )

    def _forget_bias(self, units: int) -> Any:
        """The initializer of a bias whose part for the forget gate is 1."""

        def initialize(shape: Any, dtype: Any = None) -> np.ndarray:
            first, rest = (np.asarray(self.bias_initializer((n * units,), dtype=dtype)) for n in (1, 2))
            return np.concatenate([first, np.ones(units, first.dtype), rest])

        return initialize

    # ---- a step in two halves

    def of_inputs(self, inputs: Any, training: Any) -> Any:
        """The product of inputs (batch, steps, features), or of one step (batch, features)."""
        kept = self._dropped("dropout", inputs, training)
        if isinstance(kept, list):
            kernels = ops.split(self.kernel, self.gates, axis=-1)
            product = ops.concatenate(
                [ops.matmul(x, kernel) for x, kernel in zip(kept, kernels, strict=True)], axis=-1
            )
        else:
            product = ops.matmul(kept, self.kernel)
        bias = self._input_bias()
        return product if bias is None else product + bias

    def _input_bias(self) -> Any:
        return self.bias

    def held(self) -> Any:
        """What steps read of the weights."""
        return self.recurrent_kernel.value

    def advance(self, product: Any, states: list[Any], held: Any, training: Any) -> tuple[Any, list[Any]]:
        """Output and states of a step, from the product of its input."""
        raise NotImplementedError

    def call(self, inputs: Any, states: Any, training: Any = False) -> Any:
        nested = isinstance(states, (list, tuple))
        own = list(states) if nested else [states]
        output, new = self.advance(self.of_inputs(inputs, training), own, self.held(), training)
        return output, new if nested else new[0]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros."""
        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in sizes]

    # ---- dropout

    def keep_draws(self, keep: bool) -> None:
        """Whether draws stay for the steps to come."""
        self._drawn = {} if keep else None

    def _dropped(self, kind: str, x: Any, training: Any) -> Any:
        """`x` times a draw that is the same for all steps; a list for the gates if these differ."""
        rate = getattr(self, kind)
        if not training or rate == 0.0:
            return x
        drawn = None if self._drawn is None else self._drawn.get(kind)
        if drawn is None:
            ones = ops.ones_like(x[:, :1] if x.ndim == self._sequence_rank() else x)
            count = self.gates if self._separate() else 1
            drawn = [
                ones * 0.0 if rate == 1.0 else random.dropout(ones, rate, seed=self.seed_generator)
                for _ in range(count)
            ]
            if self._drawn is not None:
                self._drawn[kind] = drawn
        # In 16 bits the draw must not widen the product.
        parts = [x * ops.cast(draw, x.dtype) for draw in drawn]
        return parts if len(parts) > 1 else parts[0]

    def _separate(self) -> bool:
        """Whether gates have draws of their own, as where the state is dropped in Keras."""
        return self.recurrent_dropout > 0.0 and self.gates > 1

    def _sequence_rank(self) -> int:
        return 3

    def _of_state(self, state: Any, held: Any, training: Any) -> Any:
        """The product of a state."""
        kept = self._dropped("recurrent_dropout", state, training)
        if isinstance(kept, list):
            kernels = ops.split(held, self.gates, axis=-1)
            return ops.concatenate(
                [ops.matmul(x, kernel) for x, kernel in zip(kept, kernels, strict=True)], axis=-1
            )
        return ops.matmul(kept, held)

    def _gates_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **self._parts.config(),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }
        if self.recurrent_activation is not None:
            config["recurrent_activation"] = activations.serialize(self.recurrent_activation)
        return config


_NONE = object()
