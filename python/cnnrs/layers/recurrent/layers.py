"""SimpleRNN, LSTM and GRU: `RNN` with the cell of that name."""

from __future__ import annotations

from typing import Any

from cnnrs import regularizers, serialization
from cnnrs.layers.input_spec import InputSpec
from cnnrs.layers.recurrent.cells import GRUCell, LSTMCell, SimpleRNNCell
from cnnrs.layers.recurrent.rnn import RNN

__all__ = ["GRU", "LSTM", "CellLayer", "SimpleRNN"]


def _of_cell(name: str) -> property:
    return property(lambda self: getattr(self.cell, name), doc=f"`{name}` of the cell.")


class CellLayer(RNN):
    """`RNN` that makes its cell of its own arguments, which are attributes and config entries of both."""

    cell_arguments: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in vars(cls).get("cell_arguments", ()):
            setattr(cls, name, _of_cell(name))

    def get_config(self) -> dict[str, Any]:
        config, cell = super().get_config(), self.cell.get_config()
        del config["cell"]
        config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return {**config, **{name: cell[name] for name in self.cell_arguments}}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        with serialization.CustomObjectScope(custom_objects or {}):
            return cls(**config)

    def _set_use_cudnn(self, use_cudnn: Any) -> None:
        if use_cudnn not in ("auto", True, False):
            raise ValueError(
                f"{self.name}: use_cudnn: expected 'auto', True or False, received {use_cudnn!r}"
            )
        self.use_cudnn = use_cudnn

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: Any = False) -> Any:
        if getattr(self, "use_cudnn", None) is True:
            raise ValueError(f"{self.name}: use_cudnn: expected 'auto' or False: cuDNN is not used here")
        return super().inner_loop(sequences, initial_state, mask, training)


class SimpleRNN(CellLayer):
    """Fully connected recurrent layer: the output of a step is part of the input of the next.

    Args:
        units: Features of the output.
        activation: Name or function; None for none.
        use_bias: Whether to add a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: How the weights start.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties of the weights.
        activity_regularizer: Penalty of the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Applied to the weights after each update.
        dropout, recurrent_dropout: The part of the inputs and of the state that training sets to 0.
        return_sequences, return_state, go_backwards, stateful, unroll: As for `RNN`.
        seed: Integer for the dropout; None draws one.

    Weights: kernel (features, units), recurrent_kernel (units, units), bias (units,).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.SimpleRNN(4)(np.zeros((2, 7, 3))).shape
    (2, 4)
    """

    cell_arguments = (
        "units",
        "activation",
        "use_bias",
        "kernel_initializer",
        "recurrent_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "recurrent_regularizer",
        "bias_regularizer",
        "kernel_constraint",
        "recurrent_constraint",
        "bias_constraint",
        "dropout",
        "recurrent_dropout",
        "seed",
    )

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ):
        cell = SimpleRNNCell(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="simple_rnn_cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.input_spec = InputSpec(ndim=3)


class LSTM(CellLayer):
    """Long short-term memory (Hochreiter and Schmidhuber 1997).

    Args:
        units: Features of the output.
        activation: Of the candidate and of the carry.
        recurrent_activation: Of the gates.
        use_bias: Whether to add a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: How the weights start.
        unit_forget_bias: Whether the bias of the forget gate starts at 1.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties of the weights.
        activity_regularizer: Penalty of the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Applied to the weights after each update.
        dropout, recurrent_dropout: The part of the inputs and of the state that training sets to 0.
        return_sequences, return_state, go_backwards, stateful, unroll: As for `RNN`.
        seed: Integer for the dropout; None draws one.
        use_cudnn: "auto" or False; True is refused when the layer is called, for cuDNN is not used.

    Weights: kernel (features, 4 · units), recurrent_kernel (units, 4 · units), bias (4 · units,).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.LSTM(4)(np.zeros((2, 7, 3))).shape
    (2, 4)
    """

    cell_arguments = (
        "units",
        "activation",
        "recurrent_activation",
        "use_bias",
        "kernel_initializer",
        "recurrent_initializer",
        "bias_initializer",
        "unit_forget_bias",
        "kernel_regularizer",
        "recurrent_regularizer",
        "bias_regularizer",
        "kernel_constraint",
        "recurrent_constraint",
        "bias_constraint",
        "dropout",
        "recurrent_dropout",
        "seed",
    )

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ):
        implementation = kwargs.pop("implementation", 2)
        cell = LSTMCell(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            implementation=implementation,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="lstm_cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.input_spec = InputSpec(ndim=3)
        self._set_use_cudnn(use_cudnn)


class GRU(CellLayer):
    """Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078).

    Args:
        units: Features of the output.
        activation: Of the candidate.
        recurrent_activation: Of the gates.
        use_bias: Whether to add a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: How the weights start.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties of the weights.
        activity_regularizer: Penalty of the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Applied to the weights after each update.
        dropout, recurrent_dropout: The part of the inputs and of the state that training sets to 0.
        return_sequences, return_state, go_backwards, stateful, unroll: As for `RNN`.
        seed: Integer for the dropout; None draws one.
        reset_after: Whether the reset gate multiplies the product of the state, or the state.
        use_cudnn: "auto" or False; True is refused when the layer is called, for cuDNN is not used.

    Weights: kernel (features, 3 · units), recurrent_kernel (units, 3 · units), bias (2, 3 · units).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.GRU(4)(np.zeros((2, 7, 3))).shape
    (2, 4)
    """

    cell_arguments = (
        "units",
        "activation",
        "recurrent_activation",
        "use_bias",
        "kernel_initializer",
        "recurrent_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "recurrent_regularizer",
        "bias_regularizer",
        "kernel_constraint",
        "recurrent_constraint",
        "bias_constraint",
        "dropout",
        "recurrent_dropout",
        "seed",
        "reset_after",
    )

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ):
        implementation = kwargs.pop("implementation", 2)
        cell = GRUCell(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            reset_after=reset_after,
            implementation=implementation,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="gru_cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.input_spec = InputSpec(ndim=3)
        self._set_use_cudnn(use_cudnn)
