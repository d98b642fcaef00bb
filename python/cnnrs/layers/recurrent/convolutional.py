"""LSTM whose products are convolutions."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import flag
from cnnrs.layers.arguments import positive
from cnnrs.layers.input_spec import InputSpec
from cnnrs.layers.recurrent.gates import GatedCell
from cnnrs.layers.recurrent.layers import CellLayer
from cnnrs.ops.spatial import image_data_format, spatial_numbers

__all__ = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "ConvLSTMCell"]


class ConvLSTMCell(GatedCell):
    """A step of `ConvLSTM2D` and its like.

    Args:
        rank: Spatial axes.
        filters: Channels of the state.
        **kwargs: As for `ConvLSTM2D`.
    """

    gates = 4

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        super().__init__(**kwargs)
        self.rank = rank
        self.filters = positive(filters, self.name, "filters")
        for argument, value in (
            ("kernel_size", kernel_size),
            ("strides", strides),
            ("dilation_rate", dilation_rate),
        ):
            setattr(self, argument, tuple(spatial_numbers(value, f"{self.name}: {argument}", rank)))
        if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
            raise ValueError(f"{self.name}: padding: expected 'valid' or 'same', received {padding!r}")
        self.padding = padding.lower()
        self.data_format = image_data_format(data_format, self.name)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{self.name}: strides {self.strides} and dilation_rate {self.dilation_rate}: "
                "expected one of them to be 1"
            )
        self.unit_forget_bias = flag(unit_forget_bias, self.name, "unit_forget_bias")
        # Known only with the input: `get_initial_state` makes states.
        self.state_size = [-1, -1]
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

    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation_rate: tuple[int, ...]

    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def build(self, input_shape: Any) -> None:
        channels = input_shape[self._channel_axis()]
        self._image_shape = tuple(input_shape[1:])
        if None in self._image_shape:
            raise ValueError(
                f"{self.name}: expected known spatial extents and channels, received shape {input_shape}"
            )
        start = self._forget_bias(self.filters) if self.unit_forget_bias else None
        made = 4 * self.filters
        kernels = (*self.kernel_size, channels, made), (*self.kernel_size, self.filters, made)
        self._add_kernels(*kernels, (made,), start)

    def state_shape(self) -> tuple[int, ...]:
        """Shape of the state of a sample."""
        last = self.data_format == "channels_last"
        extents = self._image_shape[:-1] if last else self._image_shape[1:]
        sizes = zip(extents, self.kernel_size, self.strides, self.dilation_rate, strict=True)
        same = self.padding == "same"
        places = [
            -(-n // step) if same else (n - (k - 1) * rate - 1) // step + 1 for n, k, step, rate in sizes
        ]
        return (*places, self.filters) if last else (self.filters, *places)

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        shape = (batch_size, *self.state_shape())
        return [ops.zeros(shape, dtype=self.compute_dtype) for _ in range(2)]

    def _sequence_rank(self) -> int:
        return self.rank + 3

    def _separate(self) -> bool:
        return True

    def of_inputs(self, inputs: Any, training: Any) -> Any:
        kept = self._dropped("dropout", inputs, training)
        several = inputs.ndim == self._sequence_rank()
        images = [
            ops.reshape(x, (-1, *x.shape[2:])) if several else x
            for x in (kept if isinstance(kept, list) else [kept])
        ]
        window = {
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
        }
        product = self._convolve(images, self.kernel, window)
        if self.bias is not None:
            shape = (-1,) if self.data_format == "channels_last" else (-1, *[1] * self.rank)
            product = product + ops.reshape(self.bias, shape)
        return ops.reshape(product, (*inputs.shape[:2], *product.shape[1:])) if several else product

    def _convolve(self, images: list[Any], kernel: Any, window: dict[str, Any]) -> Any:
        if len(images) == 1:
            return ops.conv(images[0], kernel, **window)
        kernels = ops.split(kernel, 4, axis=-1)
        parts = [ops.conv(x, k, **window) for x, k in zip(images, kernels, strict=True)]
        return ops.concatenate(parts, axis=self._channel_axis())

    def _of_state(self, state: Any, held: Any, training: Any) -> Any:
        kept = self._dropped("recurrent_dropout", state, training)
        window = {"strides": 1, "padding": "same", "data_format": self.data_format}
        return self._convolve(kept if isinstance(kept, list) else [kept], held, window)

    def advance(self, product: Any, states: list[Any], held: Any, training: Any) -> tuple[Any, list[Any]]:
        output, carry = states
        given = ops.split(product + self._of_state(output, held, training), 4, axis=self._channel_axis())
        take, keep, show = (self.recurrent_activation(given[i]) for i in (0, 1, 3))
        carry = keep * carry + take * self.activation(given[2])
        output = show * self.activation(carry)
        return output, [output, carry]

    def get_config(self) -> dict[str, Any]:
        return {
            **self._gates_config(),
            "rank": self.rank,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "unit_forget_bias": self.unit_forget_bias,
        }


class _ConvLSTM(CellLayer):
    """`RNN` with a `ConvLSTMCell`."""

    _rank: int = 2
    cell_arguments = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
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
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        **kwargs: Any,
    ):
        cell = ConvLSTMCell(
            self._rank,
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
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
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="conv_lstm_cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.input_spec = InputSpec(ndim=self._rank + 3)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, length = sequences_shape[:2]
        if not self.built:
            self._build_with(sequences_shape)
        state = (batch, *self.cell.state_shape())
        output = (batch, length, *state[1:]) if self.return_sequences else state
        return (output, state, state) if self.return_state else output


class ConvLSTM2D(_ConvLSTM):
    """LSTM along sequences of images, whose products are convolutions (Shi et al. 2015, arXiv:1506.04214).

    Args:
        filters: Channels of the output.
        kernel_size, strides, padding, data_format, dilation_rate: Of the convolution of the inputs, as for
            `Conv2D`; that of the state has steps of 1 and pads with zeros.
        activation: Of the candidate and of the carry.
        recurrent_activation: Of the gates.
        use_bias: Whether to add a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: How the weights start.
        unit_forget_bias: Whether the bias of the forget gate starts at 1.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties of the weights.
        activity_regularizer: Penalty of the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Applied to the weights after each update.
        dropout, recurrent_dropout: The part of the inputs and of the state that training sets to 0.
        seed: Integer for the dropout; None draws one.
        return_sequences, return_state, go_backwards, stateful: As for `RNN`.

    Input shape: (batch, steps, height, width, channels). Weights: kernel (height, width, channels,
    4 · filters), recurrent_kernel (height, width, filters, 4 · filters), bias (4 · filters,).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.ConvLSTM2D(4, 3, padding="same")(np.zeros((1, 5, 8, 8, 2))).shape
    (1, 8, 8, 4)
    """


class ConvLSTM1D(_ConvLSTM):
    """`ConvLSTM2D` for sequences of sequences: (batch, steps, places, channels).

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate: As for `ConvLSTM2D`.
        activation, recurrent_activation, use_bias: Likewise.
        kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias: Likewise.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer: Likewise.
        kernel_constraint, recurrent_constraint, bias_constraint: Likewise.
        dropout, recurrent_dropout, seed: Likewise.
        return_sequences, return_state, go_backwards, stateful: Likewise.
    """

    _rank = 1


class ConvLSTM3D(_ConvLSTM):
    """`ConvLSTM2D` for sequences of volumes: (batch, steps, depth, height, width, channels).

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate: As for `ConvLSTM2D`.
        activation, recurrent_activation, use_bias: Likewise.
        kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias: Likewise.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer: Likewise.
        kernel_constraint, recurrent_constraint, bias_constraint: Likewise.
        dropout, recurrent_dropout, seed: Likewise.
        return_sequences, return_state, go_backwards, stateful: Likewise.
    """

    _rank = 3
