"""`RNN`: a cell along a sequence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cnnrs import _core, ops, serialization, tree
from cnnrs.base import context, naming
from cnnrs.base.arguments import flag
from cnnrs.layers.base import Layer
from cnnrs.layers.calls import _call_signature
from cnnrs.layers.recurrent.gates import GatedCell
from cnnrs.layers.recurrent.stacked import StackedRNNCells
from cnnrs.variables import Variable

__all__ = ["RNN"]


class RNN(Layer):
    """A cell that goes along a sequence.

    The steps are recorded one by one, so the number of steps of a sequence is known when it is computed.

    Args:
        cell: A layer with `call(inputs, states)`, which gives the output and the new states, and with
            `state_size`; or a list of such cells, each of which takes what the one before gives.
        return_sequences: Whether to give the outputs of all steps, or that of the last.
        return_state: Whether to give the states after the last step, too.
        go_backwards: Whether to begin with the last step. Outputs come in the order in which they were made.
        stateful: Whether a batch begins with the states at the end of the batch before.
        unroll: Whether to refuse sequences of unknown length in models.
        zero_output_for_mask: Whether the output of a step that does not count is 0, or that of the step
            before.

    Call arguments: `sequences` (batch, steps, ...), `initial_state`, a list of states, `mask` (batch, steps).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.RNN([layers.LSTMCell(3), layers.GRUCell(5)])(np.zeros((2, 7, 4))).shape
    (2, 5)
    """

    _supports_masking = True
    _unowned = Layer._unowned | {"states"}
    states: Any

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        for needed in ("call", "state_size"):
            if not hasattr(cell, needed):
                raise ValueError(
                    f"{type(self).__name__}: cell: expected an object with {needed!r}, received {cell!r}"
                )
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = flag(return_sequences, self.name, "return_sequences")
        self.return_state = flag(return_state, self.name, "return_state")
        self.go_backwards = flag(go_backwards, self.name, "go_backwards")
        self.stateful = flag(stateful, self.name, "stateful")
        self.unroll = flag(unroll, self.name, "unroll")
        self.zero_output_for_mask = flag(zero_output_for_mask, self.name, "zero_output_for_mask")
        self.states = None
        size = cell.state_size
        if not isinstance(size, (int, list, tuple)):
            raise ValueError(
                f"{self.name}: cell: state_size: expected an integer or a list of them, received {size!r}"
            )
        self.state_size = [size] if isinstance(size, int) else list(size)
        self.single_state = isinstance(size, int)

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell._build_with((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful:
            if self.states is not None:
                self.reset_state()
                return
            batch = sequences_shape[0]
            if batch is None:
                raise ValueError(
                    f"{self.name}: stateful: expected a known batch, received shape {sequences_shape}; give "
                    "Input a batch_shape"
                )
            with naming.name_scope(self.name):
                self.states = tree.map_structure(
                    lambda x: Variable(x, trainable=False, dtype=self.variable_dtype, name="rnn_state"),
                    self.get_initial_state(batch),
                )

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The states before the first step: those of the cell, or zeros."""
        if hasattr(self.cell, "get_initial_state"):
            states = self.cell.get_initial_state(batch_size=batch_size)
            return list(states) if tree.is_nested(states) else [states]
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        return [ops.zeros((batch_size, size), dtype=dtype) for size in self.state_size]

    def reset_state(self) -> None:
        """Sets the states that `stateful` keeps to 0."""
        for state in tree.flatten(self.states) if self.states is not None else []:
            state.assign(ops.zeros_like(state.value))

    def reset_states(self) -> None:
        """`reset_state`."""
        self.reset_state()

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = False) -> Any:
        batch = sequences.shape[0]
        if initial_state is None:
            initial_state = self.states if self.stateful else self.get_initial_state(batch)
        if self.stateful:
            kept = tree.flatten(self.states)[0].shape[0]
            if kept != batch:
                raise ValueError(
                    f"{self.name}: stateful: expected the batch {kept} of the states that are kept, "
                    f"received {batch}"
                )
        states = list(initial_state) if tree.is_nested(initial_state) else [initial_state]
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        states = tree.map_structure(lambda x: ops.cast(x, dtype), states)
        mask = tree.flatten(mask)[0] if mask is not None else None
        with self._draws():
            outputs, states = self.inner_loop(sequences, states, mask, training)
        if self.return_sequences:
            output = ops.cast(ops.stack(outputs, axis=1), self.compute_dtype)
        else:
            output = ops.cast(outputs[-1], self.compute_dtype)
        states = tree.map_structure(lambda x: ops.cast(x, self.compute_dtype), states)
        if self.stateful:
            for kept, state in zip(tree.flatten(self.states), tree.flatten(states), strict=True):
                kept.assign(state)
        return (output, *states) if self.return_state else output

    @contextmanager
    def _draws(self) -> Iterator[None]:
        """Draws of dropout are the same for all steps."""
        cells = [c for c in (self.cell, *getattr(self.cell, "cells", ())) if isinstance(c, GatedCell)]
        try:
            for cell in cells:
                cell.keep_draws(True)
            yield
        finally:
            for cell in cells:
                cell.keep_draws(False)

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: Any = False) -> Any:
        """The outputs of the steps, in the order in which they are made, and the states after the last."""
        length = sequences.shape[1]
        if not length:
            raise ValueError(f"{self.name}: expected sequences of at least one step, received none")
        order = range(length - 1, -1, -1) if self.go_backwards else range(length)
        if mask is not None:
            mask = ops.cast(mask, "bool")
        outputs: list[Any] = []
        states = initial_state
        for step, advance in self._steps(sequences, order, training):
            output, new = advance(states)
            if mask is not None:
                counts = mask[:, step]
                before = outputs[-1] if outputs and not self.zero_output_for_mask else ops.zeros_like(output)
                output = _where(counts, output, before)
                new = tree.map_structure(lambda a, b, counts=counts: _where(counts, a, b), new, states)
            states = new
            outputs.append(output)
        return outputs, states

    def _steps(self, sequences: Any, order: range, training: Any) -> Iterator[tuple[int, Any]]:
        """Each step's index, and the function from the states before to output and states after."""
        cell = self.cell
        if isinstance(cell, GatedCell) and type(cell).call is GatedCell.call:
            # One product for all steps.
            with context.calling(training), _core.layer_scope(cell.name, cell._working_dtype()):
                products, held = _unstack(cell.of_inputs(sequences, training)), cell.held()
                for step in order:
                    yield step, lambda s, x=products[step]: cell.advance(x, s, held, training)
            return
        takes_training = isinstance(cell, Layer) and _call_signature(type(cell)).training_position is not None
        kwargs = {"training": training} if takes_training else {}
        call = cell if callable(cell) else cell.call

        def run(inputs: Any, states: Any) -> Any:
            output, new = call(inputs, states, **kwargs)
            return output, list(new) if tree.is_nested(new) else [new]

        inputs = _unstack(sequences)
        for step in order:
            yield step, lambda s, x=inputs[step]: run(x, s)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, length = sequences_shape[:2]
        if self.unroll and length is None:
            raise ValueError(
                f"{self.name}: unroll: expected a known number of steps, received shape {sequences_shape}"
            )
        size = getattr(self.cell, "output_size", None)
        if size is None:
            size = self.state_size[0]
        if not isinstance(size, int):
            raise ValueError(f"{self.name}: cell: output_size: expected an integer, received {size!r}")
        output = (batch, length, size) if self.return_sequences else (batch, size)
        if not self.return_state:
            return output
        states = [
            (batch, s) if isinstance(s, int) else [(batch, part) for part in s] for s in self.state_size
        ]
        return (output, *states)

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        mask = tree.flatten(mask)[0] if mask is not None else None
        output = mask if self.return_sequences else None
        return [output, *[None] * len(self.state_size)] if self.return_state else output

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
            "cell": serialization.serialize_keras_object(self.cell),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        config = dict(config)
        cell = config.pop("cell")
        if isinstance(cell, dict):
            cell = serialization.deserialize_keras_object(cell, custom_objects=custom_objects)
        return cls(cell, **config)


def _where(counts: Any, new: Any, old: Any) -> Any:
    """`new` in the samples that count, else `old`."""
    return ops.where(ops.reshape(counts, (-1, *[1] * (new.ndim - 1))), new, old)


def _unstack(x: Any) -> list[Any]:
    """The steps of sequences of shape (batch, steps, ...).

    They are taken apart by halves: the gradient of a part is as long as what it is a part of, so steps taken
    one by one from the whole would cost the square of their number.
    """
    length = x.shape[1]
    if length == 1:
        return [ops.squeeze(x, axis=1)]
    half = length // 2
    return _unstack(x[:, :half]) + _unstack(x[:, half:])
